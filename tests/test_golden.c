// SPDX-License-Identifier: Apache-2.0
// Every method on every backend and instruction set against maps that captum, zennit and the
// authors' definitions gave in double precision: data/golden/<architecture>/golden.txt lists them.
#include "nets.h"

#include <stdio.h>

static const char *const architectures[] = {"plain", "residual", "concat", "bias-free"};

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

static void check_backend(const char *backend)
{
    for (size_t a = 0; a < sizeof architectures / sizeof *architectures; a++) {
        struct golden g = open_golden(architectures[a]);
        char path[320], line[512];
        snprintf(path, sizeof path, "%s/golden.txt", g.dir);
        FILE *list = fopen(path, "r");
        CHECK(list != NULL, "cannot open %s", path);
        int cases = 0;
        while (fgets(line, sizeof line, list)) {
            if (line[0] == '#' || line[0] == '\n') continue;
            check_case(&g, backend, line);
            cases++;
        }
        fclose(list);
        CHECK(cases >= 20, "%s lists only %d cases", path, cases);
        close_golden(&g);
    }
}

TEST(native_agrees)
{
    char names[12][32];
    const int count = backend_names(names, 12);
    for (int i = 0; i < count; i++) {
        if (strncmp(names[i], "native", 6) == 0) check_backend(names[i]);
    }
}

TEST(reference_agrees)
{
    check_backend("reference");
}

TEST(onednn_agrees)
{
    char names[12][32];
    const int count = backend_names(names, 12);
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], "onednn") == 0) check_backend(names[i]);
    }
}

/* The doubles of a two-dimensional version 1 .npy file, whose header is 128 bytes long. */
static double *read_logits(const char *path, size_t count)
{
    double *values = malloc(sizeof *values * count);
    FILE *f = fopen(path, "rb");
    CHECK(values && f && !fseek(f, 128, SEEK_SET), "cannot read %s", path);
    CHECK(fread(values, sizeof *values, count, f) == count && fgetc(f) == EOF, "%s: size", path);
    fclose(f);
    return values;
}

TEST(logits_agree)
{
    char names[12][32], path[320];
    const int backends = backend_names(names, 12);
    for (size_t a = 0; a < sizeof architectures / sizeof *architectures; a++) {
        struct golden g = open_golden(architectures[a]);
        const size_t count = (size_t)ab_graph_classes(g.graph) * (size_t)g.batch;
        snprintf(path, sizeof path, "%s/logits.npy", g.dir);
        double *want = read_logits(path, count);
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

static const struct test_case cases[] = {CASE(native_agrees), CASE(reference_agrees),
                                         CASE(onednn_agrees), CASE(logits_agree)};
TEST_MAIN("golden", cases)
