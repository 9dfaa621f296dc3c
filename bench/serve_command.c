// SPDX-License-Identifier: Apache-2.0
// attrbench serve: options from standard input, one visit, one document on standard output.
#include "serve.h"

#include "command.h"
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whoever asked for the visit wants it to end: with what there is, if there can be anything. */
static void on_term(int number)
{
    (void)number;
    if (!ab_serve_begun) _exit(AB_EXIT_INTERRUPTED);
    ab_interrupted = 1;
}

static void say_alive(void)
{
    /* Nobody who listens is found out by what is written last. */
    if (write(STDOUT_FILENO, "\n", 1) < 0) return;
}

static bool write_line(json_t *json)
{
    const bool said = json && json_dumpf(json, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF;
    json_decref(json);
    return said && fflush(stdout) == 0;
}

static bool next_turn(const struct ab_turn *last)
{
    char line[16];
    if (last && !write_line(ab_turn_json(last))) return false;
    /* What is left of the line that the options were on. */
    do {
        if (!fgets(line, sizeof line, stdin)) return false;
    } while (line[0] == '\n');
    return !strcmp(line, "turn\n");
}

static int say_error(enum ab_status status, const struct ab_error *err)
{
    json_t *json = json_pack("{s:{s:i,s:s}}", "error", "status", (int)status, "text", err->text);
    if (!json || json_dumpf(json, stdout, JSON_COMPACT) != 0 || putchar('\n') == EOF)
        ab_complain(AB_EXIT_ERROR, "%s", err->text);
    json_decref(json);
    return status == AB_ERR_ARG ? AB_EXIT_USAGE : AB_EXIT_ERROR;
}

static int say_visit(struct ab_visit *v)
{
    if (write_line(ab_visit_json(v))) return AB_EXIT_OK;
    return ab_complain(AB_EXIT_ERROR, "serve: the result cannot be written; free memory");
}

static int serve(const struct ab_visit_options *o, double born_ns)
{
    struct ab_server s;
    struct ab_visit v;
    struct ab_error err;
    const struct ab_serve_hooks hooks = {say_alive, next_turn};
    const enum ab_status status = ab_server_run(&s, o, born_ns, &hooks, &v, &err);
    if (status == AB_OK) ab_server_judge(&s, &v);
    const int code = status == AB_OK ? say_visit(&v) : say_error(status, &err);
    ab_visit_free(&v);
    /* An execution, or judging, may take longer than whoever asked waits. */
    if (ab_interrupted || ab_server_busy(&s)) {
        fflush(stdout);
        _exit(code);
    }
    ab_server_end(&s);
    return code;
}

int ab_visit_serve(void)
{
    struct ab_visit_options o;
    struct ab_deploy deploy = {0};
    struct ab_judging judging = {NULL};
    struct ab_error err;
    json_error_t at;
    double born_ns;
    const struct sigaction action = {.sa_handler = on_term};
    sigaction(SIGTERM, &action, NULL);
    json_t *json = json_loadf(stdin, JSON_DISABLE_EOF_CHECK, &at);
    enum ab_status status = AB_OK;
    if (!json)
        status =
            ab_fail(&err, AB_ERR_ARG,
                    "serve: options: no JSON (%.80s); they come from `attrbench tune`", at.text);
    else
        status = ab_visit_options_read(json, &o, &deploy, &judging, &born_ns, &err);
    const int code = status == AB_OK ? serve(&o, born_ns) : say_error(status, &err);
    ab_deploy_free(&deploy);
    free(judging.known);
    json_decref(json);
    return code;
}

static int run_command(void *settings, int argc, char **argv)
{
    (void)settings;
    (void)argc;
    (void)argv;
    return ab_visit_serve();
}

const struct ab_command ab_command_serve = {
    .name = "serve",
    .summary = "internal: serves one configuration under a load for `tune`, told by JSON",
    .usage = "",
    .more = "Started by `tune`, once for each visit: options as one JSON document on standard "
            "input, what\nthe visit showed as one on standard output. Empty lines before it are "
            "signs of life. SIGTERM\nends it early, with what there is. With turn_s it serves a "
            "turn for each line \"turn\" and answers\nit, until the input ends.",
    .run = run_command,
};
