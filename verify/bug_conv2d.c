// SPDX-License-Identifier: Apache-2.0
// Seeded bugs of conv2d: the reference kernel with other arguments, or its result spoilt.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "simd/conv2d_geom.h"
#include "verify/bugs.h"

typedef struct ab_conv2d_args args_of;

static void run(const args_of *a)
{
    ab_bug_run(AB_KERNEL_conv2d, "ref", a);
}

/* ---- other weights ---- */

/* The reference kernel on weights that `change` has made of the model's, w[count]. */
static void with_weights(const void *p, void (*change)(args_of *a, const float *model, float *w))
{
    args_of a = *(const args_of *)p;
    const struct ab_conv2d_shape *s = &a.shape;
    const size_t count = (size_t)s->oc * (size_t)(s->ic / s->g) * (size_t)(s->kh * s->kw);
    float *w = malloc(sizeof *w * count);
    if (!w) abort();
    memcpy(w, a.wei, sizeof *w * count);
    change(&a, a.wei, w);
    a.wei = w;
    run(&a);
    free(w);
}

static int filters(const args_of *a)
{
    return a->shape.oc * (a->shape.ic / a->shape.g);
}

static int weights(const args_of *a)
{
    return filters(a) * a->shape.kh * a->shape.kw;
}

static void drop_last_tap(args_of *a, const float *model, float *w)
{
    const int taps = a->shape.kh * a->shape.kw;
    (void)model;
    if (taps > 1)
        for (int i = 0; i < filters(a); i++) w[(i + 1) * taps - 1] = 0.0f;
}

void ab_bug_conv2d_tap_dropped(const void *p)
{
    with_weights(p, drop_last_tap);
}

static void shift_taps(args_of *a, const float *model, float *w)
{
    const int taps = a->shape.kh * a->shape.kw;
    for (int i = 0; i < filters(a); i++)
        for (int t = 0; t < taps; t++) w[i * taps + t] = model[i * taps + (t + 1) % taps];
}

void ab_bug_conv2d_tap_shifted(const void *p)
{
    with_weights(p, shift_taps);
}

static void flip(args_of *a, const float *model, float *w)
{
    const int taps = a->shape.kh * a->shape.kw;
    for (int i = 0; i < filters(a); i++)
        for (int t = 0; t < taps; t++) w[i * taps + t] = model[i * taps + taps - 1 - t];
}

void ab_bug_conv2d_kernel_flipped(const void *p)
{
    with_weights(p, flip);
}

static void transpose_taps(args_of *a, const float *model, float *w)
{
    const int kh = a->shape.kh, kw = a->shape.kw;
    for (int i = 0; i < filters(a); i++)
        for (int t = 0; t < kh * kw; t++)
            w[i * kh * kw + t] = model[i * kh * kw + t % kh * kw + t / kh];
}

void ab_bug_conv2d_kernel_transposed(const void *p)
{
    with_weights(p, transpose_taps);
}

static void transpose_channels(args_of *a, const float *model, float *w)
{
    const int taps = a->shape.kh * a->shape.kw, oc = a->shape.oc, icg = a->shape.ic / a->shape.g;
    for (int o = 0; o < oc; o++)
        for (int i = 0; i < icg; i++)
            memcpy(w + (o * icg + i) * taps, model + (i * oc + o) * taps, sizeof *w * (size_t)taps);
}

void ab_bug_conv2d_operands_swapped(const void *p)
{
    with_weights(p, transpose_channels);
}

static void next_group(args_of *a, const float *model, float *w)
{
    const int all = weights(a), group = all / a->shape.g;
    for (int i = 0; i < all; i++) w[i] = model[(i + group) % all];
}

void ab_bug_conv2d_group_wrong(const void *p)
{
    with_weights(p, next_group);
}

