// SPDX-License-Identifier: Apache-2.0
// ONNX operators with weights: Conv, Gemm, MatMul, BatchNormalization, and the addition of biases.
#include "base/base.h"
#if AB_WITH_ONNX
#include "model/onnx.h"

#include <limits.h>
#include <math.h>

/* ---- convolution ---- */

static enum ab_status conv_node(struct ab_onnx_reader *r, int in, struct ab_onnx_array *w,
                                float **bias)
{
    struct ab_onnx_window window;
    struct ab_dims dims = r->graph->nodes[in].dims;
    const int64_t kernel[] = {(int64_t)w->dims[2], (int64_t)w->dims[3]};
    enum ab_status status = ab_onnx_window(r, dims, kernel, &window);
    if (status != AB_OK) return status;
    int64_t group = ab_onnx_int(r, "group", 1);
    if (group < 1 || group > dims.c || (int64_t)w->dims[1] * group != dims.c)
        return ab_onnx_fail(r, AB_ERR_FORMAT,
                            "weights for %zu channels in %lld groups do not fit an input of %d",
                            w->dims[1], (long long)group, dims.c);
    struct ab_node *node = ab_onnx_add(r, AB_NODE_CONV, &in, 1, &status);
    if (!node) return status;
    node->conv = (struct ab_conv2d_shape){
        .g = (int)group,
        .oc = (int)w->dims[0],
        .kh = window.kernel[0],
        .kw = window.kernel[1],
        .sh = window.stride[0],
        .sw = window.stride[1],
        .dh = window.dilation[0],
        .dw = window.dilation[1],
        .pt = window.pad[0],
        .pl = window.pad[1],
        .pb = window.pad[2],
        .pr = window.pad[3],
    };
    node->wei = w->data, node->wei_count = w->count, node->bias = *bias;
    w->data = *bias = NULL;
    return ab_onnx_settle(r);
}

enum ab_status ab_onnx_conv(struct ab_onnx_reader *r)
{
    int in;
    struct ab_onnx_array w = {0};
    float *bias = NULL;
    enum ab_status status = ab_onnx_image(r, 0, &in);
    if (status == AB_OK) status = ab_onnx_floats(r, 1, &w);
    if (status == AB_OK && w.rank != 4)
        status = ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                              "its weights have %d dimensions; only 2-D convolution is supported",
                              w.rank);
    if (status == AB_OK && ab_onnx_input(r, 2)) status = ab_onnx_vector(r, 2, w.dims[0], &bias);
    if (status == AB_OK) status = conv_node(r, in, &w, &bias);
    ab_buffer_free(w.data);
    ab_buffer_free(bias);
    return status;
}

/* ---- dense ---- */

/* [rows][columns] to [columns][rows], by tiles that fit the first-level cache. */
static float *transpose(const float *from, size_t rows, size_t columns)
{
    enum { TILE = 32 };
    float *to = ab_buffer_alloc(rows * columns * sizeof *to);
    if (!to) return NULL;
    for (size_t y0 = 0; y0 < rows; y0 += TILE)
        for (size_t x0 = 0; x0 < columns; x0 += TILE)
            for (size_t x = x0; x < columns && x < x0 + TILE; x++)
                for (size_t y = y0; y < rows && y < y0 + TILE; y++)
                    to[x * rows + y] = from[y * columns + x];
    return to;
}

static enum ab_status matrix(struct ab_onnx_reader *r, int in, bool transposed,
                             struct ab_onnx_array *w, size_t *outputs)
{
    enum ab_status status = ab_onnx_floats(r, 1, w);
    if (status != AB_OK) return status;
    if (w->rank != 2)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "its weights have %d dimensions, not 2",
                            w->rank);
    size_t inputs = w->dims[transposed];
    *outputs = w->dims[!transposed];
    if (inputs != (size_t)r->graph->nodes[in].dims.c)
        return ab_onnx_fail(r, AB_ERR_FORMAT, "weights for %zu inputs do not fit a vector of %d",
                            inputs, r->graph->nodes[in].dims.c);
    if (transposed) return AB_OK;
    float *turned = transpose(w->data, inputs, *outputs);
    if (!turned) return ab_onnx_fail(r, AB_ERR_MEMORY, "no memory for %zu weights", w->count);
    ab_buffer_free(w->data);
    w->data = turned;
    return AB_OK;
}

