// SPDX-License-Identifier: Apache-2.0
// Seeded bugs of dense, and of the sums in double precision.
#include <stdlib.h>
#include <string.h>

#include "simd/conv2d_geom.h"
#include "verify/bugs.h"

typedef struct ab_dense_args args_of;

static void run(const args_of *a)
{
    ab_bug_run(AB_KERNEL_dense, "ref", a);
}

/* Calls change(first, one) with a copy of each call of the chain, then runs the copy alone. */
static void with_args(const void *p, void (*change)(const args_of *first, args_of *one))
{
    const args_of *first = p;
    for (const args_of *a = first; a; a = a->next) {
        args_of one = *a;
        one.next = NULL;
        change(first, &one);
        run(&one);
    }
}

/* The reference kernel on weights that `change` has made of the model's. */
static void with_weights(const void *p, void (*change)(const args_of *a, float *w))
{
    const args_of *first = p;
    const size_t count = (size_t)first->in * (size_t)first->out;
    float *w = malloc(sizeof *w * count);
    if (!w) abort();
    for (const args_of *a = first; a; a = a->next) {
        args_of one = *a;
        memcpy(w, a->wei, sizeof *w * count);
        change(a, w);
        one.next = NULL;
        one.wei = w;
        run(&one);
    }
    free(w);
}

static void zero_last(const args_of *a, float *w)
{
    if (a->pass == AB_FWD)
        for (int o = 0; o < a->out; o++) w[o * a->in + a->in - 1] = 0.0f;
    else
        memset(w + (a->out - 1) * a->in, 0, sizeof *w * (size_t)a->in);
}

void ab_bug_dense_term_dropped(const void *p)
{
    with_weights(p, zero_last);
}

/* W is taken as [in][out]. */
static void transpose(const args_of *a, float *w)
{
    for (int o = 0; o < a->out; o++)
        for (int i = 0; i < a->in; i++) w[o * a->in + i] = a->wei[i * a->out + o];
}

void ab_bug_dense_weights_transposed(const void *p)
{
    with_weights(p, transpose);
}

static void round_to_8_bits(const args_of *a, float *w)
{
    for (int i = 0; i < a->in * a->out; i++) {
        uint32_t bits;
        memcpy(&bits, &w[i], sizeof bits);
        bits &= 0xffff0000u;
        memcpy(&w[i], &bits, sizeof bits);
    }
}

void ab_bug_dense_weights_truncated(const void *p)
{
    with_weights(p, round_to_8_bits);
}

static void gain_of_negative(const args_of *a, float *w)
{
    if (a->wmod != AB_W_GAMMA) return;
    for (int i = 0; i < a->in * a->out; i++) w[i] = w[i] > 0.0f ? w[i] / a->gain : w[i] * a->gain;
}

void ab_bug_dense_gain_of_negative(const void *p)
{
    with_weights(p, gain_of_negative);
}

static void drop_bias(const args_of *first, args_of *one)
{
    (void)first;
    one->bias = NULL;
}

void ab_bug_dense_bias_dropped(const void *p)
{
    with_args(p, drop_bias);
}

static void bias_from_0(const args_of *first, args_of *one)
{
    (void)first;
    if (one->bias) one->bias -= one->r0;
}

/* The bias of output r - r0 where the range begins at r0. */
void ab_bug_dense_bias_of_range(const void *p)
{
    with_args(p, bias_from_0);
}

void ab_bug_dense_chain_mixed(const void *p)
{
    const args_of *first = p;
    for (const args_of *a = first; a; a = a->next) {
        args_of one = *a;
        one.next = NULL;
        one.bias = first->bias;
        one.add = first->add;
        ab_bug_run(AB_KERNEL_dense, "plain", &one);
    }
}

static void pack_samples(const args_of *first, args_of *one)
{
    (void)first;
    one->src_stride = one->pass == AB_FWD ? one->in : one->out;
}

