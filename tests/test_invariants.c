// SPDX-License-Identifier: Apache-2.0
// What must hold of the methods whatever computes them: exactness under powers of two, equalities
// between methods, conservation, signs, finite differences; on every backend and instruction set.
// docs/methods.md lists the invariants.
#include "nets.h"

#include <stdio.h>

enum { BATCH = 3, MAX_BACKENDS = 12 };

/* Whether the backend under test must give equal bits for equal work. */
static bool exact;

static void for_backends(void (*check)(const char *backend))
{
    char names[MAX_BACKENDS][32];
    const int count = backend_names(names, MAX_BACKENDS);
    CHECK(count >= 3, "only %d backends", count);
    for (int i = 0; i < count; i++) {
        context("backend %s", names[i]);
        exact = strncmp(names[i], "onednn", 6) != 0;
        check(names[i]);
    }
}

static double sum(const float *v, size_t count, bool absolute)
{
    double s = 0;
    for (size_t i = 0; i < count; i++) s += absolute ? fabs((double)v[i]) : (double)v[i];
    return s;
}

/* Multiplies weights and bias of the last layer by `by`. */
static void scale_head(struct ab_graph *g, float by)
{
    struct ab_node *head = &g->nodes[g->output];
    for (size_t i = 0; i < head->wei_count; i++) head->wei[i] *= by;
    for (int i = 0; head->bias && i < head->dims.c; i++) head->bias[i] *= by;
}

/* got == want * by: bit for bit, but for oneDNN, where each plan takes the algorithm that it timed
 * best. */
static void check_scaled(const char *spec, const float *got, const float *want, float by,
                         size_t count)
{
    double off = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        off += pow((double)got[i] - (double)(want[i] * by), 2);
        all += pow((double)(want[i] * by), 2);
        CHECK(!exact || got[i] == want[i] * by, "%s: element %zu is %.9g, not %.9g", spec, i,
              (double)got[i], (double)(want[i] * by));
    }
    CHECK(off <= 1e-8 * all, "%s differs by %g in relative L2", spec, sqrt(off / all));
}

/* Seed homogeneity: a head twice as large doubles every map (the logit seed doubles too, but so do
 * the denominators). */
static void homogeneous(const char *backend)
{
    static const char *const specs[] = {"gradient",        "input-x-gradient", "deconvnet",
                                        "guided-backprop", "rectgrad:q=80",    "lrp-0"};
    struct ab_graph *g = net_chain(1, true);
    float *x = random_images(g, BATCH, 1);
    static const int targets[BATCH] = {0, 1, 2};
    for (int m = 0; m < 6; m++) {
        const struct job job = {g, backend, x, targets, BATCH, 1};
        float *once = run_method(&job, specs[m], NULL);
        scale_head(g, 2);
        float *twice = run_method(&job, specs[m], NULL);
        scale_head(g, 0.5f);
        check_scaled(specs[m], twice, once, 2, input_count(g, BATCH));
        free(once);
        free(twice);
    }
    free(x);
    ab_graph_destroy(&g);
}
TEST(seed_homogeneity)
{
    for_backends(homogeneous);
}

/* Without biases, an image twice as bright leaves gradients alone and doubles what is multiplied by
 * the image. */
static void input_scaling(const char *backend)
{
    static const struct {
        const char *spec;
        float by;
    } rows[] = {{"gradient", 1},         {"deconvnet", 1},
                {"guided-backprop", 1},  {"rectgrad:q=80,input_mul=0", 1},
                {"input-x-gradient", 2}, {"lrp-0", 2}};
    struct ab_graph *g = net_chain(2, false);
    const size_t count = input_count(g, BATCH);
    float *x = random_images(g, BATCH, 2), *bright = random_images(g, BATCH, 2);
    static const int targets[BATCH] = {3, 0, 2};
    for (size_t i = 0; i < count; i++) bright[i] = 2 * x[i];
    for (size_t m = 0; m < sizeof rows / sizeof *rows; m++) {
        float *a = run_method(&(struct job){g, backend, x, targets, BATCH, 1}, rows[m].spec, NULL);
        float *b =
            run_method(&(struct job){g, backend, bright, targets, BATCH, 1}, rows[m].spec, NULL);
        check_scaled(rows[m].spec, b, a, rows[m].by, count);
        free(a);
        free(b);
    }
    free(x);
    free(bright);
    ab_graph_destroy(&g);
}
TEST(image_scaling)
{
    for_backends(input_scaling);
}

