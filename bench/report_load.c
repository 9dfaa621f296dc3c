// SPDX-License-Identifier: Apache-2.0
// Reading runs into the document of a report: every record is checked field by field.
#include "report.h"

#include "ab_version.h"
#include "runfile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define TEXT(name)                                                                                 \
    {                                                                                              \
#name, AB_REPORT_TEXT                                                                      \
    }
#define NUMBER(name)                                                                               \
    {                                                                                              \
#name, AB_REPORT_NUMBER                                                                    \
    }
#define BOOL(name)                                                                                 \
    {                                                                                              \
#name, AB_REPORT_BOOL                                                                      \
    }
static const struct ab_report_field fields[] = {
    TEXT(kind),
    TEXT(model),
    TEXT(method),
    TEXT(op),
    TEXT(shape),
    TEXT(layer),
    TEXT(at),
    TEXT(backend),
    TEXT(isa),
    TEXT(kernels),
    NUMBER(threads),
    NUMBER(batch),
    TEXT(target),
    NUMBER(targets),
    TEXT(cache),
    TEXT(denormals),
    TEXT(pages),
    TEXT(seed_mode),
    TEXT(pinned),
    NUMBER(repetition),
    NUMBER(ns_min),
    NUMBER(ns_p10),
    NUMBER(ns_median),
    NUMBER(ns_p90),
    NUMBER(ns_p99),
    NUMBER(samples),
    NUMBER(disturbed),
    NUMBER(calls_per_slice),
    BOOL(steady),
    NUMBER(core_ghz),
    NUMBER(images_per_second),
    NUMBER(flops),
    NUMBER(bytes),
    NUMBER(gflops),
    NUMBER(gflops_best),
    NUMBER(peak_share),
    NUMBER(peak_share_best),
    NUMBER(peak_gflops),
    NUMBER(ratio),
    TEXT(ratio_reason),
    TEXT(verdict),
    TEXT(verdict_reason),
    NUMBER(rel_l2),
    NUMBER(max_err),
    NUMBER(err_over_bound),
    NUMBER(cosine),
    NUMBER(pearson),
    NUMBER(spearman),
    NUMBER(ssim),
    NUMBER(iou1),
    NUMBER(iou5),
    NUMBER(flips),
    NUMBER(illegal_flips),
    TEXT(algo),
    TEXT(memory),
    NUMBER(setup_ns),
    NUMBER(first_ns),
    NUMBER(model_bytes),
    NUMBER(planned_bytes),
    NUMBER(peak_bytes),
    BOOL(picked),
    NUMBER(amplification),
    NUMBER(times),
    TEXT(onednn_isa),
    TEXT(methods),
    NUMBER(n_methods),
    NUMBER(sum_single_ns),
    NUMBER(joint_ratio),
    TEXT(error),
    TEXT(repro),
};

const struct ab_report_field *ab_report_fields(int *count)
{
    *count = (int)(sizeof fields / sizeof *fields);
    return fields;
}

const char *ab_report_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

double ab_report_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* ---- the document ---- */

bool ab_report_create(struct ab_report *report)
{
    char date[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    *report = (struct ab_report){.runs = json_array(),
                                 .rows = json_array(),
                                 .maps = json_array(),
                                 .sheets = json_array(),
                                 .histories = json_array(),
                                 .deployments = json_array()};
    report->doc =
        json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "title", "attrbench report", "generated",
                  date, "version", AB_VERSION " (" AB_GIT_REVISION ")", "runs", report->runs,
                  "rows", report->rows, "maps", report->maps, "sheets", report->sheets, "histories",
                  report->histories, "deployments", report->deployments);
    return report->doc != NULL;
}

void ab_report_destroy(struct ab_report *report)
{
    for (int i = 0; i < report->n_inputs; i++) {
        json_decref(report->inputs[i].context);
        ab_db_rows_free(report->inputs[i].rows, report->inputs[i].count);
    }
    free(report->inputs);
    json_decref(report->doc);
    *report = (struct ab_report){0};
}

static json_t *text_or_null(const char *text)
{
    return *text ? json_string(text) : json_null();
}

enum ab_status ab_report_add_run(struct ab_report *report, const char *name, const char *source,
                                 json_t *context, struct ab_error *err)
{
    const json_t *build = json_object_get(context, "build"), *cpu = json_object_get(context, "cpu");
    json_t *run =
        json_pack("{s:s,s:s,s:o,s:o,s:o,s:b,s:O}", "name", name, "source", source, "date",
                  text_or_null(ab_report_text(context, "date")), "revision",
                  text_or_null(ab_report_text(build, "git_revision")), "cpu",
                  text_or_null(ab_report_text(cpu, "model")), "interrupted",
                  json_is_true(json_object_get(context, "interrupted")), "context", context);
    struct ab_report_input *grown =
        realloc(report->inputs, ((size_t)report->n_inputs + 1) * sizeof *grown);
    if (grown) report->inputs = grown;
    if (!grown || !run || json_array_append_new(report->runs, run) != 0)
        return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory; report fewer runs", name);
    struct ab_report_input *input = &report->inputs[report->n_inputs++];
    *input = (struct ab_report_input){.context = json_incref(context)};
    snprintf(input->name, sizeof input->name, "%s", name);
    return AB_OK;
}

