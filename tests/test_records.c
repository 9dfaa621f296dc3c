// SPDX-License-Identifier: Apache-2.0
// Records: strict JSON whatever the numbers, the names that scripts rely on, files of a run.
#include "../bench/record.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fill(struct ab_record *r, int samples)
{
    ab_record_init(r);
    r->kind = "method";
    snprintf(r->op, sizeof r->op, "attribute");
    snprintf(r->shape, sizeof r->shape, "n1c1h2w2");
    snprintf(r->model, sizeof r->model,
             "a \"quoted\" m\xc3\xb6"
             "del\n");
    snprintf(r->method, sizeof r->method, "gradient");
    snprintf(r->backend, sizeof r->backend, "native");
    snprintf(r->kernels, sizeof r->kernels, "one,two");
    snprintf(r->repro, sizeof r->repro, "attrbench run");
    r->threads = r->batch = 1;
    r->ns = samples ? calloc((size_t)samples, sizeof *r->ns) : NULL;
    for (int i = 0; i < samples; i++) r->ns[i] = 100 + i;
    if (samples) ab_stats_of(r->ns, samples, &r->stats);
}

static bool is_null_with_reason(const json_t *row, const char *key)
{
    char reason[64];
    snprintf(reason, sizeof reason, "%s_reason", key);
    return json_is_null(json_object_get(row, key)) && json_is_string(json_object_get(row, reason));
}

TEST(has_all_names)
{
    static const char *const names[] = {"kind",
                                        "op",
                                        "shape",
                                        "model",
                                        "method",
                                        "backend",
                                        "isa",
                                        "kernels",
                                        "threads",
                                        "batch",
                                        "cache",
                                        "seed_mode",
                                        "ns_min",
                                        "ns_p10",
                                        "ns_median",
                                        "ns_p90",
                                        "ns_p99",
                                        "samples",
                                        "flops",
                                        "bytes",
                                        "gflops",
                                        "peak_share",
                                        "ratio",
                                        "rel_l2",
                                        "max_err",
                                        "cosine",
                                        "err_over_bound",
                                        "verdict",
                                        "repro",
                                        "planned_bytes",
                                        "peak_bytes",
                                        "samples_ns",
                                        "denormals",
                                        "pages",
                                        "calls_per_slice",
                                        "disturbed",
                                        "steady",
                                        "core_ghz",
                                        "core_ghz_after",
                                        "subnormals"};
    struct ab_record r;
    fill(&r, 3);
    json_t *row = ab_record_json(&r);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK(json_object_get(row, names[i]), "no %s", names[i]);
    CHECK(json_array_size(json_object_get(row, "kernels")) == 2, "kernels");
    CHECK(json_array_size(json_object_get(row, "samples_ns")) == 3, "samples");
    CHECK(json_real_value(json_object_get(row, "ns_median")) == 101, "median");
    json_decref(row);
    ab_record_free(&r);
}

TEST(what_is_not_a_number_is_null_with_a_reason)
{
    struct ab_record r;
    fill(&r, 3);
    r.ratio = (double)INFINITY;
    r.agreement.verdict = AB_MISTRUSTED;
    r.agreement.rel_l2 = -(double)INFINITY;
    json_t *row = ab_record_json(&r);
    CHECK(is_null_with_reason(row, "ratio"), "ratio");
    CHECK(is_null_with_reason(row, "rel_l2"), "rel_l2");
    CHECK(is_null_with_reason(row, "cosine"), "cosine");
    CHECK(is_null_with_reason(row, "ns_p99"), "p99 of 3 samples");
    CHECK(json_is_string(json_object_get(row, "verdict_reason")), "verdict_reason");
    json_decref(row);
    ab_record_free(&r);
    fill(&r, 0);
    row = ab_record_json(&r);
    CHECK(is_null_with_reason(row, "ns_median"), "no samples");
    CHECK(is_null_with_reason(row, "gflops"), "gflops without samples");
    json_decref(row);
    ab_record_free(&r);
}

