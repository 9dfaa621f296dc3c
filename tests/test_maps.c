// SPDX-License-Identifier: Apache-2.0
// Maps that are not the signal at the image: class activation maps, controls, layers; and
// RectGrad's variants, against transcriptions of their definitions in double.
#include "nets.h"

enum { MOST = 24 };

/* A plan of one method on the reference, executed on x, that keeps everything. */
struct exact {
    struct ab_method *method;
    struct ab_plan *plan;
};

static struct exact exact_open(const struct ab_graph *g, const float *x, const char *spec,
                               const char *at)
{
    struct exact e = {NULL, NULL};
    struct ab_error err = {""};
    const int target = 1;
    const struct ab_plan_options options = {.backend = "reference", .retain = true, .at = at};
    CHECK(!ab_method_parse(spec, &e.method, &err), "%s", err.text);
    CHECK(!ab_plan_create(g, (const struct ab_method *const *)&e.method, 1, &options, &e.plan,
                          &err) &&
              !ab_plan_execute(e.plan, x, &target, NULL, NULL, &err),
          "%s", err.text);
    return e;
}

static void exact_close(struct exact *e)
{
    ab_plan_destroy(&e->plan);
    ab_method_destroy(&e->method);
}

static double *value_of(const struct exact *e, int id)
{
    double *out = malloc(sizeof *out * ab_plan_value_count(e->plan, id));
    ab_plan_peek(e->plan, id, out);
    return out;
}

static double *exact_map(const struct ab_graph *g, const float *x, const char *spec, const char *at)
{
    struct exact e = exact_open(g, x, spec, at);
    double *map = value_of(&e, e.plan->program.outputs[0]);
    exact_close(&e);
    return map;
}

static int node_of(const struct ab_graph *g, const char *name)
{
    struct ab_error err = {""};
    int node;
    CHECK(!ab_graph_find(g, name, &node, &err), "%s", err.text);
    return node;
}

/* The output of a layer. */
static double *activation(const struct ab_graph *g, const float *x, const char *layer)
{
    struct exact e = exact_open(g, x, "gradient", NULL);
    const int node = node_of(g, layer);
    int id = 0;
    while (e.plan->program.values[id].node != node) id++;
    double *out = value_of(&e, id);
    exact_close(&e);
    return out;
}

static void check_near(const double *got, const double *want, size_t count, double tolerance)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        if (fabs(want[i]) > largest) largest = fabs(want[i]);
    CHECK(largest > 0, "the map is zero");
    for (size_t i = 0; i < count; i++)
        CHECK(fabs(got[i] - want[i]) <= tolerance * largest, "element %zu: %g, not %g", i, got[i],
              want[i]);
}

/* ---- class activation maps ---- */

/* Grad-CAM++ as its paper writes it. */
static double alpha_weight(const double *a, const double *g, int pixels)
{
    double sum = 0, weight = 0;
    for (int i = 0; i < pixels; i++) sum += a[i];
    for (int i = 0; i < pixels; i++) {
        const double below = 2 * g[i] * g[i] + sum * g[i] * g[i] * g[i];
        if (below != 0) weight += g[i] * g[i] / below * fmax(g[i], 0);
    }
    return weight;
}

/* One pixel of the coarse map. */
static double coarse_at(const char *method, const double *a, const double *g, struct ab_dims d,
                        int i)
{
    const int pixels = d.h * d.w;
    double sum = 0;
    for (int c = 0; c < d.c; c++) {
        const double *ac = a + c * pixels, *gc = g + c * pixels;
        double weight = 0;
        for (int k = 0; k < pixels; k++) weight += gc[k] / pixels;
        if (!strcmp(method, "grad-cam++")) weight = alpha_weight(ac, gc, pixels);
        if (!strcmp(method, "layer-cam")) weight = fmax(gc[i], 0);
        sum += weight * ac[i];
    }
    return sum;
}

