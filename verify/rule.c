// SPDX-License-Identifier: Apache-2.0
// The pointwise rules of rule.h, each line from the text of the contract.
#include "verify/rule.h"

#include <math.h>
#include <string.h>

bool ab_rule_reads_a(enum ab_pointwise_kind kind)
{
    switch (kind) {
    case AB_PW_GATE:
    case AB_PW_GUIDED:
    case AB_PW_RECT:
    case AB_PW_MUL:
    case AB_PW_MULDIV:
    case AB_PW_RESCALE:
    case AB_PW_DIVDIFF:
    case AB_PW_ADD:
    case AB_PW_SUB:
    case AB_PW_CAP_GATE:
    case AB_PW_CAP_GUIDED:
    case AB_PW_GUARD_BITS:
    case AB_PW_REST_BITS: return true;
    default: return false;
    }
}

bool ab_rule_reads_z(enum ab_pointwise_kind kind)
{
    return kind == AB_PW_DIV || kind == AB_PW_MULDIV || kind == AB_PW_RESCALE ||
           kind == AB_PW_DIVDIFF;
}

bool ab_rule_reads_bits(enum ab_pointwise_kind kind)
{
    return kind == AB_PW_GATE_BITS || kind == AB_PW_GUIDED_BITS;
}

bool ab_rule_makes_bits(enum ab_pointwise_kind kind)
{
    return kind == AB_PW_RELU_BITS || kind == AB_PW_CAP_BITS || kind == AB_PW_GUARD_BITS ||
           kind == AB_PW_REST_BITS;
}

bool ab_rule_has_cap(enum ab_pointwise_kind kind)
{
    return kind == AB_PW_CAP || kind == AB_PW_CAP_GATE || kind == AB_PW_CAP_GUIDED ||
           kind == AB_PW_CAP_BITS;
}

/* max(x,0) and min(x,0): a masked x leaves +0, NaN stays. */
static float positive_part(float x)
{
    if (isnan(x)) return x;
    return x > 0.0f ? x : 0.0f;
}

/* min(max(x,0), cap) */
static float capped(float x, float cap)
{
    const float positive = positive_part(x);
    return positive >= cap ? cap : positive;
}

static float negative_part(float x)
{
    if (isnan(x)) return x;
    return x < 0.0f ? x : 0.0f;
}

/* z + eps*sgn1(z), -0 counting as positive. */
static float stabilised(float z, float eps)
{
    if (z < 0.0f) return z - eps;
    return z + eps;
}

static float divided(float numerator, float denominator)
{
    if (denominator == 0.0f) return 0.0f;
    return numerator / denominator;
}

static float rescaled(float x, float a, float z)
{
    const float larger = a > z ? a : z, smaller = a > z ? z : a;
    if (!(larger > 0.0f)) return 0.0f;
    if (!(smaller < 0.0f)) return x * (larger / larger);
    return x * (larger / (larger - smaller));
}

/* Rounded once, twice, and once to double on the way. */
static void affine(const struct ab_rule *r, struct ab_ruled *out)
{
    const float add = r->has_add ? r->add : 0.0f, product = r->x * r->mul;
    out->value[0] = fmaf(r->x, r->mul, add);
    out->value[1] = product + add;
    out->value[2] = (float)((double)r->x * (double)r->mul + (double)add);
    out->values = 3;
    out->zero_sign_free = true;
}

static float scaled(const struct ab_rule *r, float x, struct ab_ruled *out)
{
    const float product = r->scale * x;
    if (product == 0.0f) out->zero_sign_free = true;
    return product;
}

static float value_of(const struct ab_rule *r, struct ab_ruled *out)
{
    const float x = r->x, a = r->a;
    switch (r->kind) {
    case AB_PW_RELU:
    case AB_PW_RELU_BITS: return positive_part(x);
    case AB_PW_NEG: return negative_part(x);
    case AB_PW_ABS: return fabsf(x);
    case AB_PW_GATE: return a > 0.0f ? x : 0.0f;
    case AB_PW_GUIDED: return a > 0.0f ? positive_part(x) : 0.0f;
    case AB_PW_RECT: return a * x > r->tau ? x : 0.0f;
    case AB_PW_MUL: return x * a;
    case AB_PW_DIV: return divided(scaled(r, x, out), stabilised(r->z, r->eps));
    case AB_PW_MULDIV: return divided(scaled(r, x * a, out), stabilised(r->z, r->eps));
    case AB_PW_RESCALE: return rescaled(x, a, r->z);
    case AB_PW_DIVDIFF: return divided(x, a - r->z);
    case AB_PW_ADD: return x + a;
    case AB_PW_SUB: return x - a;
    case AB_PW_SCALE: return scaled(r, x, out);
    case AB_PW_CAP:
    case AB_PW_CAP_BITS: return capped(x, r->scale);
    case AB_PW_CAP_GATE: return a > 0.0f && a < r->scale ? x : 0.0f;
    case AB_PW_CAP_GUIDED: return a > 0.0f && a < r->scale ? positive_part(x) : 0.0f;
    case AB_PW_GATE_BITS: return r->bit ? x : 0.0f;
    case AB_PW_GUIDED_BITS: return r->bit ? positive_part(x) : 0.0f;
    case AB_PW_REST_BITS: return a > 0.0f ? a - x : 0.0f;
    case AB_PW_AFFINE:
    case AB_PW_COPY:
    case AB_PW_GUARD_BITS:
    case AB_PW_COUNT: break;
    }
    return x;
}

struct ab_ruled ab_rule_apply(const struct ab_rule *r)
{
    struct ab_ruled out = {.values = 1};
    if (r->kind == AB_PW_AFFINE)
        affine(r, &out);
    else
        out.value[0] = value_of(r, &out);
    if (r->kind == AB_PW_RELU_BITS) out.bit = out.value[0] > 0.0f;
    if (r->kind == AB_PW_CAP_BITS) out.bit = out.value[0] > 0.0f && out.value[0] < r->scale;
    if (r->kind == AB_PW_GUARD_BITS || r->kind == AB_PW_REST_BITS)
        out.bit = !(fabsf(r->a) <= fabsf(r->scale * out.value[0]));
    return out;
}

bool ab_ruled_admits(const struct ab_ruled *want, float got)
{
    for (int i = 0; i < want->values; i++) {
        const float v = want->value[i];
        if (isnan(v) && isnan(got)) return true;
        if (memcmp(&v, &got, sizeof v) == 0) return true;
        if (want->zero_sign_free && v == 0.0f && got == 0.0f) return true;
    }
    return false;
}
