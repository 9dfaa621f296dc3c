// SPDX-License-Identifier: Apache-2.0
// The test layer and its helpers; support.h describes them.
#define _DEFAULT_SOURCE 1
#include "support.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef AB_NO_CMOCKA
#include <cmocka.h>
#else
#define print_error(...) fprintf(stderr, __VA_ARGS__)
static sigjmp_buf test_exit;
#endif

enum { MAX_CASES = 256 };

static char current[512];

/* ---- tests ---- */

void context(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(current, sizeof current, format, args);
    va_end(args);
}

static const char *seed_text(void)
{
    const char *s = getenv("AB_TEST_SEED");
    return s ? s : "1";
}

static _Noreturn void leave(const char *file, int line)
{
#ifndef AB_NO_CMOCKA
    _fail(file, line);
    abort();
#else
    print_error("%s:%d: failed\n", file, line);
    siglongjmp(test_exit, 1);
#endif
}

void test_fail(const char *file, int line, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    print_error("%s\n    in: %s\n    AB_TEST_SEED=%s\n", message, current, seed_text());
    leave(file, line);
}

/* SA_NODEFER: the jump out of the handler must leave the signal unblocked. */
static void on_crash(int sig)
{
    print_error("crash, signal %d\n    in: %s\n    AB_TEST_SEED=%s\n", sig, current, seed_text());
    leave("crash", sig);
}

static void catch_crashes(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action = {.sa_flags = SA_NODEFER};
    action.sa_handler = on_crash;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
}

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(name, argv[i])) return true;
    return argc < 2;
}

#ifndef AB_NO_CMOCKA

static void run_case(void **state)
{
    const struct test_case *test = *state;
    context("start of %s", test->name);
    catch_crashes();
    test->run();
}

int test_main(const char *suite, const struct test_case *cases, int count, int argc, char **argv)
{
    static struct CMUnitTest tests[MAX_CASES];
    size_t used = 0;
    for (int i = 0; i < count && used < MAX_CASES; i++) {
        if (!wanted(cases[i].name, argc, argv)) continue;
        void *state = (void *)(uintptr_t)&cases[i];
        tests[used++] = (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, state};
    }
    return _cmocka_run_group_tests(suite, tests, used, NULL, NULL) ? 1 : 0;
}

#else

int test_main(const char *suite, const struct test_case *cases, int count, int argc, char **argv)
{
    volatile int passed = 0, failed = 0;
    catch_crashes();
    for (volatile int i = 0; i < count; i++) {
        if (!wanted(cases[i].name, argc, argv)) continue;
        context("start of %s", cases[i].name);
        if (sigsetjmp(test_exit, 0) == 0) {
            cases[i].run();
            passed++;
            printf("ok   %s.%s\n", suite, cases[i].name);
        } else {
            failed++;
            printf("FAIL %s.%s\n", suite, cases[i].name);
        }
    }
    printf("%s: %d passed, %d failed\n", suite, passed, failed);
    return failed ? 1 : 0;
}

#endif

/* ---- memory ---- */

struct guarded guard_new(size_t bytes, size_t align, enum guard_side side)
{
    struct guarded g;
    CHECK(ab_guarded_new(&g, bytes, align, 0, (enum ab_guard_side)side), "no memory for %zu bytes",
          bytes);
    return g;
}

float *guard_floats(struct guarded *g, size_t count, size_t align, enum guard_side side)
{
    *g = guard_new(count * sizeof(float), align, side);
    return g->data;
}

void guard_check(const struct guarded *g)
{
    char why[256];
    CHECK(ab_guarded_check(g, why, sizeof why), "%s", why);
}

void guard_free(struct guarded *g)
{
    ab_guarded_free(g);
}

void fill_sentinel(float *p, size_t count)
{
    ab_sentinel_fill(p, count);
}

bool is_sentinel(float v)
{
    return ab_is_sentinel(v);
}

/* ---- random numbers ---- */

uint64_t test_seed(void)
{
    return strtoull(seed_text(), NULL, 10);
}

struct rng rng_new(uint64_t salt)
{
    return ab_rng_new(test_seed(), salt);
}

uint64_t rng_next(struct rng *r)
{
    return ab_rng_next(r);
}

double rng_uniform(struct rng *r)
{
    return ab_rng_uniform(r);
}

int rng_between(struct rng *r, int lo, int hi)
{
    return ab_rng_between(r, lo, hi);
}

