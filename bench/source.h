// SPDX-License-Identifier: Apache-2.0
// Where work comes from: models by name or path, images and arrays, preprocessing, targets, labels.
#ifndef AB_SOURCE_H
#define AB_SOURCE_H

#include "command.h"

/* How images become inputs: (v - mean[c]) / std[c] for v in [0,1]. */
struct ab_preprocess {
    const char *name; /* "imagenet", "unit", "none", "mean=..,std=.." */
    float mean[16], std[16];
    int count; /* values given; 1: for all channels */
};

/* A network with what is known about its inputs and outputs. Zero it before ab_source_open. */
struct ab_source {
    const char *name; /* as the user wrote it */
    char path[1024];  /* of the file; "" for a built-in network */
    struct ab_graph *graph;
    struct ab_dims dims;
    int classes;
    struct ab_words labels; /* empty if unknown */
};

/* Opens `model`: a built-in name, `digits`, or a path. `labels`: a file of one name a line, or
 * NULL: labels.txt beside the model, if there. */
enum ab_status ab_source_open(const char *model, const char *labels, struct ab_source *source,
                              struct ab_error *err);
void ab_source_close(struct ab_source *source);

/* "imagenet", "unit", "none" or "mean=a/b/c,std=a/b/c"; NULL: what suits the model (imagenet for
 * three channels, unit for others). */
enum ab_status ab_preprocess_parse(const char *text, struct ab_dims dims, struct ab_preprocess *p,
                                   struct ab_error *err);

/* Classes to explain for each image, as ab_plan_execute takes them. */
enum { AB_MAX_TARGETS = 64 };
struct ab_targets {
    int items[AB_MAX_TARGETS], count;
};

/* "top", "topN" (the N highest), class indices and labels, separated by commas; NULL: "top". */
enum ab_status ab_targets_parse(const char *text, const struct ab_source *source,
                                struct ab_targets *targets, struct ab_error *err);
/* A target in words: "top class", "class of rank 2", "class 7 (label)". */
void ab_target_text(int target, const struct ab_source *source, char *text, size_t size);

/* Images ready for the model: data is [count][c][h][w]. */
struct ab_images {
    float *data;
    struct ab_words names; /* of the files, without folder and ending */
    int count;
};

/* Adds every image of `path`: a PNG or JPEG, a .npy (taken as it is), or a folder of them in
 * alphabetical order. Stops at `limit` images (0: none). */
enum ab_status ab_images_add(struct ab_images *images, const char *path, struct ab_dims dims,
                             const struct ab_preprocess *p, int limit, struct ab_error *err);
/* What is explained where nobody says which: a photograph, or digits, as the model takes; p NULL:
 * with its usual preprocessing. AB_ERR_ARG: inputs of other channels have none. */
enum ab_status ab_images_usual(struct ab_images *images, const struct ab_source *source,
                               const struct ab_preprocess *p, struct ab_error *err);
/* input[batch][c][h][w]: the images in turn. */
void ab_images_fill(const struct ab_images *images, struct ab_dims dims, int batch, float *input);
void ab_images_free(struct ab_images *images);

/* `file` in the data folder: $ATTRBENCH_DATA, the source tree, or where it was installed. */
void ab_data_path(const char *file, char *path, size_t size);
bool ab_is_folder(const char *path);
/* Where results that are dear are kept from run to run, made if need be: $XDG_CACHE_HOME/attrbench
 * or ~/.cache/attrbench. False, "": nowhere, or its name is longer than `size`. */
bool ab_cache_folder(char *path, size_t size);

/* The methods of `attrbench run` where none are named; not owned. */
struct ab_words ab_usual_methods(void);
/* Parses specs ("all": every method). Free with ab_methods_free. */
enum ab_status ab_methods_open(const struct ab_words *specs, struct ab_method ***methods,
                               int *count, struct ab_error *err);
void ab_methods_free(struct ab_method **methods, int count);
/* Whether a method gives maps of node `at` (0: the image) of `graph`; the error says why not.
 * Cheap: nothing is packed. */
enum ab_status ab_method_fits(const struct ab_graph *graph, const struct ab_method *method, int at,
                              struct ab_error *err);

/* Whether `backend` names one that exists here, with an instruction set of this CPU if any. */
enum ab_status ab_backend_check(const char *backend, struct ab_error *err);

#endif
