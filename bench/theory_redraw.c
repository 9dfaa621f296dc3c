// SPDX-License-Identifier: Apache-2.0
// Copies of a network with the weights of some layers drawn anew.
#include "theory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum ab_status no_memory(const struct ab_node *node, struct ab_error *err)
{
    return ab_fail(err, AB_ERR_MEMORY, "layer '%s': out of memory for a copy of its weights",
                   node->name);
}

static bool is_linear(const struct ab_node *node)
{
    return node->kind == AB_NODE_CONV || node->kind == AB_NODE_DENSE;
}

int ab_linear_nodes(const struct ab_graph *graph, int *nodes)
{
    int count = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        if (is_linear(&graph->nodes[i])) nodes[count++] = i;
    return count;
}

/* `count` vectors of `length` at vectors[i * step + j * stride]: Gram and Schmidt, twice, which
 * leaves them orthonormal to rounding. */
static void orthonormalise(double *vectors, size_t count, size_t length, size_t step, size_t stride)
{
    for (size_t i = 0; i < count; i++) {
        double *v = vectors + i * step, norm = 0;
        for (int pass = 0; pass < 2; pass++) {
            for (size_t k = 0; k < i; k++) {
                const double *u = vectors + k * step;
                double dot = 0;
#pragma omp simd reduction(+ : dot)
                for (size_t j = 0; j < length; j++) dot += u[j * stride] * v[j * stride];
                for (size_t j = 0; j < length; j++) v[j * stride] -= dot * u[j * stride];
            }
        }
        for (size_t j = 0; j < length; j++) norm += v[j * stride] * v[j * stride];
        for (size_t j = 0; j < length; j++) v[j * stride] /= sqrt(norm);
    }
}

void ab_draw_orthonormal(double *matrix, size_t rows, size_t columns, uint64_t seed)
{
    for (size_t i = 0; i < rows * columns; i++) matrix[i] = ab_normal(seed, i);
    if (rows <= columns)
        orthonormalise(matrix, rows, columns, columns, 1);
    else
        orthonormalise(matrix, columns, rows, 1, columns);
}

/* sqrt(2) makes up for the half that a ReLU cuts off. */
static bool draw_orthogonal(float *wei, size_t rows, size_t columns, uint64_t seed)
{
    const size_t count = rows * columns;
    double *v = malloc(count * sizeof *v);
    if (!v) return false;
    ab_draw_orthonormal(v, rows, columns, seed);
    for (size_t i = 0; i < count; i++) wei[i] = (float)(sqrt(2) * v[i]);
    free(v);
    return true;
}

static bool draw(struct ab_node *node, enum ab_init init, uint64_t seed)
{
    const size_t rows = (size_t)node->dims.c, columns = node->wei_count / rows;
    if (init == AB_INIT_ORTHOGONAL) return draw_orthogonal(node->wei, rows, columns, seed);
    const double deviation = sqrt(2 / (double)columns);
    for (size_t i = 0; i < node->wei_count; i++)
        node->wei[i] = (float)(deviation * ab_normal(seed, i));
    return true;
}

static enum ab_status copy_node(struct ab_graph *copy, const struct ab_node *from, bool redraw,
                                enum ab_init init, uint64_t seed, struct ab_error *err)
{
    struct ab_node *node = ab_graph_add(copy, from->kind, from->name, from->in, from->n_in);
    if (!node) return no_memory(from, err);
    node->dims = from->dims;
    node->conv = from->conv;
    node->pool = from->pool;
    memcpy(node->pad, from->pad, sizeof node->pad);
    node->wei_count = from->wei_count;
    if (from->wei) node->wei = ab_buffer_alloc(from->wei_count * sizeof *node->wei);
    if (from->bias) node->bias = ab_buffer_alloc((size_t)from->dims.c * sizeof *node->bias);
    if ((from->wei && !node->wei) || (from->bias && !node->bias)) return no_memory(from, err);
    if (redraw) {
        const uint64_t own = ab_hash(seed, from->name, strlen(from->name));
        return draw(node, init, own) ? AB_OK : no_memory(from, err);
    }
    if (from->wei) memcpy(node->wei, from->wei, from->wei_count * sizeof *node->wei);
    if (from->bias) memcpy(node->bias, from->bias, (size_t)from->dims.c * sizeof *node->bias);
    return AB_OK;
}

enum ab_status ab_graph_redraw(const struct ab_graph *graph, const bool *redraw, enum ab_init init,
                               uint64_t seed, struct ab_graph **copy, struct ab_error *err)
{
    enum ab_status status = ab_graph_create(graph->name, copy, err);
    for (int i = 0; status == AB_OK && i < graph->n_nodes; i++) {
        const struct ab_node *node = &graph->nodes[i];
        const bool anew = is_linear(node) && (!redraw || redraw[i]);
        status = copy_node(*copy, node, anew, init, seed, err);
    }
    if (status == AB_OK) status = ab_graph_finish(*copy, graph->output, err);
    if (status != AB_OK) ab_graph_destroy(copy);
    return status;
}
