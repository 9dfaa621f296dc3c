// SPDX-License-Identifier: Apache-2.0
// The verdicts of verify/judge.c: what is right passes, what is wrong fails by name, and what says
// nothing is not believed.
#include "support.h"

#include "verify/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 32, TERMS = 1152 };

static const struct ab_accumulation single = {.u = 0x1p-24, .least = 0x1p-149};
static const struct ab_accumulation whole = {.u = 0x1p-24, .least = 0x1p-149, .exact = true};

static long eighth(long terms)
{
    return terms / 8 + 3;
}

/* COUNT sums of TERMS products w*x, added in float one after the other by `got` and in double by
 * the truth; `spoil` makes each weight another one for `got`. */
struct sums {
    struct ab_truth truth;
    float got[COUNT];
};

static struct sums sums_new(enum fill fill, double scale, float (*spoil)(float w, int term))
{
    struct sums s;
    struct rng r = rng_new(3);
    CHECK(ab_truth_new(&s.truth, COUNT), "out of memory");
    float w[TERMS], x[TERMS];
    for (size_t i = 0; i < COUNT; i++) {
        fill_floats(w, TERMS, fill, &r);
        fill_floats(x, TERMS, fill, &r);
        s.got[i] = 0.0f;
        for (int k = 0; k < TERMS; k++) {
            const float xs = x[k] * (float)scale;
            ab_truth_add(&s.truth, i, (double)w[k] * (double)xs);
            s.got[i] += (spoil ? spoil(w[k], k) : w[k]) * xs;
        }
    }
    return s;
}

static struct ab_outcome judged(struct sums *s, struct ab_accumulation how)
{
    struct ab_outcome o = {0};
    const struct ab_judge judge = {.how = how};
    ab_judge_floats(&judge, &s->truth, s->got, &o);
    return o;
}

static void expect(const struct ab_outcome *o, enum ab_outcome_kind kind, enum ab_check check)
{
    CHECK(o->kind == kind, "%s: %s", ab_outcome_name(o->kind), o->why);
    if (kind == AB_OUTCOME_FAIL)
        CHECK(o->check == check, "%s instead of %s", ab_check_name(o->check), ab_check_name(check));
}

static const enum fill real[] = {FILL_NORMAL, FILL_RELU, FILL_NONNEG};

TEST(right_sums_pass_at_every_scale)
{
    for (int f = 0; f < 3; f++)
        for (int e = -20; e <= 20; e += 20) {
            struct sums s = sums_new(real[f], ldexp(1.0, e), NULL);
            const struct ab_outcome o = judged(&s, single);
            context("fill %d exponent %d", f, e);
            expect(&o, AB_OUTCOME_PASS, AB_CHECK_none);
            CHECK(o.ratio > 0 && o.ratio < 1 && o.sharp > 0, "ratios %g %g", o.ratio, o.sharp);
            CHECK(o.elements == COUNT && o.undetermined == 0, "%ld elements", o.elements);
            ab_truth_free(&s.truth);
        }
}

TEST(relative_errors_are_of_all_elements)
{
    for (int e = -20; e <= 20; e += 20) {
        struct sums s = sums_new(FILL_NORMAL, ldexp(1.0, e), NULL);
        context("exponent %d", e);
        CHECK(judged(&s, single).rel_l2 < 1e-5, "%g of sums that are right",
              judged(&s, single).rel_l2);
        for (int i = 0; i < COUNT; i++) s.got[i] *= 1.001f;
        const double error = judged(&s, single).rel_l2;
        CHECK(fabs(error - 1e-3) < 1e-5, "%g of sums that are 1e-3 too large", error);
        ab_truth_free(&s.truth);
    }
}

static float without_one(float w, int term)
{
    return term == 5 ? 0.0f : w;
}

static float sign_flipped(float w, int term)
{
    return term == 700 ? -w : w;
}

