// SPDX-License-Identifier: Apache-2.0
// Timing a candidate on memory of its own, given back at once.
#include "backend/onednn_linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* Runs are repeated until one of these is reached; the fastest counts. */
enum { MAX_RUNS = 4 };
static const double enough_ns = 30e6;
/* The first run also warms up, so it condemns only what is far slower; but a run too long for that
 * to matter is the last if it is no better than the best so far: between equals any may win. */
static const double hopeless = 1.5, long_ns = 4e6;

enum { BUFFERS = 32, REORDERS = 4, HUGE_PAGE = 1 << 21 };

/* Everything a candidate needs to run once. */
struct rig {
    void *buffer[BUFFERS];
    int n_buffers;
    dnnl_memory_t memory[BUFFERS];
    int n_memory;
    dnnl_primitive_t prim;
    dnnl_exec_arg_t args[10];
    int n_args;
    struct reorder {
        dnnl_primitive_t prim;
        dnnl_exec_arg_t args[3];
        int n_args;
    } reorder[REORDERS];
    int n_reorders;
    struct ab_onednn_slot dst, operand[2][2], tau; /* operands a and z of each stage */
    struct ab_onednn_action stage[2];
    int n_stages;
};

/* Written zeros: pages that exist, values that no instruction slows down for. */
static void *take(struct rig *r, size_t bytes)
{
    const size_t unit = bytes < HUGE_PAGE ? 64 : HUGE_PAGE;
    const size_t size = (bytes + unit) / unit * unit;
    void *p = r->n_buffers < BUFFERS ? aligned_alloc(unit, size) : NULL;
    if (!p) return NULL;
    if (unit == HUGE_PAGE) madvise(p, size, MADV_HUGEPAGE);
    memset(p, 0, size);
    return r->buffer[r->n_buffers++] = p;
}

static bool add_memory(const struct ab_onednn *o, struct rig *r, const ab_md *md, void *data,
                       int id, dnnl_exec_arg_t *arg)
{
    if (!data) data = take(r, dnnl_memory_desc_get_size(md));
    if (!data || dnnl_memory_create(&r->memory[r->n_memory], md, o->engine, data)) return false;
    *arg = (dnnl_exec_arg_t){id, r->memory[r->n_memory++]};
    return true;
}

static bool add_scratch(const struct ab_onednn *o, struct rig *r, const_dnnl_primitive_desc_t pd,
                        dnnl_exec_arg_t *args, int *n)
{
    const ab_md *md = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    if (!md || dnnl_memory_desc_get_size(md) == 0) return true;
    return add_memory(o, r, md, NULL, DNNL_ARG_SCRATCHPAD, &args[(*n)++]);
}

static bool add_reorder(struct ab_onednn *o, struct rig *r, int id, const ab_md *md, void *data)
{
    dnnl_primitive_desc_t pd = NULL;
    const ab_md *from = o->values[id]->md;
    if (r->n_reorders == REORDERS ||
        dnnl_reorder_primitive_desc_create(&pd, from, o->engine, md, o->engine, o->attr)) {
        return false;
    }
    struct reorder *re = &r->reorder[r->n_reorders++];
    const bool made = add_memory(o, r, from, NULL, DNNL_ARG_FROM, &re->args[re->n_args++]) &&
                      add_memory(o, r, md, data, DNNL_ARG_TO, &re->args[re->n_args++]) &&
                      add_scratch(o, r, pd, re->args, &re->n_args) &&
                      !dnnl_primitive_create(&re->prim, pd);
    dnnl_primitive_desc_destroy(pd);
    return made;
}

/* Memory that stands for value `id` in format md, with the reorder it takes, if any. */
static void *operand(struct ab_onednn *o, struct rig *r, int id, const ab_md *md)
{
    void *data = take(r, dnnl_memory_desc_get_size(md));
    const bool there = data && (ab_onednn_has(o, id, md) || add_reorder(o, r, id, md, data));
    return there ? data : NULL;
}

