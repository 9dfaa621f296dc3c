// SPDX-License-Identifier: Apache-2.0
// attrbench methods, models, kernels, backends: the lists, with parameters, defaults and sources.
#include "command.h"

#include "simd/kernels.h"
#include "source.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

struct list_settings {
    bool json;
};

static const struct ab_option list_options[] = {
    {"json", NULL, "the list as JSON", AB_OPTION_FLAG, offsetof(struct list_settings, json)},
};

/* Prints and releases a list. */
static int print_json(const char *name, json_t *rows)
{
    json_t *root = json_pack("{s:o}", name, rows);
    if (!root) return ab_complain(AB_EXIT_ERROR, "%s: out of memory; close something else", name);
    int bad = json_dumpf(root, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    json_decref(root);
    if (bad || putchar('\n') == EOF)
        return ab_complain(AB_EXIT_ERROR, "standard output: cannot be written; redirect elsewhere");
    return AB_EXIT_OK;
}

static json_t *method_row(const struct ab_method_info *m)
{
    json_t *params = json_array();
    for (int i = 0; i < m->n_params; i++) {
        const struct ab_param_info *p = &m->params[i];
        json_array_append_new(params,
                              json_pack("{s:s,s:s?,s:s?,s:s?}", "key", p->key, "default",
                                        p->fallback, "values", p->values, "summary", p->summary));
    }
    return json_pack("{s:s,s:s?,s:s?,s:s?,s:s?,s:s?,s:s?,s:o}", "name", m->name, "summary",
                     m->summary, "source", m->source, "seed", m->seed, "cost", m->cost, "tools",
                     m->tools, "needs", m->needs, "parameters", params);
}

static void print_method(const struct ab_method_info *m)
{
    printf("%s\n    %s\n    source: %s; seed: %s\n    cost: %s; other tools: %s\n", m->name,
           m->summary, m->source, m->seed, m->cost, m->tools);
    if (m->needs) printf("    needs %s\n", m->needs);
    for (int i = 0; i < m->n_params; i++) {
        const struct ab_param_info *p = &m->params[i];
        printf("    %-10s %s (default %s; %s)\n", p->key, p->summary,
               p->fallback && *p->fallback ? p->fallback : "none", p->values);
    }
    printf("\n");
}

static int run_methods(void *settings, int argc, char **argv)
{
    (void)argc, (void)argv;
    int count;
    const struct ab_method_info *m = ab_methods(&count);
    if (((struct list_settings *)settings)->json) {
        json_t *rows = json_array();
        for (int i = 0; i < count; i++) json_array_append_new(rows, method_row(&m[i]));
        return print_json("methods", rows);
    }
    for (int i = 0; i < count; i++) print_method(&m[i]);
    printf("cost: passes over each linear layer, F forward, B backward-data, the network's own\n"
           "forward pass included.\nWrite a method as NAME or NAME:key=value,...; per-channel "
           "bounds as a/b/c.\n");
    return AB_EXIT_OK;
}

/* Shape and size of a built-in network; zeros if it cannot be built. */
struct model_size {
    struct ab_dims in;
    int classes;
    size_t parameters;
};
static struct model_size size_of(const char *name)
{
    struct ab_source source;
    struct ab_error err;
    struct model_size size = {0};
    if (ab_source_open(name, NULL, &source, &err) != AB_OK) return size;
    size.in = source.dims;
    size.classes = source.classes;
    size.parameters = ab_graph_parameters(source.graph);
    ab_source_close(&source);
    return size;
}

static void model_row(json_t *rows, const struct ab_model_info *m)
{
    struct model_size s = size_of(m->name);
    if (!rows) {
        printf("%-12s %dx%dx%d to %d classes, %.1f M parameters\n    %s\n    source: %s\n", m->name,
               s.in.c, s.in.h, s.in.w, s.classes, (double)s.parameters / 1e6, m->summary,
               m->source);
        return;
    }
    json_array_append_new(rows, json_pack("{s:s,s:s,s:s,s:[iii],s:i,s:I}", "name", m->name,
                                          "summary", m->summary, "source", m->source, "input",
                                          s.in.c, s.in.h, s.in.w, "classes", s.classes,
                                          "parameters", (json_int_t)s.parameters));
}

static int run_models(void *settings, int argc, char **argv)
{
    (void)argc, (void)argv;
    static const struct ab_model_info digits = {
        "digits", "a VGG in small for handwritten digits, trained (98.2 % correct)",
        "data/digits/README.md"};
    json_t *rows = ((struct list_settings *)settings)->json ? json_array() : NULL;
    int count;
    const struct ab_model_info *m = ab_models(&count);
    bool listed = false;
    for (int i = 0; i < count; i++) listed = listed || !strcmp(m[i].name, digits.name);
    if (!listed) model_row(rows, &digits);
    for (int i = 0; i < count; i++) model_row(rows, &m[i]);
    if (rows) return print_json("models", rows);
    printf(
        "\nBuilt-in networks have random (He) weights from a fixed seed; any ONNX file is a model "
        "too:\n--model ./net.onnx\nOther image sizes, from 32 to 2048: NAME@SIDE or NAME@HEIGHTx"
        "WIDTH, such as resnet50@448, resnet18@320x256\n(alexnet, vgg16, vgg19: those that their "
        "last pooling divides evenly; others are refused with the list).\n");
    return AB_EXIT_OK;
}

static const char *role_of(const struct ab_kernel *k)
{
    if (k->isa == AB_ISA_ref) return "reference";
    return k->baseline ? "baseline" : "hand-made";
}

static void print_kernel(const struct ab_kernel *k, bool here)
{
    char factor[16] = "";
    if (ab_kernel_amplification(k) > 0)
        snprintf(factor, sizeof factor, "%.0f", ab_kernel_amplification(k));
    printf("%-28s %-10s %-8s %-10s %4s  %s\n", k->name, ab_kernel_op_name(k->op),
           ab_isa_name(k->isa), role_of(k), factor, here ? "runs" : "this CPU lacks it");
}

static json_t *kernel_json(const struct ab_kernel *k, bool here)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:f}", "name", k->name, "op",
                     ab_kernel_op_name(k->op), "isa", ab_isa_name(k->isa), "variant", k->variant,
                     "role", role_of(k), "runs_here", here, "amplification",
                     ab_kernel_amplification(k));
}

