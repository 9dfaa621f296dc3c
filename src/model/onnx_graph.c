// SPDX-License-Identifier: Apache-2.0
// From an ONNX graph to ours: which values there are, which of them the output needs, and the walk
// over the nodes.
#include "base/base.h"
#if AB_WITH_ONNX
#include "model/onnx.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum ab_status ab_onnx_fail(const struct ab_onnx_reader *r, enum ab_status status,
                            const char *format, ...)
{
    char text[sizeof r->err->text];
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0) text[0] = '\0';
    va_end(args);
    if (!r->at) return ab_fail(r->err, status, "%s: %s", r->path, text);
    return ab_fail(r->err, status, "%s: node '%s' (%s): %s", r->path, r->name,
                   r->at->op_type ? r->at->op_type : "", text);
}

/* ---- values ---- */

static size_t slot_of(const struct ab_onnx_reader *r, const char *name)
{
    size_t at = (size_t)ab_hash(0, name, strlen(name)) & (r->n_slots - 1);
    while (r->slots[at] && strcmp(r->values[r->slots[at] - 1].name, name) != 0)
        at = (at + 1) & (r->n_slots - 1);
    return at;
}

struct ab_onnx_value *ab_onnx_find(const struct ab_onnx_reader *r, const char *name)
{
    size_t slot = slot_of(r, name);
    return r->slots[slot] ? &r->values[r->slots[slot] - 1] : NULL;
}

/* A new value; NULL and a message if the name is taken. */
static struct ab_onnx_value *declare(struct ab_onnx_reader *r, const char *name, int maker)
{
    size_t slot = slot_of(r, name);
    if (r->slots[slot]) {
        ab_onnx_fail(r, AB_ERR_FORMAT, "the value '%s' is made twice", name);
        return NULL;
    }
    struct ab_onnx_value *value = &r->values[r->n_values++];
    *value = (struct ab_onnx_value){.name = name, .maker = maker, .node = -1};
    r->slots[slot] = r->n_values;
    return value;
}

static enum ab_status reserve(struct ab_onnx_reader *r)
{
    const Onnx__GraphProto *g = r->onnx;
    size_t count = g->n_input + g->n_initializer;
    for (size_t i = 0; i < g->n_node; i++) count += g->node[i]->n_output;
    r->n_slots = 64;
    while (r->n_slots < 2 * count) r->n_slots *= 2;
    r->values = calloc(count ? count : 1, sizeof *r->values);
    r->slots = calloc(r->n_slots, sizeof *r->slots);
    if (!r->values || !r->slots) return ab_onnx_fail(r, AB_ERR_MEMORY, "out of memory");
    return AB_OK;
}

static enum ab_status declare_all(struct ab_onnx_reader *r)
{
    const Onnx__GraphProto *g = r->onnx;
    for (size_t i = 0; i < g->n_initializer; i++) {
        const char *name = g->initializer[i]->name;
        struct ab_onnx_value *value = declare(r, name ? name : "", -1);
        if (!value) return AB_ERR_FORMAT;
        value->kind = AB_ONNX_TENSOR;
        value->tensor = g->initializer[i];
    }
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t j = 0; j < g->node[i]->n_output; j++) {
            const char *name = g->node[i]->output[j];
            if (*name && !declare(r, name, (int)i)) return AB_ERR_FORMAT;
        }
    return AB_OK;
}

/* ---- the input ---- */

static enum ab_status input_dim(const struct ab_onnx_reader *r, const Onnx__ValueInfoProto *info,
                                const Onnx__TensorShapeProto *shape, size_t i, int *out)
{
    const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
    if (dim->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "input '%s': dimension %zu is not fixed; export the model with a fixed "
                            "image size (only the batch may vary)",
                            info->name, i);
    if (dim->dim_value < 1 || dim->dim_value > INT_MAX)
        return ab_onnx_fail(r, AB_ERR_FORMAT, "input '%s': dimension %zu is %lld", info->name, i,
                            (long long)dim->dim_value);
    *out = (int)dim->dim_value;
    return AB_OK;
}

static const Onnx__TypeProto__Tensor *tensor_type(const Onnx__ValueInfoProto *info)
{
    const Onnx__TypeProto *type = info->type;
    return type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? type->tensor_type
                                                                           : NULL;
}

static bool is_float(const Onnx__TypeProto__Tensor *type)
{
    return type && type->elem_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
}

