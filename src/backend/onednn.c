// SPDX-License-Identifier: Apache-2.0
// The oneDNN backend: oneDNN's primitives in the formats it chooses, post-ops where it has them,
// the fastest of its alternatives, and attrbench's own pointwise kernels between.
//
// Threads: oneDNN takes OpenMP's current maximum, both when a primitive is made and when it runs;
// it is set to the plan's around every call and restored.
#include "backend/onednn_linear.h"

#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Everything a step does is prepared by one of these, while the plan is opened. */
static void (*const prepare[AB_OP_COUNT])(struct ab_onednn *, const struct ab_step *) = {
    [AB_OP_INPUT] = ab_onednn_input,     [AB_OP_BASELINE] = ab_onednn_input,
    [AB_OP_FILL] = ab_onednn_fill,       [AB_OP_CONV] = ab_onednn_linear,
    [AB_OP_DENSE] = ab_onednn_linear,    [AB_OP_POINTWISE] = ab_onednn_pointwise,
    [AB_OP_MAXPOOL] = ab_onednn_maxpool, [AB_OP_WINNERS] = ab_onednn_winners,
    [AB_OP_AVGPOOL] = ab_onednn_avgpool, [AB_OP_FLATTEN] = ab_onednn_flatten,
    [AB_OP_CONCAT] = ab_onednn_concat,   [AB_OP_SLICE] = ab_onednn_slice,
    [AB_OP_PAD] = ab_onednn_pad,         [AB_OP_TAU] = ab_onednn_tau,
    [AB_OP_SEED] = ab_onednn_seed,       [AB_OP_SIGNAL] = ab_onednn_signal,
    [AB_OP_HOST] = ab_onednn_host,       [AB_OP_OUTPUT] = ab_onednn_output,
};

static char version_text[32];

static void write_version(void)
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(version_text, sizeof version_text, "%d.%d.%d", v->major, v->minor, v->patch);
}

static const char *onednn_version(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, write_version);
    return version_text;
}

/* ---- opening ---- */

/* oneDNN's instruction sets are capped for the whole process, before anything else of it is used:
 * even asking for them fixes them. A plan made later without a cap keeps it; kernel names tell. */
static enum ab_status cap_isa(unsigned isas, struct ab_error *err)
{
#if defined(__x86_64__)
    const unsigned missing = ab_cpu_isas() & ~isas;
    const bool avx2 = isas >> AB_ISA_avx2 & 1;
    if (!(missing >> AB_ISA_avx512 & 1) && !(missing >> AB_ISA_avx2 & 1)) return AB_OK;
    const dnnl_cpu_isa_t cap = avx2 ? dnnl_cpu_isa_avx2 : dnnl_cpu_isa_sse41;
    if (!dnnl_set_max_cpu_isa(cap)) return AB_OK;
    const dnnl_cpu_isa_t now = dnnl_get_effective_cpu_isa();
    if ((now & cap) == now) return AB_OK;
    return ab_fail(
        err, AB_ERR_UNSUPPORTED,
        "oneDNN's instruction sets are fixed at its first use in a process and have been "
        "used unrestricted; set ONEDNN_MAX_CPU_ISA=%s in the environment",
        avx2 ? "AVX2" : "SSE41");
#else
    (void)isas;
    (void)err;
    return AB_OK;
#endif
}

static const char *onednn_hold(enum ab_isa isa)
{
#if defined(__x86_64__)
    const dnnl_cpu_isa_t cap = isa == AB_ISA_avx512 ? dnnl_cpu_isa_avx512_core
                               : isa == AB_ISA_avx2 ? dnnl_cpu_isa_avx2
                                                    : dnnl_cpu_isa_sse41;
    if (isa != AB_ISA_COUNT) dnnl_set_max_cpu_isa(cap);
#else
    (void)isa;
#endif
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41: return "SSE41";
    case dnnl_cpu_isa_avx: return "AVX";
    case dnnl_cpu_isa_avx2: return "AVX2";
    case dnnl_cpu_isa_avx2_vnni: return "AVX2_VNNI";
    case dnnl_cpu_isa_avx512_core: return "AVX512_CORE";
    case dnnl_cpu_isa_avx512_core_vnni: return "AVX512_CORE_VNNI";
    case dnnl_cpu_isa_avx512_core_bf16: return "AVX512_CORE_BF16";
    default: return "ALL";
    }
}

static void free_actions(struct ab_onednn_action *a)
{
    while (a) {
        struct ab_onednn_action *next = a->next;
        if (a->prim) dnnl_primitive_destroy(a->prim);
        free(a->args);
        free(a);
        a = next;
    }
}

static void free_tables(struct ab_onednn *o)
{
    const struct ab_program *p = o->exec->program;
    for (int i = 0; o->steps && i < p->n_steps; i++) free_actions(o->steps[i].first);
    for (int v = 0; o->pools && v < p->n_values; v++) {
        if (o->pools[v]) dnnl_primitive_desc_destroy(o->pools[v]);
    }
    for (struct ab_onednn_slot *s = o->slots, *next; s; s = next) {
        next = s->next;
        if (s->mem) dnnl_memory_destroy(s->mem);
        ab_md_free(s->md);
        free(s);
    }
    for (struct ab_onednn_param *s = o->params, *next; s; s = next) {
        next = s->next;
        free(s);
    }
    free(o->steps);
    free(o->pools);
    free(o->values);
}

