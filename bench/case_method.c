// SPDX-License-Identifier: Apache-2.0
// Cases of methods: "method MODEL SPEC BACKEND THREADS BATCH", executions of a plan on the model's
// usual images. The plan's steps that take long enough to be timed by themselves are parts.
#include "case_inside.h"

#include "method/params.h"
#include "plan/plan.h"
#include "run.h"
#include "sample/sampler.h"
#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The work of some 20 us: below, two readings of the clock are a visible share of a step. What is a
 * part must not be decided by time, or two builds would decide differently. */
static const double LEAST_FLOPS = 2e6, LEAST_BYTES = 1e6;

struct state {
    struct ab_words words; /* model, spec, backend */
    int batch;
    struct ab_source source;
    struct ab_images images;
    struct ab_method *method;
    struct ab_plan *plans[AB_CASE_PLACES];
    int n_plans;
    float *input, *map, *maps[1];
    double *steps; /* [plan steps] ns */
    int *part;     /* [parts]: the step */
};

/* ---- the text ---- */

static bool parse_count(const char *text, size_t length, int *count)
{
    int n = 0;
    if (length == 0 || length > 4) return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        n = 10 * n + text[i] - '0';
    }
    *count = n;
    return n >= 1;
}

/* The last four words; what stands before them is the model, whose path may hold spaces. */
static enum ab_status parse(struct ab_case *c, const char *rest, struct ab_error *err)
{
    struct state *s = c->state;
    const char *word[4], *end = rest + strlen(rest);
    size_t length[4];
    while (end > rest && end[-1] == ' ') end--;
    for (int i = 3; i >= 0; i--) {
        const char *from = end;
        while (from > rest && from[-1] != ' ') from--;
        word[i] = from;
        length[i] = (size_t)(end - from);
        for (end = from; end > rest && end[-1] == ' ';) end--;
    }
    if (end == rest || !parse_count(word[2], length[2], &c->threads) ||
        !parse_count(word[3], length[3], &s->batch))
        return ab_fail(err, AB_ERR_ARG,
                       "case 'method %.80s': write 'method MODEL SPEC BACKEND THREADS BATCH', "
                       "threads and batch from 1",
                       rest);
    if (ab_words_add(&s->words, rest, (size_t)(end - rest)) &&
        ab_words_add(&s->words, word[0], length[0]) && ab_words_add(&s->words, word[1], length[1]))
        return AB_OK;
    return ab_fail(err, AB_ERR_MEMORY, "out of memory for a case");
}

/* ---- opening ---- */

static enum ab_status load_images(struct state *s, struct ab_error *err)
{
    const struct ab_dims d = s->source.dims;
    const size_t image = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    const enum ab_status status = ab_images_usual(&s->images, &s->source, NULL, err);
    if (status != AB_OK) return status == AB_ERR_ARG ? AB_ERR_UNSUPPORTED : status;
    s->input = malloc((size_t)s->batch * image * sizeof *s->input);
    if (!s->input) return ab_fail(err, AB_ERR_MEMORY, "out of memory for images");
    ab_images_fill(&s->images, d, s->batch, s->input);
    return AB_OK;
}

static enum ab_status make_plans(struct ab_case *c, struct ab_error *err)
{
    struct state *s = c->state;
    const char *backend = s->words.items[2];
    enum ab_status status = ab_backend_check(backend, err);
    /* What another build may well have. */
    if (status != AB_OK) return AB_ERR_UNSUPPORTED;
    if (ab_method_parse(s->words.items[1], &s->method, err) != AB_OK) return AB_ERR_UNSUPPORTED;
    const struct ab_plan_options o = {.backend = backend, .batch = s->batch, .threads = c->threads};
    const struct ab_method *method = s->method;
    size_t weights = 0, arena = 0;
    do {
        status = ab_plan_create(s->source.graph, &method, 1, &o, &s->plans[s->n_plans], err);
        if (status != AB_OK && s->n_plans == 0) return status;
        if (status != AB_OK) break;
        ab_plan_memory(s->plans[s->n_plans++], &weights, &arena);
    } while (s->n_plans < AB_CASE_PLACES &&
             (size_t)(s->n_plans + 1) * (weights + arena) <= AB_CASE_BYTES);
    const struct ab_dims d = ab_plan_map_dims(s->plans[0], 0);
    s->map = malloc((size_t)s->batch * (size_t)d.c * (size_t)d.h * (size_t)d.w * sizeof *s->map);
    s->maps[0] = s->map;
    return s->map ? AB_OK : ab_fail(err, AB_ERR_MEMORY, "out of memory for maps");
}

/* A gang is one part, its first step: the others have no time of their own, nor has the map that
 * the last step wrote where it belongs. */
static bool is_part(const struct ab_plan *plan, int i)
{
    const struct ab_step *s = &plan->program.steps[i];
    if (s->constant || s->op == AB_OP_OUTPUT || ab_gang_first(&plan->program, i) != i) return false;
    return ab_step_flops(plan, s) >= LEAST_FLOPS || ab_step_bytes(plan, s) >= LEAST_BYTES;
}

