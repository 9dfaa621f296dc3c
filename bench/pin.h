// SPDX-License-Identifier: Apache-2.0
// Cores and caches of the machine, and binding of threads to cores, by hwloc.
#ifndef AB_PIN_H
#define AB_PIN_H

#include <stdbool.h>
#include <stddef.h>

struct ab_machine {
    int cores, threads; /* cores and hardware threads this process may use */
    long l1d, l2, l3;   /* bytes of one cache, 0: unknown */
    int numa_nodes;
};

/* NULL if hwloc fails: then nothing is pinned and the record says so. */
struct ab_pin;
struct ab_pin *ab_pin_create(struct ab_machine *machine);
void ab_pin_destroy(struct ab_pin **pin);

/* Binds the calling thread and count - 1 OpenMP workers each to a core of its own (the last core
 * first for one thread: interrupts prefer the first). More threads than cores: all cores together.
 * `where` gets a description such as "core 1". False if the system refuses. */
bool ab_pin_threads(struct ab_pin *pin, int count, char *where, size_t size);

/* Back to all cores that the process may use. */
void ab_pin_release(struct ab_pin *pin);

#endif
