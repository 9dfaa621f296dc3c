// SPDX-License-Identifier: Apache-2.0
// The search on simulated machines: how often it finds what is best there, for how much of the time
// that trying everything would take; and what it must never do.
#include "../bench/tune_search.h"
#include "tune_rates.h"

static struct rates many(const char *what, int machines, double budget_s,
                         enum ab_objective objective, double quantile, double looseness,
                         void (*change)(struct machine *m))
{
    struct ab_space space = space_new(NULL);
    struct rates r = {.worst = 1};
    for (int i = 0; i < machines; i++) {
        context("%s, machine %d", what, i);
        struct machine m = machine_new((uint64_t)i);
        if (change) change(&m);
        struct question q = {
            .require = {.objective = objective}, .budget_s = budget_s, .seed = (uint64_t)i};
        if (quantile > 0) {
            const struct ab_deploy alone = {
                .backend = "native:avx512", .threads = 1, .instances = 1, .batch = 1};
            q.require.slo.quantile = quantile;
            q.require.slo.limit_ns = looseness * latency_ns(&m, &alone, quantile);
        }
        count(&r, &space, &m, &q);
    }
    show(what, &r);
    ab_space_free(&space);
    return r;
}

static void check_rates(const struct rates *r, double near, double share)
{
    CHECK(share_holds(r->near_advised, r->machines, near), "only %d of %d within 3 %%",
          r->near_advised, r->machines);
    CHECK(r->share <= share * r->machines, "%.1f %% of a sweep", 100 * r->share / r->machines);
}

static void be_quiet(struct machine *m)
{
    m->busy_s = 0;
}

/* A neighbour for half of the time. */
static void be_busy(struct machine *m)
{
    m->quiet_s = 40, m->busy_s = 40;
}

static void be_noisy(struct machine *m)
{
    m->scatter = 0.04;
}

TEST(finds_the_best_throughput)
{
    struct rates r = many("throughput", MACHINES, 600, AB_OBJECTIVE_THROUGHPUT, 0, 0, NULL);
    check_rates(&r, 0.95, 0.25);
    r = many("throughput, quiet", SOME, 600, AB_OBJECTIVE_THROUGHPUT, 0, 0, be_quiet);
    check_rates(&r, 0.97, 0.25);
    r = many("throughput, busy", SOME, 600, AB_OBJECTIVE_THROUGHPUT, 0, 0, be_busy);
    check_rates(&r, 0.85, 0.25);
    r = many("throughput, scatter of 4 %", SOME, 600, AB_OBJECTIVE_THROUGHPUT, 0, 0, be_noisy);
    CHECK(share_holds(r.near_advised, r.machines, 0.8), "%d of %d", r.near_advised, r.machines);
    CHECK(r.worst >= 0.9, "%g of the best", r.worst);
    many("throughput, 2 minutes", SOME, 120, AB_OBJECTIVE_THROUGHPUT, 0, 0, NULL);
    many("throughput, 1 minute", SOME, 60, AB_OBJECTIVE_THROUGHPUT, 0, 0, NULL);
}

TEST(finds_the_best_latency)
{
    struct rates r = many("latency, median", SOME, 600, AB_OBJECTIVE_LATENCY, 0, 0, NULL);
    check_rates(&r, 0.95, 0.25);
    many("latency, p90 held", SOME, 600, AB_OBJECTIVE_LATENCY, 0.9, 1.5, NULL);
}

/* What breaks the limit while the neighbour runs may be refused; what breaks it always must be. */
static void check_limits(const struct rates *r, double near)
{
    CHECK(r->broken <= 0.05 * r->machines, "%d break the limit", r->broken);
    CHECK(share_holds(r->near_sure, r->machines, near),
          "only %d of %d within 3 %% of what keeps the limit", r->near_sure, r->machines);
}

TEST(finds_the_best_within_a_limit)
{
    struct rates r =
        many("throughput, p90 <= 3 x alone", SOME, 600, AB_OBJECTIVE_THROUGHPUT, 0.9, 3, NULL);
    check_limits(&r, 0.95);
    r = many("throughput, p90 <= 1.2 x alone", SOME, 600, AB_OBJECTIVE_THROUGHPUT, 0.9, 1.2, NULL);
    check_limits(&r, 0.95);
    r = many("throughput, p99", SOME, 600, AB_OBJECTIVE_THROUGHPUT, 0.99, 3, NULL);
    /* 2944 requests decide about a batch of eight: slow networks have no time for that. */
    check_limits(&r, 0.9);
    CHECK(!r.none, "%d without advice", r.none);
    r = many("throughput, p99, 20 minutes", SOME, 1200, AB_OBJECTIVE_THROUGHPUT, 0.99, 3, NULL);
    check_limits(&r, 0.95);
    r = many("throughput, p90, quiet", SOME, 600, AB_OBJECTIVE_THROUGHPUT, 0.9, 3, be_quiet);
    check_rates(&r, 0.97, 0.25);
    check_limits(&r, 0.95);
}

