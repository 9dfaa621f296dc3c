// SPDX-License-Identifier: Apache-2.0
// The kernels: argument structs (each is the contract of its operation), the list, and the pure
// choice among them.
//
// A kernel takes one pointer to its argument struct, cannot fail, allocates nothing, knows no
// threads, and writes only the part of `dst` that its `range` names. Callers split work over
// threads by ranges; every output element is computed by the same sequence of operations whatever
// the range, so results do not depend on the split.
#ifndef AB_SIMD_KERNELS_H
#define AB_SIMD_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Feature maps are nChw16c: channels in blocks of 16 lanes, for every ISA. The last block's padding
 * lanes hold +0 in every tensor that a kernel reads, and every kernel keeps them +0 in what it
 * writes. */
enum { AB_LANES = 16 };

static inline int ab_blocks(int channels)
{
    return (channels + AB_LANES - 1) / AB_LANES;
}

enum ab_isa {
#define AB_ISA(name, arch, flags) AB_ISA_##name,
#include "isa.def"
#undef AB_ISA
    AB_ISA_COUNT
};

/* A blocked tensor. Element (n, c, y, x) is data[n*image + (c/16)*block + y*row + x*16 + c%16];
 * strides in floats. `data` is 64-byte aligned and all strides are multiples of 16. Reading at
 * negative y or x, or past the last row or column, is allowed as far as the consumer's halo
 * (ab_conv2d_halo) reaches; the halo holds +0. */
struct ab_view {
    float *data;
    ptrdiff_t image, block, row;
};

/* Which part of dst to compute: images [n0,n1), channel blocks [b0,b1), rows [y0,y1). */
struct ab_range {
    int n0, n1, b0, b1, y0, y1;
};

enum ab_pass { AB_FWD, AB_BWD };

/* The part of the weights that takes part: all, max(w,0), min(w,0), |w|, w^2, 1 in the place of
 * each weight, or max(w, gain*w), gain >= 1: LRP-gamma's w + gamma*max(w,0) with gain = 1 + gamma.
 */
enum ab_wmod {
    AB_W_ALL,
    AB_W_POS,
    AB_W_NEG,
    AB_W_ABS,
    AB_W_SQUARE,
    AB_W_ONE,
    AB_W_GAMMA,
    AB_W_COUNT
};

/* ---- pointwise: the masked backward rules, division, products
 * -------------------------------------------------- */

/* dst = f(x; a, z). `st(z) = z + eps*sgn1(z)`, sgn1(z) = +1 for z >= 0 (so for -0 too) and -1
 * below; a quotient with st(z) == 0 is 0. A product with scale that is 0 is one of either sign.
 * Products in a numerator (x*a first, then scale) and st(z) are rounded to float, the division is
 * IEEE: all but AFFINE, which may be fused, is defined to the bit. Comparisons are strict: the
 * gradient of ReLU at 0 is 0. -0 may come out where x is -0 or negative and masked by
 * multiplication; masks produce +0. NaN in x propagates through every kind that keeps x.
 */
enum ab_pointwise_kind {
    AB_PW_COPY,    /* x */
    AB_PW_RELU,    /* max(x,0): forward ReLU, and DeconvNet's backward rule */
    AB_PW_NEG,     /* min(x,0) */
    AB_PW_ABS,     /* |x| */
    AB_PW_GATE,    /* a > 0 ? x : 0: gradient of ReLU */
    AB_PW_GUIDED,  /* a > 0 ? max(x,0) : 0: Guided Backprop */
    AB_PW_RECT,    /* a*x > tau[n] ? x : 0: RectGrad, tau per image */
    AB_PW_MUL,     /* x * a */
    AB_PW_DIV,     /* scale * x / st(z) */
    AB_PW_MULDIV,  /* scale * (x*a) / st(z) */
    AB_PW_RESCALE, /* x * (t / (t - min(b,0))), t and b the larger and the smaller of a and z; 0
                      where t <= 0: x times (max(a,0) - max(z,0)) / (a - z), its limit at a = z */
    AB_PW_DIVDIFF, /* x / (a - z), 0 where a = z */
    AB_PW_ADD,     /* x + a */
    AB_PW_SUB,     /* x - a */
    AB_PW_SCALE,   /* scale * x */
    AB_PW_AFFINE,  /* x * mul[c] + add[c]: batch normalisation (add may be NULL: its backward) */
    /* ReLU with an upper bound, scale > 0 (ReLU6: 6); its slope is 0 at both bounds: */
    AB_PW_CAP,        /* min(max(x,0), scale) */
    AB_PW_CAP_GATE,   /* 0 < a < scale ? x : 0: its gradient */
    AB_PW_CAP_GUIDED, /* 0 < a < scale ? max(x,0) : 0: its Guided Backprop */
    /* Of maps alone, with one bit an element in `bits`, a 32nd of the traffic of `a`: */
    AB_PW_RELU_BITS,   /* max(x,0); bit = result > 0 */
    AB_PW_CAP_BITS,    /* min(max(x,0), scale); bit = 0 < result < scale */
    AB_PW_GATE_BITS,   /* bit ? x : 0 */
    AB_PW_GUIDED_BITS, /* bit ? max(x,0) : 0 */
    AB_PW_GUARD_BITS,  /* x; bit = !(|a| <= |scale*x|): a is too large for x to divide it */
    AB_PW_REST_BITS,   /* a > 0 ? a - x : 0; bit = !(|a| <= |scale*dst|) */
    AB_PW_COUNT
};

