// SPDX-License-Identifier: Apache-2.0
// The search for the highest rate: against a simulated server, without time, and by visits.
#include "bench/run.h"
#include "bench/stats.h"
#include "bench/tune_rate.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a server ---- */

/* One instance; services are uniform between half and one and a half times `service` seconds. */
struct simulated {
    struct rng rng;
    double service, limit;
    double overhead; /* s of starting a process */
    int probes, stop_after, fail_after;
    bool mute;     /* never decides */
    bool dead;     /* serves nobody */
    double alone;  /* the share of all that it can do that one client gets; 0: all */
    int disturbed; /* 1 of so many probes meets a neighbour that doubles services */
};

static double drawn_service(struct simulated *s)
{
    return s->service * (0.5 + rng_uniform(&s->rng));
}

/* Latencies in s of `count` clients that arrive at `rate`; 0: one after the other. */
static void serve(struct simulated *s, double rate, int count, double *latency)
{
    double wait = 0;
    for (int i = 0; i < count; i++) {
        const double service = drawn_service(s);
        latency[i] = wait + service;
        if (rate > 0) wait = fmax(0, latency[i] + log(rng_uniform(&s->rng)) / rate);
    }
}

static enum ab_status probe(void *user, double rate, double seconds, struct ab_rate_probe *p,
                            struct ab_error *err)
{
    struct simulated *s = user;
    const struct ab_slo slo = {0.99, s->limit};
    const double capacity = 1 / s->service, alone = s->alone > 0 ? s->alone : 1;
    const double pace = rate > 0 ? fmin(rate, capacity) : alone * capacity;
    const bool met = s->disturbed && rng_uniform(&s->rng) * s->disturbed < 1;
    const int most = (int)fmax(1, seconds * pace);
    double *latency = malloc((size_t)most * sizeof *latency);
    *p = (struct ab_rate_probe){.quantile_ns = (double)NAN, .seconds = seconds};
    if (s->dead) return free(latency), AB_OK;
    if (++s->probes == s->fail_after)
        return free(latency), ab_fail(err, AB_ERR_INTERNAL, "the server is gone");
    if (s->probes == s->stop_after) ab_interrupted = 1;
    s->service *= met ? 2 : 1;
    serve(s, rate, most, latency);
    s->service /= met ? 2 : 1;
    struct ab_slo_looks looks = {0};
    enum ab_slo_state state = AB_SLO_OPEN;
    int count = rate > 0 ? most / 4 : 1;
    for (; count <= most && state == AB_SLO_OPEN && !s->mute; count++)
        state = ab_slo_look(&looks, &slo, latency, count, 0.95, count == most);
    count = count > most ? most : count;
    *p = (struct ab_rate_probe){.state = state,
                                .overloaded = rate * s->service > 1,
                                .requests = count,
                                .images_per_s = pace,
                                .quantile_ns = latency[0],
                                .seconds = count / pace + s->overhead};
    free(latency);
    return AB_OK;
}

/* The rate at which 1 % of a long run lie beyond the limit. */
static double true_border(struct simulated s)
{
    enum { COUNT = 400000 };
    double low = 0, high = 1 / s.service;
    double *latency = malloc(COUNT * sizeof *latency);
    for (int i = 0; i < 20; i++) {
        const double rate = (low + high) / 2;
        int beyond = 0;
        serve(&s, rate, COUNT, latency);
        for (int k = 0; k < COUNT; k++) beyond += latency[k] > s.limit;
        *(beyond > COUNT / 100 ? &high : &low) = rate;
    }
    free(latency);
    return low;
}

static struct simulated server(double service, double limit)
{
    return (struct simulated){.rng = rng_new(90), .service = service, .limit = limit};
}

static struct ab_max_rate searched(struct simulated *s, double seconds)
{
    struct ab_max_rate r;
    struct ab_error err;
    const int least = ab_percentile_least(0.99, 0.975);
    CHECK(ab_rate_search(probe, s, least, 1 / s->service, seconds, &r, &err) == AB_OK, "%s",
          err.text);
    CHECK(r.n_probes > 0 && r.probes[0].rate == 0, "the first probe is no single client");
    CHECK(r.broken > r.held, "%g holds, %g breaks", r.held, r.broken);
    return r;
}

