// SPDX-License-Identifier: Apache-2.0
// attrbench theory: layer-wise information change. What is left of the image where a layer's own
// activation is walked back to it, and how much of a layer the decision needs.
#include "spectrum.h"
#include "theory_layers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { IMAGES = 4, LAYERS = 9, CUTS = 4, THRESHOLDS = 6 };

/* Units stay whose signal is above these shares of its largest. */
static const float thresholds[THRESHOLDS] = {0, 0.003f, 0.01f, 0.03f, 0.1f, 0.3f};

/* What is measured of a map. */
enum { COSINE, SSIM, BAND, MEASURES = BAND + AB_BANDS };

struct information {
    const struct ab_subject *s;
    struct ab_result *r;
    int images, layers[LAYERS], n_layers;
    double *values; /* [measure][method][layer][image] */
    float **maps;   /* [method] of [images][image] */
    struct ab_error *err;
};

static double *value_of(const struct information *f, int measure, int m, int layer)
{
    const int row = (measure * f->s->n_methods + m) * f->n_layers + layer;
    return f->values + (ptrdiff_t)row * f->images;
}

/* Relevance is shared among what is there, whatever its sign: it is compared with |x|. */
static bool takes_size(const struct ab_method *m)
{
    return ab_method_is_relevance(m) || m->composite.input_mul;
}

static enum ab_status measure(struct information *f, int m, int layer, int i, float *image)
{
    const struct ab_subject *s = f->s;
    const size_t pixels = (size_t)s->dims.h * (size_t)s->dims.w;
    const float *x = ab_subject_image(s, i), *map = f->maps[m] + (size_t)i * s->image;
    for (size_t k = 0; k < s->image; k++) image[k] = takes_size(s->methods[m]) ? fabsf(x[k]) : x[k];
    struct ab_likeness likeness;
    struct ab_bands bands;
    const enum ab_status status =
        ab_likeness_of(image, map, s->dims, AB_NORMALISE_SIGNED, &likeness, f->err);
    if (status) return status;
    if (!ab_bands_of(image, map, s->dims, &bands))
        return ab_fail(f->err, AB_ERR_MEMORY, "out of memory for spectra");
    value_of(f, COSINE, m, layer)[i] = likeness.cosine;
    value_of(f, SSIM, m, layer)[i] = pixels > 1 ? likeness.ssim : (double)NAN;
    for (int b = 0; b < AB_BANDS; b++)
        value_of(f, BAND + b, m, layer)[i] = ab_band_retained(&bands, b);
    return AB_OK;
}

/* The layer's activation is its signal, for all methods and images at once. */
static enum ab_status walk(struct information *f, int layer, float *image)
{
    const struct ab_subject *s = f->s;
    const int node = f->layers[layer];
    const struct ab_inside_spec spec = {.methods = s->methods,
                                        .n_methods = s->n_methods,
                                        .from = s->graph->nodes[node].name,
                                        .signals = 1,
                                        .batch = f->images};
    struct ab_inside_spec forward = spec;
    struct ab_plan *plan = NULL, *first = NULL;
    forward.n_methods = 0;
    const size_t size = ab_node_size(s->graph, node);
    float *activation = malloc(sizeof *activation * (size_t)f->images * size);
    enum ab_status status =
        activation ? AB_OK : ab_fail(f->err, AB_ERR_MEMORY, "out of memory for activations");
    if (!status) status = ab_inside_open(s, &forward, &first, f->err);
    if (!status) status = ab_single_execute(first, s->images, NULL, NULL, activation, f->err);
    ab_single_destroy(&first);
    if (!status) status = ab_inside_open(s, &spec, &plan, f->err);
    if (!status) {
        ab_plan_signal(plan, activation);
        status = ab_single_execute(plan, s->images, NULL, f->maps, NULL, f->err);
    }
    for (int m = 0; m < s->n_methods && !status; m++)
        for (int i = 0; i < f->images && !status; i++) status = measure(f, m, layer, i, image);
    ab_single_destroy(&plan);
    free(activation);
    return status;
}

/* ---- how much of a layer the decision needs ---- */

/* The smallest share of a layer's energy, of those that the thresholds leave, with which the
 * network still decides as it did, and the logit's ratio at threshold 0.1 of the largest signal. */
struct need {
    double energy, ratio;
};

struct cut {
    const struct information *f;
    struct ab_plan *plan; /* of the tail, THRESHOLDS at once */
    size_t size;
    double *activation, *signal; /* [size] */
    float *kept;                 /* [THRESHOLDS][size] */
    float *logits;               /* [THRESHOLDS][classes] */
};

