// SPDX-License-Identifier: Apache-2.0
// What visits showed of a point, and what that makes it worth.
#include "tune_search.h"

#include "stats.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two visits that nothing disturbed differ by less than `noise`, 19 times of 20; half as much
 * again, and it is no accident. */
static const double band = 1.5;
/* Noise where only requirements are asked for. */
static const double usual_noise = 0.02;

const char *ab_drop_name(enum ab_drop drop)
{
    static const char *const names[] = {"none", "error", "agreement", "slo", "dominated", "roof"};
    return names[drop];
}

/* ---- growing ---- */

static bool grow(double **list, int count, double value)
{
    double *grown = realloc(*list, ((size_t)count + 1) * sizeof *grown);
    if (!grown) return false;
    grown[count] = value;
    *list = grown;
    return true;
}

static double quantile_of(const double *values, int count, double q)
{
    double *sorted = count > 0 ? malloc((size_t)count * sizeof *sorted) : NULL;
    if (!sorted) return (double)NAN;
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    ab_sort(sorted, (size_t)count);
    const double value = ab_quantile(sorted, count, q);
    free(sorted);
    return value;
}

/* NaN: not known. */
static void raise_to(double *most, double value)
{
    if (value > *most || !(*most > 0)) *most = value;
}

static bool add_visit(struct ab_evidence *e, const struct ab_told *told,
                      const struct ab_require *require, double pace)
{
    const size_t requests = (size_t)(e->requests + told->requests);
    double *pooled = realloc(e->latency_ns, (requests + 1) * sizeof *pooled);
    if (pooled) e->latency_ns = pooled;
    int *upto = realloc(e->upto, ((size_t)e->visits + 1) * sizeof *upto);
    if (upto) e->upto = upto;
    if (!pooled || !upto) return false;
    const double q = quantile_of(told->latency_ns, told->requests, ab_require_quantile(require));
    if (!grow(&e->images_per_s, e->visits, told->images_per_s) ||
        !grow(&e->start_ns, e->visits, told->start_ns) || !grow(&e->quantile_ns, e->visits, q) ||
        !grow(&e->pace, e->visits, pace > 0 ? pace : 1))
        return false;
    e->paced = e->paced || pace > 0;
    if (told->requests > 0)
        memcpy(pooled + e->requests, told->latency_ns, (size_t)told->requests * sizeof *pooled);
    e->requests = (int)requests;
    upto[e->visits++] = e->requests;
    return true;
}

/* What could not be judged may be anything, and stays so whatever other visits show. */
static int badness(enum ab_verdict verdict)
{
    switch (verdict) {
    case AB_AGREE: return 0;
    case AB_SKIPPED: return 1;
    case AB_MISTRUSTED: return 2;
    default: return 3;
    }
}

bool ab_evidence_add(struct ab_evidence *e, const struct ab_told *told,
                     const struct ab_require *require, double pace)
{
    if (told->wall_s > 0) e->spent_s += told->wall_s;
    if (told->judge_s > 0) e->spent_s += told->judge_s;
    if (told->error || !(told->images_per_s > 0) || told->requests < 1) {
        snprintf(e->error, sizeof e->error, "%s",
                 told->error ? told->error : "no image was done in time");
        return true;
    }
    if (!add_visit(e, told, require, pace)) return false;
    raise_to(&e->resident_bytes, told->resident_bytes);
    raise_to(&e->peak_bytes, told->peak_bytes);
    raise_to(&e->planned_bytes, told->planned_bytes);
    e->overloaded = e->overloaded || told->overloaded;
    if (told->alike > e->alike) e->alike = told->alike;
    /* The worst of all visits, should they differ. */
    const int rank = badness(told->verdict), before = badness(e->verdict);
    const bool worse =
        e->visits == 1 || rank > before || (rank == before && told->rel_l2 > e->rel_l2);
    if (!worse) return true;
    e->verdict = told->verdict;
    e->rel_l2 = told->rel_l2;
    e->max_err = told->max_err;
    snprintf(e->why, sizeof e->why, "%s", told->why ? told->why : "");
    return true;
}

void ab_evidence_free(struct ab_evidence *e)
{
    free(e->images_per_s);
    free(e->start_ns);
    free(e->quantile_ns);
    free(e->pace);
    free(e->latency_ns);
    free(e->upto);
    *e = (struct ab_evidence){.visits = 0};
}

/* ---- what nothing disturbed ---- */

static int first_of(const struct ab_evidence *e, int visit)
{
    return visit ? e->upto[visit - 1] : 0;
}

/* How swift a visit was at a pace of 1, by what is hard to disturb by chance: the median request,
 * or the mean. */
static double swiftness(const struct ab_evidence *e, const struct ab_require *require, int visit)
{
    if (require->objective != AB_OBJECTIVE_LATENCY) return e->images_per_s[visit] / e->pace[visit];
    const int first = first_of(e, visit);
    return 1 / quantile_of(e->latency_ns + first, e->upto[visit] - first, 0.5) / e->pace[visit];
}

