// SPDX-License-Identifier: Apache-2.0
// Records as JSON, and the files of a run.
#include "record.h"

#include "base/outfile.h"
#include "save.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void ab_agreement_init(struct ab_agreement *a)
{
    const double none = (double)NAN;
    *a = (struct ab_agreement){.verdict = AB_SKIPPED,
                               .why = "not judged",
                               .rel_l2 = none,
                               .max_err = none,
                               .cosine = none,
                               .pearson = none,
                               .spearman = none,
                               .iou1 = none,
                               .iou5 = none,
                               .ssim = none,
                               .err_over_bound = none};
}

void ab_record_init(struct ab_record *r)
{
    *r = (struct ab_record){.ratio = (double)NAN,
                            .ratio_why = "oneDNN was not timed in this run",
                            .calls = 1,
                            .steady_why = "no warm-up that waits for it",
                            .peak_bytes = (double)NAN};
    ab_agreement_init(&r->agreement);
}

void ab_record_free(struct ab_record *r)
{
    free(r->ns);
    free(r->disturbed);
    ab_record_init(r);
}

double ab_record_gflops(const struct ab_record *r)
{
    return r->stats.samples && r->flops > 0 ? r->flops / r->stats.median : (double)NAN;
}

double ab_record_peak_share(const struct ab_record *r)
{
    return r->peak > 0 ? ab_record_gflops(r) / r->peak : (double)NAN;
}

/* `why` stands beside a null. */
static void put(json_t *row, const char *key, double value, const char *why)
{
    if (isfinite(value)) {
        json_object_set_new(row, key, json_real(value));
        return;
    }
    char reason[64];
    snprintf(reason, sizeof reason, "%s_reason", key);
    json_object_set_new(row, key, json_null());
    json_object_set_new(row, reason, json_string(why && *why ? why : "not a finite number"));
}

static void put_text(json_t *row, const char *key, const char *text, const char *why)
{
    json_t *value = text && *text ? json_string(text) : NULL;
    if (value)
        json_object_set_new(row, key, value);
    else
        put(row, key, (double)NAN, why);
}

static json_t *kernel_names(const char *names)
{
    json_t *list = json_array();
    while (*names) {
        size_t length = strcspn(names, ",");
        json_array_append_new(list, json_stringn(names, length));
        names += length + (names[length] == ',');
    }
    return list;
}

static void put_times(json_t *row, const struct ab_record *r)
{
    const struct ab_stats *s = &r->stats;
    double none = (double)NAN;
    const char *why = *r->error ? r->error : "not timed";
    const char *why99 = s->samples ? "fewer than 100 samples" : why;
    put(row, "ns_min", s->samples ? s->min : none, why);
    put(row, "ns_p10", s->samples ? s->p10 : none, why);
    put(row, "ns_median", s->samples ? s->median : none, why);
    put(row, "ns_p90", s->samples ? s->p90 : none, why);
    put(row, "ns_p99", s->samples ? s->p99 : none, why99);
    json_object_set_new(row, "samples", json_integer(s->samples));
    json_t *list = json_array();
    for (int i = 0; i < s->samples; i++) json_array_append_new(list, json_real(r->ns[i]));
    json_object_set_new(row, "samples_ns", list);
    put(row, "images_per_second", s->samples && r->batch ? 1e9 * r->batch / s->median : none, why);
}

/* How many of the samples, and which, by their places. */
static void put_disturbed(json_t *row, const struct ab_record *r)
{
    const bool watched = r->disturbed || !r->stats.samples;
    json_t *list = watched ? json_array() : NULL;
    for (int i = 0; list && i < r->stats.samples; i++)
        if (r->disturbed[i]) json_array_append_new(list, json_integer(i));
    if (list) {
        json_object_set_new(row, "disturbed", json_integer((json_int_t)json_array_size(list)));
        json_object_set_new(row, "disturbed_at", list);
    } else {
        put(row, "disturbed", (double)NAN, "the samples were not watched");
    }
}