/* Methods that sample run plans of their own, whose steps are many times over. */
static enum ab_status choose_parts(struct ab_case *c, struct ab_error *err)
{
    struct state *s = c->state;
    if (ab_plan_sampler_count(s->plans[0])) return AB_OK;
    const size_t steps = (size_t)s->plans[0]->program.n_steps;
    s->steps = calloc(steps + 1, sizeof *s->steps);
    s->part = calloc(steps + 1, sizeof *s->part);
    c->parts = calloc(steps + 1, sizeof *c->parts);
    if (!s->steps || !s->part || !c->parts)
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for steps");
    for (int i = 0; i < (int)steps; i++)
        if (is_part(s->plans[0], i)) s->part[c->n_parts++] = i;
    return AB_OK;
}

static struct ab_plan *plan_of(const struct ab_case *c)
{
    struct state *s = c->state;
    return s->plans[c->turn % (unsigned)s->n_plans];
}

static enum ab_status call(struct ab_case *c, struct ab_error *err)
{
    struct state *s = c->state;
    return ab_plan_execute(plan_of(c), s->input, NULL, s->maps, NULL, err);
}

static enum ab_status call_parts(struct ab_case *c, struct ab_error *err)
{
    struct state *s = c->state;
    const enum ab_status status = ab_plan_profile(plan_of(c), s->input, NULL, s->steps, err);
    for (int i = 0; i < c->n_parts; i++) c->parts[i] = s->steps[s->part[i]];
    return status;
}

static enum ab_status open_case(struct ab_case *c, const char *rest, struct ab_error *err)
{
    struct state *s = calloc(1, sizeof *s);
    if (!s) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a case");
    c->state = s;
    enum ab_status status = parse(c, rest, err);
    if (status == AB_OK) status = ab_source_open(s->words.items[0], NULL, &s->source, err);
    if (status == AB_OK) status = load_images(s, err);
    if (status == AB_OK) status = make_plans(c, err);
    if (status == AB_OK) status = choose_parts(c, err);
    /* What is wrong with a call is known before it is timed. */
    if (status == AB_OK) status = call(c, err);
    if (status != AB_OK) return status;
    const char *spec = ab_method_spec(s->method);
    const int length = snprintf(c->text, sizeof c->text, "method %s %s %s %d %d", s->words.items[0],
                                spec, s->words.items[2], c->threads, s->batch);
    snprintf(c->name, sizeof c->name, "%.*s", (int)strcspn(spec, ":"), spec);
    /* Parts' keys are longer. */
    return length < AB_CASE_KEY - 128
               ? AB_OK
               : ab_fail(err, AB_ERR_ARG, "case '%.60s...': too long", c->text);
}

static void close_case(struct ab_case *c)
{
    struct state *s = c->state;
    if (!s) return;
    for (int i = 0; i < s->n_plans; i++) ab_plan_destroy(&s->plans[i]);
    ab_method_destroy(&s->method);
    ab_images_free(&s->images);
    ab_source_close(&s->source);
    ab_words_free(&s->words);
    free(s->input);
    free(s->map);
    free(s->steps);
    free(s->part);
    free(s);
}

/* ---- judging ---- */

/* What a plan decided is known of one that keeps it. It is made for this alone: what is timed does
 * without. False: it does not make the map that was made, or is not to be had. */
static bool replay(const struct ab_case *c, struct ab_referee *referee, size_t floats,
                   struct ab_agreement *result)
{
    const struct state *s = c->state;
    const struct ab_method *method = s->method;
    const struct ab_plan_options o = {
        .backend = s->words.items[2], .batch = s->batch, .threads = c->threads, .retain = true};
    struct ab_plan *plan = NULL;
    float *map = malloc(floats * sizeof *map), *maps[] = {map};
    enum ab_status status =
        map ? ab_plan_create(s->source.graph, &method, 1, &o, &plan, NULL) : AB_ERR_MEMORY;
    if (status == AB_OK) status = ab_plan_execute(plan, s->input, NULL, maps, NULL, NULL);
    const bool same = status == AB_OK && !memcmp(map, s->map, floats * sizeof *map);
    struct ab_agreement judged;
    const bool done = same && ab_referee_judge(referee, plan, &judged, NULL) == AB_OK;
    if (done) *result = judged;
    ab_plan_destroy(&plan);
    free(map);
    return done;
}

/* The map as it is beside the reference's own. */
static enum ab_status compare(const struct state *s, const struct ab_referee *referee,
                              size_t floats, struct ab_agreement *result, struct ab_error *err)
{
    double *got = malloc(floats * sizeof *got);
    if (!got) return ab_fail(err, AB_ERR_MEMORY, "out of memory for maps");
    for (size_t i = 0; i < floats; i++) got[i] = (double)s->map[i];
    ab_agree_maps(ab_referee_map(referee, 0), got, s->batch, ab_plan_map_dims(s->plans[0], 0),
                  ab_agree_limits(&s->method->composite, s->source.graph), result);
    free(got);
    return AB_OK;
}