/* ---- rows ---- */

/* Names joined with ", ": lists of kernels. */
static json_t *joined(const json_t *list)
{
    char text[2048] = "";
    size_t used = 0;
    for (size_t i = 0; i < json_array_size(list) && used < sizeof text; i++) {
        const char *word = json_string_value(json_array_get(list, i));
        if (!word) return NULL;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : "", word);
    }
    return used && used < sizeof text ? json_string(text) : NULL;
}

static bool put_field(json_t *row, const struct ab_report_field *field, json_t *value)
{
    const char *name = field->name;
    if (json_is_null(value)) return true;
    if (field->type == AB_REPORT_TEXT && json_is_array(value)) {
        json_t *text = joined(value);
        return !text || json_object_set_new(row, name, text) == 0;
    }
    const bool fits = field->type == AB_REPORT_TEXT     ? json_is_string(value)
                      : field->type == AB_REPORT_NUMBER ? json_is_number(value)
                                                        : json_is_boolean(value);
    return fits && json_object_set(row, name, value) == 0;
}

/* The name of the value that is of a wrong type, or NULL. */
static const char *put_fields(json_t *row, const json_t *record)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        json_t *value = json_object_get(record, fields[i].name);
        if (value && !put_field(row, &fields[i], value)) return fields[i].name;
    }
    return NULL;
}

/* Samples stay exact to a part in ten thousand: enough to draw, and half the text. */
static json_t *short_number(double v)
{
    const double unit = v > 0 ? pow(10, floor(log10(v)) - 4) : 1;
    const double rounded = unit < 1 ? v : nearbyint(v / unit) * unit;
    return rounded == floor(rounded) && fabs(rounded) < 9e15 ? json_integer((json_int_t)rounded)
                                                             : json_real(rounded);
}

/* Evenly spaced ones of all of them. */
static json_t *thinned(const json_t *samples, size_t most)
{
    const size_t count = json_array_size(samples), keep = count < most ? count : most;
    json_t *list = json_array();
    for (size_t i = 0; i < keep; i++) {
        const json_t *v = json_array_get(samples, keep > 1 ? i * (count - 1) / (keep - 1) : 0);
        if (!json_is_number(v)) continue;
        json_array_append_new(list, short_number(json_number_value(v)));
    }
    return list;
}

enum ab_status ab_report_add_row(struct ab_report *report, const json_t *record, const char *where,
                                 struct ab_error *err)
{
    if (!json_is_string(json_object_get(record, "kind")))
        return ab_fail(err, AB_ERR_IO,
                       "%s: has no \"kind\": no result of attrbench run; measure again", where);
    json_t *row = json_pack("{s:I}", "run", (json_int_t)json_array_size(report->runs) - 1);
    const char *wrong = row ? put_fields(row, record) : "";
    if (wrong) {
        json_decref(row);
        if (!*wrong) return ab_fail(err, AB_ERR_MEMORY, "out of memory; report fewer runs");
        return ab_fail(err, AB_ERR_IO,
                       "%s: \"%s\" is of a wrong type: no result of attrbench run; measure again",
                       where, wrong);
    }
    const json_t *samples = json_object_get(record, "samples_ns");
    if (json_array_size(samples) > 1)
        json_object_set_new(row, "samples_ns", thinned(samples, AB_REPORT_SAMPLES));
    if (json_array_append_new(report->rows, row) == 0) return AB_OK;
    return ab_fail(err, AB_ERR_MEMORY, "out of memory; report fewer runs");
}

void ab_report_thin(struct ab_report *report)
{
    const size_t rows = json_array_size(report->rows);
    const size_t most = rows ? AB_REPORT_ALL_SAMPLES / rows : 0;
    for (size_t i = 0; i < rows && most < AB_REPORT_SAMPLES; i++) {
        json_t *row = json_array_get(report->rows, i);
        const json_t *samples = json_object_get(row, "samples_ns");
        if (json_array_size(samples) > most)
            json_object_set_new(row, "samples_ns", thinned(samples, most));
    }
}

/* ---- files and the store ---- */

