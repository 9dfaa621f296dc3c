// SPDX-License-Identifier: Apache-2.0
// Fully connected layers over the vector vocabulary. Include one vec_<isa>.h first.
//
// Both directions walk W in its row-major order, in groups of 8 rows for one sample and 4 for more:
// one stream a row for the hardware prefetchers, and a group of 4 rows stays in L2 for the next
// samples. FWD accumulates one vector per (row, sample); BWD adds the group to the dst segment,
// which lives in L1 or L2. Every element of dst is one chain of fma in a fixed order, so neither
// the range nor the number of samples changes a bit of it.
//
// Register budget, FWD: rows x samples accumulators, `samples` operands, one weight: 8x1 = 10, 4x2
// = 11, 4x4 = 21. BWD: rows x samples coefficients, `samples` accumulators, one weight: the same.
// With 16 registers BWD leaves coefficients in memory, which costs load ports that are idle here;
// FWD must not leave accumulators there (20 ms for 25088x4096, n = 4, but 54 ms in some processes,
// at an unlucky stack address) and takes 2 samples at a time: 22 ms, 2x4 takes 29. One accumulator
// per (row, sample) suffices: 4 chains of 4 cycles take 4 vectors in 4 cycles, several times what
// memory delivers; two changed nothing.
//
// Tried on Zen 4, 25088x4096, n = 1, a plain read loop taking 13.8 ms: 1 row at a time 19.8, 2 rows
// 15.9, 4 rows 14.7, 8 rows 15.5, and with software prefetch 128 floats ahead 19.9, 15.8, 14.7,
// 13.6; prefetch 256 to 1024 floats ahead is slower throughout (16 to 22).
#ifndef AB_SIMD_DENSE_TPL_H
#define AB_SIMD_DENSE_TPL_H

#include <string.h>

#include "pointwise_tpl.h"

/* Rows of a group for one sample and for more; samples of a tile; floats of prefetch distance. */
enum { DENSE_ROWS_1 = 8, DENSE_ROWS = 4, DENSE_SAMPLES = 4, DENSE_AHEAD = 128 };
enum { DENSE_ACCS = DENSE_ROWS * DENSE_SAMPLES };

/* Weights p[0..k) after wmod. ONE does not touch memory; lanes past k are cleared by the other
 * factor (FWD) or not stored (BWD). */
AB_INLINE vec dense_weight(int wmod, const float *p, int k)
{
    vec w = wmod == AB_W_ONE ? v_set1(1.0f) : pw_get(p, k);
    switch (wmod) {
    case AB_W_POS: return v_max(w, v_zero());
    case AB_W_NEG: return v_min(w, v_zero());
    case AB_W_ABS: return v_abs(w);
    case AB_W_SQUARE: return v_mul(w, w);
    default: return w;
    }
}

/* ---- forward ---- */

/* acc[s * rows + r] += w(r) * src(s) over lanes [i, i + k). */
AB_INLINE void fwd_step(int wmod, int rows, int samples, const struct ab_dense_args *p,
                        const float *wei, const float *src, int i, int k, vec *acc)
{
    vec x[DENSE_SAMPLES];
    AB_UNROLL for (int s = 0; s < samples; s++) x[s] = pw_get(src + s * p->src_stride + i, k);
    AB_UNROLL for (int r = 0; r < rows; r++)
    {
        const float *row = wei + (ptrdiff_t)r * p->in + i;
        v_prefetch(row + DENSE_AHEAD);
        vec w = dense_weight(wmod, row, k);
        AB_UNROLL for (int s = 0; s < samples; s++) acc[s * rows + r] =
            v_fma(w, x[s], acc[s * rows + r]);
    }
}

AB_INLINE void fwd_tile(int wmod, int rows, int samples, const struct ab_dense_args *p, int n,
                        int o)
{
    const float *wei = p->wei + (ptrdiff_t)o * p->in, *src = p->src + n * p->src_stride;
    vec acc[DENSE_ACCS];
    AB_UNROLL for (int j = 0; j < DENSE_ACCS; j++) acc[j] = v_zero();
    int i = 0;
    for (; i + VL <= p->in; i += VL) fwd_step(wmod, rows, samples, p, wei, src, i, VL, acc);
    if (i < p->in) fwd_step(wmod, rows, samples, p, wei, src, i, p->in - i, acc);

    float sum[DENSE_ACCS];
    AB_UNROLL for (int j = 0; j < rows * samples; j += 4)
        v_hsum4(acc[j], acc[j + 1], acc[j + 2], acc[j + 3], sum + j);
    for (int s = 0; s < samples; s++) {
        float *dst = p->dst + (n + s) * p->dst_stride + o;
        const float *add = p->add ? p->add + (n + s) * p->dst_stride + o : NULL;
        for (int r = 0; r < rows; r++) {
            float v = sum[s * rows + r];
            if (p->bias) v += p->bias[o + r];
            dst[r] = add ? v + add[r] : v;
        }
    }
}

/* `rows` outputs from o on, for all samples: 4, 2, or 1 of them share the loads of a row. */
AB_INLINE void fwd_rows(int wmod, int rows, const struct ab_dense_args *p, int o)
{
    int n = 0;
    if (VREGS >= 32)
        for (; n + 4 <= p->n; n += 4) fwd_tile(wmod, rows, 4, p, n, o);
    for (; n + 2 <= p->n; n += 2) fwd_tile(wmod, rows, 2, p, n, o);
    for (; n < p->n; n++) fwd_tile(wmod, rows, 1, p, n, o);
}

