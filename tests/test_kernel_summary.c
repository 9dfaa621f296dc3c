// SPDX-License-Identifier: Apache-2.0
// The summary of a run of kernels: means, sums over the network, worst rows; its text and JSON.
#include "../bench/kernel_summary.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double none = (double)NAN;

/* 1 GFLOP; the picked kernel takes `ours` ms where oneDNN takes `theirs`, the direct one twice as
 * long where oneDNN takes `direct`. */
static struct ab_kernel_row row(const char *layer, enum ab_pass pass, int times, double ours,
                                double theirs, double direct)
{
    struct ab_kernel_row r = {
        .times = times,
        .batch = 1,
        .pass = pass,
        .flops = 1e9,
        .rel_l2 = 1e-7,
        .duel = {{"pick", "peer", 1e6 * ours, 1e6 * theirs, theirs / ours},
                 {"pick", "plain", 1e6 * ours, 1e6 * direct, direct / ours},
                 {"direct", "plain", 2e6 * ours, 1e6 * direct, direct / (2 * ours)}}};
    snprintf(r.layer, sizeof r.layer, "%s", layer);
    snprintf(r.shape, sizeof r.shape, "s");
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
    const struct ab_kernel_side *pick = s.side[AB_DUEL_PICK], *direct = s.side[AB_DUEL_DIRECT];
    check_near("forward", pick[AB_SIDE_FWD].geomean, 1);
    check_near("backward", pick[AB_SIDE_BWD].geomean, 0.9);
    check_near("both", pick[AB_SIDE_BOTH].geomean, cbrt(0.9));
    check_near("direct", direct[AB_SIDE_FWD].geomean, sqrt(0.5));
    check_near("network, ours", pick[AB_SIDE_FWD].ours_ns, 50e6);
    check_near("network, theirs", pick[AB_SIDE_FWD].theirs_ns, 70e6);
    check_near("network, direct, ours", direct[AB_SIDE_BOTH].ours_ns, 160e6);
    check_near("network, direct, theirs", direct[AB_SIDE_BOTH].theirs_ns, 160e6);
    CHECK(pick[AB_SIDE_FWD].rows == 2 && pick[AB_SIDE_BOTH].rows == 3, "rows");
    CHECK(s.lost[AB_DUEL_PICK] == 2 && s.worst[AB_DUEL_PICK] == 2, "%d lost, worst %d",
          s.lost[AB_DUEL_PICK], s.worst[AB_DUEL_PICK]);
    CHECK(s.lost[AB_DUEL_DIRECT] == 2 && s.worst[AB_DUEL_DIRECT] == 2, "direct: %d lost, worst %d",
          s.lost[AB_DUEL_DIRECT], s.worst[AB_DUEL_DIRECT]);
    CHECK(s.lowest == 2 && s.lowest_large == 2, "lowest %d, %d", s.lowest, s.lowest_large);
}

/* A ratio of exactly the limit is not lost; a layer of exactly the size is not large. */
TEST(limits)
{
    struct ab_kernel_row rows[] = {row("at the limit", AB_FWD, 1, 100, 95, 190),
                                   row("small", AB_FWD, 1, 100, 200, 200)};
    rows[1].flops = AB_KERNEL_MIN_FLOPS;
    struct ab_kernel_summary s;
    ab_kernel_summarise(rows, 2, 1, &s);
    CHECK(s.lost[AB_DUEL_PICK] == 0 && s.worst[AB_DUEL_PICK] == 0, "%d lost, worst %d",
          s.lost[AB_DUEL_PICK], s.worst[AB_DUEL_PICK]);
    CHECK(s.lowest == 1 && s.lowest_large == 0, "lowest %d, %d", s.lowest, s.lowest_large);
}

TEST(rows_without_numbers_or_of_another_batch)
{
    struct ab_kernel_row rows[] = {row("a", AB_FWD, 1, 10, none, none),
                                   row("b", AB_FWD, 1, 10, 1, 1)};
    rows[0].duel[AB_DUEL_DIRECT].ours_ns = none;
    rows[1].batch = 4;
    struct ab_kernel_summary s;
    ab_kernel_summarise(rows, 2, 1, &s);
    const struct ab_kernel_side *both = &s.side[AB_DUEL_PICK][AB_SIDE_BOTH];
    CHECK(both->rows == 0 && isnan(both->geomean), "%d rows", both->rows);
    CHECK(s.lost[0] == 0 && s.worst[0] == -1 && s.lowest == -1, "%d %d %d", s.lost[0], s.worst[0],
          s.lowest);
    ab_kernel_summarise(rows, 2, 4, &s);
    CHECK(both->rows == 1 && s.worst[0] == 1 && s.lowest == 1, "batch 4");
    ab_kernel_summarise(rows, 0, 1, &s);
    CHECK(s.worst[0] == -1 && s.lowest == -1 && s.lowest_large == -1, "nothing at all");
}

TEST(json_names_the_lost_rows)
{
    const struct ab_kernel_row rows[] = {row("a", AB_FWD, 2, 10, 9, 30),
                                         row("b", AB_BWD, 1, 10, none, none)};
    json_t *o = ab_kernel_summary_json(rows, 2, 1, 200), *pick = json_object_get(o, "picked");
    json_t *lost = json_object_get(pick, "rows_below"), *first = json_array_get(lost, 0);
    CHECK(json_array_size(lost) == 1, "%zu rows", json_array_size(lost));
    CHECK(!strcmp(json_string_value(json_object_get(first, "layer")), "a"), "its name");
    json_t *back = json_object_get(pick, "backward"), *direct = json_object_get(o, "direct");
    CHECK(json_is_null(json_object_get(back, "ratio_geomean")), "a mean of nothing");
    CHECK(json_array_size(json_object_get(direct, "rows_below")) == 0, "direct");
    json_decref(o);
}

/* The text and the table, for the numbers a reader looks up first. */
TEST(prints)
{
    struct ab_kernel_row rows[] = {row("a", AB_FWD, 2, 10, 9, 30), row("b", AB_BWD, 1, 10, 20, 20)};
    rows[1].duel[AB_DUEL_DIRECT] = rows[1].duel[AB_DUEL_PICK];
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    CHECK(f, "no memory stream");
    ab_kernel_summary_print(f, false, rows, 2, 1, 200);
    ab_kernel_rows_print(f, rows, 2, 1, 200);
    fclose(f);
    CHECK(strstr(text, "picked below 0.95x: 1 of 2 rows: a forward 0.900x; worst: a forward, pick"),
          "%s", text);
    CHECK(strstr(text, "direct kernel: 25 %, a forward, direct;"), "%s", text);
    CHECK(strstr(text, "| a | s | 2 | fwd | 1.000 | 9.000 | 10.000 | **0.900** | 50 % | pick | "
                       "1e-07 | peer | 30.000 | 20.000 | 1.50 | 25 % |"),
          "%s", text);
    CHECK(strstr(text, "| b | s | 1 | bwd | 1.000 | 20.000 | 10.000 | 2.00 | 50 % | pick | 1e-07 | "
                       "peer |  |  |  |  |"),
          "%s", text);
    free(text);
}

static const struct test_case cases[] = {CASE(means_and_sums), CASE(limits),
                                         CASE(rows_without_numbers_or_of_another_batch),
                                         CASE(json_names_the_lost_rows), CASE(prints)};
TEST_MAIN("kernel_summary", cases)
