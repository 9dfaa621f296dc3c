// SPDX-License-Identifier: Apache-2.0
// Methods end to end among the cases of verify.
#include "verify_inside.h"

#include "verify_methods.h"

#include <stdlib.h>
#include <string.h>

struct method_cases {
    struct ab_method_case *list;
    long count;
};

static const struct ab_method_case *case_of(const void *user, long i)
{
    return &((const struct method_cases *)user)->list[i];
}

static void run_case(const void *user, long i, struct ab_outcome *outcome)
{
    ab_method_case_run(case_of(user, i), outcome);
}

static void print_case(const void *user, long i, char text[AB_CASE_TEXT])
{
    ab_method_case_print(case_of(user, i), text, AB_CASE_TEXT);
}

static void name_of(const struct ab_method_case *c, char name[96])
{
    snprintf(name, 96, "%.*s", (int)strcspn(c->spec, ":"), c->spec);
}

static void label_case(const void *user, long i, char name[96], char isa[16], char op[24])
{
    const struct ab_method_case *c = case_of(user, i);
    name_of(c, name);
    snprintf(isa, 16, "%.15s", c->backend);
    snprintf(op, 24, "%s", AB_VERIFY_METHOD);
}

static double weigh_case(const void *user, long i)
{
    return 0.05 * case_of(user, i)->batch;
}

/* Whether --op and --isa name it: native:ISA counts as of that instruction set. */
static bool is_wanted(const struct ab_verify_session *s, const struct ab_method_case *c)
{
    const struct ab_words *isas = &s->settings->isas;
    const char *colon = strchr(c->backend, ':'), *isa = colon ? colon + 1 : c->backend;
    char name[96];
    name_of(c, name);
    if (!ab_verify_wanted(&s->request.ops, AB_VERIFY_METHOD, name)) return false;
    for (int i = 0; i < isas->count; i++)
        if (!strcmp(isas->items[i], "all") || !strcmp(isas->items[i], isa)) return true;
    return !isas->count;
}

/* What is said about shapes and operands is said about kernels alone. */
static bool none_wanted(const struct ab_verify_session *s)
{
    const struct ab_verify_request *r = &s->request;
    return s->settings->methods == AB_VERIFY_METHODS_NO || r->shapes.count || r->fill >= 0 ||
           r->has_exponent;
}

static bool append(struct method_cases *m, const struct ab_method_case *c)
{
    if (!(m->count & (m->count - 1))) { /* 0 and powers of two: full */
        void *grown = realloc(m->list, (size_t)(m->count ? 2 * m->count : 1) * sizeof *m->list);
        if (!grown) return false;
        m->list = grown;
    }
    m->list[m->count++] = *c;
    return true;
}

static enum ab_status run_and_free(struct ab_verify_session *s, struct method_cases *m, bool good,
                                   struct ab_error *err)
{
    enum ab_status status = good ? AB_OK : ab_fail(err, AB_ERR_MEMORY, "out of memory for methods");
    const struct ab_verify_cases cases = {.what = "methods",
                                          .count = m->count,
                                          .run = run_case,
                                          .print = print_case,
                                          .label = label_case,
                                          .weight = weigh_case,
                                          .user = m,
                                          .timeout = AB_VERIFY_METHOD_TIMEOUT};
    if (status == AB_OK) status = ab_verify_run_cases(s, &cases, err);
    free(m->list);
    return status;
}

enum ab_status ab_verify_methods_fixed(struct ab_verify_session *s, struct ab_error *err)
{
    struct method_cases m = {0};
    struct ab_method_case c;
    bool good = true;
    if (none_wanted(s)) return AB_OK;
    for (long i = 0; good && ab_method_case_fixed(i, &c); i++) {
        c.seed += s->request.seed;
        if (is_wanted(s, &c)) good = append(&m, &c);
    }
    return run_and_free(s, &m, good, err);
}

enum ab_status ab_verify_methods_random(struct ab_verify_session *s, struct ab_rng *rng, long count,
                                        long *drawn, struct ab_error *err)
{
    struct method_cases m = {0};
    struct ab_method_case c;
    bool good = true;
    *drawn = 0;
    if (none_wanted(s)) return AB_OK;
    for (long i = 0; good && i < count; i++) {
        ab_method_case_draw(rng, &c);
        if (is_wanted(s, &c)) good = append(&m, &c);
    }
    *drawn = m.count;
    return run_and_free(s, &m, good, err);
}

int ab_verify_repro_method(struct ab_verify_session *s, const char *line)
{
    struct ab_method_case c;
    struct ab_outcome outcome;
    struct ab_error err;
    char name[96], text[AB_CASE_TEXT];
    if (ab_method_case_parse(line, &c, &err) != AB_OK)
        return ab_complain(AB_EXIT_USAGE, "--repro: %s", err.text);
    if (s->settings->dump)
        return ab_complain(AB_EXIT_USAGE,
                           "--dump: kernels alone; maps of methods: attrbench explain");
    ab_method_case_print(&c, text, sizeof text);
    fprintf(s->talk, "case       %s\n", text);
    fflush(s->talk);
    struct method_cases one = {&c, 1};
    if (ab_verify_once(run_case, &one, AB_VERIFY_METHOD_TIMEOUT, &outcome, &err) != AB_OK)
        return ab_complain(AB_EXIT_ERROR, "%s", err.text);
    ab_verify_tell(s->talk, &outcome, NULL);
    name_of(&c, name);
    struct ab_verify_row *row = ab_tally_row(&s->tally, name, c.backend, AB_VERIFY_METHOD);
    if (!row) return ab_complain(AB_EXIT_ERROR, "out of memory for the result");
    ab_tally_add(row, text, &outcome);
    return outcome.kind == AB_OUTCOME_FAIL ? AB_EXIT_DISAGREE : AB_EXIT_OK;
}
