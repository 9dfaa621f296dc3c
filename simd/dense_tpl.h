// SPDX-License-Identifier: Apache-2.0
// Fully connected layers over the vector vocabulary. Include one vec_<isa>.h first.
//
// Both directions walk W in its row-major order, 8 rows side by side for one sample, 4 for several.
// Which walk is fastest depends on where W lies and on how often it is used; every element of dst
// is one chain of fma in a fixed order in all of them, so neither walk, range nor number of samples
// changes a bit of it.
//   NEAR_ROWS  W fits caches (CACHED bytes), or one sample of changed weights: whole rows, each
//              prefetched into L1.
//   FAR_ROWS   1 or 2 samples: whole rows, each prefetched into L2, which hides the way to memory
//              but costs where L3 delivers. BWD with 16 registers for all numbers of samples.
//   BLOCKS     more: blocks of 32 rows and in them chunks of 512 columns, so that a chunk of the
//              vectors serves all rows of a block, and the 16 KiB of W that a group has in a chunk
//              serve all samples. The sums of FWD wait in memory between chunks.
//
// Register tiles, FWD: rows x samples accumulators, `samples` operands, one weight: 8x1 = 10, 4x2 =
// 11, 4x4 = 21. One accumulator per (row, sample) suffices: 4 chains of 4 cycles take 4 vectors in
// 4 cycles, several times what memory delivers. BWD by blocks: 4 vectors x 4 samples of
// accumulators, 4 weights, one coefficient = 21, and dst is read and written once for 8 rows. With
// 16 registers that tile (4x2) loses to rows x samples coefficients left in memory, which cost
// loads alone: 20.4 against 15.1 ms at n = 4, 34 against 28 at n = 8.
//
// Zen 4, ms of FWD by walk; the read probe takes 11.5, 1.31 and 0.18 for the three layers:
//                       AVX-512, n = 1, 2, 4, 8            AVX2
//   411 MB  NEAR_ROWS   13.2   14.5   19.7   28.3          14.1   15.7   21.8   34.4
//           FAR_ROWS    11.9   14.1   20.7   30.9          12.9   15.9   22.5   38.5
//           BLOCKS      15.1   16.7   18.8   19.5          15.9   18.1   17.6   27.1
//   67 MB   NEAR_ROWS   1.98   2.43   3.15   4.36          2.02   2.65   3.57   5.51
//           FAR_ROWS    1.49   1.98   2.91   4.24          1.65   2.21   3.33   5.42
//           BLOCKS      2.00   2.20   2.66   3.26          2.17   2.32   2.69   4.47
//   16 MB   NEAR_ROWS   0.224  0.293  0.374  0.666         0.225  0.297  0.514  0.964
//           FAR_ROWS    0.253  0.301  0.376  0.690         0.256  0.298  0.555  1.068
//           BLOCKS      0.288  0.313  0.365  0.687         0.297  0.345  0.595  1.049
// Prefetches are issued once a line: twice, by each vector of AVX2, FAR_ROWS takes 13.8 (411 MB)
// for n = 1. Distances, n = 1, 8 rows into L2: 256, 384, 512 floats 11.6, 12.0, 12.3
// and 1.53, 1.53, 1.48; n = 2, 4 rows: 14.8, 14.2, 14.1 and 2.34, 2.11, 1.98. Into L1: 64 as good
// as 128, 256 takes
// 17. BLOCKS, n = 4 and 8, the following 8 rows prefetched by each tile of samples 19, 19; once 20,
// 27; as runs of 4 KiB in the order of memory 23, 30; not prefetched 25, 32. W in 8 streams far
// from each other: no gain. 2 or 4 rows for n = 1: slower.
#ifndef AB_SIMD_DENSE_TPL_H
#define AB_SIMD_DENSE_TPL_H

#include <string.h>

#include "pointwise_tpl.h"

