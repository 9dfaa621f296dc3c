// SPDX-License-Identifier: Apache-2.0
// An instance: a thread with a plan of its own, which takes clients from the queue.
#include "serve.h"

#include "clock.h"
#include "stats.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

double ab_server_time(const struct ab_server *s)
{
    return ab_now_ns() - s->zero_ns;
}

bool ab_server_wait(struct ab_server *s, pthread_cond_t *condition, double until)
{
    if (!isfinite(until)) return pthread_cond_wait(condition, &s->lock) == 0;
    const double at = fmax(0, until + s->zero_ns), whole = floor(at / 1e9);
    const struct timespec t = {(time_t)whole, (long)(at - whole * 1e9)};
    return pthread_cond_timedwait(condition, &s->lock, &t) != ETIMEDOUT;
}

/* ---- setting up ---- */

static enum ab_status execute(struct ab_instance *i, struct ab_error *err)
{
    return ab_plan_execute(i->plan, i->input, NULL, &i->map, NULL, err);
}

static enum ab_status make_plan(struct ab_instance *i, struct ab_error *err)
{
    const struct ab_server *s = i->server;
    const struct ab_plan_options o = ab_deploy_options(s->o->deploy);
    const struct ab_method *const method = s->method;
    enum ab_status status = ab_deploy_enter(s->o->deploy, i->number, err);
    const double start = ab_now_ns();
    if (status == AB_OK) status = ab_plan_create(s->source.graph, &method, 1, &o, &i->plan, err);
    i->setup_ns = ab_now_ns() - start;
    if (status != AB_OK) return status;
    ab_plan_memory(i->plan, &i->weights, &i->arena);
    return AB_OK;
}

/* The images of requests number `first` and on, one after the other. */
static void fill(struct ab_instance *i, uint64_t first, int count)
{
    const struct ab_server *s = i->server;
    const struct ab_dims d = s->source.dims;
    const size_t image = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    for (int n = 0; n < count; n++)
        memcpy(i->input + (size_t)n * image,
               s->images.data + (first + (uint64_t)n) % (uint64_t)s->images.count * image,
               image * sizeof *i->input);
}

static enum ab_status make_buffers(struct ab_instance *i, struct ab_error *err)
{
    const struct ab_server *s = i->server;
    const int batch = s->o->deploy->batch;
    const struct ab_dims d = ab_plan_map_dims(i->plan, 0);
    const struct ab_dims in = s->source.dims;
    bool overflow = false;
    size_t bytes = ab_mul_size((size_t)d.c * (size_t)d.h, (size_t)d.w, &overflow);
    i->map_bytes = ab_mul_size(bytes, (size_t)batch * sizeof *i->map, &overflow);
    bytes = ab_mul_size((size_t)in.c * (size_t)in.h, (size_t)in.w, &overflow);
    bytes = ab_mul_size(bytes, (size_t)batch * sizeof *i->input, &overflow);
    i->map = overflow ? NULL : malloc(i->map_bytes);
    i->input = overflow ? NULL : malloc(bytes);
    i->asked = calloc((size_t)batch, sizeof *i->asked);
    if (!i->map || !i->input || !i->asked)
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for %d images; give a smaller batch",
                       batch);
    fill(i, 0, batch);
    return AB_OK;
}

static enum ab_status set_up(struct ab_instance *i, struct ab_error *err)
{
    enum ab_status status = make_plan(i, err);
    if (status == AB_OK) status = make_buffers(i, err);
    if (status != AB_OK) return status;
    const double start = ab_now_ns();
    status = execute(i, err);
    if (status != AB_OK) return status;
    i->first_at = ab_now_ns();
    i->first_ns = i->swiftest_ns = i->first_at - start;
    const int batch = i->server->o->deploy->batch;
    i->hash = ab_maps_hash(i->map, i->map_bytes / sizeof *i->map / (size_t)batch, batch,
                           i->server->images.count);
    i->subnormals = (long)ab_subnormal_count(i->map, i->map_bytes / sizeof *i->map);
    return AB_OK;
}

