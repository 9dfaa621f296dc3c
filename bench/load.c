// SPDX-License-Identifier: Apache-2.0
// Looks at /proc/pressure, /proc/stat, the container's cpu.stat, and the process's own account.
#include "load.h"

#include "base/container.h"
#include "base/sysfile.h"
#include "json_number.h"
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The number after "word=" in the line; NaN if it is not there. */
static double after(const char *line, const char *word)
{
    const char *at = strstr(line, word);
    return at ? strtod(at + strlen(word), NULL) : (double)NAN;
}

static void look_at_pressure(struct ab_load *load)
{
    char line[256];
    load->pressure_us = load->pressure_avg10 = load->memory_us = (double)NAN;
    if (ab_sys_line(line, sizeof line, "/proc/pressure/cpu")) {
        load->pressure_us = after(line, " total=");
        load->pressure_avg10 = after(line, " avg10=");
    }
    if (ab_sys_line(line, sizeof line, "/proc/pressure/memory"))
        load->memory_us = after(line, " total=");
}

/* user nice system idle iowait irq softirq steal; guests are in user already. */
static void look_at_ticks(struct ab_load *load)
{
    char line[512];
    double t[8];
    load->busy_s = load->stolen_s = (double)NAN;
    if (!ab_sys_line(line, sizeof line, "/proc/stat")) return;
    int n = sscanf(line, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &t[0], &t[1], &t[2], &t[3], &t[4],
                   &t[5], &t[6], &t[7]);
    double tick = (double)sysconf(_SC_CLK_TCK);
    if (n >= 7) load->busy_s = (t[0] + t[1] + t[2] + t[5] + t[6]) / tick;
    if (n == 8) load->stolen_s = t[7] / tick;
}

static double seconds_of(const struct rusage *use)
{
    return (double)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) +
           (double)(use->ru_utime.tv_usec + use->ru_stime.tv_usec) / 1e6;
}

void ab_load_look(struct ab_load *load)
{
    struct rusage self = {0}, children = {0};
    char line[128];
    *load = (struct ab_load){.when_ns = ab_now_ns(), .average1 = (double)NAN, .processes = -1};
    look_at_pressure(load);
    look_at_ticks(load);
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    load->own_s = seconds_of(&self) + seconds_of(&children);
    load->switched = self.ru_nivcsw;
    load->throttled = ab_container_throttled();
    if (ab_sys_line(line, sizeof line, "/proc/loadavg")) {
        double one;
        long ready;
        if (sscanf(line, "%lf %*f %*f %ld/", &one, &ready) == 2)
            load->average1 = one, load->processes = ready;
    }
}

struct ab_load_change ab_load_between(const struct ab_load *from, const struct ab_load *to)
{
    double seconds = (to->when_ns - from->when_ns) / 1e9;
    double busy = to->busy_s - from->busy_s, stolen = to->stolen_s - from->stolen_s;
    struct ab_load_change c = {.seconds = seconds, .switched = to->switched - from->switched};
    c.pressure = (to->pressure_us - from->pressure_us) / 1e6 / seconds;
    c.memory = (to->memory_us - from->memory_us) / 1e6 / seconds;
    c.stolen = busy + stolen > 0 ? stolen / (busy + stolen) : stolen * 0;
    /* Ticks are coarse, so the difference may come out below nothing. */
    c.others = (busy - (to->own_s - from->own_s)) / seconds;
    if (c.others < 0) c.others = 0;
    c.throttled = to->throttled - from->throttled;
    return c;
}

json_t *ab_load_json(const struct ab_load *load)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:I}", "cpu_pressure_avg10",
                     ab_json_number(load->pressure_avg10), "cpu_pressure_total_us",
                     ab_json_number(load->pressure_us), "steal_seconds",
                     ab_json_number(load->stolen_s), "load_average", ab_json_number(load->average1),
                     "throttled_periods", ab_json_number(load->throttled), "involuntary_switches",
                     (json_int_t)load->switched);
}
