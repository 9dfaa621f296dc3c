// SPDX-License-Identifier: Apache-2.0
// What visits showed of a point, and what that makes it worth: evidence.
#include "../bench/tune_search.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct ab_require throughput = {.objective = AB_OBJECTIVE_THROUGHPUT};

/* A visit of `n` requests that all take as long. */
static void add_paced(struct ab_evidence *e, const struct ab_require *r, double images_per_s,
                      double latency, int n, double pace)
{
    double *latencies = malloc((size_t)n * sizeof *latencies);
    for (int i = 0; i < n; i++) latencies[i] = latency;
    const struct ab_told told = {.images_per_s = images_per_s,
                                 .latency_ns = latencies,
                                 .requests = n,
                                 .resident_bytes = 1e9 / images_per_s,
                                 .verdict = AB_AGREE,
                                 .rel_l2 = 1e-5};
    CHECK(ab_evidence_add(e, &told, r, pace), "out of memory");
    free(latencies);
}

static void add_visit(struct ab_evidence *e, const struct ab_require *r, double images_per_s,
                      double latency, int n)
{
    add_paced(e, r, images_per_s, latency, n, (double)NAN);
}

static void check_near(double got, double want)
{
    CHECK(fabs(got / want - 1) < 1e-9, "%g, not %g", got, want);
}

TEST(disturbed_visits_do_not_count)
{
    struct ab_evidence e = {.visits = 0};
    CHECK(isnan(ab_evidence_value(&e, &throughput, 0.02).value), "a value of nothing");
    add_visit(&e, &throughput, 10, 1e8, 5);
    struct ab_worth v = ab_evidence_value(&e, &throughput, 0.02);
    check_near(v.value, 10);
    CHECK(v.low < 10 && v.low > 9.7 && v.high > 10 && v.high < 10.3, "%g to %g", v.low, v.high);
    add_visit(&e, &throughput, 8, 1.25e8, 5);
    add_visit(&e, &throughput, 9.9, 1.01e8, 5);
    add_visit(&e, &throughput, 10.1, 0.99e8, 5);
    v = ab_evidence_value(&e, &throughput, 0.02);
    check_near(v.value, 10);
    CHECK(v.high / v.low < 1.03, "%g to %g", v.low, v.high);
    CHECK(ab_evidence_clean(&e, &throughput, 0.02) == 3, "not 3");
    /* Noise that wide makes it one of them. */
    CHECK(ab_evidence_clean(&e, &throughput, 0.2) == 4, "not 4");
    const struct ab_require latency = {.objective = AB_OBJECTIVE_LATENCY};
    check_near(ab_evidence_value(&e, &latency, 0.02).value, 1e-8);
    const struct ab_require memory = {.objective = AB_OBJECTIVE_MEMORY};
    check_near(ab_evidence_value(&e, &memory, 0.02).value, 8e-9);
    ab_evidence_free(&e);
}

/* What slows the machine by a fifth makes a configuration no worse: neither its rate nor its
 * latency, nor does it break a limit that would hold else. */
TEST(values_are_those_at_one_pace)
{
    const struct ab_require latency = {.objective = AB_OBJECTIVE_LATENCY},
                            limited = {.objective = AB_OBJECTIVE_THROUGHPUT,
                                       .slo = {.quantile = 0.5, .limit_ns = 1.1e8}};
    struct ab_evidence e = {.visits = 0};
    add_paced(&e, &throughput, 10, 1e8, 400, 1);
    add_paced(&e, &throughput, 8, 1.25e8, 800, 0.8);
    add_paced(&e, &throughput, 12, 1e9 / 12, 400, 1.2);
    check_near(ab_evidence_value(&e, &throughput, 0.02).value, 10);
    check_near(ab_evidence_value(&e, &latency, 0.02).value, 1e-8);
    CHECK(ab_evidence_clean(&e, &throughput, 0.02) == 3, "one was disturbed");
    CHECK(ab_evidence_clean(&e, &latency, 0.02) == 3, "one was disturbed");
    for (int v = 0; v < 3; v++) {
        check_near(ab_evidence_of_visit(&e, &throughput, v, false), 10);
        check_near(ab_evidence_of_visit(&e, &latency, v, false), 1e-8);
    }
    CHECK(ab_evidence_fits(&e, &limited) != AB_FIT_FAILS, "it breaks where the machine was slow");
    ab_evidence_free(&e);
    /* By itself slow, it does, however slow the machine is too. */
    for (int v = 0; v < 3; v++) add_paced(&e, &throughput, 4, 2.5e8, 800, 0.8);
    CHECK(ab_evidence_fits(&e, &limited) == AB_FIT_FAILS, "a limit broken at any pace holds");
    ab_evidence_free(&e);
}

