// SPDX-License-Identifier: Apache-2.0
// How far a float execution can be from the double one at a single element: the rounding of the sum
// that made it, times the number of such sums behind it. Derivation: docs/numerics.md, "decisions".
#include "agree/referee.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan/builder.h"

static const double u = 0x1p-24; /* half a unit in the last place of 1 */
static const double lambda = 4;  /* of the probabilistic bound lambda * sqrt(n) * u */
static const double smallest = 0x1p-149;
/* Terms that are looked at one by one for errors with inheritance, which may reach back over the
 * whole network: about a second. As many again for errors that inherit from the layer below alone;
 * beyond them it is depth again. */
static const double most_work = 5e7;

/* ---- looking ---- */

/* Whether the seed's elements depend on the logits' values. */
static bool seed_errs(const struct ab_step *s)
{
    return s->seed != AB_SEED_ONE && s->seed != AB_SEED_CONTRAST;
}

/* Operands whose errors reach the result: a gate's `a` only decides. */
bool ab_look_carries(const struct ab_step *s, int operand)
{
    const bool gate = s->op == AB_OP_POINTWISE &&
                      (s->kind == AB_PW_GATE || s->kind == AB_PW_GUIDED || s->kind == AB_PW_RECT ||
                       s->kind == AB_PW_CAP_GATE || s->kind == AB_PW_CAP_GUIDED);
    if (operand < 0 || operand == s->switches || operand == s->tau) return false;
    if (s->op == AB_OP_SEED && !seed_errs(s)) return false;
    return !gate || operand == s->x;
}

static void count_depths(struct ab_look *look)
{
    const struct ab_program *p = &look->plan->program;
    for (int i = 0; i < p->n_steps; i++) {
        const struct ab_step *s = &p->steps[i];
        int depth = 0;
        for (int k = 0; k < ab_step_operand_count(s); k++) {
            const int id = ab_step_operand(s, k);
            if (ab_look_carries(s, id) && look->depth[id] > depth) depth = look->depth[id];
        }
        if (s->op == AB_OP_CONV || s->op == AB_OP_DENSE) depth++;
        if (s->dst >= 0) look->depth[s->dst] = depth;
    }
}

static double amplification_of(const char *kernel)
{
    int count;
    const struct ab_kernel *k = ab_kernels(&count);
    for (int i = 0; i < count; i++)
        if (strcmp(k[i].name, kernel) == 0) return ab_kernel_amplification(&k[i]);
    return 0;
}

/* What the judged plan ran for each convolution of the reference's program. */
static void find_amplifications(struct ab_look *look, const struct ab_plan *judged)
{
    const struct ab_program *p = &look->plan->program, *q = &judged->program;
    for (int i = 0; i < p->n_steps; i++) {
        const struct ab_step *s = &p->steps[i];
        if (s->op != AB_OP_CONV) continue;
        for (int k = 0; k < q->n_steps; k++) {
            const struct ab_step *t = &q->steps[k];
            if (t->op != s->op || t->node != s->node || t->pass != s->pass || t->wmod != s->wmod ||
                t->gain != s->gain || t->direct != s->direct || t->guard != s->guard)
                continue;
            look->amplification[s->dst] =
                fmax(look->amplification[s->dst], amplification_of(ab_plan_kernel(judged, k)));
        }
    }
}

bool ab_look_open(struct ab_look *look, const struct ab_plan *plan, const struct ab_plan *judged)
{
    const size_t count = (size_t)plan->program.n_values;
    *look = (struct ab_look){.plan = plan};
    look->view = calloc(count, sizeof *look->view);
    look->error = calloc(count, sizeof *look->error);
    look->inheritance = calloc(count * (size_t)plan->exec.batch, sizeof *look->inheritance);
    look->depth = calloc(count, sizeof *look->depth);
    look->amplification = calloc(count, sizeof *look->amplification);
    if (look->view && look->error && look->inheritance && look->depth && look->amplification) {
        for (int id = 0; id < plan->program.n_values; id++) look->view[id] = ab_plan_view(plan, id);
        count_depths(look);
        find_amplifications(look, judged);
        return true;
    }
    ab_look_close(look);
    return false;
}

