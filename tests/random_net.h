// SPDX-License-Identifier: Apache-2.0
// Random small networks for property tests: every kind of layer, strides, pads, dilations, groups,
// overlapping and ceil-mode pools, residual sums, branches; drawn from one number.
#ifndef AB_TESTS_RANDOM_NET_H
#define AB_TESTS_RANDOM_NET_H

#include "model/infer.h"
#include "nets.h"

#include <stdarg.h>

struct random_net {
    struct ab_graph *graph;
    bool biased;    /* some linear layer or batch-norm adds a constant */
    bool gated;     /* every sum and every convolution is followed by a ReLU: no negative value
                       is shared or summed inside */
    bool batchnorm; /* one that cannot be folded */
    bool averages;  /* average pools or sums */
    bool positive;  /* the image has no negative pixel */
    int relus;
    char text[400]; /* what it is made of, for messages */
};

/* The state of drawing one: the node at the end so far, and what is decided for all layers. */
struct drawing {
    struct random_net *net;
    struct rng rng;
    struct ab_error err;
    int at, count;
    bool plain; /* no sums, branches or linear convolutions: see random_net.gated */
};

static inline const struct ab_dims *net_dims(const struct drawing *d)
{
    return &d->net->graph->nodes[d->at].dims;
}

__attribute__((format(printf, 2, 3))) static inline void net_say(struct drawing *d,
                                                                 const char *format, ...)
{
    const size_t used = strlen(d->net->text);
    va_list args;
    va_start(args, format);
    vsnprintf(d->net->text + used, sizeof d->net->text - used, format, args);
    va_end(args);
}

/* A node of its own name at the end; the caller fills it in and calls net_settle. */
static inline struct ab_node *net_append(struct drawing *d, enum ab_node_kind kind, const int *in,
                                         int n_in)
{
    char name[16];
    snprintf(name, sizeof name, "n%d", d->count++);
    struct ab_node *node = ab_graph_add(d->net->graph, kind, name, in, n_in);
    CHECK(node != NULL, "out of memory");
    return node;
}

static inline void net_settle(struct drawing *d)
{
    d->at = d->net->graph->n_nodes - 1;
    CHECK(!ab_infer_node(d->net->graph, d->at, &d->err), "%s: %s", d->net->text, d->err.text);
}

static inline void net_weights(struct drawing *d, size_t fan_in)
{
    struct ab_node *node = &d->net->graph->nodes[d->at];
    node->wei_count = (size_t)node->dims.c * fan_in;
    node->wei = ab_buffer_alloc(node->wei_count * sizeof(float));
    CHECK(node->wei != NULL, "out of memory");
    const double scale = sqrt(2.0 / (double)fan_in);
    for (size_t i = 0; i < node->wei_count; i++) {
        node->wei[i] = (float)(scale * rng_normal(&d->rng));
    }
    if (!d->net->biased || rng_between(&d->rng, 0, 3) == 0) return;
    node->bias = ab_buffer_alloc((size_t)node->dims.c * sizeof(float));
    CHECK(node->bias != NULL, "out of memory");
    for (int i = 0; i < node->dims.c; i++) node->bias[i] = (float)(0.2 * rng_normal(&d->rng));
}

/* The largest kernel in [1, most] whose dilated extent fits the padded image; it always holds a
 * tap inside. */
static inline int net_kernel(struct drawing *d, int most, int size, int dilation, int *before,
                             int *after)
{
    int k = rng_between(&d->rng, 1, most);
    while (k > 1 && (k - 1) * dilation + 1 > size) k--;
    const int reach = (k - 1) * dilation;
    *before = rng_between(&d->rng, 0, reach < 3 ? reach : 3);
    *after = rng_between(&d->rng, 0, reach < 3 ? reach : 3);
    return k;
}

static inline void net_conv_shaped(struct drawing *d, struct ab_conv2d_shape shape)
{
    const int in = d->at, ic = net_dims(d)->c;
    net_append(d, AB_NODE_CONV, &in, 1)->conv = shape;
    net_settle(d);
    net_weights(d, (size_t)(ic / shape.g) * (size_t)shape.kh * (size_t)shape.kw);
    net_say(d, " conv%d:k%dx%d,s%dx%d,d%dx%d,p%d/%d/%d/%d,g%d", shape.oc, shape.kh, shape.kw,
            shape.sh, shape.sw, shape.dh, shape.dw, shape.pt, shape.pl, shape.pb, shape.pr,
            shape.g);
}

