// SPDX-License-Identifier: Apache-2.0
// Histories in a report: how each row's time went from run to run, and where it stepped.
#include "history.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEAST_RUNS = 3,   /* two are a comparison */
    MOST_SERIES = 400 /* those that changed most, steps of plans last */
};

/* ---- as JSON ---- */

static bool is_step(const struct ab_history_row *row)
{
    return !strncmp(row->key, "step/", 5);
}

static int by_change(const void *a, const void *b)
{
    const struct ab_history_row *p = a, *q = b;
    const double x = fabs(log(ab_history_change(p))), y = fabs(log(ab_history_change(q)));
    return is_step(p) != is_step(q) ? is_step(p) - is_step(q) : (x < y) - (x > y);
}

/* New reference; NULL: out of memory. */
static json_t *series_json(const struct ab_history_row *row)
{
    json_t *at = json_array(), *ns = json_array(), *breaks = json_array(), *levels = json_array();
    for (int i = 0; i < row->count; i++) {
        json_array_append_new(at, json_integer(row->runs[i]));
        json_array_append_new(ns, json_real(row->ns[i]));
    }
    for (int i = 0; i < row->n_breaks; i++)
        json_array_append_new(breaks, json_integer(row->breaks[i]));
    for (int i = 0; i <= row->n_breaks; i++)
        json_array_append_new(levels, json_real(row->levels[i]));
    char kind[32];
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(row->key, "/"), row->key);
    json_t *series = json_pack("{s:s,s:s,s:o,s:o,s:o,s:o}", "key", row->key, "kind", kind, "at", at,
                               "ns", ns, "breaks", breaks, "levels", levels);
    if (series && row->n_breaks)
        json_object_set_new(series, "change", json_real(ab_history_change(row)));
    return series;
}

static json_t *runs_json(const struct ab_history *h)
{
    json_t *runs = json_array();
    for (int i = 0; i < h->n_runs; i++)
        json_array_append_new(
            runs, json_pack("{s:s,s:s,s:s,s:b}", "name", h->runs[i].name, "date",
                            h->runs[i].started, "revision", h->runs[i].revision, "other",
                            strcmp(h->runs[i].fingerprint, h->runs[h->n_runs - 1].fingerprint)));
    return runs;
}

/* Adds what is worth telling. */
static enum ab_status put_history(struct ab_report *report, const char *name, struct ab_history *h,
                                  struct ab_error *err)
{
    if (h->n_runs < LEAST_RUNS) return AB_OK;
    json_t *series = json_array();
    qsort(h->rows, (size_t)h->n_rows, sizeof *h->rows, by_change);
    for (int i = 0; i < h->n_rows && json_array_size(series) < MOST_SERIES; i++)
        if (h->rows[i].count >= LEAST_RUNS) json_array_append_new(series, series_json(&h->rows[i]));
    const bool any = json_array_size(series) > 0;
    json_t *history =
        json_pack("{s:s,s:i,s:i,s:s,s:o,s:o}", "name", name, "others", h->others, "crossed",
                  h->crossed, "differs", h->differs, "runs", runs_json(h), "series", series);
    if (history && (!any || json_array_append(report->histories, history) == 0)) {
        json_decref(history);
        return AB_OK;
    }
    return ab_fail(err, AB_ERR_MEMORY, "history: out of memory; report fewer runs");
}

/* ---- runs of files ---- */

struct point {
    const char *key;
    int run;
    double ns;
};

static int by_key(const void *a, const void *b)
{
    const struct point *p = a, *q = b;
    const int order = strcmp(p->key, q->key);
    return order ? order : p->run - q->run;
}

static int by_date(const void *a, const void *b)
{
    const struct ab_report_input *const *x = a, *const *y = b;
    return strcmp(ab_report_text((*x)->context, "date"), ab_report_text((*y)->context, "date"));
}

/* Files that were measured under the same conditions as the newest, with `cross` all, by date.
 * `files` has room for all; returns how many. */
