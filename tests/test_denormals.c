// SPDX-License-Identifier: Apache-2.0
// What cores do with subnormal numbers, where it was asked for.
#include "base/base.h"
#include "support.h"

#include <string.h>

#include <omp.h>

static float halve(float value)
{
    volatile float x = value, half = 0.5f;
    return x * half;
}

TEST(subnormals_are_kept_or_flushed)
{
    const float least = 1.17549435e-38f;
    const enum ab_denormals before = ab_denormals_set(AB_DENORMALS_KEEP);
    CHECK(halve(least) > 0, "flushed");
    CHECK(ab_denormals_set(AB_DENORMALS_FLUSH) == AB_DENORMALS_KEEP, "what was set before");
    const float flushed = halve(least), seen = halve(4 * 1e-40f);
    const enum ab_denormals during = ab_denormals_set(before);
    CHECK(during == AB_DENORMALS_FLUSH, "what was set before");
    CHECK(flushed == 0, "a subnormal result is kept: %g", (double)flushed);
    CHECK(seen == 0, "a subnormal operand is seen: %g", (double)seen);
    CHECK(!strcmp(ab_denormals_name(during), "flush"), "name");
    CHECK(!strcmp(ab_denormals_name(AB_DENORMALS_KEEP), "keep"), "name");
}

static int flushing_threads(int threads)
{
    int count = 0;
#pragma omp parallel num_threads(threads) reduction(+ : count)
    count += halve(1.17549435e-38f) == 0;
    return count;
}

TEST(workers_flush_too)
{
    const int threads = omp_get_max_threads() > 1 ? 2 : 1;
    ab_denormals_set_all(AB_DENORMALS_FLUSH, threads);
    const int during = flushing_threads(threads);
    ab_denormals_set_all(AB_DENORMALS_KEEP, threads);
    CHECK(during == threads, "%d of %d threads flush", during, threads);
    CHECK(!flushing_threads(threads), "some go on");
}

static const struct test_case cases[] = {
    CASE(subnormals_are_kept_or_flushed),
    CASE(workers_flush_too),
};
TEST_MAIN("denormals", cases)
