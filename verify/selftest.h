// SPDX-License-Identifier: Apache-2.0
// The test of the validator itself: every seeded bug must be caught, by a check that is there for
// it, and the texts that they are planted in must pass.
#ifndef AB_VERIFY_SELFTEST_H
#define AB_VERIFY_SELFTEST_H

#include "verify/verify.h"

enum ab_selftest_verdict {
    AB_SELFTEST_CAUGHT,   /* a bug, by a check of its list */
    AB_SELFTEST_SOUND,    /* a text without a bug passes all trials */
    AB_SELFTEST_SKIPPED,  /* this CPU has no kernel that the bug could stand in for */
    AB_SELFTEST_SURVIVED, /* a bug passes all trials */
    AB_SELFTEST_MISTAKEN, /* a bug is caught by a check that has nothing to do with it */
    AB_SELFTEST_UNSOUND,  /* a text without a bug fails */
    AB_SELFTEST_VERDICTS
};
const char *ab_selftest_verdict_name(enum ab_selftest_verdict verdict);
static inline bool ab_selftest_is_bad(enum ab_selftest_verdict verdict)
{
    return verdict >= AB_SELFTEST_SURVIVED;
}

/* How one bug, or one text, fared. */
struct ab_selftest_line {
    const char *name, *what;
    enum ab_kernel_op op;
    enum ab_selftest_verdict verdict;
    enum ab_check check; /* that failed; AB_CHECK_none if none */
    int trials;          /* run, the one that failed among them */
    double seconds;
    char trial[512]; /* the one that failed, or "" */
    char why[256];   /* as the outcome's */
};

struct ab_selftest {
    const char *only; /* NULL, or a part of the names of bugs and texts that are to be run */
    int workers;      /* processes at a time, from 1 */
    double timeout;   /* of one trial, seconds: what a hang costs */
    /* Called once per bug and text, in any order; false: stop. */
    bool (*report)(void *user, const struct ab_selftest_line *line);
    bool (*stop)(void *user); /* or NULL; as of struct ab_isolated */
    void *user;
};

struct ab_selftest_counts {
    int lines[AB_SELFTEST_VERDICTS];
};

/* Runs all, each bug through the fixed trials of its operation until a check fails. AB_ERR_* if
 * processes or memory cannot be had; what the bugs do is in the lines and counts alone. */
enum ab_status ab_selftest(const struct ab_selftest *test, struct ab_selftest_counts *counts,
                           struct ab_error *err);

#endif
