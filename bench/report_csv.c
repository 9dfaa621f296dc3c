// SPDX-License-Identifier: Apache-2.0
// report.csv: every row with every field, and deployment.csv: every point of what attrbench tune
// found (RFC 4180), for spreadsheets and scripts.
#include "report.h"

#include "base/outfile.h"

#include <string.h>

/* A spreadsheet takes a text that begins so for a formula, and runs it. */
static bool looks_like_formula(const char *text)
{
    return *text && strchr("=+-@\t\r", *text);
}

static void print_text(FILE *f, const char *text)
{
    const bool formula = looks_like_formula(text);
    if (!formula && !strpbrk(text, ",\"\r\n")) {
        fputs(text, f);
        return;
    }
    fputs(formula ? "\"'" : "\"", f);
    for (; *text; text++) {
        if (*text == '"') fputc('"', f);
        fputc(*text, f);
    }
    fputc('"', f);
}

static void print_value(FILE *f, const json_t *value)
{
    if (json_is_string(value))
        print_text(f, json_string_value(value));
    else if (json_is_integer(value))
        fprintf(f, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        fprintf(f, "%.17g", json_real_value(value));
    else if (json_is_boolean(value))
        fputs(json_is_true(value) ? "true" : "false", f);
}

static void print_rows(FILE *f, const struct ab_report *report)
{
    int count;
    const struct ab_report_field *fields = ab_report_fields(&count);
    fputs("run,date,revision", f);
    for (int i = 0; i < count; i++) fprintf(f, ",%s", fields[i].name);
    fputs("\r\n", f);
    for (size_t r = 0; r < json_array_size(report->rows); r++) {
        const json_t *row = json_array_get(report->rows, r);
        const json_t *run =
            json_array_get(report->runs, (size_t)json_integer_value(json_object_get(row, "run")));
        print_text(f, ab_report_text(run, "name"));
        fputc(',', f);
        print_text(f, ab_report_text(run, "date"));
        fputc(',', f);
        print_text(f, ab_report_text(run, "revision"));
        for (int i = 0; i < count; i++) {
            fputc(',', f);
            print_value(f, json_object_get(row, fields[i].name));
        }
        fputs("\r\n", f);
    }
}

/* ---- deployments ---- */

static const struct {
    const char *head, *in[3]; /* where it stands in a point */
} columns[] = {{"configuration", {"text"}},
               {"backend", {"deploy", "backend"}},
               {"algo", {"deploy", "algo"}},
               {"memory", {"deploy", "memory"}},
               {"pages", {"deploy", "pages"}},
               {"denormals", {"deploy", "denormals"}},
               {"place", {"deploy", "place"}},
               {"threads", {"deploy", "threads"}},
               {"instances", {"deploy", "instances"}},
               {"batch", {"deploy", "batch"}},
               {"visits", {"visits"}},
               {"images_per_s", {"images_per_s", "value"}},
               {"images_per_s_low", {"images_per_s", "low"}},
               {"images_per_s_high", {"images_per_s", "high"}},
               {"p50_ns", {"latency_ns", "p50", "value"}},
               {"p50_low_ns", {"latency_ns", "p50", "low"}},
               {"p50_high_ns", {"latency_ns", "p50", "high"}},
               {"p90_ns", {"latency_ns", "p90", "value"}},
               {"p90_low_ns", {"latency_ns", "p90", "low"}},
               {"p90_high_ns", {"latency_ns", "p90", "high"}},
               {"p99_ns", {"latency_ns", "p99", "value"}},
               {"p99_low_ns", {"latency_ns", "p99", "low"}},
               {"p99_high_ns", {"latency_ns", "p99", "high"}},
               {"requests", {"latency_ns", "requests"}},
               {"resident_bytes", {"resident_bytes"}},
               {"peak_bytes", {"peak_bytes"}},
               {"planned_bytes", {"planned_bytes"}},
               {"start_ns", {"start_ns"}},
               {"verdict", {"verdict"}},
               {"rel_l2", {"rel_l2"}},
               {"max_err", {"max_err"}},
               {"front", {"front"}},
               {"alike", {"alike"}},
               {"overloaded", {"overloaded"}},
               {"dropped", {"dropped"}},
               {"error", {"error"}}};

enum { COLUMNS = sizeof columns / sizeof *columns };

static void print_point(FILE *f, const json_t *deployment, const json_t *point)
{
    print_text(f, ab_report_text(deployment, "name"));
    fputc(',', f);
    print_text(f, ab_report_text(deployment, "model"));
    fputc(',', f);
    print_text(f, ab_report_text(deployment, "method"));
    fputs(point == ab_report_recommended(deployment) ? ",true" : ",false", f);
    for (int i = 0; i < COLUMNS; i++) {
        const json_t *value = point;
        for (int k = 0; k < 3 && columns[i].in[k]; k++)
            value = json_object_get(value, columns[i].in[k]);
        fputc(',', f);
        print_value(f, value);
    }
    fputs("\r\n", f);
}

enum ab_status ab_report_write_points(const struct ab_report *report, const char *path,
                                      struct ab_error *err)
{
    struct ab_outfile out;
    const enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    fputs("deployment,model,method,recommended", out.stream);
    for (int i = 0; i < COLUMNS; i++) fprintf(out.stream, ",%s", columns[i].head);
    fputs("\r\n", out.stream);
    for (size_t d = 0; d < json_array_size(report->deployments); d++) {
        const json_t *deployment = json_array_get(report->deployments, d);
        const json_t *points = json_object_get(deployment, "points");
        for (size_t i = 0; i < json_array_size(points); i++)
            print_point(out.stream, deployment, json_array_get(points, i));
    }
    return ab_outfile_close(&out, status, err);
}

/* ---- rows ---- */

enum ab_status ab_report_write_csv(const struct ab_report *report, const char *path,
                                   struct ab_error *err)
{
    struct ab_outfile out;
    const enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    print_rows(out.stream, report);
    return ab_outfile_close(&out, status, err);
}
