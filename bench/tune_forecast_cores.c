// SPDX-License-Identifier: Apache-2.0
// Forecasts by cores: the plan's steps at one thread, what the cores here do together, and visits
// on as many of them as there are.
#include "tune_forecast_measure.h"

#include "abreast.h"
#include "bandwidth.h"
#include "peak.h"
#include "pin.h"
#include "run.h"
#include "source.h"
#include "step_times.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RATES = 12 };

/* What is measured. */
struct cores {
    const struct ab_forecast_options *o;
    struct ab_forecast_step *steps;
    int n_steps;
    struct ab_forecast_rate rates[MOST_RATES];
    int n_rates;
    struct ab_forecast_total totals[MOST_RATES];
    int n_totals;
    double cache_bytes, sync_ns, noise;
    int sync_threads;
};

/* The deployment in another shape; false: the machine has no such. */
static bool reshape(const struct ab_forecast_options *o, int threads, int instances,
                    struct ab_deploy *d)
{
    *d = *o->deploy;
    d->threads = threads;
    d->instances = instances;
    d->cpus = malloc((size_t)threads * (size_t)instances * sizeof *d->cpus);
    if (!d->cpus) return false;
    bool good = ab_site_place(o->site, d->place, threads, instances, d->cpus);
    if (!good && d->place == AB_PLACE_SMT && threads * instances == 1) {
        d->place = AB_PLACE_CORES; /* one thread has no siblings to sit beside */
        good = ab_site_place(o->site, d->place, 1, 1, d->cpus);
    }
    if (!good || d->place == AB_PLACE_FREE) {
        free(d->cpus);
        d->cpus = NULL;
    }
    return good;
}

/* ---- the plan at one thread ---- */

struct profile {
    struct cores *c;
    const struct ab_deploy *d;
    enum ab_status status;
    struct ab_error err;
};

static enum ab_status take_steps(struct cores *c, const struct ab_timed *timed,
                                 const struct ab_series *series, struct ab_error *err)
{
    const struct ab_plan *plan = timed->plan;
    const struct ab_program *p = &plan->program;
    c->steps = calloc((size_t)p->n_steps, sizeof *c->steps);
    if (!c->steps) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a profile");
    for (int i = 0; i < p->n_steps; i += ab_gang_size(p, i)) {
        if (p->steps[i].constant) continue;
        struct ab_forecast_step *s = &c->steps[c->n_steps++];
        *s = (struct ab_forecast_step){.ns = ab_step_least(series, i),
                                       .parallel = true,
                                       .grows = p->steps[i].op != AB_OP_DENSE};
        for (int k = i; k < i + ab_gang_size(p, i); k++) {
            s->flops += ab_step_flops(plan, &p->steps[k]);
            s->bytes += ab_step_bytes(plan, &p->steps[k]);
        }
    }
    return AB_OK;
}

static enum ab_status profile_plan(struct profile *j, const struct ab_graph *graph,
                                   const struct ab_method *method, const float *input)
{
    struct ab_plan *plan = NULL;
    struct ab_timed timed;
    struct ab_series series = {0};
    const struct ab_plan_options options = ab_deploy_options(j->d);
    enum ab_status status = ab_deploy_enter(j->d, 0, &j->err);
    if (status == AB_OK) status = ab_plan_create(graph, &method, 1, &options, &plan, &j->err);
    if (status == AB_OK) status = ab_timed_choose(plan, input, NULL, &timed, &j->err);
    const struct ab_step_race race = {
        .timed = &timed, .threads = 1, .seconds = j->c->o->seconds > 0 ? j->c->o->seconds : 2};
    if (status == AB_OK) status = ab_step_times(&race, &series, &j->err);
    if (status == AB_OK && !series.rounds)
        status = ab_fail(&j->err, AB_ERR_INTERNAL, "interrupted before an execution was profiled");
    if (status == AB_OK) status = take_steps(j->c, &timed, &series, &j->err);
    ab_series_free(&series);
    ab_plan_destroy(&plan);
    return status;
}

/* In a thread of its own, so that the caller's bindings stay. */
static void *run_profile(void *user)
{
    struct profile *j = user;
    struct ab_source source = {0};
    struct ab_method *method = NULL;
    float *input = NULL;
    j->status = ab_source_open(j->c->o->model, NULL, &source, &j->err);
    if (j->status == AB_OK) j->status = ab_method_parse(j->c->o->method, &method, &j->err);
    if (j->status == AB_OK) {
        const struct ab_dims dims = source.dims;
        const size_t count = (size_t)j->d->batch * (size_t)dims.c * (size_t)dims.h * (size_t)dims.w;
        input = ab_buffer_alloc(count * sizeof *input);
        for (size_t i = 0; input && i < count; i++) input[i] = (float)ab_normal(1, i);
        j->status = input
                        ? profile_plan(j, source.graph, method, input)
                        : ab_fail(&j->err, AB_ERR_MEMORY, "out of memory for images to profile on");
    }
    ab_buffer_free(input);
    ab_method_destroy(&method);
    ab_source_close(&source);
    return NULL;
}

/* ---- what cores do together ---- */

