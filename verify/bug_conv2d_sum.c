// SPDX-License-Identifier: Apache-2.0
// Seeded bugs of conv2d in how products are formed and added up, over a naive text of its own.
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "simd/conv2d_geom.h"
#include "simd/pointwise_scalar.h"
#include "verify/bugs.h"

typedef struct ab_conv2d_args args_of;

/* Where the text is wrong; all zeros: nowhere. */
struct wrong {
    double (*add)(double sum, float w, float x);
    bool clamps; /* what lies in the padding is the nearest pixel */
    bool total;  /* the epilogue is applied before `add` */
};

static double plain_add(double sum, float w, float x)
{
    return sum + (double)w * (double)x;
}

/* The src index that kernel index k joins with dst index i, or -1; clamped if asked for. */
static int source(const struct wrong *wrong, enum ab_pass pass, const int axis[5], int i, int k)
{
    const int stride = axis[0], dilation = axis[1], pad = axis[2], size = axis[3];
    int at = i * stride - pad + k * dilation;
    if (pass == AB_BWD) {
        at = i + pad - k * dilation;
        if (at % stride != 0) return -1;
        at /= stride;
    } else if (wrong->clamps) {
        at = at < 0 ? 0 : at >= size ? size - 1 : at;
    }
    return at >= 0 && at < size ? at : -1;
}

static double sum_tap(const args_of *a, const struct wrong *wrong, const int place[4], int tap,
                      double sum)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const bool fwd = a->pass == AB_FWD;
    const int icg = s->ic / s->g, ocg = s->oc / s->g, inputs = fwd ? icg : ocg;
    const int c = place[1], group = fwd ? c / ocg : c / icg;
    for (int i = 0; i < inputs; i++) {
        const int sc = group * inputs + i;
        const ptrdiff_t filter = fwd ? (ptrdiff_t)c * icg + i : (ptrdiff_t)sc * icg + c % icg;
        const float w = ab_conv2d_wmod(a->wmod, a->gain, a->wei[filter * s->kh * s->kw + tap]);
        const float *src =
            a->src.data + ab_view_at(&a->src, place[0], sc / AB_LANES, place[2], place[3]);
        sum = wrong->add(sum, w, src[sc % AB_LANES]);
    }
    return sum;
}

static float sum_of(const args_of *a, const struct wrong *wrong, int n, int c, int y, int x)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const bool fwd = a->pass == AB_FWD;
    const int rows[5] = {s->sh, s->dh, s->pt, fwd ? s->ih : s->oh};
    const int columns[5] = {s->sw, s->dw, s->pl, fwd ? s->iw : s->ow};
    double sum = 0.0;
    for (int t = 0; t < s->kh * s->kw; t++) {
        const int sy = source(wrong, a->pass, rows, y, t / s->kw);
        const int sx = source(wrong, a->pass, columns, x, t % s->kw);
        const int place[4] = {n, c, sy, sx};
        if (sy >= 0 && sx >= 0) sum = sum_tap(a, wrong, place, t, sum);
    }
    return (float)sum;
}

static void finish(const args_of *a, const struct wrong *wrong, const struct pw_at *at, float *out)
{
    if (a->bias && a->pass == AB_FWD)
        for (int l = 0; l < AB_LANES; l++) out[l] += a->bias[at->block * AB_LANES + l];
    if (wrong->total) pw_pixels(&a->f, at, out, AB_LANES, 1);
    if (a->add.data) {
        const float *add = a->add.data + ab_view_at(&a->add, at->n, at->block, at->y, at->x0);
        for (int l = 0; l < AB_LANES; l++) out[l] += add[l];
    }
    if (!wrong->total) pw_pixels(&a->f, at, out, AB_LANES, 1);
}

static void pixel(const args_of *a, const struct wrong *wrong, const struct pw_at *at, float *out)
{
    const int lanes = ab_conv2d_dst_channels(&a->shape, a->pass) - at->block * AB_LANES;
    memset(out, 0, sizeof *out * AB_LANES);
    for (int l = 0; l < AB_LANES && l < lanes; l++)
        out[l] = sum_of(a, wrong, at->n, at->block * AB_LANES + l, at->y, at->x0);
    finish(a, wrong, at, out);
    for (int l = lanes; l < AB_LANES; l++) out[l] = 0.0f;
}

/* Calls each(a, wrong, at, dst) for all pixels of the range. */
static void text(const void *p, const struct wrong *wrong,
                 void (*each)(const args_of *, const struct wrong *, const struct pw_at *, float *))
{
    const args_of *a = p;
    const struct ab_range *r = &a->range;
    const int width = a->pass == AB_FWD ? a->shape.ow : a->shape.iw;
    for (int n = r->n0; n < r->n1; n++)
        for (int b = r->b0; b < r->b1; b++)
            for (int y = r->y0; y < r->y1; y++)
                for (int x = 0; x < width; x++) {
                    const struct pw_at at = {n, b, y, x, 1};
                    each(a, wrong, &at, a->dst.data + ab_view_at(&a->dst, n, b, y, x));
                }
}

/* dst may be `add` or an operand of the epilogue: whole pixels are stored. */
static void store(const args_of *a, const struct wrong *wrong, const struct pw_at *at, float *dst)
{
    float out[AB_LANES];
    pixel(a, wrong, at, out);
    memcpy(dst, out, sizeof out);
}

static void with_add(const void *p, double (*add)(double sum, float w, float x))
{
    const struct wrong wrong = {.add = add};
    text(p, &wrong, store);
}

void ab_bug_sound_conv2d(const void *p)
{
    with_add(p, plain_add);
}

/* ---- the bugs ---- */

void ab_bug_conv2d_padding_clamped(const void *p)
{
    const struct wrong wrong = {.add = plain_add, .clamps = true};
    text(p, &wrong, store);
}

void ab_bug_conv2d_epilogue_early(const void *p)
{
    const struct wrong wrong = {.add = plain_add, .total = true};
    text(p, &wrong, store);
}

/* To 11 bits of significand. */
static double add_half(double sum, float w, float x)
{
    int e;
    const double exact = sum + (double)w * (double)x, m = frexp(exact, &e);
    return isfinite(exact) ? ldexp(nearbyint(m * 2048.0), e - 11) : exact;
}

void ab_bug_conv2d_sums_half(const void *p)
{
    with_add(p, add_half);
}

static double add_flushed(double sum, float w, float x)
{
    const float term = w * x;
    return fabsf(term) < FLT_MIN ? sum : sum + (double)w * (double)x;
}

void ab_bug_conv2d_terms_flushed(const void *p)
{
    with_add(p, add_flushed);
}

static double add_numbers(double sum, float w, float x)
{
    return isnan(x) ? sum : plain_add(sum, w, x);
}

void ab_bug_conv2d_nan_swallowed(const void *p)
{
    with_add(p, add_numbers);
}

static double add_clamped(double sum, float w, float x)
{
    return plain_add(sum, w, isinf(x) ? copysignf(FLT_MAX, x) : x);
}

void ab_bug_conv2d_infinity_clamped(const void *p)
{
    with_add(p, add_clamped);
}

/* A pixel is made in one buffer for all. */
static void store_shared(const args_of *a, const struct wrong *wrong, const struct pw_at *at,
                         float *dst)
{
    static float shared[AB_LANES];
    pixel(a, wrong, at, shared);
    sched_yield();
    memcpy(dst, shared, sizeof shared);
}

void ab_bug_conv2d_race(const void *p)
{
    const struct wrong wrong = {.add = plain_add};
    text(p, &wrong, store_shared);
}
