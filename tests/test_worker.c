// SPDX-License-Identifier: Apache-2.0
// Workers: attrbench itself, and programs that are none, die, hang or talk nonsense.
#include "bench/worker.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static const char KERNEL[] = "kernel dense_plain dense n1i100o100";

/* ---- programs ---- */

/* A script that is a worker of its own kind; its path. The next takes its place. */
static char path[96];

static void remove_script(void)
{
    if (*path) unlink(path);
}

static const char *script(const char *body)
{
    static int number;
    const char *folder = getenv("TMPDIR");
    if (!number) atexit(remove_script);
    remove_script();
    snprintf(path, sizeof path, "%.60s/ab-worker-%d-%d", folder && *folder ? folder : "/tmp",
             (int)getpid(), number++);
    FILE *f = fopen(path, "w");
    CHECK(f, "%s cannot be written", path);
    fprintf(f, "#!/bin/sh\n%s\n", body);
    fclose(f);
    CHECK(chmod(path, 0755) == 0, "%s cannot be made a program", path);
    return path;
}

/* Greets, and has a context. */
#define GREET "echo attrbench worker 1; read a; echo 'ok {}'; "

/* Whether attrbench is there to be started. */
static const char *command(void)
{
    const char *program = getenv("AB_COMMAND");
    return program && access(program, X_OK) == 0 ? program : NULL;
}

static struct ab_worker *started(const char *program)
{
    struct ab_worker *w;
    struct ab_error err;
    context("%s", program);
    CHECK(ab_worker_start(program, &w, &err) == AB_OK, "%s", err.text);
    return w;
}

