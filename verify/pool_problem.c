// SPDX-License-Identifier: Apache-2.0
// Operands and truth of pooling trials.
#include "verify/pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t salt = 0x706f6f6cu;

bool ab_pool_tap(const struct ab_pool_shape *s, int oy, int ox, int k, int *y, int *x)
{
    *y = oy * s->sh - s->pt + k / s->kw * s->dh;
    *x = ox * s->sw - s->pl + k % s->kw * s->dw;
    return *y >= 0 && *y < s->ih && *x >= 0 && *x < s->iw;
}

int ab_pool_first_tap(const struct ab_pool_shape *s, int oy, int ox)
{
    int y, x;
    for (int k = 0; k < s->kh * s->kw; k++)
        if (ab_pool_tap(s, oy, ox, k, &y, &x)) return k;
    return -1;
}

/* What an average divides by. */
static int divisor(const struct ab_pool_shape *s, int oy, int ox)
{
    int count = 0, y, x;
    for (int k = 0; k < s->kh * s->kw; k++) {
        const bool inside = ab_pool_tap(s, oy, ox, k, &y, &x);
        const bool padded = y >= -s->pt && y < s->ih + s->pb && x >= -s->pl && x < s->iw + s->pr;
        count += s->include_pad ? padded : inside;
    }
    return count;
}

/* ---- truth, of one plane ---- */

struct plane {
    struct ab_pool_problem *p;
    const float *src;
    size_t dst, outputs; /* the first element of dst, of taps */
};

static void max_forward(const struct plane *l, int oy, int ox)
{
    const struct ab_pool_shape *s = &l->p->trial.shape.pool;
    const size_t at = (size_t)(oy * s->ow + ox);
    int best = -1, y, x;
    float most = 0.0f;
    for (int k = 0; k < s->kh * s->kw; k++) {
        if (!ab_pool_tap(s, oy, ox, k, &y, &x)) continue;
        const float v = l->src[y * s->iw + x];
        if (best >= 0 && (isnan(most) || (!isnan(v) && !(v > most)))) continue;
        best = k;
        most = v;
    }
    l->p->truth.sum[l->dst + at] = (double)most;
    l->p->taps[l->outputs + at] = (uint16_t)best;
}

static void max_backward(const struct plane *l, int oy, int ox)
{
    const struct ab_pool_shape *s = &l->p->trial.shape.pool;
    const size_t at = (size_t)(oy * s->ow + ox);
    int y, x;
    if (!ab_pool_tap(s, oy, ox, l->p->taps[l->outputs + at], &y, &x)) return;
    const size_t to = l->dst + (size_t)(y * s->iw + x);
    ab_truth_add(&l->p->truth, to, (double)l->src[at]);
    l->p->ordered[to] += l->src[at];
}

static void average(const struct plane *l, int oy, int ox)
{
    const struct ab_pool_shape *s = &l->p->trial.shape.pool;
    const bool fwd = l->p->trial.pass == AB_FWD;
    const size_t at = (size_t)(oy * s->ow + ox);
    const double by = divisor(s, oy, ox);
    int y, x;
    for (int k = 0; k < s->kh * s->kw; k++) {
        if (!ab_pool_tap(s, oy, ox, k, &y, &x)) continue;
        const size_t in = (size_t)(y * s->iw + x);
        ab_truth_add(&l->p->truth, l->dst + (fwd ? at : in), (double)l->src[fwd ? in : at] / by);
    }
}

static void make_plane(const struct plane *l)
{
    const struct ab_pool_shape *s = &l->p->trial.shape.pool;
    for (int oy = 0; oy < s->oh; oy++)
        for (int ox = 0; ox < s->ow; ox++) {
            if (!l->p->is_max)
                average(l, oy, ox);
            else if (l->p->trial.pass == AB_FWD)
                max_forward(l, oy, ox);
            else
                max_backward(l, oy, ox);
        }
}

static size_t plane_of(const int d[4])
{
    return (size_t)d[2] * (size_t)d[3];
}

static size_t count_of(const int d[4])
{
    return (size_t)d[0] * (size_t)d[1] * plane_of(d);
}

static void make_truth(struct ab_pool_problem *p)
{
    const struct ab_pool_shape *s = &p->trial.shape.pool;
    for (size_t i = 0; i < (size_t)s->n * (size_t)s->c; i++)
        make_plane(&(struct plane){p, p->src + i * plane_of(p->src_dims), i * plane_of(p->dst_dims),
                                   i * (size_t)(s->oh * s->ow)});
    /* The division is one rounding more. */
    for (size_t i = 0; i < p->truth.count && !p->is_max; i++)
        if (p->truth.terms[i]) p->truth.terms[i]++;
    /* What nothing is added to is 0, of either sign: no bits are compared. */
    for (size_t i = 0; i < p->truth.count && p->trial.pass == AB_BWD; i++)
        if (!p->truth.terms[i]) p->truth.terms[i] = 1;
}

