// SPDX-License-Identifier: Apache-2.0
// Every select kernel: histograms equal to counts over sorted keys, three passes equal to sorting
// at every quantile, ranges, ties, signed zeros, denormals, infinities.
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KERNELS = 32, BINS = 2048, VALUES = 6 };

struct shape {
    int n, c, h, w;
};
static const struct shape shapes[] = {{1, 16, 1, 1}, {2, 3, 5, 7},  {1, 40, 3, 1},
                                      {2, 33, 4, 9}, {1, 64, 7, 7}, {1, 16, 1, 33}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };
static const char *const value_names[VALUES] = {"integers", "normal",  "relu",
                                                "zeros",    "special", "equal"};

struct problem {
    struct blocked x, a;
    uint32_t *keys; /* of image 0 in blocked order with padding, sorted */
    size_t count;
};

static float draw(int values, struct rng *r)
{
    const float special[] = {0.0f,     -0.0f,   0x1p-149f, -0x1p-149f, 0x1p-126f,
                             -3.4e38f, 3.4e38f, INFINITY,  -INFINITY,  1.0f};
    switch (values) {
    case 0: return (float)rng_between(r, -3, 3);
    case 1: return (float)rng_normal(r);
    case 2: return fmaxf((float)rng_normal(r), 0.0f);
    case 3: return rng_between(r, 0, 9) ? 0.0f : (float)rng_normal(r);
    case 4: return special[rng_between(r, 0, 9)];
    default: return -1.5f;
    }
}

static void fill(struct blocked *b, int values, struct rng *r)
{
    blocked_zero(b);
    for (int n = 0; n < b->n; n++)
        for (int c = 0; c < b->c; c++)
            for (int e = 0; e < b->h * b->w; e++)
                *blocked_at(b, n, c, e / b->w, e % b->w) = draw(values, r);
}

static int by_key(const void *p, const void *q)
{
    const uint32_t *a = p, *b = q;
    return (*a > *b) - (*a < *b);
}

/* Keys of the products in `range`, sorted. */
static void collect(struct problem *p, bool product, const struct ab_range *range)
{
    p->count = 0;
    for (int b = range->b0; b < range->b1; b++)
        for (int y = range->y0; y < range->y1; y++)
            for (int e = 0; e < p->x.w * AB_LANES; e++) {
                const int c = b * AB_LANES + e % AB_LANES, x = e / AB_LANES;
                float v = *blocked_at(&p->x, range->n0, c, y, x);
                if (product) v *= *blocked_at(&p->a, range->n0, c, y, x);
                p->keys[p->count++] = ab_float_key(v + 0.0f);
            }
    qsort(p->keys, p->count, sizeof *p->keys, by_key);
}

/* In `special`, a is 1 so that no product is NaN (inf * 0). */
static struct problem problem_new(struct shape s, int values, struct rng *r)
{
    const struct ab_halo hx = {1, 0, 0, 2}, ha = {0, 1, 2, 0};
    struct problem p = {.count = 0};
    p.x = blocked_new(s.n, s.c, s.h, s.w, hx, GUARD_RIGHT);
    p.a = blocked_new(s.n, s.c, s.h, s.w, ha, GUARD_LEFT);
    fill(&p.x, values, r);
    fill(&p.a, values == 4 ? 5 : values, r);
    const size_t all = (size_t)(ab_blocks(s.c) * s.h * s.w) * AB_LANES;
    p.keys = malloc(all * sizeof *p.keys);
    CHECK(p.keys != NULL, "no memory");
    return p;
}

static void problem_free(struct problem *p)
{
    free(p->keys);
    blocked_free(&p->x);
    blocked_free(&p->a);
}

static struct ab_select_args args_of(const struct problem *p, bool product, uint32_t *hist)
{
    struct ab_select_args a = {.x = p->x.view,
                               .blocks = ab_blocks(p->x.c),
                               .h = p->x.h,
                               .w = p->x.w,
                               .hist = hist,
                               .range = blocked_range(&p->x)};
    if (product) a.a = p->a.view;
    a.range.n1 = 1;
    return a;
}

static void check_histogram(const struct problem *p, const struct ab_select_args *a, uint32_t was)
{
    uint32_t want[BINS];
    for (int i = 0; i < BINS; i++) want[i] = was;
    for (size_t i = 0; i < p->count; i++)
        if (((p->keys[i] ^ a->prefix) & a->mask) == 0)
            want[(p->keys[i] & ~a->mask) >> a->shift & 2047]++;
    for (int i = 0; i < BINS; i++)
        CHECK(a->hist[i] == want[i], "bin %d: %u, want %u", i, (unsigned)a->hist[i],
              (unsigned)want[i]);
}

