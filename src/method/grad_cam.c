// SPDX-License-Identifier: Apache-2.0
// Grad-CAM: the channels of a late layer, each weighted by the mean of its gradient.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_CAM, AB_PARAM_SEED("one"),
                                         AB_PARAM_COMPAT("captum")};

static const struct ab_compat compats[] = {{"captum", "relu=0,upsample=nearest"}};

const struct ab_method_desc ab_method_grad_cam = {
    .name = "grad-cam",
    .summary = "channels of a late layer weighted by the mean of their gradient",
    .source = "Selvaraju et al. 2017, arXiv 1610.02391",
    .cost = "1F, backward of the head alone",
    .tools = "captum",
    .composite =
        {.map = AB_MAP_CAM,
         .cam_relu = true,
         .rule = {[AB_POS_CONV] = {AB_RULE_GRADIENT}, [AB_POS_DENSE] = {AB_RULE_GRADIENT}}},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
};
