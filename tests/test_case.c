// SPDX-License-Identifier: Apache-2.0
// Cases: texts that open, and those that do not; slices; rows and keys; the usual list.
#include "bench/case.h"
#include "support.h"

#include "verify/verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct ab_case *opened(const char *text)
{
    struct ab_case *c;
    struct ab_error err;
    context("%s", text);
    CHECK(ab_case_open(text, &c, &err) == AB_OK, "%s", err.text);
    return c;
}

/* The error is of that kind and names `word`. */
static void refused(const char *text, enum ab_status status, const char *word)
{
    struct ab_case *c;
    struct ab_error err;
    context("%s", text);
    const enum ab_status got = ab_case_open(text, &c, &err);
    CHECK(got == status, "status %d: %s", (int)got, got == AB_OK ? "opened" : err.text);
    CHECK(!c, "a case is handed out");
    CHECK(strstr(err.text, word), "'%s' is not in: %s", word, err.text);
}

static struct ab_slice slice_of(const struct ab_side *side, int calls)
{
    struct ab_slice slice;
    struct ab_error err;
    CHECK(side->slice(side->user, calls, &slice, &err) == AB_OK, "%s", err.text);
    CHECK(isfinite(slice.ns) && slice.ns > 0, "%g ns", slice.ns);
    return slice;
}

TEST(refusals)
{
    char text[2 * AB_CASE_KEY];
    refused("", AB_ERR_ARG, "kernel NAME TRIAL");
    refused("kernels dense_plain dense n1i4o4", AB_ERR_ARG, "kernel NAME TRIAL");
    refused("kernel", AB_ERR_UNSUPPORTED, "not in this build");
    refused("kernel dense_plan dense n1i4o4", AB_ERR_UNSUPPORTED, "dense_plain");
    refused("kernel zzz dense n1i4o4", AB_ERR_UNSUPPORTED, "attrbench kernels");
    refused("kernel dense_plain", AB_ERR_ARG, "trial");
    refused("kernel dense_plain dense n1i4", AB_ERR_ARG, "n1i4");
    refused("kernel dense_plain maxpool n1c4ih4iw4oh2ow2k2s2", AB_ERR_ARG, "maxpool");
    refused("kernel dense_plain dense n1i4o4 fill=file file=/nonexistent.npy", AB_ERR_MEMORY,
            "nonexistent");
    refused("kernel conv2d_plain_depthwise conv2d n1c4h8w8o4k3s1p1", AB_ERR_UNSUPPORTED,
            "does not do");
    refused("kernel dense_plain dense n1i4o4\nquit", AB_ERR_ARG, "line breaks");
    refused("method", AB_ERR_ARG, "THREADS BATCH");
    refused("method digits gradient native 1", AB_ERR_ARG, "THREADS BATCH");
    refused("method digits gradient native 0 1", AB_ERR_ARG, "THREADS BATCH");
    refused("method digits gradient native 1 99999", AB_ERR_ARG, "THREADS BATCH");
    refused("method digits gradient native 1 1x", AB_ERR_ARG, "THREADS BATCH");
    refused("method digits gradent native 1 1", AB_ERR_UNSUPPORTED, "gradient");
    refused("method digits gradient natiwe 1 1", AB_ERR_UNSUPPORTED, "native");
    refused("method /no such/model.onnx gradient native 1 1", AB_ERR_IO, "/no such/model.onnx");
    memset(text, 'x', sizeof text);
    memcpy(text, "kernel ", 7);
    text[sizeof text - 1] = '\0';
    refused(text, AB_ERR_ARG, "longer");
}

TEST(kernel_case)
{
    struct ab_case *c = opened("kernel dense_plain dense  n2i300o200 fwd seed=3 with=bias");
    char key[AB_CASE_KEY];
    ab_case_key(c, 0, key);
    CHECK(
        !strcmp(key, "kernel dense_plain dense n2i300o200 fwd fill=int seed=3 side=left with=bias"),
        "key '%s'", key);
    struct ab_case *again = opened(key);
    char other[AB_CASE_KEY];
    ab_case_key(again, 0, other);
    CHECK(!strcmp(key, other), "keys '%s' and '%s'", key, other);
    ab_case_close(&again);
    CHECK(ab_case_rows(c) == 1 && ab_case_threads(c) == 1, "rows or threads");
    const struct ab_side side = ab_case_side(c, AB_CACHE_HOT);
    for (int calls = 1; calls <= 4; calls++) {
        const struct ab_slice s = slice_of(&side, calls);
        CHECK(s.ns > 1000 && s.n_parts == 0 && !s.parts, "%g ns, %d parts", s.ns, s.n_parts);
    }
    json_t *r = ab_case_record(c, 0);
    CHECK(!strcmp(json_string_value(json_object_get(r, "kind")), "kernel"), "kind");
    CHECK(!strcmp(json_string_value(json_object_get(r, "op")), "dense_fwd"), "op");
    CHECK(!strcmp(json_string_value(json_object_get(r, "shape")), "n2i300o200"), "shape");
    CHECK(!strcmp(json_string_value(json_object_get(r, "case")), key), "case");
    CHECK(json_number_value(json_object_get(r, "flops")) == 2.0 * 2 * 300 * 200, "flops");
    CHECK(json_number_value(json_object_get(r, "bytes")) == 4.0 * (2 * 500 + 60000), "bytes");
    CHECK(!json_object_get(r, "samples_ns") && !json_object_get(r, "ns_median"), "samples");
    json_decref(r);
    ab_case_close(&c);
    CHECK(!c, "closing leaves a pointer");
}

