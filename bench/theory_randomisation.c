// SPDX-License-Identifier: Apache-2.0
// Experiment `randomisation`: what is left of a map when the weights are redrawn. Layers are
// redrawn from the logits downwards (cascading), one at a time (independent), and from the image
// upwards (bottom-up); each time the maps are compared with those of the original network.
#include "perturb.h"
#include "theory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum mode { CASCADING, INDEPENDENT, BOTTOM_UP, MODES };
static const char *const mode_names[MODES] = {"cascading", "independent", "bottom-up"};
static const char *const mode_titles[MODES] = {"weights redrawn from the top down to this layer",
                                               "weights of this layer alone redrawn",
                                               "weights redrawn from the bottom up to this layer"};

/* Maps that no network made, beside the methods: what likeness means without any explanation. */
enum control { CONTROL_NOISE, CONTROL_INPUT_NOISE, CONTROLS };
static const char *const control_names[CONTROLS] = {"noise", "input x noise"};

enum measure { COSINE, SPEARMAN, SPEARMAN_ABS, SSIM, MEASURES };
static const char *const measure_ids[MEASURES] = {"cosine", "spearman", "spearman-abs", "ssim"};
static const char *const measure_names[MEASURES] = {"cosine", "Spearman",
                                                    "Spearman of absolute values", "SSIM"};

enum { ENTROPY_BINS = 100 };

struct study {
    const struct ab_subject *s;
    struct ab_result *result;
    struct ab_error *err;
    int layers[256], n_layers, rows; /* rows: methods and controls */
    struct ab_maps original;
    double *values;     /* [mode][stage][row][measure][image] */
    double *entropy[2]; /* of original and fully redrawn network: [row][image] */
};

static double *values_at(const struct study *t, int mode, int stage, int row, int measure)
{
    size_t at = (size_t)mode * (size_t)t->n_layers + (size_t)stage;
    at = (at * (size_t)t->rows + (size_t)row) * MEASURES + (size_t)measure;
    return t->values + at * (size_t)t->s->n;
}

static const char *row_name(const struct study *t, int row)
{
    const int m = row - t->s->n_methods;
    return m < 0 ? ab_subject_label(t->s, row) : control_names[m];
}

/* The stage's layer: cascading and independent count from the logits, bottom-up from the image. */
static int layer_of(const struct study *t, int mode, int stage)
{
    return t->layers[mode == BOTTOM_UP ? stage : t->n_layers - 1 - stage];
}

/* ---- maps of a stage ---- */

/* The seed of the stage's weights. From one second network: always the same, layer by layer. */
static uint64_t stage_seed(const struct study *t, int mode, int stage)
{
    char word[64] = "randomisation: second network";
    if (t->s->options.redrawn == AB_REDRAW_FRESH)
        snprintf(word, sizeof word, "randomisation: %s %d", mode_names[mode], stage);
    return ab_subject_seed(t->s, word);
}

static enum ab_status redraw(const struct study *t, int mode, int stage, struct ab_graph **copy)
{
    const struct ab_graph *g = t->s->graph;
    bool *which = calloc((size_t)g->n_nodes, sizeof *which);
    if (!which) return ab_fail(t->err, AB_ERR_MEMORY, "out of memory for a copy of the network");
    for (int k = mode == INDEPENDENT ? stage : 0; k <= stage; k++)
        which[layer_of(t, mode, k)] = true;
    const enum ab_status status =
        ab_graph_redraw(g, which, AB_INIT_HE, stage_seed(t, mode, stage), copy, t->err);
    free(which);
    return status;
}

static void fill_control(const struct ab_subject *s, enum control which, uint64_t draw, int image,
                         float *map)
{
    const uint64_t seed = ab_subject_seed(s, "randomisation: controls");
    const float *x = s->images + (size_t)image * s->image;
    for (size_t i = 0; i < s->image; i++) {
        const uint64_t index = (draw * (uint64_t)s->n + (uint64_t)image) * s->image + i;
        map[i] = (float)ab_normal(seed, index);
        if (which == CONTROL_INPUT_NOISE) map[i] *= x[i];
    }
}