static void refused(const char *program, enum ab_status status, const char *word)
{
    struct ab_worker *w;
    struct ab_error err;
    context("%s", program);
    const enum ab_status got = ab_worker_start(program, &w, &err);
    CHECK(got == status, "status %d: %s", (int)got, got == AB_OK ? "started" : err.text);
    CHECK(!w, "a worker is handed out");
    CHECK(strstr(err.text, word), "'%s' is not in: %s", word, err.text);
    CHECK(!strchr(err.text, '\n'), "more than a line: %s", err.text);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- attrbench ---- */

TEST(serves)
{
    if (!command()) return;
    struct ab_worker *w = started(command());
    struct ab_error err;
    struct ab_slice slice;
    json_t *rows;
    CHECK(json_is_object(json_object_get(ab_worker_context(w), "cpu")), "no context");
    CHECK(!json_object_get(ab_worker_context(w), "test_slow"), "it says to be slowed down");
    const struct ab_side side = ab_worker_side(w, "it");
    CHECK(side.slice(side.user, 1, &slice, &err) != AB_OK && strstr(err.text, "no case"), "%s",
          err.text);
    CHECK(ab_worker_open(w, "kernel dense_plain dense n1i4", AB_CACHE_HOT, &rows, &err) ==
              AB_ERR_ARG,
          "%s", err.text);
    CHECK(ab_worker_open(w, "kernel new_kernel dense n1i4o4", AB_CACHE_HOT, &rows, &err) ==
              AB_ERR_UNSUPPORTED,
          "%s", err.text);
    CHECK(ab_worker_open(w, "kernel a\nquit", AB_CACHE_HOT, &rows, &err) == AB_ERR_ARG, "%s",
          err.text);
    for (int cold = 0; cold < 2; cold++) {
        CHECK(ab_worker_open(w, KERNEL, cold ? AB_CACHE_COLD : AB_CACHE_HOT, &rows, &err) == AB_OK,
              "%s", err.text);
        CHECK(json_array_size(rows) == 1, "%zu rows", json_array_size(rows));
        CHECK(!strcmp(json_string_value(json_object_get(json_array_get(rows, 0), "cache")),
                      cold ? "cold" : "hot"),
              "cache");
        json_decref(rows);
        CHECK(side.slice(side.user, 2, &slice, &err) == AB_OK, "%s", err.text);
        CHECK(slice.ns > 100 && slice.n_parts == 0, "%g ns", slice.ns);
    }
    CHECK(side.slice(side.user, 0, &slice, &err) == AB_ERR_ARG, "no calls: %s", err.text);
    CHECK(ab_worker_lives(w), "it is dead");
    ab_worker_stop(&w);
    CHECK(!w, "stopping leaves a pointer");
}

TEST(sends_steps)
{
    if (!command()) return;
    struct ab_worker *w = started(command());
    struct ab_error err;
    struct ab_slice slice;
    json_t *rows;
    CHECK(ab_worker_open(w, "method digits gradient native 1 16", AB_CACHE_HOT, &rows, &err) ==
              AB_OK,
          "%s", err.text);
    const struct ab_side side = ab_worker_side(w, "it");
    /* What another process takes in between is a step's time but not the whole's. */
    bool within = false;
    for (int turn = 0; turn < 100 && !within; turn++) {
        CHECK(side.slice(side.user, 1, &slice, &err) == AB_OK, "%s", err.text);
        CHECK(slice.n_parts > 0 && (size_t)slice.n_parts + 1 == json_array_size(rows), "%d parts",
              slice.n_parts);
        within = true;
        for (int i = 0; i < slice.n_parts; i++)
            within = within && slice.parts[i] > 0 && slice.parts[i] < slice.ns;
    }
    CHECK(within, "steps take longer than the whole");
    json_decref(rows);
    ab_worker_stop(&w);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Two workers at the same case by turns, of which one is slowed down. */
TEST(is_slowed_down)
{
    enum { TURNS = 61 };
    if (!command()) return;
    struct ab_worker *w[2];
    struct ab_error err;
    struct ab_slice slice;
    json_t *rows;
    double ratios[TURNS];
    for (int i = 0; i < 2; i++) {
        if (i) setenv("ATTRBENCH_TEST_SLOW", "conv*=0.1,dense_*=0.5", 1);
        w[i] = started(command());
        unsetenv("ATTRBENCH_TEST_SLOW");
        CHECK(ab_worker_open(w[i], KERNEL, AB_CACHE_HOT, &rows, &err) == AB_OK, "%s", err.text);
        json_decref(rows);
    }
    CHECK(json_object_get(ab_worker_context(w[1]), "test_slow"), "it does not say so");
    for (int turn = 0; turn < TURNS; turn++) {
        double ns[2];
        for (int i = 0; i < 2; i++) {
            const struct ab_side side = ab_worker_side(w[i], "it");
            CHECK(side.slice(side.user, 10, &slice, &err) == AB_OK, "%s", err.text);
            ns[i] = slice.ns;
        }
        ratios[turn] = ns[1] / ns[0];
    }
    qsort(ratios, TURNS, sizeof *ratios, by_size);
    const double ratio = ratios[TURNS / 2];
    CHECK(ratio > 1.35 && ratio < 1.7, "%.3f times slower instead of 1.5", ratio);
    for (int i = 0; i < 2; i++) ab_worker_stop(&w[i]);
}

static const char SLOW[] = "ATTRBENCH_TEST_SLOW";

TEST(shares)
{
    static const char *const wrong[] = {"",     "a",    "=1",     "a=",    "a=x",   "a=0",  "a=-1",
                                        "a=11", "a=1,", "a=1,,b", "a=nan", "a=inf", "a=1;b"};
    struct ab_error err;
    double share;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        context("'%s'", wrong[i]);
        CHECK(ab_worker_share(SLOW, wrong[i], "a", &share, &err) == AB_ERR_ARG, "taken");
        CHECK(strstr(err.text, "ATTRBENCH_TEST_SLOW"), "%s", err.text);
    }
    const char *text = "conv2d_*=0.03,dense_plain=0.25,*=2";
    context("%s", text);
    CHECK(ab_worker_share(SLOW, text, "conv2d_avx2", &share, &err) == AB_OK && share == 0.03, "%g",
          share);
    CHECK(ab_worker_share(SLOW, text, "dense_plain", &share, &err) == AB_OK && share == 0.25, "%g",
          share);
    CHECK(ab_worker_share(SLOW, text, "x", &share, &err) == AB_OK && share == 2, "%g", share);
    CHECK(ab_worker_share(SLOW, "y=1", "x", &share, &err) == AB_OK && share == 0, "%g", share);
    CHECK(ab_worker_share(SLOW, NULL, "x", &share, &err) == AB_OK && share == 0, "%g", share);
    if (!command()) return;
    setenv("ATTRBENCH_TEST_SLOW", "nonsense", 1);
    refused(command(), AB_ERR_INTERNAL, "ATTRBENCH_TEST_SLOW");
    unsetenv("ATTRBENCH_TEST_SLOW");
    setenv("ATTRBENCH_TEST_WRONG", "a=100", 1);
    refused(command(), AB_ERR_INTERNAL, "ATTRBENCH_TEST_WRONG");
    unsetenv("ATTRBENCH_TEST_WRONG");
}

/* What a worker says of the errors of a case. */
static json_t *judged(struct ab_worker *w, const char *text)
{
    struct ab_error err;
    json_t *rows, *agreement;
    context("%s", text);
    CHECK(ab_worker_open(w, text, AB_CACHE_HOT, &rows, &err) == AB_OK, "%s", err.text);
    json_decref(rows);
    CHECK(ab_worker_judge(w, &agreement, &err) == AB_OK, "%s", err.text);
    return agreement;
}

static const char *verdict_of(const json_t *agreement)
{
    return json_string_value(json_object_get(agreement, "verdict"));
}

static double error_of(const json_t *agreement)
{
    return json_number_value(json_object_get(agreement, "rel_l2"));
}

TEST(judges)
{
    static const char *const texts[] = {"kernel dense_plain dense n1i256o100 fwd fill=normal",
                                        "method digits gradient native 1 2"};
    if (!command()) return;
    struct ab_worker *w[2];
    struct ab_error err;
    json_t *none;
    for (int i = 0; i < 2; i++) {
        if (i) setenv("ATTRBENCH_TEST_WRONG", "dense*=3e-6,gradient=0.5", 1);
        w[i] = started(command());
        unsetenv("ATTRBENCH_TEST_WRONG");
    }
    CHECK(!json_object_get(ab_worker_context(w[0]), "test_wrong") &&
              json_object_get(ab_worker_context(w[1]), "test_wrong"),
          "contexts");
    CHECK(ab_worker_judge(w[0], &none, &err) == AB_ERR_INTERNAL && strstr(err.text, "no case"),
          "%s", err.text);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *right = judged(w[0], texts[i]), *wrong = judged(w[1], texts[i]);
        CHECK(!strcmp(verdict_of(right), "agree") && error_of(right) < 1e-6, "%s, %g",
              verdict_of(right), error_of(right));
        CHECK(!strcmp(verdict_of(wrong), i ? "disagree" : "agree"), "%s", verdict_of(wrong));
        const double share = i ? 0.5 : 3e-6;
        CHECK(fabs(error_of(wrong) - share) < 0.2 * share, "%g instead of %g", error_of(wrong),
              share);
        json_decref(right);
        json_decref(wrong);
        /* It is at the case still. */
        struct ab_slice slice;
        const struct ab_side side = ab_worker_side(w[1], "it");
        CHECK(side.slice(side.user, 1, &slice, &err) == AB_OK, "%s", err.text);
    }
    for (int i = 0; i < 2; i++) ab_worker_stop(&w[i]);
}

