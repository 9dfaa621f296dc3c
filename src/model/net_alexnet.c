// SPDX-License-Identifier: Apache-2.0
// AlexNet for RGB images and 1000 classes, with torchvision's layer names; its adaptive average
// pooling to 6x6 is the identity at 224x224.
#include "model/graph.h"

/* A convolution of 11 rows by steps of 4, padded by 2, and three poolings of 3 rows by steps of 2.
 */
static int features(int side)
{
    int rows = (side - 7) / 4 + 1;
    for (int i = 0; i < 3; i++) rows = rows < 3 ? 0 : (rows - 3) / 2 + 1;
    return rows;
}

int ab_net_alexnet(struct ab_builder *b)
{
    int at = ab_build_image(b, features, 6);
    at = ab_build_conv(b, "features.0", at, 64, 11, 4, 2, 1, true);
    at = ab_build_relu(b, "features.1", at);
    at = ab_build_maxpool(b, "features.2", at, 3, 2, 0, false);
    at = ab_build_conv(b, "features.3", at, 192, 5, 1, 2, 1, true);
    at = ab_build_relu(b, "features.4", at);
    at = ab_build_maxpool(b, "features.5", at, 3, 2, 0, false);
    at = ab_build_conv(b, "features.6", at, 384, 3, 1, 1, 1, true);
    at = ab_build_relu(b, "features.7", at);
    at = ab_build_conv(b, "features.8", at, 256, 3, 1, 1, 1, true);
    at = ab_build_relu(b, "features.9", at);
    at = ab_build_conv(b, "features.10", at, 256, 3, 1, 1, 1, true);
    at = ab_build_relu(b, "features.11", at);
    at = ab_build_maxpool(b, "features.12", at, 3, 2, 0, false);
    at = ab_build_avgpool_to(b, "avgpool", at, 6);
    at = ab_build_flatten(b, "flatten", at);
    at = ab_build_dense(b, "classifier.1", at, 4096, true);
    at = ab_build_relu(b, "classifier.2", at);
    at = ab_build_dense(b, "classifier.4", at, 4096, true);
    at = ab_build_relu(b, "classifier.5", at);
    return ab_build_dense(b, "classifier.6", at, 1000, true);
}
