// SPDX-License-Identifier: Apache-2.0
// Agreement of a setting: one reference for all methods, one joint execution per backend.
#include "run.h"

#include "sample/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t ab_setting_map_count(const struct ab_setting *s)
{
    struct ab_dims d = s->model->map;
    return (size_t)s->batch * (size_t)d.c * (size_t)d.h * (size_t)d.w;
}

size_t ab_setting_maps_count(const struct ab_setting *s)
{
    return ab_setting_map_count(s) * (size_t)s->model->targets.count;
}

void ab_setting_split(const struct ab_setting *s, float *all, float **maps)
{
    for (int t = 0; t < s->model->targets.count; t++)
        maps[t] = all + (size_t)t * ab_setting_map_count(s);
}

static void skip_all(struct ab_joint *joint, int n_methods, const char *why)
{
    for (int m = 0; m < n_methods; m++) {
        joint->agreed[m].verdict = AB_SKIPPED;
        snprintf(joint->agreed[m].why, sizeof joint->agreed[m].why, "%.150s", why);
    }
}

/* Whether a method fits the graph is known by lowering it: cheap, and the message names the layer.
 */
static void find_supported(const struct ab_run *run, struct ab_setting *s)
{
    for (int m = 0; m < s->n_methods; m++) {
        struct ab_error err;
        enum ab_status status =
            ab_method_fits(s->model->source.graph, run->methods[m], s->model->at, &err);
        s->supported[m] = status == AB_OK;
        if (status != AB_OK) snprintf(s->refused[m], sizeof s->refused[m], "%.250s", err.text);
    }
}

static bool allocate(const struct ab_run *run, struct ab_setting *s)
{
    size_t n = (size_t)s->n_methods, count = ab_setting_maps_count(s);
    s->supported = calloc(n, 1);
    s->refused = calloc(n, sizeof *s->refused);
    s->reference = calloc(n, sizeof *s->reference);
    if (!s->supported || !s->refused || !s->reference) return false;
    for (int b = 0; b < run->n_backends; b++) {
        struct ab_joint *j = &s->joint[b];
        j->maps = calloc(n, sizeof *j->maps);
        j->agreed = calloc(n, sizeof *j->agreed);
        if (!j->maps || !j->agreed) return false;
        for (int m = 0; m < s->n_methods; m++) {
            j->maps[m] = calloc(count, sizeof **j->maps);
            if (!j->maps[m]) return false;
        }
        skip_all(j, s->n_methods, "not judged");
    }
    return true;
}

/* The supported methods, and where each stands in the full list. */
struct subset {
    const struct ab_method **methods;
    int *index, count;
};

static bool choose(const struct ab_run *run, const struct ab_setting *s, struct subset *set)
{
    set->count = 0;
    set->methods = calloc((size_t)s->n_methods, sizeof *set->methods);
    set->index = calloc((size_t)s->n_methods, sizeof *set->index);
    if (!set->methods || !set->index) return false;
    for (int m = 0; m < s->n_methods; m++) {
        if (!s->supported[m]) continue;
        set->index[set->count] = m;
        set->methods[set->count++] = run->methods[m];
    }
    return set->count > 0;
}

static enum ab_status execute_joint(const struct ab_run *run, struct ab_setting *s,
                                    const struct subset *set, int b, struct ab_plan **plan,
                                    struct ab_error *err)
{
    /* oneDNN's choice of algorithms, and so its bits, depend on the number of threads: the one that
     * is timed first. Elsewhere they do not, and all cores help. */
    bool fixed = !strcmp(run->backends[b], "onednn");
    const struct ab_counts *threads = &run->settings->threads;
    int timed = threads->count ? threads->items[0] : 1;
    const int targets = s->model->targets.count;
    const int used = fixed ? timed : run->machine.cores;
    struct ab_plan_options options = ab_run_plan_options(run, s, b, used);
    options.retain = true;
    float **maps = calloc((size_t)(set->count * targets), sizeof *maps);
    if (!maps) return ab_fail(err, AB_ERR_MEMORY, "out of memory for maps");
    for (int i = 0; i < set->count; i++)
        ab_setting_split(s, s->joint[b].maps[set->index[i]], maps + i * targets);
    ab_run_denormals(run, true, used);
    enum ab_status status =
        ab_plan_create(s->model->source.graph, set->methods, set->count, &options, plan, err);
    const double start = ab_now_ns();
    if (status == AB_OK) status = ab_plan_execute(*plan, s->input, s->targets, maps, NULL, err);
    s->joint[b].seconds = (ab_now_ns() - start) / 1e9;
    ab_run_denormals(run, false, used);
    s->joint[b].ran = status == AB_OK;
    free(maps);
    return status;
}

