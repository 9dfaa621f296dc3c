// SPDX-License-Identifier: Apache-2.0
// Invariants of all methods over random networks (verify/net.h), spread over the backends.
//
// The list of methods is read from the library; what must hold of each follows from its composite,
// so a new method is tested as soon as it is listed. AB_TEST_GRAPHS=COUNT or FIRST+COUNT says which
// networks; a failure prints the one that failed.
#include "../verify/net.h"
#include "specs.h"

enum { MAX_BATCH = 3, MAX_CLASSES = 8, GRAPHS = AB_TEST_SLOW ? 40 : 520 };

/* ---- one network on one backend ---- */

struct trial {
    struct ab_random_net net;
    const char *backend;
    bool exact, reference; /* gives equal bits for equal work; computes in double */
    int batch, classes;
    int targets[MAX_BATCH];
    float *x, logits[MAX_BATCH * MAX_CLASSES];
    struct spec specs[MAX_SPECS];
    int n_specs;
    float *maps[MAX_SPECS];
};

struct setup {
    const float *x;
    const int *targets;
    int batch, threads;
    enum ab_algo algo;
    const struct spec *specs;
    int n_specs;
};

static void explain(const struct trial *t, const struct setup *s, float **maps, float *logits)
{
    struct ab_error err = {""};
    struct ab_method *methods[MAX_SPECS] = {NULL};
    const size_t count = input_count(t->net.graph, s->batch);
    for (int m = 0; m < s->n_specs; m++) {
        CHECK(!ab_method_parse(s->specs[m].text, &methods[m], &err), "%s", err.text);
        maps[m] = malloc(sizeof(float) * count);
        CHECK(maps[m] != NULL, "out of memory");
    }
    const struct ab_plan_options options = {
        .backend = t->backend, .batch = s->batch, .threads = s->threads, .algo = s->algo};
    struct ab_plan *plan = NULL;
    CHECK(!ab_plan_create(t->net.graph, (const struct ab_method *const *)methods, s->n_specs,
                          &options, &plan, &err),
          "%s", err.text);
    CHECK(!ab_plan_execute(plan, s->x, s->targets, maps, logits, &err), "%s", err.text);
    ab_plan_destroy(&plan);
    for (int m = 0; m < s->n_specs; m++) ab_method_destroy(&methods[m]);
}

static void free_maps(float **maps, int count)
{
    for (int m = 0; m < count; m++) free(maps[m]);
}

static const float *map_of(const struct trial *t, const char *text)
{
    for (int m = 0; m < t->n_specs; m++) {
        if (strcmp(t->specs[m].text, text) == 0) return t->maps[m];
    }
    test_fail(__FILE__, __LINE__, "no map of %s", text);
}

static bool applies(const struct ab_random_net *net, const struct spec *s)
{
    return !(net->batchnorm && s->composite.relevance);
}

static struct trial open_trial(uint64_t index, const char *backend)
{
    struct trial t = {.backend = backend};
    struct ab_error err = {""};
    CHECK(!ab_random_net(test_seed(), index, AB_NET_BLOCKS, &t.net, &err), "%s", err.text);
    struct rng r = rng_new(0x74726961 + index);
    t.exact = strncmp(backend, "onednn", 6) != 0;
    t.reference = strcmp(backend, "reference") == 0;
    t.batch = rng_between(&r, 1, MAX_BATCH);
    t.classes = ab_graph_classes(t.net.graph);
    const size_t count = input_count(t.net.graph, t.batch);
    t.x = malloc(sizeof *t.x * count);
    CHECK(t.x != NULL, "out of memory");
    fill_floats(t.x, count, t.net.positive ? FILL_NONNEG : FILL_NORMAL, &r);
    for (int n = 0; n < t.batch; n++) t.targets[n] = rng_between(&r, 0, t.classes - 1);
    struct spec all[MAX_SPECS];
    const int listed = all_specs(all);
    for (int m = 0; m < listed; m++) {
        if (applies(&t.net, &all[m])) t.specs[t.n_specs++] = all[m];
    }
    explain(&t, &(struct setup){t.x, t.targets, t.batch, 1, AB_ALGO_AUTO, t.specs, t.n_specs},
            t.maps, t.logits);
    return t;
}

static void close_trial(struct trial *t)
{
    free_maps(t->maps, t->n_specs);
    free(t->x);
    ab_graph_destroy(&t->net.graph);
}

/* ---- comparisons ---- */

