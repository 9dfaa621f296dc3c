// SPDX-License-Identifier: Apache-2.0
// Long options read from a table: --name VALUE or --name=VALUE.
#include "command.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ab_words_add(struct ab_words *words, const char *text, size_t length)
{
    char **grown = realloc(words->items, ((size_t)words->count + 1) * sizeof *grown);
    if (!grown) return false;
    words->items = grown;
    char *copy = malloc(length + 1);
    if (!copy) return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    words->items[words->count++] = copy;
    return true;
}

void ab_words_free(struct ab_words *words)
{
    for (int i = 0; i < words->count; i++) free(words->items[i]);
    free(words->items);
    *words = (struct ab_words){0};
}

/* A comma belongs to a method spec if it is in parentheses, or if "key=value" follows and the spec
 * has begun its parameters. */
static const char *spec_end(const char *text)
{
    const char *end = text + ab_span(text, ",");
    bool open = memchr(text, ':', (size_t)(end - text)) != NULL;
    while (open && *end == ',') {
        const char *piece = end + 1;
        size_t length = ab_span(piece, ",");
        const size_t name = ab_span(piece, "=:,");
        if (piece[name] != '=') break;
        end = piece + length;
    }
    return end;
}

static bool add_list(struct ab_words *words, const char *text, bool specs)
{
    for (;;) {
        const char *end = specs ? spec_end(text) : text + strcspn(text, ",");
        if (end == text || !ab_words_add(words, text, (size_t)(end - text))) return false;
        if (!*end) return true;
        text = end + 1;
    }
}

static bool add_counts(struct ab_counts *counts, const char *text)
{
    for (;;) {
        char *end;
        long v = strtol(text, &end, 10);
        bool digits = *text >= '0' && *text <= '9';
        if (!digits || v < 1 || v > 4096 || counts->count == AB_MAX_COUNTS) return false;
        counts->items[counts->count++] = (int)v;
        if (!*end) return true;
        if (*end != ',') return false;
        text = end + 1;
    }
}

bool ab_parse_seconds(const char *text, double *seconds)
{
    static const struct {
        const char *unit;
        double scale;
    } units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"m", 60}, {"h", 3600}};
    char *end;
    double v = strtod(text, &end);
    if (end == text || !isfinite(v) || v <= 0 || v > 1e6) return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].unit) != 0) continue;
        *seconds = v * units[i].scale;
        return true;
    }
    return false;
}

static bool parse_count(const char *text, long *out)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || v > 1000000000) return false;
    *out = v;
    return true;
}

static bool parse_choice(const char *choices, const char *text, int *out)
{
    int place = 0;
    for (const char *word = choices; *word; place++) {
        const size_t length = strcspn(word, "|");
        if (strlen(text) == length && !strncmp(word, text, length)) {
            *out = place;
            return true;
        }
        word += length + (word[length] == '|');
    }
    return false;
}

static bool store(const struct ab_option *option, void *settings, const char *value)
{
    void *field = (char *)settings + option->offset;
    switch (option->kind) {
    case AB_OPTION_FLAG: return *(bool *)field = true;
    case AB_OPTION_TEXT: *(const char **)field = value; return *value != '\0';
    case AB_OPTION_OPERANDS:
    case AB_OPTION_TEXTS: return *value && ab_words_add(field, value, strlen(value));
    case AB_OPTION_LIST: return add_list(field, value, false);
    case AB_OPTION_METHODS: return add_list(field, value, true);
    case AB_OPTION_COUNTS: return add_counts(field, value);
    case AB_OPTION_COUNT: return parse_count(value, field);
    case AB_OPTION_SECONDS: return ab_parse_seconds(value, field);
    case AB_OPTION_CHOICE: return parse_choice(option->value, value, field);
    case AB_OPTION_PICK: {
        int place;
        if (!parse_choice(option->value, value, &place)) return false;
        *(int *)field = place + 1;
        return true;
    }
    }
    return false;
}

static const char *expects(const struct ab_option *option)
{
    switch (option->kind) {
    case AB_OPTION_CHOICE:
    case AB_OPTION_PICK: return option->value;
    case AB_OPTION_COUNTS: return "counts from 1, such as 1,2,4";
    case AB_OPTION_COUNT: return "a whole number";
    case AB_OPTION_SECONDS: return "a duration, such as 0.5, 500ms or 2s";
    case AB_OPTION_LIST:
    case AB_OPTION_METHODS: return "names separated by commas";
    default: return "a value";
    }
}

