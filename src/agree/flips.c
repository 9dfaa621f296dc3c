// SPDX-License-Identifier: Apache-2.0
// Flips: decisions of a backend that the replayed reference would have made otherwise, and whether
// rounding explains them and the denominators that were adopted.
//
// The replay has followed all decisions, so what an earlier flip did to later values is in it
// already: each decision is held against its own operands as the backend had them, but for
// rounding.
#include "agree/referee.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/classes.h"

/* Bounds are computed for at most this many flips of a value, evenly spread, at about 10 us each:
 * more come from bugs, which the spread finds as surely. */
enum { MOST_CHECKED = 20000 };

/* After so many illegal ones the value is beyond doubt, and the dear bound of transforming kernels,
 * about 6 ms, is no longer asked for. */
enum { ENOUGH = 20 };

struct flip {
    struct ab_unit unit;
    uint16_t theirs; /* what the backend decided: a state, or the tap that it chose */
};

struct flip_list {
    struct flip *items;
    size_t count, capacity;
};

struct finder {
    struct ab_look look;
    const struct ab_referee *referee;
    const struct ab_program *program;
    struct flip_list list;
};

static bool push(struct flip_list *l, struct flip f)
{
    if (l->count == l->capacity) {
        const size_t wanted = l->capacity ? 2 * l->capacity : 256;
        struct flip *more = realloc(l->items, wanted * sizeof *more);
        if (!more) return false;
        l->items = more;
        l->capacity = wanted;
    }
    l->items[l->count++] = f;
    return true;
}

static const struct ab_step *step_of(const struct finder *f, int id)
{
    return &f->program->steps[f->program->values[id].def];
}

/* ---- what the operands call for ---- */

/* The pixel under tap k, and whether it is inside. */
static bool tap(const struct ab_pool_shape *p, struct ab_unit window, int k, struct ab_unit *at)
{
    *at = (struct ab_unit){window.n, window.c, window.y * p->sh - p->pt + k / p->kw * p->dh,
                           window.x * p->sw - p->pl + k % p->kw * p->dw};
    return k < p->kh * p->kw && at->y >= 0 && at->y < p->ih && at->x >= 0 && at->x < p->iw;
}

static int winner(struct finder *f, const struct ab_step *s, struct ab_unit window)
{
    const struct ab_pool_shape *p = &f->referee->plan->exec.graph->nodes[s->node].pool;
    int best = -1;
    double top = 0;
    for (int k = 0; k < p->kh * p->kw; k++) {
        struct ab_unit at;
        if (!tap(p, window, k, &at)) continue;
        const double v = ab_look_at(&f->look, s->x, at);
        if (best >= 0 && !(v > top)) continue;
        best = k;
        top = v;
    }
    return best < 0 ? 0 : best;
}

static double product(struct finder *f, const struct ab_step *s, struct ab_unit at)
{
    return ab_look_at(&f->look, s->a, at) * ab_look_at(&f->look, s->x, at);
}

static double threshold(struct finder *f, const struct ab_step *s, int n)
{
    return ab_look_at(&f->look, s->tau, (struct ab_unit){n, 0, 0, 0});
}

static enum ab_unit_state state_under(double cap, double v)
{
    if (v <= 0) return AB_UNIT_DROPPED;
    return v < cap ? AB_UNIT_KEPT : AB_UNIT_AT_CAP;
}

/* What a capped ReLU decides by: its sum, beneath the ReLU without a cap that may lie between. */
static int sum_of(const struct finder *f, const struct ab_step *s)
{
    const struct ab_step *below = step_of(f, s->x);
    const bool relu = below->op == AB_OP_POINTWISE && below->kind == AB_PW_RELU;
    return relu ? below->x : s->x;
}

static int called_for(struct finder *f, int id, struct ab_unit at)
{
    const struct ab_step *s = step_of(f, id);
    switch (f->program->values[id].decision) {
    case AB_DECIDE_RELU: return ab_look_at(&f->look, s->x, at) > 0;
    case AB_DECIDE_CAP:
        return (int)state_under((double)s->scale, ab_look_at(&f->look, sum_of(f, s), at));
    case AB_DECIDE_RECT:
        return product(f, s, at) > threshold(f, s, at.n) && ab_look_at(&f->look, s->x, at) != 0;
    default: return winner(f, s, at);
    }
}

