// SPDX-License-Identifier: Apache-2.0
// Methods that explain many inputs made from one image: quadrature, completeness, captum's maps,
// equality with the base method without noise, and each method by hand.
#include "nets.h"
#include "sample/sampler.h"

#include "files.h"

static const char *const rules[] = {"gauss-legendre", "left", "right", "middle", "trapezoid"};

/* ---- quadrature ---- */

static double integral(const double *point, const double *weight, int n, int power)
{
    double sum = 0;
    for (int k = 0; k < n; k++) sum += weight[k] * pow(point[k], power);
    return sum;
}

TEST(rules_are_exact_where_they_should_be)
{
    static const int counts[] = {1, 2, 3, 4, 5, 8, 16, 49, 50, 300};
    for (int r = 0; r < 5; r++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            const int n = counts[i];
            double point[300], weight[300], sum = 0;
            if (r == AB_PATH_TRAPEZOID && n < 2) continue;
            context("%s with %d points", rules[r], n);
            ab_path_points((enum ab_path_rule)r, n, point, weight);
            for (int k = 0; k < n; k++) {
                sum += weight[k];
                CHECK(point[k] >= 0 && point[k] <= 1 && weight[k] > 0, "point %d", k);
                CHECK(k == 0 || point[k] > point[k - 1], "order of point %d", k);
            }
            CHECK(fabs(sum - 1) <= 1e-15 * (n > 50 ? 10 : 1), "weights' sum - 1: %g", sum - 1);
            /* Degree up to which a rule is exact. */
            const int degree = r == AB_PATH_GAUSS_LEGENDRE                     ? 2 * n - 1
                               : r == AB_PATH_MIDDLE || r == AB_PATH_TRAPEZOID ? 1
                                                                               : 0;
            for (int p = 0; p <= degree && p <= 31; p++)
                CHECK(fabs(integral(point, weight, n, p) - 1.0 / (p + 1)) < 1e-14, "x^%d: %g", p,
                      integral(point, weight, n, p));
            const double missed = integral(point, weight, n, 2) - 1.0 / 3;
            const double m = n;
            const double want[] = {0, (1 / m - 3) / (6 * m), (1 / m + 3) / (6 * m),
                                   -1 / (12 * m * m), 1 / (6 * (m - 1) * (m - 1))};
            if (n > 1) CHECK(fabs(missed - want[r]) < 1e-14, "error on x^2: %g", missed);
        }
    }
}

/* ---- integrated gradients ---- */

