// SPDX-License-Identifier: Apache-2.0
// What attrbench tune makes of evidence: the recommendation, the front, what knobs bought, and the
// exit code.
#include "../bench/tune_out.h"
#include "tune_scene.h"

#if AB_WITH_ONEDNN

TEST(the_best_that_meets_the_limit)
{
    struct scene *s = open_scene(&usual);
    const struct ab_answer *a = &s->answer;
    CHECK(is_point(s, a->recommended, "native:avx2", "auto", "1x2", 1), "recommended %d",
          a->recommended);
    CHECK(a->best == a->recommended && a->closest < 0, "best %d, closest %d", a->best, a->closest);
    CHECK(ab_tune_exit(&s->result) == AB_EXIT_OK, "exit %d", ab_tune_exit(&s->result));
    s->result.interrupted = true;
    CHECK(ab_tune_exit(&s->result) == AB_EXIT_INTERRUPTED, "exit %d", ab_tune_exit(&s->result));
    close_scene(s);
}

TEST(the_simplest_of_those_alike)
{
    struct plot plot = usual;
    plot.require.slo.limit_ns = 0;
    struct scene *s = open_scene(&plot);
    const struct ab_answer *a = &s->answer;
    CHECK(is_point(s, a->best, "native:avx2", "auto", "1x2", 4), "best %d", a->best);
    CHECK(is_point(s, a->recommended, "native:avx2", "auto", "1x2", 1), "recommended %d",
          a->recommended);
    CHECK(a->alike[a->best] && a->alike[a->recommended], "not alike");
    const struct shown slow = {.engine = "native:avx2", .algo = "auto", .shape = "2x1", .batch = 1};
    CHECK(!a->alike[point_of(&s->space, &slow)], "13 %% less is not alike");
    close_scene(s);
}

/* By turns chance is allowed for: what is taken is as good, what is within noise is told. */
TEST(by_turns_noise_is_told_and_not_given_away)
{
    struct plot plot = usual;
    plot.require.slo.limit_ns = 0;
    plot.pace = 10;
    struct scene *s = open_scene(&plot);
    const struct ab_answer *a = &s->answer;
    const double best = ab_search_worth(s->search, a->best).value;
    int simpler = 0;
    for (int i = 0; i < s->space.n_points; i++) {
        if (s->space.points[i].simplicity >= s->space.points[a->recommended].simplicity) continue;
        const double behind = log(best / ab_search_worth(s->search, i).value);
        CHECK(!(behind <= 0.01), "%s is as good, and simpler", s->space.points[i].text);
        CHECK(a->alike[i] || !(behind <= 0.02), "%s is within noise", s->space.points[i].text);
        simpler += a->alike[i];
    }
    CHECK(simpler > 0, "nothing simpler is within noise");
    close_scene(s);
}

TEST(latency_and_memory_are_objectives)
{
    struct plot plot = usual;
    plot.require.slo.limit_ns = 0;
    plot.require.objective = AB_OBJECTIVE_LATENCY;
    struct scene *s = open_scene(&plot);
    CHECK(is_point(s, s->answer.recommended, "native:avx2", "auto", "2x1", 1), "latency: %d",
          s->answer.recommended);
    close_scene(s);
    plot.require.objective = AB_OBJECTIVE_MEMORY;
    s = open_scene(&plot);
    /* 228 and 230 MB are alike; one thread is simpler than two. */
    CHECK(is_point(s, s->answer.recommended, "native:avx2", "auto", "1x1", 1), "memory: %d",
          s->answer.recommended);
    CHECK(s->answer.alike[s->answer.recommended], "not alike itself");
    close_scene(s);
}

TEST(the_front_trades_something)
{
    struct scene *s = open_scene(&usual);
    for (size_t i = 0; i < sizeof world / sizeof *world; i++) {
        const struct shown *w = &world[i];
        const bool want = !strcmp(w->algo, "auto") && !strcmp(w->engine, "native:avx2") &&
                          w->batch == 1 && strcmp(w->shape, "1x1") != 0;
        CHECK(s->answer.front[point_of(&s->space, w)] == want, "%s %s %s batch=%d", w->engine,
              w->algo, w->shape, w->batch);
    }
    close_scene(s);
}

/* A scene of points that were visited once. */
static struct scene *scene_of(const struct shown *rows, int count)
{
    struct plot plot = usual;
    plot.visits = 0;
    struct scene *s = open_scene(&plot);
    struct ab_error err = {""};
    for (int i = 0; i < count; i++) tell(s, &plot, &rows[i], 0);
    ab_answer_free(&s->answer);
    CHECK(!ab_answer_make(&s->space, s->search, &s->require, &s->answer, &err), "%s", err.text);
    return s;
}

