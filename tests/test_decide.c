// SPDX-License-Identifier: Apache-2.0
// Decisions on simulated series: how often they find what was planted and what was not, on
// machines whose neighbours come and go; and what must not be decided at all.
#include "../bench/decide.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A machine: for `load` of the time, in stretches of `hold` slices, a neighbour slows both sides by
 * a fifth to a third; the core's pace wanders; slices are up to some percent too long, and while
 * the neighbour is there a third lose the core for milliseconds, of which one in ten is not seen.
 */
struct scene {
    const char *name;
    double load, hold;
};
static const struct scene scenes[] = {
    {"quiet", 0.02, 5},      {"quick neighbours", 0.3, 5}, {"slow neighbours", 0.3, 2000},
    {"busy, quick", 0.8, 5}, {"busy", 0.8, 100},           {"busy, slow", 0.8, 2000}};
enum { SCENES = sizeof scenes / sizeof *scenes, ROWS = 60 };

struct machine {
    struct rng r;
    struct scene scene;
    double pace; /* log of the core's */
    bool busy;
    double left; /* slices until the neighbour comes or goes */
};

static struct machine machine_of(const struct scene *s, uint64_t seed)
{
    struct machine m = {.r = rng_new(seed), .scene = *s};
    m.busy = rng_uniform(&m.r) < s->load;
    return m;
}

static double exponential(struct rng *r, double mean)
{
    return -mean * log1p(-rng_uniform(r));
}

/* One slice of something that takes `ns`. */
static double slice(struct machine *m, double ns, bool *disturbed)
{
    if (--m->left < 0) {
        m->busy = !m->busy;
        m->left =
            exponential(&m->r, 2 * m->scene.hold * (m->busy ? m->scene.load : 1 - m->scene.load));
    }
    m->pace += 6e-5 * rng_normal(&m->r);
    double t = ns * exp(m->pace) * (1 + exponential(&m->r, 0.01));
    *disturbed = false;
    if (!m->busy) return t;
    t *= 1.18 + 0.17 * rng_uniform(&m->r);
    if (rng_uniform(&m->r) > 0.3) return t;
    *disturbed = rng_uniform(&m->r) < 0.9;
    return t + exponential(&m->r, 3e6);
}

struct series {
    double *ns;
    bool *disturbed;
    int count;
};

static struct series series_new(int count)
{
    struct series s = {malloc((size_t)count * sizeof *s.ns), malloc((size_t)count), count};
    if (!s.ns || !s.disturbed) abort();
    return s;
}

static void series_free(struct series *s)
{
    free(s->ns);
    free(s->disturbed);
}

static struct ab_samples samples(const struct series *s)
{
    return (struct ab_samples){s->ns, s->disturbed, s->count};
}

/* A B, B A, ...: B takes `share` longer. */
static void race(struct machine *m, double share, struct series *a, struct series *b)
{
    for (int i = 0; i < a->count; i++) {
        struct series *first = i % 2 ? b : a, *second = i % 2 ? a : b;
        first->ns[i] = slice(m, first == b ? 5e4 * (1 + share) : 5e4, &first->disturbed[i]);
        second->ns[i] = slice(m, second == b ? 5e4 * (1 + share) : 5e4, &second->disturbed[i]);
    }
}

/* How many of `trials` decisions are each change. */
struct tally {
    int of[4];
};

static struct tally paired(const struct scene *s, double share, int rounds, int trials)
{
    struct tally t = {{0}};
    struct series a = series_new(rounds), b = series_new(rounds);
    const struct ab_decide_options o = {.paired = true, .rows = ROWS, .floor = (double)NAN};
    for (int i = 0; i < trials; i++) {
        struct machine m = machine_of(s, (uint64_t)(1000 * i) + (uint64_t)(1e4 * fabs(share)));
        race(&m, share, &a, &b);
        struct ab_samples sa = samples(&a), sb = samples(&b);
        struct ab_ruling d;
        ab_decide(&sa, &sb, &o, &d);
        t.of[d.change]++;
    }
    series_free(&a);
    series_free(&b);
    return t;
}

static void print(const char *what, const struct scene *s, double share, const struct tally *t)
{
    printf("%s, %s, %+.0f %%: same %d, regression %d, improvement %d, inconclusive %d\n", what,
           s->name, 100 * share, t->of[0], t->of[1], t->of[2], t->of[3]);
}

static const int trials = AB_TEST_SLOW ? 20 : 120;

