// SPDX-License-Identifier: Apache-2.0
// Plans: candidates, and trials of the fixed set or drawn at random.
#include "verify/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum ab_status no_memory(struct ab_error *err)
{
    return ab_fail(err, AB_ERR_MEMORY, "out of memory for the list of trials; ask for fewer");
}

void ab_verify_plan_free(struct ab_verify_plan *plan)
{
    free(plan->candidates);
    free(plan->trials);
    free(plan->jobs);
    *plan = (struct ab_verify_plan){0};
}

/* ---- candidates ---- */

static bool isa_wanted(const struct ab_verify_request *r, const struct ab_kernel *k)
{
    if (!(ab_cpu_isas() >> k->isa & 1)) return false;
    for (int i = 0; i < r->isas.count; i++)
        if (!strcmp(r->isas.items[i], ab_isa_name(k->isa))) return true;
    return !r->isas.count;
}

static struct ab_candidate of_kernel(const struct ab_kernel *k)
{
    struct ab_candidate c = {.op = k->op, .kernel = k};
    snprintf(c.name, sizeof c.name, "%s", k->name);
    snprintf(c.isa, sizeof c.isa, "%s", ab_isa_name(k->isa));
    return c;
}

enum ab_status ab_verify_plan_candidates(struct ab_verify_plan *plan,
                                         const struct ab_verify_request *r,
                                         const struct ab_candidate *extra, int n_extra,
                                         struct ab_error *err)
{
    int count;
    const struct ab_kernel *kernels = ab_kernels(&count);
    *plan = (struct ab_verify_plan){0};
    plan->candidates = calloc((size_t)(count + n_extra), sizeof *plan->candidates);
    if (!plan->candidates) return no_memory(err);
    for (int i = 0; i < count + n_extra; i++) {
        if (i < count && !isa_wanted(r, &kernels[i])) continue;
        const struct ab_candidate c = i < count ? of_kernel(&kernels[i]) : extra[i - count];
        if (ab_verify_op_of(c.op) && ab_verify_wanted(&r->ops, ab_kernel_op_name(c.op), c.name))
            plan->candidates[plan->n_candidates++] = c;
    }
    return AB_OK;
}

const struct ab_candidate *ab_verify_plan_find(const struct ab_verify_plan *plan, const char *name)
{
    for (int i = 0; i < plan->n_candidates; i++)
        if (!strcmp(plan->candidates[i].name, name)) return &plan->candidates[i];
    return NULL;
}

static bool has_candidates(const struct ab_verify_plan *plan, enum ab_kernel_op op)
{
    for (int i = 0; i < plan->n_candidates; i++)
        if (plan->candidates[i].op == op) return true;
    return false;
}

/* ---- trials ---- */

static double conv_products(const struct ab_conv2d_shape *s)
{
    return (double)s->n * s->oc * s->oh * s->ow * ((double)s->ic / (s->g ? s->g : 1)) * s->kh *
           s->kw;
}

double ab_trial_products(const struct ab_trial *t)
{
    const struct ab_pool_shape *p = &t->shape.pool;
    const struct ab_map_shape *m = &t->shape.map;
    switch (t->op) {
    case AB_KERNEL_conv2d:
    case AB_KERNEL_conv2d_f64: return conv_products(&t->shape.conv);
    case AB_KERNEL_dense:
    case AB_KERNEL_dense_f64:
        return (double)t->shape.dense.n * t->shape.dense.in * t->shape.dense.out;
    case AB_KERNEL_maxpool:
    case AB_KERNEL_avgpool: return (double)p->n * p->c * p->oh * p->ow * p->kh * p->kw;
    default: return (double)m->n * m->c * m->h * m->w;
    }
}

/* What the request says of every trial takes the place of the trial's own. False: no operation has
 * such a trial, or it is too large. */
static bool adapt(const struct ab_verify_request *r, const struct ab_trial *shape,
                  struct ab_trial *t)
{
    char text[AB_TRIAL_TEXT];
    struct ab_error err;
    if (shape) t->shape = shape->shape;
    if (r->fill >= 0) t->fill = (enum ab_fill)r->fill;
    if (r->fill == AB_FILL_FILE) memcpy(t->file, r->file, sizeof t->file);
    if (r->has_exponent) t->exponent = r->exponent;
    if (r->has_seed) t->seed = ab_hash(r->seed, &t->seed, sizeof t->seed) >> 32;
    if (r->most > 0 && ab_trial_products(t) > r->most) return false;
    ab_trial_print(t, text, sizeof text);
    return ab_trial_parse(text, t, &err) == AB_OK;
}

