// SPDX-License-Identifier: Apache-2.0
// Settings back into the words that ask for them.
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool add(json_t *words, const char *name, const char *value)
{
    json_t *word = value ? json_sprintf("--%s=%s", name, value) : json_sprintf("--%s", name);
    return json_array_append_new(words, word) == 0;
}

static bool add_each(json_t *words, const char *name, const struct ab_words *values)
{
    bool good = true;
    for (int i = 0; i < values->count; i++) good = add(words, name, values->items[i]) && good;
    return good;
}

static bool add_counts(json_t *words, const char *name, const struct ab_counts *counts)
{
    char text[8 * AB_MAX_COUNTS];
    size_t used = 0;
    for (int i = 0; i < counts->count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d", i ? "," : "",
                                 counts->items[i]);
    return !counts->count || add(words, name, text);
}

/* With as many digits as it takes to be read as the same number. */
static bool add_seconds(json_t *words, const char *name, double seconds)
{
    char text[64];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*gs", digits, seconds);
        if (strtod(text, NULL) == seconds) break;
    }
    return !(seconds > 0) || add(words, name, text);
}

/* The word of a choice, "one|other". */
static bool add_choice(json_t *words, const struct ab_option *o, int place)
{
    char text[64];
    const char *word = o->value;
    for (int i = 0; i < place; i++) word += strcspn(word, "|") + 1;
    snprintf(text, sizeof text, "%.*s", (int)strcspn(word, "|"), word);
    return add(words, o->name, text);
}

static bool add_option(json_t *words, const struct ab_option *o, const void *field)
{
    char text[64];
    switch (o->kind) {
    case AB_OPTION_FLAG: return !*(const bool *)field || add(words, o->name, NULL);
    case AB_OPTION_TEXT: {
        const char *value = *(const char *const *)field;
        return !value || add(words, o->name, value);
    }
    case AB_OPTION_TEXTS:
    case AB_OPTION_LIST:
    case AB_OPTION_METHODS: return add_each(words, o->name, field);
    case AB_OPTION_COUNTS: return add_counts(words, o->name, field);
    case AB_OPTION_COUNT:
        snprintf(text, sizeof text, "%ld", *(const long *)field);
        return !*(const long *)field || add(words, o->name, text);
    case AB_OPTION_SECONDS: return add_seconds(words, o->name, *(const double *)field);
    case AB_OPTION_OPERANDS: {
        const struct ab_words *operands = field;
        bool good = true;
        for (int i = 0; i < operands->count; i++)
            good = json_array_append_new(words, json_string(operands->items[i])) == 0 && good;
        return good;
    }
    case AB_OPTION_CHOICE: /* the first goes without saying */
        return !*(const int *)field || add_choice(words, o, *(const int *)field);
    case AB_OPTION_PICK:
        return !*(const int *)field || add_choice(words, o, *(const int *)field - 1);
    }
    return false;
}

json_t *ab_options_words(const struct ab_command *command, const void *settings)
{
    json_t *words = json_array();
    bool good = words != NULL;
    for (int i = 0; good && i < command->n_options; i++) {
        const struct ab_option *o = &command->options[i];
        good = add_option(words, o, (const char *)settings + o->offset);
    }
    if (good) return words;
    json_decref(words);
    return NULL;
}
