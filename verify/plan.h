// SPDX-License-Identifier: Apache-2.0
// What to verify: which candidates, which trials. A request is made of words, so that a program for
// another architecture can be asked in its argument list what the command was asked.
#ifndef AB_VERIFY_PLAN_H
#define AB_VERIFY_PLAN_H

#include "verify/verify.h"

/* ---- requests ---- */

/* Growing texts, owned. */
struct ab_verify_words {
    char **items;
    int count;
};

struct ab_verify_request {
    struct ab_verify_words ops;    /* patterns of operations or candidates; none: all */
    struct ab_verify_words isas;   /* instruction sets of ours; none: those of this CPU */
    struct ab_verify_words shapes; /* texts; none: those of the fixed set */
    int fill;                      /* enum ab_fill, or -1: as each trial has it */
    char file[128];                /* of AB_FILL_FILE */
    bool has_exponent, has_seed;
    int exponent;
    uint64_t seed;
    double most; /* products of a trial, at most; 0: any */
    long every;  /* one trial in so many of the fixed set; from 1 */
};
void ab_verify_request_init(struct ab_verify_request *r);
void ab_verify_request_free(struct ab_verify_request *r);
/* One word: op=GLOB isa=NAME shape=TEXT fill=NAME|FILE.npy exponent=N seed=N most=PRODUCTS every=N.
 * AB_ERR_ARG with the values that there are. */
enum ab_status ab_verify_request_set(struct ab_verify_request *r, const char *key,
                                     const char *value, struct ab_error *err);

/* ---- plans ---- */

struct ab_verify_job {
    int candidate;
    long trial;
};

/* Candidates, trials, and who is judged by what: trial by trial, all candidates of its operation
 * one after the other. */
struct ab_verify_plan {
    struct ab_candidate *candidates;
    int n_candidates;
    struct ab_trial *trials;
    long n_trials;
    struct ab_verify_job *jobs;
    long n_jobs;
};

/* Fills in the kernels of simd/kernels.def that the request names and this CPU runs, then the
 * `extra` ones (of plugins; copied) that its patterns name, and no trials. */
enum ab_status ab_verify_plan_candidates(struct ab_verify_plan *plan,
                                         const struct ab_verify_request *r,
                                         const struct ab_candidate *extra, int n_extra,
                                         struct ab_error *err);
/* Trials of the fixed set; with shapes in the request, a pairwise cover at each shape. Replaces
 * those that are there. AB_ERR_ARG: a shape that no operation of the plan has. */
enum ab_status ab_verify_plan_fixed(struct ab_verify_plan *plan, const struct ab_verify_request *r,
                                    struct ab_error *err);
/* Random trials of every operation, such that any two values of pass, weight transform, epilogue,
 * fill, side, offset, exponent's sign and `with` that can occur together do. */
enum ab_status ab_verify_plan_cover(struct ab_verify_plan *plan, const struct ab_verify_request *r,
                                    struct ab_rng *rng, struct ab_error *err);
/* `count` random trials, of the plan's operations in turn. */
enum ab_status ab_verify_plan_random(struct ab_verify_plan *plan, const struct ab_verify_request *r,
                                     struct ab_rng *rng, long count, struct ab_error *err);
/* One trial of one candidate, in the place of all that is there. */
enum ab_status ab_verify_plan_single(struct ab_verify_plan *plan, const struct ab_candidate *c,
                                     const struct ab_trial *trial, struct ab_error *err);
void ab_verify_plan_free(struct ab_verify_plan *plan);

/* The candidate of that name, or NULL. */
const struct ab_candidate *ab_verify_plan_find(const struct ab_verify_plan *plan, const char *name);

/* Products of a trial, a measure of its time. */
double ab_trial_products(const struct ab_trial *trial);

/* Whether a shell pattern of the list fits the operation's or the candidate's name; an empty list
 * fits all. */
bool ab_verify_wanted(const struct ab_verify_words *patterns, const char *op, const char *name);

#endif
