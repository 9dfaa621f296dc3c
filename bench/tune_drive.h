// SPDX-License-Identifier: Apache-2.0
// The work behind attrbench tune: visits that the search asks for, written down. What maps are
// worth is told by the process that served; of those whose bits it has seen before, it is known
// here.
#ifndef AB_TUNE_DRIVE_H
#define AB_TUNE_DRIVE_H

#include "source.h"
#include "tune.h"
#include "tune_journal.h"
#include "tune_limits.h"
#include "tune_rate.h"

/* Visits that were dropped for what the host of a virtual machine took. */
struct ab_robbery {
    double lost_s; /* of the budget */
    int dropped, in_a_row;
};
/* Takes note of a visit of the search (`stolen`: the share; NaN: not known). True: it is to be
 * dropped, as what it showed is not the configuration's doing; that is, more than a twentieth was
 * stolen, and neither two in a row nor a quarter of the budget has gone so. */
bool ab_robbery_note(struct ab_robbery *r, double stolen, double wall_s, double budget_s);

/* What is tuned. Zero it, fill what is marked, then ab_tune_open. */
struct ab_tune {
    /* Filled by the caller. */
    const char *model, *spec;
    const struct ab_words *narrowing; /* of --space */
    struct ab_require require;
    struct ab_load_shape load;
    double budget_s;
    uint64_t seed;
    bool exhaustive, quiet, resume;
    const char *journal_path; /* NULL: none */
    const char *program;      /* an attrbench, for visits; NULL: this one */

    /* By ab_tune_open. */
    struct ab_source source;
    struct ab_method *method;
    struct ab_site site;
    struct ab_space space;
    char cache[1024];
    struct ab_judging judging;
    struct ab_agreement *agreed; /* [judging.n_known]: what is known of maps */
    struct ab_tune_roof *roof;
    struct ab_search *search;
    struct ab_journal *journal;     /* NULL: none */
    struct ab_pacemaker *pacemaker; /* while it searches; NULL: none */
    double before_s;                /* of the budget, spent by the runs that this one resumes */
    double began_ns;
    double opened_s; /* what opening took */
    double cut_s;    /* what the visit took that ended before anybody was served; 0: none did */
    struct ab_robbery robbery;
};

/* Opens the model, the method, the space. */
enum ab_status ab_tune_open(struct ab_tune *t, struct ab_error *err);
void ab_tune_close(struct ab_tune *t);
double ab_tune_spent(const struct ab_tune *t);
/* What ab_graph_open takes for the model. */
const char *ab_tune_file(const struct ab_tune *t);

/* Visits what the search asks for, until it or the budget ends. What fails at a point is the
 * point's own; an error is what stands in the way of all: the journal cannot be written, out of
 * memory, a budget (AB_ERR_ARG) that ended before anything was seen. */
enum ab_status ab_tune_search(struct ab_tune *t, struct ab_answer *answer, struct ab_error *err);

/* The next visit of a point, with arrivals that none before it had; for visits outside the search
 * and the budget too. */
struct ab_visit_options ab_tune_visit_options(const struct ab_tune *t, int point);

#endif
