// SPDX-License-Identifier: Apache-2.0
// Which machine this is, as far as it matters to the speed of a configuration.
#include "config/inside.h"

#include "base/container.h"
#include "base/sysfile.h"
#include "simd/kernels.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static cpu_set_t allowed;
static pthread_once_t looked = PTHREAD_ONCE_INIT;

static void look(void)
{
    CPU_ZERO(&allowed);
    if (sched_getaffinity(getpid(), sizeof allowed, &allowed) != 0)
        for (long i = 0; i < sysconf(_SC_NPROCESSORS_ONLN) && i < CPU_SETSIZE; i++)
            CPU_SET((size_t)i, &allowed);
}

bool ab_cpu_allowed(int cpu)
{
    pthread_once(&looked, look);
    return cpu >= 0 && cpu < CPU_SETSIZE && CPU_ISSET((size_t)cpu, &allowed);
}

void ab_cpu_list(char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int cpu = 0; cpu < CPU_SETSIZE && used < size; cpu++) {
        if (!ab_cpu_allowed(cpu)) continue;
        const int from = cpu;
        while (ab_cpu_allowed(cpu + 1)) cpu++;
        used += (size_t)snprintf(text + used, size - used, "%s%d", used ? ", " : "", from);
        if (cpu > from && used < size)
            used += (size_t)snprintf(text + used, size - used, "-%d", cpu);
    }
}

/* As many as the affinity and the quota of a container both grant. */
static int usable_cpus(void)
{
    pthread_once(&looked, look);
    const int count = CPU_COUNT(&allowed);
    const double granted = ceil(ab_container_cpus());
    if (!(granted < count)) return count; /* no quota, or an unknown one */
    return granted < 1 ? 1 : (int)granted;
}

void ab_identity_here(struct ab_identity *here)
{
    struct utsname system;
    const unsigned isas = ab_cpu_isas();
    size_t used = 0;
    *here = (struct ab_identity){.cpus = usable_cpus()};
    ab_sys_cpu(here->cpu, sizeof here->cpu);
    if (uname(&system) == 0)
        snprintf(here->architecture, sizeof here->architecture, "%.31s", system.machine);
    for (int i = 0; i < AB_ISA_COUNT && used < sizeof here->isas; i++)
        if (isas >> i & 1)
            used += (size_t)snprintf(here->isas + used, sizeof here->isas - used, "%s%s",
                                     used ? ", " : "", ab_isa_name((enum ab_isa)i));
}
