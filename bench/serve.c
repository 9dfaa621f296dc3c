// SPDX-License-Identifier: Apache-2.0
// attrbench serve: the process that a visit runs in.
#include "serve.h"

#include "command.h"
#include "load.h"
#include "run.h"
#include "stats.h"
#include "base/sysfile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Signs of life, and looks at whether the user wants it to end. */
static const double ALIVE_NS = 1e9, LOOK_NS = 50e6;
/* As in slices.c: a quarter of the time at most. */
static const double WARM = 0.25;

volatile sig_atomic_t ab_serve_begun;

/* ---- waiting for instances ---- */

/* Waits for a change, in short pieces; says that it is alive if executions are. */
static void attend(struct ab_server *s, double until, double *said, long *done)
{
    const double now = ab_server_time(s);
    ab_server_wait(s, &s->changed, fmin(until, now + LOOK_NS));
    const bool nothing_to_do = s->phase == AB_PHASE_SERVE && !s->served;
    if (now - *said < ALIVE_NS || (s->done == *done && !nothing_to_do)) return;
    *said = now;
    *done = s->done;
    if (s->hooks.alive) s->hooks.alive();
}

static bool all_warm(const struct ab_server *s)
{
    for (int i = 0; i < s->o->deploy->instances; i++)
        if (!s->instances[i].warm) return false;
    return true;
}

static bool all_parked(const struct ab_server *s)
{
    for (int i = 0; i < s->o->deploy->instances; i++)
        if (!s->instances[i].parked) return false;
    return true;
}

static void enter(struct ab_server *s, enum ab_phase phase)
{
    /* A failed execution has the last word. */
    if (s->phase != AB_PHASE_OVER) s->phase = phase;
    pthread_cond_broadcast(&s->clients);
}

/* ---- setting up ---- */

static enum ab_status load_model(struct ab_server *s, struct ab_error *err)
{
    const double start = ab_now_ns();
    enum ab_status status = ab_deploy_check(s->o->deploy, err);
    if (status == AB_OK) status = ab_source_open(s->o->model, NULL, &s->source, err);
    s->load_ns = ab_now_ns() - start;
    if (status == AB_OK) status = ab_method_parse(s->o->method, &s->method, err);
    if (status != AB_OK) return status;
    status = ab_images_usual(&s->images, &s->source, NULL, err);
    return status == AB_ERR_ARG ? AB_ERR_UNSUPPORTED : status;
}

/* One after the other, so that each is timed by itself. */
static enum ab_status start_instances(struct ab_server *s, struct ab_error *err)
{
    const int count = s->o->deploy->instances;
    double said = -INFINITY;
    long done = -1;
    s->instances = calloc((size_t)count, sizeof *s->instances);
    if (!s->instances) return ab_fail(err, AB_ERR_MEMORY, "out of memory for instances");
    for (int n = 0; n < count; n++) {
        struct ab_instance *i = &s->instances[n];
        i->server = s;
        i->number = n;
        i->started = pthread_create(&i->thread, NULL, ab_instance_run, i) == 0;
        if (!i->started)
            return ab_fail(err, AB_ERR_MEMORY, "no thread for instance %d; give fewer", n + 1);
        pthread_mutex_lock(&s->lock);
        while (!i->ready) attend(s, INFINITY, &said, &done);
        const enum ab_status status = i->status;
        pthread_mutex_unlock(&s->lock);
        if (status != AB_OK) return ab_fail(err, status, "%s", i->err.text);
    }
    return AB_OK;
}

static void init(struct ab_server *s)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->clients, &monotonic);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

/* ---- serving ---- */

/* Waits until no execution is under way and none begins. */
static void park(struct ab_server *s)
{
    double said = -INFINITY;
    long done = -1;
    enter(s, AB_PHASE_READY);
    while (s->phase == AB_PHASE_READY && !ab_interrupted && !all_parked(s))
        attend(s, INFINITY, &said, &done);
}