/* What a pacemaker is held against errs both ways: no visit is better than another, and the scatter
 * of all is what the value may be off by. */
TEST(all_visits_beside_a_pacemaker_count)
{
    static const double rates[] = {10, 8, 12.5, 10, 10};
    const struct ab_require latency = {.objective = AB_OBJECTIVE_LATENCY};
    struct ab_evidence e = {.visits = 0};
    for (int v = 0; v < 5; v++) {
        add_paced(&e, &throughput, 2 * rates[v], 5e8 / rates[v], 5, 2);
        CHECK(ab_evidence_clean(&e, &throughput, 0.1) == v + 1, "one does not count");
        const struct ab_worth w = ab_evidence_value(&e, &throughput, 0.1);
        check_near(w.value * w.value, w.low * w.high);
        CHECK(w.high > w.value * exp(0.1 / sqrt(v + 1)) * (1 - 1e-9), "they scatter by more");
    }
    check_near(ab_evidence_value(&e, &throughput, 0.1).value, 10);
    check_near(ab_evidence_value(&e, &latency, 0.1).value, 1e-8);
    /* Those that a limit is decided by may have been disturbed. */
    const struct ab_require limited = {.objective = AB_OBJECTIVE_THROUGHPUT,
                                       .slo = {.quantile = 0.5, .limit_ns = 1}};
    CHECK(ab_evidence_clean(&e, &limited, 0.1) == 4, "%d count",
          ab_evidence_clean(&e, &limited, 0.1));
    /* One process in a hundred times less is an accident. */
    add_paced(&e, &throughput, 0.2, 5e10, 5, 2);
    const double value = ab_evidence_value(&e, &throughput, 0.1).value;
    CHECK(value > 8.9 && value < 10.1, "%g", value);
    ab_evidence_free(&e);
    /* Four that scatter by as much as is usual leave what is usual. */
    static const double usual[] = {1, -1, 1, -1};
    for (int v = 0; v < 4; v++)
        add_paced(&e, &throughput, 10 * exp(0.05 * sqrt(0.75) * usual[v]), 1e8, 5, 1);
    const struct ab_worth w = ab_evidence_value(&e, &throughput, 0.1);
    check_near(log(w.high / w.value), 0.1 / 2);
    ab_evidence_free(&e);
}

/* One of many that is far swifter than the rest: they were not all disturbed, it was lucky. */
TEST(a_lucky_visit_is_not_the_rule)
{
    static const double rates[] = {12, 9, 10, 8, 9.5, 9.8, 9.9};
    static const double values[] = {12, 12, 12, 11, 11, 11, 10};
    static const int clean[] = {1, 1, 1, 2, 2, 2, 3};
    struct ab_evidence e = {.visits = 0};
    for (int v = 0; v < 7; v++) {
        add_visit(&e, &throughput, rates[v], 1e9 / rates[v], 5);
        check_near(ab_evidence_value(&e, &throughput, 0.02).value, values[v]);
        CHECK(ab_evidence_clean(&e, &throughput, 0.02) == clean[v], "visit %d: %d", v,
              ab_evidence_clean(&e, &throughput, 0.02));
    }
    /* Nor is it known as well as one whose visits are alike. */
    const struct ab_worth v = ab_evidence_value(&e, &throughput, 0.02);
    CHECK(v.low < 9.4 && v.high > 10.6, "%g to %g", v.low, v.high);
    const struct ab_require latency = {.objective = AB_OBJECTIVE_LATENCY};
    check_near(ab_evidence_value(&e, &latency, 0.02).value, 10 * 1e-9);
    ab_evidence_free(&e);
}