/* ---- finding and measuring ---- */

static bool list_flips(struct finder *f, int id, const void *theirs)
{
    const struct ab_value *v = &f->program->values[id];
    const uint8_t *bytes = theirs;
    const uint16_t *switches = theirs;
    size_t i = 0;
    f->list.count = 0;
    for (int n = 0; n < f->referee->batch; n++)
        for (int c = 0; c < v->dims.c; c++)
            for (int y = 0; y < v->dims.h; y++)
                for (int x = 0; x < v->dims.w; x++, i++) {
                    const struct ab_unit at = {n, c, y, x};
                    const bool is_switch = v->decision == AB_DECIDE_SWITCH;
                    const uint16_t chosen = is_switch ? switches[i] : bytes[i];
                    if (called_for(f, id, at) == chosen) continue;
                    if (!push(&f->list, (struct flip){at, chosen})) return false;
                }
    return true;
}

/* How far the decision was from the other side, and how far rounding reaches. */
static void measure_relu(struct finder *f, const struct ab_step *s, struct ab_unit at,
                         double *margin, double *bound)
{
    *margin = fabs(ab_look_at(&f->look, s->x, at));
    *bound = ab_look_error(&f->look, s->x, at);
}

/* From the nearer end of where the unit would be as the backend had it. */
static void measure_cap(struct finder *f, const struct ab_step *s, const struct flip *flip,
                        double *margin, double *bound)
{
    const int sum = sum_of(f, s);
    const double cap = (double)s->scale, v = ab_look_at(&f->look, sum, flip->unit);
    switch ((enum ab_unit_state)flip->theirs) {
    case AB_UNIT_DROPPED: *margin = v; break;
    case AB_UNIT_KEPT: *margin = v <= 0 ? -v : v - cap; break;
    default: *margin = cap - v; break;
    }
    *bound = ab_look_error(&f->look, sum, flip->unit);
}

static void measure_rect(struct finder *f, const struct ab_step *s, struct ab_unit at,
                         double *margin, double *bound)
{
    const double x = ab_look_at(&f->look, s->x, at), a = ab_look_at(&f->look, s->a, at);
    const double ex = ab_look_error(&f->look, s->x, at), ea = ab_look_error(&f->look, s->a, at);
    *margin = fabs(a * x - threshold(f, s, at.n));
    *bound = fabs(a) * ex + fabs(x) * ea + 0x1p-24 * fabs(a * x);
    if (fabs(x) <= ex) *margin = 0; /* kept or dropped, it is 0 but for rounding */
}

static void measure_switch(struct finder *f, const struct ab_step *s, const struct flip *flip,
                           double *margin, double *bound)
{
    const struct ab_pool_shape *p = &f->referee->plan->exec.graph->nodes[s->node].pool;
    struct ab_unit first, chosen;
    *margin = INFINITY;
    *bound = 0;
    if (!tap(p, flip->unit, flip->theirs, &chosen)) return;
    if (!tap(p, flip->unit, winner(f, s, flip->unit), &first)) return;
    *margin = ab_look_at(&f->look, s->x, first) - ab_look_at(&f->look, s->x, chosen);
    *bound = ab_look_error(&f->look, s->x, first) + ab_look_error(&f->look, s->x, chosen);
}

static void measure(struct finder *f, int id, const struct flip *flip, double *margin,
                    double *bound)
{
    const struct ab_step *s = step_of(f, id);
    switch (f->program->values[id].decision) {
    case AB_DECIDE_RELU: measure_relu(f, s, flip->unit, margin, bound); break;
    case AB_DECIDE_CAP: measure_cap(f, s, flip, margin, bound); break;
    case AB_DECIDE_RECT: measure_rect(f, s, flip->unit, margin, bound); break;
    default: measure_switch(f, s, flip, margin, bound); break;
    }
}

static void note_illegal(struct ab_flips *flips, const char *what, struct ab_unit unit,
                         double margin, double bound)
{
    if (flips->illegal++ && margin - bound <= flips->margin - flips->bound) return;
    flips->what = what;
    flips->unit = unit;
    flips->margin = margin;
    flips->bound = bound;
}

