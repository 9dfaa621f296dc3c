// SPDX-License-Identifier: Apache-2.0
// Sampled methods before the referee. Each execution of the sampler's inner plan is followed by the
// reference on the same inputs with the plan's own decisions and denominators near zero, whose
// number and legality are kept; what is compared in the end is the mean of the reference's maps
// with the sampler's. Memory is that of one chunk of samples.
#include "agree/referee.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sample/sampler.h"

struct ab_sampled_part {
    int n_methods;             /* all of the case */
    int *place;                /* [n_methods]: number among those of a single pass; ~number among
                                  the sampled ones */
    struct ab_method *methods; /* the sampled ones */
    int count, threads;
    size_t map_count; /* doubles of one map, all images */
    double *maps;     /* [count][targets] the reference's own */
};

/* ---- the reference's own maps ---- */

static enum ab_status reference_maps(const struct ab_referee *r, const struct ab_method *method,
                                     const int *targets, double *maps, struct ab_error *err)
{
    const struct ab_plan_options options = {.backend = "reference",
                                            .batch = r->batch,
                                            .threads = r->sampled->threads,
                                            .targets = r->n_targets};
    struct ab_sampler *s = NULL;
    enum ab_status status = ab_sampler_create(r->plan->exec.graph, method, &options, &s, err);
    if (!status) s->plan->exec.stopped = r->plan->exec.stopped;
    if (!status) status = ab_sampler_watch(s, r->input, targets, maps, NULL, NULL, err);
    ab_sampler_destroy(&s);
    return status;
}

/* What a method's own maps are computed from, its file of baselines too. */
static enum ab_status hash_method(const struct ab_referee *r, const struct ab_method *method,
                                  uint64_t *hash, struct ab_error *err)
{
    struct ab_draw draw;
    const size_t choices = (size_t)r->batch * (size_t)r->n_targets;
    const enum ab_status status = ab_draw_open(method, r->plan->exec.graph, &draw, err);
    if (status) return status;
    *hash = ab_referee_hash(r, ab_referee_sources());
    *hash = ab_hash(*hash, r->own.target, choices * sizeof *r->own.target);
    *hash = ab_hash(*hash, method->spec, strlen(method->spec) + 1);
    if (draw.baseline)
        *hash = ab_hash(*hash, draw.baseline,
                        draw.count * (size_t)draw.n_baselines * sizeof *draw.baseline);
    ab_draw_close(&draw);
    return AB_OK;
}

static enum ab_status settle(const struct ab_referee *r, int i, const char *cache_dir,
                             struct ab_error *err)
{
    const struct ab_sampled_part *p = r->sampled;
    const size_t count = (size_t)r->n_targets * p->map_count;
    double *maps = p->maps + (size_t)i * count;
    uint64_t hash = 0;
    enum ab_status status = hash_method(r, &p->methods[i], &hash, err);
    if (status) return status;
    if (cache_dir && ab_cache_read(cache_dir, hash, maps, count * sizeof *maps)) return AB_OK;
    status = reference_maps(r, &p->methods[i], r->own.target, maps, err);
    if (!status && cache_dir) ab_cache_write(cache_dir, hash, maps, count * sizeof *maps);
    return status;
}

/* ---- life ---- */

static void destroy(struct ab_sampled_part **part)
{
    struct ab_sampled_part *p = *part;
    if (!p) return;
    free(p->place);
    free(p->methods);
    free(p->maps);
    free(p);
    *part = NULL;
}