static bool append(struct ab_verify_plan *plan, const struct ab_trial *trial)
{
    const long n = plan->n_trials;
    if (!(n & (n - 1))) { /* 0 and powers of two: full */
        void *grown = realloc(plan->trials, (size_t)(n ? 2 * n : 1) * sizeof *plan->trials);
        if (!grown) return false;
        plan->trials = grown;
    }
    plan->trials[plan->n_trials++] = *trial;
    return true;
}

static uint64_t trial_hash(const struct ab_trial *t)
{
    char text[AB_TRIAL_TEXT];
    ab_trial_print(t, text, sizeof text);
    return ab_hash(0, text, strlen(text));
}

/* Trials that a request has made equal, beyond the first. */
static bool drop_repeats(struct ab_verify_plan *plan)
{
    size_t slots = 16;
    while (slots < 4 * (size_t)plan->n_trials) slots *= 2;
    uint64_t *seen = calloc(slots, sizeof *seen);
    long kept = 0;
    if (!seen) return false;
    for (long i = 0; i < plan->n_trials; i++) {
        const uint64_t hash = trial_hash(&plan->trials[i]) | 1; /* 0: empty */
        size_t at = hash & (slots - 1);
        while (seen[at] && seen[at] != hash) at = (at + 1) & (slots - 1);
        if (seen[at]) continue;
        seen[at] = hash;
        plan->trials[kept++] = plan->trials[i];
    }
    free(seen);
    plan->n_trials = kept;
    return true;
}

/* The jobs of the trials. */
static enum ab_status finish(struct ab_verify_plan *plan, struct ab_error *err)
{
    int per_op[AB_KERNEL_OPS] = {0};
    long jobs = 0;
    if (!drop_repeats(plan)) return no_memory(err);
    for (int c = 0; c < plan->n_candidates; c++) per_op[plan->candidates[c].op]++;
    for (long t = 0; t < plan->n_trials; t++) jobs += per_op[plan->trials[t].op];
    plan->jobs = calloc((size_t)jobs + 1, sizeof *plan->jobs);
    if (!plan->jobs) return no_memory(err);
    for (long t = 0; t < plan->n_trials; t++)
        for (int c = 0; c < plan->n_candidates; c++)
            if (plan->candidates[c].op == plan->trials[t].op)
                plan->jobs[plan->n_jobs++] = (struct ab_verify_job){c, t};
    return AB_OK;
}

static void start(struct ab_verify_plan *plan)
{
    free(plan->trials);
    free(plan->jobs);
    plan->trials = NULL;
    plan->jobs = NULL;
    plan->n_trials = plan->n_jobs = 0;
}

/* ---- pairwise cover ---- */

/* A trial's values, each below 32, by aspect. */
enum { ASPECTS = 13, VALUES = 32, DRAWS = 3000 };

static void aspects_of(const struct ab_trial *t, int v[ASPECTS])
{
    const int own[] = {(int)t->pass,
                       (int)t->wmod,
                       (int)t->f,
                       (int)t->fill,
                       (int)t->side,
                       t->offset > 0,
                       t->exponent < 0 ? 0 : 1 + (t->exponent > 0)};
    enum { OWN = sizeof own / sizeof *own };
    _Static_assert(OWN + 6 == ASPECTS, "six bits of `with`");
    _Static_assert((int)AB_PW_COUNT <= (int)VALUES && (int)AB_FILLS <= (int)VALUES, "values fit");
    for (int i = 0; i < OWN; i++) v[i] = own[i];
    for (int bit = 0; bit < 6; bit++) v[OWN + bit] = (int)(t->with >> bit & 1u);
}

struct pairs {
    uint32_t seen[ASPECTS][ASPECTS][VALUES];
};

/* Marks the trial's pairs; true if one is new. */
static bool covers_more(struct pairs *p, const struct ab_trial *t)
{
    int v[ASPECTS];
    bool more = false;
    aspects_of(t, v);
    for (int a = 0; a < ASPECTS; a++)
        for (int b = a + 1; b < ASPECTS; b++) {
            const uint32_t bit = 1u << v[b];
            more = more || !(p->seen[a][b][v[a]] & bit);
            p->seen[a][b][v[a]] |= bit;
        }
    return more;
}

/* Trials of one operation, at one shape if given; at large shapes so few that they take about as
 * long as many at small ones, but never fewer than AT_LEAST. */
static enum ab_status cover(struct ab_verify_plan *plan, const struct ab_verify_op *op,
                            const struct ab_verify_request *r, const struct ab_trial *shape,
                            struct ab_rng *rng, struct ab_error *err)
{
    enum { AT_LEAST = 6 };
    const double products = 1e9;
    struct pairs *pairs = calloc(1, sizeof *pairs);
    if (!pairs) return no_memory(err);
    double sum = 0;
    enum ab_status status = AB_OK;
    for (int i = 0, kept = 0; i < DRAWS && status == AB_OK; i++) {
        struct ab_trial t = {.op = op->op};
        op->draw(rng, &t);
        if (!adapt(r, shape, &t) || !covers_more(pairs, &t)) continue;
        if (!append(plan, &t)) status = no_memory(err);
        sum += ab_trial_products(&t);
        if (shape && ++kept >= AT_LEAST && sum > products) break;
    }
    free(pairs);
    return status;
}

