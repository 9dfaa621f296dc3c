// SPDX-License-Identifier: Apache-2.0
// How a convolution trial is laid out for a native kernel: blocked maps with the halo that the
// contract promises, packed weights, work space of one call's own, words of bits.
#include "verify/conv2d.h"
#include "verify/rule.h"

#include <stdlib.h>
#include <string.h>

/* Concurrent calls have work space of their own: the last or the first ends at the guard page. */
enum { CALLS = 8 };

/* Values of `channels` and +0 up to a whole block. */
static float *padded(struct ab_place *place, const char *name, const float *values, int channels)
{
    const size_t size = (size_t)ab_blocks(channels) * AB_LANES;
    float *copy = calloc(size, sizeof *copy);
    if (!copy) {
        place->failed = true;
        return NULL;
    }
    memcpy(copy, values, (size_t)channels * sizeof *copy);
    float *placed = ab_place_bytes(place, name, copy, size * sizeof *copy, 64, true);
    free(copy);
    return placed;
}

const void *ab_conv_pack(struct ab_place *place, const struct ab_kernel *k,
                         const struct ab_conv2d_args *args)
{
    struct ab_guarded own;
    const size_t bytes = ab_conv2d_pack_size(k, args);
    if (bytes == 0) return NULL;
    if (!ab_guarded_new(&own, bytes, 64, 0, place->side)) {
        place->failed = true;
        return NULL;
    }
    ab_conv2d_pack(k, args, own.data);
    const void *pack = ab_place_bytes(place, "packed weights", own.data, bytes, 64, true);
    ab_guarded_free(&own);
    return pack;
}

void ab_conv_check_packing(const struct ab_conv_problem *p, const struct ab_kernel *k,
                           struct ab_outcome *o)
{
    const struct ab_conv2d_args a = {.shape = p->trial.shape.conv,
                                     .pass = p->trial.pass,
                                     .wmod = p->trial.wmod,
                                     .gain = p->gain,
                                     .wei = p->wei};
    struct ab_guarded pack;
    char why[160];
    const size_t bytes = ab_conv2d_pack_size(k, &a), work = ab_conv2d_scratch_size(k, &a);
    if (bytes % 64 || work % 64)
        ab_outcome_fail(o, AB_CHECK_slack,
                        "%zu bytes of packed weights, %zu of scratch: not whole "
                        "lines of 64",
                        bytes, work);
    if (bytes == 0) return;
    if (!ab_guarded_new(&pack, bytes, 64, 0, p->trial.side)) {
        ab_outcome_no_memory(o);
        return;
    }
    ab_conv2d_pack(k, &a, pack.data);
    if (!ab_guarded_check(&pack, why, sizeof why))
        ab_outcome_fail(o, AB_CHECK_slack, "packing the weights: %s", why);
    ab_guarded_free(&pack);
}

/* The image that a setup computes alone, or the first of all. */
static size_t skipped(const struct ab_setup *s, size_t count, int images)
{
    return s->image < 0 ? 0 : count / (size_t)images * (size_t)s->image;
}

static void dims_of(const struct ab_setup *s, const int dims[4], int out[4])
{
    memcpy(out, dims, 4 * sizeof *out);
    if (s->image >= 0) out[0] = 1;
}

/* Words of bits where dst is written: given ones, or sentinels to write. */
static void place_bits(const struct ab_conv_problem *p, struct ab_setup *s, const int d[4],
                       struct ab_bits *bits)
{
    const enum ab_pointwise_kind kind = p->trial.f;
    const size_t from = skipped(s, ab_conv_dst_count(p), p->dst_dims[0]);
    bits->row = d[3] + (s->place.side == AB_SIDE_LEFT ? 0 : 3);
    bits->block = bits->row * d[2];
    bits->image = bits->block * ab_blocks(d[1]);
    const size_t bytes = (size_t)bits->image * (size_t)d[0] * sizeof *bits->data;
    uint16_t *words = calloc(1, bytes + 1);
    if (!words) {
        s->place.failed = true;
        return;
    }
    const unsigned char *bit = p->f.bit + from;
    for (int n = 0; n < d[0]; n++)
        for (int c = 0; c < d[1]; c++)
            for (int y = 0; y < d[2]; y++)
                for (int x = 0; x < d[3]; x++) {
                    uint16_t *w =
                        words + n * bits->image + c / AB_LANES * bits->block + y * bits->row + x;
                    *w = (uint16_t)(*w | *bit++ << c % AB_LANES);
                }
    const bool reads = ab_rule_reads_bits(kind);
    bits->data = ab_place_bytes(&s->place, "bits", words, bytes, sizeof *words, reads);
    s->marks = bits->data;
    free(words);
}

