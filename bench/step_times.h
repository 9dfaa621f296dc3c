// SPDX-License-Identifier: Apache-2.0
// The time of each step of a plan, and the least that the machine's peaks allow.
#ifndef AB_STEP_TIMES_H
#define AB_STEP_TIMES_H

#include "plan/plan.h"
#include "slices.h"

/* The plan whose steps are timed, and on what: that of the base method on some samples, where the
 * method is one that samples. */
struct ab_timed {
    struct ab_plan *plan;
    const float *input;
    const int *targets;
    char what[64]; /* "one execution" */
};
/* For a plan of one method, or of several of a single pass; executes a sampler once. */
enum ab_status ab_timed_choose(struct ab_plan *plan, const float *input, const int *targets,
                               struct ab_timed *timed, struct ab_error *err);

struct ab_step_race {
    const struct ab_timed *timed;
    int threads;
    double seconds, least_ns;   /* as in struct ab_race_options, and struct ab_local */
    void (*before)(void *user); /* each execution, untimed; NULL: nothing */
    void *user;
};
/* Fills a zeroed series: parts are steps. */
enum ab_status ab_step_times(const struct ab_step_race *race, struct ab_series *series,
                             struct ab_error *err);
/* The fastest of the executions: steps are short enough for that to mean something. */
double ab_step_least(const struct ab_series *series, int step);

/* The layer's name; "": none. */
const char *ab_step_layer(const struct ab_plan *plan, const struct ab_step *step);

/* The least time that the multiplications of the plain definition and the bytes take on the plan's
 * threads, which together reach `peak` GFLOP/s (0: unknown). What cannot be done at once is the
 * longer of the two. Bytes of small steps come from a cache. */
struct ab_step_roof {
    double compute_ns, memory_ns;
};
struct ab_step_roof ab_step_roof_of(const struct ab_plan *plan, const struct ab_step *step,
                                    double peak);

#endif
