// SPDX-License-Identifier: Apache-2.0
// Decisions about two series of samples: groups, their low quantiles, intervals, verdicts.
#include "decide.h"

#include "percentile.h"
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What disturbs a slice makes it longer, almost never shorter. In simulation with four fifths of
 * the time contended, the 0.05-quantile of a group finds +2 % where its median finds nothing. */
static const double LOW = 0.05;
/* Groups: more make each one's low quantile less low, fewer make the interval's ends extremes. */
enum { PAIRED_GROUPS = 48, STORED_GROUPS = 96 };
static const double ALPHA = 0.01, USER = 0.01;
/* One program's runs at different times differed by up to 8.7 % (docs/regressions.md). */
static const double UNKNOWN_FLOOR = 0.03;

const char *ab_change_name(enum ab_change c)
{
    static const char *const names[] = {"same", "regression", "improvement", "inconclusive"};
    return names[c];
}

/* ---- order statistics ---- */

struct interval {
    double at, low, high;
};

/* The p-quantile behind sorted values, with what may lie beyond each end; false: too few. */
static bool interval_of(const double *sorted, int n, double p, double tail, struct interval *out)
{
    const int low = ab_order_rank(n, p, tail), high = ab_order_rank(n, 1 - p, tail);
    out->at = ab_quantile(sorted, n, p);
    if (low == 0 || high == 0) return false;
    out->low = sorted[low - 1];
    out->high = sorted[n - high];
    return true;
}

/* The largest k for which the k-th smallest of the n (n + 1) / 2 means of two (of one with itself
 * too) of n values lies above the centre of their distribution, if it is symmetric, with a
 * probability of at most `tail`: P(T < k) for the sum T of signed ranks. 0: none, or out of memory.
 */
static int signed_rank(int n, double tail)
{
    const int most = n * (n + 1) / 2;
    double *chance = calloc((size_t)most + 1, sizeof *chance), sum = 0;
    if (!chance) return 0;
    chance[0] = 1;
    for (int rank = 1; rank <= n; rank++)
        for (int t = most; t >= 0; t--)
            chance[t] = 0.5 * (chance[t] + (t >= rank ? chance[t - rank] : 0));
    int k = 0;
    while (k < most && (sum += chance[k]) <= tail) k++;
    free(chance);
    return k;
}

/* The centre of values that lie symmetrically about it: the median of the means of any two of them
 * (Hodges and Lehmann), and what may lie beyond each end. *enough: there are ends. False: out of
 * memory. */
static bool centre_of(const double *values, int n, double tail, struct interval *out, bool *enough)
{
    double *means = malloc((size_t)n * (size_t)(n + 1) / 2 * sizeof *means);
    if (!means) return false;
    int count = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k <= i; k++) means[count++] = 0.5 * (values[i] + values[k]);
    ab_sort(means, (size_t)count);
    const int rank = signed_rank(n, tail);
    out->at = ab_quantile(means, count, 0.5);
    *enough = rank > 0;
    if (*enough) {
        out->low = means[rank - 1];
        out->high = means[count - rank];
    }
    free(means);
    return true;
}

/* ---- options ---- */

static double tail_of(const struct ab_decide_options *o)
{
    const double alpha = o->alpha > 0 ? o->alpha : ALPHA;
    /* Two ends; and where each side has an interval of its own, two sides. */
    return alpha / (o->rows > 0 ? o->rows : 1) / (o->paired ? 2 : 4);
}

int ab_decide_least(const struct ab_decide_options *o)
{
    int n = 1;
    while (ab_order_rank(n, 0.5, tail_of(o)) == 0) n++;
    return n;
}

static double threshold_of(const struct ab_decide_options *o, double a_ns)
{
    const double unknown = o->paired ? 0 : UNKNOWN_FLOOR;
    const double floor_share = isnan(o->floor) ? unknown : o->floor;
    double share = fmax(o->user > 0 ? o->user : USER, 3 * floor_share);
    if (o->least_ns > 0 && a_ns > 0) share = fmax(share, o->least_ns / a_ns);
    return share;
}

/* ---- groups ---- */

/* The work of one decision: what is judged of each side, and room for the groups. */
struct bench {
    double *a, *b; /* the samples that count, in their order */
    int n_a, n_b;
    double *group_a, *group_b; /* low quantiles */
    double *sorted;            /* [max(n_a, n_b)] */
};

static bool bench_make(struct bench *w, int n_a, int n_b)
{
    const size_t most = (size_t)(n_a > n_b ? n_a : n_b);
    double *all = malloc((most * 3 + 2 * STORED_GROUPS) * sizeof *all);
    if (!all) return false;
    *w = (struct bench){.a = all,
                        .b = all + most,
                        .sorted = all + 2 * most,
                        .group_a = all + 3 * most,
                        .group_b = all + 3 * most + STORED_GROUPS};
    return true;
}

