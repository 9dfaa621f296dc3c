// SPDX-License-Identifier: Apache-2.0
// Writes ONNX files byte by byte, from the wire format and the field numbers of onnx.proto: an
// encoding that shares nothing with the reader, and can be wrong on purpose.
#ifndef AB_TESTS_ONNX_WRITER_H
#define AB_TESTS_ONNX_WRITER_H

#include "files.h"
#include "model/graph.h"

#include <stdarg.h>

struct bytes {
    unsigned char *data;
    size_t n, capacity;
};

static inline void put(struct bytes *b, const void *data, size_t n)
{
    if (b->n + n > b->capacity) {
        b->capacity = 2 * (b->n + n) + 64;
        b->data = realloc(b->data, b->capacity);
        CHECK(b->data, "out of memory");
    }
    if (n) memcpy(b->data + b->n, data, n);
    b->n += n;
}

static inline void put_varint(struct bytes *b, uint64_t v)
{
    do {
        unsigned char byte = (unsigned char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        put(b, &byte, 1);
    } while (v >>= 7);
}

static inline void put_int(struct bytes *b, unsigned field, int64_t v)
{
    put_varint(b, field << 3);
    put_varint(b, (uint64_t)v);
}

static inline void put_float(struct bytes *b, unsigned field, float v)
{
    put_varint(b, field << 3 | 5);
    put(b, &v, sizeof v);
}

static inline void put_bytes(struct bytes *b, unsigned field, const void *data, size_t n)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, n);
    put(b, data, n);
}

static inline void put_text(struct bytes *b, unsigned field, const char *text)
{
    put_bytes(b, field, text, strlen(text));
}

/* Appends `part` as a field and frees it. */
static inline void put_part(struct bytes *b, unsigned field, struct bytes *part)
{
    put_bytes(b, field, part->data, part->n);
    free(part->data);
    *part = (struct bytes){0};
}

/* ---- ONNX ---- */

enum { ONNX_FLOAT = 1, ONNX_INT64 = 7, ONNX_FLOAT16 = 10, ONNX_DOUBLE = 11 };

/* A model under construction: attributes collect for the next node. */
struct model {
    struct bytes graph, attributes;
    int opset;
};

/* ValueInfoProto with dims; -1 is a symbolic one. */
static inline void add_info(struct model *m, unsigned field, const char *name, int type, int rank,
                            const int *dims)
{
    struct bytes shape = {0}, tensor = {0}, holder = {0}, info = {0};
    for (int i = 0; i < rank; i++) {
        struct bytes dim = {0};
        if (dims[i] == -1)
            put_text(&dim, 2, "N");
        else
            put_int(&dim, 1, dims[i]);
        put_part(&shape, 1, &dim);
    }
    put_int(&tensor, 1, type);
    put_part(&tensor, 2, &shape);
    put_part(&holder, 1, &tensor);
    put_text(&info, 1, name);
    put_part(&info, 2, &holder);
    put_part(&m->graph, field, &info);
}

static inline void add_input(struct model *m, const char *name, int n, int c, int h, int w)
{
    add_info(m, 11, name, ONNX_FLOAT, 4, (const int[]){n, c, h, w});
}

static inline void add_output(struct model *m, const char *name, int rank)
{
    add_info(m, 12, name, ONNX_FLOAT, rank, (const int[]){-1, -1, -1, -1});
}

static inline struct model model_new(int c, int h, int w)
{
    struct model m = {.opset = 13};
    add_input(&m, "x", -1, c, h, w);
    add_output(&m, "y", 2);
    return m;
}

/* TensorProto with raw_data. */
static inline struct bytes tensor(const char *name, int type, int rank, const int *dims,
                                  const void *data, size_t bytes)
{
    struct bytes t = {0};
    for (int i = 0; i < rank; i++) put_int(&t, 1, dims[i]);
    put_int(&t, 2, type);
    put_text(&t, 8, name);
    put_bytes(&t, 9, data, bytes);
    return t;
}

/* An initializer of `rank` dims with reproducible normal values, drawn from its name. */
static inline void add_weights(struct model *m, const char *name, int rank, ...)
{
    int dims[8];
    size_t count = 1;
    va_list args;
    va_start(args, rank);
    for (int i = 0; i < rank; i++) count *= (size_t)(dims[i] = va_arg(args, int));
    va_end(args);
    float *data = malloc(count * sizeof *data);
    CHECK(data, "out of memory");
    struct rng r = rng_new((uint64_t)name[0] * 256 + (uint64_t)name[strlen(name) - 1]);
    for (size_t i = 0; i < count; i++) data[i] = (float)rng_normal(&r);
    struct bytes t = tensor(name, ONNX_FLOAT, rank, dims, data, count * sizeof *data);
    put_part(&m->graph, 5, &t);
    free(data);
}

