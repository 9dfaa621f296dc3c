// SPDX-License-Identifier: Apache-2.0
// junit.xml: agreement with the reference as test cases, for what shows test results. A row that
// disagrees, or could not be measured, is a failure; one that was not judged is skipped. A
// deployment passes if it recommends a configuration whose maps agree.
#include "report.h"

#include "base/outfile.h"

#include <math.h>
#include <string.h>

/* Control characters are not XML, whatever way they are written. */
static void print_xml(FILE *f, const char *text)
{
    for (; *text; text++) switch (*text) {
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '&': fputs("&amp;", f); break;
        case '"': fputs("&quot;", f); break;
        case '\n': fputs("&#10;", f); break;
        default: fputc((unsigned char)*text < ' ' ? '?' : *text, f);
        }
}

enum outcome { PASSED, FAILED, SKIPPED, NO_TEST, OUTCOMES };
static enum outcome outcome_of(const json_t *row)
{
    /* Steps are parts of rows that are judged. */
    if (!strcmp(ab_report_text(row, "kind"), "step")) return NO_TEST;
    const char *verdict = ab_report_text(row, "verdict");
    if (*ab_report_text(row, "error") || !strcmp(verdict, "disagree")) return FAILED;
    return !strcmp(verdict, "agree") ? PASSED : SKIPPED;
}

static void print_case(FILE *f, const char *run, const json_t *row)
{
    static const char *const parts[] = {"model",   "method",  "op", "shape",
                                        "kernels", "backend", "isa"};
    const char *error = ab_report_text(row, "error");
    const double ns = ab_report_number(row, "ns_median");
    fputs("  <testcase classname=\"", f);
    print_xml(f, run);
    fprintf(f, ".%s\" name=\"", ab_report_text(row, "kind"));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!*ab_report_text(row, parts[i])) continue;
        print_xml(f, ab_report_text(row, parts[i]));
        fputc(' ', f);
    }
    fprintf(f, "threads=%.0f batch=%.0f\" time=\"%.9f\"", ab_report_number(row, "threads"),
            ab_report_number(row, "batch"), isfinite(ns) ? ns * 1e-9 : 0);
    const enum outcome outcome = outcome_of(row);
    if (outcome == PASSED) {
        fputs("/>\n", f);
        return;
    }
    fprintf(f, "><%s message=\"", outcome == FAILED ? "failure" : "skipped");
    print_xml(f, *error ? error : ab_report_text(row, "verdict_reason"));
    fputs("\"/></testcase>\n", f);
}

static enum outcome outcome_of_deployment(const json_t *deployment)
{
    const json_t *point = ab_report_recommended(deployment);
    const char *verdict = ab_report_text(point, "verdict");
    if (!point || !strcmp(verdict, "disagree")) return FAILED;
    return !strcmp(verdict, "agree") ? PASSED : SKIPPED;
}

static void print_deployment(FILE *f, const json_t *deployment)
{
    const enum outcome outcome = outcome_of_deployment(deployment);
    const json_t *point = ab_report_recommended(deployment);
    const double ns =
        ab_report_number(json_object_get(json_object_get(point, "latency_ns"), "p50"), "value");
    fputs("  <testcase classname=\"", f);
    print_xml(f, ab_report_text(deployment, "name"));
    fputs(".deployment\" name=\"", f);
    print_xml(f, ab_report_text(deployment, "model"));
    fputc(' ', f);
    print_xml(f, ab_report_text(deployment, "method"));
    fputc(' ', f);
    print_xml(f, ab_report_text(point, "text"));
    fprintf(f, "\" time=\"%.9f\"", isfinite(ns) ? ns * 1e-9 : 0);
    if (outcome == PASSED)
        fputs("/>\n", f);
    else
        fprintf(f, "><%s message=\"%s\"/></testcase>\n", outcome == FAILED ? "failure" : "skipped",
                !point              ? "nothing meets the requirements"
                : outcome == FAILED ? "its maps disagree with the reference"
                                    : "its maps were not judged");
}

static void print_suite(FILE *f, const struct ab_report *report)
{
    int counts[OUTCOMES] = {0};
    const size_t rows = json_array_size(report->rows);
    for (size_t i = 0; i < rows; i++) counts[outcome_of(json_array_get(report->rows, i))]++;
    const size_t deployments = json_array_size(report->deployments);
    for (size_t i = 0; i < deployments; i++)
        counts[outcome_of_deployment(json_array_get(report->deployments, i))]++;
    fprintf(f,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"attrbench agreement\" "
            "tests=\"%zu\" failures=\"%d\" skipped=\"%d\">\n",
            rows + deployments - (size_t)counts[NO_TEST], counts[FAILED], counts[SKIPPED]);
    for (size_t i = 0; i < rows; i++) {
        const json_t *row = json_array_get(report->rows, i);
        if (outcome_of(row) == NO_TEST) continue;
        const json_t *run =
            json_array_get(report->runs, (size_t)json_integer_value(json_object_get(row, "run")));
        print_case(f, ab_report_text(run, "name"), row);
    }
    for (size_t i = 0; i < deployments; i++)
        print_deployment(f, json_array_get(report->deployments, i));
    fputs("</testsuite>\n", f);
}

enum ab_status ab_report_write_junit(const struct ab_report *report, const char *path,
                                     struct ab_error *err)
{
    struct ab_outfile out;
    const enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    print_suite(out.stream, report);
    return ab_outfile_close(&out, status, err);
}
