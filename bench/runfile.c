// SPDX-License-Identifier: Apache-2.0
// Results from files: recognised by content; our own forms.
#include "runfile.h"

#include "stats.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* More than any run has, less than what a text in memory may be. */
static const long MAX_BYTES = 1L << 30;

/* ---- rows ---- */

enum ab_status ab_runfile_add(struct ab_runfile *r, struct ab_keys *keys, json_t *record,
                              struct ab_error *err)
{
    char key[AB_ROW_KEY];
    struct ab_db_row *grown = realloc(r->rows, ((size_t)r->count + 1) * sizeof *grown);
    if (grown) r->rows = grown;
    if (!grown || !ab_keys_next(keys, record, key, sizeof key)) {
        json_decref(record);
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for rows");
    }
    json_object_del(record, "key");
    const enum ab_status status = ab_db_row_of(record, key, &grown[r->count], err);
    r->count += status == AB_OK;
    return status;
}

bool ab_runfile_put_samples(json_t *record, const double *ns, int count)
{
    struct ab_stats s = {0};
    json_t *list = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(list, json_real(ns[i]));
    bool good = json_array_size(list) == (size_t)count &&
                json_object_set_new(record, "samples", json_integer(count)) == 0;
    if (count) {
        good = good && ab_stats_of(ns, count, &s);
        const struct {
            const char *name;
            double value;
        } fields[] = {
            {"ns_min", s.min}, {"ns_p10", s.p10}, {"ns_median", s.median}, {"ns_p90", s.p90}};
        for (size_t i = 0; good && i < sizeof fields / sizeof *fields; i++)
            good = json_object_set_new(record, fields[i].name, json_real(fields[i].value)) == 0;
    }
    good = json_object_set(record, "samples_ns", list) == 0 && good;
    json_decref(list);
    return good;
}

json_t *ab_runfile_context(const char *format, const char *date)
{
    json_t *context = json_pack("{s:i, s:{}, s:{}, s:{}, s:b, s:s}", "schema", 1, "cpu", "build",
                                "system", "interrupted", 0, "measured_by", format);
    if (context && date && *date) json_object_set_new(context, "date", json_string(date));
    return context;
}

void ab_runfile_free(struct ab_runfile *list, int count)
{
    for (int i = 0; i < count; i++) {
        ab_db_run_free(&list[i].run);
        ab_db_rows_free(list[i].rows, list[i].count);
    }
    free(list);
}

/* ---- our own ---- */

/* `where`: of the record in the file. */
static enum ab_status add_record(struct ab_runfile *r, struct ab_keys *keys, const json_t *value,
                                 const char *where, size_t number, struct ab_error *err)
{
    struct ab_error why;
    if (!json_is_object(value) || !json_is_string(json_object_get(value, "kind")))
        return ab_fail(err, AB_ERR_FORMAT, "%s %zu is no record of attrbench: it has no kind",
                       where, number);
    json_t *copy = json_copy((json_t *)value);
    if (!copy) return ab_fail(err, AB_ERR_MEMORY, "out of memory for rows");
    const enum ab_status status = ab_runfile_add(r, keys, copy, &why);
    return status == AB_OK ? AB_OK : ab_fail(err, status, "%s %zu: %s", where, number, why.text);
}

static void take_text(const json_t *from, const char *field, char *text, size_t size)
{
    const char *value = json_string_value(json_object_get(from, field));
    if (value) snprintf(text, size, "%s", value);
}

/* {"context", "results"}, and "run" and "command" where the file is an export. */
static enum ab_status read_own(json_t *root, struct ab_runfile *r, struct ab_error *err)
{
    struct ab_keys keys = {0};
    json_t *context = json_object_get(root, "context"), *rows = json_object_get(root, "results");
    const json_t *run = json_object_get(root, "run");
    if (!json_is_object(context) || !json_is_array(rows))
        return ab_fail(err, AB_ERR_FORMAT, "context is no object, or results no list");
    r->format = "attrbench results";
    r->run.context = json_incref(context);
    take_text(context, "date", r->run.started, sizeof r->run.started);
    r->run.finished = !json_is_true(json_object_get(context, "interrupted"));
    if (run) {
        take_text(run, "name", r->run.name, sizeof r->run.name);
        take_text(run, "started", r->run.started, sizeof r->run.started);
        take_text(run, "finished", r->run.finished_at, sizeof r->run.finished_at);
        take_text(run, "revision", r->run.revision, sizeof r->run.revision);
        r->run.finished = *r->run.finished_at;
        json_t *command = json_object_get(run, "command");
        if (command) r->run.command = json_incref(command);
    }
    enum ab_status status = AB_OK;
    for (size_t i = 0; i < json_array_size(rows) && status == AB_OK; i++)
        status = add_record(r, &keys, json_array_get(rows, i), "result", i + 1, err);
    ab_keys_free(&keys);
    return status;
}

