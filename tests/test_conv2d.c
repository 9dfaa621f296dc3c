// SPDX-License-Identifier: Apache-2.0
// Every conv2d kernel of this CPU against `ref` (exact integers, bit for bit), against an
// independent double loop over NCHW data (real numbers, the bound of docs/numerics.md), against
// itself on pieces of the range, and as an adjoint pair.
#include "conv2d_problem.h"

/* ---- exact integers ---- */

TEST(integers_equal_ref)
{
    struct rng r = rng_new(1);
    for (int i = 0; i < LAYERS; i++)
        for (int pass = AB_FWD; pass <= AB_BWD; pass++)
            for (int side = GUARD_LEFT; side <= GUARD_RIGHT; side++) {
                struct problem p = problem_new(&layers[i], (enum ab_pass)pass, AB_W_ALL, FILL_INT,
                                               (enum guard_side)side, &r);
                check_against_ref(&p);
                problem_free(&p);
            }
}

TEST(every_weight_transform)
{
    static const int chosen[] = {2, 9, 16, 31, 38};
    struct rng r = rng_new(2);
    for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++)
        for (int wmod = 0; wmod < AB_W_COUNT; wmod++)
            for (int pass = AB_FWD; pass <= AB_BWD; pass++) {
                struct problem p = problem_new(&layers[chosen[i]], (enum ab_pass)pass,
                                               (enum ab_wmod)wmod, FILL_INT, GUARD_RIGHT, &r);
                check_against_ref(&p);
                problem_free(&p);
            }
}

static struct layer random_layer(struct rng *r)
{
    struct layer l;
    do {
        l = (struct layer){.n = rng_between(r, 1, 2), .g = rng_between(r, 1, 4)};
        if (rng_between(r, 0, 2)) l.g = 1;
        l.ic = l.g * rng_between(r, 1, 40 / l.g);
        l.oc = l.g * rng_between(r, 1, 60 / l.g);
        if (rng_between(r, 0, 7) == 0) l.g = l.oc = l.ic;
        l.ih = rng_between(r, 1, 12);
        l.iw = rng_between(r, 1, 31);
        l.kh = rng_between(r, 1, 5);
        l.kw = rng_between(r, 1, 5);
        l.sh = rng_between(r, 1, 4);
        l.sw = rng_between(r, 1, 4);
        l.dh = rng_between(r, 1, 3);
        l.dw = rng_between(r, 1, 3);
        l.pt = rng_between(r, 0, 4);
        l.pl = rng_between(r, 0, 4);
        l.pb = rng_between(r, 0, 4);
        l.pr = rng_between(r, 0, 4);
    } while (l.ih + l.pt + l.pb < l.dh * (l.kh - 1) + 1 ||
             l.iw + l.pl + l.pr < l.dw * (l.kw - 1) + 1);
    return l;
}

TEST(random_shapes)
{
    struct rng r = rng_new(3);
    for (int i = 0; i < 150; i++) {
        const struct layer l = random_layer(&r);
        const enum guard_side side = rng_between(&r, 0, 1) ? GUARD_RIGHT : GUARD_LEFT;
        const enum ab_pass pass = rng_between(&r, 0, 1) ? AB_BWD : AB_FWD;
        struct problem p = problem_new(&l, pass, AB_W_ALL, FILL_INT, side, &r);
        if (rng_between(&r, 0, 1)) p.args.bias = NULL;
        check_against_ref(&p);
        problem_free(&p);
    }
}

/* ---- epilogues ---- */

static void give_epilogue(struct problem *p, enum ab_pointwise_kind kind, struct rng *r)
{
    const struct ab_halo halo = p->side == GUARD_LEFT ? no_halo : (struct ab_halo){0, 1, 0, 3};
    p->a = like_dst(p, halo);
    p->z = like_dst(p, halo);
    p->add = like_dst(p, p->side == GUARD_LEFT ? no_halo : (struct ab_halo){2, 0, 0, 1});
    blocked_fill(&p->a, FILL_INT, r);
    blocked_fill(&p->z, FILL_INT, r);
    blocked_fill(&p->add, FILL_INT, r);
    padded_vector(&p->mul, p->dst.c, p->side, FILL_INT, r);
    padded_vector(&p->shift, p->dst.c, p->side, FILL_INT, r);
    for (int n = 0; n < 4; n++) p->tau[n] = (float)n;
    p->args.add = p->add.view;
    p->args.f = (struct ab_pointwise){.kind = kind,
                                      .eps = 0.5f,
                                      .scale = -2.0f,
                                      .a = p->a.view,
                                      .z = p->z.view,
                                      .tau = p->tau,
                                      .mul = p->mul.data,
                                      .add = p->shift.data};
    give_bits(p, r);
}

