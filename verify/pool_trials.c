// SPDX-License-Identifier: Apache-2.0
// Which poolings are tried: shape texts, the fixed set, random ones, simpler ones.
#include "verify/fields.h"
#include "verify/pool.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- text ---- */

enum { FIELDS = 10 };

static void fields_of(struct ab_trial *t, struct ab_field f[FIELDS])
{
    struct ab_pool_shape *s = &t->shape.pool;
    const struct ab_field all[FIELDS] = {
        {"n", {&s->n}, 1, 1, 1},
        {"c", {&s->c}, 1, 1, 0},
        {"ih", {&s->ih}, 1, 1, 0},
        {"iw", {&s->iw}, 1, 1, 0},
        {"oh", {&s->oh}, 1, 0, 0}, /* 0: as many as fit */
        {"ow", {&s->ow}, 1, 0, 0},
        {"k", {&s->kh, &s->kw}, 2, 1, 0},
        {"s", {&s->sh, &s->sw}, 2, 1, 1},
        {"d", {&s->dh, &s->dw}, 2, 1, 1},
        {"p", {&s->pt, &s->pl, &s->pb, &s->pr}, 4, 0, 0},
    };
    memcpy(f, all, sizeof all);
}

static int fits(int in, int k, int stride, int dilation, int pads)
{
    const int room = in + pads - (dilation * (k - 1) + 1);
    return room < 0 ? 0 : room / stride + 1;
}

static int outputs_down(const struct ab_pool_shape *s)
{
    return fits(s->ih, s->kh, s->sh, s->dh, s->pt + s->pb);
}

static int outputs_across(const struct ab_pool_shape *s)
{
    return fits(s->iw, s->kw, s->sw, s->dw, s->pl + s->pr);
}

/* A maximum or an average of nothing is not defined. Windows are the product of rows and columns,
 * and their ends decide: but dilation can step over the image, so that all are looked at. */
static bool windows_have_taps(const struct ab_pool_shape *s)
{
    for (int oy = 0; oy < s->oh; oy++)
        for (int ox = 0; ox < s->ow; ox++)
            if (ab_pool_first_tap(s, oy, ox) < 0) return false;
    return true;
}

static bool is_valid(const struct ab_pool_shape *s)
{
    const double taps = (double)s->kh * s->kw, maps = (double)s->n * s->c;
    return s->n > 0 && s->c > 0 && s->oh > 0 && s->ow > 0 && taps <= 65535.0 &&
           maps * s->ih * s->iw <= 0x1p26 && maps * s->oh * s->ow * taps <= 0x1p30 &&
           windows_have_taps(s);
}

bool ab_pool_shape_parse(const char *text, struct ab_trial *trial, struct ab_error *err)
{
    struct ab_field f[FIELDS];
    struct ab_pool_shape *s = &trial->shape.pool;
    fields_of(trial, f);
    if (!ab_fields_parse(text, f, FIELDS, 'e', &s->include_pad, err)) return false;
    if (s->oh == 0) s->oh = outputs_down(s);
    if (s->ow == 0) s->ow = outputs_across(s);
    if (is_valid(s)) return true;
    ab_fail(err, AB_ERR_ARG,
            "shape \"%s\": there are windows without a pixel of the image, or too many pixels; "
            "change oh, ow or p",
            text);
    return false;
}

void ab_pool_shape_print(const struct ab_trial *trial, char *text, size_t size)
{
    struct ab_trial copy = *trial;
    struct ab_field f[FIELDS];
    fields_of(&copy, f);
    f[0].assumed = 0; /* n is always written */
    ab_fields_print(f, FIELDS, text, size);
    const size_t used = strlen(text);
    if (trial->shape.pool.include_pad && used < size) snprintf(text + used, size - used, "e");
}

/* ---- the fixed set ---- */

/* n c ih iw oh ow kh kw sh sw dh dw pt pl pb pr include_pad; ceil mode: oh, ow one larger than the
 * floor of the division. */
