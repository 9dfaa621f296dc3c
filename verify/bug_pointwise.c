// SPDX-License-Identifier: Apache-2.0
// Seeded bugs of the pointwise rules, over a naive text of its own.
#include <float.h>
#include <math.h>

#include "simd/pointwise_scalar.h"
#include "verify/bugs.h"

typedef struct ab_pointwise_args args_of;

/* One element and where it is. */
struct element {
    const struct ab_pointwise *f;
    float x, a, z, tau;
    int n, c, lane;
};

static float sound(const struct element *e)
{
    return pw_op(e->f, (int)e->f->kind, e->x, &e->a, &e->z, e->c, e->tau);
}

static float *at(const struct ab_view *v, int n, int b, int y, int e)
{
    return v->data + n * v->image + b * v->block + y * v->row + e;
}

static bool is(const struct element *e, enum ab_pointwise_kind kind)
{
    return e->f->kind == kind;
}

/* dst = rule(element) of all kinds without bits. */
static void row(const args_of *p, int n, int b, int y, float (*rule)(const struct element *e))
{
    const struct ab_pointwise *f = &p->f;
    for (int i = 0; i < p->w * AB_LANES; i++) {
        const float x = *at(&p->x, n, b, y, i);
        const struct element e = {
            .f = f,
            .x = x,
            .a = f->a.data ? *at(&f->a, n, b, y, i) : x,
            .z = f->z.data ? *at(&f->z, n, b, y, i) : x,
            .tau = f->kind == AB_PW_RECT ? f->tau[n] : 0.0f,
            .n = n,
            .c = b * AB_LANES + i % AB_LANES,
            .lane = i % AB_LANES,
        };
        *at(&p->dst, n, b, y, i) = rule(&e);
    }
}

static void text(const void *args, float (*rule)(const struct element *e))
{
    const args_of *p = args;
    if (pw_uses_bits((int)p->f.kind)) {
        ab_bug_run(AB_KERNEL_pointwise, "ref", p);
        return;
    }
    for (int n = p->range.n0; n < p->range.n1; n++)
        for (int b = p->range.b0; b < p->range.b1; b++)
            for (int y = p->range.y0; y < p->range.y1; y++) row(p, n, b, y, rule);
}

void ab_bug_sound_pointwise(const void *p)
{
    text(p, sound);
}

/* ---- rules ---- */

static float relu_at_negative_zero(const struct element *e)
{
    return is(e, AB_PW_RELU) ? (e->x < 0.0f ? 0.0f : e->x) : sound(e);
}

void ab_bug_pointwise_negative_zero(const void *p)
{
    text(p, relu_at_negative_zero);
}

static float relu_of_nan(const struct element *e)
{
    return is(e, AB_PW_RELU) ? (e->x > 0.0f ? e->x : 0.0f) : sound(e);
}

void ab_bug_pointwise_nan_swallowed(const void *p)
{
    text(p, relu_of_nan);
}

static float gate_at_zero(const struct element *e)
{
    return is(e, AB_PW_GATE) ? (e->a >= 0.0f ? e->x : 0.0f) : sound(e);
}

void ab_bug_pointwise_gate_at_zero(const void *p)
{
    text(p, gate_at_zero);
}

static float gate_by_product(const struct element *e)
{
    return is(e, AB_PW_GATE) ? e->x * (e->a > 0.0f ? 1.0f : 0.0f) : sound(e);
}

void ab_bug_pointwise_gate_by_product(const void *p)
{
    text(p, gate_by_product);
}

static float guided_of_x(const struct element *e)
{
    return is(e, AB_PW_GUIDED) ? (e->x > 0.0f ? e->x : 0.0f) : sound(e);
}

void ab_bug_pointwise_guided_ungated(const void *p)
{
    text(p, guided_of_x);
}

static float cap_of_nan(const struct element *e)
{
    return is(e, AB_PW_CAP) && !(e->x < e->f->scale) ? e->f->scale : sound(e);
}

void ab_bug_pointwise_cap_of_nan(const void *p)
{
    text(p, cap_of_nan);
}

static float cap_gate_at_cap(const struct element *e)
{
    return is(e, AB_PW_CAP_GATE) ? (e->a > 0.0f && e->a <= e->f->scale ? e->x : 0.0f) : sound(e);
}

void ab_bug_pointwise_cap_gate_at_cap(const void *p)
{
    text(p, cap_gate_at_cap);
}

static float cap_guided_ungated(const struct element *e)
{
    return is(e, AB_PW_CAP_GUIDED) ? (e->a > 0.0f && !(e->x <= 0.0f) ? e->x : 0.0f) : sound(e);
}

void ab_bug_pointwise_cap_guided_ungated(const void *p)
{
    text(p, cap_guided_ungated);
}

static float rect_at_tau(const struct element *e)
{
    return is(e, AB_PW_RECT) ? (e->a * e->x >= e->tau ? e->x : 0.0f) : sound(e);
}

