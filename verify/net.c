// SPDX-License-Identifier: Apache-2.0
// Drawing small networks. The order of the draws decides what a seed stands for.
#include "verify/net.h"

#include "model/infer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The state of drawing one: the node at the end so far, and what is decided for all layers. */
struct drawing {
    struct ab_random_net *net;
    struct ab_rng rng, caps;
    enum ab_status status; /* the first failure; nothing is added after it */
    struct ab_error *err;
    int at, count;
    bool with_caps;       /* drawn beside all else, so that it changes no other draw */
    bool plain;           /* no sums, branches or linear convolutions: see ab_random_net.gated */
    struct ab_node spare; /* what is appended after a failure */
};

static void net_fail(struct drawing *d, enum ab_status status)
{
    if (!d->status) d->status = status;
}

static void *net_alloc(struct drawing *d, size_t count)
{
    void *data = d->status ? NULL : ab_buffer_alloc(count * sizeof(float));
    if (!data && !d->status)
        net_fail(d, ab_fail(d->err, AB_ERR_MEMORY, "out of memory for a random network"));
    return data;
}

static const struct ab_dims *net_dims(const struct drawing *d)
{
    return d->status ? &d->spare.dims : &d->net->graph->nodes[d->at].dims;
}

__attribute__((format(printf, 2, 3))) static void net_say(struct drawing *d, const char *format,
                                                          ...)
{
    const size_t used = strlen(d->net->text);
    va_list args;
    va_start(args, format);
    vsnprintf(d->net->text + used, sizeof d->net->text - used, format, args);
    va_end(args);
}

/* A node of its own name at the end; the caller fills it in and calls net_settle. */
static struct ab_node *net_append(struct drawing *d, enum ab_node_kind kind, const int *in,
                                  int n_in)
{
    char name[16];
    snprintf(name, sizeof name, "n%d", d->count++);
    struct ab_node *node = d->status ? NULL : ab_graph_add(d->net->graph, kind, name, in, n_in);
    if (node) return node;
    if (!d->status)
        net_fail(d, ab_fail(d->err, AB_ERR_MEMORY, "out of memory for a random network"));
    return &d->spare;
}

static void net_settle(struct drawing *d)
{
    if (d->status) return;
    d->at = d->net->graph->n_nodes - 1;
    net_fail(d, ab_infer_node(d->net->graph, d->at, d->err));
}

static void net_weights(struct drawing *d, size_t fan_in)
{
    if (d->status) return;
    struct ab_node *node = &d->net->graph->nodes[d->at];
    node->wei_count = (size_t)node->dims.c * fan_in;
    node->wei = net_alloc(d, node->wei_count);
    if (!node->wei) return;
    const double scale = sqrt(2.0 / (double)fan_in);
    for (size_t i = 0; i < node->wei_count; i++) {
        node->wei[i] = (float)(scale * ab_rng_normal(&d->rng));
    }
    if (!d->net->biased || ab_rng_between(&d->rng, 0, 3) == 0) return;
    node->bias = net_alloc(d, (size_t)node->dims.c);
    for (int i = 0; node->bias && i < node->dims.c; i++)
        node->bias[i] = (float)(0.2 * ab_rng_normal(&d->rng));
}

/* The largest kernel in [1, most] whose dilated extent fits the padded image; it always holds a
 * tap inside. */
static int net_kernel(struct drawing *d, int most, int size, int dilation, int *before, int *after)
{
    int k = ab_rng_between(&d->rng, 1, most);
    while (k > 1 && (k - 1) * dilation + 1 > size) k--;
    const int reach = (k - 1) * dilation;
    *before = ab_rng_between(&d->rng, 0, reach < 3 ? reach : 3);
    *after = ab_rng_between(&d->rng, 0, reach < 3 ? reach : 3);
    return k;
}

static void net_conv_shaped(struct drawing *d, struct ab_conv2d_shape shape)
{
    const int in = d->at, ic = net_dims(d)->c;
    net_append(d, AB_NODE_CONV, &in, 1)->conv = shape;
    net_settle(d);
    net_weights(d, (size_t)(ic / shape.g) * (size_t)shape.kh * (size_t)shape.kw);
    net_say(d, " conv%d:k%dx%d,s%dx%d,d%dx%d,p%d/%d/%d/%d,g%d", shape.oc, shape.kh, shape.kw,
            shape.sh, shape.sw, shape.dh, shape.dw, shape.pt, shape.pl, shape.pb, shape.pr,
            shape.g);
}

