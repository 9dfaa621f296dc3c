// SPDX-License-Identifier: Apache-2.0
// Experiment `alignment`: does the signal that walks back point to what walked forward? In one
// layer, where mathematics answers; and layer by layer through the network, with the weights it
// has, with random ones, and with orthogonal ones.
#include "theory.h"

#include "theory_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one layer ---- */

static const struct {
    int d, n;
} layers[] = {{16, 64},  {16, 256}, {27, 64},  {64, 64},   {64, 128},
              {64, 256}, {64, 512}, {288, 64}, {288, 288}, {576, 128}};
enum { LAYERS = sizeof layers / sizeof *layers, ORTHOGONAL_DRAWS = 8 };

/* Of random directions the cosine deviates by 1/sqrt(d - 1) from its mean: so many draws that what
 * is left of that in their mean is 0.004, a fifth of the tolerance. */
static int draws_of(int d)
{
    return (int)ceil(1 / (0.004 * 0.004) / (d - 1));
}

static const double TOLERANCE = 0.02, ORTHOGONAL_TOLERANCE = 1e-12;

static void plot_layers(struct ab_result *r, double measured[LAYERS][AB_SIGNALS])
{
    struct ab_plot *p =
        ab_result_plot(r, "layer", "Alignment in one random layer: measured, and closed form");
    ab_plot_axis(p, AB_AXIS_X, "units per input, n / (d - 1)", AB_SCALE_LOG);
    ab_plot_axis(p, AB_AXIS_Y, "cosine of the signal sent back and the input", AB_SCALE_LINEAR);
    ab_plot_range(p, AB_AXIS_Y, 0, 1);
    ab_plot_range(p, AB_AXIS_X, 0.1, 100);
    for (int k = 0; k < AB_SIGNALS; k++) {
        const char *name = ab_signal_name((enum ab_signal)k);
        const int theory = ab_plot_series(p, name, AB_DASHES);
        for (int i = 0; i <= 60; i++) {
            const double ratio = pow(10, -1 + i / 20.0);
            /* d - 1 = 1000 inputs and ratio * 1000 units: the form depends on their ratio alone */
            ab_plot_point(p, theory, ratio,
                          ab_layer_cosine((enum ab_signal)k, 1001, (int)lround(1000 * ratio)));
        }
        const int points = ab_plot_series(p, name, AB_POINTS);
        for (int i = 0; i < LAYERS; i++)
            ab_plot_point(p, points, (double)layers[i].n / (layers[i].d - 1), measured[i][k]);
    }
}

static void judge_layers(struct ab_result *r, double measured[LAYERS][AB_SIGNALS])
{
    double worst = 0;
    for (int i = 0; i < LAYERS; i++)
        for (int k = 0; k < AB_SIGNALS; k++)
            worst = fmax(worst, fabs(measured[i][k] -
                                     ab_layer_cosine((enum ab_signal)k, layers[i].d, layers[i].n)));
    ab_result_verdict(r, AB_CLAIM_EXACT, worst <= TOLERANCE, "largest deviation", worst,
                      "in one random layer the cosine of W^T r and x is 1/sqrt(1 + k(d-1)/n), to "
                      "%.2f",
                      TOLERANCE);
}

/* False: interrupted. */
static bool study_layers(const struct ab_subject *s, struct ab_result *r)
{
    double measured[LAYERS][AB_SIGNALS];
    const uint64_t seed = ab_subject_seed(s, "alignment: one layer");
    struct ab_table *t = ab_result_table(
        r, "layer",
        "One random layer of n units and d inputs: cos(W^T r, x), measured | closed "
        "form",
        "d, n",
        "1|form 1|activation|form act.|max(g,0)|form max|(abs g)|form abs|g|form g|all "
        "units|form all");
    for (int i = 0; i < LAYERS; i++) {
        char label[48];
        double cells[2 * AB_SIGNALS];
        ab_layer_measure(layers[i].d, layers[i].n, draws_of(layers[i].d), seed, measured[i]);
        for (int k = 0; k < AB_SIGNALS; k++) {
            cells[2 * k] = measured[i][k];
            cells[2 * k + 1] = ab_layer_cosine((enum ab_signal)k, layers[i].d, layers[i].n);
        }
        snprintf(label, sizeof label, "%d, %d", layers[i].d, layers[i].n);
        ab_table_row(t, label, cells, 3, NULL);
        if (!ab_result_progress(r, 0.1 / LAYERS, "one layer, %s", label)) return false;
    }
    plot_layers(r, measured);
    judge_layers(r, measured);
    return true;
}

