// SPDX-License-Identifier: Apache-2.0
// The doctor's look at CPUs: which they are, which may be used, what they share.
#include "doctor.h"

#include "base/base.h"
#include "base/container.h"
#include "base/sysfile.h"
#include "simd/kernels.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static const char cpu_folder[] = "/sys/devices/system/cpu";

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "?";
}

/* Whether `cpu` is the first of the hardware threads of its core; true where nobody says. */
static bool leads_core(int cpu)
{
    char list[256];
    if (!ab_sys_line(list, sizeof list, "%s/cpu%d/topology/thread_siblings_list", cpu_folder, cpu))
        return true;
    return atoi(list) == cpu;
}

void ab_doctor_cpus(struct ab_doctor *d, const struct ab_machine *machine)
{
    /* Larger than the kernel's own mask, or the call fails. */
    cpu_set_t *set = CPU_ALLOC(8192);
    size_t size = CPU_ALLOC_SIZE(8192);
    bool known = set && sched_getaffinity(0, size, set) == 0;
    d->machine = *machine;
    d->n_cpus = d->n_own = 0;
    for (int lead = 1; known && lead >= 0; lead--) {
        for (int cpu = 0; cpu < 8192 && d->n_cpus < AB_DOCTOR_CPUS; cpu++)
            if (CPU_ISSET_S((size_t)cpu, size, set) && leads_core(cpu) == (bool)lead)
                d->cpus[d->n_cpus++] = cpu;
        if (lead) d->n_own = d->n_cpus;
    }
    if (set) CPU_FREE(set);
    if (!d->n_cpus) d->cpus[0] = 0, d->n_cpus = 1;
    if (!d->n_own) d->n_own = d->n_cpus;
}

static void say_identity(struct ab_doctor *d, const json_t *cpu)
{
    char isas[128] = "";
    unsigned have = ab_cpu_isas();
    json_t *list = json_array();
    for (int i = AB_ISA_plain; i < AB_ISA_COUNT; i++) {
        if (!(have >> i & 1)) continue;
        size_t used = strlen(isas);
        snprintf(isas + used, sizeof isas - used, "%s%s", used ? ", " : "",
                 ab_isa_name((enum ab_isa)i));
        json_array_append_new(list, json_string(ab_isa_name((enum ab_isa)i)));
    }
    ab_doctor_line(d, "model", "%s (%s, family %s, model %s, stepping %s)", text_of(cpu, "model"),
                   text_of(cpu, "vendor"), text_of(cpu, "family"), text_of(cpu, "model_number"),
                   text_of(cpu, "stepping"));
    if (json_is_string(json_object_get(cpu, "microcode")))
        ab_doctor_line(d, "microcode", "%s", text_of(cpu, "microcode"));
    ab_doctor_line(d, "instructions", "%s", isas);
    ab_doctor_put(d, "isas", list, NULL);
    if (!(have & ~(1u << AB_ISA_ref | 1u << AB_ISA_plain)))
        ab_doctor_advise(d, 50, "run on a CPU with AVX2 or AVX-512 (x86-64) or on AArch64",
                         "none of the hand-written instruction sets is here");
}

/* How many of all online CPUs are left to this process. */
static void say_cpus(struct ab_doctor *d)
{
    char online[256], list[256], isolated[256];
    int used = 0;
    ab_sys_line(online, sizeof online, "%s/online", cpu_folder);
    ab_sys_line(isolated, sizeof isolated, "%s/isolated", cpu_folder);
    json_t *cpus = json_array();
    list[0] = '\0';
    for (int i = 0; i < d->n_cpus; i++) {
        json_array_append_new(cpus, json_integer(d->cpus[i]));
        if (used < 64) used += snprintf(list + used, 16, "%s%d", i ? "," : "", d->cpus[i]);
    }
    if (d->n_cpus > 1 && used >= 64) snprintf(list + used, 8, "...");
    ab_doctor_put(d, "usable", cpus, NULL);
    ab_doctor_text(d, "online", online, "the system does not say");
    ab_doctor_text(d, "isolated", isolated, "none");
    ab_doctor_line(d, "CPUs", "%d usable (%s), online %s%s%s, %d NUMA node%s", d->n_cpus, list,
                   *online ? online : "unknown", *isolated ? ", isolated " : "", isolated,
                   d->machine.numa_nodes, d->machine.numa_nodes == 1 ? "" : "s");
}

static void say_threads_of_cores(struct ab_doctor *d)
{
    char text[256];
    bool known = ab_sys_line(text, sizeof text, "%s/cpu%d/topology/thread_siblings_list",
                             cpu_folder, d->cpus[0]);
    bool shared = d->n_own < d->n_cpus;
    ab_doctor_put(d, "cores", known ? json_integer(d->n_own) : NULL,
                  "the system does not say which CPUs share a core");
    if (!known)
        ab_doctor_line(d, "cores", "unknown: the system does not say which CPUs share one");
    else
        ab_doctor_line(d, "cores", "%d%s", d->n_own,
                       shared ? ", some with two or more of the CPUs" : ", one CPU each");
    ab_sys_line(text, sizeof text, "%s/smt/control", cpu_folder);
    ab_doctor_text(d, "smt_control", text, "the system does not say");
    if (shared)
        ab_doctor_advise(d, 30, "use --threads up to the number of cores",
                         "%d CPUs are hardware threads of %d cores", d->n_cpus, d->n_own);
}

/* Capacity as the scheduler sees it, or the highest clock: of AArch64's big and little cores, and
 * of CPUs with two kinds of cores. 0: not known. */
