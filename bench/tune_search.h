// SPDX-License-Identifier: Apache-2.0
// The search, inside: what it remembers, what it makes of it, and its parts.
//
//     tell -> evidence                                                 tune_evidence.c
//     next: standings (value, requirements), leader                    tune_standings.c
//           cover; else the model's prospects of each point            tune_search_cover.c,
//           _model.c which of them, for how long, what is left of the budget    tune_search.c
//
// What to visit next is a function of what was told and how much time is gone, nothing else: told
// the same again, a search goes on as it would have.
#ifndef AB_TUNE_SEARCH_H
#define AB_TUNE_SEARCH_H

#include "tune.h"

/* ---- evidence ---- */

/* `pace`: the machine's during the visit; NaN: not known. False: out of memory. */
bool ab_evidence_add(struct ab_evidence *e, const struct ab_told *told,
                     const struct ab_require *require, double pace);
void ab_evidence_free(struct ab_evidence *e);
/* Whether its maps are what is asked for. */
bool ab_evidence_accepted(const struct ab_evidence *e, const struct ab_require *require);
/* How many latencies say as much as one, seen at this quantile: ab_clumps. */
double ab_evidence_clumps(const struct ab_evidence *e, double quantile);
/* Requests that an upper side of the quantile takes, in clumps like these. */
int ab_evidence_needed(const struct ab_evidence *e, double quantile);
/* The fewest requests, with those there are, that another visit could hold the SLO with. */
int ab_evidence_least(const struct ab_evidence *e, const struct ab_require *require);
/* How many visits nothing disturbed. */
int ab_evidence_clean(const struct ab_evidence *e, const struct ab_require *require, double noise);
/* The objective's quantile, or the SLO's, of the latencies of these visits, as they would have been
 * at a pace of 1; NaN: there are none. */
double ab_evidence_quantile(const struct ab_evidence *e, const struct ab_require *require,
                            double noise);
/* What differs between visits of one point, larger is better: the objective's number of visit
 * `visit`, or, `swift`, that of the quantile of latency; at a pace of 1. */
double ab_evidence_of_visit(const struct ab_evidence *e, const struct ab_require *require,
                            int visit, bool swift);

/* ---- the model ---- */

/* Ridge least squares of logarithms on the knobs' main effects and, penalised more, on their
 * interactions, with how sure it is. */
struct ab_tune_model;
struct ab_tune_model *ab_tune_model_create(const struct ab_space *space);
void ab_tune_model_destroy(struct ab_tune_model **model);
/* The most points that the model takes: its work grows with their third power. */
enum { AB_TUNE_ROWS = 400 };
/* Room for n points; false: out of memory. */
bool ab_tune_model_reserve(struct ab_tune_model *model, int n);

struct ab_seen {
    int point;
    double y, variance; /* the logarithm of its value, larger is better */
    bool doubtful; /* one stretch of time, which something may have disturbed, is all there is */
};
/* Needs room for n >= 1. */
void ab_tune_model_fit(struct ab_tune_model *model, const struct ab_seen *seen, int n);
/* What would be expected of a point that was seen, had it not been. False: it was not. */
bool ab_tune_model_without(const struct ab_tune_model *model, int point, double *mean, double *sd);
/* What a point's logarithm is expected to be, and the standard deviation of that. */
double ab_tune_model_mean(const struct ab_tune_model *model, int point);
double ab_tune_model_sd(struct ab_tune_model *model, int point);

/* ---- the cover ---- */

/* Pairs of levels of two knobs, each of which some point has that is not out. */
struct ab_cover {
    int pairs, covered;
    int next; /* the point that covers the most of the rest; -1: nothing is left */
};
/* A byte for each level of each knob with each of each other. */
enum { AB_COVER_SIDE = AB_KNOBS * AB_KNOB_VALUES, AB_COVER_WORK = AB_COVER_SIDE * AB_COVER_SIDE };
/* `out`, `seen`: [n_points]. `work`: AB_COVER_WORK bytes. */
struct ab_cover ab_cover_look(const struct ab_space *space, const bool *out, const bool *seen,
                              uint64_t seed, unsigned char *work);

/* ---- the search ---- */

/* Where a point stands. OUT: it fails the agreement, or to run. BROKEN: it breaks the SLO.
 * DOUBTFUL, LIKELY: the SLO is open. */
enum ab_tier { AB_TIER_OUT, AB_TIER_BROKEN, AB_TIER_DOUBTFUL, AB_TIER_LIKELY, AB_TIER_MEETS };

struct ab_standing {
    enum ab_tier tier;
    bool stale;            /* there are visits that it does not know */
    int clean;             /* visits that nothing disturbed */
    int apart;             /* of them, far enough apart in time to bear each other out */
    double seen, variance; /* logarithm of what its visits alone say, and how far off that may be */
    double goal, low, high; /* logarithms of the value and its interval; NaN: not known */
    double rank;            /* of the values that the leader is chosen by */
    double swift;           /* minus the logarithm of the latency that the SLO is about; NaN */
};

/* What a further visit of a point is expected to gain: a share. */
struct ab_prospect {
    int point;
    double gain;
};

struct ab_visited {
    int point, visit; /* the how-manieth of that point */
};

struct ab_search {
    struct ab_search_options o;
    /* [n_points] each: */
    struct ab_evidence *evidence;
    struct ab_standing *standing; /* of those that were served */
    double *over_s, *serve_s;     /* of its visits: the most beside serving, the least of serving */
    double judge_s;               /* the longest that judging maps took */
    double *roof;                 /* of the goal; INFINITY: none known */
    bool *seen, *out;             /* was visited; is not to be visited again */
    struct ab_seen *rows;
    int *served; /* points with visits that did not fail, in the order of the first */
    int n_served;
    struct ab_prospect *prospects; /* [2 n_points], the best first */
    int n_prospects;

    struct ab_visited *history; /* of visits that did not fail */
    int n_history;
    double *pace; /* [n_history]: logarithm of how much slower it was than others of its point; NaN:
                     there is no other */
    unsigned char *cover_work;
    struct ab_tune_model *model, *slo_model;
    double noise, base_s;
    double stolen_s, asked_s; /* of serving: CPU time that the host took of what was asked for */
    double first_pace;        /* of the pacemaker; 0: none was told */
    int leader;               /* -1: nothing may be it yet */
    bool feasible;            /* the leader meets the requirements, or is likely to */
    bool complete;            /* nothing more is worth a visit */
    double settled;           /* share of the work, whatever the time */
};

/* Maps depend on these knobs: the class of a point, below AB_CLASSES. */
enum { AB_CLASSES = AB_KNOB_VALUES * 8 };
int ab_search_class(const struct ab_point *p);
/* Visits are held against a pacemaker and nothing else is asked of them: what they err by goes both
 * ways, and is chance alone. Those that are to decide about an SLO have to be longer. */
static inline bool ab_search_paced(const struct ab_search *s)
{
    return s->first_pace > 0 && !(s->o.require.slo.limit_ns > 0);
}
/* A value this much below the best (of logarithms) is within noise of it, where the 95 % interval
 * of their difference is +-`interval`. */
double ab_search_alike_within(double interval);
/* As much may be given away for what is simpler; no more than that. */
double ab_search_given_away(const struct ab_search *s, double interval);
/* Brings noise, standings, tiers and the leader up to date. */
void ab_search_stand(struct ab_search *s);
/* Lists prospects, by the model. */
void ab_search_expect(struct ab_search *s);
/* What the model of the last ab_search_expect expects of a point that was not visited. */
double ab_search_expected(const struct ab_search *s, int point);

#endif
