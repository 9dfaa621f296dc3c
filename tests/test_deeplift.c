// SPDX-License-Identifier: Apache-2.0
// DeepLIFT: complete whatever the layers, on every backend; equal to the published formulas written
// out; equal to captum where captum is right, and complete where it is not.
#include "nets.h"

#include "deeplift_captum.h"

enum { BATCH = 3, MAX_BACKENDS = 12 };

/* ---- networks ---- */

/* Every kind of layer, among them what is hard to share out: a ReLU before a max-pool whose windows
 * overlap, ceil mode, a batch-norm that cannot be folded, a residual sum, a sum of a node with
 * itself, signed values that are pooled. */
static struct ab_graph *net_hard(uint64_t seed)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = seed, .err = &err};
    CHECK(!ab_graph_create("hard", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 3, 17, 15);
    x = ab_build_relu(&b, "relu1", ab_build_conv(&b, "conv1", x, 18, 3, 1, 1, 1, true));
    x = ab_build_maxpool(&b, "pool1", x, 3, 2, 1, false);
    int u = ab_build_relu(&b, "relu2", ab_build_conv(&b, "conv2", x, 18, 3, 1, 1, 2, true));
    u = ab_build_add(&b, "add1", ab_build_conv(&b, "conv3", u, 18, 3, 1, 1, 1, true), x);
    x = ab_build_relu(&b, "relu3", ab_build_batchnorm(&b, "bn", u));
    x = ab_build_maxpool(&b, "pool2", ab_build_conv(&b, "conv4", x, 21, 3, 1, 1, 1, true), 3, 2, 0,
                         true);
    const int parts[] = {x, ab_build_relu(&b, "relu4", x), ab_build_avgpool(&b, "avg", x, 3, 1, 1)};
    x = ab_build_add(&b, "add2", ab_build_concat(&b, "concat", parts, 3),
                     ab_build_concat(&b, "concat2", parts, 3));
    x = ab_build_relu(&b, "relu5", x);
    x = ab_build_flatten(&b, "flatten", x);
    x = ab_build_relu(&b, "relu6", ab_build_dense(&b, "fc1", x, 23, true));
    x = ab_build_relu(&b, "relu7", ab_build_dense(&b, "fc2", x, 9, true));
    x = ab_build_dense(&b, "fc3", x, 5, true);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

/* Neither a bias nor a max-pool. */
static struct ab_graph *net_homogeneous(uint64_t seed)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = seed, .err = &err};
    CHECK(!ab_graph_create("homogeneous", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 3, 12, 11);
    x = ab_build_relu(&b, "relu1", ab_build_conv(&b, "conv1", x, 10, 3, 1, 1, 1, false));
    int u = ab_build_conv(&b, "conv2", x, 10, 3, 1, 1, 1, false);
    x = ab_build_relu(&b, "relu2", ab_build_add(&b, "add", u, x));
    x = ab_build_flatten(&b, "flatten", ab_build_avgpool(&b, "avg", x, 2, 2, 0));
    x = ab_build_relu(&b, "relu3", ab_build_dense(&b, "fc1", x, 14, false));
    x = ab_build_dense(&b, "fc2", x, 5, false);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

/* ---- running ---- */

/* Map and logits as doubles. */
struct result {
    double *map, *logits;
};

static struct result run(const struct ab_graph *g, const char *backend, const char *spec,
                         const float *x, const float *baseline, const int *targets, int batch)
{
    struct ab_error err = {""};
    struct ab_method *method = NULL;
    struct ab_plan *plan = NULL;
    const struct ab_plan_options options = {.backend = backend, .batch = batch};
    CHECK(!ab_method_parse(spec, &method, &err), "%s", err.text);
    CHECK(!ab_plan_create(g, (const struct ab_method *const *)&method, 1, &options, &plan, &err),
          "%s", err.text);
    ab_plan_baseline(plan, baseline);
    CHECK(!ab_plan_execute(plan, x, targets, NULL, NULL, &err), "%s", err.text);
    struct result r = {malloc(sizeof(double) * input_count(g, batch)),
                       malloc(sizeof(double) * ab_plan_value_count(plan, plan->program.logits))};
    CHECK(r.map && r.logits, "out of memory");
    ab_plan_peek(plan, plan->program.outputs[0], r.map);
    ab_plan_peek(plan, plan->program.logits, r.logits);
    ab_plan_destroy(&plan);
    ab_method_destroy(&method);
    return r;
}

static void result_free(struct result *r)
{
    free(r->map);
    free(r->logits);
}

/* ---- completeness ---- */

static const char *const baselines[] = {"0", "0.25", "-0.5/0.1/0.7", "given"};
static const char *const rules[] = {"rescale", "reveal-cancel", "genomics"};

/* The reference images of a baseline= text. */
static float *reference_images(const struct ab_graph *g, const char *baseline)
{
    const struct ab_dims d = ab_graph_input(g);
    const int area = d.h * d.w;
    float *r = random_images(g, BATCH, 77), channel[3] = {0};
    if (strcmp(baseline, "given") == 0) return r;
    const int count = sscanf(baseline, "%f/%f/%f", &channel[0], &channel[1], &channel[2]);
    for (int i = 0; i < BATCH * d.c * area; i++) r[i] = channel[count == 1 ? 0 : i / area % d.c];
    return r;
}

static void check_complete(const struct ab_graph *g, const char *backend, const char *rule,
                           const char *baseline)
{
    static const int targets[BATCH] = {2, 0, 4};
    const size_t image = input_count(g, 1);
    const int classes = ab_graph_classes(g);
    char spec[96];
    snprintf(spec, sizeof spec, "deeplift:rule=%s,baseline=%s", rule, baseline);
    float *x = random_images(g, BATCH, 5), *r = reference_images(g, baseline);
    struct result got = run(g, backend, spec, x, r, targets, BATCH);
    struct result at_x = run(g, "reference", "gradient", x, NULL, targets, BATCH);
    struct result at_r = run(g, "reference", "gradient", r, NULL, targets, BATCH);
    const double limit = strcmp(backend, "reference") == 0 ? 1e-12 : 1e-5;
    for (int n = 0; n < BATCH; n++) {
        const int at = n * classes + targets[n];
        double sum = 0, magnitude = 0;
        for (size_t i = (size_t)n * image; i < (size_t)(n + 1) * image; i++) {
            sum += got.map[i];
            magnitude += fabs(got.map[i]);
        }
        CHECK(fabs(sum - (at_x.logits[at] - at_r.logits[at])) <= limit * magnitude,
              "%s %s %s: contributions sum to %.17g, the logit differs by %.17g (image %d)",
              g->name, backend, spec, sum, at_x.logits[at] - at_r.logits[at], n);
        CHECK(magnitude > 1e-3, "%s %s: the map is empty", g->name, spec);
    }
    result_free(&got);
    result_free(&at_x);
    result_free(&at_r);
    free(x);
    free(r);
}

TEST(contributions_are_complete)
{
    char names[MAX_BACKENDS][32];
    const int count = backend_names(names, MAX_BACKENDS);
    for (uint64_t seed = 1; seed <= (AB_TEST_SLOW ? 1 : 3); seed++) {
        struct ab_graph *graphs[] = {net_hard(seed), net_chain(seed, true), net_branches(seed)};
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < count * 3 * 4; i++)
                check_complete(graphs[k], names[i % count], rules[i / count % 3],
                               baselines[i / count / 3]);
        for (int k = 0; k < 3; k++) ab_graph_destroy(&graphs[k]);
    }
}

