// SPDX-License-Identifier: Apache-2.0
// Operands of convolution trials.
#include "verify/conv2d.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t salt = 0x636f6e763264u;

static void problem_free(struct ab_conv_problem *p)
{
    void *const memory[] = {p->wei, p->effective, p->src,      p->bias,
                            p->add, p->src_f64,   p->bias_f64, p->add_f64};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) free(memory[i]);
    ab_epilogue_free(&p->f);
    ab_truth_free(&p->truth);
    ab_truth_free(&p->reach);
    *p = (struct ab_conv_problem){.ready = false};
}

static void set_dims(struct ab_conv_problem *p)
{
    const struct ab_conv2d_shape *s = &p->trial.shape.conv;
    const int in[4] = {s->n, s->ic, s->ih, s->iw}, out[4] = {s->n, s->oc, s->oh, s->ow};
    const bool fwd = p->trial.pass == AB_FWD;
    memcpy(p->src_dims, fwd ? in : out, sizeof in);
    memcpy(p->dst_dims, fwd ? out : in, sizeof in);
}

static float *floats(size_t count)
{
    return malloc((count + 1) * sizeof(float));
}

static bool allocate(struct ab_conv_problem *p)
{
    const struct ab_trial *t = &p->trial;
    const bool has_bias = t->with & AB_WITH_BIAS && t->pass == AB_FWD;
    const bool has_add = t->with & AB_WITH_ADD;
    const size_t weights = ab_conv_weights(&t->shape.conv);
    p->wei = floats(weights);
    p->effective = floats(weights);
    p->src = floats(ab_conv_src_count(p));
    if (has_bias) p->bias = floats((size_t)p->dst_dims[1]);
    if (has_add) p->add = floats(ab_conv_dst_count(p));
    return p->wei && p->effective && p->src && (!has_bias || p->bias) && (!has_add || p->add);
}

/* ---- values ---- */

/* Weights are packed once, transformed and rounded to float. */
static float transformed(const struct ab_conv_problem *p, float w)
{
    switch (p->trial.wmod) {
    case AB_W_POS: return fmaxf(w, 0.0f);
    case AB_W_NEG: return fminf(w, 0.0f);
    case AB_W_ABS: return fabsf(w);
    case AB_W_SQUARE: return w * w;
    case AB_W_ONE: return 1.0f;
    case AB_W_GAMMA: return w > 0.0f ? p->gain * w : w;
    default: return w;
    }
}

/* Channel 2i+1 of src is nearly the negative of channel 2i, and the weights of both are equal: sums
 * are far smaller than their terms. */
static void cancel(struct ab_conv_problem *p, struct ab_rng *rng)
{
    const struct ab_conv2d_shape *s = &p->trial.shape.conv;
    const int *d = p->src_dims, taps = s->kh * s->kw, icg = s->ic / s->g;
    const bool fwd = p->trial.pass == AB_FWD;
    const int group = fwd ? icg : s->oc / s->g;
    const size_t plane = (size_t)d[2] * (size_t)d[3];
    for (int c = 0; c < d[0] * d[1]; c++) {
        float *x = p->src + (size_t)c * plane;
        for (size_t i = 0; c % d[1] % group % 2 && i < plane; i++)
            x[i] = (float)(-(double)x[i - plane] * (1.0 + 0x1p-10 * ab_rng_normal(rng)));
    }
    for (int o = 0; o < s->oc; o++)
        for (int i = 0; i < icg; i++) {
            float *w = p->wei + ((size_t)o * (size_t)icg + (size_t)i) * (size_t)taps;
            const int before = fwd ? taps : icg * taps;
            if ((fwd ? i : o % group) % 2) memcpy(w, w - before, (size_t)taps * sizeof *w);
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

static bool widen(struct ab_conv_problem *p, struct ab_rng *rng)
{
    const bool exact = ab_fill_is_exact(p->trial.fill);
    p->src_f64 = widened(p->src, ab_conv_src_count(p), exact, rng);
    if (p->bias) p->bias_f64 = widened(p->bias, (size_t)p->dst_dims[1], exact, rng);
    if (p->add) p->add_f64 = widened(p->add, ab_conv_dst_count(p), exact, rng);
    return p->src_f64 && (!p->bias || p->bias_f64) && (!p->add || p->add_f64);
}

static bool make(struct ab_conv_problem *p, const struct ab_file_values *file)
{
    const struct ab_trial *t = &p->trial;
    const struct ab_conv2d_shape *s = &t->shape.conv;
    const size_t weights = ab_conv_weights(s), results = ab_conv_dst_count(p);
    const size_t images = (size_t)s->n, products = (size_t)(p->src_dims[1] / s->g * s->kh * s->kw);
    struct ab_rng rng = ab_rng_new(t->seed, salt);
    if (!allocate(p)) return false;
    p->gain = ab_fill_is_exact(t->fill) ? 2.0f : 1.3f;
    ab_fill_weights(p->wei, weights, t, products, &rng);
    ab_fill_signal(p->src, images, ab_conv_src_count(p) / images, t, file, &rng);
    if (t->fill == AB_FILL_CANCEL) cancel(p, &rng);
    for (size_t i = 0; i < weights; i++) p->effective[i] = transformed(p, p->wei[i]);
    if (p->bias) ab_fill_others(p->bias, (size_t)p->dst_dims[1], t, &rng);
    if (p->add) ab_fill_others(p->add, results, t, &rng);
    if (!ab_epilogue_new(&p->f, t, results, s->n, p->dst_dims[1], &rng)) return false;
    return t->op != AB_KERNEL_conv2d_f64 || widen(p, &rng);
}

static struct ab_conv_problem *operands_of(const struct ab_trial *trial, struct ab_outcome *outcome)
{
    static _Thread_local struct ab_conv_problem last;
    struct ab_file_values file;
    if (last.ready && memcmp(&last.trial, trial, sizeof *trial) == 0) return &last;
    problem_free(&last);
    if (!ab_file_values_read(&file, trial, outcome)) return NULL;
    memcpy(&last.trial, trial, sizeof *trial);
    set_dims(&last);
    last.ready = make(&last, &file);
    ab_file_values_free(&file);
    if (last.ready) return &last;
    problem_free(&last);
    ab_outcome_no_memory(outcome);
    return NULL;
}

const struct ab_conv_problem *ab_conv_operands_of(const struct ab_trial *trial,
                                                  struct ab_outcome *outcome)
{
    return operands_of(trial, outcome);
}

const struct ab_conv_problem *ab_conv_problem_of(const struct ab_trial *trial,
                                                 struct ab_outcome *outcome)
{
    struct ab_conv_problem *p = operands_of(trial, outcome);
    if (!p || p->judged) return p;
    p->judged = ab_conv_truth(p);
    if (p->judged) {
        p->exact = ab_truth_is_exact(&p->truth, trial, 1.0);
        return p;
    }
    problem_free(p);
    ab_outcome_no_memory(outcome);
    return NULL;
}
