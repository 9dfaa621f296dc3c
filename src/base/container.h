// SPDX-License-Identifier: Apache-2.0
// What a container or a control group grants: CPUs, memory.
#ifndef AB_CONTAINER_H
#define AB_CONTAINER_H

#include <stdbool.h>

/* What sort of container this process seems to run in ("docker", "podman", "lxc", ...); NULL: no
 * sign of any. */
const char *ab_container_kind(void);

/* CPUs that the quota amounts to (2.5: 250 ms of each 100 ms); INFINITY: no quota; NaN: the
 * system does not say. */
double ab_container_cpus(void);

/* Periods, so far, in which the quota ended before the period did; NaN: not known. */
double ab_container_throttled(void);

/* Bytes that can still be had without swapping: what the machine has available, or less where a
 * control group says so. NaN: not known. */
double ab_memory_available(void);

#endif
