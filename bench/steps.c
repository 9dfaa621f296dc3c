// SPDX-License-Identifier: Apache-2.0
// Steps in a history: the piecewise constant fit of least absolute deviation, found exactly.
#include "decide.h"

#include "stats.h"

#include <math.h>
#include <stdlib.h>

/* A multiset that knows its median: the lower half as a heap with its largest on top, the upper
 * half with its smallest on top. Upper values are kept negated, so that both are the same heap. */
struct heap {
    double *at; /* largest first */
    int n;
    double sum;
};

static void swap(double *a, double *b)
{
    const double t = *a;
    *a = *b;
    *b = t;
}

static void heap_push(struct heap *h, double v)
{
    int i = h->n++;
    h->sum += v;
    h->at[i] = v;
    for (int up = (i - 1) / 2; i > 0 && h->at[i] > h->at[up]; i = up, up = (i - 1) / 2)
        swap(&h->at[i], &h->at[up]);
}

static double heap_pop(struct heap *h)
{
    const double top = h->at[0];
    h->sum -= top;
    h->at[0] = h->at[--h->n];
    for (int i = 0;;) {
        int most = i;
        for (int child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < h->n && h->at[child] > h->at[most]) most = child;
        if (most == i) return top;
        swap(&h->at[i], &h->at[most]);
        i = most;
    }
}

struct middle {
    struct heap low, high; /* high: negated */
};

static void middle_add(struct middle *m, double v)
{
    if (m->low.n == 0 || v <= m->low.at[0])
        heap_push(&m->low, v);
    else
        heap_push(&m->high, -v);
    if (m->low.n > m->high.n + 1) heap_push(&m->high, -heap_pop(&m->low));
    if (m->high.n > m->low.n) heap_push(&m->low, -heap_pop(&m->high));
}

/* The sum of distances to the median. */
static double middle_cost(const struct middle *m)
{
    const double median = m->low.at[0];
    return median * m->low.n - m->low.sum + (-m->high.sum - median * m->high.n);
}

/* What a fit needs: logs, the least cost of each prefix and where its last segment starts. */
struct fit {
    double *logs, *best;
    int *start;
    struct middle m;
};

static bool fit_make(struct fit *f, int n)
{
    const size_t count = (size_t)n;
    f->logs = malloc((4 * count + 3) * sizeof *f->logs);
    f->start = malloc((count + 1) * sizeof *f->start);
    if (!f->logs || !f->start) {
        free(f->logs);
        free(f->start);
        return false;
    }
    f->best = f->logs + count;
    f->m.low.at = f->best + count + 1;
    f->m.high.at = f->m.low.at + count + 1;
    return true;
}

int ab_change_points(const double *values, int count, double penalty, int *breaks)
{
    if (count < 1) return 0;
    struct fit f;
    if (!fit_make(&f, count)) return -1;
    for (int i = 0; i < count; i++) f.logs[i] = log(values[i]);
    f.best[0] = -penalty; /* the first segment costs none */
    for (int end = 1; end <= count; end++) {
        f.m.low.n = f.m.high.n = 0;
        f.m.low.sum = f.m.high.sum = 0;
        f.best[end] = INFINITY;
        for (int start = end - 1; start >= 0; start--) {
            middle_add(&f.m, f.logs[start]);
            const double cost = f.best[start] + penalty + middle_cost(&f.m);
            /* Ties go to the longer segment: fewer breaks. */
            if (cost <= f.best[end]) {
                f.best[end] = cost;
                f.start[end] = start;
            }
        }
    }
    int n = 0;
    for (int at = f.start[count]; at > 0; at = f.start[at]) breaks[n++] = at;
    for (int i = 0; i < n / 2; i++) {
        const int t = breaks[i];
        breaks[i] = breaks[n - 1 - i];
        breaks[n - 1 - i] = t;
    }
    free(f.logs);
    free(f.start);
    return n;
}

double ab_change_penalty(const double *values, int count, double floor)
{
    const double none = 1e-3; /* clocks and layouts never repeat better */
    double spread = isnan(floor) ? none : fmax(floor, none);
    double *steps = count > 1 ? malloc((size_t)(count - 1) * sizeof *steps) : NULL;
    if (steps) {
        for (int i = 0; i + 1 < count; i++) steps[i] = fabs(log(values[i + 1] / values[i]));
        ab_sort(steps, (size_t)(count - 1));
        spread = fmax(spread, ab_quantile(steps, count - 1, 0.5));
        free(steps);
    }
    /* Simulated: 8 gives up to 5 of 100 series of 4 to 120 normal values with 3 % outliers a break
     * that is not there, 10 fewer than 1. */
    return 10 * spread;
}
