// SPDX-License-Identifier: Apache-2.0
// The rules of linear layers as steps: weight transform, division, adjoint, product. Formulas in
// docs/methods.md.
#include "plan/rules.h"

#include <string.h>

int ab_pointwise(struct ab_lowering *l, enum ab_pointwise_kind kind, int x, int a, int z)
{
    if (l->w.failed) return -1;
    struct ab_step s = ab_step_new(AB_OP_POINTWISE);
    s.kind = kind;
    s.x = x;
    s.a = a;
    s.z = z;
    const struct ab_value *v = &l->w.program->values[x];
    return ab_emit(&l->w, s, v->dims, v->vector);
}

int ab_divide(struct ab_lowering *l, int x, int z, float eps, float scale)
{
    if (l->w.failed) return -1;
    struct ab_step s = ab_step_new(AB_OP_POINTWISE);
    s.kind = AB_PW_DIV;
    s.x = x;
    s.z = z;
    s.eps = eps;
    s.scale = scale;
    const struct ab_value *v = &l->w.program->values[x];
    return ab_emit(&l->w, s, v->dims, v->vector);
}

int ab_rect(struct ab_lowering *l, int x, int a, int tau)
{
    if (l->w.failed) return -1;
    struct ab_step s = ab_step_new(AB_OP_POINTWISE);
    s.kind = AB_PW_RECT;
    s.x = x;
    s.a = a;
    s.tau = tau;
    const struct ab_value *v = &l->w.program->values[x];
    const int kept = ab_emit(&l->w, s, v->dims, v->vector);
    if (kept >= 0) l->w.program->values[kept].decision = AB_DECIDE_RECT;
    return kept;
}

int ab_linear(struct ab_lowering *l, int n, enum ab_pass pass, enum ab_wmod wmod, enum ab_bias bias,
              int x, int add)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    const struct ab_node *to = pass == AB_FWD ? node : &l->w.graph->nodes[node->in[0]];
    struct ab_step s = ab_step_new(node->kind == AB_NODE_CONV ? AB_OP_CONV : AB_OP_DENSE);
    s.node = n;
    s.pass = pass;
    s.wmod = wmod;
    s.bias = node->bias ? bias : AB_B_NONE;
    s.x = x;
    s.add = add;
    s.direct = l->direct && pass == AB_BWD;
    return ab_emit(&l->w, s, to->dims, to->vector);
}

/* The positive and negative part of the layer's input; `neg` is -1 where the input cannot be
 * negative. */
struct parts {
    int pos, neg;
};

static struct parts split_input(struct ab_lowering *l, int n, const struct ab_rule *rule)
{
    const int in = l->w.graph->nodes[n].in[0], a = l->fwd[in];
    if (l->w.graph->nodes[in].nonneg || rule->naive_sign) return (struct parts){a, -1};
    return (struct parts){ab_pointwise(l, AB_PW_RELU, a, -1, -1),
                          ab_pointwise(l, AB_PW_NEG, a, -1, -1)};
}

/* The sum of the contributions of one sign: W_same a+ + W_other a- + bias. */
static int contributions(struct ab_lowering *l, int n, const struct ab_rule *rule, struct parts a,
                         enum ab_wmod same)
{
    const enum ab_wmod other = same == AB_W_POS ? AB_W_NEG : AB_W_POS;
    enum ab_bias bias = same == AB_W_POS ? AB_B_POS : AB_B_NEG;
    if (rule->bias == AB_BIAS_NONE) bias = AB_B_NONE;
    if (rule->bias == AB_BIAS_SIGNED) bias = AB_B_ALL;
    const int sum = ab_linear(l, n, AB_FWD, same, bias, a.pos, -1);
    return a.neg < 0 ? sum : ab_linear(l, n, AB_FWD, other, AB_B_NONE, a.neg, sum);
}

/* c = W_same^T s + add: what reaches the positive inputs (`same` = the sign of the contributions),
 * negative ones get the other. */
static int adjoint(struct ab_lowering *l, int n, enum ab_wmod wmod, int s, int add)
{
    return ab_linear(l, n, AB_BWD, wmod, AB_B_NONE, s, add);
}

static int epsilon(struct ab_lowering *l, int n, const struct ab_rule *rule, int r)
{
    const int a = l->fwd[l->w.graph->nodes[n].in[0]];
    const int s = ab_divide(l, r, ab_denominator(l, n), rule->eps, 1);
    return ab_pointwise(l, AB_PW_MUL, adjoint(l, n, AB_W_ALL, s, -1), a, -1);
}

static int zplus(struct ab_lowering *l, int n, const struct ab_rule *rule, int r)
{
    const struct parts a = split_input(l, n, rule);
    const int s = ab_divide(l, r, contributions(l, n, rule, a, AB_W_POS), rule->eps, 1);
    const int pos = ab_pointwise(l, AB_PW_MUL, adjoint(l, n, AB_W_POS, s, -1), a.pos, -1);
    if (a.neg < 0) return pos;
    const int neg = ab_pointwise(l, AB_PW_MUL, adjoint(l, n, AB_W_NEG, s, -1), a.neg, -1);
    return ab_pointwise(l, AB_PW_ADD, pos, neg, -1);
}

static int alpha_beta(struct ab_lowering *l, int n, const struct ab_rule *rule, int r)
{
    if (rule->beta == 0) return zplus(l, n, rule, r);
    const struct parts a = split_input(l, n, rule);
    const int sp = ab_divide(l, r, contributions(l, n, rule, a, AB_W_POS), rule->eps, rule->alpha);
    const int sn = ab_divide(l, r, contributions(l, n, rule, a, AB_W_NEG), rule->eps, -rule->beta);
    const int on_pos = adjoint(l, n, AB_W_NEG, sn, adjoint(l, n, AB_W_POS, sp, -1));
    const int pos = ab_pointwise(l, AB_PW_MUL, on_pos, a.pos, -1);
    if (a.neg < 0) return pos;
    const int on_neg = adjoint(l, n, AB_W_POS, sn, adjoint(l, n, AB_W_NEG, sp, -1));
    const int neg = ab_pointwise(l, AB_PW_MUL, on_neg, a.neg, -1);
    return ab_pointwise(l, AB_PW_ADD, pos, neg, -1);
}

