// SPDX-License-Identifier: Apache-2.0
// The list of methods, and the parser of method specs: "name" or "name:key=value,...".
#include "method/params.h"
#include "method/rule_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ab_method_desc *const descs[] = {
#define AB_METHOD(symbol) &ab_method_##symbol,
#include "method/methods.def"
#undef AB_METHOD
};

enum { METHODS = AB_COUNT(descs), MAX_PARAMS = 16 };

const struct ab_method_info *ab_methods(int *count)
{
    static struct ab_method_info infos[METHODS];
    static struct ab_param_info params[METHODS][MAX_PARAMS];
    /* Idempotent, so that two threads may do it at once. */
    for (int m = 0; m < METHODS; m++) {
        const struct ab_method_desc *d = descs[m];
        for (int p = 0; p < d->n_params; p++) params[m][p] = d->params[p].info;
        infos[m] = (struct ab_method_info){
            .name = d->name,
            .summary = d->summary,
            .source = d->source,
            .seed = d->composite.map >= AB_MAP_INPUT ? "none" : ab_seed_name(d->composite.seed),
            .cost = d->cost,
            .tools = d->tools,
            .needs = d->needs,
            .params = params[m],
            .n_params = d->n_params};
    }
    *count = METHODS;
    return infos;
}

/* Appends to text[size] what fits; returns false if it did not. */
static bool append(char *text, size_t size, const char *more)
{
    const size_t used = strlen(text);
    return (size_t)snprintf(text + used, size - used, "%s", more) < size - used;
}

/* Names separated by commas, as many as an error line has room for. */
static void list_names(const char *const *names, int count, char *list, size_t size)
{
    list[0] = '\0';
    for (int i = 0; i < count; i++) {
        const size_t more = strlen(names[i]) + sizeof ", " - 1;
        if (strlen(list) + more + sizeof ", ..." > size) {
            append(list, size, ", ...");
            return;
        }
        append(list, size, i ? ", " : "");
        append(list, size, names[i]);
    }
}

static const struct ab_method_desc *find(const char *name, struct ab_error *err)
{
    const char *names[METHODS];
    char list[300];
    for (int m = 0; m < METHODS; m++) {
        names[m] = descs[m]->name;
        if (strcmp(name, names[m]) == 0) return descs[m];
    }
    list_names(names, METHODS, list, sizeof list);
    const char *near = ab_nearest(name, names, METHODS);
    ab_fail(err, AB_ERR_ARG, "unknown method '%.60s'%s%s%s; there are: %s", name,
            near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "", list);
    return NULL;
}

static int find_param(const struct ab_method_desc *d, const char *key, struct ab_error *err)
{
    const char *keys[MAX_PARAMS];
    char list[256];
    for (int p = 0; p < d->n_params; p++) {
        keys[p] = d->params[p].info.key;
        if (strcmp(key, keys[p]) == 0) return p;
    }
    list_names(keys, d->n_params, list, sizeof list);
    const char *near = ab_nearest(key, keys, d->n_params);
    ab_fail(err, AB_ERR_ARG, "method %s has no parameter '%.60s'%s%s%s; it has: %s", d->name, key,
            near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "",
            d->n_params ? list : "none");
    return -1;
}

/* Splits "key=value,..." (modified in place): texts[p] gets the value's text of parameter p. */
static enum ab_status split_pairs(const struct ab_method_desc *d, char *pairs, const char **texts,
                                  struct ab_error *err)
{
    char *rest = pairs;
    while (rest) {
        char *pair = rest, *end = rest + ab_span(rest, ",");
        rest = *end ? end + 1 : NULL;
        *end = '\0';
        char *equals = strchr(pair, '=');
        if (!equals) {
            return ab_fail(err, AB_ERR_ARG, "method %s: '%.60s' is not key=value", d->name, pair);
        }
        *equals = '\0';
        const int p = find_param(d, pair, err);
        if (p < 0) return AB_ERR_ARG;
        if (texts[p]) {
            return ab_fail(err, AB_ERR_ARG, "method %s: parameter %s is given twice", d->name,
                           pair);
        }
        texts[p] = equals + 1;
    }
    return AB_OK;
}

