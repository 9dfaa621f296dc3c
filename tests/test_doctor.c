// SPDX-License-Identifier: Apache-2.0
// What the doctor says of machines made of files: governors, quotas, siblings, meters that are
// dead, and systems that say nothing; the order of its advice; threads that run at once.
#include "../bench/abreast.h"
#include "../bench/doctor.h"
#include "../bench/peak.h"
#include "../bench/record.h"
#include "base/sysfile.h"
#include "support.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char machine[64];
static struct ab_doctor d;
static char *text;
static size_t text_size;

static void put(const char *name, const char *line)
{
    char path[256], folder[256];
    snprintf(path, sizeof path, "%s%s", machine, name);
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    CHECK(ab_make_folders(folder), "%s: %s", folder, strerror(errno));
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(line, f) >= 0 && fclose(f) == 0, "%s: %s", path, strerror(errno));
}

/* A machine without any file. */
static void begin(void)
{
    struct ab_machine m = {.cores = 1, .threads = 1, .numa_nodes = 1};
    snprintf(machine, sizeof machine, "/tmp/test-doctor-XXXXXX");
    CHECK(mkdtemp(machine), "no temporary folder");
    ab_sys_root(machine);
    memset(&d, 0, sizeof d);
    d.root = json_object();
    d.out = open_memstream(&text, &text_size);
    CHECK(d.root && d.out, "out of memory");
    ab_load_look(&d.started);
    ab_doctor_cpus(&d, &m);
}

static void end(void)
{
    char command[128];
    fclose(d.out);
    free(text);
    json_decref(d.root);
    ab_sys_root("");
    snprintf(command, sizeof command, "rm -rf %s", machine);
    CHECK(system(command) == 0, "%s", command);
}

static void says(const char *words)
{
    fflush(d.out);
    CHECK(strstr(text, words), "'%s' is not in:\n%s", words, text);
}

static bool advises(const char *words)
{
    for (int i = 0; i < d.n_advice; i++)
        if (strstr(d.advice[i].finding, words) || strstr(d.advice[i].remedy, words)) return true;
    return false;
}

/* As everything the doctor prints: no NaN, nothing that is no JSON. */
static void is_strict(void)
{
    char *json = json_dumps(d.root, JSON_ENSURE_ASCII);
    json_error_t error;
    json_t *again = json ? json_loads(json, JSON_REJECT_DUPLICATES, &error) : NULL;
    CHECK(again, "no strict JSON: %s", json ? json : "out of memory");
    json_decref(again);
    free(json);
}

static const json_t *at(const char *section, const char *key)
{
    return json_object_get(json_object_get(d.root, section), key);
}

TEST(a_machine_that_says_nothing_is_described_as_such)
{
    begin();
    json_t *context = ab_context_json(&d.machine);
    ab_doctor_cpu(&d, context);
    ab_doctor_system(&d, context);
    ab_doctor_quiet(&d, 0);
    struct ab_energy *energy = ab_doctor_energy_begin();
    ab_doctor_energy(&d, &energy);
    CHECK(!energy, "freed");
    ab_doctor_aftermath(&d);
    says("governor        absent: no cpufreq");
    says("mitigations     absent");
    says("pressure        absent");
    says("others          unknown");
    says("meters          absent");
    says("caches          unknown");
    says("cores           unknown");
    says("memory          unknown");
    says("quota           unknown");
    says("heat            absent");
    CHECK(json_is_null(at("system", "governor")), "governor");
    CHECK(json_is_string(at("system", "governor_reason")), "governor_reason");
    CHECK(json_is_null(at("quiet", "cpu_pressure")), "pressure");
    CHECK(!advises("governor") && !advises("pressure") && !advises("memory"),
          "advice from what is not known");
    is_strict();
    json_decref(context);
    end();
}

TEST(governors_that_follow_the_load_get_advice)
{
    char path[128];
    begin();
    for (int i = 0; i < d.n_cpus; i++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor",
                 d.cpus[i]);
        put(path, "performance\n");
    }
    json_t *context = ab_context_json(&d.machine);
    ab_doctor_system(&d, context);
    CHECK(!advises("governor"), "performance is fine");
    CHECK(!strcmp(json_string_value(at("system", "governor")), "performance"), "its name");
    put(path, "powersave\n");
    ab_doctor_system(&d, context);
    CHECK(advises("governor is") && advises("powersave"), "powersave is not");
    json_decref(context);
    end();
}

