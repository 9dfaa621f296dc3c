// SPDX-License-Identifier: Apache-2.0
// The store's runs: begun, gone on with, finished, found.
#include "db_inside.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- reading ---- */

#define COLUMNS                                                                                    \
    "id, name, origin, started, finished, revision, fingerprint, command, context,"                \
    " (SELECT count(*) FROM row WHERE row.run = run.id)"

static json_t *column_json(sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);
    return text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
}

static enum ab_status read_run(struct ab_db *db, sqlite3_stmt *s, struct ab_db_run *run,
                               struct ab_error *err)
{
    *run = (struct ab_db_run){.id = sqlite3_column_int64(s, 0), .rows = sqlite3_column_int(s, 9)};
    ab_db_text(s, 1, run->name, sizeof run->name);
    ab_db_text(s, 2, run->origin, sizeof run->origin);
    ab_db_text(s, 3, run->started, sizeof run->started);
    ab_db_text(s, 4, run->finished_at, sizeof run->finished_at);
    ab_db_text(s, 5, run->revision, sizeof run->revision);
    ab_db_text(s, 6, run->fingerprint, sizeof run->fingerprint);
    run->finished = *run->finished_at;
    run->command = column_json(s, 7);
    run->context = column_json(s, 8);
    if (json_is_object(run->context) && run->command) return AB_OK;
    const long long id = run->id;
    ab_db_run_free(run);
    return ab_fail(err, AB_ERR_FORMAT, "%s: run #%lld: damaged: its context is no JSON", db->path,
                   id);
}

void ab_db_run_free(struct ab_db_run *run)
{
    json_decref(run->context);
    json_decref(run->command);
    *run = (struct ab_db_run){0};
}

void ab_db_runs_free(struct ab_db_run *runs, int count)
{
    for (int i = 0; i < count; i++) ab_db_run_free(&runs[i]);
    free(runs);
}

/* The one run that a statement selects; *found: whether there is one. */
static enum ab_status read_one(struct ab_db *db, sqlite3_stmt *s, struct ab_db_run *run,
                               bool *found, struct ab_error *err)
{
    *run = (struct ab_db_run){0};
    const enum ab_status status = ab_db_step(db, s, found, err);
    return status == AB_OK && *found ? read_run(db, s, run, err) : status;
}

enum ab_status ab_db_get(struct ab_db *db, int64_t id, struct ab_db_run *run, struct ab_error *err)
{
    sqlite3_stmt *s;
    bool found = false;
    enum ab_status status = ab_db_prepare(db, "SELECT " COLUMNS " FROM run WHERE id = ?1", &s, err);
    if (s) sqlite3_bind_int64(s, 1, id);
    if (status == AB_OK) status = read_one(db, s, run, &found, err);
    sqlite3_finalize(s);
    if (status == AB_OK && !found)
        return ab_fail(err, AB_ERR_ARG,
                       "#%lld: %s has no such run; 'attrbench history --runs' lists them",
                       (long long)id, db->path);
    return status;
}

enum ab_status ab_db_runs(struct ab_db *db, const char *name, struct ab_db_run **runs, int *count,
                          struct ab_error *err)
{
    sqlite3_stmt *s;
    bool more = false;
    *runs = NULL;
    *count = 0;
    enum ab_status status = ab_db_prepare(db,
                                          "SELECT " COLUMNS " FROM run"
                                          " WHERE ?1 IS NULL OR name = ?1 ORDER BY started, id",
                                          &s, err);
    if (s && name) sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
    while (status == AB_OK && (status = ab_db_step(db, s, &more, err)) == AB_OK && more) {
        struct ab_db_run *grown = realloc(*runs, ((size_t)*count + 1) * sizeof *grown);
        if (!grown) status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for runs", db->path);
        if (!grown) break;
        *runs = grown;
        status = read_run(db, s, &grown[*count], err);
        *count += status == AB_OK;
    }
    sqlite3_finalize(s);
    if (status == AB_OK) return AB_OK;
    ab_db_runs_free(*runs, *count);
    *runs = NULL;
    *count = 0;
    return status;
}

