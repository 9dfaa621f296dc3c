// SPDX-License-Identifier: Apache-2.0
// report.md: the summary for a commit, a mail, a wiki.
#include "report.h"
#include "run.h"

#include "base/outfile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_ROWS = 200,  /* of a table; report.csv has all */
    MAX_CHANGES = 60 /* of what changed between runs; report.html has more */
};

void ab_report_print_cell(FILE *f, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", f);
        else if (*text == '>')
            fputs("&gt;", f);
        else if (*text == '&')
            fputs("&amp;", f);
        else if (strchr("|\\`*_[]#", *text))
            fprintf(f, "\\%c", *text);
        else
            fputc((unsigned char)*text < ' ' ? ' ' : *text, f);
    }
}

static void text_cell(FILE *f, const json_t *row, const char *key)
{
    fputs(" ", f);
    ab_report_print_cell(f, ab_report_text(row, key));
    fputs(" |", f);
}

static void number_cell(FILE *f, double v, const char *format, double scale)
{
    fputc(' ', f);
    if (isfinite(v))
        fprintf(f, format, v * scale);
    else
        fputs("-", f);
    fputs(" |", f);
}

static void time_cell(FILE *f, const json_t *row, const char *key)
{
    char text[32];
    const double ns = ab_report_number(row, key);
    fprintf(f, " %s |", isfinite(ns) ? ab_time_text(ns, text, sizeof text) : "-");
}

static bool is_kind(const json_t *row, const char *kind)
{
    return !strcmp(ab_report_text(row, "kind"), kind);
}

static bool disagrees(const json_t *row)
{
    return !strcmp(ab_report_text(row, "verdict"), "disagree");
}

/* ---- sections ---- */

static void print_runs(FILE *f, const struct ab_report *report)
{
    if (!json_array_size(report->runs)) return;
    fputs("\n| run | date | revision | CPU |\n|---|---|---|---|\n", f);
    for (size_t i = 0; i < json_array_size(report->runs); i++) {
        const json_t *run = json_array_get(report->runs, i);
        fputs("|", f);
        text_cell(f, run, "name");
        text_cell(f, run, "date");
        text_cell(f, run, "revision");
        text_cell(f, run, "cpu");
        fputs(json_is_true(json_object_get(run, "interrupted")) ? " (interrupted)\n" : "\n", f);
    }
}

/* Geometric mean of the speed-ups of hand-written rows that may be shown. */
static double mean_ratio(const struct ab_report *report, const char *kind, json_int_t run,
                         int *count)
{
    double sum = 0;
    *count = 0;
    for (size_t i = 0; i < json_array_size(report->rows); i++) {
        const json_t *row = json_array_get(report->rows, i);
        const double ratio = ab_report_number(row, "ratio");
        const json_t *picked = json_object_get(row, "picked");
        if (!is_kind(row, kind) || json_integer_value(json_object_get(row, "run")) != run ||
            strncmp(ab_report_text(row, "backend"), "native", 6) != 0 || disagrees(row) ||
            !(ratio > 0) || (picked && !json_is_true(picked)))
            continue;
        sum += log(ratio);
        ++*count;
    }
    return *count ? exp(sum / *count) : (double)NAN;
}

static void print_summary(FILE *f, const struct ab_report *report)
{
    int judged = 0, agreed = 0;
    for (size_t i = 0; i < json_array_size(report->rows); i++) {
        const json_t *row = json_array_get(report->rows, i);
        const bool agrees = !strcmp(ab_report_text(row, "verdict"), "agree");
        agreed += agrees;
        judged += agrees || disagrees(row);
    }
    if (!json_array_size(report->rows)) return;
    fprintf(f, "\n%d of %d judged results agree with the reference.\n", agreed, judged);
    for (size_t i = 0; i < json_array_size(report->runs); i++) {
        static const char *const kinds[][2] = {{"method", "methods"}, {"kernel", "picked kernels"}};
        for (int k = 0; k < 2; k++) {
            int count;
            const double mean = mean_ratio(report, kinds[k][0], (json_int_t)i, &count);
            if (!count) continue;
            fputs("\n", f);
            ab_report_print_cell(f, ab_report_text(json_array_get(report->runs, i), "name"));
            fprintf(f, ": speed-up against oneDNN %.2f (geometric mean of %d %s)\n", mean, count,
                    kinds[k][1]);
        }
    }
}

