// SPDX-License-Identifier: Apache-2.0
// Packing of convolution weights, wmod applied, in the layout that a kernel reads.
#include <string.h>

#include "conv2d_winograd.h"

enum layout { LAYOUT_NONE, LAYOUT_DIRECT, LAYOUT_DOT, LAYOUT_DEPTHWISE, LAYOUT_WINOGRAD };

/* Outputs of a tile along an axis, for LAYOUT_WINOGRAD. */
static int wino_out(const struct ab_kernel *k)
{
    return strcmp(k->variant, "winograd2") == 0 ? 2 : 4;
}

static enum layout layout_of(const struct ab_kernel *k)
{
    if (k->isa == AB_ISA_ref) return LAYOUT_NONE;
    if (strcmp(k->variant, "dot") == 0) return LAYOUT_DOT;
    if (strcmp(k->variant, "depthwise") == 0) return LAYOUT_DEPTHWISE;
    if (strncmp(k->variant, "winograd", 8) == 0) return LAYOUT_WINOGRAD;
    return LAYOUT_DIRECT;
}

/* The weight that joins a dst and a src channel, 0 across groups and for padding lanes. */
static float weight(const struct ab_conv2d_args *a, int dst_c, int src_c, int ky, int kx)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const int oc = a->pass == AB_FWD ? dst_c : src_c, ic = a->pass == AB_FWD ? src_c : dst_c;
    const int icg = s->ic / s->g, ocg = s->oc / s->g;
    if (oc >= s->oc || ic >= s->ic || oc / ocg != ic / icg) return 0.0f;
    const ptrdiff_t at = (((ptrdiff_t)oc * icg + ic % icg) * s->kh + ky) * s->kw + kx;
    return ab_conv2d_wmod(a->wmod, a->gain, a->wei[at]);
}

/* The dst lanes of one block that have weights for one src channel: those of its group. They are
 * neighbours; the taps of lane `lo` lie at `taps`, of each further one `step` floats on. */
struct lanes {
    const float *taps;
    ptrdiff_t step;
    int lo, hi;
};

static struct lanes lanes_of(const struct ab_conv2d_args *a, int dst_c, int src_c)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const int dst_channels = ab_conv2d_dst_channels(s, a->pass), per_group = dst_channels / s->g;
    const int src_channels = ab_conv2d_src_channels(s, a->pass), inputs = src_channels / s->g;
    const int first = src_c / inputs * per_group, last = first + per_group;
    const int begin = first > dst_c ? first : dst_c;
    const int end = last < dst_c + AB_LANES ? last : dst_c + AB_LANES;
    const ptrdiff_t taps = (ptrdiff_t)s->kh * s->kw, icg = s->ic / s->g;
    if (src_c >= src_channels || begin >= end) return (struct lanes){a->wei, 0, 0, 0};
    const ptrdiff_t at =
        a->pass == AB_FWD ? begin * icg + src_c % inputs : src_c * icg + begin % per_group;
    return (struct lanes){a->wei + at * taps, a->pass == AB_FWD ? icg * taps : taps, begin - dst_c,
                          end - dst_c};
}

/* All taps of one phase between dst lanes [dst_c, dst_c + AB_LANES) and src channels [begin,end),
 * which lie in one block: the innermost index is the dst lane. Channels are the outer loop, since
 * the taps of a pair of channels are neighbours in the model. */
static float *pack_taps(const struct ab_conv2d_args *a, const struct ab_conv2d_phase *p, int dst_c,
                        struct ab_conv2d_span src, float *out)
{
    const ptrdiff_t tap = (ptrdiff_t)(src.end - src.begin) * AB_LANES;
    const ptrdiff_t all = p->y.taps * p->x.taps * tap;
    memset(out, 0, sizeof *out * (size_t)all);
    for (int c = src.begin; c < src.end; c++) {
        const struct lanes l = lanes_of(a, dst_c, c);
        for (int o = l.lo; o < l.hi; o++) {
            float *to = out + (c - src.begin) * AB_LANES + o;
            for (int ty = 0; ty < p->y.taps; ty++) {
                const float *row = l.taps + (o - l.lo) * l.step +
                                   (ptrdiff_t)(p->y.k0 + ty * p->y.kstep) * a->shape.kw;
                for (int tx = 0; tx < p->x.taps; tx++, to += tap)
                    *to = ab_conv2d_wmod(a->wmod, a->gain, row[p->x.k0 + tx * p->x.kstep]);
            }
        }
    }
    return out + all;
}

