// SPDX-License-Identifier: Apache-2.0
// Max pooling in plain C: the speed baseline, compiled at several instruction sets.
#include "pointwise_scalar.h"
#include "pool_geom.h"
#include "pool_epilogue.h"

#ifndef AB_SYMBOL
#define AB_SYMBOL ab_maxpool_plain
#endif

static void forward(const struct ab_pool_args *p, int n, int b, int oy)
{
    const struct ab_pool_shape *s = &p->shape;
    float *dst = pool_row(&p->dst, n, b, oy);
    uint16_t *tap = pool_switch_row(p, n, b, oy);
    struct pool_window w;
    pool_rows(s, oy, &w);
    for (int ox = 0; ox < s->ow; ox++, dst += AB_LANES) {
        float best[AB_LANES];
        uint16_t at[AB_LANES];
        pool_columns(s, ox, &w);
        for (int ky = w.ky0; ky < w.ky1; ky++) {
            for (int kx = w.kx0; kx < w.kx1; kx++) {
                const float *x = pool_row(&p->src, n, b, w.y + ky * s->dh) +
                                 (ptrdiff_t)(w.x + kx * s->dw) * AB_LANES;
                const bool first = ky == w.ky0 && kx == w.kx0;
                for (int l = 0; l < AB_LANES; l++) {
                    bool more = first || (!(x[l] <= best[l]) && best[l] == best[l]);
                    best[l] = more ? x[l] : best[l];
                    at[l] = more ? (uint16_t)(ky * s->kw + kx) : at[l];
                }
            }
        }
        memcpy(dst, best, sizeof best);
        if (tap) memcpy(tap + ox * AB_LANES, at, sizeof at);
    }
}

static void scatter(const struct ab_pool_args *p, const float *src, const uint16_t *tap,
                    const struct pool_window *w, float *dst)
{
    for (int ky = w->ky0; ky < w->ky1; ky++) {
        for (int kx = w->kx0; kx < w->kx1; kx++) {
            float *d = dst + (w->y + ky * p->shape.dh) * p->dst.row +
                       (ptrdiff_t)(w->x + kx * p->shape.dw) * AB_LANES;
            const int t = ky * p->shape.kw + kx;
            for (int l = 0; l < AB_LANES; l++) d[l] += tap[l] == t ? src[l] : 0.0f;
        }
    }
}

static void backward(const struct ab_pool_args *p, int n, int b)
{
    struct pool_window w;
    int begin, end;
    pool_outputs(p, &begin, &end);
    pool_zero_rows(p, n, b, p->range.y0, p->range.y1);
    for (int oy = begin; oy < end; oy++) {
        const float *src = pool_row(&p->src, n, b, oy);
        const uint16_t *tap = pool_switch_row(p, n, b, oy);
        pool_rows(&p->shape, oy, &w);
        for (int ox = 0; ox < p->shape.ow; ox++) {
            pool_columns(&p->shape, ox, &w);
            scatter(p, src + ox * AB_LANES, tap + ox * AB_LANES, &w, pool_row(&p->dst, n, b, 0));
        }
    }
    pool_finish_rows(p, n, b, p->range.y0, p->range.y1);
}

void AB_SYMBOL(const void *args);
void AB_SYMBOL(const void *args)
{
    const struct ab_pool_args *p = args;
    if (p->pass == AB_FWD) {
        POOL_EACH_ROW(p, forward)
    } else {
        POOL_EACH_PLANE(p, backward)
    }
}