/* ---- equalities ---- */

TEST(is_input_x_gradient_without_biases_and_pools)
{
    char names[MAX_BACKENDS][32];
    const int count = backend_names(names, MAX_BACKENDS);
    struct ab_graph *g = net_homogeneous(3);
    float *x = random_images(g, BATCH, 9);
    for (int i = 0; i < count; i++) {
        const bool reference = strcmp(names[i], "reference") == 0;
        const struct result a = run(g, names[i], "deeplift", x, NULL, NULL, BATCH);
        const struct result b = run(g, names[i], "input-x-gradient", x, NULL, NULL, BATCH);
        double off = 0, norm = 0;
        for (size_t k = 0; k < input_count(g, BATCH); k++) {
            off += pow(a.map[k] - b.map[k], 2);
            norm += pow(b.map[k], 2);
        }
        CHECK(sqrt(off / norm) <= (reference ? 1e-13 : 1e-5), "%s: off by %g", names[i],
              sqrt(off / norm));
        result_free((struct result *)&a);
        result_free((struct result *)&b);
    }
    free(x);
    ab_graph_destroy(&g);
}

/* An image's map does not depend on where in a batch it stands, on threads, nor on other methods.
 */
TEST(batches_threads_and_company_do_not_matter)
{
    static const char *const specs[] = {"gradient", "deeplift:baseline=0.25",
                                        "deeplift:rule=reveal-cancel", "input-x-gradient",
                                        "deeplift:rule=genomics,multiply=0"};
    char names[MAX_BACKENDS][32];
    const int count = backend_names(names, MAX_BACKENDS);
    struct ab_graph *g = net_hard(11);
    const size_t image = input_count(g, 1);
    float *x = random_images(g, BATCH, 13);
    for (int i = 0; i < count; i++) {
        if (strncmp(names[i], "onednn", 6) == 0) continue; /* each plan times its algorithms */
        float *together[5];
        run_methods(&(struct job){g, names[i], x, NULL, BATCH, 3}, specs, 5, together, NULL);
        for (int m = 0; m < 5; m++) {
            for (int n = 0; n < BATCH; n++) {
                const struct job alone = {g, names[i], x + (size_t)n * image, NULL, 1, 1};
                float *map = run_method(&alone, specs[m], NULL);
                CHECK(!memcmp(map, together[m] + (size_t)n * image, sizeof *map * image),
                      "%s %s: image %d differs", names[i], specs[m], n);
                free(map);
            }
            free(together[m]);
        }
    }
    free(x);
    ab_graph_destroy(&g);
}

