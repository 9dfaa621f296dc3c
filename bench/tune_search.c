// SPDX-License-Identifier: Apache-2.0
// Which point to visit next, for how long, and when to end.
#include "tune_search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the budget, at most so much for the cover. */
static const double cover_share = 0.45;
/* A prospect smaller than this share of the noise is not worth a visit; beside a pacemaker, where
 * what is gained counts whatever the noise, than this share of the value. */
static const double least_gain = 0.02, least_paced = 1e-4;
/* Undisturbed visits of what is recommended, and visits at most to get them; more, up to MANY, as
 * long as these leave open whether something simpler is as good. */
enum { ENOUGH = 3, AT_MOST = 6, MANY = 24 };

/* ---- life ---- */

static bool reserve(struct ab_search *s, size_t n)
{
    s->evidence = calloc(n, sizeof *s->evidence);
    s->standing = calloc(n, sizeof *s->standing);
    s->over_s = calloc(n, sizeof *s->over_s);
    s->serve_s = calloc(n, sizeof *s->serve_s);
    s->roof = malloc(n * sizeof *s->roof);
    s->seen = calloc(n, sizeof *s->seen);
    s->out = calloc(n, sizeof *s->out);
    s->served = malloc(n * sizeof *s->served);
    s->rows = malloc(n * sizeof *s->rows);
    s->prospects = malloc(2 * n * sizeof *s->prospects);
    s->cover_work = malloc(AB_COVER_WORK);
    s->model = ab_tune_model_create(s->o.space);
    s->slo_model = ab_tune_model_create(s->o.space);
    return s->evidence && s->standing && s->over_s && s->serve_s && s->roof && s->seen && s->out &&
           s->served && s->rows && s->prospects && s->cover_work && s->model && s->slo_model;
}

/* The logarithm of the objective that a roof in images a second leaves. */
static double roof_of(const struct ab_search *s, const struct ab_point *p)
{
    if (!s->o.roof || s->o.require.objective == AB_OBJECTIVE_MEMORY) return (double)INFINITY;
    const double roof = s->o.roof(s->o.user, p);
    if (!(roof > 0)) return (double)INFINITY;
    if (s->o.require.objective == AB_OBJECTIVE_THROUGHPUT) return log(roof);
    /* While an execution lasts, every instance has a batch in work. */
    return log(roof / 1e9 / (p->deploy.batch * p->deploy.instances));
}

enum ab_status ab_search_create(const struct ab_search_options *o, struct ab_search **search,
                                struct ab_error *err)
{
    /* Of serving: short enough for hundreds of visits in a usual budget, long enough for more than
     * a few images. */
    static const double shortest = 0.3, longest = 3, visits = 250;
    const int n = o->space->n_points;
    *search = NULL;
    if (n < 1 || !(o->budget_s > 0))
        return ab_fail(err, AB_ERR_ARG, "search: nothing to look at, or no time; name a budget");
    struct ab_search *s = calloc(1, sizeof *s);
    if (!s) return ab_fail(err, AB_ERR_MEMORY, "search: out of memory");
    s->o = *o;
    s->leader = -1;
    s->base_s = fmin(longest, fmax(shortest, o->budget_s / visits));
    if (!reserve(s, (size_t)n)) {
        ab_search_destroy(&s);
        return ab_fail(err, AB_ERR_MEMORY, "search: out of memory for %d points", n);
    }
    for (int i = 0; i < n; i++) s->roof[i] = roof_of(s, &o->space->points[i]);
    ab_search_stand(s);
    *search = s;
    return AB_OK;
}

void ab_search_destroy(struct ab_search **search)
{
    struct ab_search *s = *search;
    if (!s) return;
    for (int i = 0; s->evidence && i < s->o.space->n_points; i++) ab_evidence_free(&s->evidence[i]);
    free(s->evidence);
    free(s->standing);
    free(s->over_s);
    free(s->serve_s);
    free(s->roof);
    free(s->seen);
    free(s->out);
    free(s->served);
    free(s->history);
    free(s->pace);
    free(s->rows);
    free(s->prospects);
    free(s->cover_work);
    ab_tune_model_destroy(&s->model);
    ab_tune_model_destroy(&s->slo_model);
    free(s);
    *search = NULL;
}

static bool reserve_history(struct ab_search *s)
{
    const size_t n = (size_t)s->n_history + 1;
    struct ab_visited *history = realloc(s->history, n * sizeof *history);
    if (history) s->history = history;
    double *pace = realloc(s->pace, n * sizeof *pace);
    if (pace) s->pace = pace;
    const int points = s->n_served + 1, room = points < AB_TUNE_ROWS ? points : AB_TUNE_ROWS;
    return history && pace && ab_tune_model_reserve(s->model, room) &&
           ab_tune_model_reserve(s->slo_model, room);
}

