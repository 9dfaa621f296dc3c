// SPDX-License-Identifier: Apache-2.0
// Several targets in one plan, ranks, and the seeds that look at more classes than the target.
#include "backend/seed.h"
#include "nets.h"

enum { BATCH = 2, TARGETS = 3, MOST = 16 };

static const char *const specs[] = {"gradient",
                                    "rectgrad:q=90",
                                    "lrp-epsilon",
                                    "lrp-zplus:seed=softmax",
                                    "gradient:seed=softmax",
                                    "guided-backprop:seed=contrast",
                                    "lrp-alpha-beta:seed=contrast,against=2"};
enum { SPECS = sizeof specs / sizeof *specs };

/* Maps of `names` for `targets` classes an image, [name][target], each allocated. */
static void run_targets(const struct job *job, const char *const *names, int count, int targets,
                        float **maps, float *logits)
{
    struct ab_error err = {""};
    struct ab_method *methods[MOST];
    struct ab_plan *plan = NULL;
    const struct ab_plan_options options = {
        .backend = job->backend, .batch = job->batch, .threads = job->threads, .targets = targets};
    for (int m = 0; m < count; m++)
        CHECK(!ab_method_parse(names[m], &methods[m], &err), "%s", err.text);
    CHECK(!ab_plan_create(job->graph, (const struct ab_method *const *)methods, count, &options,
                          &plan, &err),
          "%s: %s", job->backend, err.text);
    for (int k = 0; k < count * targets; k++) {
        const struct ab_dims d = ab_plan_map_dims(plan, k), e = ab_graph_input(job->graph);
        CHECK(d.c == e.c && d.h == e.h && d.w == e.w, "map %d is %dx%dx%d", k, d.c, d.h, d.w);
        maps[k] = malloc(sizeof(float) * input_count(job->graph, job->batch));
    }
    CHECK(!ab_plan_execute(plan, job->input, job->targets, maps, logits, &err), "%s", err.text);
    ab_plan_destroy(&plan);
    for (int m = 0; m < count; m++) ab_method_destroy(&methods[m]);
}

static void free_maps(float **maps, int count)
{
    for (int k = 0; k < count; k++) free(maps[k]);
}

TEST(targets_equal_single_runs)
{
    static const int asked[BATCH * TARGETS] = {2, AB_TARGET_TOP,    AB_TARGET_TOP - 3, 0,
                                               4, AB_TARGET_TOP - 1};
    struct ab_graph *graphs[] = {net_chain(41, true), net_branches(42)};
    char names[12][32];
    const int backends = backend_names(names, 12);
    for (int i = 0; i < 2 * backends; i++) {
        const struct ab_graph *g = graphs[i % 2];
        float *x = random_images(g, BATCH, 43), *all[SPECS * TARGETS], *one[SPECS];
        struct job job = {g, names[i / 2], x, asked, BATCH, 2};
        run_targets(&job, specs, SPECS, TARGETS, all, NULL);
        for (int t = 0; t < TARGETS; t++) {
            const int alone[BATCH] = {asked[t], asked[TARGETS + t]};
            job.targets = alone;
            run_methods(&job, specs, SPECS, one, NULL);
            for (int m = 0; m < SPECS; m++) {
                context("%s on %s, %s, target %d", specs[m], ab_graph_name(g), job.backend, t);
                const size_t count = input_count(g, BATCH);
                /* oneDNN's formats, and with them its sums, depend on the plan. */
                if (strcmp(job.backend, "onednn") != 0)
                    check_same_bits(all[m * TARGETS + t], one[m], count);
                CHECK(relative_l2(all[m * TARGETS + t], one[m], count) < 1e-4, "off by %g",
                      relative_l2(all[m * TARGETS + t], one[m], count));
            }
            free_maps(one, SPECS);
        }
        free_maps(all, SPECS * TARGETS);
        free(x);
    }
    ab_graph_destroy(&graphs[0]);
    ab_graph_destroy(&graphs[1]);
}