static bool hit(const struct ab_samples *s, int i)
{
    return s->disturbed && s->disturbed[i];
}

/* Copies the samples of `s` that count to `to`: those undisturbed (in the other side's same turn
 * too, if there is one), or all if that would leave less than a quarter or fewer than `least`. */
static int keep(const struct ab_samples *s, const struct ab_samples *partner, int least, double *to)
{
    int n = 0;
    for (int i = 0; i < s->count; i++)
        if (!hit(s, i) && !(partner && hit(partner, i))) to[n++] = s->ns[i];
    if (n >= least && n >= s->count / 4) return n;
    memcpy(to, s->ns, (size_t)s->count * sizeof *to);
    return s->count;
}

static double low_of(const double *values, int n, double *room)
{
    memcpy(room, values, (size_t)n * sizeof *room);
    ab_sort(room, (size_t)n);
    return ab_quantile(room, n, LOW);
}

/* Cuts n values into `groups` neighbourhoods and takes the low quantile of each. */
static void group(const double *values, int n, int groups, double *room, double *out)
{
    for (int g = 0; g < groups; g++) {
        const int from = (int)((long)g * n / groups), to = (int)((long)(g + 1) * n / groups);
        out[g] = low_of(values + from, to - from, room);
    }
}

static int least_of(int a, int b)
{
    return a < b ? a : b;
}

/* Log-ratios of neighbouring groups: what slows both sides at a time cancels. */
static bool judge_paired(struct bench *w, double tail, struct ab_ruling *d, struct interval *out)
{
    d->groups = least_of(w->n_a, PAIRED_GROUPS);
    group(w->a, w->n_a, d->groups, w->sorted, w->group_a);
    group(w->b, w->n_b, d->groups, w->sorted, w->group_b);
    for (int g = 0; g < d->groups; g++) w->group_a[g] = log(w->group_b[g] / w->group_a[g]);
    ab_sort(w->group_a, (size_t)d->groups);
    return interval_of(w->group_a, d->groups, 0.5, tail, out);
}

/* Each side's level has its own interval: the lower quartile of its groups' low quantiles, since a
 * neighbour that is there half of the time lifts their median; the median of few groups. */
static bool judge_stored(struct bench *w, double tail, struct ab_ruling *d, struct interval *out)
{
    const int n_a = least_of(w->n_a, STORED_GROUPS), n_b = least_of(w->n_b, STORED_GROUPS);
    d->groups = least_of(n_a, n_b);
    group(w->a, w->n_a, n_a, w->sorted, w->group_a);
    group(w->b, w->n_b, n_b, w->sorted, w->group_b);
    ab_sort(w->group_a, (size_t)n_a);
    ab_sort(w->group_b, (size_t)n_b);
    const double p = ab_order_rank(d->groups, 0.25, tail) > 0 ? 0.25 : 0.5;
    struct interval a, b;
    const bool good_a = interval_of(w->group_a, n_a, p, tail, &a),
               good_b = interval_of(w->group_b, n_b, p, tail, &b);
    out->at = log(b.at / a.at);
    if (!good_a || !good_b) return false;
    out->low = log(b.low / a.high);
    out->high = log(b.high / a.low);
    return true;
}

/* ---- verdicts ---- */

/* log(1 + threshold) is exceeded downwards by 1 / (1 + threshold): as much faster as slower. */
static enum ab_change place(const struct interval *i, double limit)
{
    if (i->low > limit) return AB_CHANGE_REGRESSION;
    if (i->high < -limit) return AB_CHANGE_IMPROVEMENT;
    if (i->low >= -limit && i->high <= limit) return AB_CHANGE_SAME;
    return AB_CHANGE_INCONCLUSIVE;
}

static void explain(struct ab_ruling *d, const char *what)
{
    snprintf(d->why, sizeof d->why, "between %+.1f %% and %+.1f %%: %s", 100 * (d->low - 1),
             100 * (d->high - 1), what);
}

/* Runs of different times: that B's level lies above A's says nothing if its quickest groups do
 * not, since then it was the neighbours that changed. */
static bool contradicted(const struct bench *w, const struct ab_ruling *d, double limit)
{
    const double quickest = log(w->group_b[0] / w->group_a[0]);
    return (d->change == AB_CHANGE_REGRESSION && quickest <= limit) ||
           (d->change == AB_CHANGE_IMPROVEMENT && quickest >= -limit);
}

