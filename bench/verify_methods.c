// SPDX-License-Identifier: Apache-2.0
// One case of the validator's methods: its line of text, and running it.
#include "verify_methods.h"

#include "agree/agree.h"
#include "command.h"
#include "method/method.h"
#include "source.h"
#include "verify/net.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BATCH = 64, MAX_THREADS = 64 };

/* ---- text ---- */

void ab_method_case_print(const struct ab_method_case *c, char *text, size_t size)
{
    int used =
        snprintf(text, size, "method %s graph=%llu seed=%llu backend=%s batch=%d", c->spec,
                 (unsigned long long)c->graph, (unsigned long long)c->seed, c->backend, c->batch);
    const struct {
        const char *key;
        int value, normal;
    } rest[] = {{"threads", c->threads, 1},
                {"targets", c->targets, 1},
                {"blocks", c->blocks, AB_NET_BLOCKS}};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        if (rest[i].value != rest[i].normal && used >= 0 && (size_t)used < size)
            used +=
                snprintf(text + used, size - (size_t)used, " %s=%d", rest[i].key, rest[i].value);
    if (used >= 0 && (size_t)used < size)
        snprintf(text + used, size - (size_t)used, "%s%s", c->direct ? " algo=direct" : "",
                 c->lean ? " memory=lean" : "");
}

static enum ab_status take_number(const char *word, const char *text, uint64_t low, uint64_t high,
                                  uint64_t *value, struct ab_error *err)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && !*end && !errno && *value >= low && *value <= high)
        return AB_OK;
    return ab_fail(err, AB_ERR_ARG, "%.60s: give %llu to %llu", word, (unsigned long long)low,
                   (unsigned long long)high);
}

static enum ab_status take_count(const char *word, const char *text, int low, int high, int *value,
                                 struct ab_error *err)
{
    uint64_t number;
    const enum ab_status status =
        take_number(word, text, (uint64_t)low, (uint64_t)high, &number, err);
    if (!status) *value = (int)number;
    return status;
}

static enum ab_status take_choice(const char *word, const char *text, const char *off,
                                  const char *on, bool *value, struct ab_error *err)
{
    *value = !strcmp(text, on);
    if (*value || !strcmp(text, off)) return AB_OK;
    return ab_fail(err, AB_ERR_ARG, "%.60s: give %s or %s", word, off, on);
}

static enum ab_status take_backend(const char *text, struct ab_method_case *c, struct ab_error *err)
{
    if (!strcmp(text, "reference"))
        return ab_fail(err, AB_ERR_ARG, "backend=reference: it is what the others are judged by");
    if (strlen(text) >= sizeof c->backend)
        return ab_fail(err, AB_ERR_ARG, "backend=%.60s: no such backend", text);
    snprintf(c->backend, sizeof c->backend, "%s", text);
    return ab_backend_check(c->backend, err);
}

static enum ab_status take_spec(const char *text, struct ab_method_case *c, struct ab_error *err)
{
    struct ab_method *method = NULL;
    if (strlen(text) >= sizeof c->spec)
        return ab_fail(err, AB_ERR_ARG, "method %.60s...: longer than %d characters", text,
                       (int)sizeof c->spec - 1);
    snprintf(c->spec, sizeof c->spec, "%s", text);
    const enum ab_status status = ab_method_parse(text, &method, err);
    ab_method_destroy(&method);
    return status;
}

static enum ab_status take_pair(const char *word, struct ab_method_case *c, struct ab_error *err)
{
    const char *value = strchr(word, '=');
    const size_t length = value ? (size_t)(value - word) : 0;
    const struct {
        const char *key;
        int low, high, *to;
    } counts[] = {{"batch", 1, MAX_BATCH, &c->batch},
                  {"threads", 1, MAX_THREADS, &c->threads},
                  {"targets", 1, 2, &c->targets},
                  {"blocks", 0, AB_NET_BLOCKS, &c->blocks}};
    for (size_t i = 0; value && i < sizeof counts / sizeof *counts; i++)
        if (strlen(counts[i].key) == length && !strncmp(word, counts[i].key, length))
            return take_count(word, value + 1, counts[i].low, counts[i].high, counts[i].to, err);
    if (!strncmp(word, "graph=", 6))
        return take_number(word, word + 6, 0, UINT32_MAX, &c->graph, err);
    if (!strncmp(word, "seed=", 5))
        return take_number(word, word + 5, 0, UINT64_MAX, &c->seed, err);
    if (!strncmp(word, "backend=", 8)) return take_backend(word + 8, c, err);
    if (!strncmp(word, "algo=", 5))
        return take_choice(word, word + 5, "auto", "direct", &c->direct, err);
    if (!strncmp(word, "memory=", 7))
        return take_choice(word, word + 7, "fast", "lean", &c->lean, err);
    return ab_fail(err, AB_ERR_ARG,
                   "%.60s: not a part of a method's case; parts: graph, seed, backend, batch, "
                   "threads, targets, blocks, algo, memory",
                   word);
}