static inline void add_ints(struct model *m, const char *name, int n, const int64_t *values)
{
    struct bytes t = tensor(name, ONNX_INT64, 1, &n, values, (size_t)n * sizeof *values);
    put_part(&m->graph, 5, &t);
}

static inline void attribute(struct model *m, const char *name, int type, unsigned field,
                             const struct bytes *value)
{
    struct bytes a = {0};
    put_text(&a, 1, name);
    put_int(&a, 20, type);
    if (field) put_bytes(&a, field, value->data, value->n);
    put_part(&m->attributes, 5, &a);
}

static inline void attr_int(struct model *m, const char *name, int64_t value)
{
    struct bytes a = {0};
    put_text(&a, 1, name);
    put_int(&a, 3, value);
    put_int(&a, 20, 2);
    put_part(&m->attributes, 5, &a);
}

static inline void attr_float(struct model *m, const char *name, float value)
{
    struct bytes a = {0};
    put_text(&a, 1, name);
    put_float(&a, 2, value);
    put_int(&a, 20, 1);
    put_part(&m->attributes, 5, &a);
}

static inline void attr_text(struct model *m, const char *name, const char *value)
{
    struct bytes text = {(unsigned char *)(uintptr_t)value, strlen(value), 0};
    attribute(m, name, 3, 4, &text);
}

static inline void attr_tensor(struct model *m, const char *name, struct bytes *t)
{
    attribute(m, name, 4, 5, t);
    free(t->data);
}

static inline void attr_ints(struct model *m, const char *name, int n, ...)
{
    struct bytes a = {0};
    put_text(&a, 1, name);
    va_list args;
    va_start(args, n);
    for (int i = 0; i < n; i++) put_int(&a, 8, va_arg(args, int));
    va_end(args);
    put_int(&a, 20, 7);
    put_part(&m->attributes, 5, &a);
}

static inline void put_words(struct bytes *b, unsigned field, const char *words)
{
    for (const char *at = words; *at;) {
        size_t n = strcspn(at, " ");
        /* "-" stands for an input that is left out */
        put_bytes(b, field, at, n == 1 && *at == '-' ? 0 : n);
        at += n;
        at += strspn(at, " ");
    }
}

/* A node named after its operator and output ("Conv a" is named Conv.a), with the attributes so
 * far. Inputs and outputs are separated by spaces. */
static inline void add_node(struct model *m, const char *op, const char *inputs,
                            const char *outputs)
{
    struct bytes node = {0};
    char name[64];
    snprintf(name, sizeof name, "%s.%s", op, outputs);
    put_words(&node, 1, inputs);
    put_words(&node, 2, outputs);
    put_text(&node, 3, name);
    put_text(&node, 4, op);
    put(&node, m->attributes.data, m->attributes.n);
    m->attributes.n = 0;
    put_part(&m->graph, 1, &node);
}

/* The finished file, malloc'd; the model is gone. */
static inline struct bytes model_bytes(struct model *m)
{
    struct bytes opset = {0}, file = {0};
    put_int(&opset, 2, m->opset);
    put_int(&file, 1, 7);
    put_part(&file, 8, &opset);
    put_part(&file, 7, &m->graph);
    free(m->attributes.data);
    *m = (struct model){0};
    return file;
}

static inline const char *model_save(struct model *m, const char *name)
{
    struct bytes file = model_bytes(m);
    const char *path = write_file(name, file.data, file.n);
    free(file.data);
    return path;
}

/* ---- loading ---- */

static inline struct ab_graph *load(const char *path)
{
    struct ab_error err = {""};
    struct ab_graph *g;
    CHECK(ab_graph_load(path, &g, &err) == AB_OK, "%s", err.text);
    return g;
}

static inline struct ab_graph *loaded(struct model *m)
{
    return load(model_save(m, "model.onnx"));
}

static inline void refused_file(const char *path, enum ab_status want, const char *needle)
{
    struct ab_error err = {""};
    struct ab_graph *g = (struct ab_graph *)&err;
    context("%s", needle);
    check_error(ab_graph_load(path, &g, &err), want, &err, needle);
    CHECK(!g, "a graph is left");
    CHECK(strncmp(err.text, path, strlen(path)) == 0, "the file is not named: %s", err.text);
}

static inline void refused(struct model *m, enum ab_status want, const char *needle)
{
    refused_file(model_save(m, "model.onnx"), want, needle);
}

static inline const struct ab_node *node(const struct ab_graph *g, const char *name)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i].name, name) == 0) return &g->nodes[i];
    test_fail(__FILE__, __LINE__, "no node %s", name);
}

/* ---- pieces of models ---- */

static inline struct model conv_model(int h, int w)
{
    struct model m = model_new(4, h, w);
    add_weights(&m, "w", 4, 6, 4, 3, 2);
    add_weights(&m, "b", 1, 6);
    return m;
}

static inline void flatten_end(struct model *m)
{
    add_node(m, "Flatten", "f", "y");
}

#endif
