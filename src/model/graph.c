// SPDX-License-Identifier: Apache-2.0
// Graphs: life cycle, nodes, notes, queries and the content hash.
#include "model/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No network has more layers; an index and a count of everything about them fit an int. */
enum { NODE_LIMIT = 1 << 20 };

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

enum ab_status ab_graph_create(const char *name, struct ab_graph **graph, struct ab_error *err)
{
    *graph = NULL;
    struct ab_graph *g = calloc(1, sizeof *g);
    if (g) g->name = copy_text(name);
    if (!g || !g->name) {
        free(g);
        return ab_fail(err, AB_ERR_MEMORY, "%s: no memory for the graph", name);
    }
    g->output = -1;
    *graph = g;
    return AB_OK;
}

static void clear_node(struct ab_node *node)
{
    free(node->name);
    free(node->in);
    ab_buffer_free(node->wei);
    ab_buffer_free(node->bias);
}

void ab_graph_destroy(struct ab_graph **graph)
{
    struct ab_graph *g = *graph;
    if (!g) return;
    for (int i = 0; i < g->n_nodes; i++) clear_node(&g->nodes[i]);
    free(g->nodes);
    free(g->name);
    free(g->notes);
    free(g);
    *graph = NULL;
}

static bool grow(struct ab_graph *graph)
{
    if (graph->n_nodes < graph->capacity) return true;
    int capacity = graph->capacity ? 2 * graph->capacity : 64;
    if (capacity > NODE_LIMIT) return false;
    struct ab_node *nodes = realloc(graph->nodes, (size_t)capacity * sizeof *nodes);
    if (!nodes) return false;
    graph->nodes = nodes, graph->capacity = capacity;
    return true;
}

struct ab_node *ab_graph_add(struct ab_graph *graph, enum ab_node_kind kind, const char *name,
                             const int *in, int n_in)
{
    if (n_in < 0 || !grow(graph)) return NULL;
    struct ab_node node = {.kind = kind, .n_in = n_in};
    node.name = copy_text(name);
    /* One element at least, since malloc(0) may return NULL without being out of memory. */
    node.in = malloc((size_t)(n_in ? n_in : 1) * sizeof *node.in);
    if (!node.name || !node.in) {
        clear_node(&node);
        return NULL;
    }
    if (n_in) memcpy(node.in, in, (size_t)n_in * sizeof *in);
    graph->nodes[graph->n_nodes] = node;
    return &graph->nodes[graph->n_nodes++];
}

enum ab_status ab_graph_note(struct ab_graph *graph, struct ab_error *err, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length < 0) line[0] = '\0';
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?'; /* names from files: keep one line */
    size_t used = graph->notes ? strlen(graph->notes) : 0, size = strlen(line) + 1;
    char *notes = realloc(graph->notes, used + 1 + size);
    if (!notes) return ab_fail(err, AB_ERR_MEMORY, "%s: no memory for a note", graph->name);
    if (used) notes[used++] = '\n';
    memcpy(notes + used, line, size);
    graph->notes = notes;
    return AB_OK;
}

struct ab_dims ab_graph_input(const struct ab_graph *graph)
{
    return graph->nodes[0].dims;
}

int ab_graph_classes(const struct ab_graph *graph)
{
    return graph->nodes[graph->output].dims.c;
}

size_t ab_graph_parameters(const struct ab_graph *graph)
{
    return graph->parameters;
}

const char *ab_graph_name(const struct ab_graph *graph)
{
    return graph->name;
}

const char *ab_graph_notes(const struct ab_graph *graph)
{
    return graph->notes ? graph->notes : "";
}

const char *ab_node_kind_name(enum ab_node_kind kind)
{
    static const char *const names[] = {
#define X(name) #name,
        AB_NODE_KINDS(X)
#undef X
    };
    return kind < AB_NODE_KIND_COUNT ? names[kind] : "UNKNOWN";
}

enum ab_status ab_graph_find(const struct ab_graph *graph, const char *name, int *node,
                             struct ab_error *err)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        *node = i;
        if (strcmp(graph->nodes[i].name, name) == 0) return AB_OK;
    }
    const char **names = malloc((size_t)graph->n_nodes * sizeof *names);
    if (!names) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", graph->name);
    for (int i = 0; i < graph->n_nodes; i++) names[i] = graph->nodes[i].name;
    const char *near = ab_nearest(name, names, graph->n_nodes);
    char list[200] = "";
    for (int i = 0; i < graph->n_nodes; i++) {
        const size_t used = strlen(list);
        const bool fits = used + strlen(names[i]) + sizeof ", , ..." < sizeof list;
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", fits ? names[i] : "...");
        if (!fits) break;
    }
    free(names);
    return ab_fail(err, AB_ERR_ARG, "model '%.80s' has no layer '%.80s'%s%.80s%s; it has: %s",
                   graph->name, name, near ? ": did you mean '" : "", near ? near : "",
                   near ? "'?" : "", list);
}

static uint64_t hash_node(uint64_t hash, const struct ab_node *n)
{
    const struct ab_conv2d_shape *c = &n->conv;
    const struct ab_pool_shape *p = &n->pool;
    /* Member by member: structs have padding, whose bytes are anything. */
    const int32_t facts[] = {
        (int32_t)n->kind,
        n->n_in,
        n->dims.c,
        n->dims.h,
        n->dims.w,
        n->vector,
        n->pad[0],
        n->pad[1],
        n->pad[2],
        n->pad[3],
        c->g,
        c->kh,
        c->kw,
        c->sh,
        c->sw,
        c->dh,
        c->dw,
        c->pt,
        c->pl,
        c->pb,
        c->pr,
        p->kh,
        p->kw,
        p->sh,
        p->sw,
        p->dh,
        p->dw,
        p->pt,
        p->pl,
        p->pb,
        p->pr,
        p->oh,
        p->include_pad,
        !!n->wei,
        !!n->bias,
    };
    hash = ab_hash(hash, facts, sizeof facts);
    hash = ab_hash(hash, n->in, (size_t)n->n_in * sizeof *n->in);
    if (n->cap > 0) hash = ab_hash(hash, &n->cap, sizeof n->cap);
    if (n->wei) hash = ab_hash(hash, n->wei, n->wei_count * sizeof *n->wei);
    if (n->bias) hash = ab_hash(hash, n->bias, (size_t)n->dims.c * sizeof *n->bias);
    return hash;
}

uint64_t ab_graph_hash(const struct ab_graph *graph)
{
    const int32_t ends[] = {graph->n_nodes, graph->output};
    uint64_t hash = ab_hash(0, ends, sizeof ends);
    for (int i = 0; i < graph->n_nodes; i++) hash = hash_node(hash, &graph->nodes[i]);
    return hash;
}
