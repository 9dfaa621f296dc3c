// SPDX-License-Identifier: Apache-2.0
// Denominators near zero: where z is about as small as its rounding error, R / (z + eps) has no
// correct digit left, whoever computes it, so the replay takes z from the backend under judgement.
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

/* Lists the elements of v, [batch][count], that are near zero but not 0; false if out of memory. */
static bool list_small(const double *v, int batch, size_t count, struct ab_adopted **list,
                       size_t *listed)
{
    size_t capacity = 0;
    for (int n = 0; n < batch; n++) {
        const double *image = v + (size_t)n * count;
        double squares = 0;
        for (size_t i = 0; i < count; i++) squares += image[i] * image[i];
        const double limit = near_zero * sqrt(squares / (double)count);
        for (size_t i = 0; i < count; i++) {
            if (!(fabs(image[i]) < limit) || image[i] == 0) continue;
            if (*listed == capacity) {
                capacity = capacity ? 2 * capacity : 256;
                struct ab_adopted *more = realloc(*list, capacity * sizeof *more);
                if (!more) return false;
                *list = more;
            }
            (*list)[(*listed)++] =
                (struct ab_adopted){.index = (size_t)n * count + i, .value = image[i]};
        }
    }
    return true;
}

static bool wanted(const struct ab_plan *plan, const struct ab_step *s, const struct ab_adoption *a)
{
    const bool divides =
        s->op == AB_OP_POINTWISE && (s->kind == AB_PW_DIV || s->kind == AB_PW_MULDIV);
    if (!divides || s->constant) return false;
    const struct ab_value *v = &plan->program.values[s->z];
    return v->def >= 0 && v->bytes > 0 && !v->constant && !a->of[s->z];
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
        if (s->dst < 0 || !needed[s->dst] || !wanted(plan, s, a)) continue;
        const size_t count = ab_plan_value_count(plan, s->z);
        double *values = malloc(count * sizeof *values);
        whole = values;
        if (!whole) break;
        ab_plan_peek(plan, s->z, values);
        whole = list_small(values, plan->exec.batch, count / (size_t)plan->exec.batch, &a->of[s->z],
                           &a->count[s->z]);
        free(values);
    }
    if (whole) return AB_OK;
    ab_adoption_free(a);
    return ab_fail(err, AB_ERR_MEMORY, "out of memory for the denominators of an execution");
}
