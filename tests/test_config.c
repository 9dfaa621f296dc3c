// SPDX-License-Identifier: Apache-2.0
// Deployment configurations: what is written is read back, whatever is wrong in a file is told, and
// threads and plans become what the file says.
#include "base/sysfile.h"
#include "config/config.h"
#include "files.h"
#include "model/graph.h"
#include "plan/plan.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

/* CPUs that this process may use, at most `most` of them. */
static int some_cpus(int *cpus, int most)
{
    cpu_set_t set;
    int count = 0;
    CHECK(sched_getaffinity(0, sizeof set, &set) == 0, "no affinity");
    for (int i = 0; i < CPU_SETSIZE && count < most; i++)
        if (CPU_ISSET((size_t)i, &set)) cpus[count++] = i;
    return count;
}

/* ---- knobs ---- */

static struct ab_deploy usual(void)
{
    return (struct ab_deploy){
        .backend = "native", .place = AB_PLACE_FREE, .threads = 1, .instances = 1, .batch = 1};
}

TEST(knobs_that_cannot_be)
{
    int cpus[2] = {0, 0}, far[2] = {0, 5000};
    struct ab_error err = {""};
    struct ab_deploy d = usual();
    CHECK(ab_deploy_check(&d, &err) == AB_OK, "%s", err.text);
#define REFUSED(needle, ...)                                                                       \
    do {                                                                                           \
        d = usual();                                                                               \
        __VA_ARGS__;                                                                               \
        check_error(ab_deploy_check(&d, &err), AB_ERR_ARG, &err, needle);                          \
    } while (0)
    REFUSED("threads: 0", d.threads = 0);
    REFUSED("instances: 1025", d.instances = 1025);
    REFUSED("batch: -1", d.batch = -1);
    REFUSED("2 instances are more", d.threads = 600, d.instances = 2);
    REFUSED("pages: 2", d.pages = (enum ab_pages)2);
    REFUSED("place: 7", d.place = (enum ab_place)7);
    REFUSED("did you mean 'native'", strcpy(d.backend, "naitve"));
    REFUSED("unknown instruction set", strcpy(d.backend, "native:avx3"));
    REFUSED("is no name", d.backend[0] = '\0');
    REFUSED("leave them out", d.cpus = cpus);
    REFUSED("needs one for each", d.place = AB_PLACE_CORES);
    REFUSED("twice", d.place = AB_PLACE_CORES, d.threads = 2, d.cpus = cpus);
    REFUSED("5000 is outside", d.place = AB_PLACE_SMT, d.threads = 2, d.cpus = far);
#undef REFUSED
    /* The highest number that a set holds is no CPU of any machine that this runs on. */
    int last = CPU_SETSIZE - 1;
    d = usual();
    d.place = AB_PLACE_CORES, d.cpus = &last;
    check_error(ab_deploy_check(&d, &err), AB_ERR_UNSUPPORTED, &err, "may not use CPU 1023");
    check_error(ab_deploy_enter(&d, 0, &err), AB_ERR_UNSUPPORTED, &err, "CPU 1023");
    check_error(ab_deploy_enter(&d, 1, &err), AB_ERR_ARG, &err, "instance 1");
}

TEST(knobs_as_text)
{
    char text[AB_DEPLOY_TEXT];
    int cpus[2] = {3, 5};
    struct ab_deploy d = {.backend = "native:avx512",
                          .memory = AB_MEMORY_LEAN,
                          .algo = AB_ALGO_DIRECT,
                          .pages = AB_PAGES_SMALL,
                          .denormals = AB_DENORMALS_FLUSH,
                          .place = AB_PLACE_SMT,
                          .threads = 1,
                          .instances = 2,
                          .batch = 4,
                          .cpus = cpus};
    struct ab_deploy copy;
    ab_deploy_text(&d, text);
    CHECK(!strcmp(text, "native:avx512 direct lean 1x2 batch=4 smt small flush"), "%s", text);
    CHECK(ab_deploy_copy(&d, &copy), "memory");
    CHECK(copy.cpus != cpus && copy.cpus[1] == 5, "copied CPUs");
    cpus[1] = 6;
    CHECK(copy.cpus[1] == 5, "shared CPUs");
    ab_deploy_free(&copy);
    CHECK(!copy.cpus, "freed CPUs");
    const struct ab_plan_options o = ab_deploy_options(&d);
    CHECK(o.pages == AB_PAGES_SMALL && o.memory == AB_MEMORY_LEAN && o.algo == AB_ALGO_DIRECT &&
              o.batch == 4 && o.threads == 1 && o.backend == d.backend,
          "options");
}

