// SPDX-License-Identifier: Apache-2.0
// ONNX operators that move no data, or only zeros: reshaping, shapes computed at run time, padding,
// and means over the image.
#include "base/base.h"
#if AB_WITH_ONNX
#include "model/onnx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char views[] = "only flattening (N,C,H,W to N,C*H*W) and renaming are supported";

/* The axes of Squeeze, Unsqueeze, ReduceMean, Pad: an attribute in old opsets, input i in new ones.
 * *n = -1 if absent. Negative ones count from `rank`. */
static enum ab_status read_axes(const struct ab_onnx_reader *r, size_t i, int rank, int64_t *axes,
                                int *n)
{
    const Onnx__AttributeProto *a = ab_onnx_attribute(r, "axes");
    *n = -1;
    if (a) {
        if (a->n_ints > AB_ONNX_INTS) return ab_onnx_fail(r, AB_ERR_FORMAT, "has too many axes");
        if (a->n_ints) memcpy(axes, a->ints, a->n_ints * sizeof *axes);
        *n = (int)a->n_ints;
    } else if (ab_onnx_input(r, i)) {
        enum ab_status status = ab_onnx_ints(r, i, axes, n);
        if (status != AB_OK) return status;
    }
    for (int k = 0; k < *n; k++) {
        if (axes[k] < -rank || axes[k] >= rank)
            return ab_onnx_fail(r, AB_ERR_FORMAT, "axis %lld is outside rank %d",
                                (long long)axes[k], rank);
        if (axes[k] < 0) axes[k] += rank;
    }
    return AB_OK;
}

/* Whether the axes are height and width, in any order. */
static bool are_spatial(const int64_t *axes, int n)
{
    return n == 2 && ((axes[0] == 2 && axes[1] == 3) || (axes[0] == 3 && axes[1] == 2));
}

/* Identity and, at inference, Dropout. */
enum ab_status ab_onnx_identity(struct ab_onnx_reader *r)
{
    struct ab_onnx_value *in = ab_onnx_input(r, 0);
    struct ab_onnx_value *out = ab_onnx_find(r, r->at->output[0]);
    if (!in) return ab_onnx_fail(r, AB_ERR_FORMAT, "input 0 is missing");
    if (in->kind == AB_ONNX_LAYER) return ab_onnx_alias(r, 0, in->rank);
    if (in->kind == AB_ONNX_SHAPE) return ab_onnx_shape(r, in->ints, in->n_ints);
    if (!out) return AB_OK;
    out->kind = in->kind;
    out->tensor = in->tensor, out->floats = in->floats, out->n_floats = in->n_floats;
    return AB_OK;
}

enum ab_status ab_onnx_constant(struct ab_onnx_reader *r)
{
    const Onnx__AttributeProto *a = r->at->n_attribute == 1 ? r->at->attribute[0] : NULL;
    if (!a) return ab_onnx_fail(r, AB_ERR_FORMAT, "it must have one attribute, the value");
    if (strcmp(a->name, "value_int") == 0) return ab_onnx_shape(r, &a->i, 1);
    if (strcmp(a->name, "value_ints") == 0 && a->n_ints && a->n_ints <= AB_ONNX_INTS)
        return ab_onnx_shape(r, a->ints, (int)a->n_ints);
    struct ab_onnx_value value = {.kind = AB_ONNX_TENSOR};
    if (strcmp(a->name, "value_float") == 0)
        value.floats = &a->f, value.n_floats = 1;
    else if (strcmp(a->name, "value_floats") == 0 && a->n_floats)
        value.floats = a->floats, value.n_floats = a->n_floats;
    else if (strcmp(a->name, "value") == 0 && a->t)
        value.tensor = a->t;
    else
        return ab_onnx_fail(r, AB_ERR_FORMAT, "its attribute '%s' holds no value", a->name);
    struct ab_onnx_value *out = ab_onnx_find(r, r->at->output[0]);
    if (!out) return AB_OK;
    out->kind = value.kind;
    out->tensor = value.tensor, out->floats = value.floats, out->n_floats = value.n_floats;
    return AB_OK;
}

