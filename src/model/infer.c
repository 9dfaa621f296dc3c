// SPDX-License-Identifier: Apache-2.0
// Shape inference for one sample: every size is computed in 64 bits and checked before it is kept.
#include "model/infer.h"

#include <float.h>
#include <limits.h>

enum {
    /* Kernel, stride, dilation, padding. No network comes near; products of two of them and a
     * channel count stay far below 2^63. */
    ATTRIBUTE_LIMIT = 1 << 15,
    TAP_LIMIT = 1 << 16 /* max-pool switches are 16 bits */
};

static enum ab_status bad(const struct ab_node *node, struct ab_error *err, const char *what)
{
    return ab_fail(err, AB_ERR_FORMAT, "layer '%s' (%s): %s", node->name,
                   ab_node_kind_name(node->kind), what);
}

/* Accepts the shape if it is positive and small enough for int indices even with channels padded to
 * blocks. */
static enum ab_status keep(struct ab_node *node, int64_t c, int64_t h, int64_t w,
                           struct ab_error *err)
{
    bool fits =
        c >= 1 && h >= 1 && w >= 1 && c <= INT_MAX - AB_LANES && h <= INT_MAX && w <= INT_MAX;
    int64_t padded = (c + AB_LANES - 1) / AB_LANES * AB_LANES;
    fits = fits && padded * h <= INT_MAX && padded * h * w <= INT_MAX;
    if (!fits)
        return ab_fail(err, AB_ERR_FORMAT,
                       "layer '%s' (%s): its output would be %lldx%lldx%lld; every size must be "
                       "positive and their product below 2^31",
                       node->name, ab_node_kind_name(node->kind), (long long)c, (long long)h,
                       (long long)w);
    node->dims = (struct ab_dims){(int)c, (int)h, (int)w};
    return AB_OK;
}

static bool in_range(int low, int v)
{
    return v >= low && v <= ATTRIBUTE_LIMIT;
}

/* One axis of a sliding window. */
struct axis {
    int in, kernel, stride, dilation, before, after;
};

static bool axis_valid(const struct axis *a)
{
    return in_range(1, a->kernel) && in_range(1, a->stride) && in_range(1, a->dilation) &&
           in_range(0, a->before) && in_range(0, a->after);
}

static int64_t axis_extent(const struct axis *a)
{
    return (int64_t)a->dilation * (a->kernel - 1) + 1;
}

/* Windows that fit; 0 if none does. */
static int64_t axis_floor(const struct axis *a)
{
    int64_t room = (int64_t)a->in + a->before + a->after - axis_extent(a);
    return room < 0 ? 0 : room / a->stride + 1;
}

/* Ceil mode adds a window that sticks out at the end, unless it would start in the padding there
 * (PyTorch's rule, ONNX's since opset 19). */
static int64_t axis_ceil(const struct axis *a)
{
    int64_t room = (int64_t)a->in + a->before + a->after - axis_extent(a);
    if (room < 0) return 0;
    int64_t out = (room + a->stride - 1) / a->stride + 1;
    return (out - 1) * a->stride >= (int64_t)a->in + a->before ? out - 1 : out;
}

/* Whether each of `out` windows has a tap inside the image. Of those that start there or behind it
 * the last one tells, so that time does not grow with the sizes that a small file claims. */
static bool axis_covered(const struct axis *a, int64_t out)
{
    if ((out - 1) * a->stride - a->before >= a->in) return false;
    for (int64_t o = 0; o < out && o * a->stride < a->before; o++) {
        int64_t start = o * a->stride - a->before;
        int64_t first = (-start + a->dilation - 1) / a->dilation;
        if (first >= a->kernel || start + first * a->dilation >= a->in) return false;
    }
    return true;
}

