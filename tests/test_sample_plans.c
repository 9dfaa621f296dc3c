// SPDX-License-Identifier: Apache-2.0
// Plans of sampled methods: results depend on nothing but the image, the method and the seed;
// memory, targets, specs and refusals.
#include "nets.h"
#include "sample/sampler.h"

/* ---- what results do not depend on ---- */

static const char *const sampled[] = {"deeplift-shap:n=4",
                                      "smoothgrad:n=9",
                                      "integrated-gradients:steps=7",
                                      "vargrad:n=5",
                                      "gradient-shap:n=5",
                                      "occlusion:window=5",
                                      "smoothgrad-squared:n=3,base=deconvnet"};
enum { SAMPLED = sizeof sampled / sizeof *sampled };

TEST(position_threads_and_company_do_not_matter)
{
    struct ab_graph *g = net_branches(7);
    const size_t count = input_count(g, 1);
    float *x = random_images(g, 3, 8);
    /* A single-pass method before, one amid, one after. */
    const char *company[SAMPLED + 3] = {"gradient"};
    float *all[SAMPLED + 3];
    int places[SAMPLED], count_all = 1;
    for (int m = 0; m < SAMPLED; m++) {
        if (m == 2) company[count_all++] = "lrp-zplus";
        places[m] = count_all;
        company[count_all++] = sampled[m];
    }
    company[count_all++] = "deconvnet";
    const struct job many = {g, "native", x, NULL, 3, 3};
    run_methods(&many, company, count_all, all, NULL);
    for (int m = 0; m < SAMPLED; m++) {
        for (int n = 0; n < 3; n++) {
            context("%s, image %d", sampled[m], n);
            const struct job one = {g, "native", x + (size_t)n * count, NULL, 1, 1};
            float *alone = run_method(&one, sampled[m], NULL);
            check_same_bits(alone, all[places[m]] + (size_t)n * count, count);
            free(alone);
        }
    }
    for (int m = 0; m < count_all; m++) free(all[m]);
    free(x);
    ab_graph_destroy(&g);
}

static enum ab_status see_inputs(void *context, const struct ab_sampler *s, int count,
                                 struct ab_error *err)
{
    uint64_t *hash = context;
    (void)err;
    *hash = ab_hash(*hash, s->inputs, (size_t)count * s->draw.count * sizeof *s->inputs);
    return AB_OK;
}

/* Inputs are the same whatever computes on them; the plan's memory does not grow with n. */
TEST(inputs_and_memory)
{
    struct ab_graph *g = net_chain(1, true);
    float *x = random_images(g, 1, 2);
    struct ab_error err = {""};
    double *map = malloc(input_count(g, 1) * sizeof *map);
    CHECK(map != NULL, "out of memory");
    for (int m = 0; m < SAMPLED; m++) {
        uint64_t hashes[12];
        char names[12][32];
        const int target = 0, backends = backend_names(names, 12);
        struct ab_method *method;
        CHECK(!ab_method_parse(sampled[m], &method, &err), "%s", err.text);
        for (int b = 0; b < backends; b++) {
            const struct ab_plan_options options = {.backend = names[b], .threads = 1 + b % 3};
            struct ab_sampler *s;
            hashes[b] = 0;
            CHECK(!ab_sampler_create(g, method, &options, &s, &err), "%s", err.text);
            CHECK(!ab_sampler_watch(s, x, &target, map, see_inputs, &hashes[b], &err), "%s",
                  err.text);
            ab_sampler_destroy(&s);
            CHECK(hashes[b] == hashes[0], "inputs of %s on %s", sampled[m], names[b]);
        }
        ab_method_destroy(&method);
    }
    size_t sizes[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        struct ab_method *method;
        struct ab_plan *plan;
        size_t weights;
        CHECK(!ab_method_parse(i ? "smoothgrad:n=8000" : "smoothgrad:n=80", &method, &err), "%s",
              err.text);
        const struct ab_method *one = method;
        CHECK(!ab_plan_create(g, &one, 1, NULL, &plan, &err), "%s", err.text);
        ab_plan_memory(plan, &weights, &sizes[i]);
        ab_plan_destroy(&plan);
        ab_method_destroy(&method);
    }
    CHECK(sizes[0] == sizes[1] && sizes[0] > 0, "%zu and %zu bytes", sizes[0], sizes[1]);
    free(map);
    free(x);
    ab_graph_destroy(&g);
}

