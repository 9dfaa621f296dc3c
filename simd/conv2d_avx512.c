// SPDX-License-Identifier: Apache-2.0
// conv2d, direct, AVX-512.
//
// Registers: 2 dst blocks x 14 pixels = 28 accumulators + 2 weights + 1 broadcast = 31 of 32. Per
// src lane 28 FMA, 2 loads, 14 broadcasts: bound by the FMA ports of Zen 4 (one 512-bit FMA a
// cycle) as of Intel server cores. 14 divides 224, 112, 56, 28 and 14; a row of 7 still has 14
// chains, more than the 4 cycles of latency need. In prototypes on a Xeon, 2x12 and 4x6 were equal
// within noise and 4x7 (33 registers) lost 15 % with gcc. Four src lanes per iteration instead of
// one bring nothing. Chunks of 1x1 kernels are as long as those of others: shorter ones (256, 288,
// 576) lose 1 to 3 %, since a tile of 14 pixels uses each weight often enough to stream it from L2.
//
// A last dst block of at most 8 channels is summed in the lower halves of its registers: one
// 256-bit FMA beside each of 512 bits, half the work on Zen 4. One vector for the 8 channels of two
// pixels gained half as much, for blends take FMA slots.
#include "vec_avx512.h"

#define TILE_CHUNK    1152
#define TILE_BLOCKS   2
#define TILE_PIXELS   14
#define TILE_NARROW   14
#define TILE_TABLE(T) TILE_TO_14(T, 2) TILE_TO_14(T, 3) TILE_TO_14(T, 4)
#include "conv2d_unit_tpl.h"

void ab_conv2d_avx512(const void *p);

void ab_conv2d_avx512(const void *p)
{
    conv2d_direct_any(p);
}