/* Where there are no addresses for a room, operands lie in pages of their own. */
TEST(little_address_space)
{
    struct rlimit before, less;
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    const bool known = f && fscanf(f, "%ld", &pages) == 1;
    if (f) fclose(f);
    /* Sanitizers take more than that by themselves. */
    if (!known || AB_TEST_SLOW || getrlimit(RLIMIT_AS, &before) != 0) return;
    less = before;
    less.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)256 << 20);
    CHECK(setrlimit(RLIMIT_AS, &less) == 0, "no limit");
    struct ab_case *c = opened("kernel dense_plain dense n1i200o200 fwd");
    const struct ab_side side = ab_case_side(c, AB_CACHE_HOT);
    const double ns = slice_of(&side, 1).ns;
    ab_case_close(&c);
    CHECK(setrlimit(RLIMIT_AS, &before) == 0 && ns > 0, "the limit stays");
}

/* By turns, so that what disturbs one disturbs the other. */
TEST(cold_is_slower)
{
    struct ab_case *c = opened("kernel dense_plain dense n1i512o512 fwd");
    double least[2] = {(double)INFINITY, (double)INFINITY};
    for (int i = 0; i < 16; i++) {
        const struct ab_side side = ab_case_side(c, i % 2 ? AB_CACHE_COLD : AB_CACHE_HOT);
        least[i % 2] = fmin(least[i % 2], slice_of(&side, 2).ns);
        json_t *r = ab_case_record(c, 0);
        CHECK(!strcmp(json_string_value(json_object_get(r, "cache")), i % 2 ? "cold" : "hot"),
              "cache");
        json_decref(r);
    }
    CHECK(least[1] > least[0], "hot %g ns, cold %g ns", least[0], least[1]);
    ab_case_close(&c);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

TEST(slow_on_purpose)
{
    enum { TURNS = 101 };
    struct ab_case *c = opened("kernel dense_plain dense n1i200o200 fwd");
    const struct ab_side side = ab_case_side(c, AB_CACHE_HOT);
    double ratios[TURNS];
    for (int i = 0; i < TURNS; i++) {
        ab_case_slow(c, 0);
        const double ns = slice_of(&side, 5).ns;
        ab_case_slow(c, 0.5);
        ratios[i] = slice_of(&side, 5).ns / ns;
    }
    qsort(ratios, TURNS, sizeof *ratios, by_size);
    const double ratio = ratios[TURNS / 2];
    CHECK(ratio > 1.4 && ratio < 1.65, "%.3f times slower instead of 1.5", ratio);
    CHECK(!strcmp(ab_case_name(c), "dense_plain"), "name '%s'", ab_case_name(c));
    ab_case_close(&c);
}

/* What a plan's steps take is within what the whole takes, unless another process came in between,
 * whose time is a step's but not the whole's. */
static void check_parts(const struct ab_case *c, const struct ab_side *side)
{
    double sum = (double)INFINITY, whole = 0;
    for (int turn = 0; turn < 100 && !(sum < whole * 1.01 + 1000); turn++) {
        const struct ab_slice s = slice_of(side, 1);
        CHECK(s.n_parts == ab_case_rows(c) - 1, "%d parts", s.n_parts);
        sum = 0;
        whole = s.ns;
        for (int i = 0; i < s.n_parts; i++) {
            CHECK(isfinite(s.parts[i]) && s.parts[i] > 0, "part %d: %g ns", i, s.parts[i]);
            sum += s.parts[i];
        }
    }
    CHECK(sum < whole * 1.01 + 1000, "parts %g ns, whole %g ns", sum, whole);
    CHECK(sum > whole * 0.2, "parts %g ns, whole %g ns", sum, whole);
}

TEST(method_case)
{
    struct ab_case *c = opened("method digits lrp-epsilon:eps=1e-06 native 1 16");
    const struct ab_side side = ab_case_side(c, AB_CACHE_HOT);
    char key[AB_CASE_KEY], other[AB_CASE_KEY];
    CHECK(ab_case_rows(c) > 1, "no step takes long enough");
    check_parts(c, &side);
    const struct ab_slice two = slice_of(&side, 2);
    CHECK(two.n_parts == ab_case_rows(c) - 1 && two.parts, "%d parts of two calls", two.n_parts);
    for (int i = 0; i < ab_case_rows(c); i++) {
        ab_case_key(c, i, key);
        CHECK(!strncmp(key, i ? "step digits" : "method digits", i ? 11 : 13), "key '%s'", key);
        CHECK(!strstr(key, "avx") && !strstr(key, "plain"), "key '%s' names a kernel", key);
        for (int j = 0; j < i; j++) {
            ab_case_key(c, j, other);
            CHECK(strcmp(key, other) != 0, "rows %d and %d are both '%s'", i, j, key);
        }
        json_t *r = ab_case_record(c, i);
        CHECK(!strcmp(json_string_value(json_object_get(r, "kind")), i ? "step" : "method"),
              "kind of row %d", i);
        CHECK(json_integer_value(json_object_get(r, "batch")) == 16, "batch of row %d", i);
        json_decref(r);
    }
    CHECK(!strcmp(ab_case_name(c), "lrp-epsilon"), "name '%s'", ab_case_name(c));
    ab_case_close(&c);
}

TEST(sampled_method_case)
{
    struct ab_case *c = opened("method digits smoothgrad:n=2 native 1 1");
    const struct ab_side side = ab_case_side(c, AB_CACHE_HOT);
    CHECK(ab_case_rows(c) == 1 && slice_of(&side, 1).n_parts == 0, "parts");
    ab_case_close(&c);
}

/* Every case that is measured can be judged, and is right. */
static void check_right(struct ab_case *c)
{
    struct ab_agreement a;
    struct ab_error err;
    CHECK(ab_case_judge(c, 1, &a, &err) == AB_OK, "%s", err.text);
    CHECK(a.verdict == AB_AGREE && a.err_over_bound <= 1, "%s: %s", ab_verdict_name(a.verdict),
          a.why);
    CHECK(a.rel_l2 >= 0 && a.rel_l2 < 1e-4, "rel_l2 %g", a.rel_l2);
    ab_case_wrong(c, 0.1);
    CHECK(ab_case_judge(c, 1, &a, &err) == AB_OK && a.verdict == AB_DISAGREE, "a tenth too large");
    ab_case_wrong(c, 0);
}

static bool has_kernel(const struct ab_cases *cases, const char *name)
{
    char start[128];
    const int length = snprintf(start, sizeof start, "kernel %s ", name);
    for (int i = 0; i < cases->count; i++)
        if (!strncmp(cases->texts[i], start, (size_t)length)) return true;
    return false;
}

TEST(usual_cases)
{
    struct ab_cases cases;
    struct ab_error err;
    int count, methods = 0;
    const struct ab_kernel *k = ab_kernels(&count);
    context("the usual cases");
    CHECK(ab_cases_usual(NULL, &cases, &err) == AB_OK, "%s", err.text);
    for (int i = 0; i < count; i++) {
        if (!(ab_cpu_isas() >> k[i].isa & 1)) continue;
        const bool wanted = !k[i].baseline && k[i].isa > AB_ISA_plain;
        CHECK(has_kernel(&cases, k[i].name) == wanted, "%s: %s", k[i].name,
              wanted ? "is not measured" : "a baseline is measured");
    }
    for (int i = 0; i < cases.count; i++) {
        struct ab_case *c = opened(cases.texts[i]);
        const struct ab_side side = ab_case_side(c, AB_CACHE_HOT);
        slice_of(&side, 1);
        if (!AB_TEST_SLOW) check_right(c);
        methods += !strncmp(cases.texts[i], "method ", 7);
        ab_case_close(&c);
    }
    CHECK(methods >= 8, "%d methods", methods);
    ab_cases_free(&cases);
    CHECK(cases.count == 0 && !cases.texts, "freeing leaves texts");
}

TEST(usual_cases_of_a_pattern)
{
    struct ab_cases cases;
    struct ab_error err;
    context("a pattern that nothing fits");
    CHECK(ab_cases_usual("nothing*", &cases, &err) == AB_ERR_ARG && strstr(err.text, "nothing*"),
          "%s", err.text);
    CHECK(cases.count == 0, "%d cases", cases.count);
    if (!(ab_cpu_isas() >> AB_ISA_avx2 & 1)) return;
    context("maxpool_*");
    CHECK(ab_cases_usual("maxpool_*", &cases, &err) == AB_OK, "%s", err.text);
    for (int i = 0; i < cases.count; i++)
        CHECK(!strncmp(cases.texts[i], "kernel maxpool_", 15), "'%s'", cases.texts[i]);
    ab_cases_free(&cases);
}

static const struct test_case cases[] = {CASE(refusals),
                                         CASE(kernel_case),
                                         CASE(little_address_space),
                                         CASE(cold_is_slower),
                                         CASE(slow_on_purpose),
                                         CASE(method_case),
                                         CASE(sampled_method_case),
                                         CASE(usual_cases),
                                         CASE(usual_cases_of_a_pattern)};
TEST_MAIN("cases of comparisons", cases)
