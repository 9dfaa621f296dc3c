// SPDX-License-Identifier: Apache-2.0
// Walks back that begin inside a network with signals of the caller's, and networks cut in two.
#include "nets.h"

enum { BATCH = 2 };

static struct ab_method *parsed(const char *spec)
{
    struct ab_error err = {""};
    struct ab_method *m = NULL;
    CHECK(!ab_method_parse(spec, &m, &err), "%s", err.text);
    return m;
}

static struct ab_plan *inside_plan(const struct ab_graph *g, const char *backend, const char *spec,
                                   const char *from, int signals)
{
    struct ab_error err = {""};
    struct ab_method *m = parsed(spec);
    struct ab_plan *plan = NULL;
    const struct ab_plan_options options = {.backend = backend, .batch = BATCH, .threads = 2};
    const struct ab_plan_inside inside = {.from = from, .signals = signals};
    CHECK(!ab_single_create_inside(g, (const struct ab_method *const *)&m, 1, &options, &inside,
                                   &plan, &err),
          "%s", err.text);
    ab_method_destroy(&m);
    return plan;
}

static int layer(const struct ab_graph *g, const char *name)
{
    struct ab_error err = {""};
    int node = -1;
    CHECK(!ab_graph_find(g, name, &node, &err), "%s", err.text);
    return node;
}

static size_t node_count(const struct ab_graph *g, int node)
{
    const struct ab_dims d = g->nodes[node].dims;
    return BATCH * (size_t)d.c * (size_t)d.h * (size_t)d.w;
}

static float *normals(size_t count, uint64_t salt)
{
    struct rng r = rng_new(salt);
    float *v = malloc(sizeof *v * count);
    CHECK(v != NULL, "out of memory");
    fill_floats(v, count, FILL_NORMAL, &r);
    return v;
}

/* A one-hot signal at the logits is the seed of the ordinary method. */
static void from_logits(const struct ab_graph *g, const char *backend, const char *spec)
{
    const int classes = ab_graph_classes(g), targets[BATCH] = {1, 3};
    const size_t count = input_count(g, BATCH);
    float *x = random_images(g, BATCH, 11), *signal = calloc(BATCH * 16, sizeof *signal);
    float *map = malloc(sizeof *map * count), logits[2][BATCH * 16];
    struct ab_error err = {""};
    CHECK(signal && map, "out of memory");
    for (int n = 0; n < BATCH; n++) signal[n * classes + targets[n]] = 1;
    const struct job job = {g, backend, x, targets, BATCH, 2};
    float *want = run_method(&job, spec, logits[0]);
    struct ab_plan *plan = inside_plan(g, backend, spec, g->nodes[g->output].name, 1);
    ab_plan_signal(plan, signal);
    CHECK(!ab_single_execute(plan, x, NULL, &map, logits[1], &err), "%s", err.text);
    context("%s, %s", backend, spec);
    check_same_on(backend, map, want, count);
    check_same_on(backend, logits[1], logits[0], (size_t)(BATCH * classes));
    ab_single_destroy(&plan);
    free(x), free(signal), free(map), free(want);
}
TEST(one_hot_at_the_logits_is_the_method)
{
    static const char *const specs[] = {"gradient",
                                        "guided-backprop",
                                        "rectgrad:q=80",
                                        "lrp-epsilon:seed=one",
                                        "lrp-zplus:seed=one",
                                        "lrp-alpha-beta:seed=one",
                                        "epsilon-plus:seed=one"};
    struct ab_graph *nets[] = {net_chain(1, true), net_branches(2)};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        for (int k = 0; k < 2; k++) {
            from_logits(nets[k], "native", specs[i]);
            from_logits(nets[k], "reference", specs[i]);
        }
    }
    if (has_backend("onednn")) { /* times what it makes: slow */
        from_logits(nets[0], "onednn", "lrp-zplus:seed=one");
        from_logits(nets[1], "onednn", "gradient");
    }
    ab_graph_destroy(&nets[0]);
    ab_graph_destroy(&nets[1]);
}

/* Signals share a pass and do not meddle; nor do images, and the method is linear where its rules
 * are. */