static void study_orthogonal(const struct ab_subject *s, struct ab_result *r)
{
    const uint64_t seed = ab_subject_seed(s, "alignment: orthogonal layer");
    double worst = ab_layer_orthogonal_error(64, 64, ORTHOGONAL_DRAWS, seed);
    worst = fmax(worst, ab_layer_orthogonal_error(64, 16, ORTHOGONAL_DRAWS, seed));
    worst = fmax(worst, ab_layer_orthogonal_error(288, 64, ORTHOGONAL_DRAWS, seed));
    ab_result_verdict(r, AB_CLAIM_EXACT, worst <= ORTHOGONAL_TOLERANCE, "largest deviation", worst,
                      "with orthonormal rows a layer keeps alignment: cos(W^T M r, x) = cos(M r, "
                      "a) |a|/|x|, exactly");
}

/* ---- through the network ---- */

enum weights { AS_THEY_ARE, RANDOM, ORTHOGONAL, WEIGHTS };

struct study {
    const struct ab_subject *s;
    struct ab_result *result;
    struct ab_error *err;
    int relus[512], n_relus; /* nodes, from the image to the logits */
    int places;              /* 1 + n_relus: the image is place 0 */
    double *whole;           /* [weights][method][place][image]: cosine over the layer */
    double *local;           /* the same of channels at each position, averaged over positions */
};

static double *values_at(const struct study *t, double *base, int weights, int method, int place)
{
    const size_t row = (size_t)weights * (size_t)t->s->n_methods + (size_t)method;
    return base + (row * (size_t)t->places + (size_t)place) * (size_t)t->s->n;
}

/* Of signal r and activation a, both [c][pixels]. The signal counts on active units alone; what
 * gradient-like methods are compared with at the image is x itself, relevance with |x|. */
struct view {
    const double *r, *a;
    size_t channels, pixels;
    bool magnitude, active_only;
};

struct sums {
    double ra, rr, aa;
};

static void add_element(const struct view *v, size_t i, struct sums *sums)
{
    const double a = v->magnitude ? fabs(v->a[i]) : v->a[i];
    const double r = v->active_only && !(a > 0) ? 0 : v->r[i];
    sums->ra += r * a;
    sums->rr += r * r;
    sums->aa += a * a;
}

static double cosine_of(const struct sums *s)
{
    return s->rr > 0 && s->aa > 0 ? s->ra / sqrt(s->rr * s->aa) : (double)NAN;
}

static void measure_view(const struct view *v, double *whole, double *local)
{
    struct sums all = {0};
    double total = 0;
    size_t count = 0;
    for (size_t p = 0; p < v->pixels; p++) {
        struct sums one = {0};
        for (size_t c = 0; c < v->channels; c++) add_element(v, c * v->pixels + p, &one);
        all.ra += one.ra, all.rr += one.rr, all.aa += one.aa;
        const double cosine = cosine_of(&one);
        if (!isfinite(cosine)) continue;
        total += cosine;
        count++;
    }
    *whole = cosine_of(&all);
    *local = count ? total / (double)count : (double)NAN;
}

/* Room for one activation and one signal of a batch. */
struct buffers {
    double *a, *r;
};

/* The signal is taken below the ReLU, after its rule: what the layer's linear map sends on. Of a
 * method whose map is multiplied by the image, the map itself is what is compared with |x|. */