static void place_epilogue(const struct ab_conv_problem *p, struct ab_setup *s, const int d[4],
                           struct ab_pointwise *f)
{
    const size_t from = skipped(s, ab_conv_dst_count(p), p->dst_dims[0]);
    const int first = s->image < 0 ? 0 : s->image;
    f->kind = p->trial.f;
    f->eps = p->f.eps;
    f->scale = p->f.scale;
    if (ab_rule_reads_a(f->kind)) {
        const struct ab_blocked *a = ab_place_map(&s->place, "a", p->f.a + from, d, true);
        if (a) f->a = a->view;
    }
    if (ab_rule_reads_z(f->kind)) {
        const struct ab_blocked *z = ab_place_map(&s->place, "z", p->f.z + from, d, true);
        if (z) f->z = z->view;
    }
    if (f->kind == AB_PW_RECT)
        f->tau = ab_place_bytes(&s->place, "tau", p->f.tau + first, (size_t)d[0] * sizeof(float),
                                sizeof(float), true);
    if (f->kind == AB_PW_AFFINE) {
        f->mul = padded(&s->place, "mul", p->f.mul, d[1]);
        if (p->f.has_add) f->add = padded(&s->place, "add of the epilogue", p->f.add, d[1]);
    }
    if (ab_rule_reads_bits(f->kind) || ab_rule_makes_bits(f->kind)) place_bits(p, s, d, &f->bits);
}

static void place_scratch(struct ab_setup *s, struct ab_conv2d_args *a)
{
    const size_t bytes = ab_conv2d_scratch_size(s->candidate->kernel, a);
    if (bytes == 0) return;
    unsigned char *all = ab_place_bytes(&s->place, "scratch", NULL, CALLS * bytes, 64, false);
    if (all) a->scratch = s->place.side == AB_SIDE_LEFT ? all : all + (CALLS - 1) * bytes;
}

void ab_conv_place(const void *problem, struct ab_setup *s)
{
    const struct ab_conv_problem *p = problem;
    const struct ab_trial *t = &p->trial;
    const struct ab_kernel *k = s->candidate->kernel;
    struct ab_conv2d_args *a = &s->args.conv2d;
    int src[4], dst[4];
    dims_of(s, p->src_dims, src);
    dims_of(s, p->dst_dims, dst);
    *a = (struct ab_conv2d_args){.shape = t->shape.conv,
                                 .pass = t->pass,
                                 .wmod = t->wmod,
                                 .gain = p->gain,
                                 .f = {.kind = AB_PW_COPY}};
    a->shape.n = src[0];
    const struct ab_blocked *x = ab_place_map_halo(
        &s->place, "src", p->src + skipped(s, ab_conv_src_count(p), p->src_dims[0]), src,
        ab_conv2d_halo(&a->shape, t->pass), true);
    s->dst = ab_place_map(&s->place, "dst", NULL, dst, false);
    if (!x || !s->dst) return;
    a->src = x->view;
    a->dst = s->dst->view;
    a->range = ab_blocked_range(s->dst);
    if (p->bias) a->bias = padded(&s->place, "bias", p->bias, dst[1]);
    if (p->add) {
        const size_t from = skipped(s, ab_conv_dst_count(p), p->dst_dims[0]);
        const struct ab_blocked *add = ab_place_map(&s->place, "add", p->add + from, dst, true);
        if (add) a->add = add->view;
    }
    if (!s->bare) place_epilogue(p, s, dst, &a->f);
    a->wei = p->wei;
    a->pack = ab_conv_pack(&s->place, k, a);
    a->wei = NULL;
    if (k->isa == AB_ISA_ref)
        a->wei = ab_place_bytes(&s->place, "weights", p->wei,
                                ab_conv_weights(&a->shape) * sizeof(float), sizeof(float), true);
    place_scratch(s, a);
}

void ab_conv_own(const struct ab_setup *s, int call, union ab_call_args *args)
{
    const size_t bytes = ab_conv2d_scratch_size(s->candidate->kernel, &s->args.conv2d);
    const ptrdiff_t step = s->place.side == AB_SIDE_LEFT ? (ptrdiff_t)bytes : -(ptrdiff_t)bytes;
    if (bytes) args->conv2d.scratch = (unsigned char *)s->args.conv2d.scratch + call * step;
}