static void several(const struct ab_graph *g, const char *backend, const char *spec,
                    const char *from)
{
    enum { SIGNALS = 5 };
    const size_t one = node_count(g, layer(g, from)), count = input_count(g, BATCH);
    float *x = random_images(g, BATCH, 12), *signals = normals(SIGNALS * one, 13);
    float *maps[SIGNALS], *alone = malloc(sizeof *alone * count);
    struct ab_error err = {""};
    for (int k = 0; k < SIGNALS; k++) maps[k] = malloc(sizeof *alone * count);
    struct ab_plan *plan = inside_plan(g, backend, spec, from, SIGNALS);
    ab_plan_signal(plan, signals);
    CHECK(!ab_single_execute(plan, x, NULL, maps, NULL, &err), "%s", err.text);
    ab_single_destroy(&plan);
    plan = inside_plan(g, backend, spec, from, 1);
    for (int k = 0; k < SIGNALS; k++) {
        ab_plan_signal(plan, signals + (size_t)k * one);
        CHECK(!ab_single_execute(plan, x, NULL, &alone, NULL, &err), "%s", err.text);
        context("%s, %s from %s, signal %d", backend, spec, from, k);
        check_same_on(backend, maps[k], alone, count);
        free(maps[k]);
    }
    ab_single_destroy(&plan);
    free(x), free(signals), free(alone);
}
TEST(signals_do_not_meddle)
{
    struct ab_graph *chain = net_chain(3, true), *branches = net_branches(4);
    static const char *const quick[] = {"native", "reference"};
    for (int b = 0; b < 2; b++) {
        several(chain, quick[b], "gradient", "relu4");
        several(chain, quick[b], "rectgrad:q=60", "conv3");
        several(chain, quick[b], "lrp-zplus", "pool");
        several(branches, quick[b], "lrp-alpha-beta", "concat");
        several(branches, quick[b], "epsilon-plus", "gap");
    }
    if (has_backend("onednn")) several(chain, "onednn", "lrp-alpha-beta", "conv3");
    ab_graph_destroy(&chain);
    ab_graph_destroy(&branches);
}

/* Values of the reference at a layer, as doubles. */
static double *values_at(struct ab_plan *plan, const float *x)
{
    struct ab_error err = {""};
    const int id = plan->program.logits;
    double *v = malloc(sizeof *v * ab_plan_value_count(plan, id));
    CHECK(v != NULL, "out of memory");
    CHECK(!ab_single_execute(plan, x, NULL, NULL, NULL, &err), "%s", err.text);
    ab_plan_peek(plan, id, v);
    return v;
}

/* <signal, J dx> = <J^T signal, dx>, J dx by differences small enough to flip no unit. */
static void adjoint(const struct ab_graph *g, const char *from)
{
    const size_t count = input_count(g, BATCH), at = node_count(g, layer(g, from));
    float *x = random_images(g, BATCH, 14), *dx = normals(count, 15), *signal = normals(at, 16);
    float *up = malloc(sizeof *up * count), *down = malloc(sizeof *down * count);
    double *map = malloc(sizeof *map * count), forward = 0, backward = 0, size = 0;
    CHECK(up && down && map, "out of memory");
    const float h = 0x1p-14f;
    for (size_t i = 0; i < count; i++) {
        up[i] = x[i] + h * dx[i];
        down[i] = x[i] - h * dx[i];
    }
    struct ab_plan *plan = inside_plan(g, "reference", "gradient", from, 1);
    ab_plan_signal(plan, signal);
    double *low = values_at(plan, down), *high = values_at(plan, up);
    free(values_at(plan, x));
    ab_plan_peek(plan, plan->program.outputs[0], map);
    for (size_t i = 0; i < count; i++) backward += map[i] * ((double)up[i] - (double)down[i]);
    for (size_t i = 0; i < at; i++) {
        const double term = (high[i] - low[i]) * (double)signal[i];
        forward += term;
        size += fabs(term);
    }
    CHECK(fabs(forward - backward) <= 1e-3 * size, "from %s: %.9g and %.9g of %.3g", from, forward,
          backward, size);
    CHECK(size > 0, "nothing moves");
    ab_single_destroy(&plan);
    free(x), free(dx), free(signal), free(up), free(down), free(map), free(low), free(high);
}
TEST(walks_are_adjoint)
{
    struct ab_graph *chain = net_chain(5, true), *branches = net_branches(6);
    adjoint(chain, "relu2");
    adjoint(chain, "pool");
    adjoint(chain, "fc1");
    adjoint(branches, "add");
    adjoint(branches, "concat");
    adjoint(branches, "relu4");
    ab_graph_destroy(&chain);
    ab_graph_destroy(&branches);
}

