// SPDX-License-Identifier: Apache-2.0
// Steps of a plan, timed execution by execution.
#include "step_times.h"

#include "bandwidth.h"
#include "run.h"
#include "sample/sampler.h"

#include <math.h>
#include <stdlib.h>

enum { MIN_RUNS = 4, MAX_RUNS = 64 };

enum ab_status ab_timed_choose(struct ab_plan *plan, const float *input, const int *targets,
                               struct ab_timed *timed, struct ab_error *err)
{
    const struct ab_sampler *sampler =
        ab_plan_sampler_count(plan) ? ab_plan_sampler(plan, 0) : NULL;
    *timed = (struct ab_timed){plan, input, targets, "one execution"};
    if (!sampler) return AB_OK;
    *timed = (struct ab_timed){sampler->plan, sampler->inputs, sampler->targets, ""};
    snprintf(timed->what, sizeof timed->what, "one execution of %d (of %d samples each)",
             ab_sampler_executions(sampler), sampler->chunk);
    /* It leaves the inputs of its last samples. */
    return ab_plan_execute(plan, input, targets, NULL, NULL, err);
}

/* The side of a race that runs it step by step. */
struct timer {
    const struct ab_step_race *race;
    struct ab_local local;
    double *ns; /* of each step, of the last execution */
};

static enum ab_status run_steps(void *user, struct ab_error *err)
{
    const struct timer *t = user;
    const struct ab_timed *timed = t->race->timed;
    return ab_plan_profile(timed->plan, timed->input, timed->targets, t->ns, err);
}

static void before(void *user)
{
    const struct timer *t = user;
    t->race->before(t->race->user);
}

static enum ab_status take_slice(void *user, int calls, struct ab_slice *slice,
                                 struct ab_error *err)
{
    struct timer *t = user;
    const enum ab_status status = ab_local_slice(&t->local, calls, slice, err);
    slice->parts = t->ns;
    slice->n_parts = t->race->timed->plan->program.n_steps;
    return status;
}

enum ab_status ab_step_times(const struct ab_step_race *race, struct ab_series *series,
                             struct ab_error *err)
{
    struct timer t = {.race = race};
    t.ns = calloc((size_t)race->timed->plan->program.n_steps, sizeof *t.ns);
    if (!t.ns)
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for a profile; profile fewer methods");
    t.local = (struct ab_local){.run = run_steps,
                                .user = &t,
                                .before = race->before ? before : NULL,
                                .threads = race->threads,
                                .least_ns = race->least_ns};
    const struct ab_side side = {"steps", take_slice, &t};
    const struct ab_race_options o = {
        .seconds = race->seconds, .min_rounds = MIN_RUNS, .max_rounds = MAX_RUNS, .max_calls = 1};
    int calls;
    enum ab_status status = ab_race(&side, 1, &o, series, &calls, err);
    if (status == AB_OK && series->status != AB_OK)
        status = ab_fail(err, series->status, "%.500s", series->err.text);
    free(t.ns);
    return status;
}

double ab_step_least(const struct ab_series *series, int step)
{
    double least = (double)INFINITY;
    for (int r = 0; r < series->rounds; r++)
        least = fmin(least, series->parts[(size_t)r * (size_t)series->n_parts + (size_t)step]);
    return least;
}

const char *ab_step_layer(const struct ab_plan *plan, const struct ab_step *s)
{
    return s->node >= 0 && plan->exec.graph->nodes[s->node].name
               ? plan->exec.graph->nodes[s->node].name
               : "";
}

struct ab_step_roof ab_step_roof_of(const struct ab_plan *plan, const struct ab_step *step,
                                    double peak)
{
    const double bytes = ab_step_bytes(plan, step), flops = ab_step_flops(plan, step);
    const double bandwidth = bytes > 0 ? ab_bandwidth_gbs((size_t)bytes) * plan->exec.threads : 0;
    return (struct ab_step_roof){peak > 0 ? flops / peak : 0,
                                 bandwidth > 0 ? bytes / bandwidth : 0};
}
