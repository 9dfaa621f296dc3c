// SPDX-License-Identifier: Apache-2.0
// Running jobs that may crash, hang or corrupt memory: in child processes, which report over pipes.
#ifndef AB_VERIFY_ISOLATE_H
#define AB_VERIFY_ISOLATE_H

#include "verify/verify.h"

/* Jobs 0..count-1 in any order. run() works in a child, report() in the caller, once per job. A
 * child that ends, by a signal or by exit(), makes the outcome of the job it was at FAIL (crash,
 * with the signal and, where known, the address), one that is at a job for longer than `timeout` is
 * killed (hang), and another takes over from the next job.
 *
 * Children are copies of the caller at the moment they are made, which for those that replace
 * another one is late. The caller must have no other threads then, and must not have run a parallel
 * region of OpenMP: libgomp's threads do not exist in the copy, and its next region hangs. Children
 * themselves may use both. They end with the caller, whatever ends it, and ignore Ctrl-C: a caller
 * that handles it stops them through `stop`. */
struct ab_isolated {
    long count;
    void (*run)(void *user, long job, struct ab_outcome *outcome);
    /* false: stop, no further reports. `seconds` is by the clock on the wall. */
    bool (*report)(void *user, long job, const struct ab_outcome *outcome, double seconds);
    void *user;
    int workers;    /* processes at a time, from 1 */
    double timeout; /* of one job, seconds; 0: none */
    /* NULL, or checked between reports and every 50 ms: true stops (Ctrl-C). */
    bool (*stop)(void *user);
};
/* AB_OK after the last job or a stop. AB_ERR_* if processes cannot be made, or were killed from
 * outside before they said which job they were at. No process is left behind. */
enum ab_status ab_isolate(const struct ab_isolated *jobs, struct ab_error *err);

#endif
