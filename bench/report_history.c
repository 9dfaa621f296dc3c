// SPDX-License-Identifier: Apache-2.0
// Histories in a report: how each row's time went from run to run, and where it stepped.
#include "decide.h"
#include "report.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEAST_RUNS = 3, /* two are a comparison */
    MOST_RUNS = 200,
    MOST_SERIES = 400 /* those that changed most, steps of plans last */
};

/* A row's time in one of the runs. */
struct point {
    const char *key, *kind;
    int run;
    double ns;
};

/* Of one history: runs in order, and the points of all rows. */
struct collected {
    json_t *runs;
    int n_runs;
    struct point *points;
    size_t count, room;
};

static bool add_points(struct collected *c, const struct ab_db_row *rows, int count)
{
    for (int i = 0; i < count; i++) {
        const double ns = ab_db_low_ns(rows[i].ns, rows[i].disturbed, rows[i].count);
        if (!(ns > 0) || !isfinite(ns)) continue;
        if (c->count == c->room) {
            const size_t room = c->room ? 2 * c->room : 256;
            struct point *grown = realloc(c->points, room * sizeof *grown);
            if (!grown) return false;
            c->points = grown;
            c->room = room;
        }
        c->points[c->count++] =
            (struct point){rows[i].key, ab_report_text(rows[i].record, "kind"), c->n_runs, ns};
    }
    return true;
}

static bool add_run(struct collected *c, const char *name, const char *date, const char *revision)
{
    c->n_runs++;
    json_t *run = json_pack("{s:s,s:s,s:s}", "name", name, "date", date, "revision", revision);
    return run && json_array_append_new(c->runs, run) == 0;
}

/* ---- series ---- */

static int by_key(const void *a, const void *b)
{
    const struct point *p = a, *q = b;
    const int order = strcmp(p->key, q->key);
    return order ? order : p->run - q->run;
}

static double median_of(const double *values, int count)
{
    double sorted[MOST_RUNS];
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    ab_sort(sorted, (size_t)count);
    return ab_quantile(sorted, count, 0.5);
}

/* The levels between the breaks, and how the last is to the one before it. */
static void put_levels(json_t *series, const double *ns, int count, const int *breaks, int n)
{
    json_t *places = json_array(), *levels = json_array();
    double before = (double)NAN, last = (double)NAN;
    for (int i = 0; i <= n; i++) {
        const int from = i ? breaks[i - 1] : 0, to = i < n ? breaks[i] : count;
        if (i) json_array_append_new(places, json_integer(from));
        before = last;
        last = median_of(ns + from, to - from);
        json_array_append_new(levels, json_real(last));
    }
    json_object_set_new(series, "breaks", places);
    json_object_set_new(series, "levels", levels);
    if (n) json_object_set_new(series, "change", json_real(last / before));
}

/* New reference; NULL: out of memory. */
static json_t *make_series(const struct point *points, int count, double floor)
{
    double ns[MOST_RUNS];
    int breaks[MOST_RUNS];
    json_t *at = json_array(), *times = json_array();
    for (int i = 0; i < count; i++) {
        ns[i] = points[i].ns;
        json_array_append_new(at, json_integer(points[i].run));
        json_array_append_new(times, json_real(ns[i]));
    }
    const int n = ab_change_points(ns, count, ab_change_penalty(ns, count, floor), breaks);
    json_t *series = json_pack("{s:s,s:s,s:o,s:o}", "key", points[0].key, "kind", points[0].kind,
                               "at", at, "ns", times);
    if (series && n >= 0) put_levels(series, ns, count, breaks, n);
    return n < 0 ? json_decref(series), NULL : series;
}

static double change_size(const json_t *series)
{
    const double change = ab_report_number(series, "change");
    return change > 0 ? fabs(log(change)) : 0;
}

static bool is_step(const json_t *series)
{
    return !strcmp(ab_report_text(series, "kind"), "step");
}

static int by_change(const void *a, const void *b)
{
    const int steps = is_step(*(json_t *const *)a) - is_step(*(json_t *const *)b);
    if (steps) return steps;
    const double x = change_size(*(json_t *const *)a), y = change_size(*(json_t *const *)b);
    return (x < y) - (x > y);
}

/* Takes what is in `all` over, those that changed most first. */
static json_t *most_changed(json_t **all, size_t count)
{
    json_t *list = json_array();
    qsort(all, count, sizeof *all, by_change);
    for (size_t i = 0; i < count; i++) {
        if (i < MOST_SERIES)
            json_array_append_new(list, all[i]);
        else
            json_decref(all[i]);
    }
    return list;
}

/* Noise floors by kind of row; NaN where there is no store. */
struct floors {
    struct ab_db *db;
    const char *fingerprint;
};

