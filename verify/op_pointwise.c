// SPDX-License-Identifier: Apache-2.0
// Pointwise kernels, to the bit: every element against the rule of rule.h.
#include "verify/call.h"
#include "verify/map.h"
#include "verify/operands.h"
#include "verify/rule.h"
#include "verify/subject.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t salt = 0x706f696e74u;

/* Canonical arrays; the epilogue's operands are those of the kind. */
struct problem {
    struct ab_trial trial;
    bool ready;
    size_t count;
    float *x;
    struct ab_epilogue f;
    struct ab_ruled *want;
};

/* ---- operands ---- */

static const float specials[] = {0.0f,      -0.0f,   1.0f,     -1.0f,    0x1p-149f, -0x1p-149f,
                                 0x1p-126f, 3.4e38f, -3.4e38f, INFINITY, -INFINITY, NAN};
enum { SPECIALS = sizeof specials / sizeof *specials };

/* INF draws all from the values above but NaN, NAN from all of them. The rules order no NaN among
 * the operands of RESCALE. */
static void draw_specials(struct problem *p, struct ab_rng *rng)
{
    const enum ab_fill fill = p->trial.fill;
    const int most = fill == AB_FILL_NAN ? SPECIALS - 1 : SPECIALS - 2;
    const int others = p->trial.f == AB_PW_RESCALE ? SPECIALS - 2 : most;
    if (fill != AB_FILL_NAN && fill != AB_FILL_INF) return;
    for (size_t i = 0; i < p->count; i++) {
        p->x[i] = specials[ab_rng_between(rng, 0, most)];
        p->f.a[i] = specials[ab_rng_between(rng, 0, others)];
        p->f.z[i] = specials[ab_rng_between(rng, 0, others)];
    }
}

/* One element in eight is exactly at the threshold of its kind, or halfway to its cap. */
static void draw_thresholds(struct problem *p, struct ab_rng *rng)
{
    const size_t image = p->count / (size_t)p->trial.shape.map.n;
    for (int n = 0; n < p->trial.shape.map.n; n++) {
        const size_t i = (size_t)n * image + (size_t)(ab_rng_next(rng) % image);
        const float tau = p->x[i] * p->f.a[i];
        if (p->trial.f == AB_PW_RECT && isfinite(tau)) p->f.tau[n] = tau;
    }
    for (size_t i = 0; i < p->count; i++) {
        if (ab_rng_between(rng, 0, 7)) continue;
        if (ab_rule_has_cap(p->trial.f)) /* small integers leave nothing between 0 and a cap of 1 */
            p->x[i] = p->f.a[i] = p->f.scale / (float)ab_rng_between(rng, 1, 2);
        if (p->trial.f == AB_PW_GUARD_BITS) p->f.a[i] = -p->f.scale * p->x[i];
        if (p->trial.f == AB_PW_REST_BITS) p->x[i] = p->f.a[i] - p->f.a[i] / p->f.scale;
        if (p->trial.f == AB_PW_RECT) p->f.a[i] = 1.0f, p->x[i] = p->f.tau[i / image];
    }
}

static void make_truth(struct problem *p)
{
    const struct ab_map_shape *s = &p->trial.shape.map;
    const size_t plane = (size_t)s->h * (size_t)s->w;
    for (size_t i = 0; i < p->count; i++) {
        const int c = (int)(i / plane) % s->c, n = (int)(i / plane) / s->c;
        const struct ab_rule rule = {.kind = p->f.kind,
                                     .eps = p->f.eps,
                                     .scale = p->f.scale,
                                     .x = p->x[i],
                                     .a = p->f.a[i],
                                     .z = p->f.z[i],
                                     .tau = p->f.tau[n],
                                     .mul = p->f.mul[c],
                                     .add = p->f.add[c],
                                     .has_add = p->f.has_add,
                                     .bit = p->f.bit[i]};
        p->want[i] = ab_rule_apply(&rule);
    }
}

