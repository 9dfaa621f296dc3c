// SPDX-License-Identifier: Apache-2.0
// Dense layers in single precision: kernels of simd/kernels.def and foreign ones.
#include "verify/call.h"
#include "verify/dense.h"
#include "verify/subject.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- native buffers ---- */

/* The epilogue's operands, strided like dst. */
static void place_epilogue(const struct ab_dense_problem *p, struct ab_setup *s, int first, int n,
                           ptrdiff_t stride)
{
    const struct ab_epilogue *e = &p->f;
    const size_t bytes = (size_t)p->nd * sizeof(float);
    const ptrdiff_t at = (ptrdiff_t)first * p->nd;
    struct ab_pointwise *f = &s->args.dense.f;
    *f = (struct ab_pointwise){.kind = e->kind, .eps = e->eps, .scale = e->scale};
    f->a.data = ab_place_vectors(&s->place, "a", e->a + at, n, p->nd, &stride, true);
    f->z.data = ab_place_vectors(&s->place, "z", e->z + at, n, p->nd, &stride, true);
    f->a.image = f->z.image = stride;
    f->tau = ab_place_bytes(&s->place, "tau", e->tau + first, (size_t)n * sizeof(float), 4, true);
    f->mul = ab_place_bytes(&s->place, "mul", e->mul, bytes, 4, true);
    if (e->has_add) f->add = ab_place_bytes(&s->place, "f.add", e->add, bytes, 4, true);
}

static void place_native(const struct ab_dense_problem *p, struct ab_setup *s, int first, int n)
{
    const struct ab_dense_shape *d = &p->trial.shape.dense;
    struct ab_place *place = &s->place;
    struct ab_dense_args *a = &s->args.dense;
    *a = (struct ab_dense_args){.n = n,
                                .in = d->in,
                                .out = d->out,
                                .pass = p->trial.pass,
                                .wmod = p->trial.wmod,
                                .gain = p->gain,
                                .r1 = p->nd};
    a->wei = ab_place_bytes(place, "wei", p->wei, (size_t)d->in * (size_t)d->out * sizeof(float), 4,
                            true);
    a->src = ab_place_vectors(place, "src", p->src + (ptrdiff_t)first * p->ns, n, p->ns,
                              &a->src_stride, true);
    a->dst = ab_place_vectors(place, "dst", NULL, n, p->nd, &a->dst_stride, false);
    if (p->bias)
        a->bias = ab_place_bytes(place, "bias", p->bias, (size_t)p->nd * sizeof(float), 4, true);
    if (p->add)
        a->add = ab_place_vectors(place, "add", p->add + (ptrdiff_t)first * p->nd, n, p->nd,
                                  &a->dst_stride, true);
    if (!s->bare && p->trial.f != AB_PW_COPY) place_epilogue(p, s, first, n, a->dst_stride);
    s->out = a->dst;
    s->stride = a->dst_stride;
}

static void place_foreign(const struct ab_dense_problem *p, struct ab_setup *s)
{
    const struct ab_dense_shape *d = &p->trial.shape.dense;
    struct ab_verify_dense *a = &s->args.foreign_dense;
    const int images = s->image < 0 ? d->n : 1, first = s->image < 0 ? 0 : s->image;
    const size_t n = (size_t)images * sizeof(float);
    *a = (struct ab_verify_dense){
        p->trial.pass == AB_BWD, images, d->in, d->out, NULL, NULL, NULL, NULL};
    a->wei = ab_place_bytes(&s->place, "wei", p->wei,
                            (size_t)d->in * (size_t)d->out * sizeof(float), 4, true);
    a->src = ab_place_bytes(&s->place, "src", p->src + (ptrdiff_t)first * p->ns, n * (size_t)p->ns,
                            4, true);
    a->dst = ab_place_bytes(&s->place, "dst", NULL, n * (size_t)p->nd, 4, false);
    if (p->bias)
        a->bias =
            ab_place_bytes(&s->place, "bias", p->bias, (size_t)p->nd * sizeof(float), 4, true);
    s->out = a->dst;
    s->stride = p->nd;
}

