// SPDX-License-Identifier: Apache-2.0
// report.csv: every row with every field (RFC 4180), for spreadsheets and scripts.
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

enum ab_status ab_report_write_csv(const struct ab_report *report, const char *path,
                                   struct ab_error *err)
{
    struct ab_outfile out;
    const enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    print_rows(out.stream, report);
    return ab_outfile_close(&out, status, err);
}
