// SPDX-License-Identifier: Apache-2.0
// Winograd F(m x m, 3x3) convolution, both passes, over the vector vocabulary. Include one
// vec_<isa>.h first and define WINO_OUT (m, 4 or 2), and TILE_PIXELS, TILE_BLOCKS and TILE_TABLE as
// for the direct kernel: a plane's product of weights and tiles is a 1x1 convolution whose pixels
// are tiles, so the register tile is the same.
//
// For some tens of tiles at a time: transform src into planes; multiply plane by plane, so that one
// plane's src stays in L2 while its weights stream through once; transform back, then the epilogue
// while dst is in L1. Transformed src and dst are [channel block][plane][tile][16 lanes]: the
// planes that one tile touches lie within 32 pages, and what a plane's products read of a block
// runs on into the next plane.
//
// A tile that reaches past dst's edge has 1 <= k < m outputs along that axis and needs only k + 2
// of the m + 2 points, so it takes part in fewer planes (14 x 14 pixels: 484 products instead of
// 576). Its B is that of the fewer points, scaled so that the same G serves.
//
// Tiles are anchored at dst (0,0) and each is computed alone in one order of channels, so ranges do
// not change results; rows of a tile that lie outside the range are computed and dropped.
#ifndef AB_CONV2D_WINOGRAD_TPL_H
#define AB_CONV2D_WINOGRAD_TPL_H

#include "pointwise_tpl.h"
#include "conv2d_epilogue.h"
#include "conv2d_tile_tpl.h"
#include "conv2d_winograd.h"
#include "conv2d_winograd_points.h"

enum {
    /* How many tiles ahead src and dst are fetched: an image that is not in L2 costs the transforms
     * twice their time without (64 -> 64 @224, AVX-512: 10.4 ms instead of 11.0). Fetching ahead in
     * the planes, or the next tiles' src during the products, gains nothing. */
    WINO_SRC_AHEAD = 4,
    WINO_DST_AHEAD = 2,
};

/* One tile of the block that is being worked on. */
struct wino_tile {
    int n, y, x;    /* dst position of its first pixel */
    int rows, cols; /* outputs: WINO_OUT each, but less at the edge of dst */
    int slot;       /* its place in a plane */
};

/* Tiles [first, first + count) of the range's tile grid, in order of image, tile row, tile column.
 */
struct wino {
    const struct ab_conv2d_args *a;
    int src_blocks, dst_blocks;
    int h, w;         /* dst */
    int off_y, off_x; /* src position of tap 0 for dst (0,0) */
    int row0, rows, cols;
    float *src_planes, *dst_planes;
    ptrdiff_t plane, block; /* floats to the next plane, to the next channel block */
    int first, count;
    struct wino_tile tiles[WINO_TILES];
    /* Slots: tiles short in both axes, in rows, in none, in columns. So those that take part in a
     * plane are neighbours, from kind i to kind j. */
    int kinds[5];
};

static int wino_kind(const struct wino_tile *t)
{
    const bool low = t->rows < WINO_OUT, narrow = t->cols < WINO_OUT;
    return low ? !narrow : 2 + narrow;
}

static int wino_least(int a, int b)
{
    return a < b ? a : b;
}

static void wino_place(struct wino *w)
{
    const int per_image = w->rows * w->cols;
    int next[4] = {0, 0, 0, 0};
    for (int i = 0; i < w->count; i++) {
        struct wino_tile *t = &w->tiles[i];
        const int in_image = (w->first + i) % per_image;
        t->n = w->a->range.n0 + (w->first + i) / per_image;
        t->y = (w->row0 + in_image / w->cols) * WINO_OUT;
        t->x = in_image % w->cols * WINO_OUT;
        t->rows = wino_least(w->h - t->y, WINO_OUT);
        t->cols = wino_least(w->w - t->x, WINO_OUT);
        next[wino_kind(t)]++;
    }
    w->kinds[0] = 0;
    for (int k = 0; k < 4; k++) {
        w->kinds[k + 1] = w->kinds[k] + next[k];
        next[k] = w->kinds[k];
    }
    for (int i = 0; i < w->count; i++) w->tiles[i].slot = next[wino_kind(&w->tiles[i])]++;
}

