// SPDX-License-Identifier: Apache-2.0
// Convolution geometry shared by packing and by every conv2d kernel: phases, taps, channel ranges.
//
// Both passes are the same sum over taps. Forward is one phase that reads src at a step of (sh,sw).
// Backward-data splits dst by (y mod sh, x mod sw) into sh*sw phases; each phase is a stride-1
// correlation with the weights whose kernel index hits that remainder, so no product with a zero is
// formed. Along one axis the taps of a phase are an arithmetic progression, in the kernel index as
// well as in the source offset, for any stride and dilation; hence no tap list is ever stored.
#ifndef AB_CONV2D_GEOM_H
#define AB_CONV2D_GEOM_H

#include "kernels.h"

/* One axis of one phase. Position i of the phase, 0 <= i < count, is dst index dst0 + i*dst_step,
 * and its tap t, 0 <= t < taps, reads src index i*src_step + d0 + t*dstep with kernel index
 * k0 + t*kstep. */
struct ab_conv2d_axis {
    int dst0, dst_step, count;
    int src_step, d0, dstep;
    int taps, k0, kstep;
};

struct ab_conv2d_phase {
    struct ab_conv2d_axis y, x;
    int taps_before; /* kernel taps of all earlier phases: places the phase in packed weights */
};

/* Half-open. */
struct ab_conv2d_span {
    int begin, end;
};

int ab_conv2d_phases(const struct ab_conv2d_shape *shape, enum ab_pass pass);
struct ab_conv2d_phase ab_conv2d_phase_at(const struct ab_conv2d_shape *shape, enum ab_pass pass,
                                          int phase);

/* The positions of axis `a` whose dst index lies in [begin,end). */
struct ab_conv2d_span ab_conv2d_positions(const struct ab_conv2d_axis *a, int begin, int end);

/* The taps of axis `a` that read inside [0,size) of src at position i: the others add zeros. They
 * are contiguous because the source offsets are monotonic in the tap. */
struct ab_conv2d_span ab_conv2d_inside(const struct ab_conv2d_axis *a, int i, int size);

/* The src channels that dst block `block` depends on: the union over the groups that it touches. */
struct ab_conv2d_span ab_conv2d_inputs(const struct ab_conv2d_shape *shape, enum ab_pass pass,
                                       int block);

/* The widest ab_conv2d_inputs over all dst blocks. */
int ab_conv2d_inputs_max(const struct ab_conv2d_shape *shape, enum ab_pass pass);

static inline int ab_conv2d_src_channels(const struct ab_conv2d_shape *s, enum ab_pass pass)
{
    return pass == AB_FWD ? s->ic : s->oc;
}
static inline int ab_conv2d_dst_channels(const struct ab_conv2d_shape *s, enum ab_pass pass)
{
    return pass == AB_FWD ? s->oc : s->ic;
}
static inline ptrdiff_t ab_view_at(const struct ab_view *v, int n, int block, int y, int x)
{
    return n * v->image + block * v->block + y * v->row + (ptrdiff_t)x * AB_LANES;
}

/* One weight as `wmod` sees it. */
static inline float ab_conv2d_wmod(enum ab_wmod wmod, float gain, float w)
{
    switch (wmod) {
    case AB_W_POS: return w > 0.0f ? w : 0.0f;
    case AB_W_NEG: return w < 0.0f ? w : 0.0f;
    case AB_W_ABS: return w < 0.0f ? -w : w;
    case AB_W_SQUARE: return w * w;
    case AB_W_ONE: return 1.0f;
    case AB_W_GAMMA: return w > 0.0f ? gain * w : w;
    default: return w;
    }
}

static inline int ab_conv2d_src_h(const struct ab_conv2d_shape *s, enum ab_pass pass)
{
    return pass == AB_FWD ? s->ih : s->oh;
}

/* Whether `direct` kernels compute the shape as one of unit stride in work space: 1x1 kernels with
 * a stride. */
static inline bool ab_conv2d_by_unit(const struct ab_conv2d_shape *s)
{
    return s->kh * s->kw == 1 && s->sh * s->sw > 1 && s->pt == 0 && s->pl == 0 && s->pb == 0 &&
           s->pr == 0;
}

/* The packed weights of `direct` kernels and of `plain`: per phase, per dst block, the taps in the
 * order of iteration: src block, kernel row, kernel column, real src lane, 16 dst lanes. One block
 * of one phase is a contiguous stream; streams are equally long (that of the widest range), so that
 * they are found without a table. */
static inline ptrdiff_t ab_conv2d_stream(const struct ab_conv2d_phase *p, int inputs_max)
{
    return (ptrdiff_t)p->y.taps * p->x.taps * inputs_max * AB_LANES;
}
static inline ptrdiff_t ab_conv2d_phase_start(const struct ab_conv2d_phase *p, int inputs_max,
                                              int dst_blocks)
{
    return (ptrdiff_t)p->taps_before * inputs_max * AB_LANES * dst_blocks;
}
/* The dst blocks that a->pack holds. */
static inline struct ab_conv2d_span ab_conv2d_packed(const struct ab_conv2d_args *a)
{
    const int all = ab_blocks(ab_conv2d_dst_channels(&a->shape, a->pass));
    return a->panel ? (struct ab_conv2d_span){a->range.b0, a->range.b1}
                    : (struct ab_conv2d_span){0, all};
}
/* Where the stream of `block` begins in a->pack. */
static inline ptrdiff_t ab_conv2d_stream_at(const struct ab_conv2d_args *a,
                                            const struct ab_conv2d_phase *p, int inputs_max,
                                            int block)
{
    const struct ab_conv2d_span packed = ab_conv2d_packed(a);
    return ab_conv2d_phase_start(p, inputs_max, packed.end - packed.begin) +
           (block - packed.begin) * ab_conv2d_stream(p, inputs_max);
}

#endif
