// SPDX-License-Identifier: Apache-2.0
// Pooling kernels on one trial: buffers, calls, judgement.
#include "verify/call.h"
#include "verify/pool.h"
#include "verify/rule.h"
#include "verify/subject.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- buffers ---- */

static size_t outputs_of(const struct ab_pool_shape *s)
{
    return (size_t)s->oh * (size_t)s->ow;
}

static size_t blocked_taps(const struct ab_pool_shape *s, int n)
{
    return (size_t)(n * ab_blocks(s->c)) * outputs_of(s) * AB_LANES;
}

/* Where the tap of (n, c, output) lies among blocked ones. */
static size_t tap_at(const struct ab_pool_shape *s, int n, int c, size_t output)
{
    const size_t plane = (size_t)(n * ab_blocks(s->c) + c / AB_LANES);
    return (plane * outputs_of(s) + output) * AB_LANES + (size_t)(c % AB_LANES);
}

/* As a forward pass writes them: the first tap inside in padding lanes. */
static void block_taps(const struct ab_pool_problem *p, int first, int n, uint16_t *to)
{
    const struct ab_pool_shape *s = &p->trial.shape.pool;
    const size_t outputs = outputs_of(s);
    for (int i = 0; i < n; i++)
        for (int c = 0; c < ab_blocks(s->c) * AB_LANES; c++)
            for (size_t o = 0; o < outputs; o++) {
                const size_t from = (size_t)((first + i) * s->c + c) * outputs + o;
                const int y = (int)o / s->ow, x = (int)o % s->ow;
                to[tap_at(s, i, c, o)] =
                    c < s->c ? p->taps[from] : (uint16_t)ab_pool_first_tap(s, y, x);
            }
}

static void place_taps(const struct ab_pool_problem *p, struct ab_setup *s, int first, int n)
{
    const bool fwd = p->trial.pass == AB_FWD;
    const size_t bytes = blocked_taps(&p->trial.shape.pool, n) * sizeof(uint16_t);
    if (!p->is_max) return;
    s->marks = ab_place_bytes(&s->place, "switches", NULL, bytes, 64, !fwd);
    if (s->marks && !fwd) {
        block_taps(p, first, n, s->marks);
        ab_place_keep(&s->place);
    }
}

/* The bits of an epilogue, as words. */
static void place_bits(const struct ab_pool_problem *p, struct ab_setup *s, int first, int n)
{
    const struct ab_pool_shape *d = &p->trial.shape.pool;
    struct ab_bits *b = &s->args.pool.f.bits;
    b->row = d->iw;
    b->block = b->row * d->ih;
    b->image = b->block * ab_blocks(d->c);
    b->data =
        ab_place_bytes(&s->place, "bits", NULL, (size_t)(n * b->image) * sizeof *b->data, 2, true);
    if (!b->data) return;
    memset(b->data, 0, (size_t)(n * b->image) * sizeof *b->data);
    const unsigned char *bit = p->f.bit + (ptrdiff_t)first * d->c * d->ih * d->iw;
    for (int i = 0; i < n * d->c * d->ih; i++)
        for (int x = 0; x < d->iw; x++) {
            const int y = i % d->ih, c = i / d->ih % d->c, image = i / d->ih / d->c;
            if (*bit++)
                b->data[image * b->image + c / AB_LANES * b->block + y * b->row + x] |=
                    (uint16_t)(1u << c % AB_LANES);
        }
    ab_place_keep(&s->place);
}

static float *place_channels(struct ab_setup *s, const char *name, const float *from, int c)
{
    const size_t bytes = (size_t)ab_blocks(c) * AB_LANES * sizeof(float);
    float *to = ab_place_bytes(&s->place, name, NULL, bytes, 64, true);
    if (!to) return NULL;
    memset(to, 0, bytes);
    memcpy(to, from, (size_t)c * sizeof *to);
    ab_place_keep(&s->place);
    return to;
}

static void place_epilogue(const struct ab_pool_problem *p, struct ab_setup *s, int first, int n)
{
    const struct ab_epilogue *e = &p->f;
    const int d[4] = {n, p->dst_dims[1], p->dst_dims[2], p->dst_dims[3]};
    const ptrdiff_t at = (ptrdiff_t)first * d[1] * d[2] * d[3];
    struct ab_pointwise *f = &s->args.pool.f;
    *f = (struct ab_pointwise){.kind = e->kind, .eps = e->eps, .scale = e->scale};
    const struct ab_blocked *a = ab_place_map(&s->place, "a", e->a + at, d, true);
    const struct ab_blocked *z = ab_place_map(&s->place, "z", e->z + at, d, true);
    if (a && z) f->a = a->view, f->z = z->view;
    f->tau = ab_place_bytes(&s->place, "tau", e->tau + first, (size_t)n * sizeof(float), 4, true);
    f->mul = place_channels(s, "mul", e->mul, d[1]);
    if (e->has_add) f->add = place_channels(s, "f.add", e->add, d[1]);
    place_bits(p, s, first, n);
}

