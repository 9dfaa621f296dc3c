// SPDX-License-Identifier: Apache-2.0
// The answer: which point to deploy, which ones trade something for something else, what each knob
// bought, and where nothing meets the requirements, what comes closest.
#include "tune_out.h"

#include "stats.h"
#include "tune_search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Two runs never agree better. */
static const double LEAST_NOISE = 0.02;
/* Errors are rounding's: within this factor nobody could prefer one to the other. */
static const double SAME_ERROR = 2;

/* ---- evidence, read ---- */

double ab_require_quantile(const struct ab_require *require)
{
    return require->slo.limit_ns > 0 ? require->slo.quantile : 0.5;
}

struct ab_worth ab_evidence_rate(const struct ab_evidence *e, double noise)
{
    const struct ab_require rate = {.objective = AB_OBJECTIVE_THROUGHPUT};
    return ab_evidence_value(e, &rate, noise);
}

struct ab_percentile ab_evidence_latency(const struct ab_evidence *e, double quantile)
{
    struct ab_percentile p = {(double)NAN, (double)NAN, (double)NAN};
    double *sorted = e->requests > 0 ? malloc((size_t)e->requests * sizeof *sorted) : NULL;
    if (!sorted) return p;
    memcpy(sorted, e->latency_ns, (size_t)e->requests * sizeof *sorted);
    ab_sort(sorted, (size_t)e->requests);
    p = ab_percentile_of_clumps(sorted, e->requests, ab_evidence_clumps(e, quantile), quantile,
                                AB_TUNE_CONFIDENCE);
    free(sorted);
    return p;
}

double ab_evidence_start(const struct ab_evidence *e)
{
    struct ab_stats stats = {0};
    return ab_stats_of(e->start_ns, e->visits, &stats) ? stats.median : (double)NAN;
}

bool ab_evidence_served(const struct ab_evidence *e)
{
    return e->visits > 0 && !*e->error;
}

double ab_evidence_error(const struct ab_evidence *e)
{
    const bool judged = e->verdict == AB_AGREE || e->verdict == AB_DISAGREE;
    return e->visits > 0 && judged ? e->rel_l2 : (double)NAN;
}

enum ab_slo_state ab_evidence_slo(const struct ab_evidence *e, const struct ab_require *require)
{
    struct ab_evidence right = *e;
    struct ab_require fast = *require;
    right.verdict = AB_AGREE;
    fast.min_agree = 0;
    switch (ab_evidence_fits(&right, &fast)) {
    case AB_FIT_MEETS: return AB_SLO_HELD;
    case AB_FIT_FAILS: return AB_SLO_BROKEN;
    default: return AB_SLO_OPEN;
    }
}

static bool meets(const struct ab_evidence *e, const struct ab_require *require)
{
    return ab_evidence_served(e) && ab_evidence_accepted(e, require) &&
           ab_evidence_fits(e, require) == AB_FIT_MEETS;
}

const char *ab_objective_name(enum ab_objective objective)
{
    static const char *const names[] = {"latency", "throughput", "memory"};
    return names[objective];
}

/* ---- the recommendation ---- */

/* What is asked of the evidence, made once. */
struct view {
    const struct ab_space *space;
    const struct ab_search *search;
    const struct ab_require *require;
    struct ab_answer *answer;
    struct ab_worth *value; /* [n_points] */
    double *latency_ns;     /* [n_points]: the objective's quantile; NaN: too few samples */
};

static const struct ab_evidence *seen(const struct view *v, int point)
{
    return ab_search_evidence(v->search, point);
}

static enum ab_status look(struct view *v, struct ab_error *err)
{
    const size_t n = (size_t)v->space->n_points;
    v->value = calloc(n, sizeof *v->value);
    v->latency_ns = calloc(n, sizeof *v->latency_ns);
    v->answer->front = calloc(n, sizeof *v->answer->front);
    v->answer->alike = calloc(n, sizeof *v->answer->alike);
    if (!v->value || !v->latency_ns || !v->answer->front || !v->answer->alike)
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for the answer; narrow --space");
    for (int i = 0; i < v->space->n_points; i++) {
        v->value[i] = ab_search_worth(v->search, i);
        v->latency_ns[i] = ab_evidence_latency(seen(v, i), ab_require_quantile(v->require)).value;
    }
    return AB_OK;
}

