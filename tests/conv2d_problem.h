// SPDX-License-Identifier: Apache-2.0
// What test_conv2d.c works on: a table of layers, one problem of a layer with all its operands
// between guard pages, and how a kernel runs it.
#ifndef AB_TESTS_CONV2D_PROBLEM_H
#define AB_TESTS_CONV2D_PROBLEM_H

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
    struct guarded wei, bias, pack, scratch, mul, shift;
    struct blocked src, dst, add, a, z;
    struct guarded words; /* of the epilogue's bits */
    uint16_t *given;      /* what they are before a run */
    enum guard_side side;
    float tau[4];
};

static const struct ab_halo no_halo = {0, 0, 0, 0};

/* A tensor of dst's size, tight so that rows follow each other, or with a halo of its own. */
static struct blocked like_dst(const struct problem *p, struct ab_halo halo)
{
    const struct ab_conv2d_shape *s = &p->args.shape;
    return p->args.pass == AB_FWD ? blocked_new(s->n, s->oc, s->oh, s->ow, halo, p->side)
                                  : blocked_new(s->n, s->ic, s->ih, s->iw, halo, p->side);
}

static void padded_vector(struct guarded *g, int channels, enum guard_side side, enum fill fill,
                          struct rng *r)
{
    const size_t size = (size_t)ab_blocks(channels) * AB_LANES;
    float *v = guard_floats(g, size, 64, side);
    memset(v, 0, size * sizeof *v);
    fill_floats(v, (size_t)channels, fill, r);
}

static struct problem problem_new(const struct layer *l, enum ab_pass pass, enum ab_wmod wmod,
                                  enum fill fill, enum guard_side side, struct rng *r)
{
    struct problem p = {.side = side};
    const struct ab_conv2d_shape s = shape_of(l);
    p.args.shape = s;
    p.args.pass = pass;
    p.args.wmod = wmod;
    p.args.gain = fill == FILL_INT ? 2 : 1.3f;
    const size_t weights = (size_t)(s.oc * (s.ic / s.g) * s.kh * s.kw);
    fill_floats(guard_floats(&p.wei, weights, sizeof(float), side), weights, fill, r);
    padded_vector(&p.bias, s.oc, side, fill, r);
    p.args.wei = p.wei.data;
    p.args.bias = p.bias.data;
    const struct ab_halo halo = ab_conv2d_halo(&s, pass);
    p.src = pass == AB_FWD ? blocked_new(s.n, s.ic, s.ih, s.iw, halo, side)
                           : blocked_new(s.n, s.oc, s.oh, s.ow, halo, side);
    blocked_fill(&p.src, fill, r);
    p.dst = like_dst(&p, side == GUARD_LEFT ? no_halo : (struct ab_halo){1, 2, 1, 0});
    p.args.src = p.src.view;
    p.args.dst = p.dst.view;
    p.args.range = blocked_range(&p.dst);
    p.args.f.kind = AB_PW_COPY;
    return p;
}

static void problem_free(struct problem *p)
{
    struct guarded *const memory[] = {&p->wei,     &p->bias, &p->pack, &p->words,
                                      &p->scratch, &p->mul,  &p->shift};
    free(p->given);
    struct blocked *const tensors[] = {&p->src, &p->dst, &p->add, &p->a, &p->z};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) {
        if (memory[i]->map) guard_check(memory[i]);
        guard_free(memory[i]);
    }
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
        if (tensors[i]->mem.map) blocked_free(tensors[i]);
}

static void describe(const struct ab_kernel *k, const struct problem *p, const char *what)
{
    const struct ab_conv2d_shape *s = &p->args.shape;
    context("%s %s: %s wmod %d f %d n%d g%d ic%d ih%d iw%d oc%d oh%d ow%d kh%d kw%d sh%d sw%d dh%d "
            "dw%d pt%d pl%d rows [%d,%d) blocks [%d,%d)",
            what, k->name, p->args.pass == AB_FWD ? "fwd" : "bwd", p->args.wmod, p->args.f.kind,
            s->n, s->g, s->ic, s->ih, s->iw, s->oc, s->oh, s->ow, s->kh, s->kw, s->sh, s->sw, s->dh,
            s->dw, s->pt, s->pl, p->args.range.y0, p->args.range.y1, p->args.range.b0,
            p->args.range.b1);
}

static void pack_for(const struct ab_kernel *k, struct problem *p)
{
    if (p->pack.map) guard_check(&p->pack);
    guard_free(&p->pack);
    p->args.pack = NULL;
    const size_t bytes = ab_conv2d_pack_size(k, &p->args);
    CHECK(bytes % 64 == 0, "pack size %zu", bytes);
    CHECK(bytes > 0 || k->isa == AB_ISA_ref, "no pack");
    if (bytes == 0) return;
    p->pack = guard_new(bytes, 64, p->side);
    ab_conv2d_pack(k, &p->args, p->pack.data);
    guard_check(&p->pack);
    p->args.pack = p->pack.data;
    if (p->scratch.map) guard_check(&p->scratch);
    guard_free(&p->scratch);
    p->args.scratch = NULL;
    const size_t work = ab_conv2d_scratch_size(k, &p->args);
    CHECK(work % 64 == 0, "scratch size %zu", work);
    if (work == 0) return;
    p->scratch = guard_new(work, 64, p->side);
    p->args.scratch = p->scratch.data;
}

