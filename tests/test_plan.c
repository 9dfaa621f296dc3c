// SPDX-License-Identifier: Apache-2.0
// Plans as a caller meets them: two buffers and no allocation afterwards, several methods in one
// plan, clear refusals.
#include "nets.h"
#include "plan/builder.h"

#include <stdio.h>

/* Counts calls of malloc and its kin while `counting`; not under sanitizers, which bring their own,
 * nor under clang, whose OpenMP runtime allocates in every parallel region. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__) &&      \
    defined(__GLIBC__)
#define COUNTS_MALLOC 1
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
static volatile bool counting;
static volatile int calls;
void *malloc(size_t bytes)
{
    if (counting) calls++;
    return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes)
{
    if (counting) calls++;
    return __libc_calloc(count, bytes);
}
void *realloc(void *old, size_t bytes)
{
    if (counting) calls++;
    return __libc_realloc(old, bytes);
}
#else
#define COUNTS_MALLOC 0
static bool counting;
static int calls;
#endif

static const char *const all_specs[] = {"gradient",          "input-x-gradient",
                                        "deconvnet",         "guided-backprop",
                                        "rectgrad",          "lrp-0",
                                        "lrp-epsilon",       "lrp-zplus",
                                        "lrp-alpha-beta",    "dtd",
                                        "dtd:low=-4,high=4", "epsilon-plus"};
enum { ALL = 12 };

static struct ab_method *parsed(const char *spec)
{
    struct ab_error err = {""};
    struct ab_method *m = NULL;
    CHECK(!ab_method_parse(spec, &m, &err), "%s", err.text);
    return m;
}

/* A descriptor that leaves a field out would print as "(null)". */
TEST(every_method_is_described)
{
    int count;
    const struct ab_method_info *infos = ab_methods(&count);
    for (int m = 0; m < count; m++) {
        const char *fields[] = {infos[m].summary, infos[m].source, infos[m].seed, infos[m].cost,
                                infos[m].tools};
        for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
            CHECK(fields[f] && *fields[f], "%s lacks field %zu", infos[m].name, f);
        CHECK(strchr(infos[m].cost, 'F') || !strcmp(infos[m].cost, "none"), "%s costs '%s'",
              infos[m].name, infos[m].cost);
    }
}

TEST(allocates_twice)
{
    struct ab_graph *g = net_chain(1, true);
    struct ab_method *methods[ALL];
    float *maps[ALL], *x = random_images(g, 2, 1), logits[16];
    struct ab_error err = {""};
    for (int m = 0; m < ALL; m++) {
        methods[m] = parsed(all_specs[m]);
        maps[m] = malloc(sizeof(float) * input_count(g, 2));
    }
    for (int threads = 1; threads <= 2; threads++) {
        struct ab_plan *plan = NULL;
        const struct ab_plan_options options = {.batch = 2, .threads = threads};
        const size_t before = ab_buffer_count();
        CHECK(!ab_plan_create(g, (const struct ab_method *const *)methods, ALL, &options, &plan,
                              &err),
              "%s", err.text);
        CHECK(ab_buffer_count() - before == 2, "%zu buffers", ab_buffer_count() - before);
        size_t weights, arena;
        ab_plan_memory(plan, &weights, &arena);
        CHECK(weights > 0 && arena > 0, "no memory is reported");
        /* The first execution may let OpenMP start its threads. */
        CHECK(!ab_plan_execute(plan, x, NULL, maps, logits, &err), "%s", err.text);
        calls = 0;
        counting = true;
        const enum ab_status status = ab_plan_execute(plan, x, NULL, maps, logits, &err);
        counting = false;
        CHECK(!status, "%s", err.text);
        CHECK(calls == 0, "execution allocated %d times", calls);
        ab_plan_destroy(&plan);
    }
    for (int m = 0; m < ALL; m++) {
        ab_method_destroy(&methods[m]);
        free(maps[m]);
    }
    free(x);
    ab_graph_destroy(&g);
}

/* Methods that share steps must not cost a step more than needed: input x gradient adds two to
 * gradient. */
