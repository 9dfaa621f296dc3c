// SPDX-License-Identifier: Apache-2.0
// Direct convolution, both passes, over the vector vocabulary. Include one vec_<isa>.h first and
// define TILE_PIXELS, TILE_BLOCKS (1 or 2), TILE_NARROW and TILE_CHUNK, argued for in
// conv2d_<isa>.c, and TILE_TABLE, the tiles by halves of dst blocks and pixels.
//
// Loops: image, block of rows, phase, chunk of src channels, dst block(s), row, tile of pixels;
// inside a tile: src block, tap, src lane. A tile's accumulators live in registers for one whole
// chunk and are then added to dst, so dst is touched once per chunk, the weights of (chunk, dst
// blocks) stay in L2 for all rows of the row block, and the src rows of a row block for all dst
// blocks. The partial sums of chunks also shorten the longest rounding chain.
//
// What a tile will need next is fetched while it computes: weights of the next dst blocks, src of
// the next tile where this is the first to read it, dst lines about to be stored. Without that,
// layers with more weights than L2 holds lose 20 %, 1x1 layers at batch 4 up to 20 %.
//
// Every element is the sum over taps and channels in one fixed order, chunk by chunk; chunks depend
// on the shape alone. Only tile widths and row blocks depend on the range, and they do not matter.
#ifndef AB_CONV2D_TPL_H
#define AB_CONV2D_TPL_H

#include <limits.h>

#include "pointwise_tpl.h"
#include "conv2d_epilogue.h"
#include "conv2d_tile_tpl.h"

enum {
    /* Products with the halo's zeros are left out at both ends of a row: 9.5 % of a 7x7 image. With
     * three forms of the sums gcc 12 leaves two moves in NEON's loops (80 % of the ports of a
     * Neoverse V1 by llvm-mca, without them 100 %). */
    SKIPS_HALO = VL > 4,
    /* Products per output and chunk: 1152 * 32 dst lanes * 4 bytes = 147 KB of weights, which
     * leaves most of an L2 of 512 KB and more to src rows. Shorter chunks store dst more often
     * (16 channels cost 5-10 %), much longer ones miss L2. */
    CHUNK_PRODUCTS = 1152,
    /* The same where a product is a src channel: 1x1 kernels. */
    CHUNK_ONE_TAP = TILE_CHUNK,
    /* Bytes of src that one row block reads: the other tenant of L2. */
    ROWS_BYTES = 256 * 1024,
    HALVES_MAX = TILE_BLOCKS == 1 && TILE_NARROW != 0 ? 3 : 2 * TILE_BLOCKS,
    BLOCKS_MAX = (HALVES_MAX + 1) / 2,
};

/* One tile: neighbouring positions times one or two dst blocks, over one chunk. Strides in floats.
 */
struct tile {
    const float *src;             /* pixel 0, first tap inside the image, first channel */
    const float *wei;             /* the chunk's part of the stream of the first dst block */
    ptrdiff_t wei_block;          /* to the next dst block */
    ptrdiff_t wei_lead, wei_tail; /* weights of the rows outside src, before and after; per lane */
    ptrdiff_t src_block, src_row, src_col, src_pix;
    int begin, end;      /* src channels */
    int rows, cols;      /* taps */
    int x, x_tap, width; /* src column of pixel 0 at the first tap, step per tap; src columns */
    const float *ahead;  /* weights that follow this part's: fetched into L2, a share per tile */
    int ahead_lines;
    bool fetch;    /* src of the next tile: not yet in L2 */
    ptrdiff_t gap; /* to the dst row below, if stride 2 leaves it to other phases; else 0 */
    float *dst;
    const float *plus, *bias; /* added to the sum; NULL: nothing */
    ptrdiff_t dst_block, dst_pix, plus_block, plus_pix;
};

/* Tiles count their dst lanes in halves of blocks, 8 lanes: 3 are a block and the next one's first
 * half, the rest of which is padding. */
AB_INLINE int vecs_of(int halves)
{
    return VL == 16 ? (halves + 1) / 2 : halves;
}

/* Whether 8 lanes of a tile's last vector are padding. Zen 4 adds 8 lanes in half the time of 16;
 * where both take a cycle nothing is lost. */