static enum ab_status open_part(struct ab_referee *r, const struct ab_judged *judged, int threads,
                                const char *cache_dir, struct ab_error *err)
{
    struct ab_sampled_part *p = r->sampled = calloc(1, sizeof *p);
    if (!p) return ab_fail(err, AB_ERR_MEMORY, "out of memory for the referee");
    const struct ab_dims d = ab_graph_input(r->plan->exec.graph);
    p->n_methods = judged->n_methods;
    p->threads = threads;
    p->map_count = (size_t)r->batch * (size_t)d.c * (size_t)d.h * (size_t)d.w;
    p->place = calloc((size_t)p->n_methods, sizeof *p->place);
    p->methods = calloc((size_t)p->n_methods, sizeof *p->methods);
    if (!p->place || !p->methods) return ab_fail(err, AB_ERR_MEMORY, "out of memory for methods");
    for (int m = 0, single = 0; m < p->n_methods; m++) {
        const bool sampled = ab_sampled(judged->methods[m]);
        p->place[m] = sampled ? ~p->count : single++;
        if (sampled) p->methods[p->count++] = *judged->methods[m];
    }
    p->maps = malloc((size_t)p->count * (size_t)r->n_targets * p->map_count * sizeof *p->maps);
    if (!p->maps && p->count)
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for the reference's maps");
    enum ab_status status = AB_OK;
    for (int i = 0; i < p->count && !status; i++) status = settle(r, i, cache_dir, err);
    return status;
}

enum ab_status ab_referee_create(const struct ab_graph *graph, const struct ab_judged *judged,
                                 int threads, const char *cache_dir, struct ab_referee **referee,
                                 struct ab_error *err)
{
    struct ab_judged single = *judged;
    const struct ab_method **methods = calloc((size_t)judged->n_methods, sizeof *methods);
    *referee = NULL;
    if (!methods) return ab_fail(err, AB_ERR_MEMORY, "out of memory for the referee");
    single.methods = methods;
    single.n_methods = 0;
    for (int m = 0; m < judged->n_methods; m++)
        if (!ab_sampled(judged->methods[m])) methods[single.n_methods++] = judged->methods[m];
    enum ab_status status = ab_referee_single(graph, &single, threads, cache_dir, referee, err);
    if (!status) status = open_part(*referee, judged, threads, cache_dir, err);
    if (status) ab_referee_destroy(referee);
    free(methods);
    return status;
}

void ab_referee_destroy(struct ab_referee **referee)
{
    if (*referee) destroy(&(*referee)->sampled);
    ab_referee_single_destroy(referee);
}

const double *ab_referee_map(const struct ab_referee *referee, int map)
{
    const struct ab_sampled_part *p = referee->sampled;
    const int place = p->place[map / referee->n_targets], t = map % referee->n_targets;
    if (place >= 0) return ab_referee_single_map(referee, place * referee->n_targets + t);
    return p->maps + (size_t)(~place * referee->n_targets + t) * p->map_count;
}

/* ---- judging ---- */

/* What follows a sampler: a referee of its base method, for one chunk at a time. */
struct follower {
    const struct ab_draw *draw;
    struct ab_referee *chunk;
    double *maps;                 /* of one target of a chunk */
    double *sums;                 /* [targets] */
    double *means;                /* [targets][batch][c][h][w] */
    struct ab_agreement *results; /* [targets]: flips */
    const float *input;
    int batch;
};

static void take_slot(struct follower *f, const struct ab_sampler *s, int slot, int t)
{
    const size_t count = f->draw->count;
    const int k = s->sample[slot];
    double *sums = f->sums + (size_t)t * 2 * count;
    if (k == 0) ab_draw_begin(f->draw, sums);
    ab_draw_add(f->draw, k, f->maps + (size_t)slot * count,
                s->ways ? s->ways + (size_t)slot * count : NULL, 0, sums, s->threads);
    if (k < f->draw->n - 1) return;
    const size_t image = (size_t)s->image[slot];
    ab_draw_end(f->draw, f->input + image * count, sums);
    memcpy(f->means + ((size_t)t * (size_t)f->batch + image) * count, sums, count * sizeof *sums);
}

static enum ab_status follow(void *context, const struct ab_sampler *s, int count,
                             struct ab_error *err)
{
    struct follower *f = context;
    struct ab_referee *r = f->chunk;
    memcpy(r->input, s->inputs, (size_t)s->chunk * s->draw.count * sizeof *r->input);
    memcpy(r->targets, s->targets, (size_t)s->chunk * (size_t)s->each * sizeof *r->targets);
    ab_plan_baseline(r->plan, ab_sampler_baselines(s));
    const enum ab_status status = ab_referee_follow(r, s->plan, f->results, err);
    for (int t = 0; t < s->each && !status; t++) {
        ab_plan_peek(r->plan, r->plan->program.outputs[t], f->maps);
        for (int slot = 0; slot < count; slot++) take_slot(f, s, slot, t);
    }
    return status;
}

