// SPDX-License-Identifier: Apache-2.0
// A run on its way into the store.
#ifndef AB_SAVE_H
#define AB_SAVE_H

#include "db.h"

/* Zeroed: nothing is saved. */
struct ab_save {
    struct ab_db *db;
    char path[1024];
    int64_t run;
    char name[128];
    int rows; /* that are in */
    struct ab_keys keys;
    json_t *pending;       /* [{"key", "record"}]: could not be put when their time was */
    struct ab_error error; /* why; "": all is well */
};

/* Opens the store, before anything is measured. */
enum ab_status ab_save_open(struct ab_save *save, const char *path, const char *name,
                            struct ab_error *err);
/* Begins a run there. */
enum ab_status ab_save_begin(struct ab_save *save, const json_t *context, const json_t *command,
                             struct ab_error *err);
/* Goes on with that run. */
void ab_save_continue(struct ab_save *save, const struct ab_db_run *run);

/* Puts a record with its samples. What fails is tried again at the end: measuring goes on while the
 * store is locked, or until there is room on the disk. */
void ab_save_row(struct ab_save *save, json_t *record);
/* Puts what is pending; `finished`: nothing more will come. */
enum ab_status ab_save_finish(struct ab_save *save, const json_t *context, bool finished,
                              struct ab_error *err);
/* Takes a run without rows out again. */
void ab_save_discard(struct ab_save *save);
void ab_save_close(struct ab_save *save);

#endif