static enum ab_status infer_conv(struct ab_node *node, const struct ab_node *in,
                                 struct ab_error *err)
{
    struct ab_conv2d_shape *s = &node->conv;
    struct axis y = {in->dims.h, s->kh, s->sh, s->dh, s->pt, s->pb};
    struct axis x = {in->dims.w, s->kw, s->sw, s->dw, s->pl, s->pr};
    if (in->vector) return bad(node, err, "needs an image, but its input is a vector");
    if (!axis_valid(&y) || !axis_valid(&x))
        return bad(node, err, "kernel, stride, dilation or padding is out of range");
    if (s->oc < 1 || s->g < 1 || in->dims.c % s->g || s->oc % s->g)
        return ab_fail(err, AB_ERR_FORMAT,
                       "layer '%s' (CONV): %d input and %d output channels do not split into %d "
                       "groups",
                       node->name, in->dims.c, s->oc, s->g);
    int64_t oh = axis_floor(&y), ow = axis_floor(&x);
    if (oh < 1 || ow < 1)
        return ab_fail(err, AB_ERR_FORMAT,
                       "layer '%s' (CONV): a window of %lldx%lld is larger than the padded image "
                       "of %dx%d",
                       node->name, (long long)axis_extent(&y), (long long)axis_extent(&x),
                       in->dims.h + s->pt + s->pb, in->dims.w + s->pl + s->pr);
    enum ab_status status = keep(node, s->oc, oh, ow, err);
    s->n = 1, s->ic = in->dims.c, s->ih = in->dims.h, s->iw = in->dims.w;
    s->oh = node->dims.h, s->ow = node->dims.w;
    return status;
}

static void whole_image(struct ab_pool_shape *s, struct ab_dims in)
{
    s->kh = in.h, s->kw = in.w;
    s->sh = s->sw = s->dh = s->dw = 1;
    s->pt = s->pl = s->pb = s->pr = s->oh = s->ow = 0;
}

static enum ab_status infer_pool(struct ab_node *node, const struct ab_node *in,
                                 struct ab_error *err)
{
    struct ab_pool_shape *s = &node->pool;
    if (in->vector) return bad(node, err, "needs an image, but its input is a vector");
    if (s->kh == 0) whole_image(s, in->dims);
    struct axis y = {in->dims.h, s->kh, s->sh, s->dh, s->pt, s->pb};
    struct axis x = {in->dims.w, s->kw, s->sw, s->dw, s->pl, s->pr};
    if (!axis_valid(&y) || !axis_valid(&x))
        return bad(node, err, "window, stride, dilation or padding is out of range");
    if ((int64_t)s->kh * s->kw > TAP_LIMIT)
        return bad(node, err, "the window has more than 65536 pixels");
    /* On repetition oh and ow hold the result: the mode is the one that leads there. */
    bool ceil = s->oh == -1 || s->ow == -1 ||
                (s->oh > 0 && (s->oh != axis_floor(&y) || s->ow != axis_floor(&x)));
    int64_t oh = ceil ? axis_ceil(&y) : axis_floor(&y);
    int64_t ow = ceil ? axis_ceil(&x) : axis_floor(&x);
    if (oh < 1 || ow < 1) return bad(node, err, "the window is larger than the padded image");
    enum ab_status status = keep(node, in->dims.c, oh, ow, err);
    if (status != AB_OK) return status;
    if (!axis_covered(&y, oh) || !axis_covered(&x, ow))
        return bad(node, err, "a window lies in the padding entirely; pad less than the window");
    s->n = 1, s->c = in->dims.c, s->ih = in->dims.h, s->iw = in->dims.w;
    s->oh = (int)oh, s->ow = (int)ow;
    return AB_OK;
}

static enum ab_status infer_dense(struct ab_node *node, const struct ab_node *in,
                                  struct ab_error *err)
{
    if (!in->vector)
        return bad(node, err, "needs a vector, but its input is an image; flatten it first");
    node->vector = true;
    return keep(node, node->dims.c, 1, 1, err);
}

