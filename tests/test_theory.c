// SPDX-License-Identifier: Apache-2.0
// What `attrbench theory` is built of: closed forms, synthetic images, redrawn networks,
// statistics, charts; and that experiments come to the same numbers on any number of threads.
#include "bench/theory.h"

#include "bench/theory_layer.h"
#include "bench/theory_result.h"
#include "bench/theory_subject.h"
#include "files.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double NONE = (double)NAN;

/* ---- one layer ---- */

TEST(closed_forms_of_one_layer)
{
    static const int sizes[][2] = {{32, 128}, {64, 512}, {128, 64}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int d = sizes[i][0], n = sizes[i][1], draws = 40000 / d;
        double cosines[AB_SIGNALS];
        ab_layer_measure(d, n, draws, 3, cosines);
        for (int k = 0; k < AB_SIGNALS; k++) {
            const double form = ab_layer_cosine((enum ab_signal)k, d, n);
            CHECK(fabs(cosines[k] - form) <= 0.02, "d %d, n %d, %s: measured %g, closed form %g", d,
                  n, ab_signal_name((enum ab_signal)k), cosines[k], form);
        }
    }
    /* By hand: d = 64, n = 512. */
    CHECK(fabs(ab_layer_cosine(AB_SIGNAL_ONES, 64, 512) - 0.84924) < 1e-4, "1 on active units");
    CHECK(fabs(ab_layer_cosine(AB_SIGNAL_RELU, 64, 512) - 0.89583) < 1e-4, "the activation");
    CHECK(fabs(ab_layer_cosine(AB_SIGNAL_RECTIFIED, 64, 512) - 0.67200) < 1e-4, "max(g,0)");
    CHECK(ab_layer_cosine(AB_SIGNAL_SYMMETRIC, 64, 512) == 0, "both signs");
    CHECK(ab_layer_cosine(AB_SIGNAL_ALL_UNITS, 64, 512) == 0, "all units");
}

TEST(orthonormal_rows_keep_alignment_exactly)
{
    const double error = ab_layer_orthogonal_error(96, 40, 5, 11);
    CHECK(error <= 1e-12, "off by %g", error);
}

static double gram_error(const double *m, size_t count, size_t length, size_t step, size_t stride)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++) {
            double dot = 0;
            for (size_t j = 0; j < length; j++)
                dot += m[i * step + j * stride] * m[k * step + j * stride];
            worst = fmax(worst, fabs(dot - (i == k)));
        }
    return worst;
}

TEST(orthonormal_matrices_are)
{
    double wide[5 * 12], tall[12 * 5];
    ab_draw_orthonormal(wide, 5, 12, 1);
    ab_draw_orthonormal(tall, 12, 5, 2);
    CHECK(gram_error(wide, 5, 12, 12, 1) < 1e-14, "rows of the wide one");
    CHECK(gram_error(tall, 5, 12, 1, 5) < 1e-14, "columns of the tall one");
}

/* ---- images ---- */

enum { SIDE = 32, PIXELS = SIDE * SIDE };

/* |transform|^2 of one channel at (ky, kx), by its definition. */
static double power_at(const float *v, int ky, int kx)
{
    double re = 0, im = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const double turn = -2 * acos(-1) * (ky * y + kx * x) / SIDE;
            re += (double)v[y * SIDE + x] * cos(turn);
            im += (double)v[y * SIDE + x] * sin(turn);
        }
    return re * re + im * im;
}

/* Mean power over a ring of frequencies about `radius`, over all channels. */
static double ring_power(const float *images, int channels, int radius)
{
    double total = 0;
    int count = 0;
    for (int ky = -radius - 1; ky <= radius + 1; ky++)
        for (int kx = -radius - 1; kx <= radius + 1; kx++) {
            if (fabs(hypot(ky, kx) - radius) > 0.5) continue;
            for (int c = 0; c < channels; c++) total += power_at(images + c * PIXELS, ky, kx);
            count += channels;
        }
    return total / count;
}

