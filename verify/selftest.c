// SPDX-License-Identifier: Apache-2.0
// Every seeded bug, and every text that bugs are planted in, through the fixed trials.
//
// Work goes in rounds: in each, all that are still open run their next few trials, one job each, in
// processes that may die. A job tells through shared memory which trial it is at.
#define _DEFAULT_SOURCE 1
#include "verify/selftest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "verify/bugs.h"
#include "verify/isolate.h"

/* Trials of one job: many enough that starting processes costs little, few enough that all that
 * are open advance together and that a job is over long before it would pass for one that hangs. */
enum { ROUND = 32 };

/* A bug or a text under test. */
struct subject {
    const struct ab_bug *bug; /* NULL: a text without a bug */
    struct ab_kernel kernel;
    struct ab_candidate candidate;
    const struct ab_verify_op *op;
    int next, trials; /* the first trial not run yet; how many there are */
    bool over;
    double seconds;
};

struct selftest {
    const struct ab_selftest *test;
    struct ab_selftest_counts *counts;
    struct subject *subjects;
    int count, open;
    int *who;         /* [open]: the subject of each job */
    volatile int *at; /* [count], shared with the processes: the trial that a subject is at */
    bool stopped;
};

const char *ab_selftest_verdict_name(enum ab_selftest_verdict verdict)
{
    static const char *const names[] = {"caught",   "sound",    "skipped",
                                        "survived", "mistaken", "unsound"};
    return names[verdict];
}

/* ---- what is tested ---- */

static const struct {
    enum ab_kernel_op op;
    const char *name;
    void (*run)(const void *args);
} texts[] = {
    {AB_KERNEL_conv2d, "text:conv2d", ab_bug_sound_conv2d},
    {AB_KERNEL_maxpool, "text:maxpool", ab_bug_sound_maxpool},
    {AB_KERNEL_avgpool, "text:avgpool", ab_bug_sound_avgpool},
    {AB_KERNEL_pointwise, "text:pointwise", ab_bug_sound_pointwise},
    {AB_KERNEL_select, "text:select", ab_bug_sound_select},
};
enum { TEXTS = sizeof texts / sizeof *texts };

static bool wanted(const struct selftest *s, const char *name)
{
    return !s->test->only || strstr(name, s->test->only);
}

/* The next free subject, of a candidate of `kernel`. */
static struct subject *add_subject(struct selftest *s, const struct ab_kernel *kernel,
                                   const char *name)
{
    struct subject *it = &s->subjects[s->count++];
    *it = (struct subject){.kernel = *kernel, .op = ab_verify_op_of(kernel->op)};
    snprintf(it->candidate.name, sizeof it->candidate.name, "%s", name);
    snprintf(it->candidate.isa, sizeof it->candidate.isa, "%s", ab_isa_name(kernel->isa));
    it->candidate.op = kernel->op;
    struct ab_trial trial;
    while (it->op->fixed(it->trials, &trial)) it->trials++;
    return it;
}

static void add_texts(struct selftest *s)
{
    for (int i = 0; i < TEXTS; i++)
        if (wanted(s, texts[i].name) && ab_verify_op_of(texts[i].op)) {
            const struct ab_kernel *base = ab_bug_base(texts[i].op, "ref");
            add_subject(s, base, texts[i].name)->kernel.run = texts[i].run;
        }
}

static bool skip(struct selftest *s, const struct ab_bug *bug, bool judged)
{
    struct ab_selftest_line line = {bug->name, bug->what, bug->op, AB_SELFTEST_SKIPPED, .why = ""};
    if (judged)
        snprintf(line.why, sizeof line.why, "this CPU has no kernel %s_%s",
                 ab_kernel_op_name(bug->op), bug->like);
    else
        snprintf(line.why, sizeof line.why, "no trials of %s", ab_kernel_op_name(bug->op));
    s->counts->lines[AB_SELFTEST_SKIPPED]++;
    return s->test->report(s->test->user, &line);
}

static bool is_known(const struct selftest *s, const char *name)
{
    for (int i = 0; i < s->count; i++)
        if (strcmp(s->subjects[i].candidate.name, name) == 0) return true;
    return false;
}

/* The bugs, and the kernels that they stand in for. */
static void add_bugs(struct selftest *s)
{
    int count;
    const struct ab_bug *bugs = ab_bugs(&count);
    for (int i = 0; i < count && !s->stopped; i++) {
        struct ab_kernel kernel;
        struct ab_candidate candidate;
        const struct ab_kernel *base = ab_bug_base(bugs[i].op, bugs[i].like);
        const bool judged = ab_verify_op_of(bugs[i].op) != NULL;
        if (judged && base && wanted(s, base->name) && !is_known(s, base->name))
            add_subject(s, base, base->name);
        if (!wanted(s, bugs[i].name)) continue;
        if (judged && ab_bug_candidate(&bugs[i], &kernel, &candidate))
            add_subject(s, &kernel, candidate.name)->bug = &bugs[i];
        else
            s->stopped = !skip(s, &bugs[i], judged);
    }
}

