// SPDX-License-Identifier: Apache-2.0
// Fusing: a product followed by a division becomes one step, and pointwise steps become epilogues
// of the CONV, DENSE or backward pooling step that feeds them, where nothing else reads the value
// between and the other operands exist by then.
#include "plan/builder.h"

#include <stdlib.h>

static void count_uses(const struct ab_program *p, int *uses)
{
    for (int v = 0; v < p->n_values; v++) uses[v] = 0;
    for (int i = 0; i < p->n_steps; i++) {
        const struct ab_step *s = &p->steps[i];
        for (int k = 0; k < ab_step_operand_count(s); k++) {
            const int id = ab_step_operand(s, k);
            if (id >= 0) uses[id]++;
        }
    }
    uses[p->logits]++;
    for (int i = 0; i < ab_program_kept(p); i++) {
        const int id = ab_program_kept_value(p, i);
        if (id >= 0) uses[id]++;
    }
}

/* The step that defines `value` if this is its only reader, else NULL. */
static struct ab_step *producer(struct ab_program *p, const int *uses, int value)
{
    if (value < 0 || uses[value] != 1 || p->values[value].def < 0) return NULL;
    return &p->steps[p->values[value].def];
}

/* DIV(MUL(x,a), z) -> MULDIV(x, a, z). */
static bool fuse_muldiv(struct ab_program *p, const int *uses, struct ab_step *s)
{
    if (s->op != AB_OP_POINTWISE || s->kind != AB_PW_DIV) return false;
    struct ab_step *mul = producer(p, uses, s->x);
    if (!mul || mul->op != AB_OP_POINTWISE || mul->kind != AB_PW_MUL) return false;
    s->kind = AB_PW_MULDIV;
    s->x = mul->x;
    s->a = mul->a;
    mul->op = AB_OP_COUNT;
    return true;
}

static bool defined_before(const struct ab_program *p, int value, int step)
{
    return value < 0 || (p->values[value].def >= 0 && p->values[value].def < step);
}

static bool is_linear(const struct ab_step *s)
{
    return s && (s->op == AB_OP_CONV || s->op == AB_OP_DENSE);
}

/* Makes `linear` produce what `s` did. */
static void take_over(struct ab_program *p, struct ab_step *linear, struct ab_step *s)
{
    p->values[linear->dst].def = -1;
    linear->dst = s->dst;
    p->values[s->dst].def = (int)(linear - p->steps);
    if (s->dst2 >= 0) p->values[s->dst2].def = (int)(linear - p->steps);
    s->op = AB_OP_COUNT;
}

/* ADD(linear, other): the later of the two, if it is linear and still bare, adds the other itself.
 */
static bool fuse_add(struct ab_program *p, const int *uses, struct ab_step *s)
{
    if (s->op != AB_OP_POINTWISE || s->kind != AB_PW_ADD || s->x == s->a) return false;
    const bool a_later = p->values[s->a].def > p->values[s->x].def;
    const int later = a_later ? s->a : s->x, other = a_later ? s->x : s->a;
    struct ab_step *linear = producer(p, uses, later);
    if (!is_linear(linear) || linear->add >= 0 || linear->kind != AB_PW_COPY) return false;
    if (linear->constant != s->constant || !defined_before(p, other, p->values[later].def))
        return false;
    linear->add = other;
    take_over(p, linear, s);
    return true;
}

static bool is_unpooling(const struct ab_step *s)
{
    return s && s->pass == AB_BWD && (s->op == AB_OP_MAXPOOL || s->op == AB_OP_AVGPOOL);
}

/* Moves step `from` up to `to`. */
static void move_up(struct ab_program *p, int from, int to)
{
    const struct ab_step moved = p->steps[from];
    for (int i = from; i > to; i--) p->steps[i] = p->steps[i - 1];
    p->steps[to] = moved;
    for (int i = to; i <= from; i++) {
        const struct ab_step *s = &p->steps[i];
        if (s->op == AB_OP_COUNT) continue;
        if (s->dst >= 0) p->values[s->dst].def = i;
        if (s->dst2 >= 0) p->values[s->dst2].def = i;
    }
}

/* A quotient by a sum over forward values can only be an epilogue of the step above if the sum is
 * there before: such sums are computed one step earlier. */
static void hoist_sum(struct ab_program *p, const int *uses, const struct ab_step *s)
{
    if (s->op != AB_OP_POINTWISE || (s->kind != AB_PW_DIV && s->kind != AB_PW_MULDIV)) return;
    const struct ab_step *above = producer(p, uses, s->x);
    if (!is_linear(above) && !is_unpooling(above)) return;
    const int to = p->values[s->x].def, from = p->values[s->z].def;
    const struct ab_step *sum = &p->steps[from];
    if (from < to || !is_linear(sum) || sum->pass != AB_FWD) return;
    for (int k = 0; k < ab_step_operand_count(sum); k++)
        if (!defined_before(p, ab_step_operand(sum, k), to)) return;
    move_up(p, from, to);
}

static bool fuse_epilogue(struct ab_program *p, const int *uses, bool pools, struct ab_step *s)
{
    if (s->op != AB_OP_POINTWISE || s->kind == AB_PW_AFFINE) return false;
    struct ab_step *linear = producer(p, uses, s->x);
    if (!is_linear(linear) && !(pools && is_unpooling(linear))) return false;
    if (linear->kind != AB_PW_COPY || linear->constant != s->constant) return false;
    const int at = p->values[s->x].def;
    if (!defined_before(p, s->a, at) || !defined_before(p, s->z, at) ||
        !defined_before(p, s->tau, at) || !defined_before(p, s->bits, at)) {
        return false;
    }
    linear->kind = s->kind;
    linear->a = s->a;
    linear->z = s->z;
    linear->tau = s->tau;
    linear->bits = s->bits;
    linear->dst2 = s->dst2;
    linear->eps = s->eps;
    linear->scale = s->scale;
    take_over(p, linear, s);
    return true;
}

static void compact(struct ab_program *p)
{
    int kept = 0;
    for (int i = 0; i < p->n_steps; i++) {
        if (p->steps[i].op != AB_OP_COUNT) p->steps[kept++] = p->steps[i];
    }
    p->n_steps = kept;
    ab_program_liveness(p);
}

bool ab_fuse(struct ab_program *p, bool pools)
{
    int *uses = malloc(sizeof *uses * (size_t)(p->n_values ? p->n_values : 1));
    if (!uses) return false;
    count_uses(p, uses);
    for (int i = 0; i < p->n_steps; i++) fuse_muldiv(p, uses, &p->steps[i]);
    for (int i = 0; i < p->n_steps; i++) hoist_sum(p, uses, &p->steps[i]);
    for (int i = 0; i < p->n_steps; i++) {
        if (!fuse_add(p, uses, &p->steps[i])) fuse_epilogue(p, uses, pools, &p->steps[i]);
    }
    free(uses);
    compact(p);
    return true;
}