static void judge(struct bench *w, const struct ab_decide_options *o, struct ab_ruling *d)
{
    struct interval i;
    const double tail = tail_of(o), limit = log1p(d->threshold);
    const bool enough = o->paired ? judge_paired(w, tail, d, &i) : judge_stored(w, tail, d, &i);
    d->ratio = exp(i.at);
    if (!enough) {
        snprintf(d->why, sizeof d->why,
                 "%d samples: %d are needed to be sure of %d row%s; measure longer", d->groups,
                 ab_decide_least(o), o->rows, o->rows == 1 ? "" : "s");
        return;
    }
    d->low = exp(i.low);
    d->high = exp(i.high);
    d->change = place(&i, limit);
    if (d->change == AB_CHANGE_INCONCLUSIVE) {
        explain(d, "measure longer, or with less else on the machine");
    } else if (!o->paired && contradicted(w, d, limit)) {
        d->change = AB_CHANGE_INCONCLUSIVE;
        explain(d, "but the quickest of both do not say so; measure by turns");
    }
}

/* False: a sample shows that its clock cannot be trusted. */
static bool trusted(const struct ab_samples *s, const char *side, struct ab_ruling *d)
{
    for (int i = 0; i < s->count; i++) {
        if (s->ns[i] > 0 && isfinite(s->ns[i])) continue;
        snprintf(d->why, sizeof d->why,
                 "sample %d of %s is %g ns: its clock went backwards or stood still; measure again",
                 i + 1, side, s->ns[i]);
        return false;
    }
    return true;
}

void ab_decide(const struct ab_samples *a, const struct ab_samples *b,
               const struct ab_decide_options *o, struct ab_ruling *d)
{
    const double none = (double)NAN;
    *d = (struct ab_ruling){AB_CHANGE_INCONCLUSIVE, none, none, none, none, none, none, 0, ""};
    d->threshold = threshold_of(o, 0);
    if (a->count < 1 || b->count < 1) {
        snprintf(d->why, sizeof d->why, "%s has no samples", a->count < 1 ? "A" : "B");
        return;
    }
    if (!trusted(a, "A", d) || !trusted(b, "B", d)) return;
    /* Of sides that took turns, one that left early ends the pairs. */
    struct ab_samples left = *a, right = *b;
    if (o->paired) left.count = right.count = least_of(a->count, b->count);
    struct bench w;
    if (!bench_make(&w, left.count, right.count)) {
        snprintf(d->why, sizeof d->why, "out of memory");
        return;
    }
    const int least = ab_decide_least(o);
    w.n_a = keep(&left, o->paired ? &right : NULL, least, w.a);
    w.n_b = keep(&right, o->paired ? &left : NULL, least, w.b);
    d->a_ns = low_of(w.a, w.n_a, w.sorted);
    d->b_ns = low_of(w.b, w.n_b, w.sorted);
    d->threshold = threshold_of(o, d->a_ns);
    judge(&w, o, d);
    free(w.a);
}

void ab_decide_looks(const double *ratios, int count, const struct ab_decide_options *o,
                     double a_ns, struct ab_ruling *d)
{
    const double none = (double)NAN;
    *d = (struct ab_ruling){AB_CHANGE_INCONCLUSIVE, none, none, none, none, none, none, count, ""};
    d->threshold = threshold_of(o, a_ns);
    double *logs = count > 0 ? malloc((size_t)count * sizeof *logs) : NULL;
    if (!logs) {
        snprintf(d->why, sizeof d->why, count > 0 ? "out of memory" : "no further look came to be");
        return;
    }
    for (int i = 0; i < count; i++) logs[i] = log(ratios[i]);
    struct interval i;
    bool enough = false;
    const bool done = centre_of(logs, count, tail_of(o), &i, &enough);
    free(logs);
    if (!done) {
        snprintf(d->why, sizeof d->why, "out of memory");
        return;
    }
    d->ratio = exp(i.at);
    d->a_ns = a_ns;
    d->b_ns = a_ns * d->ratio;
    if (!enough) {
        snprintf(d->why, sizeof d->why, "%d looks: %d are needed to be sure of %d row%s", count,
                 ab_decide_least(o), o->rows, o->rows == 1 ? "" : "s");
        return;
    }
    d->low = exp(i.low);
    d->high = exp(i.high);
    d->change = place(&i, log1p(d->threshold));
    if (d->change == AB_CHANGE_INCONCLUSIVE) explain(d, "processes differ by more than that");
}

enum ab_change ab_decide_error(double a, double b)
{
    /* Orders of summing that keep one to sixteen sums differ by up to sqrt(16) (docs/numerics.md);
     * below 1e-6, 16 roundings, nothing but rounding is seen. */
    const double growth = 4, rounding = 1e-6;
    if (b > growth * a && b > rounding) return AB_CHANGE_REGRESSION;
    if (a > growth * b && a > rounding) return AB_CHANGE_IMPROVEMENT;
    return AB_CHANGE_SAME;
}
