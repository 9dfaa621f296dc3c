// SPDX-License-Identifier: Apache-2.0
// Binding threads to cores. Workers of OpenMP are bound from inside a parallel region of the same
// size as the library's, so that the runtime's pool hands the library the threads bound here.
#include "pin.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include <hwloc.h>

struct ab_pin {
    hwloc_topology_t topology;
    hwloc_bitmap_t allowed;
    int cores;
};

static long cache_bytes(hwloc_topology_t topology, hwloc_obj_type_t type)
{
    hwloc_obj_t cache = hwloc_get_obj_by_type(topology, type, 0);
    return cache && cache->attr ? (long)cache->attr->cache.size : 0;
}

struct ab_pin *ab_pin_create(struct ab_machine *machine)
{
    *machine = (struct ab_machine){.cores = 1, .threads = 1, .numa_nodes = 1};
    struct ab_pin *pin = calloc(1, sizeof *pin);
    if (!pin) return NULL;
    /* It talks on stderr where /sys is hidden; what it then finds by other means is good enough. */
    setenv("HWLOC_HIDE_ERRORS", "2", 0);
    if (hwloc_topology_init(&pin->topology) != 0) goto fail;
    if (hwloc_topology_load(pin->topology) != 0) goto fail;
    pin->allowed = hwloc_bitmap_alloc();
    if (!pin->allowed) goto fail;
    if (hwloc_get_cpubind(pin->topology, pin->allowed, HWLOC_CPUBIND_PROCESS) != 0)
        hwloc_bitmap_copy(pin->allowed, hwloc_topology_get_allowed_cpuset(pin->topology));
    pin->cores =
        hwloc_get_nbobjs_inside_cpuset_by_type(pin->topology, pin->allowed, HWLOC_OBJ_CORE);
    machine->threads = hwloc_bitmap_weight(pin->allowed);
    if (pin->cores <= 0) pin->cores = machine->threads;
    machine->cores = pin->cores;
    machine->l1d = cache_bytes(pin->topology, HWLOC_OBJ_L1CACHE);
    machine->l2 = cache_bytes(pin->topology, HWLOC_OBJ_L2CACHE);
    machine->l3 = cache_bytes(pin->topology, HWLOC_OBJ_L3CACHE);
    machine->numa_nodes = hwloc_get_nbobjs_by_type(pin->topology, HWLOC_OBJ_NUMANODE);
    return pin;

fail:
    ab_pin_destroy(&pin);
    return NULL;
}

void ab_pin_destroy(struct ab_pin **pin)
{
    if (!*pin) return;
    if ((*pin)->allowed) hwloc_bitmap_free((*pin)->allowed);
    if ((*pin)->topology) hwloc_topology_destroy((*pin)->topology);
    free(*pin);
    *pin = NULL;
}

/* Binds the calling thread to the core-th core from the end, to its first hardware thread. */
static bool bind_core(struct ab_pin *pin, int core)
{
    hwloc_obj_t obj = hwloc_get_obj_inside_cpuset_by_type(
        pin->topology, pin->allowed, HWLOC_OBJ_CORE, (unsigned)(pin->cores - 1 - core));
    if (!obj) return false;
    hwloc_bitmap_t set = hwloc_bitmap_dup(obj->cpuset);
    hwloc_bitmap_and(set, set, pin->allowed);
    hwloc_bitmap_singlify(set);
    bool ok = hwloc_set_cpubind(pin->topology, set, HWLOC_CPUBIND_THREAD) == 0;
    hwloc_bitmap_free(set);
    return ok;
}

bool ab_pin_threads(struct ab_pin *pin, int count, char *where, size_t size)
{
    snprintf(where, size, "not pinned");
    if (!pin) return false;
    if (count > pin->cores) {
        ab_pin_release(pin);
        snprintf(where, size, "%d threads on %d cores, not pinned", count, pin->cores);
        return false;
    }
    int bound = 0;
    if (count == 1) {
        bound = bind_core(pin, 0);
    } else {
#pragma omp parallel num_threads(count) reduction(+ : bound)
        bound += bind_core(pin, omp_get_thread_num());
    }
    if (bound != count) return false;
    if (count == 1)
        snprintf(where, size, "core %d", pin->cores - 1);
    else
        snprintf(where, size, "cores %d-%d", pin->cores - count, pin->cores - 1);
    return true;
}

void ab_pin_release(struct ab_pin *pin)
{
    if (!pin) return;
    struct ab_pin *p = pin;
    int threads = pin->cores;
#pragma omp parallel num_threads(threads)
    hwloc_set_cpubind(p->topology, p->allowed, HWLOC_CPUBIND_THREAD);
}
