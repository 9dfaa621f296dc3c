// SPDX-License-Identifier: Apache-2.0
// MobileNetV2 for 3x224x224 images and 1000 classes, with torchvision's layer names.
#include "model/graph.h"

#include <stdio.h>

static const float relu6 = 6;

/* Standard deviations that keep the network's scale, as a trained one has it: 2 in front of a
 * ReLU6, so that about one unit in a thousand is at its cap; behind the linear end of a block a
 * third of that. He initialisation takes a ReLU before each layer for granted and doubles the
 * variance where there is none: 1/sqrt(2) becomes 1 in the next expansion. A block that is added to
 * its input counts half, so that sums grow slowly. */
static const double spread_gain = 2, linear_gain = 0.35, residual_gain = 0.175;

/* Convolution k x k with its batch-norm, <prefix>.<i> and <prefix>.<i+1>. */
struct layer {
    int oc, k, stride, groups;
    double gain;
};

static int conv_bn(struct ab_builder *b, const char *prefix, int i, int in, struct layer l)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%d", prefix, i);
    const int at = ab_build_conv(b, name, in, l.oc, l.k, l.stride, l.k / 2, l.groups, false);
    snprintf(name, sizeof name, "%s.%d", prefix, i + 1);
    return ab_build_batchnorm_gain(b, name, at, l.gain);
}

/* The same with its ReLU6: <prefix>.0, .1 and .2. */
static int conv_bn_relu(struct ab_builder *b, const char *prefix, int in, struct layer l)
{
    char name[96];
    const int at = conv_bn(b, prefix, 0, in, l);
    snprintf(name, sizeof name, "%s.2", prefix);
    return ab_build_capped_relu(b, name, at, relu6);
}

/* `channels` wide at its beginning, `expand` times as wide between. */
static int block(struct ab_builder *b, const char *name, int in, int channels, int expand, int oc,
                 int stride)
{
    char part[64];
    const bool residual = stride == 1 && channels == oc;
    const int width = channels * expand;
    int at = in, next = 0;
    if (expand > 1) {
        snprintf(part, sizeof part, "%s.conv.%d", name, next++);
        at = conv_bn_relu(b, part, at, (struct layer){width, 1, 1, 1, spread_gain});
    }
    snprintf(part, sizeof part, "%s.conv.%d", name, next++);
    at = conv_bn_relu(b, part, at, (struct layer){width, 3, stride, width, 1});
    snprintf(part, sizeof part, "%s.conv", name);
    const double gain = residual ? residual_gain : linear_gain;
    at = conv_bn(b, part, next, at, (struct layer){oc, 1, 1, 1, gain});
    if (!residual) return at;
    snprintf(part, sizeof part, "%s.add", name);
    return ab_build_add(b, part, in, at);
}

int ab_net_mobilenet_v2(struct ab_builder *b)
{
    static const struct {
        int expand, oc, blocks, stride;
    } stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                  {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    enum { STAGES = sizeof stages / sizeof *stages };
    char name[32];
    int channels = 32, number = 0;
    int at = ab_build_input(b, 3, 224, 224);
    snprintf(name, sizeof name, "features.%d", number++);
    at = conv_bn_relu(b, name, at, (struct layer){channels, 3, 2, 1, spread_gain});
    for (int s = 0; s < STAGES; s++) {
        for (int i = 0; i < stages[s].blocks; i++) {
            snprintf(name, sizeof name, "features.%d", number++);
            at = block(b, name, at, channels, stages[s].expand, stages[s].oc,
                       i ? 1 : stages[s].stride);
            channels = stages[s].oc;
        }
    }
    snprintf(name, sizeof name, "features.%d", number);
    at = conv_bn_relu(b, name, at, (struct layer){1280, 1, 1, 1, spread_gain});
    at = ab_build_global_avgpool(b, "avgpool", at);
    at = ab_build_flatten(b, "flatten", at);
    return ab_build_dense(b, "classifier.1", at, 1000, true);
}