static enum ab_status judge(struct ab_case *c, int threads, struct ab_agreement *result,
                            struct ab_error *err)
{
    struct state *s = c->state;
    const struct ab_method *method = s->method;
    const struct ab_judged judged = {
        .methods = &method, .n_methods = 1, .batch = s->batch, .n_targets = 1, .input = s->input};
    const struct ab_dims d = ab_plan_map_dims(s->plans[0], 0);
    const size_t floats = (size_t)s->batch * (size_t)d.c * (size_t)d.h * (size_t)d.w;
    struct ab_referee *referee = NULL;
    char cache[1024];
    enum ab_status status = ab_plan_execute(s->plans[0], s->input, NULL, s->maps, NULL, err);
    if (status != AB_OK) return status;
    for (size_t i = 0; i < floats && c->wrong > 0; i++) s->map[i] *= (float)(1 + c->wrong);
    status = ab_referee_create(s->source.graph, &judged, threads,
                               ab_cache_folder(cache, sizeof cache) ? cache : NULL, &referee, err);
    /* The reference's own plans are held against it as they are. */
    const bool own = !strcmp(s->words.items[2], "reference");
    if (status == AB_OK && (own || !replay(c, referee, floats, result)))
        status = compare(s, referee, floats, result, err);
    ab_referee_destroy(&referee);
    return status;
}

/* ---- rows ---- */

static void name_step(const struct state *s, int i, char *text, size_t size)
{
    const struct ab_step *step = &s->plans[0]->program.steps[i];
    const char *layer = step->node >= 0 ? s->plans[0]->exec.graph->nodes[step->node].name : NULL;
    snprintf(text, size, "%s_%s %.60s", ab_op_name(step->op), step->pass == AB_BWD ? "bwd" : "fwd",
             layer ? layer : "-");
}

/* A layer may have several steps of a kind: they are numbered in the order of the program. */
static void key(const struct ab_case *c, int row, char text[AB_CASE_KEY])
{
    const struct state *s = c->state;
    char name[96], other[96];
    int before = 0;
    snprintf(text, AB_CASE_KEY, "%s", c->text);
    if (!row) return;
    name_step(s, s->part[row - 1], name, sizeof name);
    for (int i = 0; i < row - 1; i++) {
        name_step(s, s->part[i], other, sizeof other);
        before += !strcmp(name, other);
    }
    snprintf(text, AB_CASE_KEY, "step%s: %s #%d", c->text + strlen("method"), name, before + 1);
}

static void step_record(const struct state *s, int i, struct ab_record *r)
{
    const struct ab_step *step = &s->plans[0]->program.steps[i];
    const double peak = r->peak;
    r->kind = "step";
    snprintf(r->op, sizeof r->op, "%s_%s", ab_op_name(step->op),
             step->pass == AB_BWD ? "bwd" : "fwd");
    r->shape[0] = '\0';
    if (step->dst >= 0) {
        const struct ab_dims d = s->plans[0]->program.values[step->dst].dims;
        snprintf(r->shape, sizeof r->shape, "n%dc%dh%dw%d", s->batch, d.c, d.h, d.w);
    }
    snprintf(r->kernels, sizeof r->kernels, "%s", ab_plan_kernel(s->plans[0], i));
    r->flops = ab_step_flops(s->plans[0], step);
    r->bytes = ab_step_bytes(s->plans[0], step);
    r->peak = peak;
}

static void record(const struct ab_case *c, int row, struct ab_record *r)
{
    const struct state *s = c->state;
    const struct ab_dims d = s->source.dims;
    r->kind = "method";
    snprintf(r->op, sizeof r->op, "attribute");
    snprintf(r->shape, sizeof r->shape, "n%dc%dh%dw%d", s->batch, d.c, d.h, d.w);
    snprintf(r->model, sizeof r->model, "%s", s->source.name);
    snprintf(r->method, sizeof r->method, "%s", ab_method_spec(s->method));
    snprintf(r->backend, sizeof r->backend, "%s", s->words.items[2]);
    snprintf(r->target, sizeof r->target, "top");
    r->targets = 1;
    r->batch = s->batch;
    r->seed_mode = ab_seed_name(s->method->composite.seed);
    r->algo = "auto";
    r->memory = "fast";
    r->model_bytes = 4.0 * (double)ab_graph_parameters(s->source.graph);
    ab_record_plan(r, s->plans[0], c->threads);
    if (row) step_record(s, s->part[row - 1], r);
}

const struct ab_case_kind ab_case_method = {.word = "method",
                                            .open = open_case,
                                            .close = close_case,
                                            .call = call,
                                            .call_parts = call_parts,
                                            .judge = judge,
                                            .key = key,
                                            .record = record};
