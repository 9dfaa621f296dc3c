// SPDX-License-Identifier: Apache-2.0
// RectGrad's threshold in the reference backend: the nearest-rank percentile by quickselect.
#include "backend/reference.h"

#include <math.h>

static void swap(double *a, double *b)
{
    const double t = *a;
    *a = *b;
    *b = t;
}

/* Hoare's selection with the median of three as pivot; equal elements are exchanged, so that runs
 * of zeros, of which masked signals are full, split in halves. */
double ab_select_double(double *v, size_t n, size_t k)
{
    size_t low = 0, high = n - 1;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (v[mid] < v[low]) swap(&v[mid], &v[low]);
        if (v[high] < v[low]) swap(&v[high], &v[low]);
        if (v[high] < v[mid]) swap(&v[high], &v[mid]);
        const double pivot = v[mid];
        size_t i = low, j = high;
        for (;;) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i >= j) break;
            swap(&v[i++], &v[j--]);
        }
        /* [low, j] <= pivot <= [j+1, high] */
        if (k <= j)
            high = j;
        else
            low = j + 1;
    }
    return v[low];
}

void ab_reference_tau(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_reference_map *x = ab_reference_map(exec, s->x);
    const struct ab_reference_map *a = s->a < 0 ? NULL : ab_reference_map(exec, s->a);
    double *products = ab_reference_scratch(exec);
    double *tau = ab_reference_map(exec, s->dst)->view.data;
    for (int n = 0; n < exec->batch; n++) {
        size_t count = 0;
        for (int c = 0; c < x->c; c++)
            for (int y = 0; y < x->h; y++) {
                const double *r = x->view.data + ab_reference_offset(x, n, c, y, 0);
                const double *f = a ? a->view.data + ab_reference_offset(a, n, c, y, 0) : NULL;
                for (ptrdiff_t i = 0; i < (ptrdiff_t)x->w * AB_LANES; i += AB_LANES)
                    products[count++] = f ? r[i] * f[i] : r[i];
            }
        const size_t rank = (size_t)rint((double)(count - 1) * s->q / 100.0);
        tau[n] = fmax(ab_select_double(products, count, rank), (double)s->tau_floor);
    }
}
