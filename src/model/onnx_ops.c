// SPDX-License-Identifier: Apache-2.0
// The list of ONNX operators, what their handlers share, and the layers without weights.
#include "base/base.h"
#if AB_WITH_ONNX
#include "model/onnx.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

static const struct ab_onnx_operator operators[] = {
    {"Add", "", ab_onnx_addition},
    {"AveragePool", "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides",
     ab_onnx_avgpool},
    {"BatchNormalization", "epsilon momentum spatial training_mode", ab_onnx_batchnorm},
    {"Cast", "to saturate", ab_onnx_cast},
    {"Clip", "max min", ab_onnx_clip},
    {"Concat", "axis", ab_onnx_concat},
    {"Constant", "value value_float value_floats value_int value_ints", ab_onnx_constant},
    {"Conv", "auto_pad dilations group kernel_shape pads strides", ab_onnx_conv},
    {"Dropout", "ratio seed", ab_onnx_identity},
    {"Flatten", "axis", ab_onnx_flatten_op},
    {"Gather", "axis", ab_onnx_gather},
    {"Gemm", "alpha beta transA transB", ab_onnx_gemm},
    {"GlobalAveragePool", "", ab_onnx_global_avgpool},
    {"GlobalMaxPool", "", ab_onnx_global_maxpool},
    {"Identity", "", ab_onnx_identity},
    {"LogSoftmax", "axis", ab_onnx_softmax},
    {"MatMul", "", ab_onnx_matmul},
    {"MaxPool", "auto_pad ceil_mode dilations kernel_shape pads storage_order strides",
     ab_onnx_maxpool},
    {"Pad", "mode pads value", ab_onnx_pad},
    {"ReduceMean", "axes keepdims noop_with_empty_axes", ab_onnx_reduce_mean},
    {"Relu", "", ab_onnx_relu},
    {"Reshape", "allowzero", ab_onnx_reshape},
    {"Shape", "", ab_onnx_shape_op},
    {"Softmax", "axis", ab_onnx_softmax},
    {"Squeeze", "axes", ab_onnx_squeeze},
    {"Unsqueeze", "axes", ab_onnx_unsqueeze},
};

enum { OPERATORS = sizeof operators / sizeof *operators };

static enum ab_status unknown(const struct ab_onnx_reader *r)
{
    char list[OPERATORS * 24] = "";
    for (int i = 0; i < OPERATORS; i++) {
        if (i) strcat(list, ", ");
        strcat(list, operators[i].name);
    }
    return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                        "this operator (opset %lld) is not supported; supported are %s",
                        (long long)r->opset, list);
}

enum ab_status ab_onnx_read_node(struct ab_onnx_reader *r)
{
    const Onnx__NodeProto *n = r->at;
    if (!n->op_type || !*n->op_type) return ab_onnx_fail(r, AB_ERR_FORMAT, "has no operator");
    if (n->n_output == 0) return ab_onnx_fail(r, AB_ERR_FORMAT, "has no output");
    if (n->domain && *n->domain && strcmp(n->domain, "ai.onnx") != 0)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "operators of the domain '%s' are not supported; export with standard "
                            "ONNX operators",
                            n->domain);
    for (int i = 0; i < OPERATORS; i++) {
        if (strcmp(operators[i].name, n->op_type) != 0) continue;
        enum ab_status status = ab_onnx_check_attributes(r, operators[i].attributes);
        return status == AB_OK ? operators[i].read(r) : status;
    }
    return unknown(r);
}

/* ---- what handlers share ---- */

struct ab_onnx_value *ab_onnx_input(const struct ab_onnx_reader *r, size_t i)
{
    if (i >= r->at->n_input || !*r->at->input[i]) return NULL;
    return ab_onnx_find(r, r->at->input[i]);
}

enum ab_status ab_onnx_layer(const struct ab_onnx_reader *r, size_t i, int *node)
{
    const struct ab_onnx_value *value = ab_onnx_input(r, i);
    if (!value) return ab_onnx_fail(r, AB_ERR_FORMAT, "input %zu is missing", i);
    if (value->kind != AB_ONNX_LAYER)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "input %zu ('%s') is a constant; it must depend on the image", i,
                            value->name);
    if (value->softmax)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "reads the softmax '%s'; a softmax may only be the last layer",
                            value->softmax);
    *node = value->node;
    return AB_OK;
}

enum ab_status ab_onnx_image(const struct ab_onnx_reader *r, size_t i, int *node)
{
    enum ab_status status = ab_onnx_layer(r, i, node);
    if (status != AB_OK) return status;
    if (ab_onnx_input(r, i)->rank != 4)
        return ab_onnx_fail(r, AB_ERR_FORMAT, "input %zu is not an image (N,C,H,W)", i);
    if (r->graph->nodes[*node].vector)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "input %zu is a vector made an image of one pixel", i);
    return AB_OK;
}