static const int epilogue_layers[] = {2,  8, 10, 16, 17, 18, 23, 34, 37,
                                      38, 4, 41, 43, 45, 47, 48, 49};
enum { EPILOGUE_LAYERS = sizeof epilogue_layers / sizeof *epilogue_layers };

TEST(every_epilogue)
{
    struct rng r = rng_new(4);
    for (int i = 0; i < EPILOGUE_LAYERS; i++)
        for (int kind = 0; kind < AB_PW_COUNT; kind++)
            for (int pass = AB_FWD; pass <= AB_BWD; pass++) {
                struct problem p =
                    problem_new(&layers[epilogue_layers[i]], (enum ab_pass)pass, AB_W_ALL, FILL_INT,
                                kind % 2 ? GUARD_LEFT : GUARD_RIGHT, &r);
                give_epilogue(&p, (enum ab_pointwise_kind)kind, &r);
                check_against_ref(&p);
                problem_free(&p);
            }
}

/* dst in the place of add, or of a, or of z. */
static void check_alias(struct problem *p, const struct ab_kernel *k, const struct blocked *want,
                        struct ab_view *role, const struct blocked *content)
{
    const struct ab_view own = *role;
    pack_for(k, p);
    describe(k, p, "aliased");
    memcpy(p->dst.mem.data, content->mem.data, content->mem.bytes);
    *role = p->args.dst;
    k->run(&p->args);
    *role = own;
    blocked_check_same(&p->dst, want, &p->args.range);
}

TEST(dst_may_alias_operands)
{
    const struct ab_kernel *kernels[MAX_KERNELS];
    const int count = kernels_of(AB_KERNEL_conv2d, kernels, MAX_KERNELS);
    struct rng r = rng_new(5);
    for (int i = 0; i < EPILOGUE_LAYERS; i++)
        for (int pass = AB_FWD; pass <= AB_BWD; pass++) {
            struct problem p = problem_new(&layers[epilogue_layers[i]], (enum ab_pass)pass,
                                           AB_W_ALL, FILL_INT, GUARD_LEFT, &r);
            give_epilogue(&p, AB_PW_MULDIV, &r);
            run_all(kernel_ref(AB_KERNEL_conv2d), &p);
            struct blocked want = take_dst(&p);
            for (int j = 0; j < count; j++) {
                if (!kernels[j]->applies(&p.args)) continue;
                struct blocked own = {.n = 0};
                if (ab_kernel_amplification(kernels[j]) > 0) {
                    run_all(kernels[j], &p);
                    own = take_dst(&p);
                }
                const struct blocked *expected = own.n ? &own : &want;
                check_alias(&p, kernels[j], expected, &p.args.add, &p.add);
                check_alias(&p, kernels[j], expected, &p.args.f.a, &p.a);
                check_alias(&p, kernels[j], expected, &p.args.f.z, &p.z);
                if (own.n) blocked_free(&own);
            }
            blocked_free(&want);
            problem_free(&p);
        }
}

/* Calls that differ in bias, add and epilogue alone, in one chain. */
static void check_chain(struct problem *p, const struct ab_kernel *k)
{
    struct ab_conv2d_args calls[3];
    struct blocked dst[3];
    pack_for(k, p);
    describe(k, p, "chain");
    for (int i = 0; i < 3; i++) {
        dst[i] = like_dst(p, p->dst.halo);
        blocked_poison(&dst[i]);
        calls[i] = p->args;
        calls[i].dst = dst[i].view;
        calls[i].next = i < 2 ? &calls[i + 1] : NULL;
        if (i == 1) calls[i].bias = NULL;
        if (i == 2) calls[i].add.data = NULL;
        if (i == 2) calls[i].f.kind = AB_PW_COPY;
    }
    k->run(calls);
    for (int i = 0; i < 3; i++) {
        blocked_poison(&p->dst);
        calls[i].next = NULL;
        calls[i].dst = p->args.dst;
        k->run(&calls[i]);
        blocked_check_frame(&dst[i], &p->args.range);
        blocked_check_same(&dst[i], &p->dst, &p->args.range);
        blocked_free(&dst[i]);
    }
}

