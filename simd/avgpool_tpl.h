// SPDX-License-Identifier: Apache-2.0
// Average pooling over the vector vocabulary. Include one vec_<isa>.h first.
//
// Forward sums a window in row-major order in one register per vector of the pixel and divides
// once; backward divides each signal once and scatters it in row-major order of outputs, by
// writing where windows tile the image (global averages among them), else by adding. Whole 2x2 and
// 3x3 windows have constant loops: without them the loop control costs more than the sums (3x3 s1:
// 0.17 ms against 0.11). Sharing column sums between windows at stride 1 was not tried.
#ifndef AB_SIMD_AVGPOOL_TPL_H
#define AB_SIMD_AVGPOOL_TPL_H

#include "pointwise_tpl.h"
#include "pool_geom.h"
#include "pool_epilogue.h"

enum { NV = AB_LANES / VL };

/* The average of one window; `src` is row 0 of the plane. */
AB_INLINE void avg_window(const struct ab_pool_args *p, const float *src, struct pool_window w,
                          float divisor, float *dst)
{
    const ptrdiff_t row = p->src.row * p->shape.dh, pix = (ptrdiff_t)p->shape.dw * AB_LANES;
    const float *corner = src + w.y * p->src.row + (ptrdiff_t)w.x * AB_LANES;
    vec sum[NV];
    AB_UNROLL for (int v = 0; v < NV; v++) sum[v] = v_zero();
    for (int ky = w.ky0; ky < w.ky1; ky++) {
        for (int kx = w.kx0; kx < w.kx1; kx++) {
            const float *x = corner + ky * row + kx * pix;
            AB_UNROLL for (int v = 0; v < NV; v++) sum[v] = v_add(sum[v], v_load(x + v * VL));
        }
    }
    const vec d = v_set1(divisor);
    AB_UNROLL for (int v = 0; v < NV; v++) v_store(dst + v * VL, v_div(sum[v], d));
}

AB_INLINE void avg_row_of(int size, const struct ab_pool_args *p, int n, int b, int oy)
{
    const struct ab_pool_shape *s = &p->shape;
    const float *src = pool_row(&p->src, n, b, 0);
    float *dst = pool_row(&p->dst, n, b, oy);
    struct pool_window w;
    pool_rows(s, oy, &w);
    for (int ox = 0; ox < s->ow; ox++, dst += AB_LANES) {
        pool_columns(s, ox, &w);
        if (size && pool_is_whole(s, &w))
            avg_window(p, src, (struct pool_window){w.y, w.x, 0, size, 0, size},
                       (float)(size * size), dst);
        else
            avg_window(p, src, w, pool_divisor(s, &w), dst);
    }
}

static void avg_row(const struct ab_pool_args *p, int n, int b, int oy)
{
    switch (pool_square(&p->shape)) {
    case 2: avg_row_of(2, p, n, b, oy); break;
    case 3: avg_row_of(3, p, n, b, oy); break;
    default: avg_row_of(0, p, n, b, oy); break;
    }
}

/* The share of one output to its window: written where windows tile the image, else added. */
AB_INLINE void avg_scatter(bool tiles, const struct ab_pool_args *p, const float *src,
                           struct pool_window w, float divisor, float *dst)
{
    const ptrdiff_t row = p->dst.row * p->shape.dh, pix = (ptrdiff_t)p->shape.dw * AB_LANES;
    float *corner = dst + w.y * p->dst.row + (ptrdiff_t)w.x * AB_LANES;
    const vec by = v_set1(divisor);
    vec share[NV];
    AB_UNROLL for (int v = 0; v < NV; v++) share[v] = v_div(v_load(src + v * VL), by);
    for (int ky = w.ky0; ky < w.ky1; ky++) {
        for (int kx = w.kx0; kx < w.kx1; kx++) {
            float *d = corner + ky * row + kx * pix;
            AB_UNROLL for (int v = 0; v < NV; v++)
                v_store(d + v * VL, tiles ? share[v] : v_add(v_load(d + v * VL), share[v]));
        }
    }
}

AB_INLINE void avg_plane_of(bool tiles, int size, const struct ab_pool_args *p, int n, int b)
{
    const struct ab_pool_shape *s = &p->shape;
    float *dst = pool_row(&p->dst, n, b, 0);
    struct pool_window w;
    const int y0 = p->range.y0, y1 = p->range.y1;
    int zeroed = pool_covers(s) ? y1 : y0, finished = y0, begin, end;
    pool_outputs(p, &begin, &end);
    for (int oy = begin; oy < end; oy++) {
        const float *src = pool_row(&p->src, n, b, oy);
        pool_rows(s, oy, &w);
        zeroed = pool_zero_rows(p, n, b, zeroed, w.y + (s->kh - 1) * s->dh + 1);
        finished = pool_finish_rows(p, n, b, finished, w.y);
        for (int ox = 0; ox < s->ow; ox++, src += AB_LANES) {
            pool_columns(s, ox, &w);
            if (size && pool_is_whole(s, &w))
                avg_scatter(tiles, p, src, (struct pool_window){w.y, w.x, 0, size, 0, size},
                            (float)(size * size), dst);
            else
                avg_scatter(tiles, p, src, w, pool_divisor(s, &w), dst);
        }
    }
    pool_zero_rows(p, n, b, zeroed, y1);
    pool_finish_rows(p, n, b, finished, y1);
}

static void avg_plane(const struct ab_pool_args *p, int n, int b)
{
    const bool tiles = pool_tiles(&p->shape);
    if (tiles && pool_square(&p->shape) == 2)
        avg_plane_of(true, 2, p, n, b);
    else if (tiles)
        avg_plane_of(true, 0, p, n, b);
    else if (pool_square(&p->shape) == 3)
        avg_plane_of(false, 3, p, n, b);
    else
        avg_plane_of(false, 0, p, n, b);
}

static void avgpool_run(const struct ab_pool_args *p)
{
    if (p->pass == AB_FWD) {
        POOL_EACH_ROW(p, avg_row)
    } else {
        POOL_EACH_PLANE(p, avg_plane)
    }
}

#endif
