// SPDX-License-Identifier: Apache-2.0
// Two-dimensional spectra of small maps, in bands of radial frequency.
#include "spectrum.h"

#include <math.h>
#include <stdlib.h>

const char *const ab_band_names[AB_BANDS] = {"0-1/16", "1/16-1/8", "1/8-1/4", "above 1/4"};

static int smallest_factor(int n)
{
    for (int f = 2; f * f <= n; f++)
        if (n % f == 0) return f;
    return n;
}

/* cos and sin of -2 pi i / n. */
static void fill_turns(double *turns, int n)
{
    for (int i = 0; i < n; i++) {
        turns[2 * i] = cos(2 * acos(-1) * i / n);
        turns[2 * i + 1] = -sin(2 * acos(-1) * i / n);
    }
}

/* Transforms n complex numbers of x, `stride` of them apart, into the consecutive `out`: the
 * transforms of every f-th element are combined, f the smallest factor of n. The turns are those of
 * n * stride. */
static void fourier(const double *x, int n, int stride, const double *turns, double *out,
                    double *work)
{
    if (n == 1) {
        out[0] = x[0];
        out[1] = x[1];
        return;
    }
    const int f = smallest_factor(n), m = n / f;
    for (int j = 0; j < f; j++)
        fourier(x + 2 * (ptrdiff_t)j * stride, m, stride * f, turns, out + 2 * (ptrdiff_t)j * m,
                work);
    for (int k = 0; k < n; k++) {
        double re = 0, im = 0;
        for (int j = 0; j < f; j++) {
            const double *part = out + 2 * (j * m + k % m);
            const double *t = turns + 2 * (ptrdiff_t)stride * (int)((int64_t)j * k % n);
            re += part[0] * t[0] - part[1] * t[1];
            im += part[0] * t[1] + part[1] * t[0];
        }
        work[2 * k] = re;
        work[2 * k + 1] = im;
    }
    for (int k = 0; k < 2 * n; k++) out[k] = work[k];
}

void ab_transform(const float *map, int h, int w, double *out, double *work)
{
    const ptrdiff_t side = h > w ? h : w;
    double *line = work, *done = work + 2 * side, *spare = done + 2 * side;
    double *along_w = spare + 2 * side, *along_h = along_w + 2 * side;
    fill_turns(along_w, w);
    fill_turns(along_h, h);
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            line[2 * x] = (double)map[(ptrdiff_t)y * w + x];
            line[2 * x + 1] = 0;
        }
        fourier(line, w, 1, along_w, out + 2 * (ptrdiff_t)y * w, spare);
    }
    for (int x = 0; x < w; x++) {
        for (int y = 0; y < h; y++) {
            line[2 * y] = out[2 * ((ptrdiff_t)y * w + x)];
            line[2 * y + 1] = out[2 * ((ptrdiff_t)y * w + x) + 1];
        }
        fourier(line, h, 1, along_h, done, spare);
        for (int y = 0; y < h; y++) {
            out[2 * ((ptrdiff_t)y * w + x)] = done[2 * y];
            out[2 * ((ptrdiff_t)y * w + x) + 1] = done[2 * y + 1];
        }
    }
}

static double frequency(int k, int n)
{
    return (double)(k <= n / 2 ? k : n - k) / n;
}

/* -1: the mean. */
static int band_of(int y, int x, struct ab_dims d)
{
    const double f = hypot(frequency(y, d.h), frequency(x, d.w));
    return f <= 0 ? -1 : f <= 1.0 / 16 ? 0 : f <= 1.0 / 8 ? 1 : f <= 1.0 / 4 ? 2 : 3;
}

bool ab_bands_of(const float *a, const float *b, struct ab_dims dims, struct ab_bands *bands)
{
    const size_t pixels = (size_t)dims.h * (size_t)dims.w;
    const size_t side = (size_t)(dims.h > dims.w ? dims.h : dims.w);
    double *fa = malloc(sizeof *fa * (4 * pixels + 10 * side));
    *bands = (struct ab_bands){0};
    if (!fa) return false;
    double *fb = fa + 2 * pixels, *work = fb + 2 * pixels;
    const double scale = 1 / (double)pixels;
    for (int c = 0; c < dims.c; c++) {
        ab_transform(a + (size_t)c * pixels, dims.h, dims.w, fa, work);
        ab_transform(b + (size_t)c * pixels, dims.h, dims.w, fb, work);
        for (int y = 0; y < dims.h; y++)
            for (int x = 0; x < dims.w; x++) {
                const double *u = fa + 2 * ((ptrdiff_t)y * dims.w + x);
                const double *v = fb + 2 * ((ptrdiff_t)y * dims.w + x);
                const double uu = scale * (u[0] * u[0] + u[1] * u[1]);
                const double vv = scale * (v[0] * v[0] + v[1] * v[1]);
                const int band = band_of(y, x, dims);
                if (band < 0) {
                    bands->mean_a += uu;
                    bands->mean_b += vv;
                    continue;
                }
                bands->a[band] += uu;
                bands->b[band] += vv;
                bands->common[band] += scale * (u[0] * v[0] + u[1] * v[1]);
            }
    }
    free(fa);
    return true;
}

double ab_band_retained(const struct ab_bands *bands, int band)
{
    const double both = bands->a[band] * bands->b[band];
    return both > 0 ? bands->common[band] * bands->common[band] / both : (double)NAN;
}
