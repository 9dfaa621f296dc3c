// SPDX-License-Identifier: Apache-2.0
// What the vector and the plain text of the pointwise rules share.
#ifndef AB_SIMD_POINTWISE_BASE_H
#define AB_SIMD_POINTWISE_BASE_H

#include "kernels.h"
#include "vec_base.h"

/* Where a run of pixels lies in f->a and f->z: pixel i is column x0 + i*xstep of row y. */
struct pw_at {
    int n, block, y, x0, xstep;
};

AB_INLINE bool pw_uses_bits(int kind)
{
    return kind == AB_PW_RELU_BITS || kind == AB_PW_CAP_BITS || kind == AB_PW_GATE_BITS ||
           kind == AB_PW_GUIDED_BITS || kind == AB_PW_GUARD_BITS || kind == AB_PW_REST_BITS;
}

/* Whether the kind makes bits, rather than read them. */
AB_INLINE bool pw_makes_bits(int kind)
{
    return kind == AB_PW_RELU_BITS || kind == AB_PW_CAP_BITS || kind == AB_PW_GUARD_BITS ||
           kind == AB_PW_REST_BITS;
}

/* The word of the run's first pixel; NULL where there are no bits. */
AB_INLINE uint16_t *pw_bits_at(const struct ab_bits *b, const struct pw_at *at)
{
    return b->data ? b->data + at->n * b->image + at->block * b->block + at->y * b->row + at->x0
                   : NULL;
}

/* Calls run(kind, ...) with a constant kind. */
#define PW_EACH_KIND(kind, run, ...)                                                               \
    switch (kind) {                                                                                \
    case AB_PW_COPY: run(AB_PW_COPY, __VA_ARGS__); break;                                          \
    case AB_PW_RELU: run(AB_PW_RELU, __VA_ARGS__); break;                                          \
    case AB_PW_NEG: run(AB_PW_NEG, __VA_ARGS__); break;                                            \
    case AB_PW_ABS: run(AB_PW_ABS, __VA_ARGS__); break;                                            \
    case AB_PW_GATE: run(AB_PW_GATE, __VA_ARGS__); break;                                          \
    case AB_PW_GUIDED: run(AB_PW_GUIDED, __VA_ARGS__); break;                                      \
    case AB_PW_RECT: run(AB_PW_RECT, __VA_ARGS__); break;                                          \
    case AB_PW_MUL: run(AB_PW_MUL, __VA_ARGS__); break;                                            \
    case AB_PW_DIV: run(AB_PW_DIV, __VA_ARGS__); break;                                            \
    case AB_PW_MULDIV: run(AB_PW_MULDIV, __VA_ARGS__); break;                                      \
    case AB_PW_RESCALE: run(AB_PW_RESCALE, __VA_ARGS__); break;                                    \
    case AB_PW_DIVDIFF: run(AB_PW_DIVDIFF, __VA_ARGS__); break;                                    \
    case AB_PW_ADD: run(AB_PW_ADD, __VA_ARGS__); break;                                            \
    case AB_PW_SUB: run(AB_PW_SUB, __VA_ARGS__); break;                                            \
    case AB_PW_SCALE: run(AB_PW_SCALE, __VA_ARGS__); break;                                        \
    case AB_PW_AFFINE: run(AB_PW_AFFINE, __VA_ARGS__); break;                                      \
    case AB_PW_CAP: run(AB_PW_CAP, __VA_ARGS__); break;                                            \
    case AB_PW_CAP_GATE: run(AB_PW_CAP_GATE, __VA_ARGS__); break;                                  \
    case AB_PW_CAP_GUIDED: run(AB_PW_CAP_GUIDED, __VA_ARGS__); break;                              \
    case AB_PW_RELU_BITS: run(AB_PW_RELU_BITS, __VA_ARGS__); break;                                \
    case AB_PW_CAP_BITS: run(AB_PW_CAP_BITS, __VA_ARGS__); break;                                  \
    case AB_PW_GATE_BITS: run(AB_PW_GATE_BITS, __VA_ARGS__); break;                                \
    case AB_PW_GUIDED_BITS: run(AB_PW_GUIDED_BITS, __VA_ARGS__); break;                            \
    case AB_PW_GUARD_BITS: run(AB_PW_GUARD_BITS, __VA_ARGS__); break;                              \
    case AB_PW_REST_BITS: run(AB_PW_REST_BITS, __VA_ARGS__); break;                                \
    case AB_PW_COUNT: break;                                                                       \
    }

#endif
