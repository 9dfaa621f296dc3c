// SPDX-License-Identifier: Apache-2.0
// The C wrapper over Google Benchmark: flags, manual time, batches, counters, errors, its JSON.
#include "../bench/gbench.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

static char why[256];

static bool initialize(int count, const char *const *flags)
{
    char *argv[16] = {(char *)"test"};
    for (int i = 0; i < count; i++) argv[i + 1] = (char *)flags[i];
    int argc = count + 1;
    why[0] = '\0';
    return ab_gbench_initialize(&argc, argv, why, sizeof why);
}

struct seen {
    int runs, errors;
    double seconds;
    int64_t iterations;
    char name[64], error[64];
};

static void remember(const struct ab_gbench_result *result, void *user)
{
    struct seen *seen = user;
    seen->runs++;
    seen->errors += result->error != NULL;
    seen->seconds = result->real_seconds;
    seen->iterations = result->iterations;
    snprintf(seen->name, sizeof seen->name, "%s", result->name);
    snprintf(seen->error, sizeof seen->error, "%s", result->error ? result->error : "");
}

static void manual(struct ab_gbench_state *state, void *user)
{
    int *calls = user;
    while (ab_gbench_keep_running(state)) {
        ab_gbench_iteration_time(state, 0.25);
        ++*calls;
    }
    ab_gbench_counter(state, "answer", 42);
    ab_gbench_counter(state, "nothing", NAN);
    ab_gbench_label(state, "labelled");
}

static void replay(struct ab_gbench_state *state, void *user)
{
    int64_t samples = *(int64_t *)user;
    while (ab_gbench_keep_running_batch(state, samples))
        ab_gbench_iteration_time(state, 0.5 * (double)samples);
}

static void failing(struct ab_gbench_state *state, void *user)
{
    ab_gbench_skip(state, user);
    while (ab_gbench_keep_running(state)) {
    }
}

TEST(manual_time_and_counters)
{
    CHECK(initialize(0, NULL), "%s", why);
    int calls = 0;
    struct ab_gbench_case c = {.name = "manual/a:1",
                               .run = manual,
                               .user = &calls,
                               .iterations = 7,
                               .manual_time = true,
                               .unit = AB_GBENCH_MS};
    CHECK(ab_gbench_register(&c), "register");
    struct seen seen = {0};
    CHECK(ab_gbench_run(remember, &seen) == 1, "one case");
    CHECK(seen.runs == 1 && calls == 7 && seen.iterations == 7, "%d runs, %d calls", seen.runs,
          calls);
    CHECK(fabs(seen.seconds - 0.25) < 1e-12, "%g s", seen.seconds);
    CHECK(strstr(seen.name, "manual/a:1") == seen.name, "%s", seen.name);
    ab_gbench_clear();
}

TEST(a_case_may_bring_its_own_samples)
{
    CHECK(initialize(0, NULL), "%s", why);
    int64_t samples = 123;
    struct ab_gbench_case c = {
        .name = "replay", .run = replay, .user = &samples, .iterations = 1, .manual_time = true};
    ab_gbench_register(&c);
    struct seen seen = {0};
    ab_gbench_run(remember, &seen);
    CHECK(seen.iterations == 123 && fabs(seen.seconds - 0.5) < 1e-12, "%lld x %g s",
          (long long)seen.iterations, seen.seconds);
    ab_gbench_clear();
}

TEST(errors_come_back)
{
    CHECK(initialize(0, NULL), "%s", why);
    struct ab_gbench_case c = {.name = "failing", .run = failing, .user = (void *)"no such ISA"};
    ab_gbench_register(&c);
    struct seen seen = {0};
    ab_gbench_run(remember, &seen);
    CHECK(seen.errors == 1 && !strcmp(seen.error, "no such ISA"), "%s", seen.error);
    ab_gbench_clear();
}

