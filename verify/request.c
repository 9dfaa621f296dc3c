// SPDX-License-Identifier: Apache-2.0
// Requests: words that say what to verify.
#include "verify/plan.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ab_verify_request_init(struct ab_verify_request *r)
{
    *r = (struct ab_verify_request){.fill = -1, .every = 1};
}

static void free_words(struct ab_verify_words *w)
{
    for (int i = 0; i < w->count; i++) free(w->items[i]);
    free(w->items);
}

void ab_verify_request_free(struct ab_verify_request *r)
{
    free_words(&r->ops);
    free_words(&r->isas);
    free_words(&r->shapes);
    ab_verify_request_init(r);
}

static enum ab_status add_word(struct ab_verify_words *w, const char *text, struct ab_error *err)
{
    char **grown = realloc(w->items, ((size_t)w->count + 1) * sizeof *grown);
    if (grown) w->items = grown;
    char *copy = grown ? strdup(text) : NULL;
    if (!copy) return ab_fail(err, AB_ERR_MEMORY, "out of memory for '%.60s'", text);
    w->items[w->count++] = copy;
    return AB_OK;
}

bool ab_verify_wanted(const struct ab_verify_words *patterns, const char *op, const char *name)
{
    for (int i = 0; i < patterns->count; i++)
        if (!fnmatch(patterns->items[i], op, 0) || !fnmatch(patterns->items[i], name, 0))
            return true;
    return !patterns->count;
}

static enum ab_status set_isa(struct ab_verify_request *r, const char *value, struct ab_error *err)
{
    const char *names[AB_ISA_COUNT];
    char list[128] = "";
    for (int i = 0; i < AB_ISA_COUNT; i++) {
        names[i] = ab_isa_name((enum ab_isa)i);
        if (!strcmp(value, names[i])) return add_word(&r->isas, value, err);
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    return ab_fail(err, AB_ERR_ARG, "isa '%.60s' is unknown; there are: %s", value, list);
}

static enum ab_status set_fill(struct ab_verify_request *r, const char *value, struct ab_error *err)
{
    char list[256] = "";
    const size_t length = strlen(value);
    if (length > 4 && !strcmp(value + length - 4, ".npy")) {
        if (length >= sizeof r->file)
            return ab_fail(err, AB_ERR_ARG,
                           "fill '%.60s...': the name is too long; use one of %d "
                           "characters at most",
                           value, (int)sizeof r->file - 1);
        if (strpbrk(value, "\t\r\n"))
            return ab_fail(err, AB_ERR_ARG, "fill: a name with line breaks or tabs; rename it");
        memcpy(r->file, value, length + 1);
        r->fill = AB_FILL_FILE;
        return AB_OK;
    }
    for (int i = 0; i < AB_FILL_FILE; i++) {
        const char *name = ab_fill_name((enum ab_fill)i);
        if (!strcmp(value, name)) return r->fill = i, AB_OK;
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s, ", name);
    }
    return ab_fail(err, AB_ERR_ARG, "fill '%.60s' is unknown; there are: %sor FILE.npy", value,
                   list);
}

/* A whole number within [lo, hi]. */
static bool parse_number(const char *text, long long lo, long long hi, long long *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    const char *digits = text + (*text == '-');
    return *digits >= '0' && *digits <= '9' && !*end && !errno && *out >= lo && *out <= hi;
}

static enum ab_status set_number(struct ab_verify_request *r, const char *key, const char *value,
                                 struct ab_error *err)
{
    static const struct {
        const char *key;
        long long lo, hi;
    } keys[] = {{"exponent", -20, 20},
                {"seed", 0, 1000000000000000},
                {"most", 0, 1000000000000},
                {"every", 1, 1000000}};
    long long v;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(key, keys[i].key) != 0) continue;
        if (!parse_number(value, keys[i].lo, keys[i].hi, &v))
            return ab_fail(err, AB_ERR_ARG, "%s '%.60s' will not do; give %lld to %lld", key, value,
                           keys[i].lo, keys[i].hi);
        switch (i) {
        case 0: r->exponent = (int)v, r->has_exponent = true; break;
        case 1: r->seed = (uint64_t)v, r->has_seed = true; break;
        case 2: r->most = (double)v; break;
        default: r->every = (long)v;
        }
        return AB_OK;
    }
    return ab_fail(err, AB_ERR_ARG,
                   "'%.60s' is unknown; there are: op, isa, shape, fill, "
                   "exponent, seed, most, every",
                   key);
}

enum ab_status ab_verify_request_set(struct ab_verify_request *r, const char *key,
                                     const char *value, struct ab_error *err)
{
    if (!strcmp(key, "op")) return add_word(&r->ops, value, err);
    if (!strcmp(key, "shape")) return add_word(&r->shapes, value, err);
    if (!strcmp(key, "isa")) return set_isa(r, value, err);
    if (!strcmp(key, "fill")) return set_fill(r, value, err);
    return set_number(r, key, value, err);
}