static void find_best(struct view *v)
{
    struct ab_answer *a = v->answer;
    for (int i = 0; i < v->space->n_points; i++) {
        if (!meets(seen(v, i), v->require) || !(v->value[i].value > 0)) continue;
        if (a->best < 0 || v->value[i].rank > v->value[a->best].rank) a->best = i;
    }
}

/* The simplest of those as good as the best, and of equally simple ones the better. */
static void recommend(struct view *v)
{
    struct ab_answer *a = v->answer;
    for (int i = 0; a->best >= 0 && i < v->space->n_points; i++) {
        const struct ab_worth *best = &v->value[a->best], *w = &v->value[i];
        if (!meets(seen(v, i), v->require) || !(w->value > 0)) continue;
        const double interval = hypot(log(best->high / best->value), log(w->high / w->value));
        const double behind = log(best->value / w->value);
        a->alike[i] = behind <= ab_search_alike_within(interval);
        if (behind > ab_search_given_away(v->search, interval)) continue;
        const struct ab_point *now = a->recommended >= 0 ? &v->space->points[a->recommended] : NULL;
        const double simpler = now ? now->simplicity - v->space->points[i].simplicity : 1;
        if (simpler > 0 || (simpler == 0 && v->value[i].value > v->value[a->recommended].value))
            a->recommended = i;
    }
}

/* How far a point is from the requirements; smaller is closer. Right maps come first: a service
 * that is late can be given more cores, one that is wrong cannot. */
static double distance(const struct view *v, int point)
{
    const struct ab_evidence *e = seen(v, point);
    const struct ab_require *r = v->require;
    const double wrong = 1e6;
    double far = 0;
    if (!ab_evidence_accepted(e, r))
        far += e->verdict == AB_DISAGREE
                   ? 2 * wrong
                   : fmin(wrong * ab_evidence_error(e) / r->min_agree, 2 * wrong);
    if (r->slo.limit_ns > 0) {
        const double latency = v->latency_ns[point];
        far += isnan(latency) ? wrong / 2 : fmin(fmax(latency / r->slo.limit_ns, 1), wrong / 2);
    }
    return far;
}

static void find_closest(struct view *v)
{
    struct ab_answer *a = v->answer;
    double least = (double)INFINITY;
    for (int i = 0; a->recommended < 0 && i < v->space->n_points; i++) {
        if (!ab_evidence_served(seen(v, i))) continue;
        const double far = distance(v, i);
        const bool better = a->closest >= 0 && v->value[i].value > v->value[a->closest].value;
        if (far < least || (far == least && better)) least = far, a->closest = i;
    }
}

/* ---- the front ---- */

/* 1: a is better than b by more than `tolerance`; -1: worse; 0: neither, or not known. Smaller
 * numbers are better. */
static int compare(double a, double b, double tolerance)
{
    if (!isfinite(a) || !isfinite(b)) return 0;
    if (a * (1 + tolerance) < b) return 1;
    return b * (1 + tolerance) < a ? -1 : 0;
}

/* j is better than i in something beyond noise, and in nothing worse. */
static bool dominates(const struct view *v, int j, int i)
{
    const struct ab_evidence *ej = seen(v, j), *ei = seen(v, i);
    const double noise = v->answer->noise;
    const double rate_j = ab_evidence_rate(ej, noise).value;
    const double rate_i = ab_evidence_rate(ei, noise).value;
    const int signs[] = {compare(v->latency_ns[j], v->latency_ns[i], noise),
                         compare(1 / rate_j, 1 / rate_i, noise),
                         compare(ej->resident_bytes, ei->resident_bytes, LEAST_NOISE),
                         compare(ab_evidence_error(ej), ab_evidence_error(ei), SAME_ERROR - 1)};
    bool better = false;
    for (size_t k = 0; k < sizeof signs / sizeof *signs; k++) {
        if (signs[k] < 0) return false;
        better = better || signs[k] > 0;
    }
    return better;
}

static bool on_offer(const struct view *v, int point)
{
    const struct ab_evidence *e = seen(v, point);
    return ab_evidence_served(e) && e->verdict != AB_DISAGREE;
}

