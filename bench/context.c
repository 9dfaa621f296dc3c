// SPDX-License-Identifier: Apache-2.0
// The fingerprint: what a reader must know to compare a number with another.
#include "record.h"

#include "ab_version.h"
#include "base/sysfile.h"
#include "load.h"
#include "peak.h"
#include "pin.h"
#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <gnu/libc-version.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* null where the system does not say. */
static void put(json_t *object, const char *key, const char *text)
{
    json_t *value = text && *text ? json_string(text) : NULL;
    json_object_set_new(object, key, value ? value : json_null());
}

/* Who runs this guest, as the CPU or the system says; false, "": nobody is known to. */
static bool hypervisor(char *vendor, size_t size)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    char name[13] = "";
    vendor[0] = '\0';
    /* Bit 31 of ecx is no feature of any CPU: hypervisors set it, and then have leaves of their
     * own. */
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 31 & 1)) return false;
    __cpuid(0x40000000, a, b, c, d);
    memcpy(name, &b, 4), memcpy(name + 4, &c, 4), memcpy(name + 8, &d, 4);
    for (int i = 0; i < 12 && name[i]; i++)
        if (!isprint((unsigned char)name[i])) name[i] = '?';
    snprintf(vendor, size, "%s", *name ? name : "unnamed");
    return true;
#else
    return ab_sys_line(vendor, size, "/sys/hypervisor/type") ||
           ab_sys_line(vendor, size, "/proc/device-tree/hypervisor/compatible");
#endif
}

static json_t *peaks_and_isas(json_t *isas)
{
    json_t *peaks = json_object();
    unsigned have = ab_cpu_isas();
    for (int i = 0; i < AB_ISA_COUNT; i++) {
        if (!(have >> i & 1)) continue;
        json_array_append_new(isas, json_string(ab_isa_name((enum ab_isa)i)));
        double peak = ab_peak_gflops((enum ab_isa)i);
        if (peak > 0) json_object_set_new(peaks, ab_isa_name((enum ab_isa)i), json_real(peak));
    }
    return peaks;
}

/* The CPU by its names and numbers, or AArch64's codes. */
static void identity(json_t *object)
{
    static const struct {
        const char *key, *x86, *arm;
    } fields[] = {
        {"vendor", "vendor_id", "CPU implementer"}, {"family", "cpu family", "CPU architecture"},
        {"model_number", "model", "CPU part"},      {"variant", NULL, "CPU variant"},
        {"stepping", "stepping", "CPU revision"},   {"microcode", "microcode", NULL}};
    const char *const file = "/proc/cpuinfo";
    char text[256];
    ab_sys_cpu(text, sizeof text);
    put(object, "model", text);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        text[0] = '\0';
        if (!fields[i].x86 || !ab_sys_value(file, fields[i].x86, text, sizeof text))
            if (fields[i].arm) ab_sys_value(file, fields[i].arm, text, sizeof text);
        put(object, fields[i].key, text);
    }
    if (json_is_null(json_object_get(object, "microcode"))) {
        ab_sys_line(text, sizeof text, "/sys/devices/system/cpu/cpu0/microcode/version");
        put(object, "microcode", text);
    }
}

static json_t *cpu(const struct ab_machine *m)
{
    char text[8192];
    json_t *object = json_object(), *isas = json_array();
    identity(object);
    json_object_set_new(object, "isas", isas);
    json_object_set_new(object, "cores", json_integer(m->cores));
    json_object_set_new(object, "hardware_threads", json_integer(m->threads));
    json_object_set_new(object, "numa_nodes", json_integer(m->numa_nodes));
    json_object_set_new(object, "cache_bytes",
                        json_pack("{s:I,s:I,s:I}", "l1d", (json_int_t)m->l1d, "l2",
                                  (json_int_t)m->l2, "l3", (json_int_t)m->l3));
    json_object_set_new(object, "hypervisor", json_boolean(hypervisor(text, sizeof text)));
    put(object, "hypervisor_vendor", text);
    json_object_set_new(object, "fma_peak_gflops_per_core", peaks_and_isas(isas));
    if (ab_sys_value("/proc/cpuinfo", "flags", text, sizeof text) ||
        ab_sys_value("/proc/cpuinfo", "Features", text, sizeof text)) {
        char hash[32];
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)ab_hash(0, text, strlen(text)));
        snprintf(text, sizeof text, "%s", hash);
    }
    put(object, "flags_hash", text);
    return object;
}

