// SPDX-License-Identifier: Apache-2.0
// Control: edges of the image.
#include "method/params.h"

const struct ab_method_desc ab_method_edges = {
    .name = "edges",
    .summary = "control: magnitude of Sobel's gradient of each channel",
    .source = "Adebayo et al. 2018, arXiv 1810.03292",
    .cost = "1F",
    .tools = "Quantus",
    .composite = {.map = AB_MAP_EDGES},
};
