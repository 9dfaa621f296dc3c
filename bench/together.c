// SPDX-License-Identifier: Apache-2.0
// All methods in one plan, timed between the methods alone: what they cost together.
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SAMPLES = 256 };
/* What a brief run does not spend its minute on. */
static const double SLOW_SECONDS = 1;

/* One backend's plan of all methods of a setting that its model supports. */
struct plan_of_all {
    struct ab_plan *plan;
    float **maps; /* [methods * targets], all NULL: computed and dropped */
    const struct ab_run *run;
    const struct ab_setting *setting;
    struct ab_local local;
    double ns[MAX_SAMPLES];
    bool disturbed[MAX_SAMPLES];
    int count;
    char pinned[64];
};

/* The plans of the setting and number of threads at hand. */
struct ab_together {
    struct ab_setting *setting;
    int threads;
    struct plan_of_all of[AB_MAX_BACKENDS];
};

const struct ab_method **ab_supported_methods(const struct ab_run *run, const struct ab_setting *s,
                                              int *count)
{
    const struct ab_method **methods = calloc((size_t)s->n_methods, sizeof *methods);
    *count = 0;
    for (int m = 0; methods && m < s->n_methods; m++)
        if (s->supported && s->supported[m]) methods[(*count)++] = run->methods[m];
    return methods;
}

static enum ab_status execute(void *user, struct ab_error *err)
{
    struct plan_of_all *p = user;
    float *const *maps = p->maps;
    return ab_plan_execute(p->plan, p->setting->input, p->setting->targets, maps, NULL, err);
}

static void evict(void *user)
{
    const struct plan_of_all *p = user;
    ab_run_evict(p->run, p->local.threads);
}

static void sample(struct plan_of_all *p)
{
    struct ab_error err;
    struct ab_slice slice;
    if (ab_local_slice(&p->local, 1, &slice, &err) != AB_OK) {
        ab_plan_destroy(&p->plan);
        return;
    }
    p->ns[p->count] = slice.ns;
    p->disturbed[p->count++] = slice.disturbed;
}

/* One sample, or where executions are short some of them. */
static void take_samples(const struct ab_run *run, struct plan_of_all *p)
{
    const double began = ab_now_ns(), budget = run->seconds * 1e9 / 8;
    const int most =
        p->count + MAX_SAMPLES / 16 < MAX_SAMPLES ? p->count + MAX_SAMPLES / 16 : MAX_SAMPLES;
    while (p->plan && p->count < most && !ab_interrupted) {
        sample(p);
        if (ab_now_ns() - began >= budget) break;
    }
}

/* The first execution is no sample. */
static void open_plan(struct ab_run *run, struct ab_together *t, int b,
                      const struct ab_method *const *methods, int count)
{
    struct plan_of_all *p = &t->of[b];
    struct ab_error err;
    const struct ab_plan_options options = ab_run_plan_options(run, t->setting, b, t->threads);
    p->run = run;
    p->setting = t->setting;
    if (ab_plan_create(t->setting->model->source.graph, methods, count, &options, &p->plan, &err) !=
        AB_OK)
        return;
    p->maps = calloc((size_t)(count * t->setting->model->targets.count), sizeof *p->maps);
    p->local = (struct ab_local){.run = execute,
                                 .user = p,
                                 .before = run->settings->cache == AB_CACHE_COLD ? evict : NULL,
                                 .threads = t->threads};
    const double start = ab_now_ns();
    if (!p->maps || execute(p, &err) != AB_OK) ab_plan_destroy(&p->plan);
    p->local.least_ns = ab_now_ns() - start;
}

/* A plan that cannot be made, for want of memory most often, is left out: its methods' own rows
 * are there. */
static void open_plans(struct ab_run *run, struct ab_together *t)
{
    int count;
    const struct ab_method **methods = ab_supported_methods(run, t->setting, &count);
    for (int b = 0; methods && b < run->n_backends && count > 1; b++) {
        if (!strcmp(run->backends[b], "reference") || ab_interrupted) continue;
        struct ab_joint *joint = &t->setting->joint[b];
        joint->untimed = run->brief && joint->seconds > SLOW_SECONDS;
        if (!joint->untimed) open_plan(run, t, b, methods, count);
    }
    free(methods);
}

void ab_together_sample(struct ab_group *g, const char *pinned)
{
    struct ab_run *run = g->run;
    struct ab_together *t = run->together;
    if (run->settings->no_joint || run->n_methods < 2) return;
    if (t && (t->setting != g->setting || t->threads != g->threads)) {
        ab_together_finish(run);
        t = NULL;
    }
    if (!t) {
        t = run->together = calloc(1, sizeof *t);
        if (!t) return;
        t->setting = g->setting;
        t->threads = g->threads;
        open_plans(run, t);
    }
    for (int b = 0; b < run->n_backends && !ab_interrupted; b++) {
        snprintf(t->of[b].pinned, sizeof t->of[b].pinned, "%s", pinned);
        if (t->of[b].plan) take_samples(run, &t->of[b]);
    }
}