TEST(shares_steps)
{
    struct ab_graph *g = net_chain(2, true);
    struct ab_program one = {0}, both = {0}, same = {0};
    struct ab_error err = {""};
    struct ab_method *gradient = parsed("gradient"), *ixg = parsed("input-x-gradient");
    const struct ab_method *const pair[] = {gradient, ixg};
    const struct ab_method *const twice[] = {gradient, gradient};
    CHECK(!ab_lower(g, pair, 1, NULL, &one, &err), "%s", err.text);
    CHECK(!ab_lower(g, pair, 2, NULL, &both, &err), "%s", err.text);
    CHECK(!ab_lower(g, twice, 2, NULL, &same, &err), "%s", err.text);
    CHECK(both.n_steps == one.n_steps + 2, "%d steps after %d", both.n_steps, one.n_steps);
    CHECK(same.n_steps == one.n_steps + 1, "%d steps after %d", same.n_steps, one.n_steps);
    ab_program_free(&one);
    ab_program_free(&both);
    ab_program_free(&same);
    ab_method_destroy(&gradient);
    ab_method_destroy(&ixg);
    ab_graph_destroy(&g);
}

/* Every ReLU of a chain and every rule of the gradient becomes an epilogue, those behind pools only
 * where backward pools take them. */
static int fused_pointwise(const struct ab_graph *g, const char *spec, bool pools)
{
    struct ab_program p = {0};
    struct ab_error err = {""};
    struct ab_method *m = parsed(spec);
    CHECK(!ab_lower(g, (const struct ab_method *const *)&m, 1, NULL, &p, &err), "%s", err.text);
    const int before = p.n_steps;
    ab_fuse(&p, pools);
    int pointwise = 0;
    for (int i = 0; i < p.n_steps; i++) {
        const struct ab_step *s = &p.steps[i];
        pointwise += s->op == AB_OP_POINTWISE;
        for (int k = 0; k < ab_step_operand_count(s); k++) {
            const int id = ab_step_operand(s, k);
            CHECK(id < 0 || p.values[id].def < i, "step %d reads value %d before it is written", i,
                  id);
        }
    }
    CHECK(before - p.n_steps >= 6, "%s: %d steps became %d", spec, before, p.n_steps);
    ab_program_free(&p);
    ab_method_destroy(&m);
    return pointwise;
}
TEST(fuses_epilogues)
{
    static const char *const specs[] = {"gradient", "guided-backprop", "lrp-epsilon", "lrp-zplus"};
    struct ab_graph *g = net_chain(3, true);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        const int left = fused_pointwise(g, specs[i], false),
                  less = fused_pointwise(g, specs[i], true);
        CHECK(less <= 6, "%s: %d pointwise steps are left", specs[i], less);
        CHECK(less < left, "%s: pools take none of %d", specs[i], left);
    }
    ab_graph_destroy(&g);
}

