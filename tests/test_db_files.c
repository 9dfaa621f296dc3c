// SPDX-License-Identifier: Apache-2.0
// The store as a file: killed writers, several writers, and everything that a file can be instead.
#include "../bench/save.h"
#include "db_support.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <sqlite3.h>

static void refused(const char *path, enum ab_db_mode mode, enum ab_status status,
                    const char *needle)
{
    struct ab_error err = {""};
    struct ab_db *db;
    context("%s, %s", path, mode == AB_DB_READ ? "to read" : "to write");
    check_error(ab_db_open(path, mode, &db, &err), status, &err, needle);
    CHECK(!db, "a store is returned");
}

static void sql(const char *path, const char *text)
{
    sqlite3 *handle;
    char *why = NULL;
    CHECK(sqlite3_open(path, &handle) == SQLITE_OK, "%s", path);
    CHECK(sqlite3_exec(handle, text, NULL, NULL, &why) == SQLITE_OK, "%s: %s", text, why);
    sqlite3_close(handle);
}

/* What "PRAGMA integrity_check" says. */
static void check_whole(const char *path)
{
    sqlite3 *handle;
    sqlite3_stmt *s;
    CHECK(sqlite3_open(path, &handle) == SQLITE_OK &&
              sqlite3_prepare_v2(handle, "PRAGMA integrity_check", -1, &s, NULL) == SQLITE_OK &&
              sqlite3_step(s) == SQLITE_ROW,
          "%s", sqlite3_errmsg(handle));
    const char *text = (const char *)sqlite3_column_text(s, 0);
    CHECK(!strcmp(text, "ok"), "%s", text);
    sqlite3_finalize(s);
    sqlite3_close(handle);
}

static int count_rows(const char *path)
{
    struct ab_error err;
    struct ab_db_run *runs;
    struct ab_db *db = open_store(path, AB_DB_READ);
    int count, rows = 0;
    CHECK(ab_db_runs(db, NULL, &runs, &count, &err) == AB_OK, "%s", err.text);
    for (int i = 0; i < count; i++) rows += runs[i].rows;
    ab_db_runs_free(runs, count);
    ab_db_close(&db);
    return rows;
}

/* ---- files that are no stores ---- */

TEST(paths_that_hold_no_store)
{
    struct ab_error err;
    refused(temp_path("absent.db"), AB_DB_READ, AB_ERR_IO, "--db");
    refused(temp_path("absent/x.db"), AB_DB_WRITE, AB_ERR_IO, "absent/x.db");
    refused("", AB_DB_WRITE, AB_ERR_ARG, "--db");
    refused("/dev/null", AB_DB_WRITE, AB_ERR_IO, "not a file");
    refused("/", AB_DB_READ, AB_ERR_IO, "not a file");
    refused(write_file("empty.db", "", 0), AB_DB_READ, AB_ERR_FORMAT, "empty");
    char longest[4096];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    refused(longest, AB_DB_WRITE, AB_ERR_ARG, "--db");
    struct ab_db *db;
    CHECK(ab_db_open(temp_path("empty.db"), AB_DB_WRITE, &db, &err) == AB_OK, "%s", err.text);
    ab_db_close(&db);
}

TEST(files_of_others_are_left_alone)
{
    unsigned char noise[8192];
    struct rng r = rng_new(1);
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (unsigned char)rng_next(&r);
    const char *path = write_file("noise.db", noise, sizeof noise);
    refused(path, AB_DB_READ, AB_ERR_FORMAT, "no SQLite database");
    refused(path, AB_DB_WRITE, AB_ERR_FORMAT, "no SQLite database");
    size_t bytes;
    unsigned char *after = read_file(path, &bytes);
    CHECK(bytes == sizeof noise && !memcmp(after, noise, bytes), "written to");
    free(after);
    refused(write_file("results.json", "{\"context\": {}}\n", 16), AB_DB_WRITE, AB_ERR_FORMAT,
            "no SQLite database");
    path = temp_path("foreign.db");
    sql(path, "CREATE TABLE songs(title); INSERT INTO songs VALUES('x')");
    unsigned char *before = read_file(path, &bytes);
    refused(path, AB_DB_WRITE, AB_ERR_FORMAT, "another program");
    refused(path, AB_DB_READ, AB_ERR_FORMAT, "another program");
    after = read_file(path, &bytes);
    CHECK(!memcmp(before, after, bytes), "written to");
    free(before), free(after);
}

