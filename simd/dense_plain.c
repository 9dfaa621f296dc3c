// SPDX-License-Identifier: Apache-2.0
// Fully connected layers in plain C: the speed baseline, compiled at several instruction sets. Sums
// run over 16 columns in parallel, as a compiler may not reorder one sum itself.
#include <string.h>

#include "pointwise_scalar.h"

#ifndef AB_SYMBOL
#define AB_SYMBOL ab_dense_plain
#endif

/* The part of the weights: a constant but for the gain of AB_W_GAMMA. */
struct part {
    int wmod;
    float gain;
};

AB_INLINE float weight(struct part part, float w)
{
    switch (part.wmod) {
    case AB_W_POS: return w > 0.0f ? w : 0.0f;
    case AB_W_NEG: return w < 0.0f ? w : 0.0f;
    case AB_W_ABS: return fabsf(w);
    case AB_W_SQUARE: return w * w;
    case AB_W_ONE: return 1.0f;
    case AB_W_GAMMA: return w > 0.0f ? part.gain * w : w;
    default: return w;
    }
}

AB_INLINE float dot(struct part w, const float *restrict wei, const float *restrict src, int count)
{
    float lane[AB_LANES] = {0.0f}, sum = 0.0f;
    int i = 0;
    for (; i + AB_LANES <= count; i += AB_LANES)
        for (int l = 0; l < AB_LANES; l++) lane[l] += weight(w, wei[i + l]) * src[i + l];
    for (int l = 0; i + l < count; l++) lane[l] += weight(w, wei[i + l]) * src[i + l];
    for (int l = 0; l < AB_LANES; l++) sum += lane[l];
    return sum;
}

AB_INLINE void forward(struct part w, const struct ab_dense_args *p)
{
    for (int o = p->r0; o < p->r1; o++) {
        for (int n = 0; n < p->n; n++) {
            const float *row = p->wei + (ptrdiff_t)o * p->in;
            float v = dot(w, row, p->src + n * p->src_stride, p->in);
            if (p->bias) v += p->bias[o];
            if (p->add) v += p->add[n * p->dst_stride + o];
            p->dst[n * p->dst_stride + o] = v;
        }
    }
}

AB_INLINE void add_row(struct part w, const float *restrict wei, float coef, float *restrict dst,
                       int count)
{
    for (int i = 0; i < count; i++) dst[i] += weight(w, wei[i]) * coef;
}

AB_INLINE void backward(struct part w, const struct ab_dense_args *p)
{
    int count = p->r1 - p->r0;
    for (int n = 0; n < p->n; n++) {
        float *dst = p->dst + n * p->dst_stride + p->r0;
        memset(dst, 0, (size_t)count * sizeof *dst);
        for (int o = 0; o < p->out; o++) {
            float coef = p->src[n * p->src_stride + o];
            if (coef != 0.0f) add_row(w, p->wei + (ptrdiff_t)o * p->in + p->r0, coef, dst, count);
        }
        if (!p->add) continue;
        const float *add = p->add + n * p->dst_stride + p->r0;
        for (int i = 0; i < count; i++) dst[i] += add[i];
    }
}

AB_INLINE void one_pass(int wmod, const struct ab_dense_args *p)
{
    const struct part w = {wmod, p->gain};
    if (p->pass == AB_FWD)
        forward(w, p);
    else
        backward(w, p);
}

/* What an earlier call made. Not inline: gcc 12 leaves the upper halves of AVX-512's registers in
 * use where this loop is followed by calls. */
AB_NOINLINE void take_sums(const struct ab_dense_args *p)
{
    for (int n = 0; n < p->n; n++)
        for (int r = p->r0; r < p->r1; r++) {
            float v = p->sums[n * p->sums_stride + r];
            if (p->pass == AB_FWD && p->bias) v += p->bias[r];
            if (p->add) v += p->add[n * p->dst_stride + r];
            p->dst[n * p->dst_stride + r] = v;
        }
}

static void make_sums(const struct ab_dense_args *p)
{
    switch (p->wmod) {
    case AB_W_ALL: one_pass(AB_W_ALL, p); break;
    case AB_W_POS: one_pass(AB_W_POS, p); break;
    case AB_W_NEG: one_pass(AB_W_NEG, p); break;
    case AB_W_ABS: one_pass(AB_W_ABS, p); break;
    case AB_W_SQUARE: one_pass(AB_W_SQUARE, p); break;
    case AB_W_ONE: one_pass(AB_W_ONE, p); break;
    case AB_W_GAMMA: one_pass(AB_W_GAMMA, p); break;
    case AB_W_COUNT: break;
    }
}

void AB_SYMBOL(const void *args);
void AB_SYMBOL(const void *args)
{
    for (const struct ab_dense_args *p = args; p; p = p->next) {
        if (p->sums)
            take_sums(p);
        else
            make_sums(p);
        for (int n = 0; n < p->n; n++)
            pw_features(&p->f, n, p->dst + n * p->dst_stride + p->r0, p->r0, p->r1);
    }
}
