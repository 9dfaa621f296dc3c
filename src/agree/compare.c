// SPDX-License-Identifier: Apache-2.0
// Two maps against the limits of a class: every metric of every image, and the verdict.
#include "agree/agree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "agree/metrics.h"

const char *ab_verdict_name(enum ab_verdict verdict)
{
    static const char *const names[] = {"agree", "disagree", "mistrusted", "skipped"};
    return names[verdict];
}

/* The sums over channels of one image's map, of ref and then of got, and room for two more; NULL
 * when out of memory. */
static double *sum_channels(const double *ref, const double *got, struct ab_dims dims)
{
    const size_t pixels = (size_t)dims.h * (size_t)dims.w;
    double *sums = calloc(4 * pixels, sizeof *sums);
    if (!sums) return NULL;
    for (size_t c = 0; c < (size_t)dims.c; c++)
        for (size_t i = 0; i < pixels; i++) {
            sums[i] += ref[c * pixels + i];
            sums[pixels + i] += got[c * pixels + i];
        }
    return sums;
}

static int by_value(const void *a, const void *b)
{
    const double x = **(const double *const *)a, y = **(const double *const *)b;
    return (x > y) - (x < y);
}

/* Values whose order the rounding of a few sums decides beside the largest one, as the flat rule's
 * inside an image, or those of gates that are nearly constant. */
static const double same = 0x1p-20;

/* Where the reference is zero, or as good as zero, an algorithm that transforms its inputs leaves
 * rounding noise whose order means nothing, nor does that among equal values of the reference: such
 * pixels of `got`, if within `tie` of the reference, take one value of the reference for ranking,
 * which is put into both `out_ref` and `out`. False: out of memory. */
static bool settle_ties(const double *ref, const double *got, size_t pixels, double tie,
                        double *out_ref, double *out)
{
    const double **order = malloc(pixels * sizeof *order);
    double largest = 0, plateau = 0;
    if (!order) return false;
    for (size_t i = 0; i < pixels; i++) largest = fmax(largest, fabs(ref[i]));
    for (size_t i = 0; i < pixels; i++) order[i] = &ref[i];
    qsort(order, pixels, sizeof *order, by_value);
    for (size_t k = 0; k < pixels; k++) {
        const size_t i = (size_t)(order[k] - ref);
        const bool joins = k > 0 && ref[i] - plateau <= same * largest;
        const bool joined = k + 1 < pixels && *order[k + 1] - ref[i] <= same * largest;
        if (!joins) plateau = ref[i];
        const bool even = joins || joined || fabs(ref[i]) <= tie;
        out_ref[i] = joins ? plateau : ref[i];
        out[i] = even && fabs(got[i] - ref[i]) <= tie ? out_ref[i] : got[i];
    }
    free(order);
    return true;
}

static void measure(const double *ref, const double *got, struct ab_dims dims, double *sums,
                    const struct ab_limits *limits, struct ab_agreement *r)
{
    const size_t pixels = (size_t)dims.h * (size_t)dims.w, count = pixels * (size_t)dims.c;
    const double *s = sums, *t = sums + pixels;
    double largest = 0;
    for (size_t i = 0; i < pixels; i++) largest = fmax(largest, fabs(s[i]));
    const size_t top1 = (pixels + 99) / 100, top5 = (pixels + 19) / 20;
    r->rel_l2 = ab_metric_rel_l2(ref, got, count);
    r->max_err = ab_metric_max_err(ref, got, count);
    r->cosine = ab_metric_cosine(ref, got, count);
    r->pearson = ab_metric_pearson(s, t, pixels);
    double *even = sums + 2 * pixels;
    const bool settled = settle_ties(s, t, pixels, limits->max_err * largest, even, even + pixels);
    r->spearman = settled ? ab_metric_spearman(even, even + pixels, pixels)
                          : ab_metric_spearman(s, t, pixels);
    r->iou1 = ab_metric_iou(s, t, pixels, top1, limits->max_err * largest);
    r->iou5 = ab_metric_iou(s, t, pixels, top5, limits->max_err * largest);
    r->ssim = ab_metric_ssim(s, t, dims.h, dims.w);
}

/* Two values of neighbouring rank that change places cost 12 / (n^3 - n): on a map of 15x15 pixels
 * one pair alone passes class W's limit. Three pairs are no disagreement. */
static double spearman_limit(const struct ab_limits *l, size_t pixels)
{
    const double n = (double)pixels;
    return fmax(l->one_minus_spearman, n > 1 ? 3 * 12 / (n * n * n - n) : 0);
}

