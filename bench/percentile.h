// SPDX-License-Identifier: Apache-2.0
// Percentiles of latencies, with the interval that holds them: order statistics and the binomial
// distribution, nothing is assumed about the latencies but that they are independent.
#ifndef AB_PERCENTILE_H
#define AB_PERCENTILE_H

#include "base/base.h"

/* The largest k for which the k-th smallest of n independent samples lies above their p-quantile
 * with a probability of at most `tail`, which is P(Binomial(n, p) < k); 0: none. 0 < p < 1. */
int ab_order_rank(int n, double p, double tail);

struct ab_percentile {
    double value;     /* NaN: no samples */
    double low, high; /* hold the quantile with the confidence asked for, each side by itself; NaN:
                         so few samples cannot give that side */
};
/* `clumps` samples say as much as one, see ab_clumps; 1: they are independent. */
struct ab_percentile ab_percentile_of_clumps(const double *sorted, int count, double clumps,
                                             double q, double confidence);
/* The fewest samples that give an upper side: 299 for p99 at 95 %, 459 at 99 %. */
int ab_percentile_least(double q, double confidence);

/* A limit on a quantile of latency. */
struct ab_slo {
    double quantile, limit_ns;
};
/* "p99=80ms", "p50=5ms", "p99.9=1s". */
enum ab_status ab_slo_parse(const char *text, struct ab_slo *slo, struct ab_error *err);
void ab_slo_text(const struct ab_slo *slo, char *text, size_t size);

/* HELD: the upper side of the quantile's interval is within the limit; BROKEN: its lower side is
 * above. */
enum ab_slo_state { AB_SLO_OPEN, AB_SLO_HELD, AB_SLO_BROKEN };
/* "open", "held", "broken". */
const char *ab_slo_state_name(enum ab_slo_state state);

/* How many latencies say as much as one that is independent, at least 1. Where there are queues or
 * bursts of other work, long ones come in clumps: the mean length of runs above a high level, over
 * that of independent latencies. In the order in which they came. */
double ab_slo_clumps(const struct ab_slo *slo, const double *latency_ns, int count);
/* The same of several visits, added one by one, each with a level of its own: that one is slower
 * than another makes no clump. Zeroed at first. */
struct ab_clumps {
    int count, above, runs;
};
void ab_clumps_add(struct ab_clumps *c, double quantile, const double *latency_ns, int count);
double ab_clumps_mean(const struct ab_clumps *c);
/* How many are above the limit, or no number. */
int ab_slo_beyond(const struct ab_slo *slo, const double *latency_ns, int count);

/* The same while latencies come, again and again: whoever looks until it is decided is wrong more
 * often than who looks once. So there are looks at counts that double alone, and look number j of a
 * side gets the share 1/(j (j+1)) of what may be wrong: these sum to 1, and each verdict is wrong
 * with a probability of at most 1 - confidence however many looks there are. What it costs: p99 at
 * 99 % cannot be held before 528 requests, where one look needs 459. Clumps count as one. Zeroed at
 * first. */
struct ab_slo_looks {
    int held, broken; /* looks that had a chance to decide so */
    int next;         /* the count from which on the next is */
};
/* OPEN too where it is not time for a look; `last`: it is. The latencies of former calls come
 * first, in their order. */
enum ab_slo_state ab_slo_look(struct ab_slo_looks *looks, const struct ab_slo *slo,
                              const double *latency_ns, int count, double confidence, bool last);
/* One look, at so many independent latencies of which so many are beyond the limit. */
enum ab_slo_state ab_slo_look_at(struct ab_slo_looks *looks, const struct ab_slo *slo, double count,
                                 double beyond, double confidence);
/* The fewest latencies that the next look can hold the limit with. */
int ab_slo_looks_least(const struct ab_slo_looks *looks, const struct ab_slo *slo,
                       double confidence);

#endif
