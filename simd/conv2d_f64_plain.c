// SPDX-License-Identifier: Apache-2.0
// conv2d in double precision for the reference backend: plain loops over a register tile, in the
// compiler's own vectors; built once per instruction set.
//
// For one dst block and phase the weights become a panel of doubles, [src block][tap][src lane][16
// dst lanes]; then each tile of neighbouring positions is one pass over it. The panel (590 KB for
// 512 channels at 3x3) streams from L2 at 128 bytes per step, and a step costs at least 14 cycles
// in the AVX-512 tile, so cutting the sum into chunks that fit L1 would gain nothing.
//
// Registers of the tile: 14 positions x 2 vectors of AVX-512 (28 of 32, 2 for weights, 1 for the
// broadcast); 3 x 4 of AVX2 (12 of 16); 1 x 8 of SSE2. 14 and 7 divide the rows of the usual
// networks. The step from position to position is a constant where it is 1 or 2 pixels: as a
// variable it takes an address register per position.
#include "conv2d_geom.h"
#include "f64.h"

#ifndef AB_SYMBOL
#define AB_SYMBOL ab_conv2d_f64_plain
#endif

void AB_SYMBOL(const void *p);

enum { TILE = F64_VECS <= 2 ? 14 : F64_VECS == 4 ? 3 : 1 };

/* One row of one phase for one dst block, seen from its first position. */
struct row {
    const struct ab_conv2d_phase *phase;
    const double *src; /* first tap, block of the first channel */
    const double *panel;
    struct ab_conv2d_span inputs;
    ptrdiff_t src_block, src_row, src_col, src_pix, dst_pix;
    const double *bias, *add; /* NULL: none */
    double *dst;
};

/* ---- panel ---- */

/* The weight that joins src channel c with dst channel d, taps aside, or NULL where they are of
 * different groups. */
static const float *weight_at(const struct ab_conv2d_f64_args *a, int c, int d)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const int icg = s->ic / s->g, ocg = s->oc / s->g;
    const int oc = a->pass == AB_FWD ? d : c, ic = a->pass == AB_FWD ? c : d;
    if (oc / ocg != ic / icg) return NULL;
    return a->wei + ((ptrdiff_t)oc * icg + ic % icg) * s->kh * s->kw;
}

/* All taps of src channels [c, c+lanes) for the 16 channels of dst block `block`. Dst lane o of src
 * lane l is at wei[o] + l*step while the group lasts; a block that several groups share takes one
 * src lane at a time. */
AB_INLINE void pack_lanes(enum ab_wmod wmod, const struct ab_conv2d_f64_args *a,
                          const struct ab_conv2d_phase *phase, int block, int c, int lanes,
                          double *to)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const int area = s->kh * s->kw;
    const ptrdiff_t step = a->pass == AB_FWD ? area : (ptrdiff_t)(s->ic / s->g) * area;
    const int channels = ab_conv2d_dst_channels(s, a->pass) - block * AB_LANES;
    const int count = channels < AB_LANES ? channels : AB_LANES;
    const int at_once = s->g == 1 ? lanes : 1;
    for (int first = 0; first < lanes; first += at_once) {
        const float *wei[AB_LANES] = {NULL};
        for (int o = 0; o < count; o++) wei[o] = weight_at(a, c + first, block * AB_LANES + o);
        double *out = to + (ptrdiff_t)first * AB_LANES;
        for (int ty = 0; ty < phase->y.taps; ty++)
            for (int tx = 0; tx < phase->x.taps; tx++, out += (ptrdiff_t)lanes * AB_LANES) {
                const ptrdiff_t tap =
                    (phase->y.k0 + ty * phase->y.kstep) * s->kw + phase->x.k0 + tx * phase->x.kstep;
                for (int l = 0; l < at_once; l++)
                    for (int o = 0; o < AB_LANES; o++)
                        out[l * AB_LANES + o] = wei[o]
                                                    ? f64_wmod_one(wmod, (double)a->gain,
                                                                   (double)wei[o][l * step + tap])
                                                    : 0.0;
            }
    }
}

static void pack(const struct ab_conv2d_f64_args *a, const struct ab_conv2d_phase *phase, int block)
{
    const struct ab_conv2d_span in = ab_conv2d_inputs(&a->shape, a->pass, block);
    double *to = a->panel;
    for (int c = in.begin; c < in.end;) {
        const int end = (c / AB_LANES + 1) * AB_LANES;
        const int lanes = (end < in.end ? end : in.end) - c;
        F64_EACH_WMOD(a->wmod, pack_lanes, a, phase, block, c, lanes, to)
        to += (ptrdiff_t)phase->y.taps * phase->x.taps * lanes * AB_LANES;
        c += lanes;
    }
}

/* ---- sums ---- */

/* One tap of one src block: `lanes` steps of the tile. */
AB_INLINE void sum_lanes(const double *x, const double *w, int lanes, int pixels, ptrdiff_t pix,
                         f64 acc[][F64_VECS])
{
    for (int l = 0; l < lanes; l++, w += AB_LANES) {
        f64 wei[F64_VECS];
        AB_UNROLL for (int v = 0; v < F64_VECS; v++) wei[v] = f64_load(w + v * F64_LANES);
        AB_UNROLL for (int p = 0; p < pixels; p++)
        {
            AB_UNROLL for (int v = 0; v < F64_VECS; v++) acc[p][v] += x[p * pix + l] * wei[v];
        }
    }
}