/* A value that moves on as a whole, softmax or not. */
static enum ab_status movable(const struct ab_onnx_reader *r, const struct ab_onnx_value **in)
{
    *in = ab_onnx_input(r, 0);
    if (!*in) return ab_onnx_fail(r, AB_ERR_FORMAT, "input 0 is missing");
    if ((*in)->kind != AB_ONNX_LAYER)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "constants cannot be reshaped; simplify the "
                            "model first");
    return AB_OK;
}

enum ab_status ab_onnx_flatten_op(struct ab_onnx_reader *r)
{
    const struct ab_onnx_value *in;
    enum ab_status status = movable(r, &in);
    if (status != AB_OK) return status;
    int64_t axis = ab_onnx_int(r, "axis", 1);
    if (axis != 1 && axis + in->rank != 1)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "axis %lld: %s", (long long)axis, views);
    return ab_onnx_flatten(r, 0);
}

/* Resolves 0 (as in the input) and -1 (what remains) in the target shape, per sample: dims[1..n). A
 * first dimension of 0, -1 or the batch size (any number where that is symbolic: exporters freeze
 * it) stands for the batch. */
static bool resolve(const struct ab_onnx_reader *r, const struct ab_onnx_value *in, int64_t *t,
                    int n)
{
    struct ab_dims d = r->graph->nodes[in->node].dims;
    const int64_t have[4] = {0, d.c, d.h, d.w};
    int64_t total = (int64_t)d.c * d.h * d.w, product = 1;
    bool batch = t[0] == AB_ONNX_BATCH || (t[0] == 0 && ab_onnx_int(r, "allowzero", 0) == 0) ||
                 (t[0] > 0 && (r->batch == 0 || t[0] == r->batch));
    if (n < 2 || n > 4 || (!batch && t[0] != -1)) return false;
    int open = t[0] == -1 ? 0 : -1;
    for (int i = 1; i < n; i++) {
        if (t[i] == 0 && i < in->rank && ab_onnx_int(r, "allowzero", 0) == 0) t[i] = have[i];
        if (t[i] == -1 && open < 0)
            open = i;
        else if (t[i] < 1 || t[i] > total)
            return false;
        else
            product *= t[i];
        if (product > total) return false;
    }
    if (open > 0) {
        if (total % product) return false;
        t[open] = total / product;
        product = total;
    }
    return product == total;
}

enum ab_status ab_onnx_reshape(struct ab_onnx_reader *r)
{
    const struct ab_onnx_value *in;
    int64_t t[AB_ONNX_INTS] = {0};
    int n = 0;
    enum ab_status status = movable(r, &in);
    if (status == AB_OK) status = ab_onnx_ints(r, 1, t, &n);
    if (status != AB_OK) return status;
    struct ab_dims d = r->graph->nodes[in->node].dims;
    if (n > 0 && resolve(r, in, t, n)) {
        if (n == 2) return ab_onnx_flatten(r, 0);
        if (n == 4 && t[1] == d.c && t[2] == d.h && t[3] == d.w) return ab_onnx_alias(r, 0, 4);
    }
    return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "the new shape does not fit %dx%dx%d: %s", d.c, d.h,
                        d.w, views);
}

enum ab_status ab_onnx_squeeze(struct ab_onnx_reader *r)
{
    const struct ab_onnx_value *in = ab_onnx_input(r, 0);
    int64_t axes[AB_ONNX_INTS];
    int n;
    if (in && in->kind != AB_ONNX_LAYER) { /* a part of a shape: our lists keep no rank */
        enum ab_status status = ab_onnx_ints(r, 0, axes, &n);
        return status == AB_OK ? ab_onnx_shape(r, axes, n) : status;
    }
    enum ab_status status = movable(r, &in);
    if (status == AB_OK) status = read_axes(r, 1, in->rank, axes, &n);
    if (status != AB_OK) return status;
    struct ab_dims d = r->graph->nodes[in->node].dims;
    if (in->rank != 4 || !are_spatial(axes, n) || d.h != 1 || d.w != 1)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "only axes 2 and 3 of N,C,1,1 can be squeezed");
    return ab_onnx_flatten(r, 0);
}

