// SPDX-License-Identifier: Apache-2.0
// LayerCAM: each element of a layer weighted by its own positive gradient.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_CAM, AB_PARAM_SEED("one")};

const struct ab_method_desc ab_method_layer_cam = {
    .name = "layer-cam",
    .summary = "elements of a layer weighted by their positive gradient",
    .source = "Jiang et al. 2021, doi 10.1109/TIP.2021.3089943",
    .cost = "1F, backward of the head alone",
    .tools = "pytorch-grad-cam",
    .composite =
        {.map = AB_MAP_CAM,
         .cam = AB_CAM_LAYER,
         .cam_relu = true,
         .rule = {[AB_POS_CONV] = {AB_RULE_GRADIENT}, [AB_POS_DENSE] = {AB_RULE_GRADIENT}}},
    .params = params,
    .n_params = AB_COUNT(params),
};
