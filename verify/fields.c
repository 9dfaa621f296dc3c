// SPDX-License-Identifier: Apache-2.0
// Texts of shapes and simpler trials: fields.h.
#include "verify/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts ---- */

static bool read_number(const char **at, int *value)
{
    char *end;
    if (**at < '0' || **at > '9') return false;
    const long v = strtol(*at, &end, 10);
    if (v > AB_FIELD_MOST) return false;
    *value = (int)v;
    *at = end;
    return true;
}

/* Numbers joined by x, spread over all places of the field. */
static bool read_field(const struct ab_field *f, const char **at)
{
    int got[4], n = 0;
    do {
        if (n == f->count || !read_number(at, &got[n])) return false;
        n++;
    } while (**at == 'x' && (*at)++);
    if (n != 1 && n != 2 && n != f->count) return false;
    for (int i = 0; i < f->count; i++) *f->value[i] = got[i % n];
    return true;
}

/* The field whose key is at the text: the longest. */
static const struct ab_field *field_at(const struct ab_field *fields, int count, const char *at)
{
    const struct ab_field *best = NULL;
    for (int i = 0; i < count; i++) {
        const size_t length = strlen(fields[i].key);
        if (strncmp(at, fields[i].key, length) != 0) continue;
        if (!best || length > strlen(best->key)) best = &fields[i];
    }
    return best;
}

static void list_keys(const struct ab_field *fields, int count, char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s<..>", fields[i].key);
}

static bool complain(const char *text, const char *at, const struct ab_field *fields, int count,
                     struct ab_error *err)
{
    char keys[160];
    list_keys(fields, count, keys, sizeof keys);
    ab_fail(err, AB_ERR_ARG, "shape \"%s\": cannot read \"%s\"; such shapes are %s", text, at,
            keys);
    return false;
}

static bool check_field(const struct ab_field *f, bool seen, const char *text, struct ab_error *err)
{
    if (!seen && f->assumed < f->least) {
        ab_fail(err, AB_ERR_ARG, "shape \"%s\": %s is missing", text, f->key);
        return false;
    }
    for (int i = 0; i < f->count; i++) {
        if (!seen) *f->value[i] = f->assumed;
        if (*f->value[i] >= f->least) continue;
        ab_fail(err, AB_ERR_ARG, "shape \"%s\": %s is %d, but %d is the least", text, f->key,
                *f->value[i], f->least);
        return false;
    }
    return true;
}

bool ab_fields_parse(const char *text, const struct ab_field *fields, int count, char letter,
                     bool *flag, struct ab_error *err)
{
    unsigned seen = 0;
    const char *at = text;
    if (flag) *flag = false;
    while (*at) {
        if (flag && *at == letter && at[1] == '\0') {
            *flag = true;
            break;
        }
        const char *start = at;
        const struct ab_field *f = field_at(fields, count, at);
        const unsigned bit = f ? 1u << (f - fields) : 0;
        if (!f || seen & bit) return complain(text, start, fields, count, err);
        at += strlen(f->key);
        if (!read_field(f, &at)) return complain(text, start, fields, count, err);
        seen |= bit;
    }
    for (int i = 0; i < count; i++)
        if (!check_field(&fields[i], seen >> i & 1, text, err)) return false;
    return true;
}

static bool all_are(const struct ab_field *f, int v)
{
    for (int i = 0; i < f->count; i++)
        if (*f->value[i] != v) return false;
    return true;
}

/* How many of the numbers must be written. */
static int numbers_of(const struct ab_field *f)
{
    if (all_are(f, *f->value[0])) return 1;
    const bool sides =
        f->count == 4 && *f->value[0] == *f->value[2] && *f->value[1] == *f->value[3];
    return sides ? 2 : f->count;
}

void ab_fields_print(const struct ab_field *fields, int count, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        const struct ab_field *f = &fields[i];
        if (f->assumed >= f->least && all_are(f, f->assumed)) continue;
        for (int v = 0; v < numbers_of(f) && used < size; v++)
            used +=
                (size_t)snprintf(text + used, size - used, "%s%d", v ? "x" : f->key, *f->value[v]);
    }
}

/* ---- simpler trials ---- */

static int *dim_at(struct ab_trial *t, size_t offset)
{
    return (int *)((char *)t + offset);
}

/* Everything but the shape, one thing at a time; false where it is the simplest already. */
static bool simplify(struct ab_trial *t, int k)
{
    const struct ab_trial before = *t;
    switch (k) {
    case 0: t->with = 0; break;
    case 1: t->f = AB_PW_COPY; break;
    case 2: t->wmod = AB_W_ALL; break;
    case 3: t->exponent = 0; break;
    case 4: t->offset = 0; break;
    case 5: t->side = AB_SIDE_RIGHT; break;
    case 6: t->fill = AB_FILL_INT; break;
    case 7: t->seed = 1; break;
    default: t->with &= ~(1u << (k - 8)); break;
    }
    return t->with != before.with || t->f != before.f || t->wmod != before.wmod ||
           t->exponent != before.exponent || t->offset != before.offset || t->side != before.side ||
           t->fill != before.fill || t->seed != before.seed;
}

bool ab_trial_simpler(const struct ab_trial *trial, const size_t *dims, int n_dims, int k,
                      struct ab_trial *smaller)
{
    enum { OTHERS = 8 + 6 };
    for (int i = 0; i < 2 * n_dims; i++) {
        *smaller = *trial;
        int *dim = dim_at(smaller, dims[i / 2]);
        if (*dim <= (i % 2 ? 2 : 1)) continue;
        *dim = i % 2 ? *dim - 1 : *dim / 2;
        if (k-- == 0) return true;
    }
    for (int i = 0; i < OTHERS; i++) {
        *smaller = *trial;
        if (simplify(smaller, i) && k-- == 0) return true;
    }
    return false;
}