/* ---- searches ---- */

TEST(finds_the_border)
{
    static const double limits[] = {3, 4, 6, 10};
    int confirmed = 0;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct simulated s = server(0.01, 0.01 * limits[i]);
        const double border = true_border(s);
        const struct ab_max_rate r = searched(&s, 20000);
        context("limit of %g services: border %g, %g holds, %g breaks, %d probes, %g s: %s",
                limits[i], border, r.held, r.broken, r.n_probes, r.spent_s, r.note);
        CHECK(r.held > 0.85 * border && r.held < 1.08 * border, "missed");
        CHECK(isfinite(r.broken) && r.broken > 0.95 * border, "broken");
        CHECK(r.confirmed || *r.note, "neither confirmed nor excused");
        confirmed += r.confirmed;
        CHECK(r.spent_s < 1.1 * 20000, "too long");
    }
    CHECK(confirmed > 0, "none is confirmed");
}

/* What is said to hold does, though latencies of a queue come in clumps. */
TEST(claims_no_more_than_holds)
{
    enum { SEARCHES = AB_TEST_SLOW ? 20 : 100 };
    struct simulated s = server(0.01, 0.1);
    const double border = true_border(s);
    int over = 0, held = 0;
    for (uint64_t t = 0; t < SEARCHES; t++) {
        s = server(0.01, 0.1);
        s.rng = rng_new(1000 + t);
        const struct ab_max_rate r = searched(&s, 200);
        over += r.held > 1.02 * border;
        held += r.held > 0.7 * border;
    }
    CHECK(over <= SEARCHES / 10, "%d of %d searches claim more than holds", over, SEARCHES);
    CHECK(held > SEARCHES / 2, "%d of %d searches come near", held, SEARCHES);
}

/* One probe that a neighbour has broken does not take all rates above it away. */
TEST(outlives_a_neighbour)
{
    enum { SEARCHES = AB_TEST_SLOW ? 20 : 100 };
    const double border = true_border(server(0.01, 0.06));
    int near = 0;
    for (uint64_t t = 0; t < SEARCHES; t++) {
        struct simulated s = server(0.01, 0.06);
        s.rng = rng_new(2000 + t);
        s.disturbed = 3;
        near += searched(&s, 2000).held > 0.8 * border;
    }
    /* 85 of 100; 57 if each break counts. */
    CHECK(near >= SEARCHES * 7 / 10, "%d of %d searches come near", near, SEARCHES);
}

/* The measured rate of clients without end was too low by a third. */
TEST(looks_beyond)
{
    struct simulated s = server(0.01, 1);
    struct ab_max_rate r;
    struct ab_error err;
    CHECK(ab_rate_search(probe, &s, 368, 66, 2000, &r, &err) == AB_OK, "%s", err.text);
    context("%g holds, %g breaks", r.held, r.broken);
    CHECK(r.held > 80 && r.broken >= 95 && isfinite(r.broken), "stopped early");
}

/* From the rate of another load, down to a hundredth of what it can do, and from none it comes as
 * far as from the true one. */
TEST(starts_where_the_server_ends)
{
    static const struct {
        double known, alone;
    } starts[] = {{100, 1}, {1, 1}, {0, 1}, {0, 0.25}};
    enum { SEARCHES = AB_TEST_SLOW ? 20 : 100 };
    const double border = true_border(server(0.01, 0.06));
    double sum[4] = {0};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        int over = 0;
        for (uint64_t t = 0; t < SEARCHES; t++) {
            struct simulated s = server(0.01, 0.06);
            struct ab_max_rate r;
            struct ab_error err;
            s.rng = rng_new(3000 + t);
            s.overhead = 0.5;
            s.alone = starts[i].alone;
            CHECK(ab_rate_search(probe, &s, 368, starts[i].known, 200, &r, &err) == AB_OK, "%s",
                  err.text);
            context("search %d from %g of 100: border %g, %g holds, %g breaks, %g s: %s", (int)t,
                    starts[i].known, border, r.held, r.broken, r.spent_s, r.note);
            CHECK(fabs(r.probes[1].rate - 55) < 1e-6, "it starts at %g", r.probes[1].rate);
            CHECK(r.spent_s < 220, "too long");
            sum[i] += r.held / border / SEARCHES;
            over += r.held > 1.02 * border;
        }
        /* 0.77 to 0.82; nothing at all where a hundredth is taken for the true rate. */
        CHECK(over <= SEARCHES / 10, "%d of %d claim more than holds", over, SEARCHES);
        CHECK(sum[i] > 0.8 * sum[0], "from %g: %g of the border, %g from the true rate",
              starts[i].known, sum[i], sum[0]);
    }
}

