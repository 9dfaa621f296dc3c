// SPDX-License-Identifier: Apache-2.0
// Gangs: the order of a program after they are formed, and maps of many methods at once against
// those of each alone, bit for bit, on random networks.
#include "nets.h"
#include "plan/builder.h"

#include <stdio.h>

static const char *const specs[] = {
    "gradient",  "input-x-gradient",    "deconvnet",
    "rectgrad",  "guided-backprop",     "lrp-epsilon",
    "lrp-zplus", "lrp-alpha-beta",      "epsilon-plus",
    "dtd",       "lrp-zplus:bias=none", "lrp-alpha-beta:alpha=3,beta=2"};
enum { SPECS = sizeof specs / sizeof *specs, NETS = AB_TEST_SLOW ? 4 : 16 };

/* Convolutions of 16 channels and more, so that some are Winograd's; residual sums, pools of both
 * kinds, one to three dense layers. */
static struct ab_graph *random_net(struct rng *r)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = rng_next(r), .err = &err};
    CHECK(!ab_graph_create("random", &b.graph, &err), "%s", err.text);
    char name[32];
    int x = ab_build_input(&b, 3, rng_between(r, 8, 21), rng_between(r, 8, 21));
    int channels = 3;
    for (int i = 0, blocks = rng_between(r, 2, 4); i < blocks; i++) {
        const bool same = channels > 3 && rng_between(r, 0, 2) == 0;
        const int before = x, oc = same ? channels : rng_between(r, 16, 40);
        snprintf(name, sizeof name, "conv%d", i);
        x = ab_build_conv(&b, name, x, oc, rng_between(r, 0, 3) ? 3 : 1, 1, 1, 1,
                          rng_between(r, 0, 3) > 0);
        channels = oc;
        snprintf(name, sizeof name, "add%d", i);
        const struct ab_dims d = b.graph->nodes[x].dims, was = b.graph->nodes[before].dims;
        if (same && d.h == was.h && d.w == was.w) x = ab_build_add(&b, name, x, before);
        snprintf(name, sizeof name, "relu%d", i);
        x = ab_build_relu(&b, name, x);
        snprintf(name, sizeof name, "pool%d", i);
        const int pool = d.h > 5 && d.w > 5 ? rng_between(r, 0, 3) : 0;
        if (pool == 1) x = ab_build_maxpool(&b, name, x, 2, 2, 0, false);
        if (pool == 2) x = ab_build_avgpool(&b, name, x, 2, 2, 0);
    }
    x = ab_build_flatten(&b, "flatten", x);
    for (int i = rng_between(r, 0, 2); i > 0; i--) {
        snprintf(name, sizeof name, "fc%d", i);
        x = ab_build_dense(&b, name, x, rng_between(r, 9, 50), rng_between(r, 0, 3) > 0);
        snprintf(name, sizeof name, "fcrelu%d", i);
        x = ab_build_relu(&b, name, x);
    }
    x = ab_build_dense(&b, "out", x, rng_between(r, 2, 20), true);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

static void parse_all(struct ab_method **methods)
{
    struct ab_error err = {""};
    for (int m = 0; m < SPECS; m++)
        CHECK(!ab_method_parse(specs[m], &methods[m], &err), "%s", err.text);
}

/* ---- the order ---- */

/* Every operand is there: made by an earlier step, and inside a gang by no other, unless a dense
 * step adds it. */
static void check_order(const struct ab_program *p)
{
    for (int i = 0; i < p->n_steps; i++) {
        const struct ab_step *s = &p->steps[i];
        for (int k = 0; k < ab_step_operand_count(s); k++) {
            const int id = ab_step_operand(s, k);
            if (id < 0) continue;
            const int def = p->values[id].def;
            CHECK(def >= 0 && def < i, "step %d reads value %d before it is written", i, id);
            CHECK(ab_gang_first(p, def) != ab_gang_first(p, i) ||
                      (s->op == AB_OP_DENSE && id == s->add && id != s->x),
                  "step %d reads value %d of its own gang", i, id);
        }
    }
}

