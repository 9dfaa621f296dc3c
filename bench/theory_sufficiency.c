// SPDX-License-Identifier: Apache-2.0
// attrbench theory: does what a map marks suffice for the decision? Stand-ins for "key information
// sufficiency", whose definition in arXiv 2503.11160 is not known here: kis_proxy_*.
#include "theory_sufficiency.h"

#include "theory_entrants.h"
#include "theory_layers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 10, SHARES = 7, LAYERS = 3, KINDS = 2 };

static const double shares[SHARES] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1};
static const enum ab_stand_in kinds[KINDS] = {AB_STAND_IN_MEAN, AB_STAND_IN_BLUR};

/* Of an entrant and image. */
struct figures {
    double kept[KINDS][SHARES]; /* probability of the class over that of the whole image */
    double top[KINDS];          /* 1: the decision stays with a tenth of the pixels */
    double same, cosine;        /* the map as the input: 1: the same decision; of features */
    double positive[LAYERS], best[LAYERS]; /* logit over the whole's: units with r > 0; the tenth of
                                              the units with the largest a r */
};

struct sufficiency {
    struct ab_subject s; /* images of the subject, and wrongly decided ones where there are */
    struct ab_result *r;
    struct ab_images wrong;
    float *images;
    int *targets, *labels; /* labels NULL: not known */
    struct ab_entrants entrants;
    struct ab_runner *runner;
    struct ab_plan *features; /* up to what the last layer reads; NULL: it is not dense */
    size_t n_features;
    int layers[LAYERS], n_layers;
    float *shots, *logits;   /* [SHARES] images, their logits */
    float *whole;            /* [classes]: logits of the image at hand */
    float *feature[2];       /* [n_features] */
    double *scores;          /* [pixels] */
    int *order;              /* [pixels] */
    struct figures *figures; /* [entrants][n] */
    struct ab_error *err;
};

static struct figures *figures_of(const struct sufficiency *f, int k, int i)
{
    return &f->figures[k * f->s.n + i];
}

/* ---- A: the best pixels kept ---- */

static enum ab_status keep_curve(struct sufficiency *f, int k, int i, int kind)
{
    enum { A_TENTH = 3 };
    const struct ab_subject *s = &f->s;
    const int pixels = s->dims.h * s->dims.w, classes = s->classes, target = s->targets[i];
    const float *x = ab_subject_image(s, i);
    for (int p = 0; p < SHARES; p++) {
        float *shot = f->shots + (size_t)p * s->image;
        if (p == 0 && !ab_stand_in_image(kinds[kind], x, s->dims, 0, shot))
            return ab_fail(f->err, AB_ERR_MEMORY, "out of memory for a blurred image");
        if (p) memcpy(shot, shot - s->image, s->image * sizeof *shot);
        const int kept = (int)fmax(1, shares[p] * pixels + 0.5);
        for (int at = 0; at < kept && at < pixels; at++)
            for (int c = 0; c < s->dims.c; c++) {
                const ptrdiff_t one = (ptrdiff_t)c * pixels + f->order[at];
                shot[one] = x[one];
            }
    }
    const enum ab_status status =
        ab_runner_execute(f->runner, f->shots, SHARES, NULL, NULL, f->logits, f->err);
    const double whole = ab_softmax(f->whole, classes, target);
    struct figures *to = figures_of(f, k, i);
    for (int p = 0; p < SHARES && !status; p++)
        to->kept[kind][p] = ab_softmax(f->logits + (ptrdiff_t)p * classes, classes, target) / whole;
    to->top[kind] = !status && ab_first_class(f->logits + A_TENTH * classes, classes) == target;
    return status;
}

/* Area under the curve over the logarithm of the share kept. */
static double area_of(const struct figures *one, int kind)
{
    double x[SHARES];
    for (int p = 0; p < SHARES; p++) x[p] = log(shares[p]);
    return ab_area_under(x, one->kept[kind], SHARES);
}

/* ---- B: the map as the input ---- */

