// SPDX-License-Identifier: Apache-2.0
// Winograd F(4x4, 3x3) convolution, both passes, over the vector vocabulary. Include one
// vec_<isa>.h first and define TILE_PIXELS, TILE_BLOCKS and TILE_TABLE as for the direct kernel: a
// plane's product of weights and tiles is a 1x1 convolution whose pixels are tiles, so the register
// tile is the same.
//
// For WINO_TILES tiles at a time: transform src into 36 planes; multiply plane by plane, so that
// one plane's src (112 KB at 512 channels) stays in L2 while its weights stream through once;
// transform back, then the epilogue while dst is in L1. Tiles are anchored at dst (0,0) and each is
// computed alone in one order of channels, so ranges do not change results; rows of a tile that lie
// outside the range are computed and dropped.
#ifndef AB_CONV2D_WINOGRAD_TPL_H
#define AB_CONV2D_WINOGRAD_TPL_H

#include "pointwise_tpl.h"
#include "conv2d_epilogue.h"
#include "conv2d_tile_tpl.h"
#include "conv2d_winograd.h"

/* Tiles [first, first + count) of the range's tile grid, in order of image, tile row, tile column.
 */
struct wino {
    const struct ab_conv2d_args *a;
    int src_blocks, dst_blocks;
    int h, w;         /* dst */
    int off_y, off_x; /* src position of tap 0 for dst (0,0) */
    int row0, rows, cols;
    float *src_planes, *dst_planes;
    int first, count;
};

struct wino_at {
    int n, y, x; /* dst position of the tile's first pixel */
};

static struct wino_at wino_locate(const struct wino *w, int tile)
{
    const int per_image = w->rows * w->cols, in_image = tile % per_image;
    const struct wino_at at = {w->a->range.n0 + tile / per_image,
                               (w->row0 + in_image / w->cols) * WINO_OUT,
                               in_image % w->cols * WINO_OUT};
    return at;
}

/* ---- src ---- */

/* One row or column of six through B^T. */
AB_INLINE void wino_in(const vec *d, vec *t)
{
    const vec p = v_set1((float)WINO_P), q = v_set1((float)WINO_Q);
    const vec p2 = v_set1((float)(-WINO_P * WINO_P)), q2 = v_set1((float)(-WINO_Q * WINO_Q));
    const vec sum = v_set1((float)(-WINO_P * WINO_P - WINO_Q * WINO_Q));
    const vec prod = v_set1((float)(WINO_P * WINO_P * WINO_Q * WINO_Q));
    const vec e1 = v_fma(q2, d[2], d[4]), o1 = v_mul(p, v_fma(q2, d[1], d[3]));
    const vec e2 = v_fma(p2, d[2], d[4]), o2 = v_mul(q, v_fma(p2, d[1], d[3]));
    t[0] = v_fma(prod, d[0], v_fma(sum, d[2], d[4]));
    t[1] = v_add(e1, o1);
    t[2] = v_sub(e1, o1);
    t[3] = v_add(e2, o2);
    t[4] = v_sub(e2, o2);
    t[5] = v_fma(prod, d[1], v_fma(sum, d[3], d[5]));
}

/* VL lanes of one tile: 6 x 6 pixels at x to 36 planes at out. */
AB_INLINE void wino_src_lanes(const float *x, ptrdiff_t row, float *out, ptrdiff_t plane)
{
    vec mid[WINO_IN][WINO_IN]; /* [column][row of B^T] */
    AB_UNROLL for (int c = 0; c < WINO_IN; c++)
    {
        vec d[WINO_IN];
        AB_UNROLL for (int r = 0; r < WINO_IN; r++) d[r] = v_load(x + r * row + c * AB_LANES);
        wino_in(d, mid[c]);
    }
    AB_UNROLL for (int r = 0; r < WINO_IN; r++)
    {
        vec d[WINO_IN], t[WINO_IN];
        AB_UNROLL for (int c = 0; c < WINO_IN; c++) d[c] = mid[c][r];
        wino_in(d, t);
        AB_UNROLL for (int c = 0; c < WINO_IN; c++) v_store(out + (r * WINO_IN + c) * plane, t[c]);
    }
}

/* The 6x6 pixels of a tile that reaches past dst's edge: those that the last outputs need, and
 * zeros. */
