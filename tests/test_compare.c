// SPDX-License-Identifier: Apache-2.0
// Comparisons: rows matched and judged, further looks, what is refused, and what is said.
#include "../bench/compare.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 200 };

/* A row of `ns` with half a percent of noise; 0: none. */
static struct ab_db_row row(const char *key, double ns, json_t *record, uint64_t seed)
{
    struct ab_db_row r = {.key = strdup(key), .record = record, .calls = 1};
    struct rng random = rng_new(seed);
    r.count = ns > 0 ? SAMPLES : 0;
    r.ns = malloc(SAMPLES * sizeof *r.ns);
    if (!r.key || !r.ns || !record) abort();
    for (int i = 0; i < SAMPLES; i++) r.ns[i] = ns * (1 + 0.005 * rng_uniform(&random));
    return r;
}

static json_t *kernel_record(void)
{
    return json_pack("{s:s, s:s}", "kind", "kernel", "op", "conv2d_fwd");
}

static json_t *context_of(const char *model)
{
    return json_pack("{s:{s:s}, s:{s:s}, s:{}}", "cpu", "model", model, "build", "git_revision",
                     "abc", "system");
}

static void name_row(int i, char *key, size_t size)
{
    snprintf(key, size, "kernel/conv2d_fwd/n1c%dh28w28", i);
}

/* Sides of `count` kernels of 10 us and more. */
static void fill(struct ab_comparison *c, int count)
{
    struct ab_compare_side *const sides[] = {&c->a, &c->b};
    for (int s = 0; s < 2; s++) {
        snprintf(sides[s]->name, sizeof sides[s]->name, "%s", s ? "now" : "then");
        sides[s]->context = context_of("one");
        sides[s]->rows = calloc((size_t)count, sizeof *sides[s]->rows);
        if (!sides[s]->rows) abort();
        sides[s]->count = count;
        for (int i = 0; i < count; i++) {
            char key[64];
            name_row(i, key, sizeof key);
            sides[s]->rows[i] =
                row(key, 10000 + 100 * i, kernel_record(), (uint64_t)(1000 * s + i));
        }
    }
}

static void scale(struct ab_db_row *r, double by)
{
    for (int i = 0; i < r->count; i++) r->ns[i] *= by;
}

static void set(struct ab_db_row *r, const char *field, json_t *value)
{
    json_object_set_new(r->record, field, value);
}

static void judge(struct ab_comparison *c)
{
    struct ab_error err = {""};
    CHECK(ab_compare_judge(c, &err) == AB_OK, "%s", err.text);
}

static void drop_samples(struct ab_db_row *r)
{
    r->count = 0;
}

/* ---- verdicts ---- */

TEST(identical_runs)
{
    struct ab_comparison c = {.paired = true};
    fill(&c, 60);
    judge(&c);
    CHECK(c.count == 60 && c.timed == 60 && c.of[AB_CHANGE_SAME] == 60, "%d same of %d",
          c.of[AB_CHANGE_SAME], c.count);
    CHECK(ab_compare_exit(&c) == 0, "exit %d", ab_compare_exit(&c));
    ab_comparison_free(&c);
}

TEST(one_slower_row)
{
    struct ab_comparison c = {.paired = true};
    fill(&c, 60);
    scale(&c.b.rows[17], 1.03);
    scale(&c.b.rows[30], 0.95);
    judge(&c);
    CHECK(c.of[AB_CHANGE_REGRESSION] == 1 && c.rows[17].change == AB_CHANGE_REGRESSION, "row 17");
    CHECK(c.of[AB_CHANGE_IMPROVEMENT] == 1 && c.rows[30].change == AB_CHANGE_IMPROVEMENT, "row 30");
    CHECK(ab_compare_exit(&c) == AB_EXIT_REGRESSION, "exit %d", ab_compare_exit(&c));
    const struct ab_compare_row **sorted = ab_compare_sorted(&c);
    CHECK(sorted[0] == &c.rows[17] && sorted[1] == &c.rows[30], "order");
    free(sorted);
    struct ab_compare_class classes[AB_COMPARE_CLASSES];
    CHECK(ab_compare_classes(&c, classes) == 1 && classes[0].rows == 60 &&
              !strcmp(classes[0].name, "kernel conv2d_fwd") && fabs(classes[0].geomean - 1) < 0.01,
          "class %s of %d: %g", classes[0].name, classes[0].rows, classes[0].geomean);
    ab_comparison_free(&c);
}

