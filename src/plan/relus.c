// SPDX-License-Identifier: Apache-2.0
// How a signal passes a ReLU, with a cap or without: the rules of enum ab_relu_rule as steps.
#include "plan/rules.h"

/* tau of a signal and the units that pass it. */
static int rect(struct ab_lowering *l, int of, int r, int a)
{
    struct ab_step tau = ab_step_new(AB_OP_TAU);
    tau.x = of;
    tau.a = a;
    tau.q = l->method->composite.q;
    tau.tau_floor = l->method->composite.tau_floor;
    const int threshold = ab_emit(&l->w, tau, (struct ab_dims){1, 1, 1}, true);
    if (threshold >= 0) l->w.program->values[threshold].dtype = AB_TAU;
    return ab_rect(l, r, a, threshold);
}

/* R where |a' R| > tau: tau is not negative, so the units whose product is above it and those whose
 * product is below -tau exclude each other. */
static int rect_modified(struct ab_lowering *l, int r, int a)
{
    const int magnitude = ab_pointwise(l, AB_PW_ABS, r, -1, -1);
    if (l->w.failed) return -1;
    struct ab_step minus = ab_step_new(AB_OP_POINTWISE);
    minus.kind = AB_PW_SCALE;
    minus.x = r;
    minus.scale = -1;
    const struct ab_value *v = &l->w.program->values[r];
    const int below = ab_emit(&l->w, minus, v->dims, v->vector);
    const int kept = rect(l, magnitude, r, a);
    return ab_pointwise(l, AB_PW_SUB, kept, rect(l, magnitude, below, a), -1);
}

static int sigmoid(struct ab_lowering *l, int r, int z)
{
    if (l->w.failed) return -1;
    struct ab_step s = ab_step_new(AB_OP_HOST);
    s.host = AB_HOST_SIGMOID;
    s.x = r;
    s.a = z;
    s.scale = l->method->composite.beta;
    const struct ab_value *v = &l->w.program->values[r];
    return ab_emit(&l->w, s, v->dims, v->vector);
}

/* The derivative of softplus(z), or with a cap of softplus(z) - softplus(z - cap). */
static int smooth(struct ab_lowering *l, int n, int r)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    const int in = node->in[0], z = l->fwd[in], rising = sigmoid(l, r, z);
    if (node->cap <= 0) return rising;
    const int over = ab_pointwise(l, AB_PW_SUB, z, ab_fill(l, in, &node->cap, 1), -1);
    return ab_pointwise(l, AB_PW_SUB, rising, sigmoid(l, r, over), -1);
}

/* R where the ReLU has a slope, and if `guided` where R is positive. */
static int gate(struct ab_lowering *l, int n, bool guided, int r)
{
    const float cap = l->w.graph->nodes[n].cap;
    const int a = l->fwd[n];
    if (cap > 0) return ab_capped(l, guided ? AB_PW_CAP_GUIDED : AB_PW_CAP_GATE, cap, r, a);
    return ab_pointwise(l, guided ? AB_PW_GUIDED : AB_PW_GATE, r, a, -1);
}

void ab_back_relu(struct ab_lowering *l, int n, int r)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    const int in = node->in[0], a = l->fwd[n];
    const struct ab_composite *c = &l->method->composite;
    switch (l->relu) {
    case AB_RELU_GRADIENT: r = gate(l, n, false, r); break;
    case AB_RELU_DECONV: r = ab_pointwise(l, AB_PW_RELU, r, -1, -1); break;
    case AB_RELU_GUIDED: r = gate(l, n, true, r); break;
    case AB_RELU_RECT:
        if (node->cap > 0) r = gate(l, n, false, r);
        r = c->rect == AB_RECT_MODIFIED && n != l->w.graph->output ? rect_modified(l, r, a)
                                                                   : rect(l, r, r, a);
        if (c->gate && node->cap <= 0) r = gate(l, n, false, r);
        break;
    case AB_RELU_SMOOTH: r = smooth(l, n, r); break;
    case AB_RELU_PASS: break;
    }
    ab_send(l, in, r, l->relu == AB_RELU_PASS && l->vanishes[n]);
}
