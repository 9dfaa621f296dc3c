// SPDX-License-Identifier: Apache-2.0
// attrbench run --save and --resume: a run in the store beside the files in --out.
#include "command.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>

/* ---- opening and closing ---- */

/* A clock that is behind the store's newest run is told: dates of other tools will not fit. */
static void tell_clock(struct ab_run *run)
{
    struct ab_db_run begun;
    const char *date = json_string_value(json_object_get(run->context, "date"));
    if (ab_db_get(run->save.db, run->save.run, &begun, NULL) != AB_OK) return;
    if (date && strcmp(begun.started, date) > 0)
        ab_progress_note(
            "attrbench: note: the clock says %s, but %s has a run of %s: set the clock; "
            "the order of runs is kept",
            date, run->save.path, begun.started);
    ab_db_run_free(&begun);
}

/* What was measured before comes back. */
static enum ab_status go_on(struct ab_run *run, struct ab_error *err)
{
    struct ab_db_run before;
    enum ab_status status =
        ab_db_resume(run->save.db, run->settings->resume, run->context, &before, err);
    if (status != AB_OK) return status;
    ab_save_continue(&run->save, &before);
    ab_db_run_free(&before);
    status = ab_db_rows(run->save.db, run->save.run, &run->stored, &run->n_stored, err);
    return status == AB_OK ? ab_run_restore(run, err) : status;
}

enum ab_status ab_run_open_files(struct ab_run *run, struct ab_error *err)
{
    const struct ab_run_settings *s = run->settings;
    const char *name = s->resume ? s->resume : s->save;
    enum ab_status status = ab_run_check_cold(run, err);
    if (status == AB_OK && s->save && !s->resume) status = ab_db_check_name(s->save, err);
    if (status == AB_OK && name)
        status = ab_save_open(&run->save, s->db ? s->db : ab_db_default(), name, err);
    if (status == AB_OK)
        status = ab_store_open(&run->store, s->out ? s->out : "./attrbench-out", run->context, err);
    if (status != AB_OK || !name) return status;
    run->store.save = &run->save;
    if (s->resume) return go_on(run, err);
    status = ab_save_begin(&run->save, run->context, run->words, err);
    if (status == AB_OK) tell_clock(run);
    return status;
}

enum ab_status ab_run_close_files(struct ab_run *run, struct ab_error *err)
{
    ab_context_end(run->context);
    /* What the store does not take is told later: results.json is written in any case. */
    ab_save_finish(&run->save, run->context, !ab_interrupted, &run->save.error);
    return ab_store_finish(&run->store, run->context, err);
}

int ab_run_tell_saved(const struct ab_run *run, FILE *talk, int code)
{
    const struct ab_save *save = &run->save;
    const char *db = run->settings->db;
    if (!save->db) return code;
    if (*save->error.text)
        return ab_complain(AB_EXIT_ERROR,
                           "%.400s (saved: %d rows; all are in %s/results.json, which 'attrbench "
                           "import' takes)",
                           save->error.text, save->rows, run->store.folder);
    fprintf(talk, "saved: %s: run %s (#%lld), %d rows\n", save->path, save->name,
            (long long)save->run, save->rows);
    if (ab_interrupted)
        fprintf(talk, "to go on: attrbench run --resume %s%s%s\n", save->name, db ? " --db " : "",
                db ? db : "");
    return code;
}

/* ---- going on ---- */

/* What may stand beside --resume. */
static bool goes_with_resume(const char *word)
{
    static const char *const names[] = {"--resume=", "--db=", "--out=", "--json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(word, names[i], strlen(names[i]))) return true;
    return false;
}

static enum ab_status check_alone(const struct ab_run_settings *settings, int argc, char **argv,
                                  struct ab_error *err)
{
    json_t *words = ab_options_words(&ab_command_run, settings);
    char stray[64] = "";
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        if (!goes_with_resume(word))
            snprintf(stray, sizeof stray, "%.*s", (int)strcspn(word, "="), word);
    }
    json_decref(words);
    if (argc > 1) snprintf(stray, sizeof stray, "%.*s", (int)strcspn(argv[1], "="), argv[1]);
    if (!*stray) return AB_OK;
    return ab_fail(err, AB_ERR_ARG,
                   "--resume goes on with the run's own options: leave out %s; --db, --out and "
                   "--json go with it",
                   stray);
}

/* The run's options as they were given; a borrowed argv. NULL: out of memory. */
static char **old_words(const struct ab_db_run *run, int *count)
{
    char **argv = calloc(json_array_size(run->command) + 2, sizeof *argv);
    if (!argv) return NULL;
    argv[0] = (char *)"run";
    *count = 1;
    for (size_t i = 0; i < json_array_size(run->command); i++) {
        const char *word = json_string_value(json_array_get(run->command, i));
        if (word && strcmp(word, "--json") != 0) argv[(*count)++] = (char *)word;
    }
    return argv;
}

static int measure_again(const struct ab_run_settings *settings, const struct ab_db_run *before)
{
    struct ab_run_settings old = {0};
    struct ab_error err;
    int argc, code;
    char **argv = old_words(before, &argc);
    if (!argv) return ab_complain(AB_EXIT_ERROR, "out of memory; close something else");
    if (ab_options_parse(&ab_command_run, &argc, argv, &old, &err)) {
        old.resume = settings->resume;
        old.save = NULL;
        old.db = settings->db;
        old.json = settings->json;
        if (settings->out) old.out = settings->out;
        code = ab_run_measure(&old, before->command, argc, argv);
    } else {
        code = ab_complain(AB_EXIT_ERROR, "run '%s' (#%lld) cannot be gone on with: %s",
                           before->name, (long long)before->id, err.text);
    }
    ab_options_free(&ab_command_run, &old);
    free(argv);
    return code;
}

int ab_run_resume(const struct ab_run_settings *settings, int argc, char **argv)
{
    struct ab_error err;
    struct ab_db *db = NULL;
    struct ab_db_run before = {0};
    const char *path = settings->db ? settings->db : ab_db_default();
    enum ab_status status = check_alone(settings, argc, argv, &err);
    if (status == AB_OK) status = ab_db_open_run(path, settings->resume, &db, &err);
    if (status == AB_OK) status = ab_db_find(db, settings->resume, &before, &err);
    ab_db_close(&db);
    if (status == AB_OK && before.finished)
        status = ab_fail(&err, AB_ERR_ARG,
                         "--resume: run '%s' (#%lld) is finished; begin a new one with --save",
                         before.name, (long long)before.id);
    if (status == AB_OK && strcmp(before.origin, "run") != 0)
        status = ab_fail(&err, AB_ERR_ARG, "--resume: run '%s' (#%lld) was imported from %s",
                         before.name, (long long)before.id, before.origin);
    const int code =
        status == AB_OK ? measure_again(settings, &before) : ab_complain_status(status, &err);
    ab_db_run_free(&before);
    return code;
}