TEST(errors_count_too)
{
    struct ab_comparison c = {.paired = true};
    fill(&c, 5);
    set(&c.a.rows[0], "rel_l2", json_real(1e-7)), set(&c.b.rows[0], "rel_l2", json_real(2e-7));
    set(&c.a.rows[1], "rel_l2", json_real(1e-6)), set(&c.b.rows[1], "rel_l2", json_real(1e-3));
    set(&c.a.rows[2], "verdict", json_string("agree"));
    set(&c.b.rows[2], "verdict", json_string("disagree"));
    set(&c.b.rows[2], "verdict_reason", json_string("sums differ"));
    set(&c.b.rows[3], "error", json_string("out of memory for the plan"));
    drop_samples(&c.b.rows[3]);
    judge(&c);
    CHECK(c.rows[0].change == AB_CHANGE_SAME, "rounding");
    CHECK(c.rows[1].change == AB_CHANGE_REGRESSION && strstr(c.rows[1].why, "grew from 1e-06"),
          "%s", c.rows[1].why);
    CHECK(c.rows[2].change == AB_CHANGE_REGRESSION && strstr(c.rows[2].why, "sums differ"), "%s",
          c.rows[2].why);
    CHECK(c.rows[2].judged && !c.rows[4].judged && c.by_time == 4, "%d by time", c.by_time);
    CHECK(c.rows[3].change == AB_CHANGE_REGRESSION && strstr(c.rows[3].why, "out of memory"), "%s",
          c.rows[3].why);
    CHECK(!c.rows[3].timed && c.timed == 4 && ab_compare_exit(&c) == 3, "exit");
    ab_comparison_free(&c);
}

TEST(few_undecided_rows_do_not_decide)
{
    struct ab_comparison c = {.paired = true};
    fill(&c, 10);
    for (int i = 0; i < 2; i++) c.b.rows[i].count = c.a.rows[i].count = 5;
    judge(&c);
    CHECK(c.of[AB_CHANGE_INCONCLUSIVE] == 2 && ab_compare_exit(&c) == 0, "a fifth: %d",
          ab_compare_exit(&c));
    c.options.strict = true;
    CHECK(ab_compare_exit(&c) == AB_EXIT_INCONCLUSIVE, "strict: %d", ab_compare_exit(&c));
    CHECK(strstr(c.rows[0].why, "5 samples"), "%s", c.rows[0].why);
    ab_comparison_free(&c);
    c = (struct ab_comparison){.paired = true};
    fill(&c, 10);
    for (int i = 0; i < 3; i++) c.b.rows[i].count = c.a.rows[i].count = 5;
    judge(&c);
    CHECK(ab_compare_exit(&c) == AB_EXIT_INCONCLUSIVE, "three tenths: %d", ab_compare_exit(&c));
    ab_comparison_free(&c);
}

/* ---- further looks ---- */

