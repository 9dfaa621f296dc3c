// SPDX-License-Identifier: Apache-2.0
// attrbench theory: region perturbation (Samek et al. 2017), deletion and insertion. Patches are
// replaced from the most or the least relevant on; a map that knows what the class rests on makes
// the logit fall early, or late.
#include "theory_entrants.h"
#include "theory_layers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 4, STEPS = 12, MORF = 0, LERF = 1, ORDERS = 2 };

/* How patches are replaced: a stand-in, and patches of the usual side or of half of it. */
struct setting {
    enum ab_stand_in kind;
    int side;
};

struct flipping {
    struct ab_subject s; /* of at most IMAGES images */
    struct ab_result *r;
    struct ab_entrants entrants;
    struct ab_runner *runner;
    struct ab_grid grid;
    enum ab_stand_in kind;
    float *images, *logits; /* [1 + ORDERS * STEPS] */
    float *stand_in;        /* [image] */
    double *scores, *sums;
    int *order;
    /* [order][step 0..STEPS]: sums over images of the logit's fall and of the probability, of the
     * entrant at hand. */
    double fall[ORDERS][STEPS + 1], probability[ORDERS][STEPS + 1];
    struct ab_error *err;
};

/* Patches replaced after step j of STEPS. */
static int flipped(const struct flipping *f, int j)
{
    return (int)((long)f->grid.count * j / STEPS);
}

static void flip(const struct flipping *f, const float *x, int order, int j, float *to)
{
    memcpy(to, x, sizeof *to * f->s.image);
    for (int p = 0; p < flipped(f, j); p++) {
        const int at = order == MORF ? p : f->grid.count - 1 - p;
        ab_grid_copy(f->grid, f->s.dims, f->order[at], f->stand_in, to);
    }
}

static enum ab_status flip_image(struct flipping *f, int k, int i)
{
    const struct ab_subject *s = &f->s;
    const float *x = ab_subject_image(s, i);
    const int classes = s->classes, target = s->targets[i];
    if (!ab_stand_in_image(f->kind, x, s->dims, ab_subject_seed(s, "noise") + (uint64_t)i,
                           f->stand_in))
        return ab_fail(f->err, AB_ERR_MEMORY, "out of memory for a blurred image");
    ab_entrant_scores(&f->entrants, k, i, true, f->scores);
    ab_grid_sums(f->grid, s->dims, f->scores, f->sums);
    ab_descending(f->sums, f->grid.count, f->order);
    memcpy(f->images, x, sizeof *x * s->image);
    for (int o = 0; o < ORDERS; o++)
        for (int j = 1; j <= STEPS; j++)
            flip(f, x, o, j, f->images + (size_t)(o * STEPS + j) * s->image);
    const enum ab_status status =
        ab_runner_execute(f->runner, f->images, 1 + ORDERS * STEPS, NULL, NULL, f->logits, f->err);
    for (int o = 0; o < ORDERS && !status; o++)
        for (int j = 0; j <= STEPS; j++) {
            const float *logits = f->logits + (ptrdiff_t)(j ? o * STEPS + j : 0) * classes;
            f->fall[o][j] += ((double)f->logits[target] - (double)logits[target]) / s->n;
            f->probability[o][j] += ab_softmax(logits, classes, target) / s->n;
        }
    return status;
}

/* The mean over steps 0..STEPS of what the logit has fallen. */
static double aopc(const double *fall)
{
    double sum = 0;
    for (int j = 0; j <= STEPS; j++) sum += fall[j];
    return sum / (STEPS + 1);
}

struct scores {
    double morf, lerf, gap, deletion, insertion;
};

/* Patches put into the stand-in from the most relevant on are those that the least relevant first
 * leaves: insertion is that curve backwards. */
