// SPDX-License-Identifier: Apache-2.0
// The double-precision kernels of every instruction set against naive loops, on odd geometries.
#include "simd/conv2d_geom.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KERNELS = 8 };

static int double_kernels(enum ab_kernel_op op, const struct ab_kernel **out)
{
    int count, found = 0;
    const struct ab_kernel *all = ab_kernels(&count);
    for (int i = 0; i < count && found < MAX_KERNELS; i++) {
        if (all[i].op == op && ab_cpu_isas() >> all[i].isa & 1) out[found++] = &all[i];
    }
    CHECK(found > 0, "no kernels");
    return found;
}

static const float gain = 1.3f;

static double modified(enum ab_wmod wmod, double w)
{
    const double kinds[AB_W_COUNT] = {
        w, fmax(w, 0), fmin(w, 0), fabs(w), w * w, 1, fmax(w, (double)gain * w)};
    return kinds[wmod];
}

static double *random_doubles(size_t count, struct rng *r)
{
    double *v = malloc(sizeof *v * (count + 1));
    CHECK(v, "out of memory");
    for (size_t i = 0; i < count; i++) v[i] = rng_normal(r);
    return v;
}

static float *random_floats(size_t count, struct rng *r)
{
    float *v = malloc(sizeof *v * (count + 1));
    CHECK(v, "out of memory");
    for (size_t i = 0; i < count; i++) v[i] = (float)rng_normal(r);
    return v;
}

/* ---- conv2d_f64 ---- */

/* A map in blocks with a zero halo; everything else is NaN until written. */
struct map {
    double *memory;
    struct ab_view_f64 view;
    struct ab_halo halo;
    int n, c, h, w;
    size_t count;
};

static struct map map_new(int n, int c, int h, int w, struct ab_halo halo)
{
    struct map m = {.halo = halo, .n = n, .c = c, .h = h, .w = w};
    m.view.row = (ptrdiff_t)AB_LANES * (halo.left + w + halo.right);
    m.view.block = m.view.row * (halo.top + h + halo.bottom);
    m.view.image = m.view.block * ab_blocks(c);
    m.count = (size_t)(m.view.image * n);
    m.memory = aligned_alloc(64, m.count * sizeof(double));
    CHECK(m.memory, "out of memory");
    memset(m.memory, 0, m.count * sizeof(double));
    m.view.data = m.memory + halo.top * m.view.row + (ptrdiff_t)halo.left * AB_LANES;
    return m;
}

static double *map_at(const struct map *m, int n, int c, int y, int x)
{
    return m->view.data + n * m->view.image + c / AB_LANES * m->view.block + y * m->view.row +
           (ptrdiff_t)x * AB_LANES + c % AB_LANES;
}

/* Random values, or NaN in all lanes to see what is written. */
static void map_fill(const struct map *m, struct rng *r)
{
    for (int n = 0; n < m->n; n++)
        for (int c = 0; c < (r ? m->c : ab_blocks(m->c) * AB_LANES); c++)
            for (int y = 0; y < m->h; y++)
                for (int x = 0; x < m->w; x++)
                    *map_at(m, n, c, y, x) = r ? rng_normal(r) : (double)NAN;
}

/* One element by seven nested loops; *scale is the sum of the terms' magnitudes. */
static double naive_element(const struct ab_conv2d_f64_args *a, const struct map *src, int n, int d,
                            int dy, int dx, double *scale)
{
    const struct ab_conv2d_shape *s = &a->shape;
    const int icg = s->ic / s->g, ocg = s->oc / s->g;
    double sum = 0;
    *scale = 0;
    const bool fwd = a->pass == AB_FWD;
    const int oc0 = fwd ? d : d / icg * ocg, oc1 = fwd ? d + 1 : oc0 + ocg;
    const int i0 = fwd ? 0 : d % icg, i1 = fwd ? icg : i0 + 1;
    for (int oc = oc0; oc < oc1; oc++)
        for (int i = i0; i < i1; i++)
            for (int ky = 0; ky < s->kh; ky++)
                for (int kx = 0; kx < s->kw; kx++) {
                    const int ic = oc / ocg * icg + i;
                    const float w = a->wei[((oc * icg + i) * s->kh + ky) * s->kw + kx];
                    double term = modified(a->wmod, (double)w);
                    if (fwd) {
                        const int y = dy * s->sh - s->pt + ky * s->dh;
                        const int x = dx * s->sw - s->pl + kx * s->dw;
                        if (y < 0 || y >= s->ih || x < 0 || x >= s->iw) continue;
                        term *= *map_at(src, n, ic, y, x);
                    } else {
                        const int y = dy + s->pt - ky * s->dh, x = dx + s->pl - kx * s->dw;
                        if (y % s->sh || x % s->sw) continue;
                        if (y < 0 || y / s->sh >= s->oh || x < 0 || x / s->sw >= s->ow) continue;
                        term *= *map_at(src, n, oc, y / s->sh, x / s->sw);
                    }
                    sum += term;
                    *scale += fabs(term);
                }
    return sum;
}

