// SPDX-License-Identifier: Apache-2.0
// Pointwise steps that oneDNN cannot fuse: attrbench's own kernels over flat memory. Batch
// normalisation is left to oneDNN's binary primitives, which broadcast over channels in any format.
#include "backend/onednn.h"

#include <math.h>
#include <string.h>

/* Below this many 16-float pixels, waking threads costs more than the work. */
enum { THREAD_PIXELS = 2048 };

static bool uses_a(enum ab_pointwise_kind kind)
{
    switch (kind) {
    case AB_PW_GATE:
    case AB_PW_GUIDED:
    case AB_PW_CAP_GATE:
    case AB_PW_CAP_GUIDED:
    case AB_PW_RECT:
    case AB_PW_MUL:
    case AB_PW_MULDIV:
    case AB_PW_RESCALE:
    case AB_PW_DIVDIFF:
    case AB_PW_ADD:
    case AB_PW_SUB: return true;
    default: return false;
    }
}

bool ab_onednn_uses_z(enum ab_pointwise_kind kind)
{
    return kind == AB_PW_DIV || kind == AB_PW_MULDIV || kind == AB_PW_RESCALE ||
           kind == AB_PW_DIVDIFF;
}

const struct ab_kernel *ab_onednn_flat_kernel(const struct ab_exec *exec,
                                              enum ab_pointwise_kind kind)
{
    struct ab_pointwise_args args = {.f = {.kind = kind}, .n = 1, .blocks = 1, .h = 1, .w = 1};
    args.range = (struct ab_range){0, 1, 0, 1, 0, 1};
    return ab_pick(AB_KERNEL_pointwise, &args, exec->isas);
}

static struct ab_view view(const struct ab_onednn_slot *slot, size_t pixel)
{
    float *data = slot ? slot->data : NULL;
    return (struct ab_view){.data = data ? data + AB_LANES * pixel : NULL};
}

/* Pixels [from, to) of the memory taken as a row of 16-float pixels. */
static void run_row(const struct ab_exec *exec, const struct ab_onednn_action *a, size_t from,
                    size_t to, const float *tau)
{
    const size_t n = to - from;
    const int threads = n < THREAD_PIXELS ? 1 : exec->threads;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int t = 0; t < threads; t++) {
        const size_t first = from + n * (size_t)t / (size_t)threads;
        const size_t last = from + n * ((size_t)t + 1) / (size_t)threads;
        if (first == last) continue;
        struct ab_pointwise_args args = {.f = {.kind = a->kind,
                                               .eps = a->eps,
                                               .scale = a->scale,
                                               .a = view(a->a, first),
                                               .z = view(a->z, first),
                                               .tau = tau},
                                         .x = view(a->x, first),
                                         .dst = view(a->dst, first),
                                         .n = 1,
                                         .blocks = 1,
                                         .h = 1,
                                         .w = (int)(last - first),
                                         .range = {0, 1, 0, 1, 0, 1}};
        a->kernel->run(&args);
    }
}

/* RectGrad's mask where images do not start at whole pixels. */
static void rect_plain(const struct ab_onednn_action *a, size_t image, size_t n)
{
    const float *x = a->x->data, *act = a->a->data, *tau = a->tau->data;
    float *dst = a->dst->data;
    for (size_t i = n * image; i < (n + 1) * image; i++) {
        dst[i] = act[i] * x[i] > tau[n] ? x[i] : 0;
    }
}

dnnl_status_t ab_onednn_flat(const struct ab_exec *exec, const struct ab_onednn_action *a)
{
    const size_t floats = dnnl_memory_desc_get_size(a->dst->md) / sizeof(float);
    const size_t batch = (size_t)exec->batch, image = floats / batch;
    const float *tau = a->tau ? a->tau->data : NULL;
    if (a->kind != AB_PW_RECT || batch == 1) {
        run_row(exec, a, 0, (floats + AB_LANES - 1) / AB_LANES, tau);
        return dnnl_success;
    }
    for (size_t n = 0; n < batch; n++) {
        if (image % AB_LANES) {
            rect_plain(a, image, n);
        } else {
            run_row(exec, a, n * image / AB_LANES, (n + 1) * image / AB_LANES, tau + n);
        }
    }
    return dnnl_success;
}

