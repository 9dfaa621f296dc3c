// SPDX-License-Identifier: Apache-2.0
// attrbench import: results from files into the store.
#include "command.h"
#include "runfile.h"

#include <stdio.h>
#include <string.h>

struct import_settings {
    struct ab_words files;
    const char *db, *name;
    bool again;
};

/* The run that came of the same results before; 0: none. */
static enum ab_status find_same(struct ab_db *db, const struct ab_runfile *r, int64_t *id,
                                struct ab_error *err)
{
    struct ab_db_run *runs;
    int count;
    *id = 0;
    const enum ab_status status = ab_db_runs(db, r->run.name, &runs, &count, err);
    if (status != AB_OK) return status;
    for (int i = 0; i < count; i++)
        if (runs[i].rows == r->count && json_equal(runs[i].context, r->run.context) &&
            (!*r->run.started || !strcmp(runs[i].started, r->run.started)))
            *id = runs[i].id;
    ab_db_runs_free(runs, count);
    return AB_OK;
}

static enum ab_status import_run(struct ab_db *db, const struct import_settings *s,
                                 const char *path, struct ab_runfile *r, struct ab_error *err)
{
    int64_t id = 0;
    enum ab_status status = AB_OK;
    if (s->name) snprintf(r->run.name, sizeof r->run.name, "%s", s->name);
    if (!s->again) status = find_same(db, r, &id, err);
    if (status == AB_OK && id) {
        printf("%s: there already: run %s (#%lld); --again takes it once more\n", path, r->run.name,
               (long long)id);
        return AB_OK;
    }
    if (status == AB_OK) status = ab_db_import(db, &r->run, r->rows, r->count, &id, err);
    if (status == AB_OK)
        printf("%s: %s: run %s (#%lld), %d rows%s\n", path, r->format, r->run.name, (long long)id,
               r->count, r->run.finished ? "" : ", unfinished");
    return status;
}

static enum ab_status import_file(struct ab_db **db, const struct import_settings *s,
                                  const char *path, struct ab_error *err)
{
    struct ab_runfile *list;
    int count;
    enum ab_status status = ab_runfile_read(path, &list, &count, err);
    if (status != AB_OK) return status;
    /* Not before there is something to put in: a refused file makes no store. */
    if (!*db) status = ab_db_open(s->db ? s->db : ab_db_default(), AB_DB_WRITE, db, err);
    for (int i = 0; i < count && status == AB_OK; i++)
        status = import_run(*db, s, path, &list[i], err);
    ab_runfile_free(list, count);
    return status;
}

static int run_command(void *user, int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct import_settings *s = user;
    struct ab_db *db = NULL;
    struct ab_error err;
    if (!s->files.count)
        return ab_complain(AB_EXIT_USAGE, "import: no file given; write attrbench import FILE...");
    enum ab_status status = s->name ? ab_db_check_name(s->name, &err) : AB_OK;
    for (int i = 0; i < s->files.count && status == AB_OK; i++)
        status = import_file(&db, s, s->files.items[i], &err);
    ab_db_close(&db);
    return status == AB_OK ? AB_EXIT_OK : ab_complain_status(status, &err);
}

#define FIELD(name) offsetof(struct import_settings, name)
static const struct ab_option options[] = {
    {"FILE", NULL,
     "results.json, results.jsonl or an export of attrbench, JSON of Google Benchmark\n"
     "(--benchmark_out), or output of benchdnn --mode=P: told apart by what is in it",
     AB_OPTION_OPERANDS, FIELD(files)},
    {"name", "NAME", "of the runs; default: as in an export, or the file's", AB_OPTION_TEXT,
     FIELD(name)},
    {"again", NULL, "also what is there already", AB_OPTION_FLAG, FIELD(again)},
    {"db", "F", "the store; default $ATTRBENCH_DB, or attrbench.db in the current folder",
     AB_OPTION_TEXT, FIELD(db)},
};

const struct ab_command ab_command_import = {
    .name = "import",
    .summary = "puts results from files into the store: ours, Google Benchmark's, benchdnn's",
    .usage = "FILE... [--name NAME] [--again] [--db F]",
    .more =
        "Each run of a file is put in whole or not at all. Runs take their place in the history "
        "by the date that the file has.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_size = sizeof(struct import_settings),
    .run = run_command,
};
