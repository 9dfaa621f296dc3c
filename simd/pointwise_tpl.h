// SPDX-License-Identifier: Apache-2.0
// The pointwise rules over the vector vocabulary: body of the pointwise kernels and epilogue of
// conv2d and dense. Include one vec_<isa>.h first. pointwise_scalar.h has the same functions in
// plain C.
//
// One function per kind and shape of run, made by inlining pw_op with a constant kind: the choice
// among kinds happens once per run of pixels. Nothing here is hand-blocked: every kind but the
// quotients is bound by loads and stores from L2 outwards, and a quotient costs one vdivps (10
// cycles for 16 lanes on Zen 4) against two 64-byte loads and a store.
#ifndef AB_SIMD_POINTWISE_H
#define AB_SIMD_POINTWISE_H

#include "pointwise_base.h"

/* What is constant over a run. */
struct pw_run {
    const float *a, *z, *mul, *add; /* of the first element; NULL where the kind uses none */
    ptrdiff_t step;                 /* from pixel to pixel in a and z */
    uint16_t *bits;                 /* of the first pixel */
    vec eps, scale, tau;
};

AB_INLINE vec pw_get(const float *p, int k)
{
    return k == VL ? v_loadu(p) : v_load_part(p, k);
}

/* num / st(z), and +0 where st(z) is 0. */
AB_INLINE vec pw_quotient(vec num, vec z, vec eps)
{
    vec st = v_add(z, v_select(v_lt(z, v_zero()), v_sub(v_zero(), eps), eps));
    return v_keep(v_neq(st, v_zero()), v_div(num, st));
}

/* x * t / (t - min(b,0)) where t > 0, +0 elsewhere. Of two terms of one sign, so nothing cancels,
 * and where neither is negative the quotient is exactly 1. */
AB_INLINE vec pw_rescale(vec x, vec a, vec z)
{
    const vmask above = v_gt(a, z);
    const vec t = v_select(above, a, z), b = v_select(above, z, a);
    const vec span = v_sub(t, v_keep(v_lt(b, v_zero()), b));
    return v_keep(v_gt(t, v_zero()), v_mul(x, v_div(t, span)));
}

/* min(max(x,0), cap) */
AB_INLINE vec pw_cap(vec x, vec cap)
{
    const vec open = v_keep(v_nle(x, v_zero()), x);
    return v_select(v_nge(open, cap), open, cap);
}

AB_INLINE vmask pw_between(vec a, vec cap)
{
    return vm_and(v_gt(a, v_zero()), v_lt(a, cap));
}

/* f(x) for the first k lanes of one vector. `e` is the offset from a and z, `c` from mul and add.
 * Products with scale are fma(., scale, +0): exact, and padding stays +0 for a negative scale. */
AB_INLINE vec pw_op(int kind, const struct pw_run *r, vec x, ptrdiff_t e, ptrdiff_t c, int k)
{
    const vec zero = v_zero();
    switch (kind) {
    case AB_PW_RELU: return v_keep(v_nle(x, zero), x);
    case AB_PW_NEG: return v_keep(v_nge(x, zero), x);
    case AB_PW_ABS: return v_abs(x);
    case AB_PW_GATE: return v_keep(v_gt(pw_get(r->a + e, k), zero), x);
    case AB_PW_GUIDED: return v_keep(vm_and(v_gt(pw_get(r->a + e, k), zero), v_nle(x, zero)), x);
    case AB_PW_RECT: return v_keep(v_gt(v_mul(pw_get(r->a + e, k), x), r->tau), x);
    case AB_PW_MUL: return v_mul(x, pw_get(r->a + e, k));
    case AB_PW_DIV: return pw_quotient(v_fma(x, r->scale, zero), pw_get(r->z + e, k), r->eps);
    case AB_PW_MULDIV:
        x = v_mul(x, pw_get(r->a + e, k));
        return pw_quotient(v_fma(x, r->scale, zero), pw_get(r->z + e, k), r->eps);
    case AB_PW_RESCALE: return pw_rescale(x, pw_get(r->a + e, k), pw_get(r->z + e, k));
    case AB_PW_DIVDIFF:
        return pw_quotient(x, v_sub(pw_get(r->a + e, k), pw_get(r->z + e, k)), zero);
    case AB_PW_ADD: return v_add(x, pw_get(r->a + e, k));
    case AB_PW_SUB: return v_sub(x, pw_get(r->a + e, k));
    case AB_PW_SCALE: return v_fma(x, r->scale, zero);
    case AB_PW_AFFINE:
        return v_fma(x, pw_get(r->mul + c, k), r->add ? pw_get(r->add + c, k) : zero);
    case AB_PW_CAP: return pw_cap(x, r->scale);
    case AB_PW_CAP_GATE: return v_keep(pw_between(pw_get(r->a + e, k), r->scale), x);
    case AB_PW_CAP_GUIDED:
        return v_keep(vm_and(pw_between(pw_get(r->a + e, k), r->scale), v_nle(x, zero)), x);
    default: return x;
    }
}