/* ---- serving ---- */

/* Ends the visit, if the execution failed. */
static bool failed(struct ab_instance *i, enum ab_status status)
{
    if (status == AB_OK) return false;
    i->status = status;
    i->server->phase = AB_PHASE_OVER;
    pthread_cond_broadcast(&i->server->clients);
    pthread_cond_broadcast(&i->server->changed);
    return true;
}

static void warm_up(struct ab_instance *i)
{
    struct ab_server *s = i->server;
    pthread_mutex_unlock(&s->lock);
    const double start = ab_now_ns();
    const enum ab_status status = execute(i, &i->err);
    const double ns = ab_now_ns() - start;
    pthread_mutex_lock(&s->lock);
    s->done++;
    if (failed(i, status)) return;
    i->swiftest_ns = fmin(i->swiftest_ns, ns);
    if (!i->warm && ab_steady_look(&i->steady, ns)) {
        i->warm = true;
        pthread_cond_signal(&s->changed);
    }
}

/* One instance sleeps until the next arrival, the others until it has taken it. */
static void sleep_until_asked(struct ab_instance *i)
{
    struct ab_server *s = i->server;
    const double next = ab_queue_next(&s->queue);
    ab_window_idle(&s->window, ab_server_time(s));
    if (s->watched || !isfinite(next)) {
        ab_server_wait(s, &s->clients, INFINITY);
        return;
    }
    s->watched = true;
    const bool called = ab_server_wait(s, &s->clients, next);
    s->watched = false;
    if (called) return;
    s->late_ns += ab_server_time(s) - next;
    s->woken++;
}

static void serve(struct ab_instance *i)
{
    struct ab_server *s = i->server;
    const double begin = ab_server_time(s);
    /* Nobody counts it, and the next turn would wait for it. */
    if (isfinite(s->window.over)) {
        ab_server_wait(s, &s->clients, INFINITY);
        return;
    }
    ab_queue_admit(&s->queue, begin);
    const uint64_t first = s->queue.taken;
    const int count = ab_queue_take(&s->queue, s->o->deploy->batch, i->asked);
    if (!count) {
        sleep_until_asked(i);
        return;
    }
    s->served += count;
    ab_window_begun(&s->window, begin);
    /* Another takes what is left, or watches for the next. */
    pthread_cond_signal(&s->clients);
    pthread_mutex_unlock(&s->lock);
    fill(i, first, count);
    const enum ab_status status = execute(i, &i->err);
    const double end = ab_server_time(s);
    pthread_mutex_lock(&s->lock);
    s->done++;
    s->served -= count;
    if (failed(i, status)) return;
    ab_queue_admit(&s->queue, end);
    ab_window_served(&s->window, begin, end, i->asked, count, s->queue.waiting + s->served);
    ab_queue_ask(&s->queue, end, count);
    if (isfinite(s->window.closed)) pthread_cond_signal(&s->changed);
}

void *ab_instance_run(void *instance)
{
    struct ab_instance *i = instance;
    struct ab_server *s = i->server;
    /* Sleeps until the next arrival are as exact as the system can. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    const enum ab_status status = set_up(i, &i->err);
    pthread_mutex_lock(&s->lock);
    i->status = status;
    i->ready = true;
    s->done++;
    pthread_cond_signal(&s->changed);
    while (s->phase == AB_PHASE_SETUP) ab_server_wait(s, &s->clients, INFINITY);
    ab_steady_begin(&i->steady);
    while (s->phase == AB_PHASE_WARM) warm_up(i);
    while (s->phase != AB_PHASE_OVER) {
        i->parked = true;
        pthread_cond_signal(&s->changed);
        while (s->phase == AB_PHASE_READY) ab_server_wait(s, &s->clients, INFINITY);
        i->parked = false;
        while (s->phase == AB_PHASE_SERVE) serve(i);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}