TEST(both_dialects_of_min_time)
{
    CHECK(initialize(1, (const char *[]){"--benchmark_min_time=0.05"}), "%s", why);
    CHECK(fabs(ab_gbench_min_time() - 0.05) < 1e-12, "%g", ab_gbench_min_time());
    CHECK(initialize(1, (const char *[]){"--benchmark_min_time=0.25s"}), "%s", why);
    CHECK(fabs(ab_gbench_min_time() - 0.25) < 1e-12, "%g", ab_gbench_min_time());
    CHECK(initialize(1, (const char *[]){"--benchmark_min_time=3x"}), "%s", why);
    int calls = 0;
    struct ab_gbench_case c = {.name = "three", .run = manual, .user = &calls};
    ab_gbench_register(&c);
    ab_gbench_run(NULL, NULL);
    CHECK(calls == 3, "%d calls", calls);
    ab_gbench_clear();
}

TEST(bad_flags_are_told)
{
    static const struct {
        const char *flag, *says;
    } bad[] = {
        {"--benchmark_fliter=x", "--benchmark_filter"},
        {"--benchmark_min_time=soon", "seconds"},
        {"--benchmark_min_time=-1", "seconds"},
        {"--benchmark_min_time=nan", "seconds"},
        {"--benchmark_repetitions=0", "count"},
        {"--benchmark_repetitions=two", "count"},
        {"--benchmark_format=xml", "json"},
        {"--benchmark_format=csv", "benchmark_out"},
        {"--benchmark_out=/nonexistent/dir/x.json", "written"},
        {"--benchmark_out_format=yaml", "json"},
        {"--benchmark_filter", "value"},
        {"--benchmark_color=blue", "auto"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        context("%s", bad[i].flag);
        CHECK(!initialize(1, &bad[i].flag), "accepted");
        CHECK(strstr(why, bad[i].says), "said: %s", why);
    }
}

TEST(other_arguments_stay)
{
    char *argv[] = {(char *)"test", (char *)"run", (char *)"--benchmark_repetitions=2",
                    (char *)"--model", NULL};
    int argc = 4;
    CHECK(ab_gbench_initialize(&argc, argv, why, sizeof why), "%s", why);
    CHECK(argc == 3 && !strcmp(argv[1], "run") && !strcmp(argv[2], "--model"), "argc %d", argc);
    CHECK(initialize(1, (const char *[]){"--benchmark_repetitions=1"}), "%s", why);
}

TEST(json_file_is_the_ecosystem_s)
{
    char path[] = "/tmp/ab_gbench_XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0, "no temporary file");
    close(fd);
    char out[64];
    snprintf(out, sizeof out, "--benchmark_out=%s", path);
    CHECK(initialize(
              3, (const char *[]){out, "--benchmark_out_format=json", "--benchmark_filter=keep"}),
          "%s", why);
    ab_gbench_context("attrbench_test", "yes");
    int calls = 0;
    struct ab_gbench_case c = {.run = manual, .user = &calls, .iterations = 2, .manual_time = true};
    c.name = "keep";
    ab_gbench_register(&c);
    c.name = "drop";
    ab_gbench_register(&c);
    CHECK(ab_gbench_run(NULL, NULL) == 1, "the filter");
    ab_gbench_clear();
    ab_gbench_shutdown();
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    CHECK(root, "%s", error.text);
    json_t *row = json_array_get(json_object_get(root, "benchmarks"), 0);
    CHECK(json_integer_value(json_object_get(row, "iterations")) == 2, "iterations");
    CHECK(json_real_value(json_object_get(row, "answer")) == 42, "the counter");
    CHECK(!json_object_get(row, "nothing"), "a NaN was written");
    CHECK(json_string_value(json_object_get(row, "label")), "the label");
    CHECK(json_object_get(json_object_get(root, "context"), "attrbench_test"), "the context");
    json_decref(root);
    unlink(path);
}

/* The last one: its flags keep their values inside the library. */
static const struct test_case cases[] = {CASE(manual_time_and_counters),
                                         CASE(a_case_may_bring_its_own_samples),
                                         CASE(errors_come_back),
                                         CASE(both_dialects_of_min_time),
                                         CASE(bad_flags_are_told),
                                         CASE(other_arguments_stay),
                                         CASE(json_file_is_the_ecosystem_s)};
TEST_MAIN("Google Benchmark from C", cases)
