// SPDX-License-Identifier: Apache-2.0
// From a graph and methods to a program: one forward pass, then each method's walk from the logits,
// or from a layer inside, back to the image.
//
// Signals are kept per node: signal[n] is the value of R at the output of node n. `vanishes[n]`
// says that R is 0 wherever that output's activation is 0 (it was made by a product with it). Where
// such a signal comes out of a ReLU's backward pass, the layer before may divide by the ReLU's
// output instead of z: they are equal wherever R is not 0. So z of conv + ReLU pairs is never
// needed again and the pair stays one fused step.
#include "plan/maps.h"

#include <stdlib.h>
#include <string.h>

static bool is_linear(const struct ab_node *node)
{
    return node->kind == AB_NODE_CONV || node->kind == AB_NODE_DENSE;
}

static struct ab_step node_step(enum ab_op op, int node, int x)
{
    struct ab_step s = ab_step_new(op);
    s.node = node;
    s.x = x;
    return s;
}

static int concat(struct ab_lowering *l, int n)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    struct ab_step s = node_step(AB_OP_CONCAT, n, -1);
    s.list = malloc(sizeof *s.list * (size_t)node->n_in);
    if (!s.list) {
        l->w.failed = true;
        return -1;
    }
    s.n_list = node->n_in;
    for (int i = 0; i < node->n_in; i++) s.list[i] = l->fwd[node->in[i]];
    return ab_emit(&l->w, s, node->dims, node->vector);
}

/* The sum of two or more inputs, left to right. */
static int add(struct ab_lowering *l, int n)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    int sum = l->fwd[node->in[0]];
    for (int i = 1; i < node->n_in; i++) {
        sum = ab_pointwise(l, AB_PW_ADD, sum, l->fwd[node->in[i]], -1);
    }
    return sum;
}

int ab_forward_value(struct ab_lowering *l, int n)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    const int x = node->n_in ? l->fwd[node->in[0]] : -1;
    struct ab_step s;
    switch (node->kind) {
    case AB_NODE_INPUT:
        return ab_emit(&l->w, node_step(AB_OP_INPUT, n, -1), node->dims, node->vector);
    case AB_NODE_CONV:
    case AB_NODE_DENSE: return ab_linear(l, n, AB_FWD, AB_W_ALL, AB_B_ALL, x, -1);
    case AB_NODE_RELU:
        return node->cap > 0 ? ab_capped(l, AB_PW_CAP, node->cap, x, -1)
                             : ab_pointwise(l, AB_PW_RELU, x, -1, -1);
    case AB_NODE_MAXPOOL: return ab_emit(&l->w, node_step(AB_OP_MAXPOOL, n, x), node->dims, false);
    case AB_NODE_AVGPOOL: return ab_emit(&l->w, node_step(AB_OP_AVGPOOL, n, x), node->dims, false);
    case AB_NODE_BATCHNORM:
        s = node_step(AB_OP_POINTWISE, n, x);
        s.kind = AB_PW_AFFINE;
        return ab_emit(&l->w, s, node->dims, node->vector);
    case AB_NODE_ADD: return add(l, n);
    case AB_NODE_CONCAT: return concat(l, n);
    case AB_NODE_FLATTEN:
        if (l->w.graph->nodes[node->in[0]].vector) return x;
        return ab_emit(&l->w, node_step(AB_OP_FLATTEN, n, x), node->dims, true);
    case AB_NODE_PAD: return ab_emit(&l->w, node_step(AB_OP_PAD, n, x), node->dims, false);
    case AB_NODE_KIND_COUNT: break;
    }
    return -1;
}

static void describe(struct ab_lowering *l, int value, int n, enum ab_decision decision)
{
    struct ab_value *v = &l->w.program->values[value];
    v->node = n;
    v->nonneg = l->w.graph->nodes[n].nonneg;
    v->decision = decision;
}