static enum ab_isa isa_of(const struct ab_deploy *d)
{
    const char *colon = strchr(d->backend, ':');
    enum ab_isa best = AB_ISA_plain;
    ab_peak_best(ab_cpu_isas(), &best);
    for (int i = 0; colon && i < AB_ISA_COUNT; i++)
        if (!strcmp(colon + 1, ab_isa_name((enum ab_isa)i))) best = (enum ab_isa)i;
    return best;
}

/* 1, 2, 4, ... and all; 0: no more. */
static int next_count(int count, int all)
{
    return count >= all ? 0 : count * 2 < all ? count * 2 : all;
}

/* Counts whose threads never ran undisturbed are left out; of one thread there are other probes. */
static void measure_rates(struct cores *c)
{
    static const double span = 30e6, memory_bytes = 256e6;
    const enum ab_isa isa = isa_of(c->o->deploy);
    const double one = ab_peak_gflops(isa);
    for (int n = 1; n && c->n_rates < MOST_RATES; n = next_count(n, ab_site_usable(c->o->site))) {
        struct ab_deploy d;
        if (!reshape(c->o, n, 1, &d)) continue;
        const int *cpus = d.cpus ? d.cpus : c->o->site->cpus;
        struct ab_forecast_rate r = {n, ab_abreast_gflops(cpus, n, isa, span, n * one),
                                     ab_abreast_gbs(cpus, n, memory_bytes / n, 10 * span)};
        if (n == 1 && !(r.gflops > 0)) r.gflops = one;
        if (n == 1 && !(r.gbs > 0)) r.gbs = ab_bandwidth_gbs((size_t)memory_bytes);
        if (r.gflops > 0 && r.gbs > 0) c->rates[c->n_rates++] = r;
        free(d.cpus);
    }
}

/* Starting and joining threads: the least of a quarter of a second, in which even threads that
 * share their CPUs with others meet at times. In a thread that is bound like an instance. */
static void *run_sync(void *user)
{
    struct profile *j = user;
    const int threads = j->d->threads;
    double least = (double)INFINITY;
    j->status = ab_deploy_enter(j->d, 0, &j->err);
    const double end = ab_now_ns() + 0.25e9;
    for (double begin = ab_now_ns(); j->status == AB_OK && begin < end;) {
#pragma omp parallel num_threads(threads)
        {
            __asm__ volatile("" ::: "memory");
        }
        const double now = ab_now_ns();
        least = fmin(least, now - begin);
        begin = now;
    }
    if (j->status == AB_OK) j->c->sync_ns = least;
    return NULL;
}

static enum ab_status in_thread(void *(*run)(void *), struct cores *c, const struct ab_deploy *d,
                                struct ab_error *err)
{
    struct profile job = {.c = c, .d = d};
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, &job) != 0)
        return ab_fail(err, AB_ERR_INTERNAL,
                       "no thread to profile in; raise the limit of processes (ulimit -u)");
    pthread_join(thread, NULL);
    return job.status == AB_OK ? AB_OK : ab_fail(err, job.status, "%.500s", job.err.text);
}

static enum ab_status measure_sync(struct cores *c, struct ab_error *err)
{
    struct ab_deploy d;
    const int threads = ab_site_usable(c->o->site) < 2 ? 1 : 2;
    if (threads < 2 || !reshape(c->o, threads, 1, &d)) return AB_OK;
    const enum ab_status status = in_thread(run_sync, c, &d, err);
    c->sync_threads = threads;
    free(d.cpus);
    return status;
}

/* ---- visits ---- */

static enum ab_status add_total(struct cores *c, int threads, int instances, struct ab_error *err)
{
    struct ab_deploy d;
    if (c->n_totals == MOST_RATES || !reshape(c->o, threads, instances, &d)) return AB_OK;
    /* The better of two: what disturbs only slows. */
    double ns = ab_forecast_visit(c->o, c->o->model, &d, &c->noise, err);
    if (ns > 0) ns = fmin(ns, ab_forecast_visit(c->o, c->o->model, &d, &c->noise, err));
    free(d.cpus);
    if (!(ns > 0)) return AB_ERR_INTERNAL;
    c->totals[c->n_totals++] = (struct ab_forecast_total){threads, instances, ns};
    return AB_OK;
}

/* How many cores are to be used: by more instances where the deployment has several, else by more
 * threads. */
static void shape_of(const struct ab_deploy *d, int cores, int *threads, int *instances)
{
    const bool several = d->instances > 1 && cores >= d->threads;
    *threads = several ? d->threads : cores;
    *instances = several ? cores / d->threads : 1;
}

/* One thread, and shapes like that which is asked for on fewer cores than are asked for. */
static enum ab_status measure_totals(struct cores *c, int asked, struct ab_error *err)
{
    const int usable = ab_site_usable(c->o->site);
    enum ab_status status = add_total(c, 1, 1, err);
    for (int n = 2; n && n <= usable && status == AB_OK; n = next_count(n, usable)) {
        int threads, instances;
        shape_of(c->o->deploy, n, &threads, &instances);
        if (n < asked && threads * instances > 1) status = add_total(c, threads, instances, err);
    }
    return status;
}

