// SPDX-License-Identifier: Apache-2.0
// Max pooling, the definition: one element at a time, signals summed in double.
#include <math.h>

#include "pointwise_scalar.h"
#include "pool_geom.h"
#include "pool_epilogue.h"

static float *at(const struct ab_view *v, int n, int b, int y, int x, int lane)
{
    return v->data + n * v->image + b * v->block + y * v->row + (ptrdiff_t)x * AB_LANES + lane;
}

static uint16_t *tap_at(const struct ab_pool_args *p, int n, int b, int oy, int ox, int lane)
{
    const struct ab_pool_shape *s = &p->shape;
    ptrdiff_t pixel = (((ptrdiff_t)n * ab_blocks(s->c) + b) * s->oh + oy) * s->ow + ox;
    return p->switches + pixel * AB_LANES + lane;
}

static void forward(const struct ab_pool_args *p, int n, int b, int oy, int ox, int lane)
{
    const struct ab_pool_shape *s = &p->shape;
    float best = 0.0f;
    int tap = -1;
    for (int k = 0; k < s->kh * s->kw; k++) {
        int y = oy * s->sh - s->pt + k / s->kw * s->dh, x = ox * s->sw - s->pl + k % s->kw * s->dw;
        if (y < 0 || y >= s->ih || x < 0 || x >= s->iw) continue;
        float v = *at(&p->src, n, b, y, x, lane);
        if (tap < 0 || v > best || (isnan(v) && !isnan(best))) {
            best = v;
            tap = k;
        }
    }
    *at(&p->dst, n, b, oy, ox, lane) = best;
    if (p->switches) *tap_at(p, n, b, oy, ox, lane) = (uint16_t)tap;
}

static void backward(const struct ab_pool_args *p, int n, int b, int y, int x, int lane)
{
    const struct ab_pool_shape *s = &p->shape;
    double sum = 0.0;
    for (int oy = 0; oy < s->oh; oy++) {
        for (int ox = 0; ox < s->ow; ox++) {
            int k = *tap_at(p, n, b, oy, ox, lane);
            if (oy * s->sh - s->pt + k / s->kw * s->dh == y &&
                ox * s->sw - s->pl + k % s->kw * s->dw == x)
                sum += (double)*at(&p->src, n, b, oy, ox, lane);
        }
    }
    *at(&p->dst, n, b, y, x, lane) = (float)sum;
}

void ab_maxpool_ref(const void *args);
void ab_maxpool_ref(const void *args)
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