enum ab_status ab_method_case_parse(const char *text, struct ab_method_case *c,
                                    struct ab_error *err)
{
    *c = (struct ab_method_case){.backend = "native",
                                 .seed = 1,
                                 .blocks = AB_NET_BLOCKS,
                                 .batch = 1,
                                 .threads = 1,
                                 .targets = 1};
    char *copy = malloc(strlen(text) + 1), *rest;
    if (!copy) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a case's text");
    strcpy(copy, text);
    enum ab_status status = AB_OK;
    const char *word = strtok_r(copy, " \t\n", &rest);
    if (!word || strcmp(word, "method") != 0)
        status = ab_fail(err, AB_ERR_ARG, "'%.60s' does not begin with 'method'", text);
    if (!status) {
        word = strtok_r(NULL, " \t\n", &rest);
        status = word ? take_spec(word, c, err)
                      : ab_fail(err, AB_ERR_ARG,
                                "'method' without a method; attrbench methods lists "
                                "them");
    }
    while (!status && (word = strtok_r(NULL, " \t\n", &rest))) status = take_pair(word, c, err);
    free(copy);
    return status;
}

/* ---- running ---- */

/* What a case is computed on. */
struct scene {
    const struct ab_method_case *c;
    struct ab_outcome *o;
    enum ab_method_fault fault;
    struct ab_random_net net;   /* for the backend */
    struct ab_random_net truth; /* for the referee */
    struct ab_method *method;
    size_t count; /* floats of an image */
    float *x;     /* [batch] images */
    int *targets; /* [batch][targets] */
    float *maps;  /* [targets][batch], of the execution that is judged */
};

/* What cannot be done for want of memory and the like says nothing about the candidate. */
static void give_up(struct ab_outcome *o, enum ab_status status, const char *why)
{
    if (ab_outcome_failed(o)) return;
    o->kind = status == AB_ERR_UNSUPPORTED ? AB_OUTCOME_UNSUPPORTED : AB_OUTCOME_SKIPPED;
    snprintf(o->why, sizeof o->why, "%.250s", why);
}

/* Images as the network asks for them; the classes of an image differ. A seed that is 0 for a
 * negative logit would tell nothing most often: such methods explain the highest. */
static bool draw_scene(struct scene *s)
{
    const struct ab_method_case *c = s->c;
    const struct ab_dims d = ab_graph_input(s->net.graph);
    const int classes = ab_graph_classes(s->net.graph);
    const size_t batch = (size_t)c->batch, targets = (size_t)c->targets;
    struct ab_rng r = ab_rng_new(c->seed, 0x696d6167 + c->graph);
    s->count = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    s->x = malloc(batch * s->count * sizeof *s->x);
    s->targets = malloc(batch * targets * sizeof *s->targets);
    s->maps = malloc(batch * targets * s->count * sizeof *s->maps);
    if (!s->x || !s->targets || !s->maps) return false;
    ab_fill_floats(s->x, batch * s->count, s->net.positive ? AB_FILL_NONNEG : AB_FILL_NORMAL, &r,
                   NULL, 0);
    const bool positive = s->method->composite.seed == AB_SEED_LOGIT_POS;
    for (int n = 0; n < c->batch; n++) {
        const int first = ab_rng_between(&r, 0, classes - 1);
        for (int t = 0; t < c->targets; t++)
            s->targets[n * c->targets + t] = positive ? AB_TARGET_TOP - t : (first + t) % classes;
    }
    return true;
}

/* One plan on `images` of the batch from number `first`; maps: [targets][images]. The plan is the
 * caller's. */