/* ---- the forecast ---- */

static void notes(const struct cores *c, int threads, int instances, struct ab_forecast *f)
{
    const struct ab_forecast_rate *one = &c->rates[0], *most = &c->rates[c->n_rates - 1];
    ab_forecast_note(f,
                     "%d instance%s of %d thread%s, on cores like those here: each multiplies at "
                     "%.0f GFLOP/s and has %.1f MB of cache to itself.",
                     instances, instances == 1 ? "" : "s", threads, threads == 1 ? "" : "s",
                     most->gflops / most->threads, c->cache_bytes / 1e6);
    if (f->ask.bandwidth_gbs > 0)
        ab_forecast_note(f,
                         "Memory gives %.0f GB/s, as was said; measured: %.1f GB/s by 1 core, "
                         "%.1f GB/s by %d.",
                         f->ask.bandwidth_gbs, one->gbs, most->gbs, most->threads);
    else
        ab_forecast_note(f,
                         "Memory gives more cores than %d no more than those read here, %.1f GB/s "
                         "(1: %.1f GB/s); bandwidth= says otherwise. The lower end: every core "
                         "brings its own.",
                         most->threads, most->gbs, one->gbs);
    ab_forecast_note(f,
                     "Each step is divided evenly among the threads; starting and joining 2 takes "
                     "%.1f us, more grows with the logarithm.",
                     c->sync_ns / 1e3);
    if (isnan(f->residual))
        ab_forecast_note(f,
                         "Nothing was served on more cores than one: an error of 25 %% is taken.");
    else
        ab_forecast_note(f,
                         "What was served on up to %d cores is met within %.1f %%; what that shows "
                         "beyond the model is taken not to scale.",
                         c->totals[c->n_totals - 1].threads * c->totals[c->n_totals - 1].instances,
                         100 * f->residual);
    ab_forecast_note(f, "One socket: memory of another one is not modelled.");
}

static void predict(const struct cores *c, struct ab_forecast *f)
{
    const struct ab_forecast_plan p = {.steps = c->steps,
                                       .n_steps = c->n_steps,
                                       .rates = c->rates,
                                       .n_rates = c->n_rates,
                                       .cache_bytes = c->cache_bytes,
                                       .sync_ns = c->sync_ns,
                                       .sync_threads = c->sync_threads,
                                       .bandwidth_gbs = f->ask.bandwidth_gbs,
                                       .totals = c->totals,
                                       .n_totals = c->n_totals};
    int threads, instances;
    shape_of(c->o->deploy, f->ask.count, &threads, &instances);
    f->ns = ab_forecast_cores(&p, threads, instances, &f->residual);
    ab_forecast_put_rate(f, (double)instances * c->o->deploy->batch);
    snprintf(f->model, sizeof f->model,
             "each of %d steps: the longer of its arithmetic and its memory traffic", c->n_steps);
    for (int i = 0; i < c->n_totals; i++) {
        const struct ab_forecast_total *t = &c->totals[i];
        f->points[i].x = (double)t->threads * t->instances;
        f->points[i].ns = t->ns;
        f->points[i].fit_ns = ab_forecast_model_ns(&p, t->threads, t->instances);
    }
    f->n_points = c->n_totals;
    notes(c, threads, instances, f);
}

enum ab_status ab_forecast_steps(const struct ab_forecast_options *o,
                                 struct ab_forecast_step **steps, int *count, struct ab_error *err)
{
    struct cores c = {.o = o};
    struct ab_deploy one;
    if (!reshape(o, 1, 1, &one))
        return ab_fail(err, AB_ERR_UNSUPPORTED, "one thread cannot be placed here: %s",
                       ab_place_name(o->deploy->place));
    const enum ab_status status = in_thread(run_profile, &c, &one, err);
    free(one.cpus);
    *steps = c.steps;
    *count = c.n_steps;
    return status;
}

static double core_cache(void)
{
    struct ab_machine machine = {0};
    struct ab_pin *pin = ab_pin_create(&machine);
    ab_pin_destroy(&pin);
    return machine.l2 > 0 ? (double)machine.l2 : 1 << 20;
}

void ab_forecast_by_cores(const struct ab_forecast_options *o, struct ab_forecast *f)
{
    struct cores c = {.o = o, .cache_bytes = core_cache()};
    struct ab_error why = {""};
    if (o->say) o->say(o->user, "steps at one thread, and what cores do together");
    enum ab_status status = ab_forecast_steps(o, &c.steps, &c.n_steps, &why);
    if (status == AB_OK) status = measure_sync(&c, &why);
    if (status == AB_OK) measure_rates(&c);
    if (status == AB_OK && !c.n_rates)
        status = ab_fail(&why, AB_ERR_INTERNAL, "the peaks of this machine could not be measured");
    if (status == AB_OK) status = measure_totals(&c, f->ask.count, &why);
    if (status == AB_OK)
        predict(&c, f);
    else
        snprintf(f->error, sizeof f->error, "%.255s", *why.text ? why.text : "out of memory");
    free(c.steps);
}
