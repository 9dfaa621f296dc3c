// SPDX-License-Identifier: Apache-2.0
// DeepLIFT: the walk back between two forward passes, of the image and of a reference input.
//
// Signals are multipliers m: of a value's difference from the reference, m times that is the
// contribution. Whatever is linear takes them as it takes gradients. A ReLU scales them by the
// slope between its two inputs, a max-pool hands each window's difference to whichever of the two
// winners is larger. Neither slope leaves [0, 1], so multipliers never blow up, and what goes in
// comes out: contributions sum to the logit's difference exactly.
//
// RevealCancel splits a difference D at a ReLU's input into the sums of positive and of negative
// contributions, C+ and C-, and gives each its own multiplier, M+ and M-. With P = C+ - C-, the sum
// of magnitudes, C+- = (D +- P) / 2; so a linear layer needs |W| once each way beside W. The walk
// keeps S = (M+ + M-) / 2 as the signal and (M+ - M-) / 2 as the `split`, which ends at the next
// node whose output is not a sum of contributions any more: there the sign of its own difference
// chooses S + split or S - split.
#include "plan/rules.h"

#include <stdlib.h>
#include <string.h>

/* ---- the reference input and its forward pass ---- */

static enum ab_status reference_input(struct ab_lowering *l, int n, int *value,
                                      struct ab_error *err)
{
    const struct ab_composite *c = &l->method->composite;
    const struct ab_node *node = &l->w.graph->nodes[n];
    struct ab_step s = ab_step_new(c->n_baseline ? AB_OP_FILL : AB_OP_BASELINE);
    if (c->n_baseline > 1 && c->n_baseline != node->dims.c)
        return ab_fail(err, AB_ERR_ARG,
                       "method %s: baseline has %d values, but the model's images have %d "
                       "channels; give one value, or one per channel",
                       l->method->desc->name, c->n_baseline, node->dims.c);
    s.n_fill = c->n_baseline;
    memcpy(s.fill, c->baseline, sizeof *s.fill * (size_t)c->n_baseline);
    *value = ab_emit(&l->w, s, node->dims, node->vector);
    return AB_OK;
}

/* A constant input makes the whole pass constant: computed once, when the plan is made. Its maps
 * are flat but for their borders, so that pools meet ties everywhere, which Winograd's rounding
 * would break at random: hence plain sums. */
enum ab_status ab_two_point_begin(struct ab_lowering *l, struct ab_error *err)
{
    const struct ab_graph *g = l->w.graph;
    int *const image = l->fwd;
    l->direct = l->method->composite.n_baseline > 0;
    l->fwd = l->ref;
    enum ab_status status = AB_OK;
    for (int n = 0; n < g->n_nodes && !l->w.failed && !status; n++) {
        l->ref[n] = l->split[n] = l->magnitude[n] = -1;
        if (!l->needed[n]) continue;
        if (g->nodes[n].kind == AB_NODE_INPUT)
            status = reference_input(l, n, &l->ref[n], err);
        else
            l->ref[n] = ab_forward_value(l, n);
        if (!status && !l->w.failed) l->w.program->values[l->ref[n]].nonneg = g->nodes[n].nonneg;
    }
    l->fwd = image;
    l->direct = false;
    return status;
}

static int difference(struct ab_lowering *l, int n)
{
    return ab_pointwise(l, AB_PW_SUB, l->fwd[n], l->ref[n], -1);
}

/* ---- parts ---- */

static bool is_linear(const struct ab_node *node)
{
    return node->kind == AB_NODE_CONV || node->kind == AB_NODE_DENSE;
}

/* Nodes that hand contributions of either sign on as they are. */
static bool keeps_parts(const struct ab_node *node)
{
    return node->kind == AB_NODE_ADD || node->kind == AB_NODE_CONCAT ||
           node->kind == AB_NODE_FLATTEN || node->kind == AB_NODE_PAD ||
           node->kind == AB_NODE_AVGPOOL;
}

/* Whether node n's difference is a sum of contributions of either sign. */
static bool has_parts(const struct ab_lowering *l, int n)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    if (is_linear(node)) return true;
    for (int i = 0; keeps_parts(node) && i < node->n_in; i++)
        if (has_parts(l, node->in[i])) return true;
    return false;
}

