// SPDX-License-Identifier: Apache-2.0
// The store's rows and noise floors.
#include "db_inside.h"

#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Samples are stored as this machine holds them. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "samples are stored in little-endian");

void ab_db_row_free(struct ab_db_row *row)
{
    free(row->key);
    json_decref(row->record);
    free(row->ns);
    free(row->disturbed);
    *row = (struct ab_db_row){0};
}

void ab_db_rows_free(struct ab_db_row *rows, int count)
{
    for (int i = 0; i < count; i++) ab_db_row_free(&rows[i]);
    free(rows);
}

/* ---- samples ---- */

double ab_db_low_ns(const double *ns, const bool *disturbed, int count)
{
    double *kept = malloc((size_t)(count ? count : 1) * sizeof *kept), low = (double)NAN;
    int n = 0;
    for (int i = 0; kept && i < count; i++)
        if (!disturbed || !disturbed[i]) kept[n++] = ns[i];
    /* Where most were disturbed, the few others are no better. */
    if (kept && count && n <= count / 2) memcpy(kept, ns, (size_t)count * sizeof *ns), n = count;
    if (kept && n) {
        ab_sort(kept, (size_t)n);
        low = ab_quantile(kept, n, 0.1);
    }
    free(kept);
    return low;
}

/* What is read back must be what was put: key, record, ns, disturbed. */
static int64_t hash_of(const void *const *data, const size_t *bytes)
{
    uint64_t hash = 0;
    for (int i = 0; i < 4; i++) {
        hash = ab_hash(hash, &bytes[i], sizeof bytes[i]);
        if (bytes[i]) hash = ab_hash(hash, data[i], bytes[i]);
    }
    return (int64_t)hash;
}

/* One bit for each sample; free() it. *bytes 0: nothing is known of them. */
static unsigned char *bits_of(const struct ab_db_row *row, size_t *bytes)
{
    unsigned char *bits = calloc((size_t)row->count / 8 + 1, 1);
    *bytes = row->disturbed ? ((size_t)row->count + 7) / 8 : 0;
    for (int i = 0; bits && row->disturbed && i < row->count; i++)
        if (row->disturbed[i]) bits[i / 8] = (unsigned char)(bits[i / 8] | 1u << (i & 7));
    return bits;
}

static enum ab_status read_samples(struct ab_db *db, sqlite3_stmt *s, struct ab_db_row *row,
                                   struct ab_error *err)
{
    const void *ns = sqlite3_column_blob(s, 2), *bits = sqlite3_column_blob(s, 3);
    const size_t bytes = (size_t)sqlite3_column_bytes(s, 2), count = bytes / sizeof *row->ns;
    const bool marked = sqlite3_column_type(s, 3) != SQLITE_NULL;
    if (bytes % sizeof *row->ns ||
        (marked && (size_t)sqlite3_column_bytes(s, 3) != (count + 7) / 8))
        return ab_fail(err, AB_ERR_FORMAT, "%s: row %.200s: damaged: its samples are cut", db->path,
                       row->key);
    row->count = (int)count;
    row->ns = malloc(bytes + 1);
    row->disturbed = marked ? calloc(count + 1, sizeof *row->disturbed) : NULL;
    if (!row->ns || (marked && !row->disturbed))
        return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for samples", db->path);
    if (bytes) memcpy(row->ns, ns, bytes);
    for (size_t i = 0; marked && i < count; i++)
        row->disturbed[i] = ((const unsigned char *)bits)[i / 8] >> (i & 7) & 1;
    return AB_OK;
}

/* ---- rows ---- */

static const char insert[] =
    "INSERT OR REPLACE INTO row(run, key, record, ns, disturbed, calls, hash, low_ns)"
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

enum ab_status ab_db_put(struct ab_db *db, int64_t run, const struct ab_db_row *row,
                         struct ab_error *err)
{
    sqlite3_stmt *s;
    const double low = ab_db_low_ns(row->ns, row->disturbed, row->count);
    size_t n_bits;
    unsigned char *bits = bits_of(row, &n_bits);
    char *record = json_dumps(row->record, JSON_COMPACT | JSON_PRESERVE_ORDER);
    enum ab_status status = ab_db_prepare(db, insert, &s, err);
    if (status == AB_OK && (!bits || !record || !row->key))
        status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for a row", db->path);
    if (status == AB_OK) {
        const void *const data[] = {row->key, record, row->count ? (void *)row->ns : "", bits};
        const size_t bytes[] = {strlen(row->key), strlen(record),
                                (size_t)row->count * sizeof *row->ns, n_bits};
        sqlite3_bind_int64(s, 1, run);
        sqlite3_bind_text(s, 2, data[0], (int)bytes[0], SQLITE_STATIC);
        sqlite3_bind_text(s, 3, data[1], (int)bytes[1], SQLITE_STATIC);
        sqlite3_bind_blob64(s, 4, data[2], bytes[2], SQLITE_STATIC);
        if (row->disturbed) sqlite3_bind_blob64(s, 5, bits, n_bits, SQLITE_STATIC);
        sqlite3_bind_int(s, 6, row->calls);
        sqlite3_bind_int64(s, 7, hash_of(data, bytes));
        if (isfinite(low)) sqlite3_bind_double(s, 8, low);
        status = ab_db_step(db, s, NULL, err);
    }
    sqlite3_finalize(s);
    free(record);
    free(bits);
    return status;
}