TEST(cams_follow_their_definitions)
{
    static const char *const methods[] = {"grad-cam", "grad-cam++", "layer-cam"};
    static const char *const layers[] = {"relu4", "relu2", "conv3"};
    struct ab_graph *g = net_branches(61);
    const struct ab_dims in = ab_graph_input(g);
    const int image = in.h * in.w;
    float *x = random_images(g, 1, 62);
    for (int k = 0; k < 9; k++) {
        const char *layer = layers[k / 3], *method = methods[k % 3];
        const struct ab_dims d = g->nodes[node_of(g, layer)].dims;
        char spec[80];
        snprintf(spec, sizeof spec, "%s:relu=0,upsample=nearest,layer=%s", method, layer);
        context("%s", spec);
        double *a = activation(g, x, layer), *s = exact_map(g, x, "gradient", layer);
        double *got = exact_map(g, x, spec, NULL), *want = malloc(sizeof *want * 3 * (size_t)image);
        for (int i = 0; i < 3 * image; i++) {
            const int y = i % image / in.w * d.h / in.h, col = i % in.w * d.w / in.w;
            want[i] = coarse_at(method, a, s, d, y * d.w + col);
        }
        check_near(got, want, 3 * (size_t)image, 1e-12);
        free(a), free(s), free(got), free(want);
    }
    free(x);
    ab_graph_destroy(&g);
}

/* Behind global pooling and one dense layer Grad-CAM is the CAM of Zhou et al.: sum w_c A_c / hw.
 * The last map is the default layer. */
TEST(grad_cam_is_cam)
{
    struct ab_graph *g = net_branches(63);
    const struct ab_dims in = ab_graph_input(g), d = g->nodes[node_of(g, "relu4")].dims;
    const struct ab_node *fc = &g->nodes[node_of(g, "fc")];
    float *x = random_images(g, 1, 64);
    double *a = activation(g, x, "relu4"), *got;
    double *want = calloc((size_t)(in.h * in.w), sizeof *want);
    got = exact_map(g, x, "grad-cam:relu=0,upsample=nearest", NULL);
    for (int i = 0; i < in.h * in.w; i++) {
        const int y = i / in.w * d.h / in.h, col = i % in.w * d.w / in.w;
        for (int c = 0; c < d.c; c++)
            want[i] += (double)fc->wei[d.c + c] * a[(c * d.h + y) * d.w + col] / (d.h * d.w);
    }
    check_near(got, want, (size_t)(in.h * in.w), 1e-12);
    free(a), free(got), free(want), free(x);
    ab_graph_destroy(&g);
}

/* Guided Grad-CAM is the product of its parts; Grad-CAM's ReLU leaves nothing negative. */
TEST(guided_grad_cam_is_a_product)
{
    static const char *const specs[] = {"grad-cam", "guided-backprop", "guided-grad-cam"};
    struct ab_graph *graphs[] = {net_chain(65, true), net_branches(66)};
    char names[12][32];
    const int backends = backend_names(names, 12);
    for (int k = 0; k < 2 * backends; k++) {
        const struct ab_graph *g = graphs[k % 2];
        float *x = random_images(g, 2, 67), *maps[3];
        const struct job job = {g, names[k / 2], x, NULL, 2, 2};
        context("%s on %s", ab_graph_name(g), job.backend);
        run_methods(&job, specs, 3, maps, NULL);
        for (size_t i = 0; i < input_count(g, 2); i++) {
            const float want = maps[0][i] * maps[1][i];
            CHECK(maps[0][i] >= 0, "grad-cam is %g", (double)maps[0][i]);
            CHECK(fabsf(maps[2][i] - want) <= 1e-6f * fabsf(want), "%g, not %g", (double)maps[2][i],
                  (double)want);
        }
        for (int m = 0; m < 3; m++) free(maps[m]);
        free(x);
    }
    ab_graph_destroy(&graphs[0]);
    ab_graph_destroy(&graphs[1]);
}

