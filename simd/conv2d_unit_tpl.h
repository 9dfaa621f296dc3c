// SPDX-License-Identifier: Apache-2.0
// Direct convolution for 1x1 kernels with a stride. Include conv2d_tpl.h first.
//
// Such a convolution is the dense 1x1 convolution of the positions it touches. They are brought to
// unit stride in work space, so that tiles run over the whole image instead of rows of 28, 14 or 7:
// forward copies them out of src, backward-data computes them there and then writes dst row by row,
// in order, zeros included. A copied element takes part in as many products as there are dst
// channels; the copy is below 1 % of the time.
#ifndef AB_CONV2D_UNIT_TPL_H
#define AB_CONV2D_UNIT_TPL_H

#include "conv2d_tpl.h"

/* The positions of one image in work space. */
static struct ab_view unit_view(const struct ab_conv2d_args *a)
{
    const ptrdiff_t row = (ptrdiff_t)a->shape.ow * AB_LANES;
    return (struct ab_view){.data = a->scratch, .block = row * a->shape.oh, .row = row};
}

/* `a` for one image, its strides taken away. */
static struct ab_conv2d_args unit_args(const struct ab_conv2d_args *a, int n)
{
    struct ab_conv2d_args unit = *a;
    unit.shape.ih = a->shape.oh;
    unit.shape.iw = a->shape.ow;
    unit.shape.sh = unit.shape.sw = 1;
    unit.range.n0 = n;
    unit.range.n1 = n + 1;
    return unit;
}

/* The src blocks that the dst blocks of the range read. */
static struct ab_conv2d_span unit_inputs(const struct ab_conv2d_args *a)
{
    const int begin = ab_conv2d_inputs(&a->shape, a->pass, a->range.b0).begin;
    const int end = ab_conv2d_inputs(&a->shape, a->pass, a->range.b1 - 1).end;
    return (struct ab_conv2d_span){begin / AB_LANES, ab_blocks(end)};
}

AB_INLINE void copy_pixel(float *to, const float *from)
{
    AB_UNROLL for (int l = 0; l < AB_LANES; l += VL) v_store(to + l, v_load(from + l));
}

static void gather(const struct ab_conv2d_args *a, const struct ab_view *to, int n)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const struct ab_conv2d_span blocks = unit_inputs(a);
    const ptrdiff_t step = (ptrdiff_t)s->sw * AB_LANES;
    for (int b = blocks.begin; b < blocks.end; b++)
        for (int y = a->range.y0; y < a->range.y1; y++) {
            const float *src = a->src.data + ab_view_at(&a->src, n, b, y * s->sh, 0);
            float *unit = to->data + ab_view_at(to, 0, b, y, 0);
            for (int x = 0; x < s->ow; x++) copy_pixel(unit + x * AB_LANES, src + x * step);
        }
}

static void unit_forward(const struct ab_conv2d_args *a, int n)
{
    struct ab_conv2d_args unit = unit_args(a, n);
    unit.src = unit_view(a);
    gather(a, &unit.src, n);
    conv2d_direct(&unit);
}

AB_INLINE void put_pixel(float *to, const float *sum, const float *add)
{
    AB_UNROLL for (int l = 0; l < AB_LANES; l += VL)
    {
        const vec x = sum ? v_load(sum + l) : v_zero();
        v_store(to + l, add ? v_add(x, v_load(add + l)) : x);
    }
}

/* A row of dst before its epilogue: sums at every sw-th column, or nowhere (`sums` NULL), and add.
 */
static void spread_row(const struct ab_conv2d_shape *s, const float *sums, const float *add,
                       float *row)
{
    for (int x = 0; x < s->iw; x += s->sw) {
        const int end = x + s->sw < s->iw ? x + s->sw : s->iw;
        put_pixel(row + x * AB_LANES, sums, add ? add + x * AB_LANES : NULL);
        if (sums) sums += AB_LANES;
        for (int i = x + 1; i < end; i++)
            put_pixel(row + i * AB_LANES, NULL, add ? add + i * AB_LANES : NULL);
    }
}

static void spread(const struct ab_conv2d_args *a, const struct ab_view *from, int n, int b, int y)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const struct pw_at at = {n, b, y, 0, 1};
    const float *add = a->add.data ? a->add.data + ab_view_at(&a->add, n, b, y, 0) : NULL;
    const float *sums = y % s->sh == 0 ? from->data + ab_view_at(from, 0, b, y / s->sh, 0) : NULL;
    float *dst = a->dst.data + ab_view_at(&a->dst, n, b, y, 0);
    if (conv2d_is_aliased(a)) {
        float *row = from->data + ab_blocks(s->ic) * from->block;
        spread_row(s, sums, add, row);
        conv2d_finish_copy(a, &at, row, dst, AB_LANES, s->iw);
    } else {
        spread_row(s, sums, add, dst);
        conv2d_finish(a, &at, dst, AB_LANES, s->iw);
    }
}

static void unit_backward(const struct ab_conv2d_args *a, int n)
{
    const struct ab_range *r = &a->range;
    const int sh = a->shape.sh;
    struct ab_conv2d_args unit = unit_args(a, n);
    unit.dst = unit_view(a);
    unit.add.data = NULL;
    unit.f.kind = AB_PW_COPY;
    unit.range.y0 = (r->y0 + sh - 1) / sh;
    unit.range.y1 = (r->y1 + sh - 1) / sh;
    conv2d_direct(&unit);
    for (int b = r->b0; b < r->b1; b++)
        for (int y = r->y0; y < r->y1; y++) spread(a, &unit.dst, n, b, y);
}

AB_INLINE void conv2d_direct_any(const struct ab_conv2d_args *a)
{
    if (!ab_conv2d_by_unit(&a->shape)) {
        conv2d_direct(a);
        return;
    }
    if (a->range.b0 >= a->range.b1) return;
    for (int n = a->range.n0; n < a->range.n1; n++) {
        if (a->pass == AB_FWD)
            unit_forward(a, n);
        else
            unit_backward(a, n);
    }
}

#endif
