// SPDX-License-Identifier: Apache-2.0
// Checked calls, alone and several at a time; the machine's part is in call_<architecture>.c.
#include "verify/call.h"

#include "verify/call_machine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Functions without a result are called as functions with one, which nobody looks at: in all
 * calling conventions here a result is a register. */
void ab_call(void (*run)(const void *), const void *args, struct ab_outcome *outcome)
{
    union {
        void (*without)(const void *);
        int (*with)(const void *);
    } f = {run};
    ab_call_machine(f.with, args, outcome);
}

int ab_call_foreign(int (*run)(const void *), const void *args, struct ab_outcome *outcome)
{
    return ab_call_machine(run, args, outcome);
}

/* ---- several at a time ---- */

/* Threads wait until all have been made: 0 wait, 1 call, -1 leave. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int state;
};

struct together {
    struct gate *gate;
    void (*run)(const void *);
    const void *args;
    struct ab_outcome outcome;
    pthread_t thread;
};

static void *work(void *user)
{
    struct together *t = user;
    pthread_mutex_lock(&t->gate->lock);
    while (t->gate->state == 0) pthread_cond_wait(&t->gate->changed, &t->gate->lock);
    bool go = t->gate->state == 1;
    pthread_mutex_unlock(&t->gate->lock);
    if (go) ab_call(t->run, t->args, &t->outcome);
    return NULL;
}

static void open_gate(struct gate *gate, int state)
{
    pthread_mutex_lock(&gate->lock);
    gate->state = state;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void skip(struct ab_outcome *outcome, const char *why)
{
    if (ab_outcome_failed(outcome)) return;
    outcome->kind = AB_OUTCOME_SKIPPED;
    snprintf(outcome->why, sizeof outcome->why, "%s", why);
}

void ab_call_together(void (*run)(const void *), const void *const *args, int count,
                      struct ab_outcome *outcome)
{
    if (count <= 0) return;
    struct together *jobs = calloc((size_t)count, sizeof *jobs);
    if (!jobs) {
        skip(outcome, "out of memory for concurrent calls");
        return;
    }
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    int made = 0;
    for (; made < count; made++) {
        jobs[made] = (struct together){.gate = &gate, .run = run, .args = args[made]};
        if (pthread_create(&jobs[made].thread, NULL, work, &jobs[made]) != 0) break;
    }
    open_gate(&gate, made == count ? 1 : -1);
    for (int i = 0; i < made; i++) {
        pthread_join(jobs[i].thread, NULL);
        const struct ab_outcome *o = &jobs[i].outcome;
        if (ab_outcome_failed(o)) ab_outcome_fail(outcome, o->check, "%s", o->why);
    }
    if (made < count) skip(outcome, "threads for concurrent calls cannot be made");
    pthread_cond_destroy(&gate.changed);
    pthread_mutex_destroy(&gate.lock);
    free(jobs);
}
