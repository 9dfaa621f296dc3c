// SPDX-License-Identifier: Apache-2.0
// Threads that meet by spinning: whoever sleeps at a barrier wakes up microseconds apart.
#include "abreast.h"

#include "stats.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

struct share;
struct team {
    ab_abreast_work *work;
    void *user;
    struct share *shares;
    int count;
    double span, hoped, began, best;
    bool stop;
    atomic_int gate, arrived, phase; /* gate: 0 wait, 1 go, -1 leave */
};

struct share {
    struct team *team;
    int thread;
    pthread_t handle;
    double start, end, ran, units; /* ran: ns that the thread had its CPU */
} __attribute__((aligned(64)));

/* Never offers its CPU to others: each thread has one of its own, and whoever gives it away is gone
 * for milliseconds, so that on a busy machine no two ever ran at once. */
static void pause_a_little(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static double thread_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void meet(struct team *t)
{
    int phase = atomic_load(&t->phase);
    if (atomic_fetch_add(&t->arrived, 1) + 1 == t->count) {
        atomic_store(&t->arrived, 0);
        atomic_fetch_add(&t->phase, 1);
        return;
    }
    while (atomic_load(&t->phase) == phase) pause_a_little();
}

/* Judges the round that all have ended. */
static void judge(struct team *t)
{
    double first = (double)INFINITY, last = 0, late = 0, early = (double)INFINITY, longest = 0;
    double units = 0;
    bool whole = true;
    for (int i = 0; i < t->count; i++) {
        const struct share *s = &t->shares[i];
        first = fmin(first, s->start), late = fmax(late, s->start);
        early = fmin(early, s->end), last = fmax(last, s->end);
        longest = fmax(longest, s->end - s->start);
        whole = whole && s->ran > 0.95 * (s->end - s->start);
        units += s->units;
    }
    if (whole && early - late >= 0.9 * longest) t->best = fmax(t->best, units / (last - first));
    double spent = ab_now_ns() - t->began;
    bool enough = t->best > 0 && t->best >= 0.9 * t->hoped;
    t->stop = spent > (enough ? 1 : t->best > 0 ? 8 : 16) * t->span;
}

static void *member(void *user)
{
    struct share *s = user;
    struct team *t = s->team;
    while (!atomic_load(&t->gate)) pause_a_little();
    if (atomic_load(&t->gate) < 0) return NULL;
    t->work(t->user, s->thread, -1);
    meet(t);
    if (s->thread == 0) t->began = ab_now_ns();
    for (int round = 0;; round++) {
        meet(t);
        if (t->stop) return NULL;
        double had = thread_ns();
        s->start = ab_now_ns();
        s->units = t->work(t->user, s->thread, round);
        s->end = ab_now_ns();
        s->ran = thread_ns() - had;
        meet(t);
        if (s->thread == 0) judge(t);
    }
}

static bool start(struct share *s, int cpu)
{
    pthread_attr_t attr;
    cpu_set_t *set = CPU_ALLOC((size_t)cpu + 1);
    size_t size = CPU_ALLOC_SIZE((size_t)cpu + 1);
    if (!set || pthread_attr_init(&attr) != 0) {
        if (set) CPU_FREE(set);
        return false;
    }
    CPU_ZERO_S(size, set);
    CPU_SET_S((size_t)cpu, size, set);
    bool ok = pthread_attr_setaffinity_np(&attr, size, set) == 0 &&
              pthread_create(&s->handle, &attr, member, s) == 0;
    pthread_attr_destroy(&attr);
    CPU_FREE(set);
    return ok;
}

double ab_abreast(const int *cpus, int count, ab_abreast_work *work, void *user, double span,
                  double hoped)
{
    struct team t = {.work = work, .user = user, .count = count, .span = span, .hoped = hoped};
    t.shares = aligned_alloc(64, (size_t)count * sizeof *t.shares);
    if (!t.shares) return 0;
    int started = 0;
    for (; started < count; started++) {
        t.shares[started] = (struct share){.team = &t, .thread = started};
        if (!start(&t.shares[started], cpus[started])) break;
    }
    atomic_store(&t.gate, started == count ? 1 : -1);
    for (int i = 0; i < started; i++) pthread_join(t.shares[i].handle, NULL);
    free(t.shares);
    return t.best;
}
