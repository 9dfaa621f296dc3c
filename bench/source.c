// SPDX-License-Identifier: Apache-2.0
// Models, labels, targets, methods and backends by name.
#include "source.h"

#include "ab_version.h"
#include "base/infile.h"
#include "plan/program.h"
#include "record.h"
#include "sample/sampler.h"
#include "simd/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

void ab_data_path(const char *file, char *path, size_t size)
{
    const char *folders[] = {getenv("ATTRBENCH_DATA"), AB_DATA_DIR_SOURCE, AB_DATA_DIR_INSTALL};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (!folders[i] || !*folders[i]) continue;
        snprintf(path, size, "%s/%s", folders[i], file);
        if (access(path, R_OK) == 0) return;
    }
}

bool ab_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool ab_cache_folder(char *path, size_t size)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length = -1;
    *path = '\0';
    if (base && *base)
        length = snprintf(path, size, "%s/attrbench", base);
    else if (home && *home)
        length = snprintf(path, size, "%s/.cache/attrbench", home);
    /* What was cut is another folder. */
    if (length > 0 && (size_t)length < size && ab_make_folders(path) &&
        access(path, W_OK | X_OK) == 0)
        return true;
    *path = '\0';
    return false;
}

static enum ab_status read_labels(const char *path, struct ab_words *labels, struct ab_error *err)
{
    uint64_t size;
    enum ab_status status;
    FILE *f = ab_infile_open(path, "a list of labels", &size, &status, err);
    if (!f) return status;
    char line[256];
    status = AB_OK;
    while (status == AB_OK && fgets(line, sizeof line, f)) {
        size_t length = strcspn(line, "\r\n");
        if (!ab_words_add(labels, line, length))
            status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for labels", path);
    }
    fclose(f);
    return status;
}

static enum ab_status find_labels(const char *labels, struct ab_source *s, struct ab_error *err)
{
    char beside[sizeof s->path + 16];
    if (!labels) {
        if (!*s->path) return AB_OK;
        const char *slash = strrchr(s->path, '/');
        int folder = slash ? (int)(slash - s->path + 1) : 0;
        snprintf(beside, sizeof beside, "%.*slabels.txt", folder, s->path);
        if (access(beside, R_OK) != 0) return AB_OK;
    }
    enum ab_status status = read_labels(labels ? labels : beside, &s->labels, err);
    if (status == AB_OK && s->labels.count == s->classes) return AB_OK;
    if (!labels) return ab_words_free(&s->labels), AB_OK;
    if (status != AB_OK) return status;
    return ab_fail(err, AB_ERR_ARG,
                   "%s: has %d lines, but the model has %d classes; give one name "
                   "a line, in the order of the logits",
                   labels, s->labels.count, s->classes);
}

enum ab_status ab_source_open(const char *model, const char *labels, struct ab_source *source,
                              struct ab_error *err)
{
    *source = (struct ab_source){.name = model};
    if (!strcmp(model, "digits"))
        ab_data_path("digits/digits.onnx", source->path, sizeof source->path);
    else if (strpbrk(model, "./"))
        snprintf(source->path, sizeof source->path, "%s", model);
    enum ab_status status =
        ab_graph_open(*source->path ? source->path : model, 0, &source->graph, err);
    if (status != AB_OK) return status;
    source->dims = ab_graph_input(source->graph);
    source->classes = ab_graph_classes(source->graph);
    status = find_labels(labels, source, err);
    if (status != AB_OK) ab_source_close(source);
    return status;
}

void ab_source_close(struct ab_source *source)
{
    ab_graph_destroy(&source->graph);
    ab_words_free(&source->labels);
}

static enum ab_status no_such_label(const char *text, const struct ab_source *s,
                                    struct ab_error *err)
{
    if (!s->labels.count)
        return ab_fail(err, AB_ERR_ARG,
                       "target '%s': %s has no labels; give 'top', 'top5', classes from 0 to %d "
                       "(3,7), or a file with --labels",
                       text, s->name, s->classes - 1);
    const char *near = ab_nearest(text, (const char *const *)s->labels.items, s->labels.count);
    return ab_fail(err, AB_ERR_ARG,
                   "target '%s': no such label in %s%s%s%s; give 'top', 'top5', classes from 0 to "
                   "%d (3,7), or labels",
                   text, s->name, near ? ": did you mean '" : "", near ? near : "",
                   near ? "'?" : "", s->classes - 1);
}