/* Each is 3.4 % better than the next in one thing, and 1.7 % worse, which is noise, in the rest. */
TEST(a_ring_has_a_front)
{
    const struct shown rows[] = {{"native:avx2", "auto", "1x2", 1, {10}, 70, 400},
                                 {"native:avx2", "auto", "2x1", 1, {9.83}, 67.7, 406.8},
                                 {"native:avx2", "auto", "1x1", 1, {10.17}, 68.8, 413.7}};
    struct scene *s = scene_of(rows, 3);
    int front = 0;
    for (int i = 0; i < s->space.n_points; i++) front += s->answer.front[i];
    CHECK(front == 1 && s->answer.front[point_of(&s->space, &rows[2])], "%d", front);
    close_scene(s);
}

static const struct ab_knob_gain *gain_of(const struct scene *s, enum ab_knob knob)
{
    for (int i = 0; i < s->answer.n_gains; i++)
        if (s->answer.gains[i].knob == knob) return &s->answer.gains[i];
    CHECK(false, "knob %s has no gain", ab_knob_name(knob));
    return NULL;
}

TEST(knobs_buy_what_they_did)
{
    struct scene *s = open_scene(&usual);
    const struct {
        enum ab_knob knob;
        const char *other;
        double gain;
    } wants[] = {{AB_KNOB_ENGINE, "onednn", 24.3 / 19.5},
                 {AB_KNOB_ALGO, "direct", 24.3 / 18.1},
                 {AB_KNOB_SHAPE, "2x1", 24.3 / 21.1},
                 {AB_KNOB_BATCH, "4", 24.3 / 24.5}};
    CHECK(s->answer.n_gains == 4, "%d gains", s->answer.n_gains);
    for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
        const struct ab_knob_gain *g = gain_of(s, wants[i].knob);
        CHECK(!strcmp(s->space.knobs[g->knob].text[g->other], wants[i].other), "%s against %s",
              ab_knob_name(g->knob), s->space.knobs[g->knob].text[g->other]);
        CHECK(fabs(g->gain / wants[i].gain - 1) < 0.02, "%s: %g", wants[i].other, g->gain);
        CHECK(g->low <= g->gain && g->gain <= g->high, "%s: %g to %g", wants[i].other, g->low,
              g->high);
    }
    close_scene(s);
}

/* Of one that has direct sums, oneDNN's counterpart has its only algorithm: the card says so. */
TEST(a_knob_that_needs_another)
{
    const struct shown rows[] = {{"native:avx2", "direct", "1x2", 1, {18.1}, 70, 400},
                                 {"onednn", "auto", "1x2", 1, {9.5}, 90, 650}};
    struct scene *s = scene_of(rows, 2);
    const struct ab_knob_gain *g = gain_of(s, AB_KNOB_ENGINE);
    CHECK(fabs(g->gain / (18.1 / 9.5) - 1) < 0.02, "%g", g->gain);
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    ab_tune_card(f, &s->result);
    fclose(f);
    CHECK(strstr(text, "native:avx2 rather than onednn with algo auto: 1.91x"), "%s", text);
    free(text);
    close_scene(s);
}

TEST(what_meets_nothing_has_a_closest)
{
    struct plot plot = usual;
    plot.require.slo.limit_ns = 20e6;
    struct scene *s = open_scene(&plot);
    CHECK(s->answer.recommended < 0 && s->answer.best < 0, "recommended");
    CHECK(is_point(s, s->answer.closest, "native:avx2", "auto", "2x1", 1), "closest %d",
          s->answer.closest);
    CHECK(ab_tune_exit(&s->result) == AB_EXIT_NOTHING, "exit %d", ab_tune_exit(&s->result));
    close_scene(s);
}

TEST(maps_that_are_wrong_are_no_answer)
{
    struct plot plot = usual;
    plot.verdict = AB_DISAGREE;
    plot.rel_l2 = 0.03;
    struct scene *s = open_scene(&plot);
    CHECK(s->answer.recommended < 0, "recommended");
    CHECK(ab_tune_exit(&s->result) == AB_EXIT_DISAGREE, "exit %d", ab_tune_exit(&s->result));
    close_scene(s);
    plot.verdict = AB_AGREE; /* within the verdict's limits, but not within --min-agree */
    s = open_scene(&plot);
    CHECK(s->answer.recommended < 0, "recommended");
    CHECK(ab_tune_exit(&s->result) == AB_EXIT_DISAGREE, "exit %d", ab_tune_exit(&s->result));
    close_scene(s);
}

