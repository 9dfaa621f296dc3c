// SPDX-License-Identifier: Apache-2.0
// The oneDNN backend's steps that move data: the image, maps, vectors, channels, borders, seeds.
#include "backend/host.h"
#include "backend/onednn.h"
#include "backend/seed.h"

#include <string.h>

static size_t count_of(const struct ab_exec *exec, int id)
{
    const struct ab_dims d = exec->program->values[id].dims;
    return (size_t)exec->batch * (size_t)d.c * (size_t)d.h * (size_t)d.w;
}

/* Appends own code that writes the step's result in plain format. */
static void own(struct ab_onednn *o, const struct ab_step *s,
                dnnl_status_t (*run)(const struct ab_exec *, const struct ab_onednn_action *))
{
    ab_md *md = ab_onednn_plain_md(o, s->dst);
    struct ab_onednn_slot *dst = ab_onednn_define(o, s->dst, md);
    struct ab_onednn_action *a = ab_onednn_action(o, o->step);
    ab_md_free(md);
    if (!a) return;
    a->own = run;
    a->dst = dst;
    if (s->x >= 0) a->x = o->values[s->x];
}

/* ---- the image, constants, seeds ---- */

static dnnl_status_t copy_input(const struct ab_exec *exec, const struct ab_onednn_action *a)
{
    const struct ab_step *s = &exec->program->steps[a->step];
    const float *from = s->op == AB_OP_BASELINE ? exec->baseline : exec->input;
    memcpy(a->dst->data, from, sizeof(float) * count_of(exec, s->dst));
    return dnnl_success;
}

void ab_onednn_input(struct ab_onednn *o, const struct ab_step *s)
{
    own(o, s, copy_input);
}

static dnnl_status_t copy_signal(const struct ab_exec *exec, const struct ab_onednn_action *a)
{
    const struct ab_step *s = &exec->program->steps[a->step];
    memcpy(a->dst->data, ab_exec_signal(exec, s), sizeof(float) * count_of(exec, s->dst));
    return dnnl_success;
}

void ab_onednn_signal(struct ab_onednn *o, const struct ab_step *s)
{
    own(o, s, copy_signal);
}

static dnnl_status_t fill(const struct ab_exec *exec, const struct ab_onednn_action *a)
{
    const struct ab_step *s = &exec->program->steps[a->step];
    const struct ab_dims d = exec->program->values[s->dst].dims;
    float *to = a->dst->data;
    for (int n = 0; n < exec->batch; n++) {
        for (int c = 0; c < d.c; c++) {
            for (int i = 0; i < d.h * d.w; i++) *to++ = s->fill[s->n_fill == 1 ? 0 : c];
        }
    }
    return dnnl_success;
}

void ab_onednn_fill(struct ab_onednn *o, const struct ab_step *s)
{
    own(o, s, fill);
}

static dnnl_status_t seed(const struct ab_exec *exec, const struct ab_onednn_action *a)
{
    const struct ab_step *s = &exec->program->steps[a->step];
    const int classes = exec->program->values[s->x].dims.c;
    const float *f = a->x->data;
    float *to = a->dst->data;
    for (int n = 0; n < exec->batch; n++, f += classes, to += classes) {
        const struct ab_logits logits = {.f = f, .count = classes};
        const struct ab_seed_values seeds = ab_seed_open(exec, s, n, &logits);
        for (int k = 0; k < classes; k++) to[k] = (float)ab_seed_at(&seeds, &logits, k);
    }
    return dnnl_success;
}

void ab_onednn_seed(struct ab_onednn *o, const struct ab_step *s)
{
    own(o, s, seed);
}

/* ---- host steps, on plain formats ---- */