/* Nothing below the layer is walked back, nor what bypasses it. */
TEST(grad_cam_walks_the_head_alone)
{
    static const char *const specs[] = {"grad-cam", "grad-cam:layer=conv3",
                                        "layer-cam:layer=relu2"};
    static const char *const layers[] = {"relu4", "conv3", "relu2"};
    struct ab_graph *g = net_branches(68);
    for (int k = 0; k < 3; k++) {
        struct ab_error err = {""};
        struct ab_method *m = NULL;
        struct ab_program p = {0};
        CHECK(!ab_method_parse(specs[k], &m, &err), "%s", err.text);
        CHECK(!ab_lower(g, (const struct ab_method *const *)&m, 1, NULL, &p, &err), "%s", err.text);
        const int layer = node_of(g, layers[k]);
        for (int i = 0; i < p.n_steps; i++)
            CHECK(p.steps[i].pass == AB_FWD || p.steps[i].node > layer, "%s walks back through %s",
                  specs[k], g->nodes[p.steps[i].node].name);
        ab_program_free(&p);
        ab_method_destroy(&m);
    }
    ab_graph_destroy(&g);
}

/* ---- controls ---- */

TEST(controls)
{
    static const char *const specs[] = {"input", "edges", "random", "random:seed=2"};
    struct ab_graph *g = net_chain(69, true);
    const size_t count = input_count(g, 1), pixels = 14 * 13;
    float *x = random_images(g, 3, 70), *maps[4], *one[4];
    double sum = 0, squares = 0, products = 0;
    memcpy(x + 2 * count, x, count * sizeof *x); /* the first image again */
    for (size_t i = 0; i < pixels; i++) x[count + i] = 3 * (float)(i % 13) + (float)(i / 13);
    struct job job = {g, "native", x, NULL, 3, 2};
    run_methods(&job, specs, 4, maps, NULL);
    check_same_bits(maps[0], x, 3 * count);
    for (size_t i = 0; i < pixels; i++) {
        const size_t row = i / 13, col = i % 13;
        if (row == 0 || col == 0 || row == 13 || col == 12) continue;
        CHECK(fabsf(maps[1][count + i] - 8 * sqrtf(10)) < 1e-4f, "edge of a ramp is %g",
              (double)maps[1][count + i]);
    }
    check_same_bits(maps[2] + 2 * count, maps[2], count);
    CHECK(memcmp(maps[2] + count, maps[2], count * sizeof(float)) != 0, "images share numbers");
    for (size_t i = 0; i < count; i++) {
        sum += (double)maps[2][i];
        squares += (double)maps[2][i] * maps[2][i];
        products += (double)maps[2][i] * maps[3][i];
    }
    const double n = (double)count;
    CHECK(fabs(sum / n) < 0.2 && fabs(squares / n - 1) < 0.25, "%g, %g", sum / n, squares / n);
    CHECK(fabs(products / n) < 0.2, "seeds are correlated: %g", products / n);
    job.batch = 1;
    job.backend = "reference";
    run_methods(&job, specs, 4, one, NULL);
    for (int m = 0; m < 4; m++) check_same_bits(one[m], maps[m], count);
    for (int m = 0; m < 4; m++) free(maps[m]), free(one[m]);
    free(x);
    ab_graph_destroy(&g);
}

/* ---- maps of layers ---- */

static double sum_of(const double *v, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += v[i];
    return sum;
}

/* Without biases relevance is the logit at every layer. */
TEST(relevance_is_kept_at_every_layer)
{
    static const char *const specs[] = {"lrp-0", "lrp-zplus:eps=0", "input-x-gradient"};
    struct ab_graph *g = net_chain(71, false);
    float *x = random_images(g, 1, 72);
    double *z = activation(g, x, "fc2");
    for (int k = 0; k < 3 * g->n_nodes; k++) {
        const struct ab_node *node = &g->nodes[k % g->n_nodes];
        const size_t count = (size_t)node->dims.c * (size_t)node->dims.h * (size_t)node->dims.w;
        double *map = exact_map(g, x, specs[k / g->n_nodes], node->name);
        context("%s at %s", specs[k / g->n_nodes], node->name);
        CHECK(fabs(sum_of(map, count) / z[1] - 1) < 1e-9, "%g, not %g", sum_of(map, count), z[1]);
        free(map);
    }
    free(z);
    free(x);
    ab_graph_destroy(&g);
}

