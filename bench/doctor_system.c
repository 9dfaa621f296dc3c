// SPDX-License-Identifier: Apache-2.0
// The doctor's look at the operating system and this build: what governs the clock, what slows
// memory down, what makes one process differ from the next.
#include "doctor.h"

#include "base/base.h"
#include "base/container.h"
#include "base/sysfile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char cpu_folder[] = "/sys/devices/system/cpu";

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* The value of cpufreq's file for the usable CPUs, "mixed: A, B" if they differ. */
static bool of_cpus(const struct ab_doctor *d, const char *file, char *text, size_t size)
{
    char other[64];
    if (!ab_sys_line(text, size, "%s/cpu%d/cpufreq/%s", cpu_folder, d->cpus[0], file)) return false;
    for (int i = 1; i < d->n_cpus; i++) {
        if (!ab_sys_line(other, sizeof other, "%s/cpu%d/cpufreq/%s", cpu_folder, d->cpus[i], file))
            continue;
        if (!strcmp(text, other)) continue;
        char first[64];
        snprintf(first, sizeof first, "%.60s", text);
        snprintf(text, size, "mixed: %s, %s", first, other);
        break;
    }
    return true;
}

static void say_boost(struct ab_doctor *d)
{
    long long on;
    const char *what = NULL;
    if (ab_sys_number(&on, "%s/intel_pstate/no_turbo", cpu_folder))
        what = on ? "off" : "on";
    else if (ab_sys_number(&on, "%s/cpufreq/boost", cpu_folder))
        what = on ? "on" : "off";
    ab_doctor_text(d, "boost", what, "the system does not say");
    if (what) ab_doctor_line(d, "boost", "%s", what);
}

static void say_governor(struct ab_doctor *d)
{
    char governor[160], driver[64], least[64], most[64];
    if (!of_cpus(d, "scaling_governor", governor, sizeof governor)) {
        ab_doctor_absent(d, "governor", "governor",
                         "no cpufreq here (usual for guests); the host decides about the clock");
        return;
    }
    of_cpus(d, "scaling_driver", driver, sizeof driver);
    of_cpus(d, "scaling_min_freq", least, sizeof least);
    of_cpus(d, "scaling_max_freq", most, sizeof most);
    ab_doctor_text(d, "governor", governor, NULL);
    ab_doctor_text(d, "governor_driver", *driver ? driver : NULL, "the system does not say");
    ab_doctor_number(d, "clock_min_ghz", *least ? strtod(least, NULL) / 1e6 : (double)NAN,
                     "unknown");
    ab_doctor_number(d, "clock_max_ghz", *most ? strtod(most, NULL) / 1e6 : (double)NAN, "unknown");
    ab_doctor_line(d, "governor", "%s (%s), %.2f to %.2f GHz", governor, *driver ? driver : "?",
                   strtod(least, NULL) / 1e6, strtod(most, NULL) / 1e6);
    if (strcmp(governor, "performance") != 0)
        ab_doctor_advise(d, 60, "as root: cpupower frequency-set -g performance",
                         "the frequency governor is %s, so the clock follows the load", governor);
}

static void say_mitigations(struct ab_doctor *d, const json_t *system)
{
    json_t *all = json_object_get(system, "mitigations"), *value;
    const char *name;
    char active[512] = "", open[512] = "";
    if (!json_is_object(all)) {
        ab_doctor_absent(d, "mitigations", "mitigations", "the kernel does not say");
        return;
    }
    json_object_foreach(all, name, value)
    {
        const char *text = json_string_value(value);
        char *list = text && !strncmp(text, "Mitigation", 10) ? active : open;
        size_t used = strlen(list);
        snprintf(list + used, sizeof active - used, "%s%s", used ? ", " : "", name);
    }
    ab_doctor_put(d, "mitigations", json_incref(all), NULL);
    ab_doctor_line(d, "mitigations", "active: %s; not or partly: %s", *active ? active : "none",
                   *open ? open : "none");
}

/* Bytes in large pages of this process; negative: the system does not say. */
static double in_large_pages(void)
{
    char text[64];
    if (!ab_sys_value("/proc/self/smaps_rollup", "AnonHugePages", text, sizeof text)) return -1;
    return 1024 * strtod(text, NULL);
}

