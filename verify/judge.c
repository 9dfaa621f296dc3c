// SPDX-License-Identifier: Apache-2.0
// Verdicts on sums in floating point, element by element: docs/numerics.md derives the bounds.
#include "verify/judge.h"

#include "simd/chain.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Rounding errors of sums grow as the root of their number: 4 leaves 2.5 times the worst seen. */
static const double lambda = 4.0;
static const double largest_ratio = 1e30;

/* ---- truth ---- */

bool ab_truth_new(struct ab_truth *t, size_t count)
{
    const size_t n = count ? count : 1;
    *t = (struct ab_truth){.sum = calloc(n, sizeof *t->sum),
                           .magnitude = calloc(n, sizeof *t->magnitude),
                           .square = calloc(n, sizeof *t->square),
                           .terms = calloc(n, sizeof *t->terms),
                           .count = count};
    if (t->sum && t->magnitude && t->square && t->terms) return true;
    ab_truth_free(t);
    return false;
}

void ab_truth_free(struct ab_truth *t)
{
    free(t->sum);
    free(t->magnitude);
    free(t->square);
    free(t->terms);
    *t = (struct ab_truth){NULL, NULL, NULL, NULL, 0};
}

void ab_truth_add(struct ab_truth *t, size_t at, double term)
{
    t->sum[at] += term;
    t->magnitude[at] += fabs(term);
    t->square[at] += term * term;
    t->terms[at]++;
}

/* ---- bounds ---- */

static double chain_of(const struct ab_accumulation *how, double terms)
{
    if (how->kernel) return (double)ab_kernel_chain(how->kernel, (long)terms);
    const long declared = how->chain ? how->chain((long)terms) : 0;
    /* The bias, a term too, may come last. */
    return declared > 0 ? fmin((double)declared + 1.0, terms) : terms;
}

double ab_hard_bound(const struct ab_accumulation *how, double terms, double magnitude)
{
    /* Terms that are all 0 are added without error, and none is lost to underflow. */
    if (magnitude == 0.0) return 0.0;
    const double n = chain_of(how, terms);
    return how->u * fmin(n, lambda * sqrt(n)) * magnitude / (1.0 - n * how->u) + n * how->least;
}

double ab_sharp_bound(const struct ab_accumulation *how, double terms, double sum, double square)
{
    if (square == 0.0) return 0.0;
    const double n = chain_of(how, terms), z = fabs(sum);
    return how->u * (lambda * sqrt(n) * (z + sqrt(square)) + z) + n * how->least;
}

/* ---- verdicts ---- */

/* One tensor being judged. */
struct verdict {
    const struct ab_judge *judge;
    const struct ab_truth *truth;
    double most; /* finite */
    struct ab_outcome *outcome;
    size_t judged, classes, zeros, worst, special; /* special: the first element of a wrong class */
    double worst_got, worst_ratio, worst_bound, special_got;
    double least_sum, most_sum, most_magnitude, most_bound;
    double squared_error, squared_sum;
    enum ab_check check; /* of the worst */
};

static double bound_of(const struct verdict *v, size_t i)
{
    const struct ab_truth *t = v->truth;
    const struct ab_judge *j = v->judge;
    if (j->widen) return j->widen(j->user, i);
    double bound = ab_hard_bound(&j->how, t->terms[i], t->magnitude[i]);
    if (v->most == DBL_MAX) { /* the truth itself, a chain of all terms, is no better */
        const struct ab_accumulation own = {.u = DBL_EPSILON / 2, .least = 0x1p-1074};
        bound += ab_hard_bound(&own, t->terms[i], t->magnitude[i]);
    }
    return bound;
}

static bool same_class(double got, double want)
{
    if (isnan(want)) return isnan(got);
    if (isinf(want)) return got == want;
    return isfinite(got);
}

/* What the tensor as a whole says about itself. */
static void note(struct verdict *v, double sum, double bound)
{
    if (v->judged++ == 0) v->least_sum = v->most_sum = sum;
    v->least_sum = fmin(v->least_sum, sum);
    v->most_sum = fmax(v->most_sum, sum);
    v->most_magnitude = fmax(v->most_magnitude, fabs(sum));
    v->most_bound = fmax(v->most_bound, bound);
    if (sum == 0.0) v->zeros++;
}

static void wrong_class(struct verdict *v, size_t i, double got)
{
    if (v->special != SIZE_MAX) return;
    v->special = i;
    v->special_got = got;
}

/* True: single precision cannot decide the element, or its class settles it. */
static bool settled_by_class(struct verdict *v, size_t i, double got, double bound)
{
    const double want = v->truth->sum[i], magnitude = v->truth->magnitude[i];
    if (!isfinite(want)) {
        /* Transforms subtract infinities, so that NaN is as good. */
        const bool transformed = isinf(bound) && v->judge->widen;
        const bool right = transformed ? !isfinite(got) : same_class(got, want);
        if (!right) wrong_class(v, i, got);
        v->outcome->elements++;
        v->classes++;
        return true;
    }
    if (isinf(bound) || magnitude > v->most - bound) {
        v->outcome->undetermined++;
        return true;
    }
    if (isfinite(got)) return false;
    wrong_class(v, i, got);
    v->outcome->elements++;
    return true;
}

static double ratio_of(double error, double bound)
{
    if (error == 0.0) return 0.0;
    return bound > 0.0 ? fmin(error / bound, largest_ratio) : largest_ratio;
}

