// SPDX-License-Identifier: Apache-2.0
// POINTWISE of the reference backend: the rules of simd/kernels.h in double, and decisions followed
// instead of made.
#include "backend/reference.h"

#include <math.h>

/* One row of 16-channel pixels; a and z are x where the kind does not use them. */
struct row {
    const double *x, *a, *z;
    double *dst;
    double eps, scale, tau;
    const float *mul, *add; /* of the block's channels */
    int count, channels;    /* elements; channels of the block that are no padding */
};

/* num / st(z), and 0 where st(z) is 0 */
static inline double quotient(double num, double z, double eps)
{
    const double st = z + (z < 0.0 ? -eps : eps);
    return st == 0.0 ? 0.0 : num / st;
}

/* x times the slope of ReLU between a and z, see AB_PW_RESCALE */
static inline double rescale(double x, double a, double z)
{
    const double t = a > z ? a : z, b = a > z ? z : a;
    return t > 0.0 ? x * (t / (t - (b < 0.0 ? b : 0.0))) : 0.0;
}

static void affine(const struct row *r)
{
    for (int i = 0; i < r->count; i++) {
        const int c = i % AB_LANES;
        r->dst[i] = 0.0;
        if (c < r->channels)
            r->dst[i] = r->x[i] * (double)r->mul[c] + (r->add ? (double)r->add[c] : 0.0);
    }
}

#define EACH(expression)                                                                           \
    for (int i = 0; i < r->count; i++) {                                                           \
        const double x = r->x[i], a = r->a[i], z = r->z[i];                                        \
        (void)a;                                                                                   \
        (void)z;                                                                                   \
        r->dst[i] = expression;                                                                    \
    }

/* NaN stays NaN wherever x is kept: hence `x <= 0 ? 0 : x`. */
static void apply_row(enum ab_pointwise_kind kind, const struct row *r)
{
    switch (kind) {
    case AB_PW_COPY: EACH(x) break;
    case AB_PW_RELU: EACH(x <= 0.0 ? 0.0 : x) break;
    case AB_PW_NEG: EACH(x >= 0.0 ? 0.0 : x) break;
    case AB_PW_ABS: EACH(fabs(x)) break;
    case AB_PW_GATE: EACH(a > 0.0 ? x : 0.0) break;
    case AB_PW_GUIDED: EACH(a > 0.0 && !(x <= 0.0) ? x : 0.0) break;
    case AB_PW_RECT: EACH(a * x > r->tau ? x : 0.0) break;
    case AB_PW_MUL: EACH(x * a) break;
    case AB_PW_DIV: EACH(quotient(r->scale * x, z, r->eps)) break;
    case AB_PW_MULDIV: EACH(quotient(r->scale * (x * a), z, r->eps)) break;
    case AB_PW_RESCALE: EACH(rescale(x, a, z)) break;
    case AB_PW_DIVDIFF: EACH(quotient(x, a - z, 0.0)) break;
    case AB_PW_ADD: EACH(x + a) break;
    case AB_PW_SUB: EACH(x - a) break;
    case AB_PW_SCALE: EACH(r->scale * x) break;
    case AB_PW_AFFINE: affine(r); break;
    case AB_PW_CAP: EACH(x <= 0.0 ? 0.0 : x >= r->scale ? r->scale : x) break;
    case AB_PW_CAP_GATE: EACH(a > 0.0 && a < r->scale ? x : 0.0) break;
    case AB_PW_CAP_GUIDED: EACH(a > 0.0 && a < r->scale && !(x <= 0.0) ? x : 0.0) break;
    case AB_PW_RELU_BITS:
    case AB_PW_CAP_BITS:
    case AB_PW_GATE_BITS:
    case AB_PW_GUIDED_BITS:
    case AB_PW_GUARD_BITS:
    case AB_PW_REST_BITS: /* made by ab_bits for other backends */
    case AB_PW_COUNT: break;
    }
}