/* One vector of a kind with bits: `bits` are its lanes' own, taken or given. */
AB_INLINE vec pw_bits_op(int kind, const struct pw_run *r, vec x, ptrdiff_t e, unsigned *bits)
{
    const vec zero = v_zero();
    if (kind == AB_PW_GUARD_BITS || kind == AB_PW_REST_BITS) {
        const vec a = v_loadu(r->a + e);
        if (kind == AB_PW_REST_BITS) x = v_keep(v_gt(a, zero), v_sub(a, x));
        *bits = vm_bits(v_nle(v_abs(a), v_abs(v_mul(r->scale, x))));
        return x;
    }
    switch (kind) {
    case AB_PW_RELU_BITS: *bits = vm_bits(v_gt(x, zero)); return v_keep(v_nle(x, zero), x);
    case AB_PW_CAP_BITS:
        x = pw_cap(x, r->scale);
        *bits = vm_bits(pw_between(x, r->scale));
        return x;
    case AB_PW_GATE_BITS: return v_keep(vm_from_bits(*bits), x);
    default: return v_keep(vm_and(vm_from_bits(*bits), v_nle(x, zero)), x);
    }
}

AB_INLINE void pw_each_word(int kind, const struct pw_run *run, const float *src, ptrdiff_t spix,
                            float *dst, ptrdiff_t dpix, int pixels)
{
    const struct pw_run r = *run;
    for (int i = 0; i < pixels; i++) {
        uint16_t *const word = r.bits + i * (r.step / AB_LANES);
        const unsigned taken = pw_makes_bits(kind) ? 0 : *word;
        unsigned given = 0;
        AB_UNROLL for (int v = 0; v < AB_LANES; v += VL)
        {
            unsigned bits = taken >> v;
            const vec x = v_loadu(src + i * spix + v);
            v_storeu(dst + i * dpix + v, pw_bits_op(kind, &r, x, i * r.step + v, &bits));
            given |= bits << v;
        }
        if (pw_makes_bits(kind)) *word = (uint16_t)given;
    }
}

AB_INLINE void pw_each_pixel(int kind, const struct pw_run *run, const float *src, ptrdiff_t spix,
                             float *dst, ptrdiff_t dpix, int pixels)
{
    const struct pw_run r = *run;
    if (pw_uses_bits(kind)) {
        pw_each_word(kind, run, src, spix, dst, dpix, pixels);
        return;
    }
    for (int i = 0; i < pixels; i++) {
        AB_UNROLL for (int v = 0; v < AB_LANES; v += VL)
        {
            vec x = v_loadu(src + i * spix + v);
            v_storeu(dst + i * dpix + v, pw_op(kind, &r, x, i * r.step + v, v, VL));
        }
    }
}

AB_INLINE void pw_each_lane(int kind, const struct pw_run *run, float *x, int count)
{
    const struct pw_run r = *run;
    int i = 0;
    for (; i + VL <= count; i += VL) v_storeu(x + i, pw_op(kind, &r, v_loadu(x + i), i, i, VL));
    int k = count - i;
    if (k) v_store_part(x + i, pw_op(kind, &r, v_load_part(x + i, k), i, i, k), k);
}

/* dst = f(src) for `pixels` pixels of 16 lanes, spaced spix and dpix floats apart. */
AB_NOINLINE void pw_map(const struct ab_pointwise *f, const struct pw_at *at, const float *src,
                        ptrdiff_t spix, float *dst, ptrdiff_t dpix, int pixels)
{
    ptrdiff_t col = (ptrdiff_t)at->x0 * AB_LANES, c = (ptrdiff_t)at->block * AB_LANES;
    ptrdiff_t ea = at->n * f->a.image + at->block * f->a.block + at->y * f->a.row + col;
    ptrdiff_t ez = at->n * f->z.image + at->block * f->z.block + at->y * f->z.row + col;
    bool affine = f->kind == AB_PW_AFFINE;
    struct pw_run r = {.step = (ptrdiff_t)at->xstep * AB_LANES,
                       .a = f->a.data ? f->a.data + ea : NULL,
                       .z = f->z.data ? f->z.data + ez : NULL,
                       .mul = affine ? f->mul + c : NULL,
                       .add = affine && f->add ? f->add + c : NULL,
                       .bits = pw_bits_at(&f->bits, at),
                       .eps = v_set1(f->eps),
                       .scale = v_set1(f->scale),
                       .tau = v_set1(f->kind == AB_PW_RECT ? f->tau[at->n] : 0.0f)};
    PW_EACH_KIND(f->kind, pw_each_pixel, &r, src, spix, dst, dpix, pixels)
}

/* The same in place: the epilogue of conv2d. */
AB_INLINE void pw_pixels(const struct ab_pointwise *f, const struct pw_at *at, float *x,
                         ptrdiff_t pix, int pixels)
{
    if (f->kind != AB_PW_COPY) pw_map(f, at, x, pix, x, pix, pixels);
}

/* In place on features [r0,r1) of sample n, x pointing at feature r0: the epilogue of dense. */
AB_NOINLINE void pw_features(const struct ab_pointwise *f, int n, float *x, int r0, int r1)
{
    bool affine = f->kind == AB_PW_AFFINE;
    struct pw_run r = {.a = f->a.data ? f->a.data + n * f->a.image + r0 : NULL,
                       .z = f->z.data ? f->z.data + n * f->z.image + r0 : NULL,
                       .mul = affine ? f->mul + r0 : NULL,
                       .add = affine && f->add ? f->add + r0 : NULL,
                       .eps = v_set1(f->eps),
                       .scale = v_set1(f->scale),
                       .tau = v_set1(f->kind == AB_PW_RECT ? f->tau[n] : 0.0f)};
    if (f->kind == AB_PW_COPY) return;
    PW_EACH_KIND(f->kind, pw_each_lane, &r, x, r1 - r0)
}

#endif