/* ---- JSON ---- */

/* What jansson complains of in `text`, whose first line is number `line`, for people. Numbers that
 * are none are what happens most. */
static enum ab_status bad_json(const char *text, const json_error_t *e, int line,
                               struct ab_error *err)
{
    static const char *const words[] = {"NaN", "nan", "Inf", "inf"};
    const char *near = strstr(e->text, " near '");
    const size_t length = strlen(text);
    const char *rest = text + ((size_t)e->position < length ? (size_t)e->position : length);
    bool number = near && !strncmp(near, " near '-'", 9) && *rest && strchr("NnIi", *rest);
    for (size_t i = 0; near && i < sizeof words / sizeof *words; i++)
        number = number || strstr(near, words[i]);
    line += e->line - 1;
    if (number)
        return ab_fail(err, AB_ERR_FORMAT,
                       "line %d: NaN and infinity are no JSON; write null in their place", line);
    return ab_fail(err, AB_ERR_FORMAT, "line %d: no JSON: %.120s", line, e->text);
}

/* A run's log: the context, then a record a line. The last line may be cut. */
static enum ab_status read_lines(char *text, struct ab_runfile *r, struct ab_error *err)
{
    struct ab_keys keys = {0};
    json_error_t e;
    enum ab_status status = AB_OK;
    int line = 1;
    r->format = "attrbench results, a line each";
    for (char *at = text; *at && status == AB_OK; line++) {
        char *end = at + strcspn(at, "\n");
        const bool last = !*end;
        *end = '\0';
        json_t *value = json_loads(at, 0, &e);
        if (!value && last && line > 1) break;
        if (!value)
            status = bad_json(at, &e, line, err);
        else if (line == 1) {
            r->run.context = json_incref(json_object_get(value, "context"));
            take_text(r->run.context, "date", r->run.started, sizeof r->run.started);
        } else {
            status = add_record(r, &keys, value, "line", (size_t)line, err);
        }
        json_decref(value);
        at = last ? end : end + 1;
    }
    ab_keys_free(&keys);
    return status;
}

static bool is_log(const char *text)
{
    char *first = strndup(text, strcspn(text, "\n"));
    json_t *value = first ? json_loads(first, 0, NULL) : NULL;
    const bool log =
        json_object_size(value) == 1 && json_is_object(json_object_get(value, "context"));
    json_decref(value);
    free(first);
    return log;
}

static enum ab_status read_json(char *text, struct ab_runfile **list, int *count,
                                struct ab_error *err)
{
    json_error_t e;
    if (is_log(text)) return read_lines(text, *list, err);
    json_t *root = json_loads(text, 0, &e);
    if (!root) return bad_json(text, &e, 1, err);
    json_t *runs = json_object_get(root, "runs");
    enum ab_status status = AB_OK;
    if (json_is_array(runs) && json_array_size(runs)) {
        const size_t n = json_array_size(runs);
        struct ab_runfile *grown = realloc(*list, n * sizeof *grown);
        if (!grown) status = ab_fail(err, AB_ERR_MEMORY, "out of memory for runs");
        if (grown) *list = memset(grown, 0, n * sizeof *grown);
        if (grown) *count = (int)n;
        for (size_t i = 0; i < n && status == AB_OK; i++) {
            struct ab_error why;
            status = read_own(json_array_get(runs, i), &(*list)[i], &why);
            if (status != AB_OK) ab_fail(err, status, "run %zu: %s", i + 1, why.text);
        }
    } else if (json_object_get(root, "results")) {
        status = read_own(root, *list, err);
    } else if (json_object_get(root, "benchmarks")) {
        status = ab_runfile_of_gbench(root, *list, err);
    } else {
        status = ab_fail(err, AB_ERR_FORMAT,
                         "JSON, but neither attrbench's (results) nor Google Benchmark's "
                         "(benchmarks)");
    }
    json_decref(root);
    return status;
}

