// SPDX-License-Identifier: Apache-2.0
// Forward conv2d of few src channels, the first layer of a network, over the vector vocabulary.
// Include one vec_<isa>.h first and define IMAGE_PIXELS and IMAGE_BLOCKS (1 or 2), argued for in
// conv2d_<isa>_image.c. Rows are at least IMAGE_PIXELS wide.
//
// Against the direct kernel: src channels and the step of pixels are constants, so that the loop
// over lanes unrolls and the addresses are one register; every tile is full, since the last one of
// a row overlaps its neighbour; and the blocks of a group take turns at each tile, so that src
// comes once per row from beyond L1 and dst is stored to at an even pace. dst is larger than L2
// here, and a burst of stores stalls: wide tiles lose what narrow ones win.
#ifndef AB_CONV2D_IMAGE_TPL_H
#define AB_CONV2D_IMAGE_TPL_H

#include "pointwise_tpl.h"
#include "conv2d_epilogue.h"

enum {
    IMAGE_VECS = AB_LANES / VL < 2 ? AB_LANES / VL : 2, /* of one dst block in a tile */
    IMAGE_SUMS = IMAGE_BLOCKS * IMAGE_VECS,
    IMAGE_GROUP = 4,              /* blocks that take turns at most: 64 channels */
    IMAGE_GROUP_BYTES = 16 << 10, /* of weights: half of an L1 */
    IMAGE_ROWS = 8,               /* that one group computes before the next one does */
};

/* One row of a group of dst blocks. */
struct image_row {
    const float *src;                    /* position 0, first tap inside src */
    const float *wei;                    /* of the row of that tap, first block */
    const float *add, *bias;             /* of the first block; or NULL */
    ptrdiff_t src_row, src_col, src_pix; /* of taps, taps, positions */
    ptrdiff_t wei_block, add_block;
    int rows, cols, channels, blocks; /* taps inside src, src channels, dst blocks */
};

/* One tile of it. */
struct image_tile {
    const float *src, *wei, *bias, *add;
    float *dst;
    ptrdiff_t add_block, dst_block;
};

/* Constants where they are used: dst blocks of a tile, src channels and src columns from position
 * to position. 0: what the row says. */
struct image_kind {
    int blocks, channels, step;
};

AB_INLINE ptrdiff_t image_at(int v, ptrdiff_t block)
{
    return v / IMAGE_VECS * block + v % IMAGE_VECS * VL;
}

AB_INLINE void image_lane(const float *x, ptrdiff_t pix, const float *w, ptrdiff_t wei_block,
                          int nv, vec acc[][IMAGE_SUMS])
{
    vec wv[IMAGE_SUMS];
    AB_UNROLL for (int v = 0; v < nv; v++) wv[v] = v_load(w + image_at(v, wei_block));
    AB_UNROLL for (int p = 0; p < IMAGE_PIXELS; p++)
    {
        const vec xv = v_bcast(x + p * pix);
        AB_UNROLL for (int v = 0; v < nv; v++) acc[p][v] = v_fma(wv[v], xv, acc[p][v]);
    }
}

AB_INLINE void image_store(const struct image_tile *t, int nv, vec acc[][IMAGE_SUMS])
{
    AB_UNROLL for (int v = 0; v < nv; v++)
    {
        const vec bias = t->bias ? v_load(t->bias + image_at(v, AB_LANES)) : v_zero();
        AB_UNROLL for (int p = 0; p < IMAGE_PIXELS; p++) acc[p][v] = v_add(acc[p][v], bias);
    }
    AB_UNROLL for (int v = 0; v < nv; v++)
    {
        if (!t->add) break;
        const float *add = t->add + image_at(v, t->add_block);
        AB_UNROLL for (int p = 0; p < IMAGE_PIXELS; p++) acc[p][v] =
            v_add(acc[p][v], v_load(add + p * AB_LANES));
    }
    AB_UNROLL for (int v = 0; v < nv; v++)
    {
        float *out = t->dst + image_at(v, t->dst_block);
        AB_UNROLL for (int p = 0; p < IMAGE_PIXELS; p++) v_store(out + p * AB_LANES, acc[p][v]);
    }
}

