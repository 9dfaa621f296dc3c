// SPDX-License-Identifier: Apache-2.0
// What follows the sums of a backward pooling kernel. Include pointwise_tpl.h or pointwise_scalar.h
// and pool_geom.h first.
#ifndef AB_SIMD_POOL_EPILOGUE_H
#define AB_SIMD_POOL_EPILOGUE_H

/* The epilogue on rows [from,to) of a plane of dst, clipped to the image; returns max(from,to).
 * Scattering calls it just behind its windows, while the rows are in L1. */
static inline int pool_finish_rows(const struct ab_pool_args *p, int n, int b, int from, int to)
{
    for (int y = from; y < to && y < p->shape.ih; y++) {
        const struct pw_at at = {.n = n, .block = b, .y = y, .x0 = 0, .xstep = 1};
        pw_pixels(&p->f, &at, pool_row(&p->dst, n, b, y), AB_LANES, p->shape.iw);
    }
    return to > from ? to : from;
}

#endif