/* Asks for memory as tensors do and sees whether large pages come. */
static void say_large_pages(struct ab_doctor *d, const json_t *system)
{
    enum { BYTES = 32 << 20 };
    const char *mode = text_of(system, "transparent_hugepages");
    double before = in_large_pages();
    char *buffer = ab_buffer_alloc(BYTES);
    for (size_t i = 0; buffer && i < BYTES; i += 4096) ((volatile char *)buffer)[i] = 1;
    double share = (in_large_pages() - before) / BYTES;
    bool known = before >= 0 && buffer;
    ab_buffer_free(buffer);
    ab_doctor_text(d, "transparent_hugepages", mode, "the system does not say");
    ab_doctor_number(d, "large_page_share", known ? share : (double)NAN,
                     "the system does not say which pages are large");
    if (!known)
        ab_doctor_line(d, "large pages", "%s; whether they come is not known",
                       mode ? mode : "absent");
    else
        ab_doctor_line(d, "large pages", "%s; %.0f %% of 32 MiB came in them",
                       mode ? mode : "absent", 100 * share);
    if (mode && strstr(mode, "[never]"))
        ab_doctor_advise(d, 40,
                         "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
                         "large pages are switched off, so large tensors pay for address lookups");
    /* Where pages are larger to begin with, 32 MiB are below one large page. */
    else if (known && mode && share < 0.5 && sysconf(_SC_PAGESIZE) == 4096)
        ab_doctor_advise(d, 30, "free memory, or reboot: it is in pieces",
                         "large pages are allowed but only %.0f %% came", 100 * share);
}

static void say_memory(struct ab_doctor *d)
{
    char total[64], text[32], other[32];
    ab_sys_value("/proc/meminfo", "MemTotal", total, sizeof total);
    double all = *total ? 1024 * strtod(total, NULL) : (double)NAN, free = ab_memory_available();
    ab_doctor_number(d, "memory_bytes", all, "the system does not say");
    ab_doctor_number(d, "memory_available_bytes", free, "the system does not say");
    if (isnan(all) || isnan(free)) {
        ab_doctor_line(d, "memory", "unknown: the system does not say");
        return;
    }
    ab_doctor_line(d, "memory", "%s, %s of it available", ab_doctor_bytes(all, text),
                   ab_doctor_bytes(free, other));
    /* VGG-16's plans take some 0.5 GB, and a race holds two. */
    if (free < 1e9)
        ab_doctor_advise(d, 50, "close other programs or raise the container's limit",
                         "only %s of memory are available", ab_doctor_bytes(free, text));
}

static void say_build(struct ab_doctor *d, const json_t *build)
{
    const char *compiler = text_of(build, "compiler"), *flags = text_of(build, "flags");
    const char *id = text_of(build, "build_id"), *revision = text_of(build, "git_revision");
    ab_doctor_line(d, "build", "%s, %s, %s; build id %.12s", revision ? revision : "?",
                   compiler ? compiler : "?", flags ? flags : "?", id ? id : "absent");
    if (flags && (strstr(flags, "-fsanitize") || !strstr(flags, "-O") || strstr(flags, "-O0")))
        ab_doctor_advise(d, 90, "measure with the release preset: cmake --preset release",
                         "this build is for finding bugs, not for measuring (%.60s)", flags);
}

/* Environment variables that change what is measured. */
static void say_environment(struct ab_doctor *d)
{
    static const char *const isa[] = {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"};
    for (int i = 0; i < 2; i++)
        if (getenv(isa[i]))
            ab_doctor_advise(d, 40, "unset it unless that is what you compare with",
                             "%s=%s holds oneDNN back", isa[i], getenv(isa[i]));
    if (getenv("LD_PRELOAD"))
        ab_doctor_advise(d, 50, "unset it while you measure", "LD_PRELOAD=%s is in this process",
                         getenv("LD_PRELOAD"));
}

void ab_doctor_system(struct ab_doctor *d, const json_t *context)
{
    const json_t *system = json_object_get(context, "system");
    const char *kernel = text_of(system, "kernel"), *source = text_of(system, "clocksource");
    const char *aslr = text_of(system, "address_randomisation");
    const char *word = text_of(system, "float_control");
    ab_doctor_section(d, "system", "System");
    ab_doctor_line(d, "kernel", "%s, %s", kernel ? kernel : "?",
                   text_of(system, "architecture") ? text_of(system, "architecture") : "?");
    say_build(d, json_object_get(context, "build"));
    say_governor(d);
    say_boost(d);
    ab_doctor_line(d, "clock source", "%s", source ? source : "absent: the system does not say");
    if (source && strcmp(source, "tsc") != 0 && strcmp(source, "kvm-clock") != 0 &&
        strcmp(source, "arch_sys_counter") != 0 && strncmp(source, "hyperv", 6) != 0)
        ab_doctor_advise(d, 60, "boot with clocksource=tsc tsc=reliable if the CPU allows it",
                         "the clock is %s, which is slow to read", source);
    ab_doctor_line(d, "addresses", "%s",
                   !aslr                ? "absent: the system does not say"
                   : !strcmp(aslr, "0") ? "the same in each process"
                                        : "random in each process");
    ab_doctor_line(d, "arithmetic", "%s", word ? word : "control word not known here");
    say_mitigations(d, system);
    say_large_pages(d, system);
    say_memory(d);
    say_environment(d);
}