/* Relevance of a unit at its cap is divided by its whole sum. The cap is then put upon that very
 * value, so that whoever replaces a sum replaces what is made of it too. */
static int forward_relu(struct ab_lowering *l, int n)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    if (node->cap <= 0 || !l->relevance) return ab_forward_value(l, n);
    const int v = l->uncapped[n] = ab_pointwise(l, AB_PW_RELU, l->fwd[node->in[0]], -1, -1);
    if (l->w.failed) return -1;
    describe(l, v, n, AB_DECIDE_RELU);
    return ab_capped(l, AB_PW_CAP, node->cap, v, -1);
}

static enum ab_decision decision_of(const struct ab_node *node)
{
    if (node->kind != AB_NODE_RELU) return AB_DECIDE_NOTHING;
    return node->cap > 0 ? AB_DECIDE_CAP : AB_DECIDE_RELU;
}

static void forward(struct ab_lowering *l)
{
    struct ab_program *p = l->w.program;
    for (int n = 0; n < l->w.graph->n_nodes; n++) {
        const struct ab_node *node = &l->w.graph->nodes[n];
        l->fwd[n] = l->uncapped[n] = -1;
        if (!l->needed[n]) continue;
        const bool relu = node->kind == AB_NODE_RELU;
        const int v = l->fwd[n] = relu ? forward_relu(l, n) : ab_forward_value(l, n);
        if (l->w.failed) return;
        describe(l, v, n, decision_of(node));
    }
    p->logits = l->fwd[l->walk.from];
    if (l->walk.keep) memcpy(p->activations, l->fwd, sizeof *l->fwd * (size_t)p->n_nodes);
}

/* ---- walking back ---- */

void ab_send(struct ab_lowering *l, int node, int signal, bool vanishes)
{
    if (l->signal[node] < 0) {
        l->signal[node] = signal;
        l->vanishes[node] = vanishes;
        return;
    }
    l->signal[node] = ab_pointwise(l, AB_PW_ADD, l->signal[node], signal, -1);
    l->vanishes[node] = l->vanishes[node] && vanishes;
}

int ab_denominator(const struct ab_lowering *l, int n)
{
    const int relu = l->sole_consumer[n];
    const bool through_relu = relu >= 0 && l->w.graph->nodes[relu].kind == AB_NODE_RELU;
    if (!through_relu || !l->vanishes[n]) return l->fwd[n];
    if (l->w.graph->nodes[relu].cap <= 0) return l->fwd[relu];
    return l->uncapped[relu] >= 0 ? l->uncapped[relu] : l->fwd[n];
}

/* RectGrad's proportional redistribution: a avgpool^T(R / (avgpool(a) + 1e-10)) over the windows of
 * the max-pool. */
static void back_maxpool_shared(struct ab_lowering *l, int n, int r)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    const int in = node->in[0];
    const int mean = ab_emit(&l->w, node_step(AB_OP_AVGPOOL, n, l->fwd[in]), node->dims, false);
    struct ab_step s = node_step(AB_OP_AVGPOOL, n, ab_divide(l, r, mean, 1e-10f, 1));
    s.pass = AB_BWD;
    const int spread = ab_emit(&l->w, s, l->w.graph->nodes[in].dims, false);
    ab_send(l, in, ab_pointwise(l, AB_PW_MUL, spread, l->fwd[in], -1), true);
}

/* A padded convolution whose output is as large as its input, but for the stride ("SAME"). */
static bool keeps_size(const struct ab_node *node)
{
    const struct ab_conv2d_shape *c = &node->conv;
    return node->kind == AB_NODE_CONV && (c->pt | c->pb | c->pl | c->pr) &&
           c->oh == (c->ih + c->sh - 1) / c->sh && c->ow == (c->iw + c->sw - 1) / c->sw;
}

/* R without its outermost pixels. */
static int clear_frame(struct ab_lowering *l, int n, int r)
{
    struct ab_step s = ab_step_new(AB_OP_HOST);
    s.host = AB_HOST_FRAME;
    s.x = r;
    return ab_emit(&l->w, s, l->w.graph->nodes[n].dims, false);
}