static float to_bfloat(float w, int term)
{
    (void)term;
    uint32_t bits = float_bits(w);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&w, &bits, sizeof w);
    return w;
}

TEST(wrong_sums_fail_at_every_scale)
{
    float (*const spoils[])(float, int) = {without_one, sign_flipped, to_bfloat};
    for (int m = 0; m < 3; m++)
        for (int f = 0; f < 3; f++)
            for (int e = -20; e <= 20; e += 20) {
                struct sums s = sums_new(real[f], ldexp(1.0, e), spoils[m]);
                context("spoil %d fill %d exponent %d", m, f, e);
                const struct ab_outcome o = judged(&s, single);
                expect(&o, AB_OUTCOME_FAIL, AB_CHECK_bound);
                CHECK(o.ratio > 1, "ratio %g", o.ratio);
                CHECK(strstr(o.why, "element ") && strstr(o.why, "condition"), "%s", o.why);
                ab_truth_free(&s.truth);
            }
}

TEST(integers_are_compared)
{
    struct sums s = sums_new(FILL_INT, 1.0, NULL);
    struct ab_outcome o = judged(&s, whole);
    expect(&o, AB_OUTCOME_PASS, AB_CHECK_none);
    CHECK(o.ratio == 0, "ratio %g", o.ratio);
    s.got[7] = nextafterf(s.got[7], 1e9f);
    o = judged(&s, whole);
    expect(&o, AB_OUTCOME_FAIL, AB_CHECK_bits);
    CHECK(strstr(o.why, "element 7:") && o.ratio > 1, "%s %g", o.why, o.ratio);
    ab_truth_free(&s.truth);
}

/* Two elements of a truth of their own. */
static struct ab_outcome pair(double a, double b, int terms, float x, float y,
                              const struct ab_judge *judge)
{
    struct ab_outcome o = {0};
    struct ab_truth t;
    CHECK(ab_truth_new(&t, 2), "out of memory");
    if (terms > 0) ab_truth_add(&t, 0, a), ab_truth_add(&t, 1, b);
    t.sum[0] = a, t.sum[1] = b;
    ab_judge_floats(judge, &t, (float[]){x, y}, &o);
    ab_truth_free(&t);
    return o;
}

TEST(zeros_and_signs)
{
    const struct ab_judge sum = {.how = single}, exact = {.how = whole};
    struct ab_outcome o = pair(0.0, 2.0, 1, -0.0f, 2.0f, &exact);
    expect(&o, AB_OUTCOME_PASS, AB_CHECK_none);
    o = pair(0.0, 2.0, 0, -0.0f, 2.0f, &sum); /* defined to the bit */
    expect(&o, AB_OUTCOME_FAIL, AB_CHECK_bits);
    o = pair(0.0, 2.0, 0, 0.0f, 2.0f, &sum);
    expect(&o, AB_OUTCOME_PASS, AB_CHECK_none);
    /* A sum of zeros has no error, not even the smallest. */
    o = pair(0.0, 2.0, 1, 1e-45f, 2.0f, &sum);
    expect(&o, AB_OUTCOME_FAIL, AB_CHECK_bound);
}