static void place(const void *problem, struct ab_setup *s)
{
    const struct ab_dense_problem *p = problem;
    const bool all = s->image < 0;
    if (s->candidate->foreign)
        place_foreign(p, s);
    else
        place_native(p, s, all ? 0 : s->image, all ? p->trial.shape.dense.n : 1);
}

static void part(const struct ab_range *r, union ab_call_args *args)
{
    args->dense.r0 = r->y0;
    args->dense.r1 = r->y1;
}

static void result(const void *problem, const struct ab_setup *s, struct ab_result *r)
{
    const struct ab_dense_problem *p = problem;
    const int n = s->image < 0 ? p->trial.shape.dense.n : 1;
    for (int i = 0; i < n; i++)
        memcpy((float *)r->values + (ptrdiff_t)i * p->nd, (const float *)s->out + i * s->stride,
               (size_t)p->nd * sizeof(float));
}

static void frame(const void *problem, const struct ab_setup *s, const struct ab_range *r,
                  struct ab_outcome *o)
{
    const struct ab_dense_problem *p = problem;
    const struct ab_dense_args *a = &s->args.dense;
    for (int n = 0; n < a->n; n++)
        for (ptrdiff_t i = 0; i < (n + 1 < a->n ? a->dst_stride : p->nd); i++) {
            if (i >= r->y0 && i < r->y1) continue;
            if (ab_is_sentinel(a->dst[n * a->dst_stride + i])) continue;
            ab_outcome_fail(o, AB_CHECK_frame,
                            "sample %d: element %td was written, outside of %d..%d", n, i, r->y0,
                            r->y1 - 1);
            return;
        }
}

static void where(const void *problem, size_t i, char *text, size_t size)
{
    const struct ab_dense_problem *p = problem;
    snprintf(text, size, "n %d feature %d", (int)i / p->nd, (int)i % p->nd);
}

static void judge(const void *problem, const struct ab_candidate *c, const struct ab_result *r,
                  struct ab_outcome *o)
{
    const struct ab_dense_problem *p = problem;
    const struct ab_judge how = {.how = ab_accumulation_of(c, p->exact),
                                 .where = where,
                                 .user = p,
                                 .sparse = p->trial.fill == AB_FILL_ONEHOT};
    ab_judge_floats(&how, &p->truth, r->values, o);
}

static void epilogue(const void *problem, const struct ab_result *bare,
                     const struct ab_result *fused, struct ab_outcome *o)
{
    const struct ab_dense_problem *p = problem;
    const float *x = bare->values, *got = fused->values;
    char place_of[80];
    for (size_t i = 0; i < p->truth.count; i++) {
        const int n = (int)i / p->nd, r = (int)i % p->nd;
        if (ab_epilogue_admits(&p->f, i, n, r, x[i], got[i])) continue;
        where(p, i, place_of, sizeof place_of);
        ab_outcome_fail(o, AB_CHECK_epilogue, "%s: %s of %.9g (a %.9g, z %.9g) is %.9g", place_of,
                        ab_pointwise_name(p->f.kind), (double)x[i], (double)p->f.a[i],
                        (double)p->f.z[i], (double)got[i]);
        return;
    }
}

/* ---- chains and finished sums ---- */

enum { MOST_CALLS = 5 };

