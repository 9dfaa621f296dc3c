// SPDX-License-Identifier: Apache-2.0
// Histories: series by key in the order of runs, steps and the commits between which they lie.
#include "../bench/history.h"
#include "db_support.h"

#include <math.h>

/* A run of revision `number` whose row `key` takes about `ns` by a fixed jitter of 0.2 %. */
static int64_t add_run(struct ab_db *db, int number, const char *kernel)
{
    char revision[64];
    snprintf(revision, sizeof revision, "%07d00000", number);
    json_t *context = test_context(), *command = json_array();
    json_object_set_new(json_object_get(context, "build"), "git_revision", json_string(revision));
    if (kernel)
        json_object_set_new(json_object_get(context, "system"), "kernel", json_string(kernel));
    struct ab_error err;
    int64_t id;
    CHECK(ab_db_begin(db, "main", context, command, &id, &err) == AB_OK, "%s", err.text);
    json_decref(context), json_decref(command);
    return id;
}

static void add_point(struct ab_db *db, int64_t run, const char *key, double ns)
{
    put_row(db, run, key, ns * (1 + 0.002 * ((int)(run * 7 % 5) - 2)));
}

static struct ab_history read_history(struct ab_db *db, const char *name, const char *pattern,
                                      bool cross)
{
    struct ab_error err;
    struct ab_history h;
    const struct ab_history_options o = {name, pattern, cross};
    CHECK(ab_history_read(db, &o, &h, &err) == AB_OK, "%s", err.text);
    return h;
}

static const struct ab_history_row *row_of(const struct ab_history *h, const char *key)
{
    for (int i = 0; i < h->n_rows; i++)
        if (!strcmp(h->rows[i].key, key)) return &h->rows[i];
    CHECK(false, "no row %s", key);
    return NULL;
}

TEST(steps_and_their_commits)
{
    struct ab_db *db = open_store(temp_path("steps.db"), AB_DB_WRITE);
    char range[160], spark[256];
    for (int i = 0; i < 20; i++) {
        const int64_t run = add_run(db, i, NULL);
        add_point(db, run, "kernel/flat", 1e6);
        add_point(db, run, "kernel/slower", i < 12 ? 1e6 : 1.05e6);
        add_point(db, run, "kernel/twice", i < 5 ? 1e6 : i < 15 ? 1.3e6 : 1.2e6);
        add_point(db, run, "kernel/lone", i == 7 || i == 12 ? 1.4e6 : i < 13 ? 1e6 : 1.2e6);
        add_point(db, run, "kernel/last", i == 19 ? 1.4e6 : 1e6);
        add_point(db, run, "kernel/tiny", i < 10 ? 1e6 : 1.006e6);
        if (i > 16) add_point(db, run, "kernel/new", 5e5);
    }
    struct ab_history h = read_history(db, "main", NULL, false);
    CHECK(h.n_runs == 20 && h.n_rows == 7 && !h.others, "%d runs, %d rows", h.n_runs, h.n_rows);
    const struct ab_history_row *r = row_of(&h, "kernel/slower");
    CHECK(r->n_breaks == 1 && r->breaks[0] == 12 && fabs(ab_history_change(r) - 1.05) < 0.004,
          "%d steps, %g", r->n_breaks, ab_history_change(r));
    CHECK(!strcmp(ab_history_range(&h, r, 0, range, sizeof range), "000001100000..000001200000"),
          "%s", range);
    ab_history_sparkline(r, 32, true, spark, sizeof spark);
    CHECK(strlen(spark) == 21 && strchr(spark, '|') == spark + 12, "%s", spark);
    ab_history_sparkline(r, 4, false, spark, sizeof spark);
    CHECK(strlen(spark) == 12 && !strchr(spark, '|'), "%s", spark);
    r = row_of(&h, "kernel/twice");
    CHECK(r->n_breaks == 2 && r->breaks[1] == 15 && ab_history_change(r) < 1, "twice");
    CHECK(!row_of(&h, "kernel/flat")->n_breaks && ab_history_change(row_of(&h, "kernel/flat")) == 1,
          "flat");
    CHECK(!row_of(&h, "kernel/tiny")->n_breaks, "a step of 0.6 %% is told");
    r = row_of(&h, "kernel/lone");
    CHECK(r->n_breaks == 1 && (r->breaks[0] == 12 || r->breaks[0] == 13) &&
              fabs(ab_history_change(r) - 1.2) < 0.01,
          "runs that were disturbed: %d steps, first at %d", r->n_breaks, r->breaks[0]);
    r = row_of(&h, "kernel/last");
    CHECK(r->n_breaks == 1 && r->breaks[0] == 19, "the newest run alone is not told");
    CHECK(row_of(&h, "kernel/new")->count == 3 && row_of(&h, "kernel/new")->runs[0] == 17, "new");
    json_t *json = ab_history_json(&h);
    CHECK(json_array_size(json_object_get(json, "rows")) == 7 &&
              json_array_size(json_object_get(json, "runs")) == 20,
          "json");
    json_decref(json);
    ab_history_free(&h);
    h = read_history(db, NULL, "*/s*", false);
    CHECK(h.n_rows == 1, "pattern");
    ab_history_free(&h);
    /* A floor of 2 %: steps below 6 % are noise. */
    struct ab_db_run run;
    struct ab_error err;
    CHECK(ab_db_find(db, "main", &run, &err) == AB_OK, "%s", err.text);
    CHECK(ab_db_put_floor(db, run.fingerprint, "kernel", 0.02, &err) == AB_OK, "%s", err.text);
    ab_db_run_free(&run);
    h = read_history(db, NULL, NULL, false);
    CHECK(!row_of(&h, "kernel/slower")->n_breaks && row_of(&h, "kernel/twice")->n_breaks,
          "the noise floor is not heard");
    ab_history_free(&h);
    ab_db_close(&db);
}

