// SPDX-License-Identifier: Apache-2.0
// Which cases of the validator's methods there are: the fixed set, random ones, simpler ones. What
// a parameter may be is read off its row in the list of methods, so a new method is drawn as soon
// as it is listed.
#include "verify_methods.h"

#include "source.h"
#include "verify/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the fixed set: cases of each method and backend, of which the first has the defaults. */
enum { CASES = 12, MOST_NETWORKS = 64, SMALL_NETWORKS = 24 };

int ab_method_backends(char names[AB_METHOD_BACKENDS][32])
{
    int known, count = 0;
    const struct ab_backend_info *infos = ab_backends(&known);
    for (int i = 0; i < known && count < AB_METHOD_BACKENDS; i++) {
        if (!strcmp(infos[i].name, "reference")) continue;
        if (strcmp(infos[i].name, "native") != 0) {
            snprintf(names[count++], 32, "%s", infos[i].name);
            continue;
        }
        for (int isa = 0; isa < AB_ISA_COUNT && count < AB_METHOD_BACKENDS; isa++)
            if (ab_cpu_isas() >> isa & 1)
                snprintf(names[count++], 32, "native:%s", ab_isa_name((enum ab_isa)isa));
    }
    return count;
}

/* ---- specs ---- */

static bool parses(const char *spec)
{
    struct ab_method *method = NULL;
    struct ab_error err;
    const bool good = !ab_method_parse(spec, &method, &err);
    ab_method_destroy(&method);
    return good;
}

static void append(char *spec, size_t size, const char *pair)
{
    const size_t used = strlen(spec);
    snprintf(spec + used, size - used, "%s%s", strchr(spec, ':') ? "," : ":", pair);
}

/* Adds a parameter, unless the spec would be none then. */
static bool try_pair(char *spec, size_t size, const char *pair)
{
    char *end = spec + strlen(spec);
    append(spec, size, pair);
    if (parses(spec)) return true;
    *end = '\0';
    return false;
}

static const struct ab_param_info *param_of(const struct ab_method_info *info, const char *key)
{
    for (int p = 0; p < info->n_params; p++)
        if (!strcmp(info->params[p].key, key)) return &info->params[p];
    return NULL;
}

/* The method by its defaults, with what it cannot do without and few samples. */
static void plain_spec(const struct ab_method_info *info, char *spec, size_t size)
{
    static const char *const needed[] = {"low=-9,high=9",
                                         "rules=conv=zplus(eps=0);dense=epsilon(eps=0.01)"};
    snprintf(spec, size, "%s", info->name);
    for (size_t i = 0; i < sizeof needed / sizeof *needed && info->needs; i++)
        if (try_pair(spec, size, needed[i])) break;
    if (param_of(info, "n")) try_pair(spec, size, "n=3");
    if (param_of(info, "window")) try_pair(spec, size, "window=4,stride=4");
}

/* A value that the text on values permits: a number not below a limit, or one of some words. */
static void draw_value(const struct ab_param_info *p, struct ab_rng *r, char *text, size_t size)
{
    static const char *const bases[] = {"gradient", "guided-backprop", "rectgrad", "lrp-epsilon",
                                        "lrp-zplus"};
    static const char *const numbers[] = {"0", "1e-6", "0.001", "0.25", "1", "2"};
    const char *values = p->values;
    text[0] = '\0';
    if (!strcmp(p->key, "n") || !strcmp(p->key, "steps")) {
        snprintf(text, size, "%d", ab_rng_between(r, 1, 4));
    } else if (!strcmp(p->key, "window") || !strcmp(p->key, "stride")) {
        snprintf(text, size, "%d", ab_rng_between(r, 2, 5));
    } else if (!strcmp(p->key, "base")) {
        snprintf(text, size, "%s", bases[ab_rng_between(r, 0, 4)]);
    } else if (!strncmp(p->key, "noise", 5)) {
        /* The variance of samples nearer to one another than rounding has no digits. */
        snprintf(text, size, "%s", ab_rng_between(r, 0, 1) ? "0.1" : "0.5");
    } else if (!strncmp(values, ">", 1)) {
        const double low = atof(values + strspn(values, ">= "));
        const char *add = numbers[ab_rng_between(r, strncmp(values, ">=", 2) != 0, 5)];
        snprintf(text, size, "%g", low + atof(add));
    } else if (strstr(values, "..") && !strchr(values, ' ')) {
        snprintf(text, size, "%d", ab_rng_between(r, 0, 100));
    } else {
        int words = 1;
        for (const char *c = values; *c; c++) words += *c == ',';
        for (int skip = ab_rng_between(r, 0, words - 1); skip > 0; skip--)
            values = strchr(values, ',') + 1;
        values += strspn(values, " ");
        snprintf(text, size, "%.*s", (int)strcspn(values, ","), values);
    }
}

/* Some parameters at random; a value that does not parse, alone or with the others, is left out. */
static void draw_spec(const struct ab_method_info *info, struct ab_rng *r, char *spec, size_t size)
{
    plain_spec(info, spec, size);
    for (int p = 0; p < info->n_params; p++) {
        const char *key = info->params[p].key;
        char value[64], pair[160];
        if (ab_rng_between(r, 0, 2) == 0) continue;
        draw_value(&info->params[p], r, value, sizeof value);
        if (!strcmp(key, "alpha") && param_of(info, "beta"))
            snprintf(pair, sizeof pair, "alpha=%s,beta=%g", value, atof(value) - 1);
        else
            snprintf(pair, sizeof pair, "%s=%s", key, value);
        if (strpbrk(value, " \t\n") || strstr(value, ".npy") || !*value) continue;
        try_pair(spec, size, pair);
    }
}