void ab_look_close(struct ab_look *look)
{
    if (!look->plan) return;
    const int count = look->plan->program.n_values, all = count * look->plan->exec.batch;
    for (int id = 0; look->error && id < count; id++) free(look->error[id]);
    for (int i = 0; look->inheritance && i < all; i++) free(look->inheritance[i]);
    free(look->view);
    free(look->error);
    free(look->inheritance);
    free(look->depth);
    free(look->amplification);
    *look = (struct ab_look){0};
}

static const struct ab_value *value_of(const struct ab_look *look, int id)
{
    return &look->plan->program.values[id];
}

static size_t place(const struct ab_look *look, int id, struct ab_unit at)
{
    const struct ab_dims d = value_of(look, id)->dims;
    const size_t c = (size_t)d.c, h = (size_t)d.h, w = (size_t)d.w;
    return (((size_t)at.n * c + (size_t)at.c) * h + (size_t)at.y) * w + (size_t)at.x;
}

double ab_look_at(struct ab_look *look, int id, struct ab_unit from)
{
    const struct ab_view_f64 *v = &look->view[id];
    const ptrdiff_t at = from.n * v->image + from.c / AB_LANES * v->block + from.y * v->row +
                         (ptrdiff_t)from.x * AB_LANES + from.c % AB_LANES;
    if (value_of(look, id)->dtype == AB_SWITCH)
        return ((const uint16_t *)(const void *)v->data)[at];
    return v->data[at];
}

/* ---- sums ---- */

static void add_term(struct ab_terms *t, double term)
{
    t->squares += term * term;
    t->magnitude += fabs(term);
    t->count++;
}

double ab_look_weight(const struct ab_step *s, double w)
{
    switch (s->wmod) {
    case AB_W_POS: return fmax(w, 0);
    case AB_W_NEG: return fmin(w, 0);
    case AB_W_ABS: return fabs(w);
    case AB_W_SQUARE: return w * w;
    case AB_W_ONE: return 1;
    case AB_W_GAMMA: return w > 0 ? (double)s->gain * w : w;
    default: return w;
    }
}

/* A product of a weight with an element of the step's input. */
static void add_product(struct ab_look *look, const struct ab_step *s, struct ab_terms *t, double w,
                        struct ab_unit from)
{
    add_term(t, w * ab_look_at(look, s->x, from));
    look->work++;
    if (t->inherits) t->inherited += pow(w * ab_look_error(look, s->x, from), 2);
}

/* The index along one axis of src that kernel index k joins with dst index i, or -1. */
int ab_look_source(enum ab_pass pass, int i, int pad, int step, int stride, int size)
{
    int at = i * stride - pad + step;
    if (pass == AB_BWD) {
        at = i + pad - step;
        if (at % stride != 0) return -1;
        at /= stride;
    }
    return at >= 0 && at < size ? at : -1;
}

static void conv_terms(struct ab_look *look, const struct ab_step *s, struct ab_unit to,
                       struct ab_terms *t)
{
    const struct ab_node *node = &look->plan->exec.graph->nodes[s->node];
    const struct ab_conv2d_shape *c = &node->conv;
    const bool fwd = s->pass == AB_FWD;
    const int icg = c->ic / c->g, ocg = c->oc / c->g, area = c->kh * c->kw;
    const int from = fwd ? icg : ocg, group = fwd ? to.c / ocg : to.c / icg;
    for (int k = 0; k < area; k++) {
        const int y =
            ab_look_source(s->pass, to.y, c->pt, k / c->kw * c->dh, c->sh, fwd ? c->ih : c->oh);
        const int x =
            ab_look_source(s->pass, to.x, c->pl, k % c->kw * c->dw, c->sw, fwd ? c->iw : c->ow);
        for (int i = 0; i < from && y >= 0 && x >= 0; i++) {
            const int sc = group * from + i;
            const size_t row = fwd ? (size_t)to.c * (size_t)icg + (size_t)i
                                   : (size_t)sc * (size_t)icg + (size_t)(to.c % icg);
            const double w = (double)node->wei[row * (size_t)area + (size_t)k];
            add_product(look, s, t, ab_look_weight(s, w), (struct ab_unit){to.n, sc, y, x});
        }
    }
}

