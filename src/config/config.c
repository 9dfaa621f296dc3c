// SPDX-License-Identifier: Apache-2.0
// Configurations: from a file to plans on this machine.
#include "config/inside.h"

#include "model/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ab_config_destroy(struct ab_config **config)
{
    struct ab_config *c = *config;
    if (!c) return;
    ab_deploy_free(&c->deploy);
    free(c->path);
    free(c->model);
    free(c->method);
    free(c);
    *config = NULL;
}

const char *ab_config_model(const struct ab_config *config)
{
    return config->model;
}

const char *ab_config_method(const struct ab_config *config)
{
    return config->method;
}

int ab_config_instances(const struct ab_config *config)
{
    return config->deploy.instances;
}

int ab_config_batch(const struct ab_config *config)
{
    return config->deploy.batch;
}

const struct ab_deploy *ab_config_deploy(const struct ab_config *config)
{
    return &config->deploy;
}

/* ---- the machine ---- */

__attribute__((format(printf, 4, 5))) static void differs(char *text, size_t size, size_t *used,
                                                          const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (*used && *used < size) *used += (size_t)snprintf(text + *used, size - *used, "; ");
    if (*used < size) *used += (size_t)vsnprintf(text + *used, size - *used, format, args);
    va_end(args);
}

bool ab_config_foreign(const struct ab_config *config, char *text, size_t size)
{
    const struct ab_identity *there = &config->machine;
    struct ab_identity here;
    size_t used = 0;
    if (size) text[0] = '\0';
    ab_identity_here(&here);
    const struct {
        const char *what, *there, *here;
    } texts[] = {{"CPU", there->cpu, here.cpu},
                 {"architecture", there->architecture, here.architecture},
                 {"instruction sets", there->isas, here.isas}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(texts[i].there, texts[i].here) != 0)
            differs(text, size, &used, "%s: '%s', here '%s'", texts[i].what, texts[i].there,
                    texts[i].here);
    if (there->cpus != here.cpus)
        differs(text, size, &used, "usable CPUs: %d, here %d", there->cpus, here.cpus);
    return used > 0;
}

/* Whether the configuration can be what runs here. */
static enum ab_status admit(const struct ab_config *c, struct ab_error *err)
{
    char text[256];
    struct ab_error why = {""};
    if (ab_config_foreign(c, text, sizeof text))
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "%.80s: was made on another machine (%s); attrbench tune --config %.80s "
                       "--out NEW.json validates it here",
                       c->path, text, c->path);
    const enum ab_status status = ab_deploy_check(&c->deploy, &why);
    if (!status) return AB_OK;
    return ab_fail(err, status == AB_ERR_ARG ? AB_ERR_FORMAT : status, "%.200s: deploy.%s", c->path,
                   why.text);
}

enum ab_status ab_config_read(const char *path, bool anywhere, struct ab_config **config,
                              struct ab_error *err)
{
    enum ab_status status = ab_config_parse(path, config, err);
    if (!status && !anywhere) status = admit(*config, err);
    if (status) ab_config_destroy(config);
    return status;
}

enum ab_status ab_config_load(const char *path, struct ab_config **config, struct ab_error *err)
{
    return ab_config_read(path, false, config, err);
}

/* ---- what it is for ---- */

enum ab_status ab_config_fits(const struct ab_config *config, const struct ab_graph *graph,
                              struct ab_error *err)
{
    const uint64_t hash = ab_graph_hash(graph);
    if (hash == config->hash) return AB_OK;
    return ab_fail(err, AB_ERR_FORMAT,
                   "%.150s: model %.150s is no longer what this was made for (its content is "
                   "%016llx, not %016llx); bring that back, or run attrbench tune again",
                   config->path, config->model, (unsigned long long)hash,
                   (unsigned long long)config->hash);
}

enum ab_status ab_config_graph(const struct ab_config *config, struct ab_graph **graph,
                               struct ab_error *err)
{
    struct ab_error why = {""};
    *graph = NULL;
    enum ab_status status = ab_graph_open(config->model, 0, graph, &why);
    if (status) return ab_fail(err, status, "%.150s: model: %s", config->path, why.text);
    status = ab_config_fits(config, *graph, err);
    if (status) ab_graph_destroy(graph);
    return status;
}

enum ab_status ab_config_plan(const struct ab_config *config, const struct ab_graph *graph,
                              int instance, struct ab_plan **plan, struct ab_error *err)
{
    struct ab_method *method = NULL;
    *plan = NULL;
    enum ab_status status = ab_method_parse(config->method, &method, err);
    if (!status) status = ab_deploy_enter(&config->deploy, instance, err);
    if (!status) {
        const struct ab_plan_options options = ab_deploy_options(&config->deploy);
        const struct ab_method *one = method;
        status = ab_plan_create(graph, &one, 1, &options, plan, err);
    }
    ab_method_destroy(&method);
    return status;
}