/* All passes at the prefix of a random element, over random ranges, added to what hist holds. */
TEST(histograms_count_keys)
{
    const struct ab_kernel *k[MAX_KERNELS];
    int count = kernels_of(AB_KERNEL_select, k, MAX_KERNELS);
    const int shifts[] = {21, 10, 0};
    const uint32_t masks[] = {0, 0xffe00000u, 0xfffffc00u};
    struct rng r = rng_new(1);
    for (int i = 0; i < count * SHAPES * VALUES * 6; i++) {
        const int s = i / count % SHAPES, values = i / count / SHAPES % VALUES;
        const int pass = i / count / SHAPES / VALUES % 3;
        const bool product = rng_between(&r, 0, 1), part = rng_between(&r, 0, 1);
        struct problem p = problem_new(shapes[s], values, &r);
        struct guarded g = guard_new(BINS * sizeof(uint32_t), 4, GUARD_RIGHT);
        struct ab_select_args a = args_of(&p, product, g.data);
        if (part) {
            a.range.n0 = rng_between(&r, 0, shapes[s].n - 1), a.range.n1 = a.range.n0 + 1;
            a.range.b0 = rng_between(&r, 0, a.range.b1 - 1);
            a.range.y0 = rng_between(&r, 0, a.range.y1 - 1);
            a.range.y1 = rng_between(&r, a.range.y0 + 1, a.range.y1);
        }
        collect(&p, product, &a.range);
        a.prefix = p.keys[rng_between(&r, 0, (int)p.count - 1)] & masks[pass];
        a.mask = masks[pass];
        a.shift = shifts[pass];
        for (int j = 0; j < BINS; j++) a.hist[j] = 7;
        context("%s shape %d %s%s pass %d", k[i % count]->name, s, value_names[values],
                product ? " product" : "", pass);
        k[i % count]->run(&a);
        check_histogram(&p, &a, 7);
        guard_check(&g);
        guard_free(&g);
        problem_free(&p);
    }
}

/* The key of a rank by three passes. */
static uint32_t select_rank(const struct ab_kernel *k, struct ab_select_args a, size_t rank)
{
    const int shifts[] = {21, 10, 0};
    const uint32_t digits[] = {2047, 2047, 1023};
    uint32_t hist[BINS];
    a.hist = hist;
    for (int pass = 0; pass < 3; pass++) {
        memset(hist, 0, sizeof hist);
        a.shift = shifts[pass];
        k->run(&a);
        uint32_t digit = 0;
        while (digit < digits[pass] && rank >= hist[digit]) rank -= hist[digit++];
        a.prefix |= digit << shifts[pass];
        a.mask |= digits[pass] << shifts[pass];
    }
    return a.prefix;
}

TEST(three_passes_equal_sorting)
{
    const struct ab_kernel *k[MAX_KERNELS];
    int count = kernels_of(AB_KERNEL_select, k, MAX_KERNELS);
    struct rng r = rng_new(2);
    for (int i = 0; i < count * SHAPES * VALUES; i++) {
        const int s = i / count % SHAPES, values = i / count / SHAPES;
        const bool product = rng_between(&r, 0, 1);
        struct problem p = problem_new(shapes[s], values, &r);
        struct ab_select_args a = args_of(&p, product, NULL);
        collect(&p, product, &a.range);
        for (int q = 0; q <= 20; q++) {
            const size_t rank = (size_t)llround((double)(p.count - 1) * q / 20.0);
            context("%s shape %d %s%s rank %zu of %zu", k[i % count]->name, s, value_names[values],
                    product ? " product" : "", rank, p.count);
            const uint32_t got = select_rank(k[i % count], a, rank), want = p.keys[rank];
            CHECK(got == want, "key %08x (%g), want %08x (%g)", (unsigned)got,
                  (double)ab_key_float(got), (unsigned)want, (double)ab_key_float(want));
        }
        problem_free(&p);
    }
}

/* The map itself: monotone and invertible along random floats in order. */
TEST(keys_keep_the_order)
{
    struct rng r = rng_new(3);
    for (int i = 0; i < 100000; i++) {
        float v[2];
        for (int j = 0; j < 2; j++) {
            uint32_t bits = (uint32_t)rng_next(&r);
            memcpy(&v[j], &bits, sizeof bits);
        }
        if (isnan(v[0]) || isnan(v[1])) continue;
        context("%a and %a", (double)v[0], (double)v[1]);
        CHECK((ab_float_key(v[0]) < ab_float_key(v[1])) == (v[0] < v[1]), "the order is lost");
        CHECK(float_bits(ab_key_float(ab_float_key(v[0]))) == float_bits(v[0]), "no inverse");
    }
    CHECK(ab_float_key(0.0f) == 0x80000000u && ab_float_key(-0.0f) == 0x7fffffffu, "zeros");
}

static const struct test_case cases[] = {
    CASE(histograms_count_keys),
    CASE(three_passes_equal_sorting),
    CASE(keys_keep_the_order),
};
TEST_MAIN("select", cases)