TEST(classes_are_those_of_the_truth)
{
    const struct ab_judge j = {.how = single};
    const double inf = (double)INFINITY, nan = (double)NAN;
    struct ab_outcome o = pair(nan, 2.0, 1, NAN, 2.0f, &j);
    expect(&o, AB_OUTCOME_PASS, AB_CHECK_none);
    o = pair(inf, 2.0, 1, INFINITY, 2.0f, &j);
    expect(&o, AB_OUTCOME_PASS, AB_CHECK_none);
    static const struct {
        double want;
        float got;
    } wrong[] = {{1, NAN}, {1, INFINITY}, {1, -INFINITY}};
    for (int i = 0; i < 3; i++) {
        o = pair(wrong[i].want, 2.0, 1, wrong[i].got, 2.0f, &j);
        expect(&o, AB_OUTCOME_FAIL, AB_CHECK_special);
    }
    o = pair(inf, 2.0, 1, -INFINITY, 2.0f, &j);
    expect(&o, AB_OUTCOME_FAIL, AB_CHECK_special);
    o = pair(inf, 2.0, 1, 3e38f, 2.0f, &j);
    expect(&o, AB_OUTCOME_FAIL, AB_CHECK_special);
    o = pair(nan, 2.0, 1, INFINITY, 2.0f, &j);
    expect(&o, AB_OUTCOME_FAIL, AB_CHECK_special);
    CHECK(strstr(o.why, "element 0"), "%s", o.why);
    /* Beyond the largest float rounding decides whether there is an infinity. */
    o = pair(4e38, 2.0, 1, INFINITY, 2.0f, &j);
    expect(&o, AB_OUTCOME_PASS, AB_CHECK_none);
    CHECK(o.undetermined == 1 && o.elements == 1, "%ld undetermined", o.undetermined);
}

static double spread_over_the_first(const void *user, size_t i)
{
    (void)user;
    return i == 0 ? (double)INFINITY : 1e-3;
}

static double spread_over_all(const void *user, size_t i)
{
    (void)user, (void)i;
    return (double)INFINITY;
}

TEST(wide_bounds_replace_the_plain_one)
{
    const struct ab_judge j = {.how = single, .widen = spread_over_the_first};
    struct ab_outcome o = pair(1.0, 2.0, 1, NAN, 2.0009f, &j);
    expect(&o, AB_OUTCOME_PASS, AB_CHECK_none);
    CHECK(o.undetermined == 1, "%ld undetermined", o.undetermined);
    CHECK(fabs(o.ratio - 0.9) < 1e-3, "ratio %g", o.ratio);
    o = pair(1.0, 2.0, 1, NAN, 2.0011f, &j);
    expect(&o, AB_OUTCOME_FAIL, AB_CHECK_bound);
    o = pair((double)INFINITY, 2.0, 1, NAN, 2.0f, &j);
    expect(&o, AB_OUTCOME_PASS, AB_CHECK_none);
    o = pair((double)INFINITY, 2.0, 1, 7.0f, 2.0f, &j);
    expect(&o, AB_OUTCOME_FAIL, AB_CHECK_special);
}

static void place(const void *user, size_t i, char *text, size_t size)
{
    (void)user;
    snprintf(text, size, "row %zu", i);
}

TEST(messages_name_the_worst_element)
{
    const struct ab_judge j = {.how = single, .where = place};
    const struct ab_outcome o = pair(1.0, 4.0, 1, 1.1f, 5.0f, &j);
    expect(&o, AB_OUTCOME_FAIL, AB_CHECK_bound);
    CHECK(strncmp(o.why, "row 1: got 5, want 4 within ", 28) == 0, "%s", o.why);
}

/* `count` results `v` apart from the first `other`, all as they should be. */
static struct ab_outcome uniform(double v, size_t other, bool sparse)
{
    struct ab_outcome o = {0};
    struct ab_truth t;
    float got[COUNT];
    CHECK(ab_truth_new(&t, COUNT), "out of memory");
    for (size_t i = 0; i < COUNT; i++) {
        ab_truth_add(&t, i, i < other ? (double)i + 7 : v);
        got[i] = (float)t.sum[i];
    }
    const struct ab_judge j = {.how = whole, .sparse = sparse};
    ab_judge_floats(&j, &t, got, &o);
    ab_truth_free(&t);
    return o;
}