static void dense_terms(struct ab_look *look, const struct ab_step *s, struct ab_unit to,
                        struct ab_terms *t)
{
    const struct ab_node *node = &look->plan->exec.graph->nodes[s->node];
    const int in = look->plan->exec.graph->nodes[node->in[0]].dims.c, out = node->dims.c;
    const bool fwd = s->pass == AB_FWD;
    for (int i = 0; i < (fwd ? in : out); i++) {
        const size_t at =
            fwd ? (size_t)to.c * (size_t)in + (size_t)i : (size_t)i * (size_t)in + (size_t)to.c;
        add_product(look, s, t, ab_look_weight(s, (double)node->wei[at]),
                    (struct ab_unit){to.n, i, 0, 0});
    }
}

static bool inside(struct ab_dims d, struct ab_unit at)
{
    return at.y >= 0 && at.y < d.h && at.x >= 0 && at.x < d.w;
}

double ab_look_spread(const struct ab_look *look, const struct ab_step *s, double most)
{
    return look->amplification[s->dst] * sqrt(value_of(look, s->x)->dims.c) * u * most;
}

/* See ab_kernel_amplification: the largest sum of magnitudes within five pixels decides. */
static double transform_error(struct ab_look *look, const struct ab_step *s, struct ab_unit to)
{
    const struct ab_dims d = value_of(look, s->dst)->dims;
    double most = 0;
    for (int dy = -5; dy <= 5; dy++)
        for (int dx = -5; dx <= 5; dx++) {
            const struct ab_unit near = {to.n, to.c, to.y + dy, to.x + dx};
            struct ab_terms t = {0};
            if (!inside(d, near)) continue;
            conv_terms(look, s, near, &t);
            most = fmax(most, t.magnitude);
        }
    return ab_look_spread(look, s, most);
}

/* Where the error of an element with inheritance is kept; NULL: out of memory. */
static double *kept_error(struct ab_look *look, int id, struct ab_unit at)
{
    if (!look->error[id]) {
        const size_t count = ab_plan_value_count(look->plan, id);
        look->error[id] = malloc(sizeof(double) * count);
        look->failed = look->failed || !look->error[id];
        if (look->failed) return NULL;
        for (size_t i = 0; i < count; i++) look->error[id][i] = (double)NAN;
    }
    return look->error[id] + place(look, id, at);
}

double ab_look_of_terms(struct ab_look *look, const struct ab_step *s, struct ab_unit to,
                        struct ab_terms *t, double spread)
{
    const struct ab_node *node = &look->plan->exec.graph->nodes[s->node];
    const double z = fabs(ab_look_at(look, s->dst, to));
    if (s->pass == AB_FWD && node->bias)
        add_term(t, (double)ab_bias_part(s->bias, s->gain, node->bias[to.c]));
    if (s->add >= 0) add_term(t, ab_look_at(look, s->add, to));
    if (s->add >= 0 && t->inherits) t->inherited += pow(ab_look_error(look, s->add, to), 2);
    const double local = fmax(
        u * (lambda * sqrt(t->count) * (z + sqrt(t->squares)) + z) + t->count * smallest, spread);
    return fmax(look->depth[s->dst] * local, local + sqrt(t->inherited));
}

static double linear_error(struct ab_look *look, const struct ab_step *s, struct ab_unit to)
{
    if (look->inherited && look->whole) {
        if (!ab_look_inherit(look, s, to.n)) return 0;
        const size_t first = place(look, s->dst, (struct ab_unit){to.n, 0, 0, 0});
        const float *all = look->inheritance[s->dst * look->plan->exec.batch + to.n];
        return (double)all[place(look, s->dst, to) - first];
    }
    const bool whole = look->inherited && look->work < most_work;
    const bool once = look->inherited && look->work < 2 * most_work && look->nested == 0;
    struct ab_terms t = {.inherits = whole || once};
    double *kept = look->inherited ? kept_error(look, s->dst, to) : NULL;
    if (kept && !isnan(*kept)) return *kept;
    look->nested++;
    if (s->op == AB_OP_CONV)
        conv_terms(look, s, to, &t);
    else
        dense_terms(look, s, to, &t);
    look->nested--;
    const bool spreads = look->transformed && look->amplification[s->dst] > 0;
    const double error =
        ab_look_of_terms(look, s, to, &t, spreads ? transform_error(look, s, to) : 0);
    if (kept && whole) *kept = error;
    return error;
}

