// SPDX-License-Identifier: Apache-2.0
// The state of lowering, the small steps of which rules are made, and the rules of linear layers.
#ifndef AB_RULES_H
#define AB_RULES_H

#include "plan/builder.h"

struct ab_lowering {
    struct ab_writer w;
    const struct ab_method *method;
    enum ab_relu_rule relu; /* of the walk being written */
    bool *leads;            /* the walk's end lies below this node, or is it */
    int target;             /* of the seed that is walked back */
    int *fwd;               /* forward value of each node */
    int *uncapped;          /* of each ReLU with a cap what it gives without it; -1: not needed */
    bool relevance;         /* some method's is shared out in proportion to sums */
    int *signal;            /* R at each node's output, -1: none has arrived */
    bool *vanishes;         /* see lower.c */
    int *sole_consumer;     /* the one node that reads this one; -1: none, -2: several */
    bool direct;            /* of the linear steps being written: see struct ab_step */
    int guard, rest;
    bool *needed; /* the forward value is: what the walk's beginning reads */
    struct ab_walk walk;
    float gain; /* of the weight part AB_W_GAMMA and the bias part AB_B_GAMMA */
    /* Two-point methods: forward value of the reference input at each node; the other half of the
     * signals, and the magnitudes (-1: none), see two_point.c. */
    int *ref, *split, *magnitude;
    bool *below_linear; /* some linear layer lies between this node and the image */
    bool *above_linear; /* some linear layer lies between this node and the logits */
};

/* dst = kind(x; a, z), of x's shape. */
int ab_pointwise(struct ab_lowering *l, enum ab_pointwise_kind kind, int x, int a, int z);
/* kind(x; a), one of those of a ReLU with this cap. */
int ab_capped(struct ab_lowering *l, enum ab_pointwise_kind kind, float cap, int x, int a);
/* scale * x / st(z) */
int ab_divide(struct ab_lowering *l, int x, int z, float eps, float scale);
/* scale * x */
int ab_scale(struct ab_lowering *l, int x, float scale);
/* A constant map of node n's shape, of one value or one per channel; `n` tells it from others. */
int ab_fill(struct ab_lowering *l, int n, const float *values, int count);
/* x where a*x > tau */
int ab_rect(struct ab_lowering *l, int x, int a, int tau);
/* The linear map of layer n or its adjoint, with the weights transformed by wmod; add: a value
 * added, or -1. */
int ab_linear(struct ab_lowering *l, int n, enum ab_pass pass, enum ab_wmod wmod, enum ab_bias bias,
              int x, int add);
/* Signal `signal` arrives at the output of `node`; signals add up. */
void ab_send(struct ab_lowering *l, int node, int signal, bool vanishes);
/* The forward value of node n, from l->fwd of its inputs; -1 after a failure. Not INPUT's own. */
int ab_forward_value(struct ab_lowering *l, int n);
/* R at node n's output reaches its inputs by the composite's rules. */
enum ab_status ab_back_node(struct ab_lowering *l, int n, int r, struct ab_error *err);
/* The value to divide R at node n by: z, or the ReLU's output, without its cap, where that is the
 * same. */
int ab_denominator(const struct ab_lowering *l, int n);
/* The rule of the linear layer n. */
const struct ab_rule *ab_rule_of(const struct ab_lowering *l, int n);
/* Whether l->method's rules fit the graph: every selector names a layer, every linear layer has a
 * rule whose values fit it. */
enum ab_status ab_check_choice(const struct ab_lowering *l, struct ab_error *err);
/* R at the output of the ReLU n reaches its input by l->relu. */
void ab_back_relu(struct ab_lowering *l, int n, int r);
/* R at the output of the linear layer n becomes R at its input. */
void ab_back_linear(struct ab_lowering *l, int n, int r);

/* ---- two_point.c: composites with a lift ---- */
/* Writes the forward pass of the reference input. */
enum ab_status ab_two_point_begin(struct ab_lowering *l, struct ab_error *err);
/* The multipliers r at node n's output become those at its inputs. */
enum ab_status ab_two_point_back(struct ab_lowering *l, int n, int r, struct ab_error *err);
/* The map, from what has reached the image. */
int ab_two_point_end(struct ab_lowering *l, int input);

#endif
