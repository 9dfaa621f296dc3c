// SPDX-License-Identifier: Apache-2.0
// The synthetic tier: a network and images that need no data.
#include "theory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { STAGES = 4, CLASSES = 10, HIDDEN = 256, SIDE = 64 };

static int vgg_like(struct ab_builder *b)
{
    static const int channels[STAGES] = {32, 64, 128, 256};
    char name[16];
    int layer = 1, at = ab_build_input(b, 3, SIDE, SIDE);
    for (int stage = 0; stage < STAGES; stage++) {
        for (int i = 0; i < 2; i++, layer++) {
            snprintf(name, sizeof name, "conv%d", layer);
            at = ab_build_conv(b, name, at, channels[stage], 3, 1, 1, 1, false);
            snprintf(name, sizeof name, "relu%d", layer);
            at = ab_build_relu(b, name, at);
        }
        snprintf(name, sizeof name, "pool%d", stage + 1);
        at = ab_build_maxpool(b, name, at, 2, 2, 0, false);
    }
    at = ab_build_flatten(b, "flatten", at);
    at = ab_build_dense(b, "fc1", at, HIDDEN, false);
    at = ab_build_relu(b, "relu9", at);
    return ab_build_dense(b, "fc2", at, CLASSES, false);
}

enum ab_status ab_synthetic_graph(uint64_t seed, struct ab_graph **graph, struct ab_error *err)
{
    struct ab_builder b = {.seed = seed, .err = err};
    b.status = ab_graph_create("synthetic", &b.graph, err);
    if (b.status == AB_OK) {
        const int output = vgg_like(&b);
        if (b.status == AB_OK) b.status = ab_graph_finish(b.graph, output, err);
    }
    if (b.status != AB_OK) ab_graph_destroy(&b.graph);
    *graph = b.graph;
    return b.status;
}

/* ---- noise with a 1/f spectrum ---- */

/* cos and sin of 2 pi i / n. */
static void fill_turns(double *turns, int n)
{
    for (int i = 0; i < n; i++) {
        turns[2 * i] = cos(2 * acos(-1) * i / n);
        turns[2 * i + 1] = sin(2 * acos(-1) * i / n);
    }
}

/* The plain transform of `n` complex numbers that lie `stride` apart, in place; the sizes are those
 * of small images. */
static void transform(double *v, int n, size_t stride, const double *turns, double *work)
{
    for (int k = 0; k < n; k++) {
        double re = 0, im = 0;
        for (int i = 0; i < n; i++) {
            const double *t = turns + 2 * (size_t)((int64_t)i * k % n);
            const double *x = v + 2 * (size_t)i * stride;
            re += x[0] * t[0] - x[1] * t[1];
            im += x[0] * t[1] + x[1] * t[0];
        }
        work[2 * k] = re;
        work[2 * k + 1] = im;
    }
    for (int k = 0; k < n; k++) {
        v[2 * (size_t)k * stride] = work[2 * k];
        v[2 * (size_t)k * stride + 1] = work[2 * k + 1];
    }
}

static double frequency(int k, int n)
{
    return (double)(k <= n / 2 ? k : n - k) / n;
}

/* Real and imaginary part of one transform are two independent images; the real one is taken. Its
 * spectrum has independent normal coefficients times 1/f, and none at f = 0: the mean is 0. */
static void draw_channel(uint64_t seed, uint64_t stream, int h, int w, double *v,
                         const double *turns_h, const double *turns_w, double *work)
{
    const size_t count = (size_t)h * (size_t)w;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const size_t i = (size_t)y * (size_t)w + (size_t)x;
            const uint64_t draw = 2 * (stream * count + i);
            const double f = hypot(frequency(y, h), frequency(x, w));
            v[2 * i] = f > 0 ? ab_normal(seed, draw) / f : 0;
            v[2 * i + 1] = f > 0 ? ab_normal(seed, draw + 1) / f : 0;
        }
    for (int y = 0; y < h; y++) transform(v + 2 * (size_t)y * (size_t)w, w, 1, turns_w, work);
    for (int x = 0; x < w; x++) transform(v + 2 * (size_t)x, h, (size_t)w, turns_h, work);
}

static void standardise(const double *v, size_t count, float *out)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < count; i++) mean += v[2 * i];
    mean /= (double)count;
    for (size_t i = 0; i < count; i++) squares += (v[2 * i] - mean) * (v[2 * i] - mean);
    const double deviation = sqrt(squares / (double)count);
    for (size_t i = 0; i < count; i++)
        out[i] = deviation > 0 ? (float)((v[2 * i] - mean) / deviation) : 0;
}

enum ab_status ab_synthetic_images(uint64_t seed, struct ab_dims dims, int n, float *images,
                                   struct ab_error *err)
{
    const size_t count = (size_t)dims.h * (size_t)dims.w;
    const size_t sides = (size_t)dims.h + (size_t)dims.w;
    double *v = malloc(2 * (count + 2 * sides) * sizeof *v);
    if (!v) return ab_fail(err, AB_ERR_MEMORY, "out of memory for synthetic images");
    double *turns_h = v + 2 * count, *turns_w = turns_h + 2 * (size_t)dims.h;
    double *work = turns_w + 2 * (size_t)dims.w;
    fill_turns(turns_h, dims.h);
    fill_turns(turns_w, dims.w);
    for (size_t k = 0; k < (size_t)n * (size_t)dims.c; k++) {
        draw_channel(seed, k, dims.h, dims.w, v, turns_h, turns_w, work);
        standardise(v, count, images + k * count);
    }
    free(v);
    return AB_OK;
}