/* The same machine at other times. */
TEST(repeated_searches_advise_alike)
{
    enum { TIMES = 3 };
    struct ab_space space = space_new(NULL);
    int alike = 0, same = 0;
    for (int i = 0; i < SOME; i++) {
        double least = (double)INFINITY, most = 0;
        int first = -1;
        bool all = true;
        for (int time = 0; time < TIMES; time++) {
            struct machine m = machine_new((uint64_t)i);
            m.r = rng_new((uint64_t)(1000 + TIMES * i + time));
            const struct question q = {
                .require = {.objective = AB_OBJECTIVE_THROUGHPUT}, .budget_s = 600, .seed = 1};
            struct outcome o = explore(&space, &m, &q);
            const int advised = recommended(&space, o.search, &q.require);
            const double value = worth(&m, &space.points[advised].deploy);
            least = fmin(least, value);
            most = fmax(most, value);
            all = all && (!time || advised == first);
            first = advised;
            ab_search_destroy(&o.search);
        }
        same += all;
        alike += least >= 0.95 * most;
    }
    printf("%d machines, searched %d times: the same advice for %d, within 5 %% for %d\n", SOME,
           TIMES, same, alike);
    CHECK(share_holds(alike, SOME, 0.9), "only %d of %d", alike, SOME);
    ab_space_free(&space);
}

/* Sixty-four hardware threads: thousands of points, most of them never looked at. */
TEST(finds_its_way_on_a_large_machine)
{
    enum { CORES = 32, RUNS = AB_TEST_SLOW ? 1 : 5 };
    static int cpus[2 * CORES], cores[2 * CORES];
    for (int i = 0; i < 2 * CORES; i++) cpus[i] = i, cores[i] = i / 2;
    const struct ab_site site = {.cpus = cpus,
                                 .core = cores,
                                 .n_cpus = 2 * CORES,
                                 .granted = (double)INFINITY,
                                 .isas = 1u << AB_ISA_avx512 | 1u << AB_ISA_avx2};
    struct ab_space space;
    struct ab_error err;
    CHECK(ab_space_create(NULL, &site, 0, &space, &err) == AB_OK, "%s", err.text);
    struct rates r = {.worst = 1};
    for (int i = 0; i < RUNS; i++) {
        struct machine m = machine_new((uint64_t)i);
        const struct question q = {
            .require = {.objective = AB_OBJECTIVE_THROUGHPUT}, .budget_s = 900, .seed = 1};
        m.images_per_s /= 4;
        count(&r, &space, &m, &q);
    }
    printf("%d points: ", space.n_points);
    show("throughput of 64 threads", &r);
    CHECK(r.worst > 0.9, "%g of the best", r.worst);
    ab_space_free(&space);
}

static void lie(struct machine *m)
{
    m->wrong = "avx512";
}

static void crash(struct machine *m)
{
    m->broken = "avx512";
}

TEST(what_disagrees_or_fails_is_never_advised)
{
    struct rates r = many("avx512 disagrees", SOME, 600, AB_OBJECTIVE_THROUGHPUT, 0, 0, lie);
    check_rates(&r, 0.9, 0.25);
    CHECK(!r.broken && !r.none, "%d advised, %d without advice", r.broken, r.none);
    r = many("avx512 does not run", SOME, 600, AB_OBJECTIVE_THROUGHPUT, 0, 0, crash);
    check_rates(&r, 0.9, 0.25);
    CHECK(!r.broken && !r.none, "%d advised, %d without advice", r.broken, r.none);
}

/* ---- what it must never do ---- */

static const struct ab_require throughput = {.objective = AB_OBJECTIVE_THROUGHPUT};

TEST(it_keeps_to_its_budget)
{
    struct ab_space space = space_new(NULL);
    static const double budgets[] = {0.1, 2, 5, 10, 20, 40, 80, 300};
    for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++)
        for (uint64_t seed = 0; seed < 10; seed++) {
            struct machine m = machine_new(seed);
            const struct question q = {.require = throughput, .budget_s = budgets[b], .seed = seed};
            struct outcome o = explore(&space, &m, &q);
            context("%g s, seed %llu: %d visits", budgets[b], (unsigned long long)seed, o.visits);
            /* Only what it does not know yet may take longer than it expects. */
            CHECK(o.spent_s <= budgets[b] + o.longest_s, "%g s", o.spent_s);
            CHECK(o.visits >= (budgets[b] >= 0.5), "nothing was visited");
            CHECK(budgets[b] > 1 || !ab_search_complete(o.search), "complete after %g s",
                  o.spent_s);
            CHECK(ab_search_progress(o.search, o.spent_s) <= 1, "progress above 1");
            ab_search_destroy(&o.search);
        }
    ab_space_free(&space);
}

