// SPDX-License-Identifier: Apache-2.0
// What attrbench tune writes is what attrbench report reads: no field is refused, and none is lost
// but those that the page has no use for.
#include "../bench/report.h"
#include "../bench/tune_forecast.h"
#include "files.h"
#include "support.h"
#include "tune_scene.h"

#include <string.h>

/* Fields that stay behind, by the object that they are in. */
static const char *const left[] = {"attrbench_config", "simplicity", "spent_s", "seed", NULL};

static bool is_left(const char *name)
{
    for (int i = 0; left[i]; i++)
        if (!strcmp(left[i], name)) return true;
    return false;
}

/* Every value of `from` that is not null is in `to`. */
static void same(const char *path, json_t *from, const json_t *to)
{
    const char *name;
    json_t *value;
    char inside[256];
    if (json_is_array(from)) {
        CHECK(json_array_size(from) == json_array_size(to), "%s: %zu of %zu", path,
              json_array_size(to), json_array_size(from));
        for (size_t i = 0; i < json_array_size(from); i++) {
            snprintf(inside, sizeof inside, "%.200s[%zu]", path, i);
            same(inside, json_array_get(from, i), json_array_get(to, i));
        }
    } else if (json_is_object(from)) {
        json_object_foreach(from, name, value)
        {
            if (json_is_null(value) || is_left(name)) continue;
            snprintf(inside, sizeof inside, "%.200s.%.40s", path, name);
            CHECK(json_object_get(to, name), "%s is lost", inside);
            same(inside, value, json_object_get(to, name));
        }
    } else if (json_is_number(from)) {
        const double was = json_number_value(from), is = json_number_value(to);
        CHECK(json_is_number(to) && fabs(is - was) <= 1e-6 * fabs(was), "%s: %g, not %g", path, is,
              was);
    } else {
        CHECK(json_equal(from, to), "%s differs", path);
    }
}

/* The deployment that the scene's file becomes, in a report that the caller destroys. */
static json_t *read_scene(const struct scene *s, struct ab_report *report)
{
    const char *path = temp_path("deploy.json");
    struct ab_error err = {""};
    json_t *root = ab_tune_json(&s->result);
    CHECK(root && !ab_tune_write(path, root, &err), "%s", err.text);
    CHECK(ab_report_is_config(path), "no configuration");
    CHECK(ab_report_create(report) && !ab_report_add_config(report, path, &err), "%s", err.text);
    json_t *taken = json_array_get(report->deployments, 0);
    same("", root, taken);
    json_decref(root);
    return taken;
}

TEST(all_that_is_written_is_read)
{
    struct scene *s = open_scene(&usual);
    struct ab_report report;
    const json_t *d = read_scene(s, &report);
    CHECK(!strcmp(ab_report_text(ab_report_recommended(d), "text"),
                  s->space.points[s->answer.recommended].text),
          "another one is recommended");
    CHECK(json_array_size(json_object_get(d, "knobs")) > 2, "knobs");
    CHECK(ab_report_number(json_object_get(json_object_get(d, "limits"), "share"), "compute") ==
              0.81,
          "limits");
    ab_report_destroy(&report);
    close_scene(s);
}

TEST(searches_that_were_cut)
{
    struct plot plot = usual;
    plot.require.slo.limit_ns = 0;
    plot.visits = 1;
    plot.requests = 40;
    plot.incomplete = true;
    struct scene *s = open_scene(&plot);
    s->result.interrupted = true;
    struct ab_report report;
    const json_t *tune = json_object_get(read_scene(s, &report), "tune");
    CHECK(json_is_true(json_object_get(tune, "interrupted")) &&
              json_is_false(json_object_get(tune, "complete")),
          "it was cut");
    ab_report_destroy(&report);
    close_scene(s);
}

TEST(forecasts_are_read)
{
    struct scene *s = open_scene(&usual);
    struct ab_report report;
    struct ab_forecast f = {.ask = {.of = AB_FORECAST_CORES, .count = 16},
                            .ns = {4e6, 3e6, (double)NAN},
                            .images_per_s = {250, (double)NAN, 333},
                            .residual = (double)NAN,
                            .model = "in words",
                            .points = {{1, 3e7, (double)NAN}},
                            .n_points = 1,
                            .assumptions = {"one", "two"},
                            .n_assumptions = 2};
    s->result.forecast = json_array();
    json_array_append_new(s->result.forecast, ab_forecast_json(&f));
    snprintf(f.error, sizeof f.error, "one size only");
    json_array_append_new(s->result.forecast, ab_forecast_json(&f));
    const json_t *list = json_object_get(read_scene(s, &report), "forecast");
    CHECK(!strcmp(ab_report_text(json_array_get(list, 1), "error"), "one size only"), "an error");
    json_decref(s->result.forecast);
    ab_report_destroy(&report);
    close_scene(s);
}

static const struct test_case cases[] = {CASE(all_that_is_written_is_read),
                                         CASE(searches_that_were_cut), CASE(forecasts_are_read)};
TEST_MAIN("report_tune", cases)
