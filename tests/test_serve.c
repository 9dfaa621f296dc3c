// SPDX-License-Identifier: Apache-2.0
// The serving side of visits without a clock: clients, and the window in which they count.
#include "bench/serve.h"
#include "support.h"

#include <math.h>

/* ---- the queue ---- */

TEST(closed_queue)
{
    const struct ab_load_shape load = {AB_LOAD_CLOSED, 3, 0};
    struct ab_queue q;
    struct ab_error err;
    double asked[4];
    CHECK(ab_queue_open(&q, &load, 2, 1, 10, &err) == AB_OK, "%s", err.text);
    CHECK(q.waiting == 3 && isinf(ab_queue_next(&q)), "%ld wait", q.waiting);
    ab_queue_admit(&q, 1e9);
    CHECK(q.waiting == 3, "somebody arrives");
    CHECK(ab_queue_take(&q, 2, asked) == 2 && asked[0] == 10 && asked[1] == 10, "first two");
    ab_queue_ask(&q, 20, 1);
    ab_queue_ask(&q, 30, 1);
    CHECK(ab_queue_take(&q, 4, asked) == 3 && asked[0] == 10 && asked[1] == 20 && asked[2] == 30,
          "order");
    CHECK(ab_queue_take(&q, 4, asked) == 0 && q.taken == 5, "%d taken", (int)q.taken);
    ab_queue_free(&q);
    CHECK(ab_queue_open(&q, &(struct ab_load_shape){.kind = AB_LOAD_CLOSED}, 7, 1, 0, &err) ==
                  AB_OK &&
              q.waiting == 7,
          "as many as there are places");
    ab_queue_free(&q);
}

/* Arrivals are those of a Poisson process, the same however they are looked at. */
TEST(open_queue)
{
    enum { COUNT = 20000 };
    const struct ab_load_shape load = {AB_LOAD_POISSON, 0, 100};
    struct ab_queue q, again;
    struct ab_error err;
    static double at[COUNT];
    CHECK(ab_queue_open(&q, &load, 1, 5, 0, &err) == AB_OK, "%s", err.text);
    CHECK(ab_queue_open(&again, &load, 1, 5, 0, &err) == AB_OK, "%s", err.text);
    for (int i = 0; i < COUNT; i++) {
        const double next = ab_queue_next(&q);
        ab_queue_admit(&q, nextafter(next, 0));
        CHECK(q.waiting == 0, "arrival %d comes early", i);
        ab_queue_admit(&q, next);
        CHECK(ab_queue_take(&q, 5, &at[i]) == 1 && at[i] == next, "arrival %d", i);
    }
    ab_queue_admit(&again, at[COUNT - 1]);
    CHECK(again.waiting == COUNT, "%ld at once", again.waiting);
    double same[3];
    CHECK(ab_queue_take(&again, 3, same) == 3 && same[0] == at[0] && same[2] == at[2], "others");
    double sum = 0, squares = 0;
    for (int i = 0; i < COUNT; i++) {
        const double gap = (at[i] - (i ? at[i - 1] : 0)) / 1e7;
        sum += gap, squares += gap * gap;
    }
    /* Exponential gaps: mean 1, second moment 2, within five deviations. */
    CHECK(fabs(sum / COUNT - 1) < 5 / sqrt(COUNT), "mean gap %g", sum / COUNT);
    CHECK(fabs(squares / COUNT - 2) < 5 * sqrt(20.0 / COUNT), "its square %g", squares / COUNT);
    ab_queue_free(&q);
    CHECK(ab_queue_open(&q, &load, 1, 6, 0, &err) == AB_OK && ab_queue_next(&q) != at[0],
          "another seed, the same arrivals");
}

/* ---- the window ---- */

/* One server whose executions take `service` ns, without a clock; what the window says. */
static struct ab_window simulated(const struct ab_visit_options *o, int batch, double service)
{
    struct ab_queue q;
    struct ab_window w;
    struct ab_error err;
    double asked[8], now = 0;
    CHECK(ab_queue_open(&q, &o->load, batch, o->seed, 0, &err) == AB_OK, "%s", err.text);
    CHECK(ab_window_start(&w, o, 1, batch, q.load.streams, &err) == AB_OK, "%s", err.text);
    while (!isfinite(w.over)) {
        ab_queue_admit(&q, now);
        ab_window_tick(&w, now, q.waiting, false);
        if (isfinite(w.over)) break;
        const int count = ab_queue_take(&q, batch, asked);
        if (!count) {
            ab_window_idle(&w, now);
            now = fmin(ab_queue_next(&q), fmax(now, ab_window_due(&w)));
            continue;
        }
        const double begin = now;
        ab_window_begun(&w, begin);
        now += service;
        const double due = ab_window_due(&w);
        if (due > begin && due < now) ab_window_tick(&w, due, q.waiting + count, false);
        ab_queue_admit(&q, now);
        ab_window_served(&w, begin, now, asked, count, q.waiting);
        ab_queue_ask(&q, now, count);
    }
    ab_queue_free(&q);
    return w;
}

