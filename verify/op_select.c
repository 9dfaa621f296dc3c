// SPDX-License-Identifier: Apache-2.0
// Select kernels: histograms of keys counted by a text of its own, and the three passes that find a
// rank against sorting. f=mul asks for products, f=copy for x alone.
#include "verify/call.h"
#include "verify/map.h"
#include "verify/operands.h"
#include "verify/subject.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t salt = 0x73656c656374u;
enum { BINS = 2048, PASSES = 3, BEFORE = 7 };

/* Digits from the highest: 11, 11 and 10 bits. */
static const int shifts[PASSES] = {21, 10, 0};
static const uint32_t masks[PASSES] = {0, 0xffe00000u, 0xfffffc00u};

/* Canonical maps, and the keys of x (or x*a) with padding lanes: [n][blocks][h][w*16]. */
struct problem {
    struct ab_trial trial;
    bool ready, product;
    size_t count, keys_per_image;
    float *x, *a;
    uint32_t *keys, *sorted; /* sorted: of one range */
};

/* The order-preserving map: -0 counts as +0; negative values descend. */
static uint32_t key_of(float v)
{
    const uint32_t bits = ab_float_bits(v);
    if (v == 0.0f) return 0x80000000u;
    return v < 0.0f ? ~bits : bits + 0x80000000u;
}

static size_t key_at(const struct ab_map_shape *s, int n, int b, int y, int e)
{
    const size_t row = (size_t)((n * ab_blocks(s->c) + b) * s->h + y);
    return row * (size_t)s->w * AB_LANES + (size_t)e;
}

/* ---- operands ---- */

static void problem_free(struct problem *p)
{
    free(p->x);
    free(p->a);
    free(p->keys);
    free(p->sorted);
    *p = (struct problem){0};
}

static void make_keys(struct problem *p)
{
    const struct ab_map_shape *s = &p->trial.shape.map;
    for (int n = 0; n < s->n; n++)
        for (int c = 0; c < ab_blocks(s->c) * AB_LANES; c++)
            for (int e = 0; e < s->h * s->w; e++) {
                const size_t from = (size_t)((n * s->c + c) * s->h * s->w + e);
                float v = 0.0f;
                if (c < s->c) v = p->product ? p->x[from] * p->a[from] : p->x[from];
                const int lane = e % s->w * AB_LANES + c % AB_LANES;
                p->keys[key_at(s, n, c / AB_LANES, e / s->w, lane)] = key_of(v);
            }
}

/* Both zeros, the smallest and the largest values and infinities among the others; a product of 0
 * and infinity would be NaN, which has no rank. */
static void draw_specials(struct problem *p, struct ab_rng *rng)
{
    static const float special[] = {0.0f,     -0.0f,   0x1p-149f, -0x1p-149f, 0x1p-126f,
                                    -3.4e38f, 3.4e38f, INFINITY,  -INFINITY,  1.0f};
    if (p->trial.fill != AB_FILL_INF) return;
    for (size_t i = 0; i < p->count; i++) {
        p->x[i] = special[ab_rng_between(rng, 0, 9)];
        p->a[i] = ab_rng_between(rng, 0, 1) ? -1.5f : 1.0f;
    }
}

static bool make(struct problem *p, const struct ab_file_values *file)
{
    const struct ab_map_shape *s = &p->trial.shape.map;
    struct ab_rng rng = ab_rng_new(p->trial.seed, salt);
    p->product = p->trial.f == AB_PW_MUL;
    p->count = (size_t)s->n * (size_t)s->c * (size_t)s->h * (size_t)s->w;
    p->keys_per_image = (size_t)(ab_blocks(s->c) * s->h * s->w) * AB_LANES;
    p->x = malloc((p->count + 1) * sizeof *p->x);
    p->a = malloc((p->count + 1) * sizeof *p->a);
    p->keys = malloc((size_t)s->n * p->keys_per_image * sizeof *p->keys);
    p->sorted = malloc(p->keys_per_image * sizeof *p->sorted);
    if (!p->x || !p->a || !p->keys || !p->sorted) return false;
    ab_fill_signal(p->x, (size_t)s->n, p->count / (size_t)s->n, &p->trial, file, &rng);
    ab_fill_others(p->a, p->count, &p->trial, &rng);
    draw_specials(p, &rng);
    make_keys(p);
    return true;
}

static struct problem *problem_of(const struct ab_trial *trial, struct ab_outcome *outcome)
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

/* ---- one candidate ---- */

struct run {
    struct problem *p;
    const struct ab_kernel *kernel;
    bool wrong;
    struct ab_outcome *o;
    struct ab_place place;
    struct ab_select_args args;
    struct ab_rng rng;
    size_t sorted; /* how many keys the range has */
};

