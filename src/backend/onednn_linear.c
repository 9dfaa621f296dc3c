// SPDX-License-Identifier: Apache-2.0
// CONV and DENSE by oneDNN's own alternatives, the fastest of which is found by running them.
//
// A backward-data convolution is offered as such (without post-ops), as a forward convolution with
// flipped weights (stride 1; with post-ops), and as a deconvolution (with post-ops, which most
// implementations apply in a plain loop). A dense layer backward is also the forward pass of the
// transposed matrix; for both passes the model's own matrix, which saves a copy, stands against the
// format that oneDNN prefers. Each alternative is timed with all it entails: the reorders of its
// operands that are not there yet, and the passes over its result that post-ops would have saved.
#include "backend/onednn_linear.h"

#include <math.h>
#include <string.h>

/* `plain`: the model's weights as they are. `winograd`: only where insisted on, since sums of small
 * integers are not exact and the error depends on neighbouring pixels. */
struct variant {
    const char *name;
    enum ab_op op;
    enum ab_pass pass;
    enum ab_onednn_kind kind;
    enum ab_onednn_form form;
    bool plain, winograd;
};

/* The first that exists for op and pass is taken unmeasured for tiny layers. */
static const struct variant variants[] = {
    {"conv", AB_OP_CONV, AB_FWD, AB_DNN_CONV_FWD, AB_FORM_PLAIN, false},
    {"conv bwd_d", AB_OP_CONV, AB_BWD, AB_DNN_CONV_BWD, AB_FORM_PLAIN, false},
    {"conv flipped", AB_OP_CONV, AB_BWD, AB_DNN_CONV_FWD, AB_FORM_FLIPPED, false},
    {"deconv", AB_OP_CONV, AB_BWD, AB_DNN_DECONV, AB_FORM_SWAPPED, false},
    {"dense", AB_OP_DENSE, AB_FWD, AB_DNN_DENSE_FWD, AB_FORM_PLAIN, false},
    {"dense plain", AB_OP_DENSE, AB_FWD, AB_DNN_DENSE_FWD, AB_FORM_PLAIN, true},
    {"dense bwd_d", AB_OP_DENSE, AB_BWD, AB_DNN_DENSE_BWD, AB_FORM_PLAIN, false},
    {"dense bwd_d plain", AB_OP_DENSE, AB_BWD, AB_DNN_DENSE_BWD, AB_FORM_PLAIN, true},
    {"dense transposed", AB_OP_DENSE, AB_BWD, AB_DNN_DENSE_FWD, AB_FORM_SWAPPED, false},
    {"dense transposed plain", AB_OP_DENSE, AB_BWD, AB_DNN_DENSE_FWD, AB_FORM_SWAPPED, true},
    {"winograd", AB_OP_CONV, AB_FWD, AB_DNN_CONV_FWD, AB_FORM_PLAIN, false, true},
    {"winograd bwd_d", AB_OP_CONV, AB_BWD, AB_DNN_CONV_BWD, AB_FORM_PLAIN, false, true},
    {"winograd flipped", AB_OP_CONV, AB_BWD, AB_DNN_CONV_FWD, AB_FORM_FLIPPED, false, true},
};

/* Formats of a convolution's maps: oneDNN's choice; that of x, which saves reorders; NCHW, whose
 * GEMM implementation was 5 times as fast as the direct ones for the backward pass to an image of
 * three channels (oneDNN 2.6 and 3.2, AVX-512), and is hopeless for wide layers; where insisted on,
 * those that a neighbour in a network might ask for. An index into variants and one of these,
 * combined: what ab_onednn_candidate.variant says. */
enum format { FORMAT_ANY, FORMAT_OF_X, FORMAT_NCHW, FORMAT_NHWC, FORMAT_16C, FORMAT_8C, FORMATS };
static const dnnl_format_tag_t tags[FORMATS] = {
    dnnl_format_tag_any, dnnl_format_tag_any, dnnl_nchw, dnnl_nhwc, dnnl_nChw16c, dnnl_nChw8c};