static double mean(const double *values, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += values[i];
    return sum / count;
}

TEST(closed_window)
{
    struct ab_visit_options o = {.load = {AB_LOAD_CLOSED, 1, 0}, .seconds = 1};
    struct ab_window w = simulated(&o, 1, 1e7);
    CHECK(w.requests == 100 && fabs(w.images - 100) < 1e-6 && w.executions == 100, "%d of %g",
          w.requests, w.images);
    CHECK(w.latency_ns[0] == 1e7 && w.latency_ns[99] == 1e7, "latency");
    CHECK(!ab_window_overloaded(&w) && w.slo == AB_SLO_OPEN, "overloaded");
    ab_window_free(&w);
    /* The execution that the end of the window cuts counts by its share. */
    w = simulated(&o, 1, 3.7e7);
    CHECK(w.executions == 27 && fabs(w.images - 1e9 / 3.7e7) < 1e-6, "%d executions, %g images",
          w.executions, w.images);
    ab_window_free(&w);
    /* Four clients, one place: each waits for the three before it, the first ones not counted; the
     * last three are waited for. */
    o.load.streams = 4;
    w = simulated(&o, 1, 1e7);
    CHECK(fabs(w.images - 100) < 1e-6 && w.requests == 100, "%d of %g", w.requests, w.images);
    for (int i = 0; i < w.requests; i++)
        CHECK(fabs(w.latency_ns[i] - 4e7) < 1, "latency %d: %g", i, w.latency_ns[i]);
    ab_window_free(&w);
    /* Requests or time, whatever takes longer; and no longer than at most. */
    o = (struct ab_visit_options){
        .load = {AB_LOAD_CLOSED, 1, 0}, .seconds = 0.1, .least_requests = 50};
    w = simulated(&o, 1, 1e7);
    CHECK(w.requests == 50 && w.closed == 50e7, "%d in %g", w.requests, w.closed);
    ab_window_free(&w);
    o.most_seconds = 0.3;
    w = simulated(&o, 1, 1e7);
    CHECK(w.requests == 30 && w.over == 30e7, "%d until %g", w.requests, w.over);
    ab_window_free(&w);
    /* Nobody waits for the execution that this ends, so that its time does not count. */
    w = simulated(&o, 1, 1.1e8);
    CHECK(w.requests == 2 && w.over == 30e7 && fabs(ab_window_rate(&w) * 0.11 - 1) < 1e-9,
          "%d until %g, %g a second", w.requests, w.over, ab_window_rate(&w));
    ab_window_free(&w);
    /* Clients of a batch are served together. */
    o = (struct ab_visit_options){.load = {AB_LOAD_CLOSED, 4, 0}, .seconds = 1};
    w = simulated(&o, 4, 1e7);
    CHECK(fabs(w.images - 400) < 1e-6 && w.executions == 100 && w.latency_ns[0] == 1e7, "%g in %d",
          w.images, w.executions);
    ab_window_free(&w);
}

/* M/D/1: the mean wait is rho / (2 (1 - rho)) services. */
TEST(open_window)
{
    struct ab_visit_options o = {.load = {AB_LOAD_POISSON, 0, 70}, .seconds = 2000, .seed = 3};
    struct ab_window w = simulated(&o, 1, 1e7);
    const double wait = 1e7 * (1 + 0.7 / 0.6);
    CHECK(fabs(mean(w.latency_ns, w.requests) / wait - 1) < 0.05, "mean %g instead of %g",
          mean(w.latency_ns, w.requests), wait);
    CHECK(fabs(w.requests / (70 * 2000.0) - 1) < 0.02, "%d requests", w.requests);
    CHECK(!ab_window_overloaded(&w), "overloaded at 70 %%");
    CHECK(w.opened == 200e9 && w.closed >= 2200e9, "open from %g to %g", w.opened, w.closed);
    ab_window_free(&w);
    /* Arrivals outrun it by a fifth. */
    o.load.rate = 120;
    o.seconds = 20;
    w = simulated(&o, 1, 1e7);
    CHECK(ab_window_overloaded(&w), "not overloaded: %ld left", w.left);
    CHECK(fabs(w.images / 2000 - 1) < 0.01, "%g images", w.images);
    ab_window_free(&w);
    /* Never idle by much, never overloaded: seeds of a queue at 90 %. */
    int wrong = 0;
    o.load.rate = 90;
    for (o.seed = 0; o.seed < 40; o.seed++) {
        w = simulated(&o, 1, 1e7);
        wrong += ab_window_overloaded(&w);
        ab_window_free(&w);
    }
    CHECK(wrong <= 2, "%d of 40 at 90 %% are overloaded", wrong);
}

