// SPDX-License-Identifier: Apache-2.0
// The floor that differences make: of normal ones their deviation, more where some are far out,
// none of what was not measured.
#include "../bench/db.h"
#include "../bench/noise.h"
#include "files.h"
#include "support.h"

#include "base/base.h"

#include <math.h>
#include <string.h>

static struct ab_noise noise;

static const struct ab_noise_class *only(void)
{
    CHECK(noise.count == 1, "%d classes", noise.count);
    return &noise.classes[0];
}

static void add_normal(int count, double deviation)
{
    for (int i = 0; i < count; i++)
        CHECK(ab_noise_add(&noise, "kernel", AB_NOISE_TURNS,
                           exp(deviation * ab_normal(7, (uint64_t)i))),
              "out of memory");
}

TEST(of_normal_differences_it_is_their_deviation)
{
    add_normal(2000, 0.004);
    double floor = ab_noise_floor(only(), AB_NOISE_TURNS);
    CHECK(floor > 0.0037 && floor < 0.0046, "%g", floor);
    CHECK(ab_noise_worst(only(), AB_NOISE_TURNS) > 0.01, "the worst of 2000");
    CHECK(isnan(ab_noise_floor(only(), AB_NOISE_APART)), "the other way was not measured");
    CHECK(isnan(ab_noise_worst(only(), AB_NOISE_APART)), "nor its worst");
    ab_noise_free(&noise);
}

TEST(few_that_met_a_neighbour_do_not_move_it)
{
    add_normal(200, 0.004);
    for (int i = 0; i < 10; i++) ab_noise_add(&noise, "kernel", AB_NOISE_TURNS, 1.5);
    double floor = ab_noise_floor(only(), AB_NOISE_TURNS);
    CHECK(floor < 0.006, "%g", floor);
    CHECK(fabs(ab_noise_worst(only(), AB_NOISE_TURNS) - 0.5) < 1e-9, "the worst is told");
    ab_noise_free(&noise);
}

TEST(processes_of_two_kinds_are_seen)
{
    add_normal(80, 0.001);
    /* One pair in five has a slow process in it: the median alone would not notice. */
    for (int i = 0; i < 20; i++)
        ab_noise_add(&noise, "kernel", AB_NOISE_TURNS, i % 2 ? 1.03 : 1 / 1.03);
    double floor = ab_noise_floor(only(), AB_NOISE_TURNS);
    CHECK(floor > 0.015 && floor < 0.03, "%g", floor);
    ab_noise_free(&noise);
}

TEST(faster_and_slower_are_the_same)
{
    for (int i = 0; i < 9; i++)
        ab_noise_add(&noise, "kernel", AB_NOISE_TURNS, i % 2 ? 1.02 : 1 / 1.02);
    const struct ab_noise_class *c = only();
    for (int i = 0; i < c->count[AB_NOISE_TURNS]; i++)
        CHECK(fabs(c->logs[AB_NOISE_TURNS][i] - log(1.02)) < 1e-12, "pair %d", i);
    ab_noise_free(&noise);
}

TEST(what_is_no_ratio_is_left_out_and_few_say_nothing)
{
    static const double none[] = {(double)NAN, 0, -1, (double)INFINITY};
    for (int i = 0; i < 4; i++) ab_noise_add(&noise, "kernel", AB_NOISE_TURNS, none[i]);
    CHECK(!noise.count, "a class of nothing");
    ab_noise_add(&noise, "kernel", AB_NOISE_TURNS, 1.01);
    ab_noise_add(&noise, "kernel", AB_NOISE_TURNS, 1.01);
    CHECK(isnan(ab_noise_floor(only(), AB_NOISE_TURNS)), "two pairs");
    ab_noise_add(&noise, "kernel", AB_NOISE_TURNS, 1.01);
    CHECK(ab_noise_floor(only(), AB_NOISE_TURNS) > 0.01, "three pairs");
    ab_noise_free(&noise);
}

TEST(classes_are_kept_apart)
{
    char longest[AB_NOISE_CLASS + 20];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (int i = 0; i < 3; i++) {
        ab_noise_add(&noise, "kernel", AB_NOISE_APART, 1.5);
        ab_noise_add(&noise, "conv2d", AB_NOISE_APART, 1.1);
        ab_noise_add(&noise, longest, AB_NOISE_APART, 1.2);
    }
    CHECK(noise.count == 3 && !strcmp(noise.classes[1].name, "conv2d"), "in the order they came");
    CHECK(ab_noise_worst(&noise.classes[1], AB_NOISE_APART) < 0.11, "their own differences");
    CHECK(strlen(noise.classes[2].name) == AB_NOISE_CLASS - 1, "long names are cut");
    ab_noise_free(&noise);
}

TEST(of_floors_that_are_kept_the_one_that_fits_best_is_taken)
{
    struct ab_db *db = NULL;
    struct ab_error err;
    CHECK(ab_db_open(temp_path("floors.db"), AB_DB_WRITE, &db, &err) == AB_OK, "%s", err.text);
    CHECK(isnan(ab_db_floor_of(db, "f", "conv2d_fwd", "kernel", true)), "nothing is known");
    CHECK(ab_db_put_floor(db, "f", "kernel", 0.01, &err) == AB_OK, "%s", err.text);
    CHECK(ab_db_floor_of(db, "f", "conv2d_fwd", "kernel", false) == 0.01, "its kind's");
    CHECK(ab_db_floor_of(db, "f", "conv2d_fwd", "kernel", true) == 0.01, "better than none");
    CHECK(ab_db_put_floor(db, "f", "conv2d_fwd", 0.02, &err) == AB_OK, "%s", err.text);
    CHECK(ab_db_put_floor(db, "f", "kernel apart", 0.03, &err) == AB_OK, "%s", err.text);
    CHECK(ab_db_floor_of(db, "f", "conv2d_fwd", "kernel", false) == 0.02, "its operation's");
    CHECK(ab_db_floor_of(db, "f", "conv2d_fwd", "kernel", true) == 0.03, "its kind's, apart");
    CHECK(ab_db_put_floor(db, "f", "conv2d_fwd apart", 0.04, &err) == AB_OK, "%s", err.text);
    CHECK(ab_db_floor_of(db, "f", "conv2d_fwd", "kernel", true) == 0.04, "its operation's, apart");
    CHECK(isnan(ab_db_floor_of(db, "g", "conv2d_fwd", "kernel", true)), "another machine's");
    ab_db_close(&db);
}

static const struct test_case cases[] = {
    CASE(of_normal_differences_it_is_their_deviation),
    CASE(few_that_met_a_neighbour_do_not_move_it),
    CASE(processes_of_two_kinds_are_seen),
    CASE(faster_and_slower_are_the_same),
    CASE(what_is_no_ratio_is_left_out_and_few_say_nothing),
    CASE(classes_are_kept_apart),
    CASE(of_floors_that_are_kept_the_one_that_fits_best_is_taken),
};
TEST_MAIN("doctor_noise", cases)