TEST(synthetic_images_have_mean_deviation_and_spectrum)
{
    enum { IMAGES = 6, CHANNELS = 3 };
    static float images[IMAGES * CHANNELS * PIXELS];
    const struct ab_dims dims = {CHANNELS, SIDE, SIDE};
    CHECK(ab_synthetic_images(5, dims, IMAGES, images, NULL) == AB_OK, "images");
    for (int k = 0; k < IMAGES * CHANNELS; k++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < PIXELS; i++) sum += (double)images[k * PIXELS + i];
        for (int i = 0; i < PIXELS; i++) squares += pow((double)images[k * PIXELS + i], 2);
        CHECK(fabs(sum / PIXELS) < 1e-6, "channel %d has mean %g", k, sum / PIXELS);
        CHECK(fabs(squares / PIXELS - 1) < 1e-5, "channel %d has variance %g", k, squares / PIXELS);
    }
    const double slope =
        log(ring_power(images, IMAGES * CHANNELS, 12) / ring_power(images, IMAGES * CHANNELS, 3)) /
        log(12.0 / 3);
    CHECK(fabs(slope + 2) < 0.25, "power falls as f^%.2f, not f^-2", slope);
}

TEST(synthetic_images_follow_the_seed_alone)
{
    static float a[2 * PIXELS], b[3 * PIXELS];
    const struct ab_dims dims = {1, SIDE, SIDE};
    ab_synthetic_images(5, dims, 2, a, NULL);
    ab_synthetic_images(5, dims, 3, b, NULL);
    check_same_bits(a, b, 2 * PIXELS);
    CHECK(memcmp(a, a + PIXELS, PIXELS * sizeof *a) != 0, "two images are the same");
    ab_synthetic_images(6, dims, 2, b, NULL);
    CHECK(memcmp(a, b, PIXELS * sizeof *a) != 0, "two seeds, one image");
}

/* ---- networks ---- */

TEST(redrawing_touches_the_chosen_layers_alone)
{
    struct ab_graph *graph, *copy, *again;
    struct ab_error err;
    CHECK(ab_graph_open("data/digits/digits.onnx", 0, &graph, &err) == AB_OK, "%s", err.text);
    int nodes[64];
    const int count = ab_linear_nodes(graph, nodes), chosen = nodes[1];
    CHECK(count >= 3, "%d linear layers", count);
    bool *which = calloc((size_t)graph->n_nodes, sizeof *which);
    which[chosen] = true;
    CHECK(ab_graph_redraw(graph, which, AB_INIT_HE, 9, &copy, &err) == AB_OK, "%s", err.text);
    CHECK(ab_graph_redraw(graph, which, AB_INIT_HE, 9, &again, &err) == AB_OK, "%s", err.text);
    CHECK(ab_graph_hash(copy) == ab_graph_hash(again), "the same seed drew different weights");
    for (int i = 0; i < count; i++) {
        const struct ab_node *a = &graph->nodes[nodes[i]], *b = &copy->nodes[nodes[i]];
        const bool same = !memcmp(a->wei, b->wei, a->wei_count * sizeof *a->wei);
        CHECK(same == (nodes[i] != chosen), "layer %s is %s", a->name, same ? "old" : "new");
    }
    const struct ab_node *node = &copy->nodes[chosen];
    const size_t inputs = node->wei_count / (size_t)node->dims.c;
    double squares = 0;
    for (size_t i = 0; i < node->wei_count; i++) squares += pow((double)node->wei[i], 2);
    const double variance = squares / (double)node->wei_count * (double)inputs;
    CHECK(fabs(variance - 2) < 0.2, "variance times inputs is %g, not 2", variance);
    for (int k = 0; node->bias && k < node->dims.c; k++)
        CHECK(node->bias[k] == 0, "a bias is left");
    free(which);
    ab_graph_destroy(&copy);
    ab_graph_destroy(&again);
    ab_graph_destroy(&graph);
}

/* ---- subjects ---- */

static void open_subject(struct ab_subject_owner *owner, const char *methods, int images,
                         int threads)
{
    struct ab_words inputs = {0}, specs = {0};
    struct ab_error err;
    for (const char *at = methods; at && *at;) {
        const size_t length = strcspn(at, ";");
        CHECK(ab_words_add(&specs, at, length), "memory");
        at += length + (at[length] == ';');
    }
    const struct ab_subject_request request = {.options = {.seed = 4, .threads = threads},
                                               .inputs = &inputs,
                                               .methods = &specs,
                                               .images = images};
    CHECK(ab_subject_open(&request, owner, &err) == AB_OK, "%s", err.text);
    ab_words_free(&specs);
}

