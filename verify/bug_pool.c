// SPDX-License-Identifier: Apache-2.0
// Seeded bugs of pooling, over naive texts of their own.
#include <math.h>
#include <string.h>

#include "simd/pointwise_scalar.h"
#include "simd/pool_geom.h"
#include "simd/pool_epilogue.h"
#include "verify/bugs.h"

typedef struct ab_pool_args args_of;

/* Where the texts are wrong; all zeros: nowhere. */
struct wrong {
    bool last_of_ties, zero_padding, nan_smaller, tap_transposed, tap_clipped; /* max, forward */
    bool overwrites, taps_beyond;                                              /* backward */
    bool whole_divisor, uneven_divisor, no_divisor_backward;                   /* average */
    bool last_column;
};

static float *at(const struct ab_view *v, int n, int b, int y, int e)
{
    return v->data + n * v->image + b * v->block + y * v->row + e;
}

static uint16_t *tap_at(const args_of *p, int n, int b, int oy, int e)
{
    return pool_switch_row(p, n, b, oy) + e;
}

static struct pool_window window(const args_of *p, int oy, int ox)
{
    struct pool_window w;
    pool_rows(&p->shape, oy, &w);
    pool_columns(&p->shape, ox, &w);
    return w;
}

/* The element of src at tap (ky, kx), or NULL outside of the image. */
static const float *tap_of(const args_of *p, const struct pool_window *w, int n, int b, int k,
                           int lane)
{
    const struct ab_pool_shape *s = &p->shape;
    const int y = w->y + k / s->kw * s->dh, x = w->x + k % s->kw * s->dw;
    if (y < 0 || y >= s->ih || x < 0 || x >= s->iw) return NULL;
    return at(&p->src, n, b, y, x * AB_LANES + lane);
}

static bool wins(const struct wrong *wrong, float v, float best)
{
    if (isnan(best) || isnan(v)) return !wrong->nan_smaller && isnan(v) && !isnan(best);
    return wrong->last_of_ties ? v >= best : v > best;
}

static void max_forward(const args_of *p, const struct wrong *wrong, int n, int b, int oy, int e)
{
    const struct ab_pool_shape *s = &p->shape;
    const struct pool_window w = window(p, oy, e / AB_LANES);
    float best = 0.0f;
    int tap = -1;
    for (int k = 0; k < s->kh * s->kw; k++) {
        static const float zero;
        const float *v = tap_of(p, &w, n, b, k, e % AB_LANES);
        if (!v && wrong->zero_padding) v = &zero;
        if (!v || (tap >= 0 && !wins(wrong, *v, best))) continue;
        best = *v;
        tap = k;
    }
    if (wrong->tap_transposed && tap >= 0) tap = tap % s->kw * s->kh + tap / s->kw;
    if (wrong->tap_clipped && tap >= 0) tap -= w.ky0 * s->kw + w.kx0;
    *at(&p->dst, n, b, oy, e) = best;
    if (p->switches) *tap_at(p, n, b, oy, e) = (uint16_t)tap;
}

/* The number of taps by which output (oy, ox) divides. */
static double divisor(const args_of *p, const struct wrong *wrong, int oy, int ox)
{
    const struct ab_pool_shape *s = &p->shape;
    const struct pool_window w = window(p, oy, ox);
    if (wrong->whole_divisor) return s->kh * s->kw;
    if (wrong->uneven_divisor && s->include_pad)
        return (double)((s->ih + 2 * s->pt - oy * s->sh < s->kh ? s->ih + 2 * s->pt - oy * s->sh
                                                                : s->kh) *
                        s->kw);
    return (double)pool_divisor(s, &w);
}

static void average_forward(const args_of *p, const struct wrong *wrong, int n, int b, int oy,
                            int e)
{
    const struct pool_window w = window(p, oy, e / AB_LANES);
    double sum = 0.0;
    for (int k = 0; k < p->shape.kh * p->shape.kw; k++) {
        const float *v = tap_of(p, &w, n, b, k, e % AB_LANES);
        if (v) sum += (double)*v;
    }
    *at(&p->dst, n, b, oy, e) = (float)(sum / divisor(p, wrong, oy, e / AB_LANES));
}

/* Whether tap k of output (oy, ox) is pixel (y, x). */
static bool hits(const struct ab_pool_shape *s, int k, int oy, int ox, int y, int x)
{
    return oy * s->sh - s->pt + k / s->kw * s->dh == y &&
           ox * s->sw - s->pl + k % s->kw * s->dw == x;
}

/* The share of pixel (y, x) in the signal of output (oy, ox), which is +0 where it has none. */
static double share(const args_of *p, const struct wrong *wrong, int oy, int ox, double signal)
{
    return signal / (wrong->no_divisor_backward ? 1.0 : divisor(p, wrong, oy, ox));
}

static void backward(const args_of *p, const struct wrong *wrong, bool max, const int place[4],
                     int e)
{
    const struct ab_pool_shape *s = &p->shape;
    const int n = place[0], b = place[1], y = place[2], x = e / AB_LANES, lane = e % AB_LANES;
    double sum = 0.0;
    for (int o = 0; o < s->oh * s->ow; o++) {
        const int oy = o / s->ow, ox = o % s->ow, oe = ox * AB_LANES + lane;
        const int first = max ? *tap_at(p, n, b, oy, oe) : 0;
        const int end = max ? first + 1 : s->kh * s->kw;
        for (int k = first; k < end; k++) {
            if (!hits(s, k, oy, ox, y, x)) continue;
            const double signal = (double)*at(&p->src, n, b, oy, oe);
            if (wrong->overwrites) sum = 0.0;
            sum += max ? signal : share(p, wrong, oy, ox, signal);
        }
    }
    *at(&p->dst, n, b, y, e) = (float)sum;
}

