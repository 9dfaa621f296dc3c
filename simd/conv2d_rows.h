// SPDX-License-Identifier: Apache-2.0
// The loops around a conv2d kernel that needs one pass per row: image, block, phase, row. Used by
// the dot and depthwise kernels; include conv2d_epilogue.h first.
#ifndef AB_CONV2D_ROWS_H
#define AB_CONV2D_ROWS_H

enum { SEGMENT = 32 }; /* positions of an aliased row that are finished together */

/* One row of one phase of one dst block. */
struct row {
    const struct ab_conv2d_args *a;
    struct ab_conv2d_phase phase;
    struct ab_conv2d_span inside; /* kernel rows that read inside src */
    int n, block, y;              /* y: dst row */
    const float *src;             /* position 0, column tap 0, first inside row, src block 0 */
    const float *add, *bias;      /* of position 0, or NULL */
    ptrdiff_t src_row, src_col, src_pix, add_pix;
    bool clean; /* the sums have +0 in their padding lanes */
};

/* Sums of positions [x, x+count) go to out, `pix` floats apart. */
typedef void row_sums(const struct row *r, int x, int count, float *out, ptrdiff_t pix);

AB_INLINE void run_row(const struct row *r, row_sums *sums)
{
    const struct ab_conv2d_args *a = r->a;
    const struct ab_conv2d_axis *ax = &r->phase.x;
    struct pw_at at = {r->n, r->block, r->y, ax->dst0, ax->dst_step};
    const ptrdiff_t pix = (ptrdiff_t)ax->dst_step * AB_LANES;
    float *dst = a->dst.data + ab_view_at(&a->dst, r->n, r->block, r->y, ax->dst0);
    if (!conv2d_is_aliased(a)) {
        sums(r, 0, ax->count, dst, pix);
        if (r->clean)
            pw_pixels(&a->f, &at, dst, pix, ax->count);
        else
            conv2d_finish(a, &at, dst, pix, ax->count);
        return;
    }
    _Alignas(64) float own[SEGMENT * AB_LANES];
    for (int x = 0; x < ax->count; x += SEGMENT) {
        const int count = x + SEGMENT < ax->count ? SEGMENT : ax->count - x;
        at.x0 = ax->dst0 + x * ax->dst_step;
        sums(r, x, count, own, AB_LANES);
        conv2d_finish_copy(a, &at, own, dst + x * pix, pix, count);
    }
}

AB_INLINE void run_phase(const struct ab_conv2d_args *a, int n, int block, int src_per_dst,
                         int phase, row_sums *sums)
{
    struct row r = {.a = a, .n = n, .block = block, .clean = !src_per_dst};
    r.phase = ab_conv2d_phase_at(&a->shape, a->pass, phase);
    const struct ab_conv2d_axis *ay = &r.phase.y, *ax = &r.phase.x;
    const struct ab_conv2d_span rows = ab_conv2d_positions(ay, a->range.y0, a->range.y1);
    r.src_row = ay->dstep * a->src.row;
    r.src_col = (ptrdiff_t)ax->dstep * AB_LANES;
    r.src_pix = (ptrdiff_t)ax->src_step * AB_LANES;
    r.add_pix = (ptrdiff_t)ax->dst_step * AB_LANES;
    r.bias = a->bias && a->pass == AB_FWD ? a->bias + block * AB_LANES : NULL;
    if (ax->count == 0) return;
    for (int i = rows.begin; i < rows.end; i++) {
        r.inside = ab_conv2d_inside(ay, i, ab_conv2d_src_h(&a->shape, a->pass));
        r.y = ay->dst0 + i * ay->dst_step;
        r.src = a->src.data;
        const int sy = i * ay->src_step + ay->d0 + r.inside.begin * ay->dstep;
        if (r.inside.begin < r.inside.end)
            r.src += ab_view_at(&a->src, n, block * src_per_dst, sy, ax->d0);
        r.add = NULL;
        if (a->add.data) r.add = a->add.data + ab_view_at(&a->add, n, block, r.y, ax->dst0);
        run_row(&r, sums);
    }
}

/* src_per_dst: 1 if a dst block reads the src block of its own number, 0 if it starts at block 0,
 * as the dot kernels do, whose sums have no padding lanes. */
AB_INLINE void conv2d_rows(const struct ab_conv2d_args *a, int src_per_dst, row_sums *sums)
{
    const int phases = ab_conv2d_phases(&a->shape, a->pass);
    for (int n = a->range.n0; n < a->range.n1; n++)
        for (int b = a->range.b0; b < a->range.b1; b++)
            for (int i = 0; i < phases; i++) run_phase(a, n, b, src_per_dst, i, sums);
}

#endif