/* Calls that differ in the part of the weights, samples, bias, add and epilogue. */
static int make_chain(const struct ab_dense_problem *p, const struct ab_setup *s,
                      struct ab_place *place, struct ab_dense_args calls[MOST_CALLS],
                      struct ab_rng *rng)
{
    const int count = ab_rng_between(rng, 2, MOST_CALLS);
    int room = AB_DENSE_CHAIN, made = 0;
    while (made < count && room > 0) {
        struct ab_dense_args *a = &calls[made++];
        *a = s->args.dense;
        a->n = ab_rng_between(rng, 1, a->n < room ? a->n : room);
        room -= a->n;
        a->wmod = (enum ab_wmod)ab_rng_between(rng, 0, AB_W_COUNT - 1);
        if (a->f.kind == AB_PW_COPY || ab_rng_between(rng, 0, 1))
            a->f.kind = ab_rng_between(rng, 0, 1) ? AB_PW_RELU : AB_PW_COPY;
        if (ab_rng_between(rng, 0, 1)) a->bias = NULL;
        if (ab_rng_between(rng, 0, 1)) a->add = NULL;
        a->dst =
            ab_place_vectors(place, "dst of a chain", NULL, a->n, p->nd, &a->dst_stride, false);
    }
    for (int i = 0; i < made; i++) calls[i].next = i + 1 < made ? &calls[i + 1] : NULL;
    return made;
}

static void compare_calls(const struct ab_dense_problem *p, const struct ab_dense_args *got,
                          const float *want, const char *what, struct ab_outcome *o)
{
    for (int n = 0; n < got->n; n++)
        for (int r = 0; r < p->nd; r++) {
            const ptrdiff_t at = n * got->dst_stride + r;
            if (ab_float_bits(got->dst[at]) == ab_float_bits(want[at])) continue;
            if (isnan(got->dst[at]) && isnan(want[at]) && !ab_is_sentinel(got->dst[at])) continue;
            ab_outcome_fail(o, AB_CHECK_chain,
                            "%s: wmod %s, sample %d feature %d: %.9g, alone %.9g", what,
                            ab_wmod_name(got->wmod), n, r, (double)got->dst[at], (double)want[at]);
            return;
        }
}

/* One call of the chain alone, and from sums made before. */
static void check_call(const struct ab_dense_problem *p, const struct ab_kernel *k,
                       struct ab_dense_args *chained, struct ab_place *place, struct ab_outcome *o)
{
    struct ab_dense_args alone = *chained, raw, rest;
    alone.next = NULL;
    raw = alone;
    raw.bias = raw.add = NULL;
    raw.f.kind = AB_PW_COPY;
    alone.dst =
        ab_place_vectors(place, "dst alone", NULL, alone.n, p->nd, &alone.dst_stride, false);
    raw.dst = ab_place_vectors(place, "sums", NULL, raw.n, p->nd, &raw.dst_stride, false);
    if (place->failed) return;
    ab_call(k->run, &alone, o);
    compare_calls(p, chained, alone.dst, "in a chain", o);
    if (!ab_kernel_shares_sums(k)) return;
    ab_call(k->run, &raw, o);
    rest = *chained;
    rest.next = NULL;
    rest.sums = raw.dst;
    rest.sums_stride = raw.dst_stride;
    for (int n = 0; n < rest.n; n++)
        ab_sentinel_fill(rest.dst + n * rest.dst_stride, (size_t)p->nd);
    ab_call(k->run, &rest, o);
    compare_calls(p, &rest, alone.dst, "from finished sums", o);
}

static void check_chain(const struct ab_dense_problem *p, const struct ab_setup *s,
                        struct ab_outcome *o)
{
    const struct ab_kernel *k = s->candidate->kernel;
    struct ab_rng rng = ab_rng_new(p->trial.seed, 2);
    struct ab_dense_args calls[MOST_CALLS];
    struct ab_place place;
    ab_place_begin(&place, p->trial.side, p->trial.offset, p->trial.seed);
    const int count = make_chain(p, s, &place, calls, &rng);
    if (!place.failed) ab_call(k->run, calls, o);
    for (int i = 0; i < count && !place.failed && !ab_outcome_failed(o); i++)
        check_call(p, k, &calls[i], &place, o);
    if (place.failed) ab_outcome_no_memory(o);
    ab_place_check(&place, o);
    ab_place_end(&place);
}

