// SPDX-License-Identifier: Apache-2.0
// Convolutions in single precision: kernels of simd/kernels.def and foreign ones.
#include "verify/conv2d.h"
#include "verify/rule.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- buffers ---- */

static void place_foreign(const struct ab_conv_problem *p, struct ab_setup *s)
{
    const struct ab_conv2d_shape *c = &p->trial.shape.conv;
    struct ab_verify_conv2d *a = &s->args.foreign_conv2d;
    const size_t images = s->image < 0 ? (size_t)c->n : 1,
                 first = s->image < 0 ? 0 : (size_t)s->image;
    const size_t src = ab_conv_src_count(p) / (size_t)c->n,
                 dst = ab_conv_dst_count(p) / (size_t)c->n;
    *a = (struct ab_verify_conv2d){.backward = p->trial.pass == AB_BWD,
                                   .n = (int)images,
                                   .g = c->g,
                                   .ic = c->ic,
                                   .ih = c->ih,
                                   .iw = c->iw,
                                   .oc = c->oc,
                                   .oh = c->oh,
                                   .ow = c->ow,
                                   .kh = c->kh,
                                   .kw = c->kw,
                                   .sh = c->sh,
                                   .sw = c->sw,
                                   .dh = c->dh,
                                   .dw = c->dw,
                                   .pt = c->pt,
                                   .pl = c->pl,
                                   .pb = c->pb,
                                   .pr = c->pr};
    a->wei =
        ab_place_bytes(&s->place, "wei", p->effective, ab_conv_weights(c) * sizeof(float), 4, true);
    a->src = ab_place_bytes(&s->place, "src", p->src + first * src, images * src * sizeof(float), 4,
                            true);
    a->dst = ab_place_bytes(&s->place, "dst", NULL, images * dst * sizeof(float), 4, false);
    if (p->bias)
        a->bias = ab_place_bytes(&s->place, "bias", p->bias, (size_t)p->dst_dims[1] * sizeof(float),
                                 4, true);
    s->out = a->dst;
}

static void place(const void *problem, struct ab_setup *s)
{
    if (s->candidate->foreign)
        place_foreign(problem, s);
    else
        ab_conv_place(problem, s);
}

static void part(const struct ab_range *r, union ab_call_args *args)
{
    args->conv2d.range = *r;
}

static void result(const void *problem, const struct ab_setup *s, struct ab_result *r)
{
    const struct ab_conv_problem *p = problem;
    if (!s->dst) {
        const size_t all = ab_conv_dst_count(p), images = (size_t)p->dst_dims[0];
        memcpy(r->values, s->out, (s->image < 0 ? all : all / images) * sizeof(float));
        return;
    }
    ab_blocked_to_nchw(s->dst, r->values);
    const struct ab_bits *b = &s->args.conv2d.f.bits;
    if (!s->marks) return;
    uint16_t *word = r->marks;
    for (int n = 0; n < s->dst->n; n++)
        for (int k = 0; k < ab_blocks(s->dst->c); k++)
            for (int y = 0; y < s->dst->h; y++, word += s->dst->w)
                memcpy(word, s->marks + n * b->image + k * b->block + y * b->row,
                       (size_t)s->dst->w * sizeof *word);
}

/* Words of bits outside of the range, or between rows, are as they were. */
static void frame_bits(const struct ab_setup *s, const struct ab_range *r, struct ab_outcome *o)
{
    const struct ab_bits *b = &s->args.conv2d.f.bits;
    const uint16_t *before = NULL;
    for (int i = 0; i < s->place.count; i++)
        if (s->place.item[i].map.mem.data == s->marks) before = s->place.item[i].map.mem.copy;
    for (ptrdiff_t i = 0; before && i < s->dst->n * b->image; i++) {
        const ptrdiff_t n = i / b->image, k = i % b->image / b->block, y = i % b->block / b->row;
        const bool inside = n >= r->n0 && n < r->n1 && k >= r->b0 && k < r->b1 && y >= r->y0 &&
                            y < r->y1 && i % b->row < s->dst->w;
        if (inside || s->marks[i] == before[i]) continue;
        ab_outcome_fail(o, AB_CHECK_frame, "word of bits n %td block %td y %td x %td was written",
                        n, k, y, i % b->row);
        return;
    }
}

