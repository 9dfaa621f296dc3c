// SPDX-License-Identifier: Apache-2.0
// From JSON to a configuration. Everything that is read is checked; whatever else the file holds at
// its top, or of its machine, is for others.
#include "config/inside.h"

#if AB_WITH_CONFIG
#include "base/infile.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, MOST_TEXT = 4095, MOST_BYTES = 64 << 20 };

static const char expected[] = "a configuration, as attrbench tune writes it";

static char *copy_text(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

struct reader {
    const char *path;
    struct ab_config *config;
    struct ab_error *err;
};

/* "F: deploy.threads: <what is wrong>; mend it, or run attrbench tune again" */
__attribute__((format(printf, 4, 5))) static enum ab_status bad(const struct reader *r,
                                                                const char *where, const char *key,
                                                                const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    return ab_fail(r->err, AB_ERR_FORMAT,
                   "%.150s: %s%s%.60s: %s; mend it, or run attrbench tune again", r->path, where,
                   *where ? "." : "", key, text);
}

static const char *kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a text";
    case JSON_INTEGER: return "a whole number";
    case JSON_REAL: return "a fraction";
    case JSON_NULL: return "null";
    default: return "true or false";
    }
}

/* ---- values ---- */

/* NULL, and the status set, where `key` is not there or of another kind. */
static json_t *member(const struct reader *r, const json_t *object, const char *where,
                      const char *key, json_type type, const char *kind, enum ab_status *status)
{
    json_t *value = json_object_get(object, key);
    *status = AB_OK;
    if (value && json_typeof(value) == type) return value;
    if (!value)
        *status = bad(r, where, key, "is not there; it is %s", kind);
    else
        *status = bad(r, where, key, "is %s, not %s", kind_of(value), kind);
    return NULL;
}