/* ---- src ---- */

/* VL lanes of one tile with rows x cols outputs, at x, to its planes at out. */
AB_INLINE void wino_src_lanes(const float *x, ptrdiff_t row, float *out, ptrdiff_t plane, int rows,
                              int cols)
{
    vec mid[WINO_IN][WINO_IN]; /* [column][row of B^T] */
    AB_UNROLL for (int c = 0; c < cols + 2; c++)
    {
        vec d[WINO_IN];
        AB_UNROLL for (int r = 0; r < rows + 2; r++) d[r] = v_load(x + r * row + c * AB_LANES);
        wino_in(rows, d, mid[c]);
    }
    AB_UNROLL for (int r = 0; r < WINO_IN; r++)
    {
        if (!wino_uses(rows, r)) continue;
        vec d[WINO_IN], t[WINO_IN];
        AB_UNROLL for (int c = 0; c < cols + 2; c++) d[c] = mid[c][r];
        wino_in(cols, d, t);
        AB_UNROLL for (int c = 0; c < WINO_IN; c++)
        {
            if (wino_uses(cols, c)) v_store(out + (r * WINO_IN + c) * plane, t[c]);
        }
    }
}

#define SRC(rows, cols)                                                                            \
    static void wino_src_##rows##_##cols(const float *x, ptrdiff_t row, float *out,                \
                                         ptrdiff_t plane)                                          \
    {                                                                                              \
        for (int l = 0; l < AB_LANES; l += VL)                                                     \
            wino_src_lanes(x + l, row, out + l, plane, rows, cols);                                \
    }
WINO_TABLE(SRC)
#undef SRC

static void (*const wino_srcs[WINO_OUT][WINO_OUT])(const float *, ptrdiff_t, float *, ptrdiff_t) = {
#define SRC(rows, cols) [rows - 1][cols - 1] = wino_src_##rows##_##cols,
    WINO_TABLE(SRC)
#undef SRC
};

/* Where a tile's src begins: dst position and tap 0. */
static const float *wino_src_at(const struct wino *w, const struct wino_tile *t, int b)
{
    const struct ab_view *v = &w->a->src;
    return v->data + ab_view_at(v, t->n, b, t->y + w->off_y, t->x + w->off_x);
}

/* Fetches the m x m pixels that a tile has not in common with those left of it and above it. */
static void wino_fetch(const float *x, ptrdiff_t row)
{
    for (int r = 2; r < WINO_IN; r++)
        for (int c = 2; c < WINO_IN; c++) v_prefetch(x + r * row + c * AB_LANES);
}

static void wino_src(const struct wino *w)
{
    const ptrdiff_t row = w->a->src.row;
    for (int b = 0; b < w->src_blocks; b++)
        for (int i = 0; i < w->count; i++) {
            const struct wino_tile *t = &w->tiles[i];
            const int later = i + WINO_SRC_AHEAD, wrapped = later - w->count;
            if (wrapped < 0)
                wino_fetch(wino_src_at(w, &w->tiles[later], b), row);
            else if (wrapped < w->count && b + 1 < w->src_blocks)
                wino_fetch(wino_src_at(w, &w->tiles[wrapped], b + 1), row);
            wino_srcs[t->rows - 1][t->cols - 1](
                wino_src_at(w, t, b), row,
                w->src_planes + b * w->block + (ptrdiff_t)t->slot * AB_LANES, w->plane);
        }
}

/* ---- the products ---- */

/* Some tiles times one or two dst blocks, over all src channels of one plane. Meanwhile a share of
 * the weights that come next is fetched into L2: from `next` on, `next_step` floats further with
 * every step over src (512 -> 512 @14: 2.6 ms instead of 3.0 with AVX-512, 2.6 instead of 3.5 with
 * AVX2; into L1 instead: 2.8 and 3.4). The shares are rounded up: a seventh of the lines left out
 * costs 4 %. Chunks of 128 or 256 src channels, whose weights would stay in L1 for all tiles, are
 * not faster. */
