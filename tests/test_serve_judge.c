// SPDX-License-Identifier: Apache-2.0
// Judging by the process that served: what a visit brings, what is known already, libraries that
// choose anew in each process, and what cannot be judged.
#include "bench/record.h"
#include "bench/serve.h"
#include "bench/visit_inside.h"
#include "bench/run.h"
#include "bench/stats.h"
#include "files.h"
#include "first_child.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>

static const struct ab_deploy usual = {
    .backend = "native", .place = AB_PLACE_FREE, .threads = 1, .instances = 1, .batch = 1};

/* Where there is one to be started. */
static const char *command(void)
{
    const char *program = getenv("AB_COMMAND");
    return program && access(program, X_OK) == 0 ? program : NULL;
}

static struct ab_visit_options asking(const struct ab_deploy *deploy,
                                      const struct ab_judging *judging)
{
    return (struct ab_visit_options){.program = command(),
                                     .model = "digits",
                                     .method = "gradient",
                                     .deploy = deploy,
                                     .seconds = 0.1,
                                     .least_requests = 1,
                                     .confidence = 0.99,
                                     .seed = 11,
                                     .judging = judging,
                                     .patience = 60};
}

static struct ab_visit visited(const struct ab_visit_options *o)
{
    struct ab_visit v;
    struct ab_error err;
    char deploy[AB_DEPLOY_TEXT];
    ab_deploy_text(o->deploy, deploy);
    context("%s", deploy);
    CHECK(ab_visit(o, &v, &err) == AB_OK, "%s", err.text);
    CHECK(v.requests > 0, "nobody was served");
    return v;
}

static void check_agrees(const struct ab_visit *v)
{
    CHECK(v->judged && v->agreement.verdict == AB_AGREE, "%s: %s",
          ab_verdict_name(v->agreement.verdict), v->agreement.why);
    CHECK(v->agreement.rel_l2 > 0 && v->agreement.rel_l2 < 1e-5 && v->agreement.cosine > 0.999,
          "rel. L2 %g", v->agreement.rel_l2);
    CHECK(v->judge_s > 0, "in %g s", v->judge_s);
}

TEST(a_visit_brings_what_its_maps_are_worth)
{
    if (!command()) return;
    uint64_t known[2] = {1, 2};
    struct ab_judging judging = {.threads = 1, .known = known, .n_known = 2};
    struct ab_visit_options o = asking(&usual, &judging);
    struct ab_visit v = visited(&o);
    check_agrees(&v);
    CHECK(v.wall_s * 1e9 > v.start_ns, "%g s", v.wall_s);
    /* Judged once: not again, nor unasked. */
    known[1] = v.map_hash;
    struct ab_visit again = visited(&o);
    CHECK(!again.judged && again.judge_s == 0 && again.map_hash == v.map_hash, "judged again");
    o.judging = NULL;
    struct ab_visit unasked = visited(&o);
    CHECK(!unasked.judged && unasked.judge_s == 0, "judged unasked");
    ab_visit_free(&v);
    ab_visit_free(&again);
    ab_visit_free(&unasked);
}

/* Each process times the alternatives anew. */
TEST(a_library_that_chooses_anew_in_each_process)
{
    const struct ab_deploy d = {
        .backend = "onednn", .place = AB_PLACE_FREE, .threads = 2, .instances = 2, .batch = 2};
    struct ab_error err;
    if (!command() || ab_backend_check("onednn", &err) != AB_OK) return;
    struct ab_judging judging = {.cache_dir = temp_directory, .threads = 2};
    temp_path("reference");
    const struct ab_visit_options o = asking(&d, &judging);
    for (int i = 0; i < (AB_TEST_SLOW ? 2 : 6); i++) {
        struct ab_visit v = visited(&o);
        check_agrees(&v);
        ab_visit_free(&v);
    }
    CHECK(temp_count() > 0, "the reference is not kept");
}

/* ---- in this process ---- */

/* Serves, and judges maps of which are said that they have a hash that differs by `flip`. */
static struct ab_visit judged(const struct ab_visit_options *o, uint64_t flip, bool unequal)
{
    struct ab_server s;
    struct ab_visit v;
    struct ab_error err;
    const struct ab_serve_hooks none = {NULL, NULL};
    CHECK(ab_server_run(&s, o, ab_now_ns(), &none, &v, &err) == AB_OK, "%s", err.text);
    v.map_hash ^= flip;
    v.unequal = unequal;
    ab_server_judge(&s, &v);
    ab_server_end(&s);
    return v;
}

/* Nothing is held against what it was not computed with. */
TEST(maps_that_are_not_made_again)
{
    struct ab_deploy d = usual;
    const struct ab_judging judging = {.threads = 1};
    const struct ab_visit_options o = asking(&d, &judging);
    for (d.batch = 1; d.batch <= 8; d.batch += 7) {
        context("batch %d", d.batch);
        struct ab_visit v = judged(&o, 0, false);
        check_agrees(&v);
        ab_visit_free(&v);
        v = judged(&o, 1, false);
        CHECK(v.judged && v.agreement.verdict == AB_SKIPPED, "%s",
              ab_verdict_name(v.agreement.verdict));
        CHECK(strstr(v.agreement.why, "made other maps"), "%s", v.agreement.why);
        ab_visit_free(&v);
    }
    struct ab_visit v = judged(&o, 0, true);
    CHECK(!v.judged && v.judge_s == 0, "instances that differ");
    ab_visit_free(&v);
}