static int choose_files(const struct ab_report *report, bool cross,
                        const struct ab_report_input **files, struct ab_history *h)
{
    int count = 0, kept = 0;
    for (int i = 0; i < report->n_inputs; i++)
        if (!report->inputs[i].id) files[count++] = &report->inputs[i];
    if (!count) return 0;
    qsort(files, (size_t)count, sizeof *files, by_date);
    const struct ab_report_input *newest = files[count - 1];
    char wanted[32], mine[32];
    ab_fingerprint(newest->context, wanted);
    for (int i = 0; i < count; i++) {
        ab_fingerprint(files[i]->context, mine);
        const bool alike = !strcmp(mine, wanted);
        if (alike || cross) files[kept++] = files[i];
        h->crossed += !alike && cross;
        if (!alike && !*h->differs)
            ab_fingerprint_differs(files[i]->context, newest->context, h->differs,
                                   sizeof h->differs);
    }
    h->differs[strcspn(h->differs, "\n")] = '\0';
    h->others = count - kept;
    return kept;
}

static void fill_run(struct ab_db_run *run, const struct ab_report_input *file)
{
    snprintf(run->name, sizeof run->name, "%.127s", file->name);
    snprintf(run->started, sizeof run->started, "%.31s", ab_report_text(file->context, "date"));
    snprintf(run->revision, sizeof run->revision, "%.63s",
             ab_report_text(json_object_get(file->context, "build"), "git_revision"));
    ab_fingerprint(file->context, run->fingerprint);
}

/* The points of all files, by key. False: out of memory. */
static bool add_points(struct ab_history *h, const struct ab_report_input **files)
{
    size_t room = 1, count = 0;
    for (int i = 0; i < h->n_runs; i++) room += (size_t)files[i]->count;
    struct point *points = malloc(room * sizeof *points);
    for (int i = 0; points && i < h->n_runs; i++)
        for (int k = 0; k < files[i]->count; k++) {
            const struct ab_db_row *row = &files[i]->rows[k];
            const double ns = ab_db_low_ns(row->ns, row->disturbed, row->count);
            if (ns > 0) points[count++] = (struct point){row->key, i, ns};
        }
    if (points) qsort(points, count, sizeof *points, by_key);
    bool good = points != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = ab_history_add(h, points[i].key, points[i].run, points[i].ns);
    free(points);
    return good;
}

static enum ab_status history_of_files(struct ab_report *report, struct ab_db *db, bool cross,
                                       struct ab_error *err)
{
    struct ab_history h = {0};
    const struct ab_report_input **files = calloc((size_t)report->n_inputs + 1, sizeof *files);
    h.runs = calloc((size_t)report->n_inputs + 1, sizeof *h.runs);
    bool good = files && h.runs;
    if (good) h.n_runs = choose_files(report, cross, files, &h);
    for (int i = 0; good && i < h.n_runs; i++) fill_run(&h.runs[i], files[i]);
    enum ab_status status = AB_OK;
    if (good && h.n_runs >= LEAST_RUNS) {
        good = add_points(&h, files);
        if (good) status = ab_history_steps(&h, db, err);
        if (good && status == AB_OK) status = put_history(report, "the given files", &h, err);
    }
    if (!good) status = ab_fail(err, AB_ERR_MEMORY, "history: out of memory; report fewer runs");
    free(files);
    ab_history_free(&h);
    return status;
}

/* ---- runs of the store ---- */

static enum ab_status history_of_name(struct ab_report *report, struct ab_db *db, const char *name,
                                      bool cross, struct ab_error *err)
{
    const struct ab_history_options options = {.name = name, .cross = cross};
    struct ab_history h;
    enum ab_status status = ab_history_read(db, &options, &h, err);
    if (status == AB_ERR_ARG) return AB_OK; /* nothing in it was timed */
    if (status != AB_OK) return status;
    status = put_history(report, name, &h, err);
    ab_history_free(&h);
    return status;
}

enum ab_status ab_report_add_histories(struct ab_report *report, struct ab_db *db, bool cross,
                                       struct ab_error *err)
{
    enum ab_status status = history_of_files(report, db, cross, err);
    for (int i = 0; status == AB_OK && i < report->n_inputs; i++) {
        const struct ab_report_input *input = &report->inputs[i];
        bool done = !input->id;
        for (int k = 0; k < i; k++) done = done || !strcmp(report->inputs[k].stored, input->stored);
        if (!done) status = history_of_name(report, db, input->stored, cross, err);
    }
    return status;
}
