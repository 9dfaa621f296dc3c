// SPDX-License-Identifier: Apache-2.0
// Races: warm-up, shared calls, turns, sides that fail, interruptions; slices of this process.
#include "../bench/run.h"
#include "../bench/slices.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- sides with scripted times ---- */

/* The last slices that were asked for. */
struct turn {
    char side;
    int calls;
};
enum { LOG = 64 };
static struct turn turns[LOG];
static int n_turns;

/* The i-th from the end, 1 for the last. */
static struct turn turn_from_end(int i)
{
    return turns[(n_turns - i) % LOG];
}

/* The time of slice i is ns + extra * fade^i; from `fails_at` on it fails. */
struct script {
    char letter;
    double ns, extra, fade;
    int fails_at, slices, interrupts_at, sleeps_us, n_parts, most_calls;
    double parts[8];
};

static enum ab_status play(void *user, int calls, struct ab_slice *slice, struct ab_error *err)
{
    struct script *s = user;
    const int i = s->slices++;
    if (s->fails_at && s->slices >= s->fails_at)
        return ab_fail(err, AB_ERR_INTERNAL, "%c broke", s->letter);
    if (s->interrupts_at && s->slices == s->interrupts_at) ab_interrupted = 1;
    if (s->sleeps_us) usleep((useconds_t)s->sleeps_us);
    turns[n_turns++ % LOG] = (struct turn){s->letter, calls};
    if (calls > s->most_calls) s->most_calls = calls;
    slice->ns = s->ns + s->extra;
    slice->disturbed = i % 4 == 3;
    s->extra *= s->fade;
    for (int p = 0; p < s->n_parts; p++) s->parts[p] = 10 * i + p;
    slice->parts = s->n_parts ? s->parts : NULL;
    slice->n_parts = s->n_parts;
    return AB_OK;
}

enum { SIDES = 3 };
struct outcome {
    struct ab_series series[SIDES];
    int calls;
    double seconds;
};

static void race(struct script *scripts, int count, const struct ab_race_options *o,
                 struct outcome *r)
{
    struct ab_side sides[SIDES];
    struct ab_error err;
    *r = (struct outcome){0};
    n_turns = 0;
    for (int i = 0; i < count; i++) {
        scripts[i].letter = (char)('A' + i);
        sides[i] = (struct ab_side){"side", play, &scripts[i]};
    }
    const double start = ab_now_ns();
    CHECK(ab_race(sides, count, o, r->series, &r->calls, &err) == AB_OK, "race: %s", err.text);
    r->seconds = (ab_now_ns() - start) / 1e9;
    ab_interrupted = 0;
}

static void free_outcome(struct outcome *r)
{
    for (int i = 0; i < SIDES; i++) ab_series_free(&r->series[i]);
}

static struct ab_race_options few_rounds(int rounds)
{
    return (struct ab_race_options){
        .seconds = 1e-9, .min_rounds = rounds, .max_rounds = rounds, .warm_seconds = 0.2};
}

TEST(all_sides_get_the_fastest_ones_calls)
{
    struct script s[] = {{.ns = 10e3}, {.ns = 1000}, {.ns = 4e6}};
    const struct ab_race_options o = few_rounds(6);
    struct outcome r;
    race(s, 3, &o, &r);
    CHECK(r.calls == 50, "%d calls, not 50 us of the fastest side's", r.calls);
    for (int i = 0; i < 3; i++) {
        CHECK(r.series[i].rounds == 6, "side %d: %d rounds", i, r.series[i].rounds);
        CHECK(r.series[i].status == AB_OK && r.series[i].steady, "side %d", i);
        CHECK(r.series[i].ns[5] == s[i].ns, "side %d: %g ns", i, r.series[i].ns[5]);
    }
    char order[19] = "";
    for (int i = 0; i < 18; i++) {
        CHECK(turn_from_end(18 - i).calls == 50, "calls of turn %d", i);
        order[i] = turn_from_end(18 - i).side;
    }
    CHECK(!strcmp(order, "ABCCBAABCCBAABCCBA"), "order %s", order);
    free_outcome(&r);
}

