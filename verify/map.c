// SPDX-License-Identifier: Apache-2.0
// Shapes of maps: map.h.
#include "verify/map.h"
#include "verify/fields.h"

#include <stddef.h>

enum { FIELDS = 4 };

static void fields_of(struct ab_trial *t, struct ab_field f[FIELDS])
{
    struct ab_map_shape *s = &t->shape.map;
    f[0] = (struct ab_field){"n", {&s->n}, 1, 1, 1};
    f[1] = (struct ab_field){"c", {&s->c}, 1, 1, 0};
    f[2] = (struct ab_field){"h", {&s->h}, 1, 1, 1};
    f[3] = (struct ab_field){"w", {&s->w}, 1, 1, 1};
}

bool ab_map_shape_parse(const char *text, struct ab_trial *trial, struct ab_error *err)
{
    struct ab_field f[FIELDS];
    const struct ab_map_shape *s = &trial->shape.map;
    fields_of(trial, f);
    if (!ab_fields_parse(text, f, FIELDS, 0, NULL, err)) return false;
    if ((double)s->n * s->c * s->h * s->w <= 0x1p26) return true;
    ab_fail(err, AB_ERR_ARG, "shape \"%s\" has more than 2^26 pixels; take a smaller one", text);
    return false;
}

void ab_map_shape_print(const struct ab_trial *trial, char *text, size_t size)
{
    struct ab_trial copy = *trial;
    struct ab_field f[FIELDS];
    fields_of(&copy, f);
    for (int i = 0; i < FIELDS; i++) f[i].assumed = 0; /* all are written */
    ab_fields_print(f, FIELDS, text, size);
}

void ab_map_shape_draw(struct ab_rng *rng, struct ab_map_shape *s)
{
    *s = (struct ab_map_shape){ab_rng_between(rng, 1, 4), ab_rng_between(rng, 1, 70),
                               ab_rng_between(rng, 1, 9), ab_rng_between(rng, 1, 17)};
    if (ab_rng_between(rng, 0, 4) == 0) s->h = s->w = 1;
}

bool ab_map_shrink(const struct ab_trial *trial, int k, struct ab_trial *smaller)
{
    static const size_t dims[] = {
        offsetof(struct ab_trial, shape.map.n), offsetof(struct ab_trial, shape.map.c),
        offsetof(struct ab_trial, shape.map.h), offsetof(struct ab_trial, shape.map.w)};
    return ab_trial_simpler(trial, dims, 4, k, smaller);
}

const struct ab_map_shape *ab_map_shapes(int *count)
{
    static const struct ab_map_shape shapes[] = {{1, 16, 1, 3},  {2, 3, 5, 7},   {1, 40, 3, 1},
                                                 {3, 33, 2, 9},  {1, 17, 1, 33}, {2, 64, 7, 6},
                                                 {4, 100, 1, 1}, {2, 15, 4, 5},  {1, 31, 6, 2}};
    *count = sizeof shapes / sizeof *shapes;
    return shapes;
}
