// SPDX-License-Identifier: Apache-2.0
// attrbench tune, inside: which configuration of the knobs is the one to deploy.
//
//     options -> ab_space: knobs, values, the points that exist           tune_space.c
//        ab_search: which point to visit next, and what was seen there    tune_search*.c
//        ab_visit: a fresh process serves the point under the load, and
//                  judges its maps                                        visit.h
//        journal: a line for each visit                                   tune_journal.c
//     evidence -> ab_answer: recommendation, front, knobs                 tune_answer.c
//        card, JSON                                                       tune_card.c, tune_json.c
#ifndef AB_TUNE_H
#define AB_TUNE_H

#include "agree/agree.h"
#include "command.h"
#include "visit.h"

/* ---- the space ---- */

/* ENGINE: the backend with its instruction set. SHAPE: threads x instances. */
enum ab_knob {
    AB_KNOB_ENGINE,
    AB_KNOB_ALGO,
    AB_KNOB_MEMORY,
    AB_KNOB_SHAPE,
    AB_KNOB_BATCH,
    AB_KNOB_PLACE,
    AB_KNOB_PAGES,
    AB_KNOB_DENORMALS,
    AB_KNOBS
};
const char *ab_knob_name(enum ab_knob knob);

/* What there is to choose from on a machine; for tests, any. */
struct ab_site {
    int *cpus;      /* [n_cpus] numbers of CPUs that may be used, those of a core side by side */
    int *core;      /* [n_cpus] the core that each belongs to */
    int n_cpus;     /* in the affinity mask */
    int online;     /* in the machine; 0: those of the mask */
    double granted; /* CPUs that a container grants; INFINITY: all */
    unsigned isas;  /* mask of 1u << AB_ISA_* */
};
enum ab_status ab_site_look(struct ab_site *site, struct ab_error *err);
void ab_site_free(struct ab_site *site);
/* CPUs that may be kept busy. */
int ab_site_usable(const struct ab_site *site);
/* "2 CPUs, all that the machine has": how many may be kept busy, and what limits them. */
void ab_site_say(const struct ab_site *site, char *text, size_t size);
/* The CPUs of each thread, instance by instance: the last cores first, as interrupts prefer the
 * first, and those of an instance are neighbours. `cpus`: [threads * instances], unused where
 * `place` is FREE. False: it cannot be. */
bool ab_site_place(const struct ab_site *site, enum ab_place place, int threads, int instances,
                   int *cpus);

enum { AB_KNOB_VALUES = 32 };
struct ab_knob_values {
    char text[AB_KNOB_VALUES][32]; /* "native:avx512"; of SHAPE: "1x2" */
    int count;
};

struct ab_point {
    struct ab_deploy deploy;
    int level[AB_KNOBS]; /* of its knobs' values */
    char text[AB_DEPLOY_TEXT];
    double simplicity; /* 0: every knob at its default; larger: less simple */
};

struct ab_space {
    struct ab_knob_values knobs[AB_KNOBS]; /* the first value is the default, if it is offered */
    struct ab_point *points;               /* those that can exist, the simplest first */
    int n_points;
    int twins; /* left out, as another point has the same plan */
    int *at;   /* inside: the point of each combination of levels; -1: none */
};

/* `narrowing`: "KNOB=V,V", also threads= and instances=; NULL: none. `one_algo`: 1u << AB_ISA_* for
 * each native engine whose plans are the same by either algorithm (ab_tune_one_algo); where both
 * are offered, only auto is a point then. AB_ERR_ARG: an unknown knob, or a value that cannot be
 * here; "--space KNOB=V: why; what can be". */
enum ab_status ab_space_create(const struct ab_words *narrowing, const struct ab_site *site,
                               unsigned one_algo, struct ab_space *space, struct ab_error *err);
void ab_space_free(struct ab_space *space);
/* -1: there is no such point. */
int ab_space_find(const struct ab_space *space, const int level[AB_KNOBS]);
/* The point that differs from `point` in this knob, and else in what that implies alone: lean
 * memory wants plain sums, and onednn has no choice of either. -1: there is none. */
int ab_space_neighbour(const struct ab_space *space, int point, enum ab_knob knob, int level);
/* The point with these knobs, whatever its CPUs; -1. */
int ab_space_find_text(const struct ab_space *space, const char *text);

/* ---- what is asked for ---- */

enum ab_objective { AB_OBJECTIVE_LATENCY, AB_OBJECTIVE_THROUGHPUT, AB_OBJECTIVE_MEMORY };

struct ab_require {
    enum ab_objective objective; /* LATENCY: of the SLO's quantile, the median without one */
    struct ab_slo slo;           /* limit_ns 0: none */
    double min_agree;            /* most rel. L2 error; 0: the verdict alone decides */
};

/* The quantile of latency that the objective looks at: the SLO's, or the median. */
double ab_require_quantile(const struct ab_require *require);
/* With which the SLO of a point is held to be kept or broken. */
#define AB_TUNE_CONFIDENCE 0.95

/* ---- what is known of a point ---- */

/* What one visit showed. */
struct ab_told {
    double images_per_s, start_ns, wall_s;
    double pace; /* images/s of the pacemaker by turns with it (visit.h); NaN, 0: there was none */
    double
        judge_s; /* beside wall_s: of judging its maps, which others with the same bits need not */
    double seconds; /* of wall_s, those of serving; 0: not known */
    double stolen;  /* share of the CPU time that the host took, see load.h; NaN: not known */
    const double *latency_ns; /* [requests]; copied */
    int requests;
    int alike; /* so many of them in a row say as much as one: images of one execution that were
                  asked for at one time. At least 1; 0: 1 */
    double resident_bytes, peak_bytes, planned_bytes;
    bool overloaded;
    const char *error; /* the visit failed; NULL: it did not */
    /* Of its maps. */
    enum ab_verdict verdict;
    double rel_l2, max_err;
    const char *why;
};

