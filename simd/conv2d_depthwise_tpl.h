// SPDX-License-Identifier: Apache-2.0
// Depthwise conv2d (groups == channels on both sides), both passes, over the vector vocabulary.
// Include one vec_<isa>.h first and define DW_TABLE of tiles of up to DW_PIXELS pixels x DW_VECS
// vectors, and windows: DW_ROWS (1 or 2) rows of DW_PIXELS pixels x 1 vector, or at a stride of 2
// of DW_STRIDED_PIXELS x DW_STRIDED_VECS.
//
// One product per src element and tap, so the loop is bound by loads of src: a tile is a run of
// pixels that share each load of the weights, and has enough accumulators to hide the latency of
// FMA. 7 pixels divide the usual widths 112, 56, 28, 14 and 7.
//
// Phases of up to 3x3 taps run by windows of constant size, which share the loads of src as well;
// everything else row by row. Prefetching (the next window, the next rows, the lines of dst) and
// walking down strips of columns were tried and lost up to 15 %: the hardware sees the streams.
#ifndef AB_CONV2D_DEPTHWISE_TPL_H
#define AB_CONV2D_DEPTHWISE_TPL_H

#include "pointwise_tpl.h"
#include "conv2d_epilogue.h"
#include "conv2d_rows.h"

/* DW_VECS vectors of `np` pixels from lane `lane`. */
AB_INLINE void dw_tile(const struct row *r, int x, int lane, int np, int step, float *out,
                       ptrdiff_t out_pix)
{
    const struct ab_conv2d_shape *s = &r->a->shape;
    const struct ab_conv2d_axis *ay = &r->phase.y, *ax = &r->phase.x;
    const ptrdiff_t pix = step ? step * AB_LANES : r->src_pix;
    const float *src = r->src + x * pix + lane;
    const float *wei =
        (const float *)r->a->pack + lane + (ptrdiff_t)r->block * s->kh * s->kw * AB_LANES;
    vec acc[DW_PIXELS][DW_VECS];
    AB_UNROLL for (int p = 0; p < np; p++)
    {
        AB_UNROLL for (int v = 0; v < DW_VECS; v++) acc[p][v] = v_zero();
    }
    for (int ty = r->inside.begin; ty < r->inside.end; ty++, src += r->src_row) {
        const float *w = wei + ((ptrdiff_t)(ay->k0 + ty * ay->kstep) * s->kw + ax->k0) * AB_LANES;
        const float *at = src;
        for (int tx = 0; tx < ax->taps; tx++, at += r->src_col, w += ax->kstep * AB_LANES) {
            AB_UNROLL for (int v = 0; v < DW_VECS; v++)
            {
                const vec wv = v_load(w + v * VL);
                AB_UNROLL for (int p = 0; p < np; p++) acc[p][v] =
                    v_fma(wv, v_load(at + p * pix + v * VL), acc[p][v]);
            }
        }
    }
    AB_UNROLL for (int v = 0; v < DW_VECS; v++)
    {
        const vec bias = r->bias ? v_load(r->bias + lane + v * VL) : v_zero();
        AB_UNROLL for (int p = 0; p < np; p++)
        {
            vec sum = v_add(acc[p][v], bias);
            if (r->add) sum = v_add(sum, v_load(r->add + (x + p) * r->add_pix + lane + v * VL));
            v_store(out + p * out_pix + lane + v * VL, sum);
        }
    }
}

#define DW(np)                                                                                     \
    static void dw_##np(const struct row *r, int x, float *out, ptrdiff_t pix)                     \
    {                                                                                              \
        for (int lane = 0; lane < AB_LANES; lane += DW_VECS * VL) {                                \
            if (r->src_pix == AB_LANES)                                                            \
                dw_tile(r, x, lane, np, 1, out, pix);                                              \
            else                                                                                   \
                dw_tile(r, x, lane, np, 0, out, pix);                                              \
        }                                                                                          \
    }
DW_TABLE(DW)
#undef DW

static void dw_sums(const struct row *r, int x, int count, float *out, ptrdiff_t pix)
{
    static void (*const tiles[])(const struct row *, int, float *, ptrdiff_t) = {
#define DW(np) dw_##np,
        DW_TABLE(DW)
#undef DW
    };
    const int tile_count = (count + DW_PIXELS - 1) / DW_PIXELS;
    for (int i = 0; i < tile_count; i++) {
        const int np = count / tile_count + (i < count % tile_count);
        tiles[np - 1](r, x, out, pix);
        x += np;
        out += np * pix;
    }
}

/* ---- windows of 3x3 kernels ---- */

enum {
    DW_PHASES = 4, /* of a stride of 2, backwards */
    DW_TURN_BYTES = 16 * 1024,
    DW_SUMS = DW_PIXELS > DW_STRIDED_PIXELS *DW_STRIDED_VECS ? DW_PIXELS
                                                             : DW_STRIDED_PIXELS *DW_STRIDED_VECS,
};

/* Taps of a phase per axis, the step of its src positions, and how wide a window is: constants
 * where they are used. */
