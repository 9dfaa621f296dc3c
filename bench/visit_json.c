// SPDX-License-Identifier: Apache-2.0
// Options and results of visits as JSON, there and back.
#include "visit_inside.h"

#include "json_number.h"
#include "record.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- fields ---- */

struct field {
    const char *key;
    size_t offset;
    double least; /* smaller is wrong */
    bool unknown; /* NaN, null, is right */
};

static void put_fields(json_t *json, const struct field *fields, size_t count, const void *from)
{
    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, (const char *)from + fields[i].offset, sizeof value);
        json_object_set_new(json, fields[i].key, ab_json_number(value));
    }
}

/* The field that is wrong, or NULL. */
static const char *read_fields(const json_t *json, const struct field *fields, size_t count,
                               void *to)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *got = json_object_get(json, fields[i].key);
        const bool unknown = json_is_null(got) && fields[i].unknown;
        const double value = unknown ? (double)NAN : json_number_value(got);
        if (!unknown && !(json_is_number(got) && value >= fields[i].least)) return fields[i].key;
        memcpy((char *)to + fields[i].offset, &value, sizeof value);
    }
    return NULL;
}

/* ---- options ---- */

#define OPTION(name) #name, offsetof(struct ab_visit_options, name), 0, false
static const struct field option_fields[] = {
    {OPTION(seconds)},
    {OPTION(most_seconds)},
    {OPTION(turn_s)},
    {OPTION(confidence)},
    {"quantile", offsetof(struct ab_visit_options, slo.quantile), 0, false},
    {"limit_ns", offsetof(struct ab_visit_options, slo.limit_ns), 0, false},
    {"rate", offsetof(struct ab_visit_options, load.rate), 0, false}};
enum { OPTION_FIELDS = sizeof option_fields / sizeof *option_fields };

/* Whole numbers of a configuration; both sides are the same build, so enums may be numbers. */
static const char *const deploy_keys[] = {"algo",  "memory",  "pages",     "denormals",
                                          "place", "threads", "instances", "batch"};
enum { DEPLOY_KEYS = sizeof deploy_keys / sizeof *deploy_keys };

static json_t *deploy_json(const struct ab_deploy *d)
{
    const int values[DEPLOY_KEYS] = {(int)d->algo,      (int)d->memory, (int)d->pages,
                                     (int)d->denormals, (int)d->place,  d->threads,
                                     d->instances,      d->batch};
    json_t *json = json_pack("{s:s}", "backend", d->backend);
    for (int i = 0; i < DEPLOY_KEYS; i++)
        json_object_set_new(json, deploy_keys[i], json_integer(values[i]));
    if (!d->cpus) return json;
    json_t *cpus = json_array();
    for (int i = 0; i < d->instances * d->threads; i++)
        json_array_append_new(cpus, json_integer(d->cpus[i]));
    json_object_set_new(json, "cpus", cpus);
    return json;
}

static json_t *hash_json(uint64_t hash)
{
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    return json_string(text);
}

static bool read_hash(const json_t *json, uint64_t *hash)
{
    const char *text = json_string_value(json);
    char *end;
    if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) return false;
    *hash = strtoull(text, &end, 16);
    return true;
}

static json_t *judging_json(const struct ab_judging *how)
{
    json_t *json = json_pack("{s:i}", "threads", how->threads), *known = json_array();
    for (int i = 0; i < how->n_known; i++) json_array_append_new(known, hash_json(how->known[i]));
    json_object_set_new(json, "known", known);
    /* A name that is no UTF-8 text: without. */
    if (how->cache_dir) json_object_set_new(json, "cache_dir", json_string(how->cache_dir));
    return json;
}

json_t *ab_visit_options_json(const struct ab_visit_options *o, double born_ns)
{
    json_t *json = json_pack("{s:s,s:s,s:o,s:i,s:i,s:i,s:I,s:f}", "model", o->model, "method",
                             o->method, "deploy", deploy_json(o->deploy), "load", (int)o->load.kind,
                             "streams", o->load.streams, "least_requests", o->least_requests,
                             "seed", (json_int_t)(o->seed & INT64_MAX), "born_ns", born_ns);
    if (json) put_fields(json, option_fields, OPTION_FIELDS, o);
    if (json && o->judging) json_object_set_new(json, "judging", judging_json(o->judging));
    return json;
}

static bool read_int(const json_t *json, const char *key, int least, int *value)
{
    const json_t *got = json_object_get(json, key);
    const json_int_t all = json_integer_value(got);
    if (!json_is_integer(got) || all < least || all > 1 << 30) return false;
    *value = (int)all;
    return true;
}