static const struct ab_pool_shape shapes[] = {
    {1, 16, 4, 4, 2, 2, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, false},
    {2, 20, 7, 9, 3, 4, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, false},
    {1, 33, 7, 9, 4, 5, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, true}, /* ceil */
    {2, 5, 9, 11, 5, 6, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, false},
    {1, 16, 9, 11, 5, 6, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, true},
    {1, 40, 8, 10, 5, 6, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, true}, /* ceil, past the padded image */
    {1, 17, 6, 6, 3, 3, 3, 3, 2, 2, 1, 1, 0, 0, 0, 0, true},  /* ceil without padding */
    {3, 16, 5, 6, 5, 6, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, false},
    {1, 3, 5, 5, 1, 1, 5, 5, 1, 1, 1, 1, 0, 0, 0, 0, false}, /* global */
    {2, 48, 4, 5, 1, 1, 4, 5, 4, 5, 1, 1, 0, 0, 0, 0, true},
    {1, 16, 9, 8, 5, 3, 3, 2, 1, 2, 2, 3, 0, 1, 0, 1, false},  /* dilated */
    {1, 16, 7, 10, 2, 3, 2, 3, 4, 4, 1, 1, 0, 1, 0, 0, false}, /* gaps between windows */
    {1, 18, 6, 7, 6, 3, 1, 5, 1, 2, 1, 1, 0, 2, 0, 1, true},
    {1, 16, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, false},
    {2, 16, 4, 6, 2, 2, 2, 3, 2, 3, 1, 1, 0, 0, 0, 0, false},
    {1, 15, 5, 5, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, true},  /* a tiling that begins outside */
    {2, 17, 8, 9, 4, 5, 2, 2, 2, 2, 1, 1, 0, 1, 0, 0, false}, /* outside at the left alone */
    {1, 16, 7, 7, 5, 5, 3, 3, 1, 1, 1, 1, 0, 0, 0, 0, false}, /* 3x3 without borders */
    {1, 9, 6, 8, 6, 8, 5, 5, 1, 1, 1, 1, 2, 2, 2, 2, true},   /* overlaps of 25 */
    {1, 31, 8, 8, 3, 3, 2, 2, 3, 3, 1, 1, 0, 0, 0, 0, false}, /* gaps, rest at the end */
    {3, 1, 12, 5, 4, 2, 3, 2, 3, 2, 1, 1, 0, 0, 0, 0, false}, /* rows that ranges may cut */
    {1, 64, 7, 7, 1, 1, 7, 7, 1, 1, 1, 1, 0, 0, 0, 0, false}, /* global, no exact divisor */
    {1, 16, 6, 9, 3, 4, 4, 4, 2, 2, 1, 1, 1, 1, 1, 1, false}, /* even overlap */
    {2, 8, 5, 11, 2, 3, 2, 2, 2, 3, 2, 3, 0, 0, 0, 0, false}, /* dilated, tiling by strides */
    {1, 19, 6, 7, 6, 4, 3, 4, 1, 2, 1, 1, 0, 1, 1, 3,
     true}, /* counted: more at the right than below */
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static const enum ab_pointwise_kind epilogues[] = {
    AB_PW_COPY, AB_PW_RELU,     AB_PW_NEG,       AB_PW_ABS,    AB_PW_GATE,      AB_PW_GUIDED,
    AB_PW_RECT, AB_PW_MUL,      AB_PW_DIV,       AB_PW_MULDIV, AB_PW_RESCALE,   AB_PW_DIVDIFF,
    AB_PW_ADD,  AB_PW_SUB,      AB_PW_SCALE,     AB_PW_AFFINE, AB_PW_GATE_BITS, AB_PW_GUIDED_BITS,
    AB_PW_CAP,  AB_PW_CAP_GATE, AB_PW_CAP_GUIDED};
enum { EPILOGUES = sizeof epilogues / sizeof *epilogues };

static void put(struct ab_trial *t, int shape, enum ab_pass pass, int i)
{
    t->shape.pool = shapes[shape];
    t->pass = pass;
    t->side = i % 2 ? AB_SIDE_LEFT : AB_SIDE_RIGHT;
    t->offset = i * 3 % 16 * 4;
    t->seed = (uint64_t)i + 1;
}

/* Every shape forward and backward, on integers and on real numbers. */
static void of_shape(struct ab_trial *t, int i)
{
    static const enum ab_fill real[] = {AB_FILL_NORMAL, AB_FILL_RELU, AB_FILL_CANCEL,
                                        AB_FILL_LOGNORMAL};
    put(t, i / 4, i % 2 ? AB_BWD : AB_FWD, i);
    /* The largest of many small integers is the same everywhere. */
    const bool single = t->shape.pool.oh * t->shape.pool.ow == 1;
    t->fill = i / 2 % 2 ? real[i / 4 % 4] : single ? AB_FILL_RAMP : AB_FILL_INT;
    t->with = AB_WITH_SPLIT;
    t->exponent = i % 5 == 0 ? 20 : i % 7 == 0 ? -20 : 0;
}

static void of_fill(struct ab_trial *t, int i)
{
    static const int several[] = {3, 7, 1, 10};
    const enum ab_fill fill = (enum ab_fill)(i / 2 % AB_FILL_FILE);
    /* Of these the first has windows everywhere. */
    put(t, several[fill == AB_FILL_ONEHOT ? 0 : i / 2 % 4], i % 2 ? AB_BWD : AB_FWD, i);
    t->fill = fill;
}

static void of_epilogue(struct ab_trial *t, int i)
{
    static const int several[] = {1, 3, 11};
    put(t, several[i % 3], AB_BWD, i);
    t->f = epilogues[i / 3];
    t->fill = i % 2 ? AB_FILL_NORMAL : AB_FILL_INT;
    t->with = i % 4 == 0 ? AB_WITH_SPLIT : 0;
}

bool ab_pool_fixed(int i, enum ab_kernel_op op, struct ab_trial *trial)
{
    static const struct {
        int count;
        void (*make)(struct ab_trial *t, int i);
    } sets[] = {{4 * SHAPES, of_shape}, {4 * AB_FILL_FILE, of_fill}, {3 * EPILOGUES, of_epilogue}};
    for (size_t s = 0; s < sizeof sets / sizeof *sets; i -= sets[s++].count) {
        if (i >= sets[s].count) continue;
        sets[s].make(trial, i);
        trial->op = op;
        return true;
    }
    return false;
}

/* ---- random ones ---- */

static void draw_side(struct ab_rng *rng, int most, int *in, int *k, int *stride, int *dilation,
                      int *before, int *after)
{
    *k = ab_rng_between(rng, 1, 5);
    *stride = ab_rng_between(rng, 0, 2) ? ab_rng_between(rng, 1, 4) : *k;
    *dilation = ab_rng_between(rng, 0, 4) ? 1 : ab_rng_between(rng, 1, 3);
    *before = ab_rng_between(rng, 0, *k - 1);
    *after = ab_rng_between(rng, 0, *k - 1);
    *in = ab_rng_between(rng, 1, most);
}

static void draw_shape(struct ab_rng *rng, struct ab_pool_shape *s)
{
    *s = (struct ab_pool_shape){.n = ab_rng_between(rng, 1, 3), .c = ab_rng_between(rng, 1, 50)};
    draw_side(rng, 20, &s->ih, &s->kh, &s->sh, &s->dh, &s->pt, &s->pb);
    draw_side(rng, 40, &s->iw, &s->kw, &s->sw, &s->dw, &s->pl, &s->pr);
    s->oh = outputs_down(s) + ab_rng_between(rng, 0, 1);
    s->ow = outputs_across(s) + ab_rng_between(rng, 0, 1);
    s->include_pad = ab_rng_between(rng, 0, 1);
}

void ab_pool_draw(struct ab_rng *rng, struct ab_trial *t)
{
    do {
        draw_shape(rng, &t->shape.pool);
    } while (!is_valid(&t->shape.pool));
    t->pass = ab_rng_between(rng, 0, 1) ? AB_BWD : AB_FWD;
    t->fill = (enum ab_fill)ab_rng_between(rng, 0, AB_FILL_FILE - 1);
    if (t->pass == AB_BWD && ab_rng_between(rng, 0, 1))
        t->f = epilogues[ab_rng_between(rng, 0, EPILOGUES - 1)];
    t->exponent = ab_rng_between(rng, 0, 2) ? 0 : ab_rng_between(rng, -20, 20);
    t->seed = ab_rng_next(rng) >> 32;
    t->side = ab_rng_between(rng, 0, 1) ? AB_SIDE_LEFT : AB_SIDE_RIGHT;
    t->offset = ab_rng_between(rng, 0, 15) * 4;
    t->with = ab_rng_between(rng, 0, 1) ? AB_WITH_SPLIT : 0;
}

/* Outputs follow from the other sizes, ceil mode kept where it is still possible. */
static bool mend(struct ab_pool_shape *s)
{
    const int down = outputs_down(s), across = outputs_across(s);
    if (s->oh > down + 1) s->oh = down + 1;
    if (s->ow > across + 1) s->ow = across + 1;
    return is_valid(s);
}

bool ab_pool_shrink(const struct ab_trial *trial, int k, struct ab_trial *smaller)
{
    static const size_t dims[] = {
        offsetof(struct ab_trial, shape.pool.n),  offsetof(struct ab_trial, shape.pool.c),
        offsetof(struct ab_trial, shape.pool.ih), offsetof(struct ab_trial, shape.pool.iw),
        offsetof(struct ab_trial, shape.pool.oh), offsetof(struct ab_trial, shape.pool.ow),
        offsetof(struct ab_trial, shape.pool.kh), offsetof(struct ab_trial, shape.pool.kw)};
    for (int i = 0;; i++) {
        if (!ab_trial_simpler(trial, dims, sizeof dims / sizeof *dims, i, smaller)) return false;
        if (mend(&smaller->shape.pool) && k-- == 0) return true;
    }
}
