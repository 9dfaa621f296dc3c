// SPDX-License-Identifier: Apache-2.0
// DeepLIFT.
#include "method/params.h"

static const struct ab_param params[] = {
    {{"rule", "rescale", "rescale, reveal-cancel, genomics",
      "how a ReLU shares its difference: in proportion, apart for the positive and negative "
      "contributions, or so behind dense layers alone"},
     ab_set_lift},
    {{"baseline", "0", "number, v/v/.. per channel, or given",
      "the reference input, or given: ab_plan_baseline's images"},
     ab_set_baseline},
    {{"multiply", "1", "0, 1", "multiply by the image less the reference at the end"},
     ab_set_input_mul},
    AB_PARAM_SEED("one"),
};

const struct ab_method_desc ab_method_deeplift = {
    .name = "deeplift",
    .summary = "the logit's difference from a reference input, shared out completely",
    .source = "Shrikumar et al. 2017, arXiv 1704.02685",
    .cost = "1F+1B, given: 2F+1B; reveal-cancel: 2F+2B, given: 3F+2B",
    .tools = "captum (rescale)",
    .composite = {.lift = AB_LIFT_RESCALE,
                  .relu = AB_RELU_GRADIENT,
                  .rule = {[AB_POS_CONV] = {AB_RULE_GRADIENT}, [AB_POS_DENSE] = {AB_RULE_GRADIENT}},
                  .input_mul = true,
                  .n_baseline = 1},
    .params = params,
    .n_params = AB_COUNT(params),
};
