// SPDX-License-Identifier: Apache-2.0
// A visit: one configuration, served by a fresh process under a load.
//
// Clients ask for the attribution of one image each. An instance that is idle takes as many waiting
// requests as its plan has places and runs; latency counts from the moment a client asks, so that
// no wait is left out.
#ifndef AB_VISIT_H
#define AB_VISIT_H

#include "config/config.h"
#include "percentile.h"

/* CLOSED: `streams` clients that ask again as soon as they have their map. POISSON: `rate` clients
 * a second on average arrive at random, whether or not those before them are done. */
enum ab_load_kind { AB_LOAD_CLOSED, AB_LOAD_POISSON };
struct ab_load_shape {
    enum ab_load_kind kind;
    int streams; /* 0: as many as all instances have places */
    double rate; /* a second */
};
/* "closed", "closed:4", "poisson:20". */
enum ab_status ab_load_shape_parse(const char *text, struct ab_load_shape *load,
                                   struct ab_error *err);
void ab_load_shape_text(const struct ab_load_shape *load, char *text, size_t size);

struct ab_visit_options {
    const char *model, *method;
    const struct ab_deploy *deploy;
    struct ab_load_shape load;
    double seconds;      /* of serving after the warm-up */
    int least_requests;  /* and on until so many are done ... */
    double most_seconds; /* ... or so long has passed; 0: no limit */
    struct ab_slo slo;   /* limit_ns > 0: ends as soon as it is held or broken with `confidence` */
    double confidence;
    uint64_t seed;   /* of the arrivals */
    double patience; /* s for what comes before serving; 0: 300 */
};

struct ab_visit {
    double *latency_ns; /* [requests] in order of completion */
    int requests;
    double *service_ns; /* [executions] */
    int executions;
    double seconds, images_per_s; /* of serving; completed images over it */
    double resident_bytes,
        peak_bytes;       /* of the process after serving, and at its largest; NaN: not known */
    double planned_bytes; /* the network's weights, and those and the arenas of all plans */
    double start_ns;      /* from the start of the process to its first map: */
    double load_ns, setup_ns, first_ns; /* reading the model, making a plan, the first execution */
    double wall_s;                      /* of the visit as a whole: what it cost */
    uint64_t map_hash; /* of the maps of each instance's first execution, of the usual images */
    bool unequal;      /* the instances' maps were not the same */
    bool overloaded;   /* requests arrived faster than they were served, all the time */
    long subnormals;   /* in those maps */
    double stolen, pressure; /* shares, see load.h; NaN: not known */
};

/* A child that crashes, refuses or does not answer is an error that says so. Ends early, with what
 * there is, when ab_interrupted is set. */
enum ab_status ab_visit(const struct ab_visit_options *o, struct ab_visit *v, struct ab_error *err);
void ab_visit_free(struct ab_visit *v);

/* The command behind `attrbench serve`. Returns the exit code. */
int ab_visit_serve(void);

#endif
