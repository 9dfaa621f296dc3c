// SPDX-License-Identifier: Apache-2.0
// Every pointwise kernel against the definition in double: all kinds, tails, views, ranges,
// special values.
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct shape {
    int n, c, h, w;
};
static const struct shape shapes[] = {{1, 16, 1, 1}, {2, 3, 5, 7},   {1, 40, 3, 1},
                                      {3, 33, 2, 9}, {1, 16, 1, 33}, {2, 64, 7, 6}};
enum {
    SHAPES = sizeof shapes / sizeof shapes[0],
    MAX_KERNELS = 32,
    MAX_C = 64,
    MAX_N = 4,
    MAX_WORDS = 512
};
static const char *const kind_names[AB_PW_COUNT] = {
    "copy",      "relu",        "neg",    "abs",      "gate",       "guided",    "rect",
    "mul",       "div",         "muldiv", "rescale",  "divdiff",    "add",       "sub",
    "scale",     "affine",      "cap",    "cap-gate", "cap-guided", "relu+bits", "cap+bits",
    "gate+bits", "guided+bits", "guard",  "rest"};

/* Operands and result of one problem. */
struct problem {
    struct blocked x, a, z, dst;
    float tau[MAX_N], mul[MAX_C], add[MAX_C];
    struct guarded words;
    uint16_t given[MAX_WORDS]; /* the words before the run */
    struct ab_pointwise_args args;
};

static struct ab_halo odd_halo(struct rng *r)
{
    return (struct ab_halo){rng_between(r, 0, 1), rng_between(r, 0, 2), rng_between(r, 0, 2),
                            rng_between(r, 0, 1)};
}

static bool has_bits(enum ab_pointwise_kind kind)
{
    return kind >= AB_PW_RELU_BITS && kind <= AB_PW_REST_BITS;
}

static bool has_cap(enum ab_pointwise_kind kind)
{
    return kind == AB_PW_CAP || kind == AB_PW_CAP_GATE || kind == AB_PW_CAP_GUIDED ||
           kind == AB_PW_CAP_BITS;
}

/* Random words, rows and blocks apart by more than they need. */
static void bits_new(struct problem *p, struct shape s, enum guard_side side, struct rng *r)
{
    struct ab_bits *b = &p->args.f.bits;
    b->row = s.w + rng_between(r, 0, 1);
    b->block = b->row * s.h + rng_between(r, 0, 2);
    b->image = b->block * ab_blocks(s.c);
    const size_t count = (size_t)b->image * (size_t)s.n;
    CHECK(count <= MAX_WORDS, "%zu words", count);
    p->words = guard_new(count * sizeof *b->data, sizeof *b->data, side);
    b->data = p->words.data;
    for (size_t i = 0; i < count; i++)
        p->given[i] = b->data[i] = (uint16_t)rng_between(r, 0, 65535);
}

/* Each tensor gets a halo, hence strides, of its own. */
static void problem_new(struct problem *p, struct shape s, enum fill fill, enum guard_side side,
                        struct rng *r)
{
    struct blocked *all[] = {&p->x, &p->a, &p->z, &p->dst};
    for (int i = 0; i < 4; i++) {
        *all[i] = blocked_new(s.n, s.c, s.h, s.w, odd_halo(r), side);
        blocked_fill(all[i], fill, r);
    }
    blocked_poison(&p->dst);
    fill_floats(p->tau, MAX_N, fill, r);
    memset(p->mul, 0, sizeof p->mul);
    memset(p->add, 0, sizeof p->add);
    fill_floats(p->mul, (size_t)s.c, fill, r);
    fill_floats(p->add, (size_t)s.c, fill, r);
    p->args = (struct ab_pointwise_args){.f = {.eps = 0.25f,
                                               .scale = 1.0f,
                                               .a = p->a.view,
                                               .z = p->z.view,
                                               .tau = p->tau,
                                               .mul = p->mul,
                                               .add = p->add},
                                         .x = p->x.view,
                                         .dst = p->dst.view,
                                         .n = s.n,
                                         .blocks = ab_blocks(s.c),
                                         .h = s.h,
                                         .w = s.w,
                                         .range = blocked_range(&p->dst)};
    bits_new(p, s, side, r);
}

static void problem_free(struct problem *p)
{
    blocked_free(&p->x);
    blocked_free(&p->a);
    blocked_free(&p->z);
    blocked_free(&p->dst);
    guard_check(&p->words);
    guard_free(&p->words);
}

static bool bit_of(const struct ab_bits *b, const uint16_t *words, int n, int c, int y, int x)
{
    const ptrdiff_t at = n * b->image + c / AB_LANES * b->block + y * b->row + x;
    return words[at] >> c % AB_LANES & 1;
}

