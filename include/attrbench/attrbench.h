// SPDX-License-Identifier: Apache-2.0
// attrbench: CNN attribution by modified backpropagation on CPUs. The public C API.
//
// A graph is an immutable network, shared by any number of threads. A plan binds a graph, one or
// more methods, a backend and a batch size; it owns its buffers, belongs to one thread at a time,
// and executes without allocating.
//
// Every function that can fail returns an ab_status and, where `err` is not NULL, leaves one line
// in it that says what, where and what to do. Objects come from _create/_load functions and go by
// the matching _destroy, which accepts a pointer to NULL and clears the pointer.
#ifndef ATTRBENCH_H
#define ATTRBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ab_status {
    AB_OK = 0,
    AB_ERR_ARG,         /* a wrong value from the caller: method spec, target, batch */
    AB_ERR_IO,          /* a file that cannot be opened, read or written */
    AB_ERR_FORMAT,      /* a file that is not what it should be */
    AB_ERR_UNSUPPORTED, /* valid, but outside what attrbench computes */
    AB_ERR_MEMORY,
    AB_ERR_INTERNAL /* a backend library failed, or a bug */
};

struct ab_error {
    char text[512];
};

const char *ab_version(void);

/* ---- graphs ---- */

struct ab_graph;

/* Shape of one sample; vectors have h = w = 1. */
struct ab_dims {
    int c, h, w;
};

/* Reads an ONNX file (external data beside it too). Batch-norms that follow a linear layer are
 * folded into it, a trailing softmax is cut off, since attributions explain logits; ab_graph_notes
 * says so. */
enum ab_status ab_graph_load(const char *path, struct ab_graph **graph, struct ab_error *err);

/* A built-in architecture with torchvision's layer names and He-initialised weights drawn from
 * `seed`, for images of 224 x 224, or as the name says: "resnet50@448", "resnet50@320x256" (height
 * x width, from 32 to 2048; weights do not depend on it). AlexNet and VGG take sizes that their
 * last pooling divides into equal windows. */
enum ab_status ab_graph_builtin(const char *name, uint64_t seed, struct ab_graph **graph,
                                struct ab_error *err);

/* `name_or_path`: a built-in name, with a size or without, or a path if it has a '.' or '/'. */
enum ab_status ab_graph_open(const char *name_or_path, uint64_t seed, struct ab_graph **graph,
                             struct ab_error *err);

void ab_graph_destroy(struct ab_graph **graph);

struct ab_dims ab_graph_input(const struct ab_graph *graph);
int ab_graph_classes(const struct ab_graph *graph);
size_t ab_graph_parameters(const struct ab_graph *graph);
const char *ab_graph_name(const struct ab_graph *graph);
/* What loading changed (softmax cut, batch-norms folded), one line each; "" if nothing. Lives as
 * long as the graph. */
const char *ab_graph_notes(const struct ab_graph *graph);

struct ab_model_info {
    const char *name, *summary, *source;
};
const struct ab_model_info *ab_models(int *count);

/* ---- methods ---- */

struct ab_method; /* a resolved method: a name and a value for each of its parameters */

/* Parses "name" or "name:key=value,...". An unknown name or key is answered with the nearest and
 * the list. */
enum ab_status ab_method_parse(const char *spec, struct ab_method **method, struct ab_error *err);
void ab_method_destroy(struct ab_method **method);
/* The canonical spec: parameters that differ from their defaults, in the table's order. Lives as
 * long as the method. */
const char *ab_method_spec(const struct ab_method *method);

struct ab_param_info {
    const char *key, *fallback, *values, *summary; /* fallback: the default, as text */
};
/* cost: work of a linear layer in forward (F) and backward-data (B) passes over it, the forward
 * pass of the network included, for inputs that are not negative; n: the method's own n. tools:
 * other tools that have the method, or "none". needs: the parameters without which it is no method
 * ("low and high"), or NULL. */
struct ab_method_info {
    const char *name, *summary, *source, *seed, *cost, *tools, *needs;
    const struct ab_param_info *params;
    int n_params;
};
const struct ab_method_info *ab_methods(int *count);

/* ---- plans ---- */

struct ab_backend_info {
    const char *name, *summary, *version;
};
const struct ab_backend_info *ab_backends(int *count);

/* Which convolution algorithms the native backend may take. AUTO: the fastest measured for the
 * shape; Winograd's larger rounding error is accounted for (docs/numerics.md). DIRECT: plain sums
 * alone. */
enum ab_algo { AB_ALGO_AUTO, AB_ALGO_DIRECT };

/* What the native backend keeps. FAST: packed and transformed copies of all weights. LEAN: no
 * second copy of large weights (they are packed piece by piece while they are used), so plain sums
 * alone. */
enum ab_memory { AB_MEMORY_FAST, AB_MEMORY_LEAN };

/* What holds a plan's large buffers. HUGE: huge pages, where the system has any for those that ask;
 * SMALL: none, even where the system gives them to everybody. */
enum ab_pages { AB_PAGES_HUGE, AB_PAGES_SMALL };

