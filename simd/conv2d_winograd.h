// SPDX-License-Identifier: Apache-2.0
// Winograd F(4x4, 3x3): what packing and the kernels share. A 6x6 tile of src gives a 4x4 tile of
// dst through 36 products per pair of channels instead of 144: dst = A^T [(G w G^T) . (B^T src B)]
// A.
//
// Interpolation points 0, +-p, +-q, infinity with p = 3/4, q = 3/2. They keep 2-3 times more
// accuracy than the usual 0, +-1, +-2; all coefficients of A and B are dyadic. Errors of a tile
// spread over it: ab_kernel_amplification says how far.
#ifndef AB_CONV2D_WINOGRAD_H
#define AB_CONV2D_WINOGRAD_H

#include "conv2d_geom.h"

enum {
    WINO_OUT = 4,
    WINO_IN = 6,
    WINO_PLANES = WINO_IN * WINO_IN,
    /* Tiles transformed together: the weights stream through once per that many tiles (37.7 MB at
     * 512 -> 512 channels), while the transformed src and dst, 2304 bytes per tile and channel
     * block, should stay in L2 or L3. */
    WINO_TILES = 56,
};

#define WINO_P 0.75
#define WINO_Q 1.5

/* Floats of one plane of transformed src or dst: `blocks` channel blocks of WINO_TILES tiles, and
 * 16 more so that planes do not fall into the same cache sets. */
static inline ptrdiff_t ab_wino_plane(int blocks)
{
    return ((ptrdiff_t)blocks * WINO_TILES + 1) * AB_LANES;
}

/* Packed weights: [plane][dst block][src channel, padded][16 dst lanes]. */
static inline ptrdiff_t ab_wino_weights(int dst_blocks, int src_blocks)
{
    return (ptrdiff_t)dst_blocks * src_blocks * AB_LANES * AB_LANES;
}

#endif
