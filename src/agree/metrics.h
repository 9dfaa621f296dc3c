// SPDX-License-Identifier: Apache-2.0
// The metrics of two maps, in double. `count` is at least 1 everywhere; definitions and the cases
// without a value: docs/numerics.md.
#ifndef AB_METRICS_H
#define AB_METRICS_H

#include <stdbool.h>
#include <stddef.h>

/* |got - ref| / |ref| in the Euclidean norm, and in the maximum norm; NaN where ref is 0. */
double ab_metric_rel_l2(const double *ref, const double *got, size_t count);
double ab_metric_max_err(const double *ref, const double *got, size_t count);

/* NaN where one of the two is 0. */
double ab_metric_cosine(const double *a, const double *b, size_t count);
/* NaN where one of the two is constant. */
double ab_metric_pearson(const double *a, const double *b, size_t count);
/* Pearson's correlation of ranks, equal values sharing the mean of their ranks; NaN where one of
 * the two is constant, or out of memory. */
double ab_metric_spearman(const double *a, const double *b, size_t count);

/* Intersection over union of the `k` largest elements of each; of equal values those with lower
 * index. 1 where the k-th and the next largest of ref are within `tie` of each other, since
 * then rounding chooses between them. NaN when out of memory. 1 <= k <= count. */
double ab_metric_iou(const double *ref, const double *got, size_t count, size_t k, double tie);

/* Structural similarity: mean over all windows that lie inside the map, 7x7 or as large as a
 * smaller map permits, uniform weights, sample covariances, K1 = 0.01, K2 = 0.03, the data range
 * that of both maps together. 1 where that range is 0; NaN when out of memory. */
double ab_metric_ssim(const double *a, const double *b, int h, int w);

#endif