bool ab_search_tell(struct ab_search *s, int point, const struct ab_told *told)
{
    struct ab_evidence *e = &s->evidence[point];
    const int before = e->visits;
    const double serving = told->seconds > 0 ? told->seconds : 0;
    if (!(s->first_pace > 0) && told->pace > 0) s->first_pace = told->pace;
    const double pace = told->pace > 0 ? told->pace / s->first_pace : (double)NAN;
    if (!reserve_history(s) || !ab_evidence_add(e, told, &s->o.require, pace)) return false;
    s->seen[point] = s->standing[point].stale = true;
    s->over_s[point] = fmax(s->over_s[point], told->wall_s - serving);
    s->judge_s = fmax(s->judge_s, told->judge_s);
    if (told->stolen >= 0) {
        s->stolen_s += told->stolen * serving;
        s->asked_s += serving;
    }
    if (e->visits > before) {
        s->history[s->n_history++] = (struct ab_visited){point, before};
        if (before == 0) s->served[s->n_served++] = point;
        if (before == 0 || serving < s->serve_s[point]) s->serve_s[point] = serving;
    }
    ab_search_stand(s);
    return true;
}

/* ---- what a visit takes ---- */

/* Of serving, where nothing asks for more. Half a second at least, at a stretch; at most, beside a
 * pacemaker: processes differ by more than what is seen of one in that time is off. */
static double usual_s(const struct ab_search *s)
{
    static const double half = 0.5;
    return ab_search_paced(s) ? fmin(s->base_s, half) : fmax(s->base_s, half);
}

/* At a stretch visits grow longer: their start costs the same, and what is left is close. */
static double length_of(const struct ab_search *s, int point)
{
    static const double growth[] = {1, 1, 1.5, 2, 3, 4};
    const int visits = s->evidence[point].visits;
    return usual_s(s) * (ab_search_paced(s) ? 1 : growth[visits < 5 ? visits : 5]);
}

/* By what those of the point took, else those of its engine, else any. Maps of a new class have to
 * be judged. */
static double cost(const struct ab_search *s, int point, double seconds)
{
    const struct ab_point *points = s->o.space->points;
    const int class = ab_search_class(&points[point]);
    double over[2] = {0, 0}, serve[2] = {(double)INFINITY, (double)INFINITY};
    double judge_s = s->judge_s;
    if (s->evidence[point].visits > 0) return s->over_s[point] + fmax(seconds, s->serve_s[point]);
    for (int i = 0; i < s->n_served; i++) {
        const int other = s->served[i];
        const bool alike =
            points[other].level[AB_KNOB_ENGINE] == points[point].level[AB_KNOB_ENGINE];
        if (ab_search_class(&points[other]) == class) judge_s = 0;
        over[alike] = fmax(over[alike], s->over_s[other]);
        serve[alike] = fmin(serve[alike], s->serve_s[other]);
    }
    const bool known = isfinite(serve[1]);
    return judge_s + over[known] + fmax(seconds, isfinite(serve[known]) ? serve[known] : 0);
}

/* ---- choosing ---- */

/* A choice under way. */
struct choice {
    struct ab_search *s;
    struct ab_ask *ask;
    double left; /* of the budget */
    bool wanted; /* something was worth a visit, whether or not there is time for it */
};

static bool take(struct choice *c, int point, double seconds, const char *phase)
{
    c->wanted = true;
    if (cost(c->s, point, seconds) > c->left) seconds = usual_s(c->s);
    if (cost(c->s, point, seconds) > c->left) return false;
    *c->ask = (struct ab_ask){point, seconds, phase};
    return true;
}

static bool sweep(struct choice *c)
{
    const struct ab_search *s = c->s;
    const int n = s->o.space->n_points;
    for (int i = 0; i < n && s->o.exhaustive; i++) {
        if (s->seen[i] || s->out[i]) continue;
        c->s->settled = 0.9 * i / n;
        if (take(c, i, fmax(usual_s(s), s->base_s), "sweep")) return true;
    }
    return false;
}

/* Now and then the leader again: whether the machine keeps its pace. What else runs there comes and
 * goes, and visits meanwhile would be taken for slow points. */
static bool check(struct choice *c)
{
    const struct ab_search *s = c->s;
    enum { EVERY = 5 };
    if (s->leader < 0 || s->n_history < EVERY || ab_search_paced(s) ||
        s->o.require.objective == AB_OBJECTIVE_MEMORY)
        return false;
    for (int i = s->n_history - EVERY; i < s->n_history; i++)
        if (s->evidence[s->history[i].point].visits > 1) return false;
    return take(c, s->leader, usual_s(s), "check");
}

