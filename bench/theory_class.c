// SPDX-License-Identifier: Apache-2.0
// Experiment `class`: do maps depend on the class that is explained? Each image is explained twice,
// for the class that the network ranks first and for the one it ranks second; maps that merely
// restore the image are the same.
#include "theory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIMILARITIES = 4 };

struct outcome {
    double *values; /* [method][similarity][image] */
    int n;
};

static double *values_of(const struct outcome *o, int method, int similarity)
{
    return o->values + ((size_t)method * SIMILARITIES + (size_t)similarity) * (size_t)o->n;
}

/* The class of the second largest logit. */
static int second(const float *logits, int classes, int first)
{
    int best = first == 0 ? 1 : 0;
    for (int k = 0; k < classes; k++)
        if (k != first && logits[k] > logits[best]) best = k;
    return best;
}

static enum ab_status compare(const struct ab_subject *s, struct ab_result *r,
                              const struct ab_maps *a, const struct ab_maps *b, struct outcome *o,
                              struct ab_error *err)
{
    for (int m = 0; m < s->n_methods; m++) {
        enum ab_status status = AB_OK;
#pragma omp parallel for num_threads(s->options.threads) schedule(static)
        for (int i = 0; i < s->n; i++) {
            struct ab_likeness like;
            struct ab_error own;
            const enum ab_status one = ab_likeness_of(ab_maps_at(a, m, i), ab_maps_at(b, m, i),
                                                      s->dims, AB_NORMALISE_SIGNED, &like, &own);
            values_of(o, m, 0)[i] = like.cosine;
            values_of(o, m, 1)[i] = like.spearman;
            values_of(o, m, 2)[i] = like.spearman_abs;
            values_of(o, m, 3)[i] = like.ssim;
#pragma omp critical
            if (one != AB_OK) {
                status = one;
                if (err) *err = own;
            }
        }
        if (status != AB_OK) return status;
        if (!ab_result_progress(r, 0.5 / s->n_methods, "%s", ab_subject_label(s, m))) break;
    }
    return AB_OK;
}

static void report(const struct ab_subject *s, struct ab_result *r, const struct outcome *o)
{
    const uint64_t seed = ab_subject_seed(s, "class: bootstrap");
    struct ab_table *t = ab_result_table(
        r, "classes",
        "Maps of the two highest classes compared (means over images; 95 % of cosine)", "method",
        "cosine|low|high|spearman|spearman of abs|ssim");
    struct ab_plot *p = ab_result_plot(r, "classes", "How alike are the maps of two classes?");
    ab_plot_axis(p, AB_AXIS_X, "", AB_SCALE_NAMES);
    ab_plot_axis(p, AB_AXIS_Y, "likeness of the two maps", AB_SCALE_LINEAR);
    ab_plot_range(p, AB_AXIS_Y, 0, 1);
    const int cosines = ab_plot_series(p, "cosine", AB_BARS);
    const int ssims = ab_plot_series(p, "SSIM", AB_BARS);
    for (int m = 0; m < s->n_methods; m++) {
        struct ab_spread of[SIMILARITIES];
        for (int k = 0; k < SIMILARITIES; k++) of[k] = ab_spread_of(values_of(o, m, k), o->n, seed);
        const double cells[] = {of[0].mean, of[0].low,  of[0].high,
                                of[1].mean, of[2].mean, of[3].mean};
        ab_table_row(t, ab_subject_label(s, m), cells, 3,
                     of[0].count ? "an interval takes two images" : "a map is zero or constant");
        ab_plot_tick(p, m, ab_subject_label(s, m));
        ab_plot_band(p, cosines, m, of[0].mean, of[0].low, of[0].high);
        ab_plot_point(p, ssims, m, of[3].mean);
    }
}

/* The mean cosine of the methods named so, whatever their parameters; NaN: not among them. */
static double mean_cosine(const struct ab_subject *s, const struct outcome *o, const char *name)
{
    double sum = 0;
    int count = 0;
    for (int m = 0; m < s->n_methods; m++) {
        if (strcmp(s->methods[m]->desc->name, name) != 0) continue;
        const struct ab_spread of = ab_spread_of(values_of(o, m, 0), o->n, 0);
        sum += of.mean;
        count++;
    }
    return count ? sum / count : (double)NAN;
}

static void judge(const struct ab_subject *s, struct ab_result *r, const struct outcome *o)
{
    const double plain = mean_cosine(s, o, "gradient");
    const double guided = mean_cosine(s, o, "guided-backprop");
    const double zplus = mean_cosine(s, o, "lrp-zplus");
    bool judged = false;
    if (isfinite(guided) && isfinite(plain)) {
        ab_result_verdict(r, AB_CLAIM_EXPECTED, guided > 0.9 && guided - fabs(plain) > 0.3,
                          "cosine of guided-backprop less that of gradient", guided - fabs(plain),
                          "maps of guided-backprop hardly depend on the class, those of gradient "
                          "do");
        judged = true;
    }
    if (isfinite(zplus) && isfinite(plain)) {
        ab_result_verdict(r, AB_CLAIM_EXPECTED, zplus > 0.95 && zplus - fabs(plain) > 0.3,
                          "cosine of lrp-zplus less that of gradient", zplus - fabs(plain),
                          "the z+ rule propagates to nearly the same map from every class");
        judged = true;
    }
    if (judged) return;
    double least = 1;
    for (int m = 0; m < s->n_methods; m++)
        least = fmin(least, ab_spread_of(values_of(o, m, 0), o->n, 0).mean);
    ab_result_verdict(r, AB_CLAIM_EXPECTED, least < 0.9, "lowest mean cosine of a method", least,
                      "an explanation of a class depends on the class");
}

static enum ab_status run(const struct ab_subject *s, struct ab_result *r, struct ab_error *err)
{
    if (s->classes < 2)
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "%s has one class only; there is no other to "
                       "compare with",
                       s->name);
    struct ab_maps first, other = {0};
    struct outcome o = {.n = s->n};
    enum ab_status status =
        ab_maps_make(s, NULL, s->methods, s->n_methods, s->targets, &first, err);
    if (status != AB_OK) return status;
    int *targets = malloc((size_t)s->n * sizeof *targets);
    o.values = malloc((size_t)s->n_methods * SIMILARITIES * (size_t)s->n * sizeof *o.values);
    if (!targets || !o.values) status = ab_fail(err, AB_ERR_MEMORY, "out of memory for results");
    for (int i = 0; status == AB_OK && i < s->n; i++)
        targets[i] =
            second(first.logits + (size_t)i * (size_t)s->classes, s->classes, s->targets[i]);
    bool going = status == AB_OK && ab_result_progress(r, 0.25, "maps of the first class");
    if (going) status = ab_maps_make(s, NULL, s->methods, s->n_methods, targets, &other, err);
    going = going && status == AB_OK && ab_result_progress(r, 0.25, "maps of the second class");
    if (going) status = compare(s, r, &first, &other, &o, err);
    if (going && status == AB_OK && ab_result_progress(r, 0, "statistics")) {
        report(s, r, &o);
        judge(s, r, &o);
    }
    free(targets);
    free(o.values);
    ab_maps_free(&first);
    ab_maps_free(&other);
    return status;
}

const struct ab_experiment ab_experiment_class = {
    .name = "class",
    .question = "Do maps depend on the class that is explained?",
    .seconds = 4,
    .run = run,
};