static long long strength_of(int cpu)
{
    long long value;
    if (ab_sys_number(&value, "%s/cpu%d/cpu_capacity", cpu_folder, cpu)) return value;
    if (ab_sys_number(&value, "%s/cpu%d/cpufreq/cpuinfo_max_freq", cpu_folder, cpu)) return value;
    return 0;
}

/* A tenth: favoured cores of one kind differ by less. */
static void say_kinds(struct ab_doctor *d)
{
    long long least = strength_of(d->cpus[0]), most = least;
    for (int i = 1; i < d->n_cpus; i++) {
        long long strength = strength_of(d->cpus[i]);
        if (strength < least) least = strength;
        if (strength > most) most = strength;
    }
    bool equal = least * 10 >= most * 9;
    ab_doctor_put(d, "equal", most > 0 ? json_boolean(equal) : NULL, "the system does not say");
    if (equal || least <= 0) return;
    ab_doctor_line(d, "kinds", "the weakest usable CPU has %lld %% of the strongest",
                   100 * least / most);
    ab_doctor_advise(d, 70, "bind the process to CPUs of one kind (taskset -c)",
                     "the usable CPUs are of different kinds: %lld %% to 100 %%",
                     100 * least / most);
}

/* Caches of the first usable CPU, as the system describes them: guests are told stories. */
static void say_caches(struct ab_doctor *d)
{
    json_t *list = json_array();
    char all[256] = "";
    for (int i = 0; i < 16; i++) {
        long long level;
        char type[32], size[32], shared[128];
        if (!ab_sys_number(&level, "%s/cpu%d/cache/index%d/level", cpu_folder, d->cpus[0], i))
            break;
        ab_sys_line(type, sizeof type, "%s/cpu%d/cache/index%d/type", cpu_folder, d->cpus[0], i);
        ab_sys_line(size, sizeof size, "%s/cpu%d/cache/index%d/size", cpu_folder, d->cpus[0], i);
        ab_sys_line(shared, sizeof shared, "%s/cpu%d/cache/index%d/shared_cpu_list", cpu_folder,
                    d->cpus[0], i);
        json_array_append_new(list, json_pack("{s:I,s:s,s:s,s:s}", "level", (json_int_t)level,
                                              "type", type, "size", size, "shared_by", shared));
        if (!strcmp(type, "Instruction")) continue;
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%sL%lld %s of CPU %s", used ? ", " : "", level,
                 *size ? size : "?", *shared ? shared : "?");
    }
    char l1[32], l2[32], l3[32];
    if (!json_array_size(list) && d->machine.l1d + d->machine.l2 + d->machine.l3 > 0)
        snprintf(all, sizeof all, "L1 %s, L2 %s, L3 %s (0 B: unknown); nobody says who shares them",
                 ab_doctor_bytes((double)d->machine.l1d, l1),
                 ab_doctor_bytes((double)d->machine.l2, l2),
                 ab_doctor_bytes((double)d->machine.l3, l3));
    ab_doctor_put(d, "caches", list, NULL);
    ab_doctor_line(d, "caches", "%s", *all ? all : "unknown: the system does not say");
}

/* The names that people know; CPUID has room for 12 letters. */
static const char *hypervisor_name(const char *vendor)
{
    static const char *const names[][2] = {{"KVMKVMKVM", "KVM"},
                                           {"Microsoft Hv", "Hyper-V"},
                                           {"VMwareVMware", "VMware"},
                                           {"XenVMMXenVMM", "Xen"},
                                           {"TCGTCGTCGTCG", "QEMU (emulated)"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(vendor, names[i][0])) return names[i][1];
    return vendor;
}

static void say_virtualisation(struct ab_doctor *d, const json_t *cpu)
{
    const char *kind = ab_container_kind();
    bool guest = json_is_true(json_object_get(cpu, "hypervisor"));
    ab_doctor_put(d, "guest", json_boolean(guest), NULL);
    ab_doctor_text(d, "container", kind, "no sign of one");
    if (guest)
        ab_doctor_line(d, "virtualisation", "guest of %s%s%s%s",
                       hypervisor_name(text_of(cpu, "hypervisor_vendor")),
                       kind ? ", in a container (" : "", kind ? kind : "", kind ? ")" : "");
    else
        ab_doctor_line(d, "virtualisation", "no hypervisor%s%s%s",
                       kind ? ", in a container (" : " seen", kind ? kind : "", kind ? ")" : "");
}

/* A quota is used up by threads together; who has run it out stands still for up to 100 ms. */
static void say_quota(struct ab_doctor *d)
{
    double cpus = ab_container_cpus();
    ab_doctor_number(d, "quota_cpus", cpus,
                     isnan(cpus) ? "the system does not say" : "no quota is set");
    if (!isfinite(cpus)) {
        ab_doctor_line(d, "quota", isnan(cpus) ? "unknown: the system does not say" : "none");
        return;
    }
    ab_doctor_line(d, "quota", "the control group grants %.2f CPUs", cpus);
    if (cpus < d->n_cpus)
        ab_doctor_advise(d, 70, "use at most that many --threads, or raise the container's limit",
                         "%d CPUs are seen but a quota grants the time of %.2f", d->n_cpus, cpus);
}

void ab_doctor_cpu(struct ab_doctor *d, const json_t *context)
{
    const json_t *cpu = json_object_get(context, "cpu");
    ab_doctor_section(d, "cpu", "CPU");
    say_identity(d, cpu);
    say_cpus(d);
    say_threads_of_cores(d);
    say_kinds(d);
    say_caches(d);
    say_virtualisation(d, cpu);
    say_quota(d);
}