static bool cover(struct choice *c, double spent_s)
{
    struct ab_search *s = c->s;
    const struct ab_cover look =
        ab_cover_look(s->o.space, s->out, s->seen, s->o.seed, s->cover_work);
    s->settled = 0.5;
    if (look.next < 0 || (s->leader >= 0 && spent_s > cover_share * s->o.budget_s)) return false;
    s->settled = 0.5 * look.covered / look.pairs;
    return take(c, look.next, usual_s(s), "cover");
}

/* What promises most, of all that is worth a visit; beside a pacemaker, where it takes many visits
 * to tell the best apart, for its time. */
static bool climb(struct choice *c)
{
    const struct ab_search *s = c->s;
    const bool paced = ab_search_paced(s);
    int best = -1;
    double most = 0;
    for (int i = 0; i < s->n_prospects; i++) {
        const struct ab_prospect *p = &s->prospects[i];
        const double takes_s = cost(s, p->point, usual_s(s));
        const double promise = p->gain / (paced ? takes_s : 1);
        if (p->gain < (paced ? least_paced : least_gain * s->noise)) break;
        c->wanted = true;
        if (takes_s > c->left || promise <= most) continue;
        best = p->point;
        most = promise;
    }
    if (best < 0) return false;
    return take(c, best, length_of(s, best), s->evidence[best].visits > 0 ? "race" : "climb");
}

/* Of each knob of the point, one other level has to be known: what the knob bought. */
static bool look_around(struct choice *c, int point)
{
    const struct ab_search *s = c->s;
    const struct ab_space *space = s->o.space;
    for (int k = 0; k < AB_KNOBS; k++) {
        int best = -1;
        bool known = false;
        for (int l = 0; l < space->knobs[k].count && !known; l++) {
            if (l == space->points[point].level[k]) continue;
            const int other = ab_space_neighbour(space, point, (enum ab_knob)k, l);
            if (other < 0) continue;
            known = s->seen[other];
            if (s->out[other] || s->evidence[other].dropped == AB_DROP_ROOF) continue;
            if (best < 0 || ab_search_expected(s, other) > ab_search_expected(s, best))
                best = other;
        }
        if (!known && best >= 0 && take(c, best, usual_s(s), "climb")) return true;
    }
    return false;
}

/* The 95 % interval of by how much the leader is better: +- so much. */
static double interval(const struct ab_search *s, int point)
{
    const struct ab_standing *a = &s->standing[s->leader], *b = &s->standing[point];
    return hypot(a->high - a->goal, b->high - b->goal);
}

/* The simplest point that is as good as the leader; the leader itself if there is no leader
 * that meets the requirements. */
static int simplest_alike(const struct ab_search *s)
{
    int best = s->leader;
    for (int i = 0; i < s->n_served && s->feasible; i++) {
        const int p = s->served[i];
        if (s->standing[p].tier < AB_TIER_LIKELY) continue;
        const double behind = s->standing[s->leader].goal - s->standing[p].goal;
        if (behind > ab_search_given_away(s, interval(s, p))) continue;
        if (p < best) best = p; /* points are in the order of their simplicity */
    }
    return best;
}

/* Simpler points that are expected to be as good. */
static bool simplify(struct choice *c, int simplest)
{
    const struct ab_search *s = c->s;
    const double less = ab_search_paced(s) ? ab_search_given_away(s, 0) : s->noise / 2;
    const double enough = s->feasible ? s->standing[s->leader].goal - less : 0;
    for (int i = 0; i < simplest && s->feasible; i++) {
        if (s->seen[i] || s->out[i] || s->evidence[i].dropped == AB_DROP_ROOF) continue;
        if (ab_search_expected(s, i) < enough) continue;
        if (take(c, i, usual_s(s), "climb")) return true;
    }
    return false;
}

/* The leader and something simpler. */
static bool race(struct choice *c, int a, int b)
{
    const struct ab_search *s = c->s;
    const bool open = a != b && !ab_search_paced(s) && interval(s, b) > ab_search_given_away(s, 0);
    const int usual = s->o.require.objective == AB_OBJECTIVE_MEMORY ? 1 : ENOUGH;
    const int enough = open ? MANY : usual, most = open ? MANY : AT_MOST;
    const int turn[2] = {s->evidence[a].visits <= s->evidence[b].visits ? a : b,
                         s->evidence[a].visits <= s->evidence[b].visits ? b : a};
    for (int i = 0; i < 2; i++) {
        const int visits = s->evidence[turn[i]].visits;
        if (s->standing[turn[i]].clean >= enough || visits >= most) continue;
        c->s->settled = fmax(c->s->settled, fmin(0.95, 0.75 + 0.04 * visits));
        if (take(c, turn[i], length_of(s, turn[i]), "race")) return true;
    }
    return false;
}

