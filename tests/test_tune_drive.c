// SPDX-License-Identifier: Apache-2.0
// What drives the search: visits by processes that serve nobody, budgets that are too small, and
// the arrivals of visits.
#include "bench/tune_drive.h"
#include "bench/visit_inside.h"
#include "files.h"

#include <math.h>

/* One point; or, `wide`, one that is batches of two too. */
static struct ab_words narrowing;
static bool wide;
static enum ab_objective objective = AB_OBJECTIVE_LATENCY;

static void narrow(void)
{
    static const char *const words[] = {"engine=native:plain", "algo=direct", "memory=fast",
                                        "threads=1",           "instances=1", "batch=1",
                                        "place=free",          "pages=small", "denormals=keep"};
    ab_words_free(&narrowing);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *word = wide && !strcmp(words[i], "batch=1") ? "batch=1,2" : words[i];
        CHECK(ab_words_add(&narrowing, word, strlen(word)), "out of memory");
    }
}

/* The search has the address of the space: it stays where it is. */
static struct ab_tune t;

static void open_tune(const char *load, double budget_s, const char *program)
{
    t = (struct ab_tune){.model = "digits",
                         .spec = "gradient",
                         .narrowing = &narrowing,
                         .require = {.objective = objective},
                         .budget_s = budget_s,
                         .seed = 5,
                         .quiet = true,
                         .program = program};
    struct ab_error err;
    narrow();
    CHECK(ab_load_shape_parse(load, &t.load, &err) == AB_OK, "%s", err.text);
    CHECK(ab_tune_open(&t, &err) == AB_OK, "%s", err.text);
    CHECK(t.space.n_points == 1 + wide, "%d points", t.space.n_points);
    CHECK(t.opened_s > 0 && t.opened_s <= ab_tune_spent(&t), "opened in %g s", t.opened_s);
}

static const char *script(const char *name, const char *body)
{
    const char *path = temp_path(name);
    char text[8192];
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", body);
    write_file(name, text, strlen(text));
    CHECK(chmod(path, 0755) == 0, "%s cannot be made a program", path);
    return path;
}

/* A process that ends without having served anybody, as where the time is up. */
static const char *serves_nobody(void)
{
    static char body[4096];
    struct ab_visit v = {.requests = 0};
    json_t *json = ab_visit_json(&v);
    char *text = json_dumps(json, JSON_COMPACT);
    snprintf(body, sizeof body, "cat >/dev/null; echo; sleep 0.2; echo '%s'", text);
    free(text);
    json_decref(json);
    return script("nobody", body);
}

static void visited_once(void)
{
    const double latency = 1e6;
    const struct ab_told told = {.images_per_s = 1000,
                                 .latency_ns = &latency,
                                 .requests = 1,
                                 .wall_s = 1,
                                 .verdict = AB_AGREE};
    CHECK(ab_search_tell(t.search, 0, &told), "out of memory");
}

/* Whoever is cut off may well be served with more time. */
TEST(a_visit_that_is_cut_off_says_nothing_of_the_point)
{
    open_tune("closed", 60, serves_nobody());
    struct ab_answer answer;
    struct ab_error err = {""};
    CHECK(ab_tune_search(&t, &answer, &err) == AB_ERR_ARG, "%s", err.text);
    CHECK(strstr(err.text, "--budget 60 s is too little for a single visit: opening the model ") &&
              strstr(err.text, "had served nobody after ") &&
              strstr(err.text, "; give 60 s or more"),
          "%s", err.text);
    const struct ab_evidence *e = ab_search_evidence(t.search, 0);
    CHECK(!e->visits && !*e->error && e->dropped == AB_DROP_NONE, "it failed: %s", e->error);
    /* Nor does it end a search that has something to say. */
    visited_once();
    CHECK(ab_tune_search(&t, &answer, &err) == AB_OK, "%s", err.text);
    CHECK(e->visits == 1 && answer.recommended == 0 && !answer.complete, "%d visits", e->visits);
    ab_answer_free(&answer);
    ab_tune_close(&t);
}

TEST(a_budget_that_opening_uses_up)
{
    open_tune("closed", 1e-3, serves_nobody());
    struct ab_answer answer;
    struct ab_error err = {""};
    CHECK(ab_tune_search(&t, &answer, &err) == AB_ERR_ARG, "%s", err.text);
    CHECK(strstr(err.text, "--budget 0.001 s") && !strstr(err.text, "served nobody"), "%s",
          err.text);
    ab_tune_close(&t);
}

/* What the host takes from these. */
static double stolen;

/* A process that serves two, with maps that have that verdict; keeps the options that it got. */
static const char *serves_two(enum ab_verdict verdict, bool unequal)
{
    static char body[4096];
    double latency[2] = {1e6, 2e6};
    struct ab_visit v = {.latency_ns = latency,
                         .requests = 2,
                         .images_per_s = 100,
                         .seconds = 0.02,
                         .stolen = stolen,
                         .map_hash = 7,
                         .unequal = unequal,
                         .judged = !unequal,
                         .agreement = {.verdict = verdict, .rel_l2 = 0.5, .why = "so it is"},
                         .judge_s = 0.25};
    json_t *json = ab_visit_json(&v);
    char *text = json_dumps(json, JSON_COMPACT);
    snprintf(body, sizeof body, "cat >>%s; echo '%s'", temp_path("options"), text);
    free(text);
    json_decref(json);
    return script("two", body);
}

