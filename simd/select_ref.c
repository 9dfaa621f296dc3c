// SPDX-License-Identifier: Apache-2.0
// Radix histograms, the definition.
#include "kernels.h"

static float at(const struct ab_view *v, int n, int b, int y, int e)
{
    return v->data[n * v->image + b * v->block + y * v->row + e];
}

void ab_select_ref(const void *args);
void ab_select_ref(const void *args)
{
    const struct ab_select_args *p = args;
    const int n = p->range.n0;
    for (int b = p->range.b0; b < p->range.b1; b++)
        for (int y = p->range.y0; y < p->range.y1; y++)
            for (int e = 0; e < p->w * AB_LANES; e++) {
                float v = at(&p->x, n, b, y, e);
                if (p->a.data) v *= at(&p->a, n, b, y, e);
                uint32_t key = ab_float_key(v + 0.0f);
                if (((key ^ p->prefix) & p->mask) == 0)
                    p->hist[((key & ~p->mask) >> p->shift) & 2047]++;
            }
}
