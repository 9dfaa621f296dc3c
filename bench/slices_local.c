// SPDX-License-Identifier: Apache-2.0
// Slices of calls in this process, and the state of the caches before them.
#include "slices.h"

#include "stats.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* Operands come back into a cache of some MiB within 50 us, which is little of calls this long, as
 * is what is deducted too much from the time that they ran. */
static const double LONG_NS = 5e6;
/* Interrupts take a smaller share. */
static const double LOST = 0.02;

/* ---- disturbances ---- */

struct witness {
    long switches;
    int cpu;
    double own_ns; /* that the thread ran */
};

static double own_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* Threads that wait for each other at the end of a call give up their cores willingly: of several,
 * only what happens against their will counts. The core is that of the calling thread. */
static struct witness look(int threads)
{
    struct rusage use = {0};
    getrusage(threads > 1 ? RUSAGE_SELF : RUSAGE_THREAD, &use);
    return (struct witness){use.ru_nivcsw + (threads > 1 ? 0 : use.ru_nvcsw), sched_getcpu(),
                            threads > 1 ? 0 : own_ns()};
}

/* Of a slice of one thread that lost time, to other threads or to a hypervisor: the time that it
 * ran, as far as that can be believed. */
static double time_left(const struct ab_local *l, double ns, double ran, bool switched, int calls)
{
    if (l->whole_ns > 0) return fmin(ns, fmax(ran, l->whole_ns * calls));
    const bool deducted = ran <= 0 || (!switched && ns < LONG_NS);
    return deducted ? ns : ran;
}

/* ---- local sides ---- */

static enum ab_status prepare(struct ab_local *l, struct ab_error *err)
{
    if (l->before) {
        l->before(l->user);
        return AB_OK;
    }
    return l->least_ns < LONG_NS ? l->run(l->user, err) : AB_OK;
}

enum ab_status ab_local_slice(void *local, int calls, struct ab_slice *slice, struct ab_error *err)
{
    struct ab_local *l = local;
    enum ab_status status = prepare(l, err);
    const struct witness before = look(l->threads);
    const double start = ab_now_ns();
    for (int i = 0; i < calls && status == AB_OK; i++) status = l->run(l->user, err);
    double ns = ab_now_ns() - start;
    const struct witness after = look(l->threads);
    if (status != AB_OK) return status;
    const bool switched = after.switches != before.switches;
    const double ran = l->threads <= 1 ? after.own_ns - before.own_ns : ns;
    const bool disturbed = switched || after.cpu != before.cpu || ran < (1 - LOST) * ns;
    if (ran < ns)
        ns = time_left(l, ns, ran, switched, calls);
    else if (!disturbed && (!(l->whole_ns > 0) || ns / calls < l->whole_ns))
        l->whole_ns = ns / calls;
    *slice = (struct ab_slice){.ns = ns / calls, .disturbed = disturbed};
    if (!(l->least_ns > 0) || slice->ns < l->least_ns) l->least_ns = slice->ns;
    return AB_OK;
}

/* ---- caches ---- */

const char *ab_cache_name(enum ab_cache cache)
{
    return cache == AB_CACHE_COLD ? "cold" : "hot";
}

/* Keeps sums alive. */
static volatile unsigned sink;

enum { LINE = 64 };

static unsigned read_all(const unsigned char *data, size_t bytes)
{
    unsigned sum = 0;
    for (size_t i = 0; i < bytes; i += LINE) sum += data[i];
    return sum;
}

bool ab_cache_evict(long l3, int threads)
{
    static unsigned char *buffer;
    static size_t bytes;
    const size_t level = l3 > 0 ? (size_t)l3 : (size_t)32 << 20, wanted = level + level / 4;
    if (bytes < wanted) {
        ab_buffer_free(buffer);
        buffer = ab_buffer_alloc(wanted);
        bytes = buffer ? wanted : 0;
        if (!buffer) return false;
        /* Pages that were never written share one page of zeros, which fits any cache. */
        memset(buffer, 1, bytes);
    }
    unsigned sum = 0;
    if (threads > 1) {
#pragma omp parallel num_threads(threads) reduction(+ : sum)
        sum += read_all(buffer, bytes);
    } else {
        sum = read_all(buffer, bytes);
    }
    sink = sum;
    return true;
}

/* 64 KiB, which any second level holds, in an order that no prefetcher follows. */
enum { LINES = 1024, TRIES = 5 };
struct line {
    const struct line *next;
    char rest[LINE - sizeof(void *)];
};

/* One cycle through all lines in random order (Sattolo's shuffle). */
static void link_lines(struct line *lines)
{
    int order[LINES];
    for (int i = 0; i < LINES; i++) order[i] = i;
    for (int i = LINES - 1; i > 0; i--) {
        const int j = (int)(ab_uniform(3, (uint64_t)i) * i), swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
    for (int i = 0; i < LINES; i++) lines[order[i]].next = &lines[order[(i + 1) % LINES]];
}

static double chase(const struct line *lines)
{
    const double start = ab_now_ns();
    const struct line *at = lines;
    for (int i = 0; i < LINES; i++) at = at->next;
    sink = at == lines;
    return (ab_now_ns() - start) / LINES;
}

bool ab_cache_lines(long l3, struct ab_lines *lines)
{
    struct line *set = ab_buffer_alloc(LINES * sizeof *set);
    *lines = (struct ab_lines){INFINITY, INFINITY};
    bool good = set != NULL;
    if (good) link_lines(set);
    for (int i = 0; i < TRIES && good; i++) {
        chase(set);
        lines->hot_ns = fmin(lines->hot_ns, chase(set));
        good = ab_cache_evict(l3, 1);
        lines->cold_ns = fmin(lines->cold_ns, chase(set));
    }
    ab_buffer_free(set);
    return good;
}