/* Rows side by side, at most and for several samples of BWD by rows; rows of a block; columns of a
 * chunk; samples that share a pass and a tile; accumulators of a tile; vectors of a BWD tile by
 * blocks. */
enum { GROUP = 8, DENSE_ROWS = 4, BLOCK = 32, CHUNK = 512 };
enum { SAMPLES = 8, TILE_SAMPLES = 4, TILE = 16, CHUNK_VECS = 4 };
/* Walks of W, and the most bytes of weights that count as cached: 3/4 of the 32 MiB of L3 that a
 * core of Zen 4 has, as activations want some. */
enum dense_walk { NEAR_ROWS, FAR_ROWS, BLOCKS };
enum { CACHED = 24 << 20 };
/* Floats of prefetch distance into L1, and into L2 for 8 rows and for fewer. */
enum { NEAR_AHEAD = 128, FAR_AHEAD = 384, FAR_AHEAD_4 = 512 };

/* Samples [n, n + samples) of a call. */
struct dense_part {
    const struct ab_dense_args *args;
    int n, samples;
};

/* Samples of a chain of calls that share one walk, and the columns of W that it reads. */
struct dense_team {
    struct dense_part part[AB_DENSE_CHAIN];
    int parts, samples, i0, i1;
};

/* Rows of W that take part. */
struct dense_block {
    const float *row[BLOCK];
    int index[BLOCK], rows;
};

/* How weights enter: `kind` is an ab_wmod, constant wherever it is used; gain is that of
 * AB_W_GAMMA.
 */
struct dense_mod {
    int kind;
    vec gain;
};

/* Weights p[0..k) after wmod. ONE does not touch memory; lanes past k are cleared by the other
 * factor (FWD) or not stored (BWD). */
AB_INLINE vec dense_weight(struct dense_mod wmod, const float *p, int k)
{
    vec w = wmod.kind == AB_W_ONE ? v_set1(1.0f) : pw_get(p, k);
    switch (wmod.kind) {
    case AB_W_POS: return v_max(w, v_zero());
    case AB_W_NEG: return v_min(w, v_zero());
    case AB_W_ABS: return v_abs(w);
    case AB_W_SQUARE: return v_mul(w, w);
    case AB_W_GAMMA: return v_max(w, v_mul(w, wmod.gain));
    default: return w;
    }
}

/* Prefetches a line of each row for a walk by rows that is at column i. */
AB_INLINE void rows_ahead(int walk, int rows, const float *const *row, int i)
{
    AB_UNROLL for (int r = 0; r < rows; r++)
    {
        if (walk == NEAR_ROWS)
            v_prefetch(row[r] + i + NEAR_AHEAD);
        else
            v_prefetch_l2(row[r] + i + (rows == GROUP ? FAR_AHEAD : FAR_AHEAD_4));
    }
}

/* ---- forward ---- */

/* Stores the sums of rows [o, o + rows), rows <= GROUP; acc has a multiple of 4. */
AB_INLINE void fwd_store(const struct ab_dense_args *p, int n, int o, int rows, const vec *acc)
{
    const ptrdiff_t at = n * p->dst_stride + o;
    float sum[GROUP];
    AB_UNROLL for (int r = 0; r < GROUP; r += 4)
        v_hsum4(acc[r], acc[r + 1], acc[r + 2], acc[r + 3], sum + r);
    for (int r = 0; r < rows; r++) {
        if (p->bias) sum[r] += p->bias[o + r];
        p->dst[at + r] = p->add ? sum[r] + p->add[at + r] : sum[r];
    }
}

/* acc[s * rows + r] += w(r) * src(s) over lanes [i, i + k). */
AB_INLINE void fwd_step(struct dense_mod wmod, int rows, int samples, const float *const *row,
                        const float *src, ptrdiff_t stride, int i, int k, vec *acc)
{
    vec x[SAMPLES];
    AB_UNROLL for (int s = 0; s < samples; s++) x[s] = pw_get(src + s * stride + i, k);
    AB_UNROLL for (int r = 0; r < rows; r++)
    {
        vec w = dense_weight(wmod, row[r] + i, k);
        AB_UNROLL for (int s = 0; s < samples; s++) acc[s * rows + r] =
            v_fma(w, x[s], acc[s * rows + r]);
    }
}

