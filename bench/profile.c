// SPDX-License-Identifier: Apache-2.0
// --profile: where the time of an execution goes, step by step.
#include "run.h"

#include "step_times.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is evicted before each execution, with --cache cold. */
struct cold {
    const struct ab_run *run;
    int threads;
};

static void evict(void *user)
{
    const struct cold *cold = user;
    ab_run_evict(cold->run, cold->threads);
}

/* Times of the steps, execution by execution. */
static enum ab_status time_steps(const struct ab_run *run, const struct ab_record *of,
                                 const struct ab_timed *t, struct ab_series *series,
                                 struct ab_error *err)
{
    struct cold cold = {run, of->threads};
    const struct ab_step_race race = {.timed = t,
                                      .threads = of->threads,
                                      .seconds = run->seconds / 4,
                                      .least_ns = of->stats.min,
                                      .before =
                                          run->settings->cache == AB_CACHE_COLD ? evict : NULL,
                                      .user = &cold};
    return ab_step_times(&race, series, err);
}

static void print_step(FILE *f, const struct ab_plan *plan, int i, double ns, double total,
                       double peak)
{
    const struct ab_step *s = &plan->program.steps[i];
    const double bytes = ab_step_bytes(plan, s);
    const struct ab_step_roof roof = ab_step_roof_of(plan, s, peak);
    const struct ab_value *v = s->dst >= 0 ? &plan->program.values[s->dst] : NULL;
    double gflops = ns > 0 ? ab_step_flops(plan, s) / ns : 0;
    const int gang = ab_gang_size(&plan->program, i), first = ab_gang_first(&plan->program, i);
    char shape[40] = "", rate[32] = "", share[16] = "", kernel[64];
    if (first != i)
        snprintf(kernel, sizeof kernel, "with step %d", first);
    else if (gang > 1)
        snprintf(kernel, sizeof kernel, "%s x%d", ab_plan_kernel(plan, i), gang);
    else
        snprintf(kernel, sizeof kernel, "%s", ab_plan_kernel(plan, i));
    if (v) snprintf(shape, sizeof shape, "%dx%dx%d", v->dims.c, v->dims.h, v->dims.w);
    if (gflops > 0) snprintf(rate, sizeof rate, "%.1f", gflops);
    if (ns > 0)
        snprintf(share, sizeof share, "%.0f %%", 100 * fmax(roof.compute_ns, roof.memory_ns) / ns);
    fprintf(f, "%4d %-9s %-3s %-18.18s %-14s %-24.24s %8.3f %5.1f %% %8s %9.2f %6s\n", i,
            ab_op_name(s->op), s->pass == AB_BWD ? "bwd" : "fwd", ab_step_layer(plan, s), shape,
            kernel, ns / 1e6, 100 * ns / total, rate, bytes / 1e6, share);
}

/* What one pass over all linear layers multiplies, forward or backward. */
static double pass_flops(const struct ab_plan *plan)
{
    double flops = 0;
    for (int n = 0; n < plan->exec.graph->n_nodes; n++) {
        const enum ab_node_kind kind = plan->exec.graph->nodes[n].kind;
        const struct ab_step s = {.op = kind == AB_NODE_CONV    ? AB_OP_CONV
                                        : kind == AB_NODE_DENSE ? AB_OP_DENSE
                                                                : AB_OP_COUNT,
                                  .node = n};
        flops += ab_step_flops(plan, &s);
    }
    return flops;
}

static void print_passes(FILE *f, const struct ab_plan *plan)
{
    const double whole = pass_flops(plan);
    double passes[2] = {0, 0};
    for (int i = 0; i < plan->program.n_steps; i++) {
        const struct ab_step *s = &plan->program.steps[i];
        if (!s->constant) passes[s->pass == AB_BWD] += ab_step_flops(plan, s) / whole;
    }
    fprintf(f,
            "passes over the linear layers: %.2f forward, %.2f backward\nroof: the least time for "
            "the step's multiplications and bytes, by the measured FMA peak and read bandwidth,\n"
            "over its time; above 100 %% where Winograd needs fewer multiplications\n",
            passes[0], passes[1]);
}

/* A step that its gang's first one computes takes no time of its own: no sample. */
static void keep_samples(struct ab_record *r, const struct ab_series *series, int step)
{
    int count = 0;
    r->ns = malloc((size_t)series->rounds * sizeof *r->ns);
    r->disturbed = malloc((size_t)series->rounds * sizeof *r->disturbed);
    for (int i = 0; r->ns && r->disturbed && i < series->rounds; i++) {
        const double ns = series->parts[(size_t)i * (size_t)series->n_parts + (size_t)step];
        if (!(ns > 0)) continue;
        r->disturbed[count] = series->disturbed[i];
        r->ns[count++] = ns;
    }
    ab_stats_of(r->ns, count, &r->stats);
    r->steady = series->steady;
    r->steady_why = NULL;
}

