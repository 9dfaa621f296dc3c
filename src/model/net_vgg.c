// SPDX-License-Identifier: Apache-2.0
// VGG-16 and VGG-19 for RGB images and 1000 classes, with torchvision's layer names. Its adaptive
// average pooling to 7x7 is the identity at 224x224, its dropout at inference; the latter's indices
// are left out of the numbering.
#include "model/graph.h"

#include <stdio.h>

static const char *numbered(char *text, size_t size, const char *part, int number)
{
    snprintf(text, size, "%s.%d", part, number);
    return text;
}

/* Five max-pools halve each side and drop an odd row. */
static int features(int side)
{
    return side / 32;
}

/* `convs`: how many 3x3 convolutions each stage has before its max-pool. */
static int vgg(struct ab_builder *b, const int convs[5])
{
    static const int channels[5] = {64, 128, 256, 512, 512};
    char name[32];
    int layer = 0, at = ab_build_image(b, features, 7);
    for (int stage = 0; stage < 5; stage++) {
        for (int i = 0; i < convs[stage]; i++) {
            numbered(name, sizeof name, "features", layer++);
            at = ab_build_conv(b, name, at, channels[stage], 3, 1, 1, 1, true);
            at = ab_build_relu(b, numbered(name, sizeof name, "features", layer++), at);
        }
        numbered(name, sizeof name, "features", layer++);
        at = ab_build_maxpool(b, name, at, 2, 2, 0, false);
    }
    at = ab_build_avgpool_to(b, "avgpool", at, 7);
    at = ab_build_flatten(b, "flatten", at);
    at = ab_build_dense(b, "classifier.0", at, 4096, true);
    at = ab_build_relu(b, "classifier.1", at);
    at = ab_build_dense(b, "classifier.3", at, 4096, true);
    at = ab_build_relu(b, "classifier.4", at);
    return ab_build_dense(b, "classifier.6", at, 1000, true);
}

int ab_net_vgg16(struct ab_builder *b)
{
    return vgg(b, (const int[5]){2, 2, 3, 3, 3});
}

int ab_net_vgg19(struct ab_builder *b)
{
    return vgg(b, (const int[5]){2, 2, 4, 4, 4});
}
