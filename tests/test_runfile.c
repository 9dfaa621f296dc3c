// SPDX-License-Identifier: Apache-2.0
// Results from files: the formats that are read, and what is said of everything else.
#include "../bench/runfile.h"
#include "files.h"

#include <math.h>

static struct ab_runfile *list;
static int count;

static void read_text(const char *name, const char *text)
{
    struct ab_error err = {""};
    const char *path = write_file(name, text, strlen(text));
    CHECK(ab_runfile_read(path, &list, &count, &err) == AB_OK, "%s", err.text);
}

static void done(void)
{
    ab_runfile_free(list, count);
    list = NULL;
}

static void refused(const char *text, enum ab_status status, const char *needle)
{
    struct ab_error err = {""};
    context("%.60s", text);
    const char *path = write_file("bad.json", text, strlen(text));
    check_error(ab_runfile_read(path, &list, &count, &err), status, &err, needle);
    CHECK(strstr(err.text, "bad.json") && !list && !count, "%s", err.text);
}

#define CONTEXT "{\"date\": \"2026-01-02T03:04:05Z\", \"interrupted\": false}"
#define ROW     "{\"kind\": \"kernel\", \"op\": \"x\", \"samples_ns\": [3, 1.5], \"disturbed_at\": [1]}"

/* ---- our own ---- */

TEST(results_json)
{
    read_text("one.json", "{\"context\": " CONTEXT ", \"results\": [" ROW ", " ROW "]}");
    const struct ab_runfile *r = &list[0];
    CHECK(count == 1 && r->count == 2 && !strcmp(r->run.name, "one") && r->run.finished, "a run");
    CHECK(!strcmp(r->run.started, "2026-01-02T03:04:05Z") && !strcmp(r->run.origin, "one.json"),
          "its labels");
    CHECK(r->rows[0].count == 2 && r->rows[0].ns[1] == 1.5 && r->rows[0].disturbed[1], "a row");
    CHECK(!strcmp(r->rows[0].key, "kernel/x") && !strcmp(r->rows[1].key, "kernel/x#2"), "keys %s",
          r->rows[1].key);
    done();
    read_text("cut.json", "{\"context\": {\"interrupted\": true}, \"results\": [" ROW "]}");
    CHECK(!list[0].run.finished, "an interrupted run is finished");
    done();
}

TEST(results_jsonl)
{
    read_text("log.jsonl", "{\"context\": " CONTEXT "}\n" ROW "\n" ROW "\n");
    CHECK(list[0].count == 2 && !list[0].run.finished, "%d rows", list[0].count);
    done();
    /* Its writer was killed amid a line. */
    read_text("log.jsonl", "{\"context\": " CONTEXT "}\n" ROW "\n{\"kind\": \"ker");
    CHECK(list[0].count == 1, "%d rows", list[0].count);
    done();
    refused("{\"context\": " CONTEXT "}\n{\"kind\":\n" ROW "\n", AB_ERR_FORMAT, "line 2");
    refused("{\"context\": " CONTEXT "}\n" ROW "\n{\"kind\": 3}\n", AB_ERR_FORMAT, "line 3");
    refused("{\"context\": " CONTEXT "}\n", AB_ERR_FORMAT, "nothing was measured");
}

#define RUN(name)                                                                                  \
    "{\"context\": " CONTEXT ", \"run\": {\"name\": \"" name                                       \
    "\", \"started\": \"2025-01-01T00:00:00Z\", \"finished\": null, \"revision\": \"abc\","        \
    " \"command\": [\"--x\"]}, \"results\": [{\"kind\": \"step\", \"key\": \"mine\"}]}"

TEST(exports)
{
    read_text("all.json", "{\"runs\": [" RUN("main") ", " RUN("no name") "]}");
    CHECK(count == 2 && !strcmp(list[0].run.name, "main") && !strcmp(list[1].run.name, "all"),
          "names %s, %s", list[0].run.name, list[1].run.name);
    CHECK(!list[0].run.finished && !strcmp(list[0].run.revision, "abc") &&
              !strcmp(list[0].run.started, "2025-01-01T00:00:00Z") &&
              json_array_size(list[0].run.command) == 1,
          "labels");
    CHECK(!strcmp(list[0].rows[0].key, "mine") && !json_object_get(list[0].rows[0].record, "key"),
          "the key it brings");
    done();
    refused("{\"runs\": [" RUN("a") ", {\"context\": 1}]}", AB_ERR_FORMAT, "run 2");
}

/* ---- others ---- */

