// SPDX-License-Identifier: Apache-2.0
// Every method of the library with what must hold of it, read off its composite: degrees in the
// head's weights and the image, signs, conservation.
#ifndef AB_TESTS_SPECS_H
#define AB_TESTS_SPECS_H

#include "method/method.h"
#include "nets.h"

enum { MAX_SPECS = 96, SPEC = 160 };

enum { NOT_HOMOGENEOUS = -1 };

struct spec {
    char text[SPEC];
    const struct ab_method_info *info;
    struct ab_composite composite;
    bool listed;      /* a user's own rules */
    bool sampled;     /* runs a plan many times */
    bool signed_free; /* no negative element for a positive seed, given a gated network */
    bool exact_sign;  /* and none by rounding */
    bool conserves;   /* without biases relevance sums to the seed */
    bool sums;        /* with z+ rules: or to 0 where nothing contributes to the logit */
    bool weighs;      /* gives relevance to zeros, which averages and sums then lose */
    int by_head;      /* degree of the map in the last layer's weights and bias */
    int by_image;     /* and, without biases, in the image */
};

/* Methods whose degrees do not follow from composite.input_mul and .relevance. */
static const struct {
    const char *name;
    int by_head, by_image;
} degrees[] = {
    {"beta-smooth", 1, NOT_HOMOGENEOUS},
    {"integrated-gradients", 1, 1},
    {"gradient-shap", 1, NOT_HOMOGENEOUS},
    {"deeplift-shap", 1, NOT_HOMOGENEOUS},
    {"smoothgrad-squared", 2, 0},
    {"vargrad", 2, 0},
    {"occlusion", 1, 1},
    {"grad-cam", 1, 1},
    {"guided-grad-cam", 2, 1},
    {"grad-cam++", NOT_HOMOGENEOUS, NOT_HOMOGENEOUS},
    {"layer-cam", 1, 1},
    {"input", 0, 1},
    {"random", 0, NOT_HOMOGENEOUS},
    {"edges", 0, 1},
};

static inline bool has_rule(const struct ab_composite *c, enum ab_rule_kind kind)
{
    for (int p = 0; p < AB_POSITIONS; p++) {
        if (c->rule[p].kind == kind) return true;
    }
    return false;
}

/* Inside the network, not just in its first layer. */
static inline bool rule_at(const struct ab_composite *c, enum ab_rule_kind kind)
{
    return c->rule[AB_POS_CONV].kind == kind || c->rule[AB_POS_DENSE].kind == kind;
}

static inline bool needs_bounds(const struct spec *s)
{
    return has_rule(&s->composite, AB_RULE_ZBOX);
}

static inline void classify(struct spec *s)
{
    const struct ab_composite *c = &s->composite;
    s->sampled = s->info->cost[0] == 'n';
    s->by_head = c->relevance ? 0 : 1;
    s->by_image = c->input_mul ? 1 : 0;
    if (needs_bounds(s)) s->by_image = NOT_HOMOGENEOUS;
    for (size_t i = 0; i < sizeof degrees / sizeof *degrees; i++) {
        if (strcmp(degrees[i].name, s->info->name) != 0) continue;
        s->by_head = degrees[i].by_head;
        s->by_image = degrees[i].by_image;
    }
    const bool mixed = has_rule(c, AB_RULE_GRADIENT) || has_rule(c, AB_RULE_ALPHA_BETA);
    s->conserves =
        c->relevance && !s->sampled && !mixed && !s->listed && !c->copy_add && !c->spread_pool;
    s->sums = has_rule(c, AB_RULE_ZPLUS);
    s->weighs = rule_at(c, AB_RULE_WSQUARE) || rule_at(c, AB_RULE_FLAT);
    s->signed_free = s->conserves && !has_rule(c, AB_RULE_EPSILON) && !has_rule(c, AB_RULE_GAMMA);
    s->exact_sign = s->signed_free && !needs_bounds(s);
}

static inline bool has_param(const struct ab_method_info *info, const char *key, const char *value)
{
    for (int p = 0; p < info->n_params; p++) {
        if (strcmp(info->params[p].key, key) == 0)
            return !value || strstr(info->params[p].values, value);
    }
    return false;
}

static inline void add_param(struct spec *s, const char *pair)
{
    const size_t used = strlen(s->text);
    snprintf(s->text + used, sizeof s->text - used, "%s%s", strchr(s->text, ':') ? "," : ":", pair);
}

static inline bool parse(struct spec *s, struct ab_error *err)
{
    struct ab_method *method = NULL;
    if (ab_method_parse(s->text, &method, err)) return false;
    s->composite = method->composite;
    s->listed = method->composite.rules != NULL;
    s->composite.rules = NULL; /* the method's own */
    ab_method_destroy(&method);
    classify(s);
    return true;
}

/* What a method cannot do without. */
static const char *const required[] = {"low=-9,high=9",
                                       "rules=conv=zplus(eps=0);dense=epsilon(eps=0)"};

/* `name`, seeded by 1 and without stabilisers: then powers of two pass through bit for bit. */
static inline struct spec plain_spec(const struct ab_method_info *info, const char *more)
{
    struct ab_error err = {""};
    struct spec s = {.info = info};
    snprintf(s.text, sizeof s.text, "%s", info->name);
    if (*more) add_param(&s, more);
    if (!strstr(more, "seed=") && has_param(info, "seed", "logit")) add_param(&s, "seed=one");
    if (has_param(info, "eps", NULL)) add_param(&s, "eps=0");
    if (has_param(info, "stabilizer", NULL)) add_param(&s, "stabilizer=0");
    if (has_param(info, "norm_eps", NULL)) add_param(&s, "norm_eps=0");
    if (has_param(info, "n", NULL)) add_param(&s, "n=3");
    if (has_param(info, "window", NULL)) add_param(&s, "window=4,stride=4");
    for (size_t i = 0; !parse(&s, &err); i++) {
        CHECK(i < sizeof required / sizeof *required, "%s", err.text);
        char *end = s.text + strlen(s.text);
        add_param(&s, required[i]);
        if (!parse(&s, &err)) *end = '\0';
    }
    return s;
}

/* The spec `text` as it is. */
static inline struct spec given_spec(const char *text)
{
    int count;
    struct ab_error err = {""};
    const struct ab_method_info *infos = ab_methods(&count);
    struct spec s = {.info = infos};
    const size_t length = strcspn(text, ":");
    while (strlen(s.info->name) != length || strncmp(s.info->name, text, length) != 0) {
        CHECK(++s.info < infos + count, "no method %s", text);
    }
    snprintf(s.text, sizeof s.text, "%s", text);
    CHECK(parse(&s, &err), "%s", err.text);
    return s;
}

#define RECT_AT_0 "rectgrad:variant=constant,input_mul=0"

/* Every method of the library, and what identities compare them with. */
static inline int all_specs(struct spec *specs)
{
    static const char *const more[] = {RECT_AT_0, "rectgrad:q=80",
                                       "lrp-alpha-beta:alpha=1,beta=0,eps=0,norm_eps=0,seed=one",
                                       "lrp-0", "lrp-zplus:eps=0.5,norm_eps=0,seed=one"};
    int count, n = 0;
    const struct ab_method_info *infos = ab_methods(&count);
    for (int m = 0; m < count && n < MAX_SPECS - 8; m++) specs[n++] = plain_spec(&infos[m], "");
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) specs[n++] = given_spec(more[i]);
    CHECK(n >= count + (int)(sizeof more / sizeof *more), "more than %d methods", MAX_SPECS);
    return n;
}

#endif
