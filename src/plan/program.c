// SPDX-License-Identifier: Apache-2.0
// Programs: appending steps with sharing of equal ones, liveness, halos, names.
#include "plan/builder.h"

#include <stdlib.h>
#include <string.h>

const char *ab_op_name(enum ab_op op)
{
    static const char *const names[] = {
#define X(name) #name,
        AB_OPS(X)
#undef X
    };
    return names[op];
}

struct ab_step ab_step_new(enum ab_op op)
{
    return (struct ab_step){.op = op,
                            .node = -1,
                            .dst = -1,
                            .dst2 = -1,
                            .x = -1,
                            .a = -1,
                            .z = -1,
                            .add = -1,
                            .tau = -1,
                            .switches = -1,
                            .bits = -1,
                            .guard = -1,
                            .rest = -1,
                            .scale = 1};
}

enum { FIXED = 7 }; /* operands before the list */

int ab_step_operand_count(const struct ab_step *step)
{
    return FIXED + step->n_list;
}

int ab_step_operand(const struct ab_step *step, int i)
{
    const int fixed[FIXED] = {step->x,   step->a,        step->z,   step->add,
                              step->tau, step->switches, step->bits};
    return i < FIXED ? fixed[i] : step->list[i - FIXED];
}

static bool same_operands(const struct ab_step *s, const struct ab_step *t)
{
    if (s->n_list != t->n_list) return false;
    for (int i = 0; i < ab_step_operand_count(s); i++) {
        if (ab_step_operand(s, i) != ab_step_operand(t, i)) return false;
    }
    return true;
}

/* Equal work: everything but the destination. Floats compare by value; parameters are never NaN. */
static bool same_step(const struct ab_step *s, const struct ab_step *t)
{
    return s->op == t->op && s->pass == t->pass && s->node == t->node && s->wmod == t->wmod &&
           s->bias == t->bias && s->kind == t->kind && s->eps == t->eps && s->scale == t->scale &&
           s->gain == t->gain && s->seed == t->seed && s->target == t->target &&
           s->rival == t->rival && s->host == t->host && s->number == t->number && s->q == t->q &&
           s->tau_floor == t->tau_floor && s->n_fill == t->n_fill && s->direct == t->direct &&
           s->guard == t->guard && s->rest == t->rest &&
           memcmp(s->fill, t->fill, sizeof(float) * (size_t)s->n_fill) == 0 &&
           s->channel == t->channel && s->map == t->map && same_operands(s, t);
}

static bool grow(void **array, int count, int *capacity, size_t size)
{
    if (count < *capacity) return true;
    const int wanted = *capacity ? 2 * *capacity : 64;
    void *more = realloc(*array, (size_t)wanted * size);
    if (!more) return false;
    *array = more;
    *capacity = wanted;
    return true;
}

static int new_value(struct ab_program *p, struct ab_dims dims, bool vector, int def)
{
    p->values[p->n_values] =
        (struct ab_value){.dims = dims, .vector = vector, .node = -1, .def = def};
    return p->n_values++;
}

static bool is_constant(const struct ab_program *p, const struct ab_step *step)
{
    bool any = step->op == AB_OP_FILL;
    for (int i = 0; i < ab_step_operand_count(step); i++) {
        const int id = ab_step_operand(step, i);
        if (id < 0) continue;
        any = true;
        if (!p->values[id].constant) return false;
    }
    return any && step->op != AB_OP_OUTPUT;
}

int ab_emit(struct ab_writer *w, struct ab_step step, struct ab_dims dims, bool vector)
{
    struct ab_program *p = w->program;
    for (int i = 0; i < p->n_steps && !w->failed; i++) {
        if (!same_step(&p->steps[i], &step)) continue;
        free(step.list);
        return p->steps[i].dst;
    }
    if (w->failed || !grow((void **)&p->steps, p->n_steps, &p->step_capacity, sizeof *p->steps) ||
        !grow((void **)&p->values, p->n_values, &p->value_capacity, sizeof *p->values)) {
        w->failed = true;
        free(step.list);
        return -1;
    }
    step.constant = is_constant(p, &step);
    step.dst = new_value(p, dims, vector, p->n_steps);
    p->values[step.dst].constant = step.constant;
    p->steps[p->n_steps++] = step;
    return step.dst;
}

int ab_second_value(struct ab_program *p, struct ab_step *step, enum ab_dtype dtype)
{
    if (!grow((void **)&p->values, p->n_values, &p->value_capacity, sizeof *p->values)) return -1;
    const struct ab_value *first = &p->values[step->dst];
    step->dst2 = new_value(p, first->dims, false, first->def);
    p->values[step->dst2].dtype = dtype;
    p->values[step->dst2].constant = step->constant;
    return step->dst2;
}

int ab_emit_switches(struct ab_writer *w, int pooled)
{
    struct ab_program *p = w->program;
    if (w->failed) return -1;
    struct ab_step *step = &p->steps[p->values[pooled].def];
    if (step->dst2 >= 0) return step->dst2;
    const int id = ab_second_value(p, step, AB_SWITCH);
    if (id < 0) {
        w->failed = true;
    } else {
        p->values[id].decision = AB_DECIDE_SWITCH;
        p->values[id].node = step->node;
    }
    return id;
}

int ab_program_kept(const struct ab_program *p)
{
    return p->activations ? p->n_nodes * (1 + p->n_outputs) : 0;
}

int ab_program_kept_value(const struct ab_program *p, int i)
{
    return i < p->n_nodes ? p->activations[i] : p->signals[i - p->n_nodes];
}

void ab_program_liveness(struct ab_program *p)
{
    for (int v = 0; v < p->n_values; v++) p->values[v].def = p->values[v].last_use = -1;
    for (int i = 0; i < p->n_steps; i++) {
        const struct ab_step *s = &p->steps[i];
        if (s->dst >= 0) p->values[s->dst].def = p->values[s->dst].last_use = i;
        if (s->dst2 >= 0) p->values[s->dst2].def = p->values[s->dst2].last_use = i;
        for (int k = 0; k < ab_step_operand_count(s); k++) {
            const int id = ab_step_operand(s, k);
            if (id >= 0) p->values[id].last_use = i;
        }
    }
    p->values[p->logits].last_use = p->n_steps;
    for (int m = 0; m < p->n_outputs; m++) p->values[p->outputs[m]].last_use = p->n_steps;
    for (int i = 0; i < ab_program_kept(p); i++) {
        const int id = ab_program_kept_value(p, i);
        if (id >= 0) p->values[id].last_use = p->n_steps;
    }
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

void ab_program_halos(struct ab_program *p, const struct ab_graph *graph)
{
    for (int v = 0; v < p->n_values; v++) p->values[v].halo = (struct ab_halo){0};
    for (int i = 0; i < p->n_steps; i++) {
        const struct ab_step *s = &p->steps[i];
        if (s->op != AB_OP_CONV) continue;
        const struct ab_halo need = ab_conv2d_halo(&graph->nodes[s->node].conv, s->pass);
        struct ab_halo *halo = &p->values[s->x].halo;
        halo->top = larger(halo->top, need.top);
        halo->left = larger(halo->left, need.left);
        halo->bottom = larger(halo->bottom, need.bottom);
        halo->right = larger(halo->right, need.right);
    }
}

void ab_program_free(struct ab_program *p)
{
    for (int i = 0; i < p->n_steps; i++) free(p->steps[i].list);
    free(p->steps);
    free(p->values);
    free(p->outputs);
    free(p->activations);
    free(p->signals);
    *p = (struct ab_program){0};
}
