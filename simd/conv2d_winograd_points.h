// SPDX-License-Identifier: Apache-2.0
// The one-dimensional transforms of Winograd F(m, 3), m = WINO_OUT, and of its tiles with k < m
// outputs, over the vector vocabulary.
//
// Points in order of planes: 0, p, -p, q, -q, infinity for m = 4; 0, 1, -1, infinity for m = 2. A
// tile with k outputs uses infinity and the first k + 1 of the others. For a set S of points and
// M(x) = prod (x - a), a in S, row a of B^T holds the coefficients of M(x) / (x - a), and that of
// infinity those of M(x). G has the row (1, a, a^2) / M'(a) for the full set; so a tile with fewer
// points multiplies row a of its B^T by prod (a - b) over the points b that it leaves out. Row k of
// A^T is a^k, with infinity in the last row alone.
#ifndef AB_CONV2D_WINOGRAD_POINTS_H
#define AB_CONV2D_WINOGRAD_POINTS_H

#include "conv2d_winograd.h"

enum { WINO_IN = WINO_OUT + 2, WINO_PLANES = WINO_IN * WINO_IN };

/* Whether a tile with k outputs along an axis uses point i; k = 0 (no such tiles): no. */
AB_INLINE bool wino_uses(int k, int i)
{
    return k > 0 && (i <= k || i == WINO_IN - 1);
}

#define W_C(x) v_set1((float)(x))

#if WINO_OUT == 4
// clang-format off
#define WINO_TABLE(T) \
    T(1, 1) T(1, 2) T(1, 3) T(1, 4) T(2, 1) T(2, 2) T(2, 3) T(2, 4) \
    T(3, 1) T(3, 2) T(3, 3) T(3, 4) T(4, 1) T(4, 2) T(4, 3) T(4, 4)
// clang-format on

AB_INLINE void wino_in_4(const vec *d, vec *t)
{
    const double p = WINO_P, q = WINO_Q;
    const vec e1 = v_fma(W_C(-q * q), d[2], d[4]),
              o1 = v_mul(W_C(p), v_fma(W_C(-q * q), d[1], d[3]));
    const vec e2 = v_fma(W_C(-p * p), d[2], d[4]),
              o2 = v_mul(W_C(q), v_fma(W_C(-p * p), d[1], d[3]));
    t[0] = v_fma(W_C(p * p * q * q), d[0], v_fma(W_C(-p * p - q * q), d[2], d[4]));
    t[1] = v_add(e1, o1);
    t[2] = v_sub(e1, o1);
    t[3] = v_add(e2, o2);
    t[4] = v_sub(e2, o2);
    t[5] = v_fma(W_C(p * p * q * q), d[1], v_fma(W_C(-p * p - q * q), d[3], d[5]));
}

/* Without -q. */
AB_INLINE void wino_in_3(const vec *d, vec *t)
{
    const double p = WINO_P, q = WINO_Q;
    const vec e = v_fma(W_C(-p * p), d[1], d[3]);
    t[0] = v_fma(W_C(q), e, v_fma(W_C(p * p * q * q), d[0], v_mul(W_C(-q * q), d[2])));
    t[1] = v_fma(W_C(p + q), v_fma(W_C(-p * q), d[1], d[3]), v_mul(W_C(p * p - q * q), d[2]));
    t[2] = v_fma(W_C(q - p), v_fma(W_C(p * q), d[1], d[3]), v_mul(W_C(p * p - q * q), d[2]));
    t[3] = v_mul(W_C(2 * q), e);
    t[5] = v_fma(W_C(-q), e, v_fma(W_C(-p * p), d[2], d[4]));
}

/* Without +-q. */
AB_INLINE void wino_in_2(const vec *d, vec *t)
{
    const double p = WINO_P, q = WINO_Q;
    const vec e = v_mul(W_C(p * p - q * q), d[2]);
    t[0] = v_fma(W_C(p * p * q * q), d[0], v_mul(W_C(-q * q), d[2]));
    t[1] = v_fma(W_C(p * (p * p - q * q)), d[1], e);
    t[2] = v_fma(W_C(-p * (p * p - q * q)), d[1], e);
    t[5] = v_fma(W_C(-p * p), d[1], d[3]);
}

/* Without -p, +-q. */
AB_INLINE void wino_in_1(const vec *d, vec *t)
{
    const double p = WINO_P, q = WINO_Q;
    t[0] = v_fma(W_C(p * p * q * q), d[0], v_mul(W_C(-p * q * q), d[1]));
    t[1] = v_mul(W_C(2 * p * (p * p - q * q)), d[1]);
    t[5] = v_fma(W_C(-p), d[1], d[2]);
}

/* One row or column of k + 2 through B^T. */
AB_INLINE void wino_in(int k, const vec *d, vec *t)
{
    switch (k) {
    case 4: wino_in_4(d, t); break;
    case 3: wino_in_3(d, t); break;
    case 2: wino_in_2(d, t); break;
    default: wino_in_1(d, t); break;
    }
}

/* Products through A^T: k outputs. */
AB_INLINE void wino_out(int k, const vec *m, vec *y)
{
    const double p = WINO_P, q = WINO_Q;
    if (k == 1) {
        y[0] = v_add(v_add(m[0], m[1]), m[5]);
        return;
    }
    const vec e1 = v_add(m[1], m[2]), o1 = v_sub(m[1], m[2]);
    if (k == 2) {
        y[0] = v_add(m[0], e1);
        y[1] = v_fma(W_C(p), o1, m[5]);
        return;
    }
    if (k == 3) {
        y[0] = v_add(v_add(m[0], e1), m[3]);
        y[1] = v_fma(W_C(p), o1, v_mul(W_C(q), m[3]));
        y[2] = v_fma(W_C(p * p), e1, v_fma(W_C(q * q), m[3], m[5]));
        return;
    }
    const vec e2 = v_add(m[3], m[4]), o2 = v_sub(m[3], m[4]);
    y[0] = v_add(v_add(m[0], e1), e2);
    y[1] = v_fma(W_C(p), o1, v_mul(W_C(q), o2));
    y[2] = v_fma(W_C(p * p), e1, v_mul(W_C(q * q), e2));
    y[3] = v_fma(W_C(p * p * p), o1, v_fma(W_C(q * q * q), o2, m[5]));
}

#else
#define WINO_TABLE(T) T(1, 1) T(1, 2) T(2, 1) T(2, 2)

/* Row 0 of B^T and of G are both negated. */
AB_INLINE void wino_in(int k, const vec *d, vec *t)
{
    if (k == 1) {
        t[0] = v_sub(d[0], d[1]);
        t[1] = v_add(d[1], d[1]);
        t[3] = v_sub(d[2], d[1]);
        return;
    }
    t[0] = v_sub(d[0], d[2]);
    t[1] = v_add(d[2], d[1]);
    t[2] = v_sub(d[2], d[1]);
    t[3] = v_sub(d[3], d[1]);
}

AB_INLINE void wino_out(int k, const vec *m, vec *y)
{
    if (k == 1) {
        y[0] = v_add(v_add(m[0], m[1]), m[3]);
        return;
    }
    y[0] = v_add(m[0], v_add(m[1], m[2]));
    y[1] = v_add(v_sub(m[1], m[2]), m[3]);
}
#endif

#endif
