// SPDX-License-Identifier: Apache-2.0
// The referee: the reference's own maps and decisions, and judging executions of other backends.
#include "agree/referee.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan/builder.h"

size_t ab_referee_map_count(const struct ab_referee *referee)
{
    const struct ab_dims d = referee->dims;
    return (size_t)referee->batch * (size_t)d.c * (size_t)d.h * (size_t)d.w;
}

const double *ab_referee_map(const struct ab_referee *referee, int m)
{
    return referee->maps + (size_t)m * ab_referee_map_count(referee);
}

/* ---- creating ---- */

/* What the reference computes from: equal hashes, equal maps. */
static uint64_t content_hash(const struct ab_referee *r, const struct ab_graph *graph)
{
    uint64_t hash = ab_graph_hash(graph);
    const char *version = ab_version();
    hash = ab_hash(hash, version, strlen(version));
    for (int m = 0; m < r->n_methods; m++)
        hash = ab_hash(hash, r->methods[m].spec, strlen(r->methods[m].spec) + 1);
    hash = ab_hash(hash, &r->batch, sizeof r->batch);
    hash = ab_hash(hash, r->input, sizeof *r->input * ab_referee_map_count(r));
    return ab_hash(hash, r->targets, sizeof *r->targets * (size_t)r->batch);
}

/* Marks the values that method m's map is computed from. */
static void find_dependencies(struct ab_referee *r, int m)
{
    const struct ab_program *p = &r->plan->program;
    bool *depends = r->depends + (size_t)m * (size_t)p->n_values;
    depends[p->outputs[m]] = true;
    for (int i = p->n_steps - 1; i >= 0; i--) {
        const struct ab_step *s = &p->steps[i];
        const bool needed = (s->dst >= 0 && depends[s->dst]) || (s->dst2 >= 0 && depends[s->dst2]);
        for (int k = 0; needed && k < ab_step_operand_count(s); k++) {
            const int id = ab_step_operand(s, k);
            if (id >= 0) depends[id] = true;
        }
    }
}

static bool copy_arguments(struct ab_referee *r, const struct ab_method *const *methods,
                           const float *input, const int *targets)
{
    const size_t count = ab_referee_map_count(r);
    r->methods = calloc((size_t)r->n_methods, sizeof *r->methods);
    r->input = malloc(sizeof *r->input * count);
    r->targets = calloc((size_t)r->batch, sizeof *r->targets);
    r->maps = malloc(sizeof *r->maps * count * (size_t)r->n_methods);
    if (!r->methods || !r->input || !r->targets || !r->maps) return false;
    for (int m = 0; m < r->n_methods; m++) r->methods[m] = *methods[m];
    memcpy(r->input, input, sizeof *r->input * count);
    for (int n = 0; n < r->batch; n++) r->targets[n] = targets ? targets[n] : AB_TARGET_TOP;
    return true;
}

static void peek_maps(const struct ab_referee *r, double *maps)
{
    for (int m = 0; m < r->n_methods; m++)
        ab_plan_peek(r->plan, r->plan->program.outputs[m],
                     maps + (size_t)m * ab_referee_map_count(r));
}

/* The reference's own maps and decisions, computed or from the cache. */
static enum ab_status settle(struct ab_referee *r, const struct ab_graph *graph,
                             const char *cache_dir, struct ab_error *err)
{
    const uint64_t hash = cache_dir ? content_hash(r, graph) : 0;
    if (!ab_decisions_alloc(&r->plan->program, r->batch, &r->own))
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for the reference's decisions");
    if (cache_dir && ab_cache_load(r, cache_dir, hash)) return AB_OK;
    ab_decisions_free(&r->own);
    enum ab_status status = ab_plan_execute(r->plan, r->input, r->targets, NULL, NULL, err);
    if (!status) status = ab_decisions_read(r->plan, r->targets, &r->own, err);
    if (status) return status;
    peek_maps(r, r->maps);
    if (cache_dir) ab_cache_save(r, cache_dir, hash);
    return AB_OK;
}

enum ab_status ab_referee_create(const struct ab_graph *graph,
                                 const struct ab_method *const *methods, int n_methods, int batch,
                                 int threads, const float *input, const int *targets,
                                 const char *cache_dir, struct ab_referee **referee,
                                 struct ab_error *err)
{
    const struct ab_plan_options options = {
        .backend = "reference", .batch = batch, .threads = threads, .retain = true};
    struct ab_referee *r = *referee = calloc(1, sizeof *r);
    if (!r) return ab_fail(err, AB_ERR_MEMORY, "out of memory for the referee");
    enum ab_status status = ab_plan_create(graph, methods, n_methods, &options, &r->plan, err);
    if (status) goto fail;
    r->n_methods = n_methods;
    r->batch = r->plan->exec.batch;
    r->dims = ab_graph_input(graph);
    r->depends = calloc((size_t)n_methods * (size_t)r->plan->program.n_values, sizeof *r->depends);
    if (!r->depends || !copy_arguments(r, methods, input, targets)) {
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for the reference's maps");
        goto fail;
    }
    for (int m = 0; m < n_methods; m++) find_dependencies(r, m);
    status = settle(r, graph, cache_dir, err);
    if (!status) return AB_OK;
fail:
    ab_referee_destroy(referee);
    return status;
}

void ab_referee_destroy(struct ab_referee **referee)
{
    struct ab_referee *r = *referee;
    if (!r) return;
    ab_plan_destroy(&r->plan);
    ab_decisions_free(&r->own);
    free(r->methods);
    free(r->input);
    free(r->targets);
    free(r->maps);
    free(r->depends);
    free(r);
    *referee = NULL;
}

