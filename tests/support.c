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
#include <sys/mman.h>
#include <unistd.h>

#ifndef AB_NO_CMOCKA
#include <cmocka.h>
#else
#define print_error(...) fprintf(stderr, __VA_ARGS__)
static sigjmp_buf test_exit;
#endif

enum { SLACK_BYTE = 0xa5, MAX_CASES = 256 };

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
    size_t page = (size_t)sysconf(_SC_PAGESIZE), inner = (bytes + page - 1) / page * page;
    if (inner == 0) inner = page;
    struct guarded g = {.bytes = bytes, .map_bytes = inner + 2 * page};
    g.map = mmap(NULL, g.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(g.map != MAP_FAILED, "no memory for %zu bytes", g.map_bytes);
    CHECK(mprotect(g.map + page, inner, PROT_READ | PROT_WRITE) == 0, "mprotect failed");
    memset(g.map + page, SLACK_BYTE, inner);
    size_t shift = side == GUARD_LEFT ? 0 : (inner - bytes) / align * align;
    g.data = g.map + page + shift;
    fill_sentinel(g.data, bytes / sizeof(float));
    return g;
}

float *guard_floats(struct guarded *g, size_t count, size_t align, enum guard_side side)
{
    *g = guard_new(count * sizeof(float), align, side);
    return g->data;
}

void guard_check(const struct guarded *g)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const unsigned char *p = g->map + page, *end = g->map + g->map_bytes - page;
    for (; p < (const unsigned char *)g->data; p++)
        CHECK(*p == SLACK_BYTE, "a byte before the buffer was written");
    for (p = (const unsigned char *)g->data + g->bytes; p < end; p++)
        CHECK(*p == SLACK_BYTE, "a byte after the buffer was written");
}

void guard_free(struct guarded *g)
{
    if (g->map) munmap(g->map, g->map_bytes);
    *g = (struct guarded){0};
}

void fill_sentinel(float *p, size_t count)
{
    const uint32_t bits = SENTINEL_BITS;
    for (size_t i = 0; i < count; i++) memcpy(p + i, &bits, sizeof bits);
}

bool is_sentinel(float v)
{
    return float_bits(v) == SENTINEL_BITS;
}

/* ---- random numbers ---- */

struct rng rng_new(uint64_t salt)
{
    struct rng r = {strtoull(seed_text(), NULL, 10) * 0x9e3779b97f4a7c15u ^ salt};
    rng_next(&r);
    return r;
}