TEST(google_benchmark)
{
    read_text("gb.json",
              "{\"context\": {\"date\": \"2026-01-02T03:04:05+02:00\", \"num_cpus\": 2,"
              " \"cpu_model\": \"x\"}, \"benchmarks\": ["
              "{\"name\": \"BM_a/8\", \"run_name\": \"BM_a/8\", \"run_type\": \"iteration\","
              " \"repetitions\": 2, \"repetition_index\": 0, \"threads\": 1, \"iterations\": 100,"
              " \"real_time\": 2.5, \"cpu_time\": 2, \"time_unit\": \"us\", \"bytes\": 77},"
              "{\"name\": \"BM_a/8\", \"run_name\": \"BM_a/8\", \"run_type\": \"iteration\","
              " \"iterations\": 100, \"real_time\": 3, \"time_unit\": \"us\"},"
              "{\"name\": \"BM_a/8_mean\", \"run_name\": \"BM_a/8\", \"run_type\": \"aggregate\","
              " \"aggregate_name\": \"mean\", \"real_time\": 9, \"time_unit\": \"us\"},"
              "{\"name\": \"BM_b\", \"error_occurred\": true, \"error_message\": \"no\"},"
              "{\"name\": \"BM_c_median\", \"run_name\": \"BM_c\", \"run_type\": \"aggregate\","
              " \"aggregate_name\": \"median\", \"real_time\": 4, \"time_unit\": \"ms\"}]}");
    const struct ab_runfile *r = &list[0];
    CHECK(r->count == 3 && !strcmp(r->run.started, "2026-01-02T01:04:05Z"), "%d rows of %s",
          r->count, r->run.started);
    CHECK(!strcmp(r->rows[0].key, "gbench/BM_a/8") && r->rows[0].count == 2 &&
              r->rows[0].ns[0] == 2500 && r->rows[0].ns[1] == 3000 && r->rows[0].calls == 100,
          "repetitions are samples");
    CHECK(json_integer_value(
              json_object_get(json_object_get(r->rows[0].record, "counters"), "bytes")) == 77,
          "counters");
    CHECK(!r->rows[1].count && json_object_get(r->rows[1].record, "error"), "an error");
    CHECK(r->rows[2].count == 1 && r->rows[2].ns[0] == 4e6, "a median where there is nothing else");
    CHECK(json_integer_value(
              json_object_get(json_object_get(r->run.context, "cpu"), "hardware_threads")) == 2,
          "context");
    done();
#define BENCHMARK(fields) "{\"benchmarks\": [{" fields "}]}"
    refused(BENCHMARK("\"name\": \"a\", \"real_time\": 1, \"time_unit\": \"h\""), AB_ERR_FORMAT,
            "time_unit");
    refused(BENCHMARK("\"name\": \"a\", \"real_time\": 0, \"time_unit\": \"s\""), AB_ERR_FORMAT,
            "real_time");
    refused(BENCHMARK("\"real_time\": 1"), AB_ERR_FORMAT, "no name");
    refused("{\"benchmarks\": []}", AB_ERR_FORMAT, "nothing was measured");
    refused("{\"benchmarks\": 3}", AB_ERR_FORMAT, "no list");
    refused(BENCHMARK("\"name\": \"a\", \"real_time\": NaN"), AB_ERR_FORMAT, "NaN");
}

TEST(benchdnn)
{
    read_text(
        "dnn.txt",
        "Output template: perf,%engine%,%impl%,%name%,%prb%,%Gops%,%+ctime%,%-time%,"
        "%-Gflops%,%0time%,%0Gflops%\n"
        "perf,cpu,jit:avx2,conv1,--conv --attr-post-ops=sum,relu mb1ic3,0.2,0.1,0.5,4,0.75,3\n"
        "perf,cpu,ref,,--conv mb2ic3,0.2,0.1,0,0,0,0\n"
        "perf,cpu,jit:avx512,conv1,--conv --attr-post-ops=sum,relu mb1ic3,0.2,0.1,0.25,8,1,2\n"
        "tests:3 passed:3 skipped:0\ntotal perf: min(ms):0.5 avg(ms):0.75\n");
    const struct ab_runfile *r = &list[0];
    CHECK(r->count == 2 && r->rows[0].count == 2 && r->rows[0].ns[0] == 5e5 &&
              r->rows[0].ns[1] == 2.5e5,
          "%d rows", r->count);
    CHECK(!strcmp(r->rows[0].key, "benchdnn/cpu --conv --attr-post-ops=sum,relu mb1ic3"), "%s",
          r->rows[0].key);
    CHECK(!r->rows[1].count && json_object_get(r->rows[1].record, "error"), "a time of 0");
    CHECK(json_real_value(json_object_get(r->rows[0].record, "ns_mean")) == 7.5e5, "mean");
    done();
    /* Without its template, and with the one of --perf-template=csv. */
    read_text("bare.log", "perf,cpu,x,,--conv a,1,2,3,4,5,6\r\n");
    CHECK(list[0].rows[0].ns[0] == 3e6, "%g", list[0].rows[0].ns[0]);
    done();
    read_text("csv.txt",
              "Output template: perf,%engine%,%name%,%dir%,%cfg%,%attr%,%DESC%,%Gops%,"
              "%Gfreq%,%-time%,%-Gflops%,%0time%,%0Gflops%\n"
              "perf,cpu,\"resnet:ip1\",FWD_B,f32,,112,1000,2048,1,1,0.45,0,0.52,881,0.56,"
              "813\n");
    CHECK(!strcmp(list[0].rows[0].key, "benchdnn/cpu FWD_B f32 112,1000,2048,1,1") &&
              fabs(list[0].rows[0].ns[0] - 520000) < 1,
          "%s", list[0].rows[0].key);
    done();
    refused("Output template: perf;%prb%;%-time%\n", AB_ERR_FORMAT, "line 1");
    refused("Output template: perf,%prb%,%Gops%\n", AB_ERR_FORMAT, "template");
    refused("perf,cpu,1\n", AB_ERR_FORMAT, "line 1");
    refused("x\nperf,cpu,x,,--conv a,1,2,soon,4,5,6\n", AB_ERR_FORMAT, "line 2: 'soon'");
    refused("perf,cpu,x,,--conv a,1,2,nan,4,5,6\n", AB_ERR_FORMAT, "'nan'");
}