static inline void net_conv(struct drawing *d)
{
    struct rng *r = &d->rng;
    const struct ab_dims in = *net_dims(d);
    struct ab_conv2d_shape s = {.g = 1, .oc = rng_between(r, 3, 21)};
    s.dh = rng_between(r, 0, 3) ? 1 : 2;
    s.dw = rng_between(r, 0, 3) ? 1 : 2;
    const bool square = rng_between(r, 0, 2) == 0;
    s.kh = net_kernel(d, 5, in.h, s.dh, &s.pt, &s.pb);
    s.kw = net_kernel(d, 5, in.w, s.dw, &s.pl, &s.pr);
    s.sh = rng_between(r, 0, 2) ? 1 : rng_between(r, 2, 3);
    s.sw = rng_between(r, 0, 2) ? 1 : rng_between(r, 2, 3);
    if (square && in.h >= 3 && in.w >= 3) { /* what Winograd takes */
        s.kh = s.kw = 3;
        s.sh = s.sw = s.dh = s.dw = s.pt = s.pl = s.pb = s.pr = 1;
    }
    const int kind = rng_between(r, 0, 4);
    if (kind == 0) s.oc = (s.g = in.c) * rng_between(r, 1, 2); /* depthwise */
    if (kind == 1 && in.c % 2 == 0) s.oc = (s.g = 2) * rng_between(r, 2, 9);
    if (kind == 2 && in.c % 3 == 0) s.oc = (s.g = 3) * rng_between(r, 2, 6);
    net_conv_shaped(d, s);
}

static inline void net_batchnorm(struct drawing *d)
{
    const int in = d->at;
    net_append(d, AB_NODE_BATCHNORM, &in, 1);
    net_settle(d);
    struct ab_node *node = &d->net->graph->nodes[d->at];
    node->wei_count = (size_t)node->dims.c;
    node->wei = ab_buffer_alloc(node->wei_count * sizeof(float));
    node->bias = ab_buffer_alloc(node->wei_count * sizeof(float));
    CHECK(node->wei && node->bias, "out of memory");
    for (int i = 0; i < node->dims.c; i++) {
        node->wei[i] = (float)(1 + 0.3 * rng_normal(&d->rng));
        node->bias[i] = d->net->biased ? (float)(0.2 * rng_normal(&d->rng)) : 0.0f;
    }
    net_say(d, " bn");
}

static inline void net_relu(struct drawing *d)
{
    const int in = d->at;
    net_append(d, AB_NODE_RELU, &in, 1);
    net_settle(d);
    d->net->relus++;
    net_say(d, " relu");
}

static inline void net_pool(struct drawing *d)
{
    struct rng *r = &d->rng;
    const int in = d->at, k = rng_between(r, 2, 3);
    if (net_dims(d)->h < k || net_dims(d)->w < k) return;
    const bool average = rng_between(r, 0, 2) == 0, ceil = rng_between(r, 0, 1) == 1;
    struct ab_node *node = net_append(d, average ? AB_NODE_AVGPOOL : AB_NODE_MAXPOOL, &in, 1);
    struct ab_pool_shape *p = &node->pool;
    p->kh = p->kw = k;
    p->sh = p->sw = rng_between(r, 1, 3);
    p->dh = p->dw = 1;
    p->pt = p->pl = p->pb = p->pr = rng_between(r, 0, 2) ? 0 : 1;
    p->oh = p->ow = ceil ? -1 : 0;
    p->include_pad = rng_between(r, 0, 1) == 1;
    d->net->averages |= average;
    net_say(d, " %s%d,s%d,p%d%s", average ? "avg" : "max", k, p->sh, p->pt, ceil ? ",ceil" : "");
    net_settle(d);
}

static inline void net_join(struct drawing *d, enum ab_node_kind kind, int u, int v)
{
    const int in[] = {u, v};
    net_append(d, kind, in, 2);
    net_settle(d);
    net_say(d, kind == AB_NODE_ADD ? " )add" : " )concat");
}