/* Maps of a layer on every backend against the reference's; at the input they are the usual ones.
 */
TEST(layers_agree)
{
    static const char *const specs[] = {"gradient", "guided-backprop", "lrp-epsilon",
                                        "input-x-gradient"};
    static const char *const layers[] = {"input", "relu1", "add", "gap", "concat", "fc"};
    struct ab_graph *g = net_branches(73);
    float *x = random_images(g, 1, 74);
    char names[12][32];
    const int backends = backend_names(names, 12), target = 1;
    for (int k = 0; k < 6 * 4 * backends; k++) {
        const char *layer = layers[k / 4 % 6], *spec = specs[k % 4], *backend = names[k / 24];
        const struct ab_dims d = g->nodes[node_of(g, layer)].dims;
        const size_t count = (size_t)d.c * (size_t)d.h * (size_t)d.w;
        const struct ab_plan_options options = {.backend = backend, .at = layer};
        struct ab_error err = {""};
        struct ab_plan *plan = NULL;
        struct ab_method *m = NULL;
        float *got = malloc(sizeof *got * count);
        double *want = exact_map(g, x, spec, layer), *wide = malloc(sizeof *wide * count);
        context("%s at %s on %s", spec, layer, backend);
        CHECK(
            !ab_method_parse(spec, &m, &err) &&
                !ab_plan_create(g, (const struct ab_method *const *)&m, 1, &options, &plan, &err) &&
                !ab_plan_execute(plan, x, &target, &got, NULL, &err),
            "%s", err.text);
        const struct ab_dims e = ab_plan_map_dims(plan, 0);
        CHECK(e.c == d.c && e.h == d.h && e.w == d.w, "a map of %dx%dx%d", e.c, e.h, e.w);
        for (size_t i = 0; i < count; i++) wide[i] = (double)got[i];
        check_near(wide, want, count, 2e-4);
        if (k / 4 % 6 == 0) {
            const struct job job = {g, backend, x, &target, 1, 1};
            float *usual = run_method(&job, spec, NULL);
            check_same_bits(got, usual, count);
            free(usual);
        }
        ab_plan_destroy(&plan);
        ab_method_destroy(&m);
        free(got), free(want), free(wide);
    }
    free(x);
    ab_graph_destroy(&g);
}

/* ---- RectGrad's variants, beta-smooth ---- */

