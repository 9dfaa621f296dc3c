// SPDX-License-Identifier: Apache-2.0
// Results of oneDNN's benchdnn --mode=P: lines of values under a line that names them.
//
//     Output template: perf,%engine%,%impl%,%name%,%prb%,%Gops%,%+ctime%,%-time%,%-Gflops%,...
//     perf,cpu,jit:avx512_core,resnet_50:conv1,--conv mb1ic3...,0.236,0.7,0.0522,4.52,...
//
// A problem has commas where its options do, and %DESC% stands for several values: what a line has
// more than its template belongs to that column.
#include "runfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 48 };
static const char MARK[] = "Output template:";
static const char USUAL[] =
    "perf,%engine%,%impl%,%name%,%prb%,%Gops%,%+ctime%,%-time%,%-Gflops%,%0time%,%0Gflops%";

struct layout {
    char text[1024];
    char *columns[MAX_COLUMNS];
    int count;
    int problem;        /* the column that may have commas; -1: none */
    int least, average; /* of times; -1: not there */
};

static bool names(const char *column, const char *name)
{
    return !strcmp(column, name);
}

/* False: too many columns, or no time among them. */
static bool read_layout(const char *text, struct layout *l)
{
    *l = (struct layout){.problem = -1, .least = -1, .average = -1};
    snprintf(l->text, sizeof l->text, "%s", text);
    for (char *at = l->text; at && l->count < MAX_COLUMNS;) {
        char *next = strchr(at, ',');
        if (next) *next++ = '\0';
        if (names(at, "%prb%") || names(at, "%desc%") || names(at, "%DESC%")) l->problem = l->count;
        if (names(at, "%-time%") || names(at, "%time%")) l->least = l->count;
        if (names(at, "%0time%")) l->average = l->count;
        l->columns[l->count++] = at;
        at = next;
    }
    return (l->least >= 0 || l->average >= 0) && names(l->columns[0], "perf");
}

bool ab_runfile_is_benchdnn(const char *text)
{
    return strstr(text, MARK) || !strncmp(text, "perf,", 5) || strstr(text, "\nperf,");
}

/* Cuts a line into the layout's columns. False: it has fewer. */
static bool split(char *line, const struct layout *l, char **values)
{
    int extra = -l->count;
    for (const char *c = line - 1; c; c = strchr(c + 1, ',')) extra++;
    if (extra < 0 || (extra && l->problem < 0)) return false;
    for (int i = 0; i < l->count; i++) {
        values[i] = line;
        char *comma = strchr(line, ',');
        for (int more = i == l->problem ? extra : 0; comma && more; more--)
            comma = strchr(comma + 1, ',');
        if (comma) *comma = '\0';
        line = comma ? comma + 1 : line + strlen(line);
    }
    return true;
}

/* Milliseconds; below 0: no number. */
static double number(const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    return end == text || *end || !(value >= 0 && value < 1e12) ? -1 : value;
}

static bool is_result(const char *column)
{
    const size_t length = strlen(column);
    static const char *const endings[] = {"time%", "flops%", "Gops%", "Gfreq%",
                                          "bw%",   "%ops%",  "perf"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t ending = strlen(endings[i]);
        if (length >= ending && !strcmp(column + length - ending, endings[i])) return true;
    }
    return false;
}

/* What was run: all columns that are no result, without what oneDNN chose for it. */
static void name_of(const struct layout *l, char **values, char *name, size_t size)
{
    size_t used = 0;
    *name = '\0';
    for (int i = 0; i < l->count && used < size; i++) {
        const char *column = l->columns[i];
        if (is_result(column) || names(column, "%impl%") || names(column, "%name%") || !*values[i])
            continue;
        used += (size_t)snprintf(name + used, size - used, "%s%s", used ? " " : "", values[i]);
    }
}

static const char *value_of(const struct layout *l, char **values, const char *column)
{
    for (int i = 0; i < l->count; i++)
        if (names(l->columns[i], column)) return values[i];
    return "";
}

static json_t *record_of(const struct layout *l, char **values, const char *name)
{
    const char *layer = value_of(l, values, "%name%"), *impl = value_of(l, values, "%impl%");
    const double average = l->average >= 0 ? number(values[l->average]) : -1;
    json_t *record = json_pack("{s:s, s:s, s:s, s:[s], s:[]}", "kind", "benchdnn", "name", name,
                               "backend", "onednn", "kernels", impl, "samples_ns");
    if (record && *layer) json_object_set_new(record, "layer", json_string(layer));
    if (record && average > 0) json_object_set_new(record, "ns_mean", json_real(average * 1e6));
    return record;
}

