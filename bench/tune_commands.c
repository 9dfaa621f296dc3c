// SPDX-License-Identifier: Apache-2.0
// What runs exactly the recommended configuration: the card, the file and the page tell the same.
#include "tune_out.h"

#include <string.h>

/* As a word of a shell. */
static void word_text(const char *value, char *out, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./:=,+-@%";
    size_t n = 0;
    if (*value && !value[strspn(value, plain)]) {
        snprintf(out, size, "%s", value);
        return;
    }
    if (size < 8) return;
    out[n++] = '\'';
    for (; *value && n + 6 < size; value++) {
        if (*value == '\'') {
            memcpy(out + n, "'\\'", 3);
            n += 3;
        }
        out[n++] = *value;
    }
    out[n++] = '\'';
    out[n] = '\0';
}

static const char *algo_flags(const struct ab_deploy *d)
{
    if (strncmp(d->backend, "native", 6) != 0) return "";
    if (d->memory == AB_MEMORY_LEAN) return " --memory lean";
    return d->algo == AB_ALGO_DIRECT ? " --algo direct" : "";
}

int ab_tune_commands(const struct ab_tune_result *r,
                     struct ab_tune_command commands[AB_TUNE_COMMANDS])
{
    enum { SIZE = sizeof commands->text };
    if (r->answer->recommended < 0) return 0;
    const struct ab_deploy *d = &r->space->points[r->answer->recommended].deploy;
    const char *out = r->out ? r->out : "deploy.json";
    char file[4200], model[4200], method[1024];
    struct ab_tune_command *c = commands;
    word_text(out, file, sizeof file);
    word_text(r->model, model, sizeof model);
    word_text(r->method, method, sizeof method);
    c->label = "command";
    snprintf(c++->text, SIZE, "attrbench explain --config %s --input F --out F", file);
    c->label = "check again";
    snprintf(c++->text, SIZE, "attrbench tune --config %s", file);
    c->label = "C";
    snprintf(c++->text, SIZE,
             "ab_config_load(\"%s\", &config, &err)\nab_config_graph(config, &graph, &err)\n"
             "ab_config_plan(config, graph, i, &plan, &err) in thread i of %d",
             out, d->instances);
    c->label = "as flags";
    snprintf(c++->text, SIZE,
             "attrbench run --model %s --method %s --backend %s --threads %d --batch %d%s%s%s%s",
             model, method, d->backend, d->threads, d->batch, algo_flags(d),
             d->denormals == AB_DENORMALS_FLUSH ? " --denormals flush" : "",
             d->pages == AB_PAGES_SMALL ? " --pages small" : "",
             d->instances > 1 ? "  (one instance by itself)" : "");
    c->label = "environment";
    snprintf(c++->text, SIZE,
             "OMP_PROC_BIND and OMP_PLACES unset: the configuration binds its threads");
    return (int)(c - commands);
}