static void check_conv(const struct ab_conv2d_f64_args *a, const struct map *src,
                       const struct map *dst)
{
    const struct ab_range *r = &a->range;
    for (int n = 0; n < dst->n; n++)
        for (int c = 0; c < ab_blocks(dst->c) * AB_LANES; c++)
            for (int y = 0; y < dst->h; y++)
                for (int x = 0; x < dst->w; x++) {
                    const double got = *map_at(dst, n, c, y, x);
                    const bool in_range = n >= r->n0 && n < r->n1 && c / AB_LANES >= r->b0 &&
                                          c / AB_LANES < r->b1 && y >= r->y0 && y < r->y1;
                    if (!in_range || c >= dst->c) {
                        CHECK(in_range ? got == 0 : isnan(got), "%d,%d,%d,%d: padding or frame", n,
                              c, y, x);
                        continue;
                    }
                    double scale, want = naive_element(a, src, n, c, y, x, &scale);
                    if (a->bias && a->pass == AB_FWD) want += a->bias[c];
                    if (a->add.data) want += 0.5; /* every element of add */
                    CHECK(fabs(got - want) <= 1e-14 * (scale + 2) * 10, "%d,%d,%d,%d: %g not %g", n,
                          c, y, x, got, want);
                }
}

static struct ab_conv2d_shape random_shape(struct rng *r)
{
    static const int groups[] = {1, 1, 1, 2, 3};
    struct ab_conv2d_shape s = {.n = rng_between(r, 1, 2), .g = groups[rng_between(r, 0, 4)]};
    s.ic = s.g * rng_between(r, 1, 40 / s.g);
    s.oc = s.g * rng_between(r, 1, 40 / s.g);
    if (rng_between(r, 0, 7) == 0) s.g = s.ic = s.oc = rng_between(r, 1, 35); /* depthwise */
    s.kh = rng_between(r, 1, 4);
    s.kw = rng_between(r, 1, 4);
    s.sh = rng_between(r, 1, 3);
    s.sw = rng_between(r, 1, 3);
    s.dh = rng_between(r, 1, 2);
    s.dw = rng_between(r, 1, 2);
    s.pt = rng_between(r, 0, 3);
    s.pl = rng_between(r, 0, 3);
    s.pb = rng_between(r, 0, 3);
    s.pr = rng_between(r, 0, 3);
    s.ih = s.dh * (s.kh - 1) + rng_between(r, 1, 6);
    s.iw = s.dw * (s.kw - 1) + rng_between(r, 1, 17);
    s.oh = (s.ih + s.pt + s.pb - (s.dh * (s.kh - 1) + 1)) / s.sh + 1;
    s.ow = (s.iw + s.pl + s.pr - (s.dw * (s.kw - 1) + 1)) / s.sw + 1;
    return s;
}

/* Runs every kernel on the whole map, then on a part of it: equal bits. */
static void try_conv(const struct ab_conv2d_shape *s, enum ab_pass pass, struct rng *r)
{
    const struct ab_kernel *kernels[MAX_KERNELS];
    const int count = double_kernels(AB_KERNEL_conv2d_f64, kernels);
    const struct ab_halo none = {0}, halo = ab_conv2d_halo(s, pass);
    const bool fwd = pass == AB_FWD;
    struct map src =
        fwd ? map_new(s->n, s->ic, s->ih, s->iw, halo) : map_new(s->n, s->oc, s->oh, s->ow, halo);
    struct map dst =
        fwd ? map_new(s->n, s->oc, s->oh, s->ow, none) : map_new(s->n, s->ic, s->ih, s->iw, none);
    struct map add = map_new(s->n, dst.c, dst.h, dst.w, none);
    map_fill(&src, r);
    for (int n = 0; n < add.n; n++)
        for (int c = 0; c < add.c; c++)
            for (int y = 0; y < add.h; y++)
                for (int x = 0; x < add.w; x++) *map_at(&add, n, c, y, x) = 0.5;
    float *wei = random_floats((size_t)(s->oc * s->ic / s->g * s->kh * s->kw), r);
    double *bias = random_doubles((size_t)ab_blocks(s->oc) * AB_LANES, r);
    for (int c = s->oc; c < ab_blocks(s->oc) * AB_LANES; c++) bias[c] = 0;
    const size_t panel = (size_t)(ab_conv2d_inputs_max(s, pass) * s->kh * s->kw) * AB_LANES;
    struct ab_conv2d_f64_args args = {.shape = *s, .pass = pass, .wei = wei, .src = src.view};
    args.wmod = (enum ab_wmod)rng_between(r, 0, AB_W_COUNT - 1);
    args.gain = gain;
    args.bias = rng_between(r, 0, 1) ? bias : NULL;
    args.add = rng_between(r, 0, 1) ? add.view : (struct ab_view_f64){0};
    args.dst = dst.view;
    args.panel = aligned_alloc(64, (panel * sizeof(double) + 63) & ~(size_t)63);
    CHECK(args.panel, "out of memory");
    for (int k = 0; k < count; k++) {
        context("%s %s g%d %dx%dx%d -> %dx%dx%d k%dx%d s%d,%d d%d,%d p%d,%d,%d,%d wmod %d",
                kernels[k]->name, fwd ? "fwd" : "bwd", s->g, s->ic, s->ih, s->iw, s->oc, s->oh,
                s->ow, s->kh, s->kw, s->sh, s->sw, s->dh, s->dw, s->pt, s->pl, s->pb, s->pr,
                (int)args.wmod);
        struct map whole = map_new(s->n, dst.c, dst.h, dst.w, none);
        args.dst = whole.view;
        args.range = (struct ab_range){0, s->n, 0, ab_blocks(dst.c), 0, dst.h};
        map_fill(&whole, NULL);
        kernels[k]->run(&args);
        check_conv(&args, &src, &whole);
        args.dst = dst.view;
        args.range = (struct ab_range){s->n - 1,         s->n,      ab_blocks(dst.c) / 2,
                                       ab_blocks(dst.c), dst.h / 3, (dst.h + 1) / 2};
        map_fill(&dst, NULL);
        kernels[k]->run(&args);
        check_conv(&args, &src, &dst);
        for (size_t i = 0; i < dst.count; i++)
            CHECK(isnan(dst.memory[i]) || dst.memory[i] == whole.memory[i], "depends on the range");
        free(whole.memory);
    }
    free(src.memory);
    free(dst.memory);
    free(add.memory);
    free(wei);
    free(bias);
    free(args.panel);
}