static void print_problems(FILE *f, const struct ab_report *report)
{
    int shown = 0;
    for (size_t i = 0; i < json_array_size(report->rows); i++) {
        const json_t *row = json_array_get(report->rows, i);
        const char *error = ab_report_text(row, "error");
        if (!*error && !disagrees(row)) continue;
        if (!shown++) fputs("\n## To look at\n\n", f);
        if (shown > MAX_ROWS) continue;
        fputs("- ", f);
        ab_report_print_cell(f, ab_report_text(row, "model"));
        fputs(" ", f);
        ab_report_print_cell(f, *ab_report_text(row, "method") ? ab_report_text(row, "method")
                                                               : ab_report_text(row, "shape"));
        fputs(", ", f);
        ab_report_print_cell(f, ab_report_text(row, "backend"));
        fputs(*error ? ": not measured: " : ": disagrees: ", f);
        ab_report_print_cell(f, *error ? error : ab_report_text(row, "verdict_reason"));
        fputs("\n", f);
    }
    if (shown > MAX_ROWS) fprintf(f, "- and %d more: see report.csv\n", shown - MAX_ROWS);
}

static void print_method(FILE *f, const json_t *row)
{
    fputs("|", f);
    text_cell(f, row, "model");
    text_cell(f, row, "method");
    text_cell(f, row, "backend");
    number_cell(f, ab_report_number(row, "threads"), "%.0f", 1);
    number_cell(f, ab_report_number(row, "batch"), "%.0f", 1);
    time_cell(f, row, "ns_median");
    time_cell(f, row, "ns_p10");
    time_cell(f, row, "ns_p90");
    number_cell(f, ab_report_number(row, "gflops"), "%.1f", 1);
    number_cell(f, disagrees(row) ? (double)NAN : ab_report_number(row, "ratio"), "%.2f", 1);
    number_cell(f, ab_report_number(row, "rel_l2"), "%.1e", 1);
    text_cell(f, row, "verdict");
    fputs("\n", f);
}

static void print_joint(FILE *f, const json_t *row)
{
    fputs("|", f);
    text_cell(f, row, "model");
    text_cell(f, row, "backend");
    number_cell(f, ab_report_number(row, "threads"), "%.0f", 1);
    number_cell(f, ab_report_number(row, "n_methods"), "%.0f", 1);
    time_cell(f, row, "ns_median");
    time_cell(f, row, "sum_single_ns");
    number_cell(f, ab_report_number(row, "joint_ratio"), "%.2f", 1);
    fputs("\n", f);
}

static void print_kernel(FILE *f, const json_t *row)
{
    fputs("|", f);
    text_cell(f, row, "shape");
    text_cell(f, row, "op");
    text_cell(f, row, "kernels");
    time_cell(f, row, "ns_min");
    number_cell(f, ab_report_number(row, "gflops_best"), "%.1f", 1);
    number_cell(f, ab_report_number(row, "peak_share_best"), "%.0f %%", 100);
    number_cell(f, disagrees(row) ? (double)NAN : ab_report_number(row, "ratio"), "%.2f", 1);
    number_cell(f, ab_report_number(row, "rel_l2"), "%.1e", 1);
    fputs("\n", f);
}

static const struct {
    const char *kind, *title, *head;
    void (*print)(FILE *f, const json_t *row);
} tables[] = {
    {"method", "Methods",
     "| model | method | backend | threads | batch | median | p10 | p90 | GFLOP/s | speed-up | rel "
     "L2 | verdict |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n",
     print_method},
    {"joint", "All methods in one plan",
     "| model | backend | threads | methods | together | one by one | ratio |\n"
     "|---|---|--:|--:|--:|--:|--:|\n",
     print_joint},
    {"kernel", "Kernels that attrbench picks",
     "| shape | operation | kernel | least time | GFLOP/s | of peak | speed-up | rel L2 |\n"
     "|---|---|---|--:|--:|--:|--:|--:|\n",
     print_kernel},
};

static void print_table(FILE *f, const struct ab_report *report, size_t t)
{
    int shown = 0;
    for (size_t i = 0; i < json_array_size(report->rows); i++) {
        const json_t *row = json_array_get(report->rows, i);
        const json_t *picked = json_object_get(row, "picked");
        if (!is_kind(row, tables[t].kind) || (picked && !json_is_true(picked))) continue;
        if (!shown++) fprintf(f, "\n## %s\n\n%s", tables[t].title, tables[t].head);
        if (shown <= MAX_ROWS) tables[t].print(f, row);
    }
    if (shown > MAX_ROWS) fprintf(f, "\n%d more are in report.csv.\n", shown - MAX_ROWS);
}

/* ---- runs against one another ---- */

/* "+3.1 %" of a ratio. */
static void change_cell(FILE *f, double ratio)
{
    if (isfinite(ratio))
        fprintf(f, " %+.1f %% |", 100 * (ratio - 1));
    else
        fputs(" - |", f);
}

static void print_compared(FILE *f, const json_t *row)
{
    fputs("|", f);
    text_cell(f, row, "key");
    text_cell(f, row, "change");
    change_cell(f, ab_report_number(row, "ratio"));
    change_cell(f, ab_report_number(row, "low"));
    change_cell(f, ab_report_number(row, "high"));
    time_cell(f, row, "a_ns");
    time_cell(f, row, "b_ns");
    text_cell(f, row, "why");
    fputs("\n", f);
}