/* Looks at row 0, measured `ratios` times A. */
static enum ab_change looked(const double *ratios, int count, double first, enum ab_second *second,
                             int *taken)
{
    struct ab_comparison c = {.paired = true};
    fill(&c, 4);
    scale(&c.b.rows[0], first);
    judge(&c);
    CHECK(ab_compare_open(&c, &c.rows[0]) == (first > 1.01) && !ab_compare_open(&c, &c.rows[1]),
          "open");
    for (*taken = 0; *taken < count && ab_compare_open(&c, &c.rows[0]); ++*taken) {
        struct ab_db_row b = row("", 10000 * ratios[*taken], kernel_record(), (uint64_t)*taken);
        ab_compare_look(&c, 0, &c.a.rows[0], &b);
        ab_db_row_free(&b);
    }
    ab_compare_conclude(&c);
    const enum ab_change change = c.rows[0].change;
    *second = c.rows[0].second;
    CHECK(c.rows[1].change == AB_CHANGE_SAME && c.rows[1].second == AB_SECOND_NONE, "another row");
    if (change == AB_CHANGE_INCONCLUSIVE)
        CHECK(strstr(c.rows[0].why, "regression at first"), "%s", c.rows[0].why);
    ab_comparison_free(&c);
    return change;
}

/* `usual`, but in looks no. k * every. */
static void pattern(double *looks, double usual, double other, int every)
{
    for (int i = 0; i < AB_COMPARE_LOOKS; i++)
        looks[i] = every && i % every == every - 1 ? other : usual;
}

/* One process, or a few, that show nothing clear nothing: eight do. */
TEST(few_looks_clear_nothing)
{
    double looks[AB_COMPARE_LOOKS];
    enum ab_second second;
    int taken;
    pattern(looks, 1.0, 0.999, 2);
    for (int count = 0; count <= 8; count++) {
        context("%d looks", count);
        const enum ab_change change = looked(looks, count, 1.04, &second, &taken);
        CHECK(taken == count, "%d taken", taken);
        CHECK(second == (count < 8 ? AB_SECOND_OPEN : AB_SECOND_CLEARED) &&
                  change == (count < 8 ? AB_CHANGE_INCONCLUSIVE : AB_CHANGE_SAME),
              "%s, %s", ab_second_name(second), ab_change_name(change));
    }
}

TEST(looks_confirm_or_clear)
{
    enum { ALL = AB_COMPARE_LOOKS };
    double looks[ALL];
    enum ab_second second;
    int taken;
    pattern(looks, 1.03, 0, 0);
    CHECK(looked(looks, ALL, 1.04, &second, &taken) == AB_CHANGE_REGRESSION &&
              second == AB_SECOND_CONFIRMED && taken == 10,
          "all: %s after %d", ab_second_name(second), taken);
    pattern(looks, 1.03, 1.0, 10);
    CHECK(looked(looks, ALL, 1.04, &second, &taken) == AB_CHANGE_REGRESSION && taken == 16,
          "all but one: %s after %d", ab_second_name(second), taken);
    pattern(looks, 1.03, 1.0, 5);
    CHECK(looked(looks, ALL, 1.04, &second, &taken) == AB_CHANGE_REGRESSION && taken == 16,
          "all but six: %s after %d", ab_second_name(second), taken);
    pattern(looks, 1.0, 0.999, 2);
    CHECK(looked(looks, ALL, 1.04, &second, &taken) == AB_CHANGE_SAME &&
              second == AB_SECOND_CLEARED && taken == 8,
          "none: cleared after %d", taken);
    pattern(looks, 1.04, 0.96, 2);
    CHECK(looked(looks, ALL, 1.04, &second, &taken) == AB_CHANGE_SAME && taken == 8,
          "half up, half down: %s after %d", ab_second_name(second), taken);
    /* Chance would give and take alike: two of three are not chance, one of two may be. */
    pattern(looks, 1.03, 1.0, 3);
    CHECK(looked(looks, ALL, 1.04, &second, &taken) == AB_CHANGE_REGRESSION, "two of three: %s",
          ab_second_name(second));
    pattern(looks, 1.03, 1.0, 2);
    CHECK(looked(looks, ALL, 1.04, &second, &taken) == AB_CHANGE_INCONCLUSIVE &&
              second == AB_SECOND_OPEN,
          "one of two: %s", ab_second_name(second));
    pattern(looks, 1.03, 0, 0);
    CHECK(looked(looks, 4, 1.04, &second, &taken) == AB_CHANGE_INCONCLUSIVE, "interrupted");
}