/* ---- everything else ---- */

TEST(json_with_numbers_that_are_none)
{
    static const char *const words[] = {"NaN",  "nan", "Infinity", "-Infinity",
                                        "-NaN", "inf", "-inf"};
    char text[512];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        snprintf(text, sizeof text,
                 "{\"context\": " CONTEXT
                 ",\n\"results\": [\n{\"kind\": \"kernel\",\n\"ratio\": %s}]}",
                 words[i]);
        refused(text, AB_ERR_FORMAT, "line 4: NaN and infinity are no JSON; write null");
        snprintf(text, sizeof text, "{\"context\": " CONTEXT "}\n" ROW "\n{\"x\": %s}\n", words[i]);
        refused(text, AB_ERR_FORMAT, "line 3: NaN and infinity");
    }
}

TEST(what_is_no_results)
{
    struct ab_error err;
    refused("", AB_ERR_FORMAT, "empty");
    refused("method  time\n", AB_ERR_FORMAT, "no results");
    refused("{\"a\": 1}", AB_ERR_FORMAT, "neither");
    refused("[1, 2]", AB_ERR_FORMAT, "neither");
    refused("{\"results\": [], \"context\": {}", AB_ERR_FORMAT, "line 1: no JSON");
    refused("{\"results\": [], \"context\": {}}", AB_ERR_FORMAT, "nothing was measured");
    refused("{\"results\": [1], \"context\": {}}", AB_ERR_FORMAT, "result 1");
    refused("{\"results\": {}, \"context\": {}}", AB_ERR_FORMAT, "no list");
    refused("{\"results\": [{\"kind\": \"x\", \"samples_ns\": [-1]}], \"context\": {}}",
            AB_ERR_FORMAT, "result 1: samples_ns[0]");
    const char *path = write_file("zero.json", "{\0}", 3);
    check_error(ab_runfile_read(path, &list, &count, &err), AB_ERR_FORMAT, &err, "no text");
    check_error(ab_runfile_read("/nonexistent.json", &list, &count, &err), AB_ERR_IO, &err,
                "nonexistent");
    check_error(ab_runfile_read("/", &list, &count, &err), AB_ERR_IO, &err, "/");
    char deep[5000];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    refused(deep, AB_ERR_FORMAT, "no JSON");
}

/* Nothing that differs from a good file by a few bytes is a crash. */
TEST(mutations)
{
    static const char *const good[] = {
        "{\"runs\": [" RUN("a") ", " RUN("b") "]}",
        "{\"context\": " CONTEXT "}\n" ROW "\n" ROW "\n",
        "{\"benchmarks\": [{\"name\": \"a\", \"real_time\": 1, \"time_unit\": \"s\"}]}",
        "Output template: perf,%prb%,%-time%\nperf,--conv a,b,0.5\nperf,--ip,0.25\n"};
    static const char spice[] = "{}[],:\"%\n0-9eN";
    struct rng r = rng_new(7);
    struct ab_error err;
    char text[2048];
    for (int i = 0; i < (AB_TEST_SLOW ? 400 : 3000); i++) {
        snprintf(text, sizeof text, "%s", good[i % 4]);
        const size_t length = strlen(text);
        for (int j = 0; j < 1 + i % 3; j++)
            text[rng_next(&r) % length] = spice[rng_next(&r) % (sizeof spice - 1)];
        if (i % 5 == 0) text[rng_next(&r) % length] = '\0';
        context("%s", text);
        const char *path = write_file("mutant", text, strlen(text));
        const enum ab_status status = ab_runfile_read(path, &list, &count, &err);
        CHECK(status == AB_OK ? count > 0 && list[0].count > 0
                              : status == AB_ERR_FORMAT && !strchr(err.text, '\n'),
              "status %d: %s", status, err.text);
        done();
        count = 0;
    }
}

static const struct test_case cases[] = {
    CASE(results_json),       CASE(results_jsonl), CASE(exports),
    CASE(google_benchmark),   CASE(benchdnn),      CASE(json_with_numbers_that_are_none),
    CASE(what_is_no_results), CASE(mutations)};
TEST_MAIN("runfile", cases)
