// SPDX-License-Identifier: Apache-2.0
// Errors with inheritance of a linear layer's whole result: the sums of squares that
// docs/numerics.md takes weight by weight are convolutions of squares with squared weights, and are
// computed as such, each layer of an image once in the life of a look.
#include "agree/referee.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "plan/builder.h"

/* A map of one image as the kernels in double want it: blocks of 16 channels, zeros around. */
struct sheet {
    double *base;
    struct ab_view_f64 view;
};

static double *zeros(size_t count)
{
    const size_t bytes = (count * sizeof(double) + 63) / 64 * 64;
    double *data = aligned_alloc(64, bytes);
    if (data) memset(data, 0, bytes);
    return data;
}

static bool open_sheet(struct sheet *m, struct ab_dims d, struct ab_halo halo)
{
    const size_t row = AB_LANES * (size_t)(halo.left + d.w + halo.right);
    const size_t block = row * (size_t)(halo.top + d.h + halo.bottom);
    const size_t count = block * (size_t)ab_blocks(d.c);
    m->base = zeros(count);
    m->view = (struct ab_view_f64){m->base, (ptrdiff_t)count, (ptrdiff_t)block, (ptrdiff_t)row};
    if (m->base) m->view.data += (size_t)halo.top * row + AB_LANES * (size_t)halo.left;
    return m->base;
}

static double *at_of(const struct sheet *m, int c, int y, int x)
{
    return m->view.data + c / AB_LANES * m->view.block + y * m->view.row + (ptrdiff_t)x * AB_LANES +
           c % AB_LANES;
}

/* The sums behind each element of a layer's result: of the squares of the products, of the squares
 * of their errors, and for kernels that transform of the products' magnitudes, the largest within
 * five columns. */
enum { SQUARES, ERRORS, MAGNITUDES, SUMS };

struct layer {
    struct ab_look *look;
    const struct ab_step *step;
    const struct ab_node *node;
    struct ab_dims from, to;
    int n;           /* image */
    bool sums[SUMS]; /* those wanted */
    float *wei;      /* as the step has them */
    struct sheet of[SUMS];
};

/* What is summed of the operand's elements. */
static double summand(const struct layer *l, int sum, struct ab_unit at)
{
    if (sum == MAGNITUDES) return fabs(ab_look_at(l->look, l->step->x, at));
    const double v = sum == SQUARES ? ab_look_at(l->look, l->step->x, at)
                                    : ab_look_error(l->look, l->step->x, at);
    return v * v;
}

static void fill(const struct layer *l, int sum, struct sheet *m)
{
    const struct ab_dims d = l->from;
#pragma omp parallel for num_threads(l->look->plan->exec.threads)
    for (int c = 0; c < d.c; c++)
        for (int y = 0; y < d.h; y++)
            for (int x = 0; x < d.w; x++)
                *at_of(m, c, y, x) = summand(l, sum, (struct ab_unit){l->n, c, y, x});
}

static bool convolve(struct layer *l, int sum)
{
    const struct ab_exec *e = &l->look->plan->exec;
    const struct ab_conv2d_shape *shape = &l->node->conv;
    const enum ab_pass pass = l->step->pass;
    const size_t panel =
        (size_t)l->from.c * (size_t)shape->kh * (size_t)shape->kw * AB_LANES; /* at most */
    const struct ab_kernel *kernel = ab_pick(AB_KERNEL_conv2d_f64, NULL, e->isas);
    struct sheet src;
    double *panels = aligned_alloc(64, panel * (size_t)e->threads * sizeof *panels);
    const bool whole = open_sheet(&src, l->from, ab_conv2d_halo(shape, pass)) && panels;
    if (whole) {
        fill(l, sum, &src);
        struct ab_conv2d_f64_args args = {.shape = *shape,
                                          .pass = pass,
                                          .wmod = sum == MAGNITUDES ? AB_W_ABS : AB_W_SQUARE,
                                          .wei = l->wei,
                                          .src = src.view,
                                          .dst = l->of[sum].view};
        args.shape.n = 1;
        const int blocks = ab_blocks(l->to.c), parts = l->to.h < e->threads ? 1 : e->threads;
#pragma omp parallel for num_threads(e->threads) schedule(dynamic)
        for (int task = 0; task < blocks * parts; task++) {
            struct ab_conv2d_f64_args mine = args;
            const int block = task / parts, part = task % parts;
            mine.panel = panels + (size_t)omp_get_thread_num() * panel;
            mine.range = (struct ab_range){
                0, 1, block, block + 1, l->to.h * part / parts, l->to.h * (part + 1) / parts};
            kernel->run(&mine);
        }
    }
    free(src.base);
    free(panels);
    return whole;
}

