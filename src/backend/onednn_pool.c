// SPDX-License-Identifier: Apache-2.0
// Pooling by oneDNN. Its workspace holds each window's winner as the tap index ky*kw + kx, ties go
// to the first: what the switches of a program mean. The divisor of average pooling with counted
// padding differs where a window reaches beyond the padded image (ceil mode); such layers take
// attrbench's own kernel.
#include "backend/onednn.h"

static int reach(int k, int d)
{
    return d * (k - 1) + 1;
}

/* How far the last window reaches beyond the image, in rows or columns; may be negative. */
static int overhang(int out, int stride, int k, int d, int in, int pad)
{
    return (out - 1) * stride + reach(k, d) - in - pad;
}

static void set_window(struct ab_onednn_op *op, const struct ab_pool_shape *p)
{
    const int strides[] = {p->sh, p->sw}, kernel[] = {p->kh, p->kw};
    const int dilates[] = {p->dh - 1, p->dw - 1}, pads[] = {p->pt, p->pl};
    op->pad_r[0] = overhang(p->oh, p->sh, p->kh, p->dh, p->ih, p->pt);
    op->pad_r[1] = overhang(p->ow, p->sw, p->kw, p->dw, p->iw, p->pl);
    for (int i = 0; i < 2; i++) {
        op->strides[i] = strides[i];
        op->kernel[i] = kernel[i];
        op->dilates[i] = dilates[i];
        op->pad_l[i] = pads[i];
    }
}

/* The forward step of the same layer, whose formats the backward step shares. */
static const struct ab_step *forward_of(const struct ab_onednn *o, const struct ab_step *s)
{
    for (int i = 0; i < o->step; i++) {
        const struct ab_step *f = &o->exec->program->steps[i];
        if (f->op == s->op && f->node == s->node && f->pass == AB_FWD) return f;
    }
    return NULL;
}

static void pool_forward(struct ab_onednn *o, const struct ab_step *s, struct ab_onednn_op *op)
{
    ab_md *any = ab_onednn_md(o, s->dst, dnnl_format_tag_any);
    dnnl_primitive_desc_t pd = NULL;
    op->kind = AB_DNN_POOL_FWD;
    op->src = o->values[s->x]->md;
    op->dst = any;
    op->prop = s->dst2 >= 0 ? dnnl_forward_training : dnnl_forward_inference;
    const dnnl_status_t status = any ? ab_onednn_pd(&pd, o->engine, op) : dnnl_out_of_memory;
    ab_md_free(any);
    if (!ab_onednn_ok(o, status, "pooling")) return;
    struct ab_onednn_arg args[] = {
        {DNNL_ARG_SRC, o->values[s->x]},
        {DNNL_ARG_DST,
         ab_onednn_define(o, s->dst, dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0))},
        {DNNL_ARG_WORKSPACE, NULL},
    };
    if (s->dst2 >= 0) {
        args[2].slot = ab_onednn_define(
            o, s->dst2, dnnl_primitive_desc_query_md(pd, dnnl_query_workspace_md, 0));
        ab_onednn_ok(o, dnnl_primitive_desc_clone(&o->pools[s->dst2], pd), "pooling");
    }
    ab_onednn_name(o, "pool", ab_onednn_impl(pd));
    ab_onednn_prim(o, o->step, pd, args, s->dst2 >= 0 ? 3 : 2);
}

/* `hint`: the forward primitive, whose formats are shared. */
static void pool_backward(struct ab_onednn *o, const struct ab_step *s, struct ab_onednn_op *op,
                          const_dnnl_primitive_desc_t hint)
{
    dnnl_primitive_desc_t pd = NULL;
    op->kind = AB_DNN_POOL_BWD;
    op->src = dnnl_primitive_desc_query_md(hint, dnnl_query_src_md, 0);
    op->dst = dnnl_primitive_desc_query_md(hint, dnnl_query_dst_md, 0);
    op->hint = hint;
    if (!ab_onednn_ok(o, ab_onednn_pd(&pd, o->engine, op), "backward pooling")) return;
    const bool max = s->op == AB_OP_MAXPOOL;
    const struct ab_onednn_arg args[] = {
        {DNNL_ARG_DIFF_DST, ab_onednn_want(o, s->x, op->dst)},
        {DNNL_ARG_DIFF_SRC, ab_onednn_define(o, s->dst, op->src)},
        {DNNL_ARG_WORKSPACE, max ? o->values[s->switches] : NULL},
    };
    ab_onednn_name(o, "pool bwd", ab_onednn_impl(pd));
    ab_onednn_prim(o, o->step, pd, args, max ? 3 : 2);
}

void ab_onednn_maxpool(struct ab_onednn *o, const struct ab_step *s)
{
    struct ab_onednn_op op = {.alg = dnnl_pooling_max, .attr = o->attr};
    set_window(&op, &o->exec->graph->nodes[s->node].pool);
    if (s->pass == AB_FWD) {
        pool_forward(o, s, &op);
    } else {
        pool_backward(o, s, &op, o->pools[s->switches]);
    }
}

/* A workspace has the format of what was pooled, in integers of a type that depends on the window.
 */
