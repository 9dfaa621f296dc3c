// SPDX-License-Identifier: Apache-2.0
// The referee on sampled methods: rounding agrees, other samples do not, the cache knows what a map
// was computed from, and single-pass methods beside them are judged as without them.
#include "agree/agree.h"
#include "files.h"
#include "nets.h"
#include "sample/sampler.h"

static const char *const specs[] = {
    "smoothgrad:n=7",
    "gradient",
    "integrated-gradients:n=6",
    "vargrad:n=5,base=guided-backprop",
    "gradient-shap:n=4",
    "lrp-epsilon",
    "occlusion:window=4",
    "deeplift-shap:n=6",
    "smoothgrad-squared:n=3,base=rectgrad(q=80)",
};
enum { SPECS = sizeof specs / sizeof *specs };

struct bench {
    struct ab_graph *graph;
    struct ab_method *methods[SPECS];
    float *input;
    int count, targets;
};

static struct bench bench_new(const char *const *texts, int count, int targets)
{
    struct bench b = {.graph = net_branches(3), .count = count, .targets = targets};
    struct ab_error err = {""};
    for (int m = 0; m < count; m++)
        CHECK(!ab_method_parse(texts[m], &b.methods[m], &err), "%s", err.text);
    b.input = random_images(b.graph, 2, 11);
    return b;
}

static void bench_free(struct bench *b)
{
    for (int m = 0; m < b->count; m++) ab_method_destroy(&b->methods[m]);
    free(b->input);
    ab_graph_destroy(&b->graph);
}

static struct ab_referee *referee(const struct bench *b, const char *cache)
{
    struct ab_error err = {""};
    struct ab_referee *r = NULL;
    const struct ab_judged judged = {.methods = (const struct ab_method *const *)b->methods,
                                     .n_methods = b->count,
                                     .batch = 2,
                                     .n_targets = b->targets,
                                     .input = b->input};
    CHECK(!ab_referee_create(b->graph, &judged, 1, cache, &r, &err), "%s", err.text);
    return r;
}

static struct ab_plan *executed(const struct bench *b, const char *backend)
{
    struct ab_error err = {""};
    struct ab_plan *plan = NULL;
    const struct ab_plan_options options = {
        .backend = backend, .batch = 2, .retain = true, .targets = b->targets};
    CHECK(!ab_plan_create(b->graph, (const struct ab_method *const *)b->methods, b->count, &options,
                          &plan, &err),
          "%s: %s", backend, err.text);
    CHECK(!ab_plan_execute(plan, b->input, NULL, NULL, NULL, &err), "%s", err.text);
    return plan;
}

TEST(every_backend_agrees)
{
    char names[12][32];
    const int backends = backend_names(names, 12);
    for (int targets = 1; targets <= 2; targets++) {
        struct bench b = bench_new(specs, SPECS, targets);
        struct ab_referee *r = referee(&b, NULL);
        for (int k = 0; k < backends; k++) {
            struct ab_plan *plan = executed(&b, names[k]);
            struct ab_agreement results[2 * SPECS];
            struct ab_error err = {""};
            memset(results, 0, sizeof results);
            CHECK(!ab_referee_judge(r, plan, results, &err), "%s", err.text);
            for (int m = 0; m < SPECS * targets; m++) {
                context("%s on %s, map %d", specs[m / targets], names[k], m);
                CHECK(results[m].verdict == AB_AGREE, "%s: %s", ab_verdict_name(results[m].verdict),
                      results[m].why);
                CHECK(results[m].rel_l2 >= 0 && results[m].illegal_flips == 0, "numbers");
            }
            ab_plan_destroy(&plan);
        }
        ab_referee_destroy(&r);
        bench_free(&b);
    }
}

/* Other samples, or maps that do not come of the samples, are no rounding. */
TEST(wrong_maps_disagree)
{
    static const char *const mine[] = {"smoothgrad:n=4", "occlusion:window=4"};
    static const char *const other[] = {"smoothgrad:n=4,seed=2", "occlusion:window=5"};
    struct bench b = bench_new(mine, 2, 1), c = bench_new(other, 2, 1);
    struct ab_referee *r = referee(&b, NULL);
    struct ab_plan *plan = executed(&c, "native");
    struct ab_agreement results[2] = {{0}};
    struct ab_error err = {""};
    CHECK(!ab_referee_judge(r, plan, results, &err), "%s", err.text);
    CHECK(results[0].verdict == AB_DISAGREE && results[1].verdict == AB_DISAGREE, "other samples");
    ab_plan_destroy(&plan);
    plan = executed(&b, "native");
    ab_plan_sampler(plan, 0)->kept[5] += 1e-3F;
    ab_plan_sampler(plan, 1)->kept[5] += 10;
    CHECK(!ab_referee_judge(r, plan, results, &err), "%s", err.text);
    CHECK(results[0].verdict == AB_DISAGREE && strstr(results[0].why, "again"), "%s",
          results[0].why);
    CHECK(results[1].verdict == AB_DISAGREE, "a changed map");
    ab_plan_destroy(&plan);
    static const char *const single[] = {"gradient", "deconvnet"};
    struct bench d = bench_new(single, 2, 1);
    plan = executed(&d, "native");
    CHECK(ab_referee_judge(r, plan, results, &err) == AB_ERR_ARG, "other methods");
    ab_plan_destroy(&plan);
    ab_referee_destroy(&r);
    bench_free(&b);
    bench_free(&c);
    bench_free(&d);
}

TEST(cache)
{
    char text[700];
    const char *const one[] = {text};
    struct ab_error err = {""};
    const char *file = temp_path("baselines.npy"), *dir = temp_path("");
    snprintf(text, sizeof text, "gradient-shap:n=3,baselines=%s", file);
    struct ab_graph *g = net_branches(3);
    double sums[3] = {0};
    for (int round = 0; round < 3; round++) {
        float *bases = random_images(g, 2, round < 2 ? 1 : 2);
        CHECK(!ab_npy_write(file, bases, 2, ab_graph_input(g), &err), "%s", err.text);
        struct bench b = bench_new(one, 1, 1);
        struct ab_referee *r = referee(&b, dir);
        const double *map = ab_referee_map(r, 0);
        for (size_t i = 0; i < input_count(g, 2); i++) sums[round] += fabs(map[i]);
        ab_referee_destroy(&r);
        bench_free(&b);
        free(bases);
    }
    CHECK(sums[0] > 0 && sums[1] == sums[0] && sums[2] != sums[0], "%g %g %g", sums[0], sums[1],
          sums[2]);
    ab_graph_destroy(&g);
}

static const struct test_case cases[] = {CASE(every_backend_agrees), CASE(wrong_maps_disagree),
                                         CASE(cache)};
TEST_MAIN("sample_agree", cases)
