// SPDX-License-Identifier: Apache-2.0
// The highest rate of arrivals at which a limit on latency still holds.
//
// Probes are visits of open loops, each of which ends when it is decided. They bisect between what
// holds and what does not; a rate at which the queue grows all the time does not hold, whatever
// latencies say so far. A quarter of the time is kept for what was found to be confirmed, with
// other arrivals: of many probes near the border some hold by luck.
//
// Near the border latencies come in clumps (ab_slo_clumps). In 200 simulated searches of 200 s each
// (services of 10 ms, p99 within 100 ms, 95 %) 4 claimed over 1.02 times the true border, 1 of
// them confirmed; with every request taken for independent it was 54, 45 of them confirmed.
#ifndef AB_TUNE_RATE_H
#define AB_TUNE_RATE_H

#include "visit.h"

struct ab_rate_probe {
    double rate; /* images a second; 0: one client, who asks again when it has its map */
    enum ab_slo_state state;
    bool overloaded;
    int requests;
    double images_per_s; /* that were served */
    double quantile_ns;  /* the SLO's, of this probe; NaN: no requests */
    double seconds;      /* that it took, the start of the process included */
};

enum { AB_RATE_PROBES = 32 };

struct ab_max_rate {
    double held;      /* the highest rate that held; 0: none was shown to */
    double broken;    /* the lowest rate above it that did not hold, in two of three probes unless
                         the queue grew, or in a longer look; INFINITY: none */
    bool idle_broken; /* a client that is alone waits too long already: no rate can hold */
    bool settled;     /* held and broken are within a twentieth of each other */
    bool confirmed;   /* and `held` held again */
    char note[200];   /* what stood in the way of being settled or confirmed; "" */
    struct ab_rate_probe probes[AB_RATE_PROBES]; /* in their order */
    int n_probes;
    double spent_s;
};

/* `closed_rate`: images a second of clients without end, where the search begins; 0: it looks, for
 * a tenth of the time. `seconds`: of the search as a whole; the last probe may outlast it. `base`:
 * what is served, confidence and seed; its load, times and SLO do not matter. Ends early, with what
 * there is, when ab_interrupted is set. AB_ERR_ARG: times or rates that cannot be; errors of a
 * visit. */
enum ab_status ab_tune_max_rate(const struct ab_visit_options *base, const struct ab_slo *slo,
                                double closed_rate, double seconds, struct ab_max_rate *result,
                                struct ab_error *err);

/* The search alone. `probe` fills all of *p but `rate`, after at most some `seconds`; a rate of
 * INFINITY asks for clients without end, of which images_per_s and seconds matter. `least`: the
 * fewest requests that show that a rate holds. */
typedef enum ab_status (*ab_rate_fn)(void *user, double rate, double seconds,
                                     struct ab_rate_probe *p, struct ab_error *err);
enum ab_status ab_rate_search(ab_rate_fn probe, void *user, int least, double closed_rate,
                              double seconds, struct ab_max_rate *result, struct ab_error *err);

/* After a longer look at `rate`, below what was found to hold, that did not show it to hold
 * (`broke`: that showed it not to): what probes showed to hold below that is all that is left. */
void ab_rate_withdraw(struct ab_max_rate *result, double rate, bool broke);

#endif
