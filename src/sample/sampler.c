// SPDX-License-Identifier: Apache-2.0
// Samplers: chunks of samples through a plan of the base method.
#include "sample/sampler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ab_sampled(const struct ab_method *method)
{
    return method->composite.sampling.kind != AB_SAMPLE_NOT;
}

/* ---- life ---- */

/* Samples in one execution of the inner plan: at most 5, and the more the fewer executions, but
 * with as few idle slots in the last one as can be. What is gained beyond is in docs/design.md. */
static int choose_chunk(long samples)
{
    enum { MOST = 5 };
    int best = 1;
    long best_slots = samples;
    for (int chunk = 2; chunk <= MOST; chunk++) {
        const long slots = (samples + chunk - 1) / chunk * chunk;
        if (32 * slots > 33 * best_slots) continue; /* an idle slot costs as much as a used one */
        best = chunk;
        if (slots < best_slots) best_slots = slots;
    }
    return best;
}

static enum ab_status parse_base(const struct ab_method *method, struct ab_method **base,
                                 struct ab_error *err)
{
    *base = NULL;
    const char *spec = method->composite.sampling.base;
    return *spec ? ab_method_parse(spec, base, err) : AB_OK;
}

static enum ab_status refuse_layer(const struct ab_method *method, const char *layer,
                                   struct ab_error *err)
{
    return ab_fail(err, AB_ERR_ARG, "method %s gives maps of the image alone, not of layer '%.80s'",
                   method->desc->name, layer);
}

enum ab_status ab_sampler_check(const struct ab_graph *graph, const struct ab_method *method,
                                int at, struct ab_error *err)
{
    if (at) return refuse_layer(method, graph->nodes[at].name, err);
    struct ab_draw draw;
    struct ab_method *base = NULL;
    struct ab_program program = {0};
    enum ab_status status = ab_draw_open(method, graph, &draw, err);
    if (!status) ab_draw_close(&draw);
    if (!status) status = parse_base(method, &base, err);
    const struct ab_method *one = base;
    if (!status) status = ab_lower(graph, &one, base ? 1 : 0, NULL, &program, err);
    if (!status) ab_program_free(&program);
    ab_method_destroy(&base);
    return status;
}

/* Sums are as large as the image. */
static enum ab_status check_shape(const struct ab_sampler *s, const struct ab_method *method,
                                  struct ab_error *err)
{
    if (!ab_draw_has_maps(&s->draw)) return AB_OK;
    const struct ab_dims map = ab_single_map_dims(s->plan, 0), image = s->draw.dims;
    if (map.c == image.c && map.h == image.h && map.w == image.w) return AB_OK;
    return ab_fail(err, AB_ERR_UNSUPPORTED,
                   "method %s averages maps of the image's shape %dx%dx%d; those of base=%.60s are "
                   "%dx%dx%d",
                   method->desc->name, image.c, image.h, image.w, method->composite.sampling.base,
                   map.c, map.h, map.w);
}

static enum ab_status allocate(struct ab_sampler *s, struct ab_error *err)
{
    const size_t chunk = (size_t)s->chunk, count = s->draw.count;
    const enum ab_pages pages = s->options.pages;
    s->inputs = ab_buffer_alloc_pages(chunk * count * sizeof *s->inputs, pages);
    if (ab_draw_has_way(&s->draw))
        s->ways = ab_buffer_alloc_pages(chunk * count * sizeof *s->ways, pages);
    if (ab_draw_has_maps(&s->draw))
        s->maps = ab_buffer_alloc_pages(chunk * count * sizeof *s->maps, pages);
    s->sums = ab_buffer_alloc_pages((size_t)s->each * 2 * count * sizeof *s->sums, pages);
    s->logits = malloc(ab_plan_value_count(s->plan, s->plan->program.logits) * sizeof *s->logits);
    s->targets = malloc((2 + (size_t)s->each) * chunk * sizeof *s->targets);
    if (!s->inputs || (ab_draw_has_way(&s->draw) && !s->ways) ||
        (ab_draw_has_maps(&s->draw) && !s->maps) || !s->sums || !s->logits || !s->targets)
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for the samples of a method");
    s->image = s->targets + (size_t)s->each * chunk;
    s->sample = s->image + chunk;
    return AB_OK;
}

