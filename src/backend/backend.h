// SPDX-License-Identifier: Apache-2.0
// A backend executes the steps of a program on tensors of its own layout. backends.def is the one
// list.
#ifndef AB_BACKEND_H
#define AB_BACKEND_H

#include "plan/program.h"

/* Reference only: one element of a value, taken over instead of computed. `own` is what the
 * reference had there. */
struct ab_adopted {
    size_t index; /* in [n][c][h][w] */
    double value, own;
};

/* What a backend sees of a plan. Value v of the program lies at arena + values[v].offset. */
struct ab_exec {
    const struct ab_graph *graph;
    struct ab_program *program;
    int batch, threads;
    unsigned isas; /* instruction sets that kernels may use */
    bool direct;   /* no algorithm with more rounding error than the plain sum */
    bool lean;     /* no second copy of large weights */
    void *weights, *arena;
    size_t weight_bytes;  /* set by open: packed weights, biases, tables */
    size_t scratch_bytes; /* set by open: work space that any one step needs; at arena +
                             scratch_offset */
    size_t scratch_offset;
    void *state; /* the backend's own */
    /* Of the execution under way. */
    const float *input;
    const float *baseline; /* of the plan, set by ab_plan_baseline; NULL: none */
    const int *targets;    /* [batch][program->targets], or NULL: target t is the class of rank t */
    float *const *maps;
    /* Of executions from now on: [signal][batch][c][h][w], set by ab_plan_signal; NULL: none. */
    const float *signals;
    /* Reference only: decisions to follow instead of its own, by value id; NULL entries (or NULL):
     * its own. RELU and RECT: uint8 [n][c][h][w], 1 = kept. SWITCH: uint16 [n][c][oh][ow]. Set by
     * ab_plan_force. */
    const void *const *forced;
    /* Reference only: [batch][program->targets], the classes to set against the targets where the
     * seed leaves the choice; NULL: its own. */
    const int *rivals;
    /* Reference only: elements to take over, by value id and in the order of index; NULL: none. */
    struct ab_adopted *const *adopted;
    const size_t *n_adopted; /* by value id */
    /* Asked between steps: true ends the execution with an error. NULL: never. */
    bool (*stopped)(void);
};

static inline bool ab_exec_stopped(const struct ab_exec *exec)
{
    return exec->stopped && exec->stopped();
}

/* The caller's values for a SIGNAL step, [n][c][h][w]. */
static inline const float *ab_exec_signal(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_dims d = exec->program->values[s->dst].dims;
    const size_t one = (size_t)exec->batch * (size_t)d.c * (size_t)d.h * (size_t)d.w;
    return exec->signals + (size_t)s->channel * one;
}

struct ab_backend {
    const char *name, *summary;
    bool fuse; /* wants pointwise steps folded into CONV and DENSE */
    bool own;  /* its kernels know the forms of ab_bits, and epilogues of backward pools */
    /* Of `own`: as in ab_bits; `exec` is the struct ab_exec, before `open`. */
    ab_spreads *spreads;
    const char *(*version)(void);
    /* Chooses kernels and formats; sets every value's bytes (multiples of 64; 0 for values not
     * materialised), weight_bytes and scratch_bytes. Allocates only bookkeeping. On failure undoes
     * itself. */
    enum ab_status (*open)(struct ab_exec *exec, struct ab_error *err);
    /* The two buffers exist (arena zero-filled): packs weights, binds memory. */
    enum ab_status (*pack)(struct ab_exec *exec, struct ab_error *err);
    /* Runs one step. Allocates nothing, cannot fail but for a backend library's own error. */
    enum ab_status (*run)(struct ab_exec *exec, const struct ab_step *step, struct ab_error *err);
    /* Runs the `count` steps of a gang (see ab_gangs) from `first` on, with the results that `run`
     * would have bit for bit. NULL: the backend wants no gangs. */
    enum ab_status (*run_gang)(struct ab_exec *exec, const struct ab_step *first, int count,
                               struct ab_error *err);
    /* Copies value `id` as doubles, [n][c][h][w] (vectors [n][c], switches as their numbers). */
    void (*peek)(const struct ab_exec *exec, int id, double *out);
    /* Name of the kernel that serves the step ("conv2d_avx2", "jit:avx2", ...). Never NULL. */
    const char *(*kernel)(const struct ab_exec *exec, const struct ab_step *step);
    void (*close)(struct ab_exec *exec);
    /* For the judge of single layers; NULL: the backend has no alternatives. CONV steps of `pass`
     * that this thread opens next are computed by alternative `k` from 0; opening fails where the
     * layer lacks it. False: there are no more. k < 0: back to the backend's own choice. */
    bool (*insist)(enum ab_pass pass, int k);
    /* Holds the backend's library to `isa` (AB_ISA_COUNT: leaves it alone) for the whole process;
     * only its first use decides. Returns the name of the instruction set in force. */
    const char *(*hold)(enum ab_isa isa);
};

#define AB_BACKEND(name) extern const struct ab_backend ab_backend_##name;
#include "backend/backends.def"
#undef AB_BACKEND

#endif
