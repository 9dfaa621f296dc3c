// SPDX-License-Identifier: Apache-2.0
// attrbench export: runs of the store as JSON, in the form of results.json.
#include "base/outfile.h"
#include "command.h"
#include "db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct export_settings {
    struct ab_words runs;
    const char *db, *out;
};

/* The runs that are asked for; all, if none is named. */
static enum ab_status choose(struct ab_db *db, const struct ab_words *names,
                             struct ab_db_run **runs, int *count, struct ab_error *err)
{
    *count = 0;
    if (!names->count) {
        enum ab_status status = ab_db_runs(db, NULL, runs, count, err);
        if (status == AB_OK && !*count)
            status = ab_fail(err, AB_ERR_ARG,
                             "the store holds no runs; 'attrbench run --save "
                             "NAME' puts them in");
        return status;
    }
    *runs = calloc((size_t)names->count, sizeof **runs);
    if (!*runs) return ab_fail(err, AB_ERR_MEMORY, "out of memory for runs");
    for (int i = 0; i < names->count; i++) {
        const enum ab_status status = ab_db_find(db, names->items[i], &(*runs)[i], err);
        if (status != AB_OK) return status;
        ++*count;
    }
    return AB_OK;
}

static json_t *about(const struct ab_db_run *run)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:O}", "name", run->name, "origin",
                          run->origin, "started", run->started, "revision", run->revision,
                          "fingerprint", run->fingerprint, "command", run->command);
    if (o)
        json_object_set_new(o, "finished",
                            run->finished ? json_string(run->finished_at) : json_null());
    return o;
}

static bool print(FILE *f, const char *before, json_t *value, size_t flags)
{
    fputs(before, f);
    const bool good = value && json_dumpf(value, f, flags | JSON_ENSURE_ASCII) == 0;
    json_decref(value);
    return good;
}

static bool write_row(FILE *f, const struct ab_db_row *row, bool first)
{
    json_t *record = ab_db_row_json(row);
    if (record) json_object_set_new(record, "key", json_string(row->key));
    return print(f, first ? "\n" : ",\n", record, JSON_COMPACT | JSON_PRESERVE_ORDER);
}

static enum ab_status write_run(struct ab_db *db, const struct ab_db_run *run, FILE *f,
                                struct ab_error *err)
{
    struct ab_db_row *rows;
    int count;
    const enum ab_status status = ab_db_rows(db, run->id, &rows, &count, err);
    if (status != AB_OK) return status;
    bool good = print(f, "{\"context\": ", json_incref(run->context), JSON_INDENT(1)) &&
                print(f, ",\n\"run\": ", about(run), JSON_INDENT(1));
    fputs(",\n\"results\": [", f);
    for (int i = 0; i < count; i++) good = good && write_row(f, &rows[i], !i);
    fputs("\n]}\n", f);
    ab_db_rows_free(rows, count);
    /* A stream that fails is told by its owner. */
    return good || ferror(f) ? AB_OK : ab_fail(err, AB_ERR_MEMORY, "out of memory for the JSON");
}

static enum ab_status write_all(struct ab_db *db, const struct ab_db_run *runs, int count, FILE *f,
                                struct ab_error *err)
{
    enum ab_status status = AB_OK;
    if (count > 1) fputs("{\"runs\": [\n", f);
    for (int i = 0; i < count && status == AB_OK; i++) {
        if (i) fputs(",\n", f);
        status = write_run(db, &runs[i], f, err);
    }
    if (count > 1) fputs("]}\n", f);
    return status;
}

static enum ab_status write_file(struct ab_db *db, const struct ab_db_run *runs, int count,
                                 const char *path, struct ab_error *err)
{
    struct ab_outfile out;
    enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    status = write_all(db, runs, count, out.stream, err);
    return ab_outfile_close(&out, status, err);
}

static int run_command(void *user, int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct export_settings *s = user;
    struct ab_db *db = NULL;
    struct ab_db_run *runs = NULL;
    struct ab_error err;
    int count = 0;
    const char *path = s->db ? s->db : ab_db_default();
    enum ab_status status = s->runs.count ? ab_db_open_run(path, s->runs.items[0], &db, &err)
                                          : ab_db_open(path, AB_DB_READ, &db, &err);
    if (status == AB_OK) status = choose(db, &s->runs, &runs, &count, &err);
    if (status == AB_OK)
        status = s->out ? write_file(db, runs, count, s->out, &err)
                        : write_all(db, runs, count, stdout, &err);
    ab_db_runs_free(runs, count);
    ab_db_close(&db);
    return status == AB_OK ? AB_EXIT_OK : ab_complain_status(status, &err);
}

#define FIELD(name) offsetof(struct export_settings, name)
static const struct ab_option options[] = {
    {"RUN", NULL,
     "NAME (the newest of that name), NAME~N (N before it), #ID, or a git revision; default: all "
     "runs",
     AB_OPTION_OPERANDS, FIELD(runs)},
    {"db", "F", "the store; default $ATTRBENCH_DB, or attrbench.db in the current folder",
     AB_OPTION_TEXT, FIELD(db)},
    {"out", "F", "the file; default: standard output", AB_OPTION_TEXT, FIELD(out)},
};

const struct ab_command ab_command_export = {
    .name = "export",
    .summary = "writes saved runs as JSON, with all samples",
    .usage = "[RUN]... [--db F] [--out F]",
    .more = "One run has the form of results.json; several are a list, \"runs\". 'attrbench "
            "import' reads both.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_size = sizeof(struct export_settings),
    .run = run_command,
};
