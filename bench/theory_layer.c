// SPDX-License-Identifier: Apache-2.0
// One layer: closed forms of input alignment beside measurements.
#include "theory_layer.h"

#include "theory.h"

#include <math.h>
#include <stdlib.h>

static const double PI = 3.14159265358979323846;

enum { MAX_INPUTS = 4096 };

const char *ab_signal_name(enum ab_signal signal)
{
    static const char *const names[AB_SIGNALS] = {
        "1, active units",   "activation",      "max(g,0), active units",
        "|g|, active units", "g, active units", "|g|, all units",
    };
    return names[signal];
}

/* k = E[r^2] / E[r z]^2. Half of the units are active, E[z+] = 1/sqrt(2 pi), E[z+^2] = 1/2, E|g| =
 * sqrt(2/pi); infinite where r does not correlate with z. */
static double spread_of_signal(enum ab_signal signal)
{
    switch (signal) {
    case AB_SIGNAL_ONES: return PI;
    case AB_SIGNAL_RELU: return 2;
    case AB_SIGNAL_RECTIFIED: return PI * PI;
    case AB_SIGNAL_MAGNITUDE: return PI * PI / 2;
    default: return INFINITY;
    }
}

double ab_layer_cosine(enum ab_signal signal, int d, int n)
{
    return 1 / sqrt(1 + spread_of_signal(signal) * (d - 1) / n);
}

static double signal_at(enum ab_signal signal, double z, double g)
{
    const bool active = z > 0;
    switch (signal) {
    case AB_SIGNAL_ONES: return active ? 1 : 0;
    case AB_SIGNAL_RELU: return active ? z : 0;
    case AB_SIGNAL_RECTIFIED: return active && g > 0 ? g : 0;
    case AB_SIGNAL_MAGNITUDE: return active ? fabs(g) : 0;
    case AB_SIGNAL_SYMMETRIC: return active ? g : 0;
    default: return fabs(g);
    }
}

static double cosine(const double *a, const double *b, int count)
{
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < count; i++) ab += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* A unit vector in a random direction. */
static void draw_input(double *x, int d, uint64_t seed)
{
    double squares = 0;
    for (int j = 0; j < d; j++) {
        x[j] = ab_normal(seed, (uint64_t)j);
        squares += x[j] * x[j];
    }
    for (int j = 0; j < d; j++) x[j] /= sqrt(squares);
}

/* One layer: rows of W are drawn one after the other, and each adds r_i w_i to W^T r. */
static void measure_once(int d, int n, uint64_t seed, double cosines[AB_SIGNALS])
{
    double x[MAX_INPUTS], row[MAX_INPUTS], back[AB_SIGNALS][MAX_INPUTS] = {{0}};
    const uint64_t weights = ab_hash(seed, "weights", 7), signals = ab_hash(seed, "signals", 7);
    draw_input(x, d, seed);
    for (int i = 0; i < n; i++) {
        double z = 0;
        for (int j = 0; j < d; j++) {
            row[j] = ab_normal(weights, (uint64_t)i * (uint64_t)d + (uint64_t)j);
            z += row[j] * x[j];
        }
        const double g = ab_normal(signals, (uint64_t)i);
        for (int k = 0; k < AB_SIGNALS; k++) {
            const double r = signal_at((enum ab_signal)k, z, g);
            for (int j = 0; r != 0 && j < d; j++) back[k][j] += r * row[j];
        }
    }
    for (int k = 0; k < AB_SIGNALS; k++) cosines[k] += cosine(back[k], x, d);
}

void ab_layer_measure(int d, int n, int draws, uint64_t seed, double cosines[AB_SIGNALS])
{
    for (int k = 0; k < AB_SIGNALS; k++) cosines[k] = 0;
    for (int t = 0; t < draws; t++) measure_once(d, n, ab_hash(seed, &t, sizeof t), cosines);
    for (int k = 0; k < AB_SIGNALS; k++) cosines[k] /= draws;
}

static double orthogonal_error(int d, int n, uint64_t seed, double *w)
{
    double x[MAX_INPUTS], back[MAX_INPUTS] = {0}, *a = w + (size_t)d * (size_t)n, *r = a + n;
    double squares = 0;
    ab_draw_orthonormal(w, (size_t)n, (size_t)d, ab_hash(seed, "weights", 7));
    draw_input(x, d, seed);
    for (int i = 0; i < n; i++) {
        const double *row = w + (size_t)i * (size_t)d;
        double z = 0;
        for (int j = 0; j < d; j++) z += row[j] * x[j];
        a[i] = z > 0 ? z : 0;
        r[i] = signal_at(AB_SIGNAL_MAGNITUDE, z, ab_normal(seed, (uint64_t)(d + i)));
        squares += a[i] * a[i];
        for (int j = 0; j < d; j++) back[j] += r[i] * row[j];
    }
    return fabs(cosine(back, x, d) - cosine(r, a, n) * sqrt(squares));
}

double ab_layer_orthogonal_error(int d, int n, int draws, uint64_t seed)
{
    double *w = malloc(((size_t)d + 2) * (size_t)n * sizeof *w), worst = 0;
    for (int t = 0; w && t < draws; t++)
        worst = fmax(worst, orthogonal_error(d, n, ab_hash(seed, &t, sizeof t), w));
    const bool good = w != NULL;
    free(w);
    return good ? worst : (double)NAN;
}
