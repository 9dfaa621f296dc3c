// SPDX-License-Identifier: Apache-2.0
// Cases of single kernels: "kernel NAME TRIAL", on the trial's operands as `attrbench verify` lays
// them out, but one after the other in huge pages.
#include "case_inside.h"

#include "peak.h"
#include "verify/subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct state {
    struct ab_candidate candidate;
    struct ab_trial trial;
    struct place {
        struct ab_room room;
        struct ab_setup setup;
    } places[AB_CASE_PLACES];
    int n_places;
};

/* Of the first place, whose size is not known: addresses, since memory is taken as it is used. What
 * finds no room lies in pages of its own. */
static const size_t ROOM = (size_t)1 << 30;

/* ---- opening ---- */

static const struct ab_kernel *find(const char *name)
{
    int count;
    const struct ab_kernel *kernels = ab_kernels(&count);
    for (int i = 0; i < count; i++)
        if (!strcmp(kernels[i].name, name)) return &kernels[i];
    return NULL;
}

static enum ab_status no_such_kernel(const char *name, struct ab_error *err)
{
    enum { MOST = 128 };
    const char *names[MOST];
    int count;
    const struct ab_kernel *kernels = ab_kernels(&count);
    if (count > MOST) count = MOST;
    for (int i = 0; i < count; i++) names[i] = kernels[i].name;
    const char *near = ab_nearest(name, names, count);
    return ab_fail(err, AB_ERR_UNSUPPORTED, "kernel '%s' is not in this build%s%s%s%s", name,
                   near ? ": did you mean '" : "", near ? near : "", near ? "'?" : ";",
                   near ? "" : " see attrbench kernels");
}

static enum ab_status choose(struct state *s, const char *rest, struct ab_error *err)
{
    const size_t length = strcspn(rest, " ");
    struct ab_candidate *c = &s->candidate;
    snprintf(c->name, sizeof c->name, "%.*s", (int)length, rest);
    c->kernel = find(c->name);
    if (!c->kernel) return no_such_kernel(c->name, err);
    c->op = c->kernel->op;
    snprintf(c->isa, sizeof c->isa, "%s", ab_isa_name(c->kernel->isa));
    if (!(ab_cpu_isas() >> c->kernel->isa & 1))
        return ab_fail(err, AB_ERR_UNSUPPORTED, "kernel %s: this CPU has no %s", c->name, c->isa);
    const enum ab_status status = ab_trial_parse(rest + length, &s->trial, err);
    if (status != AB_OK) return status;
    if (s->trial.op == c->op) return AB_OK;
    return ab_fail(err, AB_ERR_ARG, "kernel %s: a trial of %s is not its operation's, %s", c->name,
                   ab_kernel_op_name(s->trial.op), ab_kernel_op_name(c->op));
}

/* The operands once more, in `bytes` of their own if they are to be had. */
static bool place(struct state *s, size_t bytes, struct ab_outcome *outcome)
{
    struct place *p = &s->places[s->n_places];
    if (ab_room_new(&p->room, bytes)) ab_guarded_from(&p->room);
    const bool placed =
        ab_verify_op_of(s->trial.op)->set_up(&s->candidate, &s->trial, &p->setup, outcome);
    ab_guarded_from(NULL);
    if (placed)
        s->n_places++;
    else
        ab_room_free(&p->room);
    return placed;
}

/* As many as AB_CASE_BYTES has room for; one must be. */
static bool place_all(struct state *s, struct ab_outcome *outcome)
{
    struct ab_outcome ignored = {0};
    if (!place(s, ROOM, outcome)) return false;
    const size_t each = s->places[0].room.used;
    while (each && s->n_places < AB_CASE_PLACES &&
           (size_t)(s->n_places + 1) * each <= AB_CASE_BYTES)
        if (!place(s, each, &ignored)) break;
    return true;
}

static enum ab_status open_case(struct ab_case *c, const char *rest, struct ab_error *err)
{
    struct state *s = calloc(1, sizeof *s);
    char trial[AB_TRIAL_TEXT];
    if (!s) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a case");
    c->state = s;
    const enum ab_status status = choose(s, rest, err);
    if (status != AB_OK) return status;
    struct ab_outcome outcome = {0};
    const bool placed = place_all(s, &outcome);
    ab_trial_print(&s->trial, trial, sizeof trial);
    snprintf(c->name, sizeof c->name, "%s", s->candidate.name);
    const int length =
        snprintf(c->text, sizeof c->text, "kernel %.95s %.400s", s->candidate.name, trial);
    if (placed && length < (int)sizeof c->text && strlen(trial) <= 400) return AB_OK;
    if (placed) return ab_fail(err, AB_ERR_ARG, "kernel %s: the trial is too long", c->name);
    if (outcome.kind == AB_OUTCOME_UNSUPPORTED)
        return ab_fail(err, AB_ERR_UNSUPPORTED, "kernel %s does not do %.300s", c->name, trial);
    return ab_fail(err, AB_ERR_MEMORY, "kernel %s, %.300s: %s", c->name, trial, outcome.why);
}

static void close_case(struct ab_case *c)
{
    struct state *s = c->state;
    for (int i = 0; s && i < s->n_places; i++) {
        ab_place_end(&s->places[i].setup.place);
        ab_room_free(&s->places[i].room);
    }
    free(s);
}

static enum ab_status call(struct ab_case *c, struct ab_error *err)
{
    struct state *s = c->state;
    (void)err;
    s->candidate.kernel->run(&s->places[c->turn % (unsigned)s->n_places].setup.args);
    return AB_OK;
}

/* ---- judging ---- */

