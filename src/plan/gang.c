// SPDX-License-Identifier: Apache-2.0
// Gangs: steps of one layer, of different methods or targets, are brought together, so that a
// backend computes them as one unit.
//
//   DENSE  all steps of the layer and direction: what costs is reading its weights, whichever part
//          of them a step wants.
//   CONV   steps with the same operand and part of the weights, whose sums are equal: they differ
//          in bias, addend or epilogue.
//
// Convolutions of different operands are no gang: their weights are fetched while they compute, so
// they would gain nothing from sharing them, and lose the signal that the step before left in
// cache.
//
// Steps are placed from the last one backwards, each as soon as all its readers are: the latest one
// of the old order first, which by itself would give the old order. A step of a gang waits until
// the others could be placed too. So every step comes as late as it can, which keeps lifetimes
// short, and chains stay whole between gangs.
#include "plan/builder.h"

#include <stdlib.h>
#include <string.h>

/* A program whose values need more memory at their worst moment, as a multiple of what they needed
 * in the old order, gives up gangs of convolutions, which keep whole maps waiting. */
static const double BUDGET = 2.5;

struct order {
    const struct ab_program *p;
    int *leader;  /* of each step: the first of those that may be its gang, maybe itself; -1 of
                     ops that form none */
    int *missing; /* of each leader: steps that do not wait yet */
    int *readers; /* of each step: operands of steps not yet placed that it defines */
    bool *waits;  /* for its gang */
    bool *placed;
    int *to, count; /* the new order, backwards, */
    int *gang;      /* and the number of each one's gang */
    int gangs;
};

bool ab_same_weights(const struct ab_step *s, const struct ab_step *t)
{
    return s->node == t->node && s->pass == t->pass && s->wmod == t->wmod && s->gain == t->gain;
}

static bool may_gang(const struct ab_step *s, const struct ab_step *t, bool convs)
{
    if (s->op != t->op || s->constant || t->constant) return false;
    if (s->op == AB_OP_DENSE) return s->node == t->node && s->pass == t->pass;
    if (s->op != AB_OP_CONV || !convs) return false;
    if (s->kind == AB_PW_REST_BITS || t->kind == AB_PW_REST_BITS) return false;
    return s->x == t->x && ab_same_weights(s, t) && s->direct == t->direct &&
           (s->guard < 0) == (t->guard < 0);
}

static void find_leaders(struct order *o, bool convs)
{
    const struct ab_program *p = o->p;
    for (int i = 0; i < p->n_steps; i++) {
        const struct ab_step *s = &p->steps[i];
        o->leader[i] = -1;
        if (s->op != AB_OP_DENSE && s->op != AB_OP_CONV) continue;
        o->leader[i] = i;
        for (int k = 0; k < i && o->leader[i] == i; k++)
            if (o->leader[k] == k && may_gang(&p->steps[k], s, convs)) o->leader[i] = k;
        o->missing[o->leader[i]]++;
    }
}

static int producer(const struct order *o, int value)
{
    return value < 0 ? -1 : o->p->values[value].def;
}

/* Whether `i` only adds what an earlier step of its own gang makes: dense steps are finished in
 * their order, so that both can be one unit. */
static bool adds_own(const struct order *o, int i)
{
    const struct ab_step *s = &o->p->steps[i];
    const int from = producer(o, s->add);
    return s->op == AB_OP_DENSE && from >= 0 && o->leader[from] == o->leader[i];
}

static void count_readers(struct order *o)
{
    for (int i = 0; i < o->p->n_steps; i++) {
        const struct ab_step *s = &o->p->steps[i];
        for (int k = 0; k < ab_step_operand_count(s); k++) {
            const int from = producer(o, ab_step_operand(s, k));
            if (from >= 0) o->readers[from]++;
        }
    }
}

static void place(struct order *o, int i, int gang)
{
    const struct ab_step *s = &o->p->steps[i];
    o->placed[i] = true;
    o->gang[o->count] = gang;
    o->to[o->count++] = i;
    for (int k = 0; k < ab_step_operand_count(s); k++) {
        const int from = producer(o, ab_step_operand(s, k));
        if (from >= 0) o->readers[from]--;
    }
    /* That one was taken off when i began to wait. */
    if (o->waits[i] && adds_own(o, i)) o->readers[producer(o, s->add)]++;
}

/* Places those that wait for the gang of `leader`, the last one first. */
static void place_gang(struct order *o, int leader)
{
    int size = 0;
    for (int i = leader; i < o->p->n_steps; i++)
        size += o->leader[i] == leader && o->waits[i] && !o->placed[i];
    const int gang = size > 1 ? ++o->gangs : 0;
    for (int i = o->p->n_steps - 1; i >= leader; i--)
        if (o->leader[i] == leader && o->waits[i] && !o->placed[i]) place(o, i, gang);
}

