// SPDX-License-Identifier: Apache-2.0
// The store, inside: what the files db*.c share.
#ifndef AB_DB_INSIDE_H
#define AB_DB_INSIDE_H

#include "db.h"

#include <sqlite3.h>

/* Our mark in the file's header ("ABdb"), and the schema that this program knows. */
enum { AB_DB_APPLICATION = 0x41426462, AB_DB_SCHEMA = 1 };

struct ab_db {
    sqlite3 *handle;
    char path[1024]; /* as it was given, for messages */
    int wait_ms;     /* for locks of others */
    int code;        /* SQLite's, of why the file could not be identified */
};

/* What SQLite last complained of, in words. */
enum ab_status ab_db_fail(const struct ab_db *db, struct ab_error *err);
/* Runs statements that return nothing. */
enum ab_status ab_db_exec(struct ab_db *db, const char *sql, struct ab_error *err);
/* *s: sqlite3_finalize it; NULL on failure. */
enum ab_status ab_db_prepare(struct ab_db *db, const char *sql, sqlite3_stmt **s,
                             struct ab_error *err);
/* *more: a row is there; NULL: none is wanted. */
enum ab_status ab_db_step(struct ab_db *db, sqlite3_stmt *s, bool *more, struct ab_error *err);

/* A transaction that writes, from its start on, so that two of them wait for each other and never
 * deadlock. End it in any case: kept if `status` is AB_OK. */
enum ab_status ab_db_start(struct ab_db *db, struct ab_error *err);
enum ab_status ab_db_end(struct ab_db *db, enum ab_status status, struct ab_error *err);

/* A column's text, "" for NULL, cut to fit. */
void ab_db_text(sqlite3_stmt *s, int column, char *text, size_t size);
bool ab_db_bind_json(sqlite3_stmt *s, int parameter, const json_t *value);

#endif