/* Under what the samples were taken. */
static void put_conditions(json_t *row, const struct ab_record *r)
{
    const char *ghz_why = "not measured, or not known of this kind of CPU";
    put_text(row, "pages", ab_pages_name(r->pages), NULL);
    put_text(row, "cache", ab_cache_name(r->cache), NULL);
    put_text(row, "denormals", ab_denormals_name(r->denormals), NULL);
    json_object_set_new(row, "calls_per_slice", json_integer(r->calls));
    put_disturbed(row, r);
    if (r->steady_why)
        put(row, "steady", (double)NAN, r->steady_why);
    else
        json_object_set_new(row, "steady", json_boolean(r->steady));
    put(row, "core_ghz", r->core_ghz > 0 ? r->core_ghz : (double)NAN, ghz_why);
    put(row, "core_ghz_after", r->core_ghz_after > 0 ? r->core_ghz_after : (double)NAN, ghz_why);
    if (r->counted)
        json_object_set_new(row, "subnormals",
                            json_pack("{s:I, s:I}", "input", (json_int_t)r->subnormal_inputs,
                                      "maps", (json_int_t)r->subnormal_maps));
    else
        put(row, "subnormals", (double)NAN, "counted in inputs and maps of methods alone");
}

void ab_agreement_put(json_t *row, const struct ab_agreement *a)
{
    double none = (double)NAN;
    bool judged = a->verdict != AB_SKIPPED;
    put(row, "rel_l2", judged ? a->rel_l2 : none, a->why);
    put(row, "max_err", judged ? a->max_err : none, a->why);
    put(row, "err_over_bound", judged ? a->err_over_bound : none, a->why);
    put(row, "cosine", judged ? a->cosine : none, a->why);
    put(row, "pearson", judged ? a->pearson : none, a->why);
    put(row, "spearman", judged ? a->spearman : none, a->why);
    put(row, "ssim", judged ? a->ssim : none, a->why);
    put(row, "iou1", judged ? a->iou1 : none, a->why);
    put(row, "iou5", judged ? a->iou5 : none, a->why);
    json_object_set_new(row, "flips", json_integer(judged ? a->flips : 0));
    json_object_set_new(row, "illegal_flips", json_integer(judged ? a->illegal_flips : 0));
    put_text(row, "verdict", ab_verdict_name(a->verdict), NULL);
    if (a->verdict != AB_AGREE) put_text(row, "verdict_reason", a->why, "not said");
}

bool ab_agreement_read(const json_t *row, struct ab_agreement *a)
{
    const struct {
        const char *key;
        double *to;
    } fields[] = {{"rel_l2", &a->rel_l2},   {"max_err", &a->max_err},
                  {"cosine", &a->cosine},   {"err_over_bound", &a->err_over_bound},
                  {"pearson", &a->pearson}, {"spearman", &a->spearman},
                  {"ssim", &a->ssim},       {"iou1", &a->iou1},
                  {"iou5", &a->iou5}};
    const char *name = json_string_value(json_object_get(row, "verdict")),
               *why = json_string_value(json_object_get(row, "verdict_reason"));
    ab_agreement_init(a);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const json_t *value = json_object_get(row, fields[i].key);
        if (json_is_number(value)) *fields[i].to = json_number_value(value);
    }
    a->flips = (long)json_integer_value(json_object_get(row, "flips"));
    a->illegal_flips = (long)json_integer_value(json_object_get(row, "illegal_flips"));
    snprintf(a->why, sizeof a->why, "%s", why ? why : "");
    for (int v = AB_AGREE; v <= AB_SKIPPED && name; v++) {
        if (strcmp(name, ab_verdict_name((enum ab_verdict)v)) != 0) continue;
        a->verdict = (enum ab_verdict)v;
        return true;
    }
    return false;
}