struct dw_kind {
    int rows, cols, step, pixels, vecs;
};

/* One phase of one dst block of one image. */
struct dw_plane {
    const float *src, *add, *bias; /* of position 0; or NULL */
    float *dst;
    ptrdiff_t src_row, dst_row, add_row, dst_pix;
    int count; /* positions of a row */
    _Alignas(64) float wei[9 * AB_LANES];
};

/* The epilogue of rows [begin,end) of a block. */
static void dw_finish(const struct ab_conv2d_args *a, int n, int block, int begin, int end)
{
    const int count = a->pass == AB_FWD ? a->shape.ow : a->shape.iw;
    for (int y = begin; y < end; y++) {
        const struct pw_at at = {n, block, y, 0, 1};
        conv2d_finish(a, &at, a->dst.data + ab_view_at(&a->dst, n, block, y, 0), AB_LANES, count);
    }
}

AB_INLINE void dw_window(const float *src, ptrdiff_t src_row, const float *wei, struct dw_kind k,
                         int rows, vec acc[][DW_SUMS])
{
    AB_UNROLL for (int at = 0; at < ((rows - 1) * k.step + k.rows) * k.vecs; at++)
    {
        const int j = at / k.vecs, v = at % k.vecs;
        AB_UNROLL for (int c = 0; c < (k.pixels - 1) * k.step + k.cols; c++)
        {
            const vec x = v_load(src + j * src_row + c * AB_LANES + v * VL);
            AB_UNROLL for (int tap = 0; tap < rows * k.cols; tap++)
            {
                const int r = tap / k.cols, ty = j - r * k.step;
                const int tx = tap % k.cols, p = (c - tx) / k.step;
                if (ty < 0 || ty >= k.rows || c < tx || (c - tx) % k.step || p >= k.pixels)
                    continue;
                vec *sum = &acc[r][p * k.vecs + v];
                *sum = v_fma(v_load(wei + (ty * k.cols + tx) * AB_LANES + v * VL), x, *sum);
            }
        }
    }
}

/* One window: `rows` rows from row i, k.pixels positions from x, k.vecs vectors from lane. */
AB_INLINE void dw_window_at(const struct dw_plane *d, struct dw_kind k, int rows, int i, int x,
                            int lane)
{
    vec acc[DW_ROWS][DW_SUMS], bias[AB_LANES / VL];
    AB_UNROLL for (int v = 0; v < k.vecs; v++) bias[v] =
        d->bias ? v_load(d->bias + lane + v * VL) : v_zero();
    float *dst = d->dst + i * d->dst_row + x * d->dst_pix + lane;
    AB_UNROLL for (int r = 0; r < rows; r++)
    {
        AB_UNROLL for (int p = 0; p < k.pixels * k.vecs; p++) acc[r][p] = v_zero();
    }
    dw_window(d->src + i * k.step * d->src_row + x * k.step * AB_LANES + lane, d->src_row,
              d->wei + lane, k, rows, acc);
    AB_UNROLL for (int r = 0; r < rows; r++)
    {
        const float *add = d->add ? d->add + (i + r) * d->add_row + x * d->dst_pix + lane : NULL;
        AB_UNROLL for (int p = 0; p < k.pixels * k.vecs; p++)
        {
            const ptrdiff_t at = p / k.vecs * d->dst_pix + p % k.vecs * VL;
            vec sum = v_add(acc[r][p], bias[p % k.vecs]);
            if (add) sum = v_add(sum, v_load(add + at));
            v_store(dst + r * d->dst_row + at, sum);
        }
    }
}

/* The last window of a row overlaps the one before it if need be. */
AB_INLINE void dw_window_rows(const struct dw_plane *d, struct dw_kind k, int rows, int i)
{
    for (int x = 0; x < d->count; x += k.pixels) {
        const int at = x + k.pixels <= d->count ? x : d->count - k.pixels;
        for (int lane = 0; lane < AB_LANES; lane += VL * k.vecs)
            dw_window_at(d, k, rows, i, at, lane);
    }
}

#define DW_KIND(ny, nx, s, np, nv)                                                                 \
    static void dw_plane_##ny##nx##s(const struct dw_plane *d, int begin, int end)                 \
    {                                                                                              \
        const struct dw_kind k = {ny, nx, s, np, nv};                                              \
        int i = begin;                                                                             \
        for (; i + DW_ROWS <= end; i += DW_ROWS) dw_window_rows(d, k, DW_ROWS, i);                 \
        for (; i < end; i++) dw_window_rows(d, k, 1, i);                                           \
    }
DW_KIND(3, 3, 1, DW_PIXELS, 1)
DW_KIND(3, 3, 2, DW_STRIDED_PIXELS, DW_STRIDED_VECS)
DW_KIND(1, 1, 1, DW_PIXELS, 1)
DW_KIND(1, 2, 1, DW_PIXELS, 1)
DW_KIND(2, 1, 1, DW_PIXELS, 1)
DW_KIND(2, 2, 1, DW_PIXELS, 1)
#undef DW_KIND

typedef void dw_plane_rows(const struct dw_plane *d, int begin, int end);