/* The same images as a constant and as given. */
TEST(given_equals_constant)
{
    struct ab_graph *g = net_hard(4);
    float *x = random_images(g, BATCH, 21), *r = reference_images(g, "-0.5/0.1/0.7");
    for (int i = 0; i < 3; i++) {
        char given[64], constant[64];
        snprintf(given, sizeof given, "deeplift:rule=%s,baseline=given", rules[i]);
        snprintf(constant, sizeof constant, "deeplift:rule=%s,baseline=-0.5/0.1/0.7", rules[i]);
        struct result a = run(g, "reference", given, x, r, NULL, BATCH);
        struct result b = run(g, "reference", constant, x, NULL, NULL, BATCH);
        CHECK(!memcmp(a.map, b.map, sizeof *a.map * input_count(g, BATCH)), "%s differs", rules[i]);
        result_free(&a);
        result_free(&b);
    }
    free(x);
    free(r);
    ab_graph_destroy(&g);
}

/* ---- captum, and the published formulas ---- */

static void wave(float *to, size_t count, double step, double scale)
{
    for (size_t i = 0; i < count; i++) to[i] = (float)(scale * sin(1 + step * (double)i));
}

/* The networks of tools/deeplift_captum.py. */
static struct ab_graph *net_waves(bool pool)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = 1, .err = &err};
    CHECK(!ab_graph_create("waves", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 2, 6, 6), layer = 0;
    x = ab_build_relu(&b, "relu1", ab_build_conv(&b, "conv1", x, 3, 3, 1, 1, 1, true));
    x = pool ? ab_build_maxpool(&b, "pool", x, 3, 2, 1, false)
             : ab_build_relu(&b, "relu2", ab_build_conv(&b, "conv2", x, 3, 3, 2, 1, 1, true));
    x = ab_build_flatten(&b, "flatten", x);
    x = ab_build_relu(&b, "relu3", ab_build_dense(&b, "fc1", x, 5, true));
    x = ab_build_dense(&b, "fc2", x, 4, true);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    for (int n = 0; n < b.graph->n_nodes; n++) {
        struct ab_node *node = &b.graph->nodes[n];
        if (!node->wei) continue;
        const double step = 0.7 + 0.11 * layer++;
        wave(node->wei, node->wei_count, step,
             1.5 / sqrt((double)node->wei_count / (double)node->dims.c));
        wave(node->bias, (size_t)node->dims.c, step + 1, 0.2);
    }
    return b.graph;
}

