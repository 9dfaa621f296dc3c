// SPDX-License-Identifier: Apache-2.0
// ReLUs with a cap before the referee: all backends agree on them, units that rounding moves across
// a cap are followed, other caps are found, and the cache keeps which units were at theirs.
#include "agree/referee.h"
#include "court.h"
#include "files.h"

TEST(backends_agree)
{
    struct ab_graph *graphs[] = {net_capped(net_chain(21, true), 0.75f),
                                 net_capped(net_branches(22), 0.75f)};
    char names[12][32];
    const int backends = backend_names(names, 12);
    for (int k = 0; k < 2; k++) {
        struct court c;
        court_open(&c, graphs[k], specs, METHODS, NULL);
        for (int b = 0; b < backends; b++) {
            context("%s on %s", names[b], ab_graph_name(graphs[k]));
            court_judge(&c, graphs[k], names[b]);
            for (int m = 0; m < METHODS; m++)
                CHECK(c.results[m].verdict == AB_AGREE && c.results[m].illegal_flips == 0, "%s: %s",
                      specs[m], c.results[m].why);
        }
        court_close(&c);
        ab_graph_destroy(&graphs[k]);
    }
}

/* The methods that look at a cap in a way of their own. */
TEST(rules_of_their_own_agree)
{
    static const char *const some[METHODS] = {"beta-smooth",
                                              "deeplift",
                                              "deeplift:rule=reveal-cancel",
                                              "lrp-gamma",
                                              "lrp-gamma:form=original",
                                              "epsilon-plus",
                                              "excitation-backprop",
                                              "rectgrad:q=20,tau_floor=none",
                                              "rectgrad:variant=modified,q=60",
                                              "guided-grad-cam"};
    struct ab_graph *g = net_capped(net_chain(24, true), 0.75f);
    char names[12][32];
    const int backends = backend_names(names, 12);
    struct court c;
    court_open(&c, g, some, METHODS, NULL);
    for (int b = 0; b < backends; b++) {
        context("%s", names[b]);
        court_judge(&c, g, names[b]);
        for (int m = 0; m < METHODS; m++)
            CHECK(c.results[m].verdict == AB_AGREE && c.results[m].illegal_flips == 0, "%s: %s",
                  some[m], c.results[m].why);
    }
    court_close(&c);
    ab_graph_destroy(&g);
}

/* A cap that is another for the backend: its decisions or its map tell. */
TEST(another_cap_disagrees)
{
    struct ab_graph *good = net_capped(net_chain(23, true), 0.75f);
    struct ab_graph *bad = net_capped(net_chain(23, true), 0.75f);
    for (int n = 0; n < bad->n_nodes; n++)
        if (!strcmp(bad->nodes[n].name, "relu2")) bad->nodes[n].cap = 0.8f;
    struct court c;
    court_open(&c, good, specs, METHODS, NULL);
    court_judge(&c, bad, "native");
    for (int m = 0; m < METHODS; m++)
        CHECK(c.results[m].verdict == AB_DISAGREE, "%s: %s", specs[m],
              ab_verdict_name(c.results[m].verdict));
    court_close(&c);
    ab_graph_destroy(&good);
    ab_graph_destroy(&bad);
}

/* The sum is the bias, next to the cap on either side of it, or at 0; the other unit is between. */
TEST(flips_at_caps_are_replayed)
{
    static const float near[][2] = {{2 - 0x1p-23f, 2}, {2, 2 - 0x1p-23f}, {1e-9f, -1e-9f}};
    static const float far[][2] = {{1.99f, 2.01f}, {2.01f, 1.99f}, {1e-2f, -1e-2f}, {-1, 3}};
    static const char *const some[] = {"gradient", "input-x-gradient", "lrp-epsilon", "lrp-zplus"};
    struct court c;
    for (int k = 0; k < 3; k++) {
        context("pair %d", k);
        judge_at_cap(&c, near[k][0], near[k][1], 2, some, 2);
        for (int m = 0; m < 2; m++) {
            CHECK(c.results[m].flips == 16 * BATCH, "%s: %ld flips", some[m], c.results[m].flips);
            CHECK(c.results[m].verdict == AB_AGREE && !c.results[m].illegal_flips, "%s: %s",
                  some[m], c.results[m].why);
        }
    }
    for (int k = 0; k < 4; k++) {
        context("pair %d", k);
        judge_at_cap(&c, far[k][0], far[k][1], 2, some, 4);
        for (int m = 0; m < 4; m++)
            CHECK(c.results[m].verdict == AB_DISAGREE && c.results[m].illegal_flips >= 16 * BATCH,
                  "%s: %s, %ld", some[m], c.results[m].why, c.results[m].illegal_flips);
        CHECK(strstr(c.results[0].why, k < 2 ? "capped ReLU at 'relu'" : "ReLU gate at 'relu'"),
              "%s", c.results[0].why);
    }
}