/* Shannon entropy of the histogram of a map's channel sums between their least and largest. */
static double entropy(const float *map, struct ab_dims dims, double *sums)
{
    const size_t count = (size_t)dims.h * (size_t)dims.w;
    size_t bins[ENTROPY_BINS] = {0};
    double low = INFINITY, high = -INFINITY, total = 0;
    ab_channel_sums(map, dims, sums);
    for (size_t i = 0; i < count; i++) {
        low = fmin(low, sums[i]);
        high = fmax(high, sums[i]);
    }
    if (!(high > low)) return (double)NAN;
    for (size_t i = 0; i < count; i++) {
        const int bin = (int)((sums[i] - low) / (high - low) * ENTROPY_BINS);
        bins[bin < ENTROPY_BINS ? bin : ENTROPY_BINS - 1]++;
    }
    for (int b = 0; b < ENTROPY_BINS; b++) {
        const double share = (double)bins[b] / (double)count;
        if (bins[b]) total -= share * log(share);
    }
    return total;
}

struct pair {
    const float *before, *after;
    float *own; /* room for two maps of a control */
    double *sums;
};

static bool open_pair(const struct study *t, struct pair *p)
{
    const struct ab_dims d = t->s->dims;
    p->own = malloc(2 * t->s->image * sizeof *p->own);
    p->sums = malloc((size_t)d.h * (size_t)d.w * sizeof *p->sums);
    return p->own && p->sums;
}

static void close_pair(struct pair *p)
{
    free(p->own);
    free(p->sums);
}

static void choose_pair(const struct study *t, const struct ab_maps *now, int mode, int stage,
                        int row, int image, struct pair *p)
{
    const int control = row - t->s->n_methods;
    if (control < 0) {
        p->before = ab_maps_at(&t->original, row, image);
        p->after = ab_maps_at(now, row, image);
        return;
    }
    const uint64_t draw = 2 * (uint64_t)(1 + mode * t->n_layers + stage) + (uint64_t)control;
    fill_control(t->s, (enum control)control, (uint64_t)control, image, p->own);
    fill_control(t->s, (enum control)control, draw, image, p->own + t->s->image);
    p->before = p->own;
    p->after = p->own + t->s->image;
}

static enum ab_status compare_image(struct study *t, const struct ab_maps *now, int mode, int stage,
                                    int image, struct ab_error *err)
{
    struct pair p;
    enum ab_status status = AB_OK;
    if (!open_pair(t, &p)) status = ab_fail(err, AB_ERR_MEMORY, "out of memory for a comparison");
    for (int row = 0; status == AB_OK && row < t->rows; row++) {
        struct ab_likeness like;
        choose_pair(t, now, mode, stage, row, image, &p);
        status = ab_likeness_of(p.before, p.after, t->s->dims, t->s->options.normalise, &like, err);
        values_at(t, mode, stage, row, COSINE)[image] = like.cosine;
        values_at(t, mode, stage, row, SPEARMAN)[image] = like.spearman;
        values_at(t, mode, stage, row, SPEARMAN_ABS)[image] = like.spearman_abs;
        values_at(t, mode, stage, row, SSIM)[image] = like.ssim;
        if (mode != CASCADING || stage != t->n_layers - 1) continue;
        const size_t at = (size_t)row * (size_t)t->s->n + (size_t)image;
        t->entropy[0][at] = entropy(p.before, t->s->dims, p.sums);
        t->entropy[1][at] = entropy(p.after, t->s->dims, p.sums);
    }
    close_pair(&p);
    return status;
}

static enum ab_status compare(struct study *t, const struct ab_maps *now, int mode, int stage)
{
    enum ab_status status = AB_OK;
    struct ab_error *err = t->err;
#pragma omp parallel for num_threads(t->s->options.threads) schedule(static)
    for (int i = 0; i < t->s->n; i++) {
        struct ab_error own;
        const enum ab_status one = compare_image(t, now, mode, stage, i, &own);
#pragma omp critical
        if (one != AB_OK) {
            status = one;
            if (err) *err = own;
        }
    }
    return status;
}

static enum ab_status run_stage(struct study *t, int mode, int stage)
{
    const struct ab_subject *s = t->s;
    const int *targets = s->options.explained == AB_EXPLAIN_ORIGINAL ? s->targets : NULL;
    struct ab_graph *graph = NULL;
    struct ab_maps now = {0};
    enum ab_status status = redraw(t, mode, stage, &graph);
    if (status == AB_OK)
        status = ab_maps_make(s, graph, s->methods, s->n_methods, targets, &now, t->err);
    if (status == AB_OK) status = compare(t, &now, mode, stage);
    ab_maps_free(&now);
    ab_graph_destroy(&graph);
    return status;
}