/* Subnormal numbers on the way lose bits, some units of the least. */
static bool same(float got, float want)
{
    return got == want || fabsf(got - want) < 1e-42f || (isnan(got) && isnan(want));
}

/* got == by * want in every bit; where a backend times its algorithms for each plan, nearly. */
static void check_equal(const struct trial *t, const struct spec *s, const char *what,
                        const float *got, const float *want, float by, size_t count)
{
    for (size_t i = 0; i < count && t->exact; i++) {
        CHECK(same(got[i], by * want[i]), "%s: %s: element %zu is %.9g, not %.9g", what, s->text, i,
              (double)got[i], (double)(by * want[i]));
    }
    if (t->exact || s->composite.relevance) return;
    double off = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        off += pow((double)got[i] - (double)(by * want[i]), 2);
        all += pow((double)(by * want[i]), 2);
    }
    CHECK(off <= 1e-6 * all, "%s: %s: off by %.3g", what, s->text, sqrt(off / all));
}

struct totals {
    double sum, magnitude, largest, lowest;
};

static struct totals totals_of(const float *map, size_t count)
{
    struct totals t = {0};
    for (size_t i = 0; i < count; i++) {
        const double v = (double)map[i];
        t.sum += v;
        t.magnitude += fabs(v);
        t.largest = fmax(t.largest, fabs(v));
        t.lowest = fmin(t.lowest, v);
    }
    return t;
}

/* ---- the invariants ---- */

/* I12, I16: neither the place in a batch nor the number of threads matters. */
static void batch_and_threads(const struct trial *t)
{
    const size_t count = input_count(t->net.graph, 1);
    float *alone[MAX_SPECS];
    const int n = t->batch - 1;
    const struct setup s = {
        t->x + (size_t)n * count, t->targets + n, 1, 3, AB_ALGO_AUTO, t->specs, t->n_specs};
    explain(t, &s, alone, NULL);
    for (int m = 0; m < t->n_specs; m++) {
        check_equal(t, &t->specs[m], "alone", alone[m], t->maps[m] + (size_t)n * count, 1, count);
    }
    free_maps(alone, t->n_specs);
}

/* The other methods of a plan do not matter. */
static void company(const struct trial *t, struct rng *r)
{
    for (int k = 0; k < 3; k++) {
        const int m = rng_between(r, 0, t->n_specs - 1);
        float *single;
        explain(t, &(struct setup){t->x, t->targets, t->batch, 1, AB_ALGO_AUTO, &t->specs[m], 1},
                &single, NULL);
        check_equal(t, &t->specs[m], "single", single, t->maps[m], 1,
                    input_count(t->net.graph, t->batch));
        free(single);
    }
}

/* The specs whose degree is known and whose arithmetic has no constant. */
static int homogeneous(const struct trial *t, bool head, struct spec *to, int *from)
{
    int count = 0;
    for (int m = 0; m < t->n_specs; m++) {
        const struct spec *s = &t->specs[m];
        const bool stabilised = s->composite.rule[AB_POS_CONV].eps > 0;
        if ((head ? s->by_head : s->by_image) == NOT_HOMOGENEOUS || stabilised) continue;
        if (s->composite.seed != AB_SEED_ONE) continue;
        from[count] = m;
        to[count++] = *s;
    }
    return count;
}

static void check_degrees(const struct trial *t, bool head, const float *x)
{
    struct spec specs[MAX_SPECS];
    float *maps[MAX_SPECS];
    int from[MAX_SPECS];
    const int count = homogeneous(t, head, specs, from);
    explain(t, &(struct setup){x, t->targets, t->batch, 1, AB_ALGO_AUTO, specs, count}, maps, NULL);
    for (int i = 0; i < count; i++) {
        const int degree = head ? specs[i].by_head : specs[i].by_image;
        check_equal(t, &specs[i], head ? "head * 2" : "image * 2", maps[i], t->maps[from[i]],
                    ldexpf(1, degree), input_count(t->net.graph, t->batch));
    }
    free_maps(maps, count);
}

/* I10: a head twice as large. */
static void seed_homogeneity(const struct trial *t)
{
    struct ab_node *head = &t->net.graph->nodes[t->net.graph->output];
    for (int pass = 0; pass < 2; pass++) {
        const float by = pass ? 0.5f : 2.0f;
        for (size_t i = 0; i < head->wei_count; i++) head->wei[i] *= by;
        for (int i = 0; head->bias && i < head->dims.c; i++) head->bias[i] *= by;
        if (!pass) check_degrees(t, true, t->x);
    }
}