/* Fused, each capped convolution is one step, and where relevance needs the sum beside it two. */
static int count_steps(const char *spec, enum ab_op op, enum ab_pointwise_kind kind)
{
    struct ab_error err = {""};
    struct ab_graph *g = net_capped(net_chain(25, true), 0.75f);
    struct ab_method *method = NULL;
    struct ab_plan *plan = NULL;
    CHECK(!ab_method_parse(spec, &method, &err), "%s", err.text);
    CHECK(!ab_plan_create(g, (const struct ab_method *const *)&method, 1, NULL, &plan, &err), "%s",
          err.text);
    int count = 0;
    for (int i = 0; i < plan->program.n_steps; i++) {
        const struct ab_step *s = &plan->program.steps[i];
        count += s->op == op && s->kind == kind;
    }
    ab_plan_destroy(&plan);
    ab_method_destroy(&method);
    ab_graph_destroy(&g);
    return count;
}

TEST(caps_are_fused)
{
    static const char *const gated[] = {"gradient", "guided-backprop"};
    for (int m = 0; m < 2; m++) {
        context("%s", gated[m]);
        CHECK(count_steps(gated[m], AB_OP_CONV, AB_PW_CAP_BITS) == 3, "convolutions");
        CHECK(count_steps(gated[m], AB_OP_DENSE, AB_PW_CAP) == 1, "dense layers");
        CHECK(count_steps(gated[m], AB_OP_POINTWISE, AB_PW_CAP_BITS) == 0, "passes of their own");
    }
    CHECK(count_steps("lrp-epsilon", AB_OP_CONV, AB_PW_RELU) == 3, "sums without their cap");
    CHECK(count_steps("lrp-epsilon", AB_OP_POINTWISE, AB_PW_CAP) == 4, "caps");
    CHECK(count_steps("lrp-epsilon", AB_OP_POINTWISE, AB_PW_RELU) == 0, "passes of ReLU");
}

/* Units of the reference's own decisions that are in that state. */
static long count_units(const struct ab_referee *r, enum ab_unit_state state)
{
    long count = 0;
    for (int id = 0; id < r->own.n_values; id++) {
        const uint8_t *units = r->own.of[id];
        if (!units || r->plan->program.values[id].decision != AB_DECIDE_CAP) continue;
        for (size_t i = 0; i < ab_plan_value_count(r->plan, id); i++) count += units[i] == state;
    }
    return count;
}

TEST(caches)
{
    struct ab_graph *g = net_capped(net_chain(26, true), 0.75f);
    char dir[600], path[700];
    snprintf(dir, sizeof dir, "%s", temp_path("cache"));
    struct court first, again;
    court_open(&first, g, specs, METHODS, dir);
    snprintf(path, sizeof path, "%s/reference-%016llx.bin", dir,
             (unsigned long long)ab_referee_hash(first.referee, ab_referee_sources()));
    CHECK(access(path, R_OK) == 0, "%s is not there", path);
    for (int state = AB_UNIT_DROPPED; state <= AB_UNIT_AT_CAP; state++)
        CHECK(count_units(first.referee, (enum ab_unit_state)state) > 0, "no unit is in state %d",
              state);
    court_open(&again, g, specs, METHODS, dir);
    for (int id = 0; id < first.referee->own.n_values; id++)
        CHECK(
            !ab_decisions_differ(first.referee->plan, id, &first.referee->own, &again.referee->own),
            "value %d: other decisions in the cache", id);
    court_judge(&first, g, "native");
    court_judge(&again, g, "native");
    for (int m = 0; m < METHODS; m++)
        CHECK(!memcmp(&first.results[m].rel_l2, &again.results[m].rel_l2, sizeof(double)) &&
                  first.results[m].flips == again.results[m].flips,
              "%s: %.17g and %ld flips, by the cache %.17g and %ld", specs[m],
              first.results[m].rel_l2, first.results[m].flips, again.results[m].rel_l2,
              again.results[m].flips);
    court_close(&first);
    court_close(&again);
    remove(path);
    ab_graph_destroy(&g);
}

static const struct test_case cases[] = {
    CASE(backends_agree),        CASE(rules_of_their_own_agree),
    CASE(another_cap_disagrees), CASE(flips_at_caps_are_replayed),
    CASE(caps_are_fused),        CASE(caches)};
TEST_MAIN("caps", cases)
