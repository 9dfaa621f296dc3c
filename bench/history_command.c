// SPDX-License-Identifier: Apache-2.0
// attrbench history: what is in the store, and where it became slower or faster.
#include "command.h"
#include "history.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct history_settings {
    struct ab_words names;
    const char *db, *row;
    bool runs, all, regressions, cross, json;
};

/* Without --row and --all, more rows than a screen has are left to those that changed. */
enum { SCREEN = 40, SPARK = 32 };

/* ---- runs ---- */

static void print_runs(const struct ab_db_run *runs, int count)
{
    printf("%5s  %-24s %-20s %-14s %-16s %5s  %s\n", "run", "name", "started", "revision",
           "fingerprint", "rows", "state");
    for (int i = 0; i < count; i++) {
        char id[24];
        snprintf(id, sizeof id, "#%lld", (long long)runs[i].id);
        printf("%5s  %-24s %-20s %-14s %-16s %5d  %s%s\n", id, runs[i].name, runs[i].started,
               runs[i].revision, runs[i].fingerprint, runs[i].rows,
               runs[i].finished ? "finished" : "unfinished",
               strcmp(runs[i].origin, "run") != 0 ? ", imported" : "");
    }
}

static enum ab_status list_runs(struct ab_db *db, const char *name, bool json, struct ab_error *err)
{
    struct ab_db_run *runs;
    int count;
    enum ab_status status = ab_db_runs(db, name, &runs, &count, err);
    if (status != AB_OK) return status;
    if (json) {
        const struct ab_history h = {.runs = runs, .n_runs = count};
        json_t *o = ab_history_json(&h);
        if (!o || json_dumpf(o, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII) != 0)
            status = ab_fail(err, AB_ERR_IO, "standard output: cannot be written");
        json_decref(o);
        printf("\n");
    } else if (count) {
        print_runs(runs, count);
    } else {
        printf("no runs%s%s\n", name ? " of the name " : "", name ? name : "");
    }
    ab_db_runs_free(runs, count);
    return status;
}

/* ---- rows ---- */

static bool is_ascii(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        if (value && *value)
            return !strstr(value, "UTF-8") && !strstr(value, "utf8") && !strstr(value, "UTF8");
    }
    return true;
}

static void print_row(const struct ab_history *h, const struct ab_history_row *row)
{
    char last[32], spark[4 * 2 * SPARK + 8], range[160];
    ab_history_sparkline(row, SPARK, is_ascii(), spark, sizeof spark);
    printf("%-62s %9s  %s\n", row->key, ab_time_text(row->levels[row->n_breaks], last, sizeof last),
           spark);
    for (int s = row->n_breaks - 1; s >= 0; s--) {
        char before[32], after[32];
        const struct ab_db_run *run = &h->runs[row->runs[row->breaks[s]]];
        const bool same = !strchr(ab_history_range(h, row, s, range, sizeof range), '.');
        const bool newest = row->breaks[s] + 1 == row->count;
        printf("    %+.1f %% (%s to %s) at %s%s, run %s (#%lld) of %s%s\n",
               100 * (row->levels[s + 1] / row->levels[s] - 1),
               ab_time_text(row->levels[s], before, sizeof before),
               ab_time_text(row->levels[s + 1], after, sizeof after), range,
               same ? ", the same before and after" : "", run->name, (long long)run->id,
               run->started, newest ? ", one run so far" : "");
    }
}

/* Those that became slower last, the worst first; then the faster ones; then the others by key. */
static int by_change(const void *a, const void *b)
{
    const struct ab_history_row *x = a, *y = b;
    const double cx = ab_history_change(x), cy = ab_history_change(y);
    if ((x->n_breaks > 0) != (y->n_breaks > 0)) return x->n_breaks > 0 ? -1 : 1;
    if (cx != cy) return cx > cy ? -1 : 1;
    return strcmp(x->key, y->key);
}

static void print_head(const struct ab_history *h, const char *name)
{
    const struct ab_db_run *first = &h->runs[0], *last = &h->runs[h->n_runs - 1];
    printf("%d run%s%s%s, %s (%s) to %s (%s), %d rows\n", h->n_runs, h->n_runs == 1 ? "" : "s",
           name ? " of the name " : "", name ? name : "", first->started, first->revision,
           last->started, last->revision, h->n_rows);
    if (h->others)
        printf(
            "%d other%s left out: measured under other conditions (%s); --cross takes them too\n",
            h->others, h->others == 1 ? " is" : "s are", h->differs);
    if (h->crossed)
        printf("%d of them measured under other conditions than the newest (%s)\n", h->crossed,
               h->differs);
    printf("times: the 10th percentile of a run's undisturbed samples, here the last level\n\n");
}