TEST(newer_and_damaged_stores)
{
    struct ab_db *db = open_store(temp_path("new.db"), AB_DB_WRITE);
    ab_db_close(&db);
    sql(temp_path("new.db"), "PRAGMA user_version=7");
    refused(temp_path("new.db"), AB_DB_WRITE, AB_ERR_FORMAT, "newer attrbench (schema 7");
    refused(temp_path("new.db"), AB_DB_READ, AB_ERR_FORMAT, "newer attrbench");
    sql(temp_path("new.db"), "PRAGMA user_version=0");
    refused(temp_path("new.db"), AB_DB_READ, AB_ERR_FORMAT, "damaged");

    db = open_store(temp_path("cut.db"), AB_DB_WRITE);
    const int64_t run = begin_run(db, "n", NULL);
    char key[16];
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "%d", i);
        put_row(db, run, key, i + 1);
    }
    ab_db_close(&db);
    size_t bytes;
    unsigned char *whole = read_file(temp_path("cut.db"), &bytes);
    for (size_t size = 1; size < bytes; size += size < 4096 ? 333 : 4096) {
        const char *path = write_file("short.db", whole, size);
        const char *needle = size < 16 ? "no SQLite database" : "damaged";
        refused(path, AB_DB_READ, AB_ERR_FORMAT, needle);
        refused(path, AB_DB_WRITE, AB_ERR_FORMAT, needle);
    }
    free(whole);
}

/* Bytes of the middle are overwritten: rows that are read are those that were put. */
TEST(scribbled_stores_are_no_crash)
{
    struct ab_error err;
    size_t bytes;
    struct ab_db *db = open_store(temp_path("good.db"), AB_DB_WRITE);
    const int64_t run = begin_run(db, "n", NULL);
    for (int i = 0; i < 40; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        put_row(db, run, key, 1000);
    }
    ab_db_close(&db);
    unsigned char *whole = read_file(temp_path("good.db"), &bytes);
    struct rng r = rng_new(2);
    int errors = 0;
    for (int i = 0; i < 60; i++) {
        unsigned char *bad = malloc(bytes);
        memcpy(bad, whole, bytes);
        const size_t at = 100 + rng_next(&r) % (bytes - 400);
        for (size_t j = 0; j < 300; j++) bad[at + j] = (unsigned char)rng_next(&r);
        const char *path = write_file("bad.db", bad, bytes);
        free(bad);
        enum ab_status status = ab_db_open(path, AB_DB_WRITE, &db, &err);
        struct ab_db_row *rows = NULL;
        struct ab_db_run found;
        int count = 0;
        if (status == AB_OK) status = ab_db_rows(db, run, &rows, &count, &err);
        if (status == AB_OK) status = ab_db_find(db, "n", &found, &err);
        if (status == AB_OK) ab_db_run_free(&found);
        if (status == AB_OK) status = try_row(db, run, "more", 1, &err);
        errors += status != AB_OK;
        CHECK(status == AB_OK || (*err.text && !strchr(err.text, '\n')), "no reason");
        for (int j = 0; j < count; j++)
            CHECK(rows[j].count == 64 && rows[j].ns[0] == 1000 && rows[j].ns[63] == 1063,
                  "wrong samples are read");
        ab_db_rows_free(rows, count);
        ab_db_close(&db);
    }
    CHECK(errors > 20, "only %d of 60 damages were noticed", errors);
    free(whole);
}

