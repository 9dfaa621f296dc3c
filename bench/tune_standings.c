// SPDX-License-Identifier: Apache-2.0
// Where the points of a search stand: noise, values, requirements, who is out, who leads; and what
// a further visit of each may gain.
#include "tune_search.h"

#include "stats.h"

#include <math.h>
#include <stdlib.h>

/* An SLO that so many times the requests that could decide it leave open is as good as not kept. */
static const int patience = 4;
/* Prospects are looked at closely for so many points, those expected to be best. */
enum { CLOSELY = 96 };

/* ---- noise ---- */

/* How the scatter of visits is told from what they differ by: a quantile of that, and what it is of
 * two normal numbers of one standard deviation. */
struct scatter_rule {
    int first; /* visit of a point that counts */
    double quantile, at_quantile;
    double usual; /* scatter, until there are enough of them */
};
/* Contention makes some differ by more. First visits do not count: second ones are often made
 * because the first seem disturbed. */
static const struct scatter_rule scatter_alone = {2, 0.25, 0.4506, 0.01};
static const struct scatter_rule scatter_paced = {1, 0.5, 0.9539, 0.035};

/* The scatter of one visit, as a standard deviation: of visits of the same point one after the
 * other. */
static double scatter(const struct ab_search *s, bool swift)
{
    enum { USUAL = 4, MOST = 512 };
    const struct scatter_rule *rule = ab_search_paced(s) ? &scatter_paced : &scatter_alone;
    double differences[USUAL + MOST];
    int count = 0;
    while (count < USUAL) differences[count++] = rule->usual * rule->at_quantile;
    for (int i = 0; i < s->n_served; i++) {
        const struct ab_evidence *e = &s->evidence[s->served[i]];
        for (int v = rule->first; v < e->visits && count < USUAL + MOST; v++)
            differences[count++] = fabs(log(ab_evidence_of_visit(e, &s->o.require, v, swift) /
                                            ab_evidence_of_visit(e, &s->o.require, v - 1, swift)));
    }
    ab_sort(differences, (size_t)count);
    return ab_quantile(differences, count, rule->quantile) / rule->at_quantile;
}

/* In steps of a tenth, so that not every visit makes every standing stale. */
static double noise_of(const struct ab_search *s)
{
    static const double least = 0.02, most = 0.5;
    if (s->o.require.objective == AB_OBJECTIVE_MEMORY) return least;
    const double steps = ceil(log(2 * scatter(s, false) / least) / log(1.1));
    return fmin(most, steps > 0 ? least * pow(1.1, steps) : least);
}

/* ---- standings ---- */

static enum ab_tier tier_of(const struct ab_search *s, const struct ab_evidence *e, double swift)
{
    const struct ab_require *r = &s->o.require;
    switch (ab_evidence_fits(e, r)) {
    case AB_FIT_MEETS: return AB_TIER_MEETS;
    case AB_FIT_OPEN: break;
    case AB_FIT_FAILS:
        if (!e->error[0] && ab_evidence_accepted(e, r)) return AB_TIER_BROKEN;
        return AB_TIER_OUT;
    case AB_FIT_UNKNOWN: return AB_TIER_OUT;
    }
    if (e->requests >= patience * (double)ab_evidence_least(e, r)) return AB_TIER_DOUBTFUL;
    return swift >= -log(r->slo.limit_ns) ? AB_TIER_LIKELY : AB_TIER_DOUBTFUL;
}

/* What else runs on the machine lasts for some visits: so many later it may be gone. */
enum { STRETCH = 5 };

/* Visits that nothing disturbed, those alone that are far enough from the one before. */
static int count_apart(const struct ab_search *s, int point, double goal)
{
    int apart = 0, last = -STRETCH - 1;
    for (int i = 0; i < s->n_history; i++) {
        const struct ab_visited *h = &s->history[i];
        if (h->point != point || i - last < STRETCH) continue;
        const struct ab_evidence *e = &s->evidence[point];
        if (log(ab_evidence_of_visit(e, &s->o.require, h->visit, false)) < goal - 1.5 * s->noise)
            continue;
        apart++;
        last = i;
    }
    return apart;
}

