// SPDX-License-Identifier: Apache-2.0
// Agreement of configurations: one reference for all that make maps of the same images.
#include "tune_agree.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The reference on a batch of images. */
struct referee_of {
    int batch;
    struct ab_referee *referee;
    struct ab_error err; /* why there is none */
};

struct known {
    uint64_t hash;
    struct ab_agreement result;
};

struct ab_tune_judge {
    const struct ab_source *source;
    const struct ab_method *method;
    char *cache_dir;
    int threads;
    struct ab_images images;
    struct referee_of *referees;
    int n_referees;
    struct known *known;
    int n_known;
};

enum ab_status ab_tune_judge_create(const struct ab_source *source, const struct ab_method *method,
                                    const char *cache_dir, int threads,
                                    struct ab_tune_judge **judge, struct ab_error *err)
{
    struct ab_tune_judge *j = calloc(1, sizeof *j);
    *judge = j;
    if (!j) return ab_fail(err, AB_ERR_MEMORY, "out of memory");
    *j = (struct ab_tune_judge){.source = source, .method = method, .threads = threads};
    enum ab_status status = ab_images_usual(&j->images, source, NULL, err);
    if (status == AB_OK && cache_dir && !(j->cache_dir = strdup(cache_dir)))
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory");
    if (status != AB_OK) ab_tune_judge_destroy(judge);
    return status;
}

void ab_tune_judge_destroy(struct ab_tune_judge **judge)
{
    struct ab_tune_judge *j = *judge;
    *judge = NULL;
    if (!j) return;
    for (int i = 0; i < j->n_referees; i++) ab_referee_destroy(&j->referees[i].referee);
    free(j->referees);
    free(j->known);
    free(j->cache_dir);
    ab_images_free(&j->images);
    free(j);
}

/* ---- the plan, once more ---- */

struct again {
    const struct ab_tune_judge *judge;
    const struct ab_deploy *deploy;
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
    const struct ab_tune_judge *j = a->judge;
    const struct ab_method *method = j->method;
    struct ab_plan_options options = ab_deploy_options(a->deploy);
    options.retain = true;
    options.batch = a->batch;
    a->status = ab_deploy_enter(a->deploy, 0, &a->err);
    if (a->status == AB_OK)
        a->status = ab_plan_create(j->source->graph, &method, 1, &options, &a->plan, &a->err);
    if (a->status != AB_OK) return NULL;
    const struct ab_dims d = ab_plan_map_dims(a->plan, 0);
    const size_t floats = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    float *map = calloc((size_t)a->batch, floats * sizeof *map);
    float *maps[] = {map};
    a->status = map ? ab_plan_execute(a->plan, a->input, NULL, maps, NULL, &a->err)
                    : ab_fail(&a->err, AB_ERR_MEMORY, "out of memory for maps");
    if (map) a->hash = ab_maps_hash(map, floats, a->batch, j->images.count);
    free(map);
    return NULL;
}

/* The images of a batch, slot by slot; free(). NULL: out of memory. */
static float *input_of(const struct ab_tune_judge *j, int batch)
{
    const struct ab_dims d = j->source->dims;
    const size_t image = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    float *input = malloc((size_t)batch * image * sizeof *input);
    for (int i = 0; input && i < batch; i++)
        memcpy(input + (size_t)i * image, j->images.data + (size_t)(i % j->images.count) * image,
               image * sizeof *input);
    return input;
}

static struct referee_of *referee_of(struct ab_tune_judge *j, int batch, const float *input)
{
    for (int i = 0; i < j->n_referees; i++)
        if (j->referees[i].batch == batch) return &j->referees[i];
    struct referee_of *more =
        realloc(j->referees, (size_t)(j->n_referees + 1) * sizeof *j->referees);
    if (!more) return NULL;
    j->referees = more;
    struct referee_of *r = &j->referees[j->n_referees++];
    *r = (struct referee_of){.batch = batch};
    const struct ab_judged judged = {
        .methods = &j->method, .n_methods = 1, .batch = batch, .n_targets = 1, .input = input};
    if (ab_referee_create(j->source->graph, &judged, j->threads, j->cache_dir, &r->referee,
                          &r->err) != AB_OK)
        r->referee = NULL;
    return r;
}

