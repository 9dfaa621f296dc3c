// SPDX-License-Identifier: Apache-2.0
// The table of verify, its failures, and --list.
#include "verify_inside.h"

#include "run.h"

#include <string.h>

static int name_width(const struct ab_tally *t)
{
    int width = 20;
    for (int i = 0; i < t->count; i++) {
        const int length = (int)strlen(t->rows[i].name);
        if (length > width) width = length;
    }
    return width;
}

/* "0.12"; "-" where nothing was measured: bits were compared, or nothing ran. */
static const char *ratio_text(double ratio, char text[16])
{
    snprintf(text, 16, ratio > 0 ? "%.2g" : "-", ratio);
    return text;
}

static bool is_passed_method(const struct ab_verify_row *row)
{
    return !strcmp(row->op, AB_VERIFY_METHOD) && ab_row_verdict(row) == AB_OUTCOME_PASS;
}

static void print_row(FILE *f, const struct ab_verify_row *row, int width)
{
    static const char *const words[] = {"pass", "FAIL", "mistrusted", "unsupported", "skipped"};
    const enum ab_outcome_kind verdict = ab_row_verdict(row);
    char ratio[16];
    if (!ab_row_cases(row)) {
        fprintf(f, "%-*s skipped (%s)\n", width, row->name, *row->why ? row->why : "not reached");
        return;
    }
    fprintf(f, "%-*s %-13s %6ld %6ld %6ld %6ld %7ld  %8s  %s\n", width, row->name, row->isa,
            ab_row_cases(row), row->cases[AB_OUTCOME_PASS], row->cases[AB_OUTCOME_MISTRUSTED],
            row->cases[AB_OUTCOME_UNSUPPORTED], row->undetermined, ratio_text(row->ratio, ratio),
            words[verdict]);
}

/* All methods of one backend that passed, as one line. */
static void print_passed_methods(FILE *f, const struct ab_tally *t, const char *isa, int width)
{
    struct ab_verify_row sum = {0};
    int count = 0;
    for (int i = 0; i < t->count; i++) {
        const struct ab_verify_row *row = &t->rows[i];
        if (!is_passed_method(row) || strcmp(row->isa, isa) != 0) continue;
        for (int k = 0; k < AB_OUTCOME_KINDS; k++) sum.cases[k] += row->cases[k];
        sum.undetermined += row->undetermined;
        if (row->ratio > sum.ratio) sum.ratio = row->ratio;
        count++;
    }
    snprintf(sum.name, sizeof sum.name, "%d method%s", count, count > 1 ? "s" : "");
    snprintf(sum.isa, sizeof sum.isa, "%s", isa);
    print_row(f, &sum, width);
}

static void print_rows(FILE *f, const struct ab_tally *t, int width)
{
    for (int i = 0; i < t->count; i++) {
        const struct ab_verify_row *row = &t->rows[i];
        bool first = true;
        if (!is_passed_method(row)) {
            print_row(f, row, width);
            continue;
        }
        for (int k = 0; k < i; k++)
            if (is_passed_method(&t->rows[k]) && !strcmp(t->rows[k].isa, row->isa)) first = false;
        if (first) print_passed_methods(f, t, row->isa, width);
    }
}

static void print_failures(FILE *f, const struct ab_verify_row *row)
{
    for (int i = 0; i < row->n_found; i++) {
        const struct ab_found *found = &row->found[i];
        char repro[AB_REPRO_TEXT], more[48] = "";
        ab_found_repro(row, found, repro, sizeof repro);
        if (found->count > 1) snprintf(more, sizeof more, " (%ld cases)", found->count);
        fprintf(f, "FAIL %s (%s): %s%s: %s\n    %s\n    %s\n", row->name, row->isa,
                ab_check_name(found->check), more, ab_check_meaning(found->check), found->why,
                repro);
    }
}

/* A row of which nothing else is known deserves its reason. */
static void print_unsure(FILE *f, const struct ab_verify_row *row)
{
    if (ab_row_verdict(row) == AB_OUTCOME_MISTRUSTED)
        fprintf(f, "mistrusted: %s: %s\n    %s %s\n", row->name, row->why, row->name, row->unsure);
}