/* A conv-relu-conv-relu-fc net whose second convolution is one that Winograd serves. */
static struct ab_graph *wide_net(void)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = 7, .err = &err};
    CHECK(!ab_graph_create("wide", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 3, 12, 12);
    x = ab_build_relu(&b, "relu1", ab_build_conv(&b, "conv1", x, 16, 3, 1, 1, 1, true));
    x = ab_build_relu(&b, "relu2", ab_build_conv(&b, "conv2", x, 16, 3, 1, 1, 1, true));
    x = ab_build_dense(&b, "fc", ab_build_flatten(&b, "flatten", x), 3, true);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

/* Quotients without a bound must not reach a kernel that spreads the rounding of a spike: they are
 * guarded, or direct where no guard can tell. Signals that are no quotients, or bounded ones, are
 * neither. */
TEST(spikes_are_guarded)
{
    enum want { FREE, GUARDED, DIRECT };
    static const struct {
        const char *spec;
        enum want want;
    } rows[] = {{"gradient", FREE},
                {"guided-backprop", FREE},
                {"lrp-epsilon", FREE},
                {"lrp-zplus", GUARDED},
                {"dtd", GUARDED},
                {"lrp-zplus:bias=none", GUARDED},
                {"lrp-alpha-beta", GUARDED},
                {"lrp-gamma", GUARDED},
                {"lrp-gamma:bias=none", GUARDED},
                {"lrp-flat", FREE},
                {"lrp-wsquare", FREE},
                {"lrp-zbox:low=-3,high=3", GUARDED}};
    struct ab_graph *g = wide_net();
    /* Those of the CPU by either algorithm, and those that have no Winograd. */
    enum { BEST, PLAIN_SUMS, PLAIN, SETUPS };
    static const struct ab_plan_options setups[SETUPS] = {
        [PLAIN_SUMS] = {.algo = AB_ALGO_DIRECT}, [PLAIN] = {.backend = "native:plain"}};
    const bool has_winograd = ab_cpu_isas() & ~(1u << AB_ISA_ref | 1u << AB_ISA_plain);
    for (size_t i = 0; i < SETUPS * sizeof rows / sizeof *rows; i++) {
        const size_t row = i / SETUPS, setup = i % SETUPS;
        struct ab_method *m = parsed(rows[row].spec);
        const struct ab_plan_options options = setups[setup];
        const bool quotient = rows[row].want == GUARDED, fast = setup == BEST && has_winograd;
        const enum want want = !quotient             ? rows[row].want
                               : setup == PLAIN_SUMS ? DIRECT
                               : fast                ? GUARDED
                                                     : FREE;
        struct ab_plan *plan = NULL;
        struct ab_error err = {""};
        int seen = 0;
        CHECK(!ab_plan_create(g, (const struct ab_method *const *)&m, 1, &options, &plan, &err),
              "%s", err.text);
        for (int k = 0; k < plan->program.n_steps; k++) {
            const struct ab_step *s = &plan->program.steps[k];
            if (s->op != AB_OP_CONV || s->pass != AB_BWD || g->nodes[s->node].conv.ic != 16)
                continue;
            const char *kernel = ab_plan_kernel(plan, k);
            CHECK(s->direct == (want == DIRECT), "%s: direct is %d", rows[row].spec, s->direct);
            CHECK((s->guard >= 0) == (want == GUARDED), "%s: guard %d", rows[row].spec, s->guard);
            const bool winograd = strstr(kernel, "winograd");
            CHECK(winograd == fast, "%s runs %s", rows[row].spec, kernel);
            seen++;
        }
        CHECK(seen > 0, "%s: no adjoint was seen", rows[row].spec);
        ab_plan_destroy(&plan);
        ab_method_destroy(&m);
    }
    ab_graph_destroy(&g);
}

/* ---- which sums and adjoints a guard is for ---- */

static bool pass_spreads(const void *user, const struct ab_step *s)
{
    const bool *of = user; /* [pass] */
    return of[s->pass];
}

/* A guard stays with a sum where the sum itself or an adjoint of quotients by it would spread its
 * rounding, with the adjoint where that one would. */
TEST(guards_are_kept_for_what_spreads)
{
    struct ab_graph *g = wide_net();
    struct ab_method *m = parsed("lrp-zplus");
    for (int i = 0; i < 4; i++) {
        const bool of[] = {[AB_FWD] = i & 1, [AB_BWD] = i & 2};
        struct ab_program p = {0};
        struct ab_error err = {""};
        int sums = 0, adjoints = 0, bits = 0, fresh = 0;
        CHECK(!ab_lower(g, (const struct ab_method *const *)&m, 1, NULL, &p, &err), "%s", err.text);
        for (int k = 0; k < p.n_steps; k++)
            fresh += p.steps[k].op == AB_OP_CONV && p.steps[k].guard >= 0;
        CHECK(ab_bits(&p, pass_spreads, of), "out of memory");
        for (int k = 0; k < p.n_steps; k++) {
            const struct ab_step *s = &p.steps[k];
            if (s->op != AB_OP_CONV || s->guard < 0) continue;
            *(s->pass == AB_FWD ? &sums : &adjoints) += 1;
            bits += s->kind == AB_PW_GUARD_BITS && s->dst2 >= 0;
        }
        context("forward %d, backward %d", of[AB_FWD], of[AB_BWD]);
        CHECK(fresh > 0 && bits == sums, "%d guarded, %d sums with bits of %d", fresh, bits, sums);
        CHECK(sums == (i ? fresh / 2 : 0) && adjoints == (of[AB_BWD] ? fresh / 2 : 0),
              "%d sums and %d adjoints of %d", sums, adjoints, fresh);
        ab_program_free(&p);
    }
    ab_method_destroy(&m);
    ab_graph_destroy(&g);
}

/* The maps of images by one method; the guarded steps that ran Winograd for the first image. */
static int run_spec(const struct ab_graph *g, const char *spec, struct ab_plan_options options,
                    const float *x, float *maps)
{
    struct ab_method *m = parsed(spec);
    struct ab_plan *plan = NULL;
    struct ab_error err = {""};
    int transformed = 0;
    CHECK(!ab_plan_create(g, (const struct ab_method *const *)&m, 1, &options, &plan, &err), "%s",
          err.text);
    CHECK(!ab_plan_execute(plan, x, NULL, (float *const[]){maps}, NULL, &err), "%s", err.text);
    for (int k = 0; k < plan->program.n_steps; k++) {
        const struct ab_step *s = &plan->program.steps[k];
        if (s->op == AB_OP_CONV && s->guard >= 0)
            transformed += strstr(ab_plan_kernel(plan, k), "winograd") != NULL;
    }
    ab_plan_destroy(&plan);
    ab_method_destroy(&m);
    return transformed;
}

/* Relative to the largest element. */
static double largest_error(const float *got, const float *want, size_t count)
{
    double error = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        const double e = fabs((double)got[i] - (double)want[i]), w = fabs((double)want[i]);
        if (!(e <= error)) error = e;
        if (w > size) size = w;
    }
    return error / size;
}