/* ---- names ---- */

enum { MAX_NAME = 100 };

enum ab_status ab_db_check_name(const char *name, struct ab_error *err)
{
    const size_t length = strlen(name);
    bool good = length > 0 && length <= MAX_NAME && !strchr("-+", name[0]);
    for (const char *c = name; *c; c++)
        good = good && (isalnum((unsigned char)*c) || strchr("._-+/@", *c));
    if (good) return AB_OK;
    return ab_fail(err, AB_ERR_ARG,
                   "'%.40s' cannot be a run's name: letters, digits and . _ - + / @, at most %d, "
                   "not a sign first",
                   name, MAX_NAME);
}

/* Names of the store, each once, the newest first. */
struct names {
    char text[12][128];
    const char *items[12];
    int count;
};

static void read_names(struct ab_db *db, struct names *names)
{
    sqlite3_stmt *s;
    bool more = false;
    *names = (struct names){0};
    if (ab_db_prepare(db, "SELECT name FROM run GROUP BY name ORDER BY max(id) DESC LIMIT 12", &s,
                      NULL) != AB_OK)
        return;
    while (ab_db_step(db, s, &more, NULL) == AB_OK && more) {
        char *text = names->text[names->count];
        ab_db_text(s, 0, text, sizeof names->text[0]);
        names->items[names->count++] = text;
    }
    sqlite3_finalize(s);
}

static enum ab_status none_such(struct ab_db *db, const char *text, struct ab_error *err)
{
    struct names names;
    char list[256] = "";
    read_names(db, &names);
    if (!names.count)
        return ab_fail(err, AB_ERR_ARG, "'%.100s': %s holds no runs yet", text, db->path);
    for (int i = 0; i < names.count; i++) {
        const size_t used = strlen(list);
        if (used + strlen(names.items[i]) + 8 > sizeof list) {
            snprintf(list + used, sizeof list - used, ", ...");
            break;
        }
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names.items[i]);
    }
    const char *near = ab_nearest(text, names.items, names.count);
    return ab_fail(err, AB_ERR_ARG, "%s has no run '%.60s'%s%s%s; its runs: %s", db->path, text,
                   near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "", list);
}

/* ---- finding ---- */

/* The run of `sql`, whose parameters are a text and how many to pass over. */
static enum ab_status select_run(struct ab_db *db, const char *sql, const char *text, long skip,
                                 struct ab_db_run *run, bool *found, struct ab_error *err)
{
    sqlite3_stmt *s;
    *found = false;
    enum ab_status status = ab_db_prepare(db, sql, &s, err);
    if (status != AB_OK) return status;
    sqlite3_bind_text(s, 1, text, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 2, skip);
    status = read_one(db, s, run, found, err);
    sqlite3_finalize(s);
    return status;
}

static const char by_name[] =
    "SELECT " COLUMNS " FROM run WHERE name = ?1 ORDER BY started DESC, id DESC LIMIT 1 OFFSET ?2";
static const char by_revision[] =
    "SELECT " COLUMNS " FROM run WHERE substr(revision, 1, length(?1)) = ?1"
    " ORDER BY started DESC, id DESC LIMIT 1 OFFSET ?2";

static bool is_revision(const char *text)
{
    return strlen(text) >= 7 && strspn(text, "0123456789abcdef") == strcspn(text, "+") &&
           strlen(text) - strcspn(text, "+") <= 1;
}