static enum ab_status explain(const struct scene *s, const struct ab_plan_options *options,
                              int first, float *maps, struct ab_plan **plan, struct ab_error *err)
{
    float *each[2];
    for (int t = 0; t < s->c->targets; t++)
        each[t] = maps + (size_t)t * (size_t)options->batch * s->count;
    enum ab_status status =
        *plan ? AB_OK
              : ab_plan_create(s->net.graph, (const struct ab_method *const *)&s->method, 1,
                               options, plan, err);
    if (!status)
        status = ab_plan_execute(*plan, s->x + (size_t)first * s->count,
                                 s->targets + first * s->c->targets, each, NULL, err);
    return status;
}

static struct ab_plan_options options_of(const struct scene *s)
{
    const struct ab_method_case *c = s->c;
    return (struct ab_plan_options){.backend = c->backend,
                                    .batch = c->batch,
                                    .threads = 1,
                                    .algo = c->direct ? AB_ALGO_DIRECT : AB_ALGO_AUTO,
                                    .memory = c->lean ? AB_MEMORY_LEAN : AB_MEMORY_FAST,
                                    .targets = c->targets};
}

/* The last bit of the first element is another one. */
static void spoil(const struct scene *s, enum ab_check check, float *got)
{
    static const enum ab_check of[AB_METHOD_FAULTS] = {[AB_FAULT_REPEAT] = AB_CHECK_repeat,
                                                       [AB_FAULT_THREADS] = AB_CHECK_threads,
                                                       [AB_FAULT_BATCH] = AB_CHECK_batch};
    uint32_t bits = ab_float_bits(*got) ^ 1;
    if (s->fault && of[s->fault] == check) memcpy(got, &bits, sizeof bits);
}

/* Whether maps of `images` images from number `first` are those that were judged, to the bit. */
static void compare(struct scene *s, float *got, int first, int images, enum ab_check check,
                    const char *what)
{
    spoil(s, check, got);
    for (int t = 0; t < s->c->targets; t++)
        for (size_t i = 0; i < (size_t)images * s->count; i++) {
            const size_t at = ((size_t)t * (size_t)s->c->batch + (size_t)first) * s->count + i;
            const float have = got[(size_t)t * (size_t)images * s->count + i];
            if (ab_float_bits(have) == ab_float_bits(s->maps[at])) continue;
            ab_outcome_fail(s->o, check, "%s: element %zu of image %zu is %.9g, not %.9g", what,
                            i % s->count, (size_t)first + i / s->count, (double)have,
                            (double)s->maps[at]);
            return;
        }
}

/* Runs `images` images from `first` on `threads` threads in a plan that keeps nothing. */
static void check_again(struct scene *s, int first, int images, int threads, enum ab_check check,
                        const char *what)
{
    struct ab_error err = {""};
    struct ab_plan *plan = NULL;
    struct ab_plan_options options = options_of(s);
    options.batch = images;
    options.threads = threads;
    float *maps = malloc((size_t)(images * s->c->targets) * s->count * sizeof *maps);
    enum ab_status status = maps ? explain(s, &options, first, maps, &plan, &err)
                                 : ab_fail(&err, AB_ERR_MEMORY, "out of memory for maps");
    if (status)
        give_up(s->o, status, err.text);
    else
        compare(s, maps, first, images, check, what);
    ab_plan_destroy(&plan);
    free(maps);
}

/* Takes the worst of the targets' agreements over. */
static void take_verdict(struct scene *s, const struct ab_agreement *results)
{
    struct ab_agreement a = results[0];
    for (int t = 1; t < s->c->targets; t++) ab_agreement_merge(&a, &results[t]);
    struct ab_outcome *o = s->o;
    o->ratio = a.err_over_bound;
    o->undetermined = a.flips + a.adopted - a.illegal_flips;
    o->elements = (long)((size_t)(s->c->batch * s->c->targets) * s->count) + o->undetermined;
    if (a.verdict == AB_DISAGREE)
        ab_outcome_fail(o, a.illegal_flips ? AB_CHECK_decision : AB_CHECK_bound, "%s", a.why);
    if (a.verdict == AB_AGREE || a.verdict == AB_DISAGREE || ab_outcome_failed(o)) return;
    o->kind = a.verdict == AB_MISTRUSTED ? AB_OUTCOME_MISTRUSTED : AB_OUTCOME_SKIPPED;
    snprintf(o->why, sizeof o->why, "%s", a.why);
}

static void check_finite(struct scene *s)
{
    const size_t all = (size_t)(s->c->batch * s->c->targets) * s->count;
    if (s->fault == AB_FAULT_NAN) s->maps[all / 2] = (float)NAN;
    for (size_t i = 0; i < all; i++) {
        if (isfinite(s->maps[i])) continue;
        ab_outcome_fail(s->o, AB_CHECK_special, "element %zu of the maps is %g", i,
                        (double)s->maps[i]);
        return;
    }
}