static const char *const format_names[FORMATS] = {"", "", "nchw", "nhwc", "nChw16c", "nChw8c"};
enum { VARIANTS = (int)(sizeof variants / sizeof *variants), CHOICES = VARIANTS * FORMATS };
enum { FEW_CHANNELS = 4 };

/* Layers with fewer multiply-adds are not worth a measurement: calling a primitive costs as much.
 */
static const double tiny = 2e4;
/* oneDNN's reference implementations take seconds a run and are never the fastest. */
static const double last_resort = 1e18;
/* A copy of the weights must gain more than noise. */
static const double worth_a_copy = 0.97;

/* The choice that this thread's CONV steps are made by; -1: the fastest. */
static _Thread_local int insisted = -1;

bool ab_onednn_insist(enum ab_pass pass, int k)
{
    insisted = -1;
    for (int i = 0; i < CHOICES && insisted < 0; i++) {
        const struct variant *v = &variants[i / FORMATS];
        if (v->op == AB_OP_CONV && v->pass == pass && k-- == 0) insisted = i;
    }
    return insisted >= 0;
}

static bool is_backward(enum ab_onednn_kind kind)
{
    return kind == AB_DNN_CONV_BWD || kind == AB_DNN_DENSE_BWD;
}

static int max_of(int a, int b)
{
    return a > b ? a : b;
}

/* ---- descriptors ---- */

static void set_geometry(struct ab_onednn_op *op, const struct ab_conv2d_shape *s, bool flipped)
{
    const dnnl_dim_t pads[] = {s->pt, s->pl, s->pb, s->pr};
    const dnnl_dim_t strides[] = {s->sh, s->sw}, dilates[] = {s->dh - 1, s->dw - 1};
    const dnnl_dim_t reach[] = {s->dh * (s->kh - 1), s->dw * (s->kw - 1)};
    const dnnl_dim_t in[] = {s->ih, s->iw}, out[] = {s->oh, s->ow};
    for (int i = 0; i < 2; i++) {
        op->strides[i] = strides[i];
        op->dilates[i] = dilates[i];
        op->pad_l[i] = flipped ? reach[i] - pads[i] : pads[i];
        op->pad_r[i] = flipped ? in[i] - out[i] + reach[i] - op->pad_l[i] : pads[i + 2];
    }
}

static bool can_flip(const struct ab_conv2d_shape *s)
{
    struct ab_onednn_op op = {.kind = AB_DNN_CONV_FWD};
    set_geometry(&op, s, true);
    return s->sh == 1 && s->sw == 1 && op.pad_l[0] >= 0 && op.pad_l[1] >= 0 && op.pad_r[0] >= 0 &&
           op.pad_r[1] >= 0;
}

/* Descriptors given to oneDNN: everything `any` but what must be as it is. */
struct wishes {
    ab_md *src, *wei, *bias, *dst;
};

static void free_wishes(struct wishes *w)
{
    ab_md_free(w->src);
    ab_md_free(w->wei);
    ab_md_free(w->bias);
    ab_md_free(w->dst);
}

static bool make_wishes(struct ab_onednn *o, const struct ab_step *s, const struct variant *v,
                        enum format format, struct wishes *w)
{
    const bool bias = s->pass == AB_FWD && s->bias != AB_B_NONE, like = format == FORMAT_OF_X;
    const dnnl_dims_t count = {o->exec->graph->nodes[s->node].dims.c};
    const dnnl_format_tag_t tag = tags[format];
    *w = (struct wishes){
        .src = like ? ab_md_copy(o->values[s->x]->md) : ab_onednn_md(o, s->x, tag),
        .wei = ab_onednn_weights_md(o->exec->graph, s->node, v->form, !v->plain),
        .bias = bias ? ab_md_tag(1, count, dnnl_f32, dnnl_a) : NULL,
        .dst = like ? ab_onednn_md_like(o, s->dst, s->x) : ab_onednn_md(o, s->dst, tag),
    };
    return ab_onednn_memory_ok(o, w->src) && ab_onednn_memory_ok(o, w->wei) &&
           ab_onednn_memory_ok(o, w->dst) && (!bias || ab_onednn_memory_ok(o, w->bias));
}

