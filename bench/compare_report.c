// SPDX-License-Identifier: Apache-2.0
// A comparison for machines that check changes: Markdown, JUnit XML, annotations.
#include "compare.h"

#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of Markdown: what a reviewer reads. The table has what the rest leaves. */
enum { MOST_ROWS = 28, MOST_CLASSES = 10, MOST_MISSING = 5 };
/* Of each level; services show ten. */
enum { MOST_ANNOTATIONS = 10 };

static const char *headline(const struct ab_comparison *c)
{
    switch (ab_compare_verdict(c)) {
    case AB_EXIT_OK:
        return c->interrupted ? "interrupted: no regression in what was measured" : "no regression";
    case AB_EXIT_REGRESSION: return "REGRESSION";
    case AB_EXIT_INCONCLUSIVE:
        return "inconclusive: nothing is wrong that could be seen, but too "
               "little could be seen";
    case AB_EXIT_NOTHING: return "nothing was compared";
    default: return "a case failed";
    }
}

/* "12.3 us to 12.7 us, +3.1 % (+2.7 % to +3.5 %)", "its error grew ...". */
static void summarise(const struct ab_compare_row *r, char *text, size_t size)
{
    char ratio[32], low[32], high[32], a[32], b[32];
    const bool by_time = r->timed && isfinite(r->time.ratio);
    if (!by_time || r->error == AB_CHANGE_REGRESSION) {
        snprintf(text, size, "%s", r->why);
        return;
    }
    ab_compare_percent(r->time.ratio, ratio, sizeof ratio);
    ab_compare_percent(r->time.low, low, sizeof low);
    ab_compare_percent(r->time.high, high, sizeof high);
    ab_time_text(r->time.a_ns, a, sizeof a);
    ab_time_text(r->time.b_ns, b, sizeof b);
    snprintf(text, size, "%s to %s, %s (%s to %s; tolerated: %.2g %%)", a, b, ratio, low, high,
             100 * r->time.threshold);
}

/* ---- Markdown ---- */

/* A cell of a table. */
static void print_cell(FILE *f, const char *text)
{
    for (; *text; text++) {
        if (*text == '|') fputc('\\', f);
        fputc(*text == '\n' ? ' ' : *text, f);
    }
}

static void markdown_row(FILE *f, const struct ab_compare_row *r)
{
    struct ab_compare_texts t;
    ab_compare_words(r, &t);
    fprintf(f, "| %s%s%s | %s | %s to %s | %s | %s | `",
            r->change == AB_CHANGE_REGRESSION ? "**" : "", ab_change_name(r->change),
            r->change == AB_CHANGE_REGRESSION ? "**" : "", t.ratio, t.low, t.high, t.a, t.b);
    print_cell(f, r->b->key);
    fputc('`', f);
    if (*r->why) {
        fputs(": ", f);
        print_cell(f, r->why);
    }
    fputs(" |\n", f);
}

static void markdown_rows(FILE *f, const struct ab_comparison *c)
{
    const struct ab_compare_row **rows = ab_compare_sorted(c);
    int shown = 0;
    for (int i = 0; rows && i < c->count && shown < MOST_ROWS; i++) {
        if (rows[i]->change == AB_CHANGE_SAME) break;
        if (!shown++)
            fputs("\n| verdict | B over A | interval | A | B | row |\n|---|---|---|---|---|---|\n",
                  f);
        markdown_row(f, rows[i]);
    }
    const int changed = c->count - c->of[AB_CHANGE_SAME];
    if (changed > shown) fprintf(f, "\n%d more such rows are not shown.\n", changed - shown);
    free(rows);
}

static void markdown_classes(FILE *f, const struct ab_comparison *c)
{
    struct ab_compare_class classes[AB_COMPARE_CLASSES];
    const int n = ab_compare_classes(c, classes);
    for (int i = 0; i < n && i < MOST_CLASSES; i++) {
        char mean[32];
        ab_compare_percent(classes[i].geomean, mean, sizeof mean);
        if (!i) fputs("\n| class | geometric mean, B over A | rows |\n|---|---|---|\n", f);
        fprintf(f, "| %s | %s | %d |\n", classes[i].name, mean, classes[i].rows);
    }
    if (n > MOST_CLASSES) fprintf(f, "\n%d more classes are not shown.\n", n - MOST_CLASSES);
}

