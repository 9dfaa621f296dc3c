// SPDX-License-Identifier: Apache-2.0
// What network builders call: one layer each, with weights drawn from the seed and the layer's
// name.
#include "model/infer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int fail(struct ab_builder *b, enum ab_status status)
{
    b->status = status;
    return -1;
}

static int out_of_memory(struct ab_builder *b, const char *name)
{
    return fail(
        b, ab_fail(b->err, AB_ERR_MEMORY, "%s: no memory for layer '%s'", b->graph->name, name));
}

/* A new node whose inputs exist, or NULL: after a failure every later call does nothing. */
static struct ab_node *append(struct ab_builder *b, enum ab_node_kind kind, const char *name,
                              const int *in, int n_in)
{
    if (b->status != AB_OK) return NULL;
    struct ab_node *node = ab_graph_add(b->graph, kind, name, in, n_in);
    if (!node) out_of_memory(b, name);
    return node;
}

/* Infers the node that was added last; its index. */
static int settle(struct ab_builder *b)
{
    int index = b->graph->n_nodes - 1;
    enum ab_status status = ab_infer_node(b->graph, index, b->err);
    return status == AB_OK ? index : fail(b, status);
}

/* mean + deviation * normal, element i from index i alone: any split over threads gives the same.
 */
static float *draw(uint64_t seed, size_t count, double mean, double deviation)
{
    float *values = ab_buffer_alloc(count * sizeof *values);
    if (!values) return NULL;
#pragma omp parallel for schedule(static) if (count > 1 << 16)
    for (size_t i = 0; i < count; i++) values[i] = (float)(mean + deviation * ab_normal(seed, i));
    return values;
}

/* He initialisation (arXiv 1502.01852), fan-in mode: keeps the variance through ReLU layers. */
static int draw_linear(struct ab_builder *b, struct ab_node *node, size_t fan_in, bool bias)
{
    uint64_t seed = ab_hash(b->seed, node->name, strlen(node->name));
    size_t outputs = (size_t)node->dims.c;
    bool overflow = false;
    node->wei_count = ab_mul_size(outputs, fan_in, &overflow);
    ab_mul_size(node->wei_count, sizeof(float), &overflow);
    if (overflow) return out_of_memory(b, node->name);
    node->wei = draw(seed, node->wei_count, 0, sqrt(2.0 / (double)fan_in));
    if (bias) node->bias = draw(ab_hash(seed, "bias", 4), outputs, 0, 0.01);
    if (!node->wei || (bias && !node->bias)) return out_of_memory(b, node->name);
    return b->graph->n_nodes - 1;
}

int ab_build_input(struct ab_builder *b, int c, int h, int w)
{
    struct ab_node *node = append(b, AB_NODE_INPUT, "input", NULL, 0);
    if (!node) return -1;
    node->dims = (struct ab_dims){c, h, w};
    return settle(b);
}

/* "224-255, 448-479, ...": the sides whose features are a multiple of `to`. */
static void list_sides(int (*features)(int side), int to, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int side = AB_SIDE_LEAST; side <= AB_SIDE_MOST && used < size; side++) {
        const int f = features(side);
        if (f < to || f % to) continue;
        const int from = side;
        while (side < AB_SIDE_MOST && features(side + 1) == f) side++;
        used += (size_t)snprintf(text + used, size - used, "%s%d-%d", used ? ", " : "", from, side);
    }
}

int ab_build_image(struct ab_builder *b, int (*features)(int side), int to)
{
    const int h = features(b->h), w = features(b->w);
    if (b->status != AB_OK) return -1;
    if (h >= to && w >= to && h % to == 0 && w % to == 0) return ab_build_input(b, 3, b->h, b->w);
    char sides[256];
    list_sides(features, to, sides, sizeof sides);
    return fail(b, ab_fail(b->err, AB_ERR_ARG,
                           "%s: its %dx%d features do not pool to %dx%d in equal windows; sides "
                           "that do: %s",
                           b->graph->name, h, w, to, to, sides));
}

int ab_build_conv(struct ab_builder *b, const char *name, int in, int oc, int k, int s, int p,
                  int g, bool bias)
{
    struct ab_node *node = append(b, AB_NODE_CONV, name, &in, 1);
    if (!node) return -1;
    node->conv = (struct ab_conv2d_shape){
        .g = g,
        .oc = oc,
        .kh = k,
        .kw = k,
        .sh = s,
        .sw = s,
        .dh = 1,
        .dw = 1,
        .pt = p,
        .pl = p,
        .pb = p,
        .pr = p,
    };
    if (settle(b) < 0) return -1;
    size_t fan_in = (size_t)(node->conv.ic / g) * (size_t)k * (size_t)k;
    return draw_linear(b, node, fan_in, bias);
}

