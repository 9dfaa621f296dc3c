// SPDX-License-Identifier: Apache-2.0
// Cosine similarity convergence of sets of signals, location by location.
#ifndef AB_BENCH_CSC_H
#define AB_BENCH_CSC_H

#include <stddef.h>
#include <stdint.h>

enum { AB_CSC_SIGNALS = 5, AB_CSC_PAIRS = AB_CSC_SIGNALS * (AB_CSC_SIGNALS - 1) / 2 };

/* signals[k]: [c][locations]. Writes 1 - |cos| of every pair of signals at at most `most`
 * locations, spread evenly, into gaps (room for AB_CSC_PAIRS * most). A signal that is 0 at a
 * location has no direction there: its pairs are left out. Returns how many were written. */
size_t ab_csc_gaps(const double *const signals[AB_CSC_SIGNALS], int c, size_t locations,
                   size_t most, float *gaps);

/* Median |cos| of pairs of Gaussian vectors of c elements, drawn. */
double ab_csc_baseline(int c, uint64_t seed);

#endif