/* ---- others ---- */

TEST(is_no_attrbench)
{
    refused("/nonexistent/attrbench", AB_ERR_ARG, "/nonexistent/attrbench");
    refused("/etc/passwd", AB_ERR_ARG, "cannot be run");
    refused("/bin", AB_ERR_ARG, "cannot be run");
    refused("/bin/true", AB_ERR_INTERNAL, "code 0");
    refused("/bin/false", AB_ERR_INTERNAL, "code 1");
    refused("/bin/echo", AB_ERR_INTERNAL, "no attrbench: it says 'worker'");
    refused(script("echo hello"), AB_ERR_INTERNAL, "no attrbench: it says 'hello'");
    refused(script("echo hello there >&2; exit 7"), AB_ERR_INTERNAL, "code 7");
    refused(script("echo hello there >&2; exit 7"), AB_ERR_INTERNAL, "hello there");
    refused(script("kill -SEGV $$"), AB_ERR_INTERNAL, "signal 11");
    refused(script("echo \"attrbench: unknown command 'worker'; commands: run\" >&2; exit 2"),
            AB_ERR_INTERNAL, "too old");
    refused(script("echo attrbench worker 2"), AB_ERR_INTERNAL, "this attrbench's is 1");
    refused(script("echo attrbench worker 1"), AB_ERR_INTERNAL, "context");
    refused(script("echo attrbench worker 1; read a; echo ok nonsense"), AB_ERR_INTERNAL,
            "no JSON");
    refused(script("echo attrbench worker 1; read a; echo nonsense; cat"), AB_ERR_INTERNAL,
            "nonsense");
    refused(script("tr '\\\\0' x < /dev/zero"), AB_ERR_INTERNAL, "without end");
}

TEST(is_silent)
{
    setenv("ATTRBENCH_WORKER_TIMEOUT", "200ms", 1);
    double began = now();
    refused(script("exec sleep 100"), AB_ERR_INTERNAL, "silent for 0.2 s");
    refused(script("exec >&- ; exec sleep 100"), AB_ERR_INTERNAL, "worker");
    struct ab_worker *w = started(script(GREET "read a; exec sleep 100"));
    struct ab_error err;
    json_t *rows;
    CHECK(ab_worker_open(w, KERNEL, AB_CACHE_HOT, &rows, &err) == AB_ERR_INTERNAL &&
              strstr(err.text, "silent") && strstr(err.text, "dense_plain"),
          "%s", err.text);
    ab_worker_stop(&w);
    CHECK(now() - began < 10, "%g s", now() - began);
    setenv("ATTRBENCH_WORKER_TIMEOUT", "soon", 1);
    refused("/bin/true", AB_ERR_ARG, "ATTRBENCH_WORKER_TIMEOUT");
    unsetenv("ATTRBENCH_WORKER_TIMEOUT");
    /* It does not hear that it should end. */
    began = now();
    w = started(script(GREET "exec sleep 100"));
    ab_worker_stop(&w);
    CHECK(now() - began < 5, "stopped after %g s", now() - began);
}

