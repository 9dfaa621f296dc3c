// SPDX-License-Identifier: Apache-2.0
// The store's file: opening, what it may be instead of a store, transactions, errors in words.
#include "db_inside.h"

#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Samples stay as they were measured: ns is float64 in little-endian order, one for each slice,
 * disturbed one bit for each (bit i & 7 of byte i / 8), NULL if nothing is known. low_ns is derived
 * from them when they are stored, so that a history need not read all samples of all runs. Ids
 * grow and are never used again: they are the order in which runs came. */
static const char schema[] =
    "CREATE TABLE run("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " name TEXT NOT NULL,"
    " origin TEXT NOT NULL,"  /* "run", or the file that it was imported from */
    " started TEXT NOT NULL," /* UTC; of runs that were measured, never before an earlier one's */
    " finished TEXT,"         /* NULL: was interrupted, or is under way */
    " revision TEXT NOT NULL,"
    " fingerprint TEXT NOT NULL,"
    " command TEXT NOT NULL," /* JSON: what the run was asked for */
    " context TEXT NOT NULL) STRICT;"
    "CREATE INDEX run_of_name ON run(name, id);"
    "CREATE TABLE row("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,"
    " key TEXT NOT NULL,"
    " record TEXT NOT NULL," /* JSON, without samples_ns */
    " ns BLOB NOT NULL,"
    " disturbed BLOB,"
    " calls INTEGER NOT NULL,"
    " hash INTEGER NOT NULL," /* of key, record, ns and disturbed: SQLite itself has no checksums */
    " low_ns REAL,"           /* the 10th percentile of undisturbed samples; NULL: none */
    " UNIQUE(run, key)) STRICT;"
    "CREATE INDEX row_of_key ON row(key, run);"
    "CREATE TABLE floor("
    " fingerprint TEXT NOT NULL,"
    " class TEXT NOT NULL,"
    " share REAL NOT NULL,"
    " measured TEXT NOT NULL,"
    " PRIMARY KEY(fingerprint, class)) STRICT, WITHOUT ROWID;";

static const double DEFAULT_WAIT = 10;

const char *ab_db_default(void)
{
    const char *path = getenv("ATTRBENCH_DB");
    return path && *path ? path : "attrbench.db";
}

/* ---- errors ---- */

static enum ab_status fail_writing(const struct ab_db *db, struct ab_error *err)
{
    const int number = sqlite3_system_errno(db->handle);
    return ab_fail(err, AB_ERR_IO,
                   "%s: cannot be written: %s; make room, or name another file with --db", db->path,
                   number ? strerror(number) : "no space left on the device");
}

enum ab_status ab_db_fail(const struct ab_db *db, struct ab_error *err)
{
    const char *path = db->path;
    switch (sqlite3_errcode(db->handle) & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return ab_fail(err, AB_ERR_IO,
                       "%s: another process has kept it locked for %g s; wait for that to end, or "
                       "name another file with --db",
                       path, db->wait_ms / 1000.0);
    case SQLITE_READONLY:
        return ab_fail(err, AB_ERR_IO,
                       "%s: read-only; let it and its folder be written, or name another file "
                       "with --db",
                       path);
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
        return ab_fail(err, AB_ERR_IO,
                       "%s: cannot be opened, or the files beside it (-wal, -shm) cannot be made: "
                       "%s; name another file with --db",
                       path, strerror(sqlite3_system_errno(db->handle)));
    case SQLITE_FULL:
    case SQLITE_IOERR: return fail_writing(db, err);
    case SQLITE_NOTADB:
        return ab_fail(err, AB_ERR_FORMAT, "%s: no SQLite database; name another file with --db",
                       path);
    case SQLITE_CORRUPT:
        return ab_fail(err, AB_ERR_FORMAT,
                       "%s: damaged; restore a copy, or save what can be read: sqlite3 '%s' "
                       ".recover | sqlite3 NEW",
                       path, path);
    case SQLITE_NOMEM: return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
    case SQLITE_TOOBIG:
        return ab_fail(err, AB_ERR_IO, "%s: a row is too large; take fewer samples", path);
    default:
        return ab_fail(err, AB_ERR_FORMAT, "%s: damaged, or not as attrbench makes it: %s", path,
                       sqlite3_errmsg(db->handle));
    }
}

enum ab_status ab_db_exec(struct ab_db *db, const char *sql, struct ab_error *err)
{
    return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? AB_OK
                                                                        : ab_db_fail(db, err);
}

enum ab_status ab_db_prepare(struct ab_db *db, const char *sql, sqlite3_stmt **s,
                             struct ab_error *err)
{
    *s = NULL;
    return sqlite3_prepare_v2(db->handle, sql, -1, s, NULL) == SQLITE_OK ? AB_OK
                                                                         : ab_db_fail(db, err);
}