static bool multiply(struct layer *l, int sum)
{
    struct sheet src;
    const bool fwd = l->step->pass == AB_FWD;
    const int in = fwd ? l->from.c : l->to.c, out = fwd ? l->to.c : l->from.c;
    double *dst = l->of[sum].view.data;
    if (!open_sheet(&src, l->from, (struct ab_halo){0})) return false;
    fill(l, sum, &src);
    for (int o = 0; o < out; o++) {
        const float *row = l->wei + (size_t)o * (size_t)in;
        double whole = 0;
        if (!fwd && src.base[o] == 0) continue;
        for (int i = 0; i < in; i++) {
            const double w = (double)row[i] * (double)row[i];
            if (fwd)
                whole += w * src.base[i];
            else
                dst[i] += w * src.base[o];
        }
        if (fwd) dst[o] = whole;
    }
    free(src.base);
    return true;
}

/* The largest within five columns, in place. */
static bool widen(struct sheet *m, struct ab_dims d)
{
    double *row = malloc(sizeof *row * (size_t)d.w);
    for (int c = 0; row && c < d.c; c++)
        for (int y = 0; y < d.h; y++) {
            for (int x = 0; x < d.w; x++) row[x] = *at_of(m, c, y, x);
            for (int x = 0; x < d.w; x++)
                for (int k = x < 5 ? 0 : x - 5; k <= x + 5 && k < d.w; k++)
                    *at_of(m, c, y, x) = fmax(*at_of(m, c, y, x), row[k]);
        }
    free(row);
    return row;
}

static double largest_near(const struct layer *l, struct ab_unit to)
{
    double most = 0;
    for (int y = to.y < 5 ? 0 : to.y - 5; y <= to.y + 5 && y < l->to.h; y++)
        most = fmax(most, *at_of(&l->of[MAGNITUDES], to.c, y, to.x));
    return most;
}

/* Products behind an element: those whose tap is inside. */
static double count_terms(const struct layer *l, struct ab_unit to)
{
    const struct ab_conv2d_shape *c = &l->node->conv;
    const enum ab_pass pass = l->step->pass;
    const bool fwd = pass == AB_FWD;
    int rows = 0, columns = 0;
    if (l->step->op == AB_OP_DENSE) return l->from.c;
    for (int k = 0; k < c->kh; k++)
        rows += ab_look_source(pass, to.y, c->pt, k * c->dh, c->sh, fwd ? c->ih : c->oh) >= 0;
    for (int k = 0; k < c->kw; k++)
        columns += ab_look_source(pass, to.x, c->pl, k * c->dw, c->sw, fwd ? c->iw : c->ow) >= 0;
    return (double)rows * columns * (fwd ? c->ic : c->oc) / c->g;
}

/* Upwards: a bound remains one. */
static float rounded(double error)
{
    return error < (double)FLT_MAX / 2 ? (float)(error * (1 + 0x1p-23)) : FLT_MAX;
}