static void back_maxpool(struct ab_lowering *l, int n, int r)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    struct ab_step s = node_step(AB_OP_MAXPOOL, n, r);
    s.pass = AB_BWD;
    s.switches = ab_emit_switches(&l->w, l->fwd[n]);
    const int in = node->in[0];
    ab_send(l, in, ab_emit(&l->w, s, l->w.graph->nodes[in].dims, false), l->vanishes[n]);
}

static void back_avgpool(struct ab_lowering *l, int n, int r)
{
    const int in = l->w.graph->nodes[n].in[0];
    const struct ab_composite *c = &l->method->composite;
    const bool share = c->relevance && !c->spread_pool;
    if (share) r = ab_divide(l, r, l->fwd[n], c->norm_eps, 1);
    struct ab_step s = node_step(AB_OP_AVGPOOL, n, r);
    s.pass = AB_BWD;
    r = ab_emit(&l->w, s, l->w.graph->nodes[in].dims, false);
    if (share) r = ab_pointwise(l, AB_PW_MUL, r, l->fwd[in], -1);
    ab_send(l, in, r, share);
}

static void back_add(struct ab_lowering *l, int n, int r)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    const struct ab_composite *c = &l->method->composite;
    const bool share = c->relevance && !c->copy_add;
    if (share) r = ab_divide(l, r, ab_denominator(l, n), c->norm_eps, 1);
    for (int i = 0; i < node->n_in; i++) {
        const int in = node->in[i];
        const int part = share ? ab_pointwise(l, AB_PW_MUL, r, l->fwd[in], -1) : r;
        ab_send(l, in, part, share);
    }
}

static void back_concat(struct ab_lowering *l, int n, int r)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    int channel = 0;
    for (int i = 0; i < node->n_in; i++) {
        const struct ab_node *in = &l->w.graph->nodes[node->in[i]];
        struct ab_step s = node_step(AB_OP_SLICE, n, r);
        s.channel = channel;
        channel += in->dims.c;
        ab_send(l, node->in[i], ab_emit(&l->w, s, in->dims, in->vector), l->vanishes[n]);
    }
}

/* FLATTEN and PAD: the inverse index map. */
static void back_view(struct ab_lowering *l, int n, int r, enum ab_op op)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    const struct ab_node *in = &l->w.graph->nodes[node->in[0]];
    if (op == AB_OP_PAD || !in->vector) {
        struct ab_step s = node_step(op, n, r);
        s.pass = AB_BWD;
        r = ab_emit(&l->w, s, in->dims, in->vector);
    }
    ab_send(l, node->in[0], r, l->vanishes[n]);
}

static enum ab_status back_batchnorm(struct ab_lowering *l, int n, int r, struct ab_error *err)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    if (l->method->composite.relevance && !l->method->composite.unknown_pass) {
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "method %s has no rule for layer '%.80s' (batch-norm that follows no linear "
                       "layer, so it "
                       "cannot be folded); add unknown=pass to let relevance pass it unchanged",
                       l->method->desc->name, node->name);
    }
    if (!l->method->composite.relevance) {
        struct ab_step s = node_step(AB_OP_POINTWISE, n, r);
        s.kind = AB_PW_AFFINE;
        s.pass = AB_BWD;
        r = ab_emit(&l->w, s, node->dims, node->vector);
    }
    ab_send(l, node->in[0], r, false);
    return AB_OK;
}