/* Input i, of `count` elements or one for all, times `scale`. */
static enum ab_status broadcast(struct ab_onnx_reader *r, size_t i, size_t count, float scale,
                                float **out)
{
    struct ab_onnx_array c;
    enum ab_status status = ab_onnx_floats(r, i, &c);
    if (status != AB_OK) return status;
    float *values = c.data;
    if (c.count == 1 && count > 1) {
        values = ab_buffer_alloc(count * sizeof *values);
        for (size_t k = 0; values && k < count; k++) values[k] = c.data[0];
        ab_buffer_free(c.data);
        if (!values) return ab_onnx_fail(r, AB_ERR_MEMORY, "out of memory");
    } else if (c.count != count) {
        ab_buffer_free(values);
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "input %zu has %zu elements; only one for each of the %zu channels can "
                            "be added",
                            i, c.count, count);
    }
    for (size_t k = 0; scale != 1 && k < count; k++) values[k] *= scale;
    *out = values;
    return AB_OK;
}

static enum ab_status dense(struct ab_onnx_reader *r, bool transposed, float alpha, float beta)
{
    int in;
    struct ab_onnx_array w = {0};
    float *bias = NULL;
    size_t outputs = 0;
    enum ab_status status = ab_onnx_layer(r, 0, &in);
    if (status == AB_OK && ab_onnx_input(r, 0)->rank != 2)
        status =
            ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                         "its input is an image (N,C,H,W); only flattened vectors (N,F) can be "
                         "multiplied");
    if (status == AB_OK) status = matrix(r, in, transposed, &w, &outputs);
    if (status == AB_OK && ab_onnx_input(r, 2)) status = broadcast(r, 2, outputs, beta, &bias);
    struct ab_node *node = NULL;
    if (status == AB_OK) node = ab_onnx_add(r, AB_NODE_DENSE, &in, 1, &status);
    if (!node) {
        ab_buffer_free(w.data);
        ab_buffer_free(bias);
        return status;
    }
    for (size_t i = 0; alpha != 1 && i < w.count; i++) w.data[i] *= alpha;
    node->dims.c = (int)outputs;
    node->wei = w.data, node->wei_count = w.count, node->bias = bias;
    return ab_onnx_settle(r);
}

enum ab_status ab_onnx_gemm(struct ab_onnx_reader *r)
{
    if (ab_onnx_int(r, "transA", 0) != 0)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "transA 1 is not supported");
    return dense(r, ab_onnx_int(r, "transB", 0) != 0, ab_onnx_float(r, "alpha", 1),
                 ab_onnx_float(r, "beta", 1));
}

enum ab_status ab_onnx_matmul(struct ab_onnx_reader *r)
{
    if (r->at->n_input != 2) return ab_onnx_fail(r, AB_ERR_FORMAT, "it must have two inputs");
    return dense(r, false, 1, 1);
}

/* ---- batch normalisation ---- */

/* scale = g/sqrt(var + eps), shift = b - mean*scale, over g and b in place; in double, since both
 * end in every weight of the layer before. */
static enum ab_status merge(const struct ab_onnx_reader *r, float *g, float *b, const float *mean,
                            const float *var, size_t channels)
{
    float epsilon = ab_onnx_float(r, "epsilon", 1e-5f);
    for (size_t i = 0; i < channels; i++) {
        double spread = (double)var[i] + epsilon;
        if (!(spread > 0))
            return ab_onnx_fail(r, AB_ERR_FORMAT, "the variance of channel %zu is %g", i,
                                (double)var[i]);
        double scale = g[i] / sqrt(spread);
        b[i] = (float)(b[i] - mean[i] * scale);
        g[i] = (float)scale;
    }
    return AB_OK;
}