static bool place(struct run *r, enum ab_guard_side side, int offset)
{
    const struct ab_map_shape *s = &r->p->trial.shape.map;
    const int dims[4] = {s->n, s->c, s->h, s->w};
    ab_place_begin(&r->place, side, offset, r->p->trial.seed + (unsigned)offset);
    const struct ab_blocked *x = ab_place_map(&r->place, "x", r->p->x, dims, true);
    const struct ab_blocked *a = ab_place_map(&r->place, "a", r->p->a, dims, true);
    uint32_t *hist = ab_place_bytes(&r->place, "hist", NULL, BINS * sizeof *hist, 4, false);
    if (r->place.failed) {
        ab_outcome_no_memory(r->o);
        ab_place_end(&r->place);
        return false;
    }
    r->args = (struct ab_select_args){.x = x->view,
                                      .blocks = ab_blocks(s->c),
                                      .h = s->h,
                                      .w = s->w,
                                      .hist = hist,
                                      .range = ab_blocked_range(x)};
    if (r->p->product) r->args.a = a->view;
    return true;
}

static int by_key(const void *p, const void *q)
{
    const uint32_t *a = p, *b = q;
    return (*a > *b) - (*a < *b);
}

static void sort_range(struct run *r, const struct ab_range *range)
{
    const struct ab_map_shape *s = &r->p->trial.shape.map;
    r->sorted = 0;
    for (int b = range->b0; b < range->b1; b++)
        for (int y = range->y0; y < range->y1; y++)
            for (int e = 0; e < s->w * AB_LANES; e++)
                r->p->sorted[r->sorted++] = r->p->keys[key_at(s, range->n0, b, y, e)];
    qsort(r->p->sorted, r->sorted, sizeof *r->p->sorted, by_key);
}

/* What the range adds to `hist`, by the words of the contract. */
static void count_keys(const struct run *r, const struct ab_select_args *a, uint32_t *hist)
{
    for (size_t i = 0; i < r->sorted; i++) {
        const uint32_t key = r->p->sorted[i];
        if (((key ^ a->prefix) & a->mask) != 0) continue;
        hist[(key & ~a->mask) >> a->shift & (BINS - 1)]++;
    }
}

static bool counts_as(const struct run *r, const uint32_t *want, const struct ab_select_args *a,
                      enum ab_check check, const char *what)
{
    for (int i = 0; i < BINS; i++) {
        if (a->hist[i] == want[i]) continue;
        ab_outcome_fail(r->o, check,
                        "%s: image %d, shift %d, prefix %08x: bin %d holds %u, it should be %u",
                        what, a->range.n0, a->shift, (unsigned)a->prefix, i, (unsigned)a->hist[i],
                        (unsigned)want[i]);
        return false;
    }
    return true;
}

static void call(const struct run *r, const struct ab_select_args *a)
{
    for (int i = 0; i < BINS; i++) a->hist[i] = BEFORE;
    ab_call(r->kernel->run, a, r->o);
    ab_place_check(&r->place, r->o);
    a->hist[0] += r->wrong;
}

/* The digit of one pass at the prefix of a random key of the range, added to what hist holds. */
static void check_pass(struct run *r, const struct ab_range *range, int pass, enum ab_check check,
                       const char *what)
{
    struct ab_select_args a = r->args;
    uint32_t want[BINS];
    a.range = *range;
    a.mask = masks[pass];
    a.shift = shifts[pass];
    a.prefix = r->p->sorted[ab_rng_next(&r->rng) % r->sorted] & a.mask;
    for (int i = 0; i < BINS; i++) want[i] = BEFORE;
    count_keys(r, &a, want);
    call(r, &a);
    if (ab_outcome_failed(r->o) || !counts_as(r, want, &a, check, what)) return;
    r->o->elements += (long)r->sorted;
    call(r, &a);
    counts_as(r, want, &a, AB_CHECK_repeat, "called again");
}

static void check_passes(struct run *r, const struct ab_range *range, enum ab_check check,
                         const char *what)
{
    sort_range(r, range);
    for (int pass = 0; pass < PASSES && !ab_outcome_failed(r->o); pass++) {
        check_pass(r, range, pass, check, what);
        if (!ab_outcome_failed(r->o)) check_pass(r, range, pass, check, what);
    }
}

/* The key of a rank, digit by digit. */
static uint32_t select_rank(const struct run *r, const struct ab_range *range, size_t rank)
{
    struct ab_select_args a = r->args;
    a.range = *range;
    for (int pass = 0; pass < PASSES; pass++) {
        const uint32_t digits = ~masks[pass] >> shifts[pass] & (BINS - 1);
        uint32_t digit = 0;
        memset(a.hist, 0, BINS * sizeof *a.hist);
        a.mask = masks[pass];
        a.shift = shifts[pass];
        ab_call(r->kernel->run, &a, r->o);
        while (digit < digits && rank >= a.hist[digit]) rank -= a.hist[digit++];
        a.prefix |= digit << shifts[pass];
    }
    return a.prefix;
}