/* Rows of the newest run, which takes them over. */
static enum ab_status add_rows(struct ab_report *report, const char *source, struct ab_db_row *rows,
                               int count, struct ab_error *err)
{
    struct ab_report_input *input = &report->inputs[report->n_inputs - 1];
    enum ab_status status = AB_OK;
    input->rows = rows;
    input->count = count;
    for (int i = 0; status == AB_OK && i < count; i++) {
        json_t *record = ab_db_row_json(&rows[i]);
        char where[1300];
        snprintf(where, sizeof where, "%s: result %d", source, i + 1);
        status = record ? ab_report_add_row(report, record, where, err)
                        : ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", source);
        json_decref(record);
    }
    return status;
}

static void mark_interrupted(struct ab_report *report)
{
    json_object_set_new(json_array_get(report->runs, (size_t)report->n_inputs - 1), "interrupted",
                        json_true());
}

/* "reports/main/results.json" -> "main", so that readers know it again. */
static void run_name(const char *folder, const char *file, char *name, size_t size)
{
    const char *base =
        strcmp(file, "results.json") != 0 && strcmp(file, "results.jsonl") != 0 ? file : folder;
    size_t end = strlen(base);
    while (end > 1 && base[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && base[begin - 1] != '/') begin--;
    snprintf(name, size, "%.*s", (int)(end - begin), base + begin);
    char *dot = strrchr(name, '.');
    if (base == file && dot && dot != name) *dot = '\0';
    if (!strcmp(name, ".") || !*name) snprintf(name, size, "results");
}

static void folder_of(const char *path, char *folder, size_t size)
{
    const char *slash = strrchr(path, '/');
    if (slash)
        snprintf(folder, size, "%.*s", (int)(slash - path) ? (int)(slash - path) : 1, path);
    else
        snprintf(folder, size, ".");
}

/* One of the runs of a file; its rows are taken over. */
static enum ab_status add_read(struct ab_report *report, const char *path, const char *folder,
                               struct ab_runfile *file, bool alone, struct ab_error *err)
{
    const char *slash = strrchr(path, '/');
    char name[256];
    snprintf(name, sizeof name, "%s", file->run.name);
    if (alone) run_name(folder, slash ? slash + 1 : path, name, sizeof name);
    enum ab_status status = ab_report_add_run(report, name, path, file->run.context, err);
    if (status != AB_OK) return status;
    if (!file->run.finished) mark_interrupted(report);
    struct ab_db_row *rows = file->rows;
    const int count = file->count;
    file->rows = NULL;
    file->count = 0;
    status = add_rows(report, path, rows, count, err);
    return status == AB_OK ? ab_report_add_maps(report, folder, file->run.context, err) : status;
}

enum ab_status ab_report_add_file(struct ab_report *report, const char *path, struct ab_error *err)
{
    struct stat info;
    char full[1100], folder[1100];
    if (strlen(path) > 1000)
        return ab_fail(err, AB_ERR_ARG, "RUN: the name is too long; choose a shorter one");
    const bool is_folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    snprintf(full, sizeof full, "%s%s", path, is_folder ? "/results.json" : "");
    /* What a run leaves that was killed. */
    if (is_folder && stat(full, &info) != 0) snprintf(full, sizeof full, "%s/results.jsonl", path);
    if (is_folder && stat(full, &info) != 0)
        return ab_fail(err, AB_ERR_IO,
                       "%s: holds neither results.json nor results.jsonl; name the folder that "
                       "attrbench run wrote to",
                       path);
    struct ab_runfile *files;
    int count;
    enum ab_status status = ab_runfile_read(full, &files, &count, err);
    if (status != AB_OK) return status;
    folder_of(full, folder, sizeof folder);
    for (int i = 0; status == AB_OK && i < count; i++)
        status = add_read(report, full, folder, &files[i], count == 1, err);
    ab_runfile_free(files, count);
    return status;
}

enum ab_status ab_report_add_stored(struct ab_report *report, struct ab_db *db, const char *path,
                                    const struct ab_db_run *run, struct ab_error *err)
{
    char name[200], source[1200];
    snprintf(name, sizeof name, "%s #%lld", run->name, (long long)run->id);
    snprintf(source, sizeof source, "%s: run %lld", path, (long long)run->id);
    struct ab_db_row *rows;
    int count;
    enum ab_status status = ab_report_add_run(report, name, source, run->context, err);
    if (status == AB_OK) status = ab_db_rows(db, run->id, &rows, &count, err);
    if (status != AB_OK) return status;
    struct ab_report_input *input = &report->inputs[report->n_inputs - 1];
    input->id = run->id;
    snprintf(input->stored, sizeof input->stored, "%s", run->name);
    if (!run->finished) mark_interrupted(report);
    return add_rows(report, source, rows, count, err);
}