/* What records of kernels have besides. */
static void put_kernel(json_t *row, const struct ab_record *r)
{
    double best = r->stats.samples ? r->flops / r->stats.min : (double)NAN;
    put(row, "gflops_best", best, "not timed");
    put(row, "peak_share_best", r->peak > 0 ? best / r->peak : (double)NAN,
        "no measured peak, or not timed");
    json_object_set_new(row, "picked", json_boolean(r->picked));
    put(row, "amplification", r->amplification, "not known of oneDNN's Winograd");
    json_object_set_new(row, "times", json_integer(r->times));
    put_text(row, "onednn_isa", r->onednn_isa, "oneDNN was not timed in this run");
}

/* What records of all methods in one plan have besides. */
static void put_joint(json_t *row, const struct ab_record *r)
{
    json_object_set_new(row, "n_methods", json_integer(r->n_methods));
    put(row, "sum_single_ns", r->sum_single_ns, "not every method was timed");
    put(row, "joint_ratio", r->joint_ratio, "not every method was timed");
}

json_t *ab_record_json(const struct ab_record *r)
{
    json_t *row = json_object();
    put_text(row, "kind", r->kind, NULL);
    put_text(row, "op", r->op, NULL);
    put_text(row, "shape", r->shape, NULL);
    put_text(row, "model", r->model, "a kernel, not a model");
    put_text(row, "method", r->method, "a kernel, not a method");
    put_text(row, "backend", r->backend, NULL);
    put_text(row, "isa", r->isa, "the backend does not say");
    json_object_set_new(row, "kernels", kernel_names(r->kernels));
    json_object_set_new(row, "threads", json_integer(r->threads));
    json_object_set_new(row, "batch", json_integer(r->batch));
    put_text(row, "target", r->target, "a kernel has no target");
    json_object_set_new(row, "targets", json_integer(r->targets));
    if (*r->at) put_text(row, "at", r->at, NULL);
    if (*r->methods) put_text(row, "methods", r->methods, NULL);
    if (r->kind && !strcmp(r->kind, "step")) put_text(row, "layer", r->layer, "of no layer alone");
    put_text(row, "seed_mode", r->seed_mode, "a kernel has no seed");
    put_text(row, "pinned", r->pinned, "not timed");
    json_object_set_new(row, "repetition", json_integer(r->repetition));
    put_times(row, r);
    put_conditions(row, r);
    put(row, "flops", r->flops > 0 ? r->flops : (double)NAN, "no plan");
    put(row, "bytes", r->bytes > 0 ? r->bytes : (double)NAN, "no plan");
    put(row, "gflops", ab_record_gflops(r), "not timed");
    put(row, "peak_share", ab_record_peak_share(r), "no measured peak, or not timed");
    put(row, "peak_gflops", r->peak > 0 ? r->peak : (double)NAN, "no measured peak");
    if (r->kind && !strcmp(r->kind, "kernel")) put_kernel(row, r);
    if (r->kind && !strcmp(r->kind, "joint")) put_joint(row, r);
    put(row, "ratio", r->ratio, r->ratio_why);
    ab_agreement_put(row, &r->agreement);
    put_text(row, "algo", r->algo, "no plan");
    put_text(row, "memory", r->memory, "no plan");
    put(row, "setup_ns", r->setup_ns > 0 ? r->setup_ns : (double)NAN, "no plan");
    put(row, "first_ns", r->first_ns > 0 ? r->first_ns : (double)NAN, "no plan");
    put(row, "model_bytes", r->model_bytes > 0 ? r->model_bytes : (double)NAN, "no model");
    put(row, "planned_bytes", r->planned_bytes > 0 ? r->planned_bytes : (double)NAN, "no plan");
    put(row, "peak_bytes", r->peak_bytes, "the system does not let the peak be reset");
    put_text(row, "repro", r->repro, NULL);
    if (*r->error) put_text(row, "error", r->error, NULL);
    return row;
}

