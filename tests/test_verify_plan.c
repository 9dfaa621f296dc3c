// SPDX-License-Identifier: Apache-2.0
// What verify chooses to run: requests, fixed trials, pairwise covers, chance.
#include "support.h"

#include "verify/plan.h"

#include <stdio.h>
#include <string.h>

static void set(struct ab_verify_request *r, const char *key, const char *value)
{
    struct ab_error err = {""};
    CHECK(ab_verify_request_set(r, key, value, &err) == AB_OK, "%s=%s: %s", key, value, err.text);
}

static void refuse(const char *key, const char *value, const char *says)
{
    struct ab_verify_request r;
    struct ab_error err = {""};
    ab_verify_request_init(&r);
    CHECK(ab_verify_request_set(&r, key, value, &err) == AB_ERR_ARG, "%s=%s", key, value);
    CHECK(strstr(err.text, says), "%s=%s: '%s' lacks '%s'", key, value, err.text, says);
    ab_verify_request_free(&r);
}

TEST(requests_refuse_what_cannot_be)
{
    refuse("isa", "sse", "avx512");
    refuse("fill", "gaussian", "lognormal");
    refuse("fill", "a\tb.npy", "rename");
    refuse("exponent", "21", "-20 to 20");
    refuse("exponent", "1.5", "-20 to 20");
    refuse("exponent", "", "-20 to 20");
    refuse("seed", "-1", "0 to");
    refuse("seed", "99999999999999999999999", "0 to");
    refuse("every", "0", "1 to");
    refuse("colour", "red", "op, isa, shape");
}

/* A plan of the plain kernels. */
static struct ab_verify_plan plain_plan(struct ab_verify_request *r, const char *op)
{
    struct ab_verify_plan plan;
    struct ab_error err = {""};
    ab_verify_request_init(r);
    set(r, "isa", "plain");
    set(r, "op", op);
    CHECK(ab_verify_plan_candidates(&plan, r, NULL, 0, &err) == AB_OK, "%s", err.text);
    CHECK(plan.n_candidates > 0, "no candidates");
    return plan;
}

static void check_jobs(const struct ab_verify_plan *plan)
{
    for (long i = 0; i < plan->n_jobs; i++) {
        const struct ab_verify_job *j = &plan->jobs[i];
        CHECK(plan->candidates[j->candidate].op == plan->trials[j->trial].op, "job %ld", i);
        CHECK(i == 0 || plan->jobs[i - 1].trial <= j->trial, "not trial by trial at %ld", i);
    }
}

TEST(fixed_trials_obey_the_request)
{
    struct ab_verify_request r;
    struct ab_error err = {""};
    struct ab_verify_plan plan = plain_plan(&r, "*");
    CHECK(ab_verify_plan_fixed(&plan, &r, &err) == AB_OK, "%s", err.text);
    const long all = plan.n_trials;
    CHECK(all > 100 && plan.n_jobs >= all, "%ld trials", all);
    check_jobs(&plan);
    set(&r, "most", "500");
    set(&r, "exponent", "-7");
    CHECK(ab_verify_plan_fixed(&plan, &r, &err) == AB_OK, "%s", err.text);
    CHECK(plan.n_trials > 0 && plan.n_trials < all, "%ld of %ld", plan.n_trials, all);
    for (long i = 0; i < plan.n_trials; i++) {
        CHECK(ab_trial_products(&plan.trials[i]) <= 500, "trial %ld is too large", i);
        CHECK(plan.trials[i].exponent == -7, "trial %ld: 2^%d", i, plan.trials[i].exponent);
        for (long k = 0; k < i; k++) {
            char a[AB_TRIAL_TEXT], b[AB_TRIAL_TEXT];
            ab_trial_print(&plan.trials[i], a, sizeof a);
            ab_trial_print(&plan.trials[k], b, sizeof b);
            CHECK(strcmp(a, b) != 0, "twice: %s", a);
        }
    }
    ab_verify_plan_free(&plan);
    ab_verify_request_free(&r);
}