TEST(no_targets_are_the_highest_classes)
{
    struct ab_graph *g = net_chain(44, true);
    float *x = random_images(g, 1, 45), *ranked[TARGETS], *named[TARGETS], logits[6];
    struct job job = {g, "native", x, NULL, 1, 1};
    run_targets(&job, specs, 1, TARGETS, ranked, logits);
    const struct ab_logits z = {.f = logits, .count = 6};
    int classes[TARGETS];
    for (int t = 0; t < TARGETS; t++) classes[t] = ab_class_of_rank(&z, t);
    CHECK(logits[classes[0]] > logits[classes[1]] && logits[classes[1]] > logits[classes[2]],
          "ranks are out of order");
    job.targets = classes;
    run_targets(&job, specs, 1, TARGETS, named, NULL);
    for (int t = 0; t < TARGETS; t++) check_same_bits(ranked[t], named[t], input_count(g, 1));
    free_maps(ranked, TARGETS);
    free_maps(named, TARGETS);
    free(x);
    ab_graph_destroy(&g);
}

TEST(equal_logits_rank_by_class)
{
    const float values[] = {1, 3, 3, -2, 3, 1};
    const int order[] = {1, 2, 4, 0, 5, 3};
    const struct ab_logits z = {.f = values, .count = 6};
    for (int k = 0; k < 6; k++) {
        CHECK(ab_class_of_rank(&z, k) == order[k], "rank %d is class %d", k,
              ab_class_of_rank(&z, k));
        CHECK(ab_class_of_target(&z, AB_TARGET_TOP - k) == order[k], "target of rank %d", k);
    }
    CHECK(ab_class_next_to(&z, 1) == 2 && ab_class_next_to(&z, 3) == 1, "next class");
}

/* One image's maps of `count` specs in double, [spec][target]. */
static double *exact_maps(const struct ab_graph *g, const float *x, const int *targets, int each,
                          const char *const *names, int count, double *logits)
{
    struct ab_error err = {""};
    struct ab_method *methods[MOST];
    struct ab_plan *plan = NULL;
    const struct ab_plan_options options = {
        .backend = "reference", .retain = true, .targets = each};
    const size_t size = input_count(g, 1);
    double *maps = malloc(sizeof *maps * size * (size_t)(count * each));
    for (int m = 0; m < count; m++)
        CHECK(!ab_method_parse(names[m], &methods[m], &err), "%s", err.text);
    CHECK(!ab_plan_create(g, (const struct ab_method *const *)methods, count, &options, &plan,
                          &err) &&
              !ab_plan_execute(plan, x, targets, NULL, NULL, &err),
          "%s", err.text);
    for (int k = 0; k < count * each; k++)
        ab_plan_peek(plan, plan->program.outputs[k], maps + (size_t)k * size);
    ab_plan_peek(plan, plan->program.logits, logits);
    ab_plan_destroy(&plan);
    for (int m = 0; m < count; m++) ab_method_destroy(&methods[m]);
    return maps;
}

static void check_near(const double *got, const double *want, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        if (fabs(want[i]) > largest) largest = fabs(want[i]);
    CHECK(largest > 0, "the map is zero");
    for (size_t i = 0; i < count; i++)
        CHECK(fabs(got[i] - want[i]) <= 1e-12 * largest, "element %zu: %g, not %g", i, got[i],
              want[i]);
}

/* The gradient is linear in its seed: contrast is a difference of two maps, softmax a weighted sum
 * of the maps of all classes. */
