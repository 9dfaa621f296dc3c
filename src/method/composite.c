// SPDX-License-Identifier: Apache-2.0
// A user's own composite: a rule for each layer that a selector names.
#include "method/params.h"
#include "method/rule_text.h"

#include <string.h>

static bool set_relu(struct ab_composite *c, const char *text)
{
    static const struct {
        const char *name;
        enum ab_relu_rule rule;
    } rows[] = {{"pass", AB_RELU_PASS},
                {"gradient", AB_RELU_GRADIENT},
                {"guided", AB_RELU_GUIDED},
                {"deconv", AB_RELU_DECONV}};
    for (int i = 0; i < AB_COUNT(rows); i++) {
        if (strcmp(text, rows[i].name) != 0) continue;
        c->relu = rows[i].rule;
        return true;
    }
    return false;
}

static const struct ab_param params[] = {
    {{"rules", "", "SELECTOR=RULE(key=value,..);..",
      "the rule of each linear layer, first match wins; selectors: first, last, conv, dense, or a "
      "pattern of layer names with * and ?"},
     NULL},
    {{"file", "", "a path", "the same from a file, SELECTOR RULE key=value .. a line"}, NULL},
    {{"relu", "pass", "pass, gradient, guided, deconv", "how the signal passes a ReLU"}, set_relu},
    AB_PARAM_NORM_EPS,
    AB_PARAM_ADD,
    AB_PARAM_AVGPOOL,
    {{"input_mul", "0", "0, 1", "multiply by the image at the end"}, ab_set_input_mul},
    AB_PARAM_SEED("logit"),
    AB_PARAM_UNKNOWN};

static enum ab_status read_rules(struct ab_composite *c, const char *key, const char *text,
                                 struct ab_error *err)
{
    return strcmp(key, "file") == 0 ? ab_read_rule_file(c, text, err) : ab_read_rules(c, text, err);
}

static const char *check(struct ab_composite *c)
{
    return c->rules ? NULL : "needs rules=SELECTOR=RULE(key=value,...);... or file=PATH";
}

const struct ab_method_desc ab_method_composite = {
    .name = "composite",
    .summary = "the user's own LRP composite: a rule for each selector of layers",
    .source = "none: rules as given",
    .cost = "1F+1B to 2F+2B, by its rules",
    .tools = "zennit",
    .needs = "rules or file",
    .composite = {.seed = AB_SEED_LOGIT,
                  .relu = AB_RELU_PASS,
                  .relevance = true,
                  .norm_eps = 1e-6f},
    .params = params,
    .n_params = AB_COUNT(params),
    .read = read_rules,
    .check = check,
};
