// SPDX-License-Identifier: Apache-2.0
// attrbench run --resume: rows of the store back in their places, so that they are not measured
// again.
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- a record from its JSON: what the table, the joint rows and the exit code read ---- */

static double number(const json_t *json, const char *field)
{
    const json_t *value = json_object_get(json, field);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static void text(const json_t *json, const char *field, char *out, size_t size)
{
    const char *value = json_string_value(json_object_get(json, field));
    snprintf(out, size, "%s", value ? value : "");
}

static void restore_kernels(const json_t *json, struct ab_record *r)
{
    const json_t *names = json_object_get(json, "kernels");
    size_t used = 0;
    for (size_t i = 0; i < json_array_size(names) && used < sizeof r->kernels; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        used += (size_t)snprintf(r->kernels + used, sizeof r->kernels - used, "%s%s",
                                 used ? "," : "", name ? name : "");
    }
}

/* What the clock and the numbers were like. */
static void restore_conditions(const struct ab_db_row *row, struct ab_record *r)
{
    const json_t *subnormals = json_object_get(row->record, "subnormals");
    r->calls = row->calls;
    r->steady = json_is_true(json_object_get(row->record, "steady"));
    r->core_ghz = fmax(number(row->record, "core_ghz"), 0);
    r->core_ghz_after = fmax(number(row->record, "core_ghz_after"), 0);
    r->counted = json_is_object(subnormals);
    r->subnormal_inputs = (size_t)fmax(number(subnormals, "input"), 0);
    r->subnormal_maps = (size_t)fmax(number(subnormals, "maps"), 0);
}

/* Labels of the row stay as the run has set them. */
static bool restore_record(const struct ab_db_row *row, struct ab_record *r)
{
    const json_t *json = row->record;
    const double peak = number(json, "peak_gflops");
    r->ns = malloc((size_t)(row->count ? row->count : 1) * sizeof *r->ns);
    if (!r->ns) return false;
    if (row->count) memcpy(r->ns, row->ns, (size_t)row->count * sizeof *r->ns);
    if (row->disturbed) {
        r->disturbed = malloc(((size_t)row->count + 1) * sizeof *r->disturbed);
        if (!r->disturbed) return false;
        memcpy(r->disturbed, row->disturbed, (size_t)row->count * sizeof *r->disturbed);
    }
    if (!ab_stats_of(r->ns, row->count, &r->stats)) return false;
    r->flops = fmax(number(json, "flops"), 0);
    r->bytes = fmax(number(json, "bytes"), 0);
    r->peak = isfinite(peak) ? peak : 0;
    r->ratio = number(json, "ratio");
    r->setup_ns = fmax(number(json, "setup_ns"), 0);
    r->first_ns = fmax(number(json, "first_ns"), 0);
    r->planned_bytes = fmax(number(json, "planned_bytes"), 0);
    r->peak_bytes = number(json, "peak_bytes");
    text(json, "isa", r->isa, sizeof r->isa);
    text(json, "pinned", r->pinned, sizeof r->pinned);
    restore_kernels(json, r);
    restore_conditions(row, r);
    ab_agreement_read(json, &r->agreement);
    return true;
}

/* ---- which rows are complete ---- */

bool ab_group_restored(const struct ab_group *g)
{
    for (int i = 0; i < g->n_rows; i++)
        if (!g->rows[i].restored && !ab_row_untimed(&g->rows[i])) return false;
    return g->n_rows > 0;
}

/* The stored row of a group's row, with samples; a row that failed is tried again. */
static const struct ab_db_row *stored(const struct ab_row *row, const struct ab_db_row *rows,
                                      int count)
{
    char key[AB_ROW_KEY];
    json_t *record = ab_record_json(&row->record);
    ab_row_key(record, key, sizeof key);
    json_decref(record);
    for (int i = 0; i < count; i++)
        if (!strcmp(rows[i].key, key)) return rows[i].count ? &rows[i] : NULL;
    return NULL;
}

static bool is_joint_of(const struct ab_db_row *row, const struct ab_group *g)
{
    char kind[16], model[256];
    text(row->record, "kind", kind, sizeof kind);
    text(row->record, "model", model, sizeof model);
    return !strcmp(kind, "joint") && !strcmp(model, g->setting->model->source.name) &&
           json_integer_value(json_object_get(row->record, "threads")) == g->threads &&
           json_integer_value(json_object_get(row->record, "batch")) == g->setting->batch;
}

static bool same_setting(const struct ab_group *a, const struct ab_group *b)
{
    return a->setting == b->setting && a->threads == b->threads;
}

/* Whether all groups of g's setting and number of threads are restored. */
static bool setting_restored(const struct ab_run *run, const struct ab_group *g)
{
    for (int i = 0; i < run->n_groups; i++)
        if (same_setting(&run->groups[i], g) && !ab_group_restored(&run->groups[i])) return false;
    return true;
}

static bool expects_joint(const struct ab_run *run)
{
    bool other = false;
    for (int b = 0; b < run->n_backends; b++)
        other = other || strcmp(run->backends[b], "reference") != 0;
    return other && !run->settings->no_joint && run->n_methods > 1;
}

/* Their rows come at the end of a setting: where none is there, its last group is measured once
 * more, and they with it. */
static void reopen_for_joint(struct ab_run *run, const struct ab_db_row *rows, int count)
{
    for (int i = 0; i < run->n_groups && expects_joint(run); i++) {
        struct ab_group *g = &run->groups[i];
        bool last = i + 1 == run->n_groups || !same_setting(g, &run->groups[i + 1]), there = false;
        for (int j = 0; j < count; j++) there = there || is_joint_of(&rows[j], g);
        if (!last || there || !setting_restored(run, g)) continue;
        for (int j = 0; j < g->n_rows; j++) g->rows[j].restored = false;
    }
}

/* ---- putting them back ---- */

static enum ab_status restore_row(struct ab_run *run, struct ab_row *row,
                                  const struct ab_db_row *from, struct ab_error *err)
{
    if (!restore_record(from, &row->record))
        return ab_fail(err, AB_ERR_MEMORY, "--resume: out of memory for samples");
    row->done = true;
    run->disagreed = run->disagreed || row->record.agreement.verdict == AB_DISAGREE;
    run->save.rows++;
    return ab_store_restore(&run->store, ab_db_row_json(from), err);
}

static enum ab_status restore_joint(struct ab_run *run, const struct ab_group *g,
                                    const struct ab_db_row *from, struct ab_error *err)
{
    struct ab_joint_row *more =
        realloc(run->joint, ((size_t)run->n_joint + 1) * sizeof *run->joint);
    if (!more) return ab_fail(err, AB_ERR_MEMORY, "--resume: out of memory for rows");
    run->joint = more;
    struct ab_joint_row *row = &more[run->n_joint];
    struct ab_record *r = &row->record;
    *row = (struct ab_joint_row){.setting = g->setting};
    ab_record_init(r);
    r->kind = "joint";
    text(from->record, "backend", r->backend, sizeof r->backend);
    text(from->record, "model", r->model, sizeof r->model);
    text(from->record, "method", r->method, sizeof r->method);
    text(from->record, "methods", r->methods, sizeof r->methods);
    text(from->record, "repro", r->repro, sizeof r->repro);
    r->threads = g->threads;
    r->batch = g->setting->batch;
    r->n_methods = (int)json_integer_value(json_object_get(from->record, "n_methods"));
    r->sum_single_ns = number(from->record, "sum_single_ns");
    r->joint_ratio = number(from->record, "joint_ratio");
    for (int b = 0; b < run->n_backends; b++)
        if (!strcmp(run->backends[b], r->backend)) row->backend = b;
    if (!restore_record(from, r))
        return ab_fail(err, AB_ERR_MEMORY, "--resume: out of memory for samples");
    run->n_joint++;
    run->save.rows++;
    return ab_store_restore(&run->store, ab_db_row_json(from), err);
}

static enum ab_status restore_group(struct ab_run *run, struct ab_group *g,
                                    const struct ab_db_row *rows, int count, struct ab_error *err)
{
    enum ab_status status = AB_OK;
    for (int i = 0; i < g->n_rows && status == AB_OK; i++)
        if (!ab_row_untimed(&g->rows[i]))
            status = restore_row(run, &g->rows[i], stored(&g->rows[i], rows, count), err);
    g->measured = 1;
    return status;
}

enum ab_status ab_run_restore(struct ab_run *run, struct ab_error *err)
{
    const struct ab_db_row *rows = run->stored;
    const int count = run->n_stored;
    enum ab_status status = AB_OK;
    int kept = 0;
    for (int g = 0; g < run->n_groups; g++)
        for (int i = 0; i < run->groups[g].n_rows; i++) {
            struct ab_row *row = &run->groups[g].rows[i];
            row->restored = stored(row, rows, count) != NULL;
        }
    reopen_for_joint(run, rows, count);
    for (int g = 0; g < run->n_groups && status == AB_OK; g++) {
        if (!ab_group_restored(&run->groups[g])) continue;
        status = restore_group(run, &run->groups[g], rows, count, err);
        kept += run->groups[g].n_rows;
    }
    for (int g = 0; g < run->n_groups && status == AB_OK; g++) {
        const bool last =
            g + 1 == run->n_groups || !same_setting(&run->groups[g], &run->groups[g + 1]);
        if (!last || !setting_restored(run, &run->groups[g])) continue;
        for (int j = 0; j < count && status == AB_OK; j++)
            if (is_joint_of(&rows[j], &run->groups[g]))
                status = restore_joint(run, &run->groups[g], &rows[j], err);
    }
    if (status == AB_OK && run->n_groups)
        ab_progress_note("attrbench: %s: %d rows are there already", run->save.name, kept);
    return status;
}