TEST(options_bound_slices)
{
    struct script s[] = {{.ns = 1000}};
    struct ab_race_options o = few_rounds(3);
    struct outcome r;
    o.slice_ns = 20e3;
    race(s, 1, &o, &r);
    CHECK(r.calls == 20, "%d calls of 1 us in 20 us", r.calls);
    free_outcome(&r);
    o.max_calls = 1;
    s[0].most_calls = 0;
    race(s, 1, &o, &r);
    CHECK(r.calls == 1 && s[0].most_calls == 1, "%d calls where one is allowed", r.calls);
    free_outcome(&r);
}

TEST(a_call_that_no_clock_sees_gets_many_calls)
{
    struct script s[] = {{.ns = 0}};
    const struct ab_race_options o = few_rounds(3);
    struct outcome r;
    race(s, 1, &o, &r);
    CHECK(r.calls == 1000000 && r.series[0].rounds == 3, "%d calls", r.calls);
    free_outcome(&r);
}

TEST(warm_up_lasts_until_times_no_longer_fall)
{
    struct script s[] = {{.ns = 100e3, .extra = 100e3, .fade = 0.97, .sleeps_us = 16}};
    const struct ab_race_options o = {.seconds = 1e-9, .min_rounds = 20, .warm_seconds = 2};
    struct outcome r;
    race(s, 1, &o, &r);
    CHECK(r.series[0].steady, "not steady");
    CHECK(r.series[0].ns[0] < 102e3, "the first sample is of %g us", r.series[0].ns[0] / 1e3);
    free_outcome(&r);
}

TEST(warm_up_ends_in_time)
{
    struct script s[] = {{.ns = 0, .extra = 1e9, .fade = 0.99, .sleeps_us = 100}};
    const struct ab_race_options o = {
        .seconds = 1e-9, .min_rounds = 3, .max_rounds = 3, .warm_seconds = 0.1};
    struct outcome r;
    race(s, 1, &o, &r);
    CHECK(!r.series[0].steady, "called steady while it falls");
    CHECK(r.series[0].rounds == 3, "%d rounds", r.series[0].rounds);
    CHECK(r.seconds > 0.09 && r.seconds < 10, "%g s", r.seconds);
    free_outcome(&r);
}

TEST(seconds_are_kept)
{
    struct script s[] = {{.ns = 1e6, .sleeps_us = 1000}, {.ns = 2e6, .sleeps_us = 1000}};
    struct ab_race_options o = {.seconds = 0.3, .min_rounds = 3, .warm_seconds = 0.01};
    struct outcome r;
    race(s, 2, &o, &r);
    CHECK(r.series[0].rounds > 3 && r.series[0].rounds <= 150, "%d rounds of 2 ms in 0.3 s",
          r.series[0].rounds);
    CHECK(r.series[0].rounds == r.series[1].rounds, "unequal");
    free_outcome(&r);
    o.seconds = 0.001;
    race(s, 2, &o, &r);
    CHECK(r.series[0].rounds == 3, "%d rounds, 3 are the least", r.series[0].rounds);
    free_outcome(&r);
    o.max_rounds = 2;
    race(s, 2, &o, &r);
    CHECK(r.series[0].rounds == 2, "%d rounds, 2 are the most", r.series[0].rounds);
    free_outcome(&r);
}

TEST(long_calls_that_ran_before_are_not_wasted)
{
    struct script s[] = {{.ns = 3e6, .sleeps_us = 3000}, {.ns = 2e6, .sleeps_us = 2000}};
    struct ab_race_options o = {
        .seconds = 0.001, .min_rounds = 2, .warm_seconds = 0.001, .started = true};
    struct outcome r;
    race(s, 2, &o, &r);
    CHECK(r.series[0].rounds == 2 && s[0].slices == 2 && s[1].slices == 2, "%d rounds of %d slices",
          r.series[0].rounds, s[0].slices);
    CHECK(turn_from_end(2).side == 'B' && turn_from_end(1).side == 'A',
          "the second round is not back");
    free_outcome(&r);
    o.started = false;
    s[0].slices = 0;
    race(s, 2, &o, &r);
    CHECK(r.series[0].rounds == 2 && s[0].slices == 3, "a first call was taken for a sample");
    free_outcome(&r);
}

