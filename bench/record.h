// SPDX-License-Identifier: Apache-2.0
// Result records: what one row holds, its JSON, and the files that survive an interruption.
#ifndef AB_RECORD_H
#define AB_RECORD_H

#include "agree/agree.h"
#include "clock.h"
#include "slices.h"
#include "stats.h"

#include <stdio.h>

#include <jansson.h>

/* One row. Numbers that are NaN become null with a reason. */
struct ab_record {
    const char *kind;             /* "method", "joint", "kernel", "step"; NULL: not filled */
    char op[32], shape[96];       /* "attribute" and the input's shape, or the kernel's */
    char model[256], method[256]; /* "" for kernels */
    char backend[32], isa[16];
    char kernels[768]; /* names, separated by commas */
    char target[96];   /* as it was asked for */
    char at[96];       /* the layer whose maps they are; "": the image */
    char layer[96];    /* of steps: the network's layer; "": none */
    int targets;       /* classes that one execution explains */
    const char *seed_mode;
    int threads, batch, repetition;
    char pinned[64];
    double *ns;      /* the samples, owned, in the order they were taken */
    bool *disturbed; /* of each sample, owned, or NULL: not watched */
    struct ab_stats stats;
    enum ab_cache cache;
    enum ab_denormals denormals;
    enum ab_pages pages;
    int calls;                       /* executions of a sample, of which it is the mean */
    bool steady;                     /* executions had stopped becoming faster when it began */
    const char *steady_why;          /* why that is not known; NULL: it is */
    double core_ghz, core_ghz_after; /* before the samples and after; 0: not known */
    bool counted;                    /* subnormals of the input and of the maps were: */
    size_t subnormal_inputs, subnormal_maps;
    double flops, bytes; /* of one execution; bytes: every operand and weight once */
    double peak;         /* GFLOP/s that `threads` cores reach at `isa`; 0: unknown */
    double ratio;
    const char *ratio_why; /* why ratio is NaN */
    struct ab_agreement agreement;
    const char *algo, *memory;        /* of the plan; NULL: no plan */
    double model_bytes;               /* of the network's own weights */
    double planned_bytes, peak_bytes; /* of the plan beside them; of the process, above before */
    double setup_ns, first_ns;        /* making the plan; its first execution */
    /* Of kernels alone: whether attrbench itself would take it, its error factor (0: direct; NaN:
     * not known), how often the network has the layer, and what oneDNN was held to. */
    bool picked;
    double amplification;
    int times;
    char onednn_isa[24];
    /* Of kind "joint": the methods' specs, and how long they take one by one. */
    char methods[1024];
    int n_methods;
    double sum_single_ns, joint_ratio;
    char repro[1600];
    char error[512]; /* "" or why there are no numbers */
};

void ab_record_init(struct ab_record *r);
void ab_record_free(struct ab_record *r);
double ab_record_gflops(const struct ab_record *r);
double ab_record_peak_share(const struct ab_record *r);
json_t *ab_record_json(const struct ab_record *r);
/* Of an agreement: that there is none yet, and its fields of a row. */
void ab_agreement_init(struct ab_agreement *a);
void ab_agreement_put(json_t *row, const struct ab_agreement *a);
/* Back; a field that is missing or null is NaN. False, skipped: there is no verdict. */
bool ab_agreement_read(const json_t *row, struct ab_agreement *a);

/* Writes {"context": ..., "results": [...]}, one row a line, strict JSON in ASCII. */
bool ab_records_print(FILE *f, const json_t *context, const json_t *rows);

/* mkdir -p. False, errno: why not. */
bool ab_make_folders(const char *folder);

/* The folder of a run: results.jsonl grows by one flushed line a row, results.json is written at
 * the end and replaces an older one in one step. */
struct ab_store {
    char folder[1024];
    FILE *lines;
    json_t *rows;
    struct ab_save *save; /* the run of --save, borrowed; NULL: none */
};
/* Makes the folder and notices here if it cannot be written. */
enum ab_status ab_store_open(struct ab_store *store, const char *folder, const json_t *context,
                             struct ab_error *err);
enum ab_status ab_store_add(struct ab_store *store, const struct ab_record *r,
                            struct ab_error *err);
/* The same of its JSON, which it steals; NULL: out of memory. */
enum ab_status ab_store_add_json(struct ab_store *store, json_t *row, struct ab_error *err);
/* A row that was saved before: to the files alone. Steals `row`. */
enum ab_status ab_store_restore(struct ab_store *store, json_t *row, struct ab_error *err);
enum ab_status ab_store_finish(struct ab_store *store, const json_t *context, struct ab_error *err);
void ab_store_close(struct ab_store *store);

/* The fingerprint of machine, build and surroundings; null for what the system does not say. New
 * reference. */
struct ab_machine;
json_t *ab_context_json(const struct ab_machine *machine);
/* Adds cpu.read_bandwidth_gbs, measured by the calling thread level by level (0.4 s). */
void ab_context_put_roofs(json_t *context, const struct ab_machine *machine);
/* Adds how busy the machine was in the end; the start is in it already. */
void ab_context_end(json_t *context);

#endif