bool ab_records_print(FILE *f, const json_t *context, const json_t *rows)
{
    const size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER;
    fputs("{\"context\": ", f);
    bool good = json_dumpf(context, f, JSON_INDENT(1) | JSON_ENSURE_ASCII) == 0;
    fputs(",\n\"results\": [", f);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        fputs(i ? ",\n" : "\n", f);
        good = json_dumpf(json_array_get(rows, i), f, flags) == 0 && good;
    }
    fputs("\n]}\n", f);
    return good && !ferror(f);
}

bool ab_make_folders(const char *folder)
{
    char path[1024];
    if ((size_t)snprintf(path, sizeof path, "%s", folder) >= sizeof path) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) return false;
        *p = '/';
    }
    if (mkdir(path, 0777) != 0 && errno != EEXIST) return false;
    struct stat info;
    if (stat(path, &info) != 0) return false;
    if (!S_ISDIR(info.st_mode)) errno = ENOTDIR;
    return S_ISDIR(info.st_mode);
}

static enum ab_status lost(const struct ab_store *store, const char *file, struct ab_error *err)
{
    return ab_fail(err, AB_ERR_IO, "%s%s: cannot be written: %s; choose another --out",
                   store->folder, file, strerror(errno));
}

enum ab_status ab_store_open(struct ab_store *store, const char *folder, const json_t *context,
                             struct ab_error *err)
{
    *store = (struct ab_store){0};
    if (strlen(folder) > sizeof store->folder - 32)
        return ab_fail(err, AB_ERR_ARG, "--out: the name is too long; choose a shorter one");
    snprintf(store->folder, sizeof store->folder, "%s", folder);
    if (!ab_make_folders(folder)) return lost(store, "", err);
    char path[1100];
    snprintf(path, sizeof path, "%s/results.jsonl", folder);
    store->lines = fopen(path, "w");
    store->rows = json_array();
    if (!store->lines || !store->rows) {
        enum ab_status status = lost(store, "/results.jsonl", err);
        ab_store_close(store);
        return status;
    }
    json_t *first = json_pack("{s:O}", "context", context);
    bool good = first && json_dumpf(first, store->lines, JSON_COMPACT | JSON_ENSURE_ASCII) == 0 &&
                fputc('\n', store->lines) != EOF && fflush(store->lines) == 0;
    json_decref(first);
    if (good) return AB_OK;
    enum ab_status status = lost(store, "/results.jsonl", err);
    ab_store_close(store);
    return status;
}

enum ab_status ab_store_restore(struct ab_store *store, json_t *row, struct ab_error *err)
{
    if (!row || json_array_append_new(store->rows, row) != 0)
        return ab_fail(err, AB_ERR_MEMORY, "results: out of memory; measure fewer rows");
    if (json_dumpf(row, store->lines, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER) !=
            0 ||
        fputc('\n', store->lines) == EOF || fflush(store->lines) != 0)
        return lost(store, "/results.jsonl", err);
    return AB_OK;
}

enum ab_status ab_store_add_json(struct ab_store *store, json_t *row, struct ab_error *err)
{
    if (row && store->save) ab_save_row(store->save, row);
    return ab_store_restore(store, row, err);
}

enum ab_status ab_store_add(struct ab_store *store, const struct ab_record *r, struct ab_error *err)
{
    return ab_store_add_json(store, ab_record_json(r), err);
}

enum ab_status ab_store_finish(struct ab_store *store, const json_t *context, struct ab_error *err)
{
    char path[1100];
    snprintf(path, sizeof path, "%s/results.json", store->folder);
    struct ab_outfile out;
    enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    if (!ab_records_print(out.stream, context, store->rows) || fflush(out.stream) != 0 ||
        fsync(fileno(out.stream)) != 0)
        status = ab_fail(err, AB_ERR_IO, "%s: cannot be written: %s; choose another --out", path,
                         strerror(errno));
    return ab_outfile_close(&out, status, err);
}

void ab_store_close(struct ab_store *store)
{
    if (store->lines) fclose(store->lines);
    json_decref(store->rows);
    *store = (struct ab_store){0};
}