TEST(a_runner_takes_any_number_of_images)
{
    struct ab_subject_owner owner;
    struct ab_error err;
    open_subject(&owner, "lrp-zplus", 3, 1);
    const struct ab_subject *s = &owner.subject;
    const struct ab_runner_spec two = {.methods = s->methods, .n_methods = 1, .batch = 2};
    const struct ab_runner_spec none = {.batch = 1};
    struct ab_runner *maps, *logits;
    CHECK(ab_runner_create(s, &two, &maps, &err) == AB_OK, "%s", err.text);
    CHECK(ab_runner_create(s, &none, &logits, &err) == AB_OK, "%s", err.text);
    float *a = malloc(3 * s->image * sizeof *a), *b = malloc(s->image * sizeof *b);
    float scores[3][10], alone[3][10];
    CHECK(ab_runner_execute(maps, s->images, 3, s->targets, &a, scores[0], &err) == AB_OK, "%s",
          err.text);
    CHECK(ab_runner_execute(logits, s->images, 3, NULL, NULL, alone[0], &err) == AB_OK, "%s",
          err.text);
    for (int i = 0; i < 3; i++) {
        CHECK(ab_runner_execute(maps, s->images + (size_t)i * s->image, 1, s->targets + i, &b, NULL,
                                &err) == AB_OK,
              "%s", err.text);
        check_same_bits(a + (size_t)i * s->image, b, s->image);
        check_same_bits(scores[i], alone[i], 10);
        for (int k = 0; k < 10; k++)
            CHECK(scores[i][k] <= scores[i][s->targets[i]], "image %d: the target is not on top",
                  i);
    }
    free(a);
    free(b);
    ab_runner_destroy(&maps);
    ab_runner_destroy(&logits);
    ab_subject_close(&owner);
}

static char *results_of(const struct ab_experiment *e, int threads)
{
    struct ab_subject_owner owner;
    struct ab_error err;
    open_subject(&owner, "gradient;guided-backprop;lrp-zplus:seed=one", 2, threads);
    struct ab_result *r = ab_result_new(e);
    CHECK(e->run(&owner.subject, r, &err) == AB_OK, "%s: %s", e->name, err.text);
    CHECK(ab_result_finished(r) && ab_result_whole(r), "%s is not finished", e->name);
    CHECK(!ab_result_contradicted(r), "%s contradicts mathematics", e->name);
    json_t *json = ab_result_json(r);
    char *text = json_dumps(json, JSON_PRESERVE_ORDER);
    json_decref(json);
    ab_result_free(&r);
    ab_subject_close(&owner);
    CHECK(text, "no JSON");
    return text;
}

/* One whose loops over images are parallel; scripts compare all of them. */
TEST(an_experiment_does_not_depend_on_threads)
{
    char *one = results_of(&ab_experiment_class, 1), *two = results_of(&ab_experiment_class, 2);
    CHECK(!strcmp(one, two), "one and two threads differ");
    free(one);
    free(two);
}

/* ---- comparing, statistics ---- */

TEST(likeness_of_maps)
{
    enum { H = 16, W = 16, N = 2 * H * W };
    const struct ab_dims dims = {2, H, W};
    float a[N], b[N], flat[N];
    struct ab_likeness like;
    for (int i = 0; i < N; i++) {
        a[i] = (float)ab_normal(1, (uint64_t)i);
        b[i] = -a[i];
        flat[i] = 1;
    }
    CHECK(ab_likeness_of(a, a, dims, AB_NORMALISE_SIGNED, &like, NULL) == AB_OK, "status");
    CHECK(fabs(like.cosine - 1) < 1e-12 && fabs(like.spearman - 1) < 1e-12, "not like itself");
    CHECK(fabs(like.spearman_abs - 1) < 1e-12 && fabs(like.ssim - 1) < 1e-9, "not like itself");
    ab_likeness_of(a, b, dims, AB_NORMALISE_SIGNED, &like, NULL);
    CHECK(fabs(like.cosine + 1) < 1e-12 && fabs(like.spearman + 1) < 1e-12, "sign");
    CHECK(fabs(like.spearman_abs - 1) < 1e-12 && fabs(like.ssim - 1) < 1e-9, "magnitudes");
    ab_likeness_of(a, flat, dims, AB_NORMALISE_CLIP, &like, NULL);
    CHECK(isnan(like.spearman) && isnan(like.ssim), "a constant map is like something");
    for (int i = 0; i < N; i++) b[i] = (float)ab_normal(2, (uint64_t)i);
    ab_likeness_of(a, b, dims, AB_NORMALISE_ABS, &like, NULL);
    CHECK(fabs(like.cosine) < 0.2 && fabs(like.spearman) < 0.25, "noise is like noise");
}