enum ab_status ab_onnx_unsqueeze(struct ab_onnx_reader *r)
{
    const struct ab_onnx_value *in = ab_onnx_input(r, 0);
    int64_t axes[AB_ONNX_INTS];
    int n;
    if (in && in->kind != AB_ONNX_LAYER) {
        enum ab_status status = ab_onnx_ints(r, 0, axes, &n);
        return status == AB_OK ? ab_onnx_shape(r, axes, n) : status;
    }
    enum ab_status status = movable(r, &in);
    if (status == AB_OK) status = read_axes(r, 1, 4, axes, &n);
    if (status != AB_OK) return status;
    if (in->rank != 2 || !are_spatial(axes, n))
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "only N,F can become N,F,1,1");
    return ab_onnx_alias(r, 0, 4);
}

/* ---- shapes computed at run time, as exporters write x.view(x.size(0), -1) ---- */

enum ab_status ab_onnx_shape_op(struct ab_onnx_reader *r)
{
    const struct ab_onnx_value *in;
    enum ab_status status = movable(r, &in);
    if (status != AB_OK) return status;
    struct ab_dims d = r->graph->nodes[in->node].dims;
    const int64_t shape[] = {AB_ONNX_BATCH, d.c, d.h, d.w};
    return ab_onnx_shape(r, shape, in->rank);
}

enum ab_status ab_onnx_gather(struct ab_onnx_reader *r)
{
    const struct ab_onnx_value *in = ab_onnx_input(r, 0);
    if (in && in->kind == AB_ONNX_LAYER)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "it selects from an image, not from its shape");
    int64_t from[AB_ONNX_INTS], which[AB_ONNX_INTS];
    int n = 0, m = 0;
    enum ab_status status = ab_onnx_ints(r, 0, from, &n);
    if (status == AB_OK) status = ab_onnx_ints(r, 1, which, &m);
    if (status != AB_OK) return status;
    for (int i = 0; i < m; i++) {
        if (which[i] < -n || which[i] >= n)
            return ab_onnx_fail(r, AB_ERR_FORMAT, "index %lld is outside 0..%d",
                                (long long)which[i], n - 1);
        which[i] = from[which[i] < 0 ? which[i] + n : which[i]];
    }
    return ab_onnx_shape(r, which, m);
}

/* Of shapes: they are int64 already. Of layers: from float32 to itself. */
enum ab_status ab_onnx_cast(struct ab_onnx_reader *r)
{
    const struct ab_onnx_value *in = ab_onnx_input(r, 0);
    int64_t to = ab_onnx_int(r, "to", 0);
    bool shape = in && in->kind == AB_ONNX_SHAPE;
    if (!in ||
        to != (shape ? ONNX__TENSOR_PROTO__DATA_TYPE__INT64 : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT))
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "only float32 is computed with");
    return ab_onnx_identity(r);
}

/* ---- padding ---- */

/* pads: all beginnings, then all ends, one for each of `axes`; to top, left, bottom, right. */
static enum ab_status place_pads(const struct ab_onnx_reader *r, const int64_t *pads,
                                 const int64_t *axes, int n, int out[4])
{
    for (int k = 0; k < 2 * n; k++) {
        int64_t axis = axes[k % n];
        if (pads[k] == 0) continue;
        if (axis < 2)
            return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "it pads the batch or the channels");
        if (pads[k] < 0 || pads[k] > 1 << 15)
            return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "padding by %lld is not supported",
                                (long long)pads[k]);
        out[axis - 2 + (k < n ? 0 : 2)] = (int)pads[k];
    }
    return AB_OK;
}

