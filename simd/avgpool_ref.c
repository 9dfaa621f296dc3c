// SPDX-License-Identifier: Apache-2.0
// Average pooling, the definition: one element at a time in double.
#include "pointwise_scalar.h"
#include "pool_geom.h"
#include "pool_epilogue.h"

static float *at(const struct ab_view *v, int n, int b, int y, int x, int lane)
{
    return v->data + n * v->image + b * v->block + y * v->row + (ptrdiff_t)x * AB_LANES + lane;
}

/* Taps of the window at output (oy, ox) that count in its average; those inside the image count
 * always, those in the padding with include_pad. */
static double divisor(const struct ab_pool_shape *s, int oy, int ox)
{
    const int top = s->include_pad ? s->pt : 0, left = s->include_pad ? s->pl : 0;
    const int bottom = s->include_pad ? s->pb : 0, right = s->include_pad ? s->pr : 0;
    int count = 0;
    for (int k = 0; k < s->kh * s->kw; k++) {
        int y = oy * s->sh - s->pt + k / s->kw * s->dh, x = ox * s->sw - s->pl + k % s->kw * s->dw;
        count += y >= -top && y < s->ih + bottom && x >= -left && x < s->iw + right;
    }
    return count ? count : 1.0;
}

static void forward(const struct ab_pool_args *p, int n, int b, int oy, int ox, int lane)
{
    const struct ab_pool_shape *s = &p->shape;
    double sum = 0.0;
    for (int k = 0; k < s->kh * s->kw; k++) {
        int y = oy * s->sh - s->pt + k / s->kw * s->dh, x = ox * s->sw - s->pl + k % s->kw * s->dw;
        if (y >= 0 && y < s->ih && x >= 0 && x < s->iw)
            sum += (double)*at(&p->src, n, b, y, x, lane);
    }
    *at(&p->dst, n, b, oy, ox, lane) = (float)(sum / divisor(s, oy, ox));
}

static void backward(const struct ab_pool_args *p, int n, int b, int y, int x, int lane)
{
    const struct ab_pool_shape *s = &p->shape;
    double sum = 0.0;
    for (int oy = 0; oy < s->oh; oy++) {
        for (int ox = 0; ox < s->ow; ox++) {
            int dy = y - (oy * s->sh - s->pt), dx = x - (ox * s->sw - s->pl);
            if (dy >= 0 && dy % s->dh == 0 && dy / s->dh < s->kh && dx >= 0 && dx % s->dw == 0 &&
                dx / s->dw < s->kw)
                sum += (double)*at(&p->src, n, b, oy, ox, lane) / divisor(s, oy, ox);
        }
    }
    *at(&p->dst, n, b, y, x, lane) = (float)sum;
}

void ab_avgpool_ref(const void *args);
void ab_avgpool_ref(const void *args)
{
    const struct ab_pool_args *p = args;
    const int width = p->pass == AB_FWD ? p->shape.ow : p->shape.iw;
    for (int n = p->range.n0; n < p->range.n1; n++)
        for (int b = p->range.b0; b < p->range.b1; b++) {
            for (int y = p->range.y0; y < p->range.y1; y++)
                for (int e = 0; e < width * AB_LANES; e++) {
                    if (p->pass == AB_FWD)
                        forward(p, n, b, y, e / AB_LANES, e % AB_LANES);
                    else
                        backward(p, n, b, y, e / AB_LANES, e % AB_LANES);
                }
            if (p->pass == AB_BWD) pool_finish_rows(p, n, b, p->range.y0, p->range.y1);
        }
}