/* ---- everything else hands errors on ---- */

/* Whether both executions decided alike that the element is 0, or at its cap: then it is exact. */
static bool settled(struct ab_look *look, const struct ab_step *s, struct ab_unit at)
{
    int id = s->a;
    bool capped = false;
    switch (s->kind) {
    case AB_PW_CAP: capped = true; /* fall through */
    case AB_PW_RELU:
    case AB_PW_RECT: id = s->dst; break;
    case AB_PW_CAP_GATE:
    case AB_PW_CAP_GUIDED: capped = true; break;
    case AB_PW_GATE:
    case AB_PW_GUIDED: break;
    default: return false;
    }
    if (!look->followed || !look->followed[id]) return false;
    const double v = ab_look_at(look, id, at);
    return v == 0 || (capped && v >= (double)s->scale);
}

static double pointwise_error(struct ab_look *look, const struct ab_step *s, struct ab_unit at)
{
    if (look->inherited && settled(look, s, at)) return 0;
    const double v = fabs(ab_look_at(look, s->dst, at)), ex = ab_look_error(look, s->x, at);
    double st;
    switch (s->kind) {
    case AB_PW_MUL:
        return fabs(ab_look_at(look, s->a, at)) * ex +
               fabs(ab_look_at(look, s->x, at)) * ab_look_error(look, s->a, at) + u * v;
    case AB_PW_ADD:
    case AB_PW_SUB: return ex + ab_look_error(look, s->a, at) + u * v;
    case AB_PW_SCALE: return fabs((double)s->scale) * ex + u * v;
    case AB_PW_DIV:
        st = fabs(ab_look_at(look, s->z, at)) + (double)s->eps;
        return st > 0 ? (fabs((double)s->scale) * ex + v * ab_look_error(look, s->z, at)) / st +
                            2 * u * v
                      : 0;
    case AB_PW_AFFINE:
        return fabs((double)look->plan->exec.graph->nodes[s->node].wei[at.c]) * ex + 2 * u * v;
    default: return ex;
    }
}

/* The pixel of the image under tap k of a window. */
static struct ab_unit under_tap(const struct ab_pool_shape *p, struct ab_unit window, int k)
{
    return (struct ab_unit){window.n, window.c, window.y * p->sh - p->pt + k / p->kw * p->dh,
                            window.x * p->sw - p->pl + k % p->kw * p->dw};
}

/* An average errs by no more than the worst of its window, nor does a maximum. */
static double pool_forward_error(struct ab_look *look, const struct ab_step *s, struct ab_unit at)
{
    const struct ab_pool_shape *p = &look->plan->exec.graph->nodes[s->node].pool;
    double worst = 0;
    for (int k = 0; k < p->kh * p->kw; k++) {
        const struct ab_unit from = under_tap(p, at, k);
        if (inside(value_of(look, s->x)->dims, from))
            worst = fmax(worst, ab_look_error(look, s->x, from));
    }
    return worst + u * p->kh * p->kw * fabs(ab_look_at(look, s->dst, at));
}

/* The sum over the windows that reach the pixel: with max-pooling those that chose it. */
static double pool_backward_error(struct ab_look *look, const struct ab_step *s, struct ab_unit at)
{
    const struct ab_pool_shape *p = &look->plan->exec.graph->nodes[s->node].pool;
    double sum = 0;
    for (int k = 0; k < p->kh * p->kw; k++) {
        const int y = ab_look_source(AB_BWD, at.y, p->pt, k / p->kw * p->dh, p->sh, p->oh);
        const int x = ab_look_source(AB_BWD, at.x, p->pl, k % p->kw * p->dw, p->sw, p->ow);
        const struct ab_unit window = {at.n, at.c, y, x};
        if (y < 0 || x < 0) continue;
        if (s->op == AB_OP_AVGPOOL)
            sum += ab_look_error(look, s->x, window) / (p->kh * p->kw);
        else if (ab_look_at(look, s->switches, window) == k)
            sum += ab_look_error(look, s->x, window);
    }
    return sum + u * fabs(ab_look_at(look, s->dst, at));
}