AB_INLINE bool has_half(int halves)
{
    return VL == 16 && halves % 2;
}

/* sum_lanes for tiles of a vector and a half. */
AB_INLINE void sum_with_half(const float *x, ptrdiff_t pix, const float *w, ptrdiff_t wei_block,
                             int lanes, int np, vec acc[][TILE_VECS])
{
    for (int c = 0; c < lanes; c++, x++, w += AB_LANES) {
        const vec whole = v_load(w), half = v_load(w + wei_block);
        AB_UNROLL for (int p = 0; p < np; p++)
        {
            const vec xv = v_bcast(x + p * pix);
            acc[p][0] = v_fma(whole, xv, acc[p][0]);
            acc[p][1] = v_fma_8(half, xv, acc[p][1]);
        }
    }
}

AB_INLINE void sum_halves(const float *x, ptrdiff_t pix, const float *w, ptrdiff_t wei_block,
                          int lanes, int halves, int np, vec acc[][TILE_VECS])
{
    if (has_half(halves))
        sum_with_half(x, pix, w, wei_block, lanes, np, acc);
    else
        sum_lanes(x, pix, w, wei_block, lanes, vecs_of(halves), np, acc);
}

/* Sums of one half, or all, of the tile's blocks into dst. The fields are copied first, since any
 * store of a vector might change them: reading them again for each costs small tiles 5 %. */
AB_INLINE void store_sums(const struct tile *tile, int half, int halves, int np,
                          vec acc[][TILE_VECS])
{
    const struct tile t = *tile;
    const int nv = vecs_of(halves);
    if (has_half(halves)) AB_UNROLL for (int p = 0; p < np; p++) acc[p][1] = v_keep_8(acc[p][1]);
    AB_UNROLL for (int v = 0; v < nv; v++)
    {
        const vec bias = t.bias ? v_load(t.bias + half + vec_at(v, AB_LANES)) : v_zero();
        float *dst = t.dst + half + vec_at(v, t.dst_block);
        AB_UNROLL for (int p = 0; p < np; p++) acc[p][v] = v_add(acc[p][v], bias);
        if (t.plus) {
            const float *plus = t.plus + half + vec_at(v, t.plus_block);
            AB_UNROLL for (int p = 0; p < np; p++) acc[p][v] =
                v_add(acc[p][v], v_load(plus + p * t.plus_pix));
        }
        AB_UNROLL for (int p = 0; p < np; p++) v_store(dst + p * t.dst_pix, acc[p][v]);
    }
    if (nv % BLOCK_VECS == 0) return;
    float *rest = t.dst + vec_at(nv, t.dst_block);
    AB_UNROLL for (int p = 0; p < np; p++) v_store(rest + p * t.dst_pix, v_zero());
}

/* A share of the next part's weights. */
AB_INLINE const float *fetch_ahead(const struct tile *t, const float *ahead, int blocks)
{
    for (int i = 0; i < t->ahead_lines; i++, ahead += AB_LANES)
        for (int b = 0; b < blocks; b++) v_prefetch_l2(ahead + b * t->wei_block);
    return ahead;
}

/* What the tile stores to, while it is computed: few sums hide a miss of theirs. */
AB_INLINE void fetch_dst(const struct tile *t, int blocks, int np)
{
    AB_UNROLL for (int p = 0; p < np; p++)
    {
        for (int b = 0; b < blocks; b++) v_prefetch(t->dst + p * t->dst_pix + b * t->dst_block);
    }
}

/* What lies beside pixel p of a backward pass at stride 2, which later phases store: without this a
 * 3x3 kernel loses 5 to 9 % on AVX2. */
AB_INLINE void fetch_gap(const struct tile *t, int blocks, int p, int np)
{
    if (p >= np) return;
    const float *d = t->dst + p * t->dst_pix;
    for (int b = 0; b < blocks; b++, d += t->dst_block) {
        v_prefetch_l2(d + AB_LANES);
        v_prefetch_l2(d + t->gap);
        v_prefetch_l2(d + t->gap + AB_LANES);
    }
}

