// SPDX-License-Identifier: Apache-2.0
// Results of experiments: filling them. Rendering: theory_render.c.
#include "theory_inside.h"

#include "run.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more of `size`; NULL, and the result is no longer whole, when memory runs out. */
static void *grow(struct ab_result *r, void *items, int count, size_t size)
{
    if (count & (count - 1)) return items; /* capacity: the next power of two */
    void *grown = realloc(items, (size_t)(count ? 2 * count : 1) * size);
    if (!grown) r->failed = true;
    return grown;
}

static char *copy(struct ab_result *r, const char *text)
{
    char *c = strdup(text);
    if (!c) r->failed = true;
    return c;
}

static char *print(struct ab_result *r, const char *format, va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    return copy(r, text);
}

struct ab_result *ab_result_new(const struct ab_experiment *experiment)
{
    struct ab_result *r = calloc(1, sizeof *r);
    if (r) r->experiment = experiment;
    return r;
}

static void free_table(struct ab_table *t)
{
    for (int i = 0; i < t->n_rows; i++) {
        free(t->rows[i].label);
        free(t->rows[i].values);
        free(t->rows[i].why);
    }
    for (int i = 0; i < t->n_columns; i++) free(t->columns[i]);
    free(t->columns);
    free(t->rows);
    free(t->id);
    free(t->title);
    free(t->first);
    free(t);
}

void ab_result_free(struct ab_result **result)
{
    struct ab_result *r = *result;
    if (!r) return;
    for (int i = 0; i < r->n_tables; i++) free_table(r->tables[i]);
    for (int i = 0; i < r->n_plots; i++) {
        free(r->plots[i].id);
        ab_plot_free(&r->plots[i].plot);
    }
    for (int i = 0; i < r->n_notes; i++) free(r->notes[i]);
    for (int i = 0; i < r->n_verdicts; i++) {
        free(r->verdicts[i].prediction);
        free(r->verdicts[i].effect);
    }
    free(r->tables);
    free(r->plots);
    free(r->notes);
    free(r->verdicts);
    free(r);
    *result = NULL;
}

bool ab_result_finished(const struct ab_result *r)
{
    return r->n_verdicts > 0;
}

bool ab_result_whole(const struct ab_result *r)
{
    return !r->failed;
}

bool ab_result_contradicted(const struct ab_result *r)
{
    for (int i = 0; i < r->n_verdicts; i++)
        if (r->verdicts[i].claim == AB_CLAIM_EXACT && !r->verdicts[i].shown) return true;
    return false;
}

bool ab_result_progress(struct ab_result *r, double done, const char *format, ...)
{
    char what[200];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (r->done + done > 1) done = 1 - r->done;
    r->done += done;
    ab_progress_step(done * r->experiment->seconds, "%s: %s", r->experiment->name, what);
    return !ab_interrupted;
}

/* ---- tables ---- */

static void split_columns(struct ab_result *r, struct ab_table *t, const char *columns)
{
    while (!r->failed) {
        const size_t length = strcspn(columns, "|");
        char **grown = grow(r, t->columns, t->n_columns, sizeof *grown);
        if (!grown) return;
        t->columns = grown;
        t->columns[t->n_columns] = strndup(columns, length);
        if (!t->columns[t->n_columns++]) r->failed = true;
        if (!columns[length]) return;
        columns += length + 1;
    }
}

struct ab_table *ab_result_table(struct ab_result *r, const char *id, const char *title,
                                 const char *first, const char *columns)
{
    struct ab_table **tables = grow(r, r->tables, r->n_tables, sizeof *tables);
    struct ab_table *t = calloc(1, sizeof *t);
    if (tables) r->tables = tables;
    if (!tables || !t) {
        r->failed = true;
        free(t);
        return NULL;
    }
    r->tables[r->n_tables++] = t;
    t->result = r;
    t->id = copy(r, id);
    t->title = copy(r, title);
    t->first = copy(r, first);
    split_columns(r, t, columns);
    return t;
}

void ab_table_row(struct ab_table *t, const char *label, const double *values, int digits,
                  const char *why)
{
    if (!t || t->result->failed) return;
    struct ab_result *r = t->result;
    struct ab_table_row *rows = grow(r, t->rows, t->n_rows, sizeof *rows);
    if (!rows) return;
    t->rows = rows;
    struct ab_table_row *row = &t->rows[t->n_rows++];
    *row = (struct ab_table_row){.label = copy(r, label),
                                 .digits = digits,
                                 .values = malloc((size_t)t->n_columns * sizeof *row->values),
                                 .why = copy(r, why ? why : "not defined here")};
    if (row->values)
        memcpy(row->values, values, (size_t)t->n_columns * sizeof *values);
    else
        r->failed = true;
}

/* ---- plots, notes, verdicts ---- */

struct ab_plot *ab_result_plot(struct ab_result *r, const char *id, const char *title)
{
    struct ab_result_plot *plots = grow(r, r->plots, r->n_plots, sizeof *plots);
    if (!plots) return NULL;
    r->plots = plots;
    struct ab_plot *plot = ab_plot_new(title);
    if (!plot) r->failed = true;
    if (plot) r->plots[r->n_plots++] = (struct ab_result_plot){copy(r, id), plot};
    return plot;
}

void ab_result_note(struct ab_result *r, const char *format, ...)
{
    char **notes = grow(r, r->notes, r->n_notes, sizeof *notes);
    if (!notes) return;
    r->notes = notes;
    va_list args;
    va_start(args, format);
    r->notes[r->n_notes++] = print(r, format, args);
    va_end(args);
}

void ab_result_verdict(struct ab_result *r, enum ab_claim claim, bool shown, const char *effect,
                       double size, const char *format, ...)
{
    struct ab_verdict_line *verdicts = grow(r, r->verdicts, r->n_verdicts, sizeof *verdicts);
    if (!verdicts) return;
    r->verdicts = verdicts;
    va_list args;
    va_start(args, format);
    r->verdicts[r->n_verdicts++] =
        (struct ab_verdict_line){claim, shown, copy(r, effect), size, print(r, format, args)};
    va_end(args);
}
