// SPDX-License-Identifier: Apache-2.0
// What several CPUs do at the same time, each by a thread bound to it.
#ifndef AB_ABREAST_H
#define AB_ABREAST_H

#include "simd/kernels.h"

/* One thread's work of one round, some 10 us or more; returns how many units it did. Round -1 comes
 * before all others and counts for nothing: time to prepare. */
typedef double ab_abreast_work(void *user, int thread, int round);

/* Units per nanosecond of all threads together: the best of rounds that all threads begin at once.
 * Only rounds count in which all ran at the same time for nine tenths of the longest and none lost
 * its CPU: where others use the CPUs too, threads that do not meet say nothing. Takes `span` ns, up
 * to eight times as many while the best is below nine tenths of `hoped` (0: any will do), to
 * sixteen times while there is none. 0: no round counted, or the system refused a thread or its
 * CPU. */
double ab_abreast(const int *cpus, int count, ab_abreast_work *work, void *user, double span,
                  double hoped);

/* GFLOP/s of multiply-adds of them all, with `span` and `hoped` as above; where ab_peak_gflops is
 * not 0. */
double ab_abreast_gflops(const int *cpus, int count, enum ab_isa isa, double span, double hoped);
/* GB/s at which they read memory, each `bytes` of its own, for `span` ns. 0: also out of memory. */
double ab_abreast_gbs(const int *cpus, int count, double bytes, double span);

#endif