/* One line; a problem that was there before gets another sample. `records`: by name. */
static enum ab_status add_line(json_t *records, char *line, const struct layout *l, int number_of,
                               struct ab_error *err)
{
    char *values[MAX_COLUMNS], name[AB_ROW_KEY / 2];
    const int column = l->least >= 0 ? l->least : l->average;
    if (!split(line, l, values))
        return ab_fail(err, AB_ERR_FORMAT, "line %d: not the values that the template names",
                       number_of);
    name_of(l, values, name, sizeof name);
    const double ms = number(values[column]);
    if (ms < 0 || !*name)
        return ab_fail(err, AB_ERR_FORMAT, "line %d: '%.40s' is no time in milliseconds", number_of,
                       values[column]);
    json_t *record = json_object_get(records, name);
    if (!record) {
        record = record_of(l, values, name);
        if (!record || json_object_set_new(records, name, record) != 0)
            return ab_fail(err, AB_ERR_MEMORY, "out of memory for rows");
    }
    /* 0: shorter than benchdnn's clock tells, or not run. */
    if (ms > 0) json_array_append_new(json_object_get(record, "samples_ns"), json_real(ms * 1e6));
    return AB_OK;
}

static enum ab_status read_lines(char *text, json_t *records, struct ab_error *err)
{
    struct layout l;
    enum ab_status status = AB_OK;
    int line = 1;
    read_layout(USUAL, &l);
    for (char *at = text; *at && status == AB_OK; line++) {
        char *end = at + strcspn(at, "\r\n");
        char *next = *end ? end + 1 + (end[0] == '\r' && end[1] == '\n') : end;
        *end = '\0';
        if (!strncmp(at, MARK, sizeof MARK - 1)) {
            at += sizeof MARK - 1;
            if (!read_layout(at + strspn(at, " "), &l))
                status = ab_fail(err, AB_ERR_FORMAT,
                                 "line %d: this template is not read: it must begin with perf, and "
                                 "have %%-time%% or %%0time%%, between commas",
                                 line);
        } else if (!strncmp(at, "perf,", 5)) {
            status = add_line(records, at, &l, line, err);
        }
        at = next;
    }
    return status;
}

static enum ab_status take_record(struct ab_runfile *r, struct ab_keys *keys, json_t *record,
                                  struct ab_error *err)
{
    const json_t *list = json_object_get(record, "samples_ns");
    const size_t count = json_array_size(list);
    double *ns = malloc((count + 1) * sizeof *ns);
    for (size_t i = 0; ns && i < count; i++) ns[i] = json_number_value(json_array_get(list, i));
    if (!count) json_object_set_new(record, "error", json_string("not measured: a time of 0"));
    const bool good = ns && ab_runfile_put_samples(record, ns, (int)count);
    free(ns);
    if (!good) return ab_fail(err, AB_ERR_MEMORY, "out of memory for rows");
    return ab_runfile_add(r, keys, json_incref(record), err);
}

/* As JSON and messages can hold: UTF-8 without control characters. */
static bool is_text(const char *text)
{
    json_t *whole = json_string(text);
    for (const char *c = text; whole && *c; c++)
        if (((unsigned char)*c < 0x20 && !strchr("\t\r\n", *c)) || *c == 0x7f) {
            json_decref(whole);
            return false;
        }
    json_decref(whole);
    return whole != NULL;
}

enum ab_status ab_runfile_of_benchdnn(char *text, struct ab_runfile *r, struct ab_error *err)
{
    if (!is_text(text))
        return ab_fail(err, AB_ERR_FORMAT, "bytes that are no text: no output of benchdnn");
    struct ab_keys keys = {0};
    json_t *records = json_object(), *record;
    const char *name;
    r->format = "benchdnn";
    r->run.finished = true;
    r->run.context = ab_runfile_context("benchdnn", NULL);
    enum ab_status status = records && r->run.context
                                ? read_lines(text, records, err)
                                : ab_fail(err, AB_ERR_MEMORY, "out of memory for rows");
    json_object_foreach(records, name, record)
    {
        if (status == AB_OK) status = take_record(r, &keys, record, err);
    }
    ab_keys_free(&keys);
    json_decref(records);
    return status;
}