static void place_native(const struct ab_pool_problem *p, struct ab_setup *s, int first, int n)
{
    int from[4], to[4];
    struct ab_pool_args *a = &s->args.pool;
    memcpy(from, p->src_dims, sizeof from);
    memcpy(to, p->dst_dims, sizeof to);
    from[0] = to[0] = n;
    *a = (struct ab_pool_args){.shape = p->trial.shape.pool, .pass = p->trial.pass};
    a->shape.n = n;
    const ptrdiff_t at = (ptrdiff_t)first * from[1] * from[2] * from[3];
    const struct ab_blocked *src = ab_place_map(&s->place, "src", p->src + at, from, true);
    s->dst = ab_place_map(&s->place, "dst", NULL, to, false);
    if (!src || !s->dst) return;
    a->src = src->view;
    a->dst = s->dst->view;
    a->range = ab_blocked_range(s->dst);
    place_taps(p, s, first, n);
    a->switches = s->marks;
    if (!s->bare && p->trial.f != AB_PW_COPY) place_epilogue(p, s, first, n);
}

static size_t bytes_of(const int d[4])
{
    return (size_t)d[0] * (size_t)d[1] * (size_t)d[2] * (size_t)d[3] * sizeof(float);
}

static void place_foreign(const struct ab_pool_problem *p, struct ab_setup *s)
{
    const struct ab_pool_shape *d = &p->trial.shape.pool;
    const bool fwd = p->trial.pass == AB_FWD;
    const int images = s->image < 0 ? d->n : 1, first = s->image < 0 ? 0 : s->image;
    const size_t n = (size_t)d->n, src = bytes_of(p->src_dims) / n, dst = bytes_of(p->dst_dims) / n;
    const size_t taps = (size_t)d->c * outputs_of(d);
    struct ab_verify_pool *a = &s->args.foreign_pool;
    *a = (struct ab_verify_pool){.backward = !fwd,
                                 .n = images,
                                 .c = d->c,
                                 .ih = d->ih,
                                 .iw = d->iw,
                                 .oh = d->oh,
                                 .ow = d->ow,
                                 .kh = d->kh,
                                 .kw = d->kw,
                                 .sh = d->sh,
                                 .sw = d->sw,
                                 .dh = d->dh,
                                 .dw = d->dw,
                                 .pt = d->pt,
                                 .pl = d->pl,
                                 .pb = d->pb,
                                 .pr = d->pr,
                                 .include_pad = d->include_pad};
    a->src = ab_place_bytes(&s->place, "src", p->src + (size_t)first * src / sizeof(float),
                            (size_t)images * src, 4, true);
    a->dst = ab_place_bytes(&s->place, "dst", NULL, (size_t)images * dst, 4, false);
    if (p->is_max)
        a->switches =
            ab_place_bytes(&s->place, "switches", fwd ? NULL : p->taps + (size_t)first * taps,
                           (size_t)images * taps * sizeof(uint16_t), 4, !fwd);
    s->out = a->dst;
    s->marks = a->switches;
}

static void place(const void *problem, struct ab_setup *s)
{
    const struct ab_pool_problem *p = problem;
    const bool all = s->image < 0;
    if (s->candidate->foreign)
        place_foreign(p, s);
    else
        place_native(p, s, all ? 0 : s->image, all ? p->trial.shape.pool.n : 1);
}

static void part(const struct ab_range *r, union ab_call_args *args)
{
    args->pool.range = *r;
}

static bool makes_taps(const struct ab_pool_problem *p)
{
    return p->is_max && p->trial.pass == AB_FWD;
}

/* A zero of either sign is as good among foreign maxima. */
static void settle_zeros(const struct ab_pool_problem *p, int first, int images, float *got)
{
    const size_t image = p->truth.count / (size_t)p->dst_dims[0];
    const double *sum = p->truth.sum + (size_t)first * image;
    for (size_t i = 0; i < image * (size_t)images && makes_taps(p); i++)
        if (got[i] == 0.0f && sum[i] == 0.0) got[i] = (float)sum[i];
}

