// SPDX-License-Identifier: Apache-2.0
// oneDNN's kernels as `attrbench verify` meets them: that ordinary shapes are computed, by arrays
// between guard pages and equal to the reference kernels on small integers, and that what oneDNN
// does not define is declined.
#include "backend/onednn_verify.h"
#include "support.h"
#include "verify/call.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if AB_WITH_ONEDNN

static const struct ab_verify_kernel *kernel(const char *name)
{
    const struct ab_verify_plugin *offer = ab_onednn_verify();
    for (int i = 0; i < offer->count; i++)
        if (!strcmp(offer->kernels[i].name, name)) return &offer->kernels[i];
    CHECK(0, "no kernel %s", name);
    return NULL;
}

/* By the call that looks at registers, environment and stack afterwards. */
static int call(const char *name, const void *args)
{
    struct ab_outcome outcome = {0};
    const int rc = ab_call_foreign(kernel(name)->run, args, &outcome);
    CHECK(!ab_outcome_failed(&outcome), "%s: %s", ab_check_name(outcome.check), outcome.why);
    return rc;
}

/* ---- arrays ---- */

static struct ab_guarded array(size_t count, size_t item, enum ab_guard_side side)
{
    struct ab_guarded g;
    CHECK(ab_guarded_new(&g, count * item, item, 0, side), "out of memory");
    return g;
}

static struct ab_guarded input(size_t count, struct ab_rng *rng, enum ab_guard_side side)
{
    struct ab_guarded g = array(count, sizeof(float), side);
    ab_fill_floats(g.data, count, AB_FILL_INT, rng, NULL, 0);
    CHECK(ab_guarded_freeze(&g), "out of memory");
    return g;
}

static void finish(struct ab_guarded *g, bool constant)
{
    char why[256] = "";
    CHECK(ab_guarded_check(g, why, sizeof why), "%s", why);
    CHECK(!constant || ab_guarded_frozen(g), "an input was written");
    ab_guarded_free(g);
}

static void same(const float *got, const float *want, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK(got[i] == want[i], "element %zu is %g, not %g", i, (double)got[i], (double)want[i]);
}

static const struct ab_kernel *reference(enum ab_kernel_op op, const void *args)
{
    return ab_pick(op, args, 1u << AB_ISA_ref);
}

/* ---- convolution ---- */

static struct ab_conv2d_shape conv_shape(const int *v)
{
    struct ab_conv2d_shape s = {.n = v[0],
                                .g = v[1],
                                .ic = v[2],
                                .ih = v[3],
                                .iw = v[4],
                                .oc = v[5],
                                .kh = v[6],
                                .kw = v[7],
                                .sh = v[8],
                                .sw = v[9],
                                .dh = v[10],
                                .dw = v[11],
                                .pt = v[12],
                                .pl = v[13],
                                .pb = v[14],
                                .pr = v[15]};
    s.oh = (s.ih + s.pt + s.pb - (s.dh * (s.kh - 1) + 1)) / s.sh + 1;
    s.ow = (s.iw + s.pl + s.pr - (s.dw * (s.kw - 1) + 1)) / s.sw + 1;
    return s;
}

static void conv_reference(const struct ab_conv2d_shape *s, const struct ab_verify_conv2d *a,
                           float *want)
{
    const bool back = a->backward;
    const enum ab_pass pass = back ? AB_BWD : AB_FWD;
    struct ab_blocked src, dst;
    float bias[256] = {0};
    if (a->bias) memcpy(bias, a->bias, sizeof(float) * (size_t)s->oc);
    CHECK(ab_blocked_new(&src, s->n, back ? s->oc : s->ic, back ? s->oh : s->ih,
                         back ? s->ow : s->iw, ab_conv2d_halo(s, pass), AB_SIDE_LEFT) &&
              ab_blocked_new(&dst, s->n, back ? s->ic : s->oc, back ? s->ih : s->oh,
                             back ? s->iw : s->ow, (struct ab_halo){0}, AB_SIDE_LEFT),
          "out of memory");
    ab_blocked_zero(&src);
    ab_blocked_from_nchw(&src, a->src);
    const struct ab_conv2d_args args = {.shape = *s,
                                        .pass = pass,
                                        .wei = a->wei,
                                        .bias = a->bias ? bias : NULL,
                                        .src = src.view,
                                        .dst = dst.view,
                                        .range = ab_blocked_range(&dst)};
    reference(AB_KERNEL_conv2d, &args)->run(&args);
    ab_blocked_to_nchw(&dst, want);
    ab_blocked_free(&src);
    ab_blocked_free(&dst);
}

