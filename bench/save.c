// SPDX-License-Identifier: Apache-2.0
// A run on its way into the store.
#include "save.h"

#include <string.h>

enum ab_status ab_save_open(struct ab_save *save, const char *path, const char *name,
                            struct ab_error *err)
{
    snprintf(save->path, sizeof save->path, "%s", path);
    snprintf(save->name, sizeof save->name, "%s", name);
    save->pending = json_array();
    if (!save->pending) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
    return ab_db_open(path, AB_DB_WRITE, &save->db, err);
}

enum ab_status ab_save_begin(struct ab_save *save, const json_t *context, const json_t *command,
                             struct ab_error *err)
{
    return ab_db_begin(save->db, save->name, context, command, &save->run, err);
}

void ab_save_continue(struct ab_save *save, const struct ab_db_run *run)
{
    save->run = run->id;
    snprintf(save->name, sizeof save->name, "%s", run->name);
}

static enum ab_status put(struct ab_save *save, const char *key, json_t *record,
                          struct ab_error *err)
{
    struct ab_db_row row;
    json_t *copy = json_copy(record);
    if (!copy) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for a row", save->path);
    enum ab_status status = ab_db_row_of(copy, key, &row, err);
    if (status != AB_OK) return status;
    status = ab_db_put(save->db, save->run, &row, err);
    ab_db_row_free(&row);
    return status;
}

void ab_save_row(struct ab_save *save, json_t *record)
{
    char key[AB_ROW_KEY];
    struct ab_error err;
    if (!ab_keys_next(&save->keys, record, key, sizeof key)) {
        ab_fail(&save->error, AB_ERR_MEMORY, "%s: out of memory for rows", save->path);
        return;
    }
    const bool good = put(save, key, record, &err) == AB_OK;
    /* One wait is enough while somebody keeps a lock: the next rows are being timed. */
    ab_db_patient(save->db, good);
    save->rows += good;
    if (good) return;
    save->error = err;
    json_array_append_new(save->pending, json_pack("{s:s,s:O}", "key", key, "record", record));
}

static enum ab_status put_pending(struct ab_save *save, struct ab_error *err)
{
    size_t done = 0;
    enum ab_status status = AB_OK;
    for (; done < json_array_size(save->pending) && status == AB_OK; done++) {
        const json_t *entry = json_array_get(save->pending, done);
        status = put(save, json_string_value(json_object_get(entry, "key")),
                     json_object_get(entry, "record"), err);
        save->rows += status == AB_OK;
    }
    if (status == AB_OK) json_array_clear(save->pending);
    return status;
}

enum ab_status ab_save_finish(struct ab_save *save, const json_t *context, bool finished,
                              struct ab_error *err)
{
    if (!save->db) return AB_OK;
    ab_db_patient(save->db, true);
    enum ab_status status = put_pending(save, err);
    if (status == AB_OK && finished) status = ab_db_finish(save->db, save->run, context, err);
    if (status == AB_OK) save->error = (struct ab_error){""};
    return status;
}

void ab_save_discard(struct ab_save *save)
{
    if (save->db && save->run) ab_db_remove(save->db, save->run, NULL);
}

void ab_save_close(struct ab_save *save)
{
    ab_db_close(&save->db);
    ab_keys_free(&save->keys);
    json_decref(save->pending);
    *save = (struct ab_save){0};
}