/* What the steps of a gang have in common. Returns how many gangs of convolutions there are. */
static int check_gangs(const struct ab_program *p)
{
    int convs = 0, dense = 0;
    for (int i = 0, size; i < p->n_steps; i += size) {
        const struct ab_step *s = &p->steps[i];
        size = ab_gang_size(p, i);
        CHECK((s->gang > 0) == (size > 1), "gang %d of %d steps", s->gang, size);
        for (int k = i; k < i + size; k++) {
            const struct ab_step *t = &p->steps[k];
            CHECK(t->op == s->op && t->node == s->node && t->pass == s->pass &&
                      (size == 1 || !t->constant),
                  "step %d is not of step %d's kind", k, i);
            CHECK(s->op == AB_OP_DENSE || size == 1 || (t->x == s->x && ab_same_weights(s, t)),
                  "step %d has not step %d's sums", k, i);
        }
        if (size > 1) *(s->op == AB_OP_CONV ? &convs : &dense) += 1;
    }
    CHECK(dense > 0, "no gang of dense steps among %d steps", p->n_steps);
    return convs;
}

static int compare_dst(const void *a, const void *b)
{
    const struct ab_step *s = a, *t = b;
    const int x = s->op == AB_OP_OUTPUT ? s->map - 1000000 : s->dst;
    const int y = t->op == AB_OP_OUTPUT ? t->map - 1000000 : t->dst;
    return (x > y) - (x < y);
}

/* The same steps as before but for their order and gang: in single-assignment form that computes
 * the same. */
static void check_same_steps(struct ab_program *before, const struct ab_program *p)
{
    const size_t n = (size_t)p->n_steps;
    struct ab_step *after = malloc(n * sizeof *after);
    CHECK(after && before->n_steps == p->n_steps, "%d steps, were %d", p->n_steps, before->n_steps);
    memcpy(after, p->steps, n * sizeof *after);
    qsort(after, n, sizeof *after, compare_dst);
    qsort(before->steps, n, sizeof *after, compare_dst);
    for (size_t i = 0; i < n; i++) {
        after[i].gang = 0;
        CHECK(after[i].n_list == before->steps[i].n_list, "another list");
        after[i].list = before->steps[i].list;
        CHECK(memcmp(&after[i], &before->steps[i], sizeof *after) == 0,
              "the step of value %d is another one", before->steps[i].dst);
    }
    free(after);
}

static bool always(const void *user, const struct ab_step *s)
{
    (void)user;
    (void)s;
    return true;
}

static void lower(const struct ab_graph *g, struct ab_method **methods, bool own,
                  struct ab_program *p)
{
    struct ab_error err = {""};
    CHECK(!ab_lower(g, (const struct ab_method *const *)methods, SPECS, NULL, p, &err), "%s",
          err.text);
    if (own) ab_bits(p, always, NULL);
    ab_fuse(p, own);
}

TEST(order_keeps_the_program)
{
    struct rng r = rng_new(1);
    struct ab_method *methods[SPECS];
    int convs = 0;
    parse_all(methods);
    for (int i = 0; i < 4 * NETS; i++) {
        struct ab_graph *g = random_net(&r);
        struct ab_program before = {0}, p = {0};
        lower(g, methods, i % 2, &before);
        lower(g, methods, i % 2, &p);
        ab_gangs(&p);
        context("net %d", i);
        check_order(&p);
        convs += check_gangs(&p);
        check_same_steps(&before, &p);
        ab_program_free(&before);
        ab_program_free(&p);
        ab_graph_destroy(&g);
    }
    CHECK(convs > 0, "no gang of convolutions in any network");
    for (int m = 0; m < SPECS; m++) ab_method_destroy(&methods[m]);
}

