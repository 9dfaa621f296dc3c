// SPDX-License-Identifier: Apache-2.0
// attrbench theory: cosine similarity convergence (Sixt, Granz, Landgraf 2020). Random signals
// given at a high layer that arrive below as one direction tell nothing of the layers above it.
#include "csc.h"
#include "theory_layers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    IMAGES = 4,
    REPLACED = 4,    /* layers at which signals are given */
    LOCATIONS = 1024 /* of a layer and image that are looked at: bounds time and memory */
};

static const size_t MEMORY = (size_t)1 << 30; /* of the signals that a plan keeps */

/* A row of the tables: a method and how its signals are given. */
struct row {
    const struct ab_method *method;
    bool times_activation;
    char label[300];
};

struct pool {
    float *gaps; /* 1 - |cos| */
    size_t count;
};

struct csc {
    const struct ab_subject *s;
    struct ab_result *r;
    struct row *rows;
    int n_rows, images;
    int replaced[REPLACED], n_replaced;
    int *looked, n_looked; /* nodes at which signals are compared, from the image upwards */
    double *baselines;     /* of each */
    struct pool *pools;    /* [n_rows][n_looked], of the replaced layer at hand */
    double **values;       /* [AB_CSC_SIGNALS] signals of one layer */
    float *signals, *activation;
    struct ab_error *err;
};

static bool divides_by_sums(const struct ab_method *m)
{
    for (int p = 0; p < AB_POSITIONS; p++)
        if (m->composite.rule[p].kind == AB_RULE_EPSILON) return true;
    return false;
}

/* Rules that hold back negative contributions are those that converge. */
static bool filters(const struct ab_method *m)
{
    const enum ab_rule_kind kind = m->composite.rule[AB_POS_CONV].kind;
    return m->composite.relu == AB_RELU_GUIDED || kind == AB_RULE_ZPLUS ||
           kind == AB_RULE_ALPHA_BETA;
}

static bool is_gradient(const struct ab_method *m)
{
    const struct ab_composite *c = &m->composite;
    return c->relu == AB_RELU_GRADIENT && c->rule[AB_POS_CONV].kind == AB_RULE_GRADIENT;
}

/* ---- one layer replaced ---- */

static int channels(const struct csc *c, int node)
{
    return c->s->graph->nodes[node].dims.c;
}

/* Compares the signals of map row `m` of the plan at each layer below. */
static void compare(struct csc *c, const struct ab_plan *plan, int m, struct pool *pools, int from)
{
    for (int k = 0; k < c->n_looked && c->looked[k] < from; k++) {
        const int node = c->looked[k];
        for (int v = 0; v < AB_CSC_SIGNALS; v++)
            ab_plan_peek(plan, ab_plan_signal_at(plan, m * AB_CSC_SIGNALS + v, node), c->values[v]);
        const size_t locations = ab_node_size(c->s->graph, node) / (size_t)channels(c, node);
        struct pool *p = &pools[k];
        p->count += ab_csc_gaps((const double *const *)c->values, channels(c, node), locations,
                                LOCATIONS, p->gaps + p->count);
    }
}

/* Signals v, or v times the layer's activation, of image i. */
static enum ab_status give(struct csc *c, struct ab_plan *plan, int from, int i, bool times)
{
    const size_t size = ab_node_size(c->s->graph, from);
    const uint64_t seed = ab_subject_seed(c->s, c->s->graph->nodes[from].name) + (uint64_t)i;
    const float *x = ab_subject_image(c->s, i);
    for (size_t k = 0; k < AB_CSC_SIGNALS * size; k++) c->signals[k] = (float)ab_normal(seed, k);
    ab_plan_signal(plan, c->signals);
    if (times) {
        const enum ab_status status = ab_single_execute(plan, x, NULL, NULL, c->activation, c->err);
        if (status) return status;
        for (size_t k = 0; k < AB_CSC_SIGNALS * size; k++) c->signals[k] *= c->activation[k % size];
    }
    return ab_single_execute(plan, x, NULL, NULL, NULL, c->err);
}

/* How many methods one plan takes, so that all their kept signals stay below MEMORY. */
static int group_size(const struct csc *c)
{
    size_t elements = 0;
    for (int n = 0; n < c->s->graph->n_nodes; n++) elements += ab_node_size(c->s->graph, n);
    const size_t one = AB_CSC_SIGNALS * elements * sizeof(float);
    return one < MEMORY ? (int)(MEMORY / one) : 1;
}

