// SPDX-License-Identifier: Apache-2.0
// The doctor's look at energy: every meter that the system shows, read before and after seconds of
// work. A meter that did not move is dead, whatever it is called.
#include "doctor.h"

#include "base/sysfile.h"
#include "stats.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/perf_event.h>

enum { METERS = 32 };

struct meter {
    char name[64], source[24];
    char path[128];  /* of files in microjoules */
    int fd;          /* of perf; -1: a file */
    double joules;   /* of one count */
    double first;    /* counts at the start; NaN: not readable */
    double wraps_at; /* counts; 0: unknown */
    int error;       /* errno of opening it */
};

struct ab_energy {
    struct meter meters[METERS];
    int count;
    double began;
};

static double read_meter(struct meter *m)
{
    long long value;
    uint64_t count;
    if (m->fd >= 0)
        return read(m->fd, &count, sizeof count) == (ssize_t)sizeof count ? (double)count
                                                                          : (double)NAN;
    if (ab_sys_number(&value, "%s", m->path)) return (double)value;
    m->error = errno;
    return (double)NAN;
}

static struct meter *next(struct ab_energy *e)
{
    if (e->count == METERS) return NULL;
    struct meter *m = &e->meters[e->count++];
    *m = (struct meter){.fd = -1, .joules = 1e-6};
    return m;
}

/* Running average power limit: /sys/class/powercap/NAME/energy_uj, often for root alone. */
static void add_powercap(struct ab_energy *e, const char *entry)
{
    char text[64];
    long long wraps;
    if (!strchr(entry, ':')) return; /* the control types themselves have no meter */
    struct meter *m = next(e);
    if (!m) return;
    snprintf(m->source, sizeof m->source, "powercap");
    ab_sys_line(text, sizeof text, "/sys/class/powercap/%s/name", entry);
    snprintf(m->name, sizeof m->name, "%.30s %.30s", entry, text);
    snprintf(m->path, sizeof m->path, "/sys/class/powercap/%.60s/energy_uj", entry);
    if (ab_sys_number(&wraps, "/sys/class/powercap/%s/max_energy_range_uj", entry))
        m->wraps_at = (double)wraps;
}

/* Drivers such as amd_energy: /sys/class/hwmon/hwmonN/energyK_input. */
static void add_hwmon(struct ab_energy *e, const char *entry)
{
    char text[64], chip[64];
    for (int k = 1; k < METERS; k++) {
        char path[128];
        snprintf(path, sizeof path, "/sys/class/hwmon/%.40s/energy%d_input", entry, k);
        if (!ab_sys_line(text, sizeof text, "%s", path)) return;
        struct meter *m = next(e);
        if (!m) return;
        ab_sys_line(chip, sizeof chip, "/sys/class/hwmon/%s/name", entry);
        snprintf(m->source, sizeof m->source, "hwmon");
        snprintf(m->name, sizeof m->name, "%.40s energy%d", chip, k);
        snprintf(m->path, sizeof m->path, "%s", path);
    }
}

/* Events of perf's "power" unit, such as energy-pkg: "event=0x02" and a scale in joules. They count
 * for a whole socket and need rights. */
static void add_perf(struct ab_energy *e, const char *entry)
{
    char text[64];
    long long type;
    unsigned long long config;
    if (strchr(entry, '.') || strncmp(entry, "energy", 6) != 0) return;
    if (!ab_sys_number(&type, "/sys/bus/event_source/devices/power/type")) return;
    ab_sys_line(text, sizeof text, "/sys/bus/event_source/devices/power/events/%s", entry);
    if (sscanf(text, "event=%llx", &config) != 1) return;
    struct meter *m = next(e);
    if (!m) return;
    struct perf_event_attr attr = {.size = sizeof attr, .type = (uint32_t)type, .config = config};
    snprintf(m->source, sizeof m->source, "perf");
    snprintf(m->name, sizeof m->name, "%.60s", entry);
    m->fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
    m->error = m->fd < 0 ? errno : 0;
    if (ab_sys_line(text, sizeof text, "/sys/bus/event_source/devices/power/events/%s.scale",
                    entry))
        m->joules = strtod(text, NULL);
}

static void each(struct ab_energy *e, const char *folder,
                 void (*add)(struct ab_energy *, const char *))
{
    char path[512];
    DIR *dir = ab_sys_path(path, sizeof path, "%s", folder) ? opendir(path) : NULL;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.') add(e, entry->d_name);
    if (dir) closedir(dir);
}

struct ab_energy *ab_doctor_energy_begin(void)
{
    struct ab_energy *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    each(e, "/sys/class/powercap", add_powercap);
    each(e, "/sys/class/hwmon", add_hwmon);
    each(e, "/sys/bus/event_source/devices/power/events", add_perf);
    for (int i = 0; i < e->count; i++) {
        struct meter *m = &e->meters[i];
        m->first = !*m->path && m->fd < 0 ? (double)NAN : read_meter(m);
    }
    e->began = ab_now_ns();
    return e;
}

static const char *why_not(const struct meter *m)
{
    if (m->error == EACCES || m->error == EPERM) return "this user may not read it";
    return m->error ? strerror(m->error) : "it holds no number";
}

static void say_meter(struct ab_doctor *d, struct meter *m, double seconds)
{
    json_t *row = json_pack("{s:s}", "source", m->source);
    double last = isnan(m->first) ? (double)NAN : read_meter(m), moved = last - m->first;
    if (moved < 0 && m->wraps_at > 0) moved += m->wraps_at;
    const char *state = isnan(moved) ? "absent" : moved > 0 ? "works" : "dead";
    json_object_set_new(row, "state", json_string(state));
    if (moved > 0) {
        json_object_set_new(row, "joules", json_real(moved * m->joules));
        json_object_set_new(row, "watts", json_real(moved * m->joules / seconds));
        ab_doctor_line(d, m->source, "%s works: %.1f W", m->name, moved * m->joules / seconds);
    } else if (isnan(moved)) {
        json_object_set_new(row, "reason", json_string(why_not(m)));
        ab_doctor_line(d, m->source, "%s absent: %s", m->name, why_not(m));
    } else {
        char why[96];
        snprintf(why, sizeof why, "it did not move in %.1f s of work", seconds);
        json_object_set_new(row, "reason", json_string(why));
        ab_doctor_line(d, m->source, "%s dead: %s", m->name, why);
    }
    ab_doctor_put(d, m->name, row, NULL);
}

void ab_doctor_energy(struct ab_doctor *d, struct ab_energy **energy)
{
    struct ab_energy *e = *energy;
    ab_doctor_section(d, "energy", "Energy meters");
    if (!e || !e->count)
        ab_doctor_absent(d, "meters", "meters", "no powercap, hwmon or perf power unit shows one");
    double seconds = e ? (ab_now_ns() - e->began) / 1e9 : 0;
    for (int i = 0; e && i < e->count; i++) {
        say_meter(d, &e->meters[i], seconds);
        if (e->meters[i].fd >= 0) close(e->meters[i].fd);
    }
    free(e);
    *energy = NULL;
}