TEST(chains_share_their_sums)
{
    const struct ab_kernel *kernels[MAX_KERNELS];
    const int count = kernels_of(AB_KERNEL_conv2d, kernels, MAX_KERNELS);
    struct rng r = rng_new(12);
    int checked = 0;
    for (int i = 0; i < LAYERS; i++)
        for (int pass = AB_FWD; pass <= AB_BWD; pass++) {
            struct problem p = problem_new(&layers[i], (enum ab_pass)pass, AB_W_ALL, FILL_NORMAL,
                                           i % 2 ? GUARD_LEFT : GUARD_RIGHT, &r);
            give_epilogue(&p, AB_PW_MULDIV, &r);
            for (int j = 0; j < count; j++) {
                if (!ab_kernel_shares_sums(kernels[j]) || !kernels[j]->applies(&p.args)) continue;
                check_chain(&p, kernels[j]);
                checked++;
            }
            problem_free(&p);
        }
    const bool vectors = ab_cpu_isas() >> (AB_ISA_plain + 1);
    CHECK(checked > 0 || !vectors, "no kernel shares sums");
}

/* ---- real numbers ---- */

/* Per element: the sum in double, the sum of magnitudes, the number of products. */
struct truth {
    double *sum, *magnitude, *products;
};

static double transformed(const struct ab_conv2d_args *a, double w)
{
    switch (a->wmod) {
    case AB_W_POS: return fmax(w, 0.0);
    case AB_W_NEG: return fmin(w, 0.0);
    case AB_W_ABS: return fabs(w);
    case AB_W_SQUARE: return w * w;
    case AB_W_ONE: return 1.0;
    case AB_W_GAMMA: return w > 0 ? (double)a->gain * w : w;
    default: return w;
    }
}

/* Every (output, input, weight) triple of one image once, in the order of the forward pass. */
static void accumulate(const struct problem *p, int n, int o, int i, struct truth t)
{
    const struct ab_conv2d_shape *s = &p->args.shape;
    const int icg = s->ic / s->g, ocg = s->oc / s->g;
    const float *wei = p->wei.data;
    for (int oy = 0; oy < s->oh; oy++)
        for (int ox = 0; ox < s->ow; ox++)
            for (int tap = 0; tap < s->kh * s->kw; tap++) {
                const int iy = oy * s->sh - s->pt + tap / s->kw * s->dh;
                const int ix = ox * s->sw - s->pl + tap % s->kw * s->dw;
                if (iy < 0 || iy >= s->ih || ix < 0 || ix >= s->iw) continue;
                const int row = o * icg + i - o / ocg * icg;
                const double w = transformed(&p->args, (double)wei[row * s->kh * s->kw + tap]);
                const bool forward = p->args.pass == AB_FWD;
                const int c = forward ? i : o, y = forward ? iy : oy, z = forward ? ix : ox;
                const double x = (double)*blocked_at(&p->src, n, c, y, z);
                const int at = forward ? ((n * s->oc + o) * s->oh + oy) * s->ow + ox
                                       : ((n * s->ic + i) * s->ih + iy) * s->iw + ix;
                t.sum[at] += w * x;
                t.magnitude[at] += fabs(w * x);
                t.products[at] += 1.0;
            }
}

