// SPDX-License-Identifier: Apache-2.0
// conv2d kernels as pairs: the backward pass is the adjoint of the forward one; how far Winograd
// spreads rounding; halos; and the choice among kernels. What each kernel computes, and all that it
// may not touch, is judged by the trials of verify/ (test_verify_ops.c).
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KERNELS = 32 };

/* ---- shapes ---- */

/* Geometry of one axis or both; oh and ow follow. */
#define SQUARE(i, k, s, d, p) i, i, k, k, s, s, d, d, p, p, p, p
struct layer {
    int n, g, ic, oc, ih, iw, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr;
};

static const struct layer layers[] = {
    {1, 1, 16, 32, SQUARE(8, 3, 1, 1, 1)},
    {1, 1, 1, 1, SQUARE(1, 1, 1, 1, 0)},
    {2, 1, 5, 7, SQUARE(9, 3, 1, 1, 1)},
    {1, 1, 3, 64, SQUARE(17, 3, 1, 1, 1)},
    {1, 1, 64, 3, SQUARE(15, 3, 1, 1, 1)},
    {1, 1, 33, 50, 7, 19, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {2, 1, 40, 40, SQUARE(7, 3, 1, 1, 1)},
    {1, 1, 160, 20, SQUARE(5, 3, 1, 1, 1)},
    {1, 1, 300, 33, SQUARE(4, 3, 1, 1, 1)},
    {1, 1, 17, 48, SQUARE(14, 3, 2, 1, 1)},
    {2, 1, 20, 18, SQUARE(11, 3, 3, 1, 1)},
    {1, 1, 6, 9, SQUARE(10, 3, 3, 1, 0)},
    {1, 1, 18, 34, SQUARE(13, 3, 1, 2, 2)},
    {1, 1, 18, 18, SQUARE(13, 3, 2, 2, 2)},
    {1, 1, 9, 18, SQUARE(16, 4, 2, 3, 5)},
    {1, 1, 10, 12, SQUARE(12, 5, 3, 2, 4)},
    {1, 1, 64, 80, SQUARE(7, 1, 1, 1, 0)},
    {2, 1, 35, 16, 6, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 1, 20, 40, SQUARE(9, 1, 2, 1, 0)},
    {1, 1, 20, 24, SQUARE(8, 1, 3, 1, 1)},
    {1, 1, 3, 24, SQUARE(29, 7, 2, 1, 3)},
    {1, 1, 3, 20, SQUARE(35, 11, 4, 1, 2)},
    {1, 1, 4, 17, SQUARE(3, 7, 1, 1, 3)},
    {1, 1, 4, 5, SQUARE(2, 11, 4, 1, 5)},
    {1, 1, 19, 2, 5, 3, 9, 2, 2, 1, 1, 2, 4, 1, 6, 2},
    {1, 1, 8, 21, 9, 14, 3, 2, 1, 3, 2, 1, 0, 2, 3, 1},
    {1, 1, 21, 8, 12, 7, 2, 5, 3, 2, 1, 1, 1, 4, 0, 0},
    {1, 1, 12, 12, 6, 40, 1, 7, 1, 1, 1, 1, 0, 3, 0, 3},
    {1, 1, 12, 12, 40, 3, 7, 1, 1, 1, 1, 1, 3, 0, 3, 0},
    {1, 1, 5, 5, SQUARE(4, 2, 1, 1, 3)},
    {1, 1, 4, 4, 1, 1, 1, 1, 5, 5, 1, 1, 0, 0, 0, 0},
    {1, 2, 32, 64, SQUARE(6, 3, 1, 1, 1)},
    {1, 32, 128, 128, SQUARE(7, 3, 1, 1, 1)},
    {1, 32, 128, 128, SQUARE(8, 3, 2, 1, 1)},
    {2, 3, 21, 15, SQUARE(6, 3, 1, 1, 1)},
    {1, 3, 72, 48, SQUARE(5, 3, 2, 1, 1)},
    {1, 4, 8, 100, SQUARE(5, 1, 1, 1, 0)},
    {1, 32, 32, 32, SQUARE(9, 3, 1, 1, 1)},
    {2, 20, 20, 20, SQUARE(15, 3, 2, 1, 1)},
    {1, 7, 7, 7, 8, 17, 5, 3, 3, 1, 1, 2, 2, 0, 3, 4},
    {1, 16, 16, 32, SQUARE(6, 3, 1, 1, 1)},
    {2, 1, 17, 33, 9, 14, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
    {1, 1, 40, 16, SQUARE(23, 3, 1, 1, 0)},
    {1, 1, 16, 50, 13, 10, 3, 3, 1, 1, 1, 1, 2, 0, 1, 2},
    {3, 1, 48, 64, SQUARE(37, 3, 1, 1, 1)},
    {1, 1, 1, 50, SQUARE(20, 5, 1, 1, 2)},
    {2, 1, 2, 70, SQUARE(27, 3, 3, 2, 1)},
    {1, 1, 3, 100, SQUARE(18, 3, 1, 1, 1)},
    {1, 20, 20, 20, SQUARE(17, 3, 1, 1, 1)},
    {1, 20, 20, 20, SQUARE(30, 3, 2, 1, 1)},
};
enum { LAYERS = sizeof layers / sizeof *layers };

static int out_size(int in, int before, int after, int k, int dilation, int stride)
{
    return (in + before + after - (dilation * (k - 1) + 1)) / stride + 1;
}

static struct ab_conv2d_shape shape_of(const struct layer *l)
{
    const int oh = out_size(l->ih, l->pt, l->pb, l->kh, l->dh, l->sh);
    const int ow = out_size(l->iw, l->pl, l->pr, l->kw, l->dw, l->sw);
    return (struct ab_conv2d_shape){l->n,  l->g,  l->ic, l->ih, l->iw, l->oc, oh,    ow,    l->kh,
                                    l->kw, l->sh, l->sw, l->dh, l->dw, l->pt, l->pl, l->pb, l->pr};
}

/* ---- problems ---- */

/* Everything that one call reads and writes, between guard pages. */
struct problem {
    struct ab_conv2d_args args;
    struct guarded wei, pack, scratch;
    struct blocked src, dst;
};

static struct problem problem_new(const struct layer *l, enum ab_pass pass, enum fill fill,
                                  struct rng *r)
{
    struct problem p = {.args = {.shape = shape_of(l), .pass = pass}};
    const struct ab_conv2d_shape s = p.args.shape;
    const size_t weights = (size_t)(s.oc * (s.ic / s.g) * s.kh * s.kw);
    const struct ab_halo halo = ab_conv2d_halo(&s, pass), own = {1, 2, 1, 0};
    fill_floats(guard_floats(&p.wei, weights, sizeof(float), GUARD_RIGHT), weights, fill, r);
    p.args.wei = p.wei.data;
    struct blocked in =
        blocked_new(s.n, s.ic, s.ih, s.iw, pass == AB_FWD ? halo : own, GUARD_RIGHT);
    struct blocked out =
        blocked_new(s.n, s.oc, s.oh, s.ow, pass == AB_FWD ? own : halo, GUARD_RIGHT);
    p.src = pass == AB_FWD ? in : out;
    p.dst = pass == AB_FWD ? out : in;
    blocked_fill(&p.src, fill, r);
    p.args.src = p.src.view;
    p.args.dst = p.dst.view;
    p.args.range = blocked_range(&p.dst);
    p.args.f.kind = AB_PW_COPY;
    return p;
}

static void release(struct guarded *g)
{
    if (g->map) guard_check(g);
    guard_free(g);
}

static void problem_free(struct problem *p)
{
    release(&p->wei);
    release(&p->pack);
    release(&p->scratch);
    blocked_free(&p->src);
    blocked_free(&p->dst);
}

/* Packs, poisons dst and runs the whole range. `wei` is hidden from all but ref. */
static void run_all(const struct ab_kernel *k, struct problem *p)
{
    const struct ab_conv2d_shape *s = &p->args.shape;
    context("%s %s n%d g%d ic%d ih%d iw%d oc%d kh%d kw%d sh%d sw%d dh%d dw%d pt%d pl%d", k->name,
            p->args.pass == AB_FWD ? "fwd" : "bwd", s->n, s->g, s->ic, s->ih, s->iw, s->oc, s->kh,
            s->kw, s->sh, s->sw, s->dh, s->dw, s->pt, s->pl);
    struct ab_conv2d_args args = p->args;
    const size_t pack = ab_conv2d_pack_size(k, &args), work = ab_conv2d_scratch_size(k, &args);
    release(&p->pack);
    release(&p->scratch);
    if (pack) {
        p->pack = guard_new(pack, 64, GUARD_RIGHT);
        ab_conv2d_pack(k, &args, p->pack.data);
        args.pack = p->pack.data;
    }
    if (work) {
        p->scratch = guard_new(work, 64, GUARD_RIGHT);
        args.scratch = p->scratch.data;
    }
    if (k->isa != AB_ISA_ref) args.wei = NULL;
    blocked_poison(&p->dst);
    k->run(&args);
    blocked_check_frame(&p->dst, &p->args.range);
}

/* ---- amplification ---- */

/* Per element: the sum in double, and that of magnitudes. */
struct truth {
    double *sum, *magnitude;
};

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
                const double w = (double)wei[row * s->kh * s->kw + tap];
                const bool forward = p->args.pass == AB_FWD;
                const int c = forward ? i : o, y = forward ? iy : oy, z = forward ? ix : ox;
                const double x = (double)*blocked_at(&p->src, n, c, y, z);
                const int at = forward ? ((n * s->oc + o) * s->oh + oy) * s->ow + ox
                                       : ((n * s->ic + i) * s->ih + iy) * s->iw + ix;
                t.sum[at] += w * x;
                t.magnitude[at] += fabs(w * x);
            }
}

static struct truth truth_of(const struct problem *p)
{
    const struct ab_conv2d_shape *s = &p->args.shape;
    const size_t size = (size_t)(p->dst.n * p->dst.c * p->dst.h * p->dst.w);
    struct truth t = {calloc(size, sizeof(double)), calloc(size, sizeof(double))};
    CHECK(t.sum && t.magnitude, "out of memory");
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
        struct problem p = problem_new(i % 2 ? &back : &l, i % 2 ? AB_BWD : AB_FWD,
                                       (enum fill)(i / 2 % FILL_COUNT), &r);
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
    struct problem f = problem_new(l, AB_FWD, FILL_INT, r);
    struct problem b = problem_new(l, AB_BWD, FILL_INT, r);
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

static const struct test_case cases[] = {CASE(amplification_below_factor), CASE(passes_are_adjoint),
                                         CASE(halo_is_what_is_read),
                                         CASE(choice_is_pure_and_total)};
TEST_MAIN("conv2d", cases)
