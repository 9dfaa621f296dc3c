// SPDX-License-Identifier: Apache-2.0
// Judging an execution: methods without a differing decision are compared with the reference's own
// maps; for the rest, and for those that disagree, what they are computed from is computed again
// with the backend's decisions and denominators near zero.
#include "agree/referee.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* One plan under judgement. */
struct trial {
    const struct ab_plan *plan;
    struct ab_decisions theirs;
    struct ab_adoption adoption;
    struct ab_flips *flips; /* [ab_flips_count] */
    bool *redo;             /* [map]: to be compared with a replay */
    bool *needed;           /* [value id]: some such map is computed from it */
};

static bool same_program(const struct ab_referee *r, const struct ab_plan *plan)
{
    const struct ab_program *a = &r->plan->program, *b = &plan->program;
    if (r->batch != plan->exec.batch || a->n_outputs != b->n_outputs || a->targets != b->targets ||
        a->n_values > b->n_values)
        return false;
    for (int id = 0; id < a->n_values; id++) {
        const struct ab_dims d = a->values[id].dims, e = b->values[id].dims;
        if (d.c != e.c || d.h != e.h || d.w != e.w) return false;
        if (a->values[id].decision != b->values[id].decision) return false;
    }
    return true;
}

static const bool *depends_of(const struct ab_referee *r, int m)
{
    return r->depends + (size_t)m * (size_t)r->plan->program.n_values;
}

/* Marks the maps for which the backend decided something else than the reference. */
static void find_differing(const struct ab_referee *r, struct trial *t)
{
    for (int id = 0; id < r->plan->program.n_values; id++) {
        if (!ab_decisions_differ(r->plan, id, &r->own, &t->theirs)) continue;
        for (int m = 0; m < ab_referee_outputs(r); m++)
            if (depends_of(r, m)[id]) t->redo[m] = true;
    }
    for (int m = 0; m < ab_referee_outputs(r); m++) {
        const int target = m % r->n_targets;
        if (ab_choices_differ(r->plan, target, r->own.target, t->theirs.target) ||
            (ab_referee_has_rival(r, m) &&
             ab_choices_differ(r->plan, target, r->own.rival, t->theirs.rival)))
            t->redo[m] = true;
    }
}

static const struct ab_limits *limits_of(const struct ab_referee *r, int m)
{
    const struct ab_composite *composite = &r->methods[m / r->n_targets].composite;
    return ab_agree_limits(composite, r->plan->exec.graph);
}

static void compare(const struct ab_referee *r, const struct trial *t, int m, const double *ref,
                    double *got, const struct ab_limits *limits, struct ab_agreement *result)
{
    ab_plan_peek(t->plan, t->plan->program.outputs[m], got);
    ab_agree_maps(ref, got, r->batch, ab_single_map_dims(r->plan, m), limits, result);
}

/* Runs the steps of the reference that lead to needed values. */
static enum ab_status replay(const struct ab_referee *r, const struct trial *t,
                             struct ab_error *err)
{
    struct ab_exec *e = &r->plan->exec;
    enum ab_status status = AB_OK;
    e->input = r->input;
    e->targets = t->theirs.target;
    e->rivals = t->theirs.rival;
    e->adopted = t->adoption.of;
    e->n_adopted = t->adoption.count;
    ab_plan_force(r->plan, (const void *const *)t->theirs.of);
    for (int i = 0; i < r->plan->program.n_steps && !status; i++) {
        const struct ab_step *s = &r->plan->program.steps[i];
        const bool wanted =
            (s->dst >= 0 && t->needed[s->dst]) || (s->dst2 >= 0 && t->needed[s->dst2]);
        if (wanted && ab_exec_stopped(e)) status = ab_plan_stop(err);
        if (wanted && s->op != AB_OP_OUTPUT && !status) status = r->plan->backend->run(e, s, err);
    }
    ab_plan_force(r->plan, NULL);
    e->input = NULL;
    e->targets = e->rivals = NULL;
    e->adopted = NULL;
    e->n_adopted = NULL;
    /* Constants that followed are to be the reference's own again. */
    for (int i = 0; i < r->plan->program.n_steps && !status; i++) {
        const struct ab_step *s = &r->plan->program.steps[i];
        if (s->constant && t->needed[s->dst]) status = r->plan->backend->run(e, s, err);
    }
    return status;
}