/* ---- report ---- */

/* "fc2|fc1|conv8|...": the layers of the mode's stages. */
static char *stage_columns(const struct study *t, int mode)
{
    size_t size = 1;
    for (int k = 0; k < t->n_layers; k++)
        size += strlen(t->s->graph->nodes[layer_of(t, mode, k)].name) + 1;
    char *columns = calloc(size, 1);
    for (int k = 0; columns && k < t->n_layers; k++) {
        if (k) strcat(columns, "|");
        strcat(columns, t->s->graph->nodes[layer_of(t, mode, k)].name);
    }
    return columns;
}

static enum ab_status add_table(struct study *t, int mode, int measure)
{
    char id[64], title[200];
    char *columns = stage_columns(t, mode);
    double *cells = malloc((size_t)t->n_layers * sizeof *cells);
    snprintf(id, sizeof id, "%s-%s", mode_names[mode], measure_ids[measure]);
    snprintf(title, sizeof title, "%s of original and new map, %s (means over images)",
             measure_names[measure], mode_titles[mode]);
    if (columns && cells) {
        struct ab_table *table = ab_result_table(t->result, id, title, "method", columns);
        for (int row = 0; row < t->rows; row++) {
            for (int k = 0; k < t->n_layers; k++)
                cells[k] = ab_spread_of(values_at(t, mode, k, row, measure), t->s->n, 0).mean;
            ab_table_row(table, row_name(t, row), cells, 2, "a map is zero or constant");
        }
    }
    const bool good = columns && cells;
    free(columns);
    free(cells);
    return good ? AB_OK : ab_fail(t->err, AB_ERR_MEMORY, "out of memory for a table");
}

static void add_plot(struct study *t, int mode, int measure)
{
    char id[64], title[200];
    snprintf(id, sizeof id, "%s-%s", mode_names[mode], measure_ids[measure]);
    snprintf(title, sizeof title, "%s randomisation: %s with the original map",
             mode == CASCADING     ? "Cascading"
             : mode == INDEPENDENT ? "Independent"
                                   : "Bottom-up",
             measure_names[measure]);
    struct ab_plot *p = ab_result_plot(t->result, id, title);
    ab_plot_axis(p, AB_AXIS_X, mode_titles[mode], AB_SCALE_NAMES);
    ab_plot_axis(p, AB_AXIS_Y, measure_names[measure], AB_SCALE_LINEAR);
    ab_plot_range(p, AB_AXIS_Y, 0, 1);
    for (int k = 0; k < t->n_layers; k++)
        ab_plot_tick(p, k, t->s->graph->nodes[layer_of(t, mode, k)].name);
    for (int row = 0; row < t->rows; row++) {
        const bool control = row >= t->s->n_methods;
        const int series = ab_plot_series(p, row_name(t, row), control ? AB_DASHES : AB_LINE);
        for (int k = 0; k < t->n_layers; k++) {
            const struct ab_spread of =
                ab_spread_of(values_at(t, mode, k, row, measure), t->s->n, 0);
            if (control)
                ab_plot_point(p, series, k, of.mean);
            else
                ab_plot_band(p, series, k, of.mean, of.mean - of.sd, of.mean + of.sd);
        }
    }
}

static void add_entropy(struct study *t)
{
    const int n = t->s->n;
    struct ab_table *table = ab_result_table(
        t->result, "entropy",
        "Entropy of a map's histogram (100 bins), original and with all weights redrawn: does the "
        "map become more complex?",
        "method", "original|redrawn|relative rise");
    for (int row = 0; row < t->rows; row++) {
        const double *before = t->entropy[0] + (size_t)row * (size_t)n;
        const double *after = t->entropy[1] + (size_t)row * (size_t)n;
        double a = ab_spread_of(before, n, 0).mean, b = ab_spread_of(after, n, 0).mean;
        const double cells[] = {a, b, a > 0 ? (b - a) / a : (double)NAN};
        ab_table_row(table, row_name(t, row), cells, 3, "a map is constant");
    }
}

