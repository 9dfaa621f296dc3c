// SPDX-License-Identifier: Apache-2.0
// conv2d, Winograd F(4x4, 3x3), AVX-512.
//
// Registers: as the direct kernel, 2 dst blocks x 14 tiles. The transforms pass 36 values through
// the 32 registers, so a few go through the stack.
#include "vec_avx512.h"

#define WINO_OUT    4
#define TILE_BLOCKS 2
#define TILE_PIXELS 14
// clang-format off
#define TILE_TABLE(T) \
    T(1, 1) T(1, 2) T(1, 3) T(1, 4) T(1, 5) T(1, 6) T(1, 7) \
    T(1, 8) T(1, 9) T(1, 10) T(1, 11) T(1, 12) T(1, 13) T(1, 14) \
    T(2, 1) T(2, 2) T(2, 3) T(2, 4) T(2, 5) T(2, 6) T(2, 7) \
    T(2, 8) T(2, 9) T(2, 10) T(2, 11) T(2, 12) T(2, 13) T(2, 14)
// clang-format on
#include "conv2d_winograd_tpl.h"

void ab_conv2d_avx512_winograd(const void *p);

void ab_conv2d_avx512_winograd(const void *p)
{
    conv2d_winograd(p);
}