enum ab_status ab_sampler_create(const struct ab_graph *graph, const struct ab_method *method,
                                 const struct ab_plan_options *options, struct ab_sampler **sampler,
                                 struct ab_error *err)
{
    struct ab_sampler *s = *sampler = calloc(1, sizeof *s);
    if (!s) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a sampler");
    if (options->at) {
        ab_sampler_destroy(sampler);
        return refuse_layer(method, options->at, err);
    }
    s->options = *options;
    s->options.backend = s->backend;
    snprintf(s->backend, sizeof s->backend, "%s", options->backend ? options->backend : "native");
    s->batch = options->batch ? options->batch : 1;
    s->threads = options->threads ? options->threads : 1;
    s->each = options->targets ? options->targets : 1;
    enum ab_status status = ab_draw_open(method, graph, &s->draw, err);
    if (!status) status = parse_base(method, &s->base, err);
    if (!status) {
        struct ab_plan_options inner = *options;
        const struct ab_method *one = s->base;
        inner.batch = s->chunk = choose_chunk((long)s->batch * s->draw.n);
        status = ab_single_create(graph, &one, s->base ? 1 : 0, &inner, &s->plan, err);
    }
    if (!status) status = check_shape(s, method, err);
    if (!status) status = allocate(s, err);
    if (!status) ab_plan_baseline(s->plan, ab_sampler_baselines(s));
    if (status) ab_sampler_destroy(sampler);
    return status;
}

void ab_sampler_destroy(struct ab_sampler **sampler)
{
    struct ab_sampler *s = *sampler;
    if (!s) return;
    ab_single_destroy(&s->plan);
    ab_method_destroy(&s->base);
    ab_draw_close(&s->draw);
    ab_buffer_free(s->inputs);
    ab_buffer_free(s->ways);
    ab_buffer_free(s->maps);
    ab_buffer_free(s->sums);
    free(s->logits);
    free(s->kept);
    free(s->targets);
    free(s);
    *sampler = NULL;
}

const float *ab_sampler_baselines(const struct ab_sampler *sampler)
{
    return sampler->draw.how.kind == AB_SAMPLE_DEEPLIFT_SHAP ? sampler->ways : NULL;
}

/* ---- executing ---- */

/* Where the finished map of an image goes: one of the two. */
struct sink {
    float *const *floats; /* [targets] of [batch][c][h][w], each may be NULL */
    double *doubles;      /* [targets][batch][c][h][w] */
};

static void finish_map(struct ab_sampler *s, const float *input, int image, int t,
                       const struct sink *sink)
{
    const size_t count = s->draw.count, at = (size_t)image * count;
    double *sums = s->sums + (size_t)t * 2 * count;
    float *floats = sink->floats ? sink->floats[t] : NULL;
    ab_draw_end(&s->draw, input + at, sums);
    for (size_t i = 0; i < count && floats; i++) floats[at + i] = (float)sums[i];
    float *kept = s->kept ? s->kept + (size_t)t * (size_t)s->batch * count + at : NULL;
    for (size_t i = 0; i < count && kept; i++) kept[i] = (float)sums[i];
    if (sink->doubles)
        memcpy(sink->doubles + (size_t)t * (size_t)s->batch * count + at, sums,
               count * sizeof *sums);
}

/* Makes the inputs of samples [first, first + used), counted through all images. */
static void fill_slots(struct ab_sampler *s, const float *input, const int *targets, long first,
                       int used)
{
    const size_t count = s->draw.count;
    for (int slot = 0; slot < s->chunk; slot++) {
        float *to = s->inputs + (size_t)slot * count;
        const long job = first + (slot < used ? slot : used - 1);
        s->image[slot] = (int)(job / s->draw.n);
        s->sample[slot] = (int)(job % s->draw.n);
        memcpy(s->targets + slot * s->each, targets + s->image[slot] * s->each,
               (size_t)s->each * sizeof *targets);
        if (slot >= used)
            memcpy(to, to - count, count * sizeof *to);
        else
            ab_draw_input(&s->draw, input + (size_t)s->image[slot] * count, s->sample[slot], to,
                          s->ways ? s->ways + (size_t)slot * count : NULL, s->threads);
    }
}