double rng_normal(struct rng *r)
{
    return ab_rng_normal(r);
}

void fill_floats(float *p, size_t count, enum fill fill, struct rng *r)
{
    ab_fill_floats(p, count, (enum ab_fill)fill, r, NULL, 0);
}

bool fill_is_exact(enum fill fill)
{
    return ab_fill_is_exact((enum ab_fill)fill);
}

const char *fill_name(enum fill fill)
{
    return ab_fill_name((enum ab_fill)fill);
}

/* ---- blocked tensors ---- */

struct blocked blocked_new(int n, int c, int h, int w, struct ab_halo halo, enum guard_side side)
{
    struct blocked b;
    CHECK(ab_blocked_new(&b, n, c, h, w, halo, (enum ab_guard_side)side), "no memory for a tensor");
    return b;
}

void blocked_free(struct blocked *b)
{
    if (b->mem.map) guard_check(&b->mem);
    ab_blocked_free(b);
}

float *blocked_at(const struct blocked *b, int n, int c, int y, int x)
{
    return ab_blocked_at(b, n, c, y, x);
}

void blocked_poison(struct blocked *b)
{
    ab_blocked_poison(b);
}

void blocked_zero(struct blocked *b)
{
    ab_blocked_zero(b);
}

void blocked_fill(struct blocked *b, enum fill fill, struct rng *r)
{
    size_t count = (size_t)b->n * (size_t)b->c * (size_t)b->h * (size_t)b->w;
    float *nchw = malloc((count ? count : 1) * sizeof *nchw);
    CHECK(nchw != NULL, "no memory for %zu floats", count);
    fill_floats(nchw, count, fill, r);
    blocked_from_nchw(b, nchw);
    free(nchw);
}

void blocked_from_nchw(struct blocked *b, const float *nchw)
{
    ab_blocked_from_nchw(b, nchw);
}

void blocked_to_nchw(const struct blocked *b, float *nchw)
{
    ab_blocked_to_nchw(b, nchw);
}

void blocked_check_frame(const struct blocked *b, const struct ab_range *range)
{
    char why[256];
    CHECK(ab_blocked_check_frame(b, range, why, sizeof why), "%s", why);
}

void blocked_check_same(const struct blocked *got, const struct blocked *want,
                        const struct ab_range *range)
{
    char why[256];
    CHECK(ab_blocked_check_same(got, want, range, why, sizeof why), "%s", why);
}

struct ab_range blocked_range(const struct blocked *b)
{
    return ab_blocked_range(b);
}

/* ---- comparisons ---- */

uint32_t float_bits(float v)
{
    return ab_float_bits(v);
}

void check_same_bits(const float *got, const float *want, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK(float_bits(got[i]) == float_bits(want[i]),
              "element %zu: %.9g (%08x), want %.9g (%08x)", i, (double)got[i],
              (unsigned)float_bits(got[i]), (double)want[i], (unsigned)float_bits(want[i]));
}

double ulp_error(float got, double want)
{
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0.0 : INFINITY;
    float nearest = (float)want;
    if (isinf(nearest) || isinf(got)) return got == nearest ? 0.0 : INFINITY;
    double next = (double)nextafterf(fabsf(nearest), INFINITY), at = fabs((double)nearest);
    double ulp = isinf(next) ? at * 0x1p-23 : next - at;
    return fabs((double)got - want) / ulp;
}

double sum_bound(double n, double abs_sum)
{
    const double u = 0x1p-24;
    return u * fmin(n, 4.0 * sqrt(n)) * abs_sum / (1.0 - n * u) + n * 0x1p-149;
}

/* ---- kernels ---- */

int kernels_of(enum ab_kernel_op op, const struct ab_kernel **out, int max)
{
    int count, found = 0;
    const struct ab_kernel *all = ab_kernels(&count);
    for (int i = 0; i < count && found < max; i++)
        if (all[i].op == op && (ab_cpu_isas() >> all[i].isa & 1)) out[found++] = &all[i];
    return found;
}

const struct ab_kernel *kernel_ref(enum ab_kernel_op op)
{
    const struct ab_kernel *list[32];
    int count = kernels_of(op, list, 32);
    for (int i = 0; i < count; i++)
        if (list[i]->isa == AB_ISA_ref) return list[i];
    test_fail(__FILE__, __LINE__, "no ref kernel of %s", ab_kernel_op_name(op));
}
