// SPDX-License-Identifier: Apache-2.0
// conv2d with few dst channels, AVX-512.
//
// Registers: 8 pixels x 3 outputs = 24 accumulators + 3 weights + 1 src vector = 28 of 32.
#include "vec_avx512.h"

#define DOT_PIXELS(outputs) ((outputs) == 3 ? 8 : (outputs) == 4 ? 6 : 12)
#include "conv2d_dot_tpl.h"

void ab_conv2d_avx512_dot(const void *p);

void ab_conv2d_avx512_dot(const void *p)
{
    conv2d_dot(p);
}