/* N,C,H,W, or N,F, which becomes an image of F channels and one pixel, flattened. */
static enum ab_status add_input(struct ab_onnx_reader *r, const Onnx__ValueInfoProto *info)
{
    const Onnx__TypeProto__Tensor *type = tensor_type(info);
    const Onnx__TensorShapeProto *shape = type ? type->shape : NULL;
    if (!is_float(type))
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "input '%s' is not float32; export the model in float32", info->name);
    if (!shape || (shape->n_dim != 4 && shape->n_dim != 2))
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "input '%s' has %zu dimensions; it must be batch, channels, height, "
                            "width",
                            info->name, shape ? shape->n_dim : 0);
    struct ab_dims dims = {1, 1, 1};
    enum ab_status status = input_dim(r, info, shape, 1, &dims.c);
    if (status == AB_OK && shape->n_dim == 4) status = input_dim(r, info, shape, 2, &dims.h);
    if (status == AB_OK && shape->n_dim == 4) status = input_dim(r, info, shape, 3, &dims.w);
    if (status != AB_OK) return status;
    const Onnx__TensorShapeProto__Dimension *batch = shape->dim[0];
    if (batch->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
        batch->dim_value > 0)
        r->batch = batch->dim_value;

    struct ab_node *node = ab_graph_add(r->graph, AB_NODE_INPUT, info->name, NULL, 0);
    struct ab_onnx_value *value = declare(r, info->name, -1);
    if (!node) return ab_onnx_fail(r, AB_ERR_MEMORY, "out of memory");
    if (!value) return AB_ERR_FORMAT;
    node->dims = dims;
    *value = (struct ab_onnx_value){
        .name = value->name, .kind = AB_ONNX_LAYER, .maker = -1, .rank = (int)shape->n_dim};
    status = ab_infer_node(r->graph, 0, r->err);
    if (status == AB_OK && shape->n_dim == 2) {
        value->node = 1;
        if (!ab_graph_add(r->graph, AB_NODE_FLATTEN, "flatten", &(int){0}, 1))
            return ab_onnx_fail(r, AB_ERR_MEMORY, "out of memory");
        status = ab_infer_node(r->graph, 1, r->err);
    }
    return status == AB_OK ? AB_OK : ab_onnx_fail(r, status, "%s", r->err->text);
}

/* Old files list initializers among the inputs; the one that remains is the image. */
static enum ab_status read_input(struct ab_onnx_reader *r)
{
    const Onnx__ValueInfoProto *found = NULL;
    for (size_t i = 0; i < r->onnx->n_input; i++) {
        const Onnx__ValueInfoProto *info = r->onnx->input[i];
        if (!info->name || !*info->name)
            return ab_onnx_fail(r, AB_ERR_FORMAT, "input %zu has no name", i);
        struct ab_onnx_value *value = ab_onnx_find(r, info->name);
        if (value && value->kind == AB_ONNX_TENSOR) continue;
        if (found)
            return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                                "has several inputs ('%s', '%s'); it must have one, the image",
                                found->name, info->name);
        found = info;
    }
    if (!found) return ab_onnx_fail(r, AB_ERR_FORMAT, "has no input");
    return add_input(r, found);
}

/* ---- the output, and what it needs ---- */

/* The first output that is declared as a float matrix, else the first. */
static enum ab_status choose_output(struct ab_onnx_reader *r, struct ab_onnx_value **output)
{
    const Onnx__GraphProto *g = r->onnx;
    if (g->n_output == 0) return ab_onnx_fail(r, AB_ERR_FORMAT, "has no output");
    const Onnx__ValueInfoProto *chosen = g->output[0];
    for (size_t i = 0; i < g->n_output; i++) {
        const Onnx__TypeProto__Tensor *type = tensor_type(g->output[i]);
        if (!is_float(type) || !type->shape || type->shape->n_dim != 2) continue;
        chosen = g->output[i];
        break;
    }
    const char *name = chosen->name ? chosen->name : "";
    *output = ab_onnx_find(r, name);
    if (!*output) return ab_onnx_fail(r, AB_ERR_FORMAT, "no node makes its output '%s'", name);
    if (g->n_output == 1) return AB_OK;
    return ab_graph_note(r->graph, r->err, "output '%s' of %zu is explained", name, g->n_output);
}

/* Backwards over the nodes: in topological order every reader comes after what it reads. */
static void mark_wanted(struct ab_onnx_reader *r, bool *wanted)
{
    for (size_t i = r->onnx->n_node; i-- > 0;) {
        const Onnx__NodeProto *node = r->onnx->node[i];
        for (size_t j = 0; j < node->n_output; j++) {
            struct ab_onnx_value *value = ab_onnx_find(r, node->output[j]);
            if (*node->output[j] && value->wanted) wanted[i] = true;
        }
        for (size_t j = 0; wanted[i] && j < node->n_input; j++) {
            struct ab_onnx_value *value = ab_onnx_find(r, node->input[j]);
            if (value) value->wanted = true, value->uses++;
        }
    }
}

/* ---- the walk ---- */

