// SPDX-License-Identifier: Apache-2.0
// A method is data: a seed, a rule for each kind and position of layer, and what is multiplied at
// the end. The planner knows rules, never method names. Each method is one descriptor in its own
// file and one line in methods.def.
#ifndef AB_METHOD_H
#define AB_METHOD_H

#include "base/base.h"
#include "method/sampling.h"

/* What is injected at the logits z, p = softmax(z), c the target. */
enum ab_seed {
    AB_SEED_ONE,       /* 1 at c */
    AB_SEED_LOGIT,     /* z_c at c */
    AB_SEED_LOGIT_POS, /* z_c at c if positive, else 0 */
    AB_SEED_SOFTMAX,   /* the gradient of p_c: p_c (onehot_c - p) */
    AB_SEED_CONTRAST   /* 1 at c, -1 at the rival; nothing where they are the same class */
};

/* How the signal passes a ReLU with output a'. */
enum ab_relu_rule {
    AB_RELU_GRADIENT, /* R [a' > 0] */
    AB_RELU_DECONV,   /* R+ */
    AB_RELU_GUIDED,   /* R+ [a' > 0] */
    AB_RELU_RECT,     /* R [a' R > tau], tau the q-th percentile of a' R in this layer and image */
    AB_RELU_SMOOTH,   /* R / (1 + exp(-beta z)), z the ReLU's input */
    AB_RELU_PASS
};

/* What walks back. NONE: the signal itself, by the rules below. The others: multipliers of the
 * differences from the forward pass of a reference input (DeepLIFT), which ReLUs share out by the
 * rule named; GENOMICS is REVEAL_CANCEL behind dense layers and RESCALE elsewhere. */
enum ab_lift { AB_LIFT_NONE, AB_LIFT_RESCALE, AB_LIFT_REVEAL_CANCEL, AB_LIFT_GENOMICS };

/* What RectGrad's threshold is: the percentile of a' R, or of |a' R|, which then is also what
 * passes it, but for a ReLU at the logits. */
enum ab_rect { AB_RECT_PERCENTILE, AB_RECT_MODIFIED };

/* How the signal R at the output of a linear layer becomes the signal at its input a. Formulas:
 * docs/methods.md. */
enum ab_rule_kind {
    AB_RULE_NONE,       /* position not used: the rule of the layer's kind applies */
    AB_RULE_GRADIENT,   /* W^T R */
    AB_RULE_EPSILON,    /* a W^T (R / st(z)) */
    AB_RULE_ZPLUS,      /* a+ W+^T s + a- W-^T s, s = R / st(z+) */
    AB_RULE_ALPHA_BETA, /* alpha (z+ part) - beta (z- part) */
    AB_RULE_GAMMA,      /* a (W + gamma W+)^T s, or with negative a and z their counterparts */
    AB_RULE_ZBOX,       /* (x W^T - low W+^T - high W-^T) s */
    AB_RULE_WSQUARE,    /* (W^2)^T (R / st(sum w^2)) */
    AB_RULE_FLAT,       /* the same with 1 in the place of each weight */
    AB_RULE_PASS        /* R; the layer's input and output must be of one shape */
};

/* How the bias enters the denominators. As the weights do: b in z (epsilon), b+ and b- in z+ and
 * z-, b + gamma b+; not at all; or all of it as it is in z+, z- and z_gamma, and squared in the sum
 * of w^2, where AB_BIAS_SPLIT leaves it out. */
enum ab_bias_rule { AB_BIAS_SPLIT, AB_BIAS_NONE, AB_BIAS_SIGNED };

struct ab_rule {
    enum ab_rule_kind kind;
    float eps; /* the stabiliser of its denominators */
    float alpha, beta, gamma;
    enum ab_bias_rule bias;
    bool naive_sign;   /* treat the input as non-negative whatever it is; GAMMA: and z too */
    int n_low, n_high; /* ZBOX bounds: 1 for all channels, or one per channel */
    float low[AB_MAX_CHANNEL_BOUNDS], high[AB_MAX_CHANNEL_BOUNDS];
};

/* Where a linear layer stands. FIRST: no other linear layer between it and the image. LAST: none
 * between it and the logits. A layer that is both is FIRST. */
enum ab_position { AB_POS_FIRST, AB_POS_LAST, AB_POS_CONV, AB_POS_DENSE, AB_POSITIONS };

/* A rule for the linear layers that a selector names: "first", "last", "conv", "dense", or a
 * pattern of layer names with * and ?. */