/* ---- stages: what follows the linear map ---- */

int ab_onednn_stages(const struct ab_step *s, struct ab_onednn_stage stage[2])
{
    int n = 0;
    if (s->add >= 0) stage[n++] = (struct ab_onednn_stage){AB_PW_ADD, s->add};
    if (s->kind != AB_PW_COPY) stage[n++] = (struct ab_onednn_stage){s->kind, s->a};
    return n;
}

void ab_onednn_operands(const struct ab_step *s, const struct ab_onednn_stage *stage, int id[2])
{
    id[0] = stage->a;
    id[1] = ab_onednn_uses_z(stage->kind) ? s->z : -1;
}

/* Appends the stage as a post-op; false if oneDNN has none for it. */
static bool post_op(dnnl_post_ops_t ops, const struct ab_step *s, enum ab_pointwise_kind kind,
                    const ab_md *dst)
{
    switch (kind) {
    case AB_PW_RELU: return !ab_onednn_post_eltwise(ops, dnnl_eltwise_relu, 0, 0);
    case AB_PW_CAP: return !ab_onednn_post_eltwise(ops, dnnl_eltwise_clip, 0, s->scale);
    case AB_PW_NEG: return !ab_onednn_post_eltwise(ops, dnnl_eltwise_clip, -INFINITY, 0);
    case AB_PW_ABS: return !ab_onednn_post_eltwise(ops, dnnl_eltwise_abs, 0, 0);
    case AB_PW_SCALE: return !ab_onednn_post_eltwise(ops, dnnl_eltwise_linear, s->scale, 0);
    case AB_PW_ADD: return !dnnl_post_ops_append_binary(ops, dnnl_binary_add, dst);
    case AB_PW_SUB: return !dnnl_post_ops_append_binary(ops, dnnl_binary_sub, dst);
    case AB_PW_MUL: return !dnnl_post_ops_append_binary(ops, dnnl_binary_mul, dst);
    default: return false;
    }
}

static bool is_binary(enum ab_pointwise_kind kind)
{
    return kind == AB_PW_ADD || kind == AB_PW_SUB || kind == AB_PW_MUL;
}

static const ab_md *dst_of(const_dnnl_primitive_desc_t pd, enum ab_onednn_kind kind)
{
    return dnnl_primitive_desc_query_md(
        pd, is_backward(kind) ? dnnl_query_diff_src_md : dnnl_query_dst_md, 0);
}

static const ab_md *src_of(const_dnnl_primitive_desc_t pd, enum ab_onednn_kind kind)
{
    return dnnl_primitive_desc_query_md(
        pd, is_backward(kind) ? dnnl_query_diff_dst_md : dnnl_query_src_md, 0);
}

/* Replaces c's primitive by one with as many leading stages as oneDNN has post-ops for; false, and
 * nothing is changed, if there are none or its implementation would be another, slower one. */
static bool fuse_with(struct ab_onednn *o, const struct ab_step *s, struct ab_onednn_op op,
                      bool sum, struct ab_onednn_candidate *c)
{
    struct ab_onednn_stage stage[2];
    const int n = ab_onednn_stages(s, stage);
    dnnl_post_ops_t ops = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    int fused = 0;
    if (dnnl_post_ops_create(&ops)) return false;
    op.dst = dst_of(c->pd, op.kind);
    if (sum && !ab_onednn_post_sum(ops)) fused++;
    while (fused < n && post_op(ops, s, stage[fused].kind, op.dst)) fused++;
    bool made = fused > 0 && !dnnl_primitive_attr_clone(&attr, o->attr) &&
                !dnnl_primitive_attr_set_post_ops(attr, ops);
    op.attr = attr;
    made = made && !ab_onednn_pd(&pd, o->engine, &op);
    const bool same = made && !strcmp(ab_onednn_impl(pd), ab_onednn_impl(c->pd));
    if (same) {
        dnnl_primitive_desc_destroy(c->pd);
        c->pd = pd;
        c->fused = fused;
        c->sum = sum;
    } else if (made) {
        dnnl_primitive_desc_destroy(pd);
    }
    if (attr) dnnl_primitive_attr_destroy(attr);
    dnnl_post_ops_destroy(ops);
    return same;
}

