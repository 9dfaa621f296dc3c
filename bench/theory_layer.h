// SPDX-License-Identifier: Apache-2.0
// Input alignment in one layer: what mathematics says, and what random numbers do.
#ifndef AB_THEORY_LAYER_H
#define AB_THEORY_LAYER_H

#include <stdint.h>

/* The signal r that walks back through a layer z = W x of n units and d inputs, the units with z >
 * 0 being active; g: independent standard normal numbers. */
enum ab_signal {
    AB_SIGNAL_ONES,      /* 1 on active units */
    AB_SIGNAL_RELU,      /* z on active units: the activation itself */
    AB_SIGNAL_RECTIFIED, /* max(g, 0) on active units: Guided Backprop clamps the signal */
    AB_SIGNAL_MAGNITUDE, /* |g| on active units: a relevance, never negative */
    AB_SIGNAL_SYMMETRIC, /* g on active units: the gradient's */
    AB_SIGNAL_ALL_UNITS, /* |g| on all units: DeconvNet ignores what was active */
    AB_SIGNALS
};
const char *ab_signal_name(enum ab_signal signal);

/* cos(W^T r, x) for rows of W that are independent and isotropic:
 *
 *     1 / sqrt(1 + k (d - 1) / n),   k = E[r^2] / E[r z]^2 per unit, of z of variance 1
 *
 * (docs/theory.md derives it): the limit of large n, right to 0.02 from n = 32 on. */
double ab_layer_cosine(enum ab_signal signal, int d, int n);

/* The mean of that cosine over `draws` layers with normal weights, for every signal. */
void ab_layer_measure(int d, int n, int draws, uint64_t seed, double cosines[AB_SIGNALS]);

/* Orthonormal rows, n <= d: |cos(W^T r, x) - cos(r, a) |a| / |x||, a = max(W x, 0), r any signal on
 * active units; the largest over `draws` layers. NaN: out of memory. */
double ab_layer_orthogonal_error(int d, int n, int draws, uint64_t seed);

#endif