static struct truth truth_of(const struct problem *p)
{
    const struct ab_conv2d_shape *s = &p->args.shape;
    const size_t size = (size_t)(p->dst.n * p->dst.c * p->dst.h * p->dst.w);
    struct truth t = {calloc(size, sizeof(double)), calloc(size, sizeof(double)),
                      calloc(size, sizeof(double))};
    CHECK(t.sum && t.magnitude && t.products, "out of memory");
    const float *bias = p->args.pass == AB_FWD ? p->args.bias : NULL;
    const size_t image = (size_t)(p->dst.h * p->dst.w);
    for (size_t e = 0; bias && e < size; e++) {
        t.sum[e] = (double)bias[e / image % (size_t)p->dst.c];
        t.magnitude[e] = fabs(t.sum[e]);
        t.products[e] = 1.0;
    }
    for (int n = 0; n < s->n; n++)
        for (int o = 0; o < s->oc; o++) {
            const int first = o / (s->oc / s->g) * (s->ic / s->g);
            for (int i = first; i < first + s->ic / s->g; i++) accumulate(p, n, o, i, t);
        }
    return t;
}

static void truth_free(struct truth *t)
{
    free(t->sum);
    free(t->magnitude);
    free(t->products);
}

/* The largest magnitude among the outputs of element e's image and channel within five pixels. */
static double magnitude_around(const struct problem *p, struct truth t, int e)
{
    const int w = p->dst.w, h = p->dst.h, x = e % w, y = e / w % h, plane = e - y * w - x;
    double most = 0.0;
    for (int v = y > 5 ? y - 5 : 0; v <= y + 5 && v < h; v++)
        for (int u = x > 5 ? x - 5 : 0; u <= x + 5 && u < w; u++)
            most = fmax(most, t.magnitude[plane + v * w + u]);
    return most;
}

static double bound_of(const struct problem *p, const struct ab_kernel *k, struct truth t, int e)
{
    const double c = ab_kernel_amplification(k);
    if (c > 0) return c * sqrt(p->src.c) * 0x1p-24 * magnitude_around(p, t, e);
    return sum_bound(t.products[e] + 1.0, t.magnitude[e]);
}

static void check_truth(const struct problem *p, const struct ab_kernel *k, struct truth t)
{
    int e = 0;
    for (int n = 0; n < p->dst.n; n++)
        for (int c = 0; c < p->dst.c; c++)
            for (int y = 0; y < p->dst.h; y++)
                for (int x = 0; x < p->dst.w; x++, e++) {
                    const double got = (double)*blocked_at(&p->dst, n, c, y, x);
                    const double bound = bound_of(p, k, t, e);
                    CHECK(fabs(got - t.sum[e]) <= bound,
                          "n %d c %d y %d x %d: %.9g, want %.9g within %.3g", n, c, y, x, got,
                          t.sum[e], bound);
                }
}

static void check_real(struct problem *p, struct rng *r)
{
    const struct ab_kernel *kernels[MAX_KERNELS];
    const int count = kernels_of(AB_KERNEL_conv2d, kernels, MAX_KERNELS);
    struct truth t = truth_of(p);
    for (int i = 0; i < count; i++) {
        if (!kernels[i]->applies(&p->args)) continue;
        run_all(kernels[i], p);
        check_truth(p, kernels[i], t);
        struct blocked whole = take_dst(p);
        for (int k = 0; k < 2; k++) {
            run_pieces(kernels[i], p, r);
            blocked_check_same(&p->dst, &whole, &p->args.range);
        }
        blocked_free(&whole);
    }
    truth_free(&t);
}

TEST(real_numbers_within_bound_and_split)
{
    static const enum fill fills[] = {FILL_NORMAL, FILL_RELU, FILL_NONNEG};
    struct rng r = rng_new(6);
    for (int i = 0; i < LAYERS; i++)
        for (int pass = AB_FWD; pass <= AB_BWD; pass++) {
            struct problem p = problem_new(&layers[i], (enum ab_pass)pass,
                                           (enum ab_wmod)(i < 41           ? i % AB_W_COUNT
                                                          : pass == AB_BWD ? i - 41
                                                                           : AB_W_ALL),
                                           fills[i % 3], i % 2 ? GUARD_LEFT : GUARD_RIGHT, &r);
            check_real(&p, &r);
            problem_free(&p);
        }
}

