// SPDX-License-Identifier: Apache-2.0
// A simulated machine for tests of the search: what each point is worth, known exactly, and visits
// that are noisy and at times disturbed.
#ifndef AB_TESTS_TUNE_MACHINE_H
#define AB_TESTS_TUNE_MACHINE_H

#include "../bench/tune_search.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct machine {
    struct rng r;
    double images_per_s;               /* of the best engine, everything else at its default */
    double avx2, onednn, direct, lean; /* factors */
    double thread, instance;           /* of a doubling */
    double batch, onednn_batch;        /* of a doubling */
    double free, free_two, smt;        /* of the place; with two CPUs in use */
    double small, flush;
    double jitter;                       /* of a request */
    double scatter;                      /* of a visit */
    double luck;                         /* of one of `lucky` */
    double quiet_s, busy_s, least, most; /* mean lengths of stretches; how much the busy slow */
    double clock_s, until_s, slow;       /* now; the stretch */
    double judge_s;                      /* of judging maps that are new: those of each engine */
    int judged;                          /* a bit for each engine whose maps were */
    const char *wrong, *broken;          /* engines whose maps disagree, that do not run; NULL */
    const char *lucky;   /* an engine that chooses algorithms anew in each process; NULL: none */
    bool turns;          /* visits are by turns with a pacemaker */
    double turn_scatter; /* of a visit's ratio to the pacemaker, times the root of its turns */
};

static inline double between(struct rng *r, double low, double high)
{
    return low + (high - low) * rng_uniform(r);
}

/* Any machine: engines, scaling and knobs as they are found on CPUs, none of them the same. */
static inline struct machine machine_new(uint64_t seed)
{
    struct rng r = rng_new(seed);
    struct machine m = {.images_per_s = exp(between(&r, log(3), log(60)))};
    m.avx2 = between(&r, 0.45, 0.85);
    m.onednn = rng_uniform(&r) < 0.5 ? between(&r, 0.25, 0.5) : between(&r, 0.7, 1.15);
    m.direct = between(&r, 0.6, 1.03);
    m.lean = between(&r, 0.65, 0.9);
    m.thread = between(&r, 1.5, 1.95);
    m.instance = between(&r, 1.6, 1.98);
    m.batch = between(&r, 0.97, 1.04);
    m.onednn_batch = between(&r, 1, 1.3);
    m.free = between(&r, 0.97, 1.005);
    m.free_two = between(&r, 0.85, 1.01);
    m.smt = between(&r, 0.55, 0.75);
    m.small = between(&r, 0.94, 1);
    m.flush = rng_uniform(&r) < 0.8 ? between(&r, 0.995, 1.005) : between(&r, 1.02, 1.25);
    m.jitter = 0.02;
    m.scatter = 0.01;
    m.quiet_s = 60, m.busy_s = 15, m.least = 0.05, m.most = 0.3;
    m.r = r;
    return m;
}

static inline bool is_onednn(const struct ab_deploy *d)
{
    return !strcmp(d->backend, "onednn");
}

/* Images a second that the point is worth. */
static inline double worth(const struct machine *m, const struct ab_deploy *d)
{
    const int cpus = d->threads * d->instances;
    double v = m->images_per_s;
    v *= is_onednn(d) ? m->onednn : !strcmp(d->backend, "native:avx2") ? m->avx2 : 1;
    v *= pow(is_onednn(d) ? m->onednn_batch : m->batch, log2(d->batch));
    v *= d->algo == AB_ALGO_DIRECT ? m->direct : 1;
    v *= d->memory == AB_MEMORY_LEAN ? m->lean : 1;
    v *= pow(m->thread, log2(d->threads)) * pow(m->instance, log2(d->instances));
    if (d->place == AB_PLACE_FREE) v *= cpus > 1 ? m->free_two : m->free;
    if (d->place == AB_PLACE_SMT) v *= m->smt;
    v *= d->pages == AB_PAGES_SMALL ? m->small : 1;
    v *= d->denormals == AB_DENORMALS_FLUSH ? m->flush : 1;
    return v;
}

/* ns of a request of the closed load that keeps all instances busy, without jitter. */
static inline double service_ns(const struct machine *m, const struct ab_deploy *d)
{
    return 1e9 * d->batch * d->instances / worth(m, d);
}

/* A quantile of the latency: jitter is one-sided, as waiting is. */
static inline double latency_ns(const struct machine *m, const struct ab_deploy *d, double q)
{
    return service_ns(m, d) * (1 - m->jitter * log(1 - q));
}

/* Seconds that a visit takes beside serving. */
static inline double overhead_s(const struct ab_deploy *d)
{
    return is_onednn(d) ? 2.5 : 1.2 + 0.2 * d->instances;
}

static inline double exponential(struct rng *r, double mean)
{
    return -mean * log(1 - rng_uniform(r));
}

