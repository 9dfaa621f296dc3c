// SPDX-License-Identifier: Apache-2.0
// Forecasts on synthetic machines: parameters that were put in are found, intervals hold what they
// should as often as they should, and machines with narrow memory do not scale.
#include "../bench/tune_forecast.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is asked for ---- */

TEST(asks)
{
    static const struct {
        const char *text;
        int count;
        struct ab_forecast_ask last;
        const char *again;
    } good[] = {
        {"batch=16", 1, {.of = AB_FORECAST_BATCH, .count = 16}, "batch=16"},
        {"size=448", 1, {.of = AB_FORECAST_SIZE, .height = 448, .width = 448}, "size=448"},
        {"size=448x320", 1, {.of = AB_FORECAST_SIZE, .height = 448, .width = 320}, "size=448x320"},
        {"batch=1,cores=16", 2, {.of = AB_FORECAST_CORES, .count = 16}, "cores=16"},
        {"cores=16,bandwidth=204.8",
         1,
         {AB_FORECAST_CORES, 16, .bandwidth_gbs = 204.8},
         "cores=16"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct ab_forecast_ask asks[AB_FORECAST_ASKS];
        struct ab_error err = {""};
        char text[64];
        int count;
        CHECK(ab_forecast_parse(good[i].text, asks, &count, &err) == AB_OK, "%s: %s", good[i].text,
              err.text);
        const struct ab_forecast_ask *a = &asks[count - 1], *b = &good[i].last;
        CHECK(count == good[i].count && a->of == b->of && a->count == b->count &&
                  a->height == b->height && a->width == b->width &&
                  a->bandwidth_gbs == b->bandwidth_gbs,
              "%s", good[i].text);
        ab_forecast_ask_text(a, text, sizeof text);
        CHECK(!strcmp(text, good[i].again), "%s: %s", good[i].text, text);
    }
}

TEST(asks_that_are_none)
{
    static const char *const bad[][2] = {
        {"", "nothing that is forecast"},
        {"core=16", "did you mean cores="},
        {"threads=4", "there are batch=, size= and cores="},
        {"cores", "cores=: is no whole number of 1 to 1024"},
        {"cores=", "is no whole number"},
        {"cores=0", "cores=0: is no whole number"},
        {"cores=2.5", "cores=2.5: is no whole number"},
        {"cores=1025", "is no whole number"},
        {"cores=99999999999999999999", "is no whole number"},
        {"cores=4 ", "is no whole number"},
        {"cores= 4", "is no whole number"},
        {"batch=-1", "is no whole number of 1 to 4096"},
        {"batch=16,", "nothing that is forecast"},
        {"size=7", "size=7: is no side of 8 to 8192"},
        {"size=448x", "is no side"},
        {"size=448x320x3", "is no side"},
        {"size=x448", "is no side"},
        {"bandwidth=200", "belongs to cores"},
        {"batch=16,bandwidth=200", "belongs to cores"},
        {"cores=16,bandwidth=0", "above 0"},
        {"cores=16,bandwidth=fast", "is no number of GB/s"},
        {"cores=16,bandwidth=nan", "is no number of GB/s"},
        {"batch=1,batch=2,batch=3,batch=4,batch=5,batch=6,batch=7,batch=8,batch=9", "more than 8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ab_forecast_ask asks[AB_FORECAST_ASKS];
        struct ab_error err = {""};
        int count;
        CHECK(ab_forecast_parse(bad[i][0], asks, &count, &err) == AB_ERR_ARG, "'%s' is taken",
              bad[i][0]);
        CHECK(strstr(err.text, bad[i][1]), "'%s': %s", bad[i][0], err.text);
    }
}

/* ---- lines ---- */

TEST(lines_that_are_exact)
{
    const struct ab_forecast_point points[] = {{1, 12}, {2, 22}, {4, 42}, {8, 82}};
    struct ab_forecast_line line;
    CHECK(ab_forecast_fit(points, 4, &line), "no line");
    CHECK(fabs(line.fixed - 2) < 1e-9 && fabs(line.each - 10) < 1e-9 && line.residual < 1e-12,
          "%g + %g x, %g", line.fixed, line.each, line.residual);
    const struct ab_forecast_range r = ab_forecast_line_at(points, 4, 0, 16);
    CHECK(fabs(r.value - 162) < 1e-6 && r.low > 161.99 && r.high < 162.01, "%g (%g to %g)", r.value,
          r.low, r.high);
    /* A machine's own noise is believed where residuals happen to be smaller. */
    const struct ab_forecast_range noisy = ab_forecast_line_at(points, 4, 0.02, 16);
    CHECK(noisy.low < 155 && noisy.high > 169, "%g to %g", noisy.low, noisy.high);
}

TEST(lines_that_cannot_be)
{
    const struct ab_forecast_point same[] = {{4, 10}, {4, 11}, {4, 12}};
    const struct ab_forecast_point down[] = {{1, 20}, {2, 18}, {4, 15}};
    const struct ab_forecast_point steep[] = {{2, 10}, {4, 30}, {8, 70}};
    struct ab_forecast_line line;
    CHECK(!ab_forecast_fit(same, 3, &line) && !ab_forecast_fit(same, 1, &line) &&
              !ab_forecast_fit(same, 0, &line),
          "a line through one x");
    CHECK(isnan(ab_forecast_line_at(same, 3, 0, 8).value), "a value from one x");
    /* Costs below 0 do not exist. */
    CHECK(ab_forecast_fit(down, 3, &line) && line.each == 0 && line.fixed > 15 && line.fixed < 20,
          "%g + %g x", line.fixed, line.each);
    CHECK(ab_forecast_fit(steep, 3, &line) && line.fixed == 0 && line.each > 5 && line.each < 9,
          "%g + %g x", line.fixed, line.each);
    /* Two points say nothing about errors. */
    const struct ab_forecast_range r = ab_forecast_line_at(steep, 2, 0, 8);
    CHECK(r.value > 0 && isnan(r.low) && isnan(r.high), "%g to %g", r.low, r.high);
}

/* Relative noise, normal: the truth outside lies in the interval at least about as often as it
 * says, and the interval is not so wide that it says nothing. */
TEST(intervals_hold_what_they_should)
{
    enum { TRIALS = 2000 };
    const double xs[] = {1, 2, 4, 8}, sigma = 0.01;
    struct rng r = rng_new(7);
    int held = 0;
    double width = 0;
    for (int t = 0; t < TRIALS; t++) {
        struct ab_forecast_point points[8];
        for (int i = 0; i < 8; i++) {
            const double x = xs[i % 4];
            points[i] = (struct ab_forecast_point){x, (5 + 20 * x) * (1 + sigma * rng_normal(&r))};
        }
        const struct ab_forecast_range f = ab_forecast_line_at(points, 8, 0, 16);
        const double truth = (5 + 20 * 16) * (1 + sigma * rng_normal(&r));
        held += truth >= f.low && truth <= f.high;
        width += (f.high - f.low) / f.value / TRIALS;
    }
    CHECK(held > 0.94 * TRIALS, "%d of %d", held, TRIALS);
    CHECK(width < 0.12, "the interval is %.0f %% wide", 100 * width);
}

/* Where cost is no line the interval knows: caches overflow at 8. */
TEST(lines_that_are_none)
{
    const struct ab_forecast_point points[] = {{1, 11}, {2, 21}, {4, 41}, {8, 120}};
    const struct ab_forecast_range r = ab_forecast_line_at(points, 4, 0, 16);
    CHECK(r.low < 170 && r.high > 240, "%g (%g to %g)", r.value, r.low, r.high);
}

/* ---- cores ---- */

static const struct ab_forecast_rate rates[] = {{1, 100, 10}, {2, 200, 16}};

/* 10 ms of arithmetic; 4 ms of reading 40 MB at 10 GB/s; 1 ms on one thread. */
static const struct ab_forecast_step steps[] = {
    {10e6, 9e8, 1e6, true}, {4e6, 2e7, 40e6, true}, {1e6, 0, 0, false}};

static struct ab_forecast_plan plan_of(const struct ab_forecast_total *totals, int count)
{
    return (struct ab_forecast_plan){.steps = steps,
                                     .n_steps = 3,
                                     .rates = rates,
                                     .n_rates = 2,
                                     .cache_bytes = 2e6,
                                     .totals = totals,
                                     .n_totals = count};
}

static void near(double got, double wanted, const char *what)
{
    CHECK(fabs(got / wanted - 1) < 1e-9, "%s: %.9g, not %.9g", what, got, wanted);
}

TEST(threads_by_the_roofs)
{
    const struct ab_forecast_plan p = plan_of(NULL, 0);
    near(ab_forecast_model_ns(&p, 1, 1), 15e6, "one thread");
    /* Arithmetic halves; 40 MB at 16 GB/s; the rest stays. */
    near(ab_forecast_model_ns(&p, 2, 1), 5e6 + 2.5e6 + 1e6, "two threads");
    /* Memory gives no more. */
    near(ab_forecast_model_ns(&p, 10, 1), 1e6 + 2.5e6 + 1e6, "ten threads");
    struct ab_forecast_plan told = p;
    told.bandwidth_gbs = 40;
    near(ab_forecast_model_ns(&told, 10, 1), 1e6 + 1e6 + 1e6, "ten threads, 40 GB/s");
    /* What is said cannot exceed what as many cores as were measured would read. */
    told.bandwidth_gbs = 1000;
    near(ab_forecast_model_ns(&told, 4, 1), 2.5e6 + 1.25e6 + 1e6, "four threads, too much said");
}

TEST(instances_share_memory)
{
    const struct ab_forecast_plan p = plan_of(NULL, 0);
    /* Two of them read 80 MB at 16 GB/s while each does its own arithmetic. */
    near(ab_forecast_model_ns(&p, 1, 2), 10e6 + 5e6 + 1e6, "two instances");
    near(ab_forecast_model_ns(&p, 1, 8), 10e6 + 20e6 + 1e6, "eight instances");
    near(ab_forecast_model_ns(&p, 2, 2), 5e6 + 5e6 + 1e6, "two of two threads");
}

/* A quarter of the time is in layers that do not grow. */
TEST(one_size_alone)
{
    const struct ab_forecast_step image[] = {{.ns = 6e6, .grows = true}, {.ns = 2e6}};
    const struct ab_forecast_range r = ab_forecast_grown(image, 2, 16e6, 100, 400);
    near(r.value, 4e6 + 48e6, "four times the pixels");
    CHECK(r.low < 0.9 * r.value && r.high > 1.1 * r.value, "too sure");
    near(ab_forecast_grown(image, 2, 16e6, 100, 100).value, 16e6, "the same size");
}

/* Hardware threads of one core: twice the threads, no more arithmetic. */
TEST(siblings_do_not_add_up)
{
    static const struct ab_forecast_rate siblings[] = {{1, 100, 10}, {2, 110, 10}};
    struct ab_forecast_plan p = plan_of(NULL, 0);
    p.rates = siblings;
    near(ab_forecast_model_ns(&p, 2, 1), 10e6 / 1.1 + 4e6 + 1e6, "two siblings");
}

TEST(starting_threads_costs)
{
    struct ab_forecast_plan p = plan_of(NULL, 0);
    p.sync_ns = 1e4;
    p.sync_threads = 2;
    near(ab_forecast_model_ns(&p, 1, 1), 15e6, "one thread");
    near(ab_forecast_model_ns(&p, 2, 1), 8.5e6 + 2e4, "two threads");
    near(ab_forecast_model_ns(&p, 8, 1), 1.25e6 + 2.5e6 + 1e6 + 6e4, "eight threads");
}

TEST(steps_add_up_to_what_was_served)
{
    const struct ab_forecast_total total = {1, 1, 30e6};
    const struct ab_forecast_plan p = plan_of(&total, 1);
    double residual;
    near(ab_forecast_model_ns(&p, 1, 1), 30e6, "one thread");
    const struct ab_forecast_range r = ab_forecast_cores(&p, 2, 1, &residual);
    CHECK(isnan(residual), "a residual of nothing");
    CHECK(r.low < r.value * 0.9 && r.high > r.value * 1.1, "too sure: %g (%g to %g)", r.value,
          r.low, r.high);
}

/* A program that has 2 ms that no model sees, on one to eight cores: they are found. */
TEST(what_does_not_scale_is_found)
{
    struct ab_forecast_total totals[3] = {{1, 1, 15e6}};
    struct ab_forecast_plan p = plan_of(totals, 3);
    double residual;
    p.n_totals = 1;
    const double two = ab_forecast_model_ns(&p, 2, 1), four = ab_forecast_model_ns(&p, 4, 1),
                 sixteen = ab_forecast_model_ns(&p, 16, 1);
    totals[1] = (struct ab_forecast_total){2, 1, two + 2e6};
    totals[2] = (struct ab_forecast_total){4, 1, four + 2e6};
    p.n_totals = 3;
    const struct ab_forecast_range r = ab_forecast_cores(&p, 16, 1, &residual);
    near(r.value, sixteen + 2e6, "sixteen threads");
    CHECK(residual < 1e-9, "residual %g", residual);
    /* Memory may grow with the cores: that is the lower end. */
    CHECK(r.low < r.value - 1e6 && r.high > r.value && r.high < 1.05 * r.value, "%g to %g", r.low,
          r.high);
    totals[2].ns = four + 4e6;
    ab_forecast_cores(&p, 16, 1, &residual);
    CHECK(residual > 0.1, "totals that contradict one another: %g", residual);
}

/* ---- JSON ---- */

TEST(as_json)
{
    struct ab_forecast f = {.ask = {.of = AB_FORECAST_SIZE, .height = 448, .width = 448},
                            .ns = {2e8, 1.9e8, (double)NAN},
                            .images_per_s = {5, 4.8, 5.3},
                            .residual = 0.01,
                            .model = "time = 1 ms + 1 ns for each pixel",
                            .points = {{50176, 5e7, 5.1e7}},
                            .n_points = 1,
                            .assumptions = {"one"},
                            .n_assumptions = 1};
    json_t *json = ab_forecast_json(&f);
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(4));
    CHECK(text && !strcmp(text, "{\"what\":\"size=448\",\"x\":\"pixels\",\"at\":2.007e5,"
                                "\"model\":\"time = 1 ms + 1 ns for each pixel\",\"residual\":0.01,"
                                "\"latency_ns\":{\"value\":2e8,\"low\":1.9e8,\"high\":null},"
                                "\"images_per_s\":{\"value\":5.0,\"low\":4.8,\"high\":5.3},"
                                "\"points\":[{\"x\":5.018e4,\"ns\":5e7,\"fit_ns\":5.1e7}],"
                                "\"assumptions\":[\"one\"]}"),
          "%s", text);
    free(text);
    json_decref(json);
    snprintf(f.error, sizeof f.error, "one size only");
    json = ab_forecast_json(&f);
    CHECK(json_object_size(json) == 2 && json_object_get(json, "error"), "an error and numbers");
    json_decref(json);
}

static const struct test_case cases[] = {CASE(asks),
                                         CASE(asks_that_are_none),
                                         CASE(lines_that_are_exact),
                                         CASE(lines_that_cannot_be),
                                         CASE(intervals_hold_what_they_should),
                                         CASE(lines_that_are_none),
                                         CASE(threads_by_the_roofs),
                                         CASE(instances_share_memory),
                                         CASE(one_size_alone),
                                         CASE(siblings_do_not_add_up),
                                         CASE(starting_threads_costs),
                                         CASE(steps_add_up_to_what_was_served),
                                         CASE(what_does_not_scale_is_found),
                                         CASE(as_json)};
TEST_MAIN("tune_forecast", cases)
