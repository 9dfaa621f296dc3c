// SPDX-License-Identifier: Apache-2.0
// What the tests share: a thin layer over cmocka, guard-page buffers, blocked tensors, fills, and
// comparisons.
//
// A test file:
//
//     #include "support.h"
//     TEST(adds_up) { CHECK(1 + 1 == 2, "arithmetic is off"); }
//     static const struct test_case cases[] = {CASE(adds_up)};
//     TEST_MAIN("arithmetic", cases)
//
// Built with -DAB_NO_CMOCKA it needs libc alone (cross-compiled runs under an emulator): the same
// checks, one line per test, "N passed, M failed" at the end, exit status 1 on failure. Arguments
// of the program are name patterns (substrings) of the tests to run.
//
// A kernel test calls context("%s shape %d", ...) before every call. A failed check or a crash
// prints the context, so that it names the kernel and the shape, and the seed. The environment
// variable AB_TEST_SEED changes the seed of every random fill.
#ifndef AB_TESTS_SUPPORT_H
#define AB_TESTS_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../simd/kernels.h"
#include "../verify/memory.h"

/* 1 under sanitizers and emulators (of these the build tells): tests of many random networks then
 * take fewer. */
#if defined(AB_TEST_SLOW)
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define AB_TEST_SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define AB_TEST_SLOW 1
#endif
#endif
#ifndef AB_TEST_SLOW
#define AB_TEST_SLOW 0
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- tests ---- */

struct test_case {
    const char *name;
    void (*run)(void);
};

#define TEST(name) static void name(void)
#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
#define CHECK(ok, ...) ((ok) ? (void)0 : test_fail(__FILE__, __LINE__, __VA_ARGS__))
#define TEST_MAIN(suite, cases)                                                                    \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return test_main(suite, cases, (int)(sizeof(cases) / sizeof((cases)[0])), argc, argv);     \
    }

int test_main(const char *suite, const struct test_case *cases, int count, int argc, char **argv);

/* Ends the running test with a message. */
__attribute__((format(printf, 3, 4), noreturn)) void test_fail(const char *file, int line,
                                                               const char *format, ...);

/* Says what is about to be done; part of every failure message until the next call. */
__attribute__((format(printf, 1, 2))) void context(const char *format, ...);

/* ---- memory, random numbers, blocked tensors: those of verify/memory.h, whose findings fail the
 * test ---- */

#define guarded ab_guarded
#define blocked ab_blocked
#define rng     ab_rng

enum guard_side { GUARD_LEFT = AB_SIDE_LEFT, GUARD_RIGHT = AB_SIDE_RIGHT };
#define SENTINEL_BITS AB_SENTINEL_BITS

struct guarded guard_new(size_t bytes, size_t align, enum guard_side side);
float *guard_floats(struct guarded *g, size_t count, size_t align, enum guard_side side);
void guard_check(const struct guarded *g); /* fails if the slack was written */
void guard_free(struct guarded *g);

void fill_sentinel(float *p, size_t count);
bool is_sentinel(float v);

uint64_t test_seed(void);          /* AB_TEST_SEED */
struct rng rng_new(uint64_t salt); /* from it and salt */
uint64_t rng_next(struct rng *r);
double rng_uniform(struct rng *r);
int rng_between(struct rng *r, int lo, int hi);
double rng_normal(struct rng *r);

/* The first of enum ab_fill. */
enum fill {
    FILL_INT = AB_FILL_INT,
    FILL_UINT = AB_FILL_UINT,
    FILL_NORMAL = AB_FILL_NORMAL,
    FILL_RELU = AB_FILL_RELU,
    FILL_NONNEG = AB_FILL_NONNEG,
    FILL_COUNT
};
void fill_floats(float *p, size_t count, enum fill fill, struct rng *r);
bool fill_is_exact(enum fill fill);
const char *fill_name(enum fill fill);

struct blocked blocked_new(int n, int c, int h, int w, struct ab_halo halo, enum guard_side side);
void blocked_free(struct blocked *b); /* fails if the slack was written */
void blocked_poison(struct blocked *b);
/* Random interior, padding lanes +0. */
void blocked_fill(struct blocked *b, enum fill fill, struct rng *r);
void blocked_zero(struct blocked *b);
float *blocked_at(const struct blocked *b, int n, int c, int y, int x);
void blocked_from_nchw(struct blocked *b, const float *nchw);
void blocked_to_nchw(const struct blocked *b, float *nchw);
void blocked_check_frame(const struct blocked *b, const struct ab_range *range);
void blocked_check_same(const struct blocked *got, const struct blocked *want,
                        const struct ab_range *range);
struct ab_range blocked_range(const struct blocked *b);

/* ---- comparisons ---- */

uint32_t float_bits(float v);
void check_same_bits(const float *got, const float *want, size_t count);
/* |got - want| in units of the last place of the float nearest to want; NaN equals NaN. */
double ulp_error(float got, double want);
/* Bound on the error of a float sum of n terms in any order, abs_sum = sum of |terms|: u *
 * min(n, 4 sqrt(n)) * abs_sum / (1 - n u), and n * 2^-149 for underflow. */
double sum_bound(double n, double abs_sum);

/* ---- kernels ---- */

/* Kernels of `op` that this CPU runs; returns how many, at most max. `ref` is among them. */
int kernels_of(enum ab_kernel_op op, const struct ab_kernel **out, int max);
const struct ab_kernel *kernel_ref(enum ab_kernel_op op);

#ifdef __cplusplus
}
#endif
#endif
