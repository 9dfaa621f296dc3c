// SPDX-License-Identifier: Apache-2.0
// Operands and truth of dense trials.
#include "verify/dense.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t salt = 0x64656e7365u;

static double weight(const struct ab_dense_problem *p, double w)
{
    switch (p->trial.wmod) {
    case AB_W_POS: return fmax(w, 0.0);
    case AB_W_NEG: return fmin(w, 0.0);
    case AB_W_ABS: return fabs(w);
    case AB_W_SQUARE: return w * w;
    case AB_W_ONE: return 1.0;
    case AB_W_GAMMA: return fmax(w, (double)p->gain * w);
    case AB_W_ALL:
    case AB_W_COUNT: break;
    }
    return w;
}

static double source(const struct ab_dense_problem *p, ptrdiff_t i)
{
    return p->src_f64 ? p->src_f64[i] : (double)p->src[i];
}

/* One row of W against one sample: of an output (forward), or from an output (backward). A row
 * whose signal is 0 adds nothing: it may be skipped, and weights are finite. */
static void add_row(struct ab_dense_problem *p, int n, int o)
{
    const struct ab_dense_shape *s = &p->trial.shape.dense;
    const float *w = p->wei + (ptrdiff_t)o * s->in;
    const bool fwd = p->trial.pass == AB_FWD;
    for (int i = 0; i < s->in; i++) {
        const double x = source(p, (ptrdiff_t)n * p->ns + (fwd ? i : o));
        const ptrdiff_t at = (ptrdiff_t)n * p->nd + (fwd ? o : i);
        ab_truth_add(&p->truth, (size_t)at, weight(p, (double)w[i]) * x);
    }
}

/* Rounding a weight's square or its multiple is one more rounding of each product. */
static void make_truth(struct ab_dense_problem *p)
{
    const struct ab_dense_shape *s = &p->trial.shape.dense;
    const int more = p->trial.wmod == AB_W_SQUARE || p->trial.wmod == AB_W_GAMMA;
    for (int n = 0; n < s->n; n++)
        for (int o = 0; o < s->out; o++) add_row(p, n, o);
    for (int i = 0; i < s->n * p->nd; i++) {
        const int r = i % p->nd;
        if (p->bias) ab_truth_add(&p->truth, (size_t)i, (double)p->bias[r]);
        if (p->bias_f64) ab_truth_add(&p->truth, (size_t)i, p->bias_f64[r]);
        if (p->add) ab_truth_add(&p->truth, (size_t)i, (double)p->add[i]);
        if (p->add_f64) ab_truth_add(&p->truth, (size_t)i, p->add_f64[i]);
        p->truth.terms[i] += more;
    }
}

static void problem_free(struct ab_dense_problem *p)
{
    free(p->wei);
    free(p->src);
    free(p->bias);
    free(p->add);
    free(p->src_f64);
    free(p->bias_f64);
    free(p->add_f64);
    ab_epilogue_free(&p->f);
    ab_truth_free(&p->truth);
    *p = (struct ab_dense_problem){0};
}

static float *floats(size_t count)
{
    return malloc((count + 1) * sizeof(float));
}

/* CANCEL draws pairs that nearly cancel: so do their products where the weights of a pair, which
 * are neighbours in the sum, are equal. */
static void pair_weights(struct ab_dense_problem *p)
{
    const struct ab_dense_shape *s = &p->trial.shape.dense;
    const bool fwd = p->trial.pass == AB_FWD;
    for (int o = 0; o < s->out; o++)
        for (int i = 0; i < s->in; i++) {
            float *w = p->wei + (ptrdiff_t)o * s->in + i;
            if (fwd && i % 2) *w = w[-1];
            if (!fwd && o % 2) *w = w[-s->in];
        }
}

/* The floats and a part that floats would lose; exact fills keep their integers. */
static double *widened(const float *from, size_t count, bool exact, struct ab_rng *rng)
{
    double *to = malloc((count + 1) * sizeof *to);
    for (size_t i = 0; to && i < count; i++)
        to[i] = (double)from[i] * (exact ? 1.0 : 1.0 + 0x1p-30 * ab_rng_normal(rng));
    return to;
}

