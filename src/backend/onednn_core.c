// SPDX-License-Identifier: Apache-2.0
// The oneDNN backend's slots and actions: what a plan is made of while it is opened.
#include "backend/onednn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ab_onednn_ok(struct ab_onednn *o, dnnl_status_t status, const char *what)
{
    if (o->status || !status) return !o->status;
    if (status == dnnl_out_of_memory) {
        o->status = ab_fail(o->err, AB_ERR_MEMORY, "out of memory in oneDNN");
        return false;
    }
    const struct ab_step *s = &o->exec->program->steps[o->step];
    o->status = ab_fail(o->err, AB_ERR_INTERNAL, "oneDNN: %s of step %s%s%.80s: %s", what,
                        ab_op_name(s->op), s->node < 0 ? "" : ", layer ",
                        s->node < 0 ? "" : o->exec->graph->nodes[s->node].name,
                        status == dnnl_unimplemented ? "not implemented" : "refused");
    return false;
}

bool ab_onednn_memory_ok(struct ab_onednn *o, const void *p)
{
    return ab_onednn_ok(o, p ? dnnl_success : dnnl_out_of_memory, "memory");
}

int ab_onednn_dims(const struct ab_onednn *o, int id, dnnl_dims_t dims)
{
    const struct ab_value *v = &o->exec->program->values[id];
    dims[0] = o->exec->batch;
    dims[1] = v->dims.c;
    if (v->vector) return 2;
    dims[2] = v->dims.h;
    dims[3] = v->dims.w;
    return 4;
}

ab_md *ab_onednn_md(struct ab_onednn *o, int id, dnnl_format_tag_t tag)
{
    dnnl_dims_t dims;
    const int ndims = ab_onednn_dims(o, id, dims);
    if (ndims == 2 && tag != dnnl_format_tag_any) tag = dnnl_ab;
    ab_md *md = o->status ? NULL : ab_md_tag(ndims, dims, dnnl_f32, tag);
    return ab_onednn_memory_ok(o, md) ? md : NULL;
}

ab_md *ab_onednn_plain_md(struct ab_onednn *o, int id)
{
    return ab_onednn_md(o, id, dnnl_nchw);
}

ab_md *ab_onednn_md_like(struct ab_onednn *o, int id, int like)
{
    static const dnnl_format_tag_t tags[] = {dnnl_nChw16c, dnnl_nChw8c, dnnl_nhwc, dnnl_nChw4c};
    dnnl_format_tag_t tag = dnnl_nchw;
    for (size_t i = 0; i < sizeof tags / sizeof *tags && !o->status; i++) {
        ab_md *as = ab_onednn_md(o, like, tags[i]);
        if (as && dnnl_memory_desc_equal(as, o->values[like]->md)) tag = tags[i];
        ab_md_free(as);
    }
    return ab_onednn_md(o, id, tag);
}

/* ---- slots ---- */

static void place(struct ab_onednn *o, struct ab_onednn_slot *slot)
{
    const size_t bytes = ab_onednn_round(dnnl_memory_desc_get_size(slot->md));
    struct ab_exec *e = o->exec;
    switch (slot->base) {
    case AB_IN_VALUE:
        slot->offset = e->program->values[slot->value].bytes;
        e->program->values[slot->value].bytes += bytes;
        break;
    case AB_IN_WEIGHTS:
        slot->offset = e->weight_bytes;
        e->weight_bytes += bytes;
        break;
    case AB_IN_SCRATCH:
        if (e->scratch_bytes < bytes) e->scratch_bytes = bytes;
        break;
    case AB_IN_FOREIGN: break;
    }
}

static struct ab_onednn_slot *new_slot(struct ab_onednn *o, const ab_md *md,
                                       enum ab_onednn_base base, int id)
{
    if (o->status || !ab_onednn_memory_ok(o, md)) return NULL;
    struct ab_onednn_slot *slot = calloc(1, sizeof *slot);
    if (!ab_onednn_memory_ok(o, slot)) return NULL;
    slot->next = o->slots;
    o->slots = slot;
    slot->base = base;
    slot->value = id;
    slot->md = ab_md_copy(md);
    if (!ab_onednn_memory_ok(o, slot->md)) return NULL;
    const dnnl_status_t status =
        dnnl_memory_create(&slot->mem, slot->md, o->engine, DNNL_MEMORY_NONE);
    return ab_onednn_ok(o, status, "memory object") ? slot : NULL;
}

struct ab_onednn_slot *ab_onednn_slot(struct ab_onednn *o, const ab_md *md,
                                      enum ab_onednn_base base, int id)
{
    struct ab_onednn_slot *slot = new_slot(o, md, base, id);
    if (slot) place(o, slot);
    return slot;
}

struct ab_onednn_slot *ab_onednn_alias(struct ab_onednn *o, const struct ab_onednn_slot *of,
                                       const ab_md *md)
{
    struct ab_onednn_slot *slot = of ? new_slot(o, md, of->base, of->value) : NULL;
    if (slot) slot->offset = of->offset;
    return slot;
}