TEST(slow_rounds_may_be_few)
{
    struct script s[] = {{.ns = 1.1e9, .sleeps_us = 1100000}};
    const struct ab_race_options o = {
        .seconds = 0.01, .min_rounds = 5, .slow_rounds = 2, .warm_seconds = 0.01, .started = true};
    struct outcome r;
    race(s, 1, &o, &r);
    CHECK(r.series[0].rounds == 2, "%d rounds of over a second", r.series[0].rounds);
    free_outcome(&r);
    s[0] = (struct script){.ns = 1e6, .sleeps_us = 20000};
    race(s, 1, &o, &r);
    CHECK(r.series[0].rounds == 5, "%d rounds of 20 ms", r.series[0].rounds);
    free_outcome(&r);
}

TEST(a_side_that_fails_leaves)
{
    struct script s[] = {{.ns = 60e3}, {.ns = 60e3, .fails_at = 1}, {.ns = 60e3, .fails_at = 4}};
    /* One slice of warm-up. */
    const struct ab_race_options o = {
        .seconds = 1e-9, .min_rounds = 5, .max_rounds = 5, .warm_seconds = 1e-9};
    struct outcome r;
    race(s, 3, &o, &r);
    CHECK(r.series[1].status == AB_ERR_INTERNAL && !strcmp(r.series[1].err.text, "B broke"), "%s",
          r.series[1].err.text);
    CHECK(r.series[2].status == AB_ERR_INTERNAL && !strcmp(r.series[2].err.text, "C broke"), "%s",
          r.series[2].err.text);
    CHECK(r.series[0].rounds == 5 && !r.series[1].rounds && r.series[2].rounds == 2,
          "%d, %d, %d rounds", r.series[0].rounds, r.series[1].rounds, r.series[2].rounds);
    CHECK(s[1].slices == 1 && s[2].slices == 4, "they were asked again");
    free_outcome(&r);
    s[0] = (struct script){.fails_at = 1};
    race(s, 1, &o, &r);
    CHECK(!r.series[0].rounds && !r.calls, "a race of nobody");
    free_outcome(&r);
    race(s, 0, &o, &r);
}

TEST(times_that_are_none_are_refused)
{
    const double nonsense[] = {NAN, INFINITY, -1};
    for (int i = 0; i < 3; i++) {
        struct script s[] = {{.ns = nonsense[i]}, {.ns = 60e3}};
        const struct ab_race_options o = few_rounds(2);
        struct outcome r;
        race(s, 2, &o, &r);
        CHECK(r.series[0].status == AB_ERR_INTERNAL && r.series[1].rounds == 2, "%g", nonsense[i]);
        free_outcome(&r);
    }
}

static enum ab_status other_parts(void *user, int calls, struct ab_slice *slice,
                                  struct ab_error *err)
{
    struct script *s = user;
    s->n_parts = s->slices < 1 ? 1 : 8;
    return play(user, calls, slice, err);
}

TEST(parts_are_kept)
{
    struct script s[] = {{.ns = 60e3, .n_parts = 3}, {.ns = 60e3}};
    const struct ab_race_options o = few_rounds(300);
    struct outcome r;
    race(s, 2, &o, &r);
    CHECK(r.series[0].n_parts == 3 && !r.series[1].parts, "%d parts", r.series[0].n_parts);
    const int first = s[0].slices - 300;
    for (int i = 0; i < 300; i++)
        for (int p = 0; p < 3; p++)
            CHECK(r.series[0].parts[3 * i + p] == 10 * (first + i) + p, "part %d of round %d", p,
                  i);
    int disturbed = 0;
    for (int i = 0; i < 300; i++) disturbed += (first + i) % 4 == 3;
    CHECK(ab_series_disturbed(&r.series[0]) == disturbed, "disturbed slices");
    free_outcome(&r);
    struct script odd = {.letter = 'X', .ns = 60e3};
    struct ab_side side = {"odd", other_parts, &odd};
    struct ab_series series = {0};
    struct ab_error err;
    int calls;
    CHECK(ab_race(&side, 1, &o, &series, &calls, &err) == AB_OK, "race");
    CHECK(series.status == AB_ERR_INTERNAL && strstr(series.err.text, "8 parts"), "%s",
          series.err.text);
    ab_series_free(&series);
}

