// SPDX-License-Identifier: Apache-2.0
// conv2d with at most 4 dst channels, over the vector vocabulary: the lanes of a vector are src
// channels, every pixel and dst channel has an accumulator, and the lanes are added up once at the
// end. The gradient of a first layer (64 -> 3) is the case in mind: dst lanes would be 13/16
// padding. Include one vec_<isa>.h first and define DOT_PIXELS(outputs), a constant expression.
//
// Weights stay in registers across the pixels of a tile, src is loaded once per tap and pixel for
// all outputs. One tile runs over all src channels, so dst is written once. Phases that take turns
// row by row gain nothing.
#ifndef AB_CONV2D_DOT_TPL_H
#define AB_CONV2D_DOT_TPL_H

#include "pointwise_tpl.h"
#include "conv2d_epilogue.h"
#include "conv2d_rows.h"

enum { DOT_OUTPUTS = 4, DOT_MAX = DOT_PIXELS(1) };

/* With registers to spare the load is volatile: gcc 12 would repeat it as a memory operand of each
 * FMA, and Zen 4 has one 64-byte load a cycle (AVX-512, 64 -> 3: 2.65 ms against 2.18). */
AB_INLINE vec dot_src(const float *x)
{
    return VREGS > 8 ? *(const volatile vec *)x : v_load(x);
}

AB_INLINE void dot_tap(const float *x, ptrdiff_t pix, const float *w, int no, int np,
                       vec acc[][DOT_OUTPUTS])
{
    AB_UNROLL for (int v = 0; v < AB_LANES; v += VL)
    {
        vec wv[DOT_OUTPUTS];
        AB_UNROLL for (int o = 0; o < no; o++) wv[o] = v_load(w + o * AB_LANES + v);
        AB_UNROLL for (int p = 0; p < np; p++)
        {
            const vec xv = dot_src(x + p * pix + v);
            AB_UNROLL for (int o = 0; o < no; o++) acc[p][o] = v_fma(wv[o], xv, acc[p][o]);
        }
    }
}

AB_INLINE void dot_store(const struct row *r, int x, int no, int np, vec acc[][DOT_OUTPUTS],
                         float *out, ptrdiff_t out_pix)
{
    const vec bias = r->bias ? v_load(r->bias) : v_zero();
    AB_UNROLL for (int p = 0; p < np; p++)
    {
        AB_UNROLL for (int o = no; o < DOT_OUTPUTS; o++) acc[p][o] = v_zero();
        vec sum = v_add(v_sum4(acc[p][0], acc[p][1], acc[p][2], acc[p][3]), bias);
        if (r->add) sum = v_add(sum, v_load(r->add + (x + p) * r->add_pix));
        v_store(out + p * out_pix, sum);
        AB_UNROLL for (int l = VL; l < AB_LANES; l += VL) v_store(out + p * out_pix + l, v_zero());
    }
}

AB_INLINE void dot_tile(const struct row *r, int x, int no, int np, int step, float *out,
                        ptrdiff_t out_pix)
{
    const struct ab_conv2d_args *a = r->a;
    const struct ab_conv2d_axis *ay = &r->phase.y, *ax = &r->phase.x;
    const int blocks = ab_blocks(ab_conv2d_src_channels(&a->shape, a->pass));
    const int rows = r->inside.end - r->inside.begin, tap = no * AB_LANES;
    const ptrdiff_t pix = step ? step * AB_LANES : r->src_pix;
    const float *w = (const float *)a->pack + (ptrdiff_t)r->phase.taps_before * blocks * tap +
                     (ptrdiff_t)r->inside.begin * ax->taps * tap;
    vec acc[DOT_MAX][DOT_OUTPUTS];
    AB_UNROLL for (int p = 0; p < np; p++)
    {
        AB_UNROLL for (int o = 0; o < no; o++) acc[p][o] = v_zero();
    }
    for (int b = 0; b < blocks; b++) {
        const float *block = r->src + b * a->src.block + x * pix;
        /* The row that the next dst row adds: src is mostly in L3, in more streams than the
         * hardware prefetches (64 -> 3 3x3 at 224, Zen 4: 94 GFLOP/s against 76). */
        const float *ahead = r->src_row < 0 ? block - r->src_row : block + rows * r->src_row;
        if (rows > 1) {
            AB_UNROLL for (int p = 0; p < np; p++) v_prefetch(ahead + p * pix);
        }
        for (int ty = 0; ty < rows; ty++) {
            const float *at = block + ty * r->src_row;
            for (int tx = 0; tx < ax->taps; tx++, at += r->src_col, w += tap)
                dot_tap(at, pix, w, no, np, acc);
        }
        w += (ptrdiff_t)(ay->taps - rows) * ax->taps * tap;
    }
    dot_store(r, x, no, np, acc, out, out_pix);
}

AB_INLINE void dot_sums(const struct row *r, int no, int step, int x, int count, float *out,
                        ptrdiff_t pix)
{
    const int end = x + count;
    for (; x + DOT_PIXELS(no) <= end; x += DOT_PIXELS(no), out += DOT_PIXELS(no) * pix)
        dot_tile(r, x, no, DOT_PIXELS(no), step, out, pix);
    for (; x < end; x++, out += pix) dot_tile(r, x, no, 1, step, out, pix);
}

#define DOT_ROW(no)                                                                                \
    static void dot_sums_##no(const struct row *r, int x, int count, float *out, ptrdiff_t pix)    \
    {                                                                                              \
        if (r->src_pix == AB_LANES)                                                                \
            dot_sums(r, no, 1, x, count, out, pix);                                                \
        else                                                                                       \
            dot_sums(r, no, 0, x, count, out, pix);                                                \
    }
DOT_ROW(1)
DOT_ROW(2)
DOT_ROW(3)
DOT_ROW(4)
#undef DOT_ROW

AB_INLINE void conv2d_dot(const struct ab_conv2d_args *a)
{
    switch (ab_conv2d_dst_channels(&a->shape, a->pass)) {
    case 1: conv2d_rows(a, 0, dot_sums_1); break;
    case 2: conv2d_rows(a, 0, dot_sums_2); break;
    case 3: conv2d_rows(a, 0, dot_sums_3); break;
    default: conv2d_rows(a, 0, dot_sums_4); break;
    }
}

#endif