TEST(what_fails_is_told)
{
    const struct ab_judging judging = {.threads = -1};
    const struct ab_visit_options o = asking(&usual, &judging);
    struct ab_visit v = judged(&o, 0, false);
    CHECK(v.judged && v.agreement.verdict == AB_SKIPPED, "%s",
          ab_verdict_name(v.agreement.verdict));
    CHECK(strstr(v.agreement.why, "no reference: "), "%s", v.agreement.why);
    ab_visit_free(&v);
}

/* ---- told to end ---- */

/* Three seconds after the process was started that this one started. */
static void *terminate(void *user)
{
    const int child = first_child();
    usleep(3000000);
    if (child) kill(child, SIGTERM);
    return user;
}

TEST(is_interrupted_while_it_judges)
{
    if (!command() || AB_TEST_SLOW) return;
    const struct ab_judging judging = {.threads = 1};
    struct ab_visit_options o = asking(&usual, &judging);
    o.method = "integrated-gradients:n=6000"; /* about half a second, and many to judge */
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, terminate, NULL) == 0, "no thread");
    struct ab_visit v;
    struct ab_error err = {""};
    const bool told = ab_visit(&o, &v, &err) == AB_OK;
    pthread_join(thread, NULL);
    /* A machine so busy that nobody was served yet has nothing to tell. */
    CHECK(told || strstr(err.text, "code 130"), "%s", err.text);
    if (!v.requests) return;
    CHECK(v.judged && v.agreement.verdict == AB_SKIPPED, "%s",
          ab_verdict_name(v.agreement.verdict));
    CHECK(strstr(v.agreement.why, "interrupted"), "%s", v.agreement.why);
    CHECK(v.judge_s > 0.5 && v.judge_s < 10, "after %g s", v.judge_s);
    ab_visit_free(&v);
}

/* ---- documents ---- */

TEST(agreements_there_and_back)
{
    struct ab_agreement back;
    const struct ab_agreement a = {.verdict = AB_DISAGREE,
                                   .why = "far",
                                   .rel_l2 = 1,
                                   .max_err = 2,
                                   .cosine = 3,
                                   .pearson = 4,
                                   .spearman = 5,
                                   .iou1 = 6,
                                   .iou5 = 7,
                                   .ssim = (double)NAN,
                                   .err_over_bound = 9,
                                   .flips = 10,
                                   .illegal_flips = 11};
    struct ab_visit v = {.judged = true, .agreement = a, .judge_s = 1.5}, got = {0};
    json_t *json = ab_visit_json(&v);
    const char *bad = ab_visit_read(json, &got);
    CHECK(!bad, "%s", bad);
    back = got.agreement;
    CHECK(got.judged && got.judge_s == 1.5 && back.verdict == AB_DISAGREE &&
              !strcmp(back.why, "far"),
          "verdict");
    CHECK(back.rel_l2 == 1 && back.max_err == 2 && back.cosine == 3 && back.pearson == 4 &&
              back.spearman == 5 && back.iou1 == 6 && back.iou5 == 7 && isnan(back.ssim) &&
              back.err_over_bound == 9 && back.flips == 10 && back.illegal_flips == 11,
          "numbers");
    ab_visit_free(&got);
    json_object_set_new(json_object_get(json, "agreement"), "verdict", json_string("perhaps"));
    bad = ab_visit_read(json, &got);
    CHECK(bad && !strcmp(bad, "agreement"), "taken");
    ab_visit_free(&got);
    json_object_del(json, "agreement");
    CHECK(!ab_visit_read(json, &got) && !got.judged, "judged");
    ab_visit_free(&got);
    json_decref(json);
}

TEST(options_there_and_back)
{
    uint64_t known[2] = {7, UINT64_MAX};
    const struct ab_judging judging = {
        .cache_dir = "some/where", .threads = 3, .known = known, .n_known = 2};
    struct ab_visit_options o = asking(&usual, &judging), back;
    struct ab_deploy d;
    struct ab_judging got;
    struct ab_error err;
    double born;
    json_t *json = ab_visit_options_json(&o, 1);
    CHECK(ab_visit_options_read(json, &back, &d, &got, &born, &err) == AB_OK, "%s", err.text);
    CHECK(back.judging == &got && !strcmp(got.cache_dir, "some/where") && got.threads == 3 &&
              got.n_known == 2 && got.known[0] == 7 && got.known[1] == UINT64_MAX,
          "judging");
    free(got.known);
    static const struct {
        const char *key, *value;
    } wrong[] = {{"threads", "0"},
                 {"threads", "null"},
                 {"known", "null"},
                 {"known", "[7]"},
                 {"known", "[\"0000000000000007\", \"x\"]"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json_t *copy = json_deep_copy(json);
        context("%s %s", wrong[i].key, wrong[i].value);
        json_object_set_new(json_object_get(copy, "judging"), wrong[i].key,
                            json_loads(wrong[i].value, JSON_DECODE_ANY, NULL));
        CHECK(ab_visit_options_read(copy, &back, &d, &got, &born, &err) == AB_ERR_ARG, "taken");
        CHECK(strstr(err.text, "judging") && strstr(err.text, wrong[i].key), "%s", err.text);
        free(got.known);
        json_decref(copy);
    }
    json_object_set_new(json, "judging", json_integer(1));
    CHECK(ab_visit_options_read(json, &back, &d, &got, &born, &err) == AB_ERR_ARG, "a number");
    free(got.known);
    json_decref(json);
}

static const struct test_case cases[] = {CASE(a_visit_brings_what_its_maps_are_worth),
                                         CASE(a_library_that_chooses_anew_in_each_process),
                                         CASE(maps_that_are_not_made_again),
                                         CASE(what_fails_is_told),
                                         CASE(is_interrupted_while_it_judges),
                                         CASE(agreements_there_and_back),
                                         CASE(options_there_and_back)};
TEST_MAIN("serve_judge", cases)
