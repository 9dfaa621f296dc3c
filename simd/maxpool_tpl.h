// SPDX-License-Identifier: Apache-2.0
// Max pooling over the vector vocabulary. Include one vec_<isa>.h first.
//
// Forward holds the maxima and tap numbers of one pixel's 16 lanes in registers (2 x 16/VL: 2 on
// AVX-512, 4 on AVX2, 8 on NEON) while it walks the window; the latency of compare and select is
// hidden by the next pixels, which are independent. Tap numbers are floats, exact below 2^24, so
// that the vocabulary needs no second family of selects. Whole 2x2 and 3x3 windows have constant
// loops.
//
// Backward scatters: each output adds its signal to the taps of its window where the switch says
// so, in row-major order of outputs. Windows that tile the image write instead of add, and zero
// nothing before where they reach every pixel: 2x2 on 64x224x224, 0.43 ms with zeroing.
#ifndef AB_SIMD_MAXPOOL_TPL_H
#define AB_SIMD_MAXPOOL_TPL_H

#include "pointwise_tpl.h"
#include "pool_geom.h"
#include "pool_epilogue.h"

enum { NV = AB_LANES / VL };

/* One window; `src` is row 0 of the plane. With NaN larger than all and the first maximum kept, x
 * replaces best unless x <= best or best is NaN. */
AB_INLINE void max_window(const struct ab_pool_args *p, const float *src, struct pool_window w,
                          int kw, float *dst, uint16_t *tap)
{
    const ptrdiff_t row = p->src.row * p->shape.dh, pix = (ptrdiff_t)p->shape.dw * AB_LANES;
    const float *corner = src + w.y * p->src.row + (ptrdiff_t)w.x * AB_LANES;
    vec best[NV], at[NV];
    AB_UNROLL for (int v = 0; v < NV; v++)
    {
        best[v] = v_load(corner + w.ky0 * row + w.kx0 * pix + v * VL);
        at[v] = v_set1((float)(w.ky0 * kw + w.kx0));
    }
    for (int ky = w.ky0; ky < w.ky1; ky++) {
        for (int kx = w.kx0; kx < w.kx1; kx++) {
            const float *x = corner + ky * row + kx * pix;
            const vec t = v_set1((float)(ky * kw + kx));
            AB_UNROLL for (int v = 0; v < NV; v++)
            {
                vec xv = v_load(x + v * VL);
                vmask more = vm_and(v_nle(xv, best[v]), v_eq(best[v], best[v]));
                best[v] = v_select(more, xv, best[v]);
                at[v] = v_select(more, t, at[v]);
            }
        }
    }
    AB_UNROLL for (int v = 0; v < NV; v++)
    {
        v_store(dst + v * VL, best[v]);
        if (tap) v_store_u16(tap + v * VL, at[v]);
    }
}

/* For windows at the border and sizes without a text of their own. */
AB_NOINLINE void max_any(const struct ab_pool_args *p, const float *src,
                         const struct pool_window *w, float *dst, uint16_t *tap)
{
    max_window(p, src, *w, p->shape.kw, dst, tap);
}

AB_INLINE void max_row_of(int size, const struct ab_pool_args *p, int n, int b, int oy)
{
    const struct ab_pool_shape *s = &p->shape;
    const float *src = pool_row(&p->src, n, b, 0);
    float *dst = pool_row(&p->dst, n, b, oy);
    uint16_t *tap = pool_switch_row(p, n, b, oy);
    struct pool_window w;
    pool_rows(s, oy, &w);
    for (int ox = 0; ox < s->ow; ox++, dst += AB_LANES) {
        pool_columns(s, ox, &w);
        if (size && pool_is_whole(s, &w))
            max_window(p, src, (struct pool_window){w.y, w.x, 0, size, 0, size}, size, dst, tap);
        else
            max_any(p, src, &w, dst, tap);
        if (tap) tap += AB_LANES;
    }
}

static void max_row(const struct ab_pool_args *p, int n, int b, int oy)
{
    switch (pool_square(&p->shape)) {
    case 2: max_row_of(2, p, n, b, oy); break;
    case 3: max_row_of(3, p, n, b, oy); break;
    default: max_row_of(0, p, n, b, oy); break;
    }
}

/* The signal of one output to its window: written where windows tile the image, else added. */
AB_INLINE void max_scatter(bool tiles, const struct ab_pool_args *p, const float *src,
                           const uint16_t *tap, struct pool_window w, int kw, float *dst)
{
    const ptrdiff_t row = p->dst.row * p->shape.dh, pix = (ptrdiff_t)p->shape.dw * AB_LANES;
    float *corner = dst + w.y * p->dst.row + (ptrdiff_t)w.x * AB_LANES;
    vec signal[NV], at[NV];
    AB_UNROLL for (int v = 0; v < NV; v++)
    {
        signal[v] = v_load(src + v * VL);
        at[v] = v_load_u16(tap + v * VL);
    }
    for (int ky = w.ky0; ky < w.ky1; ky++) {
        for (int kx = w.kx0; kx < w.kx1; kx++) {
            float *d = corner + ky * row + kx * pix;
            const vec t = v_set1((float)(ky * kw + kx));
            AB_UNROLL for (int v = 0; v < NV; v++)
            {
                vec share = v_keep(v_eq(at[v], t), signal[v]);
                v_store(d + v * VL, tiles ? share : v_add(v_load(d + v * VL), share));
            }
        }
    }
}

AB_INLINE void max_plane_of(bool tiles, int size, const struct ab_pool_args *p, int n, int b)
{
    const struct ab_pool_shape *s = &p->shape;
    float *dst = pool_row(&p->dst, n, b, 0);
    struct pool_window w;
    const int y0 = p->range.y0, y1 = p->range.y1;
    int zeroed = pool_covers(s) ? y1 : y0, finished = y0, begin, end;
    pool_outputs(p, &begin, &end);
    for (int oy = begin; oy < end; oy++) {
        const float *src = pool_row(&p->src, n, b, oy);
        const uint16_t *tap = pool_switch_row(p, n, b, oy);
        pool_rows(s, oy, &w);
        zeroed = pool_zero_rows(p, n, b, zeroed, w.y + (s->kh - 1) * s->dh + 1);
        finished = pool_finish_rows(p, n, b, finished, w.y);
        for (int ox = 0; ox < s->ow; ox++, src += AB_LANES, tap += AB_LANES) {
            pool_columns(s, ox, &w);
            if (size && pool_is_whole(s, &w))
                max_scatter(tiles, p, src, tap, (struct pool_window){w.y, w.x, 0, size, 0, size},
                            size, dst);
            else
                max_scatter(tiles, p, src, tap, w, s->kw, dst);
        }
    }
    pool_zero_rows(p, n, b, zeroed, y1);
    pool_finish_rows(p, n, b, finished, y1);
}

static void max_plane(const struct ab_pool_args *p, int n, int b)
{
    const bool tiles = pool_tiles(&p->shape);
    if (tiles && pool_square(&p->shape) == 2)
        max_plane_of(true, 2, p, n, b);
    else if (tiles)
        max_plane_of(true, 0, p, n, b);
    else if (pool_square(&p->shape) == 3)
        max_plane_of(false, 3, p, n, b);
    else
        max_plane_of(false, 0, p, n, b);
}

static void maxpool_run(const struct ab_pool_args *p)
{
    if (p->pass == AB_FWD) {
        POOL_EACH_ROW(p, max_row)
    } else {
        POOL_EACH_PLANE(p, max_plane)
    }
}

#endif