/* Whether map m is computed from what entry `id` of the flips is about. */
static bool concerns(const struct ab_referee *r, int m, int id)
{
    const int n_values = r->plan->program.n_values, target = m % r->n_targets;
    if (id < n_values) return depends_of(r, m)[id];
    if (!depends_of(r, m)[r->plan->program.logits]) return false;
    if (id == n_values + target) return true;
    return id == n_values + r->n_targets + target && ab_referee_has_rival(r, m);
}

/* Adds up the flips that map m depends on; an illegal one settles the verdict. */
static void count_flips(const struct ab_referee *r, const struct trial *t, int m,
                        struct ab_agreement *result)
{
    for (int id = 0; id < ab_flips_count(r); id++) {
        const struct ab_flips *f = &t->flips[id];
        if (!concerns(r, m, id)) continue;
        result->flips += f->count;
        result->adopted += f->adopted;
        if (f->illegal && !result->illegal_flips)
            ab_flips_describe(r, id, f, result->why, sizeof result->why);
        result->illegal_flips += f->illegal;
    }
    if (result->illegal_flips) result->verdict = AB_DISAGREE;
}

/* The needed values with the backend's decisions, and how those differ from what they should be. */
static enum ab_status follow(const struct ab_referee *r, struct trial *t, struct ab_error *err)
{
    enum ab_status status =
        ab_adoption_find(t->plan, &r->plan->program, t->needed, &t->adoption, err);
    if (!status) status = replay(r, t, err);
    if (!status)
        status = ab_flips_find(r, t->plan, &t->theirs, &t->adoption, t->needed, t->flips, err);
    return status;
}

static void close_trial(struct trial *t)
{
    ab_decisions_free(&t->theirs);
    ab_adoption_free(&t->adoption);
    free(t->flips);
    free(t->redo);
    free(t->needed);
}

/* Beyond this part of its largest element rounding leaves too little of a map to be judged. */
static const double lost = 0.1;

/* Map m of the replay against the limits of its class; if it disagrees, against what rounding can
 * do to this very map: twice its reach for Euclidean and largest error, which the seed's error is
 * part of. */
static enum ab_status compare_replayed(const struct ab_referee *r, const struct trial *t, int m,
                                       double *maps, struct ab_agreement *result,
                                       struct ab_error *err)
{
    double reach, *got = maps + ab_referee_map_count(r);
    struct ab_limits limits = *limits_of(r, m);
    ab_plan_peek(r->plan, r->plan->program.outputs[m], maps);
    compare(r, t, m, maps, got, &limits, result);
    if (result->verdict != AB_DISAGREE) return AB_OK;
    const enum ab_status status = ab_referee_reach(r, t->plan, m, &reach, err);
    if (status) return status;
    limits.rel_l2 = fmax(limits.rel_l2, 2 * reach);
    limits.max_err = fmax(limits.max_err, 2 * reach);
    if (reach <= lost) compare(r, t, m, maps, got, &limits, result);
    if (reach <= lost || !isfinite(reach)) return AB_OK;
    result->verdict = AB_MISTRUSTED;
    snprintf(result->why, sizeof result->why,
             "rounding can be %.2g of the map's largest value, so comparing says nothing", reach);
    return AB_OK;
}

static enum ab_status judge_replayed(const struct ab_referee *r, struct trial *t, double *maps,
                                     struct ab_agreement *results, struct ab_error *err)
{
    const int n_values = r->plan->program.n_values;
    for (int m = 0; m < ab_referee_outputs(r); m++)
        for (int id = 0; t->redo[m] && id < n_values; id++)
            if (depends_of(r, m)[id]) t->needed[id] = true;
    enum ab_status status = follow(r, t, err);
    for (int m = 0; m < ab_referee_outputs(r) && !status; m++) {
        if (!t->redo[m]) continue;
        status = compare_replayed(r, t, m, maps, &results[m], err);
        count_flips(r, t, m, &results[m]);
    }
    return status;
}