static struct scores score(const struct flipping *f)
{
    double x[STEPS + 1], insertion[STEPS + 1];
    for (int j = 0; j <= STEPS; j++) {
        x[j] = (double)flipped(f, j);
        insertion[j] = f->probability[LERF][j];
    }
    const double morf = aopc(f->fall[MORF]), lerf = aopc(f->fall[LERF]);
    return (struct scores){morf, lerf, morf - lerf,
                           ab_area_under(x, f->probability[MORF], STEPS + 1),
                           ab_area_under(x, insertion, STEPS + 1)};
}

/* All entrants in one setting; gaps: [entrants]. */
static enum ab_status run_setting(struct flipping *f, struct setting setting, double share,
                                  double *gaps, bool *whole)
{
    char id[64], title[160];
    f->kind = setting.kind;
    f->grid = ab_grid_of(f->s.dims, setting.side);
    snprintf(id, sizeof id, "%s-%d", ab_stand_in_names[setting.kind], setting.side);
    snprintf(title, sizeof title, "Patches of %dx%d replaced by %s", setting.side, setting.side,
             setting.kind == AB_STAND_IN_MEAN   ? "the mean"
             : setting.kind == AB_STAND_IN_BLUR ? "the blurred image"
                                                : "uniform noise");
    struct ab_table *t = ab_result_table(f->r, id, title, "map",
                                         "AOPC MoRF|AOPC LeRF|gap|deletion AUC|insertion AUC");
    struct ab_plot *plot = ab_result_plot(f->r, id, title);
    ab_plot_axis(plot, AB_AXIS_X, "share of patches replaced, most relevant first",
                 AB_SCALE_LINEAR);
    ab_plot_axis(plot, AB_AXIS_Y, "fall of the logit", AB_SCALE_LINEAR);
    for (int k = 0; k < f->entrants.count; k++) {
        const char *name = ab_entrant_name(&f->entrants, k);
        if (!ab_result_progress(f->r, share / f->entrants.count, "%s: %s", id, name)) {
            *whole = false;
            return AB_OK;
        }
        memset(f->fall, 0, sizeof f->fall);
        memset(f->probability, 0, sizeof f->probability);
        enum ab_status status = AB_OK;
        for (int i = 0; i < f->s.n && !status; i++) status = flip_image(f, k, i);
        if (status) return status;
        const struct scores of = score(f);
        ab_table_row(t, name, (double[]){of.morf, of.lerf, of.gap, of.deletion, of.insertion}, 3,
                     NULL);
        gaps[k] = of.gap;
        const int series = ab_plot_series(plot, name, k < f->s.n_methods ? AB_LINE : AB_DASHES);
        for (int j = 0; j <= STEPS; j++)
            ab_plot_point(plot, series, (double)flipped(f, j) / f->grid.count, f->fall[MORF][j]);
    }
    return AB_OK;
}

/* The gap of the method of this name, NaN: not there. */
static double gap_of(const struct flipping *f, const double *gaps, const char *name)
{
    for (int k = 0; k < f->s.n_methods; k++)
        if (strcmp(f->s.methods[k]->desc->name, name) == 0) return gaps[k];
    return (double)NAN;
}

/* gaps: where the mean stands in. */
static void conclude(const struct flipping *f, const double *gaps)
{
    const double product = gap_of(f, gaps, "input-x-gradient");
    const double guided = gap_of(f, gaps, "guided-backprop");
    const double edges = gaps[f->s.n_methods + AB_CONTROL_EDGES];
    const double random = gaps[f->s.n_methods + AB_CONTROL_RANDOM];
    bool judged = false;
    if (!isnan(product) && !isnan(guided)) {
        ab_result_verdict(f->r, AB_CLAIM_EXPECTED, product > guided,
                          "gap less that of "
                          "guided-backprop",
                          product - guided,
                          "input-x-gradient finds what the class rests on better than "
                          "guided-backprop");
        judged = true;
    }
    if (!isnan(guided)) {
        ab_result_verdict(f->r, AB_CLAIM_EXPECTED,
                          fabs(guided - edges) < fabs(guided - (isnan(product) ? random : product)),
                          "gap less that of edges", guided - edges,
                          "guided-backprop is nearer to an edge map than to a map of the class");
        judged = true;
    }
    if (judged) return;
    double best = -INFINITY;
    for (int k = 0; k < f->s.n_methods; k++)
        if (gaps[k] > best) best = gaps[k];
    ab_result_verdict(f->r, AB_CLAIM_EXPECTED, best > random, "largest gap less that of noise",
                      best - random, "maps find what the class rests on better than noise");
}