/* The function for a phase, or NULL. */
static dw_plane_rows *dw_find(const struct ab_conv2d_phase *p)
{
    const struct ab_conv2d_axis *y = &p->y, *x = &p->x;
    if (y->src_step != x->src_step || y->dstep != 1 || x->dstep != 1 || x->count < DW_PIXELS ||
        x->count < DW_STRIDED_PIXELS)
        return NULL;
    if (y->taps == 3 && x->taps == 3)
        return x->src_step == 1 ? dw_plane_331 : x->src_step == 2 ? dw_plane_332 : NULL;
    if (x->src_step != 1) return NULL;
    if (y->taps == 1) return x->taps == 1 ? dw_plane_111 : x->taps == 2 ? dw_plane_121 : NULL;
    if (y->taps == 2) return x->taps == 1 ? dw_plane_211 : x->taps == 2 ? dw_plane_221 : NULL;
    return NULL;
}

/* The same taps by ascending src position. */
static void dw_ascend(struct ab_conv2d_axis *a)
{
    if (a->dstep > 0 || a->taps == 0) return;
    a->d0 += (a->taps - 1) * a->dstep;
    a->k0 += (a->taps - 1) * a->kstep;
    a->dstep = -a->dstep;
    a->kstep = -a->kstep;
}

/* What dst block `block` of image n needs, but the rows. */
static void dw_open_plane(struct dw_plane *d, const struct ab_conv2d_args *a,
                          const struct ab_conv2d_phase *phase, int n, int block)
{
    const struct ab_conv2d_axis *y = &phase->y, *x = &phase->x;
    const struct ab_conv2d_shape *s = &a->shape;
    const float *wei = (const float *)a->pack + (ptrdiff_t)block * s->kh * s->kw * AB_LANES;
    float *out = d->wei;
    for (int ty = 0; ty < y->taps; ty++)
        for (int tx = 0; tx < x->taps; tx++, out += AB_LANES) {
            const int tap = (y->k0 + ty * y->kstep) * s->kw + x->k0 + tx * x->kstep;
            for (int l = 0; l < AB_LANES; l += VL)
                v_store(out + l, v_load(wei + tap * AB_LANES + l));
        }
    d->src = a->src.data + ab_view_at(&a->src, n, block, y->d0, x->d0);
    d->dst = a->dst.data + ab_view_at(&a->dst, n, block, y->dst0, x->dst0);
    d->add = a->add.data ? a->add.data + ab_view_at(&a->add, n, block, y->dst0, x->dst0) : NULL;
    d->bias = a->bias && a->pass == AB_FWD ? a->bias + block * AB_LANES : NULL;
    d->src_row = a->src.row;
    d->dst_row = y->dst_step * a->dst.row;
    d->add_row = y->dst_step * a->add.row;
    d->dst_pix = (ptrdiff_t)x->dst_step * AB_LANES;
    d->count = x->count;
}

/* Rows of dst that all phases work on by turns: few enough to stay in L1. */
static int dw_turn(const struct ab_conv2d_args *a, int phases)
{
    const int row = (a->pass == AB_FWD ? a->shape.ow : a->shape.iw) * AB_LANES * 4;
    const int least = DW_ROWS * a->shape.sh, most = DW_TURN_BYTES / row / least * least;
    return phases == 1 ? a->range.y1 - a->range.y0 : most > least ? most : least;
}

/* All phases by windows; false if a phase is none that they serve, or dst is read as well: windows
 * overlap. */
static bool dw_windows(const struct ab_conv2d_args *a)
{
    struct ab_conv2d_phase phases[DW_PHASES];
    dw_plane_rows *run[DW_PHASES];
    const struct ab_range *r = &a->range;
    const int count = ab_conv2d_phases(&a->shape, a->pass);
    if (conv2d_is_aliased(a) || a->add.data == a->dst.data || count > DW_PHASES) return false;
    for (int i = 0; i < count; i++) {
        phases[i] = ab_conv2d_phase_at(&a->shape, a->pass, i);
        dw_ascend(&phases[i].y);
        dw_ascend(&phases[i].x);
        run[i] = dw_find(&phases[i]);
        if (!run[i]) return false;
    }
    const int turn = dw_turn(a, count);
    for (int n = r->n0; n < r->n1; n++)
        for (int b = r->b0; b < r->b1; b++) {
            struct dw_plane d[DW_PHASES];
            for (int i = 0; i < count; i++) dw_open_plane(&d[i], a, &phases[i], n, b);
            for (int y = r->y0; y < r->y1; y += turn) {
                const int end = y + turn < r->y1 ? y + turn : r->y1;
                for (int i = 0; i < count; i++) {
                    const struct ab_conv2d_span rows = ab_conv2d_positions(&phases[i].y, y, end);
                    run[i](&d[i], rows.begin, rows.end);
                }
                dw_finish(a, n, b, y, end);
            }
        }
    return true;
}

AB_INLINE void conv2d_depthwise(const struct ab_conv2d_args *a)
{
    if (!dw_windows(a)) conv2d_rows(a, 1, dw_sums);
}

#endif