static enum ab_status read_pads(const struct ab_onnx_reader *r, int rank, int out[4])
{
    const Onnx__AttributeProto *a = ab_onnx_attribute(r, "pads");
    int64_t pads[AB_ONNX_INTS] = {0}, axes[AB_ONNX_INTS] = {0, 1, 2, 3};
    int n_pads = 0, n_axes = rank;
    enum ab_status status = AB_OK;
    if (a && a->n_ints && a->n_ints <= AB_ONNX_INTS) {
        memcpy(pads, a->ints, a->n_ints * sizeof *pads);
        n_pads = (int)a->n_ints;
    } else {
        status = ab_onnx_ints(r, 1, pads, &n_pads);
    }
    if (status == AB_OK && ab_onnx_input(r, 3)) status = read_axes(r, 3, rank, axes, &n_axes);
    if (status != AB_OK) return status;
    if (n_axes < 1 || n_pads != 2 * n_axes)
        return ab_onnx_fail(r, AB_ERR_FORMAT, "it has %d pads for %d axes", n_pads, n_axes);
    return place_pads(r, pads, axes, n_axes, out);
}

enum ab_status ab_onnx_pad(struct ab_onnx_reader *r)
{
    int in, pad[4] = {0};
    float value = ab_onnx_float(r, "value", 0), *given = NULL;
    enum ab_status status = ab_onnx_layer(r, 0, &in);
    if (status != AB_OK) return status;
    int rank = ab_onnx_input(r, 0)->rank;
    if (ab_onnx_attribute(r, "mode") && !ab_onnx_string_is(r, "mode", "constant"))
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "only padding with zeros is supported");
    if (ab_onnx_input(r, 2)) {
        status = ab_onnx_vector(r, 2, 1, &given);
        if (status != AB_OK) return status;
        value = *given;
        ab_buffer_free(given);
    }
    if (value != 0)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "only padding with zeros is supported, not %g",
                            (double)value);
    status = read_pads(r, rank, pad);
    if (status != AB_OK) return status;
    if (!pad[0] && !pad[1] && !pad[2] && !pad[3]) return ab_onnx_alias(r, 0, rank);
    status = ab_onnx_image(r, 0, &in);
    if (status != AB_OK) return status;
    struct ab_node *node = ab_onnx_add(r, AB_NODE_PAD, &in, 1, &status);
    if (!node) return status;
    memcpy(node->pad, pad, sizeof pad);
    return ab_onnx_settle(r);
}

/* ---- means ---- */

/* Over height and width: global average pooling, flattened unless the dimensions are kept. */
enum ab_status ab_onnx_reduce_mean(struct ab_onnx_reader *r)
{
    int in, n;
    int64_t axes[AB_ONNX_INTS];
    enum ab_status status = ab_onnx_image(r, 0, &in);
    if (status == AB_OK) status = read_axes(r, 1, 4, axes, &n);
    if (status != AB_OK) return status;
    if (!are_spatial(axes, n))
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "only the mean over height and width (axes 2 and 3) is supported");
    if (!ab_onnx_add(r, AB_NODE_AVGPOOL, &in, 1, &status)) return status;
    status = ab_onnx_settle(r);
    if (status != AB_OK || ab_onnx_int(r, "keepdims", 1) != 0) return status;
    in = r->graph->n_nodes - 1;
    char *name = r->name;
    size_t size = strlen(name) + sizeof "/flatten";
    r->name = malloc(size);
    if (r->name) {
        snprintf(r->name, size, "%s/flatten", name);
        if (ab_onnx_add(r, AB_NODE_FLATTEN, &in, 1, &status)) status = ab_onnx_settle(r);
        free(r->name);
    }
    bool named = r->name;
    r->name = name;
    return named ? status : ab_onnx_fail(r, AB_ERR_MEMORY, "out of memory");
}
#endif