/* All taps of one src block. A pixel whose column lies outside src is left out where it is the
 * first or the last of a tile: of the 21 column taps of a row of 7 under a 3x3 kernel two are such.
 */
AB_INLINE const float *sum_taps(const struct tile *t, const float *src, ptrdiff_t pix,
                                const float *w, const float **ahead, int lanes, int halves, int np,
                                int step, vec acc[][TILE_VECS])
{
    /* The last tap row of the next tile: the others are in cache since the dst row before. */
    const float *next = src + (t->rows - 1) * t->src_row + np * pix;
    for (int ty = 0; ty < t->rows; ty++) {
        const float *x = src + ty * t->src_row;
        for (int tx = 0, at = t->x; tx < t->cols; tx++, x += t->src_col, at += t->x_tap) {
            if (t->fetch) {
                v_prefetch(next);
                if (np > AB_LANES / 2) v_prefetch(next + pix);
                next += np > AB_LANES / 2 ? 2 * pix : pix;
            }
            *ahead = fetch_ahead(t, *ahead, (halves + 1) / 2);
            if (SKIPS_HALO && step && at < 0)
                sum_halves(x + pix, pix, w, t->wei_block, lanes, halves, np - 1, acc + 1);
            else if (SKIPS_HALO && step && at + (np - 1) * step >= t->width)
                sum_halves(x, pix, w, t->wei_block, lanes, halves, np - 1, acc);
            else
                sum_halves(x, pix, w, t->wei_block, lanes, halves, np, acc);
            w += lanes * AB_LANES;
        }
    }
    return w;
}

/* One tap of a whole src block. The next tile's part of the block is fetched meanwhile, a pixel
 * (a line of 64 bytes) every one or two lanes: all at once they stall at the L1 miss buffers. */
AB_INLINE void sum_one(const float *x, ptrdiff_t pix, const float *w, ptrdiff_t wei_block,
                       bool fetch, int halves, int np, vec acc[][TILE_VECS])
{
    /* gcc 12 keeps 3 vectors x 4 pixels in 16 registers only if lanes come one by one. */
    const bool single = np > AB_LANES / 2 || vecs_of(halves) == 3;
    const int lanes = LANES_AT_ONCE > 1 ? LANES_AT_ONCE : single ? 1 : 2;
    const ptrdiff_t pace = !fetch ? 0 : vecs_of(halves) == 3 ? pix / 4 : pix;
    const float *next = fetch ? x + np * pix : x;
    for (int c = 0; c < AB_LANES; c += lanes, next += pace) {
        v_prefetch(next);
        sum_halves(x + c, pix, w + c * AB_LANES, wei_block, lanes, halves, np, acc);
    }
}

/* The tile with constant counts of halves of dst blocks and pixels. `step`: src_pix = step*16, or
 * any if 0; `one`: a single tap, and src channels from the start of a block. */
AB_INLINE void tile_body(const struct tile *t, int halves, int np, int step, bool one)
{
    const int nv = vecs_of(halves), blocks = (halves + 1) / 2;
    const ptrdiff_t pix = step ? step * AB_LANES : t->src_pix;
    for (int half = 0; half < AB_LANES; half += BLOCK_VECS * VL) {
        vec acc[TILE_PIXELS][TILE_VECS];
        AB_UNROLL for (int p = 0; p < np; p++)
        {
            AB_UNROLL for (int v = 0; v < nv; v++) acc[p][v] = v_zero();
        }
        const float *src = t->src, *w = t->wei + half, *ahead = t->ahead;
        if (one) fetch_dst(t, blocks, np);
        for (int c = t->begin; c < t->end;) {
            const int block_end = (c / AB_LANES + 1) * AB_LANES;
            const int lanes = (block_end < t->end ? block_end : t->end) - c;
            if (one) {
                ahead = fetch_ahead(t, ahead, blocks);
                if (t->gap) fetch_gap(t, blocks, (c - t->begin) / AB_LANES, np);
                if (lanes == AB_LANES)
                    sum_one(src, pix, w, t->wei_block, t->fetch, halves, np, acc);
                else
                    sum_halves(src, pix, w, t->wei_block, lanes, halves, np, acc);
                w += lanes * AB_LANES;
            } else {
                w = sum_taps(t, src, pix, w + lanes * t->wei_lead, &ahead, lanes, halves, np, step,
                             acc) +
                    lanes * t->wei_tail;
            }
            src += t->src_block - (one ? 0 : c % AB_LANES);
            c += lanes;
        }
        store_sums(t, half, halves, np, acc);
    }
}

