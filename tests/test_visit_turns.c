// SPDX-License-Identifier: Apache-2.0
// Visits by turns with a pacemaker: attrbench with itself, loads that cannot be cut into turns, an
// interrupt from another of its threads, and programs whose turns are slow now and then, wrong, or
// none.
#include "bench/run.h"
#include "visit_asking.h"

#include <math.h>

static struct ab_pacemaker *pacemaker_new(const struct ab_visit_options *o)
{
    struct ab_pacemaker *p;
    struct ab_error err;
    CHECK(ab_pacemaker_start(o, &p, &err) == AB_OK && p, "%s", err.text);
    return p;
}

/* A configuration with itself as the pacemaker: two processes, neither of which serves while the
 * other does. */
TEST(by_turns)
{
    if (!command()) return;
    struct ab_deploy two = usual;
    two.instances = 2;
    two.batch = 2;
    const struct ab_deploy *const all[] = {&usual, &two};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ab_visit_options o = asking(all[i], "closed");
        o.seconds = 1;
        o.least_requests = 20;
        o.pacemaker = pacemaker_new(&o);
        struct ab_visit v = visited(&o);
        check_facts(&v);
        CHECK(v.seconds >= 1 && v.seconds < 60 && v.requests >= 20, "%d requests in %g s",
              v.requests, v.seconds);
        /* Closed loops are never idle: as many requests as the rate says, but for those at the
         * edges of turns. */
        CHECK(v.requests > 0.5 * v.images_per_s * v.seconds, "%d requests, %g/s for %g s",
              v.requests, v.images_per_s, v.seconds);
        CHECK(v.wall_s > 2 * v.seconds, "%g s with as much for the pacemaker", v.wall_s);
        const double ratio = v.images_per_s / v.pace;
        CHECK(AB_TEST_SLOW || (ratio > 0.5 && ratio < 2), "of itself: %g", ratio);
        ab_visit_free(&v);
        ab_pacemaker_stop(&o.pacemaker);
        CHECK(!o.pacemaker, "not stopped");
    }
}

/* A queue has a memory, which turns would cut; so has a limit that is looked at. */
TEST(queues_are_served_at_a_stretch)
{
    if (!command()) return;
    static const char *const loads[] = {"poisson:200", "closed:4"};
    const struct ab_visit_options pacemaker = asking(&usual, "closed");
    struct ab_pacemaker *p = pacemaker_new(&pacemaker);
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
        struct ab_visit_options o = asking(&usual, loads[i]);
        CHECK(!ab_visit_can_pause(&o), "%s can", loads[i]);
        o.pacemaker = p;
        struct ab_visit v = visited(&o);
        check_facts(&v);
        CHECK(isnan(v.pace), "%s: a pace of %g", loads[i], v.pace);
        ab_visit_free(&v);
    }
    struct ab_visit_options o = asking(&usual, "closed:1");
    CHECK(ab_visit_can_pause(&o), "one client waits for no other");
    o.slo = (struct ab_slo){.quantile = 0.5, .limit_ns = 1e9};
    CHECK(!ab_visit_can_pause(&o), "nobody looks at the limit");
    ab_pacemaker_stop(&p);
}

TEST(is_interrupted_between_turns)
{
    if (!command()) return;
    const pthread_t self = pthread_self();
    ab_interrupt_catch();
    pthread_t thread;
    struct ab_visit_options o = asking(&usual, "closed:1");
    o.seconds = 40;
    o.pacemaker = pacemaker_new(&o);
    signal_to_send = 0;
    CHECK(pthread_create(&thread, NULL, interfere, (void *)&self) == 0, "no thread");
    struct ab_visit v;
    struct ab_error err = {""};
    const enum ab_status status = ab_visit(&o, &v, &err);
    pthread_join(thread, NULL);
    ab_pacemaker_stop(&o.pacemaker);
    ab_interrupted = 0;
    CHECK(status == AB_OK, "%s", err.text);
    CHECK(v.wall_s < 30 && v.seconds < 30, "%g s", v.wall_s);
    CHECK(v.requests > 0 || AB_TEST_SLOW || !(v.start_ns > 0 && v.start_ns < 0.4e9),
          "nothing is told");
    ab_visit_free(&v);
}

/* A program that serves turns at these rates by turns, and then tells what `document` tells. */
static const char *turns_of(const char *first, const char *second)
{
    static char body[4096];
    double times[2] = {1, 2};
    struct ab_visit v = {.latency_ns = times, .requests = 2, .images_per_s = 8};
    json_t *json = ab_visit_json(&v);
    char *text = json_dumps(json, JSON_COMPACT);
    snprintf(body, sizeof body,
             "read options; a=%s; b=%s\n"
             "while read turn; do echo; echo '{\"turn\": {\"requests\": 3, \"seconds\": 0.5, "
             "\"images_per_s\": '$a'}}'; c=$a; a=$b; b=$c; done; echo '%s'",
             first, second, text);
    free(text);
    json_decref(json);
    return script(body);
}

/* What slows both by turns does not show in their ratio; where they differ, the median counts. */
TEST(the_pace_of_others_while_it_is_visited)
{
    struct ab_visit_options o = asking(&usual, "closed"), pacemaker = o;
    o.seconds = 2;
    pacemaker.program = turns_of("40", "20");
    o.pacemaker = pacemaker_new(&pacemaker);
    o.program = turns_of("10", "5");
    struct ab_visit v = visited(&o);
    CHECK(v.images_per_s == 7.5 && v.requests == 2, "%g/s, %d", v.images_per_s, v.requests);
    CHECK(fabs(v.pace - 30) < 1e-9, "a pace of %g", v.pace);
    ab_visit_free(&v);
    /* The pacemaker is gone: visits go on without. */
    ab_pacemaker_stop(&o.pacemaker);
    pacemaker.program = "/bin/false";
    o.pacemaker = pacemaker_new(&pacemaker);
    for (int again = 0; again < 2; again++) {
        v = visited(&o);
        CHECK(v.requests == 2 && isnan(v.pace), "a pace of %g", v.pace);
        ab_visit_free(&v);
    }
    /* What serves no turns is as wrong as what does not serve. */
    ab_pacemaker_stop(&o.pacemaker);
    pacemaker.program = turns_of("10", "10");
    o.pacemaker = pacemaker_new(&pacemaker);
    o.program = turns_of("-1", "1");
    refused(&o, "'images_per_s'");
    o.program = script("read o; read t; echo '{\"turn\": 1}'; cat >/dev/null");
    refused(&o, "'turn'");
    o.program = script("read o; read t; echo '[1]'; cat >/dev/null");
    refused(&o, "'turn'");
    o.program = script("read o; read t; echo hello; cat >/dev/null");
    refused(&o, "no document");
    o.program = script("read o; read t; kill -9 $$");
    refused(&o, "signal 9");
    o.program = script("read o; read t; echo '{\"error\": {\"status\": 1, \"text\": \"no\"}}'");
    refused(&o, ": no");
    o.program = script("read o; read t; tr '\\0' x < /dev/zero");
    refused(&o, "without end");
    o.patience = 0.3;
    o.program = script("exec sleep 100");
    refused(&o, "no sign of life");
    ab_pacemaker_stop(&o.pacemaker);
}

static const struct test_case cases[] = {CASE(by_turns), CASE(queues_are_served_at_a_stretch),
                                         CASE(is_interrupted_between_turns),
                                         CASE(the_pace_of_others_while_it_is_visited)};
TEST_MAIN("visits by turns", cases)