/* conv (bn) relu (conv) + shortcut, the shortcut a 1x1 where channels differ. */
static inline void net_residual(struct drawing *d)
{
    const int start = d->at, oc = rng_between(&d->rng, 0, 1) ? net_dims(d)->c : 12;
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
    if (rng_between(&d->rng, 0, 1)) net_batchnorm(d);
    if (rng_between(&d->rng, 0, 1))
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
    if (rng_between(&d->rng, 0, 3))
        net_relu(d);
    else
        d->net->gated = false;
}

/* Two branches that keep the image's size, one of them perhaps nothing at all. */
static inline void net_branch(struct drawing *d)
{
    const int start = d->at;
    const struct ab_conv2d_shape one = {.g = 1,
                                        .oc = rng_between(&d->rng, 3, 9),
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
    if (rng_between(&d->rng, 0, 1)) {
        net_conv_shaped(d, one);
        net_relu(d);
    }
    net_join(d, AB_NODE_CONCAT, u, d->at);
}

static inline void net_block(struct drawing *d)
{
    const int kind = rng_between(&d->rng, 0, d->plain ? 4 : 7);
    if (kind >= 6) {
        net_residual(d);
    } else if (kind == 5) {
        net_branch(d);
    } else if (kind == 4) {
        net_pool(d);
    } else {
        net_conv(d);
        if (rng_between(&d->rng, 0, 3) == 0) net_batchnorm(d);
        if (d->plain || rng_between(&d->rng, 0, 5))
            net_relu(d);
        else
            d->net->gated = false;
        if (rng_between(&d->rng, 0, 2) == 0) net_pool(d);
    }
}

static inline void net_dense(struct drawing *d, int outputs)
{
    const int in = d->at, features = net_dims(d)->c;
    net_append(d, AB_NODE_DENSE, &in, 1)->dims.c = outputs;
    net_settle(d);
    net_weights(d, (size_t)features);
    net_say(d, " dense%d", outputs);
}

static inline void net_head(struct drawing *d)
{
    int in = d->at;
    const bool large = net_dims(d)->c * net_dims(d)->h * net_dims(d)->w > 1500;
    if (large || rng_between(&d->rng, 0, 2) == 0) {
        net_append(d, AB_NODE_AVGPOOL, &in, 1);
        net_settle(d);
        d->net->averages = true;
        net_say(d, " gap");
    }
    in = d->at;
    net_append(d, AB_NODE_FLATTEN, &in, 1);
    net_settle(d);
    if (rng_between(&d->rng, 0, 1)) {
        net_dense(d, rng_between(&d->rng, 20, 40));
        net_relu(d);
    }
    net_dense(d, rng_between(&d->rng, 2, 7));
}

/* Network number `index` of the test seed. */
static inline struct random_net random_net(uint64_t index)
{
    struct random_net net = {.gated = true};
    struct drawing d = {.net = &net, .rng = rng_new(0x6e6574 + index)};
    struct rng *r = &d.rng;
    net.biased = rng_between(r, 0, 1) == 1;
    net.positive = rng_between(r, 0, 1) == 1;
    d.plain = rng_between(r, 0, 1) == 1;
    CHECK(!ab_graph_create("random", &net.graph, &d.err), "%s", d.err.text);
    net_append(&d, AB_NODE_INPUT, NULL, 0)->dims =
        (struct ab_dims){rng_between(r, 1, 4), rng_between(r, 6, 15), rng_between(r, 6, 15)};
    net_settle(&d);
    net_say(&d, "%dx%dx%d%s%s:", net_dims(&d)->c, net_dims(&d)->h, net_dims(&d)->w,
            net.biased ? " biased" : "", net.positive ? " positive" : "");
    net_conv(&d);
    net_relu(&d);
    for (int left = rng_between(r, 0, 3); left > 0; left--) net_block(&d);
    net_head(&d);
    CHECK(!ab_graph_finish(net.graph, d.at, &d.err), "%s: %s", net.text, d.err.text);
    for (int n = 0; n < net.graph->n_nodes; n++) {
        if (net.graph->nodes[n].kind == AB_NODE_BATCHNORM) net.batchnorm = true;
    }
    return net;
}

#endif
