// SPDX-License-Identifier: Apache-2.0
// conv2d, direct, AVX2 with FMA.
//
// Registers: 1 dst block (2 vectors) x 6 pixels = 12 accumulators + 2 weights + 1 broadcast = 15
// of 16.
#include "vec_avx2.h"

#define TILE_BLOCKS   1
#define TILE_PIXELS   6
#define TILE_TABLE(T) T(1, 1) T(1, 2) T(1, 3) T(1, 4) T(1, 5) T(1, 6)
#include "conv2d_tpl.h"

void ab_conv2d_avx2(const void *p);

void ab_conv2d_avx2(const void *p)
{
    conv2d_direct(p);
}