void ab_bug_pointwise_rect_at_tau(const void *p)
{
    text(p, rect_at_tau);
}

static float tau_of_image_0(const struct element *e)
{
    return is(e, AB_PW_RECT) ? (e->a * e->x > e->f->tau[0] ? e->x : 0.0f) : sound(e);
}

void ab_bug_pointwise_tau_of_image_0(const void *p)
{
    text(p, tau_of_image_0);
}

static bool divides(const struct element *e)
{
    return is(e, AB_PW_DIV) || is(e, AB_PW_MULDIV);
}

static float numerator(const struct element *e)
{
    return e->f->scale * (is(e, AB_PW_DIV) ? e->x : e->x * e->a) + 0.0f;
}

static float no_epsilon(const struct element *e)
{
    return divides(e) ? pw_quotient(numerator(e), e->z, 0.0f) : sound(e);
}

void ab_bug_pointwise_epsilon_missing(const void *p)
{
    text(p, no_epsilon);
}

static float unsigned_epsilon(const struct element *e)
{
    const float st = e->z + e->f->eps;
    return divides(e) ? (st == 0.0f ? 0.0f : numerator(e) / st) : sound(e);
}

void ab_bug_pointwise_epsilon_unsigned(const void *p)
{
    text(p, unsigned_epsilon);
}

static float sign_of_negative_zero(const struct element *e)
{
    const float st = e->z + copysignf(e->f->eps, e->z);
    return divides(e) ? (st == 0.0f ? 0.0f : numerator(e) / st) : sound(e);
}

void ab_bug_pointwise_sign_of_negative_zero(const void *p)
{
    text(p, sign_of_negative_zero);
}

static float sign_of_zero(const struct element *e)
{
    const float st = e->z + (e->z > 0.0f ? e->f->eps : -e->f->eps);
    return divides(e) ? (st == 0.0f ? 0.0f : numerator(e) / st) : sound(e);
}

void ab_bug_pointwise_sign_of_zero(const void *p)
{
    text(p, sign_of_zero);
}

static float quotient_by_zero(const struct element *e)
{
    const float st = e->z + (e->z < 0.0f ? -e->f->eps : e->f->eps);
    return divides(e) ? numerator(e) / st : sound(e);
}

void ab_bug_pointwise_zero_by_zero(const void *p)
{
    text(p, quotient_by_zero);
}

static float equal_operands(const struct element *e)
{
    return is(e, AB_PW_DIVDIFF) ? e->x / (e->a - e->z) : sound(e);
}

void ab_bug_pointwise_divdiff_of_equal(const void *p)
{
    text(p, equal_operands);
}

/* By a reciprocal of 12 bits, without a Newton step. */
static float rough_quotient(const struct element *e)
{
    const float q = sound(e);
    return divides(e) && isnormal(q) ? q * (1.0f + 0x1p-12f) : q;
}

void ab_bug_pointwise_reciprocal_rough(const void *p)
{
    text(p, rough_quotient);
}

/* One rounding too many: by the reciprocal of st(z). */
static float by_reciprocal(const struct element *e)
{
    const float st = e->z + (e->z < 0.0f ? -e->f->eps : e->f->eps);
    return divides(e) ? (st == 0.0f ? 0.0f : numerator(e) * (1.0f / st)) : sound(e);
}

void ab_bug_pointwise_reciprocal(const void *p)
{
    text(p, by_reciprocal);
}

static float scale_first(const struct element *e)
{
    return is(e, AB_PW_MULDIV) ? pw_quotient(e->f->scale * e->x * e->a + 0.0f, e->z, e->f->eps)
                               : sound(e);
}

void ab_bug_pointwise_scale_first(const void *p)
{
    text(p, scale_first);
}

static float rescale_of_negative(const struct element *e)
{
    const float t = e->a > e->z ? e->a : e->z, b = e->a > e->z ? e->z : e->a;
    return is(e, AB_PW_RESCALE) ? e->x * (t / (t - (b < 0.0f ? b : 0.0f))) : sound(e);
}

void ab_bug_pointwise_rescale_of_negative(const void *p)
{
    text(p, rescale_of_negative);
}

static float sub_swapped(const struct element *e)
{
    return is(e, AB_PW_SUB) ? e->a - e->x : sound(e);
}

void ab_bug_pointwise_sub_swapped(const void *p)
{
    text(p, sub_swapped);
}

static float absolute_kept(const struct element *e)
{
    return is(e, AB_PW_ABS) ? (e->x < 0.0f ? -e->x : e->x) : sound(e);
}

void ab_bug_pointwise_abs_of_negative_zero(const void *p)
{
    text(p, absolute_kept);
}

static float affine_of_block_0(const struct element *e)
{
    const struct ab_pointwise *f = e->f;
    return is(e, AB_PW_AFFINE) ? e->x * f->mul[e->lane] + (f->add ? f->add[e->c] : 0.0f) : sound(e);
}

void ab_bug_pointwise_affine_of_block_0(const void *p)
{
    text(p, affine_of_block_0);
}

