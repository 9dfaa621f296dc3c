// SPDX-License-Identifier: Apache-2.0
// Cosine similarity convergence of sets of signals, location by location.
#include "csc.h"

#include "base/base.h"

#include <math.h>
#include <stdlib.h>

static double dot(const double *a, const double *b, int c, size_t stride)
{
    double sum = 0;
    for (int i = 0; i < c; i++) sum += a[(size_t)i * stride] * b[(size_t)i * stride];
    return sum;
}

size_t ab_csc_gaps(const double *const signals[AB_CSC_SIGNALS], int c, size_t locations,
                   size_t most, float *gaps)
{
    const size_t looked = locations < most ? locations : most;
    size_t count = 0;
    for (size_t j = 0; j < looked; j++) {
        const size_t at = j * locations / looked;
        double norm[AB_CSC_SIGNALS];
        for (int k = 0; k < AB_CSC_SIGNALS; k++)
            norm[k] = sqrt(dot(signals[k] + at, signals[k] + at, c, locations));
        for (int k = 0; k < AB_CSC_SIGNALS; k++)
            for (int l = 0; l < k; l++) {
                if (!(norm[k] > 0 && norm[l] > 0)) continue;
                const double between = dot(signals[k] + at, signals[l] + at, c, locations);
                const double gap = 1 - fabs(between) / (norm[k] * norm[l]);
                gaps[count++] = gap > 0 ? (float)gap : 0; /* rounding can pass 1 */
            }
    }
    return count;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double ab_csc_baseline(int c, uint64_t seed)
{
    enum { PAIRS = 2001 };
    double cosines[PAIRS];
    for (uint64_t p = 0; p < PAIRS; p++) {
        double ab = 0, aa = 0, bb = 0;
        for (uint64_t i = 0; i < (uint64_t)c; i++) {
            const double a = ab_normal(seed, 2 * (p * (uint64_t)c + i));
            const double b = ab_normal(seed, 2 * (p * (uint64_t)c + i) + 1);
            ab += a * b;
            aa += a * a;
            bb += b * b;
        }
        cosines[p] = fabs(ab) / sqrt(aa * bb);
    }
    qsort(cosines, PAIRS, sizeof *cosines, ascending);
    return cosines[PAIRS / 2];
}