TEST(large_pages_that_are_off_and_slow_clocks_get_advice)
{
    begin();
    put("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
    put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
    put("/proc/meminfo", "MemTotal: 2000000 kB\nMemAvailable: 500000 kB\n");
    json_t *context = ab_context_json(&d.machine);
    ab_doctor_system(&d, context);
    CHECK(advises("large pages are switched off"), "large pages");
    CHECK(advises("clock is hpet"), "clock source");
    CHECK(advises("of memory are available"), "memory");
    json_decref(context);
    end();
}

TEST(quotas_below_the_cpus_that_are_seen_get_advice)
{
    begin();
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
    json_t *context = ab_context_json(&d.machine);
    ab_doctor_cpu(&d, context);
    CHECK(advises("a quota grants the time of 0.50"), "half a CPU");
    says("grants 0.50 CPUs");
    json_decref(context);
    end();
}

TEST(hardware_threads_of_one_core_come_last)
{
    char path[128], list[64];
    struct ab_machine m = {.cores = 1, .threads = 2, .numa_nodes = 1};
    begin();
    if (d.n_cpus < 2) {
        end();
        return;
    }
    int first = d.cpus[0], count = d.n_cpus;
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
                 d.cpus[i]);
        snprintf(list, sizeof list, "%d%s%d\n", i < 2 ? first : d.cpus[i], i < 2 ? "," : "-",
                 i < 2 ? d.cpus[1] : d.cpus[i]);
        put(path, list);
    }
    int sibling = d.cpus[1];
    ab_doctor_cpus(&d, &m);
    CHECK(d.n_own == count - 1 && d.n_cpus == count, "%d cores, %d CPUs", d.n_own, d.n_cpus);
    CHECK(d.cpus[0] == first && d.cpus[count - 1] == sibling, "their order");
    json_t *context = ab_context_json(&m);
    ab_doctor_cpu(&d, context);
    CHECK(advises("hardware threads of"), "siblings");
    json_decref(context);
    end();
}

TEST(cpus_of_different_kinds_get_advice)
{
    char path[128];
    begin();
    json_t *context = ab_context_json(&d.machine);
    for (int i = 0; i < d.n_cpus; i++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpu_capacity", d.cpus[i]);
        put(path, "1000\n");
    }
    ab_doctor_cpu(&d, context);
    CHECK(json_is_true(at("cpu", "equal")) && !advises("different kinds"), "all the same");
    put(path, "950\n");
    ab_doctor_cpu(&d, context);
    CHECK(!advises("different kinds"), "a favoured core");
    put(path, "446\n");
    ab_doctor_cpu(&d, context);
    CHECK(advises("different kinds") == (d.n_cpus > 1), "big and little");
    json_decref(context);
    end();
}

TEST(meters_that_do_not_move_are_dead)
{
    begin();
    put("/sys/class/powercap/intel-rapl:0/energy_uj", "1000000\n");
    put("/sys/class/powercap/intel-rapl:0/name", "package-0\n");
    put("/sys/class/powercap/intel-rapl:1/energy_uj", "900\n");
    put("/sys/class/powercap/intel-rapl:1/name", "wraps\n");
    put("/sys/class/powercap/intel-rapl:1/max_energy_range_uj", "1000\n");
    put("/sys/class/powercap/intel-rapl:2/name", "dead-one\n");
    put("/sys/class/powercap/intel-rapl:2/energy_uj", "77\n");
    put("/sys/class/powercap/intel-rapl:3/name", "silent\n");
    put("/sys/class/powercap/intel-rapl/enabled", "1\n");
    put("/sys/class/hwmon/hwmon0/name", "amd_energy\n");
    put("/sys/class/hwmon/hwmon0/energy1_input", "5\n");
    struct ab_energy *energy = ab_doctor_energy_begin();
    put("/sys/class/powercap/intel-rapl:0/energy_uj", "3000000\n");
    put("/sys/class/powercap/intel-rapl:1/energy_uj", "100\n");
    ab_doctor_energy(&d, &energy);
    says("intel-rapl:0 package-0 works");
    says("intel-rapl:1 wraps works");
    says("intel-rapl:2 dead-one dead: it did not move");
    says("intel-rapl:3 silent absent");
    says("amd_energy energy1 dead");
    const json_t *row = at("energy", "intel-rapl:0 package-0");
    CHECK(json_real_value(json_object_get(row, "joules")) == 2, "2 J");
    row = at("energy", "intel-rapl:1 wraps");
    CHECK(fabs(json_real_value(json_object_get(row, "joules")) - 200e-6) < 1e-12, "over the end");
    CHECK(json_object_size(json_object_get(d.root, "energy")) == 5, "the type itself is no meter");
    is_strict();
    end();
}

