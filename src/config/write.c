// SPDX-License-Identifier: Apache-2.0
// From knobs to the part of the JSON that is read back.
#include "config/inside.h"

#if AB_WITH_CONFIG
#include "model/graph.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *machine_json(void)
{
    struct ab_identity here;
    json_t *isas = json_array();
    ab_identity_here(&here);
    for (const char *isa = here.isas; *isa;) {
        const size_t length = strcspn(isa, ",");
        json_array_append_new(isas, json_stringn(isa, length));
        isa += length + strspn(isa + length, ", ");
    }
    return json_pack("{s:s, s:s, s:o, s:i}", "cpu", here.cpu, "architecture", here.architecture,
                     "isas", isas, "cpus", here.cpus);
}

static json_t *cpus_json(const struct ab_deploy *d)
{
    if (!d->cpus) return json_null();
    json_t *all = json_array();
    for (int i = 0; i < d->instances; i++) {
        json_t *own = json_array();
        for (int t = 0; t < d->threads; t++)
            json_array_append_new(own, json_integer(d->cpus[i * d->threads + t]));
        json_array_append_new(all, own);
    }
    return all;
}

static json_t *deploy_json(const struct ab_deploy *d)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:o}", "backend", d->backend,
                     "algo", ab_algo_words[d->algo], "memory", ab_memory_words[d->memory], "pages",
                     ab_pages_words[d->pages], "denormals", ab_denormals_words[d->denormals],
                     "place", ab_place_words[d->place], "threads", d->threads, "instances",
                     d->instances, "batch", d->batch, "cpus", cpus_json(d));
}

json_t *ab_config_json(const char *model, const struct ab_graph *graph, const char *method,
                       const struct ab_deploy *d)
{
    char hash[24], path[PATH_MAX];
    const char *whole = strpbrk(model, "./") ? realpath(model, path) : NULL;
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)ab_graph_hash(graph));
    return json_pack("{s:i, s:s, s:s, s:s, s:o, s:o}", "attrbench_config", 1, "model",
                     whole ? whole : model, "model_hash", hash, "method", method, "machine",
                     machine_json(), "deploy", deploy_json(d));
}
#endif
