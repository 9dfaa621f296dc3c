// SPDX-License-Identifier: Apache-2.0
// conv2d, Winograd F(2x2, 3x3), AVX-512.
//
// Registers: as the direct kernel, 2 dst blocks x 14 tiles. The transforms hold their 16 values.
#include "vec_avx512.h"

#define WINO_OUT      2
#define TILE_BLOCKS   2
#define TILE_PIXELS   14
#define TILE_TABLE(T) TILE_TO_14(T, 1) TILE_TO_14(T, 2)
#include "conv2d_winograd_tpl.h"

void ab_conv2d_avx512_winograd2(const void *p);

void ab_conv2d_avx512_winograd2(const void *p)
{
    conv2d_winograd(p);
}