enum ab_status ab_back_node(struct ab_lowering *l, int n, int r, struct ab_error *err)
{
    const struct ab_composite *c = &l->method->composite;
    switch (l->w.graph->nodes[n].kind) {
    case AB_NODE_CONV:
    case AB_NODE_DENSE:
        if (c->pad_trick && keeps_size(&l->w.graph->nodes[n])) r = clear_frame(l, n, r);
        ab_back_linear(l, n, r);
        break;
    case AB_NODE_RELU: ab_back_relu(l, n, r); break;
    case AB_NODE_MAXPOOL:
        if (c->prr)
            back_maxpool_shared(l, n, r);
        else
            back_maxpool(l, n, r);
        break;
    case AB_NODE_AVGPOOL: back_avgpool(l, n, r); break;
    case AB_NODE_BATCHNORM: return back_batchnorm(l, n, r, err);
    case AB_NODE_ADD: back_add(l, n, r); break;
    case AB_NODE_CONCAT: back_concat(l, n, r); break;
    case AB_NODE_FLATTEN: back_view(l, n, r, AB_OP_FLATTEN); break;
    case AB_NODE_PAD: back_view(l, n, r, AB_OP_PAD); break;
    case AB_NODE_INPUT:
    case AB_NODE_KIND_COUNT: break;
    }
    return AB_OK;
}

static int seed(struct ab_lowering *l)
{
    struct ab_step s = ab_step_new(AB_OP_SEED);
    s.x = l->w.program->logits;
    s.seed = l->method->composite.seed;
    s.rival = l->method->composite.rival;
    s.target = l->target;
    return ab_emit(&l->w, s, l->w.graph->nodes[l->walk.from].dims, true);
}

/* The caller's signal. */
static int given(struct ab_lowering *l)
{
    const struct ab_node *node = &l->w.graph->nodes[l->walk.from];
    struct ab_step s = ab_step_new(AB_OP_SIGNAL);
    s.channel = l->target;
    return ab_emit(&l->w, s, node->dims, node->vector);
}

/* A logit's own value is 0 where the logit is; what else is injected need not be. */
static bool seed_vanishes(const struct ab_lowering *l)
{
    const enum ab_seed seed = l->method->composite.seed;
    return !l->walk.signals && (seed == AB_SEED_LOGIT || seed == AB_SEED_LOGIT_POS);
}

/* Marks the nodes through which a signal can reach `stop`. */
static void find_ways(struct ab_lowering *l, int stop)
{
    const struct ab_graph *g = l->w.graph;
    for (int n = 0; n < g->n_nodes; n++) {
        l->signal[n] = -1;
        l->leads[n] = n == stop;
        for (int i = 0; i < g->nodes[n].n_in; i++)
            if (l->leads[g->nodes[n].in[i]]) l->leads[n] = true;
    }
}

enum ab_status ab_walk_back(struct ab_lowering *l, enum ab_relu_rule relu, int stop, int *signal,
                            struct ab_error *err)
{
    const struct ab_graph *g = l->w.graph;
    const bool two_points = l->method->composite.lift != AB_LIFT_NONE;
    l->relu = relu;
    find_ways(l, stop);
    if (!l->leads[l->walk.from])
        return ab_fail(err, AB_ERR_ARG, "method %s: no signal from '%.80s' reaches layer '%.80s'",
                       l->method->desc->name, g->nodes[l->walk.from].name, g->nodes[stop].name);
    enum ab_status status = two_points ? ab_two_point_begin(l, err) : AB_OK;
    if (status || l->w.failed) return status;
    ab_send(l, l->walk.from, l->walk.signals ? given(l) : seed(l), seed_vanishes(l));
    for (int n = g->n_nodes - 1; n > stop && !l->w.failed; n--) {
        if (l->signal[n] < 0 || !l->leads[n]) continue;
        status = (two_points ? ab_two_point_back : ab_back_node)(l, n, l->signal[n], err);
        if (status) return status;
    }
    *signal = l->signal[stop];
    return AB_OK;
}