/* Where an activation is mostly bias, the sums without it are far too small for it: that image
 * falls back to plain sums, forward and backward, and the other of the batch does not. Either way
 * the map is that of plain sums. */
static void judge_each_image(const char *spec, int faint_steps, int usual_steps)
{
    enum { PIXELS = 3 * 12 * 12 };
    struct ab_graph *g = wide_net();
    const struct ab_plan_options one = {.batch = 1}, two = {.batch = 2};
    const struct ab_plan_options plain = {.batch = 2, .algo = AB_ALGO_DIRECT};
    float *x = random_images(g, 2, 5), both[2 * PIXELS], alone[2 * PIXELS], direct[2 * PIXELS];
    for (int k = 0; k < g->n_nodes; k++) {
        const struct ab_node *node = &g->nodes[k];
        if (node->kind != AB_NODE_CONV) continue;
        const float bias = node->conv.ic == 16 ? 1.0f : 0.0f;
        for (int c = 0; c < node->conv.oc; c++) node->bias[c] = bias;
    }
    for (int i = 0; i < PIXELS; i++) x[i] *= 1e-4f;
    run_spec(g, spec, two, x, both);
    run_spec(g, spec, plain, x, direct);
    const int faint = run_spec(g, spec, one, x, alone);
    const int usual = run_spec(g, spec, one, x + PIXELS, alone + PIXELS);
    if (ab_cpu_isas() >> AB_ISA_avx2 & 1) {
        CHECK(faint == faint_steps, "%s: %d Winograd steps under a bias", spec, faint);
        CHECK(usual == usual_steps, "%s: %d Winograd steps", spec, usual);
    }
    CHECK(memcmp(both, alone, sizeof both) == 0, "%s: images of a batch meddle", spec);
    for (int n = 0; n < 2; n++) {
        const double error = largest_error(both + n * PIXELS, direct + n * PIXELS, PIXELS);
        CHECK(error <= 1e-5, "%s, image %d: %.1e from plain sums", spec, n, error);
    }
    free(x);
    ab_graph_destroy(&g);
}
TEST(guards_judge_each_image)
{
    judge_each_image("dtd", 0, 2);
    /* z+ has the bias, so that it and its adjoint stay; z- is then no rest but a convolution. */
    judge_each_image("lrp-alpha-beta", 2, 3);
}

/* Weights packed piece by piece are the same weights: strides, groups, several images, and threads
 * that share a panel's rows. */