TEST(seeds_are_sums_of_maps)
{
    enum { CLASSES = 6 };
    static const char *const seeds[] = {"gradient", "gradient:seed=softmax",
                                        "gradient:seed=contrast",
                                        "gradient:seed=contrast,against=4"};
    struct ab_graph *g = net_chain(46, true);
    const size_t size = input_count(g, 1);
    float *x = random_images(g, 1, 47);
    const int all[CLASSES] = {0, 1, 2, 3, 4, 5};
    double z[CLASSES], p[CLASSES], sum = 0, *want = malloc(sizeof *want * size);
    double *maps = exact_maps(g, x, all, CLASSES, seeds, 4, z);
    const struct ab_logits logits = {.d = z, .count = CLASSES};
    for (int k = 0; k < CLASSES; k++) sum += p[k] = exp(z[k]);
    for (int c = 0; c < CLASSES; c++) {
        const int next = ab_class_next_to(&logits, c);
        const double *of_c = maps + (size_t)c * size;
        context("class %d against %d", c, next);
        for (size_t i = 0; i < size; i++) {
            double mean = 0;
            for (int k = 0; k < CLASSES; k++) mean += p[k] / sum * maps[(size_t)k * size + i];
            want[i] = p[c] / sum * (of_c[i] - mean);
        }
        check_near(maps + (size_t)(CLASSES + c) * size, want, size);
        for (size_t i = 0; i < size; i++) want[i] = of_c[i] - maps[(size_t)next * size + i];
        check_near(maps + (size_t)(2 * CLASSES + c) * size, want, size);
        for (size_t i = 0; i < size; i++) want[i] = of_c[i] - maps[4 * size + i];
        if (c != 4) check_near(maps + (size_t)(3 * CLASSES + c) * size, want, size);
        for (size_t i = 0; i < size && c == 4; i++)
            CHECK(maps[(size_t)(3 * CLASSES + 4) * size + i] == 0, "4 against itself");
    }
    free(want);
    free(maps);
    free(x);
    ab_graph_destroy(&g);
}

/* p (1 - p) keeps its digits where p is 1 but for 1e-9. */
TEST(softmax_of_a_sure_class)
{
    const double z[] = {21, 0, -3};
    const struct ab_logits logits = {.d = z, .count = 3};
    struct ab_program program = {.targets = 1};
    const struct ab_exec exec = {.program = &program};
    const struct ab_step step = {.seed = AB_SEED_SOFTMAX};
    const struct ab_seed_values seed = ab_seed_open(&exec, &step, 0, &logits);
    const double e1 = exp(-21), e2 = exp(-24), s = 1 + e1 + e2;
    const double want[] = {(e1 + e2) / s / s, -e1 / s / s, -e2 / s / s};
    for (int k = 0; k < 3; k++) {
        const double got = ab_seed_at(&seed, &logits, k);
        CHECK(fabs(got / want[k] - 1) < 1e-14, "class %d: %g, not %g", k, got, want[k]);
    }
}

static void refuse(const struct ab_graph *g, const char *spec, int each, const int *targets,
                   const char *says)
{
    struct ab_error err = {""};
    struct ab_method *m = NULL;
    struct ab_plan *plan = NULL;
    const struct ab_plan_options options = {.targets = each};
    float *x = random_images(g, 1, 48);
    enum ab_status status = ab_method_parse(spec, &m, &err);
    if (!status)
        status = ab_plan_create(g, (const struct ab_method *const *)&m, 1, &options, &plan, &err);
    if (!status) status = ab_plan_execute(plan, x, targets, NULL, NULL, &err);
    CHECK(status == AB_ERR_ARG && strstr(err.text, says), "%s: '%s' does not say '%s'", spec,
          err.text, says);
    ab_plan_destroy(&plan);
    ab_method_destroy(&m);
    free(x);
}

TEST(refusals)
{
    struct ab_graph *g = net_chain(49, true);
    const int high = 6, deep = AB_TARGET_TOP - 6, two[] = {0, -9};
    refuse(g, "gradient", 7, NULL, "has 6 classes");
    refuse(g, "gradient", -1, NULL, "6 classes");
    refuse(g, "gradient", 1, &high, "outside 0..5");
    refuse(g, "gradient", 1, &deep, "rank 6");
    refuse(g, "gradient", 2, two, "rank 8");
    refuse(g, "gradient:seed=contrast,against=6", 1, NULL, "classes 0 to 5");
    refuse(g, "gradient:seed=contrast,against=-1", 1, NULL, "next, class");
    refuse(g, "gradient:seed=contrast,against=1.5", 1, NULL, "next, class");
    refuse(g, "gradient:against=2", 1, NULL, "add seed=contrast");
    refuse(g, "gradient:seed=softmx", 1, NULL, "softmax");
    ab_graph_destroy(&g);
}

static const struct test_case cases[] = {
    CASE(targets_equal_single_runs),  CASE(no_targets_are_the_highest_classes),
    CASE(equal_logits_rank_by_class), CASE(seeds_are_sums_of_maps),
    CASE(softmax_of_a_sure_class),    CASE(refusals)};
TEST_MAIN("targets", cases)
