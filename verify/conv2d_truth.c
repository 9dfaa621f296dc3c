// SPDX-License-Identifier: Apache-2.0
// The true result of a convolution, in double, from its definition: every product of an output, an
// input and a weight once, in the order of the forward pass; backward-data is the transpose.
#include "verify/conv2d.h"

#include <math.h>
#include <stdlib.h>

/* The indices o in [begin, end) of an axis with `out` outputs whose tap k reads inside. */
struct reach {
    int begin, end, first; /* first: the input that output `begin` reads */
};

static struct reach reach_of(int out, int in, int k, int stride, int dilation, int pad)
{
    struct reach r = {0, out, 0};
    while (r.begin < out && r.begin * stride - pad + k * dilation < 0) r.begin++;
    while (r.end > r.begin && (r.end - 1) * stride - pad + k * dilation >= in) r.end--;
    r.first = r.begin * stride - pad + k * dilation;
    return r;
}

/* One line of products into sums. */
struct line {
    double *sum, *magnitude, *square;
    const double *src;
    int dst_step, src_step, count;
    double w;
};

static void add_line(const struct line *l)
{
    const double w = l->w;
    for (int i = 0; i < l->count; i++) {
        const ptrdiff_t d = (ptrdiff_t)i * l->dst_step;
        const double term = w * l->src[(ptrdiff_t)i * l->src_step];
        l->sum[d] += term;
        l->magnitude[d] += fabs(term);
        l->square[d] += term * term;
    }
}

/* The same where both steps are 1, which compilers vectorise. */
static void add_dense_line(const struct line *l)
{
    double *restrict sum = l->sum, *restrict magnitude = l->magnitude, *restrict square = l->square;
    const double *restrict src = l->src;
    const double w = l->w;
    for (int i = 0; i < l->count; i++) {
        const double term = w * src[i];
        sum[i] += term;
        magnitude[i] += fabs(term);
        square[i] += term * term;
    }
}

/* One tap of one pair of channels. */
struct pair {
    const struct ab_conv_problem *p;
    const double *src; /* planes of the src channel and the dst channel */
    size_t dst;
    double w;
};

static void add_tap(const struct pair *k, struct reach y, struct reach x)
{
    const struct ab_conv2d_shape *s = &k->p->trial.shape.conv;
    const struct ab_truth *t = &k->p->truth;
    const bool fwd = k->p->trial.pass == AB_FWD;
    for (int oy = y.begin; oy < y.end; oy++) {
        const int iy = y.first + (oy - y.begin) * s->sh;
        const ptrdiff_t out = (ptrdiff_t)oy * s->ow + x.begin, in = (ptrdiff_t)iy * s->iw + x.first;
        const size_t at = k->dst + (size_t)(fwd ? out : in);
        const struct line line = {.sum = t->sum + at,
                                  .magnitude = t->magnitude + at,
                                  .square = t->square + at,
                                  .src = k->src + (fwd ? in : out),
                                  .dst_step = fwd ? 1 : s->sw,
                                  .src_step = fwd ? s->sw : 1,
                                  .count = x.end - x.begin,
                                  .w = k->w};
        if (s->sw == 1)
            add_dense_line(&line);
        else
            add_line(&line);
    }
}

/* The weight in the precision of the operation: packed to float, or in double. */
static double weight(const struct ab_conv_problem *p, size_t i)
{
    const double w = (double)p->wei[i];
    if (p->trial.op != AB_KERNEL_conv2d_f64) return (double)p->effective[i];
    switch (p->trial.wmod) {
    case AB_W_POS: return fmax(w, 0.0);
    case AB_W_NEG: return fmin(w, 0.0);
    case AB_W_ABS: return fabs(w);
    case AB_W_SQUARE: return w * w;
    case AB_W_ONE: return 1.0;
    case AB_W_GAMMA: return fmax(w, (double)p->gain * w);
    default: return w;
    }
}

static void add_channels(const struct ab_conv_problem *p, const double *src, int n, int o, int i)
{
    const struct ab_conv2d_shape *s = &p->trial.shape.conv;
    const int icg = s->ic / s->g;
    const bool fwd = p->trial.pass == AB_FWD;
    const size_t in = (size_t)s->ih * (size_t)s->iw, out = (size_t)s->oh * (size_t)s->ow;
    const size_t input = ((size_t)n * (size_t)s->ic + (size_t)i) * in;
    const size_t output = ((size_t)n * (size_t)s->oc + (size_t)o) * out;
    struct pair k = {.p = p, .src = src + (fwd ? input : output), .dst = fwd ? output : input};
    size_t at = ((size_t)o * (size_t)icg + (size_t)(i % icg)) * (size_t)(s->kh * s->kw);
    for (int ky = 0; ky < s->kh; ky++) {
        const struct reach y = reach_of(s->oh, s->ih, ky, s->sh, s->dh, s->pt);
        for (int kx = 0; kx < s->kw; kx++, at++) {
            const struct reach x = reach_of(s->ow, s->iw, kx, s->sw, s->dw, s->pl);
            k.w = weight(p, at);
            if (x.begin < x.end) add_tap(&k, y, x);
        }
    }
}

