// SPDX-License-Identifier: Apache-2.0
// Percentiles of latencies, with the interval that holds them: order statistics and the binomial
// distribution, nothing is assumed about the latencies but that they are independent.
#ifndef AB_PERCENTILE_H
#define AB_PERCENTILE_H

#include "base/base.h"

struct ab_percentile {
    double value;     /* NaN: too few samples to say anything */
    double low, high; /* hold the quantile with the confidence asked for, each side by itself; NaN:
                         so few samples cannot give that side */
};
struct ab_percentile ab_percentile_of(const double *sorted, int count, double q, double confidence);
/* The fewest samples that give an upper side: 299 for p99 at 95 %, 459 at 99 %. */
int ab_percentile_least(double q, double confidence);

/* A limit on a quantile of latency. */
struct ab_slo {
    double quantile, limit_ns;
};
/* "p99=80ms", "p50=5ms", "p99.9=1s". */
enum ab_status ab_slo_parse(const char *text, struct ab_slo *slo, struct ab_error *err);
void ab_slo_text(const struct ab_slo *slo, char *text, size_t size);

enum ab_slo_state { AB_SLO_OPEN, AB_SLO_HELD, AB_SLO_BROKEN };
/* HELD: the interval's upper side is within the limit; BROKEN: its lower side is above. Latencies
 * in any order. */
enum ab_slo_state ab_slo_judge(const struct ab_slo *slo, const double *latency_ns, int count,
                               double confidence);

#endif
