// SPDX-License-Identifier: Apache-2.0
// oneDNN's convolution, inner product, pooling and element-wise primitives behind
// <attrbench/verify.h>.
//
// Each call makes its primitive anew, which oneDNN answers from its own cache of compiled code when
// the shape is known. Operands stay where the caller has them if the primitive takes them so; else
// oneDNN's reorders copy them, and are judged too. What oneDNN refuses to make is unsupported;
// what it makes and cannot run has failed.
#include "backend/onednn_verify.h"
#include "backend/onednn_ports.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- convolution ---- */

/* `tag`: of maps and weights alike, dnnl_format_tag_any or dnnl_abcd (NCHW). */
static int conv2d(const struct ab_verify_conv2d *a, dnnl_format_tag_t tag)
{
    const dnnl_dims_t in = {a->n, a->ic, a->ih, a->iw}, out = {a->n, a->oc, a->oh, a->ow};
    const dnnl_dims_t flat = {a->oc, a->ic / a->g, a->kh, a->kw}, bias = {a->oc};
    const dnnl_dims_t grouped = {a->g, a->oc / a->g, a->ic / a->g, a->kh, a->kw};
    const bool any = tag == dnnl_format_tag_any;
    struct ab_ports p;
    if (!ab_ports_open(&p)) return AB_VERIFY_FAILED;
    ab_md *user_src = ab_ports_md(&p, 4, a->backward ? out : in, dnnl_abcd);
    ab_md *user_dst = ab_ports_md(&p, 4, a->backward ? in : out, dnnl_abcd);
    ab_md *user_wei =
        a->g > 1 ? ab_ports_md(&p, 5, grouped, dnnl_abcde) : ab_ports_md(&p, 4, flat, dnnl_abcd);
    ab_md *user_bias = ab_ports_md(&p, 1, bias, dnnl_a);
    struct ab_onednn_op op = {
        .kind = AB_DNN_CONV_FWD,
        .prop = dnnl_forward_training,
        .alg = dnnl_convolution_direct,
        .src = ab_ports_md(&p, 4, in, tag),
        .dst = ab_ports_md(&p, 4, out, tag),
        .wei = !any       ? user_wei
               : a->g > 1 ? ab_ports_md(&p, 5, grouped, tag)
                          : ab_ports_md(&p, 4, flat, tag),
        .bias = a->bias ? user_bias : NULL,
        .strides = {a->sh, a->sw},
        .dilates = {a->dh - 1, a->dw - 1},
        .pad_l = {a->pt, a->pl},
        .pad_r = {a->pb, a->pr},
    };
    if (a->backward) {
        op.bias = NULL;
        ab_ports_hint(&p, &op);
        op.kind = AB_DNN_CONV_BWD;
    }
    ab_ports_make(&p, &op);
    ab_ports_in(&p, a->backward ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, user_src, a->src);
    ab_ports_in(&p, DNNL_ARG_WEIGHTS, user_wei, a->wei);
    if (op.bias) ab_ports_in(&p, DNNL_ARG_BIAS, user_bias, a->bias);
    ab_ports_out(&p, a->backward ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, user_dst, a->dst);
    return ab_ports_run(&p);
}

static int conv2d_any(const void *args)
{
    return conv2d(args, dnnl_format_tag_any);
}

static int conv2d_nchw(const void *args)
{
    return conv2d(args, dnnl_abcd);
}

/* ---- inner product ---- */