/* Nothing above the layer is in the program, and its output is what the plan gives as logits. */
TEST(what_lies_above_is_not_computed)
{
    struct ab_graph *g = net_branches(7);
    const int from = layer(g, "relu3");
    struct ab_plan *plan = inside_plan(g, "native", "lrp-zplus", "relu3", 1);
    for (int i = 0; i < plan->program.n_steps; i++)
        CHECK(plan->program.steps[i].node <= from, "layer '%s' is computed",
              g->nodes[plan->program.steps[i].node].name);
    float *x = random_images(g, BATCH, 17), *signal = normals(node_count(g, from), 18);
    float *out = malloc(sizeof *out * node_count(g, from));
    struct ab_error err = {""};
    ab_plan_signal(plan, signal);
    CHECK(!ab_single_execute(plan, x, NULL, NULL, out, &err), "%s", err.text);
    const struct ab_plan_options options = {.batch = BATCH, .retain = true};
    struct ab_plan *whole = NULL;
    CHECK(!ab_single_create(g, NULL, 0, &options, &whole, &err), "%s", err.text);
    CHECK(!ab_single_execute(whole, x, NULL, NULL, NULL, &err), "%s", err.text);
    for (int id = 0; id < whole->program.n_values; id++) {
        if (whole->program.values[id].node != from) continue;
        double *want = malloc(sizeof *want * node_count(g, from));
        ab_plan_peek(whole, id, want);
        for (size_t i = 0; i < node_count(g, from); i++)
            CHECK((double)out[i] == want[i], "element %zu: %g, not %g", i, (double)out[i], want[i]);
        free(want);
    }
    ab_single_destroy(&whole);
    ab_single_destroy(&plan);
    free(x), free(signal), free(out);
    ab_graph_destroy(&g);
}

TEST(refuses_signals)
{
    struct ab_graph *g = net_chain(8, true);
    struct ab_method *m = parsed("gradient");
    struct ab_plan *plan = NULL;
    struct ab_error err = {""};
    struct ab_plan_inside inside = {.from = "relu33", .signals = 1};
    const struct ab_method *const one[] = {m};
    CHECK(ab_single_create_inside(g, one, 1, NULL, &inside, &plan, &err) == AB_ERR_ARG && !plan,
          "relu33 was taken");
    CHECK(strstr(err.text, "no layer 'relu33': did you mean 'relu3'?"), "%s", err.text);
    inside = (struct ab_plan_inside){.from = "relu3"};
    CHECK(ab_single_create_inside(g, one, 1, NULL, &inside, &plan, &err) == AB_ERR_ARG && !plan,
          "no signals were taken");
    CHECK(strstr(err.text, "relu3' needs at least one signal"), "%s", err.text);
    inside.signals = 2;
    CHECK(!ab_single_create_inside(g, one, 1, NULL, &inside, &plan, &err), "%s", err.text);
    float *x = random_images(g, 1, 8), *signals = normals(2 * node_count(g, layer(g, "relu3")), 9);
    CHECK(ab_single_execute(plan, x, NULL, NULL, NULL, &err) == AB_ERR_ARG, "none were needed");
    CHECK(strstr(err.text, "ab_plan_signal"), "%s", err.text);
    signals[node_count(g, layer(g, "relu3")) / BATCH + 3] = INFINITY;
    ab_plan_signal(plan, signals);
    CHECK(ab_single_execute(plan, x, NULL, NULL, NULL, &err) == AB_ERR_ARG, "Inf was taken");
    CHECK(strstr(err.text, "signal 1 holds a value that is not finite (element 3)"), "%s",
          err.text);
    ab_single_destroy(&plan);
    ab_method_destroy(&m);
    free(x), free(signals);
    ab_graph_destroy(&g);
}