/* The sum of the single medians of backend b, NaN if one is missing, and the methods' specs. */
static double sum_of_singles(const struct ab_run *run, const struct ab_together *t, int b,
                             struct ab_record *r)
{
    double sum = 0;
    size_t used = 0;
    for (int g = 0; g < run->n_groups; g++) {
        const struct ab_group *group = &run->groups[g];
        if (group->setting != t->setting || group->threads != t->threads) continue;
        if (!t->setting->supported[group->method]) continue;
        const struct ab_record *one = &group->rows[b].record;
        sum += one->stats.samples ? one->stats.median : (double)NAN;
        if (used < sizeof r->methods)
            used += (size_t)snprintf(r->methods + used, sizeof r->methods - used, "%s%s",
                                     used ? "," : "", one->method);
        if (!*r->model) {
            snprintf(r->model, sizeof r->model, "%s", one->model);
            snprintf(r->shape, sizeof r->shape, "%s", one->shape);
            snprintf(r->target, sizeof r->target, "%s", one->target);
            snprintf(r->at, sizeof r->at, "%s", one->at);
            r->targets = one->targets;
            r->algo = one->algo;
            r->memory = one->memory;
            r->model_bytes = one->model_bytes;
        }
        r->n_methods++;
    }
    return sum;
}

static void write_record(struct ab_run *run, const struct ab_together *t, int b)
{
    const struct plan_of_all *p = &t->of[b];
    struct ab_record r;
    ab_record_init(&r);
    r.kind = "joint";
    snprintf(r.op, sizeof r.op, "attribute");
    snprintf(r.backend, sizeof r.backend, "%s", run->backends[b]);
    snprintf(r.pinned, sizeof r.pinned, "%s", p->pinned);
    r.threads = t->threads;
    r.batch = t->setting->batch;
    r.sum_single_ns = sum_of_singles(run, t, b, &r);
    snprintf(r.method, sizeof r.method, "%d methods", r.n_methods);
    snprintf(r.repro, sizeof r.repro,
             "attrbench run --model '%s' --method '%s' --backend '%s' --threads %d --batch %d",
             r.model, r.methods, r.backend, r.threads, r.batch);
    r.ratio_why = "all methods together have no counterpart; see joint_ratio";
    snprintf(r.agreement.why, sizeof r.agreement.why, "judged method by method");
    ab_record_plan(&r, p->plan, t->threads);
    ab_run_conditions(run, &r);
    r.ns = malloc((size_t)p->count * sizeof *r.ns);
    r.disturbed = malloc((size_t)p->count * sizeof *r.disturbed);
    if (r.ns && r.disturbed && isfinite(r.sum_single_ns)) {
        memcpy(r.ns, p->ns, (size_t)p->count * sizeof *r.ns);
        memcpy(r.disturbed, p->disturbed, (size_t)p->count * sizeof *r.disturbed);
        ab_stats_of(r.ns, p->count, &r.stats);
        r.joint_ratio = r.stats.median / r.sum_single_ns;
        struct ab_joint_row *more =
            realloc(run->joint, ((size_t)run->n_joint + 1) * sizeof *run->joint);
        struct ab_error err;
        if (ab_store_add(&run->store, &r, &err) != AB_OK) run->error = err;
        if (more) {
            run->joint = more;
            run->joint[run->n_joint++] = (struct ab_joint_row){t->setting, b, r};
            return;
        }
    }
    ab_record_free(&r);
}

void ab_together_finish(struct ab_run *run)
{
    struct ab_together *t = run->together;
    if (!t) return;
    for (int b = 0; b < run->n_backends; b++) {
        if (t->of[b].plan && t->of[b].count) write_record(run, t, b);
        ab_plan_destroy(&t->of[b].plan);
        free(t->of[b].maps);
    }
    free(t);
    run->together = NULL;
}

static void print_untimed(FILE *f, const struct ab_run *run)
{
    for (int i = 0; i < run->n_settings; i++)
        for (int b = 0; b < run->n_backends; b++) {
            const struct ab_setting *s = &run->all_settings[i];
            if (s->joint[b].untimed)
                fprintf(f,
                        "%s, %s, batch %d: methods in one plan not timed for brevity; --model %s "
                        "times them\n",
                        s->model->source.name, run->backends[b], s->batch, s->model->source.name);
        }
}

void ab_together_print(FILE *f, const struct ab_run *run)
{
    for (int i = 0; i < run->n_joint; i++) {
        const struct ab_record *r = &run->joint[i].record;
        char joint[32], sum[32];
        fprintf(
            f,
            "%s%s, %s, batch %d, %d thread%s: %d methods in one plan %s, alone %s in all: %.2f\n",
            i ? "" : "\n", r->model, r->backend, r->batch, r->threads, r->threads == 1 ? "" : "s",
            r->n_methods, ab_time_text(r->stats.median, joint, sizeof joint),
            ab_time_text(r->sum_single_ns, sum, sizeof sum), r->joint_ratio);
    }
    print_untimed(f, run);
}
