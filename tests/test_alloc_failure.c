// SPDX-License-Identifier: Apache-2.0
// Memory runs out: each allocation of loading, building, parsing, planning and executing fails
// once. Whatever was asked for is refused with a message, nothing is left behind, and with memory
// again the same call succeeds.
//
// The linker hands this program the library's calls of malloc and its kin (--wrap, see
// CMakeLists.txt). Foreign libraries are shared objects and keep their own.
#include "config/config.h"
#include "nets.h"
#include "onnx_writer.h"

#include <stdatomic.h>

/* ---- the allocator ---- */

static struct {
    bool armed;         /* calls are counted */
    atomic_long at;     /* the number of the next call */
    long failing;       /* the one that fails, from 0; -1: none */
    atomic_long blocks; /* allocated and not freed, armed or not */
} heap = {.failing = -1};

static bool refused_now(void)
{
    return heap.armed && atomic_fetch_add(&heap.at, 1) == heap.failing;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
int __real_posix_memalign(void **block, size_t align, size_t bytes);
void __real_free(void *block);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
int __wrap_posix_memalign(void **block, size_t align, size_t bytes);
void __wrap_free(void *block);
double __wrap_ab_normal(uint64_t seed, uint64_t index);

static void *counted(void *block)
{
    if (block) atomic_fetch_add(&heap.blocks, 1);
    return block;
}

void *__wrap_malloc(size_t bytes)
{
    return refused_now() ? NULL : counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return refused_now() ? NULL : counted(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *old, size_t bytes)
{
    if (refused_now()) return NULL;
    void *block = __real_realloc(old, bytes);
    return old ? block : counted(block);
}

int __wrap_posix_memalign(void **block, size_t align, size_t bytes)
{
    if (refused_now()) return 12; /* ENOMEM */
    const int failed = __real_posix_memalign(block, align, bytes);
    if (!failed) counted(*block);
    return failed;
}

void __wrap_free(void *block)
{
    if (block) atomic_fetch_sub(&heap.blocks, 1);
    __real_free(block);
}

/* Built-in networks have millions of weights, which nothing here looks at. */
double __wrap_ab_normal(uint64_t seed, uint64_t index)
{
    return (double)((seed ^ index) % 7) - 3;
}

/* ---- failing one by one ---- */

/* What is done with the memory that is left: creates, executes and destroys again. */
typedef enum ab_status (*attempt)(const void *with, struct ab_error *err);

/* Fails every `step`-th allocation of the attempt in turn, until none is left to fail. `spare`: it
 * may succeed without one. */
static void exhaust(const char *what, attempt run, const void *with, long step, bool spare)
{
    for (long k = 0;; k += step) {
        struct ab_error err = {""};
        const long blocks = atomic_load(&heap.blocks);
        context("%s: allocation %ld fails", what, k);
        heap.failing = k;
        atomic_store(&heap.at, 0);
        heap.armed = true;
        const enum ab_status status = run(with, &err);
        heap.armed = false;
        if (atomic_load(&heap.at) <= k) {
            CHECK(status == AB_OK, "with all memory: %s", err.text);
            CHECK(k > 0, "it allocates nothing");
            return;
        }
        CHECK(status == AB_ERR_MEMORY || (spare && !status), "status %d: %s", status, err.text);
        CHECK(!status || err.text[0], "no message");
        CHECK(atomic_load(&heap.blocks) == blocks, "%ld blocks are left",
              atomic_load(&heap.blocks) - blocks);
    }
}

/* ---- what is attempted ---- */

static enum ab_status load_file(const void *with, struct ab_error *err)
{
    struct ab_graph *graph;
    const enum ab_status status = ab_graph_load(with, &graph, err);
    CHECK((status == AB_OK) == (graph != NULL), "status %d, graph %p", status, (void *)graph);
    ab_graph_destroy(&graph);
    return status;
}

static enum ab_status build_network(const void *with, struct ab_error *err)
{
    struct ab_graph *graph;
    const enum ab_status status = ab_graph_builtin(with, 1, &graph, err);
    CHECK((status == AB_OK) == (graph != NULL), "status %d, graph %p", status, (void *)graph);
    ab_graph_destroy(&graph);
    return status;
}

#if AB_WITH_CONFIG
static enum ab_status read_config(const void *with, struct ab_error *err)
{
    struct ab_config *config;
    const enum ab_status status = ab_config_read(with, true, &config, err);
    CHECK((status == AB_OK) == (config != NULL), "status %d, config %p", status, (void *)config);
    ab_config_destroy(&config);
    return status;
}
#endif

static enum ab_status parse_spec(const void *with, struct ab_error *err)
{
    struct ab_method *method;
    const enum ab_status status = ab_method_parse(with, &method, err);
    CHECK((status == AB_OK) == (method != NULL), "status %d, method %p", status, (void *)method);
    ab_method_destroy(&method);
    return status;
}

enum { MOST_SPECS = 4, BATCH = 2, SIDE_LIMIT = 3 * 15 * 15 };

struct planned {
    const struct ab_graph *graph;
    const char *backend, *specs[MOST_SPECS];
    const struct ab_method *methods[MOST_SPECS];
    int n_methods;
    const float *input;
};

static enum ab_status plan_and_run(const void *with, struct ab_error *err)
{
    const struct planned *p = with;
    static float results[MOST_SPECS][BATCH * SIDE_LIMIT];
    float *maps[MOST_SPECS];
    for (int m = 0; m < p->n_methods; m++) maps[m] = results[m];
    const struct ab_plan_options options = {.backend = p->backend, .batch = BATCH, .threads = 1};
    struct ab_plan *plan;
    enum ab_status status =
        ab_plan_create(p->graph, p->methods, p->n_methods, &options, &plan, err);
    CHECK((status == AB_OK) == (plan != NULL), "status %d, plan %p", status, (void *)plan);
    if (status == AB_OK) status = ab_plan_execute(plan, p->input, NULL, maps, NULL, err);
    ab_plan_destroy(&plan);
    return status;
}

/* ---- tests ---- */

#if AB_WITH_ONNX
/* Every kind of layer and constant that allocates; external data too. */
TEST(loading_a_file)
{
    struct model m = model_new(4, 9, 8);
    add_weights(&m, "w1", 4, 6, 4, 3, 3);
    add_weights(&m, "b1", 1, 6);
    add_weights(&m, "w2", 4, 5, 6, 1, 1);
    add_weights(&m, "g", 1, 6);
    add_weights(&m, "mean", 1, 6);
    const float ones[] = {1, 2, 3, 4, 5, 6};
    struct bytes var = tensor("var", ONNX_FLOAT, 1, (const int[]){6}, ones, sizeof ones);
    put_part(&m.graph, 5, &var);
    add_weights(&m, "w3", 2, 11, 3);
    add_weights(&m, "one", 1, 1);
    attr_ints(&m, "pads", 4, 1, 1, 1, 1);
    add_node(&m, "Conv", "x w1 b1", "a");
    add_node(&m, "BatchNormalization", "a g b1 mean var", "b");
    add_node(&m, "Relu", "b", "c");
    add_node(&m, "Conv", "c w2", "d");
    add_node(&m, "Concat", "c d", "e");
    add_node(&m, "GlobalAveragePool", "e", "h");
    add_node(&m, "Flatten", "h", "f");
    add_node(&m, "MatMul", "f w3", "i");
    add_node(&m, "Add", "i one", "j");
    add_node(&m, "Softmax", "j", "y");
    exhaust("onnx", load_file, model_save(&m, "model.onnx"), 1, false);
}
#endif

#if AB_WITH_CONFIG
TEST(reading_a_configuration)
{
    static const char text[] =
        "{\"attrbench_config\": 1, \"model\": \"./x.onnx\", \"method\": \"lrp-zplus\","
        "\"model_hash\": \"0123456789abcdef\", \"machine\": {\"cpu\": \"\", \"isas\": [\"ref\"],"
        "\"cpus\": 1, \"architecture\": \"x\"}, \"deploy\": {\"backend\": \"native\","
        "\"algo\": \"auto\", \"memory\": \"fast\", \"pages\": \"huge\", \"denormals\": \"keep\","
        "\"place\": \"smt\", \"threads\": 2, \"instances\": 1, \"batch\": 1, \"cpus\": [[0, 1]]}}";
    exhaust("deploy.json", read_config, write_file("deploy.json", text, strlen(text)), 1, false);
}
#endif

TEST(building_a_network)
{
    exhaust("resnet18", build_network, "resnet18", AB_TEST_SLOW ? 17 : 1, false);
}

TEST(parsing_a_method)
{
    exhaust("a method", parse_spec, "smoothgrad:base=lrp-epsilon(eps=0.1)", 1, false);
    exhaust("a composite", parse_spec,
            "composite:rules=a=flat;b=flat;c=flat;d=flat;e=flat;f=flat;g=flat;h=flat;i=pass", 1,
            false);
}

static void exhaust_plan(const struct ab_graph *graph, const char *backend,
                         const char *const *specs, int n)
{
    struct planned p = {.graph = graph, .backend = backend, .n_methods = n};
    struct ab_method *methods[MOST_SPECS];
    struct ab_error err = {""};
    char what[128];
    if (!has_backend(backend) && strcmp(backend, "native") != 0) return;
    float *input = random_images(graph, BATCH, 7);
    for (int m = 0; m < n; m++) {
        CHECK(!ab_method_parse(specs[m], &methods[m], &err), "%s", err.text);
        p.methods[m] = methods[m];
    }
    p.input = input;
    /* What is remembered for the life of the process is no leak. */
    CHECK(!plan_and_run(&p, &err), "%s", err.text);
    snprintf(what, sizeof what, "%s, %s", backend, specs[0]);
    /* oneDNN has several ways to do most things: one that lacks memory is passed over. */
    exhaust(what, plan_and_run, &p, 1, strcmp(backend, "onednn") == 0);
    for (int m = 0; m < n; m++) ab_method_destroy(&methods[m]);
    free(input);
}

static void exhaust_plans(const char *backend)
{
    static const char *const single[] = {"lrp-alpha-beta", "rectgrad", "grad-cam", "preset-b"};
    static const char *const others[] = {"deeplift:baseline=0"};
    static const char *const sampled[] = {"smoothgrad:n=3", "integrated-gradients:n=3", "gradient"};
    struct ab_graph *graph = net_branches(1);
    exhaust_plan(graph, backend, single, 4);
    exhaust_plan(graph, backend, others, 1);
    exhaust_plan(graph, backend, sampled, 3);
    ab_graph_destroy(&graph);
}

TEST(plans_of_native)
{
    exhaust_plans("native");
}

TEST(plans_of_onednn)
{
    exhaust_plans("onednn");
}

TEST(plans_of_the_reference)
{
    exhaust_plans("reference");
}

static const struct test_case cases[] = {
#if AB_WITH_ONNX
    CASE(loading_a_file),
#endif
#if AB_WITH_CONFIG
    CASE(reading_a_configuration),
#endif
    CASE(building_a_network),      CASE(parsing_a_method),       CASE(plans_of_native),
    CASE(plans_of_onednn),         CASE(plans_of_the_reference),
};
TEST_MAIN("running out of memory", cases)