TEST(an_interruption_leaves_whole_rounds)
{
    struct script s[] = {{.ns = 1e6, .sleeps_us = 1000}, {.ns = 1e6, .sleeps_us = 1000}};
    struct ab_race_options o = {
        .seconds = 60, .min_rounds = 2, .warm_seconds = 0.001, .started = true};
    struct outcome r;
    s[0].interrupts_at = 7; /* first in its turn, so that the other has none in this round */
    race(s, 2, &o, &r);
    CHECK(r.series[0].rounds == r.series[1].rounds && r.series[0].rounds == 6, "%d and %d rounds",
          r.series[0].rounds, r.series[1].rounds);
    free_outcome(&r);
    s[0] = (struct script){.ns = 1e6, .interrupts_at = 1};
    s[1] = (struct script){.ns = 1e6};
    o.started = false;
    race(s, 2, &o, &r);
    CHECK(!r.series[0].rounds && !r.series[1].rounds, "rounds of an interrupted warm-up");
    free_outcome(&r);
}

/* ---- slices of this process ---- */

struct work {
    int calls, before, sleep_us, fails_at;
};

static enum ab_status work(void *user, struct ab_error *err)
{
    struct work *w = user;
    if (++w->calls == w->fails_at) return ab_fail(err, AB_ERR_UNSUPPORTED, "no more");
    if (w->sleep_us) usleep((useconds_t)w->sleep_us);
    static volatile double x;
    for (int i = 0; i < 20000; i++) x = x + 1;
    return AB_OK;
}

static void before(void *user)
{
    ((struct work *)user)->before++;
}

TEST(local_slices_count_calls)
{
    struct work w = {0};
    struct ab_local l = {.run = work, .user = &w};
    struct ab_slice slice;
    struct ab_error err;
    CHECK(ab_local_slice(&l, 5, &slice, &err) == AB_OK, "slice");
    CHECK(w.calls == 6, "%d calls, not one untimed and five", w.calls);
    CHECK(slice.ns > 1000 && slice.ns == l.least_ns && !slice.parts, "%g ns", slice.ns);
    l.before = before;
    CHECK(ab_local_slice(&l, 5, &slice, &err) == AB_OK, "slice");
    CHECK(w.calls == 11 && w.before == 1, "%d calls, %d preparations", w.calls, w.before);
    l.before = NULL;
    l.least_ns = 6e6;
    CHECK(ab_local_slice(&l, 1, &slice, &err) == AB_OK && w.calls == 12,
          "a long call was repeated untimed");
    w.fails_at = 14;
    CHECK(ab_local_slice(&l, 3, &slice, &err) == AB_ERR_UNSUPPORTED, "an error was lost");
    CHECK(w.calls == 14 && !strcmp(err.text, "no more"), "%d calls", w.calls);
}

/* Of slices that give up the core: a hypervisor may take it too, for milliseconds, and not tell. */
static struct ab_slice least_of_slices(struct ab_local *l, int calls)
{
    struct ab_slice slice, least = {.ns = INFINITY};
    for (int i = 0; i < 5; i++) {
        CHECK(ab_local_slice(l, calls, &slice, NULL) == AB_OK, "slice");
        CHECK(slice.disturbed, "giving up the core went unseen");
        if (slice.ns < least.ns) least = slice;
    }
    return least;
}

