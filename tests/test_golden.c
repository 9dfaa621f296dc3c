// SPDX-License-Identifier: Apache-2.0
// Every method on every backend and instruction set against maps that captum, zennit and the
// authors' definitions gave in double precision: data/golden/<architecture>/golden.txt lists them,
// faults.txt what tools get wrong, decisions.txt the signs, winners and thresholds inside.
#include "nets.h"

#include <stdio.h>

static const char *const architectures[] = {"plain",  "residual", "concat",  "bias-free",
                                            "mobile", "nonneg",   "dilated", "capped"};
enum { ARCHITECTURES = sizeof architectures / sizeof *architectures };

struct golden {
    char dir[256];
    struct ab_graph *graph;
    float *input;
    int batch;
};

static struct golden open_golden(const char *name)
{
    struct golden g = {.graph = NULL};
    struct ab_error err = {""};
    char path[320];
    const char *root = getenv("AB_SOURCE_DIR");
    snprintf(g.dir, sizeof g.dir, "%s/data/golden/%s", root ? root : ".", name);
    snprintf(path, sizeof path, "%s/model.onnx", g.dir);
    CHECK(!ab_graph_load(path, &g.graph, &err), "%s", err.text);
    snprintf(path, sizeof path, "%s/input.npy", g.dir);
    CHECK(!ab_npy_read(path, ab_graph_input(g.graph), &g.input, &g.batch, &err), "%s", err.text);
    return g;
}

static void close_golden(struct golden *g)
{
    free(g->input);
    ab_graph_destroy(&g->graph);
}

/* max |got - want| <= tolerance * max |want|, for each sample. */
static void check_map(const struct golden *g, const float *got, const float *want, double tolerance)
{
    const size_t count = input_count(g->graph, 1);
    for (int n = 0; n < g->batch; n++) {
        double worst = 0, largest = 0;
        for (size_t i = (size_t)n * count; i < (size_t)(n + 1) * count; i++) {
            worst = fmax(worst, fabs((double)got[i] - want[i]));
            largest = fmax(largest, fabs((double)want[i]));
            CHECK(isfinite(got[i]), "sample %d: not finite", n);
        }
        CHECK(worst <= tolerance * largest, "sample %d: error %.3g of %.3g, allowed %.3g", n, worst,
              largest, tolerance * largest);
    }
}

/* One line of golden.txt on one backend. */
static void check_case(const struct golden *g, const char *backend, char *line)
{
    char spec[128], target[16], file[128], tool[64], path[400];
    double tolerance;
    CHECK(sscanf(line, "%127[^\t]\t%15[^\t]\t%127[^\t]\t%63[^\t]\t%lf", spec, target, file, tool,
                 &tolerance) == 5,
          "unreadable line: %s", line);
    context("%s %s target %s on %s", g->dir, spec, target, backend);
    int targets[16];
    for (int n = 0; n < g->batch; n++) {
        targets[n] = strcmp(target, "top") == 0 ? AB_TARGET_TOP : atoi(target);
    }
    struct ab_error err = {""};
    float *want = NULL;
    int batch = 0;
    snprintf(path, sizeof path, "%s/%s", g->dir, file);
    CHECK(!ab_npy_read(path, ab_graph_input(g->graph), &want, &batch, &err), "%s", err.text);
    CHECK(batch == g->batch, "%s has %d samples", file, batch);
    const struct job job = {g->graph, backend, g->input, targets, g->batch, 1};
    float *got = run_method(&job, spec, NULL);
    check_map(g, got, want, tolerance);
    free(got);
    free(want);
}

/* The next line of a table that is no comment, without its end; false after the last. */
static bool next_line(FILE *list, char *line, int size)
{
    while (fgets(line, size, list)) {
        if (line[0] == '#' || line[0] == '\n') continue;
        line[strcspn(line, "\n")] = '\0';
        return true;
    }
    return false;
}

static FILE *open_table(const struct golden *g, const char *name)
{
    char path[320];
    snprintf(path, sizeof path, "%s/%s", g->dir, name);
    return fopen(path, "r");
}

static void check_backend(const char *backend, int networks)
{
    for (int a = 0; a < networks; a++) {
        struct golden g = open_golden(architectures[a]);
        char line[512];
        FILE *list = open_table(&g, "golden.txt");
        CHECK(list != NULL, "%s: no golden.txt", g.dir);
        int cases = 0;
        for (; next_line(list, line, sizeof line); cases++) check_case(&g, backend, line);
        fclose(list);
        CHECK(cases >= 18, "%s lists only %d cases", g.dir, cases);
        close_golden(&g);
    }
}