static enum ab_status add_target(struct ab_targets *targets, int target, const char *text,
                                 struct ab_error *err)
{
    for (int i = 0; i < targets->count; i++)
        if (targets->items[i] == target)
            return ab_fail(err, AB_ERR_ARG, "target %s: is there already; name each class once",
                           text);
    if (targets->count == AB_MAX_TARGETS)
        return ab_fail(err, AB_ERR_ARG, "target %s: more than %d targets; split the run", text,
                       AB_MAX_TARGETS);
    targets->items[targets->count++] = target;
    return AB_OK;
}

static bool is_label(const char *text, const struct ab_source *s, int *class)
{
    for (*class = 0; *class < s->labels.count; ++*class)
        if (!strcasecmp(text, s->labels.items[*class])) return true;
    return false;
}

/* "topN": how many; 0: something else. */
static long count_of_top(const char *text)
{
    char *end;
    if (!strcmp(text, "top")) return 1;
    if (strncmp(text, "top", 3) != 0 || text[3] < '1' || text[3] > '9') return 0;
    const long count = strtol(text + 3, &end, 10);
    return *end ? 0 : count;
}

/* One piece between commas. */
static enum ab_status parse_target(const char *text, const struct ab_source *s,
                                   struct ab_targets *targets, struct ab_error *err)
{
    const long top = count_of_top(text);
    char *end;
    int class;
    if (top > s->classes)
        return ab_fail(err, AB_ERR_ARG, "target %s: %s has %d classes; give at most top%d", text,
                       s->name, s->classes, s->classes);
    for (int k = 0; k < top; k++) {
        const enum ab_status status = add_target(targets, AB_TARGET_TOP - k, text, err);
        if (status != AB_OK) return status;
    }
    if (top) return AB_OK;
    const long k = strtol(text, &end, 10);
    if (end == text || *end)
        return is_label(text, s, &class) ? add_target(targets, class, text, err)
                                         : no_such_label(text, s, err);
    if (k < 0 || k >= s->classes)
        return ab_fail(err, AB_ERR_ARG,
                       "target %s: out of range: %s has classes 0 to %d; give one of these or "
                       "'top'",
                       text, s->name, s->classes - 1);
    return add_target(targets, (int)k, text, err);
}

enum ab_status ab_targets_parse(const char *text, const struct ab_source *s,
                                struct ab_targets *targets, struct ab_error *err)
{
    struct ab_words pieces = {0};
    enum ab_status status = AB_OK;
    int class;
    targets->count = 0;
    if (!text) text = "top";
    if (is_label(text, s, &class)) return add_target(targets, class, text, err); /* has commas */
    while (status == AB_OK) {
        const size_t length = strcspn(text, ",");
        if (!ab_words_add(&pieces, text, length))
            status = ab_fail(err, AB_ERR_MEMORY, "targets: out of memory; close something");
        else
            status = parse_target(pieces.items[pieces.count - 1], s, targets, err);
        if (!text[length]) break;
        text += length + 1;
    }
    ab_words_free(&pieces);
    return status;
}

void ab_target_text(int target, const struct ab_source *s, char *text, size_t size)
{
    if (target == AB_TARGET_TOP)
        snprintf(text, size, "top class");
    else if (target < 0)
        snprintf(text, size, "class of rank %d", AB_TARGET_TOP - target + 1);
    else if (target < s->labels.count)
        snprintf(text, size, "class %d (%s)", target, s->labels.items[target]);
    else
        snprintf(text, size, "class %d", target);
}

void ab_methods_free(struct ab_method **methods, int count)
{
    for (int i = 0; methods && i < count; i++) ab_method_destroy(&methods[i]);
    free(methods);
}

