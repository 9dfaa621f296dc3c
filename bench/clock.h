// SPDX-License-Identifier: Apache-2.0
// What a clock shows: its resolution and cost, and the pace of the core, which is not that of any
// clock that can be read.
#ifndef AB_CLOCK_H
#define AB_CLOCK_H

#include <stdbool.h>
#include <stddef.h>

struct ab_clock {
    double resolution_ns; /* the least difference of two readings that differ */
    double cost_ns;       /* of one reading, which slices have in them once */
    double tsc_ghz;       /* of the time stamp counter (generic timer on ARM); 0: none */
    bool backwards;       /* a later reading was smaller: nothing it says can be trusted */
};
/* Some 2 ms, the first time. */
const struct ab_clock *ab_clock_of_host(void);

/* GHz of the calling thread's core now, by a chain of dependent multiplications whose latency in
 * cycles is known for this kind of CPU (3 on x86-64 since 2008 and on most AArch64 cores); the best
 * of short slices, 0.2 ms. 0: not known here. */
double ab_core_ghz(void);

/* MXCSR's FTZ and DAZ (FPCR.FZ): "keep", "flush". */
enum ab_denormals { AB_DENORMALS_KEEP, AB_DENORMALS_FLUSH };
/* Of the calling thread; returns what was set before. */
enum ab_denormals ab_denormals_set(enum ab_denormals mode);
size_t ab_subnormal_count(const float *values, size_t count);

#endif