/* What tiles are specialised for besides their size. */
enum kind { ANY_STEP, STEP_1, STEP_2, ONE_TAP, KINDS };

#define TILE_KIND(halves, np, kind, step, one)                                                     \
    static void tile_##halves##_##np##_##kind(const struct tile *t)                                \
    {                                                                                              \
        tile_body(t, halves, np, step, one);                                                       \
    }
#define TILE(halves, np)                                                                           \
    TILE_KIND(halves, np, ANY_STEP, 0, false)                                                      \
    TILE_KIND(halves, np, STEP_1, 1, false)                                                        \
    TILE_KIND(halves, np, STEP_2, 2, false)                                                        \
    TILE_KIND(halves, np, ONE_TAP, 1, true)
TILE_TABLE(TILE)
#undef TILE

#define TILE_AT(halves, np, kind) [kind][halves][np - 1] = tile_##halves##_##np##_##kind,
#define TILE(halves, np)                                                                           \
    TILE_AT(halves, np, ANY_STEP)                                                                  \
    TILE_AT(halves, np, STEP_1)                                                                    \
    TILE_AT(halves, np, STEP_2)                                                                    \
    TILE_AT(halves, np, ONE_TAP)
static void (*const tiles[KINDS][HALVES_MAX + 1][TILE_PIXELS])(const struct tile *) = {
    TILE_TABLE(TILE)};
#undef TILE

static enum kind kind_of(const struct tile *t, int src_step)
{
    const bool one = t->rows * t->cols == 1 && src_step == 1 && t->wei_lead == 0 &&
                     t->wei_tail == 0 && t->begin % AB_LANES == 0;
    return one ? ONE_TAP : src_step == 1 ? STEP_1 : src_step == 2 ? STEP_2 : ANY_STEP;
}

/* One phase of one image, and what its rows have in common. */
struct job {
    const struct ab_conv2d_args *a;
    struct ab_conv2d_phase phase;
    int n;
    int inputs_max;
    int chunk_blocks;
    bool flat;    /* rows follow each other without a gap: 1x1 kernels take them as one */
    bool aliased; /* the epilogue reads what dst overwrites */
};

/* A chunk of src channels for one or two dst blocks. */
struct part {
    int block, blocks, halves;
    struct ab_conv2d_span inputs, chunk;
    bool first, last;
};

static bool follows(const struct ab_view *v, int width)
{
    return !v->data || v->row == (ptrdiff_t)width * AB_LANES;
}

static bool is_flat(const struct ab_conv2d_args *a, const struct ab_conv2d_phase *p)
{
    const int width = p->x.count;
    return p->y.taps == 1 && p->x.taps == 1 && p->y.dst_step == 1 && p->x.dst_step == 1 &&
           p->y.src_step == 1 && p->x.src_step == 1 && p->y.d0 == 0 && p->x.d0 == 0 &&
           ab_conv2d_src_h(&a->shape, a->pass) >= p->y.count && follows(&a->src, width) &&
           follows(&a->dst, width) && follows(&a->add, width) && follows(&a->f.a, width) &&
           follows(&a->f.z, width) && (!a->f.bits.data || a->f.bits.row == width);
}

static void init_job(struct job *j, const struct ab_conv2d_args *a, int n, int phase)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const int blocks = ab_blocks(ab_conv2d_src_channels(s, a->pass));
    j->a = a;
    j->n = n;
    j->phase = ab_conv2d_phase_at(s, a->pass, phase);
    j->inputs_max = ab_conv2d_inputs_max(s, a->pass);
    j->flat = is_flat(a, &j->phase);
    j->aliased = conv2d_is_aliased(a);
    /* As many chunks as the products ask for, of about equal length. */
    const int taps = j->phase.y.taps * j->phase.x.taps;
    const int products = taps == 1 ? CHUNK_ONE_TAP : CHUNK_PRODUCTS;
    const int chunks = (blocks * AB_LANES * taps + products / 2) / products;
    j->chunk_blocks = chunks > 1 && !j->aliased ? (blocks + chunks - 1) / chunks : blocks;
}