/* P at node n: the sum of the magnitudes of the contributions that make up its difference. */
static int magnitude(struct ab_lowering *l, int n)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    if (l->w.failed || l->magnitude[n] >= 0) return l->magnitude[n];
    if (is_linear(node)) {
        const int in = ab_pointwise(l, AB_PW_ABS, difference(l, node->in[0]), -1, -1);
        l->magnitude[n] = ab_linear(l, n, AB_FWD, AB_W_ABS, AB_B_NONE, in, -1);
    } else if (keeps_parts(node)) {
        int *const image = l->fwd;
        for (int i = 0; i < node->n_in; i++) magnitude(l, node->in[i]);
        l->fwd = l->magnitude;
        if (!l->w.failed) l->magnitude[n] = ab_forward_value(l, n);
        l->fwd = image;
    } else {
        l->magnitude[n] = ab_pointwise(l, AB_PW_ABS, difference(l, n), -1, -1);
    }
    return l->magnitude[n];
}

/* x times the sign of node n's difference */
static int signed_by(struct ab_lowering *l, int n, int x)
{
    const int below = ab_pointwise(l, AB_PW_SUB, l->ref[n], l->fwd[n], -1);
    return ab_pointwise(l, AB_PW_SUB, ab_pointwise(l, AB_PW_GATE, x, difference(l, n), -1),
                        ab_pointwise(l, AB_PW_GATE, x, below, -1), -1);
}

/* The multiplier of node n's whole difference. */
static int joined(struct ab_lowering *l, int n, int r)
{
    if (l->split[n] < 0) return r;
    return ab_pointwise(l, AB_PW_ADD, r, signed_by(l, n, l->split[n]), -1);
}

static void send_split(struct ab_lowering *l, int n, int value)
{
    int *const signal = l->signal;
    l->signal = l->split;
    ab_send(l, n, value, false);
    l->signal = signal;
}

/* ---- layers ---- */

/* m times the slope of ReLU n between inputs a and z. A cap is one more ReLU, upside down:
 * min(v, cap) = cap - max(cap - v, 0), so that the slopes of both in a row are the factors. */
static int rescale(struct ab_lowering *l, int n, int m, int a, int z)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    const int open = ab_pointwise(l, AB_PW_RESCALE, m, a, z);
    if (node->cap <= 0) return open;
    const int cap = ab_fill(l, n, &node->cap, 1);
    const int room_a = ab_pointwise(l, AB_PW_SUB, cap, ab_pointwise(l, AB_PW_RELU, a, -1, -1), -1);
    const int room_z = ab_pointwise(l, AB_PW_SUB, cap, ab_pointwise(l, AB_PW_RELU, z, -1, -1), -1);
    return ab_pointwise(l, AB_PW_RESCALE, open, room_a, room_z);
}

static int scale(struct ab_lowering *l, int x, float by)
{
    if (l->w.failed) return -1;
    const struct ab_value *v = &l->w.program->values[x];
    struct ab_step s = ab_step_new(AB_OP_POINTWISE);
    s.kind = AB_PW_SCALE;
    s.x = x;
    s.scale = by;
    return ab_emit(&l->w, s, v->dims, v->vector);
}

/* Whether the ReLU n takes the two parts of its input's difference one by one: with `genomics`
 * those of dense layers alone. */
static bool reveals(const struct ab_lowering *l, int n)
{
    const enum ab_lift lift = l->method->composite.lift;
    const struct ab_node *node = &l->w.graph->nodes[n];
    if (lift == AB_LIFT_RESCALE || (lift == AB_LIFT_GENOMICS && !node->vector)) return false;
    return has_parts(l, node->in[0]);
}

/* The mean over both orders of adding C+ and C- to the reference's input r: with u = r + C+ and
 * v = r + C-, M+ is m times the mean slope over [r, u] and [v, z], M- that over [r, v] and [u, z].
 */