static void result(const void *problem, const struct ab_setup *s, struct ab_result *r)
{
    const struct ab_pool_problem *p = problem;
    const struct ab_pool_shape *d = &p->trial.shape.pool;
    const int n = s->image < 0 ? d->n : 1;
    const size_t outputs = outputs_of(d);
    if (s->candidate->foreign) {
        memcpy(r->values, s->out, bytes_of(p->dst_dims) / (size_t)d->n * (size_t)n);
        settle_zeros(p, s->image < 0 ? 0 : s->image, n, r->values);
        if (makes_taps(p))
            memcpy(r->marks, s->marks, (size_t)(n * d->c) * outputs * sizeof *r->marks);
        return;
    }
    ab_blocked_to_nchw(s->dst, r->values);
    for (size_t i = 0; i < (size_t)(n * d->c) * outputs && makes_taps(p); i++) {
        const int plane = (int)(i / outputs);
        r->marks[i] = s->marks[tap_at(d, plane / d->c, plane % d->c, i % outputs)];
    }
}

/* ---- judgement ---- */

/* Switches outside the range are untouched, padding lanes in it name the first tap. */
static void frame_of_taps(const struct ab_pool_problem *p, const struct ab_setup *s,
                          const struct ab_range *r, struct ab_outcome *o)
{
    const struct ab_pool_shape *d = &p->trial.shape.pool;
    uint16_t pattern[2];
    const uint32_t bits = AB_SENTINEL_BITS;
    memcpy(pattern, &bits, sizeof bits);
    for (size_t i = 0; i < blocked_taps(d, s->dst->n); i++) {
        const int c = (int)(i % AB_LANES), e = (int)(i / AB_LANES % outputs_of(d));
        const int plane = (int)(i / AB_LANES / outputs_of(d)), y = e / d->ow;
        const int n = plane / ab_blocks(d->c), b = plane % ab_blocks(d->c);
        const bool in =
            n >= r->n0 && n < r->n1 && b >= r->b0 && b < r->b1 && y >= r->y0 && y < r->y1;
        if (!in && s->marks[i] != pattern[i % 2])
            ab_outcome_fail(o, AB_CHECK_frame, "a switch outside the range: n %d c %d y %d x %d", n,
                            b * AB_LANES + c, y, e % d->ow);
        if (in && b * AB_LANES + c >= d->c && s->marks[i] != ab_pool_first_tap(d, y, e % d->ow))
            ab_outcome_fail(o, AB_CHECK_decision,
                            "padding lane %d y %d x %d: switch %d is not the first tap",
                            b * AB_LANES + c, y, e % d->ow, s->marks[i]);
    }
}

static void frame(const void *problem, const struct ab_setup *s, const struct ab_range *r,
                  struct ab_outcome *o)
{
    const struct ab_pool_problem *p = problem;
    char why[200];
    if (!ab_blocked_check_frame(s->dst, r, why, sizeof why))
        ab_outcome_fail(o, AB_CHECK_frame, "%s", why);
    if (makes_taps(p)) frame_of_taps(p, s, r, o);
}

static void where(const void *problem, size_t i, char *text, size_t size)
{
    const struct ab_pool_problem *p = problem;
    const int *d = p->dst_dims, e = (int)i;
    snprintf(text, size, "n %d c %d y %d x %d", e / d[3] / d[2] / d[1], e / d[3] / d[2] % d[1],
             e / d[3] % d[2], e % d[3]);
}

static void judge_taps(const struct ab_pool_problem *p, const struct ab_result *r,
                       struct ab_outcome *o)
{
    char at[80];
    for (size_t i = 0; i < p->truth.count; i++) {
        if (r->marks[i] == p->taps[i]) continue;
        where(p, i, at, sizeof at);
        ab_outcome_fail(o, AB_CHECK_decision, "%s: switch %d, the first maximum is at %d (%.9g)",
                        at, r->marks[i], p->taps[i], p->truth.sum[i]);
        return;
    }
}

/* Signals at one input are added one by one, from +0, in the order of the outputs; ref, which adds
 * in double, is the only other way that the contract knows. */
static void judge_order(const struct ab_pool_problem *p, const float *got, struct ab_outcome *o)
{
    char at[80];
    for (size_t i = 0; i < p->truth.count; i++) {
        const float want = p->ordered[i];
        if (got[i] == want || (isnan(got[i]) && isnan(want))) continue;
        where(p, i, at, sizeof at);
        ab_outcome_fail(o, AB_CHECK_bits,
                        "%s: got %.9g, but the sum in row-major order of the outputs is %.9g", at,
                        (double)got[i], (double)want);
        return;
    }
}