void ab_bug_dense_stride_ignored(const void *p)
{
    with_args(p, pack_samples);
}

static void shorten(const args_of *first, args_of *one)
{
    (void)first;
    one->r1 -= one->r1 - one->r0 > 1;
}

void ab_bug_dense_output_unwritten(const void *p)
{
    with_args(p, shorten);
}

static void lengthen(const args_of *first, args_of *one)
{
    (void)first;
    one->r1 = one->pass == AB_FWD ? one->out : one->in;
}

void ab_bug_dense_range_ignored(const void *p)
{
    with_args(p, lengthen);
}

static void absolute(const args_of *first, args_of *one)
{
    (void)first;
    if (one->wmod == AB_W_POS) one->wmod = AB_W_ABS;
}

void ab_bug_dense_pos_is_abs(const void *p)
{
    with_args(p, absolute);
}

/* What is left to do after finished sums. */
void ab_bug_dense_sums_unfinished(const void *p)
{
    for (const args_of *a = p; a; a = a->next) {
        args_of one = *a;
        one.next = NULL;
        if (a->sums) one.bias = one.add = NULL, one.f.kind = AB_PW_COPY;
        ab_bug_run(AB_KERNEL_dense, "plain", &one);
    }
}

/* Rows are skipped where the first sample's signal is 0, whatever the others'. */
static void skip_rows(const args_of *a, float *w)
{
    if (a->pass == AB_BWD)
        for (int o = 0; o < a->out; o++)
            if (a->src[o] == 0.0f) memset(w + o * a->in, 0, sizeof *w * (size_t)a->in);
}

void ab_bug_dense_row_skipped(const void *p)
{
    with_weights(p, skip_rows);
}

/* What the epilogue reads is that of the first sample. */
static void first_sample(const args_of *first, args_of *one)
{
    (void)first;
    one->f.a.image = one->f.z.image = 0;
}

void ab_bug_dense_epilogue_of_sample_0(const void *p)
{
    with_args(p, first_sample);
}

/* ---- in double ---- */

static double *of_f64(const struct ab_conv2d_f64_args *a, int n, int b, int y)
{
    return a->dst.data + n * a->dst.image + b * a->dst.block + y * a->dst.row;
}

void ab_bug_conv2d_f64_rounded(const void *p)
{
    const struct ab_conv2d_f64_args *a = p;
    const int width = a->pass == AB_FWD ? a->shape.ow : a->shape.iw;
    ab_bug_run(AB_KERNEL_conv2d_f64, "plain", p);
    for (int n = a->range.n0; n < a->range.n1; n++)
        for (int b = a->range.b0; b < a->range.b1; b++)
            for (int y = a->range.y0; y < a->range.y1; y++)
                for (int e = 0; e < width * AB_LANES; e++)
                    of_f64(a, n, b, y)[e] = (double)(float)of_f64(a, n, b, y)[e];
}

void ab_bug_conv2d_f64_bias_dropped(const void *p)
{
    struct ab_conv2d_f64_args a = *(const struct ab_conv2d_f64_args *)p;
    a.bias = NULL;
    ab_bug_run(AB_KERNEL_conv2d_f64, "plain", &a);
}

void ab_bug_dense_f64_rounded(const void *p)
{
    const struct ab_dense_f64_args *a = p;
    ab_bug_run(AB_KERNEL_dense_f64, "plain", p);
    for (int n = 0; n < a->n; n++)
        for (int r = a->r0; r < a->r1; r++)
            a->dst[n * a->dst_stride + r] = (double)(float)a->dst[n * a->dst_stride + r];
}

void ab_bug_dense_f64_output_unwritten(const void *p)
{
    struct ab_dense_f64_args a = *(const struct ab_dense_f64_args *)p;
    a.r1 -= a.r1 - a.r0 > 1;
    ab_bug_run(AB_KERNEL_dense_f64, "plain", &a);
}