/* splitmix64 */
uint64_t rng_next(struct rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double rng_uniform(struct rng *r)
{
    return ((double)(rng_next(r) >> 12) + 0.5) * 0x1p-52;
}

int rng_between(struct rng *r, int lo, int hi)
{
    return lo + (int)(rng_next(r) % (uint64_t)((int64_t)hi - lo + 1));
}

double rng_normal(struct rng *r)
{
    double radius = sqrt(-2.0 * log(rng_uniform(r)));
    return radius * cos(6.283185307179586 * rng_uniform(r));
}

static float draw(enum fill fill, struct rng *r)
{
    switch (fill) {
    case FILL_INT: return rng_between(r, 0, 3) ? (float)rng_between(r, -3, 3) : 0.0f;
    case FILL_UINT: return (float)rng_between(r, 0, 3);
    case FILL_NORMAL: return (float)rng_normal(r);
    case FILL_RELU: return fmaxf((float)rng_normal(r), 0.0f);
    case FILL_NONNEG: return fabsf((float)rng_normal(r));
    case FILL_COUNT: break;
    }
    return 0.0f;
}

void fill_floats(float *p, size_t count, enum fill fill, struct rng *r)
{
    for (size_t i = 0; i < count; i++) p[i] = draw(fill, r);
}

bool fill_is_exact(enum fill fill)
{
    return fill == FILL_INT || fill == FILL_UINT;
}

const char *fill_name(enum fill fill)
{
    static const char *const names[] = {"int", "uint", "normal", "relu", "nonneg"};
    return names[fill];
}

/* ---- blocked tensors ---- */

struct blocked blocked_new(int n, int c, int h, int w, struct ab_halo halo, enum guard_side side)
{
    struct blocked b = {.halo = halo, .n = n, .c = c, .h = h, .w = w};
    b.view.row = (ptrdiff_t)(halo.left + w + halo.right) * AB_LANES;
    b.view.block = (halo.top + h + halo.bottom) * b.view.row;
    b.view.image = ab_blocks(c) * b.view.block;
    float *base = guard_floats(&b.mem, (size_t)(n * b.view.image), 64, side);
    memset(base, 0, b.mem.bytes);
    b.view.data = base + halo.top * b.view.row + halo.left * AB_LANES;
    return b;
}

void blocked_free(struct blocked *b)
{
    if (b->mem.map) guard_check(&b->mem);
    guard_free(&b->mem);
    b->view.data = NULL;
}

float *blocked_at(const struct blocked *b, int n, int c, int y, int x)
{
    const struct ab_view *v = &b->view;
    return v->data + n * v->image + c / AB_LANES * v->block + y * v->row + (ptrdiff_t)x * AB_LANES +
           c % AB_LANES;
}

static float *pixel(const struct blocked *b, int n, int block, int y, int x)
{
    return blocked_at(b, n, block * AB_LANES, y, x);
}

/* Walks all pixels, halo included; *inside tells which. Returns NULL at the end. */
struct walk {
    int n, b, y, x;
    bool inside, started;
};
static float *walk_next(const struct blocked *b, struct walk *k)
{
    int left = -b->halo.left, top = -b->halo.top;
    if (!k->started) {
        *k = (struct walk){0, 0, top, left, false, true};
    } else if (++k->x == b->w + b->halo.right) {
        k->x = left;
        if (++k->y == b->h + b->halo.bottom) {
            k->y = top;
            if (++k->b == ab_blocks(b->c)) {
                k->b = 0;
                k->n++;
            }
        }
    }
    if (k->n >= b->n || b->w + b->halo.left + b->halo.right == 0) return NULL;
    k->inside = k->y >= 0 && k->y < b->h && k->x >= 0 && k->x < b->w;
    return pixel(b, k->n, k->b, k->y, k->x);
}

void blocked_poison(struct blocked *b)
{
    float *p;
    for (struct walk k = {0}; (p = walk_next(b, &k)) != NULL;) {
        if (k.inside)
            fill_sentinel(p, AB_LANES);
        else
            memset(p, 0, AB_LANES * sizeof *p);
    }
}

void blocked_zero(struct blocked *b)
{
    memset(b->mem.data, 0, b->mem.bytes);
}

void blocked_fill(struct blocked *b, enum fill fill, struct rng *r)
{
    blocked_zero(b);
    for (int n = 0; n < b->n; n++)
        for (int c = 0; c < b->c; c++)
            for (int y = 0; y < b->h; y++)
                for (int x = 0; x < b->w; x++) *blocked_at(b, n, c, y, x) = draw(fill, r);
}

void blocked_from_nchw(struct blocked *b, const float *nchw)
{
    blocked_zero(b);
    for (int n = 0; n < b->n; n++)
        for (int c = 0; c < b->c; c++)
            for (int y = 0; y < b->h; y++)
                for (int x = 0; x < b->w; x++) *blocked_at(b, n, c, y, x) = *nchw++;
}

void blocked_to_nchw(const struct blocked *b, float *nchw)
{
    for (int n = 0; n < b->n; n++)
        for (int c = 0; c < b->c; c++)
            for (int y = 0; y < b->h; y++)
                for (int x = 0; x < b->w; x++) *nchw++ = *blocked_at(b, n, c, y, x);
}

static bool in_range(const struct ab_range *r, const struct walk *k)
{
    return k->n >= r->n0 && k->n < r->n1 && k->b >= r->b0 && k->b < r->b1 && k->y >= r->y0 &&
           k->y < r->y1;
}

void blocked_check_frame(const struct blocked *b, const struct ab_range *range)
{
    const float *p;
    for (struct walk k = {0}; (p = walk_next(b, &k)) != NULL;) {
        for (int l = 0; l < AB_LANES; l++) {
            int c = k.b * AB_LANES + l;
            if (!k.inside) {
                CHECK(float_bits(p[l]) == 0, "halo written at n %d c %d y %d x %d", k.n, c, k.y,
                      k.x);
            } else if (!in_range(range, &k)) {
                CHECK(is_sentinel(p[l]), "written outside the range at n %d c %d y %d x %d", k.n, c,
                      k.y, k.x);
            } else {
                CHECK(c < b->c || float_bits(p[l]) == 0, "padding lane %d is %g at n %d y %d x %d",
                      c, (double)p[l], k.n, k.y, k.x);
            }
        }
    }
    guard_check(&b->mem);
}

void blocked_check_same(const struct blocked *got, const struct blocked *want,
                        const struct ab_range *range)
{
    const float *p;
    for (struct walk k = {0}; (p = walk_next(got, &k)) != NULL;) {
        if (!k.inside || !in_range(range, &k)) continue;
        const float *q = pixel(want, k.n, k.b, k.y, k.x);
        for (int l = 0; l < AB_LANES; l++)
            CHECK(float_bits(p[l]) == float_bits(q[l]),
                  "n %d c %d y %d x %d: %.9g (%08x), want %.9g"
                  " (%08x)",
                  k.n, k.b * AB_LANES + l, k.y, k.x, (double)p[l], (unsigned)float_bits(p[l]),
                  (double)q[l], (unsigned)float_bits(q[l]));
    }
}

struct ab_range blocked_range(const struct blocked *b)
{
    return (struct ab_range){0, b->n, 0, ab_blocks(b->c), 0, b->h};
}

/* ---- comparisons ---- */

uint32_t float_bits(float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
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