TEST(no_false_alarm_by_turns)
{
    int alarms = 0, same = 0;
    for (int s = 0; s < SCENES; s++) {
        struct tally t = paired(&scenes[s], 0, 2000, trials);
        print("by turns", &scenes[s], 0, &t);
        alarms += t.of[AB_CHANGE_REGRESSION] + t.of[AB_CHANGE_IMPROVEMENT];
        same += t.of[AB_CHANGE_SAME];
    }
    CHECK(alarms == 0, "%d of %d identical pairs are said to differ", alarms, SCENES * trials);
    CHECK(same >= 0.9 * SCENES * trials, "only %d of %d are said to be the same", same,
          SCENES * trials);
}

static void finds(double share, enum ab_change as, double rate)
{
    int found = 0;
    for (int s = 0; s < SCENES; s++) {
        struct tally t = paired(&scenes[s], share, 2000, trials);
        print("by turns", &scenes[s], share, &t);
        found += t.of[as];
    }
    CHECK(found >= rate * SCENES * trials, "%+.0f %%: %d of %d found", 100 * share, found,
          SCENES * trials);
}

TEST(two_percent_is_found)
{
    finds(0.02, AB_CHANGE_REGRESSION, 0.95);
}
TEST(five_percent_is_found)
{
    finds(0.05, AB_CHANGE_REGRESSION, 0.99);
}
TEST(gains_are_found)
{
    finds(-0.03, AB_CHANGE_IMPROVEMENT, 0.95);
}

/* A below the threshold is no regression however long it is measured. */
TEST(small_changes_are_tolerated)
{
    for (int s = 0; s < SCENES; s++) {
        struct tally t = paired(&scenes[s], 0.008, 2000, trials);
        print("by turns", &scenes[s], 0.008, &t);
        CHECK(t.of[AB_CHANGE_REGRESSION] == 0, "%s: %d", scenes[s].name, t.of[1]);
    }
}

/* Runs of different times: of one machine, and of one whose neighbours have become more. */
static struct tally stored(const struct scene *then, const struct scene *now, double share)
{
    struct tally t = {{0}};
    struct series a = series_new(2000), b = series_new(2000), none = series_new(2000);
    const struct ab_decide_options o = {.rows = ROWS, .floor = 0.003};
    for (int i = 0; i < trials; i++) {
        struct machine m = machine_of(then, (uint64_t)(77 * i + 1)),
                       n = machine_of(now, (uint64_t)(99 * i + 2));
        race(&m, 0, &a, &none);
        race(&n, share, &none, &b);
        struct ab_samples sa = samples(&a), sb = samples(&b);
        struct ab_ruling d;
        ab_decide(&sa, &sb, &o, &d);
        t.of[d.change]++;
    }
    series_free(&a);
    series_free(&b);
    series_free(&none);
    return t;
}

TEST(stored_runs)
{
    const struct scene *quiet = &scenes[0], *quick = &scenes[1], *busy = &scenes[3];
    struct tally t = stored(quiet, quiet, 0), u = stored(quiet, quick, 0),
                 v = stored(quick, busy, 0), w = stored(quiet, quick, 0.02),
                 x = stored(quick, busy, 0.05);
    print("stored", quiet, 0, &t);
    print("stored, quiet then", quick, 0, &u);
    print("stored, quick then", busy, 0, &v);
    print("stored, quiet then", quick, 0.02, &w);
    print("stored, quick then", busy, 0.05, &x);
    const int alarms = t.of[1] + t.of[2] + u.of[1] + u.of[2] + v.of[1] + v.of[2];
    CHECK(alarms <= 0.01 * 3 * trials, "%d false alarms", alarms);
    CHECK(t.of[AB_CHANGE_SAME] >= 0.95 * trials, "%d the same", t.of[0]);
    CHECK(w.of[1] >= 0.9 * trials, "%d of +2 %% found", w.of[1]);
    CHECK(x.of[1] >= 0.95 * trials, "%d of +5 %% found", x.of[1]);
}

/* ---- single decisions ---- */

static struct ab_ruling decide(const double *a, int n_a, const double *b, int n_b,
                               struct ab_decide_options o)
{
    struct ab_samples sa = {a, NULL, n_a}, sb = {b, NULL, n_b};
    struct ab_ruling d;
    ab_decide(&sa, &sb, &o, &d);
    return d;
}

static void fill(double *v, int n, double ns)
{
    for (int i = 0; i < n; i++) v[i] = ns * (1 + 1e-4 * (i % 3));
}

