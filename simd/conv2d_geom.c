// SPDX-License-Identifier: Apache-2.0
// Convolution geometry: phases and taps of both passes, halo, channel ranges of groups.
#include <assert.h>

#include "conv2d_geom.h"

static int gcd(int a, int b)
{
    while (b) {
        const int r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

/* What one axis of a shape says, whatever the pass. */
struct extent {
    int in, out, kernel, stride, dilation, pad;
};

static struct extent extent_y(const struct ab_conv2d_shape *s)
{
    return (struct extent){s->ih, s->oh, s->kh, s->sh, s->dh, s->pt};
}

static struct extent extent_x(const struct ab_conv2d_shape *s)
{
    return (struct extent){s->iw, s->ow, s->kw, s->sw, s->dw, s->pl};
}

static struct ab_conv2d_axis forward_axis(struct extent e)
{
    return (struct ab_conv2d_axis){
        .dst0 = 0,
        .dst_step = 1,
        .count = e.out,
        .src_step = e.stride,
        .d0 = -e.pad,
        .dstep = e.dilation,
        .taps = e.kernel,
        .k0 = 0,
        .kstep = 1,
    };
}

/* Input index i = r + Y*stride receives from output o through kernel index k when
 * o*stride = i + pad - k*dilation, so k must satisfy k*dilation = r + pad (mod stride). */
static struct ab_conv2d_axis backward_axis(struct extent e, int r)
{
    const int kstep = e.stride / gcd(e.dilation, e.stride);
    int k0 = 0;
    while (k0 < kstep && (r + e.pad - k0 * e.dilation) % e.stride != 0) k0++;
    const bool solvable = k0 < kstep && k0 < e.kernel;
    return (struct ab_conv2d_axis){
        .dst0 = r,
        .dst_step = e.stride,
        .count = r < e.in ? (e.in - r + e.stride - 1) / e.stride : 0,
        .src_step = 1,
        .d0 = solvable ? (r + e.pad - k0 * e.dilation) / e.stride : 0,
        .dstep = -(kstep * e.dilation / e.stride),
        .taps = solvable ? (e.kernel - k0 + kstep - 1) / kstep : 0,
        .k0 = k0,
        .kstep = kstep,
    };
}

int ab_conv2d_phases(const struct ab_conv2d_shape *shape, enum ab_pass pass)
{
    return pass == AB_FWD ? 1 : shape->sh * shape->sw;
}

struct ab_conv2d_phase ab_conv2d_phase_at(const struct ab_conv2d_shape *shape, enum ab_pass pass,
                                          int phase)
{
    const struct extent ey = extent_y(shape), ex = extent_x(shape);
    if (pass == AB_FWD) return (struct ab_conv2d_phase){forward_axis(ey), forward_axis(ex), 0};
    const int ry = phase / shape->sw, rx = phase % shape->sw;
    struct ab_conv2d_phase p = {backward_axis(ey, ry), backward_axis(ex, rx), 0};
    /* Each kernel column belongs to exactly one remainder, so a full row of phases holds kw. */
    for (int r = 0; r < ry; r++) p.taps_before += backward_axis(ey, r).taps * shape->kw;
    for (int r = 0; r < rx; r++) p.taps_before += p.y.taps * backward_axis(ex, r).taps;
    return p;
}

struct ab_conv2d_span ab_conv2d_positions(const struct ab_conv2d_axis *a, int begin, int end)
{
    const int step = a->dst_step;
    const int lo = begin <= a->dst0 ? 0 : (begin - a->dst0 + step - 1) / step;
    const int hi = end <= a->dst0 ? 0 : (end - a->dst0 + step - 1) / step;
    const int stop = hi < a->count ? hi : a->count;
    return (struct ab_conv2d_span){lo, stop > lo ? stop : lo};
}

struct ab_conv2d_span ab_conv2d_inside(const struct ab_conv2d_axis *a, int i, int size)
{
    const int at = i * a->src_step + a->d0;
    int begin = 0, end = a->taps;
    while (begin < end && (at + begin * a->dstep < 0 || at + begin * a->dstep >= size)) begin++;
    while (end > begin && (at + (end - 1) * a->dstep < 0 || at + (end - 1) * a->dstep >= size))
        end--;
    return (struct ab_conv2d_span){begin, end};
}

struct ab_conv2d_span ab_conv2d_inputs(const struct ab_conv2d_shape *shape, enum ab_pass pass,
                                       int block)
{
    const int channels = ab_conv2d_dst_channels(shape, pass);
    const int per_group = channels / shape->g;
    const int inputs = ab_conv2d_src_channels(shape, pass) / shape->g;
    const int first = block * AB_LANES;
    const int last = (first + AB_LANES < channels ? first + AB_LANES : channels) - 1;
    assert(first < channels);
    return (struct ab_conv2d_span){first / per_group * inputs, (last / per_group + 1) * inputs};
}

int ab_conv2d_inputs_max(const struct ab_conv2d_shape *shape, enum ab_pass pass)
{
    const int blocks = ab_blocks(ab_conv2d_dst_channels(shape, pass));
    int widest = 0;
    for (int b = 0; b < blocks; b++) {
        const struct ab_conv2d_span in = ab_conv2d_inputs(shape, pass, b);
        widest = max_int(widest, in.end - in.begin);
    }
    return widest;
}

/* How far one phase of one axis reads below 0 and above size-1. */
static void reach(const struct ab_conv2d_axis *a, int size, int *below, int *above)
{
    if (a->count == 0 || a->taps == 0) return;
    const int first = a->d0, last = a->d0 + (a->taps - 1) * a->dstep;
    const int low = first < last ? first : last, high = first < last ? last : first;
    *below = max_int(*below, -low);
    *above = max_int(*above, (a->count - 1) * a->src_step + high - (size - 1));
}

struct ab_halo ab_conv2d_halo(const struct ab_conv2d_shape *shape, enum ab_pass pass)
{
    struct ab_halo halo = {0, 0, 0, 0};
    const int h = pass == AB_FWD ? shape->ih : shape->oh;
    const int w = pass == AB_FWD ? shape->iw : shape->ow;
    for (int i = 0; i < ab_conv2d_phases(shape, pass); i++) {
        const struct ab_conv2d_phase p = ab_conv2d_phase_at(shape, pass, i);
        reach(&p.y, h, &halo.top, &halo.bottom);
        reach(&p.x, w, &halo.left, &halo.right);
    }
    return halo;
}
