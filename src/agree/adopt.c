// SPDX-License-Identifier: Apache-2.0
// Denominators near zero: where z is about as small as its rounding error, R / (z + eps) has no
// correct digit left, whoever computes it, so the replay takes z from the backend under judgement.
// Likewise the slope of ReLU between two inputs that are both about zero, the sign of a difference,
// and quotients by one.
#include "agree/referee.h"

#include <math.h>
#include <stdlib.h>

/* Of an image's root mean square in the same value: rounding leaves a relative error of about
 * 1e-6 of that, hence at least three digits of what is larger. */
static const double near_zero = 1e-3;

void ab_adoption_free(struct ab_adoption *a)
{
    for (int id = 0; a->of && id < a->n_values; id++) free(a->of[id]);
    free(a->of);
    free(a->count);
    *a = (struct ab_adoption){0};
}

/* Lists the elements of v, [batch][count], where `size` is near zero but v is not 0; false if out
 * of memory. */
static bool list_small(const double *size, const double *v, int batch, size_t count,
                       struct ab_adopted **list, size_t *listed)
{
    size_t capacity = 0;
    for (int n = 0; n < batch; n++) {
        const size_t first = (size_t)n * count;
        double squares = 0;
        for (size_t i = 0; i < count; i++) squares += size[first + i] * size[first + i];
        const double limit = near_zero * sqrt(squares / (double)count);
        for (size_t i = first; i < first + count; i++) {
            if (!(fabs(size[i]) <= limit) || v[i] == 0) continue;
            if (*listed == capacity) {
                capacity = capacity ? 2 * capacity : 256;
                struct ab_adopted *more = realloc(*list, capacity * sizeof *more);
                if (!more) return false;
                *list = more;
            }
            (*list)[(*listed)++] = (struct ab_adopted){.index = i, .value = v[i]};
        }
    }
    return true;
}

/* The operands, at most two, whose values near zero decide the step's result: denominators, inputs
 * of a ReLU between which the slope is taken, differences whose sign is; or, with `apart`, two
 * whose difference near zero does. */
static int delicate(const struct ab_program *p, const struct ab_step *s, int id[2], bool *apart)
{
    *apart = s->kind == AB_PW_DIVDIFF;
    if (s->op != AB_OP_POINTWISE || s->constant) return 0;
    id[0] = s->a;
    id[1] = s->z;
    switch (s->kind) {
    case AB_PW_DIV:
    case AB_PW_MULDIV: id[0] = s->z; return p->values[s->z].constant ? 0 : 1;
    case AB_PW_RESCALE:
    case AB_PW_DIVDIFF: return 2;
    case AB_PW_GATE: return p->values[s->a].decision == AB_DECIDE_NOTHING;
    default: return 0;
    }
}

static double *peek(const struct ab_plan *plan, int id)
{
    double *values = malloc(ab_plan_value_count(plan, id) * sizeof *values);
    if (values) ab_plan_peek(plan, id, values);
    return values;
}

/* Lists the elements of value id that are near zero, or near those of value `other` (-1: none),
 * unless that is done. */
static bool list_value(const struct ab_plan *plan, int id, int other, struct ab_adoption *a)
{
    const struct ab_value *v = &plan->program.values[id];
    if (v->def < 0 || !v->bytes || a->of[id]) return true;
    const size_t count = ab_plan_value_count(plan, id);
    double *values = peek(plan, id), *size = other < 0 ? values : peek(plan, other);
    bool whole = values && size;
    for (size_t i = 0; whole && other >= 0 && i < count; i++) size[i] -= values[i];
    whole = whole && list_small(size, values, plan->exec.batch, count / (size_t)plan->exec.batch,
                                &a->of[id], &a->count[id]);
    if (size != values) free(size);
    free(values);
    return whole;
}

enum ab_status ab_adoption_find(const struct ab_plan *plan, const struct ab_program *program,
                                const bool *needed, struct ab_adoption *a, struct ab_error *err)
{
    bool whole = true;
    *a = (struct ab_adoption){.n_values = program->n_values};
    a->of = calloc((size_t)a->n_values, sizeof *a->of);
    a->count = calloc((size_t)a->n_values, sizeof *a->count);
    whole = a->of && a->count;
    for (int i = 0; whole && i < program->n_steps; i++) {
        const struct ab_step *s = &program->steps[i];
        int id[2];
        bool apart;
        const int operands = s->dst >= 0 && needed[s->dst] ? delicate(program, s, id, &apart) : 0;
        for (int k = 0; whole && k < operands; k++)
            whole = list_value(plan, id[k], apart ? id[1 - k] : -1, a);
    }
    if (whole) return AB_OK;
    ab_adoption_free(a);
    return ab_fail(err, AB_ERR_MEMORY, "out of memory for the denominators of an execution");
}