/* One bit an element: bit c%16 of word (n, c/16, y, x) = data[n*image + (c/16)*block + y*row + x].
 * Padding lanes: 0. */
struct ab_bits {
    uint16_t *data;
    ptrdiff_t image, block, row;
};

/* What a pointwise kind needs besides x. Views whose kind does not use them are ignored. */
struct ab_pointwise {
    enum ab_pointwise_kind kind;
    float eps, scale;
    struct ab_view a, z;
    const float *tau;       /* [n] */
    const float *mul, *add; /* [16*blocks], padding lanes 0 */
    struct ab_bits bits;    /* read or written where dst is written */
};

/* dst may be x (in place), or a or z at equal strides; otherwise no overlap. Vectors of f features
 * (padded with +0 to a multiple of 16) are passed as blocks = 1, h = 1, w = padded/16, or for
 * AFFINE as blocks = padded/16, h = w = 1. */
struct ab_pointwise_args {
    struct ab_pointwise f;
    struct ab_view x, dst;
    int n, blocks, h, w;
    struct ab_range range;
};

/* ---- conv2d: forward and backward-data
 * ------------------------------------------------------------------------- */

/* Channel counts are totals over all groups. oh = (ih + pt + pb - (dh*(kh-1)+1)) / sh + 1, likewise
 * ow. */
struct ab_conv2d_shape {
    int n, g, ic, ih, iw, oc, oh, ow, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr;
};

/* FWD: dst[n,oc,oh,ow] = f(W*src + bias + add).  BWD: dst[n,ic,ih,iw] = f(W^T*src + add), src
 * [n,oc,oh,ow]; bias unused. W is transformed by wmod first. `f` is the epilogue, applied to whole
 * dst pixels after the sum is complete. src must carry the halo of ab_conv2d_halo. dst may alias no
 * input except `add` and the epilogue's a and z at equal strides. ab_pick needs shape, pass and
 * wmod alone. */
struct ab_conv2d_args {
    struct ab_conv2d_shape shape;
    enum ab_pass pass;
    enum ab_wmod wmod;
    float gain;        /* of AB_W_GAMMA */
    const float *wei;  /* [oc][ic/g][kh][kw] as in the model; read by `ref` alone */
    const void *pack;  /* written by ab_conv2d_pack for this kernel; read by all others */
    const float *bias; /* [16*blocks(oc)], padding 0; or NULL */
    struct ab_view src, dst;
    struct ab_view add; /* data NULL: none */
    struct ab_pointwise f;
    struct ab_range range;
    bool panel; /* pack holds the dst blocks of `range` alone: see ab_conv2d_takes_panels */
    bool
        direct_only; /* ab_pick leaves out algorithms with more rounding error than the plain sum */
    void *scratch;   /* ab_conv2d_scratch_size bytes, 64-byte aligned, one per concurrent call */
    /* Another call of the same sums, which differs in dst, bias, add and f alone (its range is this
     * one's), or NULL. Results are those of one call after the other. Only for kernels with
     * ab_kernel_shares_sums. */
    const struct ab_conv2d_args *next;
};

/* How far src is read beyond its interior, in rows and columns: >= 0 each. Equal for all kernels.
 */
struct ab_halo {
    int top, left, bottom, right;
};
struct ab_halo ab_conv2d_halo(const struct ab_conv2d_shape *shape, enum ab_pass pass);

struct ab_kernel;
/* Bytes of the packed weights of `k` for shape, pass and wmod in args (a multiple of 64; 0 for
 * `ref`), and the packing of args->wei itself; `pack` is 64-byte aligned. Weights are packed once,
 * with wmod (and gain) applied. */
