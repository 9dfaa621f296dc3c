// SPDX-License-Identifier: Apache-2.0
// Reading a user's own composite. Both forms come down to entries "SELECTOR=RULE(key=value,...)",
// whose parameters are those of the methods.
#include "method/rule_text.h"

#include "base/infile.h"
#include "method/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ENTRIES = 256, LONGEST_LINE = 512 };

static const struct ab_param epsilon_params[] = {AB_PARAM_EPS, AB_PARAM_EPSILON_BIAS};
static const struct ab_param zplus_params[] = {AB_PARAM_EPS, AB_PARAM_BIAS, AB_PARAM_SIGNED_INPUT};
static const struct ab_param alpha_beta_params[] = {AB_PARAM_ALPHA, AB_PARAM_BETA, AB_PARAM_EPS,
                                                    AB_PARAM_BIAS, AB_PARAM_SIGNED_INPUT};
static const struct ab_param gamma_params[] = {AB_PARAM_GAMMA, AB_PARAM_FORM, AB_PARAM_GAMMA_BIAS,
                                               AB_PARAM_EPS};
static const struct ab_param zbox_params[] = {AB_PARAM_LOW, AB_PARAM_HIGH, AB_PARAM_EPS};
static const struct ab_param wsquare_params[] = {AB_PARAM_EPS, AB_PARAM_WSQUARE_BIAS};
static const struct ab_param flat_params[] = {AB_PARAM_EPS};

/* The rules by name, with their parameters at their defaults. */
static const struct kind {
    const char *name;
    struct ab_rule rule;
    const struct ab_param *params;
    int n_params;
} kinds[] = {
    {"gradient", {.kind = AB_RULE_GRADIENT}, NULL, 0},
    {"epsilon", {AB_RULE_EPSILON, .eps = 1e-6f}, epsilon_params, AB_COUNT(epsilon_params)},
    {"norm", {AB_RULE_EPSILON, .eps = 1e-6f}, flat_params, AB_COUNT(flat_params)},
    {"zplus", {AB_RULE_ZPLUS, .eps = 1e-6f}, zplus_params, AB_COUNT(zplus_params)},
    {"alpha-beta",
     {AB_RULE_ALPHA_BETA, .eps = 1e-6f, .alpha = 2, .beta = 1},
     alpha_beta_params,
     AB_COUNT(alpha_beta_params)},
    {"gamma", {AB_RULE_GAMMA, .eps = 1e-6f, .gamma = 0.25f}, gamma_params, AB_COUNT(gamma_params)},
    {"zbox", {AB_RULE_ZBOX, .eps = 1e-6f}, zbox_params, AB_COUNT(zbox_params)},
    {"wsquare", {AB_RULE_WSQUARE, .eps = 1e-6f}, wsquare_params, AB_COUNT(wsquare_params)},
    {"flat", {AB_RULE_FLAT, .eps = 1e-6f}, flat_params, AB_COUNT(flat_params)},
    {"pass", {.kind = AB_RULE_PASS}, NULL, 0},
};

/* What is being read: where it stands, for the messages, and what kind of error it would be. */
struct reading {
    struct ab_rule_list *list;
    const char *where;
    enum ab_status wrong;
    struct ab_error *err;
};

/* Names separated by commas. */
static void join(const char *const *names, int count, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", names[i]);
}

static const struct kind *find_kind(const struct reading *r, const char *name)
{
    const char *names[AB_COUNT(kinds)];
    char list[128];
    for (int i = 0; i < AB_COUNT(kinds); i++) {
        names[i] = kinds[i].name;
        if (strcmp(name, names[i]) == 0) return &kinds[i];
    }
    join(names, AB_COUNT(kinds), list, sizeof list);
    const char *near = ab_nearest(name, names, AB_COUNT(kinds));
    ab_fail(r->err, r->wrong, "%s: unknown rule '%.40s'%s%s%s; there are: %s", r->where, name,
            near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "", list);
    return NULL;
}

