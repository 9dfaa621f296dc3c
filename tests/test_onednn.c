// SPDX-License-Identifier: Apache-2.0
// The oneDNN backend step by step against plain loops in double, on integers, whose sums are exact
// in any order; then whole methods against the reference backend.
#include "nets.h"

#if AB_WITH_ONEDNN
#include "onednn_rig.h"

/* ---- definitions ---- */

static const float gain = 2;

static double wmod(double w, enum ab_wmod mod)
{
    const double by[] = {w, fmax(w, 0), fmin(w, 0), fabs(w), w * w, 1, fmax(w, (double)gain * w)};
    return by[mod];
}

static double bias_part(double b, enum ab_bias bias)
{
    const double by[] = {0, b, fmax(b, 0), fmin(b, 0), fabs(b), b * b, fmax(b, (double)gain * b)};
    return by[bias];
}

static double quotient(double x, double z, double eps)
{
    const double d = z + (z >= 0 ? eps : -eps);
    return d == 0 ? 0 : x / d;
}

static double pointwise(const struct ab_step *s, double x, double a, double z, double tau)
{
    const double eps = (double)s->eps, scale = (double)s->scale;
    switch (s->kind) {
    case AB_PW_COPY: return x;
    case AB_PW_RELU: return fmax(x, 0);
    case AB_PW_NEG: return fmin(x, 0);
    case AB_PW_ABS: return fabs(x);
    case AB_PW_GATE: return a > 0 ? x : 0;
    case AB_PW_GUIDED: return a > 0 ? fmax(x, 0) : 0;
    case AB_PW_CAP: return fmin(fmax(x, 0), scale);
    case AB_PW_CAP_GATE: return a > 0 && a < scale ? x : 0;
    case AB_PW_CAP_GUIDED: return a > 0 && a < scale ? fmax(x, 0) : 0;
    case AB_PW_RECT: return a * x > tau ? x : 0;
    case AB_PW_MUL: return x * a;
    case AB_PW_DIV: return scale * quotient(x, z, eps);
    case AB_PW_MULDIV: return scale * quotient(x * a, z, eps);
    case AB_PW_RESCALE: return a != z ? x * (fmax(a, 0) - fmax(z, 0)) / (a - z) : a > 0 ? x : 0;
    case AB_PW_DIVDIFF: return a == z ? 0 : x / (a - z);
    case AB_PW_ADD: return x + a;
    case AB_PW_SUB: return x - a;
    case AB_PW_SCALE: return scale * x;
    default: return NAN;
    }
}

/* Applies s's add and kind in place. */
static void finish(const struct rig *r, const struct ab_step *s, double *v)
{
    const size_t count = count_of(r, s->dst), image = count / (size_t)r->exec.batch;
    double *tau = s->tau >= 0 ? rig_peek(r, s->tau) : NULL;
    for (size_t i = 0; i < count; i++) {
        if (s->add >= 0) v[i] += (double)r->data[s->add][i];
        v[i] = pointwise(s, v[i], s->a >= 0 ? (double)r->data[s->a][i] : 0,
                         s->z >= 0 ? (double)r->data[s->z][i] : 0, tau ? tau[i / image] : 0);
    }
    free(tau);
}

/* Calls f for every (source, destination, weight) of a convolution, indices in [n][c][h][w]. */
static void convolve(const struct rig *r, const struct ab_step *s, double *out)
{
    const struct ab_conv2d_shape *c = &r->nodes[1].conv;
    const int icg = c->ic / c->g, ocg = c->oc / c->g;
    for (int n = 0; n < r->exec.batch; n++)
        for (int o = 0; o < c->oc; o++)
            for (int i = 0; i < icg; i++)
                for (int k = 0; k < c->kh * c->kw; k++)
                    for (int p = 0; p < c->oh * c->ow; p++) {
                        const int y = p / c->ow * c->sh - c->pt + k / c->kw * c->dh;
                        const int x = p % c->ow * c->sw - c->pl + k % c->kw * c->dw;
                        if (y < 0 || y >= c->ih || x < 0 || x >= c->iw) continue;
                        const int at = ((n * c->ic + o / ocg * icg + i) * c->ih + y) * c->iw + x;
                        const int to = (n * c->oc + o) * c->oh * c->ow + p;
                        const double w = wmod(
                            (double)r->nodes[1].wei[(o * icg + i) * c->kh * c->kw + k], s->wmod);
                        if (s->pass == AB_FWD) out[to] += w * (double)r->data[s->x][at];
                        if (s->pass == AB_BWD) out[at] += w * (double)r->data[s->x][to];
                    }
}

