// SPDX-License-Identifier: Apache-2.0
// attrbench report: options, and which files are written.
#include "record.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct report_settings {
    struct ab_words runs;
    const char *out, *title, *db;
    bool json, compare, cross;
};

/* Where runs are looked for that are no files; opened when the first is. */
struct store {
    const char *path;
    struct ab_db *db;
};

static enum ab_status add_stored(struct ab_report *report, struct store *store, const char *text,
                                 struct ab_error *err)
{
    struct ab_db_run run;
    enum ab_status status = store->db ? AB_OK : ab_db_open_run(store->path, text, &store->db, err);
    if (status == AB_OK) status = ab_db_find(store->db, text, &run, err);
    if (status != AB_OK) return status;
    status = ab_report_add_stored(report, store->db, store->path, &run, err);
    ab_db_run_free(&run);
    return status;
}

/* A file or folder if there is one of that name, else a run of the store. */
static enum ab_status add(struct ab_report *report, struct store *store, const char *text,
                          struct ab_error *err)
{
    struct stat info;
    if (stat(text, &info) == 0)
        return S_ISREG(info.st_mode) && ab_report_is_config(text)
                   ? ab_report_add_config(report, text, err)
                   : ab_report_add_file(report, text, err);
    return add_stored(report, store, text, err);
}

/* What was measured last here, where no run is named. */
static enum ab_status add_default(struct ab_report *report, struct store *store,
                                  struct ab_error *err)
{
    static const char folder[] = "./attrbench-out";
    struct stat info;
    if (stat(folder, &info) == 0) return ab_report_add_file(report, folder, err);
    if (stat(store->path, &info) != 0)
        return ab_fail(err, AB_ERR_IO,
                       "no RUN is named, and there is neither %s nor a store %s; measure with "
                       "attrbench run first",
                       folder, store->path);
    enum ab_status status = ab_db_open(store->path, AB_DB_READ, &store->db, err);
    struct ab_db_run *runs;
    int count;
    if (status == AB_OK) status = ab_db_runs(store->db, NULL, &runs, &count, err);
    if (status != AB_OK) return status;
    status = count ? ab_report_add_stored(report, store->db, store->path, &runs[count - 1], err)
                   : ab_fail(err, AB_ERR_IO, "%s: holds no runs; measure with attrbench run --save",
                             store->path);
    ab_db_runs_free(runs, count);
    return status;
}

static enum ab_status load(struct ab_report *report, const struct report_settings *s,
                           struct store *store, struct ab_error *err)
{
    enum ab_status status = AB_OK;
    if (!s->runs.count) status = add_default(report, store, err);
    for (int i = 0; status == AB_OK && i < s->runs.count; i++)
        status = add(report, store, s->runs.items[i], err);
    if (status != AB_OK) return status;
    if (!json_array_size(report->rows) && !json_array_size(report->deployments))
        return ab_fail(err, AB_ERR_IO,
                       "%s: holds no results: the run was interrupted before its first; measure "
                       "again",
                       ab_report_text(json_array_get(report->runs, 0), "source"));
    ab_report_thin(report);
    if (s->title) json_object_set_new(report->doc, "title", json_string(s->title));
    struct stat info;
    if (s->compare)
        status = ab_report_compare(report, stat(store->path, &info) == 0 ? store->path : NULL,
                                   s->cross, err);
    return status == AB_OK ? ab_report_add_histories(report, store->db, s->cross, err) : status;
}

static const struct {
    const char *file;
    enum ab_status (*write)(const struct ab_report *report, const char *path, struct ab_error *err);
    bool deployments; /* only where there are some */
} outputs[] = {{"report.html", ab_report_write_html},
               {"report.md", ab_report_write_markdown},
               {"report.csv", ab_report_write_csv},
               {"deployment.csv", ab_report_write_points, true},
               {"junit.xml", ab_report_write_junit}};

