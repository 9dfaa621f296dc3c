// SPDX-License-Identifier: Apache-2.0
// attrbench serve, inside: the process that a visit runs in.
//
//     queue: who asks when, who waits                         serve_queue.c
//     window: when it is counted, what, and when it is over   serve_window.c
//     server: the model, instances on threads of their own    serve.c, serve_instance.c
//     judge: what the maps are worth, by the plan once more   serve_judge.c
//
// Queue and window know no clock and no threads: times are handed in, in ns since serving began.
#ifndef AB_SERVE_H
#define AB_SERVE_H

#include "slices.h"
#include "source.h"
#include "visit_inside.h"

#include <pthread.h>
#include <signal.h>

/* ---- the queue: first come, first served ---- */

struct ab_queue {
    struct ab_load_shape load; /* streams: as many as there are */
    long waiting;
    uint64_t taken; /* so far: the number of the next request */
    /* Closed: when those that wait asked, from `head` on. */
    double *asked; /* [streams] */
    int head;
    /* Open: arrival k is a function of the seed, so that nothing is kept of those that wait. */
    uint64_t seed, arrived;
    double next, first; /* times of the next to arrive, and of the first that waits */
};

/* `places`: the streams of a closed load that does not say. Closed: all ask at once, now. */
enum ab_status ab_queue_open(struct ab_queue *q, const struct ab_load_shape *load, int places,
                             uint64_t seed, double now, struct ab_error *err);
void ab_queue_free(struct ab_queue *q);
/* Lets those in that arrive until now. */
void ab_queue_admit(struct ab_queue *q, double now);
/* At most `most` of those that wait; when they asked. */
int ab_queue_take(struct ab_queue *q, int most, double *asked);
/* `count` clients of a closed load ask again. */
void ab_queue_ask(struct ab_queue *q, double now, int count);
/* When somebody arrives whatever is served; INFINITY: a closed load. */
double ab_queue_next(const struct ab_queue *q);

/* ---- the window ---- */

/* How many were in the system when an execution ended. */
struct ab_crowd {
    double at;
    long present;
};

struct ab_window {
    const struct ab_visit_options *o;
    int instances, places; /* places: images that can be in service at a time */
    double *latency_ns;
    int requests; /* those that asked while it was open, in order of completion */
    double *service_ns;
    struct ab_crowd *crowd; /* [executions] */
    int executions;
    double opened, closed; /* INFINITY: not yet */
    double over;           /* no more is counted; INFINITY: not yet */
    double give_up;        /* when whoever still waits is left */
    double idle;           /* when an instance last found nothing to do; -1: never */
    double longest;        /* execution so far */
    double images;         /* done while it was open: executions at its edges count by the share of
                              their time that lies inside */
    double *begun;         /* [running] */
    int running;           /* executions */
    double unseen; /* ns of instances while it was open, in executions whose end nobody saw */
    long left;     /* in the system when it closed */
    long pending;  /* of those, still to be served */
    bool crossed;  /* gave up on somebody */
    struct ab_slo_looks looks;
    enum ab_slo_state slo;
};

/* `streams`: of a closed load, 0: an open one. */
enum ab_status ab_window_start(struct ab_window *w, const struct ab_visit_options *o, int instances,
                               int places, int streams, struct ab_error *err);
void ab_window_free(struct ab_window *w);
/* An instance begins an execution. */
void ab_window_begun(struct ab_window *w, double begin);
/* An execution from `begin` to `end` served those that had asked at `asked`; `present`: clients
 * that wait or are being served after it, without those who ask again because of it. */
void ab_window_served(struct ab_window *w, double begin, double end, const double *asked, int count,
                      long present);
/* What the time does by itself. `stop`: the user wants it to end. */
void ab_window_tick(struct ab_window *w, double now, long present, bool stop);
void ab_window_idle(struct ab_window *w, double now);
/* When the next tick is due. */
double ab_window_due(const struct ab_window *w);
/* Images a second while it was open; 0: nothing was seen. */
double ab_window_rate(const struct ab_window *w);
/* Whether the queue grew all the time; of an open load. */
bool ab_window_overloaded(const struct ab_window *w);

/* ---- the server ---- */

enum ab_phase { AB_PHASE_SETUP, AB_PHASE_WARM, AB_PHASE_READY, AB_PHASE_SERVE, AB_PHASE_OVER };

struct ab_instance {
    struct ab_server *server;
    int number;
    pthread_t thread;
    bool started, ready, warm, parked; /* has a thread; is set up; is steady; waits for clients */
    enum ab_status status;
    struct ab_error err;
    struct ab_plan *plan;
    float *input, *map;
    size_t map_bytes;
    double *asked; /* [batch] */
    struct ab_steady steady;
    double setup_ns, first_ns, first_at; /* first_at: by ab_now_ns, when its first map was there */
    double swiftest_ns;                  /* execution before serving */
    uint64_t hash;
    long subnormals;
    size_t weights, arena;
};

/* What a server tells while it runs; each may be NULL. */
struct ab_serve_hooks {
    void (*alive)(void); /* once in a while if there is progress */
    /* Of a visit by turns, without the lock: tells the last turn (NULL: none was yet) and waits
     * until the next is wanted. False: none is. */
    bool (*turn)(const struct ab_turn *last);
};

struct ab_server {
    const struct ab_visit_options *o;
    struct ab_visit_options stretch; /* what is served at a stretch: all, or a turn */
    double born_ns, zero_ns;         /* zero: when that began, by ab_now_ns */
    struct ab_serve_hooks hooks;
    struct ab_source source;
    struct ab_images images;
    struct ab_method *method;
    double load_ns;
    struct ab_instance *instances;
    pthread_mutex_t lock;            /* of all below, and of the instances' flags */
    pthread_cond_t clients, changed; /* for instances; for who waits for them */
    enum ab_phase phase;
    struct ab_queue queue;
    struct ab_window window;
    long served;      /* images that are being served */
    bool watched;     /* an instance sleeps until the next arrival */
    double late_ns;   /* of those that slept, all together */
    long woken, done; /* wake-ups; executions since the start, in warm-up too */
};

/* Set from the moment on at which ab_interrupted ends a visit with what there is. */
extern volatile sig_atomic_t ab_serve_begun;

/* Loads, sets up, warms up and serves, by turns if the options say so. After an error too,
 * ab_server_end. */
enum ab_status ab_server_run(struct ab_server *s, const struct ab_visit_options *o, double born_ns,
                             const struct ab_serve_hooks *hooks, struct ab_visit *v,
                             struct ab_error *err);
/* Whether executions are under way that nobody waits for. */
bool ab_server_busy(struct ab_server *s);
/* Waits for executions that are under way; frees the instances. */
void ab_server_rest(struct ab_server *s);
/* Judges the maps of a visit, if the options say so and they are new: ends the instances, makes the
 * plan of the first once more, in a thread that is bound as its own was, and holds it against a
 * reference that follows its decisions. Where it makes other maps, they are not judged. Once
 * ab_interrupted is set it takes a second at most; what it had begun may go on then, and the server
 * must not end before the process does. */
void ab_server_judge(struct ab_server *s, struct ab_visit *v);
/* Rests, and frees all else. */
void ab_server_end(struct ab_server *s);

/* The thread of an instance. */
void *ab_instance_run(void *instance);
/* ns since serving, or the turn, began. */
double ab_server_time(const struct ab_server *s);
/* Waits for `condition`, at most until a time of ab_server_time (INFINITY: for ever). False: it was
 * that long. */
bool ab_server_wait(struct ab_server *s, pthread_cond_t *condition, double until);

#endif