/* ---- threads ---- */

struct entered {
    const struct ab_deploy *deploy;
    int instance, wrong_cpu, keeping;
    enum ab_status status;
    struct ab_error err;
};

static float halve(float value)
{
    volatile float x = value, half = 0.5f;
    return x * half;
}

static void *enter(void *user)
{
    struct entered *e = user;
    const struct ab_deploy *d = e->deploy;
    e->status = ab_deploy_enter(d, e->instance, &e->err);
    int wrong = 0, keeping = 0;
#pragma omp parallel num_threads(d->threads) if (d->threads > 1) reduction(+ : wrong, keeping)
    {
        cpu_set_t set;
        const int cpu = d->cpus[e->instance * d->threads + omp_get_thread_num()];
        sched_getaffinity(0, sizeof set, &set);
        wrong += CPU_COUNT(&set) != 1 || !CPU_ISSET((size_t)cpu, &set) || sched_getcpu() != cpu;
        keeping += halve(1.17549435e-38f) != 0;
    }
    e->wrong_cpu = wrong, e->keeping = keeping;
    return NULL;
}

static void check_threads(struct ab_deploy *d)
{
    for (int mode = 0; mode < 2; mode++) {
        d->denormals = mode ? AB_DENORMALS_FLUSH : AB_DENORMALS_KEEP;
        pthread_t threads[4];
        struct entered e[4];
        context("%d threads of %d instances, %s", d->threads, d->instances,
                ab_denormals_name(d->denormals));
        for (int i = 0; i < d->instances; i++) {
            e[i] = (struct entered){.deploy = d, .instance = i};
            CHECK(!pthread_create(&threads[i], NULL, enter, &e[i]), "no thread");
        }
        for (int i = 0; i < d->instances; i++) {
            pthread_join(threads[i], NULL);
            CHECK(e[i].status == AB_OK, "%s", e[i].err.text);
            CHECK(!e[i].wrong_cpu, "%d threads of instance %d are not bound", e[i].wrong_cpu, i);
            CHECK(e[i].keeping == (mode ? 0 : d->threads), "%d threads of instance %d keep",
                  e[i].keeping, i);
        }
    }
}

/* Each in a thread of its own: this one stays as it is. */
TEST(threads_and_workers_become_an_instance)
{
    int cpus[4];
    cpu_set_t before, after;
    sched_getaffinity(0, sizeof before, &before);
    const int count = some_cpus(cpus, 4);
    struct ab_deploy d = usual();
    d.place = AB_PLACE_CORES, d.cpus = cpus, d.instances = count;
    check_threads(&d);
    d.threads = count, d.instances = 1;
    check_threads(&d);
    sched_getaffinity(0, sizeof after, &after);
    CHECK(CPU_EQUAL(&before, &after), "the caller was bound too");
}

/* ---- pages ---- */

/* Whether the mapping of `address` has the flag ("hg": advised, "nh": declined). */
static bool mapping_has(const void *address, const char *flag)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false, has = false;
    CHECK(f, "no smaps");
    while (fgets(line, sizeof line, f)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = from <= (uintptr_t)address && (uintptr_t)address < to;
        else if (inside && !strncmp(line, "VmFlags:", 8))
            has = strstr(line, flag) != NULL;
    }
    fclose(f);
    return has;
}

/* Emulators do not pass advice on, kernels without huge pages do not take it. */
static bool advice_shows(void)
{
    const size_t bytes = 4 << 20;
    void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(block != MAP_FAILED, "memory");
    const bool shows = madvise(block, bytes, MADV_NOHUGEPAGE) == 0 && mapping_has(block, " nh");
    munmap(block, bytes);
    return shows;
}