TEST(counters_and_openmp_of_this_machine)
{
    static const char *const states[] = {"absent", "dead", "works"};
    begin();
    ab_sys_root("");
    ab_doctor_counters(&d);
    const json_t *clock = at("counters", "task-clock"), *cycles = at("counters", "cycles");
    CHECK(clock && cycles, "each has a row");
    const char *state = json_string_value(json_object_get(cycles, "state"));
    bool known = false;
    for (int i = 0; i < 3; i++) known = known || !strcmp(state, states[i]);
    CHECK(known, "%s", state);
    CHECK(!strcmp(state, "works") == (json_real_value(json_object_get(cycles, "count")) > 0),
          "what counts, works");
    CHECK(!strcmp(state, "works") || json_is_string(json_object_get(cycles, "reason")), "why not");
    ab_doctor_openmp(&d);
    CHECK(json_integer_value(at("openmp", "team_got")) >= 1, "a team");
    CHECK(json_is_null(at("openmp", "team_ns")) || json_real_value(at("openmp", "team_ns")) > 0,
          "its time");
    is_strict();
    ab_sys_root(machine);
    end();
}

TEST(neighbours_that_compute_get_advice)
{
    begin();
    put("/proc/stat", "cpu  100 0 100 500 0 0 0 0 0 0\n");
    put("/proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
    ab_load_look(&d.started);
    put("/proc/stat", "cpu  100000 0 100 500 0 0 0 5000 0 0\n");
    put("/proc/pressure/cpu", "some avg10=90.00 avg60=1.00 avg300=1.00 total=900000000\n");
    put("/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "5\n");
    ab_doctor_quiet(&d, 0.01);
    put("/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "8\n");
    CHECK(advises("other programs keep"), "neighbours");
    ab_doctor_aftermath(&d);
    CHECK(advises("the host took"), "stolen time");
    if (d.cpus[0] == 0) CHECK(advises("heat slowed the CPUs down 3 times"), "heat");
    end();
}

TEST(the_heaviest_advice_comes_first_and_five_lines_are_enough)
{
    begin();
    for (int i = 0; i < 30; i++) ab_doctor_advise(&d, i % 10, "remedy", "finding %d", i);
    CHECK(d.n_advice == AB_DOCTOR_ADVICE, "the rest is left out");
    ab_doctor_print_advice(&d);
    says("1. finding 9: remedy");
    says("2. finding 19: remedy");
    says("5. finding 7: remedy");
    fflush(d.out);
    CHECK(!strstr(text, "  6. "), "six lines");
    CHECK(json_array_size(json_object_get(d.root, "advice")) == AB_DOCTOR_ADVICE, "all in JSON");
    end();
    begin();
    ab_doctor_print_advice(&d);
    says("none: nothing was found");
    end();
}

static double one_slice(void *user, int thread, int round)
{
    int *rounds = user;
    if (thread == 0) *rounds = round + 1;
    return ab_peak_slice(AB_ISA_plain);
}

static double nothing(void *user, int thread, int round)
{
    (void)user, (void)thread, (void)round;
    return 0;
}

TEST(threads_abreast)
{
    int rounds = 0, bad[2] = {0, 8000};
    begin();
    double one = ab_abreast(d.cpus, 1, one_slice, &rounds, 2e6, 0);
    CHECK(one > 0 && rounds > 0, "%g units a ns in %d rounds", one, rounds);
    CHECK(ab_abreast(d.cpus, 1, nothing, NULL, 1e6, 0) == 0, "nothing done is nothing");
    bad[0] = d.cpus[0];
    rounds = 0;
    CHECK(ab_abreast(bad, 2, one_slice, &rounds, 1e6, 0) == 0 && !rounds,
          "a CPU that is not there");
    if (d.n_cpus > 1) {
        double two = ab_abreast(d.cpus, 2, one_slice, &rounds, 5e6, 2 * one);
        CHECK(two >= 0 && two < 4 * one, "two threads %g, one %g", two, one);
    }
    end();
}

static const struct test_case cases[] = {
    CASE(a_machine_that_says_nothing_is_described_as_such),
    CASE(governors_that_follow_the_load_get_advice),
    CASE(large_pages_that_are_off_and_slow_clocks_get_advice),
    CASE(quotas_below_the_cpus_that_are_seen_get_advice),
    CASE(hardware_threads_of_one_core_come_last),
    CASE(cpus_of_different_kinds_get_advice),
    CASE(meters_that_do_not_move_are_dead),
    CASE(counters_and_openmp_of_this_machine),
    CASE(neighbours_that_compute_get_advice),
    CASE(the_heaviest_advice_comes_first_and_five_lines_are_enough),
    CASE(threads_abreast),
};
TEST_MAIN("doctor", cases)