/* Likeness, by absolute values, of an original map and what no network made of the image. */
static enum ab_status compare_controls(struct study *t, int m, double *spearman, double *ssim,
                                       float *map)
{
    const struct ab_subject *s = t->s;
    for (int i = 0; i < s->n; i++) {
        for (int k = 0; k < AB_CONTROLS; k++) {
            struct ab_likeness like;
            ab_control_map((enum ab_control)k, s->images + (size_t)i * s->image, s->dims,
                           ab_subject_seed(s, "randomisation: controls") + (uint64_t)i, map);
            const enum ab_status status = ab_likeness_of(ab_maps_at(&t->original, m, i), map,
                                                         s->dims, AB_NORMALISE_ABS, &like, t->err);
            if (status != AB_OK) return status;
            spearman[k * s->n + i] = like.spearman;
            ssim[k * s->n + i] = like.ssim;
        }
    }
    return AB_OK;
}

static enum ab_status add_controls(struct study *t)
{
    const size_t n = (size_t)t->s->n;
    float *map = malloc(t->s->image * sizeof *map);
    double *values = malloc(2 * AB_CONTROLS * n * sizeof *values), cells[2 * AB_CONTROLS];
    char columns[256] = "";
    enum ab_status status = AB_OK;
    if (!map || !values) status = ab_fail(t->err, AB_ERR_MEMORY, "out of memory for controls");
    for (int k = 0; k < AB_CONTROLS; k++) {
        const size_t used = strlen(columns);
        const char *blank = strrchr(ab_control_names[k], ' ');
        const char *name = blank ? blank + 1 : ab_control_names[k];
        snprintf(columns + used, sizeof columns - used, "%s%s: Spearman|%s: SSIM", k ? "|" : "",
                 name, name);
    }
    struct ab_table *table = ab_result_table(
        t->result, "controls",
        "Original maps beside maps that no network made, absolute values: what there is to keep",
        "method", columns);
    for (int m = 0; status == AB_OK && m < t->s->n_methods; m++) {
        status = compare_controls(t, m, values, values + AB_CONTROLS * n, map);
        for (int k = 0; status == AB_OK && k < AB_CONTROLS; k++)
            for (int j = 0; j < 2; j++)
                cells[2 * k + j] =
                    ab_spread_of(values + ((size_t)j * AB_CONTROLS + (size_t)k) * n, t->s->n, 0)
                        .mean;
        if (status == AB_OK)
            ab_table_row(table, ab_subject_label(t->s, m), cells, 2, "a map is constant");
    }
    free(map);
    free(values);
    return status;
}

static void add_notes(struct study *t)
{
    const struct ab_theory_options *o = &t->s->options;
    ab_result_note(
        t->result,
        "Do not rank methods by this test: a map that says nothing (see 'noise') does best, and "
        "redrawing from the top keeps the scale of activations below, which maps that depend on "
        "them inherit whatever the weights are (Binder et al. 2023). It shows what a map cannot "
        "depend on, no more");
    ab_result_note(t->result,
                   "Spearman of absolute values counts what the input contributes as likeness: "
                   "'input x noise' is independent of every weight; compare the signed cosine");
    ab_result_note(t->result,
                   "protocol: explained class of the %s network, weights %s, He-normal, "
                   "biases 0",
                   o->explained == AB_EXPLAIN_ORIGINAL ? "original" : "randomised",
                   o->redrawn == AB_REDRAW_FRESH ? "newly drawn at every stage"
                                                 : "copied from one second random network");
}

static enum ab_status report(struct study *t)
{
    enum ab_status status = AB_OK;
    for (int k = 0; k < MEASURES && status == AB_OK; k++) status = add_table(t, CASCADING, k);
    if (status == AB_OK) status = add_table(t, INDEPENDENT, COSINE);
    if (status == AB_OK) status = add_table(t, BOTTOM_UP, COSINE);
    if (status != AB_OK) return status;
    add_plot(t, CASCADING, COSINE);
    add_plot(t, CASCADING, SPEARMAN_ABS);
    add_plot(t, CASCADING, SSIM);
    add_plot(t, INDEPENDENT, COSINE);
    add_plot(t, BOTTOM_UP, COSINE);
    add_entropy(t);
    add_notes(t);
    return add_controls(t);
}

/* ---- verdicts ---- */

static double mean_of(const struct study *t, const char *name, int mode, int stage)
{
    for (int m = 0; m < t->s->n_methods; m++)
        if (!strcmp(t->s->methods[m]->desc->name, name))
            return ab_spread_of(values_at(t, mode, stage, m, COSINE), t->s->n, 0).mean;
    return (double)NAN;
}

