// SPDX-License-Identifier: Apache-2.0
// Files of the referee's cache. An odd first byte: the rest is the file. An even one: it is a true
// entry whose payload the rest changes (by exclusive or), with the right checksum: no mutation hits
// that, and what the checksum vouches for may still have been written by anybody.
#include "agree/referee.h"
#include "base/base.h"

#include "fuzz.h"

#include <sys/stat.h>

enum { HEADER = 32 }; /* magic, hash, bytes, checksum: 8 each */

static struct {
    struct ab_graph *graph;
    struct ab_method *method;
    struct ab_plan *plan; /* to be judged */
    float input[2 * 6 * 6];
    char folder[64], path[128];
    uint8_t *entry; /* the true one */
    size_t size;
} state;

static void clean(void)
{
    remove(state.path);
    rmdir(state.folder);
    ab_plan_destroy(&state.plan);
    ab_method_destroy(&state.method);
    ab_graph_destroy(&state.graph);
    free(state.entry);
}

static struct ab_judged judged(void)
{
    static const struct ab_method *methods[1];
    methods[0] = state.method;
    return (struct ab_judged){.methods = methods, .n_methods = 1, .input = state.input};
}

static void build(struct ab_error *err)
{
    struct ab_builder b = {.seed = 3, .err = err};
    MUST(ab_graph_create("cached", &b.graph, err) == AB_OK, "%s", err->text);
    int x = ab_build_input(&b, 2, 6, 6);
    x = ab_build_relu(&b, "relu", ab_build_conv(&b, "conv", x, 3, 3, 1, 1, 1, true));
    x = ab_build_flatten(&b, "flatten", ab_build_maxpool(&b, "pool", x, 2, 2, 0, false));
    x = ab_build_dense(&b, "fc", x, 4, true);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, err);
    MUST(!b.status, "%s", err->text);
    state.graph = b.graph;
}

/* The file that the cache makes of the case. */
static void read_entry(void)
{
    struct ab_error err = {""};
    struct ab_referee *referee;
    const struct ab_judged c = judged();
    MUST(!ab_referee_create(state.graph, &c, 1, state.folder, &referee, &err), "%s", err.text);
    snprintf(state.path, sizeof state.path, "%s/reference-%016llx.bin", state.folder,
             (unsigned long long)ab_referee_hash(referee, ab_referee_sources()));
    ab_referee_destroy(&referee);
    struct stat info;
    FILE *file = fopen(state.path, "rb");
    MUST(file && fstat(fileno(file), &info) == 0, "%s: was not written", state.path);
    state.size = (size_t)info.st_size;
    state.entry = malloc(state.size);
    MUST(state.size > HEADER && state.entry &&
             fread(state.entry, 1, state.size, file) == state.size,
         "%s: cannot be read", state.path);
    fclose(file);
}

static void prepare(void)
{
    struct ab_error err = {""};
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    snprintf(state.folder, sizeof state.folder, "%.40s/abfuzz-XXXXXX", base ? base : "/tmp");
    MUST(mkdtemp(state.folder), "%s: cannot be made", state.folder);
    atexit(clean);
    build(&err);
    MUST(!ab_method_parse("rectgrad:q=50", &state.method, &err), "%s", err.text);
    for (int i = 0; i < 2 * 6 * 6; i++) state.input[i] = (float)(i * 5 % 11) - 4;
    const struct ab_method *const methods[] = {state.method};
    const struct ab_plan_options options = {.retain = true};
    MUST(!ab_plan_create(state.graph, methods, 1, &options, &state.plan, &err), "%s", err.text);
    read_entry();
}

static void write_entry(const uint8_t *data, size_t size)
{
    FILE *file = fopen(state.path, "wb");
    MUST(file && fwrite(data, 1, size, file) == size && fclose(file) == 0, "%s", state.path);
}

static void write_changed(const uint8_t *data, size_t size)
{
    uint8_t *entry = malloc(state.size);
    const size_t bytes = state.size - HEADER;
    uint64_t hash;
    MUST(entry, "out of memory");
    memcpy(entry, state.entry, state.size);
    for (size_t i = 0; i < size && i < bytes; i++) entry[HEADER + i] ^= data[i];
    memcpy(&hash, entry + 8, sizeof hash);
    const uint64_t checksum = ab_hash(hash, entry + HEADER, bytes);
    memcpy(entry + 24, &checksum, sizeof checksum);
    write_entry(entry, state.size);
    free(entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!state.entry) prepare();
    if (size == 0) return 0;
    if (data[0] & 1)
        write_entry(data + 1, size - 1);
    else
        write_changed(data + 1, size - 1);
    struct ab_error err = {""};
    struct ab_referee *referee;
    struct ab_agreement agreement;
    float map[2 * 6 * 6], *maps[] = {map};
    const struct ab_judged c = judged();
    MUST(!ab_plan_execute(state.plan, state.input, NULL, maps, NULL, &err), "%s", err.text);
    MUST(!ab_referee_create(state.graph, &c, 1, state.folder, &referee, &err), "%s", err.text);
    MUST(!ab_referee_judge(referee, state.plan, &agreement, &err), "%s", err.text);
    ab_referee_destroy(&referee);
    return 0;
}