/* Each channel gets the mean and deviation of the image's; false where the map has none. */
static bool disguise(const float *map, const float *x, struct ab_dims d, float *out)
{
    const size_t pixels = (size_t)d.h * (size_t)d.w;
    for (size_t c = 0; c < (size_t)d.c; c++) {
        double sum[2] = {0, 0}, square[2] = {0, 0}, sd[2];
        for (size_t i = 0; i < pixels; i++) {
            const double v[2] = {(double)map[c * pixels + i], (double)x[c * pixels + i]};
            for (int k = 0; k < 2; k++) {
                sum[k] += v[k] / (double)pixels;
                square[k] += v[k] * v[k] / (double)pixels;
            }
        }
        for (int k = 0; k < 2; k++) sd[k] = sqrt(fmax(0, square[k] - sum[k] * sum[k]));
        if (!(sd[0] > 0)) return false;
        for (size_t i = 0; i < pixels; i++)
            out[c * pixels + i] =
                (float)(((double)map[c * pixels + i] - sum[0]) / sd[0] * sd[1] + sum[1]);
    }
    return true;
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

static enum ab_status as_input(struct sufficiency *f, int k, int i)
{
    const struct ab_subject *s = &f->s;
    struct figures *to = figures_of(f, k, i);
    to->same = to->cosine = (double)NAN;
    if (!disguise(ab_entrant_map(&f->entrants, k, i), ab_subject_image(s, i), s->dims, f->shots))
        return AB_OK;
    enum ab_status status =
        ab_runner_execute(f->runner, f->shots, 1, NULL, NULL, f->logits, f->err);
    if (status) return status;
    to->same = ab_first_class(f->logits, s->classes) == s->targets[i];
    if (!f->features) return AB_OK;
    status = ab_single_execute(f->features, f->shots, NULL, NULL, f->feature[1], f->err);
    to->cosine = cosine(f->feature[0], f->feature[1], f->n_features);
    return status;
}

static enum ab_status judge_image(struct sufficiency *f, int i)
{
    const struct ab_subject *s = &f->s;
    const float *x = ab_subject_image(s, i);
    enum ab_status status = ab_runner_execute(f->runner, x, 1, NULL, NULL, f->whole, f->err);
    if (!status && f->features)
        status = ab_single_execute(f->features, x, NULL, NULL, f->feature[0], f->err);
    for (int k = 0; k < f->entrants.count && !status; k++) {
        ab_entrant_scores(&f->entrants, k, i, false, f->scores);
        ab_descending(f->scores, s->dims.h * s->dims.w, f->order);
        for (int kind = 0; kind < KINDS && !status; kind++) status = keep_curve(f, k, i, kind);
        if (!status) status = as_input(f, k, i);
    }
    return status;
}

/* ---- C: the best units of a layer kept ---- */

struct units {
    double *activation, *signal, *product; /* [size] */
    int *order;
    float *kept; /* [2][size]: r > 0; the tenth with the largest a r */
    size_t size;
};

static void keep_units(struct units *u)
{
    const size_t tenth = (u->size + 9) / 10;
    for (size_t k = 0; k < u->size; k++) {
        u->product[k] = u->activation[k] * u->signal[k];
        u->kept[k] = u->signal[k] > 0 ? (float)u->activation[k] : 0;
        u->kept[u->size + k] = 0;
    }
    ab_descending(u->product, (int)u->size, u->order);
    for (size_t k = 0; k < tenth; k++)
        u->kept[u->size + (size_t)u->order[k]] = (float)u->activation[u->order[k]];
}

static enum ab_status judge_layer(struct sufficiency *f, struct ab_plan *plan, struct ab_plan *tail,
                                  int layer, struct units *u)
{
    const struct ab_subject *s = &f->s;
    const int node = f->layers[layer];
    enum ab_status status = AB_OK;
    for (int i = 0; i < s->n && !status; i++) {
        status =
            ab_single_execute(plan, ab_subject_image(s, i), &s->targets[i], NULL, f->whole, f->err);
        if (status) break;
        ab_plan_peek(plan, ab_plan_activation(plan, node), u->activation);
        for (int m = 0; m < s->n_methods && !status; m++) {
            ab_plan_peek(plan, ab_plan_signal_at(plan, m, node), u->signal);
            keep_units(u);
            status = ab_single_execute(tail, u->kept, NULL, NULL, f->logits, f->err);
            const double whole = (double)f->whole[s->targets[i]];
            struct figures *to = figures_of(f, m, i);
            to->positive[layer] = (double)f->logits[s->targets[i]] / whole;
            to->best[layer] = (double)f->logits[s->classes + s->targets[i]] / whole;
        }
    }
    return status;
}

static enum ab_status open_layer(struct sufficiency *f, struct ab_plan *plan, int layer)
{
    struct ab_graph *tail = NULL;
    struct ab_plan *after = NULL;
    struct units u = {.size = ab_node_size(f->s.graph, f->layers[layer])};
    u.activation = malloc(sizeof *u.activation * u.size);
    u.signal = malloc(sizeof *u.signal * u.size);
    u.product = malloc(sizeof *u.product * u.size);
    u.order = malloc(sizeof *u.order * u.size);
    u.kept = malloc(sizeof *u.kept * 2 * u.size);
    enum ab_status status = AB_OK;
    if (!u.activation || !u.signal || !u.product || !u.order || !u.kept)
        status = ab_fail(f->err, AB_ERR_MEMORY, "out of memory for a layer's units");
    if (!status) status = ab_graph_tail(f->s.graph, f->layers[layer], &tail, f->err);
    const struct ab_inside_spec spec = {.graph = tail, .batch = 2};
    if (!status) status = ab_inside_open(&f->s, &spec, &after, f->err);
    if (!status) status = judge_layer(f, plan, after, layer, &u);
    ab_single_destroy(&after);
    ab_graph_destroy(&tail);
    free(u.activation), free(u.signal), free(u.product), free(u.order), free(u.kept);
    return status;
}

static enum ab_status judge_layers(struct sufficiency *f, double share, bool *whole)
{
    struct ab_plan *plan = NULL;
    const struct ab_inside_spec spec = {
        .methods = f->s.methods, .n_methods = f->s.n_methods, .batch = 1, .keep = true};
    enum ab_status status = ab_inside_open(&f->s, &spec, &plan, f->err);
    for (int k = 0; k < f->n_layers && !status && *whole; k++) {
        *whole = ab_result_progress(f->r, share / f->n_layers, "units of %s",
                                    f->s.graph->nodes[f->layers[k]].name);
        if (*whole) status = open_layer(f, plan, k);
    }
    ab_single_destroy(&plan);
    return status;
}

/* ---- what is shown ---- */

enum group { EVERY, RIGHT, WRONG };

static bool in_group(const struct sufficiency *f, int i, enum group group)
{
    if (group == EVERY) return true;
    return f->labels && (f->labels[i] == f->targets[i]) == (group == RIGHT);
}

/* The mean over images of a group; NaN where it is empty. */
static double mean_of(const struct sufficiency *f, int k, enum group group,
                      double (*figure)(const struct figures *, int), int which)
{
    double sum = 0;
    int count = 0;
    for (int i = 0; i < f->s.n; i++) {
        const double v = figure(figures_of(f, k, i), which);
        if (!in_group(f, i, group) || isnan(v)) continue;
        sum += v;
        count++;
    }
    return count ? sum / count : (double)NAN;
}

static double kept_of(const struct figures *one, int which)
{
    return one->kept[which / SHARES][which % SHARES];
}

static double top_of(const struct figures *one, int which)
{
    return one->top[which];
}

static double input_of(const struct figures *one, int which)
{
    return which ? one->cosine : one->same;
}

static double layer_of(const struct figures *one, int which)
{
    return which % 2 ? one->best[which / 2] : one->positive[which / 2];
}

static void show_curves(const struct sufficiency *f, int kind)
{
    char id[64], title[160];
    const char *by = kinds[kind] == AB_STAND_IN_MEAN ? "the mean" : "the blurred image";
    snprintf(id, sizeof id, "keep-%s", ab_stand_in_names[kinds[kind]]);
    snprintf(title, sizeof title, "Probability kept with the best pixels, others replaced by %s",
             by);
    struct ab_table *t = ab_result_table(f->r, id, title, "map",
                                         "1 %|2 %|5 %|10 %|20 %|50 %|100 %|area|decision at 10 %");
    struct ab_plot *plot = ab_result_plot(f->r, id, title);
    ab_plot_axis(plot, AB_AXIS_X, "share of pixels kept", AB_SCALE_LOG);
    ab_plot_axis(plot, AB_AXIS_Y, "probability over the whole image's", AB_SCALE_LINEAR);
    for (int k = 0; k < f->entrants.count; k++) {
        const char *name = ab_entrant_name(&f->entrants, k);
        const int series = ab_plot_series(plot, name, k < f->s.n_methods ? AB_LINE : AB_DASHES);
        double values[SHARES + 2];
        for (int p = 0; p < SHARES; p++) {
            values[p] = mean_of(f, k, EVERY, kept_of, kind * SHARES + p);
            ab_plot_point(plot, series, shares[p], values[p]);
        }
        values[SHARES] = mean_of(f, k, EVERY, area_of, kind);
        values[SHARES + 1] = mean_of(f, k, EVERY, top_of, kind);
        ab_table_row(t, name, values, 3, NULL);
    }
}

static void show_proxies(const struct sufficiency *f)
{
    struct ab_table *t =
        ab_result_table(f->r, "proxies", "kis_proxy_keep_curve and kis_proxy_as_input", "map",
                        "keep_curve mean|keep_curve blur|as_input decision|as_input features");
    for (int k = 0; k < f->entrants.count; k++) {
        const double values[] = {mean_of(f, k, EVERY, area_of, 0), mean_of(f, k, EVERY, area_of, 1),
                                 mean_of(f, k, EVERY, input_of, 0),
                                 mean_of(f, k, EVERY, input_of, 1)};
        ab_table_row(t, ab_entrant_name(&f->entrants, k), values, 3,
                     "the map is constant, or the last layer is not dense");
    }
}

/* Right and wrong decisions apart, where the true classes are known. */
static void show_decisions(const struct sufficiency *f)
{
    if (!f->labels) {
        ab_result_note(f->r,
                       "right and wrong decisions are not told apart: the true classes are "
                       "not known%s",
                       f->s.synthetic ? ", and noise has none" : "");
        return;
    }
    struct ab_table *t =
        ab_result_table(f->r, "decisions", "Right and wrong decisions: kis_proxy_*", "map",
                        "keep_curve right|keep_curve wrong|as_input right|as_input wrong");
    for (int k = 0; k < f->entrants.count; k++) {
        const double values[] = {mean_of(f, k, RIGHT, area_of, 0), mean_of(f, k, WRONG, area_of, 0),
                                 mean_of(f, k, RIGHT, input_of, 0),
                                 mean_of(f, k, WRONG, input_of, 0)};
        ab_table_row(t, ab_entrant_name(&f->entrants, k), values, 3,
                     "there is no such image, or the map is constant");
    }
}

static void show_layers(const struct sufficiency *f)
{
    char columns[LAYERS * 128] = "";
    size_t used = 0;
    for (int k = 0; k < f->n_layers; k++) {
        const char *name = f->s.graph->nodes[f->layers[k]].name;
        used += (size_t)snprintf(columns + used, sizeof columns - used, "%s%.40s r > 0|%.40s a r",
                                 k ? "|" : "", name, name);
    }
    struct ab_table *t = ab_result_table(
        f->r, "layers", "kis_proxy_layer: logit with some units kept, over the whole", "method",
        columns);
    for (int m = 0; m < f->s.n_methods; m++) {
        double values[2 * LAYERS];
        for (int v = 0; v < 2 * f->n_layers; v++) values[v] = mean_of(f, m, EVERY, layer_of, v);
        ab_table_row(t, ab_method_spec(f->s.methods[m]), values, 3, NULL);
    }
}

static void conclude(const struct sufficiency *f)
{
    double worst = 0, best = -INFINITY;
    for (int k = 0; k < f->entrants.count; k++) {
        const double kept = mean_of(f, k, EVERY, kept_of, SHARES - 1);
        const double area = mean_of(f, k, EVERY, area_of, 0);
        if (!(fabs(kept - 1) <= worst)) worst = fabs(kept - 1);
        if (k < f->s.n_methods && area > best) best = area;
    }
    const double random = mean_of(f, f->s.n_methods + AB_CONTROL_RANDOM, EVERY, area_of, 0);
    ab_result_verdict(f->r, AB_CLAIM_EXACT, worst <= 1e-4, "largest distance from 1", worst,
                      "with all pixels kept nothing has changed");
    ab_result_verdict(f->r, AB_CLAIM_EXPECTED, best > random, "best area less that of noise",
                      best - random,
                      "pixels that some map marks carry more of the decision than random ones");
    int right = 0, wrong = 0;
    for (int i = 0; i < f->s.n; i++) {
        right += in_group(f, i, RIGHT);
        wrong += in_group(f, i, WRONG);
    }
    if (f->labels)
        ab_result_note(f->r, "%d images: %d decided rightly, %d wrongly", f->s.n, right, wrong);
    ab_result_note(f->r, "controls have no signals inside the network; kis_proxy_* are proxies of "
                         "our own, not the paper's definition");
}

/* ---- setting up ---- */

/* The digits have a folder of held-out ones that the network gets wrong: wrong-<class>-<number>. */
static enum ab_status add_wrong(struct sufficiency *f, const struct ab_subject *s)
{
    char path[1024];
    struct ab_preprocess p;
    ab_data_path("digits/wrong", path, sizeof path);
    if (!s->labels || strcmp(s->name, "digits") != 0 || !ab_is_folder(path)) return AB_OK;
    const enum ab_status status = ab_preprocess_parse(NULL, s->dims, &p, f->err);
    return status ? status : ab_images_add(&f->wrong, path, s->dims, &p, 0, f->err);
}

static enum ab_status gather(struct sufficiency *f, const struct ab_subject *s)
{
    const int own = s->n < IMAGES ? s->n : IMAGES;
    enum ab_status status = add_wrong(f, s);
    if (status) return status;
    const int n = own + f->wrong.count;
    f->s = *s;
    f->s.n = n;
    f->images = malloc((size_t)n * s->image * sizeof *f->images);
    f->targets = malloc((size_t)n * sizeof *f->targets);
    f->labels = s->labels ? malloc((size_t)n * sizeof *f->labels) : NULL;
    if (!f->images || !f->targets || (s->labels && !f->labels))
        return ab_fail(f->err, AB_ERR_MEMORY, "out of memory for images");
    memcpy(f->images, s->images, (size_t)own * s->image * sizeof *f->images);
    memcpy(f->targets, s->targets, (size_t)own * sizeof *f->targets);
    if (f->labels) memcpy(f->labels, s->labels, (size_t)own * sizeof *f->labels);
    for (int i = 0; i < f->wrong.count && !status; i++) {
        const char *name = f->wrong.names.items[i];
        float *to = f->images + (size_t)(own + i) * s->image;
        memcpy(to, f->wrong.data + (size_t)i * s->image, s->image * sizeof *to);
        if (sscanf(name, "wrong-%d-", &f->labels[own + i]) != 1)
            return ab_fail(f->err, AB_ERR_FORMAT, "%s: tells no class; expected wrong-4-0123",
                           name);
        status = ab_runner_execute(f->runner, to, 1, NULL, NULL, f->whole, f->err);
        f->targets[own + i] = ab_first_class(f->whole, s->classes);
    }
    f->s.images = f->images;
    f->s.targets = f->targets;
    f->s.labels = f->labels;
    return status;
}

static bool is_cut(const struct ab_graph *g, int node)
{
    for (int n = node + 1; n < g->n_nodes; n++)
        for (int i = 0; i < g->nodes[n].n_in; i++)
            if (g->nodes[n].in[i] < node) return false;
    return true;
}

static enum ab_status choose_layers(struct sufficiency *f)
{
    const struct ab_graph *g = f->s.graph;
    const struct ab_node *last = &g->nodes[g->output];
    int *relus = malloc(sizeof *relus * (size_t)g->n_nodes), count = 0;
    if (!relus) return ab_fail(f->err, AB_ERR_MEMORY, "out of memory for layers");
    const int found = ab_relu_nodes(g, relus);
    for (int k = 0; k < found; k++)
        if (is_cut(g, relus[k]) && relus[k] != g->output) relus[count++] = relus[k];
    f->n_layers = ab_spread_nodes(relus, count, LAYERS);
    for (int k = 0; k < f->n_layers; k++) f->layers[k] = relus[k];
    free(relus);
    if (last->kind != AB_NODE_DENSE) return AB_OK;
    const struct ab_inside_spec spec = {
        .from = g->nodes[last->in[0]].name, .signals = 1, .batch = 1};
    f->n_features = ab_node_size(g, last->in[0]);
    return ab_inside_open(&f->s, &spec, &f->features, f->err);
}

static enum ab_status allocate(struct sufficiency *f, const struct ab_subject *s)
{
    const size_t pixels = (size_t)s->dims.h * (size_t)s->dims.w;
    f->shots = malloc(sizeof *f->shots * SHARES * s->image);
    f->logits = malloc(sizeof *f->logits * SHARES * (size_t)s->classes);
    f->whole = malloc(sizeof *f->whole * (size_t)s->classes);
    f->scores = malloc(sizeof *f->scores * pixels);
    f->order = malloc(sizeof *f->order * pixels);
    if (f->shots && f->logits && f->whole && f->scores && f->order) return AB_OK;
    return ab_fail(f->err, AB_ERR_MEMORY, "out of memory for images with pixels replaced");
}

static enum ab_status judge(struct sufficiency *f, bool *whole)
{
    f->figures = calloc((size_t)f->entrants.count * (size_t)f->s.n, sizeof *f->figures);
    f->feature[0] = malloc(sizeof(float) * (f->n_features + 1));
    f->feature[1] = malloc(sizeof(float) * (f->n_features + 1));
    if (!f->figures || !f->feature[0] || !f->feature[1])
        return ab_fail(f->err, AB_ERR_MEMORY, "out of memory for figures");
    enum ab_status status = AB_OK;
    for (int i = 0; i < f->s.n && !status && *whole; i++) {
        *whole = ab_result_progress(f->r, 0.5 / f->s.n, "pixels of image %d of %d", i + 1, f->s.n);
        if (*whole) status = judge_image(f, i);
    }
    if (!status && *whole) status = judge_layers(f, 0.3, whole);
    if (status || !*whole) return status;
    for (int kind = 0; kind < KINDS; kind++) show_curves(f, kind);
    show_proxies(f);
    show_decisions(f);
    if (f->n_layers)
        show_layers(f);
    else
        ab_result_note(f->r, "no ReLU is a cut of the network: kis_proxy_layer has no value");
    return AB_OK;
}

static void release(struct sufficiency *f)
{
    ab_images_free(&f->wrong);
    ab_runner_destroy(&f->runner);
    ab_single_destroy(&f->features);
    free(f->images), free(f->targets), free(f->labels);
    free(f->shots), free(f->logits), free(f->whole);
    free(f->feature[0]), free(f->feature[1]);
    free(f->scores), free(f->order), free(f->figures);
}

static enum ab_status run(const struct ab_subject *s, struct ab_result *r, struct ab_error *err)
{
    struct sufficiency f = {.s = *s, .r = r, .err = err};
    const struct ab_runner_spec spec = {.batch = SHARES};
    bool whole = true;
    enum ab_status status = allocate(&f, s);
    if (!status) status = ab_runner_create(s, &spec, &f.runner, err);
    if (!status) status = gather(&f, s);
    if (!status) status = choose_layers(&f);
    if (!status) status = ab_entrants_make(&f.s, &f.entrants, err);
    if (!status) {
        status = judge(&f, &whole);
        if (!status && whole) {
            status = ab_sufficiency_backdoor(s, r, 0.2, err);
            if (!status && ab_result_progress(r, 0, "done")) conclude(&f);
        }
        ab_entrants_free(&f.entrants);
    }
    release(&f);
    return status;
}

const struct ab_experiment ab_experiment_sufficiency = {
    .name = "sufficiency",
    .question = "Does what a map marks suffice for the decision?",
    .seconds = 9,
    .run = run};