static void stand_point(struct ab_search *s, int point)
{
    const struct ab_evidence *e = &s->evidence[point];
    const struct ab_require *r = &s->o.require;
    const struct ab_worth v = ab_evidence_value(e, r, s->noise);
    struct ab_standing *standing = &s->standing[point];
    const double sd = log(v.high / v.value) / 2;
    *standing = (struct ab_standing){.clean = ab_evidence_clean(e, r, s->noise),
                                     .seen = log(v.value),
                                     .variance = sd * sd,
                                     .goal = log(v.value),
                                     .low = log(v.low),
                                     .high = log(v.high),
                                     .rank = log(v.rank),
                                     .swift = (double)NAN};
    if (r->slo.limit_ns > 0) standing->swift = -log(ab_evidence_quantile(e, r, s->noise));
    standing->apart = count_apart(s, point, standing->goal);
    standing->tier = tier_of(s, e, standing->swift);
    if (!isfinite(standing->goal)) standing->tier = AB_TIER_OUT;
}

/* The best for all that is known of it; of those that nothing speaks for, the closest. */
static void find_leader(struct ab_search *s)
{
    double best = -(double)INFINITY;
    s->leader = -1;
    s->feasible = false;
    for (int i = 0; i < s->n_served; i++) {
        const struct ab_standing *p = &s->standing[s->served[i]];
        const bool feasible = p->tier >= AB_TIER_LIKELY;
        const double value = feasible ? p->rank : p->swift;
        if (p->tier == AB_TIER_OUT || feasible < s->feasible) continue;
        if (feasible == s->feasible && !(value > best)) continue;
        best = value;
        s->feasible = feasible;
        s->leader = s->served[i];
    }
}

/* ---- who is out ---- */

/* Two that fail where none passes are enough to expect the rest to fail; of an engine, three that
 * do not run. */
enum { DISAGREED = 2, BROKE = 3 };

/* What results depend on: the bits of maps are the same for every shape, batch, place and kind of
 * pages. These knobs have two values at most, beside the engine. */
int ab_search_class(const struct ab_point *p)
{
    return p->level[AB_KNOB_ENGINE] * 8 + p->level[AB_KNOB_ALGO] * 4 +
           p->level[AB_KNOB_MEMORY] * 2 + p->level[AB_KNOB_DENORMALS];
}

struct tally {
    int disagreed[AB_CLASSES], agreed[AB_CLASSES], broke[AB_KNOB_VALUES], ran[AB_KNOB_VALUES];
};

static void count_failures(const struct ab_search *s, struct tally *t)
{
    *t = (struct tally){{0}, {0}, {0}, {0}};
    for (int i = 0; i < s->o.space->n_points; i++) {
        if (!s->seen[i]) continue;
        const struct ab_evidence *e = &s->evidence[i];
        const struct ab_point *p = &s->o.space->points[i];
        (e->error[0] ? t->broke : t->ran)[p->level[AB_KNOB_ENGINE]]++;
        if (e->visits > 0)
            (ab_evidence_accepted(e, &s->o.require) ? t->agreed
                                                    : t->disagreed)[ab_search_class(p)]++;
    }
}

static enum ab_drop drop_unseen(const struct ab_search *s, const struct tally *t, int point)
{
    const struct ab_point *p = &s->o.space->points[point];
    const int class = ab_search_class(p), engine = p->level[AB_KNOB_ENGINE];
    if (t->disagreed[class] >= DISAGREED && !t->agreed[class]) return AB_DROP_AGREEMENT;
    if (t->broke[engine] >= BROKE && !t->ran[engine]) return AB_DROP_ERROR;
    if (s->feasible && s->roof[point] < s->standing[s->leader].low) return AB_DROP_ROOF;
    return AB_DROP_NONE;
}