static void wino_gather(const struct wino *w, const float *x, struct wino_at at, float *to)
{
    const int rows = w->h + 2 - at.y, cols = w->w + 2 - at.x;
    for (int r = 0; r < WINO_IN; r++)
        for (int c = 0; c < WINO_IN; c++)
            for (int l = 0; l < AB_LANES; l += VL)
                v_store(to + (r * WINO_IN + c) * AB_LANES + l,
                        r < rows && c < cols ? v_load(x + r * w->a->src.row + c * AB_LANES + l)
                                             : v_zero());
}

static void wino_src(const struct wino *w)
{
    const struct ab_view *v = &w->a->src;
    const ptrdiff_t plane = ab_wino_plane(w->src_blocks);
    _Alignas(64) float edge[WINO_PLANES * AB_LANES];
    for (int i = 0; i < w->count; i++) {
        const struct wino_at at = wino_locate(w, w->first + i);
        const bool inside = at.y + WINO_OUT <= w->h && at.x + WINO_OUT <= w->w;
        for (int b = 0; b < w->src_blocks; b++) {
            const float *x = v->data + ab_view_at(v, at.n, b, at.y + w->off_y, at.x + w->off_x);
            ptrdiff_t row = v->row;
            if (!inside) {
                wino_gather(w, x, at, edge);
                x = edge;
                row = (ptrdiff_t)WINO_IN * AB_LANES;
            }
            float *out = w->src_planes + ((ptrdiff_t)b * WINO_TILES + i) * AB_LANES;
            for (int l = 0; l < AB_LANES; l += VL) wino_src_lanes(x + l, row, out + l, plane);
        }
    }
}

/* ---- the products ---- */

/* np tiles times one or two dst blocks, over all src channels of one plane. */
AB_INLINE void wino_tile(const float *src, int src_blocks, const float *wei, ptrdiff_t wei_block,
                         float *dst, int blocks, int np)
{
    const int nv = blocks * BLOCK_VECS;
    const ptrdiff_t dst_block = (ptrdiff_t)WINO_TILES * AB_LANES;
    for (int half = 0; half < AB_LANES; half += BLOCK_VECS * VL) {
        vec acc[TILE_PIXELS][TILE_VECS];
        AB_UNROLL for (int p = 0; p < np; p++)
        {
            AB_UNROLL for (int v = 0; v < nv; v++) acc[p][v] = v_zero();
        }
        for (int b = 0; b < src_blocks; b++)
            sum_lanes(src + b * dst_block, AB_LANES,
                      wei + half + (ptrdiff_t)b * AB_LANES * AB_LANES, wei_block, AB_LANES, nv, np,
                      acc);
        AB_UNROLL for (int p = 0; p < np; p++)
        {
            AB_UNROLL for (int v = 0; v < nv; v++)
                v_store(dst + half + p * AB_LANES + vec_at(v, dst_block), acc[p][v]);
        }
    }
}

#define TILE(blocks, np)                                                                           \
    static void wino_tile_##blocks##_##np(const float *src, int src_blocks, const float *wei,      \
                                          ptrdiff_t wei_block, float *dst)                         \
    {                                                                                              \
        wino_tile(src, src_blocks, wei, wei_block, dst, blocks, np);                               \
    }
TILE_TABLE(TILE)
#undef TILE

static void (*const wino_tiles[TILE_BLOCKS][TILE_PIXELS])(const float *, int, const float *,
                                                          ptrdiff_t, float *) = {
#define TILE(blocks, np) [blocks - 1][np - 1] = wino_tile_##blocks##_##np,
    TILE_TABLE(TILE)
#undef TILE
};