/* RectGrad with threshold 0 and no product with the image is Guided Backprop. */
static void rect_is_guided(const char *backend)
{
    struct ab_graph *graphs[] = {net_chain(3, true), net_branches(3)};
    for (int k = 0; k < 2; k++) {
        float *x = random_images(graphs[k], BATCH, 3);
        const struct job job = {graphs[k], backend, x, NULL, BATCH, 1};
        float *rect = run_method(&job, "rectgrad:q=0,input_mul=0", NULL);
        float *guided = run_method(&job, "guided-backprop", NULL);
        check_scaled("rectgrad", rect, guided, 1, input_count(graphs[k], BATCH));
        CHECK(sum(guided, input_count(graphs[k], BATCH), true) > 0, "the map is empty");
        free(rect);
        free(guided);
        free(x);
        ab_graph_destroy(&graphs[k]);
    }
}
TEST(rectgrad_at_zero_is_guided)
{
    for_backends(rect_is_guided);
}

/* LRP-0 is input x gradient, with biases too: the logit seed divided by the logit is 1. */
static void lrp_is_ixg(const char *backend)
{
    struct ab_graph *graphs[] = {net_chain(4, true), net_branches(4)};
    for (int k = 0; k < 2; k++) {
        const size_t count = input_count(graphs[k], 1);
        float *x = random_images(graphs[k], 1, 4);
        static const int target = 2;
        const struct job job = {graphs[k], backend, x, &target, 1, 1};
        float *lrp = run_method(&job, "lrp-0", NULL);
        float *ixg = run_method(&job, "input-x-gradient", NULL);
        const double limit = strcmp(backend, "reference") == 0 ? 1e-6 : 5e-3;
        CHECK(relative_l2(lrp, ixg, count) <= limit, "differ by %g", relative_l2(lrp, ixg, count));
        free(lrp);
        free(ixg);
        free(x);
        ab_graph_destroy(&graphs[k]);
    }
}
TEST(lrp_0_is_input_x_gradient)
{
    for_backends(lrp_is_ixg);
}

/* Without biases all relevance arrives: the map sums to the logit. */
static void conserves(const char *backend)
{
    static const char *const specs[] = {"lrp-0",          "lrp-epsilon", "lrp-zplus",
                                        "lrp-alpha-beta", "dtd",         "dtd:low=-5,high=5"};
    struct ab_graph *g = net_chain(5, false);
    const size_t count = input_count(g, 1);
    float *x = random_images(g, 1, 5), logits[8];
    for (int m = 0; m < 6; m++) {
        float *map = run_method(&(struct job){g, backend, x, NULL, 1, 1}, specs[m], logits);
        double top = logits[0];
        for (int c = 1; c < ab_graph_classes(g); c++) top = fmax(top, (double)logits[c]);
        const double off = fabs(sum(map, count, false) - top), all = sum(map, count, true);
        /* 1e-5 for each of the five linear layers */
        CHECK(off <= 5e-5 * all, "%s: off by %g of %g", specs[m], off, all);
        free(map);
    }
    free(x);
    ab_graph_destroy(&g);
}
TEST(conservation)
{
    for_backends(conserves);
}

/* z+ and DTD maps of a positive seed have no negative element: exact, not within rounding. */
static void signs(const char *backend)
{
    static const char *const specs[] = {"lrp-zplus:seed=one", "dtd:seed=one"};
    struct ab_graph *g = net_chain(6, true);
    float *x = random_images(g, BATCH, 6);
    for (int m = 0; m < 2; m++) {
        float *map = run_method(&(struct job){g, backend, x, NULL, BATCH, 1}, specs[m], NULL);
        for (size_t i = 0; i < input_count(g, BATCH); i++) {
            CHECK(map[i] >= 0, "%s: element %zu is %g", specs[m], i, (double)map[i]);
        }
        CHECK(sum(map, input_count(g, BATCH), true) > 0, "%s: empty", specs[m]);
        free(map);
    }
    free(x);
    ab_graph_destroy(&g);
}
TEST(non_negative)
{
    for_backends(signs);
}

/* alpha 1, beta 0 is z+, bit for bit. */
static void alpha_one(const char *backend)
{
    struct ab_graph *g = net_branches(7);
    float *x = random_images(g, BATCH, 7);
    const struct job job = {g, backend, x, NULL, BATCH, 1};
    float *a = run_method(&job, "lrp-alpha-beta:alpha=1,beta=0", NULL);
    float *z = run_method(&job, "lrp-zplus", NULL);
    check_scaled("alpha-beta(1,0)", a, z, 1, input_count(g, BATCH));
    free(a);
    free(z);
    free(x);
    ab_graph_destroy(&g);
}
TEST(alpha_one_is_zplus)
{
    for_backends(alpha_one);
}

