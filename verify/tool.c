// SPDX-License-Identifier: Apache-2.0
// attrbench-verify: the validator without the command around it, for an architecture that is
// emulated. `attrbench verify --isa all` starts it and reads what it prints:
//
//     attrbench-verify run KEY=VALUE...       fixed set; keys of ab_verify_request_set, and
//                                             workers=N seconds=N (stops starting trials then)
//     attrbench-verify repro CANDIDATE TRIAL  one case; after it dump=DIR
//
// Lines of tab-separated fields:
//
//     candidate NAME ISA OPERATION
//     jobs COUNT
//     outcome NAME KIND CHECK RATIO SHARP ELEMENTS UNDETERMINED TRIAL WHY
//     done COUNT        how many were reported; missing if the program was cut short
//
// Exit code 0 whatever was found, 2 for wrong usage, 1 for errors, one line on stderr.
#include "verify/isolate.h"
#include "verify/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct tool {
    struct ab_verify_plan plan;
    struct ab_verify_request request;
    int workers;
    double seconds, start; /* 0: no limit */
    const char *dump;
    long reported;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_job(void *user, long job, struct ab_outcome *outcome)
{
    const struct tool *tool = user;
    const struct ab_verify_job *j = &tool->plan.jobs[job];
    const struct ab_trial *t = &tool->plan.trials[j->trial];
    ab_verify_op_of(t->op)->run(&tool->plan.candidates[j->candidate], t, outcome, tool->dump);
}

static bool report_job(void *user, long job, const struct ab_outcome *o, double seconds)
{
    struct tool *tool = user;
    const struct ab_verify_job *j = &tool->plan.jobs[job];
    char trial[AB_TRIAL_TEXT];
    (void)seconds;
    ab_trial_print(&tool->plan.trials[j->trial], trial, sizeof trial);
    printf("outcome\t%s\t%s\t%s\t%.17g\t%.17g\t%ld\t%ld\t%s\t%s\n",
           tool->plan.candidates[j->candidate].name, ab_outcome_name(o->kind),
           ab_check_name(o->check), o->ratio, o->sharp, o->elements, o->undetermined, trial,
           o->why);
    tool->reported++;
    return fflush(stdout) == 0;
}

static bool stop(void *user)
{
    const struct tool *tool = user;
    return tool->seconds > 0 && now() - tool->start > tool->seconds;
}

static enum ab_status run_plan(struct tool *tool, struct ab_error *err)
{
    for (int i = 0; i < tool->plan.n_candidates; i++) {
        const struct ab_candidate *c = &tool->plan.candidates[i];
        printf("candidate\t%s\t%s\t%s\n", c->name, c->isa, ab_kernel_op_name(c->op));
    }
    printf("jobs\t%ld\n", tool->plan.n_jobs);
    fflush(stdout);
    const struct ab_isolated jobs = {.count = tool->plan.n_jobs,
                                     .run = run_job,
                                     .report = report_job,
                                     .user = tool,
                                     .workers = tool->workers,
                                     .timeout = 120, /* emulated */
                                     .stop = stop};
    const enum ab_status status = tool->plan.n_jobs ? ab_isolate(&jobs, err) : AB_OK;
    if (status == AB_OK) printf("done\t%ld\n", tool->reported);
    return status;
}

static enum ab_status set_word(struct tool *tool, const char *word, struct ab_error *err)
{
    char key[32];
    const size_t length = strcspn(word, "=");
    if (!word[length] || length >= sizeof key)
        return ab_fail(err, AB_ERR_ARG, "'%.60s' will not do; give KEY=VALUE", word);
    memcpy(key, word, length);
    key[length] = '\0';
    const char *value = word + length + 1;
    if (!strcmp(key, "workers") || !strcmp(key, "seconds")) {
        char *end;
        const double v = strtod(value, &end);
        if (end == value || *end || !(v >= 1 && v <= 1e6))
            return ab_fail(err, AB_ERR_ARG, "%s '%.60s' will not do; give a number from 1", key,
                           value);
        if (*key == 'w')
            tool->workers = (int)v;
        else
            tool->seconds = v;
        return AB_OK;
    }
    return ab_verify_request_set(&tool->request, key, value, err);
}

static enum ab_status run(struct tool *tool, int n, char **words, struct ab_error *err)
{
    enum ab_status status = AB_OK;
    for (int i = 0; i < n && status == AB_OK; i++) status = set_word(tool, words[i], err);
    if (status == AB_OK)
        status = ab_verify_plan_candidates(&tool->plan, &tool->request, NULL, 0, err);
    if (status == AB_OK) status = ab_verify_plan_fixed(&tool->plan, &tool->request, err);
    return status == AB_OK ? run_plan(tool, err) : status;
}

/* A plan of one trial of one candidate. */
static enum ab_status repro(struct tool *tool, int n, char **words, struct ab_error *err)
{
    struct ab_trial trial;
    struct ab_verify_plan *plan = &tool->plan;
    if (n < 2) return ab_fail(err, AB_ERR_ARG, "repro: give CANDIDATE and TRIAL");
    if (n > 2 && !strncmp(words[2], "dump=", 5)) tool->dump = words[2] + 5;
    enum ab_status status = ab_verify_plan_candidates(plan, &tool->request, NULL, 0, err);
    if (status == AB_OK) status = ab_trial_parse(words[1], &trial, err);
    if (status != AB_OK) return status;
    const struct ab_candidate *c = ab_verify_plan_find(plan, words[0]);
    if (!c || c->op != trial.op)
        return ab_fail(err, AB_ERR_ARG, "repro: no candidate '%.90s' for this trial", words[0]);
    status = ab_verify_plan_single(plan, c, &trial, err);
    return status == AB_OK ? run_plan(tool, err) : status;
}

int main(int argc, char **argv)
{
    struct tool tool = {.workers = 1, .start = now()};
    struct ab_error err;
    enum ab_status status;
    ab_verify_request_init(&tool.request);
    if (argc >= 2 && !strcmp(argv[1], "run"))
        status = run(&tool, argc - 2, argv + 2, &err);
    else if (argc >= 2 && !strcmp(argv[1], "repro"))
        status = repro(&tool, argc - 2, argv + 2, &err);
    else
        status = ab_fail(&err, AB_ERR_ARG,
                         "usage: attrbench-verify run KEY=VALUE... | repro CANDIDATE TRIAL "
                         "[dump=DIR]");
    ab_verify_plan_free(&tool.plan);
    ab_verify_request_free(&tool.request);
    if (status == AB_OK && fflush(stdout) == 0) return 0;
    fprintf(stderr, "attrbench-verify: %s\n", status == AB_OK ? "cannot write" : err.text);
    return status == AB_ERR_ARG ? 2 : 1;
}