/* I11: without biases, an image twice as bright. */
static void image_homogeneity(const struct trial *t)
{
    if (t->net.biased || t->net.capped) return;
    const size_t count = input_count(t->net.graph, t->batch);
    float *bright = malloc(sizeof *bright * count);
    CHECK(bright != NULL, "out of memory");
    for (size_t i = 0; i < count; i++) bright[i] = 2 * t->x[i];
    check_degrees(t, false, bright);
    free(bright);
}

/* I5: RectGrad with threshold 0 is Guided Backprop. I15: alpha 1, beta 0 is z+. */
static void identities(const struct trial *t)
{
    const size_t count = input_count(t->net.graph, t->batch);
    const struct spec rect = given_spec(RECT_AT_0);
    check_equal(t, &rect, "is guided-backprop", map_of(t, rect.text),
                map_of(t, "guided-backprop:seed=one"), 1, count);
    const struct spec ab = given_spec("lrp-alpha-beta:alpha=1,beta=0,eps=0,norm_eps=0,seed=one");
    if (applies(&t->net, &ab))
        check_equal(t, &ab, "is z+", map_of(t, ab.text),
                    map_of(t, "lrp-zplus:seed=one,eps=0,norm_eps=0"), 1, count);
}

/* I6: LRP-0 is input x gradient, with biases too, but for units at a cap, which pass relevance. In
 * float, dividing by a small z costs digits. */
static void lrp_is_ixg(const struct trial *t)
{
    const struct spec lrp = given_spec("lrp-0");
    if (!applies(&t->net, &lrp) || t->net.capped) return;
    const float *got = map_of(t, "lrp-0"), *want = map_of(t, "input-x-gradient:seed=one");
    const size_t count = input_count(t->net.graph, 1);
    for (int n = 0; n < t->batch; n++) {
        const double off = relative_l2(got + (size_t)n * count, want + (size_t)n * count, count);
        CHECK(off <= (t->reference ? 1e-6 : 2e-2), "lrp-0 is not input x gradient: %.3g", off);
    }
}

/* I7: without biases all relevance arrives. z+ loses it where nothing contributes: within a gated
 * network at the logit alone, and then all of it. */
static void conservation(const struct trial *t)
{
    const size_t count = input_count(t->net.graph, 1);
    for (int m = 0; m < t->n_specs; m++) {
        const struct spec *s = &t->specs[m];
        const bool stabilised = s->composite.rule[AB_POS_CONV].eps > 0;
        if (!s->conserves || s->composite.seed != AB_SEED_ONE || t->net.biased) continue;
        if ((s->sums && !t->net.gated) || (s->weighs && t->net.averages)) continue;
        for (int n = 0; n < t->batch; n++) {
            const struct totals all = totals_of(t->maps[m] + (size_t)n * count, count);
            if (all.magnitude == 0 || (stabilised && all.sum > 0 && all.sum < 1)) continue;
            CHECK(fabs(all.sum - 1) <= 5e-5 * all.magnitude, "%s: sample %d sums to %.9g of %.3g",
                  s->text, n, all.sum, all.magnitude);
        }
    }
}

/* I8: no negative relevance from rules that cannot make any. By plain sums exactly, and by fast
 * transforms or where bounds are subtracted up to rounding. */
static void non_negativity(const struct trial *t)
{
    if (!t->net.gated) return;
    struct spec specs[MAX_SPECS];
    float *maps[MAX_SPECS];
    int count = 0;
    for (int m = 0; m < t->n_specs; m++) {
        if (t->specs[m].signed_free && t->specs[m].composite.seed == AB_SEED_ONE)
            specs[count++] = t->specs[m];
    }
    if (!count) return;
    explain(t, &(struct setup){t->x, t->targets, t->batch, 1, AB_ALGO_DIRECT, specs, count}, maps,
            NULL);
    for (int m = 0; m < count; m++) {
        const struct totals all = totals_of(maps[m], input_count(t->net.graph, t->batch));
        const double limit = specs[m].exact_sign ? 0 : 1e-5 * all.largest;
        CHECK(all.lowest >= -limit, "%s: %.3g of %.3g", specs[m].text, all.lowest, all.largest);
    }
    free_maps(maps, count);
}

