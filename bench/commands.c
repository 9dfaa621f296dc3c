// SPDX-License-Identifier: Apache-2.0
// The table of commands and the one way of complaining.
#include "command.h"

#include <stdarg.h>
#include <stdio.h>

static const struct ab_command *const commands[] = {
#define AB_COMMAND(name) &ab_command_##name,
#include "commands.def"
#undef AB_COMMAND
};

const struct ab_command *const *ab_commands(int *count)
{
    *count = (int)(sizeof commands / sizeof *commands);
    return commands;
}

int ab_complain(int code, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "attrbench: %s\n", text);
    return code;
}

int ab_complain_status(enum ab_status status, const struct ab_error *err)
{
    return ab_complain(status == AB_ERR_ARG ? AB_EXIT_USAGE : AB_EXIT_ERROR, "%s", err->text);
}
