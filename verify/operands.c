// SPDX-License-Identifier: Apache-2.0
// Operands of trials: operands.h.
#include "verify/operands.h"
#include "verify/rule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- fills ---- */

double ab_signal_scale(const struct ab_trial *trial)
{
    if (trial->fill == AB_FILL_DENORMAL || trial->fill == AB_FILL_HUGE) return 1.0;
    return ldexp(1.0, trial->exponent);
}

static void scale_all(float *p, size_t count, const struct ab_trial *trial)
{
    const float by = (float)ab_signal_scale(trial);
    for (size_t i = 0; i < count && by != 1.0f; i++) p[i] *= by;
}

void ab_fill_signal(float *p, size_t count, size_t size, const struct ab_trial *trial,
                    const struct ab_file_values *file, struct ab_rng *rng)
{
    const bool single =
        trial->fill == AB_FILL_NAN || trial->fill == AB_FILL_INF || trial->fill == AB_FILL_FILE;
    if (single) ab_fill_floats(p, count * size, trial->fill, rng, file->values, file->count);
    for (size_t i = 0; i < count && !single; i++)
        ab_fill_floats(p + i * size, size, trial->fill, rng, NULL, 0);
    scale_all(p, count * size, trial);
}

/* A product of two huge values is near 2^120: some more than a hundred may be added. */
enum { HUGE_PRODUCTS = 64 };

static enum ab_fill fill_of_weights(const struct ab_trial *trial, size_t products)
{
    switch (trial->fill) {
    case AB_FILL_ONEHOT: return AB_FILL_RAMP;
    case AB_FILL_RAMP: return AB_FILL_INT;
    case AB_FILL_INT:
    case AB_FILL_UINT:
    case AB_FILL_LOGNORMAL: return trial->fill;
    case AB_FILL_HUGE:
        return trial->wmod == AB_W_SQUARE || trial->wmod == AB_W_GAMMA || products > HUGE_PRODUCTS
                   ? AB_FILL_NORMAL
                   : AB_FILL_HUGE;
    default: return AB_FILL_NORMAL;
    }
}

void ab_fill_weights(float *p, size_t count, const struct ab_trial *trial, size_t products,
                     struct ab_rng *rng)
{
    ab_fill_floats(p, count, fill_of_weights(trial, products), rng, NULL, 0);
}

void ab_fill_others(float *p, size_t count, const struct ab_trial *trial, struct ab_rng *rng)
{
    const enum ab_fill fill = trial->fill;
    const bool keep = fill == AB_FILL_DENORMAL || fill == AB_FILL_HUGE || fill == AB_FILL_NEGZERO;
    const enum ab_fill plain = ab_fill_is_exact(fill) ? AB_FILL_INT : AB_FILL_NORMAL;
    ab_fill_floats(p, count, keep ? fill : plain, rng, NULL, 0);
    scale_all(p, count, trial);
}

/* ---- files ---- */

bool ab_file_values_read(struct ab_file_values *v, const struct ab_trial *trial,
                         struct ab_outcome *outcome)
{
    *v = (struct ab_file_values){NULL, 0};
    if (trial->fill != AB_FILL_FILE) return true;
    struct ab_error err;
    if (ab_npy_values(trial->file, &v->values, &v->count, &err) == AB_OK) return true;
    outcome->kind = AB_OUTCOME_SKIPPED;
    snprintf(outcome->why, sizeof outcome->why, "%.*s", (int)sizeof outcome->why - 1, err.text);
    return false;
}

void ab_file_values_free(struct ab_file_values *v)
{
    free(v->values);
    *v = (struct ab_file_values){NULL, 0};
}

/* ---- epilogues ---- */

static float *floats_new(size_t count)
{
    return calloc(count + 1, sizeof(float));
}

/* One in eight is a threshold or next to one. */
static void sprinkle(float *p, size_t count, struct ab_rng *rng)
{
    static const float special[] = {0.0f, -0.0f, 0x1p-149f, -0x1p-149f};
    for (size_t i = 0; i < count; i++)
        if (ab_rng_between(rng, 0, 7) == 0) p[i] = special[ab_rng_between(rng, 0, 3)];
}

