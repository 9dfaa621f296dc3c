// SPDX-License-Identifier: Apache-2.0
// How attrbench tune shows its answer: the card, which is compared with tests/cards/*.txt, the row
// for documents, and the file.
#include "../bench/tune_out.h"
#include "files.h"
#include "tune_scene.h"

#if AB_WITH_ONEDNN

/* ---- the card ---- */

static char *printed(void (*print)(FILE *f, const struct ab_tune_result *r), const struct scene *s)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    CHECK(f, "out of memory");
    print(f, &s->result);
    fclose(f);
    return text;
}

/* Line by line, so that a failure names the line. */
static void check_text(const char *name, char *got)
{
    char path[512];
    const char *folder = getenv("AB_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/cards/%s.txt", folder ? folder : ".", name);
    FILE *f = fopen(path, "r");
    CHECK(f, "%s: cannot be read", path);
    char want[1024], *rest = got;
    int number = 0;
    while (fgets(want, sizeof want, f)) {
        const size_t length = strcspn(rest, "\n");
        number++;
        want[strcspn(want, "\n")] = '\0';
        CHECK(strlen(want) == length && !strncmp(rest, want, length),
              "%s:%d: got '%.*s', want '%s'", path, number, (int)length, rest, want);
        rest += length + (rest[length] == '\n');
    }
    fclose(f);
    CHECK(!*rest, "%s: got more: %s", path, rest);
    free(got);
}

static void check_card(const char *name, const struct plot *plot, bool interrupted)
{
    struct scene *s = open_scene(plot);
    s->result.interrupted = interrupted;
    check_text(name, printed(ab_tune_card, s));
    close_scene(s);
}

TEST(cards)
{
    check_card("normal", &usual, false);
    struct plot plot = usual;
    plot.require.slo.limit_ns = 0;
    check_card("interrupted", &plot, true);
    plot = usual;
    plot.require.slo.limit_ns = 20e6;
    check_card("nothing", &plot, false);
    plot = usual;
    plot.verdict = AB_DISAGREE;
    plot.rel_l2 = 0.03;
    check_card("disagree", &plot, false);
    plot = usual;
    plot.visits = 1;
    plot.requests = 40;
    plot.incomplete = true;
    check_card("few", &plot, false);
    plot.visits = 0;
    check_card("failed", &plot, false);
}

/* What --find-max-rate, --confirm and --forecast found, and what they did not. */
TEST(asked_for_besides)
{
    struct scene *s = open_scene(&usual);
    char *text = printed(ab_tune_card_asked, s);
    CHECK(!*text, "nothing was asked for: %s", text);
    free(text);
    s->result.max_rate =
        json_pack("{s:f,s:f,s:b,s:b,s:s,s:f,s:[{},{}]}", "held", 21.5, "broken", 24.2, "confirmed",
                  1, "idle_broken", 0, "note", "", "spent_s", 93.0, "probes");
    s->result.confirm = json_pack("{s:f,s:f,s:i,s:s,s:{s:f,s:f,s:n},s:b}", "rate", 17.2, "seconds",
                                  60.0, "requests", 1030, "state", "open", "latency_ns", "value",
                                  71.2e6, "low", 66e6, "high", "overloaded", 0);
    s->result.forecast =
        json_pack("[{s:s,s:s,s:f,s:{s:f,s:f,s:f},s:{s:f,s:f,s:f},s:[s,s]},{s:s,s:s}]", "what",
                  "batch=16", "model", "time = fixed + each x images", "residual", 0.012,
                  "latency_ns", "value", 310e6, "low", 290e6, "high", 330e6, "images_per_s",
                  "value", 51.6, "low", 48.5, "high", 55.2, "assumptions", "the same kind of core",
                  "one socket", "what", "size=448", "error", "the network has no other size");
    char *card = printed(ab_tune_card, s);
    text = printed(ab_tune_card_asked, s);
    CHECK(strstr(card, text), "not on the card: %s", text);
    check_text("asked", text);
    free(card);
    json_decref(s->result.max_rate);
    json_decref(s->result.confirm);
    json_decref(s->result.forecast);
    s->result.confirm = s->result.forecast = NULL;
    s->result.max_rate =
        json_pack("{s:f,s:n,s:b,s:b,s:s,s:f,s:[{}]}", "held", 0.0, "broken", "confirmed", 0,
                  "idle_broken", 1, "note", "too low", "spent_s", 4.0, "probes");
    text = printed(ab_tune_card_asked, s);
    CHECK(strstr(text, "none: a client that is alone") && strstr(text, "too low"), "%s", text);
    free(text);
    json_decref(s->result.max_rate);
    close_scene(s);
}

