// SPDX-License-Identifier: Apache-2.0
// conv2d, Winograd F(2x2, 3x3), AVX2 with FMA.
//
// Registers: as the direct kernel, 1 dst block (2 vectors) x 6 tiles. The transforms just hold
// their 16 values.
#include "vec_avx2.h"

#define WINO_OUT      2
#define TILE_BLOCKS   1
#define TILE_PIXELS   6
#define TILE_TABLE(T) T(1, 1) T(1, 2) T(1, 3) T(1, 4) T(1, 5) T(1, 6)
#include "conv2d_winograd_tpl.h"

void ab_conv2d_avx2_winograd2(const void *p);

void ab_conv2d_avx2_winograd2(const void *p)
{
    conv2d_winograd(p);
}