static void warm_up(struct ab_server *s)
{
    double said = -INFINITY;
    long done = -1;
    const double until = ab_server_time(s) + WARM * s->o->seconds * 1e9;
    /* Where one execution takes that long, the first was the warm-up. */
    for (int i = 0; i < s->o->deploy->instances; i++)
        s->instances[i].warm = s->instances[i].first_ns >= WARM * s->o->seconds * 1e9;
    if (!all_warm(s)) enter(s, AB_PHASE_WARM);
    while (s->phase == AB_PHASE_WARM && !ab_interrupted && !all_warm(s) &&
           ab_server_time(s) < until)
        attend(s, until, &said, &done);
    park(s);
}

/* Until the window is over. */
static enum ab_status serve_stretch(struct ab_server *s, struct ab_error *err)
{
    double said = 0;
    long done = s->done;
    const struct ab_deploy *d = s->o->deploy;
    const int places = d->instances * d->batch;
    s->zero_ns = ab_now_ns();
    ab_queue_free(&s->queue);
    ab_window_free(&s->window);
    enum ab_status status = ab_queue_open(&s->queue, &s->o->load, places, s->o->seed, 0, err);
    if (status == AB_OK)
        status = ab_window_start(&s->window, &s->stretch, d->instances, places,
                                 s->queue.load.streams, err);
    if (status != AB_OK) return status;
    for (int i = 0; i < d->instances; i++)
        s->window.longest = fmax(s->window.longest, s->instances[i].first_ns);
    enter(s, AB_PHASE_SERVE);
    while (s->phase == AB_PHASE_SERVE && !isfinite(s->window.over)) {
        const double now = ab_server_time(s);
        ab_queue_admit(&s->queue, now);
        ab_window_tick(&s->window, now, s->queue.waiting + s->served, ab_interrupted);
        if (!isfinite(s->window.over)) attend(s, ab_window_due(&s->window), &said, &done);
    }
    for (int i = 0; i < d->instances; i++)
        if (s->instances[i].status != AB_OK)
            return ab_fail(err, s->instances[i].status, "%s", s->instances[i].err.text);
    return AB_OK;
}

/* ---- what there is to tell ---- */

/* Bytes of a line of /proc/self/status; NaN: not known. */
static double memory_of(const char *key)
{
    char text[64];
    return ab_sys_value("/proc/self/status", key, text, sizeof text) ? 1024 * strtod(text, NULL)
                                                                     : (double)NAN;
}

static void tell_setup(const struct ab_server *s, struct ab_visit *v)
{
    const struct ab_instance *first = s->instances;
    v->start_ns = first->first_at - s->born_ns;
    v->load_ns = s->load_ns;
    v->setup_ns = first->setup_ns;
    v->first_ns = first->first_ns;
    v->map_hash = first->hash;
    v->subnormals = first->subnormals;
    v->planned_bytes = 4.0 * (double)ab_graph_parameters(s->source.graph);
    for (int i = 0; i < s->o->deploy->instances; i++) {
        const struct ab_instance *one = &s->instances[i];
        v->planned_bytes += (double)one->weights + (double)one->arena;
        v->unequal = v->unequal || one->hash != first->hash;
    }
}

static bool add_times(const double *from, int count, double **to, int *n)
{
    double *grown = realloc(*to, ((size_t)*n + (size_t)count + 1) * sizeof *grown);
    if (!grown) return false;
    if (count) memcpy(grown + *n, from, (size_t)count * sizeof *grown);
    *to = grown;
    *n += count;
    return true;
}

/* Adds the window to what earlier turns showed. */
static enum ab_status tell_window(const struct ab_server *s, struct ab_visit *v,
                                  struct ab_turn *turn, struct ab_error *err)
{
    const struct ab_window *w = &s->window;
    const double closed = fmin(w->closed, w->over);
    if (!add_times(w->latency_ns, w->requests, &v->latency_ns, &v->requests) ||
        !add_times(w->service_ns, w->executions, &v->service_ns, &v->executions))
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for latencies");
    *turn = (struct ab_turn){
        .images_per_s = ab_window_rate(w),
        .seconds = isfinite(closed) && closed > w->opened ? (closed - w->opened) / 1e9 : 0,
        .requests = w->requests};
    const double images = v->images_per_s * v->seconds + turn->images_per_s * turn->seconds;
    v->seconds += turn->seconds;
    v->images_per_s = v->seconds > 0 ? images / v->seconds : 0;
    v->overloaded = ab_window_overloaded(w);
    v->slo = w->slo;
    v->late_ns = s->woken ? s->late_ns / (double)s->woken : (double)NAN;
    return AB_OK;
}