/* Nobody was served while it looked for where to start. */
TEST(serves_nobody)
{
    struct simulated s = server(0.01, 0.3);
    struct ab_max_rate r;
    struct ab_error err;
    s.dead = true;
    CHECK(ab_rate_search(probe, &s, 368, 0, 60, &r, &err) == AB_OK, "%s", err.text);
    CHECK(r.held == 0 && r.n_probes == 1 && strstr(r.note, "nobody was served"), "%s", r.note);
}

TEST(broken_even_alone)
{
    struct simulated s = server(0.01, 0.009);
    const struct ab_max_rate r = searched(&s, 100);
    CHECK(r.idle_broken && r.held == 0 && r.n_probes == 1 && *r.note, "%g holds", r.held);
}

TEST(has_no_time)
{
    struct simulated s = server(1, 5);
    const struct ab_max_rate r = searched(&s, 100);
    CHECK(r.held == 0 && !r.idle_broken && !r.settled && *r.note, "%g holds: %s", r.held, r.note);
    CHECK(r.spent_s < 150, "%g s", r.spent_s);
    s = server(0.01, 0.05);
    s.mute = true;
    const struct ab_max_rate mute = searched(&s, 1000);
    CHECK(mute.held == 0 && isinf(mute.broken) && !mute.settled && *mute.note, "%g holds",
          mute.held);
    CHECK(mute.spent_s < 1500, "%g s", mute.spent_s);
}

TEST(ends_early)
{
    for (int after = 1; after < 8; after++) {
        struct simulated s = server(0.01, 0.05);
        s.stop_after = after;
        const struct ab_max_rate r = searched(&s, 20000);
        ab_interrupted = 0;
        CHECK(r.n_probes == after, "%d probes instead of %d", r.n_probes, after);
    }
    /* The second of what it asks for is what the server can do. */
    struct simulated unknown = server(0.01, 0.05);
    struct ab_max_rate begun;
    struct ab_error why;
    unknown.stop_after = 2;
    CHECK(ab_rate_search(probe, &unknown, 368, 0, 2000, &begun, &why) == AB_OK, "%s", why.text);
    ab_interrupted = 0;
    CHECK(begun.n_probes == 1 && begun.held == 0, "%d probes", begun.n_probes);
    for (int after = 1; after < 8; after++) {
        struct simulated s = server(0.01, 0.05);
        struct ab_max_rate r;
        struct ab_error err;
        s.fail_after = after;
        CHECK(ab_rate_search(probe, &s, 368, 100, 2000, &r, &err) == AB_ERR_INTERNAL &&
                  strstr(err.text, "gone"),
              "after %d", after);
    }
}

/* A longer look takes back what only short ones have shown. */
TEST(withdraws)
{
    struct ab_max_rate r = {.held = 41,
                            .broken = 44,
                            .settled = true,
                            .confirmed = true,
                            .probes = {{.rate = 0, .state = AB_SLO_HELD},
                                       {.rate = 44, .state = AB_SLO_BROKEN},
                                       {.rate = 22, .state = AB_SLO_HELD},
                                       {.rate = 30, .state = AB_SLO_OPEN},
                                       {.rate = 33, .state = AB_SLO_HELD},
                                       {.rate = 41, .state = AB_SLO_HELD}},
                            .n_probes = 6};
    ab_rate_withdraw(&r, 32.8, false);
    CHECK(r.held == 22 && r.broken == 44 && !r.settled && !r.confirmed, "%g holds, %g breaks",
          r.held, r.broken);
    CHECK(strstr(r.note, "32.8 a second left the limit open"), "%s", r.note);
    ab_rate_withdraw(&r, 17.6, true);
    CHECK(r.held == 0 && r.broken == 17.6, "%g holds, %g breaks", r.held, r.broken);
    CHECK(strstr(r.note, "17.6 a second broke the limit") && strstr(r.note, "nothing below"), "%s",
          r.note);
}