/* A record of kind "step". */
static enum ab_status store_step(struct ab_run *run, const struct ab_record *of,
                                 const struct ab_plan *plan, int i, const struct ab_series *series,
                                 struct ab_error *err)
{
    const struct ab_step *s = &plan->program.steps[i];
    struct ab_record r;
    ab_record_init(&r);
    r.kind = "step";
    snprintf(r.op, sizeof r.op, "%s_%s", ab_op_name(s->op), s->pass == AB_BWD ? "bwd" : "fwd");
    if (s->dst >= 0) {
        struct ab_dims d = plan->program.values[s->dst].dims;
        snprintf(r.shape, sizeof r.shape, "n%dc%dh%dw%d", of->batch, d.c, d.h, d.w);
    }
    snprintf(r.model, sizeof r.model, "%s", of->model);
    snprintf(r.method, sizeof r.method, "%s", of->method);
    snprintf(r.backend, sizeof r.backend, "%s", of->backend);
    snprintf(r.isa, sizeof r.isa, "%s", of->isa);
    snprintf(r.kernels, sizeof r.kernels, "%s", ab_plan_kernel(plan, i));
    snprintf(r.pinned, sizeof r.pinned, "%s", of->pinned);
    snprintf(r.repro, sizeof r.repro, "%.1580s --profile", of->repro);
    snprintf(r.agreement.why, sizeof r.agreement.why, "steps are timed, not judged");
    snprintf(r.target, sizeof r.target, "%s", of->target);
    snprintf(r.at, sizeof r.at, "%s", of->at);
    snprintf(r.methods, sizeof r.methods, "%s", of->methods);
    snprintf(r.layer, sizeof r.layer, "%s", ab_step_layer(plan, s));
    r.targets = of->targets;
    r.seed_mode = of->seed_mode;
    r.threads = of->threads;
    r.batch = of->batch;
    r.flops = ab_step_flops(plan, s);
    r.bytes = ab_step_bytes(plan, s);
    r.peak = of->peak;
    ab_run_conditions(run, &r);
    r.ratio_why = "steps have no counterpart";
    keep_samples(&r, series, i);
    enum ab_status status = ab_store_add(&run->store, &r, err);
    ab_record_free(&r);
    return status;
}

/* Whose steps are timed: the plan of a row, or of all methods. */
struct profiled {
    struct ab_run *run;
    const struct ab_setting *setting;
    const struct ab_record *record;
    const struct ab_method *const *methods;
    int n_methods, backend;
};

/* The table of the steps, and their records. */
static enum ab_status report(const struct profiled *p, const struct ab_timed *t,
                             const struct ab_series *series, FILE *f, struct ab_error *err)
{
    const struct ab_record *r = p->record;
    const struct ab_plan *plan = t->plan;
    enum ab_status status = AB_OK;
    double total = 0;
    for (int i = 0; i < plan->program.n_steps; i++) total += ab_step_least(series, i);
    fprintf(f,
            "\n%s, %s, %s, %d thread%s: steps of %s, %.3f ms\n%4s %-9s %-3s "
            "%-18s %-14s %-24s %8s %7s %8s %9s %6s\n",
            r->model, r->method, r->backend, r->threads, r->threads == 1 ? "" : "s", t->what,
            total / 1e6, "step", "op", "", "layer", "result", "kernel", "ms", "share", "GFLOP/s",
            "MB", "roof");
    for (int i = 0; status == AB_OK && i < plan->program.n_steps; i++) {
        if (plan->program.steps[i].constant) continue;
        print_step(f, plan, i, ab_step_least(series, i), total, r->peak);
        status = store_step(p->run, r, plan, i, series, err);
    }
    if (status == AB_OK) print_passes(f, plan);
    return status;
}

static enum ab_status profile_plan(const struct profiled *p, FILE *f, struct ab_error *err)
{
    const struct ab_record *r = p->record;
    const struct ab_plan_options options =
        ab_run_plan_options(p->run, p->setting, p->backend, r->threads);
    struct ab_plan *whole = NULL;
    enum ab_status status = ab_plan_create(p->setting->model->source.graph, p->methods,
                                           p->n_methods, &options, &whole, err);
    if (status != AB_OK) return status;
    struct ab_timed t;
    ab_run_denormals(p->run, true, r->threads);
    status = ab_timed_choose(whole, p->setting->input, p->setting->targets, &t, err);
    struct ab_series series = {0};
    if (status == AB_OK) status = time_steps(p->run, r, &t, &series, err);
    ab_run_denormals(p->run, false, r->threads);
    if (status == AB_OK && series.rounds) status = report(p, &t, &series, f, err);
    ab_series_free(&series);
    ab_plan_destroy(&whole);
    return status;
}

static enum ab_status profile_row(const struct ab_row *row, FILE *f, struct ab_error *err)
{
    const struct ab_group *g = row->group;
    const struct ab_method *method = g->run->methods[g->method];
    const struct profiled p = {g->run, g->setting, &row->record, &method, 1, row->backend};
    return profile_plan(&p, f, err);
}

enum ab_status ab_profile_group(struct ab_group *group, FILE *f, struct ab_error *err)
{
    char where[64];
    enum ab_status status = AB_OK;
    ab_pin_threads(group->run->pin, group->threads, where, sizeof where);
    for (int i = 0; i < group->n_rows && status == AB_OK && !ab_interrupted; i++) {
        struct ab_row *row = &group->rows[i];
        if (row->done && !*row->record.error && strcmp(row->record.backend, "reference") != 0)
            status = profile_row(row, f, err);
    }
    ab_pin_release(group->run->pin);
    return status;
}

enum ab_status ab_profile_joint(struct ab_run *run, const struct ab_joint_row *row, FILE *f,
                                struct ab_error *err)
{
    int count;
    const struct ab_method **methods = ab_supported_methods(run, row->setting, &count);
    if (!methods) return ab_fail(err, AB_ERR_MEMORY, "--profile: out of memory");
    char where[64];
    ab_pin_threads(run->pin, row->record.threads, where, sizeof where);
    const struct profiled p = {run, row->setting, &row->record, methods, count, row->backend};
    const enum ab_status status = profile_plan(&p, f, err);
    ab_pin_release(run->pin);
    free(methods);
    return status;
}
