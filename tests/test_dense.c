// SPDX-License-Identifier: Apache-2.0
// Every dense kernel against ref on exact fills and against a naive double sum on real ones: tails,
// unaligned rows between guard pages, ranges, sample counts, weight parts, epilogues.
#include "support.h"

#include <math.h>
#include <string.h>

enum { MAX_KERNELS = 32 };
static const struct {
    int in, out;
} shapes[] = {{1, 1},   {5, 3},   {16, 8},   {17, 9}, {33, 12},
              {100, 7}, {64, 21}, {257, 35}, {48, 1}, {3, 40}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };
static const char *const wmod_names[AB_W_COUNT] = {"all",    "pos", "neg",  "abs",
                                                   "square", "one", "gamma"};

/* Weights end or begin at a page that cannot be read; vectors are padded as the contract says. */
struct problem {
    struct guarded wei, bias, src, dst, add, a, z, mul;
    struct ab_dense_args args;
};

static int padded(int features)
{
    return ab_blocks(features) * AB_LANES;
}

/* `count` vectors of `features`, `stride` apart, padding +0. */
static float *vectors(struct guarded *g, int count, int features, int stride, enum fill fill,
                      enum guard_side side, struct rng *r)
{
    float *p = guard_floats(g, (size_t)count * (size_t)stride, 64, side);
    memset(p, 0, g->bytes);
    for (int n = 0; n < count; n++) fill_floats(p + n * stride, (size_t)features, fill, r);
    return p;
}

static void problem_new(struct problem *p, int in, int out, int n, enum ab_pass pass,
                        enum fill fill, enum guard_side side, struct rng *r)
{
    const int ns = pass == AB_FWD ? in : out, nd = pass == AB_FWD ? out : in;
    const int ss = padded(ns), ds = padded(nd) + AB_LANES;
    float *wei = guard_floats(&p->wei, (size_t)in * (size_t)out, 4, side);
    fill_floats(wei, (size_t)in * (size_t)out, fill == FILL_RELU ? FILL_NORMAL : fill, r);
    p->args = (struct ab_dense_args){.n = n,
                                     .in = in,
                                     .out = out,
                                     .pass = pass,
                                     .wei = wei,
                                     .src_stride = ss,
                                     .dst_stride = ds,
                                     .r0 = 0,
                                     .r1 = nd};
    p->args.src = vectors(&p->src, n, ns, ss, fill, side, r);
    p->args.bias = vectors(&p->bias, 1, out, padded(out), fill, side, r);
    p->args.add = vectors(&p->add, n, nd, ds, fill, side, r);
    p->args.f.a.data = vectors(&p->a, n, nd, ds, fill, side, r);
    p->args.f.z.data = vectors(&p->z, n, nd, ds, fill, side, r);
    p->args.f.a.image = p->args.f.z.image = ds;
    p->args.f.mul = vectors(&p->mul, 2, nd, ds, fill, side, r);
    p->args.f.add = p->args.f.mul + ds;
    p->args.f.scale = 1.0f;
    p->args.dst = guard_floats(&p->dst, (size_t)n * (size_t)ds, 64, side);
}

static void problem_free(struct problem *p)
{
    struct guarded *all[] = {&p->wei, &p->bias, &p->src, &p->dst, &p->add, &p->a, &p->z, &p->mul};
    for (int i = 0; i < 8; i++) {
        guard_check(all[i]);
        guard_free(all[i]);
    }
}

static void problem_new_random(struct problem *p, int i, enum fill fill, struct rng *r)
{
    const enum ab_pass pass = rng_between(r, 0, 1) ? AB_BWD : AB_FWD;
    problem_new(p, shapes[i % SHAPES].in, shapes[i % SHAPES].out, rng_between(r, 1, 9), pass, fill,
                rng_between(r, 0, 1) ? GUARD_RIGHT : GUARD_LEFT, r);
    p->args.wmod = (enum ab_wmod)rng_between(r, 0, AB_W_COUNT - 1);
    p->args.gain = (float)rng_between(r, 1, 3);
    if (rng_between(r, 0, 2) == 0) p->args.bias = NULL;
    if (rng_between(r, 0, 1) == 0) p->args.add = NULL;
}