static void measure_place(struct study *t, const struct ab_plan *plan, int weights, int place,
                          int from, int count, struct buffers *b)
{
    const struct ab_graph *g = plan->exec.graph;
    const int relu = place ? t->relus[place - 1] : 0;
    const int below = place ? g->nodes[relu].in[0] : 0;
    const struct ab_dims d = g->nodes[relu].dims;
    const size_t pixels = (size_t)d.h * (size_t)d.w, size = (size_t)d.c * pixels;
    ab_plan_peek(plan, ab_plan_activation(plan, relu), b->a);
    for (int m = 0; m < t->s->n_methods; m++) {
        const struct ab_composite *c = &t->s->methods[m]->composite;
        const bool map = !place && c->input_mul;
        const int id = map ? plan->program.outputs[m] : ab_plan_signal_at(plan, m, below);
        if (id >= 0) ab_plan_peek(plan, id, b->r);
        for (int i = 0; i < count; i++) {
            const struct view v = {.r = b->r + (size_t)i * size,
                                   .a = b->a + (size_t)i * size,
                                   .channels = (size_t)d.c,
                                   .pixels = pixels,
                                   .magnitude = !place && (map || c->relevance),
                                   .active_only = place > 0};
            double *whole = values_at(t, t->whole, weights, m, place) + from + i;
            double *local = values_at(t, t->local, weights, m, place) + from + i;
            *whole = *local = (double)NAN;
            if (id >= 0) measure_view(&v, whole, local);
        }
    }
}

static size_t largest_layer(const struct ab_graph *g, size_t *all)
{
    size_t largest = 0;
    *all = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct ab_dims d = g->nodes[i].dims;
        const size_t size = (size_t)d.c * (size_t)d.h * (size_t)d.w;
        if (size > largest) largest = size;
        *all += size;
    }
    return largest;
}

/* Everything is kept: as many images at a time as fit into 512 MiB. */
static int batch_of(const struct study *t, size_t all)
{
    const size_t each = all * (size_t)(t->s->n_methods + 1) * sizeof(float);
    size_t batch = ((size_t)512 << 20) / (each ? each : 1);
    if (batch > 8) batch = 8;
    if (batch > (size_t)t->s->n) batch = (size_t)t->s->n;
    return batch ? (int)batch : 1;
}

static enum ab_status execute(struct study *t, struct ab_plan *plan, int weights, int batch,
                              struct buffers *b)
{
    const struct ab_subject *s = t->s;
    enum ab_status status = AB_OK;
    float *input = calloc((size_t)batch * s->image, sizeof *input);
    int *targets = calloc((size_t)batch, sizeof *targets);
    if (!input || !targets) status = ab_fail(t->err, AB_ERR_MEMORY, "out of memory for a batch");
    for (int from = 0; from < s->n && status == AB_OK; from += batch) {
        const int count = s->n - from < batch ? s->n - from : batch;
        memcpy(input, s->images + (size_t)from * s->image,
               (size_t)count * s->image * sizeof *input);
        memcpy(targets, s->targets + from, (size_t)count * sizeof *targets);
        status = ab_single_execute(plan, input, targets, NULL, NULL, t->err);
        for (int place = 0; status == AB_OK && place < t->places; place++)
            measure_place(t, plan, weights, place, from, count, b);
        const double share = 0.9 / WEIGHTS * count / s->n;
        if (!ab_result_progress(t->result, share, "%d images through the network", from + count))
            break;
    }
    free(input);
    free(targets);
    return status;
}

static enum ab_status run_network(struct study *t, const struct ab_graph *graph, int weights)
{
    const struct ab_subject *s = t->s;
    size_t all;
    const size_t largest = largest_layer(graph, &all);
    const int batch = batch_of(t, all);
    const struct ab_plan_options options = {
        .backend = s->options.backend, .threads = s->options.threads, .batch = batch};
    const struct ab_plan_inside keep = {.keep = true};
    struct ab_plan *plan = NULL;
    struct buffers b = {malloc((size_t)batch * largest * sizeof(double)),
                        malloc((size_t)batch * largest * sizeof(double))};
    enum ab_status status = AB_OK;
    if (!b.a || !b.r) status = ab_fail(t->err, AB_ERR_MEMORY, "out of memory for activations");
    if (status == AB_OK)
        status = ab_single_create_inside(graph, s->methods, s->n_methods, &options, &keep, &plan,
                                         t->err);
    if (status == AB_OK) status = execute(t, plan, weights, batch, &b);
    ab_single_destroy(&plan);
    free(b.a);
    free(b.r);
    return status;
}