AB_INLINE void fwd_all(int wmod, const struct ab_dense_args *p)
{
    int o = p->r0;
    if (p->n == 1)
        for (; o + DENSE_ROWS_1 <= p->r1; o += DENSE_ROWS_1)
            fwd_tile(wmod, DENSE_ROWS_1, 1, p, 0, o);
    for (; o + DENSE_ROWS <= p->r1; o += DENSE_ROWS) fwd_rows(wmod, DENSE_ROWS, p, o);
    for (; o < p->r1; o++) fwd_rows(wmod, 1, p, o);
}

/* ---- backward ---- */

/* dst(s)[i..i+k) += sum over r of w(row[r]) * coef[r][s], in the order of rows. */
AB_INLINE void bwd_step(int wmod, int rows, int samples, const float *const *row, const vec *coef,
                        float *dst, ptrdiff_t stride, int i, int k)
{
    vec acc[DENSE_SAMPLES];
    AB_UNROLL for (int s = 0; s < samples; s++) acc[s] = pw_get(dst + s * stride + i, k);
    AB_UNROLL for (int r = 0; r < rows; r++)
    {
        v_prefetch(row[r] + i + DENSE_AHEAD);
        vec w = dense_weight(wmod, row[r] + i, k);
        AB_UNROLL for (int s = 0; s < samples; s++) acc[s] =
            v_fma(w, coef[r * samples + s], acc[s]);
    }
    AB_UNROLL for (int s = 0; s < samples; s++)
    {
        if (k == VL)
            v_storeu(dst + s * stride + i, acc[s]);
        else
            v_store_part(dst + s * stride + i, acc[s], k);
    }
}

AB_INLINE void bwd_tile(int wmod, int rows, int samples, const struct ab_dense_args *p, int n,
                        const int *o)
{
    const float *row[DENSE_ROWS_1];
    vec coef[DENSE_ACCS];
    AB_UNROLL for (int r = 0; r < rows; r++)
    {
        row[r] = p->wei + (ptrdiff_t)o[r] * p->in + p->r0;
        AB_UNROLL for (int s = 0; s < samples; s++) coef[r * samples + s] =
            v_bcast(p->src + (n + s) * p->src_stride + o[r]);
    }
    float *dst = p->dst + n * p->dst_stride + p->r0;
    int i = 0, count = p->r1 - p->r0;
    for (; i + VL <= count; i += VL)
        bwd_step(wmod, rows, samples, row, coef, dst, p->dst_stride, i, VL);
    if (i < count) bwd_step(wmod, rows, samples, row, coef, dst, p->dst_stride, i, count - i);
}

/* Adds rows o[0..rows) to all samples. */
AB_INLINE void bwd_rows(int wmod, int rows, const struct ab_dense_args *p, const int *o)
{
    int n = 0;
    for (; n + 4 <= p->n; n += 4) bwd_tile(wmod, rows, 4, p, n, o);
    for (; n + 2 <= p->n; n += 2) bwd_tile(wmod, rows, 2, p, n, o);
    for (; n < p->n; n++) bwd_tile(wmod, rows, 1, p, n, o);
}

static bool bwd_used(const struct ab_dense_args *p, int o)
{
    for (int n = 0; n < p->n; n++)
        if (p->src[n * p->src_stride + o] != 0.0f) return true;
    return false;
}

/* Rows whose coefficients are all 0 are not read: after a ReLU mask that is half of W. */
AB_INLINE void bwd_all(int wmod, const struct ab_dense_args *p)
{
    for (int n = 0; n < p->n; n++)
        memset(p->dst + n * p->dst_stride + p->r0, 0, (size_t)(p->r1 - p->r0) * sizeof(float));
    const int full = p->n == 1 ? DENSE_ROWS_1 : DENSE_ROWS;
    int group[DENSE_ROWS_1], rows = 0;
    for (int o = 0; o < p->out; o++) {
        if (!bwd_used(p, o)) continue;
        group[rows++] = o;
        if (rows < full) continue;
        if (full == DENSE_ROWS_1)
            bwd_tile(wmod, DENSE_ROWS_1, 1, p, 0, group);
        else
            bwd_rows(wmod, DENSE_ROWS, p, group);
        rows = 0;
    }
    for (int r = 0; r < rows; r++) bwd_rows(wmod, 1, p, group + r);
}

/* ---- both ---- */

AB_INLINE void dense_pass(int wmod, const struct ab_dense_args *p)
{
    if (p->pass == AB_FWD)
        fwd_all(wmod, p);
    else
        bwd_all(wmod, p);
}

static void dense_run(const struct ab_dense_args *p)
{
    switch (p->wmod) {
    case AB_W_ALL: dense_pass(AB_W_ALL, p); break;
    case AB_W_POS: dense_pass(AB_W_POS, p); break;
    case AB_W_NEG: dense_pass(AB_W_NEG, p); break;
    case AB_W_ABS: dense_pass(AB_W_ABS, p); break;
    case AB_W_SQUARE: dense_pass(AB_W_SQUARE, p); break;
    case AB_W_ONE: dense_pass(AB_W_ONE, p); break;
    case AB_W_COUNT: break;
    }
    for (int n = 0; n < p->n; n++) {
        float *dst = p->dst + n * p->dst_stride;
        if (p->pass == AB_BWD && p->add)
            for (int i = p->r0; i < p->r1; i++) dst[i] += p->add[n * p->dst_stride + i];
        pw_features(&p->f, n, dst + p->r0, p->r0, p->r1);
    }
}

#endif