static void judge(struct study *t)
{
    const int half = (t->n_layers - 1) / 2, last = t->n_layers - 1;
    const double gradient = mean_of(t, "gradient", CASCADING, half);
    const double guided = mean_of(t, "guided-backprop", CASCADING, half);
    const double below = mean_of(t, "guided-backprop", BOTTOM_UP, half);
    const double zplus = mean_of(t, "lrp-zplus", CASCADING, last);
    bool judged = false;
    if (isfinite(gradient) && (judged = true))
        ab_result_verdict(t->result, AB_CLAIM_EXPECTED, fabs(gradient) < 0.25,
                          "cosine after half of the layers", gradient,
                          "gradient changes at once when upper layers are redrawn");
    if (isfinite(guided) && (judged = true))
        ab_result_verdict(t->result, AB_CLAIM_EXPECTED, guided > 0.7 && guided > below,
                          "cosine with the upper half redrawn, less that with the lower half",
                          guided - below,
                          "guided-backprop hardly notices that upper layers are redrawn");
    if (isfinite(zplus) && (judged = true))
        ab_result_verdict(t->result, AB_CLAIM_EXPECTED, zplus > 0.5,
                          "cosine with every layer redrawn", zplus,
                          "maps of the z+ rule outlive all weights, since they align with the "
                          "image");
    double least = 1;
    for (int m = 0; m < t->s->n_methods && !judged; m++)
        least =
            fmin(least, ab_spread_of(values_at(t, CASCADING, last, m, COSINE), t->s->n, 0).mean);
    if (!judged)
        ab_result_verdict(t->result, AB_CLAIM_EXPECTED, least < 0.5,
                          "lowest mean cosine of a method, all layers redrawn", least,
                          "an explanation of a network depends on its weights");
}

/* ---- the order of events ---- */

static enum ab_status open_study(struct study *t)
{
    const struct ab_subject *s = t->s;
    int *nodes = malloc((size_t)s->graph->n_nodes * sizeof *nodes);
    const int room = (int)(sizeof t->layers / sizeof *t->layers);
    if (!nodes) return ab_fail(t->err, AB_ERR_MEMORY, "out of memory");
    t->n_layers = ab_linear_nodes(s->graph, nodes);
    for (int i = 0; i < t->n_layers && i < room; i++) t->layers[i] = nodes[i];
    free(nodes);
    if (t->n_layers > room || t->n_layers < 2)
        return ab_fail(t->err, AB_ERR_UNSUPPORTED,
                       "%s has %d layers with weights; this experiment takes 2 to %d", s->name,
                       t->n_layers, room);
    t->rows = s->n_methods + CONTROLS;
    const size_t cells = (size_t)t->rows * (size_t)s->n;
    t->values = malloc(MODES * (size_t)t->n_layers * cells * MEASURES * sizeof *t->values);
    for (int i = 0; i < 2; i++) t->entropy[i] = malloc(cells * sizeof *t->entropy[i]);
    if (!t->values || !t->entropy[0] || !t->entropy[1])
        return ab_fail(t->err, AB_ERR_MEMORY, "out of memory for results");
    return ab_maps_make(s, NULL, s->methods, s->n_methods, s->targets, &t->original, t->err);
}

static enum ab_status run(const struct ab_subject *s, struct ab_result *r, struct ab_error *err)
{
    struct study t = {.s = s, .result = r, .err = err};
    enum ab_status status = open_study(&t);
    bool going = status == AB_OK;
    for (int mode = 0; going && mode < MODES; mode++)
        for (int k = 0; going && k < t.n_layers; k++) {
            status = run_stage(&t, mode, k);
            going =
                status == AB_OK &&
                ab_result_progress(r, 1.0 / (MODES * t.n_layers), "%s, layer %s", mode_names[mode],
                                   s->graph->nodes[layer_of(&t, mode, k)].name);
        }
    if (going) status = report(&t);
    if (going && status == AB_OK) judge(&t);
    ab_maps_free(&t.original);
    free(t.values);
    for (int i = 0; i < 2; i++) free(t.entropy[i]);
    return status;
}

const struct ab_experiment ab_experiment_randomisation = {
    .name = "randomisation",
    .question = "What is left of a map when the weights are redrawn?",
    .seconds = 25,
    .run = run,
};