/* The rows of `methods`, in one plan: they share the forward pass and what depends on it alone. */
static enum ab_status replace_group(struct csc *c, int from, bool times,
                                    const struct ab_method *const *methods, struct pool **pools,
                                    int count)
{
    struct ab_plan *plan = NULL;
    const struct ab_inside_spec spec = {.methods = methods,
                                        .n_methods = count,
                                        .from = c->s->graph->nodes[from].name,
                                        .signals = AB_CSC_SIGNALS,
                                        .batch = 1,
                                        .keep = true};
    enum ab_status status = ab_inside_open(c->s, &spec, &plan, c->err);
    for (int i = 0; !status && i < c->images; i++) {
        if (!ab_result_progress(c->r, 0, "signals from %s", spec.from)) break;
        status = give(c, plan, from, i, times);
        for (int m = 0; m < count && !status; m++) compare(c, plan, m, pools[m], from);
    }
    ab_single_destroy(&plan);
    return status;
}

/* All rows that take their signals in one way. */
static enum ab_status replace(struct csc *c, int from, bool times, double share)
{
    const struct ab_method **methods = calloc((size_t)c->n_rows, sizeof *methods);
    struct pool **pools = calloc((size_t)c->n_rows, sizeof *pools);
    enum ab_status status = AB_OK;
    const int group = group_size(c);
    int count = 0;
    if (!methods || !pools) status = ab_fail(c->err, AB_ERR_MEMORY, "out of memory for methods");
    for (int m = 0; !status && m < c->n_rows; m++) {
        if (c->rows[m].times_activation != times) continue;
        pools[count] = c->pools + m * c->n_looked;
        methods[count++] = c->rows[m].method;
    }
    for (int m = 0; m < count && !status; m += group) {
        const int size = count - m < group ? count - m : group;
        status = replace_group(c, from, times, methods + m, pools + m, size);
        if (!ab_result_progress(c->r, share * size / count, "signals from %s",
                                c->s->graph->nodes[from].name))
            break;
    }
    free(methods);
    free(pools);
    return status;
}

/* ---- what is shown ---- */

static double median_of(const struct pool *p)
{
    return 1 - ab_rank_of(p->gaps, p->count, 0.5);
}

static void show_depth(struct csc *c, int from, const char *name)
{
    char id[32], title[256], columns[4096] = "";
    int below = 0;
    size_t used = 0;
    while (below < c->n_looked && c->looked[below] < from) below++;
    for (int k = below - 1; k >= 0 && used < sizeof columns - 1; k--)
        used += (size_t)snprintf(columns + used, sizeof columns - used, "%s%.40s", used ? "|" : "",
                                 c->s->graph->nodes[c->looked[k]].name);
    snprintf(id, sizeof id, "from-%d", from);
    snprintf(title, sizeof title, "Median |cos| of Gaussian signals given at %.80s", name);
    struct ab_table *t = ab_result_table(c->r, id, title, "method", columns);
    snprintf(title, sizeof title, "1 - |cos| of Gaussian signals given at %.80s", name);
    struct ab_plot *plot = ab_result_plot(c->r, id, title);
    ab_plot_axis(plot, AB_AXIS_X, "layer, downwards", AB_SCALE_NAMES);
    ab_plot_axis(plot, AB_AXIS_Y, "1 - median |cos|", AB_SCALE_LOG);
    double values[64];
    const int shown = below < 64 ? below : 64;
    for (int k = 0; k < shown; k++)
        ab_plot_tick(plot, k, c->s->graph->nodes[c->looked[below - 1 - k]].name);
    for (int m = 0; m < c->n_rows; m++) {
        const int series = ab_plot_series(plot, c->rows[m].label, AB_LINE);
        for (int k = 0; k < shown; k++) {
            const struct pool *p = &c->pools[m * c->n_looked + below - 1 - k];
            values[k] = median_of(p);
            ab_plot_point(plot, series, k, ab_rank_of(p->gaps, p->count, 0.5));
        }
        ab_table_row(t, c->rows[m].label, values, 3, "every location is dead");
    }
    const int series = ab_plot_series(plot, "Gaussian pairs", AB_DASHES);
    for (int k = 0; k < shown; k++) {
        values[k] = c->baselines[below - 1 - k];
        ab_plot_point(plot, series, k, 1 - values[k]);
    }
    ab_table_row(t, "Gaussian pairs", values, 3, NULL);
}