static void frame(const void *problem, const struct ab_setup *s, const struct ab_range *r,
                  struct ab_outcome *o)
{
    char why[200];
    (void)problem;
    if (!ab_blocked_check_frame(s->dst, r, why, sizeof why))
        ab_outcome_fail(o, AB_CHECK_frame, "%s", why);
    if (s->marks) frame_bits(s, r, o);
}

void ab_conv_where(const void *problem, size_t i, char *text, size_t size)
{
    const int *d = ((const struct ab_conv_problem *)problem)->dst_dims, at = (int)i;
    snprintf(text, size, "n %d c %d y %d x %d", at / (d[1] * d[2] * d[3]),
             at / (d[2] * d[3]) % d[1], at / d[3] % d[2], at % d[3]);
}

/* ---- verdicts ---- */

/* What bounds take into account besides the sum itself. */
struct wide {
    const struct ab_conv_problem *p;
    struct ab_accumulation how;
    double amplification;
};

/* The largest sum of magnitudes among the outputs of element i's image and channel within five
 * pixels, those beyond the image included; infinity if one of them is not finite. */
static double magnitude_around(const struct ab_conv_problem *p, int i)
{
    const bool reach = p->reach.count > 0;
    const int *d = reach ? p->reach_dims : p->dst_dims, width = p->dst_dims[3];
    const double *of = reach ? p->reach.magnitude : p->truth.magnitude;
    const int x = i % width + p->reach_x, y = i / width % p->dst_dims[2] + p->reach_y;
    const int plane = i / (width * p->dst_dims[2]) * d[2] * d[3];
    double most = p->truth.magnitude[i];
    for (int v = y > 5 ? y - 5 : 0; v <= y + 5 && v < d[2]; v++)
        for (int u = x > 5 ? x - 5 : 0; u <= x + 5 && u < d[3]; u++) {
            const double m = of[plane + v * d[3] + u];
            if (!isfinite(m)) return (double)INFINITY;
            most = fmax(most, m);
        }
    return most;
}

static double transformed_bound(const void *user, size_t i)
{
    const struct wide *k = user;
    const double unit = sqrt((double)k->p->src_dims[1]) * k->how.u;
    const double around = magnitude_around(k->p, (int)i);
    if (isinf(around)) return around;
    return k->amplification * unit * around + (double)k->p->truth.terms[i] * k->how.least;
}

/* Groups that share a block of 16 dst channels are one sum with weights of 0, which NaN and
 * infinity pass: as far as the block reaches, they may. */
static double grouped_bound(const void *user, size_t i)
{
    const struct wide *k = user;
    const struct ab_truth *t = &k->p->truth;
    const int *d = k->p->dst_dims;
    const size_t plane = (size_t)d[2] * (size_t)d[3];
    const int c = (int)(i / plane % (size_t)d[1]), first = c / AB_LANES * AB_LANES;
    if (!isfinite(t->magnitude[i])) return (double)NAN;
    for (int other = first; other < first + AB_LANES && other < d[1]; other++) {
        const size_t at =
            other < c ? i - (size_t)(c - other) * plane : i + (size_t)(other - c) * plane;
        if (!isfinite(t->magnitude[at])) return (double)INFINITY;
    }
    return ab_hard_bound(&k->how, t->terms[i], t->magnitude[i]);
}

static void where(const void *user, size_t i, char *text, size_t size)
{
    ab_conv_where(((const struct wide *)user)->p, i, text, size);
}

static struct ab_judge judge_of(const struct ab_candidate *c, const struct wide *wide)
{
    const struct ab_trial *t = &wide->p->trial;
    const bool special =
        t->fill == AB_FILL_NAN || t->fill == AB_FILL_INF || t->fill == AB_FILL_FILE;
    struct ab_judge judge = {
        .how = wide->how, .where = where, .user = wide, .sparse = t->fill == AB_FILL_ONEHOT};
    if (wide->amplification > 0.0)
        judge.widen = transformed_bound;
    else if (c->kernel && t->shape.conv.g > 1 && special)
        judge.widen = grouped_bound;
    return judge;
}