TEST(lean_plans_give_the_bits_of_direct_ones)
{
    struct ab_graph *nets[] = {net_chain(5, true), net_branches(6), wide_net()};
    for (int i = 0; i < 3 * ALL; i++) {
        const struct ab_graph *g = nets[i / ALL];
        const struct ab_dims d = ab_graph_input(g);
        const size_t count = 2 * (size_t)d.c * (size_t)d.h * (size_t)d.w;
        float *x = random_images(g, 2, 3), *want = malloc(count * sizeof *want);
        float *got = malloc(count * sizeof *got);
        CHECK(want && got, "out of memory");
        struct ab_plan_options options = {.batch = 2, .algo = AB_ALGO_DIRECT};
        run_spec(g, all_specs[i % ALL], options, x, want);
        options.memory = AB_MEMORY_LEAN;
        for (options.threads = 1; options.threads <= 5; options.threads += 2) {
            run_spec(g, all_specs[i % ALL], options, x, got);
            CHECK(memcmp(got, want, count * sizeof *got) == 0, "net %d, %s, %d threads", i / ALL,
                  all_specs[i % ALL], options.threads);
        }
        free(x), free(want), free(got);
    }
    for (int i = 0; i < 3; i++) ab_graph_destroy(&nets[i]);
}

static void refuse_plan(const struct ab_graph *g, const char *spec, struct ab_plan_options options,
                        enum ab_status want, const char *says)
{
    struct ab_method *m = parsed(spec);
    struct ab_plan *plan = NULL;
    struct ab_error err = {""};
    const enum ab_status got =
        ab_plan_create(g, (const struct ab_method *const *)&m, 1, &options, &plan, &err);
    CHECK(got == want && !plan, "status %d, not %d: %s", (int)got, (int)want, err.text);
    CHECK(strstr(err.text, says), "'%s' does not say '%s'", err.text, says);
    CHECK(!strchr(err.text, '\n'), "more than one line: %s", err.text);
    ab_method_destroy(&m);
}

TEST(refuses_options)
{
    struct ab_graph *g = net_chain(4, true);
    const struct ab_plan_options none = {0};
    struct ab_plan_options o = none;
    o.backend = "nativ";
    refuse_plan(g, "gradient", o, AB_ERR_ARG, "did you mean 'native'");
    o.backend = "native:sse9";
    refuse_plan(g, "gradient", o, AB_ERR_ARG, "unknown instruction set 'sse9'");
    o = none;
    o.batch = -1;
    refuse_plan(g, "gradient", o, AB_ERR_ARG, "batch -1");
    o = none;
    o.threads = 1 << 20;
    refuse_plan(g, "gradient", o, AB_ERR_ARG, "threads 1048576");
    refuse_plan(g, "dtd:low=-1/-1,high=1/1", none, AB_ERR_ARG, "3 input channels");
    ab_graph_destroy(&g);
}