/* A sample's map does not depend on the batch it is in. */
static void batch_free(const char *backend)
{
    static const char *const specs[] = {"gradient", "rectgrad:q=80", "lrp-alpha-beta", "dtd"};
    struct ab_graph *g = net_branches(8);
    const size_t count = input_count(g, 1);
    float *x = random_images(g, BATCH, 8), *maps[4], *alone[4];
    run_methods(&(struct job){g, backend, x, NULL, BATCH, 1}, specs, 4, maps, NULL);
    for (int n = 0; n < BATCH; n++) {
        run_methods(&(struct job){g, backend, x + (size_t)n * count, NULL, 1, 1}, specs, 4, alone,
                    NULL);
        for (int m = 0; m < 4; m++) {
            const float *in_batch = maps[m] + (size_t)n * count;
            check_scaled(specs[m], in_batch, alone[m], 1, count);
            free(alone[m]);
        }
    }
    for (int m = 0; m < 4; m++) free(maps[m]);
    free(x);
    ab_graph_destroy(&g);
}
TEST(batch_independence)
{
    for_backends(batch_free);
}

/* Nor on the number of threads, nor on the other methods of the plan. */
static void thread_free(const char *backend)
{
    static const char *const specs[] = {"gradient", "rectgrad:q=80", "lrp-epsilon",
                                        "lrp-alpha-beta", "dtd:low=-5,high=5"};
    struct ab_graph *graphs[] = {net_chain(9, true), net_branches(9)};
    for (int k = 0; k < 2; k++) {
        const size_t count = input_count(graphs[k], 2);
        float *x = random_images(graphs[k], 2, 9), *maps[5];
        run_methods(&(struct job){graphs[k], backend, x, NULL, 2, 1}, specs, 5, maps, NULL);
        for (int threads = 1; threads <= 3; threads++) {
            for (int m = 0; m < 5; m++) {
                float *map = run_method(&(struct job){graphs[k], backend, x, NULL, 2, threads},
                                        specs[m], NULL);
                check_scaled(specs[m], map, maps[m], 1, count);
                free(map);
            }
        }
        for (int m = 0; m < 5; m++) free(maps[m]);
        free(x);
        ab_graph_destroy(&graphs[k]);
    }
}
TEST(thread_independence)
{
    for_backends(thread_free);
}

/* ---- the reference against finite differences ---- */

struct probe {
    struct ab_plan *plan;
    double *map, *decisions, logit;
    size_t n_decisions;
};

static size_t decision_count(const struct ab_plan *plan)
{
    size_t count = 0;
    for (int v = 0; v < plan->program.n_values; v++) {
        if (plan->program.values[v].decision != AB_DECIDE_NOTHING)
            count += ab_plan_value_count(plan, v);
    }
    return count;
}

/* Decisions as 0/1 (ReLU) or winner, in one array. */
static void read_decisions(const struct probe *p, double *to)
{
    for (int v = 0; v < p->plan->program.n_values; v++) {
        const enum ab_decision d = p->plan->program.values[v].decision;
        if (d == AB_DECIDE_NOTHING) continue;
        ab_plan_peek(p->plan, v, to);
        const size_t count = ab_plan_value_count(p->plan, v);
        for (size_t i = 0; i < count && d == AB_DECIDE_RELU; i++) to[i] = to[i] > 0;
        to += count;
    }
}

static double logit_at(const struct probe *p, const float *x, int target, double *decisions)
{
    struct ab_error err = {""};
    double logits[8];
    CHECK(!ab_plan_execute(p->plan, x, &target, NULL, NULL, &err), "%s", err.text);
    ab_plan_peek(p->plan, p->plan->program.logits, logits);
    read_decisions(p, decisions);
    return logits[target];
}

/* f is linear where no decision changes: the difference quotient is the directional derivative to
 * rounding. */