/* Printable, and at most `most` bytes. */
static enum ab_status get_text(const struct reader *r, const json_t *object, const char *where,
                               const char *key, size_t most, const char **text)
{
    enum ab_status status;
    const json_t *value = member(r, object, where, key, JSON_STRING, "a text", &status);
    *text = json_string_value(value);
    if (!value) return status;
    if (strlen(*text) > most) return bad(r, where, key, "is longer than %zu bytes", most);
    for (const char *c = *text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return bad(r, where, key, "has a control character");
    return AB_OK;
}

static enum ab_status get_copy(const struct reader *r, const json_t *object, const char *key,
                               char **copy)
{
    const char *text;
    const enum ab_status status = get_text(r, object, "", key, MOST_TEXT, &text);
    if (status) return status;
    if (!*text) return bad(r, "", key, "is empty");
    *copy = copy_text(text);
    return *copy ? AB_OK : ab_fail(r->err, AB_ERR_MEMORY, "%s: out of memory", r->path);
}

static enum ab_status get_count(const struct reader *r, const json_t *object, const char *where,
                                const char *key, int most, int *count)
{
    enum ab_status status;
    const json_t *value = member(r, object, where, key, JSON_INTEGER, "a whole number", &status);
    if (!value) return status;
    const json_int_t number = json_integer_value(value);
    if (number < 1 || number > most)
        return bad(r, where, key, "%lld is outside 1..%d", (long long)number, most);
    *count = (int)number;
    return AB_OK;
}

static enum ab_status get_word(const struct reader *r, const json_t *object, const char *key,
                               const char *const *words, int n, int *place)
{
    const char *text, *near;
    char list[64] = "";
    const enum ab_status status = get_text(r, object, "deploy", key, 64, &text);
    if (status) return status;
    for (*place = 0; *place < n; ++*place)
        if (!strcmp(text, words[*place])) return AB_OK;
    for (int i = 0; i < n; i++) {
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", words[i]);
    }
    near = ab_nearest(text, words, n);
    return bad(r, "deploy", key, "'%s' is unknown%s%s%s; there are %s", text,
               near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "", list);
}

/* ---- parts ---- */

static enum ab_status read_cpus(const struct reader *r, const json_t *deploy)
{
    struct ab_deploy *d = &r->config->deploy;
    const json_t *all = json_object_get(deploy, "cpus");
    if (d->place == AB_PLACE_FREE) {
        if (!all || json_is_null(all)) return AB_OK;
        return bad(r, "deploy", "cpus", "are given, but place is free, which binds to none");
    }
    if (!json_is_array(all) || json_array_size(all) != (size_t)d->instances)
        return bad(r, "deploy", "cpus", "is not a list of %d lists of CPUs, one for each instance",
                   d->instances);
    d->cpus = malloc((size_t)d->instances * (size_t)d->threads * sizeof *d->cpus);
    if (!d->cpus) return ab_fail(r->err, AB_ERR_MEMORY, "%s: out of memory", r->path);
    for (int i = 0; i < d->instances; i++) {
        const json_t *own = json_array_get(all, (size_t)i);
        if (!json_is_array(own) || json_array_size(own) != (size_t)d->threads)
            return bad(r, "deploy", "cpus",
                       "those of instance %d are not a list of %d, one for "
                       "each thread",
                       i, d->threads);
        for (int t = 0; t < d->threads; t++) {
            const json_t *cpu = json_array_get(own, (size_t)t);
            const json_int_t number = json_integer_value(cpu);
            if (!json_is_integer(cpu) || number < 0 || number >= AB_DEPLOY_MAX_CPUS)
                return bad(r, "deploy", "cpus", "one of instance %d is no number from 0 to %d", i,
                           AB_DEPLOY_MAX_CPUS - 1);
            d->cpus[i * d->threads + t] = (int)number;
        }
    }
    return AB_OK;
}

/* A misspelt knob would be passed over. */
static enum ab_status refuse_others(const struct reader *r, const json_t *deploy)
{
    static const char *const keys[] = {"backend", "algo",    "memory",    "pages", "denormals",
                                       "place",   "threads", "instances", "batch", "cpus"};
    const int n = sizeof keys / sizeof *keys;
    for (void *at = json_object_iter((json_t *)(uintptr_t)deploy); at;
         at = json_object_iter_next((json_t *)(uintptr_t)deploy, at)) {
        const char *key = json_object_iter_key(at);
        int i = 0;
        while (i < n && strcmp(keys[i], key) != 0) i++;
        if (i < n) continue;
        const char *near = ab_nearest(key, keys, n);
        return bad(r, "", "deploy", "'%.60s' is unknown%s%s%s", key, near ? ": did you mean '" : "",
                   near ? near : "", near ? "'?" : "");
    }
    return AB_OK;
}

static enum ab_status read_deploy(const struct reader *r, const json_t *root)
{
    struct ab_deploy *d = &r->config->deploy;
    struct ab_error why = {""};
    const char *backend = "";
    int algo = 0, memory = 0, pages = 0, denormals = 0, place = 0;
    enum ab_status status;
    const json_t *deploy = member(r, root, "", "deploy", JSON_OBJECT, "an object", &status);
    if (!status) status = refuse_others(r, deploy);
    if (!status) status = get_text(r, deploy, "deploy", "backend", sizeof d->backend - 1, &backend);
    if (status) return status;
    snprintf(d->backend, sizeof d->backend, "%s", backend);
    status = get_word(r, deploy, "algo", ab_algo_words, 2, &algo);
    if (!status) status = get_word(r, deploy, "memory", ab_memory_words, 2, &memory);
    if (!status) status = get_word(r, deploy, "pages", ab_pages_words, 2, &pages);
    if (!status) status = get_word(r, deploy, "denormals", ab_denormals_words, 2, &denormals);
    if (!status) status = get_word(r, deploy, "place", ab_place_words, 3, &place);
    const int most = AB_DEPLOY_MAX_CPUS;
    if (!status) status = get_count(r, deploy, "deploy", "threads", most, &d->threads);
    if (!status) status = get_count(r, deploy, "deploy", "instances", most, &d->instances);
    if (!status) status = get_count(r, deploy, "deploy", "batch", AB_DEPLOY_MAX_BATCH, &d->batch);
    if (status) return status;
    d->algo = (enum ab_algo)algo;
    d->memory = (enum ab_memory)memory;
    d->pages = (enum ab_pages)pages;
    d->denormals = (enum ab_denormals)denormals;
    d->place = (enum ab_place)place;
    /* First the counts: they say how many CPUs there must be. */
    if (d->threads > most / d->instances)
        return bad(r, "deploy", "threads", "%d for each of %d instances are more than %d",
                   d->threads, d->instances, most);
    status = read_cpus(r, deploy);
    if (status) return status;
    if (!ab_deploy_check_values(d, &why)) return AB_OK;
    return bad(r, "", "deploy", "%s", why.text);
}

static enum ab_status read_machine(const struct reader *r, const json_t *root)
{
    struct ab_identity *m = &r->config->machine;
    const char *cpu, *architecture;
    size_t used = 0;
    enum ab_status status;
    const json_t *machine = member(r, root, "", "machine", JSON_OBJECT, "an object", &status);
    if (!status) status = get_text(r, machine, "machine", "cpu", sizeof m->cpu - 1, &cpu);
    if (status) return status;
    status =
        get_text(r, machine, "machine", "architecture", sizeof m->architecture - 1, &architecture);
    if (status) return status;
    status = get_count(r, machine, "machine", "cpus", AB_DEPLOY_MAX_CPUS, &m->cpus);
    if (status) return status;
    const json_t *isas = member(r, machine, "machine", "isas", JSON_ARRAY, "a list", &status);
    if (status) return status;
    for (size_t i = 0; i < json_array_size(isas); i++) {
        const char *isa = json_string_value(json_array_get(isas, i));
        const size_t left = sizeof m->isas - used;
        if (!isa || !*isa || strspn(isa, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(isa) ||
            strlen(isa) + 2 >= left)
            return bad(r, "machine", "isas", "is no list of names of instruction sets");
        used += (size_t)snprintf(m->isas + used, left, "%s%s", used ? ", " : "", isa);
    }
    snprintf(m->cpu, sizeof m->cpu, "%s", cpu);
    snprintf(m->architecture, sizeof m->architecture, "%s", architecture);
    return AB_OK;
}

/* A relative path is one from the folder of the configuration. */
static enum ab_status complete_path(const struct reader *r)
{
    char *model = r->config->model;
    const char *slash = strrchr(r->path, '/');
    if (!strpbrk(model, "./") || *model == '/' || !slash) return AB_OK;
    const size_t folder = (size_t)(slash - r->path) + 1, length = strlen(model);
    char *path = malloc(folder + length + 1);
    if (!path) return ab_fail(r->err, AB_ERR_MEMORY, "%s: out of memory", r->path);
    memcpy(path, r->path, folder);
    memcpy(path + folder, model, length + 1);
    r->config->model = path;
    free(model);
    return AB_OK;
}

static enum ab_status read_model(const struct reader *r, const json_t *root)
{
    struct ab_method *method = NULL;
    struct ab_error why = {""};
    const char *hash = "";
    enum ab_status status = get_copy(r, root, "model", &r->config->model);
    if (!status) status = complete_path(r);
    if (!status) status = get_text(r, root, "", "model_hash", 16, &hash);
    if (status) return status;
    if (strlen(hash) != 16 || strspn(hash, "0123456789abcdef") != 16)
        return bad(r, "", "model_hash", "'%s' is not 16 of the digits 0-9 and a-f", hash);
    r->config->hash = strtoull(hash, NULL, 16);
    status = get_copy(r, root, "method", &r->config->method);
    if (status) return status;
    status = ab_method_parse(r->config->method, &method, &why);
    ab_method_destroy(&method);
    if (!status || status == AB_ERR_MEMORY)
        return status ? ab_fail(r->err, status, "%s: %s", r->path, why.text) : AB_OK;
    return bad(r, "", "method", "%s", why.text);
}

static enum ab_status read_root(const struct reader *r, const json_t *root)
{
    const json_t *version = json_object_get(root, "attrbench_config");
    if (!json_is_object(root) || !version)
        return ab_fail(r->err, AB_ERR_FORMAT, "%.200s: is JSON, but not %s", r->path, expected);
    if (!json_is_integer(version) || json_integer_value(version) < 1)
        return bad(r, "", "attrbench_config", "is no version number");
    if (json_integer_value(version) != VERSION)
        return ab_fail(r->err, AB_ERR_UNSUPPORTED,
                       "%.200s: is a configuration of version %lld, and this attrbench knows "
                       "version %d; use the attrbench that wrote it, or run attrbench tune again",
                       r->path, (long long)json_integer_value(version), VERSION);
    enum ab_status status = read_model(r, root);
    if (!status) status = read_machine(r, root);
    if (!status) status = read_deploy(r, root);
    return status;
}

/* ---- the file ---- */

static enum ab_status not_json(const struct reader *r, FILE *file, const json_error_t *error)
{
    unsigned char head[32] = {0};
    rewind(file);
    const size_t got = fread(head, 1, sizeof head, file);
    const char *kind = got && *head != '{' ? ab_infile_kind(head, got) : NULL;
    if (kind)
        return ab_fail(r->err, AB_ERR_FORMAT, "%.200s: is %s; expected %s", r->path, kind,
                       expected);
    char text[JSON_ERROR_TEXT_LENGTH];
    snprintf(text, sizeof text, "%s", error->text);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    return ab_fail(r->err, AB_ERR_FORMAT,
                   "%.150s: line %d: is no JSON (%.120s); expected %s; copy it again, or run "
                   "attrbench tune again",
                   r->path, error->line, text, expected);
}

enum ab_status ab_config_parse(const char *path, struct ab_config **config, struct ab_error *err)
{
    uint64_t size;
    enum ab_status status;
    json_error_t error;
    *config = NULL;
    FILE *file = ab_infile_open(path, expected, &size, &status, err);
    if (!file) return status;
    struct reader r = {.path = path, .err = err, .config = calloc(1, sizeof *r.config)};
    json_t *root = NULL;
    if (!r.config || !(r.config->path = copy_text(path)))
        status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
    else if (size > MOST_BYTES)
        status = ab_fail(err, AB_ERR_FORMAT, "%.200s: has %llu MB, too many for %s", path,
                         (unsigned long long)size >> 20, expected);
    else if (!(root = json_loadf(file, JSON_REJECT_DUPLICATES, &error)))
        status = json_error_code(&error) == json_error_out_of_memory
                     ? ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path)
                     : not_json(&r, file, &error);
    else
        status = read_root(&r, root);
    json_decref(root);
    fclose(file);
    if (status) ab_config_destroy(&r.config);
    *config = r.config;
    return status;
}
#else
enum ab_status ab_config_parse(const char *path, struct ab_config **config, struct ab_error *err)
{
    *config = NULL;
    return ab_fail(err, AB_ERR_UNSUPPORTED,
                   "%s: attrbench was built without configurations; build it with "
                   "-DAB_WITH_CONFIG=ON",
                   path);
}
#endif