/* I9: DeepLIFT's contributions, and without biases integrated gradients', sum to f(x) - f(0). */
static void completeness(const struct trial *t)
{
    const size_t count = input_count(t->net.graph, 1);
    float *black = calloc(count, sizeof *black), at_0[MAX_CLASSES];
    CHECK(black != NULL, "out of memory");
    float *map;
    const struct spec gradient = given_spec("gradient");
    explain(t, &(struct setup){black, NULL, 1, 1, AB_ALGO_AUTO, &gradient, 1}, &map, at_0);
    for (int m = 0; m < t->n_specs; m++) {
        const char *name = t->specs[m].info->name;
        const bool path =
            strcmp(name, "integrated-gradients") == 0 && !t->net.biased && !t->net.capped;
        if (strcmp(name, "deeplift") != 0 && !path) continue;
        for (int n = 0; n < t->batch; n++) {
            const struct totals all = totals_of(t->maps[m] + (size_t)n * count, count);
            const int c = t->targets[n];
            const double change = (double)t->logits[n * t->classes + c] - (double)at_0[c];
            CHECK(fabs(all.sum - change) <= 2e-5 * (all.magnitude + fabs(change)),
                  "%s: sample %d sums to %.9g, not %.9g", t->specs[m].text, n, all.sum, change);
        }
    }
    free(map), free(black);
}

/* ---- inside: retained plans ---- */

static struct ab_plan *open_plan(const struct trial *t, const char *backend, const char *spec)
{
    struct ab_error err = {""};
    struct ab_method *method = NULL;
    struct ab_plan *plan = NULL;
    const struct ab_plan_options options = {.backend = backend, .batch = t->batch, .retain = true};
    CHECK(!ab_method_parse(spec, &method, &err), "%s", err.text);
    CHECK(!ab_plan_create(t->net.graph, (const struct ab_method *const *)&method, 1, &options,
                          &plan, &err),
          "%s", err.text);
    CHECK(!ab_plan_execute(plan, t->x, t->targets, NULL, NULL, &err), "%s", err.text);
    ab_method_destroy(&method);
    return plan;
}

static double *peek(const struct ab_plan *plan, int id)
{
    double *values = malloc(sizeof *values * ab_plan_value_count(plan, id));
    CHECK(values != NULL, "out of memory");
    ab_plan_peek(plan, id, values);
    return values;
}

/* I4: what leaves a ReLU backwards is not negative. */
static bool is_guided(enum ab_pointwise_kind kind)
{
    return kind == AB_PW_GUIDED || kind == AB_PW_CAP_GUIDED || kind == AB_PW_GUIDED_BITS;
}

static void signals_are_positive(const struct trial *t, const char *spec)
{
    struct ab_plan *plan = open_plan(t, t->backend, spec);
    int rules = 0;
    for (int i = 0; i < plan->program.n_steps; i++) {
        const struct ab_step *s = &plan->program.steps[i];
        if (!is_guided(s->kind)) continue;
        double *r = peek(plan, s->dst);
        for (size_t k = 0; k < ab_plan_value_count(plan, s->dst); k++)
            CHECK(r[k] >= 0, "%s: step %d element %zu is %g", spec, i, k, r[k]);
        free(r);
        rules++;
    }
    CHECK(rules >= t->net.relus, "%s: %d steps for %d ReLUs", spec, rules, t->net.relus);
    ab_plan_destroy(&plan);
}

/* 0 for dropped units, 1 for kept ones, 2 for those at their cap; of switches the winner. */
static double decided(const struct ab_plan *plan, int id, double v)
{
    const struct ab_value *value = &plan->program.values[id];
    if (value->decision == AB_DECIDE_SWITCH) return v;
    if (value->decision == AB_DECIDE_CAP)
        return (v > 0) + (v >= (double)plan->exec.graph->nodes[value->node].cap);
    return v != 0;
}

/* Whether two plans of one program decided alike: kept units and winners. */
static bool same_decisions(const struct ab_plan *a, const struct ab_plan *b)
{
    bool same = true;
    for (int v = 0; v < a->program.n_values && v < b->program.n_values && same; v++) {
        const enum ab_decision d = a->program.values[v].decision;
        if (d == AB_DECIDE_NOTHING) continue;
        double *p = peek(a, v), *q = peek(b, v);
        for (size_t i = 0; i < ab_plan_value_count(a, v) && same; i++) {
            same = decided(a, v, p[i]) == decided(b, v, q[i]);
        }
        free(p), free(q);
    }
    return same;
}

/* I2: what no division makes worse agrees with the reference, unless rounding changed a decision.
 */