static enum ab_verdict verdict_of(enum ab_outcome_kind kind)
{
    switch (kind) {
    case AB_OUTCOME_PASS: return AB_AGREE;
    case AB_OUTCOME_FAIL: return AB_DISAGREE;
    case AB_OUTCOME_MISTRUSTED: return AB_MISTRUSTED;
    default: return AB_SKIPPED;
    }
}

/* On operands of its own, between guard pages. */
static enum ab_status judge(struct ab_case *c, int threads, struct ab_agreement *result,
                            struct ab_error *err)
{
    const struct state *s = c->state;
    struct ab_candidate candidate = s->candidate;
    struct ab_outcome o = {.kind = AB_OUTCOME_PASS};
    (void)threads;
    candidate.wrong = c->wrong;
    ab_verify_op_of(s->trial.op)->run(&candidate, &s->trial, &o, NULL);
    if (o.kind == AB_OUTCOME_SKIPPED)
        return ab_fail(err, AB_ERR_MEMORY, "kernel %s cannot be judged: %s", c->name, o.why);
    result->verdict = verdict_of(o.kind);
    result->rel_l2 = o.rel_l2;
    result->err_over_bound = o.ratio;
    if (o.kind == AB_OUTCOME_FAIL)
        snprintf(result->why, sizeof result->why, "%s: %.140s", ab_check_name(o.check), o.why);
    else
        snprintf(result->why, sizeof result->why, "%.150s", o.why);
    return AB_OK;
}

/* ---- records ---- */

static void key(const struct ab_case *c, int row, char text[AB_CASE_KEY])
{
    (void)row;
    snprintf(text, AB_CASE_KEY, "%s", c->text);
}

static bool has_passes(enum ab_kernel_op op)
{
    return op != AB_KERNEL_pointwise && op != AB_KERNEL_select;
}

/* Of the plain definition; bytes are every operand and weight once. */
static void conv_work(const struct ab_conv2d_shape *s, double size, struct ab_record *r)
{
    const double weights = (double)s->oc * (s->ic / s->g) * s->kh * s->kw;
    r->batch = s->n;
    r->flops = 2.0 * s->n * s->oh * s->ow * weights;
    r->bytes = size * s->n * ((double)s->ic * s->ih * s->iw + (double)s->oc * s->oh * s->ow) +
               4.0 * weights;
}

static void dense_work(const struct ab_dense_shape *s, double size, struct ab_record *r)
{
    r->batch = s->n;
    r->flops = 2.0 * s->n * s->in * s->out;
    r->bytes = size * s->n * (s->in + s->out) + 4.0 * s->in * s->out;
}

static void pool_work(const struct ab_trial *t, struct ab_record *r)
{
    const struct ab_pool_shape *s = &t->shape.pool;
    const double in = (double)s->n * s->c * s->ih * s->iw,
                 out = (double)s->n * s->c * s->oh * s->ow;
    r->batch = s->n;
    r->flops = out * s->kh * s->kw;
    r->bytes = 4.0 * (in + out) + (t->op == AB_KERNEL_maxpool ? 2.0 * out : 0.0);
}

static void map_work(const struct state *t, struct ab_record *r)
{
    const struct ab_map_shape *s = &t->trial.shape.map;
    const struct ab_pointwise *f = &t->places[0].setup.args.pointwise.f;
    r->batch = s->n;
    r->flops = (double)s->n * s->c * s->h * s->w;
    if (t->trial.op == AB_KERNEL_select)
        r->bytes = r->flops * (t->places[0].setup.args.select.a.data ? 8.0 : 4.0);
    else
        r->bytes = r->flops * (8.0 + (f->a.data ? 4.0 : 0.0) + (f->z.data ? 4.0 : 0.0) +
                               (f->bits.data ? 0.125 : 0.0));
}

static void work(const struct state *s, struct ab_record *r)
{
    const struct ab_trial *t = &s->trial;
    switch (t->op) {
    case AB_KERNEL_conv2d: conv_work(&t->shape.conv, 4, r); break;
    case AB_KERNEL_conv2d_f64: conv_work(&t->shape.conv, 8, r); break;
    case AB_KERNEL_dense: dense_work(&t->shape.dense, 4, r); break;
    case AB_KERNEL_dense_f64: dense_work(&t->shape.dense, 8, r); break;
    case AB_KERNEL_maxpool:
    case AB_KERNEL_avgpool: pool_work(t, r); break;
    default: map_work(s, r);
    }
}

static void record(const struct ab_case *c, int row, struct ab_record *r)
{
    const struct state *s = c->state;
    const struct ab_trial *t = &s->trial;
    const struct ab_verify_op *op = ab_verify_op_of(t->op);
    (void)row;
    r->kind = "kernel";
    snprintf(r->op, sizeof r->op, "%s%s", op->name,
             !has_passes(t->op)  ? ""
             : t->pass == AB_BWD ? "_bwd"
                                 : "_fwd");
    op->shape_print(t, r->shape, sizeof r->shape);
    snprintf(r->backend, sizeof r->backend, "native");
    snprintf(r->isa, sizeof r->isa, "%s", s->candidate.isa);
    snprintf(r->kernels, sizeof r->kernels, "%s", s->candidate.name);
    r->peak = ab_peak_gflops(s->candidate.kernel->isa);
    r->amplification = ab_kernel_amplification(s->candidate.kernel);
    work(s, r);
}

const struct ab_case_kind ab_case_kernel = {.word = "kernel",
                                            .open = open_case,
                                            .close = close_case,
                                            .call = call,
                                            .judge = judge,
                                            .key = key,
                                            .record = record};