static enum ab_status set_name(struct ab_onnx_reader *r, const Onnx__NodeProto *node)
{
    const char *op = node->op_type ? node->op_type : "";
    const char *name = node->name ? node->name : "";
    const char *output = node->n_output ? node->output[0] : "";
    size_t size = strlen(op) + strlen(name) + strlen(output) + 2;
    free(r->name);
    r->name = malloc(size);
    if (!r->name) {
        r->at = NULL;
        return ab_onnx_fail(r, AB_ERR_MEMORY, "out of memory");
    }
    if (*name)
        snprintf(r->name, size, "%s", name);
    else
        snprintf(r->name, size, "%s_%s", op, output);
    r->at = node;
    return AB_OK;
}

/* Why a value is not there although a node makes it. */
static enum ab_status explain_pending(const struct ab_onnx_reader *r,
                                      const struct ab_onnx_value *value)
{
    const Onnx__NodeProto *maker = r->onnx->node[value->maker];
    if (maker == r->at)
        return ab_onnx_fail(r, AB_ERR_FORMAT, "it reads its own output '%s'", value->name);
    const struct ab_onnx_value *first = ab_onnx_find(r, maker->output[0]);
    if (first && first != value && first->kind != AB_ONNX_PENDING)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "it reads '%s', which is not the first output of '%s'", value->name,
                            maker->op_type ? maker->op_type : "");
    return ab_onnx_fail(r, AB_ERR_FORMAT,
                        "its input '%s' is not made before it; the nodes must be in topological "
                        "order, without cycles",
                        value->name);
}

/* Every input must be there by now. */
static enum ab_status check_inputs(const struct ab_onnx_reader *r)
{
    for (size_t i = 0; i < r->at->n_input; i++) {
        const char *name = r->at->input[i];
        if (!*name) continue;
        const struct ab_onnx_value *value = ab_onnx_find(r, name);
        if (!value) return ab_onnx_fail(r, AB_ERR_FORMAT, "nothing makes its input '%s'", name);
        if (value->kind == AB_ONNX_PENDING) return explain_pending(r, value);
    }
    return AB_OK;
}

static enum ab_status read_nodes(struct ab_onnx_reader *r, const bool *wanted)
{
    enum ab_status status = AB_OK;
    for (size_t i = 0; status == AB_OK && i < r->onnx->n_node; i++) {
        if (!wanted[i]) continue;
        status = set_name(r, r->onnx->node[i]);
        if (status == AB_OK) status = check_inputs(r);
        if (status == AB_OK) status = ab_onnx_read_node(r);
    }
    r->at = NULL;
    return status;
}

/* Our graphs end in a vector; N,C,1,1 is one that has not been flattened. */
static enum ab_status finish(struct ab_onnx_reader *r, const struct ab_onnx_value *output)
{
    if (output->kind != AB_ONNX_LAYER)
        return ab_onnx_fail(r, AB_ERR_FORMAT, "its output '%s' does not depend on the image",
                            output->name);
    enum ab_status status = AB_OK;
    int last = output->node;
    if (output->softmax)
        status =
            ab_graph_note(r->graph, r->err, "softmax '%s' is cut off: attributions explain logits",
                          output->softmax);
    if (status != AB_OK) return status;
    const struct ab_node *node = &r->graph->nodes[last];
    if (!node->vector && node->dims.h == 1 && node->dims.w == 1) {
        if (!ab_graph_add(r->graph, AB_NODE_FLATTEN, "flatten", &last, 1))
            return ab_onnx_fail(r, AB_ERR_MEMORY, "out of memory");
        last = r->graph->n_nodes - 1;
    }
    status = ab_graph_finish(r->graph, last, r->err);
    return status == AB_OK ? AB_OK : ab_onnx_fail(r, status, "%s", r->err->text);
}

enum ab_status ab_onnx_read(struct ab_onnx_reader *r)
{
    const Onnx__GraphProto *g = r->onnx;
    if (g->n_sparse_initializer)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "has sparse weights; store them as dense tensors");
    if (g->n_node > INT_MAX) return ab_onnx_fail(r, AB_ERR_FORMAT, "has too many nodes");
    struct ab_onnx_value *output = NULL;
    bool *wanted = calloc(g->n_node ? g->n_node : 1, sizeof *wanted);
    enum ab_status status = wanted ? reserve(r) : ab_onnx_fail(r, AB_ERR_MEMORY, "out of memory");
    if (status == AB_OK) status = declare_all(r);
    if (status == AB_OK) status = read_input(r);
    if (status == AB_OK) status = choose_output(r, &output);
    if (status == AB_OK) {
        output->wanted = true, output->uses = 1;
        mark_wanted(r, wanted);
        status = read_nodes(r, wanted);
    }
    if (status == AB_OK) status = finish(r, output);
    free(r->name);
    free(r->slots);
    free(r->values);
    free(wanted);
    return status;
}
#endif
