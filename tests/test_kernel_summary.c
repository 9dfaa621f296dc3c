// SPDX-License-Identifier: Apache-2.0
// The summary of a run of kernels: means, sums over the network, worst rows; its text and JSON.
#include "../bench/kernel_summary.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double none = (double)NAN;

/* A direct kernel of 1 GFLOP that takes `ours` ms where oneDNN takes `theirs`, and `direct` without
 * Winograd. */
static struct ab_kernel_row row(const char *layer, enum ab_pass pass, int times, double ours,
                                double theirs, double direct)
{
    struct ab_kernel_row r = {.times = times,
                              .batch = 1,
                              .pass = pass,
                              .flops = 1e9,
                              .ours_ns = 1e6 * ours,
                              .theirs_ns = 1e6 * theirs,
                              .direct_ns = 1e6 * direct,
                              .ratio = theirs / ours,
                              .direct_ratio = direct / ours,
                              .rel_l2 = 1e-7};
    snprintf(r.layer, sizeof r.layer, "%s", layer);
    snprintf(r.shape, sizeof r.shape, "s");
    snprintf(r.kernel, sizeof r.kernel, "kernel");
    return r;
}

static void check_near(const char *what, double got, double want)
{
    CHECK(fabs(got - want) <= 1e-12 * fabs(want), "%s is %.15g, should be %.15g", what, got, want);
}

TEST(means_and_sums)
{
    const struct ab_kernel_row rows[] = {row("a", AB_FWD, 3, 10, 20, 40),
                                         row("a", AB_BWD, 3, 10, 9, 10),
                                         row("b", AB_FWD, 1, 20, 10, 10)};
    struct ab_kernel_summary s;
    ab_kernel_summarise(rows, 3, 1, &s);
    check_near("forward", s.side[AB_SIDE_FWD].geomean, 1);
    check_near("backward", s.side[AB_SIDE_BWD].geomean, 0.9);
    check_near("both", s.side[AB_SIDE_BOTH].geomean, cbrt(0.9));
    check_near("direct", s.side[AB_SIDE_FWD].direct_geomean, sqrt(2));
    check_near("network, ours", s.side[AB_SIDE_FWD].ours_ns, 50e6);
    check_near("network, theirs", s.side[AB_SIDE_FWD].theirs_ns, 70e6);
    check_near("network, direct", s.side[AB_SIDE_BOTH].direct_ns, 160e6);
    CHECK(s.side[AB_SIDE_FWD].rows == 2 && s.side[AB_SIDE_BOTH].rows == 3, "rows");
    CHECK(s.lost == 2 && s.worst == 2, "%d lost, worst %d", s.lost, s.worst);
    CHECK(s.lowest == 2 && s.lowest_large == 2, "lowest %d, %d", s.lowest, s.lowest_large);
}

/* A ratio of exactly the limit is not lost; Winograd says nothing about the peak. */
TEST(limits)
{
    struct ab_kernel_row rows[] = {row("at the limit", AB_FWD, 1, 100, 95, 95),
                                   row("winograd", AB_FWD, 1, 900, 1800, 1800),
                                   row("small", AB_FWD, 1, 100, 200, 200)};
    rows[1].amplification = 8;
    rows[2].flops = AB_KERNEL_MIN_FLOPS;
    struct ab_kernel_summary s;
    ab_kernel_summarise(rows, 3, 1, &s);
    CHECK(s.lost == 0 && s.worst == 0, "%d lost, worst %d", s.lost, s.worst);
    CHECK(s.lowest == 2 && s.lowest_large == 0, "lowest %d, %d", s.lowest, s.lowest_large);
}

TEST(rows_without_onednn_or_of_another_batch)
{
    struct ab_kernel_row rows[] = {row("a", AB_FWD, 1, 10, none, none),
                                   row("b", AB_FWD, 1, 10, 1, 1)};
    rows[1].batch = 4;
    struct ab_kernel_summary s;
    ab_kernel_summarise(rows, 2, 1, &s);
    CHECK(s.side[AB_SIDE_BOTH].rows == 0 && isnan(s.side[AB_SIDE_BOTH].geomean), "no rows");
    CHECK(s.lost == 0 && s.worst == -1 && s.lowest == 0, "%d %d %d", s.lost, s.worst, s.lowest);
    ab_kernel_summarise(rows, 2, 4, &s);
    CHECK(s.side[AB_SIDE_FWD].rows == 1 && s.worst == 1, "batch 4");
    ab_kernel_summarise(rows, 0, 1, &s);
    CHECK(s.worst == -1 && s.lowest == -1 && s.lowest_large == -1, "nothing at all");
}

TEST(json_names_the_lost_rows)
{
    const struct ab_kernel_row rows[] = {row("a", AB_FWD, 2, 10, 9, 9),
                                         row("b", AB_BWD, 1, 10, none, none)};
    json_t *o = ab_kernel_summary_json(rows, 2, 1, 200);
    json_t *lost = json_object_get(o, "rows_below"), *first = json_array_get(lost, 0);
    CHECK(json_array_size(lost) == 1, "%zu rows", json_array_size(lost));
    CHECK(!strcmp(json_string_value(json_object_get(first, "layer")), "a"), "its name");
    CHECK(json_is_null(json_object_get(json_object_get(o, "backward"), "ratio_geomean")),
          "no mean");
    json_decref(o);
}

/* The text and the table, for the numbers a reader looks up first. */
TEST(prints)
{
    const struct ab_kernel_row rows[] = {row("a", AB_FWD, 2, 10, 9, 9),
                                         row("b", AB_BWD, 1, 10, none, none)};
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    CHECK(f, "no memory stream");
    ab_kernel_summary_print(f, false, rows, 2, 1, 200);
    ab_kernel_rows_print(f, rows, 2, 1, 200);
    fclose(f);
    CHECK(strstr(text, "below 0.95x: 1 of 1 rows: a forward 0.90x"), "%s", text);
    CHECK(strstr(text, "direct kernel: 50 %, a forward, kernel;"), "%s", text);
    CHECK(strstr(text, "| a | s | 2 | fwd | 1.000 | 9.000 | 10.000 | **0.90** | 0.90 | 50 % |"),
          "%s", text);
    CHECK(strstr(text, "| b | s | 1 | bwd | 1.000 |  | 10.000 |  |  | 50 % |"), "%s", text);
    CHECK(!strstr(text, "nan"), "%s", text);
    free(text);
}

static const struct test_case cases[] = {CASE(means_and_sums), CASE(limits),
                                         CASE(rows_without_onednn_or_of_another_batch),
                                         CASE(json_names_the_lost_rows), CASE(prints)};
TEST_MAIN("kernel_summary", cases)
