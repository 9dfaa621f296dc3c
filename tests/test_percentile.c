// SPDX-License-Identifier: Apache-2.0
// Percentiles with intervals, and limits on them: known values, coverage, every wrong text.
#include "bench/percentile.h"
#include "bench/stats.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- ranks ---- */

/* P(Binomial(n, p) < k), term by term from products. */
static double below(int n, double p, int k)
{
    double sum = 0;
    for (int i = 0; i < k; i++) {
        double term = 1;
        for (int j = 0; j < i; j++) term *= (double)(n - j) / (j + 1) * p;
        for (int j = 0; j < n - i; j++) term *= 1 - p;
        sum += term;
    }
    return sum;
}

TEST(ranks_are_the_largest)
{
    static const double ps[] = {0.01, 0.05, 0.25, 0.5, 0.9, 0.99}, tails[] = {0.05, 0.01, 1e-4};
    for (int n = 1; n <= 120; n += 7)
        for (size_t i = 0; i < sizeof ps / sizeof *ps; i++)
            for (size_t j = 0; j < sizeof tails / sizeof *tails; j++) {
                context("n %d p %g tail %g", n, ps[i], tails[j]);
                const int k = ab_order_rank(n, ps[i], tails[j]);
                CHECK(k >= 0 && k <= n, "rank %d", k);
                CHECK(below(n, ps[i], k) <= tails[j] * (1 + 1e-9), "rank %d is too large", k);
                CHECK(k == n || below(n, ps[i], k + 1) > tails[j] * (1 - 1e-9),
                      "rank %d is too small", k);
            }
}

/* Where (1-p)^n is no double: against the normal distribution, which is close there. */
TEST(ranks_of_many)
{
    static const double ps[] = {0.01, 0.1, 0.5, 0.9, 0.99};
    for (size_t i = 0; i < sizeof ps / sizeof *ps; i++)
        for (int n = 100000; n <= 1000000; n *= 10) {
            const double p = ps[i], deviation = sqrt(n * p * (1 - p));
            const double z = (n * p - ab_order_rank(n, p, 0.01)) / deviation;
            context("n %d p %g", n, p);
            /* Skewness and steps of a whole make up to 0.04. */
            CHECK(fabs(z - 2.3263) < 0.05, "%.4f deviations below the mean", z);
        }
}

TEST(least_counts)
{
    CHECK(ab_percentile_least(0.99, 0.95) == 299, "%d", ab_percentile_least(0.99, 0.95));
    CHECK(ab_percentile_least(0.99, 0.99) == 459, "%d", ab_percentile_least(0.99, 0.99));
    CHECK(ab_percentile_least(0.999, 0.99) == 4603, "%d", ab_percentile_least(0.999, 0.99));
    CHECK(ab_percentile_least(0.5, 0.5) == 1, "%d", ab_percentile_least(0.5, 0.5));
    CHECK(ab_percentile_least(0.5, 0.99) == 7, "%d", ab_percentile_least(0.5, 0.99));
}

TEST(intervals)
{
    double values[1000];
    for (int i = 0; i < 1000; i++) values[i] = i + 1;
    struct ab_percentile p = ab_percentile_of_clumps(values, 0, 1, 0.99, 0.99);
    CHECK(isnan(p.value) && isnan(p.low) && isnan(p.high), "no samples say something");
    p = ab_percentile_of_clumps(values, 458, 1, 0.99, 0.99);
    CHECK(isnan(p.high) && p.low < p.value && p.value <= 458, "458: %g %g %g", p.low, p.value,
          p.high);
    p = ab_percentile_of_clumps(values, 459, 1, 0.99, 0.99);
    CHECK(p.high == 459, "459: %g", p.high);
    p = ab_percentile_of_clumps(values, 1, 1, 0.5, 0.99);
    CHECK(p.value == 1 && isnan(p.low) && isnan(p.high), "1: %g %g %g", p.low, p.value, p.high);
    p = ab_percentile_of_clumps(values, 1000, 1, 0.5, 0.95);
    /* 500 less 1.645 deviations of 15.8, and the same above. */
    CHECK(p.low == 474 && p.high == 527, "median: %g to %g", p.low, p.high);
}

