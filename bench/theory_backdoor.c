// SPDX-License-Identifier: Apache-2.0
// Sufficiency with a planted backdoor: a trigger in a corner decides. Do maps say so?
#include "backdoor.h"
#include "theory_layers.h"
#include "theory_sufficiency.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 8 };

struct backdoor {
    const struct ab_subject *s;
    struct ab_result *r;
    int n, target; /* images, the class that the trigger stands for */
    struct ab_trigger trigger;
    struct ab_graph *planted;
    float *stamped; /* [n][image] */
    float *logits;  /* [n][classes] */
    int *targets;   /* [n]: all `target` */
    double *inside; /* [2][methods][n]: of the planted network with the trigger; of the network as
                       it was, without */
    struct ab_error *err;
};

static enum ab_status logits_of(const struct backdoor *b, const struct ab_graph *graph,
                                const float *images)
{
    const struct ab_runner_spec spec = {.graph = graph, .batch = b->n};
    struct ab_runner *runner;
    enum ab_status status = ab_runner_create(b->s, &spec, &runner, b->err);
    if (!status) status = ab_runner_execute(runner, images, b->n, NULL, NULL, b->logits, b->err);
    ab_runner_destroy(&runner);
    return status;
}

/* How many of the decisions are `classes[i]`, or where NULL the trigger's. */
static int count_decisions(const struct backdoor *b, const int *classes)
{
    int count = 0;
    for (int i = 0; i < b->n; i++) {
        const float *logits = b->logits + (ptrdiff_t)i * b->s->classes;
        count += ab_first_class(logits, b->s->classes) == (classes ? classes[i] : b->target);
    }
    return count;
}

/* The class that the fewest images have; the gain is four times the range of all logits. */
static enum ab_status plant(struct backdoor *b)
{
    const struct ab_subject *s = b->s;
    float low = s->images[0], high = low;
    for (size_t i = 0; i < (size_t)s->n * s->image; i++) {
        if (s->images[i] < low) low = s->images[i];
        if (s->images[i] > high) high = s->images[i];
    }
    enum ab_status status = ab_trigger_for(s->graph, low, high, &b->trigger, b->err);
    if (!status) status = logits_of(b, NULL, s->images);
    if (status) return status;
    float least = b->logits[0], most = least;
    int fewest = b->n + 1;
    for (int i = 0; i < b->n * s->classes; i++) {
        if (b->logits[i] < least) least = b->logits[i];
        if (b->logits[i] > most) most = b->logits[i];
    }
    for (int k = 0; k < s->classes; k++) {
        int count = 0;
        for (int i = 0; i < b->n; i++) count += s->targets[i] == k;
        if (count >= fewest) continue;
        fewest = count;
        b->target = k;
    }
    for (int i = 0; i < b->n; i++) {
        memcpy(b->stamped + (size_t)i * s->image, ab_subject_image(s, i),
               s->image * sizeof *b->stamped);
        ab_trigger_stamp(&b->trigger, s->dims, b->stamped + (size_t)i * s->image);
        b->targets[i] = b->target;
    }
    return ab_backdoor_plant(s->graph, &b->trigger, b->target, 4 * (most - least), &b->planted,
                             b->err);
}

/* The share of a map's absolute values that lies in the trigger. */
static double share_inside(const struct backdoor *b, const float *map)
{
    const struct ab_dims d = b->s->dims;
    double inside = 0, all = 0;
    for (int c = 0; c < d.c; c++)
        for (int y = 0; y < d.h; y++)
            for (int x = 0; x < d.w; x++) {
                const double v = fabs((double)map[((ptrdiff_t)c * d.h + y) * d.w + x]);
                all += v;
                if (ab_trigger_covers(&b->trigger, y, x)) inside += v;
            }
    return all > 0 ? inside / all : (double)NAN;
}

static enum ab_status measure(struct backdoor *b, bool planted)
{
    struct ab_subject view = *b->s;
    struct ab_maps maps;
    view.n = b->n;
    if (planted) {
        view.images = b->stamped;
        view.targets = b->targets;
    }
    const enum ab_status status = ab_maps_make(&view, planted ? b->planted : NULL, view.methods,
                                               view.n_methods, view.targets, &maps, b->err);
    if (status) return status;
    for (int m = 0; m < view.n_methods; m++)
        for (int i = 0; i < b->n; i++)
            b->inside[((planted ? 0 : view.n_methods) + m) * b->n + i] =
                share_inside(b, ab_maps_at(&maps, m, i));
    ab_maps_free(&maps);
    return AB_OK;
}

