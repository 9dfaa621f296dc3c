// SPDX-License-Identifier: Apache-2.0
// Reading and comparing the discrete decisions of an execution.
#include "agree/referee.h"

#include <stdlib.h>
#include <string.h>

#include "base/classes.h"

size_t ab_decision_size(const struct ab_value *value)
{
    return value->decision == AB_DECIDE_SWITCH ? sizeof(uint16_t) : 1;
}

void ab_decisions_free(struct ab_decisions *d)
{
    for (int id = 0; d->of && id < d->n_values; id++) free(d->of[id]);
    free(d->of);
    free(d->target);
    free(d->rival);
    *d = (struct ab_decisions){0};
}

static bool decides(const struct ab_value *v)
{
    return v->decision != AB_DECIDE_NOTHING && v->def >= 0 && v->bytes > 0;
}

static size_t count_of(const struct ab_value *v, int batch)
{
    return (size_t)batch * (size_t)v->dims.c * (size_t)v->dims.h * (size_t)v->dims.w;
}

bool ab_decisions_alloc(const struct ab_program *program, int batch, struct ab_decisions *d)
{
    d->n_values = program->n_values;
    d->of = calloc((size_t)program->n_values, sizeof *d->of);
    const size_t choices = (size_t)batch * (size_t)program->targets;
    d->target = calloc(choices, sizeof *d->target);
    d->rival = calloc(choices, sizeof *d->rival);
    bool whole = d->of && d->target && d->rival;
    for (int id = 0; whole && id < program->n_values; id++) {
        const struct ab_value *v = &program->values[id];
        if (!decides(v)) continue;
        d->of[id] = malloc(count_of(v, batch) * ab_decision_size(v));
        whole = d->of[id];
    }
    if (!whole) ab_decisions_free(d);
    return whole;
}

static enum ab_unit_state state_of(enum ab_decision decision, double cap, double v)
{
    if (decision == AB_DECIDE_RECT) return v != 0 ? AB_UNIT_KEPT : AB_UNIT_DROPPED;
    if (decision == AB_DECIDE_CAP && v >= cap) return AB_UNIT_AT_CAP;
    return v > 0 ? AB_UNIT_KEPT : AB_UNIT_DROPPED;
}

static void convert(enum ab_decision decision, double cap, const double *from, size_t count,
                    void *to)
{
    uint8_t *bytes = to;
    uint16_t *switches = to;
    for (size_t i = 0; i < count; i++) {
        if (decision == AB_DECIDE_SWITCH)
            switches[i] = (uint16_t)from[i];
        else
            bytes[i] = (uint8_t)state_of(decision, cap, from[i]);
    }
}

enum ab_status ab_decisions_read(const struct ab_plan *plan, const int *targets,
                                 struct ab_decisions *d, struct ab_error *err)
{
    const struct ab_program *p = &plan->program;
    const int batch = plan->exec.batch, classes = p->values[p->logits].dims.c;
    size_t most = ab_plan_value_count(plan, p->logits);
    for (int id = 0; id < p->n_values; id++)
        if (decides(&p->values[id]) && ab_plan_value_count(plan, id) > most)
            most = ab_plan_value_count(plan, id);
    double *values = malloc(most * sizeof *values);
    *d = (struct ab_decisions){0};
    if (!values || !ab_decisions_alloc(p, batch, d)) {
        free(values);
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for the decisions of an execution");
    }
    for (int id = 0; id < p->n_values; id++) {
        if (!d->of[id]) continue;
        ab_plan_peek(plan, id, values);
        const struct ab_value *v = &p->values[id];
        const float cap = v->node >= 0 ? plan->exec.graph->nodes[v->node].cap : 0;
        convert(v->decision, (double)cap, values, ab_plan_value_count(plan, id), d->of[id]);
    }
    ab_plan_peek(plan, p->logits, values);
    for (int i = 0; i < batch * p->targets; i++) {
        const struct ab_logits logits = {.d = values + (size_t)(i / p->targets) * (size_t)classes,
                                         .count = classes};
        d->target[i] = ab_class_of_target(&logits, targets[i]);
        d->rival[i] = ab_class_next_to(&logits, d->target[i]);
    }
    free(values);
    return AB_OK;
}

bool ab_choices_differ(const struct ab_plan *plan, int t, const int *a, const int *b)
{
    const int each = plan->program.targets;
    for (int i = t; i < plan->exec.batch * each; i += each)
        if (a[i] != b[i]) return true;
    return false;
}

bool ab_decisions_differ(const struct ab_plan *plan, int id, const struct ab_decisions *a,
                         const struct ab_decisions *b)
{
    const int batch = plan->exec.batch;
    if (!a->of[id] || !b->of[id]) return false;
    const struct ab_value *v = &plan->program.values[id];
    return memcmp(a->of[id], b->of[id], count_of(v, batch) * ab_decision_size(v)) != 0;
}