static void conv_case(const char *name, const int *v, bool back, bool biased,
                      enum ab_guard_side side)
{
    const struct ab_conv2d_shape s = conv_shape(v);
    context("%s shape n%d g%d c%d %dx%d o%d back %d side %d", name, s.n, s.g, s.ic, s.ih, s.iw,
            s.oc, back, (int)side);
    struct ab_rng rng = ab_rng_new(1, (uint64_t)s.ic);
    const size_t in = (size_t)s.n * (size_t)(s.ic * s.ih * s.iw);
    const size_t out = (size_t)s.n * (size_t)(s.oc * s.oh * s.ow);
    const size_t wei = (size_t)(s.oc * (s.ic / s.g) * s.kh * s.kw);
    struct ab_guarded w = input(wei, &rng, side), b = input((size_t)s.oc, &rng, side);
    struct ab_guarded x = input(back ? out : in, &rng, side);
    struct ab_guarded y = array(back ? in : out, sizeof(float), side);
    const struct ab_verify_conv2d a = {
        back,   s.n,   s.g,  s.ic, s.ih, s.iw,   s.oc,
        s.oh,   s.ow,  s.kh, s.kw, s.sh, s.sw,   s.dh,
        s.dw,   s.pt,  s.pl, s.pb, s.pr, w.data, biased ? b.data : NULL,
        x.data, y.data};
    CHECK(call(name, &a) == AB_VERIFY_DONE, "not done");
    float *want = calloc(back ? in : out, sizeof *want);
    CHECK(want, "out of memory");
    conv_reference(&s, &a, want);
    same(y.data, want, back ? in : out);
    free(want);
    finish(&w, true);
    finish(&b, true);
    finish(&x, true);
    finish(&y, false);
}