/* ---- judging ---- */

/* One plan under judgement. */
struct trial {
    const struct ab_plan *plan;
    struct ab_decisions theirs;
    struct ab_adoption adoption;
    struct ab_flips *flips; /* [n_values + 1] */
    double *maps;           /* of the replay, as referee->maps; NULL: nothing to replay */
};

static bool same_program(const struct ab_referee *r, const struct ab_plan *plan)
{
    const struct ab_program *a = &r->plan->program, *b = &plan->program;
    if (r->batch != plan->exec.batch || a->n_outputs != b->n_outputs || a->n_values != b->n_values)
        return false;
    for (int id = 0; id < a->n_values; id++) {
        const struct ab_dims d = a->values[id].dims, e = b->values[id].dims;
        if (d.c != e.c || d.h != e.h || d.w != e.w) return false;
        if (a->values[id].decision != b->values[id].decision) return false;
    }
    return true;
}

/* Runs the reference again with the decisions, and the denominators near zero, of the plan under
 * judgement. */
static enum ab_status replay(const struct ab_referee *r, struct trial *t, struct ab_error *err)
{
    const size_t count = ab_referee_map_count(r) * (size_t)r->n_methods;
    t->maps = malloc(sizeof *t->maps * count);
    if (!t->maps) return ab_fail(err, AB_ERR_MEMORY, "out of memory for replayed maps");
    ab_plan_force(r->plan, (const void *const *)t->theirs.of);
    r->plan->exec.adopted = t->adoption.of;
    r->plan->exec.n_adopted = t->adoption.count;
    const enum ab_status status =
        ab_plan_execute(r->plan, r->input, t->theirs.target, NULL, NULL, err);
    ab_plan_force(r->plan, NULL);
    r->plan->exec.adopted = NULL;
    r->plan->exec.n_adopted = NULL;
    if (status) return status;
    peek_maps(r, t->maps);
    return ab_flips_find(r, t->plan, &t->theirs, &t->adoption, t->flips, err);
}

/* Adds up the flips that method m depends on; an illegal one settles the verdict. */
static void count_flips(const struct ab_referee *r, const struct trial *t, int m,
                        struct ab_agreement *result)
{
    const int n_values = r->plan->program.n_values;
    const bool *depends = r->depends + (size_t)m * (size_t)n_values;
    for (int id = 0; id <= n_values; id++) {
        const struct ab_flips *f = &t->flips[id];
        if (id < n_values ? !depends[id] : !depends[r->plan->program.logits]) continue;
        result->flips += f->count;
        result->adopted += f->adopted;
        if (f->illegal && !result->illegal_flips)
            ab_flips_describe(r, id, f, result->why, sizeof result->why);
        result->illegal_flips += f->illegal;
    }
    if (result->illegal_flips) result->verdict = AB_DISAGREE;
}

static enum ab_status compare(const struct ab_referee *r, const struct trial *t,
                              struct ab_agreement *results, struct ab_error *err)
{
    const size_t count = ab_referee_map_count(r);
    const double *maps = t->maps ? t->maps : r->maps;
    double *got = malloc(sizeof *got * count);
    if (!got) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a map");
    for (int m = 0; m < r->n_methods; m++) {
        const struct ab_limits *limits =
            ab_agree_limits(&r->methods[m].composite, r->plan->exec.graph);
        ab_plan_peek(t->plan, t->plan->program.outputs[m], got);
        ab_agree_maps(maps + (size_t)m * count, got, r->batch, r->dims, limits, &results[m]);
        if (t->maps) count_flips(r, t, m, &results[m]);
    }
    free(got);
    return AB_OK;
}

static bool all_agree(const struct ab_referee *r, const struct ab_agreement *results)
{
    for (int m = 0; m < r->n_methods; m++)
        if (results[m].verdict == AB_DISAGREE) return false;
    return true;
}

/* Without a differing decision the reference's own maps are the first to compare with; should a
 * method disagree with them for its denominators' sake, a replay can tell. */
static enum ab_status try_plan(const struct ab_referee *r, struct trial *t,
                               struct ab_agreement *results, struct ab_error *err)
{
    const bool differ = ab_decisions_differ(r->plan, &r->own, &t->theirs);
    enum ab_status status = differ ? AB_OK : compare(r, t, results, err);
    if (status || (!differ && all_agree(r, results))) return status;
    status = ab_adoption_find(t->plan, &r->plan->program, &t->adoption, err);
    if (!status) status = replay(r, t, err);
    return status ? status : compare(r, t, results, err);
}

enum ab_status ab_referee_judge(struct ab_referee *referee, const struct ab_plan *plan,
                                struct ab_agreement *results, struct ab_error *err)
{
    struct trial t = {.plan = plan};
    const int n_values = referee->plan->program.n_values;
    if (!same_program(referee, plan))
        return ab_fail(err, AB_ERR_ARG,
                       "the plan under judgement is not of the referee's model, methods and batch");
    enum ab_status status = ab_decisions_read(plan, referee->targets, &t.theirs, err);
    if (status) return status;
    t.flips = calloc((size_t)n_values + 1, sizeof *t.flips);
    status = t.flips ? try_plan(referee, &t, results, err)
                     : ab_fail(err, AB_ERR_MEMORY, "out of memory for comparing decisions");
    ab_decisions_free(&t.theirs);
    ab_adoption_free(&t.adoption);
    free(t.flips);
    free(t.maps);
    return status;
}