static void describe(const struct ab_kernel *k, const struct ab_dense_args *a, const char *what)
{
    context("%s %s n %d in %d out %d wmod %s bias %d add %d epilogue %d range %d..%d: %s", k->name,
            a->pass == AB_FWD ? "fwd" : "bwd", a->n, a->in, a->out, wmod_names[a->wmod],
            a->bias != NULL, a->add != NULL, (int)a->f.kind, a->r0, a->r1, what);
}

static double weight(const struct ab_dense_args *a, float w)
{
    switch (a->wmod) {
    case AB_W_POS: return (double)fmaxf(w, 0.0f);
    case AB_W_NEG: return (double)fminf(w, 0.0f);
    case AB_W_ABS: return fabs((double)w);
    case AB_W_SQUARE: return (double)w * (double)w;
    case AB_W_ONE: return 1.0;
    case AB_W_GAMMA: return w > 0.0f ? (double)a->gain * (double)w : (double)w;
    default: return (double)w;
    }
}

/* Element r of sample n before the epilogue, and the sum of the sizes of its terms. */
static double naive(const struct ab_dense_args *a, int n, int r, double *size)
{
    const bool fwd = a->pass == AB_FWD;
    const int terms = fwd ? a->in : a->out;
    double sum = fwd && a->bias ? (double)a->bias[r] : 0.0;
    double add = a->add ? (double)a->add[n * a->dst_stride + r] : 0.0;
    *size = fabs(sum) + fabs(add);
    sum += add;
    for (int k = 0; k < terms; k++) {
        float w = fwd ? a->wei[(ptrdiff_t)r * a->in + k] : a->wei[(ptrdiff_t)k * a->in + r];
        double t = weight(a, w) * (double)a->src[n * a->src_stride + k];
        sum += t;
        *size += fabs(t);
    }
    return sum;
}

/* dst outside the range, the padding included, still holds SENTINEL. */
static void check_outside(const struct ab_dense_args *a)
{
    for (int n = 0; n < a->n; n++)
        for (int i = 0; i < a->dst_stride; i++)
            CHECK((i >= a->r0 && i < a->r1) || is_sentinel(a->dst[n * a->dst_stride + i]),
                  "sample %d: element %d outside the range was written", n, i);
}

TEST(exact_fills_give_the_bits_of_ref)
{
    const struct ab_kernel *k[MAX_KERNELS], *ref = kernel_ref(AB_KERNEL_dense);
    int count = kernels_of(AB_KERNEL_dense, k, MAX_KERNELS);
    struct rng r = rng_new(1);
    for (int i = 0; i < 40 * SHAPES; i++) {
        struct problem p;
        problem_new_random(&p, i, FILL_INT, &r);
        struct ab_dense_args want = p.args;
        struct guarded g;
        want.dst = guard_floats(&g, p.dst.bytes / sizeof(float), 64, GUARD_LEFT);
        describe(ref, &want, "as ref");
        ref->run(&want);
        check_outside(&want);
        for (int j = 0; j < count; j++) {
            fill_sentinel(p.args.dst, p.dst.bytes / sizeof(float));
            describe(k[j], &p.args, "exact");
            k[j]->run(&p.args);
            check_outside(&p.args);
            check_same_bits(p.args.dst, want.dst, p.dst.bytes / sizeof(float));
        }
        guard_free(&g);
        problem_free(&p);
    }
}

/* One more rounding than terms for each of bias, add, the modified weight and the final sum. */
TEST(real_fills_stay_within_the_bound)
{
    const struct ab_kernel *k[MAX_KERNELS];
    int count = kernels_of(AB_KERNEL_dense, k, MAX_KERNELS);
    struct rng r = rng_new(2);
    for (int i = 0; i < 20 * SHAPES; i++) {
        struct problem p;
        problem_new_random(&p, i, (enum fill)rng_between(&r, FILL_NORMAL, FILL_NONNEG), &r);
        const struct ab_dense_args *a = &p.args;
        const double chain = (a->pass == AB_FWD ? a->in : a->out) + 4;
        for (int j = 0; j < count; j++) {
            fill_sentinel(a->dst, p.dst.bytes / sizeof(float));
            describe(k[j], a, "real");
            k[j]->run(a);
            for (int n = 0; n < a->n; n++)
                for (int e = a->r0; e < a->r1; e++) {
                    double size, want = naive(a, n, e, &size);
                    double got = (double)a->dst[n * a->dst_stride + e];
                    CHECK(fabs(got - want) <= sum_bound(chain, size),
                          "sample %d element %d: %.9g, want %.9g within %.3g", n, e, got, want,
                          sum_bound(chain, size));
                }
        }
        problem_free(&p);
    }
}

