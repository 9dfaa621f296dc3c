// SPDX-License-Identifier: Apache-2.0
// The attrbench command: finds the command, reads its options, runs it.
#include "command.h"

#include "ab_version.h"
#include "simd/kernels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_help(void)
{
    printf("attrbench: CNN attribution by modified backpropagation on CPUs: heat maps, their speed,"
           "\nand their agreement with a double-precision reference.\n\n"
           "usage: attrbench COMMAND [OPTION]...\n\ncommands:\n");
    int count;
    const struct ab_command *const *commands = ab_commands(&count);
    for (int i = 0; i < count; i++) printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    printf(
        "\n  attrbench COMMAND --help   the options of a command\n"
        "  attrbench --version        revision, compiler, instruction sets, libraries\n\n"
        "Start with 'attrbench run': about a minute, a table, a picture.\n\n"
        "exit codes: 0 fine, 1 error, 2 wrong usage, 3 regression, 4 inconclusive, 5 nothing to\n"
        "compare or nothing that meets the requirements, 6 disagreement with the reference,\n"
        "130 interrupted (finished results are kept)\n");
}

static void print_version(void)
{
    printf("attrbench %s (%s)\ncompiler: %s, %s\n", AB_VERSION, AB_GIT_REVISION, AB_COMPILER,
           AB_BUILD_FLAGS);
    printf("instruction sets of this CPU:");
    unsigned isas = ab_cpu_isas();
    for (int i = 0; i < AB_ISA_COUNT; i++)
        if (isas >> i & 1) printf(" %s", ab_isa_name((enum ab_isa)i));
    int count;
    const struct ab_backend_info *backends = ab_backends(&count);
    printf("\n");
    for (int i = 0; i < count; i++) printf("%s: %s\n", backends[i].name, backends[i].version);
}

static int unknown_command(const char *word)
{
    int count;
    const struct ab_command *const *commands = ab_commands(&count);
    const char *names[32];
    char list[256] = "";
    for (int i = 0; i < count && i < 32; i++) {
        names[i] = commands[i]->name;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = ab_nearest(word, names, count);
    if (near)
        return ab_complain(AB_EXIT_USAGE, "unknown command '%s': did you mean '%s'? Commands: %s",
                           word, near, list);
    return ab_complain(AB_EXIT_USAGE, "unknown command '%s'; commands: %s; see attrbench --help",
                       word, list);
}

static int run_command(const struct ab_command *command, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") != 0) continue;
        ab_command_help(command);
        return AB_EXIT_OK;
    }
    void *settings = calloc(1, command->settings_size ? command->settings_size : 1);
    if (!settings) return ab_complain(AB_EXIT_ERROR, "out of memory; close something else");
    struct ab_error err;
    int code;
    if (ab_options_parse(command, &argc, argv, settings, &err))
        code = command->run(settings, argc, argv);
    else
        code = ab_complain(AB_EXIT_USAGE, "%s", err.text);
    ab_options_free(command, settings);
    free(settings);
    return code;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        ab_complain(AB_EXIT_USAGE, "no command given; try 'attrbench run' or 'attrbench --help'");
        return AB_EXIT_USAGE;
    }
    const char *word = argv[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help"))
        return print_help(), AB_EXIT_OK;
    if (!strcmp(word, "--version")) return print_version(), AB_EXIT_OK;
    int count;
    const struct ab_command *const *commands = ab_commands(&count);
    for (int i = 0; i < count; i++)
        if (!strcmp(word, commands[i]->name)) return run_command(commands[i], argc - 1, argv + 1);
    return unknown_command(word);
}

int main(int argc, char **argv)
{
    int code = dispatch(argc, argv);
    /* A full disk or a closed pipe shows at the latest here. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && code != AB_EXIT_INTERRUPTED)
        code = ab_complain(AB_EXIT_ERROR,
                           "standard output: cannot be written: %s; free space or redirect",
                           strerror(errno));
    return code;
}
