// SPDX-License-Identifier: Apache-2.0
// Decisions about two series of samples: is B slower than A?
//
// Samples are cut into groups; of each group the low quantile counts, which neighbours on the
// machine disturb least (docs/regressions.md shows which rules lie, and how often). What is judged
// is the ratio of B's over A's: its median over groups, with a confidence interval from order
// statistics (nothing is assumed of the distribution) that is widened for the number of rows judged
// together.
#ifndef AB_DECIDE_H
#define AB_DECIDE_H

#include <stdbool.h>
#include <stddef.h>

enum ab_change {
    AB_CHANGE_SAME,       /* the interval lies within the threshold */
    AB_CHANGE_REGRESSION, /* B is slower by more than the threshold: the whole interval says so */
    AB_CHANGE_IMPROVEMENT,
    AB_CHANGE_INCONCLUSIVE /* the interval straddles it, or there are too few samples */
};
/* "same", "regression", "improvement", "inconclusive". */
const char *ab_change_name(enum ab_change c);

struct ab_samples {
    const double *ns;
    const bool *disturbed; /* or NULL; such slices count only if there are too few others */
    int count;
};

struct ab_decide_options {
    bool paired;     /* slice i of A and of B were taken in the same turn */
    int rows;        /* judged together, 1 or more */
    double alpha;    /* of a false alarm among all rows; 0: 0.01 */
    double user;     /* the share that the user tolerates; 0: 0.01 */
    double floor;    /* the noise floor's share, counted three times; NaN: not known, which counts
                        as 0 where paired and as 3 % where not */
    double least_ns; /* differences below this are no regression */
};

struct ab_ruling {
    enum ab_change change;
    double ratio, low, high; /* B over A; NaN: too few samples */
    double threshold;        /* the share that was used */
    double a_ns, b_ns;       /* low quantiles of all of A and B; NaN: no samples */
    int groups;
    char why[160]; /* of INCONCLUSIVE; else "" */
};
/* Cannot fail: what stands in its way is INCONCLUSIVE. A sample that is not a positive number makes
 * a row inconclusive, since the clock that it is from cannot be trusted. */
void ab_decide(const struct ab_samples *a, const struct ab_samples *b,
               const struct ab_decide_options *o, struct ab_ruling *d);

/* The same from looks: ratios[i], above 0, is B over A as measured by turns in look i, in processes
 * of its own. What differs between processes is then in the interval. Processes of A are alike, and
 * so are those of B: what chance adds to the ratio's logarithm, it takes away as often, so that
 * signed ranks give the interval. o->rows: how many rows are looked at so; a_ns: what A takes. */
void ab_decide_looks(const double *ratios, int count, const struct ab_decide_options *o,
                     double a_ns, struct ab_ruling *d);

/* The least count of samples that ab_decide can judge with these options: fewer do not reach the
 * confidence however they lie. */
int ab_decide_least(const struct ab_decide_options *o);

/* Sizes of errors against the reference, of relative L2 kind: whether B's grew (REGRESSION) or
 * shrank beyond what another order of summing explains: fourfold, and above 1e-6. NaN, in either:
 * not judged, SAME. */
enum ab_change ab_decide_error(double a, double b);

/* Exact step fitting: breaks[count] gets the first index of each segment but the first, of a
 * piecewise constant fit to log(values) by least absolute deviation, each break costing `penalty`.
 * Values are positive and finite. Returns their number; -1: out of memory. O(n^2 log n). */
int ab_change_points(const double *values, int count, double penalty, int *breaks);
/* A penalty at which fewer than 1 of 100 series without steps get a break: from the series' own
 * differences of neighbours, and no less than what the noise floor (a share; NaN: not known)
 * makes of it. */
double ab_change_penalty(const double *values, int count, double floor);

#endif
