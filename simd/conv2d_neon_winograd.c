// SPDX-License-Identifier: Apache-2.0
// conv2d, Winograd F(4x4, 3x3), NEON.
//
// Registers: as the direct kernel, half a dst block (2 vectors) x 8 tiles by lane.
#include "vec_neon.h"

AB_SOURCE_ORDER
#define WINO_OUT      4
#define TILE_BLOCKS   1
#define TILE_PIXELS   8
#define TILE_TABLE(T) T(1, 1) T(1, 2) T(1, 3) T(1, 4) T(1, 5) T(1, 6) T(1, 7) T(1, 8)
#include "conv2d_winograd_tpl.h"

void ab_conv2d_neon_winograd(const void *p);

void ab_conv2d_neon_winograd(const void *p)
{
    conv2d_winograd(p);
}
