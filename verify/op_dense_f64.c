// SPDX-License-Identifier: Apache-2.0
// Dense layers in double precision: the trials of dense, judged with u = 2^-53.
#include "verify/dense.h"
#include "verify/subject.h"

#include <stdio.h>
#include <string.h>

/* Vectors of doubles, *stride doubles apart: in the room of twice as many floats. */
static double *doubles(struct ab_place *place, const char *name, const double *from, int n,
                       int features, ptrdiff_t *stride, bool input)
{
    if (*stride == 0) *stride = features + ab_rng_between(&place->rng, 0, 9);
    const size_t count = (size_t)(n - 1) * (size_t)*stride + (size_t)features;
    double *to = ab_place_bytes(place, name, NULL, count * sizeof(double), 8, input);
    for (int i = 0; to && from && i < n; i++)
        memcpy(to + i * *stride, from + (ptrdiff_t)i * features, (size_t)features * sizeof *to);
    if (to && from) ab_place_keep(place);
    return to;
}

static void place(const void *problem, struct ab_setup *s)
{
    const struct ab_dense_problem *p = problem;
    const struct ab_dense_shape *d = &p->trial.shape.dense;
    const int first = s->image < 0 ? 0 : s->image, n = s->image < 0 ? d->n : 1;
    struct ab_dense_f64_args *a = &s->args.dense_f64;
    ptrdiff_t one = p->nd;
    *a = (struct ab_dense_f64_args){.n = n,
                                    .in = d->in,
                                    .out = d->out,
                                    .pass = p->trial.pass,
                                    .wmod = p->trial.wmod,
                                    .gain = p->gain,
                                    .r1 = p->nd};
    a->wei = ab_place_bytes(&s->place, "wei", p->wei,
                            (size_t)d->in * (size_t)d->out * sizeof(float), 4, true);
    a->src = doubles(&s->place, "src", p->src_f64 + (ptrdiff_t)first * p->ns, n, p->ns,
                     &a->src_stride, true);
    a->dst = doubles(&s->place, "dst", NULL, n, p->nd, &a->dst_stride, false);
    if (p->bias_f64) a->bias = doubles(&s->place, "bias", p->bias_f64, 1, p->nd, &one, true);
    if (p->add_f64)
        a->add = doubles(&s->place, "add", p->add_f64 + (ptrdiff_t)first * p->nd, n, p->nd,
                         &a->dst_stride, true);
    s->out = a->dst;
    s->stride = a->dst_stride;
}

static void part(const struct ab_range *r, union ab_call_args *args)
{
    args->dense_f64.r0 = r->y0;
    args->dense_f64.r1 = r->y1;
}

static void result(const void *problem, const struct ab_setup *s, struct ab_result *r)
{
    const struct ab_dense_problem *p = problem;
    for (int i = 0; i < s->args.dense_f64.n; i++)
        memcpy((double *)r->values + (ptrdiff_t)i * p->nd, (const double *)s->out + i * s->stride,
               (size_t)p->nd * sizeof(double));
}

static bool untouched(const double *v)
{
    float halves[2];
    memcpy(halves, v, sizeof halves);
    return ab_is_sentinel(halves[0]) && ab_is_sentinel(halves[1]);
}

static void frame(const void *problem, const struct ab_setup *s, const struct ab_range *r,
                  struct ab_outcome *o)
{
    const struct ab_dense_problem *p = problem;
    const struct ab_dense_f64_args *a = &s->args.dense_f64;
    for (int n = 0; n < a->n; n++)
        for (ptrdiff_t i = 0; i < (n + 1 < a->n ? a->dst_stride : p->nd); i++) {
            if (i >= r->y0 && i < r->y1) continue;
            if (untouched(&a->dst[n * a->dst_stride + i])) continue;
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
    const struct ab_judge how = {.how = {.u = 0x1p-53, .least = 0x1p-1074, .exact = p->exact},
                                 .where = where,
                                 .user = p,
                                 .sparse = p->trial.fill == AB_FILL_ONEHOT};
    (void)c;
    ab_judge_doubles(&how, &p->truth, r->values, o);
}

static void dump(const void *problem, const struct ab_result *r, const char *folder)
{
    const struct ab_dense_problem *p = problem;
    const struct ab_dense_shape *s = &p->trial.shape.dense;
    const int wei[] = {1, 1, s->out, s->in}, src[] = {s->n, p->ns, 1, 1},
              dst[] = {s->n, p->nd, 1, 1};
    ab_dump(folder, "wei", p->wei, wei);
    ab_dump(folder, "src", p->src, src);
    ab_dump_doubles(folder, "result", r->values, dst);
    ab_dump_doubles(folder, "reference", p->truth.sum, dst);
}

static const struct ab_subject subject = {.place = place,
                                          .part = part,
                                          .result = result,
                                          .frame = frame,
                                          .judge = judge,
                                          .where = where,
                                          .dump = dump};

static void run(const struct ab_candidate *candidate, const struct ab_trial *trial,
                struct ab_outcome *outcome, const char *dump_folder)
{
    const struct ab_dense_shape *s = &trial->shape.dense;
    if (candidate->foreign || trial->f != AB_PW_COPY) {
        outcome->kind = AB_OUTCOME_UNSUPPORTED;
        return;
    }
    const struct ab_dense_problem *p = ab_dense_problem_of(trial, outcome);
    if (!p) return;
    const struct ab_extent extent = {.images = s->n,
                                     .values = (size_t)s->n * (size_t)p->nd,
                                     .size = sizeof(double),
                                     .all = {0, 1, 0, 1, 0, p->nd},
                                     .grain = 1};
    ab_subject_run(&subject, p, &extent, candidate, trial, outcome, dump_folder);
}

static bool set_up(const struct ab_candidate *candidate, const struct ab_trial *trial,
                   struct ab_setup *setup, struct ab_outcome *outcome)
{
    if (!candidate->kernel || trial->f != AB_PW_COPY) {
        outcome->kind = AB_OUTCOME_UNSUPPORTED;
        return false;
    }
    const struct ab_dense_problem *p = ab_dense_operands_of(trial, outcome);
    return p && ab_setup_of_trial(&subject, p, setup, candidate, trial, outcome);
}

/* No epilogues and no chains here. */
static void in_double(struct ab_trial *trial)
{
    trial->op = AB_KERNEL_dense_f64;
    trial->f = AB_PW_COPY;
    trial->with &= ~(unsigned)AB_WITH_CHAIN;
}

static bool fixed(int i, struct ab_trial *trial)
{
    memset(trial, 0, sizeof *trial);
    if (!ab_dense_fixed(i, AB_KERNEL_dense_f64, trial)) return false;
    in_double(trial);
    return true;
}

static void draw(struct ab_rng *rng, struct ab_trial *trial)
{
    memset(trial, 0, sizeof *trial);
    ab_dense_draw(rng, trial);
    in_double(trial);
}

const struct ab_verify_op ab_verify_op_dense_f64 = {.name = "dense_f64",
                                                    .op = AB_KERNEL_dense_f64,
                                                    .fixed = fixed,
                                                    .draw = draw,
                                                    .shrink = ab_dense_shrink,
                                                    .shape_parse = ab_dense_shape_parse,
                                                    .shape_print = ab_dense_shape_print,
                                                    .run = run,
                                                    .set_up = set_up};
