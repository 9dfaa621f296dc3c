// SPDX-License-Identifier: Apache-2.0
// conv2d, direct, AVX2 with FMA.
//
// Registers: 1 dst block (2 vectors) x 6 pixels = 12 accumulators + 2 weights + 1 broadcast = 15
// of 16. Per src lane 12 FMA and 8 loads, two of each a cycle. Widths that 6 does not divide are
// balanced (14 = 5+5+4); tiles of 3 pixels have 6 chains where 2 FMA ports x 4 cycles want 8, so
// rows of 7 lose about 10 %. In prototypes on a Xeon, 4 vectors x 3 pixels mended that with gcc
// (98 against 85 GFLOP/s) but lost 30 % with clang 14. Four src lanes per iteration instead of one
// lost 12 % with gcc 12, which spilled.
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