static struct ab_graph *one_layer(bool batchnorm)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = 5, .err = &err};
    CHECK(!ab_graph_create("linear", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 2, 5, 5);
    if (batchnorm) x = ab_build_batchnorm(&b, "early-bn", x);
    x = ab_build_dense(&b, "fc", ab_build_flatten(&b, "flatten", x), 3, true);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

TEST(refuses_methods_without_meaning)
{
    const struct ab_plan_options none = {0};
    struct ab_graph *linear = one_layer(false), *bn = one_layer(true);
    refuse_plan(linear, "guided-backprop", none, AB_ERR_UNSUPPORTED, "has none");
    refuse_plan(linear, "deconvnet", none, AB_ERR_UNSUPPORTED, "has none");
    refuse_plan(linear, "rectgrad", none, AB_ERR_UNSUPPORTED, "has none");
    refuse_plan(bn, "lrp-epsilon", none, AB_ERR_UNSUPPORTED, "early-bn");
    float *x = random_images(bn, 1, 5);
    free(run_method(&(struct job){bn, "native", x, NULL, 1, 1}, "lrp-epsilon:unknown=pass", NULL));
    free(run_method(&(struct job){bn, "native", x, NULL, 1, 1}, "gradient", NULL));
    free(x);
    ab_graph_destroy(&linear);
    ab_graph_destroy(&bn);
}

TEST(refuses_inputs)
{
    struct ab_graph *g = net_chain(6, true);
    struct ab_method *m = parsed("gradient");
    struct ab_plan *plan = NULL;
    struct ab_error err = {""};
    CHECK(!ab_plan_create(g, (const struct ab_method *const *)&m, 1, NULL, &plan, &err), "%s",
          err.text);
    float *x = random_images(g, 1, 6);
    int target = 6;
    CHECK(ab_plan_execute(plan, x, &target, NULL, NULL, &err) == AB_ERR_ARG,
          "target 6 of 6 was taken");
    CHECK(strstr(err.text, "0..5"), "%s", err.text);
    target = AB_TARGET_TOP - 6;
    CHECK(ab_plan_execute(plan, x, &target, NULL, NULL, &err) == AB_ERR_ARG, "rank 6 was taken");
    x[7] = NAN;
    CHECK(ab_plan_execute(plan, x, NULL, NULL, NULL, &err) == AB_ERR_ARG, "NaN was taken");
    x[7] = 0;
    CHECK(!ab_plan_execute(plan, x, NULL, NULL, NULL, &err), "the plan is spoiled: %s", err.text);
    free(x);
    ab_plan_destroy(&plan);
    ab_plan_destroy(&plan);
    ab_method_destroy(&m);
    ab_graph_destroy(&g);
}

TEST(parses_specs)
{
    static const struct {
        const char *spec, *canonical, *error;
    } rows[] = {
        {"gradient", "gradient", NULL},
        {"rectgrad:q=98", "rectgrad", NULL},
        {"rectgrad:input_mul=0,q=80", "rectgrad:q=80,input_mul=0", NULL},
        {"lrp-alpha-beta:alpha=1.5,beta=0.5", "lrp-alpha-beta:alpha=1.5,beta=0.5", NULL},
        {"gradiant", NULL, "did you mean 'gradient'"},
        {"", NULL, "unknown method"},
        {"lrp-epsilon:epz=1", NULL, "did you mean 'eps'"},
        {"lrp-epsilon:eps=-1", NULL, ">= 0"},
        {"lrp-epsilon:eps=nan", NULL, "is not a value"},
        {"lrp-epsilon:eps=1e-3x", NULL, "is not a value"},
        {"lrp-epsilon:eps", NULL, "is not key=value"},
        {"lrp-epsilon:eps=1,eps=2", NULL, "given twice"},
        {"lrp-alpha-beta:alpha=3", NULL, "alpha - beta"},
        {"rectgrad:q=101", NULL, "0..100"},
        {"dtd:low=1", NULL, "both"},
        {"dtd:low=1,high=0", NULL, "above"},
        {"dtd:low=0/0,high=1", NULL, "equally many"},
        {"gradient:seed=two", NULL, "one, logit"},
        {"gradient:", NULL, "is not key=value"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ab_method *m = NULL;
        struct ab_error err = {""};
        const enum ab_status status = ab_method_parse(rows[i].spec, &m, &err);
        context("spec '%s'", rows[i].spec);
        if (rows[i].error) {
            CHECK(status == AB_ERR_ARG && !m, "was taken");
            CHECK(strstr(err.text, rows[i].error), "'%s' does not say '%s'", err.text,
                  rows[i].error);
        } else {
            CHECK(!status, "%s", err.text);
            CHECK(strcmp(ab_method_spec(m), rows[i].canonical) == 0, "became %s",
                  ab_method_spec(m));
        }
        ab_method_destroy(&m);
    }
}

static const struct test_case cases[] = {CASE(every_method_is_described),
                                         CASE(allocates_twice),
                                         CASE(shares_steps),
                                         CASE(fuses_epilogues),
                                         CASE(spikes_are_guarded),
                                         CASE(guards_are_kept_for_what_spreads),
                                         CASE(guards_judge_each_image),
                                         CASE(lean_plans_give_the_bits_of_direct_ones),
                                         CASE(refuses_options),
                                         CASE(refuses_methods_without_meaning),
                                         CASE(refuses_inputs),
                                         CASE(parses_specs)};
TEST_MAIN("plan", cases)