TEST(a_pace_that_changed_is_told_of)
{
    struct scene *s = open_scene(&usual);
    char *card = printed(ab_tune_card, s);
    CHECK(!strstr(card, "pace"), "%s", card);
    free(card);
    static const double paces[] = {50, 49, 48, 30};
    const double latency = 8.2e7;
    for (int v = 0; v < 4; v++) {
        const struct ab_told told = {.images_per_s = 24 * paces[v] / 50,
                                     .pace = paces[v],
                                     .latency_ns = &latency,
                                     .requests = 1,
                                     .verdict = AB_AGREE};
        CHECK(ab_search_tell(s->search, s->answer.recommended, &told), "out of memory");
        card = printed(ab_tune_card, s);
        CHECK(!!strstr(card, "pace went from 60 to 100 % of that at the first visit") == (v == 3),
              "visit %d: %s", v, card);
        free(card);
    }
    close_scene(s);
}

TEST(a_host_that_steals_is_told_of)
{
    static const struct {
        double stolen;
        int dropped;
        const char *says;
        bool provisional;
    } rows[] = {
        {0.17, 3, "took 17 % of the CPU time that these visits asked for (3 more dropped ", true},
        {0.09, 0, "took 9 % of the CPU time that these visits asked for (0 more dropped ", false},
        {0.01, 2, "took 1 % of the CPU time that these visits asked for (2 more dropped ", false},
        {0.01, 0, NULL, false},
        {(double)NAN, 0, NULL, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct plot plot = usual;
        plot.stolen = rows[i].stolen;
        struct scene *s = open_scene(&plot);
        s->result.dropped = rows[i].dropped;
        char *card = printed(ab_tune_card, s);
        CHECK(rows[i].says ? !!strstr(card, rows[i].says) : !strstr(card, "host"), "%s", card);
        CHECK(!!strstr(card, "\nprovisional: ") == rows[i].provisional, "%s", card);
        free(card);
        close_scene(s);
    }
}

TEST(words_of_a_shell)
{
    struct scene *s = open_scene(&usual);
    s->result.model = "it's a net.onnx";
    char *card = printed(ab_tune_card, s);
    CHECK(strstr(card, "--model 'it'\\''s a net.onnx' --method lrp-epsilon:eps=0.1 "), "%s", card);
    free(card);
    close_scene(s);
}

TEST(a_row_for_documents)
{
    struct scene *s = open_scene(&usual);
    s->result.model = "a|b.onnx";
    char *row = printed(ab_tune_markdown, s);
    int cells = 0;
    for (const char *p = row; *p; p++) cells += *p == '|' && (p == row || p[-1] != '\\');
    CHECK(cells == 7 && strchr(row, '\n') == row + strlen(row) - 1, "%s", row);
    CHECK(strstr(row, "| a\\|b.onnx |") && strstr(row, "the best; compute: "), "%s", row);
    free(row);
    close_scene(s);
}

TEST(numbers_as_text)
{
    char text[32], quantile[16];
    ab_span_text(12.34, text);
    CHECK(!strcmp(text, "12.3 s"), "%s", text);
    ab_span_text(119.8, text);
    CHECK(!strcmp(text, "2 min"), "%s", text);
    ab_megabytes_text((double)NAN, text);
    CHECK(!strcmp(text, "?"), "%s", text);
    ab_megabytes_text(4.2e6, text);
    CHECK(!strcmp(text, "4.2 MB"), "%s", text);
    ab_number_text(99.97, text);
    CHECK(!strcmp(text, "100"), "%s", text);
    ab_quantile_text(0.999, quantile);
    CHECK(!strcmp(quantile, "p99.9"), "%s", quantile);
}

/* Errors of maps that could not be judged are no errors of 0. */
TEST(what_was_not_judged)
{
    struct plot plot = usual;
    plot.verdict = AB_MISTRUSTED;
    plot.rel_l2 = 0;
    struct scene *s = open_scene(&plot);
    CHECK(s->answer.recommended < 0, "an error that nobody knows is within --min-agree");
    close_scene(s);
    plot.require.min_agree = 0;
    s = open_scene(&plot);
    CHECK(s->answer.recommended < 0, "maps that nobody could judge are recommended");
    char *card = printed(ab_tune_card, s);
    CHECK(strstr(card, "its maps could not be judged (mistrusted): rel. L2 error 0.03"), "%s",
          card);
    CHECK(!strstr(card, "0.0e+00"), "%s", card);
    free(card);
    json_t *root = ab_tune_json(&s->result);
    const json_t *p = json_array_get(json_object_get(root, "points"), 0);
    CHECK(json_is_null(json_object_get(p, "rel_l2")), "an error of 0");
    CHECK(json_is_null(json_object_get(p, "max_err")), "an error of 0");
    json_decref(root);
    close_scene(s);
}

/* ---- the file ---- */

static json_t *reread(json_t *root)
{
    json_error_t error;
    char *text = json_dumps(root, JSON_ENSURE_ASCII);
    CHECK(text, "not written");
    json_t *again = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    CHECK(again, "%s: %s", error.text, text);
    free(text);
    json_decref(root);
    return again;
}

static void check_keys(const json_t *object, const char *const *keys)
{
    for (; *keys; keys++) CHECK(json_object_get(object, *keys), "%s is missing", *keys);
}

TEST(the_file_has_all_fields)
{
    static const char *const root_keys[] = {
        "attrbench_config", "model",   "model_hash", "method", "machine", "deploy",   "tune",
        "recommended",      "best",    "points",     "knobs",  "limits",  "max_rate", "confirm",
        "forecast",         "context", "closest",    NULL};
    static const char *const tune_keys[] = {
        "objective",   "slo",   "min_agree", "load",   "budget_s", "spent_s",  "complete",
        "interrupted", "space", "seed",      "points", "visited",  "commands", NULL};
    static const char *const point_keys[] = {
        "text",          "deploy",  "visits", "images_per_s", "latency_ns",     "quantile",
        "start_ns",      "verdict", "rel_l2", "max_err",      "resident_bytes", "peak_bytes",
        "planned_bytes", "front",   "alike",  "dropped",      "error",          NULL};
    struct scene *s = open_scene(&usual);
    s->result.forecast = json_pack("{s:i}", "batch", 4);
    json_t *root = reread(ab_tune_json(&s->result));
    check_keys(root, root_keys);
    check_keys(json_object_get(root, "tune"), tune_keys);
    const json_t *points = json_object_get(root, "points");
    const size_t count = sizeof world / sizeof *world + 1;
    CHECK(json_array_size(points) == count, "%zu points", json_array_size(points));
    for (size_t i = 0; i < count; i++) check_keys(json_array_get(points, i), point_keys);
    CHECK(json_is_null(json_object_get(root, "confirm")), "a confirmation that was not made");
    CHECK(json_equal(json_object_get(root, "forecast"), s->result.forecast), "not the forecast");
    const char *text = json_string_value(json_object_get(root, "recommended"));
    CHECK(text && !strcmp(text, s->space.points[s->answer.recommended].text), "%s", text);
    const json_t *space = json_object_get(json_object_get(root, "tune"), "space");
    CHECK(json_array_size(json_object_get(space, ab_knob_name(AB_KNOB_SHAPE))) == 3, "3 shapes");
    json_decref(root);
    json_decref(s->result.forecast);
    close_scene(s);
}

/* What is not known is null, and what is no text is no text. */
TEST(the_file_is_strict)
{
    struct plot plot = usual;
    plot.visits = 1;
    plot.requests = 40;
    plot.rel_l2 = (double)NAN;
    struct scene *s = open_scene(&plot);
    const struct ab_told odd = {.error = "\xff\xfe", .wall_s = 1};
    const struct shown far = {.engine = "onednn", .algo = "auto", .shape = "1x1", .batch = 4};
    CHECK(ab_search_tell(s->search, point_of(&s->space, &far), &odd), "out of memory");
    s->limits.gflops = (double)INFINITY;
    json_t *root = reread(ab_tune_json(&s->result));
    CHECK(!json_object_get(root, "attrbench_config"), "a configuration of nothing");
    const json_t *points = json_object_get(root, "points");
    bool served = false;
    for (size_t i = 0; i < json_array_size(points); i++) {
        const json_t *p = json_array_get(points, i);
        const json_t *p99 = json_object_get(json_object_get(p, "latency_ns"), "p99");
        CHECK(json_is_null(json_object_get(p99, "value")), "a p99 of 40 requests");
        CHECK(json_is_null(json_object_get(p, "rel_l2")), "an error that is not known");
        served = served || json_is_number(json_object_get(
                               json_object_get(json_object_get(p, "latency_ns"), "p50"), "value"));
    }
    CHECK(served, "no p50 either");
    CHECK(json_is_null(json_object_get(json_object_get(root, "limits"), "gflops")), "infinite");
    struct ab_error err = {""};
    const char *path = temp_path("none.json");
    CHECK(ab_tune_write(path, root, &err) == AB_ERR_ARG, "written");
    CHECK(strstr(err.text, "nothing is recommended") && access(path, F_OK) != 0, "%s", err.text);
    json_decref(root);
    close_scene(s);
}

TEST(the_file_is_read_back)
{
    struct plot plot = usual;
    plot.place = "free";
    struct scene *s = open_scene(&plot);
    struct ab_error err = {""};
    struct ab_config *config = NULL;
    json_t *root = ab_tune_json(&s->result);
    const char *path = temp_path("deploy.json");
    CHECK(!ab_tune_write(path, root, &err), "%s", err.text);
    CHECK(!ab_config_read(path, true, &config, &err), "%s", err.text);
    char text[AB_DEPLOY_TEXT];
    ab_deploy_text(ab_config_deploy(config), text);
    CHECK(!strcmp(text, s->space.points[s->answer.recommended].text), "%s", text);
    CHECK(!strcmp(ab_config_method(config), s->result.method), "%s", ab_config_method(config));
    CHECK(!strcmp(ab_config_model(config), s->result.model), "%s", ab_config_model(config));
    ab_config_destroy(&config);
    CHECK(ab_tune_write("/nonexistent/deploy.json", root, &err) == AB_ERR_IO, "%s", err.text);
    json_decref(root);
    close_scene(s);
}

static const struct test_case cases[] = {
    CASE(cards),
    CASE(asked_for_besides),
    CASE(a_pace_that_changed_is_told_of),
    CASE(a_host_that_steals_is_told_of),
    CASE(words_of_a_shell),
    CASE(a_row_for_documents),
    CASE(numbers_as_text),
    CASE(what_was_not_judged),
    CASE(the_file_has_all_fields),
    CASE(the_file_is_strict),
    CASE(the_file_is_read_back),
};
TEST_MAIN("tune_out", cases)

#else
int main(void)
{
    return 0;
}
#endif