static double swiftest(const struct ab_evidence *e, const struct ab_require *require)
{
    double best = 0;
    for (int v = 0; v < e->visits; v++) best = fmax(best, swiftness(e, require, v));
    return best;
}

/* That of the slowest of the swiftest third of all visits; of three, the swiftest. */
static double usual_swiftness(const struct ab_evidence *e, const struct ab_require *require)
{
    enum { OF = 3 };
    double *all = e->visits > 0 ? malloc((size_t)e->visits * sizeof *all) : NULL;
    if (!all) return INFINITY;
    for (int v = 0; v < e->visits; v++) all[v] = swiftness(e, require, v);
    ab_sort(all, (size_t)e->visits);
    const double usual = all[e->visits - (e->visits + OF - 1) / OF];
    free(all);
    return usual;
}

/* What a pacemaker was held against. A limit is kept or broken by requests, which it is not. */
static bool errs_both_ways(const struct ab_evidence *e, const struct ab_require *require)
{
    return e->paced && !(require->slo.limit_ns > 0);
}

/* The least of a visit that nothing disturbed. A third of them were not: if fewer come near the
 * best, that one was lucky, as where each process chooses algorithms anew. Beside a pacemaker it is
 * disturbed as much as the visit. */
static double needed_of(const struct ab_evidence *e, const struct ab_require *require, double noise)
{
    if (errs_both_ways(e, require)) return 0;
    return fmin(swiftest(e, require) * exp(-band * noise), usual_swiftness(e, require));
}

/* As its own visits scatter, with that of all in the place of `usual` of them. */
static double paced_noise(const struct ab_evidence *e, const struct ab_require *require,
                          double noise)
{
    static const double usual = 4;
    double mean = 0, squares = usual * noise * noise;
    for (int v = 0; v < e->visits; v++) mean += log(swiftness(e, require, v)) / e->visits;
    for (int v = 0; v < e->visits; v++) {
        const double off = 2 * (log(swiftness(e, require, v)) - mean);
        squares += off * off;
    }
    return sqrt(squares / (usual + e->visits - 1));
}

/* A point whose visits scatter by more than those of others is known less well. */
static double own_noise(const struct ab_evidence *e, const struct ab_require *require, double noise)
{
    if (errs_both_ways(e, require)) return paced_noise(e, require, noise);
    return log(swiftest(e, require) / needed_of(e, require, noise)) / band;
}

int ab_evidence_clean(const struct ab_evidence *e, const struct ab_require *require, double noise)
{
    int clean = 0;
    const double needed = needed_of(e, require, noise);
    for (int v = 0; v < e->visits; v++) clean += swiftness(e, require, v) >= needed;
    return clean;
}

/* The latencies of those visits at a pace of 1, together; free() them. NULL: none, or out of
 * memory. */
static double *clean_latencies(const struct ab_evidence *e, const struct ab_require *require,
                               double noise, int *count)
{
    double *all = e->requests > 0 ? malloc((size_t)e->requests * sizeof *all) : NULL;
    const double needed = needed_of(e, require, noise);
    *count = 0;
    for (int v = 0; all && v < e->visits; v++) {
        if (swiftness(e, require, v) < needed) continue;
        for (int i = first_of(e, v); i < e->upto[v]; i++)
            all[(*count)++] = e->latency_ns[i] * e->pace[v];
    }
    return all;
}

double ab_evidence_quantile(const struct ab_evidence *e, const struct ab_require *require,
                            double noise)
{
    int count;
    double *all = clean_latencies(e, require, noise, &count);
    const double value = all ? quantile_of(all, count, ab_require_quantile(require)) : (double)NAN;
    free(all);
    return value;
}

double ab_evidence_of_visit(const struct ab_evidence *e, const struct ab_require *require,
                            int visit, bool swift)
{
    const bool latency = swift || require->objective == AB_OBJECTIVE_LATENCY;
    return (latency ? 1 / e->quantile_ns[visit] : e->images_per_s[visit]) / e->pace[visit];
}

/* ---- value ---- */

static double clean_throughput(const struct ab_evidence *e, const struct ab_require *require,
                               double noise)
{
    double *clean = malloc((size_t)e->visits * sizeof *clean);
    const double needed = needed_of(e, require, noise);
    int count = 0;
    for (int v = 0; clean && v < e->visits; v++)
        if (swiftness(e, require, v) >= needed) clean[count++] = swiftness(e, require, v);
    const double value = clean ? quantile_of(clean, count, 0.5) : (double)NAN;
    free(clean);
    return value;
}

/* Hodges and Lehmann, Estimates of location based on rank tests, 1963: the median of the (here
 * geometric) means of any two visits, and of each with itself. It is nearly as sharp as the mean
 * and puts up with a quarter of them being far off. */
static double middle_of(const struct ab_evidence *e, const struct ab_require *require)
{
    const size_t n = (size_t)e->visits;
    double *pairs = malloc(n * (n + 1) / 2 * sizeof *pairs);
    int count = 0;
    for (int i = 0; pairs && i < e->visits; i++)
        for (int j = 0; j <= i; j++)
            pairs[count++] = sqrt(swiftness(e, require, i) * swiftness(e, require, j));
    const double value = pairs ? quantile_of(pairs, count, 0.5) : (double)NAN;
    free(pairs);
    return value;
}