enum { PIXELS = 72, TARGET = 2 };

static struct result run_waves(const struct ab_graph *g, const char *rule)
{
    static const int target = TARGET;
    char spec[64];
    float x[PIXELS], r[PIXELS];
    wave(x, PIXELS, 0.37, 1);
    wave(r, PIXELS, 0.91, 0.6);
    snprintf(spec, sizeof spec, "deeplift:rule=%s,baseline=given", rule);
    return run(g, "reference", spec, x, r, &target, 1);
}

TEST(equals_captum_where_captum_is_right)
{
    struct ab_graph *g = net_waves(false);
    struct result got = run_waves(g, "rescale");
    for (int i = 0; i < PIXELS; i++)
        CHECK(fabs(got.map[i] - captum_right[i]) <= 1e-13, "pixel %d is %.17g, captum has %.17g", i,
              got.map[i], captum_right[i]);
    result_free(&got);
    ab_graph_destroy(&g);
}

/* captum's map of the network with an overlapping pool behind a ReLU misses more than half of what
 * it should sum to; ours does not. */
TEST(complete_where_captum_is_not)
{
    struct ab_graph *g = net_waves(true);
    struct result got = run_waves(g, "rescale");
    double ours = 0, theirs = 0;
    for (int i = 0; i < PIXELS; i++) {
        ours += got.map[i];
        theirs += captum_wrong[i];
    }
    CHECK(fabs(ours - captum_wrong_difference) <= 1e-14, "sum %.17g, not %.17g", ours,
          captum_wrong_difference);
    CHECK(fabs(theirs - captum_wrong_difference) > 0.5 * fabs(captum_wrong_difference),
          "captum's table is complete");
    result_free(&got);
    ab_graph_destroy(&g);
}

static double relu(double v)
{
    return v > 0 ? v : 0;
}

static double ratio(double y, double x, double limit)
{
    return x != 0 ? y / x : limit;
}

/* One linear layer and the ReLU behind it by the published formulas, contribution by contribution:
 * m[out] at the ReLU's output becomes back[in]. w: [out][in]; z of the reference and x's inputs. */
static void publish(const double *w, const double *in_x, const double *in_r, const double *z_r,
                    int in, int out, bool reveal, const double *m, double *back)
{
    for (int i = 0; i < in; i++) back[i] = 0;
    for (int o = 0; o < out; o++) {
        double pos = 0, neg = 0;
        for (int i = 0; i < in; i++) {
            const double c = w[o * in + i] * (in_x[i] - in_r[i]);
            pos += c > 0 ? c : 0;
            neg += c < 0 ? c : 0;
        }
        const double r = z_r[o], all = relu(r + pos + neg), open = r > 0;
        const double y_pos = ((relu(r + pos) - relu(r)) + (all - relu(r + neg))) / 2;
        const double y_neg = ((relu(r + neg) - relu(r)) + (all - relu(r + pos))) / 2;
        const double whole = ratio(all - relu(r), pos + neg, open);
        const double m_pos = m[o] * (reveal ? ratio(y_pos, pos, open) : whole);
        const double m_neg = m[o] * (reveal ? ratio(y_neg, neg, open) : whole);
        for (int i = 0; i < in; i++) {
            const double c = w[o * in + i] * (in_x[i] - in_r[i]);
            back[i] += w[o * in + i] * (c > 0 ? m_pos : c < 0 ? m_neg : (m_pos + m_neg) / 2);
        }
    }
}