/* Kept values of the fused program are those of one in which nothing is fused nor reused, and
 * keeping them changes no map. */
static double *peeked(const struct ab_plan *plan, int id)
{
    double *v = malloc(sizeof *v * ab_plan_value_count(plan, id));
    CHECK(v != NULL, "out of memory");
    ab_plan_peek(plan, id, v);
    return v;
}
static void check_kept(const struct ab_graph *g, const char *backend, const char *spec)
{
    struct ab_error err = {""};
    struct ab_method *m = parsed(spec);
    const struct ab_method *const one[] = {m};
    const struct ab_plan_options options = {.backend = backend, .batch = BATCH};
    const struct ab_plan_options slow = {.backend = "reference", .batch = BATCH, .retain = true};
    const struct ab_plan_inside keep = {.keep = true};
    struct ab_plan *plan = NULL, *want = NULL;
    const size_t count = input_count(g, BATCH);
    float *x = random_images(g, BATCH, 21), *map = malloc(sizeof *map * count);
    CHECK(!ab_single_create_inside(g, one, 1, &options, &keep, &plan, &err), "%s", err.text);
    CHECK(!ab_single_create_inside(g, one, 1, &slow, &keep, &want, &err), "%s", err.text);
    CHECK(!ab_single_execute(plan, x, NULL, &map, NULL, &err), "%s", err.text);
    CHECK(!ab_single_execute(want, x, NULL, NULL, NULL, &err), "%s", err.text);
    int seen = 0;
    for (int n = 0; n < 2 * g->n_nodes; n++) {
        const int node = n / 2;
        const int id = n % 2 ? ab_plan_signal_at(plan, 0, node) : ab_plan_activation(plan, node);
        const int ref = n % 2 ? ab_plan_signal_at(want, 0, node) : ab_plan_activation(want, node);
        CHECK((id < 0) == (ref < 0), "layer '%s': only one has it", g->nodes[node].name);
        if (id < 0) continue;
        CHECK(ab_plan_value_count(plan, id) == node_count(g, node), "layer '%s'",
              g->nodes[node].name);
        double *a = peeked(plan, id), *b = peeked(want, ref), error = 0, size = 0;
        for (size_t i = 0; i < node_count(g, node); i++) {
            error += (a[i] - b[i]) * (a[i] - b[i]);
            size += b[i] * b[i];
        }
        CHECK(error <= 1e-8 * size, "%s, %s: %s of layer '%s' is %.2e off", backend, spec,
              n % 2 ? "signal" : "output", g->nodes[node].name, sqrt(error / size));
        seen++;
        free(a), free(b);
    }
    CHECK(seen == 2 * g->n_nodes, "%d values of %d layers", seen, g->n_nodes);
    float *plain = run_method(&(struct job){g, backend, x, NULL, BATCH, 1}, spec, NULL);
    context("%s, %s", backend, spec);
    if (strcmp(backend, "native") == 0) check_same_bits(map, plain, count);
    ab_single_destroy(&plan);
    ab_single_destroy(&want);
    ab_method_destroy(&m);
    free(x), free(map), free(plain);
}
TEST(kept_values_are_readable)
{
    static const char *const specs[] = {"gradient", "guided-backprop", "lrp-zplus", "epsilon-plus",
                                        "lrp-alpha-beta"};
    struct ab_graph *chain = net_chain(12, true), *branches = net_branches(13);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        check_kept(chain, "native", specs[i]);
        check_kept(branches, "native", specs[i]);
    }
    if (has_backend("onednn")) {
        check_kept(chain, "onednn", "lrp-zplus");
        check_kept(branches, "onednn", "guided-backprop");
    }
    ab_graph_destroy(&chain);
    ab_graph_destroy(&branches);
}

/* ---- the network after a cut ---- */