static void problem_free(struct problem *p)
{
    free(p->x);
    free(p->want);
    ab_epilogue_free(&p->f);
    *p = (struct problem){0};
}

static bool make(struct problem *p, const struct ab_file_values *file)
{
    const struct ab_map_shape *s = &p->trial.shape.map;
    struct ab_rng rng = ab_rng_new(p->trial.seed, salt);
    p->count = (size_t)s->n * (size_t)s->c * (size_t)s->h * (size_t)s->w;
    p->x = malloc((p->count + 1) * sizeof *p->x);
    p->want = calloc(p->count + 1, sizeof *p->want);
    if (!p->x || !p->want) return false;
    ab_fill_signal(p->x, (size_t)s->n, p->count / (size_t)s->n, &p->trial, file, &rng);
    if (!ab_epilogue_new(&p->f, &p->trial, p->count, s->n, s->c, &rng)) return false;
    draw_specials(p, &rng);
    draw_thresholds(p, &rng);
    make_truth(p);
    return true;
}

static const struct problem *problem_of(const struct ab_trial *trial, struct ab_outcome *outcome)
{
    static _Thread_local struct problem last;
    struct ab_file_values file;
    if (last.ready && memcmp(&last.trial, trial, sizeof *trial) == 0) return &last;
    problem_free(&last);
    if (!ab_file_values_read(&file, trial, outcome)) return NULL;
    memcpy(&last.trial, trial, sizeof *trial);
    last.ready = make(&last, &file);
    ab_file_values_free(&file);
    if (last.ready) return &last;
    problem_free(&last);
    *outcome = (struct ab_outcome){.kind = AB_OUTCOME_SKIPPED, .why = "out of memory"};
    return NULL;
}

/* ---- buffers ---- */

static bool uses_bits(enum ab_pointwise_kind kind)
{
    return ab_rule_reads_bits(kind) || ab_rule_makes_bits(kind);
}

/* The words before the call where they are made: noise that must not come out. */
static uint16_t word_before(size_t i)
{
    return (uint16_t)(0x5a3cu * (i + 1));
}