/* Weights too large for the caches, which are walked in other ways. A part of the range only: ref
 * takes its time. */
TEST(large_layers_give_the_bits_of_ref)
{
    const struct ab_kernel *k[MAX_KERNELS], *ref = kernel_ref(AB_KERNEL_dense);
    int count = kernels_of(AB_KERNEL_dense, k, MAX_KERNELS);
    struct rng r = rng_new(5);
    const int samples[] = {1, 2, 3, 9};
    for (int i = 0; i < 8; i++) {
        struct problem p;
        problem_new(&p, 2053, 3079, samples[i / 2], i % 2 ? AB_BWD : AB_FWD, FILL_INT, GUARD_RIGHT,
                    &r);
        const size_t floats = p.dst.bytes / sizeof(float);
        struct guarded g;
        p.args.r0 = 3;
        p.args.r1 = i % 2 ? 600 : 46;
        struct ab_dense_args want = p.args;
        want.dst = guard_floats(&g, floats, 64, GUARD_LEFT);
        fill_sentinel(want.dst, floats);
        ref->run(&want);
        for (int j = 0; j < count; j++) {
            fill_sentinel(p.args.dst, floats);
            describe(k[j], &p.args, "large");
            k[j]->run(&p.args);
            check_same_bits(p.args.dst, want.dst, floats);
        }
        guard_free(&g);
        problem_free(&p);
    }
}

/* Though one sample and many walk large weights in different ways. */
TEST(samples_of_large_layers_do_not_depend_on_their_number)
{
    const struct ab_kernel *k[MAX_KERNELS];
    int count = kernels_of(AB_KERNEL_dense, k, MAX_KERNELS);
    struct rng r = rng_new(6);
    for (int i = 0; i < 2; i++) {
        struct problem p;
        problem_new(&p, 2053, 3079, 7, i ? AB_BWD : AB_FWD, FILL_NORMAL, GUARD_RIGHT, &r);
        p.args.r0 = 3;
        p.args.r1 = i ? 600 : 46;
        const size_t floats = p.dst.bytes / sizeof(float);
        struct guarded g;
        float *single = guard_floats(&g, floats, 64, GUARD_LEFT);
        for (int j = 0; j < count; j++) {
            fill_sentinel(p.args.dst, floats);
            fill_sentinel(single, floats);
            describe(k[j], &p.args, "large, one by one");
            k[j]->run(&p.args);
            struct ab_dense_args one = p.args;
            one.n = 1;
            for (int n = 0; n < p.args.n; n++) {
                one.src = p.args.src + n * p.args.src_stride;
                one.dst = single + n * p.args.dst_stride;
                one.add = p.args.add + n * p.args.dst_stride;
                k[j]->run(&one);
            }
            check_same_bits(single, p.args.dst, floats);
        }
        guard_free(&g);
        problem_free(&p);
    }
}

/* Chains of calls, whatever parts of the weights they want, give the bits of single ones; sums made
 * without bias, add and epilogue, and finished afterwards, those of a call that does all at once.
 */