static float affine_add_dropped(const struct element *e)
{
    return is(e, AB_PW_AFFINE) ? e->x * e->f->mul[e->c] + 0.0f : sound(e);
}

void ab_bug_pointwise_affine_add_dropped(const void *p)
{
    text(p, affine_add_dropped);
}

static float padding_of_scale(const struct element *e)
{
    return is(e, AB_PW_SCALE) ? e->f->scale * e->x : sound(e);
}

void ab_bug_pointwise_padding_negative_zero(const void *p)
{
    text(p, padding_of_scale);
}

static float flushed(const struct element *e)
{
    const float r = sound(e);
    return fabsf(r) < FLT_MIN ? copysignf(0.0f, r) : r;
}

void ab_bug_pointwise_denormals_flushed(const void *p)
{
    text(p, flushed);
}

static float finite_only(const struct element *e)
{
    const float r = sound(e);
    return isinf(r) ? copysignf(FLT_MAX, r) : r;
}

void ab_bug_pointwise_infinity_clamped(const void *p)
{
    text(p, finite_only);
}

/* ---- bits ---- */

static uint16_t *word_at(const args_of *p, int n, int b, int y)
{
    const struct ab_bits *bits = &p->f.bits;
    return bits->data + n * bits->image + b * bits->block + y * bits->row;
}

/* The reference kernel, then every word that it made is what `change` makes of it. */
static void with_words(const void *args, uint16_t (*change)(const args_of *p, uint16_t word,
                                                            const float *x, const float *a))
{
    const args_of *p = args;
    ab_bug_run(AB_KERNEL_pointwise, "ref", p);
    if (!pw_makes_bits((int)p->f.kind)) return;
    for (int n = p->range.n0; n < p->range.n1; n++)
        for (int b = p->range.b0; b < p->range.b1; b++)
            for (int y = p->range.y0; y < p->range.y1; y++)
                for (int x = 0; x < p->w; x++) {
                    uint16_t *word = word_at(p, n, b, y) + x;
                    const float *a = p->f.a.data ? at(&p->f.a, n, b, y, x * AB_LANES) : NULL;
                    *word = change(p, *word, at(&p->dst, n, b, y, x * AB_LANES), a);
                }
}

static uint16_t shifted(const args_of *p, uint16_t word, const float *x, const float *a)
{
    (void)p, (void)x, (void)a;
    return (uint16_t)(word << 1);
}

void ab_bug_pointwise_bits_shifted(const void *p)
{
    with_words(p, shifted);
}

static uint16_t halves(const args_of *p, uint16_t word, const float *x, const float *a)
{
    (void)p, (void)x, (void)a;
    return (uint16_t)(word << 8 | word >> 8);
}

void ab_bug_pointwise_bits_halves_swapped(const void *p)
{
    with_words(p, halves);
}

/* |a| > |scale*x| in the place of !(|a| <= |scale*x|). */
static uint16_t ordered_guard(const args_of *p, uint16_t word, const float *x, const float *a)
{
    if (p->f.kind == AB_PW_RELU_BITS || p->f.kind == AB_PW_CAP_BITS) return word;
    for (int l = 0; l < AB_LANES; l++)
        if (isnan(a[l]) || isnan(x[l])) word &= (uint16_t) ~(1u << l);
    return word;
}

void ab_bug_pointwise_guard_of_nan(const void *p)
{
    with_words(p, ordered_guard);
}

/* Units at their cap count as open. */
static uint16_t open_at_cap(const args_of *p, uint16_t word, const float *x, const float *a)
{
    (void)a;
    if (p->f.kind != AB_PW_CAP_BITS) return word;
    for (int l = 0; l < AB_LANES; l++)
        if (x[l] == p->f.scale) word |= (uint16_t)(1u << l);
    return word;
}

void ab_bug_pointwise_open_at_cap(const void *p)
{
    with_words(p, open_at_cap);
}

/* A guard that takes equality for too large. */
static uint16_t guard_at_equal(const args_of *p, uint16_t word, const float *x, const float *a)
{
    if (p->f.kind == AB_PW_RELU_BITS || p->f.kind == AB_PW_CAP_BITS) return word;
    for (int l = 0; l < AB_LANES; l++)
        if (x[l] != 0.0f && fabsf(a[l]) == fabsf(p->f.scale * x[l])) word |= (uint16_t)(1u << l);
    return word;
}

void ab_bug_pointwise_guard_at_equal(const void *p)
{
    with_words(p, guard_at_equal);
}

void ab_bug_pointwise_alias_unsafe(const void *args)
{
    const args_of *p = args;
    for (int n = p->range.n0; n < p->range.n1; n++)
        for (int b = p->range.b0; b < p->range.b1; b++)
            for (int y = p->range.y0; y < p->range.y1; y++)
                for (int i = 0; i < p->w * AB_LANES; i++) *at(&p->dst, n, b, y, i) = 0.0f;
    ab_bug_run(AB_KERNEL_pointwise, "ref", p);
}