AB_INLINE void run_tile(const struct row *r, int x0, int pixels, ptrdiff_t pix)
{
    f64 acc[TILE][F64_VECS];
    const double *src = r->src + x0 * pix, *w = r->panel;
    AB_UNROLL for (int p = 0; p < pixels; p++)
    {
        AB_UNROLL for (int v = 0; v < F64_VECS; v++) acc[p][v] = (f64){0.0};
    }
    for (int c = r->inputs.begin; c < r->inputs.end; src += r->src_block) {
        const int first = c % AB_LANES, left = r->inputs.end - c;
        const int lanes = left < AB_LANES - first ? left : AB_LANES - first;
        for (int ty = 0; ty < r->phase->y.taps; ty++)
            for (int tx = 0; tx < r->phase->x.taps; tx++, w += lanes * AB_LANES)
                sum_lanes(src + first + ty * r->src_row + tx * r->src_col, w, lanes, pixels, pix,
                          acc);
        c += lanes;
    }
    AB_UNROLL for (int p = 0; p < pixels; p++)
    {
        const ptrdiff_t at = (x0 + p) * r->dst_pix;
        AB_UNROLL for (int v = 0; v < F64_VECS; v++)
        {
            f64 sum = acc[p][v];
            if (r->bias) sum += f64_load(r->bias + v * F64_LANES);
            if (r->add) sum += f64_load(r->add + at + v * F64_LANES);
            f64_store(r->dst + at + v * F64_LANES, sum);
        }
    }
}

/* As many tiles of `pixels` positions as fit. */
#define TILES(pixels)                                                                              \
    if (pixels <= TILE)                                                                            \
        for (; x + pixels <= count; x += pixels) run_tile(r, x, pixels, pix);

AB_INLINE void run_tiles(const struct row *r, ptrdiff_t pix)
{
    const int count = r->phase->x.count;
    int x = 0;
    TILES(14)
    TILES(7)
    TILES(3)
    TILES(2)
    TILES(1)
}

AB_NOINLINE void run_row_step1(const struct row *r)
{
    run_tiles(r, AB_LANES);
}

AB_NOINLINE void run_row_step2(const struct row *r)
{
    run_tiles(r, 2 * AB_LANES);
}

AB_NOINLINE void run_row_any(const struct row *r)
{
    for (int x = 0; x < r->phase->x.count; x++) run_tile(r, x, 1, r->src_pix);
}

/* NaN or infinite src makes NaN of the zero weights of padding lanes. */
static void clear_padding(const struct row *r, int real)
{
    for (int x = 0; x < r->phase->x.count; x++)
        for (int l = real; l < AB_LANES; l++) r->dst[x * r->dst_pix + l] = 0.0;
}

static ptrdiff_t at(const struct ab_view_f64 *v, int n, int block, int y, int x)
{
    return n * v->image + block * v->block + y * v->row + (ptrdiff_t)x * AB_LANES;
}

static void run_block(const struct ab_conv2d_f64_args *a, const struct ab_conv2d_phase *phase,
                      int block)
{
    const struct ab_conv2d_axis *ay = &phase->y, *ax = &phase->x;
    const struct ab_conv2d_span rows = ab_conv2d_positions(ay, a->range.y0, a->range.y1);
    const int real = ab_conv2d_dst_channels(&a->shape, a->pass) - block * AB_LANES;
    struct row r = {
        .phase = phase,
        .panel = a->panel,
        .inputs = ab_conv2d_inputs(&a->shape, a->pass, block),
        .src_block = a->src.block,
        .src_row = ay->dstep * a->src.row,
        .src_col = (ptrdiff_t)ax->dstep * AB_LANES,
        .src_pix = (ptrdiff_t)ax->src_step * AB_LANES,
        .dst_pix = (ptrdiff_t)ax->dst_step * AB_LANES,
        .bias = a->bias && a->pass == AB_FWD ? a->bias + block * AB_LANES : NULL,
    };
    if (rows.begin >= rows.end || ax->count == 0) return;
    pack(a, phase, block);
    for (int n = a->range.n0; n < a->range.n1; n++)
        for (int i = rows.begin; i < rows.end; i++) {
            const int y = ay->dst0 + i * ay->dst_step;
            r.src = a->src.data +
                    at(&a->src, n, r.inputs.begin / AB_LANES, i * ay->src_step + ay->d0, ax->d0);
            r.dst = a->dst.data + at(&a->dst, n, block, y, ax->dst0);
            r.add = a->add.data ? a->add.data + at(&a->add, n, block, y, ax->dst0) : NULL;
            if (ax->src_step == 1)
                run_row_step1(&r);
            else if (ax->src_step == 2)
                run_row_step2(&r);
            else
                run_row_any(&r);
            if (real < AB_LANES) clear_padding(&r, real);
        }
}

void AB_SYMBOL(const void *p)
{
    const struct ab_conv2d_f64_args *a = p;
    for (int b = a->range.b0; b < a->range.b1; b++)
        for (int i = 0; i < ab_conv2d_phases(&a->shape, a->pass); i++) {
            const struct ab_conv2d_phase phase = ab_conv2d_phase_at(&a->shape, a->pass, i);
            run_block(a, &phase, b);
        }
}