/* Seconds of serving that can decide the SLO of a point. */
static double deciding(const struct ab_search *s, int point)
{
    const struct ab_evidence *e = &s->evidence[point];
    const double least = ab_evidence_least(e, &s->o.require);
    const double needed = e->requests < least ? 1.15 * least - e->requests : e->requests;
    return fmax(usual_s(s), needed / e->images_per_s[e->visits - 1]);
}

static bool is_open(const struct ab_search *s, int point)
{
    return point >= 0 && s->o.require.slo.limit_ns > 0 && s->feasible &&
           s->standing[point].tier == AB_TIER_LIKELY;
}

static bool settle(struct choice *c, int point)
{
    const struct ab_search *s = c->s;
    if (!is_open(s, point)) return false;
    /* What is left is for others too, if this one is not the one. */
    const double most = fmax(usual_s(s), 0.5 * c->left);
    return take(c, point, fmin(deciding(s, point), most), "race");
}

/* The best point whose SLO is open and can be decided in the time that is left, if it is better
 * than what holds; -1: none. The leader itself may need more requests than there is time for. */
static int decidable(const struct choice *c)
{
    const struct ab_search *s = c->s;
    const int held = ab_search_best(s);
    int best = -1;
    double low = held >= 0 ? s->standing[held].low : -(double)INFINITY;
    for (int i = 0; i < s->n_served; i++) {
        const int p = s->served[i];
        if (!is_open(s, p) || s->standing[p].low <= low) continue;
        if (cost(s, p, deciding(s, p)) > c->left) continue;
        best = p;
        low = s->standing[p].low;
    }
    return best;
}

/* So little is left that deciding about `point` comes first. */
static bool pressed(const struct choice *c, int point)
{
    return point >= 0 && c->left < 2.5 * cost(c->s, point, deciding(c->s, point));
}

static bool choose(struct choice *c, double spent_s)
{
    struct ab_search *s = c->s;
    if (sweep(c)) return true;
    const int open = is_open(s, s->leader) ? decidable(c) : -1;
    if (pressed(c, open) && settle(c, open)) return true;
    if (check(c) || cover(c, spent_s)) return true;
    ab_search_expect(s);
    if (climb(c)) return true;
    if (s->leader < 0) return false;
    s->settled = 0.7;
    const int simplest = simplest_alike(s);
    return look_around(c, s->leader) || simplify(c, simplest) || look_around(c, simplest) ||
           race(c, s->leader, simplest) || settle(c, open) || settle(c, s->leader) ||
           settle(c, simplest);
}

bool ab_search_next(struct ab_search *s, double spent_s, struct ab_ask *ask)
{
    struct choice c = {s, ask, s->o.budget_s - spent_s, false};
    s->complete = false;
    if (c.left > 0 && choose(&c, spent_s)) return true;
    s->complete = c.left > 0 && !c.wanted;
    return false;
}

/* ---- what it knows ---- */

const struct ab_evidence *ab_search_evidence(const struct ab_search *s, int point)
{
    return &s->evidence[point];
}

int ab_search_best(const struct ab_search *s)
{
    int best = -1;
    for (int i = 0; i < s->n_served; i++) {
        const int p = s->served[i];
        if (s->standing[p].tier != AB_TIER_MEETS) continue;
        if (best < 0 || s->standing[p].rank > s->standing[best].rank) best = p;
    }
    return best;
}

bool ab_search_complete(const struct ab_search *s)
{
    return s->complete;
}

double ab_search_progress(const struct ab_search *s, double spent_s)
{
    const double time = fmin(1, fmax(0, spent_s / s->o.budget_s));
    return s->complete ? 1 : fmax(time, s->settled);
}

double ab_search_noise(const struct ab_search *s)
{
    return s->noise;
}

double ab_search_stolen(const struct ab_search *s)
{
    return s->asked_s > 0 ? s->stolen_s / s->asked_s : (double)NAN;
}

void ab_search_pace(const struct ab_search *s, double *least, double *most)
{
    *least = *most = s->first_pace > 0 ? 1 : (double)NAN;
    for (int i = 0; i < s->n_history && s->first_pace > 0; i++) {
        const struct ab_visited *h = &s->history[i];
        *least = fmin(*least, s->evidence[h->point].pace[h->visit]);
        *most = fmax(*most, s->evidence[h->point].pace[h->visit]);
    }
}
