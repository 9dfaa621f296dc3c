// SPDX-License-Identifier: Apache-2.0
// The register tile of convolution kernels: dst vectors x pixels, summed over src lanes. Include
// one vec_<isa>.h first and define TILE_PIXELS and TILE_BLOCKS (1 or 2), and TILE_NARROW, the
// pixels of a tile of one and a half dst blocks, where there is one.
#ifndef AB_CONV2D_TILE_TPL_H
#define AB_CONV2D_TILE_TPL_H

#include "conv2d_geom.h"

/* For TILE_TABLE: tiles of 1 to 14 pixels. */
#define TILE_TO_7(T, b) T(b, 1) T(b, 2) T(b, 3) T(b, 4) T(b, 5) T(b, 6) T(b, 7)
#define TILE_TO_14(T, b)                                                                           \
    TILE_TO_7(T, b) T(b, 8) T(b, 9) T(b, 10) T(b, 11) T(b, 12) T(b, 13) T(b, 14)

#ifndef TILE_NARROW
#define TILE_NARROW 0
#endif

enum {
    /* Vectors of one dst block that a tile computes together. */
    BLOCK_VECS = AB_LANES / VL < 2 ? AB_LANES / VL : 2,
    TILE_VECS = TILE_BLOCKS * BLOCK_VECS + (TILE_NARROW && VL == 8),
    /* By lane of a vector on NEON. On x86 a broadcast is a load, and four lanes at once only give
     * gcc 12 room to shuffle registers and spill (AVX2 256 -> 256 @56: 99 GFLOP/s against 112). */
    LANES_AT_ONCE = VL == 4 ? 4 : 1,
};

/* Where vector v of a tile lies in something that is 16 lanes per block, `block` floats apart. */
AB_INLINE ptrdiff_t vec_at(int v, ptrdiff_t block)
{
    return v / BLOCK_VECS * block + v % BLOCK_VECS * VL;
}

AB_INLINE void load_weights(const float *w, ptrdiff_t block, int nv, vec *out)
{
    AB_UNROLL for (int v = 0; v < nv; v++) out[v] = v_load(w + vec_at(v, block));
}

/* acc += weights * src over `lanes` consecutive src lanes. */
AB_INLINE void sum_lanes(const float *x, ptrdiff_t pix, const float *w, ptrdiff_t wei_block,
                         int lanes, int nv, int np, vec acc[][TILE_VECS])
{
    int c = 0;
    for (; LANES_AT_ONCE == 4 && c + 4 <= lanes; c += 4, x += 4, w += 4 * AB_LANES) {
        vquad q[TILE_PIXELS];
        vec wv[TILE_VECS];
        AB_UNROLL for (int p = 0; p < np; p++) q[p] = v_quad(x + p * pix);
#define LANE(i)                                                                                    \
    load_weights(w + (i)*AB_LANES, wei_block, nv, wv);                                             \
    AB_UNROLL for (int p = 0; p < np; p++)                                                         \
    {                                                                                              \
        AB_UNROLL for (int v = 0; v < nv; v++) acc[p][v] = v_fma_quad(acc[p][v], wv[v], q[p], i);  \
    }
        LANE(0)
        LANE(1)
        LANE(2)
        LANE(3)
#undef LANE
    }
    for (; c < lanes; c++, x++, w += AB_LANES) {
        vec wv[TILE_VECS];
        load_weights(w, wei_block, nv, wv);
        AB_UNROLL for (int p = 0; p < np; p++)
        {
            const vec xv = v_bcast(x + p * pix);
            AB_UNROLL for (int v = 0; v < nv; v++) acc[p][v] = v_fma(wv[v], xv, acc[p][v]);
        }
    }
}

#endif
