// SPDX-License-Identifier: Apache-2.0
// Running cases in processes that may die, and keeping what they report.
#include "verify_inside.h"

#include "run.h"
#include "verify/isolate.h"

#include <string.h>

struct engine {
    struct ab_verify_session *session;
    const struct ab_verify_cases *cases;
    double done, shown; /* weight not yet told; when it last was, ab_now_ns() */
    long reported;
};

double ab_verify_timeout(double products)
{
    return 20 + products / 5e6;
}

static bool stop(void *user)
{
    const struct ab_verify_session *s = ((struct engine *)user)->session;
    return ab_interrupted || s->stopped || (s->deadline > 0 && ab_now_ns() > s->deadline);
}

static void tell(struct engine *e, const char *name)
{
    const struct ab_tally *t = &e->session->tally;
    const double now = ab_now_ns();
    if (now - e->shown < 1e8) return;
    if (e->session->deadline > 0) /* progress is that of time */
        ab_progress_step((now - e->shown) / 1e9, "%ld cases, %ld failed, %s", ab_tally_cases(t),
                         ab_tally_failures(t), name);
    else
        ab_progress_step(e->done, "%ld of %ld cases, %ld failed, %s", e->reported, e->cases->count,
                         ab_tally_failures(t), name);
    e->done = 0;
    e->shown = now;
}

static struct ab_verify_row *row_of(const struct engine *e, long i)
{
    char name[96], isa[16], op[24];
    e->cases->label(e->cases->user, i, name, isa, op);
    struct ab_verify_row *row = ab_tally_row(&e->session->tally, name, isa, op);
    if (row && e->cases->options) e->cases->options(e->cases->user, i, row->options);
    return row;
}

static void run_case(void *user, long i, struct ab_outcome *outcome)
{
    const struct engine *e = user;
    e->cases->run(e->cases->user, i, outcome);
}

static bool report_case(void *user, long i, const struct ab_outcome *outcome, double seconds)
{
    struct engine *e = user;
    struct ab_verify_row *row = row_of(e, i); /* there is one: begin() */
    char text[AB_CASE_TEXT];
    (void)seconds;
    e->cases->print(e->cases->user, i, text);
    ab_tally_add(row, text, outcome);
    e->reported++;
    e->done += e->cases->weight(e->cases->user, i);
    tell(e, row->name);
    if (outcome->kind == AB_OUTCOME_FAIL && e->session->settings->fail_fast)
        e->session->stopped = true;
    return !stop(e);
}

/* All rows, in the order of the cases, whatever the order of their reports. */
static enum ab_status begin(const struct engine *e, struct ab_error *err)
{
    const struct ab_verify_cases *c = e->cases;
    double total = 0;
    for (long i = 0; i < c->count; i++) {
        if (!row_of(e, i)) return ab_fail(err, AB_ERR_MEMORY, "out of memory for the table");
        total += c->weight(c->user, i);
    }
    if (e->session->deadline > 0) return AB_OK;
    ab_progress_start(total, false);
    ab_progress_step(0, "%s: %ld cases", c->what, c->count);
    return AB_OK;
}

enum ab_status ab_verify_run_cases(struct ab_verify_session *s, const struct ab_verify_cases *cases,
                                   struct ab_error *err)
{
    struct engine e = {.session = s, .cases = cases, .shown = ab_now_ns()};
    if (!cases->count || stop(&e)) {
        s->left_out += cases->count;
        return AB_OK;
    }
    enum ab_status status = begin(&e, err);
    if (status != AB_OK) return status;
    const struct ab_isolated jobs = {.count = cases->count,
                                     .run = run_case,
                                     .report = report_case,
                                     .user = &e,
                                     .workers = s->workers,
                                     .timeout = cases->timeout,
                                     .stop = stop};
    status = ab_isolate(&jobs, err);
    if (!(s->deadline > 0)) ab_progress_end();
    s->left_out += cases->count - e.reported;
    return status;
}

/* ---- jobs of a plan ---- */

struct plan_cases {
    const struct ab_verify_session *session;
    const struct ab_verify_plan *plan;
};

static const struct ab_trial *trial_of(const void *user, long i)
{
    const struct ab_verify_plan *plan = ((const struct plan_cases *)user)->plan;
    return &plan->trials[plan->jobs[i].trial];
}

static const struct ab_candidate *candidate_of(const void *user, long i)
{
    const struct ab_verify_plan *plan = ((const struct plan_cases *)user)->plan;
    return &plan->candidates[plan->jobs[i].candidate];
}

static void run_job(const void *user, long i, struct ab_outcome *outcome)
{
    const struct ab_trial *t = trial_of(user, i);
    ab_verify_op_of(t->op)->run(candidate_of(user, i), t, outcome, NULL);
}

static void print_job(const void *user, long i, char text[AB_CASE_TEXT])
{
    ab_trial_print(trial_of(user, i), text, AB_CASE_TEXT);
}

static void label_job(const void *user, long i, char name[96], char isa[16], char op[24])
{
    const struct ab_candidate *c = candidate_of(user, i);
    memcpy(name, c->name, sizeof c->name);
    memcpy(isa, c->isa, sizeof c->isa);
    snprintf(op, 24, "%s", ab_kernel_op_name(c->op));
}

static void options_of_job(const void *user, long i, char text[AB_OPTIONS_TEXT])
{
    const struct plan_cases *p = user;
    ab_verify_repro_options(p->session, candidate_of(user, i), text, AB_OPTIONS_TEXT);
}

/* Rough seconds: processes, memory and truth, then products. */
static double weigh_job(const void *user, long i)
{
    return 1e-3 + 1e-7 * ab_trial_products(trial_of(user, i));
}

enum ab_status ab_verify_execute(struct ab_verify_session *s, const struct ab_verify_plan *plan,
                                 struct ab_error *err)
{
    const struct plan_cases user = {s, plan};
    double most = 0;
    for (long i = 0; i < plan->n_trials; i++) {
        const double products = ab_trial_products(&plan->trials[i]);
        if (products > most) most = products;
    }
    const struct ab_verify_cases cases = {.what = "kernels",
                                          .count = plan->n_jobs,
                                          .run = run_job,
                                          .print = print_job,
                                          .label = label_job,
                                          .options = options_of_job,
                                          .weight = weigh_job,
                                          .user = &user,
                                          .timeout = ab_verify_timeout(most)};
    return ab_verify_run_cases(s, &cases, err);
}

/* ---- one case ---- */

struct single {
    void (*run)(const void *user, long i, struct ab_outcome *outcome);
    const void *user;
    struct ab_outcome *outcome;
};

static void run_single(void *user, long job, struct ab_outcome *outcome)
{
    const struct single *one = user;
    one->run(one->user, job, outcome);
}

static bool report_single(void *user, long job, const struct ab_outcome *outcome, double seconds)
{
    (void)job, (void)seconds;
    *((struct single *)user)->outcome = *outcome;
    return true;
}

static bool stop_single(void *user)
{
    (void)user;
    return ab_interrupted;
}

enum ab_status ab_verify_once(void (*run)(const void *, long, struct ab_outcome *),
                              const void *user, double timeout, struct ab_outcome *outcome,
                              struct ab_error *err)
{
    struct single one = {run, user, outcome};
    const struct ab_isolated jobs = {.count = 1,
                                     .run = run_single,
                                     .report = report_single,
                                     .user = &one,
                                     .workers = 1,
                                     .timeout = timeout,
                                     .stop = stop_single};
    *outcome = (struct ab_outcome){.kind = AB_OUTCOME_SKIPPED, .why = "interrupted"};
    return ab_isolate(&jobs, err);
}