/* Of foreign kernels: no failure, and worth knowing. */
static void print_varied(FILE *f, const struct ab_verify_row *row)
{
    for (int k = 0; k < AB_CHECKS; k++)
        if (row->varied[k])
            fprintf(f, "note: %s: in %ld of %ld cases %s\n", row->name, row->varied[k],
                    ab_row_cases(row), ab_check_meaning((enum ab_check)k));
}

static void print_sum(FILE *f, const struct ab_verify_session *s)
{
    const struct ab_tally *t = &s->tally;
    long sums[AB_OUTCOME_KINDS] = {0};
    int failed = 0;
    for (int i = 0; i < t->count; i++) {
        for (int k = 0; k < AB_OUTCOME_KINDS; k++) sums[k] += t->rows[i].cases[k];
        failed += t->rows[i].n_found > 0;
    }
    const double rate = s->seconds > 0 ? (double)ab_tally_cases(t) / s->seconds : 0;
    fprintf(f,
            "\n%ld cases in %.1f s (%.0f a second): %ld passed, %ld failed, %ld mistrusted, %ld "
            "unsupported",
            ab_tally_cases(t), s->seconds, rate, sums[AB_OUTCOME_PASS], sums[AB_OUTCOME_FAIL],
            sums[AB_OUTCOME_MISTRUSTED], sums[AB_OUTCOME_UNSUPPORTED]);
    if (s->left_out && !(s->settings->fuzz > 0)) fprintf(f, ", %ld not reached", s->left_out);
    if (failed)
        fprintf(f, "; %d FAILED\n", failed);
    else
        fprintf(f, ab_tally_cases(t) ? "; nothing failed\n" : "; NOTHING WAS RUN\n");
}

void ab_verify_print(FILE *f, const struct ab_verify_session *s)
{
    const struct ab_tally *t = &s->tally;
    const int width = name_width(t);
    fprintf(f, "%-*s %-13s %6s %6s %6s %6s %7s  %8s  %s\n", width, "kernel", "isa", "cases",
            "passed", "mistr.", "unsup.", "undet.", "err/bnd", "verdict");
    print_rows(f, t, width);
    if (ab_tally_failures(t)) fputc('\n', f);
    for (int i = 0; i < t->count; i++) print_failures(f, &t->rows[i]);
    for (int i = 0; i < t->count; i++) print_unsure(f, &t->rows[i]);
    for (int i = 0; i < t->count; i++) print_varied(f, &t->rows[i]);
    print_sum(f, s);
}

int ab_verify_list(const struct ab_verify_session *s, const struct ab_verify_plan *plan)
{
    json_t *rows = s->settings->json ? json_array() : NULL;
    long trials[AB_KERNEL_OPS] = {0};
    for (long i = 0; i < plan->n_trials; i++) trials[plan->trials[i].op]++;
    if (!rows) printf("%-32s %-12s %-8s %8s\n", "candidate", "operation", "isa", "trials");
    for (int i = 0; i < plan->n_candidates; i++) {
        const struct ab_candidate *c = &plan->candidates[i];
        const char *op = ab_kernel_op_name(c->op);
        if (rows)
            json_array_append_new(rows,
                                  json_pack("{s:s,s:s,s:s,s:I}", "candidate", c->name, "op", op,
                                            "isa", c->isa, "trials", (json_int_t)trials[c->op]));
        else
            printf("%-32s %-12s %-8s %8ld\n", c->name, op, c->isa, trials[c->op]);
    }
    if (!rows) return AB_EXIT_OK;
    json_t *root = json_pack("{s:o}", "candidates", rows);
    const bool good = root && json_dumpf(root, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 &&
                      putchar('\n') != EOF;
    json_decref(root);
    return good ? AB_EXIT_OK
                : ab_complain(AB_EXIT_ERROR,
                              "standard output: cannot be written; redirect elsewhere");
}