static void show(const struct backdoor *b, int flipped, int kept)
{
    const struct ab_subject *s = b->s;
    const double area = (double)b->trigger.side * b->trigger.side / ((double)s->dims.h * s->dims.w);
    struct ab_table *t =
        ab_result_table(b->r, "backdoor", "A planted trigger decides: share of the map inside it",
                        "method", "with the trigger|same place before|share of the area");
    struct ab_plot *plot = ab_result_plot(b->r, "backdoor", "Share of the map inside the trigger");
    ab_plot_axis(plot, AB_AXIS_X, "", AB_SCALE_NAMES);
    ab_plot_axis(plot, AB_AXIS_Y, "share of absolute values", AB_SCALE_LINEAR);
    const int with = ab_plot_series(plot, "with the trigger", AB_BARS);
    const int before = ab_plot_series(plot, "same place before", AB_BARS);
    double least = INFINITY;
    char effect[256] = "";
    for (int m = 0; m < s->n_methods; m++) {
        const char *name = ab_method_spec(s->methods[m]);
        const double in = ab_spread_of(b->inside + (ptrdiff_t)m * b->n, b->n, 0).mean;
        const double was =
            ab_spread_of(b->inside + (ptrdiff_t)(s->n_methods + m) * b->n, b->n, 0).mean;
        ab_table_row(t, name, (double[]){in, was, area}, 3, "the map is zero");
        ab_plot_tick(plot, m, name);
        ab_plot_point(plot, with, m, in);
        ab_plot_point(plot, before, m, was);
        if (!(in < least)) continue;
        least = in;
        snprintf(effect, sizeof effect, "least share over the area's, %.120s", name);
    }
    ab_result_note(b->r,
                   "the trigger of %dx%d at (%d,%d) stands for class %d; it turns %d of %d "
                   "decisions into it, and without it %d of %d are as before",
                   b->trigger.side, b->trigger.side, b->trigger.y, b->trigger.x, b->target, flipped,
                   b->n, kept, b->n);
    const bool decides = flipped == b->n && kept == b->n;
    ab_result_verdict(b->r, AB_CLAIM_EXPECTED, decides, "share of decisions turned",
                      (double)flipped / b->n,
                      "the planted trigger decides and changes nothing where it is not");
    if (decides)
        ab_result_verdict(b->r, AB_CLAIM_EXPECTED, least > 2 * area, effect, least / area,
                          "every method's map points at the trigger that decides");
}

static enum ab_status work(struct backdoor *b, double share)
{
    enum ab_status status = plant(b);
    if (status == AB_ERR_UNSUPPORTED) {
        ab_result_note(b->r, "%s", b->err ? b->err->text : "no backdoor can be planted");
        return AB_OK;
    }
    if (!status) status = logits_of(b, b->planted, b->stamped);
    if (status) return status;
    const int flipped = count_decisions(b, NULL);
    status = logits_of(b, b->planted, b->s->images);
    const int kept = status ? 0 : count_decisions(b, b->s->targets);
    if (!status) status = measure(b, true);
    if (status || !ab_result_progress(b->r, 0.5 * share, "maps of the backdoor")) return status;
    status = measure(b, false);
    if (!status && ab_result_progress(b->r, 0.5 * share, "maps without it")) show(b, flipped, kept);
    return status;
}

enum ab_status ab_sufficiency_backdoor(const struct ab_subject *s, struct ab_result *r,
                                       double share, struct ab_error *err)
{
    struct ab_error own;
    struct backdoor b = {
        .s = s, .r = r, .n = s->n < IMAGES ? s->n : IMAGES, .err = err ? err : &own};
    const size_t n = (size_t)b.n;
    b.stamped = malloc(n * s->image * sizeof *b.stamped);
    b.logits = malloc(n * (size_t)s->classes * sizeof *b.logits);
    b.targets = malloc(n * sizeof *b.targets);
    b.inside = malloc(2 * n * (size_t)s->n_methods * sizeof *b.inside);
    const bool good = b.stamped && b.logits && b.targets && b.inside;
    const enum ab_status status =
        good ? work(&b, share) : ab_fail(err, AB_ERR_MEMORY, "out of memory for a backdoor");
    ab_graph_destroy(&b.planted);
    free(b.stamped);
    free(b.logits);
    free(b.targets);
    free(b.inside);
    return status;
}