/* The current method's walk number `target`, whose map is number m. */
static enum ab_status backward(struct ab_lowering *l, int m, struct ab_error *err)
{
    const struct ab_graph *g = l->w.graph;
    int map = -1;
    find_ways(l, 0); /* methods that do not walk leave no signals */
    const enum ab_status status = ab_make_map(l, &map, err);
    if (status || l->w.failed) return status;
    if (l->walk.keep)
        memcpy(l->w.program->signals + (size_t)m * (size_t)g->n_nodes, l->signal,
               sizeof *l->signal * (size_t)g->n_nodes);
    struct ab_step out = ab_step_new(AB_OP_OUTPUT);
    out.x = map;
    out.map = m;
    ab_emit(&l->w, out, l->w.program->values[map].dims, l->w.program->values[map].vector);
    l->w.program->outputs[m] = map;
    return AB_OK;
}

/* Guided methods on a network without ReLU would silently be the gradient. */
static enum ab_status check_relus(const struct ab_graph *g, const struct ab_method *method,
                                  struct ab_error *err)
{
    const enum ab_relu_rule rule = method->composite.relu;
    if (rule == AB_RELU_GRADIENT || rule == AB_RELU_PASS) return AB_OK;
    for (int n = 0; n < g->n_nodes; n++) {
        if (g->nodes[n].kind == AB_NODE_RELU) return AB_OK;
    }
    return ab_fail(err, AB_ERR_UNSUPPORTED,
                   "method %s changes the backward pass of ReLUs, but model '%.80s' has none; use "
                   "gradient",
                   method->desc->name, g->name);
}

/* Methods that sample or look at no class walk back from no given signal and leave none behind. */
static enum ab_status check_inside(const struct ab_lowering *l, struct ab_error *err)
{
    const struct ab_composite *c = &l->method->composite;
    if (!l->walk.signals && !l->walk.keep) return AB_OK;
    if (c->map == AB_MAP_SIGNAL && c->sampling.kind == AB_SAMPLE_NOT) return AB_OK;
    return ab_fail(err, AB_ERR_ARG,
                   "method %s has no signal inside the network to look at; leave it out",
                   l->method->desc->name);
}

static enum ab_status check_rival(const struct ab_graph *g, const struct ab_method *method,
                                  struct ab_error *err)
{
    const int classes = g->nodes[g->output].dims.c, rival = method->composite.rival;
    if (rival <= classes && (method->composite.seed != AB_SEED_CONTRAST || classes > 1))
        return AB_OK;
    if (classes == 1)
        return ab_fail(err, AB_ERR_ARG,
                       "method %s: model '%.80s' has one class, so seed=contrast has none to set "
                       "against it",
                       method->desc->name, g->name);
    return ab_fail(err, AB_ERR_ARG,
                   "method %s: against=%d, but model '%.80s' has classes 0 to %d; give one of "
                   "these or next",
                   method->desc->name, rival - 1, g->name, classes - 1);
}

static enum ab_status lower_method(struct ab_lowering *l, int m, struct ab_error *err)
{
    const int walks = l->w.program->targets;
    enum ab_status status = check_relus(l->w.graph, l->method, err);
    if (!status) status = check_inside(l, err);
    if (!status) status = ab_check_choice(l, err);
    if (!status && !l->walk.signals) status = check_rival(l->w.graph, l->method, err);
    for (l->target = 0; l->target < walks && !status && !l->w.failed; l->target++)
        status = backward(l, m * walks + l->target, err);
    return status;
}

/* What later questions need: first and last linear layers, the only reader of each node, and what
 * the walk's beginning reads. */
static void survey(struct ab_lowering *l)
{
    const struct ab_graph *g = l->w.graph;
    for (int n = 0; n < g->n_nodes; n++) {
        l->sole_consumer[n] = -1;
        l->below_linear[n] = false;
        for (int i = 0; i < g->nodes[n].n_in; i++) {
            const int in = g->nodes[n].in[i];
            l->sole_consumer[in] = l->sole_consumer[in] == -1 ? n : -2;
            if (l->below_linear[in] || is_linear(&g->nodes[in])) l->below_linear[n] = true;
        }
    }
    l->needed[l->walk.from] = true;
    for (int n = l->walk.from; n >= 0; n--)
        for (int i = 0; l->needed[n] && i < g->nodes[n].n_in; i++)
            l->needed[g->nodes[n].in[i]] = true;
    for (int n = g->n_nodes - 1; n >= 0; n--) {
        for (int i = 0; i < g->nodes[n].n_in; i++)
            if (l->above_linear[n] || is_linear(&g->nodes[n]))
                l->above_linear[g->nodes[n].in[i]] = true;
    }
}