enum ab_status ab_onnx_batchnorm(struct ab_onnx_reader *r)
{
    int in;
    float *p[4] = {0}; /* scale, shift, mean, variance */
    enum ab_status status = ab_onnx_layer(r, 0, &in);
    if (status == AB_OK && ab_onnx_int(r, "training_mode", 0) != 0)
        status =
            ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                         "it is in training mode; export the model for inference (model.eval())");
    if (status == AB_OK && ab_onnx_int(r, "spatial", 1) != 1)
        status = ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "spatial 0 is not supported");
    size_t channels = status == AB_OK ? (size_t)r->graph->nodes[in].dims.c : 0;
    for (size_t i = 0; status == AB_OK && i < 4; i++)
        status = ab_onnx_vector(r, i + 1, channels, &p[i]);
    if (status == AB_OK) status = merge(r, p[0], p[1], p[2], p[3], channels);
    struct ab_node *node = NULL;
    if (status == AB_OK) node = ab_onnx_add(r, AB_NODE_BATCHNORM, &in, 1, &status);
    if (node) {
        node->wei = p[0], node->wei_count = channels, node->bias = p[1];
        p[0] = p[1] = NULL;
        status = ab_onnx_settle(r);
    }
    for (int i = 0; i < 4; i++) ab_buffer_free(p[i]);
    return status;
}

/* ---- addition ---- */

/* A constant added to what nothing else reads goes into the bias of the layer before. Its elements
 * must lie along the channels: (N,)C,1,1 for images, (N,)F for vectors. */
static bool along_channels(const struct ab_onnx_reader *r, size_t i, int rank, size_t channels)
{
    const struct ab_onnx_value *value = ab_onnx_input(r, i);
    if (!value->tensor) return value->n_floats == 1 || rank == 2;
    const Onnx__TensorProto *t = value->tensor;
    size_t trailing = rank == 4 ? 2 : 0; /* dimensions behind the channels */
    bool single = true;
    for (size_t d = 0; d < t->n_dims; d++) single = single && t->dims[d] == 1;
    if (single) return true;
    for (size_t d = 0; d < t->n_dims; d++) {
        size_t from_end = t->n_dims - 1 - d;
        int64_t want = from_end == trailing ? (int64_t)channels : 1;
        if (t->dims[d] != want) return false;
    }
    return t->n_dims > trailing;
}

static enum ab_status add_constant(struct ab_onnx_reader *r, size_t layer, size_t constant)
{
    int in;
    enum ab_status status = ab_onnx_layer(r, layer, &in);
    if (status != AB_OK) return status;
    const struct ab_onnx_value *value = ab_onnx_input(r, layer);
    struct ab_node *node = &r->graph->nodes[in];
    size_t channels = (size_t)node->dims.c;
    bool linear = node->kind == AB_NODE_CONV || node->kind == AB_NODE_DENSE ||
                  node->kind == AB_NODE_BATCHNORM;
    if (!linear || value->shared || value->uses > 1 ||
        !along_channels(r, constant, value->rank, channels))
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "a constant can be added only as the bias, one for each channel, of a "
                            "Conv, Gemm or MatMul that nothing else reads");
    float *bias;
    status = broadcast(r, constant, channels, 1, &bias);
    if (status != AB_OK) return status;
    for (size_t i = 0; node->bias && i < channels; i++) bias[i] += node->bias[i];
    ab_buffer_free(node->bias);
    node->bias = bias;
    return ab_onnx_alias(r, layer, value->rank);
}

enum ab_status ab_onnx_addition(struct ab_onnx_reader *r)
{
    const struct ab_onnx_value *u = ab_onnx_input(r, 0), *v = ab_onnx_input(r, 1);
    if (!u || !v || r->at->n_input != 2)
        return ab_onnx_fail(r, AB_ERR_FORMAT, "it must have two inputs");
    if (v->kind != AB_ONNX_LAYER) return add_constant(r, 0, 1);
    if (u->kind != AB_ONNX_LAYER) return add_constant(r, 1, 0);
    int in[2];
    enum ab_status status = ab_onnx_layer(r, 0, &in[0]);
    if (status == AB_OK) status = ab_onnx_layer(r, 1, &in[1]);
    if (status == AB_OK && u->rank != v->rank)
        status = ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "its inputs have different ranks");
    if (status != AB_OK || !ab_onnx_add(r, AB_NODE_ADD, in, 2, &status)) return status;
    return ab_onnx_settle(r);
}
#endif