static const double *operand(const struct ab_exec *exec, int id, int n, int block, int y)
{
    const struct ab_reference_map *m = ab_reference_map(exec, id);
    return m->view.data + ab_reference_offset(m, n, block * AB_LANES, y, 0);
}

/* A unit that was kept has its input; where that is no longer between the bounds of the ReLU, next
 * to nothing, or the last number below the cap. */
static double passed(enum ab_pointwise_kind kind, double x, double cap)
{
    if (kind == AB_PW_RECT) return x;
    if (x <= 0.0) return AB_REFERENCE_TINY;
    return kind == AB_PW_CAP && x >= cap ? nextafter(cap, 0.0) : x;
}

/* What the backend under judgement decided, for one row: a dropped unit has 0, one at its cap the
 * cap. */
static void follow_row(enum ab_pointwise_kind kind, const struct row *r, const uint8_t *decided,
                       ptrdiff_t plane)
{
    for (int i = 0; i < r->count; i++) {
        const int c = i % AB_LANES, state = c < r->channels ? decided[c * plane + i / AB_LANES] : 0;
        r->dst[i] = state == AB_UNIT_DROPPED ? 0.0
                    : state == AB_UNIT_KEPT  ? passed(kind, r->x[i], r->scale)
                                             : r->scale;
    }
}

static const uint8_t *forced_of(const struct ab_exec *exec, const struct ab_step *s)
{
    if (s->kind == AB_PW_RELU) return ab_reference_forced(exec, s->dst, AB_DECIDE_RELU);
    if (s->kind == AB_PW_CAP) return ab_reference_forced(exec, s->dst, AB_DECIDE_CAP);
    if (s->kind == AB_PW_RECT) return ab_reference_forced(exec, s->dst, AB_DECIDE_RECT);
    return NULL;
}

static void pointwise_row(const struct ab_exec *exec, const struct ab_step *s, int x, int n,
                          int block, int y)
{
    const struct ab_reference_map *dst = ab_reference_map(exec, s->dst);
    struct row r = {
        .x = operand(exec, x, n, block, y),
        .dst = dst->view.data + ab_reference_offset(dst, n, block * AB_LANES, y, 0),
        .eps = (double)s->eps,
        .scale = (double)s->scale,
        .count = dst->w * AB_LANES,
        .channels = dst->c - block * AB_LANES < AB_LANES ? dst->c - block * AB_LANES : AB_LANES,
    };
    r.a = s->a < 0 ? r.x : operand(exec, s->a, n, block, y);
    r.z = s->z < 0 ? r.x : operand(exec, s->z, n, block, y);
    if (s->tau >= 0) r.tau = ab_reference_map(exec, s->tau)->view.data[n];
    if (s->kind == AB_PW_AFFINE) {
        const struct ab_node *node = &exec->graph->nodes[s->node];
        r.mul = node->wei + block * AB_LANES;
        if (s->pass == AB_FWD && node->bias) r.add = node->bias + block * AB_LANES;
    }
    const uint8_t *decided = forced_of(exec, s);
    if (!decided) {
        apply_row(s->kind, &r);
        return;
    }
    const ptrdiff_t plane = (ptrdiff_t)dst->h * dst->w;
    decided += ((ptrdiff_t)n * dst->c + block * AB_LANES) * plane + (ptrdiff_t)y * dst->w;
    follow_row(s->kind, &r, decided, plane);
}

void ab_reference_pointwise(const struct ab_exec *exec, const struct ab_step *s, int x)
{
    const struct ab_reference_map *dst = ab_reference_map(exec, s->dst);
    const int rows = exec->batch * dst->blocks * dst->h;
#pragma omp parallel for num_threads(exec->threads) schedule(static) if (rows > 1)
    for (int i = 0; i < rows; i++) {
        const int y = i % dst->h, plane = i / dst->h;
        pointwise_row(exec, s, x, plane / dst->blocks, plane % dst->blocks, y);
    }
}