static enum ab_status run_settings(struct flipping *f)
{
    const int side = f->s.dims.h >= 48 && f->s.dims.w >= 48 ? 8 : 4;
    const struct setting settings[] = {{AB_STAND_IN_MEAN, side},
                                       {AB_STAND_IN_BLUR, side},
                                       {AB_STAND_IN_NOISE, side},
                                       {AB_STAND_IN_MEAN, side / 2}};
    enum { SETTINGS = sizeof settings / sizeof *settings };
    double *gaps = calloc((size_t)SETTINGS * (size_t)f->entrants.count, sizeof *gaps);
    enum ab_status status = gaps ? AB_OK : ab_fail(f->err, AB_ERR_MEMORY, "out of memory");
    bool whole = true;
    for (int k = 0; k < SETTINGS && !status && whole; k++)
        status = run_setting(f, settings[k], 1.0 / SETTINGS,
                             gaps + (ptrdiff_t)k * f->entrants.count, &whole);
    if (!status && whole) {
        ab_result_note(f->r,
                       "%d image%s; relevance and products with the image rank patches by "
                       "their sum, other maps by that of absolute values; AOPC in logits, "
                       "areas in probability; verdicts by the first table",
                       f->s.n, f->s.n > 1 ? "s" : "");
        conclude(f, gaps);
    }
    free(gaps);
    return status;
}

static enum ab_status allocate(struct flipping *f)
{
    const size_t pixels = (size_t)f->s.dims.h * (size_t)f->s.dims.w, shots = 1 + ORDERS * STEPS;
    f->images = malloc(sizeof *f->images * shots * f->s.image);
    f->logits = malloc(sizeof *f->logits * shots * (size_t)f->s.classes);
    f->stand_in = malloc(sizeof *f->stand_in * f->s.image);
    f->scores = malloc(sizeof *f->scores * pixels);
    f->sums = malloc(sizeof *f->sums * pixels);
    f->order = malloc(sizeof *f->order * pixels);
    const bool good = f->images && f->logits && f->stand_in && f->scores && f->sums && f->order;
    return good ? AB_OK : ab_fail(f->err, AB_ERR_MEMORY, "out of memory for flipped images");
}

static enum ab_status run(const struct ab_subject *s, struct ab_result *r, struct ab_error *err)
{
    struct flipping f = {.s = *s, .r = r, .err = err};
    f.s.n = s->n < IMAGES ? s->n : IMAGES;
    if (s->dims.h < 4 || s->dims.w < 4) {
        ab_result_note(r, "the input is no image: there are no patches");
        ab_result_verdict(r, AB_CLAIM_EXPECTED, false, "patches", 0,
                          "maps find what the class rests on better than noise");
        return AB_OK;
    }
    const struct ab_runner_spec spec = {.batch = 5};
    enum ab_status status = allocate(&f);
    if (!status) status = ab_runner_create(s, &spec, &f.runner, err);
    if (!status) status = ab_entrants_make(&f.s, &f.entrants, err);
    if (!status) {
        status = run_settings(&f);
        ab_entrants_free(&f.entrants);
    }
    ab_runner_destroy(&f.runner);
    free(f.images), free(f.logits), free(f.stand_in);
    free(f.scores), free(f.sums), free(f.order);
    return status;
}

const struct ab_experiment ab_experiment_flipping = {
    .name = "flipping",
    .question = "Does the class fall when what a map marks is taken away?",
    .seconds = 8,
    .run = run};
