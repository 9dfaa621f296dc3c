// SPDX-License-Identifier: Apache-2.0
// Every pooling kernel against ref on exact fills and against a naive double text on real ones:
// overlap, dilation, padding, ceil mode, both divisors, ties, NaN, ranges, adjointness.
#include "support.h"

#include <math.h>
#include <string.h>

enum { MAX_KERNELS = 32 };

/* n c ih iw oh ow kh kw sh sw dh dw pt pl pb pr include_pad; ceil mode: oh, ow one larger than the
 * floor of the division. */
static const struct ab_pool_shape shapes[] = {
    {1, 16, 4, 4, 2, 2, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, false},
    {2, 20, 7, 9, 3, 4, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, false},
    {1, 33, 7, 9, 4, 5, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, true}, /* ceil */
    {2, 5, 9, 11, 5, 6, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, false},
    {1, 16, 9, 11, 5, 6, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, true},
    {1, 40, 8, 10, 5, 6, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, true}, /* ceil, past the padded image */
    {1, 17, 6, 6, 3, 3, 3, 3, 2, 2, 1, 1, 0, 0, 0, 0, true},  /* ceil without padding */
    {3, 16, 5, 6, 5, 6, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, false},
    {1, 3, 5, 5, 1, 1, 5, 5, 1, 1, 1, 1, 0, 0, 0, 0, false}, /* global */
    {2, 48, 4, 5, 1, 1, 4, 5, 4, 5, 1, 1, 0, 0, 0, 0, true},
    {1, 16, 9, 8, 5, 3, 3, 2, 1, 2, 2, 3, 0, 1, 0, 1, false},  /* dilated */
    {1, 16, 7, 10, 2, 3, 2, 3, 4, 4, 1, 1, 0, 1, 0, 0, false}, /* gaps between windows */
    {1, 18, 6, 7, 6, 3, 1, 5, 1, 2, 1, 1, 0, 2, 0, 1, true},
    {1, 16, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, false},
    {2, 16, 4, 6, 2, 2, 2, 3, 2, 3, 1, 1, 0, 0, 0, 0, false},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static const enum ab_kernel_op ops[] = {AB_KERNEL_maxpool, AB_KERNEL_avgpool};

/* Both tensors of a pooling and the switches. x is at the input, y at the output. */
struct problem {
    struct ab_pool_shape s;
    struct blocked x, y;
    struct guarded switches;
};

static struct ab_halo odd_halo(struct rng *r)
{
    return (struct ab_halo){rng_between(r, 0, 2), rng_between(r, 0, 2), rng_between(r, 0, 2),
                            rng_between(r, 0, 2)};
}

static size_t switch_count(const struct ab_pool_shape *s)
{
    return (size_t)(s->n * ab_blocks(s->c) * s->oh * s->ow) * AB_LANES;
}

static struct problem problem_new(const struct ab_pool_shape *s, struct rng *r)
{
    const enum guard_side side = rng_between(r, 0, 1) ? GUARD_RIGHT : GUARD_LEFT;
    struct problem p = {.s = *s};
    p.x = blocked_new(s->n, s->c, s->ih, s->iw, odd_halo(r), side);
    p.y = blocked_new(s->n, s->c, s->oh, s->ow, odd_halo(r), side);
    p.switches = guard_new(switch_count(s) * sizeof(uint16_t), 32, side);
    return p;
}

static void problem_free(struct problem *p)
{
    blocked_free(&p->x);
    blocked_free(&p->y);
    guard_check(&p->switches);
    guard_free(&p->switches);
}

static struct ab_pool_args args_of(const struct problem *p, enum ab_pass pass)
{
    const struct blocked *src = pass == AB_FWD ? &p->x : &p->y;
    const struct blocked *dst = pass == AB_FWD ? &p->y : &p->x;
    return (struct ab_pool_args){.shape = p->s,
                                 .pass = pass,
                                 .src = src->view,
                                 .dst = dst->view,
                                 .switches = p->switches.data,
                                 .range = blocked_range(dst)};
}

/* Integers times `factor` into the tensor. */
static void fill_scaled(struct blocked *b, float factor, struct rng *r)
{
    blocked_fill(b, FILL_INT, r);
    float *p = b->mem.data;
    for (size_t i = 0; i < b->mem.bytes / sizeof *p; i++) p[i] *= factor;
}

/* Multiples of what these windows' counts divide (a*b for a, b <= 5): every share is an integer. */
static const float divisible = 3600.0f;

static void run(const struct ab_kernel *k, const struct ab_pool_args *a, int shape,
                const char *what)
{
    context("%s %s shape %d, %s", k->name, a->pass == AB_FWD ? "fwd" : "bwd", shape, what);
    k->run(a);
}

/* ---- bits of ref ---- */

static void against_ref(const struct ab_kernel *k, const struct ab_kernel *ref, int shape,
                        struct rng *r)
{
    struct problem got = problem_new(&shapes[shape], r), want = problem_new(&shapes[shape], r);
    fill_scaled(&got.x, divisible, r);
    blocked_poison(&got.y);
    blocked_poison(&want.y);
    struct ab_pool_args a = args_of(&got, AB_FWD), b = args_of(&want, AB_FWD);
    b.src = a.src;
    run(ref, &b, shape, "ref");
    run(k, &a, shape, "exact");
    blocked_check_frame(&got.y, &a.range);
    blocked_check_same(&got.y, &want.y, &a.range);
    if (k->op == AB_KERNEL_maxpool)
        CHECK(!memcmp(got.switches.data, want.switches.data, got.switches.bytes),
              "switches differ");
    else
        memset(got.switches.data, 0, got.switches.bytes);
    if (k->op == AB_KERNEL_maxpool) {
        a.switches = NULL;
        blocked_poison(&got.y);
        run(k, &a, shape, "without switches");
        blocked_check_same(&got.y, &want.y, &a.range);
    }

    fill_scaled(&got.y, divisible, r);
    blocked_poison(&got.x);
    blocked_poison(&want.x);
    a = args_of(&got, AB_BWD), b = args_of(&want, AB_BWD);
    b.src = a.src;
    run(ref, &b, shape, "ref");
    run(k, &a, shape, "exact");
    blocked_check_frame(&got.x, &a.range);
    blocked_check_same(&got.x, &want.x, &a.range);
    problem_free(&got);
    problem_free(&want);
}

TEST(exact_fills_give_the_bits_of_ref)
{
    struct rng r = rng_new(1);
    for (int o = 0; o < 2; o++) {
        const struct ab_kernel *k[MAX_KERNELS];
        int count = kernels_of(ops[o], k, MAX_KERNELS);
        for (int i = 0; i < count * SHAPES; i++)
            against_ref(k[i % count], kernel_ref(ops[o]), i / count, &r);
    }
}

/* ---- a naive text of its own, on NCHW arrays ---- */

static bool inside(const struct ab_pool_shape *s, int y, int x)
{
    return y >= 0 && y < s->ih && x >= 0 && x < s->iw;
}

static int naive_count(const struct ab_pool_shape *s, int oy, int ox)
{
    int count = 0;
    for (int ky = 0; ky < s->kh; ky++)
        for (int kx = 0; kx < s->kw; kx++) {
            int y = oy * s->sh + ky * s->dh, x = ox * s->sw + kx * s->dw; /* in the padded image */
            if (s->include_pad)
                count += y < s->pt + s->ih + s->pb && x < s->pl + s->iw + s->pr;
            else
                count += inside(s, y - s->pt, x - s->pl);
        }
    return count;
}

/* One output against the maximum or the average of its window, in double. */
static void check_output(const struct problem *p, bool is_max, int n, int c, int oy, int ox)
{
    const struct ab_pool_shape *s = &p->s;
    double sum = 0.0, size = 0.0, best = 0.0;
    int taps = 0;
    for (int ky = 0; ky < s->kh; ky++)
        for (int kx = 0; kx < s->kw; kx++) {
            int y = oy * s->sh - s->pt + ky * s->dh, x = ox * s->sw - s->pl + kx * s->dw;
            if (!inside(s, y, x)) continue;
            double v = (double)*blocked_at(&p->x, n, c, y, x);
            best = taps == 0 || v > best ? v : best;
            sum += v;
            size += fabs(v);
            taps++;
        }
    const double got = (double)*blocked_at(&p->y, n, c, oy, ox);
    const int count = naive_count(s, oy, ox);
    if (is_max)
        CHECK(got == best, "n %d c %d y %d x %d: %g, want %g", n, c, oy, ox, got, best);
    else
        CHECK(fabs(got - sum / count) <= sum_bound(taps + 1, size / count),
              "n %d c %d y %d x %d: %g, want %g", n, c, oy, ox, got, sum / count);
}

TEST(real_fills_match_a_naive_text)
{
    struct rng r = rng_new(2);
    for (int o = 0; o < 2; o++) {
        const struct ab_kernel *k[MAX_KERNELS];
        int count = kernels_of(ops[o], k, MAX_KERNELS);
        for (int i = 0; i < count * SHAPES * 3; i++) {
            struct problem p = problem_new(&shapes[i / count % SHAPES], &r);
            blocked_fill(&p.x, (enum fill)(FILL_NORMAL + i / count / SHAPES), &r);
            blocked_poison(&p.y);
            struct ab_pool_args a = args_of(&p, AB_FWD);
            run(k[i % count], &a, i / count % SHAPES, "real");
            for (int n = 0; n < p.s.n; n++)
                for (int c = 0; c < p.s.c; c++)
                    for (int e = 0; e < p.s.oh * p.s.ow; e++)
                        check_output(&p, o == 0, n, c, e / p.s.ow, e % p.s.ow);
            problem_free(&p);
        }
    }
}

/* ---- <F x, y> = <x, F^T y>, exactly on divisible integers ---- */

static double inner(const struct blocked *a, const struct blocked *b)
{
    double sum = 0.0;
    for (int n = 0; n < a->n; n++)
        for (int c = 0; c < a->c; c++)
            for (int y = 0; y < a->h; y++)
                for (int x = 0; x < a->w; x++)
                    sum += (double)*blocked_at(a, n, c, y, x) * (double)*blocked_at(b, n, c, y, x);
    return sum;
}

TEST(backward_is_the_adjoint)
{
    struct rng r = rng_new(3);
    for (int o = 0; o < 2; o++) {
        const struct ab_kernel *k[MAX_KERNELS];
        int count = kernels_of(ops[o], k, MAX_KERNELS);
        for (int i = 0; i < count * SHAPES; i++) {
            struct problem one = problem_new(&shapes[i / count], &r);
            struct problem two = problem_new(&shapes[i / count], &r);
            fill_scaled(&one.x, divisible, &r);
            fill_scaled(&two.y, divisible, &r);
            struct ab_pool_args fwd = args_of(&one, AB_FWD), bwd = args_of(&two, AB_BWD);
            bwd.switches = fwd.switches;
            run(k[i % count], &fwd, i / count, "adjoint");
            run(k[i % count], &bwd, i / count, "adjoint");
            double left = inner(&one.y, &two.y), right = inner(&one.x, &two.x);
            CHECK(left == right, "<Fx,y> is %.17g, <x,F'y> is %.17g", left, right);
            problem_free(&one);
            problem_free(&two);
        }
    }
}

/* ---- ranges ---- */

TEST(ranges_change_no_bit)
{
    struct rng r = rng_new(4);
    for (int o = 0; o < 2; o++) {
        const struct ab_kernel *k[MAX_KERNELS];
        int count = kernels_of(ops[o], k, MAX_KERNELS);
        for (int i = 0; i < count * SHAPES * 2; i++) {
            const int shape = i / count % SHAPES;
            const enum ab_pass pass = i / count / SHAPES ? AB_BWD : AB_FWD;
            struct problem whole = problem_new(&shapes[shape], &r);
            struct problem part = problem_new(&shapes[shape], &r);
            struct blocked *src = pass == AB_FWD ? &whole.x : &whole.y;
            struct blocked *dst = pass == AB_FWD ? &part.y : &part.x;
            blocked_fill(src, FILL_NORMAL, &r);
            for (size_t e = 0; e < switch_count(&whole.s); e++)
                ((uint16_t *)whole.switches.data)[e] =
                    (uint16_t)rng_between(&r, 0, whole.s.kh * whole.s.kw - 1);
            memcpy(part.switches.data, whole.switches.data, whole.switches.bytes);
            blocked_poison(dst);
            struct ab_pool_args a = args_of(&whole, pass), b = args_of(&part, pass);
            b.src = a.src;
            run(k[i % count], &a, shape, "whole");
            b.range.n0 = rng_between(&r, 0, b.range.n1 - 1);
            b.range.b0 = rng_between(&r, 0, b.range.b1 - 1);
            const struct ab_pool_shape *s = &shapes[shape];
            if (pass == AB_BWD && s->kh == s->sh && s->dh == 1 && s->pt == 0) {
                b.range.y0 = rng_between(&r, 0, s->ih / s->sh) * s->sh;
                const int end = rng_between(&r, b.range.y0 / s->sh, s->oh) * s->sh;
                b.range.y1 = end < s->ih ? end : s->ih;
            }
            if (pass == AB_FWD) b.range.y0 = rng_between(&r, 0, b.range.y1 - 1);
            if (pass == AB_FWD) b.range.y1 = rng_between(&r, b.range.y0, b.range.y1);
            run(k[i % count], &b, shape, "part");
            blocked_check_frame(dst, &b.range);
            blocked_check_same(dst, pass == AB_FWD ? &whole.y : &whole.x, &b.range);
            problem_free(&whole);
            problem_free(&part);
        }
    }
}

/* ---- epilogues ---- */

/* The backward pass with an epilogue gives the bits of the pass and the pointwise kernel after it.
 */
static void check_epilogue(const struct ab_kernel *k, int shape, enum ab_pointwise_kind kind,
                           struct rng *r)
{
    const struct ab_pool_shape *s = &shapes[shape];
    struct problem got = problem_new(s, r), want = problem_new(s, r);
    struct blocked a = blocked_new(s->n, s->c, s->ih, s->iw, odd_halo(r), GUARD_RIGHT);
    struct blocked z = blocked_new(s->n, s->c, s->ih, s->iw, odd_halo(r), GUARD_LEFT);
    const size_t words = (size_t)(s->n * ab_blocks(s->c) * s->ih * s->iw);
    struct guarded bits = guard_new(words * sizeof(uint16_t), sizeof(uint16_t), GUARD_RIGHT);
    blocked_fill(&a, FILL_INT, r);
    blocked_fill(&z, FILL_INT, r);
    blocked_fill(&got.y, FILL_NORMAL, r);
    for (size_t i = 0; i < words; i++)
        ((uint16_t *)bits.data)[i] = (uint16_t)rng_between(r, 0, 65535);
    for (size_t e = 0; e < switch_count(s); e++)
        ((uint16_t *)got.switches.data)[e] = (uint16_t)rng_between(r, 0, s->kh * s->kw - 1);
    const ptrdiff_t plane = (ptrdiff_t)s->ih * s->iw;
    const struct ab_pointwise f = {.kind = kind,
                                   .eps = 0.5f,
                                   .scale = 3.0f,
                                   .a = a.view,
                                   .z = z.view,
                                   .bits = {bits.data, plane * ab_blocks(s->c), plane, s->iw}};
    struct ab_pool_args with = args_of(&got, AB_BWD), without = args_of(&want, AB_BWD);
    with.f = f;
    without.src = with.src;
    without.switches = with.switches;
    blocked_poison(&got.x);
    blocked_poison(&want.x);
    run(k, &without, shape, "bare");
    const struct ab_pointwise_args after = {.f = f,
                                            .x = want.x.view,
                                            .dst = want.x.view,
                                            .n = s->n,
                                            .blocks = ab_blocks(s->c),
                                            .h = s->ih,
                                            .w = s->iw,
                                            .range = without.range};
    kernel_ref(AB_KERNEL_pointwise)->run(&after);
    run(k, &with, shape, "with an epilogue");
    blocked_check_frame(&got.x, &with.range);
    blocked_check_same(&got.x, &want.x, &with.range);
    guard_check(&bits);
    guard_free(&bits);
    blocked_free(&a);
    blocked_free(&z);
    problem_free(&got);
    problem_free(&want);
}

TEST(epilogues_equal_a_pointwise_pass)
{
    static const enum ab_pointwise_kind kinds[] = {
        AB_PW_GATE,    AB_PW_GUIDED,  AB_PW_MUL,       AB_PW_DIV,
        AB_PW_MULDIV,  AB_PW_RELU,    AB_PW_GATE_BITS, AB_PW_GUIDED_BITS,
        AB_PW_RESCALE, AB_PW_DIVDIFF, AB_PW_CAP_GATE,  AB_PW_CAP_GUIDED};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    struct rng r = rng_new(6);
    for (int o = 0; o < 2; o++) {
        const struct ab_kernel *k[MAX_KERNELS];
        int count = kernels_of(ops[o], k, MAX_KERNELS);
        for (int i = 0; i < count * SHAPES * KINDS; i++)
            check_epilogue(k[i % count], i / count % SHAPES, kinds[i / count / SHAPES], &r);
    }
}

/* ---- ties, infinities, NaN: the first maximum, NaN above all ---- */

TEST(first_of_equal_maxima_wins)
{
    const float v[] = {0.0f, -0.0f, 1.0f, -1.0f, INFINITY, -INFINITY, NAN, 1.0f, 0x1p-149f};
    const struct ab_kernel *k[MAX_KERNELS], *ref = kernel_ref(AB_KERNEL_maxpool);
    int count = kernels_of(AB_KERNEL_maxpool, k, MAX_KERNELS);
    struct rng r = rng_new(5);
    for (int i = 0; i < count * SHAPES * 4; i++) {
        const int shape = i / count % SHAPES;
        struct problem got = problem_new(&shapes[shape], &r);
        struct problem want = problem_new(&shapes[shape], &r);
        blocked_zero(&got.x);
        for (int n = 0; n < got.s.n; n++)
            for (int c = 0; c < got.s.c; c++)
                for (int e = 0; e < got.s.ih * got.s.iw; e++)
                    *blocked_at(&got.x, n, c, e / got.s.iw, e % got.s.iw) =
                        v[rng_between(&r, 0, i / count / SHAPES < 2 ? 8 : 3)];
        struct ab_pool_args a = args_of(&got, AB_FWD), b = args_of(&want, AB_FWD);
        b.src = a.src;
        run(ref, &b, shape, "ref");
        run(k[i % count], &a, shape, "ties");
        blocked_check_same(&got.y, &want.y, &a.range);
        CHECK(!memcmp(got.switches.data, want.switches.data, got.switches.bytes),
              "switches differ");
        problem_free(&got);
        problem_free(&want);
    }

    /* Ref itself, by hand: 1x4 window over 2, 5, 5, 3 and over NaN after 7. */
    const struct ab_pool_shape s = {1, 1, 1, 8, 1, 2, 1, 4, 1, 4, 1, 1, 0, 0, 0, 0, false};
    const float x[] = {2.0f, 5.0f, 5.0f, 3.0f, 7.0f, 1.0f, NAN, NAN};
    struct problem p = problem_new(&s, &r);
    blocked_from_nchw(&p.x, x);
    struct ab_pool_args a = args_of(&p, AB_FWD);
    run(ref, &a, -1, "by hand");
    const uint16_t *tap = p.switches.data;
    CHECK(*blocked_at(&p.y, 0, 0, 0, 0) == 5.0f && tap[0] == 1, "first of two fives");
    CHECK(isnan(*blocked_at(&p.y, 0, 0, 0, 1)) && tap[AB_LANES] == 2, "first NaN");
    problem_free(&p);
}

static const struct test_case cases[] = {
    CASE(exact_fills_give_the_bits_of_ref), CASE(real_fills_match_a_naive_text),
    CASE(backward_is_the_adjoint),          CASE(ranges_change_no_bit),
    CASE(epilogues_equal_a_pointwise_pass), CASE(first_of_equal_maxima_wins),
};
TEST_MAIN("pool", cases)
