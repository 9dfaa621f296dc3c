// SPDX-License-Identifier: Apache-2.0
// Results of Google Benchmark: {"context", "benchmarks"}, any version's JSON.
#include "runfile.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *text_at(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

/* Repetitions of a benchmark share its run_name, which versions before 1.5 do not write. */
static const char *name_of(const json_t *entry)
{
    const char *name = text_at(entry, "run_name");
    return *name ? name : text_at(entry, "name");
}

static bool is_aggregate(const json_t *entry)
{
    static const char *const endings[] = {"_mean", "_median", "_stddev", "_cv", "_BigO", "_RMS"};
    const char *type = text_at(entry, "run_type"), *name = text_at(entry, "name");
    if (*type) return !strcmp(type, "aggregate");
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t length = strlen(name), ending = strlen(endings[i]);
        if (length > ending && !strcmp(name + length - ending, endings[i])) return true;
    }
    return false;
}

/* What counts where single runs were not written (--benchmark_report_aggregates_only). */
static bool is_median(const json_t *entry)
{
    return is_aggregate(entry) && !strcmp(text_at(entry, "aggregate_name"), "median");
}

static bool time_of(const json_t *entry, double *ns)
{
    static const struct {
        const char *unit;
        double scale;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    const json_t *time = json_object_get(entry, "real_time");
    const char *unit = text_at(entry, "time_unit");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!strcmp(unit, units[i].unit)) {
            *ns = json_number_value(time) * units[i].scale;
            return json_is_number(time) && *ns > 0;
        }
    return false;
}

/* The samples of one benchmark, from its entries of either sort. */
static enum ab_status collect(const json_t *list, const char *name, bool medians, double *ns,
                              int *count, struct ab_error *err)
{
    *count = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        if (strcmp(name_of(entry), name) != 0) continue;
        if (medians ? !is_median(entry) : is_aggregate(entry)) continue;
        if (json_is_true(json_object_get(entry, "error_occurred"))) continue;
        if (!time_of(entry, &ns[*count]))
            return ab_fail(err, AB_ERR_FORMAT,
                           "benchmark %zu (%.80s): real_time is no time above 0, or time_unit none "
                           "of ns, us, ms, s",
                           i + 1, name);
        ++*count;
    }
    return AB_OK;
}

/* Numbers that the library does not write itself. */
static json_t *counters_of(const json_t *entry)
{
    static const char *const own[] = {"family_index", "per_family_instance_index",
                                      "repetitions",  "repetition_index",
                                      "threads",      "iterations",
                                      "real_time",    "cpu_time"};
    json_t *counters = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)entry, key, value)
    {
        bool counter = json_is_number(value);
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
            counter = counter && strcmp(key, own[i]) != 0;
        if (counter) json_object_set(counters, key, value);
    }
    return counters;
}

static json_t *record_of(const json_t *entry, const double *ns, int count)
{
    const json_int_t calls = json_integer_value(json_object_get(entry, "iterations")),
                     threads = json_integer_value(json_object_get(entry, "threads"));
    json_t *record =
        json_pack("{s:s, s:s, s:I, s:I, s:o}", "kind", "gbench", "name", name_of(entry), "threads",
                  threads > 0 ? threads : 1, "calls_per_slice", calls > 0 ? calls : 1, "counters",
                  counters_of(entry));
    const char *label = text_at(entry, "label"), *why = text_at(entry, "error_message");
    if (record && *label) json_object_set_new(record, "label", json_string(label));
    if (record && !count)
        json_object_set_new(record, "error", json_string(*why ? why : "not measured"));
    if (record && ab_runfile_put_samples(record, ns, count)) return record;
    json_decref(record);
    return NULL;
}

static bool seen_before(const json_t *list, size_t at)
{
    const char *name = name_of(json_array_get(list, at));
    for (size_t i = 0; i < at; i++)
        if (!strcmp(name_of(json_array_get(list, i)), name)) return true;
    return false;
}

