// SPDX-License-Identifier: Apache-2.0
// The fingerprint: what a reader must know to compare a number with another.
#include "record.h"

#include "ab_version.h"
#include "gbench.h"
#include "peak.h"
#include "pin.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The value after "key :" in a file like /proc/cpuinfo; "" if none. */
static void look_up(const char *file, const char *key, char *value, size_t size)
{
    char line[8192];
    value[0] = '\0';
    FILE *f = fopen(file, "r");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        size_t length = strlen(key);
        if (!colon || strncmp(line, key, length) != 0) continue;
        if (strspn(line + length, " \t") != (size_t)(colon - line) - length) continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(value, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    if (f) fclose(f);
}

static void first_line(const char *file, char *text, size_t size)
{
    text[0] = '\0';
    FILE *f = fopen(file, "r");
    if (f && fgets(text, (int)size, f)) text[strcspn(text, "\n")] = '\0';
    if (f) fclose(f);
}

/* null where the system does not say. */
static void put(json_t *object, const char *key, const char *text)
{
    json_t *value = text && *text ? json_string(text) : NULL;
    json_object_set_new(object, key, value ? value : json_null());
}

static json_t *cpu(const struct ab_machine *m)
{
    char model[256], flags[8192];
    look_up("/proc/cpuinfo", "model name", model, sizeof model);
    look_up("/proc/cpuinfo", "flags", flags, sizeof flags);
    json_t *isas = json_array(), *peaks = json_object();
    unsigned have = ab_cpu_isas();
    for (int i = 0; i < AB_ISA_COUNT; i++) {
        if (!(have >> i & 1)) continue;
        json_array_append_new(isas, json_string(ab_isa_name((enum ab_isa)i)));
        double peak = ab_peak_gflops((enum ab_isa)i);
        if (peak > 0) json_object_set_new(peaks, ab_isa_name((enum ab_isa)i), json_real(peak));
    }
    json_t *caches = json_pack("{s:I,s:I,s:I}", "l1d", (json_int_t)m->l1d, "l2", (json_int_t)m->l2,
                               "l3", (json_int_t)m->l3);
    json_t *object = json_object();
    put(object, "model", model);
    json_object_set_new(object, "isas", isas);
    json_object_set_new(object, "cores", json_integer(m->cores));
    json_object_set_new(object, "hardware_threads", json_integer(m->threads));
    json_object_set_new(object, "numa_nodes", json_integer(m->numa_nodes));
    json_object_set_new(object, "cache_bytes", caches);
    json_object_set_new(object, "hypervisor", json_boolean(strstr(flags, " hypervisor") != NULL));
    json_object_set_new(object, "fma_peak_gflops_per_core", peaks);
    return object;
}

static json_t *build(void)
{
    json_t *object = json_object();
    put(object, "attrbench", AB_VERSION);
    put(object, "git_revision", AB_GIT_REVISION);
    put(object, "compiler", AB_COMPILER);
    put(object, "flags", AB_BUILD_FLAGS);
    int count;
    const struct ab_backend_info *b = ab_backends(&count);
    for (int i = 0; i < count; i++)
        if (!strcmp(b[i].name, "onednn")) put(object, "onednn", b[i].version);
    return object;
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
    first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", text, sizeof text);
    put(object, "governor", text);
    first_line("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text);
    put(object, "transparent_hugepages", text);
    first_line("/proc/pressure/cpu", text, sizeof text);
    put(object, "cpu_pressure", text);
    double load[3];
    if (getloadavg(load, 3) == 3)
        json_object_set_new(object, "load_average", json_pack("[fff]", load[0], load[1], load[2]));
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