/* The halves of blocks that one tile computes from dst block `block` on. A last block of at most 8
 * channels shares a tile with the block before. */
static int halves_at(const struct job *j, int block)
{
    const struct ab_conv2d_args *a = j->a;
    const int channels = ab_conv2d_dst_channels(&a->shape, a->pass);
    const int left = channels - block * AB_LANES, after = ab_blocks(left) - 1;
    const struct ab_conv2d_span in = ab_conv2d_inputs(&a->shape, a->pass, block);
    if (block + 1 >= a->range.b1 || j->phase.y.taps * j->phase.x.taps == 0) return 2;
    const struct ab_conv2d_span next = ab_conv2d_inputs(&a->shape, a->pass, block + 1);
    if (next.begin != in.begin || next.end != in.end) return 2;
    const int tail = left - after * AB_LANES;
    if (TILE_NARROW && tail <= AB_LANES / 2) {
        if (after == 1) return 3;
        if (after % 2 == 0) return 2;
    }
    return 2 * TILE_BLOCKS;
}

/* Chunk k of the dst blocks at `block`; false if their channels end before. */
static bool find_part(const struct job *j, int block, int k, struct part *p)
{
    const struct ab_conv2d_args *a = j->a;
    p->block = block;
    p->halves = halves_at(j, block);
    p->blocks = (p->halves + 1) / 2;
    p->inputs = ab_conv2d_inputs(&a->shape, a->pass, block);
    const int begin = (p->inputs.begin / AB_LANES + k * j->chunk_blocks) * AB_LANES;
    const int end = begin + j->chunk_blocks * AB_LANES;
    p->chunk.begin = begin > p->inputs.begin ? begin : p->inputs.begin;
    p->chunk.end = end < p->inputs.end ? end : p->inputs.end;
    p->first = k == 0;
    p->last = p->chunk.end == p->inputs.end;
    return p->chunk.begin < p->chunk.end;
}

/* Tiles that `count` positions take. */
static int tiles_over(const struct part *p, int count)
{
    const int pixels = p->halves == 3 ? TILE_NARROW : TILE_PIXELS;
    return (count + pixels - 1) / pixels;
}

/* A tile whose epilogue reads a or z from dst. */
static void run_aliased(const struct job *j, const struct part *p, struct pw_at at,
                        const struct tile *t, int pixels, void (*run)(const struct tile *))
{
    _Alignas(64) float sums[BLOCKS_MAX][TILE_PIXELS * AB_LANES];
    struct tile own = *t;
    own.dst = sums[0];
    own.dst_block = TILE_PIXELS * AB_LANES;
    own.dst_pix = AB_LANES;
    run(&own);
    for (int b = 0; b < p->blocks; b++) {
        at.block = p->block + b;
        conv2d_finish_copy(j->a, &at, sums[b], t->dst + b * t->dst_block, t->dst_pix, pixels);
    }
}

/* The positions of a row that no tap reaches: bias and add alone. */
static void fill_row(const struct tile *t, int count)
{
    for (int i = 0; i < count; i++)
        for (int l = 0; l < AB_LANES; l += VL) {
            vec sum = t->bias ? v_load(t->bias + l) : v_zero();
            if (t->plus) sum = v_add(sum, v_load(t->plus + i * t->plus_pix + l));
            v_store(t->dst + i * t->dst_pix + l, sum);
        }
}

/* The weights of the part that follows, brought into L2 by the tiles of a part in equal shares: a
 * 3x3 layer of 512 channels at 7x7 streams 9.4 MB, which in bursts at each new part costs 15 %. */
struct stream {
    const float *at, *end;
    int lines; /* per tap and src block */
};

static void share_stream(struct stream *s, struct tile *t)
{
    const int blocks = (t->end + AB_LANES - 1) / AB_LANES - t->begin / AB_LANES;
    t->ahead = s->at;
    t->ahead_lines = s->at < s->end ? s->lines : 0;
    s->at += t->ahead_lines * AB_LANES * t->rows * t->cols * blocks;
}

