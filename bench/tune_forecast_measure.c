// SPDX-License-Identifier: Apache-2.0
// Forecasts by batch and image size: visits along the line, and what is said of them. Those by
// cores are in tune_forecast_cores.c.
#include "tune_forecast_measure.h"

#include "run.h"
#include "source.h"
#include "stats.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- visits ---- */

double ab_forecast_visit(const struct ab_forecast_options *o, const char *model,
                         const struct ab_deploy *d, double *noise, struct ab_error *err)
{
    const double seconds = o->seconds > 0 ? o->seconds : 2;
    const struct ab_visit_options options = {.program = o->program,
                                             .model = model,
                                             .method = o->method,
                                             .deploy = d,
                                             .load = {.kind = AB_LOAD_CLOSED},
                                             .seconds = seconds,
                                             .least_requests = 5 * d->batch * d->instances,
                                             .most_seconds = 20 * seconds,
                                             .confidence = AB_TUNE_CONFIDENCE,
                                             .seed = o->seed};
    char text[AB_DEPLOY_TEXT], what[512];
    ab_deploy_text(d, text);
    snprintf(what, sizeof what, "%.200s, %s", model, text);
    if (o->say) o->say(o->user, what);
    struct ab_visit v = {0};
    if (ab_visit(&options, &v, err) != AB_OK) return 0;
    double ns = 0;
    if (v.executions > 0) {
        ab_sort(v.service_ns, (size_t)v.executions);
        ns = ab_quantile(v.service_ns, v.executions, 0.25);
        /* Of a lower quartile, if executions are normal; half of them lie within 1.35 sigma. */
        const double spread = ab_quantile(v.service_ns, v.executions, 0.75) - ns;
        *noise = fmax(*noise, 1.36 * spread / 1.35 / sqrt(v.executions) / ns);
    } else {
        ab_fail(err, AB_ERR_INTERNAL, "interrupted before an execution was over");
    }
    ab_visit_free(&v);
    return ns;
}

void ab_forecast_note(struct ab_forecast *f, const char *format, ...)
{
    va_list list;
    if (f->n_assumptions == AB_FORECAST_NOTES) return;
    va_start(list, format);
    vsnprintf(f->assumptions[f->n_assumptions++], sizeof f->assumptions[0], format, list);
    va_end(list);
}

void ab_forecast_put_rate(struct ab_forecast *f, double images)
{
    f->images_per_s = (struct ab_forecast_range){
        images * 1e9 / f->ns.value, images * 1e9 / f->ns.high, images * 1e9 / f->ns.low};
}

/* ---- along a line ---- */

/* Two visits to the same point differ by this much at least. */
static const double LEAST_NOISE = 0.01;
/* All points by turns, so that what drifts slows all of them, and scatter between processes shows.
 */
enum { ROUNDS = 2 };

/* Points so far, of one forecast. */
struct line {
    struct ab_forecast_point points[AB_FORECAST_POINTS];
    int count;
    double noise;
};

static void finish(struct ab_forecast *f, const struct line *l, double x, double images,
                   const char *unit, double per)
{
    struct ab_forecast_line line;
    char fixed[32], each[32];
    if (!ab_forecast_fit(l->points, l->count, &line)) {
        snprintf(f->error, sizeof f->error, "too few measurements for a line");
        return;
    }
    f->ns = ab_forecast_line_at(l->points, l->count, fmax(l->noise, LEAST_NOISE), x);
    f->residual = line.residual;
    ab_forecast_put_rate(f, images);
    snprintf(f->model, sizeof f->model, "time = %s + %s for each %s",
             ab_time_text(line.fixed, fixed, sizeof fixed),
             ab_time_text(line.each * per, each, sizeof each), unit);
    for (int i = 0; i < l->count; i++) {
        f->points[i].x = l->points[i].x;
        f->points[i].ns = l->points[i].ns;
        f->points[i].fit_ns = line.fixed + line.each * l->points[i].x;
    }
    f->n_points = l->count;
}

/* False: the forecast says why. */
static bool add_visit(const struct ab_forecast_options *o, const char *model,
                      const struct ab_deploy *d, double x, struct line *l, struct ab_forecast *f)
{
    struct ab_error why = {""};
    const double ns = ab_forecast_visit(o, model, d, &l->noise, &why);
    if (ns > 0)
        l->points[l->count++] = (struct ab_forecast_point){x, ns};
    else
        snprintf(f->error, sizeof f->error, "%.255s", why.text);
    return ns > 0;
}

static void by_batch(const struct ab_forecast_options *o, struct ab_forecast *f)
{
    static const int batches[] = {1, 2, 4, 8};
    struct line l = {.count = 0};
    struct ab_deploy d;
    if (!ab_deploy_copy(o->deploy, &d)) {
        snprintf(f->error, sizeof f->error, "out of memory");
        return;
    }
    int most = 0;
    for (int i = 0; i < 4 * ROUNDS && !*f->error; i++) {
        d.batch = batches[i % 4];
        if (d.batch == f->ask.count) continue;
        if (add_visit(o, o->model, &d, d.batch, &l, f)) most = most > d.batch ? most : d.batch;
    }
    ab_deploy_free(&d);
    if (*f->error) return;
    finish(f, &l, f->ask.count, (double)f->ask.count * o->deploy->instances, "image", 1);
    ab_forecast_note(f,
                     "An image costs the same however many there are beside it: caches that hold "
                     "a batch of %d also hold one of %d, and so does memory.",
                     most, f->ask.count);
    ab_forecast_note(f,
                     "All images of a batch are there at once: the wait for them is not counted.");
}

/* ---- image size ---- */

