// SPDX-License-Identifier: Apache-2.0
// Jobs in child processes; isolate.h describes them. A child takes job after job from a counter in
// shared memory, says there which one it is at and since when, and writes each outcome whole into
// a pipe of its own, which ends when the child does.
#define _GNU_SOURCE 1
#include "verify/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a child tells the parent without a system call. */
struct slot {
    long first;              /* to begin with, before those of the counter; -1: none */
    _Atomic long job;        /* that it is at, or -1 */
    _Atomic int64_t started; /* nanoseconds, of that job */
    /* Of a crash: */
    _Atomic int signal;
    bool has_address, in_guard;
    uintptr_t address;
    ptrdiff_t from; /* in_guard: the address, from the start of a buffer of `bytes` */
    size_t bytes;
};

struct shared {
    _Atomic long next;
    struct slot slots[];
};

struct message {
    long job;
    double seconds;
    struct ab_outcome outcome;
};
_Static_assert(sizeof(struct message) <= PIPE_BUF, "messages are written whole");

struct worker {
    pid_t pid;
    int fd;        /* of the pipe; -1: no process */
    long reported; /* the last job */
    long hung;     /* the job that took too long, or -1 */
    long again;    /* a job for the next process of this worker, or -1 */
};

struct pool {
    const struct ab_isolated *jobs;
    struct shared *shared;
    size_t shared_bytes;
    struct worker *workers;
    struct pollfd *polls;
    long reports;
    bool stop;
};

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- in the child ---- */

static struct slot *own; /* the child's, for its signal handler */

static void on_crash(int sig, siginfo_t *info, void *context)
{
    (void)context;
    if (atomic_load(&own->signal) == 0) {
        /* SI_KERNEL: a fault whose address the processor does not tell. */
        own->has_address = info->si_code > 0 && info->si_code != SI_KERNEL && sig != SIGABRT;
        own->address = own->has_address ? (uintptr_t)info->si_addr : 0;
        own->in_guard = own->has_address && ab_guarded_find(info->si_addr, &own->from, &own->bytes);
        atomic_store(&own->signal, sig);
    }
    _exit(128 + sig);
}

static void prepare_signals(void)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
    /* From a terminal they reach the whole group: the parent decides, and takes the children along
     * if it ends. */
    static const int parents[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    static _Alignas(16) unsigned char stack[64 * 1024];
    stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternative, NULL);
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    action.sa_sigaction = on_crash;
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
        sigaction(crashes[i], &action, NULL);
    for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++) signal(parents[i], SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void child(const struct pool *pool, struct slot *slot, int fd, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    own = slot;
    prepare_signals();
    for (bool begin = slot->first >= 0;; begin = false) {
        long job = begin ? slot->first : atomic_fetch_add(&pool->shared->next, 1);
        if (job >= pool->jobs->count) _exit(0);
        struct message m;
        memset(&m, 0, sizeof m);
        m.job = job;
        int64_t start = now();
        atomic_store(&slot->started, start);
        atomic_store(&slot->job, job);
        pool->jobs->run(pool->jobs->user, job, &m.outcome);
        m.seconds = (double)(now() - start) * 1e-9;
        ssize_t written;
        do written = write(fd, &m, sizeof m);
        while (written < 0 && errno == EINTR);
        if (written != (ssize_t)sizeof m) _exit(1);
        atomic_store(&slot->job, -1);
    }
}

/* ---- in the parent ---- */

static enum ab_status start(struct pool *pool, int w, struct ab_error *err)
{
    struct worker *worker = &pool->workers[w];
    struct slot *slot = &pool->shared->slots[w];
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return ab_fail(err, AB_ERR_INTERNAL, "no pipe for a child process: %s", strerror(errno));
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    memset(slot, 0, sizeof *slot);
    atomic_store(&slot->job, -1);
    slot->first = worker->again;
    fflush(NULL); /* or a child that calls exit() would write again what is in the buffers */
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        close(fds[0]);
        for (int i = 0; i < pool->jobs->workers; i++)
            if (pool->workers[i].fd >= 0) close(pool->workers[i].fd);
        child(pool, slot, fds[1], parent);
    }
    int error = errno;
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return ab_fail(err, AB_ERR_INTERNAL, "no child process: %s", strerror(error));
    }
    *worker = (struct worker){pid, fds[0], -1, -1, -1};
    return AB_OK;
}

