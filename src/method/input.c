// SPDX-License-Identifier: Apache-2.0
// Control: the image itself.
#include "method/params.h"

const struct ab_method_desc ab_method_input = {
    .name = "input",
    .summary = "control: the image itself",
    .source = "Adebayo et al. 2018, arXiv 1810.03292",
    .cost = "1F",
    .tools = "iNNvestigate",
    .composite = {.map = AB_MAP_INPUT},
};
