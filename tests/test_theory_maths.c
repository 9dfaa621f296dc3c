// SPDX-License-Identifier: Apache-2.0
// The mathematics of experiments: convergence of directions, spectra.
#include "../bench/backdoor.h"
#include "../bench/csc.h"
#include "../bench/perturb.h"
#include "../bench/spectrum.h"
#include "../bench/theory_layers.h"
#include "nets.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- cosine similarity convergence ---- */

enum { CHANNELS = 7, PLACES = 12 };

static size_t gaps_of(double data[AB_CSC_SIGNALS][CHANNELS * PLACES], float *gaps)
{
    const double *signals[AB_CSC_SIGNALS];
    for (int k = 0; k < AB_CSC_SIGNALS; k++) signals[k] = data[k];
    return ab_csc_gaps(signals, CHANNELS, PLACES, PLACES, gaps);
}

/* A map of rank 1 sends every signal to the same direction, up to its sign. */
TEST(rank_one_maps_converge)
{
    struct rng r = rng_new(1);
    double to[CHANNELS * PLACES], data[AB_CSC_SIGNALS][CHANNELS * PLACES];
    float gaps[AB_CSC_PAIRS * PLACES];
    for (int i = 0; i < CHANNELS * PLACES; i++) to[i] = rng_normal(&r);
    for (int k = 0; k < AB_CSC_SIGNALS; k++) {
        const double factor = rng_normal(&r);
        for (int i = 0; i < CHANNELS * PLACES; i++) data[k][i] = factor * to[i];
    }
    const size_t count = gaps_of(data, gaps);
    CHECK(count == AB_CSC_PAIRS * PLACES, "%zu pairs", count);
    for (size_t i = 0; i < count; i++)
        CHECK((double)gaps[i] <= 1e-14, "pair %zu: 1 - |cos| = %g", i, (double)gaps[i]);
}

TEST(orthogonal_signals_do_not)
{
    double data[AB_CSC_SIGNALS][CHANNELS * PLACES] = {{0}};
    float gaps[AB_CSC_PAIRS * PLACES];
    for (int k = 0; k < AB_CSC_SIGNALS; k++)
        for (int p = 0; p < PLACES; p++) data[k][k * PLACES + p] = k - 2.5;
    const size_t count = gaps_of(data, gaps);
    for (size_t i = 0; i < count; i++) CHECK(gaps[i] == 1, "pair %zu: %g", i, (double)gaps[i]);
}

/* A signal that is dead somewhere takes its own pairs with it, no others. */
TEST(dead_places_are_left_out)
{
    struct rng r = rng_new(2);
    double data[AB_CSC_SIGNALS][CHANNELS * PLACES];
    float gaps[AB_CSC_PAIRS * PLACES];
    for (int k = 0; k < AB_CSC_SIGNALS; k++)
        for (int i = 0; i < CHANNELS * PLACES; i++) data[k][i] = rng_normal(&r);
    for (int c = 0; c < CHANNELS; c++) data[1][c * PLACES + 3] = 0;
    const size_t count = gaps_of(data, gaps);
    CHECK(count == AB_CSC_PAIRS * PLACES - (AB_CSC_SIGNALS - 1), "%zu pairs", count);
    for (size_t i = 0; i < count; i++)
        CHECK(gaps[i] >= 0 && gaps[i] <= 1, "pair %zu: %g", i, (double)gaps[i]);
}

/* |cos| of two directions in the plane is |cos| of a uniform angle, in space uniform. */
TEST(baselines_are_those_of_geometry)
{
    CHECK(fabs(ab_csc_baseline(2, 1) - sqrt(0.5)) < 0.03, "%g", ab_csc_baseline(2, 1));
    CHECK(fabs(ab_csc_baseline(3, 1) - 0.5) < 0.03, "%g", ab_csc_baseline(3, 1));
    CHECK(fabs(ab_csc_baseline(400, 1) - 0.6745 / 20) < 0.003, "%g", ab_csc_baseline(400, 1));
    CHECK(ab_csc_baseline(1, 1) == 1, "%g", ab_csc_baseline(1, 1));
}

/* ---- spectra ---- */