TEST(the_same_tellings_give_the_same_asks)
{
    struct ab_space space = space_new(NULL);
    const struct ab_search_options o = {
        .space = &space, .require = throughput, .budget_s = 300, .seed = 5};
    struct ab_search *a, *b;
    struct ab_error err;
    struct machine m = machine_new(5);
    struct ab_ask ask, same;
    double spent_s = 0, progress = 0;
    CHECK(ab_search_create(&o, &a, &err) == AB_OK, "%s", err.text);
    CHECK(ab_search_create(&o, &b, &err) == AB_OK, "%s", err.text);
    CHECK(ab_search_best(a) == -1, "a best point of nothing");
    while (ab_search_next(a, spent_s, &ask)) {
        struct ab_told told;
        CHECK(ab_search_next(b, spent_s, &same), "the other ends");
        CHECK(ask.point == same.point && ask.seconds == same.seconds, "they differ");
        /* Asking changes nothing. */
        CHECK(ab_search_next(b, spent_s, &same) && ask.point == same.point, "it changed its mind");
        CHECK(ask.seconds > 0 && ask.point >= 0 && ask.point < space.n_points, "%d for %g s",
              ask.point, ask.seconds);
        progress = ab_search_progress(a, spent_s);
        CHECK(progress >= 0 && progress < 1, "progress %g", progress);
        visit(&m, &space.points[ask.point], ask.seconds, &told);
        CHECK(ab_search_tell(a, ask.point, &told) && ab_search_tell(b, ask.point, &told), "memory");
        spent_s += told.wall_s;
        free((void *)told.latency_ns);
    }
    CHECK(!ab_search_next(b, spent_s, &same), "the other goes on");
    ab_search_destroy(&a);
    ab_search_destroy(&b);
    ab_space_free(&space);
}

TEST(exhaustive_visits_every_point)
{
    struct ab_space space = space_new("batch=1,2");
    struct machine m = machine_new(1);
    m.broken = "free small"; /* some fail */
    const struct question q = {
        .require = throughput, .budget_s = 1e5, .seed = 1, .exhaustive = true};
    struct outcome o = explore(&space, &m, &q);
    for (int i = 0; i < space.n_points; i++) {
        const struct ab_evidence *e = ab_search_evidence(o.search, i);
        CHECK(e->visits > 0 || e->error[0], "%s was not visited", space.points[i].text);
        CHECK(!strstr(space.points[i].text, "free small") || e->dropped == AB_DROP_ERROR, "%s: %s",
              space.points[i].text, ab_drop_name(e->dropped));
    }
    CHECK(ab_search_complete(o.search), "not complete");
    CHECK(ab_search_progress(o.search, o.spent_s) == 1, "not done");
    ab_search_destroy(&o.search);
    ab_space_free(&space);
}

static double roof(void *user, const struct ab_point *p)
{
    const struct machine *m = user;
    /* A true roof, near for one engine alone. */
    return (is_onednn(&p->deploy) ? 1.02 : 3) * worth(m, &p->deploy);
}

TEST(what_a_roof_keeps_down_is_not_visited_again)
{
    struct ab_space space = space_new(NULL);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct machine m = machine_new(seed);
        const struct question q = {
            .require = throughput, .budget_s = 600, .seed = seed, .roof = roof, .user = &m};
        struct outcome o = explore(&space, &m, &q);
        const int best = ab_search_best(o.search);
        const double value = ab_evidence_value(ab_search_evidence(o.search, best), &throughput,
                                               ab_search_noise(o.search))
                                 .low;
        context("seed %llu", (unsigned long long)seed);
        CHECK(worth(&m, &space.points[best].deploy) > 0.95 * best_value(&m, &space, &throughput, 0),
              "%s", space.points[best].text);
        for (int i = 0; i < space.n_points; i++) {
            const struct ab_evidence *e = ab_search_evidence(o.search, i);
            const bool low = roof(&m, &space.points[i]) < value;
            CHECK(e->visits > 0 || (e->dropped == AB_DROP_ROOF) == low, "%s: %s",
                  space.points[i].text, ab_drop_name(e->dropped));
        }
        ab_search_destroy(&o.search);
    }
    ab_space_free(&space);
}