/* Kernels that are the same C on every machine need no emulator, or little of it. */
static bool elsewhere(const char *backend)
{
#ifdef __aarch64__
    return AB_TEST_SLOW && (!strcmp(backend, "native:ref") || !strcmp(backend, "native:plain") ||
                            !strcmp(backend, "reference"));
#else
    (void)backend;
    return false;
#endif
}

TEST(native_agrees)
{
    char names[12][32];
    const int count = backend_names(names, 12);
    for (int i = 0; i < count; i++) {
        if (strncmp(names[i], "native", 6) == 0 && !elsewhere(names[i]))
            check_backend(names[i], ARCHITECTURES);
    }
}

TEST(reference_agrees)
{
    check_backend("reference", elsewhere("reference") ? 1 : ARCHITECTURES);
}

TEST(onednn_agrees)
{
    char names[12][32];
    const int count = backend_names(names, 12);
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], "onednn") == 0) check_backend(names[i], ARCHITECTURES);
    }
}

/* What follows the 128 bytes of header of a version 1 .npy file: count elements of `size` bytes. */
static void *read_raw(const char *dir, const char *file, size_t count, size_t size)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    void *values = malloc(size * count);
    FILE *f = fopen(path, "rb");
    CHECK(values && f && !fseek(f, 128, SEEK_SET), "cannot read %s", path);
    CHECK(fread(values, size, count, f) == count && fgetc(f) == EOF, "%s: size", path);
    fclose(f);
    return values;
}

TEST(logits_agree)
{
    char names[12][32];
    const int backends = backend_names(names, 12);
    for (int a = 0; a < ARCHITECTURES; a++) {
        struct golden g = open_golden(architectures[a]);
        const size_t count = (size_t)ab_graph_classes(g.graph) * (size_t)g.batch;
        double *want = read_raw(g.dir, "logits.npy", count, sizeof *want);
        float *got = malloc(sizeof *got * count);
        CHECK(got != NULL, "out of memory");
        for (int b = 0; b < backends; b++) {
            const struct job job = {g.graph, names[b], g.input, NULL, g.batch, 1};
            free(run_method(&job, "gradient", got));
            for (size_t i = 0; i < count; i++) {
                CHECK(fabs(got[i] - want[i]) <= 2e-5 * (1 + fabs(want[i])),
                      "%s %s logit %zu: %g, not %g", g.dir, names[b], i, (double)got[i], want[i]);
            }
        }
        free(got);
        free(want);
        close_golden(&g);
    }
}

/* ---- what tools get wrong: their map breaks an invariant that ours keeps ---- */

struct explained {
    const struct golden *golden;
    float *change; /* [batch] f(x) - f(0) of the top class */
};

static struct explained explain_changes(const struct golden *g, const char *backend)
{
    const int classes = ab_graph_classes(g->graph);
    struct explained e = {g, malloc(sizeof(float) * (size_t)g->batch)};
    float *black = calloc(input_count(g->graph, g->batch), sizeof *black);
    float *at_x = malloc(sizeof *at_x * (size_t)(classes * g->batch));
    float *at_0 = malloc(sizeof *at_0 * (size_t)(classes * g->batch));
    CHECK(e.change && black && at_x && at_0, "out of memory");
    struct job job = {g->graph, backend, g->input, NULL, g->batch, 1};
    free(run_method(&job, "gradient", at_x));
    job.input = black;
    free(run_method(&job, "gradient", at_0));
    for (int n = 0; n < g->batch; n++) {
        int top = n * classes;
        for (int c = n * classes; c < (n + 1) * classes; c++) {
            if (at_x[c] > at_x[top]) top = c;
        }
        e.change[n] = at_x[top] - at_0[top];
    }
    free(black), free(at_x), free(at_0);
    return e;
}

/* How far sample n of a map is from keeping the invariant, relative to the map's own size. */
static double violation(const struct explained *e, const char *invariant, const float *map, int n,
                        const float *want)
{
    const size_t count = input_count(e->golden->graph, 1);
    double total = 0, size = 0, largest = 0, lowest = 0, off = 0, scale = 0;
    for (size_t i = (size_t)n * count; i < (size_t)(n + 1) * count; i++) {
        const double v = (double)map[i];
        total += v;
        size += fabs(v);
        largest = fmax(largest, fabs(v));
        lowest = fmin(lowest, v);
        if (want) off = fmax(off, fabs(v - (double)want[i]));
        if (want) scale = fmax(scale, fabs((double)want[i]));
    }
    if (want) return off / scale;
    if (strcmp(invariant, "complete") == 0) return fabs(total - (double)e->change[n]) / size;
    CHECK(strcmp(invariant, "nonnegative") == 0, "unknown invariant %s", invariant);
    return -lowest / largest;
}