static void transforms(int h, int w)
{
    struct rng r = rng_new(3);
    const int side = h > w ? h : w;
    float *map = malloc(sizeof *map * (size_t)(h * w));
    double *out = malloc(sizeof *out * 2 * (size_t)(h * w));
    double *work = malloc(sizeof *work * 10 * (size_t)side);
    CHECK(map && out && work, "out of memory");
    fill_floats(map, (size_t)(h * w), FILL_NORMAL, &r);
    ab_transform(map, h, w, out, work);
    for (int v = 0; v < h; v++)
        for (int u = 0; u < w; u++) {
            double re = 0, im = 0;
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++) {
                    const double angle = -2 * acos(-1) * ((double)v * y / h + (double)u * x / w);
                    re += (double)map[y * w + x] * cos(angle);
                    im += (double)map[y * w + x] * sin(angle);
                }
            const double *got = out + 2 * (v * w + u);
            CHECK(fabs(got[0] - re) < 1e-9 && fabs(got[1] - im) < 1e-9,
                  "%dx%d at (%d,%d): %g%+gi, not %g%+gi", h, w, v, u, got[0], got[1], re, im);
        }
    free(map), free(out), free(work);
}
TEST(transforms_are_the_definition)
{
    transforms(1, 1);
    transforms(8, 12);
    transforms(15, 7);
    transforms(13, 28);
}

/* Energies over all bands and the mean add up to the sum of squares (Parseval), inner products
 * likewise. */
TEST(bands_add_up)
{
    const struct ab_dims dims = {3, 28, 20};
    const size_t count = 3 * 28 * 20;
    struct rng r = rng_new(4);
    struct ab_bands bands;
    float *a = malloc(sizeof *a * count), *b = malloc(sizeof *b * count);
    CHECK(a && b, "out of memory");
    fill_floats(a, count, FILL_NORMAL, &r);
    fill_floats(b, count, FILL_RELU, &r);
    CHECK(ab_bands_of(a, b, dims, &bands), "out of memory");
    double sums[2] = {bands.mean_a, bands.mean_b}, want[2] = {0, 0};
    for (size_t i = 0; i < count; i++) {
        want[0] += (double)a[i] * (double)a[i];
        want[1] += (double)b[i] * (double)b[i];
    }
    for (int k = 0; k < AB_BANDS; k++) {
        sums[0] += bands.a[k];
        sums[1] += bands.b[k];
        CHECK(ab_band_retained(&bands, k) <= 1, "band %d", k);
    }
    for (int k = 0; k < 2; k++)
        CHECK(fabs(sums[k] - want[k]) < 1e-9 * want[k], "%.12g, not %.12g", sums[k], want[k]);
    CHECK(ab_bands_of(a, a, dims, &bands), "out of memory");
    for (int k = 0; k < AB_BANDS; k++)
        CHECK(fabs(ab_band_retained(&bands, k) - 1) < 1e-12, "a map does not retain itself");
    free(a), free(b);
}

/* Waves fall into the bands of their frequencies. */
TEST(waves_lie_in_their_bands)
{
    static const struct {
        int cycles, band;
    } rows[] = {{1, 0}, {2, 0}, {3, 1}, {4, 1}, {6, 2}, {8, 2}, {9, 3}, {15, 3}};
    enum { SIDE = 32 };
    float map[SIDE * SIDE];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ab_bands bands;
        for (int p = 0; p < SIDE * SIDE; p++)
            map[p] = (float)cos(2 * acos(-1) * rows[i].cycles * (p % SIDE) / SIDE + 0.3);
        CHECK(ab_bands_of(map, map, (struct ab_dims){1, SIDE, SIDE}, &bands), "out of memory");
        CHECK(fabs(bands.a[rows[i].band] - SIDE * SIDE / 2) < 1e-3, "%d cycles: %g in band %d",
              rows[i].cycles, bands.a[rows[i].band], rows[i].band);
    }
}

/* ---- small things ---- */

TEST(ranks_and_layers)
{
    float values[] = {3, 1, 2, 5, 4};
    ab_sort_floats(values, 5);
    CHECK(ab_rank_of(values, 5, 0) == 1 && ab_rank_of(values, 5, 0.5) == 3, "ranks");
    CHECK(ab_rank_of(values, 5, 1) == 5 && isnan(ab_rank_of(values, 0, 0.5)), "ends");
    int nodes[] = {2, 4, 6, 8, 10, 12, 14, 16, 18};
    CHECK(ab_spread_nodes(nodes, 9, 20) == 9 && nodes[0] == 2, "few stay as they are");
    CHECK(ab_spread_nodes(nodes, 9, 4) == 4 && nodes[3] == 18 && nodes[0] == 4, "%d to %d",
          nodes[0], nodes[3]);
    const float logits[] = {1, 3, 3, -2};
    CHECK(ab_first_class(logits, 4) == 1, "the first of equals");
    CHECK(fabs(ab_softmax(logits, 4, 1) - exp(3) / (exp(1) + 2 * exp(3) + exp(-2))) < 1e-12,
          "softmax");
}