static enum ab_status set_value(struct ab_method *m, int p, const char *text, struct ab_error *err)
{
    const struct ab_param *param = &m->desc->params[p];
    if (!param->set && m->desc->read)
        return m->desc->read(&m->composite, param->info.key, text, err);
    if (param->set && param->set(&m->composite, text)) return AB_OK;
    return ab_fail(err, AB_ERR_ARG, "method %s: %s=%.60s is not a value; it takes: %s",
                   m->desc->name, param->info.key, text, param->info.values);
}

/* Replaces compat=TOOL among `texts` by the parameters that it stands for, as far as they are not
 * given; `pairs` holds them. */
static enum ab_status expand_compat(struct ab_method *m, char *pairs, size_t size,
                                    const char **texts, struct ab_error *err)
{
    const struct ab_method_desc *d = m->desc;
    const char *presets[MAX_PARAMS] = {NULL}, *tool = NULL;
    int at = -1;
    for (int p = 0; p < d->n_params && at < 0; p++) {
        if (texts[p] && strcmp(d->params[p].info.key, "compat") == 0) at = p;
    }
    if (at < 0) return AB_OK;
    for (int i = 0; i < d->n_compats && !tool; i++) {
        if (strcmp(d->compats[i].tool, texts[at]) != 0) continue;
        tool = d->compats[i].tool;
        snprintf(pairs, size, "%s", d->compats[i].pairs);
    }
    if (!tool) return set_value(m, at, texts[at], err);
    texts[at] = NULL;
    if (!*pairs) return AB_OK;
    const enum ab_status status = split_pairs(d, pairs, presets, err);
    for (int p = 0; p < d->n_params; p++)
        if (!texts[p]) texts[p] = presets[p];
    return status;
}

/* "name(key=value,...)" as a spec of its own, in place; false if it is not of that form. */
static bool unwrap(char *text)
{
    char *open = strchr(text, '(');
    if (!open) return !strchr(text, ':');
    char *close = text + strlen(text) - 1;
    if (*close != ')' || ab_span(open, "") != strlen(open) || strchr(text, ':') != NULL)
        return false;
    *close = '\0';
    if (open + 1 == close)
        *open = '\0';
    else
        *open = ':';
    return true;
}

/* Whether the caller is to give the reference inputs. */
static bool takes_baselines(const struct ab_composite *c)
{
    return c->lift != AB_LIFT_NONE && c->n_baseline == 0;
}

/* The base method's composite takes the place of the sampled method's own, which keeps `sampling`.
 * *canonical: the base as the spec writes it. */
static enum ab_status adopt_base(struct ab_method *m, char canonical[AB_MAX_BASE + 1],
                                 struct ab_error *err)
{
    struct ab_sampling sampling = m->composite.sampling;
    struct ab_method *base = NULL;
    const char *name = m->desc->name;
    if (!unwrap(sampling.base))
        return ab_fail(err, AB_ERR_ARG,
                       "method %s: base=%.60s is not METHOD or METHOD(key=value,...)", name,
                       m->composite.sampling.base);
    struct ab_error inner = {""};
    enum ab_status status = ab_method_parse(sampling.base, &base, &inner);
    if (status) return ab_fail(err, status, "method %s: base: %.440s", name, inner.text);
    if (base->composite.sampling.kind != AB_SAMPLE_NOT) {
        status = ab_fail(err, AB_ERR_ARG,
                         "method %s: base=%s samples itself; give a method of a single pass", name,
                         base->desc->name);
    } else if (takes_baselines(&base->composite) != (sampling.kind == AB_SAMPLE_DEEPLIFT_SHAP)) {
        status = ab_fail(err, AB_ERR_ARG,
                         sampling.kind == AB_SAMPLE_DEEPLIFT_SHAP
                             ? "method %s: base=%.60s takes no reference inputs; give "
                               "base=deeplift(baseline=given)"
                             : "method %s: base=%.60s would get no reference input; give its "
                               "baseline=V, or use deeplift-shap",
                         name, base->spec);
    } else if (strlen(base->spec) >= sizeof sampling.base) {
        status = ab_fail(err, AB_ERR_ARG, "method %s: the spec of its base is too long", name);
    } else {
        /* The list of rules, if there is one, is handed on. */
        memcpy(sampling.base, base->spec, strlen(base->spec) + 1);
        m->composite = base->composite;
        m->composite.sampling = sampling;
        base->composite.rules = NULL;
        snprintf(canonical, AB_MAX_BASE + 1, "%s", sampling.base);
        char *colon = strchr(canonical, ':');
        if (colon) {
            *colon = '(';
            strcat(canonical, ")");
        }
    }
    ab_method_destroy(&base);
    return status;
}

