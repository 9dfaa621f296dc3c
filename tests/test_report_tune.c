// SPDX-License-Identifier: Apache-2.0
// What attrbench tune writes is what attrbench report reads: no field is refused, none is lost but
// those that the page has no use for, and none that the page has a use for is never written.
#include "../bench/report.h"
#include "../bench/report_tune_fields.h"
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

/* ---- nothing is read that is never written ---- */

/* In some of the objects each field is there and not null. */
static void written(const char *path, const struct field *fields, const json_t *objects)
{
    char inside[256];
    for (const struct field *f = fields; f->name; f++) {
        json_t *found = json_array();
        for (size_t i = 0; i < json_array_size(objects); i++) {
            json_t *value = json_object_get(json_array_get(objects, i), f->name);
            if (!value || json_is_null(value)) continue;
            if (f->kind == OBJECTS && json_is_array(value))
                json_array_extend(found, value);
            else
                json_array_append(found, value);
        }
        snprintf(inside, sizeof inside, "%.180s.%s", path, f->name);
        CHECK(json_array_size(found), "%s: reports take it, tune never writes it", inside);
        if (f->of) written(inside, f->of, found);
        json_decref(found);
    }
}

static json_t *some_forecasts(void)
{
    json_t *list = json_array();
    struct ab_forecast f = {.ask = {.of = AB_FORECAST_CORES, .count = 16},
                            .ns = {4e6, 3e6, 5e6},
                            .images_per_s = {250, 200, 333},
                            .residual = 0.01,
                            .model = "in words",
                            .points = {{1, 3e7, 3.1e7}},
                            .n_points = 1,
                            .assumptions = {"one"},
                            .n_assumptions = 1};
    json_array_append_new(list, ab_forecast_json(&f));
    snprintf(f.error, sizeof f.error, "one size only");
    json_array_append_new(list, ab_forecast_json(&f));
    return list;
}

TEST(all_that_is_read_is_written)
{
    static const struct ab_max_rate rate = {
        .held = 20, .broken = 24, .note = "few probes", .probes = {{.rate = 20}}, .n_probes = 1};
    static const struct ab_visit visit = {.seconds = 60, .requests = 900};
    static const struct ab_percentile latency = {71e6, 69e6, 74e6};
    json_t *files = json_array();
    struct scene *s = open_scene(&usual);
    s->result.max_rate = ab_tune_rate_json(&rate);
    s->result.confirm = ab_tune_confirm_json(&visit, 16, AB_SLO_HELD, &latency);
    s->result.forecast = some_forecasts();
    s->result.context = json_object();
    json_array_append_new(files, ab_tune_json(&s->result));
    json_decref(s->result.max_rate);
    json_decref(s->result.confirm);
    json_decref(s->result.forecast);
    json_decref(s->result.context);
    close_scene(s);
    /* Where nothing will do, something comes closest. */
    struct plot plot = usual;
    plot.verdict = AB_DISAGREE;
    plot.pace = 30;
    s = open_scene(&plot);
    json_array_append_new(files, ab_tune_json(&s->result));
    close_scene(s);
    written("", file_fields, files);
    json_decref(files);
}

TEST(commands_are_those_of_the_card)
{
    struct scene *s = open_scene(&usual);
    struct ab_report report;
    const json_t *commands =
        json_object_get(json_object_get(read_scene(s, &report), "tune"), "commands");
    struct ab_tune_command own[AB_TUNE_COMMANDS];
    CHECK(ab_tune_commands(&s->result, own) == AB_TUNE_COMMANDS, "fewer commands");
    CHECK(json_array_size(commands) == AB_TUNE_COMMANDS, "%zu", json_array_size(commands));
    for (size_t i = 0; i < AB_TUNE_COMMANDS; i++) {
        const char *text = json_string_value(json_array_get(commands, i));
        CHECK(text && !strcmp(text, own[i].text), "%s", text);
    }
    CHECK(!strcmp(own[0].text, "attrbench explain --config deploy.json --input F --out F"), "%s",
          own[0].text);
    ab_report_destroy(&report);
    close_scene(s);
}

/* A name that JSON cannot hold takes away the commands it is part of, not the page. */
TEST(names_that_are_no_text)
{
    struct scene *s = open_scene(&usual);
    struct ab_report report;
    s->result.out = "caf\xe9.json";
    const json_t *commands =
        json_object_get(json_object_get(read_scene(s, &report), "tune"), "commands");
    CHECK(json_array_size(commands) == 2, "%zu", json_array_size(commands));
    const char *text = json_string_value(json_array_get(commands, 0));
    CHECK(text && !strncmp(text, "attrbench run --model", 21), "%s", text);
    ab_report_destroy(&report);
    close_scene(s);
}

static const struct test_case cases[] = {CASE(all_that_is_written_is_read),
                                         CASE(searches_that_were_cut),
                                         CASE(forecasts_are_read),
                                         CASE(all_that_is_read_is_written),
                                         CASE(commands_are_those_of_the_card),
                                         CASE(names_that_are_no_text)};
TEST_MAIN("report_tune", cases)
