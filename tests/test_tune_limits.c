// SPDX-License-Identifier: Apache-2.0
// What limits a configuration: the least work of an image, roofs that nothing exceeds, and the
// profile of a plan with its words.
#include "../bench/tune_limits.h"
#include "../bench/clock.h"
#include "../bench/stats.h"
#include "nets.h"
#include "sample/sampler.h"

#include <sched.h>

/* ---- work ---- */

/* conv 3x3 with padding 1 (8 -> 16 channels, 6x5), relu, dense: 3 sums each way. */
static struct ab_graph *net_small(int stride)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = 3, .err = &err};
    CHECK(!ab_graph_create("small", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 8, 6, 5);
    x = ab_build_relu(&b, "relu", ab_build_conv(&b, "conv", x, 16, 3, stride, 1, 1, false));
    x = ab_build_flatten(&b, "flatten", x);
    x = ab_build_dense(&b, "fc", x, 10, false);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

/* A convolution of what no unit makes negative, and none for Winograd. */
static struct ab_graph *net_strides(void)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = 3, .err = &err};
    CHECK(!ab_graph_create("strides", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 3, 9, 9);
    x = ab_build_relu(&b, "relu1", ab_build_conv(&b, "conv1", x, 16, 3, 2, 1, 1, true));
    x = ab_build_relu(&b, "relu2", ab_build_conv(&b, "conv2", x, 16, 3, 2, 1, 1, true));
    x = ab_build_dense(&b, "fc", ab_build_flatten(&b, "flatten", x), 10, false);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

/* conv 3x3, 16 -> 16 channels, 8x8: one for Winograd. */
static struct ab_graph *net_wide(void)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = 3, .err = &err};
    CHECK(!ab_graph_create("wide", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 16, 8, 8);
    x = ab_build_relu(&b, "relu", ab_build_conv(&b, "conv", x, 16, 3, 1, 1, 1, false));
    x = ab_build_dense(&b, "fc", ab_build_flatten(&b, "flatten", x), 10, false);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

static struct ab_tune_work work_of(const struct ab_graph *graph, const char *spec)
{
    struct ab_method *method = NULL;
    struct ab_error err = {""};
    struct ab_tune_work work;
    CHECK(!ab_method_parse(spec, &method, &err), "%s", err.text);
    CHECK(!ab_tune_work(graph, method, &work, &err), "%s: %s", spec, err.text);
    ab_method_destroy(&method);
    return work;
}

TEST(work_leaves_out_padding)
{
    struct ab_graph *graph = net_small(1);
    /* Of 6 rows with 3 taps each, the first and the last row have 2 inside; columns likewise. */
    const double conv = 2.0 * 16 * 8 * (3 * 6 - 2) * (3 * 5 - 2), dense = 2.0 * 16 * 6 * 5 * 10;
    const double tiled = 2.0 * 16 * 8 * 6 * 5 * 9 / 4;
    const struct ab_tune_work w = work_of(graph, "gradient");
    CHECK(w.direct == 2 * (conv + dense), "%g, not %g", w.direct, 2 * (conv + dense));
    CHECK(w.fast == 2 * (tiled + dense), "%g, not %g", w.fast, 2 * (tiled + dense));
    CHECK(w.weights == 4.0 * (16 * 8 * 9 + 16 * 6 * 5 * 10), "%g bytes", w.weights);
    ab_graph_destroy(&graph);
}

TEST(strides_have_no_winograd)
{
    struct ab_graph *graph = net_small(2);
    const struct ab_tune_work w = work_of(graph, "gradient");
    CHECK(w.direct == w.fast && w.direct > 0, "%g and %g", w.direct, w.fast);
    ab_graph_destroy(&graph);
}

static unsigned one_algo_of(const struct ab_graph *graph, const char *spec, unsigned isas)
{
    struct ab_method *method = NULL;
    struct ab_error err = {""};
    unsigned same;
    CHECK(!ab_method_parse(spec, &method, &err), "%s", err.text);
    CHECK(!ab_tune_one_algo(graph, method, isas, &same, &err), "%s: %s", spec, err.text);
    ab_method_destroy(&method);
    return same;
}

/* All steps' kernels of the plan by either algorithm. */
static bool same_kernels(const struct ab_graph *graph, const char *spec, const char *backend)
{
    struct ab_method *method = NULL;
    struct ab_plan *plans[2];
    struct ab_error err = {""};
    CHECK(!ab_method_parse(spec, &method, &err), "%s", err.text);
    for (int algo = 0; algo < 2; algo++) {
        const struct ab_plan_options o = {.backend = backend, .algo = (enum ab_algo)algo};
        const struct ab_method *const one = method;
        CHECK(!ab_single_create(graph, &one, 1, &o, &plans[algo], &err), "%s", err.text);
    }
    bool same = plans[0]->program.n_steps == plans[1]->program.n_steps;
    for (int i = 0; i < plans[0]->program.n_steps && same; i++)
        same = plans[0]->program.steps[i].kind == plans[1]->program.steps[i].kind &&
               !strcmp(ab_plan_kernel(plans[0], i), ab_plan_kernel(plans[1], i));
    for (int algo = 0; algo < 2; algo++) ab_single_destroy(&plans[algo]);
    ab_method_destroy(&method);
    return same;
}

/* What is said of engines is what their plans are; of 8 channels Winograd makes nothing, of strides
 * neither. */
TEST(one_algorithm_is_one_plan)
{
    /* Plain sums alone compute the negative sum of alpha-beta, which is otherwise the rest. */
    static const char *const specs[] = {"gradient",     "guided-backprop", "lrp-epsilon",
                                        "epsilon-plus", "lrp-zplus",       "lrp-alpha-beta"};
    enum { REST = 5, NETS = 4 };
    const unsigned isas = ab_cpu_isas();
    int same = 0, differ = 0;
    for (int k = 0; k < NETS; k++) {
        struct ab_graph *graph = k < 2 ? net_small(1 + k) : k == 2 ? net_wide() : net_strides();
        for (size_t m = 0; m < sizeof specs / sizeof *specs; m++) {
            const unsigned told = one_algo_of(graph, specs[m], isas);
            CHECK(!(told & ~isas), "engines that this CPU lacks");
            for (int isa = 0; isa < AB_ISA_COUNT; isa++) {
                char backend[32];
                if (!(isas >> isa & 1)) continue;
                snprintf(backend, sizeof backend, "native:%s", ab_isa_name((enum ab_isa)isa));
                context("net %d, %s, %s", k, specs[m], backend);
                const bool is = same_kernels(graph, specs[m], backend);
                CHECK((told >> isa & 1) == is, "its plans %s", is ? "are one" : "differ");
                same += is;
                differ += !is;
            }
            if (k != 2) {
                const bool rest = k == 3 && m == REST;
                CHECK(told == (rest ? 0 : isas), "net %d, %s: %x of %x", k, specs[m], told, isas);
            }
            if (k == 2 && (isas >> AB_ISA_avx2 & 1))
                CHECK(!(told >> AB_ISA_avx2 & 1), "%s: a layer for Winograd", specs[m]);
        }
        ab_graph_destroy(&graph);
    }
    CHECK(same > 0, "no plans alike");
    CHECK(differ > 0 || !(isas & ~(1u << AB_ISA_ref | 1u << AB_ISA_plain)), "none that differ");
    /* A sampler's are those of its base. */
    struct ab_graph *graph = net_small(2);
    CHECK(one_algo_of(graph, "smoothgrad", isas) == isas, "of a sampler");
    ab_graph_destroy(&graph);
}

TEST(samples_multiply_work)
{
    struct ab_graph *graph = net_small(1);
    const struct ab_tune_work one = work_of(graph, "gradient"),
                              many = work_of(graph, "smoothgrad:n=7");
    CHECK(many.direct == 7 * one.direct && many.fast == 7 * one.fast, "%g, not 7 times %g",
          many.direct, one.direct);
    CHECK(many.weights == one.weights, "%g bytes, not %g", many.weights, one.weights);
    ab_graph_destroy(&graph);
}

/* Multiplications that the steps of a plan count, for one image. */
static double counted(const struct ab_plan *plan)
{
    double flops = 0;
    for (int i = 0; i < plan->program.n_steps; i++)
        if (!plan->program.steps[i].constant) flops += ab_step_flops(plan, &plan->program.steps[i]);
    return flops / plan->exec.batch;
}

/* No plan of any method counts less work than the least. */
TEST(work_is_the_least)
{
    static const char *const backends[] = {"native", "reference"};
    struct ab_graph *graph = net_branches(2);
    int count, checked = 0;
    const struct ab_method_info *infos = ab_methods(&count);
    for (int m = 0; m < count; m++) {
        struct ab_method *method = NULL;
        struct ab_error err = {""};
        if (ab_method_parse(infos[m].name, &method, &err)) continue;
        const struct ab_method *one = method;
        for (int b = 0; b < 2; b++) {
            const struct ab_plan_options options = {.backend = backends[b], .batch = 2};
            struct ab_plan *plan = NULL;
            if (ab_plan_create(graph, &one, 1, &options, &plan, &err)) continue;
            const struct ab_tune_work w = work_of(graph, infos[m].name);
            const struct ab_sampler *s =
                ab_plan_sampler_count(plan) ? ab_plan_sampler(plan, 0) : NULL;
            const double most = s ? counted(s->plan) * s->draw.n : counted(plan);
            CHECK(w.direct <= most && w.fast <= w.direct, "%s: %g and %g of %g", infos[m].name,
                  w.direct, w.fast, most);
            CHECK(w.fast * 4 >= w.direct, "%s: %g of %g", infos[m].name, w.fast, w.direct);
            checked++;
            ab_plan_destroy(&plan);
        }
        ab_method_destroy(&method);
    }
    CHECK(checked > count, "%d of %d methods checked", checked, count);
    ab_graph_destroy(&graph);
}

/* ---- roofs ---- */

/* Images a second of the best of some executions. */
static double rate_of(const struct ab_graph *graph, const struct ab_method *method,
                      const struct ab_deploy *d)
{
    struct ab_plan *plan;
    struct ab_error err = {""};
    const struct ab_plan_options options = ab_deploy_options(d);
    const struct ab_dims in = ab_graph_input(graph);
    const size_t count = (size_t)d->batch * (size_t)in.c * (size_t)in.h * (size_t)in.w;
    float *input = ab_buffer_alloc(count * sizeof *input);
    double least = (double)INFINITY;
    for (size_t i = 0; i < count; i++) input[i] = (float)ab_normal(5, i);
    CHECK(!ab_plan_create(graph, &method, 1, &options, &plan, &err), "%s", err.text);
    for (int i = 0; i < (AB_TEST_SLOW ? 3 : 200); i++) {
        const double start = ab_now_ns();
        CHECK(!ab_plan_execute(plan, input, NULL, NULL, NULL, &err), "%s", err.text);
        least = fmin(least, ab_now_ns() - start);
    }
    ab_plan_destroy(&plan);
    ab_buffer_free(input);
    return 1e9 * d->batch / least;
}

TEST(roofs_are_not_exceeded)
{
    struct ab_graph *graph = net_chain(1, true);
    struct ab_method *method;
    struct ab_tune_roof *roof;
    struct ab_error err = {""};
    CHECK(!ab_method_parse("lrp-epsilon", &method, &err), "%s", err.text);
    CHECK(!ab_tune_roof_create(graph, method, &roof, &err), "%s", err.text);
    for (int k = 0; k < 6; k++) {
        struct ab_point p = {.deploy = {.algo = k & 1 ? AB_ALGO_DIRECT : AB_ALGO_AUTO,
                                        .place = AB_PLACE_FREE,
                                        .threads = 1,
                                        .instances = 1,
                                        .batch = k < 2 ? 1 : 4}};
        snprintf(p.deploy.backend, sizeof p.deploy.backend, "%s",
                 k < 4 ? "native" : "native:plain");
        const double most = ab_tune_roof(roof, &p), got = rate_of(graph, method, &p.deploy);
        CHECK(got <= most, "%s %d batch %d: %g images/s above %g", p.deploy.backend, p.deploy.algo,
              p.deploy.batch, got, most);
    }
    ab_tune_roof_destroy(&roof);
    ab_method_destroy(&method);
    ab_graph_destroy(&graph);
}

TEST(roofs_follow_the_knobs)
{
    struct ab_graph *graph = net_chain(1, true);
    struct ab_method *method;
    struct ab_tune_roof *roof;
    struct ab_error err = {""};
    CHECK(!ab_method_parse("gradient", &method, &err), "%s", err.text);
    CHECK(!ab_tune_roof_create(graph, method, &roof, &err), "%s", err.text);
    struct ab_point p = {
        .deploy = {
            .backend = "native", .algo = AB_ALGO_DIRECT, .threads = 1, .instances = 1, .batch = 8}};
    const double one = ab_tune_roof(roof, &p);
    p.deploy.instances = 2;
    const double two = ab_tune_roof(roof, &p);
    CHECK(fabs(two / one - 2) < 1e-9, "%g and %g", one, two);
    p.deploy.instances = 1;
    p.deploy.algo = AB_ALGO_AUTO;
    const double tiled = ab_tune_roof(roof, &p);
    CHECK(tiled >= one, "%g below %g", tiled, one);
    p.deploy.memory = AB_MEMORY_LEAN;
    CHECK(fabs(ab_tune_roof(roof, &p) / one - 1) < 1e-9, "lean memory has no Winograd");
    ab_tune_roof_destroy(&roof);
    ab_method_destroy(&method);
    ab_graph_destroy(&graph);
}

/* ---- the profile ---- */

static int same_cpus(const cpu_set_t *before)
{
    cpu_set_t now;
    CPU_ZERO(&now);
    return sched_getaffinity(0, sizeof now, &now) == 0 && CPU_EQUAL(before, &now);
}

TEST(a_profile_leaves_the_caller_alone)
{
    struct ab_graph *graph = net_chain(1, true);
    struct ab_method *method;
    struct ab_error err = {""};
    struct ab_tune_limits l;
    cpu_set_t before;
    CPU_ZERO(&before);
    CHECK(sched_getaffinity(0, sizeof before, &before) == 0, "no affinity");
    int cpu = 0;
    while (!CPU_ISSET((size_t)cpu, &before)) cpu++;
    const struct ab_deploy d = {.backend = "native",
                                .denormals = AB_DENORMALS_FLUSH,
                                .place = AB_PLACE_CORES,
                                .threads = 1,
                                .instances = 1,
                                .batch = 2,
                                .cpus = &cpu};
    CHECK(!ab_method_parse("lrp-epsilon", &method, &err), "%s", err.text);
    CHECK(!ab_tune_limits(graph, method, &d, NULL, 0.05, &l, &err), "%s", err.text);
    CHECK(same_cpus(&before), "the caller's CPUs have changed");
    CHECK(ab_denormals_set(AB_DENORMALS_KEEP) == AB_DENORMALS_KEEP,
          "the caller's mode has changed");
    double sum = 0;
    for (int b = 0; b < AB_BOUNDS; b++) sum += l.share[b];
    CHECK(fabs(sum - 1) < 1e-9 && l.step_ns > 0 && l.executions > 0, "shares add up to %g", sum);
    CHECK(l.n_slowest == AB_TUNE_SLOWEST && *l.verdict, "%d layers: %s", l.n_slowest, l.verdict);
    for (int i = 1; i < l.n_slowest; i++)
        CHECK(l.slowest[i].share <= l.slowest[i - 1].share, "layer %d is slower", i);
    CHECK(!l.alone && l.peak >= 0 && l.gflops > 0, "%g GFLOP/s of %g", l.gflops, l.peak);
    ab_method_destroy(&method);
    ab_graph_destroy(&graph);
}

TEST(a_sampler_and_several_threads)
{
    struct ab_graph *graph = net_chain(1, true);
    struct ab_method *method;
    struct ab_error err = {""};
    struct ab_tune_limits l;
    const struct ab_deploy d = {
        .backend = "native", .place = AB_PLACE_FREE, .threads = 2, .instances = 2, .batch = 1};
    CHECK(!ab_method_parse("smoothgrad:n=3", &method, &err), "%s", err.text);
    CHECK(!ab_tune_limits(graph, method, &d, NULL, 0.05, &l, &err), "%s", err.text);
    CHECK(l.alone && l.n_slowest > 0, "%d layers", l.n_slowest);
    struct ab_deploy bad = d;
    snprintf(bad.backend, sizeof bad.backend, "nothing");
    CHECK(ab_tune_limits(graph, method, &bad, NULL, 0.05, &l, &err), "an unknown backend");
    ab_method_destroy(&method);
    ab_graph_destroy(&graph);
}

TEST(verdicts_in_words)
{
    const struct {
        struct ab_tune_limits limits;
        const char *want;
    } rows[] = {
        {{.share = {0.81, 0.1, 0.09}, .reached = {0.92, 0.6}},
         "compute: 81 % of the time goes to layers that run at 92 % of the FMA peak"},
        {{.share = {0.6, 0, 0.4}, .reached = {1.4, 0}, .winograd = true},
         "compute: 60 % of the time goes to layers that run at 140 % of the FMA peak (Winograd "
         "does "
         "fewer multiplications)"},
        {{.share = {0.1, 0.7, 0.2}, .reached = {0.6, 0.85}},
         "memory bandwidth: 70 % of the time goes to steps that read at 85 % of what caches and "
         "memory deliver"},
        {{.share = {0.3, 0.2, 0.5}, .slowest = {{"classifier.0", 0.41, 3, 0.2}}, .n_slowest = 1},
         "layer classifier.0: 41 % of the time, at 20 % of what the machine could do there"},
        {{.share = {0.3, 0.2, 0.5}, .slowest = {{"conv3", 0.1, 3, 0.2}}, .n_slowest = 1},
         "no single roof: 50 % of the time goes to steps that reach half of neither the FMA peak "
         "nor the bandwidth; the slowest layer is conv3"},
        {{.share = {0.3, 0.2, 0.5}, .slowest = {{"", 0.41, 3, 0.2}}, .n_slowest = 1},
         "no single roof: 50 % of the time goes to steps that reach half of neither the FMA peak "
         "nor the bandwidth"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ab_tune_limits l = rows[i].limits;
        ab_tune_verdict(&l);
        CHECK(!strcmp(l.verdict, rows[i].want), "got '%s', want '%s'", l.verdict, rows[i].want);
    }
}

static const struct test_case cases[] = {
    CASE(work_leaves_out_padding),
    CASE(strides_have_no_winograd),
    CASE(one_algorithm_is_one_plan),
    CASE(samples_multiply_work),
    CASE(work_is_the_least),
    CASE(roofs_are_not_exceeded),
    CASE(roofs_follow_the_knobs),
    CASE(a_profile_leaves_the_caller_alone),
    CASE(a_sampler_and_several_threads),
    CASE(verdicts_in_words),
};
TEST_MAIN("tune_limits", cases)
