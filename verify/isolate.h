// SPDX-License-Identifier: Apache-2.0
// Running jobs that may crash, hang or corrupt memory: in child processes, which report over pipes.
#ifndef AB_VERIFY_ISOLATE_H
#define AB_VERIFY_ISOLATE_H

#include "verify/verify.h"

/* Jobs 0..count-1 in any order. run() works in a child, report() in the caller, once per job. A
 * child that dies makes the outcome of the job it was at FAIL (crash, with the signal and, where
 * known, the address), one that is silent for `timeout` seconds is killed (hang), and another takes
 * over from the next job. */
struct ab_isolated {
    long count;
    void (*run)(void *user, long job, struct ab_outcome *outcome);
    /* false: stop, no further reports. */
    bool (*report)(void *user, long job, const struct ab_outcome *outcome, double seconds);
    void *user;
    int workers;    /* processes at a time, from 1 */
    double timeout; /* of one job, seconds */
    /* NULL, or checked between reports: true stops (Ctrl-C). */
    bool (*stop)(void *user);
};
/* AB_ERR_* if processes cannot be made. */
enum ab_status ab_isolate(const struct ab_isolated *jobs, struct ab_error *err);

#endif