/* How many maps a visit was told to be known. */
static int known_to(int visit)
{
    char line[4096] = "";
    FILE *f = fopen(temp_path("options"), "r");
    for (int i = 0; f && i <= visit; i++) CHECK(fgets(line, sizeof line, f), "no visit %d", i);
    CHECK(f, "no visit");
    fclose(f);
    json_t *json = json_loads(line, 0, NULL);
    const json_t *known = json_object_get(json_object_get(json, "judging"), "known");
    CHECK(json_is_array(known), "visit %d is not asked to judge: %s", visit, line);
    const int count = (int)json_array_size(known);
    if (count) {
        const char *hash = json_string_value(json_array_get(known, 0));
        CHECK(hash && !strcmp(hash, "0000000000000007"), "hash %s", hash);
    }
    json_decref(json);
    return count;
}

/* Maps that were judged are known to the visits that follow; what could not be judged is tried
 * again; instances that differ are not judged at all. */
TEST(what_maps_are_worth_is_remembered)
{
    static const struct {
        enum ab_verdict verdict, told;
        bool unequal;
        int known;
    } all[] = {{AB_AGREE, AB_AGREE, false, 1},
               {AB_DISAGREE, AB_DISAGREE, false, 1},
               {AB_SKIPPED, AB_SKIPPED, false, 0},
               {AB_SKIPPED, AB_MISTRUSTED, true, 0}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        context("%s", ab_verdict_name(all[i].told));
        unlink(temp_path("options"));
        open_tune("closed", 60, serves_two(all[i].verdict, all[i].unequal));
        struct ab_answer answer;
        struct ab_error err = {""};
        CHECK(ab_tune_search(&t, &answer, &err) == AB_OK, "%s", err.text);
        const struct ab_evidence *e = ab_search_evidence(t.search, 0);
        CHECK(e->verdict == all[i].told, "%s: %s", ab_verdict_name(e->verdict), e->why);
        CHECK(all[i].unequal || !strcmp(e->why, all[i].verdict == AB_AGREE ? "" : "so it is"), "%s",
              e->why);
        CHECK(e->spent_s >= 0.25 * e->visits, "judging took no time");
        CHECK(known_to(0) == 0, "known before the first");
        CHECK(t.judging.n_known == all[i].known, "%d are known", t.judging.n_known);
        for (int n = 1; n < e->visits; n++)
            CHECK(known_to(n) == all[i].known, "visit %d knows %d", n, known_to(n));
        CHECK(all[i].verdict != AB_AGREE || e->visits > 1, "one visit: the test says little");
        ab_answer_free(&answer);
        ab_tune_close(&t);
    }
}

/* A process that serves turns at a rate, the pacemaker that serves for a second in all at 50 a
 * second and then at 40. */
static const char *serves_turns(void)
{
    static char body[4096];
    double latency[4] = {1e6, 2e6, 3e6, 4e6};
    struct ab_visit v = {.latency_ns = latency,
                         .requests = 4,
                         .images_per_s = 100,
                         .seconds = 0.5,
                         .map_hash = 7,
                         .judged = true,
                         .agreement = {.verdict = AB_AGREE}};
    json_t *json = ab_visit_json(&v);
    char *text = json_dumps(json, JSON_COMPACT);
    snprintf(body, sizeof body,
             "read -r o; echo \"$o\" >>%s; n=0; r=100\n"
             "case $o in *judging*) ;; *) r=50;; esac\n"
             "while read turn; do echo '{\"turn\": {\"requests\": 4, \"seconds\": 0.5, "
             "\"images_per_s\": '$r'}}'; case $r in 50) r=40; esac; done; echo '%s'",
             temp_path("options"), text);
    free(text);
    json_decref(json);
    return script("turns", body);
}

/* The options that a process got. */
static json_t *options_of(int process)
{
    char line[4096] = "";
    FILE *f = fopen(temp_path("options"), "r");
    for (int i = 0; f && i <= process; i++) CHECK(fgets(line, sizeof line, f), "none %d", i);
    CHECK(f, "no process");
    fclose(f);
    return json_loads(line, 0, NULL);
}