/* How often the interval of `count` samples holds the quantile of what they are drawn from. */
TEST(coverage)
{
    static const struct {
        double q, confidence;
        int count;
    } kinds[] = {{0.5, 0.95, 50}, {0.9, 0.95, 200}, {0.99, 0.95, 400}, {0.99, 0.99, 900}};
    enum { TRIES = AB_TEST_SLOW ? 400 : 4000 };
    struct rng r = rng_new(71);
    double values[900];
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const double q = kinds[k].q, confidence = kinds[k].confidence;
        int above = 0, beneath = 0;
        for (int t = 0; t < TRIES; t++) {
            for (int i = 0; i < kinds[k].count; i++) values[i] = rng_uniform(&r);
            ab_sort(values, (size_t)kinds[k].count);
            const struct ab_percentile p =
                ab_percentile_of_clumps(values, kinds[k].count, 1, q, confidence);
            above += p.low > q;
            beneath += p.high < q;
        }
        /* Four deviations of the count more than promised. */
        const double wrong = (1 - confidence) * TRIES, most = wrong + 4 * sqrt(wrong);
        context("p%g of %d at %g", 100 * q, kinds[k].count, confidence);
        CHECK(above <= most && beneath <= most, "wrong %d and %d times of %d", above, beneath,
              TRIES);
        CHECK(above + beneath > 0, "never wrong: wider than it need be");
    }
}

/* ---- limits ---- */

TEST(texts)
{
    static const struct {
        const char *text, *back;
        double quantile, ns;
    } good[] = {{"p99=80ms", NULL, 0.99, 80e6},           {"p50=5ms", NULL, 0.5, 5e6},
                {"p99.9=1s", NULL, 0.999, 1e9},           {"p95=500us", NULL, 0.95, 500e3},
                {"p99.999=3600s", NULL, 0.99999, 3600e9}, {"p1=1us", NULL, 0.01, 1e3},
                {"p90=0.25s", "p90=250ms", 0.9, 250e6},   {"p90=1.5s", NULL, 0.9, 1.5e9}};
    struct ab_error err;
    struct ab_slo slo;
    char text[64];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        context("'%s'", good[i].text);
        CHECK(ab_slo_parse(good[i].text, &slo, &err) == AB_OK, "%s", err.text);
        CHECK(fabs(slo.quantile - good[i].quantile) < 1e-12 &&
                  fabs(slo.limit_ns / good[i].ns - 1) < 1e-12,
              "%g within %g ns", slo.quantile, slo.limit_ns);
        ab_slo_text(&slo, text, sizeof text);
        CHECK(!strcmp(text, good[i].back ? good[i].back : good[i].text), "back: '%s'", text);
    }
}

TEST(wrong_texts)
{
    static const struct {
        const char *text, *word;
    } wrong[] = {{"", "such as"},
                 {"p", "such as"},
                 {"p99", "such as"},
                 {"p=80ms", "such as"},
                 {"99=80ms", "such as"},
                 {"P99=80ms", "such as"},
                 {" p99=80ms", "such as"},
                 {"p99 = 80ms", "such as"},
                 {"p99<80ms", "such as"},
                 {"p-1=80ms", "such as"},
                 {"p+9=80ms", "such as"},
                 {"p9e1=80ms", "such as"},
                 {"p0x10=80ms", "such as"},
                 {"p99.=80ms", "such as"},
                 {"pnan=80ms", "such as"},
                 {"p0=80ms", "p1 to"},
                 {"p0.5=80ms", "p1 to"},
                 {"p99.9999=80ms", "p1 to"},
                 {"p100=80ms", "longest"},
                 {"p1000=80ms", "longest"},
                 {"max=80ms", "longest"},
                 {"mean=80ms", "p50"},
                 {"avg=80ms", "p50"},
                 {"median=80ms", "p50"},
                 {"p99=", "is no time"},
                 {"p99=ms", "is no time"},
                 {"p99=-80ms", "is no time"},
                 {"p99=.5s", "is no time"},
                 {"p99=inf", "is no time"},
                 {"p99=nans", "is no time"},
                 {"p99=1234567890123ms", "is no time"},
                 {"p99=80", "no unit"},
                 {"p99=80 ms", "is no unit"},
                 {"p99=80msec", "is no unit"},
                 {"p99=80ns", "is no unit"},
                 {"p99=1e3ms", "is no unit"},
                 {"p99=80ms,p50=5ms", "is no unit"},
                 {"p99=1m", "is no unit"},
                 {"p99=0ms", "from 1us"},
                 {"p99=0.5us", "from 1us"},
                 {"p99=3601s", "3600s"}};
    struct ab_error err;
    struct ab_slo slo = {0.25, 7};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        context("'%s'", wrong[i].text);
        CHECK(ab_slo_parse(wrong[i].text, &slo, &err) == AB_ERR_ARG, "taken");
        CHECK(strstr(err.text, wrong[i].word), "'%s' is not in: %s", wrong[i].word, err.text);
        CHECK(strstr(err.text, wrong[i].text) && !strchr(err.text, '\n'), "%s", err.text);
        CHECK(slo.quantile == 0.25 && slo.limit_ns == 7, "changed");
    }
}

