// SPDX-License-Identifier: Apache-2.0
// One-bit forms: the gradient of ReLU and Guided Backprop need the signs of an activation alone, a
// 32nd of it, which the forward step writes as it goes; so activations need not live until the
// backward pass. Guards are bits too: where a sum is too small for what it divides.
#include "plan/builder.h"

/* A sum that Winograd computed may divide what is at most this many times as large: its rounding
 * error, spread over a tile, then moves the quotient by as many times less than one ulp of the
 * largest sums near. */
static const float GUARD_RATIO = 64;

/* The forward ReLU of a map that made `value`, or NULL. */
static struct ab_step *relu_of(struct ab_program *p, int value)
{
    if (value < 0 || p->values[value].vector) return NULL;
    struct ab_step *s = &p->steps[p->values[value].def];
    const bool relu = s->kind == AB_PW_RELU || s->kind == AB_PW_RELU_BITS || s->kind == AB_PW_CAP ||
                      s->kind == AB_PW_CAP_BITS;
    return s->op == AB_OP_POINTWISE && relu && !s->constant ? s : NULL;
}

/* The form that reads bits; COUNT: none. */
static enum ab_pointwise_kind by_bits(enum ab_pointwise_kind gate)
{
    switch (gate) {
    case AB_PW_GATE:
    case AB_PW_CAP_GATE: return AB_PW_GATE_BITS;
    case AB_PW_GUIDED:
    case AB_PW_CAP_GUIDED: return AB_PW_GUIDED_BITS;
    default: return AB_PW_COUNT;
    }
}

static bool gate_by_bits(struct ab_program *p, struct ab_step *s)
{
    const enum ab_pointwise_kind bits = by_bits(s->kind);
    struct ab_step *relu =
        s->op == AB_OP_POINTWISE && bits != AB_PW_COUNT ? relu_of(p, s->a) : NULL;
    if (!relu) return true;
    if (relu->dst2 < 0 && ab_second_value(p, relu, AB_BITS) < 0) return false;
    const bool capped = relu->kind == AB_PW_CAP || relu->kind == AB_PW_CAP_BITS;
    relu->kind = capped ? AB_PW_CAP_BITS : AB_PW_RELU_BITS;
    s->kind = bits;
    s->bits = relu->dst2;
    s->a = -1;
    return true;
}

static void unguard(struct ab_step *s)
{
    s->direct = true;
    s->guard = s->rest = -1;
}

/* Whether a guard of this sum decides anything: how it is computed, or an adjoint of quotients by
 * it. */
static bool is_worth_a_guard(const struct ab_program *p, const struct ab_step *sum,
                             ab_spreads *spreads, const void *user)
{
    if (sum->rest >= 0 || spreads(user, sum)) return true;
    for (int i = 0; i < p->n_steps; i++) {
        const struct ab_step *s = &p->steps[i];
        if (s->op == AB_OP_CONV && s->pass == AB_BWD && s->guard == sum->dst && spreads(user, s))
            return true;
    }
    return false;
}

static bool guard_by_bits(struct ab_program *p, struct ab_step *s, ab_spreads *spreads,
                          const void *user)
{
    if (s->pass == AB_BWD) {
        const struct ab_step *sum = &p->steps[p->values[s->guard].def];
        if (sum->direct)
            unguard(s);
        else if (!spreads(user, s))
            s->guard = -1;
    } else if (!is_worth_a_guard(p, s, spreads, user)) {
        s->guard = -1;
    } else if (ab_second_value(p, s, AB_BITS) < 0) {
        return false;
    } else {
        s->kind = s->rest >= 0 ? AB_PW_REST_BITS : AB_PW_GUARD_BITS;
        s->z = s->rest;
        s->a = s->guard;
        s->scale = GUARD_RATIO;
    }
    return true;
}

bool ab_bits(struct ab_program *p, ab_spreads *spreads, const void *user)
{
    for (int i = 0; i < p->n_steps; i++) {
        struct ab_step *s = &p->steps[i];
        if (!gate_by_bits(p, s)) return false;
        if (s->op != AB_OP_CONV || s->guard < 0) continue;
        if (!spreads)
            unguard(s);
        else if (!guard_by_bits(p, s, spreads, user))
            return false;
    }
    ab_program_liveness(p);
    return true;
}