static void add_bias(const struct rig *r, const struct ab_step *s, double *out)
{
    const struct ab_dims d = r->values[s->dst].dims;
    const size_t plane = (size_t)d.h * (size_t)d.w;
    for (size_t i = 0; i < count_of(r, s->dst) && s->pass == AB_FWD; i++) {
        out[i] += bias_part((double)r->nodes[1].bias[i / plane % (size_t)d.c], s->bias);
    }
}

/* ---- CONV and DENSE with every weight transform, bias part, addend and epilogue ---- */

/* Random pass, transform and epilogue for a linear step whose result has these dims. */
static struct ab_step linear_step(struct rig *r, enum ab_op op, int x, struct ab_dims dims,
                                  enum ab_pass pass)
{
    const bool vector = op == AB_OP_DENSE;
    struct ab_step like = {.add = -1, .a = -1, .z = -1, .tau = -1, .dst2 = -1, .switches = -1};
    like.pass = pass;
    like.x = x;
    like.wmod = (enum ab_wmod)rng_between(&r->rng, 0, AB_W_COUNT - 1);
    like.gain = gain;
    like.bias = pass == AB_FWD ? (enum ab_bias)rng_between(&r->rng, 0, AB_B_GAMMA) : AB_B_NONE;
    like.kind = (enum ab_pointwise_kind)rng_between(&r->rng, 0, AB_PW_SCALE);
    like.eps = rng_between(&r->rng, 0, 1) ? 0.25f : 0;
    like.scale = (float)rng_between(&r->rng, -2, 3);
    if (rng_between(&r->rng, 0, 1)) like.add = rig_operand(r, dims, vector, FILL_INT);
    like.a = rig_operand(r, dims, vector, FILL_INT);
    like.z = rig_operand(r, dims, vector, FILL_INT);
    if (like.kind == AB_PW_RECT) {
        struct ab_step *tau = rig_step(r, AB_OP_TAU, (struct ab_dims){1, 1, 1}, true);
        r->values[tau->dst].dtype = AB_TAU;
        tau->x = like.a;
        tau->a = like.z;
        tau->q = 60;
        like.tau = tau->dst;
    }
    struct ab_step *s = rig_step(r, op, dims, vector);
    like.op = op;
    like.node = 1;
    like.dst = s->dst;
    return *s = like;
}

static void check_linear(struct rig *r, const struct ab_step *s)
{
    context("%s %s wmod %d bias %d add %d %s batch %d threads %d", ab_op_name(s->op),
            s->pass == AB_FWD ? "fwd" : "bwd", s->wmod, s->bias, s->add, ab_pointwise_name(s->kind),
            r->exec.batch, r->exec.threads);
    rig_run(r);
    double *want = calloc(count_of(r, s->dst), sizeof *want);
    if (s->op == AB_OP_CONV) {
        convolve(r, s, want);
    } else {
        const int in = r->nodes[0].dims.c, out = r->nodes[1].dims.c;
        for (int n = 0; n < r->exec.batch; n++)
            for (int o = 0; o < out; o++)
                for (int i = 0; i < in; i++) {
                    const double w = wmod((double)r->nodes[1].wei[o * in + i], s->wmod);
                    const bool fwd = s->pass == AB_FWD;
                    want[n * (fwd ? out : in) + (fwd ? o : i)] +=
                        w * (double)r->data[s->x][n * (fwd ? in : out) + (fwd ? i : o)];
                }
    }
    add_bias(r, s, want);
    finish(r, s, want);
    check_value(r, s->dst, want, ab_backend_onednn.kernel(&r->exec, &r->steps[s->dst]));
    free(want);
    rig_free(r);
}

