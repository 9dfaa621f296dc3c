// SPDX-License-Identifier: Apache-2.0
// Setters of the parameters that methods share.
#include "method/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool ab_read_number(const char *text, double low, double high, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*value) && *value >= low && *value <= high;
}

static bool set_number(const char *text, double low, double high, float *to)
{
    double value;
    if (!ab_read_number(text, low, high, &value)) return false;
    *to = (float)value;
    return true;
}

int ab_read_choice(const char *text, const char *const *words, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) return i;
    }
    return -1;
}

bool ab_set_eps(struct ab_composite *c, const char *text)
{
    float eps;
    if (!set_number(text, 0, 1e30, &eps)) return false;
    for (int i = 0; i < AB_POSITIONS; i++) c->rule[i].eps = eps;
    return true;
}

/* Of the rules of `kind`, or with `others` of all but those. */
static bool set_eps_of(struct ab_composite *c, const char *text, enum ab_rule_kind kind,
                       bool others)
{
    float eps;
    if (!set_number(text, 0, 1e30, &eps)) return false;
    for (int i = 0; i < AB_POSITIONS; i++)
        if ((c->rule[i].kind == kind) != others) c->rule[i].eps = eps;
    return true;
}

bool ab_set_epsilon_eps(struct ab_composite *c, const char *text)
{
    return set_eps_of(c, text, AB_RULE_EPSILON, false);
}

bool ab_set_stabilizer(struct ab_composite *c, const char *text)
{
    return set_eps_of(c, text, AB_RULE_EPSILON, true);
}

bool ab_set_norm_eps(struct ab_composite *c, const char *text)
{
    return set_number(text, 0, 1e30, &c->norm_eps);
}

bool ab_set_alpha(struct ab_composite *c, const char *text)
{
    float alpha;
    if (!set_number(text, 1, 1e6, &alpha)) return false;
    for (int i = 0; i < AB_POSITIONS; i++) c->rule[i].alpha = alpha;
    return true;
}

bool ab_set_beta(struct ab_composite *c, const char *text)
{
    float beta;
    if (!set_number(text, 0, 1e6, &beta)) return false;
    for (int i = 0; i < AB_POSITIONS; i++) c->rule[i].beta = beta;
    return true;
}

bool ab_set_bias(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"plus", "none", "signed"};
    const int i = ab_read_choice(text, words, AB_COUNT(words));
    if (i < 0) return false;
    for (int p = 0; p < AB_POSITIONS; p++) {
        const enum ab_rule_kind kind = c->rule[p].kind;
        if (kind == AB_RULE_ZPLUS || kind == AB_RULE_ALPHA_BETA)
            c->rule[p].bias = (enum ab_bias_rule)i;
    }
    return true;
}

/* Sets the bias of rules of `kind` to values[i], i the index of text among words. */
static bool set_bias_of(struct ab_composite *c, const char *text, enum ab_rule_kind kind,
                        const char *const *words, const enum ab_bias_rule *values, int count)
{
    const int i = ab_read_choice(text, words, count);
    for (int p = 0; p < AB_POSITIONS && i >= 0; p++)
        if (c->rule[p].kind == kind) c->rule[p].bias = values[i];
    return i >= 0;
}

bool ab_set_epsilon_bias(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"z", "none"};
    static const enum ab_bias_rule values[] = {AB_BIAS_SPLIT, AB_BIAS_NONE};
    return set_bias_of(c, text, AB_RULE_EPSILON, words, values, AB_COUNT(words));
}

bool ab_set_gamma_bias(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"gamma", "plain", "none"};
    static const enum ab_bias_rule values[] = {AB_BIAS_SPLIT, AB_BIAS_SIGNED, AB_BIAS_NONE};
    return set_bias_of(c, text, AB_RULE_GAMMA, words, values, AB_COUNT(words));
}

bool ab_set_wsquare_bias(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"none", "square"};
    static const enum ab_bias_rule values[] = {AB_BIAS_NONE, AB_BIAS_SIGNED};
    return set_bias_of(c, text, AB_RULE_WSQUARE, words, values, AB_COUNT(words));
}

bool ab_set_gamma(struct ab_composite *c, const char *text)
{
    float gamma;
    if (!set_number(text, 0, 1e6, &gamma)) return false;
    for (int i = 0; i < AB_POSITIONS; i++) c->rule[i].gamma = gamma;
    return true;
}

bool ab_set_form(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"general", "original"};
    const int i = ab_read_choice(text, words, AB_COUNT(words));
    for (int p = 0; p < AB_POSITIONS && i >= 0; p++)
        if (c->rule[p].kind == AB_RULE_GAMMA) c->rule[p].naive_sign = i == 1;
    return i >= 0;
}

bool ab_set_add(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"share", "copy"};
    const int i = ab_read_choice(text, words, AB_COUNT(words));
    c->copy_add = i == 1;
    return i >= 0;
}

bool ab_set_avgpool(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"share", "spread"};
    const int i = ab_read_choice(text, words, AB_COUNT(words));
    c->spread_pool = i == 1;
    return i >= 0;
}

bool ab_set_signed_input(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"split", "naive"};
    const int i = ab_read_choice(text, words, AB_COUNT(words));
    if (i < 0) return false;
    for (int p = 0; p < AB_POSITIONS; p++) {
        const enum ab_rule_kind kind = c->rule[p].kind;
        if (kind == AB_RULE_ZPLUS || kind == AB_RULE_ALPHA_BETA) c->rule[p].naive_sign = i == 1;
    }
    return true;
}

