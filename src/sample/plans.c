// SPDX-License-Identifier: Apache-2.0
// The public plans: one program for the methods of a single pass.
#include "plan/plan.h"

enum ab_status ab_plan_create(const struct ab_graph *graph, const struct ab_method *const *methods,
                              int n_methods, const struct ab_plan_options *options,
                              struct ab_plan **plan, struct ab_error *err)
{
    *plan = NULL;
    if (n_methods < 1) return ab_fail(err, AB_ERR_ARG, "a plan needs at least one method");
    return ab_single_create(graph, methods, n_methods, options, plan, err);
}

enum ab_status ab_plan_execute(struct ab_plan *plan, const float *input, const int *targets,
                               float *const *maps, float *logits, struct ab_error *err)
{
    return ab_single_execute(plan, input, targets, maps, logits, err);
}

void ab_plan_destroy(struct ab_plan **plan)
{
    ab_single_destroy(plan);
}

struct ab_dims ab_plan_map_dims(const struct ab_plan *plan, int map)
{
    return ab_single_map_dims(plan, map);
}

void ab_plan_memory(const struct ab_plan *plan, size_t *weights, size_t *arena)
{
    ab_single_memory(plan, weights, arena);
}
