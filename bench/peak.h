// SPDX-License-Identifier: Apache-2.0
// The most multiply-adds a second that one core does, measured, for each instruction set.
#ifndef AB_PEAK_H
#define AB_PEAK_H

#include "simd/kernels.h"

/* GFLOP/s (a multiply-add is 2) of float32 FMA at the width of `isa` on the calling thread, the
 * best of short slices: an interruption lowers a mean but not a maximum. 0: this CPU lacks it, or
 * there is no probe. Takes some 20 ms the first time, nothing later. */
double ab_peak_gflops(enum ab_isa isa);

/* One slice, some 3 us, for whoever times it in their own way, from any thread; only where
 * ab_peak_gflops is not 0 (asking a guest's CPU what it has takes longer than the slice). Returns
 * the operations it did. */
double ab_peak_slice(enum ab_isa isa);

/* Measures for another 50 us and keeps the best: called between the samples that are to be compared
 * with it, it sees the pace that they run at. */
double ab_peak_again(enum ab_isa isa);

/* The same for the widest instruction set of `isas` (a mask of 1u << AB_ISA_*); *isa is that one.
 */
double ab_peak_best(unsigned isas, enum ab_isa *isa);

#endif
