// SPDX-License-Identifier: Apache-2.0
// conv2d, depthwise, NEON.
//
// Registers: 14 accumulators (2 rows x 7 pixels, or 7 pixels x 2 vectors) + up to 6 weights + 1 src
// vector.
#include "vec_neon.h"

#define DW_PIXELS         7
#define DW_VECS           2
#define DW_ROWS           2
#define DW_STRIDED_PIXELS 7
#define DW_STRIDED_VECS   1
#define DW_TABLE(T)       T(1) T(2) T(3) T(4) T(5) T(6) T(7)
#include "conv2d_depthwise_tpl.h"

void ab_conv2d_neon_depthwise(const void *p);

void ab_conv2d_neon_depthwise(const void *p)
{
    conv2d_depthwise(p);
}
