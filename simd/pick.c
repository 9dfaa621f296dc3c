// SPDX-License-Identifier: Apache-2.0
// The kernel table, made of kernels.def, and the pure choice among its entries.
#include <assert.h>
#include <string.h>

#include "chain.h"
#include "conv2d_geom.h"

/* The lines of kernels.def whose ISA this architecture has: FOR_<isa>(text) is text or nothing. */
#define FOR_ref(...)   __VA_ARGS__
#define FOR_plain(...) __VA_ARGS__
#if defined __x86_64__
#define FOR_avx2(...)   __VA_ARGS__
#define FOR_avx512(...) __VA_ARGS__
#else
#define FOR_avx2(...)
#define FOR_avx512(...)
#endif
#if defined __aarch64__
#define FOR_neon(...) __VA_ARGS__
#else
#define FOR_neon(...)
#endif

/* ---- conditions ---- */

static bool ab_when_always(const void *args)
{
    (void)args;
    return true;
}

static bool ab_when_depthwise(const void *args)
{
    const struct ab_conv2d_shape *s = &((const struct ab_conv2d_args *)args)->shape;
    return s->g > 1 && s->g == s->ic && s->g == s->oc;
}

/* So few that 16 dst lanes would mostly compute padding, and enough src lanes to use instead. */
static bool ab_when_few_outputs(const void *args)
{
    const struct ab_conv2d_args *a = args;
    return a->shape.g == 1 && ab_conv2d_dst_channels(&a->shape, a->pass) <= 4 &&
           ab_conv2d_src_channels(&a->shape, a->pass) >= AB_LANES;
}

/* Rows hold at least one tile of any ISA. */
static bool ab_when_few_inputs(const void *args)
{
    const struct ab_conv2d_args *a = args;
    return a->pass == AB_FWD && a->shape.g == 1 && a->shape.ic <= 4 && a->shape.ow >= 8;
}

/* 3x3 at stride 1, where transforms may serve. */
static bool is_transformable(const struct ab_conv2d_args *a)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const bool is_3x3 =
        s->kh == 3 && s->kw == 3 && s->sh == 1 && s->sw == 1 && s->dh == 1 && s->dw == 1;
    return is_3x3 && s->g == 1 && !a->direct_only && s->ic >= AB_LANES && s->oc >= AB_LANES;
}

static int dst_pixels(const struct ab_conv2d_args *a)
{
    const struct ab_conv2d_shape *s = &a->shape;
    return a->pass == AB_FWD ? s->oh * s->ow : s->ih * s->iw;
}

/* F(4x4) has the fewest products, F(2x2) fewer weights (16 floats instead of 36 for the 9 of
 * direct kernels), which decides where few tiles wait for many weights. Measured on AMD EPYC Zen 4,
 * one image, 16 to 512 channels, squares of 2 to 14; both instruction sets cross over at the same
 * sizes. ms of direct, F(2x2), F(4x4), with AVX-512, then with AVX2:
 *
 *   256 @4    .155  .081  .139    .178  .088  .155
 *   256 @5    .240  .146  .155    .274  .155  .175
 *   256 @6    .344  .172  .160    .363  .187  .182
 *   256 @7    .472  .266  .170    .586  .279  .191
 *   512 @7    2.29  1.10  1.40    2.93  1.16  1.37
 *   512 @8    2.78  1.23  1.48    3.42  1.28  1.47
 *   512 @9    3.51  1.78  1.41    4.14  1.91  1.44
 *   512 @14   7.94  3.83  2.45    9.14  4.09  2.60
 *
 * The 512-channel layers' 37.7 MB of F(4x4) weights come from memory, all others' from L3. With
 * four images F(4x4) is faster from 3 x 3 on (512 @7: 2.7 ms against 4.4), but an image's result
 * must not depend on the batch that it is in, so the choice does not either. */
static bool ab_when_winograd(const void *args)
{
    const struct ab_conv2d_args *a = args;
    const bool cached = (long)a->shape.ic * a->shape.oc <= 1l << 17;
    return is_transformable(a) && dst_pixels(a) >= (cached ? 32 : 80);
}

static bool ab_when_winograd2(const void *args)
{
    return is_transformable(args) && dst_pixels(args) >= 9;
}

/* ---- table ---- */

#define AB_KERNEL(op, isa, when) FOR_##isa(void ab_##op##_##isa(const void *);)
#define AB_VARIANT(op, isa, variant, when)                                                         \
    FOR_##isa(void ab_##op##_##isa##_##variant(const void *);)
#define AB_PLAIN(op, isa) FOR_##isa(void ab_##op##_##isa##_plain(const void *);)
#include "kernels.def"
#undef AB_KERNEL
#undef AB_VARIANT
#undef AB_PLAIN

