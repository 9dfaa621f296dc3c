// SPDX-License-Identifier: Apache-2.0
// Inside the reference backend: double-precision maps in blocks of 16 channels with zero halos, and
// the functions that compute one step each.
#ifndef AB_REFERENCE_H
#define AB_REFERENCE_H

#include "backend/backend.h"

/* Where value `id` lies. Vectors are maps of 1x1. A SWITCH value counts its strides in uint16 and
 * has no halo; a TAU value is one double per image (image = 1). */
struct ab_reference_map {
    struct ab_view_f64 view;
    struct ab_halo halo;
    int c, h, w, blocks;
    size_t bytes;
};

struct ab_reference {
    struct ab_reference_map *maps; /* by value id */
    size_t panel;                  /* doubles of each thread's weight panel, first in scratch */
    size_t bias_at;                /* offset in doubles of the bias vector in scratch */
    const struct ab_kernel *conv, *dense;
};

/* What a ReLU unit becomes that is forced open although its input is not positive: it passes every
 * later test for > 0, adds nothing to any sum, and its products with signals stay normal numbers.
 */
#define AB_REFERENCE_TINY 1e-150

static inline const struct ab_reference_map *ab_reference_map(const struct ab_exec *exec, int id)
{
    return &((const struct ab_reference *)exec->state)->maps[id];
}

static inline uint16_t *ab_reference_switches(const struct ab_reference_map *m)
{
    return (uint16_t *)(void *)m->view.data;
}

/* Offset of channel c at (y,x) of image n. */
static inline ptrdiff_t ab_reference_offset(const struct ab_reference_map *m, int n, int c, int y,
                                            int x)
{
    return n * m->view.image + c / AB_LANES * m->view.block + y * m->view.row +
           (ptrdiff_t)x * AB_LANES + c % AB_LANES;
}

/* One element of a value (AB_F32 values alone; TAU: c = y = x = 0). */
double ab_reference_at(const struct ab_exec *exec, int id, int n, int c, int y, int x);

/* exec->forced of a value that is a decision of the kind, or NULL. */
const void *ab_reference_forced(const struct ab_exec *exec, int id, enum ab_decision decision);

double *ab_reference_scratch(const struct ab_exec *exec);

/* Fills the halo of a value with zeros: whoever writes the value does, as memory is reused. */
void ab_reference_clear_halo(const struct ab_exec *exec, int id);

/* One step each. */
void ab_reference_conv(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_dense(const struct ab_exec *exec, const struct ab_step *s);
/* dst = f(x): x is s->x for a POINTWISE step, s->dst for an epilogue. */
void ab_reference_pointwise(const struct ab_exec *exec, const struct ab_step *s, int x);
void ab_reference_maxpool(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_winners(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_avgpool(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_tau(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_input(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_signal(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_output(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_fill(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_flatten(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_concat(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_slice(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_pad(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_host(const struct ab_exec *exec, const struct ab_step *s);
void ab_reference_seed(const struct ab_exec *exec, const struct ab_step *s);

/* The element of rank k (0 = smallest) of v[0..n), which is reordered. */
double ab_select_double(double *v, size_t n, size_t k);

#endif