static float *channel_of(const struct ab_exec *exec, const struct ab_onednn_action *a, int id,
                         int n, int c, size_t *pixels)
{
    const struct ab_step *s = &exec->program->steps[a->step];
    const struct ab_dims d = exec->program->values[id].dims;
    const struct ab_onednn_slot *slot = id == s->dst ? a->dst : id == s->x ? a->x : a->a;
    *pixels = (size_t)d.h * (size_t)d.w;
    return (float *)slot->data + (size_t)(n * d.c + c) * *pixels;
}

static void get_channel(const struct ab_exec *exec, const void *user, int id, int n, int c,
                        double *to)
{
    size_t pixels;
    const float *from = channel_of(exec, user, id, n, c, &pixels);
    for (size_t i = 0; i < pixels; i++) to[i] = (double)from[i];
}

static void put_channel(const struct ab_exec *exec, const void *user, int id, int n, int c,
                        const double *from)
{
    size_t pixels;
    float *to = channel_of(exec, user, id, n, c, &pixels);
    for (size_t i = 0; i < pixels; i++) to[i] = (float)from[i];
}

static dnnl_status_t host(const struct ab_exec *exec, const struct ab_onednn_action *a)
{
    static const struct ab_host_io io = {get_channel, put_channel};
    ab_host_run(exec, &exec->program->steps[a->step], &io, a,
                (double *)(void *)((char *)exec->arena + exec->scratch_offset));
    return dnnl_success;
}

/* Value `id` in plain format, or NULL. */
static struct ab_onednn_slot *plain(struct ab_onednn *o, int id)
{
    ab_md *md = id >= 0 ? ab_onednn_plain_md(o, id) : NULL;
    struct ab_onednn_slot *slot = md ? ab_onednn_want(o, id, md) : NULL;
    ab_md_free(md);
    return slot;
}

void ab_onednn_host(struct ab_onednn *o, const struct ab_step *s)
{
    struct ab_exec *e = o->exec;
    const size_t bytes = ab_onednn_round((size_t)e->threads * ab_host_work(e, s) * sizeof(double));
    struct ab_onednn_slot *x = plain(o, s->x), *with = plain(o, s->a);
    own(o, s, host);
    if (o->status) return;
    struct ab_onednn_action *a = o->steps[o->step].first;
    while (a->next) a = a->next;
    a->x = x;
    a->a = with;
    if (e->scratch_bytes < bytes) e->scratch_bytes = bytes;
}

/* ---- maps to the caller ---- */

static dnnl_status_t write_map(const struct ab_exec *exec, const struct ab_onednn_action *a)
{
    float *to = exec->maps ? exec->maps[exec->program->steps[a->step].map] : NULL;
    if (!to) return dnnl_success;
    const dnnl_status_t status = dnnl_memory_set_data_handle(a->dst->mem, to);
    return status ? status
                  : dnnl_primitive_execute(a->prim, ab_onednn_of(exec)->stream, a->n_args, a->args);
}

void ab_onednn_output(struct ab_onednn *o, const struct ab_step *s)
{
    ab_md *md = ab_onednn_plain_md(o, s->x);
    struct ab_onednn_slot *to = ab_onednn_slot(o, md, AB_IN_FOREIGN, -1);
    struct ab_onednn_action **at = o->steps[o->step].last;
    ab_onednn_reorder(o, o->step, o->values[s->x], to);
    if (!o->status) {
        (*at)->own = write_map;
        (*at)->dst = to;
    }
    ab_md_free(md);
}

/* ---- maps and vectors ---- */

void ab_onednn_flatten(struct ab_onednn *o, const struct ab_step *s)
{
    const bool fwd = s->pass == AB_FWD;
    const int vector = fwd ? s->dst : s->x, map = fwd ? s->x : s->dst;
    ab_md *flat = ab_onednn_plain_md(o, vector), *rows = ab_onednn_plain_md(o, map);
    struct ab_onednn_slot *v =
        fwd ? ab_onednn_define(o, vector, flat) : ab_onednn_want(o, vector, flat);
    struct ab_onednn_slot *as_map = ab_onednn_alias(o, v, rows);
    if (fwd) {
        ab_onednn_reorder(o, o->step, o->values[map], as_map);
    } else {
        ab_onednn_reorder(o, o->step, as_map, ab_onednn_define(o, map, rows));
    }
    ab_md_free(flat);
    ab_md_free(rows);
}

