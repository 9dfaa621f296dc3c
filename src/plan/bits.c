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
    const bool relu = s->kind == AB_PW_RELU || s->kind == AB_PW_RELU_BITS;
    return s->op == AB_OP_POINTWISE && relu && !s->constant ? s : NULL;
}

static bool gate_by_bits(struct ab_program *p, struct ab_step *s)
{
    const bool gate = s->kind == AB_PW_GATE || s->kind == AB_PW_GUIDED;
    struct ab_step *relu = s->op == AB_OP_POINTWISE && gate ? relu_of(p, s->a) : NULL;
    if (!relu) return true;
    if (relu->dst2 < 0 && ab_second_value(p, relu, AB_BITS) < 0) return false;
    relu->kind = AB_PW_RELU_BITS;
    s->kind = s->kind == AB_PW_GATE ? AB_PW_GATE_BITS : AB_PW_GUIDED_BITS;
    s->bits = relu->dst2;
    s->a = -1;
    return true;
}

static void unguard(struct ab_step *s)
{
    s->direct = true;
    s->guard = s->rest = -1;
}

static bool guard_by_bits(struct ab_program *p, struct ab_step *s)
{
    if (s->pass == AB_BWD) {
        const struct ab_step *sum = &p->steps[p->values[s->guard].def];
        if (sum->direct) unguard(s);
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

bool ab_bits(struct ab_program *p, bool guards)
{
    for (int i = 0; i < p->n_steps; i++) {
        struct ab_step *s = &p->steps[i];
        if (!gate_by_bits(p, s)) return false;
        if (s->op != AB_OP_CONV || s->guard < 0) continue;
        if (!guards)
            unguard(s);
        else if (!guard_by_bits(p, s))
            return false;
    }
    ab_program_liveness(p);
    return true;
}
