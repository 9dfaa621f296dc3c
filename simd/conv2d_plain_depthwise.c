// SPDX-License-Identifier: Apache-2.0
// Depthwise conv2d (groups == channels on both sides) as simple loops: one product per tap and
// lane, where the general plain kernel multiplies 16 x 16 weights that are zero but for their
// diagonal.
#include "conv2d_geom.h"
#include "pointwise_scalar.h"

void ab_conv2d_plain_depthwise(const void *p);

/* The sum of one pixel of one block; taps outside src are left out by row, those outside by column
 * read zeros of the halo. */
static void sum_pixel(const struct ab_conv2d_args *a, const struct ab_conv2d_phase *phase,
                      struct ab_conv2d_span inside, const float *wei, const float *src, float *sum)
{
    const struct ab_conv2d_axis *ay = &phase->y, *ax = &phase->x;
    for (int o = 0; o < AB_LANES; o++) sum[o] = 0.0f;
    for (int ty = inside.begin; ty < inside.end; ty++)
        for (int tx = 0; tx < ax->taps; tx++) {
            const int tap = (ay->k0 + ty * ay->kstep) * a->shape.kw + ax->k0 + tx * ax->kstep;
            const float *w = wei + (ptrdiff_t)tap * AB_LANES;
            const float *x =
                src + ty * ay->dstep * a->src.row + (ptrdiff_t)tx * ax->dstep * AB_LANES;
            for (int o = 0; o < AB_LANES; o++) sum[o] += w[o] * x[o];
        }
}

static void store_pixel(const struct ab_conv2d_args *a, const struct pw_at *at, float *sum)
{
    const int lanes = a->shape.oc - at->block * AB_LANES;
    const float *bias = a->bias && a->pass == AB_FWD ? a->bias + at->block * AB_LANES : NULL;
    const float *add = NULL;
    float *dst = a->dst.data + ab_view_at(&a->dst, at->n, at->block, at->y, at->x0);
    if (a->add.data) add = a->add.data + ab_view_at(&a->add, at->n, at->block, at->y, at->x0);
    for (int o = 0; o < AB_LANES; o++) {
        if (bias) sum[o] += bias[o];
        if (add) sum[o] += add[o];
    }
    pw_pixels(&a->f, at, sum, AB_LANES, 1);
    for (int o = 0; o < AB_LANES; o++) dst[o] = o < lanes ? sum[o] : 0.0f;
}

static void run_block(const struct ab_conv2d_args *a, const struct ab_conv2d_phase *phase, int n,
                      int block)
{
    const struct ab_conv2d_axis *ay = &phase->y, *ax = &phase->x;
    const struct ab_conv2d_span rows = ab_conv2d_positions(ay, a->range.y0, a->range.y1);
    const float *wei =
        (const float *)a->pack + (ptrdiff_t)block * a->shape.kh * a->shape.kw * AB_LANES;
    for (int y = rows.begin; y < rows.end; y++) {
        const struct ab_conv2d_span inside =
            ab_conv2d_inside(ay, y, ab_conv2d_src_h(&a->shape, a->pass));
        for (int x = 0; x < ax->count; x++) {
            const struct pw_at at = {n, block, ay->dst0 + y * ay->dst_step,
                                     ax->dst0 + x * ax->dst_step, 1};
            const float *src =
                a->src.data +
                ab_view_at(&a->src, n, block, y * ay->src_step + ay->d0, x * ax->src_step + ax->d0);
            float sum[AB_LANES];
            sum_pixel(a, phase, inside, wei, src, sum);
            store_pixel(a, &at, sum);
        }
    }
}

void ab_conv2d_plain_depthwise(const void *p)
{
    const struct ab_conv2d_args *a = p;
    for (int i = 0; i < ab_conv2d_phases(&a->shape, a->pass); i++) {
        const struct ab_conv2d_phase phase = ab_conv2d_phase_at(&a->shape, a->pass, i);
        for (int n = a->range.n0; n < a->range.n1; n++)
            for (int b = a->range.b0; b < a->range.b1; b++) run_block(a, &phase, n, b);
    }
}