/* The first layer of net_waves as a matrix [108][72]. */
static void unroll(const struct ab_node *conv, double *w)
{
    for (int i = 0; i < 108 * PIXELS; i++) w[i] = 0;
    for (int o = 0; o < 108; o++)
        for (int i = 0; i < PIXELS; i++) {
            const int ky = i / 6 % 6 - o / 6 % 6 + 1, kx = i % 6 - o % 6 + 1;
            if (ky < 0 || ky > 2 || kx < 0 || kx > 2) continue;
            w[o * PIXELS + i] = (double)conv->wei[(o / 36 * 2 + i / 36) * 9 + ky * 3 + kx];
        }
}

static void layer(const double *w, const float *bias, int per_bias, const double *x, int in,
                  int out, double *z)
{
    for (int o = 0; o < out; o++) {
        z[o] = (double)bias[o / per_bias];
        for (int i = 0; i < in; i++) z[o] += w[o * in + i] * x[i];
    }
}

/* The maximum of window (y,x) of channel c, 3x3 at stride 2 with padding 1, and where it is. */
static int window_max(const double *a, int o)
{
    int best = -1;
    for (int k = 0; k < 9; k++) {
        const int y = o / 3 % 3 * 2 - 1 + k / 3, x = o % 3 * 2 - 1 + k % 3;
        const int at = o / 9 * 36 + y * 6 + x;
        if (y < 0 || x < 0 || y > 5 || x > 5) continue;
        if (best < 0 || a[at] > a[best]) best = at;
    }
    return best;
}

struct pass {
    double in[PIXELS], z1[108], a1[108], pooled[27], z2[5], a2[5];
    int winner[27];
};

static void forward(const struct ab_graph *g, const double *w1, const double *w2, double step,
                    double scale, struct pass *p)
{
    float x[PIXELS];
    wave(x, PIXELS, step, scale);
    for (int i = 0; i < PIXELS; i++) p->in[i] = (double)x[i];
    layer(w1, g->nodes[1].bias, 36, p->in, PIXELS, 108, p->z1);
    for (int i = 0; i < 108; i++) p->a1[i] = relu(p->z1[i]);
    for (int o = 0; o < 27; o++) {
        p->winner[o] = window_max(p->a1, o);
        p->pooled[o] = p->a1[p->winner[o]];
    }
    layer(w2, g->nodes[5].bias, 1, p->pooled, 27, 5, p->z2);
    for (int i = 0; i < 5; i++) p->a2[i] = relu(p->z2[i]);
}

