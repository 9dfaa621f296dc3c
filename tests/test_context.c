// SPDX-License-Identifier: Apache-2.0
// The fingerprint and what it is read from, on machines made of files: containers of both versions
// of control groups, kernels without pressure, systems that say nothing at all.
#include "../bench/load.h"
#include "../bench/pin.h"
#include "../bench/process.h"
#include "../bench/record.h"
#include "base/container.h"
#include "base/sysfile.h"
#include "support.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char machine[64];

/* An empty machine. */
static void begin(void)
{
    snprintf(machine, sizeof machine, "/tmp/test-context-XXXXXX");
    CHECK(mkdtemp(machine), "no temporary folder");
    ab_sys_root(machine);
}

static void end(void)
{
    char command[128];
    ab_sys_root("");
    snprintf(command, sizeof command, "rm -rf %s", machine);
    CHECK(system(command) == 0, "%s", command);
}

static void put(const char *name, const char *text)
{
    char path[256], folder[256];
    snprintf(path, sizeof path, "%s%s", machine, name);
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    CHECK(ab_make_folders(folder), "%s: %s", folder, strerror(errno));
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s: %s", path, strerror(errno));
}

TEST(files_that_are_absent_empty_or_strange_are_no_numbers)
{
    char text[64] = "old";
    long long value = 7;
    begin();
    CHECK(!ab_sys_line(text, sizeof text, "/no/such") && !*text && errno == ENOENT, "absent");
    put("/empty", "");
    CHECK(!ab_sys_line(text, sizeof text, "/empty") && !*text, "empty");
    put("/word", "many\n");
    CHECK(!ab_sys_number(&value, "/word") && value == 7, "a word is no number");
    put("/tail", "12x\n");
    CHECK(!ab_sys_number(&value, "/tail"), "12x is no number");
    put("/n3/number", "-12\nmore\n");
    CHECK(ab_sys_number(&value, "/n%d/number", 3) && value == -12, "got %lld", value);
    put("/info", "model\t\t: 17\nmodel name\t: A: B\nmodel name : C\nempty :\n");
    CHECK(ab_sys_value("/info", "model", text, sizeof text) && !strcmp(text, "17"), "%s", text);
    CHECK(ab_sys_value("/info", "model name", text, sizeof text) && !strcmp(text, "A: B"), "%s",
          text);
    CHECK(!ab_sys_value("/info", "empty", text, sizeof text) && !*text, "a key without a value");
    CHECK(!ab_sys_value("/info", "mod", text, sizeof text), "half a key");
    end();
}

