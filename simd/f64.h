// SPDX-License-Identifier: Apache-2.0
// Vectors of doubles as wide as the compiler's target has registers, for the f64 texts.
#ifndef AB_SIMD_F64_H
#define AB_SIMD_F64_H

#include <string.h>

#include "kernels.h"
#include "vec_base.h"

/* (clang 14 leaves __BIGGEST_ALIGNMENT__ at 16 whatever the target.) */
#if defined __AVX512F__
enum { F64_BYTES = 64 };
#elif defined __AVX__
enum { F64_BYTES = 32 };
#else
enum { F64_BYTES = 16 };
#endif
enum { F64_LANES = F64_BYTES / 8, F64_VECS = AB_LANES / F64_LANES };

typedef double f64 __attribute__((vector_size(F64_BYTES)));
typedef float f64_half __attribute__((vector_size(F64_BYTES / 2)));
typedef long long f64_mask __attribute__((vector_size(F64_BYTES)));

AB_INLINE f64 f64_load(const double *p)
{
    f64 v;
    memcpy(&v, p, sizeof v);
    return v;
}

AB_INLINE void f64_store(double *p, f64 v)
{
    memcpy(p, &v, sizeof v);
}

AB_INLINE f64 f64_load_floats(const float *p)
{
    f64_half v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, f64);
}

/* The part of the weights that takes part, of a vector and of one. */
AB_INLINE f64 f64_wmod(enum ab_wmod wmod, double gain, f64 w)
{
    switch (wmod) {
    case AB_W_POS: return (f64)((f64_mask)w & (w > 0.0));
    case AB_W_NEG: return (f64)((f64_mask)w & (w < 0.0));
    case AB_W_ABS: return (f64)((f64_mask)w & 0x7fffffffffffffffLL);
    case AB_W_SQUARE: return w * w;
    case AB_W_ONE: return w * 0.0 + 1.0;
    case AB_W_GAMMA: return w * (1.0 + (f64)((f64_mask)(w * 0.0 + (gain - 1.0)) & (w > 0.0)));
    default: return w;
    }
}

AB_INLINE double f64_wmod_one(enum ab_wmod wmod, double gain, double w)
{
    switch (wmod) {
    case AB_W_POS: return w > 0.0 ? w : 0.0;
    case AB_W_NEG: return w < 0.0 ? w : 0.0;
    case AB_W_ABS: return w < 0.0 ? -w : w;
    case AB_W_SQUARE: return w * w;
    case AB_W_ONE: return 1.0;
    case AB_W_GAMMA: return w > 0.0 ? gain * w : w;
    default: return w;
    }
}

/* Calls run(wmod, ...) with a constant wmod. */
#define F64_EACH_WMOD(wmod, run, ...)                                                              \
    switch (wmod) {                                                                                \
    case AB_W_ALL: run(AB_W_ALL, __VA_ARGS__); break;                                              \
    case AB_W_POS: run(AB_W_POS, __VA_ARGS__); break;                                              \
    case AB_W_NEG: run(AB_W_NEG, __VA_ARGS__); break;                                              \
    case AB_W_ABS: run(AB_W_ABS, __VA_ARGS__); break;                                              \
    case AB_W_SQUARE: run(AB_W_SQUARE, __VA_ARGS__); break;                                        \
    case AB_W_ONE: run(AB_W_ONE, __VA_ARGS__); break;                                              \
    case AB_W_GAMMA: run(AB_W_GAMMA, __VA_ARGS__); break;                                          \
    case AB_W_COUNT: break;                                                                        \
    }

#endif