static enum ab_status judge(const struct ab_referee *r, struct trial *t,
                            struct ab_agreement *results, struct ab_error *err)
{
    const size_t n_values = (size_t)r->plan->program.n_values, count = ab_referee_map_count(r);
    double *maps = malloc(2 * count * sizeof *maps);
    bool any = false;
    enum ab_status status = AB_OK;
    t->flips = calloc((size_t)ab_flips_count(r), sizeof *t->flips);
    t->redo = calloc((size_t)ab_referee_outputs(r), sizeof *t->redo);
    t->needed = calloc(n_values, sizeof *t->needed);
    if (maps && t->flips && t->redo && t->needed) {
        find_differing(r, t);
        for (int m = 0; m < ab_referee_outputs(r); m++) {
            if (!t->redo[m])
                compare(r, t, m, ab_referee_single_map(r, m), maps, limits_of(r, m), &results[m]);
            if (!t->redo[m]) t->redo[m] = results[m].verdict == AB_DISAGREE;
            any = any || t->redo[m];
        }
        if (any) status = judge_replayed(r, t, maps, results, err);
    } else {
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for judging");
    }
    free(maps);
    return status;
}

enum ab_status ab_referee_judge_single(struct ab_referee *referee, const struct ab_plan *plan,
                                       struct ab_agreement *results, struct ab_error *err)
{
    struct trial t = {.plan = plan};
    if (!same_program(referee, plan))
        return ab_fail(
            err, AB_ERR_ARG,
            "the plan under judgement is not of the referee's model, methods, targets and batch");
    enum ab_status status = ab_decisions_read(plan, referee->targets, &t.theirs, err);
    if (!status) status = judge(referee, &t, results, err);
    close_trial(&t);
    return status;
}

/* ---- for sampled methods ---- */

static enum ab_status open_trial(const struct ab_referee *r, const struct ab_plan *plan,
                                 struct trial *t, struct ab_error *err)
{
    *t = (struct trial){.plan = plan};
    t->flips = calloc((size_t)ab_flips_count(r), sizeof *t->flips);
    t->needed = calloc((size_t)r->plan->program.n_values, sizeof *t->needed);
    if (!t->flips || !t->needed) return ab_fail(err, AB_ERR_MEMORY, "out of memory for judging");
    return ab_decisions_read(plan, r->targets, &t->theirs, err);
}

enum ab_status ab_referee_follow(const struct ab_referee *referee, const struct ab_plan *plan,
                                 struct ab_agreement *results, struct ab_error *err)
{
    const struct ab_referee *r = referee;
    struct trial t;
    enum ab_status status = open_trial(r, plan, &t, err);
    for (int m = 0; m < ab_referee_outputs(r) && !status; m++)
        for (int id = 0; id < r->plan->program.n_values; id++)
            if (depends_of(r, m)[id]) t.needed[id] = true;
    if (!status) status = follow(r, &t, err);
    for (int m = 0; m < ab_referee_outputs(r) && !status; m++) count_flips(r, &t, m, &results[m]);
    close_trial(&t);
    return status;
}

enum ab_status ab_referee_check_choices(const struct ab_referee *referee,
                                        const struct ab_plan *plan, struct ab_flips *choices,
                                        struct ab_error *err)
{
    const struct ab_program *p = &referee->plan->program;
    struct trial t;
    enum ab_status status = open_trial(referee, plan, &t, err);
    if (!status) ab_referee_mark(p, p->logits, t.needed);
    if (!status) status = follow(referee, &t, err);
    for (int k = 0; k < referee->n_targets && !status; k++) choices[k] = t.flips[p->n_values + k];
    close_trial(&t);
    return status;
}