/* The target of the image itself is kept for all samples, and executing allocates nothing. */
TEST(targets_are_decided_once)
{
    struct ab_graph *g = net_chain(1, true);
    float *x = random_images(g, 4, 2), logits[4 * 6];
    const struct job top = {g, "native", x, NULL, 4, 1};
    float *want = run_method(&top, "smoothgrad:n=5,noise=1", logits);
    int targets[4] = {0};
    for (int n = 0; n < 4; n++)
        for (int c = 1; c < 6; c++)
            if (logits[6 * n + c] > logits[6 * n + targets[n]]) targets[n] = c;
    struct ab_error err = {""};
    struct ab_method *method;
    struct ab_plan *plan;
    CHECK(!ab_method_parse("smoothgrad:n=5,noise=1", &method, &err), "%s", err.text);
    const struct ab_method *one = method;
    const struct ab_plan_options options = {.batch = 4};
    CHECK(!ab_plan_create(g, &one, 1, &options, &plan, &err), "%s", err.text);
    float *map = malloc(input_count(g, 4) * sizeof *map);
    const size_t before = ab_buffer_count();
    CHECK(map && !ab_plan_execute(plan, x, targets, &map, NULL, &err), "%s", err.text);
    CHECK(ab_buffer_count() == before, "an execution allocates");
    check_same_bits(map, want, input_count(g, 4));
    targets[3] = 6;
    CHECK(ab_plan_execute(plan, x, targets, &map, NULL, &err) == AB_ERR_ARG &&
              strstr(err.text, "0..5"),
          "%s", err.text);
    CHECK(!ab_plan_execute(plan, x, NULL, NULL, logits, &err), "%s", err.text);
    ab_plan_destroy(&plan);
    ab_method_destroy(&method);
    free(map);
    free(want);
    free(x);
    ab_graph_destroy(&g);
}

/* ---- specs ---- */

/* Several classes of an image from the same samples are what each gives alone. */
TEST(several_targets)
{
    struct ab_graph *g = net_chain(1, true);
    const size_t count = input_count(g, 2);
    float *x = random_images(g, 2, 2);
    struct ab_error err = {""};
    const int targets[] = {4, AB_TARGET_TOP, AB_TARGET_TOP - 1, 0};
    for (int m = 0; m < SAMPLED; m++) {
        struct ab_method *methods[2];
        CHECK(!ab_method_parse(sampled[m], &methods[0], &err), "%s", err.text);
        CHECK(!ab_method_parse("gradient", &methods[1], &err), "%s", err.text);
        const struct ab_plan_options options = {.batch = 2, .targets = 2};
        struct ab_plan *plan;
        CHECK(
            !ab_plan_create(g, (const struct ab_method *const *)methods, 2, &options, &plan, &err),
            "%s", err.text);
        float *maps[4];
        for (int i = 0; i < 4; i++) maps[i] = malloc(count * sizeof **maps);
        CHECK(!ab_plan_execute(plan, x, targets, maps, NULL, &err), "%s", err.text);
        const char *const specs[] = {sampled[m], "gradient"};
        for (int t = 0; t < 2; t++) {
            context("%s, target %d", sampled[m], t);
            const int alone[] = {targets[t], targets[2 + t]};
            const struct job job = {g, "native", x, alone, 2, 1};
            float *want[2];
            run_methods(&job, specs, 2, want, NULL);
            check_same_bits(maps[t], want[0], count);
            check_same_bits(maps[2 + t], want[1], count);
            const struct ab_dims d = ab_plan_map_dims(plan, t), e = ab_plan_map_dims(plan, 2 + t);
            CHECK(d.h == 14 && e.h == 14 && d.c == 3 && e.c == 3, "map's shape");
            free(want[0]);
            free(want[1]);
        }
        for (int i = 0; i < 4; i++) free(maps[i]);
        ab_plan_destroy(&plan);
        ab_method_destroy(&methods[0]);
        ab_method_destroy(&methods[1]);
    }
    free(x);
    ab_graph_destroy(&g);
}

