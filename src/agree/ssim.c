// SPDX-License-Identifier: Apache-2.0
// Structural similarity (Wang et al. 2004) with uniform windows by sums that run along both axes.
#include "agree/metrics.h"

#include <math.h>
#include <stdlib.h>

enum { WINDOW = 7 };

/* What is summed in a window. */
enum { SUM_A, SUM_B, SUM_AA, SUM_BB, SUM_AB, SUMS };

/* One column of the map: sums of the window's rows. */
struct column {
    double sum[SUMS];
};

struct job {
    const double *a, *b;
    double shift; /* taken off every element, so that variances do not cancel */
    int h, w, win_h, win_w;
    double c1, c2;
};

static void add_row(const struct job *j, struct column *columns, int y, double sign)
{
    for (int x = 0; x < j->w; x++) {
        const double a = j->a[(size_t)y * (size_t)j->w + (size_t)x] - j->shift;
        const double b = j->b[(size_t)y * (size_t)j->w + (size_t)x] - j->shift;
        double *s = columns[x].sum;
        s[SUM_A] += sign * a;
        s[SUM_B] += sign * b;
        s[SUM_AA] += sign * a * a;
        s[SUM_BB] += sign * b * b;
        s[SUM_AB] += sign * a * b;
    }
}

static double similarity(const struct job *j, const double *s)
{
    const double n = (double)j->win_h * j->win_w, bias = n > 1 ? n / (n - 1) : 1;
    const double ma = s[SUM_A] / n, mb = s[SUM_B] / n;
    const double va = bias * (s[SUM_AA] / n - ma * ma), vb = bias * (s[SUM_BB] / n - mb * mb);
    const double cov = bias * (s[SUM_AB] / n - ma * mb);
    const double ua = ma + j->shift, ub = mb + j->shift;
    return (2 * ua * ub + j->c1) * (2 * cov + j->c2) /
           ((ua * ua + ub * ub + j->c1) * (va + vb + j->c2));
}

/* The sum over all windows whose rows the columns hold. */
static double row_of_windows(const struct job *j, const struct column *columns)
{
    double window[SUMS] = {0}, total = 0;
    for (int x = 0; x < j->w; x++) {
        for (int k = 0; k < SUMS; k++) {
            window[k] += columns[x].sum[k];
            if (x >= j->win_w) window[k] -= columns[x - j->win_w].sum[k];
        }
        if (x >= j->win_w - 1) total += similarity(j, window);
    }
    return total;
}

double ab_metric_ssim(const double *a, const double *b, int h, int w)
{
    const size_t count = (size_t)h * (size_t)w;
    struct job j = {.a = a, .b = b, .h = h, .w = w};
    double low = a[0], high = a[0], sum = 0, total = 0;
    for (size_t i = 0; i < count; i++) {
        low = fmin(low, fmin(a[i], b[i]));
        high = fmax(high, fmax(a[i], b[i]));
        sum += a[i];
    }
    if (!(high > low)) return 1;
    j.win_h = h < WINDOW ? h : WINDOW;
    j.win_w = w < WINDOW ? w : WINDOW;
    j.shift = sum / (double)count;
    j.c1 = pow(0.01 * (high - low), 2);
    j.c2 = pow(0.03 * (high - low), 2);
    struct column *columns = calloc((size_t)w, sizeof *columns);
    if (!columns) return NAN;
    for (int y = 0; y < h; y++) {
        add_row(&j, columns, y, 1);
        if (y >= j.win_h) add_row(&j, columns, y - j.win_h, -1);
        if (y >= j.win_h - 1) total += row_of_windows(&j, columns);
    }
    free(columns);
    return total / ((double)(h - j.win_h + 1) * (w - j.win_w + 1));
}