TEST(local_slices_see_disturbances)
{
    struct work asleep = {.sleep_us = 2000}, awake = {0};
    struct ab_local l = {.run = work, .user = &asleep};
    const double start = ab_now_ns();
    struct ab_slice slice = least_of_slices(&l, 1);
    CHECK(ab_now_ns() - start > 4e6 && slice.ns < 2e6, "a sleep of 2 ms counts: %g ns", slice.ns);
    l.threads = 2;
    l.least_ns = 6e6;
    CHECK(ab_local_slice(&l, 1, &slice, NULL) == AB_OK, "slice");
    CHECK(slice.ns >= 2e6, "on two threads, %g ns of the clock", slice.ns);
    /* Even on a busy machine some slices of 20 us are left alone. */
    l = (struct ab_local){.run = work, .user = &awake};
    int quiet = 0;
    for (int i = 0; i < 500; i++) {
        CHECK(ab_local_slice(&l, 1, &slice, NULL) == AB_OK, "slice");
        quiet += !slice.disturbed;
    }
    CHECK(quiet > 50, "%d of 500 slices undisturbed", quiet);
}

/* What a kernel deducts too much looks like a call that was far too fast. */
TEST(slices_that_lost_time_are_not_the_fastest)
{
    struct work asleep = {.sleep_us = 2000};
    struct ab_local l = {.run = work, .user = &asleep, .whole_ns = 1e6};
    struct ab_slice slice = least_of_slices(&l, 2);
    CHECK(slice.ns >= 1e6 && slice.ns < 2e6, "%g ns of at least 1e6", slice.ns);
    CHECK(l.whole_ns == 1e6, "%g ns of a slice that lost time", l.whole_ns);
    /* The clock is the bound above all. */
    l.whole_ns = 1e9;
    slice = least_of_slices(&l, 1);
    CHECK(slice.ns < 1e8, "%g ns, more than passed", slice.ns);
}

/* The least time of reading what should lie in the caches, or should not. */
static double read_ns(const float *data, size_t bytes, bool evict)
{
    double best = INFINITY;
    float sum = 0;
    for (int i = 0; i < 5; i++) {
        if (evict) CHECK(ab_cache_evict(0, 1), "out of memory");
        const double start = ab_now_ns();
        for (size_t k = 0; k < bytes / sizeof *data; k += 16) sum += data[k];
        best = fmin(best, ab_now_ns() - start);
    }
    CHECK(sum == 0, "not zeros");
    return best;
}

TEST(eviction_evicts)
{
    const size_t bytes = 128 << 10;
    float *data = ab_buffer_alloc(bytes);
    CHECK(data, "out of memory");
    memset(data, 0, bytes);
    CHECK(ab_cache_evict(1 << 20, 2), "two threads");
    const double hot = read_ns(data, bytes, false), cold = read_ns(data, bytes, true);
    printf("128 KiB hot %.1f us, cold %.1f us\n", hot / 1e3, cold / 1e3);
    CHECK(cold > 1.1 * hot, "hot %g ns, cold %g ns", hot, cold);
    struct ab_lines lines;
    CHECK(ab_cache_lines(0, &lines), "out of memory");
    printf("a line of 64 KiB hot %.1f ns, cold %.1f ns\n", lines.hot_ns, lines.cold_ns);
    CHECK(lines.hot_ns > 0 && lines.cold_ns > 1.5 * lines.hot_ns && lines.cold_ns < 1e5,
          "a line takes %g ns hot, %g ns cold", lines.hot_ns, lines.cold_ns);
    CHECK(!strcmp(ab_cache_name(AB_CACHE_HOT), "hot"), "name");
    CHECK(!strcmp(ab_cache_name(AB_CACHE_COLD), "cold"), "name");
    ab_buffer_free(data);
}

static const struct test_case cases[] = {
    CASE(all_sides_get_the_fastest_ones_calls),
    CASE(options_bound_slices),
    CASE(a_call_that_no_clock_sees_gets_many_calls),
    CASE(warm_up_lasts_until_times_no_longer_fall),
    CASE(warm_up_ends_in_time),
    CASE(seconds_are_kept),
    CASE(long_calls_that_ran_before_are_not_wasted),
    CASE(slow_rounds_may_be_few),
    CASE(a_side_that_fails_leaves),
    CASE(times_that_are_none_are_refused),
    CASE(parts_are_kept),
    CASE(an_interruption_leaves_whole_rounds),
    CASE(local_slices_count_calls),
    CASE(local_slices_see_disturbances),
    CASE(slices_that_lost_time_are_not_the_fastest),
    CASE(eviction_evicts),
};
TEST_MAIN("slices", cases)
