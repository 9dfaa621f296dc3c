// SPDX-License-Identifier: Apache-2.0
// Plans: choosing the backend, laying values into one arena by their lifetimes, executing.
#include "plan/plan.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/reference.h"
#include "plan/builder.h"

static const struct ab_backend *const backends[] = {
#define AB_BACKEND(name) &ab_backend_##name,
#include "backend/backends.def"
#undef AB_BACKEND
};

enum {
    BACKENDS = (int)(sizeof backends / sizeof backends[0]),
    MAX_BATCH = 1 << 16,
    MAX_THREADS = 1024
};

const struct ab_backend_info *ab_backends(int *count)
{
    static struct ab_backend_info infos[BACKENDS];
    for (int i = 0; i < BACKENDS; i++) {
        infos[i] = (struct ab_backend_info){backends[i]->name, backends[i]->summary,
                                            backends[i]->version()};
    }
    *count = BACKENDS;
    return infos;
}

/* ---- "name" or "name:isa" ---- */

static enum ab_status find_backend(const char *name, size_t length, const struct ab_backend **found,
                                   struct ab_error *err)
{
    char word[64], list[128] = "";
    const char *names[BACKENDS];
    snprintf(word, sizeof word, "%.*s", (int)length, name);
    for (int i = 0; i < BACKENDS; i++) {
        names[i] = backends[i]->name;
        *found = backends[i];
        if (strcmp(word, names[i]) == 0) return AB_OK;
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = ab_nearest(word, names, BACKENDS);
    return ab_fail(err, AB_ERR_ARG, "unknown backend '%s'%s%s%s; there are: %s", word,
                   near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "", list);
}

static void list_isas(unsigned isas, char *list, size_t size)
{
    list[0] = '\0';
    for (int i = 0; i < AB_ISA_COUNT; i++) {
        if (!(isas >> i & 1)) continue;
        const size_t used = strlen(list);
        snprintf(list + used, size - used, "%s%s", used ? ", " : "", ab_isa_name((enum ab_isa)i));
    }
}

/* `cap` admits the instruction sets up to the one it names, of those this CPU has. */
static enum ab_status cap_isas(const char *cap, unsigned *isas, struct ab_error *err)
{
    const unsigned have = ab_cpu_isas();
    char list[96];
    list_isas(have, list, sizeof list);
    for (int i = 0; i < AB_ISA_COUNT; i++) {
        if (strcmp(cap, ab_isa_name((enum ab_isa)i)) != 0) continue;
        if (!(have >> i & 1)) {
            return ab_fail(err, AB_ERR_UNSUPPORTED, "this CPU has no %s; it has: %s", cap, list);
        }
        *isas = i == AB_ISA_ref ? 1u << AB_ISA_ref : have & ((2u << i) - 1);
        return AB_OK;
    }
    return ab_fail(err, AB_ERR_ARG, "unknown instruction set '%.40s'; this CPU has: %s", cap, list);
}

static enum ab_status parse_backend(const char *text, const struct ab_backend **backend,
                                    unsigned *isas, struct ab_error *err)
{
    const char *colon = strchr(text, ':');
    const size_t length = colon ? (size_t)(colon - text) : strlen(text);
    const enum ab_status status = find_backend(text, length, backend, err);
    if (status) return status;
    *isas = ab_cpu_isas();
    return colon ? cap_isas(colon + 1, isas, err) : AB_OK;
}

enum ab_status ab_backend_known(const char *text, struct ab_error *err)
{
    const struct ab_backend *backend;
    unsigned isas;
    return parse_backend(text, &backend, &isas, err);
}

/* ---- the arena ---- */

struct lifetime {
    int id, from, to;
    size_t bytes;
};

/* Marks the values that steps of every execution read. */
static void find_read(const struct ab_program *p, bool *read)
{
    for (int i = 0; i < p->n_steps; i++) {
        const struct ab_step *s = &p->steps[i];
        for (int k = 0; k < ab_step_operand_count(s) && !s->constant; k++)
            if (ab_step_operand(s, k) >= 0) read[ab_step_operand(s, k)] = true;
    }
}

/* A gang is one moment: what its steps read and write lives from its first to its last. */
static int last_of(const struct ab_program *p, int step)
{
    if (step >= p->n_steps) return step;
    const int first = ab_gang_first(p, step);
    return first + ab_gang_size(p, first) - 1;
}

/* In steps. Constant ones run before all others, so that they come at negative times here; what the
 * others read of them lives on. */
static struct lifetime lifetime_of(const struct ab_program *p, int id, const bool *read)
{
    const struct ab_value *v = &p->values[id];
    const int end = p->n_steps;
    if (v->constant)
        return (struct lifetime){id, v->def - end, read[id] ? end : v->last_use - end, v->bytes};
    return (struct lifetime){id, ab_gang_first(p, v->def), last_of(p, v->last_use), v->bytes};
}

/* Largest first; equal sizes in order of birth, so that the layout is the same everywhere. */
static int by_size(const void *a, const void *b)
{
    const struct lifetime *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return x->id - y->id;
}

/* The lowest offset at which `one` overlaps no placed value that lives at the same time. */
static size_t place(const struct ab_program *p, const struct lifetime *placed, int count,
                    const struct lifetime *one)
{
    size_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < count; i++) {
            const struct lifetime *o = &placed[i];
            const size_t start = p->values[o->id].offset, end = start + o->bytes;
            const bool together = one->from <= o->to && o->from <= one->to;
            if (!together || at >= end || at + one->bytes <= start) continue;
            at = end;
            moved = true;
        }
    }
    return at;
}