static void net_conv(struct drawing *d)
{
    struct ab_rng *r = &d->rng;
    const struct ab_dims in = *net_dims(d);
    struct ab_conv2d_shape s = {.g = 1, .oc = ab_rng_between(r, 3, 21)};
    s.dh = ab_rng_between(r, 0, 3) ? 1 : 2;
    s.dw = ab_rng_between(r, 0, 3) ? 1 : 2;
    const bool square = ab_rng_between(r, 0, 2) == 0;
    s.kh = net_kernel(d, 5, in.h, s.dh, &s.pt, &s.pb);
    s.kw = net_kernel(d, 5, in.w, s.dw, &s.pl, &s.pr);
    s.sh = ab_rng_between(r, 0, 2) ? 1 : ab_rng_between(r, 2, 3);
    s.sw = ab_rng_between(r, 0, 2) ? 1 : ab_rng_between(r, 2, 3);
    if (square && in.h >= 3 && in.w >= 3) { /* what Winograd takes */
        s.kh = s.kw = 3;
        s.sh = s.sw = s.dh = s.dw = s.pt = s.pl = s.pb = s.pr = 1;
    }
    const int kind = ab_rng_between(r, 0, 4);
    if (kind == 0) s.oc = (s.g = in.c) * ab_rng_between(r, 1, 2); /* depthwise */
    if (kind == 1 && in.c % 2 == 0) s.oc = (s.g = 2) * ab_rng_between(r, 2, 9);
    if (kind == 2 && in.c % 3 == 0) s.oc = (s.g = 3) * ab_rng_between(r, 2, 6);
    net_conv_shaped(d, s);
}

static void net_batchnorm(struct drawing *d)
{
    const int in = d->at;
    net_append(d, AB_NODE_BATCHNORM, &in, 1);
    net_settle(d);
    if (d->status) return;
    struct ab_node *node = &d->net->graph->nodes[d->at];
    node->wei_count = (size_t)node->dims.c;
    node->wei = net_alloc(d, node->wei_count);
    node->bias = net_alloc(d, node->wei_count);
    if (!node->wei || !node->bias) return;
    for (int i = 0; i < node->dims.c; i++) {
        node->wei[i] = (float)(1 + 0.3 * ab_rng_normal(&d->rng));
        node->bias[i] = d->net->biased ? (float)(0.2 * ab_rng_normal(&d->rng)) : 0.0f;
    }
    net_say(d, " bn");
}

/* In every third network about half of the ReLUs have a cap, low enough for some units to reach
 * it. */
static void net_relu(struct drawing *d)
{
    static const float caps[] = {0.5f, 1, 2};
    const int in = d->at;
    struct ab_node *node = net_append(d, AB_NODE_RELU, &in, 1);
    if (d->with_caps && ab_rng_between(&d->caps, 0, 1))
        node->cap = caps[ab_rng_between(&d->caps, 0, 2)];
    d->net->capped |= node->cap > 0;
    if (node->cap > 0)
        net_say(d, " relu(%g)", (double)node->cap);
    else
        net_say(d, " relu");
    net_settle(d);
    d->net->relus++;
}

static void net_pool(struct drawing *d)
{
    struct ab_rng *r = &d->rng;
    const int in = d->at, k = ab_rng_between(r, 2, 3);
    if (net_dims(d)->h < k || net_dims(d)->w < k) return;
    const bool average = ab_rng_between(r, 0, 2) == 0, ceil = ab_rng_between(r, 0, 1) == 1;
    struct ab_node *node = net_append(d, average ? AB_NODE_AVGPOOL : AB_NODE_MAXPOOL, &in, 1);
    struct ab_pool_shape *p = &node->pool;
    p->kh = p->kw = k;
    p->sh = p->sw = ab_rng_between(r, 1, 3);
    p->dh = p->dw = 1;
    p->pt = p->pl = p->pb = p->pr = ab_rng_between(r, 0, 2) ? 0 : 1;
    p->oh = p->ow = ceil ? -1 : 0;
    p->include_pad = ab_rng_between(r, 0, 1) == 1;
    d->net->averages |= average;
    net_say(d, " %s%d,s%d,p%d%s", average ? "avg" : "max", k, p->sh, p->pt, ceil ? ",ceil" : "");
    net_settle(d);
}

static void net_join(struct drawing *d, enum ab_node_kind kind, int u, int v)
{
    const int in[] = {u, v};
    net_append(d, kind, in, 2);
    net_settle(d);
    net_say(d, kind == AB_NODE_ADD ? " )add" : " )concat");
}

