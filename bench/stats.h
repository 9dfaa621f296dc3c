// SPDX-License-Identifier: Apache-2.0
// Order statistics of samples, and the clock they come from.
#ifndef AB_STATS_H
#define AB_STATS_H

#include <stdbool.h>
#include <stddef.h>

struct ab_stats {
    int samples;
    double min, p10, median, p90, p99; /* p99 NaN below AB_P99_SAMPLES samples */
};

/* Fewer say nothing about the worst percent. */
enum { AB_P99_SAMPLES = 100 };

/* Quantiles interpolate linearly between order statistics (type 7 of Hyndman and Fan). `values`
 * stay as they are. False when out of memory or without samples. */
bool ab_stats_of(const double *values, int count, struct ab_stats *stats);

/* The q-quantile (0 to 1) of sorted values. */
double ab_quantile(const double *sorted, int count, double q);

/* The median of over[i] / under[i], samples taken by turns; of different counts: the ratio of the
 * medians. NaN without samples. */
double ab_paired_ratio(const double *over, int n_over, const double *under, int n_under);

/* The least value; NaN if there is none. */
double ab_least(const double *values, int count);

/* Sorts ascending. */
void ab_sort(double *values, size_t count);

/* Monotonic time in nanoseconds. */
double ab_now_ns(void);

#endif
