// SPDX-License-Identifier: Apache-2.0
// Results as text, as JSON and as files.
#include "theory_inside.h"

#include <math.h>
#include <string.h>

/* ---- text ---- */

static int number(char *text, size_t size, double value, int digits)
{
    if (!isfinite(value)) return snprintf(text, size, "-");
    if (digits < 0) return snprintf(text, size, "%.*g", -digits, value);
    return snprintf(text, size, "%.*f", digits, value);
}

static int widest_label(const struct ab_table *t)
{
    size_t width = strlen(t->first);
    for (int i = 0; i < t->n_rows; i++)
        if (strlen(t->rows[i].label) > width) width = strlen(t->rows[i].label);
    return (int)width;
}

static int widest_value(const struct ab_table *t, int column)
{
    char text[64];
    int width = (int)strlen(t->columns[column]);
    for (int i = 0; i < t->n_rows; i++) {
        const int length = number(text, sizeof text, t->rows[i].values[column], t->rows[i].digits);
        if (length > width) width = length;
    }
    return width;
}

static void print_reasons(FILE *f, const struct ab_table *t)
{
    for (int i = 0; i < t->n_rows; i++)
        for (int c = 0; c < t->n_columns; c++) {
            if (isfinite(t->rows[i].values[c])) continue;
            fprintf(f, "  - at %s: %s\n", t->rows[i].label, t->rows[i].why);
            break;
        }
}

static void print_table(FILE *f, const struct ab_table *t)
{
    char text[64];
    const int label = widest_label(t);
    fprintf(f, "\n%s\n  %-*s", t->title, label, t->first);
    for (int c = 0; c < t->n_columns; c++) fprintf(f, "  %*s", widest_value(t, c), t->columns[c]);
    fputc('\n', f);
    for (int i = 0; i < t->n_rows; i++) {
        fprintf(f, "  %-*s", label, t->rows[i].label);
        for (int c = 0; c < t->n_columns; c++) {
            number(text, sizeof text, t->rows[i].values[c], t->rows[i].digits);
            fprintf(f, "  %*s", widest_value(t, c), text);
        }
        fputc('\n', f);
    }
    print_reasons(f, t);
}

void ab_result_print_verdicts(FILE *f, const struct ab_result *r)
{
    for (int i = 0; i < r->n_verdicts; i++) {
        const struct ab_verdict_line *v = &r->verdicts[i];
        char size[64];
        number(size, sizeof size, v->size, -3);
        fprintf(f, "verdict: %s: theory: %s; this run %s (%s: %s)\n", r->experiment->name,
                v->prediction, v->shown ? "shows it" : "does NOT show it", v->effect, size);
    }
}

void ab_result_print(FILE *f, const struct ab_result *r)
{
    fprintf(f, "\n== %s: %s\n", r->experiment->name, r->experiment->question);
    for (int i = 0; i < r->n_tables; i++) print_table(f, r->tables[i]);
    if (r->n_notes) fputc('\n', f);
    for (int i = 0; i < r->n_notes; i++) fprintf(f, "note: %s\n", r->notes[i]);
    fputc('\n', f);
    ab_result_print_verdicts(f, r);
}

/* ---- JSON: strict, so what is not finite becomes null beside its reason ---- */

static json_t *strict_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *row_json(const struct ab_table *t, const struct ab_table_row *row)
{
    json_t *values = json_object(), *object = json_object();
    bool missing = false;
    for (int c = 0; c < t->n_columns; c++) {
        json_object_set_new(values, t->columns[c], strict_real(row->values[c]));
        missing = missing || !isfinite(row->values[c]);
    }
    json_object_set_new(object, t->first, json_string(row->label));
    json_object_set_new(object, "values", values);
    if (missing) json_object_set_new(object, "null_reason", json_string(row->why));
    return object;
}

static json_t *table_json(const struct ab_table *t)
{
    json_t *object = json_object(), *rows = json_array(), *columns = json_array();
    for (int c = 0; c < t->n_columns; c++)
        json_array_append_new(columns, json_string(t->columns[c]));
    for (int i = 0; i < t->n_rows; i++) json_array_append_new(rows, row_json(t, &t->rows[i]));
    json_object_set_new(object, "id", json_string(t->id));
    json_object_set_new(object, "title", json_string(t->title));
    json_object_set_new(object, "columns", columns);
    json_object_set_new(object, "rows", rows);
    return object;
}