/* RectGrad's threshold is an element of the image itself and errs as those near it do: the widest
 * bound of the image's flips, each of which is near it, is added to each. */
static double threshold_error(struct finder *f, int id, int n, size_t step)
{
    double widest = 0;
    if (f->program->values[id].decision != AB_DECIDE_RECT) return 0;
    for (size_t i = 0; i < f->list.count; i += step) {
        double margin, bound;
        if (f->list.items[i].unit.n != n) continue;
        measure(f, id, &f->list.items[i], &margin, &bound);
        widest = fmax(widest, bound);
    }
    return widest;
}

static const char *const kinds[] = {[AB_DECIDE_NOTHING] = "value",
                                    [AB_DECIDE_RELU] = "ReLU gate",
                                    [AB_DECIDE_CAP] = "capped ReLU",
                                    [AB_DECIDE_RECT] = "RectGrad threshold",
                                    [AB_DECIDE_SWITCH] = "max-pool winner"};

/* Bounds that grant more and cost more, taken only where those before do not do: false once enough
 * has been found wrong. Level 0 is the plain one. */
enum { LEVELS = 3 };
static bool look_closer(struct finder *f, int level, const struct ab_flips *flips)
{
    f->look.transformed = level > 0;
    f->look.inherited = level > 1;
    return !level || flips->illegal < ENOUGH;
}

static void check_value(struct finder *f, int id, struct ab_flips *flips)
{
    const size_t step = 1 + f->list.count / MOST_CHECKED;
    const bool is_rect = f->program->values[id].decision == AB_DECIDE_RECT;
    double widest = 0;
    int image = -1;
    flips->count = (long)f->list.count;
    for (size_t i = 0; i < f->list.count; i += step) {
        const struct flip *flip = &f->list.items[i];
        double margin, bound;
        if (flip->unit.n != image) {
            image = flip->unit.n;
            widest = threshold_error(f, id, image, step);
        }
        for (int level = 0; level < LEVELS; level++) {
            if (!look_closer(f, level, flips)) break;
            measure(f, id, flip, &margin, &bound);
            if (margin <= bound + widest) break;
        }
        look_closer(f, 0, flips);
        if (!(margin <= bound + fmax(widest, is_rect ? bound : 0)))
            note_illegal(flips, kinds[f->program->values[id].decision], flip->unit, margin,
                         bound + widest);
    }
}

static void check_adopted(struct finder *f, int id, const struct ab_adoption *adoption,
                          struct ab_flips *flips)
{
    const struct ab_dims d = f->program->values[id].dims;
    const size_t w = (size_t)d.w, h = (size_t)d.h, c = (size_t)d.c;
    const size_t step = 1 + adoption->count[id] / MOST_CHECKED;
    flips->adopted = (long)adoption->count[id];
    for (size_t i = 0; i < adoption->count[id]; i += step) {
        const struct ab_adopted *a = &adoption->of[id][i];
        const size_t row = a->index / w, plane = row / h;
        const struct ab_unit at = {(int)(plane / c), (int)(plane % c), (int)(row % h),
                                   (int)(a->index % w)};
        const double margin = fabs(a->value - a->own);
        double bound = 0;
        for (int level = 0; level < LEVELS; level++) {
            if (!look_closer(f, level, flips)) break;
            bound = ab_look_error(&f->look, id, at);
            if (margin <= bound) break;
        }
        look_closer(f, 0, flips);
        if (!(margin <= bound)) note_illegal(flips, "denominator", at, margin, bound);
    }
}

/* By how much rounding can move any logit of the image. */
static double widest_logit(struct finder *f, int n)
{
    const int logits = f->program->logits;
    double widest = 0;
    for (int c = 0; c < f->program->values[logits].dims.c; c++)
        widest = fmax(widest, ab_look_error(&f->look, logits, (struct ab_unit){n, c, 0, 0}));
    return widest;
}

/* `chosen` where the logits call for `best`. Errors of at most e move the value of each rank by at
 * most e, so that the two logits are within 2 e of each other if rounding chose. */
