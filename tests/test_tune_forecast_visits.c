// SPDX-License-Identifier: Apache-2.0
// Forecasts from measurements: attrbench itself serves `digits`, and what cannot be is said.
#include "../bench/tune_forecast_measure.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ab_deploy usual = {
    .backend = "native", .place = AB_PLACE_FREE, .threads = 1, .instances = 1, .batch = 1};

static int said;
static void say(void *user, const char *what)
{
    (void)user;
    CHECK(what && *what, "nothing is said");
    said++;
}

/* Forecasts of `digits` for the asks; false: there is no attrbench to serve it. */
static bool forecast(const char *asked, struct ab_forecast *f, int *count)
{
    const char *program = getenv("AB_COMMAND");
    struct ab_forecast_ask asks[AB_FORECAST_ASKS];
    struct ab_site site;
    struct ab_error err = {""};
    if (!program || access(program, X_OK) != 0) return false;
    CHECK(ab_forecast_parse(asked, asks, count, &err) == AB_OK, "%s", err.text);
    CHECK(ab_site_look(&site, &err) == AB_OK, "%s", err.text);
    const struct ab_forecast_options o = {.program = program,
                                          .model = "digits",
                                          .method = "lrp-zplus",
                                          .deploy = &usual,
                                          .site = &site,
                                          .asks = asks,
                                          .n_asks = *count,
                                          .seconds = 0.1,
                                          .seed = 1,
                                          .say = say};
    CHECK(ab_forecast_measure(&o, f, &err) == AB_OK, "%s", err.text);
    ab_site_free(&site);
    return true;
}

static void check(const struct ab_forecast *f, double images)
{
    CHECK(!*f->error, "%s", f->error);
    CHECK(f->ns.value > 100 && f->ns.value < 10e9 && f->ns.low <= f->ns.value &&
              f->ns.high >= f->ns.value,
          "%g (%g to %g)", f->ns.value, f->ns.low, f->ns.high);
    CHECK(fabs(f->images_per_s.value * f->ns.value / (images * 1e9) - 1) < 1e-9 &&
              f->images_per_s.low <= f->images_per_s.value &&
              f->images_per_s.high >= f->images_per_s.value,
          "%g images/s", f->images_per_s.value);
    CHECK(*f->model && f->n_assumptions > 1 && f->n_points > 0, "words and points");
    for (int i = 0; i < f->n_points; i++)
        CHECK(f->points[i].x > 0 && f->points[i].ns > 0 && f->points[i].fit_ns > 0, "point %d", i);
}

TEST(by_batch)
{
    struct ab_forecast f[AB_FORECAST_ASKS];
    int count;
    said = 0;
    if (!forecast("batch=16,batch=4", f, &count)) return;
    CHECK(said == 2 * 7, "%d visits", said);
    check(&f[0], 16);
    check(&f[1], 4);
    CHECK(f[0].n_points == 8 && f[1].n_points == 6, "what is asked for is measured");
    CHECK(f[0].ns.value > f[1].ns.value, "16 images take no longer than 4");
}

TEST(by_cores)
{
    struct ab_forecast f[AB_FORECAST_ASKS];
    int count;
    if (!forecast("cores=1,cores=64", f, &count)) return;
    check(&f[0], 1);
    check(&f[1], 1);
    CHECK(f[0].points[0].x == 1, "one thread is not served");
    CHECK(fabs(f[0].ns.value / f[0].points[0].ns - 1) < 0.3, "one core is not one core: %g, %g",
          f[0].ns.value, f[0].points[0].ns);
}

TEST(sizes_that_are_none)
{
    struct ab_forecast f[AB_FORECAST_ASKS];
    int count;
    if (!forecast("size=448", f, &count)) return;
    CHECK(strstr(f[0].error, "one size only") && !f[0].n_points, "%s", f[0].error);
}

TEST(models_that_are_none)
{
    struct ab_forecast f;
    struct ab_error err = {""};
    const struct ab_forecast_ask ask = {.of = AB_FORECAST_BATCH, .count = 2};
    struct ab_forecast_options o = {
        .model = "resnet5", .method = "lrp-zplus", .deploy = &usual, .asks = &ask, .n_asks = 1};
    CHECK(ab_forecast_measure(&o, &f, &err) == AB_ERR_ARG && strstr(err.text, "resnet5"), "%s",
          err.text);
    o.model = "digits";
    o.method = "lrp";
    CHECK(ab_forecast_measure(&o, &f, &err) == AB_ERR_ARG && strstr(err.text, "lrp"), "%s",
          err.text);
}

static const struct test_case cases[] = {CASE(by_batch), CASE(by_cores), CASE(sizes_that_are_none),
                                         CASE(models_that_are_none)};
TEST_MAIN("tune_forecast_visits", cases)
