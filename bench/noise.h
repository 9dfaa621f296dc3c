// SPDX-License-Identifier: Apache-2.0
// The noise floor: by how much the same program differs from itself (A/A) between fresh processes,
// for each class of rows.
//
// "By turns" is what two processes show that are measured together, slice by slice, as
// `compare --against` and `gate` measure builds; "apart" what two show that are measured one after
// the other, as two saved runs are.
#ifndef AB_NOISE_H
#define AB_NOISE_H

#include "base/base.h"

enum { AB_NOISE_CLASS = 48 };
enum ab_noise_way { AB_NOISE_TURNS, AB_NOISE_APART, AB_NOISE_WAYS };

struct ab_noise_class {
    char name[AB_NOISE_CLASS];   /* "kernel", "step", "method", or a kernel's operation */
    double *logs[AB_NOISE_WAYS]; /* |log(B/A)| of every pair of processes and row */
    int count[AB_NOISE_WAYS];
};

struct ab_noise {
    struct ab_noise_class *classes;
    int count;
    int processes, cases; /* that were measured */
    double seconds;
};

/* One more ratio of a class. False: out of memory. */
bool ab_noise_add(struct ab_noise *n, const char *name, enum ab_noise_way way, double ratio);
/* The floor of a class as a share (0.004: 0.4 %): one standard deviation of the difference if
 * differences are normal, more where some are far out. NaN: too few pairs. */
double ab_noise_floor(const struct ab_noise_class *c, enum ab_noise_way way);
/* The largest difference, as a share; NaN: none. */
double ab_noise_worst(const struct ab_noise_class *c, enum ab_noise_way way);
void ab_noise_free(struct ab_noise *n);

struct ab_noise_options {
    int processes; /* fresh ones, in pairs: at least 2 */
    const char
        *kernels;   /* a shell pattern: all usual cases of these; NULL: some of each operation */
    double seconds; /* of sampling a case with one pair */
    double most;    /* seconds in all, after which no case is begun; 0: no limit */
    void (*progress)(double more, const char *what); /* a share of all; may be NULL */
    bool (*stop)(void);                              /* whether to end early; may be NULL */
};
/* Measures pair after pair. Ends early when `stop` says so or the time is over; what was
 * measured until then counts. `notes`: what could not be measured and why, the first such; "". */
enum ab_status ab_noise_measure(const struct ab_noise_options *o, struct ab_noise *n,
                                char notes[256], struct ab_error *err);

#endif
