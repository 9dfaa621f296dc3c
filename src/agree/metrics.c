// SPDX-License-Identifier: Apache-2.0
// Errors, correlations and overlaps of two maps. SSIM: ssim.c.
#include "agree/metrics.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

double ab_metric_rel_l2(const double *ref, const double *got, size_t count)
{
    double error = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        error += (got[i] - ref[i]) * (got[i] - ref[i]);
        norm += ref[i] * ref[i];
    }
    return norm > 0 ? sqrt(error / norm) : NAN;
}

double ab_metric_max_err(const double *ref, const double *got, size_t count)
{
    double error = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        error = fmax(error, fabs(got[i] - ref[i]));
        largest = fmax(largest, fabs(ref[i]));
    }
    return largest > 0 ? error / largest : NAN;
}

/* cos of a - ma and b - mb, as 1 - |u - v|^2 / 2 of the unit vectors: the difference from 1 keeps
 * its digits. */
static double cosine_about(const double *a, double ma, const double *b, double mb, size_t count)
{
    double aa = 0, bb = 0, apart = 0;
    for (size_t i = 0; i < count; i++) {
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
    }
    if (!(aa > 0) || !(bb > 0)) return NAN;
    const double na = sqrt(aa), nb = sqrt(bb);
    for (size_t i = 0; i < count; i++) {
        const double d = (a[i] - ma) / na - (b[i] - mb) / nb;
        apart += d * d;
    }
    return 1 - apart / 2;
}

static bool is_constant(const double *v, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (v[i] != v[0]) return false;
    return true;
}

static double mean(const double *v, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += v[i];
    return sum / (double)count;
}

double ab_metric_cosine(const double *a, const double *b, size_t count)
{
    return cosine_about(a, 0, b, 0, count);
}

double ab_metric_pearson(const double *a, const double *b, size_t count)
{
    if (is_constant(a, count) || is_constant(b, count)) return NAN;
    return cosine_about(a, mean(a, count), b, mean(b, count), count);
}

/* ---- order ---- */

struct entry {
    double value;
    size_t index;
};

static int descending(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* v's elements, the largest first; NULL when out of memory. */
static struct entry *sorted(const double *v, size_t count)
{
    struct entry *e = malloc(count * sizeof *e);
    if (!e) return NULL;
    for (size_t i = 0; i < count; i++) e[i] = (struct entry){v[i], i};
    qsort(e, count, sizeof *e, descending);
    return e;
}

/* A number of the order of v: a double's bits are in order but for the sign. 0 and -0 are equal. */
static uint64_t order_key(double v)
{
    const double one_zero = v + 0.0;
    uint64_t bits;
    memcpy(&bits, &one_zero, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

struct keyed {
    uint64_t key;
    size_t index;
};

enum { DIGIT_BITS = 11, DIGITS = 6, BUCKETS = 1 << DIGIT_BITS };

static size_t digit_of(uint64_t key, int digit)
{
    return (size_t)(key >> (DIGIT_BITS * digit)) & (BUCKETS - 1);
}

/* Sorts by one digit from `from` to `to`, stably; false: all are equal there, nothing was moved. */
static bool sort_digit(const struct keyed *from, struct keyed *to, size_t count, int digit,
                       size_t *starts)
{
    memset(starts, 0, BUCKETS * sizeof *starts);
    for (size_t i = 0; i < count; i++) starts[digit_of(from[i].key, digit)]++;
    if (starts[digit_of(from[0].key, digit)] == count) return false;
    size_t sum = 0;
    for (size_t b = 0; b < BUCKETS; b++) {
        const size_t here = starts[b];
        starts[b] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++) to[starts[digit_of(from[i].key, digit)]++] = from[i];
    return true;
}

/* Writes each element's rank, 0 = smallest; equal ones share their mean. By radix: comparing maps
 * is mostly ranking them, and a comparison sort takes ten times as long. */
static bool rank(const double *v, size_t count, double *ranks)
{
    struct keyed *room = malloc(2 * count * sizeof *room), *e = room, *other = room + count;
    size_t *starts = malloc(BUCKETS * sizeof *starts);
    const bool good = room && starts;
    for (size_t i = 0; good && i < count; i++) e[i] = (struct keyed){order_key(v[i]), i};
    for (int digit = 0; good && digit < DIGITS; digit++) {
        if (!sort_digit(e, other, count, digit, starts)) continue;
        struct keyed *swap = e;
        e = other;
        other = swap;
    }
    for (size_t i = 0, end; good && i < count; i = end) {
        for (end = i + 1; end < count && e[end].key == e[i].key;) end++;
        for (size_t k = i; k < end; k++) ranks[e[k].index] = (double)(i + end - 1) / 2;
    }
    free(room);
    free(starts);
    return good;
}

double ab_metric_spearman(const double *a, const double *b, size_t count)
{
    double *ranks = malloc(2 * count * sizeof *ranks), result = NAN;
    if (ranks && rank(a, count, ranks) && rank(b, count, ranks + count))
        result = ab_metric_pearson(ranks, ranks + count, count);
    free(ranks);
    return result;
}

double ab_metric_iou(const double *ref, const double *got, size_t count, size_t k, double tie)
{
    struct entry *r = sorted(ref, count), *g = sorted(got, count);
    bool *chosen = calloc(count, sizeof *chosen);
    double result = NAN;
    if (r && g && chosen) {
        size_t both = 0;
        for (size_t i = 0; i < k; i++) chosen[r[i].index] = true;
        for (size_t i = 0; i < k; i++) both += chosen[g[i].index];
        const bool tied = k < count && r[k - 1].value - r[k].value <= tie;
        result = tied ? 1 : (double)both / (double)(2 * k - both);
    }
    free(r);
    free(g);
    free(chosen);
    return result;
}