static void agrees_with_reference(const struct trial *t)
{
    if (t->reference) return;
    struct trial r = *t;
    r.backend = "reference";
    float *maps[MAX_SPECS];
    explain(&r, &(struct setup){t->x, t->targets, t->batch, 1, AB_ALGO_AUTO, t->specs, t->n_specs},
            maps, NULL);
    for (int m = 0; m < t->n_specs; m++) {
        const struct spec *s = &t->specs[m];
        const bool mild = s->signed_free && s->exact_sign && t->net.gated;
        const bool divides = s->composite.map == AB_MAP_CAM &&
                             s->composite.cam == AB_CAM_PLUS_PLUS; /* by sums of both signs */
        if (s->sampled || divides || (s->composite.relevance && !mild)) continue;
        const double off = relative_l2(t->maps[m], maps[m], input_count(t->net.graph, t->batch));
        if (off <= 2e-5) continue;
        struct ab_plan *a = open_plan(t, t->backend, s->text);
        struct ab_plan *b = open_plan(t, "reference", s->text);
        CHECK(!same_decisions(a, b), "%s differs from the reference by %.3g", s->text, off);
        ab_plan_destroy(&a);
        ab_plan_destroy(&b);
    }
    free_maps(maps, t->n_specs);
}

/* I3: between two images that decide alike, the logit changes as the gradient says. */
static bool finite_difference(struct trial *t)
{
    struct ab_plan *here = open_plan(t, "reference", "gradient");
    const size_t count = input_count(t->net.graph, 1);
    double *map = peek(here, here->program.outputs[0]);
    double *at = peek(here, here->program.logits);
    float *x = t->x, *moved = malloc(sizeof *moved * count * (size_t)t->batch);
    CHECK(moved != NULL, "out of memory");
    for (size_t i = 0; i < count * (size_t)t->batch; i++) {
        moved[i] = x[i] + 1e-4f * sinf((float)i);
    }
    t->x = moved;
    struct ab_plan *there = open_plan(t, "reference", "gradient");
    t->x = x;
    double *then = peek(there, there->program.logits);
    const bool comparable = same_decisions(here, there);
    for (int n = 0; n < t->batch && comparable; n++) {
        double slope = 0, size = 0;
        for (size_t i = (size_t)n * count; i < (size_t)(n + 1) * count; i++) {
            const double part = map[i] * ((double)moved[i] - (double)x[i]);
            slope += part;
            size += fabs(part);
        }
        const int c = n * t->classes + t->targets[n];
        CHECK(fabs(then[c] - at[c] - slope) <= 1e-9 * size + 1e-13 * fabs(at[c]),
              "sample %d: the logit changes by %.12g, not %.12g", n, then[c] - at[c], slope);
    }
    ab_plan_destroy(&here);
    ab_plan_destroy(&there);
    free(map), free(at), free(then), free(moved);
    return comparable;
}

/* ---- the walk over networks ---- */

static bool try_network(int index, const char *backend)
{
    struct trial t = open_trial((uint64_t)index, backend);
    context("AB_TEST_GRAPHS=%d+1 on %s, %d images: %s", index, backend, t.batch, t.net.text);
    struct rng r = rng_new(0x636f + (uint64_t)index);
    batch_and_threads(&t);
    company(&t, &r);
    seed_homogeneity(&t);
    image_homogeneity(&t);
    identities(&t);
    lrp_is_ixg(&t);
    conservation(&t);
    non_negativity(&t);
    completeness(&t);
    signals_are_positive(&t, "guided-backprop");
    agrees_with_reference(&t);
    const bool compared = finite_difference(&t);
    close_trial(&t);
    return compared;
}

TEST(random_networks)
{
    char names[12][32];
    const int backends = backend_names(names, 12);
    const char *text = getenv("AB_TEST_GRAPHS");
    int first = 0, count = GRAPHS, compared = 0;
    if (text && sscanf(text, "%d+%d", &first, &count) != 2) count = atoi(text), first = 0;
    CHECK(first >= 0 && count > 0, "AB_TEST_GRAPHS=%s is neither COUNT nor FIRST+COUNT", text);
    for (int i = first; i < first + count; i++) {
        context("AB_TEST_GRAPHS=%d+1 on %s", i, names[i % backends]);
        compared += try_network(i, names[i % backends]);
    }
    CHECK(count < 20 || compared > count / 2, "only %d difference quotients of %d networks",
          compared, count);
}

static const struct test_case cases[] = {CASE(random_networks)};
TEST_MAIN("random", cases)
