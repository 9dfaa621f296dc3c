// SPDX-License-Identifier: Apache-2.0
// Radix histograms in plain C: the speed baseline, compiled at several instruction sets.
#include "kernels.h"

#ifndef AB_SYMBOL
#define AB_SYMBOL ab_select_plain
#endif

static void count_row(const struct ab_select_args *p, const float *x, const float *a)
{
    for (ptrdiff_t e = 0; e < (ptrdiff_t)p->w * AB_LANES; e++) {
        uint32_t key = ab_float_key((a ? x[e] * a[e] : x[e]) + 0.0f);
        if (((key ^ p->prefix) & p->mask) == 0) p->hist[((key & ~p->mask) >> p->shift) & 2047]++;
    }
}

void AB_SYMBOL(const void *args);
void AB_SYMBOL(const void *args)
{
    const struct ab_select_args *p = args;
    const int n = p->range.n0;
    for (int b = p->range.b0; b < p->range.b1; b++) {
        for (int y = p->range.y0; y < p->range.y1; y++) {
            const float *x = p->x.data + n * p->x.image + b * p->x.block + y * p->x.row;
            const float *a = p->a.data;
            if (a) a += n * p->a.image + b * p->a.block + y * p->a.row;
            count_row(p, x, a);
        }
    }
}
