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
/* Locks of other processes are waited for: 10 s, or $ATTRBENCH_DB_WAIT ("500ms", "1m"). A store
 * that is open is used by one thread at a time. */
enum ab_status ab_db_open(const char *path, enum ab_db_mode mode, struct ab_db **db,
                          struct ab_error *err);
/* The same to read the run of that name: a store that is not there has none, which is AB_ERR_ARG as
 * of any other name that there is no run of. */
enum ab_status ab_db_open_run(const char *path, const char *name, struct ab_db **db,
                              struct ab_error *err);
void ab_db_close(struct ab_db **db);
/* Whether locks are waited for from now on. */
void ab_db_patient(struct ab_db *db, bool patient);

/* ---- runs ---- */

struct ab_db_row;

struct ab_db_run {
    int64_t id;           /* from 1, in the order in which runs came to the store */
    char name[128];       /* several runs may share one: the newest is meant */
    char origin[128];     /* "run", or the file that it was imported from */
    char started[32];     /* UTC, as in context.date */
    char finished_at[32]; /* "": it was interrupted, or is under way */
    char revision[64];    /* of git, "+" at its end if dirty; "unknown" */
    char fingerprint[32]; /* ab_fingerprint of the context */
    bool finished;
    int rows;
    json_t *context, *command; /* owned; command: what the run was asked for, a list of words */
};
void ab_db_run_free(struct ab_db_run *run);
void ab_db_runs_free(struct ab_db_run *runs, int count);

/* Letters, digits and . _ - + / @, at most 100, not a sign first: what ab_db_find can tell from
 * anything else. */
enum ab_status ab_db_check_name(const char *name, struct ab_error *err);

/* Begins a run; `context` is that of record.h. A clock that is behind the last run's start does not
 * change the order of runs: this one's start is then that one's. */
enum ab_status ab_db_begin(struct ab_db *db, const char *name, const json_t *context,
                           const json_t *command, int64_t *run, struct ab_error *err);
/* The newest run of that name, to go on with: AB_ERR_ARG if it is finished or there is none, or if
 * its build or fingerprint differs. */
enum ab_status ab_db_resume(struct ab_db *db, const char *name, const json_t *context,
                            struct ab_db_run *run, struct ab_error *err);
/* Waits until everything is on the disk. `context`: as it is at the end. */
enum ab_status ab_db_finish(struct ab_db *db, int64_t run, const json_t *context,
                            struct ab_error *err);
/* A run as it was elsewhere, all of it or nothing: name, origin, started, finished_at, revision
 * ("": those of its context, now) and finished of `run` count. */
enum ab_status ab_db_import(struct ab_db *db, const struct ab_db_run *run,
                            const struct ab_db_row *rows, int count, int64_t *id,
                            struct ab_error *err);
/* With its rows, at once. */
enum ab_status ab_db_remove(struct ab_db *db, int64_t run, struct ab_error *err);

/* "NAME", "NAME~2" (two before the newest of that name), "#12" (an id), or a git revision's first 7
 * letters or more. The error lists what there is. */
enum ab_status ab_db_find(struct ab_db *db, const char *text, struct ab_db_run *run,
                          struct ab_error *err);
enum ab_status ab_db_get(struct ab_db *db, int64_t id, struct ab_db_run *run, struct ab_error *err);
/* All by their start, oldest first; name NULL: any. */
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

/* What a row is compared by: the 10th percentile of its undisturbed samples (of all, where most
 * were disturbed). NaN: no samples, or out of memory. */
double ab_db_low_ns(const double *ns, const bool *disturbed, int count);

/* Every row of every run that has samples: by key, then in the order of the runs. `take` ends it
 * with false, which is AB_ERR_MEMORY. */
enum ab_status ab_db_each_low(struct ab_db *db,
                              bool (*take)(void *user, const char *key, int64_t run, double low_ns),
                              void *user, struct ab_error *err);

/* The key of a record of results.json: kind/model/method/backend/... (kernels: their name and
 * shape). Two rows that measure the same thing have the same key. */
enum { AB_ROW_KEY = 1024 };
void ab_row_key(const json_t *record, char *key, size_t size);

/* Rows of one run with the same key (repetitions, steps of one layer) are told apart by "#2", "#3"
 * behind it. Zeroed at first. */
struct ab_keys {
    char **items;
    int count, room;
};
/* False: out of memory. */
bool ab_keys_next(struct ab_keys *keys, const json_t *record, char *key, size_t size);
void ab_keys_free(struct ab_keys *keys);

/* A record with "samples_ns" (and "disturbed_at": their places; null: not watched) as a row:
 * takes them out of `record`, whose reference it steals. `key`: copied. What is wrong with the
 * samples is an AB_ERR_FORMAT. */
enum ab_status ab_db_row_of(json_t *record, const char *key, struct ab_db_row *row,
                            struct ab_error *err);
/* The reverse: the record with its samples. New reference; NULL: out of memory. */
json_t *ab_db_row_json(const struct ab_db_row *row);

/* ---- noise floors, of `attrbench doctor` ---- */

/* The relative difference that the same program shows between processes: for a class of rows
 * ("kernel", "step", "method", or an operation) on the machine of a fingerprint. */
enum ab_status ab_db_put_floor(struct ab_db *db, const char *fingerprint, const char *class,
                               double share, struct ab_error *err);
/* NaN: not measured. */
double ab_db_floor(struct ab_db *db, const char *fingerprint, const char *class);
/* The floor that fits a row best: of its operation, else of its kind. `apart`: between runs that
 * lie apart in time, which differ by more ("OP apart", "KIND apart", else as if they did not). NaN.
 */
double ab_db_floor_of(struct ab_db *db, const char *fingerprint, const char *op, const char *kind,
                      bool apart);

/* ---- fingerprints ---- */

/* Of what must be equal for times to be comparable: CPU model, microcode, instruction sets, cores,
 * caches, kernel release, compiler and flags, oneDNN, OpenMP settings, governor, denormal mode. 16
 * letters. */
void ab_fingerprint(const json_t *context, char text[32]);
/* The fields that differ, one a line ("cpu.model: A, B"), as far as they fit; false: none do. */
bool ab_fingerprint_differs(const json_t *a, const json_t *b, char *text, size_t size);

#endif