enum ab_status ab_db_find(struct ab_db *db, const char *text, struct ab_db_run *run,
                          struct ab_error *err)
{
    char name[160], *end;
    long skip = 0;
    bool found = false;
    *run = (struct ab_db_run){0};
    if (*text == '#') {
        const long long id = strtoll(text + 1, &end, 10);
        if (*end || end == text + 1)
            return ab_fail(err, AB_ERR_ARG, "'%.60s': give a run's number, such as #12", text);
        return ab_db_get(db, id, run, err);
    }
    snprintf(name, sizeof name, "%s", text);
    char *tilde = strrchr(name, '~');
    if (tilde) {
        skip = strtol(tilde + 1, &end, 10);
        if (*end || end == tilde + 1 || skip < 0)
            return ab_fail(err, AB_ERR_ARG,
                           "'%.60s': after ~ stands how many runs to go back, such as main~1",
                           text);
        *tilde = '\0';
    }
    enum ab_status status = select_run(db, by_name, name, skip, run, &found, err);
    if (status == AB_OK && !found && is_revision(name))
        status = select_run(db, by_revision, name, skip, run, &found, err);
    if (status != AB_OK || found) return status;
    status = skip ? select_run(db, by_name, name, 0, run, &found, err) : AB_OK;
    ab_db_run_free(run);
    if (status == AB_OK && found)
        return ab_fail(err, AB_ERR_ARG, "'%.60s': %s has not that many runs of '%.60s'", text,
                       db->path, name);
    return status == AB_OK ? none_such(db, text, err) : status;
}

/* ---- writing ---- */

static const char *text_at(const json_t *context, const char *part, const char *key)
{
    const json_t *at = part ? json_object_get(context, part) : context;
    const char *text = json_string_value(json_object_get(at, key));
    return text ? text : "";
}

/* "v1.2-31-g0123456789ab-dirty" of git describe is "0123456789ab+". */
static void revision_of(const json_t *context, char *revision, size_t size)
{
    const char *text = text_at(context, "build", "git_revision");
    const size_t length = strlen(text);
    const bool dirty = length > 6 && !strcmp(text + length - 6, "-dirty");
    const char *hash = strstr(text, "-g");
    for (const char *next = hash; next; next = strstr(next + 2, "-g")) hash = next;
    const char *from = hash && strspn(hash + 2, "0123456789abcdef") >= 7 ? hash + 2 : text;
    const size_t rest = strlen(from) - (dirty ? 6 : 0);
    snprintf(revision, size, "%.*s%s", (int)(rest < size - 2 ? rest : size - 2), from,
             dirty ? "+" : "");
    if (!*revision) snprintf(revision, size, "unknown");
}