/* ---- cases ---- */

static bool fits(const struct ab_method_case *c)
{
    struct ab_random_net net;
    struct ab_method *method = NULL;
    struct ab_error err;
    bool good = !ab_method_parse(c->spec, &method, &err) &&
                !ab_random_net(c->seed, c->graph, c->blocks, &net, &err);
    if (good) {
        good = !ab_method_fits(net.graph, method, 0, &err);
        ab_graph_destroy(&net.graph);
    }
    ab_method_destroy(&method);
    return good;
}

static struct ab_method_case blank(void)
{
    return (struct ab_method_case){.backend = "native",
                                   .seed = 1,
                                   .blocks = AB_NET_BLOCKS,
                                   .batch = 1,
                                   .threads = 1,
                                   .targets = 1};
}

bool ab_method_case_fixed(long i, struct ab_method_case *c)
{
    char backends[AB_METHOD_BACKENDS][32];
    int methods;
    const int n_backends = ab_method_backends(backends);
    const struct ab_method_info *infos = ab_methods(&methods);
    if (i < 0 || i >= (long)methods * n_backends * CASES) return false;
    const long m = i / (n_backends * CASES), b = i / CASES % n_backends, k = i % CASES;
    struct ab_rng r = ab_rng_new(1, 0x66697865 + (uint64_t)(m * CASES + k));
    *c = blank();
    snprintf(c->backend, sizeof c->backend, "%s", backends[b]);
    if (k == 0)
        plain_spec(&infos[m], c->spec, sizeof c->spec);
    else
        draw_spec(&infos[m], &r, c->spec, sizeof c->spec);
    c->batch = ab_rng_between(&r, 1, 3);
    c->threads = ab_rng_between(&r, 2, 4);
    c->targets = 1 + (k == 1);
    c->direct = k == 2 && ab_rng_between(&r, 0, 1) == 1;
    c->lean = k == 2 && ab_rng_between(&r, 0, 1) == 1;
    c->graph = (uint64_t)(m * CASES + k);
    for (int more = 0; more < MOST_NETWORKS && !fits(c); more++) c->graph += 1000;
    return true;
}

void ab_method_case_draw(struct ab_rng *rng, struct ab_method_case *c)
{
    char backends[AB_METHOD_BACKENDS][32];
    int methods;
    const int n_backends = ab_method_backends(backends);
    const struct ab_method_info *infos = ab_methods(&methods);
    *c = blank();
    snprintf(c->backend, sizeof c->backend, "%s", backends[ab_rng_between(rng, 0, n_backends - 1)]);
    draw_spec(&infos[ab_rng_between(rng, 0, methods - 1)], rng, c->spec, sizeof c->spec);
    c->seed = ab_rng_next(rng) >> 32;
    c->graph = ab_rng_next(rng) >> 48;
    c->batch = ab_rng_between(rng, 1, 4);
    c->threads = ab_rng_between(rng, 1, 4);
    c->targets = ab_rng_between(rng, 1, 2);
    c->direct = ab_rng_between(rng, 0, 3) == 0;
    c->lean = ab_rng_between(rng, 0, 3) == 0;
    for (int more = 0; more < MOST_NETWORKS && !fits(c); more++) c->graph++;
}

/* ---- simpler ones ---- */

/* Takes the p-th parameter off a spec; false if there is none, or it cannot do without. */
static bool without_pair(char *spec, int p)
{
    char *from = strchr(spec, ':');
    int depth = 0;
    for (; from && p > 0; p--) {
        for (from++; *from && (*from != ',' || depth); from++)
            depth += (*from == '(') - (*from == ')');
        if (!*from) from = NULL;
    }
    if (!from) return false;
    char *end = from + 1;
    for (; *end && (*end != ',' || depth); end++) depth += (*end == '(') - (*end == ')');
    const bool first = *from == ':';
    if (first && *end) from++, end++;
    memmove(from, end, strlen(end) + 1);
    return parses(spec);
}

static int nodes_of(const struct ab_method_case *c)
{
    struct ab_random_net net;
    struct ab_error err;
    if (ab_random_net(c->seed, c->graph, c->blocks, &net, &err)) return 0;
    const int nodes = net.graph->n_nodes;
    ab_graph_destroy(&net.graph);
    return nodes;
}

/* Change number `k` of one field; false: no such change, or the field is simple already. */
static bool change(struct ab_method_case *c, int k, bool *last)
{
    const struct ab_method_case was = *c;
    enum { FIELDS = 6, PARAMS = 24 };
    *last = k >= FIELDS + PARAMS + SMALL_NETWORKS;
    if (k < FIELDS) {
        int *const counts[] = {&c->batch, &c->threads, &c->targets};
        if (k < 3) return *counts[k] > 1 && (*counts[k] = 1);
        if (k == 3) return c->blocks > 0 && (c->blocks--, nodes_of(c) < nodes_of(&was)) && fits(c);
        bool *const flags[] = {&c->direct, &c->lean};
        return *flags[k - 4] && !(*flags[k - 4] = false);
    }
    if (k < FIELDS + PARAMS) return without_pair(c->spec, k - FIELDS) && fits(c);
    if (*last) return false;
    c->graph = (uint64_t)(k - FIELDS - PARAMS);
    const int nodes = nodes_of(c);
    return nodes > 0 && nodes < nodes_of(&was) && fits(c);
}

bool ab_method_case_shrink(const struct ab_method_case *c, int k, struct ab_method_case *simpler)
{
    bool last = false;
    for (int i = 0; !last; i++) {
        *simpler = *c;
        if (change(simpler, i, &last) && k-- == 0) return true;
    }
    return false;
}