AB_INLINE void image_sums(const struct image_row *r, struct image_kind k,
                          const struct image_tile *t)
{
    const int nv = k.blocks * IMAGE_VECS;
    const int channels = k.channels ? k.channels : r->channels;
    const ptrdiff_t pix = k.step ? k.step * AB_LANES : r->src_pix;
    const float *w = t->wei, *row = t->src;
    vec acc[IMAGE_PIXELS][IMAGE_SUMS];
    AB_UNROLL for (int p = 0; p < IMAGE_PIXELS; p++)
    {
        AB_UNROLL for (int v = 0; v < nv; v++) acc[p][v] = v_zero();
    }
    for (int ty = 0; ty < r->rows; ty++, row += r->src_row) {
        const float *at = row;
        for (int tx = 0; tx < r->cols; tx++, at += r->src_col) {
            AB_UNROLL for (int c = 0; c < k.channels; c++, w += AB_LANES)
                image_lane(at + c, pix, w, r->wei_block, nv, acc);
            for (int c = k.channels; c < channels; c++, w += AB_LANES)
                image_lane(at + c, pix, w, r->wei_block, nv, acc);
        }
    }
    image_store(t, nv, acc);
}

/* What the next dst row adds to src under a tile, at a stride: there src takes several lines a
 * pixel. Where a batch exceeds L3 this is worth 5-30 % (Zen 4, batch 4: 7x7 stride 2 AVX2 109
 * GFLOP/s against 98, 3x3 stride 2 77 against 59), and costs 2-3 % of 3x3 where it does not. */
AB_INLINE void image_ahead(const struct image_row *r, int step, int x)
{
    for (int j = 0; j < step && step > 1; j++) {
        const float *ahead =
            r->src + (r->rows + j) * r->src_row + (x * step + r->cols - step) * AB_LANES;
        AB_UNROLL for (int p = 0; p < IMAGE_PIXELS * step; p++) v_prefetch(ahead + p * AB_LANES);
    }
}

/* `tiles` tiles of all blocks of the row from position x. */
AB_INLINE void image_run(const struct image_row *r, struct image_kind k, int x, int tiles,
                         float *out, ptrdiff_t out_block)
{
    const ptrdiff_t pix = k.step ? k.step * AB_LANES : r->src_pix;
    struct image_tile t = {.add_block = r->add_block, .dst_block = out_block};
    for (int i = 0; i < tiles; i++, x += IMAGE_PIXELS, out += IMAGE_PIXELS * AB_LANES) {
        image_ahead(r, k.step, x);
        for (ptrdiff_t b = 0; b < r->blocks; b += k.blocks)
            for (ptrdiff_t half = 0; half < AB_LANES; half += IMAGE_VECS * VL) {
                t.src = r->src + x * pix;
                t.wei = r->wei + b * r->wei_block + half;
                t.bias = r->bias ? r->bias + b * AB_LANES + half : NULL;
                t.add = r->add ? r->add + b * r->add_block + x * AB_LANES + half : NULL;
                t.dst = out + b * out_block + half;
                image_sums(r, k, &t);
            }
    }
}

typedef void image_tiles(const struct image_row *r, int x, int tiles, float *out,
                         ptrdiff_t out_block);

/* Colour and grey images at the usual strides, and everything. */
#define IMAGE_KINDS(K) K(3, 1) K(3, 2) K(3, 4) K(1, 1) K(0, 0)

#define IMAGE_KIND(channels, step)                                                                 \
    static void image_##channels##step(const struct image_row *r, int x, int tiles, float *out,    \
                                       ptrdiff_t out_block)                                        \
    {                                                                                              \
        if (r->blocks % IMAGE_BLOCKS == 0)                                                         \
            image_run(r, (struct image_kind){IMAGE_BLOCKS, channels, step}, x, tiles, out,         \
                      out_block);                                                                  \
        else                                                                                       \
            image_run(r, (struct image_kind){1, channels, step}, x, tiles, out, out_block);        \
    }
IMAGE_KINDS(IMAGE_KIND)
#undef IMAGE_KIND

static image_tiles *image_find(const struct ab_conv2d_shape *s)
{
#define IMAGE_KIND(channels, step)                                                                 \
    if ((!channels || s->ic == channels) && (!step || s->sw == step)) return image_##channels##step;
    IMAGE_KINDS(IMAGE_KIND)
#undef IMAGE_KIND
    return NULL;
}