static void check_ranks(struct run *r, const struct ab_range *range)
{
    enum { QUANTILES = 8 };
    sort_range(r, range);
    for (int q = 0; q <= QUANTILES && !ab_outcome_failed(r->o); q++) {
        const size_t rank = (r->sorted - 1) * (size_t)q / QUANTILES;
        const uint32_t got = select_rank(r, range, rank), want = r->p->sorted[rank];
        if (got == want || ab_outcome_failed(r->o)) continue;
        ab_outcome_fail(r->o, AB_CHECK_decision,
                        "image %d: rank %zu of %zu has key %08x (%.9g), sorted it is %08x (%.9g)",
                        range->n0, rank, r->sorted, (unsigned)got, (double)ab_key_float(got),
                        (unsigned)want, (double)ab_key_float(want));
    }
}

static struct ab_range image_range(const struct run *r, int n)
{
    struct ab_range range = r->args.range;
    range.n0 = n;
    range.n1 = n + 1;
    return range;
}

/* A part of an image, not empty. */
static struct ab_range part_range(struct run *r, int n)
{
    struct ab_range p = image_range(r, n);
    p.b0 = ab_rng_between(&r->rng, 0, p.b1 - 1);
    p.b1 = ab_rng_between(&r->rng, p.b0 + 1, p.b1);
    p.y0 = ab_rng_between(&r->rng, 0, p.y1 - 1);
    p.y1 = ab_rng_between(&r->rng, p.y0 + 1, p.y1);
    return p;
}

/* Images at the same time, each into a histogram of its own. */
static void check_threads(struct run *r)
{
    enum { MOST = 4 };
    uint32_t hist[MOST][BINS];
    struct ab_select_args args[MOST];
    const void *pointers[MOST] = {NULL};
    const int images = r->p->trial.shape.map.n, count = images < MOST ? images : MOST;
    for (int i = 0; i < count; i++) {
        args[i] = r->args;
        args[i].range = image_range(r, i);
        args[i].shift = shifts[0];
        args[i].hist = hist[i];
        for (int b = 0; b < BINS; b++) hist[i][b] = BEFORE;
        pointers[i] = &args[i];
    }
    ab_call_together(r->kernel->run, pointers, count, r->o);
    for (int i = 0; i < count && !ab_outcome_failed(r->o); i++) {
        uint32_t want[BINS];
        for (int b = 0; b < BINS; b++) want[b] = BEFORE;
        sort_range(r, &args[i].range);
        count_keys(r, &args[i], want);
        counts_as(r, want, &args[i], AB_CHECK_threads, "concurrently");
    }
}

static void run_all(struct run *r)
{
    const struct ab_trial *t = &r->p->trial;
    const struct ab_range first = image_range(r, 0), last = image_range(r, t->shape.map.n - 1);
    check_passes(r, &first, AB_CHECK_decision, "counts");
    if (!ab_outcome_failed(r->o))
        check_passes(r, &last, AB_CHECK_batch, "counts of the last image");
    if (!ab_outcome_failed(r->o)) check_ranks(r, &last);
    if (!(t->with & AB_WITH_SPLIT)) return;
    for (int i = 0; i < 4 && !ab_outcome_failed(r->o); i++) {
        const struct ab_range part = part_range(r, i % t->shape.map.n);
        check_passes(r, &part, AB_CHECK_range, "counts of a part");
    }
    if (!ab_outcome_failed(r->o)) check_threads(r);
}

static bool has_nan(const struct problem *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (isnan(p->x[i]) || (p->product && isnan(p->x[i] * p->a[i]))) return true;
    return false;
}

static bool applies(const struct ab_candidate *candidate, const struct ab_trial *trial)
{
    return candidate->kernel && (trial->f == AB_PW_COPY || trial->f == AB_PW_MUL);
}

