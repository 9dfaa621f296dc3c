// SPDX-License-Identifier: Apache-2.0
// What a clock shows: its resolution and cost, and the pace of the core, which is not that of any
// clock that can be read. And the mode of the core that makes equal work unequally long: what it
// does with subnormal numbers.
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
/* Of ab_now_ns(). Some 2 ms, the first time; not for concurrent use. */
const struct ab_clock *ab_clock_of_host(void);

/* GHz of the calling thread's core now, by a chain of dependent instructions whose latency in
 * cycles is known for this kind of CPU (32-bit multiplications on x86-64; exclusive ors on AArch64,
 * whose multipliers differ); the best of short slices, 0.2 ms. 0: not known here. */
double ab_core_ghz(void);

/* KEEP: IEEE 754. FLUSH: subnormal operands and results count as zeros (MXCSR's FTZ and DAZ,
 * FPCR.FZ), which can be a hundred times faster where there are any. */
enum ab_denormals { AB_DENORMALS_KEEP, AB_DENORMALS_FLUSH };
const char *ab_denormals_name(enum ab_denormals mode);
/* Of the calling thread, and threads that it starts from now on; returns what was set before. */
enum ab_denormals ab_denormals_set(enum ab_denormals mode);
/* Of the calling thread and threads - 1 OpenMP workers. */
void ab_denormals_set_all(enum ab_denormals mode, int threads);
/* In either mode. */
size_t ab_subnormal_count(const float *values, size_t count);

#endif