static void check_choice(struct finder *f, int n, int best, int chosen, const char *what,
                         struct ab_flips *flips)
{
    const int logits = f->program->logits;
    const struct ab_unit is = {n, chosen, 0, 0}, should = {n, best, 0, 0};
    if (best == chosen) return;
    const double margin =
        fabs(ab_look_at(&f->look, logits, should) - ab_look_at(&f->look, logits, is));
    const double bound = 2 * widest_logit(f, n);
    flips->count++;
    if (!(margin <= bound)) note_illegal(flips, what, is, margin, bound);
}

/* Classes that stand at a rank among the logits, and the highest beside a target. */
static bool check_choices(struct finder *f, const struct ab_decisions *theirs,
                          struct ab_flips *of_targets, struct ab_flips *of_rivals)
{
    const struct ab_referee *r = f->referee;
    const int id = f->program->logits, classes = f->program->values[id].dims.c;
    double *values = malloc(sizeof *values * ab_plan_value_count(r->plan, id));
    if (!values) return false;
    ab_plan_peek(r->plan, id, values);
    for (int i = 0; i < r->batch * r->n_targets; i++) {
        const int n = i / r->n_targets, t = i % r->n_targets;
        const struct ab_logits z = {.d = values + (size_t)n * (size_t)classes, .count = classes};
        const int target = ab_class_of_target(&z, r->targets[i]);
        check_choice(f, n, target, theirs->target[i], t ? "class of its rank" : "top class",
                     &of_targets[t]);
        check_choice(f, n, ab_class_next_to(&z, theirs->target[i]), theirs->rival[i], "next class",
                     &of_rivals[t]);
    }
    free(values);
    return true;
}

int ab_flips_count(const struct ab_referee *referee)
{
    return referee->plan->program.n_values + 2 * referee->n_targets;
}

enum ab_status ab_flips_find(const struct ab_referee *referee, const struct ab_plan *judged,
                             const struct ab_decisions *theirs, const struct ab_adoption *adoption,
                             const bool *needed, struct ab_flips *flips, struct ab_error *err)
{
    const struct ab_program *p = &referee->plan->program;
    struct finder f = {.referee = referee, .program = p};
    bool whole = ab_look_open(&f.look, referee->plan, judged);
    f.look.whole = true;
    f.look.followed = theirs->of;
    for (int id = 0; id < ab_flips_count(referee); id++) flips[id] = (struct ab_flips){0};
    for (int id = 0; whole && id < p->n_values; id++) {
        if (!needed[id]) continue;
        if (ab_exec_stopped(&referee->plan->exec)) f.look.failed = true;
        whole = !f.look.failed;
        if (whole && theirs->of[id]) {
            whole = list_flips(&f, id, theirs->of[id]);
            if (whole) check_value(&f, id, &flips[id]);
        }
        if (whole && adoption->count[id]) check_adopted(&f, id, adoption, &flips[id]);
    }
    if (whole)
        whole = check_choices(&f, theirs, &flips[p->n_values],
                              &flips[p->n_values + referee->n_targets]);
    whole = whole && !f.look.failed;
    ab_look_close(&f.look);
    free(f.list.items);
    if (whole) return AB_OK;
    if (ab_exec_stopped(&referee->plan->exec)) return ab_plan_stop(err);
    return ab_fail(err, AB_ERR_MEMORY, "out of memory for comparing decisions of layers");
}

void ab_flips_describe(const struct ab_referee *referee, int id, const struct ab_flips *flips,
                       char *text, size_t size)
{
    const struct ab_plan *plan = referee->plan;
    const struct ab_program *p = &plan->program;
    const struct ab_value *v = &p->values[id >= p->n_values ? p->logits : id];
    const struct ab_step *s = &p->steps[v->def];
    const int node = v->node >= 0 ? v->node : s->a >= 0 ? p->values[s->a].node : s->node;
    snprintf(text, size, "%s at '%.40s' n=%d c=%d y=%d x=%d: off by %.3g, rounding explains %.3g",
             flips->what, node >= 0 ? plan->exec.graph->nodes[node].name : "?", flips->unit.n,
             flips->unit.c, flips->unit.y, flips->unit.x, flips->margin, flips->bound);
}