/* ---- jobs ---- */

static void run_job(void *user, long job, struct ab_outcome *outcome)
{
    struct selftest *s = user;
    struct subject *it = &s->subjects[s->who[job]];
    it->candidate.kernel = &it->kernel;
    for (int i = it->next; i < it->trials && i < it->next + ROUND; i++) {
        struct ab_trial trial;
        s->at[s->who[job]] = i;
        memset(outcome, 0, sizeof *outcome);
        if (it->op->fixed(i, &trial)) it->op->run(&it->candidate, &trial, outcome, NULL);
        if (ab_outcome_failed(outcome)) return;
    }
}

static enum ab_selftest_verdict verdict_of(const struct subject *it,
                                           const struct ab_outcome *outcome)
{
    if (!ab_outcome_failed(outcome)) return it->bug ? AB_SELFTEST_SURVIVED : AB_SELFTEST_SOUND;
    if (!it->bug) return AB_SELFTEST_UNSOUND;
    return it->bug->checks >> outcome->check & 1u ? AB_SELFTEST_CAUGHT : AB_SELFTEST_MISTAKEN;
}

static bool finish(struct selftest *s, struct subject *it, const struct ab_outcome *outcome)
{
    struct ab_selftest_line line = {
        .name = it->bug ? it->bug->name : it->candidate.name,
        .what = it->bug ? it->bug->what : "without a bug",
        .op = it->candidate.op,
        .verdict = verdict_of(it, outcome),
        .trials = it->trials,
        .seconds = it->seconds,
    };
    if (ab_outcome_failed(outcome)) {
        struct ab_trial trial;
        const int at = s->at[it - s->subjects];
        line.check = outcome->check;
        line.trials = at + 1;
        if (it->op->fixed(at, &trial)) ab_trial_print(&trial, line.trial, sizeof line.trial);
        snprintf(line.why, sizeof line.why, "%s", outcome->why);
    }
    it->over = true;
    s->counts->lines[line.verdict]++;
    return s->test->report(s->test->user, &line);
}

static bool report_job(void *user, long job, const struct ab_outcome *outcome, double seconds)
{
    struct selftest *s = user;
    struct subject *it = &s->subjects[s->who[job]];
    it->next += ROUND;
    it->seconds += seconds;
    if (ab_outcome_failed(outcome) || it->next >= it->trials)
        s->stopped = !finish(s, it, outcome) || s->stopped;
    return !s->stopped;
}

static bool should_stop(void *user)
{
    struct selftest *s = user;
    if (s->test->stop && s->test->stop(s->test->user)) s->stopped = true;
    return s->stopped;
}

static enum ab_status run_round(struct selftest *s, struct ab_error *err)
{
    s->open = 0;
    for (int i = 0; i < s->count; i++)
        if (!s->subjects[i].over) s->who[s->open++] = i;
    if (s->open == 0) return AB_OK;
    const struct ab_isolated jobs = {
        .count = s->open,
        .run = run_job,
        .report = report_job,
        .user = s,
        .workers = s->test->workers,
        .timeout = s->test->timeout,
        .stop = should_stop,
    };
    return ab_isolate(&jobs, err);
}

enum ab_status ab_selftest(const struct ab_selftest *test, struct ab_selftest_counts *counts,
                           struct ab_error *err)
{
    struct selftest s = {.test = test, .counts = counts};
    int bugs;
    enum ab_status status = AB_OK;
    ab_bugs(&bugs);
    const size_t most = (size_t)(2 * bugs + TEXTS); /* each bug brings one kernel at most */
    memset(counts, 0, sizeof *counts);
    void *shared =
        mmap(NULL, most * sizeof *s.at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s.subjects = calloc(most, sizeof *s.subjects);
    s.who = calloc(most, sizeof *s.who);
    if (shared == MAP_FAILED || !s.subjects || !s.who) {
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for the self-test");
        goto done;
    }
    s.at = shared;
    add_texts(&s);
    add_bugs(&s);
    if (test->only && s.count == 0 && counts->lines[AB_SELFTEST_SKIPPED] == 0)
        status = ab_fail(err, AB_ERR_ARG, "no seeded bug is named like '%s'", test->only);
    do {
        if (status == AB_OK) status = run_round(&s, err);
    } while (status == AB_OK && s.open > 0 && !s.stopped);
done:
    if (shared != MAP_FAILED) munmap(shared, most * sizeof *s.at);
    free(s.subjects);
    free(s.who);
    return status;
}
