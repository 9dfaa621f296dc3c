// SPDX-License-Identifier: Apache-2.0
// What a clock shows: its resolution and cost, and the pace of the core, which is not that of any
// clock that can be read. And the numbers that make equal work unequally long, subnormal ones.
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

/* How many of `values` are subnormal, whatever the mode of the core. */
size_t ab_subnormal_count(const float *values, size_t count);

#endif
