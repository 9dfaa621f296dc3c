// SPDX-License-Identifier: Apache-2.0
// dense in double precision for the reference backend, over the model's own float weights: a fully
// connected layer is bound by reading them, so no copy in double is ever made. Built once per
// instruction set.
#include "f64.h"

#ifndef AB_SYMBOL
#define AB_SYMBOL ab_dense_f64_plain
#endif

void AB_SYMBOL(const void *p);

/* Independent sums of a row: enough to hide the latency of a multiply-add (4 cycles, 2 a cycle). */
enum { SUMS = 8 };

AB_INLINE double dot(enum ab_wmod wmod, double gain, const float *w, const double *x, int count)
{
    f64 acc[SUMS];
    int i = 0;
    AB_UNROLL for (int s = 0; s < SUMS; s++) acc[s] = (f64){0.0};
    for (; i + SUMS * F64_LANES <= count; i += SUMS * F64_LANES) {
        AB_UNROLL for (int s = 0; s < SUMS; s++)
        {
            const int at = i + s * F64_LANES;
            acc[s] += f64_wmod(wmod, gain, f64_load_floats(w + at)) * f64_load(x + at);
        }
    }
    AB_UNROLL for (int s = 1; s < SUMS; s++) acc[0] += acc[s];
    double sum = 0.0;
    for (; i < count; i++) sum += f64_wmod_one(wmod, gain, (double)w[i]) * x[i];
    for (int l = 0; l < F64_LANES; l++) sum += acc[0][l];
    return sum;
}

AB_INLINE void forward(enum ab_wmod wmod, const struct ab_dense_f64_args *a)
{
    for (int r = a->r0; r < a->r1; r++)
        for (int n = 0; n < a->n; n++) {
            const ptrdiff_t at = n * a->dst_stride + r;
            double sum = dot(wmod, (double)a->gain, a->wei + (ptrdiff_t)r * a->in,
                             a->src + n * a->src_stride, a->in);
            if (a->bias) sum += a->bias[r];
            if (a->add) sum += a->add[at];
            a->dst[at] = sum;
        }
}

/* dst += s * w */
AB_INLINE void add_row(enum ab_wmod wmod, double gain, const float *w, double s, double *dst,
                       int count)
{
    int i = 0;
    for (; i + F64_LANES <= count; i += F64_LANES)
        f64_store(dst + i, f64_load(dst + i) +
                               f64_wmod(wmod, gain, f64_load_floats(w + i)) * (s + (f64){0.0}));
    for (; i < count; i++) dst[i] += f64_wmod_one(wmod, gain, (double)w[i]) * s;
}

/* Inputs at a time: 16 KB of dst stay in L1 while the rows pass by, 8 KB of each. */
enum { INPUTS = 2048 };

AB_INLINE void backward(enum ab_wmod wmod, const struct ab_dense_f64_args *a)
{
    for (int i = a->r0; i < a->r1; i += INPUTS) {
        const int count = a->r1 - i < INPUTS ? a->r1 - i : INPUTS;
        for (int n = 0; n < a->n; n++)
            for (int k = 0; k < count; k++) {
                const ptrdiff_t at = n * a->dst_stride + i + k;
                a->dst[at] = a->add ? a->add[at] : 0.0;
            }
        for (int o = 0; o < a->out; o++)
            for (int n = 0; n < a->n; n++) {
                const double s = a->src[n * a->src_stride + o];
                if (s != 0.0)
                    add_row(wmod, (double)a->gain, a->wei + (ptrdiff_t)o * a->in + i, s,
                            a->dst + n * a->dst_stride + i, count);
            }
    }
}

void AB_SYMBOL(const void *p)
{
    const struct ab_dense_f64_args *a = p;
    if (a->pass == AB_FWD)
        F64_EACH_WMOD(a->wmod, forward, a)
    else
        F64_EACH_WMOD(a->wmod, backward, a)
}