static enum ab_status lay_arena(struct ab_plan *plan, bool retain, struct ab_error *err)
{
    struct ab_program *p = &plan->program;
    struct lifetime *lives = malloc(sizeof *lives * (size_t)(p->n_values + 1));
    bool *read = calloc((size_t)p->n_values + 1, sizeof *read);
    if (!lives || !read) {
        free(lives);
        free(read);
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for the plan's tables");
    }
    int count = 0;
    find_read(p, read);
    for (int id = 0; id < p->n_values; id++) {
        if (p->values[id].bytes) lives[count++] = lifetime_of(p, id, read);
    }
    qsort(lives, (size_t)count, sizeof *lives, by_size);
    bool overflow = false;
    plan->arena_bytes = 0;
    for (int i = 0; i < count; i++) {
        struct ab_value *v = &p->values[lives[i].id];
        v->offset = retain ? plan->arena_bytes : place(p, lives, i, &lives[i]);
        const size_t end = ab_add_size(v->offset, v->bytes, &overflow);
        if (end > plan->arena_bytes) plan->arena_bytes = end;
    }
    free(lives);
    free(read);
    plan->exec.scratch_offset = plan->arena_bytes;
    plan->arena_bytes = ab_add_size(plan->arena_bytes, plan->exec.scratch_bytes, &overflow);
    if (overflow)
        return ab_fail(err, AB_ERR_MEMORY, "batch %d needs more memory than can be addressed",
                       plan->exec.batch);
    return AB_OK;
}

static enum ab_status allocate(struct ab_plan *plan, enum ab_pages pages, struct ab_error *err)
{
    struct ab_exec *e = &plan->exec;
    e->weights = ab_buffer_alloc_pages(e->weight_bytes, pages);
    e->arena = ab_buffer_alloc_pages(plan->arena_bytes, pages);
    if ((e->weights || !e->weight_bytes) && (e->arena || !plan->arena_bytes)) return AB_OK;
    return ab_fail(err, AB_ERR_MEMORY,
                   "out of memory: the plan needs %.1f MB of packed weights and %.1f MB of "
                   "activations; lower the batch or the number of methods",
                   (double)e->weight_bytes / 1e6, (double)plan->arena_bytes / 1e6);
}

/* ---- life ---- */

static enum ab_status check_options(const struct ab_graph *graph, const struct ab_plan_options *o,
                                    struct ab_error *err)
{
    const int classes = ab_graph_classes(graph);
    if (o->targets < 0 || o->targets > classes) {
        return ab_fail(err, AB_ERR_ARG, "%d targets for each image: model '%.80s' has %d class%s",
                       o->targets, ab_graph_name(graph), classes, classes == 1 ? "" : "es");
    }
    if (o->batch < 0 || o->batch > MAX_BATCH) {
        return ab_fail(err, AB_ERR_ARG, "batch %d is outside 1..%d", o->batch, MAX_BATCH);
    }
    if (o->threads < 0 || o->threads > MAX_THREADS) {
        return ab_fail(err, AB_ERR_ARG, "threads %d is outside 1..%d", o->threads, MAX_THREADS);
    }
    if (o->pages != AB_PAGES_HUGE && o->pages != AB_PAGES_SMALL) {
        return ab_fail(err, AB_ERR_ARG, "pages %d: there are AB_PAGES_HUGE and AB_PAGES_SMALL",
                       (int)o->pages);
    }
    return AB_OK;
}