static enum ab_status set_key(const struct reading *r, const struct kind *kind, char *pair,
                              unsigned *given, struct ab_composite *scratch)
{
    const char *names[8];
    char list[96], *equals = strchr(pair, '=');
    if (!equals) {
        return ab_fail(r->err, r->wrong, "%s: '%.40s' after rule %s is not key=value", r->where,
                       pair, kind->name);
    }
    *equals = '\0';
    for (int p = 0; p < kind->n_params; p++) {
        const struct ab_param *param = &kind->params[p];
        names[p] = param->info.key;
        if (strcmp(pair, names[p]) != 0) continue;
        if (*given >> p & 1) {
            return ab_fail(r->err, r->wrong, "%s: %s is given twice", r->where, pair);
        }
        *given |= 1u << p;
        if (param->set(scratch, equals + 1)) return AB_OK;
        return ab_fail(r->err, r->wrong, "%s: %s=%.40s is not a value; it takes: %s", r->where,
                       pair, equals + 1, param->info.values);
    }
    join(names, kind->n_params, list, sizeof list);
    return ab_fail(r->err, r->wrong, "%s: rule %s has no parameter '%.40s'; it has: %s", r->where,
                   kind->name, pair, kind->n_params ? list : "none");
}

/* "RULE" or "RULE(key=value,...)", modified in place. */
static enum ab_status read_rule(const struct reading *r, char *text, struct ab_rule *rule)
{
    char *open = strchr(text, '('), *rest = NULL;
    if (open) {
        char *last = text + strlen(text) - 1;
        if (*last != ')') {
            return ab_fail(r->err, r->wrong, "%s: '%.60s' lacks its closing parenthesis", r->where,
                           text);
        }
        *open = *last = '\0';
        rest = open + 1;
    }
    const struct kind *kind = find_kind(r, text);
    if (!kind) return r->wrong;
    struct ab_composite scratch = {.rule = {[AB_POS_FIRST] = kind->rule}};
    unsigned given = 0;
    while (rest) {
        char *pair = rest, *end = rest + ab_span(rest, ",");
        rest = *end ? end + 1 : NULL;
        *end = '\0';
        const enum ab_status status = set_key(r, kind, pair, &given, &scratch);
        if (status) return status;
    }
    *rule = scratch.rule[AB_POS_FIRST];
    const char *message = ab_check_rule(rule);
    return message ? ab_fail(r->err, r->wrong, "%s: rule %s: %s", r->where, kind->name, message)
                   : AB_OK;
}

static enum ab_status append(const struct reading *r, const char *entry,
                             const struct ab_selected_rule *one)
{
    struct ab_rule_list *l = r->list;
    if (l->count == MOST_ENTRIES) {
        return ab_fail(r->err, r->wrong, "%s: more than %d rules; use patterns for layers alike",
                       r->where, MOST_ENTRIES);
    }
    if (l->count == l->capacity) {
        const int capacity = l->capacity ? 2 * l->capacity : 8;
        void *more = realloc(l->items, (size_t)capacity * sizeof *l->items);
        if (!more) return ab_fail(r->err, AB_ERR_MEMORY, "%s: out of memory", r->where);
        l->items = more;
        l->capacity = capacity;
    }
    const size_t used = l->text ? strlen(l->text) : 0, size = used + strlen(entry) + 2;
    char *text = realloc(l->text, size);
    if (!text) return ab_fail(r->err, AB_ERR_MEMORY, "%s: out of memory", r->where);
    l->text = text;
    snprintf(text + used, size - used, "%s%s", used ? ";" : "", entry);
    l->items[l->count++] = *one;
    return AB_OK;
}

/* "SELECTOR=RULE(key=value,...)" */
static enum ab_status add_entry(const struct reading *r, const char *entry)
{
    struct ab_selected_rule one = {.selector = ""};
    char copy[LONGEST_LINE];
    const size_t length = strcspn(entry, "=");
    if (entry[length] == '\0') {
        return ab_fail(r->err, r->wrong, "%s: '%.60s' is not SELECTOR=RULE", r->where, entry);
    }
    if (length == 0 || length >= sizeof one.selector || strcspn(entry, " ;,()") < length) {
        return ab_fail(r->err, r->wrong,
                       "%s: '%.*s' is no selector: first, last, conv, dense, or a pattern of layer "
                       "names with * and ? (also for ; , ( ) and =), up to %zu characters",
                       r->where, length < 60 ? (int)length : 60, entry, sizeof one.selector - 1);
    }
    if (strlen(entry) >= sizeof copy) {
        return ab_fail(r->err, r->wrong, "%s: is longer than %zu characters", r->where,
                       sizeof copy - 1);
    }
    snprintf(one.selector, sizeof one.selector, "%.*s", (int)length, entry);
    snprintf(copy, sizeof copy, "%s", entry + length + 1);
    const enum ab_status status = read_rule(r, copy, &one.rule);
    return status ? status : append(r, entry, &one);
}

