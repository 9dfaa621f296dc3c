// SPDX-License-Identifier: Apache-2.0
// Order statistics and the clock.
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void ab_sort(double *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
}

double ab_quantile(const double *sorted, int count, double q)
{
    double at = q * (count - 1);
    int low = (int)floor(at);
    if (low + 1 >= count) return sorted[count - 1];
    return sorted[low] + (at - low) * (sorted[low + 1] - sorted[low]);
}

bool ab_stats_of(const double *values, int count, struct ab_stats *stats)
{
    *stats = (struct ab_stats){0};
    double *sorted = count > 0 ? malloc((size_t)count * sizeof *sorted) : NULL;
    if (!sorted) return false;
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    ab_sort(sorted, (size_t)count);
    stats->samples = count;
    stats->min = sorted[0];
    stats->p10 = ab_quantile(sorted, count, 0.10);
    stats->median = ab_quantile(sorted, count, 0.50);
    stats->p90 = ab_quantile(sorted, count, 0.90);
    stats->p99 = count >= AB_P99_SAMPLES ? ab_quantile(sorted, count, 0.99) : (double)NAN;
    free(sorted);
    return true;
}

static double median_of(const double *values, int count)
{
    struct ab_stats stats;
    return ab_stats_of(values, count, &stats) ? stats.median : (double)NAN;
}

double ab_paired_ratio(const double *over, int n_over, const double *under, int n_under)
{
    if (n_over != n_under) return median_of(over, n_over) / median_of(under, n_under);
    double *ratios = n_over ? malloc((size_t)n_over * sizeof *ratios) : NULL;
    if (!ratios) return (double)NAN;
    for (int i = 0; i < n_over; i++) ratios[i] = over[i] / under[i];
    double ratio = median_of(ratios, n_over);
    free(ratios);
    return ratio;
}

double ab_least(const double *values, int count)
{
    double best = (double)NAN;
    for (int i = 0; i < count; i++) best = fmin(best, values[i]);
    return best;
}

double ab_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}
