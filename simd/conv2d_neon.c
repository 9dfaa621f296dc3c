// SPDX-License-Identifier: Apache-2.0
// conv2d, direct, NEON.
//
// Registers: half a dst block (2 vectors) x 8 pixels = 16 accumulators + 2 weights + 8 vectors of 4
// src lanes = 26 of 32, multiplied by lane. Wider tiles by lane spill with gcc 12 (2x10: 5 stack
// references in the loop, 3x8: 25).
#include "vec_neon.h"

AB_SOURCE_ORDER

#define TILE_CHUNK    1152
#define TILE_BLOCKS   1
#define TILE_PIXELS   8
#define TILE_TABLE(T) T(2, 1) T(2, 2) T(2, 3) T(2, 4) T(2, 5) T(2, 6) T(2, 7) T(2, 8)
#include "conv2d_unit_tpl.h"

void ab_conv2d_neon(const void *p);

void ab_conv2d_neon(const void *p)
{
    conv2d_direct_any(p);
}