/* An addend is best read in passing; where oneDNN cannot, it accumulates onto a copy. */
static void fuse_stages(struct ab_onednn *o, const struct ab_step *s, const struct ab_onednn_op *op,
                        struct ab_onednn_candidate *c)
{
    struct ab_onednn_stage stage[2];
    if (is_backward(op->kind) || ab_onednn_stages(s, stage) == 0) return;
    if (!fuse_with(o, s, *op, false, c) && stage[0].kind == AB_PW_ADD) {
        fuse_with(o, s, *op, true, c);
    }
}

/* ---- candidates ---- */

/* The forward primitive that a backward one wants to see. */
static dnnl_status_t make_hint(struct ab_onednn *o, const struct ab_onednn_op *bwd,
                               dnnl_primitive_desc_t *hint)
{
    struct ab_onednn_op fwd = *bwd;
    fwd.kind = bwd->kind == AB_DNN_CONV_BWD ? AB_DNN_CONV_FWD : AB_DNN_DENSE_FWD;
    fwd.prop = dnnl_forward_training;
    fwd.bias = NULL;
    return ab_onednn_pd(hint, o->engine, &fwd);
}

/* Whether the step can be computed by this choice at all. */
static bool applies(const struct ab_onednn *o, const struct ab_step *s, int choice)
{
    const struct variant *v = &variants[choice / FORMATS];
    const struct ab_conv2d_shape *shape = &o->exec->graph->nodes[s->node].conv;
    const int format = choice % FORMATS;
    if (v->op != s->op || v->pass != s->pass) return false;
    if (s->op == AB_OP_DENSE || v->winograd) {
        return format == FORMAT_ANY && (!v->winograd || insisted >= 0);
    }
    if (format > FORMAT_NCHW && insisted < 0) return false;
    if (v->form == AB_FORM_FLIPPED && !can_flip(shape)) return false;
    return format != FORMAT_NCHW || insisted >= 0 || shape->ic <= FEW_CHANNELS ||
           shape->oc <= FEW_CHANNELS;
}

/* Makes a candidate for the step; false where it does not exist. */
static bool make_candidate(struct ab_onednn *o, const struct ab_step *s, int choice,
                           struct ab_onednn_candidate *c)
{
    const struct variant *v = &variants[choice / FORMATS];
    *c = (struct ab_onednn_candidate){.variant = choice, .kind = v->kind, .form = v->form};
    if (o->status || !applies(o, s, choice)) return false;
    struct wishes w;
    struct ab_onednn_op op = {.kind = v->kind,
                              .prop = dnnl_forward_inference,
                              .alg = v->kind == AB_DNN_DECONV ? dnnl_deconvolution_direct
                                     : v->winograd            ? dnnl_convolution_winograd
                                                              : dnnl_convolution_direct,
                              .attr = o->attr};
    if (s->op == AB_OP_CONV) {
        set_geometry(&op, &o->exec->graph->nodes[s->node].conv, v->form == AB_FORM_FLIPPED);
    }
    dnnl_primitive_desc_t hint = NULL;
    bool made = make_wishes(o, s, v, (enum format)(choice % FORMATS), &w);
    op.src = is_backward(op.kind) ? w.dst : w.src;
    op.dst = is_backward(op.kind) ? w.src : w.dst;
    op.wei = w.wei;
    op.bias = w.bias;
    if (made && is_backward(op.kind)) made = !make_hint(o, &op, &hint);
    op.hint = hint;
    made = made && !ab_onednn_pd(&c->pd, o->engine, &op);
    if (made) fuse_stages(o, s, &op, c);
    if (hint) dnnl_primitive_desc_destroy(hint);
    free_wishes(&w);
    return made;
}

