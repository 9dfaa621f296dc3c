// SPDX-License-Identifier: Apache-2.0
// conv2d of few src channels, NEON.
//
// Registers: half a dst block (2 vectors) x 8 pixels = 16 accumulators + 2 weights + 1 broadcast.
#include "vec_neon.h"

#define IMAGE_BLOCKS 1
#define IMAGE_PIXELS 8
#include "conv2d_image_tpl.h"

void ab_conv2d_neon_image(const void *p);

void ab_conv2d_neon_image(const void *p)
{
    conv2d_image(p);
}