/* Bits where the kind makes them, inside the range; untouched words elsewhere. */
static void check_bits(const struct problem *p, const struct ab_range *r)
{
    const struct ab_pointwise *f = &p->args.f;
    const bool makes =
        has_bits(f->kind) && f->kind != AB_PW_GATE_BITS && f->kind != AB_PW_GUIDED_BITS;
    for (int n = 0; n < p->x.n; n++)
        for (int c = 0; c < p->args.blocks * AB_LANES; c++)
            for (int y = 0; y < p->x.h; y++)
                for (int x = 0; x < p->x.w; x++) {
                    const int b = c / AB_LANES;
                    const bool in = n >= r->n0 && n < r->n1 && b >= r->b0 && b < r->b1 &&
                                    y >= r->y0 && y < r->y1;
                    const bool got = bit_of(&f->bits, f->bits.data, n, c, y, x);
                    bool want = bit_of(&f->bits, p->given, n, c, y, x);
                    if (makes && in) {
                        const float v = *blocked_at(&p->x, n, c, y, x);
                        const float a = *blocked_at(&p->a, n, c, y, x);
                        const float sum = f->kind != AB_PW_REST_BITS ? v : a > 0 ? a - v : 0.0f;
                        want = !(fabsf(a) <= fabsf(f->scale * sum));
                        if (f->kind == AB_PW_RELU_BITS) want = v > 0.0f;
                        if (f->kind == AB_PW_CAP_BITS) want = v > 0.0f && v < f->scale;
                    }
                    CHECK(got == want, "bit of n %d c %d y %d x %d is %d", n, c, y, x, got);
                }
}

/* By cases of the signs, each of whose quotients the kernels round once before the product. */
static double rescale(float x, float a, float z)
{
    const float t = a > z ? a : z, b = a > z ? z : a;
    if (!(t > 0.0f)) return 0.0;
    if (!(b < 0.0f)) return (double)(x * (t / t));
    return (double)(x * (t / (t - b)));
}

/* NaN stays. */
static double clipped(float x, float cap)
{
    return isnan(x) ? (double)x : fmin(fmax((double)x, 0.0), (double)cap);
}

/* The rule as kernels.h words it, written a second time. NaN: kinds that keep x keep it. */
static double expect(const struct ab_pointwise *f, int n, int c, float x, float a, float z,
                     bool bit)
{
    double num = (double)(f->scale * (f->kind == AB_PW_MULDIV ? x * a : x));
    float st = z + f->eps * (z >= 0.0f ? 1.0f : -1.0f);
    switch (f->kind) {
    case AB_PW_COPY: return (double)x;
    case AB_PW_RELU: return isnan(x) || x > 0.0f ? (double)x : 0.0;
    case AB_PW_NEG: return isnan(x) || x < 0.0f ? (double)x : 0.0;
    case AB_PW_ABS: return fabs((double)x);
    case AB_PW_GATE: return a > 0.0f ? (double)x : 0.0;
    case AB_PW_GUIDED: return a > 0.0f && (isnan(x) || x > 0.0f) ? (double)x : 0.0;
    case AB_PW_RECT: return a * x > f->tau[n] ? (double)x : 0.0;
    case AB_PW_MUL: return (double)x * (double)a;
    case AB_PW_DIV: return st == 0.0f ? 0.0 : num / (double)st;
    case AB_PW_MULDIV: return st == 0.0f ? 0.0 : num / (double)st;
    case AB_PW_RESCALE: return rescale(x, a, z);
    case AB_PW_DIVDIFF: st = a - z; return st == 0.0f ? 0.0 : (double)x / (double)st;
    case AB_PW_ADD: return (double)x + (double)a;
    case AB_PW_SUB: return (double)x - (double)a;
    case AB_PW_SCALE: return num;
    case AB_PW_AFFINE: return (double)x * (double)f->mul[c] + (f->add ? (double)f->add[c] : 0.0);
    case AB_PW_CAP:
    case AB_PW_CAP_BITS: return clipped(x, f->scale);
    case AB_PW_CAP_GATE: return a > 0.0f && a < f->scale ? (double)x : 0.0;
    case AB_PW_CAP_GUIDED:
        return a > 0.0f && a < f->scale && (isnan(x) || x > 0.0f) ? (double)x : 0.0;
    case AB_PW_RELU_BITS: return isnan(x) || x > 0.0f ? (double)x : 0.0;
    case AB_PW_GATE_BITS: return bit ? (double)x : 0.0;
    case AB_PW_GUIDED_BITS: return bit && (isnan(x) || x > 0.0f) ? (double)x : 0.0;
    case AB_PW_GUARD_BITS: return (double)x;
    case AB_PW_REST_BITS: return a > 0.0f ? (double)a - (double)x : 0.0;
    case AB_PW_COUNT: break;
    }
    return 0.0;
}