TEST(wrong_values)
{
    static const double wrong[][2] = {
        {(double)NAN, 10}, {-1, 10}, {INFINITY, 10}, {10, 0}, {10, -1}};
    struct simulated s = server(0.01, 0.05);
    struct ab_max_rate r;
    struct ab_error err;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(ab_rate_search(probe, &s, 368, wrong[i][0], wrong[i][1], &r, &err) == AB_ERR_ARG,
              "%g a second in %g s", wrong[i][0], wrong[i][1]);
    CHECK(s.probes == 0, "probed");
}

/* ---- by visits ---- */

TEST(visits)
{
    const struct ab_deploy d = {
        .backend = "native", .place = AB_PLACE_FREE, .threads = 1, .instances = 1, .batch = 1};
    struct ab_visit_options o = {.program = getenv("AB_COMMAND"),
                                 .model = "digits",
                                 .method = AB_TEST_SLOW ? "gradient" : "integrated-gradients:n=32",
                                 .deploy = &d,
                                 .confidence = 0.9,
                                 .patience = 60};
    struct ab_max_rate r;
    struct ab_error err;
    if (!o.program || access(o.program, X_OK) != 0) return;
    const struct ab_slo never = {0.5, 1000}, always = {0.5, 60e9};
    CHECK(ab_tune_max_rate(&o, &never, 100, 2, &r, &err) == AB_OK, "%s", err.text);
    CHECK(r.idle_broken && r.held == 0 && r.n_probes == 1, "a microsecond holds");
    CHECK(r.probes[0].requests >= 4 && r.probes[0].quantile_ns > 1000, "%d requests",
          r.probes[0].requests);
    /* A rate at which nothing meets holds, whatever else the machine does. */
    CHECK(ab_tune_max_rate(&o, &always, 20, 3, &r, &err) == AB_OK, "%s", err.text);
    context("%g holds, %g breaks, %d probes, %g s: %s", r.held, r.broken, r.n_probes, r.spent_s,
            r.note);
    CHECK(AB_TEST_SLOW || r.held >= 10, "nothing holds");
    CHECK(!r.idle_broken && r.spent_s > 0 && r.spent_s < 60, "time");
    for (int i = 1; i < r.n_probes; i++)
        CHECK(r.probes[i].rate > 0 && r.probes[i].seconds > 0, "probe %d", i);
    /* What clients without end get is not known. */
    CHECK(ab_tune_max_rate(&o, &always, 0, 3, &r, &err) == AB_OK, "%s", err.text);
    context("%g holds, %g breaks, %d probes, %g s: %s", r.held, r.broken, r.n_probes, r.spent_s,
            r.note);
    CHECK(AB_TEST_SLOW || r.held >= 10, "nothing holds");
    CHECK(r.probes[0].images_per_s > 0 && (r.n_probes < 2 || isfinite(r.probes[1].rate)), "rates");
    o.model = "no-such-model";
    CHECK(ab_tune_max_rate(&o, &always, 20, 3, &r, &err) != AB_OK &&
              strstr(err.text, "no-such-model"),
          "%s", err.text);
}

static const struct test_case cases[] = {CASE(finds_the_border),
                                         CASE(claims_no_more_than_holds),
                                         CASE(outlives_a_neighbour),
                                         CASE(looks_beyond),
                                         CASE(starts_where_the_server_ends),
                                         CASE(serves_nobody),
                                         CASE(broken_even_alone),
                                         CASE(has_no_time),
                                         CASE(ends_early),
                                         CASE(withdraws),
                                         CASE(wrong_values),
                                         CASE(visits)};
TEST_MAIN("rates", cases)
