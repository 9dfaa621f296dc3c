// SPDX-License-Identifier: Apache-2.0
// What verify has found, candidate by candidate.
#include "verify_inside.h"

#include <stdlib.h>
#include <string.h>

struct ab_verify_row *ab_tally_row(struct ab_tally *t, const char *name, const char *isa,
                                   const char *op)
{
    for (int i = 0; i < t->count; i++)
        if (!strcmp(t->rows[i].name, name) && !strcmp(t->rows[i].isa, isa) &&
            !strcmp(t->rows[i].op, op))
            return &t->rows[i];
    struct ab_verify_row *grown = realloc(t->rows, ((size_t)t->count + 1) * sizeof *grown);
    if (!grown) return NULL;
    t->rows = grown;
    struct ab_verify_row *row = &grown[t->count++];
    *row = (struct ab_verify_row){0};
    snprintf(row->name, sizeof row->name, "%s", name);
    snprintf(row->isa, sizeof row->isa, "%s", isa);
    snprintf(row->op, sizeof row->op, "%s", op);
    return row;
}

void ab_tally_reason(char *to, size_t size, const char *why)
{
    snprintf(to, size, "%s", why);
    for (; *to; to++)
        if (*to < ' ' || *to > '~') *to = '?';
}

bool ab_tally_skip(struct ab_tally *t, const char *name, const char *why)
{
    struct ab_verify_row *row = ab_tally_row(t, name, name, "");
    if (!row) return false;
    ab_tally_reason(row->why, sizeof row->why, why);
    return true;
}

static void add_failure(struct ab_verify_row *row, const char *trial, const struct ab_outcome *o)
{
    for (int i = 0; i < row->n_found; i++)
        if (row->found[i].check == o->check) {
            row->found[i].count++;
            return;
        }
    struct ab_found *f = &row->found[row->n_found++];
    *f = (struct ab_found){.check = o->check, .count = 1};
    snprintf(f->trial, sizeof f->trial, "%s", trial);
    ab_tally_reason(f->why, sizeof f->why, o->why);
}

void ab_tally_add(struct ab_verify_row *row, const char *trial, const struct ab_outcome *o)
{
    row->cases[o->kind]++;
    row->elements += o->elements;
    row->undetermined += o->undetermined;
    for (int k = 0; k < AB_CHECKS; k++) row->varied[k] += o->varies >> k & 1;
    const bool says = o->kind == AB_OUTCOME_PASS || o->kind == AB_OUTCOME_FAIL;
    if (says && o->sharp > row->sharp) row->sharp = o->sharp;
    if (says && o->ratio > row->ratio) {
        row->ratio = o->ratio;
        snprintf(row->worst, sizeof row->worst, "%s", trial);
    }
    if (o->kind == AB_OUTCOME_FAIL) add_failure(row, trial, o);
    if (o->kind == AB_OUTCOME_MISTRUSTED && !*row->unsure) {
        snprintf(row->unsure, sizeof row->unsure, "%s", trial);
        ab_tally_reason(row->why, sizeof row->why, o->why);
    }
}

void ab_tally_free(struct ab_tally *t)
{
    free(t->rows);
    *t = (struct ab_tally){0};
}

long ab_row_cases(const struct ab_verify_row *row)
{
    long sum = 0;
    for (int k = 0; k < AB_OUTCOME_KINDS; k++) sum += row->cases[k];
    return sum;
}

long ab_tally_cases(const struct ab_tally *t)
{
    long sum = 0;
    for (int i = 0; i < t->count; i++) sum += ab_row_cases(&t->rows[i]);
    return sum;
}

long ab_tally_failures(const struct ab_tally *t)
{
    long sum = 0;
    for (int i = 0; i < t->count; i++) sum += t->rows[i].cases[AB_OUTCOME_FAIL];
    return sum;
}

enum ab_outcome_kind ab_row_verdict(const struct ab_verify_row *row)
{
    static const enum ab_outcome_kind order[] = {AB_OUTCOME_FAIL, AB_OUTCOME_PASS,
                                                 AB_OUTCOME_MISTRUSTED, AB_OUTCOME_UNSUPPORTED};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (row->cases[order[i]]) return order[i];
    return AB_OUTCOME_SKIPPED;
}

/* A text within single quotes of a shell. */
static void quote(const char *text, char *quoted, size_t size)
{
    size_t n = 0;
    for (; *text && n + 5 < size; text++) {
        if (*text == '\'') {
            memcpy(quoted + n, "'\\''", 4);
            n += 4;
        } else
            quoted[n++] = *text;
    }
    quoted[n] = '\0';
}

void ab_found_repro(const struct ab_verify_row *row, const struct ab_found *found, char *text,
                    size_t size)
{
    char line[AB_CASE_TEXT + 100], quoted[AB_CASE_TEXT + 300];
    const bool method = !strcmp(row->op, AB_VERIFY_METHOD); /* whose cases name it */
    snprintf(line, sizeof line, "%s%s%s", method ? "" : row->name, method ? "" : " ", found->trial);
    quote(line, quoted, sizeof quoted);
    snprintf(text, size, "attrbench verify %s--repro '%s'", row->options, quoted);
}