/* The one list of what is run where nobody says which methods: those that most papers compare. */
struct ab_words ab_usual_methods(void)
{
    static char *names[] = {(char *)"gradient",       (char *)"input-x-gradient",
                            (char *)"deconvnet",      (char *)"guided-backprop",
                            (char *)"rectgrad",       (char *)"lrp-0",
                            (char *)"lrp-epsilon",    (char *)"lrp-zplus",
                            (char *)"lrp-alpha-beta", (char *)"dtd",
                            (char *)"epsilon-plus"};
    return (struct ab_words){names, sizeof names / sizeof *names};
}

enum ab_status ab_methods_open(const struct ab_words *specs, struct ab_method ***methods,
                               int *count, struct ab_error *err)
{
    int known;
    const struct ab_method_info *infos = ab_methods(&known);
    bool all = specs->count == 1 && !strcmp(specs->items[0], "all");
    int wanted = all ? known : specs->count;
    *count = 0;
    *methods = calloc((size_t)wanted, sizeof **methods);
    if (!*methods) return ab_fail(err, AB_ERR_MEMORY, "methods: out of memory; close something");
    for (int i = 0; i < wanted; i++) {
        if (all && infos[i].needs) {
            fprintf(stderr, "note: %s is left out of all: it needs %s\n", infos[i].name,
                    infos[i].needs);
            continue;
        }
        struct ab_method *m;
        enum ab_status status = ab_method_parse(all ? infos[i].name : specs->items[i], &m, err);
        bool twice = false;
        for (int k = 0; status == AB_OK && k < *count; k++)
            twice = twice || !strcmp(ab_method_spec((*methods)[k]), ab_method_spec(m));
        if (twice) ab_method_destroy(&m);
        if (status == AB_OK && !twice) (*methods)[(*count)++] = m;
        if (status == AB_OK) continue;
        ab_methods_free(*methods, *count);
        *methods = NULL;
        return status;
    }
    return AB_OK;
}

enum ab_status ab_method_fits(const struct ab_graph *graph, const struct ab_method *method, int at,
                              struct ab_error *err)
{
    if (ab_sampled(method)) return ab_sampler_check(graph, method, at, err);
    const struct ab_walk walk = {.at = at};
    struct ab_program program = {0};
    const enum ab_status status = ab_lower(graph, &method, 1, &walk, &program, err);
    if (status == AB_OK) ab_program_free(&program);
    return status;
}

static enum ab_status check_isa(const char *backend, const char *isa, struct ab_error *err)
{
    const char *names[AB_ISA_COUNT];
    for (int i = 0; i < AB_ISA_COUNT; i++) names[i] = ab_isa_name((enum ab_isa)i);
    unsigned have = ab_cpu_isas();
    for (int i = 0; i < AB_ISA_COUNT; i++) {
        if (strcmp(isa, names[i]) != 0) continue;
        if (have >> i & 1) return AB_OK;
        return ab_fail(err, AB_ERR_ARG,
                       "backend %s: this CPU has no %s; attrbench --version lists "
                       "what it has",
                       backend, isa);
    }
    const char *near = ab_nearest(isa, names, AB_ISA_COUNT);
    return ab_fail(err, AB_ERR_ARG,
                   "backend %s: unknown instruction set '%s'%s%s%s; attrbench "
                   "--version lists them",
                   backend, isa, near ? ": did you mean '" : "", near ? near : "",
                   near ? "'?" : "");
}

enum ab_status ab_backend_check(const char *backend, struct ab_error *err)
{
    int count;
    const struct ab_backend_info *infos = ab_backends(&count);
    const char *names[16];
    char list[128] = "";
    size_t length = strcspn(backend, ":");
    for (int i = 0; i < count && i < 16; i++) {
        names[i] = infos[i].name;
        if (strlen(names[i]) == length && !strncmp(names[i], backend, length)) {
            if (!backend[length]) return AB_OK;
            if (!strcmp(names[i], "native")) return check_isa(backend, backend + length + 1, err);
            return ab_fail(err, AB_ERR_ARG,
                           "backend %s: only native takes an instruction set; "
                           "write '%s'",
                           backend, names[i]);
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = ab_nearest(backend, names, count);
    return ab_fail(err, AB_ERR_ARG, "unknown backend '%s'%s%s%s; backends: %s", backend,
                   near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "", list);
}
