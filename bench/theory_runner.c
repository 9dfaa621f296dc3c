// SPDX-License-Identifier: Apache-2.0
// Plans over any number of images, and the maps of several methods for one network.
#include "theory.h"

#include <stdlib.h>
#include <string.h>

/* Large enough that weights are read once for several images, small enough for a level-2 cache. */
enum { DEFAULT_BATCH = 8 };

struct ab_runner {
    struct ab_plan *plan;
    int batch, n_methods, classes;
    size_t image;
    float *input;  /* [batch][image]: a batch that is not full */
    float *logits; /* [batch][classes] */
    int *targets;
    float **maps; /* [n_methods] of [batch][image] */
};

static bool allocate(struct ab_runner *r)
{
    const size_t batch = (size_t)r->batch, methods = (size_t)r->n_methods;
    r->input = calloc(batch * r->image, sizeof *r->input);
    r->logits = calloc(batch * (size_t)r->classes, sizeof *r->logits);
    r->targets = calloc(batch, sizeof *r->targets);
    r->maps = calloc(methods + 1, sizeof *r->maps);
    bool good = r->input && r->logits && r->targets && r->maps;
    for (size_t m = 0; good && m < methods; m++) {
        r->maps[m] = malloc(batch * r->image * sizeof **r->maps);
        good = r->maps[m] != NULL;
    }
    return good;
}

enum ab_status ab_runner_create(const struct ab_subject *s, const struct ab_runner_spec *spec,
                                struct ab_runner **runner, struct ab_error *err)
{
    *runner = NULL;
    const struct ab_graph *graph = spec->graph ? spec->graph : s->graph;
    const struct ab_dims d = ab_graph_input(graph);
    struct ab_plan_options options = spec->plan;
    options.backend = s->options.backend;
    options.threads = s->options.threads;
    options.batch = spec->batch ? spec->batch : s->n < DEFAULT_BATCH ? s->n : DEFAULT_BATCH;
    struct ab_runner *r = calloc(1, sizeof *r);
    if (!r) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a plan");
    r->batch = options.batch;
    r->n_methods = spec->n_methods;
    r->image = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    r->classes = ab_graph_classes(graph);
    enum ab_status status =
        spec->n_methods
            ? ab_plan_create(graph, spec->methods, spec->n_methods, &options, &r->plan, err)
            : ab_single_create(graph, NULL, 0, &options, &r->plan, err);
    if (status == AB_OK && !allocate(r))
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for maps; give fewer methods");
    if (status != AB_OK) ab_runner_destroy(&r);
    *runner = r;
    return status;
}

void ab_runner_destroy(struct ab_runner **runner)
{
    struct ab_runner *r = *runner;
    if (!r) return;
    ab_plan_destroy(&r->plan);
    for (int m = 0; r->maps && m < r->n_methods; m++) free(r->maps[m]);
    free(r->maps);
    free(r->input);
    free(r->logits);
    free(r->targets);
    free(r);
    *runner = NULL;
}

struct ab_plan *ab_runner_plan(struct ab_runner *runner)
{
    return runner->plan;
}

/* Images [from, from + count) of the caller's; what is left of the batch repeats its first image.
 */
static enum ab_status execute_batch(struct ab_runner *r, const float *images, int from, int count,
                                    const int *targets, float *const *maps, float *logits,
                                    struct ab_error *err)
{
    const size_t at = (size_t)from, n = (size_t)count, classes = (size_t)r->classes;
    for (int i = 0; i < r->batch; i++) {
        const size_t source = at + (size_t)(i < count ? i : 0);
        memcpy(r->input + (size_t)i * r->image, images + source * r->image,
               r->image * sizeof *r->input);
        r->targets[i] = targets ? targets[source] : AB_TARGET_TOP;
    }
    const enum ab_status status =
        ab_plan_execute(r->plan, r->input, r->targets, maps ? r->maps : NULL, r->logits, err);
    if (status != AB_OK) return status;
    for (int m = 0; maps && m < r->n_methods; m++)
        if (maps[m]) memcpy(maps[m] + at * r->image, r->maps[m], n * r->image * sizeof **r->maps);
    if (logits) memcpy(logits + at * classes, r->logits, n * classes * sizeof *logits);
    return AB_OK;
}

enum ab_status ab_runner_execute(struct ab_runner *runner, const float *images, int n,
                                 const int *targets, float *const *maps, float *logits,
                                 struct ab_error *err)
{
    for (int from = 0; from < n; from += runner->batch) {
        const int count = n - from < runner->batch ? n - from : runner->batch;
        const enum ab_status status =
            execute_batch(runner, images, from, count, targets, maps, logits, err);
        if (status != AB_OK) return status;
    }
    return AB_OK;
}

/* ---- maps of a subject ---- */

enum ab_status ab_maps_make(const struct ab_subject *s, const struct ab_graph *graph,
                            const struct ab_method *const *methods, int n_methods,
                            const int *targets, struct ab_maps *maps, struct ab_error *err)
{
    const struct ab_runner_spec spec = {.graph = graph, .methods = methods, .n_methods = n_methods};
    struct ab_runner *runner;
    *maps = (struct ab_maps){.n_methods = n_methods, .n = s->n, .image = s->image};
    enum ab_status status = ab_runner_create(s, &spec, &runner, err);
    if (status != AB_OK) return status;
    maps->map = calloc((size_t)n_methods + 1, sizeof *maps->map);
    maps->logits = malloc((size_t)s->n * (size_t)s->classes * sizeof *maps->logits);
    bool good = maps->map && maps->logits;
    for (int m = 0; good && m < n_methods; m++) {
        maps->map[m] = malloc((size_t)s->n * s->image * sizeof **maps->map);
        good = maps->map[m] != NULL;
    }
    if (good)
        status = ab_runner_execute(runner, s->images, s->n, targets, maps->map, maps->logits, err);
    else
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for maps; give fewer --images");
    ab_runner_destroy(&runner);
    if (status != AB_OK) ab_maps_free(maps);
    return status;
}

void ab_maps_free(struct ab_maps *maps)
{
    for (int m = 0; maps->map && m < maps->n_methods; m++) free(maps->map[m]);
    free(maps->map);
    free(maps->logits);
    *maps = (struct ab_maps){0};
}

const float *ab_maps_at(const struct ab_maps *maps, int m, int i)
{
    return maps->map[m] + (size_t)i * maps->image;
}