/* A network without ReLU. */
static struct ab_graph *net_linear(void)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = 5, .err = &err};
    CHECK(!ab_graph_create("linear", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 2, 6, 5);
    x = ab_build_conv(&b, "conv", x, 5, 3, 1, 1, 1, true);
    x = ab_build_avgpool(&b, "avg", x, 2, 2, 0);
    x = ab_build_dense(&b, "fc", ab_build_flatten(&b, "flatten", x), 4, true);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

static float *constant_images(const struct ab_graph *g, float value)
{
    float *x = malloc(sizeof *x * input_count(g, 1));
    CHECK(x != NULL, "out of memory");
    for (size_t i = 0; i < input_count(g, 1); i++) x[i] = value;
    return x;
}

static float logit_at(const struct ab_graph *g, const float *input, int target)
{
    float logits[16];
    const struct job job = {g, "native", input, NULL, 1, 1};
    free(run_method(&job, "gradient", logits));
    return logits[target];
}

TEST(linear_networks_are_explained_exactly)
{
    struct ab_graph *g = net_linear();
    float *x = random_images(g, 1, 1), *base = constant_images(g, 0.25F);
    const int target = 2;
    const struct job job = {g, "native", x, &target, 1, 1};
    float *gradient = run_method(&job, "gradient", NULL);
    const double rise = (double)logit_at(g, x, 2) - (double)logit_at(g, base, 2);
    for (int r = 0; r < 5; r++) {
        for (int n = 2; n < 8; n += 5) {
            char spec[128];
            snprintf(spec, sizeof spec, "integrated-gradients:n=%d,rule=%s,baseline=0.25", n,
                     rules[r]);
            context("%s", spec);
            float *map = run_method(&job, spec, NULL);
            double sum = 0;
            for (size_t i = 0; i < input_count(g, 1); i++) {
                const double want = ((double)x[i] - 0.25) * (double)gradient[i];
                CHECK(fabs((double)map[i] - want) <= 1e-6 * fabs(want), "element %zu", i);
                sum += (double)map[i];
            }
            CHECK(fabs(sum - rise) < 1e-5 * (fabs(rise) + 1), "sum %g, not %g", sum, rise);
            free(map);
        }
    }
    free(gradient);
    free(base);
    free(x);
    ab_graph_destroy(&g);
}

static double completeness_error(const struct ab_graph *g, const float *x, int steps)
{
    char spec[96];
    snprintf(spec, sizeof spec, "integrated-gradients:steps=%d,rule=middle", steps);
    const int target = 1;
    const struct job job = {g, "native", x, &target, 1, 1};
    float *map = run_method(&job, spec, NULL), *zero = constant_images(g, 0);
    double sum = 0, size = 0;
    for (size_t i = 0; i < input_count(g, 1); i++) {
        sum += (double)map[i];
        size += fabs((double)map[i]);
    }
    const double rise = (double)logit_at(g, x, 1) - (double)logit_at(g, zero, 1);
    free(map);
    free(zero);
    return fabs(sum - rise) / size;
}

/* Completeness up to quadrature: four times the points, at most half the error, of several images.
 */
TEST(completeness)
{
    struct ab_graph *g = net_chain(3, true);
    double few = 0, many = 0;
    for (uint64_t i = 0; i < 8; i++) {
        float *x = random_images(g, 1, 20 + i);
        few += completeness_error(g, x, 25);
        many += completeness_error(g, x, 100);
        free(x);
    }
    CHECK(few / 8 < 1e-2 && many < 0.5 * few && many / 8 < 2e-3, "errors %g, %g", few / 8,
          many / 8);
    ab_graph_destroy(&g);
}

/* ---- noise ---- */

TEST(no_noise_is_the_base)
{
    struct ab_graph *g = net_branches(2);
    float *x = random_images(g, 2, 3);
    static const char *const pairs[][3] = {
        {"gradient", "smoothgrad:noise=0,n=7", "vargrad:noise=0,n=7"},
        {"lrp-epsilon:eps=0.01", "smoothgrad:noise_abs=0,n=3,base=lrp-epsilon(eps=0.01)",
         "vargrad:noise=0,n=3,base=lrp-epsilon(eps=0.01)"},
        {"guided-backprop", "smoothgrad:n=1,compat=zennit,base=guided-backprop",
         "vargrad:noise=0,n=3,base=guided-backprop"}};
    char names[12][32];
    const int backends = backend_names(names, 12);
    for (int b = 0; b < backends; b++) {
        for (int p = 0; p < 3; p++) {
            context("%s on %s", pairs[p][1], names[b]);
            float *maps[3];
            const struct job job = {g, names[b], x, NULL, 2, 1};
            run_methods(&job, pairs[p], 3, maps, NULL);
            check_same_on(names[b], maps[1], maps[0], input_count(g, 2));
            for (size_t i = 0; i < input_count(g, 2); i++)
                CHECK(maps[2][i] == 0, "variance %g", (double)maps[2][i]);
            for (int m = 0; m < 3; m++) free(maps[m]);
        }
    }
    free(x);
    ab_graph_destroy(&g);
}

/* The mean, mean square and variance of maps of the noisy images, one at a time. */
TEST(noise_by_hand)
{
    enum { N = 6 };
    struct ab_graph *g = net_chain(4, true);
    const size_t count = input_count(g, 1);
    float *x = random_images(g, 1, 9), low = x[0], high = x[0];
    const int target = 3;
    for (size_t i = 0; i < count; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    const double sigma = 0.2 * ((double)high - (double)low);
    double *sum = calloc(2 * count, sizeof *sum);
    float *noise = malloc(count * sizeof *noise);
    CHECK(sum && noise, "out of memory");
    for (uint32_t k = 0; k < N; k++) {
        ab_sample_normals(77, 0, k, 0, count, noise);
        for (size_t i = 0; i < count; i++) noise[i] = x[i] + (float)sigma * noise[i];
        const struct job job = {g, "native", noise, &target, 1, 1};
        float *map = run_method(&job, "gradient", NULL);
        for (size_t i = 0; i < count; i++) {
            sum[i] += (double)map[i] / N;
            sum[count + i] += (double)map[i] * (double)map[i] / N;
        }
        free(map);
    }
    static const char *const specs[] = {"smoothgrad:n=6,noise=0.2,seed=77",
                                        "smoothgrad-squared:n=6,noise=0.2,seed=77",
                                        "vargrad:n=6,noise=0.2,seed=77"};
    float *maps[3];
    const struct job job = {g, "native", x, &target, 1, 1};
    run_methods(&job, specs, 3, maps, NULL);
    for (size_t i = 0; i < count; i++) {
        const double square = sum[count + i], mean = sum[i], scale = 1e-6 * square + 1e-30;
        CHECK(fabs((double)maps[0][i] - mean) <= 1e-6 * sqrt(square), "mean %zu", i);
        CHECK(fabs((double)maps[1][i] - square) <= scale, "square %zu", i);
        CHECK(fabs((double)maps[2][i] - (square - mean * mean)) <= scale, "variance %zu", i);
    }
    for (int m = 0; m < 3; m++) free(maps[m]);
    free(noise);
    free(sum);
    free(x);
    ab_graph_destroy(&g);
}

/* ---- GradientSHAP ---- */

/* On a linear network every sample is complete: the sum is f(x) less the mean of f(baseline). */
TEST(gradient_shap_on_a_linear_network)
{
    struct ab_graph *g = net_linear();
    const size_t count = input_count(g, 1);
    float *x = random_images(g, 1, 1), *bases = random_images(g, 1, 2);
    const int target = 0;
    const char *path = temp_path("baselines.npy");
    char spec[400];
    struct ab_error err = {""};
    CHECK(!ab_npy_write(path, bases, 1, ab_graph_input(g), &err), "%s", err.text);
    snprintf(spec, sizeof spec, "gradient-shap:n=5,baselines=%s", path);
    const struct job job = {g, "native", x, &target, 1, 1};
    float *gradient = run_method(&job, "gradient", NULL), *map = run_method(&job, spec, NULL);
    for (size_t i = 0; i < count; i++) {
        const double want = ((double)x[i] - (double)bases[i]) * (double)gradient[i];
        CHECK(fabs((double)map[i] - want) <= 2e-6 * fabs(want), "element %zu", i);
    }
    free(map);
    free(gradient);
    free(bases);
    free(x);
    ab_graph_destroy(&g);
}

/* Two constant reference inputs: the mean of the two DeepLIFT maps. */
TEST(deeplift_shap_by_hand)
{
    struct ab_graph *g = net_branches(9);
    const size_t count = input_count(g, 1);
    float *x = random_images(g, 1, 1), *bases = malloc(2 * count * sizeof *bases);
    struct ab_error err = {""};
    const char *path = temp_path("two.npy");
    char spec[400];
    CHECK(bases != NULL, "out of memory");
    for (size_t i = 0; i < 2 * count; i++) bases[i] = i < count ? 0.25F : -0.5F;
    CHECK(!ab_npy_write(path, bases, 2, ab_graph_input(g), &err), "%s", err.text);
    snprintf(spec, sizeof spec, "deeplift-shap:baselines=%s", path);
    const char *const specs[] = {spec, "deeplift:baseline=0.25", "deeplift:baseline=-0.5"};
    float *maps[3];
    const struct job job = {g, "native", x, NULL, 1, 1};
    run_methods(&job, specs, 3, maps, NULL);
    double largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs((double)maps[0][i]));
    for (size_t i = 0; i < count; i++) {
        const double want = ((double)maps[1][i] + (double)maps[2][i]) / 2;
        CHECK(fabs((double)maps[0][i] - want) <= 1e-4 * largest, "element %zu: %g, not %g", i,
              (double)maps[0][i], want);
    }
    for (int m = 0; m < 3; m++) free(maps[m]);
    free(bases);
    free(x);
    ab_graph_destroy(&g);
}

/* ---- occlusion ---- */

static void occlude_by_hand(const struct ab_graph *g, const float *x, int window, int stride,
                            double *map)
{
    const struct ab_dims d = ab_graph_input(g);
    const size_t count = input_count(g, 1), pixels = (size_t)d.h * (size_t)d.w;
    float *covered = malloc(count * sizeof *covered);
    double *hits = calloc(count, sizeof *hits);
    CHECK(covered && hits, "out of memory");
    memset(map, 0, count * sizeof *map);
    const double clean = (double)logit_at(g, x, 1);
    for (int top = 0; top < d.h; top += stride) {
        for (int left = 0; left < d.w; left += stride) {
            memcpy(covered, x, count * sizeof *covered);
            for (size_t i = 0; i < count; i++) {
                const int row = (int)(i % pixels) / d.w, column = (int)(i % pixels) % d.w;
                if (row >= top && row < top + window && column >= left && column < left + window)
                    covered[i] = 0.5F;
            }
            const double drop = clean - (double)logit_at(g, covered, 1);
            for (size_t i = 0; i < count; i++)
                if (memcmp(&covered[i], &x[i], sizeof(float)) != 0) map[i] += drop, hits[i] += 1;
            if (left + window >= d.w) break;
        }
        if (top + window >= d.h) break;
    }
    for (size_t i = 0; i < count; i++) map[i] /= hits[i];
    free(hits);
    free(covered);
}

TEST(occlusion_by_hand)
{
    struct ab_graph *g = net_chain(6, true);
    const size_t count = input_count(g, 1);
    float *x = random_images(g, 1, 4);
    const int target = 1;
    double *want = malloc(count * sizeof *want), largest = 0;
    CHECK(want != NULL, "out of memory");
    static const int cases[][2] = {{4, 4}, {5, 2}, {3, 1}, {14, 14}, {13, 5}, {1, 1}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char spec[96];
        snprintf(spec, sizeof spec, "occlusion:window=%d,stride=%d,baseline=0.5", cases[k][0],
                 cases[k][0] > 13 ? 13 : cases[k][1]);
        context("%s", spec);
        occlude_by_hand(g, x, cases[k][0], cases[k][0] > 13 ? 13 : cases[k][1], want);
        const struct job job = {g, "native", x, &target, 1, 1};
        float *got = run_method(&job, spec, NULL);
        for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs(want[i]));
        for (size_t i = 0; i < count; i++)
            CHECK(fabs((double)got[i] - want[i]) <= 1e-5 * largest, "element %zu: %g, not %g", i,
                  (double)got[i], want[i]);
        free(got);
    }
    free(want);
    free(x);
    ab_graph_destroy(&g);
}

/* Zennit keeps the window and counts the logit: on a linear network without bias the sum over
 * disjoint windows of (logit) is the whole logit. */
TEST(occlusion_as_zennit)
{
    struct ab_graph *g = net_chain(6, true);
    float *x = random_images(g, 1, 4);
    const int target = 1;
    const struct job job = {g, "native", x, &target, 1, 1};
    float *map = run_method(&job, "occlusion:compat=zennit,window=14,stride=14", NULL);
    const float logit = logit_at(g, x, 1);
    for (size_t i = 0; i < input_count(g, 1); i++)
        CHECK(map[i] == logit, "%g, not %g", (double)map[i], (double)logit);
    free(map);
    free(x);
    ab_graph_destroy(&g);
}

static const struct test_case cases[] = {CASE(rules_are_exact_where_they_should_be),
                                         CASE(linear_networks_are_explained_exactly),
                                         CASE(completeness),
                                         CASE(no_noise_is_the_base),
                                         CASE(noise_by_hand),
                                         CASE(gradient_shap_on_a_linear_network),
                                         CASE(deeplift_shap_by_hand),
                                         CASE(occlusion_by_hand),
                                         CASE(occlusion_as_zennit)};
TEST_MAIN("sample", cases)