/* ---- others at the same file ---- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

TEST(a_lock_is_waited_for_and_then_told)
{
    struct ab_error err;
    const char *path = temp_path("locked.db");
    struct ab_db *db = open_store(path, AB_DB_WRITE);
    const int64_t run = begin_run(db, "n", NULL);
    ab_db_close(&db);
    sqlite3 *other;
    CHECK(sqlite3_open(path, &other) == SQLITE_OK, "open");
    CHECK(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK, "begin");
    setenv("ATTRBENCH_DB_WAIT", "200ms", 1);
    db = open_store(path, AB_DB_WRITE);
    const double from = seconds();
    check_error(try_row(db, run, "k", 1, &err), AB_ERR_IO, &err, "locked for 0.2 s");
    CHECK(seconds() - from > 0.15, "it did not wait");
    CHECK(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "commit");
    put_row(db, run, "k", 1); /* the store is usable after that */
    ab_db_close(&db);
    CHECK(sqlite3_exec(other, "PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE; COMMIT", NULL, NULL,
                       NULL) == SQLITE_OK,
          "%s", sqlite3_errmsg(other));
    sqlite3_close(other);
    CHECK(sqlite3_open(path, &other) == SQLITE_OK &&
              sqlite3_exec(other,
                           "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE;"
                           "BEGIN EXCLUSIVE",
                           NULL, NULL, NULL) == SQLITE_OK,
          "%s", sqlite3_errmsg(other));
    refused(path, AB_DB_READ, AB_ERR_IO, "locked");
    refused(path, AB_DB_WRITE, AB_ERR_IO, "locked");
    sqlite3_close(other);
    setenv("ATTRBENCH_DB_WAIT", "soon", 1);
    refused(path, AB_DB_READ, AB_ERR_ARG, "ATTRBENCH_DB_WAIT");
    unsetenv("ATTRBENCH_DB_WAIT");
}

/* A run whose store is locked meanwhile: it waits once, and puts all in the end. */
TEST(rows_that_find_a_lock_are_put_later)
{
    struct ab_error err;
    struct ab_save save = {0};
    const char *path = temp_path("later.db");
    json_t *about = test_context(), *command = json_array(),
           *record = json_pack("{s:s,s:[i]}", "kind", "kernel", "samples_ns", 3);
    sqlite3 *other;
    setenv("ATTRBENCH_DB_WAIT", "300ms", 1);
    CHECK(ab_save_open(&save, path, "n", &err) == AB_OK &&
              ab_save_begin(&save, about, command, &err) == AB_OK,
          "%s", err.text);
    CHECK(sqlite3_open(path, &other) == SQLITE_OK &&
              sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK,
          "%s", sqlite3_errmsg(other));
    const double from = seconds();
    for (int i = 0; i < 20; i++) ab_save_row(&save, record);
    CHECK(seconds() - from < 3, "every row waits: %g s", seconds() - from);
    CHECK(!save.rows && strstr(save.error.text, "locked"), "%s", save.error.text);
    check_error(ab_save_finish(&save, about, true, &err), AB_ERR_IO, &err, "locked");
    CHECK(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "commit");
    sqlite3_close(other);
    CHECK(ab_save_finish(&save, about, true, &err) == AB_OK && save.rows == 20 && !*save.error.text,
          "%s", err.text);
    ab_save_close(&save);
    CHECK(count_rows(path) == 20, "%d rows", count_rows(path));
    unsetenv("ATTRBENCH_DB_WAIT");
    json_decref(about), json_decref(command), json_decref(record);
}

/* Puts rows until it is killed or has put `most`; tells each on the pipe when it is in. */
static void write_rows(const char *path, int most, int out)
{
    struct ab_error err;
    struct ab_db *db;
    int64_t run;
    json_t *about = test_context(), *command = json_array();
    if (ab_db_open(path, AB_DB_WRITE, &db, &err) != AB_OK ||
        ab_db_begin(db, "n", about, command, &run, &err) != AB_OK) {
        fprintf(stderr, "%s\n", err.text);
        _exit(2);
    }
    for (int i = 0; i < most; i++) {
        char key[32];
        snprintf(key, sizeof key, "row %d", i);
        if (try_row(db, run, key, i + 1, &err) != AB_OK) {
            fprintf(stderr, "%s\n", err.text);
            _exit(3);
        }
        if (out >= 0 && write(out, &i, sizeof i) != sizeof i) _exit(4);
    }
    if (ab_db_finish(db, run, about, &err) != AB_OK) _exit(5);
    ab_db_close(&db);
    _exit(0);
}