TEST(requirements_are_judged)
{
    struct ab_evidence e = {.visits = 0};
    struct ab_require r = throughput;
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_UNKNOWN, "nothing is known");
    add_visit(&e, &r, 10, 1e8, 5);
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_MEETS, "nothing is asked for");
    r.min_agree = 1e-6;
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_FAILS, "rel. L2 1e-5");
    r.min_agree = 1e-4;
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_MEETS, "rel. L2 1e-5");
    r.slo = (struct ab_slo){.quantile = 0.9, .limit_ns = 1.1e8};
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_OPEN, "five requests decide nothing");
    add_visit(&e, &r, 10, 1e8, 100);
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_MEETS, "all below");
    /* Another program slows one visit: that decides nothing. */
    add_visit(&e, &r, 7, 1.4e8, 100);
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_OPEN, "half is above");
    r.slo.limit_ns = 0.9e8;
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_FAILS, "all above");
    /* Nor does it need visits of one pace where all are far above. */
    r.slo = (struct ab_slo){.quantile = 0.5, .limit_ns = 1e6};
    struct ab_evidence paces = {.visits = 0};
    for (int v = 0; v < 4; v++) add_visit(&paces, &r, 10 - v, 1e9 / (10 - v), 2);
    CHECK(ab_evidence_fits(&paces, &r) == AB_FIT_FAILS, "a hundred times too slow");
    ab_evidence_free(&paces);
    r.slo = (struct ab_slo){.quantile = 0.9, .limit_ns = 0.9e8};
    e.overloaded = true;
    r.slo.limit_ns = 2e8;
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_FAILS, "overloaded");
    e.overloaded = false;
    e.verdict = AB_DISAGREE;
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_FAILS, "disagrees");
    ab_evidence_free(&e);
    const struct ab_told nothing = {.images_per_s = 0, .wall_s = 5};
    CHECK(ab_evidence_add(&e, &nothing, &r, 1), "out of memory");
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_FAILS && e.error[0] && e.spent_s == 5, "no images");
    ab_evidence_free(&e);
}

/* A visit that agrees takes nothing back, in whatever order they come. */
TEST(the_worst_of_all_visits_counts)
{
    static const struct {
        enum ab_verdict verdict;
        double rel_l2;
    } visits[] = {{AB_SKIPPED, 0}, {AB_AGREE, 1e-6}, {AB_DISAGREE, 1e-3}, {AB_AGREE, 2e-6}};
    static const double latency = 1e8;
    for (int first = 0; first < 4; first++) {
        struct ab_evidence e = {.visits = 0};
        for (int k = 0; k < 4; k++) {
            const int i = (first + k) % 4;
            const struct ab_told told = {.images_per_s = 10,
                                         .latency_ns = &latency,
                                         .requests = 1,
                                         .verdict = visits[i].verdict,
                                         .rel_l2 = visits[i].rel_l2};
            CHECK(ab_evidence_add(&e, &told, &throughput, 1), "out of memory");
            CHECK(first != 0 || k > 1 || e.verdict == AB_SKIPPED, "unjudged maps agree");
        }
        CHECK(e.verdict == AB_DISAGREE && e.rel_l2 == 1e-3, "%s", ab_verdict_name(e.verdict));
        ab_evidence_free(&e);
    }
}

/* `executions` of a batch of eight, whose images all wait as long, in visits of so many. */
static void add_batches(struct ab_evidence *e, const struct ab_require *r, struct rng *rng,
                        int executions, int of_a_visit)
{
    enum { BATCH = 8, MOST = 1024 };
    double latency[MOST];
    for (int done = 0; done < executions; done += of_a_visit) {
        for (int i = 0; i < BATCH * of_a_visit; i++)
            latency[i] = i % BATCH ? latency[i - 1] : 8e7 + 1e7 * rng_uniform(rng);
        const struct ab_told told = {.images_per_s = 100,
                                     .latency_ns = latency,
                                     .requests = BATCH * of_a_visit,
                                     .alike = BATCH,
                                     .verdict = AB_AGREE};
        CHECK(ab_evidence_add(e, &told, r, 1), "out of memory");
    }
}