void ab_onednn_concat(struct ab_onednn *o, const struct ab_step *s)
{
    enum { MAX_SOURCES = 256 };
    const ab_md *md[MAX_SOURCES];
    struct ab_onednn_arg args[MAX_SOURCES + 1];
    dnnl_primitive_desc_t pd = NULL;
    if (!ab_onednn_ok(o, s->n_list > MAX_SOURCES ? dnnl_unimplemented : dnnl_success, "concat")) {
        return;
    }
    for (int i = 0; i < s->n_list; i++) {
        struct ab_onednn_slot *slot = o->values[s->list[i]];
        args[i] = (struct ab_onednn_arg){DNNL_ARG_MULTIPLE_SRC + i, slot};
        md[i] = slot->md;
    }
    if (!ab_onednn_ok(o, ab_onednn_concat_pd(&pd, o->engine, s->n_list, md, o->attr), "concat")) {
        return;
    }
    const ab_md *to = dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0);
    args[s->n_list] = (struct ab_onednn_arg){DNNL_ARG_DST, ab_onednn_define(o, s->dst, to)};
    ab_onednn_name(o, "concat", ab_onednn_impl(pd));
    ab_onednn_prim(o, o->step, pd, args, s->n_list + 1);
}

/* ---- parts of maps ---- */

void ab_onednn_slice(struct ab_onednn *o, const struct ab_step *s)
{
    dnnl_dims_t dims;
    const dnnl_dims_t offsets = {0, s->channel};
    ab_onednn_dims(o, s->dst, dims);
    struct ab_onednn_slot *from = o->values[s->x];
    ab_md *part = ab_md_part(from->md, dims, offsets), *to = ab_onednn_md_like(o, s->dst, s->x);
    if (!part) { /* the slice cuts a block of channels */
        ab_md *plain = ab_onednn_plain_md(o, s->x);
        from = ab_onednn_want(o, s->x, plain);
        if (from) part = ab_md_part(plain, dims, offsets);
        ab_md_free(plain);
    }
    ab_onednn_reorder(o, o->step, ab_onednn_alias(o, from, part), ab_onednn_define(o, s->dst, to));
    ab_md_free(part);
    ab_md_free(to);
}

static dnnl_status_t clear(const struct ab_exec *exec, const struct ab_onednn_action *a)
{
    (void)exec;
    memset(a->dst->data, 0, dnnl_memory_desc_get_size(a->dst->md));
    return dnnl_success;
}

void ab_onednn_pad(struct ab_onednn *o, const struct ab_step *s)
{
    const bool fwd = s->pass == AB_FWD;
    const int *pad = o->exec->graph->nodes[s->node].pad;
    const dnnl_dims_t offsets = {0, 0, pad[0], pad[1]};
    dnnl_dims_t dims;
    ab_onednn_dims(o, fwd ? s->x : s->dst, dims);
    ab_md *md = ab_onednn_md_like(o, s->dst, s->x);
    struct ab_onednn_slot *dst = ab_onednn_define(o, s->dst, md);
    struct ab_onednn_slot *large = fwd ? dst : o->values[s->x];
    ab_md *part = large ? ab_md_part(large->md, dims, offsets) : NULL;
    struct ab_onednn_slot *inner = ab_onednn_alias(o, large, part);
    if (fwd) {
        struct ab_onednn_action *a = ab_onednn_action(o, o->step);
        if (a) {
            a->own = clear;
            a->dst = dst;
        }
    }
    ab_onednn_reorder(o, o->step, fwd ? o->values[s->x] : inner, fwd ? inner : dst);
    ab_md_free(part);
    ab_md_free(md);
}