static struct ab_conv2d_shape random_conv(struct rng *rng)
{
    static const int channels[] = {1, 3, 5, 8, 16, 17, 32, 40};
    struct ab_conv2d_shape c = {.n = 1, .g = 1};
    c.ic = channels[rng_between(rng, 0, 7)];
    c.oc = channels[rng_between(rng, 0, 7)];
    const int groups = rng_between(rng, 0, 5);
    if (groups == 0) c.g = c.ic, c.oc = c.ic * rng_between(rng, 1, 2);
    if (groups == 1) c.g = 2, c.ic += c.ic % 2, c.oc += c.oc % 2;
    c.kh = rng_between(rng, 1, 4);
    c.kw = rng_between(rng, 0, 2) ? c.kh : rng_between(rng, 1, 5);
    c.sh = rng_between(rng, 0, 1) ? 1 : rng_between(rng, 1, 3);
    c.sw = rng_between(rng, 0, 2) ? c.sh : rng_between(rng, 1, 2);
    c.dh = c.dw = rng_between(rng, 0, 3) ? 1 : 2;
    c.pt = rng_between(rng, 0, c.kh - 1);
    c.pb = rng_between(rng, 0, 2) ? c.pt : rng_between(rng, 0, c.kh - 1);
    c.pl = rng_between(rng, 0, c.kw - 1);
    c.pr = rng_between(rng, 0, 2) ? c.pl : rng_between(rng, 0, c.kw - 1);
    c.ih = c.dh * (c.kh - 1) + rng_between(rng, 1, 12);
    c.iw = c.dw * (c.kw - 1) + rng_between(rng, 1, 12);
    c.oh = (c.ih + c.pt + c.pb - c.dh * (c.kh - 1) - 1) / c.sh + 1;
    c.ow = (c.iw + c.pl + c.pr - c.dw * (c.kw - 1) - 1) / c.sw + 1;
    return c;
}

TEST(conv_steps)
{
    for (int i = 0; i < 150; i++) {
        struct rig r;
        rig_init(&r, rng_new(1000 + (uint64_t)i));
        const struct ab_conv2d_shape c = r.nodes[1].conv = random_conv(&r.rng);
        r.nodes[1].kind = AB_NODE_CONV;
        r.nodes[0].dims = (struct ab_dims){c.ic, c.ih, c.iw};
        r.nodes[1].dims = (struct ab_dims){c.oc, c.oh, c.ow};
        rig_weights(&r, (size_t)c.oc * (size_t)(c.ic / c.g * c.kh * c.kw), (size_t)c.oc);
        const enum ab_pass pass = (enum ab_pass)(i % 2);
        const int x = rig_operand(&r, r.nodes[pass].dims, false, FILL_INT);
        const struct ab_step s = linear_step(&r, AB_OP_CONV, x, r.nodes[1 - pass].dims, pass);
        check_linear(&r, &s);
    }
}

TEST(dense_steps)
{
    for (int i = 0; i < 60; i++) {
        struct rig r;
        rig_init(&r, rng_new(3000 + (uint64_t)i));
        const int in = rng_between(&r.rng, 1, 400), out = rng_between(&r.rng, 1, 90);
        r.nodes[1].kind = AB_NODE_DENSE;
        r.nodes[0].dims = (struct ab_dims){in, 1, 1};
        r.nodes[1].dims = (struct ab_dims){out, 1, 1};
        rig_weights(&r, (size_t)in * (size_t)out, (size_t)out);
        const enum ab_pass pass = (enum ab_pass)(i % 2);
        const int x = rig_operand(&r, r.nodes[pass].dims, true, FILL_INT);
        const struct ab_step s = linear_step(&r, AB_OP_DENSE, x, r.nodes[1 - pass].dims, pass);
        check_linear(&r, &s);
    }
}