static void plane(const args_of *p, const struct wrong *wrong, bool max, int n, int b)
{
    const bool fwd = p->pass == AB_FWD;
    const int width = (fwd ? p->shape.ow : p->shape.iw) * AB_LANES;
    for (int y = p->range.y0; y < p->range.y1; y++)
        for (int e = 0; e < width - (wrong->last_column ? AB_LANES : 0); e++) {
            const int place[4] = {n, b, y, 0};
            if (!fwd)
                backward(p, wrong, max, place, e);
            else if (max)
                max_forward(p, wrong, n, b, y, e);
            else
                average_forward(p, wrong, n, b, y, e);
        }
    if (!fwd) pool_finish_rows(p, n, b, p->range.y0, p->range.y1);
}

static void text(const void *args, struct wrong wrong, bool max)
{
    const args_of *p = args;
    for (int n = p->range.n0; n < p->range.n1; n++)
        for (int b = p->range.b0; b < p->range.b1; b++) plane(p, &wrong, max, n, b);
}

void ab_bug_sound_maxpool(const void *p)
{
    text(p, (struct wrong){0}, true);
}

void ab_bug_sound_avgpool(const void *p)
{
    text(p, (struct wrong){0}, false);
}

/* ---- bugs of the texts ---- */

void ab_bug_maxpool_tie_takes_last(const void *p)
{
    text(p, (struct wrong){.last_of_ties = true}, true);
}

void ab_bug_maxpool_padding_is_zero(const void *p)
{
    text(p, (struct wrong){.zero_padding = true}, true);
}

void ab_bug_maxpool_nan_ignored(const void *p)
{
    text(p, (struct wrong){.nan_smaller = true}, true);
}

void ab_bug_maxpool_switch_transposed(const void *p)
{
    text(p, (struct wrong){.tap_transposed = true}, true);
}

void ab_bug_maxpool_switch_clipped(const void *p)
{
    text(p, (struct wrong){.tap_clipped = true}, true);
}

void ab_bug_maxpool_overlap_overwrites(const void *p)
{
    text(p, (struct wrong){.overwrites = true}, true);
}

void ab_bug_maxpool_column_unwritten(const void *p)
{
    text(p, (struct wrong){.last_column = true}, true);
}

void ab_bug_avgpool_divides_by_window(const void *p)
{
    text(p, (struct wrong){.whole_divisor = true}, false);
}

void ab_bug_avgpool_padding_even(const void *p)
{
    text(p, (struct wrong){.uneven_divisor = true}, false);
}

void ab_bug_avgpool_backward_undivided(const void *p)
{
    text(p, (struct wrong){.no_divisor_backward = true}, false);
}

void ab_bug_avgpool_overlap_overwrites(const void *p)
{
    text(p, (struct wrong){.overwrites = true}, false);
}

/* ---- bugs of arguments ---- */

void ab_bug_avgpool_include_pad_ignored(const void *args)
{
    args_of p = *(const args_of *)args;
    p.shape.include_pad = false;
    ab_bug_run(AB_KERNEL_avgpool, "ref", &p);
}

void ab_bug_avgpool_dilation_ignored(const void *args)
{
    args_of p = *(const args_of *)args;
    p.shape.dh = p.shape.dw = 1;
    ab_bug_run(AB_KERNEL_avgpool, "ref", &p);
}

void ab_bug_avgpool_row_of_image_0(const void *args)
{
    args_of p = *(const args_of *)args;
    p.src.image = 0;
    ab_bug_run(AB_KERNEL_avgpool, "ref", &p);
}

void ab_bug_maxpool_strides_swapped(const void *args)
{
    args_of p = *(const args_of *)args;
    p.shape.sh = p.shape.sw;
    p.shape.sw = ((const args_of *)args)->shape.sh;
    ab_bug_run(AB_KERNEL_maxpool, "ref", &p);
}

/* Row by row as they become complete, but the last row's epilogue is forgotten. */
void ab_bug_maxpool_epilogue_skipped(const void *args)
{
    args_of p = *(const args_of *)args;
    const int last = p.range.y1 - 1;
    text(&p, (struct wrong){0}, true);
    if (p.pass == AB_FWD) return;
    p.range.y0 = last;
    p.f.kind = AB_PW_COPY;
    text(&p, (struct wrong){0}, true);
}

/* Each thread's part begins by zeroing the whole plane. */
void ab_bug_maxpool_zeroes_plane(const void *args)
{
    const args_of *p = args;
    if (p->pass == AB_BWD)
        for (int n = p->range.n0; n < p->range.n1; n++)
            for (int b = p->range.b0; b < p->range.b1; b++) pool_zero_rows(p, n, b, 0, p->shape.ih);
    ab_bug_run(AB_KERNEL_maxpool, "ref", p);
}

void ab_bug_avgpool_lanes_12(const void *args)
{
    const args_of *p = args;
    ab_bug_run(AB_KERNEL_avgpool, "ref", p);
    const int width = p->pass == AB_FWD ? p->shape.ow : p->shape.iw;
    for (int n = p->range.n0; n < p->range.n1; n++)
        for (int b = p->range.b0; b < p->range.b1; b++)
            for (int y = p->range.y0; y < p->range.y1; y++)
                for (int x = 0; x < width; x++)
                    memset(at(&p->dst, n, b, y, x * AB_LANES + 12), 0, 4 * sizeof(float));
}