TEST(covers_hold_all_pairs)
{
    struct ab_verify_request r;
    struct ab_error err = {""};
    struct ab_verify_plan plan = plain_plan(&r, "dense_plain");
    struct ab_rng rng = ab_rng_new(5, 1);
    bool seen[2][AB_W_COUNT][AB_FILLS] = {{{false}}};
    CHECK(ab_verify_plan_cover(&plan, &r, &rng, &err) == AB_OK, "%s", err.text);
    for (long i = 0; i < plan.n_trials; i++) {
        const struct ab_trial *t = &plan.trials[i];
        seen[t->pass][0][t->fill] = true;
        seen[0][t->wmod][t->fill] = true;
    }
    for (int fill = 0; fill < AB_FILL_FILE; fill++) {
        CHECK(seen[0][0][fill] && seen[1][0][fill], "%s: a pass is missing",
              ab_fill_name((enum ab_fill)fill));
        for (int w = 0; w < AB_W_COUNT; w++)
            CHECK(seen[0][w][fill], "%s with weights %d", ab_fill_name((enum ab_fill)fill), w);
    }
    CHECK(plan.n_trials < 1000, "%ld trials are no small cover", plan.n_trials);
    ab_verify_plan_free(&plan);
    ab_verify_request_free(&r);
}

TEST(shapes_are_taken_and_refused)
{
    struct ab_verify_request r;
    struct ab_error err = {""};
    struct ab_verify_plan plan = plain_plan(&r, "dense_plain");
    set(&r, "shape", "n2i33o17");
    CHECK(ab_verify_plan_fixed(&plan, &r, &err) == AB_OK, "%s", err.text);
    CHECK(plan.n_trials >= 10, "%ld trials", plan.n_trials);
    for (long i = 0; i < plan.n_trials; i++) {
        const struct ab_dense_shape *s = &plan.trials[i].shape.dense;
        CHECK(s->n == 2 && s->in == 33 && s->out == 17, "trial %ld has another shape", i);
    }
    set(&r, "shape", "n1c3");
    CHECK(ab_verify_plan_fixed(&plan, &r, &err) == AB_ERR_ARG, "a shape that nothing has");
    CHECK(strstr(err.text, "n1c3"), "%s", err.text);
    ab_verify_plan_free(&plan);
    ab_verify_request_free(&r);
}

static uint64_t hash_of(const struct ab_verify_plan *plan)
{
    uint64_t hash = 0;
    for (long i = 0; i < plan->n_trials; i++) {
        char text[AB_TRIAL_TEXT];
        ab_trial_print(&plan->trials[i], text, sizeof text);
        hash = ab_hash(hash, text, strlen(text));
    }
    return hash;
}

TEST(chance_is_decided_by_the_seed)
{
    struct ab_verify_request r;
    struct ab_error err = {""};
    struct ab_verify_plan plan = plain_plan(&r, "*");
    uint64_t hashes[3];
    for (int i = 0; i < 3; i++) {
        struct ab_rng rng = ab_rng_new(i == 2 ? 8 : 7, 1);
        CHECK(ab_verify_plan_random(&plan, &r, &rng, 100, &err) == AB_OK, "%s", err.text);
        CHECK(plan.n_trials > 50, "%ld trials", plan.n_trials);
        check_jobs(&plan);
        hashes[i] = hash_of(&plan);
    }
    CHECK(hashes[0] == hashes[1] && hashes[0] != hashes[2], "the seed does not decide");
    const struct ab_candidate c = plan.candidates[0];
    struct ab_trial t = plan.trials[0];
    for (long i = 0; i < plan.n_trials; i++)
        if (plan.trials[i].op == c.op) t = plan.trials[i];
    CHECK(ab_verify_plan_single(&plan, &plan.candidates[0], &t, &err) == AB_OK, "%s", err.text);
    CHECK(plan.n_jobs == 1 && !strcmp(plan.candidates[0].name, c.name), "not the one");
    CHECK(ab_verify_plan_find(&plan, c.name) && !ab_verify_plan_find(&plan, "nobody"), "find");
    ab_verify_plan_free(&plan);
    ab_verify_request_free(&r);
}

static const struct test_case cases[] = {
    CASE(requests_refuse_what_cannot_be), CASE(fixed_trials_obey_the_request),
    CASE(covers_hold_all_pairs),          CASE(shapes_are_taken_and_refused),
    CASE(chance_is_decided_by_the_seed),
};
TEST_MAIN("verify_plan", cases)