enum ab_drop {
    AB_DROP_NONE,
    AB_DROP_ERROR,
    AB_DROP_AGREEMENT,
    AB_DROP_SLO,
    AB_DROP_DOMINATED,
    AB_DROP_ROOF
};
const char *ab_drop_name(enum ab_drop drop);

struct ab_evidence {
    int visits;
    double *images_per_s, *start_ns, *quantile_ns; /* [visits]; the objective's quantile */
    double *pace; /* [visits] the machine's, 1 at the first visit of the search; 1: not known */
    bool paced;   /* it is known of some */
    double *latency_ns; /* [requests] of all visits */
    int requests;
    int *upto; /* [visits]: requests up to the end of each visit */
    int alike; /* the most that say as much as one in any visit */
    double resident_bytes, peak_bytes, planned_bytes; /* the largest */
    bool overloaded;                                  /* in any visit */
    enum ab_verdict verdict;
    double rel_l2, max_err;
    char why[160], error[256];
    double spent_s;
    enum ab_drop dropped;
};

/* ---- the search ---- */

/* Pure: no clock, no processes, no chance but the seed. */
struct ab_search;

struct ab_search_options {
    const struct ab_space *space;
    struct ab_require require;
    double budget_s;
    uint64_t seed;
    bool exhaustive; /* every point once, then as a search */
    /* Images a second that a point cannot exceed, and INFINITY where none are known; NULL: no
     * roofs. */
    double (*roof)(void *user, const struct ab_point *point);
    void *user;
};

struct ab_ask {
    int point;
    double seconds;    /* of serving */
    const char *phase; /* "cover", "climb", "race"; "check": whether the machine keeps its pace;
                          "sweep": all points */
};

enum ab_status ab_search_create(const struct ab_search_options *o, struct ab_search **search,
                                struct ab_error *err);
void ab_search_destroy(struct ab_search **search);
/* The next visit, when `spent_s` of the budget are gone; false: there is none worth its time. */
bool ab_search_next(struct ab_search *search, double spent_s, struct ab_ask *ask);
/* False: out of memory. */
bool ab_search_tell(struct ab_search *search, int point, const struct ab_told *told);
const struct ab_evidence *ab_search_evidence(const struct ab_search *search, int point);
/* The best point so far that meets the requirements; -1: none yet. */
int ab_search_best(const struct ab_search *search);
/* Whether it ended because nothing more could change the answer, not because of the budget. */
bool ab_search_complete(const struct ab_search *search);
/* Share of the work that is done, for an estimate of the rest. */
double ab_search_progress(const struct ab_search *search, double spent_s);
/* By how much two visits of the same point differ (a share), as seen so far. */
double ab_search_noise(const struct ab_search *search);
/* The machine's pace while points were visited, 1 at the first visit: the least and the most. NaN:
 * visits were not by turns with a pacemaker. */
void ab_search_pace(const struct ab_search *search, double *least, double *most);
/* Share of the CPU time of all visits that the host of a virtual machine took; NaN: not known. */
double ab_search_stolen(const struct ab_search *search);

/* ---- values of points ---- */

/* What an objective looks at, larger is better: images a second, or the inverse of a latency (in
 * ns) or of memory (in bytes); times as they would have been at a pace of 1. Noise only slows, so
 * visits that fall behind the best by more than noise were disturbed and do not count; of what a
 * pacemaker was held against, which errs both ways, all count (but where an SLO is to be decided).
 * `low` and `high`: what it may be for all that is known. The best is the one with the highest
 * `rank`. NaN: never visited. */
struct ab_worth {
    double value, low, high, rank;
};
struct ab_worth ab_evidence_value(const struct ab_evidence *e, const struct ab_require *require,
                                  double noise);
/* For all that the search knows. With a pacemaker, and no SLO, what points with the same knobs
 * showed counts too, as far as it tells of this one; else as ab_evidence_value. */
struct ab_worth ab_search_worth(const struct ab_search *search, int point);
/* OPEN: the SLO is. All visits together must keep it; it is broken where the visits that nothing
 * disturbed break it too. */
enum ab_fit { AB_FIT_UNKNOWN, AB_FIT_MEETS, AB_FIT_FAILS, AB_FIT_OPEN };
enum ab_fit ab_evidence_fits(const struct ab_evidence *e, const struct ab_require *require);

/* ---- the answer ---- */

struct ab_knob_gain {
    enum ab_knob knob;
    int other;              /* the level that the recommended one is held against */
    double gain, low, high; /* the recommended point's value over that of the same with `other` */
};

struct ab_answer {
    int recommended; /* a point; -1: nothing meets the requirements */
    int best;        /* the one with the best value for all that is known; the recommended is as
                        good within noise */
    int closest;     /* where nothing meets them: what comes closest; -1: nothing was served */
    bool complete;   /* see ab_search_complete */
    double noise;
    bool *front; /* [n_points]: no other is better in latency, throughput, memory or agreement and
                    as good in the rest */
    bool *alike; /* [n_points]: meets the requirements, and for all that is known is as good as the
                    best */
    struct ab_knob_gain gains[AB_KNOBS];
    int n_gains;
};
enum ab_status ab_answer_make(const struct ab_space *space, const struct ab_search *search,
                              const struct ab_require *require, struct ab_answer *answer,
                              struct ab_error *err);
void ab_answer_free(struct ab_answer *answer);

#endif
