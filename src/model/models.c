// SPDX-License-Identifier: Apache-2.0
// The list of built-in networks, and opening a network by name.
#include "model/graph.h"

#include <stdio.h>
#include <string.h>

#define AB_MODEL(name, summary, source) int ab_net_##name(struct ab_builder *b);
#include "model/models.def"
#undef AB_MODEL

static const struct ab_model_info models[] = {
#define AB_MODEL(name, summary, source) {#name, summary, source},
#include "model/models.def"
#undef AB_MODEL
};

static int (*const builders[])(struct ab_builder *b) = {
#define AB_MODEL(name, summary, source) ab_net_##name,
#include "model/models.def"
#undef AB_MODEL
};

enum { MODELS = sizeof models / sizeof *models };

const struct ab_model_info *ab_models(int *count)
{
    *count = MODELS;
    return models;
}

static enum ab_status unknown(const char *name, struct ab_error *err)
{
    const char *names[MODELS];
    char list[32 * MODELS] = "";
    size_t used = 0;
    for (int i = 0; i < MODELS; i++) {
        names[i] = models[i].name;
        int n = snprintf(list + used, sizeof list - used, i ? ", %s" : "%s", names[i]);
        if (n > 0 && used + (size_t)n < sizeof list) used += (size_t)n;
    }
    const char *nearest = ab_nearest(name, names, MODELS);
    return ab_fail(err, AB_ERR_ARG,
                   "unknown model '%s'%s%s%s; built in are %s; or give the path of "
                   "an ONNX file, such as ./%s.onnx",
                   name, nearest ? ": did you mean '" : "", nearest ? nearest : "",
                   nearest ? "'?" : "", list, name);
}

/* A side of the image; false: none that is built. */
static bool take_side(const char **text, int *side)
{
    long value = 0;
    int digits = 0;
    for (; **text >= '0' && **text <= '9' && digits < 5; digits++, ++*text)
        value = 10 * value + (**text - '0');
    *side = (int)value;
    return digits && value >= AB_SIDE_LEAST && value <= AB_SIDE_MOST;
}

/* "SIDE" or "HEIGHTxWIDTH". */
static bool take_size(const char *text, int *h, int *w)
{
    if (!take_side(&text, h)) return false;
    *w = *h;
    if (*text == 'x') return text++, take_side(&text, w) && !*text;
    return !*text;
}

enum ab_status ab_graph_builtin(const char *name, uint64_t seed, struct ab_graph **graph,
                                struct ab_error *err)
{
    *graph = NULL;
    char own[64];
    const size_t length = strcspn(name, "@");
    snprintf(own, sizeof own, "%.*s", (int)length, name);
    int which = 0;
    while (which < MODELS && strcmp(models[which].name, own) != 0) which++;
    if (which == MODELS) return unknown(own, err);
    struct ab_builder b = {.seed = seed, .err = err, .h = AB_SIDE_USUAL, .w = AB_SIDE_USUAL};
    if (name[length] && !take_size(name + length + 1, &b.h, &b.w))
        return ab_fail(err, AB_ERR_ARG,
                       "model '%.80s': after @ comes the image's side, or HEIGHTxWIDTH, from %d to "
                       "%d each: resnet50@448, resnet50@320x256",
                       name, AB_SIDE_LEAST, AB_SIDE_MOST);
    b.status = ab_graph_create(name, &b.graph, err);
    if (b.status == AB_OK) {
        int output = builders[which](&b);
        if (b.status == AB_OK) b.status = ab_graph_finish(b.graph, output, err);
    }
    if (b.status != AB_OK) ab_graph_destroy(&b.graph);
    *graph = b.graph;
    return b.status;
}

enum ab_status ab_graph_open(const char *name_or_path, uint64_t seed, struct ab_graph **graph,
                             struct ab_error *err)
{
    if (strpbrk(name_or_path, "./")) return ab_graph_load(name_or_path, graph, err);
    return ab_graph_builtin(name_or_path, seed, graph, err);
}