static void report(struct pool *pool, struct worker *worker, const struct message *m)
{
    worker->reported = m->job;
    if (pool->stop) return;
    pool->reports++;
    if (!pool->jobs->report(pool->jobs->user, m->job, &m->outcome, m->seconds)) pool->stop = true;
}

/* Reports all that is in the pipe; false at its end. */
static bool drain(struct pool *pool, struct worker *worker)
{
    struct message m;
    while (true) {
        ssize_t n = read(worker->fd, &m, sizeof m);
        if (n == (ssize_t)sizeof m)
            report(pool, worker, &m);
        else if (n >= 0 || errno != EINTR)
            return n < 0;
    }
}

static const char *signal_text(int sig)
{
    switch (sig) {
    case SIGSEGV: return "SIGSEGV, invalid memory access";
    case SIGBUS: return "SIGBUS, invalid or misaligned memory access";
    case SIGILL: return "SIGILL, an instruction that this CPU lacks";
    case SIGFPE: return "SIGFPE, integer division by zero";
    case SIGABRT: return "SIGABRT, abort() or a failed assertion";
    case SIGTRAP: return "SIGTRAP, a trap instruction";
    case SIGSYS: return "SIGSYS, a system call that is not allowed";
    case SIGKILL: return "SIGKILL, from outside (out of memory?)";
    }
    return NULL;
}

static void describe_crash(const struct slot *slot, int status, struct ab_outcome *o)
{
    int sig = atomic_load(&slot->signal);
    if (!sig && WIFSIGNALED(status)) sig = WTERMSIG(status);
    char name[64], where[128] = "";
    const char *text = signal_text(sig);
    snprintf(name, sizeof name, "signal %d", sig);
    if (!sig) {
        ab_outcome_fail(o, AB_CHECK_crash, "the process ended with exit status %d",
                        WIFEXITED(status) ? WEXITSTATUS(status) : -1);
        return;
    }
    ptrdiff_t from = slot->from, past = from - (ptrdiff_t)slot->bytes;
    if (slot->in_guard && from < 0)
        snprintf(where, sizeof where, ", %td bytes before a buffer of %zu bytes", -from,
                 slot->bytes);
    else if (slot->in_guard)
        snprintf(where, sizeof where, ", %td bytes after the end of a buffer of %zu bytes", past,
                 slot->bytes);
    if (slot->has_address)
        ab_outcome_fail(o, AB_CHECK_crash, "%s, at address 0x%llx%s", text ? text : name,
                        (unsigned long long)slot->address, where);
    else
        ab_outcome_fail(o, AB_CHECK_crash, "%s", text ? text : name);
}

/* The process has ended, or is to: what it was at fails, and the slot becomes free. */
static void bury(struct pool *pool, int w, int status)
{
    struct worker *worker = &pool->workers[w];
    struct slot *slot = &pool->shared->slots[w];
    drain(pool, worker);
    close(worker->fd);
    worker->fd = -1;
    struct message m = {.job = atomic_load(&slot->job)};
    if (m.job < 0 || m.job == worker->reported) return;
    /* Killed for an earlier job, which it ended just then: this one has a right to its time. */
    if (worker->hung >= 0 && worker->hung != m.job) {
        worker->again = m.job;
        return;
    }
    m.seconds = (double)(now() - atomic_load(&slot->started)) * 1e-9;
    if (worker->hung >= 0)
        ab_outcome_fail(&m.outcome, AB_CHECK_hang, "no result after %.3g s", m.seconds);
    else
        describe_crash(slot, status, &m.outcome);
    report(pool, worker, &m);
}