static void check_published(const char *rule, bool conv_reveals, bool dense_reveals)
{
    static double w1[108 * PIXELS], w2[27 * 5];
    struct ab_graph *g = net_waves(true);
    struct pass x, r;
    unroll(&g->nodes[1], w1);
    for (int i = 0; i < 27 * 5; i++) w2[i] = (double)g->nodes[5].wei[i];
    forward(g, w1, w2, 0.37, 1, &x);
    forward(g, w1, w2, 0.91, 0.6, &r);
    double m2[5], m1[27], got[108] = {0}, m[108], m0[PIXELS];
    for (int i = 0; i < 5; i++) m2[i] = (double)g->nodes[7].wei[TARGET * 5 + i];
    publish(w2, x.pooled, r.pooled, r.z2, 27, 5, dense_reveals, m2, m1);
    for (int o = 0; o < 27; o++) {
        const double larger = fmax(x.pooled[o], r.pooled[o]);
        got[x.winner[o]] += m1[o] * (larger - r.pooled[o]);
        got[r.winner[o]] += m1[o] * (x.pooled[o] - larger);
    }
    for (int i = 0; i < 108; i++) m[i] = ratio(got[i], x.a1[i] - r.a1[i], 0);
    publish(w1, x.in, r.in, r.z1, PIXELS, 108, conv_reveals, m, m0);
    struct result ours = run_waves(g, rule);
    for (int i = 0; i < PIXELS; i++) {
        const double want = m0[i] * (x.in[i] - r.in[i]);
        CHECK(fabs(ours.map[i] - want) <= 1e-13, "%s: pixel %d is %.17g, published %.17g", rule, i,
              ours.map[i], want);
    }
    result_free(&ours);
    ab_graph_destroy(&g);
}

TEST(equals_the_published_formulas)
{
    check_published("rescale", false, false);
    check_published("reveal-cancel", true, true);
    check_published("genomics", false, true);
}

/* ---- errors ---- */

static void refuse_method(const char *spec, const char *says)
{
    struct ab_error err = {""};
    struct ab_method *method = NULL;
    CHECK(ab_method_parse(spec, &method, &err) == AB_ERR_ARG && strstr(err.text, says),
          "%s: '%s' does not say '%s'", spec, err.text, says);
}

TEST(errors_name_the_remedy)
{
    struct ab_error err = {""};
    struct ab_graph *g = net_chain(1, true);
    struct ab_plan *plan = NULL;
    struct ab_method *method = NULL;
    float *x = random_images(g, 1, 1), *bad = random_images(g, 1, 2);
    refuse_method("deeplift:rule=rescal", "reveal-cancel");
    refuse_method("deeplift:baseline=none", "given");
    refuse_method("deeplift:baseline=1/", "per channel");
    CHECK(!ab_method_parse("deeplift:baseline=1/2", &method, &err), "%s", err.text);
    CHECK(ab_plan_create(g, (const struct ab_method *const *)&method, 1, NULL, &plan, &err) ==
                  AB_ERR_ARG &&
              strstr(err.text, "3 channels"),
          "two values for three channels: %s", err.text);
    ab_method_destroy(&method);
    CHECK(!ab_method_parse("deeplift:baseline=given", &method, &err), "%s", err.text);
    CHECK(!ab_plan_create(g, (const struct ab_method *const *)&method, 1, NULL, &plan, &err), "%s",
          err.text);
    CHECK(ab_plan_execute(plan, x, NULL, NULL, NULL, &err) == AB_ERR_ARG &&
              strstr(err.text, "ab_plan_baseline"),
          "no baseline: %s", err.text);
    bad[3] = NAN;
    ab_plan_baseline(plan, bad);
    CHECK(ab_plan_execute(plan, x, NULL, NULL, NULL, &err) == AB_ERR_ARG &&
              strstr(err.text, "element 3"),
          "NaN: %s", err.text);
    ab_plan_baseline(plan, x);
    CHECK(!ab_plan_execute(plan, x, NULL, NULL, NULL, &err), "%s", err.text);
    ab_plan_destroy(&plan);
    ab_method_destroy(&method);
    ab_graph_destroy(&g);
    free(x);
    free(bad);
}

static const struct test_case cases[] = {CASE(contributions_are_complete),
                                         CASE(is_input_x_gradient_without_biases_and_pools),
                                         CASE(batches_threads_and_company_do_not_matter),
                                         CASE(given_equals_constant),
                                         CASE(equals_captum_where_captum_is_right),
                                         CASE(complete_where_captum_is_not),
                                         CASE(equals_the_published_formulas),
                                         CASE(errors_name_the_remedy)};
TEST_MAIN("deeplift", cases)