static bool open_kept(struct ab_program *p, int n_nodes)
{
    p->n_nodes = n_nodes;
    p->activations = malloc(sizeof *p->activations * (size_t)n_nodes);
    p->signals = malloc(sizeof *p->signals * (size_t)n_nodes * (size_t)(p->n_outputs + 1));
    return p->activations && p->signals;
}

static bool open_lowering(struct ab_lowering *l, const struct ab_graph *graph)
{
    const size_t n = (size_t)graph->n_nodes;
    l->fwd = malloc(sizeof *l->fwd * n);
    l->uncapped = malloc(sizeof *l->uncapped * n);
    l->signal = malloc(sizeof *l->signal * n);
    l->sole_consumer = malloc(sizeof *l->sole_consumer * n);
    l->ref = malloc(sizeof *l->ref * n);
    l->split = malloc(sizeof *l->split * n);
    l->magnitude = malloc(sizeof *l->magnitude * n);
    l->vanishes = calloc(n, sizeof *l->vanishes);
    l->below_linear = calloc(n, sizeof *l->below_linear);
    l->needed = calloc(n, sizeof *l->needed);
    l->leads = calloc(n, sizeof *l->leads);
    const size_t maps = (size_t)l->w.program->n_outputs;
    l->w.program->outputs = calloc(maps + 1, sizeof *l->w.program->outputs);
    if (l->walk.keep && !open_kept(l->w.program, graph->n_nodes)) return false;
    l->above_linear = calloc(n, sizeof *l->above_linear);
    return l->fwd && l->uncapped && l->signal && l->sole_consumer && l->ref && l->split &&
           l->magnitude && l->vanishes && l->below_linear && l->above_linear && l->needed &&
           l->leads && l->w.program->outputs;
}

static void close_lowering(struct ab_lowering *l)
{
    free(l->fwd);
    free(l->uncapped);
    free(l->signal);
    free(l->sole_consumer);
    free(l->ref);
    free(l->split);
    free(l->magnitude);
    free(l->vanishes);
    free(l->below_linear);
    free(l->needed);
    free(l->leads);
    free(l->above_linear);
}

enum ab_status ab_lower(const struct ab_graph *graph, const struct ab_method *const *methods,
                        int n_methods, const struct ab_walk *walk, struct ab_program *program,
                        struct ab_error *err)
{
    struct ab_lowering l = {.w = {.graph = graph, .program = program}, .guard = -1, .rest = -1};
    if (walk) l.walk = *walk;
    if (!l.walk.signals) l.walk.from = graph->output;
    if (!l.walk.targets) l.walk.targets = 1;
    for (int m = 0; m < n_methods; m++) l.relevance |= methods[m]->composite.relevance;
    const int walks = l.walk.signals ? l.walk.signals : l.walk.targets;
    *program = (struct ab_program){.targets = walks, .n_outputs = n_methods * walks};
    enum ab_status status = AB_OK;
    if (open_lowering(&l, graph)) {
        survey(&l);
        forward(&l);
        for (int m = 0; m < n_methods && !status && !l.w.failed; m++) {
            l.method = methods[m];
            status = lower_method(&l, m, err);
        }
    } else {
        l.w.failed = true;
    }
    if (!status && l.w.failed)
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for the plan's program");
    close_lowering(&l);
    if (status)
        ab_program_free(program);
    else
        ab_program_liveness(program);
    return status;
}
