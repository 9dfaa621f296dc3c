// SPDX-License-Identifier: Apache-2.0
// The public plans: one program for all methods of a single pass, and a sampler for each of the
// others. The program's forward pass decides every target on the image itself.
#include "sample/sampler.h"

#include "base/classes.h"

#include <stdlib.h>

struct ab_samplers {
    int n_methods, n_single, each; /* each: targets of an image */
    struct ab_sampler **of;        /* [n_methods]; NULL: in the program */
    float **maps;                  /* [n_single][each]: where the program's maps go */
    int *targets;                  /* [batch][each], decided */
};

/* ---- life ---- */

static void destroy(struct ab_samplers **samplers)
{
    struct ab_samplers *s = *samplers;
    if (!s) return;
    for (int m = 0; s->of && m < s->n_methods; m++) ab_sampler_destroy(&s->of[m]);
    free(s->of);
    free(s->maps);
    free(s->targets);
    free(s);
    *samplers = NULL;
}

static enum ab_status create(const struct ab_graph *graph, const struct ab_method *const *methods,
                             int n_methods, const struct ab_plan_options *options,
                             struct ab_samplers **samplers, struct ab_error *err)
{
    struct ab_samplers *s = *samplers = calloc(1, sizeof *s);
    if (!s) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a plan's samplers");
    s->n_methods = n_methods;
    s->each = options->targets ? options->targets : 1;
    s->of = calloc((size_t)n_methods, sizeof *s->of);
    s->maps = calloc((size_t)n_methods * (size_t)s->each, sizeof *s->maps);
    s->targets =
        calloc((size_t)(options->batch ? options->batch : 1) * (size_t)s->each, sizeof *s->targets);
    enum ab_status status = AB_OK;
    if (!s->of || !s->maps || !s->targets)
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for a plan's samplers");
    struct ab_plan_options inner = *options;
    inner.retain = false; /* whoever judges makes samplers of its own */
    for (int m = 0; m < n_methods && !status; m++) {
        if (!ab_sampled(methods[m]))
            s->n_single++;
        else
            status = ab_sampler_create(graph, methods[m], &inner, &s->of[m], err);
        if (!status && s->of[m] && options->retain) status = ab_sampler_keep(s->of[m], err);
    }
    if (status) destroy(samplers);
    return status;
}

static enum ab_status create_mixed(const struct ab_graph *graph,
                                   const struct ab_method *const *methods, int n_methods,
                                   const struct ab_plan_options *options, struct ab_plan **plan,
                                   struct ab_error *err)
{
    const struct ab_method **single = calloc((size_t)n_methods, sizeof *single);
    if (!single) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a plan");
    int count = 0;
    for (int m = 0; m < n_methods; m++)
        if (!ab_sampled(methods[m])) single[count++] = methods[m];
    /* The program first: it checks the options. */
    enum ab_status status = ab_single_create(graph, single, count, options, plan, err);
    if (!status && count < n_methods)
        status = create(graph, methods, n_methods, options, &(*plan)->samplers, err);
    if (status) ab_plan_destroy(plan);
    free(single);
    return status;
}

enum ab_status ab_plan_create(const struct ab_graph *graph, const struct ab_method *const *methods,
                              int n_methods, const struct ab_plan_options *options,
                              struct ab_plan **plan, struct ab_error *err)
{
    static const struct ab_plan_options defaults = {0};
    *plan = NULL;
    if (n_methods < 1) return ab_fail(err, AB_ERR_ARG, "a plan needs at least one method");
    return create_mixed(graph, methods, n_methods, options ? options : &defaults, plan, err);
}

void ab_plan_destroy(struct ab_plan **plan)
{
    if (*plan) destroy(&(*plan)->samplers);
    ab_single_destroy(plan);
}

void ab_plan_memory(const struct ab_plan *plan, size_t *weights, size_t *arena)
{
    ab_single_memory(plan, weights, arena);
    for (int m = 0; plan->samplers && m < plan->samplers->n_methods; m++) {
        size_t w, a;
        if (!plan->samplers->of[m]) continue;
        ab_sampler_memory(plan->samplers->of[m], &w, &a);
        *weights += w;
        *arena += a;
    }
}

const struct ab_sampler *ab_plan_sampler(const struct ab_plan *plan, int m)
{
    return plan->samplers ? plan->samplers->of[m] : NULL;
}

int ab_plan_sampler_count(const struct ab_plan *plan)
{
    return plan->samplers ? plan->samplers->n_methods : 0;
}

const int *ab_plan_targets(const struct ab_plan *plan)
{
    return plan->samplers->targets;
}

/* ---- executing ---- */

/* The classes that each image's samples explain. */
static void decide(const struct ab_plan *plan, const int *targets)
{
    const struct ab_samplers *s = plan->samplers;
    const struct ab_program *p = &plan->program;
    const int classes = p->values[p->logits].dims.c;
    bool any = !targets;
    for (int i = 0; i < plan->exec.batch * s->each; i++) any = any || targets[i] < 0;
    if (any) ab_plan_peek(plan, p->logits, plan->logits);
    for (int i = 0; i < plan->exec.batch * s->each; i++) {
        const struct ab_logits logits = {
            .d = plan->logits + (size_t)(i / s->each) * (size_t)classes, .count = classes};
        const int target = targets ? targets[i] : AB_TARGET_TOP - i % s->each;
        s->targets[i] = ab_class_of_target(&logits, target);
    }
}

/* Without methods of a single pass the forward pass on the images is needed only for what it
 * decides or for the caller's logits. */
static bool needs_program(const struct ab_plan *plan, const int *targets, const float *logits)
{
    if (plan->samplers->n_single || logits || !targets) return true;
    for (int i = 0; i < plan->exec.batch * plan->samplers->each; i++)
        if (targets[i] < 0) return true;
    return false;
}

enum ab_status ab_plan_execute(struct ab_plan *plan, const float *input, const int *targets,
                               float *const *maps, float *logits, struct ab_error *err)
{
    struct ab_samplers *s = plan->samplers;
    if (!s) return ab_single_execute(plan, input, targets, maps, logits, err);
    enum ab_status status = AB_OK;
    for (int m = 0, single = 0; m < s->n_methods; m++)
        for (int t = 0; t < s->each && !s->of[m]; t++)
            s->maps[single++] = maps ? maps[m * s->each + t] : NULL;
    if (needs_program(plan, targets, logits))
        status = ab_single_execute(plan, input, targets, s->maps, logits, err);
    else
        status = ab_plan_check(plan, input, targets, err);
    if (status) return status;
    decide(plan, targets);
    for (int m = 0; m < s->n_methods && !status; m++)
        if (s->of[m])
            status = ab_sampler_execute(s->of[m], input, s->targets,
                                        maps ? maps + m * s->each : NULL, err);
    return status;
}

struct ab_dims ab_plan_map_dims(const struct ab_plan *plan, int map)
{
    const struct ab_samplers *s = plan->samplers;
    if (!s) return ab_single_map_dims(plan, map);
    if (s->of[map / s->each]) return s->of[map / s->each]->draw.dims;
    int single = map % s->each;
    for (int m = 0; m < map / s->each; m++)
        if (!s->of[m]) single += s->each;
    return ab_single_map_dims(plan, single);
}