/* The worst of `targets` verdicts on one method's maps. */
static struct ab_agreement worst_of(const struct ab_agreement *each, int targets)
{
    struct ab_agreement all = each[0];
    for (int t = 1; t < targets; t++) ab_agreement_merge(&all, &each[t]);
    return all;
}

static void judge_joint(const struct ab_run *run, struct ab_setting *s, const struct subset *set,
                        struct ab_referee *referee, int b)
{
    struct ab_joint *j = &s->joint[b];
    struct ab_plan *plan = NULL;
    struct ab_error err;
    const int targets = s->model->targets.count;
    struct ab_agreement *results = calloc((size_t)(set->count * targets), sizeof *results);
    enum ab_status status = results ? execute_joint(run, s, set, b, &plan, &err)
                                    : ab_fail(&err, AB_ERR_MEMORY, "out of memory");
    if (status == AB_OK) status = ab_referee_judge(referee, plan, results, &err);
    for (int i = 0; status == AB_OK && i < set->count; i++)
        j->agreed[set->index[i]] = worst_of(results + i * targets, targets);
    if (status != AB_OK) {
        snprintf(j->error, sizeof j->error, "%s", err.text);
        skip_all(j, s->n_methods, err.text);
    }
    ab_plan_destroy(&plan);
    free(results);
}

static bool is_reference(const char *backend)
{
    return !strcmp(backend, "reference");
}

static void keep_reference(struct ab_setting *s, const struct subset *set,
                           const struct ab_referee *referee)
{
    size_t bytes = ab_setting_maps_count(s) * sizeof(double);
    for (int i = 0; i < set->count; i++) {
        double *copy = malloc(bytes);
        if (copy) memcpy(copy, ab_referee_map(referee, i * s->model->targets.count), bytes);
        s->reference[set->index[i]] = copy;
    }
}

/* `methods` on the setting's images and targets. */
static struct ab_judged case_of(const struct ab_setting *s, const struct ab_method *const *methods,
                                int n_methods)
{
    const struct ab_graph *graph = s->model->source.graph;
    return (struct ab_judged){.methods = methods,
                              .n_methods = n_methods,
                              .batch = s->batch,
                              .n_targets = s->model->targets.count,
                              .input = s->input,
                              .targets = s->targets,
                              .at = s->model->at ? graph->nodes[s->model->at].name : NULL,
                              .stopped = ab_interrupt_asked};
}

static void judge_all(struct ab_run *run, struct ab_setting *s, const struct subset *set,
                      double weight)
{
    struct ab_referee *referee = NULL;
    struct ab_error err;
    const char *name = s->model->source.name;
    ab_progress_step(0, "%s: reference of %d methods in double precision", name, set->count);
    double start = ab_now_ns();
    const struct ab_judged judged = case_of(s, set->methods, set->count);
    enum ab_status status = ab_referee_create(s->model->source.graph, &judged, run->machine.cores,
                                              *run->cache ? run->cache : NULL, &referee, &err);
    if (status != AB_OK) {
        snprintf(s->referee_error, sizeof s->referee_error, "%s", err.text);
        if (!ab_interrupted) ab_complain(AB_EXIT_ERROR, "%s: no reference: %s", name, err.text);
    } else {
        s->reference_seconds = (ab_now_ns() - start) / 1e9;
        keep_reference(s, set, referee);
    }
    for (int b = 0; b < run->n_backends; b++) {
        if (is_reference(run->backends[b]) || status != AB_OK || ab_interrupted) continue;
        ab_progress_step(weight / (run->n_backends + 1), "%s: judging %s", name, run->backends[b]);
        judge_joint(run, s, set, referee, b);
    }
    ab_referee_destroy(&referee);
    ab_progress_step(weight / (run->n_backends + 1), "%s: judged", name);
}

void ab_setting_prepare(struct ab_run *run, struct ab_setting *s)
{
    if (s->prepared) return;
    s->prepared = true;
    struct subset set = {0};
    if (!allocate(run, s)) {
        snprintf(s->referee_error, sizeof s->referee_error, "out of memory for the maps");
        return;
    }
    find_supported(run, s);
    ab_pin_release(run->pin);
    if (!run->settings->no_agree && choose(run, s, &set)) judge_all(run, s, &set, s->weight);
    free(set.methods);
    free(set.index);
}

