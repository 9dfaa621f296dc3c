// SPDX-License-Identifier: Apache-2.0
// Deployment configurations: which of the ways to compute an attribution are taken, and where.
//
// A configuration file is JSON. This layer reads the parts below; whatever else stands there is for
// others (`attrbench tune` keeps its evidence in the same file).
//
//     {"attrbench_config": 1, "model": "resnet50", "model_hash": "0123456789abcdef",
//      "method": "lrp-zplus",
//      "machine": {"cpu": "...", "architecture": "x86_64", "isas": ["avx2", ...], "cpus": 2},
//      "deploy": {"backend": "native:avx512", "algo": "auto", "memory": "fast", "pages": "huge",
//                 "denormals": "keep", "place": "cores", "threads": 1, "instances": 2, "batch": 1,
//                 "cpus": [[0], [1]]}}
#ifndef AB_CONFIG_H
#define AB_CONFIG_H

#include "base/base.h"

#if AB_WITH_CONFIG
#include <jansson.h>
#endif

/* Where threads run. CORES: each on a core of its own. SMT: those of an instance side by side on
 * the hardware threads of a core. FREE: where the system puts them, or the caller has. */
enum ab_place { AB_PLACE_CORES, AB_PLACE_SMT, AB_PLACE_FREE };
const char *ab_place_name(enum ab_place place); /* "cores", "smt", "free" */

enum { AB_DEPLOY_MAX_CPUS = 1024, AB_DEPLOY_MAX_BATCH = 1 << 16, AB_DEPLOY_TEXT = 128 };

struct ab_deploy {
    char backend[32]; /* "native:avx512", "onednn" */
    enum ab_algo algo;
    enum ab_memory memory;
    enum ab_pages pages;
    enum ab_denormals denormals;
    enum ab_place place;
    int threads, instances, batch; /* of one instance; plans at the same time; images a plan */
    int *cpus; /* [instances * threads]: numbers of the system, instance by instance; owned; NULL
                  where place is FREE */
};

/* The words of each enumeration, in its order. */
extern const char *const ab_algo_words[2],
    *const ab_memory_words[2], *const ab_pages_words[2], *const ab_denormals_words[2],
                                                             *const ab_place_words[3];

/* A value that cannot be, on this machine either: AB_ERR_ARG, AB_ERR_UNSUPPORTED. */
enum ab_status ab_deploy_check(const struct ab_deploy *d, struct ab_error *err);
/* "native:avx512 auto fast 1x2 batch=4 cores huge keep" (threads x instances): equal for equal
 * knobs, whichever the CPUs. */
void ab_deploy_text(const struct ab_deploy *d, char text[AB_DEPLOY_TEXT]);
struct ab_plan_options ab_deploy_options(const struct ab_deploy *d);
/* Makes the calling thread instance `instance` (from 0): binds it and its OpenMP workers, and sets
 * what they do with subnormal numbers. */
enum ab_status ab_deploy_enter(const struct ab_deploy *d, int instance, struct ab_error *err);
bool ab_deploy_copy(const struct ab_deploy *d, struct ab_deploy *copy);
void ab_deploy_free(struct ab_deploy *d);

/* ab_config_load, of any machine if `anywhere`. */
enum ab_status ab_config_read(const char *path, bool anywhere, struct ab_config **config,
                              struct ab_error *err);
const struct ab_deploy *ab_config_deploy(const struct ab_config *config);
/* Whether `graph` is what the configuration was made for: AB_ERR_FORMAT if not. */
enum ab_status ab_config_fits(const struct ab_config *config, const struct ab_graph *graph,
                              struct ab_error *err);
/* What differs between the configuration's machine and this one, in words; false: nothing. */
bool ab_config_foreign(const struct ab_config *config, char *text, size_t size);
#if AB_WITH_CONFIG
/* The part of the file above, of this machine. `model`: as ab_graph_open takes it (for the
 * command's `digits`: the path of that); of a file, its absolute path is written. New reference;
 * NULL: out of memory. */
json_t *ab_config_json(const char *model, const struct ab_graph *graph, const char *method,
                       const struct ab_deploy *d);
#endif

#endif
