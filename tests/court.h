// SPDX-License-Identifier: Apache-2.0
// A referee, the methods before it and a backend that it judges; and a network whose first unit
// sees what a test wants.
#ifndef AB_TESTS_COURT_H
#define AB_TESTS_COURT_H

#include "agree/agree.h"
#include "nets.h"

enum { METHODS = 10, BATCH = 2, MOST_TARGETS = 3 };
static const char *const specs[METHODS] = {
    "gradient", "input-x-gradient", "deconvnet",         "guided-backprop", "rectgrad:q=90",
    "lrp-0",    "lrp-epsilon",      "dtd:low=-5,high=5", "lrp-zplus",       "lrp-alpha-beta"};

struct court {
    struct ab_method *methods[METHODS];
    int count, targets; /* targets: of each image; 0: 1 */
    const int *asked;   /* [BATCH][targets], or NULL */
    struct ab_referee *referee;
    float *x;
    struct ab_agreement results[METHODS * MOST_TARGETS];
};

/* The referee of the court's case. */
static inline void court_call(struct court *c, const struct ab_graph *g, const char *cache)
{
    struct ab_error err = {""};
    const struct ab_judged judged = {.methods = (const struct ab_method *const *)c->methods,
                                     .n_methods = c->count,
                                     .batch = BATCH,
                                     .n_targets = c->targets,
                                     .input = c->x,
                                     .targets = c->asked};
    CHECK(!ab_referee_create(g, &judged, 2, cache, &c->referee, &err), "%s", err.text);
}

static inline void court_open(struct court *c, const struct ab_graph *g, const char *const *names,
                              int count, const char *cache)
{
    struct ab_error err = {""};
    *c = (struct court){.count = count, .x = random_images(g, BATCH, 3)};
    for (int m = 0; m < count; m++)
        CHECK(!ab_method_parse(names[m], &c->methods[m], &err), "%s", err.text);
    court_call(c, g, cache);
}

static inline void court_close(struct court *c)
{
    for (int m = 0; m < c->count; m++) ab_method_destroy(&c->methods[m]);
    ab_referee_destroy(&c->referee);
    CHECK(!c->referee, "not cleared");
    free(c->x);
}

/* Judges a backend on `g`, which may be another graph than the referee's. */
static inline void court_judge(struct court *c, const struct ab_graph *g, const char *backend)
{
    struct ab_error err = {""};
    struct ab_plan *plan = NULL;
    const struct ab_plan_options options = {
        .backend = backend, .batch = BATCH, .threads = 1, .retain = true, .targets = c->targets};
    CHECK(!ab_plan_create(g, (const struct ab_method *const *)c->methods, c->count, &options, &plan,
                          &err),
          "%s", err.text);
    CHECK(!ab_plan_execute(plan, c->x, c->asked, NULL, NULL, &err), "%s", err.text);
    CHECK(!ab_referee_judge(c->referee, plan, c->results, &err), "%s", err.text);
    ab_plan_destroy(&plan);
}

/* image -> conv 1x1 with two units -> relu -> fc. Unit 0 sees x0 - x1 + bias, and the image has
 * x0 = x1 everywhere, so that its ReLU's input is the bias. cap 0: none. */
static inline struct ab_graph *net_balance(float bias, float cap)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = 5, .err = &err};
    CHECK(!ab_graph_create("balance", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 2, 4, 4);
    const int conv = ab_build_conv(&b, "conv", x, 2, 1, 1, 0, 1, true);
    x = ab_build_flatten(&b, "flatten", ab_build_capped_relu(&b, "relu", conv, cap));
    x = ab_build_dense(&b, "fc", x, 3, true);
    CHECK(!b.status, "%s", err.text);
    const float wei[] = {1, -1, 0.7f, 0.4f};
    memcpy(b.graph->nodes[conv].wei, wei, sizeof wei);
    b.graph->nodes[conv].bias[0] = bias;
    CHECK(!ab_graph_finish(b.graph, x, &err), "%s", err.text);
    return b.graph;
}

static inline void judge_at_cap(struct court *c, float ours, float theirs, float cap,
                                const char *const *names, int count)
{
    struct ab_graph *g = net_balance(ours, cap), *other = net_balance(theirs, cap);
    court_open(c, g, names, count, NULL);
    ab_referee_destroy(&c->referee);
    for (int i = 0; i < BATCH * 32; i++) c->x[i] = i % 32 < 16 ? 1.5f : c->x[i - 16];
    court_call(c, g, NULL);
    court_judge(c, other, "native");
    court_close(c);
    ab_graph_destroy(&g);
    ab_graph_destroy(&other);
}

static inline void judge_balance(struct court *c, float ours, float theirs,
                                 const char *const *names, int count)
{
    judge_at_cap(c, ours, theirs, 0, names, count);
}

#endif
