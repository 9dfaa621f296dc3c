// SPDX-License-Identifier: Apache-2.0
// How much of a map rounding can be. Limits of a class suppose that the seed is known to about the
// last digit and that the signal is more than rounding: a logit near zero, or a signal whose parts
// cancel, is neither.
#include "agree/referee.h"

#include <math.h>
#include <stdlib.h>

/* The largest element of image n, and where it is. */
static double find_largest(const double *map, struct ab_dims d, int n, struct ab_unit *at)
{
    const double *v = map + (size_t)n * (size_t)d.c * (size_t)d.h * (size_t)d.w;
    double largest = 0;
    *at = (struct ab_unit){n, 0, 0, 0};
    for (int c = 0; c < d.c; c++)
        for (int y = 0; y < d.h; y++)
            for (int x = 0; x < d.w; x++, v++) {
                if (!(fabs(*v) > largest)) continue;
                largest = fabs(*v);
                *at = (struct ab_unit){n, c, y, x};
            }
    return largest;
}

enum ab_status ab_referee_reach(const struct ab_referee *r, const struct ab_plan *judged, int map,
                                double *reach, struct ab_error *err)
{
    const int id = r->plan->program.outputs[map];
    struct ab_look look;
    double *values = malloc(ab_plan_value_count(r->plan, id) * sizeof *values);
    bool whole = ab_look_open(&look, r->plan, judged) && values;
    if (whole) ab_plan_peek(r->plan, id, values);
    look.transformed = look.inherited = true;
    *reach = 0;
    for (int n = 0; whole && n < r->batch; n++) {
        struct ab_unit at;
        const double largest = find_largest(values, ab_single_map_dims(r->plan, map), n, &at);
        if (largest > 0) *reach = fmax(*reach, ab_look_error(&look, id, at) / largest);
    }
    whole = whole && !look.failed;
    ab_look_close(&look);
    free(values);
    return whole ? AB_OK : ab_fail(err, AB_ERR_MEMORY, "out of memory for judging");
}