static enum ab_status probe(struct cut *c, int i, const float *whole, struct need *need)
{
    enum { RATIO_AT = 4 };
    const int classes = c->f->s->classes, target = c->f->s->targets[i];
    double largest = 0, energy = 0, share[THRESHOLDS] = {0};
    for (size_t k = 0; k < c->size; k++) {
        if (fabs(c->signal[k]) > largest) largest = fabs(c->signal[k]);
        energy += c->activation[k] * c->activation[k];
    }
    for (int t = 0; t < THRESHOLDS; t++)
        for (size_t k = 0; k < c->size; k++) {
            const bool stays = fabs(c->signal[k]) > (double)thresholds[t] * largest;
            c->kept[(size_t)t * c->size + k] = stays ? (float)c->activation[k] : 0;
            if (stays) share[t] += c->activation[k] * c->activation[k] / energy;
        }
    const enum ab_status status =
        ab_single_execute(c->plan, c->kept, NULL, NULL, c->logits, c->f->err);
    if (status) return status;
    *need = (struct need){(double)NAN, (double)NAN};
    for (int t = 0; t < THRESHOLDS; t++)
        if (ab_first_class(c->logits + t * classes, classes) == target)
            if (!(share[t] > need->energy)) need->energy = share[t];
    need->ratio = (double)c->logits[RATIO_AT * classes + target] / (double)whole[target];
    return AB_OK;
}

static enum ab_status open_cut(const struct information *f, int node, struct ab_graph **tail,
                               struct cut *c)
{
    const struct ab_subject *s = f->s;
    enum ab_status status = ab_graph_tail(s->graph, node, tail, f->err);
    if (status) return status;
    const struct ab_inside_spec spec = {.graph = *tail, .batch = THRESHOLDS};
    *c = (struct cut){.f = f, .size = ab_node_size(s->graph, node)};
    c->activation = malloc(sizeof *c->activation * c->size);
    c->signal = malloc(sizeof *c->signal * c->size);
    c->kept = malloc(sizeof *c->kept * THRESHOLDS * c->size);
    c->logits = malloc(sizeof *c->logits * THRESHOLDS * (size_t)s->classes);
    if (!c->activation || !c->signal || !c->kept || !c->logits)
        return ab_fail(f->err, AB_ERR_MEMORY, "out of memory for a layer's units");
    return ab_inside_open(s, &spec, &c->plan, f->err);
}

static void close_cut(struct cut *c)
{
    ab_single_destroy(&c->plan);
    free(c->activation);
    free(c->signal);
    free(c->kept);
    free(c->logits);
}

/* needs: [method][image]. `plan` keeps what arrives at each layer from the logits. */
static enum ab_status need_of_layer(const struct information *f, struct ab_plan *plan, int node,
                                    float *logits, struct need *needs)
{
    const struct ab_subject *s = f->s;
    struct ab_graph *tail = NULL;
    struct cut c = {0};
    enum ab_status status = open_cut(f, node, &tail, &c);
    for (int i = 0; i < f->images && !status; i++) {
        status =
            ab_single_execute(plan, ab_subject_image(s, i), &s->targets[i], NULL, logits, f->err);
        if (!status) ab_plan_peek(plan, ab_plan_activation(plan, node), c.activation);
        for (int m = 0; m < s->n_methods && !status; m++) {
            ab_plan_peek(plan, ab_plan_signal_at(plan, m, node), c.signal);
            status = probe(&c, i, logits, &needs[m * f->images + i]);
        }
    }
    close_cut(&c);
    ab_graph_destroy(&tail);
    return status;
}

static bool is_cut(const struct ab_graph *g, int node)
{
    for (int n = node + 1; n < g->n_nodes; n++)
        for (int i = 0; i < g->nodes[n].n_in; i++)
            if (g->nodes[n].in[i] < node) return false;
    return node != g->output;
}