#define ENTRY(op, isa, symbol, variant, baseline, when)                                            \
    {#symbol, variant, AB_KERNEL_##op, AB_ISA_##isa, baseline, ab_when_##when, ab_##symbol},

static const struct ab_kernel kernels[] = {
#define AB_KERNEL(op, isa, when)                                                                   \
    FOR_##isa(ENTRY(op, isa, op##_##isa, "", AB_ISA_##isa <= AB_ISA_plain, when))
#define AB_VARIANT(op, isa, variant, when)                                                         \
    FOR_##isa(ENTRY(op, isa, op##_##isa##_##variant, #variant, false, when))
#define AB_PLAIN(op, isa) FOR_##isa(ENTRY(op, isa, op##_##isa##_plain, "plain", true, always))
#include "kernels.def"
#undef AB_KERNEL
#undef AB_VARIANT
#undef AB_PLAIN
};

enum { KERNELS = sizeof kernels / sizeof *kernels };

const struct ab_kernel *ab_kernels(int *count)
{
    *count = KERNELS;
    return kernels;
}

double ab_kernel_amplification(const struct ab_kernel *k)
{
    /* F(4x4): the largest seen was 4.0, in 340 random layers of 16..512 channels, four fills, both
     * passes. F(2x2): 1.14 in the 400 layers of `AB_TEST_LAYERS=400 test_conv2d amplification`,
     * both instruction sets and passes, where F(4x4) shows 1.96. */
    if (strcmp(k->variant, "winograd") == 0) return 8.0;
    return strcmp(k->variant, "winograd2") == 0 ? 4.0 : 0.0;
}

/* `ref` adds up in double: the conversion, bias and add round, and half a rounding more is all that
 * 2^28 terms lose in double. The direct kernels of conv2d add one product after the other, in
 * chunks whose sums are added up: no term passes through more roundings than there are terms. `dot`
 * has an accumulator for each lane of a vector: of each 16 src channels (at least 16 in all, so
 * that the padding of the last block is less than half) 16/VL, log2(VL) additions of lanes, bias
 * and add. */
long ab_kernel_chain(const struct ab_kernel *k, long terms)
{
    if (k->isa == AB_ISA_ref) return terms < 4 ? terms : 4;
    if (k->op != AB_KERNEL_conv2d || strcmp(k->variant, "dot") != 0) return terms;
    const long lanes = k->isa == AB_ISA_avx512 ? 16 : k->isa == AB_ISA_avx2 ? 8 : 4;
    const long each = 2 * terms / lanes + 1, tree = lanes == 16 ? 4 : lanes == 8 ? 3 : 2;
    return each + tree + 2 < terms ? each + tree + 2 : terms;
}

bool ab_kernel_shares_sums(const struct ab_kernel *k)
{
    if (k->op == AB_KERNEL_dense) return k->isa != AB_ISA_ref;
    return k->op == AB_KERNEL_conv2d && strncmp(k->variant, "winograd", 8) == 0;
}

const char *ab_isa_name(enum ab_isa isa)
{
    static const char *const names[] = {
#define AB_ISA(name, arch, flags) #name,
#include "isa.def"
#undef AB_ISA
    };
    assert((unsigned)isa < AB_ISA_COUNT);
    return names[isa];
}

const char *ab_kernel_op_name(enum ab_kernel_op op)
{
    static const char *const names[] = {"conv2d",    "dense",  "maxpool",    "avgpool",
                                        "pointwise", "select", "conv2d_f64", "dense_f64"};
    assert((unsigned)op < AB_KERNEL_OPS);
    return names[op];
}

/* ---- choice ---- */

/* Hand-written before baseline, then the later ISA, then the earlier line. */
static bool better(const struct ab_kernel *k, const struct ab_kernel *than)
{
    if (!than) return true;
    if (k->baseline != than->baseline) return !k->baseline;
    return k->isa > than->isa;
}

const struct ab_kernel *ab_pick(enum ab_kernel_op op, const void *args, unsigned isas)
{
    const unsigned ref = 1u << AB_ISA_ref, plain = 1u << AB_ISA_plain;
    const unsigned known = (1u << AB_ISA_COUNT) - 1;
    const struct ab_kernel *best = NULL;
    /* plain stands in for a mask that names nothing built here. */
    isas = (isas & known) == ref ? ref : (isas & ~ref) | plain;
    for (int i = 0; i < KERNELS; i++) {
        const struct ab_kernel *k = &kernels[i];
        if (k->op != op || !(isas >> k->isa & 1u) || !k->applies(args)) continue;
        if (better(k, best)) best = k;
    }
    assert(best);
    return best;
}