static enum ab_status put_history(struct ab_report *report, const char *name, struct collected *c,
                                  const struct floors *floors, struct ab_error *err)
{
    if (c->count) qsort(c->points, c->count, sizeof *c->points, by_key);
    json_t **all = calloc(c->count + 1, sizeof *all);
    size_t made = 0;
    bool good = all != NULL;
    for (size_t from = 0, to; good && from < c->count; from = to) {
        for (to = from + 1; to < c->count && !strcmp(c->points[to].key, c->points[from].key);) to++;
        if (to - from < LEAST_RUNS) continue;
        const char *kind = c->points[from].kind;
        const double floor = floors->db
                                 ? ab_db_floor_of(floors->db, floors->fingerprint, kind, kind, true)
                                 : (double)NAN;
        all[made] = make_series(&c->points[from], (int)(to - from), floor);
        good = all[made] != NULL;
        made += good;
    }
    json_t *series = good ? most_changed(all, made) : NULL;
    free(all);
    json_t *history = json_pack("{s:s,s:O,s:o}", "name", name, "runs", c->runs, "series", series);
    if (!history) return ab_fail(err, AB_ERR_MEMORY, "history: out of memory; report fewer runs");
    if (made) return json_array_append_new(report->histories, history), AB_OK;
    json_decref(history);
    return AB_OK;
}

static void free_collected(struct collected *c)
{
    json_decref(c->runs);
    free(c->points);
}

/* ---- runs of files ---- */

static int by_date(const void *a, const void *b)
{
    const struct ab_report_input *const *x = a, *const *y = b;
    return strcmp(ab_report_text((*x)->context, "date"), ab_report_text((*y)->context, "date"));
}

static enum ab_status history_of_files(struct ab_report *report, struct ab_error *err)
{
    const struct ab_report_input **files = calloc((size_t)report->n_inputs + 1, sizeof *files);
    if (!files) return ab_fail(err, AB_ERR_MEMORY, "history: out of memory; report fewer runs");
    int count = 0;
    for (int i = 0; i < report->n_inputs; i++)
        if (!report->inputs[i].id) files[count++] = &report->inputs[i];
    enum ab_status status = AB_OK;
    if (count >= LEAST_RUNS && count <= MOST_RUNS) {
        struct collected c = {.runs = json_array()};
        bool good = c.runs != NULL;
        qsort(files, (size_t)count, sizeof *files, by_date);
        for (int i = 0; good && i < count; i++)
            good = add_points(&c, files[i]->rows, files[i]->count) &&
                   add_run(
                       &c, files[i]->name, ab_report_text(files[i]->context, "date"),
                       ab_report_text(json_object_get(files[i]->context, "build"), "git_revision"));
        status = good ? put_history(report, "the given files", &c, &(struct floors){0}, err)
                      : ab_fail(err, AB_ERR_MEMORY, "history: out of memory; report fewer runs");
        free_collected(&c);
    }
    free(files);
    return status;
}

/* ---- runs of the store ---- */

/* The runs of a name that were taken under the same conditions as the newest that was given, the
 * newest MOST_RUNS of them. */
static enum ab_status history_of_name(struct ab_report *report, struct ab_db *db,
                                      const struct ab_report_input *input, struct ab_error *err)
{
    struct ab_db_run *runs;
    int count;
    char fingerprint[32];
    enum ab_status status = ab_db_runs(db, input->stored, &runs, &count, err);
    if (status != AB_OK) return status;
    ab_fingerprint(input->context, fingerprint);
    struct collected c = {.runs = json_array()};
    struct ab_db_row *rows[MOST_RUNS] = {NULL};
    int n_rows[MOST_RUNS] = {0}, kept = 0;
    for (int i = 0; i < count; i++) kept += !strcmp(runs[i].fingerprint, fingerprint);
    bool good = c.runs != NULL;
    for (int i = 0, k = 0; i < count && status == AB_OK && good; i++) {
        if (strcmp(runs[i].fingerprint, fingerprint) != 0 || k++ < kept - MOST_RUNS) continue;
        const int n = c.n_runs;
        status = ab_db_rows(db, runs[i].id, &rows[n], &n_rows[n], err);
        if (status != AB_OK) break;
        good = add_points(&c, rows[n], n_rows[n]) &&
               add_run(&c, runs[i].name, runs[i].started, runs[i].revision);
    }
    const struct floors floors = {db, fingerprint};
    if (!good) status = ab_fail(err, AB_ERR_MEMORY, "history: out of memory; report fewer runs");
    if (status == AB_OK && c.n_runs >= LEAST_RUNS)
        status = put_history(report, input->stored, &c, &floors, err);
    for (int i = 0; i < MOST_RUNS; i++) ab_db_rows_free(rows[i], n_rows[i]);
    ab_db_runs_free(runs, count);
    free_collected(&c);
    return status;
}

enum ab_status ab_report_add_histories(struct ab_report *report, struct ab_db *db,
                                       struct ab_error *err)
{
    enum ab_status status = history_of_files(report, err);
    for (int i = 0; status == AB_OK && i < report->n_inputs; i++) {
        const struct ab_report_input *input = &report->inputs[i];
        bool done = !input->id;
        for (int k = 0; k < i; k++) done = done || !strcmp(report->inputs[k].stored, input->stored);
        if (!done) status = history_of_name(report, db, input, err);
    }
    return status;
}
