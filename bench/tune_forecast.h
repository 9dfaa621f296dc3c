// SPDX-License-Identifier: Apache-2.0
// Forecasts: what an execution takes at a batch, an image size or a number of cores that was not
// measured, from what was.
//
//     batch:  time = fixed + each * images         least squares of relative errors
//     size:   time = fixed + each * pixels         the same
//     cores:  each step of the plan = max(its arithmetic, its memory traffic) at that many threads,
//             + what does not scale
//
// Every forecast has an interval, which comes from the residuals and from how well measurements
// that were left out are met, and says in words what it assumes.
#ifndef AB_TUNE_FORECAST_H
#define AB_TUNE_FORECAST_H

#include "base/base.h"

#include <jansson.h>

/* ---- what is asked for ---- */

enum ab_forecast_of { AB_FORECAST_BATCH, AB_FORECAST_SIZE, AB_FORECAST_CORES };
struct ab_forecast_ask {
    enum ab_forecast_of of;
    int count;            /* images of an execution, or cores */
    int height, width;    /* of SIZE */
    double bandwidth_gbs; /* of CORES: of all of them together; 0: not said */
};
enum { AB_FORECAST_ASKS = 8 };
/* "cores=16", "size=448", "size=448x320", "batch=16", several with commas; "bandwidth=200" (GB/s)
 * after a cores=. AB_ERR_ARG names what is wrong. */
enum ab_status ab_forecast_parse(const char *text, struct ab_forecast_ask asks[AB_FORECAST_ASKS],
                                 int *count, struct ab_error *err);
/* "size=448x320". */
void ab_forecast_ask_text(const struct ab_forecast_ask *ask, char *text, size_t size);

/* ---- the answer ---- */

struct ab_forecast_range {
    double value, low, high; /* low, high: NaN if nothing is known of the error */
};
enum { AB_FORECAST_POINTS = 16, AB_FORECAST_NOTES = 8 };
struct ab_forecast {
    struct ab_forecast_ask ask;
    char error[256];             /* why there is none; "": there is */
    struct ab_forecast_range ns; /* of one execution of one instance */
    struct ab_forecast_range images_per_s;
    double residual; /* relative, of the measurements it is made from; NaN: too few */
    char model[160]; /* in words */
    struct {
        double x, ns, fit_ns; /* x: images, pixels or threads; fit_ns NaN: left out of the model */
    } points[AB_FORECAST_POINTS];
    int n_points;
    char assumptions[AB_FORECAST_NOTES][256];
    int n_assumptions;
};
/* New reference; NULL: out of memory. */
json_t *ab_forecast_json(const struct ab_forecast *f);

/* ---- cost along a line ---- */

struct ab_forecast_point {
    double x, ns;
};
struct ab_forecast_line {
    double fixed, each; /* ns, from 0 */
    double residual;    /* relative, root of the mean square over n - 2; NaN: two points */
};
/* The line of least squares of relative errors through points with ns > 0, neither part below 0.
 * False: not two different x. */
bool ab_forecast_fit(const struct ab_forecast_point *points, int count,
                     struct ab_forecast_line *line);
/* At `x`, with the interval (95 %) of residuals that are normal, and no smaller than the largest
 * error of a fit without the points of one x at that x. `noise`: relative, of one point, if the
 * residuals happen to be smaller. */
struct ab_forecast_range ab_forecast_line_at(const struct ab_forecast_point *points, int count,
                                             double noise, double x);

/* ---- cost against cores ---- */

/* A step of the plan at one thread. bytes: of operands and weights, each once. */
struct ab_forecast_step {
    double ns, flops, bytes;
    bool parallel;
    bool grows; /* with the image: all but fully connected layers */
};
/* At `x` pixels, where one size alone was served, `ns` at `from` pixels: what of the steps does not
 * grow is fixed. */
struct ab_forecast_range ab_forecast_grown(const struct ab_forecast_step *steps, int n_steps,
                                           double ns, double from, double x);
/* What threads on cores of their own do together. */
struct ab_forecast_rate {
    int threads;
    double gflops, gbs; /* multiply-adds; reading of memory */
};
struct ab_forecast_total {
    int threads, instances; /* threads: of an instance */
    double ns;              /* of one execution of one instance while all run */
};
struct ab_forecast_plan {
    const struct ab_forecast_step *steps;
    int n_steps;
    const struct ab_forecast_rate *rates; /* ascending; the first of one thread */
    int n_rates;
    double cache_bytes; /* of a core: steps that need less read it from there, however many run */
    double sync_ns;     /* of starting and joining `sync_threads` threads */
    int sync_threads;
    double bandwidth_gbs; /* of more threads than were measured; 0: what the most of those read */
    const struct ab_forecast_total *totals; /* measured, any order */
    int n_totals;
};
/* What the model gives for one execution of one of `instances` instances. Of the totals only that
 * of one thread counts here: steps are scaled to add up to it. */
double ab_forecast_model_ns(const struct ab_forecast_plan *p, int threads, int instances);
/* The forecast with what totals of more threads than one show beyond the model: the part that does
 * not scale. `residual`: of those totals, each by the model and the others; NaN: there is none. The
 * interval's lower end is that of a bandwidth that grows with the cores. */
struct ab_forecast_range ab_forecast_cores(const struct ab_forecast_plan *p, int threads,
                                           int instances, double *residual);

#endif