/* Beyond `kept` an invariant is broken; the tool's maps break theirs by four times that and more
 * (golden.py insists on 1e-4). Sixteen points of the trapezoidal rule are complete to its own error
 * alone, of which captum's weights make three times as much. */
static void check_fault(const struct explained *e, const char *backend, const char *line)
{
    const struct golden *g = e->golden;
    char spec[128], invariant[96], file[128], tool[64], path[420];
    CHECK(sscanf(line, "%127[^\t]\t%95[^\t]\t%127[^\t]\t%63[^\t]", spec, invariant, file, tool) ==
              4,
          "unreadable line: %s", line);
    context("%s %s: %s on %s", g->dir, file, spec, backend);
    const bool quadrature = strstr(spec, "rule=trapezoid") != NULL;
    const double kept = quadrature ? 5e-3 : 2e-5, broken = quadrature ? 1e-2 : 8e-5;
    struct ab_error err = {""};
    float *theirs = NULL, *want = NULL;
    int batch = 0;
    snprintf(path, sizeof path, "%s/%s", g->dir, file);
    CHECK(!ab_npy_read(path, ab_graph_input(g->graph), &theirs, &batch, &err), "%s", err.text);
    if (strncmp(invariant, "equals ", 7) == 0) {
        snprintf(path, sizeof path, "%s/%s", g->dir, invariant + 7);
        CHECK(!ab_npy_read(path, ab_graph_input(g->graph), &want, &batch, &err), "%s", err.text);
    }
    float *ours =
        run_method(&(struct job){g->graph, backend, g->input, NULL, g->batch, 1}, spec, NULL);
    for (int n = 0; n < g->batch; n++) {
        const double off = violation(e, invariant, theirs, n, want);
        CHECK(off > broken, "sample %d: %s keeps '%s' (%.2g)", n, tool, invariant, off);
        const double mine = violation(e, invariant, ours, n, want);
        CHECK(mine <= kept, "sample %d: attrbench breaks '%s' (%.2g)", n, invariant, mine);
    }
    free(theirs), free(want), free(ours);
}

TEST(faults_of_tools)
{
    char names[12][32], line[512];
    const int backends = backend_names(names, 12);
    int faults = 0;
    for (int a = 0; a < ARCHITECTURES; a++) {
        struct golden g = open_golden(architectures[a]);
        for (int b = 0; b < backends; b++) {
            FILE *list = open_table(&g, "faults.txt");
            if (!list) continue;
            struct explained e = explain_changes(&g, names[b]);
            for (; next_line(list, line, sizeof line); faults++) check_fault(&e, names[b], line);
            free(e.change);
            fclose(list);
        }
        close_golden(&g);
    }
    CHECK(faults >= 9 * backends, "only %d faults on %d backends", faults, backends);
}

/* ---- decisions: ReLU signs, pooling winners, RectGrad thresholds ---- */

static int find_node(const struct ab_graph *g, const char *name)
{
    for (int n = 0; n < g->n_nodes; n++) {
        if (strcmp(g->nodes[n].name, name) == 0) return n;
    }
    test_fail(__FILE__, __LINE__, "no layer %s", name);
}

/* The value of a plan that holds a decision of layer `node`: kind "relu", "cap", "switch" or "tau".
 */
static int find_value(const struct ab_program *p, const char *kind, int node)
{
    const bool relu = strcmp(kind, "relu") == 0, cap = strcmp(kind, "cap") == 0;
    for (int v = 0; v < p->n_values && (relu || cap); v++) {
        const enum ab_decision wanted = cap ? AB_DECIDE_CAP : AB_DECIDE_RELU;
        if (p->values[v].node == node && p->values[v].decision == wanted) return v;
    }
    for (int i = 0; i < p->n_steps; i++) {
        const struct ab_step *s = &p->steps[i];
        const bool pool = s->op == AB_OP_MAXPOOL && s->pass == AB_FWD && s->node == node;
        if (pool && strcmp(kind, "switch") == 0) return s->dst2;
        if (s->op == AB_OP_TAU && strcmp(kind, "tau") == 0 && p->values[s->a].node == node)
            return s->dst;
    }
    test_fail(__FILE__, __LINE__, "no value for %s of node %d", kind, node);
}

/* A switch is the tap ky * kw + kx; the golden winner is the index y * width + x of the input. */
static int winner(const struct ab_pool_shape *pool, int width, size_t element, double tap)
{
    const int at = (int)(element % (size_t)(pool->oh * pool->ow));
    const int y = at / pool->ow * pool->sh - pool->pt + (int)tap / pool->kw * pool->dh;
    const int x = at % pool->ow * pool->sw - pool->pl + (int)tap % pool->kw * pool->dw;
    return y * width + x;
}