/* One tile by way of a buffer: positions [x + skip, x + IMAGE_PIXELS) go to dst. */
static void image_by_copy(const struct ab_conv2d_args *a, const struct image_row *r,
                          struct pw_at at, int x, int skip)
{
    _Alignas(64) float sums[IMAGE_GROUP][IMAGE_PIXELS * AB_LANES];
    image_find (&a->shape)(r, x, 1, sums[0], IMAGE_PIXELS * AB_LANES);
    at.x0 = x + skip;
    for (int b = 0; b < r->blocks; b++, at.block++) {
        float *dst = a->dst.data + ab_view_at(&a->dst, at.n, at.block, at.y, at.x0);
        conv2d_finish_copy(a, &at, sums[b] + skip * AB_LANES, dst, AB_LANES, IMAGE_PIXELS - skip);
    }
}

/* Row y of the group that starts with at.block. */
static void image_run_row(const struct ab_conv2d_args *a, const struct image_row *r,
                          struct pw_at at)
{
    const int width = a->shape.ow, tiles = width / IMAGE_PIXELS, done = tiles * IMAGE_PIXELS;
    float *dst = a->dst.data + ab_view_at(&a->dst, at.n, at.block, at.y, 0);
    if (conv2d_is_aliased(a)) {
        for (int x = 0; x < done; x += IMAGE_PIXELS) image_by_copy(a, r, at, x, 0);
    } else {
        struct pw_at each = at;
        image_find (&a->shape)(r, 0, tiles, dst, a->dst.block);
        for (int b = 0; b < r->blocks; b++, each.block++)
            conv2d_finish(a, &each, dst + b * a->dst.block, AB_LANES, done);
    }
    if (done < width) image_by_copy(a, r, at, width - IMAGE_PIXELS, IMAGE_PIXELS - (width - done));
}

/* Rows [y0,y1) of a group of `blocks` dst blocks. */
static void image_rows(const struct ab_conv2d_args *a, int n, int block, int blocks, int y0, int y1)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const struct ab_conv2d_phase p = ab_conv2d_phase_at(s, AB_FWD, 0);
    struct image_row r = {
        .src_row = p.y.dstep * a->src.row,
        .src_col = (ptrdiff_t)p.x.dstep * AB_LANES,
        .src_pix = (ptrdiff_t)p.x.src_step * AB_LANES,
        .bias = a->bias ? a->bias + block * AB_LANES : NULL,
        .wei_block = ab_conv2d_stream(&p, s->ic),
        .add_block = a->add.block,
        .cols = s->kw,
        .channels = s->ic,
        .blocks = blocks,
    };
    for (int y = y0; y < y1; y++) {
        const struct ab_conv2d_span inside = ab_conv2d_inside(&p.y, y, s->ih);
        const int sy = y * p.y.src_step + p.y.d0 + inside.begin * p.y.dstep;
        r.rows = inside.end - inside.begin;
        r.src = a->src.data;
        if (r.rows > 0) r.src += ab_view_at(&a->src, n, 0, sy, p.x.d0);
        r.wei = (const float *)a->pack + ab_conv2d_stream_at(a, &p, s->ic, block) +
                (ptrdiff_t)inside.begin * s->kw * s->ic * AB_LANES;
        r.add = a->add.data ? a->add.data + ab_view_at(&a->add, n, block, y, 0) : NULL;
        image_run_row(a, &r, (struct pw_at){n, block, y, 0, 1});
    }
}

/* Blocks of the group at hand, of those left: an even number unless one is left. */
static int image_group(const struct ab_conv2d_shape *s, int left)
{
    const int fit = IMAGE_GROUP_BYTES / (s->kh * s->kw * s->ic * AB_LANES * (int)sizeof(float));
    const int most = fit < IMAGE_BLOCKS ? IMAGE_BLOCKS : fit < IMAGE_GROUP ? fit : IMAGE_GROUP;
    const int blocks = left < most ? left : most;
    return blocks > IMAGE_BLOCKS ? blocks / IMAGE_BLOCKS * IMAGE_BLOCKS : blocks;
}

AB_INLINE void conv2d_image(const struct ab_conv2d_args *a)
{
    const struct ab_range *r = &a->range;
    for (int n = r->n0; n < r->n1; n++)
        for (int y = r->y0; y < r->y1; y += IMAGE_ROWS) {
            const int end = y + IMAGE_ROWS < r->y1 ? y + IMAGE_ROWS : r->y1;
            for (int b = r->b0, blocks; b < r->b1; b += blocks) {
                blocks = image_group(&a->shape, r->b1 - b);
                image_rows(a, n, b, blocks, y, end);
            }
        }
}

#endif