void ab_conv_judge(const void *problem, const struct ab_candidate *c, const struct ab_result *r,
                   struct ab_outcome *o)
{
    const struct ab_conv_problem *p = problem;
    struct wide wide = {.p = p, .how = ab_accumulation_of(c, p->exact)};
    wide.amplification = c->kernel ? ab_kernel_amplification(c->kernel) : c->foreign->amplification;
    if (wide.amplification > 0.0) wide.how.exact = false;
    if (p->trial.op == AB_KERNEL_conv2d_f64) wide.how.u = 0x1p-53, wide.how.least = 0x1p-1074;
    const struct ab_judge judge = judge_of(c, &wide);
    if (p->trial.op == AB_KERNEL_conv2d_f64)
        ab_judge_doubles(&judge, &p->truth, r->values, o);
    else
        ab_judge_floats(&judge, &p->truth, r->values, o);
}

/* Bit l of each word is that of channel l of the block; lanes past the last channel are 0. */
static void judge_bits(const struct ab_conv_problem *p, const struct ab_result *bare,
                       const struct ab_result *fused, struct ab_outcome *o)
{
    const int *d = p->dst_dims, blocks = ab_blocks(d[1]), plane = d[2] * d[3];
    const float *x = bare->values;
    char text[80];
    for (int word = 0; word < d[0] * blocks * plane; word++) {
        const int n = word / (blocks * plane), first = word / plane % blocks * AB_LANES;
        for (int l = 0; l < AB_LANES; l++) {
            const int c = first + l, bit = fused->marks[word] >> l & 1;
            const size_t i = (size_t)((n * d[1] + c) * plane + word % plane);
            const bool want = c < d[1] && ab_epilogue_bit(&p->f, i, n, c, x[i]);
            if (want == (bit == 1)) continue;
            ab_conv_where(p, i, text, sizeof text);
            if (c >= d[1])
                ab_outcome_fail(o, AB_CHECK_decision, "a bit of padding lane %d is set", c);
            else
                ab_outcome_fail(o, AB_CHECK_decision, "%s: the bit of %.9g is %d", text,
                                (double)x[i], bit);
            return;
        }
    }
}

static void epilogue(const void *problem, const struct ab_result *bare,
                     const struct ab_result *fused, struct ab_outcome *o)
{
    const struct ab_conv_problem *p = problem;
    const int *d = p->dst_dims;
    const float *x = bare->values, *got = fused->values;
    char text[80];
    for (size_t i = 0; i < p->truth.count; i++) {
        const int n = (int)i / (d[1] * d[2] * d[3]), c = (int)i / (d[2] * d[3]) % d[1];
        if (ab_epilogue_admits(&p->f, i, n, c, x[i], got[i])) continue;
        ab_conv_where(p, i, text, sizeof text);
        ab_outcome_fail(o, AB_CHECK_epilogue, "%s: %s of %.9g (a %.9g, z %.9g) is %.9g", text,
                        ab_pointwise_name(p->f.kind), (double)x[i], (double)p->f.a[i],
                        (double)p->f.z[i], (double)got[i]);
        return;
    }
    if (ab_rule_makes_bits(p->trial.f)) judge_bits(p, bare, fused, o);
}

/* ---- the operation ---- */

void ab_conv_dump(const void *problem, const struct ab_result *r, const char *folder)
{
    const struct ab_conv_problem *p = problem;
    const struct ab_conv2d_shape *s = &p->trial.shape.conv;
    const int wei[4] = {s->oc, s->ic / s->g, s->kh, s->kw}, one[4] = {1, p->dst_dims[1], 1, 1};
    ab_dump(folder, "wei", p->wei, wei);
    ab_dump(folder, "src", p->src, p->src_dims);
    if (p->bias) ab_dump(folder, "bias", p->bias, one);
    if (p->add) ab_dump(folder, "add", p->add, p->dst_dims);
    if (p->trial.op == AB_KERNEL_conv2d_f64)
        ab_dump_doubles(folder, "result", r->values, p->dst_dims);
    else
        ab_dump(folder, "result", r->values, p->dst_dims);
    ab_dump_doubles(folder, "reference", p->truth.sum, p->dst_dims);
}