void ab_setting_free(struct ab_setting *s)
{
    for (int b = 0; b < AB_MAX_BACKENDS; b++) {
        for (int m = 0; s->joint[b].maps && m < s->n_methods; m++) free(s->joint[b].maps[m]);
        free(s->joint[b].maps);
        free(s->joint[b].agreed);
    }
    for (int m = 0; s->reference && m < s->n_methods; m++) free(s->reference[m]);
    free(s->reference);
    free(s->supported);
    free(s->refused);
    free(s->input);
    free(s->targets);
}

/* Compares a map with the reference's own, decisions not replayed. */
static void compare(const struct ab_setting *s, const struct ab_method *method, int m,
                    const float *map, struct ab_agreement *result)
{
    size_t count = ab_setting_maps_count(s);
    double *got = malloc(count * sizeof *got);
    if (!got || !s->reference[m]) {
        snprintf(result->why, sizeof result->why, "%.150s",
                 *s->referee_error ? s->referee_error : "no reference");
        free(got);
        return;
    }
    for (size_t i = 0; i < count; i++) got[i] = (double)map[i];
    for (int t = 0; t < s->model->targets.count; t++) {
        const size_t at = (size_t)t * ab_setting_map_count(s);
        struct ab_agreement one;
        ab_agree_maps(s->reference[m] + at, got + at, s->batch, s->model->map,
                      ab_agree_limits(&method->composite, s->model->source.graph), &one);
        if (t)
            ab_agreement_merge(result, &one);
        else
            *result = one;
    }
    free(got);
}

/* A plan of this method alone, judged; false if it does not reproduce `map`. */
static bool judge_alone(struct ab_run *run, struct ab_setting *s, int b, int m, int threads,
                        const float *map, struct ab_agreement *result)
{
    const struct ab_method *method = run->methods[m];
    struct ab_agreement results[AB_MAX_TARGETS];
    float *maps[AB_MAX_TARGETS];
    struct ab_plan_options options = ab_run_plan_options(run, s, b, threads);
    options.retain = true;
    const struct ab_graph *graph = s->model->source.graph;
    struct ab_plan *plan = NULL;
    struct ab_referee *referee = NULL;
    float *own = malloc(ab_setting_maps_count(s) * sizeof *own);
    ab_run_denormals(run, true, threads);
    enum ab_status status =
        own ? ab_plan_create(graph, &method, 1, &options, &plan, NULL) : AB_ERR_MEMORY;
    if (own) ab_setting_split(s, own, maps);
    if (status == AB_OK) status = ab_plan_execute(plan, s->input, s->targets, maps, NULL, NULL);
    ab_run_denormals(run, false, threads);
    bool same = status == AB_OK && !memcmp(own, map, ab_setting_maps_count(s) * sizeof *own);
    const struct ab_judged judged = case_of(s, &method, 1);
    if (same)
        status = ab_referee_create(graph, &judged, run->machine.cores,
                                   *run->cache ? run->cache : NULL, &referee, NULL);
    if (same && status == AB_OK) status = ab_referee_judge(referee, plan, results, NULL);
    if (same && status == AB_OK) *result = worst_of(results, s->model->targets.count);
    ab_referee_destroy(&referee);
    ab_plan_destroy(&plan);
    free(own);
    return same && status == AB_OK;
}

void ab_setting_judge(struct ab_run *run, struct ab_setting *s, int b, int m, int threads,
                      const float *map, struct ab_agreement *result)
{
    const struct ab_joint *j = &s->joint[b];
    result->verdict = AB_SKIPPED;
    if (run->settings->no_agree) {
        snprintf(result->why, sizeof result->why, "--no-agree");
        return;
    }
    if (is_reference(run->backends[b])) {
        compare(s, run->methods[m], m, map, result);
        return;
    }
    if (!memcmp(j->maps[m], map, ab_setting_maps_count(s) * sizeof *map) || *s->referee_error) {
        *result = j->agreed[m];
        return;
    }
    ab_pin_release(run->pin);
    if (!judge_alone(run, s, b, m, threads, map, result))
        compare(s, run->methods[m], m, map, result);
}
