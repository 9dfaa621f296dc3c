// SPDX-License-Identifier: Apache-2.0
// The doctor's look at hardware counters: each is opened and made to count. Guests often have none;
// some can be opened and stay at 0.
#include "doctor.h"

#include "base/sysfile.h"
#include "peak.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/perf_event.h>

enum state { ABSENT, DEAD, WORKS, N_STATES };
static const char *const state_names[N_STATES] = {"absent", "dead", "works"};

static const struct event {
    const char *name;
    uint32_t type;
    uint64_t config;
} events[] = {
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {"branches", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
    {"branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
    {"cache-references", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES},
    {"cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    {"task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
    {"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
};
enum { EVENTS = sizeof events / sizeof *events };

struct finding {
    enum state state;
    double count;
    char why[160];
};

/* Keeps loads alive. */
static volatile char sink;

/* Some arithmetic, branches that cannot be foreseen, loads beyond the L2 and new pages: something
 * for every event to count. */
static void be_busy(void)
{
    enum { BYTES = 8 << 20 };
    char *fresh = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 200000 && fresh != MAP_FAILED; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        volatile char *at = fresh + random % BYTES;
        if (random >> 40 & 1) sink = *at;
        *at = (char)random;
    }
    if (fresh != MAP_FAILED) munmap(fresh, BYTES);
}

/* Of this thread in user space: what a user without rights may count, if anything. */
static int open_event(const struct event *e)
{
    struct perf_event_attr attr = {.size = sizeof attr,
                                   .type = e->type,
                                   .config = e->config,
                                   .disabled = 1,
                                   .exclude_kernel = 1,
                                   .exclude_hv = 1,
                                   .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED |
                                                  PERF_FORMAT_TOTAL_TIME_RUNNING};
    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void explain_absence(struct finding *f, int error)
{
    long long level = 0;
    bool known = ab_sys_number(&level, "/proc/sys/kernel/perf_event_paranoid");
    f->state = ABSENT;
    if (error == ENOENT || error == ENODEV || error == EOPNOTSUPP)
        snprintf(f->why, sizeof f->why, "this CPU or its hypervisor does not offer it");
    else if (error == ENOSYS)
        snprintf(f->why, sizeof f->why, "the kernel or the sandbox has no perf_event_open");
    else if ((error == EACCES || error == EPERM) && known)
        snprintf(f->why, sizeof f->why, "this user may not (kernel.perf_event_paranoid = %lld)",
                 level);
    else
        snprintf(f->why, sizeof f->why, "%s", strerror(error));
}

static void try_event(const struct event *e, struct finding *f)
{
    uint64_t values[3] = {0}; /* the count, time enabled, time running */
    int fd = open_event(e);
    *f = (struct finding){.state = WORKS};
    if (fd < 0) {
        explain_absence(f, errno);
        return;
    }
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    be_busy();
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    ssize_t got = read(fd, values, sizeof values);
    close(fd);
    f->count = (double)values[0];
    if (got == (ssize_t)sizeof values && values[0]) return;
    f->state = DEAD;
    if (got != (ssize_t)sizeof values)
        snprintf(f->why, sizeof f->why, "it opens but cannot be read");
    else if (!values[2])
        snprintf(f->why, sizeof f->why, "it opens but never gets a turn");
    else
        snprintf(f->why, sizeof f->why, "it opens but stays at 0 while the thread is busy");
}

/* One line for each state, naming its events and the reason of the first. */
static void print(struct ab_doctor *d, const struct finding *f)
{
    for (int s = N_STATES - 1; s >= 0; s--) {
        char names[256] = "";
        const char *why = "";
        for (int i = 0; i < EVENTS; i++) {
            if ((int)f[i].state != s) continue;
            size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", events[i].name);
            if (!*why) why = f[i].why;
        }
        if (*names) ab_doctor_line(d, state_names[s], "%s%s%s", names, *why ? ": " : "", why);
    }
}

void ab_doctor_counters(struct ab_doctor *d)
{
    struct finding found[EVENTS];
    bool forbidden = false;
    ab_doctor_section(d, "counters", "Counters (each was opened and made to count)");
    for (int i = 0; i < EVENTS; i++) {
        try_event(&events[i], &found[i]);
        forbidden = forbidden || strstr(found[i].why, "paranoid");
        json_t *row =
            json_pack("{s:s,s:f}", "state", state_names[found[i].state], "count", found[i].count);
        if (*found[i].why) json_object_set_new(row, "reason", json_string(found[i].why));
        ab_doctor_put(d, events[i].name, row, NULL);
    }
    print(d, found);
    if (forbidden)
        ab_doctor_advise(d, 20, "as root: sysctl kernel.perf_event_paranoid=2",
                         "this user may not read hardware counters");
}