static enum ab_status write_all(const struct ab_report *report, const char *folder, FILE *talk,
                                struct ab_error *err)
{
    if (strlen(folder) > 1000)
        return ab_fail(err, AB_ERR_ARG, "--out: the name is too long; choose a shorter one");
    if (!ab_make_folders(folder))
        return ab_fail(err, AB_ERR_IO, "%s: cannot be written: %s; choose another --out", folder,
                       strerror(errno));
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        char path[1100];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", folder, outputs[i].file);
        if (outputs[i].deployments && !json_array_size(report->deployments)) {
            /* One that is left of another report would pass for this one's. */
            if (unlink(path) == 0 || errno == ENOENT) continue;
            return ab_fail(err, AB_ERR_IO,
                           "%s: is of another report and cannot be removed: %s; "
                           "choose another --out",
                           path, strerror(errno));
        }
        const enum ab_status status = outputs[i].write(report, path, err);
        if (status != AB_OK) return status;
        const double kib = stat(path, &info) == 0 ? (double)info.st_size / 1024 : 0;
        fprintf(talk, "%s (%.0f KiB)\n", path, kib);
    }
    return AB_OK;
}

static int run_command(void *user, int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct report_settings *s = user;
    struct ab_report report;
    struct ab_error err = {""};
    if (!ab_report_create(&report))
        return ab_complain(AB_EXIT_ERROR, "report: out of memory; close something else");
    struct store store = {.path = s->db ? s->db : ab_db_default()};
    enum ab_status status = load(&report, s, &store, &err);
    if (status == AB_OK)
        status = write_all(&report, s->out ? s->out : "./attrbench-report",
                           s->json ? stderr : stdout, &err);
    if (status == AB_OK && report.pictures_left_out)
        fprintf(stderr, "attrbench: note: %d pictures are left out: a page holds %d MiB of them\n",
                report.pictures_left_out, AB_REPORT_MAX_PICTURES >> 20);
    if (status == AB_OK && s->json) {
        if (!ab_report_print_data(stdout, &report))
            status = ab_fail(&err, AB_ERR_MEMORY, "report: out of memory; report fewer runs");
        putchar('\n');
    }
    ab_db_close(&store.db);
    ab_report_destroy(&report);
    if (status == AB_ERR_UNSUPPORTED && s->compare)
        return ab_complain(AB_EXIT_NOTHING, "%s", err.text);
    return status == AB_OK ? AB_EXIT_OK : ab_complain_status(status, &err);
}

#define FIELD(name) offsetof(struct report_settings, name)
static const struct ab_option options[] = {
    {"RUN...", NULL,
     "a results.json of attrbench run, the folder that holds it, the file that attrbench tune\n"
     "wrote, or a run of the store: NAME, NAME~2 (two before the newest), #12 or a git revision;\n"
     "default ./attrbench-out, else the newest run of the store",
     AB_OPTION_OPERANDS, FIELD(runs)},
    {"compare", NULL, "judges the second of two runs against the first, as attrbench compare does",
     AB_OPTION_FLAG, FIELD(compare)},
    {"cross", NULL, "--compare and histories: although machine, build or settings differ",
     AB_OPTION_FLAG, FIELD(cross)},
    {"db", "F", "the store; default $ATTRBENCH_DB or ./attrbench.db", AB_OPTION_TEXT, FIELD(db)},
    {"out", "DIR", "where the files go; default ./attrbench-report", AB_OPTION_TEXT, FIELD(out)},
    {"title", "TEXT", "the heading", AB_OPTION_TEXT, FIELD(title)},
    {"json", NULL, "the report's data as JSON on standard output; talk goes to standard error",
     AB_OPTION_FLAG, FIELD(json)},
};

const struct ab_command ab_command_report = {
    .name = "report",
    .summary = "writes a page, a summary and a table from results",
    .usage = "[RUN]... [--compare A B] [OPTION]...",
    .more = "Writes report.html (one file that needs no network), report.md, report.csv and "
            "junit.xml,\nand deployment.csv of what attrbench tune wrote.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_size = sizeof(struct report_settings),
    .run = run_command,
};