static void place_bits(const struct problem *p, struct ab_setup *s, int first, int n)
{
    const struct ab_map_shape *d = &p->trial.shape.map;
    const bool makes = ab_rule_makes_bits(p->f.kind);
    struct ab_bits *b = &s->args.pointwise.f.bits;
    b->row = d->w + ab_rng_between(&s->place.rng, 0, 2);
    b->block = b->row * d->h + ab_rng_between(&s->place.rng, 0, 3);
    b->image = b->block * ab_blocks(d->c) + ab_rng_between(&s->place.rng, 0, 3);
    const size_t words = (size_t)(n * b->image);
    b->data = ab_place_bytes(&s->place, "bits", NULL, words * sizeof *b->data, 2, !makes);
    if (!b->data) return;
    for (size_t i = 0; i < words; i++) b->data[i] = makes ? word_before(i) : 0;
    const unsigned char *bit = p->f.bit + (size_t)first * (p->count / (size_t)d->n);
    for (int i = 0; i < n * d->c * d->h && !makes; i++)
        for (int x = 0; x < d->w; x++) {
            const int y = i % d->h, c = i / d->h % d->c, image = i / d->h / d->c;
            if (*bit++)
                b->data[image * b->image + c / AB_LANES * b->block + y * b->row + x] |=
                    (uint16_t)(1u << c % AB_LANES);
        }
    ab_place_keep(&s->place);
    s->marks = b->data;
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

static void place_native(const struct problem *p, struct ab_setup *s, int first, int n)
{
    const struct ab_map_shape *d = &p->trial.shape.map;
    const struct ab_epilogue *e = &p->f;
    const int dims[4] = {n, d->c, d->h, d->w};
    const size_t at = (size_t)first * (p->count / (size_t)d->n);
    struct ab_pointwise_args *args = &s->args.pointwise;
    *args = (struct ab_pointwise_args){.f = {.kind = e->kind, .eps = e->eps, .scale = e->scale},
                                       .n = n,
                                       .blocks = ab_blocks(d->c),
                                       .h = d->h,
                                       .w = d->w};
    const struct ab_blocked *x = ab_place_map(&s->place, "x", p->x + at, dims, true);
    const struct ab_blocked *a = NULL, *z = NULL;
    if (ab_rule_reads_a(e->kind)) a = ab_place_map(&s->place, "a", e->a + at, dims, true);
    if (ab_rule_reads_z(e->kind)) z = ab_place_map(&s->place, "z", e->z + at, dims, true);
    s->dst = ab_place_map(&s->place, "dst", NULL, dims, false);
    if (s->place.failed) return;
    args->x = x->view;
    args->dst = s->dst->view;
    if (a) args->f.a = a->view;
    if (z) args->f.z = z->view;
    args->range = ab_blocked_range(s->dst);
    if (e->kind == AB_PW_RECT)
        args->f.tau =
            ab_place_bytes(&s->place, "tau", e->tau + first, (size_t)n * sizeof(float), 4, true);
    if (e->kind == AB_PW_AFFINE) args->f.mul = place_channels(s, "mul", e->mul, d->c);
    if (e->kind == AB_PW_AFFINE && e->has_add) args->f.add = place_channels(s, "add", e->add, d->c);
    if (uses_bits(e->kind)) place_bits(p, s, first, n);
}

static void place_foreign(const struct problem *p, struct ab_setup *s)
{
    const struct ab_epilogue *e = &p->f;
    const size_t bytes = p->count * sizeof(float);
    struct ab_verify_pointwise *a = &s->args.foreign_pointwise;
    *a = (struct ab_verify_pointwise){
        .kind = ab_pointwise_name(e->kind), .count = p->count, .eps = e->eps, .scale = e->scale};
    a->x = ab_place_bytes(&s->place, "x", p->x, bytes, 4, true);
    if (ab_rule_reads_a(e->kind)) a->a = ab_place_bytes(&s->place, "a", e->a, bytes, 4, true);
    if (ab_rule_reads_z(e->kind)) a->z = ab_place_bytes(&s->place, "z", e->z, bytes, 4, true);
    a->dst = ab_place_bytes(&s->place, "dst", NULL, bytes, 4, false);
    s->out = a->dst;
}

static void place(const void *problem, struct ab_setup *s)
{
    const struct problem *p = problem;
    const bool all = s->image < 0;
    if (s->candidate->foreign)
        place_foreign(p, s);
    else
        place_native(p, s, all ? 0 : s->image, all ? p->trial.shape.map.n : 1);
}

static void part(const struct ab_range *r, union ab_call_args *args)
{
    args->pointwise.range = *r;
}

/* ---- results ---- */

static ptrdiff_t word_at(const struct ab_bits *b, int n, int c, int y, int x)
{
    return n * b->image + c / AB_LANES * b->block + y * b->row + x;
}

static void result(const void *problem, const struct ab_setup *s, struct ab_result *r)
{
    const struct problem *p = problem;
    const struct ab_map_shape *d = &p->trial.shape.map;
    if (s->candidate->foreign) {
        memcpy(r->values, s->out, p->count * sizeof(float));
        return;
    }
    ab_blocked_to_nchw(s->dst, r->values);
    if (!ab_rule_makes_bits(p->f.kind)) return;
    const struct ab_bits *b = &s->args.pointwise.f.bits;
    for (int i = 0; i < s->dst->n * d->c * d->h * d->w; i++) {
        const int x = i % d->w, y = i / d->w % d->h, c = i / d->w / d->h % d->c;
        const uint16_t word = b->data[word_at(b, i / d->w / d->h / d->c, c, y, x)];
        r->marks[i] = word >> c % AB_LANES & 1;
    }
}

/* Words outside the range, between rows and between blocks are untouched; padding lanes are 0. */
static void frame_of_bits(const struct problem *p, const struct ab_setup *s,
                          const struct ab_range *r, struct ab_outcome *o)
{
    const struct ab_map_shape *d = &p->trial.shape.map;
    const struct ab_bits *b = &s->args.pointwise.f.bits;
    for (ptrdiff_t i = 0; i < s->dst->n * b->image; i++) {
        const int n = (int)(i / b->image), block = (int)(i % b->image / b->block);
        const int y = (int)(i % b->image % b->block / b->row);
        const int x = (int)(i % b->image % b->block % b->row), lanes = d->c - block * AB_LANES;
        const bool in = n >= r->n0 && n < r->n1 && block >= r->b0 && block < r->b1 && y >= r->y0 &&
                        y < r->y1 && x < d->w;
        if (!in && b->data[i] != word_before((size_t)i))
            ab_outcome_fail(o, AB_CHECK_frame,
                            "a word of bits outside the range: n %d block %d y %d x %d", n, block,
                            y, x);
        if (in && lanes < AB_LANES && b->data[i] >> lanes)
            ab_outcome_fail(o, AB_CHECK_frame, "bits of padding lanes: %#x at n %d y %d x %d",
                            b->data[i], n, y, x);
    }
}

static void frame(const void *problem, const struct ab_setup *s, const struct ab_range *r,
                  struct ab_outcome *o)
{
    const struct problem *p = problem;
    char why[200];
    if (!ab_blocked_check_frame(s->dst, r, why, sizeof why))
        ab_outcome_fail(o, AB_CHECK_frame, "%s", why);
    if (ab_rule_makes_bits(p->f.kind)) frame_of_bits(p, s, r, o);
}

static void where(const void *problem, size_t i, char *text, size_t size)
{
    const struct problem *p = problem;
    const struct ab_map_shape *d = &p->trial.shape.map;
    const int e = (int)i;
    snprintf(text, size, "n %d c %d y %d x %d", e / d->w / d->h / d->c, e / d->w / d->h % d->c,
             e / d->w % d->h, e % d->w);
}

/* ---- judgement ---- */

/* Foreign rules may lose the sign of a zero. */
static bool admits(const struct ab_candidate *c, const struct ab_ruled *want, float got)
{
    struct ab_ruled lenient = *want;
    if (c->foreign) lenient.zero_sign_free = true;
    return ab_ruled_admits(&lenient, got);
}

static void fail_at(const struct problem *p, size_t i, float got, bool bit, struct ab_outcome *o)
{
    const struct ab_ruled *want = &p->want[i];
    const bool special = isfinite(got) != isfinite(want->value[0]);
    char at[80];
    where(p, i, at, sizeof at);
    if (ab_ruled_admits(want, got))
        ab_outcome_fail(o, AB_CHECK_decision, "%s: bit is %d; x %.9g a %.9g scale %g", at, bit,
                        (double)p->x[i], (double)p->f.a[i], (double)p->f.scale);
    else
        ab_outcome_fail(o, special ? AB_CHECK_special : AB_CHECK_bits,
                        "%s: got %.9g, want %.9g; x %.9g a %.9g z %.9g eps %g scale %g", at,
                        (double)got, (double)want->value[0], (double)p->x[i], (double)p->f.a[i],
                        (double)p->f.z[i], (double)p->f.eps, (double)p->f.scale);
    o->ratio = 2.0;
}

/* A rule that gives one value everywhere says nothing. */
static void mistrust(const struct problem *p, struct ab_outcome *o)
{
    for (size_t i = 1; i < p->count; i++)
        if (ab_float_bits(p->want[i].value[0]) != ab_float_bits(p->want[0].value[0])) return;
    if (p->count < 2 || o->kind != AB_OUTCOME_PASS) return;
    o->kind = AB_OUTCOME_MISTRUSTED;
    snprintf(o->why, sizeof o->why, "all %zu true results are %.9g", p->count,
             (double)p->want[0].value[0]);
}

static void judge(const void *problem, const struct ab_candidate *c, const struct ab_result *r,
                  struct ab_outcome *o)
{
    const struct problem *p = problem;
    const float *got = r->values;
    const bool makes = ab_rule_makes_bits(p->f.kind);
    for (size_t i = 0; i < p->count; i++) {
        o->elements++;
        if (admits(c, &p->want[i], got[i]) && (!makes || r->marks[i] == p->want[i].bit)) continue;
        fail_at(p, i, got[i], makes && r->marks[i], o);
        return;
    }
    mistrust(p, o);
}

static const struct ab_subject subject;

/* ---- aliases and vectors ---- */

/* dst in the place of operand `which` (x, a, z), whose strides it has. */
static void check_alias(const struct problem *p, const struct ab_setup *s, int which,
                        const struct ab_result *want, struct ab_outcome *o)
{
    static const char *const names[] = {"dst over x", "dst over a", "dst over z"};
    const struct ab_map_shape *d = &p->trial.shape.map;
    const float *const from[] = {p->x, p->f.a, p->f.z};
    const int dims[4] = {d->n, d->c, d->h, d->w};
    const struct ab_extent extent = {.images = d->n,
                                     .values = p->count,
                                     .size = sizeof(float),
                                     .marks = ab_rule_makes_bits(p->f.kind) ? p->count : 0};
    const struct ab_same same = {&subject, p, &extent};
    struct ab_setup own = *s;
    struct ab_pointwise_args *a = &own.args.pointwise;
    struct ab_view *const views[] = {&a->x, &a->f.a, &a->f.z};
    struct ab_result got;
    struct ab_place place;
    ab_place_begin(&place, p->trial.side, 0, p->trial.seed + 5 + (unsigned)which);
    own.dst = ab_place_map(&place, names[which], from[which], dims, false);
    if (!own.dst || !ab_results_new(&got, &extent)) {
        ab_outcome_no_memory(o);
        ab_place_end(&place);
        return;
    }
    a->dst = *views[which] = own.dst->view;
    ab_call(s->candidate->kernel->run, a, o);
    result(p, &own, &got);
    ab_results_same(&same, &got, want, AB_CHECK_alias, names[which], o);
    ab_place_check(&place, o);
    ab_place_end(&place);
    ab_results_free(&got);
}

/* A vector of features for each image, as one row of pixels. */
static void check_vectors(const struct problem *p, const struct ab_setup *s,
                          const struct ab_result *want, struct ab_outcome *o)
{
    const struct ab_map_shape *d = &p->trial.shape.map;
    const int padded = ab_blocks(d->c) * AB_LANES;
    const float *const from[] = {p->x, p->f.a, p->f.z};
    struct ab_pointwise_args a = s->args.pointwise;
    struct ab_view *const views[] = {&a.x, &a.f.a, &a.f.z, &a.dst};
    struct ab_place place;
    ab_place_begin(&place, p->trial.side, 0, p->trial.seed + 9);
    for (int i = 0; i < 4; i++) {
        const size_t bytes = (size_t)(d->n * padded) * sizeof(float);
        float *v = ab_place_bytes(&place, "a vector", NULL, bytes, 64, i < 3);
        *views[i] = (struct ab_view){v, padded, padded, padded};
        if (!v || i == 3) continue;
        memset(v, 0, bytes);
        for (int n = 0; n < d->n; n++)
            memcpy(v + n * padded, from[i] + (ptrdiff_t)n * d->c, (size_t)d->c * sizeof *v);
        ab_place_keep(&place);
    }
    a.blocks = a.h = 1;
    a.w = padded / AB_LANES;
    a.range = (struct ab_range){0, d->n, 0, 1, 0, 1};
    if (place.failed) {
        ab_outcome_no_memory(o);
    } else {
        ab_call(s->candidate->kernel->run, &a, o);
        ab_place_check(&place, o);
    }
    for (int i = 0; i < d->n * padded && !place.failed; i++) {
        const int c = i % padded, n = i / padded;
        const float got = a.dst.data[i];
        const float expected = c < d->c ? ((const float *)want->values)[n * d->c + c] : 0.0f;
        if (ab_float_bits(got) == ab_float_bits(expected)) continue;
        if (isnan(got) && isnan(expected) && !ab_is_sentinel(got)) continue;
        ab_outcome_fail(o, AB_CHECK_bits, "as vectors: n %d feature %d: %.9g, as a map %.9g", n, c,
                        (double)got, (double)expected);
    }
    ab_place_end(&place);
}

static void more(const void *problem, const struct ab_setup *s, const struct ab_result *r,
                 struct ab_outcome *o)
{
    const struct problem *p = problem;
    const struct ab_map_shape *d = &p->trial.shape.map;
    const bool alias = p->trial.with & AB_WITH_ALIAS;
    if (alias) check_alias(p, s, 0, r, o);
    if (alias && ab_rule_reads_a(p->f.kind)) check_alias(p, s, 1, r, o);
    if (alias && ab_rule_reads_z(p->f.kind)) check_alias(p, s, 2, r, o);
    if (d->h == 1 && d->w == 1 && p->f.kind != AB_PW_AFFINE && !uses_bits(p->f.kind))
        check_vectors(p, s, r, o);
}

/* ---- the operation ---- */

static void dump(const void *problem, const struct ab_result *r, const char *folder)
{
    const struct problem *p = problem;
    const struct ab_map_shape *d = &p->trial.shape.map;
    const int dims[4] = {d->n, d->c, d->h, d->w};
    float *want = malloc((p->count + 1) * sizeof *want);
    ab_dump(folder, "x", p->x, dims);
    if (ab_rule_reads_a(p->f.kind)) ab_dump(folder, "a", p->f.a, dims);
    if (ab_rule_reads_z(p->f.kind)) ab_dump(folder, "z", p->f.z, dims);
    ab_dump(folder, "result", r->values, dims);
    for (size_t i = 0; want && i < p->count; i++) want[i] = p->want[i].value[0];
    if (want) ab_dump(folder, "reference", want, dims);
    free(want);
}

static const struct ab_subject subject = {.place = place,
                                          .part = part,
                                          .result = result,
                                          .frame = frame,
                                          .judge = judge,
                                          .more = more,
                                          .where = where,
                                          .dump = dump};

/* What struct ab_verify_pointwise can say. */
static bool is_foreign(enum ab_pointwise_kind kind)
{
    return kind != AB_PW_RECT && kind != AB_PW_AFFINE && !uses_bits(kind);
}

static void run(const struct ab_candidate *candidate, const struct ab_trial *trial,
                struct ab_outcome *outcome, const char *dump_folder)
{
    const struct ab_map_shape *s = &trial->shape.map;
    if (candidate->foreign && !is_foreign(trial->f)) {
        outcome->kind = AB_OUTCOME_UNSUPPORTED;
        return;
    }
    const struct problem *p = problem_of(trial, outcome);
    if (!p) return;
    const struct ab_extent extent = {.images = candidate->foreign ? 1 : s->n,
                                     .values = p->count,
                                     .size = sizeof(float),
                                     .marks = ab_rule_makes_bits(trial->f) ? p->count : 0,
                                     .all = {0, s->n, 0, ab_blocks(s->c), 0, s->h},
                                     .grain = 1};
    ab_subject_run(&subject, p, &extent, candidate, trial, outcome, dump_folder);
}

static bool set_up(const struct ab_candidate *candidate, const struct ab_trial *trial,
                   struct ab_setup *setup, struct ab_outcome *outcome)
{
    if (!candidate->kernel) {
        outcome->kind = AB_OUTCOME_UNSUPPORTED;
        return false;
    }
    const struct problem *p = problem_of(trial, outcome);
    return p && ab_setup_of_trial(&subject, p, setup, candidate, trial, outcome);
}

/* Every kind with every fill, shapes in turn; then every kind on all shapes. */
static bool fixed(int i, struct ab_trial *t)
{
    int shapes;
    const struct ab_map_shape *shape = ab_map_shapes(&shapes);
    const int of_fills = AB_PW_COUNT * AB_FILL_FILE, of_shapes = AB_PW_COUNT * shapes;
    memset(t, 0, sizeof *t);
    t->op = AB_KERNEL_pointwise;
    t->side = i % 2 ? AB_SIDE_LEFT : AB_SIDE_RIGHT;
    t->offset = i % 16 * 4;
    t->seed = (uint64_t)i + 1;
    if (i < of_fills) {
        t->f = (enum ab_pointwise_kind)(i % AB_PW_COUNT);
        t->fill = (enum ab_fill)(i / AB_PW_COUNT);
        /* All triples of special values. */
        const bool special = t->fill == AB_FILL_NAN || t->fill == AB_FILL_INF;
        t->shape.map = special ? (struct ab_map_shape){3, 33, 9, 7} : shape[i % shapes];
        /* Far from its cap a ReLU is one without, or is all cap. */
        t->exponent = i % 3 == 0 && !ab_rule_has_cap(t->f) ? i % 41 - 20 : 0;
        /* One 1 in several pixels: a map whose images differ. */
        if (t->fill == AB_FILL_ONEHOT) t->shape.map = (struct ab_map_shape){2, 3, 5, 7};
        /* No value is below 0, for min(x, 0) to keep. */
        const bool positive = t->fill == AB_FILL_UINT || t->fill == AB_FILL_RELU ||
                              t->fill == AB_FILL_NONNEG || t->fill == AB_FILL_ONEHOT ||
                              t->fill == AB_FILL_RAMP;
        if (t->f == AB_PW_NEG && positive) t->fill = AB_FILL_NORMAL;
        const bool apart = t->f == AB_PW_RESCALE || ab_rule_has_cap(t->f);
        if (apart && t->fill == AB_FILL_ONEHOT) t->fill = AB_FILL_INT;
        t->with = i % 4 == 0 ? AB_WITH_ALIAS : 0;
        return true;
    }
    i -= of_fills;
    t->f = (enum ab_pointwise_kind)(i % AB_PW_COUNT);
    t->fill = i % 2 ? AB_FILL_NORMAL : AB_FILL_INT;
    if (i < of_shapes) t->shape.map = shape[i / AB_PW_COUNT];
    t->with = AB_WITH_SPLIT | AB_WITH_ALIAS;
    return i < of_shapes;
}

static void draw(struct ab_rng *rng, struct ab_trial *t)
{
    memset(t, 0, sizeof *t);
    t->op = AB_KERNEL_pointwise;
    ab_map_shape_draw(rng, &t->shape.map);
    t->f = (enum ab_pointwise_kind)ab_rng_between(rng, 0, AB_PW_COUNT - 1);
    t->fill = (enum ab_fill)ab_rng_between(rng, 0, AB_FILL_FILE - 1);
    t->exponent = ab_rng_between(rng, 0, 2) ? 0 : ab_rng_between(rng, -20, 20);
    t->seed = ab_rng_next(rng) >> 32;
    t->side = ab_rng_between(rng, 0, 1) ? AB_SIDE_LEFT : AB_SIDE_RIGHT;
    t->offset = ab_rng_between(rng, 0, 15) * 4;
    t->with = (ab_rng_between(rng, 0, 1) ? AB_WITH_SPLIT : 0u) |
              (ab_rng_between(rng, 0, 1) ? AB_WITH_ALIAS : 0u);
}

const struct ab_verify_op ab_verify_op_pointwise = {.name = "pointwise",
                                                    .op = AB_KERNEL_pointwise,
                                                    .fixed = fixed,
                                                    .draw = draw,
                                                    .shrink = ab_map_shrink,
                                                    .shape_parse = ab_map_shape_parse,
                                                    .shape_print = ab_map_shape_print,
                                                    .run = run,
                                                    .set_up = set_up};
