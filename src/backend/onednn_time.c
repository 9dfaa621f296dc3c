// SPDX-License-Identifier: Apache-2.0
// Timing a candidate on memory of its own, which the next one takes over: fresh pages of a large
// layer cost more than running it.
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

enum { MEMORIES = 32, REORDERS = 4, HUGE_PAGE = 1 << 21 };

struct ab_onednn_spare {
    void *data;
    size_t size;
    struct ab_onednn_spare *next;
};

/* Everything a candidate needs to run once. */
struct rig {
    struct ab_onednn_spare *buffers;
    dnnl_memory_t memory[MEMORIES];
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

/* A spare buffer that is not much too large, off its list; NULL: none. */
static struct ab_onednn_spare *reuse(struct ab_onednn *o, size_t size)
{
    for (struct ab_onednn_spare **at = &o->spare; *at; at = &(*at)->next) {
        struct ab_onednn_spare *s = *at;
        if (s->size < size || s->size / 2 > size) continue;
        *at = s->next;
        return s;
    }
    return NULL;
}

static struct ab_onednn_spare *allocate(size_t size, size_t unit)
{
    struct ab_onednn_spare *s = malloc(sizeof *s);
    void *data = s ? aligned_alloc(unit, size) : NULL;
    if (!data) {
        free(s);
        return NULL;
    }
    if (unit == HUGE_PAGE) madvise(data, size, MADV_HUGEPAGE);
    *s = (struct ab_onednn_spare){data, size, NULL};
    return s;
}

static void free_spares(struct ab_onednn_spare *s)
{
    while (s) {
        struct ab_onednn_spare *next = s->next;
        free(s->data);
        free(s);
        s = next;
    }
}

void ab_onednn_time_end(struct ab_onednn *o)
{
    free_spares(o->spare);
    o->spare = NULL;
}

/* Written zeros: pages that exist, values that no instruction slows down for. */
static void *take(struct ab_onednn *o, struct rig *r, size_t bytes)
{
    const size_t unit = bytes < HUGE_PAGE ? 64 : HUGE_PAGE;
    const size_t size = (bytes + unit) / unit * unit;
    struct ab_onednn_spare *s = reuse(o, size);
    if (!s) s = allocate(size, unit);
    if (!s) return NULL;
    memset(s->data, 0, size);
    s->next = r->buffers;
    r->buffers = s;
    return s->data;
}

static bool add_memory(struct ab_onednn *o, struct rig *r, const ab_md *md, void *data, int id,
                       dnnl_exec_arg_t *arg)
{
    if (!data) data = take(o, r, dnnl_memory_desc_get_size(md));
    if (!data || r->n_memory == MEMORIES ||
        dnnl_memory_create(&r->memory[r->n_memory], md, o->engine, data))
        return false;
    *arg = (dnnl_exec_arg_t){id, r->memory[r->n_memory++]};
    return true;
}

static bool add_scratch(struct ab_onednn *o, struct rig *r, const_dnnl_primitive_desc_t pd,
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
    void *data = take(o, r, dnnl_memory_desc_get_size(md));
    const bool there = data && (ab_onednn_has(o, id, md) || add_reorder(o, r, id, md, data));
    return there ? data : NULL;
}

/* The stages that are not post-ops. */
static bool add_stages(struct ab_onednn *o, const struct ab_step *s, int fused, struct rig *r)
{
    struct ab_onednn_stage stage[2];
    const int n = ab_onednn_stages(s, stage);
    if (fused < n) r->tau.data = take(o, r, sizeof(float) * (size_t)o->exec->batch);
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
                                : take(o, r, dnnl_memory_desc_get_size(role[i].md));
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

static void dismantle(struct ab_onednn *o, struct rig *r)
{
    if (r->prim) dnnl_primitive_destroy(r->prim);
    for (int i = 0; i < r->n_reorders; i++) {
        if (r->reorder[i].prim) dnnl_primitive_destroy(r->reorder[i].prim);
    }
    for (int i = 0; i < r->n_memory; i++) dnnl_memory_destroy(r->memory[i]);
    while (r->buffers) {
        struct ab_onednn_spare *s = r->buffers;
        r->buffers = s->next;
        s->next = o->spare;
        o->spare = s;
    }
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

static double now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* Of one thread, the time it ran: other processes' turns do not count. *whole: it had none; else
 * that time may be too short, since kernels deduct what a hypervisor takes when they hear of it. */
static double time_once(const struct ab_onednn *o, const struct rig *r, bool *whole)
{
    const double ran = now_ns(CLOCK_THREAD_CPUTIME_ID), start = now_ns(CLOCK_MONOTONIC);
    if (!run_once(o, r)) return INFINITY;
    const double ns = now_ns(CLOCK_MONOTONIC) - start;
    const double own = o->exec->threads == 1 ? now_ns(CLOCK_THREAD_CPUTIME_ID) - ran : ns;
    *whole = own >= ns;
    return fmin(own, ns);
}

double ab_onednn_time(struct ab_onednn *o, const struct ab_step *s,
                      const struct ab_onednn_candidate *c, double best)
{
    struct rig r = {0};
    double fastest = INFINITY, fastest_whole = INFINITY, total = 0;
    const bool built = build(o, s, c, &r);
    for (int i = 0; built && i < MAX_RUNS && total < enough_ns; i++) {
        bool whole = false;
        const double ns = time_once(o, &r, &whole);
        if (!isfinite(ns)) break;
        fastest = fmin(fastest, ns);
        if (whole) fastest_whole = fmin(fastest_whole, ns);
        total += ns;
        if (ns > hopeless * best || (ns > long_ns && ns > best)) break;
    }
    dismantle(o, &r);
    return isfinite(fastest_whole) ? fastest_whole : fastest;
}