static enum ab_status infer_add(struct ab_node *node, const struct ab_node *u,
                                const struct ab_node *v, struct ab_error *err)
{
    bool same = u->dims.c == v->dims.c && u->dims.h == v->dims.h && u->dims.w == v->dims.w;
    if (!same || u->vector != v->vector)
        return ab_fail(err, AB_ERR_FORMAT,
                       "layer '%s' (ADD): its inputs are %dx%dx%d and %dx%dx%d; they must be equal",
                       node->name, u->dims.c, u->dims.h, u->dims.w, v->dims.c, v->dims.h,
                       v->dims.w);
    node->vector = u->vector;
    return keep(node, u->dims.c, u->dims.h, u->dims.w, err);
}

static enum ab_status infer_concat(const struct ab_graph *graph, struct ab_node *node,
                                   struct ab_error *err)
{
    const struct ab_node *first = &graph->nodes[node->in[0]];
    int64_t channels = 0;
    for (int i = 0; i < node->n_in; i++) {
        const struct ab_node *in = &graph->nodes[node->in[i]];
        if (in->dims.h != first->dims.h || in->dims.w != first->dims.w ||
            in->vector != first->vector)
            return ab_fail(
                err, AB_ERR_FORMAT,
                "layer '%s' (CONCAT): its inputs are %dx%d and %dx%d; they must be equal",
                node->name, first->dims.h, first->dims.w, in->dims.h, in->dims.w);
        channels += in->dims.c;
    }
    node->vector = first->vector;
    return keep(node, channels, first->dims.h, first->dims.w, err);
}

static enum ab_status infer_pad(struct ab_node *node, const struct ab_node *in,
                                struct ab_error *err)
{
    const int *p = node->pad;
    if (in->vector) return bad(node, err, "needs an image, but its input is a vector");
    for (int i = 0; i < 4; i++)
        if (!in_range(0, p[i])) return bad(node, err, "padding is out of range");
    return keep(node, in->dims.c, (int64_t)in->dims.h + p[0] + p[2],
                (int64_t)in->dims.w + p[1] + p[3], err);
}

static bool arity_fits(const struct ab_node *node)
{
    switch (node->kind) {
    case AB_NODE_INPUT: return node->n_in == 0;
    case AB_NODE_ADD: return node->n_in == 2;
    case AB_NODE_CONCAT: return node->n_in >= 1;
    default: return node->n_in == 1;
    }
}

enum ab_status ab_infer_node(struct ab_graph *graph, int index, struct ab_error *err)
{
    struct ab_node *node = &graph->nodes[index];
    if (!arity_fits(node)) return bad(node, err, "has a wrong number of inputs");
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] < 0 || node->in[i] >= index)
            return bad(node, err, "an input does not come before it");
    const struct ab_node *in = node->n_in ? &graph->nodes[node->in[0]] : NULL;
    switch (node->kind) {
    case AB_NODE_INPUT: return keep(node, node->dims.c, node->dims.h, node->dims.w, err);
    case AB_NODE_CONV: return infer_conv(node, in, err);
    case AB_NODE_DENSE: return infer_dense(node, in, err);
    case AB_NODE_MAXPOOL:
    case AB_NODE_AVGPOOL: return infer_pool(node, in, err);
    case AB_NODE_ADD: return infer_add(node, in, &graph->nodes[node->in[1]], err);
    case AB_NODE_CONCAT: return infer_concat(graph, node, err);
    case AB_NODE_PAD: return infer_pad(node, in, err);
    case AB_NODE_FLATTEN:
        if (in->vector) return bad(node, err, "needs an image, but its input is a vector");
        node->vector = true;
        return keep(node, (int64_t)in->dims.c * in->dims.h * in->dims.w, 1, 1, err);
    case AB_NODE_RELU:
        if (!(node->cap >= 0 && node->cap <= FLT_MAX))
            return bad(node, err, "its upper bound is no number above 0");
        node->vector = in->vector;
        return keep(node, in->dims.c, in->dims.h, in->dims.w, err);
    case AB_NODE_BATCHNORM:
        node->vector = in->vector;
        return keep(node, in->dims.c, in->dims.h, in->dims.w, err);
    case AB_NODE_KIND_COUNT: break;
    }
    return bad(node, err, "is of no known kind");
}