TEST(conditions_are_told)
{
    struct ab_record r;
    fill(&r, 4);
    json_t *row = ab_record_json(&r);
    CHECK(!strcmp(json_string_value(json_object_get(row, "cache")), "hot"), "cache");
    CHECK(!strcmp(json_string_value(json_object_get(row, "denormals")), "keep"), "denormals");
    CHECK(!strcmp(json_string_value(json_object_get(row, "pages")), "huge"), "pages");
    CHECK(is_null_with_reason(row, "disturbed"), "samples that nobody watched");
    CHECK(!json_object_get(row, "disturbed_at"), "samples that nobody watched");
    CHECK(is_null_with_reason(row, "steady"), "steady without a warm-up");
    CHECK(is_null_with_reason(row, "core_ghz"), "a clock that was not measured");
    CHECK(is_null_with_reason(row, "subnormals"), "numbers that nobody counted");
    json_decref(row);
    r.cache = AB_CACHE_COLD;
    r.denormals = AB_DENORMALS_FLUSH;
    r.pages = AB_PAGES_SMALL;
    r.disturbed = calloc(4, sizeof *r.disturbed);
    r.disturbed[1] = r.disturbed[3] = true;
    r.steady_why = NULL;
    r.steady = true;
    r.calls = 7;
    r.core_ghz = 3.5;
    r.counted = true;
    r.subnormal_maps = 5;
    row = ab_record_json(&r);
    const json_t *places = json_object_get(row, "disturbed_at"),
                 *subnormals = json_object_get(row, "subnormals");
    CHECK(!strcmp(json_string_value(json_object_get(row, "cache")), "cold"), "cache");
    CHECK(!strcmp(json_string_value(json_object_get(row, "denormals")), "flush"), "denormals");
    CHECK(!strcmp(json_string_value(json_object_get(row, "pages")), "small"), "pages");
    CHECK(json_integer_value(json_object_get(row, "disturbed")) == 2, "disturbed");
    CHECK(json_array_size(places) == 2 && json_integer_value(json_array_get(places, 1)) == 3,
          "places of disturbed samples");
    CHECK(json_is_true(json_object_get(row, "steady")), "steady");
    CHECK(json_integer_value(json_object_get(row, "calls_per_slice")) == 7, "calls");
    CHECK(json_real_value(json_object_get(row, "core_ghz")) == 3.5, "clock");
    CHECK(json_integer_value(json_object_get(subnormals, "input")) == 0 &&
              json_integer_value(json_object_get(subnormals, "maps")) == 5,
          "subnormals");
    json_decref(row);
    ab_record_free(&r);
    CHECK(!r.disturbed, "freed");
}

TEST(enough_samples_have_a_p99)
{
    struct ab_record r;
    fill(&r, 101);
    json_t *row = ab_record_json(&r);
    CHECK(json_real_value(json_object_get(row, "ns_p99")) == 199, "p99");
    CHECK(json_real_value(json_object_get(row, "ns_p10")) == 110, "p10");
    json_decref(row);
    ab_record_free(&r);
}

TEST(a_store_survives)
{
    char folder[] = "/tmp/ab_records_XXXXXX", path[128], line[65536];
    CHECK(mkdtemp(folder), "no folder");
    json_t *context = json_pack("{s:b}", "interrupted", 0);
    struct ab_store store;
    struct ab_error err;
    struct ab_record r;
    fill(&r, 3);
    CHECK(ab_store_open(&store, folder, context, &err) == AB_OK, "%s", err.text);
    CHECK(ab_store_add(&store, &r, &err) == AB_OK, "%s", err.text);
    /* Nothing is closed yet: what a killed process would leave behind. */
    snprintf(path, sizeof path, "%s/results.jsonl", folder);
    FILE *f = fopen(path, "r");
    int lines = 0;
    while (f && fgets(line, sizeof line, f)) {
        json_t *row = json_loads(line, 0, NULL);
        CHECK(row, "line %d is no JSON", lines);
        json_decref(row);
        lines++;
    }
    if (f) fclose(f);
    CHECK(lines == 2, "%d lines", lines);
    unlink(path);
    CHECK(ab_store_finish(&store, context, &err) == AB_OK, "%s", err.text);
    ab_store_close(&store);
    snprintf(path, sizeof path, "%s/results.json", folder);
    json_t *root = json_load_file(path, 0, NULL);
    CHECK(root, "results.json is no JSON");
    CHECK(json_array_size(json_object_get(root, "results")) == 1, "one row");
    json_decref(root);
    json_decref(context);
    ab_record_free(&r);
    unlink(path);
    rmdir(folder);
}

TEST(places_that_cannot_be_written)
{
    struct ab_store store;
    struct ab_error err;
    json_t *context = json_object();
    CHECK(ab_store_open(&store, "/dev/null/x", context, &err) == AB_ERR_IO, "accepted");
    CHECK(ab_store_open(&store, "/proc/x", context, &err) == AB_ERR_IO, "accepted");
    json_decref(context);
}

TEST(quantiles)
{
    const double v[] = {5, 1, 4, 2, 3};
    struct ab_stats s;
    CHECK(ab_stats_of(v, 5, &s), "stats");
    CHECK(s.min == 1 && s.median == 3 && fabs(s.p10 - 1.4) < 1e-12 && fabs(s.p90 - 4.6) < 1e-12,
          "%g %g %g", s.median, s.p10, s.p90);
    CHECK(isnan(s.p99) && v[0] == 5, "few samples; input unchanged");
    CHECK(ab_stats_of(v, 1, &s) && s.median == 5 && s.p90 == 5, "one");
    CHECK(!ab_stats_of(v, 0, &s), "none");
}

static const struct test_case cases[] = {CASE(has_all_names),
                                         CASE(what_is_not_a_number_is_null_with_a_reason),
                                         CASE(a_store_survives),
                                         CASE(enough_samples_have_a_p99),
                                         CASE(conditions_are_told),
                                         CASE(quantiles),
                                         CASE(places_that_cannot_be_written)};
TEST_MAIN("records", cases)
