// SPDX-License-Identifier: Apache-2.0
// Radix histograms over the vector vocabulary. Include one vec_<isa>.h first.
//
// Keys and bins are formed in vectors and counted one by one into 4 interleaved tables: an
// increment waits for the last one of the same bin (load after store), and behind a ReLU half of
// all elements share the bin of 0. On Zen 4, first pass over 3.2 M normal or half-zero values: 1.9
// and 2.5 ms; 8 tables 1.9 and 2.1-2.3 (but 64 KiB of stack); one table in plain C 5.0; 4 tables
// one after the other 8 to 20, as equal bins of different tables then lie 8 KiB apart and their low
// address bits collide.
//
// The first pass (mask 0) counts everything. The passes after it count what the prefix selects:
// mostly nothing, so that a pixel without a match costs one test, or nearly everything when the
// wanted rank lies among exact zeros, which are therefore counted by population count (7.5 ms
// without that, 0.5 with).
#ifndef AB_SIMD_SELECT_TPL_H
#define AB_SIMD_SELECT_TPL_H

#include "kernels.h"

enum { BINS = 2048, TABLES = 4 };
#define ZERO_KEY 0x80000000u /* ab_float_key(+0) */

struct select_run {
    uvec prefix, mask, digit; /* digit: the bits of a key that are its bin */
    int shift;
    uint32_t zeros; /* lanes that hold +0, in passes with a mask */
    uint32_t table[BINS][TABLES];
};

/* Keys of x * a + 0 (x + 0 where a is NULL); the addition turns -0 into +0. Not fused: a negative
 * product that underflows would come out as -0. */
AB_INLINE uvec select_keys(const float *x, const float *a)
{
    const vec zero = v_zero();
    uvec bits = vu_from(v_add(a ? v_mul(v_load(x), v_load(a)) : v_load(x), zero));
    return vu_xor(bits, vu_or(vu_sign(bits), vu_set1(ZERO_KEY)));
}

/* Bins of one pixel. Unless `all`, returns which of its lanes the prefix selects, without those
 * that hold +0: they are added to r->zeros whether selected or not. */
AB_INLINE unsigned select_pixel(struct select_run *r, bool all, const float *x, const float *a,
                                uint32_t *bin)
{
    unsigned chosen = 0, zero = 0;
    AB_UNROLL for (int v = 0; v < AB_LANES; v += VL)
    {
        uvec k = select_keys(x + v, a ? a + v : NULL);
        if (!all) {
            chosen |= vm_bits(vu_is_zero(vu_and(vu_xor(k, r->prefix), r->mask))) << v;
            zero |= vm_bits(vu_is_zero(vu_xor(k, vu_set1(ZERO_KEY)))) << v;
        }
        vu_store(bin + v, vu_shr(vu_and(k, r->digit), r->shift));
    }
    r->zeros += (uint32_t)__builtin_popcount(zero);
    return chosen & ~zero;
}

AB_INLINE void select_row(struct select_run *r, bool all, const float *x, const float *a, int w)
{
    for (int i = 0; i < w; i++) {
        _Alignas(64) uint32_t bin[AB_LANES];
        const ptrdiff_t at = (ptrdiff_t)i * AB_LANES;
        unsigned chosen = select_pixel(r, all, x + at, a ? a + at : NULL, bin);
        if (all) {
            AB_UNROLL for (int l = 0; l < AB_LANES; l++) r->table[bin[l]][l % TABLES]++;
        } else {
            for (; chosen; chosen &= chosen - 1) {
                int l = __builtin_ctz(chosen);
                r->table[bin[l]][l % TABLES]++;
            }
        }
    }
}

AB_INLINE void select_rows(struct select_run *r, bool all, bool product,
                           const struct ab_select_args *p)
{
    const int n = p->range.n0;
    for (int b = p->range.b0; b < p->range.b1; b++) {
        for (int y = p->range.y0; y < p->range.y1; y++) {
            const float *x = p->x.data + n * p->x.image + b * p->x.block + y * p->x.row;
            const float *a = NULL;
            if (product) a = p->a.data + n * p->a.image + b * p->a.block + y * p->a.row;
            select_row(r, all, x, a, p->w);
        }
    }
}

static void select_run(const struct ab_select_args *p)
{
    const uint32_t digit = (uint32_t)(BINS - 1) << p->shift & ~p->mask;
    struct select_run r = {.prefix = vu_set1(p->prefix),
                           .mask = vu_set1(p->mask),
                           .digit = vu_set1(digit),
                           .shift = p->shift};
    if (p->mask == 0 && p->a.data)
        select_rows(&r, true, true, p);
    else if (p->mask == 0)
        select_rows(&r, true, false, p);
    else if (p->a.data)
        select_rows(&r, false, true, p);
    else
        select_rows(&r, false, false, p);
    if (((ZERO_KEY ^ p->prefix) & p->mask) == 0) p->hist[(ZERO_KEY & digit) >> p->shift] += r.zeros;
    for (int i = 0; i < BINS; i++)
        for (int t = 0; t < TABLES; t++) p->hist[i] += r.table[i][t];
}

#endif