static enum ab_status wrong(const char *key, struct ab_error *err)
{
    return ab_fail(err, AB_ERR_ARG,
                   "serve: options: '%s' is missing or wrong; they come from `attrbench tune`",
                   key);
}

static enum ab_status read_cpus(const json_t *json, struct ab_deploy *d, struct ab_error *err)
{
    const json_t *cpus = json_object_get(json, "cpus");
    const size_t count = json_array_size(cpus);
    if (!cpus) return AB_OK;
    if (!count || count > AB_DEPLOY_MAX_CPUS ||
        (double)count != (double)d->instances * (double)d->threads)
        return wrong("cpus", err);
    d->cpus = calloc(count, sizeof *d->cpus);
    if (!d->cpus) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a list of CPUs");
    for (size_t i = 0; i < count; i++) {
        const json_t *cpu = json_array_get(cpus, i);
        if (!json_is_integer(cpu) || json_integer_value(cpu) < 0 ||
            json_integer_value(cpu) > 1 << 30)
            return wrong("cpus", err);
        d->cpus[i] = (int)json_integer_value(cpu);
    }
    return AB_OK;
}

static enum ab_status read_judging(const json_t *json, struct ab_judging *how, struct ab_error *err)
{
    const json_t *known = json_object_get(json, "known");
    const size_t count = json_array_size(known);
    how->cache_dir = json_string_value(json_object_get(json, "cache_dir"));
    if (!json_is_object(json)) return wrong("judging", err);
    if (!read_int(json, "threads", 1, &how->threads)) return wrong("judging.threads", err);
    if (!json_is_array(known) || count > AB_VISIT_REQUESTS) return wrong("judging.known", err);
    how->known = malloc((count + 1) * sizeof *how->known);
    if (!how->known) return ab_fail(err, AB_ERR_MEMORY, "out of memory for what is known of maps");
    for (size_t i = 0; i < count; i++)
        if (!read_hash(json_array_get(known, i), &how->known[i]))
            return wrong("judging.known", err);
    how->n_known = (int)count;
    return AB_OK;
}

static enum ab_status read_deploy(const json_t *json, struct ab_deploy *d, struct ab_error *err)
{
    int values[DEPLOY_KEYS];
    const char *backend = json_string_value(json_object_get(json, "backend"));
    *d = (struct ab_deploy){0};
    if (!backend || strlen(backend) >= sizeof d->backend) return wrong("backend", err);
    for (int i = 0; i < DEPLOY_KEYS; i++)
        if (!read_int(json, deploy_keys[i], 0, &values[i])) return wrong(deploy_keys[i], err);
    strcpy(d->backend, backend);
    d->algo = (enum ab_algo)values[0];
    d->memory = (enum ab_memory)values[1];
    d->pages = (enum ab_pages)values[2];
    d->denormals = (enum ab_denormals)values[3];
    d->place = (enum ab_place)values[4];
    d->threads = values[5];
    d->instances = values[6];
    d->batch = values[7];
    return read_cpus(json, d, err);
}

enum ab_status ab_visit_options_read(const json_t *json, struct ab_visit_options *o,
                                     struct ab_deploy *deploy, struct ab_judging *judging,
                                     double *born_ns, struct ab_error *err)
{
    const json_t *seed = json_object_get(json, "seed"), *born = json_object_get(json, "born_ns"),
                 *how = json_object_get(json, "judging");
    int kind;
    *o = (struct ab_visit_options){
        .model = json_string_value(json_object_get(json, "model")),
        .method = json_string_value(json_object_get(json, "method")),
        .seed = (uint64_t)json_integer_value(seed),
        .deploy = deploy,
        .judging = how ? judging : NULL,
    };
    *judging = (struct ab_judging){NULL};
    *born_ns = json_number_value(born);
    enum ab_status status = read_deploy(json_object_get(json, "deploy"), deploy, err);
    if (status == AB_OK && how) status = read_judging(how, judging, err);
    if (status != AB_OK) return status;
    if (!o->model) return wrong("model", err);
    if (!o->method) return wrong("method", err);
    if (!json_is_integer(seed)) return wrong("seed", err);
    if (!json_is_number(born)) return wrong("born_ns", err);
    if (!read_int(json, "load", 0, &kind) || kind > AB_LOAD_POISSON) return wrong("load", err);
    o->load.kind = (enum ab_load_kind)kind;
    if (!read_int(json, "streams", 0, &o->load.streams)) return wrong("streams", err);
    if (!read_int(json, "least_requests", 0, &o->least_requests))
        return wrong("least_requests", err);
    const char *key = read_fields(json, option_fields, OPTION_FIELDS, o);
    if (key) return wrong(key, err);
    if (o->load.kind == AB_LOAD_POISSON && o->load.rate <= 0) return wrong("rate", err);
    if (o->slo.limit_ns > 0 && !(o->slo.quantile > 0 && o->slo.quantile < 1))
        return wrong("quantile", err);
    if (o->slo.limit_ns > 0 && !(o->confidence > 0 && o->confidence < 1))
        return wrong("confidence", err);
    return AB_OK;
}