/* Judges a plan of `batch` images; false: it does not make the maps with that hash. */
static bool judge_batch(struct ab_tune_judge *j, const struct ab_deploy *deploy, int batch,
                        uint64_t hash, struct ab_agreement *result)
{
    float *input = input_of(j, batch);
    struct again a = {.judge = j, .deploy = deploy, .batch = batch, .input = input};
    const struct referee_of *r = NULL;
    pthread_t thread;
    result->verdict = AB_SKIPPED;
    if (!input || pthread_create(&thread, NULL, make_again, &a) != 0) {
        snprintf(result->why, sizeof result->why, "out of memory or threads");
        free(input);
        return true;
    }
    pthread_join(thread, NULL);
    const bool same = a.status != AB_OK || a.hash == hash;
    if (a.status != AB_OK)
        snprintf(result->why, sizeof result->why, "%.150s", a.err.text);
    else if (same && !(r = referee_of(j, batch, input)))
        snprintf(result->why, sizeof result->why, "out of memory");
    else if (same && !r->referee)
        snprintf(result->why, sizeof result->why, "no reference: %.140s", r->err.text);
    else if (same && ab_referee_judge(r->referee, a.plan, result, &a.err) != AB_OK) {
        *result = (struct ab_agreement){.verdict = AB_SKIPPED};
        snprintf(result->why, sizeof result->why, "%.150s", a.err.text);
    }
    ab_plan_destroy(&a.plan);
    free(input);
    return same;
}

/* The maps themselves, against the reference's own decisions. */
static void judge_file(struct ab_tune_judge *j, int batch, int maps, struct ab_agreement *result)
{
    const struct ab_dims d = j->source->dims;
    const size_t count = (size_t)batch * (size_t)d.c * (size_t)d.h * (size_t)d.w;
    float *input = input_of(j, batch), *got = malloc(count * sizeof *got);
    double *wide = malloc(count * sizeof *wide);
    const struct referee_of *r = input ? referee_of(j, batch, input) : NULL;
    result->verdict = AB_SKIPPED;
    if (!got || !wide || !r)
        snprintf(result->why, sizeof result->why, "out of memory");
    else if (pread(maps, got, count * sizeof *got, 0) != (ssize_t)(count * sizeof *got))
        snprintf(result->why, sizeof result->why, "its maps did not arrive");
    else if (!r->referee)
        snprintf(result->why, sizeof result->why, "no reference: %.140s", r->err.text);
    else {
        for (size_t i = 0; i < count; i++) wide[i] = (double)got[i];
        ab_agree_maps(ab_referee_map(r->referee, 0), wide, batch, d,
                      ab_agree_limits(&j->method->composite, j->source->graph), result);
    }
    free(wide);
    free(got);
    free(input);
}

void ab_tune_judge_maps(struct ab_tune_judge *j, const struct ab_deploy *deploy, uint64_t hash,
                        int maps, struct ab_agreement *result)
{
    for (int i = 0; i < j->n_known; i++) {
        if (j->known[i].hash != hash) continue;
        *result = j->known[i].result;
        return;
    }
    *result = (struct ab_agreement){.verdict = AB_SKIPPED};
    /* Slots beyond the images are copies: they need no reference unless they differ. */
    const int distinct = deploy->batch < j->images.count ? deploy->batch : j->images.count;
    bool made = judge_batch(j, deploy, distinct, hash, result);
    if (!made && deploy->batch > distinct)
        made = judge_batch(j, deploy, deploy->batch, hash, result);
    /* Slots of one image may differ here: all are judged. */
    if (!made) judge_file(j, deploy->batch, maps, result);
    struct known *more = realloc(j->known, (size_t)(j->n_known + 1) * sizeof *j->known);
    if (!more) return;
    j->known = more;
    j->known[j->n_known++] = (struct known){hash, *result};
}