/* Where there is a choice, by times, and clients wait for no others. */
TEST(visits_are_by_turns_with_a_pacemaker)
{
    static const struct {
        bool wide, turns;
        enum ab_objective objective;
        const char *load;
    } all[] = {{true, true, AB_OBJECTIVE_THROUGHPUT, "closed"},
               {true, true, AB_OBJECTIVE_LATENCY, "closed:1"},
               {true, false, AB_OBJECTIVE_MEMORY, "closed"},
               {false, false, AB_OBJECTIVE_THROUGHPUT, "closed"},
               {true, false, AB_OBJECTIVE_LATENCY, "poisson:20"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        context("case %zu", i);
        unlink(temp_path("options"));
        wide = all[i].wide;
        objective = all[i].objective;
        open_tune(all[i].load, 60, serves_turns());
        wide = false;
        objective = AB_OBJECTIVE_LATENCY;
        struct ab_answer answer;
        struct ab_error err = {""};
        CHECK(ab_tune_search(&t, &answer, &err) == AB_OK, "%s", err.text);
        /* One of the first two is the pacemaker, whose maps are not judged: the simplest. */
        int pacemakers = 0;
        for (int process = 0; process < 2; process++) {
            json_t *o = options_of(process);
            const double turn_s = json_number_value(json_object_get(o, "turn_s"));
            const json_t *batch = json_object_get(json_object_get(o, "deploy"), "batch");
            CHECK((turn_s > 0) == all[i].turns, "turns of %g s", turn_s);
            if (!json_object_get(o, "judging")) {
                pacemakers++;
                CHECK(json_integer_value(batch) == 1, "not the simplest");
            }
            json_decref(o);
        }
        CHECK(pacemakers == all[i].turns, "%d pacemakers", pacemakers);
        double least, most;
        ab_search_pace(t.search, &least, &most);
        /* 100/s at 2, then at 2.5 times the pacemaker's. */
        CHECK(isnan(least) == !all[i].turns, "a pace of %g", least);
        CHECK(isnan(least) || (least == 0.8 && most == 1), "a pace of %g to %g", least, most);
        CHECK(!t.pacemaker, "it goes on");
        ab_answer_free(&answer);
        ab_tune_close(&t);
    }
}

/* Visits of a point meet arrivals of their own, visits of several points the same by turns. */
TEST(arrivals_differ_between_visits)
{
    open_tune("poisson:300", 60, NULL);
    uint64_t seeds[4];
    for (int i = 0; i < 4; i++) {
        seeds[i] = ab_tune_visit_options(&t, 0).seed;
        for (int j = 0; j < i; j++) CHECK(seeds[i] != seeds[j], "visits %d and %d", j, i);
        CHECK(seeds[i] == ab_tune_visit_options(&t, 0).seed, "another at each look");
        visited_once();
    }
    ab_tune_close(&t);
    open_tune("poisson:300", 60, NULL);
    CHECK(ab_tune_visit_options(&t, 0).seed == seeds[0], "another search, other arrivals");
    t.seed = 6;
    CHECK(ab_tune_visit_options(&t, 0).seed != seeds[0], "--seed does not matter");
    ab_tune_close(&t);
}

TEST(visits_that_the_host_robbed_are_dropped)
{
    struct ab_robbery r = {0};
    CHECK(!ab_robbery_note(&r, (double)NAN, 1, 100), "dropped, and nothing is known");
    CHECK(!ab_robbery_note(&r, 0.04, 1, 100), "4 %% is too much");
    /* Two in a row, then one that counts whatever was stolen. */
    static const bool drop[] = {true, true, false, true, true, false};
    for (size_t i = 0; i < sizeof drop / sizeof *drop; i++)
        CHECK(ab_robbery_note(&r, 0.2, 4, 100) == drop[i], "visit %zu", i);
    CHECK(r.dropped == 4 && r.lost_s == 16, "%d dropped, %g s", r.dropped, r.lost_s);
    /* A quarter of the budget at most. */
    CHECK(!ab_robbery_note(&r, 0.2, 10, 100), "more than a quarter was lost");
    CHECK(ab_robbery_note(&r, 0.2, 9, 100), "a quarter is not lost yet");
}

TEST(dropped_visits_are_not_told)
{
    stolen = 0.2;
    open_tune("closed", 60, serves_two(AB_AGREE, false));
    stolen = 0;
    struct ab_answer answer;
    struct ab_error err = {""};
    CHECK(ab_tune_search(&t, &answer, &err) == AB_OK, "%s", err.text);
    const int visits = ab_search_evidence(t.search, 0)->visits;
    CHECK(visits > 0 && t.robbery.dropped == 2 * visits, "%d dropped, %d told of",
          t.robbery.dropped, visits);
    CHECK(fabs(ab_search_stolen(t.search) - 0.2) < 1e-9, "%g", ab_search_stolen(t.search));
    ab_answer_free(&answer);
    ab_tune_close(&t);
}

static const struct test_case cases[] = {CASE(visits_are_by_turns_with_a_pacemaker),
                                         CASE(dropped_visits_are_not_told),
                                         CASE(visits_that_the_host_robbed_are_dropped),
                                         CASE(a_visit_that_is_cut_off_says_nothing_of_the_point),
                                         CASE(a_budget_that_opening_uses_up),
                                         CASE(what_maps_are_worth_is_remembered),
                                         CASE(arrivals_differ_between_visits)};
TEST_MAIN("tune_drive", cases)
