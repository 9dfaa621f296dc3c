// SPDX-License-Identifier: Apache-2.0
// attrbench run --resume of single convolutions: passes that are in the store are not timed again.
#include "kernel_run.h"

#include <math.h>
#include <string.h>

static const char *text(const json_t *json, const char *field)
{
    const char *value = json_string_value(json_object_get(json, field));
    return value ? value : "";
}

static double number(const json_t *json, const char *field)
{
    const json_t *value = json_object_get(json, field);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* ---- rows of the summary ---- */

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *ab_kernel_row_json(const struct ab_kernel_row *row)
{
    json_t *duels = json_array();
    for (int d = 0; d < AB_DUELS; d++) {
        const struct ab_kernel_duel *duel = &row->duel[d];
        json_array_append_new(duels,
                              json_pack("{s:s, s:s, s:o, s:o, s:o}", "kernel", duel->kernel, "peer",
                                        duel->peer, "ours_ns", real(duel->ours_ns), "theirs_ns",
                                        real(duel->theirs_ns), "ratio", real(duel->ratio)));
    }
    return json_pack("{s:s, s:s, s:i, s:i, s:b, s:f, s:o, s:o}", "layer", row->layer, "shape",
                     row->shape, "times", row->times, "batch", row->batch, "backward",
                     row->pass == AB_BWD, "flops", row->flops, "rel_l2", real(row->rel_l2), "duels",
                     duels);
}

bool ab_kernel_row_of(const json_t *json, struct ab_kernel_row *row)
{
    const json_t *duels = json_object_get(json, "duels");
    if (json_array_size(duels) != AB_DUELS) return false;
    *row = (struct ab_kernel_row){.times = (int)json_integer_value(json_object_get(json, "times")),
                                  .batch = (int)json_integer_value(json_object_get(json, "batch")),
                                  .pass = json_is_true(json_object_get(json, "backward")) ? AB_BWD
                                                                                          : AB_FWD,
                                  .flops = number(json, "flops"),
                                  .rel_l2 = number(json, "rel_l2")};
    snprintf(row->layer, sizeof row->layer, "%s", text(json, "layer"));
    snprintf(row->shape, sizeof row->shape, "%s", text(json, "shape"));
    for (size_t d = 0; d < AB_DUELS; d++) {
        const json_t *from = json_array_get(duels, d);
        struct ab_kernel_duel *duel = &row->duel[d];
        snprintf(duel->kernel, sizeof duel->kernel, "%s", text(from, "kernel"));
        snprintf(duel->peer, sizeof duel->peer, "%s", text(from, "peer"));
        duel->ours_ns = number(from, "ours_ns");
        duel->theirs_ns = number(from, "theirs_ns");
        duel->ratio = number(from, "ratio");
    }
    return true;
}

/* ---- passes ---- */

struct pass_name {
    const char *op;
    char shape[sizeof((struct ab_record *)0)->shape];
};

static bool is_of(const struct ab_db_row *row, const struct pass_name *name)
{
    return !strcmp(text(row->record, "kind"), "kernel") &&
           !strcmp(text(row->record, "op"), name->op) &&
           !strcmp(text(row->record, "shape"), name->shape);
}

static enum ab_status restore_row(struct ab_kernel_run *k, const struct ab_db_row *from,
                                  bool *picked, struct ab_error *err)
{
    struct ab_kernel_row row;
    const bool wrong = !strcmp(text(from->record, "verdict"), ab_verdict_name(AB_DISAGREE));
    enum ab_status status = ab_store_restore(&k->run->store, ab_db_row_json(from), err);
    k->run->save.rows++;
    k->run->disagreed =
        k->run->disagreed || (wrong && !strcmp(text(from->record, "backend"), "native"));
    if (status == AB_OK && ab_kernel_row_of(json_object_get(from->record, "summary"), &row)) {
        status = ab_kernel_add_row(k, &row, err);
        *picked = true;
    }
    return status;
}

enum ab_status ab_kernel_restore(struct ab_kernel_run *k, const struct ab_shape *shape,
                                 enum ab_pass pass, bool *there, struct ab_error *err)
{
    const struct ab_run *run = k->run;
    struct pass_name name = {.op = pass == AB_FWD ? "conv2d_fwd" : "conv2d_bwd"};
    enum ab_status status = AB_OK;
    bool picked = false;
    ab_shape_print(shape, name.shape, sizeof name.shape);
    /* Rows of a pass come one after the other: the last pass may be half there. */
    *there = false;
    for (int i = 0; i < run->n_stored; i++) *there = *there || is_of(&run->stored[i], &name);
    if (!*there || is_of(&run->stored[run->n_stored - 1], &name)) {
        *there = false;
        return AB_OK;
    }
    for (int i = 0; i < run->n_stored && status == AB_OK; i++)
        if (is_of(&run->stored[i], &name)) status = restore_row(k, &run->stored[i], &picked, err);
    k->unpicked += !picked;
    fprintf(k->talk, "\n%s, %s: there already\n", name.shape,
            pass == AB_FWD ? "forward" : "backward-data");
    return status;
}