/* ---- what is refused ---- */

TEST(other_machines)
{
    struct ab_comparison c = {.paired = false};
    struct ab_error err;
    fill(&c, 3);
    json_decref(c.b.context);
    c.b.context = context_of("two");
    CHECK(ab_compare_judge(&c, &err) == AB_ERR_UNSUPPORTED &&
              strstr(err.text, "cpu.model: one, two") && strstr(err.text, "--cross"),
          "%s", err.text);
    c.options.cross = true;
    judge(&c);
    CHECK(strstr(c.crossed, "cpu.model") && c.count == 3, "compared across");
    ab_comparison_free(&c);
}

TEST(nothing_in_common)
{
    struct ab_comparison c = {.paired = false};
    struct ab_error err;
    fill(&c, 2);
    free(c.b.rows[0].key), free(c.b.rows[1].key);
    c.b.rows[0].key = strdup("method/digits/gradient"), c.b.rows[1].key = strdup("step/x");
    CHECK(ab_compare_judge(&c, &err) == AB_ERR_UNSUPPORTED &&
              strstr(err.text, "'method/digits/gradient'") && strstr(err.text, "n1c0h28w28"),
          "%s", err.text);
    CHECK(c.n_only[0] == 2 && c.n_only[1] == 2 && !strchr(err.text, '\n'), "lists");
    ab_comparison_free(&c);
    fill(&c, 2);
    c.options.only = "method*";
    CHECK(ab_compare_judge(&c, &err) == AB_ERR_UNSUPPORTED && strstr(err.text, "like 'method*'"),
          "%s", err.text);
    ab_comparison_free(&c);
}

TEST(no_samples_on_either_side)
{
    struct ab_comparison c = {.paired = false};
    struct ab_error err;
    fill(&c, 2);
    for (int i = 0; i < 2; i++) drop_samples(&c.a.rows[i]), drop_samples(&c.b.rows[i]);
    CHECK(ab_compare_judge(&c, &err) == AB_ERR_UNSUPPORTED, "nothing was measured");
    ab_comparison_free(&c);
}

/* ---- what is said ---- */

/* Into text[size]. */
static void written(void (*write)(FILE *f, const struct ab_comparison *c),
                    const struct ab_comparison *c, char *text, size_t size)
{
    FILE *f = fmemopen(text, size, "w");
    if (!f) abort();
    write(f, c);
    fclose(f);
}

