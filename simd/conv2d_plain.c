// SPDX-License-Identifier: Apache-2.0
// conv2d as simple loops that a compiler vectorises, over the packed weights of the direct kernels.
// Built once per instruction set: the opponent that a hand-written kernel must beat.
#include "conv2d_geom.h"
#include "pointwise_scalar.h"

#ifndef AB_SYMBOL
#define AB_SYMBOL ab_conv2d_plain
#endif

void AB_SYMBOL(const void *p);

/* Neighbouring positions that share a load of the weights. */
enum { PIXELS = 4 };

/* One row of one phase for one dst block. */
struct row {
    const float *src, *wei; /* position 0, first tap, first channel */
    ptrdiff_t src_block, src_row, src_col, src_pix;
    struct ab_conv2d_span inputs, inside;
    int taps_y, taps_x;
};

AB_INLINE void sum_pixels(const struct row *r, const float *src, int pixels, float sum[][AB_LANES])
{
    const float *w = r->wei;
    for (int p = 0; p < pixels; p++)
        for (int o = 0; o < AB_LANES; o++) sum[p][o] = 0.0f;
    for (int c = r->inputs.begin; c < r->inputs.end;) {
        const int block_end = (c / AB_LANES + 1) * AB_LANES;
        const int lanes = (block_end < r->inputs.end ? block_end : r->inputs.end) - c;
        for (int ty = 0; ty < r->taps_y; ty++)
            for (int tx = 0; tx < r->taps_x; tx++, w += lanes * AB_LANES) {
                if (ty < r->inside.begin || ty >= r->inside.end) continue;
                const float *x = src + ty * r->src_row + tx * r->src_col;
                for (int l = 0; l < lanes; l++)
                    for (int p = 0; p < pixels; p++)
                        for (int o = 0; o < AB_LANES; o++)
                            sum[p][o] += w[l * AB_LANES + o] * x[p * r->src_pix + l];
            }
        src += r->src_block - c % AB_LANES;
        c += lanes;
    }
}

static void store_pixels(const struct ab_conv2d_args *a, struct pw_at at, int pixels,
                         float sum[][AB_LANES])
{
    const int lanes = ab_conv2d_dst_channels(&a->shape, a->pass) - at.block * AB_LANES;
    const float *bias = a->bias && a->pass == AB_FWD ? a->bias + at.block * AB_LANES : NULL;
    const ptrdiff_t pix = (ptrdiff_t)at.xstep * AB_LANES;
    const float *add = NULL;
    if (a->add.data) add = a->add.data + ab_view_at(&a->add, at.n, at.block, at.y, at.x0);
    float *dst = a->dst.data + ab_view_at(&a->dst, at.n, at.block, at.y, at.x0);
    for (int p = 0; p < pixels; p++)
        for (int o = 0; o < AB_LANES; o++) {
            if (bias) sum[p][o] += bias[o];
            if (add) sum[p][o] += add[p * pix + o];
            /* NaN or infinite src makes NaN of the zero weights of padding lanes: no decision may
             * see it. */
            if (o >= lanes) sum[p][o] = 0.0f;
        }
    pw_pixels(&a->f, &at, sum[0], AB_LANES, pixels);
    for (int p = 0; p < pixels; p++)
        for (int o = 0; o < AB_LANES; o++) dst[p * pix + o] = o < lanes ? sum[p][o] : 0.0f;
}

static void run_row(const struct ab_conv2d_args *a, const struct ab_conv2d_phase *phase,
                    struct row *r, int n, int block, int y)
{
    const struct ab_conv2d_axis *ay = &phase->y, *ax = &phase->x;
    const int sy = y * ay->src_step + ay->d0;
    struct pw_at at = {n, block, ay->dst0 + y * ay->dst_step, ax->dst0, ax->dst_step};
    float sum[PIXELS][AB_LANES];
    r->inside = ab_conv2d_inside(ay, y, ab_conv2d_src_h(&a->shape, a->pass));
    const ptrdiff_t from = ab_view_at(&a->src, n, r->inputs.begin / AB_LANES, sy, ax->d0);
    const float *src = a->src.data + r->inputs.begin % AB_LANES;
    for (int x = 0; x < ax->count;) {
        const int pixels = x + PIXELS <= ax->count ? PIXELS : 1;
        if (pixels == PIXELS)
            sum_pixels(r, src + from + x * r->src_pix, PIXELS, sum);
        else
            sum_pixels(r, src + from + x * r->src_pix, 1, sum);
        at.x0 = ax->dst0 + x * ax->dst_step;
        store_pixels(a, at, pixels, sum);
        x += pixels;
    }
}

static void run_block(const struct ab_conv2d_args *a, const struct ab_conv2d_phase *phase, int n,
                      int block)
{
    const int widest = ab_conv2d_inputs_max(&a->shape, a->pass);
    const struct ab_conv2d_span rows = ab_conv2d_positions(&phase->y, a->range.y0, a->range.y1);
    struct row r = {
        .wei = (const float *)a->pack + ab_conv2d_stream_at(a, phase, widest, block),
        .src_block = a->src.block,
        .src_row = phase->y.dstep * a->src.row,
        .src_col = (ptrdiff_t)phase->x.dstep * AB_LANES,
        .src_pix = (ptrdiff_t)phase->x.src_step * AB_LANES,
        .inputs = ab_conv2d_inputs(&a->shape, a->pass, block),
        .taps_y = phase->y.taps,
        .taps_x = phase->x.taps,
    };
    for (int y = rows.begin; y < rows.end; y++) run_row(a, phase, &r, n, block, y);
}

void AB_SYMBOL(const void *p)
{
    const struct ab_conv2d_args *a = p;
    for (int i = 0; i < ab_conv2d_phases(&a->shape, a->pass); i++) {
        const struct ab_conv2d_phase phase = ab_conv2d_phase_at(&a->shape, a->pass, i);
        for (int n = a->range.n0; n < a->range.n1; n++)
            for (int b = a->range.b0; b < a->range.b1; b++) run_block(a, &phase, n, b);
    }
}