static void pack_direct(const struct ab_conv2d_args *a, const struct ab_conv2d_phase *p, float *out)
{
    const struct ab_conv2d_span blocks = ab_conv2d_packed(a);
    const int widest = ab_conv2d_inputs_max(&a->shape, a->pass);
    out += ab_conv2d_stream_at(a, p, widest, blocks.begin);
    for (int b = blocks.begin; b < blocks.end; b++, out += ab_conv2d_stream(p, widest)) {
        const struct ab_conv2d_span in = ab_conv2d_inputs(&a->shape, a->pass, b);
        float *w = out;
        for (int c = in.begin; c < in.end;) {
            const int block_end = (c / AB_LANES + 1) * AB_LANES;
            const int end = block_end < in.end ? block_end : in.end;
            w = pack_taps(a, p, b * AB_LANES, (struct ab_conv2d_span){c, end}, w);
            c = end;
        }
        memset(w, 0, sizeof *w * (size_t)(out + ab_conv2d_stream(p, widest) - w));
    }
}

/* [src block][tap][dst channel][16 src lanes] per phase. */
static void pack_dot(const struct ab_conv2d_args *a, const struct ab_conv2d_phase *p, float *out)
{
    const int outputs = ab_conv2d_dst_channels(&a->shape, a->pass);
    const int blocks = ab_blocks(ab_conv2d_src_channels(&a->shape, a->pass));
    out += (ptrdiff_t)p->taps_before * blocks * outputs * AB_LANES;
    for (int b = 0; b < blocks; b++)
        for (int ty = 0; ty < p->y.taps; ty++)
            for (int tx = 0; tx < p->x.taps; tx++)
                for (int o = 0; o < outputs; o++)
                    for (int c = 0; c < AB_LANES; c++)
                        *out++ = weight(a, o, b * AB_LANES + c, p->y.k0 + ty * p->y.kstep,
                                        p->x.k0 + tx * p->x.kstep);
}

/* [block][kh][kw][16 lanes], the same for both passes. */
static void pack_depthwise(const struct ab_conv2d_args *a, float *out)
{
    const struct ab_conv2d_shape *s = &a->shape;
    for (int b = 0; b < ab_blocks(s->oc); b++)
        for (int ky = 0; ky < s->kh; ky++)
            for (int kx = 0; kx < s->kw; kx++)
                for (int c = b * AB_LANES; c < (b + 1) * AB_LANES; c++)
                    *out++ = weight(a, c, c, ky, kx);
}