static void check_differences(struct ab_graph *g, uint64_t salt)
{
    struct ab_error err = {""};
    struct ab_method *method = NULL;
    struct probe p = {NULL};
    const struct ab_plan_options options = {.backend = "reference", .retain = true};
    CHECK(!ab_method_parse("gradient", &method, &err), "%s", err.text);
    CHECK(!ab_plan_create(g, (const struct ab_method *const *)&method, 1, &options, &p.plan, &err),
          "%s", err.text);
    const size_t count = input_count(g, 1), decisions = decision_count(p.plan);
    double *map = malloc(sizeof *map * count), *d0 = malloc(sizeof *d0 * decisions),
           *d1 = malloc(sizeof *d1 * decisions);
    CHECK(map && d0 && d1, "out of memory");
    float *x = random_images(g, 1, salt), *moved = random_images(g, 1, salt + 1);
    int compared = 0;
    for (int target = 0; target < ab_graph_classes(g); target++) {
        const double at = logit_at(&p, x, target, d0);
        ab_plan_peek(p.plan, p.plan->program.outputs[0], map);
        double slope = 0;
        for (size_t i = 0; i < count; i++) {
            moved[i] = x[i] + 1e-4f * sinf((float)i + (float)target);
            slope += map[i] * ((double)moved[i] - (double)x[i]);
        }
        const double change = logit_at(&p, moved, target, d1) - at;
        if (memcmp(d0, d1, sizeof *d0 * decisions) != 0) continue;
        CHECK(fabs(change - slope) <= 1e-7 * fabs(slope) + 1e-14 * fabs(at),
              "target %d: %.12g, not %.12g", target, change, slope);
        compared++;
    }
    CHECK(compared > 0, "every step flipped a decision: nothing was compared");
    free(map), free(d0), free(d1), free(x), free(moved);
    ab_method_destroy(&method);
    ab_plan_destroy(&p.plan);
}

TEST(finite_differences)
{
    struct ab_graph *graphs[] = {net_chain(10, true), net_branches(10)};
    for (int k = 0; k < 2; k++) {
        check_differences(graphs[k], 20);
        ab_graph_destroy(&graphs[k]);
    }
}

/* ---- signals inside: Guided Backprop is non-negative and lives on active units ---- */

/* The activation that gates step `s`: itself, or what its bits were made of. */
static int gate_of(const struct ab_program *p, const struct ab_step *s)
{
    for (int i = 0; i < p->n_steps && s->a < 0; i++)
        if (p->steps[i].dst2 == s->bits) return p->steps[i].dst;
    return s->a;
}

static void guided_inside(const char *backend)
{
    struct ab_error err = {""};
    struct ab_graph *g = net_branches(11);
    struct ab_method *method = NULL;
    struct ab_plan *plan = NULL;
    const struct ab_plan_options options = {.backend = backend, .retain = true};
    CHECK(!ab_method_parse("guided-backprop", &method, &err), "%s", err.text);
    CHECK(!ab_plan_create(g, (const struct ab_method *const *)&method, 1, &options, &plan, &err),
          "%s", err.text);
    float *x = random_images(g, 1, 11);
    CHECK(!ab_plan_execute(plan, x, NULL, NULL, NULL, &err), "%s", err.text);
    int rules = 0;
    for (int i = 0; i < plan->program.n_steps; i++) {
        const struct ab_step *s = &plan->program.steps[i];
        if (s->kind != AB_PW_GUIDED && s->kind != AB_PW_GUIDED_BITS) continue;
        const size_t count = ab_plan_value_count(plan, s->dst);
        double *r = malloc(sizeof *r * count), *a = malloc(sizeof *a * count);
        CHECK(r && a, "out of memory");
        ab_plan_peek(plan, s->dst, r);
        ab_plan_peek(plan, gate_of(&plan->program, s), a);
        for (size_t k = 0; k < count; k++)
            CHECK(r[k] >= 0 && (a[k] > 0 || r[k] == 0), "step %d", i);
        free(r), free(a);
        rules++;
    }
    CHECK(rules == 4, "%d guided steps for 4 ReLUs", rules);
    free(x);
    ab_method_destroy(&method);
    ab_plan_destroy(&plan);
    ab_graph_destroy(&g);
}
TEST(guided_signals)
{
    for_backends(guided_inside);
}

static const struct test_case cases[] = {
    CASE(seed_homogeneity),          CASE(image_scaling),      CASE(rectgrad_at_zero_is_guided),
    CASE(lrp_0_is_input_x_gradient), CASE(conservation),       CASE(non_negative),
    CASE(alpha_one_is_zplus),        CASE(batch_independence), CASE(thread_independence),
    CASE(finite_differences),        CASE(guided_signals)};
TEST_MAIN("invariants", cases)