static enum ab_status run_constants(struct ab_plan *plan, struct ab_error *err)
{
    enum ab_status status = AB_OK;
    for (int i = 0; i < plan->program.n_steps && !status; i++) {
        const struct ab_step *s = &plan->program.steps[i];
        if (s->constant) status = plan->backend->run(&plan->exec, s, err);
    }
    return status;
}

static enum ab_status prepare(struct ab_plan *plan, const struct ab_method *const *methods,
                              int n_methods, const struct ab_plan_inside *inside,
                              const struct ab_plan_options *options, struct ab_error *err)
{
    struct ab_exec *e = &plan->exec;
    struct ab_walk walk = {.targets = options->targets};
    enum ab_status status = AB_OK;
    if (inside) {
        plan->inside = inside->signals > 0;
        walk.signals = inside->signals;
        walk.keep = inside->keep;
    }
    if (inside && inside->from) {
        status = ab_graph_find(e->graph, inside->from, &walk.from, err);
    }
    if (!status && options->at) status = ab_graph_find(e->graph, options->at, &walk.at, err);
    if (!status) status = ab_lower(e->graph, methods, n_methods, &walk, &plan->program, err);
    if (status) return status;
    ab_spreads *const spreads = e->direct ? NULL : plan->backend->spreads;
    /* A program that is not fused would compute the same, slower, and nobody would know. */
    if ((plan->backend->own && !ab_bits(&plan->program, spreads, e)) ||
        (plan->backend->fuse && !ab_fuse(&plan->program, plan->backend->own)) ||
        (plan->backend->run_gang && !e->lean && !ab_gangs(&plan->program)))
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for the plan's program");
    plan->logits = malloc(sizeof *plan->logits * ab_plan_value_count(plan, plan->program.logits));
    if (!plan->logits) return ab_fail(err, AB_ERR_MEMORY, "out of memory for the logits");
    status = plan->backend->open(e, err);
    if (!status) status = lay_arena(plan, options->retain, err);
    if (!status) status = allocate(plan, options->pages, err);
    if (!status) status = plan->backend->pack(e, err);
    if (!status) status = run_constants(plan, err);
    return status;
}

enum ab_status ab_single_create(const struct ab_graph *graph,
                                const struct ab_method *const *methods, int n_methods,
                                const struct ab_plan_options *options, struct ab_plan **plan,
                                struct ab_error *err)
{
    return ab_single_create_inside(graph, methods, n_methods, options, NULL, plan, err);
}

enum ab_status ab_single_create_inside(const struct ab_graph *graph,
                                       const struct ab_method *const *methods, int n_methods,
                                       const struct ab_plan_options *options,
                                       const struct ab_plan_inside *inside, struct ab_plan **plan,
                                       struct ab_error *err)
{
    static const struct ab_plan_options defaults = {0};
    *plan = NULL;
    if (!options) options = &defaults;
    enum ab_status status = check_options(graph, options, err);
    if (!status && inside && inside->from && inside->signals < 1)
        status = ab_fail(err, AB_ERR_ARG, "a walk from layer '%.80s' needs at least one signal",
                         inside->from);
    if (status) return status;
    struct ab_plan *p = calloc(1, sizeof *p);
    if (!p) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a plan");
    p->exec = (struct ab_exec){.graph = graph,
                               .program = &p->program,
                               .batch = options->batch ? options->batch : 1,
                               .threads = options->threads ? options->threads : 1,
                               .lean = options->memory == AB_MEMORY_LEAN};
    p->exec.direct = options->algo == AB_ALGO_DIRECT || p->exec.lean;
    status = parse_backend(options->backend ? options->backend : "native", &p->backend,
                           &p->exec.isas, err);
    if (!status) status = prepare(p, methods, n_methods, inside, options, err);
    if (status) ab_single_destroy(&p);
    *plan = p;
    return status;
}

void ab_single_destroy(struct ab_plan **plan)
{
    struct ab_plan *p = *plan;
    if (!p) return;
    if (p->exec.state) p->backend->close(&p->exec);
    ab_buffer_free(p->exec.weights);
    ab_buffer_free(p->exec.arena);
    ab_program_free(&p->program);
    free(p->logits);
    free(p);
    *plan = NULL;
}