static int lines_of(const char *text)
{
    int lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

static int times(const char *text, const char *word)
{
    int n = 0;
    for (; (text = strstr(text, word)); text++) n++;
    return n;
}

static char text[400000];

TEST(markdown_is_short)
{
    struct ab_comparison c = {.paired = true};
    fill(&c, 300);
    for (int i = 0; i < 100; i++) scale(&c.b.rows[i], 1.05 + 0.001 * i);
    for (int i = 0; i < 300; i++) {
        char op[32];
        snprintf(op, sizeof op, "op|%d", i % 25);
        set(&c.b.rows[i], "op", json_string(op));
    }
    free(c.b.rows[99].key), free(c.a.rows[99].key);
    c.b.rows[99].key = strdup("kernel/a|b\nc"), c.a.rows[99].key = strdup("kernel/a|b\nc");
    judge(&c);
    c.missing = calloc(9, sizeof *c.missing);
    if (!c.missing) abort();
    for (c.n_missing = 0; c.n_missing < 9; c.n_missing++)
        c.missing[c.n_missing] = (struct ab_compare_missing){strdup("kernel x"), strdup("B: none")};
    written(ab_compare_markdown, &c, text, sizeof text);
    CHECK(lines_of(text) <= 60, "%d lines", lines_of(text));
    const char *worst = strstr(text, "kernel/a\\|b c"), *next = strstr(text, "n1c98h");
    CHECK(worst && next && worst < next, "worst first, in one cell:\n%.600s", text);
    CHECK(strstr(text, "REGRESSION") && strstr(text, "72 more such rows") &&
              strstr(text, "15 more classes") && strstr(text, "4 more cases"),
          "%s", text);
    ab_comparison_free(&c);
}

TEST(junit_and_annotations)
{
    struct ab_comparison c = {.paired = true};
    fill(&c, 6);
    scale(&c.b.rows[1], 1.2);
    c.a.rows[2].count = 3;
    set(&c.a.rows[3], "verdict", json_string("agree"));
    set(&c.b.rows[3], "verdict", json_string("disagree"));
    set(&c.b.rows[3], "verdict_reason", json_string("5 % \"worse\" <a&b>\nno"));
    judge(&c);
    written(ab_compare_junit, &c, text, sizeof text);
    CHECK(strstr(text, "tests=\"6\" failures=\"2\" errors=\"0\" skipped=\"1\""), "%.300s", text);
    CHECK(times(text, "<testcase ") == 6 && times(text, "<failure ") == 2 &&
              times(text, "<skipped ") == 1 && times(text, "</testsuite>") == 1,
          "elements");
    CHECK(strstr(text, "&quot;worse&quot; &lt;a&amp;b&gt;&#10;no"), "%s", text);
    written(ab_compare_annotate, &c, text, sizeof text);
    CHECK(times(text, "::error title=") == 2 && times(text, "::warning title=") == 1, "%s", text);
    CHECK(strstr(text, "5 %25 \"worse\" <a&b>%0Ano") && lines_of(text) == 3, "%s", text);
    ab_comparison_free(&c);
}

TEST(json_is_strict)
{
    struct ab_comparison c = {.paired = true};
    fill(&c, 3);
    c.a.rows[2].count = 3;
    scale(&c.b.rows[1], 2);
    judge(&c);
    json_t *root = ab_compare_json(&c);
    CHECK(root, "none");
    char *dumped = json_dumps(root, 0);
    CHECK(dumped && !strstr(dumped, "nan") && !strstr(dumped, "inf\""), "%s", dumped);
    const json_t *first = json_array_get(json_object_get(root, "rows"), 0);
    const json_t *time = json_object_get(first, "time");
    CHECK(!strcmp(json_string_value(json_object_get(first, "change")), "regression"), "%s", dumped);
    CHECK(fabs(json_number_value(json_object_get(time, "ratio")) - 2) < 0.01, "ratio");
    CHECK(json_integer_value(json_object_get(root, "exit_code")) == 3, "exit code");
    free(dumped);
    json_decref(root);
    c.interrupted = true;
    root = ab_compare_json(&c);
    CHECK(ab_compare_exit(&c) == AB_EXIT_INTERRUPTED && ab_compare_verdict(&c) == 3 &&
              json_integer_value(json_object_get(root, "exit_code")) == AB_EXIT_INTERRUPTED,
          "interrupted: %d", ab_compare_exit(&c));
    json_decref(root);
    written(ab_compare_markdown, &c, text, sizeof text);
    CHECK(strstr(text, "REGRESSION"), "what was found is not hidden by that: %.200s", text);
    ab_comparison_free(&c);
}

static const struct test_case cases[] = {CASE(identical_runs),
                                         CASE(one_slower_row),
                                         CASE(errors_count_too),
                                         CASE(few_undecided_rows_do_not_decide),
                                         CASE(looks_confirm_or_clear),
                                         CASE(few_looks_clear_nothing),
                                         CASE(other_machines),
                                         CASE(nothing_in_common),
                                         CASE(no_samples_on_either_side),
                                         CASE(markdown_is_short),
                                         CASE(junit_and_annotations),
                                         CASE(json_is_strict)};
TEST_MAIN("compare", cases)