static enum ab_status add_all(const json_t *list, struct ab_runfile *r, struct ab_error *err)
{
    struct ab_keys keys = {0};
    double *ns = malloc((json_array_size(list) + 1) * sizeof *ns);
    enum ab_status status = ns ? AB_OK : ab_fail(err, AB_ERR_MEMORY, "out of memory for rows");
    for (size_t i = 0; i < json_array_size(list) && status == AB_OK; i++) {
        const json_t *entry = json_array_get(list, i);
        const char *name = name_of(entry);
        int count = 0;
        if (!*name) status = ab_fail(err, AB_ERR_FORMAT, "benchmark %zu has no name", i + 1);
        if (status != AB_OK || seen_before(list, i)) continue;
        status = collect(list, name, false, ns, &count, err);
        if (status == AB_OK && !count) status = collect(list, name, true, ns, &count, err);
        json_t *record = status == AB_OK ? record_of(entry, ns, count) : NULL;
        if (record)
            status = ab_runfile_add(r, &keys, record, err);
        else if (status == AB_OK)
            status = ab_fail(err, AB_ERR_MEMORY, "out of memory for rows");
    }
    ab_keys_free(&keys);
    free(ns);
    return status;
}

/* "2026-01-02T03:04:05+01:00" in UTC; "" if it is something else. */
static void utc_of(const char *date, char text[32])
{
    struct tm when = {0};
    int hours = 0, minutes = 0;
    char sign = '+';
    text[0] = '\0';
    const int got =
        sscanf(date, "%4d-%2d-%2dT%2d:%2d:%2d%c%2d:%2d", &when.tm_year, &when.tm_mon, &when.tm_mday,
               &when.tm_hour, &when.tm_min, &when.tm_sec, &sign, &hours, &minutes);
    if (got < 6) return;
    when.tm_year -= 1900;
    when.tm_mon -= 1;
    const time_t offset = 60 * (60 * hours + minutes) * (sign == '-' ? -1 : 1);
    const time_t seconds = timegm(&when) - offset;
    if (gmtime_r(&seconds, &when)) strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &when);
}

/* What the library says of the machine, under our names; attrbench's own additions among it. */
static json_t *context_of(const json_t *theirs)
{
    char date[32];
    utc_of(text_at(theirs, "date"), date);
    json_t *context = ab_runfile_context("Google Benchmark", date);
    json_t *cpu = json_object_get(context, "cpu"), *build = json_object_get(context, "build");
    const struct {
        json_t *part;
        const char *ours, *theirs;
    } fields[] = {{cpu, "hardware_threads", "num_cpus"},
                  {cpu, "model", "cpu_model"},
                  {cpu, "cache_bytes", "caches"},
                  {build, "git_revision", "attrbench_revision"},
                  {build, "attrbench", "attrbench_version"},
                  {build, "compiler", "compiler"},
                  {build, "onednn", "onednn"},
                  {build, "flags", "library_build_type"}};
    for (size_t i = 0; context && i < sizeof fields / sizeof *fields; i++) {
        json_t *value = json_object_get(theirs, fields[i].theirs);
        if (value) json_object_set(fields[i].part, fields[i].ours, value);
    }
    if (context && theirs) json_object_set(context, "gbench", (json_t *)theirs);
    return context;
}

enum ab_status ab_runfile_of_gbench(const json_t *root, struct ab_runfile *r, struct ab_error *err)
{
    const json_t *list = json_object_get(root, "benchmarks");
    r->format = "Google Benchmark";
    r->run.finished = true;
    r->run.context = context_of(json_object_get(root, "context"));
    if (!r->run.context) return ab_fail(err, AB_ERR_MEMORY, "out of memory for the context");
    snprintf(r->run.started, sizeof r->run.started, "%s", text_at(r->run.context, "date"));
    if (!json_is_array(list)) return ab_fail(err, AB_ERR_FORMAT, "benchmarks is no list");
    return add_all(list, r, err);
}
