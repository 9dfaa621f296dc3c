// SPDX-License-Identifier: Apache-2.0
// conv2d with few dst channels, NEON.
//
// Registers: 6 pixels x 3 outputs = 18 accumulators + 3 weights + 1 src vector = 22 of 32.
#include "vec_neon.h"

AB_SOURCE_ORDER
#define DOT_PIXELS(outputs) ((outputs) == 3 ? 6 : (outputs) == 4 ? 4 : 8)
#include "conv2d_dot_tpl.h"

void ab_conv2d_neon_dot(const void *p);

void ab_conv2d_neon_dot(const void *p)
{
    conv2d_dot(p);
}