static const struct ab_slo p99 = {0.99, 100};

/* The first of many looks gets half of what may be wrong: with this it is as sure as one alone. */
static enum ab_slo_state look_once(const struct ab_slo *slo, const double *values, int count,
                                   double confidence)
{
    struct ab_slo_looks looks = {0};
    return ab_slo_look_at(&looks, slo, count, ab_slo_beyond(slo, values, count),
                          1 - 2 * (1 - confidence));
}

/* `beyond` of `count` latencies above the limit. */
static enum ab_slo_state judged(int count, int beyond)
{
    double values[5000] = {0};
    for (int i = 0; i < count; i++) values[i] = i % count < beyond ? 101 : 100;
    return look_once(&p99, values, count, 0.99);
}

TEST(judging)
{
    CHECK(judged(0, 0) == AB_SLO_OPEN, "none");
    CHECK(judged(458, 0) == AB_SLO_OPEN, "458 good ones");
    CHECK(judged(459, 0) == AB_SLO_HELD, "459 good ones");
    CHECK(judged(459, 1) == AB_SLO_OPEN, "one bad one of 459");
    CHECK(judged(2, 1) == AB_SLO_OPEN, "one bad one of two");
    CHECK(judged(4, 2) == AB_SLO_BROKEN, "two bad ones of four");
    CHECK(judged(5000, 30) == AB_SLO_HELD, "0.6 %%");
    CHECK(judged(5000, 50) == AB_SLO_OPEN, "1 %%");
    CHECK(judged(5000, 70) == AB_SLO_BROKEN, "1.4 %%");
    double values[459];
    for (int i = 0; i < 459; i++) values[i] = 1;
    values[7] = (double)NAN;
    CHECK(look_once(&p99, values, 459, 0.99) == AB_SLO_OPEN, "what is no number is good");
}

/* Judging agrees with the interval. */
TEST(judging_is_the_interval)
{
    struct rng r = rng_new(72);
    double values[1200];
    for (int t = 0; t < 300; t++) {
        const int count = rng_between(&r, 1, 1200);
        const double q = t % 3 ? t % 3 == 1 ? 0.5 : 0.9 : 0.99;
        for (int i = 0; i < count; i++) values[i] = floor(1000 * rng_uniform(&r));
        const struct ab_slo slo = {q, floor(1000 * (q + 0.1 * (rng_uniform(&r) - 0.5)))};
        const enum ab_slo_state got = look_once(&slo, values, count, 0.95);
        ab_sort(values, (size_t)count);
        const struct ab_percentile p = ab_percentile_of_clumps(values, count, 1, q, 0.95);
        const enum ab_slo_state want = p.high <= slo.limit_ns ? AB_SLO_HELD
                                       : p.low > slo.limit_ns ? AB_SLO_BROKEN
                                                              : AB_SLO_OPEN;
        context("q %g of %d, limit %g in [%g, %g]", q, count, slo.limit_ns, p.low, p.high);
        CHECK(got == want, "%s instead of %s", ab_slo_state_name(got), ab_slo_state_name(want));
    }
}

/* ---- looking early ---- */

/* Looks at each new latency, of which a share lies beyond the limit; the count at the end. */
static enum ab_slo_state watch(struct rng *r, double beyond, double *values, int most, int *count)
{
    struct ab_slo_looks looks = {0};
    enum ab_slo_state state = AB_SLO_OPEN;
    for (*count = 0; *count < most && state == AB_SLO_OPEN;) {
        values[(*count)++] = rng_uniform(r) < beyond ? 101 : 99;
        state = ab_slo_look(&looks, &p99, values, *count, 0.95, *count == most);
    }
    return state;
}