static void run(const struct ab_candidate *candidate, const struct ab_trial *trial,
                struct ab_outcome *outcome, const char *dump)
{
    const struct ab_map_shape *s = &trial->shape.map;
    const int dims[4] = {s->n, s->c, s->h, s->w};
    if (!applies(candidate, trial)) {
        outcome->kind = AB_OUTCOME_UNSUPPORTED;
        return;
    }
    struct problem *p = problem_of(trial, outcome);
    if (!p) return;
    if (has_nan(p)) {
        *outcome = (struct ab_outcome){.kind = AB_OUTCOME_SKIPPED, .why = "NaN has no rank"};
        return;
    }
    struct run r = {.p = p,
                    .kernel = candidate->kernel,
                    .wrong = candidate->wrong > 0.0,
                    .o = outcome,
                    .rng = ab_rng_new(trial->seed, 4)};
    if (dump) ab_dump(dump, "x", p->x, dims);
    if (dump && p->product) ab_dump(dump, "a", p->a, dims);
    if (!place(&r, trial->side, trial->offset)) return;
    run_all(&r);
    ab_place_end(&r.place);
    if (!(trial->with & AB_WITH_SPLIT) || ab_outcome_failed(outcome)) return;
    if (!place(&r, trial->side == AB_SIDE_LEFT ? AB_SIDE_RIGHT : AB_SIDE_LEFT, trial->offset ^ 20))
        return;
    const struct ab_range first = image_range(&r, 0);
    check_passes(&r, &first, AB_CHECK_alignment, "counts with operands elsewhere");
    ab_place_end(&r.place);
}

/* The first digit of a whole image, which is what all selections begin with. */
static bool set_up(const struct ab_candidate *candidate, const struct ab_trial *trial,
                   struct ab_setup *setup, struct ab_outcome *outcome)
{
    if (!applies(candidate, trial)) {
        outcome->kind = AB_OUTCOME_UNSUPPORTED;
        return false;
    }
    struct run r = {.p = problem_of(trial, outcome), .kernel = candidate->kernel, .o = outcome};
    if (!r.p || !place(&r, trial->side, trial->offset)) return false;
    *setup = (struct ab_setup){
        .place = r.place, .args = {.select = r.args}, .candidate = candidate, .image = 0};
    setup->args.select.range = image_range(&r, 0);
    setup->args.select.shift = shifts[0];
    setup->out = r.args.hist;
    memset(r.args.hist, 0, BINS * sizeof *r.args.hist);
    return true;
}

/* ---- trials ---- */

static const enum ab_fill fills[] = {
    AB_FILL_INT,    AB_FILL_UINT,      AB_FILL_NORMAL, AB_FILL_RELU, AB_FILL_NONNEG,
    AB_FILL_CANCEL, AB_FILL_LOGNORMAL, AB_FILL_ONEHOT, AB_FILL_RAMP, AB_FILL_DENORMAL,
    AB_FILL_HUGE,   AB_FILL_NEGZERO,   AB_FILL_INF};
enum { FILLS = sizeof fills / sizeof *fills };

static bool fixed(int i, struct ab_trial *t)
{
    int shapes;
    const struct ab_map_shape *shape = ab_map_shapes(&shapes);
    memset(t, 0, sizeof *t);
    t->op = AB_KERNEL_select;
    t->fill = fills[i % FILLS];
    t->f = i / FILLS % 2 ? AB_PW_MUL : AB_PW_COPY;
    if (i < 2 * FILLS * shapes) t->shape.map = shape[i / FILLS / 2];
    t->exponent = i % 5 == 0 ? i % 41 - 20 : 0;
    t->seed = (uint64_t)i + 1;
    t->side = i % 2 ? AB_SIDE_LEFT : AB_SIDE_RIGHT;
    t->offset = i % 16 * 4;
    t->with = i % 3 ? 0 : AB_WITH_SPLIT;
    return i < 2 * FILLS * shapes;
}

static void draw(struct ab_rng *rng, struct ab_trial *t)
{
    memset(t, 0, sizeof *t);
    t->op = AB_KERNEL_select;
    ab_map_shape_draw(rng, &t->shape.map);
    t->fill = fills[ab_rng_between(rng, 0, FILLS - 1)];
    t->f = ab_rng_between(rng, 0, 1) ? AB_PW_MUL : AB_PW_COPY;
    t->exponent = ab_rng_between(rng, 0, 2) ? 0 : ab_rng_between(rng, -20, 20);
    t->seed = ab_rng_next(rng) >> 32;
    t->side = ab_rng_between(rng, 0, 1) ? AB_SIDE_LEFT : AB_SIDE_RIGHT;
    t->offset = ab_rng_between(rng, 0, 15) * 4;
    t->with = ab_rng_between(rng, 0, 1) ? AB_WITH_SPLIT : 0;
}

const struct ab_verify_op ab_verify_op_select = {.name = "select",
                                                 .op = AB_KERNEL_select,
                                                 .fixed = fixed,
                                                 .draw = draw,
                                                 .shrink = ab_map_shrink,
                                                 .shape_parse = ab_map_shape_parse,
                                                 .shape_print = ab_map_shape_print,
                                                 .run = run,
                                                 .set_up = set_up};