struct ab_dims ab_single_map_dims(const struct ab_plan *plan, int map)
{
    return plan->program.values[plan->program.outputs[map]].dims;
}

void ab_single_memory(const struct ab_plan *plan, size_t *weights, size_t *arena)
{
    *weights = plan->exec.weight_bytes;
    *arena = plan->arena_bytes;
}

/* ---- executing ---- */

static bool wants_baseline(const struct ab_program *p)
{
    for (int i = 0; i < p->n_steps; i++)
        if (p->steps[i].op == AB_OP_BASELINE) return true;
    return false;
}

static enum ab_status check_baseline(const struct ab_plan *plan, struct ab_error *err)
{
    const struct ab_dims d = ab_graph_input(plan->exec.graph);
    const size_t image = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    const float *baseline = plan->exec.baseline;
    if (!wants_baseline(&plan->program)) return AB_OK;
    if (!baseline)
        return ab_fail(err, AB_ERR_ARG,
                       "a method has baseline=given, but the plan was given none; call "
                       "ab_plan_baseline before executing, or use baseline=V");
    for (size_t i = 0; i < image * (size_t)plan->exec.batch; i++) {
        if (isfinite(baseline[i])) continue;
        return ab_fail(err, AB_ERR_ARG,
                       "baseline %zu holds a value that is not finite (element %zu)", i / image,
                       i % image);
    }
    return AB_OK;
}

static enum ab_status check_input(const struct ab_plan *plan, const float *input,
                                  struct ab_error *err)
{
    const struct ab_dims d = ab_graph_input(plan->exec.graph);
    const size_t image = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    for (int n = 0; n < plan->exec.batch; n++) {
        for (size_t i = 0; i < image; i++) {
            if (isfinite(input[(size_t)n * image + i])) continue;
            return ab_fail(err, AB_ERR_ARG,
                           "image %d holds a value that is not finite (element %zu)", n, i);
        }
    }
    return AB_OK;
}

static enum ab_status check_targets(const struct ab_plan *plan, const int *targets,
                                    struct ab_error *err)
{
    const int classes = ab_graph_classes(plan->exec.graph), each = plan->program.targets;
    for (int i = 0; targets && i < plan->exec.batch * each; i++) {
        if (targets[i] >= classes) {
            return ab_fail(err, AB_ERR_ARG, "target %d of image %d is outside 0..%d", targets[i],
                           i / each, classes - 1);
        }
        if (targets[i] <= AB_TARGET_TOP - classes) {
            return ab_fail(err, AB_ERR_ARG,
                           "a target of image %d is the class of rank %d, but ranks go from 0 "
                           "(the highest) to %d",
                           i / each, AB_TARGET_TOP - targets[i], classes - 1);
        }
    }
    return AB_OK;
}

/* The signals of a walk from inside; all steps of them have one shape. */
static enum ab_status check_signals(const struct ab_plan *plan, struct ab_error *err)
{
    for (int i = 0; i < plan->program.n_steps; i++) {
        const struct ab_step *s = &plan->program.steps[i];
        if (s->op != AB_OP_SIGNAL) continue;
        if (!plan->exec.signals)
            return ab_fail(err, AB_ERR_ARG,
                           "the plan's walks begin inside the network and have no signals; give "
                           "them with ab_plan_signal before executing");
        const float *values = ab_exec_signal(&plan->exec, s);
        const size_t count = ab_plan_value_count(plan, s->dst);
        for (size_t k = 0; k < count; k++)
            if (!isfinite(values[k]))
                return ab_fail(err, AB_ERR_ARG,
                               "signal %d holds a value that is not finite (element %zu)",
                               s->channel, k);
    }
    return AB_OK;
}

enum ab_status ab_plan_check(const struct ab_plan *plan, const float *input, const int *targets,
                             struct ab_error *err)
{
    const enum ab_status status = check_input(plan, input, err);
    return status || plan->inside ? status : check_targets(plan, targets, err);
}

enum ab_status ab_plan_stop(struct ab_error *err)
{
    return ab_fail(err, AB_ERR_INTERNAL, "interrupted");
}