static void more(const void *problem, const struct ab_setup *s, const struct ab_result *r,
                 struct ab_outcome *o)
{
    const struct ab_dense_problem *p = problem;
    (void)r;
    if (p->trial.with & AB_WITH_CHAIN) check_chain(p, s, o);
}

/* ---- the operation ---- */

static void dump(const void *problem, const struct ab_result *r, const char *folder)
{
    const struct ab_dense_problem *p = problem;
    const struct ab_dense_shape *s = &p->trial.shape.dense;
    const int wei[] = {1, 1, s->out, s->in}, src[] = {s->n, p->ns, 1, 1};
    const int dst[] = {s->n, p->nd, 1, 1}, one[] = {1, p->nd, 1, 1};
    ab_dump(folder, "wei", p->wei, wei);
    ab_dump(folder, "src", p->src, src);
    if (p->bias) ab_dump(folder, "bias", p->bias, one);
    if (p->add) ab_dump(folder, "add", p->add, dst);
    ab_dump(folder, "result", r->values, dst);
    ab_dump_doubles(folder, "reference", p->truth.sum, dst);
}

static const struct ab_subject subject = {.place = place,
                                          .part = part,
                                          .result = result,
                                          .frame = frame,
                                          .judge = judge,
                                          .epilogue = epilogue,
                                          .more = more,
                                          .where = where,
                                          .dump = dump};

/* ref walks large weights an element at a time: what it is judged by suffices, as it defines the
 * result whatever the range. */
static bool is_slow(const struct ab_candidate *c, const struct ab_trial *t)
{
    const struct ab_dense_shape *s = &t->shape.dense;
    return c->kernel && c->kernel->isa == AB_ISA_ref && (long)s->in * s->out > 1l << 20;
}

static void run(const struct ab_candidate *candidate, const struct ab_trial *trial,
                struct ab_outcome *outcome, const char *dump_folder)
{
    const struct ab_dense_shape *s = &trial->shape.dense;
    if (candidate->foreign &&
        (trial->f != AB_PW_COPY || trial->wmod != AB_W_ALL || trial->with & AB_WITH_ADD)) {
        outcome->kind = AB_OUTCOME_UNSUPPORTED;
        return;
    }
    const struct ab_dense_problem *p = ab_dense_problem_of(trial, outcome);
    if (!p) return;
    const struct ab_extent extent = {.images = s->n,
                                     .values = (size_t)s->n * (size_t)p->nd,
                                     .size = sizeof(float),
                                     .all = {0, 1, 0, 1, 0, p->nd},
                                     .grain = 1,
                                     .epilogue = trial->f != AB_PW_COPY,
                                     .once = is_slow(candidate, trial)};
    ab_subject_run(&subject, p, &extent, candidate, trial, outcome, dump_folder);
}

static bool set_up(const struct ab_candidate *candidate, const struct ab_trial *trial,
                   struct ab_setup *setup, struct ab_outcome *outcome)
{
    if (!candidate->kernel) {
        outcome->kind = AB_OUTCOME_UNSUPPORTED;
        return false;
    }
    const struct ab_dense_problem *p = ab_dense_operands_of(trial, outcome);
    return p && ab_setup_of_trial(&subject, p, setup, candidate, trial, outcome);
}

static bool fixed(int i, struct ab_trial *trial)
{
    memset(trial, 0, sizeof *trial);
    return ab_dense_fixed(i, AB_KERNEL_dense, trial);
}

static void draw(struct ab_rng *rng, struct ab_trial *trial)
{
    memset(trial, 0, sizeof *trial);
    ab_dense_draw(rng, trial);
    trial->op = AB_KERNEL_dense;
}

const struct ab_verify_op ab_verify_op_dense = {.name = "dense",
                                                .op = AB_KERNEL_dense,
                                                .fixed = fixed,
                                                .draw = draw,
                                                .shrink = ab_dense_shrink,
                                                .shape_parse = ab_dense_shape_parse,
                                                .shape_print = ab_dense_shape_print,
                                                .run = run,
                                                .set_up = set_up};