TEST(statistics_over_images)
{
    const double values[] = {1, 2, NONE, 3, 6};
    const struct ab_spread s = ab_spread_of(values, 5, 1), t = ab_spread_of(values, 5, 1);
    CHECK(s.count == 4 && s.mean == 3, "%d values of mean %g", s.count, s.mean);
    CHECK(fabs(s.sd - sqrt(14.0 / 3)) < 1e-12 && s.median == 2.5, "sd %g, median %g", s.sd,
          s.median);
    CHECK(s.low >= 1 && s.low < 3 && s.high > 3 && s.high <= 6, "%g to %g", s.low, s.high);
    CHECK(s.low == t.low && s.high == t.high, "the same seed, another interval");
    const struct ab_spread none = ab_spread_of(values + 2, 1, 1), one = ab_spread_of(values, 1, 1);
    CHECK(none.count == 0 && isnan(none.mean), "the mean of nothing is %g", none.mean);
    CHECK(one.mean == 1 && isnan(one.sd) && isnan(one.low), "one value has no deviation");
}

/* ---- charts ---- */

static char *chart(struct ab_plot *p)
{
    const char *path = temp_path("chart.svg");
    struct ab_error err;
    size_t bytes;
    CHECK(ab_plot_write(p, path, &err) == AB_OK, "%s", err.text);
    char *text = (char *)read_file(path, &bytes);
    text[bytes] = '\0';
    ab_plot_free(&p);
    return text;
}

static int count_of(const char *text, const char *word)
{
    int count = 0;
    for (; (text = strstr(text, word)); text += strlen(word)) count++;
    return count;
}

TEST(charts_leave_out_what_is_not_a_number)
{
    struct ab_plot *p = ab_plot_new("a < b & c");
    ab_plot_axis(p, AB_AXIS_X, "x", AB_SCALE_LINEAR);
    ab_plot_axis(p, AB_AXIS_Y, "y", AB_SCALE_LOG);
    const int s = ab_plot_series(p, "one", AB_LINE), u = ab_plot_series(p, "two", AB_POINTS);
    const double ys[] = {1, 10, NONE, 100, -3, 0, 1000};
    for (int i = 0; i < 7; i++) ab_plot_band(p, s, i, ys[i], ys[i] / 2, ys[i] * 2);
    ab_plot_point(p, u, 2, 5);
    char *text = chart(p);
    CHECK(!strstr(text, "nan") && !strstr(text, "inf"), "a number that is none");
    CHECK(strstr(text, "a &lt; b &amp; c"), "the title is not escaped");
    CHECK(count_of(text, "<circle") == 4 + 1, "%d markers of four points and the legend",
          count_of(text, "<circle"));
    CHECK(count_of(text, "<rect") == 1 + 1 + 1, "ground, one point, legend");
    free(text);
}

TEST(charts_of_bars_and_of_nothing)
{
    struct ab_plot *p = ab_plot_new("bars");
    ab_plot_axis(p, AB_AXIS_X, "", AB_SCALE_NAMES);
    ab_plot_tick(p, 0, "left");
    ab_plot_tick(p, 1, "right");
    const int s = ab_plot_series(p, "only", AB_BARS);
    ab_plot_band(p, s, 0, 0.5, 0.4, 0.6);
    ab_plot_point(p, s, 1, -0.5);
    char *text = chart(p);
    CHECK(strstr(text, ">left<") && strstr(text, ">right<"), "names of the places");
    CHECK(count_of(text, "<rect") == 1 + 2, "two bars on the ground");
    CHECK(!strstr(text, ">only<"), "a legend of one series");
    free(text);
    text = chart(ab_plot_new("nothing"));
    CHECK(!strstr(text, "nan") && strstr(text, "</svg>"), "an empty chart");
    free(text);
}

static const struct test_case cases[] = {
    CASE(closed_forms_of_one_layer),
    CASE(orthonormal_rows_keep_alignment_exactly),
    CASE(orthonormal_matrices_are),
    CASE(synthetic_images_have_mean_deviation_and_spectrum),
    CASE(synthetic_images_follow_the_seed_alone),
    CASE(redrawing_touches_the_chosen_layers_alone),
    CASE(a_runner_takes_any_number_of_images),
    CASE(an_experiment_does_not_depend_on_threads),
    CASE(likeness_of_maps),
    CASE(statistics_over_images),
    CASE(charts_leave_out_what_is_not_a_number),
    CASE(charts_of_bars_and_of_nothing),
};
TEST_MAIN("theory", cases)