/* Whether the choice comes to the same as that with formats of oneDNN's choice. */
static bool repeats_any(struct ab_onednn *o, const struct ab_step *s,
                        const struct ab_onednn_candidate *c)
{
    struct ab_onednn_candidate any;
    const int choice = c->variant - c->variant % FORMATS;
    if (choice == c->variant || !make_candidate(o, s, choice, &any)) return false;
    const bool same = dnnl_memory_desc_equal(src_of(any.pd, any.kind), src_of(c->pd, c->kind)) &&
                      dnnl_memory_desc_equal(dst_of(any.pd, any.kind), dst_of(c->pd, c->kind));
    dnnl_primitive_desc_destroy(any.pd);
    return same;
}

/* Arguments of a candidate's primitive, without the work space; returns their count. */
int ab_onednn_roles(const struct ab_step *s, const struct ab_onednn_candidate *c,
                    struct ab_onednn_role role[8])
{
    const bool back = is_backward(c->kind);
    const_dnnl_primitive_desc_t pd = c->pd;
    const ab_md *dst = dst_of(pd, c->kind);
    struct ab_onednn_stage stage[2];
    int n = 0;
    ab_onednn_stages(s, stage);
    role[n++] = (struct ab_onednn_role){back ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC,
                                        src_of(pd, c->kind), AB_ROLE_X, s->x};
    role[n++] = (struct ab_onednn_role){DNNL_ARG_WEIGHTS,
                                        dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0),
                                        AB_ROLE_WEIGHTS, -1};
    if (s->pass == AB_FWD && s->bias != AB_B_NONE) {
        role[n++] = (struct ab_onednn_role){
            DNNL_ARG_BIAS, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1), AB_ROLE_BIAS,
            -1};
    }
    for (int i = 0; i < c->fused; i++) {
        if (!is_binary(stage[i].kind) || (i == 0 && c->sum)) continue;
        role[n++] = (struct ab_onednn_role){DNNL_ARG_ATTR_MULTIPLE_POST_OP(i) | DNNL_ARG_SRC_1, dst,
                                            AB_ROLE_OPERAND, stage[i].a};
    }
    role[n++] =
        (struct ab_onednn_role){back ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, dst, AB_ROLE_DST, s->dst};
    return n;
}

/* ---- the choice ---- */

static double work_of(const struct ab_onednn *o, const struct ab_step *s)
{
    const struct ab_node *node = &o->exec->graph->nodes[s->node];
    const int pixels = s->op == AB_OP_CONV ? max_of(node->conv.oh * node->conv.ow, 1) : 1;
    return (double)node->wei_count * pixels * o->exec->batch;
}

static struct ab_onednn_work describe(const struct ab_onednn *o, const struct ab_step *s)
{
    const struct ab_node *node = &o->exec->graph->nodes[s->node];
    return (struct ab_onednn_work){.op = s->op,
                                   .pass = s->pass,
                                   .kind = s->kind,
                                   .add = s->add >= 0,
                                   .bias = s->bias != AB_B_NONE,
                                   .batch = o->exec->batch,
                                   .threads = o->exec->threads,
                                   .channels = node->dims.c,
                                   .wei_count = node->wei_count,
                                   .conv = node->conv,
                                   .x = o->values[s->x]->md};
}

/* The one that is insisted on; not if it is another one under its name, or hopeless. */
static bool take_insisted(struct ab_onednn *o, const struct ab_step *s,
                          struct ab_onednn_candidate *c)
{
    if (!make_candidate(o, s, insisted, c)) return false;
    if (!repeats_any(o, s, c) && !strstr(ab_onednn_impl(c->pd), "ref:")) return true;
    dnnl_primitive_desc_destroy(c->pd);
    return false;
}

