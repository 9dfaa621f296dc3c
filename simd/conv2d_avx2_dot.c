// SPDX-License-Identifier: Apache-2.0
// conv2d with few dst channels, AVX2 with FMA.
//
// Registers: 4 pixels x 3 outputs = 12 accumulators + 3 weights + 1 src vector = 16 of 16. Other
// numbers of outputs keep to the same 16.
#include "vec_avx2.h"

#define DOT_PIXELS(outputs) ((outputs) == 3 ? 4 : (outputs) == 4 ? 2 : 6)
#include "conv2d_dot_tpl.h"

void ab_conv2d_avx2_dot(const void *p);

void ab_conv2d_avx2_dot(const void *p)
{
    conv2d_dot(p);
}