static int await(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/* Looks at one worker; `readable` is what poll says. */
static void attend(struct pool *pool, int w, bool readable)
{
    struct worker *worker = &pool->workers[w];
    struct slot *slot = &pool->shared->slots[w];
    if (readable && !drain(pool, worker)) {
        bury(pool, w, await(worker->pid));
        return;
    }
    /* Its pipe may outlive it, in a process that the job has made. */
    int status;
    if (!readable && waitpid(worker->pid, &status, WNOHANG) == worker->pid) {
        bury(pool, w, status);
        return;
    }
    double timeout = pool->jobs->timeout;
    long job = atomic_load(&slot->job);
    if (job < 0 || job == worker->reported || !(timeout > 0)) return;
    if ((double)(now() - atomic_load(&slot->started)) * 1e-9 < timeout) return;
    kill(worker->pid, SIGKILL);
    worker->hung = job;
    bury(pool, w, await(worker->pid));
}

/* Until all jobs are reported. A child that has ended is replaced while there are jobs. */
static enum ab_status work(struct pool *pool, struct ab_error *err)
{
    const struct ab_isolated *jobs = pool->jobs;
    while (!pool->stop) {
        int alive = 0;
        enum ab_status status = AB_OK;
        for (int w = 0; w < jobs->workers; w++) {
            bool more =
                pool->workers[w].again >= 0 || atomic_load(&pool->shared->next) < jobs->count;
            if (pool->workers[w].fd < 0 && more) status = start(pool, w, err);
            pool->polls[w] = (struct pollfd){.fd = pool->workers[w].fd, .events = POLLIN};
            alive += pool->workers[w].fd >= 0;
        }
        if (!alive) return status;
        const int tick = 50; /* ms: how late a timeout or a stop may be */
        if (poll(pool->polls, (nfds_t)jobs->workers, tick) < 0)
            for (int w = 0; w < jobs->workers; w++) pool->polls[w].revents = 0;
        for (int w = 0; w < jobs->workers && !pool->stop; w++)
            if (pool->workers[w].fd >= 0) attend(pool, w, pool->polls[w].revents != 0);
        if (jobs->stop && jobs->stop(jobs->user)) pool->stop = true;
    }
    return AB_OK;
}

static void end(struct pool *pool)
{
    for (int w = 0; pool->workers && w < pool->jobs->workers; w++) {
        struct worker *worker = &pool->workers[w];
        if (worker->fd < 0) continue;
        kill(worker->pid, SIGKILL);
        await(worker->pid);
        close(worker->fd);
    }
    free(pool->workers);
    free(pool->polls);
    if (pool->shared) munmap(pool->shared, pool->shared_bytes);
}

enum ab_status ab_isolate(const struct ab_isolated *jobs, struct ab_error *err)
{
    if (jobs->workers < 1 || jobs->workers > 4096)
        return ab_fail(err, AB_ERR_ARG, "%d processes: use 1 to 4096", jobs->workers);
    size_t workers = (size_t)jobs->workers;
    struct pool pool = {.jobs = jobs,
                        .shared_bytes = sizeof(struct shared) + workers * sizeof(struct slot)};
    pool.workers = calloc(workers, sizeof *pool.workers);
    pool.polls = calloc(workers, sizeof *pool.polls);
    void *map =
        mmap(NULL, pool.shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pool.shared = map == MAP_FAILED ? NULL : map;
    for (size_t w = 0; pool.workers && w < workers; w++)
        pool.workers[w] = (struct worker){0, -1, -1, -1, -1};
    enum ab_status status = AB_OK;
    if (!pool.workers || !pool.polls || !pool.shared)
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for %d processes", jobs->workers);
    if (!status) status = work(&pool, err);
    if (!status && !pool.stop && pool.reports != jobs->count)
        status = ab_fail(err, AB_ERR_INTERNAL,
                         "%ld of %ld jobs were lost: their processes were killed from outside",
                         jobs->count - pool.reports, jobs->count);
    end(&pool);
    return status;
}