static int run_kernels(void *settings, int argc, char **argv)
{
    (void)argc, (void)argv;
    json_t *rows = ((struct list_settings *)settings)->json ? json_array() : NULL;
    int count;
    const struct ab_kernel *k = ab_kernels(&count);
    unsigned have = ab_cpu_isas();
    if (!rows)
        printf("%-28s %-10s %-8s %-10s %4s  %s\n", "kernel", "operation", "isa", "role", "amp.",
               "here");
    for (int i = 0; i < count; i++) {
        bool here = have >> k[i].isa & 1;
        if (rows)
            json_array_append_new(rows, kernel_json(&k[i], here));
        else
            print_kernel(&k[i], here);
    }
    return rows ? print_json("kernels", rows) : AB_EXIT_OK;
}

static int run_backends(void *settings, int argc, char **argv)
{
    (void)argc, (void)argv;
    json_t *rows = ((struct list_settings *)settings)->json ? json_array() : NULL;
    int count;
    const struct ab_backend_info *b = ab_backends(&count);
    for (int i = 0; i < count; i++) {
        if (!rows)
            printf("%-10s %s (%s)\n", b[i].name, b[i].summary, b[i].version);
        else
            json_array_append_new(rows, json_pack("{s:s,s:s?,s:s?}", "name", b[i].name, "summary",
                                                  b[i].summary, "version", b[i].version));
    }
    if (rows) return print_json("backends", rows);
    printf("\nnative takes an instruction set as its cap: ");
    unsigned have = ab_cpu_isas();
    for (int i = 0, printed = 0; i < AB_ISA_COUNT; i++)
        if (have >> i & 1)
            printf("%snative:%s", printed++ ? ", " : "", ab_isa_name((enum ab_isa)i));
    printf("\n");
    return AB_EXIT_OK;
}

#define LIST(command, text)                                                                        \
    const struct ab_command ab_command_##command = {                                               \
        .name = #command,                                                                          \
        .summary = text,                                                                           \
        .usage = "[--json]",                                                                       \
        .options = list_options,                                                                   \
        .n_options = 1,                                                                            \
        .settings_size = sizeof(struct list_settings),                                             \
        .run = run_##command,                                                                      \
    }
LIST(methods, "lists the attribution methods, their parameters, defaults and sources");
LIST(models, "lists the built-in networks");
LIST(kernels, "lists the kernels and which of them run on this CPU");
LIST(backends, "lists the backends and their versions");
