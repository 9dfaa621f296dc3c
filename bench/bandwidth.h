// SPDX-License-Identifier: Apache-2.0
// How many bytes a second one core reads, measured: the roof over layers that do little arithmetic.
#ifndef AB_BANDWIDTH_H
#define AB_BANDWIDTH_H

#include <stddef.h>

/* GB/s (1e9 bytes) at which the calling thread reads a working set of `bytes` again and again: the
 * best of several access patterns, on large pages where the system grants them. Sizes are rounded
 * to a quarter of a power of two, at least 16 KiB; sets above 128 MiB are all measured at 384 MiB,
 * of which caches hold next to nothing. Takes below 50 ms for a size (0.2 s for the largest),
 * nothing when asked again; not for concurrent use. Allocates what it measures: ask
 * after peaks of memory have been taken. 0 when out of memory. */
double ab_bandwidth_gbs(size_t bytes);

/* Nanoseconds of one pass over `bytes` at `data`, 64-byte aligned: the least of all access
 * patterns, each within a part of `part` bytes before the next part (whole lines of all streams; a
 * rest of some KiB is left out). What to compare a kernel with that reads the same memory: where a
 * cache holds some of the set, what it delivers depends on the order, so `part` is what the kernel
 * reads side by side. */
double ab_bandwidth_read_ns(const void *data, size_t bytes, size_t part);

/* One pass over `bytes` at `data` in one of the access patterns, for whoever times it in their own
 * way, from any thread. */
enum { AB_BANDWIDTH_PATTERNS = 5 };
void ab_bandwidth_pass(const void *data, size_t bytes, int pattern);

#endif