static void check_relu(const struct golden *g, const char *file, const double *got, size_t count)
{
    uint8_t *want = read_raw(g->dir, file, count, 1);
    for (size_t i = 0; i < count; i++) {
        CHECK((got[i] > 0) == want[i], "%s: unit %zu is %g", file, i, got[i]);
    }
    free(want);
}

static void check_cap(const struct golden *g, const char *file, int node, const double *got,
                      size_t count)
{
    const double cap = (double)g->graph->nodes[node].cap;
    uint8_t *want = read_raw(g->dir, file, count, 1);
    for (size_t i = 0; i < count; i++)
        CHECK((got[i] > 0) + (got[i] >= cap) == want[i], "%s: unit %zu is %g", file, i, got[i]);
    free(want);
}

static void check_switch(const struct golden *g, const char *file, int node, const double *got,
                         size_t count)
{
    const struct ab_node *pool = &g->graph->nodes[node];
    const int width = g->graph->nodes[pool->in[0]].dims.w;
    int32_t *want = read_raw(g->dir, file, count, sizeof *want);
    for (size_t i = 0; i < count; i++) {
        const int at = winner(&pool->pool, width, i, got[i]);
        CHECK(at == want[i], "%s: window %zu takes %d, not %d", file, i, at, want[i]);
    }
    free(want);
}

/* A threshold may be a small product in a layer of large ones: float keeps few of its digits. The
 * reference reads batch norms as folded into float weights. */
static void check_tau(const struct golden *g, const char *file, const double *got, size_t count,
                      double tolerance)
{
    double *want = read_raw(g->dir, file, count, sizeof *want);
    for (size_t i = 0; i < count; i++) {
        CHECK(fabs(got[i] - want[i]) <= tolerance * fabs(want[i]), "%s: %.9g, not %.9g", file,
              got[i], want[i]);
    }
    free(want);
}

static void check_decision(const struct golden *g, const struct ab_plan *plan, const char *line)
{
    const bool exact = strcmp(plan->backend->name, "reference") == 0;
    char kind[16], layer[64], file[128];
    CHECK(sscanf(line, "%15[^\t]\t%63[^\t]\t%127[^\t]", kind, layer, file) == 3,
          "unreadable line: %s", line);
    const int node = find_node(g->graph, layer), id = find_value(&plan->program, kind, node);
    const size_t count = ab_plan_value_count(plan, id);
    double *got = malloc(sizeof *got * count);
    CHECK(got != NULL, "out of memory");
    ab_plan_peek(plan, id, got);
    if (strcmp(kind, "relu") == 0) check_relu(g, file, got, count);
    if (strcmp(kind, "cap") == 0) check_cap(g, file, node, got, count);
    if (strcmp(kind, "switch") == 0) check_switch(g, file, node, got, count);
    if (strcmp(kind, "tau") == 0) check_tau(g, file, got, count, exact ? 2e-6 : 5e-4);
    free(got);
}

static int check_decisions(const struct golden *g, const char *backend, FILE *list)
{
    struct ab_error err = {""};
    struct ab_method *method = NULL;
    struct ab_plan *plan = NULL;
    const struct ab_plan_options options = {.backend = backend, .batch = g->batch, .retain = true};
    context("%s decisions on %s", g->dir, backend);
    CHECK(!ab_method_parse("rectgrad:q=80", &method, &err), "%s", err.text);
    CHECK(!ab_plan_create(g->graph, (const struct ab_method *const *)&method, 1, &options, &plan,
                          &err),
          "%s", err.text);
    CHECK(!ab_plan_execute(plan, g->input, NULL, NULL, NULL, &err), "%s", err.text);
    char line[512];
    int found = 0;
    for (; next_line(list, line, sizeof line); found++) check_decision(g, plan, line);
    ab_plan_destroy(&plan);
    ab_method_destroy(&method);
    return found;
}

TEST(decisions_agree)
{
    char names[12][32];
    const int backends = backend_names(names, 12);
    int found = 0;
    for (int a = 0; a < ARCHITECTURES; a++) {
        struct golden g = open_golden(architectures[a]);
        for (int b = 0; b < backends; b++) {
            FILE *list = open_table(&g, "decisions.txt");
            if (!list) continue;
            found += check_decisions(&g, names[b], list);
            fclose(list);
        }
        close_golden(&g);
    }
    CHECK(found >= 30 * backends, "only %d decisions on %d backends", found, backends);
}

static const struct test_case cases[] = {CASE(native_agrees),   CASE(reference_agrees),
                                         CASE(onednn_agrees),   CASE(logits_agree),
                                         CASE(faults_of_tools), CASE(decisions_agree)};
TEST_MAIN("golden", cases)