TEST(window_with_a_limit)
{
    struct ab_visit_options o = {
        .load = {AB_LOAD_CLOSED, 1, 0}, .seconds = 1000, .slo = {0.99, 2e7}, .confidence = 0.99};
    struct ab_window w = simulated(&o, 1, 1e7);
    CHECK(w.slo == AB_SLO_HELD && w.requests == 528, "%d after %d", (int)w.slo, w.requests);
    ab_window_free(&w);
    o.slo.limit_ns = 1e6;
    w = simulated(&o, 1, 1e7);
    CHECK(w.slo == AB_SLO_BROKEN && w.requests == 4, "%d after %d", (int)w.slo, w.requests);
    ab_window_free(&w);
    /* An open loop is not judged before a quarter of its time. */
    o.load = (struct ab_load_shape){AB_LOAD_POISSON, 0, 10};
    o.seconds = 100;
    w = simulated(&o, 1, 1e7);
    CHECK(w.slo == AB_SLO_BROKEN && w.closed >= 35e9 && w.closed < 36e9, "%d at %g", (int)w.slo,
          w.closed);
    ab_window_free(&w);
    /* Too few requests for a verdict. */
    o = (struct ab_visit_options){
        .load = {AB_LOAD_CLOSED, 1, 0}, .seconds = 5, .slo = {0.99, 2e7}, .confidence = 0.99};
    w = simulated(&o, 1, 1e7);
    CHECK(w.slo == AB_SLO_OPEN && w.requests == 500, "%d after %d", (int)w.slo, w.requests);
    ab_window_free(&w);
}

/* An execution of `count` clients who asked when it began. */
static void serve(struct ab_window *w, double begin, double end, int count)
{
    const double asked[] = {begin, begin};
    ab_window_served(w, begin, end, asked, count, count);
}

/* Whoever stops it in the middle of executions learns the rate of those that were seen. */
TEST(stopped_window)
{
    struct ab_visit_options o = {.load = {AB_LOAD_CLOSED, 0, 0}, .seconds = 60};
    struct ab_window w;
    struct ab_error err;
    CHECK(ab_window_start(&w, &o, 1, 2, 2, &err) == AB_OK, "%s", err.text);
    ab_window_begun(&w, 0);
    serve(&w, 0, 1e9, 2);
    ab_window_begun(&w, 1e9);
    ab_window_tick(&w, 1.9e9, 2, true);
    CHECK(w.over == 1.9e9 && fabs(ab_window_rate(&w) - 2) < 1e-9, "%g a second",
          ab_window_rate(&w));
    serve(&w, 1e9, 2e9, 2);
    CHECK(w.images == 2 && fabs(ab_window_rate(&w) - 2) < 1e-9, "counted when it was over");
    ab_window_free(&w);
    /* Two instances, one of which is about to be done. */
    CHECK(ab_window_start(&w, &o, 2, 2, 2, &err) == AB_OK, "%s", err.text);
    ab_window_begun(&w, 0);
    ab_window_begun(&w, 0);
    serve(&w, 0, 1e9, 1);
    ab_window_begun(&w, 1e9);
    ab_window_tick(&w, 1.1e9, 2, true);
    CHECK(fabs(ab_window_rate(&w) - 2) < 1e-9, "%g a second", ab_window_rate(&w));
    ab_window_free(&w);
    /* More clients than places: it opened in the middle of what is cut. */
    CHECK(ab_window_start(&w, &o, 2, 2, 3, &err) == AB_OK, "%s", err.text);
    ab_window_begun(&w, 0);
    ab_window_begun(&w, 0.5e9);
    serve(&w, 0, 1e9, 1);
    ab_window_begun(&w, 1e9);
    serve(&w, 1e9, 2e9, 1);
    ab_window_begun(&w, 2e9);
    ab_window_tick(&w, 2.2e9, 3, true);
    CHECK(fabs(ab_window_rate(&w) - 2) < 1e-9, "%g a second", ab_window_rate(&w));
    ab_window_free(&w);
    /* While those that asked in time are waited for. */
    o.seconds = 2.5;
    CHECK(ab_window_start(&w, &o, 1, 1, 1, &err) == AB_OK, "%s", err.text);
    for (int i = 0; i < 2; i++) {
        ab_window_begun(&w, i * 1e9);
        serve(&w, i * 1e9, (i + 1) * 1e9, 1);
    }
    ab_window_begun(&w, 2e9);
    ab_window_tick(&w, 2.5e9, 1, false);
    CHECK(w.closed == 2.5e9 && isinf(w.over), "it does not wait");
    ab_window_tick(&w, 2.6e9, 1, true);
    CHECK(w.over == 2.6e9 && fabs(ab_window_rate(&w) - 1) < 1e-9, "%g a second",
          ab_window_rate(&w));
    ab_window_free(&w);
    /* Before anything was seen there is no rate. */
    CHECK(ab_window_start(&w, &o, 1, 1, 1, &err) == AB_OK, "%s", err.text);
    ab_window_begun(&w, 0);
    ab_window_tick(&w, 1e9, 1, true);
    CHECK(w.requests == 0 && ab_window_rate(&w) == 0, "%g a second", ab_window_rate(&w));
    ab_window_free(&w);
}

static const struct test_case cases[] = {CASE(closed_queue),        CASE(open_queue),
                                         CASE(closed_window),       CASE(open_window),
                                         CASE(window_with_a_limit), CASE(stopped_window)};
TEST_MAIN("serving", cases)