/* ---- POINTWISE and TAU, the signal in a format with channel padding ---- */

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* x by a depthwise 1x1 convolution, which leaves it in oneDNN's own format. */
static int formatted(struct rig *r, struct ab_dims d)
{
    struct ab_conv2d_shape *c = &r->nodes[1].conv;
    *c = (struct ab_conv2d_shape){1, 1, d.c, d.h, d.w, d.c, d.h, d.w, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
    r->nodes[1].kind = AB_NODE_CONV;
    r->nodes[0].dims = r->nodes[1].dims = d;
    rig_weights(r, (size_t)d.c * (size_t)d.c, (size_t)d.c);
    for (int i = 0; i < d.c * d.c; i++) r->nodes[1].wei[i] = i % (d.c + 1) == 0;
    const int x = rig_operand(r, d, false, FILL_INT);
    struct ab_step *s = rig_step(r, AB_OP_CONV, d, false);
    s->x = x;
    return s->dst;
}

static double *wanted_tau(const struct rig *r, const struct ab_step *s, const float *x)
{
    const size_t batch = (size_t)r->exec.batch, image = count_of(r, s->a) / batch;
    double *products = malloc(sizeof *products * image), *tau = malloc(sizeof *tau * batch);
    for (size_t n = 0; n < batch; n++) {
        for (size_t i = 0; i < image; i++) {
            products[i] = (double)x[n * image + i] * (double)r->data[s->a][n * image + i];
        }
        qsort(products, image, sizeof *products, compare_doubles);
        const size_t rank = (size_t)rint((double)(image - 1) * s->q / 100);
        tau[n] = fmax(products[rank], (double)s->tau_floor);
    }
    free(products);
    return tau;
}

TEST(pointwise_steps)
{
    for (int i = 0; i < 4 * AB_PW_AFFINE; i++) {
        struct rig r;
        rig_init(&r, rng_new(5000 + (uint64_t)i));
        const struct ab_dims d = {rng_between(&r.rng, 1, 40), rng_between(&r.rng, 1, 9),
                                  rng_between(&r.rng, 1, 9)};
        const int x = formatted(&r, d), a = rig_operand(&r, d, false, FILL_INT);
        const int z = rig_operand(&r, d, false, FILL_INT);
        struct ab_step *tau = rig_step(&r, AB_OP_TAU, (struct ab_dims){1, 1, 1}, true);
        r.values[tau->dst].dtype = AB_TAU;
        tau->x = x;
        tau->a = a;
        tau->q = rng_between(&r.rng, 0, 100);
        tau->tau_floor = i % 3 ? -INFINITY : 0;
        struct ab_step *s = rig_step(&r, AB_OP_POINTWISE, d, false);
        s->kind = (enum ab_pointwise_kind)(i % AB_PW_AFFINE);
        s->x = x;
        s->a = a;
        s->z = z;
        s->tau = tau->dst;
        s->scale = 2;
        context("%s of %dx%dx%d batch %d", ab_pointwise_name(s->kind), d.c, d.h, d.w, r.exec.batch);
        rig_run(&r);
        double *want_tau = wanted_tau(&r, tau, r.data[0]);
        check_value(&r, tau->dst, want_tau, "tau");
        double *want = malloc(sizeof *want * count_of(&r, s->dst));
        for (size_t k = 0; k < count_of(&r, s->dst); k++) want[k] = (double)r.data[0][k];
        finish(&r, s, want);
        check_value(&r, s->dst, want, "pointwise");
        free(want);
        free(want_tau);
        rig_free(&r);
    }
}

TEST(affine_steps)
{
    for (int i = 0; i < 8; i++) {
        struct rig r;
        rig_init(&r, rng_new(5500 + (uint64_t)i));
        const bool vector = i / 2 % 2;
        const struct ab_dims d = {rng_between(&r.rng, 1, 40), vector ? 1 : 5, vector ? 1 : 3};
        r.nodes[1].kind = AB_NODE_BATCHNORM;
        r.nodes[0].dims = r.nodes[1].dims = d;
        rig_weights(&r, (size_t)d.c, (size_t)d.c);
        const int x = rig_operand(&r, d, vector, FILL_INT);
        struct ab_step *s = rig_step(&r, AB_OP_POINTWISE, d, vector);
        s->kind = AB_PW_AFFINE;
        s->pass = (enum ab_pass)(i % 2);
        s->x = x;
        context("affine pass %d vector %d", i % 2, vector);
        rig_run(&r);
        double *want = malloc(sizeof *want * count_of(&r, x));
        for (size_t k = 0; k < count_of(&r, x); k++) {
            const size_t c = k / (size_t)(d.h * d.w) % (size_t)d.c;
            want[k] = (double)r.data[x][k] * (double)r.nodes[1].wei[c] +
                      (s->pass == AB_FWD ? (double)r.nodes[1].bias[c] : 0);
        }
        check_value(&r, s->dst, want, "affine");
        free(want);
        rig_free(&r);
    }
}

/* ---- pooling: ties, clipped windows, ceil mode, overlap, dilation ---- */

static struct ab_pool_shape random_pool(struct rng *rng, bool max)
{
    struct ab_pool_shape p = {.n = 1, .c = rng_between(rng, 1, 40), .dh = 1, .dw = 1};
    p.kh = rng_between(rng, 1, 4);
    p.kw = rng_between(rng, 1, 4);
    p.sh = rng_between(rng, 1, 3);
    p.sw = rng_between(rng, 1, 3);
    if (max && rng_between(rng, 0, 4) == 0) p.dh = p.dw = 2;
    p.pt = rng_between(rng, 0, (p.kh - 1) / 2);
    p.pb = rng_between(rng, 0, (p.kh - 1) / 2);
    p.pl = rng_between(rng, 0, (p.kw - 1) / 2);
    p.pr = rng_between(rng, 0, (p.kw - 1) / 2);
    p.ih = p.dh * (p.kh - 1) + rng_between(rng, 1, 10);
    p.iw = p.dw * (p.kw - 1) + rng_between(rng, 1, 10);
    const int ceil_mode = rng_between(rng, 0, 1);
    const int free_h = p.ih + p.pt + p.pb - p.dh * (p.kh - 1) - 1;
    const int free_w = p.iw + p.pl + p.pr - p.dw * (p.kw - 1) - 1;
    p.oh = (free_h + ceil_mode * (p.sh - 1)) / p.sh + 1;
    p.ow = (free_w + ceil_mode * (p.sw - 1)) / p.sw + 1;
    if ((p.oh - 1) * p.sh >= p.ih + p.pt) p.oh--; /* windows start inside the image */
    if ((p.ow - 1) * p.sw >= p.iw + p.pl) p.ow--;
    p.include_pad = rng_between(rng, 0, 1);
    return p;
}

struct window {
    double best, sum;
    int tap, inside, padded;
};

/* The window of output pixel q of plane x; with `back`, spreads r over it instead. */
static struct window pool_window(const struct ab_pool_shape *p, const float *x, int q)
{
    struct window w = {.best = -INFINITY, .tap = -1};
    for (int k = 0; k < p->kh * p->kw; k++) {
        const int y = q / p->ow * p->sh - p->pt + k / p->kw * p->dh;
        const int i = q % p->ow * p->sw - p->pl + k % p->kw * p->dw;
        w.padded += y < p->ih + p->pb && i < p->iw + p->pr;
        if (y < 0 || y >= p->ih || i < 0 || i >= p->iw) continue;
        const double v = (double)x[y * p->iw + i];
        w.inside++;
        w.sum += v;
        if (v > w.best) w.best = v, w.tap = k;
    }
    return w;
}

static void pool_back(const struct ab_pool_shape *p, bool max, const struct window *w, int q,
                      double r, double *plane)
{
    for (int k = 0; k < p->kh * p->kw; k++) {
        const int y = q / p->ow * p->sh - p->pt + k / p->kw * p->dh;
        const int i = q % p->ow * p->sw - p->pl + k % p->kw * p->dw;
        if (y < 0 || y >= p->ih || i < 0 || i >= p->iw || (max && k != w->tap)) continue;
        plane[y * p->iw + i] += max ? r : r / (p->include_pad ? w->padded : w->inside);
    }
}

static void check_pool(uint64_t salt, bool max)
{
    struct rig r;
    rig_init(&r, rng_new(salt));
    const struct ab_pool_shape p = r.nodes[1].pool = random_pool(&r.rng, max);
    const struct ab_dims in = {p.c, p.ih, p.iw}, out = {p.c, p.oh, p.ow};
    r.nodes[1].kind = max ? AB_NODE_MAXPOOL : AB_NODE_AVGPOOL;
    r.nodes[0].dims = in;
    r.nodes[1].dims = out;
    const int x = rig_operand(&r, in, false, FILL_UINT), g = rig_operand(&r, out, false, FILL_INT);
    struct ab_step *f = rig_step(&r, max ? AB_OP_MAXPOOL : AB_OP_AVGPOOL, out, false);
    f->x = x;
    const int switches = max ? rig_second(&r, f, out) : -1;
    struct ab_step *b = rig_step(&r, f->op, in, false);
    b->pass = AB_BWD;
    b->x = g;
    b->switches = switches;
    context("%s %dx%dx%d k %dx%d s %dx%d d %d pads %d %d %d %d out %dx%d include_pad %d",
            max ? "maxpool" : "avgpool", p.c, p.ih, p.iw, p.kh, p.kw, p.sh, p.sw, p.dh, p.pt, p.pl,
            p.pb, p.pr, p.oh, p.ow, p.include_pad);
    rig_run(&r);
    double *want = calloc(count_of(&r, f->dst), sizeof *want), *taps = calloc(count_of(&r, g), 8);
    double *back = calloc(count_of(&r, x), sizeof *back);
    for (int plane = 0; plane < r.exec.batch * p.c; plane++) {
        for (int q = 0; q < p.oh * p.ow; q++) {
            const int at = plane * p.oh * p.ow + q;
            const struct window w = pool_window(&p, r.data[x] + plane * p.ih * p.iw, q);
            want[at] = max ? w.best : w.sum / (p.include_pad ? w.padded : w.inside);
            taps[at] = w.tap;
            pool_back(&p, max, &w, q, (double)r.data[g][at], back + plane * p.ih * p.iw);
        }
    }
    check_value(&r, f->dst, want, "forward");
    if (max) check_value(&r, switches, taps, "switches");
    double *got = rig_peek(&r, b->dst);
    for (size_t i = 0; i < count_of(&r, b->dst); i++) {
        CHECK(fabs(got[i] - back[i]) <= 1e-5, "backward: element %zu is %.9g, should be %.9g", i,
              got[i], back[i]);
    }
    free(got);
    free(want);
    free(taps);
    free(back);
    rig_free(&r);
}

TEST(maxpool_steps)
{
    for (uint64_t i = 0; i < 80; i++) check_pool(7000 + i, true);
}

TEST(avgpool_steps)
{
    for (uint64_t i = 0; i < 80; i++) check_pool(8000 + i, false);
}

/* ---- moving data ---- */

static double nchw(const struct rig *r, int id, int n, int c, int y, int x)
{
    const struct ab_dims d = r->values[id].dims;
    return (double)r->data[id][((n * d.c + c) * d.h + y) * d.w + x];
}

/* SLICE and CONCAT of channels from `first`, PAD and its crop, FLATTEN and back, in one program. */
TEST(moves)
{
    for (int i = 0; i < 24; i++) {
        struct rig r;
        rig_init(&r, rng_new(9000 + (uint64_t)i));
        const struct ab_dims d = {i % 3 ? rng_between(&r.rng, 2, 40) : 48, 4, 5};
        const int x = formatted(&r, d), first = i % 3 ? rng_between(&r.rng, 0, d.c - 1) : 16;
        const int *pad = r.nodes[1].pad;
        for (int k = 0; k < 4; k++) r.nodes[1].pad[k] = rng_between(&r.rng, 0, 3);
        const struct ab_dims part = {rng_between(&r.rng, 1, d.c - first), d.h, d.w};
        const struct ab_dims both = {d.c + part.c, d.h, d.w};
        const struct ab_dims wide = {both.c, d.h + pad[0] + pad[2], d.w + pad[1] + pad[3]};
        const struct ab_dims flat = {wide.c * wide.h * wide.w, 1, 1};
        struct ab_step *s = rig_step(&r, AB_OP_SLICE, part, false);
        s->x = x;
        s->channel = first;
        int list[] = {x, s->dst};
        s = rig_step(&r, AB_OP_CONCAT, both, false);
        s->list = list;
        s->n_list = 2;
        const int joined = s->dst;
        s = rig_step(&r, AB_OP_PAD, wide, false);
        s->x = joined;
        rig_step(&r, AB_OP_FLATTEN, flat, true)->x = s->dst;
        s = rig_step(&r, AB_OP_FLATTEN, wide, false);
        s->pass = AB_BWD;
        s->x = s->dst - 1;
        const int unflat = s->dst;
        s = rig_step(&r, AB_OP_PAD, both, false);
        s->pass = AB_BWD;
        s->x = unflat;
        context("channels %d, %d from %d, batch %d", d.c, part.c, first, r.exec.batch);
        rig_run(&r);
        double *want = malloc(sizeof *want * count_of(&r, joined));
        double *large = calloc(count_of(&r, unflat), sizeof *large);
        size_t at = 0;
        for (int n = 0; n < r.exec.batch; n++)
            for (int c = 0; c < both.c; c++)
                for (int p = 0; p < d.h * d.w; p++) {
                    const int y = p / d.w, k = p % d.w, from = c < d.c ? c : first + c - d.c;
                    const double v = nchw(&r, 0, n, from, y, k);
                    want[at++] = v;
                    large[((n * both.c + c) * wide.h + y + pad[0]) * wide.w + k + pad[1]] = v;
                }
        check_value(&r, joined, want, "concat");
        check_value(&r, unflat - 1, large, "flatten");
        check_value(&r, unflat, large, "unflatten");
        check_value(&r, s->dst, want, "crop");
        free(want);
        free(large);
        rig_free(&r);
    }
}

/* ---- whole methods ---- */

static void check_methods(struct ab_graph *g, const char *const *specs, int count)
{
    enum { BATCH = 2 };
    float *x = random_images(g, BATCH, 11), *got[16], *want[16];
    float logits[2][BATCH * 16];
    for (int threads = 1; threads <= 2; threads++) {
        const struct job mine = {g, "onednn", x, NULL, BATCH, threads};
        const struct job reference = {g, "reference", x, NULL, BATCH, 1};
        run_methods(&mine, specs, count, got, logits[0]);
        run_methods(&reference, specs, count, want, logits[1]);
        const size_t classes = (size_t)BATCH * (size_t)ab_graph_classes(g);
        CHECK(relative_l2(logits[0], logits[1], classes) < 1e-5, "logits");
        for (int m = 0; m < count; m++) {
            const double error = relative_l2(got[m], want[m], input_count(g, BATCH));
            CHECK(error < 1e-3, "%s: relative error %.3g", specs[m], error);
            free(got[m]);
            free(want[m]);
        }
    }
    free(x);
    ab_graph_destroy(&g);
}

TEST(methods)
{
    static const char *const specs[] = {
        "gradient",      "input-x-gradient",    "deconvnet", "guided-backprop",
        "rectgrad:q=80", "lrp-epsilon:eps=0.1", "lrp-zplus", "lrp-alpha-beta",
        "dtd",           "dtd:low=-4,high=4"};
    context("chain");
    check_methods(net_chain(4, true), specs, 10);
    context("branches");
    check_methods(net_branches(5), specs, 5);
}

static const struct test_case cases[] = {
    CASE(conv_steps),    CASE(dense_steps),   CASE(pointwise_steps), CASE(affine_steps),
    CASE(maxpool_steps), CASE(avgpool_steps), CASE(moves),           CASE(methods),
};
TEST_MAIN("onednn", cases)

#else
int main(void)
{
    return 0;
}
#endif