/* Divisions by all of these windows are exact, and so are the sums. */
static bool divisions_are_exact(const struct ab_pool_problem *p)
{
    const struct ab_pool_shape *s = &p->trial.shape.pool;
    for (int oy = 0; oy < s->oh; oy++)
        for (int ox = 0; ox < s->ow; ox++) {
            const int by = divisor(s, oy, ox);
            if (AB_POOL_DIVISIBLE % by != 0 && (by & (by - 1)) != 0) return false;
        }
    return true;
}

static bool is_exact(const struct ab_pool_problem *p)
{
    const struct ab_pool_shape *s = &p->trial.shape.pool;
    if (p->is_max) return ab_truth_is_exact(&p->truth, &p->trial, 1.0);
    return divisions_are_exact(p) && ab_truth_is_exact(&p->truth, &p->trial, 1.0 / (s->kh * s->kw));
}

/* ---- operands ---- */

static void problem_free(struct ab_pool_problem *p)
{
    free(p->src);
    free(p->taps);
    free(p->ordered);
    ab_epilogue_free(&p->f);
    ab_truth_free(&p->truth);
    *p = (struct ab_pool_problem){0};
}

/* What maxima are compared in needs more than one of a kind: ties of both zeros, of NaN, of
 * infinities. */
static void sprinkle(struct ab_pool_problem *p, size_t count, struct ab_rng *rng)
{
    const enum ab_fill fill = p->trial.fill;
    for (size_t i = 0; i < count; i++) {
        const int one = ab_rng_between(rng, 0, 15);
        if (fill == AB_FILL_NEGZERO && one < 4) p->src[i] = 0.0f;
        if (fill == AB_FILL_NAN && one == 0) p->src[i] = NAN;
        if (fill == AB_FILL_INF && one < 2) p->src[i] = one ? INFINITY : -INFINITY;
    }
}

/* Taps inside the image, as a forward pass makes them. */
static void draw_taps(struct ab_pool_problem *p, struct ab_rng *rng)
{
    const struct ab_pool_shape *s = &p->trial.shape.pool;
    const int outputs = s->oh * s->ow;
    for (int i = 0; i < s->n * s->c * outputs; i++) {
        const int oy = i % outputs / s->ow, ox = i % s->ow;
        int k = ab_rng_between(rng, 0, s->kh * s->kw - 1), y, x;
        while (!ab_pool_tap(s, oy, ox, k, &y, &x)) k = (k + 1) % (s->kh * s->kw);
        p->taps[i] = (uint16_t)k;
    }
}

static bool make(struct ab_pool_problem *p, const struct ab_file_values *file)
{
    const struct ab_trial *t = &p->trial;
    const struct ab_pool_shape *s = &t->shape.pool;
    const size_t from = count_of(p->src_dims), to = count_of(p->dst_dims);
    struct ab_rng rng = ab_rng_new(t->seed, salt);
    p->src = malloc((from + 1) * sizeof *p->src);
    p->taps = calloc((size_t)s->n * (size_t)s->c * (size_t)(s->oh * s->ow) + 1, sizeof *p->taps);
    p->ordered = calloc(to + 1, sizeof *p->ordered);
    if (!p->src || !p->taps || !p->ordered || !ab_truth_new(&p->truth, to)) return false;
    ab_fill_signal(p->src, (size_t)s->n, from / (size_t)s->n, t, file, &rng);
    if (p->is_max && t->pass == AB_FWD) sprinkle(p, from, &rng);
    if (p->is_max && t->pass == AB_BWD) draw_taps(p, &rng);
    for (size_t i = 0; i < from && !p->is_max && ab_fill_is_exact(t->fill); i++)
        p->src[i] *= (float)AB_POOL_DIVISIBLE;
    if (!ab_epilogue_new(&p->f, t, to, s->n, s->c, &rng)) return false;
    make_truth(p);
    p->exact = is_exact(p);
    return true;
}

static void set_dims(struct ab_pool_problem *p)
{
    const struct ab_pool_shape *s = &p->trial.shape.pool;
    const int in[4] = {s->n, s->c, s->ih, s->iw}, out[4] = {s->n, s->c, s->oh, s->ow};
    const bool fwd = p->trial.pass == AB_FWD;
    memcpy(p->src_dims, fwd ? in : out, sizeof in);
    memcpy(p->dst_dims, fwd ? out : in, sizeof in);
}

const struct ab_pool_problem *ab_pool_problem_of(const struct ab_trial *trial,
                                                 struct ab_outcome *outcome)
{
    static _Thread_local struct ab_pool_problem last;
    struct ab_file_values file;
    if (last.ready && memcmp(&last.trial, trial, sizeof *trial) == 0) return &last;
    problem_free(&last);
    if (!ab_file_values_read(&file, trial, outcome)) return NULL;
    memcpy(&last.trial, trial, sizeof *trial);
    last.is_max = trial->op == AB_KERNEL_maxpool;
    set_dims(&last);
    last.ready = make(&last, &file);
    ab_file_values_free(&file);
    if (last.ready) return &last;
    problem_free(&last);
    *outcome = (struct ab_outcome){.kind = AB_OUTCOME_SKIPPED, .why = "out of memory"};
    return NULL;
}