/* The stages that are not post-ops. */
static bool add_stages(struct ab_onednn *o, const struct ab_step *s, int fused, struct rig *r)
{
    struct ab_onednn_stage stage[2];
    const int n = ab_onednn_stages(s, stage);
    if (fused < n) r->tau.data = take(r, sizeof(float) * (size_t)o->exec->batch);
    for (int i = fused; i < n; i++) {
        int id[2];
        ab_onednn_operands(s, &stage[i], id);
        for (int k = 0; k < 2; k++) {
            r->operand[i][k].md = r->dst.md;
            if (id[k] < 0) continue;
            r->operand[i][k].data = operand(o, r, id[k], r->dst.md);
            if (!r->operand[i][k].data) return false;
        }
        struct ab_onednn_action *a = &r->stage[r->n_stages++];
        *a = (struct ab_onednn_action){.x = &r->dst,
                                       .dst = &r->dst,
                                       .a = &r->operand[i][0],
                                       .z = &r->operand[i][1],
                                       .tau = &r->tau,
                                       .kind = stage[i].kind,
                                       .eps = 1,
                                       .scale = 1};
        a->kernel = ab_onednn_flat_kernel(o->exec, a->kind);
    }
    return fused == n || r->tau.data;
}

static bool build(struct ab_onednn *o, const struct ab_step *s, const struct ab_onednn_candidate *c,
                  struct rig *r)
{
    struct ab_onednn_role role[8];
    const int n = ab_onednn_roles(s, c, role);
    for (int i = 0; i < n; i++) {
        const bool is_operand = role[i].what == AB_ROLE_X || role[i].what == AB_ROLE_OPERAND;
        void *data = is_operand ? operand(o, r, role[i].value, role[i].md)
                                : take(r, dnnl_memory_desc_get_size(role[i].md));
        if (!data || !add_memory(o, r, role[i].md, data, role[i].id, &r->args[r->n_args++])) {
            return false;
        }
        if (role[i].what == AB_ROLE_DST) {
            r->dst.md = (ab_md *)(uintptr_t)role[i].md;
            r->dst.data = data;
        }
    }
    struct ab_onednn_stage stage[2];
    ab_onednn_stages(s, stage);
    if (c->sum && !add_reorder(o, r, stage[0].a, r->dst.md, r->dst.data)) return false;
    return add_scratch(o, r, c->pd, r->args, &r->n_args) &&
           !dnnl_primitive_create(&r->prim, c->pd) && add_stages(o, s, c->fused, r);
}

static void dismantle(struct rig *r)
{
    if (r->prim) dnnl_primitive_destroy(r->prim);
    for (int i = 0; i < r->n_reorders; i++) {
        if (r->reorder[i].prim) dnnl_primitive_destroy(r->reorder[i].prim);
    }
    for (int i = 0; i < r->n_memory; i++) dnnl_memory_destroy(r->memory[i]);
    for (int i = 0; i < r->n_buffers; i++) free(r->buffer[i]);
}

static bool run_once(const struct ab_onednn *o, const struct rig *r)
{
    for (int i = 0; i < r->n_reorders; i++) {
        const struct reorder *re = &r->reorder[i];
        if (dnnl_primitive_execute(re->prim, o->stream, re->n_args, re->args)) return false;
    }
    if (dnnl_primitive_execute(r->prim, o->stream, r->n_args, r->args)) return false;
    for (int i = 0; i < r->n_stages; i++) ab_onednn_flat(o->exec, &r->stage[i]);
    return !dnnl_stream_wait(o->stream);
}

/* Of one thread, the time it ran: other processes' turns do not count. */
static double now_ns(const struct ab_exec *exec)
{
    struct timespec t;
    clock_gettime(exec->threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

double ab_onednn_time(struct ab_onednn *o, const struct ab_step *s,
                      const struct ab_onednn_candidate *c, double best)
{
    struct rig r = {0};
    double fastest = INFINITY, total = 0;
    const bool built = build(o, s, c, &r);
    for (int i = 0; built && i < MAX_RUNS && total < enough_ns; i++) {
        const double start = now_ns(o->exec);
        if (!run_once(o, &r)) break;
        const double ns = now_ns(o->exec) - start;
        if (ns < fastest) fastest = ns;
        total += ns;
        if (ns > hopeless * best || (ns > long_ns && ns > best)) break;
    }
    dismantle(&r);
    return fastest;
}
