// SPDX-License-Identifier: Apache-2.0
// Small networks and helpers for the tests of whole methods.
#ifndef AB_TESTS_NETS_H
#define AB_TESTS_NETS_H

#include "model/graph.h"
#include "plan/plan.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* conv-relu-conv-relu-maxpool-conv-relu-(flatten)-fc-relu-fc; odd channel counts. */
static inline struct ab_graph *net_chain(uint64_t seed, bool bias)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = seed, .err = &err};
    CHECK(!ab_graph_create("chain", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 3, 14, 13);
    x = ab_build_relu(&b, "relu1", ab_build_conv(&b, "conv1", x, 7, 3, 1, 1, 1, bias));
    x = ab_build_relu(&b, "relu2", ab_build_conv(&b, "conv2", x, 20, 3, 2, 1, 1, bias));
    x = ab_build_maxpool(&b, "pool", x, 3, 2, 1, false);
    x = ab_build_relu(&b, "relu3", ab_build_conv(&b, "conv3", x, 33, 3, 1, 1, 1, bias));
    x = ab_build_flatten(&b, "flatten", x);
    x = ab_build_relu(&b, "relu4", ab_build_dense(&b, "fc1", x, 19, bias));
    x = ab_build_dense(&b, "fc2", x, 6, bias);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

/* Residual sum of a strided and a 1x1 path, grouped conv, concat, average and global pools. */
static inline struct ab_graph *net_branches(uint64_t seed)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = seed, .err = &err};
    CHECK(!ab_graph_create("branches", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 3, 15, 15);
    x = ab_build_relu(&b, "relu1", ab_build_conv(&b, "conv1", x, 12, 3, 1, 1, 1, true));
    int u = ab_build_batchnorm(&b, "bn", ab_build_conv(&b, "conv2", x, 24, 3, 2, 1, 2, false));
    u = ab_build_add(&b, "add", u, ab_build_conv(&b, "down", x, 24, 1, 2, 0, 1, true));
    u = ab_build_relu(&b, "relu2", u);
    const int parts[] = {
        ab_build_relu(&b, "relu3", ab_build_conv(&b, "conv3", u, 9, 3, 1, 1, 1, true)),
        ab_build_avgpool(&b, "avg", u, 3, 1, 1), u};
    x = ab_build_concat(&b, "concat", parts, 3);
    x = ab_build_relu(&b, "relu4", ab_build_conv(&b, "conv4", x, 17, 1, 1, 0, 1, true));
    x = ab_build_flatten(&b, "flatten", ab_build_global_avgpool(&b, "gap", x));
    x = ab_build_dense(&b, "fc", x, 5, true);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

/* Gives every ReLU a cap. */
static inline struct ab_graph *net_capped(struct ab_graph *g, float cap)
{
    for (int n = 0; n < g->n_nodes; n++)
        if (g->nodes[n].kind == AB_NODE_RELU) g->nodes[n].cap = cap;
    return g;
}

static inline size_t input_count(const struct ab_graph *g, int batch)
{
    const struct ab_dims d = ab_graph_input(g);
    return (size_t)batch * (size_t)d.c * (size_t)d.h * (size_t)d.w;
}

static inline float *random_images(const struct ab_graph *g, int batch, uint64_t salt)
{
    struct rng r = rng_new(salt);
    float *x = malloc(sizeof *x * input_count(g, batch));
    CHECK(x != NULL, "out of memory");
    fill_floats(x, input_count(g, batch), FILL_NORMAL, &r);
    return x;
}

struct job {
    const struct ab_graph *graph;
    const char *backend;
    const float *input;
    const int *targets;
    int batch, threads;
};

/* Runs `specs` in one plan; maps[m] is allocated; logits may be NULL. */
static inline void run_methods(const struct job *job, const char *const *specs, int count,
                               float **maps, float *logits)
{
    struct ab_error err = {""};
    struct ab_method *methods[16] = {NULL};
    for (int m = 0; m < count; m++) {
        CHECK(!ab_method_parse(specs[m], &methods[m], &err), "%s", err.text);
        maps[m] = malloc(sizeof(float) * input_count(job->graph, job->batch));
        CHECK(maps[m] != NULL, "out of memory");
    }
    const struct ab_plan_options options = {
        .backend = job->backend, .batch = job->batch, .threads = job->threads};
    struct ab_plan *plan = NULL;
    CHECK(!ab_plan_create(job->graph, (const struct ab_method *const *)methods, count, &options,
                          &plan, &err),
          "%s: %s", job->backend, err.text);
    CHECK(!ab_plan_execute(plan, job->input, job->targets, maps, logits, &err), "%s", err.text);
    ab_plan_destroy(&plan);
    for (int m = 0; m < count; m++) ab_method_destroy(&methods[m]);
}

static inline float *run_method(const struct job *job, const char *spec, float *logits)
{
    float *map;
    run_methods(job, &spec, 1, &map, logits);
    return map;
}

static inline double relative_l2(const float *got, const float *want, size_t count)
{
    double diff = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        diff += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        norm += (double)want[i] * want[i];
    }
    return norm > 0 ? sqrt(diff / norm) : sqrt(diff);
}

/* The same bits; of oneDNN, whose plans each take what they timed best, nearly the same. */
static inline void check_same_on(const char *backend, const float *got, const float *want,
                                 size_t count)
{
    if (strcmp(backend, "onednn") != 0)
        check_same_bits(got, want, count);
    else
        CHECK(relative_l2(got, want, count) <= 1e-4, "off by %g", relative_l2(got, want, count));
}

/* Backend names this machine runs: native at every instruction set, and the others. */
static inline int backend_names(char names[][32], int max)
{
    int count = 0, backends;
    const struct ab_backend_info *infos = ab_backends(&backends);
    for (int i = 0; i < backends && count < max; i++) {
        if (strcmp(infos[i].name, "native") != 0) {
            snprintf(names[count++], 32, "%s", infos[i].name);
            continue;
        }
        for (int isa = 0; isa < AB_ISA_COUNT && count < max; isa++) {
            if (!(ab_cpu_isas() >> isa & 1)) continue;
            snprintf(names[count++], 32, "native:%s", ab_isa_name((enum ab_isa)isa));
        }
    }
    return count;
}

/* Whether this build and machine have the backend. */
static inline bool has_backend(const char *name)
{
    char names[16][32];
    const int count = backend_names(names, 16);
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

#endif
