// SPDX-License-Identifier: Apache-2.0
// report.html: the embedded page with styles, scripts and data put in.
#include "report.h"

#include "base/outfile.h"

#include <stdlib.h>
#include <string.h>

/* Plans have hundreds of steps: the page does without what steps share with their plan's row. */
static void drop_shared(json_t *row)
{
    static const char *const fields[] = {
        "verdict",    "verdict_reason", "ratio_reason", "repro",         "seed_mode",
        "target",     "targets",        "pinned",       "ns_min",        "ns_p10",
        "ns_p90",     "samples",        "flips",        "illegal_flips", "cache",
        "denormals",  "pages",          "repetition",   "methods",       "images_per_second",
        "peak_gflops"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) json_object_del(row, fields[i]);
}

/* The document as the page needs it. New reference; NULL: out of memory. */
static json_t *page_document(const struct ab_report *report)
{
    json_t *doc = json_copy(report->doc), *rows = json_array();
    for (size_t i = 0; i < json_array_size(report->rows); i++) {
        json_t *row = json_array_get(report->rows, i);
        const bool step = !strcmp(ab_report_text(row, "kind"), "step");
        json_t *shown = step ? json_copy(row) : json_incref(row);
        if (step) drop_shared(shown);
        json_array_append_new(rows, shown);
    }
    if (doc && json_object_set_new(doc, "rows", rows) == 0) return doc;
    json_decref(doc);
    return NULL;
}

bool ab_report_print_data(FILE *f, const struct ab_report *report)
{
    json_t *doc = page_document(report);
    char *text =
        doc ? json_dumps(doc, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER) : NULL;
    json_decref(doc);
    for (const char *p = text; p && *p;) {
        /* These stand in strings only, where any letter may be written as its number. */
        const size_t plain = strcspn(p, "<>&");
        fwrite(p, 1, plain, f);
        p += plain;
        if (*p) fprintf(f, "\\u%04x", (unsigned)*p++);
    }
    const bool good = text != NULL;
    free(text);
    return good && !ferror(f);
}

static bool print_escaped(FILE *f, const char *text)
{
    for (; *text; text++) switch (*text) {
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '&': fputs("&amp;", f); break;
        case '"': fputs("&quot;", f); break;
        default: fputc(*text, f);
        }
    return !ferror(f);
}

static const struct ab_report_part *find_part(const char *name, size_t length)
{
    for (int i = 0; i < ab_report_part_count; i++)
        if (strlen(ab_report_parts[i].name) == length &&
            !strncmp(ab_report_parts[i].name, name, length))
            return &ab_report_parts[i];
    return NULL;
}

/* What stands in the page as {{name}}: a part, the data, or the title. */
static bool print_slot(FILE *f, const struct ab_report *report, const char *name, size_t length)
{
    if (length == 4 && !strncmp(name, "data", length)) return ab_report_print_data(f, report);
    if (length == 5 && !strncmp(name, "title", length))
        return print_escaped(f, ab_report_text(report->doc, "title"));
    const struct ab_report_part *part = find_part(name, length);
    return part && fwrite(part->bytes, 1, part->size, f) == part->size;
}

static bool print_page(FILE *f, const struct ab_report *report)
{
    const struct ab_report_part *page = find_part("page.html", strlen("page.html"));
    if (!page) return false;
    const char *p = (const char *)page->bytes, *const end = p + page->size;
    while (p < end) {
        const char *slot = strstr(p, "{{");
        const char *stop = slot ? strstr(slot, "}}") : NULL;
        const size_t plain = (size_t)((stop ? slot : end) - p);
        if (fwrite(p, 1, plain, f) != plain) return false;
        if (!stop) break;
        if (!print_slot(f, report, slot + 2, (size_t)(stop - slot) - 2)) return false;
        p = stop + 2;
    }
    return true;
}

enum ab_status ab_report_write_html(const struct ab_report *report, const char *path,
                                    struct ab_error *err)
{
    struct ab_outfile out;
    enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    if (!print_page(out.stream, report) && !ferror(out.stream))
        status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory; report fewer runs", path);
    return ab_outfile_close(&out, status, err);
}
