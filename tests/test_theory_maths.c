// SPDX-License-Identifier: Apache-2.0
// The mathematics of experiments: convergence of directions, spectra.
#include "../bench/csc.h"
#include "../bench/spectrum.h"
#include "../bench/theory_layers.h"
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

static const struct test_case cases[] = {
    CASE(rank_one_maps_converge),        CASE(orthogonal_signals_do_not),
    CASE(dead_places_are_left_out),      CASE(baselines_are_those_of_geometry),
    CASE(transforms_are_the_definition), CASE(bands_add_up),
    CASE(waves_lie_in_their_bands),      CASE(ranks_and_layers)};
TEST_MAIN("theory maths", cases)
