// SPDX-License-Identifier: Apache-2.0
// Weights and biases as the steps need them: transformed, rearranged, in the formats that oneDNN
// chose.
#include "backend/onednn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Input features of a DENSE layer. */
static int inputs_of(const struct ab_graph *graph, const struct ab_node *node)
{
    return graph->nodes[node->in[0]].dims.c;
}

static ab_md *dense_md(int out, int in, enum ab_onednn_form form, bool any)
{
    const bool swapped = form == AB_FORM_SWAPPED;
    const dnnl_dims_t dims = {swapped ? in : out, swapped ? out : in};
    return ab_md_tag(2, dims, dnnl_f32, any ? dnnl_format_tag_any : swapped ? dnnl_ba : dnnl_ab);
}

ab_md *ab_onednn_weights_md(const struct ab_graph *graph, int n, enum ab_onednn_form form, bool any)
{
    const struct ab_node *node = &graph->nodes[n];
    if (node->kind == AB_NODE_DENSE) {
        return dense_md(node->dims.c, inputs_of(graph, node), form, any);
    }
    const struct ab_conv2d_shape *s = &node->conv;
    dnnl_dim_t o = s->oc / s->g, i = s->ic / s->g;
    const dnnl_dim_t taps = (dnnl_dim_t)s->kh * s->kw;
    /* SWAPPED reads the model's [o][i][kh][kw] with o and i exchanged; FLIPPED is a copy in order.
     */
    dnnl_dim_t o_stride = i * taps, i_stride = taps;
    const dnnl_dim_t group = o * i * taps;
    if (form != AB_FORM_PLAIN) {
        const dnnl_dim_t k = o;
        o = i;
        i = k;
        o_stride = form == AB_FORM_SWAPPED ? taps : i * taps;
        i_stride = form == AB_FORM_SWAPPED ? o * taps : taps;
    }
    const int skip = s->g == 1;
    const dnnl_dims_t dims = {s->g, o, i, s->kh, s->kw};
    const dnnl_dims_t strides = {group, o_stride, i_stride, s->kw, 1};
    dnnl_dims_t d = {0}, t = {0};
    for (int k = 0; k < 5 - skip; k++) {
        d[k] = dims[k + skip];
        t[k] = strides[k + skip];
    }
    return any ? ab_md_tag(5 - skip, d, dnnl_f32, dnnl_format_tag_any)
               : ab_md_strides(5 - skip, d, dnnl_f32, t);
}

/* ---- packing ---- */

static float transformed(float w, enum ab_wmod wmod, float gain)
{
    switch (wmod) {
    case AB_W_ALL: return w;
    case AB_W_POS: return w > 0 ? w : 0;
    case AB_W_NEG: return w < 0 ? w : 0;
    case AB_W_ABS: return fabsf(w);
    case AB_W_SQUARE: return w * w;
    case AB_W_GAMMA: return w > 0 ? gain * w : w;
    case AB_W_ONE:
    case AB_W_COUNT: break;
    }
    return 1;
}

/* [g][o][i][taps] -> [g][i][o][taps reversed] */
static void flip(const struct ab_conv2d_shape *s, const float *wei, float *to)
{
    const size_t g = (size_t)s->g, o = (size_t)s->oc / g, i = (size_t)s->ic / g;
    const size_t taps = (size_t)s->kh * (size_t)s->kw;
    for (size_t group = 0; group < g; group++, wei += o * i * taps) {
        for (size_t b = 0; b < i; b++) {
            for (size_t a = 0; a < o; a++) {
                const float *from = wei + (a * i + b) * taps;
                for (size_t t = taps; t-- > 0;) *to++ = from[t];
            }
        }
    }
}

/* The model's weights transformed and, for FLIPPED, rearranged: `work`, or the model's own. NULL:
 * out of memory. */
static const float *prepared(const struct ab_node *node, const struct ab_onednn_param *p,
                             float **work)
{
    const size_t count = node->wei_count;
    const bool flipped = p->form == AB_FORM_FLIPPED;
    if (!flipped && p->variant == AB_W_ALL) return node->wei;
    *work = malloc(sizeof **work * count);
    if (!*work) return NULL;
    if (flipped) flip(&node->conv, node->wei, *work);
    const float *from = flipped ? *work : node->wei;
    const enum ab_wmod wmod = (enum ab_wmod)p->variant;
#pragma omp parallel for if (count > 1u << 20)
    for (size_t k = 0; k < count; k++) (*work)[k] = transformed(from[k], wmod, p->gain);
    return *work;
}

static dnnl_status_t reorder_now(const struct ab_onednn *o, const ab_md *md, const float *data,
                                 const struct ab_onednn_slot *to)
{
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t prim = NULL;
    dnnl_status_t status = dnnl_memory_create(&from, md, o->engine, (void *)(uintptr_t)data);
    if (!status) {
        status = dnnl_reorder_primitive_desc_create(&pd, md, o->engine, to->md, o->engine, NULL);
    }
    if (!status) status = dnnl_primitive_create(&prim, pd);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to->mem}};
    if (!status) status = dnnl_primitive_execute(prim, o->stream, 2, args);
    if (!status) status = dnnl_stream_wait(o->stream);
    if (prim) dnnl_primitive_destroy(prim);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (from) dnnl_memory_destroy(from);
    return status;
}

static dnnl_status_t pack_weights(const struct ab_onednn *o, const struct ab_onednn_param *p)
{
    const struct ab_graph *graph = o->exec->graph;
    float *work = NULL;
    const float *data = prepared(&graph->nodes[p->node], p, &work);
    ab_md *md = data ? ab_onednn_weights_md(graph, p->node, p->form, false) : NULL;
    const dnnl_status_t status = md ? reorder_now(o, md, data, p->slot) : dnnl_out_of_memory;
    ab_md_free(md);
    free(work);
    return status;
}

static void pack_bias(const struct ab_node *node, const struct ab_onednn_param *p, float *to)
{
    for (int c = 0; c < node->dims.c; c++)
        to[c] = ab_bias_part((enum ab_bias)p->variant, p->gain, node->bias[c]);
}

enum ab_status ab_onednn_pack(struct ab_exec *exec, struct ab_error *err)
{
    const struct ab_onednn *o = ab_onednn_of(exec);
    for (const struct ab_onednn_param *p = o->params; p; p = p->next) {
        if (p->slot->base == AB_IN_FOREIGN) continue;
        const struct ab_node *node = &exec->graph->nodes[p->node];
        const size_t bytes = sizeof(float) * (size_t)node->dims.c;
        dnnl_status_t status = dnnl_success;
        switch (p->form) {
        case AB_FORM_BIAS: pack_bias(node, p, p->slot->data); break;
        case AB_FORM_SCALE: memcpy(p->slot->data, node->wei, bytes); break;
        case AB_FORM_SHIFT: memcpy(p->slot->data, node->bias, bytes); break;
        default: status = pack_weights(o, p); break;
        }
        if (status == dnnl_out_of_memory) {
            return ab_fail(err, AB_ERR_MEMORY, "out of memory while packing weights of layer %.80s",
                           node->name);
        }
        if (status) {
            return ab_fail(err, AB_ERR_INTERNAL, "oneDNN: reorder of the weights of layer %.80s",
                           node->name);
        }
    }
    return AB_OK;
}
