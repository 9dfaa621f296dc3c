// SPDX-License-Identifier: Apache-2.0
// CONV and DENSE of the reference backend: splitting over threads; the sums are simd/*_f64_plain.c.
#include "backend/reference.h"

#include <omp.h>
#include <string.h>

/* The part of the layer's bias that the step adds, as doubles in scratch, or NULL. */
static const double *bias_of(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_node *node = &exec->graph->nodes[s->node];
    const struct ab_reference *r = exec->state;
    if (s->pass == AB_BWD || s->bias == AB_B_NONE || !node->bias) return NULL;
    const int lanes = ab_blocks(node->dims.c) * AB_LANES;
    double *to = ab_reference_scratch(exec) + r->bias_at;
    for (int c = 0; c < lanes; c++) {
        const float b = c < node->dims.c ? node->bias[c] : 0;
        to[c] = (double)ab_bias_part(s->bias, s->gain, b);
    }
    return to;
}

static struct ab_view_f64 view_of(const struct ab_exec *exec, int id)
{
    return id < 0 ? (struct ab_view_f64){0} : ab_reference_map(exec, id)->view;
}

/* Parts that one dst block's rows are cut into: enough tasks to balance the threads, but no part so
 * small that converting the weights, once per part, would show. */
static int row_parts(const struct ab_exec *exec, const struct ab_reference_map *dst)
{
    enum { TASKS_PER_THREAD = 4, PIXELS_PER_PART = 256 };
    const int wanted = (TASKS_PER_THREAD * exec->threads + dst->blocks - 1) / dst->blocks;
    const int most = 1 + dst->h * dst->w / PIXELS_PER_PART;
    const int parts = wanted < most ? wanted : most;
    return parts < dst->h ? parts : dst->h;
}

void ab_reference_conv(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_reference *r = exec->state;
    const struct ab_node *node = &exec->graph->nodes[s->node];
    const struct ab_reference_map *dst = ab_reference_map(exec, s->dst);
    struct ab_conv2d_f64_args args = {
        .shape = node->conv,
        .pass = s->pass,
        .wmod = s->wmod,
        .gain = s->gain,
        .wei = node->wei,
        .bias = bias_of(exec, s),
        .src = view_of(exec, s->x),
        .dst = dst->view,
        .add = view_of(exec, s->add),
    };
    args.shape.n = exec->batch;
    const int parts = row_parts(exec, dst), tasks = dst->blocks * parts;
#pragma omp parallel for num_threads(exec->threads) schedule(dynamic)
    for (int task = 0; task < tasks; task++) {
        struct ab_conv2d_f64_args mine = args;
        const int block = task / parts, part = task % parts;
        mine.panel = ab_reference_scratch(exec) + (size_t)omp_get_thread_num() * r->panel;
        mine.range = (struct ab_range){0,
                                       exec->batch,
                                       block,
                                       block + 1,
                                       (int)((long)dst->h * part / parts),
                                       (int)((long)dst->h * (part + 1) / parts)};
        r->conv->run(&mine);
    }
    if (s->kind != AB_PW_COPY) ab_reference_pointwise(exec, s, s->dst);
}

void ab_reference_dense(const struct ab_exec *exec, const struct ab_step *s)
{
    enum { ELEMENTS = 512 }; /* of dst in one task */
    const struct ab_reference *r = exec->state;
    const struct ab_node *node = &exec->graph->nodes[s->node];
    const struct ab_view_f64 src = view_of(exec, s->x), dst = view_of(exec, s->dst);
    const int in = exec->graph->nodes[node->in[0]].dims.c, out = node->dims.c;
    const struct ab_dense_f64_args args = {
        .n = exec->batch,
        .in = in,
        .out = out,
        .pass = s->pass,
        .wmod = s->wmod,
        .gain = s->gain,
        .wei = node->wei,
        .bias = bias_of(exec, s),
        .src = src.data,
        .dst = dst.data,
        .add = view_of(exec, s->add).data,
        .src_stride = src.image,
        .dst_stride = dst.image,
    };
    const int count = s->pass == AB_FWD ? out : in;
    const int tasks = (count + ELEMENTS - 1) / ELEMENTS;
    const int parts = tasks < exec->threads ? exec->threads : tasks;
#pragma omp parallel for num_threads(exec->threads) schedule(dynamic)
    for (int part = 0; part < parts; part++) {
        struct ab_dense_f64_args mine = args;
        mine.r0 = (int)((long)count * part / parts);
        mine.r1 = (int)((long)count * (part + 1) / parts);
        r->dense->run(&mine);
    }
    for (int n = 0; n < exec->batch; n++) {
        double *tail = dst.data + n * dst.image + count;
        memset(tail, 0, sizeof *tail * (size_t)(ab_blocks(count) * AB_LANES - count));
    }
    if (s->kind != AB_PW_COPY) ab_reference_pointwise(exec, s, s->dst);
}
