// SPDX-License-Identifier: Apache-2.0
// Grad-CAM++: weights that stand for several places of an object, in closed form for exp(logit).
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_CAM, AB_PARAM_SEED("one")};

const struct ab_method_desc ab_method_grad_cam_plus_plus = {
    .name = "grad-cam++",
    .summary = "grad-cam with weights for objects that occur several times",
    .source = "Chattopadhay et al. 2018, arXiv 1710.11063",
    .cost = "1F, backward of the head alone",
    .tools = "pytorch-grad-cam",
    .composite =
        {.map = AB_MAP_CAM,
         .cam = AB_CAM_PLUS_PLUS,
         .cam_relu = true,
         .rule = {[AB_POS_CONV] = {AB_RULE_GRADIENT}, [AB_POS_DENSE] = {AB_RULE_GRADIENT}}},
    .params = params,
    .n_params = AB_COUNT(params),
};