/* ---- turns ---- */

json_t *ab_turn_json(const struct ab_turn *turn)
{
    return json_pack("{s:{s:o,s:o,s:i}}", "turn", "images_per_s",
                     ab_json_number(turn->images_per_s), "seconds", ab_json_number(turn->seconds),
                     "requests", turn->requests);
}

const char *ab_turn_read(const json_t *json, struct ab_turn *turn)
{
    static const struct field fields[] = {
        {"images_per_s", offsetof(struct ab_turn, images_per_s), 0, false},
        {"seconds", offsetof(struct ab_turn, seconds), 0, false}};
    const json_t *told = json_object_get(json, "turn");
    if (!json_is_object(told)) return "turn";
    if (!read_int(told, "requests", 0, &turn->requests)) return "requests";
    return read_fields(told, fields, sizeof fields / sizeof *fields, turn);
}

/* ---- results ---- */

#define RESULT(name, unknown)                                                                      \
    {                                                                                              \
#name, offsetof(struct ab_visit, name), 0, unknown                                         \
    }
static const struct field result_fields[] = {
    RESULT(seconds, false),   RESULT(images_per_s, false),  RESULT(resident_bytes, true),
    RESULT(peak_bytes, true), RESULT(planned_bytes, false), RESULT(start_ns, false),
    RESULT(load_ns, false),   RESULT(setup_ns, false),      RESULT(first_ns, false),
    RESULT(late_ns, true),    RESULT(stolen, true),         RESULT(pressure, true),
    RESULT(judge_s, false)};
enum { RESULT_FIELDS = sizeof result_fields / sizeof *result_fields };

static json_t *times_json(const double *ns, int count)
{
    json_t *json = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(json, json_integer(llround(ns[i])));
    return json;
}

json_t *ab_visit_json(const struct ab_visit *v)
{
    json_t *json = json_pack(
        "{s:o,s:o,s:o,s:b,s:b,s:i,s:I}", "latency_ns", times_json(v->latency_ns, v->requests),
        "service_ns", times_json(v->service_ns, v->executions), "map_hash", hash_json(v->map_hash),
        "unequal", v->unequal, "overloaded", v->overloaded, "slo", (int)v->slo, "subnormals",
        (json_int_t)v->subnormals);
    if (json) put_fields(json, result_fields, RESULT_FIELDS, v);
    json_t *agreement = json && v->judged ? json_object() : NULL;
    if (agreement) {
        ab_agreement_put(agreement, &v->agreement);
        json_object_set_new(json, "agreement", agreement);
    }
    return json;
}

static bool read_times(const json_t *json, const char *key, double **ns, int *count)
{
    const json_t *all = json_object_get(json, key);
    const size_t n = json_array_size(all);
    if (!json_is_array(all) || n > AB_VISIT_REQUESTS) return false;
    *ns = malloc((n + 1) * sizeof **ns);
    if (!*ns) return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(all, i);
        (*ns)[i] = (double)json_integer_value(one);
        if (!json_is_integer(one) || (*ns)[i] < 0) return false;
    }
    *count = (int)n;
    return true;
}

const char *ab_visit_read(const json_t *json, struct ab_visit *v)
{
    const json_t *unequal = json_object_get(json, "unequal"),
                 *overloaded = json_object_get(json, "overloaded"),
                 *subnormals = json_object_get(json, "subnormals"),
                 *agreement = json_object_get(json, "agreement");
    int slo;
    if (!read_times(json, "latency_ns", &v->latency_ns, &v->requests)) return "latency_ns";
    if (!read_times(json, "service_ns", &v->service_ns, &v->executions)) return "service_ns";
    if (!read_hash(json_object_get(json, "map_hash"), &v->map_hash)) return "map_hash";
    if (!json_is_boolean(unequal)) return "unequal";
    if (!json_is_boolean(overloaded)) return "overloaded";
    if (!json_is_integer(subnormals) || json_integer_value(subnormals) < 0) return "subnormals";
    if (!read_int(json, "slo", 0, &slo) || slo > AB_SLO_BROKEN) return "slo";
    v->judged = agreement;
    if (agreement && !ab_agreement_read(agreement, &v->agreement)) return "agreement";
    v->unequal = json_is_true(unequal);
    v->overloaded = json_is_true(overloaded);
    v->subnormals = (long)json_integer_value(subnormals);
    v->slo = (enum ab_slo_state)slo;
    return read_fields(json, result_fields, RESULT_FIELDS, v);
}
