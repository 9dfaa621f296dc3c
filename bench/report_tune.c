// SPDX-License-Identifier: Apache-2.0
// Configurations that `attrbench tune` wrote, into the document of a report: every field is checked
// and only known ones are taken, so that the page can rely on them.
#include "report.h"
#include "report_tune_fields.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- checking ---- */

/* Where the field is, for errors: "points[3].latency_ns.p99". */
struct place {
    const char *file;
    char path[200];
};

static json_t *wrong(const struct place *at, const char *name, const char *wanted,
                     struct ab_error *err)
{
    ab_fail(err, AB_ERR_FORMAT,
            "%.200s: %.100s%s%.60s: is not %.100s; write the file anew with "
            "attrbench tune --out",
            at->file, at->path, *at->path && *name ? "." : "", name, wanted);
    return NULL;
}

static json_t *take_object(const json_t *value, const struct field *fields, const struct place *at,
                           struct ab_error *err);

/* Whether `word` is one of "a|b". */
static bool among(const char *word, const char *words)
{
    const size_t length = strlen(word);
    for (const char *at = words; *at; at += strcspn(at, "|") + (at[strcspn(at, "|")] == '|'))
        if (strcspn(at, "|") == length && !strncmp(at, word, length)) return true;
    return false;
}

static bool is_number(const json_t *value, bool whole)
{
    const double v = json_is_number(value) ? json_number_value(value) : -1;
    return isfinite(v) && v >= 0 && (!whole || (json_is_integer(value) && v <= 9e15));
}

static bool all_texts(const json_t *list, bool numbers_too)
{
    bool good = json_is_array(list);
    for (size_t i = 0; good && i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        good = json_is_string(item) || (numbers_too && json_is_number(item));
    }
    return good;
}

static bool all_levels(json_t *object)
{
    const char *name;
    json_t *list;
    bool good = json_is_object(object);
    if (good) json_object_foreach(object, name, list) good = good && all_texts(list, true);
    return good;
}

static bool all_cpus(const json_t *list)
{
    bool good = json_is_array(list);
    for (size_t i = 0; good && i < json_array_size(list); i++) {
        const json_t *of = json_array_get(list, i);
        good = json_is_array(of);
        for (size_t k = 0; good && k < json_array_size(of); k++)
            good = is_number(json_array_get(of, k), true);
    }
    return good;
}

static json_t *take_list(const json_t *list, const struct field *field, const struct place *at,
                         struct ab_error *err)
{
    json_t *taken = json_array();
    const bool alone = json_is_object(list);
    const size_t count = alone ? 1 : json_array_size(list);
    for (size_t i = 0; i < count; i++) {
        struct place inside = {.file = at->file};
        snprintf(inside.path, sizeof inside.path, "%.120s%s%s[%zu]", at->path, *at->path ? "." : "",
                 field->name, i);
        json_t *item = take_object(alone ? list : json_array_get(list, i), field->of, &inside, err);
        if (!item) {
            json_decref(taken);
            return NULL;
        }
        json_array_append_new(taken, item);
    }
    return taken;
}

/* The value if it is what the field says, new reference; NULL: it is not, `err` says so. */
static json_t *take(json_t *value, const struct field *field, const struct place *at,
                    struct ab_error *err)
{
    struct place inside = {.file = at->file};
    switch (field->kind) {
    case TEXT:
        if (!json_is_string(value)) return wrong(at, field->name, "a text", err);
        if (field->words && !among(json_string_value(value), field->words)) {
            char wanted[100];
            snprintf(wanted, sizeof wanted, "one of %.80s", field->words);
            return wrong(at, field->name, wanted, err);
        }
        return json_incref(value);
    case NUMBER:
        return is_number(value, false) ? json_incref(value)
                                       : wrong(at, field->name, "a number from 0", err);
    case COUNT:
        return is_number(value, true) ? json_incref(value)
                                      : wrong(at, field->name, "a whole number from 0", err);
    case BOOL:
        return json_is_boolean(value) ? json_incref(value)
                                      : wrong(at, field->name, "true or false", err);
    case TEXTS:
        return all_texts(value, false) ? json_incref(value)
                                       : wrong(at, field->name, "a list of texts", err);
    case LEVELS:
        return all_levels(value) ? json_incref(value)
                                 : wrong(at, field->name, "an object of lists of values", err);
    case CPUS:
        return all_cpus(value) ? json_incref(value)
                               : wrong(at, field->name, "a list of lists of CPUs", err);
    case ANY:
        return json_is_object(value) ? json_incref(value)
                                     : wrong(at, field->name, "an object", err);
    case OBJECTS:
        if (!json_is_array(value) && !json_is_object(value))
            return wrong(at, field->name, "a list", err);
        return take_list(value, field, at, err);
    case OBJECT: break;
    }
    snprintf(inside.path, sizeof inside.path, "%.120s%s%s", at->path, *at->path ? "." : "",
             field->name);
    return take_object(value, field->of, &inside, err);
}