/* The canonical spec: parameters whose text differs from the default's, in the table's order. A
 * composite's rules stand in it as they were read, from wherever. */
static bool write_spec(struct ab_method *m, const char *const *texts)
{
    bool fits = append(m->spec, sizeof m->spec, m->desc->name);
    const char *separator = ":";
    for (int p = 0; p < m->desc->n_params; p++) {
        const struct ab_param_info *info = &m->desc->params[p].info;
        const bool rules = !m->desc->params[p].set && m->composite.rules;
        if (!texts[p] || strcmp(texts[p], info->fallback) == 0) continue;
        fits = fits && append(m->spec, sizeof m->spec, separator) &&
               append(m->spec, sizeof m->spec, rules ? "rules" : info->key) &&
               append(m->spec, sizeof m->spec, "=") &&
               append(m->spec, sizeof m->spec, rules ? m->composite.rules->text : texts[p]);
        separator = ",";
    }
    return fits;
}

static enum ab_status parse(char *text, struct ab_method *m, struct ab_error *err)
{
    const char *texts[MAX_PARAMS] = {NULL};
    char compat[256];
    enum ab_status status = AB_OK;
    char *colon = strchr(text, ':');
    if (colon) *colon = '\0';
    m->desc = find(text, err);
    if (!m->desc) return AB_ERR_ARG;
    m->composite = m->desc->composite;
    if (colon) status = split_pairs(m->desc, colon + 1, texts, err);
    if (!status) status = expand_compat(m, compat, sizeof compat, texts, err);
    for (int p = 0; p < m->desc->n_params && !status; p++)
        if (texts[p]) status = set_value(m, p, texts[p], err);
    if (status) return status;
    const char *wrong = m->desc->check ? m->desc->check(&m->composite) : NULL;
    if (!wrong && m->composite.rival && m->composite.seed != AB_SEED_CONTRAST)
        wrong = "against says what to contrast with: add seed=contrast";
    if (wrong) return ab_fail(err, AB_ERR_ARG, "method %s: %s", m->desc->name, wrong);
    char base[AB_MAX_BASE + 1];
    if (m->composite.sampling.base[0]) {
        status = adopt_base(m, base, err);
        if (status) return status;
        for (int p = 0; p < m->desc->n_params; p++)
            if (texts[p] && strcmp(m->desc->params[p].info.key, "base") == 0) texts[p] = base;
    }
    if (!write_spec(m, texts))
        return ab_fail(err, AB_ERR_ARG, "method %s: its spec is longer than %d characters",
                       m->desc->name, AB_MAX_SPEC - 1);
    return AB_OK;
}

enum ab_status ab_method_parse(const char *spec, struct ab_method **method, struct ab_error *err)
{
    *method = NULL;
    char text[AB_MAX_SPEC];
    if (strlen(spec) >= sizeof text) {
        return ab_fail(err, AB_ERR_ARG, "method spec '%.40s...' is longer than %d characters", spec,
                       AB_MAX_SPEC - 1);
    }
    memcpy(text, spec, strlen(spec) + 1);
    struct ab_method *m = calloc(1, sizeof *m);
    if (!m) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a method");
    const enum ab_status status = parse(text, m, err);
    if (status)
        ab_method_destroy(&m);
    else
        *method = m;
    return status;
}

void ab_method_destroy(struct ab_method **method)
{
    if (*method) ab_rule_list_free(&(*method)->composite.rules);
    free(*method);
    *method = NULL;
}

const char *ab_method_spec(const struct ab_method *method)
{
    return method->spec;
}