/* Words for the epilogue, tight so that rows follow each other where dst's do, or not. */
static void give_bits(struct problem *p, struct rng *r)
{
    struct ab_bits *b = &p->args.f.bits;
    b->row = p->dst.w + (p->side == GUARD_LEFT ? 0 : 3);
    b->block = b->row * p->dst.h;
    b->image = b->block * ab_blocks(p->dst.c);
    const size_t count = (size_t)b->image * (size_t)p->dst.n;
    p->words = guard_new(count * sizeof *p->given, sizeof *p->given, p->side);
    p->given = malloc(count * sizeof *p->given);
    CHECK(p->given != NULL, "out of memory");
    b->data = p->words.data;
    for (size_t i = 0; p->given && i < count; i++) p->given[i] = (uint16_t)rng_between(r, 0, 65535);
}

static size_t bits_size(const struct problem *p)
{
    return (size_t)p->args.f.bits.image * (size_t)p->dst.n * sizeof *p->given;
}

static void reset_bits(struct problem *p)
{
    if (p->given) memcpy(p->words.data, p->given, bits_size(p));
}

/* A copy of the words; free() it. */
static uint16_t *take_bits(const struct problem *p)
{
    uint16_t *copy = p->given ? malloc(bits_size(p)) : NULL;
    if (copy) memcpy(copy, p->words.data, bits_size(p));
    return copy;
}

static void check_bits(const struct problem *p, const uint16_t *want)
{
    if (want) CHECK(memcmp(p->words.data, want, bits_size(p)) == 0, "other bits");
}

/* Packs, poisons dst and runs the whole range. `wei` is hidden from all but ref. */
static void run_all(const struct ab_kernel *k, struct problem *p)
{
    pack_for(k, p);
    describe(k, p, "run");
    blocked_poison(&p->dst);
    reset_bits(p);
    struct ab_conv2d_args args = p->args;
    if (k->isa != AB_ISA_ref) args.wei = NULL;
    k->run(&args);
    blocked_check_frame(&p->dst, &p->args.range);
}

/* The same range in random pieces: images, blocks and rows are cut independently. */
static void run_pieces(const struct ab_kernel *k, struct problem *p, struct rng *r)
{
    const struct ab_range all = p->args.range;
    struct ab_range *const cut = &p->args.range;
    blocked_poison(&p->dst);
    for (cut->n0 = all.n0; cut->n0 < all.n1; cut->n0 = cut->n1) {
        cut->n1 = rng_between(r, cut->n0 + 1, all.n1);
        for (cut->b0 = all.b0; cut->b0 < all.b1; cut->b0 = cut->b1) {
            cut->b1 = rng_between(r, cut->b0 + 1, all.b1);
            for (cut->y0 = all.y0; cut->y0 < all.y1; cut->y0 = cut->y1) {
                cut->y1 = rng_between(r, cut->y0 + 1, all.y1);
                describe(k, p, "piece");
                k->run(&p->args);
            }
        }
    }
    *cut = all;
    describe(k, p, "pieces");
    blocked_check_frame(&p->dst, &all);
}

static struct blocked take_dst(struct problem *p)
{
    struct blocked taken = p->dst;
    p->dst = like_dst(p, taken.halo);
    p->args.dst = p->dst.view;
    return taken;
}

/* The epilogue of a kernel whose sums are not exact: the same as its sums with the pointwise kernel
 * behind them. */
static void check_epilogue(const struct ab_kernel *k, struct problem *p)
{
    const struct ab_pointwise f = p->args.f;
    run_all(k, p);
    struct blocked got = take_dst(p);
    uint16_t *bits = take_bits(p);
    p->args.f.kind = AB_PW_COPY;
    run_all(k, p);
    p->args.f = f;
    const struct ab_pointwise_args after = {.f = f,
                                            .x = p->dst.view,
                                            .dst = p->dst.view,
                                            .n = p->dst.n,
                                            .blocks = ab_blocks(p->dst.c),
                                            .h = p->dst.h,
                                            .w = p->dst.w,
                                            .range = p->args.range};
    kernel_ref(AB_KERNEL_pointwise)->run(&after);
    describe(k, p, "epilogue");
    blocked_check_same(&got, &p->dst, &p->args.range);
    check_bits(p, bits);
    blocked_free(&got);
    free(bits);
}

/* All kernels but ref, against ref, bit for bit. */
static void check_against_ref(struct problem *p)
{
    const struct ab_kernel *kernels[MAX_KERNELS];
    const int count = kernels_of(AB_KERNEL_conv2d, kernels, MAX_KERNELS);
    run_all(kernel_ref(AB_KERNEL_conv2d), p);
    struct blocked want = take_dst(p);
    uint16_t *bits = take_bits(p);
    for (int i = 0; i < count; i++) {
        if (kernels[i]->isa == AB_ISA_ref || !kernels[i]->applies(&p->args)) continue;
        if (ab_kernel_amplification(kernels[i]) > 0) {
            check_epilogue(kernels[i], p);
            continue;
        }
        run_all(kernels[i], p);
        blocked_check_same(&p->dst, &want, &p->args.range);
        check_bits(p, bits);
    }
    blocked_free(&want);
    free(bits);
}

#endif
