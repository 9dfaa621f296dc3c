// SPDX-License-Identifier: Apache-2.0
// conv2d of few src channels, AVX-512.
//
// Registers: 2 dst blocks x 7 pixels = 14 accumulators + 2 weights + 1 broadcast. Per src lane 14
// FMA, 2 loads and 7 broadcasts. On Zen 4, 3 -> 64 3x3 at 224, GFLOP/s (oneDNN 109): 2x7 107, 1x8
// 100, 2x14 98, 1x14 93, 1x28 80. The wide tiles probably lose by the burst of stores after each;
// 1x8, probably, by its 9 loads for 8 FMA where 2x7 has 9 for 14.
#include "vec_avx512.h"

#define IMAGE_BLOCKS 2
#define IMAGE_PIXELS 7
#include "conv2d_image_tpl.h"

void ab_conv2d_avx512_image(const void *p);

void ab_conv2d_avx512_image(const void *p)
{
    conv2d_image(p);
}