/* `count` positions of the phase's row y from its first column, all of one chunk. */
static void run_row(const struct job *j, const struct part *p, struct tile t, int y, int count,
                    struct stream *ahead)
{
    const struct ab_conv2d_args *a = j->a;
    const struct ab_conv2d_axis *ay = &j->phase.y, *ax = &j->phase.x;
    struct pw_at at = {j->n, p->block, ay->dst0 + y * ay->dst_step, ax->dst0, ax->dst_step};
    const int tile_count = tiles_over(p, count);
    const enum kind kind = kind_of(&t, ax->src_step);
    float *row = a->dst.data + ab_view_at(&a->dst, j->n, p->block, at.y, at.x0);
    t.dst = row;
    if (!p->first)
        t.plus = row;
    else if (a->add.data)
        t.plus = a->add.data + ab_view_at(&a->add, j->n, p->block, at.y, at.x0);
    const bool empty = !j->aliased && p->blocks == 1 && t.rows * t.cols == 0;
    if (empty) fill_row(&t, count);
    for (int i = 0, done = 0; i < tile_count && !empty; i++) {
        const int np = count / tile_count + (i < count % tile_count);
        void (*const run)(const struct tile *) = tiles[kind][p->halves][np - 1];
        share_stream(ahead, &t);
        if (j->aliased)
            run_aliased(j, p, at, &t, np, run);
        else
            run(&t);
        done += np;
        at.x0 = ax->dst0 + done * ax->dst_step;
        t.src += np * t.src_pix;
        t.x += np * ax->src_step;
        t.dst += np * t.dst_pix;
        if (t.plus) t.plus += np * t.plus_pix;
    }
    at.x0 = ax->dst0;
    if (!p->last || j->aliased) return;
    for (int b = 0; b < p->blocks; b++, row += t.dst_block) {
        /* The tile has stored the padding of a half block itself: all there is with 8 channels.
         * With fewer, NaN or infinite src makes NaN of the zero weights of the others. */
        const int real = ab_conv2d_dst_channels(&a->shape, a->pass) - (p->block + b) * AB_LANES;
        if (2 * b + 1 == p->halves && real == AB_LANES / 2 && a->f.kind == AB_PW_COPY) break;
        at.block = p->block + b;
        conv2d_finish(a, &at, row, t.dst_pix, count);
    }
}

/* Where the weights of a part begin. */
static const float *part_weights(const struct job *j, const struct part *p)
{
    const ptrdiff_t taps = (ptrdiff_t)j->phase.y.taps * j->phase.x.taps;
    return (const float *)j->a->pack +
           ab_conv2d_stream_at(j->a, &j->phase, j->inputs_max, p->block) +
           (p->chunk.begin - p->inputs.begin) * taps * AB_LANES;
}

static struct stream stream_of(const struct job *j, const struct part *p, const struct part *next,
                               struct ab_conv2d_span rows)
{
    const int height = rows.end - rows.begin, width = j->phase.x.count;
    const int run = j->flat ? width * height : width, runs = j->flat ? 1 : height;
    const int calls = tiles_over(p, run) * runs;
    struct stream s = {NULL, NULL, 0};
    if (next->chunk.begin >= next->chunk.end) return s;
    const int lanes = next->chunk.end - next->chunk.begin;
    s.at = part_weights(j, next);
    s.end = s.at + (ptrdiff_t)lanes * j->phase.y.taps * j->phase.x.taps * AB_LANES;
    s.lines = (AB_LANES + calls - 1) / calls;
    return s;
}

