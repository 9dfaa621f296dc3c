// SPDX-License-Identifier: Apache-2.0
// conv2d, depthwise, AVX2 with FMA.
//
// Registers: 7 accumulators + 3 weights; src is a memory operand. Half a block at a time.
//
// A stride of 2 is bound by src from L3, and takes 4 pixels of whole blocks instead, so that a line
// is read once: 96 channels at 112, Zen 4: 107 us against 129.
#include "vec_avx2.h"

#define DW_PIXELS         7
#define DW_VECS           1
#define DW_ROWS           1
#define DW_STRIDED_PIXELS 4
#define DW_STRIDED_VECS   2
#define DW_TABLE(T)       T(1) T(2) T(3) T(4) T(5) T(6) T(7)
#include "conv2d_depthwise_tpl.h"

void ab_conv2d_avx2_depthwise(const void *p);

void ab_conv2d_avx2_depthwise(const void *p)
{
    conv2d_depthwise(p);
}
