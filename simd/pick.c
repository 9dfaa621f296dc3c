// SPDX-License-Identifier: Apache-2.0
// The kernel table, made of kernels.def, and the pure choice among its entries.
#include <assert.h>
#include <string.h>

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

/* 3x3, stride 1, wide enough that edge tiles and the streaming of 4 times the weights pay. */
static bool ab_when_winograd(const void *args)
{
    const struct ab_conv2d_args *a = args;
    const struct ab_conv2d_shape *s = &a->shape;
    const bool is_3x3 =
        s->kh == 3 && s->kw == 3 && s->sh == 1 && s->sw == 1 && s->dh == 1 && s->dw == 1;
    const int h = a->pass == AB_FWD ? s->oh : s->ih, w = a->pass == AB_FWD ? s->ow : s->iw;
    return is_3x3 && s->g == 1 && !a->direct_only && s->ic >= AB_LANES && s->oc >= AB_LANES &&
           h >= 9 && w >= 9;
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
    /* The largest seen was 4.0: 340 random layers of 16..512 channels, four fills, both passes,
     * AVX-512. */
    return strcmp(k->variant, "winograd") == 0 ? 8.0 : 0.0;
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
