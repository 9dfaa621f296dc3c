// SPDX-License-Identifier: Apache-2.0
// Results that lie in files: our own in their three forms, and those of other programs.
#ifndef AB_RUNFILE_H
#define AB_RUNFILE_H

#include "db.h"

/* One run. `run` has a name (the run's own, or the file's), origin (the file's name), started,
 * finished_at, finished, revision ("" if the file does not say), context and command. */
struct ab_runfile {
    struct ab_db_run run;
    struct ab_db_row *rows;
    int count;
    const char *format; /* in words: "attrbench results", "Google Benchmark", "benchdnn" */
};

/* The runs of a file, recognised by what is in it: results.json, results.jsonl (whole or cut by an
 * interruption), what `attrbench export` wrote (the one form that can hold several), the JSON of
 * Google Benchmark, and the output of benchdnn --mode=P. At least one run, each with rows. A file
 * that is not JSON although it begins so, NaN in it above all, is an AB_ERR_FORMAT. */
enum ab_status ab_runfile_read(const char *path, struct ab_runfile **list, int *count,
                               struct ab_error *err);
void ab_runfile_free(struct ab_runfile *list, int count);

/* ---- for the readers of the formats, runfile_*.c ---- */

/* Adds a record with "samples_ns" as a row; steals it. Its key: "key" of it, or ab_row_key. */
enum ab_status ab_runfile_add(struct ab_runfile *r, struct ab_keys *keys, json_t *record,
                              struct ab_error *err);
/* Puts "samples_ns", "samples" and the quantiles that records have. False: out of memory. */
bool ab_runfile_put_samples(json_t *record, const double *ns, int count);
/* Context of a run that another program measured. New reference. */
json_t *ab_runfile_context(const char *format, const char *date);

enum ab_status ab_runfile_of_gbench(const json_t *root, struct ab_runfile *r, struct ab_error *err);
enum ab_status ab_runfile_of_benchdnn(char *text, struct ab_runfile *r, struct ab_error *err);
/* Whether the text holds lines of benchdnn. */
bool ab_runfile_is_benchdnn(const char *text);

#endif