TEST(what_was_put_survives_a_kill)
{
    struct rng r = rng_new(3);
    const char *path = temp_path("killed.db");
    int told = 0;
    for (int i = 0; i < (AB_TEST_SLOW ? 8 : 30); i++) {
        int ends[2], last;
        CHECK(pipe(ends) == 0, "pipe");
        const pid_t pid = fork();
        if (pid == 0) close(ends[0]), write_rows(path, 100000, ends[1]);
        close(ends[1]);
        /* Some before or while the file is made, most amid rows: at any moment of one. */
        const int rows = i % 4 ? rng_between(&r, 1, 20) : 0;
        for (int j = 0; j < rows; j++, told++)
            CHECK(read(ends[0], &last, sizeof last) == sizeof last, "the writer died by itself");
        usleep((useconds_t)(rng_uniform(&r) * (rows ? 2000 : 20000)));
        kill(pid, SIGKILL);
        CHECK(waitpid(pid, NULL, 0) == pid, "wait");
        while (read(ends[0], &last, sizeof last) == sizeof last) told++;
        close(ends[0]);
        if (access(path, F_OK) != 0) continue;
        struct ab_db *db = open_store(path, rows && i % 2 ? AB_DB_READ : AB_DB_WRITE);
        ab_db_close(&db);
        check_whole(path);
        /* A row may be in before its writer could tell. */
        const int there = count_rows(path);
        CHECK(there >= told && there <= told + 1, "round %d: %d rows, %d were told", i, there,
              told);
        told = there;
    }
}

static void check_exits(const pid_t *pids, int count)
{
    for (int i = 0; i < count; i++) {
        int status;
        CHECK(waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) && !WEXITSTATUS(status),
              "writer %d: %d", i, status);
    }
}

TEST(several_writers_at_once)
{
    enum { WRITERS = 4, ROWS = 60, ROUNDS = 6 };
    pid_t pids[WRITERS];
    /* They also make the file at once, and close it at about the same time. */
    for (int round = 0; round < ROUNDS; round++) {
        const char *path = temp_path(round ? "again.db" : "shared.db");
        const int rows = round ? 2 : ROWS;
        remove(path);
        for (int i = 0; i < WRITERS; i++)
            if ((pids[i] = fork()) == 0) write_rows(path, rows, -1);
        check_exits(pids, WRITERS);
        check_whole(path);
        CHECK(count_rows(path) == WRITERS * rows, "%d rows", count_rows(path));
    }
}

/* ---- what the system refuses ---- */

/* Runs the check in a process of its own; false: it could not be made to apply here. */
static bool in_child(bool (*run)(void))
{
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) _exit(run() ? 0 : 77);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "the child died: %d", status);
    CHECK(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77, "see above");
    return WEXITSTATUS(status) == 0;
}

/* In a child, which has no test to fail. */
static void must(bool good, const struct ab_error *err, const char *what)
{
    if (good) return;
    fprintf(stderr, "%s: %s\n", what, err->text);
    _exit(1);
}

static char full_path[600];

static bool fill_a_disk(void)
{
    struct ab_error err = {""};
    struct ab_db *db;
    struct rlimit limit = {2000000, 2000000};
    int64_t run;
    json_t *about = test_context(), *command = json_array();
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
    must(ab_db_open(full_path, AB_DB_WRITE, &db, &err) == AB_OK, &err, "open");
    must(ab_db_begin(db, "n", about, command, &run, &err) == AB_OK, &err, "begin");
    int put = 0;
    enum ab_status status = AB_OK;
    for (; status == AB_OK && put < 5000; put++) {
        char key[32];
        snprintf(key, sizeof key, "row %d", put);
        status = try_row(db, run, key, put + 1, &err);
    }
    must(status == AB_ERR_IO && strstr(err.text, "cannot be written") &&
             strstr(err.text, full_path) && strstr(err.text, "--db"),
         &err, "a full disk");
    struct ab_db_run found;
    must(ab_db_get(db, run, &found, &err) == AB_OK && found.rows == put - 1, &err,
         "rows put before are lost");
    ab_db_close(&db);
    return true;
}

