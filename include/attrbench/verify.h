// SPDX-License-Identifier: Apache-2.0
// attrbench verify: judging kernels that are not attrbench's own.
//
// A shared object offers its kernels through one function, ab_verify_plugin, and is judged by the
// cases that judge attrbench's kernels: `attrbench verify --plugin ./mine.so`. Nothing of attrbench
// is linked. examples/ has a plugin that wraps oneDNN and one that is wrong on purpose.
//
//     #include <attrbench/verify.h>
//
//     static int conv(const void *args)
//     {
//         const struct ab_verify_conv2d *a = args;
//         ...                                        // fill a->dst
//         return AB_VERIFY_DONE;
//     }
//     static const struct ab_verify_kernel kernels[] = {
//         {.name = "conv", .operation = AB_VERIFY_CONV2D, .run = conv},
//     };
//     static const struct ab_verify_plugin mine = {AB_VERIFY_ABI, "mine 1.0", kernels, 1};
//
//     const struct ab_verify_plugin *ab_verify_plugin(void) { return &mine; }
//
// cc -shared -fPIC mine.c -o mine.so makes it; its kernel is then called mine:conv.
//
// Arrays are dense NCHW floats, of any alignment that is a multiple of 4 bytes, each between pages
// that cannot be touched: nothing beside them may be read or written, and inputs are const. dst
// holds no meaningful values on entry and must be written whole. A kernel may allocate and use
// threads, and must bear to be called from several threads at once. It leaves callee-saved
// registers and the floating-point environment as they were. Whether a zero is +0 or -0 is not
// judged; NaN and infinities are.
//
// Kernels run in processes that are thrown away, forked from one that has loaded the object and
// called ab_verify_plugin, which happens in another process first, so that neither can take the
// command down. Both should do no more than they must: threads that they start are not there when
// kernels run.
#ifndef ATTRBENCH_VERIFY_H
#define ATTRBENCH_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of this header: changed whenever an object made with an older one would be misread. */
#define AB_VERIFY_ABI 1

/* What a kernel returns: DONE, or that it does not do such arguments (no failure), or that it
 * should have but could not (a failure). */
enum { AB_VERIFY_DONE = 0, AB_VERIFY_UNSUPPORTED = 1, AB_VERIFY_FAILED = 2 };

/* The operations, and the struct that `args` points to. */
enum ab_verify_operation {
    AB_VERIFY_CONV2D,    /* struct ab_verify_conv2d */
    AB_VERIFY_DENSE,     /* struct ab_verify_dense */
    AB_VERIFY_MAXPOOL,   /* struct ab_verify_pool */
    AB_VERIFY_AVGPOOL,   /* struct ab_verify_pool */
    AB_VERIFY_POINTWISE, /* struct ab_verify_pointwise */
    AB_VERIFY_OPERATIONS
};

/* oh = (ih + pt + pb - (dh*(kh-1)+1)) / sh + 1, rounded down, likewise ow; ic and oc are totals
 * over g groups. Forward: dst[n][oc][oh][ow] = W src[n][ic][ih][iw] + bias. Backward-data:
 * dst[n][ic][ih][iw] = W^T src[n][oc][oh][ow], bias NULL. */
struct ab_verify_conv2d {
    int backward;
    int n, g, ic, ih, iw, oc, oh, ow, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr;
    const float *wei;  /* [oc][ic/g][kh][kw] */
    const float *bias; /* [oc], or NULL */
    const float *src;
    float *dst;
};

/* Forward: dst[n][out] = W src[n][in] + bias. Backward-data: dst[n][in] = W^T src[n][out]. */
struct ab_verify_dense {
    int backward;
    int n, in, out;
    const float *wei;  /* [out][in] */
    const float *bias; /* [out], or NULL */
    const float *src;
    float *dst;
};

/* oh and ow are given and may exceed the floor of the division (ceil mode); windows are clipped to
 * the image. An average divides by the taps inside the image, or with include_pad by those inside
 * the padded image. Forward max-pooling writes `switches`, the tap ky*kw+kx of the first maximum in
 * row-major order (NaN is larger than all); backward reads them, and signals at one input add up.
 */
struct ab_verify_pool {
    int backward;
    int n, c, ih, iw, oh, ow, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr, include_pad;
    uint16_t *switches; /* [n][c][oh][ow]; max-pooling alone; const when backward */
    const float *src;   /* forward [n][c][ih][iw], backward [n][c][oh][ow] */
    float *dst;
};

/* dst[i] = rule(x[i], a[i], z[i]) for i < count; `kind` is a name that `attrbench verify --help`
 * lists, e.g. "relu", "gate" (a > 0 ? x : 0), "guided" (a > 0 ? max(x,0) : 0), "cap"
 * (min(max(x,0), scale)), "cap-gate" (0 < a < scale ? x : 0), "muldiv" (scale * (x*a) / st(z)),
 * st(z) = z + eps where z >= 0, z - eps below, a quotient by 0 being 0. a and z are NULL where the
 * rule has no such operand. */
struct ab_verify_pointwise {
    const char *kind;
    size_t count;
    float eps, scale;
    const float *x, *a, *z;
    float *dst;
};

struct ab_verify_kernel {
    const char *name; /* letters, digits, '_', '-', '.'; up to 63 */
    enum ab_verify_operation operation;
    int (*run)(const void *args);
    /* How a sum of K products is accumulated: the longest chain of roundings that one product may
     * pass through, e.g. K/8 + 3 for eight accumulators added as a tree; 0: K. A shorter chain has
     * a smaller bound. */
    long (*chain)(long products);
    /* 0: sums of plain products, exact for small integers. Else the amplification factor of an
     * algorithm that transforms its operands (Winograd, FFT): errors may reach this * sqrt(input
     * channels) * 2^-24 * the largest sum of magnitudes among the outputs of the same channel
     * within five pixels. */
    double amplification;
};

struct ab_verify_plugin {
    int abi;          /* AB_VERIFY_ABI */
    const char *name; /* of the library, with its version: recorded */
    const struct ab_verify_kernel *kernels;
    int count;
};

/* What the shared object exports; declared here so that a definition with another type does not
 * compile. The result lives as long as the object is loaded; NULL: refuses to be loaded (after a
 * line on stderr that says why). */
typedef const struct ab_verify_plugin *ab_verify_plugin_function(void);
#ifdef __GNUC__
__attribute__((visibility("default")))
#endif
const struct ab_verify_plugin *
ab_verify_plugin(void);

#ifdef __cplusplus
}
#endif
#endif