static void show_needs(const struct information *f, const int *cuts, int n_cuts,
                       const struct need *needs)
{
    char columns[CUTS * 48] = "";
    size_t used = 0;
    for (int k = 0; k < n_cuts; k++)
        used += (size_t)snprintf(columns + used, sizeof columns - used, "%s%.40s", k ? "|" : "",
                                 f->s->graph->nodes[cuts[k]].name);
    struct ab_table *e = ab_result_table(
        f->r, "energy", "Smallest share of a layer's energy that keeps the decision", "method",
        columns);
    struct ab_table *l = ab_result_table(
        f->r, "ratio", "Logit with units above 0.1 of the largest signal, over the whole", "method",
        columns);
    for (int m = 0; m < f->s->n_methods; m++) {
        double energy[CUTS], ratio[CUTS], values[2][IMAGES];
        for (int k = 0; k < n_cuts; k++) {
            for (int i = 0; i < f->images; i++) {
                const struct need *n = &needs[(k * f->s->n_methods + m) * f->images + i];
                values[0][i] = n->energy;
                values[1][i] = n->ratio;
            }
            energy[k] = ab_spread_of(values[0], f->images, 0).mean;
            ratio[k] = ab_spread_of(values[1], f->images, 0).mean;
        }
        ab_table_row(e, ab_method_spec(f->s->methods[m]), energy, 3,
                     "no threshold keeps the decision");
        ab_table_row(l, ab_method_spec(f->s->methods[m]), ratio, 3, NULL);
    }
}

static enum ab_status find_needs(struct information *f)
{
    const struct ab_subject *s = f->s;
    int cuts[LAYERS], n_cuts = 0;
    for (int k = 0; k < f->n_layers; k++)
        if (is_cut(s->graph, f->layers[k])) cuts[n_cuts++] = f->layers[k];
    n_cuts = ab_spread_nodes(cuts, n_cuts, CUTS);
    if (!n_cuts) {
        ab_result_note(f->r, "no ReLU is a cut of the network: what the decision needs of a layer "
                             "cannot be found by going on from it alone");
        return AB_OK;
    }
    const size_t rows = (size_t)n_cuts * (size_t)s->n_methods * (size_t)f->images;
    struct need *needs = calloc(rows, sizeof *needs);
    float *logits = malloc(sizeof *logits * (size_t)s->classes);
    struct ab_plan *plan = NULL;
    const struct ab_inside_spec spec = {
        .methods = s->methods, .n_methods = s->n_methods, .batch = 1, .keep = true};
    enum ab_status status = needs && logits
                                ? ab_inside_open(s, &spec, &plan, f->err)
                                : ab_fail(f->err, AB_ERR_MEMORY, "out of memory for layers");
    int k = 0;
    for (; k < n_cuts && !status; k++) {
        if (!ab_result_progress(f->r, 0.4 / n_cuts, "what is needed of %s",
                                s->graph->nodes[cuts[k]].name))
            break;
        status = need_of_layer(f, plan, cuts[k], logits,
                               needs + (ptrdiff_t)k * s->n_methods * f->images);
    }
    if (!status && k == n_cuts) show_needs(f, cuts, n_cuts, needs);
    ab_single_destroy(&plan);
    free(logits);
    free(needs);
    return status;
}

/* ---- what is shown ---- */

static double mean_of(const struct information *f, int measure, int m, int layer)
{
    return ab_spread_of(value_of(f, measure, m, layer), f->images, 0).mean;
}

static void show(const struct information *f, int measure, const char *id, const char *title,
                 const char *axis)
{
    char columns[LAYERS * 48] = "";
    size_t used = 0;
    struct ab_plot *plot = ab_result_plot(f->r, id, title);
    ab_plot_axis(plot, AB_AXIS_X, "layer whose activation is walked back", AB_SCALE_NAMES);
    ab_plot_axis(plot, AB_AXIS_Y, axis, AB_SCALE_LINEAR);
    for (int k = 0; k < f->n_layers; k++) {
        const char *name = f->s->graph->nodes[f->layers[k]].name;
        used +=
            (size_t)snprintf(columns + used, sizeof columns - used, "%s%.40s", k ? "|" : "", name);
        ab_plot_tick(plot, k, name);
    }
    struct ab_table *t = ab_result_table(f->r, id, title, "method", columns);
    for (int m = 0; m < f->s->n_methods; m++) {
        const char *name = ab_method_spec(f->s->methods[m]);
        const int series = ab_plot_series(plot, name, AB_LINE);
        double values[LAYERS];
        for (int k = 0; k < f->n_layers; k++) {
            values[k] = mean_of(f, measure, m, k);
            ab_plot_point(plot, series, k, values[k]);
        }
        ab_table_row(t, name, values, 3, "the map is zero, or the image has no such frequencies");
    }
}

static void show_all(const struct information *f)
{
    show(f, COSINE, "cosine", "Cosine of the map to the image", "cosine");
    show(f, SSIM, "ssim", "SSIM of the map to the image", "SSIM");
    for (int b = 0; b < AB_BANDS; b++) {
        char id[32], title[128];
        snprintf(id, sizeof id, "band-%d", b + 1);
        snprintf(title, sizeof title, "Energy of the image retained at %s cycles per pixel",
                 ab_band_names[b]);
        show(f, BAND + b, id, title, "retained energy");
    }
}