/* From then on it is dead, and says why whatever is asked. */
static void dies(const char *body, const char *word)
{
    struct ab_worker *w = started(script(body));
    struct ab_error err = {""};
    struct ab_slice slice;
    json_t *rows;
    context("%s", body);
    enum ab_status status = ab_worker_open(w, KERNEL, AB_CACHE_HOT, &rows, &err);
    const struct ab_side side = ab_worker_side(w, "it");
    if (status == AB_OK) {
        json_decref(rows);
        status = side.slice(side.user, 3, &slice, &err);
    }
    CHECK(status == AB_ERR_INTERNAL && strstr(err.text, word), "'%s' is not in: %s", word,
          err.text);
    CHECK(!ab_worker_lives(w), "it lives");
    err.text[0] = '\0';
    CHECK(side.slice(side.user, 3, &slice, &err) == AB_ERR_INTERNAL && strstr(err.text, word),
          "asked again: %s", err.text);
    CHECK(ab_worker_open(w, KERNEL, AB_CACHE_HOT, &rows, &err) == AB_ERR_INTERNAL && !rows,
          "opened again: %s", err.text);
    ab_worker_stop(&w);
}

TEST(dies_meanwhile)
{
    dies(GREET "read a; kill -KILL $$", "signal 9");
    dies(GREET "read a; echo out of luck >&2; exit 3", "out of luck");
    dies(GREET "read a; echo nonsense; cat", "nonsense");
    dies(GREET "read a; echo 'ok nonsense'; cat", "rows");
    dies(GREET "read a; echo 'ok []'; cat", "rows");
    dies(GREET "read a; echo 'ok [{\"kind\": 1}]'; cat", "rows");
#define OPEN GREET "read a; echo 'ok [{\"key\": \"k\"}]'; "
    dies(OPEN "read a; kill -SEGV $$", "signal 11");
    dies(OPEN "exit 0", "code 0");
    dies(OPEN "read a; echo 'ok nonsense'; cat", "ok nonsense");
    dies(OPEN "read a; echo 'ok -1 0'; cat", "ok -1 0");
    dies(OPEN "read a; echo 'ok nan 0'; cat", "ok nan 0");
    dies(OPEN "read a; echo 'ok 0 0'; cat", "ok 0 0");
    dies(OPEN "read a; echo 'ok 5'; cat", "ok 5");
    dies(OPEN "read a; echo 'ok 5 0 7'; cat", "ok 5 0 7");
}

TEST(says_errors)
{
    struct ab_worker *w = started(script(
        GREET "read a; echo 'error unsupported no such thing'; read a; echo 'error strange word'"
              "; cat"));
    struct ab_error err;
    json_t *rows;
    CHECK(ab_worker_open(w, KERNEL, AB_CACHE_HOT, &rows, &err) == AB_ERR_UNSUPPORTED &&
              !strcmp(err.text, "no such thing"),
          "%s", err.text);
    CHECK(ab_worker_open(w, KERNEL, AB_CACHE_HOT, &rows, &err) == AB_ERR_INTERNAL &&
              !strcmp(err.text, "strange word"),
          "%s", err.text);
    CHECK(ab_worker_lives(w), "an answer is no death");
    ab_worker_stop(&w);
    w = started(script(GREET "read a; echo 'error arg no request'; read a; echo 'ok {}'; cat"));
    CHECK(ab_worker_judge(w, &rows, &err) == AB_ERR_ARG && !rows && ab_worker_lives(w), "%s",
          err.text);
    CHECK(ab_worker_judge(w, &rows, &err) == AB_ERR_INTERNAL && !rows && !ab_worker_lives(w), "%s",
          err.text);
    ab_worker_stop(&w);
}

static const struct test_case cases[] = {
    CASE(serves),    CASE(sends_steps),    CASE(is_slowed_down), CASE(shares),         CASE(judges),
    CASE(is_silent), CASE(dies_meanwhile), CASE(says_errors),    CASE(is_no_attrbench)};
TEST_MAIN("workers", cases)