static int dense(const struct ab_verify_dense *a, dnnl_format_tag_t tag)
{
    const dnnl_dims_t in = {a->n, a->in}, out = {a->n, a->out}, wei = {a->out, a->in};
    const dnnl_dims_t bias = {a->out};
    struct ab_ports p;
    if (!ab_ports_open(&p)) return AB_VERIFY_FAILED;
    ab_md *user_src = ab_ports_md(&p, 2, a->backward ? out : in, dnnl_ab);
    ab_md *user_dst = ab_ports_md(&p, 2, a->backward ? in : out, dnnl_ab);
    ab_md *user_wei = ab_ports_md(&p, 2, wei, dnnl_ab);
    ab_md *user_bias = ab_ports_md(&p, 1, bias, dnnl_a);
    struct ab_onednn_op op = {
        .kind = AB_DNN_DENSE_FWD,
        .prop = dnnl_forward_training,
        .src = ab_ports_md(&p, 2, in, tag),
        .dst = ab_ports_md(&p, 2, out, tag),
        .wei = ab_ports_md(&p, 2, wei, tag),
        .bias = a->bias && !a->backward ? user_bias : NULL,
    };
    if (a->backward) {
        ab_ports_hint(&p, &op);
        op.kind = AB_DNN_DENSE_BWD;
    }
    ab_ports_make(&p, &op);
    ab_ports_in(&p, a->backward ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, user_src, a->src);
    ab_ports_in(&p, DNNL_ARG_WEIGHTS, user_wei, a->wei);
    if (op.bias) ab_ports_in(&p, DNNL_ARG_BIAS, user_bias, a->bias);
    ab_ports_out(&p, a->backward ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, user_dst, a->dst);
    return ab_ports_run(&p);
}

static int dense_any(const void *args)
{
    return dense(args, dnnl_format_tag_any);
}

static int dense_plain(const void *args)
{
    return dense(args, dnnl_ab);
}

/* ---- pooling ---- */