TEST(too_few_requests_decide_nothing)
{
    struct plot plot = usual;
    plot.visits = 1;
    plot.requests = 40;
    struct scene *s = open_scene(&plot);
    CHECK(s->answer.recommended < 0 && s->answer.closest >= 0, "recommended");
    CHECK(ab_tune_exit(&s->result) == AB_EXIT_INCONCLUSIVE, "exit %d", ab_tune_exit(&s->result));
    close_scene(s);
}

TEST(nothing_was_served)
{
    struct plot plot = usual;
    plot.visits = 0;
    struct scene *s = open_scene(&plot);
    CHECK(s->answer.recommended < 0 && s->answer.closest < 0, "recommended");
    CHECK(ab_tune_exit(&s->result) == AB_EXIT_ERROR, "exit %d", ab_tune_exit(&s->result));
    close_scene(s);
}

/* What was best, or too slow, while the host took a tenth of the time need not be so at others. */
TEST(a_host_that_steals_leaves_it_open)
{
    static const double shares[] = {0.09, 0.11};
    for (int i = 0; i < 2; i++) {
        struct plot plot = usual;
        plot.stolen = shares[i];
        struct scene *s = open_scene(&plot);
        CHECK(s->answer.recommended >= 0, "nothing is recommended");
        CHECK(ab_tune_exit(&s->result) == (i ? AB_EXIT_INCONCLUSIVE : AB_EXIT_OK), "exit %d",
              ab_tune_exit(&s->result));
        /* One alone that keeps the limit keeps it in quiet too. */
        const int all = s->space.n_points;
        s->space.n_points = 1;
        CHECK(ab_tune_exit(&s->result) == AB_EXIT_OK, "exit %d", ab_tune_exit(&s->result));
        s->space.n_points = all;
        close_scene(s);
        plot.overloaded = true;
        s = open_scene(&plot);
        CHECK(ab_tune_exit(&s->result) == (i ? AB_EXIT_INCONCLUSIVE : AB_EXIT_NOTHING), "exit %d",
              ab_tune_exit(&s->result));
        close_scene(s);
        plot.overloaded = false;
        plot.verdict = AB_DISAGREE;
        s = open_scene(&plot);
        CHECK(ab_tune_exit(&s->result) == AB_EXIT_DISAGREE, "exit %d", ab_tune_exit(&s->result));
        close_scene(s);
    }
}

/* Something with right maps is too slow: in quiet it may not be. */
TEST(wrong_maps_are_all_there_is_meanwhile)
{
    static const double shares[] = {0.09, 0.11};
    for (int i = 0; i < 2; i++) {
        struct plot plot = usual;
        struct ab_error err = {""};
        plot.visits = 0;
        struct scene *s = open_scene(&plot);
        plot.stolen = shares[i];
        for (int visit = 0; visit < 3; visit++) {
            plot.verdict = AB_AGREE;
            tell(s, &plot, &world[1], visit); /* 330 ms where 100 are asked for */
            plot.verdict = AB_DISAGREE;
            tell(s, &plot, &world[2], visit);
        }
        ab_answer_free(&s->answer);
        CHECK(!ab_answer_make(&s->space, s->search, &s->require, &s->answer, &err), "%s", err.text);
        CHECK(s->answer.recommended < 0, "recommended");
        CHECK(ab_tune_exit(&s->result) == (i ? AB_EXIT_INCONCLUSIVE : AB_EXIT_DISAGREE), "exit %d",
              ab_tune_exit(&s->result));
        CHECK(ab_tune_provisional(&s->result) == i, "%d: provisional", i);
        close_scene(s);
    }
}

/* Requests that queue up are late for ever, however early the first ones were served. */
TEST(a_queue_that_grows_is_no_answer)
{
    struct plot plot = usual;
    plot.overloaded = true;
    struct scene *s = open_scene(&plot);
    CHECK(s->answer.recommended < 0, "recommended");
    CHECK(ab_tune_exit(&s->result) == AB_EXIT_NOTHING, "exit %d", ab_tune_exit(&s->result));
    close_scene(s);
}

/* ---- whatever was seen ---- */