/* The execution that is judged, on one thread, in a plan that keeps every value. */
static void judge(struct scene *s)
{
    struct ab_error err = {""};
    struct ab_plan *plan = NULL;
    struct ab_referee *referee = NULL;
    struct ab_agreement results[2];
    struct ab_plan_options options = options_of(s);
    options.retain = true;
    const struct ab_judged judged = {.methods = (const struct ab_method *const *)&s->method,
                                     .n_methods = 1,
                                     .batch = s->c->batch,
                                     .n_targets = s->c->targets,
                                     .input = s->x,
                                     .targets = s->targets};
    enum ab_status status = explain(s, &options, 0, s->maps, &plan, &err);
    if (!status) check_finite(s);
    if (!status) status = ab_referee_create(s->truth.graph, &judged, 1, NULL, &referee, &err);
    if (!status) status = ab_referee_judge(referee, plan, results, &err);
    if (!status) take_verdict(s, results);
    if (!status && !ab_outcome_failed(s->o)) {
        float *again = malloc((size_t)(s->c->batch * s->c->targets) * s->count * sizeof *again);
        status = again ? explain(s, &options, 0, again, &plan, &err)
                       : ab_fail(&err, AB_ERR_MEMORY, "out of memory for maps");
        if (!status) compare(s, again, 0, s->c->batch, AB_CHECK_repeat, "executed again");
        free(again);
    }
    if (status) give_up(s->o, status, err.text);
    ab_referee_destroy(&referee);
    ab_plan_destroy(&plan);
}

/* oneDNN times its algorithms for each plan, so that only one plan's bits repeat. */
static void check_determinism(struct scene *s)
{
    const int batch = s->c->batch, threads = s->c->threads > 1 ? s->c->threads : 3;
    if (strncmp(s->c->backend, "native", 6) != 0 || s->o->kind == AB_OUTCOME_FAIL) return;
    check_again(s, 0, batch, threads, AB_CHECK_threads, "by several threads");
    check_again(s, batch - 1, 1, 1, AB_CHECK_batch, "the last image alone");
}

/* Of the first layer that has any; not all by as much, which relevance would not notice. */
static void enlarge_weights(struct ab_graph *graph)
{
    struct ab_node *node = graph->nodes;
    while (!node->wei_count) node++;
    for (size_t i = 0; i < node->wei_count; i++) node->wei[i] *= i % 2 ? 1.01f : 1.03f;
}

static enum ab_status open_scene(struct scene *s, struct ab_error *err)
{
    const struct ab_method_case *c = s->c;
    enum ab_status status = ab_backend_check(c->backend, err);
    if (!status) status = ab_method_parse(c->spec, &s->method, err);
    if (!status) status = ab_random_net(c->seed, c->graph, c->blocks, &s->net, err);
    if (!status) status = ab_random_net(c->seed, c->graph, c->blocks, &s->truth, err);
    if (!status && s->fault == AB_FAULT_WEIGHTS) enlarge_weights(s->net.graph);
    if (!status && ab_method_fits(s->net.graph, s->method, 0, err)) status = AB_ERR_UNSUPPORTED;
    if (!status && !draw_scene(s)) status = ab_fail(err, AB_ERR_MEMORY, "out of memory for images");
    return status;
}

void ab_method_case_run(const struct ab_method_case *c, struct ab_outcome *o)
{
    ab_method_case_run_faulty(c, AB_FAULT_NONE, o);
}

void ab_method_case_run_faulty(const struct ab_method_case *c, enum ab_method_fault fault,
                               struct ab_outcome *o)
{
    struct scene s = {.c = c, .fault = fault, .o = o};
    struct ab_error err = {""};
    *o = (struct ab_outcome){.kind = AB_OUTCOME_PASS};
    const enum ab_status status = open_scene(&s, &err);
    if (status) give_up(o, status, err.text);
    if (!status) judge(&s);
    if (!status && o->kind != AB_OUTCOME_UNSUPPORTED && o->kind != AB_OUTCOME_SKIPPED)
        check_determinism(&s);
    free(s.x);
    free(s.targets);
    free(s.maps);
    ab_method_destroy(&s.method);
    ab_graph_destroy(&s.net.graph);
    ab_graph_destroy(&s.truth.graph);
}