enum ab_status ab_db_step(struct ab_db *db, sqlite3_stmt *s, bool *more, struct ab_error *err)
{
    const int rc = sqlite3_step(s);
    if (more) *more = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? AB_OK : ab_db_fail(db, err);
}

enum ab_status ab_db_start(struct ab_db *db, struct ab_error *err)
{
    return ab_db_exec(db, "BEGIN IMMEDIATE", err);
}

enum ab_status ab_db_end(struct ab_db *db, enum ab_status status, struct ab_error *err)
{
    if (status == AB_OK) status = ab_db_exec(db, "COMMIT", err);
    if (status != AB_OK) sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

void ab_db_text(sqlite3_stmt *s, int column, char *text, size_t size)
{
    const char *value = (const char *)sqlite3_column_text(s, column);
    snprintf(text, size, "%s", value ? value : "");
}

bool ab_db_bind_json(sqlite3_stmt *s, int parameter, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
    return text && sqlite3_bind_text(s, parameter, text, -1, free) == SQLITE_OK;
}

/* ---- opening ---- */

/* A number that a PRAGMA or a SELECT returns. */
static enum ab_status number(struct ab_db *db, const char *sql, int64_t *value,
                             struct ab_error *err)
{
    sqlite3_stmt *s;
    bool more = false;
    enum ab_status status = ab_db_prepare(db, sql, &s, err);
    if (status == AB_OK) status = ab_db_step(db, s, &more, err);
    *value = more ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_finalize(s);
    return status;
}

/* *empty: nobody has put anything into it yet. */
static enum ab_status judge(const struct ab_db *db, int64_t application, int64_t version,
                            int64_t objects, bool *empty, struct ab_error *err)
{
    *empty = !application && !version && !objects;
    if (*empty) return AB_OK;
    if (application != AB_DB_APPLICATION)
        return ab_fail(err, AB_ERR_FORMAT,
                       "%s: a database of another program; name another file with --db", db->path);
    if (version > AB_DB_SCHEMA)
        return ab_fail(err, AB_ERR_FORMAT,
                       "%s: made by a newer attrbench (schema %d, this one knows %d); use that "
                       "one, or name another file with --db",
                       db->path, (int)version, AB_DB_SCHEMA);
    if (version < 1)
        return ab_fail(err, AB_ERR_FORMAT, "%s: damaged: schema %d; restore a copy", db->path,
                       (int)version);
    return AB_OK;
}

/* Whose file it is. One transaction reads all that tells, since another process may be making the
 * file at this moment. */
static enum ab_status identify(struct ab_db *db, bool *empty, struct ab_error *err)
{
    int64_t application, version, objects;
    const bool alone = sqlite3_get_autocommit(db->handle);
    enum ab_status status = alone ? ab_db_exec(db, "BEGIN", err) : AB_OK;
    if (status == AB_OK) status = number(db, "PRAGMA application_id", &application, err);
    if (status == AB_OK) status = number(db, "PRAGMA user_version", &version, err);
    if (status == AB_OK) status = number(db, "SELECT count(*) FROM sqlite_master", &objects, err);
    if (status == AB_OK) status = judge(db, application, version, objects, empty, err);
    const int code = sqlite3_errcode(db->handle);
    if (alone) sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    db->code = status == AB_OK ? SQLITE_OK : code;
    return status;
}

/* The file of the log, "" if there is none or nothing in it. */
static const char *log_of(const struct ab_db *db)
{
    struct stat info;
    const char *main = sqlite3_db_filename(db->handle, "main");
    const char *log = main && *main ? sqlite3_filename_wal(main) : "";
    return *log && stat(log, &info) == 0 && info.st_size > 0 ? log : "";
}

/* SQLite itself notices missing pages when it comes to read them. As long as there is a log, pages
 * may be there alone; when it has gone, they are in the file. */
static enum ab_status check_size(struct ab_db *db, struct ab_error *err)
{
    struct stat file;
    int64_t pages, page;
    enum ab_status status = number(db, "PRAGMA page_size", &page, err);
    if (status == AB_OK) status = number(db, "PRAGMA page_count", &pages, err);
    if (status != AB_OK || *log_of(db) || stat(db->path, &file) != 0 ||
        file.st_size >= pages * page)
        return status;
    return ab_fail(err, AB_ERR_FORMAT,
                   "%s: damaged: %lld of its %lld bytes are there; restore a copy, or save what "
                   "can be read: sqlite3 '%s' .recover | sqlite3 NEW",
                   db->path, (long long)file.st_size, (long long)(pages * page), db->path);
}

static enum ab_status create(struct ab_db *db, struct ab_error *err)
{
    char marks[96];
    bool empty = false;
    enum ab_status status = ab_db_start(db, err);
    if (status != AB_OK) return status;
    status = identify(db, &empty, err); /* another process may have been faster */
    if (status == AB_OK && empty) {
        snprintf(marks, sizeof marks, "PRAGMA application_id=%d; PRAGMA user_version=%d;",
                 AB_DB_APPLICATION, AB_DB_SCHEMA);
        status = ab_db_exec(db, schema, err);
        if (status == AB_OK) status = ab_db_exec(db, marks, err);
    }
    return ab_db_end(db, status, err);
}

/* Turning the log on needs the file for oneself for a moment, and SQLite does not wait for that as
 * it does for other locks. */
static enum ab_status turn_log_on(struct ab_db *db, struct ab_error *err)
{
    char mode[16] = "";
    for (int waited = 0;; waited += 10) {
        sqlite3_stmt *s = NULL;
        int rc = sqlite3_prepare_v2(db->handle, "PRAGMA journal_mode=WAL", -1, &s, NULL);
        if (rc == SQLITE_OK) rc = sqlite3_step(s);
        if (rc == SQLITE_ROW) ab_db_text(s, 0, mode, sizeof mode);
        sqlite3_finalize(s);
        if (rc == SQLITE_ROW) break;
        if ((rc & 0xff) != SQLITE_BUSY || waited >= db->wait_ms) return ab_db_fail(db, err);
        sqlite3_sleep(10);
    }
    if (!strcmp(mode, "wal")) return AB_OK;
    return ab_fail(err, AB_ERR_IO,
                   "%s: this file system cannot hold a database that several processes write (a "
                   "network drive?); name a local file with --db",
                   db->path);
}

/* NORMAL: a commit writes the log and does not wait for the disk. A process that is killed loses
 * nothing by that (what was written is in the kernel's hands), a machine that loses power at most
 * the last rows, never the file; --resume measures those again. FULL would have the disk busy
 * after each row, while the next one is timed. ab_db_finish does wait for the disk. */
static enum ab_status prepare_writing(struct ab_db *db, struct ab_error *err)
{
    if (sqlite3_db_readonly(db->handle, "main") == 1)
        return ab_fail(err, AB_ERR_IO,
                       "%s: read-only; let it be written, or name another file with --db",
                       db->path);
    enum ab_status status = turn_log_on(db, err);
    if (status == AB_OK)
        status = ab_db_exec(db, "PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON", err);
    return status;
}

/* SQLite takes files of a few bytes for empty ones and would write over them. */
static enum ab_status check_head(const char *path, struct ab_error *err)
{
    static const char magic[] = "SQLite format 3"; /* with its 0 */
    char head[512] = "";
    FILE *f = fopen(path, "rb");
    if (!f)
        return ab_fail(err, AB_ERR_IO, "%s: %s; let it be read, or name another file with --db",
                       path, strerror(errno));
    const size_t got = fread(head, 1, sizeof head, f);
    fclose(f);
    if (got < sizeof magic || memcmp(head, magic, sizeof magic) != 0)
        return ab_fail(err, AB_ERR_FORMAT, "%s: no SQLite database; name another file with --db",
                       path);
    if (got < sizeof head)
        return ab_fail(err, AB_ERR_FORMAT, "%s: damaged: %zu bytes are left of it; restore a copy",
                       path, got);
    return AB_OK;
}

static enum ab_status check_path(const char *path, enum ab_db_mode mode, struct ab_error *err)
{
    struct stat info;
    if (!*path || strlen(path) > sizeof((struct ab_db *)0)->path - 16)
        return ab_fail(err, AB_ERR_ARG, "--db: give the name of a file, of at most 1000 letters");
    if (stat(path, &info) != 0) {
        if (mode == AB_DB_WRITE && errno == ENOENT) return AB_OK;
        return ab_fail(err, AB_ERR_IO,
                       "%s: %s; 'attrbench run --save NAME' makes it, --db or $ATTRBENCH_DB say "
                       "where it is",
                       path, strerror(errno));
    }
    if (!S_ISREG(info.st_mode))
        return ab_fail(err, AB_ERR_IO, "%s: not a file; name another one with --db", path);
    return info.st_size ? check_head(path, err) : AB_OK;
}

static enum ab_status read_wait(int *ms, struct ab_error *err)
{
    const char *text = getenv("ATTRBENCH_DB_WAIT");
    double seconds = DEFAULT_WAIT;
    if (text && *text && (!ab_parse_seconds(text, &seconds) || seconds > 3600))
        return ab_fail(err, AB_ERR_ARG,
                       "ATTRBENCH_DB_WAIT=%.40s: give a duration of at most an hour, such as 500ms "
                       "or 30s",
                       text);
    *ms = (int)(1000 * seconds);
    return AB_OK;
}

/* As a URI that says: nobody changes the file. */
static bool immutable_uri(const char *path, char *uri, size_t size)
{
    size_t used = (size_t)snprintf(uri, size, "file:");
    for (; *path; path++) {
        if (used + 32 > size) return false;
        const bool plain = *path != '%' && *path != '?' && *path != '#';
        used += (size_t)snprintf(uri + used, size - used, plain ? "%c" : "%%%02X",
                                 (unsigned char)*path);
    }
    snprintf(uri + used, size - used, "?immutable=1");
    return true;
}

static enum ab_status connect(struct ab_db *db, const char *name, int flags, struct ab_error *err)
{
    if (sqlite3_open_v2(name, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return db->handle ? ab_db_fail(db, err)
                          : ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", db->path);
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, db->wait_ms);
    return AB_OK;
}

/* Readers keep a shared index of the log beside the file. Where they cannot make it and there is no
 * log, the file is all, and nobody can write it either. */
static enum ab_status connect_reading(struct ab_db *db, const char *name, bool *empty,
                                      struct ab_error *err)
{
    char uri[4096];
    enum ab_status status = connect(db, name, SQLITE_OPEN_READWRITE, err);
    if (status == AB_OK) status = identify(db, empty, err);
    const int code = db->code & 0xff;
    if (status == AB_OK || (code != SQLITE_CANTOPEN && code != SQLITE_READONLY)) return status;
    if (*log_of(db))
        return ab_fail(err, AB_ERR_IO,
                       "%s: its newest rows are in %s, which only a process that may write here "
                       "can read; copy both to another folder",
                       db->path, log_of(db));
    if (!immutable_uri(name, uri, sizeof uri)) return status;
    sqlite3_close_v2(db->handle);
    db->handle = NULL;
    status = connect(db, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err);
    return status == AB_OK ? identify(db, empty, err) : status;
}

static enum ab_status open_file(struct ab_db *db, const char *path, enum ab_db_mode mode,
                                struct ab_error *err)
{
    char name[sizeof db->path + 8];
    bool empty = false;
    /* ":memory:" and "file:x" are names of files here, as any others. */
    const bool special = *path == ':' || !strncmp(path, "file:", 5);
    snprintf(name, sizeof name, "%s%s", special ? "./" : "", path);
    snprintf(db->path, sizeof db->path, "%s", path);
    enum ab_status status = read_wait(&db->wait_ms, err);
    if (status == AB_OK) status = check_path(path, mode, err);
    if (status != AB_OK) return status;
    if (mode == AB_DB_READ) {
        status = connect_reading(db, name, &empty, err);
        if (status == AB_OK && empty)
            status = ab_fail(err, AB_ERR_FORMAT,
                             "%s: empty; 'attrbench run --save NAME' puts runs into it", path);
        if (status == AB_OK) status = ab_db_exec(db, "PRAGMA query_only=1", err);
        return status == AB_OK ? check_size(db, err) : status;
    }
    status = connect(db, name, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
    if (status == AB_OK) status = identify(db, &empty, err);
    if (status == AB_OK && !empty) status = check_size(db, err);
    if (status == AB_OK) status = prepare_writing(db, err);
    return status == AB_OK && empty ? create(db, err) : status;
}

enum ab_status ab_db_open(const char *path, enum ab_db_mode mode, struct ab_db **db,
                          struct ab_error *err)
{
    *db = calloc(1, sizeof **db);
    if (!*db) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
    const enum ab_status status = open_file(*db, path, mode, err);
    if (status != AB_OK) ab_db_close(db);
    return status;
}

enum ab_status ab_db_open_run(const char *path, const char *name, struct ab_db **db,
                              struct ab_error *err)
{
    *db = NULL;
    if (access(path, F_OK) == 0 || errno != ENOENT) return ab_db_open(path, AB_DB_READ, db, err);
    return ab_fail(err, AB_ERR_ARG,
                   "'%.200s': no such file or run: there is no store %.300s; 'attrbench run --save "
                   "NAME' makes one, --db names another",
                   name, path);
}

void ab_db_patient(struct ab_db *db, bool patient)
{
    sqlite3_busy_timeout(db->handle, patient ? db->wait_ms : 0);
}

void ab_db_close(struct ab_db **db)
{
    if (*db) sqlite3_close_v2((*db)->handle);
    free(*db);
    *db = NULL;
}