/* G for tiles of m outputs: rows of points 0, p, -p, (q, -q,) infinity. */
static void wino_points(int m, double g[WINO_IN_MAX][3])
{
    const double p = WINO_P, q = WINO_Q;
    const double np = 2 * p * p * (p * p - q * q), nq = 2 * q * q * (q * q - p * p);
    const double four[6][3] = {{1 / (p * p * q * q), 0, 0},   {1 / np, p / np, p * p / np},
                               {1 / np, -p / np, p * p / np}, {1 / nq, q / nq, q * q / nq},
                               {1 / nq, -q / nq, q * q / nq}, {0, 0, 1}};
    static const double two[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
    if (m == 4)
        memcpy(g, four, sizeof four);
    else
        memcpy(g, two, sizeof two);
}

/* G w G^T for 16 dst lanes at once, in double: taps w[3][3], planes u[m+2][m+2]. Tap 0 reads the
 * lowest src position. */
static inline void wino_transform(int m, double g[WINO_IN_MAX][3], double w[9][AB_LANES], float *u,
                                  ptrdiff_t plane)
{
    for (int i = 0; i < m + 2; i++) {
        double mid[3][AB_LANES];
        for (int c = 0; c < 3; c++)
            for (int o = 0; o < AB_LANES; o++)
                mid[c][o] = g[i][0] * w[c][o] + g[i][1] * w[3 + c][o] + g[i][2] * w[6 + c][o];
        for (int k = 0; k < m + 2; k++, u += plane)
            for (int o = 0; o < AB_LANES; o++)
                u[o] = (float)(mid[0][o] * g[k][0] + mid[1][o] * g[k][1] + mid[2][o] * g[k][2]);
    }
}

static void pack_winograd(const struct ab_conv2d_args *a, const struct ab_conv2d_phase *p, int m,
                          float *out)
{
    const int src = ab_blocks(ab_conv2d_src_channels(&a->shape, a->pass)) * AB_LANES;
    const int dst_blocks = ab_blocks(ab_conv2d_dst_channels(&a->shape, a->pass));
    const ptrdiff_t plane = ab_wino_weights(dst_blocks, src / AB_LANES);
    const bool up = p->y.dstep > 0; /* taps run up in forward, down in backward-data */
    double points[WINO_IN_MAX][3];
    wino_points(m, points);
    for (int b = 0; b < dst_blocks; b++)
        for (int c = 0; c < src; c++, out += AB_LANES) {
            const struct lanes l = lanes_of(a, b * AB_LANES, c);
            double w[9][AB_LANES] = {{0}};
            for (int o = l.lo; o < l.hi; o++)
                for (int t = 0; t < 9; t++)
                    w[up ? t : 8 - t][o] =
                        (double)ab_conv2d_wmod(a->wmod, a->gain, l.taps[(o - l.lo) * l.step + t]);
            if (m == 4)
                wino_transform(4, points, w, out, plane);
            else
                wino_transform(2, points, w, out, plane);
        }
}

bool ab_conv2d_takes_panels(const struct ab_kernel *k)
{
    return layout_of(k) == LAYOUT_DIRECT;
}

size_t ab_conv2d_pack_size(const struct ab_kernel *k, const struct ab_conv2d_args *args)
{
    const struct ab_conv2d_shape *s = &args->shape;
    const size_t tap = sizeof(float) * AB_LANES * (size_t)s->kh * (size_t)s->kw;
    const int dst_channels = ab_conv2d_dst_channels(s, args->pass);
    const struct ab_conv2d_span packed = ab_conv2d_packed(args);
    const size_t src_blocks = (size_t)ab_blocks(ab_conv2d_src_channels(s, args->pass));
    switch (layout_of(k)) {
    case LAYOUT_DIRECT:
        return tap * (size_t)(packed.end - packed.begin) *
               (size_t)ab_conv2d_inputs_max(s, args->pass);
    case LAYOUT_DOT: return tap * (size_t)dst_channels * src_blocks;
    case LAYOUT_DEPTHWISE: return tap * src_blocks;
    case LAYOUT_WINOGRAD:
        return sizeof(float) * (size_t)ab_wino_planes(wino_out(k)) *
               (size_t)ab_wino_weights(ab_blocks(dst_channels), (int)src_blocks);
    default: return 0;
    }
}

void ab_conv2d_pack(const struct ab_kernel *k, const struct ab_conv2d_args *args, void *pack)
{
    const enum layout layout = layout_of(k);
    if (layout == LAYOUT_DEPTHWISE) pack_depthwise(args, pack);
    for (int i = 0; i < ab_conv2d_phases(&args->shape, args->pass); i++) {
        const struct ab_conv2d_phase p = ab_conv2d_phase_at(&args->shape, args->pass, i);
        if (layout == LAYOUT_DIRECT) pack_direct(args, &p, pack);
        if (layout == LAYOUT_DOT) pack_dot(args, &p, pack);
        if (layout == LAYOUT_WINOGRAD) pack_winograd(args, &p, wino_out(k), pack);
    }
}

/* One image at unit stride, on the side of ic, and one of its rows. */
static size_t unit_size(const struct ab_conv2d_shape *s)
{
    const size_t pixels = (size_t)ab_blocks(s->ic) * (size_t)s->oh * (size_t)s->ow;
    return sizeof(float) * AB_LANES * (pixels + (size_t)s->iw);
}

size_t ab_conv2d_scratch_size(const struct ab_kernel *k, const struct ab_conv2d_args *args)
{
    if (layout_of(k) == LAYOUT_DIRECT && !k->baseline && ab_conv2d_by_unit(&args->shape))
        return unit_size(&args->shape);
    if (layout_of(k) != LAYOUT_WINOGRAD) return 0;
    const int blocks = ab_blocks(args->shape.ic) + ab_blocks(args->shape.oc), m = wino_out(k);
    const int tiles = ab_wino_tiles(&args->shape, args->pass, m);
    return sizeof(float) * (size_t)blocks * (size_t)(ab_wino_planes(m) * ab_wino_plane(tiles));
}
