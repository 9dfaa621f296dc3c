// SPDX-License-Identifier: Apache-2.0
// What the maps that were served are worth, judged where they were made: libraries that choose
// their algorithms by timing remember the choice as long as their process lives, so that here alone
// the plan can be made once more with the same bits.
#include "serve.h"

#include "run.h"
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Signs of life, and the computing that each must stand for; looks at whether it is over. */
static const double ALIVE_NS = 1e9, COMPUTED_NS = 10e6, LOOK_NS = 50e6;
/* Whoever asked for the visit waits twice as long once it was told to end. */
static const double INTERRUPTED_NS = 1e9;

/* ---- the plan, once more ---- */

struct again {
    const struct ab_server *server;
    int batch;
    const float *input;
    struct ab_plan *plan;
    uint64_t hash;
    enum ab_status status;
    struct ab_error err;
};

/* As the first instance does: its thread is bound, and treats subnormal numbers, as it says. */
static void *make_again(void *user)
{
    struct again *a = user;
    const struct ab_server *s = a->server;
    const struct ab_method *const method = s->method;
    struct ab_plan_options options = ab_deploy_options(s->o->deploy);
    options.retain = true;
    options.batch = a->batch;
    a->status = ab_deploy_enter(s->o->deploy, 0, &a->err);
    if (a->status == AB_OK)
        a->status = ab_plan_create(s->source.graph, &method, 1, &options, &a->plan, &a->err);
    if (a->status != AB_OK) return NULL;
    const struct ab_dims d = ab_plan_map_dims(a->plan, 0);
    const size_t floats = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    float *map = calloc((size_t)a->batch, floats * sizeof *map);
    float *maps[] = {map};
    a->status = map ? ab_plan_execute(a->plan, a->input, NULL, maps, NULL, &a->err)
                    : ab_fail(&a->err, AB_ERR_MEMORY, "out of memory for maps");
    if (map) a->hash = ab_maps_hash(map, floats, a->batch, s->images.count);
    free(map);
    return NULL;
}

/* The reference follows the decisions of the plan. */
static enum ab_status hold_against(const struct again *a, struct ab_agreement *result,
                                   struct ab_error *err)
{
    const struct ab_server *s = a->server;
    const struct ab_method *const method = s->method;
    const struct ab_judging *how = s->o->judging;
    const struct ab_judged judged = {
        .methods = &method, .n_methods = 1, .batch = a->batch, .n_targets = 1, .input = a->input};
    struct ab_referee *referee = NULL;
    struct ab_error why;
    enum ab_status status =
        ab_referee_create(s->source.graph, &judged, how->threads, how->cache_dir, &referee, &why);
    if (status != AB_OK) return ab_fail(err, status, "no reference: %.140s", why.text);
    status = ab_referee_judge(referee, a->plan, result, err);
    ab_referee_destroy(&referee);
    return status;
}

static void skip(struct ab_agreement *result, const char *why)
{
    *result = (struct ab_agreement){.verdict = AB_SKIPPED};
    snprintf(result->why, sizeof result->why, "%.150s", why);
}

/* Judges a plan of `batch` images; false: it does not make the maps with that hash. */
static bool judge_batch(const struct ab_server *s, int batch, uint64_t hash,
                        struct ab_agreement *result)
{
    const struct ab_dims d = s->source.dims;
    const size_t image = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    float *input = malloc((size_t)batch * image * sizeof *input);
    struct again a = {.server = s, .batch = batch, .input = input};
    pthread_t thread;
    if (input) ab_images_fill(&s->images, d, batch, input);
    if (!input || pthread_create(&thread, NULL, make_again, &a) != 0) {
        skip(result, "out of memory or threads");
        free(input);
        return true;
    }
    pthread_join(thread, NULL);
    const bool same = a.status != AB_OK || a.hash == hash;
    if (same && a.status == AB_OK) a.status = hold_against(&a, result, &a.err);
    if (a.status != AB_OK) skip(result, a.err.text);
    ab_plan_destroy(&a.plan);
    free(input);
    return same;
}

/* ---- in a thread, which may be left ---- */

struct judge {
    struct ab_server *server;
    uint64_t hash;
    struct ab_agreement result;
    bool done; /* under the server's lock */
};

static void *judge(void *user)
{
    struct judge *j = user;
    struct ab_server *s = j->server;
    const int batch = s->o->deploy->batch;
    /* Slots beyond the images are copies: they need no reference unless they differ. */
    const int distinct = batch < s->images.count ? batch : s->images.count;
    ab_server_rest(s);
    bool made = judge_batch(s, distinct, j->hash, &j->result);
    if (!made && batch > distinct) made = judge_batch(s, batch, j->hash, &j->result);
    if (!made) skip(&j->result, "its plan, made once more, made other maps");
    pthread_mutex_lock(&s->lock);
    j->done = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static double computed_ns(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0
               ? (double)t.tv_sec * 1e9 + (double)t.tv_nsec
               : 0;
}

/* False: it was told to end, and left. */
static bool wait_for(struct judge *j)
{
    struct ab_server *s = j->server;
    double said = ab_server_time(s), computed = computed_ns(), until = INFINITY;
    pthread_mutex_lock(&s->lock);
    while (!j->done) {
        const double now = ab_server_time(s);
        if (ab_interrupted && !isfinite(until)) until = now + INTERRUPTED_NS;
        if (now >= until) break;
        ab_server_wait(s, &s->changed, now + LOOK_NS);
        if (now - said < ALIVE_NS || computed_ns() - computed < COMPUTED_NS) continue;
        said = now;
        computed = computed_ns();
        if (s->hooks.alive) s->hooks.alive();
    }
    const bool done = j->done;
    pthread_mutex_unlock(&s->lock);
    return done;
}

static bool is_known(const struct ab_judging *how, uint64_t hash)
{
    for (int i = 0; i < how->n_known; i++)
        if (how->known[i] == hash) return true;
    return false;
}

void ab_server_judge(struct ab_server *s, struct ab_visit *v)
{
    const struct ab_judging *how = s->o->judging;
    const double start = ab_now_ns();
    if (!how || !v->requests || v->unequal || is_known(how, v->map_hash)) return;
    v->judged = true;
    pthread_t thread;
    struct judge *j = malloc(sizeof *j);
    if (j) *j = (struct judge){.server = s, .hash = v->map_hash};
    if (!j || pthread_create(&thread, NULL, judge, j) != 0)
        skip(&v->agreement, "out of memory or threads");
    else if (wait_for(j)) {
        pthread_join(thread, NULL);
        v->agreement = j->result;
    } else {
        /* The process ends before the thread does, which goes on with it. */
        skip(&v->agreement, "interrupted while they were judged");
        j = NULL;
    }
    free(j);
    v->judge_s = (ab_now_ns() - start) / 1e9;
}