static void wino_products(const struct wino *w, int plane)
{
    const struct ab_range *r = &w->a->range;
    const ptrdiff_t stream = (ptrdiff_t)w->src_blocks * AB_LANES * AB_LANES;
    const float *src = w->src_planes + plane * ab_wino_plane(w->src_blocks);
    const float *wei =
        (const float *)w->a->pack + plane * ab_wino_weights(w->dst_blocks, w->src_blocks);
    float *dst = w->dst_planes + plane * ab_wino_plane(r->b1 - r->b0);
    const int groups = (w->count + TILE_PIXELS - 1) / TILE_PIXELS;
    for (int b = r->b0, blocks; b < r->b1; b += blocks) {
        blocks = TILE_BLOCKS == 2 && b + 1 < r->b1 ? 2 : 1;
        for (int g = 0, done = 0; g < groups; g++) {
            const int np = w->count / groups + (g < w->count % groups);
            wino_tiles[blocks - 1][np - 1](
                src + (ptrdiff_t)done * AB_LANES, w->src_blocks, wei + b * stream, stream,
                dst + ((ptrdiff_t)(b - r->b0) * WINO_TILES + done) * AB_LANES);
            done += np;
        }
    }
}

/* ---- dst ---- */

/* Six products through A^T: four outputs. */
AB_INLINE void wino_out(const vec *m, vec *y)
{
    const vec p = v_set1((float)WINO_P), q = v_set1((float)WINO_Q);
    const vec p2 = v_set1((float)(WINO_P * WINO_P)), q2 = v_set1((float)(WINO_Q * WINO_Q));
    const vec p3 = v_set1((float)(WINO_P * WINO_P * WINO_P));
    const vec q3 = v_set1((float)(WINO_Q * WINO_Q * WINO_Q));
    const vec e1 = v_add(m[1], m[2]), o1 = v_sub(m[1], m[2]);
    const vec e2 = v_add(m[3], m[4]), o2 = v_sub(m[3], m[4]);
    y[0] = v_add(v_add(m[0], e1), e2);
    y[1] = v_fma(p, o1, v_mul(q, o2));
    y[2] = v_fma(p2, e1, v_mul(q2, e2));
    y[3] = v_fma(p3, o1, v_fma(q3, o2, m[5]));
}

/* VL lanes of one tile's 4 x 4 sums, to y[row][column]. */
AB_INLINE void wino_dst_lanes(const float *m, ptrdiff_t plane, vec y[WINO_OUT][WINO_OUT])
{
    vec mid[WINO_IN][WINO_OUT]; /* [row of planes][column of dst] */
    AB_UNROLL for (int r = 0; r < WINO_IN; r++)
    {
        vec t[WINO_IN];
        AB_UNROLL for (int c = 0; c < WINO_IN; c++) t[c] = v_load(m + (r * WINO_IN + c) * plane);
        wino_out(t, mid[r]);
    }
    AB_UNROLL for (int c = 0; c < WINO_OUT; c++)
    {
        vec t[WINO_IN], out[WINO_OUT];
        AB_UNROLL for (int r = 0; r < WINO_IN; r++) t[r] = mid[r][c];
        wino_out(t, out);
        AB_UNROLL for (int r = 0; r < WINO_OUT; r++) y[r][c] = out[r];
    }
}

/* Where a run of tiles of one tile row goes: dst itself, or a buffer if the epilogue reads what dst
 * overwrites. */
struct wino_run {
    struct wino_at at;
    int block, tiles, first_row, last_row; /* rows [first, last) of the tile row are wanted */
    const float *products;
    float *to;
    ptrdiff_t row;
};

/* The sums of one tile, with bias and add. */
static void wino_store(const struct wino *w, const struct wino_run *run, int tile)
{
    const struct ab_conv2d_args *a = w->a;
    const ptrdiff_t plane = ab_wino_plane(a->range.b1 - a->range.b0);
    const int x = run->at.x + tile * WINO_OUT;
    const int cols = w->w - x < WINO_OUT ? w->w - x : WINO_OUT;
    const bool biased = a->bias && a->pass == AB_FWD;
    for (int l = 0; l < AB_LANES; l += VL) {
        vec y[WINO_OUT][WINO_OUT];
        wino_dst_lanes(run->products + tile * AB_LANES + l, plane, y);
        const vec bias = biased ? v_load(a->bias + run->block * AB_LANES + l) : v_zero();
        for (int r = run->first_row; r < run->last_row; r++) {
            float *to = run->to + r * run->row + (ptrdiff_t)tile * WINO_OUT * AB_LANES + l;
            const float *add =
                a->add.data
                    ? a->add.data + ab_view_at(&a->add, run->at.n, run->block, run->at.y + r, x) + l
                    : NULL;
            for (int c = 0; c < cols; c++) {
                vec sum = v_add(y[r][c], bias);
                if (add) sum = v_add(sum, v_load(add + c * AB_LANES));
                v_store(to + c * AB_LANES, sum);
            }
        }
    }
}

