// SPDX-License-Identifier: Apache-2.0
// Commands and their options, both declared as tables: main.c and the help texts read nothing else.
#ifndef AB_COMMAND_H
#define AB_COMMAND_H

#include "base/base.h"

#include <jansson.h>

/* Exit codes: the contract with scripts. */
enum ab_exit {
    AB_EXIT_OK = 0,
    AB_EXIT_ERROR = 1,
    AB_EXIT_USAGE = 2,
    AB_EXIT_REGRESSION = 3,
    AB_EXIT_INCONCLUSIVE = 4,
    AB_EXIT_NOTHING = 5, /* nothing comparable */
    AB_EXIT_DISAGREE = 6,
    AB_EXIT_INTERRUPTED = 130
};

/* A growing list of texts; owns them. */
struct ab_words {
    char **items;
    int count;
};
bool ab_words_add(struct ab_words *words, const char *text, size_t length);
void ab_words_free(struct ab_words *words);

enum ab_option_kind {
    AB_OPTION_FLAG,    /* bool: present or not */
    AB_OPTION_TEXT,    /* const char *: borrowed from argv, the last one given */
    AB_OPTION_TEXTS,   /* struct ab_words: may be given several times */
    AB_OPTION_LIST,    /* struct ab_words: also "a,b,c" */
    AB_OPTION_METHODS, /* struct ab_words: method specs, whose own commas stay */
    AB_OPTION_COUNTS,  /* struct ab_counts: "1,2,4", each from 1 */
    AB_OPTION_COUNT,   /* long: from 0 */
    AB_OPTION_SECONDS, /* double: "0.5", "500ms", "2s", "1m" */
    AB_OPTION_CHOICE,  /* int: the place of the given word in the option's `value`, "one|other" */
    AB_OPTION_PICK,    /* int: the same, counted from 1; 0: none was given */
    AB_OPTION_OPERANDS /* struct ab_words: what stands there without an option; `name` is for the
                          help alone */
};

enum { AB_MAX_COUNTS = 32 };
struct ab_counts {
    int items[AB_MAX_COUNTS], count;
};

struct ab_option {
    const char *name, *value, *help; /* "model", "M" (NULL: takes none), one or more lines */
    enum ab_option_kind kind;
    size_t offset; /* of the field in the command's settings */
};

struct ab_command {
    const char *name, *summary, *usage;
    const char *more; /* printed at the end of the help */
    const struct ab_option *options;
    int n_options;
    size_t settings_size; /* a zeroed struct that `run` gets */
    bool benchmark_flags; /* --benchmark_* stay in argv for Google Benchmark */
    /* argv[0] and the --benchmark_* flags. Returns the exit code. */
    int (*run)(void *settings, int argc, char **argv);
};

#define AB_COMMAND(name) extern const struct ab_command ab_command_##name;
#include "commands.def"
#undef AB_COMMAND

const struct ab_command *const *ab_commands(int *count);

/* Fills `settings` from argv[1..argc) and leaves what is not the table's in argv. False, one line
 * in err, if something is wrong. */
bool ab_options_parse(const struct ab_command *command, int *argc, char **argv, void *settings,
                      struct ab_error *err);
/* Frees the lists in `settings`. */
void ab_options_free(const struct ab_command *command, void *settings);
/* The options that are set, one word each ("--threads=1,2"): parsing them gives the same settings.
 * New reference; NULL: out of memory. */
json_t *ab_options_words(const struct ab_command *command, const void *settings);
void ab_command_help(const struct ab_command *command);

bool ab_parse_seconds(const char *text, double *seconds);

/* "attrbench: what: where: what to do" on stderr. Returns `code`. */
int ab_complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for a failed library call: wrong arguments are wrong usage. */
int ab_complain_status(enum ab_status status, const struct ab_error *err);

#endif