/* How each metric stands to its limit; the worst decides. A metric without a value fails. */
static void judge(const struct ab_limits *l, size_t pixels, struct ab_agreement *r)
{
    const struct {
        const char *name;
        double distance, limit;
    } rows[] = {
        {"rel_l2", r->rel_l2, l->rel_l2},
        {"max_err", r->max_err, l->max_err},
        {"1-cosine", 1 - r->cosine, l->one_minus_cosine},
        {"1-pearson", 1 - r->pearson, l->one_minus_pearson},
        {"1-spearman", 1 - r->spearman, spearman_limit(l, pixels)},
        {"1-iou of the top 1%", 1 - r->iou1, 1 - l->iou1},
        {"1-iou of the top 5%", 1 - r->iou5, 1 - l->iou5},
        {"1-ssim", 1 - r->ssim, l->one_minus_ssim},
    };
    r->verdict = AB_AGREE;
    r->err_over_bound = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const double ratio = isnan(rows[i].distance) ? INFINITY : rows[i].distance / rows[i].limit;
        if (ratio <= r->err_over_bound) continue;
        r->err_over_bound = ratio;
        if (ratio <= 1) continue;
        r->verdict = AB_DISAGREE;
        if (isnan(rows[i].distance))
            snprintf(r->why, sizeof r->why, "%s has no value: the map is constant", rows[i].name);
        else
            snprintf(r->why, sizeof r->why, "%s is %.3g, above the limit %.3g of class %s",
                     rows[i].name, rows[i].distance, rows[i].limit, l->name);
    }
}

static bool all_finite(const double *v, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(v[i])) return false;
    return true;
}

static bool constant(const double *v, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (v[i] != v[0]) return false;
    return true;
}

static void without_value(struct ab_agreement *r, enum ab_verdict verdict, const char *why)
{
    r->verdict = verdict;
    r->rel_l2 = r->max_err = r->cosine = r->pearson = r->spearman = NAN;
    r->iou1 = r->iou5 = r->ssim = r->err_over_bound = NAN;
    snprintf(r->why, sizeof r->why, "%s", why);
}

static void compare_image(const double *ref, const double *got, struct ab_dims dims,
                          const struct ab_limits *limits, struct ab_agreement *r)
{
    const size_t pixels = (size_t)dims.h * (size_t)dims.w, count = pixels * (size_t)dims.c;
    if (!all_finite(got, count)) {
        without_value(r, AB_DISAGREE, "the map holds a value that is not finite");
        return;
    }
    if (!all_finite(ref, count)) {
        without_value(r, AB_MISTRUSTED, "the reference map holds a value that is not finite");
        return;
    }
    double *sums = sum_channels(ref, got, dims);
    if (!sums)
        without_value(r, AB_MISTRUSTED, "out of memory");
    else if (constant(sums, pixels))
        without_value(r, AB_MISTRUSTED,
                      "the reference map is constant, so nothing can be measured against it");
    else {
        measure(ref, got, dims, sums, limits, r);
        judge(limits, pixels, r);
    }
    free(sums);
}

/* The worse of two; NaN is no value and yields to any. */
void ab_agreement_merge(struct ab_agreement *all, const struct ab_agreement *one)
{
    static const int severity[] = {
        [AB_AGREE] = 0, [AB_SKIPPED] = 1, [AB_MISTRUSTED] = 2, [AB_DISAGREE] = 3};
    const bool worse = severity[one->verdict] > severity[all->verdict] ||
                       (one->verdict == all->verdict && one->err_over_bound > all->err_over_bound);
    if (worse) {
        all->verdict = one->verdict;
        snprintf(all->why, sizeof all->why, "%s", one->why);
    }
    all->rel_l2 = fmax(all->rel_l2, one->rel_l2);
    all->max_err = fmax(all->max_err, one->max_err);
    all->cosine = fmin(all->cosine, one->cosine);
    all->pearson = fmin(all->pearson, one->pearson);
    all->spearman = fmin(all->spearman, one->spearman);
    all->iou1 = fmin(all->iou1, one->iou1);
    all->iou5 = fmin(all->iou5, one->iou5);
    all->ssim = fmin(all->ssim, one->ssim);
    all->err_over_bound = fmax(all->err_over_bound, one->err_over_bound);
    all->flips += one->flips;
    all->adopted += one->adopted;
    all->illegal_flips += one->illegal_flips;
}

void ab_agree_maps(const double *ref, const double *got, int n, struct ab_dims dims,
                   const struct ab_limits *limits, struct ab_agreement *result)
{
    const size_t count = (size_t)dims.c * (size_t)dims.h * (size_t)dims.w;
    *result = (struct ab_agreement){0};
    for (int i = 0; i < n; i++) {
        struct ab_agreement one = {0};
        compare_image(ref + (size_t)i * count, got + (size_t)i * count, dims, limits, &one);
        if (i == 0)
            *result = one;
        else
            ab_agreement_merge(result, &one);
    }
}