static void judge(const void *problem, const struct ab_candidate *c, const struct ab_result *r,
                  struct ab_outcome *o)
{
    const struct ab_pool_problem *p = problem;
    const bool bwd = p->trial.pass == AB_BWD;
    const struct ab_judge how = {.how = ab_accumulation_of(c, p->exact),
                                 .where = where,
                                 .user = p,
                                 .sparse = p->trial.fill == AB_FILL_ONEHOT || bwd};
    ab_judge_floats(&how, &p->truth, r->values, o);
    if (makes_taps(p)) judge_taps(p, r, o);
    if (p->is_max && bwd && c->kernel && c->kernel->isa != AB_ISA_ref) judge_order(p, r->values, o);
}

static void epilogue(const void *problem, const struct ab_result *bare,
                     const struct ab_result *fused, struct ab_outcome *o)
{
    const struct ab_pool_problem *p = problem;
    const float *x = bare->values, *got = fused->values;
    const size_t plane = (size_t)(p->dst_dims[2] * p->dst_dims[3]);
    char at[80];
    for (size_t i = 0; i < p->truth.count; i++) {
        const int c = (int)(i / plane) % p->dst_dims[1], n = (int)(i / plane) / p->dst_dims[1];
        if (ab_epilogue_admits(&p->f, i, n, c, x[i], got[i])) continue;
        where(p, i, at, sizeof at);
        ab_outcome_fail(o, AB_CHECK_epilogue, "%s: %s of %.9g (a %.9g, z %.9g) is %.9g", at,
                        ab_pointwise_name(p->f.kind), (double)x[i], (double)p->f.a[i],
                        (double)p->f.z[i], (double)got[i]);
        return;
    }
}

/* ---- more calls ---- */

static void check_without_taps(const struct ab_pool_problem *p, const struct ab_setup *s,
                               const struct ab_result *want, struct ab_outcome *o)
{
    struct ab_pool_args a = s->args.pool;
    a.switches = NULL;
    ab_blocked_poison(s->dst);
    ab_call(s->candidate->kernel->run, &a, o);
    const float *expected = want->values;
    char at[80];
    for (size_t i = 0; i < p->truth.count; i++) {
        const int *d = p->dst_dims, e = (int)i;
        const float got = *ab_blocked_at(s->dst, e / d[3] / d[2] / d[1], e / d[3] / d[2] % d[1],
                                         e / d[3] % d[2], e % d[3]);
        if (ab_float_bits(got) == ab_float_bits(expected[i])) continue;
        if (isnan(got) && isnan(expected[i]) && !ab_is_sentinel(got)) continue;
        where(p, i, at, sizeof at);
        ab_outcome_fail(o, AB_CHECK_decision, "%s: %.9g without switches, %.9g with them", at,
                        (double)got, (double)expected[i]);
        return;
    }
}

static double inner(const struct ab_blocked *a, const struct ab_blocked *b)
{
    double sum = 0.0;
    for (int n = 0; n < a->n; n++)
        for (int c = 0; c < a->c; c++)
            for (int y = 0; y < a->h; y++)
                for (int x = 0; x < a->w; x++)
                    sum += (double)*ab_blocked_at(a, n, c, y, x) *
                           (double)*ab_blocked_at(b, n, c, y, x);
    return sum;
}

static void fill_integers(struct ab_blocked *b, struct ab_rng *rng)
{
    for (int n = 0; n < b->n; n++)
        for (int c = 0; c < b->c; c++)
            for (int y = 0; y < b->h; y++)
                for (int x = 0; x < b->w; x++)
                    *ab_blocked_at(b, n, c, y, x) =
                        (float)(ab_rng_between(rng, -3, 3) * AB_POOL_DIVISIBLE);
}