/* The samples' maps or logits for target t. */
static void take_slots(struct ab_sampler *s, const float *input, int t, int used,
                       const struct sink *sink)
{
    const struct ab_program *p = &s->plan->program;
    const size_t count = s->draw.count, classes = (size_t)p->values[p->logits].dims.c;
    double *sums = s->sums + (size_t)t * 2 * count;
    if (s->maps)
        ab_plan_peek(s->plan, p->outputs[t], s->maps);
    else
        ab_plan_peek(s->plan, p->logits, s->logits);
    for (int slot = 0; slot < used; slot++) {
        const size_t at = (size_t)slot * count;
        const size_t class = (size_t)s->targets[slot * s->each + t];
        const double logit = s->maps ? 0 : s->logits[(size_t)slot * classes + class];
        if (s->sample[slot] == 0) ab_draw_begin(&s->draw, sums);
        ab_draw_add(&s->draw, s->sample[slot], s->maps ? s->maps + at : NULL,
                    s->ways ? s->ways + at : NULL, logit, sums, s->threads);
        if (s->sample[slot] == s->draw.n - 1) finish_map(s, input, s->image[slot], t, sink);
    }
}

static enum ab_status run(struct ab_sampler *s, const float *input, const int *targets,
                          const struct sink *sink, ab_sampler_see *see, void *context,
                          struct ab_error *err)
{
    const long samples = (long)s->batch * s->draw.n;
    enum ab_status status = AB_OK;
    for (long first = 0; first < samples && !status; first += s->chunk) {
        const int used = samples - first < s->chunk ? (int)(samples - first) : s->chunk;
        fill_slots(s, input, targets, first, used);
        status = ab_single_execute(s->plan, s->inputs, s->targets, NULL, NULL, err);
        if (!status && see) status = see(context, s, used, err);
        for (int t = 0; t < s->each && !status; t++) take_slots(s, input, t, used, sink);
    }
    return status;
}

enum ab_status ab_sampler_execute(struct ab_sampler *sampler, const float *input,
                                  const int *targets, float *const *maps, struct ab_error *err)
{
    const struct sink sink = {.floats = maps};
    return run(sampler, input, targets, &sink, NULL, NULL, err);
}

enum ab_status ab_sampler_watch(struct ab_sampler *sampler, const float *input, const int *targets,
                                double *maps, ab_sampler_see *see, void *context,
                                struct ab_error *err)
{
    const struct sink sink = {.doubles = maps};
    return run(sampler, input, targets, &sink, see, context, err);
}

enum ab_status ab_sampler_keep(struct ab_sampler *sampler, struct ab_error *err)
{
    const size_t images = (size_t)sampler->each * (size_t)sampler->batch;
    sampler->kept = calloc(images * sampler->draw.count, sizeof *sampler->kept);
    return sampler->kept ? AB_OK
                         : ab_fail(err, AB_ERR_MEMORY, "out of memory for a sampler's maps");
}

int ab_sampler_executions(const struct ab_sampler *sampler)
{
    const long samples = (long)sampler->batch * sampler->draw.n;
    return (int)((samples + sampler->chunk - 1) / sampler->chunk);
}

void ab_sampler_memory(const struct ab_sampler *sampler, size_t *weights, size_t *arena)
{
    const struct ab_sampler *s = sampler;
    const size_t count = s->draw.count, chunk = (size_t)s->chunk;
    ab_single_memory(s->plan, weights, arena);
    *arena += (s->ways ? 2 : 1) * chunk * count * sizeof(float) +
              ((s->maps ? chunk : 0) + 2 * (size_t)s->each) * count * sizeof(double);
}