TEST(pages_are_as_asked)
{
    struct ab_error err = {""};
    struct ab_graph *graph;
    struct ab_method *method;
    if (!advice_shows()) return;
    CHECK(!ab_graph_builtin("resnet18@32", 0, &graph, &err), "%s", err.text);
    CHECK(!ab_method_parse("gradient", &method, &err), "%s", err.text);
    for (int small = 0; small < 2; small++) {
        struct ab_deploy d = usual();
        struct ab_plan *plan;
        const struct ab_method *one = method;
        d.pages = small ? AB_PAGES_SMALL : AB_PAGES_HUGE;
        const struct ab_plan_options options = ab_deploy_options(&d);
        context("%s pages", ab_pages_name(d.pages));
        CHECK(!ab_plan_create(graph, &one, 1, &options, &plan, &err), "%s", err.text);
        size_t weights, arena;
        ab_plan_memory(plan, &weights, &arena);
        CHECK(weights > 8 << 20, "%zu bytes of weights are too few to try it on", weights);
        const char *at = plan->exec.weights;
        CHECK(mapping_has(at, " hg") == !small, "advised at the start");
        CHECK(mapping_has(at, " nh") == small, "declined at the start");
        CHECK(mapping_has(at + weights - 1, " nh") == small, "declined at the end");
        ab_plan_destroy(&plan);
    }
    const struct ab_plan_options wrong = {.pages = (enum ab_pages)9};
    const struct ab_method *one = method;
    struct ab_plan *plan;
    check_error(ab_plan_create(graph, &one, 1, &wrong, &plan, &err), AB_ERR_ARG, &err, "pages 9");
    ab_method_destroy(&method);
    ab_graph_destroy(&graph);
}

/* ---- files ---- */

#if AB_WITH_CONFIG
static struct ab_graph *tiny_graph(void)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = 3, .err = &err};
    b.status = ab_graph_create("tiny", &b.graph, &err);
    int at = ab_build_input(&b, 1, 4, 4);
    at = ab_build_flatten(&b, "flatten", at);
    at = ab_build_dense(&b, "fc", at, 3, true);
    CHECK(b.status == AB_OK && ab_graph_finish(b.graph, at, &err) == AB_OK, "%s", err.text);
    return b.graph;
}

/* The text of a good configuration of this machine; free() it. */
static char *good_text(const char *model, const struct ab_graph *graph, const struct ab_deploy *d)
{
    json_t *root = ab_config_json(model, graph, "lrp-epsilon:eps=0.5", d);
    CHECK(root, "no JSON");
    json_object_set_new(root, "measured", json_pack("[i]", 7));
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    CHECK(text, "memory");
    return text;
}

static const char *text_file(const char *text)
{
    return write_file("deploy.json", text, strlen(text));
}