TEST(how_many_samples)
{
    struct ab_decide_options o = {.paired = true, .rows = 60, .floor = (double)NAN};
    /* 2^(1-n) <= 0.01 / 60 from n = 14. */
    CHECK(ab_decide_least(&o) == 14, "60 rows: %d", ab_decide_least(&o));
    o.rows = 1;
    CHECK(ab_decide_least(&o) == 8, "one row: %d", ab_decide_least(&o));
    double a[14], b[14];
    fill(a, 14, 1000);
    fill(b, 14, 1100);
    o.rows = 60;
    struct ab_ruling d = decide(a, 13, b, 13, o);
    CHECK(d.change == AB_CHANGE_INCONCLUSIVE && strstr(d.why, "13 samples: 14 are needed"), "%s",
          d.why);
    CHECK(fabs(d.ratio - 1.1) < 1e-3, "still says the ratio: %g", d.ratio);
    d = decide(a, 14, b, 14, o);
    CHECK(d.change == AB_CHANGE_REGRESSION && d.groups == 14 && !*d.why, "%s",
          ab_change_name(d.change));
    CHECK(d.low <= d.ratio && d.ratio <= d.high && fabs(d.b_ns - 1100) < 1, "interval");
    d = decide(b, 14, a, 14, o);
    CHECK(d.change == AB_CHANGE_IMPROVEMENT, "%s", ab_change_name(d.change));
    d = decide(a, 14, b, 0, o);
    CHECK(d.change == AB_CHANGE_INCONCLUSIVE && strstr(d.why, "B has no samples"), "%s", d.why);
    o.paired = false;
    d = decide(a, 14, b, 14, o);
    CHECK(d.change == AB_CHANGE_INCONCLUSIVE && strstr(d.why, "15 are needed"), "%s", d.why);
}

TEST(thresholds)
{
    double a[100], b[100];
    fill(a, 100, 1000);
    fill(b, 100, 1025);
    struct ab_decide_options o = {.paired = true, .rows = 1, .floor = (double)NAN};
    struct ab_ruling d = decide(a, 100, b, 100, o);
    CHECK(d.change == AB_CHANGE_REGRESSION && fabs(d.threshold - 0.01) < 1e-12, "user's: %g",
          d.threshold);
    o.user = 0.05;
    d = decide(a, 100, b, 100, o);
    CHECK(d.change == AB_CHANGE_SAME && fabs(d.threshold - 0.05) < 1e-12, "user's 5 %%");
    o.user = 0.01, o.floor = 0.01;
    d = decide(a, 100, b, 100, o);
    CHECK(d.change == AB_CHANGE_SAME && fabs(d.threshold - 0.03) < 1e-12, "floor: %g", d.threshold);
    o.floor = 0.001, o.least_ns = 40;
    d = decide(a, 100, b, 100, o);
    CHECK(d.change == AB_CHANGE_SAME && fabs(d.threshold - 0.04) < 1e-3, "least: %g", d.threshold);
    o = (struct ab_decide_options){.rows = 1, .floor = (double)NAN};
    d = decide(a, 100, b, 100, o);
    CHECK(d.change == AB_CHANGE_SAME && fabs(d.threshold - 0.09) < 1e-12,
          "stored, floor not known: %g", d.threshold);
}

TEST(clocks_that_go_backwards)
{
    const double bad[] = {-35, 0, (double)NAN, (double)INFINITY};
    for (int i = 0; i < 4; i++) {
        double a[40], b[40];
        fill(a, 40, 1000);
        fill(b, 40, 2000);
        (i % 2 ? a : b)[17] = bad[i];
        struct ab_decide_options o = {.paired = i < 2, .rows = 1};
        struct ab_ruling d = decide(a, 40, b, 40, o);
        CHECK(d.change == AB_CHANGE_INCONCLUSIVE && strstr(d.why, "sample 18 of"), "%g: %s", bad[i],
              d.why);
        CHECK(isnan(d.ratio) && isnan(d.low), "says a ratio");
    }
}

/* Marked slices do not count, unless they are nearly all there is. */
TEST(disturbed_slices)
{
    double a[100], b[100];
    bool marked[100];
    fill(a, 100, 1000);
    for (int i = 0; i < 100; i++) {
        marked[i] = i % 2;
        b[i] = marked[i] ? 9000 : a[i];
    }
    struct ab_samples sa = {a, NULL, 100}, sb = {b, marked, 100};
    struct ab_decide_options o = {.paired = true, .rows = 1};
    struct ab_ruling d;
    ab_decide(&sa, &sb, &o, &d);
    CHECK(d.change == AB_CHANGE_SAME, "half of them: %s, %g", ab_change_name(d.change), d.ratio);
    for (int i = 0; i < 100; i++) marked[i] = i != 7;
    fill(b, 100, 3000);
    ab_decide(&sa, &sb, &o, &d);
    CHECK(d.change == AB_CHANGE_REGRESSION, "all but one: %s", ab_change_name(d.change));
}