static void find_front(struct view *v)
{
    const int n = v->space->n_points;
    int best = -1, count = 0;
    for (int i = 0; i < n; i++) {
        if (!on_offer(v, i)) continue;
        bool front = true;
        for (int j = 0; j < n && front; j++)
            front = j == i || !on_offer(v, j) || !dominates(v, j, i);
        v->answer->front[i] = front;
        count += front;
        if (best < 0 || v->value[i].value > v->value[best].value) best = i;
    }
    /* Differences that are noise one by one may add up: points that beat each other in a ring. */
    if (!count && best >= 0) v->answer->front[best] = true;
}

/* ---- knobs ---- */

static void find_gains(struct view *v)
{
    struct ab_answer *a = v->answer;
    if (a->recommended < 0) return;
    const struct ab_worth own = v->value[a->recommended];
    for (int k = 0; k < AB_KNOBS; k++) {
        const int level = v->space->points[a->recommended].level[k];
        struct ab_knob_gain gain = {.knob = (enum ab_knob)k, .other = -1};
        for (int l = 0; l < v->space->knobs[k].count; l++) {
            const int other = ab_space_neighbour(v->space, a->recommended, (enum ab_knob)k, l);
            if (l == level || other < 0 || !ab_evidence_served(seen(v, other))) continue;
            const struct ab_worth w = v->value[other];
            if (!(w.value > 0) || (gain.other >= 0 && own.value / w.value >= gain.gain)) continue;
            gain.other = l;
            gain.gain = own.value / w.value;
            gain.low = own.low / w.high;
            gain.high = own.high / w.low;
        }
        if (gain.other >= 0) a->gains[a->n_gains++] = gain;
    }
}

/* ---- all of it ---- */

enum ab_status ab_answer_make(const struct ab_space *space, const struct ab_search *search,
                              const struct ab_require *require, struct ab_answer *answer,
                              struct ab_error *err)
{
    *answer = (struct ab_answer){.recommended = -1, .best = -1, .closest = -1};
    answer->complete = ab_search_complete(search);
    answer->noise = fmax(LEAST_NOISE, ab_search_noise(search));
    struct view v = {space, search, require, answer, NULL, NULL};
    const enum ab_status status = look(&v, err);
    if (status == AB_OK) {
        find_best(&v);
        recommend(&v);
        find_closest(&v);
        find_front(&v);
        find_gains(&v);
    }
    free(v.value);
    free(v.latency_ns);
    if (status != AB_OK) ab_answer_free(answer);
    return status;
}

void ab_answer_free(struct ab_answer *answer)
{
    free(answer->front);
    free(answer->alike);
    answer->front = answer->alike = NULL;
}

/* Were it not for an interrupt, or for the host. `slow`: something with right maps is too slow. */
static enum ab_exit exit_of(const struct ab_tune_result *r, bool *slow)
{
    bool open = false, wrong = false, served = false, failed = false;
    *slow = false;
    if (r->answer->recommended >= 0) return AB_EXIT_OK;
    for (int i = 0; i < r->space->n_points; i++) {
        const struct ab_evidence *e = ab_search_evidence(r->search, i);
        failed = failed || *e->error;
        if (!ab_evidence_served(e)) continue;
        served = true;
        if (!ab_evidence_accepted(e, r->require)) {
            wrong = wrong || ab_evidence_slo(e, r->require) == AB_SLO_HELD;
        } else {
            *slow = true;
            open = open || ab_evidence_fits(e, r->require) != AB_FIT_FAILS;
        }
    }
    if (!served) return failed ? AB_EXIT_ERROR : AB_EXIT_INCONCLUSIVE;
    if (open) return AB_EXIT_INCONCLUSIVE;
    return wrong ? AB_EXIT_DISAGREE : AB_EXIT_NOTHING;
}

bool ab_tune_provisional(const struct ab_tune_result *r)
{
    static const double most = 0.1;
    bool slow;
    const enum ab_exit code = exit_of(r, &slow);
    /* One alone is no choice. */
    const bool choice = code == AB_EXIT_OK && r->space->n_points > 1;
    return (choice || slow) && ab_search_stolen(r->search) > most;
}

enum ab_exit ab_tune_exit(const struct ab_tune_result *r)
{
    bool slow;
    if (r->interrupted) return AB_EXIT_INTERRUPTED;
    return ab_tune_provisional(r) ? AB_EXIT_INCONCLUSIVE : exit_of(r, &slow);
}
