// SPDX-License-Identifier: Apache-2.0
// --repro: one case, with all that can be said about it.
#include "verify_inside.h"

#include "run.h"

#include <stdlib.h>
#include <string.h>

static int unknown_candidate(const char *name)
{
    int count;
    const struct ab_kernel *kernels = ab_kernels(&count);
    const char **names = calloc((size_t)count, sizeof *names);
    const char *near = NULL;
    for (int i = 0; names && i < count; i++) {
        if (!strcmp(kernels[i].name, name)) {
            free(names);
            return ab_complain(AB_EXIT_ERROR,
                               "--repro: this CPU cannot run %s: it lacks %s; try where it was "
                               "found",
                               name, ab_isa_name(kernels[i].isa));
        }
        names[i] = kernels[i].name;
    }
    if (names) near = ab_nearest(name, names, count);
    free(names);
    return ab_complain(AB_EXIT_USAGE,
                       "--repro: '%.90s' is no candidate%s%s%s; attrbench verify --list has them; "
                       "a plugin's needs --plugin",
                       name, near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void describe(FILE *f, const struct ab_candidate *c, const struct ab_trial *t)
{
    static const char *const with[] = {"bias", "add", "chain", "panel", "alias", "split"};
    const struct ab_verify_op *op = ab_verify_op_of(t->op);
    char shape[128];
    op->shape_print(t, shape, sizeof shape);
    fprintf(f, "candidate  %s (%s)\n", c->name, c->isa);
    fprintf(f, "operation  %s, %s; shape %s: %.0f products\n", op->name,
            t->pass == AB_FWD ? "forward" : "backward", shape, ab_trial_products(t));
    fprintf(f, "weights    %s; epilogue or rule: %s\n", ab_wmod_name(t->wmod),
            ab_pointwise_name(t->f));
    fprintf(f, "operands   %s%s%s, seed %llu; signal times 2^%d\n", ab_fill_name(t->fill),
            *t->file ? " of " : "", t->file, (unsigned long long)t->seed, t->exponent);
    fprintf(f, "buffers    at the %s guard page, %d bytes off their alignment\n",
            t->side == AB_SIDE_LEFT ? "left" : "right", t->offset);
    fprintf(f, "with      ");
    for (size_t i = 0; i < sizeof with / sizeof *with; i++)
        if (t->with >> i & 1) fprintf(f, " %s", with[i]);
    fprintf(f, "%s\n", t->with ? "" : " nothing else");
}

void ab_verify_tell(FILE *f, const struct ab_outcome *o, const char *dump)
{
    fprintf(f, "result     %s", ab_outcome_name(o->kind));
    if (o->kind == AB_OUTCOME_FAIL)
        fprintf(f, ": %s: %s", ab_check_name(o->check), ab_check_meaning(o->check));
    fprintf(f, "\n");
    if (*o->why) fprintf(f, "           %s\n", o->why);
    fprintf(f, "judged     %ld elements, %ld undetermined beside them\n", o->elements,
            o->undetermined);
    if (o->ratio > 0)
        fprintf(f, "error      %.3g of the hard bound, %.3g of the sharp one\n", o->ratio,
                o->sharp);
    for (int k = 0; k < AB_CHECKS; k++)
        if (o->varies >> k & 1) fprintf(f, "note       %s\n", ab_check_meaning((enum ab_check)k));
    if (dump) fprintf(f, "buffers    written to %s/*.npy\n", dump);
}

struct one {
    const struct ab_candidate *candidate;
    const struct ab_trial *trial;
    const char *dump;
};

static void run_one(const void *user, long i, struct ab_outcome *outcome)
{
    const struct one *one = user;
    (void)i;
    ab_verify_op_of(one->trial->op)->run(one->candidate, one->trial, outcome, one->dump);
}

static int run_line(struct ab_verify_session *s, const struct ab_candidate *c,
                    const struct ab_trial *t)
{
    struct ab_outcome outcome;
    struct ab_error err;
    char text[AB_CASE_TEXT];
    const struct one one = {c, t, s->settings->dump};
    const double timeout = ab_verify_timeout(ab_trial_products(t));
    ab_trial_print(t, text, sizeof text);
    describe(s->talk, c, t);
    fflush(s->talk);
    if (ab_verify_once(run_one, &one, timeout, &outcome, &err) != AB_OK)
        return ab_complain(AB_EXIT_ERROR, "%s", err.text);
    ab_verify_tell(s->talk, &outcome, s->settings->dump);
    struct ab_verify_row *row = ab_tally_row(&s->tally, c->name, c->isa, ab_kernel_op_name(c->op));
    if (row) ab_verify_repro_options(s, c, row->options, sizeof row->options);
    if (!row) return ab_complain(AB_EXIT_ERROR, "out of memory for the result");
    ab_tally_add(row, text, &outcome);
    if (ab_interrupted) return AB_EXIT_INTERRUPTED;
    return outcome.kind == AB_OUTCOME_FAIL ? AB_EXIT_DISAGREE : AB_EXIT_OK;
}

static int run_in(struct ab_verify_session *s, const struct ab_verify_plan *plan, const char *name,
                  const char *rest)
{
    struct ab_error err;
    struct ab_trial trial;
    const struct ab_candidate *c = ab_verify_plan_find(plan, name);
    if (!c) return unknown_candidate(name);
    if (ab_trial_parse(rest, &trial, &err) != AB_OK)
        return ab_complain(AB_EXIT_USAGE, "--repro: %s", err.text);
    if (trial.op != c->op)
        return ab_complain(AB_EXIT_USAGE, "--repro: %s does %s, but the line says %s", name,
                           ab_kernel_op_name(c->op), ab_kernel_op_name(trial.op));
    return run_line(s, c, &trial);
}

int ab_verify_repro(struct ab_verify_session *s, const char *line)
{
    char name[96];
    const char *start = line + strspn(line, " ");
    const size_t length = strcspn(start, " ");
    if (!length || length >= sizeof name || !start[length])
        return ab_complain(AB_EXIT_USAGE,
                           "--repro: '%.90s' will not do; give 'CANDIDATE TRIAL' as a failure "
                           "prints it, such as 'conv2d_plain conv2d n1c5h9w9o7k3s1p1 fwd'",
                           line);
    memcpy(name, start, length);
    name[length] = '\0';
    if (!strcmp(name, AB_VERIFY_METHOD)) return ab_verify_repro_method(s, start);
    if (s->settings->dump && !ab_make_folders(s->settings->dump))
        return ab_complain(AB_EXIT_ERROR, "%s: cannot be made; choose another --dump",
                           s->settings->dump);
    if (ab_verify_is_emulated(name)) return ab_verify_repro_emulated(s, start);
    struct ab_verify_plan plan;
    struct ab_verify_request all;
    struct ab_error err;
    ab_verify_request_init(&all);
    int code = AB_EXIT_ERROR;
    if (ab_verify_plan_candidates(&plan, &all, s->extra, s->n_extra, &err) == AB_OK)
        code = run_in(s, &plan, name, start + length);
    else
        ab_complain(code, "%s", err.text);
    ab_verify_plan_free(&plan);
    return code;
}
