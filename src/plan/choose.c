// SPDX-License-Identifier: Apache-2.0
// Which rule a linear layer gets: by its place in the network, or by the selectors of a user's own
// composite; and whether the choice fits the network.
#include "plan/rules.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static bool is_linear(const struct ab_node *node)
{
    return node->kind == AB_NODE_CONV || node->kind == AB_NODE_DENSE;
}

static bool selects(const struct ab_lowering *l, const char *selector, int n)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    if (strcmp(selector, "first") == 0) return !l->below_linear[n];
    if (strcmp(selector, "last") == 0) return !l->above_linear[n];
    if (strcmp(selector, "conv") == 0) return node->kind == AB_NODE_CONV;
    if (strcmp(selector, "dense") == 0) return node->kind == AB_NODE_DENSE;
    return fnmatch(selector, node->name, 0) == 0;
}

/* The first entry of a user's composite that selects the layer, or -1. */
static int entry_of(const struct ab_lowering *l, const struct ab_rule_list *list, int n)
{
    for (int i = 0; i < list->count; i++)
        if (selects(l, list->items[i].selector, n)) return i;
    return -1;
}

const struct ab_rule *ab_rule_of(const struct ab_lowering *l, int n)
{
    const struct ab_composite *c = &l->method->composite;
    if (c->rules) return &c->rules->items[entry_of(l, c->rules, n)].rule;
    if (!l->below_linear[n] && c->rule[AB_POS_FIRST].kind != AB_RULE_NONE)
        return &c->rule[AB_POS_FIRST];
    if (!l->above_linear[n] && c->rule[AB_POS_LAST].kind != AB_RULE_NONE)
        return &c->rule[AB_POS_LAST];
    return &c->rule[l->w.graph->nodes[n].kind == AB_NODE_CONV ? AB_POS_CONV : AB_POS_DENSE];
}

/* ---- does it fit? ---- */

/* A selector that never applies is a mistake: nothing in the model has the name, or earlier entries
 * take all that has. */
static enum ab_status check_selector(const struct ab_lowering *l, const struct ab_rule_list *list,
                                     int entry, struct ab_error *err)
{
    const char *selector = list->items[entry].selector, *linear = NULL;
    bool matches = false;
    for (int n = 0; n < l->w.graph->n_nodes; n++) {
        const struct ab_node *node = &l->w.graph->nodes[n];
        if (!is_linear(node)) continue;
        if (entry_of(l, list, n) == entry) return AB_OK;
        matches = matches || selects(l, selector, n);
        if (!linear) linear = node->name;
    }
    if (matches) {
        return ab_fail(
            err, AB_ERR_ARG,
            "method %s: selector '%s' never applies, since earlier ones take every layer "
            "that it matches; put it before them",
            l->method->desc->name, selector);
    }
    return ab_fail(err, AB_ERR_ARG,
                   "method %s: selector '%s' matches no convolution or dense layer of model "
                   "'%.60s', the first of which is '%.80s'",
                   l->method->desc->name, selector, l->w.graph->name, linear ? linear : "none");
}

static enum ab_status check_bounds(const struct ab_lowering *l, int n, const struct ab_rule *rule,
                                   struct ab_error *err)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    const int channels = l->w.graph->nodes[node->in[0]].dims.c;
    if (rule->n_low == 1 || rule->n_low == channels) return AB_OK;
    return ab_fail(
        err, AB_ERR_ARG,
        "method %s: low and high have %d values, but layer '%.80s' has %d input channels; "
        "give one value, or one per channel",
        l->method->desc->name, rule->n_low, node->name, channels);
}

static enum ab_status check_pass(const struct ab_lowering *l, int n, struct ab_error *err)
{
    const struct ab_node *node = &l->w.graph->nodes[n];
    const struct ab_dims to = node->dims, from = l->w.graph->nodes[node->in[0]].dims;
    if (to.c == from.c && to.h == from.h && to.w == from.w) return AB_OK;
    return ab_fail(err, AB_ERR_ARG,
                   "method %s: layer '%.80s' makes %dx%dx%d of %dx%dx%d, so that relevance cannot "
                   "pass unchanged; give it another rule than pass",
                   l->method->desc->name, node->name, to.c, to.h, to.w, from.c, from.h, from.w);
}

enum ab_status ab_check_choice(const struct ab_lowering *l, struct ab_error *err)
{
    const struct ab_rule_list *list = l->method->composite.rules;
    enum ab_status status = AB_OK;
    for (int i = 0; list && i < list->count && !status; i++)
        status = check_selector(l, list, i, err);
    for (int n = 0; n < l->w.graph->n_nodes && !status; n++) {
        const struct ab_node *node = &l->w.graph->nodes[n];
        if (!is_linear(node)) continue;
        if (list && entry_of(l, list, n) < 0) {
            return ab_fail(err, AB_ERR_ARG,
                           "method %s: no selector matches layer '%.80s'; end with *=RULE for all "
                           "that is left",
                           l->method->desc->name, node->name);
        }
        const struct ab_rule *rule = ab_rule_of(l, n);
        if (rule->kind == AB_RULE_ZBOX) status = check_bounds(l, n, rule, err);
        if (rule->kind == AB_RULE_PASS) status = check_pass(l, n, err);
    }
    return status;
}
