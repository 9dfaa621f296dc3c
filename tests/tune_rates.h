// SPDX-License-Identifier: Apache-2.0
// How often a search finds what is best on simulated machines, counted.
#ifndef AB_TESTS_TUNE_RATES_H
#define AB_TESTS_TUNE_RATES_H

#include "tune_machine.h"

#include <stdio.h>

/* AB_TEST_SLOW: fewer machines where everything is instrumented. */
enum { MACHINES = AB_TEST_SLOW ? 20 : 200, SOME = AB_TEST_SLOW ? 10 : 60 };

static int two_cpus[] = {0, 1}, two_cores[] = {0, 1};

/* avx512, avx2 and, where it is built in, onednn, on two CPUs; narrowed by words with blanks
 * between them, or NULL. */
static inline struct ab_space space_new(const char *narrowing)
{
    const struct ab_site site = {.cpus = two_cpus,
                                 .core = two_cores,
                                 .n_cpus = 2,
                                 .granted = (double)INFINITY,
                                 .isas = 1u << AB_ISA_avx512 | 1u << AB_ISA_avx2};
    struct ab_words words = {NULL, 0};
    struct ab_space space;
    struct ab_error err;
    for (const char *w = narrowing; w && *w; w += strspn(w, " ")) {
        const size_t length = strcspn(w, " ");
        CHECK(ab_words_add(&words, w, length), "out of memory");
        w += length;
    }
    const enum ab_status status = ab_space_create(&words, &site, 0, &space, &err);
    CHECK(status == AB_OK, "%s", err.text);
    ab_words_free(&words);
    return space;
}

/* `slowed`: by what else runs there too, as long as it likes. */
static inline bool meets(const struct machine *m, const struct ab_point *p,
                         const struct ab_require *r, double slowed)
{
    if (m->wrong && strstr(p->text, m->wrong)) return false;
    if (m->broken && strstr(p->text, m->broken)) return false;
    return !(r->slo.limit_ns > 0) ||
           latency_ns(m, &p->deploy, r->slo.quantile) <= (1 - slowed) * r->slo.limit_ns;
}

/* What the objective makes of the true numbers of a point. */
static inline double true_value(const struct machine *m, const struct ab_point *p,
                                const struct ab_require *r)
{
    if (r->objective == AB_OBJECTIVE_THROUGHPUT) return worth(m, &p->deploy);
    return 1 / latency_ns(m, &p->deploy, r->slo.limit_ns > 0 ? r->slo.quantile : 0.5);
}

static inline double best_value(const struct machine *m, const struct ab_space *space,
                                const struct ab_require *r, double slowed)
{
    double best = 0;
    for (int i = 0; i < space->n_points; i++)
        if (meets(m, &space->points[i], r, slowed))
            best = fmax(best, true_value(m, &space->points[i], r));
    return best;
}

/* One visit of equal length for every point. */
static inline double sweep_s(const struct ab_space *space, double budget_s)
{
    const double base_s = fmin(3, fmax(0.5, budget_s / 250));
    double all = 0;
    for (int i = 0; i < space->n_points; i++) all += base_s + overhead_s(&space->points[i].deploy);
    return all;
}

/* Many machines, one question. */
struct rates {
    int machines, none, broken, complete;
    int near_best, near_advised; /* within 3 % of the true best */
    int near_sure;               /* of the best of those that keep the limit however disturbed */
    double worst, share, visits; /* the worst answer; of the sweep's time, and visits, on average */
    double most_share;
};

static inline void count(struct rates *r, const struct ab_space *space, struct machine *m,
                         const struct question *q)
{
    struct outcome o = explore(space, m, q);
    const int best = ab_search_best(o.search), advised = recommended(space, o.search, &q->require);
    const double truth = best_value(m, space, &q->require, 0);
    const double sure = best_value(m, space, &q->require, m->busy_s > 0 ? m->most : 0);
    const double share = o.spent_s / sweep_s(space, q->budget_s);
    CHECK(o.spent_s <= q->budget_s + o.longest_s, "%g s of %g", o.spent_s, q->budget_s);
    r->machines++;
    r->visits += o.visits;
    r->share += share;
    r->most_share = fmax(r->most_share, share);
    r->complete += ab_search_complete(o.search);
    r->none += best < 0;
    if (best >= 0) {
        const double value = true_value(m, &space->points[best], &q->require) / truth;
        const double told = true_value(m, &space->points[advised], &q->require) / truth;
        r->broken += !meets(m, &space->points[advised], &q->require, 0);
        r->near_best += value >= 0.97;
        r->near_advised += told >= 0.97;
        r->near_sure += told * truth >= 0.97 * sure;
        r->worst = fmin(r->worst, told);
    }
    ab_search_destroy(&o.search);
}

static inline void show(const char *what, struct rates *r)
{
    const double n = r->machines;
    printf("%-34s %3d machines: best within 3 %% %5.1f %%, advised %5.1f %% (worst %.3f), of what "
           "surely keeps the limit %5.1f %%, none "
           "%4.1f %%, not meeting %4.1f %%, complete %5.1f %%, %5.1f visits, %4.1f %% of a sweep "
           "(at most %4.1f %%)\n",
           what, r->machines, 100 * r->near_best / n, 100 * r->near_advised / n, r->worst,
           100 * r->near_sure / n, 100 * r->none / n, 100 * r->broken / n, 100 * r->complete / n,
           r->visits / n, 100 * r->share / n, 100 * r->most_share);
}

/* Whether `held` of the machines are that share. The few machines of a slow build cannot tell 95 %
   from 97 %, which holds for all ten of them in 74 of 100 runs, and sums round differently there:
   one more may miss. */
static inline bool share_holds(int held, int machines, double share)
{
    const double needed = share * machines;
    return held >= (AB_TEST_SLOW ? floor(needed) - 1 : needed);
}

#endif