/* Percentiles and the histogram at the lowest layer. */
static void show_lowest(struct csc *c, const char *name)
{
    static const double ranks[] = {0, .01, .05, .1, .2, .5, .8, .95, .99, 1};
    static const double edges[] = {.1, .2, .3, .4, .5, .6, .7, .8, .9, .99, .999, .9999, 2};
    enum { RANKS = sizeof ranks / sizeof *ranks, EDGES = sizeof edges / sizeof *edges };
    char title[256];
    const char *low = c->s->graph->nodes[c->looked[0]].name;
    snprintf(title, sizeof title, "|cos| at %.60s of signals given at %.60s: percentiles", low,
             name);
    struct ab_table *t = ab_result_table(c->r, "percentiles", title, "method",
                                         "mean|p0|p1|p5|p10|p20|p50|p80|p95|p99|p100|pairs");
    snprintf(title, sizeof title, "|cos| at %.60s of signals given at %.60s: shares of pairs up to",
             low, name);
    struct ab_table *h = ab_result_table(c->r, "histogram", title, "method",
                                         ".1|.2|.3|.4|.5|.6|.7|.8|.9|.99|.999|.9999|1");
    for (int m = 0; m < c->n_rows; m++) {
        const struct pool *p = &c->pools[m * c->n_looked];
        double values[RANKS + 2] = {0}, shares[EDGES] = {0};
        for (size_t i = 0; i < p->count; i++) {
            const double cosine = 1 - (double)p->gaps[i];
            int bin = 0;
            while (bin < EDGES - 1 && cosine >= edges[bin]) bin++;
            shares[bin] += 1 / (double)p->count;
            values[0] += cosine / (double)p->count;
        }
        if (!p->count) values[0] = (double)NAN;
        for (int q = 0; q < RANKS; q++)
            values[1 + q] = 1 - ab_rank_of(p->gaps, p->count, 1 - ranks[q]);
        values[RANKS + 1] = (double)p->count;
        ab_table_row(t, c->rows[m].label, values, 3, "every location is dead");
        ab_table_row(h, c->rows[m].label, shares, 3, NULL);
    }
}

static void conclude(struct csc *c, const char *name)
{
    double lowest = INFINITY, gradient = -INFINITY;
    for (int m = 0; m < c->n_rows; m++) {
        const double median = median_of(&c->pools[m * c->n_looked]);
        const struct row *row = &c->rows[m];
        if (row->times_activation || isnan(median)) continue;
        if (filters(row->method) && median < lowest) lowest = median;
        if (is_gradient(row->method) && median > gradient) gradient = median;
    }
    const char *low = c->s->graph->nodes[c->looked[0]].name;
    if (isfinite(lowest))
        ab_result_verdict(c->r, AB_CLAIM_EXPECTED, lowest > 0.95, "lowest median |cos|", lowest,
                          "signals given at %.60s arrive at %.60s as one direction where rules "
                          "hold back negative contributions",
                          name, low);
    if (isfinite(gradient))
        ab_result_verdict(c->r, AB_CLAIM_EXPECTED, gradient < 0.5 * (1 + c->baselines[0]),
                          "median |cos|", gradient,
                          "the gradient keeps them apart (Gaussian pairs: %.3f)", c->baselines[0]);
    if (!isfinite(lowest) && !isfinite(gradient))
        ab_result_verdict(c->r, AB_CLAIM_EXPECTED, false, "methods judged", 0,
                          "some method holds back negative contributions or is the gradient; "
                          "theory says nothing of those asked for");
}

/* ---- setting up ---- */

static enum ab_status choose(struct csc *c)
{
    const struct ab_graph *g = c->s->graph;
    int *relus = malloc(sizeof *relus * (size_t)g->n_nodes);
    c->looked = malloc(sizeof *c->looked * (size_t)(g->n_nodes + 1));
    c->baselines = malloc(sizeof *c->baselines * (size_t)(g->n_nodes + 1));
    c->rows = calloc(2 * (size_t)c->s->n_methods, sizeof *c->rows);
    if (!relus || !c->looked || !c->baselines || !c->rows) {
        free(relus);
        return ab_fail(c->err, AB_ERR_MEMORY, "out of memory for the tables of csc");
    }
    int count = ab_relu_nodes(g, relus);
    if (channels(c, 0) > 1)
        c->looked[c->n_looked++] = 0;
    else
        ab_result_note(c->r, "the image has one channel, where all signals are parallel: the "
                             "lowest layer looked at is the first ReLU");
    for (int k = 0; k < count; k++) c->looked[c->n_looked++] = relus[k];
    for (int k = 0; k < c->n_looked; k++)
        c->baselines[k] = ab_csc_baseline(channels(c, c->looked[k]),
                                          ab_subject_seed(c->s, "baseline") + (uint64_t)k);
    /* Signals need a layer to fall through. */
    const int skip = count && c->looked[0] == relus[0] ? 1 : 0;
    c->n_replaced = ab_spread_nodes(relus + skip, count - skip, REPLACED);
    for (int k = 0; k < c->n_replaced; k++) c->replaced[k] = relus[skip + k];
    free(relus);
    for (int m = 0; m < c->s->n_methods; m++) {
        for (int times = 0; times <= divides_by_sums(c->s->methods[m]); times++) {
            struct row *row = &c->rows[c->n_rows++];
            *row = (struct row){.method = c->s->methods[m], .times_activation = times};
            snprintf(row->label, sizeof row->label, "%s%s", ab_method_spec(row->method),
                     times ? ", v * a" : "");
        }
    }
    return AB_OK;
}