static enum ab_status open_follower(const struct ab_referee *r, const struct ab_sampler *s,
                                    struct follower *f, struct ab_error *err)
{
    const size_t count = s->draw.count, each = (size_t)s->each;
    const struct ab_method *base = s->base;
    const struct ab_judged chunk = {.methods = &base,
                                    .n_methods = 1,
                                    .batch = s->chunk,
                                    .n_targets = s->each,
                                    .input = s->inputs,
                                    .targets = s->targets,
                                    .stopped = r->plan->exec.stopped};
    f->draw = &s->draw;
    f->input = r->input;
    f->batch = r->batch;
    f->maps = malloc((size_t)s->chunk * count * sizeof *f->maps);
    f->sums = malloc(each * 2 * count * sizeof *f->sums);
    f->means = malloc(each * r->sampled->map_count * sizeof *f->means);
    f->results = calloc(each, sizeof *f->results);
    if (!f->maps || !f->sums || !f->means || !f->results)
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for judging a sampled method");
    return ab_referee_blank(r->plan->exec.graph, &chunk, r->sampled->threads, &f->chunk, err);
}

static void close_follower(struct follower *f)
{
    ab_referee_single_destroy(&f->chunk);
    free(f->maps);
    free(f->sums);
    free(f->means);
    free(f->results);
}

/* Compares the maps of target t; flips are those of the samples and of the choice of the class. */
static void compare(const struct ab_referee *r, const struct ab_method *method, const double *means,
                    const double *got, const struct ab_agreement *flips,
                    const struct ab_flips *choice, struct ab_agreement *result)
{
    const struct ab_graph *graph = r->plan->exec.graph;
    ab_agree_maps(means, got, r->batch, ab_graph_input(graph),
                  ab_agree_limits(&method->composite, graph), result);
    result->flips = (flips ? flips->flips : 0) + choice->count;
    result->adopted = flips ? flips->adopted : 0;
    result->illegal_flips = (flips ? flips->illegal_flips : 0) + choice->illegal;
    if (!result->illegal_flips) return;
    result->verdict = AB_DISAGREE;
    if (choice->illegal)
        snprintf(result->why, sizeof result->why, "top class: off by %.3g, rounding explains %.3g",
                 choice->margin, choice->bound);
    else
        snprintf(result->why, sizeof result->why, "%s", flips->why);
}

static bool repeats(const struct ab_sampler *s, const double *got, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float value = (float)got[i];
        if (memcmp(&value, &s->kept[i], sizeof value) != 0) return false;
    }
    return true;
}

/* The samples once more, in a plan that keeps its values, with the reference behind it. */
static enum ab_status judge_samples(const struct ab_referee *r, const struct ab_method *method,
                                    const struct ab_sampler *judged, const int *targets,
                                    const struct ab_flips *choices, struct ab_agreement *results,
                                    struct ab_error *err)
{
    const size_t count = r->sampled->map_count, all = count * (size_t)r->n_targets;
    struct ab_plan_options options = judged->options;
    struct ab_sampler *s = NULL;
    struct follower f = {.draw = NULL};
    double *got = malloc(all * sizeof *got);
    enum ab_status status =
        got ? AB_OK : ab_fail(err, AB_ERR_MEMORY, "out of memory for judging a sampled method");
    options.retain = true;
    if (!status) status = ab_sampler_create(r->plan->exec.graph, method, &options, &s, err);
    if (!status) status = open_follower(r, s, &f, err);
    if (!status) s->plan->exec.stopped = r->plan->exec.stopped;
    if (!status) status = ab_sampler_watch(s, r->input, targets, got, follow, &f, err);
    for (int t = 0; t < r->n_targets && !status; t++)
        compare(r, method, f.means + (size_t)t * count, got + (size_t)t * count, &f.results[t],
                &choices[t], &results[t]);
    if (!status && !repeats(judged, got, all))
        for (int t = 0; t < r->n_targets; t++) {
            results[t].verdict = AB_DISAGREE;
            snprintf(results[t].why, sizeof results[t].why,
                     "the same samples gave another map when they were computed again");
        }
    close_follower(&f);
    ab_sampler_destroy(&s);
    free(got);
    return status;
}