TEST(conv_is_naive)
{
    struct rng r = rng_new(1);
    for (int i = 0; i < 120; i++) {
        const struct ab_conv2d_shape s = random_shape(&r);
        try_conv(&s, AB_FWD, &r);
        try_conv(&s, AB_BWD, &r);
    }
}

/* ---- dense_f64 ---- */

static void check_dense(const struct ab_dense_f64_args *a)
{
    const bool fwd = a->pass == AB_FWD;
    for (int n = 0; n < a->n; n++)
        for (int d = 0; d < (fwd ? a->out : a->in); d++) {
            const double got = a->dst[n * a->dst_stride + d];
            if (d < a->r0 || d >= a->r1) {
                CHECK(isnan(got), "wrote outside its range");
                continue;
            }
            double want = a->bias && fwd ? a->bias[d] : 0;
            if (a->add) want += a->add[n * a->dst_stride + d];
            double scale = fabs(want);
            for (int i = 0; i < (fwd ? a->in : a->out); i++) {
                const float w = a->wei[fwd ? d * a->in + i : i * a->in + d];
                const double term = modified(a->wmod, (double)w) * a->src[n * a->src_stride + i];
                want += term;
                scale += fabs(term);
            }
            CHECK(fabs(got - want) <= 1e-13 * scale, "%d,%d: %g not %g", n, d, got, want);
        }
}

TEST(dense_is_naive)
{
    const struct ab_kernel *kernels[MAX_KERNELS];
    const int count = double_kernels(AB_KERNEL_dense_f64, kernels);
    struct rng r = rng_new(2);
    for (int i = 0; i < 60; i++) {
        struct ab_dense_f64_args a = {.n = rng_between(&r, 1, 3), .in = rng_between(&r, 1, 300)};
        a.out = rng_between(&r, 1, 90);
        a.pass = i % 2 ? AB_BWD : AB_FWD;
        a.wmod = (enum ab_wmod)(i % AB_W_COUNT);
        a.gain = gain;
        const int to = a.pass == AB_FWD ? a.out : a.in;
        a.src_stride = a.in + a.out;
        a.dst_stride = a.in + a.out;
        float *wei = random_floats((size_t)(a.in * a.out), &r);
        double *src = random_doubles((size_t)(a.n * a.src_stride), &r);
        double *add = random_doubles((size_t)(a.n * a.dst_stride), &r);
        double *bias = random_doubles((size_t)a.out, &r);
        a.dst = random_doubles((size_t)(a.n * a.dst_stride), &r);
        src[0] = 0; /* a row that BWD may skip */
        a.wei = wei;
        a.src = src;
        a.add = i % 3 ? add : NULL;
        a.bias = i % 4 ? bias : NULL;
        a.r0 = rng_between(&r, 0, to / 2);
        a.r1 = rng_between(&r, a.r0, to);
        for (int k = 0; k < count; k++) {
            context("%s pass %d %d -> %d [%d,%d)", kernels[k]->name, (int)a.pass, a.in, a.out, a.r0,
                    a.r1);
            for (int e = 0; e < a.n * (int)a.dst_stride; e++) a.dst[e] = (double)NAN;
            kernels[k]->run(&a);
            check_dense(&a);
        }
        free(wei);
        free(src);
        free(add);
        free(bias);
        free(a.dst);
    }
}

static const struct test_case cases[] = {CASE(conv_is_naive), CASE(dense_is_naive)};
TEST_MAIN("f64", cases)
