// SPDX-License-Identifier: Apache-2.0
// Depthwise conv2d (groups == channels on both sides), both passes, over the vector vocabulary.
// Include one vec_<isa>.h first and define DW_PIXELS, DW_VECS and DW_TABLE.
//
// One product per src element and tap, so the loop is bound by loads of src: a tile is a run of
// pixels that share each load of the weights, and has enough accumulators to hide the latency of
// FMA. 7 pixels divide the usual widths 112, 56, 28, 14 and 7.
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

AB_INLINE void conv2d_depthwise(const struct ab_conv2d_args *a)
{
    conv2d_rows(a, 1, dw_sums);
}

#endif