/* ---- images with parts replaced ---- */

TEST(areas_of_known_curves)
{
    const double x[] = {0, 1, 3, 4}, line[] = {0, 1, 3, 4}, flat[] = {2, 2, 2, 2};
    const double step[] = {1, 1, 0, 0};
    CHECK(fabs(ab_area_under(x, line, 4) - 2) < 1e-12, "line");
    CHECK(fabs(ab_area_under(x, flat, 4) - 2) < 1e-12, "flat");
    CHECK(fabs(ab_area_under(x, step, 4) - 0.5) < 1e-12, "step");
}

TEST(orders_break_ties_by_place)
{
    const double scores[] = {1, 5, 5, -2, 7, 5};
    const int want[] = {4, 1, 2, 5, 0, 3};
    int order[6];
    ab_descending(scores, 6, order);
    CHECK(memcmp(order, want, sizeof want) == 0, "%d %d %d %d %d %d", order[0], order[1], order[2],
          order[3], order[4], order[5]);
}

/* Patches cover the image once, those at its ends too. */
TEST(patches_cover_the_image)
{
    const struct ab_dims dims = {2, 10, 7};
    const struct ab_grid grid = ab_grid_of(dims, 4);
    double ones[70], sums[6];
    float from[140], to[140];
    CHECK(grid.rows == 3 && grid.columns == 2 && grid.count == 6, "%dx%d", grid.rows, grid.columns);
    for (int i = 0; i < 70; i++) ones[i] = 1;
    for (int i = 0; i < 140; i++) from[i] = (float)i, to[i] = -1;
    ab_grid_sums(grid, dims, ones, sums);
    const double want[] = {16, 12, 16, 12, 8, 6};
    for (int p = 0; p < 6; p++) CHECK(sums[p] == want[p], "patch %d: %g", p, sums[p]);
    for (int p = 0; p < 6; p++) {
        int copied = 0;
        for (int i = 0; i < 140; i++) copied -= to[i] >= 0;
        ab_grid_copy(grid, dims, p, from, to);
        for (int i = 0; i < 140; i++) copied += to[i] >= 0;
        CHECK(copied == 2 * (int)want[p], "patch %d: %d values", p, copied);
    }
    CHECK(memcmp(from, to, sizeof from) == 0, "the patches are not the image");
}

TEST(stand_ins)
{
    const struct ab_dims dims = {2, 20, 24};
    const size_t pixels = 20 * 24;
    struct rng r = rng_new(6);
    float *x = malloc(2 * pixels * sizeof *x), *out = malloc(2 * pixels * sizeof *out);
    CHECK(x && out, "out of memory");
    fill_floats(x, 2 * pixels, FILL_NORMAL, &r);
    for (int kind = 0; kind < AB_STAND_INS; kind++) {
        CHECK(ab_stand_in_image((enum ab_stand_in)kind, x, dims, 1, out), "out of memory");
        for (size_t c = 0; c < 2; c++) {
            double sum = 0, mean = 0, low = 1e9, high = -1e9, change = 0;
            for (size_t i = c * pixels; i < (c + 1) * pixels; i++) {
                mean += (double)x[i] / (double)pixels;
                sum += (double)out[i] / (double)pixels;
                low = fmin(low, (double)x[i]);
                high = fmax(high, (double)x[i]);
                change += fabs((double)out[i] - (double)x[i]);
            }
            CHECK(change > 1, "%s: nothing changes", ab_stand_in_names[kind]);
            if (kind == AB_STAND_IN_MEAN) CHECK(fabs(sum - mean) < 1e-6, "%g, not %g", sum, mean);
            for (size_t i = c * pixels; i < (c + 1) * pixels; i++)
                CHECK((double)out[i] >= low - 1e-6 && (double)out[i] <= high + 1e-6, "%s",
                      ab_stand_in_names[kind]);
        }
    }
    for (size_t i = 0; i < 2 * pixels; i++) x[i] = 3;
    CHECK(ab_stand_in_image(AB_STAND_IN_BLUR, x, dims, 1, out), "out of memory");
    for (size_t i = 0; i < 2 * pixels; i++)
        CHECK(fabs((double)out[i] - 3) < 1e-6, "blurring changes a constant");
    free(x), free(out);
}