/* ---- files ---- */

/* With a 0 behind it; free() it. */
static enum ab_status read_text(const char *path, char **text, struct ab_error *err)
{
    struct stat info;
    FILE *f = fopen(path, "rb");
    *text = NULL;
    if (!f || fstat(fileno(f), &info) != 0) {
        const int why = errno;
        if (f) fclose(f);
        return ab_fail(err, AB_ERR_IO, "%s; check the name", strerror(why));
    }
    enum ab_status status = AB_OK;
    size_t got = 0, room = (size_t)(S_ISREG(info.st_mode) ? info.st_size : 0) + 65536;
    if (info.st_size > MAX_BYTES) status = ab_fail(err, AB_ERR_FORMAT, "over 1 GiB: no results");
    while (status == AB_OK && (*text = realloc(*text, room + 1))) {
        got += fread(*text + got, 1, room - got, f);
        if (got < room || room > (size_t)MAX_BYTES) break;
        room *= 2;
    }
    if (status == AB_OK && !*text) status = ab_fail(err, AB_ERR_MEMORY, "out of memory");
    if (status == AB_OK && ferror(f)) status = ab_fail(err, AB_ERR_IO, "%s", strerror(errno));
    fclose(f);
    if (status == AB_OK) (*text)[got] = '\0';
    if (status == AB_OK && strlen(*text) != got)
        status = ab_fail(err, AB_ERR_FORMAT,
                         "no text: attrbench's results, Google Benchmark's "
                         "JSON and benchdnn's output are");
    return status;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The name of the file without its ending; results.json says nothing, its folder does. */
static void name_of(const char *path, char *name, size_t size)
{
    char copy[1024];
    snprintf(copy, sizeof copy, "%s", path);
    char *base = (char *)base_name(copy);
    if (!strncmp(base, "results.json", 12) && base - copy > 1) {
        base[-1] = '\0';
        base = (char *)base_name(copy);
    } else if (strrchr(base, '.') && strrchr(base, '.') > base) {
        *strrchr(base, '.') = '\0';
    }
    snprintf(name, size, "%.100s", base);
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("._-+@", *c)) *c = '-';
    while (strchr("-+.", *name) && *name) memmove(name, name + 1, strlen(name));
    if (!*name) snprintf(name, size, "imported");
}

static enum ab_status read_any(char *text, struct ab_runfile **list, int *count,
                               struct ab_error *err)
{
    const char *first = text + strspn(text, " \t\r\n");
    if (*first == '{' || *first == '[') return read_json(text, list, count, err);
    if (ab_runfile_is_benchdnn(text)) return ab_runfile_of_benchdnn(text, *list, err);
    return ab_fail(err, AB_ERR_FORMAT,
                   "%s; attrbench's results.json, results.jsonl and exports are read, Google "
                   "Benchmark's JSON, and the output of benchdnn --mode=P",
                   *first ? "no results" : "empty");
}

/* What the formats leave open. */
static enum ab_status complete(struct ab_runfile *r, const char *path, struct ab_error *err)
{
    snprintf(r->run.origin, sizeof r->run.origin, "%s", base_name(path));
    if (!*r->run.name || ab_db_check_name(r->run.name, NULL) != AB_OK)
        name_of(path, r->run.name, sizeof r->run.name);
    if (!r->run.command) r->run.command = json_array();
    if (!r->run.context || !r->run.command)
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for runs");
    if (r->count) return AB_OK;
    return ab_fail(err, AB_ERR_FORMAT, "no rows in it: nothing was measured");
}

enum ab_status ab_runfile_read(const char *path, struct ab_runfile **list, int *count,
                               struct ab_error *err)
{
    char *text;
    struct ab_error why = {""};
    *count = 1;
    *list = calloc(1, sizeof **list);
    enum ab_status status = *list ? read_text(path, &text, &why) : AB_ERR_MEMORY;
    if (!*list) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
    if (status == AB_OK) status = read_any(text, list, count, &why);
    for (int i = 0; i < *count && status == AB_OK; i++) status = complete(&(*list)[i], path, &why);
    free(text);
    if (status == AB_OK) return AB_OK;
    ab_runfile_free(*list, *count);
    *list = NULL;
    *count = 0;
    return ab_fail(err, status, "%.150s: %.350s", path, why.text);
}