static void now(char text[32])
{
    const time_t seconds = time(NULL);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static const char insert[] =
    "INSERT INTO run(name, origin, started, finished, revision, fingerprint, command, context)"
    " VALUES(?1, ?2, CASE WHEN ?2 = 'run' THEN max(?3, ifnull((SELECT max(started) FROM run WHERE"
    " origin = 'run'), '')) ELSE ?3 END, ?4, ?5, ?6, ?7, ?8)";

static enum ab_status insert_run(struct ab_db *db, const struct ab_db_run *run,
                                 const json_t *context, const json_t *command, int64_t *id,
                                 struct ab_error *err)
{
    sqlite3_stmt *s;
    char fingerprint[32];
    enum ab_status status = ab_db_prepare(db, insert, &s, err);
    if (status != AB_OK) return status;
    ab_fingerprint(context, fingerprint);
    sqlite3_bind_text(s, 1, run->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, run->origin, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 3, run->started, -1, SQLITE_STATIC);
    if (*run->finished_at) sqlite3_bind_text(s, 4, run->finished_at, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 5, run->revision, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 6, fingerprint, -1, SQLITE_STATIC);
    if (ab_db_bind_json(s, 7, command) && ab_db_bind_json(s, 8, context))
        status = ab_db_step(db, s, NULL, err);
    else
        status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for the context", db->path);
    *id = sqlite3_last_insert_rowid(db->handle);
    sqlite3_finalize(s);
    return status;
}

enum ab_status ab_db_begin(struct ab_db *db, const char *name, const json_t *context,
                           const json_t *command, int64_t *run, struct ab_error *err)
{
    struct ab_db_run new = {.origin = "run"};
    enum ab_status status = ab_db_check_name(name, err);
    if (status != AB_OK) return status;
    snprintf(new.name, sizeof new.name, "%s", name);
    snprintf(new.started, sizeof new.started, "%s", text_at(context, NULL, "date"));
    if (!*new.started) now(new.started);
    revision_of(context, new.revision, sizeof new.revision);
    return insert_run(db, &new, context, command, run, err);
}

/* Rows of two builds or two machines make no run. */
static enum ab_status check_same(const struct ab_db_run *run, const json_t *context,
                                 struct ab_error *err)
{
    char revision[64], differs[256];
    revision_of(context, revision, sizeof revision);
    const char *before = text_at(run->context, "build", "build_id"),
               *here = text_at(context, "build", "build_id");
    const bool same = !strcmp(run->revision, revision);
    if (!same || strcmp(before, here) != 0)
        return ab_fail(err, AB_ERR_ARG,
                       "run '%s' (#%lld) was begun by another build (%s, this is %s): begin a new "
                       "one with --save",
                       run->name, (long long)run->id, run->revision,
                       same ? "of the same revision, but not the same" : revision);
    if (!ab_fingerprint_differs(run->context, context, differs, sizeof differs)) return AB_OK;
    differs[strcspn(differs, "\n")] = '\0';
    return ab_fail(err, AB_ERR_ARG,
                   "run '%s' (#%lld) was begun under other conditions (%s): begin a new one with "
                   "--save",
                   run->name, (long long)run->id, differs);
}

enum ab_status ab_db_resume(struct ab_db *db, const char *name, const json_t *context,
                            struct ab_db_run *run, struct ab_error *err)
{
    enum ab_status status = ab_db_find(db, name, run, err);
    if (status != AB_OK) return status;
    if (run->finished)
        status =
            ab_fail(err, AB_ERR_ARG, "run '%s' (#%lld) is finished; begin a new one with --save",
                    run->name, (long long)run->id);
    else
        status = check_same(run, context, err);
    if (status != AB_OK) ab_db_run_free(run);
    return status;
}

static enum ab_status end_run(struct ab_db *db, int64_t run, const char *at, const json_t *context,
                              struct ab_error *err)
{
    sqlite3_stmt *s;
    enum ab_status status =
        ab_db_prepare(db, "UPDATE run SET finished = ?1, context = ?2 WHERE id = ?3", &s, err);
    if (status != AB_OK) return status;
    sqlite3_bind_text(s, 1, at, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, run);
    if (ab_db_bind_json(s, 2, context))
        status = ab_db_step(db, s, NULL, err);
    else
        status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for the context", db->path);
    sqlite3_finalize(s);
    return status;
}

enum ab_status ab_db_finish(struct ab_db *db, int64_t run, const json_t *context,
                            struct ab_error *err)
{
    char at[32];
    now(at);
    enum ab_status status = ab_db_exec(db, "PRAGMA synchronous=FULL", err);
    if (status == AB_OK) status = end_run(db, run, at, context, err);
    const enum ab_status back = ab_db_exec(db, "PRAGMA synchronous=NORMAL", status ? NULL : err);
    return status == AB_OK ? back : status;
}

enum ab_status ab_db_remove(struct ab_db *db, int64_t run, struct ab_error *err)
{
    sqlite3_stmt *s;
    enum ab_status status = ab_db_prepare(db, "DELETE FROM run WHERE id = ?1", &s, err);
    if (status != AB_OK) return status;
    sqlite3_bind_int64(s, 1, run);
    status = ab_db_step(db, s, NULL, err);
    sqlite3_finalize(s);
    return status;
}

enum ab_status ab_db_import(struct ab_db *db, const struct ab_db_run *run,
                            const struct ab_db_row *rows, int count, int64_t *id,
                            struct ab_error *err)
{
    struct ab_db_run new = *run;
    enum ab_status status = ab_db_check_name(run->name, err);
    if (status != AB_OK) return status;
    if (!*new.started)
        snprintf(new.started, sizeof new.started, "%s", text_at(run->context, NULL, "date"));
    if (!*new.started) now(new.started);
    if (!*new.revision) revision_of(run->context, new.revision, sizeof new.revision);
    if (run->finished && !*new.finished_at) now(new.finished_at);
    status = ab_db_start(db, err);
    if (status != AB_OK) return status;
    status = insert_run(db, &new, run->context, run->command, id, err);
    for (int i = 0; i < count && status == AB_OK; i++) status = ab_db_put(db, *id, &rows[i], err);
    return ab_db_end(db, status, err);
}