static float bf16(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void round_weights(args_of *a, const float *model, float *w)
{
    for (int i = 0; i < weights(a); i++) w[i] = bf16(model[i]);
}

void ab_bug_conv2d_weights_bf16(const void *p)
{
    with_weights(p, round_weights);
}

static void gain_of_all(args_of *a, const float *model, float *w)
{
    if (a->wmod != AB_W_GAMMA) return;
    a->wmod = AB_W_ALL;
    for (int i = 0; i < weights(a); i++) w[i] = model[i] * a->gain;
}

void ab_bug_conv2d_gain_of_all(const void *p)
{
    with_weights(p, gain_of_all);
}

static void signed_square(args_of *a, const float *model, float *w)
{
    if (a->wmod != AB_W_SQUARE) return;
    a->wmod = AB_W_ALL;
    for (int i = 0; i < weights(a); i++) w[i] = model[i] * fabsf(model[i]);
}

void ab_bug_conv2d_square_signed(const void *p)
{
    with_weights(p, signed_square);
}

/* ---- other arguments ---- */

void ab_bug_conv2d_wmod_ignored(const void *p)
{
    args_of a = *(const args_of *)p;
    a.wmod = AB_W_ALL;
    run(&a);
}

void ab_bug_conv2d_neg_is_pos(const void *p)
{
    args_of a = *(const args_of *)p;
    if (a.wmod == AB_W_NEG) a.wmod = AB_W_POS;
    run(&a);
}

void ab_bug_conv2d_bias_dropped(const void *p)
{
    args_of a = *(const args_of *)p;
    a.bias = NULL;
    run(&a);
}

/* The reference kernel with a bias that `change` has made of the caller's. */
static void with_bias(const void *p, void (*change)(float *bias, int count))
{
    args_of a = *(const args_of *)p;
    const int count = ab_blocks(a.shape.oc) * AB_LANES;
    float *bias = malloc(sizeof *bias * (size_t)count);
    if (!bias) abort();
    if (a.bias) {
        memcpy(bias, a.bias, sizeof *bias * (size_t)count);
        change(bias, count);
        a.bias = bias;
    }
    run(&a);
    free(bias);
}

static void twice(float *bias, int count)
{
    for (int i = 0; i < count; i++) bias[i] *= 2.0f;
}

void ab_bug_conv2d_bias_twice(const void *p)
{
    with_bias(p, twice);
}

static void first_block(float *bias, int count)
{
    for (int i = AB_LANES; i < count; i++) bias[i] = bias[i - AB_LANES];
}

void ab_bug_conv2d_bias_of_block_0(const void *p)
{
    with_bias(p, first_block);
}

void ab_bug_conv2d_add_dropped(const void *p)
{
    args_of a = *(const args_of *)p;
    a.add.data = NULL;
    run(&a);
}

void ab_bug_conv2d_stale(const void *p)
{
    args_of a = *(const args_of *)p;
    if (!a.add.data) a.add = a.dst;
    run(&a);
}

void ab_bug_conv2d_dilation_ignored(const void *p)
{
    args_of a = *(const args_of *)p;
    a.shape.dh = a.shape.dw = 1;
    run(&a);
}

void ab_bug_conv2d_padding_symmetric(const void *p)
{
    args_of a = *(const args_of *)p;
    a.shape.pt = a.shape.pb;
    a.shape.pl = a.shape.pr;
    run(&a);
}

void ab_bug_conv2d_phase_wrong(const void *p)
{
    args_of a = *(const args_of *)p;
    if (a.pass == AB_BWD && a.shape.sw > 1) a.shape.pl++;
    run(&a);
}

void ab_bug_conv2d_strides_swapped(const void *p)
{
    args_of a = *(const args_of *)p;
    a.shape.sh = a.shape.sw;
    a.shape.sw = ((const args_of *)p)->shape.sh;
    run(&a);
}

void ab_bug_conv2d_image_0(const void *p)
{
    args_of a = *(const args_of *)p;
    a.src.image = 0;
    run(&a);
}

void ab_bug_conv2d_range_ignored(const void *p)
{
    args_of a = *(const args_of *)p;
    a.range.y0 = 0;
    a.range.y1 = a.pass == AB_FWD ? a.shape.oh : a.shape.ih;
    run(&a);
}

/* ---- results spoilt ---- */

static int width(const args_of *a)
{
    return a->pass == AB_FWD ? a->shape.ow : a->shape.iw;
}

/* Calls spoil(pixel of dst, its 16 lanes, n, b, y, x) for all of the range. */
static void spoil_pixels(const args_of *a,
                         void (*spoil)(const args_of *a, float *pixel, int n, int b, int y, int x))
{
    const struct ab_range *r = &a->range;
    for (int n = r->n0; n < r->n1; n++)
        for (int b = r->b0; b < r->b1; b++)
            for (int y = r->y0; y < r->y1; y++)
                for (int x = 0; x < width(a); x++)
                    spoil(a, a->dst.data + ab_view_at(&a->dst, n, b, y, x), n, b, y, x);
}

static void drop_column(const args_of *a, float *pixel, int n, int b, int y, int x)
{
    (void)n, (void)b, (void)y;
    if (x + 1 == width(a)) memset(pixel, 0, sizeof *pixel * AB_LANES);
}

void ab_bug_conv2d_column_dropped(const void *p)
{
    run(p);
    spoil_pixels(p, drop_column);
}

void ab_bug_conv2d_row_unwritten(const void *p)
{
    args_of a = *(const args_of *)p;
    if (a.range.y1 - a.range.y0 > 1) a.range.y1--;
    run(&a);
}

static int channels_of(const args_of *a, int b)
{
    return ab_conv2d_dst_channels(&a->shape, a->pass) - b * AB_LANES;
}

/* As by a vector of 8 lanes without a masked rest. */
static void drop_tail(const args_of *a, float *pixel, int n, int b, int y, int x)
{
    const int lanes = channels_of(a, b);
    (void)n, (void)y, (void)x;
    if (lanes < AB_LANES)
        for (int l = lanes / 8 * 8; l < lanes; l++) pixel[l] = 0.0f;
}

void ab_bug_conv2d_tail_dropped(const void *p)
{
    run(p);
    spoil_pixels(p, drop_tail);
}

static void dirty_padding(const args_of *a, float *pixel, int n, int b, int y, int x)
{
    (void)n, (void)y, (void)x;
    for (int l = channels_of(a, b); l < AB_LANES; l++) pixel[l] = pixel[0] + 1.0f;
}

void ab_bug_conv2d_padding_lanes(const void *p)
{
    run(p);
    spoil_pixels(p, dirty_padding);
}

static void nudge_first_of_range(const args_of *a, float *pixel, int n, int b, int y, int x)
{
    (void)n, (void)b, (void)x;
    if (y == a->range.y0 && y > 0) pixel[0] = ab_bug_nudge(pixel[0]);
}

void ab_bug_conv2d_range_matters(const void *p)
{
    run(p);
    spoil_pixels(p, nudge_first_of_range);
}

static void nudge_last_image(const args_of *a, float *pixel, int n, int b, int y, int x)
{
    (void)b, (void)y, (void)x;
    if (n + 1 == a->shape.n && n > 0) pixel[0] = ab_bug_nudge(pixel[0]);
}

void ab_bug_conv2d_batch_matters(const void *p)
{
    run(p);
    spoil_pixels(p, nudge_last_image);
}

static void nudge(const args_of *a, float *pixel, int n, int b, int y, int x)
{
    (void)a, (void)n, (void)b, (void)y, (void)x;
    pixel[0] = ab_bug_nudge(pixel[0]);
}

/* Weights need no alignment. */
void ab_bug_conv2d_alignment_matters(const void *p)
{
    const args_of *a = p;
    run(a);
    if ((uintptr_t)a->wei % 16 != 0) spoil_pixels(a, nudge);
}

void ab_bug_conv2d_counter(const void *p)
{
    static int calls;
    run(p);
    if (calls++ % 2 != 0) spoil_pixels(p, nudge);
}

/* ---- epilogue, alias, panel, chain ---- */

void ab_bug_conv2d_epilogue_skipped(const void *p)
{
    args_of a = *(const args_of *)p;
    const int last = a.range.y1 - 1;
    a.range.y1 = last;
    run(&a);
    a.range.y0 = last, a.range.y1 = last + 1;
    a.f.kind = AB_PW_COPY;
    run(&a);
}

static void zero(const args_of *a, float *pixel, int n, int b, int y, int x)
{
    (void)a, (void)n, (void)b, (void)y, (void)x;
    memset(pixel, 0, sizeof *pixel * AB_LANES);
}

/* dst is zeroed to accumulate in it: `add` may be there. */
void ab_bug_conv2d_alias_unsafe(const void *p)
{
    spoil_pixels(p, zero);
    run(p);
}

/* Reads a panel's weights where they would be among those of all blocks. */
void ab_bug_conv2d_panel_ignored(const void *p)
{
    args_of a = *(const args_of *)p;
    a.panel = false;
    ab_bug_run(AB_KERNEL_conv2d, "plain", &a);
}

void ab_bug_conv2d_chain_mixed(const void *p)
{
    const args_of *first = p;
    for (const args_of *a = first; a; a = a->next) {
        args_of one = *a;
        one.next = NULL;
        one.bias = first->bias;
        ab_bug_run(AB_KERNEL_conv2d, "winograd2", &one);
    }
}
