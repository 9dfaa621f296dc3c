// SPDX-License-Identifier: Apache-2.0
// Sides of a comparison that are there already: files of results, runs of the store.
#include "compare.h"

#include "runfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The file that `text` means: itself, or results.json in that folder. False: none. */
static bool file_of(const char *text, char *path, size_t size)
{
    struct stat info;
    if (stat(text, &info) != 0) return false;
    const bool folder = S_ISDIR(info.st_mode);
    snprintf(path, size, folder ? "%s/results.json" : "%s", text);
    return !folder || stat(path, &info) == 0;
}

/* What can only be a file: names of runs have neither. */
static bool looks_like_file(const char *text)
{
    const size_t length = strlen(text);
    const bool json = length > 5 && (!strcmp(text + length - 5, ".json") ||
                                     (length > 6 && !strcmp(text + length - 6, ".jsonl")));
    return json || *text == '/' || !strncmp(text, "./", 2) || !strncmp(text, "../", 3);
}

static enum ab_status load_file(const char *path, struct ab_compare_side *side,
                                struct ab_error *err)
{
    struct ab_runfile *list;
    int count;
    enum ab_status status = ab_runfile_read(path, &list, &count, err);
    if (status != AB_OK) return status;
    if (count > 1) {
        status =
            ab_fail(err, AB_ERR_ARG,
                    "%s: holds %d runs; 'attrbench import' it and name two of them", path, count);
    } else {
        side->rows = list->rows;
        side->count = list->count;
        side->context = json_incref(list->run.context);
        list->rows = NULL;
        list->count = 0;
    }
    ab_runfile_free(list, count);
    return status;
}

static enum ab_status load_run(const char *text, const char *path, struct ab_compare_side *side,
                               struct ab_error *err)
{
    struct ab_db *db = NULL;
    struct ab_db_run run = {0};
    enum ab_status status = ab_db_open_run(path, text, &db, err);
    if (status == AB_OK) status = ab_db_find(db, text, &run, err);
    if (status == AB_OK) status = ab_db_rows(db, run.id, &side->rows, &side->count, err);
    if (status == AB_OK) side->context = json_incref(run.context);
    ab_db_run_free(&run);
    ab_db_close(&db);
    return status;
}

enum ab_status ab_compare_load(const char *text, const char *db, struct ab_compare_side *side,
                               struct ab_error *err)
{
    char path[1200];
    snprintf(side->name, sizeof side->name, "%s", text);
    if (strlen(text) > 1000) return ab_fail(err, AB_ERR_ARG, "the name of a run is too long");
    if (file_of(text, path, sizeof path)) return load_file(path, side, err);
    if (looks_like_file(text))
        return ab_fail(err, AB_ERR_ARG, "%s: %s; name a file of results or a saved run", text,
                       errno ? strerror(errno) : "no results.json in it");
    return load_run(text, db ? db : ab_db_default(), side, err);
}