static int overhang(int out, int stride, int k, int d, int in, int pad)
{
    return (out - 1) * stride + d * (k - 1) + 1 - in - pad;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* Ceil mode is padding below and beside as far as the last window reaches. */
static void set_window(struct ab_onednn_op *op, const struct ab_verify_pool *a)
{
    const int pads[] = {a->pt, a->pl}, strides[] = {a->sh, a->sw}, kernel[] = {a->kh, a->kw};
    const int dilates[] = {a->dh - 1, a->dw - 1};
    op->pad_r[0] = larger(a->pb, overhang(a->oh, a->sh, a->kh, a->dh, a->ih, a->pt));
    op->pad_r[1] = larger(a->pr, overhang(a->ow, a->sw, a->kw, a->dw, a->iw, a->pl));
    for (int i = 0; i < 2; i++) {
        op->strides[i] = strides[i];
        op->kernel[i] = kernel[i];
        op->dilates[i] = dilates[i];
        op->pad_l[i] = pads[i];
    }
}

/* Backward primitives share the layout of the forward one that is their hint. */
static int pool(const struct ab_verify_pool *a, dnnl_alg_kind_t alg, dnnl_format_tag_t tag)
{
    const dnnl_dims_t in = {a->n, a->c, a->ih, a->iw}, out = {a->n, a->c, a->oh, a->ow};
    struct ab_ports p;
    if (!ab_ports_open(&p)) return AB_VERIFY_FAILED;
    ab_md *user_src = ab_ports_md(&p, 4, a->backward ? out : in, dnnl_abcd);
    ab_md *user_dst = ab_ports_md(&p, 4, a->backward ? in : out, dnnl_abcd);
    struct ab_onednn_op op = {
        .kind = AB_DNN_POOL_FWD,
        .prop = dnnl_forward_training,
        .alg = alg,
        .src = ab_ports_md(&p, 4, in, tag),
        .dst = ab_ports_md(&p, 4, out, tag),
    };
    set_window(&op, a);
    if (a->backward) {
        ab_ports_hint(&p, &op);
        op.kind = AB_DNN_POOL_BWD;
    }
    ab_ports_make(&p, &op);
    ab_ports_in(&p, a->backward ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, user_src, a->src);
    ab_ports_out(&p, a->backward ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, user_dst, a->dst);
    if (alg == dnnl_pooling_max) ab_ports_switches(&p, out, a->switches, !a->backward);
    return ab_ports_run(&p);
}

/* Whether some window of a row or column of windows has no tap inside the image. */
static bool some_empty(int out, int stride, int k, int d, int in, int pad)
{
    for (int o = 0; o < out; o++) {
        bool empty = true;
        for (int t = 0; t < k && empty; t++) {
            const int at = o * stride - pad + t * d;
            empty = at < 0 || at >= in;
        }
        if (empty) return true;
    }
    return false;
}

static bool has_nan_or_least(const float *p, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (isnan(p[i]) || p[i] == -INFINITY) return true;
    return false;
}

/* oneDNN does not say what the largest of nothing is, nor what becomes of values that are not
 * finite: its implementations begin with -FLT_MAX and take what is larger, so that NaN is skipped
 * and -FLT_MAX comes out, with a switch that may lie in the padding, where all is -infinity. */
static int maxpool(const struct ab_verify_pool *a, dnnl_format_tag_t tag)
{
    const size_t count = (size_t)a->n * (size_t)a->c * (size_t)a->ih * (size_t)a->iw;
    if (!a->backward && has_nan_or_least(a->src, count)) return AB_VERIFY_UNSUPPORTED;
    if (some_empty(a->oh, a->sh, a->kh, a->dh, a->ih, a->pt) ||
        some_empty(a->ow, a->sw, a->kw, a->dw, a->iw, a->pl))
        return AB_VERIFY_UNSUPPORTED;
    return pool(a, dnnl_pooling_max, tag);
}

/* With counted padding oneDNN divides by the whole window, which is not our definition for windows
 * that reach beyond the padded image (ceil mode). */
static int avgpool(const struct ab_verify_pool *a, dnnl_format_tag_t tag)
{
    const bool beyond = overhang(a->oh, a->sh, a->kh, a->dh, a->ih, a->pt) > a->pb ||
                        overhang(a->ow, a->sw, a->kw, a->dw, a->iw, a->pl) > a->pr;
    if (a->include_pad && beyond) return AB_VERIFY_UNSUPPORTED;
    return pool(
        a, a->include_pad ? dnnl_pooling_avg_include_padding : dnnl_pooling_avg_exclude_padding,
        tag);
}

static int maxpool_nchw(const void *args)
{
    return maxpool(args, dnnl_abcd);
}

static int maxpool_blocked(const void *args)
{
    return maxpool(args, dnnl_aBcd16b);
}

static int avgpool_nchw(const void *args)
{
    return avgpool(args, dnnl_abcd);
}

static int avgpool_blocked(const void *args)
{
    return avgpool(args, dnnl_aBcd16b);
}

/* ---- element-wise and binary ---- */

/* oneDNN's formulas say nothing of NaN in comparisons, which come out as false or true; the
 * gradient of ReLU is x * 0 where the gate is closed, so NaN where x is infinite. */
enum defined_for { ALL_VALUES, NO_NAN, FINITE };

/* "scale" is a product with one number: eltwise_linear, x * alpha + beta, turns -0 into +0. The
 * bound of the caps is the call's own. */
struct rule {
    const char *kind;
    enum ab_onednn_kind primitive;
    dnnl_alg_kind_t alg;
    float alpha, beta;
    enum defined_for x, a;
};

static const struct rule rules[] = {
    {"relu", AB_DNN_ELTWISE_FWD, dnnl_eltwise_relu, 0, 0, NO_NAN, ALL_VALUES},
    {"neg", AB_DNN_ELTWISE_FWD, dnnl_eltwise_clip, -INFINITY, 0, NO_NAN, ALL_VALUES},
    {"cap", AB_DNN_ELTWISE_FWD, dnnl_eltwise_clip_v2, 0, 0, NO_NAN, ALL_VALUES},
    {"cap-gate", AB_DNN_ELTWISE_BWD, dnnl_eltwise_clip_v2, 0, 0, FINITE, NO_NAN},
    {"abs", AB_DNN_ELTWISE_FWD, dnnl_eltwise_abs, 0, 0, ALL_VALUES, ALL_VALUES},
    {"gate", AB_DNN_ELTWISE_BWD, dnnl_eltwise_relu, 0, 0, FINITE, NO_NAN},
    {"mul", AB_DNN_BINARY, dnnl_binary_mul, 0, 0, ALL_VALUES, ALL_VALUES},
    {"add", AB_DNN_BINARY, dnnl_binary_add, 0, 0, ALL_VALUES, ALL_VALUES},
    {"sub", AB_DNN_BINARY, dnnl_binary_sub, 0, 0, ALL_VALUES, ALL_VALUES},
    {"scale", AB_DNN_BINARY, dnnl_binary_mul, 0, 0, ALL_VALUES, ALL_VALUES},
};

static bool is_defined(enum defined_for values, const float *p, size_t count)
{
    if (values == ALL_VALUES) return true;
    for (size_t i = 0; i < count; i++)
        if (isnan(p[i]) || (values == FINITE && isinf(p[i]))) return false;
    return true;
}

static const struct rule *rule_of(const char *kind)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(rules[i].kind, kind)) return &rules[i];
    return NULL;
}

