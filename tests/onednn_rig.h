// SPDX-License-Identifier: Apache-2.0
// Running single steps of the oneDNN backend: a program of one layer, its operands and its values.
#ifndef AB_TESTS_ONEDNN_RIG_H
#define AB_TESTS_ONEDNN_RIG_H

#include "nets.h"
#include "plan/builder.h"

/* ---- a program of one layer: INPUT steps write the operands, then one step of the layer ---- */

enum { MAX = 8 };

struct rig {
    struct ab_node nodes[2];
    int in0;
    struct ab_graph graph;
    struct ab_step steps[MAX];
    struct ab_value values[MAX];
    int outputs;
    struct ab_program program;
    struct ab_exec exec;
    float *data[MAX]; /* what the INPUT step of a value writes */
    struct rng rng;
};

static inline size_t count_of(const struct rig *r, int id)
{
    const struct ab_dims d = r->values[id].dims;
    return (size_t)r->exec.batch * (size_t)d.c * (size_t)d.h * (size_t)d.w;
}

static inline void rig_init(struct rig *r, struct rng rng)
{
    static char image[] = "image", layer[] = "layer";
    *r = (struct rig){.rng = rng};
    r->nodes[0] = (struct ab_node){.kind = AB_NODE_INPUT, .name = image};
    r->nodes[1].name = layer;
    r->nodes[0].dims = (struct ab_dims){1, 1, 1};
    r->exec.batch = rng_between(&r->rng, 1, 3);
    r->exec.threads = rng_between(&r->rng, 1, 2);
    r->exec.isas = ab_cpu_isas();
}

static inline struct ab_step *rig_step(struct rig *r, enum ab_op op, struct ab_dims dims,
                                       bool vector)
{
    const int id = r->program.n_values++, at = r->program.n_steps++;
    r->values[id] = (struct ab_value){.dims = dims, .vector = vector, .def = at, .node = -1};
    r->steps[at] = ab_step_new(op);
    r->steps[at].node = 1;
    r->steps[at].dst = id;
    return &r->steps[at];
}

/* An operand with random integers; returns its id. */
static inline int rig_operand(struct rig *r, struct ab_dims dims, bool vector, enum fill fill)
{
    const int id = rig_step(r, AB_OP_INPUT, dims, vector)->dst;
    r->data[id] = malloc(sizeof(float) * count_of(r, id));
    fill_floats(r->data[id], count_of(r, id), fill, &r->rng);
    return id;
}

/* A second value of the last step (switches). */
static inline int rig_second(struct rig *r, struct ab_step *s, struct ab_dims dims)
{
    const int id = r->program.n_values++;
    r->values[id] = (struct ab_value){
        .dims = dims, .dtype = AB_SWITCH, .def = r->program.n_steps - 1, .node = 1};
    return s->dst2 = id;
}

static inline void rig_weights(struct rig *r, size_t weights, size_t biases)
{
    struct ab_node *n = &r->nodes[1];
    n->wei_count = weights;
    n->wei = malloc(sizeof(float) * weights);
    n->bias = malloc(sizeof(float) * biases);
    fill_floats(n->wei, weights, FILL_INT, &r->rng);
    fill_floats(n->bias, biases, FILL_INT, &r->rng);
}

static inline void rig_run(struct rig *r)
{
    struct ab_error err = {""};
    const struct ab_backend *backend = &ab_backend_onednn;
    struct ab_exec *e = &r->exec;
    r->nodes[1].in = &r->in0;
    r->nodes[1].n_in = 1;
    r->graph = (struct ab_graph){.nodes = r->nodes, .n_nodes = 2};
    r->program.steps = r->steps;
    r->program.values = r->values;
    e->graph = &r->graph;
    e->program = &r->program;
    CHECK(!backend->open(e, &err), "%s", err.text);
    size_t at = 0;
    for (int v = 0; v < r->program.n_values; v++) {
        CHECK(r->values[v].bytes % 64 == 0, "value %d has %zu bytes", v, r->values[v].bytes);
        r->values[v].offset = at;
        at += r->values[v].bytes;
    }
    e->scratch_offset = at;
    e->arena = ab_buffer_alloc(at + e->scratch_bytes);
    e->weights = ab_buffer_alloc(e->weight_bytes);
    /* What a buffer held before must not matter. */
    fill_sentinel(e->arena, (at + e->scratch_bytes) / sizeof(float));
    CHECK(!backend->pack(e, &err), "%s", err.text);
    const size_t buffers = ab_buffer_count();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < r->program.n_steps; i++) {
            e->input = r->steps[i].op == AB_OP_INPUT ? r->data[r->steps[i].dst] : NULL;
            CHECK(!backend->run(e, &r->steps[i], &err), "%s", err.text);
            CHECK(backend->kernel(e, &r->steps[i])[0], "step %d has no kernel name", i);
        }
    }
    CHECK(ab_buffer_count() == buffers, "run allocated");
}

static inline double *rig_peek(const struct rig *r, int id)
{
    double *out = malloc(sizeof *out * count_of(r, id));
    ab_backend_onednn.peek(&r->exec, id, out);
    return out;
}

static inline void rig_free(struct rig *r)
{
    ab_backend_onednn.close(&r->exec);
    ab_buffer_free(r->exec.arena);
    ab_buffer_free(r->exec.weights);
    for (int v = 0; v < MAX; v++) free(r->data[v]);
    free(r->nodes[1].wei);
    free(r->nodes[1].bias);
}

/* Integers are exact; quotients are rounded a few times. */
static inline void check_value(const struct rig *r, int id, const double *want, const char *what)
{
    double *got = rig_peek(r, id);
    const size_t count = count_of(r, id), image = count / (size_t)r->exec.batch;
    for (size_t i = 0; i < count; i++) {
        CHECK(fabs(got[i] - want[i]) <= 4e-7 * fabs(want[i]),
              "%s: element %zu of image %zu is %.9g, should be %.9g", what, i % image, i / image,
              got[i], want[i]);
    }
    free(got);
}

#endif
