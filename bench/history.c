// SPDX-License-Identifier: Apache-2.0
// Series of rows over runs, and their steps.
#include "history.h"

#include "decide.h"
#include "stats.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Smaller steps are told of by nobody: what users tolerate unless they say otherwise. */
static const double LEAST_STEP = 0.01;

void ab_history_free(struct ab_history *h)
{
    for (int i = 0; i < h->n_rows; i++) {
        free(h->rows[i].key);
        free(h->rows[i].runs);
        free(h->rows[i].ns);
        free(h->rows[i].breaks);
        free(h->rows[i].levels);
    }
    free(h->rows);
    ab_db_runs_free(h->runs, h->n_runs);
    *h = (struct ab_history){0};
}

/* ---- runs ---- */

/* Counts runs that were made under other conditions than the newest, and moves them out of the
 * list unless `cross`. */
static void part_others(struct ab_history *h, bool cross)
{
    const struct ab_db_run *newest = &h->runs[h->n_runs - 1];
    char fingerprint[sizeof newest->fingerprint];
    snprintf(fingerprint, sizeof fingerprint, "%s", newest->fingerprint);
    for (int i = 0; i < h->n_runs && !*h->differs; i++)
        if (strcmp(h->runs[i].fingerprint, fingerprint) != 0)
            ab_fingerprint_differs(h->runs[i].context, newest->context, h->differs,
                                   sizeof h->differs);
    h->differs[strcspn(h->differs, "\n")] = '\0';
    int kept = 0;
    for (int i = 0; i < h->n_runs; i++) {
        const bool alike = !strcmp(h->runs[i].fingerprint, fingerprint);
        h->crossed += !alike && cross;
        if (alike || cross)
            h->runs[kept++] = h->runs[i];
        else
            ab_db_run_free(&h->runs[i]);
    }
    h->others = h->n_runs - kept;
    h->n_runs = kept;
}

static int index_of(const struct ab_history *h, int64_t run)
{
    for (int i = 0; i < h->n_runs; i++)
        if (h->runs[i].id == run) return i;
    return -1;
}

/* ---- rows ---- */

struct reader {
    struct ab_history *h;
    const char *pattern;
};

static bool add_row(struct ab_history *h, const char *key)
{
    struct ab_history_row *grown = realloc(h->rows, ((size_t)h->n_rows + 1) * sizeof *grown);
    if (!grown) return false;
    h->rows = grown;
    struct ab_history_row *row = &grown[h->n_rows++];
    *row = (struct ab_history_row){.key = strdup(key),
                                   .runs = malloc((size_t)h->n_runs * sizeof *row->runs),
                                   .ns = malloc((size_t)h->n_runs * sizeof *row->ns),
                                   .breaks = malloc((size_t)h->n_runs * sizeof *row->breaks)};
    return row->key && row->runs && row->ns && row->breaks;
}

bool ab_history_add(struct ab_history *h, const char *key, int run, double ns)
{
    const bool new = !h->n_rows || strcmp(h->rows[h->n_rows - 1].key, key) != 0;
    if (new && !add_row(h, key)) return false;
    struct ab_history_row *row = &h->rows[h->n_rows - 1];
    row->runs[row->count] = run;
    row->ns[row->count++] = ns;
    return true;
}

static bool take_point(void *user, const char *key, int64_t run, double ns)
{
    const struct reader *r = user;
    const int at = index_of(r->h, run);
    if (at < 0 || !(ns > 0) || (r->pattern && fnmatch(r->pattern, key, 0) != 0)) return true;
    return ab_history_add(r->h, key, at, ns);
}

/* ---- steps ---- */

/* Floors are known of kinds of rows, the first part of a key, and of operations, its second. */
static double floor_of(struct ab_db *db, const struct ab_history *h, const char *key)
{
    if (!db) return (double)NAN;
    char kind[32], op[64];
    const char *fingerprint = h->runs[h->n_runs - 1].fingerprint;
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(key, "/"), key);
    const char *rest = key + strlen(kind) + (key[strlen(kind)] == '/');
    snprintf(op, sizeof op, "%.*s", (int)strcspn(rest, "/"), rest);
    return ab_db_floor_of(db, fingerprint, op, kind, true);
}