/* "resnet50@160x160" of "resnet50" or "resnet50@224". */
static void model_at(const char *model, int height, int width, char *text, size_t size)
{
    snprintf(text, size, "%.*s@%dx%d", (int)strcspn(model, "@"), model, height, width);
}

static enum ab_status image_of(const char *model, struct ab_dims *dims, struct ab_error *err)
{
    struct ab_source source = {0};
    const enum ab_status status = ab_source_open(model, NULL, &source, err);
    if (status == AB_OK) *dims = source.dims;
    ab_source_close(&source);
    return status;
}

/* Whether there is such a network as is asked for; else the forecast says why not. */
static bool may_be(const struct ab_forecast_options *o, struct ab_dims own, struct ab_forecast *f)
{
    char model[512];
    struct ab_dims dims;
    struct ab_error why = {""};
    model_at(o->model, f->ask.height, f->ask.width, model, sizeof model);
    if (own.h < 2 && own.w < 2)
        snprintf(f->error, sizeof f->error, "the model takes no images but vectors");
    else if (!strcmp(o->model, "digits") || strpbrk(o->model, "./"))
        snprintf(f->error, sizeof f->error,
                 "the model has one size only, %d x %d; built-in networks (attrbench models) have "
                 "others",
                 own.h, own.w);
    else if (image_of(model, &dims, &why) != AB_OK)
        snprintf(f->error, sizeof f->error, "%.255s", why.text);
    return !*f->error;
}

/* Sizes of 4/7 to 7/7 of the model's own, 128, 160, 192 and 224 for most, as far as the network has
 * them. Smaller ones would tell more of the fixed part and less of what a pixel costs. */
static void visit_sizes(const struct ab_forecast_options *o, struct ab_dims own, struct line *l,
                        struct ab_forecast *f)
{
    char model[512];
    bool there[4];
    for (int i = 0; i < 4 * ROUNDS && !*f->error; i++) {
        const int h = own.h * (4 + i % 4) / 7, w = own.w * (4 + i % 4) / 7;
        struct ab_error why;
        struct ab_dims dims;
        if (h == own.h && w == own.w)
            snprintf(model, sizeof model, "%s", o->model);
        else
            model_at(o->model, h, w, model, sizeof model);
        if (i < 4)
            there[i] =
                (f->ask.height != h || f->ask.width != w) && image_of(model, &dims, &why) == AB_OK;
        if (there[i % 4]) add_visit(o, model, o->deploy, (double)h * w, l, f);
    }
}

/* Of one size alone: steps that do not grow with the image are the fixed part. */
static void by_steps(const struct ab_forecast_options *o, const struct line *l,
                     struct ab_forecast *f)
{
    struct ab_forecast_step *steps = NULL;
    struct ab_error why = {""};
    int count = 0;
    struct ab_forecast_point p = l->points[0];
    for (int i = 1; i < l->count; i++) p.ns = fmin(p.ns, l->points[i].ns);
    if (o->say) o->say(o->user, "steps at one thread");
    if (ab_forecast_steps(o, &steps, &count, &why) != AB_OK) {
        snprintf(f->error, sizeof f->error, "%.255s", why.text);
        return;
    }
    f->ns = ab_forecast_grown(steps, count, p.ns, p.x, (double)f->ask.height * f->ask.width);
    free(steps);
    f->points[0].x = p.x;
    f->points[0].ns = f->points[0].fit_ns = p.ns;
    f->n_points = 1;
    snprintf(f->model, sizeof f->model,
             "all but fully connected layers grow with the pixels, as profiled at one size");
    ab_forecast_note(f,
                     "The network was served at one size alone, as it has no smaller ones: nothing "
                     "shows by how much the model misses, and an error of 25 %% is taken.");
}

static void by_size(const struct ab_forecast_options *o, struct ab_dims own, struct ab_forecast *f)
{
    const double pixels = (double)f->ask.height * f->ask.width;
    const double images = (double)o->deploy->batch * o->deploy->instances;
    struct line l = {.count = 0};
    if (!may_be(o, own, f)) return;
    visit_sizes(o, own, &l, f);
    if (*f->error) return;
    if (!l.count)
        snprintf(f->error, sizeof f->error,
                 "no other size of the model could be served than that which is asked for");
    else if (l.count == ROUNDS)
        by_steps(o, &l, f);
    else
        finish(f, &l, pixels, images, "thousand pixels", 1000);
    if (*f->error) return;
    ab_forecast_put_rate(f, images);
    ab_forecast_note(f,
                     "The layers are the same and each grows with the pixels, measured up to %d x "
                     "%d; kernels keep their share of the peak, caches theirs of the traffic.",
                     own.h, own.w);
    ab_forecast_note(f, "Fully connected layers do not grow: they are in the fixed part.");
}

/* ---- all ---- */

enum ab_status ab_forecast_measure(const struct ab_forecast_options *o,
                                   struct ab_forecast *forecasts, struct ab_error *err)
{
    struct ab_dims dims;
    struct ab_method *method = NULL;
    enum ab_status status = image_of(o->model, &dims, err);
    if (status == AB_OK) status = ab_method_parse(o->method, &method, err);
    ab_method_destroy(&method);
    for (int i = 0; i < o->n_asks && status == AB_OK; i++) {
        struct ab_forecast *f = &forecasts[i];
        *f = (struct ab_forecast){.ask = o->asks[i], .residual = (double)NAN};
        if (ab_interrupted)
            snprintf(f->error, sizeof f->error, "interrupted before it was measured");
        else if (f->ask.of == AB_FORECAST_BATCH)
            by_batch(o, f);
        else if (f->ask.of == AB_FORECAST_SIZE)
            by_size(o, dims, f);
        else
            ab_forecast_by_cores(o, f);
    }
    return status;
}
