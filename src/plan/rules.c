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

int ab_capped(struct ab_lowering *l, enum ab_pointwise_kind kind, float cap, int x, int a)
{
    if (l->w.failed) return -1;
    struct ab_step s = ab_step_new(AB_OP_POINTWISE);
    s.kind = kind;
    s.x = x;
    s.a = a;
    s.scale = cap;
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

int ab_scale(struct ab_lowering *l, int x, float scale)
{
    if (l->w.failed) return -1;
    struct ab_step s = ab_step_new(AB_OP_POINTWISE);
    s.kind = AB_PW_SCALE;
    s.x = x;
    s.scale = scale;
    const struct ab_value *v = &l->w.program->values[x];
    return ab_emit(&l->w, s, v->dims, v->vector);
}

int ab_fill(struct ab_lowering *l, int n, const float *values, int count)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    struct ab_step s = ab_step_new(AB_OP_FILL);
    s.node = n;
    s.n_fill = count;
    memcpy(s.fill, values, sizeof *values * (size_t)count);
    return ab_emit(&l->w, s, node->dims, node->vector);
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
    if (wmod == AB_W_GAMMA || s.bias == AB_B_GAMMA) s.gain = l->gain;
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

/* Whether the denominator is not the layer's own z. */
static bool leaves_bias(const struct ab_lowering *l, int n, const struct ab_rule *rule)
{
    return rule->bias == AB_BIAS_NONE && l->w.graph->nodes[n].bias;
}

static int epsilon(struct ab_lowering *l, int n, const struct ab_rule *rule, int r)
{
    const int a = l->fwd[l->w.graph->nodes[n].in[0]];
    int z = ab_denominator(l, n);
    if (leaves_bias(l, n, rule)) z = ab_linear(l, n, AB_FWD, AB_W_ALL, AB_B_NONE, a, -1);
    const int s = ab_divide(l, r, z, rule->eps, 1);
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

/* ---- gamma ---- */

/* Whether z_gamma is a' + gamma z+ wherever R is not 0, a' being the ReLU's output. Below LEAST a'
 * / gamma could overflow. */
static bool adds_to_relu(const struct ab_lowering *l, int n, const struct ab_rule *rule)
{
    static const float LEAST = 1e-3f;
    return rule->bias == AB_BIAS_SPLIT && rule->gamma >= LEAST && !l->direct &&
           ab_denominator(l, n) != l->fwd[n] && !rule->naive_sign && has_one_part(l, n, rule);
}

/* R / st(z_gamma), and in *z the sum that guards it. z_gamma = (W + gamma W+) a + bias is never
 * below the ReLU's output if the bias is part of it and a >= 0. Where it can be it is computed as
 * gamma (a' / gamma + z+), whose convolution has sums in common with those of z+ rules. */
static int divide_by_gamma(struct ab_lowering *l, int n, const struct ab_rule *rule, int r, int *z)
{
    static const enum ab_bias biases[] = {
        [AB_BIAS_SPLIT] = AB_B_GAMMA, [AB_BIAS_NONE] = AB_B_NONE, [AB_BIAS_SIGNED] = AB_B_ALL};
    const int a = l->fwd[l->w.graph->nodes[n].in[0]];
    const bool adds = adds_to_relu(l, n, rule);
    const float part = adds ? rule->gamma : 1;
    const int add = adds ? ab_scale(l, ab_denominator(l, n), 1 / part) : -1;
    l->guard = l->direct ? -1 : ab_denominator(l, n);
    *z = ab_linear(l, n, AB_FWD, adds ? AB_W_POS : AB_W_GAMMA, adds ? AB_B_POS : biases[rule->bias],
                   a, add);
    l->guard = -1;
    return ab_divide(l, r, *z, rule->eps / part, 1 / part);
}

static int gamma_original(struct ab_lowering *l, int n, const struct ab_rule *rule, int r)
{
    const int a = l->fwd[l->w.graph->nodes[n].in[0]];
    int z = -1;
    l->gain = 1 + rule->gamma;
    const int s = divide_by_gamma(l, n, rule, r, &z);
    return ab_pointwise(l, AB_PW_MUL, adjoint_of_quotient(l, n, AB_W_GAMMA, s, z, -1), a, -1);
}

/* s = R / d, d = own + sgn(z) all, and t = sgn(z) s, both 0 where z is 0. With `positive` z is
 * above 0 wherever R is not 0. */
struct signed_quotient {
    int s, t;
};

static struct signed_quotient divide_by_sign(struct ab_lowering *l, int r, int z, int own, int all,
                                             float eps, bool positive)
{
    const int sum = ab_pointwise(l, AB_PW_ADD, own, all, -1);
    if (positive) {
        const int q = ab_divide(l, r, sum, eps, 1);
        return (struct signed_quotient){q, q};
    }
    const int r_above = ab_pointwise(l, AB_PW_GATE, r, z, -1);
    const int r_below = ab_pointwise(l, AB_PW_GATE, r, ab_scale(l, z, -1), -1);
    const int above = ab_divide(l, r_above, sum, eps, 1);
    const int below = ab_divide(l, r_below, ab_pointwise(l, AB_PW_SUB, own, all, -1), eps, 1);
    return (struct signed_quotient){ab_pointwise(l, AB_PW_ADD, above, below, -1),
                                    ab_pointwise(l, AB_PW_SUB, above, below, -1)};
}

/* Whether R at the layer's output is 0 wherever z is not above 0. */
static bool is_positive(const struct ab_lowering *l, int n)
{
    return ab_denominator(l, n) != l->fwd[n];
}

/* Contributions of z's own sign count 1 + gamma times. With P = |W||a| + |b| those of either sign
 * are (z +- P)/2, so the denominator is (1 + gamma/2) z + (gamma/2) sgn(z) P, whose two terms are
 * of one sign, and R_in = (1 + gamma/2) a W^T s + (gamma/2) |a| |W|^T (sgn(z) s). Without the bias,
 * z still gives the sign, but the sums leave it out. */
static int gamma_general(struct ab_lowering *l, int n, const struct ab_rule *rule, int r)
{
    const int a = l->fwd[l->w.graph->nodes[n].in[0]];
    const bool one_part = has_one_part(l, n, rule), bare = leaves_bias(l, n, rule);
    const int size = one_part ? a : ab_pointwise(l, AB_PW_ABS, a, -1, -1);
    const float half = rule->gamma / 2;
    const int z = ab_denominator(l, n);
    const int own = bare ? ab_linear(l, n, AB_FWD, AB_W_ALL, AB_B_NONE, a, -1) : z;
    const int all = ab_linear(l, n, AB_FWD, AB_W_ABS, bare ? AB_B_NONE : AB_B_ABS, size, -1);
    const struct signed_quotient q = divide_by_sign(
        l, r, z, ab_scale(l, own, 1 + half), ab_scale(l, all, half), rule->eps, is_positive(l, n));
    const int s = ab_scale(l, q.s, 1 + half), t = ab_scale(l, q.t, half);
    const int from_all = adjoint(l, n, AB_W_ALL, s, -1);
    if (one_part) return ab_pointwise(l, AB_PW_MUL, adjoint(l, n, AB_W_ABS, t, from_all), a, -1);
    const int signs = ab_pointwise(l, AB_PW_MUL, from_all, a, -1);
    const int sizes = ab_pointwise(l, AB_PW_MUL, adjoint(l, n, AB_W_ABS, t, -1), size, -1);
    return ab_pointwise(l, AB_PW_ADD, signs, sizes, -1);
}

/* Inputs and z of one sign: there the general form is the original one. */
static bool is_original(const struct ab_lowering *l, int n, const struct ab_rule *rule)
{
    return rule->naive_sign || (is_positive(l, n) && has_one_part(l, n, rule));
}

static int gamma_rule(struct ab_lowering *l, int n, const struct ab_rule *rule, int r)
{
    if (rule->gamma == 0) return epsilon(l, n, rule, r);
    return is_original(l, n, rule) ? gamma_original(l, n, rule, r) : gamma_general(l, n, rule, r);
}

/* ---- rules for images ---- */

/* A constant map of the layer's input shape. */
static int fill(struct ab_lowering *l, int n, const float *values, int count)
{
    return ab_fill(l, l->w.graph->nodes[n].in[0], values, count);
}

/* The denominator is a sum of terms that are not negative, W+ (x - low) and W- (x - high), but
 * their sum over the bounds alone is constant; the bias cancels. */
static int zbox(struct ab_lowering *l, int n, const struct ab_rule *rule, int r)
{
    const int x = l->fwd[l->w.graph->nodes[n].in[0]];
    const int low = fill(l, n, rule->low, rule->n_low), high = fill(l, n, rule->high, rule->n_high);
    const int bounds = ab_linear(l, n, AB_FWD, AB_W_NEG, AB_B_NONE, high,
                                 ab_linear(l, n, AB_FWD, AB_W_POS, AB_B_NONE, low, -1));
    const int wx = ab_linear(l, n, AB_FWD, AB_W_ALL, AB_B_NONE, x, -1);
    const int s = ab_divide(l, r, ab_pointwise(l, AB_PW_SUB, wx, bounds, -1), rule->eps, 1);
    const int over_low = ab_pointwise(l, AB_PW_SUB, x, low, -1);
    const int over_high = ab_pointwise(l, AB_PW_SUB, x, high, -1);
    const int from_low = ab_pointwise(l, AB_PW_MUL, adjoint(l, n, AB_W_POS, s, -1), over_low, -1);
    const int from_high = ab_pointwise(l, AB_PW_MUL, adjoint(l, n, AB_W_NEG, s, -1), over_high, -1);
    return ab_pointwise(l, AB_PW_ADD, from_low, from_high, -1);
}

/* Shares by w^2 or, if `part` is AB_W_ONE, equal ones: whatever the input is. */
static int by_weights(struct ab_lowering *l, int n, const struct ab_rule *rule, enum ab_wmod part,
                      int r)
{
    static const float one = 1;
    const enum ab_bias bias =
        part == AB_W_SQUARE && rule->bias == AB_BIAS_SIGNED ? AB_B_SQUARE : AB_B_NONE;
    const int sum = ab_linear(l, n, AB_FWD, part, bias, fill(l, n, &one, 1), -1);
    return adjoint(l, n, part, ab_divide(l, r, sum, rule->eps, 1), -1);
}

/* Whether s = R / st(denominator) may spike where no guard can tell. Where R is a' times a signal
 * c, |s| is at most c for the denominator a' (epsilon), and c |a'/z| for any other sum z, which a
 * guard watches. The bounded box subtracts and has no a'. Squared and equal weights divide by sums
 * of their own: a fixed linear map, none of whose factors is above 1. */
static bool may_spike(const struct ab_lowering *l, int n, const struct ab_rule *rule)
{
    switch (rule->kind) {
    case AB_RULE_NONE:
    case AB_RULE_GRADIENT:
    case AB_RULE_WSQUARE:
    case AB_RULE_FLAT:
    case AB_RULE_PASS: return false;
    case AB_RULE_EPSILON: return !l->vanishes[n] || leaves_bias(l, n, rule);
    case AB_RULE_GAMMA:
        return !l->vanishes[n] ||
               (leaves_bias(l, n, rule) && (rule->gamma == 0 || !is_original(l, n, rule)));
    case AB_RULE_ZPLUS:
    case AB_RULE_ALPHA_BETA: return !l->vanishes[n] || !has_one_part(l, n, rule);
    default: return true;
    }
}

void ab_back_linear(struct ab_lowering *l, int n, int r)
{
    const struct ab_rule *rule = ab_rule_of(l, n);
    int to = -1;
    l->direct = may_spike(l, n, rule);
    switch (rule->kind) {
    case AB_RULE_NONE:
    case AB_RULE_GRADIENT: to = adjoint(l, n, AB_W_ALL, r, -1); break;
    case AB_RULE_EPSILON: to = epsilon(l, n, rule, r); break;
    case AB_RULE_ZPLUS: to = zplus(l, n, rule, r); break;
    case AB_RULE_ALPHA_BETA: to = alpha_beta(l, n, rule, r); break;
    case AB_RULE_GAMMA: to = gamma_rule(l, n, rule, r); break;
    case AB_RULE_ZBOX: to = zbox(l, n, rule, r); break;
    case AB_RULE_WSQUARE: to = by_weights(l, n, rule, AB_W_SQUARE, r); break;
    case AB_RULE_FLAT: to = by_weights(l, n, rule, AB_W_ONE, r); break;
    case AB_RULE_PASS: to = r; break;
    }
    l->direct = false;
    const bool product = rule->kind == AB_RULE_EPSILON || rule->kind == AB_RULE_ZPLUS ||
                         rule->kind == AB_RULE_ALPHA_BETA || rule->kind == AB_RULE_GAMMA;
    if (!l->w.failed) ab_send(l, l->w.graph->nodes[n].in[0], to, product);
}