static enum ab_status run_redrawn(struct study *t, int weights, enum ab_init init)
{
    struct ab_graph *graph = NULL;
    const uint64_t seed = ab_subject_seed(t->s, "alignment: redrawn");
    enum ab_status status = ab_graph_redraw(t->s->graph, NULL, init, seed, &graph, t->err);
    if (status == AB_OK) status = run_network(t, graph, weights);
    ab_graph_destroy(&graph);
    return status;
}

/* ---- report ---- */

static const char *weights_id(const struct study *t, int weights)
{
    if (weights == AS_THEY_ARE) return t->s->trained ? "trained" : "random";
    return weights == RANDOM ? "redrawn" : "orthogonal";
}

static const char *place_name(const struct study *t, int place)
{
    return place ? t->s->graph->nodes[t->relus[place - 1]].name : "image";
}

/* "relu9|...|relu1|image": in the order in which a signal comes by. */
static char *place_columns(const struct study *t)
{
    size_t size = 1;
    for (int k = 0; k < t->places; k++) size += strlen(place_name(t, k)) + 1;
    char *columns = calloc(size, 1);
    for (int k = t->places - 1; columns && k >= 0; k--) {
        strcat(columns, place_name(t, k));
        if (k) strcat(columns, "|");
    }
    return columns;
}

static void add_rows(struct study *t, struct ab_table *table, double *base, int weights)
{
    double *cells = malloc((size_t)t->places * sizeof *cells);
    for (int m = 0; cells && m < t->s->n_methods; m++) {
        for (int k = 0; k < t->places; k++)
            cells[t->places - 1 - k] =
                ab_spread_of(values_at(t, base, weights, m, k), t->s->n, 0).mean;
        ab_table_row(table, ab_subject_label(t->s, m), cells, 2, "no signal arrives there");
    }
    free(cells);
}

static void add_plot(struct study *t, int weights)
{
    char id[32], title[128];
    snprintf(id, sizeof id, "%s", weights_id(t, weights));
    snprintf(title, sizeof title, "Alignment of the signal with the activation, %s weights", id);
    struct ab_plot *p = ab_result_plot(t->result, id, title);
    ab_plot_axis(p, AB_AXIS_X, "on the way back from the logits to the image", AB_SCALE_NAMES);
    ab_plot_axis(p, AB_AXIS_Y, "cosine (mean and deviation over images)", AB_SCALE_LINEAR);
    ab_plot_range(p, AB_AXIS_Y, 0, 1);
    for (int k = 0; k < t->places; k++) ab_plot_tick(p, t->places - 1 - k, place_name(t, k));
    for (int m = 0; m < t->s->n_methods; m++) {
        const int series = ab_plot_series(p, ab_subject_label(t->s, m), AB_LINE);
        for (int k = t->places - 1; k >= 0; k--) {
            const struct ab_spread of =
                ab_spread_of(values_at(t, t->whole, weights, m, k), t->s->n, 0);
            ab_plot_band(p, series, t->places - 1 - k, of.mean, of.mean - of.sd, of.mean + of.sd);
        }
    }
}

static void report(struct study *t, int weights)
{
    char id[64], title[160];
    char *columns = place_columns(t);
    if (!columns) return;
    snprintf(id, sizeof id, "%s", weights_id(t, weights));
    snprintf(title, sizeof title, "Cosine of signal and activation, %s weights (means over images)",
             id);
    add_rows(t, ab_result_table(t->result, id, title, "method", columns), t->whole, weights);
    snprintf(id, sizeof id, "%s-local", weights_id(t, weights));
    snprintf(title, sizeof title, "The same of the channels at each position, averaged, %s weights",
             weights_id(t, weights));
    add_rows(t, ab_result_table(t->result, id, title, "method", columns), t->local, weights);
    add_plot(t, weights);
    free(columns);
}

/* Of the first method of that name; NaN: not among them. */
static double at_image(const struct study *t, const char *name, int weights)
{
    for (int m = 0; m < t->s->n_methods; m++)
        if (!strcmp(t->s->methods[m]->desc->name, name))
            return ab_spread_of(values_at(t, t->whole, weights, m, 0), t->s->n, 0).mean;
    return (double)NAN;
}