static enum ab_status allocate(struct csc *c)
{
    const struct ab_graph *g = c->s->graph;
    size_t most = c->s->image;
    for (int k = 0; k < c->n_looked; k++) {
        const size_t size = ab_node_size(g, c->looked[k]);
        if (size > most) most = size;
    }
    c->signals = malloc(sizeof *c->signals * AB_CSC_SIGNALS * most);
    c->activation = malloc(sizeof *c->activation * most);
    c->values = calloc(AB_CSC_SIGNALS, sizeof *c->values);
    const size_t pools = (size_t)c->n_rows * (size_t)c->n_looked;
    c->pools = calloc(pools, sizeof *c->pools);
    bool good = c->signals && c->activation && c->values && c->pools;
    for (int v = 0; v < AB_CSC_SIGNALS && good; v++)
        good = (c->values[v] = malloc(sizeof **c->values * most)) != NULL;
    for (size_t k = 0; k < pools && good; k++) {
        const int node = c->looked[k % (size_t)c->n_looked];
        const size_t locations = ab_node_size(g, node) / (size_t)channels(c, node);
        const size_t looked = locations < LOCATIONS ? locations : LOCATIONS;
        c->pools[k].gaps = malloc(sizeof(float) * AB_CSC_PAIRS * looked * (size_t)c->images);
        good = c->pools[k].gaps != NULL;
    }
    return good ? AB_OK : ab_fail(c->err, AB_ERR_MEMORY, "out of memory for signals");
}

static void release(struct csc *c)
{
    for (int k = 0; c->pools && k < c->n_rows * c->n_looked; k++) free(c->pools[k].gaps);
    for (int v = 0; c->values && v < AB_CSC_SIGNALS; v++) free(c->values[v]);
    free(c->pools);
    free(c->values);
    free(c->signals);
    free(c->activation);
    free(c->rows);
    free(c->looked);
    free(c->baselines);
}

static enum ab_status run_layers(struct csc *c)
{
    enum ab_status status = AB_OK;
    for (int k = c->n_replaced - 1; k >= 0 && !status; k--) {
        const int from = c->replaced[k];
        const char *name = c->s->graph->nodes[from].name;
        for (int p = 0; p < c->n_rows * c->n_looked; p++) c->pools[p].count = 0;
        for (int times = 0; times < 2 && !status; times++)
            status = replace(c, from, times, 0.5 / c->n_replaced);
        if (status || !ab_result_progress(c->r, 0, "%s", name)) break;
        for (int p = 0; p < c->n_rows * c->n_looked; p++)
            ab_sort_floats(c->pools[p].gaps, c->pools[p].count);
        show_depth(c, from, name);
        if (k < c->n_replaced - 1) continue;
        show_lowest(c, name);
        conclude(c, name);
    }
    return status;
}

static enum ab_status run(const struct ab_subject *s, struct ab_result *r, struct ab_error *err)
{
    struct csc c = {.s = s, .r = r, .images = s->n < IMAGES ? s->n : IMAGES, .err = err};
    enum ab_status status = choose(&c);
    if (!status && !c.n_replaced) {
        ab_result_note(r, "the network has no ReLU with a layer below it: nothing to compare");
        ab_result_verdict(r, AB_CLAIM_EXPECTED, false, "layers", 0,
                          "signals given at a high layer arrive below as one direction");
    } else {
        if (!status) status = allocate(&c);
        if (!status)
            ab_result_note(r,
                           "%d signals at each layer, %d image%s, at most %d locations a layer; "
                           "where a rule divides by sums of either sign, noise over small sums "
                           "is heavy-tailed and looks convergent: see the rows v * a",
                           AB_CSC_SIGNALS, c.images, c.images > 1 ? "s" : "", LOCATIONS);
        if (!status) status = run_layers(&c);
    }
    release(&c);
    return status;
}

const struct ab_experiment ab_experiment_csc = {
    .name = "csc",
    .question = "Do random signals given at a high layer arrive below as one direction?",
    .seconds = 6,
    .run = run};
