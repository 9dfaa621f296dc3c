// SPDX-License-Identifier: Apache-2.0
// What follows the sum in every vector conv2d kernel: the epilogue and the padding lanes. Include
// pointwise_tpl.h first.
#ifndef AB_CONV2D_EPILOGUE_H
#define AB_CONV2D_EPILOGUE_H

#include "conv2d_geom.h"

/* Whether the epilogue reads what dst overwrites, so that sums must not pass through dst. */
AB_INLINE bool conv2d_is_aliased(const struct ab_conv2d_args *a)
{
    return a->f.kind != AB_PW_COPY && (a->f.a.data == a->dst.data || a->f.z.data == a->dst.data);
}

/* +0 into the lanes from `real` on. */
AB_INLINE void conv2d_clear_lanes(float *x, ptrdiff_t pix, int pixels, int real)
{
    for (int v = 0; v < AB_LANES; v += VL) {
        const int k = real - v;
        for (int i = 0; i < pixels && k < VL; i++)
            v_store(x + i * pix + v, k > 0 ? v_load_part(x + i * pix + v, k) : v_zero());
    }
}

/* `pixels` finished sums of one block, in place at x. */
AB_INLINE void conv2d_finish(const struct ab_conv2d_args *a, const struct pw_at *at, float *x,
                             ptrdiff_t pix, int pixels)
{
    const int real = ab_conv2d_dst_channels(&a->shape, a->pass) - at->block * AB_LANES;
    /* NaN or infinite src makes NaN of the zero weights of padding lanes: no decision may see it,
     * no result either. */
    if (real < AB_LANES && pw_makes_bits((int)a->f.kind)) conv2d_clear_lanes(x, pix, pixels, real);
    pw_pixels(&a->f, at, x, pix, pixels);
    if (real < AB_LANES) conv2d_clear_lanes(x, pix, pixels, real);
}

/* The same for sums kept outside dst: finished there, then copied. */
AB_NOINLINE void conv2d_finish_copy(const struct ab_conv2d_args *a, const struct pw_at *at,
                                    float *sums, float *dst, ptrdiff_t pix, int pixels)
{
    conv2d_finish(a, at, sums, AB_LANES, pixels);
    for (int i = 0; i < pixels; i++)
        for (int l = 0; l < AB_LANES; l += VL)
            v_store(dst + i * pix + l, v_load(sums + i * AB_LANES + l));
}

#endif
