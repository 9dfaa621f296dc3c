// SPDX-License-Identifier: Apache-2.0
// ResNet-18 and ResNet-50 for RGB images and 1000 classes, with torchvision's layer names. A
// module that a block calls several times gets a node each: relu, relu_1, relu_2.
#include "model/graph.h"

#include <stdio.h>

/* The last batch-norm of a block: with half the scale a block adds a quarter of the variance of
 * what it gets, so that activations grow by less than a factor of ten from end to end. */
static const double residual_gain = 0.5;

/* One convolution with its batch-norm: <block>.conv<i> and <block>.bn<i>. */
struct layer {
    int oc, k, stride;
    double gain;
};

static int conv_bn(struct ab_builder *b, const char *block, int i, int in, struct layer l)
{
    char name[64];
    snprintf(name, sizeof name, "%s.conv%d", block, i);
    int at = ab_build_conv(b, name, in, l.oc, l.k, l.stride, l.k / 2, 1, false);
    snprintf(name, sizeof name, "%s.bn%d", block, i);
    return ab_build_batchnorm_gain(b, name, at, l.gain);
}

/* The i-th call of the block's relu. */
static int relu(struct ab_builder *b, const char *block, int i, int in)
{
    char name[64];
    if (i == 0)
        snprintf(name, sizeof name, "%s.relu", block);
    else
        snprintf(name, sizeof name, "%s.relu_%d", block, i);
    return ab_build_relu(b, name, in);
}

static int downsample(struct ab_builder *b, const char *block, int in, int oc, int stride)
{
    char name[64];
    snprintf(name, sizeof name, "%s.downsample.0", block);
    int at = ab_build_conv(b, name, in, oc, 1, stride, 0, 1, false);
    snprintf(name, sizeof name, "%s.downsample.1", block);
    return ab_build_batchnorm(b, name, at);
}

static int residual(struct ab_builder *b, const char *block, const struct layer *layers, int n,
                    int in, bool project)
{
    int at = in, stride = 1;
    for (int i = 0; i < n; i++) {
        at = conv_bn(b, block, i + 1, at, layers[i]);
        if (i < n - 1) at = relu(b, block, i, at);
        stride *= layers[i].stride;
    }
    if (project) in = downsample(b, block, in, layers[n - 1].oc, stride);
    char name[64];
    snprintf(name, sizeof name, "%s.add", block);
    return relu(b, block, n - 1, ab_build_add(b, name, at, in));
}

static int basic(struct ab_builder *b, const char *block, int in, int width, int stride,
                 bool project)
{
    const struct layer layers[] = {{width, 3, stride, 1}, {width, 3, 1, residual_gain}};
    return residual(b, block, layers, 2, in, project);
}

static int bottleneck(struct ab_builder *b, const char *block, int in, int width, int stride,
                      bool project)
{
    const struct layer layers[] = {
        {width, 1, 1, 1}, {width, 3, stride, 1}, {4 * width, 1, 1, residual_gain}};
    return residual(b, block, layers, 3, in, project);
}

/* A basic block, width 64, keeps the stem's channels: layer 1 then needs no projection. */
static int resnet(struct ab_builder *b, const int blocks[4], bool wide)
{
    int at = ab_build_input(b, 3, b->h, b->w);
    at = ab_build_conv(b, "conv1", at, 64, 7, 2, 3, 1, false);
    at = ab_build_batchnorm(b, "bn1", at);
    at = ab_build_relu(b, "relu", at);
    at = ab_build_maxpool(b, "maxpool", at, 3, 2, 1, false);
    for (int layer = 0; layer < 4; layer++) {
        for (int i = 0; i < blocks[layer]; i++) {
            char name[32];
            snprintf(name, sizeof name, "layer%d.%d", layer + 1, i);
            int stride = layer > 0 && i == 0 ? 2 : 1;
            bool project = i == 0 && (wide || layer > 0);
            at = (wide ? bottleneck : basic)(b, name, at, 64 << layer, stride, project);
        }
    }
    at = ab_build_global_avgpool(b, "avgpool", at);
    at = ab_build_flatten(b, "flatten", at);
    return ab_build_dense(b, "fc", at, 1000, true);
}

int ab_net_resnet18(struct ab_builder *b)
{
    return resnet(b, (const int[4]){2, 2, 2, 2}, false);
}

int ab_net_resnet50(struct ab_builder *b)
{
    return resnet(b, (const int[4]){3, 4, 6, 3}, true);
}