/* A copy with the known fields. */
static json_t *take_object(const json_t *value, const struct field *fields, const struct place *at,
                           struct ab_error *err)
{
    if (!json_is_object(value)) return wrong(at, "", "an object", err);
    json_t *taken = json_object();
    for (const struct field *f = fields; f->name; f++) {
        json_t *member = json_object_get(value, f->name);
        if (!f->needed && (!member || json_is_null(member))) continue;
        json_t *copy = member ? take(member, f, at, err) : wrong(at, f->name, "there", err);
        if (!copy || json_object_set_new(taken, f->name, copy) != 0) {
            json_decref(taken);
            return NULL;
        }
    }
    return taken;
}

static const json_t *point_of(const json_t *deployment, const char *text)
{
    const json_t *points = json_object_get(deployment, "points");
    for (size_t i = 0; i < json_array_size(points); i++)
        if (!strcmp(ab_report_text(json_array_get(points, i), "text"), text))
            return json_array_get(points, i);
    return NULL;
}

const json_t *ab_report_recommended(const json_t *deployment)
{
    const char *text = ab_report_text(deployment, "recommended");
    return *text ? point_of(deployment, text) : NULL;
}

/* Texts that name points name some. */
static bool names_points(const json_t *deployment, const struct place *at, struct ab_error *err)
{
    static const char *const names[] = {"recommended", "best", "closest"};
    for (int i = 0; i < 3; i++) {
        const char *text = ab_report_text(deployment, names[i]);
        if (*text && !point_of(deployment, text)) {
            wrong(at, names[i], "the text of one of the points", err);
            return false;
        }
    }
    return true;
}

/* ---- files ---- */

/* What makes a file a configuration stands near its beginning, whoever wrote it. */
bool ab_report_is_config(const char *path)
{
    enum { BEGINNING = 65536 };
    FILE *f = fopen(path, "rb");
    char *text = f ? calloc(1, BEGINNING + 1) : NULL;
    const bool is = text && fread(text, 1, BEGINNING, f) > 0 &&
                    text[strspn(text, " \t\r\n")] == '{' && strstr(text, "\"attrbench_config\"");
    free(text);
    if (f) fclose(f);
    return is;
}

static json_t *read_config(const char *path, struct ab_error *err)
{
    json_error_t e;
    const struct place at = {.file = path};
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &e), *config = NULL;
    if (!root) {
        if (json_error_code(&e) == json_error_cannot_open_file)
            ab_fail(err, AB_ERR_IO, "%.200s: %s; check the name", path, strerror(errno));
        else
            ab_fail(err, AB_ERR_FORMAT, "%.200s: line %d: no JSON: %.120s", path, e.line, e.text);
        return NULL;
    }
    if (json_integer_value(json_object_get(root, "attrbench_config")) != 1)
        ab_fail(err, AB_ERR_FORMAT,
                "%.200s: attrbench_config: is not 1, the version that this attrbench reads; use "
                "the attrbench that wrote it",
                path);
    else if (!json_object_get(root, "tune"))
        ab_fail(err, AB_ERR_FORMAT,
                "%.200s: a configuration without measurements; attrbench tune --out writes them",
                path);
    else
        config = take_object(root, file_fields, &at, err);
    json_decref(root);
    if (config && !names_points(config, &at, err)) {
        json_decref(config);
        return NULL;
    }
    return config;
}

static bool is_name_taken(const struct ab_report *report, const char *name)
{
    for (size_t i = 0; i < json_array_size(report->deployments); i++)
        if (!strcmp(ab_report_text(json_array_get(report->deployments, i), "name"), name))
            return true;
    return false;
}

/* That of the file without its ending; where another has it, with as many of its folders as tell
 * them apart, and of one file that is given twice with a number. */
static void name_config(const struct ab_report *report, const char *path, char *name, size_t size)
{
    const char *slash = strrchr(path, '/'), *from = slash ? slash + 1 : path;
    const char *dot = strrchr(from, '.');
    const char *end = dot && dot > from ? dot : from + strlen(from);
    const ptrdiff_t most = (ptrdiff_t)size - 16; /* the rest is for the number */
    snprintf(name, size, "%.*s", (int)(end - from < most ? end - from : most), from);
    while (is_name_taken(report, name) && from > path && end - from < most) {
        for (from--; from > path && from[-1] != '/';) from--;
        if (end - from < most) snprintf(name, size, "%.*s", (int)(end - from), from);
    }
    const size_t used = strlen(name);
    for (int n = 2; is_name_taken(report, name); n++)
        snprintf(name + used, size - used, " (%d)", n);
}

enum ab_status ab_report_add_config(struct ab_report *report, const char *path,
                                    struct ab_error *err)
{
    struct ab_error why = {""};
    json_t *config = read_config(path, &why);
    if (!config)
        return ab_fail(err, *why.text ? AB_ERR_FORMAT : AB_ERR_MEMORY, "%.500s",
                       *why.text ? why.text : "out of memory; report fewer files");
    char name[128];
    name_config(report, path, name, sizeof name);
    if (json_object_set_new(config, "name", json_string(name)) == 0 &&
        json_object_set_new(config, "source", json_string(path)) == 0 &&
        json_array_append_new(report->deployments, config) == 0)
        return AB_OK;
    return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory; report fewer files", path);
}
