// SPDX-License-Identifier: Apache-2.0
// Forecasts: the models and what is said of them; no clock, no processes.
#include "tune_forecast.h"

#include "json_number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is asked for ---- */

enum { MOST_CORES = 1024, MOST_BATCH = 4096, LEAST_SIDE = 8, MOST_SIDE = 8192 };

static const char *const keys[] = {"batch", "size", "cores", "bandwidth"};

/* A whole number of `low` to `high` that ends at `end`. */
static bool whole(const char *text, const char *end, int low, int high, int *value)
{
    char *stop;
    if (text == end || *text < '0' || *text > '9') return false;
    const long v = strtol(text, &stop, 10);
    *value = (int)v;
    return stop == end && v >= low && v <= high;
}

static enum ab_status parse_size(const char *text, const char *end, struct ab_forecast_ask *ask,
                                 struct ab_error *err)
{
    const char *cross = memchr(text, 'x', (size_t)(end - text));
    bool good = whole(text, cross ? cross : end, LEAST_SIDE, MOST_SIDE, &ask->height);
    ask->width = ask->height;
    if (cross) good = good && whole(cross + 1, end, LEAST_SIDE, MOST_SIDE, &ask->width);
    if (good) return AB_OK;
    return ab_fail(err, AB_ERR_ARG,
                   "--forecast: size=%.*s: is no side of %d to %d pixels; write size=448 or "
                   "size=448x320 (height x width)",
                   (int)(end - text), text, LEAST_SIDE, MOST_SIDE);
}

static enum ab_status parse_count(const char *key, const char *text, const char *end, int most,
                                  int *count, struct ab_error *err)
{
    if (whole(text, end, 1, most, count)) return AB_OK;
    return ab_fail(err, AB_ERR_ARG,
                   "--forecast: %s=%.*s: is no whole number of 1 to %d; write %s=16", key,
                   (int)(end - text), text, most, key);
}

static enum ab_status parse_bandwidth(const char *text, const char *end,
                                      struct ab_forecast_ask *ask, struct ab_error *err)
{
    char *stop;
    const double gbs = strtod(text, &stop);
    if (stop != end || !(gbs > 0 && gbs < 1e6))
        return ab_fail(err, AB_ERR_ARG,
                       "--forecast: bandwidth=%.*s: is no number of GB/s above 0; write "
                       "bandwidth=200",
                       (int)(end - text), text);
    if (!ask || ask->of != AB_FORECAST_CORES)
        return ab_fail(
            err, AB_ERR_ARG,
            "--forecast: bandwidth=%.*s: belongs to cores; write cores=16,bandwidth=%.*s",
            (int)(end - text), text, (int)(end - text), text);
    ask->bandwidth_gbs = gbs;
    return AB_OK;
}

static enum ab_status parse_one(const char *text, const char *end, struct ab_forecast_ask *asks,
                                int *count, struct ab_error *err)
{
    char word[32];
    const size_t length = strcspn(text, "=,");
    snprintf(word, sizeof word, "%.*s", (int)length, text);
    int key = 0;
    while (key < 4 && strcmp(word, keys[key]) != 0) key++;
    if (key == 4) {
        const char *near = ab_nearest(word, keys, 4);
        return ab_fail(err, AB_ERR_ARG,
                       "--forecast: '%.20s' is nothing that is forecast%s%s%s; there are batch=, "
                       "size= and cores= (with bandwidth=)",
                       word, near ? "; did you mean " : "", near ? near : "", near ? "=" : "");
    }
    const char *value = text + length + (text[length] == '=');
    struct ab_forecast_ask *last = *count ? &asks[*count - 1] : NULL;
    if (key == 3) return parse_bandwidth(value, end, last, err);
    if (*count == AB_FORECAST_ASKS)
        return ab_fail(err, AB_ERR_ARG, "--forecast: more than %d at once; ask for fewer",
                       AB_FORECAST_ASKS);
    struct ab_forecast_ask *ask = &asks[(*count)++];
    *ask = (struct ab_forecast_ask){.of = key == 0   ? AB_FORECAST_BATCH
                                          : key == 1 ? AB_FORECAST_SIZE
                                                     : AB_FORECAST_CORES};
    if (key == 1) return parse_size(value, end, ask, err);
    return parse_count(keys[key], value, end, key ? MOST_CORES : MOST_BATCH, &ask->count, err);
}