/* How many taps of an axis take part in each element of dst. */
static void count_taps(bool fwd, int out, int in, const int axis[4], int *taps)
{
    const int k = axis[0], stride = axis[1], dilation = axis[2], pad = axis[3];
    for (int i = 0; i < (fwd ? out : in); i++) taps[i] = 0;
    for (int t = 0; t < k; t++) {
        const struct reach r = reach_of(out, in, t, stride, dilation, pad);
        for (int o = r.begin; o < r.end; o++) taps[fwd ? o : r.first + (o - r.begin) * stride]++;
    }
}

/* A sum of nothing is 0, of either sign: it has the one term 0. */
static bool count_terms(struct ab_conv_problem *p)
{
    const struct ab_conv2d_shape *s = &p->trial.shape.conv;
    const bool fwd = p->trial.pass == AB_FWD;
    const int *d = p->dst_dims, channels = (fwd ? s->ic : s->oc) / s->g;
    int *rows = malloc((size_t)(d[2] + d[3] + 1) * sizeof *rows);
    if (!rows) return false;
    int *columns = rows + d[2];
    count_taps(fwd, s->oh, s->ih, (const int[]){s->kh, s->sh, s->dh, s->pt}, rows);
    count_taps(fwd, s->ow, s->iw, (const int[]){s->kw, s->sw, s->dw, s->pl}, columns);
    for (size_t i = 0; i < p->truth.count; i++) {
        const int y = (int)(i / (size_t)d[3] % (size_t)d[2]), x = (int)(i % (size_t)d[3]);
        const int terms = rows[y] * columns[x] * channels;
        p->truth.terms[i] = terms ? terms : 1;
    }
    free(rows);
    return true;
}

static void add_rest(struct ab_conv_problem *p)
{
    const size_t plane = (size_t)p->dst_dims[2] * (size_t)p->dst_dims[3];
    for (size_t i = 0; i < p->truth.count; i++) {
        const size_t c = i / plane % (size_t)p->dst_dims[1];
        if (p->bias_f64) ab_truth_add(&p->truth, i, p->bias_f64[c]);
        if (p->bias && !p->bias_f64) ab_truth_add(&p->truth, i, (double)p->bias[c]);
        if (p->add_f64) ab_truth_add(&p->truth, i, p->add_f64[i]);
        if (p->add && !p->add_f64) ab_truth_add(&p->truth, i, (double)p->add[i]);
    }
}

static bool sum_products(struct ab_conv_problem *p)
{
    const struct ab_conv2d_shape *s = &p->trial.shape.conv;
    const size_t count = ab_conv_src_count(p);
    const int icg = s->ic / s->g, ocg = s->oc / s->g;
    if (!ab_truth_new(&p->truth, ab_conv_dst_count(p))) return false;
    double *src = malloc((count + 1) * sizeof *src);
    for (size_t i = 0; src && i < count; i++)
        src[i] = p->src_f64 ? p->src_f64[i] : (double)p->src[i];
    if (!src || !count_terms(p)) {
        free(src);
        return false;
    }
    for (int n = 0; n < s->n; n++)
        for (int o = 0; o < s->oc; o++)
            for (int i = 0; i < icg; i++) add_channels(p, src, n, o, o / ocg * icg + i);
    free(src);
    return true;
}

/* The same sums with as much padding as the kernel reaches. */
static bool sum_reach(struct ab_conv_problem *p)
{
    struct ab_conv_problem all = *p;
    struct ab_conv2d_shape *s = &all.trial.shape.conv;
    const bool fwd = p->trial.pass == AB_FWD;
    const bool is_3x3 = s->kh == 3 && s->kw == 3 && s->sh == 1 && s->sw == 1 && s->dh == 1 &&
                        s->dw == 1 && s->g == 1 && s->pt <= 2 && s->pl <= 2;
    if (!is_3x3) return true;
    p->reach_y = fwd ? 2 - s->pt : s->pt;
    p->reach_x = fwd ? 2 - s->pl : s->pl;
    if (fwd) {
        s->oh = s->ih + 2;
        s->ow = s->iw + 2;
    } else {
        s->ih = s->oh + 2;
        s->iw = s->ow + 2;
    }
    s->pt = s->pl = s->pb = s->pr = fwd ? 2 : 0;
    all.dst_dims[2] = fwd ? s->oh : s->ih;
    all.dst_dims[3] = fwd ? s->ow : s->iw;
    const bool ok = sum_products(&all);
    p->reach = all.truth;
    for (int i = 0; i < 4; i++) p->reach_dims[i] = all.dst_dims[i];
    return ok;
}

bool ab_conv_truth(struct ab_conv_problem *p)
{
    if (!sum_products(p) || !sum_reach(p)) return false;
    add_rest(p);
    return true;
}