TEST(specs)
{
    static const char *const cases[][2] = {
        {"smoothgrad:n=50,noise=0.15,base=gradient", "smoothgrad"},
        {"smoothgrad:base=gradient()", "smoothgrad"},
        {"smoothgrad:base=lrp-epsilon(eps=1e-06),n=5", "smoothgrad:n=5,base=lrp-epsilon"},
        {"smoothgrad:base=lrp-alpha-beta(beta=2,alpha=3)",
         "smoothgrad:base=lrp-alpha-beta(alpha=3,beta=2)"},
        {"smoothgrad:compat=captum,n=50", "smoothgrad:noise_abs=1"},
        {"smoothgrad:compat=zennit,noise=0.2", "smoothgrad:n=20,noise=0.2,clean_last=1"},
        {"integrated-gradients:baseline=0/0/1,n=50", "integrated-gradients:baseline=0/0/1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ab_method *m = NULL;
        struct ab_error err = {""};
        CHECK(!ab_method_parse(cases[i][0], &m, &err), "%s", err.text);
        CHECK(!strcmp(ab_method_spec(m), cases[i][1]), "%s: %s", cases[i][0], ab_method_spec(m));
        ab_method_destroy(&m);
    }
}

TEST(refusals)
{
    static const char *const bad[][2] = {
        {"smoothgrad:base=vargrad", "single pass"},
        {"smoothgrad:base=lrp-epsilon(eps=x)", "base: method lrp-epsilon: eps=x"},
        {"smoothgrad:base=gradiant", "did you mean 'gradient'"},
        {"smoothgrad:base=lrp-epsilon(eps=1", "METHOD(key=value,...)"},
        {"smoothgrad:base=lrp-epsilon:eps=1", "METHOD(key=value,...)"},
        {"smoothgrad:n=0", "it takes: 1..1000000"},
        {"smoothgrad:n=2.5", "n=2.5"},
        {"smoothgrad:noise=-1", "noise=-1"},
        {"smoothgrad:noise=0.1,noise_abs=1", "one of them"},
        {"smoothgrad:seed=-1", "seed=-1"},
        {"smoothgrad:compat=captum,noise=0.1", "one of them"},
        {"vargrad:n=1", "n=2"},
        {"smoothgrad:base=deeplift(baseline=given)", "use deeplift-shap"},
        {"deeplift-shap:base=deeplift", "baseline=given"},
        {"deeplift-shap:base=gradient", "baseline=given"},
        {"integrated-gradients:rule=simpson", "trapezoid"},
        {"integrated-gradients:rule=trapezoid,steps=1", "n=2"},
        {"gradient-shap:baselines=x.png", "F.npy"},
        {"occlusion:window=0", "window=0"},
        {"occlusion:compat=innvestigate", "captum, zennit"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ab_method *m = NULL;
        struct ab_error err = {""};
        CHECK(ab_method_parse(bad[i][0], &m, &err) == AB_ERR_ARG && !m, "%s is taken", bad[i][0]);
        CHECK(strstr(err.text, bad[i][1]), "%s: %s", bad[i][0], err.text);
        CHECK(!strchr(err.text, '\n') && strlen(err.text) < 400, "%s", err.text);
    }
}

/* What only the network, or a file, shows to be wrong. */
TEST(refusals_of_plans)
{
    static const char *const bad[][2] = {
        {"integrated-gradients:baseline=0/1", "which has 3"},
        {"occlusion:window=2,stride=3", "stride=2"},
        {"gradient-shap:baselines=/nowhere/b.npy", "/nowhere/b.npy"},
        {"smoothgrad:base=rectgrad", ""},
    };
    struct ab_graph *g = net_chain(1, true);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ab_method *m = NULL;
        struct ab_plan *plan = NULL;
        struct ab_error err = {""};
        CHECK(!ab_method_parse(bad[i][0], &m, &err), "%s", err.text);
        const struct ab_method *one = m;
        const enum ab_status status = ab_plan_create(g, &one, 1, NULL, &plan, &err);
        CHECK((status != AB_OK) == (bad[i][1][0] != 0), "%s: %s", bad[i][0], err.text);
        CHECK(strstr(err.text, bad[i][1]), "%s: %s", bad[i][0], err.text);
        CHECK((ab_sampler_check(g, m, 0, &err) != AB_OK) == (status != AB_OK), "%s", err.text);
        ab_plan_destroy(&plan);
        ab_method_destroy(&m);
    }
    ab_graph_destroy(&g);
}

static const struct test_case cases[] = {CASE(position_threads_and_company_do_not_matter),
                                         CASE(inputs_and_memory),
                                         CASE(targets_are_decided_once),
                                         CASE(several_targets),
                                         CASE(specs),
                                         CASE(refusals),
                                         CASE(refusals_of_plans)};
TEST_MAIN("sample_plans", cases)