/* `text` with its first `from` made `to`; free() it. */
static char *edited(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    CHECK(at, "'%s' is not in %s", from, text);
    const size_t size = strlen(text) + strlen(to) + 1;
    char *copy = malloc(size);
    CHECK(copy, "memory");
    snprintf(copy, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return copy;
}

TEST(round_trip)
{
    struct ab_error err = {""};
    int cpus[2];
    char before[AB_DEPLOY_TEXT], after[AB_DEPLOY_TEXT], differs[256];
    struct ab_graph *graph, *again;
    struct ab_config *config;
    struct ab_plan *plan;
    CHECK(!ab_graph_builtin("resnet18@32", 0, &graph, &err), "%s", err.text);
    struct ab_deploy d = usual();
    d.place = AB_PLACE_CORES, d.cpus = cpus, d.instances = some_cpus(cpus, 2);
    d.batch = 2, d.pages = AB_PAGES_SMALL, d.memory = AB_MEMORY_LEAN;
    char *text = good_text("resnet18@32", graph, &d);
    const char *path = text_file(text);
    CHECK(!ab_config_load(path, &config, &err), "%s", err.text);
    CHECK(!strcmp(ab_config_model(config), "resnet18@32"), "%s", ab_config_model(config));
    CHECK(!strcmp(ab_config_method(config), "lrp-epsilon:eps=0.5"), "%s", ab_config_method(config));
    CHECK(ab_config_instances(config) == d.instances && ab_config_batch(config) == 2, "counts");
    CHECK(!ab_config_foreign(config, differs, sizeof differs), "foreign: %s", differs);
    ab_deploy_text(&d, before);
    ab_deploy_text(ab_config_deploy(config), after);
    CHECK(!strcmp(before, after), "'%s' became '%s'", before, after);
    CHECK(!memcmp(ab_config_deploy(config)->cpus, cpus, (size_t)d.instances * sizeof *cpus),
          "CPUs");
    CHECK(!ab_config_graph(config, &again, &err), "%s", err.text);
    CHECK(ab_graph_hash(graph) == ab_graph_hash(again), "another graph");
    const struct ab_dims in = ab_graph_input(again);
    float *input = calloc(2 * 3 * 32 * 32, sizeof *input), *map = malloc(2 * 3 * 32 * 32 * 4);
    CHECK(in.h == 32 && in.w == 32 && input && map, "input");
    cpu_set_t all;
    sched_getaffinity(0, sizeof all, &all);
    CHECK(!ab_config_plan(config, again, d.instances - 1, &plan, &err), "%s", err.text);
    CHECK(sched_getcpu() == cpus[d.instances - 1], "not bound");
    CHECK(!ab_plan_execute(plan, input, NULL, &map, NULL, &err), "%s", err.text);
    sched_setaffinity(0, sizeof all, &all);
    ab_plan_destroy(&plan);
    check_error(ab_config_plan(config, again, 2, &plan, &err), AB_ERR_ARG, &err, "instance 2");
    CHECK(!plan, "a plan");
    free(map);
    free(input);
    free(text);
    ab_graph_destroy(&again);
    ab_graph_destroy(&graph);
    ab_config_destroy(&config);
    CHECK(!config, "destroy leaves the pointer");
}

TEST(a_model_that_has_changed)
{
    struct ab_error err = {""};
    struct ab_graph *graph = tiny_graph(), *again = graph;
    struct ab_config *config;
    struct ab_deploy d = usual();
    char *text = good_text("resnet18@32", graph, &d); /* which is another one */
    CHECK(!ab_config_load(text_file(text), &config, &err), "%s", err.text);
    check_error(ab_config_graph(config, &again, &err), AB_ERR_FORMAT, &err, "no longer");
    CHECK(!again, "a graph");
    ab_config_destroy(&config);
    char *gone = edited(text, "resnet18@32", "./gone.onnx");
    CHECK(!ab_config_load(text_file(gone), &config, &err), "%s", err.text);
    CHECK(strstr(ab_config_model(config), temp_directory), "not beside the configuration: %s",
          ab_config_model(config));
    const enum ab_status status = ab_config_graph(config, &again, &err);
    CHECK(status == AB_ERR_IO || status == AB_ERR_UNSUPPORTED, "status %d", status);
    CHECK(strstr(err.text, "gone.onnx") && strstr(err.text, "deploy.json"), "%s", err.text);
    ab_config_destroy(&config);
    free(gone);
    free(text);
    ab_graph_destroy(&graph);
}

static void check_edit(const char *text, const char *from, const char *to, const char *needle)
{
    struct ab_error err = {""};
    struct ab_config *config = (struct ab_config *)&err;
    char *wrong = edited(text, from, to);
    context("%s -> %s", from, to);
    check_error(ab_config_read(text_file(wrong), true, &config, &err), AB_ERR_FORMAT, &err, needle);
    CHECK(strstr(err.text, "deploy.json") && !config, "%s", err.text);
    free(wrong);
}

TEST(wrong_fields)
{
    static const char *const edits[][3] = {
        {"\"attrbench_config\":1", "\"attrbench_config\":0", "attrbench_config: is no version"},
        {"\"attrbench_config\":1", "\"attrbench_config\":\"1\"", "attrbench_config: is no version"},
        {"\"attrbench_config\"", "\"config\"", "is JSON, but not a configuration"},
        {"\"model\":\"x\"", "\"model\":7", "model: is a whole number, not a text"},
        {"\"model\":\"x\"", "\"model\":\"\"", "model: is empty"},
        {"\"model\":\"x\"", "\"model\":\"a\\u0007b\"", "model: has a control character"},
        {"\"model\":\"x\",", "", "model: is not there"},
        {"\"model_hash\":\"", "\"model_hash\":\"z", "model_hash: "},
        {"\"method\":\"lrp-epsilon", "\"method\":\"lrp-epsilom", "did you mean 'lrp-epsilon'"},
        {"\"method\":\"lrp-epsilon:eps=0.5\"", "\"method\":null", "method: is null"},
        {"\"machine\":{", "\"machine\":[],\"m\":{", "machine: is a list, not an object"},
        {"\"architecture\":", "\"arch\":", "machine.architecture: is not there"},
        {"\"isas\":[", "\"isas\":[3,", "machine.isas: is no list of names"},
        {"\"isas\":[", "\"isas\":[\"a b\",", "machine.isas: is no list of names"},
        {"\"deploy\":{", "\"deploy\":3,\"d\":{", "deploy: is a whole number, not an object"},
        {"\"backend\":\"native\"", "\"backend\":\"\"", "deploy: backend: is no name"},
        {"\"backend\":\"native\"", "\"backend\":\"n123456789012345678901234567890123\"",
         "deploy.backend: is longer than 31"},
        {"\"algo\":\"auto\"", "\"algo\":\"atuo\"", "did you mean 'auto'?; there are auto, direct"},
        {"\"memory\":\"fast\"", "\"memory\":true", "deploy.memory: is true or false, not a text"},
        {"\"pages\":\"huge\"", "\"pages\":\"vast\"", "'vast' is unknown; there are huge, small"},
        {"\"denormals\":\"keep\"", "\"denormal\":\"keep\"", "did you mean 'denormals'"},
        {"\"place\":\"cores\"", "\"place\":\"core\"", "did you mean 'cores'"},
        {"\"place\":\"cores\"", "\"place\":\"free\"", "deploy.cpus: are given, but place is free"},
        {"\"threads\":2", "\"threads\":0", "deploy.threads: 0 is outside 1..1024"},
        {"\"threads\":2", "\"threads\":2.5", "deploy.threads: is a fraction"},
        {"\"threads\":2", "\"threads\":1025", "deploy.threads: 1025 is outside"},
        {"\"threads\":2", "\"threads\":1024", "1024 for each of 2 instances"},
        {"\"threads\":2", "\"threads\":1", "those of instance 0 are not a list of 1"},
        {"\"instances\":2", "\"instances\":3", "deploy.cpus: is not a list of 3 lists"},
        {"\"batch\":1", "\"batch\":99999999999", "deploy.batch: 99999999999 is outside"},
        {"\"batch\":1", "\"batch\":1,\"batch\":2", "is no JSON"},
        {"[[0,1],[2,3]]", "[[0,1],[2,2]]", "cpus: 2 is there twice"},
        {"[[0,1],[2,3]]", "[[0,1],[2,-3]]", "one of instance 1 is no number"},
        {"[[0,1],[2,3]]", "[[0,1],[2,\"3\"]]", "one of instance 1 is no number"},
        {"[[0,1],[2,3]]", "[[0,1],4]", "those of instance 1"},
        {"[[0,1],[2,3]]", "null", "deploy.cpus: is not a list"},
        {"\"batch\":1", "\"batch\":1,\"n\\nn\":2", "deploy: 'n?n' is unknown"},
    };
    int cpus[] = {0, 1, 2, 3};
    struct ab_graph *graph = tiny_graph();
    struct ab_deploy d = usual();
    d.place = AB_PLACE_CORES, d.cpus = cpus, d.threads = d.instances = 2;
    char *text = good_text("x", graph, &d);
    struct ab_error err = {""};
    struct ab_config *config;
    CHECK(!ab_config_read(text_file(text), true, &config, &err), "%s", err.text);
    ab_config_destroy(&config);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++)
        check_edit(text, edits[i][0], edits[i][1], edits[i][2]);
    char *later = edited(text, "\"attrbench_config\":1", "\"attrbench_config\":2");
    check_error(ab_config_load(text_file(later), &config, &err), AB_ERR_UNSUPPORTED, &err,
                "version 2");
    free(later);
    free(text);
    ab_graph_destroy(&graph);
}

