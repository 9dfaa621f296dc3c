// SPDX-License-Identifier: Apache-2.0
// Fuzzing: a pairwise cover, then chance until the time is over; and making failures small.
#include "verify_inside.h"

#include "run.h"
#include "verify/isolate.h"
#include "verify_methods.h"

#include <string.h>

/* ---- chance ---- */

static bool over(const struct ab_verify_session *s)
{
    return ab_interrupted || s->stopped || ab_now_ns() > s->deadline;
}

/* Kernels and methods by turns. */
static enum ab_status draw_and_run(struct ab_verify_session *s, struct ab_verify_plan *plan,
                                   struct ab_rng *rng, bool *any, struct ab_error *err)
{
    enum { TRIALS = 400, METHODS = 40 }; /* seconds of work, and one start of the workers, each */
    long methods = 0;
    enum ab_status status = ab_verify_plan_random(plan, &s->request, rng, TRIALS, err);
    const long jobs = plan->n_jobs;
    if (status == AB_OK) status = ab_verify_execute(s, plan, err);
    if (status == AB_OK) status = ab_verify_methods_random(s, rng, METHODS, &methods, err);
    *any = jobs || methods;
    return status;
}

enum ab_status ab_verify_fuzz(struct ab_verify_session *s, struct ab_verify_plan *plan,
                              struct ab_error *err)
{
    struct ab_rng rng = ab_rng_new(s->request.seed, 2);
    bool any = true;
    s->deadline = ab_now_ns() + 1e9 * s->settings->fuzz;
    ab_progress_start(s->settings->fuzz, false);
    ab_progress_step(0, "pairwise cover, then random cases");
    enum ab_status status = ab_verify_plan_cover(plan, &s->request, &rng, err);
    if (status == AB_OK) status = ab_verify_execute(s, plan, err);
    while (status == AB_OK && any && !over(s)) status = draw_and_run(s, plan, &rng, &any, err);
    ab_progress_end();
    s->deadline = 0;
    return status == AB_OK ? ab_verify_shrink(s, plan, err) : status;
}

/* ---- smaller ---- */

enum { NEIGHBOURS = 96 };

/* A trial of a candidate, or a method's case. */
union subject {
    struct ab_trial trial;
    struct ab_method_case method;
};

/* A failing case, and its smaller neighbours, which are all tried. */
struct shrinking {
    const struct ab_candidate *candidate; /* NULL: a method */
    enum ab_check check;
    union subject at, near[NEIGHBOURS];
    int count, best; /* the first neighbour that fails likewise; `count`: none */
    struct ab_outcome outcome;
    double deadline;
};

static bool neighbour(const struct shrinking *s, int k, union subject *smaller)
{
    return s->candidate ? ab_verify_op_of(s->at.trial.op)->shrink(&s->at.trial, k, &smaller->trial)
                        : ab_method_case_shrink(&s->at.method, k, &smaller->method);
}

static void run_subject(const struct shrinking *s, const union subject *it,
                        struct ab_outcome *outcome)
{
    if (s->candidate)
        ab_verify_op_of(it->trial.op)->run(s->candidate, &it->trial, outcome, NULL);
    else
        ab_method_case_run(&it->method, outcome);
}

static enum ab_status parse_subject(struct shrinking *s, const char *text, struct ab_error *err)
{
    return s->candidate ? ab_trial_parse(text, &s->at.trial, err)
                        : ab_method_case_parse(text, &s->at.method, err);
}

static void print_subject(const struct shrinking *s, char text[AB_CASE_TEXT])
{
    if (s->candidate)
        ab_trial_print(&s->at.trial, text, AB_CASE_TEXT);
    else
        ab_method_case_print(&s->at.method, text, AB_CASE_TEXT);
}

static double timeout_of(const struct shrinking *s)
{
    return s->candidate ? ab_verify_timeout(ab_trial_products(&s->at.trial))
                        : AB_VERIFY_METHOD_TIMEOUT;
}