int ab_build_dense(struct ab_builder *b, const char *name, int in, int out, bool bias)
{
    struct ab_node *node = append(b, AB_NODE_DENSE, name, &in, 1);
    if (!node) return -1;
    node->dims.c = out;
    if (settle(b) < 0) return -1;
    return draw_linear(b, node, (size_t)b->graph->nodes[in].dims.c, bias);
}

int ab_build_relu(struct ab_builder *b, const char *name, int in)
{
    return append(b, AB_NODE_RELU, name, &in, 1) ? settle(b) : -1;
}

int ab_build_capped_relu(struct ab_builder *b, const char *name, int in, float cap)
{
    struct ab_node *node = append(b, AB_NODE_RELU, name, &in, 1);
    if (!node) return -1;
    node->cap = cap;
    return settle(b);
}

static int pool(struct ab_builder *b, enum ab_node_kind kind, const char *name, int in,
                struct ab_pool_shape shape)
{
    struct ab_node *node = append(b, kind, name, &in, 1);
    if (!node) return -1;
    node->pool = shape;
    return settle(b);
}

static struct ab_pool_shape square(int k, int s, int p)
{
    return (struct ab_pool_shape){
        .kh = k,
        .kw = k,
        .sh = s,
        .sw = s,
        .dh = 1,
        .dw = 1,
        .pt = p,
        .pl = p,
        .pb = p,
        .pr = p,
    };
}

int ab_build_maxpool(struct ab_builder *b, const char *name, int in, int k, int s, int p,
                     bool ceil_mode)
{
    struct ab_pool_shape shape = square(k, s, p);
    shape.oh = shape.ow = ceil_mode ? -1 : 0;
    return pool(b, AB_NODE_MAXPOOL, name, in, shape);
}

int ab_build_avgpool(struct ab_builder *b, const char *name, int in, int k, int s, int p)
{
    struct ab_pool_shape shape = square(k, s, p);
    shape.include_pad = true;
    return pool(b, AB_NODE_AVGPOOL, name, in, shape);
}

int ab_build_global_avgpool(struct ab_builder *b, const char *name, int in)
{
    return pool(b, AB_NODE_AVGPOOL, name, in, (struct ab_pool_shape){0});
}

int ab_build_avgpool_to(struct ab_builder *b, const char *name, int in, int to)
{
    if (b->status != AB_OK) return -1;
    const struct ab_dims d = b->graph->nodes[in].dims;
    if (d.h == to && d.w == to) return in;
    struct ab_pool_shape shape = square(1, 1, 0);
    shape.kh = shape.sh = d.h / to;
    shape.kw = shape.sw = d.w / to;
    return pool(b, AB_NODE_AVGPOOL, name, in, shape);
}

int ab_build_batchnorm(struct ab_builder *b, const char *name, int in)
{
    return ab_build_batchnorm_gain(b, name, in, 1);
}

/* As a trained one looks: scale about `gain`, shift and running mean about 0, running variance
 * about 1, each with a spread of its own per channel, so that a folding that forgets one of them
 * shows. */
int ab_build_batchnorm_gain(struct ab_builder *b, const char *name, int in, double gain)
{
    struct ab_node *node = append(b, AB_NODE_BATCHNORM, name, &in, 1);
    if (!node || settle(b) < 0) return -1;
    uint64_t seed = ab_hash(b->seed, name, strlen(name));
    size_t channels = (size_t)node->dims.c;
    node->wei = ab_buffer_alloc(channels * sizeof *node->wei);
    node->bias = ab_buffer_alloc(channels * sizeof *node->bias);
    node->wei_count = channels;
    if (!node->wei || !node->bias) return out_of_memory(b, name);
    for (size_t i = 0; i < channels; i++) {
        double weight = gain * (1 + 0.05 * ab_normal(seed, 4 * i));
        double bias = 0.05 * ab_normal(seed, 4 * i + 1);
        double mean = 0.05 * ab_normal(seed, 4 * i + 2);
        double variance = 0.8 + 0.4 * ab_uniform(seed, 4 * i + 3);
        double scale = weight / sqrt(variance + 1e-5);
        node->wei[i] = (float)scale;
        node->bias[i] = (float)(bias - mean * scale);
    }
    return b->graph->n_nodes - 1;
}

int ab_build_add(struct ab_builder *b, const char *name, int u, int v)
{
    const int in[] = {u, v};
    return append(b, AB_NODE_ADD, name, in, 2) ? settle(b) : -1;
}

int ab_build_concat(struct ab_builder *b, const char *name, const int *in, int n_in)
{
    return append(b, AB_NODE_CONCAT, name, in, n_in) ? settle(b) : -1;
}

int ab_build_flatten(struct ab_builder *b, const char *name, int in)
{
    return append(b, AB_NODE_FLATTEN, name, &in, 1) ? settle(b) : -1;
}
