// SPDX-License-Identifier: Apache-2.0
// The validator's cases of methods: their text, the fixed set, random ones, that faults are found
// and made small.
#include "../bench/verify_methods.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ab_method_case parsed(const char *text)
{
    struct ab_method_case c;
    struct ab_error err = {""};
    CHECK(!ab_method_case_parse(text, &c, &err), "%s: %s", text, err.text);
    return c;
}

static void check_round_trip(const struct ab_method_case *c)
{
    char text[AB_METHOD_CASE_TEXT], again[AB_METHOD_CASE_TEXT];
    ab_method_case_print(c, text, sizeof text);
    const struct ab_method_case back = parsed(text);
    ab_method_case_print(&back, again, sizeof again);
    CHECK(!strcmp(text, again), "'%s' comes back as '%s'", text, again);
}

TEST(text)
{
    const struct ab_method_case c = parsed(
        "method lrp-zplus:eps=0 seed=5 graph=17 backend=native:ref batch=2 targets=2 threads=3 "
        "blocks=1 algo=direct memory=lean");
    char text[AB_METHOD_CASE_TEXT];
    CHECK(c.graph == 17 && c.seed == 5 && c.batch == 2 && c.targets == 2 && c.threads == 3 &&
              c.blocks == 1 && c.direct && c.lean && !strcmp(c.spec, "lrp-zplus:eps=0"),
          "parts of a case are lost");
    ab_method_case_print(&c, text, sizeof text);
    CHECK(!strcmp(text,
                  "method lrp-zplus:eps=0 graph=17 seed=5 backend=native:ref batch=2 threads=3 "
                  "targets=2 blocks=1 algo=direct memory=lean"),
          "'%s'", text);
    const struct ab_method_case short_one = parsed("method gradient graph=3 backend=native");
    ab_method_case_print(&short_one, text, sizeof text);
    CHECK(!strcmp(text, "method gradient graph=3 seed=1 backend=native batch=1"), "'%s'", text);
}