enum { WINO_RUN = 14 };

static void wino_finish(const struct wino *w, struct wino_run *run)
{
    const struct ab_conv2d_args *a = w->a;
    const bool aliased = conv2d_is_aliased(a);
    _Alignas(64) float sums[WINO_OUT * WINO_RUN * WINO_OUT * AB_LANES];
    float *dst = a->dst.data + ab_view_at(&a->dst, run->at.n, run->block, run->at.y, run->at.x);
    const int reach = run->tiles * WINO_OUT, left = w->w - run->at.x;
    const int pixels = left < reach ? left : reach;
    run->to = aliased ? sums : dst;
    run->row = aliased ? (ptrdiff_t)WINO_RUN * WINO_OUT * AB_LANES : a->dst.row;
    for (int t = 0; t < run->tiles; t++) wino_store(w, run, t);
    for (int r = run->first_row; r < run->last_row; r++) {
        const struct pw_at at = {run->at.n, run->block, run->at.y + r, run->at.x, 1};
        float *from = run->to + r * run->row;
        if (aliased)
            conv2d_finish_copy(a, &at, from, dst + r * a->dst.row, AB_LANES, pixels);
        else
            conv2d_finish(a, &at, from, AB_LANES, pixels);
    }
}

static void wino_dst(const struct wino *w)
{
    const struct ab_range *range = &w->a->range;
    for (int b = range->b0; b < range->b1; b++) {
        for (int i = 0; i < w->count;) {
            struct wino_run run = {.at = wino_locate(w, w->first + i), .block = b};
            const int in_row = w->cols - run.at.x / WINO_OUT, most = w->count - i;
            run.tiles = in_row < most ? in_row : most;
            if (run.tiles > WINO_RUN) run.tiles = WINO_RUN;
            const int end = range->y1 < w->h ? range->y1 : w->h;
            run.first_row = range->y0 > run.at.y ? range->y0 - run.at.y : 0;
            run.last_row = end - run.at.y < WINO_OUT ? end - run.at.y : WINO_OUT;
            run.products = w->dst_planes + ((ptrdiff_t)(b - range->b0) * WINO_TILES + i) * AB_LANES;
            wino_finish(w, &run);
            i += run.tiles;
        }
    }
}

/* ---- all ---- */

/* Src position of the lowest tap at dst 0 along one axis: taps run up in forward, down in
 * backward-data. */
static int wino_origin(const struct ab_conv2d_axis *axis)
{
    return axis->dstep > 0 ? axis->d0 : axis->d0 - 2;
}

AB_INLINE void conv2d_winograd(const struct ab_conv2d_args *a)
{
    const struct ab_conv2d_phase phase = ab_conv2d_phase_at(&a->shape, a->pass, 0);
    const struct ab_range *r = &a->range;
    struct wino w = {.a = a,
                     .src_blocks = ab_blocks(ab_conv2d_src_channels(&a->shape, a->pass)),
                     .dst_blocks = ab_blocks(ab_conv2d_dst_channels(&a->shape, a->pass)),
                     .h = phase.y.count,
                     .w = phase.x.count,
                     .off_y = wino_origin(&phase.y),
                     .off_x = wino_origin(&phase.x),
                     .row0 = r->y0 / WINO_OUT,
                     .src_planes = a->scratch};
    if (r->y0 >= r->y1 || r->b0 >= r->b1) return;
    w.rows = (r->y1 + WINO_OUT - 1) / WINO_OUT - w.row0;
    w.cols = (w.w + WINO_OUT - 1) / WINO_OUT;
    w.dst_planes = w.src_planes + WINO_PLANES * ab_wino_plane(w.src_blocks);
    const int tiles = (r->n1 - r->n0) * w.rows * w.cols;
    const int groups = (tiles + WINO_TILES - 1) / WINO_TILES;
    for (int g = 0; g < groups; g++, w.first += w.count) {
        w.count = tiles / groups + (g < tiles % groups);
        wino_src(&w);
        for (int plane = 0; plane < WINO_PLANES; plane++) wino_products(&w, plane);
        wino_dst(&w);
    }
}

#endif
