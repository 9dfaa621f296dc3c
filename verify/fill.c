// SPDX-License-Identifier: Apache-2.0
// Random numbers and fills of memory.h.
#include "verify/memory.h"

#include <math.h>
#include <string.h>

struct ab_rng ab_rng_new(uint64_t seed, uint64_t salt)
{
    struct ab_rng r = {seed * 0x9e3779b97f4a7c15u ^ salt};
    ab_rng_next(&r);
    return r;
}

uint64_t ab_rng_next(struct ab_rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double ab_rng_uniform(struct ab_rng *r)
{
    return ((double)(ab_rng_next(r) >> 12) + 0.5) * 0x1p-52;
}

int ab_rng_between(struct ab_rng *r, int lo, int hi)
{
    return lo + (int)(ab_rng_next(r) % (uint64_t)((int64_t)hi - lo + 1));
}

double ab_rng_normal(struct ab_rng *r)
{
    double radius = sqrt(-2.0 * log(ab_rng_uniform(r)));
    return radius * cos(6.283185307179586 * ab_rng_uniform(r));
}

const char *ab_fill_name(enum ab_fill fill)
{
    static const char *const names[] = {"int",    "uint",      "normal", "relu", "nonneg",
                                        "cancel", "lognormal", "onehot", "ramp", "denormal",
                                        "huge",   "negzero",   "nan",    "inf",  "file"};
    return names[fill];
}

bool ab_fill_is_exact(enum ab_fill fill)
{
    return fill == AB_FILL_INT || fill == AB_FILL_UINT || fill == AB_FILL_ONEHOT ||
           fill == AB_FILL_RAMP;
}

static double sign(struct ab_rng *r)
{
    return ab_rng_next(r) >> 63 ? -1.0 : 1.0;
}

/* Any exponent of the subnormal range: the leading bit is as likely in every place. */
static float subnormal(struct ab_rng *r)
{
    uint64_t bits = ab_rng_next(r);
    uint32_t u = (uint32_t)((bits & 0x3fffff) | 0x400000) >> (bits >> 32) % 23;
    u |= (uint32_t)(bits >> 63) << 31;
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

static float draw(enum ab_fill fill, size_t i, float before, struct ab_rng *r)
{
    switch (fill) {
    case AB_FILL_INT: return ab_rng_between(r, 0, 3) ? (float)ab_rng_between(r, -3, 3) : 0.0f;
    case AB_FILL_UINT: return (float)ab_rng_between(r, 0, 3);
    case AB_FILL_RELU: return fmaxf((float)ab_rng_normal(r), 0.0f);
    case AB_FILL_NONNEG: return fabsf((float)ab_rng_normal(r));
    case AB_FILL_CANCEL:
        return (float)(i % 2 ? -before * (1.0 + 0x1p-12 * ab_rng_normal(r)) : ab_rng_normal(r));
    case AB_FILL_LOGNORMAL: return (float)(sign(r) * exp(3.0 * ab_rng_normal(r)));
    case AB_FILL_ONEHOT: return 0.0f;
    case AB_FILL_RAMP: return (float)(i % 251 + 1);
    case AB_FILL_DENORMAL: return subnormal(r);
    case AB_FILL_HUGE: return (float)(sign(r) * 0x1p60 * (0.5 + 0.5 * ab_rng_uniform(r)));
    case AB_FILL_NEGZERO: return ab_rng_next(r) >> 63 ? -0.0f : (float)ab_rng_normal(r);
    case AB_FILL_NORMAL:
    case AB_FILL_NAN:
    case AB_FILL_INF:
    case AB_FILL_FILE:
    case AB_FILLS: break;
    }
    return (float)ab_rng_normal(r);
}

void ab_fill_floats(float *p, size_t count, enum ab_fill fill, struct ab_rng *r,
                    const float *values, size_t n_values)
{
    for (size_t i = 0; i < count; i++)
        p[i] = fill == AB_FILL_FILE && n_values ? values[i % n_values]
                                                : draw(fill, i, i ? p[i - 1] : 0.0f, r);
    bool single = fill == AB_FILL_ONEHOT || fill == AB_FILL_NAN || fill == AB_FILL_INF;
    if (!single || count == 0) return;
    size_t at = (size_t)(ab_rng_next(r) % count);
    if (fill == AB_FILL_ONEHOT) p[at] = 1.0f;
    if (fill == AB_FILL_NAN) p[at] = NAN;
    if (fill == AB_FILL_INF) p[at] = (float)(sign(r) * (double)INFINITY);
}