struct ab_selected_rule {
    char selector[64];
    struct ab_rule rule;
};

/* A user's own composite: the first entry that fits a layer is its rule. */
struct ab_rule_list {
    int count, capacity;
    struct ab_selected_rule *items;
    char *text; /* the canonical text, "SELECTOR=RULE(key=value,...);..." */
};

/* What the map is: the signal that arrives at the image (times the image with input_mul); a class
 * activation map, or that times the signal; or a control: the image itself, random numbers, edges.
 */
enum ab_map_kind {
    AB_MAP_SIGNAL,
    AB_MAP_CAM,
    AB_MAP_GUIDED_CAM,
    AB_MAP_INPUT,
    AB_MAP_RANDOM,
    AB_MAP_EDGES
};

/* Channel weights of a class activation map: means of the gradient, Grad-CAM++'s, or one for each
 * pixel. */
enum ab_cam { AB_CAM_MEAN, AB_CAM_PLUS_PLUS, AB_CAM_LAYER };

enum { AB_MAX_LAYER = 96 }; /* of a layer's name, with its end */

struct ab_composite {
    enum ab_map_kind map;
    enum ab_cam cam;
    char layer[AB_MAX_LAYER]; /* of the CAM; "": the last map before pooling and flattening */
    bool cam_relu, nearest;   /* keep what is positive; how it is resized to the image */
    enum ab_seed seed;
    int rival; /* CONTRAST: 1 + the class; 0: the highest one but the target */
    enum ab_lift lift;
    enum ab_relu_rule relu;
    struct ab_rule rule[AB_POSITIONS];
    struct ab_rule_list *rules; /* or NULL; then instead of `rule`. Owned by the parsed method */
    bool relevance;   /* add and average pooling share in proportion (else: gradient); batch-norms
                         must be folded */
    bool copy_add;    /* but sums copy their signal, as the gradient does */
    bool spread_pool; /* but average pools spread it evenly, as the gradient does */
    float norm_eps;   /* stabiliser of that proportional sharing */
    bool input_mul;   /* multiply by the image at the end, or by its difference from the baseline */
    int n_baseline;   /* the reference input: 1 value for all channels, or one per channel; 0: given
                         with each execution */
    float baseline[AB_MAX_CHANNEL_BOUNDS];
    bool clamp; /* then keep what is positive */
    double q;   /* RECT: percentile in [0,100] */
    enum ab_rect rect;
    bool gate;         /* RECT: closed units stay closed even where tau is negative */
    bool prr;          /* max-pools share in proportion to their inputs */
    bool pad_trick;    /* signals at padded convolutions lose their outermost pixels */
    float beta;        /* SMOOTH */
    float tau_floor;   /* RECT: tau = max(tau, tau_floor); -INFINITY: no floor */
    bool unknown_pass; /* a layer without a rule passes the signal on instead of being an error */
    struct ab_sampling sampling; /* of a sampled method; the rest is its base's */
};

/* One parameter: its row in the listings, and how its text changes the composite. Returns false if
 * the text is no value. */
struct ab_param {
    struct ab_param_info info;
    bool (*set)(struct ab_composite *c, const char *text); /* NULL: "compat", or see `read` */
};

/* What another tool of the same method does otherwise: parameters as in a spec ("" if nothing).
 * "compat=TOOL" stands for them; further parameters override them. */
struct ab_compat {
    const char *tool, *pairs;
};

struct ab_method_desc {
    const char *name, *summary, *source, *cost, *tools; /* as in struct ab_method_info */
    struct ab_composite composite;                      /* with all parameters at their defaults */
    const struct ab_param *params;
    int n_params;
    const struct ab_compat *compats; /* values of the parameter "compat" */
    int n_compats;
    const char *needs; /* as in struct ab_method_info */
    /* Reads the values of parameters that have no `set`; the error says what is wrong. May be NULL.
     */
    enum ab_status (*read)(struct ab_composite *c, const char *key, const char *text,
                           struct ab_error *err);
    /* Checks values against each other, or completes them; returns a message or NULL. May be NULL.
     */
    const char *(*check)(struct ab_composite *c);
};

enum { AB_MAX_SPEC = 4096 }; /* with its end */

struct ab_method {
    const struct ab_method_desc *desc;
    struct ab_composite composite;
    char spec[AB_MAX_SPEC];
};

#define AB_METHOD(symbol) extern const struct ab_method_desc ab_method_##symbol;
#include "method/methods.def"
#undef AB_METHOD

#endif