/* conv (bn) relu (conv) + shortcut, the shortcut a 1x1 where channels differ. */
static void net_residual(struct drawing *d)
{
    const int start = d->at, oc = ab_rng_between(&d->rng, 0, 1) ? net_dims(d)->c : 12;
    const struct ab_conv2d_shape three = {.g = 1,
                                          .oc = oc,
                                          .kh = 3,
                                          .kw = 3,
                                          .sh = 1,
                                          .sw = 1,
                                          .dh = 1,
                                          .dw = 1,
                                          .pt = 1,
                                          .pl = 1,
                                          .pb = 1,
                                          .pr = 1};
    const struct ab_conv2d_shape one = {
        .g = 1, .oc = oc, .kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    net_say(d, " (");
    net_conv_shaped(d, three);
    if (ab_rng_between(&d->rng, 0, 1)) net_batchnorm(d);
    if (ab_rng_between(&d->rng, 0, 1))
        net_relu(d);
    else
        d->net->gated = false;
    const int branch = d->at;
    d->at = start;
    if (net_dims(d)->c != oc) {
        net_conv_shaped(d, one);
        d->net->gated = false;
    }
    const int shortcut = d->at;
    net_join(d, AB_NODE_ADD, branch, shortcut);
    d->net->averages = true;
    if (ab_rng_between(&d->rng, 0, 3))
        net_relu(d);
    else
        d->net->gated = false;
}

/* Two branches that keep the image's size, one of them perhaps nothing at all. */
static void net_branch(struct drawing *d)
{
    const int start = d->at;
    const struct ab_conv2d_shape one = {.g = 1,
                                        .oc = ab_rng_between(&d->rng, 3, 9),
                                        .kh = 1,
                                        .kw = 1,
                                        .sh = 1,
                                        .sw = 1,
                                        .dh = 1,
                                        .dw = 1};
    net_say(d, " (");
    net_conv_shaped(d, one);
    net_relu(d);
    const int u = d->at;
    d->at = start;
    if (ab_rng_between(&d->rng, 0, 1)) {
        net_conv_shaped(d, one);
        net_relu(d);
    }
    net_join(d, AB_NODE_CONCAT, u, d->at);
}

static void net_block(struct drawing *d)
{
    const int kind = ab_rng_between(&d->rng, 0, d->plain ? 4 : 7);
    if (kind >= 6) {
        net_residual(d);
    } else if (kind == 5) {
        net_branch(d);
    } else if (kind == 4) {
        net_pool(d);
    } else {
        net_conv(d);
        if (ab_rng_between(&d->rng, 0, 3) == 0) net_batchnorm(d);
        if (d->plain || ab_rng_between(&d->rng, 0, 5))
            net_relu(d);
        else
            d->net->gated = false;
        if (ab_rng_between(&d->rng, 0, 2) == 0) net_pool(d);
    }
}

static void net_dense(struct drawing *d, int outputs)
{
    const int in = d->at, features = net_dims(d)->c;
    net_append(d, AB_NODE_DENSE, &in, 1)->dims.c = outputs;
    net_settle(d);
    net_weights(d, (size_t)features);
    net_say(d, " dense%d", outputs);
}

static void net_head(struct drawing *d)
{
    int in = d->at;
    const bool large = net_dims(d)->c * net_dims(d)->h * net_dims(d)->w > 1500;
    if (large || ab_rng_between(&d->rng, 0, 2) == 0) {
        net_append(d, AB_NODE_AVGPOOL, &in, 1);
        net_settle(d);
        d->net->averages = true;
        net_say(d, " gap");
    }
    in = d->at;
    net_append(d, AB_NODE_FLATTEN, &in, 1);
    net_settle(d);
    if (ab_rng_between(&d->rng, 0, 1)) {
        net_dense(d, ab_rng_between(&d->rng, 20, 40));
        net_relu(d);
    }
    net_dense(d, ab_rng_between(&d->rng, 2, 7));
}

/* Marks what the finished network is made of. */
static void net_mark(struct ab_random_net *net)
{
    for (int n = 0; n < net->graph->n_nodes; n++)
        if (net->graph->nodes[n].kind == AB_NODE_BATCHNORM) net->batchnorm = true;
}

static void net_draw(struct drawing *d, int blocks)
{
    struct ab_rng *r = &d->rng;
    struct ab_random_net *net = d->net;
    net->biased = ab_rng_between(r, 0, 1) == 1;
    net->positive = ab_rng_between(r, 0, 1) == 1;
    d->plain = ab_rng_between(r, 0, 1) == 1;
    struct ab_dims image;
    image.c = ab_rng_between(r, 1, 4);
    image.h = ab_rng_between(r, 6, 15);
    image.w = ab_rng_between(r, 6, 15);
    net_append(d, AB_NODE_INPUT, NULL, 0)->dims = image;
    net_settle(d);
    net_say(d, "%dx%dx%d%s%s:", net_dims(d)->c, net_dims(d)->h, net_dims(d)->w,
            net->biased ? " biased" : "", net->positive ? " positive" : "");
    net_conv(d);
    net_relu(d);
    const int drawn = ab_rng_between(r, 0, AB_NET_BLOCKS);
    for (int left = drawn < blocks ? drawn : blocks; left > 0; left--) net_block(d);
    net_head(d);
}

enum ab_status ab_random_net(uint64_t seed, uint64_t index, int blocks, struct ab_random_net *net,
                             struct ab_error *err)
{
    *net = (struct ab_random_net){.gated = true};
    struct drawing d = {.net = net,
                        .rng = ab_rng_new(seed, 0x6e6574 + index),
                        .caps = ab_rng_new(seed, 0x636170 + index),
                        .err = err,
                        .spare = {.dims = {1, 1, 1}}};
    d.with_caps = ab_rng_between(&d.caps, 0, 2) == 0;
    d.status = ab_graph_create("random", &net->graph, err);
    if (!d.status) net_draw(&d, blocks);
    if (!d.status) d.status = ab_graph_finish(net->graph, d.at, err);
    if (d.status)
        ab_graph_destroy(&net->graph);
    else
        net_mark(net);
    return d.status;
}
