// SPDX-License-Identifier: Apache-2.0
// A forward pass written down from the definitions, in double: what graphs compute, whoever built
// them.
#ifndef AB_TESTS_NAIVE_H
#define AB_TESTS_NAIVE_H

#include "model/graph.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

static inline size_t naive_count(const struct ab_node *n)
{
    return (size_t)n->dims.c * (size_t)n->dims.h * (size_t)n->dims.w;
}

static inline double naive_pixel(const double *x, struct ab_dims d, int c, int y, int i)
{
    if (y < 0 || y >= d.h || i < 0 || i >= d.w) return 0;
    return x[((size_t)c * (size_t)d.h + (size_t)y) * (size_t)d.w + (size_t)i];
}

static inline void naive_conv(const struct ab_node *n, struct ab_dims in, const double *x,
                              double *out)
{
    const struct ab_conv2d_shape *s = &n->conv;
    int icg = s->ic / s->g, ocg = s->oc / s->g;
    for (int o = 0; o < s->oc; o++)
        for (int y = 0; y < s->oh; y++)
            for (int i = 0; i < s->ow; i++) {
                double sum = n->bias ? (double)n->bias[o] : 0;
                const float *w = n->wei + (size_t)o * (size_t)(icg * s->kh * s->kw);
                for (int c = 0; c < icg; c++)
                    for (int ky = 0; ky < s->kh; ky++)
                        for (int kx = 0; kx < s->kw; kx++)
                            sum += *w++ * naive_pixel(x, in, o / ocg * icg + c,
                                                      y * s->sh - s->pt + ky * s->dh,
                                                      i * s->sw - s->pl + kx * s->dw);
                *out++ = sum;
            }
}

static inline void naive_pool(const struct ab_node *n, struct ab_dims in, const double *x,
                              double *out)
{
    const struct ab_pool_shape *s = &n->pool;
    for (int c = 0; c < s->c; c++)
        for (int y = 0; y < s->oh; y++)
            for (int i = 0; i < s->ow; i++) {
                double sum = 0, top = -INFINITY;
                int inside = 0, padded = 0;
                for (int k = 0; k < s->kh * s->kw; k++) {
                    int py = y * s->sh - s->pt + k / s->kw * s->dh;
                    int px = i * s->sw - s->pl + k % s->kw * s->dw;
                    padded += py < s->ih + s->pb && px < s->iw + s->pr;
                    if (py < 0 || py >= s->ih || px < 0 || px >= s->iw) continue;
                    inside++;
                    double v = naive_pixel(x, in, c, py, px);
                    sum += v, top = v > top ? v : top;
                }
                bool max = n->kind == AB_NODE_MAXPOOL;
                *out++ = max ? top : sum / (s->include_pad ? padded : inside);
            }
}

static inline void naive_dense(const struct ab_node *n, size_t inputs, const double *x, double *out)
{
    for (size_t o = 0; o < (size_t)n->dims.c; o++) {
        out[o] = n->bias ? (double)n->bias[o] : 0;
        for (size_t i = 0; i < inputs; i++) out[o] += (double)n->wei[o * inputs + i] * x[i];
    }
}

static inline void naive_node(const struct ab_graph *g, const struct ab_node *n, double **values,
                              double *out)
{
    const struct ab_node *in = &g->nodes[n->in[0]];
    const double *x = values[n->in[0]];
    size_t count = naive_count(n), plane = (size_t)n->dims.h * (size_t)n->dims.w;
    switch (n->kind) {
    case AB_NODE_CONV: naive_conv(n, in->dims, x, out); break;
    case AB_NODE_DENSE: naive_dense(n, naive_count(in), x, out); break;
    case AB_NODE_MAXPOOL:
    case AB_NODE_AVGPOOL: naive_pool(n, in->dims, x, out); break;
    case AB_NODE_RELU:
        for (size_t i = 0; i < count; i++) {
            out[i] = x[i] > 0 ? x[i] : 0;
            if (n->cap > 0 && out[i] > (double)n->cap) out[i] = (double)n->cap;
        }
        break;
    case AB_NODE_BATCHNORM:
        for (size_t i = 0; i < count; i++)
            out[i] = x[i] * (double)n->wei[i / plane] + (double)n->bias[i / plane];
        break;
    case AB_NODE_ADD:
        for (size_t i = 0; i < count; i++) out[i] = x[i] + values[n->in[1]][i];
        break;
    case AB_NODE_CONCAT:
        for (int k = 0; k < n->n_in; k++) {
            size_t part = naive_count(&g->nodes[n->in[k]]);
            for (size_t i = 0; i < part; i++) *out++ = values[n->in[k]][i];
        }
        break;
    case AB_NODE_FLATTEN:
        for (size_t i = 0; i < count; i++) out[i] = x[i];
        break;
    case AB_NODE_PAD:
        for (int c = 0; c < n->dims.c; c++)
            for (int y = 0; y < n->dims.h; y++)
                for (int i = 0; i < n->dims.w; i++)
                    *out++ = naive_pixel(x, in->dims, c, y - n->pad[0], i - n->pad[1]);
        break;
    default: CHECK(false, "no forward for %s", ab_node_kind_name(n->kind));
    }
}

/* The output of node `which` for one image; free() it. */
static inline double *naive_forward(const struct ab_graph *g, const float *image, int which)
{
    double **values = calloc((size_t)g->n_nodes, sizeof *values);
    CHECK(values, "out of memory");
    for (int k = 0; k <= which; k++) {
        size_t count = naive_count(&g->nodes[k]);
        values[k] = malloc(count * sizeof **values);
        CHECK(values[k], "out of memory");
        if (k > 0)
            naive_node(g, &g->nodes[k], values, values[k]);
        else
            for (size_t i = 0; i < count; i++) values[0][i] = image[i];
    }
    double *out = values[which];
    for (int k = 0; k < which; k++) free(values[k]);
    free(values);
    return out;
}

#endif