/* Logits decide nothing: the reference's own map, for the classes that were explained. */
static enum ab_status judge_logits(const struct ab_referee *r, int i,
                                   const struct ab_sampler *judged, const int *targets,
                                   const struct ab_flips *choices, struct ab_agreement *results,
                                   struct ab_error *err)
{
    const struct ab_method *method = &r->sampled->methods[i];
    const size_t count = r->sampled->map_count, all = count * (size_t)r->n_targets;
    double *maps = malloc(2 * all * sizeof *maps), *got = maps ? maps + all : NULL;
    if (!maps) return ab_fail(err, AB_ERR_MEMORY, "out of memory for judging a sampled method");
    const size_t choice_bytes = (size_t)r->batch * (size_t)r->n_targets * sizeof *targets;
    enum ab_status status = AB_OK;
    memcpy(maps, r->sampled->maps + (size_t)i * all, all * sizeof *maps);
    if (memcmp(targets, r->own.target, choice_bytes) != 0)
        status = reference_maps(r, method, targets, maps, err);
    for (size_t k = 0; k < all; k++) got[k] = (double)judged->kept[k];
    for (int t = 0; t < r->n_targets && !status; t++)
        compare(r, method, maps + (size_t)t * count, got + (size_t)t * count, NULL, &choices[t],
                &results[t]);
    free(maps);
    return status;
}

static enum ab_status judge_sampled(const struct ab_referee *r, const struct ab_plan *plan,
                                    struct ab_agreement *results, struct ab_error *err)
{
    const struct ab_sampled_part *p = r->sampled;
    const size_t choice_bytes = (size_t)r->batch * (size_t)r->n_targets * sizeof(int);
    const int *targets = ab_plan_targets(plan);
    struct ab_flips *choices = calloc((size_t)r->n_targets, sizeof *choices);
    enum ab_status status =
        choices ? AB_OK : ab_fail(err, AB_ERR_MEMORY, "out of memory for judging");
    if (!status && memcmp(targets, r->own.target, choice_bytes) != 0)
        status = ab_referee_check_choices(r, plan, choices, err);
    for (int m = 0; m < p->n_methods && !status; m++) {
        const int i = ~p->place[m];
        const struct ab_sampler *s = ab_plan_sampler(plan, m);
        struct ab_agreement *to = results + (size_t)m * (size_t)r->n_targets;
        if (i < 0) continue;
        status = s->base ? judge_samples(r, &p->methods[i], s, targets, choices, to, err)
                         : judge_logits(r, i, s, targets, choices, to, err);
    }
    free(choices);
    return status;
}

static bool same_samplers(const struct ab_sampled_part *p, const struct ab_plan *plan)
{
    for (int m = 0; m < p->n_methods; m++) {
        const struct ab_sampler *s = ab_plan_sampler(plan, m);
        if ((s != NULL) != (p->place[m] < 0) || (s && !s->kept)) return false;
    }
    return true;
}

enum ab_status ab_referee_judge(struct ab_referee *referee, const struct ab_plan *plan,
                                struct ab_agreement *results, struct ab_error *err)
{
    const struct ab_referee *r = referee;
    const struct ab_sampled_part *p = r->sampled;
    if (!p->count) return ab_referee_judge_single(referee, plan, results, err);
    if (!same_samplers(p, plan))
        return ab_fail(err, AB_ERR_ARG,
                       "the plan under judgement is not of the referee's methods, or does not "
                       "retain what it computed");
    struct ab_agreement *single =
        calloc((size_t)p->n_methods * (size_t)r->n_targets, sizeof *single);
    if (!single) return ab_fail(err, AB_ERR_MEMORY, "out of memory for judging");
    enum ab_status status = ab_referee_judge_single(referee, plan, single, err);
    for (int m = 0; m < p->n_methods && !status; m++)
        for (int t = 0; t < r->n_targets && p->place[m] >= 0; t++)
            results[m * r->n_targets + t] = single[p->place[m] * r->n_targets + t];
    if (!status) status = judge_sampled(r, plan, results, err);
    free(single);
    return status;
}
