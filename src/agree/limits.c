// SPDX-License-Identifier: Apache-2.0
// The limits on a map and which class a method is of. Where the numbers come from:
// docs/numerics.md.
#include "agree/agree.h"

#include <string.h>

static const struct ab_limits well = {.name = "W",
                                      .rel_l2 = 1e-5,
                                      .max_err = 1e-5,
                                      .one_minus_cosine = 1e-9,
                                      .one_minus_pearson = 1e-9,
                                      .one_minus_spearman = 1e-6,
                                      .iou1 = 0.99,
                                      .iou5 = 0.99,
                                      .one_minus_ssim = 1e-8};

static const struct ab_limits ill = {.name = "I",
                                     .rel_l2 = 1e-3,
                                     .max_err = 1e-3,
                                     .one_minus_cosine = 1e-5,
                                     .one_minus_pearson = 1e-5,
                                     .one_minus_spearman = 1e-5,
                                     .iou1 = 0.95,
                                     .iou5 = 0.98,
                                     .one_minus_ssim = 1e-4};

static const struct ab_limits difference = {.name = "D",
                                            .rel_l2 = 1e-2,
                                            .max_err = 1e-2,
                                            .one_minus_cosine = 1e-4,
                                            .one_minus_pearson = 1e-4,
                                            .one_minus_spearman = 1e-4,
                                            .iou1 = 0.9,
                                            .iou5 = 0.95,
                                            .one_minus_ssim = 1e-3};

/* Whether the map is the difference of two of equal sum, as contrastive Excitation Backprop is: how
 * much of them is left depends on how well the network tells the class from the others. */
static bool subtracts_all(const struct ab_composite *c)
{
    const struct ab_rule *last = &c->rule[AB_POS_LAST];
    return last->kind == AB_RULE_ALPHA_BETA && last->alpha == last->beta;
}

/* Class activation maps have as many values as their layer has pixels, 49 most often, each spread
 * over many: three pairs of neighbouring rank may change places among so few. Else as W. */
static const struct ab_limits coarse = {.name = "C",
                                        .rel_l2 = 1e-5,
                                        .max_err = 1e-5,
                                        .one_minus_cosine = 1e-9,
                                        .one_minus_pearson = 1e-9,
                                        .one_minus_spearman = 3.0 * 12 / (49 * 49 * 49 - 49),
                                        .iou1 = 0.99,
                                        .iou5 = 0.99,
                                        .one_minus_ssim = 1e-8};

/* Whether a denominator of the rule can be small where what was summed into it is not. */
static bool rule_cancels(const struct ab_rule *r)
{
    switch (r->kind) {
    case AB_RULE_NONE:
    case AB_RULE_GRADIENT:
    case AB_RULE_PASS:
    case AB_RULE_FLAT:
    case AB_RULE_WSQUARE: return false; /* none, or a sum of squares or ones */
    case AB_RULE_ZBOX:
        return false; /* a sum of w+ (x - low) and w- (x - high), all >= 0 */
    /* (1 + gamma/2) z + (gamma/2) sgn(z) P: of the terms' sizes P at least the gamma/2 part is
     * left; the original form sums terms of both signs where the input has both. */
    case AB_RULE_GAMMA: return r->gamma < 0.1f || r->naive_sign || r->bias == AB_BIAS_NONE;
    case AB_RULE_EPSILON:
        return true; /* z has both signs; eps is absolute and bounds nothing */
    /* z+ is a sum of terms of one sign, unless all of the bias enters it or the input's sign is
     * ignored. z- likewise, but the two parts of alpha-beta are subtracted. */
    case AB_RULE_ZPLUS: return r->bias == AB_BIAS_SIGNED || r->naive_sign;
    case AB_RULE_ALPHA_BETA: return r->beta != 0 || r->bias == AB_BIAS_SIGNED || r->naive_sign;
    }
    return true;
}

/* Above the first layer the flat rule adds up thousands of terms that are alike, whose roundings
 * are alike too and add up instead of cancelling. */
static bool adds_equals(const struct ab_composite *c)
{
    const struct ab_rule_list *list = c->rules;
    for (int p = 0; p < AB_POSITIONS; p++)
        if (p != AB_POS_FIRST && c->rule[p].kind == AB_RULE_FLAT) return true;
    for (int i = 0; list && i < list->count; i++) {
        const struct ab_selected_rule *s = &list->items[i];
        if (s->rule.kind == AB_RULE_FLAT && strcmp(s->selector, "first") != 0) return true;
    }
    return false;
}

/* Proportional sharing divides by a sum (or mean) of the node's inputs, which cancels unless none
 * of them can be negative. */
static bool sharing_cancels(const struct ab_composite *c, const struct ab_graph *graph)
{
    for (int n = 0; n < graph->n_nodes; n++) {
        const struct ab_node *node = &graph->nodes[n];
        const bool shares = (node->kind == AB_NODE_ADD && !c->copy_add) ||
                            (node->kind == AB_NODE_AVGPOOL && !c->spread_pool);
        if (!shares) continue;
        for (int i = 0; i < node->n_in; i++)
            if (!graph->nodes[node->in[i]].nonneg) return true;
    }
    return false;
}

/* RectGrad's sharing at max-pools divides by means of what they read. */
static bool sharing_cancels_in_maxpools(const struct ab_graph *graph)
{
    for (int n = 0; n < graph->n_nodes; n++)
        if (graph->nodes[n].kind == AB_NODE_MAXPOOL && !graph->nodes[graph->nodes[n].in[0]].nonneg)
            return true;
    return false;
}

/* A softmax seed multiplies the absolute error of logits, whose scale nothing bounds. */
const struct ab_limits *ab_agree_limits(const struct ab_composite *composite,
                                        const struct ab_graph *graph)
{
    /* What a window's loss leaves of two logits may be little. */
    if (composite->sampling.kind == AB_SAMPLE_OCCLUSION) return &ill;
    const struct ab_rule_list *list = composite->rules;
    if (subtracts_all(composite)) return &difference;
    if (adds_equals(composite)) return &ill;
    /* Slopes between inputs that are both about zero, at pools those between nearly equal values.
     */
    if (composite->lift != AB_LIFT_NONE) return &ill;
    for (int p = 0; p < AB_POSITIONS; p++)
        if (rule_cancels(&composite->rule[p])) return &ill;
    for (int i = 0; list && i < list->count; i++)
        if (rule_cancels(&list->items[i].rule)) return &ill;
    if (composite->seed == AB_SEED_SOFTMAX) return &ill;
    if (composite->map == AB_MAP_CAM) return &coarse;
    if (composite->prr && sharing_cancels_in_maxpools(graph)) return &ill;
    return composite->relevance && sharing_cancels(composite, graph) ? &ill : &well;
}
