// SPDX-License-Identifier: Apache-2.0
// What limits a configuration: where the time of its executions goes, and what no configuration of
// its kind can exceed.
#ifndef AB_TUNE_LIMITS_H
#define AB_TUNE_LIMITS_H

#include "tune.h"

enum { AB_TUNE_SLOWEST = 5 };

/* What a step comes near to: that share of the measured peak, and more. */
#define AB_TUNE_NEAR 0.5

enum ab_bound { AB_BOUND_COMPUTE, AB_BOUND_MEMORY, AB_BOUND_NEITHER, AB_BOUNDS };
const char *ab_bound_name(enum ab_bound bound);

/* All steps of a layer of the network, forward and backward. */
struct ab_tune_layer {
    char name[96]; /* "": steps of no layer */
    double share;  /* of the time */
    double gflops; /* GFLOP/s of the plain definition; 0: none */
    double roof;   /* the least time that the roofs allow, over the time */
};

struct ab_tune_limits {
    double step_ns;          /* of all steps of one execution, each at its fastest */
    double share[AB_BOUNDS]; /* of that time, in steps near the FMA peak, near the read bandwidth,
                                near neither */
    double reached[2];       /* of COMPUTE's and MEMORY's peak, in the steps near it */
    double gflops, peak;     /* GFLOP/s of all steps; what the instance's threads do at best */
    struct ab_tune_layer slowest[AB_TUNE_SLOWEST]; /* the slowest first */
    int n_slowest, executions;
    bool alone;        /* instances that were idle meanwhile would compete for bandwidth */
    bool winograd;     /* some of the steps: they do fewer multiplications than are counted */
    char verdict[256]; /* in words */
};

/* Profiles the plan of one instance for some `seconds`, in a thread of its own, so that bindings
 * and modes of the caller's stay as they are. input: [batch][c][h][w]; NULL: normal numbers. */
enum ab_status ab_tune_limits(const struct ab_graph *graph, const struct ab_method *method,
                              const struct ab_deploy *d, const float *input, double seconds,
                              struct ab_tune_limits *limits, struct ab_error *err);
/* Words for what the numbers say; for ab_tune_limits, and tests. */
void ab_tune_verdict(struct ab_tune_limits *limits);

/* The native engines of those in `isas` (masks of 1u << AB_ISA_*) whose plans of the method are the
 * same by either algorithm: no layer is one for Winograd. */
enum ab_status ab_tune_one_algo(const struct ab_graph *graph, const struct ab_method *method,
                                unsigned isas, unsigned *one_algo, struct ab_error *err);

/* ---- roofs ---- */

/* Measured peaks of this machine, and the least work of an image. */
struct ab_tune_roof;
enum ab_status ab_tune_roof_create(const struct ab_graph *graph, const struct ab_method *method,
                                   struct ab_tune_roof **roof, struct ab_error *err);
void ab_tune_roof_destroy(struct ab_tune_roof **roof);
/* Images a second that the point cannot exceed, with a tenth of room: by the multiplications that
 * its algorithms cannot do without, and by the weights, which each execution reads. INFINITY: none
 * known. For ab_search_options.roof. */
double ab_tune_roof(void *roof, const struct ab_point *point);

/* The least multiply-adds x 2 of one image, and bytes of weights that one execution reads. */
struct ab_tune_work {
    double direct, fast; /* plain sums without the zeros of padding; Winograd where it applies */
    double weights;
};
enum ab_status ab_tune_work(const struct ab_graph *graph, const struct ab_method *method,
                            struct ab_tune_work *work, struct ab_error *err);

#endif