static void print_history(const struct ab_history *h, const struct history_settings *s)
{
    int slower = 0, faster = 0, shown = 0;
    const bool all = s->all || s->row || h->n_rows <= SCREEN;
    print_head(h, s->names.count ? s->names.items[0] : NULL);
    qsort(h->rows, (size_t)h->n_rows, sizeof *h->rows, by_change);
    for (int i = 0; i < h->n_rows; i++) {
        const struct ab_history_row *row = &h->rows[i];
        const double change = ab_history_change(row);
        slower += change > 1;
        faster += change < 1;
        if (s->regressions ? change <= 1 : !row->n_breaks && !all) continue;
        print_row(h, row);
        shown++;
    }
    printf("%s%d row%s slower at %s last change, %d faster, %d without a change%s\n",
           shown ? "\n" : "", slower, slower == 1 ? "" : "s", slower == 1 ? "its" : "their", faster,
           h->n_rows - slower - faster,
           shown < h->n_rows && !s->regressions ? " (--all shows them)" : "");
    /* The scatter of a row is that of most runs from one to the next: three tell none. */
    if (h->n_runs < 4) printf("fewer than four runs show no steps: save more runs for a history\n");
}

static enum ab_status show(struct ab_db *db, const struct history_settings *s, struct ab_error *err)
{
    struct ab_history h;
    const struct ab_history_options o = {
        .name = s->names.count ? s->names.items[0] : NULL, .pattern = s->row, .cross = s->cross};
    enum ab_status status = ab_history_read(db, &o, &h, err);
    if (status != AB_OK) return status;
    if (s->json) {
        json_t *o_json = ab_history_json(&h);
        if (!o_json || json_dumpf(o_json, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII) != 0)
            status =
                ab_fail(err, AB_ERR_IO, "standard output: cannot be written; redirect elsewhere");
        json_decref(o_json);
        printf("\n");
    } else {
        print_history(&h, s);
    }
    ab_history_free(&h);
    return status;
}

static int run_command(void *user, int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct history_settings *s = user;
    struct ab_db *db;
    struct ab_error err;
    if (s->names.count > 1)
        return ab_complain(AB_EXIT_USAGE,
                           "history: one name at a time, not '%s' too; without a name all runs are "
                           "taken",
                           s->names.items[1]);
    const char *path = s->db ? s->db : ab_db_default();
    enum ab_status status = s->names.count ? ab_db_open_run(path, s->names.items[0], &db, &err)
                                           : ab_db_open(path, AB_DB_READ, &db, &err);
    if (status == AB_OK)
        status = s->runs ? list_runs(db, s->names.count ? s->names.items[0] : NULL, s->json, &err)
                         : show(db, s, &err);
    ab_db_close(&db);
    return status == AB_OK ? AB_EXIT_OK : ab_complain_status(status, &err);
}

#define FIELD(name) offsetof(struct history_settings, name)
static const struct ab_option options[] = {
    {"NAME", NULL, "of the runs; default: all runs", AB_OPTION_OPERANDS, FIELD(names)},
    {"row", "GLOB", "rows whose key is like this, such as '*lrp-zplus/native*'", AB_OPTION_TEXT,
     FIELD(row)},
    {"regressions", NULL, "only rows that became slower at their last change", AB_OPTION_FLAG,
     FIELD(regressions)},
    {"all", NULL, "also rows without a change, where there are many", AB_OPTION_FLAG, FIELD(all)},
    {"cross", NULL, "also runs that were measured under other conditions than the newest",
     AB_OPTION_FLAG, FIELD(cross)},
    {"runs", NULL, "list the runs instead", AB_OPTION_FLAG, FIELD(runs)},
    {"json", NULL, "the same as JSON, with all points", AB_OPTION_FLAG, FIELD(json)},
    {"db", "F", "the store; default $ATTRBENCH_DB, or attrbench.db in the current folder",
     AB_OPTION_TEXT, FIELD(db)},
};

const struct ab_command ab_command_history = {
    .name = "history",
    .summary =
        "shows how saved runs changed: steps, the commits between which they lie, sparklines",
    .usage = "[NAME] [OPTION]...",
    .more = "A step is where a piecewise constant fit of the logarithms breaks; steps below 1 % or "
            "three noise\nfloors ('attrbench doctor --aa N --save') are left out.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_size = sizeof(struct history_settings),
    .run = run_command,
};
