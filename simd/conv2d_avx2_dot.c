// SPDX-License-Identifier: Apache-2.0
// conv2d with few dst channels, AVX2 with FMA.
//
// Registers: 3 pixels x 3 outputs = 9 accumulators + 3 weights + 1 src vector = 13 of 16, and 9
// chains where 2 FMA ports x 4 cycles want 8. 4 pixels fill all 16 and lose 15 % (gcc 12, 7x7
// stride 2: 85 GFLOP/s against 100).
#include "vec_avx2.h"

#define DOT_PIXELS(outputs) ((outputs) == 3 ? 3 : (outputs) == 4 ? 2 : 6)
#include "conv2d_dot_tpl.h"

void ab_conv2d_avx2_dot(const void *p);

void ab_conv2d_avx2_dot(const void *p)
{
    conv2d_dot(p);
}
