// SPDX-License-Identifier: Apache-2.0
// Keys: which rows of two runs measure the same thing.
#include "db.h"

#include <stdlib.h>
#include <string.h>

/* A key grows by parts between slashes. */
struct key {
    char *text;
    size_t size, used;
};

static void add(struct key *k, const char *before, const char *part)
{
    if (!part || !*part || k->used + 1 >= k->size) return;
    const int length =
        snprintf(k->text + k->used, k->size - k->used, "%s%s%s", k->used ? "/" : "", before, part);
    k->used += (size_t)length;
    if (k->used >= k->size) k->used = k->size - 1;
}

static const char *text(const json_t *record, const char *field)
{
    const char *value = json_string_value(json_object_get(record, field));
    return value ? value : "";
}

static void add_text(struct key *k, const json_t *record, const char *field)
{
    add(k, "", text(record, field));
}

static void add_count(struct key *k, const char *before, const json_t *record, const char *field)
{
    char number[32];
    snprintf(number, sizeof number, "%lld",
             (long long)json_integer_value(json_object_get(record, field)));
    add(k, before, number);
}

/* What is usual goes without saying: keys of all records that say nothing are equal. */
static void add_unusual(struct key *k, const char *before, const json_t *record, const char *field,
                        const char *usual)
{
    if (strcmp(text(record, field), usual) != 0) add(k, before, text(record, field));
}

/* The name of what was timed, not of all that it uses. */
static void add_kernel(struct key *k, const json_t *record)
{
    add(k, "", json_string_value(json_array_get(json_object_get(record, "kernels"), 0)));
    if (!strcmp(text(record, "backend"), "onednn")) add(k, "isa=", text(record, "onednn_isa"));
}

static void add_plan(struct key *k, const json_t *record)
{
    add_text(k, record, "model");
    /* "11 methods" is no name: which they are is. */
    const char *methods = text(record, "methods");
    if (*methods) {
        char hash[24];
        snprintf(hash, sizeof hash, "%016llx",
                 (unsigned long long)ab_hash(0, methods, strlen(methods)));
        add(k, "methods=", hash);
    } else {
        add_text(k, record, "method");
    }
    add_text(k, record, "backend");
    add_count(k, "threads:", record, "threads");
    add_count(k, "batch:", record, "batch");
    add_unusual(k, "target=", record, "target", "top");
    add_unusual(k, "at=", record, "at", "");
    add_unusual(k, "algo=", record, "algo", "auto");
    add_unusual(k, "memory=", record, "memory", "fast");
}

void ab_row_key(const json_t *record, char *key, size_t size)
{
    struct key k = {key, size, 0};
    const char *kind = text(record, "kind");
    if (size) *key = '\0';
    add(&k, "", *kind ? kind : "row");
    if (!strcmp(kind, "kernel")) {
        add_text(&k, record, "op");
        add_text(&k, record, "shape");
        add_text(&k, record, "backend");
        add_kernel(&k, record);
    } else if (*text(record, "name")) {
        add_text(&k, record, "name"); /* rows of other programs bring theirs */
    } else {
        add_plan(&k, record);
        if (!strcmp(kind, "step")) {
            add_text(&k, record, "layer");
            add_text(&k, record, "op");
            add_text(&k, record, "shape");
        } else {
            add_unusual(&k, "shape=", record, "shape", "");
        }
    }
    add_unusual(&k, "cache=", record, "cache", "hot");
    add_unusual(&k, "denormals=", record, "denormals", "keep");
    add_unusual(&k, "pages=", record, "pages", "huge");
}

/* ---- keys of one run: each is there once ---- */

void ab_keys_free(struct ab_keys *keys)
{
    for (int i = 0; i < keys->count; i++) free(keys->items[i]);
    free(keys->items);
    *keys = (struct ab_keys){0};
}

static bool has(const struct ab_keys *keys, const char *key)
{
    for (int i = 0; i < keys->count; i++)
        if (!strcmp(keys->items[i], key)) return true;
    return false;
}

