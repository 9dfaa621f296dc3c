// SPDX-License-Identifier: Apache-2.0
// Control groups, version 2 and version 1. A limit of any group up to the root holds, so the
// smallest is what counts. In a container the mount shows its own group as the root.
#include "base/container.h"

#include "base/sysfile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The group of this process for a controller of version 1, or of version 2 (""), as
 * /proc/self/cgroup says: lines of "number:controllers:path". */
static bool group_of(const char *controller, char *group, size_t size)
{
    char path[512], line[1024];
    bool found = false;
    FILE *f = ab_sys_path(path, sizeof path, "/proc/self/cgroup") ? fopen(path, "r") : NULL;
    while (f && !found && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *names = strchr(line, ':'), *at = names ? strchr(names + 1, ':') : NULL;
        if (!at) continue;
        *at = '\0';
        char *save = NULL, *name = strtok_r(names + 1, ",", &save);
        found = !*controller && !name;
        for (; name && !found; name = strtok_r(NULL, ",", &save)) found = !strcmp(name, controller);
        if (found) snprintf(group, size, "%s", at + 1);
    }
    if (f) fclose(f);
    return found;
}

/* Calls look(folder, least) for the group and each above it, up to the mount itself. */
static void climb(const char *mount, const char *group, void (*look)(const char *, double *),
                  double *least)
{
    char folder[1024];
    int length = snprintf(folder, sizeof folder, "%s%s", mount, strcmp(group, "/") ? group : "");
    if (length < 0 || (size_t)length >= sizeof folder) return;
    for (;;) {
        look(folder, least);
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= strlen(mount) || !slash) return;
        *slash = '\0';
    }
}

static void lower(double *least, double value)
{
    if (!(*least <= value)) *least = value;
}

/* "max 100000" or "150000 100000". */
static void quota_v2(const char *folder, double *least)
{
    char line[128];
    double quota, period;
    if (!ab_sys_line(line, sizeof line, "%s/cpu.max", folder)) return;
    if (!strncmp(line, "max", 3))
        lower(least, (double)INFINITY);
    else if (sscanf(line, "%lf %lf", &quota, &period) == 2 && period > 0)
        lower(least, quota / period);
}

/* -1: no quota. */
static void quota_v1(const char *folder, double *least)
{
    long long quota, period;
    if (!ab_sys_number(&quota, "%s/cpu.cfs_quota_us", folder)) return;
    if (!ab_sys_number(&period, "%s/cpu.cfs_period_us", folder) || period <= 0) return;
    lower(least, quota < 0 ? (double)INFINITY : (double)quota / (double)period);
}

double ab_container_cpus(void)
{
    char group[768];
    double cpus = (double)NAN;
    if (group_of("", group, sizeof group)) climb("/sys/fs/cgroup", group, quota_v2, &cpus);
    if (group_of("cpu", group, sizeof group)) climb("/sys/fs/cgroup/cpu", group, quota_v1, &cpus);
    return cpus;
}

/* "nr_throttled N" is a line of cpu.stat in both versions. */
static void throttled_in(const char *folder, double *most)
{
    char path[1100], line[128];
    double count;
    FILE *f = ab_sys_path(path, sizeof path, "%s/cpu.stat", folder) ? fopen(path, "r") : NULL;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "nr_throttled %lf", &count) == 1 && !(*most >= count)) *most = count;
    if (f) fclose(f);
}

double ab_container_throttled(void)
{
    char group[768];
    double most = (double)NAN;
    if (group_of("", group, sizeof group)) climb("/sys/fs/cgroup", group, throttled_in, &most);
    if (group_of("cpu", group, sizeof group))
        climb("/sys/fs/cgroup/cpu", group, throttled_in, &most);
    return most;
}

static void left_v2(const char *folder, double *least)
{
    long long most, used;
    if (ab_sys_number(&most, "%s/memory.max", folder) &&
        ab_sys_number(&used, "%s/memory.current", folder))
        lower(least, (double)(most - used));
}

static void left_v1(const char *folder, double *least)
{
    long long most, used;
    if (ab_sys_number(&most, "%s/memory.limit_in_bytes", folder) &&
        ab_sys_number(&used, "%s/memory.usage_in_bytes", folder))
        lower(least, (double)(most - used));
}

double ab_memory_available(void)
{
    char text[64], group[768];
    double least = (double)NAN;
    if (ab_sys_value("/proc/meminfo", "MemAvailable", text, sizeof text))
        lower(&least, 1024 * strtod(text, NULL));
    if (group_of("", group, sizeof group)) climb("/sys/fs/cgroup", group, left_v2, &least);
    if (group_of("memory", group, sizeof group))
        climb("/sys/fs/cgroup/memory", group, left_v1, &least);
    return least;
}

const char *ab_container_kind(void)
{
    static char kind[32];
    char path[512], line[1024];
    const char *said = getenv("container"); /* systemd-nspawn, podman, lxc say it so */
    if (said && *said) return snprintf(kind, sizeof kind, "%s", said), kind;
    if (ab_sys_path(path, sizeof path, "/.dockerenv") && !access(path, F_OK)) return "docker";
    if (ab_sys_path(path, sizeof path, "/run/.containerenv") && !access(path, F_OK))
        return "podman";
    FILE *f = ab_sys_path(path, sizeof path, "/proc/self/cgroup") ? fopen(path, "r") : NULL;
    const char *found = NULL;
    while (f && !found && fgets(line, sizeof line, f))
        found = strstr(line, "kubepods")     ? "kubernetes"
                : strstr(line, "/docker/")   ? "docker"
                : strstr(line, "/lxc/")      ? "lxc"
                : strstr(line, "containerd") ? "containerd"
                                             : NULL;
    if (f) fclose(f);
    return found;
}