static void check_tail(const struct ab_graph *g, const char *backend, const char *cut)
{
    struct ab_error err = {""};
    const int node = layer(g, cut), classes = ab_graph_classes(g);
    struct ab_graph *tail = NULL;
    CHECK(!ab_graph_tail(g, node, &tail, &err), "%s", err.text);
    struct ab_plan *plan = inside_plan(g, backend, "gradient", cut, 1);
    const size_t at = node_count(g, node);
    float *x = random_images(g, BATCH, 19), *signal = normals(at, 20);
    float *value = malloc(sizeof *value * at), logits[2][BATCH * 16];
    ab_plan_signal(plan, signal);
    CHECK(!ab_single_execute(plan, x, NULL, NULL, value, &err), "%s", err.text);
    ab_single_destroy(&plan);
    free(run_method(&(struct job){g, backend, x, NULL, BATCH, 1}, "gradient", logits[0]));
    float *map =
        run_method(&(struct job){tail, backend, value, NULL, BATCH, 1}, "gradient", logits[1]);
    context("%s, tail behind %s", backend, cut);
    if (strcmp(backend, "onednn") == 0) /* takes what is fastest, which may sum in another order */
        CHECK(relative_l2(logits[1], logits[0], (size_t)(BATCH * classes)) < 1e-5, "logits differ");
    else
        check_same_bits(logits[1], logits[0], (size_t)(BATCH * classes));
    double size = 0;
    for (size_t i = 0; i < at; i++) size += fabs((double)map[i]);
    CHECK(size > 0, "no gradient arrives behind %s", cut);
    CHECK(ab_graph_hash(tail) != ab_graph_hash(g) || node == 0, "the tail is the whole");
    ab_graph_destroy(&tail);
    free(x), free(signal), free(value), free(map);
}
TEST(tails_give_the_logits)
{
    static const char *const chain_cuts[] = {"input", "conv1", "relu1",   "conv2", "pool",
                                             "conv3", "relu3", "flatten", "fc1",   "relu4"};
    static const char *const branch_cuts[] = {"conv1", "relu1", "add", "relu2", "concat", "gap"};
    struct ab_graph *chain = net_chain(9, true), *branches = net_branches(10);
    /* The reference's values are no floats. */
    for (size_t i = 0; i < sizeof chain_cuts / sizeof *chain_cuts; i++)
        check_tail(chain, "native", chain_cuts[i]);
    for (size_t i = 0; i < sizeof branch_cuts / sizeof *branch_cuts; i++)
        check_tail(branches, "native", branch_cuts[i]);
    if (has_backend("onednn")) {
        check_tail(chain, "onednn", "fc1");
        check_tail(branches, "onednn", "concat");
    }
    ab_graph_destroy(&chain);
    ab_graph_destroy(&branches);
}

static void refuse_tail(const struct ab_graph *g, int node, enum ab_status want, const char *says)
{
    struct ab_graph *tail = NULL;
    struct ab_error err = {""};
    const enum ab_status got = ab_graph_tail(g, node, &tail, &err);
    CHECK(got == want && !tail, "status %d: %s", (int)got, err.text);
    CHECK(strstr(err.text, says), "'%s' does not say '%s'", err.text, says);
}
TEST(refuses_what_is_no_cut)
{
    struct ab_graph *g = net_branches(11);
    refuse_tail(g, layer(g, "conv2"), AB_ERR_UNSUPPORTED, "layer 'down' bypasses it");
    refuse_tail(g, layer(g, "down"), AB_ERR_UNSUPPORTED, "layer 'add' bypasses it");
    refuse_tail(g, layer(g, "relu3"), AB_ERR_UNSUPPORTED, "layer 'avg' bypasses it");
    refuse_tail(g, layer(g, "fc"), AB_ERR_UNSUPPORTED, "nothing follows layer 'fc'");
    refuse_tail(g, g->n_nodes, AB_ERR_ARG, "has no node");
    refuse_tail(g, -1, AB_ERR_ARG, "has no node -1");
    ab_graph_destroy(&g);
}

static const struct test_case cases[] = {CASE(one_hot_at_the_logits_is_the_method),
                                         CASE(signals_do_not_meddle),
                                         CASE(walks_are_adjoint),
                                         CASE(what_lies_above_is_not_computed),
                                         CASE(refuses_signals),
                                         CASE(kept_values_are_readable),
                                         CASE(tails_give_the_logits),
                                         CASE(refuses_what_is_no_cut)};
TEST_MAIN("inside", cases)