/* Signals that are not finite meet operands that are not. */
static void sprinkle_special(float *p, size_t count, enum ab_fill fill, struct ab_rng *rng)
{
    static const float special[] = {NAN, INFINITY, -INFINITY};
    const int from = fill == AB_FILL_NAN ? 0 : 1;
    if (fill != AB_FILL_NAN && fill != AB_FILL_INF) return;
    for (size_t i = 0; i < count; i++)
        if (ab_rng_between(rng, 0, 7) == 0) p[i] = special[ab_rng_between(rng, from, 2)];
}

bool ab_epilogue_new(struct ab_epilogue *e, const struct ab_trial *trial, size_t count, int n,
                     int channels, struct ab_rng *rng)
{
    static const float scales[] = {1.0f, -2.5f, 3.0f, 0.5f}, stabilisers[] = {0.25f, 0.0f, 1e-9f};
    *e = (struct ab_epilogue){.kind = trial->f,
                              .eps = stabilisers[ab_rng_between(rng, 0, 2)],
                              .scale = scales[ab_rng_between(rng, 0, 3)],
                              .has_add = ab_rng_between(rng, 0, 3) != 0};
    if (ab_rule_has_cap(e->kind)) e->scale = fabsf(e->scale);
    e->a = floats_new(count);
    e->z = floats_new(count);
    e->tau = floats_new((size_t)n);
    e->mul = floats_new((size_t)channels);
    e->add = floats_new((size_t)channels);
    e->bit = calloc(count + 1, 1);
    if (!e->a || !e->z || !e->tau || !e->mul || !e->add || !e->bit) return false;
    ab_fill_others(e->a, count, trial, rng);
    ab_fill_others(e->z, count, trial, rng);
    sprinkle(e->a, count, rng);
    sprinkle(e->z, count, rng);
    sprinkle_special(e->a, count, trial->fill, rng);
    sprinkle_special(e->z, count, trial->fill, rng);
    for (size_t i = 0; i < count; i++) {
        e->bit[i] = (unsigned char)ab_rng_between(rng, 0, 1);
        if (ab_rng_between(rng, 0, 7) == 0) e->z[i] = e->a[i];
    }
    for (int i = 0; i < n; i++) e->tau[i] = (float)ab_rng_between(rng, -3, 3);
    ab_fill_others(e->mul, (size_t)channels, trial, rng);
    ab_fill_others(e->add, (size_t)channels, trial, rng);
    return true;
}

void ab_epilogue_free(struct ab_epilogue *e)
{
    free(e->a);
    free(e->z);
    free(e->tau);
    free(e->mul);
    free(e->add);
    free(e->bit);
    *e = (struct ab_epilogue){0};
}

static struct ab_ruled rule_at(const struct ab_epilogue *e, size_t i, int n, int c, float x)
{
    const struct ab_rule rule = {.kind = e->kind,
                                 .eps = e->eps,
                                 .scale = e->scale,
                                 .x = x,
                                 .a = e->a[i],
                                 .z = e->z[i],
                                 .tau = e->tau[n],
                                 .mul = e->mul[c],
                                 .add = e->add[c],
                                 .has_add = e->has_add,
                                 .bit = e->bit[i]};
    return ab_rule_apply(&rule);
}

bool ab_epilogue_admits(const struct ab_epilogue *e, size_t i, int n, int c, float x, float got)
{
    const struct ab_ruled want = rule_at(e, i, n, c, x);
    return ab_ruled_admits(&want, got);
}

bool ab_epilogue_bit(const struct ab_epilogue *e, size_t i, int n, int c, float x)
{
    return rule_at(e, i, n, c, x).bit;
}

/* ---- bounds ---- */

bool ab_truth_is_exact(const struct ab_truth *truth, const struct ab_trial *trial, double unit)
{
    if (!ab_fill_is_exact(trial->fill)) return false;
    double most = 0.0;
    for (size_t i = 0; i < truth->count; i++) most = fmax(most, truth->magnitude[i]);
    return most <= 0x1p24 * unit * ab_signal_scale(trial);
}

struct ab_accumulation ab_accumulation_of(const struct ab_candidate *c, bool exact)
{
    struct ab_accumulation how = {
        .u = 0x1p-24, .least = 0x1p-149, .kernel = c->kernel, .exact = exact};
    if (c->foreign) {
        how.chain = c->foreign->chain;
        how.exact = exact && c->foreign->amplification == 0.0;
    }
    return how;
}