struct ab_onednn_slot *ab_onednn_define(struct ab_onednn *o, int id, const ab_md *md)
{
    return o->values[id] = ab_onednn_slot(o, md, AB_IN_VALUE, id);
}

static struct ab_onednn_slot *find(const struct ab_onednn *o, int id, const ab_md *md)
{
    struct ab_onednn_slot *slot = o->values[id];
    while (slot && !dnnl_memory_desc_equal(slot->md, md)) slot = slot->copy;
    return slot;
}

bool ab_onednn_has(const struct ab_onednn *o, int id, const ab_md *md)
{
    return find(o, id, md) != NULL;
}

struct ab_onednn_slot *ab_onednn_want(struct ab_onednn *o, int id, const ab_md *md)
{
    if (o->status) return NULL;
    struct ab_onednn_slot *slot = find(o, id, md);
    if (slot) return slot;
    slot = ab_onednn_slot(o, md, AB_IN_VALUE, id);
    if (!slot) return NULL;
    slot->copy = o->values[id]->copy;
    o->values[id]->copy = slot;
    ab_onednn_reorder(o, o->exec->program->values[id].def, o->values[id], slot);
    return slot;
}

struct ab_onednn_slot *ab_onednn_param(struct ab_onednn *o, int node, enum ab_onednn_form form,
                                       int variant, float gain, const ab_md *md)
{
    if (o->status) return NULL;
    for (struct ab_onednn_param *p = o->params; p; p = p->next) {
        if (p->node == node && p->form == form && p->variant == variant && p->gain == gain &&
            dnnl_memory_desc_equal(p->slot->md, md)) {
            return p->slot;
        }
    }
    struct ab_onednn_param *p = calloc(1, sizeof *p);
    if (!ab_onednn_memory_ok(o, p)) return NULL;
    *p = (struct ab_onednn_param){
        .node = node, .variant = variant, .gain = gain, .form = form, .next = o->params};
    o->params = p;
    /* Weights that oneDNN takes as the model holds them are not copied. */
    const bool weights = form == AB_FORM_PLAIN || form == AB_FORM_SWAPPED;
    ab_md *model = weights ? ab_onednn_weights_md(o->exec->graph, node, form, false) : NULL;
    if (weights && !ab_onednn_memory_ok(o, model)) return NULL;
    const bool as_is = model && variant == AB_W_ALL && dnnl_memory_desc_equal(model, md);
    ab_md_free(model);
    p->slot = ab_onednn_slot(o, md, as_is ? AB_IN_FOREIGN : AB_IN_WEIGHTS, -1);
    if (p->slot && as_is) p->slot->data = o->exec->graph->nodes[node].wei;
    return p->slot;
}

/* ---- actions ---- */

struct ab_onednn_action *ab_onednn_action(struct ab_onednn *o, int step)
{
    struct ab_onednn_action *a = o->status ? NULL : calloc(1, sizeof *a);
    if (!ab_onednn_memory_ok(o, a)) return NULL;
    a->step = step;
    *o->steps[step].last = a;
    o->steps[step].last = &a->next;
    return a;
}

void ab_onednn_prim(struct ab_onednn *o, int step, dnnl_primitive_desc_t pd,
                    const struct ab_onednn_arg *args, int n_args)
{
    struct ab_onednn_action *a = ab_onednn_action(o, step);
    const ab_md *scratch = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    const bool needs_scratch = scratch && dnnl_memory_desc_get_size(scratch) > 0;
    struct ab_onednn_slot *work =
        needs_scratch ? ab_onednn_slot(o, scratch, AB_IN_SCRATCH, -1) : NULL;
    if (a && !o->status) {
        a->args = calloc((size_t)n_args + 1, sizeof *a->args);
        if (ab_onednn_memory_ok(o, a->args)) {
            for (int i = 0; i < n_args; i++) {
                a->args[a->n_args++] = (dnnl_exec_arg_t){args[i].id, args[i].slot->mem};
            }
            if (work) a->args[a->n_args++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, work->mem};
            ab_onednn_ok(o, dnnl_primitive_create(&a->prim, pd), "primitive");
        }
    }
    dnnl_primitive_desc_destroy(pd);
}

void ab_onednn_reorder(struct ab_onednn *o, int step, struct ab_onednn_slot *from,
                       struct ab_onednn_slot *to)
{
    if (o->status || !from || !to) return;
    dnnl_primitive_desc_t pd;
    if (!ab_onednn_ok(o,
                      dnnl_reorder_primitive_desc_create(&pd, from->md, o->engine, to->md,
                                                         o->engine, o->attr),
                      "reorder")) {
        return;
    }
    const struct ab_onednn_arg args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    ab_onednn_prim(o, step, pd, args, 2);
}

void ab_onednn_name(struct ab_onednn *o, const char *prefix, const char *name)
{
    char *to = o->steps[o->step].kernel;
    const size_t size = sizeof o->steps[o->step].kernel, used = strlen(to);
    snprintf(to + used, size - used, "%s%s%s%s", used ? "+" : "", prefix, *prefix ? " " : "", name);
}

const char *ab_onednn_impl(const_dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) || !name) return "";
    return name;
}