bool ab_read_channels(const char *text, float *to, int *count)
{
    *count = 0;
    for (;;) {
        char *end;
        const double value = strtod(text, &end);
        if (end == text || !isfinite(value) || *count == AB_MAX_CHANNEL_BOUNDS) return false;
        to[(*count)++] = (float)value;
        if (*end == '\0') return true;
        if (*end != '/') return false;
        text = end + 1;
    }
}

bool ab_set_low(struct ab_composite *c, const char *text)
{
    return ab_read_channels(text, c->rule[AB_POS_FIRST].low, &c->rule[AB_POS_FIRST].n_low);
}

bool ab_set_high(struct ab_composite *c, const char *text)
{
    return ab_read_channels(text, c->rule[AB_POS_FIRST].high, &c->rule[AB_POS_FIRST].n_high);
}

bool ab_set_q(struct ab_composite *c, const char *text)
{
    return ab_read_number(text, 0, 100, &c->q);
}

bool ab_set_tau_floor(struct ab_composite *c, const char *text)
{
    if (strcmp(text, "none") == 0) {
        c->tau_floor = -INFINITY;
        return true;
    }
    return set_number(text, -1e30, 1e30, &c->tau_floor);
}

static bool set_flag(bool *flag, const char *text)
{
    static const char *const words[] = {"0", "1"};
    const int i = ab_read_choice(text, words, AB_COUNT(words));
    *flag = i == 1;
    return i >= 0;
}

bool ab_set_input_mul(struct ab_composite *c, const char *text)
{
    return set_flag(&c->input_mul, text);
}

bool ab_set_prr(struct ab_composite *c, const char *text)
{
    return set_flag(&c->prr, text);
}

bool ab_set_pad_trick(struct ab_composite *c, const char *text)
{
    return set_flag(&c->pad_trick, text);
}

bool ab_set_gate(struct ab_composite *c, const char *text)
{
    return set_flag(&c->gate, text);
}

bool ab_set_positive(struct ab_composite *c, const char *text)
{
    return set_flag(&c->clamp, text);
}

bool ab_set_smooth_beta(struct ab_composite *c, const char *text)
{
    return set_number(text, 0, 1e6, &c->beta) && c->beta > 0;
}

bool ab_set_lift(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"rescale", "reveal-cancel", "genomics"};
    const int i = ab_read_choice(text, words, AB_COUNT(words));
    if (i >= 0) c->lift = (enum ab_lift)(AB_LIFT_RESCALE + i);
    return i >= 0;
}

bool ab_set_baseline(struct ab_composite *c, const char *text)
{
    c->n_baseline = 0;
    return strcmp(text, "given") == 0 || ab_read_channels(text, c->baseline, &c->n_baseline);
}

static const char *const seeds[] = {"one", "logit", "logit+", "softmax", "contrast"};

const char *ab_seed_name(enum ab_seed seed)
{
    return seeds[seed];
}

bool ab_set_seed(struct ab_composite *c, const char *text)
{
    const int i = ab_read_choice(text, seeds, AB_COUNT(seeds));
    if (i >= 0) c->seed = (enum ab_seed)i;
    return i >= 0;
}

bool ab_set_against(struct ab_composite *c, const char *text)
{
    double class;
    c->rival = 0;
    if (strcmp(text, "next") == 0) return true;
    if (!ab_read_number(text, 0, 1e9, &class) || class != floor(class)) return false;
    c->rival = (int)class + 1;
    return true;
}

bool ab_set_unknown(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"error", "pass"};
    const int i = ab_read_choice(text, words, AB_COUNT(words));
    c->unknown_pass = i == 1;
    return i >= 0;
}

static const char *check_bounds(const struct ab_rule *rule)
{
    if (!rule->n_low || rule->n_low != rule->n_high)
        return "low and high must both be given, with equally many values";
    for (int i = 0; i < rule->n_low; i++) {
        if (rule->low[i] > rule->high[i]) return "low must not be above high";
    }
    return NULL;
}

const char *ab_check_rule(const struct ab_rule *rule)
{
    switch (rule->kind) {
    case AB_RULE_ALPHA_BETA:
        return fabsf(rule->alpha - rule->beta - 1) > 1e-5f ? "alpha - beta must be 1: give both"
                                                           : NULL;
    case AB_RULE_GAMMA:
        return rule->bias == AB_BIAS_SIGNED && !rule->naive_sign
                   ? "bias=plain is a form of the original rule: add form=original"
                   : NULL;
    case AB_RULE_ZBOX: return check_bounds(rule);
    default: return NULL;
    }
}

const char *ab_check_rules(struct ab_composite *c)
{
    for (int p = 0; p < AB_POSITIONS; p++) {
        const char *wrong = ab_check_rule(&c->rule[p]);
        if (wrong) return wrong;
    }
    return NULL;
}

bool ab_set_layer(struct ab_composite *c, const char *text)
{
    if (!*text || strlen(text) >= sizeof c->layer) return false;
    memcpy(c->layer, text, strlen(text) + 1);
    return true;
}

bool ab_set_upsample(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"bilinear", "nearest"};
    const int i = ab_read_choice(text, words, AB_COUNT(words));
    c->nearest = i == 1;
    return i >= 0;
}

bool ab_set_cam_relu(struct ab_composite *c, const char *text)
{
    return set_flag(&c->cam_relu, text);
}