TEST(results_that_say_nothing_are_not_trusted)
{
    struct ab_outcome o = uniform(1.0, 0, false);
    expect(&o, AB_OUTCOME_MISTRUSTED, AB_CHECK_none);
    o = uniform(0.0, 3, false);
    expect(&o, AB_OUTCOME_MISTRUSTED, AB_CHECK_none);
    CHECK(o.why[0], "no reason");
    o = uniform(0.0, 4, false);
    expect(&o, AB_OUTCOME_PASS, AB_CHECK_none);
    o = uniform(0.0, 1, true);
    expect(&o, AB_OUTCOME_PASS, AB_CHECK_none);
    o = uniform(0.0, 0, true);
    expect(&o, AB_OUTCOME_MISTRUSTED, AB_CHECK_none);
    /* Cancellation: every result lost in the rounding of its terms. */
    struct ab_truth t;
    CHECK(ab_truth_new(&t, 2), "out of memory");
    for (size_t i = 0; i < 2; i++) {
        ab_truth_add(&t, i, 1e7);
        ab_truth_add(&t, i, -1e7 + 1.0 + (double)i);
    }
    const struct ab_judge j = {.how = single};
    o = (struct ab_outcome){0};
    ab_judge_floats(&j, &t, (float[]){1, 2}, &o);
    expect(&o, AB_OUTCOME_MISTRUSTED, AB_CHECK_none);
    /* Nothing can be decided. */
    const struct ab_judge spread = {.how = single, .widen = spread_over_all};
    o = pair(1.0, 2.0, 1, 1.0f, 2.0f, &spread);
    expect(&o, AB_OUTCOME_MISTRUSTED, AB_CHECK_none);
    /* A failure stays one. */
    o = (struct ab_outcome){0};
    ab_judge_floats(&j, &t, (float[]){1, 1e7f}, &o);
    expect(&o, AB_OUTCOME_FAIL, AB_CHECK_bound);
    ab_truth_free(&t);
}

TEST(bounds_are_those_of_the_notes)
{
    const double u = 0x1p-24, least = 0x1p-149;
    CHECK(ab_hard_bound(&single, 9, 2.0) == u * 9 * 2.0 / (1 - 9 * u) + 9 * least, "n < 16");
    CHECK(ab_hard_bound(&single, 64, 2.0) == u * 32 * 2.0 / (1 - 64 * u) + 64 * least, "n > 16");
    struct ab_accumulation eight = single;
    eight.chain = eighth;
    CHECK(ab_hard_bound(&eight, 800, 1.0) == ab_hard_bound(&single, 104, 1.0), "chain");
    CHECK(ab_sharp_bound(&single, 4, -3.0, 25.0) == u * (8 * 8.0 + 3.0) + 4 * least, "sharp");
}

TEST(doubles_allow_for_the_truth_itself)
{
    struct ab_truth t;
    CHECK(ab_truth_new(&t, 2), "out of memory");
    for (int k = 0; k < 100; k++) ab_truth_add(&t, 0, 0.1), ab_truth_add(&t, 1, 0.7);
    const struct ab_judge j = {.how = {.u = 0x1p-53, .least = 0x1p-1074}};
    struct ab_outcome o = {0};
    ab_judge_doubles(&j, &t, (double[]){10.0, 70.0}, &o);
    expect(&o, AB_OUTCOME_PASS, AB_CHECK_none);
    ab_judge_doubles(&j, &t, (double[]){10.0, (double)70.00001f}, &o);
    expect(&o, AB_OUTCOME_FAIL, AB_CHECK_bound);
    ab_truth_free(&t);
}

static const struct test_case cases[] = {
    CASE(right_sums_pass_at_every_scale),
    CASE(wrong_sums_fail_at_every_scale),
    CASE(integers_are_compared),
    CASE(zeros_and_signs),
    CASE(classes_are_those_of_the_truth),
    CASE(wide_bounds_replace_the_plain_one),
    CASE(messages_name_the_worst_element),
    CASE(results_that_say_nothing_are_not_trusted),
    CASE(relative_errors_are_of_all_elements),
    CASE(bounds_are_those_of_the_notes),
    CASE(doubles_allow_for_the_truth_itself),
};
TEST_MAIN("verify judge", cases)