bool ab_db_has(struct ab_db *db, int64_t run, const char *key)
{
    sqlite3_stmt *s;
    bool found = false;
    if (ab_db_prepare(db, "SELECT 1 FROM row WHERE run = ?1 AND key = ?2", &s, NULL) != AB_OK)
        return false;
    sqlite3_bind_int64(s, 1, run);
    sqlite3_bind_text(s, 2, key, -1, SQLITE_STATIC);
    const enum ab_status status = ab_db_step(db, s, &found, NULL);
    sqlite3_finalize(s);
    return status == AB_OK && found;
}

static enum ab_status read_row(struct ab_db *db, sqlite3_stmt *s, struct ab_db_row *row,
                               struct ab_error *err)
{
    const void *data[4];
    size_t bytes[4];
    for (int i = 0; i < 4; i++) {
        data[i] = sqlite3_column_blob(s, i);
        bytes[i] = (size_t)sqlite3_column_bytes(s, i);
    }
    *row = (struct ab_db_row){.key = strndup(data[0] ? data[0] : "", bytes[0]),
                              .calls = sqlite3_column_int(s, 4)};
    if (!row->key) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for rows", db->path);
    if (hash_of(data, bytes) != sqlite3_column_int64(s, 5))
        return ab_fail(err, AB_ERR_FORMAT,
                       "%s: row %.200s: damaged: not what was stored; restore a copy", db->path,
                       row->key);
    row->record = json_loadb(data[1] ? data[1] : "", bytes[1], 0, NULL);
    if (!json_is_object(row->record))
        return ab_fail(err, AB_ERR_FORMAT, "%s: row %.200s: damaged: its record is no JSON",
                       db->path, row->key);
    return read_samples(db, s, row, err);
}

enum ab_status ab_db_rows(struct ab_db *db, int64_t run, struct ab_db_row **rows, int *count,
                          struct ab_error *err)
{
    sqlite3_stmt *s;
    bool more = false;
    *rows = NULL;
    *count = 0;
    enum ab_status status = ab_db_prepare(
        db, "SELECT key, record, ns, disturbed, calls, hash FROM row WHERE run = ?1 ORDER BY id",
        &s, err);
    if (s) sqlite3_bind_int64(s, 1, run);
    while (status == AB_OK && (status = ab_db_step(db, s, &more, err)) == AB_OK && more) {
        struct ab_db_row *grown = realloc(*rows, ((size_t)*count + 1) * sizeof *grown);
        if (!grown) status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for rows", db->path);
        if (!grown) break;
        *rows = grown;
        status = read_row(db, s, &grown[(*count)++], err);
    }
    sqlite3_finalize(s);
    if (status == AB_OK) return AB_OK;
    ab_db_rows_free(*rows, *count);
    *rows = NULL;
    *count = 0;
    return status;
}

enum ab_status ab_db_each_low(struct ab_db *db,
                              bool (*take)(void *user, const char *key, int64_t run, double low_ns),
                              void *user, struct ab_error *err)
{
    sqlite3_stmt *s;
    bool more = false;
    enum ab_status status =
        ab_db_prepare(db,
                      "SELECT key, run.id, low_ns FROM row JOIN run ON run.id = row.run"
                      " WHERE low_ns IS NOT NULL ORDER BY key, started, run.id",
                      &s, err);
    while (status == AB_OK && (status = ab_db_step(db, s, &more, err)) == AB_OK && more) {
        const char *key = (const char *)sqlite3_column_text(s, 0);
        if (!take(user, key ? key : "", sqlite3_column_int64(s, 1), sqlite3_column_double(s, 2)))
            status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for rows", db->path);
    }
    sqlite3_finalize(s);
    return status;
}

/* ---- noise floors ---- */

enum ab_status ab_db_put_floor(struct ab_db *db, const char *fingerprint, const char *class,
                               double share, struct ab_error *err)
{
    sqlite3_stmt *s;
    if (!isfinite(share) || share < 0)
        return ab_fail(err, AB_ERR_ARG, "%s: a noise floor of %g is none", class, share);
    enum ab_status status =
        ab_db_prepare(db,
                      "INSERT OR REPLACE INTO floor(fingerprint, class, share, measured)"
                      " VALUES(?1, ?2, ?3, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
                      &s, err);
    if (status != AB_OK) return status;
    sqlite3_bind_text(s, 1, fingerprint, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, class, -1, SQLITE_STATIC);
    sqlite3_bind_double(s, 3, share);
    status = ab_db_step(db, s, NULL, err);
    sqlite3_finalize(s);
    return status;
}

double ab_db_floor(struct ab_db *db, const char *fingerprint, const char *class)
{
    sqlite3_stmt *s;
    bool found = false;
    double share = (double)NAN;
    if (ab_db_prepare(db, "SELECT share FROM floor WHERE fingerprint = ?1 AND class = ?2", &s,
                      NULL) != AB_OK)
        return share;
    sqlite3_bind_text(s, 1, fingerprint, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, class, -1, SQLITE_STATIC);
    if (ab_db_step(db, s, &found, NULL) == AB_OK && found) share = sqlite3_column_double(s, 0);
    sqlite3_finalize(s);
    return share;
}

double ab_db_floor_of(struct ab_db *db, const char *fingerprint, const char *op, const char *kind,
                      bool apart)
{
    const char *const names[] = {op, kind};
    double share = (double)NAN;
    for (int i = apart ? 0 : 2; i < 4 && isnan(share); i++) {
        char class[128];
        snprintf(class, sizeof class, "%s%s", names[i % 2], i < 2 ? " apart" : "");
        share = ab_db_floor(db, fingerprint, class);
    }
    return share;
}