static void run_neighbour(void *user, long job, struct ab_outcome *outcome)
{
    const struct shrinking *s = user;
    run_subject(s, &s->near[job], outcome);
}

static bool report_neighbour(void *user, long job, const struct ab_outcome *outcome, double seconds)
{
    struct shrinking *s = user;
    (void)seconds;
    if (outcome->kind == AB_OUTCOME_FAIL && outcome->check == s->check && job < s->best) {
        s->best = (int)job;
        s->outcome = *outcome;
    }
    return s->best > 0;
}

static bool stop_shrinking(void *user)
{
    return ab_interrupted || ab_now_ns() > ((struct shrinking *)user)->deadline;
}

static enum ab_status step(struct shrinking *s, int workers, bool *smaller, struct ab_error *err)
{
    s->count = 0;
    while (s->count < NEIGHBOURS && neighbour(s, s->count, &s->near[s->count])) s->count++;
    s->best = s->count;
    *smaller = false;
    if (!s->count) return AB_OK;
    const struct ab_isolated jobs = {.count = s->count,
                                     .run = run_neighbour,
                                     .report = report_neighbour,
                                     .user = s,
                                     .workers = workers,
                                     .timeout = timeout_of(s),
                                     .stop = stop_shrinking};
    const enum ab_status status = ab_isolate(&jobs, err);
    *smaller = status == AB_OK && s->best < s->count;
    if (*smaller) s->at = s->near[s->best];
    return status;
}

static void run_again(const void *user, long i, struct ab_outcome *outcome)
{
    const struct shrinking *s = user;
    (void)i;
    run_subject(s, &s->at, outcome);
}

/* Makes one failure small. One that does not fail when it is alone says so and stays as it is. */
static enum ab_status shrink_one(const struct ab_verify_session *session,
                                 const struct ab_candidate *c, struct ab_found *f,
                                 struct ab_error *err)
{
    const double seconds = 30;
    struct shrinking s = {.candidate = c, .check = f->check};
    struct ab_outcome again;
    enum ab_status status = parse_subject(&s, f->trial, err);
    if (status == AB_OK) status = ab_verify_once(run_again, &s, timeout_of(&s), &again, err);
    if (status != AB_OK || ab_interrupted) return status;
    if (again.kind != AB_OUTCOME_FAIL || again.check != f->check) {
        const size_t used = strlen(f->why);
        snprintf(f->why + used, sizeof f->why - used, " (not when repeated alone)");
        return AB_OK;
    }
    s.deadline = ab_now_ns() + 1e9 * seconds;
    for (bool smaller = true; smaller && status == AB_OK && !stop_shrinking(&s);) {
        status = step(&s, session->workers, &smaller, err);
        if (!smaller) continue;
        print_subject(&s, f->trial);
        ab_tally_reason(f->why, sizeof f->why, s.outcome.why);
        ab_progress_step(0, "making it smaller: %s", f->trial);
    }
    return status;
}

enum ab_status ab_verify_shrink(struct ab_verify_session *s, const struct ab_verify_plan *plan,
                                struct ab_error *err)
{
    enum ab_status status = AB_OK;
    for (int i = 0; i < s->tally.count; i++) {
        struct ab_verify_row *row = &s->tally.rows[i];
        const bool method = !strcmp(row->op, AB_VERIFY_METHOD);
        const struct ab_candidate *c = method ? NULL : ab_verify_plan_find(plan, row->name);
        if (!c && !method) continue;
        for (int k = 0; k < row->n_found && status == AB_OK && !ab_interrupted; k++) {
            ab_progress_start(1, false);
            ab_progress_step(0, "making it smaller: %s: %s", row->name, row->found[k].trial);
            status = shrink_one(s, c, &row->found[k], err);
            ab_progress_end();
        }
    }
    return status;
}