static json_t *point_json(const struct ab_plot *p, const struct ab_plot_value *v)
{
    json_t *point = json_object();
    const char *tick = ab_plot_tick_name(p, (int)lround(v->x));
    json_object_set_new(point, "x", tick ? json_string(tick) : strict_real(v->x));
    json_object_set_new(point, "y", strict_real(v->y));
    if (!isfinite(v->y)) json_object_set_new(point, "null_reason", json_string("not defined here"));
    if (!isfinite(v->low) || !isfinite(v->high)) return point;
    json_object_set_new(point, "low", json_real(v->low));
    json_object_set_new(point, "high", json_real(v->high));
    return point;
}

static json_t *plot_json(const char *id, const struct ab_plot *p)
{
    json_t *object = json_object(), *list = json_array();
    for (int s = 0; s < ab_plot_series_count(p); s++) {
        json_t *series = json_object(), *points = json_array();
        int count;
        const struct ab_plot_value *values = ab_plot_values(p, s, &count);
        for (int i = 0; i < count; i++) json_array_append_new(points, point_json(p, &values[i]));
        json_object_set_new(series, "name", json_string(ab_plot_series_name(p, s)));
        json_object_set_new(series, "points", points);
        json_array_append_new(list, series);
    }
    json_object_set_new(object, "id", json_string(id));
    json_object_set_new(object, "title", json_string(ab_plot_title(p)));
    json_object_set_new(object, "x", json_string(ab_plot_axis_title(p, AB_AXIS_X)));
    json_object_set_new(object, "y", json_string(ab_plot_axis_title(p, AB_AXIS_Y)));
    json_object_set_new(object, "series", list);
    return object;
}

static json_t *verdict_json(const struct ab_verdict_line *v)
{
    json_t *effect = json_object(), *object = json_object();
    json_object_set_new(effect, "name", json_string(v->effect));
    json_object_set_new(effect, "value", strict_real(v->size));
    if (!isfinite(v->size))
        json_object_set_new(effect, "null_reason", json_string("not defined here"));
    json_object_set_new(object, "claim",
                        json_string(v->claim == AB_CLAIM_EXACT ? "exact" : "expected"));
    json_object_set_new(object, "prediction", json_string(v->prediction));
    json_object_set_new(object, "shown", json_boolean(v->shown));
    json_object_set_new(object, "effect", effect);
    return object;
}

json_t *ab_result_json(const struct ab_result *r)
{
    json_t *object = json_object(), *tables = json_array(), *plots = json_array();
    json_t *notes = json_array(), *verdicts = json_array();
    for (int i = 0; i < r->n_tables; i++) json_array_append_new(tables, table_json(r->tables[i]));
    for (int i = 0; i < r->n_plots; i++)
        json_array_append_new(plots, plot_json(r->plots[i].id, r->plots[i].plot));
    for (int i = 0; i < r->n_notes; i++) json_array_append_new(notes, json_string(r->notes[i]));
    for (int i = 0; i < r->n_verdicts; i++)
        json_array_append_new(verdicts, verdict_json(&r->verdicts[i]));
    json_object_set_new(object, "experiment", json_string(r->experiment->name));
    json_object_set_new(object, "question", json_string(r->experiment->question));
    json_object_set_new(object, "tables", tables);
    json_object_set_new(object, "plots", plots);
    json_object_set_new(object, "notes", notes);
    json_object_set_new(object, "verdicts", verdicts);
    return object;
}

enum ab_status ab_result_write_plots(const struct ab_result *r, const char *folder,
                                     struct ab_error *err)
{
    enum ab_status status = AB_OK;
    for (int i = 0; i < r->n_plots && status == AB_OK; i++) {
        char path[1300];
        snprintf(path, sizeof path, "%s/%s-%s.svg", folder, r->experiment->name, r->plots[i].id);
        status = ab_plot_write(r->plots[i].plot, path, err);
    }
    return status;
}