const struct ab_subject ab_conv_subject = {.place = place,
                                           .part = part,
                                           .own = ab_conv_own,
                                           .result = result,
                                           .frame = frame,
                                           .judge = ab_conv_judge,
                                           .epilogue = epilogue,
                                           .more = ab_conv_more,
                                           .where = ab_conv_where,
                                           .dump = ab_conv_dump};

/* ref walks large layers an element at a time: what it is judged by suffices, as it defines the
 * result whatever the range. */
static bool is_slow(const struct ab_candidate *c, const struct ab_conv_problem *p)
{
    const double products = (double)ab_conv_weights(&p->trial.shape.conv) * p->trial.shape.conv.oh *
                            p->trial.shape.conv.ow * p->trial.shape.conv.n;
    return c->kernel && c->kernel->isa == AB_ISA_ref && products > 2e5;
}

struct ab_extent ab_conv_extent(const struct ab_conv_problem *p)
{
    const int *d = p->dst_dims;
    const bool f64 = p->trial.op == AB_KERNEL_conv2d_f64;
    return (struct ab_extent){.images = d[0],
                              .values = ab_conv_dst_count(p),
                              .size = f64 ? sizeof(double) : sizeof(float),
                              .marks = f64 ? 0 : (size_t)(d[0] * ab_blocks(d[1]) * d[2] * d[3]),
                              .all = {0, d[0], 0, ab_blocks(d[1]), 0, d[2]},
                              .grain = 1,
                              .epilogue = p->trial.f != AB_PW_COPY};
}

static bool applies(const struct ab_candidate *c, const struct ab_trial *t)
{
    const struct ab_conv2d_args args = {.shape = t->shape.conv, .pass = t->pass, .wmod = t->wmod};
    if (c->kernel) return !c->kernel->applies || c->kernel->applies(&args);
    return t->f == AB_PW_COPY && !(t->with & AB_WITH_ADD);
}

static void run(const struct ab_candidate *candidate, const struct ab_trial *trial,
                struct ab_outcome *outcome, const char *dump)
{
    if (!applies(candidate, trial)) {
        outcome->kind = AB_OUTCOME_UNSUPPORTED;
        return;
    }
    const struct ab_conv_problem *p = ab_conv_problem_of(trial, outcome);
    if (!p) return;
    struct ab_extent extent = ab_conv_extent(p);
    extent.once = is_slow(candidate, p);
    if (candidate->kernel) ab_conv_check_packing(p, candidate->kernel, outcome);
    if (outcome->kind == AB_OUTCOME_PASS)
        ab_subject_run(&ab_conv_subject, p, &extent, candidate, trial, outcome, dump);
}

static bool set_up(const struct ab_candidate *candidate, const struct ab_trial *trial,
                   struct ab_setup *setup, struct ab_outcome *outcome)
{
    if (!candidate->kernel || !applies(candidate, trial)) {
        outcome->kind = AB_OUTCOME_UNSUPPORTED;
        return false;
    }
    const struct ab_conv_problem *p = ab_conv_operands_of(trial, outcome);
    return p && ab_setup_of_trial(&ab_conv_subject, p, setup, candidate, trial, outcome);
}

static bool fixed(int i, struct ab_trial *trial)
{
    return ab_conv_fixed(i, AB_KERNEL_conv2d, trial);
}

static void draw(struct ab_rng *rng, struct ab_trial *trial)
{
    ab_conv_draw(rng, AB_KERNEL_conv2d, trial);
}

const struct ab_verify_op ab_verify_op_conv2d = {.name = "conv2d",
                                                 .op = AB_KERNEL_conv2d,
                                                 .fixed = fixed,
                                                 .draw = draw,
                                                 .shrink = ab_conv_shrink,
                                                 .shape_parse = ab_conv_shape_parse,
                                                 .shape_print = ab_conv_shape_print,
                                                 .run = run,
                                                 .set_up = set_up};
