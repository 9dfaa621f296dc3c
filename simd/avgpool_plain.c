// SPDX-License-Identifier: Apache-2.0
// Average pooling in plain C: the speed baseline, compiled at several instruction sets.
#include "pointwise_scalar.h"
#include "pool_geom.h"
#include "pool_epilogue.h"

#ifndef AB_SYMBOL
#define AB_SYMBOL ab_avgpool_plain
#endif

AB_INLINE ptrdiff_t tap_offset(const struct ab_pool_shape *s, const struct ab_view *v,
                               const struct pool_window *w, int ky, int kx)
{
    return (w->y + ky * s->dh) * v->row + (ptrdiff_t)(w->x + kx * s->dw) * AB_LANES;
}

static void forward(const struct ab_pool_args *p, int n, int b, int oy)
{
    const struct ab_pool_shape *s = &p->shape;
    const float *src = pool_row(&p->src, n, b, 0);
    float *dst = pool_row(&p->dst, n, b, oy);
    struct pool_window w;
    pool_rows(s, oy, &w);
    for (int ox = 0; ox < s->ow; ox++, dst += AB_LANES) {
        float sum[AB_LANES] = {0.0f};
        pool_columns(s, ox, &w);
        for (int ky = w.ky0; ky < w.ky1; ky++) {
            for (int kx = w.kx0; kx < w.kx1; kx++) {
                const float *x = src + tap_offset(s, &p->src, &w, ky, kx);
                for (int l = 0; l < AB_LANES; l++) sum[l] += x[l];
            }
        }
        const float divisor = pool_divisor(s, &w);
        for (int l = 0; l < AB_LANES; l++) dst[l] = sum[l] / divisor;
    }
}

static void scatter(const struct ab_pool_args *p, const float *src, const struct pool_window *w,
                    float *dst)
{
    const float divisor = pool_divisor(&p->shape, w);
    float share[AB_LANES];
    for (int l = 0; l < AB_LANES; l++) share[l] = src[l] / divisor;
    for (int ky = w->ky0; ky < w->ky1; ky++) {
        for (int kx = w->kx0; kx < w->kx1; kx++) {
            float *d = dst + tap_offset(&p->shape, &p->dst, w, ky, kx);
            for (int l = 0; l < AB_LANES; l++) d[l] += share[l];
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
        pool_rows(&p->shape, oy, &w);
        for (int ox = 0; ox < p->shape.ow; ox++) {
            pool_columns(&p->shape, ox, &w);
            scatter(p, src + ox * AB_LANES, &w, pool_row(&p->dst, n, b, 0));
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