static void reveal_cancel(struct ab_lowering *l, int n, int m)
{
    const int in = l->w.graph->nodes[n].in[0];
    const int z = l->fwd[in], r = l->ref[in], half = scale(l, magnitude(l, in), 0.5f);
    const int middle = scale(l, ab_pointwise(l, AB_PW_ADD, z, r, -1), 0.5f);
    const int u = ab_pointwise(l, AB_PW_ADD, middle, half, -1);
    const int v = ab_pointwise(l, AB_PW_SUB, middle, half, -1);
    const int pos = ab_pointwise(l, AB_PW_ADD, rescale(l, n, m, u, r), rescale(l, n, m, z, v), -1);
    const int neg = ab_pointwise(l, AB_PW_ADD, rescale(l, n, m, v, r), rescale(l, n, m, z, u), -1);
    ab_send(l, in, scale(l, ab_pointwise(l, AB_PW_ADD, pos, neg, -1), 0.25f), false);
    send_split(l, in, scale(l, ab_pointwise(l, AB_PW_SUB, pos, neg, -1), 0.25f));
}

static void back_relu(struct ab_lowering *l, int n, int m)
{
    const int in = l->w.graph->nodes[n].in[0];
    if (reveals(l, n))
        reveal_cancel(l, n, m);
    else
        ab_send(l, in, rescale(l, n, m, l->fwd[in], l->ref[in]), false);
}

/* Of the two winners of a window the larger takes m times the difference of the maxima, then what
 * an input has got is divided by its own difference: where it won for the image, that is at least
 * the difference of the maxima, where it won for the reference, at most. */
static void back_maxpool(struct ab_lowering *l, int n, int m)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    const int in = node->in[0];
    struct ab_step s = ab_step_new(AB_OP_WINNERS);
    s.list = malloc(2 * sizeof *s.list);
    if (!s.list) l->w.failed = true;
    if (l->w.failed) {
        free(s.list);
        return;
    }
    s.n_list = 2;
    s.list[0] = ab_emit_switches(&l->w, l->fwd[n]);
    s.list[1] = ab_emit_switches(&l->w, l->ref[n]);
    s.x = l->fwd[n];
    s.a = l->ref[n];
    const int winners = ab_emit(&l->w, s, node->dims, false);
    if (l->w.failed) return;
    l->w.program->values[winners].dtype = AB_SWITCH;
    struct ab_step back = ab_step_new(AB_OP_MAXPOOL);
    back.node = n;
    back.pass = AB_BWD;
    back.x = ab_pointwise(l, AB_PW_MUL, m, difference(l, n), -1);
    back.switches = winners;
    const int got = ab_emit(&l->w, back, l->w.graph->nodes[in].dims, false);
    ab_send(l, in, ab_pointwise(l, AB_PW_DIVDIFF, got, l->fwd[in], l->ref[in]), false);
}

/* W^T S, and |W|^T split with the sign of the input's difference. */
static void back_linear(struct ab_lowering *l, int n, int r)
{
    const int in = l->w.graph->nodes[n].in[0];
    int to = ab_linear(l, n, AB_BWD, AB_W_ALL, AB_B_NONE, r, -1);
    if (l->split[n] >= 0) {
        const int part = ab_linear(l, n, AB_BWD, AB_W_ABS, AB_B_NONE, l->split[n], -1);
        to = ab_pointwise(l, AB_PW_ADD, to, signed_by(l, in, part), -1);
    }
    ab_send(l, in, to, false);
}

enum ab_status ab_two_point_back(struct ab_lowering *l, int n, int r, struct ab_error *err)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    if (l->w.failed) return AB_OK;
    if (is_linear(node)) {
        back_linear(l, n, r);
        return AB_OK;
    }
    if (keeps_parts(node)) {
        enum ab_status status = ab_back_node(l, n, r, err);
        if (l->split[n] < 0 || status) return status;
        int *const signal = l->signal;
        l->signal = l->split;
        status = ab_back_node(l, n, l->split[n], err);
        l->signal = signal;
        return status;
    }
    r = joined(l, n, r);
    switch (node->kind) {
    case AB_NODE_RELU: back_relu(l, n, r); return AB_OK;
    case AB_NODE_MAXPOOL: back_maxpool(l, n, r); return AB_OK;
    default: return ab_back_node(l, n, r, err);
    }
}

int ab_two_point_end(struct ab_lowering *l, int input)
{
    const int m = joined(l, input, l->signal[input]);
    if (!l->method->composite.input_mul) return m;
    return ab_pointwise(l, AB_PW_MUL, m, difference(l, input), -1);
}
