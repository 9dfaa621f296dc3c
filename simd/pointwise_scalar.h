// SPDX-License-Identifier: Apache-2.0
// The pointwise rules in plain C, for the `ref` and `plain` texts: the functions of
// pointwise_tpl.h under the same names.
#ifndef AB_SIMD_POINTWISE_H
#define AB_SIMD_POINTWISE_H

#include <math.h>

#include "pointwise_base.h"

/* num / st(z), and +0 where st(z) is 0. */
AB_INLINE float pw_quotient(float num, float z, float eps)
{
    float st = z + (z < 0.0f ? -eps : eps);
    return st == 0.0f ? 0.0f : num / st;
}

AB_INLINE float pw_rescale(float x, float a, float z)
{
    const float t = a > z ? a : z, b = a > z ? z : a;
    return t > 0.0f ? x * (t / (t - (b < 0.0f ? b : 0.0f))) : 0.0f;
}

/* min(max(x,0), cap) */
AB_INLINE float pw_cap(float x, float cap)
{
    const float open = x <= 0.0f ? 0.0f : x;
    return open >= cap ? cap : open;
}

AB_INLINE bool pw_between(float a, float cap)
{
    return a > 0.0f && a < cap;
}

/* f(x); a, z point at the operands of the same element, c is its channel. `+ 0.0f` turns the -0 of
 * a padding lane times a negative scale into +0. */
AB_INLINE float pw_op(const struct ab_pointwise *f, int kind, float x, const float *a,
                      const float *z, ptrdiff_t c, float tau)
{
    switch (kind) {
    case AB_PW_RELU: return x <= 0.0f ? 0.0f : x;
    case AB_PW_NEG: return x >= 0.0f ? 0.0f : x;
    case AB_PW_ABS: return fabsf(x);
    case AB_PW_GATE: return *a > 0.0f ? x : 0.0f;
    case AB_PW_GUIDED: return *a > 0.0f && !(x <= 0.0f) ? x : 0.0f;
    case AB_PW_RECT: return *a * x > tau ? x : 0.0f;
    case AB_PW_MUL: return x * *a;
    case AB_PW_DIV: return pw_quotient(f->scale * x + 0.0f, *z, f->eps);
    case AB_PW_MULDIV: return pw_quotient(f->scale * (x * *a) + 0.0f, *z, f->eps);
    case AB_PW_RESCALE: return pw_rescale(x, *a, *z);
    case AB_PW_DIVDIFF: return pw_quotient(x, *a - *z, 0.0f);
    case AB_PW_ADD: return x + *a;
    case AB_PW_SUB: return x - *a;
    case AB_PW_SCALE: return f->scale * x + 0.0f;
    case AB_PW_AFFINE: return f->add ? x * f->mul[c] + f->add[c] : x * f->mul[c] + 0.0f;
    case AB_PW_CAP: return pw_cap(x, f->scale);
    case AB_PW_CAP_GATE: return pw_between(*a, f->scale) ? x : 0.0f;
    case AB_PW_CAP_GUIDED: return pw_between(*a, f->scale) && !(x <= 0.0f) ? x : 0.0f;
    default: return x;
    }
}

/* One pixel of a kind with bits. */
AB_INLINE void pw_word(const struct ab_pointwise *f, int kind, const float *src, const float *a,
                       float *dst, uint16_t *word)
{
    unsigned bits = pw_makes_bits(kind) ? 0 : *word;
    for (int l = 0; l < AB_LANES; l++) {
        const float x = src[l];
        const bool set = bits >> l & 1, positive = !(x <= 0.0f);
        switch (kind) {
        case AB_PW_RELU_BITS:
            bits |= (unsigned)(x > 0.0f) << l;
            dst[l] = positive ? x : 0.0f;
            break;
        case AB_PW_CAP_BITS:
            dst[l] = pw_cap(x, f->scale);
            bits |= (unsigned)pw_between(dst[l], f->scale) << l;
            break;
        case AB_PW_GATE_BITS: dst[l] = set ? x : 0.0f; break;
        case AB_PW_GUIDED_BITS: dst[l] = set && positive ? x : 0.0f; break;
        case AB_PW_GUARD_BITS:
            bits |= (unsigned)!(fabsf(a[l]) <= fabsf(f->scale * x)) << l;
            dst[l] = x;
            break;
        default: {
            const float whole = a[l]; /* dst may be a */
            dst[l] = whole > 0.0f ? whole - x : 0.0f;
            bits |= (unsigned)!(fabsf(whole) <= fabsf(f->scale * dst[l])) << l;
            break;
        }
        }
    }
    if (pw_makes_bits(kind)) *word = (uint16_t)bits;
}

AB_INLINE void pw_each_pixel(int kind, const struct ab_pointwise *f, const struct pw_at *at,
                             const float *src, ptrdiff_t spix, float *dst, ptrdiff_t dpix,
                             int pixels)
{
    ptrdiff_t col = (ptrdiff_t)at->x0 * AB_LANES, step = (ptrdiff_t)at->xstep * AB_LANES;
    const float *a = f->a.data, *z = f->z.data;
    if (a) a += at->n * f->a.image + at->block * f->a.block + at->y * f->a.row + col;
    if (z) z += at->n * f->z.image + at->block * f->z.block + at->y * f->z.row + col;
    float tau = kind == AB_PW_RECT ? f->tau[at->n] : 0.0f;
    uint16_t *words = pw_bits_at(&f->bits, at);
    for (int i = 0; i < pixels; i++) {
        const float *ai = a ? a + i * step : src + i * spix;
        if (pw_uses_bits(kind)) {
            pw_word(f, kind, src + i * spix, ai, dst + i * dpix, words + i * at->xstep);
            continue;
        }
        const float *zi = z ? z + i * step : src + i * spix;
        for (int l = 0; l < AB_LANES; l++) {
            float x = src[i * spix + l];
            ptrdiff_t c = (ptrdiff_t)at->block * AB_LANES + l;
            dst[i * dpix + l] = pw_op(f, kind, x, ai + l, zi + l, c, tau);
        }
    }
}

/* dst = f(src) for `pixels` pixels of 16 lanes, spaced spix and dpix floats apart. */
AB_NOINLINE void pw_map(const struct ab_pointwise *f, const struct pw_at *at, const float *src,
                        ptrdiff_t spix, float *dst, ptrdiff_t dpix, int pixels){
    PW_EACH_KIND(f->kind, pw_each_pixel, f, at, src, spix, dst, dpix, pixels)}

/* The same in place: the epilogue of conv2d. */
AB_INLINE void pw_pixels(const struct ab_pointwise *f, const struct pw_at *at, float *x,
                         ptrdiff_t pix, int pixels)
{
    if (f->kind != AB_PW_COPY) pw_map(f, at, x, pix, x, pix, pixels);
}

/* In place on features [r0,r1) of sample n, x pointing at feature r0: the epilogue of dense. */
AB_NOINLINE void pw_features(const struct ab_pointwise *f, int n, float *x, int r0, int r1)
{
    float tau = f->kind == AB_PW_RECT ? f->tau[n] : 0.0f;
    const float *a = f->a.data ? f->a.data + n * f->a.image + r0 : x;
    const float *z = f->z.data ? f->z.data + n * f->z.image + r0 : x;
    for (int i = 0; i < r1 - r0; i++)
        x[i] = pw_op(f, (int)f->kind, x[i], a + i, z + i, r0 + i, tau);
}

#endif
