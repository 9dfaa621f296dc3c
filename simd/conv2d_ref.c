// SPDX-License-Identifier: Apache-2.0
// conv2d by its definition: naive loops over the model's own weights, accumulated in double.
#include "conv2d_geom.h"
#include "pointwise_scalar.h"

void ab_conv2d_ref(const void *p);

/* The src index that kernel index k joins with dst index i, or -1. */
static int source(enum ab_pass pass, int i, int k, int stride, int dilation, int pad, int size)
{
    int at = i * stride - pad + k * dilation;
    if (pass == AB_BWD) {
        at = i + pad - k * dilation;
        if (at % stride != 0) return -1;
        at /= stride;
    }
    return at >= 0 && at < size ? at : -1;
}

/* The sum over all src channels of one pair of kernel indices. */
static double sum_channels(const struct ab_conv2d_args *a, int n, int c, int sy, int sx, int tap)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const int icg = s->ic / s->g, ocg = s->oc / s->g, taps = s->kh * s->kw;
    const int inputs = a->pass == AB_FWD ? icg : ocg;
    const int group = a->pass == AB_FWD ? c / ocg : c / icg;
    double sum = 0.0;
    for (int i = 0; i < inputs; i++) {
        const int sc = group * inputs + i;
        const ptrdiff_t row =
            a->pass == AB_FWD ? (ptrdiff_t)c * icg + i : (ptrdiff_t)sc * icg + c % icg;
        const float w = ab_conv2d_wmod(a->wmod, a->gain, a->wei[row * taps + tap]);
        const float *src = a->src.data + ab_view_at(&a->src, n, sc / AB_LANES, sy, sx);
        sum += (double)w * (double)src[sc % AB_LANES];
    }
    return sum;
}

static float element(const struct ab_conv2d_args *a, int n, int c, int y, int x)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const int src_h = a->pass == AB_FWD ? s->ih : s->oh, src_w = a->pass == AB_FWD ? s->iw : s->ow;
    double sum = 0;
    for (int ky = 0; ky < s->kh; ky++) {
        const int sy = source(a->pass, y, ky, s->sh, s->dh, s->pt, src_h);
        for (int kx = 0; kx < s->kw && sy >= 0; kx++) {
            const int sx = source(a->pass, x, kx, s->sw, s->dw, s->pl, src_w);
            if (sx >= 0) sum += sum_channels(a, n, c, sy, sx, ky * s->kw + kx);
        }
    }
    float total = (float)sum;
    if (a->bias && a->pass == AB_FWD) total += a->bias[c];
    if (a->add.data)
        total += a->add.data[ab_view_at(&a->add, n, c / AB_LANES, y, x) + c % AB_LANES];
    return total;
}

static void pixel(const struct ab_conv2d_args *a, int n, int b, int y, int x)
{
    const int channels = ab_conv2d_dst_channels(&a->shape, a->pass);
    const struct pw_at at = {n, b, y, x, 1};
    float out[AB_LANES] = {0.0f};
    for (int l = 0; l < AB_LANES && b * AB_LANES + l < channels; l++)
        out[l] = element(a, n, b * AB_LANES + l, y, x);
    pw_pixels(&a->f, &at, out, AB_LANES, 1);
    float *dst = a->dst.data + ab_view_at(&a->dst, n, b, y, x);
    for (int l = 0; l < AB_LANES; l++) dst[l] = b * AB_LANES + l < channels ? out[l] : 0.0f;
}

void ab_conv2d_ref(const void *p)
{
    const struct ab_conv2d_args *a = p;
    const struct ab_range *r = &a->range;
    const int width = a->pass == AB_FWD ? a->shape.ow : a->shape.iw;
    for (int n = r->n0; n < r->n1; n++)
        for (int b = r->b0; b < r->b1; b++)
            for (int y = r->y0; y < r->y1; y++)
                for (int x = 0; x < width; x++) pixel(a, n, b, y, x);
}