static json_t *build(void)
{
    char text[512];
    json_t *object = json_object();
    put(object, "attrbench", AB_VERSION);
    put(object, "git_revision", AB_GIT_REVISION);
    put(object, "compiler", AB_COMPILER);
    put(object, "flags", AB_BUILD_FLAGS);
    ab_process_build_id(text, sizeof text);
    put(object, "build_id", text);
    put(object, "libc", gnu_get_libc_version());
    ab_process_openmp(text, sizeof text);
    put(object, "openmp_runtime", text);
    int count;
    const struct ab_backend_info *b = ab_backends(&count);
    for (int i = 0; i < count; i++)
        if (!strcmp(b[i].name, "onednn")) put(object, "onednn", b[i].version);
    return object;
}

/* The countermeasures that the kernel takes or would have to; null if it does not say. */
static json_t *mitigations(void)
{
    static const char where[] = "/sys/devices/system/cpu/vulnerabilities";
    char path[512], text[256];
    DIR *folder = ab_sys_path(path, sizeof path, "%s", where) ? opendir(path) : NULL;
    if (!folder) return json_null();
    json_t *object = json_object();
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.' &&
            ab_sys_line(text, sizeof text, "%s/%s", where, entry->d_name))
            if (strcmp(text, "Not affected") != 0) put(object, entry->d_name, text);
    closedir(folder);
    return object;
}

/* Sums depend on it, and so do the addresses and with them the conflicts of caches. */
static void put_process(json_t *object)
{
    char text[64];
    ab_process_control_word(text, sizeof text);
    put(object, "float_control", text);
    ab_sys_line(text, sizeof text, "/proc/sys/kernel/randomize_va_space");
    put(object, "address_randomisation", text);
}

static json_t *surroundings(void)
{
    static const char *const variables[] = {
        "OMP_NUM_THREADS", "OMP_PROC_BIND",      "OMP_PLACES",
        "OMP_WAIT_POLICY", "GOMP_SPINCOUNT",     "KMP_AFFINITY",
        "KMP_BLOCKTIME",   "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"};
    json_t *object = json_object(), *omp = json_object();
    struct utsname name = {0};
    uname(&name);
    char kernel[256], text[256];
    snprintf(kernel, sizeof kernel, "%s %s", name.sysname, name.release);
    put(object, "kernel", kernel);
    put(object, "architecture", name.machine);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        put(omp, variables[i], getenv(variables[i]));
    json_object_set_new(object, "openmp", omp);
    ab_sys_line(text, sizeof text, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    put(object, "governor", text);
    ab_sys_line(text, sizeof text, "/sys/kernel/mm/transparent_hugepage/enabled");
    put(object, "transparent_hugepages", text);
    ab_sys_line(text, sizeof text,
                "/sys/devices/system/clocksource/clocksource0/current_clocksource");
    put(object, "clocksource", text);
    json_object_set_new(object, "mitigations", mitigations());
    put_process(object);
    struct ab_load load;
    ab_load_look(&load);
    json_object_set_new(object, "load_at_start", ab_load_json(&load));
    return object;
}

json_t *ab_context_json(const struct ab_machine *machine)
{
    char date[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_t *context = json_object();
    json_object_set_new(context, "schema", json_integer(1));
    put(context, "date", date);
    json_object_set_new(context, "cpu", cpu(machine));
    json_object_set_new(context, "build", build());
    json_object_set_new(context, "system", surroundings());
    json_object_set_new(context, "interrupted", json_false());
    return context;
}

void ab_context_end(json_t *context)
{
    struct ab_load load;
    ab_load_look(&load);
    json_object_set_new(json_object_get(context, "system"), "load_at_end", ab_load_json(&load));
}