/* One rounding separates a result from the double one, save for AFFINE: its terms may cancel, so
 * that they give the bound, and it may be fused or not. */
static void check_values(const struct problem *p, const struct ab_range *r)
{
    const struct ab_pointwise *f = &p->args.f;
    for (int n = r->n0; n < r->n1; n++)
        for (int c = r->b0 * AB_LANES; c < p->x.c && c < r->b1 * AB_LANES; c++)
            for (int y = r->y0; y < r->y1; y++)
                for (int x = 0; x < p->x.w; x++) {
                    float v = *blocked_at(&p->x, n, c, y, x), a = *blocked_at(&p->a, n, c, y, x);
                    float z = *blocked_at(&p->z, n, c, y, x),
                          got = *blocked_at(&p->dst, n, c, y, x);
                    bool bit = bit_of(&f->bits, p->given, n, c, y, x);
                    double want = expect(f, n, c, v, a, z, bit), ulps = ulp_error(got, want);
                    double terms = fabs((double)v * (double)f->mul[c]) + fabs((double)f->add[c]);
                    if (f->kind == AB_PW_AFFINE && !isnan(want))
                        CHECK(fabs((double)got - want) <= 2.0 * 0x1p-24 * terms, "affine %g", want);
                    else
                        CHECK(ulps <= 0.5,
                              "n %d c %d y %d x %d: f(%g; %g, %g) is %.9g, want %.9g, %g ulp", n, c,
                              y, x, (double)v, (double)a, (double)z, (double)got, want, ulps);
                }
}

TEST(all_kinds_match_the_definition)
{
    const struct ab_kernel *k[MAX_KERNELS];
    int count = kernels_of(AB_KERNEL_pointwise, k, MAX_KERNELS);
    struct rng r = rng_new(1);
    for (int i = 0; i < count * SHAPES * AB_PW_COUNT * FILL_COUNT; i++) {
        int ki = i % count, s = i / count % SHAPES, kind = i / count / SHAPES % AB_PW_COUNT;
        int fill = i / count / SHAPES / AB_PW_COUNT;
        struct problem p;
        problem_new(&p, shapes[s], (enum fill)fill, i & 1 ? GUARD_RIGHT : GUARD_LEFT, &r);
        p.args.f.kind = (enum ab_pointwise_kind)kind;
        if (rng_between(&r, 0, 2) == 0) p.args.f.scale = has_cap(p.args.f.kind) ? 2.5f : -2.5f;
        if (rng_between(&r, 0, 2) == 0) p.args.f.eps = 0.0f;
        context("%s %s shape %d fill %s", k[ki]->name, kind_names[kind], s,
                fill_name((enum fill)fill));
        k[ki]->run(&p.args);
        struct ab_range all = blocked_range(&p.dst);
        blocked_check_frame(&p.dst, &all);
        check_values(&p, &all);
        check_bits(&p, &all);
        problem_free(&p);
    }
}

/* Integers with exact quotients and products: every kernel gives the bits of ref. */
TEST(exact_fills_give_the_bits_of_ref)
{
    const struct ab_kernel *k[MAX_KERNELS], *ref = kernel_ref(AB_KERNEL_pointwise);
    int count = kernels_of(AB_KERNEL_pointwise, k, MAX_KERNELS);
    struct rng r = rng_new(2);
    for (int i = 0; i < count * AB_PW_COUNT * SHAPES; i++) {
        int ki = i % count, kind = i / count % AB_PW_COUNT, s = i / count / AB_PW_COUNT;
        struct problem p;
        problem_new(&p, shapes[s], FILL_INT, GUARD_RIGHT, &r);
        p.args.f.kind = (enum ab_pointwise_kind)kind;
        p.args.f.eps = 0.0f;
        p.args.f.scale = has_cap(p.args.f.kind) ? 6.0f : -6.0f;
        struct blocked want =
            blocked_new(p.dst.n, p.dst.c, p.dst.h, p.dst.w, p.dst.halo, GUARD_LEFT);
        struct ab_pointwise_args on_ref = p.args;
        on_ref.dst = want.view;
        context("%s %s shape %d", k[ki]->name, kind_names[kind], s);
        ref->run(&on_ref);
        k[ki]->run(&p.args);
        struct ab_range all = blocked_range(&p.dst);
        blocked_check_same(&p.dst, &want, &all);
        blocked_free(&want);
        problem_free(&p);
    }
}