struct wino_job {
    const float *src, *wei, *next;
    float *dst;
    ptrdiff_t block, wei_block; /* strides of src and dst, and of weights */
    ptrdiff_t next_step;
    int src_blocks;
};

AB_INLINE void wino_product(const struct wino_job *j, int blocks, int np)
{
    const int nv = blocks * BLOCK_VECS;
    for (int half = 0; half < AB_LANES; half += BLOCK_VECS * VL) {
        const float *src = j->src, *wei = j->wei + half, *next = j->next;
        vec acc[TILE_PIXELS][TILE_VECS];
        AB_UNROLL for (int p = 0; p < np; p++)
        {
            AB_UNROLL for (int v = 0; v < nv; v++) acc[p][v] = v_zero();
        }
        for (int b = 0; b < j->src_blocks; b++) {
            for (int c = 0; c < AB_LANES; c += LANES_AT_ONCE) {
                AB_UNROLL for (int k = 0; k < blocks; k++) v_prefetch_l2(next + k * j->wei_block);
                sum_lanes(src + c, AB_LANES, wei, j->wei_block, LANES_AT_ONCE, nv, np, acc);
                wei += LANES_AT_ONCE * AB_LANES;
                next += j->next_step;
            }
            src += j->block;
        }
        AB_UNROLL for (int p = 0; p < np; p++)
        {
            AB_UNROLL for (int v = 0; v < nv; v++)
                v_store(j->dst + half + p * AB_LANES + vec_at(v, j->block), acc[p][v]);
        }
    }
}

#define TILE(blocks, np)                                                                           \
    static void wino_product_##blocks##_##np(const struct wino_job *j)                             \
    {                                                                                              \
        wino_product(j, blocks, np);                                                               \
    }
TILE_TABLE(TILE)
#undef TILE

static void (*const wino_run_product[TILE_BLOCKS][TILE_PIXELS])(const struct wino_job *) = {
#define TILE(blocks, np) [blocks - 1][np - 1] = wino_product_##blocks##_##np,
    TILE_TABLE(TILE)
#undef TILE
};

/* The slots that take part in a plane. */
static struct ab_conv2d_span wino_slots(const struct wino *w, int plane)
{
    const bool low = wino_uses(w->h % WINO_OUT, plane / WINO_IN);
    const bool narrow = wino_uses(w->w % WINO_OUT, plane % WINO_IN);
    return (struct ab_conv2d_span){w->kinds[low ? !narrow : 2], w->kinds[narrow ? 4 : 3]};
}

static void wino_plane_products(const struct wino *w, int plane)
{
    const struct ab_range *r = &w->a->range;
    const struct ab_conv2d_span slots = wino_slots(w, plane);
    const int count = slots.end - slots.begin, groups = (count + TILE_PIXELS - 1) / TILE_PIXELS;
    const ptrdiff_t stream = (ptrdiff_t)w->src_blocks * AB_LANES * AB_LANES;
    const float *pack = w->a->pack;
    struct wino_job j = {.block = w->block, .wei_block = stream, .src_blocks = w->src_blocks};
    if (groups == 0) return;
    j.next_step = (LANES_AT_ONCE * AB_LANES + groups - 1) / groups;
    for (int b = r->b0, blocks; b < r->b1; b += blocks) {
        blocks = TILE_BLOCKS == 2 && b + 1 < r->b1 ? 2 : 1;
        const bool last = b + blocks == r->b1;
        const int next_plane = (plane + last) % WINO_PLANES, next = last ? r->b0 : b + blocks;
        j.wei = pack + (plane * w->dst_blocks + b) * stream;
        j.next = pack + (next_plane * w->dst_blocks + next) * stream;
        const ptrdiff_t at = plane * w->plane + (ptrdiff_t)slots.begin * AB_LANES;
        j.src = w->src_planes + at;
        j.dst = w->dst_planes + (b - r->b0) * w->block + at;
        for (int g = 0; g < groups; g++) {
            const int np = count / groups + (g < count % groups);
            wino_run_product[blocks - 1][np - 1](&j);
            j.src += (ptrdiff_t)np * AB_LANES;
            j.dst += (ptrdiff_t)np * AB_LANES;
            j.next += stream / groups;
        }
    }
}

