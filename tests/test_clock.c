// SPDX-License-Identifier: Apache-2.0
// The clock's probes, the core's pace, and counting subnormal numbers.
#include "../bench/clock.h"
#include "../bench/stats.h"
#include "attrbench/attrbench.h"
#include "support.h"

#include <math.h>
#include <stdio.h>

TEST(the_clock)
{
    const struct ab_clock *c = ab_clock_of_host();
    printf("resolution %g ns, cost %.1f ns, counter %.4f GHz\n", c->resolution_ns, c->cost_ns,
           c->tsc_ghz);
    CHECK(c->resolution_ns > 0 && c->resolution_ns <= 1e6, "resolution %g ns", c->resolution_ns);
    CHECK(c->cost_ns > 0 && c->cost_ns < 1e5, "cost %g ns", c->cost_ns);
    CHECK(!c->backwards, "a monotonic clock ran backwards");
    CHECK(c->tsc_ghz == 0 || (c->tsc_ghz > 0.001 && c->tsc_ghz < 10), "%g GHz", c->tsc_ghz);
    const double start = ab_now_ns();
    CHECK(ab_clock_of_host() == c && ab_now_ns() - start < 1e6, "probed again");
}

static double best_ghz(void)
{
    double best = 0;
    for (int i = 0; i < 10; i++) best = fmax(best, ab_core_ghz());
    return best;
}

TEST(the_core)
{
    if (ab_core_ghz() == 0 || AB_TEST_SLOW) return; /* not known here; an emulator has no core */
    const double one = best_ghz(), two = best_ghz();
    printf("%.4f and %.4f GHz\n", one, two);
    CHECK(one > 0.3 && one < 8, "%g GHz", one);
    CHECK(fabs(one - two) < 0.1 * one, "%g and %g GHz", one, two);
    /* 100 more multiplications, each of the last one's result, take as long as the pace says. */
    double least = INFINITY;
    for (int i = 0; i < 1000; i++) {
        volatile float x = 1.0f;
        const double start = ab_now_ns();
        float y = x;
        for (int k = 0; k < 2000; k++) {
            y *= 0.9999f;
            __asm__ volatile("" : "+r"(y));
        }
        x = y;
        least = fmin(least, ab_now_ns() - start);
    }
    const double cycles = least * two / 2000;
    printf("%.2f cycles for a multiplication and two moves\n", cycles);
    CHECK(cycles > 2 && cycles < 20, "%g cycles", cycles);
}

TEST(subnormals_are_counted)
{
    const float values[] = {0,       -0.0f,    1,   1.17549435e-38f, 1.17549421e-38f, 1e-45f,
                            -1e-40f, INFINITY, NAN, -1.17549435e-38f};
    const size_t count = sizeof values / sizeof *values;
    CHECK(ab_subnormal_count(values, count) == 3, "%zu", ab_subnormal_count(values, count));
    const enum ab_denormals before = ab_denormals_set(AB_DENORMALS_FLUSH);
    const size_t flushing = ab_subnormal_count(values, count);
    ab_denormals_set(before);
    CHECK(flushing == 3, "%zu while flushing", flushing);
    CHECK(!ab_subnormal_count(values, 0), "of nothing");
}

static const struct test_case cases[] = {
    CASE(the_clock),
    CASE(the_core),
    CASE(subnormals_are_counted),
};
TEST_MAIN("clock", cases)