static double median(const double *ns, int count)
{
    double *sorted = malloc((size_t)count * sizeof *sorted), m = (double)NAN;
    if (sorted) {
        memcpy(sorted, ns, (size_t)count * sizeof *ns);
        ab_sort(sorted, (size_t)count);
        m = ab_quantile(sorted, count, 0.5);
    }
    free(sorted);
    return m;
}

static void set_levels(struct ab_history_row *row)
{
    for (int s = 0; s <= row->n_breaks; s++) {
        const int from = s ? row->breaks[s - 1] : 0,
                  to = s < row->n_breaks ? row->breaks[s] : row->count;
        row->levels[s] = median(row->ns + from, to - from);
    }
}

static void drop(struct ab_history_row *row, int step)
{
    row->n_breaks--;
    memmove(row->breaks + step, row->breaks + step + 1,
            (size_t)(row->n_breaks - step) * sizeof *row->breaks);
    set_levels(row);
}

/* One run that differs from those before and after it was disturbed: it goes to the level that is
 * nearer. The first and the last run may be what is left of a longer level. */
static void drop_lone(struct ab_history_row *row)
{
    for (int s = 1; s < row->n_breaks; s++) {
        if (row->breaks[s] - row->breaks[s - 1] > 1) continue;
        const double *level = row->levels + s;
        const bool as_before = fabs(log(level[0] / level[-1])) < fabs(log(level[1] / level[0]));
        drop(row, as_before ? s - 1 : s);
        s = 0;
    }
}

/* The smallest step that is below `least` goes, until none is. */
static void drop_small(struct ab_history_row *row)
{
    for (;;) {
        int smallest = -1;
        double share = row->least;
        for (int s = 0; s < row->n_breaks; s++) {
            const double step = fabs(log(row->levels[s + 1] / row->levels[s]));
            if (!(step >= share)) smallest = s, share = step;
        }
        if (smallest < 0) return;
        drop(row, smallest);
    }
}

static bool find_steps(struct ab_db *db, const struct ab_history *h, struct ab_history_row *row)
{
    const double floor = floor_of(db, h, row->key);
    row->least = fmax(LEAST_STEP, isnan(floor) ? 0 : 3 * floor);
    row->n_breaks = ab_change_points(row->ns, row->count,
                                     ab_change_penalty(row->ns, row->count, floor), row->breaks);
    if (row->n_breaks < 0) return false;
    row->levels = malloc(((size_t)row->n_breaks + 1) * sizeof *row->levels);
    if (!row->levels) return false;
    set_levels(row);
    drop_lone(row);
    drop_small(row);
    return true;
}

enum ab_status ab_history_steps(struct ab_history *h, struct ab_db *db, struct ab_error *err)
{
    for (int i = 0; i < h->n_rows; i++)
        if (!find_steps(db, h, &h->rows[i]))
            return ab_fail(err, AB_ERR_MEMORY, "out of memory for the history");
    return AB_OK;
}

enum ab_status ab_history_read(struct ab_db *db, const struct ab_history_options *o,
                               struct ab_history *h, struct ab_error *err)
{
    struct reader reader = {h, o->pattern};
    *h = (struct ab_history){0};
    enum ab_status status = ab_db_runs(db, o->name, &h->runs, &h->n_runs, err);
    if (status == AB_OK && !h->n_runs) {
        struct ab_db_run run; /* whose error names what there is */
        status = o->name ? ab_db_find(db, o->name, &run, err)
                         : ab_fail(err, AB_ERR_ARG,
                                   "the store holds no runs yet; 'attrbench run "
                                   "--save NAME' puts them in");
        if (status == AB_OK) {
            ab_db_run_free(&run);
            status = ab_fail(err, AB_ERR_ARG,
                             "'%.60s' is one run; a history is of a name, or of "
                             "all runs",
                             o->name);
        }
    }
    if (status == AB_OK) part_others(h, o->cross);
    if (status == AB_OK) status = ab_db_each_low(db, take_point, &reader, err);
    if (status == AB_OK) status = ab_history_steps(h, db, err);
    if (status == AB_OK && !h->n_rows)
        status = ab_fail(err, AB_ERR_ARG, "no row of these runs was timed%s%.80s%s",
                         o->pattern ? " whose key is like '" : "", o->pattern ? o->pattern : "",
                         o->pattern ? "'; without --row all are shown" : "");
    if (status != AB_OK) ab_history_free(h);
    return status;
}

