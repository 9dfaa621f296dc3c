// SPDX-License-Identifier: Apache-2.0
// --selftest: whether every seeded bug is caught, and by what.
#include "verify_inside.h"

#include "run.h"
#include "verify/bugs.h"
#include "verify/selftest.h"

#include <string.h>

struct telling {
    struct ab_verify_session *session;
    json_t *rows; /* NULL: no --json */
    int done;
};

static json_t *line_json(const struct ab_selftest_line *l)
{
    json_t *o = json_object();
    json_object_set_new(o, "kind", json_string("selftest"));
    json_object_set_new(o, "bug", json_string(l->name));
    json_object_set_new(o, "op", json_string(ab_kernel_op_name(l->op)));
    json_object_set_new(o, "what", json_string(l->what));
    json_object_set_new(o, "verdict", json_string(ab_selftest_verdict_name(l->verdict)));
    json_object_set_new(o, "check", json_string(ab_check_name(l->check)));
    json_object_set_new(o, "trials", json_integer(l->trials));
    json_object_set_new(o, "seconds", json_real(l->seconds));
    json_object_set_new(o, "trial", *l->trial ? json_string(l->trial) : json_null());
    return o;
}

static bool tell_line(void *user, const struct ab_selftest_line *l)
{
    struct telling *t = user;
    FILE *f = t->session->talk;
    const bool bad = ab_selftest_is_bad(l->verdict);
    ab_progress_clear();
    fprintf(f, "%-34s %-9s %-12s %6d  %s\n", l->name, ab_selftest_verdict_name(l->verdict),
            l->check == AB_CHECK_none ? "-" : ab_check_name(l->check), l->trials, l->what);
    if (bad && *l->trial) fprintf(f, "    %s\n    %s\n", l->trial, l->why);
    fflush(f);
    if (t->rows) json_array_append_new(t->rows, line_json(l));
    ab_progress_step(1, "%d bugs", ++t->done);
    return !(bad && t->session->settings->fail_fast);
}

static bool stop(void *user)
{
    (void)user;
    return ab_interrupted;
}

static int print_json(const struct telling *t, const struct ab_selftest_counts *counts)
{
    json_t *context = json_object();
    json_object_set_new(context, "schema", json_integer(1));
    json_object_set_new(context, "interrupted", json_boolean(ab_interrupted != 0));
    for (int v = 0; v < AB_SELFTEST_VERDICTS; v++)
        json_object_set_new(context, ab_selftest_verdict_name((enum ab_selftest_verdict)v),
                            json_integer(counts->lines[v]));
    const bool good = ab_records_print(stdout, context, t->rows) && fflush(stdout) == 0;
    json_decref(context);
    if (good) return AB_EXIT_OK;
    return ab_complain(AB_EXIT_ERROR, "standard output: cannot be written; redirect elsewhere");
}

static int summarise(const struct telling *t, const struct ab_selftest_counts *counts)
{
    FILE *f = t->session->talk;
    int bad = 0;
    fprintf(f, "\n");
    for (int v = 0; v < AB_SELFTEST_VERDICTS; v++) {
        if (ab_selftest_is_bad((enum ab_selftest_verdict)v)) bad += counts->lines[v];
        fprintf(f, "%s%d %s", v ? ", " : "", counts->lines[v],
                ab_selftest_verdict_name((enum ab_selftest_verdict)v));
    }
    fprintf(f, "; checks of docs/verify.md in the third column\n");
    fflush(f);
    if (t->rows && print_json(t, counts) != AB_EXIT_OK) return AB_EXIT_ERROR;
    if (ab_interrupted)
        return ab_complain(AB_EXIT_INTERRUPTED, "interrupted: the lines above are what was found");
    return bad ? AB_EXIT_DISAGREE : AB_EXIT_OK;
}

int ab_verify_selftest(struct ab_verify_session *s)
{
    struct telling t = {.session = s, .rows = s->settings->json ? json_array() : NULL};
    const struct ab_selftest test = {.workers = s->workers,
                                     .timeout = 30,
                                     /* of 32 trials, on a machine that others use too */ .report =
                                         tell_line,
                                     .stop = stop,
                                     .user = &t};
    struct ab_selftest_counts counts = {0};
    struct ab_error err;
    int count;
    (void)ab_bugs(&count);
    fprintf(s->talk, "%-34s %-9s %-12s %6s  %s\n", "bug", "verdict", "check", "trials", "what");
    ab_progress_start(count, false);
    const enum ab_status status = ab_selftest(&test, &counts, &err);
    ab_progress_end();
    const int code =
        status == AB_OK ? summarise(&t, &counts) : ab_complain(AB_EXIT_ERROR, "%s", err.text);
    json_decref(t.rows);
    return code;
}