TEST(quotas_are_the_least_of_all_groups_above)
{
    begin();
    CHECK(isnan(ab_container_cpus()), "a machine that says nothing has no quota to tell");
    put("/proc/self/cgroup", "0::/a/b\n");
    CHECK(isnan(ab_container_cpus()), "no cpu.max anywhere");
    put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    CHECK(isinf(ab_container_cpus()), "no quota");
    put("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    CHECK(ab_container_cpus() == 1.5, "%g", ab_container_cpus());
    put("/sys/fs/cgroup/a/cpu.stat", "usage_usec 5\nnr_periods 9\nnr_throttled 4\n");
    CHECK(ab_container_throttled() == 4, "%g", ab_container_throttled());
    put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
    CHECK(ab_container_cpus() == 0.5, "%g", ab_container_cpus());
    /* Without a namespace of its own a container sees the host's path, which is not mounted. */
    put("/proc/self/cgroup", "0::/host/only/docker/4711\n");
    CHECK(ab_container_cpus() == 0.5, "%g", ab_container_cpus());
    CHECK(!strcmp(ab_container_kind(), "docker"), "%s", ab_container_kind());
    put("/proc/self/cgroup", "4:cpu,cpuacct:/x\n3:memory:/y\n");
    put("/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
    CHECK(isinf(ab_container_cpus()), "%g", ab_container_cpus());
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    CHECK(ab_container_cpus() == 3, "%g", ab_container_cpus());
    end();
}

TEST(memory_is_what_both_the_machine_and_the_group_have)
{
    begin();
    CHECK(isnan(ab_memory_available()), "nothing said");
    put("/proc/meminfo", "MemTotal:   1000 kB\nMemAvailable:    800 kB\n");
    CHECK(ab_memory_available() == 800 * 1024.0, "%g", ab_memory_available());
    put("/proc/self/cgroup", "0::/g\n");
    put("/sys/fs/cgroup/g/memory.max", "max\n");
    put("/sys/fs/cgroup/g/memory.current", "1000\n");
    CHECK(ab_memory_available() == 800 * 1024.0, "no limit: %g", ab_memory_available());
    put("/sys/fs/cgroup/g/memory.max", "500000\n");
    CHECK(ab_memory_available() == 499000, "%g", ab_memory_available());
    end();
}

TEST(load_between_two_looks)
{
    struct ab_load from, to;
    begin();
    ab_load_look(&from);
    CHECK(isnan(from.pressure_us) && isnan(from.busy_s) && isnan(from.stolen_s),
          "an empty machine");
    json_t *json = ab_load_json(&from);
    CHECK(json && json_is_null(json_object_get(json, "steal_seconds")), "NaN is null");
    json_decref(json);
    put("/proc/pressure/cpu", "some avg10=12.50 avg60=1.00 avg300=0.50 total=1000000\nfull x\n");
    put("/proc/stat", "cpu  100 0 100 500 0 0 0 100 0 0\ncpu0 1 2 3\n");
    ab_load_look(&from);
    CHECK(from.pressure_avg10 == 12.5 && from.pressure_us == 1e6, "pressure");
    put("/proc/pressure/cpu", "some avg10=50.00 avg60=1.00 avg300=0.50 total=3000000\n");
    put("/proc/stat", "cpu  300 0 100 500 0 0 0 200 0 0\n");
    ab_load_look(&to);
    to.when_ns = from.when_ns + 4e9;
    to.own_s = from.own_s + 1;
    struct ab_load_change c = ab_load_between(&from, &to);
    double tick = (double)sysconf(_SC_CLK_TCK);
    CHECK(fabs(c.pressure - 0.5) < 1e-9, "pressure %g", c.pressure);
    CHECK(fabs(c.stolen - 1.0 / 3) < 1e-9, "stolen %g", c.stolen);
    CHECK(fabs(c.others - (200 / tick - 1) / 4) < 1e-9, "others %g", c.others);
    put("/proc/stat", "cpu  300 0 100 500 0 0 0\n");
    ab_load_look(&to);
    CHECK(isnan(to.stolen_s) && !isnan(to.busy_s), "a kernel without steal");
    end();
}

static const char *text_of(const json_t *context, const char *part, const char *key)
{
    return json_string_value(json_object_get(json_object_get(context, part), key));
}

TEST(a_fingerprint_of_a_machine_that_says_nothing)
{
    static const char *const cpu[] = {"model", "vendor", "family", "stepping", "microcode"};
    struct ab_machine m = {.cores = 1, .threads = 1, .numa_nodes = 1};
    begin();
    json_t *context = ab_context_json(&m);
    ab_context_end(context);
    for (size_t i = 0; i < sizeof cpu / sizeof *cpu; i++)
        CHECK(json_is_null(json_object_get(json_object_get(context, "cpu"), cpu[i])), "%s", cpu[i]);
    const json_t *system = json_object_get(context, "system");
    CHECK(json_is_null(json_object_get(system, "mitigations")), "mitigations");
    CHECK(json_is_null(json_object_get(system, "governor")), "governor");
    CHECK(json_is_object(json_object_get(system, "load_at_end")), "the end");
    char *text = json_dumps(context, JSON_ENSURE_ASCII);
    CHECK(text && !strstr(text, "nan") && !strstr(text, "inf"), "strict");
    free(text);
    json_decref(context);
    end();
}

TEST(a_fingerprint_names_what_the_files_name)
{
    struct ab_machine m = {.cores = 2, .threads = 4, .numa_nodes = 1, .l1d = 32768};
    begin();
    put("/proc/cpuinfo",
        "processor\t: 0\nvendor_id\t: TestInc\ncpu family\t: 25\nmodel\t\t: 17\n"
        "model name\t: Test CPU\nstepping\t: 1\nmicrocode\t: 0x42\nflags\t: a b\n");
    put("/sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected\n");
    put("/sys/devices/system/cpu/vulnerabilities/spectre_v2", "Mitigation: Retpolines\n");
    put("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    put("/proc/sys/kernel/randomize_va_space", "2\n");
    json_t *context = ab_context_json(&m);
    CHECK(!strcmp(text_of(context, "cpu", "vendor"), "TestInc"), "vendor");
    CHECK(!strcmp(text_of(context, "cpu", "model_number"), "17"), "model number");
    CHECK(!strcmp(text_of(context, "cpu", "microcode"), "0x42"), "microcode");
    CHECK(strlen(text_of(context, "cpu", "flags_hash")) == 16, "flags");
    CHECK(!strcmp(text_of(context, "system", "governor"), "powersave"), "governor");
    CHECK(!strcmp(text_of(context, "system", "address_randomisation"), "2"), "ASLR");
    const json_t *m2 = json_object_get(json_object_get(context, "system"), "mitigations");
    CHECK(json_object_size(m2) == 1 && json_object_get(m2, "spectre_v2"), "only what is there");
    json_decref(context);
    put("/proc/cpuinfo",
        "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n"
        "CPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n");
    context = ab_context_json(&m);
    CHECK(!strcmp(text_of(context, "cpu", "model"), "implementer 0x41, part 0xd0c"), "AArch64");
    CHECK(!strcmp(text_of(context, "cpu", "stepping"), "1"), "AArch64's revision");
    CHECK(!strcmp(text_of(context, "cpu", "variant"), "0x3"), "AArch64's variant");
    json_decref(context);
    end();
}

TEST(this_process_knows_itself)
{
    char text[256];
    if (ab_process_build_id(text, sizeof text))
        CHECK(strspn(text, "0123456789abcdef+") == strlen(text) && strlen(text) >= 16, "%s", text);
    char tiny[8];
    ab_process_build_id(tiny, sizeof tiny);
    CHECK(strlen(tiny) < sizeof tiny, "cut short");
    CHECK(ab_process_openmp(text, sizeof text) || !*text, "OpenMP");
#if defined(__x86_64__)
    CHECK(ab_process_control_word(text, sizeof text) && !strcmp(text, "mxcsr 0x1f80"), "%s", text);
#endif
}

static const struct test_case cases[] = {
    CASE(files_that_are_absent_empty_or_strange_are_no_numbers),
    CASE(quotas_are_the_least_of_all_groups_above),
    CASE(memory_is_what_both_the_machine_and_the_group_have),
    CASE(load_between_two_looks),
    CASE(a_fingerprint_of_a_machine_that_says_nothing),
    CASE(a_fingerprint_names_what_the_files_name),
    CASE(this_process_knows_itself),
};
TEST_MAIN("context", cases)