static dnnl_status_t choose(const struct ab_exec *exec, const struct ab_onednn_action *a)
{
    const float *x = a->x->data, *other = a->a->data;
    const long count = (long)(dnnl_memory_desc_get_size(a->x->md) / sizeof(float));
    const bool bytes = ab_md_type(a->dst->md) == dnnl_u8;
    const void *first = a->z->data, *second = a->tau->data;
    void *dst = a->dst->data;
#pragma omp parallel for num_threads(exec->threads) schedule(static) if (exec->threads > 1)
    for (long i = 0; i < count; i++) {
        const bool own = x[i] >= other[i];
        if (bytes)
            ((uint8_t *)dst)[i] = ((const uint8_t *)(own ? first : second))[i];
        else
            ((int32_t *)dst)[i] = ((const int32_t *)(own ? first : second))[i];
    }
    return dnnl_success;
}

void ab_onednn_winners(struct ab_onednn *o, const struct ab_step *s)
{
    if (o->status) return;
    const struct ab_onednn_slot *first = o->values[s->list[0]];
    const_dnnl_primitive_desc_t pool = o->pools[s->list[0]];
    const ab_md *map = dnnl_primitive_desc_query_md(pool, dnnl_query_dst_md, 0);
    struct ab_onednn_slot *x = ab_onednn_want(o, s->x, map), *a = ab_onednn_want(o, s->a, map);
    struct ab_onednn_slot *second = ab_onednn_want(o, s->list[1], first->md);
    struct ab_onednn_slot *dst = ab_onednn_define(o, s->dst, first->md);
    if (!ab_onednn_ok(o, dnnl_primitive_desc_clone(&o->pools[s->dst], pool), "pooling")) return;
    struct ab_onednn_action *action = ab_onednn_action(o, o->step);
    if (!action) return;
    action->own = choose;
    action->x = x;
    action->a = a;
    action->z = o->values[s->list[0]];
    action->tau = second;
    action->dst = dst;
    ab_onednn_name(o, "", "winners");
}

/* ---- average pooling ---- */

static dnnl_status_t avgpool_own(const struct ab_exec *exec, const struct ab_onednn_action *a)
{
    const struct ab_step *s = &exec->program->steps[a->step];
    struct ab_pool_shape shape = exec->graph->nodes[s->node].pool;
    shape.n = exec->batch;
    const bool fwd = s->pass == AB_FWD;
    const int blocks = ab_blocks(shape.c);
    const ptrdiff_t in_row = (ptrdiff_t)AB_LANES * shape.iw;
    const ptrdiff_t out_row = (ptrdiff_t)AB_LANES * shape.ow;
    const struct ab_view in = {(fwd ? a->x : a->dst)->data, in_row * shape.ih * blocks,
                               in_row * shape.ih, in_row};
    const struct ab_view out = {(fwd ? a->dst : a->x)->data, out_row * shape.oh * blocks,
                                out_row * shape.oh, out_row};
#pragma omp parallel for num_threads(exec->threads) schedule(static) if (exec->threads > 1)
    for (int b = 0; b < blocks; b++) {
        struct ab_pool_args args = {
            .shape = shape, .pass = s->pass, .src = fwd ? in : out, .dst = fwd ? out : in};
        args.range = (struct ab_range){0, shape.n, b, b + 1, 0, fwd ? shape.oh : shape.ih};
        a->kernel->run(&args);
    }
    return dnnl_success;
}

static void own_avgpool(struct ab_onednn *o, const struct ab_step *s)
{
    ab_md *from = ab_onednn_md(o, s->x, dnnl_nChw16c), *to = ab_onednn_md(o, s->dst, dnnl_nChw16c);
    struct ab_pool_args args = {.shape = o->exec->graph->nodes[s->node].pool, .pass = s->pass};
    args.shape.n = o->exec->batch;
    struct ab_onednn_slot *x = ab_onednn_want(o, s->x, from);
    struct ab_onednn_slot *dst = ab_onednn_define(o, s->dst, to);
    struct ab_onednn_action *a = ab_onednn_action(o, o->step);
    if (a) {
        a->own = avgpool_own;
        a->x = x;
        a->dst = dst;
        a->kernel = ab_pick(AB_KERNEL_avgpool, &args, o->exec->isas);
        ab_onednn_name(o, "", a->kernel->name);
    }
    ab_md_free(from);
    ab_md_free(to);
}

void ab_onednn_avgpool(struct ab_onednn *o, const struct ab_step *s)
{
    const struct ab_pool_shape *p = &o->exec->graph->nodes[s->node].pool;
    const int below = overhang(p->oh, p->sh, p->kh, p->dh, p->ih, p->pt);
    const int beside = overhang(p->ow, p->sw, p->kw, p->dw, p->iw, p->pl);
    const bool clipped = p->pt > 0 || p->pl > 0 || below > 0 || beside > 0;
    if (p->include_pad && (below > p->pb || beside > p->pr)) {
        own_avgpool(o, s);
        return;
    }
    struct ab_onednn_op op = {.alg = p->include_pad || !clipped ? dnnl_pooling_avg_include_padding
                                                                : dnnl_pooling_avg_exclude_padding,
                              .attr = o->attr};
    set_window(&op, p);
    if (s->pass == AB_FWD) {
        pool_forward(o, s, &op);
        return;
    }
    const struct ab_step *from = forward_of(o, s);
    struct ab_onednn_op fwd = op;
    fwd.kind = AB_DNN_POOL_FWD;
    fwd.prop = dnnl_forward_training;
    fwd.src = o->values[from->x]->md;
    fwd.dst = o->values[from->dst]->md;
    dnnl_primitive_desc_t hint = NULL;
    if (!ab_onednn_ok(o, ab_onednn_pd(&hint, o->engine, &fwd), "pooling")) return;
    pool_backward(o, s, &op, hint);
    dnnl_primitive_desc_destroy(hint);
}
