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
    /* Sums of a part of the weights are denominators, unlike those of all weights in forward(). */
    s.direct = l->direct || (pass == AB_FWD && wmod != AB_W_ALL && l->guard < 0);
    s.guard = s.direct ? -1 : l->guard;
    s.rest = s.direct ? -1 : l->rest;
    return ab_emit(&l->w, s, to->dims, to->vector);
}

/* The positive and negative part of the layer's input; `neg` is -1 where the input cannot be
 * negative. */
struct parts {
    int pos, neg;
};

static bool has_one_part(const struct ab_lowering *l, int n, const struct ab_rule *rule)
{
    return l->w.graph->nodes[l->w.graph->nodes[n].in[0]].nonneg || rule->naive_sign;
}

static struct parts split_input(struct ab_lowering *l, int n, const struct ab_rule *rule)
{
    const int a = l->fwd[l->w.graph->nodes[n].in[0]];
    if (has_one_part(l, n, rule)) return (struct parts){a, -1};
    return (struct parts){ab_pointwise(l, AB_PW_RELU, a, -1, -1),
                          ab_pointwise(l, AB_PW_NEG, a, -1, -1)};
}

/* The sum of the contributions of one sign: W_same a+ + W_other a- + bias. It will divide R, which
 * is a product with the layer's activation. */
static int contributions(struct ab_lowering *l, int n, const struct ab_rule *rule, struct parts a,
                         enum ab_wmod same)
{
    const enum ab_wmod other = same == AB_W_POS ? AB_W_NEG : AB_W_POS;
    enum ab_bias bias = same == AB_W_POS ? AB_B_POS : AB_B_NEG;
    if (rule->bias == AB_BIAS_NONE) bias = AB_B_NONE;
    if (rule->bias == AB_BIAS_SIGNED) bias = AB_B_ALL;
    l->guard = l->direct ? -1 : ab_denominator(l, n);
    const int sum = ab_linear(l, n, AB_FWD, same, bias, a.pos, -1);
    l->guard = -1;
    return a.neg < 0 ? sum : ab_linear(l, n, AB_FWD, other, AB_B_NONE, a.neg, sum);
}

/* c = W_same^T s + add: what reaches the positive inputs (`same` = the sign of the contributions),
 * negative ones get the other. */
static int adjoint(struct ab_lowering *l, int n, enum ab_wmod wmod, int s, int add)
{
    return ab_linear(l, n, AB_BWD, wmod, AB_B_NONE, s, add);
}

/* The same where s is a quotient by z, a guarded sum. */
static int adjoint_of_quotient(struct ab_lowering *l, int n, enum ab_wmod wmod, int s, int z,
                               int add)
{
    l->guard = z;
    const int c = adjoint(l, n, wmod, s, add);
    l->guard = -1;
    return c;
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
    const int z = contributions(l, n, rule, a, AB_W_POS), s = ab_divide(l, r, z, rule->eps, 1);
    const int pos =
        ab_pointwise(l, AB_PW_MUL, adjoint_of_quotient(l, n, AB_W_POS, s, z, -1), a.pos, -1);
    if (a.neg < 0) return pos;
    const int neg = ab_pointwise(l, AB_PW_MUL, adjoint(l, n, AB_W_NEG, s, -1), a.neg, -1);
    return ab_pointwise(l, AB_PW_ADD, pos, neg, -1);
}

static int alpha_beta(struct ab_lowering *l, int n, const struct ab_rule *rule, int r)
{
    if (rule->beta == 0) return zplus(l, n, rule, r);
    const struct parts a = split_input(l, n, rule);
    const int zp = contributions(l, n, rule, a, AB_W_POS);
    if (rule->bias == AB_BIAS_SPLIT && ab_denominator(l, n) != l->fwd[n]) l->rest = zp;
    const int zn = contributions(l, n, rule, a, AB_W_NEG);
    l->rest = -1;
    const int sp = ab_divide(l, r, zp, rule->eps, rule->alpha);
    const int sn = ab_divide(l, r, zn, rule->eps, -rule->beta);
    const int from_p = adjoint_of_quotient(l, n, AB_W_POS, sp, zp, -1);
    const int on_pos = adjoint_of_quotient(l, n, AB_W_NEG, sn, zn, from_p);
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

/* Whether s = R / st(denominator) may spike where no guard can tell. Where R is a' times a signal
 * c, |s| is at most c for the denominator a' (epsilon), and c |a'/z| for any other sum z, which a
 * guard watches. The bounded box and the squared weights subtract or have no a'. */
static bool may_spike(const struct ab_lowering *l, int n, const struct ab_rule *rule)
{
    switch (rule->kind) {
    case AB_RULE_NONE:
    case AB_RULE_GRADIENT: return false;
    case AB_RULE_EPSILON: return !l->vanishes[n];
    case AB_RULE_ZPLUS:
    case AB_RULE_ALPHA_BETA: return !l->vanishes[n] || !has_one_part(l, n, rule);
    default: return true;
    }
}

enum ab_status ab_back_linear(struct ab_lowering *l, int n, int r, struct ab_error *err)
{
    const struct ab_rule *rule = rule_of(l, n);
    const enum ab_status status = check_bounds(l, n, rule, err);
    if (status) return status;
    int to = -1;
    l->direct = may_spike(l, n, rule);
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