static int pointwise(const void *args)
{
    const struct ab_verify_pointwise *a = args;
    const struct rule *rule = rule_of(a->kind);
    if (!rule || !is_defined(rule->x, a->x, a->count) || !is_defined(rule->a, a->a, a->count))
        return AB_VERIFY_UNSUPPORTED;
    const bool back = rule->primitive == AB_DNN_ELTWISE_BWD;
    const bool cap = rule->alg == dnnl_eltwise_clip_v2;
    const bool binary = rule->primitive == AB_DNN_BINARY, scale = !strcmp(rule->kind, "scale");
    const dnnl_dims_t dims = {(dnnl_dim_t)a->count}, one = {1};
    struct ab_ports p;
    if (!ab_ports_open(&p)) return AB_VERIFY_FAILED;
    ab_md *md = ab_ports_md(&p, 1, dims, dnnl_a);
    ab_md *md_a = scale ? ab_ports_md(&p, 1, one, dnnl_a) : md;
    struct ab_onednn_op op = {.kind = back ? AB_DNN_ELTWISE_FWD : rule->primitive,
                              .prop = dnnl_forward_training,
                              .alg = rule->alg,
                              .src = md,
                              .wei = md_a,
                              .dst = md,
                              .alpha = rule->alpha,
                              .beta = cap ? a->scale : rule->beta};
    if (back) {
        ab_ports_hint(&p, &op);
        op.kind = AB_DNN_ELTWISE_BWD;
    }
    ab_ports_make(&p, &op);
    ab_ports_in(&p, back ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, md, a->x);
    if (back) ab_ports_in(&p, DNNL_ARG_SRC, md, a->a);
    if (binary) ab_ports_in(&p, DNNL_ARG_SRC_1, md_a, scale ? &a->scale : a->a);
    ab_ports_out(&p, back ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, md, a->dst);
    return ab_ports_run(&p);
}

/* ---- the offer ---- */

/* Sums of products in whatever order: no chain is promised. Direct algorithms alone: no
 * amplification. */
static const struct ab_verify_kernel kernels[] = {
    {.name = "conv2d", .operation = AB_VERIFY_CONV2D, .run = conv2d_any},
    {.name = "conv2d-nchw", .operation = AB_VERIFY_CONV2D, .run = conv2d_nchw},
    {.name = "dense", .operation = AB_VERIFY_DENSE, .run = dense_any},
    {.name = "dense-plain", .operation = AB_VERIFY_DENSE, .run = dense_plain},
    {.name = "maxpool", .operation = AB_VERIFY_MAXPOOL, .run = maxpool_blocked},
    {.name = "maxpool-nchw", .operation = AB_VERIFY_MAXPOOL, .run = maxpool_nchw},
    {.name = "avgpool", .operation = AB_VERIFY_AVGPOOL, .run = avgpool_blocked},
    {.name = "avgpool-nchw", .operation = AB_VERIFY_AVGPOOL, .run = avgpool_nchw},
    {.name = "pointwise", .operation = AB_VERIFY_POINTWISE, .run = pointwise},
};

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

const struct ab_verify_plugin *ab_onednn_verify(void)
{
    static const struct ab_verify_plugin plugin = {
        AB_VERIFY_ABI,
        "oneDNN " TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." TEXT(
            DNNL_VERSION_PATCH),
        kernels, (int)(sizeof kernels / sizeof *kernels)};
    return &plugin;
}