void ab_compare_markdown(FILE *f, const struct ab_comparison *c)
{
    fprintf(f, "### attrbench: %s\n\n", headline(c));
    fprintf(f, "%d rows: %d regressions, %d improvements, %d same, %d inconclusive. ", c->count,
            c->of[AB_CHANGE_REGRESSION], c->of[AB_CHANGE_IMPROVEMENT], c->of[AB_CHANGE_SAME],
            c->of[AB_CHANGE_INCONCLUSIVE]);
    fprintf(f, "A: `%s`, B: `%s`, %s.", c->a.name, c->b.name,
            c->paired ? "measured by turns" : "measured at different times");
    if (c->by_time)
        fprintf(f, " By time alone, not by error: %d rows (%s).", c->by_time, c->by_time_why);
    fputs(c->interrupted ? " Interrupted: the rest was not measured.\n" : "\n", f);
    markdown_rows(f, c);
    markdown_classes(f, c);
    if (c->n_only[0] || c->n_only[1])
        fprintf(f, "\nIn A alone: %d rows; in B alone: %d.\n", c->n_only[0], c->n_only[1]);
    for (int i = 0; i < c->n_missing && i < MOST_MISSING; i++) {
        fputs(i ? "" : "\n", f);
        fprintf(f, "- not compared: `%s`: %s\n", c->missing[i].text, c->missing[i].why);
    }
    if (c->n_missing > MOST_MISSING)
        fprintf(f, "- and %d more cases\n", c->n_missing - MOST_MISSING);
}

/* ---- JUnit ---- */

static void print_xml(FILE *f, const char *text)
{
    for (; *text; text++) {
        const unsigned char ch = (unsigned char)*text;
        switch (ch) {
        case '&': fputs("&amp;", f); break;
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '"': fputs("&quot;", f); break;
        case '\n': fputs("&#10;", f); break;
        default: fputc(ch < 0x20 ? ' ' : ch, f); /* the others XML does not have */
        }
    }
}

static void junit_case(FILE *f, const char *class, const char *name, const char *tag,
                       const char *message)
{
    fputs("  <testcase classname=\"", f);
    print_xml(f, class);
    fputs("\" name=\"", f);
    print_xml(f, name);
    if (!tag) {
        fputs("\"/>\n", f);
        return;
    }
    fprintf(f, "\"><%s message=\"", tag);
    print_xml(f, message);
    fputs("\"/></testcase>\n", f);
}

void ab_compare_junit(FILE *f, const struct ab_comparison *c)
{
    const int errors = c->n_missing && c->broken ? c->n_missing : 0,
              skipped = c->of[AB_CHANGE_INCONCLUSIVE] + c->n_missing - errors;
    fprintf(f,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"attrbench\" "
            "tests=\"%d\" failures=\"%d\" errors=\"%d\" skipped=\"%d\">\n",
            c->count + c->n_missing, c->of[AB_CHANGE_REGRESSION], errors, skipped);
    for (int i = 0; i < c->count; i++) {
        const struct ab_compare_row *r = &c->rows[i];
        const char *kind = json_string_value(json_object_get(r->b->record, "kind"));
        char class[64], what[400];
        snprintf(class, sizeof class, "attrbench.%s", kind ? kind : "row");
        summarise(r, what, sizeof what);
        const char *tag = r->change == AB_CHANGE_REGRESSION     ? "failure"
                          : r->change == AB_CHANGE_INCONCLUSIVE ? "skipped"
                                                                : NULL;
        junit_case(f, class, r->b->key, tag, r->change == AB_CHANGE_INCONCLUSIVE ? r->why : what);
    }
    for (int i = 0; i < c->n_missing; i++)
        junit_case(f, "attrbench.case", c->missing[i].text, errors ? "error" : "skipped",
                   c->missing[i].why);
    fputs("</testsuite>\n", f);
}

/* ---- annotations ---- */

/* What the service's own syntax takes for ends is written as %XX; in properties, more is. */
static void print_escaped(FILE *f, const char *text, bool property)
{
    for (; *text; text++) {
        const bool ends = *text == '%' || *text == '\r' || *text == '\n' ||
                          (property && (*text == ':' || *text == ','));
        if (ends)
            fprintf(f, "%%%02X", (unsigned)(unsigned char)*text);
        else
            fputc(*text, f);
    }
}

static void annotate(FILE *f, const char *level, const char *title, const char *key,
                     const char *message)
{
    fprintf(f, "::%s title=", level);
    print_escaped(f, title, true);
    fputs("::", f);
    print_escaped(f, key, false);
    fputs(": ", f);
    print_escaped(f, message, false);
    fputc('\n', f);
}

void ab_compare_annotate(FILE *f, const struct ab_comparison *c)
{
    const struct ab_compare_row **rows = ab_compare_sorted(c);
    int of[4] = {0};
    for (int i = 0; rows && i < c->count; i++) {
        const struct ab_compare_row *r = rows[i];
        char what[400];
        summarise(r, what, sizeof what);
        if (of[r->change]++ >= MOST_ANNOTATIONS) continue;
        const char *title = r->error == AB_CHANGE_REGRESSION ? "regression" : "slower";
        if (r->change == AB_CHANGE_REGRESSION) annotate(f, "error", title, r->b->key, what);
        if (r->change == AB_CHANGE_INCONCLUSIVE)
            annotate(f, "warning", "inconclusive", r->b->key, r->why);
    }
    free(rows);
    for (int i = 0; i < c->n_missing && i < MOST_ANNOTATIONS; i++)
        annotate(f, c->broken ? "error" : "warning", "not compared", c->missing[i].text,
                 c->missing[i].why);
}