struct ab_node *ab_onnx_add(struct ab_onnx_reader *r, enum ab_node_kind kind, const int *in,
                            int n_in, enum ab_status *status)
{
    struct ab_node *node = ab_graph_add(r->graph, kind, r->name, in, n_in);
    *status = node ? AB_OK : ab_onnx_fail(r, AB_ERR_MEMORY, "out of memory");
    return node;
}

static void define(struct ab_onnx_reader *r, int node, int rank, bool shared, const char *softmax)
{
    struct ab_onnx_value *out = ab_onnx_find(r, r->at->output[0]);
    if (!out) return; /* "": nobody can read it */
    out->kind = AB_ONNX_LAYER;
    out->node = node, out->rank = rank, out->shared = shared, out->softmax = softmax;
}

enum ab_status ab_onnx_settle(struct ab_onnx_reader *r)
{
    int index = r->graph->n_nodes - 1;
    enum ab_status status = ab_infer_node(r->graph, index, r->err);
    if (status != AB_OK) return ab_onnx_fail(r, status, "%s", r->err->text);
    define(r, index, r->graph->nodes[index].vector ? 2 : 4, false, NULL);
    return AB_OK;
}

enum ab_status ab_onnx_alias(struct ab_onnx_reader *r, size_t i, int rank)
{
    const struct ab_onnx_value *in = ab_onnx_input(r, i);
    define(r, in->node, rank, in->shared || in->uses > 1, in->softmax);
    return AB_OK;
}

enum ab_status ab_onnx_flatten(struct ab_onnx_reader *r, size_t i)
{
    struct ab_onnx_value *in = ab_onnx_input(r, i);
    if (r->graph->nodes[in->node].vector) return ab_onnx_alias(r, i, 2);
    enum ab_status status;
    if (!ab_onnx_add(r, AB_NODE_FLATTEN, &in->node, 1, &status)) return status;
    status = ab_onnx_settle(r);
    struct ab_onnx_value *out = ab_onnx_find(r, r->at->output[0]);
    if (out) out->softmax = in->softmax;
    return status;
}

enum ab_status ab_onnx_shape(struct ab_onnx_reader *r, const int64_t *ints, int n)
{
    struct ab_onnx_value *out = ab_onnx_find(r, r->at->output[0]);
    if (n > AB_ONNX_INTS) return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "a list of %d integers", n);
    if (!out) return AB_OK;
    out->kind = AB_ONNX_SHAPE;
    memcpy(out->ints, ints, (size_t)n * sizeof *ints);
    out->n_ints = n;
    return AB_OK;
}

/* ---- layers without weights ---- */

/* With cap 0: without one. */
static enum ab_status relu(struct ab_onnx_reader *r, float cap)
{
    int in;
    enum ab_status status = ab_onnx_layer(r, 0, &in);
    if (status != AB_OK) return status;
    struct ab_node *node = ab_onnx_add(r, AB_NODE_RELU, &in, 1, &status);
    if (!node) return status;
    node->cap = cap;
    int rank = ab_onnx_input(r, 0)->rank;
    status = ab_onnx_settle(r);
    struct ab_onnx_value *out = ab_onnx_find(r, r->at->output[0]);
    if (out) out->rank = rank;
    return status;
}

enum ab_status ab_onnx_relu(struct ab_onnx_reader *r)
{
    return relu(r, 0);
}

/* A bound of Clip: input i, an attribute before opset 11, or `fallback`. */
static enum ab_status bound(struct ab_onnx_reader *r, size_t i, const char *name, float fallback,
                            float *value)
{
    float *given = NULL;
    *value = ab_onnx_float(r, name, fallback);
    if (i >= r->at->n_input || !*r->at->input[i]) return AB_OK;
    const enum ab_status status = ab_onnx_vector(r, i, 1, &given);
    if (status != AB_OK) return status;
    *value = *given;
    ab_buffer_free(given);
    return AB_OK;
}

/* What is at 0 below is a ReLU; the largest float is the default above. */
enum ab_status ab_onnx_clip(struct ab_onnx_reader *r)
{
    float low, high;
    enum ab_status status = bound(r, 1, "min", -FLT_MAX, &low);
    if (status == AB_OK) status = bound(r, 2, "max", FLT_MAX, &high);
    if (status != AB_OK) return status;
    if (low == 0 && high > 0) return relu(r, high < FLT_MAX ? high : 0);
    return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                        "clips to %g..%g; only a lower bound of 0 with an upper one above it is "
                        "supported: a ReLU, as ReLU6 is with 0..6",
                        (double)low, (double)high);
}