/* A shape as every operation of the plan that has such a shape. */
static enum ab_status cover_shape(struct ab_verify_plan *plan, const struct ab_verify_request *r,
                                  const char *text, struct ab_rng *rng, struct ab_error *err)
{
    struct ab_error why = {.text = "no operation is left"};
    enum ab_status status = AB_OK;
    bool found = false;
    for (int i = 0; i < AB_KERNEL_OPS && status == AB_OK; i++) {
        const struct ab_verify_op *op = ab_verify_op_of((enum ab_kernel_op)i);
        struct ab_trial shape = {.op = (enum ab_kernel_op)i};
        if (!op || !has_candidates(plan, op->op)) continue;
        if (!op->shape_parse(text, &shape, &why)) continue;
        found = true;
        status = cover(plan, op, r, &shape, rng, err);
    }
    if (found) return status;
    return ab_fail(err, AB_ERR_ARG, "shape '%.80s': no operation asked for has it: %.300s", text,
                   why.text);
}

enum ab_status ab_verify_plan_cover(struct ab_verify_plan *plan, const struct ab_verify_request *r,
                                    struct ab_rng *rng, struct ab_error *err)
{
    enum ab_status status = AB_OK;
    start(plan);
    for (int i = 0; i < r->shapes.count && status == AB_OK; i++)
        status = cover_shape(plan, r, r->shapes.items[i], rng, err);
    for (int i = 0; i < AB_KERNEL_OPS && !r->shapes.count && status == AB_OK; i++) {
        const struct ab_verify_op *op = ab_verify_op_of((enum ab_kernel_op)i);
        if (op && has_candidates(plan, op->op)) status = cover(plan, op, r, NULL, rng, err);
    }
    return status == AB_OK ? finish(plan, err) : status;
}

/* ---- the fixed set, and chance ---- */

enum ab_status ab_verify_plan_fixed(struct ab_verify_plan *plan, const struct ab_verify_request *r,
                                    struct ab_error *err)
{
    struct ab_rng rng = ab_rng_new(r->has_seed ? r->seed : 0, 1);
    if (r->shapes.count) return ab_verify_plan_cover(plan, r, &rng, err);
    start(plan);
    for (int i = 0; i < AB_KERNEL_OPS; i++) {
        const struct ab_verify_op *op = ab_verify_op_of((enum ab_kernel_op)i);
        if (!op || !has_candidates(plan, op->op)) continue;
        struct ab_trial t = {.op = op->op};
        for (int k = 0; op->fixed(k, &t); k++, t = (struct ab_trial){.op = op->op}) {
            if (k % r->every == 0 && adapt(r, NULL, &t) && !append(plan, &t)) return no_memory(err);
        }
    }
    return finish(plan, err);
}

enum ab_status ab_verify_plan_random(struct ab_verify_plan *plan, const struct ab_verify_request *r,
                                     struct ab_rng *rng, long count, struct ab_error *err)
{
    start(plan);
    const struct ab_verify_op *ops[AB_KERNEL_OPS];
    int n_ops = 0;
    for (int i = 0; i < AB_KERNEL_OPS; i++) {
        const struct ab_verify_op *op = ab_verify_op_of((enum ab_kernel_op)i);
        if (op && has_candidates(plan, op->op)) ops[n_ops++] = op;
    }
    for (long i = 0; n_ops && i < count; i++) {
        const struct ab_verify_op *op = ops[i % n_ops];
        struct ab_trial t = {.op = op->op}, shape = {.op = op->op};
        struct ab_error ignored;
        const int chosen = r->shapes.count ? ab_rng_between(rng, 0, r->shapes.count - 1) : -1;
        op->draw(rng, &t);
        if (chosen >= 0 && !op->shape_parse(r->shapes.items[chosen], &shape, &ignored)) continue;
        if (adapt(r, chosen >= 0 ? &shape : NULL, &t) && !append(plan, &t)) return no_memory(err);
    }
    return finish(plan, err);
}

enum ab_status ab_verify_plan_single(struct ab_verify_plan *plan, const struct ab_candidate *c,
                                     const struct ab_trial *trial, struct ab_error *err)
{
    const struct ab_candidate chosen = *c; /* which may be one of the plan's */
    start(plan);
    free(plan->candidates);
    plan->n_candidates = 0;
    plan->candidates = malloc(sizeof *plan->candidates);
    if (!plan->candidates || !append(plan, trial)) return no_memory(err);
    plan->candidates[plan->n_candidates++] = chosen;
    return finish(plan, err);
}
