// SPDX-License-Identifier: Apache-2.0
// Stores for tests.
#ifndef AB_TESTS_DB_SUPPORT_H
#define AB_TESTS_DB_SUPPORT_H

#include "../bench/db.h"
#include "files.h"

static inline json_t *test_context(void)
{
    return json_pack("{s:i,s:s,s:{s:s},s:{s:s,s:s},s:{s:s}}", "schema", 1, "date",
                     "2026-01-02T03:04:05Z", "cpu", "model", "a CPU", "build", "git_revision",
                     "0123456789ab", "compiler", "cc 1", "system", "kernel", "Linux 6");
}

static inline struct ab_db *open_store(const char *path, enum ab_db_mode mode)
{
    struct ab_error err = {""};
    struct ab_db *db;
    CHECK(ab_db_open(path, mode, &db, &err) == AB_OK, "%s", err.text);
    return db;
}

/* revision NULL: that of test_context */
static inline int64_t begin_run(struct ab_db *db, const char *name, const char *revision)
{
    struct ab_error err;
    int64_t run;
    json_t *context = test_context(), *command = json_pack("[s,s]", "run", "--no-agree");
    if (revision)
        json_object_set_new(json_object_get(context, "build"), "git_revision",
                            json_string(revision));
    CHECK(ab_db_begin(db, name, context, command, &run, &err) == AB_OK, "%s", err.text);
    json_decref(context);
    json_decref(command);
    return run;
}

/* A row of 64 samples, the first of `ns`. */
static inline enum ab_status try_row(struct ab_db *db, int64_t run, const char *key, double ns,
                                     struct ab_error *err)
{
    double samples[64];
    for (int i = 0; i < 64; i++) samples[i] = ns + i;
    struct ab_db_row row = {
        (char *)key, json_pack("{s:s}", "kind", "kernel"), samples, NULL, 64, 1};
    const enum ab_status status = ab_db_put(db, run, &row, err);
    json_decref(row.record);
    return status;
}

static inline void put_row(struct ab_db *db, int64_t run, const char *key, double ns)
{
    struct ab_error err;
    CHECK(try_row(db, run, key, ns, &err) == AB_OK, "%s", err.text);
}

#endif
