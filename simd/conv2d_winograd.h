// SPDX-License-Identifier: Apache-2.0
// Winograd F(m x m, 3x3), m = 4 or 2: what packing and the kernels share. An (m+2)x(m+2) tile of
// src gives an m x m tile of dst through (m+2)^2 products per pair of channels instead of 9 m^2:
// dst = A^T [(G w G^T) . (B^T src B)] A. One plane holds one of the (m+2)^2 products of all tiles.
//
// Interpolation points: m = 4 has 0, +-p, +-q, infinity with p = 3/4, q = 3/2, which keep 2-3 times
// more accuracy than the usual 0, +-1, +-2; m = 2 has 0, +-1, infinity. All coefficients of A and B
// are dyadic. Errors of a tile spread over it: ab_kernel_amplification says how far.
#ifndef AB_CONV2D_WINOGRAD_H
#define AB_CONV2D_WINOGRAD_H

#include "conv2d_geom.h"

enum {
    /* Largest m, and src pixels of a tile along an axis. */
    WINO_OUT_MAX = 4,
    WINO_IN_MAX = WINO_OUT_MAX + 2,
    WINO_TILES = 28, /* see ab_wino_tiles */
};

#define WINO_P 0.75
#define WINO_Q 1.5

static inline int ab_wino_planes(int m)
{
    return (m + 2) * (m + 2);
}

/* Tiles transformed together, at most. The weights stream through once per that many tiles (37.7 MB
 * at 512 -> 512 channels, m = 4), which 25 to 28 tiles of products hide; the transformed src and
 * dst, 4 (m + 2)^2 bytes per tile and channel, are the better off the smaller they are. 28 is a
 * multiple of the AVX-512 register tile. Of 14, 24, 28, 36, 42, 49, 56 and 64, on 64 -> 64 @224 to
 * 512 -> 512 @28, no other is more than 2 % faster, on either ISA, and most are slower. */
static inline int ab_wino_tiles(const struct ab_conv2d_shape *s, enum ab_pass pass, int m)
{
    const int h = pass == AB_FWD ? s->oh : s->ih, w = pass == AB_FWD ? s->ow : s->iw;
    const long all = (long)s->n * ((h + m - 1) / m) * ((w + m - 1) / m);
    return all < WINO_TILES ? (int)all : WINO_TILES;
}

/* Floats from one plane of transformed src or dst to the next, of one channel block: an odd number
 * of cache lines, so that the planes of a tile lie in different sets. */
static inline ptrdiff_t ab_wino_plane(int tiles)
{
    return (ptrdiff_t)(tiles | 1) * AB_LANES;
}

/* Packed weights: [plane][dst block][src channel, padded][16 dst lanes]. */
static inline ptrdiff_t ab_wino_weights(int dst_blocks, int src_blocks)
{
    return (ptrdiff_t)dst_blocks * src_blocks * AB_LANES * AB_LANES;
}

#endif