static void onednn_close(struct ab_exec *exec)
{
    struct ab_onednn *o = exec->state;
    if (!o) return;
    free_tables(o);
    if (o->attr) dnnl_primitive_attr_destroy(o->attr);
    if (o->stream) dnnl_stream_destroy(o->stream);
    if (o->engine) dnnl_engine_destroy(o->engine);
    free(o);
    exec->state = NULL;
}

static bool make_tables(struct ab_onednn *o)
{
    const struct ab_program *p = o->exec->program;
    o->values = calloc((size_t)p->n_values, sizeof *o->values);
    o->pools = calloc((size_t)p->n_values, sizeof *o->pools);
    o->steps = calloc((size_t)p->n_steps, sizeof *o->steps);
    if (!o->values || !o->pools || !o->steps) return false;
    for (int i = 0; i < p->n_steps; i++) o->steps[i].last = &o->steps[i].first;
    return true;
}

static dnnl_status_t make_engine(struct ab_onednn *o)
{
    dnnl_status_t status = dnnl_engine_create(&o->engine, dnnl_cpu, 0);
    if (!status) status = dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags);
    if (!status) status = dnnl_primitive_attr_create(&o->attr);
    if (!status) {
        status = dnnl_primitive_attr_set_scratchpad_mode(o->attr, dnnl_scratchpad_mode_user);
    }
    return status;
}

static void open_steps(struct ab_onednn *o)
{
    struct ab_program *p = o->exec->program;
    for (int v = 0; v < p->n_values; v++) p->values[v].bytes = 0;
    for (o->step = 0; o->step < p->n_steps && !o->status; o->step++) {
        const struct ab_step *s = &p->steps[o->step];
        prepare[s->op](o, s);
    }
}

static enum ab_status onednn_open(struct ab_exec *exec, struct ab_error *err)
{
    enum ab_status status = cap_isa(exec->isas, err);
    if (status) return status;
    struct ab_onednn *o = exec->state = calloc(1, sizeof *o);
    if (o) *o = (struct ab_onednn){.exec = exec, .err = err};
    if (!o || !make_tables(o)) {
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for the plan's tables");
    } else if (make_engine(o)) {
        status = ab_fail(err, AB_ERR_INTERNAL, "oneDNN %s: no CPU engine", onednn_version());
    } else {
        const int before = omp_get_max_threads();
        omp_set_num_threads(exec->threads);
        open_steps(o);
        ab_onednn_time_end(o);
        omp_set_num_threads(before);
        status = o->status;
        o->err = NULL;
    }
    if (status) onednn_close(exec);
    return status;
}

static enum ab_status onednn_pack(struct ab_exec *exec, struct ab_error *err)
{
    const struct ab_onednn *o = ab_onednn_of(exec);
    for (struct ab_onednn_slot *s = o->slots; s; s = s->next) {
        char *base = NULL;
        switch (s->base) {
        case AB_IN_VALUE:
            base = (char *)exec->arena + exec->program->values[s->value].offset;
            break;
        case AB_IN_WEIGHTS: base = exec->weights; break;
        case AB_IN_SCRATCH: base = (char *)exec->arena + exec->scratch_offset; break;
        case AB_IN_FOREIGN: break;
        }
        if (base) s->data = base + s->offset;
        if (s->data && dnnl_memory_set_data_handle(s->mem, s->data)) {
            return ab_fail(err, AB_ERR_INTERNAL, "oneDNN: binding memory failed");
        }
    }
    const int before = omp_get_max_threads();
    omp_set_num_threads(exec->threads);
    const enum ab_status status = ab_onednn_pack(exec, err);
    omp_set_num_threads(before);
    return status;
}

/* ---- running ---- */

static dnnl_status_t run_actions(const struct ab_exec *exec, const struct ab_onednn_action *a)
{
    const struct ab_onednn *o = ab_onednn_of(exec);
    dnnl_status_t status = dnnl_success;
    for (; a && !status; a = a->next) {
        status = a->own ? a->own(exec, a)
                        : dnnl_primitive_execute(a->prim, o->stream, a->n_args, a->args);
    }
    return status ? status : dnnl_stream_wait(o->stream);
}

static enum ab_status onednn_run(struct ab_exec *exec, const struct ab_step *step,
                                 struct ab_error *err)
{
    const struct ab_onednn *o = ab_onednn_of(exec);
    const struct ab_onednn_step *s = &o->steps[step - exec->program->steps];
    const int before = omp_get_max_threads();
    if (before != exec->threads) omp_set_num_threads(exec->threads);
    const dnnl_status_t status = run_actions(exec, s->first);
    if (before != exec->threads) omp_set_num_threads(before);
    if (!status) return AB_OK;
    return ab_fail(err, AB_ERR_INTERNAL, "oneDNN: %s failed in step %s%s%.80s (status %d)",
                   s->kernel, ab_op_name(step->op), step->node < 0 ? "" : ", layer ",
                   step->node < 0 ? "" : exec->graph->nodes[step->node].name, (int)status);
}

static const char *onednn_kernel(const struct ab_exec *exec, const struct ab_step *step)
{
    const char *name = ab_onednn_of(exec)->steps[step - exec->program->steps].kernel;
    return *name ? name : "copy";
}

const struct ab_backend ab_backend_onednn = {
    .name = "onednn",
    .summary = "oneDNN's primitives, the fastest of its alternatives for each layer",
    .fuse = true,
    .version = onednn_version,
    .open = onednn_open,
    .pack = onednn_pack,
    .run = onednn_run,
    .peek = ab_onednn_peek,
    .kernel = onednn_kernel,
    .close = onednn_close,
    .insist = ab_onednn_insist,
    .hold = onednn_hold,
};
