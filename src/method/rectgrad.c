// SPDX-License-Identifier: Apache-2.0
// RectGrad: ReLUs pass the signal of units whose activation times signal is above a percentile of
// the layer.
#include "method/params.h"

#include <string.h>

/* Above the threshold 0 are the positive signals of active units: Guided Backprop's rule. */
static bool set_variant(struct ab_composite *c, const char *text)
{
    const bool constant = strcmp(text, "constant") == 0, modified = strcmp(text, "modified") == 0;
    c->relu = constant ? AB_RELU_GUIDED : AB_RELU_RECT;
    c->rect = modified ? AB_RECT_MODIFIED : AB_RECT_PERCENTILE;
    return constant || modified || strcmp(text, "percentile") == 0;
}

static const struct ab_param params[] = {
    {{"q", "98", "0..100", "percentile of activation x signal per layer and image (nearest rank)"},
     ab_set_q},
    {{"tau_floor", "0", "number, none",
      "lower bound of the threshold; none: inactive units may pass"},
     ab_set_tau_floor},
    {{"variant", "percentile", "percentile, modified, constant",
      "threshold: the percentile; that of absolute values, which then count; 0"},
     set_variant},
    {{"prr", "0", "0, 1", "max-pools share in proportion to their inputs (RectifiedGradientPRR)"},
     ab_set_prr},
    {{"pad_trick", "0", "0, 1", "signals at padded convolutions lose their outermost pixels"},
     ab_set_pad_trick},
    {{"gate", "0", "0, 1", "inactive units never pass, even where the threshold is negative"},
     ab_set_gate},
    {{"input_mul", "1", "0, 1", "multiply by the image at the end"}, ab_set_input_mul},
    {{"positive", "0", "0, 1", "keep what is positive at the end"}, ab_set_positive},
    AB_PARAM_SEED("one"),
    AB_PARAM_COMPAT("author"),
};

static const struct ab_compat compats[] = {{"author", "tau_floor=none,pad_trick=1"}};

const struct ab_method_desc ab_method_rectgrad = {
    .name = "rectgrad",
    .summary = "the gradient through the most important units of each layer only",
    .source = "Kim et al. 2019, arXiv 1902.04893",
    .cost = "1F+1B",
    .tools = "none",
    .composite = {.relu = AB_RELU_RECT,
                  .rule = {[AB_POS_CONV] = {AB_RULE_GRADIENT}, [AB_POS_DENSE] = {AB_RULE_GRADIENT}},
                  .input_mul = true,
                  .q = 98},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
};