static void judge_element(struct verdict *v, size_t i, double got)
{
    const struct ab_truth *t = v->truth;
    const struct ab_accumulation *how = &v->judge->how;
    const double bound = bound_of(v, i), sum = t->sum[i];
    if (settled_by_class(v, i, got, bound)) return;
    const bool to_the_bit = t->terms[i] == 0, exact = how->exact || to_the_bit;
    const double want = to_the_bit && v->most == FLT_MAX ? (double)(float)sum : sum;
    const double error = fabs(got - want);
    v->outcome->elements++;
    note(v, want, exact ? 0.0 : bound);
    v->squared_error += error * error;
    v->squared_sum += want * want;
    double ratio = ratio_of(error, bound);
    if (to_the_bit && got == want && signbit(got) != signbit(want)) ratio = largest_ratio;
    if (exact && ratio > 0.0) ratio = fmax(ratio, 2.0);
    if (!exact && !v->judge->widen) {
        const double sharp = ab_sharp_bound(how, t->terms[i], sum, t->square[i]);
        v->outcome->sharp = fmax(v->outcome->sharp, ratio_of(error, sharp));
    }
    if (ratio <= v->worst_ratio) return;
    v->worst_ratio = ratio;
    v->worst = i;
    v->worst_got = got;
    v->worst_bound = exact ? 0.0 : bound;
    v->check = exact ? AB_CHECK_bits : AB_CHECK_bound;
}

static void where(const struct verdict *v, size_t i, char *text, size_t size)
{
    if (v->judge->where)
        v->judge->where(v->judge->user, i, text, size);
    else
        snprintf(text, size, "element %zu", i);
}

static void report_failure(struct verdict *v)
{
    char place[80];
    const int digits = v->most == FLT_MAX ? 9 : 17;
    if (v->special != SIZE_MAX) {
        where(v, v->special, place, sizeof place);
        ab_outcome_fail(v->outcome, AB_CHECK_special, "%s: got %.*g, want %.*g", place, digits,
                        v->special_got, digits, v->truth->sum[v->special]);
        return;
    }
    if (v->worst_ratio <= 1.0) return;
    where(v, v->worst, place, sizeof place);
    const double want = v->truth->sum[v->worst];
    if (v->check == AB_CHECK_bits)
        ab_outcome_fail(v->outcome, AB_CHECK_bits, "%s: got %.*g, want exactly %.*g", place, digits,
                        v->worst_got, digits, want);
    else
        ab_outcome_fail(v->outcome, AB_CHECK_bound,
                        "%s: got %.*g, want %.*g within %.3g: off by %.3g bounds; condition %.3g",
                        place, digits, v->worst_got, digits, want, v->worst_bound, v->worst_ratio,
                        v->truth->magnitude[v->worst] / fabs(want));
}

static void mistrust(struct verdict *v)
{
    struct ab_outcome *o = v->outcome;
    if (o->kind != AB_OUTCOME_PASS || v->truth->count == 0 || v->classes == v->truth->count) return;
    const double zeros = v->judged ? (double)v->zeros / (double)v->judged : 0.0;
    if (v->judged == 0)
        snprintf(o->why, sizeof o->why, "single precision decides no element");
    else if (v->zeros == v->judged)
        snprintf(o->why, sizeof o->why, "all %zu true results are 0", v->judged);
    else if (zeros > 0.9 && !v->judge->sparse)
        snprintf(o->why, sizeof o->why, "%.0f %% of the true results are 0", 100.0 * zeros);
    else if (v->judged > 1 && v->least_sum == v->most_sum)
        snprintf(o->why, sizeof o->why, "all %zu true results are %.9g", v->judged, v->most_sum);
    else if (v->most_bound > 0.1 * v->most_magnitude)
        snprintf(o->why, sizeof o->why,
                 "the bound, %.3g, is not small beside the largest result, "
                 "%.3g",
                 v->most_bound, v->most_magnitude);
    else
        return;
    o->kind = AB_OUTCOME_MISTRUSTED;
}

static void finish(struct verdict *v)
{
    struct ab_outcome *o = v->outcome;
    o->ratio = fmax(o->ratio, v->worst_ratio);
    /* Squares of what double precision hardly holds are no numbers: then the ratio alone tells. */
    const double rel_l2 = sqrt(v->squared_error / v->squared_sum);
    if (isfinite(rel_l2)) o->rel_l2 = fmax(o->rel_l2, rel_l2);
    report_failure(v);
    mistrust(v);
}

void ab_judge_floats(const struct ab_judge *judge, const struct ab_truth *truth, const float *got,
                     struct ab_outcome *outcome)
{
    struct verdict v = {
        .judge = judge, .truth = truth, .most = FLT_MAX, .outcome = outcome, .special = SIZE_MAX};
    for (size_t i = 0; i < truth->count; i++) judge_element(&v, i, (double)got[i]);
    finish(&v);
}

void ab_judge_doubles(const struct ab_judge *judge, const struct ab_truth *truth, const double *got,
                      struct ab_outcome *outcome)
{
    struct verdict v = {
        .judge = judge, .truth = truth, .most = DBL_MAX, .outcome = outcome, .special = SIZE_MAX};
    for (size_t i = 0; i < truth->count; i++) judge_element(&v, i, got[i]);
    finish(&v);
}