static void check_chain(const struct ab_kernel *kernel, const struct problem *p, int calls,
                        struct rng *r)
{
    enum { MOST = 6 };
    const size_t floats = p->dst.bytes / sizeof(float);
    struct guarded together[MOST], alone, sums;
    struct ab_dense_args chain[MOST] = {{0}};
    for (int i = 0; i < calls; i++) {
        chain[i] = p->args;
        chain[i].dst = guard_floats(&together[i], floats, 64, GUARD_LEFT);
        fill_sentinel(chain[i].dst, floats);
        chain[i].wmod = (enum ab_wmod)rng_between(r, 0, AB_W_COUNT - 1);
        chain[i].n = rng_between(r, 1, p->args.n);
        chain[i].f.kind = rng_between(r, 0, 1) ? AB_PW_MULDIV : AB_PW_COPY;
        if (rng_between(r, 0, 1)) chain[i].bias = NULL;
        if (rng_between(r, 0, 1)) chain[i].add = NULL;
        chain[i].next = i + 1 < calls ? &chain[i + 1] : NULL;
    }
    describe(kernel, chain, "chain");
    kernel->run(chain);
    for (int i = 0; i < calls; i++) {
        struct ab_dense_args one = chain[i];
        one.next = NULL;
        one.dst = guard_floats(&alone, floats, 64, GUARD_LEFT);
        fill_sentinel(one.dst, floats);
        describe(kernel, &one, "alone");
        kernel->run(&one);
        check_same_bits(together[i].data, one.dst, floats);

        struct ab_dense_args rest = one, raw = one;
        raw.dst = guard_floats(&sums, floats, 64, GUARD_LEFT);
        raw.bias = raw.add = NULL;
        raw.f.kind = AB_PW_COPY;
        kernel->run(&raw);
        rest.src = NULL;
        rest.sums = raw.dst;
        rest.sums_stride = raw.dst_stride;
        fill_sentinel(together[i].data, floats);
        rest.dst = together[i].data;
        describe(kernel, &rest, "finished");
        kernel->run(&rest);
        if (ab_kernel_shares_sums(kernel)) check_same_bits(rest.dst, one.dst, floats);
        guard_free(&alone);
        guard_free(&sums);
    }
    for (int i = 0; i < calls; i++) guard_free(&together[i]);
}

TEST(chains_give_the_bits_of_single_calls)
{
    const struct ab_kernel *k[MAX_KERNELS];
    const int count = kernels_of(AB_KERNEL_dense, k, MAX_KERNELS);
    struct rng r = rng_new(7);
    for (int i = 0; i < 4 * SHAPES * count; i++) {
        struct problem p;
        problem_new_random(&p, i / count, FILL_NORMAL, &r);
        p.args.r0 = rng_between(&r, 0, p.args.r1 - 1);
        check_chain(k[i % count], &p, rng_between(&r, 1, 6), &r);
        problem_free(&p);
    }
}

/* W beyond the caches, which chains read once; more samples than a walk takes. */
TEST(chains_of_large_layers)
{
    const struct ab_kernel *k[MAX_KERNELS];
    const int count = kernels_of(AB_KERNEL_dense, k, MAX_KERNELS);
    struct rng r = rng_new(8);
    for (int i = 0; i < 4; i++) {
        struct problem p;
        problem_new(&p, 2053, 3079, i < 2 ? 3 : 12, i % 2 ? AB_BWD : AB_FWD, FILL_RELU, GUARD_RIGHT,
                    &r);
        p.args.gain = 1.25f;
        p.args.r0 = 3;
        p.args.r1 = i % 2 ? 600 : 46;
        for (int j = 0; j < count; j++)
            if (k[j]->isa != AB_ISA_ref) check_chain(k[j], &p, 5, &r);
        problem_free(&p);
    }
}

/* Parts of the range, and samples one by one, give the bits of the whole. */
TEST(splits_change_no_bit)
{
    const struct ab_kernel *k[MAX_KERNELS];
    int count = kernels_of(AB_KERNEL_dense, k, MAX_KERNELS);
    struct rng r = rng_new(3);
    for (int i = 0; i < 6 * SHAPES * count; i++) {
        const struct ab_kernel *kernel = k[i % count];
        struct problem p;
        problem_new_random(&p, i / count, FILL_NORMAL, &r);
        const size_t floats = p.dst.bytes / sizeof(float);
        const int end = p.args.r1, cut = rng_between(&r, 0, end), cut2 = rng_between(&r, cut, end);
        kernel->run(&p.args);
        struct guarded g;
        struct ab_dense_args part = p.args;
        part.dst = guard_floats(&g, floats, 64, GUARD_LEFT);
        const int from[] = {cut, 0, cut2}, to[] = {cut2, cut, end};
        part.r0 = from[0], part.r1 = to[0];
        describe(kernel, &part, "part");
        kernel->run(&part);
        check_outside(&part);
        for (int t = 1; t < 3; t++) {
            part.r0 = from[t], part.r1 = to[t];
            kernel->run(&part);
        }
        check_same_bits(part.dst, p.args.dst, floats);

        fill_sentinel(part.dst, floats);
        part = (struct ab_dense_args){0}, part = p.args, part.dst = g.data, part.n = 1;
        describe(kernel, &part, "one by one");
        for (int n = 0; n < p.args.n; n++) {
            kernel->run(&part);
            part.src += part.src_stride;
            part.dst += part.dst_stride;
            if (part.add) part.add += part.dst_stride;
        }
        check_same_bits(g.data, p.args.dst, floats);
        guard_free(&g);
        problem_free(&p);
    }
}