/* By how much what happens now is slowed. */
static inline double slowing(struct machine *m)
{
    while (m->clock_s >= m->until_s) {
        const bool busy = m->slow == 0 && m->until_s > 0 && m->busy_s > 0;
        m->slow = busy ? between(&m->r, m->least, m->most) : 0;
        m->until_s += exponential(&m->r, busy ? m->busy_s : m->quiet_s) + 1e-3;
    }
    return m->slow;
}

/* What slows the pacemaker slows a point by more, or by less: as many times. */
static inline double coupling(const struct ab_point *p)
{
    struct rng r = rng_new(ab_hash(0, p->text, strlen(p->text)));
    return between(&r, 0.7, 1.3);
}

/* Visits the point; told->latency_ns is malloc'd. */
static inline void visit(struct machine *m, const struct ab_point *p, double seconds,
                         struct ab_told *told)
{
    const struct ab_deploy *d = &p->deploy;
    const double scatter = m->lucky && strstr(p->text, m->lucky) ? m->luck : m->scatter;
    const double turn_s = fmax(0.1, service_ns(m, d) / 1e9), turns = ceil(seconds / turn_s);
    const double off = m->turns ? hypot(scatter, m->turn_scatter / sqrt(turns)) : scatter;
    const double luck = exp(off * rng_normal(&m->r)), slowed = 1 - slowing(m);
    const double pace = luck * (m->turns ? pow(slowed, coupling(p)) : slowed);
    const double rate = worth(m, d) * pace;
    if (m->turns) seconds = turns * turn_s;
    const int executions = (int)fmax(2, ceil(seconds * rate / d->batch));
    double *latency = malloc((size_t)(executions * d->batch) * sizeof *latency);
    *told = (struct ab_told){.images_per_s = rate,
                             .start_ns = 1e9 * overhead_s(d),
                             .seconds = executions * d->batch / rate,
                             .latency_ns = latency,
                             .requests = executions * d->batch,
                             .resident_bytes = 2e8 + 1e8 * d->instances * (1 + 0.5 * d->batch) +
                                               (d->memory == AB_MEMORY_LEAN ? 0 : 1.5e8),
                             .verdict = AB_AGREE,
                             .rel_l2 = 1e-6,
                             .why = ""};
    for (int i = 0; i < told->requests; i++) {
        const double late = i % d->batch ? 0 : m->jitter * exponential(&m->r, 1);
        latency[i] = i % d->batch ? latency[i - 1] : service_ns(m, d) / pace * (1 + late);
    }
    told->wall_s = told->seconds + overhead_s(d);
    if (m->turns) {
        told->pace = 50 * slowed;
        told->wall_s += told->seconds;
    }
    if (m->wrong && strstr(p->text, m->wrong)) {
        told->verdict = AB_DISAGREE;
        told->rel_l2 = 0.1;
        told->why = "rel. L2";
    }
    if (m->broken && strstr(p->text, m->broken)) {
        told->error = "it does not run";
        told->wall_s = 1;
    }
    told->alike = d->batch;
    const int engine = is_onednn(d) ? 4 : !strcmp(d->backend, "native:avx2") ? 2 : 1;
    if (!(m->judged & engine)) told->judge_s = m->judge_s;
    m->judged |= engine;
    m->clock_s += told->wall_s + told->judge_s;
}

/* What a test asks of the search. */
struct question {
    struct ab_require require;
    double budget_s;
    uint64_t seed;
    bool exhaustive;
    double (*roof)(void *user, const struct ab_point *p);
    void *user;
};

/* How a search went. */
struct outcome {
    struct ab_search *search;  /* owned */
    double spent_s, longest_s; /* all visits and judging; the longest visit */
    int visits;
    bool over; /* an ask cost more than was left */
};

static inline struct outcome explore(const struct ab_space *space, struct machine *m,
                                     const struct question *q)
{
    const struct ab_search_options o = {.space = space,
                                        .require = q->require,
                                        .budget_s = q->budget_s,
                                        .seed = q->seed,
                                        .exhaustive = q->exhaustive,
                                        .roof = q->roof,
                                        .user = q->user};
    struct outcome out = {.spent_s = 0};
    struct ab_error err;
    struct ab_ask ask;
    CHECK(ab_search_create(&o, &out.search, &err) == AB_OK, "%s", err.text);
    while (ab_search_next(out.search, out.spent_s, &ask)) {
        struct ab_told told;
        CHECK(out.visits++ < 100000, "it never ends");
        visit(m, &space->points[ask.point], ask.seconds, &told);
        CHECK(ab_search_tell(out.search, ask.point, &told), "out of memory");
        out.spent_s += told.wall_s + told.judge_s;
        out.longest_s = fmax(out.longest_s, told.wall_s);
        free((void *)told.latency_ns);
    }
    return out;
}

/* What the answer recommends; -1: nothing. */
static inline int recommended(const struct ab_space *space, const struct ab_search *s,
                              const struct ab_require *require)
{
    struct ab_answer answer;
    struct ab_error err;
    CHECK(ab_answer_make(space, s, require, &answer, &err) == AB_OK, "%s", err.text);
    const int point = answer.recommended;
    ab_answer_free(&answer);
    return point;
}

#endif
