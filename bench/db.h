// SPDX-License-Identifier: Apache-2.0
// The store: one SQLite file of runs, their rows and all their samples.
//
// Write-ahead log, one transaction a row: a process that is killed loses the row it is measuring
// and nothing else, and several processes may write at once. The schema has a version; a file of a
// newer one, of another program, or damaged is refused in words.
#ifndef AB_DB_H
#define AB_DB_H

#include "base/base.h"

#include <stdint.h>

#include <jansson.h>

/* Where it is unless told: $ATTRBENCH_DB, or attrbench.db in the current folder. */
const char *ab_db_default(void);

struct ab_db;
enum ab_db_mode { AB_DB_READ, AB_DB_WRITE }; /* WRITE makes the file */
enum ab_status ab_db_open(const char *path, enum ab_db_mode mode, struct ab_db **db,
                          struct ab_error *err);
void ab_db_close(struct ab_db **db);

/* ---- runs ---- */

struct ab_db_run {
    int64_t id;
    char name[128]; /* several runs may share one: the newest is meant */
    char started[32], revision[64],
        fingerprint[32]; /* UTC; of git, "+" at its end if dirty; hash */
    bool finished;
    int rows;
    json_t *context; /* owned */
};
void ab_db_run_free(struct ab_db_run *run);

/* Begins a run; `context` is that of record.h. */
enum ab_status ab_db_begin(struct ab_db *db, const char *name, const json_t *context,
                           const char *command, int64_t *run, struct ab_error *err);
/* The unfinished newest run of that name, to go on with: AB_ERR_ARG if there is none, or if its
 * fingerprint differs. */
enum ab_status ab_db_resume(struct ab_db *db, const char *name, const json_t *context, int64_t *run,
                            struct ab_error *err);
enum ab_status ab_db_finish(struct ab_db *db, int64_t run, struct ab_error *err);

/* "NAME", "NAME~2" (two before the newest of that name), "#12" (an id), or a git revision's first 7
 * letters or more. The error lists what there is. */
enum ab_status ab_db_find(struct ab_db *db, const char *text, struct ab_db_run *run,
                          struct ab_error *err);
/* All, oldest first; name NULL: any. */
enum ab_status ab_db_runs(struct ab_db *db, const char *name, struct ab_db_run **runs, int *count,
                          struct ab_error *err);

/* ---- rows ---- */

/* A row as it was measured. Samples in the order they were taken, ns of one call. */
struct ab_db_row {
    char *key;      /* names it across runs and builds: ab_row_key, ab_case_key */
    json_t *record; /* as in results.json, without samples_ns */
    double *ns;
    bool *disturbed;  /* or NULL */
    int count, calls; /* calls a slice */
};
void ab_db_row_free(struct ab_db_row *row);
void ab_db_rows_free(struct ab_db_row *rows, int count);

/* Replaces a row of the same key. */
enum ab_status ab_db_put(struct ab_db *db, int64_t run, const struct ab_db_row *row,
                         struct ab_error *err);
bool ab_db_has(struct ab_db *db, int64_t run, const char *key);
/* In the order they were measured. */
enum ab_status ab_db_rows(struct ab_db *db, int64_t run, struct ab_db_row **rows, int *count,
                          struct ab_error *err);

/* The key of a record of results.json: kind/model/method/backend/... (kernels: their name and
 * shape). Two rows that measure the same thing have the same key. */
void ab_row_key(const json_t *record, char *key, size_t size);

/* ---- noise floors, of `attrbench doctor` ---- */

/* The relative difference that the same program shows between processes: for a class of rows
 * ("kernel", "step", "method", or an operation) on the machine of a fingerprint. */
enum ab_status ab_db_put_floor(struct ab_db *db, const char *fingerprint, const char *class,
                               double share, struct ab_error *err);
/* NaN: not measured. */
double ab_db_floor(struct ab_db *db, const char *fingerprint, const char *class);

/* ---- fingerprints ---- */

/* Of what must be equal for times to be comparable: CPU model, microcode, instruction sets, cores,
 * caches, kernel release, compiler and flags, oneDNN, OpenMP settings, denormal mode. 16 letters.
 */
void ab_fingerprint(const json_t *context, char text[32]);
/* The fields that differ, one a line ("cpu.model: A, B"), as far as they fit; false: none do. */
bool ab_fingerprint_differs(const json_t *a, const json_t *b, char *text, size_t size);

#endif