/* Columns [i0, i1) of some rows and samples; sum[s * BLOCK + r] holds the sums so far. A walk by
 * blocks prefetches the rows `next` line by line, in each tile again: a prefetch that finds no free
 * buffer is lost. */
AB_INLINE void fwd_tile(struct dense_mod wmod, int walk, int rows, int samples,
                        const float *const *row, const float *const *next, const float *src,
                        ptrdiff_t stride, int i0, int i1, vec *sum)
{
    vec acc[TILE];
    const float *w[GROUP], *f[GROUP];
    AB_UNROLL for (int r = 0; r < rows; r++)
    {
        w[r] = row[r];
        f[r] = next[r];
        AB_UNROLL for (int s = 0; s < samples; s++) acc[s * rows + r] = sum[s * BLOCK + r];
    }
    int i = i0;
    for (; i + AB_LANES <= i1; i += AB_LANES) {
        if (walk != BLOCKS) rows_ahead(walk, rows, w, i);
        AB_UNROLL for (int r = 0; walk == BLOCKS && r < rows; r++) v_prefetch_l2(f[r] + (i - i0));
        AB_UNROLL for (int v = 0; v < AB_LANES; v += VL)
            fwd_step(wmod, rows, samples, w, src, stride, i + v, VL, acc);
    }
    for (; i + VL <= i1; i += VL) fwd_step(wmod, rows, samples, w, src, stride, i, VL, acc);
    if (i < i1) fwd_step(wmod, rows, samples, w, src, stride, i, i1 - i, acc);
    AB_UNROLL for (int r = 0; r < rows; r++) AB_UNROLL for (int s = 0; s < samples; s++)
        sum[s * BLOCK + r] = acc[s * rows + r];
}

/* All samples of a group, in tiles that fit the registers. */
AB_INLINE void fwd_group(struct dense_mod wmod, int walk, int rows, const struct dense_part *p,
                         const float *const *row, const float *const *next, int i0, int i1,
                         vec *sum)
{
    const ptrdiff_t stride = p->args->src_stride;
    const float *src = p->args->src + p->n * stride;
    const int half = rows == GROUP ? GROUP / 2 : rows;
    int s = 0;
    if (p->samples >= 2) {
        for (int r = 0; r < rows; r += half) {
            s = 0;
            if (VREGS >= 32)
                for (; s + 4 <= p->samples; s += 4)
                    fwd_tile(wmod, walk, half, 4, row + r, next + r, src + s * stride, stride, i0,
                             i1, sum + s * BLOCK + r);
            for (; s + 2 <= p->samples; s += 2)
                fwd_tile(wmod, walk, half, 2, row + r, next + r, src + s * stride, stride, i0, i1,
                         sum + s * BLOCK + r);
        }
    }
    if (s < p->samples)
        fwd_tile(wmod, walk, rows, 1, row, next, src + s * stride, stride, i0, i1, sum + s * BLOCK);
}

/* ---- backward, row after row ---- */

