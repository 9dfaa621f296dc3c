// SPDX-License-Identifier: Apache-2.0
// ONNX files; of those that load, networks that are small enough are planned and run.
#include "model/graph.h"

#include "fuzz.h"

/* Few enough values, padding included, and products. */
static bool is_small(const struct ab_graph *g)
{
    enum { MOST = 1 << 18 };
    double values = 0, products = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const struct ab_node *n = &g->nodes[i];
        const struct ab_conv2d_shape *c = &n->conv;
        const struct ab_pool_shape *p = &n->pool;
        const double size = (double)n->dims.c * n->dims.h * n->dims.w;
        values += size;
        if (n->kind == AB_NODE_CONV) {
            values += (double)c->ic * (c->ih + c->pt + c->pb) * (c->iw + c->pl + c->pr);
            products += size * (c->ic / c->g) * c->kh * c->kw;
        }
        if (n->kind == AB_NODE_MAXPOOL || n->kind == AB_NODE_AVGPOOL) {
            values += (double)p->c * (p->ih + p->pt + p->pb) * (p->iw + p->pl + p->pr);
            products += size * p->kh * p->kw;
        }
    }
    return g->n_nodes <= 64 && values <= MOST && products <= MOST && ab_graph_parameters(g) <= MOST;
}

static void run(const struct ab_graph *graph)
{
    static const char *const specs[] = {"gradient", "lrp-alpha-beta", "guided-grad-cam",
                                        "deeplift:baseline=0"};
    const struct ab_dims d = ab_graph_input(graph);
    const size_t count = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    float *input = malloc(2 * count * sizeof *input), *maps[] = {input + count};
    MUST(input, "out of memory");
    for (size_t i = 0; i < count; i++) input[i] = (float)(i % 7) - 3;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct ab_error err = {""};
        struct ab_method *method = NULL;
        struct ab_plan *plan = NULL;
        MUST(ab_method_parse(specs[i], &method, &err) == AB_OK, "%s", err.text);
        const struct ab_method *const methods[] = {method};
        enum ab_status status = ab_plan_create(graph, methods, 1, NULL, &plan, &err);
        if (status == AB_OK) status = ab_plan_execute(plan, input, NULL, maps, NULL, &err);
        fuzz_check(status, &err);
        ab_plan_destroy(&plan);
        ab_method_destroy(&method);
    }
    free(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_file file = fuzz_file_open(data, size);
    struct ab_error err = {""};
    struct ab_graph *graph;
    enum ab_status status = ab_graph_load(file.path, &graph, &err);
    fuzz_check(status, &err);
    MUST((status == AB_OK) == (graph != NULL), "half read");
    if (graph && is_small(graph)) run(graph);
    ab_graph_destroy(&graph);
    fuzz_file_close(&file);
    return 0;
}