static void wino_products(const struct wino *w)
{
    for (int plane = 0; plane < WINO_PLANES; plane++) wino_plane_products(w, plane);
}

/* ---- dst ---- */

/* Where a run of tiles of one tile row goes: dst itself, or a buffer if the epilogue reads what dst
 * overwrites. */
struct wino_run {
    const struct ab_conv2d_args *a; /* of the chain of calls, the one that is finished */
    const struct wino_tile *tiles;
    int count, block, first_row, last_row; /* rows [first, last) of the tile row are wanted */
    float *to;
    ptrdiff_t row;
    const float *products, *bias;
};

/* The sums of VL lanes of one tile, with bias and add. */
AB_INLINE void wino_dst_lanes(const struct wino_run *run, const float *m, ptrdiff_t plane,
                              float *to, const float *bias, const float *add, ptrdiff_t add_row,
                              int rows, int cols)
{
    vec mid[WINO_IN][WINO_OUT]; /* [row of planes][column of dst] */
    AB_UNROLL for (int r = 0; r < WINO_IN; r++)
    {
        if (!wino_uses(rows, r)) continue;
        vec t[WINO_IN];
        AB_UNROLL for (int c = 0; c < WINO_IN; c++)
        {
            if (wino_uses(cols, c)) t[c] = v_load(m + (r * WINO_IN + c) * plane);
        }
        wino_out(cols, t, mid[r]);
    }
    const vec plus = bias ? v_load(bias) : v_zero();
    AB_UNROLL for (int c = 0; c < cols; c++)
    {
        vec t[WINO_IN], y[WINO_OUT];
        AB_UNROLL for (int r = 0; r < WINO_IN; r++)
        {
            if (wino_uses(rows, r)) t[r] = mid[r][c];
        }
        wino_out(rows, t, y);
        AB_UNROLL for (int r = 0; r < rows; r++)
        {
            if (r < run->first_row || r >= run->last_row) continue;
            vec sum = v_add(y[r], plus);
            if (add) sum = v_add(sum, v_load(add + r * add_row + c * AB_LANES));
            v_store(to + r * run->row + c * AB_LANES, sum);
        }
    }
}

#define DST(rows, cols)                                                                            \
    static void wino_dst_##rows##_##cols(const struct wino *w, const struct wino_run *run, int i)  \
    {                                                                                              \
        const struct wino_tile *t = &run->tiles[i];                                                \
        const struct ab_view *v = &run->a->add;                                                    \
        const float *m = run->products + (ptrdiff_t)t->slot * AB_LANES;                            \
        float *to = run->to + (ptrdiff_t)i * WINO_OUT * AB_LANES;                                  \
        const float *add = v->data ? v->data + ab_view_at(v, t->n, run->block, t->y, t->x) : NULL; \
        for (int l = 0; l < AB_LANES; l += VL)                                                     \
            wino_dst_lanes(run, m + l, w->plane, to + l, run->bias ? run->bias + l : NULL,         \
                           add ? add + l : NULL, v->row, rows, cols);                              \
    }
WINO_TABLE(DST)
#undef DST

static void (*const wino_dsts[WINO_OUT][WINO_OUT])(const struct wino *, const struct wino_run *,
                                                   int) = {
#define DST(rows, cols) [rows - 1][cols - 1] = wino_dst_##rows##_##cols,
    WINO_TABLE(DST)
#undef DST
};

enum { WINO_RUN = 56 / WINO_OUT };