/* ---- steps ---- */

static void append(struct ab_onednn *o, const struct ab_step *s, enum ab_pointwise_kind kind, int a,
                   struct ab_onednn_slot *x, struct ab_onednn_slot *dst)
{
    if (o->status || !x || !dst) return;
    struct ab_onednn_slot *const with_a = uses_a(kind) ? ab_onednn_want(o, a, dst->md) : NULL;
    struct ab_onednn_slot *const with_z =
        ab_onednn_uses_z(kind) ? ab_onednn_want(o, s->z, dst->md) : NULL;
    struct ab_onednn_action *action = ab_onednn_action(o, o->step);
    if (!action) return;
    action->own = ab_onednn_flat;
    action->x = x;
    action->a = with_a;
    action->z = with_z;
    action->tau = kind == AB_PW_RECT ? o->values[s->tau] : NULL;
    action->dst = dst;
    action->kind = kind;
    action->eps = s->eps;
    action->scale = s->scale;
    action->kernel = ab_onednn_flat_kernel(o->exec, kind);
    ab_onednn_name(o, "", action->kernel->name);
}

void ab_onednn_epilogue(struct ab_onednn *o, const struct ab_step *s, enum ab_pointwise_kind kind,
                        int a, struct ab_onednn_slot *x)
{
    append(o, s, kind, a, x, x);
}

/* dst = x * scale[c] + shift[c] */
static void affine(struct ab_onednn *o, const struct ab_step *s)
{
    dnnl_dims_t dims;
    const int ndims = ab_onednn_dims(o, s->x, dims);
    dims[0] = dims[2] = dims[3] = 1;
    const bool shift = s->pass == AB_FWD && o->exec->graph->nodes[s->node].bias;
    ab_md *md = ab_md_tag(ndims, dims, dnnl_f32, ndims == 2 ? dnnl_ab : dnnl_nchw);
    dnnl_post_ops_t ops = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = md ? dnnl_post_ops_create(&ops) : dnnl_out_of_memory;
    if (!status && shift) status = dnnl_post_ops_append_binary(ops, dnnl_binary_add, md);
    if (!status) status = dnnl_primitive_attr_clone(&attr, o->attr);
    if (!status) status = dnnl_primitive_attr_set_post_ops(attr, ops);
    const struct ab_onednn_op op = {.kind = AB_DNN_BINARY,
                                    .alg = dnnl_binary_mul,
                                    .src = o->values[s->x]->md,
                                    .wei = md,
                                    .dst = o->values[s->x]->md,
                                    .attr = attr};
    if (!status) status = ab_onednn_pd(&pd, o->engine, &op);
    if (ab_onednn_ok(o, status, "binary primitive")) {
        const struct ab_onednn_arg args[] = {
            {DNNL_ARG_SRC_0, o->values[s->x]},
            {DNNL_ARG_SRC_1, ab_onednn_param(o, s->node, AB_FORM_SCALE, 0, 0, md)},
            {DNNL_ARG_DST, ab_onednn_define(o, s->dst, op.dst)},
            {DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1,
             shift ? ab_onednn_param(o, s->node, AB_FORM_SHIFT, 0, 0, md) : NULL},
        };
        ab_onednn_name(o, "", ab_onednn_impl(pd));
        ab_onednn_prim(o, o->step, pd, args, shift ? 4 : 3);
    }
    if (attr) dnnl_primitive_attr_destroy(attr);
    if (ops) dnnl_post_ops_destroy(ops);
    ab_md_free(md);
}

void ab_onednn_pointwise(struct ab_onednn *o, const struct ab_step *s)
{
    if (s->kind == AB_PW_AFFINE) {
        affine(o, s);
        return;
    }
    struct ab_onednn_slot *x = o->values[s->x];
    append(o, s, s->kind, s->a, x, ab_onednn_define(o, s->dst, x->md));
}