static enum ab_drop drop_seen(const struct ab_search *s, int point)
{
    const struct ab_evidence *e = &s->evidence[point];
    const struct ab_standing *p = &s->standing[point];
    if (e->error[0]) return AB_DROP_ERROR;
    if (p->tier == AB_TIER_OUT) return AB_DROP_AGREEMENT;
    if (p->tier == AB_TIER_BROKEN) return AB_DROP_SLO;
    const bool beaten = s->feasible && point != s->leader && p->high < s->standing[s->leader].low;
    return beaten ? AB_DROP_DOMINATED : AB_DROP_NONE;
}

static void drop(struct ab_search *s)
{
    struct tally tally;
    count_failures(s, &tally);
    for (int i = 0; i < s->o.space->n_points; i++) {
        const enum ab_drop d = s->seen[i] ? drop_seen(s, i) : drop_unseen(s, &tally, i);
        s->evidence[i].dropped = d;
        s->out[i] = d == AB_DROP_ERROR || d == AB_DROP_AGREEMENT;
    }
}

/* ---- what the model makes of it ---- */

/* Of visits of points that have several: how much slower than the best of them. */
static void find_pace(struct ab_search *s)
{
    for (int i = 0; i < s->n_history; i++) {
        const struct ab_visited *h = &s->history[i];
        const struct ab_evidence *e = &s->evidence[h->point];
        const double own = log(ab_evidence_of_visit(e, &s->o.require, h->visit, false));
        const double pace = own - s->standing[h->point].goal;
        s->pace[i] = e->visits < 2 ? (double)NAN : pace < -1.5 * s->noise ? pace : 0;
    }
}

/* The next visit from `i` in steps of `step` whose pace is known; 0: none is near. */
static double pace_near(const struct ab_search *s, int i, int step)
{
    for (int far = 1; far <= STRETCH + 1; far++) {
        const int other = i + step * far;
        if (other < 0 || other >= s->n_history) return 0;
        if (!isnan(s->pace[other])) return s->pace[other];
    }
    return 0;
}

/* Visits that are not borne out by another of their point: what they were slowed by is expected to
 * be what slowed those before and after. */
static double pace_of(const struct ab_search *s, int i, double *variance)
{
    static const double unlike = 0.3;
    if (!isnan(s->pace[i])) return 0;
    const double before = pace_near(s, i, -1), after = pace_near(s, i, 1);
    const double pace = 0.5 * (before + after);
    *variance += 0.25 * (before - after) * (before - after) + unlike * unlike * pace * pace;
    return pace;
}

static int by_y(const void *left, const void *right)
{
    const struct ab_seen *a = left, *b = right;
    if (a->y != b->y) return a->y > b->y ? -1 : 1;
    return a->point - b->point;
}

/* Beside a pacemaker 12 of 213 visits, of nine searches, were off by 8 to 14 %: an estimate of
 * three or more is not moved by that, one of fewer may be. */
static double tails(const struct ab_search *s, int point)
{
    static const double few = 2;
    return s->evidence[point].visits < 3 ? few : 1;
}

static void fit(struct ab_search *s, struct ab_tune_model *model, bool swift)
{
    const double sd = swift ? fmax(s->noise / 2, scatter(s, true)) : s->noise / 2;
    const bool paced = ab_search_paced(s);
    int n = 0;
    find_pace(s);
    for (int i = 0; i < s->n_history; i++) {
        const struct ab_visited *h = &s->history[i];
        const struct ab_standing *p = &s->standing[h->point];
        double variance = paced ? tails(s, h->point) * p->variance : sd * sd / p->clean;
        double y = swift ? p->swift : p->seen;
        if (h->visit > 0 || !isfinite(y)) continue;
        if (!paced && (s->o.require.objective != AB_OBJECTIVE_MEMORY || swift))
            y -= pace_of(s, i, &variance);
        s->rows[n++] = (struct ab_seen){h->point, y, variance, !paced && p->apart == 1};
    }
    /* Those that the best cannot be judged by go first. */
    if (n > AB_TUNE_ROWS) qsort(s->rows, (size_t)n, sizeof *s->rows, by_y);
    ab_tune_model_fit(model, s->rows, n < AB_TUNE_ROWS ? n : AB_TUNE_ROWS);
}

