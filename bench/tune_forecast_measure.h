// SPDX-License-Identifier: Apache-2.0
// The measurements behind forecasts: visits, a profile of the plan, what cores do together.
#ifndef AB_TUNE_FORECAST_MEASURE_H
#define AB_TUNE_FORECAST_MEASURE_H

#include "tune.h"
#include "tune_forecast.h"

struct ab_forecast_options {
    const char *program; /* that serves, as in struct ab_visit_options */
    const char *model, *method;
    const struct ab_deploy *deploy; /* what it is about: all other knobs stay */
    const struct ab_site *site;
    const struct ab_forecast_ask *asks;
    int n_asks;
    double seconds; /* of serving in each visit; 0: 2 */
    uint64_t seed;
    void (*say)(void *user, const char *what); /* before each visit; NULL: nobody listens */
    void *user;
};
/* Makes the measurements that the asks need, visits and a profile of the plan, never one of what is
 * asked for itself, and forecasts: forecasts[n_asks]. One that cannot be made has an `error`; after
 * ab_interrupted all that are left have. Fails where the model or the method cannot be opened. */
enum ab_status ab_forecast_measure(const struct ab_forecast_options *o,
                                   struct ab_forecast *forecasts, struct ab_error *err);

/* ---- inside ---- */

/* The lower quartile of the times of executions in a visit, since what disturbs only slows; 0: err
 * says why there is none. *noise: raised to its relative error, if that is larger. */
double ab_forecast_visit(const struct ab_forecast_options *o, const char *model,
                         const struct ab_deploy *d, double *noise, struct ab_error *err);
/* Adds to what is assumed. */
void ab_forecast_note(struct ab_forecast *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Images a second from the time in which all instances do `images`. */
void ab_forecast_put_rate(struct ab_forecast *f, double images);

/* Steps of the plan at one thread, each at its fastest; free() them. */
enum ab_status ab_forecast_steps(const struct ab_forecast_options *o,
                                 struct ab_forecast_step **steps, int *count, struct ab_error *err);

void ab_forecast_by_cores(const struct ab_forecast_options *o, struct ab_forecast *f);

#endif