bool ab_keys_next(struct ab_keys *keys, const json_t *record, char *key, size_t size)
{
    const char *own = text(record, "key"); /* cases of workers and exports bring theirs */
    if (*own)
        snprintf(key, size > 16 ? size - 16 : 0, "%s", own);
    else
        ab_row_key(record, key, size > 16 ? size - 16 : 0);
    const size_t length = strlen(key);
    for (int again = 2; has(keys, key); again++)
        snprintf(key + length, size - length, "#%d", again);
    if (keys->count == keys->room) {
        const int room = keys->room ? 2 * keys->room : 64;
        char **grown = realloc(keys->items, (size_t)room * sizeof *grown);
        if (!grown) return false;
        keys->items = grown;
        keys->room = room;
    }
    keys->items[keys->count] = strdup(key);
    return keys->items[keys->count++] != NULL;
}

/* ---- records and rows ---- */

static enum ab_status read_times(const json_t *list, struct ab_db_row *row, struct ab_error *err)
{
    const size_t count = json_array_size(list);
    row->ns = malloc((count + 1) * sizeof *row->ns);
    if (!row->ns) return ab_fail(err, AB_ERR_MEMORY, "out of memory for samples");
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        row->ns[i] = json_number_value(value);
        if (!json_is_number(value) || !(row->ns[i] > 0))
            return ab_fail(err, AB_ERR_FORMAT, "samples_ns[%zu] is no time above 0", i);
    }
    row->count = (int)count;
    return AB_OK;
}

static enum ab_status read_marks(const json_t *list, struct ab_db_row *row, struct ab_error *err)
{
    row->disturbed = calloc((size_t)row->count + 1, sizeof *row->disturbed);
    if (!row->disturbed) return ab_fail(err, AB_ERR_MEMORY, "out of memory for samples");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        const long long at = json_integer_value(value);
        if (!json_is_integer(value) || at < 0 || at >= row->count)
            return ab_fail(err, AB_ERR_FORMAT, "disturbed_at[%zu] is no index of a sample", i);
        row->disturbed[at] = true;
    }
    return AB_OK;
}

enum ab_status ab_db_row_of(json_t *record, const char *key, struct ab_db_row *row,
                            struct ab_error *err)
{
    enum ab_status status = AB_OK;
    const json_t *times = json_object_get(record, "samples_ns"),
                 *marks = json_object_get(record, "disturbed_at");
    const bool marked = marks && !json_is_null(marks); /* null: the samples were not watched */
    *row = (struct ab_db_row){.key = strdup(key), .record = record};
    const long long calls = json_integer_value(json_object_get(record, "calls_per_slice"));
    row->calls = calls > 0 && calls < 1000000000 ? (int)calls : 1;
    if (!row->key) status = ab_fail(err, AB_ERR_MEMORY, "out of memory for rows");
    if (status == AB_OK && times && !json_is_array(times))
        status = ab_fail(err, AB_ERR_FORMAT, "samples_ns is no list");
    if (status == AB_OK) status = read_times(times, row, err);
    if (status == AB_OK && marked && !json_is_array(marks))
        status = ab_fail(err, AB_ERR_FORMAT, "disturbed_at is no list");
    if (status == AB_OK && marked) status = read_marks(marks, row, err);
    json_object_del(record, "samples_ns");
    if (marked) json_object_del(record, "disturbed_at");
    if (status != AB_OK) ab_db_row_free(row);
    return status;
}

json_t *ab_db_row_json(const struct ab_db_row *row)
{
    json_t *record = json_copy(row->record), *times = json_array(),
           *marks = row->disturbed ? json_array() : NULL;
    bool good = record && times && (marks || !row->disturbed);
    for (int i = 0; good && i < row->count; i++) {
        good = json_array_append_new(times, json_real(row->ns[i])) == 0;
        if (good && marks && row->disturbed[i])
            good = json_array_append_new(marks, json_integer(i)) == 0;
    }
    good = good && json_object_set(record, "samples_ns", times) == 0 &&
           (!marks || json_object_set(record, "disturbed_at", marks) == 0);
    json_decref(times);
    json_decref(marks);
    if (good) return record;
    json_decref(record);
    return NULL;
}