/* What a few visits say of a point is off by more than what sets those apart that are best. The
 * model, which knows what all others say of its knobs, is off by less. */
static void believe(struct ab_search *s)
{
    if (s->n_served) fit(s, s->model, false);
    for (int i = 0; i < s->n_served; i++) {
        struct ab_standing *p = &s->standing[s->served[i]];
        if (!isfinite(p->seen)) continue;
        const double sd = ab_tune_model_sd(s->model, s->served[i]);
        p->goal = p->rank = ab_tune_model_mean(s->model, s->served[i]);
        p->low = p->goal - 2 * sd;
        p->high = p->goal + 2 * sd;
    }
}

void ab_search_stand(struct ab_search *s)
{
    const double noise = noise_of(s);
    const bool all = noise != s->noise;
    s->noise = noise;
    for (int i = 0; i < s->n_served; i++)
        if (all || s->standing[s->served[i]].stale) stand_point(s, s->served[i]);
    if (ab_search_paced(s)) believe(s);
    find_leader(s);
    drop(s);
}

struct ab_worth ab_search_worth(const struct ab_search *s, int point)
{
    const struct ab_standing *p = &s->standing[point];
    if (!ab_search_paced(s) || s->evidence[point].visits < 1)
        return ab_evidence_value(&s->evidence[point], &s->o.require, s->noise);
    return (struct ab_worth){exp(p->goal), exp(p->low), exp(p->high), exp(p->rank)};
}

/* One standard error of the difference, and never less than two runs of one configuration differ
 * by. */
double ab_search_alike_within(double interval)
{
    static const double least = 0.02;
    return fmax(least, interval / 2);
}

/* What the model expects has allowed for chance. */
double ab_search_given_away(const struct ab_search *s, double interval)
{
    static const double expected = 0.01;
    return ab_search_paced(s) ? expected : ab_search_alike_within(interval);
}

/* ---- prospects ---- */

static double below(double z)
{
    return 0.5 * erfc(-z / sqrt(2));
}

/* By how much a normal number exceeds `level` on average, if what stays below counts as 0. */
static double expected_gain(double mean, double sd, double level)
{
    const double z = (mean - level) / fmax(sd, 1e-9);
    const double pi = acos(-1);
    return sd * (exp(-0.5 * z * z) / sqrt(2 * pi) + z * below(z));
}

/* The model of latencies is one of its own where the objective is another. */
static bool two_models(const struct ab_search *s)
{
    return s->o.require.slo.limit_ns > 0 && s->o.require.objective != AB_OBJECTIVE_LATENCY;
}

/* That the latency is within the limit, of a logarithm with this mean and deviation. */
static double within_limit(const struct ab_search *s, double mean, double sd)
{
    return below((mean + log(s->o.require.slo.limit_ns)) / fmax(sd, 0.01));
}

static double likely(struct ab_search *s, int point)
{
    if (!(s->o.require.slo.limit_ns > 0)) return 1;
    const struct ab_standing *p = &s->standing[point];
    if (s->evidence[point].visits > 0 && p->tier == AB_TIER_MEETS) return 1;
    if (s->evidence[point].visits > 1 && p->tier < AB_TIER_LIKELY) return 0;
    struct ab_tune_model *m = two_models(s) ? s->slo_model : s->model;
    return within_limit(s, ab_tune_model_mean(m, point), ab_tune_model_sd(m, point));
}

/* For a first choice of points: what is expected, less for what is expected to break the SLO. */
static double promise(const struct ab_search *s, int point)
{
    const double mean = ab_tune_model_mean(s->model, point);
    if (!two_models(s) || !s->feasible) return mean;
    const double room = ab_tune_model_mean(s->slo_model, point) + log(s->o.require.slo.limit_ns);
    return mean + (room < 0 ? 4 * room : 0);
}

static int by_gain(const void *left, const void *right)
{
    const struct ab_prospect *a = left, *b = right;
    if (a->gain != b->gain) return a->gain > b->gain ? -1 : 1;
    return a->point - b->point;
}

