// SPDX-License-Identifier: Apache-2.0
// The referee of single-pass methods: the reference's own maps and decisions. Judging: judge.c.
#include "agree/referee.h"

#include <stdlib.h>
#include <string.h>

#include "ab_sources.h"
#include "plan/builder.h"

size_t ab_referee_map_count(const struct ab_referee *referee)
{
    return ab_plan_value_count(referee->plan, referee->plan->program.outputs[0]);
}

int ab_referee_outputs(const struct ab_referee *referee)
{
    return referee->n_methods * referee->n_targets;
}

bool ab_referee_has_rival(const struct ab_referee *referee, int map)
{
    const struct ab_composite *c = &referee->methods[map / referee->n_targets].composite;
    return c->seed == AB_SEED_CONTRAST && !c->rival;
}

static size_t input_count(const struct ab_referee *r)
{
    const struct ab_dims d = ab_graph_input(r->plan->exec.graph);
    return (size_t)r->batch * (size_t)d.c * (size_t)d.h * (size_t)d.w;
}

const double *ab_referee_single_map(const struct ab_referee *referee, int map)
{
    return referee->maps + (size_t)map * ab_referee_map_count(referee);
}

/* ---- creating ---- */

const char *ab_referee_sources(void)
{
    return AB_SOURCES;
}

uint64_t ab_referee_hash(const struct ab_referee *r, const char *sources)
{
    uint64_t hash = ab_graph_hash(r->plan->exec.graph);
    hash = ab_hash(hash, sources, strlen(sources));
    for (int m = 0; m < r->n_methods; m++)
        hash = ab_hash(hash, r->methods[m].spec, strlen(r->methods[m].spec) + 1);
    hash = ab_hash(hash, &r->at, sizeof r->at);
    hash = ab_hash(hash, &r->batch, sizeof r->batch);
    hash = ab_hash(hash, &r->n_targets, sizeof r->n_targets);
    hash = ab_hash(hash, r->input, sizeof *r->input * input_count(r));
    return ab_hash(hash, r->targets, sizeof *r->targets * (size_t)(r->batch * r->n_targets));
}

void ab_referee_mark(const struct ab_program *p, int id, bool *needed)
{
    needed[id] = true;
    for (int i = p->n_steps - 1; i >= 0; i--) {
        const struct ab_step *s = &p->steps[i];
        const bool wanted = (s->dst >= 0 && needed[s->dst]) || (s->dst2 >= 0 && needed[s->dst2]);
        for (int k = 0; wanted && k < ab_step_operand_count(s); k++) {
            const int operand = ab_step_operand(s, k);
            if (operand >= 0) needed[operand] = true;
        }
    }
}

static bool copy_arguments(struct ab_referee *r, const struct ab_judged *judged)
{
    const size_t count = input_count(r), outputs = (size_t)ab_referee_outputs(r);
    const int choices = r->batch * r->n_targets;
    r->methods = calloc((size_t)r->n_methods, sizeof *r->methods);
    r->input = malloc(sizeof *r->input * count);
    r->targets = calloc((size_t)choices, sizeof *r->targets);
    r->maps = malloc(sizeof *r->maps * ab_referee_map_count(r) * outputs);
    r->depends = calloc(outputs * (size_t)r->plan->program.n_values, sizeof *r->depends);
    if (!r->methods || !r->input || !r->targets || !r->maps || !r->depends) return false;
    for (int m = 0; m < r->n_methods; m++) r->methods[m] = *judged->methods[m];
    memcpy(r->input, judged->input, sizeof *r->input * count);
    for (int i = 0; i < choices; i++)
        r->targets[i] = judged->targets ? judged->targets[i] : AB_TARGET_TOP - i % r->n_targets;
    return true;
}

/* The reference's own maps and decisions, computed or from the cache. */
static enum ab_status settle(struct ab_referee *r, const char *cache_dir, struct ab_error *err)
{
    const uint64_t hash = cache_dir ? ab_referee_hash(r, ab_referee_sources()) : 0;
    if (!ab_decisions_alloc(&r->plan->program, r->batch, &r->own))
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for the reference's decisions");
    if (cache_dir && ab_cache_load(r, cache_dir, hash)) return AB_OK;
    ab_decisions_free(&r->own);
    enum ab_status status = ab_single_execute(r->plan, r->input, r->targets, NULL, NULL, err);
    if (!status) status = ab_decisions_read(r->plan, r->targets, &r->own, err);
    if (status) return status;
    for (int m = 0; m < ab_referee_outputs(r); m++)
        ab_plan_peek(r->plan, r->plan->program.outputs[m],
                     r->maps + (size_t)m * ab_referee_map_count(r));
    if (cache_dir) ab_cache_save(r, cache_dir, hash);
    return AB_OK;
}

enum ab_status ab_referee_blank(const struct ab_graph *graph, const struct ab_judged *judged,
                                int threads, struct ab_referee **referee, struct ab_error *err)
{
    const struct ab_plan_options options = {.backend = "reference",
                                            .batch = judged->batch,
                                            .threads = threads,
                                            .retain = true,
                                            .targets = judged->n_targets,
                                            .at = judged->at};
    struct ab_referee *r = *referee = calloc(1, sizeof *r);
    if (!r) return ab_fail(err, AB_ERR_MEMORY, "out of memory for the referee");
    enum ab_status status =
        ab_single_create(graph, judged->methods, judged->n_methods, &options, &r->plan, err);
    if (status) goto fail;
    r->plan->exec.stopped = judged->stopped;
    r->at = judged->at ? ab_hash(0, judged->at, strlen(judged->at)) : 0;
    r->n_methods = judged->n_methods;
    r->n_targets = r->plan->program.targets;
    r->batch = r->plan->exec.batch;
    if (!copy_arguments(r, judged)) {
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for the reference's maps");
        goto fail;
    }
    for (int m = 0; m < ab_referee_outputs(r); m++)
        ab_referee_mark(&r->plan->program, r->plan->program.outputs[m],
                        r->depends + (size_t)m * (size_t)r->plan->program.n_values);
    return AB_OK;
fail:
    ab_referee_single_destroy(referee);
    return status;
}

enum ab_status ab_referee_single(const struct ab_graph *graph, const struct ab_judged *judged,
                                 int threads, const char *cache_dir, struct ab_referee **referee,
                                 struct ab_error *err)
{
    enum ab_status status = ab_referee_blank(graph, judged, threads, referee, err);
    if (!status) status = settle(*referee, cache_dir, err);
    if (status) ab_referee_single_destroy(referee);
    return status;
}

void ab_referee_single_destroy(struct ab_referee **referee)
{
    struct ab_referee *r = *referee;
    if (!r) return;
    ab_single_destroy(&r->plan);
    ab_decisions_free(&r->own);
    free(r->methods);
    free(r->input);
    free(r->targets);
    free(r->maps);
    free(r->depends);
    free(r);
    *referee = NULL;
}