static void wino_finish(const struct wino *w, struct wino_run *run)
{
    const struct ab_conv2d_args *a = run->a;
    const bool aliased = conv2d_is_aliased(a);
    _Alignas(64) float sums[WINO_OUT * WINO_RUN * WINO_OUT * AB_LANES];
    const struct wino_tile *t = run->tiles;
    float *dst = a->dst.data + ab_view_at(&a->dst, t->n, run->block, t->y, t->x);
    const int pixels = wino_least(run->count * WINO_OUT, w->w - t->x);
    run->to = aliased ? sums : dst;
    run->row = aliased ? (ptrdiff_t)WINO_RUN * WINO_OUT * AB_LANES : a->dst.row;
    for (int i = 0; i < run->count; i++) {
        const float *later = dst + (ptrdiff_t)(i + WINO_DST_AHEAD) * WINO_OUT * AB_LANES;
        for (int r = 0; r < WINO_OUT && i + WINO_DST_AHEAD < run->count; r++)
            for (int c = 0; c < WINO_OUT; c++) v_prefetch(later + r * a->dst.row + c * AB_LANES);
        wino_dsts[t[i].rows - 1][t[i].cols - 1](w, run, i);
    }
    for (int r = run->first_row; r < run->last_row; r++) {
        const struct pw_at at = {t->n, run->block, t->y + r, t->x, 1};
        float *from = run->to + r * run->row;
        if (aliased)
            conv2d_finish_copy(a, &at, from, dst + r * a->dst.row, AB_LANES, pixels);
        else
            conv2d_finish(a, &at, from, AB_LANES, pixels);
    }
}

static void wino_dst(const struct wino *w)
{
    const struct ab_range *r = &w->a->range;
    for (int b = r->b0; b < r->b1; b++) {
        for (int i = 0; i < w->count;) {
            struct wino_run run = {.tiles = &w->tiles[i], .block = b};
            const int in_row = w->cols - w->tiles[i].x / WINO_OUT, y = w->tiles[i].y;
            run.count = wino_least(wino_least(in_row, w->count - i), WINO_RUN);
            run.first_row = r->y0 > y ? r->y0 - y : 0;
            run.last_row = wino_least(wino_least(r->y1, w->h) - y, WINO_OUT);
            run.products = w->dst_planes + (b - r->b0) * w->block;
            for (run.a = w->a; run.a; run.a = run.a->next) {
                run.bias = run.a->bias && run.a->pass == AB_FWD ? run.a->bias + b * AB_LANES : NULL;
                wino_finish(w, &run);
            }
            i += run.count;
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
    const int most = ab_wino_tiles(&a->shape, a->pass, WINO_OUT);
    struct wino w = {.a = a,
                     .src_blocks = ab_blocks(ab_conv2d_src_channels(&a->shape, a->pass)),
                     .dst_blocks = ab_blocks(ab_conv2d_dst_channels(&a->shape, a->pass)),
                     .h = phase.y.count,
                     .w = phase.x.count,
                     .off_y = wino_origin(&phase.y),
                     .off_x = wino_origin(&phase.x),
                     .row0 = r->y0 / WINO_OUT,
                     .plane = ab_wino_plane(most),
                     .block = WINO_PLANES * ab_wino_plane(most),
                     .src_planes = a->scratch};
    if (r->y0 >= r->y1 || r->b0 >= r->b1) return;
    w.rows = (r->y1 + WINO_OUT - 1) / WINO_OUT - w.row0;
    w.cols = (w.w + WINO_OUT - 1) / WINO_OUT;
    w.dst_planes = w.src_planes + w.src_blocks * w.block;
    const int tiles = (r->n1 - r->n0) * w.rows * w.cols;
    const int groups = (tiles + most - 1) / most;
    for (int g = 0; g < groups; g++, w.first += w.count) {
        w.count = tiles / groups + (g < tiles % groups);
        wino_place(&w);
        wino_src(&w);
        wino_products(&w);
        wino_dst(&w);
    }
}

#endif