enum ab_status ab_forecast_parse(const char *text, struct ab_forecast_ask asks[AB_FORECAST_ASKS],
                                 int *count, struct ab_error *err)
{
    enum ab_status status = AB_OK;
    *count = 0;
    do {
        const char *end = text + strcspn(text, ",");
        status = parse_one(text, end, asks, count, err);
        text = *end ? end + 1 : NULL;
    } while (text && status == AB_OK);
    return status;
}

void ab_forecast_ask_text(const struct ab_forecast_ask *ask, char *text, size_t size)
{
    if (ask->of != AB_FORECAST_SIZE)
        snprintf(text, size, "%s=%d", ask->of == AB_FORECAST_BATCH ? "batch" : "cores", ask->count);
    else if (ask->height == ask->width)
        snprintf(text, size, "size=%d", ask->height);
    else
        snprintf(text, size, "size=%dx%d", ask->height, ask->width);
}

/* ---- cost along a line ---- */

/* Sums of 1/t^2 times 1, x and x^2, and of 1/t times 1 and x: the normal equations of relative
 * errors. */
struct sums {
    double one, x, xx, t, xt;
    int count;
};

static struct sums sums_of(const struct ab_forecast_point *points, int count, double without)
{
    struct sums s = {0};
    for (int i = 0; i < count; i++) {
        const double x = points[i].x, w = 1 / points[i].ns;
        if (x == without) continue;
        s.one += w * w;
        s.x += w * w * x;
        s.xx += w * w * x * x;
        s.t += w;
        s.xt += w * x;
        s.count++;
    }
    return s;
}

static double determinant(const struct sums *s)
{
    return s->one * s->xx - s->x * s->x;
}

/* Costs are not negative: where the best line has a part below 0, the best without that part. */
static bool solve(const struct sums *s, struct ab_forecast_line *line)
{
    const double d = determinant(s);
    if (s->count < 2 || !(d > 1e-12 * s->one * s->xx)) return false;
    line->fixed = (s->xx * s->t - s->x * s->xt) / d;
    line->each = (s->one * s->xt - s->x * s->t) / d;
    if (line->fixed < 0) *line = (struct ab_forecast_line){.each = s->xt / s->xx};
    if (line->each < 0) *line = (struct ab_forecast_line){.fixed = s->t / s->one};
    return true;
}

static double line_ns(const struct ab_forecast_line *line, double x)
{
    return line->fixed + line->each * x;
}

bool ab_forecast_fit(const struct ab_forecast_point *points, int count,
                     struct ab_forecast_line *line)
{
    const struct sums s = sums_of(points, count, (double)NAN);
    double squares = 0;
    if (!solve(&s, line)) return false;
    for (int i = 0; i < count; i++) {
        const double error = line_ns(line, points[i].x) / points[i].ns - 1;
        squares += error * error;
    }
    line->residual = count > 2 ? sqrt(squares / (count - 2)) : (double)NAN;
    return true;
}

/* The 97.5 % quantile of Student's distribution. */
static double student(int freedom)
{
    static const double t[] = {12.706, 4.303, 3.182, 2.776, 2.571,
                               2.447,  2.365, 2.306, 2.262, 2.228};
    return freedom <= 10 ? t[freedom - 1] : 1.96 + 2.7 / freedom;
}

/* The largest relative error at an x of the line through all other x. NaN: too few. */
static double left_out_error(const struct ab_forecast_point *points, int count)
{
    double worst = (double)NAN;
    for (int i = 0; i < count; i++) {
        struct ab_forecast_line line;
        const struct sums s = sums_of(points, count, points[i].x);
        if (solve(&s, &line))
            worst = fmax(worst, fabs(line_ns(&line, points[i].x) / points[i].ns - 1));
    }
    return worst;
}