struct ab_plan_options {
    const char *backend; /* "native", "native:avx2", ..., "onednn", "reference"; NULL: native */
    int batch;           /* images per execution; 0: 1 */
    int threads;         /* 0: 1 */
    bool retain;         /* keep every intermediate tensor, for inspection; no buffer is reused */
    enum ab_algo algo;
    enum ab_memory memory;
    int targets; /* classes explained for each image, all from one forward pass; 0: 1 */
    /* A layer: maps are the signal at its output, of its shape, instead of the image's (times that
     * output where the method multiplies by the image). NULL: the image. */
    const char *at;
    enum ab_pages pages;
};

struct ab_plan;

/* One plan computes all `methods` for each image from one forward pass. The graph must outlive the
 * plan. */
enum ab_status ab_plan_create(const struct ab_graph *graph, const struct ab_method *const *methods,
                              int n_methods, const struct ab_plan_options *options,
                              struct ab_plan **plan, struct ab_error *err);
void ab_plan_destroy(struct ab_plan **plan);

/* A target is a class, or AB_TARGET_TOP - k: the class of the k-th largest logit, from 0 (equal
 * ones in the order of their classes). */
enum { AB_TARGET_TOP = -1 };

/* input: [batch][c][h][w] float32. targets: [batch][targets of the plan], or NULL: the highest
 * classes, target t that of rank t. maps: n_methods * targets pointers, those of one method in a
 * row and methods in the order of creation, each to [batch] maps of ab_plan_map_dims; a NULL entry
 * is computed and dropped. logits: [batch][classes] or NULL. Allocates nothing. */
enum ab_status ab_plan_execute(struct ab_plan *plan, const float *input, const int *targets,
                               float *const *maps, float *logits, struct ab_error *err);

/* Shape of map number `map` for one image. */
struct ab_dims ab_plan_map_dims(const struct ab_plan *plan, int map);

/* The reference inputs of methods with baseline=given, [batch][c][h][w]: borrowed until replaced,
 * by NULL too, or the plan is destroyed. Executing a plan that wants them without is an error. */
void ab_plan_baseline(struct ab_plan *plan, const float *baseline);

/* Bytes of the two allocations: packed weights, and the arena of activations and signals. */
void ab_plan_memory(const struct ab_plan *plan, size_t *weights, size_t *arena);

/* KEEP: IEEE 754. FLUSH: subnormal operands and results count as zeros (MXCSR's FTZ and DAZ,
 * FPCR.FZ), which can be a hundred times faster where there are any. */
enum ab_denormals { AB_DENORMALS_KEEP, AB_DENORMALS_FLUSH };
/* Of the calling thread, and threads that it starts from now on; returns what was set before. */
enum ab_denormals ab_denormals_set(enum ab_denormals mode);
/* Of the calling thread and its threads - 1 OpenMP workers: those that its plans compute with. */
void ab_denormals_set_all(enum ab_denormals mode, int threads);

/* ---- images and arrays ---- */

/* Reads a PNG or JPEG and prepares it for a model that takes `dims` (c = 3, or 1 for gray): an
 * image of exactly h x w stays as it is, any other one is resized on its short side to h * 256/224
 * (to h where h < 64) and cropped in the middle; then scaled to [0,1], and (v - mean[c]) / std[c].
 * out: [c][h][w]. mean, std: [c]; NULL: 0 and 1. */
enum ab_status ab_image_read(const char *path, struct ab_dims dims, const float *mean,
                             const float *std, float *out, struct ab_error *err);

/* Reads a .npy of float32 or float64, CHW or NCHW, that holds images of `dims` (C or NC too where
 * h = w = 1). *out is malloc'd ([*n][c][h][w]); free() it. */
enum ab_status ab_npy_read(const char *path, struct ab_dims dims, float **out, int *n,
                           struct ab_error *err);
enum ab_status ab_npy_write(const char *path, const float *data, int n, struct ab_dims dims,
                            struct ab_error *err);

/* ---- deployment configurations: files that `attrbench tune` writes ---- */

/* What to compute, and how and where on the machine that it was found on. */
struct ab_config;

/* A configuration of another machine is refused: AB_ERR_UNSUPPORTED, and the line says what differs
 * and how to validate it here. */
enum ab_status ab_config_load(const char *path, struct ab_config **config, struct ab_error *err);
void ab_config_destroy(struct ab_config **config);

/* These live as long as the configuration. */
const char *ab_config_model(const struct ab_config *config);  /* a name, or a path */
const char *ab_config_method(const struct ab_config *config); /* a spec */
int ab_config_instances(const struct ab_config *config); /* plans that run at the same time, each on
                                                            a thread of its own */
int ab_config_batch(const struct ab_config *config);     /* images of an execution */

/* Opens the model; AB_ERR_FORMAT if it is no longer what the configuration was made for. Shared by
 * all instances. */
enum ab_status ab_config_graph(const struct ab_config *config, struct ab_graph **graph,
                               struct ab_error *err);

/* Makes the calling thread instance `instance` (from 0): binds it and its OpenMP workers to their
 * CPUs, sets what they do with subnormal numbers, and creates its plan, which only this thread may
 * execute as it was configured. Each instance needs a thread of its own. */
enum ab_status ab_config_plan(const struct ab_config *config, const struct ab_graph *graph,
                              int instance, struct ab_plan **plan, struct ab_error *err);

#ifdef __cplusplus
}
#endif
#endif