static void run_part(const struct job *j, const struct part *p, const struct part *next,
                     struct ab_conv2d_span rows)
{
    const struct ab_conv2d_args *a = j->a;
    const struct ab_conv2d_axis *ay = &j->phase.y, *ax = &j->phase.x;
    const ptrdiff_t stream = ab_conv2d_stream(&j->phase, j->inputs_max);
    const int src_w = a->pass == AB_FWD ? a->shape.iw : a->shape.ow;
    struct stream ahead = stream_of(j, p, next, rows);
    struct tile t = {
        .wei = part_weights(j, p),
        .wei_block = stream,
        .src_block = a->src.block,
        .src_row = ay->dstep * a->src.row,
        .src_col = (ptrdiff_t)ax->dstep * AB_LANES,
        .src_pix = (ptrdiff_t)ax->src_step * AB_LANES,
        .begin = p->chunk.begin,
        .end = p->chunk.end,
        .cols = ax->taps,
        .x = ax->d0,
        .x_tap = ax->dstep,
        .width = j->flat ? INT_MAX : src_w,
        .fetch = p->block == a->range.b0,
        .gap = ay->dst_step == 2 && ax->dst_step == 2 ? a->dst.row : 0,
        .bias = p->first && a->bias && a->pass == AB_FWD ? a->bias + p->block * AB_LANES : NULL,
        .dst_block = a->dst.block,
        .dst_pix = (ptrdiff_t)ax->dst_step * AB_LANES,
        .plus_block = p->first ? a->add.block : a->dst.block,
        .plus_pix = (ptrdiff_t)ax->dst_step * AB_LANES,
    };
    for (int y = rows.begin; y < rows.end; y++) {
        const int src_h = ab_conv2d_src_h(&a->shape, a->pass);
        const struct ab_conv2d_span inside = ab_conv2d_inside(ay, y, src_h);
        const int sy = y * ay->src_step + ay->d0 + inside.begin * ay->dstep;
        const int src_block = p->chunk.begin / AB_LANES, lane = p->chunk.begin % AB_LANES;
        t.rows = inside.end - inside.begin;
        t.wei_lead = (ptrdiff_t)inside.begin * ax->taps * AB_LANES;
        t.wei_tail = (ptrdiff_t)(ay->taps - inside.end) * ax->taps * AB_LANES;
        t.src = a->src.data + lane;
        if (t.rows > 0) t.src += ab_view_at(&a->src, j->n, src_block, sy, ax->d0);
        run_row(j, p, t, y, j->flat ? ax->count * (rows.end - rows.begin) : ax->count, &ahead);
        if (j->flat) break;
    }
}

static void run_rows(const struct job *j, int y0, int y1)
{
    const struct ab_conv2d_span rows = ab_conv2d_positions(&j->phase.y, y0, y1);
    if (rows.begin == rows.end || j->phase.x.count == 0) return;
    for (int k = 0, more = 1; more; k++) {
        struct part p;
        more = 0;
        for (int b = j->a->range.b0; b < j->a->range.b1; b += p.blocks) {
            if (!find_part(j, b, k, &p)) continue;
            struct part next;
            const int after = b + p.blocks;
            if (after < j->a->range.b1)
                find_part(j, after, k, &next);
            else
                find_part(j, j->a->range.b0, k + 1, &next);
            run_part(j, &p, &next, rows);
            more |= !p.last;
        }
    }
}

/* dst rows whose src rows, over one chunk, amount to ROWS_BYTES. */
static int row_block(const struct job *j)
{
    const struct ab_conv2d_args *a = j->a;
    const ptrdiff_t row = (a->src.row < 0 ? -a->src.row : a->src.row) * (ptrdiff_t)sizeof(float);
    const ptrdiff_t per_row = row * j->chunk_blocks * j->phase.y.src_step / j->phase.y.dst_step;
    const ptrdiff_t rows = ROWS_BYTES / (per_row > 0 ? per_row : 1);
    const int height = a->range.y1 - a->range.y0;
    return rows < 4 ? 4 : rows < height ? (int)rows : height > 0 ? height : 1;
}

static void conv2d_direct(const struct ab_conv2d_args *a)
{
    const struct ab_range *r = &a->range;
    const int phases = ab_conv2d_phases(&a->shape, a->pass);
    if (r->b0 >= r->b1) return;
    for (int n = r->n0; n < r->n1; n++) {
        struct job j;
        init_job(&j, a, n, 0);
        const int step = row_block(&j);
        for (int y = r->y0; y < r->y1; y += step) {
            for (int i = 0; i < phases; i++) {
                init_job(&j, a, n, i);
                run_rows(&j, y, y + step < r->y1 ? y + step : r->y1);
            }
        }
    }
}

#endif
