// SPDX-License-Identifier: Apache-2.0
// The pointwise kernel over pw_map of pointwise_tpl.h or pointwise_scalar.h.
#ifndef AB_SIMD_POINTWISE_ROWS_H
#define AB_SIMD_POINTWISE_ROWS_H

#include "pointwise_base.h"

static void pw_rows(const struct ab_pointwise_args *p)
{
    const struct ab_range *r = &p->range;
    for (int n = r->n0; n < r->n1; n++) {
        for (int b = r->b0; b < r->b1; b++) {
            for (int y = r->y0; y < r->y1; y++) {
                const struct pw_at at = {.n = n, .block = b, .y = y, .x0 = 0, .xstep = 1};
                const float *src = p->x.data + n * p->x.image + b * p->x.block + y * p->x.row;
                float *dst = p->dst.data + n * p->dst.image + b * p->dst.block + y * p->dst.row;
                pw_map(&p->f, &at, src, AB_LANES, dst, AB_LANES, p->w);
            }
        }
    }
}

#endif
