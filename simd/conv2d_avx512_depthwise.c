// SPDX-License-Identifier: Apache-2.0
// conv2d, depthwise, AVX-512.
//
// Registers: 2 rows x 7 pixels = 14 accumulators + 6 weights + 1 src vector. One row would load 27
// src vectors for 63 FMA, two load 36 for 126.
#include "vec_avx512.h"

#define DW_PIXELS         7
#define DW_VECS           1
#define DW_ROWS           2
#define DW_STRIDED_PIXELS 7
#define DW_STRIDED_VECS   1
#define DW_TABLE(T)       T(1) T(2) T(3) T(4) T(5) T(6) T(7)
#include "conv2d_depthwise_tpl.h"

void ab_conv2d_avx512_depthwise(const void *p);

void ab_conv2d_avx512_depthwise(const void *p)
{
    conv2d_depthwise(p);
}