/* Weights that are independent of all that they meet are what theory speaks of. */
static void judge(struct study *t)
{
    const int premise = t->s->trained ? RANDOM : AS_THEY_ARE;
    const double gradient = at_image(t, "gradient", premise);
    const double guided = at_image(t, "guided-backprop", premise);
    const double zplus = at_image(t, "lrp-zplus", premise);
    const double orthogonal = at_image(t, "guided-backprop", ORTHOGONAL);
    const double learned = at_image(t, "guided-backprop", AS_THEY_ARE);
    if (isfinite(gradient))
        ab_result_verdict(t->result, AB_CLAIM_EXPECTED, fabs(gradient) < 0.15,
                          "cosine at the image", gradient,
                          "with random weights a signal of both signs, as the gradient's, does not "
                          "align with the image");
    if (isfinite(guided))
        ab_result_verdict(t->result, AB_CLAIM_EXPECTED, guided > 0.4, "cosine at the image", guided,
                          "with random weights guided-backprop, a non-negative signal on active "
                          "units, aligns with the image");
    if (isfinite(zplus))
        ab_result_verdict(t->result, AB_CLAIM_EXPECTED, zplus > 0.6, "cosine with |x|", zplus,
                          "so does relevance of the z+ rule, with the magnitudes of the image");
    if (isfinite(orthogonal))
        ab_result_verdict(t->result, AB_CLAIM_EXPECTED, orthogonal > 0.4, "cosine at the image",
                          orthogonal,
                          "orthogonal weights hand the alignment of guided-backprop on from layer "
                          "to layer");
    if (isfinite(learned) && t->s->trained)
        ab_result_verdict(t->result, AB_CLAIM_EXPECTED, learned > 0.4, "cosine at the image",
                          learned, "training leaves guided-backprop aligned with the image");
    if (isfinite(gradient) && t->s->trained)
        ab_result_note(t->result,
                       "trained weights are not independent of the images: the gradient's cosine "
                       "at the image is %.2f with them, %.2f with random ones",
                       at_image(t, "gradient", AS_THEY_ARE), gradient);
}

/* ---- the order of events ---- */

static enum ab_status open_study(struct study *t)
{
    const struct ab_subject *s = t->s;
    const int room = (int)(sizeof t->relus / sizeof *t->relus);
    for (int i = 0; i < s->graph->n_nodes && t->n_relus < room; i++)
        if (s->graph->nodes[i].kind == AB_NODE_RELU) t->relus[t->n_relus++] = i;
    t->places = 1 + t->n_relus;
    const size_t count = (size_t)WEIGHTS * (size_t)s->n_methods * (size_t)t->places * (size_t)s->n;
    t->whole = malloc(count * sizeof *t->whole);
    t->local = malloc(count * sizeof *t->local);
    if (t->whole && t->local) return AB_OK;
    return ab_fail(t->err, AB_ERR_MEMORY, "out of memory for results");
}

static enum ab_status study_network(struct study *t)
{
    enum ab_status status = open_study(t);
    for (int w = 0; w < WEIGHTS && status == AB_OK; w++) {
        if (w == RANDOM && !t->s->trained) continue;
        if (!ab_result_progress(t->result, 0, "%s weights", weights_id(t, w))) return AB_OK;
        if (w == AS_THEY_ARE)
            status = run_network(t, t->s->graph, w);
        else
            status = run_redrawn(t, w, w == RANDOM ? AB_INIT_HE : AB_INIT_ORTHOGONAL);
        if (status == AB_OK) report(t, w);
    }
    if (status == AB_OK) judge(t);
    return status;
}

static enum ab_status run(const struct ab_subject *s, struct ab_result *r, struct ab_error *err)
{
    struct study t = {.s = s, .result = r, .err = err};
    if (!study_layers(s, r)) return AB_OK;
    study_orthogonal(s, r);
    const enum ab_status status = study_network(&t);
    free(t.whole);
    free(t.local);
    return status;
}

const struct ab_experiment ab_experiment_alignment = {
    .name = "alignment",
    .question = "Does the signal that walks back point to what walked forward?",
    .seconds = 10,
    .run = run,
};
