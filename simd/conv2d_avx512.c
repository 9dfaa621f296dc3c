// SPDX-License-Identifier: Apache-2.0
// conv2d, direct, AVX-512.
//
// Registers: 2 dst blocks x 14 pixels = 28 accumulators + 2 weights + 1 broadcast = 31 of 32. Per
// src lane 28 FMA, 2 loads, 14 broadcasts.
#include "vec_avx512.h"

#define TILE_BLOCKS 2
#define TILE_PIXELS 14
#define TILE_ROW(T, b)                                                                             \
    T(b, 1)                                                                                        \
    T(b, 2)                                                                                        \
    T(b, 3)                                                                                        \
    T(b, 4) T(b, 5) T(b, 6) T(b, 7) T(b, 8) T(b, 9) T(b, 10) T(b, 11) T(b, 12) T(b, 13) T(b, 14)
#define TILE_TABLE(T) TILE_ROW(T, 1) TILE_ROW(T, 2)
#include "conv2d_tpl.h"

void ab_conv2d_avx512(const void *p);

void ab_conv2d_avx512(const void *p)
{
    conv2d_direct(p);
}