/* A range writes that range alone; in place on x, a and z gives the same bits. */
TEST(ranges_and_aliases)
{
    const struct ab_kernel *k[MAX_KERNELS];
    int count = kernels_of(AB_KERNEL_pointwise, k, MAX_KERNELS);
    struct rng r = rng_new(3);
    for (int i = 0; i < count * AB_PW_COUNT; i++) {
        struct problem p;
        problem_new(&p, (struct shape){3, 50, 5, 6}, FILL_NORMAL, GUARD_RIGHT, &r);
        p.args.f.kind = (enum ab_pointwise_kind)(i / count);
        context("%s %s in parts", k[i % count]->name, kind_names[i / count]);
        const struct ab_range part = {1, 2, 1, 3, 2, 4}, all = blocked_range(&p.dst);
        p.args.range = part;
        k[i % count]->run(&p.args);
        blocked_check_frame(&p.dst, &part);
        check_values(&p, &part);
        check_bits(&p, &part);

        p.args.range = all;
        k[i % count]->run(&p.args);
        struct blocked *targets[] = {&p.x, &p.a, &p.z};
        for (int t = 0; t < 3 && !has_bits(p.args.f.kind); t++) {
            struct blocked copy = blocked_new(3, 50, 5, 6, targets[t]->halo, GUARD_LEFT);
            memcpy(copy.mem.data, targets[t]->mem.data, copy.mem.bytes);
            struct ab_pointwise_args in_place = p.args;
            struct ab_view *views[] = {&in_place.x, &in_place.f.a, &in_place.f.z};
            in_place.dst = *views[t] = copy.view;
            context("%s %s onto operand %d", k[i % count]->name, kind_names[i / count], t);
            k[i % count]->run(&in_place);
            blocked_check_same(&copy, &p.dst, &all);
            blocked_free(&copy);
        }
        problem_free(&p);
    }
}

/* Every triple of special values; NaN must come out exactly where the rule keeps it, masks and
 * quotients by 0 give +0. */
TEST(special_values)
{
    const float v[] = {0.0f,      -0.0f,   1.0f,     -1.0f,    0x1p-149f, -0x1p-149f,
                       0x1p-126f, 3.4e38f, -3.4e38f, INFINITY, -INFINITY, NAN};
    enum { V = sizeof v / sizeof v[0] };
    const struct ab_kernel *k[MAX_KERNELS];
    int count = kernels_of(AB_KERNEL_pointwise, k, MAX_KERNELS);
    struct rng r = rng_new(4);
    for (int i = 0; i < count * AB_PW_COUNT * 2; i++) {
        struct problem p;
        problem_new(&p, (struct shape){V, 16, 1, V}, FILL_NORMAL, GUARD_RIGHT, &r);
        p.args.f.kind = (enum ab_pointwise_kind)(i / count % AB_PW_COUNT);
        p.args.f.eps = i / count / AB_PW_COUNT ? 0.0f : 0x1p-149f;
        const float tau[V] = {0};
        p.args.f.tau = tau;
        for (int n = 0; n < V; n++)
            for (int x = 0; x < V; x++)
                for (int c = 0; c < V; c++) {
                    *blocked_at(&p.x, n, c, 0, x) = v[n];
                    *blocked_at(&p.a, n, c, 0, x) = v[x];
                    *blocked_at(&p.z, n, c, 0, x) = v[c];
                }
        context("%s %s eps %g", k[i % count]->name, kind_names[p.args.f.kind],
                (double)p.args.f.eps);
        k[i % count]->run(&p.args);
        struct ab_range all = blocked_range(&p.dst);
        if (p.args.f.kind != AB_PW_AFFINE) check_values(&p, &all);
        for (int x = 0; x < V * 16; x++) {
            const float got = p.dst.view.data[x], a = p.a.view.data[x];
            const bool cap = p.args.f.kind == AB_PW_CAP_GATE && a >= p.args.f.scale;
            const bool gate = p.args.f.kind == AB_PW_GATE || p.args.f.kind == AB_PW_CAP_GATE;
            if (cap || (gate && !(a > 0.0f)))
                CHECK(float_bits(got) == 0, "the gate leaves %g, not +0", (double)got);
        }
        problem_free(&p);
    }
}

static const struct test_case cases[] = {
    CASE(all_kinds_match_the_definition),
    CASE(exact_fills_give_the_bits_of_ref),
    CASE(ranges_and_aliases),
    CASE(special_values),
};
TEST_MAIN("pointwise", cases)