/* dst(s)[i..i+k) += sum over r of w(row[r]) * coef[r][s], in the order of rows. */
AB_INLINE void bwd_step(struct dense_mod wmod, int rows, int samples, const float *const *row,
                        const vec *coef, float *dst, ptrdiff_t stride, int i, int k)
{
    vec acc[TILE_SAMPLES];
    AB_UNROLL for (int s = 0; s < samples; s++) acc[s] = pw_get(dst + s * stride + i, k);
    AB_UNROLL for (int r = 0; r < rows; r++)
    {
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

AB_INLINE void bwd_tile(struct dense_mod wmod, int walk, int rows, int samples,
                        const struct ab_dense_args *p, int n, const int *o)
{
    const float *row[GROUP];
    vec coef[TILE];
    AB_UNROLL for (int r = 0; r < rows; r++)
    {
        row[r] = p->wei + (ptrdiff_t)o[r] * p->in + p->r0;
        AB_UNROLL for (int s = 0; s < samples; s++) coef[r * samples + s] =
            v_bcast(p->src + (n + s) * p->src_stride + o[r]);
    }
    float *dst = p->dst + n * p->dst_stride + p->r0;
    int i = 0, count = p->r1 - p->r0;
    for (; i + AB_LANES <= count; i += AB_LANES) {
        rows_ahead(walk, rows, row, i);
        AB_UNROLL for (int v = 0; v < AB_LANES; v += VL)
            bwd_step(wmod, rows, samples, row, coef, dst, p->dst_stride, i + v, VL);
    }
    for (; i + VL <= count; i += VL)
        bwd_step(wmod, rows, samples, row, coef, dst, p->dst_stride, i, VL);
    if (i < count) bwd_step(wmod, rows, samples, row, coef, dst, p->dst_stride, i, count - i);
}

/* Adds rows o[0..rows) to all samples. */
AB_INLINE void bwd_rows(struct dense_mod wmod, int walk, int rows, const struct ab_dense_args *p,
                        const int *o)
{
    int n = 0;
    for (; n + 4 <= p->n; n += 4) bwd_tile(wmod, walk, rows, 4, p, n, o);
    for (; n + 2 <= p->n; n += 2) bwd_tile(wmod, walk, rows, 2, p, n, o);
    for (; n < p->n; n++) bwd_tile(wmod, walk, rows, 1, p, n, o);
}

static bool bwd_used(const struct ab_dense_args *p, int o)
{
    for (int n = 0; n < p->n; n++)
        if (p->src[n * p->src_stride + o] != 0.0f) return true;
    return false;
}

/* Rows whose coefficients are all 0 are not read: after a ReLU mask that is half of W. */
AB_INLINE void bwd_by_rows(struct dense_mod wmod, int walk, const struct ab_dense_args *p)
{
    const int full = p->n == 1 ? GROUP : DENSE_ROWS;
    int group[GROUP], rows = 0;
    for (int o = 0; o < p->out; o++) {
        if (!bwd_used(p, o)) continue;
        group[rows++] = o;
        if (rows < full) continue;
        if (full == GROUP)
            bwd_tile(wmod, walk, GROUP, 1, p, 0, group);
        else
            bwd_rows(wmod, walk, DENSE_ROWS, p, group);
        rows = 0;
    }
    for (int r = 0; r < rows; r++) bwd_rows(wmod, walk, 1, p, group + r);
}

/* ---- backward, several samples: a chunk of some rows ---- */

/* dst(s)[i..i+k) += sum over r of w(row[r]) * coef[r][s], in the order of rows. */
AB_INLINE void chunk_step(struct dense_mod wmod, int rows, int vecs, int samples,
                          const float *const *row, const float *coef, float *dst, ptrdiff_t stride,
                          int i, int k)
{
    vec acc[TILE];
    AB_UNROLL for (int s = 0; s < samples; s++) AB_UNROLL for (int v = 0; v < vecs; v++)
        acc[s * vecs + v] = pw_get(dst + s * stride + i + v * VL, k);
    AB_UNROLL for (int r = 0; r < rows; r++)
    {
        vec w[CHUNK_VECS];
        AB_UNROLL for (int v = 0; v < vecs; v++) w[v] = dense_weight(wmod, row[r] + i + v * VL, k);
        AB_UNROLL for (int s = 0; s < samples; s++)
        {
            vec c = v_bcast(coef + r * SAMPLES + s);
            AB_UNROLL for (int v = 0; v < vecs; v++) acc[s * vecs + v] =
                v_fma(w[v], c, acc[s * vecs + v]);
        }
    }
    AB_UNROLL for (int s = 0; s < samples; s++) AB_UNROLL for (int v = 0; v < vecs; v++)
    {
        if (k == VL)
            v_storeu(dst + s * stride + i + v * VL, acc[s * vecs + v]);
        else
            v_store_part(dst + s * stride + i + v * VL, acc[s * vecs + v], k);
    }
}
AB_INLINE void chunk_tile(struct dense_mod wmod, int rows, int samples, const float *const *row,
                          const float *const *next, const float *coef, float *dst, ptrdiff_t stride,
                          int i0, int i1)
{
    enum { STEP = CHUNK_VECS * VL };
    int i = i0;
    for (; i + STEP <= i1; i += STEP) {
        AB_UNROLL for (int c = 0; c < STEP; c += AB_LANES) AB_UNROLL for (int r = 0; r < rows; r++)
            v_prefetch_l2(next[r] + (i - i0) + c);
        chunk_step(wmod, rows, CHUNK_VECS, samples, row, coef, dst, stride, i, VL);
    }
    for (; i + VL <= i1; i += VL) chunk_step(wmod, rows, 1, samples, row, coef, dst, stride, i, VL);
    if (i < i1) chunk_step(wmod, rows, 1, samples, row, coef, dst, stride, i, i1 - i);
}

AB_INLINE void chunk_group(struct dense_mod wmod, int rows, const struct dense_part *p,
                           const int *index, const float *const *row, const float *const *next,
                           int i0, int i1)
{
    const ptrdiff_t stride = p->args->dst_stride;
    float *dst = p->args->dst + p->n * stride;
    float coef[GROUP * SAMPLES];
    for (int r = 0; r < rows; r++)
        for (int s = 0; s < p->samples; s++)
            coef[r * SAMPLES + s] = p->args->src[(p->n + s) * p->args->src_stride + index[r]];
    int s = 0;
    for (; s + 4 <= p->samples; s += 4)
        chunk_tile(wmod, rows, 4, row, next, coef + s, dst + s * stride, stride, i0, i1);
    for (; s + 2 <= p->samples; s += 2)
        chunk_tile(wmod, rows, 2, row, next, coef + s, dst + s * stride, stride, i0, i1);
    if (s < p->samples)
        chunk_tile(wmod, rows, 1, row, next, coef + s, dst + s * stride, stride, i0, i1);
}

/* ---- forward, row after row ---- */

AB_INLINE void fwd_by_rows(struct dense_mod wmod, int walk, const struct ab_dense_args *p)
{
    for (int n = 0; n < p->n; n += SAMPLES) {
        const struct dense_part part = {p, n, p->n - n < SAMPLES ? p->n - n : SAMPLES};
        for (int o = p->r0, rows; o < p->r1; o += rows) {
            const float *row[GROUP];
            vec sum[SAMPLES * BLOCK];
            rows = p->r1 - o < GROUP ? 1 : GROUP;
            for (int r = 0; r < rows; r++) row[r] = p->wei + (ptrdiff_t)(o + r) * p->in;
            for (int s = 0; s < part.samples; s++)
                for (int r = 0; r < GROUP; r++) sum[s * BLOCK + r] = v_zero();
            if (rows == GROUP)
                fwd_group(wmod, walk, GROUP, &part, row, row, 0, p->in, sum);
            else
                fwd_group(wmod, walk, 1, &part, row, row, 0, p->in, sum);
            for (int s = 0; s < part.samples; s++) fwd_store(p, n + s, o, rows, sum + s * BLOCK);
        }
    }
}

#include "dense_team_tpl.h"

/* ---- all ---- */

/* One sample of changed weights: NEAR_ROWS takes 13 to 14 ms for 411 MB, FAR_ROWS 14 to 17; but 2.2
 * against 1.9 for 67 MB. */
static enum dense_walk walk_of(const struct ab_dense_args *p)
{
    const size_t bytes = (size_t)p->in * (size_t)p->out * sizeof(float);
    if (bytes <= CACHED) return NEAR_ROWS;
    if (p->next) return BLOCKS;
    if (p->n == 1 && p->wmod != AB_W_ALL && bytes > 4 * CACHED) return NEAR_ROWS;
    return p->n <= 2 || (p->pass == AB_BWD && VREGS < 32) ? FAR_ROWS : BLOCKS;
}

AB_INLINE void dense_by_rows(int kind, enum dense_walk walk, const struct ab_dense_args *p)
{
    const struct dense_mod wmod = {kind, v_set1(p->gain)};
    if (p->pass == AB_FWD && walk == NEAR_ROWS)
        fwd_by_rows(wmod, NEAR_ROWS, p);
    else if (p->pass == AB_FWD)
        fwd_by_rows(wmod, FAR_ROWS, p);
    else if (walk == NEAR_ROWS)
        bwd_by_rows(wmod, NEAR_ROWS, p);
    else
        bwd_by_rows(wmod, FAR_ROWS, p);
}

/* The sums of one call by rows. */
static void by_rows(enum dense_walk walk, const struct ab_dense_args *p)
{
    switch (p->wmod) {
    case AB_W_ALL: dense_by_rows(AB_W_ALL, walk, p); break;
    case AB_W_POS: dense_by_rows(AB_W_POS, walk, p); break;
    case AB_W_NEG: dense_by_rows(AB_W_NEG, walk, p); break;
    case AB_W_ABS: dense_by_rows(AB_W_ABS, walk, p); break;
    case AB_W_SQUARE: dense_by_rows(AB_W_SQUARE, walk, p); break;
    case AB_W_ONE: dense_by_rows(AB_W_ONE, walk, p); break;
    case AB_W_GAMMA: dense_by_rows(AB_W_GAMMA, walk, p); break;
    case AB_W_COUNT: break;
    }
}

/* What an earlier call made, with the bias and add that the sums of this one would have. */
static void take_sums(const struct ab_dense_args *p)
{
    for (int n = 0; n < p->n; n++) {
        const float *from = p->sums + n * p->sums_stride;
        float *dst = p->dst + n * p->dst_stride;
        memcpy(dst + p->r0, from + p->r0, (size_t)(p->r1 - p->r0) * sizeof(float));
        if (p->pass == AB_BWD) continue;
        for (int i = p->r0; p->bias && i < p->r1; i++) dst[i] += p->bias[i];
        for (int i = p->r0; p->add && i < p->r1; i++) dst[i] += p->add[n * p->dst_stride + i];
    }
}

static void clear_dst(const struct ab_dense_args *p)
{
    for (int n = 0; n < p->n; n++)
        memset(p->dst + n * p->dst_stride + p->r0, 0, (size_t)(p->r1 - p->r0) * sizeof(float));
}

static void finish(const struct ab_dense_args *p)
{
    for (int n = 0; n < p->n; n++) {
        float *dst = p->dst + n * p->dst_stride;
        if (p->pass == AB_BWD && p->add)
            for (int i = p->r0; i < p->r1; i++) dst[i] += p->add[n * p->dst_stride + i];
        pw_features(&p->f, n, dst + p->r0, p->r0, p->r1);
    }
}

static void dense_run(const struct ab_dense_args *p)
{
    const enum dense_walk walk = walk_of(p);
    const struct ab_dense_args *c;
    if (p->sums) {
        take_sums(p);
        finish(p);
        return;
    }
    for (c = p; c && p->pass == AB_BWD; c = c->next) clear_dst(c);
    if (walk == BLOCKS)
        by_blocks(p);
    else
        for (c = p; c; c = c->next) by_rows(walk, c);
    for (c = p; c; c = c->next) finish(c);
}

#endif
