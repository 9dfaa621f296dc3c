// SPDX-License-Identifier: Apache-2.0
// The doctor's look at the neighbours: who else uses the CPUs before it works, and what the
// machine did to it meanwhile.
#include "doctor.h"

#include "base/sysfile.h"
#include "stats.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

static void wait_until(double ns)
{
    double left = ns - ab_now_ns();
    if (left <= 0) return;
    struct timespec t = {(time_t)(left / 1e9), (long)fmod(left, 1e9)};
    nanosleep(&t, NULL);
}

/* "12 %", or that nobody says. */
static const char *percent(double share, char text[32])
{
    if (isnan(share))
        snprintf(text, 32, "unknown");
    else
        snprintf(text, 32, "%.1f %%", 100 * share);
    return text;
}

/* Times that heat has slowed the usable CPUs down since the machine started; NaN: it does not say.
 */
static double heat_of(const struct ab_doctor *d)
{
    double sum = (double)NAN;
    long long count;
    for (int i = 0; i < d->n_cpus; i++)
        if (ab_sys_number(&count,
                          "/sys/devices/system/cpu/cpu%d/thermal_throttle/core_throttle_count",
                          d->cpus[i]))
            sum = (isnan(sum) ? 0 : sum) + (double)count;
    return sum;
}

static void say_heat(struct ab_doctor *d)
{
    double times = heat_of(d) - d->heat;
    if (isnan(times)) {
        ab_doctor_absent(d, "heat", "heat", "no counter of thermal throttling (usual for guests)");
        return;
    }
    ab_doctor_number(d, "heat", times, NULL);
    ab_doctor_line(d, "heat", "slowed the CPUs down %.0f times", times);
    if (times > 0)
        ab_doctor_advise(d, 73, "cool it, or lower its clock to what it can keep up",
                         "heat slowed the CPUs down %.0f times", times);
}

void ab_doctor_quiet(struct ab_doctor *d, double seconds)
{
    static const char silent[] = "the kernel does not say";
    char a[32], b[32];
    int online = (int)sysconf(_SC_NPROCESSORS_ONLN);
    struct ab_load now;
    wait_until(d->started.when_ns + seconds * 1e9);
    ab_load_look(&now);
    d->heat = heat_of(d);
    struct ab_load_change c = ab_load_between(&d->started, &now);
    ab_doctor_section(d, "quiet", "Neighbours, before the work begins");
    ab_doctor_number(d, "cpu_pressure", c.pressure, silent);
    ab_doctor_number(d, "cpu_pressure_avg10", now.pressure_avg10, silent);
    ab_doctor_number(d, "memory_pressure", c.memory, silent);
    ab_doctor_number(d, "other_cpus", c.others, silent);
    ab_doctor_number(d, "load_average", now.average1, silent);
    if (isnan(c.pressure))
        ab_doctor_line(d, "pressure", "absent: this kernel has no /proc/pressure");
    else
        ab_doctor_line(d, "pressure", "some task waited for a CPU %s of the time, for memory %s",
                       percent(c.pressure, a), percent(c.memory, b));
    if (isnan(c.others))
        ab_doctor_line(d, "others", "unknown: /proc/stat says nothing");
    else
        ab_doctor_line(d, "others", "kept %.2f of %d CPUs busy; load average %.2f", c.others,
                       online, now.average1);
    if (c.others > 0.1)
        ab_doctor_advise(d, 75,
                         "stop them, or trust only what is measured by turns (compare --against)",
                         "other programs keep %.1f of %d CPUs busy", c.others, online);
    else if (c.pressure > 0.05)
        ab_doctor_advise(d, 70, "wait until it is quiet", "tasks waited for a CPU %s of the time",
                         percent(c.pressure, a));
    if (c.memory > 0.01)
        ab_doctor_advise(d, 70, "free memory", "tasks waited for memory %s of the time",
                         percent(c.memory, a));
}

void ab_doctor_aftermath(struct ab_doctor *d)
{
    static const char silent[] = "the kernel does not say";
    char a[32];
    struct ab_load now;
    ab_load_look(&now);
    struct ab_load_change c = ab_load_between(&d->started, &now);
    ab_doctor_section(d, "meanwhile", "Meanwhile");
    ab_doctor_number(d, "seconds", c.seconds, NULL);
    ab_doctor_number(d, "stolen", c.stolen, silent);
    ab_doctor_number(d, "throttled_periods", c.throttled, silent);
    ab_doctor_put(d, "involuntary_switches", json_integer(c.switched), NULL);
    ab_doctor_line(d, "stolen", "%s of the CPU time was taken by the host",
                   isnan(c.stolen) ? "unknown how much" : percent(c.stolen, a));
    ab_doctor_line(d, "switches", "%ld times this process lost its CPU in %.1f s", c.switched,
                   c.seconds);
    ab_doctor_pace(d);
    say_heat(d);
    if (!isnan(c.throttled))
        ab_doctor_line(d, "throttled", "%.0f periods were cut short by the quota", c.throttled);
    if (c.stolen > 0.01)
        ab_doctor_advise(d, 72, "use a dedicated machine, or trust only what is measured by turns",
                         "the host took %s of the CPU time", percent(c.stolen, a));
    if (c.throttled > 0)
        ab_doctor_advise(d, 74, "raise the container's CPU limit, or use fewer --threads",
                         "the quota stopped this process %.0f times", c.throttled);
}