/* Detail of the image, the highest band, lost between the lowest and the highest layer by methods
 * that hold back negative contributions. */
static void conclude(const struct information *f)
{
    double low = 0, high = 0;
    int count = 0, steps = 0, falling = 0;
    for (int m = 0; m < f->s->n_methods; m++) {
        const struct ab_composite *c = &f->s->methods[m]->composite;
        const enum ab_rule_kind kind = c->rule[AB_POS_CONV].kind;
        if (c->relu != AB_RELU_GUIDED && kind != AB_RULE_ZPLUS && kind != AB_RULE_ALPHA_BETA)
            continue;
        const double first = mean_of(f, BAND + AB_BANDS - 1, m, 0);
        const double last = mean_of(f, BAND + AB_BANDS - 1, m, f->n_layers - 1);
        if (isnan(first) || isnan(last)) continue;
        low += first;
        high += last;
        count++;
        for (int k = 1; k < f->n_layers; k++, steps++)
            falling +=
                mean_of(f, BAND + AB_BANDS - 1, m, k) < mean_of(f, BAND + AB_BANDS - 1, m, k - 1);
    }
    if (!count || f->n_layers < 2) {
        ab_result_verdict(f->r, AB_CLAIM_EXPECTED, false, "methods judged", 0,
                          "detail of the image is lost with depth where negative contributions are "
                          "held back; no such method or too few layers here");
        return;
    }
    ab_result_note(f->r, "of %d steps from one layer to the next, %d lose detail", steps, falling);
    ab_result_verdict(f->r, AB_CLAIM_EXPECTED, high < low, "retained energy above 1/4 lost",
                      (low - high) / count,
                      "maps of deeper layers keep less of the image's detail");
}

static enum ab_status walk_all(struct information *f)
{
    float *image = malloc(sizeof *image * f->s->image);
    enum ab_status status =
        image ? AB_OK : ab_fail(f->err, AB_ERR_MEMORY, "out of memory for an image");
    int done = 0;
    for (; done < f->n_layers && !status; done++) {
        if (!ab_result_progress(f->r, 0.6 / f->n_layers, "the activation of %s",
                                f->s->graph->nodes[f->layers[done]].name))
            break;
        status = walk(f, done, image);
    }
    free(image);
    if (!status && done == f->n_layers) {
        show_all(f);
        status = find_needs(f);
        if (!status && ab_result_progress(f->r, 0, "done")) conclude(f);
    }
    return status;
}

static enum ab_status run(const struct ab_subject *s, struct ab_result *r, struct ab_error *err)
{
    struct information f = {.s = s, .r = r, .images = s->n < IMAGES ? s->n : IMAGES, .err = err};
    int *relus = malloc(sizeof *relus * (size_t)s->graph->n_nodes);
    enum ab_status status = AB_OK;
    if (relus) {
        f.n_layers = ab_spread_nodes(relus, ab_relu_nodes(s->graph, relus), LAYERS);
        for (int k = 0; k < f.n_layers; k++) f.layers[k] = relus[k];
    }
    free(relus);
    if (!f.n_layers) {
        ab_result_verdict(r, AB_CLAIM_EXPECTED, false, "ReLU layers", 0,
                          "maps of deeper layers keep less of the image's detail");
        return AB_OK;
    }
    f.values = malloc(sizeof *f.values * (size_t)MEASURES * (size_t)s->n_methods *
                      (size_t)f.n_layers * (size_t)f.images);
    f.maps = calloc((size_t)s->n_methods, sizeof *f.maps);
    bool good = f.values && f.maps;
    for (int m = 0; m < s->n_methods && good; m++)
        good = (f.maps[m] = malloc(sizeof(float) * (size_t)f.images * s->image)) != NULL;
    status = good ? walk_all(&f) : ab_fail(err, AB_ERR_MEMORY, "out of memory for maps");
    for (int m = 0; f.maps && m < s->n_methods; m++) free(f.maps[m]);
    free(f.maps);
    free(f.values);
    if (!status)
        ab_result_note(r,
                       "%d image%s; maps of relevance and of methods that multiply by the image "
                       "are compared with |x|, others with x",
                       f.images, f.images > 1 ? "s" : "");
    return status;
}

const struct ab_experiment ab_experiment_information = {
    .name = "information",
    .question = "How much of the image, and of a layer, is left when an activation is walked back?",
    .seconds = 6,
    .run = run};