/* The images of an execution are one sample, however short the visits. */
TEST(copies_decide_nothing)
{
    static const int of_a_visit[] = {2, 5, 10, 40};
    struct ab_require r = throughput;
    r.slo = (struct ab_slo){.quantile = 0.99, .limit_ns = 1e8};
    for (size_t k = 0; k < sizeof of_a_visit / sizeof *of_a_visit; k++) {
        struct rng rng = rng_new(9);
        struct ab_evidence e = {.visits = 0};
        context("%d executions a visit", of_a_visit[k]);
        add_batches(&e, &r, &rng, 40, of_a_visit[k]);
        CHECK(e.requests == 320, "%d requests", e.requests);
        CHECK(ab_evidence_fits(&e, &r) == AB_FIT_OPEN, "40 executions decide");
        CHECK(ab_evidence_least(&e, &r) >= 368 * 8, "%d would do", ab_evidence_least(&e, &r));
        add_batches(&e, &r, &rng, 1160, of_a_visit[k]);
        CHECK(ab_evidence_fits(&e, &r) == AB_FIT_MEETS, "1200 do not");
        ab_evidence_free(&e);
    }
}

/* Asks after each of `visits` whether p90 holds, of points exactly at the limit. */
static void check_rarely_held(int visits, double limit_ns, uint64_t seed,
                              void (*visit)(struct ab_evidence *e, const struct ab_require *r,
                                            struct rng *rng))
{
    enum { POINTS = AB_TEST_SLOW ? 100 : 400 };
    const double most = (1 - AB_TUNE_CONFIDENCE) * POINTS;
    struct ab_require r = throughput;
    struct rng rng = rng_new(seed);
    int held = 0;
    r.slo = (struct ab_slo){.quantile = 0.9, .limit_ns = limit_ns};
    for (int p = 0; p < POINTS; p++) {
        struct ab_evidence e = {.visits = 0};
        bool once = false;
        for (int v = 0; v < visits; v++) {
            visit(&e, &r, &rng);
            once = once || ab_evidence_fits(&e, &r) == AB_FIT_MEETS;
        }
        held += once;
        ab_evidence_free(&e);
    }
    CHECK(held > 0 && held <= most + 3 * sqrt(most), "%d of %d, which do not hold", held, POINTS);
}

static void sixty_requests(struct ab_evidence *e, const struct ab_require *r, struct rng *rng)
{
    enum { REQUESTS = 60 };
    double latency[REQUESTS];
    for (int i = 0; i < REQUESTS; i++) latency[i] = 1e8 * rng_uniform(rng);
    const struct ab_told told = {
        .images_per_s = 10, .latency_ns = latency, .requests = REQUESTS, .verdict = AB_AGREE};
    CHECK(ab_evidence_add(e, &told, r, 1), "out of memory");
}

/* As slow networks get. */
static void two_executions(struct ab_evidence *e, const struct ab_require *r, struct rng *rng)
{
    add_batches(e, r, rng, 2, 2);
}

TEST(asking_after_each_visit_is_not_wrong_more_often)
{
    check_rarely_held(12, 9e7, 10, sixty_requests);
    check_rarely_held(60, 8.9e7, 11, two_executions);
}

/* What was shown is not taken back by a visit that shows less. */
TEST(a_limit_that_held_goes_on_holding)
{
    struct ab_evidence e = {.visits = 0};
    struct ab_require r = throughput;
    r.slo = (struct ab_slo){.quantile = 0.99, .limit_ns = 1.1e8};
    add_visit(&e, &r, 10, 1e8, 370);
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_MEETS, "370 good ones");
    add_visit(&e, &r, 10, 1e8, 20);
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_MEETS, "20 more good ones");
    for (int i = 0; i < 6; i++) add_visit(&e, &r, 10, 1.2e8, 20);
    CHECK(ab_evidence_fits(&e, &r) == AB_FIT_FAILS, "120 of 510 are late");
    ab_evidence_free(&e);
}

static const struct test_case cases[] = {CASE(disturbed_visits_do_not_count),
                                         CASE(values_are_those_at_one_pace),
                                         CASE(all_visits_beside_a_pacemaker_count),
                                         CASE(a_lucky_visit_is_not_the_rule),
                                         CASE(requirements_are_judged),
                                         CASE(the_worst_of_all_visits_counts),
                                         CASE(copies_decide_nothing),
                                         CASE(asking_after_each_visit_is_not_wrong_more_often),
                                         CASE(a_limit_that_held_goes_on_holding)};
TEST_MAIN("tune_evidence", cases)
