// SPDX-License-Identifier: Apache-2.0
// conv2d of few src channels, AVX2 with FMA.
//
// Registers: 1 dst block (2 vectors) x 6 pixels = 12 accumulators + 2 weights + 1 broadcast = 15
// of 16. Per src lane 12 FMA and 8 loads, two of each a cycle. 2 blocks x 3 pixels spill (gcc 12:
// 88 GFLOP/s against 104 on 3 -> 64 3x3 at 224), 5 pixels are 4 % slower.
#include "vec_avx2.h"

#define IMAGE_BLOCKS 1
#define IMAGE_PIXELS 6
#include "conv2d_image_tpl.h"

void ab_conv2d_avx2_image(const void *p);

void ab_conv2d_avx2_image(const void *p)
{
    conv2d_image(p);
}