TEST(other_conditions_are_left_out)
{
    struct ab_db *db = open_store(temp_path("cross.db"), AB_DB_WRITE);
    for (int i = 0; i < 12; i++)
        add_point(db, add_run(db, i, i % 3 == 1 ? "Linux 5" : NULL), "kernel/a",
                  i % 3 == 1 ? 2e6 : 1e6);
    struct ab_history h = read_history(db, NULL, NULL, false);
    CHECK(h.n_runs == 8 && h.others == 4 && strstr(h.differs, "system.kernel: Linux 5, Linux 6"),
          "%d, %d, %s", h.n_runs, h.others, h.differs);
    CHECK(h.rows[0].count == 8 && !h.rows[0].n_breaks, "points");
    ab_history_free(&h);
    h = read_history(db, NULL, NULL, true);
    CHECK(h.n_runs == 12 && h.rows[0].count == 12 && !h.others, "cross");
    CHECK(h.crossed == 4 && strstr(h.differs, "system.kernel: Linux 5, Linux 6"), "%d, %s",
          h.crossed, h.differs);
    ab_history_free(&h);
    ab_db_close(&db);
}

/* Runs of rows of one sample each, with a scatter of 1 %; odd ones step by 5 % in the middle. */
TEST(noise_shows_no_steps_and_steps_are_found)
{
    enum { RUNS = 30, ROWS = 200 };
    struct ab_db *db = open_store(temp_path("noise.db"), AB_DB_WRITE);
    struct rng r = rng_new(11);
    struct ab_db_run about = {.name = "n", .origin = "test", .finished = true};
    static char keys[ROWS][24];
    double ns[ROWS];
    struct ab_db_row rows[ROWS];
    struct ab_error err;
    int64_t id;
    about.context = test_context(), about.command = json_array();
    json_t *record = json_object();
    for (int i = 0; i < RUNS; i++) {
        snprintf(about.started, sizeof about.started, "2026-01-%02dT00:00:00Z", i + 1);
        for (int k = 0; k < ROWS; k++) {
            snprintf(keys[k], sizeof keys[k], "%s/%d", k % 2 ? "step" : "flat", k);
            ns[k] = 1e6 * exp(0.01 * rng_normal(&r)) * (k % 2 && i >= RUNS / 2 ? 1.05 : 1);
            rows[k] = (struct ab_db_row){keys[k], record, &ns[k], NULL, 1, 1};
        }
        CHECK(ab_db_import(db, &about, rows, ROWS, &id, &err) == AB_OK, "%s", err.text);
    }
    struct ab_history h = read_history(db, NULL, NULL, false);
    int alarms = 0, found = 0;
    for (int k = 0; k < h.n_rows; k++) {
        const struct ab_history_row *row = &h.rows[k];
        if (*row->key == 'f') alarms += row->n_breaks > 0;
        for (int b = 0; *row->key == 's' && b < row->n_breaks; b++)
            found += abs(row->breaks[b] - RUNS / 2) <= 1;
    }
    CHECK(h.n_rows == ROWS && alarms <= 1, "%d of %d rows of noise have steps", alarms, ROWS / 2);
    CHECK(found >= 95, "%d of %d steps are found", found, ROWS / 2);
    ab_history_free(&h);
    ab_db_close(&db);
    json_decref(about.context), json_decref(about.command), json_decref(record);
}

TEST(histories_of_nothing)
{
    struct ab_error err;
    struct ab_history h;
    struct ab_history_options o = {NULL, NULL, false};
    struct ab_db *db = open_store(temp_path("none.db"), AB_DB_WRITE);
    check_error(ab_history_read(db, &o, &h, &err), AB_ERR_ARG, &err, "holds no runs");
    const int64_t run = add_run(db, 1, NULL);
    check_error(ab_history_read(db, &o, &h, &err), AB_ERR_ARG, &err, "no row");
    put_row(db, run, "kernel/a", 3);
    o.name = "mian";
    check_error(ab_history_read(db, &o, &h, &err), AB_ERR_ARG, &err, "did you mean 'main'");
    o.name = "#1";
    check_error(ab_history_read(db, &o, &h, &err), AB_ERR_ARG, &err, "one run");
    o.name = "main";
    o.pattern = "step/*";
    check_error(ab_history_read(db, &o, &h, &err), AB_ERR_ARG, &err, "step/*");
    o.pattern = NULL;
    CHECK(ab_history_read(db, &o, &h, &err) == AB_OK && h.rows[0].count == 1, "%s", err.text);
    char spark[64];
    ab_history_sparkline(&h.rows[0], 32, true, spark, sizeof spark);
    CHECK(strlen(spark) == 1, "%s", spark);
    ab_history_free(&h);
    ab_db_close(&db);
}

static const struct test_case cases[] = {
    CASE(steps_and_their_commits), CASE(other_conditions_are_left_out),
    CASE(noise_shows_no_steps_and_steps_are_found), CASE(histories_of_nothing)};
TEST_MAIN("history", cases)