/* FLATTEN, CONCAT, SLICE, PAD: the operand and element that `at` is a copy of; id -1: a zero. */
static int moved_from(const struct ab_look *look, const struct ab_step *s, struct ab_unit *at)
{
    const struct ab_dims d = value_of(look, s->dst)->dims;
    const int *pad = s->op == AB_OP_PAD ? look->plan->exec.graph->nodes[s->node].pad : NULL;
    const int sign = s->pass == AB_FWD ? -1 : 1;
    int i = 0;
    switch (s->op) {
    case AB_OP_FLATTEN:
        if (s->pass == AB_FWD) {
            const struct ab_dims from = value_of(look, s->x)->dims;
            const int area = from.h * from.w, rest = at->c % area;
            *at = (struct ab_unit){at->n, at->c / area, rest / from.w, rest % from.w};
        } else {
            *at = (struct ab_unit){at->n, (at->c * d.h + at->y) * d.w + at->x, 0, 0};
        }
        return s->x;
    case AB_OP_CONCAT:
        while (at->c >= value_of(look, s->list[i])->dims.c)
            at->c -= value_of(look, s->list[i++])->dims.c;
        return s->list[i];
    case AB_OP_SLICE: at->c += s->channel; return s->x;
    default:
        at->y += sign * pad[0];
        at->x += sign * pad[1];
        return inside(value_of(look, s->x)->dims, *at) ? s->x : -1;
    }
}

/* SOFTMAX: with every logit off by d at most, p_c (onehot_c - p) moves by at most 4 d of itself:
 * each factor p_k by 2 d, and 1 - p_c by 2 p_c d. */
static double seed_error(struct ab_look *look, const struct ab_step *s, struct ab_unit at)
{
    const double v = fabs(ab_look_at(look, s->dst, at));
    double worst = 0;
    if (v == 0) return 0;
    if (s->seed != AB_SEED_SOFTMAX) return ab_look_error(look, s->x, at);
    for (int c = 0; c < value_of(look, s->x)->dims.c; c++)
        worst = fmax(worst, ab_look_error(look, s->x, (struct ab_unit){at.n, c, 0, 0}));
    return v * (4 * worst + 2 * u);
}

/* SIGMOID alone, whose slope is at most scale / 4; the others look at whole images. */
static double host_error(struct ab_look *look, const struct ab_step *s, struct ab_unit at)
{
    if (s->host != AB_HOST_SIGMOID) return 0;
    return ab_look_error(look, s->x, at) +
           fabs(ab_look_at(look, s->x, at)) * fabs((double)s->scale) / 4 *
               ab_look_error(look, s->a, at) +
           2 * u * fabs(ab_look_at(look, s->dst, at));
}

double ab_look_error(struct ab_look *look, int id, struct ab_unit at)
{
    const struct ab_program *p = &look->plan->program;
    const struct ab_step *s = &p->steps[p->values[id].def];
    int from = -1;
    switch (s->op) {
    case AB_OP_CONV:
    case AB_OP_DENSE: return linear_error(look, s, at);
    case AB_OP_POINTWISE: return pointwise_error(look, s, at);
    case AB_OP_MAXPOOL:
    case AB_OP_AVGPOOL:
        return s->pass == AB_FWD ? pool_forward_error(look, s, at)
                                 : pool_backward_error(look, s, at);
    case AB_OP_FLATTEN:
    case AB_OP_CONCAT:
    case AB_OP_SLICE:
    case AB_OP_PAD:
        from = moved_from(look, s, &at);
        return from < 0 ? 0 : ab_look_error(look, from, at);
    case AB_OP_SEED: return seed_errs(s) ? seed_error(look, s, at) : 0;
    case AB_OP_HOST: return host_error(look, s, at);
    default: return 0; /* images and constants are the same in float */
    }
}