struct ab_forecast_range ab_forecast_line_at(const struct ab_forecast_point *points, int count,
                                             double noise, double x)
{
    struct ab_forecast_line line;
    struct ab_forecast_range r = {(double)NAN, (double)NAN, (double)NAN};
    if (!ab_forecast_fit(points, count, &line)) return r;
    r.value = line_ns(&line, x);
    if (count < 3) return r;
    /* Of the mean at x, and of one more measurement there. */
    const struct sums s = sums_of(points, count, (double)NAN);
    const double of_mean = (s.xx - 2 * s.x * x + s.one * x * x) / determinant(&s);
    const double sigma = fmax(line.residual, noise);
    const double share = student(count - 2) * sigma * sqrt(1 + of_mean / (r.value * r.value));
    const double half = r.value * fmax(share, left_out_error(points, count));
    r.low = fmax(r.value - half, 0);
    r.high = r.value + half;
    return r;
}

/* What models miss by that nothing was held against. */
static const double UNKNOWN_ERROR = 0.25;

struct ab_forecast_range ab_forecast_grown(const struct ab_forecast_step *steps, int n_steps,
                                           double ns, double from, double x)
{
    double all = 0, growing = 0;
    for (int i = 0; i < n_steps; i++) {
        all += steps[i].ns;
        growing += steps[i].grows ? steps[i].ns : 0;
    }
    const double share = all > 0 ? growing / all : 1;
    const double value = ns * (1 - share + share * x / from);
    return (struct ab_forecast_range){value, value * (1 - UNKNOWN_ERROR),
                                      value * (1 + UNKNOWN_ERROR)};
}

/* ---- cost against cores ---- */

/* Of more threads than were measured, arithmetic goes on as it did; of fewer, in between. */
static double gflops_at(const struct ab_forecast_plan *p, double threads)
{
    const struct ab_forecast_rate *r = p->rates, *last = &r[p->n_rates - 1];
    for (int i = 1; i < p->n_rates; i++)
        if (threads <= r[i].threads)
            return r[i - 1].gflops + (r[i].gflops - r[i - 1].gflops) *
                                         (threads - r[i - 1].threads) /
                                         (r[i].threads - r[i - 1].threads);
    return last->gflops * threads / last->threads;
}

/* Memory is shared: beyond what was measured it gives no more than that, unless it is said.
 * `grows`: as if every core brought its own. */
static double gbs_at(const struct ab_forecast_plan *p, double threads, bool grows)
{
    const struct ab_forecast_rate *r = p->rates, *last = &r[p->n_rates - 1];
    for (int i = 1; i < p->n_rates; i++)
        if (threads <= r[i].threads)
            return r[i - 1].gbs + (r[i].gbs - r[i - 1].gbs) * (threads - r[i - 1].threads) /
                                      (r[i].threads - r[i - 1].threads);
    if (threads <= last->threads) return last->gbs;
    const double each = last->gbs * threads / last->threads;
    if (p->bandwidth_gbs > 0) return fmin(p->bandwidth_gbs, each);
    return grows ? each : last->gbs;
}

static double sync_at(const struct ab_forecast_plan *p, int threads)
{
    return threads > 1 && p->sync_threads > 1
               ? p->sync_ns * log2((double)threads) / log2((double)p->sync_threads)
               : 0;
}

/* By how much steps are to be scaled to add up to what one thread took. */
static double scale_of(const struct ab_forecast_plan *p)
{
    double sum = 0;
    for (int i = 0; i < p->n_steps; i++) sum += p->steps[i].ns;
    for (int i = 0; i < p->n_totals && sum > 0; i++)
        if (p->totals[i].threads == 1 && p->totals[i].instances == 1) return p->totals[i].ns / sum;
    return 1;
}

/* One step on `on` threads of each of `instances` instances. */
static double step_ns(const struct ab_forecast_plan *p, const struct ab_forecast_step *s,
                      double scale, int on, int instances, bool grows)
{
    const double busy = (double)on * instances;
    /* Of one core of those that work, against one alone. */
    const double pace = gflops_at(p, busy) / busy / gflops_at(p, 1);
    const double reading = gbs_at(p, busy, grows) / gbs_at(p, 1, false), ns = s->ns * scale;
    /* What of it is reading memory at least: the whole, for steps that do little else. */
    const double memory = s->bytes > p->cache_bytes ? fmin(ns, s->bytes / gbs_at(p, 1, false)) : 0;
    return fmax(ns / (pace * on), memory * instances / reading) + sync_at(p, on);
}