/* The epilogue gives the bits of the pointwise ref kernel applied afterwards. */
TEST(epilogues_equal_a_pointwise_pass)
{
    const struct ab_kernel *k[MAX_KERNELS], *pointwise = kernel_ref(AB_KERNEL_pointwise);
    int count = kernels_of(AB_KERNEL_dense, k, MAX_KERNELS);
    struct rng r = rng_new(4);
    const float tau[16] = {0.0f, 1.0f, -1.0f, 2.0f, 0.0f, 5.0f, 1.0f, 1.0f, 0.0f, 3.0f};
    enum { KINDS = AB_PW_AFFINE + 1 }; /* those of vectors */
    for (int i = 0; i < 4 * KINDS * count; i++) {
        const struct ab_kernel *kernel = k[i % count];
        struct problem p;
        problem_new_random(&p, i / count, FILL_INT, &r);
        p.args.f.eps = rng_between(&r, 0, 1) ? 0.25f : 0.0f;
        p.args.f.scale = rng_between(&r, 0, 1) ? 1.0f : -1.5f;
        p.args.f.tau = tau;
        if (rng_between(&r, 0, 1)) p.args.f.add = NULL;
        p.args.f.kind = AB_PW_COPY;
        p.args.r0 = rng_between(&r, 0, p.args.r1 - 1);
        const size_t floats = p.dst.bytes / sizeof(float);
        kernel->run(&p.args);

        const enum ab_pointwise_kind kind = (enum ab_pointwise_kind)(i / count % KINDS);
        struct guarded g;
        float *want = guard_floats(&g, floats, 64, GUARD_LEFT);
        const int stride = (int)p.args.dst_stride, lanes = stride / AB_LANES;
        struct ab_view in = {p.args.dst, stride, AB_LANES, AB_LANES}, out = {want, stride, 16, 16};
        struct ab_pointwise_args pw = {.f = p.args.f,
                                       .x = in,
                                       .dst = out,
                                       .n = p.args.n,
                                       .blocks = lanes,
                                       .h = 1,
                                       .w = 1,
                                       .range = {0, p.args.n, 0, lanes, 0, 1}};
        pw.f.kind = kind;
        pw.f.a.block = pw.f.a.row = pw.f.z.block = pw.f.z.row = AB_LANES;
        pointwise->run(&pw);

        fill_sentinel(p.args.dst, floats);
        p.args.f.kind = kind;
        describe(kernel, &p.args, "with epilogue");
        kernel->run(&p.args);
        check_outside(&p.args);
        for (int n = 0; n < p.args.n; n++)
            check_same_bits(p.args.dst + n * stride + p.args.r0, want + n * stride + p.args.r0,
                            (size_t)(p.args.r1 - p.args.r0));
        guard_free(&g);
        problem_free(&p);
    }
}

static const struct test_case cases[] = {
    CASE(samples_of_large_layers_do_not_depend_on_their_number),
    CASE(exact_fills_give_the_bits_of_ref),
    CASE(real_fills_stay_within_the_bound),
    CASE(large_layers_give_the_bits_of_ref),
    CASE(chains_give_the_bits_of_single_calls),
    CASE(chains_of_large_layers),
    CASE(splits_change_no_bit),
    CASE(epilogues_equal_a_pointwise_pass),
};
TEST_MAIN("dense", cases)
