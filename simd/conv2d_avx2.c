// SPDX-License-Identifier: Apache-2.0
// conv2d, direct, AVX2 with FMA.
//
// Registers: 1 dst block (2 vectors) x 6 pixels = 12 accumulators + 2 weights + 1 broadcast = 15
// of 16. Per src lane 12 FMA and 8 loads, two of each a cycle. Widths that 6 does not divide are
// balanced (14 = 5+5+4). 4 vectors x 3 pixels, which keep more chains in rows of 7, are equal there
// on Zen 4 and lose up to 10 % on 1x1: twice the weights pass through L1 per FMA. More src lanes
// per iteration than 2 spill with gcc 12 (four lost 12 %).
//
// A last dst block of at most 8 channels adds its one vector to the block before: 3 vectors x 4
// pixels = 12 accumulators + 3 weights + 1 broadcast = 16. Two lanes per iteration cost 15 % there.
//
// Chunk of 1x1 kernels: 256 channels * 16 dst lanes * 4 bytes = 16 KB of weights, half of L1, as
// each tile of 6 pixels reads them all.
#include "vec_avx2.h"

#define TILE_CHUNK    256
#define TILE_BLOCKS   1
#define TILE_PIXELS   6
#define TILE_NARROW   4
#define TILE_WHOLE(T) T(2, 1) T(2, 2) T(2, 3) T(2, 4) T(2, 5) T(2, 6)
#define TILE_TABLE(T) TILE_WHOLE(T) T(3, 1) T(3, 2) T(3, 3) T(3, 4)
#include "conv2d_unit_tpl.h"

void ab_conv2d_avx2(const void *p);

void ab_conv2d_avx2(const void *p)
{
    conv2d_direct_any(p);
}