/* Runs all steps that are not constant. ns may be NULL; the first step of a gang has its time. */
static enum ab_status run_steps(struct ab_plan *plan, double *ns, struct ab_error *err)
{
    const struct ab_program *p = &plan->program;
    for (int i = 0, size; i < p->n_steps; i += size) {
        const struct ab_step *s = &p->steps[i];
        size = ab_gang_size(p, i);
        for (int k = i; ns && k < i + size; k++) ns[k] = 0;
        if (s->constant) continue;
        if (ab_exec_stopped(&plan->exec)) return ab_plan_stop(err);
        const double start = ns ? omp_get_wtime() : 0;
        const enum ab_status status = size > 1 ? plan->backend->run_gang(&plan->exec, s, size, err)
                                               : plan->backend->run(&plan->exec, s, err);
        if (status) return status;
        if (ns) ns[i] = 1e9 * (omp_get_wtime() - start);
    }
    return AB_OK;
}

/* Logits are few: the backend's export to doubles serves. */
static void copy_logits(const struct ab_plan *plan, float *logits)
{
    const size_t count = ab_plan_value_count(plan, plan->program.logits);
    plan->backend->peek(&plan->exec, plan->program.logits, plan->logits);
    for (size_t i = 0; i < count; i++) logits[i] = (float)plan->logits[i];
}

static enum ab_status execute(struct ab_plan *plan, const float *input, const int *targets,
                              float *const *maps, double *ns, struct ab_error *err)
{
    enum ab_status status = ab_plan_check(plan, input, targets, err);
    if (!status) status = check_signals(plan, err);
    if (!status) status = check_baseline(plan, err);
    if (status) return status;
    plan->exec.input = input;
    plan->exec.targets = targets;
    plan->exec.maps = maps;
    status = run_steps(plan, ns, err);
    plan->exec.input = NULL;
    plan->exec.targets = NULL;
    plan->exec.maps = NULL;
    return status;
}

enum ab_status ab_single_execute(struct ab_plan *plan, const float *input, const int *targets,
                                 float *const *maps, float *logits, struct ab_error *err)
{
    const enum ab_status status = execute(plan, input, targets, maps, NULL, err);
    if (!status && logits) copy_logits(plan, logits);
    return status;
}

enum ab_status ab_plan_profile(struct ab_plan *plan, const float *input, const int *targets,
                               double *ns, struct ab_error *err)
{
    return execute(plan, input, targets, NULL, ns, err);
}

void ab_plan_baseline(struct ab_plan *plan, const float *baseline)
{
    plan->exec.baseline = baseline;
}

/* ---- looking inside ---- */

size_t ab_plan_value_count(const struct ab_plan *plan, int id)
{
    const struct ab_value *v = &plan->program.values[id];
    const size_t n = (size_t)plan->exec.batch;
    if (v->dtype == AB_TAU) return n;
    return n * (size_t)v->dims.c * (size_t)v->dims.h * (size_t)v->dims.w;
}

void ab_plan_peek(const struct ab_plan *plan, int id, double *out)
{
    plan->backend->peek(&plan->exec, id, out);
}

struct ab_view_f64 ab_plan_view(const struct ab_plan *plan, int id)
{
    return ab_reference_map(&plan->exec, id)->view;
}

void ab_plan_signal(struct ab_plan *plan, const float *values)
{
    plan->exec.signals = values;
}

int ab_plan_activation(const struct ab_plan *plan, int node)
{
    return plan->program.activations[node];
}

int ab_plan_signal_at(const struct ab_plan *plan, int map, int node)
{
    return plan->program.signals[map * plan->program.n_nodes + node];
}

void ab_plan_force(struct ab_plan *plan, const void *const *forced)
{
    plan->exec.forced = forced;
}

const char *ab_plan_kernel(const struct ab_plan *plan, int step)
{
    return plan->backend->kernel(&plan->exec, &plan->program.steps[step]);
}

double ab_step_flops(const struct ab_plan *plan, const struct ab_step *step)
{
    if (step->node < 0 || step->kind == AB_PW_REST_BITS) return 0;
    const struct ab_node *node = &plan->exec.graph->nodes[step->node];
    const struct ab_conv2d_shape *s = &node->conv;
    double macs = 0;
    if (step->op == AB_OP_CONV) {
        macs = (double)s->oh * s->ow * s->oc * (s->ic / s->g) * s->kh * s->kw;
    } else if (step->op == AB_OP_DENSE) {
        macs = (double)node->wei_count;
    }
    return 2 * macs * plan->exec.batch;
}
