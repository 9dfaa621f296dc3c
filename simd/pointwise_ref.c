// SPDX-License-Identifier: Apache-2.0
// Pointwise rules, the definition: one element at a time in double. Numerators and the stabilised
// denominator are rounded to float first, as the contract says.
#include <math.h>

#include "kernels.h"

static double quotient(float num, float z, float eps)
{
    float st = z + (z < 0.0f ? -eps : eps);
    return st == 0.0f ? 0.0 : (double)num / (double)st;
}

static double rescale(double x, float a, float z)
{
    const float t = a > z ? a : z, b = a > z ? z : a, span = t - (b < 0.0f ? b : 0.0f);
    return t > 0.0f ? x * (double)(float)((double)t / (double)span) : 0.0;
}

/* x, a, z: the operands; c: the channel. The stabiliser is formed in float, as its sign and its
 * zero decide. Adding +0 keeps padding lanes +0 under a negative scale. */
static double rule(const struct ab_pointwise *f, int n, int c, double x, double a, float z)
{
    const double scale = (double)f->scale;
    switch (f->kind) {
    case AB_PW_COPY: return x;
    case AB_PW_RELU: return x <= 0.0 ? 0.0 : x;
    case AB_PW_NEG: return x >= 0.0 ? 0.0 : x;
    case AB_PW_ABS: return fabs(x);
    case AB_PW_GATE: return a > 0.0 ? x : 0.0;
    case AB_PW_GUIDED: return a > 0.0 && !(x <= 0.0) ? x : 0.0;
    case AB_PW_RECT: return (float)(a * x) > f->tau[n] ? x : 0.0;
    case AB_PW_MUL: return x * a;
    case AB_PW_DIV: return quotient((float)(scale * x + 0.0), z, f->eps);
    case AB_PW_MULDIV: return quotient((float)(scale * (double)(float)(x * a) + 0.0), z, f->eps);
    case AB_PW_RESCALE: return rescale(x, (float)a, z);
    case AB_PW_DIVDIFF: return quotient((float)x, (float)(a - (double)z), 0.0f);
    case AB_PW_ADD: return x + a;
    case AB_PW_SUB: return x - a;
    case AB_PW_SCALE: return scale * x + 0.0;
    case AB_PW_AFFINE: return x * (double)f->mul[c] + (f->add ? (double)f->add[c] : 0.0);
    case AB_PW_CAP: return x <= 0.0 ? 0.0 : x >= scale ? scale : x;
    case AB_PW_CAP_GATE: return a > 0.0 && a < scale ? x : 0.0;
    case AB_PW_CAP_GUIDED: return a > 0.0 && a < scale && !(x <= 0.0) ? x : 0.0;
    case AB_PW_RELU_BITS:
    case AB_PW_CAP_BITS:
    case AB_PW_GATE_BITS:
    case AB_PW_GUIDED_BITS:
    case AB_PW_GUARD_BITS:
    case AB_PW_REST_BITS:
    case AB_PW_COUNT: break;
    }
    return x;
}

static void put_bit(uint16_t *word, int lane, bool set)
{
    *word = (uint16_t)((*word & ~(1u << lane)) | (unsigned)set << lane);
}

/* The kinds with bits, exact in float. */
static float rule_of_bit(const struct ab_pointwise *f, float x, float a, uint16_t *word, int lane)
{
    const bool set = *word >> lane & 1;
    switch (f->kind) {
    case AB_PW_RELU_BITS: put_bit(word, lane, x > 0.0f); return x <= 0.0f ? 0.0f : x;
    case AB_PW_CAP_BITS:
        put_bit(word, lane, x > 0.0f && x < f->scale);
        return x <= 0.0f ? 0.0f : x >= f->scale ? f->scale : x;
    case AB_PW_GATE_BITS: return set ? x : 0.0f;
    case AB_PW_GUIDED_BITS: return set && !(x <= 0.0f) ? x : 0.0f;
    case AB_PW_REST_BITS: x = a > 0.0f ? a - x : 0.0f; break;
    default: break;
    }
    put_bit(word, lane, !(fabsf(a) <= fabsf(f->scale * x)));
    return x;
}

static bool uses_a(enum ab_pointwise_kind kind)
{
    return kind == AB_PW_GATE || kind == AB_PW_GUIDED || kind == AB_PW_RECT || kind == AB_PW_MUL ||
           kind == AB_PW_MULDIV || kind == AB_PW_RESCALE || kind == AB_PW_DIVDIFF ||
           kind == AB_PW_ADD || kind == AB_PW_SUB || kind == AB_PW_CAP_GATE ||
           kind == AB_PW_CAP_GUIDED || kind == AB_PW_GUARD_BITS || kind == AB_PW_REST_BITS;
}

static bool uses_z(enum ab_pointwise_kind kind)
{
    return kind == AB_PW_DIV || kind == AB_PW_MULDIV || kind == AB_PW_RESCALE ||
           kind == AB_PW_DIVDIFF;
}

static float *at(const struct ab_view *v, int n, int b, int y, int e)
{
    return v->data + n * v->image + b * v->block + y * v->row + e;
}

void ab_pointwise_ref(const void *args);
void ab_pointwise_ref(const void *args)
{
    const struct ab_pointwise_args *p = args;
    const struct ab_pointwise *f = &p->f;
    for (int n = p->range.n0; n < p->range.n1; n++)
        for (int b = p->range.b0; b < p->range.b1; b++)
            for (int y = p->range.y0; y < p->range.y1; y++)
                for (int e = 0; e < p->w * AB_LANES; e++) {
                    float a = uses_a(f->kind) ? *at(&f->a, n, b, y, e) : 0.0f;
                    float z = uses_z(f->kind) ? *at(&f->z, n, b, y, e) : 0.0f;
                    double x = (double)*at(&p->x, n, b, y, e);
                    int c = b * AB_LANES + e % AB_LANES;
                    if (f->kind >= AB_PW_RELU_BITS) {
                        uint16_t *word = f->bits.data + n * f->bits.image + b * f->bits.block +
                                         y * f->bits.row + e / AB_LANES;
                        *at(&p->dst, n, b, y, e) = rule_of_bit(f, (float)x, a, word, e % AB_LANES);
                        continue;
                    }
                    *at(&p->dst, n, b, y, e) = (float)rule(f, n, c, x, (double)a, z);
                }
}