/* ---- the two forms ---- */

static enum ab_status new_list(struct ab_composite *c, struct ab_error *err)
{
    if (c->rules) return ab_fail(err, AB_ERR_ARG, "method composite: give rules or file, not both");
    c->rules = calloc(1, sizeof *c->rules);
    return c->rules ? AB_OK : ab_fail(err, AB_ERR_MEMORY, "out of memory for a composite's rules");
}

enum ab_status ab_read_rules(struct ab_composite *c, const char *text, struct ab_error *err)
{
    enum ab_status status = new_list(c, err);
    if (status) return status;
    for (int i = 1; text && !status; i++) {
        char where[48], entry[LONGEST_LINE];
        const struct reading r = {c->rules, where, AB_ERR_ARG, err};
        const size_t length = ab_span(text, ";");
        snprintf(where, sizeof where, "method composite: rule number %d", i);
        if (length >= sizeof entry) {
            return ab_fail(err, AB_ERR_ARG, "%s: is longer than %zu characters", where,
                           sizeof entry - 1);
        }
        snprintf(entry, sizeof entry, "%.*s", (int)length, text);
        text = text[length] ? text + length + 1 : NULL;
        status = add_entry(&r, entry);
    }
    return status;
}

/* "SELECTOR RULE key=value ..." as an entry; "" if the line says nothing. */
static enum ab_status line_to_entry(const struct reading *r, char *line, char *entry, size_t size)
{
    static const char blank[] = " \t\r\n";
    int words = 0;
    char *rest = line;
    entry[0] = '\0';
    line[strcspn(line, "#")] = '\0';
    for (;;) {
        rest += strspn(rest, blank);
        char *word = rest;
        if (*word == '\0') break;
        rest += strcspn(rest, blank);
        if (*rest) *rest++ = '\0';
        static const char *const before[] = {"", "=", "("};
        const size_t used = strlen(entry);
        if (used + strlen(word) + 3 > size) {
            return ab_fail(r->err, r->wrong, "%s: is longer than %zu characters", r->where, size);
        }
        snprintf(entry + used, size - used, "%s%s", words < 3 ? before[words] : ",", word);
        if (words == 0 && strchr(word, '=')) {
            return ab_fail(r->err, r->wrong,
                           "%s: '%.60s' is no selector; a line is: SELECTOR RULE key=value ...",
                           r->where, word);
        }
        words++;
    }
    if (words == 1) {
        return ab_fail(r->err, r->wrong,
                       "%s: '%.60s' has no rule; a line is: SELECTOR RULE key=value ...", r->where,
                       line + strspn(line, blank));
    }
    if (words > 2) strcat(entry, ")");
    return AB_OK;
}

enum ab_status ab_read_rule_file(struct ab_composite *c, const char *path, struct ab_error *err)
{
    uint64_t size;
    enum ab_status status = new_list(c, err);
    if (status) return status;
    FILE *f = ab_infile_open(path, "a composite: SELECTOR RULE key=value ... a line", &size,
                             &status, err);
    if (!f) return status;
    char line[LONGEST_LINE], entry[LONGEST_LINE], where[300];
    const struct reading r = {c->rules, where, AB_ERR_FORMAT, err};
    for (int i = 1; !status && fgets(line, sizeof line, f); i++) {
        snprintf(where, sizeof where, "%.280s:%d", path, i);
        if (!strchr(line, '\n') && !feof(f)) {
            status = ab_fail(err, AB_ERR_FORMAT, "%s: is longer than %zu characters", where,
                             sizeof line - 2);
            break;
        }
        status = line_to_entry(&r, line, entry, sizeof entry);
        if (!status && *entry) status = add_entry(&r, entry);
    }
    if (!status && ferror(f)) status = ab_fail(err, AB_ERR_IO, "%s: cannot be read", path);
    fclose(f);
    if (!status && c->rules->count == 0)
        status = ab_fail(err, AB_ERR_FORMAT, "%s: has no rules; a line is: SELECTOR RULE key=value",
                         path);
    return status;
}

void ab_rule_list_free(struct ab_rule_list **list)
{
    if (!*list) return;
    free((*list)->items);
    free((*list)->text);
    free(*list);
    *list = NULL;
}