/* ---- what is said of a row ---- */

double ab_history_change(const struct ab_history_row *row)
{
    return row->n_breaks ? row->levels[row->n_breaks] / row->levels[row->n_breaks - 1] : 1;
}

const char *ab_history_range(const struct ab_history *h, const struct ab_history_row *row, int step,
                             char *text, size_t size)
{
    const int at = row->breaks[step];
    const char *after = h->runs[row->runs[at]].revision,
               *before = h->runs[row->runs[at - 1]].revision;
    if (!strcmp(after, before))
        snprintf(text, size, "%s", after);
    else
        snprintf(text, size, "%s..%s", before, after);
    return text;
}

void ab_history_sparkline(const struct ab_history_row *row, int width, bool ascii, char *text,
                          size_t size)
{
    static const char *const blocks[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                         "\u2585", "\u2586", "\u2587", "\u2588"};
    static const char *const letters[] = {"_", ".", ",", "-", "=", "+", "*", "#"};
    const int first = row->count > width ? row->count - width : 0;
    double low = log(row->ns[first]), high = low;
    size_t used = 0;
    for (int i = first; i < row->count; i++) {
        low = fmin(low, log(row->ns[i]));
        high = fmax(high, log(row->ns[i]));
    }
    const double room = fmax(0.05 - (high - low), 0) / 2;
    low -= room, high += room;
    *text = '\0';
    for (int i = first, s = 0; i < row->count && used + 8 < size; i++) {
        while (s < row->n_breaks && row->breaks[s] < i) s++;
        const bool step = s < row->n_breaks && row->breaks[s] == i && i > first;
        const int level = (int)(7.999 * (log(row->ns[i]) - low) / (high - low));
        used += (size_t)snprintf(text + used, size - used, "%s%s", step ? "|" : "",
                                 (ascii ? letters : blocks)[level]);
    }
}

/* ---- JSON ---- */

static json_t *row_json(const struct ab_history *h, const struct ab_history_row *row)
{
    json_t *points = json_array(), *changes = json_array();
    char range[160];
    for (int i = 0; i < row->count; i++)
        json_array_append_new(points,
                              json_pack("{s:I, s:f}", "run", (json_int_t)h->runs[row->runs[i]].id,
                                        "low_ns", row->ns[i]));
    for (int s = 0; s < row->n_breaks; s++) {
        const int at = row->breaks[s];
        json_array_append_new(changes,
                              json_pack("{s:I, s:I, s:s, s:f, s:f, s:f}", "before_run",
                                        (json_int_t)h->runs[row->runs[at - 1]].id, "after_run",
                                        (json_int_t)h->runs[row->runs[at]].id, "revisions",
                                        ab_history_range(h, row, s, range, sizeof range),
                                        "before_ns", row->levels[s], "after_ns", row->levels[s + 1],
                                        "ratio", row->levels[s + 1] / row->levels[s]));
    }
    return json_pack("{s:s, s:f, s:o, s:o}", "key", row->key, "least_change", row->least, "points",
                     points, "changes", changes);
}

json_t *ab_history_json(const struct ab_history *h)
{
    json_t *runs = json_array(), *rows = json_array();
    for (int i = 0; i < h->n_runs; i++) {
        const struct ab_db_run *r = &h->runs[i];
        json_array_append_new(
            runs, json_pack("{s:I, s:s, s:s, s:s, s:s, s:b, s:i}", "id", (json_int_t)r->id, "name",
                            r->name, "started", r->started, "revision", r->revision, "fingerprint",
                            r->fingerprint, "finished", r->finished, "rows", r->rows));
    }
    for (int i = 0; i < h->n_rows; i++) json_array_append_new(rows, row_json(h, &h->rows[i]));
    if (json_array_size(runs) == (size_t)h->n_runs && json_array_size(rows) == (size_t)h->n_rows)
        return json_pack("{s:o, s:o, s:i}", "runs", runs, "rows", rows, "runs_left_out", h->others);
    json_decref(runs);
    json_decref(rows);
    return NULL;
}
