// SPDX-License-Identifier: Apache-2.0
// Setters of the parameters that methods share.
#include "method/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A finite number in [low, high] and nothing behind it. */
static bool number(const char *text, double low, double high, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*value) && *value >= low && *value <= high;
}

static bool set_number(const char *text, double low, double high, float *to)
{
    double value;
    if (!number(text, low, high, &value)) return false;
    *to = (float)value;
    return true;
}

/* The index of `text` among `words`, or -1. */
static int choice(const char *text, const char *const *words, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) return i;
    }
    return -1;
}

bool ab_set_eps(struct ab_composite *c, const char *text)
{
    float eps;
    if (!set_number(text, 0, 1e30, &eps)) return false;
    for (int i = 0; i < AB_POSITIONS; i++) c->rule[i].eps = eps;
    return true;
}

bool ab_set_norm_eps(struct ab_composite *c, const char *text)
{
    return set_number(text, 0, 1e30, &c->norm_eps);
}

bool ab_set_alpha(struct ab_composite *c, const char *text)
{
    float alpha;
    if (!set_number(text, 1, 1e6, &alpha)) return false;
    for (int i = 0; i < AB_POSITIONS; i++) c->rule[i].alpha = alpha;
    return true;
}

bool ab_set_beta(struct ab_composite *c, const char *text)
{
    float beta;
    if (!set_number(text, 0, 1e6, &beta)) return false;
    for (int i = 0; i < AB_POSITIONS; i++) c->rule[i].beta = beta;
    return true;
}

bool ab_set_bias(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"plus", "none", "signed"};
    const int i = choice(text, words, AB_COUNT(words));
    if (i < 0) return false;
    for (int p = 0; p < AB_POSITIONS; p++) c->rule[p].bias = (enum ab_bias_rule)i;
    return true;
}

bool ab_set_signed_input(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"split", "naive"};
    const int i = choice(text, words, AB_COUNT(words));
    if (i < 0) return false;
    for (int p = 0; p < AB_POSITIONS; p++) c->rule[p].naive_sign = i == 1;
    return true;
}

/* "v" or "v/v/...", one value per channel. */
static bool set_bounds(const char *text, float *to, int *count)
{
    *count = 0;
    for (;;) {
        char *end;
        const double value = strtod(text, &end);
        if (end == text || !isfinite(value) || *count == AB_MAX_CHANNEL_BOUNDS) return false;
        to[(*count)++] = (float)value;
        if (*end == '\0') return true;
        if (*end != '/') return false;
        text = end + 1;
    }
}

bool ab_set_low(struct ab_composite *c, const char *text)
{
    return set_bounds(text, c->rule[AB_POS_FIRST].low, &c->rule[AB_POS_FIRST].n_low);
}

bool ab_set_high(struct ab_composite *c, const char *text)
{
    return set_bounds(text, c->rule[AB_POS_FIRST].high, &c->rule[AB_POS_FIRST].n_high);
}

bool ab_set_q(struct ab_composite *c, const char *text)
{
    return number(text, 0, 100, &c->q);
}

bool ab_set_tau_floor(struct ab_composite *c, const char *text)
{
    if (strcmp(text, "none") == 0) {
        c->tau_floor = -INFINITY;
        return true;
    }
    return set_number(text, -1e30, 1e30, &c->tau_floor);
}

bool ab_set_input_mul(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"0", "1"};
    const int i = choice(text, words, AB_COUNT(words));
    c->input_mul = i == 1;
    return i >= 0;
}

bool ab_set_seed(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"one", "logit", "logit+"};
    const int i = choice(text, words, AB_COUNT(words));
    if (i >= 0) c->seed = (enum ab_seed)i;
    return i >= 0;
}

bool ab_set_unknown(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"error", "pass"};
    const int i = choice(text, words, AB_COUNT(words));
    c->unknown_pass = i == 1;
    return i >= 0;
}