static enum ab_status pool(struct ab_onnx_reader *r, enum ab_node_kind kind, bool include_pad)
{
    int in;
    struct ab_onnx_window w;
    enum ab_status status = ab_onnx_image(r, 0, &in);
    if (status == AB_OK) status = ab_onnx_window(r, r->graph->nodes[in].dims, NULL, &w);
    if (status != AB_OK) return status;
    struct ab_node *node = ab_onnx_add(r, kind, &in, 1, &status);
    if (!node) return status;
    int mode = ab_onnx_int(r, "ceil_mode", 0) ? -1 : 0;
    node->pool = (struct ab_pool_shape){
        .kh = w.kernel[0],
        .kw = w.kernel[1],
        .sh = w.stride[0],
        .sw = w.stride[1],
        .dh = w.dilation[0],
        .dw = w.dilation[1],
        .pt = w.pad[0],
        .pl = w.pad[1],
        .pb = w.pad[2],
        .pr = w.pad[3],
        .oh = mode,
        .ow = mode,
        .include_pad = include_pad,
    };
    return ab_onnx_settle(r);
}

enum ab_status ab_onnx_maxpool(struct ab_onnx_reader *r)
{
    if (ab_onnx_int(r, "storage_order", 0) != 0)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "storage_order 1 is not supported");
    return pool(r, AB_NODE_MAXPOOL, false);
}

enum ab_status ab_onnx_avgpool(struct ab_onnx_reader *r)
{
    return pool(r, AB_NODE_AVGPOOL, ab_onnx_int(r, "count_include_pad", 0) != 0);
}

static enum ab_status global(struct ab_onnx_reader *r, enum ab_node_kind kind)
{
    int in;
    enum ab_status status = ab_onnx_image(r, 0, &in);
    if (status != AB_OK || !ab_onnx_add(r, kind, &in, 1, &status)) return status;
    return ab_onnx_settle(r);
}

enum ab_status ab_onnx_global_avgpool(struct ab_onnx_reader *r)
{
    return global(r, AB_NODE_AVGPOOL);
}

enum ab_status ab_onnx_global_maxpool(struct ab_onnx_reader *r)
{
    return global(r, AB_NODE_MAXPOOL);
}

enum ab_status ab_onnx_concat(struct ab_onnx_reader *r)
{
    size_t n = r->at->n_input;
    const struct ab_onnx_value *first = ab_onnx_input(r, 0);
    int64_t axis = ab_onnx_int(r, "axis", 1);
    if (!first) return ab_onnx_fail(r, AB_ERR_FORMAT, "input 0 is missing");
    if (first->kind != AB_ONNX_LAYER) { /* a shape, put together from its parts */
        int64_t ints[2 * AB_ONNX_INTS];
        int used = 0;
        for (size_t i = 0; i < n && used <= AB_ONNX_INTS; i++) {
            int count = 0;
            enum ab_status status = ab_onnx_ints(r, i, ints + used, &count);
            if (status != AB_OK) return status;
            used += count;
        }
        return ab_onnx_shape(r, ints, used);
    }
    if (axis != 1 && axis + first->rank != 1)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "axis %lld: only channels (1) can be joined",
                            (long long)axis);
    int *in = malloc(n * sizeof *in), rank = first->rank;
    enum ab_status status = in ? AB_OK : ab_onnx_fail(r, AB_ERR_MEMORY, "out of memory");
    for (size_t i = 0; status == AB_OK && i < n; i++) {
        status = ab_onnx_layer(r, i, &in[i]);
        if (status == AB_OK && ab_onnx_input(r, i)->rank != rank)
            status = ab_onnx_fail(r, AB_ERR_FORMAT, "its inputs have different ranks");
    }
    if (status == AB_OK && ab_onnx_add(r, AB_NODE_CONCAT, in, (int)n, &status))
        status = ab_onnx_settle(r);
    free(in);
    return status;
}

/* Cut off for now: whoever reads it as more than a renaming is refused. */
enum ab_status ab_onnx_softmax(struct ab_onnx_reader *r)
{
    int in;
    enum ab_status status = ab_onnx_layer(r, 0, &in);
    if (status != AB_OK) return status;
    const struct ab_onnx_value *value = ab_onnx_input(r, 0);
    int64_t axis = ab_onnx_int(r, "axis", r->opset >= 13 ? -1 : 1);
    if (axis < 0) axis += value->rank;
    struct ab_dims dims = r->graph->nodes[in].dims;
    if (axis != 1 || dims.h != 1 || dims.w != 1)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "it is not over the classes");
    /* The node's own name may be empty and r->name is gone at the end: its output's name stays. */
    const char *name = r->at->name && *r->at->name ? r->at->name : r->at->output[0];
    define(r, in, value->rank, true, name);
    return AB_OK;
}
#endif
