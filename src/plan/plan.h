// SPDX-License-Identifier: Apache-2.0
// A plan and its executor: program + backend + two buffers. Internal view, for agreement checks and
// the driver.
//
// This layer knows methods of a single pass alone: one program computes all of them. The public
// ab_plan_create and its kin live above, in src/sample, which adds the methods that run a plan many
// times.
#ifndef AB_PLAN_H
#define AB_PLAN_H

#include "backend/backend.h"

struct ab_plan {
    const struct ab_backend *backend;
    struct ab_program program;
    struct ab_exec exec;
    size_t arena_bytes;
    bool inside;                  /* walks begin at a layer: targets say nothing */
    double *logits;               /* staging for the caller's logits */
    struct ab_samplers *samplers; /* what src/sample adds; NULL: every method is in the program */
};

/* Whether plans can have this backend here: `text` as in ab_plan_options. */
enum ab_status ab_backend_known(const char *text, struct ab_error *err);

/* Plans of single-pass methods, without `samplers`. Arguments and errors are those of
 * ab_plan_create and its kin, except that there may be no method at all: then the plan gives logits
 * alone. */
enum ab_status ab_single_create(const struct ab_graph *graph,
                                const struct ab_method *const *methods, int n_methods,
                                const struct ab_plan_options *options, struct ab_plan **plan,
                                struct ab_error *err);
/* What theory and samplers ask of plans beside maps. Walks back may begin inside the network: at
 * the output of layer `from`, with signals that the caller gives instead of a method's seed. A map
 * is computed for each method and signal, number m * signals + k of them; the forward pass and what
 * depends on it alone is shared by all. What lies above the layer is not computed: the `logits` of
 * such a plan are the layer's own output, [batch][c][h][w], and targets say nothing. */
struct ab_plan_inside {
    const char *from; /* NULL: the logits, with the methods' seeds */
    int signals;      /* 1 or more; 0 where from is NULL */
    bool keep;        /* ab_plan_activation and ab_plan_signal_at work; takes more memory */
};
/* As ab_single_create, for walks from inside; no layer of that name is an AB_ERR_ARG. */
enum ab_status ab_single_create_inside(const struct ab_graph *graph,
                                       const struct ab_method *const *methods, int n_methods,
                                       const struct ab_plan_options *options,
                                       const struct ab_plan_inside *inside, struct ab_plan **plan,
                                       struct ab_error *err);
/* The signals of such a plan's later executions, [signal][batch][c][h][w] of the layer's output.
 * Borrowed until replaced; executing without them, or with one that is not finite, is an
 * AB_ERR_ARG. */
void ab_plan_signal(struct ab_plan *plan, const float *values);
/* Values of a plan with `keep`, to peek at after an execution: the output of a node (index in the
 * graph), and the signal R that arrived there on the way to map number `map`; -1: none (the walk
 * does not come by). */
int ab_plan_activation(const struct ab_plan *plan, int node);
int ab_plan_signal_at(const struct ab_plan *plan, int map, int node);
enum ab_status ab_single_execute(struct ab_plan *plan, const float *input, const int *targets,
                                 float *const *maps, float *logits, struct ab_error *err);
struct ab_dims ab_single_map_dims(const struct ab_plan *plan, int map);
/* What an execution checks of its arguments. */
enum ab_status ab_plan_check(const struct ab_plan *plan, const float *input, const int *targets,
                             struct ab_error *err);
void ab_single_memory(const struct ab_plan *plan, size_t *weights, size_t *arena);
void ab_single_destroy(struct ab_plan **plan);

/* Shape of value `id` for one sample times batch = count of doubles that peek writes. */
size_t ab_plan_value_count(const struct ab_plan *plan, int id);
/* Copies a value of the last execution as doubles, [n][c][h][w]. Values other than the logits and
 * the methods' maps need a plan with `retain`, since their memory is reused otherwise; the plan is
 * then exact and larger. */
void ab_plan_peek(const struct ab_plan *plan, int id, double *out);
/* The same without a copy, of a reference plan: its own map, 16-bit elements for switches. */
struct ab_view_f64 ab_plan_view(const struct ab_plan *plan, int id);
/* The error of an execution that exec.stopped ended. */
enum ab_status ab_plan_stop(struct ab_error *err);
/* Makes a reference plan follow `forced[id]` (see struct ab_exec) in later executions; NULL: its
 * own decisions. Borrowed. */
void ab_plan_force(struct ab_plan *plan, const void *const *forced);
/* Runs steps [first, last) of an execution set up by ab_plan_execute's arguments; for profiling by
 * the driver. */
const char *ab_plan_kernel(const struct ab_plan *plan, int step);
/* Wall-clock nanoseconds of each step in one execution: ns[program.n_steps]. That of a gang is its
 * first step's, the others have 0. */
enum ab_status ab_plan_profile(struct ab_plan *plan, const float *input, const int *targets,
                               double *ns, struct ab_error *err);
/* Multiply-adds x 2 of a step for the whole batch. */
double ab_step_flops(const struct ab_plan *plan, const struct ab_step *step);

#endif