size_t ab_conv2d_pack_size(const struct ab_kernel *k, const struct ab_conv2d_args *args);
void ab_conv2d_pack(const struct ab_kernel *k, const struct ab_conv2d_args *args, void *pack);
/* Whether `k` works from panels too, the packed weights of the dst blocks of one range, which
 * ab_conv2d_pack makes from the model's own just before the run: no second copy of the weights. */
bool ab_conv2d_takes_panels(const struct ab_kernel *k);
/* Bytes of work space that `k` needs at args->scratch, whatever the range (a multiple of 64; mostly
 * 0). */
size_t ab_conv2d_scratch_size(const struct ab_kernel *k, const struct ab_conv2d_args *args);

/* ---- dense
 * -----------------------------------------------------------------------------------------------------
 */

/* W is [out][in] row-major, unaligned rows, used in place with wmod formed in registers.
 * FWD: dst[n][out] = f(W src[n] + bias + add), range [r0,r1) of outputs. BWD: dst[n][in] = f(W^T
 * src[n] + add), range of inputs. Vectors are `*_stride` floats apart per sample; the epilogue's
 * views use `image` as that stride. Rows whose src is 0 for all n may be skipped in BWD. Elements
 * of dst outside [r0,r1) are untouched (the padding is the caller's). */
struct ab_dense_args {
    int n, in, out;
    enum ab_pass pass;
    enum ab_wmod wmod;
    float gain; /* of AB_W_GAMMA */
    const float *wei, *bias, *src;
    float *dst;
    const float *add; /* dst's stride; or NULL */
    ptrdiff_t src_stride, dst_stride;
    struct ab_pointwise f;
    int r0, r1;
    /* NULL, or what an earlier call made of W, src and range without bias, add and f, which alone
     * are left to do: [n], `sums_stride` floats apart. The results are those of a call that does
     * all at once if ab_kernel_shares_sums; `ref` rounds once more. */
    const float *sums;
    ptrdiff_t sums_stride;
    /* Another call of the same wei, in, out, pass and range, without `sums`, or NULL: kernels may
     * read W once for all. Results are those of one call after the other. */
    const struct ab_dense_args *next;
};

/* Samples of a chain of dense calls, at most. */
enum { AB_DENSE_CHAIN = 32 };

/* ---- pooling
 * ---------------------------------------------------------------------------------------------------
 */

/* oh, ow are given (ceil mode is the caller's arithmetic); windows are clipped to the image. A
 * window's average divides by the number of its taps inside the image, or with include_pad by those
 * inside the padded image. */
struct ab_pool_shape {
    int n, c, ih, iw, oh, ow, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr;
    bool include_pad;
};

/* maxpool FWD: src -> dst and, if not NULL, switches [n][blocks][oh][ow][16]: the tap ky*kw+kx of
 * the first maximum in row-major order. NaN counts as larger than all. BWD: src is the signal at
 * the output, dst that at the input: zero, plus each signal at its switch, added in row-major order
 * of the outputs (overlapping windows accumulate). avgpool BWD: each signal spread over its window
 * by the same divisor. `f` is the epilogue of BWD, applied to whole sums; its views may not overlap
 * dst. range is of dst; in BWD y0 = 0 and y1 = ih, or, where no window crosses
 * them (kh = sh, dh = 1, pt = 0), multiples of sh. */
struct ab_pool_args {
    struct ab_pool_shape shape;
    enum ab_pass pass;
    struct ab_view src, dst;
    uint16_t *switches;
    struct ab_pointwise f; /* FWD: unused */
    struct ab_range range;
};

/* ---- select: exact order statistics by radix histograms
 * -------------------------------------------------------- */

/* Counts, over the elements of image n in blocks [b0,b1) and rows [y0,y1) of the product p = x*a (x
 * alone where a.data is NULL; p + 0.0 so that -0 counts as +0), the keys k(p) with (k(p) ^ prefix)
 * & mask == 0, into hist[((k(p) & ~mask) >> shift) & 2047] += 1: bits of the prefix are no part of
 * the index, which matters where the last digit has less than 11 bits. k is the order-preserving
 * map of floats to uint32. Padding lanes are counted too; the caller subtracts them at the key of
 * +0. Range n1 is n0+1. */
struct ab_select_args {
    struct ab_view x, a;
    int blocks, h, w;
    uint32_t prefix, mask;
    int shift;
    uint32_t *hist; /* [2048] */
    struct ab_range range;
};

