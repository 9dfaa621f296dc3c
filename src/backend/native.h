// SPDX-License-Identifier: Apache-2.0
// The native backend's bookkeeping: a view for each value, a kernel and prepared arguments for each
// step.
#ifndef AB_NATIVE_H
#define AB_NATIVE_H

#include "backend/backend.h"

/* Arguments are complete but for the range, which run() splits over threads. */
struct ab_native_step {
    const struct ab_kernel *kernel;
    const struct ab_kernel *exact; /* CONV: of plain sums, for images that a guard finds unsafe */
    bool packs, packs_bias;        /* first to use its packed weights, its bias */
    bool panels;                   /* CONV: packs piece by piece while it runs */
    bool guarded;                  /* CONV: see struct ab_step */
    size_t pack, bias, mul, add;   /* offsets in exec->weights; SIZE_MAX: none */
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
    size_t scratch;  /* bytes of work space per thread */
    uint8_t *unsafe; /* [value id][image]: quotients by this guarded sum may spike; of the execution
                        under way */
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

/* Space in exec->weights. */
size_t ab_native_take(struct ab_exec *exec, size_t bytes);
void *ab_native_weights(const struct ab_exec *exec, size_t offset);
/* The earlier step that packed the same weights or bias the same way, or NULL. */
const struct ab_native_step *ab_native_packed_before(const struct ab_exec *exec, int i, bool bias);
/* Each thread gets `bytes` of the scratch space. */
void ab_native_need_scratch(struct ab_exec *exec, size_t bytes);
/* The epilogue of a step, or the function of a pointwise one. */
struct ab_pointwise ab_native_function(const struct ab_exec *exec, const struct ab_step *s);

/* native_conv.c: convolutions, whose weights are packed once or in panels, and their guards */
/* See struct ab_backend. */
bool ab_native_spreads(const void *exec, const struct ab_step *s);
void ab_native_open_conv(struct ab_exec *exec, int i);
void ab_native_bind_conv(const struct ab_exec *exec, const struct ab_step *s,
                         struct ab_native_step *t);
void ab_native_run_conv(const struct ab_exec *exec, const struct ab_step *s,
                        const struct ab_native_step *t);
bool ab_native_is_unsafe(const struct ab_exec *exec, const struct ab_step *s, int image);
void ab_native_run_packed(const struct ab_exec *exec, const struct ab_kernel *kernel,
                          const struct ab_conv2d_args *args);
/* After a guarded sum: its images' verdicts, and plain sums where one is unsafe. */
void ab_native_check_sum(const struct ab_exec *exec, const struct ab_step *s,
                         const struct ab_native_step *t);

/* native_gang.c: several steps as one unit (see ab_gangs) */
void ab_native_open_gang(struct ab_exec *exec, int first, int count);
void ab_native_run_gang(const struct ab_exec *exec, const struct ab_step *first, int count);
void ab_native_run_dense(const struct ab_exec *exec, const struct ab_step *s,
                         const struct ab_native_step *t);
/* The padding of a vector, 0. */
void ab_native_clear_tail(const struct ab_exec *exec, int id);

/* How to divide a map of such a size for kernels that could do either. */
enum ab_axis ab_native_axis(const struct ab_exec *exec, int blocks, int h, int w);

/* native_layout.c: values between the caller's or another layout and the blocked one */
void ab_native_input(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_output(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_flatten(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_concat(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_slice(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_pad(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_fill(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_signal(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_winners(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_seed(const struct ab_exec *exec, const struct ab_step *step);
void ab_native_host(const struct ab_exec *exec, const struct ab_step *step);
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