static double model_ns(const struct ab_forecast_plan *p, int threads, int instances, bool grows)
{
    const double scale = scale_of(p);
    double sum = 0;
    for (int i = 0; i < p->n_steps; i++)
        sum +=
            step_ns(p, &p->steps[i], scale, p->steps[i].parallel ? threads : 1, instances, grows);
    return sum;
}

double ab_forecast_model_ns(const struct ab_forecast_plan *p, int threads, int instances)
{
    return model_ns(p, threads, instances, false);
}

/* The mean time that totals of several threads show beyond the model; of all but one. */
static double beyond(const struct ab_forecast_plan *p, int without)
{
    double sum = 0;
    int count = 0;
    for (int i = 0; i < p->n_totals; i++) {
        const struct ab_forecast_total *t = &p->totals[i];
        if (i == without || t->threads * t->instances == 1) continue;
        sum += t->ns - model_ns(p, t->threads, t->instances, false);
        count++;
    }
    return count ? sum / count : 0;
}

struct ab_forecast_range ab_forecast_cores(const struct ab_forecast_plan *p, int threads,
                                           int instances, double *residual)
{
    double error = (double)NAN;
    for (int i = 0; i < p->n_totals; i++) {
        const struct ab_forecast_total *t = &p->totals[i];
        if (t->threads * t->instances == 1) continue;
        const double expected =
            model_ns(p, t->threads, t->instances, false) + fmax(beyond(p, i), 0);
        error = fmax(error, fabs(expected / t->ns - 1));
    }
    *residual = error;
    const double share = isnan(error) ? UNKNOWN_ERROR : fmax(error, 0.02);
    const double rest = fmax(beyond(p, -1), 0);
    struct ab_forecast_range r = {.value = model_ns(p, threads, instances, false) + rest};
    r.low = fmin(r.value, model_ns(p, threads, instances, true) + rest) * (1 - fmin(share, 0.9));
    r.high = r.value * (1 + share);
    return r;
}

/* ---- the answer ---- */

static void put_range(json_t *object, const char *name, const struct ab_forecast_range *r)
{
    const double values[] = {r->value, r->low, r->high};
    static const char *const names[] = {"value", "low", "high"};
    json_t *range = json_object();
    for (int i = 0; i < 3; i++)
        json_object_set_new(range, names[i],
                            isfinite(values[i]) ? json_real(values[i]) : json_null());
    json_object_set_new(object, name, range);
}

json_t *ab_forecast_json(const struct ab_forecast *f)
{
    static const char *const axes[] = {"batch", "pixels", "threads"};
    char what[64];
    ab_forecast_ask_text(&f->ask, what, sizeof what);
    json_t *json = json_pack("{s:s}", "what", what);
    if (*f->error) {
        json_object_set_new(json, "error", json_string(f->error));
        return json;
    }
    json_t *points = json_array(), *assumptions = json_array();
    for (int i = 0; i < f->n_points; i++)
        json_array_append_new(points,
                              json_pack("{s:o,s:o,s:o}", "x", ab_json_number(f->points[i].x), "ns",
                                        ab_json_number(f->points[i].ns), "fit_ns",
                                        ab_json_number(f->points[i].fit_ns)));
    for (int i = 0; i < f->n_assumptions; i++)
        json_array_append_new(assumptions, json_string(f->assumptions[i]));
    const double at =
        f->ask.of == AB_FORECAST_SIZE ? (double)f->ask.height * f->ask.width : (double)f->ask.count;
    json_object_set_new(json, "x", json_string(axes[f->ask.of]));
    json_object_set_new(json, "at", json_real(at));
    json_object_set_new(json, "model", json_string(f->model));
    json_object_set_new(json, "residual", ab_json_number(f->residual));
    put_range(json, "latency_ns", &f->ns);
    put_range(json, "images_per_s", &f->images_per_s);
    json_object_set_new(json, "points", points);
    json_object_set_new(json, "assumptions", assumptions);
    return json;
}
