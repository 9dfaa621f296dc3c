// SPDX-License-Identifier: Apache-2.0
// A visit: one configuration, served by a fresh process under a load.
//
// Clients ask for the attribution of one image each. An instance that is idle takes as many waiting
// requests as its plan has places and runs; latency counts from the moment a client asks, so that
// no wait is left out. Arrivals of an open loop are known beforehand, and an instance sleeps until
// the next: there is no generator that would take a core. A wake-up that comes late is part of the
// latency.
//
// Latencies are those of the clients that ask while the visit is open, each to its end, if that
// takes no longer than half as long again: whoever waits at the end is not forgotten. A limit is
// looked at while they come, see ab_slo_look for what that does to the confidence; in an open loop,
// whose queue has a memory, not before a quarter of the time has passed.
#ifndef AB_VISIT_H
#define AB_VISIT_H

#include "agree/agree.h"
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

/* Maps of the first instance's first execution are held against the reference, which follows the
 * decisions of the plan that made them (agree.h). A library that chooses its algorithms by timing
 * may choose others in another process, whose maps have other bits and other decisions: so the
 * process that served judges, when it has served and its times and memory are known. */
struct ab_judging {
    const char *cache_dir; /* of references, which are dear; NULL: none */
    int threads;           /* of the reference */
    uint64_t *known;       /* [n_known] ab_maps_hash of maps that were judged before: not again */
    int n_known;
};

/* One turn of a visit by turns. */
struct ab_turn {
    double images_per_s, seconds; /* 0: nothing was seen */
    int requests;
};

/* A process that serves one configuration by turns with those that are visited, and sleeps in
 * between: how swift the machine is just then. What else runs there slows both, for seconds or
 * minutes, so that their ratio tells what times of different moments do not. */
struct ab_pacemaker;

struct ab_visit_options {
    const char *program; /* an attrbench; NULL: the running program */
    const char *model, *method;
    const struct ab_deploy *deploy;
    struct ab_load_shape load;
    double seconds;      /* of serving after the warm-up */
    int least_requests;  /* and on until so many are done, one at least ... */
    double most_seconds; /* ... or so long has passed; 0: no limit */
    struct ab_slo slo;   /* limit_ns > 0: ends as soon as it is held or broken with `confidence` */
    double confidence;
    uint64_t seed;                    /* of the arrivals */
    const struct ab_judging *judging; /* NULL: maps are not judged */
    struct ab_pacemaker *pacemaker;   /* by turns with it, if the load allows; NULL: at a stretch */
    double turn_s;   /* inside: of serving by turns, each so long, or an execution; 0: not */
    double patience; /* s without a sign of life (a plan made, an image served, computing while
                        maps are judged) after which the process is killed; 0: 300 */
};

struct ab_visit {
    double *latency_ns; /* [requests] in order of completion */
    int requests;
    double *service_ns; /* [executions] */
    int executions;
    double seconds;      /* of serving */
    double images_per_s; /* cut executions by their share, see ab_window_rate; by turns, that of the
                            median turn */
    double pace;         /* images/s of the pacemaker by turns with this: images_per_s over the
                            median ratio of turns that follow each other; NaN: not by turns */
    double resident_bytes,
        peak_bytes;       /* of the process after serving, and at its largest; NaN: not known */
    double planned_bytes; /* the network's weights, and those and the arenas of all plans */
    double start_ns;      /* from the start of the process to its first map: */
    double load_ns, setup_ns, first_ns; /* reading the model, making a plan, the first execution */
    double wall_s;                      /* of the visit as a whole, without judge_s: what it cost */
    uint64_t map_hash;     /* ab_maps_hash of each instance's first execution, of the usual images
                              in turn */
    bool unequal;          /* the instances' maps were not the same */
    bool overloaded;       /* requests arrived faster than they were served, all the time */
    enum ab_slo_state slo; /* OPEN too: none was asked for */
    double late_ns;  /* mean time from an arrival to the instance that slept until then awake: part
                        of latencies; NaN: none slept */
    long subnormals; /* in those maps */
    bool judged;     /* those maps were: not if nobody asked or was served, where they are known and
                        where they are unequal */
    struct ab_agreement agreement; /* if judged. A failure, an interrupt too, is a verdict skipped
                                      that says why */
    double judge_s;                /* what that took */
    double stolen, pressure;       /* shares, see load.h; NaN: not known */
};

/* A child that crashes, refuses or does not answer is an error that says so. Ends early, with what
 * there is (which may be nothing, 0 requests), when ab_interrupted is set. */
enum ab_status ab_visit(const struct ab_visit_options *o, struct ab_visit *v, struct ab_error *err);
void ab_visit_free(struct ab_visit *v);

/* The clients of a visit wait for no others' maps, so that it can stand still between turns. */
bool ab_visit_can_pause(const struct ab_visit_options *o);
/* Starts it; it sets up at the first turn. `o`: what it serves; the texts and the configuration
 * have to last. */
enum ab_status ab_pacemaker_start(const struct ab_visit_options *o, struct ab_pacemaker **pacemaker,
                                  struct ab_error *err);
/* Ends the process. */
void ab_pacemaker_stop(struct ab_pacemaker **pacemaker);

/* A hash of the maps [batch][floats] of an execution whose slot i held image i % images. Slots of
 * one image count once where their maps are the same bits, so that the batch matters only where it
 * makes a difference. */
uint64_t ab_maps_hash(const float *maps, size_t floats, int batch, int images);

/* The command behind `attrbench serve`. Returns the exit code. */
int ab_visit_serve(void);

#endif
