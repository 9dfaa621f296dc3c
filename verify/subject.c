// SPDX-License-Identifier: Apache-2.0
// One call judged, and the calls that must give its bits: subject.h.
#include "verify/subject.h"
#include "verify/call.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- results ---- */

bool ab_results_new(struct ab_result *r, const struct ab_extent *extent)
{
    r->values = calloc(extent->values + 1, extent->size);
    r->marks = calloc(extent->marks + 1, sizeof *r->marks);
    if (r->values && r->marks) return true;
    ab_results_free(r);
    return false;
}

void ab_results_free(struct ab_result *r)
{
    free(r->values);
    free(r->marks);
    *r = (struct ab_result){NULL, NULL};
}

static double value_at(const void *values, size_t size, size_t i)
{
    return size == sizeof(float) ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

static bool is_sentinel_at(const void *values, size_t size, size_t i)
{
    const unsigned char *p = (const unsigned char *)values + i * size;
    for (size_t at = 0; at < size; at += sizeof(float)) {
        float v;
        memcpy(&v, p + at, sizeof v);
        if (!ab_is_sentinel(v)) return false;
    }
    return true;
}

/* Values [from, from + count) of want and marks likewise; got starts at its own first. */
static void parts_same(const struct ab_same *s, const struct ab_result *got,
                       const struct ab_result *want, int image, int images, enum ab_check check,
                       const char *what, struct ab_outcome *o)
{
    const size_t size = s->extent->size, values = s->extent->values / (size_t)images;
    const size_t marks = s->extent->marks / (size_t)images;
    const size_t from = values * (size_t)image, mark = marks * (size_t)image;
    const unsigned char *expected = (const unsigned char *)want->values + from * size;
    const int digits = size == sizeof(float) ? 9 : 17;
    char where[80];
    for (size_t i = 0; i < values; i++) {
        const double g = value_at(got->values, size, i), w = value_at(expected, size, i);
        if (memcmp((const unsigned char *)got->values + i * size, expected + i * size, size) == 0)
            continue;
        if (isnan(g) && isnan(w) && !is_sentinel_at(got->values, size, i)) continue;
        s->subject->where(s->problem, from + i, where, sizeof where);
        ab_outcome_fail(o, check, "%s: %s: %.*g, otherwise %.*g", what, where, digits, g, digits,
                        w);
        return;
    }
    for (size_t i = 0; i < marks; i++) {
        if (got->marks[i] == want->marks[mark + i]) continue;
        ab_outcome_fail(o, check, "%s: switch or word %zu is %d, otherwise %d", what, mark + i,
                        got->marks[i], want->marks[mark + i]);
        return;
    }
}

void ab_results_same(const struct ab_same *same, const struct ab_result *got,
                     const struct ab_result *want, enum ab_check check, const char *what,
                     struct ab_outcome *outcome)
{
    parts_same(same, got, want, 0, 1, check, what, outcome);
}

void ab_outcome_no_memory(struct ab_outcome *o)
{
    if (o->kind == AB_OUTCOME_FAIL) return;
    o->kind = AB_OUTCOME_SKIPPED;
    snprintf(o->why, sizeof o->why, "out of memory");
}

/* ---- calls ---- */

static bool setup_new(const struct ab_subject *subject, const void *problem, struct ab_setup *s,
                      struct ab_outcome *o)
{
    subject->place(problem, s);
    if (!s->place.failed) return true;
    ab_place_end(&s->place);
    ab_outcome_no_memory(o);
    return false;
}

bool ab_setup_new(const struct ab_subject *subject, const void *problem, struct ab_setup *s,
                  const struct ab_candidate *candidate, enum ab_guard_side side, int offset,
                  struct ab_outcome *outcome)
{
    *s = (struct ab_setup){.candidate = candidate, .image = -1};
    ab_place_begin(&s->place, side, offset, (uint64_t)offset + (side == AB_SIDE_LEFT));
    return setup_new(subject, problem, s, outcome);
}

bool ab_setup_of_trial(const struct ab_subject *subject, const void *problem, struct ab_setup *s,
                       const struct ab_candidate *candidate, const struct ab_trial *trial,
                       struct ab_outcome *outcome)
{
    *s = (struct ab_setup){.candidate = candidate, .image = -1};
    ab_place_begin(&s->place, trial->side, trial->offset, trial->seed);
    return setup_new(subject, problem, s, outcome);
}

static void call(const struct ab_setup *s, const union ab_call_args *args, struct ab_outcome *o)
{
    if (s->candidate->kernel) {
        ab_call(s->candidate->kernel->run, args, o);
        return;
    }
    const int rc = ab_call_foreign(s->candidate->foreign->run, args, o);
    if (rc == AB_VERIFY_UNSUPPORTED && o->kind == AB_OUTCOME_PASS)
        o->kind = AB_OUTCOME_UNSUPPORTED;
    else if (rc != AB_VERIFY_DONE && rc != AB_VERIFY_UNSUPPORTED)
        ab_outcome_fail(o, AB_CHECK_refused, "it returned %d%s", rc,
                        rc == AB_VERIFY_FAILED ? "" : ", which is no known value");
}

void ab_setup_call(struct ab_setup *s, struct ab_outcome *outcome)
{
    ab_place_reset(&s->place);
    call(s, &s->args, outcome);
    ab_place_check(&s->place, outcome);
}

/* ---- one run ---- */

struct run {
    const struct ab_subject *subject;
    const void *problem;
    const struct ab_extent *extent;
    const struct ab_candidate *candidate;
    const struct ab_trial *trial;
    struct ab_outcome *o;
    struct ab_result bare, want, other; /* want: with the epilogue, if there is one */
    struct ab_rng rng;
};

static bool stopped(const struct run *r)
{
    return r->o->kind == AB_OUTCOME_FAIL || r->o->kind == AB_OUTCOME_UNSUPPORTED ||
           r->o->kind == AB_OUTCOME_SKIPPED;
}

static void compare(const struct run *r, const struct ab_setup *s, enum ab_check check,
                    const char *what)
{
    const struct ab_same same = {r->subject, r->problem, r->extent};
    struct ab_result got = r->other;
    if (stopped(r)) return;
    r->subject->result(r->problem, s, &got);
    ab_results_same(&same, &got, &r->want, check, what, r->o);
}

static void check_frame(const struct run *r, const struct ab_setup *s, const struct ab_range *range)
{
    if (r->candidate->kernel) r->subject->frame(r->problem, s, range, r->o);
}

static void check_written(const struct run *r, const struct ab_result *got)
{
    char where[80];
    for (size_t i = 0; i < r->extent->values; i++) {
        if (!is_sentinel_at(got->values, r->extent->size, i)) continue;
        r->subject->where(r->problem, i, where, sizeof where);
        ab_outcome_fail(r->o, AB_CHECK_unwritten, "%s was not written", where);
        return;
    }
}

static void copy_result(const struct run *r, const struct ab_result *to,
                        const struct ab_result *from)
{
    memcpy(to->values, from->values, r->extent->values * r->extent->size);
    memcpy(to->marks, from->marks, r->extent->marks * sizeof *to->marks);
}

/* What is judged: the result, unless it is to be wrong. */
static const struct ab_result *as_judged(const struct run *r, const struct ab_result *got)
{
    const double factor = 1.0 + r->candidate->wrong;
    if (r->candidate->wrong <= 0.0) return got;
    copy_result(r, &r->other, got);
    for (size_t i = 0; i < r->extent->values; i++) {
        if (r->extent->size == sizeof(float))
            ((float *)r->other.values)[i] *= (float)factor;
        else
            ((double *)r->other.values)[i] *= factor;
    }
    return &r->other;
}

/* Everything that one call shows. The values come first: a wrong rule shows in padding lanes too,
 * where nobody looks for it. */
static void judge_call(const struct run *r, const struct ab_setup *s, const struct ab_result *got)
{
    check_written(r, got);
    if (stopped(r)) return;
    if (s->bare)
        r->subject->judge(r->problem, r->candidate, as_judged(r, got), r->o);
    else
        r->subject->epilogue(r->problem, &r->bare, got, r->o);
    if (!stopped(r)) check_frame(r, s, &r->extent->all);
}

static void run_first(struct run *r, bool bare, struct ab_result *got, const char *dump)
{
    struct ab_setup s = {.candidate = r->candidate, .image = -1, .bare = bare};
    ab_place_begin(&s.place, r->trial->side, r->trial->offset, r->trial->seed);
    if (!setup_new(r->subject, r->problem, &s, r->o)) return;
    ab_setup_call(&s, r->o);
    if (r->o->kind != AB_OUTCOME_UNSUPPORTED) {
        r->subject->result(r->problem, &s, got);
        if (dump) r->subject->dump(r->problem, got, dump);
    }
    if (!stopped(r)) judge_call(r, &s, got);
    ab_place_end(&s.place);
}

/* ---- equal bits ---- */

/* Calls on the same buffers: again, and over other contents of dst. */
static void check_again(const struct run *r, struct ab_setup *s)
{
    ab_setup_call(s, r->o);
    compare(r, s, AB_CHECK_repeat, "called again");
    if (stopped(r)) return;
    ab_place_overwrite(&s->place);
    call(s, &s->args, r->o);
    compare(r, s, AB_CHECK_unwritten, "over other contents of dst");
}

static int cut(struct ab_rng *rng, int from, int to, int grain)
{
    const int at = from + ab_rng_between(rng, 0, (to - from + grain - 1) / grain) * grain;
    return at < to ? at : to;
}

/* Eight ranges, empty ones among them, in mixed order. */
enum { PARTS = 8 };
static void make_parts(struct run *r, struct ab_range parts[PARTS])
{
    const struct ab_range *a = &r->extent->all;
    const int n = cut(&r->rng, a->n0, a->n1, 1), b = cut(&r->rng, a->b0, a->b1, 1);
    const int y = r->extent->grain ? cut(&r->rng, a->y0, a->y1, r->extent->grain) : a->y1;
    const int first = ab_rng_between(&r->rng, 0, PARTS - 1);
    for (int i = 0; i < PARTS; i++) {
        const int k = i ^ first;
        parts[i] = (struct ab_range){k & 1 ? n : a->n0, k & 1 ? a->n1 : n, k & 2 ? b : a->b0,
                                     k & 2 ? a->b1 : b, k & 4 ? y : a->y0, k & 4 ? a->y1 : y};
    }
}

static bool is_empty(const struct ab_range *p)
{
    return p->n0 == p->n1 || p->b0 == p->b1 || p->y0 == p->y1;
}

/* One part after the other: after the first that is not empty, the rest is untouched. */
static void check_parts(struct run *r, struct ab_setup *s, const struct ab_range parts[PARTS])
{
    bool looked = false;
    ab_place_reset(&s->place);
    for (int i = 0; i < PARTS && !stopped(r); i++) {
        union ab_call_args args = s->args;
        if (is_empty(&parts[i])) continue;
        r->subject->part(&parts[i], &args);
        call(s, &args, r->o);
        if (!looked) check_frame(r, s, &parts[i]);
        looked = true;
    }
    ab_place_check(&s->place, r->o);
    compare(r, s, AB_CHECK_range, "in parts");
}

static void check_threads(struct run *r, struct ab_setup *s, const struct ab_range parts[PARTS])
{
    union ab_call_args args[PARTS];
    const void *pointers[PARTS];
    int count = 0;
    if (stopped(r)) return;
    for (int i = 0; i < PARTS; i++) {
        if (is_empty(&parts[i])) continue;
        args[count] = s->args;
        r->subject->part(&parts[i], &args[count]);
        if (r->subject->own) r->subject->own(s, count, &args[count]);
        pointers[count] = &args[count];
        count++;
    }
    ab_place_reset(&s->place);
    ab_call_together(r->candidate->kernel->run, pointers, count, r->o);
    ab_place_check(&s->place, r->o);
    compare(r, s, AB_CHECK_threads, "in concurrent parts");
}

static void check_elsewhere(const struct run *r, int image)
{
    struct ab_setup s = {.candidate = r->candidate, .image = -1};
    (void)image;
    if (stopped(r)) return;
    ab_place_begin(&s.place, r->trial->side == AB_SIDE_LEFT ? AB_SIDE_RIGHT : AB_SIDE_LEFT,
                   (r->trial->offset + 20) % 64, r->trial->seed + 1);
    if (!setup_new(r->subject, r->problem, &s, r->o)) return;
    ab_setup_call(&s, r->o);
    compare(r, &s, AB_CHECK_alignment, "with operands elsewhere");
    ab_place_end(&s.place);
}

static void check_image(const struct run *r, int image)
{
    const struct ab_same same = {r->subject, r->problem, r->extent};
    struct ab_setup s = {.candidate = r->candidate, .image = image};
    struct ab_result got = r->other;
    if (stopped(r)) return;
    ab_place_begin(&s.place, r->trial->side, r->trial->offset, r->trial->seed + 2);
    if (!setup_new(r->subject, r->problem, &s, r->o)) return;
    ab_setup_call(&s, r->o);
    if (!stopped(r)) {
        r->subject->result(r->problem, &s, &got);
        parts_same(&same, &got, &r->want, image, r->extent->images, AB_CHECK_batch,
                   "the image alone", r->o);
    }
    ab_place_end(&s.place);
}

static void check_repeat(const struct run *r, int image)
{
    struct ab_setup s = {.candidate = r->candidate, .image = -1};
    (void)image;
    ab_place_begin(&s.place, r->trial->side, r->trial->offset, r->trial->seed);
    if (!setup_new(r->subject, r->problem, &s, r->o)) return;
    check_again(r, &s);
    ab_place_end(&s.place);
}

static void check_determinism(struct run *r)
{
    struct ab_setup s = {.candidate = r->candidate, .image = -1};
    ab_place_begin(&s.place, r->trial->side, r->trial->offset, r->trial->seed);
    if (!setup_new(r->subject, r->problem, &s, r->o)) return;
    check_again(r, &s);
    if (r->trial->with & AB_WITH_SPLIT && !stopped(r)) {
        struct ab_range parts[PARTS];
        make_parts(r, parts);
        check_parts(r, &s, parts);
        check_threads(r, &s, parts);
        check_elsewhere(r, -1);
        const int last = r->extent->images - 1;
        if (last > 0) check_image(r, 0);
        if (last > 1) check_image(r, last / 2);
        if (last > 0) check_image(r, last);
    }
    if (r->subject->more && !stopped(r)) r->subject->more(r->problem, &s, &r->want, r->o);
    ab_place_end(&s.place);
}

enum {
    REPEAT = 1 << AB_CHECK_repeat,
    ALIGNMENT = 1 << AB_CHECK_alignment,
    BATCH = 1 << AB_CHECK_batch
};

/* A check whose failure is no failure of a foreign kernel: what its bits depend on is told. */
static void note(struct run *r, void (*check)(const struct run *r, int image), int image)
{
    struct ab_outcome *const told = r->o;
    struct ab_outcome o = *told;
    if (stopped(r)) return;
    r->o = &o;
    check(r, image);
    r->o = told;
    const unsigned kind = 1u << o.check;
    if (o.kind == AB_OUTCOME_FAIL && kind & (REPEAT | ALIGNMENT | BATCH))
        told->varies |= kind;
    else
        *told = o;
}

static void check_foreign(struct run *r)
{
    note(r, check_repeat, -1);
    if (!(r->trial->with & AB_WITH_SPLIT)) return;
    note(r, check_elsewhere, -1);
    const int last = r->extent->images - 1;
    if (last > 0) note(r, check_image, last);
}

static void run_all(struct run *r, const char *dump)
{
    const bool native = r->candidate->kernel != NULL;
    run_first(r, true, &r->bare, dump);
    if (stopped(r)) return;
    if (native && r->extent->epilogue)
        run_first(r, false, &r->want, NULL);
    else
        copy_result(r, &r->want, &r->bare);
    if (stopped(r) || r->extent->once) return;
    if (native)
        check_determinism(r);
    else
        check_foreign(r);
}

void ab_subject_run(const struct ab_subject *subject, const void *problem,
                    const struct ab_extent *extent, const struct ab_candidate *candidate,
                    const struct ab_trial *trial, struct ab_outcome *outcome, const char *dump)
{
    struct run r = {.subject = subject,
                    .problem = problem,
                    .extent = extent,
                    .candidate = candidate,
                    .trial = trial,
                    .o = outcome,
                    .rng = ab_rng_new(trial->seed, 1)};
    if (ab_results_new(&r.bare, extent) && ab_results_new(&r.want, extent) &&
        ab_results_new(&r.other, extent))
        run_all(&r, dump);
    else
        ab_outcome_no_memory(outcome);
    ab_results_free(&r.bare);
    ab_results_free(&r.want);
    ab_results_free(&r.other);
}

/* ---- dumps ---- */

void ab_dump(const char *folder, const char *name, const float *data, const int d[4])
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    ab_npy_write(path, data, d[0], (struct ab_dims){d[1], d[2], d[3]}, NULL);
}

void ab_dump_doubles(const char *folder, const char *name, const double *data, const int d[4])
{
    const size_t count = (size_t)d[0] * (size_t)d[1] * (size_t)d[2] * (size_t)d[3];
    float *values = malloc((count + 1) * sizeof *values);
    for (size_t i = 0; values && i < count; i++) values[i] = (float)data[i];
    if (values) ab_dump(folder, name, values, d);
    free(values);
}
