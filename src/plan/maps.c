// SPDX-License-Identifier: Apache-2.0
// What a walk back becomes at its end: the signal at the image or at a layer, a class activation
// map, or one of the controls that look at no class at all.
#include "plan/maps.h"

static int host(struct ab_lowering *l, enum ab_host kind, int x, int a, struct ab_dims dims)
{
    if (l->w.failed) return -1;
    struct ab_step s = ab_step_new(AB_OP_HOST);
    s.host = kind;
    s.x = x;
    s.a = a;
    if (kind == AB_HOST_RANDOM) s.number = l->method->composite.sampling.seed;
    return ab_emit(&l->w, s, dims, l->w.program->values[x].vector && kind >= AB_HOST_RANDOM);
}

/* ---- class activation maps ---- */

/* The last map before pooling and flattening: back from the logits through what only collects. */
static enum ab_status last_map(const struct ab_lowering *l, int *layer, struct ab_error *err)
{
    const struct ab_graph *g = l->w.graph;
    int n = l->walk.from;
    for (;;) {
        const struct ab_node *node = &g->nodes[n];
        const bool collects = node->vector || node->kind == AB_NODE_MAXPOOL ||
                              node->kind == AB_NODE_AVGPOOL || node->kind == AB_NODE_PAD;
        if (!collects && node->kind != AB_NODE_INPUT) break;
        if (node->n_in != 1)
            return ab_fail(err, AB_ERR_UNSUPPORTED,
                           "method %s: model '%.80s' has %s; say which layer with layer=NAME",
                           l->method->desc->name, g->name,
                           node->n_in ? "no single last map" : "no layer that gives a map");
        n = node->in[0];
    }
    *layer = n;
    return AB_OK;
}

static enum ab_status find_layer(const struct ab_lowering *l, int *layer, struct ab_error *err)
{
    const struct ab_graph *g = l->w.graph;
    const char *name = l->method->composite.layer;
    if (!*name) return last_map(l, layer, err);
    const enum ab_status status = ab_graph_find(g, name, layer, err);
    if (status) return status;
    if (g->nodes[*layer].vector)
        return ab_fail(err, AB_ERR_ARG,
                       "method %s: layer '%.80s' gives a vector; take one that gives a map",
                       l->method->desc->name, name);
    return AB_OK;
}

static enum ab_status cam_map(struct ab_lowering *l, int *map, struct ab_error *err)
{
    static const enum ab_host kinds[] = {[AB_CAM_MEAN] = AB_HOST_CAM,
                                         [AB_CAM_PLUS_PLUS] = AB_HOST_CAM_PLUS_PLUS,
                                         [AB_CAM_LAYER] = AB_HOST_LAYER_CAM};
    const struct ab_composite *c = &l->method->composite;
    int layer = 0, signal = -1;
    enum ab_status status = find_layer(l, &layer, err);
    if (!status) status = ab_walk_back(l, AB_RELU_GRADIENT, layer, &signal, err);
    if (status || l->w.failed) return status;
    const struct ab_dims image = l->w.graph->nodes[0].dims;
    struct ab_dims one = l->w.graph->nodes[layer].dims;
    one.c = 1;
    *map = host(l, kinds[c->cam], signal, l->fwd[layer], one);
    if (c->cam_relu) *map = ab_pointwise(l, AB_PW_RELU, *map, -1, -1);
    *map = host(l, c->nearest ? AB_HOST_NEAREST : AB_HOST_BILINEAR, *map, -1, image);
    if (c->map != AB_MAP_GUIDED_CAM) return AB_OK;
    status = ab_walk_back(l, c->relu, 0, &signal, err);
    if (!status) *map = ab_pointwise(l, AB_PW_MUL, signal, *map, -1);
    return status;
}

/* ---- all kinds of maps ---- */

/* The signal at node `at`, times what the node gave if the method multiplies by the image. */
static enum ab_status signal_map(struct ab_lowering *l, int *map, struct ab_error *err)
{
    const struct ab_composite *c = &l->method->composite;
    const int at = l->walk.at;
    const enum ab_status status = ab_walk_back(l, c->relu, at, map, err);
    if (status) return status;
    if (c->lift != AB_LIFT_NONE)
        *map = ab_two_point_end(l, at);
    else if (c->input_mul)
        *map = ab_pointwise(l, AB_PW_MUL, *map, l->fwd[at], -1);
    if (c->clamp) *map = ab_pointwise(l, AB_PW_RELU, *map, -1, -1);
    return AB_OK;
}

enum ab_status ab_make_map(struct ab_lowering *l, int *map, struct ab_error *err)
{
    const enum ab_map_kind kind = l->method->composite.map;
    const struct ab_node *image = &l->w.graph->nodes[0];
    if (kind == AB_MAP_SIGNAL) return signal_map(l, map, err);
    if (l->walk.at)
        return ab_fail(err, AB_ERR_ARG,
                       "method %s gives maps of the image alone, not of layer '%.80s'",
                       l->method->desc->name, l->w.graph->nodes[l->walk.at].name);
    switch (kind) {
    case AB_MAP_CAM:
    case AB_MAP_GUIDED_CAM: return cam_map(l, map, err);
    case AB_MAP_EDGES: *map = host(l, AB_HOST_EDGES, l->fwd[0], -1, image->dims); break;
    case AB_MAP_RANDOM: *map = host(l, AB_HOST_RANDOM, l->fwd[0], -1, image->dims); break;
    default: *map = l->fwd[0]; break; /* AB_MAP_INPUT */
    }
    return AB_OK;
}