/* conv 3x3 "same" - relu - max-pool 2x2 - flatten - dense: small enough to be walked by hand. */
static struct ab_graph *net_small(void)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = 75, .err = &err};
    CHECK(!ab_graph_create("small", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 2, 6, 6);
    x = ab_build_relu(&b, "relu", ab_build_conv(&b, "conv", x, 3, 3, 1, 1, 1, true));
    x = ab_build_flatten(&b, "flatten", ab_build_maxpool(&b, "pool", x, 2, 2, 0, false));
    x = ab_build_dense(&b, "fc", x, 4, true);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What the walk of a variant leaves of R at the convolution, given R at the ReLU's output. */
static void by_hand(const char *spec, const double *a, const double *z, double *r)
{
    enum { COUNT = 3 * 36 };
    double s[COUNT], sorted[COUNT];
    const bool modified = strstr(spec, "modified") != NULL;
    for (int i = 0; i < COUNT; i++) sorted[i] = s[i] = modified ? fabs(a[i] * r[i]) : a[i] * r[i];
    qsort(sorted, COUNT, sizeof *sorted, ascending);
    const double tau = strstr(spec, "constant") ? 0 : fmax(sorted[(int)rint(107 * 0.6)], 0);
    for (int i = 0; i < COUNT; i++) {
        const int y = i / 6 % 6, x = i % 6;
        if (!strncmp(spec, "beta", 4))
            r[i] *= 1 / (1 + exp(-3 * z[i]));
        else if (!(s[i] > tau))
            r[i] = 0;
        if (strstr(spec, "pad_trick") && (y == 0 || x == 0 || y == 5 || x == 5)) r[i] = 0;
    }
}

/* R at the ReLU's output from that at the pool's. */
static void unpool(bool shared, const double *a, const double *at_pool, double *r)
{
    for (int i = 0; i < 3 * 36; i++) {
        const int c = i / 36, wy = i / 6 % 6 / 2, wx = i % 6 / 2;
        double sum = 0;
        int best = -1;
        for (int k = 0; k < 4; k++) {
            const int at = (c * 6 + 2 * wy + k / 2) * 6 + 2 * wx + k % 2;
            sum += a[at];
            if (best < 0 || a[at] > a[best]) best = at;
        }
        const double from = at_pool[(c * 3 + wy) * 3 + wx];
        r[i] = shared ? a[i] * from / (sum / 4 + 1e-10) / 4 : best == i ? from : 0;
    }
}

TEST(variants_by_hand)
{
    static const char *const specs[] = {"rectgrad:q=60,input_mul=0",
                                        "rectgrad:q=60,input_mul=0,variant=modified",
                                        "rectgrad:input_mul=0,variant=constant",
                                        "rectgrad:q=60,input_mul=0,pad_trick=1",
                                        "rectgrad:q=60,input_mul=0,prr=1",
                                        "rectgrad:q=60,prr=1,pad_trick=1,variant=modified,gate=1",
                                        "rectgrad:q=60,positive=1",
                                        "beta-smooth:beta=3"};
    struct ab_graph *g = net_small();
    const struct ab_node *conv = &g->nodes[node_of(g, "conv")], *fc = &g->nodes[node_of(g, "fc")];
    float *x = random_images(g, 1, 76);
    double *a = activation(g, x, "relu"), *z = activation(g, x, "conv"), r[3 * 36], at_pool[27];
    for (size_t k = 0; k < sizeof specs / sizeof *specs; k++) {
        double want[72] = {0}, *got = exact_map(g, x, specs[k], NULL);
        context("%s", specs[k]);
        for (int i = 0; i < 27; i++) at_pool[i] = (double)fc->wei[27 + i];
        unpool(strstr(specs[k], "prr") != NULL, a, at_pool, r);
        by_hand(specs[k], a, z, r);
        for (int i = 0; i < 72 * 27; i++) {
            const int to = i / 27, o = i % 27 / 9, ky = i % 9 / 3, kx = i % 3, c = to / 36;
            const int y = to / 6 % 6 + 1 - ky, col = to % 6 + 1 - kx;
            if (y < 0 || y > 5 || col < 0 || col > 5) continue;
            want[to] +=
                (double)conv->wei[((o * 2 + c) * 3 + ky) * 3 + kx] * r[(o * 6 + y) * 6 + col];
        }
        const bool multiplies = strncmp(specs[k], "beta", 4) && !strstr(specs[k], "input_mul=0");
        for (int i = 0; i < 72 && multiplies; i++) want[i] *= (double)x[i];
        for (int i = 0; i < 72 && strstr(specs[k], "positive"); i++) want[i] = fmax(want[i], 0);
        check_near(got, want, 72, 1e-9);
        free(got);
    }
    free(a), free(z), free(x);
    ab_graph_destroy(&g);
}

TEST(constant_threshold_is_guided_backprop)
{
    static const char *const specs[] = {"guided-backprop", "rectgrad:variant=constant,input_mul=0"};
    struct ab_graph *g = net_chain(77, true);
    float *x = random_images(g, 2, 78), *maps[2];
    const struct job job = {g, "native", x, NULL, 2, 1};
    run_methods(&job, specs, 2, maps, NULL);
    check_same_bits(maps[1], maps[0], input_count(g, 2));
    free(maps[0]), free(maps[1]), free(x);
    ab_graph_destroy(&g);
}

/* All of them on all backends, in one plan and alone, with one thread and with two. */
TEST(same_bits_alone_and_together)
{
    static const char *const specs[] = {"grad-cam",
                                        "grad-cam++",
                                        "layer-cam:layer=relu2",
                                        "guided-grad-cam",
                                        "edges",
                                        "random",
                                        "beta-smooth",
                                        "rectgrad:prr=1,pad_trick=1,variant=modified,q=80"};
    enum { COUNT = 8 };
    struct ab_graph *graphs[] = {net_chain(79, true), net_branches(80)};
    char names[12][32];
    const int backends = backend_names(names, 12);
    for (int k = 0; k < 2 * backends; k++) {
        const struct ab_graph *g = graphs[k % 2];
        float *x = random_images(g, 2, 81), *all[COUNT], *exact[COUNT];
        struct job job = {g, "reference", x, NULL, 2, 2};
        run_methods(&job, specs, COUNT, exact, NULL);
        job.backend = names[k / 2];
        run_methods(&job, specs, COUNT, all, NULL);
        job.threads = 1;
        for (int m = 0; m < COUNT; m++) {
            context("%s on %s, %s", specs[m], ab_graph_name(g), job.backend);
            float *alone = run_method(&job, specs[m], NULL);
            /* oneDNN's formats, and with them its sums, depend on the plan and the threads. */
            if (strcmp(job.backend, "onednn") != 0)
                check_same_bits(alone, all[m], input_count(g, 2));
            CHECK(relative_l2(alone, exact[m], input_count(g, 2)) < 1e-4, "off by %g",
                  relative_l2(alone, exact[m], input_count(g, 2)));
            free(alone), free(all[m]), free(exact[m]);
        }
        free(x);
    }
    ab_graph_destroy(&graphs[0]);
    ab_graph_destroy(&graphs[1]);
}

/* ---- refusals ---- */

static void refuse(const struct ab_graph *g, const char *spec, const char *at, const char *says)
{
    struct ab_error err = {""};
    struct ab_method *m = NULL;
    struct ab_plan *plan = NULL;
    const struct ab_plan_options options = {.at = at};
    enum ab_status status = ab_method_parse(spec, &m, &err);
    if (!status)
        status = ab_plan_create(g, (const struct ab_method *const *)&m, 1, &options, &plan, &err);
    CHECK(status && strstr(err.text, says), "%s: '%s' does not say '%s'", spec, err.text, says);
    ab_plan_destroy(&plan);
    ab_method_destroy(&m);
}

TEST(refusals)
{
    struct ab_graph *g = net_branches(82);
    refuse(g, "gradient", "relu9", "did you mean 'relu");
    refuse(g, "gradient", "nothing-like-it", "it has: input, conv1");
    refuse(g, "grad-cam", "relu2", "maps of the image alone");
    refuse(g, "edges", "relu2", "maps of the image alone");
    refuse(g, "grad-cam:layer=relu7", NULL, "has no layer 'relu7'");
    refuse(g, "grad-cam:layer=fc", NULL, "gives a vector");
    refuse(g, "grad-cam:upsample=cubic", NULL, "bilinear, nearest");
    refuse(g, "random:seed=1.5", NULL, "0..2^64-1");
    refuse(g, "beta-smooth:beta=0", NULL, "> 0");
    refuse(g, "rectgrad:variant=none", NULL, "percentile, modified, constant");
    ab_graph_destroy(&g);
}

static const struct test_case cases[] = {CASE(cams_follow_their_definitions),
                                         CASE(grad_cam_is_cam),
                                         CASE(guided_grad_cam_is_a_product),
                                         CASE(grad_cam_walks_the_head_alone),
                                         CASE(controls),
                                         CASE(relevance_is_kept_at_every_layer),
                                         CASE(layers_agree),
                                         CASE(variants_by_hand),
                                         CASE(constant_threshold_is_guided_backprop),
                                         CASE(same_bits_alone_and_together),
                                         CASE(refusals)};
TEST_MAIN("maps", cases)
