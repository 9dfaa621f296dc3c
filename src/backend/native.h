// SPDX-License-Identifier: Apache-2.0
// The native backend's bookkeeping: a view for each value, a kernel and prepared arguments for each
// step.
#ifndef AB_NATIVE_H
#define AB_NATIVE_H

#include "backend/backend.h"

/* Arguments are complete but for the range, which run() splits over threads. */
struct ab_native_step {
    const struct ab_kernel *kernel;
    bool packs;                  /* first to use its packed weights */
    size_t pack, bias, mul, add; /* offsets in exec->weights; SIZE_MAX: none */
    union {
        struct ab_conv2d_args conv;
        struct ab_dense_args dense;
        struct ab_pool_args pool;
        struct ab_pointwise_args pointwise;
    } args;
};

struct ab_native {
    struct ab_view
        *views; /* by value: data is the interior's first pixel; vectors use `image` alone */
    struct ab_native_step *steps;
    size_t scratch; /* bytes of work space per thread */
};

/* Floats of a vector of c features with its zero padding. */
static inline int ab_padded(int c)
{
    return (c + AB_LANES - 1) / AB_LANES * AB_LANES;
}

/* Threads: runs `kernel` over the parts of `whole` on exec->threads threads. Rows or channel blocks
 * are divided, never the order of operations within an element, so results are the same for every
 * thread count. `args` is copied per part, its range at `range_offset` replaced. */
enum ab_axis { AB_AXIS_ROWS, AB_AXIS_BLOCKS };
void ab_native_parallel(const struct ab_exec *exec, const struct ab_kernel *kernel,
                        const void *args, size_t args_size, size_t range_offset, enum ab_axis axis);

/* native_layout.c: values between the caller's or another layout and the blocked one */
void ab_native_input(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_output(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_flatten(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_concat(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_slice(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_pad(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_fill(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_seed(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_zero_halo(const struct ab_exec *exec, int id);
void ab_native_peek(const struct ab_exec *exec, int id, double *out);

/* native_tau.c: RectGrad's threshold, exactly, by radix histograms; scratch: exec->threads
 * histograms */
enum { AB_TAU_BINS = 2048 };
void ab_native_tau(const struct ab_exec *exec, const struct ab_step *step,
                   const struct ab_kernel *kernel);

static inline struct ab_native *ab_native_of(const struct ab_exec *exec)
{
    return exec->state;
}
static inline struct ab_view ab_native_view(const struct ab_exec *exec, int id)
{
    return id < 0 ? (struct ab_view){0} : ab_native_of(exec)->views[id];
}

#endif