TEST(a_full_disk_loses_no_rows)
{
    snprintf(full_path, sizeof full_path, "%s", temp_path("full.db"));
    if (!in_child(fill_a_disk)) return;
    check_whole(full_path);
    CHECK(count_rows(full_path) > 20, "%d rows", count_rows(full_path));
}

/* Root may write anywhere. */
static void become_nobody(void)
{
    const struct passwd *nobody = getpwnam("nobody");
    if (getuid() == 0 && (!nobody || setgid(nobody->pw_gid) != 0 || setuid(nobody->pw_uid) != 0))
        _exit(77);
}

static bool read_what_is_read_only(void)
{
    struct ab_error err = {""};
    struct ab_db *db;
    become_nobody();
    must(ab_db_open(full_path, AB_DB_WRITE, &db, &err) == AB_ERR_IO &&
             strstr(err.text, "read-only"),
         &err, "opened for writing");
    must(ab_db_open(full_path, AB_DB_READ, &db, &err) == AB_OK, &err, "not even read");
    struct ab_db_run run;
    must(ab_db_find(db, "n", &run, &err) == AB_OK && run.rows == 1, &err, "a run");
    ab_db_run_free(&run);
    ab_db_close(&db);
    return true;
}

static bool read_beside_a_log(void)
{
    struct ab_error err = {""};
    struct ab_db *db;
    become_nobody();
    must(ab_db_open(full_path, AB_DB_READ, &db, &err) == AB_ERR_IO && strstr(err.text, "-wal"),
         &err, "rows in the log");
    return true;
}

TEST(a_store_that_cannot_be_written_can_be_read)
{
    char folder[512], log[700];
    snprintf(folder, sizeof folder, "%s", temp_path("ro%3f?#"));
    CHECK(mkdir(folder, 0755) == 0, "%s", folder);
    chmod(temp_directory, 0755);
    snprintf(full_path, sizeof full_path, "%s/store.db", folder);
    struct ab_db *db = open_store(full_path, AB_DB_WRITE);
    const int64_t run = begin_run(db, "n", NULL);
    put_row(db, run, "a", 1);
    ab_db_close(&db);
    chmod(full_path, 0444);
    chmod(folder, 0555);
    in_child(read_what_is_read_only);
    chmod(folder, 0755);
    snprintf(log, sizeof log, "%s-wal", full_path);
    FILE *f = fopen(log, "w");
    CHECK(f && fputs("not empty", f) >= 0 && fclose(f) == 0, "%s", log);
    chmod(folder, 0555);
    in_child(read_beside_a_log);
    chmod(folder, 0755);
    unlink(log);
    unlink(full_path);
    rmdir(folder);
}

TEST(names_that_mean_something_to_sqlite)
{
    CHECK(temp_path("x") && chdir(temp_directory) == 0, "chdir");
    static const char *const names[] = {":memory:", "file:x?mode=memory", "a%41.db"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct ab_db *db = open_store(names[i], AB_DB_WRITE);
        begin_run(db, "n", NULL);
        ab_db_close(&db);
        CHECK(access(names[i], R_OK) == 0, "%s is no file", names[i]);
        db = open_store(names[i], AB_DB_READ);
        ab_db_close(&db);
    }
}

static const struct test_case cases[] = {
    CASE(paths_that_hold_no_store),           CASE(files_of_others_are_left_alone),
    CASE(newer_and_damaged_stores),           CASE(scribbled_stores_are_no_crash),
    CASE(a_lock_is_waited_for_and_then_told), CASE(rows_that_find_a_lock_are_put_later),
    CASE(what_was_put_survives_a_kill),       CASE(several_writers_at_once),
    CASE(a_full_disk_loses_no_rows),          CASE(a_store_that_cannot_be_written_can_be_read),
    CASE(names_that_mean_something_to_sqlite)};
TEST_MAIN("db_files", cases)