TEST(another_machine)
{
    static const char *const edits[][3] = {
        {"\"machine\":{\"cpu\":\"", "\"machine\":{\"cpu\":\"Hal ", "CPU: 'Hal "},
        {"\"architecture\":\"", "\"architecture\":\"z", "architecture: 'z"},
        {"\"isas\":[", "\"isas\":[\"amx\",", "instruction sets: 'amx, "},
        {"],\"cpus\":", "],\"cpus\":10", "usable CPUs: 10"},
    };
    struct ab_graph *graph = tiny_graph();
    struct ab_deploy d = usual();
    char *text = good_text("x", graph, &d), differs[256];
    struct ab_error err = {""};
    struct ab_config *config;
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        char *foreign = edited(text, edits[i][0], edits[i][1]);
        const char *path = text_file(foreign);
        check_error(ab_config_load(path, &config, &err), AB_ERR_UNSUPPORTED, &err, edits[i][2]);
        CHECK(!config && strstr(err.text, "attrbench tune --config "), "no remedy: %s", err.text);
        CHECK(!ab_config_read(path, true, &config, &err), "%s", err.text);
        CHECK(ab_config_foreign(config, differs, sizeof differs), "nothing differs");
        CHECK(strstr(differs, edits[i][2]) && strstr(differs, "here "), "%s", differs);
        ab_config_destroy(&config);
        free(foreign);
    }
    /* This machine, but not what it has. */
    char *other = edited(text, "\"backend\":\"native\"", "\"backend\":\"native:avx3\"");
    check_error(ab_config_load(text_file(other), &config, &err), AB_ERR_FORMAT, &err,
                "deploy.backend: unknown instruction set 'avx3'");
    free(other);
    free(text);
    ab_graph_destroy(&graph);
}