/* Rows enough for several row blocks, and chunks. */
TEST(large_layer_split)
{
    static const struct layer large[] = {
        {1, 1, 144, 40, SQUARE(60, 3, 1, 1, 1)},  {1, 1, 40, 144, SQUARE(60, 3, 2, 1, 1)},
        {1, 1, 1300, 33, SQUARE(20, 1, 1, 1, 0)}, {1, 1, 144, 24, SQUARE(20, 1, 1, 1, 0)},
        {2, 2, 80, 144, SQUARE(20, 1, 3, 1, 0)},  {1, 1, 56, 300, SQUARE(31, 1, 2, 1, 0)},
    };
    struct rng r = rng_new(7);
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        for (int pass = AB_FWD; pass <= AB_BWD; pass++) {
            struct problem p =
                problem_new(&large[i], (enum ab_pass)pass, AB_W_ALL, FILL_NORMAL, GUARD_RIGHT, &r);
            check_real(&p, &r);
            problem_free(&p);
        }
}

/* ---- amplification ---- */

/* The largest error, in the unit of ab_kernel_amplification. */
static double amplification(const struct problem *p, struct truth t)
{
    double most = 0.0;
    int e = 0;
    for (int n = 0; n < p->dst.n; n++)
        for (int c = 0; c < p->dst.c; c++)
            for (int y = 0; y < p->dst.h; y++)
                for (int x = 0; x < p->dst.w; x++, e++) {
                    const double got = (double)*blocked_at(&p->dst, n, c, y, x);
                    const double unit = sqrt(p->src.c) * 0x1p-24 * magnitude_around(p, t, e);
                    if (unit > 0) most = fmax(most, fabs(got - t.sum[e]) / unit);
                }
    return most;
}

/* The evidence behind the factors in simd/pick.c: AB_TEST_LAYERS random 3x3 layers, both passes,
 * every fill. */
TEST(amplification_below_factor)
{
    const char *wanted = getenv("AB_TEST_LAYERS");
    const struct ab_kernel *kernels[MAX_KERNELS];
    const int count = kernels_of(AB_KERNEL_conv2d, kernels, MAX_KERNELS);
    double most[MAX_KERNELS] = {0};
    struct rng r = rng_new(9);
    for (int i = 0; i < (wanted ? atoi(wanted) : 8); i++) {
        const int widest = wanted ? 512 : 64, side = rng_between(&r, 9, 16);
        const struct layer l = {1, 1, rng_between(&r, 16, widest), rng_between(&r, 16, 32),
                                SQUARE(side, 3, 1, 1, 1)};
        const struct layer back = {1, 1, l.oc, l.ic, SQUARE(side, 3, 1, 1, 1)};
        struct problem p = problem_new(i % 2 ? &back : &l, i % 2 ? AB_BWD : AB_FWD, AB_W_ALL,
                                       (enum fill)(i / 2 % FILL_COUNT), GUARD_RIGHT, &r);
        p.args.bias = NULL;
        struct truth t = truth_of(&p);
        for (int k = 0; k < count; k++) {
            if (ab_kernel_amplification(kernels[k]) <= 0 || !kernels[k]->applies(&p.args)) continue;
            run_all(kernels[k], &p);
            most[k] = fmax(most[k], amplification(&p, t));
            CHECK(most[k] <= ab_kernel_amplification(kernels[k]), "%g", most[k]);
        }
        truth_free(&t);
        problem_free(&p);
    }
    for (int k = 0; k < count && wanted; k++)
        if (most[k] > 0) printf("%-24s %.2f\n", kernels[k]->name, most[k]);
}

/* ---- adjointness ---- */

static double inner(const struct blocked *a, const struct blocked *b, double *magnitude)
{
    double sum = 0.0;
    for (int n = 0; n < a->n; n++)
        for (int c = 0; c < a->c; c++)
            for (int y = 0; y < a->h; y++)
                for (int x = 0; x < a->w; x++) {
                    const double term =
                        (double)*blocked_at(a, n, c, y, x) * (double)*blocked_at(b, n, c, y, x);
                    sum += term;
                    *magnitude += fabs(term);
                }
    return sum;
}