/* Further visits of a point that has many say no more. */
static bool exhausted(const struct ab_search *s, int point)
{
    enum { MANY = 8, MANY_PACED = 24 };
    return s->evidence[point].visits >= (ab_search_paced(s) ? MANY_PACED : MANY);
}

/* Points whose promise is best, by that. */
static int shortlist(struct ab_search *s)
{
    struct ab_prospect *p = s->prospects;
    int n = 0;
    for (int i = 0; i < s->o.space->n_points; i++)
        if (!s->out[i] && s->evidence[i].dropped != AB_DROP_ROOF && !exhausted(s, i))
            p[n++] = (struct ab_prospect){i, promise(s, i)};
    qsort(p, (size_t)n, sizeof *p, by_gain);
    return n < CLOSELY ? n : CLOSELY;
}

/* How often something else slows a visit here: a share; three of ten until more is known. */
static double disturbed_share(const struct ab_search *s)
{
    double known = 10, disturbed = 3;
    for (int i = 0; i < s->n_history; i++)
        if (!isnan(s->pace[i])) {
            known++;
            disturbed += s->pace[i] < 0;
        }
    return disturbed / known;
}

/* The visit `when` was long ago enough for what disturbed it to be gone. */
static bool long_ago(const struct ab_search *s, int point)
{
    for (int i = s->n_history - 1; i >= 0 && i > s->n_history - STRETCH; i--)
        if (s->history[i].point == point) return false;
    return true;
}

/* What a second look gains at a point that was seen in one stretch of time alone, should that have
 * been a disturbed one: then what was seen says nothing. */
static double second_look(const struct ab_search *s, int point, double level, double disturbed)
{
    double mean, sd, gain, swift, swift_sd;
    const struct ab_standing *p = &s->standing[point];
    if (s->out[point] || exhausted(s, point) || !long_ago(s, point)) return 0;
    if (!ab_tune_model_without(s->model, point, &mean, &sd)) return 0;
    gain = pow(disturbed, fmax(1, p->apart)) * expected_gain(mean, sd, level);
    if (!s->feasible || !(s->o.require.slo.limit_ns > 0) || p->tier == AB_TIER_MEETS) return gain;
    const struct ab_tune_model *m = two_models(s) ? s->slo_model : s->model;
    if (!ab_tune_model_without(m, point, &swift, &swift_sd)) return 0;
    return gain * within_limit(s, swift, swift_sd);
}

void ab_search_expect(struct ab_search *s)
{
    const bool swift = !s->feasible && s->o.require.slo.limit_ns > 0;
    struct ab_prospect *p = s->prospects;
    s->n_prospects = 0;
    if (!s->n_served) return;
    if (!ab_search_paced(s)) fit(s, s->model, swift);
    if (two_models(s) && !swift) fit(s, s->slo_model, true);
    int n = shortlist(s);
    /* What is within noise of the leader is as good, and known no better. */
    const double better = ab_search_paced(s) ? 0 : s->noise / 2;
    const double level = s->leader < 0 ? 0 : ab_tune_model_mean(s->model, s->leader) + better;
    const double top = n ? p[0].gain : 0;
    for (int i = 0; i < n; i++) {
        const double mean = ab_tune_model_mean(s->model, p[i].point);
        const double sd = ab_tune_model_sd(s->model, p[i].point);
        p[i].gain = s->leader < 0 ? exp(mean - top) : expected_gain(mean, sd, level);
        if (s->feasible) p[i].gain *= likely(s, p[i].point);
    }
    const bool steady = s->o.require.objective == AB_OBJECTIVE_MEMORY || ab_search_paced(s);
    const double disturbed = disturbed_share(s);
    for (int i = 0; i < s->n_served && s->leader >= 0 && !steady; i++) {
        const int point = s->served[i];
        p[n++] = (struct ab_prospect){point, second_look(s, point, level, disturbed)};
    }
    qsort(p, (size_t)n, sizeof *p, by_gain);
    s->n_prospects = n;
}

double ab_search_expected(const struct ab_search *s, int point)
{
    return ab_tune_model_mean(s->model, point);
}