static const struct ab_option *find(const struct ab_command *command, const char *name,
                                    size_t length)
{
    for (int i = 0; i < command->n_options; i++) {
        const char *candidate = command->options[i].name;
        if (command->options[i].kind != AB_OPTION_OPERANDS && strlen(candidate) == length &&
            !strncmp(candidate, name, length))
            return &command->options[i];
    }
    return NULL;
}

static const struct ab_option *find_operands(const struct ab_command *command)
{
    for (int i = 0; i < command->n_options; i++)
        if (command->options[i].kind == AB_OPTION_OPERANDS) return &command->options[i];
    return NULL;
}

static bool unknown(const struct ab_command *command, const char *text, struct ab_error *err)
{
    if (strncmp(text, "--", 2) != 0)
        return ab_fail(err, AB_ERR_ARG, "%s: '%s' is not an option; see attrbench %s --help",
                       command->name, text, command->name),
               false;
    const char *names[64];
    int count = 0;
    for (int i = 0; i < command->n_options && i < 64; i++)
        if (command->options[i].kind != AB_OPTION_OPERANDS)
            names[count++] = command->options[i].name;
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(text + 2, "="), text + 2);
    const char *near = ab_nearest(word, names, count);
    ab_fail(err, AB_ERR_ARG, "%s: unknown option --%s%s%s%s; see attrbench %s --help",
            command->name, word, near ? ": did you mean --" : "", near ? near : "", near ? "?" : "",
            command->name);
    return false;
}

static bool take(const struct ab_command *command, int argc, char **argv, int *i, void *settings,
                 struct ab_error *err)
{
    const char *text = argv[*i];
    const struct ab_option *operands = *text != '-' ? find_operands(command) : NULL;
    if (operands) {
        if (store(operands, settings, text)) return true;
        return ab_fail(err, AB_ERR_ARG, "%s: %s is empty; give a name", command->name,
                       operands->name),
               false;
    }
    size_t length = strncmp(text, "--", 2) == 0 ? strcspn(text + 2, "=") : 0;
    const struct ab_option *option = length ? find(command, text + 2, length) : NULL;
    if (!option) return unknown(command, text, err);
    bool inline_value = text[2 + length] == '=';
    const char *value = inline_value ? text + 3 + length : "";
    if (option->kind == AB_OPTION_FLAG) {
        if (inline_value)
            return ab_fail(err, AB_ERR_ARG, "%s: --%s takes no value; write just --%s",
                           command->name, option->name, option->name),
                   false;
    } else if (!inline_value) {
        if (*i + 1 >= argc || !strncmp(argv[*i + 1], "--", 2))
            return ab_fail(err, AB_ERR_ARG, "%s: --%s: no value given; write --%s %s",
                           command->name, option->name, option->name, option->value),
                   false;
        value = argv[++*i];
    }
    if (store(option, settings, value)) return true;
    ab_fail(err, AB_ERR_ARG, "%s: --%s: '%s' will not do; give %s", command->name, option->name,
            value, expects(option));
    return false;
}

bool ab_options_parse(const struct ab_command *command, int *argc, char **argv, void *settings,
                      struct ab_error *err)
{
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (command->benchmark_flags && !strncmp(argv[i], "--benchmark_", 12))
            argv[kept++] = argv[i];
        else if (!take(command, *argc, argv, &i, settings, err))
            return false;
    }
    argv[kept] = NULL;
    *argc = kept;
    return true;
}

void ab_options_free(const struct ab_command *command, void *settings)
{
    for (int i = 0; i < command->n_options; i++) {
        const struct ab_option *o = &command->options[i];
        if (o->kind == AB_OPTION_TEXTS || o->kind == AB_OPTION_LIST ||
            o->kind == AB_OPTION_METHODS || o->kind == AB_OPTION_OPERANDS)
            ab_words_free((struct ab_words *)((char *)settings + o->offset));
    }
}

static void print_indented(const char *text)
{
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        printf("      %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

void ab_command_help(const struct ab_command *command)
{
    printf("attrbench %s: %s\n\nusage: attrbench %s %s\n", command->name, command->summary,
           command->name, command->usage);
    if (command->n_options) printf("\noptions:\n");
    for (int i = 0; i < command->n_options; i++) {
        const struct ab_option *o = &command->options[i];
        printf("  %s%s%s%s\n", o->kind == AB_OPTION_OPERANDS ? "" : "--", o->name,
               o->value ? " " : "", o->value ? o->value : "");
        print_indented(o->help);
    }
    if (command->more) printf("\n%s\n", command->more);
}
