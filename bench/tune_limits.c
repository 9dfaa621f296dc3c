// SPDX-License-Identifier: Apache-2.0
// What limits a configuration: the steps of its plan, held against the machine's peaks.
#include "tune_limits.h"

#include "run.h"
#include "sample/sampler.h"
#include "step_times.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* From here on a part of the time is what matters. */
static const double MOST = 0.5, MUCH = 0.3;

const char *ab_bound_name(enum ab_bound bound)
{
    static const char *const names[] = {"compute", "memory", "neither"};
    return names[bound];
}

/* ---- words ---- */

static void say(struct ab_tune_limits *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(struct ab_tune_limits *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(l->verdict, sizeof l->verdict, format, args);
    va_end(args);
}

void ab_tune_verdict(struct ab_tune_limits *l)
{
    const struct ab_tune_layer *top = l->n_slowest ? &l->slowest[0] : NULL;
    const double compute = l->share[AB_BOUND_COMPUTE], memory = l->share[AB_BOUND_MEMORY];
    if (compute >= MOST)
        say(l, "compute: %.0f %% of the time goes to layers that run at %.0f %% of the FMA peak%s",
            100 * compute, 100 * l->reached[AB_BOUND_COMPUTE],
            l->winograd && l->reached[AB_BOUND_COMPUTE] > 1
                ? " (Winograd does fewer multiplications)"
                : "");
    else if (memory >= MOST)
        say(l,
            "memory bandwidth: %.0f %% of the time goes to steps that read at %.0f %% of what "
            "caches and memory deliver",
            100 * memory, 100 * l->reached[AB_BOUND_MEMORY]);
    else if (top && *top->name && top->share >= MUCH)
        say(l, "layer %s: %.0f %% of the time, at %.0f %% of what the machine could do there",
            top->name, 100 * top->share, 100 * top->roof);
    else
        say(l,
            "no single roof: %.0f %% of the time goes to steps that reach half of neither the FMA "
            "peak nor the bandwidth%s%s",
            100 * l->share[AB_BOUND_NEITHER], top && *top->name ? "; the slowest layer is " : "",
            top ? top->name : "");
}

/* ---- numbers ---- */

/* All steps of each layer; the last entry: those of none. */
struct layer {
    const char *name;
    double ns, flops, roof_ns;
};

static int slower(const void *a, const void *b)
{
    const struct layer *x = a, *y = b;
    return (x->ns < y->ns) - (x->ns > y->ns);
}

static void take_slowest(struct ab_tune_limits *l, struct layer *layers, int count)
{
    qsort(layers, (size_t)count, sizeof *layers, slower);
    for (int i = 0; i < count && l->n_slowest < AB_TUNE_SLOWEST; i++) {
        if (!(layers[i].ns > 0)) break;
        struct ab_tune_layer *to = &l->slowest[l->n_slowest++];
        snprintf(to->name, sizeof to->name, "%s", layers[i].name);
        to->share = layers[i].ns / l->step_ns;
        to->gflops = layers[i].flops / layers[i].ns;
        to->roof = layers[i].roof_ns / layers[i].ns;
    }
}

/* Sums over steps, before they become shares. A gang's time is its first step's, so that its work
 * is too. */
struct sums {
    double ns[AB_BOUNDS], roof[AB_BOUNDS];
};

static void add_gang(struct ab_tune_limits *l, const struct ab_plan *plan, int first, double ns,
                     struct layer *layers, struct sums *sums)
{
    const struct ab_program *p = &plan->program;
    const struct ab_step *s = &p->steps[first];
    struct layer *layer = &layers[s->node >= 0 ? s->node : plan->exec.graph->n_nodes];
    struct ab_step_roof roof = {0, 0};
    for (int i = first; i < first + ab_gang_size(p, first); i++) {
        const struct ab_step_roof one = ab_step_roof_of(plan, &p->steps[i], l->peak);
        const double flops = ab_step_flops(plan, &p->steps[i]);
        roof.compute_ns += one.compute_ns;
        roof.memory_ns += one.memory_ns;
        layer->flops += flops;
        l->gflops += flops;
    }
    /* Bytes that came faster than they can did not come: of maps that nobody takes, or reused. */
    const double longest = fmax(roof.compute_ns, fmin(roof.memory_ns, ns));
    const enum ab_bound bound = longest < AB_TUNE_NEAR * ns         ? AB_BOUND_NEITHER
                                : roof.compute_ns >= roof.memory_ns ? AB_BOUND_COMPUTE
                                                                    : AB_BOUND_MEMORY;
    layer->name = ab_step_layer(plan, s);
    layer->ns += ns;
    layer->roof_ns += longest;
    l->step_ns += ns;
    l->winograd = l->winograd || strstr(ab_plan_kernel(plan, first), "winograd");
    sums->ns[bound] += ns;
    sums->roof[bound] += longest;
}

static enum ab_status take_numbers(struct ab_tune_limits *l, const struct ab_timed *timed,
                                   const struct ab_series *series, struct ab_error *err)
{
    const struct ab_plan *plan = timed->plan;
    const struct ab_program *p = &plan->program;
    const int count = plan->exec.graph->n_nodes + 1;
    struct sums sums = {{0}, {0}};
    struct layer *layers = calloc((size_t)count, sizeof *layers);
    if (!layers) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a profile");
    for (int i = 0; i < p->n_steps; i += ab_gang_size(p, i))
        if (!p->steps[i].constant) add_gang(l, plan, i, ab_step_least(series, i), layers, &sums);
    for (int b = 0; b < AB_BOUNDS; b++) l->share[b] = sums.ns[b] / l->step_ns;
    for (int b = AB_BOUND_COMPUTE; b <= AB_BOUND_MEMORY; b++)
        l->reached[b] = sums.ns[b] > 0 ? sums.roof[b] / sums.ns[b] : 0;
    l->gflops /= l->step_ns;
    l->executions = series->rounds;
    take_slowest(l, layers, count);
    free(layers);
    ab_tune_verdict(l);
    return AB_OK;
}

/* ---- the profile ---- */

struct job {
    const struct ab_graph *graph;
    const struct ab_method *method;
    const struct ab_deploy *d;
    const float *input;
    double seconds;
    struct ab_tune_limits *limits;
    enum ab_status status;
    struct ab_error *err;
};

static float *make_input(const struct job *j)
{
    const struct ab_dims d = ab_graph_input(j->graph);
    const size_t count = (size_t)j->d->batch * (size_t)d.c * (size_t)d.h * (size_t)d.w;
    float *input = ab_buffer_alloc(count * sizeof *input);
    for (size_t i = 0; input && i < count; i++) input[i] = (float)ab_normal(1, i);
    return input;
}

static enum ab_status profile(const struct job *j, struct ab_plan *plan, const float *input)
{
    struct ab_timed timed;
    struct ab_series series = {0};
    struct ab_record record;
    ab_record_init(&record);
    ab_record_plan(&record, plan, j->d->threads);
    j->limits->peak = record.peak;
    j->limits->alone = j->d->instances > 1;
    ab_record_free(&record);
    enum ab_status status = ab_timed_choose(plan, input, NULL, &timed, j->err);
    const struct ab_step_race race = {
        .timed = &timed, .threads = j->d->threads, .seconds = j->seconds};
    if (status == AB_OK) status = ab_step_times(&race, &series, j->err);
    if (status == AB_OK && !series.rounds)
        status = ab_fail(j->err, AB_ERR_INTERNAL, "interrupted before an execution was profiled");
    if (status == AB_OK) status = take_numbers(j->limits, &timed, &series, j->err);
    ab_series_free(&series);
    return status;
}

static void *run(void *user)
{
    struct job *j = user;
    struct ab_plan *plan = NULL;
    float *own = j->input ? NULL : make_input(j);
    const float *input = j->input ? j->input : own;
    const struct ab_plan_options options = ab_deploy_options(j->d);
    j->status = input ? ab_deploy_enter(j->d, 0, j->err)
                      : ab_fail(j->err, AB_ERR_MEMORY, "out of memory for images to profile on");
    if (j->status == AB_OK)
        j->status = ab_plan_create(j->graph, &j->method, 1, &options, &plan, j->err);
    if (j->status == AB_OK) j->status = profile(j, plan, input);
    ab_plan_destroy(&plan);
    ab_buffer_free(own);
    return NULL;
}

enum ab_status ab_tune_limits(const struct ab_graph *graph, const struct ab_method *method,
                              const struct ab_deploy *d, const float *input, double seconds,
                              struct ab_tune_limits *limits, struct ab_error *err)
{
    *limits = (struct ab_tune_limits){0};
    struct job job = {.graph = graph,
                      .method = method,
                      .d = d,
                      .input = input,
                      .seconds = seconds,
                      .limits = limits,
                      .err = err};
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, &job) != 0)
        return ab_fail(err, AB_ERR_INTERNAL,
                       "no thread to profile in; raise the limit of processes (ulimit -u)");
    pthread_join(thread, NULL);
    return job.status;
}