TEST(looks_end_early)
{
    enum { MOST = 8192 };
    static double values[MOST];
    struct rng r = rng_new(73);
    int count;
    CHECK(watch(&r, 0, values, MOST, &count) == AB_SLO_HELD, "never held");
    /* 0.025 at the first look. */
    CHECK(count == ab_percentile_least(0.99, 0.975), "held after %d", count);
    CHECK(watch(&r, 1, values, MOST, &count) == AB_SLO_BROKEN && count == 4, "broken after %d",
          count);
    CHECK(watch(&r, 0.2, values, MOST, &count) == AB_SLO_BROKEN && count <= 256,
          "a fifth beyond: broken after %d", count);
    CHECK(watch(&r, 0.001, values, MOST, &count) == AB_SLO_HELD && count < MOST,
          "0.1 %% beyond: held after %d", count);
}

/* Exactly at the limit, where either verdict is wrong as often as it may be. */
TEST(looks_are_not_wrong_more_often)
{
    enum { MOST = 4096, TRIES = AB_TEST_SLOW ? 100 : 1000 };
    static double values[MOST];
    struct rng r = rng_new(74);
    int held = 0, broken = 0, count;
    for (int t = 0; t < TRIES; t++) {
        const enum ab_slo_state state = watch(&r, 0.01, values, MOST, &count);
        held += state == AB_SLO_HELD;
        broken += state == AB_SLO_BROKEN;
    }
    const double most = 0.05 * TRIES + 4 * sqrt(0.05 * TRIES);
    CHECK(held <= most && broken <= most, "of %d: held %d, broken %d", TRIES, held, broken);
    CHECK(AB_TEST_SLOW || held + broken > 0, "never decided");
}

/* Each latency `times` times in a row. */
static void fill_clumps(struct rng *r, double *values, int count, int times)
{
    for (int i = 0; i < count; i++)
        values[i] = i % times ? values[i - 1] : 50 + 50 * rng_uniform(r);
}

TEST(clumps)
{
    enum { MOST = 8192 };
    static double values[MOST];
    struct rng r = rng_new(75);
    CHECK(ab_slo_clumps(&p99, values, 0) == 1, "of none");
    CHECK(ab_slo_clumps(&p99, values, MOST) == 1, "of equal ones");
    int wrong = 0;
    for (int t = 0; t < 100; t++) {
        fill_clumps(&r, values, 1000, 1);
        wrong += ab_slo_clumps(&p99, values, 1000) > 1;
    }
    CHECK(wrong <= 5, "%d of 100 independent series are clumped", wrong);
    for (int times = 2; times <= 16; times *= 2) {
        fill_clumps(&r, values, MOST, times);
        const double got = ab_slo_clumps(&p99, values, MOST);
        CHECK(got > 0.75 * times && got < 1.35 * times, "%g instead of %d", got, times);
    }
    /* One that only becomes longer is one clump: a queue that grows. */
    for (int i = 0; i < MOST; i++) values[i] = i;
    CHECK(ab_slo_clumps(&p99, values, MOST) > 500, "%g", ab_slo_clumps(&p99, values, MOST));
    struct ab_slo_looks looks = {0};
    CHECK(ab_slo_look(&looks, &p99, values, MOST, 0.99, true) == AB_SLO_BROKEN, "a growing queue");
    /* Eight times as many are needed where they come in eights. */
    fill_clumps(&r, values, MOST, 8);
    looks = (struct ab_slo_looks){0};
    CHECK(ab_slo_look(&looks, &p99, values, 1200, 0.99, true) == AB_SLO_OPEN, "150 clumps");
    looks = (struct ab_slo_looks){0};
    CHECK(ab_slo_look(&looks, &p99, values, MOST, 0.99, true) == AB_SLO_HELD, "1024 clumps");
}

static const struct test_case cases[] = {CASE(ranks_are_the_largest),
                                         CASE(ranks_of_many),
                                         CASE(least_counts),
                                         CASE(intervals),
                                         CASE(coverage),
                                         CASE(texts),
                                         CASE(wrong_texts),
                                         CASE(judging),
                                         CASE(judging_is_the_interval),
                                         CASE(looks_end_early),
                                         CASE(looks_are_not_wrong_more_often),
                                         CASE(clumps)};
TEST_MAIN("percentiles", cases)