/* A machine made of files: another CPU, and a container that grants half of one. */
TEST(a_quota_is_another_machine)
{
    static const char *const folders[] = {"proc", "proc/self", "sys", "sys/fs", "sys/fs/cgroup"};
    static const char *const files[][2] = {{"proc/cpuinfo", "model name\t: HAL 9000\n"},
                                           {"proc/self/cgroup", "0::/\n"},
                                           {"sys/fs/cgroup/cpu.max", "50000 100000\n"}};
    struct ab_graph *graph = tiny_graph();
    struct ab_deploy d = usual();
    char *text = good_text("x", graph, &d), differs[256], root[512];
    struct ab_error err = {""};
    struct ab_config *config;
    int cpus[2];
    CHECK(!ab_config_load(text_file(text), &config, &err), "%s", err.text);
    snprintf(root, sizeof root, "%s", temp_directory);
    for (int i = 0; i < 5; i++) CHECK(!mkdir(temp_path(folders[i]), 0777), "%s", folders[i]);
    for (int i = 0; i < 3; i++) write_file(files[i][0], files[i][1], strlen(files[i][1]));
    ab_sys_root(root);
    const bool foreign = ab_config_foreign(config, differs, sizeof differs);
    ab_sys_root("");
    for (int i = 0; i < 3; i++) remove(temp_path(files[i][0]));
    for (int i = 4; i >= 0; i--) rmdir(temp_path(folders[i]));
    CHECK(foreign && strstr(differs, "here 'HAL 9000'"), "%s", differs);
    CHECK(some_cpus(cpus, 2) < 2 || strstr(differs, "usable CPUs: "), "no quota: %s", differs);
    CHECK(some_cpus(cpus, 2) < 2 || strstr(differs, ", here 1"), "another quota: %s", differs);
    ab_config_destroy(&config);
    free(text);
    ab_graph_destroy(&graph);
}

TEST(files_that_are_none)
{
    struct ab_graph *graph = tiny_graph();
    struct ab_deploy d = usual();
    char *text = good_text("x", graph, &d);
    struct ab_error err = {""};
    struct ab_config *config;
    for (size_t length = 1; length < strlen(text); length++) {
        context("%zu of %zu bytes", length, strlen(text));
        const char *cut = write_file("cut.json", text, length);
        check_error(ab_config_load(cut, &config, &err), AB_ERR_FORMAT, &err, "cut.json");
        CHECK(!config, "a configuration");
    }
    context(" ");
    check_error(ab_config_load("data/digits/sample-3.png", &config, &err), AB_ERR_FORMAT, &err,
                "is a PNG image; expected a configuration");
    check_error(ab_config_load(write_file("empty.json", "", 0), &config, &err), AB_ERR_FORMAT, &err,
                "is empty");
    check_error(ab_config_load(temp_path("gone.json"), &config, &err), AB_ERR_IO, &err,
                "cannot be opened");
    check_error(ab_config_load("data", &config, &err), AB_ERR_IO, &err, "is a directory");
    check_error(ab_config_load(write_file("list.json", "[1]", 3), &config, &err), AB_ERR_FORMAT,
                &err, "is JSON, but not a configuration");
    check_error(ab_config_load(write_file("noise.json", "\x01\xff{", 3), &config, &err),
                AB_ERR_FORMAT, &err, "noise.json");
    free(text);
    ab_graph_destroy(&graph);
}
#else
TEST(built_without)
{
    struct ab_error err = {""};
    struct ab_config *config;
    check_error(ab_config_load("deploy.json", &config, &err), AB_ERR_UNSUPPORTED, &err,
                "AB_WITH_CONFIG");
    CHECK(!config, "a configuration");
}
#endif

static const struct test_case cases[] = {
    CASE(knobs_that_cannot_be),
    CASE(knobs_as_text),
    CASE(threads_and_workers_become_an_instance),
    CASE(pages_are_as_asked),
#if AB_WITH_CONFIG
    CASE(round_trip),
    CASE(a_model_that_has_changed),
    CASE(wrong_fields),
    CASE(another_machine),
    CASE(a_quota_is_another_machine),
    CASE(files_that_are_none),
#else
    CASE(built_without),
#endif
};
TEST_MAIN("configurations", cases)