TEST(where_nothing_keeps_the_limit_it_looks_for_the_closest)
{
    struct ab_space space = space_new(NULL);
    int close = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct machine m = machine_new(seed);
        struct ab_require r = throughput;
        r.slo.quantile = 0.9;
        double least = (double)INFINITY, found = (double)INFINITY;
        for (int i = 0; i < space.n_points; i++)
            least = fmin(least, latency_ns(&m, &space.points[i].deploy, 0.9));
        r.slo.limit_ns = 0.7 * least;
        const struct question q = {.require = r, .budget_s = 600, .seed = seed};
        struct outcome o = explore(&space, &m, &q);
        CHECK(ab_search_best(o.search) == -1, "it keeps the limit");
        for (int i = 0; i < space.n_points; i++)
            if (ab_search_evidence(o.search, i)->visits > 0)
                found = fmin(found, latency_ns(&m, &space.points[i].deploy, 0.9));
        close += found <= 1.03 * least;
        ab_search_destroy(&o.search);
    }
    printf("nothing keeps the limit: the closest within 3 %% in %d of 20\n", close);
    CHECK(close >= 19, "%d of 20", close);
    ab_space_free(&space);
}

TEST(where_nothing_runs_it_ends)
{
    struct ab_space space = space_new(NULL);
    struct machine m = machine_new(1);
    m.broken = "batch";
    const struct question q = {.require = throughput, .budget_s = 600, .seed = 1};
    struct outcome o = explore(&space, &m, &q);
    CHECK(o.visits <= 40, "%d visits", o.visits);
    CHECK(ab_search_best(o.search) == -1 && ab_search_complete(o.search),
          "a best point of nothing");
    ab_search_destroy(&o.search);
    m = machine_new(1);
    m.wrong = "batch";
    o = explore(&space, &m, &q);
    CHECK(o.visits <= 40, "%d visits", o.visits);
    CHECK(ab_search_best(o.search) == -1 && ab_search_complete(o.search),
          "a best point of nothing");
    ab_search_destroy(&o.search);
    ab_space_free(&space);
}

/* Engines that cannot win are not worth more than the cover. */
TEST(the_hopeless_are_left_alone)
{
    struct ab_space space = space_new(NULL);
    double visits = 0, most = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct machine m = machine_new(seed);
        m.onednn = 0.33, m.onednn_batch = 1.05;
        const struct question q = {.require = throughput, .budget_s = 600, .seed = seed};
        struct outcome o = explore(&space, &m, &q);
        double hopeless = 0;
        for (int i = 0; i < space.n_points; i++)
            if (is_onednn(&space.points[i].deploy))
                hopeless += ab_search_evidence(o.search, i)->visits;
        visits += hopeless / 20;
        most = fmax(most, hopeless);
        ab_search_destroy(&o.search);
    }
    printf("an engine at a third of the best gets %.1f visits, %g at most\n", visits, most);
    CHECK(visits <= 8, "%g visits of an engine at a third", visits);
    ab_space_free(&space);
}

/* Maps are judged once for all configurations that make the same: it is no price of their visits.
 */
TEST(judging_does_not_make_an_engine_dear)
{
    struct ab_space space = space_new(NULL);
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct machine m = machine_new(seed);
        m.judge_s = 35;
        const struct question q = {.require = throughput, .budget_s = 150, .seed = seed};
        struct outcome o = explore(&space, &m, &q);
        context("seed %llu", (unsigned long long)seed);
        /* Judging takes most of the time; what is left is less than it took of one engine. */
        CHECK(o.spent_s > 130 && o.visits >= 10, "%d visits in %g s", o.visits, o.spent_s);
        /* Nor is it begun where there is no time for it, once it is known. */
        CHECK(o.spent_s <= q.budget_s + o.longest_s, "%g s", o.spent_s);
        double spent_s = 0;
        for (int i = 0; i < space.n_points; i++)
            spent_s += ab_search_evidence(o.search, i)->spent_s;
        CHECK(fabs(spent_s - o.spent_s) < 1e-6, "%g of %g s are booked", spent_s, o.spent_s);
        ab_search_destroy(&o.search);
    }
    ab_space_free(&space);
}

static const struct test_case cases[] = {
    CASE(finds_the_best_throughput),
    CASE(finds_the_best_latency),
    CASE(finds_the_best_within_a_limit),
    CASE(repeated_searches_advise_alike),
    CASE(finds_its_way_on_a_large_machine),
    CASE(what_disagrees_or_fails_is_never_advised),
    CASE(it_keeps_to_its_budget),
    CASE(the_same_tellings_give_the_same_asks),
    CASE(exhaustive_visits_every_point),
    CASE(what_a_roof_keeps_down_is_not_visited_again),
    CASE(where_nothing_keeps_the_limit_it_looks_for_the_closest),
    CASE(where_nothing_runs_it_ends),
    CASE(the_hopeless_are_left_alone),
    CASE(judging_does_not_make_an_engine_dear)};
TEST_MAIN("tune_search", cases)
