// SPDX-License-Identifier: Apache-2.0
// Which dense layers are tried: shape texts, the fixed set, random ones, simpler ones.
#include "verify/dense.h"
#include "verify/fields.h"

#include <stddef.h>

/* ---- text ---- */

enum { FIELDS = 3 };

static void fields_of(struct ab_trial *t, struct ab_field f[FIELDS])
{
    struct ab_dense_shape *s = &t->shape.dense;
    f[0] = (struct ab_field){"n", {&s->n}, 1, 1, 1};
    f[1] = (struct ab_field){"i", {&s->in}, 1, 1, 0};
    f[2] = (struct ab_field){"o", {&s->out}, 1, 1, 0};
}

bool ab_dense_shape_parse(const char *text, struct ab_trial *trial, struct ab_error *err)
{
    struct ab_field f[FIELDS];
    const struct ab_dense_shape *s = &trial->shape.dense;
    fields_of(trial, f);
    if (!ab_fields_parse(text, f, FIELDS, 0, NULL, err)) return false;
    if ((long)s->in * s->out <= 1l << 28 && (long)s->n * (s->in + s->out) <= 1l << 28) return true;
    ab_fail(err, AB_ERR_ARG, "shape \"%s\" has more than 2^28 numbers; take a smaller one", text);
    return false;
}

void ab_dense_shape_print(const struct ab_trial *trial, char *text, size_t size)
{
    struct ab_trial copy = *trial;
    struct ab_field f[FIELDS];
    fields_of(&copy, f);
    f[0].assumed = 0; /* n is always written */
    ab_fields_print(f, FIELDS, text, size);
}

/* ---- the fixed set ---- */

/* One, the vector widths and twice them, +-1; rows in groups of 8 and 4, blocks of 32 rows, chunks
 * of 512 columns, +-1. */