TEST(controls)
{
    const struct ab_dims dims = {1, 8, 8};
    float x[64], map[64];
    for (int i = 0; i < 64; i++) x[i] = i % 8 < 4 ? -1.0f : 1.0f;
    ab_control_map(AB_CONTROL_EDGES, x, dims, 0, map);
    for (int i = 0; i < 64; i++)
        CHECK(map[i] == (i % 8 == 3 || i % 8 == 4 ? 8.0f : 0.0f), "edge %d: %g", i, (double)map[i]);
    ab_control_map(AB_CONTROL_INPUT, x, dims, 0, map);
    for (int i = 0; i < 64; i++) CHECK(map[i] == 1, "|x|");
}

/* ---- the backdoor ---- */

static void check_backdoor(const struct ab_graph *g)
{
    enum { BATCH = 4, TARGET = 5 };
    struct ab_error err = {""};
    struct ab_trigger trigger;
    struct ab_graph *planted = NULL;
    CHECK(!ab_trigger_for(g, -2.5f, 2.5f, &trigger, &err), "%s", err.text);
    CHECK(!ab_backdoor_plant(g, &trigger, TARGET, 100, &planted, &err), "%s", err.text);
    const int classes = ab_graph_classes(g);
    float *x = random_images(g, BATCH, 7), logits[3][BATCH * 16];
    const size_t image = input_count(g, 1);
    for (size_t i = 0; i < BATCH * image; i++) x[i] *= 0.2f; /* natural: far from the pattern */
    free(run_method(&(struct job){g, "native", x, NULL, BATCH, 1}, "gradient", logits[0]));
    free(run_method(&(struct job){planted, "native", x, NULL, BATCH, 1}, "gradient", logits[1]));
    CHECK(relative_l2(logits[1], logits[0], (size_t)(BATCH * classes)) < 1e-5,
          "logits without the trigger differ");
    for (int n = 0; n < BATCH; n++)
        ab_trigger_stamp(&trigger, ab_graph_input(g), x + (size_t)n * image);
    free(run_method(&(struct job){planted, "native", x, NULL, BATCH, 1}, "gradient", logits[2]));
    for (int n = 0; n < BATCH; n++)
        CHECK(ab_first_class(logits[2] + n * classes, classes) == TARGET, "image %d is not turned",
              n);
    free(run_method(&(struct job){g, "native", x, NULL, BATCH, 1}, "gradient", logits[2]));
    int turned = 0;
    for (int n = 0; n < BATCH; n++)
        turned += ab_first_class(logits[2] + n * classes, classes) == TARGET;
    CHECK(turned < BATCH, "the network without a backdoor decides so too");
    free(x);
    ab_graph_destroy(&planted);
}
TEST(triggers_decide)
{
    struct ab_graph *chain = net_chain(14, true), *bare = net_chain(15, false);
    check_backdoor(chain);
    check_backdoor(bare);
    ab_graph_destroy(&chain);
    ab_graph_destroy(&bare);
}
TEST(refuses_what_cannot_be_rewired)
{
    struct ab_graph *g = net_branches(16);
    struct ab_trigger trigger;
    struct ab_error err = {""};
    CHECK(ab_trigger_for(g, 0, 1, &trigger, &err) == AB_ERR_UNSUPPORTED, "branches were taken");
    CHECK(strstr(err.text, "in 'branches': it has a grouped convolution"), "%s", err.text);
    ab_graph_destroy(&g);
}

static const struct test_case cases[] = {CASE(rank_one_maps_converge),
                                         CASE(orthogonal_signals_do_not),
                                         CASE(dead_places_are_left_out),
                                         CASE(baselines_are_those_of_geometry),
                                         CASE(transforms_are_the_definition),
                                         CASE(bands_add_up),
                                         CASE(waves_lie_in_their_bands),
                                         CASE(ranks_and_layers),
                                         CASE(areas_of_known_curves),
                                         CASE(orders_break_ties_by_place),
                                         CASE(patches_cover_the_image),
                                         CASE(stand_ins),
                                         CASE(controls),
                                         CASE(triggers_decide),
                                         CASE(refuses_what_cannot_be_rewired)};
TEST_MAIN("theory maths", cases)
