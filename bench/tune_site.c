// SPDX-License-Identifier: Apache-2.0
// What a machine lets a deployment choose from: its CPUs, cores, instruction sets, and what a
// container grants of them.
#include "tune.h"

#include "base/container.h"
#include "simd/kernels.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <hwloc.h>

static bool room(struct ab_site *site, int count)
{
    site->cpus = malloc((size_t)count * sizeof *site->cpus);
    site->core = malloc((size_t)count * sizeof *site->core);
    return site->cpus && site->core;
}

/* Core by core, in the order in which they share caches. */
static bool by_topology(struct ab_site *site, hwloc_topology_t topology, hwloc_bitmap_t allowed)
{
    if (hwloc_get_cpubind(topology, allowed, HWLOC_CPUBIND_PROCESS) != 0)
        hwloc_bitmap_copy(allowed, hwloc_topology_get_allowed_cpuset(topology));
    const int weight = hwloc_bitmap_weight(allowed);
    if (weight < 1 || !room(site, weight)) return false;
    hwloc_obj_t unit = NULL, core = NULL;
    int number = -1;
    while ((unit = hwloc_get_next_obj_inside_cpuset_by_type(topology, allowed, HWLOC_OBJ_PU,
                                                            unit)) != NULL) {
        hwloc_obj_t own = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, unit);
        /* Where cores are not known each hardware thread counts as one. */
        number += !own || own != core;
        core = own;
        site->cpus[site->n_cpus] = (int)unit->os_index;
        site->core[site->n_cpus++] = number;
    }
    return site->n_cpus > 0;
}

static bool by_hwloc(struct ab_site *site)
{
    hwloc_topology_t topology;
    /* It talks on stderr where /sys is hidden. */
    setenv("HWLOC_HIDE_ERRORS", "2", 0);
    if (hwloc_topology_init(&topology) != 0) return false;
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    const bool good =
        allowed && hwloc_topology_load(topology) == 0 && by_topology(site, topology, allowed);
    hwloc_bitmap_free(allowed);
    hwloc_topology_destroy(topology);
    return good;
}

/* The affinity mask alone: no CPU is known to share a core. */
static bool by_mask(struct ab_site *site)
{
    cpu_set_t mask;
    CPU_ZERO(&mask);
    if (sched_getaffinity(0, sizeof mask, &mask) != 0 || !room(site, CPU_COUNT(&mask)))
        return false;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &mask)) continue;
        site->core[site->n_cpus] = site->n_cpus;
        site->cpus[site->n_cpus++] = (int)cpu;
    }
    return site->n_cpus > 0;
}

enum ab_status ab_site_look(struct ab_site *site, struct ab_error *err)
{
    *site = (struct ab_site){.isas = ab_cpu_isas()};
    if (!by_hwloc(site)) {
        ab_site_free(site);
        site->isas = ab_cpu_isas();
        if (!by_mask(site)) {
            ab_site_free(site);
            return ab_fail(err, AB_ERR_UNSUPPORTED,
                           "CPUs: neither hwloc nor the system says which may be used; "
                           "start with taskset to name some");
        }
    }
    if (site->n_cpus > AB_DEPLOY_MAX_CPUS) site->n_cpus = AB_DEPLOY_MAX_CPUS;
    const double granted = ab_container_cpus();
    site->granted = granted > 0 ? granted : (double)INFINITY;
    site->online = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return AB_OK;
}

void ab_site_free(struct ab_site *site)
{
    free(site->cpus);
    free(site->core);
    *site = (struct ab_site){0};
}

int ab_site_usable(const struct ab_site *site)
{
    if (!(site->granted < site->n_cpus)) return site->n_cpus;
    const int granted = (int)ceil(site->granted);
    return granted > 1 ? granted : 1;
}

void ab_site_say(const struct ab_site *site, char *text, size_t size)
{
    const int usable = ab_site_usable(site);
    char count[32];
    snprintf(count, sizeof count, "%d CPU%s", usable, usable == 1 ? "" : "s");
    if (site->granted < site->n_cpus)
        snprintf(text, size, "%s, as the container's quota grants %.3g", count, site->granted);
    else if (site->online > site->n_cpus)
        snprintf(text, size, "%s, as the affinity mask (taskset, cpuset) leaves those of %d", count,
                 site->online);
    else
        snprintf(text, size, "%s, all that the machine has", count);
}

bool ab_site_place(const struct ab_site *site, enum ab_place place, int threads, int instances,
                   int *cpus)
{
    const int count = threads * instances;
    int found = 0;
    bool siblings = false;
    if (count > ab_site_usable(site)) return false;
    if (place == AB_PLACE_FREE) return true;
    /* Core by core from the last, each from its first hardware thread. */
    for (int end = site->n_cpus, begin; end > 0; end = begin) {
        begin = end - 1;
        while (begin > 0 && site->core[begin - 1] == site->core[begin]) begin--;
        siblings = siblings || end - begin > 1;
        const int last = place == AB_PLACE_CORES ? begin + 1 : end;
        for (int i = begin; i < last && found < count; i++) cpus[found++] = site->cpus[i];
    }
    /* One thread has no siblings to sit beside. */
    return found == count && (place == AB_PLACE_CORES || (siblings && count > 1));
}
