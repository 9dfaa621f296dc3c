// SPDX-License-Identifier: Apache-2.0
// Timing a candidate on memory of its own, given back at once.
#include "backend/onednn_linear.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Runs are repeated until one of these is reached; the fastest counts. Two runs of a layer of tens
 * of milliseconds suffice: alternatives that differ by less than noise are equally good. */
enum { MAX_RUNS = 4 };
static const double enough_ns = 30e6;
/* The first run also warms up, so it condemns only what is far slower. */
static const double hopeless = 1.5;

enum { BUFFERS = 12, HUGE_PAGE = 1 << 21 };

/* Everything a candidate needs to run once. */
struct rig {
    void *buffer[BUFFERS];
    int n_buffers;
    dnnl_memory_t memory[BUFFERS];
    int n_memory;
    dnnl_primitive_t prim, reorder;
    dnnl_exec_arg_t args[BUFFERS], reorder_args[3];
    int n_args, n_reorder_args;
    struct ab_onednn_slot dst, operand, tau;
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
    if (dnnl_reorder_primitive_desc_create(&pd, from, o->engine, md, o->engine, o->attr)) {
        return false;
    }
    const bool made =
        add_memory(o, r, from, NULL, DNNL_ARG_FROM, &r->reorder_args[r->n_reorder_args++]) &&
        add_memory(o, r, md, data, DNNL_ARG_TO, &r->reorder_args[r->n_reorder_args++]) &&
        add_scratch(o, r, pd, r->reorder_args, &r->n_reorder_args) &&
        !dnnl_primitive_create(&r->reorder, pd);
    dnnl_primitive_desc_destroy(pd);
    return made;
}

/* The stages that are not post-ops, with one operand standing for all. */
static bool add_stages(const struct ab_onednn *o, const struct ab_step *s, int fused, struct rig *r)
{
    struct ab_onednn_stage stage[2];
    const int n = ab_onednn_stages(s, stage);
    if (fused == n) return true;
    r->operand = r->dst;
    r->operand.data = take(r, dnnl_memory_desc_get_size(r->dst.md));
    r->tau.data = take(r, sizeof(float) * (size_t)o->exec->batch);
    for (int i = fused; i < n; i++) {
        struct ab_onednn_action *a = &r->stage[r->n_stages++];
        *a = (struct ab_onednn_action){.x = &r->dst,
                                       .dst = &r->dst,
                                       .a = &r->operand,
                                       .z = &r->operand,
                                       .tau = &r->tau,
                                       .kind = stage[i].kind,
                                       .eps = 1,
                                       .scale = 1};
        a->kernel = ab_onednn_flat_kernel(o->exec, a->kind);
    }
    return r->operand.data && r->tau.data;
}

static bool build(struct ab_onednn *o, const struct ab_step *s, const struct ab_onednn_candidate *c,
                  struct rig *r)
{
    struct ab_onednn_role role[8];
    const int n = ab_onednn_roles(s, c, role);
    for (int i = 0; i < n; i++) {
        if (!add_memory(o, r, role[i].md, NULL, role[i].id, &r->args[r->n_args++])) return false;
        void *data = r->buffer[r->n_buffers - 1];
        if (role[i].what == AB_ROLE_DST) {
            r->dst.md = (ab_md *)(uintptr_t)role[i].md;
            r->dst.data = data;
        }
        if (role[i].what == AB_ROLE_X && !ab_onednn_has(o, s->x, role[i].md) &&
            !add_reorder(o, r, s->x, role[i].md, data)) {
            return false;
        }
    }
    return add_scratch(o, r, c->pd, r->args, &r->n_args) &&
           !dnnl_primitive_create(&r->prim, c->pd) && add_stages(o, s, c->fused, r);
}

static void dismantle(struct rig *r)
{
    if (r->prim) dnnl_primitive_destroy(r->prim);
    if (r->reorder) dnnl_primitive_destroy(r->reorder);
    for (int i = 0; i < r->n_memory; i++) dnnl_memory_destroy(r->memory[i]);
    for (int i = 0; i < r->n_buffers; i++) free(r->buffer[i]);
}

static bool run_once(const struct ab_onednn *o, const struct rig *r)
{
    if (r->reorder &&
        dnnl_primitive_execute(r->reorder, o->stream, r->n_reorder_args, r->reorder_args)) {
        return false;
    }
    if (dnnl_primitive_execute(r->prim, o->stream, r->n_args, r->args)) return false;
    for (int i = 0; i < r->n_stages; i++) ab_onednn_flat(o->exec, &r->stage[i]);
    return !dnnl_stream_wait(o->stream);
}

double ab_onednn_time(struct ab_onednn *o, const struct ab_step *s,
                      const struct ab_onednn_candidate *c, double best)
{
    struct rig r = {0};
    double fastest = INFINITY, total = 0;
    const bool built = build(o, s, c, &r);
    for (int i = 0; built && i < MAX_RUNS && total < enough_ns; i++) {
        const double start = omp_get_wtime();
        if (!run_once(o, &r)) break;
        const double ns = 1e9 * (omp_get_wtime() - start);
        if (ns < fastest) fastest = ns;
        total += ns;
        if (ns > hopeless * best) break;
    }
    dismantle(&r);
    return fastest;
}
