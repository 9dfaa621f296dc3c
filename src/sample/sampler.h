// SPDX-License-Identifier: Apache-2.0
// A sampler computes one sampled method: it makes many inputs of each image, runs a plan of the
// base method on them, a few at a time, and keeps sums over the maps.
//
//     struct ab_sampler *sampler;
//     ab_sampler_create(graph, method, &options, &sampler, &err);
//     ab_sampler_execute(sampler, images, targets, maps, &err);   // as often as wanted
//     ab_sampler_destroy(&sampler);
//
// options.batch images are explained in one execution, each for options.targets classes, which the
// caller chose on the image itself, since a sample must not change the question. Memory does not
// grow with the number of samples. Samples of one image, and of one after the other, fill the inner
// plan's batch; its size changes how fast that is and nothing in the maps.
#ifndef AB_SAMPLER_H
#define AB_SAMPLER_H

#include "plan/plan.h"
#include "sample/draw.h"

struct ab_sampler {
    struct ab_plan_options options; /* backend: the text below */
    char backend[64];
    struct ab_draw draw;
    struct ab_method *base;          /* NULL: logits alone */
    struct ab_plan *plan;            /* of the base method; its batch is the size of a chunk */
    int batch, chunk, threads, each; /* each: targets of an image */
    float *inputs, *ways;            /* [chunk][c][h][w]; ways NULL unless the method has them */
    double *maps, *logits;           /* of a chunk: for one target, all classes */
    double *sums;                    /* [each] of ab_draw's */
    float *kept;                     /* or NULL */
    int *targets, *image, *sample;   /* of each slot: [chunk][each], [chunk], [chunk] */
};

/* Of a plan with `retain`: its samplers keep the maps of their last execution, kept[each][batch][c]
 * [h][w], for whoever judges them; what the inner plans compute is not kept. */

/* Whether a method is one of these. */
bool ab_sampled(const struct ab_method *method);

/* Whether the method fits the network and gives maps at node `at` (0: the image); err says why not.
 */
enum ab_status ab_sampler_check(const struct ab_graph *graph, const struct ab_method *method,
                                int at, struct ab_error *err);

enum ab_status ab_sampler_create(const struct ab_graph *graph, const struct ab_method *method,
                                 const struct ab_plan_options *options, struct ab_sampler **sampler,
                                 struct ab_error *err);
void ab_sampler_destroy(struct ab_sampler **sampler);

/* input: [batch][c][h][w]; targets: [batch][each] classes, decided; maps: [each] pointers to
 * [batch][c][h][w] or NULL; may be NULL. */
enum ab_status ab_sampler_execute(struct ab_sampler *sampler, const float *input,
                                  const int *targets, float *const *maps, struct ab_error *err);

/* For the referee: after each execution of the inner plan, `see` finds the sampler's slots
 * [0, count) as they were executed (slots beyond repeat the last).
 * maps: [each][batch][c][h][w]. */
typedef enum ab_status ab_sampler_see(void *context, const struct ab_sampler *sampler, int count,
                                      struct ab_error *err);
enum ab_status ab_sampler_watch(struct ab_sampler *sampler, const float *input, const int *targets,
                                double *maps, ab_sampler_see *see, void *context,
                                struct ab_error *err);

/* What the inner plan has for baselines (ab_plan_baseline), [chunk][c][h][w], or NULL. */
const float *ab_sampler_baselines(const struct ab_sampler *sampler);
/* Executions of the inner plan in one execution of the sampler. */
int ab_sampler_executions(const struct ab_sampler *sampler);
void ab_sampler_memory(const struct ab_sampler *sampler, size_t *weights, size_t *arena);

/* Makes `kept`. */
enum ab_status ab_sampler_keep(struct ab_sampler *sampler, struct ab_error *err);

/* ---- plans with samplers ---- */

/* The classes that the samplers explained in the last execution: [batch][targets]. */
const int *ab_plan_targets(const struct ab_plan *plan);

/* The sampler of method m (in the order of ab_plan_create), or NULL if the plan's own program
 * computes it. */
const struct ab_sampler *ab_plan_sampler(const struct ab_plan *plan, int m);
/* Methods to ask that about; 0: all are in the program. */
int ab_plan_sampler_count(const struct ab_plan *plan);

#endif