static const struct {
    int in, out;
} shapes[] = {{1, 1},    {1, 9},   {2, 3},    {3, 40},  {5, 3},    {7, 8},   {8, 7},
              {15, 4},   {16, 8},  {17, 9},   {31, 5},  {32, 16},  {33, 12}, {48, 1},
              {63, 11},  {64, 21}, {65, 31},  {100, 7}, {127, 32}, {128, 4}, {129, 33},
              {257, 35}, {511, 6}, {513, 65}, {2053, 3}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Kinds of vectors. */
enum { EPILOGUES = AB_PW_AFFINE + 1 };

static void put(struct ab_trial *t, int n, int in, int out, int i)
{
    t->shape.dense = (struct ab_dense_shape){n, in, out};
    t->pass = i % 2 ? AB_BWD : AB_FWD;
    t->side = i / 2 % 2 ? AB_SIDE_LEFT : AB_SIDE_RIGHT;
    t->offset = i * 7 % 16 * 4;
    t->seed = (uint64_t)i + 1;
}

/* Every shape forward and backward, the other choices in turn. */
static void of_shape(struct ab_trial *t, int i)
{
    static const enum ab_fill fills[] = {AB_FILL_INT, AB_FILL_NORMAL, AB_FILL_RELU, AB_FILL_CANCEL,
                                         AB_FILL_UINT};
    const int s = i / 2;
    put(t, 1 + s % 5, shapes[s].in, shapes[s].out, i);
    t->fill = fills[s % 5];
    t->wmod = (enum ab_wmod)(i * 3 % AB_W_COUNT);
    t->f = i % 3 == 0 ? (enum ab_pointwise_kind)(i * 5 % EPILOGUES) : AB_PW_COPY;
    t->with = AB_WITH_SPLIT | (s % 3 != 0 ? AB_WITH_BIAS : 0u) | (s % 2 ? AB_WITH_ADD : 0u) |
              (i % 4 < 2 ? AB_WITH_CHAIN : 0u);
}

static void of_fill(struct ab_trial *t, int i)
{
    put(t, 3, 75, 37, i);
    t->fill = (enum ab_fill)(i / 2);
    t->wmod = t->fill == AB_FILL_LOGNORMAL ? AB_W_ABS : AB_W_ALL;
    t->with = AB_WITH_BIAS;
}

static void of_wmod(struct ab_trial *t, int i)
{
    put(t, 2, 70, 44, i);
    t->wmod = (enum ab_wmod)(i / 2 % AB_W_COUNT);
    t->fill = i / 2 / AB_W_COUNT ? AB_FILL_NORMAL : AB_FILL_INT;
    t->exponent = t->fill == AB_FILL_INT ? 20 : -20;
    t->with = AB_WITH_CHAIN;
}

static void of_epilogue(struct ab_trial *t, int i)
{
    put(t, 4, 19, 53, i);
    t->f = (enum ab_pointwise_kind)(i / 2 % EPILOGUES);
    t->fill = i / 2 / EPILOGUES ? AB_FILL_NORMAL : AB_FILL_INT;
    t->with = i % 3 ? AB_WITH_ADD | AB_WITH_SPLIT : AB_WITH_BIAS;
}

/* Weights beyond the caches, which are walked in other ways: by far rows for one sample or two, by
 * blocks for more and in chains. Of the last block 19 rows are left, two groups and three; of the
 * last chunk 93 columns, of which every loop over columns gets some. */
static void of_large(struct ab_trial *t, int i)
{
    static const int samples[] = {1, 2, 15, 15, 9};
    put(t, samples[i], 2141, 2963, i);
    t->fill = i == 2 ? AB_FILL_NORMAL : AB_FILL_INT;
    t->with = (i == 2 || i == 3 ? AB_WITH_SPLIT : 0u) | (i && i != 2 ? AB_WITH_CHAIN : 0u);
}

bool ab_dense_fixed(int i, enum ab_kernel_op op, struct ab_trial *trial)
{
    static const struct {
        int count;
        void (*make)(struct ab_trial *t, int i);
    } sets[] = {{2 * SHAPES, of_shape},
                {2 * AB_FILL_FILE, of_fill},
                {4 * AB_W_COUNT, of_wmod},
                {4 * EPILOGUES, of_epilogue},
                {5, of_large}};
    /* Double precision has one walk. */
    const size_t used = sizeof sets / sizeof *sets - (op == AB_KERNEL_dense_f64);
    for (size_t s = 0; s < used; i -= sets[s++].count) {
        if (i >= sets[s].count) continue;
        sets[s].make(trial, i);
        trial->op = op;
        return true;
    }
    return false;
}

/* ---- random ones ---- */

void ab_dense_draw(struct ab_rng *rng, struct ab_trial *t)
{
    const int most = ab_rng_between(rng, 0, 9) ? 80 : 700;
    t->shape.dense = (struct ab_dense_shape){
        ab_rng_between(rng, 1, 9), ab_rng_between(rng, 1, most), ab_rng_between(rng, 1, most)};
    t->pass = ab_rng_between(rng, 0, 1) ? AB_BWD : AB_FWD;
    t->wmod = (enum ab_wmod)ab_rng_between(rng, 0, AB_W_COUNT - 1);
    t->fill = (enum ab_fill)ab_rng_between(rng, 0, AB_FILL_FILE - 1);
    t->f = ab_rng_between(rng, 0, 1) ? (enum ab_pointwise_kind)ab_rng_between(rng, 0, EPILOGUES - 1)
                                     : AB_PW_COPY;
    t->exponent = ab_rng_between(rng, 0, 2) ? 0 : ab_rng_between(rng, -20, 20);
    t->seed = ab_rng_next(rng) >> 32;
    t->side = ab_rng_between(rng, 0, 1) ? AB_SIDE_LEFT : AB_SIDE_RIGHT;
    t->offset = ab_rng_between(rng, 0, 15) * 4;
    t->with =
        (unsigned)ab_rng_between(rng, 0, 7) | (ab_rng_between(rng, 0, 1) ? AB_WITH_SPLIT : 0u);
}

bool ab_dense_shrink(const struct ab_trial *trial, int k, struct ab_trial *smaller)
{
    static const size_t dims[] = {offsetof(struct ab_trial, shape.dense.n),
                                  offsetof(struct ab_trial, shape.dense.in),
                                  offsetof(struct ab_trial, shape.dense.out)};
    return ab_trial_simpler(trial, dims, 3, k, smaller);
}