/* One method has nothing to share: the order stays. */
TEST(single_methods_keep_their_order)
{
    struct rng r = rng_new(2);
    struct ab_graph *g = random_net(&r);
    struct ab_error err = {""};
    struct ab_method *m = NULL;
    CHECK(!ab_method_parse("gradient", &m, &err), "%s", err.text);
    struct ab_program p = {0};
    CHECK(!ab_lower(g, (const struct ab_method *const *)&m, 1, NULL, &p, &err), "%s", err.text);
    ab_bits(&p, always, NULL);
    ab_fuse(&p, true);
    const size_t bytes = sizeof *p.steps * (size_t)p.n_steps;
    struct ab_step *steps = malloc(bytes);
    CHECK(steps != NULL, "out of memory");
    memcpy(steps, p.steps, bytes);
    ab_gangs(&p);
    CHECK(memcmp(steps, p.steps, bytes) == 0, "the order changed");
    free(steps);
    ab_program_free(&p);
    ab_method_destroy(&m);
    ab_graph_destroy(&g);
}

/* ---- the maps ---- */

static void check_joint(const char *backend, const struct ab_graph *g, int batch, int threads,
                        const int *targets, uint64_t salt)
{
    const size_t count = input_count(g, batch);
    float *x = random_images(g, batch, salt), *maps[SPECS];
    run_methods(&(struct job){g, backend, x, targets, batch, threads}, specs, SPECS, maps, NULL);
    for (int m = 0; m < SPECS; m++) {
        context("%s, %s, batch %d, %d threads, salt %d", backend, specs[m], batch, threads,
                (int)salt);
        float *alone = run_method(&(struct job){g, backend, x, targets, batch, 1}, specs[m], NULL);
        check_same_bits(maps[m], alone, count);
        free(alone);
        free(maps[m]);
    }
    free(x);
}

TEST(joint_maps_are_single_maps)
{
    char names[16][32];
    const int n_names = backend_names(names, 16);
    struct rng r = rng_new(3);
    for (int i = 0; i < NETS; i++) {
        struct ab_graph *g = random_net(&r);
        const int targets[3] = {AB_TARGET_TOP, 0, 1};
        for (int b = 0; b < n_names; b++) {
            /* oneDNN's sums depend on what is fused with them; test_invariants bounds that. */
            const bool native = strncmp(names[b], "native", 6) == 0;
            if (!native && (i % 4 || strcmp(names[b], "reference") != 0)) continue;
            check_joint(names[b], g, 1, 1 + i % 3, NULL, (uint64_t)i);
            if (i % 3 == 0) check_joint(names[b], g, 3, 1 + i / 3 % 3, targets, (uint64_t)i);
        }
        ab_graph_destroy(&g);
    }
}

/* More samples than a walk over W takes, and more than a gang gathers. */
TEST(large_batches)
{
    struct rng r = rng_new(4);
    struct ab_graph *g = random_net(&r);
    check_joint("native", g, 11, 2, NULL, 4);
    check_joint("native", g, 33, 2, NULL, 5);
    ab_graph_destroy(&g);
}

/* Dense layers beyond the caches, whose chains are read in one walk. */
TEST(large_layers)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = 7, .err = &err};
    CHECK(!ab_graph_create("large", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 3, 16, 16);
    x = ab_build_relu(&b, "relu1", ab_build_conv(&b, "conv1", x, 16, 3, 1, 1, 1, true));
    x = ab_build_relu(&b, "relu2",
                      ab_build_dense(&b, "fc1", ab_build_flatten(&b, "flatten", x), 1700, true));
    x = ab_build_dense(&b, "fc2", x, 10, true);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    char names[16][32];
    const int n_names = backend_names(names, 16);
    for (int i = 0; i < n_names; i++)
        if (strncmp(names[i], "native", 6) == 0 && strcmp(names[i], "native:ref") != 0)
            check_joint(names[i], b.graph, 1 + i % 2, 1 + i % 3, NULL, 6);
    ab_graph_destroy(&b.graph);
}

static const struct test_case cases[] = {
    CASE(order_keeps_the_program), CASE(single_methods_keep_their_order),
    CASE(joint_maps_are_single_maps), CASE(large_batches), CASE(large_layers)};
TEST_MAIN("gang", cases)
