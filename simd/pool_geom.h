// SPDX-License-Identifier: Apache-2.0
// Which taps of a pooling window lie inside the image, for all pooling texts.
#ifndef AB_SIMD_POOL_GEOM_H
#define AB_SIMD_POOL_GEOM_H

#include <string.h>

#include "kernels.h"
#include "vec_base.h"

/* Of one window: tap (0,0) is at row y, column x of the image, perhaps outside of it; taps
 * [ky0,ky1) x [kx0,kx1) are inside. */
struct pool_window {
    int y, x, ky0, ky1, kx0, kx1;
};

/* Taps 0..k at `at + t*d`: the first that is >= 0, and the end of those below `limit`. */
AB_INLINE int pool_first(int at, int d)
{
    return at < 0 ? (d - 1 - at) / d : 0;
}
AB_INLINE int pool_end(int at, int d, int k, int limit)
{
    int end = limit > at ? (limit - at + d - 1) / d : 0;
    return end < k ? end : k;
}

static inline void pool_rows(const struct ab_pool_shape *s, int oy, struct pool_window *w)
{
    w->y = oy * s->sh - s->pt;
    w->ky0 = pool_first(w->y, s->dh);
    w->ky1 = pool_end(w->y, s->dh, s->kh, s->ih);
}

/* The common case, a window between the side borders, is decided without a division. */
static inline void pool_columns(const struct ab_pool_shape *s, int ox, struct pool_window *w)
{
    w->x = ox * s->sw - s->pl;
    if (w->x >= 0 && w->x + (s->kw - 1) * s->dw < s->iw) {
        w->kx0 = 0;
        w->kx1 = s->kw;
    } else {
        w->kx0 = pool_first(w->x, s->dw);
        w->kx1 = pool_end(w->x, s->dw, s->kw, s->iw);
    }
}

AB_INLINE bool pool_is_whole(const struct ab_pool_shape *s, const struct pool_window *w)
{
    return w->ky0 == 0 && w->ky1 == s->kh && w->kx0 == 0 && w->kx1 == s->kw;
}

/* The side of a square window, 0 for others. */
AB_INLINE int pool_square(const struct ab_pool_shape *s)
{
    return s->kh == s->kw ? s->kh : 0;
}

/* What an average divides by; 1 for a window of no taps, whose sum is 0. */
static inline float pool_divisor(const struct ab_pool_shape *s, const struct pool_window *w)
{
    int rows = w->ky1 - w->ky0, columns = w->kx1 - w->kx0;
    if (s->include_pad) {
        rows = pool_end(w->y, s->dh, s->kh, s->ih + s->pb);
        columns = pool_end(w->x, s->dw, s->kw, s->iw + s->pr);
    }
    return rows > 0 && columns > 0 ? (float)(rows * columns) : 1.0f;
}

/* The windows tile the image without overlap or gap, save for a rest at the lower and right end:
 * every pixel of the image receives from one window at most. */
AB_INLINE bool pool_tiles(const struct ab_pool_shape *s)
{
    return (s->oh == 1 || (s->kh == s->sh && s->dh == 1)) &&
           (s->ow == 1 || (s->kw == s->sw && s->dw == 1));
}

/* The windows of a tiling reach every pixel: those that write leave nothing to zero. */
AB_INLINE bool pool_covers(const struct ab_pool_shape *s)
{
    return pool_tiles(s) && s->dh == 1 && s->dw == 1 && s->oh * s->kh - s->pt >= s->ih &&
           s->ow * s->kw - s->pl >= s->iw;
}

/* The outputs [*begin, *end) whose windows make the rows of a backward range. */
AB_INLINE void pool_outputs(const struct ab_pool_args *p, int *begin, int *end)
{
    *begin = p->range.y0 / p->shape.sh;
    *end = p->range.y1 < p->shape.ih ? p->range.y1 / p->shape.sh : p->shape.oh;
}

AB_INLINE float *pool_row(const struct ab_view *v, int n, int b, int y)
{
    return v->data + n * v->image + b * v->block + y * v->row;
}

AB_INLINE uint16_t *pool_switch_row(const struct ab_pool_args *p, int n, int b, int oy)
{
    if (!p->switches) return NULL;
    ptrdiff_t rows = ((ptrdiff_t)n * ab_blocks(p->shape.c) + b) * p->shape.oh + oy;
    return p->switches + rows * p->shape.ow * AB_LANES;
}

/* Zeroes rows [from,to) of a plane of dst, clipped to the image; returns max(from,to). Scattering
 * calls it just ahead of its windows, so that the plane passes through the cache once. */
static inline int pool_zero_rows(const struct ab_pool_args *p, int n, int b, int from, int to)
{
    for (int y = from; y < to && y < p->shape.ih; y++)
        memset(pool_row(&p->dst, n, b, y), 0, (size_t)p->shape.iw * AB_LANES * sizeof(float));
    return to > from ? to : from;
}

/* Calls row(p, n, b, y) for the rows of dst in range. */
#define POOL_EACH_ROW(p, row)                                                                      \
    for (int n_ = (p)->range.n0; n_ < (p)->range.n1; n_++)                                         \
        for (int b_ = (p)->range.b0; b_ < (p)->range.b1; b_++)                                     \
            for (int y_ = (p)->range.y0; y_ < (p)->range.y1; y_++) row(p, n_, b_, y_);

/* Calls plane(p, n, b) for the planes of dst in range. */
#define POOL_EACH_PLANE(p, plane)                                                                  \
    for (int n_ = (p)->range.n0; n_ < (p)->range.n1; n_++)                                         \
        for (int b_ = (p)->range.b0; b_ < (p)->range.b1; b_++) plane(p, n_, b_);

#endif