static bool widen(struct ab_dense_problem *p, struct ab_rng *rng)
{
    const struct ab_dense_shape *s = &p->trial.shape.dense;
    const bool exact = ab_fill_is_exact(p->trial.fill);
    p->src_f64 = widened(p->src, (size_t)s->n * (size_t)p->ns, exact, rng);
    if (p->bias) p->bias_f64 = widened(p->bias, (size_t)p->nd, exact, rng);
    if (p->add) p->add_f64 = widened(p->add, (size_t)s->n * (size_t)p->nd, exact, rng);
    const bool ok = p->src_f64 && (!p->bias || p->bias_f64) && (!p->add || p->add_f64);
    free(p->bias);
    free(p->add);
    p->bias = p->add = NULL;
    return ok;
}

static bool allocate(struct ab_dense_problem *p)
{
    const struct ab_trial *t = &p->trial;
    const struct ab_dense_shape *s = &t->shape.dense;
    const size_t results = (size_t)s->n * (size_t)p->nd;
    const bool has_bias = t->with & AB_WITH_BIAS && t->pass == AB_FWD;
    p->wei = floats((size_t)s->in * (size_t)s->out);
    p->src = floats((size_t)s->n * (size_t)p->ns);
    if (has_bias) p->bias = floats((size_t)p->nd);
    if (t->with & AB_WITH_ADD) p->add = floats(results);
    return p->wei && p->src && (!has_bias || p->bias) && (!(t->with & AB_WITH_ADD) || p->add) &&
           ab_truth_new(&p->truth, results);
}

static bool make(struct ab_dense_problem *p, const struct ab_file_values *file)
{
    const struct ab_trial *t = &p->trial;
    const struct ab_dense_shape *s = &t->shape.dense;
    const size_t weights = (size_t)s->in * (size_t)s->out, results = (size_t)s->n * (size_t)p->nd;
    struct ab_rng rng = ab_rng_new(t->seed, salt);
    if (!allocate(p)) return false;
    p->gain = ab_fill_is_exact(t->fill) ? 2.0f : 1.3f;
    ab_fill_weights(p->wei, weights, t, (size_t)p->ns, &rng);
    if (t->fill == AB_FILL_CANCEL) pair_weights(p);
    ab_fill_signal(p->src, (size_t)s->n, (size_t)p->ns, t, file, &rng);
    if (p->bias) ab_fill_others(p->bias, (size_t)p->nd, t, &rng);
    if (p->add) ab_fill_others(p->add, results, t, &rng);
    if (!ab_epilogue_new(&p->f, t, results, s->n, p->nd, &rng)) return false;
    return t->op != AB_KERNEL_dense_f64 || widen(p, &rng);
}

static bool same_trial(const struct ab_trial *a, const struct ab_trial *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static struct ab_dense_problem *operands_of(const struct ab_trial *trial,
                                            struct ab_outcome *outcome)
{
    static _Thread_local struct ab_dense_problem last;
    struct ab_file_values file;
    if (last.ready && same_trial(&last.trial, trial)) return &last;
    problem_free(&last);
    if (!ab_file_values_read(&file, trial, outcome)) return NULL;
    memcpy(&last.trial, trial, sizeof *trial);
    const struct ab_dense_shape *s = &trial->shape.dense;
    last.ns = trial->pass == AB_FWD ? s->in : s->out;
    last.nd = trial->pass == AB_FWD ? s->out : s->in;
    last.ready = make(&last, &file);
    ab_file_values_free(&file);
    if (last.ready) return &last;
    problem_free(&last);
    *outcome = (struct ab_outcome){.kind = AB_OUTCOME_SKIPPED, .why = "out of memory"};
    return NULL;
}

const struct ab_dense_problem *ab_dense_operands_of(const struct ab_trial *trial,
                                                    struct ab_outcome *outcome)
{
    return operands_of(trial, outcome);
}

const struct ab_dense_problem *ab_dense_problem_of(const struct ab_trial *trial,
                                                   struct ab_outcome *outcome)
{
    struct ab_dense_problem *p = operands_of(trial, outcome);
    if (!p || p->judged) return p;
    make_truth(p);
    p->exact = ab_truth_is_exact(&p->truth, trial, 1.0);
    p->judged = true;
    return p;
}
