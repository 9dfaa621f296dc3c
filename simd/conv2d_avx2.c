// SPDX-License-Identifier: Apache-2.0
// conv2d, direct, AVX2 with FMA.
//
// Registers: 1 dst block (2 vectors) x 6 pixels = 12 accumulators + 2 weights + 1 broadcast = 15
// of 16. Per src lane 12 FMA and 8 loads, two of each a cycle. Widths that 6 does not divide are
// balanced (14 = 5+5+4). 4 vectors x 3 pixels, which keep more chains in rows of 7, are equal there
// on Zen 4 and lose up to 10 % on 1x1: twice the weights pass through L1 per FMA. More src lanes
// per iteration than 2 spill with gcc 12 (four lost 12 %).
//
// Chunk of 1x1 kernels: 256 channels * 16 dst lanes * 4 bytes = 16 KB of weights, half of L1, as
// each tile of 6 pixels reads them all.
#include "vec_avx2.h"

#define TILE_CHUNK    256
#define TILE_BLOCKS   1
#define TILE_PIXELS   6
#define TILE_TABLE(T) T(1, 1) T(1, 2) T(1, 3) T(1, 4) T(1, 5) T(1, 6)
#include "conv2d_unit_tpl.h"

void ab_conv2d_avx2(const void *p);

void ab_conv2d_avx2(const void *p)
{
    conv2d_direct_any(p);
}
