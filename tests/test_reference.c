// SPDX-License-Identifier: Apache-2.0
// The reference backend against exact differences of piecewise linear networks, brute-force
// percentiles and decisions forced upon it.
#include "backend/reference.h"
#include "naive.h"
#include "nets.h"

/* ---- selection ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

TEST(selects_ranks)
{
    struct rng r = rng_new(3);
    for (int i = 0; i < 300; i++) {
        const size_t n = (size_t)rng_between(&r, 1, 60);
        double v[60], sorted[60];
        for (size_t e = 0; e < n; e++)
            v[e] = sorted[e] = i % 3 ? rng_between(&r, -2, 2) : rng_normal(&r);
        qsort(sorted, n, sizeof *sorted, by_value);
        const size_t k = (size_t)rng_between(&r, 0, (int)n - 1);
        CHECK(ab_select_double(v, n, k) == sorted[k], "rank %zu of %zu", k, n);
    }
}

/* ---- whole networks ---- */

/* Every layer kind and awkward window; piecewise linear. */
static struct ab_graph *net_windows(uint64_t seed)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = seed, .err = &err};
    CHECK(!ab_graph_create("windows", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 3, 11, 10);
    x = ab_build_relu(&b, "relu1", ab_build_conv(&b, "conv1", x, 18, 3, 2, 2, 3, true));
    const int y = ab_build_maxpool(&b, "pool", x, 3, 2, 1, false);
    const int z = ab_build_avgpool(&b, "padded", x, 3, 2, 1);
    const int parts[] = {ab_build_relu(&b, "relu2", y), z};
    x = ab_build_concat(&b, "concat", parts, 2);
    const struct ab_dims d = b.graph->nodes[x].dims;
    struct ab_node *pad = ab_graph_add(b.graph, AB_NODE_PAD, "pad", &x, 1);
    CHECK(pad, "out of memory");
    pad->dims = (struct ab_dims){d.c, d.h + 3, d.w + 3};
    memcpy(pad->pad, (int[]){1, 0, 2, 3}, sizeof pad->pad);
    x = b.graph->n_nodes - 1;
    x = ab_build_batchnorm(&b, "bn", x);
    x = ab_build_relu(&b, "relu3", ab_build_conv(&b, "conv2", x, 21, 2, 1, 0, 1, true));
    x = ab_build_maxpool(&b, "ceil", x, 2, 2, 0, true);
    x = ab_build_avgpool(&b, "inside", x, 2, 1, 1);
    if (x >= 0) b.graph->nodes[x].pool.include_pad = false;
    x = ab_build_flatten(&b, "flatten", x);
    x = ab_build_relu(&b, "relu4", ab_build_dense(&b, "fc1", x, 23, true));
    x = ab_build_dense(&b, "fc2", x, 4, true);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

static struct ab_plan *plan_of(const struct ab_graph *g, const char *spec, int batch, int threads)
{
    struct ab_error err = {""};
    struct ab_method *method = NULL;
    struct ab_plan *plan = NULL;
    const struct ab_plan_options options = {
        .backend = "reference", .batch = batch, .threads = threads, .retain = true};
    CHECK(!ab_method_parse(spec, &method, &err), "%s", err.text);
    CHECK(!ab_plan_create(g, (const struct ab_method *const *)&method, 1, &options, &plan, &err),
          "%s", err.text);
    ab_method_destroy(&method);
    return plan;
}

static void execute(struct ab_plan *plan, const float *x, const int *targets)
{
    struct ab_error err = {""};
    CHECK(!ab_plan_execute(plan, x, targets, NULL, NULL, &err), "%s", err.text);
}

static double *peek(const struct ab_plan *plan, int id)
{
    double *v = malloc(sizeof *v * ab_plan_value_count(plan, id));
    CHECK(v, "out of memory");
    ab_plan_peek(plan, id, v);
    return v;
}

/* Between kinks the network is linear, so differences of the naive forward pass are exact. */
static void check_gradient(const struct ab_graph *g, uint64_t salt)
{
    const int batch = 2, targets[] = {1, 3};
    const size_t count = input_count(g, 1);
    float *x = random_images(g, batch, salt);
    struct ab_plan *plan = plan_of(g, "gradient", batch, 2);
    execute(plan, x, targets);
    double *map = peek(plan, plan->program.outputs[0]), *logits = peek(plan, plan->program.logits);
    const int classes = ab_graph_classes(g);
    int compared = 0;
    for (int n = 0; n < batch; n++) {
        float *image = x + (size_t)n * count;
        double *at = naive_forward(g, image, g->output);
        for (int c = 0; c < classes; c++)
            CHECK(fabs(logits[n * classes + c] - at[c]) <= 1e-12 * (1 + fabs(at[c])), "logit");
        for (size_t i = 0; i < count; i++) {
            const float kept = image[i], h = 0x1p-12f;
            image[i] = kept + h;
            double *up = naive_forward(g, image, g->output);
            const double step_up = (double)image[i] - (double)kept;
            image[i] = kept - h;
            double *down = naive_forward(g, image, g->output);
            const double step_down = (double)kept - (double)image[i];
            image[i] = kept;
            const double a = (up[targets[n]] - at[targets[n]]) / step_up;
            const double b = (at[targets[n]] - down[targets[n]]) / step_down;
            free(up);
            free(down);
            if (fabs(a - b) > 1e-9) continue; /* a kink between */
            compared++;
            CHECK(fabs(map[(size_t)n * count + i] - a) <= 1e-9, "element %zu: %g, difference %g", i,
                  map[(size_t)n * count + i], a);
        }
        free(at);
    }
    CHECK(compared > (int)count, "only %d elements without a kink", compared);
    free(map);
    free(logits);
    free(x);
    ab_plan_destroy(&plan);
}

TEST(gradient_is_exact_differences)
{
    struct ab_graph *graphs[] = {net_windows(1), net_chain(2, true), net_branches(3)};
    for (int k = 0; k < 3; k++) {
        context("%s", ab_graph_name(graphs[k]));
        check_gradient(graphs[k], (uint64_t)k);
        ab_graph_destroy(&graphs[k]);
    }
}

TEST(threads_change_nothing)
{
    static const char *const specs[] = {"lrp-epsilon", "lrp-alpha-beta", "rectgrad:q=80",
                                        "dtd:low=-3,high=3"};
    struct ab_graph *g = net_branches(4);
    float *x = random_images(g, 2, 4);
    for (int m = 0; m < 4; m++) {
        double *once = NULL;
        for (int threads = 1; threads <= 4; threads++) {
            struct ab_plan *plan = plan_of(g, specs[m], 2, threads);
            execute(plan, x, NULL);
            double *map = peek(plan, plan->program.outputs[0]);
            if (once)
                CHECK(!memcmp(once, map, sizeof *map * input_count(g, 2)), "%s at %d threads",
                      specs[m], threads);
            if (once)
                free(map);
            else
                once = map;
            ab_plan_destroy(&plan);
        }
        free(once);
    }
    free(x);
    ab_graph_destroy(&g);
}

/* RectGrad's thresholds are elements of the sorted products, of each image alone. */
TEST(threshold_is_nearest_rank)
{
    struct ab_graph *g = net_chain(5, true);
    float *x = random_images(g, 2, 5);
    struct ab_plan *plan = plan_of(g, "rectgrad:q=83.7,tau_floor=none", 2, 1);
    execute(plan, x, NULL);
    int found = 0;
    for (int i = 0; i < plan->program.n_steps; i++) {
        const struct ab_step *s = &plan->program.steps[i];
        if (s->op != AB_OP_TAU) continue;
        const size_t count = ab_plan_value_count(plan, s->x) / 2;
        const struct ab_exec *e = &plan->exec;
        double *r = peek(plan, s->x), *a = peek(plan, s->a);
        for (size_t k = 0; k < 2 * count; k++) r[k] *= a[k];
        for (int n = 0; n < 2; n++) {
            qsort(r + (size_t)n * count, count, sizeof *r, by_value);
            const size_t rank = (size_t)rint((double)(count - 1) * 83.7 / 100);
            const double tau = ab_reference_map(e, s->dst)->view.data[n];
            CHECK(tau == r[(size_t)n * count + rank], "%g not %g", tau,
                  r[(size_t)n * count + rank]);
        }
        found++;
        free(r);
        free(a);
    }
    CHECK(found == 4, "%d thresholds", found);
    free(x);
    ab_plan_destroy(&plan);
    ab_graph_destroy(&g);
}

/* ---- decisions followed ---- */

static const struct ab_step *maker(const struct ab_plan *plan, int id)
{
    return &plan->program.steps[plan->program.values[id].def];
}

static void check_forced_relu(struct ab_plan *plan, const float *x, int id)
{
    const size_t count = ab_plan_value_count(plan, id);
    uint8_t *kept = malloc(count);
    const void **forced = calloc((size_t)plan->program.n_values, sizeof *forced);
    CHECK(kept && forced, "out of memory");
    for (size_t i = 0; i < count; i++) kept[i] = i % 3 == 0;
    forced[id] = kept;
    ab_plan_force(plan, forced);
    execute(plan, x, NULL);
    ab_plan_force(plan, NULL);
    double *z = peek(plan, maker(plan, id)->x), *a = peek(plan, id);
    for (size_t i = 0; i < count; i++) {
        CHECK((a[i] > 0) == kept[i], "unit %zu did not follow", i);
        CHECK(!kept[i] || z[i] <= 0 || a[i] == z[i], "unit %zu lost its value", i);
        CHECK(!kept[i] || z[i] > 0 || a[i] == AB_REFERENCE_TINY, "unit %zu has a value", i);
    }
    free(z);
    free(a);
    free(kept);
    free(forced);
}

static void check_forced_cap(struct ab_plan *plan, const float *x, int id)
{
    const size_t count = ab_plan_value_count(plan, id);
    const double cap = (double)maker(plan, id)->scale;
    uint8_t *state = malloc(count);
    const void **forced = calloc((size_t)plan->program.n_values, sizeof *forced);
    CHECK(state && forced, "out of memory");
    for (size_t i = 0; i < count; i++) state[i] = (uint8_t)(i % 3);
    forced[id] = state;
    ab_plan_force(plan, forced);
    execute(plan, x, NULL);
    ab_plan_force(plan, NULL);
    double *z = peek(plan, maker(plan, id)->x), *a = peek(plan, id);
    for (size_t i = 0; i < count; i++) {
        const bool inside = z[i] > 0 && z[i] < cap;
        CHECK((a[i] > 0) + (a[i] >= cap) == state[i], "unit %zu did not follow", i);
        CHECK(state[i] != AB_UNIT_AT_CAP || a[i] == cap, "unit %zu is above its cap", i);
        CHECK(state[i] != AB_UNIT_KEPT || !inside || a[i] == z[i], "unit %zu lost its value", i);
        CHECK(state[i] != AB_UNIT_KEPT || z[i] > 0 || a[i] == AB_REFERENCE_TINY,
              "unit %zu has a value", i);
        CHECK(state[i] != AB_UNIT_KEPT || z[i] < cap || a[i] > cap * (1 - 1e-15),
              "unit %zu is far below its cap", i);
    }
    free(z);
    free(a);
    free(state);
    free(forced);
}

static void check_forced_rect(struct ab_plan *plan, const float *x, int id)
{
    const size_t count = ab_plan_value_count(plan, id);
    uint8_t *kept = malloc(count);
    const void **forced = calloc((size_t)plan->program.n_values, sizeof *forced);
    CHECK(kept && forced, "out of memory");
    for (size_t i = 0; i < count; i++) kept[i] = i % 2 == 0;
    forced[id] = kept;
    ab_plan_force(plan, forced);
    execute(plan, x, NULL);
    ab_plan_force(plan, NULL);
    double *r = peek(plan, maker(plan, id)->x), *out = peek(plan, id);
    for (size_t i = 0; i < count; i++)
        CHECK(out[i] == (kept[i] ? r[i] : 0), "unit %zu did not follow", i);
    free(r);
    free(out);
    free(kept);
    free(forced);
}

/* Every window takes its last tap inside the image. */
static void check_forced_switch(struct ab_plan *plan, const float *x, int id)
{
    const struct ab_step *s = maker(plan, id);
    const struct ab_pool_shape *p = &plan->exec.graph->nodes[s->node].pool;
    const size_t count = ab_plan_value_count(plan, id);
    uint16_t *winners = malloc(count * sizeof *winners);
    const void **forced = calloc((size_t)plan->program.n_values, sizeof *forced);
    CHECK(winners && forced, "out of memory");
    const size_t plane = (size_t)p->oh * (size_t)p->ow, width = (size_t)p->ow;
    for (size_t i = 0; i < count; i++) {
        const int oy = (int)(i % plane / width), ox = (int)(i % width);
        for (int k = 0; k < p->kh * p->kw; k++) {
            const int y = oy * p->sh - p->pt + k / p->kw, c = ox * p->sw - p->pl + k % p->kw;
            if (y >= 0 && y < p->ih && c >= 0 && c < p->iw) winners[i] = (uint16_t)k;
        }
    }
    forced[id] = winners;
    ab_plan_force(plan, forced);
    execute(plan, x, NULL);
    ab_plan_force(plan, NULL);
    double *in = peek(plan, s->x), *out = peek(plan, s->dst), *sw = peek(plan, id);
    for (size_t i = 0; i < count; i++) {
        const int oy = (int)(i % plane / width), ox = (int)(i % width), k = winners[i];
        const int y = oy * p->sh - p->pt + k / p->kw, c = ox * p->sw - p->pl + k % p->kw;
        const size_t at = (i / plane * (size_t)p->ih + (size_t)y) * (size_t)p->iw + (size_t)c;
        CHECK(sw[i] == winners[i] && out[i] == in[at], "window %zu did not follow", i);
    }
    free(in);
    free(out);
    free(sw);
    free(winners);
    free(forced);
}

TEST(follows_decisions)
{
    struct ab_graph *g = net_chain(6, true);
    float *x = random_images(g, 2, 6);
    struct ab_plan *plan = plan_of(g, "rectgrad:q=80", 2, 2);
    int seen[AB_DECIDE_SWITCH + 1] = {0};
    for (int id = 0; id < plan->program.n_values; id++) {
        context("value %d", id);
        const enum ab_decision decision = plan->program.values[id].decision;
        seen[decision]++;
        if (decision == AB_DECIDE_RELU) check_forced_relu(plan, x, id);
        if (decision == AB_DECIDE_RECT) check_forced_rect(plan, x, id);
        if (decision == AB_DECIDE_SWITCH) check_forced_switch(plan, x, id);
    }
    CHECK(seen[AB_DECIDE_RELU] == 4 && seen[AB_DECIDE_RECT] == 4 && seen[AB_DECIDE_SWITCH] == 1,
          "decisions: %d %d %d", seen[AB_DECIDE_RELU], seen[AB_DECIDE_RECT],
          seen[AB_DECIDE_SWITCH]);
    free(x);
    ab_plan_destroy(&plan);
    ab_graph_destroy(&g);
}

TEST(follows_caps)
{
    struct ab_graph *g = net_capped(net_chain(6, true), 0.5f);
    float *x = random_images(g, 2, 6);
    struct ab_plan *plan = plan_of(g, "gradient", 2, 2);
    int seen = 0;
    for (int id = 0; id < plan->program.n_values; id++) {
        context("value %d", id);
        if (plan->program.values[id].decision != AB_DECIDE_CAP) continue;
        check_forced_cap(plan, x, id);
        seen++;
    }
    CHECK(seen == 4, "%d decisions", seen);
    free(x);
    ab_plan_destroy(&plan);
    ab_graph_destroy(&g);
}

TEST(adopts_elements)
{
    struct ab_graph *g = net_chain(7, true);
    float *x = random_images(g, 2, 7);
    struct ab_plan *plan = plan_of(g, "gradient", 2, 1);
    const int id = maker(plan, plan->program.logits)->x;
    execute(plan, x, NULL);
    double *before = peek(plan, id);
    struct ab_adopted one = {.index = ab_plan_value_count(plan, id) / 2 + 3, .value = 42};
    struct ab_adopted **of = calloc((size_t)plan->program.n_values, sizeof *of);
    size_t *count = calloc((size_t)plan->program.n_values, sizeof *count);
    CHECK(of && count, "out of memory");
    of[id] = &one;
    count[id] = 1;
    plan->exec.adopted = of;
    plan->exec.n_adopted = count;
    execute(plan, x, NULL);
    double *after = peek(plan, id);
    for (size_t i = 0; i < ab_plan_value_count(plan, id); i++)
        CHECK(after[i] == (i == one.index ? 42 : before[i]), "element %zu", i);
    CHECK(one.own == before[one.index], "own value not kept");
    free(before);
    free(after);
    free(of);
    free(count);
    free(x);
    ab_plan_destroy(&plan);
    ab_graph_destroy(&g);
}

static const struct test_case cases[] = {
    CASE(selects_ranks),          CASE(gradient_is_exact_differences),
    CASE(threads_change_nothing), CASE(threshold_is_nearest_rank),
    CASE(follows_decisions),      CASE(follows_caps),
    CASE(adopts_elements)};
TEST_MAIN("reference", cases)