TEST(convolutions)
{
    static const int shapes[][16] = {
        /* n g ic ih iw oc kh kw sh sw dh dw pt pl pb pr */
        {1, 1, 3, 17, 19, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
        {2, 1, 16, 9, 9, 33, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
        {1, 1, 17, 14, 11, 16, 5, 3, 2, 3, 1, 1, 2, 1, 0, 1},
        {1, 4, 32, 8, 8, 32, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
        {1, 19, 19, 10, 10, 19, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
        {1, 1, 16, 13, 13, 16, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2},
        {1, 3, 9, 7, 7, 15, 3, 3, 1, 1, 1, 1, 0, 0, 0, 0},
        {3, 1, 64, 5, 5, 10, 7, 7, 1, 1, 1, 1, 3, 3, 3, 3},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (int k = 0; k < 8; k++) {
            const bool back = k & 1;
            conv_case(k & 2 ? "conv2d" : "conv2d-nchw", shapes[i], back, !back && i % 2,
                      k & 4 ? AB_SIDE_LEFT : AB_SIDE_RIGHT);
        }
    }
}

static void run_conv(const void *args)
{
    if (kernel("conv2d")->run(args) != AB_VERIFY_DONE) abort();
}

/* Neither scratch space nor what oneDNN keeps of a shape is shared by calls. */
TEST(at_the_same_time)
{
    enum { CALLS = 4, CHANNELS = 24, SIDE = 9, COUNT = CHANNELS * SIDE * SIDE };
    static float src[COUNT], wei[CHANNELS * CHANNELS * 9], dst[CALLS][COUNT], alone[COUNT];
    struct ab_rng rng = ab_rng_new(1, 7);
    ab_fill_floats(src, COUNT, AB_FILL_NORMAL, &rng, NULL, 0);
    ab_fill_floats(wei, CHANNELS * CHANNELS * 9, AB_FILL_NORMAL, &rng, NULL, 0);
    struct ab_verify_conv2d a[CALLS];
    const void *args[CALLS];
    for (int i = 0; i < CALLS; i++) {
        a[i] = (struct ab_verify_conv2d){0,    1, 1, CHANNELS, SIDE, SIDE, CHANNELS, SIDE,
                                         SIDE, 3, 3, 1,        1,    1,    1,        1,
                                         1,    1, 1, wei,      NULL, src,  dst[i]};
        args[i] = &a[i];
    }
    for (int round = 0; round < 20; round++) {
        struct ab_outcome outcome = {0};
        ab_call_together(run_conv, args, CALLS, &outcome);
        CHECK(!ab_outcome_failed(&outcome), "%s", outcome.why);
    }
    a[0].dst = alone;
    CHECK(call("conv2d", &a[0]) == AB_VERIFY_DONE, "not done");
    for (int i = 0; i < CALLS; i++)
        CHECK(!memcmp(dst[i], alone, sizeof alone), "call %d has other bits", i);
}

/* ---- inner product ---- */

static void dense_case(const char *name, int n, int in, int out, bool back)
{
    context("%s n %d in %d out %d back %d", name, n, in, out, back);
    struct ab_rng rng = ab_rng_new(1, (uint64_t)(in + out));
    const size_t from = (size_t)n * (size_t)(back ? out : in);
    const size_t to = (size_t)n * (size_t)(back ? in : out);
    struct ab_guarded w = input((size_t)in * (size_t)out, &rng, AB_SIDE_RIGHT);
    struct ab_guarded b = input((size_t)out, &rng, AB_SIDE_RIGHT);
    struct ab_guarded x = input(from, &rng, AB_SIDE_RIGHT);
    struct ab_guarded y = array(to, sizeof(float), AB_SIDE_RIGHT);
    const struct ab_verify_dense a = {back,   n,     in, out, w.data, back ? NULL : b.data,
                                      x.data, y.data};
    CHECK(call(name, &a) == AB_VERIFY_DONE, "not done");
    const float *wei = w.data, *bias = b.data, *src = x.data, *got = y.data;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < (back ? in : out); k++) {
            double sum = back ? 0 : bias[k];
            for (int j = 0; j < (back ? out : in); j++)
                sum += (double)src[i * (back ? out : in) + j] *
                       (double)wei[back ? j * in + k : k * in + j];
            CHECK((double)got[i * (back ? in : out) + k] == sum, "element %d %d", i, k);
        }
    }
    finish(&w, true);
    finish(&b, true);
    finish(&x, true);
    finish(&y, false);
}

TEST(inner_products)
{
    static const int shapes[][3] = {{1, 1, 1}, {1, 33, 10}, {3, 100, 47}, {17, 256, 64}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int k = 0; k < 4; k++)
            dense_case(k & 2 ? "dense" : "dense-plain", shapes[i][0], shapes[i][1], shapes[i][2],
                       k & 1);
}

/* ---- pooling ---- */

/* Forward, and backward with the reference's switches. */
static void pool_reference(const struct ab_pool_shape *s, bool max, bool back,
                           const struct ab_verify_pool *a, float *want)
{
    struct ab_blocked in, out;
    CHECK(ab_blocked_new(&in, s->n, s->c, s->ih, s->iw, (struct ab_halo){0}, AB_SIDE_LEFT) &&
              ab_blocked_new(&out, s->n, s->c, s->oh, s->ow, (struct ab_halo){0}, AB_SIDE_LEFT),
          "out of memory");
    const size_t pixels = (size_t)s->oh * (size_t)s->ow;
    const int blocks = ab_blocks(s->c);
    uint16_t *switches =
        calloc((size_t)s->n * (size_t)blocks * pixels * AB_LANES, sizeof *switches);
    CHECK(switches, "out of memory");
    ab_blocked_zero(&in);
    ab_blocked_zero(&out);
    ab_blocked_from_nchw(back ? &out : &in, a->src);
    for (int n = 0; n < s->n; n++)
        for (int c = 0; c < s->c && max; c++)
            for (size_t p = 0; p < pixels; p++)
                switches[(((size_t)n * (size_t)blocks + (size_t)(c / AB_LANES)) * pixels + p) *
                             AB_LANES +
                         (size_t)(c % AB_LANES)] =
                    back ? a->switches[((size_t)n * (size_t)s->c + (size_t)c) * pixels + p] : 0;
    const struct ab_pool_args args = {.shape = *s,
                                      .pass = back ? AB_BWD : AB_FWD,
                                      .src = back ? out.view : in.view,
                                      .dst = back ? in.view : out.view,
                                      .switches = max ? switches : NULL,
                                      .range = ab_blocked_range(back ? &in : &out)};
    reference(max ? AB_KERNEL_maxpool : AB_KERNEL_avgpool, &args)->run(&args);
    ab_blocked_to_nchw(back ? &in : &out, want);
    for (int n = 0; n < s->n; n++)
        for (int c = 0; c < s->c && max && !back; c++)
            for (size_t p = 0; p < pixels; p++) {
                const uint16_t tap =
                    switches[(((size_t)n * (size_t)blocks + (size_t)(c / AB_LANES)) * pixels + p) *
                                 AB_LANES +
                             (size_t)(c % AB_LANES)];
                const uint16_t got =
                    a->switches[((size_t)n * (size_t)s->c + (size_t)c) * pixels + p];
                CHECK(got == tap, "switch of n %d c %d at %zu is %d, not %d", n, c, p, got, tap);
            }
    free(switches);
    ab_blocked_free(&in);
    ab_blocked_free(&out);
}

/* v: n c ih iw oh ow kh kw sh sw dh dw pt pl pb pr include_pad */
static void pool_case(const char *name, const int *v, bool back, enum ab_guard_side side)
{
    const bool max = strstr(name, "max") != NULL;
    const struct ab_pool_shape s = {v[0], v[1],  v[2],  v[3],  v[4],  v[5],  v[6],  v[7], v[8],
                                    v[9], v[10], v[11], v[12], v[13], v[14], v[15], v[16]};
    context("%s n%d c%d %dx%d k%dx%d back %d side %d", name, s.n, s.c, s.ih, s.iw, s.kh, s.kw, back,
            (int)side);
    struct ab_rng rng = ab_rng_new(1, (uint64_t)s.iw);
    const size_t in = (size_t)s.n * (size_t)(s.c * s.ih * s.iw);
    const size_t out = (size_t)s.n * (size_t)(s.c * s.oh * s.ow);
    struct ab_guarded x = input(back ? out : in, &rng, side);
    struct ab_guarded y = array(back ? in : out, sizeof(float), side);
    struct ab_guarded taps = array(out, sizeof(uint16_t), side);
    uint16_t *tap = taps.data;
    /* Any tap at which the window meets the image; the middle one does in all these shapes. */
    for (size_t i = 0; i < out && back; i++) tap[i] = (uint16_t)((s.kh / 2) * s.kw + s.kw / 2);
    struct ab_verify_pool a = {back,
                               s.n,
                               s.c,
                               s.ih,
                               s.iw,
                               s.oh,
                               s.ow,
                               s.kh,
                               s.kw,
                               s.sh,
                               s.sw,
                               s.dh,
                               s.dw,
                               s.pt,
                               s.pl,
                               s.pb,
                               s.pr,
                               s.include_pad,
                               max ? tap : NULL,
                               x.data,
                               y.data};
    CHECK(!back || ab_guarded_freeze(&taps), "out of memory");
    CHECK(call(name, &a) == AB_VERIFY_DONE, "not done");
    float *want = calloc(back ? in : out, sizeof *want);
    CHECK(want, "out of memory");
    pool_reference(&s, max, back, &a, want);
    same(y.data, want, back ? in : out);
    free(want);
    finish(&x, true);
    finish(&y, false);
    finish(&taps, back);
}

TEST(pools)
{
    /* Divisors are powers of two: averages of small integers are exact. */
    static const int shapes[][17] = {
        {2, 20, 8, 10, 4, 5, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, 0},
        {1, 16, 9, 9, 5, 5, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 1},
        {1, 33, 12, 12, 9, 9, 4, 4, 1, 1, 1, 1, 0, 0, 0, 0, 0},
        {1, 3, 32, 32, 17, 1, 16, 32, 1, 1, 1, 1, 0, 0, 0, 0, 0}, /* taps beyond a byte */
    };
    static const char *const names[] = {"maxpool", "maxpool-nchw", "avgpool", "avgpool-nchw"};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (int k = 0; k < 16; k++)
            pool_case(names[k % 4], shapes[i], k & 4, k & 8 ? AB_SIDE_LEFT : AB_SIDE_RIGHT);
    }
}

/* ---- what is not defined ---- */

static int maxpool(const char *name, float *src, int pad, int out)
{
    static float dst[64];
    static uint16_t taps[64];
    const struct ab_verify_pool a = {0, 1, 1,   3,   3,   out, out, 2,    2,   1,  1,
                                     1, 1, pad, pad, pad, pad, 0,   taps, src, dst};
    return call(name, &a);
}

TEST(declined)
{
    float src[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "maxpool" : "maxpool-nchw";
        context("%s", name);
        CHECK(maxpool(name, src, 0, 2) == AB_VERIFY_DONE, "ordinary pooling declined");
        CHECK(maxpool(name, src, 2, 6) == AB_VERIFY_UNSUPPORTED, "empty windows");
        src[4] = NAN;
        CHECK(maxpool(name, src, 0, 2) == AB_VERIFY_UNSUPPORTED, "NaN");
        src[4] = -INFINITY;
        CHECK(maxpool(name, src, 0, 2) == AB_VERIFY_UNSUPPORTED, "-infinity");
        src[4] = INFINITY;
        CHECK(maxpool(name, src, 0, 2) == AB_VERIFY_DONE, "infinity");
        src[4] = 5;
    }
    /* The last window reaches two rows beyond the image, one beyond the padding. */
    float dst[4];
    struct ab_verify_pool a = {0, 1, 1, 3, 3, 2, 2, 3,    3,   2,  2,
                               1, 1, 0, 0, 1, 1, 1, NULL, src, dst};
    CHECK(call("avgpool", &a) == AB_VERIFY_UNSUPPORTED, "counted padding in ceil mode");
    a.include_pad = 0;
    CHECK(call("avgpool", &a) == AB_VERIFY_DONE, "ceil mode");
    CHECK(dst[3] == 9, "the last window holds %g", (double)dst[3]);
    const float one = 1;
    struct ab_verify_pointwise p = {"muldiv", 1, 0, 1, &one, &one, &one, dst};
    CHECK(call("pointwise", &p) == AB_VERIFY_UNSUPPORTED, "muldiv");
    p = (struct ab_verify_pointwise){"relu", 9, 0, 0, src, NULL, NULL, src};
    src[0] = NAN;
    CHECK(call("pointwise", &p) == AB_VERIFY_UNSUPPORTED, "NaN in ReLU");
}

/* ---- element-wise ---- */

static float rule(const char *kind, float x, float a)
{
    if (!strcmp(kind, "relu")) return x > 0 ? x : 0;
    if (!strcmp(kind, "neg")) return x < 0 ? x : 0;
    if (!strcmp(kind, "abs")) return fabsf(x);
    if (!strcmp(kind, "gate")) return a > 0 ? x : 0;
    if (!strcmp(kind, "mul")) return x * a;
    if (!strcmp(kind, "add")) return x + a;
    if (!strcmp(kind, "sub")) return x - a;
    return 0.3f * x;
}

TEST(pointwise)
{
    static const char *const kinds[] = {"relu", "neg", "abs", "gate", "mul", "add", "sub", "scale"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (size_t count = 1; count < 200; count += 33) {
            context("%s of %zu", kinds[k], count);
            struct ab_rng rng = ab_rng_new(1, k);
            struct ab_guarded x = input(count, &rng, AB_SIDE_RIGHT);
            struct ab_guarded a = input(count, &rng, AB_SIDE_RIGHT);
            struct ab_guarded y = array(count, sizeof(float), AB_SIDE_RIGHT);
            const bool two = k >= 3 && k < 7;
            const struct ab_verify_pointwise p = {
                kinds[k], count, 0, 0.3f, x.data, two ? a.data : NULL, NULL, y.data};
            CHECK(call("pointwise", &p) == AB_VERIFY_DONE, "not done");
            const float *px = x.data, *pa = a.data, *got = y.data;
            for (size_t i = 0; i < count; i++)
                CHECK(got[i] == rule(kinds[k], px[i], pa[i]), "%s(%g, %g) = %g", kinds[k],
                      (double)px[i], (double)pa[i], (double)got[i]);
            finish(&x, true);
            finish(&a, true);
            finish(&y, false);
        }
    }
}

static const struct test_case cases[] = {CASE(convolutions),   CASE(at_the_same_time),
                                         CASE(inner_products), CASE(pools),
                                         CASE(pointwise),      CASE(declined)};
TEST_MAIN("verify oneDNN", cases)

#else
int main(void)
{
    return 0;
}
#endif
