// SPDX-License-Identifier: Apache-2.0
// Two runs of a report against one another, by the same rules as `attrbench compare`.
#include "compare.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void put_number(json_t *object, const char *key, double v)
{
    if (isfinite(v)) json_object_set_new(object, key, json_real(v));
}

static void put_text(json_t *object, const char *key, const char *text)
{
    if (*text) json_object_set_new(object, key, json_string(text));
}

/* New reference; NULL: out of memory. */
static json_t *row_json(const struct ab_compare_row *r)
{
    json_t *row =
        json_pack("{s:s,s:s,s:s}", "key", r->b->key, "kind", ab_report_text(r->b->record, "kind"),
                  "change", ab_change_name(r->change));
    if (!row) return NULL;
    if (r->timed) {
        put_number(row, "a_ns", r->time.a_ns);
        put_number(row, "b_ns", r->time.b_ns);
        put_number(row, "ratio", r->time.ratio);
        put_number(row, "low", r->time.low);
        put_number(row, "high", r->time.high);
        put_number(row, "threshold", r->time.threshold);
    }
    put_number(row, "a_error", r->a_error);
    put_number(row, "b_error", r->b_error);
    if (r->error != AB_CHANGE_SAME) put_text(row, "error", ab_change_name(r->error));
    put_text(row, "why", *r->why ? r->why : r->time.why);
    return row;
}

static json_t *keys_json(const char *const *keys, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(list, json_string(keys[i]));
    return list;
}

static json_t *comparison_json(const struct ab_comparison *c)
{
    const struct ab_compare_row **sorted = ab_compare_sorted(c);
    struct ab_compare_class classes[AB_COMPARE_CLASSES];
    const int n_classes = sorted ? ab_compare_classes(c, classes) : 0;
    json_t *rows = json_array(), *means = json_array();
    for (int i = 0; sorted && i < c->count; i++) json_array_append_new(rows, row_json(sorted[i]));
    for (int i = 0; i < n_classes; i++)
        json_array_append_new(means, json_pack("{s:s,s:i,s:f}", "name", classes[i].name, "rows",
                                               classes[i].rows, "ratio", classes[i].geomean));
    json_t *comparison =
        sorted ? json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:s}", "a", c->a.name, "b", c->b.name, "rows",
                           rows, "classes", means, "only_a", keys_json(c->only[0], c->n_only[0]),
                           "only_b", keys_json(c->only[1], c->n_only[1]), "crossed", c->crossed)
               : NULL;
    free(sorted);
    return comparison;
}

/* Sides get their rows back from the inputs: rows are borrowed as they are, since a comparison
 * reads them only. */
static void lend(struct ab_compare_side *side, const struct ab_report_input *input)
{
    *side = (struct ab_compare_side){
        .context = input->context, .rows = input->rows, .count = input->count};
    snprintf(side->name, sizeof side->name, "%s", input->name);
}

static void take_back(struct ab_compare_side *side)
{
    *side = (struct ab_compare_side){0};
}

enum ab_status ab_report_compare(struct ab_report *report, const char *db, bool cross,
                                 struct ab_error *err)
{
    struct ab_comparison c = {.options = {.db = db, .cross = cross}};
    if (report->n_inputs != 2)
        return ab_fail(err, AB_ERR_ARG,
                       "--compare: takes two runs, A and then B; there are %d: name two",
                       report->n_inputs);
    lend(&c.a, &report->inputs[0]);
    lend(&c.b, &report->inputs[1]);
    enum ab_status status = ab_compare_judge(&c, err);
    json_t *comparison = status == AB_OK ? comparison_json(&c) : NULL;
    if (status == AB_OK &&
        (!comparison || json_object_set_new(report->doc, "comparison", comparison) != 0))
        status = ab_fail(err, AB_ERR_MEMORY, "--compare: out of memory; compare fewer rows");
    take_back(&c.a);
    take_back(&c.b);
    ab_comparison_free(&c);
    return status;
}