TEST(errors_that_grow)
{
    const double none = (double)NAN;
    CHECK(ab_decide_error(1e-7, 3e-7) == AB_CHANGE_SAME, "rounding");
    CHECK(ab_decide_error(0, 9e-7) == AB_CHANGE_SAME, "from nothing to rounding");
    CHECK(ab_decide_error(1e-6, 3.9e-6) == AB_CHANGE_SAME, "another order");
    CHECK(ab_decide_error(1e-6, 5e-6) == AB_CHANGE_REGRESSION, "fivefold");
    CHECK(ab_decide_error(1e-3, 1e-6) == AB_CHANGE_IMPROVEMENT, "smaller");
    CHECK(ab_decide_error(none, 1) == AB_CHANGE_SAME && ab_decide_error(0, none) == AB_CHANGE_SAME,
          "not judged");
}

/* ---- steps ---- */

enum { LONG = 120 };
static void history(double *v, int n, int step, double share, uint64_t seed)
{
    struct rng r = rng_new(seed);
    for (int i = 0; i < n; i++) {
        v[i] = 1e6 * (i >= step ? 1 + share : 1) * (1 + 0.004 * rng_normal(&r));
        if (rng_uniform(&r) < 0.03) v[i] *= 1.03; /* a bad day */
    }
}

TEST(steps_are_found)
{
    double v[LONG];
    int at[LONG], found = 0, tries = AB_TEST_SLOW ? 20 : 100;
    for (int i = 0; i < tries; i++) {
        history(v, LONG, 70, 0.03, (uint64_t)i);
        const int n = ab_change_points(v, LONG, ab_change_penalty(v, LONG, (double)NAN), at);
        found += n == 1 && abs(at[0] - 70) <= 1;
    }
    CHECK(found >= 0.95 * tries, "%d of %d steps of 3 %%", found, tries);
    for (int i = 0; i < 60; i++) v[i] = i < 20 ? 100 : i < 23 ? 130 : i < 40 ? 90 : 91;
    const int n = ab_change_points(v, 60, 0.4, at);
    CHECK(n == 2 && at[0] == 20 && at[1] == 23, "%d breaks, %d %d", n, at[0], at[1]);
}

TEST(no_steps_in_noise)
{
    double v[LONG];
    int at[LONG], wrong = 0, tries = AB_TEST_SLOW ? 20 : 100;
    static const int lengths[] = {1, 2, 3, 5, 10, 30, LONG};
    for (int k = 0; k < 7; k++)
        for (int i = 0; i < tries; i++) {
            const int n = lengths[k];
            history(v, n, n, 0, (uint64_t)(1000 * k + i));
            const int found = ab_change_points(v, n, ab_change_penalty(v, n, 0.003), at);
            CHECK(found >= 0, "out of memory");
            wrong += found > 0;
        }
    CHECK(wrong <= 0.01 * 7 * tries, "%d of %d series without steps have some", wrong, 7 * tries);
}

/* The fit is the best one: against every way of cutting a short series. */
static double cost_of(const double *v, int n, unsigned cuts, double penalty)
{
    double total = 0;
    for (int from = 0; from < n;) {
        int to = from + 1;
        while (to < n && !(cuts >> to & 1U)) to++;
        double best = INFINITY;
        for (int c = from; c < to; c++) {
            double sum = 0;
            for (int i = from; i < to; i++) sum += fabs(log(v[i] / v[c]));
            best = fmin(best, sum);
        }
        total += best + (from > 0 ? penalty : 0);
        from = to;
    }
    return total;
}

TEST(the_fit_is_exact)
{
    enum { N = 9 };
    for (int trial = 0; trial < 40; trial++) {
        struct rng r = rng_new((uint64_t)trial);
        double v[N], best = INFINITY, penalty = 0.05 + 0.2 * rng_uniform(&r);
        for (int i = 0; i < N; i++) v[i] = exp(rng_normal(&r) * 0.3);
        for (unsigned cuts = 0; cuts < 1U << N; cuts += 2)
            best = fmin(best, cost_of(v, N, cuts, penalty));
        int at[N];
        const int n = ab_change_points(v, N, penalty, at);
        unsigned cuts = 0;
        for (int i = 0; i < n; i++) cuts |= 1U << at[i];
        const double got = cost_of(v, N, cuts, penalty);
        CHECK(fabs(got - best) < 1e-9, "costs %g, the best costs %g", got, best);
    }
}

static const struct test_case cases[] = {CASE(no_false_alarm_by_turns),
                                         CASE(two_percent_is_found),
                                         CASE(five_percent_is_found),
                                         CASE(gains_are_found),
                                         CASE(small_changes_are_tolerated),
                                         CASE(stored_runs),
                                         CASE(how_many_samples),
                                         CASE(thresholds),
                                         CASE(clocks_that_go_backwards),
                                         CASE(disturbed_slices),
                                         CASE(errors_that_grow),
                                         CASE(steps_are_found),
                                         CASE(no_steps_in_noise),
                                         CASE(the_fit_is_exact)};
TEST_MAIN("decide", cases)