/* The latest step that could be placed now; `waiting`: of those that wait for their gang. */
static int latest(const struct order *o, bool waiting)
{
    for (int i = o->p->n_steps - 1; i >= 0; i--)
        if (!o->placed[i] && o->readers[i] == 0 && o->waits[i] == waiting) return i;
    return -1;
}

static void arrange(struct order *o)
{
    while (o->count < o->p->n_steps) {
        const int i = latest(o, false);
        if (i < 0) {
            /* Some of a gang wait for what only others of it need: two gangs, then. */
            place_gang(o, o->leader[latest(o, true)]);
            continue;
        }
        const int leader = o->leader[i];
        if (leader < 0) {
            place(o, i, 0);
            continue;
        }
        o->waits[i] = true;
        if (adds_own(o, i)) o->readers[producer(o, o->p->steps[i].add)]--;
        if (--o->missing[leader] == 0) place_gang(o, leader);
    }
}

/* ---- memory ---- */

static double size_of(const struct ab_value *v)
{
    static const double of[] = {
        [AB_F32] = 1, [AB_SWITCH] = 0.5, [AB_BITS] = 1.0 / 32, [AB_TAU] = 0};
    return of[v->dtype] * v->dims.c * v->dims.h * v->dims.w;
}

/* Of the values of one image, where they need most; `change` has room for a number a step and two
 * more. */
static double peak(const struct ab_program *p, double *change)
{
    double now = 0, most = 0;
    memset(change, 0, sizeof *change * ((size_t)p->n_steps + 2));
    for (int v = 0; v < p->n_values; v++) {
        if (p->values[v].def < 0) continue;
        change[p->values[v].def] += size_of(&p->values[v]);
        change[p->values[v].last_use + 1] -= size_of(&p->values[v]);
    }
    for (int i = 0; i < p->n_steps; i++) {
        now += change[i];
        if (now > most) most = now;
    }
    return most;
}

/* ---- all ---- */

static void put(struct ab_program *p, const struct order *o, struct ab_step *steps)
{
    for (int i = 0; i < p->n_steps; i++) {
        steps[i] = p->steps[o->to[p->n_steps - 1 - i]];
        steps[i].gang = o->gang[p->n_steps - 1 - i];
    }
    memcpy(p->steps, steps, sizeof *steps * (size_t)p->n_steps);
    ab_program_liveness(p);
}

/* The numbers of an order lie one after the other in `room`, of 5 ints and 2 bools a step. */
static struct order order_in(const struct ab_program *p, int *room)
{
    const size_t n = (size_t)p->n_steps;
    memset(room, 0, n * (5 * sizeof *room + 2 * sizeof(bool)));
    bool *const flags = (bool *)(void *)(room + 5 * n);
    return (struct order){.p = p,
                          .leader = room,
                          .missing = room + n,
                          .readers = room + 2 * n,
                          .to = room + 3 * n,
                          .gang = room + 4 * n,
                          .waits = flags,
                          .placed = flags + n};
}

bool ab_gangs(struct ab_program *p)
{
    const size_t n = (size_t)p->n_steps;
    int *room = malloc((n + 1) * (5 * sizeof *room + 2 * sizeof(bool)));
    double *change = malloc((n + 2) * sizeof *change);
    struct ab_step *steps = malloc((n + 1) * sizeof *steps), *old = malloc((n + 1) * sizeof *old);
    const bool good = room && change && steps && old;
    if (good) {
        memcpy(old, p->steps, n * sizeof *old);
        const double before = peak(p, change);
        for (int convs = 1; convs >= 0; convs--) {
            struct order o = order_in(p, room);
            find_leaders(&o, convs);
            count_readers(&o);
            arrange(&o);
            put(p, &o, steps);
            if (peak(p, change) <= BUDGET * before) break;
            memcpy(p->steps, old, n * sizeof *old);
            ab_program_liveness(p);
        }
    }
    free(room);
    free(change);
    free(steps);
    free(old);
    return good;
}

int ab_gang_size(const struct ab_program *p, int first)
{
    int size = 1;
    if (p->steps[first].gang == 0) return 1;
    while (first + size < p->n_steps && p->steps[first + size].gang == p->steps[first].gang) size++;
    return size;
}

int ab_gang_first(const struct ab_program *p, int step)
{
    const int gang = p->steps[step].gang;
    while (gang && step > 0 && p->steps[step - 1].gang == gang) step--;
    return step;
}