static double usual_value(const struct ab_evidence *e, const struct ab_require *require,
                          double noise)
{
    if (require->objective == AB_OBJECTIVE_MEMORY)
        return 1 / (e->resident_bytes > 0 ? e->resident_bytes : e->planned_bytes);
    if (errs_both_ways(e, require)) return middle_of(e, require);
    return require->objective == AB_OBJECTIVE_LATENCY ? 1 / ab_evidence_quantile(e, require, noise)
                                                      : clean_throughput(e, require, noise);
}

struct ab_worth ab_evidence_value(const struct ab_evidence *e, const struct ab_require *require,
                                  double noise)
{
    struct ab_worth v = {(double)NAN, (double)NAN, (double)NAN, (double)NAN};
    if (e->visits < 1) return v;
    double spread = exp(own_noise(e, require, noise) / sqrt(ab_evidence_clean(e, require, noise)));
    /* Stacks and libraries; other programs do not change it. */
    if (require->objective == AB_OBJECTIVE_MEMORY) spread = 1.005;
    v.value = usual_value(e, require, noise);
    v.low = v.rank = v.value / spread;
    v.high = v.value * spread;
    return v;
}

/* ---- requirements ---- */

bool ab_evidence_accepted(const struct ab_evidence *e, const struct ab_require *require)
{
    /* Maps that could not be judged have not shown that they agree. */
    if (e->verdict != AB_AGREE) return false;
    return !(require->min_agree > 0) || e->rel_l2 <= require->min_agree;
}

double ab_evidence_clumps(const struct ab_evidence *e, double quantile)
{
    struct ab_clumps c = {0};
    for (int v = 0; v < e->visits; v++) {
        const int first = first_of(e, v);
        ab_clumps_add(&c, quantile, e->latency_ns + first, e->upto[v] - first);
    }
    /* Runs are too few where a visit has few executions: those that it is known to have count. */
    return fmax(e->alike, ab_clumps_mean(&c));
}

int ab_evidence_needed(const struct ab_evidence *e, double quantile)
{
    const int least = ab_percentile_least(quantile, AB_TUNE_CONFIDENCE);
    return (int)fmin(ceil(ab_evidence_clumps(e, quantile) * least), INT_MAX);
}

/* What is known after the last of the visits. `undisturbed`: what slowed a visit made its requests
 * wait as much longer, and is taken off; what is late even so would be late without it. The end of
 * each visit is a look: who asks after every visit asks that often. What a look decided stands
 * until another decides otherwise: one that cannot decide takes nothing back. */
static enum ab_slo_state judge(const struct ab_evidence *e, const struct ab_require *require,
                               bool undisturbed, struct ab_slo_looks *looks)
{
    const double clumps = ab_evidence_clumps(e, require->slo.quantile);
    const double best = swiftest(e, require), needed = needed_of(e, require, usual_noise);
    enum ab_slo_state state = AB_SLO_OPEN;
    double count = 0, beyond = 0;
    for (int v = 0; v < e->visits; v++) {
        const int first = first_of(e, v), n = e->upto[v] - first;
        const double at = swiftness(e, require, v);
        struct ab_slo slo = require->slo;
        if (undisturbed && at < needed) slo.limit_ns *= best / at;
        if (undisturbed) slo.limit_ns *= fmax(1, 1 / e->pace[v]);
        count += n / clumps;
        beyond += ab_slo_beyond(&slo, e->latency_ns + first, n) / clumps;
        const enum ab_slo_state now =
            ab_slo_look_at(looks, &slo, count, beyond, AB_TUNE_CONFIDENCE);
        if (now != AB_SLO_OPEN) state = now;
    }
    return state;
}

int ab_evidence_least(const struct ab_evidence *e, const struct ab_require *require)
{
    struct ab_slo_looks looks = {0};
    judge(e, require, false, &looks);
    const int least = ab_slo_looks_least(&looks, &require->slo, AB_TUNE_CONFIDENCE);
    return (int)fmin(ceil(ab_evidence_clumps(e, require->slo.quantile) * least), INT_MAX);
}

enum ab_fit ab_evidence_fits(const struct ab_evidence *e, const struct ab_require *require)
{
    if (e->error[0]) return AB_FIT_FAILS;
    if (e->visits < 1) return AB_FIT_UNKNOWN;
    if (!ab_evidence_accepted(e, require)) return AB_FIT_FAILS;
    if (!(require->slo.limit_ns > 0)) return AB_FIT_MEETS;
    if (e->overloaded) return AB_FIT_FAILS;
    struct ab_slo_looks looks = {0}, clean = {0};
    const enum ab_slo_state all = judge(e, require, false, &looks);
    if (all != AB_SLO_BROKEN) return all == AB_SLO_HELD ? AB_FIT_MEETS : AB_FIT_OPEN;
    return judge(e, require, true, &clean) == AB_SLO_BROKEN ? AB_FIT_FAILS : AB_FIT_OPEN;
}