/* <W x, y> = <x, W^T y>, exactly in integers. */
static void check_adjoint(const struct layer *l, const struct ab_kernel *k, struct rng *r)
{
    struct problem f = problem_new(l, AB_FWD, AB_W_ALL, FILL_INT, GUARD_RIGHT, r);
    struct problem b = problem_new(l, AB_BWD, AB_W_ALL, FILL_INT, GUARD_RIGHT, r);
    f.args.bias = NULL;
    memcpy(b.wei.data, f.wei.data, f.wei.bytes);
    if (k->applies(&f.args) && k->applies(&b.args)) {
        double size = 0.0;
        run_all(k, &f);
        run_all(k, &b);
        const double forward = inner(&f.dst, &b.src, &size), back = inner(&f.src, &b.dst, &size);
        const double off = ab_kernel_amplification(k) * 8.0 * 0x1p-24 * size;
        CHECK(fabs(forward - back) <= off, "<Wx,y> = %.17g, <x,W'y> = %.17g", forward, back);
    }
    problem_free(&f);
    problem_free(&b);
}

TEST(passes_are_adjoint)
{
    const struct ab_kernel *kernels[MAX_KERNELS];
    const int count = kernels_of(AB_KERNEL_conv2d, kernels, MAX_KERNELS);
    struct rng r = rng_new(8);
    for (int i = 0; i < LAYERS; i++)
        for (int k = 0; k < count; k++) check_adjoint(&layers[i], kernels[k], &r);
}

/* ---- geometry and choice ---- */

TEST(halo_is_what_is_read)
{
    const struct layer same = {1, 1, 16, 16, SQUARE(8, 3, 1, 1, 1)};
    const struct layer strided = {1, 1, 16, 16, SQUARE(8, 3, 2, 1, 1)};
    struct ab_conv2d_shape s = shape_of(&same);
    struct ab_halo h = ab_conv2d_halo(&s, AB_FWD);
    CHECK(h.top == 1 && h.left == 1 && h.bottom == 1 && h.right == 1, "3x3 same, forward");
    h = ab_conv2d_halo(&s, AB_BWD);
    CHECK(h.top == 1 && h.left == 1 && h.bottom == 1 && h.right == 1, "3x3 same, backward");
    s = shape_of(&strided);
    h = ab_conv2d_halo(&s, AB_FWD);
    CHECK(h.top == 1 && h.left == 1 && h.bottom == 0 && h.right == 0, "3x3 s2, forward");
    h = ab_conv2d_halo(&s, AB_BWD);
    CHECK(h.top == 0 && h.left == 0 && h.bottom == 1 && h.right == 1, "3x3 s2, backward");
}

TEST(choice_is_pure_and_total)
{
    const unsigned isas = ab_cpu_isas();
    for (int i = 0; i < LAYERS; i++)
        for (int pass = AB_FWD; pass <= AB_BWD; pass++) {
            const struct layer *l = &layers[i];
            const bool depthwise = l->g > 1 && l->g == l->ic && l->g == l->oc;
            const struct ab_conv2d_args args = {.shape = shape_of(l), .pass = (enum ab_pass)pass};
            for (unsigned mask = 0; mask < 1u << AB_ISA_COUNT; mask++) {
                const struct ab_kernel *k = ab_pick(AB_KERNEL_conv2d, &args, mask & isas);
                CHECK(k && k->op == AB_KERNEL_conv2d && k->applies(&args), "mask %u", mask);
                CHECK((k->isa == AB_ISA_ref) == ((mask & isas) == 1u << AB_ISA_ref), "ref chosen");
                CHECK(k->isa <= AB_ISA_plain || !k->baseline, "a baseline beat a kernel");
                if (depthwise && k->isa > AB_ISA_plain)
                    CHECK(strcmp(k->variant, "depthwise") == 0, "%s for depthwise", k->name);
            }
        }
}

static const struct test_case cases[] = {
    CASE(integers_equal_ref),
    CASE(every_weight_transform),
    CASE(random_shapes),
    CASE(every_epilogue),
    CASE(dst_may_alias_operands),
    CASE(chains_share_their_sums),
    CASE(real_numbers_within_bound_and_split),
    CASE(large_layer_split),
    CASE(passes_are_adjoint),
    CASE(halo_is_what_is_read),
    CASE(choice_is_pure_and_total),
    CASE(amplification_below_factor),
};
TEST_MAIN("conv2d", cases)
