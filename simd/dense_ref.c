// SPDX-License-Identifier: Apache-2.0
// Fully connected layers, the definition: one output at a time, summed in double.
#include "pointwise_scalar.h"

static double weight(enum ab_wmod wmod, double gain, double w)
{
    switch (wmod) {
    case AB_W_ALL: return w;
    case AB_W_POS: return w > 0.0 ? w : 0.0;
    case AB_W_NEG: return w < 0.0 ? w : 0.0;
    case AB_W_ABS: return fabs(w);
    case AB_W_SQUARE: return w * w;
    case AB_W_ONE: return 1.0;
    case AB_W_GAMMA: return w > 0.0 ? gain * w : w;
    case AB_W_COUNT: break;
    }
    return 0.0;
}

static double term(const struct ab_dense_args *p, int n, int o, int i)
{
    double w = (double)p->wei[(ptrdiff_t)o * p->in + i];
    const double x = (double)p->src[n * p->src_stride + (p->pass == AB_FWD ? i : o)];
    return weight(p->wmod, (double)p->gain, w) * x;
}

static double sum_of(const struct ab_dense_args *p, int n, int r)
{
    const bool fwd = p->pass == AB_FWD;
    double sum = 0;
    for (int k = 0; k < (fwd ? p->in : p->out); k++)
        sum += fwd ? term(p, n, r, k) : term(p, n, k, r);
    return sum;
}

static float element(const struct ab_dense_args *p, int n, int r)
{
    float total = p->sums ? p->sums[n * p->sums_stride + r] : (float)sum_of(p, n, r);
    if (p->pass == AB_FWD && p->bias) total += p->bias[r];
    if (p->add) total += p->add[n * p->dst_stride + r];
    return total;
}

void ab_dense_ref(const void *args);
void ab_dense_ref(const void *args)
{
    for (const struct ab_dense_args *p = args; p; p = p->next)
        for (int n = 0; n < p->n; n++) {
            float *dst = p->dst + n * p->dst_stride;
            for (int r = p->r0; r < p->r1; r++) dst[r] = element(p, n, r);
            pw_features(&p->f, n, dst + p->r0, p->r0, p->r1);
        }
}
