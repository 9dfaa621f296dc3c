// SPDX-License-Identifier: Apache-2.0
// The maps that experiments rank pixels by: those of the methods, then those of the controls.
#include "theory_entrants.h"

#include <math.h>
#include <stdlib.h>

static float *control_at(const struct ab_entrants *e, int control, int i)
{
    return e->controls + ((size_t)control * (size_t)e->s->n + (size_t)i) * e->s->image;
}

enum ab_status ab_entrants_make(const struct ab_subject *s, struct ab_entrants *entrants,
                                struct ab_error *err)
{
    *entrants = (struct ab_entrants){.s = s, .count = s->n_methods + AB_CONTROLS};
    const enum ab_status status =
        ab_maps_make(s, NULL, s->methods, s->n_methods, s->targets, &entrants->maps, err);
    if (status != AB_OK) return status;
    entrants->controls = malloc(sizeof(float) * AB_CONTROLS * (size_t)s->n * s->image);
    if (!entrants->controls) {
        ab_entrants_free(entrants);
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for controls; give fewer --images");
    }
    for (int k = 0; k < AB_CONTROLS; k++)
        for (int i = 0; i < s->n; i++)
            ab_control_map((enum ab_control)k, s->images + (size_t)i * s->image, s->dims,
                           ab_subject_seed(s, "control") + (uint64_t)i, control_at(entrants, k, i));
    return AB_OK;
}

void ab_entrants_free(struct ab_entrants *entrants)
{
    ab_maps_free(&entrants->maps);
    free(entrants->controls);
    entrants->controls = NULL;
}

const char *ab_entrant_name(const struct ab_entrants *entrants, int k)
{
    const int methods = entrants->s->n_methods;
    return k < methods ? ab_method_spec(entrants->s->methods[k]) : ab_control_names[k - methods];
}

const float *ab_entrant_map(const struct ab_entrants *entrants, int k, int i)
{
    const int methods = entrants->s->n_methods;
    return k < methods ? ab_maps_at(&entrants->maps, k, i) : control_at(entrants, k - methods, i);
}

void ab_entrant_scores(const struct ab_entrants *entrants, int k, int i, bool signed_sums,
                       double *scores)
{
    const struct ab_subject *s = entrants->s;
    const size_t pixels = (size_t)s->dims.h * (size_t)s->dims.w;
    const float *map = ab_entrant_map(entrants, k, i);
    const bool takes_sides = k < s->n_methods && (ab_method_is_relevance(s->methods[k]) ||
                                                  s->methods[k]->composite.input_mul);
    for (size_t p = 0; p < pixels; p++) {
        scores[p] = 0;
        for (size_t c = 0; c < (size_t)s->dims.c; c++) {
            const double v = (double)map[c * pixels + p];
            scores[p] += signed_sums && takes_sides ? v : fabs(v);
        }
    }
}
