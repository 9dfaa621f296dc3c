// SPDX-License-Identifier: Apache-2.0
// Agreement: attribution maps of any backend against the double-precision reference.
//
// Rounding can flip a discrete decision (a ReLU gate at z ~ 0, a max-pool tie, RectGrad's
// threshold); one flip changes a map by far more than rounding does, and either branch is right. So
// the referee compares decisions first; where they differ, each flip must be within rounding of its
// threshold, and the reference is run again with the backend's own decisions. Quotients are no
// better where the denominator is as small as its own rounding error: there the replay adopts the
// backend's denominators, each of which must be within rounding of the reference's. What remains is
// arithmetic error, judged against the limits of the method's class (docs/numerics.md).
#ifndef AB_AGREE_H
#define AB_AGREE_H

#include "plan/plan.h"

enum ab_verdict { AB_AGREE, AB_DISAGREE, AB_MISTRUSTED, AB_SKIPPED };
const char *ab_verdict_name(enum ab_verdict verdict);

/* Limits on a map: class W for methods whose denominators, if any, are well conditioned on `graph`,
 * class I for others, class D for differences of maps of equal sum, class C for class activation
 * maps. */
struct ab_limits {
    const char *name; /* "W", "I", "D" or "C" */
    double rel_l2, max_err, one_minus_cosine, one_minus_pearson, one_minus_spearman, iou1, iou5,
        one_minus_ssim;
};
const struct ab_limits *ab_agree_limits(const struct ab_composite *composite,
                                        const struct ab_graph *graph);

struct ab_agreement {
    enum ab_verdict verdict;
    char why[160]; /* for every verdict but agree: the metric and its limit, or the flip that
                      rounding cannot explain */
    /* Each of the worst image of the batch; over all elements of the map: */
    double rel_l2;  /* |got - ref|_2 / |ref|_2 */
    double max_err; /* max |got - ref| / max |ref| */
    double cosine;
    double pearson, spearman, iou1, iou5, ssim; /* over the sums of all channels */
    double err_over_bound; /* the worst metric as a multiple of its limit: <= 1 agrees */
    long flips;            /* decisions that differ from the reference's own and were replayed */
    long adopted;          /* denominators near zero that the replay took from the backend */
    long illegal_flips;    /* of both, those that rounding cannot explain */
};

/* Compares maps [n][c][h][w]; a reference that is constant or zero gives mistrusted, a non-finite
 * value in got disagree. */
void ab_agree_maps(const double *ref, const double *got, int n, struct ab_dims dims,
                   const struct ab_limits *limits, struct ab_agreement *result);
/* The worse of both, of every metric and of the verdicts; flips add up. */
void ab_agreement_merge(struct ab_agreement *all, const struct ab_agreement *one);

/* What is judged: all methods on one batch of images. Zeros: a batch of 1, one target each. */
struct ab_judged {
    const struct ab_method *const *methods;
    int n_methods, batch, n_targets;
    const float *input; /* as for ab_plan_execute */
    const int *targets;
    const char *at;        /* as in struct ab_plan_options */
    bool (*stopped)(void); /* asked while the referee computes: true ends it with an error, within
                              about a second; NULL: never */
};

/* The reference results of a case; copies what it needs of it. `cache_dir` keeps the reference's
 * own maps and decisions by the content hash of graph, methods, images, targets and the library's
 * sources (NULL: no cache; an unreadable or damaged entry is recomputed, never trusted). */
struct ab_referee;
enum ab_status ab_referee_create(const struct ab_graph *graph, const struct ab_judged *judged,
                                 int threads, const char *cache_dir, struct ab_referee **referee,
                                 struct ab_error *err);
void ab_referee_destroy(struct ab_referee **referee);
/* Judges `plan`: same graph, methods in the same order and targets, `retain` set, just executed on
 * the same batch. results: [n_methods][n_targets]. */
enum ab_status ab_referee_judge(struct ab_referee *referee, const struct ab_plan *plan,
                                struct ab_agreement *results, struct ab_error *err);
/* The reference's own map number `map`, [batch] of the plan's map dims; lives as long as the
 * referee. */
const double *ab_referee_map(const struct ab_referee *referee, int map);

#endif