/* The fastest candidate, made; false if there is none. */
static bool choose(struct ab_onednn *o, const struct ab_step *s, struct ab_onednn_candidate *best)
{
    if (insisted >= 0 && s->op == AB_OP_CONV) return take_insisted(o, s, best);
    const bool measure = work_of(o, s) >= tiny;
    const struct ab_onednn_work work = describe(o, s);
    const int known = measure ? ab_onednn_recall(&work) : -1;
    if (known >= 0 && make_candidate(o, s, known, best)) return true;
    double best_ns = INFINITY;
    for (int i = 0; i < CHOICES && !o->status; i++) {
        struct ab_onednn_candidate c;
        if ((best->pd && !measure) || !make_candidate(o, s, i, &c)) continue;
        double ns = 0;
        if (repeats_any(o, s, &c)) {
            ns = INFINITY;
        } else if (strstr(ab_onednn_impl(c.pd), "ref:")) {
            ns = last_resort;
        } else if (measure) {
            ns = ab_onednn_time(o, s, &c, best_ns);
        }
        if (variants[i / FORMATS].plain) ns *= worth_a_copy;
        struct ab_onednn_candidate *worse = ns < best_ns ? best : &c;
        if (worse->pd) dnnl_primitive_desc_destroy(worse->pd);
        if (worse == best) {
            *best = c;
            best_ns = ns;
        }
    }
    if (best->pd && measure && !o->status) ab_onednn_remember(&work, best->variant);
    return best->pd && !o->status;
}

static struct ab_onednn_slot *slot_of(struct ab_onednn *o, const struct ab_step *s,
                                      const struct ab_onednn_candidate *c,
                                      const struct ab_onednn_role *role)
{
    switch (role->what) {
    case AB_ROLE_X:
    case AB_ROLE_OPERAND: return ab_onednn_want(o, role->value, role->md);
    case AB_ROLE_WEIGHTS:
        return ab_onednn_param(o, s->node, c->form, (int)s->wmod, s->gain, role->md);
    case AB_ROLE_BIAS:
        return ab_onednn_param(o, s->node, AB_FORM_BIAS, (int)s->bias, s->gain, role->md);
    case AB_ROLE_DST: return ab_onednn_define(o, role->value, role->md);
    }
    return NULL;
}

void ab_onednn_linear(struct ab_onednn *o, const struct ab_step *s)
{
    struct ab_onednn_candidate c = {0};
    if (!choose(o, s, &c)) {
        ab_onednn_ok(o, dnnl_unimplemented, "convolution or inner product");
        return;
    }
    ab_onednn_name(o, variants[c.variant / FORMATS].name, ab_onednn_impl(c.pd));
    if (insisted >= 0 && *format_names[c.variant % FORMATS])
        ab_onednn_name(o, "", format_names[c.variant % FORMATS]);
    struct ab_onednn_role role[8];
    struct ab_onednn_arg args[8];
    const int n = ab_onednn_roles(s, &c, role);
    struct ab_onednn_slot *dst = NULL;
    for (int i = 0; i < n; i++) {
        args[i] = (struct ab_onednn_arg){role[i].id, slot_of(o, s, &c, &role[i])};
        if (role[i].what == AB_ROLE_DST) dst = args[i].slot;
    }
    struct ab_onednn_stage stage[2];
    const int stages = ab_onednn_stages(s, stage);
    if (c.sum) ab_onednn_reorder(o, o->step, o->values[stage[0].a], dst);
    ab_onednn_prim(o, o->step, c.pd, args, n);
    for (int i = 0; i < stages; i++) {
        if (i < c.fused) {
            ab_onednn_name(o, "", ab_pointwise_name(stage[i].kind));
        } else {
            ab_onednn_epilogue(o, s, stage[i].kind, stage[i].a, dst);
        }
    }
}