TEST(wrong_texts)
{
    static const char *const rows[][2] = {{"", "method"},
                                          {"conv2d n1c3h4w4", "method"},
                                          {"method", "without a method"},
                                          {"method gradiant", "gradient"},
                                          {"method lrp-zplus:eps=-1", "eps"},
                                          {"method gradient batch=0", "batch=0"},
                                          {"method gradient batch=2x", "batch=2x"},
                                          {"method gradient seed=-1", "seed=-1"},
                                          {"method gradient graph=99999999999", "graph="},
                                          {"method gradient backend=naitve", "native"},
                                          {"method gradient backend=reference", "reference"},
                                          {"method gradient blocks=4", "blocks=4"},
                                          {"method gradient targets=3", "targets=3"},
                                          {"method gradient algo=fast", "direct"},
                                          {"method gradient threads", "threads"},
                                          {"method gradient size=3", "parts"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ab_method_case c;
        struct ab_error err = {""};
        CHECK(ab_method_case_parse(rows[i][0], &c, &err) == AB_ERR_ARG, "'%s' is taken",
              rows[i][0]);
        CHECK(strstr(err.text, rows[i][1]), "'%s': '%s' does not tell of '%s'", rows[i][0],
              err.text, rows[i][1]);
    }
}

/* Runs it; false if it says nothing. */
static bool run_passes(const struct ab_method_case *c)
{
    struct ab_outcome o;
    char text[AB_METHOD_CASE_TEXT];
    ab_method_case_print(c, text, sizeof text);
    context("%s", text);
    ab_method_case_run(c, &o);
    CHECK(o.kind == AB_OUTCOME_PASS || o.kind == AB_OUTCOME_MISTRUSTED, "%s, %s: %s",
          ab_outcome_name(o.kind), ab_check_name(o.check), o.why);
    CHECK(o.kind != AB_OUTCOME_PASS ||
              (o.elements > 0 && o.undetermined < o.elements && o.ratio >= 0 && o.ratio <= 1),
          "passes with ratio %g, %ld of %ld undetermined", o.ratio, o.undetermined, o.elements);
    return o.kind == AB_OUTCOME_PASS;
}

/* A part of it: the command runs all of it. */
TEST(fixed_set)
{
    struct ab_method_case c;
    char backends[AB_METHOD_BACKENDS][32];
    int methods;
    long passed = 0, count = 0, all = 0;
    ab_methods(&methods);
    while (ab_method_case_fixed(all, &c) && all < 1000000) all++;
    CHECK(all % (methods * ab_method_backends(backends)) == 0 && all > 0,
          "%ld cases are not as many for each method and backend", all);
    CHECK(!ab_method_case_fixed(-1, &c) && !ab_method_case_fixed(all, &c), "no end");
    for (long i = 0; i < all; i += AB_TEST_SLOW ? 61 : 7, count++) {
        CHECK(ab_method_case_fixed(i, &c), "case %ld is missing", i);
        check_round_trip(&c);
        passed += run_passes(&c);
    }
    CHECK(passed > count * 9 / 10, "only %ld of %ld cases say something", passed, count);
}

TEST(random_cases)
{
    struct rng r = rng_new(0x66757a7a);
    long passed = 0;
    const long count = AB_TEST_SLOW ? 20 : 200;
    for (long i = 0; i < count; i++) {
        struct ab_method_case c;
        ab_method_case_draw(&r, &c);
        check_round_trip(&c);
        passed += run_passes(&c);
    }
    CHECK(passed > count * 8 / 10, "only %ld of %ld cases say something", passed, count);
}

TEST(same_outcome_again)
{
    const struct ab_method_case c = parsed("method lrp-epsilon graph=5 backend=native batch=2");
    struct ab_outcome a, b;
    ab_method_case_run(&c, &a);
    ab_method_case_run(&c, &b);
    CHECK(a.kind == b.kind && a.ratio == b.ratio && a.undetermined == b.undetermined,
          "ratio %.17g and then %.17g", a.ratio, b.ratio);
}

TEST(unsupported)
{
    struct ab_outcome o;
    const struct ab_method_case c = parsed("method grad-cam:layer=nowhere graph=1 backend=native");
    ab_method_case_run(&c, &o);
    CHECK(o.kind == AB_OUTCOME_UNSUPPORTED && strstr(o.why, "nowhere"), "%s: %s",
          ab_outcome_name(o.kind), o.why);
}

/* ---- faults ---- */

static bool finds(const struct ab_method_case *c, enum ab_method_fault fault, enum ab_check want)
{
    struct ab_outcome o;
    char text[AB_METHOD_CASE_TEXT];
    ab_method_case_print(c, text, sizeof text);
    context("fault %d: %s", (int)fault, text);
    ab_method_case_run_faulty(c, fault, &o);
    CHECK(o.kind != AB_OUTCOME_FAIL || o.check == want ||
              (want == AB_CHECK_bound && o.check == AB_CHECK_decision),
          "%s: %s", ab_check_name(o.check), o.why);
    CHECK(o.kind != AB_OUTCOME_FAIL || *o.why, "no reason");
    return o.kind == AB_OUTCOME_FAIL;
}

TEST(faults_are_found)
{
    static const enum ab_check want[AB_METHOD_FAULTS] = {[AB_FAULT_WEIGHTS] = AB_CHECK_bound,
                                                         [AB_FAULT_NAN] = AB_CHECK_special,
                                                         [AB_FAULT_REPEAT] = AB_CHECK_repeat,
                                                         [AB_FAULT_THREADS] = AB_CHECK_threads,
                                                         [AB_FAULT_BATCH] = AB_CHECK_batch};
    static const char *const specs[] = {"gradient",
                                        "guided-backprop",
                                        "rectgrad:q=80",
                                        "lrp-epsilon",
                                        "lrp-zplus",
                                        "smoothgrad:n=3",
                                        "integrated-gradients:steps=4"};
    for (int fault = AB_FAULT_WEIGHTS; fault < AB_METHOD_FAULTS; fault++)
        for (size_t m = 0; m < sizeof specs / sizeof *specs; m++) {
            struct ab_method_case c = parsed("method gradient graph=0 backend=native batch=2");
            int found = 0, tried = 0;
            snprintf(c.spec, sizeof c.spec, "%s", specs[m]);
            for (; c.graph < 8; c.graph++) {
                struct ab_outcome plain;
                ab_method_case_run(&c, &plain);
                if (plain.kind != AB_OUTCOME_PASS) continue;
                tried++;
                found += finds(&c, (enum ab_method_fault)fault, want[fault]);
            }
            /* A map need not depend on weights: they may lead to closed units alone. */
            CHECK(tried >= 3 && found >= tried - (fault == AB_FAULT_WEIGHTS),
                  "%s: found in %d of %d networks", specs[m], found, tried);
        }
}

/* As the command does: take the first simpler case that still fails, until there is none. */
TEST(failures_shrink)
{
    struct ab_method_case c =
        parsed("method lrp-zplus:eps=0.25,seed=one,bias=none graph=500 seed=9 "
               "backend=native batch=3 threads=2 targets=2 algo=direct");
    struct ab_outcome o;
    int steps = 0;
    ab_method_case_run_faulty(&c, AB_FAULT_WEIGHTS, &o);
    CHECK(o.kind == AB_OUTCOME_FAIL, "the case to begin with does not fail: %s", o.why);
    for (bool smaller = true; smaller && steps < 100;) {
        struct ab_method_case next;
        smaller = false;
        for (int k = 0; !smaller && ab_method_case_shrink(&c, k, &next); k++) {
            check_round_trip(&next);
            ab_method_case_run_faulty(&next, AB_FAULT_WEIGHTS, &o);
            smaller = o.kind == AB_OUTCOME_FAIL;
        }
        if (smaller) c = next;
        steps += smaller;
    }
    CHECK(steps > 3 && steps < 100, "%d steps", steps);
    CHECK(c.batch == 1 && c.threads == 1 && c.targets == 1 && !c.direct && !strchr(c.spec, ':'),
          "still %s, batch %d, %d threads, %d targets", c.spec, c.batch, c.threads, c.targets);
}

/* What bounds and limits once knew too little of: denominators whose inputs are themselves near
 * zero, seeds near zero, plateaus of equal values; and a map that is nothing but rounding. */
TEST(delicate_cases)
{
    static const struct {
        const char *text;
        enum ab_outcome_kind want;
    } rows[] = {
        {"method vargrad:n=3,base=lrp-zplus graph=16 backend=native:plain batch=2",
         AB_OUTCOME_PASS},
        {"method vargrad:n=3,base=lrp-zplus graph=35 backend=native:plain batch=2",
         AB_OUTCOME_PASS},
        {"method deeplift-shap:n=3,seed=43 graph=8745 seed=2695688966 backend=native batch=4",
         AB_OUTCOME_PASS},
        {"method beta-smooth:beta=1,seed=logit graph=16 backend=native batch=2 targets=2",
         AB_OUTCOME_PASS},
        {"method guided-grad-cam:seed=logit graph=40343 seed=1372780455 backend=native:plain "
         "batch=4",
         AB_OUTCOME_PASS},
        {"method lrp-flat:compat=innvestigate graph=7180 seed=3279230759 backend=native:plain "
         "batch=2",
         AB_OUTCOME_PASS},
        {"method lrp-flat graph=45 backend=native batch=3", AB_OUTCOME_PASS},
        {"method lrp-flat:norm_eps=0.25,seed=softmax graph=46 backend=native batch=3",
         AB_OUTCOME_MISTRUSTED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct ab_method_case c = parsed(rows[i].text);
        struct ab_outcome o;
        context("%s", rows[i].text);
        ab_method_case_run(&c, &o);
        CHECK(o.kind == rows[i].want, "%s: %s", ab_outcome_name(o.kind), o.why);
        if (o.kind != AB_OUTCOME_PASS) continue;
        CHECK(finds(&c, AB_FAULT_WEIGHTS, AB_CHECK_bound), "and a wrong weight passes too");
    }
}

static const struct test_case cases[] = {CASE(text),
                                         CASE(wrong_texts),
                                         CASE(fixed_set),
                                         CASE(random_cases),
                                         CASE(same_outcome_again),
                                         CASE(unsupported),
                                         CASE(faults_are_found),
                                         CASE(failures_shrink),
                                         CASE(delicate_cases)};
TEST_MAIN("verify_methods", cases)