static void print_comparison(FILE *f, const struct ab_report *report)
{
    const json_t *comparison = json_object_get(report->doc, "comparison");
    const json_t *rows = json_object_get(comparison, "rows");
    const json_t *classes = json_object_get(comparison, "classes");
    if (!comparison) return;
    fputs("\n## ", f);
    ab_report_print_cell(f, ab_report_text(comparison, "b"));
    fputs(" against ", f);
    ab_report_print_cell(f, ab_report_text(comparison, "a"));
    fputs("\n\n| class | rows | geometric mean |\n|---|--:|--:|\n", f);
    for (size_t i = 0; i < json_array_size(classes); i++) {
        const json_t *class = json_array_get(classes, i);
        fputs("|", f);
        text_cell(f, class, "name");
        number_cell(f, ab_report_number(class, "rows"), "%.0f", 1);
        change_cell(f, ab_report_number(class, "ratio"));
        fputs("\n", f);
    }
    int shown = 0, few = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const bool undecided = !strcmp(ab_report_text(row, "change"), "inconclusive");
        if (!strcmp(ab_report_text(row, "change"), "same")) continue;
        if (undecided && !isfinite(ab_report_number(row, "low"))) {
            few++;
            continue;
        }
        if (!shown++)
            fputs("\n| row | verdict | change | from | to | A | B | why |\n"
                  "|---|---|--:|--:|--:|--:|--:|---|\n",
                  f);
        if (shown <= MAX_CHANGES) print_compared(f, row);
    }
    if (shown > MAX_CHANGES) fprintf(f, "\n%d more are in report.html.\n", shown - MAX_CHANGES);
    if (few) fprintf(f, "\n%d rows have too few samples to be judged.\n", few);
}

/* Which runs were measured otherwise than the newest, and whether they are here. */
static void print_conditions(FILE *f, const json_t *history)
{
    static const char *const kinds[][2] = {{"crossed", "measured"},
                                           {"others", "left out: measured"}};
    for (int i = 0; i < 2; i++) {
        const json_int_t count = json_integer_value(json_object_get(history, kinds[i][0]));
        if (count < 1) continue;
        fprintf(f, "\n%d run%s %s under other conditions than the newest (", (int)count,
                count == 1 ? " was" : "s were", kinds[i][1]);
        ab_report_print_cell(f, ab_report_text(history, "differs"));
        fputs(").\n", f);
    }
}

/* The rows that stepped, those that did most first. */
static void print_history(FILE *f, const json_t *history)
{
    const json_t *runs = json_object_get(history, "runs");
    const json_t *series = json_object_get(history, "series");
    int shown = 0;
    fputs("\n## History of ", f);
    ab_report_print_cell(f, ab_report_text(history, "name"));
    fprintf(f, "\n\n%zu runs, %zu rows.\n", json_array_size(runs), json_array_size(series));
    print_conditions(f, history);
    for (size_t i = 0; i < json_array_size(series); i++) {
        const json_t *row = json_array_get(series, i);
        const json_t *breaks = json_object_get(row, "breaks"), *at = json_object_get(row, "at");
        const size_t n = json_array_size(breaks);
        if (!n || shown++ >= MAX_CHANGES) continue;
        const json_int_t to = json_integer_value(json_array_get(breaks, n - 1));
        const json_int_t run = json_integer_value(json_array_get(at, (size_t)to));
        if (shown == 1) fputs("\n| row | last step | at revision | of |\n|---|--:|---|---|\n", f);
        fputs("|", f);
        text_cell(f, row, "key");
        change_cell(f, ab_report_number(row, "change"));
        text_cell(f, json_array_get(runs, (size_t)run), "revision");
        text_cell(f, json_array_get(runs, (size_t)run), "date");
        fputs("\n", f);
    }
    if (!shown) fputs("\nNo row stepped.\n", f);
}

static void print_all(FILE *f, const struct ab_report *report)
{
    fputs("# ", f);
    ab_report_print_cell(f, ab_report_text(report->doc, "title"));
    fputs("\n", f);
    print_runs(f, report);
    print_summary(f, report);
    print_problems(f, report);
    ab_report_print_deployments(f, report);
    print_comparison(f, report);
    for (size_t i = 0; i < json_array_size(report->histories); i++)
        print_history(f, json_array_get(report->histories, i));
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) print_table(f, report, t);
    fprintf(f, "\nWritten %s by attrbench %s.\n", ab_report_text(report->doc, "generated"),
            ab_report_text(report->doc, "version"));
}

enum ab_status ab_report_write_markdown(const struct ab_report *report, const char *path,
                                        struct ab_error *err)
{
    struct ab_outfile out;
    const enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    print_all(out.stream, report);
    return ab_outfile_close(&out, status, err);
}