/* The order-preserving key: k(a) < k(b) iff a < b, for all but NaN. */
static inline uint32_t ab_float_key(float v)
{
    union {
        float f;
        uint32_t u;
    } b = {.f = v};
    return b.u ^ (b.u >> 31 ? 0xffffffffu : 0x80000000u);
}
static inline float ab_key_float(uint32_t k)
{
    union {
        uint32_t u;
        float f;
    } b = {.u = k ^ (k >> 31 ? 0x80000000u : 0xffffffffu)};
    return b.f;
}

/* ---- conv2d_f64, dense_f64: the same sums in double, for the reference backend ---- */

/* As ab_view, in doubles. */
struct ab_view_f64 {
    double *data;
    ptrdiff_t image, block, row;
};

/* FWD: dst = W*src + bias + add. BWD: dst = W^T*src + add. Layout, halo, padding lanes, range and
 * wei as for conv2d; wmod is applied in double. `panel` is work space for one call at a time,
 * 64-byte aligned: ab_conv2d_inputs_max(shape, pass) * kh * kw * 16 doubles. dst may alias `add`
 * at equal strides and nothing else. ab_pick needs no argument. */
struct ab_conv2d_f64_args {
    struct ab_conv2d_shape shape;
    enum ab_pass pass;
    enum ab_wmod wmod;
    float gain; /* of AB_W_GAMMA */
    const float *wei;
    const double *bias; /* [16*blocks(oc)], padding 0; or NULL */
    struct ab_view_f64 src, dst;
    struct ab_view_f64 add; /* data NULL: none */
    double *panel;
    struct ab_range range;
};

/* FWD: dst[n][out] = W src[n] + bias + add, range [r0,r1) of outputs. BWD: dst[n][in] = W^T src[n]
 * + add, range of inputs; rows whose src is 0 are skipped. wei as for dense; vectors are `*_stride`
 * doubles apart per sample. */
struct ab_dense_f64_args {
    int n, in, out;
    enum ab_pass pass;
    enum ab_wmod wmod;
    float gain; /* of AB_W_GAMMA */
    const float *wei;
    const double *bias, *src;
    double *dst;
    const double *add; /* dst's stride; or NULL */
    ptrdiff_t src_stride, dst_stride;
    int r0, r1;
};

/* ---- the list and the choice
 * ----------------------------------------------------------------------------------- */

enum ab_kernel_op {
    AB_KERNEL_conv2d,
    AB_KERNEL_dense,
    AB_KERNEL_maxpool,
    AB_KERNEL_avgpool,
    AB_KERNEL_pointwise,
    AB_KERNEL_select,
    AB_KERNEL_conv2d_f64,
    AB_KERNEL_dense_f64,
    AB_KERNEL_OPS
};

struct ab_kernel {
    const char *name;    /* the symbol less "ab_", e.g. "conv2d_avx2_dot" */
    const char *variant; /* "", "plain", "dot", ... */
    enum ab_kernel_op op;
    enum ab_isa isa;
    bool baseline; /* ref and plain text: chosen only if nothing hand-written applies */
    bool (*applies)(const void *args);
    void (*run)(const void *args);
};

const struct ab_kernel *ab_kernels(int *count);

/* 0 for kernels that add up the plain products, for which sums of small integers are exact.
 * Otherwise the measured factor c of an algorithm that transforms its inputs: an error may reach c
 * sqrt(src channels) u times the largest sum of magnitudes |w||a| among the outputs of the same
 * channel within five pixels, those beyond the edges of dst among them. */
double ab_kernel_amplification(const struct ab_kernel *k);
/* Whether `k` makes sums that several calls have in common once: conv2d and dense kernels that
 * chain them (`next`) and add bias, add and epilogue to finished sums. */
bool ab_kernel_shares_sums(const struct ab_kernel *k);
const char *ab_isa_name(enum ab_isa isa);
const char *ab_kernel_op_name(enum ab_kernel_op op);
const char *ab_pointwise_name(enum ab_pointwise_kind kind); /* "muldiv"; without spaces */
const char *ab_wmod_name(enum ab_wmod wmod);                /* "pos" */

/* Instruction sets of this CPU and operating system, as a mask of 1u << AB_ISA_*; ref and plain
 * always. */
unsigned ab_cpu_isas(void);

/* The best kernel of `op` for `args` within `isas` (never `ref` unless it is the only bit). Pure;
 * never NULL. */
const struct ab_kernel *ab_pick(enum ab_kernel_op op, const void *args, unsigned isas);

#ifdef __cplusplus
}
#endif
#endif