static void finish(const struct layer *l, float *error)
{
    const struct ab_dims d = l->to;
#pragma omp parallel for num_threads(l->look->plan->exec.threads)
    for (int c = 0; c < d.c; c++)
        for (int y = 0; y < d.h; y++)
            for (int x = 0; x < d.w; x++) {
                const struct ab_unit to = {l->n, c, y, x};
                struct ab_terms t = {.squares = *at_of(&l->of[SQUARES], c, y, x),
                                     .count = count_terms(l, to),
                                     .inherited = *at_of(&l->of[ERRORS], c, y, x),
                                     .inherits = true};
                const double spread =
                    l->sums[MAGNITUDES] ? ab_look_spread(l->look, l->step, largest_near(l, to)) : 0;
                error[((size_t)c * (size_t)d.h + (size_t)y) * (size_t)d.w + (size_t)x] =
                    rounded(ab_look_of_terms(l->look, l->step, to, &t, spread));
            }
}

/* One layer of one image; those that it inherits from are known. */
static float *compute(struct ab_look *look, const struct ab_step *s, int n)
{
    const struct ab_program *p = &look->plan->program;
    struct layer l = {.look = look,
                      .step = s,
                      .node = &look->plan->exec.graph->nodes[s->node],
                      .from = p->values[s->x].dims,
                      .to = p->values[s->dst].dims,
                      .n = n,
                      .sums = {true, true, look->amplification[s->dst] > 0}};
    float *error = malloc(sizeof *error * (size_t)l.to.c * (size_t)l.to.h * (size_t)l.to.w);
    l.wei = malloc(sizeof *l.wei * l.node->wei_count);
    bool whole = error && l.wei;
    for (size_t i = 0; whole && i < l.node->wei_count; i++)
        l.wei[i] = (float)ab_look_weight(s, (double)l.node->wei[i]);
    for (int sum = 0; sum < SUMS && whole; sum++) {
        if (!l.sums[sum]) continue;
        whole = open_sheet(&l.of[sum], l.to, (struct ab_halo){0});
        if (whole) whole = s->op == AB_OP_CONV ? convolve(&l, sum) : multiply(&l, sum);
    }
    if (whole && l.sums[MAGNITUDES]) whole = widen(&l.of[MAGNITUDES], l.to);
    if (whole) finish(&l, error);
    for (int sum = 0; sum < SUMS; sum++) free(l.of[sum].base);
    free(l.wei);
    if (whole) return error;
    free(error);
    return NULL;
}

/* Marks the values whose errors reach value id. */
static void mark(const struct ab_program *p, int id, bool *reaches)
{
    reaches[id] = true;
    for (int i = p->values[id].def; i >= 0; i--) {
        const struct ab_step *s = &p->steps[i];
        if (s->dst < 0 || !reaches[s->dst]) continue;
        for (int k = 0; k < ab_step_operand_count(s); k++) {
            const int operand = ab_step_operand(s, k);
            if (ab_look_carries(s, operand)) reaches[operand] = true;
        }
    }
}

bool ab_look_inherit(struct ab_look *look, const struct ab_step *s, int n)
{
    const struct ab_program *p = &look->plan->program;
    const int batch = look->plan->exec.batch;
    if (look->inheritance[s->dst * batch + n]) return true;
    bool *reaches = look->failed ? NULL : calloc((size_t)p->n_values, sizeof *reaches);
    if (reaches) mark(p, s->dst, reaches);
    look->failed = look->failed || !reaches;
    for (int i = 0; i <= p->values[s->dst].def && !look->failed; i++) {
        const struct ab_step *t = &p->steps[i];
        if ((t->op != AB_OP_CONV && t->op != AB_OP_DENSE) || !reaches[t->dst]) continue;
        float **error = &look->inheritance[t->dst * batch + n];
        if (*error) continue;
        *error = ab_exec_stopped(&look->plan->exec) ? NULL : compute(look, t, n);
        look->passes++;
        look->failed = !*error;
    }
    free(reaches);
    return !look->failed;
}