/* A constant map of the layer's input shape. */
static int fill(struct ab_lowering *l, int n, const float *values, int count)
{
    const struct ab_node *in = &l->w.graph->nodes[l->w.graph->nodes[n].in[0]];
    struct ab_step s = ab_step_new(AB_OP_FILL);
    s.n_fill = count;
    memcpy(s.fill, values, sizeof *values * (size_t)count);
    return ab_emit(&l->w, s, in->dims, in->vector);
}

static int zbox(struct ab_lowering *l, int n, const struct ab_rule *rule, int r)
{
    const int x = l->fwd[l->w.graph->nodes[n].in[0]];
    const int low = fill(l, n, rule->low, rule->n_low), high = fill(l, n, rule->high, rule->n_high);
    const int bounds = ab_linear(l, n, AB_FWD, AB_W_NEG, AB_B_NONE, high,
                                 ab_linear(l, n, AB_FWD, AB_W_POS, AB_B_NONE, low, -1));
    const int wx = ab_linear(l, n, AB_FWD, AB_W_ALL, AB_B_NONE, x, -1);
    const int s = ab_divide(l, r, ab_pointwise(l, AB_PW_SUB, wx, bounds, -1), rule->eps, 1);
    const int from_x = ab_pointwise(l, AB_PW_MUL, adjoint(l, n, AB_W_ALL, s, -1), x, -1);
    const int from_low = ab_pointwise(l, AB_PW_MUL, adjoint(l, n, AB_W_POS, s, -1), low, -1);
    const int from_high = ab_pointwise(l, AB_PW_MUL, adjoint(l, n, AB_W_NEG, s, -1), high, -1);
    return ab_pointwise(l, AB_PW_SUB, ab_pointwise(l, AB_PW_SUB, from_x, from_low, -1), from_high,
                        -1);
}

static int wsquare(struct ab_lowering *l, int n, const struct ab_rule *rule, int r)
{
    static const float one = 1;
    const int sum = ab_linear(l, n, AB_FWD, AB_W_SQUARE, AB_B_NONE, fill(l, n, &one, 1), -1);
    return adjoint(l, n, AB_W_SQUARE, ab_divide(l, r, sum, rule->eps, 1), -1);
}

static const struct ab_rule *rule_of(const struct ab_lowering *l, int n)
{
    const struct ab_rule *rules = l->method->composite.rule;
    if (!l->below_linear[n] && rules[AB_POS_FIRST].kind != AB_RULE_NONE)
        return &rules[AB_POS_FIRST];
    return &rules[l->w.graph->nodes[n].kind == AB_NODE_CONV ? AB_POS_CONV : AB_POS_DENSE];
}

static enum ab_status check_bounds(const struct ab_lowering *l, int n, const struct ab_rule *rule,
                                   struct ab_error *err)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    const int channels = l->w.graph->nodes[node->in[0]].dims.c;
    if (rule->kind != AB_RULE_ZBOX || rule->n_low == 1 || rule->n_low == channels) return AB_OK;
    return ab_fail(
        err, AB_ERR_ARG,
        "method %s: low and high have %d values, but layer '%.80s' has %d input channels; "
        "give one value, or one per channel",
        l->method->desc->name, rule->n_low, node->name, channels);
}

/* Whether |s| = |R / st(denominator)| stays below the signal above: R is a' times that signal, and
 * the denominator is a' itself, or z+ with its bias, which is at least a'. All other quotients can
 * spike wherever their denominator happens to be small. */
static bool bounded(const struct ab_lowering *l, int n, const struct ab_rule *rule)
{
    const bool through_relu = ab_denominator(l, n) != l->fwd[n];
    switch (rule->kind) {
    case AB_RULE_NONE:
    case AB_RULE_GRADIENT: return true;
    case AB_RULE_EPSILON: return through_relu;
    case AB_RULE_ZPLUS: return through_relu && rule->bias == AB_BIAS_SPLIT && !rule->naive_sign;
    default: return false;
    }
}

enum ab_status ab_back_linear(struct ab_lowering *l, int n, int r, struct ab_error *err)
{
    const struct ab_rule *rule = rule_of(l, n);
    const enum ab_status status = check_bounds(l, n, rule, err);
    if (status) return status;
    int to = -1;
    l->direct = !bounded(l, n, rule);
    switch (rule->kind) {
    case AB_RULE_NONE:
    case AB_RULE_GRADIENT: to = adjoint(l, n, AB_W_ALL, r, -1); break;
    case AB_RULE_EPSILON: to = epsilon(l, n, rule, r); break;
    case AB_RULE_ZPLUS: to = zplus(l, n, rule, r); break;
    case AB_RULE_ALPHA_BETA: to = alpha_beta(l, n, rule, r); break;
    case AB_RULE_ZBOX: to = zbox(l, n, rule, r); break;
    case AB_RULE_WSQUARE: to = wsquare(l, n, rule, r); break;
    }
    l->direct = false;
    const bool product = rule->kind == AB_RULE_EPSILON || rule->kind == AB_RULE_ZPLUS ||
                         rule->kind == AB_RULE_ALPHA_BETA;
    if (!l->w.failed) ab_send(l, l->w.graph->nodes[n].in[0], to, product);
    return AB_OK;
}
