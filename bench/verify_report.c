// SPDX-License-Identifier: Apache-2.0
// What verify has found, as JSON and as JUnit XML.
#include "verify_inside.h"

#include "run.h"

#include "ab_version.h"
#include "base/outfile.h"
#include "json_number.h"

#include <string.h>

/* ---- JSON ---- */

static json_t *text_or_null(const char *text)
{
    return *text ? json_stringn_nocheck(text, strlen(text)) : json_null();
}

static json_t *failures_json(const struct ab_verify_row *row)
{
    json_t *list = json_array();
    for (int i = 0; i < row->n_found; i++) {
        const struct ab_found *f = &row->found[i];
        char repro[AB_REPRO_TEXT];
        ab_found_repro(row, f, repro, sizeof repro);
        json_t *o = json_object();
        json_object_set_new(o, "check", json_string(ab_check_name(f->check)));
        json_object_set_new(o, "meaning", json_string(ab_check_meaning(f->check)));
        json_object_set_new(o, "cases", json_integer(f->count));
        json_object_set_new(o, "trial", json_string(f->trial));
        json_object_set_new(o, "why", text_or_null(f->why));
        json_object_set_new(o, "repro", json_string(repro));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *varied_json(const struct ab_verify_row *row)
{
    json_t *o = json_object();
    for (int k = 0; k < AB_CHECKS; k++)
        if (row->varied[k])
            json_object_set_new(o, ab_check_name((enum ab_check)k), json_integer(row->varied[k]));
    return o;
}

static json_t *row_json(const struct ab_verify_row *row)
{
    json_t *o = json_object();
    json_object_set_new(o, "kind", json_string("verify"));
    json_object_set_new(o, "kernel", json_string(row->name));
    json_object_set_new(o, "op", text_or_null(row->op));
    json_object_set_new(o, "isa", json_string(row->isa));
    json_object_set_new(o, "verdict", json_string(ab_outcome_name(ab_row_verdict(row))));
    json_object_set_new(o, "why", text_or_null(row->why));
    json_object_set_new(o, "cases", json_integer(ab_row_cases(row)));
    for (int k = 0; k < AB_OUTCOME_KINDS; k++)
        json_object_set_new(o, ab_outcome_name((enum ab_outcome_kind)k),
                            json_integer(row->cases[k]));
    json_object_set_new(o, "elements", json_integer(row->elements));
    json_object_set_new(o, "undetermined", json_integer(row->undetermined));
    json_object_set_new(o, "worst_ratio", ab_json_number(row->ratio));
    json_object_set_new(o, "worst_trial", text_or_null(row->worst));
    json_object_set_new(o, "worst_sharp_ratio", ab_json_number(row->sharp));
    json_object_set_new(o, "mistrusted_trial", text_or_null(row->unsure));
    json_object_set_new(o, "failures", failures_json(row));
    json_object_set_new(o, "varied", varied_json(row));
    return o;
}

static json_t *context_json(const struct ab_verify_session *s)
{
    json_t *o = json_object(), *isas = json_array();
    for (int i = 0; i < AB_ISA_COUNT; i++)
        if (ab_cpu_isas() >> i & 1)
            json_array_append_new(isas, json_string(ab_isa_name((enum ab_isa)i)));
    json_object_set_new(o, "schema", json_integer(1));
    json_object_set_new(o, "attrbench", json_string(AB_VERSION));
    json_object_set_new(o, "git_revision", json_string(AB_GIT_REVISION));
    json_object_set_new(o, "compiler", json_string(AB_COMPILER));
    json_object_set_new(o, "flags", json_string(AB_BUILD_FLAGS));
    json_object_set_new(o, "isas", isas);
    json_object_set_new(o, "seed", json_integer((json_int_t)s->request.seed));
    json_object_set_new(o, "fuzz_seconds", ab_json_number(s->settings->fuzz));
    json_object_set_new(o, "seconds", ab_json_number(s->seconds));
    json_object_set_new(o, "cases", json_integer(ab_tally_cases(&s->tally)));
    json_object_set_new(o, "failed", json_integer(ab_tally_failures(&s->tally)));
    json_object_set_new(o, "left_out", json_integer(s->left_out));
    json_object_set_new(o, "interrupted", json_boolean(ab_interrupted != 0));
    return o;
}

json_t *ab_verify_json(const struct ab_verify_session *s)
{
    json_t *rows = json_array(), *root = json_object();
    for (int i = 0; i < s->tally.count; i++) {
        json_t *row = row_json(&s->tally.rows[i]);
        if (!row || json_array_append_new(rows, row) != 0) {
            json_decref(rows);
            json_decref(root);
            return NULL;
        }
    }
    json_object_set_new(root, "context", context_json(s));
    json_object_set_new(root, "results", rows);
    return root;
}

enum ab_status ab_verify_write_json(const struct ab_verify_session *s, const char *path,
                                    struct ab_error *err)
{
    struct ab_outfile out;
    json_t *root = ab_verify_json(s);
    if (!root) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
    enum ab_status status = ab_outfile_open(&out, path, err);
    if (status == AB_OK) {
        if (!ab_records_print(out.stream, json_object_get(root, "context"),
                              json_object_get(root, "results")))
            status = ab_fail(err, AB_ERR_IO, "%s: cannot be written; choose another place", path);
        status = ab_outfile_close(&out, status, err);
    }
    json_decref(root);
    return status;
}

/* ---- JUnit ---- */

/* Text of an attribute or an element: characters that XML 1.0 has no way to write become '?'. */
static void escape(FILE *f, const char *text)
{
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        switch (c) {
        case '&': fputs("&amp;", f); break;
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '"': fputs("&quot;", f); break;
        case '\'': fputs("&apos;", f); break;
        default:
            if ((c < 32 && c != '\n' && c != '\t') || c > 126)
                fputc('?', f);
            else
                fputc(c, f);
        }
    }
}

static void attribute(FILE *f, const char *name, const char *value)
{
    fprintf(f, " %s=\"", name);
    escape(f, value);
    fputc('"', f);
}

static void open_case(FILE *f, const struct ab_verify_row *row, const char *what)
{
    char name[160];
    snprintf(name, sizeof name, "%s%s%s", row->name, what ? ": " : "", what ? what : "");
    fputs("  <testcase", f);
    attribute(f, "classname", *row->op ? row->op : "verify");
    attribute(f, "name", name);
}

static void failed_case(FILE *f, const struct ab_verify_row *row, const struct ab_found *found)
{
    char repro[AB_REPRO_TEXT];
    ab_found_repro(row, found, repro, sizeof repro);
    open_case(f, row, ab_check_name(found->check));
    fputs(">\n    <failure", f);
    attribute(f, "type", ab_check_name(found->check));
    attribute(f, "message", found->why);
    fputs(">", f);
    escape(f, ab_check_meaning(found->check));
    fprintf(f, "\n%ld cases; the first:\n", found->count);
    escape(f, repro);
    fputs("</failure>\n  </testcase>\n", f);
}

static void sound_case(FILE *f, const struct ab_verify_row *row)
{
    const enum ab_outcome_kind verdict = ab_row_verdict(row);
    open_case(f, row, NULL);
    if (verdict == AB_OUTCOME_PASS) {
        fputs("/>\n", f);
        return;
    }
    fputs(">\n    <skipped", f);
    char message[320];
    snprintf(message, sizeof message, "%s%s%s", ab_outcome_name(verdict), *row->why ? ": " : "",
             row->why);
    attribute(f, "message", message);
    fputs("/>\n  </testcase>\n", f);
}

static void print_junit(FILE *f, const struct ab_verify_session *s)
{
    int tests = 0, failures = 0, skipped = 0;
    for (int i = 0; i < s->tally.count; i++) {
        const struct ab_verify_row *row = &s->tally.rows[i];
        const enum ab_outcome_kind verdict = ab_row_verdict(row);
        tests += row->n_found ? row->n_found : 1;
        failures += row->n_found;
        skipped += verdict != AB_OUTCOME_FAIL && verdict != AB_OUTCOME_PASS;
    }
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", f);
    fprintf(f,
            "<testsuite name=\"attrbench verify\" tests=\"%d\" failures=\"%d\" errors=\"0\" "
            "skipped=\"%d\" time=\"%.3f\">\n",
            tests, failures, skipped, s->seconds);
    for (int i = 0; i < s->tally.count; i++) {
        const struct ab_verify_row *row = &s->tally.rows[i];
        for (int k = 0; k < row->n_found; k++) failed_case(f, row, &row->found[k]);
        if (!row->n_found) sound_case(f, row);
    }
    fputs("</testsuite>\n", f);
}

enum ab_status ab_verify_write_junit(const struct ab_verify_session *s, const char *path,
                                     struct ab_error *err)
{
    struct ab_outfile out;
    const enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    print_junit(out.stream, s);
    return ab_outfile_close(&out, AB_OK, err);
}
