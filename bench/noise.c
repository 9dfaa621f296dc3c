// SPDX-License-Identifier: Apache-2.0
// Differences of A/A comparisons, collected by class, and the floor that they make.
#include "noise.h"

#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fewer pairs of a class say nothing about how wide their differences spread. */
enum { LEAST = 3 };

static struct ab_noise_class *class_of(struct ab_noise *n, const char *name)
{
    for (int i = 0; i < n->count; i++)
        if (!strncmp(n->classes[i].name, name, AB_NOISE_CLASS - 1)) return &n->classes[i];
    struct ab_noise_class *more = realloc(n->classes, ((size_t)n->count + 1) * sizeof *n->classes);
    if (!more) return NULL;
    n->classes = more;
    struct ab_noise_class *c = &n->classes[n->count++];
    *c = (struct ab_noise_class){0};
    snprintf(c->name, sizeof c->name, "%s", name);
    return c;
}

bool ab_noise_add(struct ab_noise *n, const char *name, enum ab_noise_way way, double ratio)
{
    if (!(ratio > 0) || isinf(ratio)) return true; /* too few samples: no difference to speak of */
    struct ab_noise_class *c = class_of(n, name);
    double *more = c ? realloc(c->logs[way], ((size_t)c->count[way] + 1) * sizeof *more) : NULL;
    if (!more) return false;
    c->logs[way] = more;
    c->logs[way][c->count[way]++] = fabs(log(ratio));
    return true;
}

/* Of |x|, x normal with standard deviation 1, the median is 0.6745 and the 90th percentile 1.645:
 * each tells the deviation by itself. The median is not moved by a few pairs that met a neighbour;
 * the percentile sees a process in ten that is slower by the luck of its addresses. */
double ab_noise_floor(const struct ab_noise_class *c, enum ab_noise_way way)
{
    struct ab_stats s;
    if (c->count[way] < LEAST || !ab_stats_of(c->logs[way], c->count[way], &s)) return (double)NAN;
    return expm1(fmax(s.median / 0.6745, s.p90 / 1.645));
}

double ab_noise_worst(const struct ab_noise_class *c, enum ab_noise_way way)
{
    double worst = (double)NAN;
    for (int i = 0; i < c->count[way]; i++) worst = fmax(worst, expm1(c->logs[way][i]));
    return worst;
}

void ab_noise_free(struct ab_noise *n)
{
    for (int i = 0; i < n->count; i++)
        for (int way = 0; way < AB_NOISE_WAYS; way++) free(n->classes[i].logs[way]);
    free(n->classes);
    *n = (struct ab_noise){0};
}
