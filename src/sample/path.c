// SPDX-License-Identifier: Apache-2.0
// Quadrature rules for integrated gradients.
#include <math.h>

#include "sample/draw.h"

/* The Legendre polynomial of degree n at x, and its derivative. */
static double legendre(int n, double x, double *slope)
{
    double p = 1, before = 0;
    for (int k = 1; k <= n; k++) {
        const double next = ((2 * k - 1) * x * p - (k - 1) * before) / k;
        before = p;
        p = next;
    }
    *slope = n * (x * p - before) / (x * x - 1);
    return p;
}

/* Roots by Newton's method from Tricomi's estimate; it converges within five steps, and the last
 * ones repeat themselves. Only one half is computed, so that the rule is symmetric. */
static void gauss_legendre(int n, double *point, double *weight)
{
    for (int i = 0; i < (n + 1) / 2; i++) {
        const double m = n;
        double slope,
            x = (1 - 1 / (8 * m * m) + 1 / (8 * m * m * m)) * cos(M_PI * (4 * i + 3) / (4 * m + 2));
        for (int step = 0; step < 8; step++) {
            const double value = legendre(n, x, &slope);
            x -= value / slope;
        }
        if (2 * i + 1 == n) x = 0;
        legendre(n, x, &slope);
        const double w = 1 / ((1 - x * x) * slope * slope);
        point[i] = (1 - x) / 2;
        point[n - 1 - i] = (1 + x) / 2;
        weight[i] = weight[n - 1 - i] = w;
    }
}

void ab_path_points(enum ab_path_rule rule, int n, double *point, double *weight)
{
    for (int k = 0; k < n; k++) {
        weight[k] = 1.0 / n;
        switch (rule) {
        case AB_PATH_LEFT: point[k] = (double)k / n; break;
        case AB_PATH_RIGHT: point[k] = (k + 1.0) / n; break;
        case AB_PATH_MIDDLE: point[k] = (k + 0.5) / n; break;
        case AB_PATH_TRAPEZOID:
            point[k] = (double)k / (n - 1);
            weight[k] = (k == 0 || k == n - 1 ? 0.5 : 1.0) / (n - 1);
            break;
        case AB_PATH_GAUSS_LEGENDRE: break;
        }
    }
    if (rule == AB_PATH_GAUSS_LEGENDRE) gauss_legendre(n, point, weight);
    long double sum = 0; /* a million terms, and 1e-15 is promised */
    for (int k = 0; k < n; k++) sum += (long double)weight[k];
    for (int k = 0; k < n; k++) weight[k] = (double)((long double)weight[k] / sum);
}