/* Random visits to random points, some of which fail, some with wrong maps. */
static void tell_random(struct scene *s, struct rng *r)
{
    const int point = rng_between(r, 0, s->space.n_points - 1), count = rng_between(r, 1, REQUESTS);
    const double base = 1e6 * exp(3 + 2 * rng_uniform(r));
    double latency[REQUESTS];
    for (int i = 0; i < count; i++) latency[i] = base * (1 + rng_uniform(r));
    const struct ab_told told = {.images_per_s = 1e9 / base * (0.9 + 0.1 * rng_uniform(r)),
                                 .start_ns = base,
                                 .wall_s = 1,
                                 .latency_ns = latency,
                                 .requests = count,
                                 .resident_bytes = 1e6 * rng_between(r, 1, 40),
                                 .error = rng_between(r, 0, 15) ? NULL : "broken",
                                 .verdict = (enum ab_verdict)(rng_between(r, 0, 7) ? 0 : 1),
                                 .rel_l2 = pow(10, -3 - 4 * rng_uniform(r)),
                                 .why = ""};
    CHECK(ab_search_tell(s->search, point, &told), "out of memory");
}

static void check_answer(const struct scene *s)
{
    const struct ab_answer *a = &s->answer;
    bool any = false, offered = false, front = false;
    for (int i = 0; i < s->space.n_points; i++) {
        const struct ab_evidence *e = ab_search_evidence(s->search, i);
        const bool meets = ab_evidence_fits(e, &s->require) == AB_FIT_MEETS;
        const double low = ab_evidence_value(e, &s->require, a->noise).low;
        any = any || meets;
        offered = offered || (ab_evidence_served(e) && e->verdict != AB_DISAGREE);
        front = front || a->front[i];
        CHECK(!a->alike[i] || meets, "point %d is alike and fails", i);
        CHECK(!a->front[i] || ab_evidence_served(e), "point %d is on the front, never served", i);
        if (a->recommended < 0) continue;
        const double best =
            ab_evidence_value(ab_search_evidence(s->search, a->best), &s->require, a->noise).low;
        CHECK(!meets || low <= best, "point %d is better than the best", i);
        CHECK(!a->alike[i] ||
                  s->space.points[i].simplicity >= s->space.points[a->recommended].simplicity,
              "point %d is simpler and alike", i);
    }
    CHECK(any == (a->recommended >= 0) && any == (a->best >= 0), "any %d, %d", any, a->recommended);
    CHECK(!any || (a->alike[a->recommended] && a->alike[a->best] && a->closest < 0), "not alike");
    CHECK(offered == front, "a front %d of offers %d", front, offered);
}

TEST(random_evidence)
{
    enum { ROUNDS = 64 };
    struct rng r = rng_new(77);
    int recommended = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct plot plot = usual;
        plot.visits = 0;
        plot.require.objective = (enum ab_objective)(round % 3);
        plot.require.slo = (struct ab_slo){round & 4 ? 0.9 : 0.5, round & 8 ? 80e6 : 0};
        plot.require.min_agree = round & 16 ? 1e-5 : 0;
        struct scene *s = open_scene(&plot);
        struct ab_error err = {""};
        context("round %d", round);
        for (int i = rng_between(&r, 0, 60); i > 0; i--) tell_random(s, &r);
        ab_answer_free(&s->answer);
        CHECK(!ab_answer_make(&s->space, s->search, &s->require, &s->answer, &err), "%s", err.text);
        check_answer(s);
        const enum ab_exit code = ab_tune_exit(&s->result);
        CHECK((code == AB_EXIT_OK) == (s->answer.recommended >= 0), "exit %d", code);
        recommended += code == AB_EXIT_OK;
        close_scene(s);
    }
    CHECK(recommended > ROUNDS / 8 && recommended < ROUNDS, "%d recommendations", recommended);
}

static const struct test_case cases[] = {
    CASE(the_best_that_meets_the_limit),
    CASE(the_simplest_of_those_alike),
    CASE(by_turns_noise_is_told_and_not_given_away),
    CASE(latency_and_memory_are_objectives),
    CASE(the_front_trades_something),
    CASE(a_ring_has_a_front),
    CASE(knobs_buy_what_they_did),
    CASE(a_knob_that_needs_another),
    CASE(what_meets_nothing_has_a_closest),
    CASE(maps_that_are_wrong_are_no_answer),
    CASE(too_few_requests_decide_nothing),
    CASE(nothing_was_served),
    CASE(a_host_that_steals_leaves_it_open),
    CASE(wrong_maps_are_all_there_is_meanwhile),
    CASE(a_queue_that_grows_is_no_answer),
    CASE(random_evidence),
};
TEST_MAIN("tune_answer", cases)

#else
int main(void)
{
    return 0;
}
#endif
