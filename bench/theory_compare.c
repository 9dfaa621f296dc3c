// SPDX-License-Identifier: Apache-2.0
// How alike two maps are, and statistics over images.
#include "theory.h"

#include "agree/metrics.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ab_channel_sums(const float *map, struct ab_dims dims, double *sums)
{
    const size_t pixels = (size_t)dims.h * (size_t)dims.w;
    for (size_t i = 0; i < pixels; i++) {
        sums[i] = 0;
        for (size_t c = 0; c < (size_t)dims.c; c++) sums[i] += (double)map[c * pixels + i];
    }
}

static const double CLIP_AT = 0.995; /* the quantile of magnitudes at which WEL clips pictures */

static bool clip(double *v, size_t count)
{
    double *sizes = malloc(count * sizeof *sizes);
    if (!sizes) return false;
    for (size_t i = 0; i < count; i++) sizes[i] = fabs(v[i]);
    ab_sort(sizes, count);
    const double limit = ab_quantile(sizes, (int)count, CLIP_AT);
    for (size_t i = 0; i < count; i++) v[i] = fmax(-limit, fmin(limit, v[i]));
    free(sizes);
    return true;
}

static bool normalise(double *v, size_t count, enum ab_normalise how)
{
    double largest = 0;
    if (how == AB_NORMALISE_CLIP && !clip(v, count)) return false;
    for (size_t i = 0; i < count; i++) {
        if (how == AB_NORMALISE_ABS) v[i] = fabs(v[i]);
        largest = fmax(largest, fabs(v[i]));
    }
    for (size_t i = 0; i < count && largest > 0; i++) v[i] /= largest;
    return true;
}

static bool constant(const double *v, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (v[i] != v[0]) return false;
    return true;
}

/* Nothing is like a constant map: the SSIM of two would be 1. */
static double ssim_of_signs(const double *a, double *b, size_t count, struct ab_dims d)
{
    if (constant(a, count) || constant(b, count)) return (double)NAN;
    const double same = ab_metric_ssim(a, b, d.h, d.w);
    for (size_t i = 0; i < count; i++) b[i] = -b[i];
    const double flipped = ab_metric_ssim(a, b, d.h, d.w);
    return fmax(same, flipped);
}

static double cosine(const float *a, const float *b, size_t count)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < count; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : (double)NAN;
}

enum ab_status ab_likeness_of(const float *a, const float *b, struct ab_dims dims,
                              enum ab_normalise how, struct ab_likeness *likeness,
                              struct ab_error *err)
{
    const size_t pixels = (size_t)dims.h * (size_t)dims.w;
    double *v = malloc(2 * pixels * sizeof *v), *w = v + pixels;
    *likeness = (struct ab_likeness){(double)NAN, (double)NAN, (double)NAN, (double)NAN};
    if (!v) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a comparison of maps");
    ab_channel_sums(a, dims, v);
    ab_channel_sums(b, dims, w);
    bool good = normalise(v, pixels, how) && normalise(w, pixels, how);
    likeness->cosine = cosine(a, b, pixels * (size_t)dims.c);
    likeness->spearman = good ? ab_metric_spearman(v, w, pixels) : (double)NAN;
    likeness->ssim = good ? ssim_of_signs(v, w, pixels, dims) : (double)NAN;
    good = good && normalise(v, pixels, AB_NORMALISE_ABS) && normalise(w, pixels, AB_NORMALISE_ABS);
    likeness->spearman_abs = good ? ab_metric_spearman(v, w, pixels) : (double)NAN;
    free(v);
    return good ? AB_OK : ab_fail(err, AB_ERR_MEMORY, "out of memory for a comparison of maps");
}

/* ---- statistics ---- */

enum { RESAMPLES = 2000, MAX_KEPT = 4096 };

static double resampled_mean(const double *v, int count, uint64_t seed, int round)
{
    double sum = 0;
    for (int i = 0; i < count; i++) {
        const uint64_t draw = (uint64_t)round * (uint64_t)count + (uint64_t)i;
        sum += v[(int)(ab_uniform(seed, draw) * count)];
    }
    return sum / count;
}

struct ab_spread ab_spread_of(const double *values, int count, uint64_t seed)
{
    struct ab_spread s = {0, (double)NAN, (double)NAN, (double)NAN, (double)NAN, (double)NAN};
    double kept[MAX_KEPT], means[RESAMPLES], sum = 0, squares = 0;
    for (int i = 0; i < count && s.count < MAX_KEPT; i++)
        if (isfinite(values[i])) kept[s.count++] = values[i];
    if (!s.count) return s;
    for (int i = 0; i < s.count; i++) sum += kept[i];
    s.mean = sum / s.count;
    for (int i = 0; i < s.count; i++) squares += (kept[i] - s.mean) * (kept[i] - s.mean);
    s.sd = s.count > 1 ? sqrt(squares / (s.count - 1)) : (double)NAN;
    if (s.count > 1) {
        for (int k = 0; k < RESAMPLES; k++) means[k] = resampled_mean(kept, s.count, seed, k);
        ab_sort(means, RESAMPLES);
        s.low = ab_quantile(means, RESAMPLES, 0.025);
        s.high = ab_quantile(means, RESAMPLES, 0.975);
    }
    ab_sort(kept, (size_t)s.count);
    s.median = ab_quantile(kept, s.count, 0.5);
    return s;
}