/* <F x, y> = <x, F' y>, exact on such integers; the switches are those of F x. */
static void check_adjoint(const struct ab_pool_problem *p, const struct ab_kernel *k,
                          struct ab_outcome *o)
{
    struct ab_place place;
    struct ab_rng rng = ab_rng_new(p->trial.seed, 3);
    const struct ab_pool_shape *s = &p->trial.shape.pool;
    const size_t taps = blocked_taps(s, s->n) * sizeof(uint16_t);
    ab_place_begin(&place, p->trial.side, 0, p->trial.seed);
    struct ab_blocked *x = ab_place_map(&place, "x", NULL, p->src_dims, false);
    struct ab_blocked *fx = ab_place_map(&place, "F x", NULL, p->dst_dims, false);
    struct ab_blocked *y = ab_place_map(&place, "y", NULL, p->dst_dims, false);
    struct ab_blocked *fy = ab_place_map(&place, "F' y", NULL, p->src_dims, false);
    uint16_t *switches = ab_place_bytes(&place, "switches", NULL, taps, 64, false);
    if (place.failed) {
        ab_outcome_no_memory(o);
        ab_place_end(&place);
        return;
    }
    ab_blocked_zero(x);
    ab_blocked_zero(y);
    fill_integers(x, &rng);
    fill_integers(y, &rng);
    const struct ab_pool_args fwd = {
        *s, AB_FWD, x->view, fx->view, switches, {0}, ab_blocked_range(fx)};
    const struct ab_pool_args bwd = {
        *s, AB_BWD, y->view, fy->view, switches, {0}, ab_blocked_range(fy)};
    ab_call(k->run, &fwd, o);
    ab_call(k->run, &bwd, o);
    const double left = inner(fx, y), right = inner(x, fy);
    if (left != right)
        ab_outcome_fail(o, AB_CHECK_adjoint, "<F x, y> is %.17g, <x, F' y> is %.17g", left, right);
    ab_place_check(&place, o);
    ab_place_end(&place);
}

static void more(const void *problem, const struct ab_setup *s, const struct ab_result *r,
                 struct ab_outcome *o)
{
    const struct ab_pool_problem *p = problem;
    if (p->trial.pass != AB_FWD) return;
    if (p->is_max) check_without_taps(p, s, r, o);
    if (p->exact && p->trial.fill == AB_FILL_INT) check_adjoint(p, s->candidate->kernel, o);
}

/* ---- the run ---- */

static void dump_folder(const void *problem, const struct ab_result *r, const char *folder)
{
    const struct ab_pool_problem *p = problem;
    ab_dump(folder, "src", p->src, p->src_dims);
    ab_dump(folder, "result", r->values, p->dst_dims);
    ab_dump_doubles(folder, "reference", p->truth.sum, p->dst_dims);
}

static const struct ab_subject subject = {.place = place,
                                          .part = part,
                                          .result = result,
                                          .frame = frame,
                                          .judge = judge,
                                          .epilogue = epilogue,
                                          .more = more,
                                          .where = where,
                                          .dump = dump_folder};

/* Backward rows are cut where no window crosses. */
static int grain_of(const struct ab_trial *t)
{
    const struct ab_pool_shape *s = &t->shape.pool;
    if (t->pass == AB_FWD) return 1;
    return s->kh == s->sh && s->dh == 1 && s->pt == 0 ? s->sh : 0;
}

static bool applies(const struct ab_candidate *candidate, const struct ab_trial *trial)
{
    if (trial->f == AB_PW_COPY) return true;
    return candidate->kernel && trial->pass == AB_BWD && !ab_rule_makes_bits(trial->f);
}

void ab_pool_run(const struct ab_candidate *candidate, const struct ab_trial *trial,
                 struct ab_outcome *outcome, const char *dump)
{
    const struct ab_pool_shape *s = &trial->shape.pool;
    const bool fuses = trial->f != AB_PW_COPY;
    if (!applies(candidate, trial)) {
        outcome->kind = AB_OUTCOME_UNSUPPORTED;
        return;
    }
    const struct ab_pool_problem *p = ab_pool_problem_of(trial, outcome);
    if (!p) return;
    const struct ab_extent extent = {.images = s->n,
                                     .values = p->truth.count,
                                     .size = sizeof(float),
                                     .marks = makes_taps(p) ? p->truth.count : 0,
                                     .all = {0, s->n, 0, ab_blocks(s->c), 0, p->dst_dims[2]},
                                     .grain = grain_of(trial),
                                     .epilogue = fuses};
    ab_subject_run(&subject, p, &extent, candidate, trial, outcome, dump);
}

bool ab_pool_set_up(const struct ab_candidate *candidate, const struct ab_trial *trial,
                    struct ab_setup *setup, struct ab_outcome *outcome)
{
    if (!candidate->kernel || !applies(candidate, trial)) {
        outcome->kind = AB_OUTCOME_UNSUPPORTED;
        return false;
    }
    const struct ab_pool_problem *p = ab_pool_problem_of(trial, outcome);
    return p && ab_setup_of_trial(&subject, p, setup, candidate, trial, outcome);
}