/* ---- turns ---- */

static double swiftest_ns(const struct ab_server *s)
{
    double swiftest = INFINITY;
    for (int i = 0; i < s->o->deploy->instances; i++)
        swiftest = fmin(swiftest, s->instances[i].swiftest_ns);
    return swiftest;
}

static bool wants_turn(struct ab_server *s, const struct ab_turn *last)
{
    pthread_mutex_unlock(&s->lock);
    const bool wanted = s->hooks.turn(last);
    pthread_mutex_lock(&s->lock);
    return wanted && !ab_interrupted;
}

/* All at a stretch, or turns for as long as they are wanted; no execution is under way between
 * them. */
static enum ab_status serve(struct ab_server *s, struct ab_visit *v, struct ab_error *err)
{
    struct ab_turn turn;
    s->stretch = *s->o;
    if (!(s->o->turn_s > 0)) {
        const enum ab_status status = serve_stretch(s, err);
        enter(s, AB_PHASE_OVER);
        return status == AB_OK ? tell_window(s, v, &turn, err) : status;
    }
    enum ab_status status = AB_OK;
    const struct ab_turn *last = NULL;
    /* An execution at least. More say less for their time than another turn does: they have the
     * same pace. */
    s->stretch.seconds = fmax(s->o->turn_s, swiftest_ns(s) / 1e9);
    s->stretch.least_requests = 0;
    while (status == AB_OK && wants_turn(s, last)) {
        status = serve_stretch(s, err);
        if (status == AB_OK) status = tell_window(s, v, &turn, err);
        park(s);
        last = &turn;
    }
    enter(s, AB_PHASE_OVER);
    return status;
}

enum ab_status ab_server_run(struct ab_server *s, const struct ab_visit_options *o, double born_ns,
                             const struct ab_serve_hooks *hooks, struct ab_visit *v,
                             struct ab_error *err)
{
    struct ab_load from, to;
    *s = (struct ab_server){.o = o, .born_ns = born_ns, .hooks = *hooks, .zero_ns = ab_now_ns()};
    *v = (struct ab_visit){0};
    init(s);
    enum ab_status status = load_model(s, err);
    if (status == AB_OK) status = start_instances(s, err);
    if (status != AB_OK) return status;
    tell_setup(s, v);
    ab_serve_begun = 1;
    pthread_mutex_lock(&s->lock);
    warm_up(s);
    ab_load_look(&from);
    status = serve(s, v, err);
    ab_load_look(&to);
    v->resident_bytes = memory_of("VmRSS");
    v->peak_bytes = memory_of("VmHWM");
    const struct ab_load_change change = ab_load_between(&from, &to);
    v->stolen = change.stolen;
    v->pressure = change.pressure;
    pthread_mutex_unlock(&s->lock);
    if (status != AB_OK) ab_visit_free(v);
    return status;
}

bool ab_server_busy(struct ab_server *s)
{
    pthread_mutex_lock(&s->lock);
    const bool busy = s->served > 0;
    pthread_mutex_unlock(&s->lock);
    return busy;
}

void ab_server_rest(struct ab_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->phase = AB_PHASE_OVER;
    pthread_cond_broadcast(&s->clients);
    pthread_mutex_unlock(&s->lock);
    for (int n = 0; s->instances && n < s->o->deploy->instances; n++) {
        struct ab_instance *i = &s->instances[n];
        if (i->started) pthread_join(i->thread, NULL);
        ab_plan_destroy(&i->plan);
        free(i->input);
        free(i->map);
        free(i->asked);
    }
    free(s->instances);
    s->instances = NULL;
}

void ab_server_end(struct ab_server *s)
{
    ab_server_rest(s);
    ab_queue_free(&s->queue);
    ab_window_free(&s->window);
    ab_images_free(&s->images);
    ab_method_destroy(&s->method);
    ab_source_close(&s->source);
    pthread_cond_destroy(&s->clients);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
}
