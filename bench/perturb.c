// SPDX-License-Identifier: Apache-2.0
// Images with parts replaced, the orders in which that is done, and control maps.
#include "perturb.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const ab_control_names[AB_CONTROLS] = {"control: input", "control: random",
                                                   "control: edges"};
const char *const ab_stand_in_names[AB_STAND_INS] = {"mean", "blur", "noise"};

static size_t pixels_of(struct ab_dims d)
{
    return (size_t)d.h * (size_t)d.w;
}

static int clamped(int v, int end)
{
    return v < 0 ? 0 : v >= end ? end - 1 : v;
}

/* ---- controls ---- */

static double mean_at(const float *x, struct ab_dims d, int row, int column)
{
    const size_t at = (size_t)clamped(row, d.h) * (size_t)d.w + (size_t)clamped(column, d.w);
    double sum = 0;
    for (int c = 0; c < d.c; c++) sum += (double)x[(size_t)c * pixels_of(d) + at];
    return sum / d.c;
}

static float sobel(const float *x, struct ab_dims d, int row, int column)
{
    static const int weight[3] = {1, 2, 1};
    double down = 0, right = 0;
    for (int k = -1; k <= 1; k++) {
        right += weight[k + 1] *
                 (mean_at(x, d, row + k, column + 1) - mean_at(x, d, row + k, column - 1));
        down += weight[k + 1] *
                (mean_at(x, d, row + 1, column + k) - mean_at(x, d, row - 1, column + k));
    }
    return (float)hypot(right, down);
}

void ab_control_map(enum ab_control control, const float *x, struct ab_dims dims, uint64_t seed,
                    float *map)
{
    const size_t pixels = pixels_of(dims);
    for (size_t i = 0; i < pixels; i++) {
        const float value = control == AB_CONTROL_EDGES ? sobel(x, dims, (int)(i / (size_t)dims.w),
                                                                (int)(i % (size_t)dims.w))
                                                        : (float)ab_uniform(seed, i);
        for (size_t c = 0; c < (size_t)dims.c; c++)
            map[c * pixels + i] = control == AB_CONTROL_INPUT ? fabsf(x[c * pixels + i]) : value;
    }
}

/* ---- stand-ins ---- */

/* One pass along lines of `count` values that are `step` apart. */
static void blur_line(const float *from, float *to, int count, ptrdiff_t step, const double *kernel,
                      int radius)
{
    for (int i = 0; i < count; i++) {
        double sum = 0;
        for (int k = -radius; k <= radius; k++)
            sum += kernel[abs(k)] * (double)from[clamped(i + k, count) * step];
        to[i * step] = (float)sum;
    }
}

static bool blur(const float *x, struct ab_dims d, float *out)
{
    const double sigma = fmax(1, (d.h > d.w ? d.h : d.w) / 16.0);
    const int radius = (int)(3 * sigma);
    double *kernel = malloc(sizeof *kernel * (size_t)(radius + 1)), total = 0;
    float *half = malloc(sizeof *half * pixels_of(d));
    for (int k = 0; kernel && k <= radius; k++) {
        kernel[k] = exp(-0.5 * k * k / (sigma * sigma));
        total += k ? 2 * kernel[k] : kernel[k];
    }
    for (int k = 0; kernel && k <= radius; k++) kernel[k] /= total;
    for (int c = 0; half && kernel && c < d.c; c++) {
        const float *from = x + (size_t)c * pixels_of(d);
        float *to = out + (size_t)c * pixels_of(d);
        for (int y = 0; y < d.h; y++)
            blur_line(from + (ptrdiff_t)y * d.w, half + (ptrdiff_t)y * d.w, d.w, 1, kernel, radius);
        for (int i = 0; i < d.w; i++) blur_line(half + i, to + i, d.h, d.w, kernel, radius);
    }
    const bool done = half && kernel;
    free(half);
    free(kernel);
    return done;
}

bool ab_stand_in_image(enum ab_stand_in kind, const float *x, struct ab_dims dims, uint64_t seed,
                       float *out)
{
    const size_t pixels = pixels_of(dims);
    if (kind == AB_STAND_IN_BLUR) return blur(x, dims, out);
    for (size_t c = 0; c < (size_t)dims.c; c++) {
        const float *from = x + c * pixels;
        float *to = out + c * pixels;
        double sum = 0, low = (double)from[0], high = low;
        for (size_t i = 0; i < pixels; i++) {
            const double v = (double)from[i];
            sum += v;
            if (v < low) low = v;
            if (v > high) high = v;
        }
        for (size_t i = 0; i < pixels; i++)
            to[i] = kind == AB_STAND_IN_MEAN
                        ? (float)(sum / (double)pixels)
                        : (float)(low + (high - low) * ab_uniform(seed, c * pixels + i));
    }
    return true;
}

/* ---- orders and patches ---- */

struct place {
    double score;
    int at;
};

static int higher_first(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->at - y->at;
}

void ab_descending(const double *scores, int count, int *order)
{
    struct place *places = malloc(sizeof *places * (size_t)count);
    for (int i = 0; i < count; i++) order[i] = i;
    if (!places) return;
    for (int i = 0; i < count; i++) places[i] = (struct place){scores[i], i};
    qsort(places, (size_t)count, sizeof *places, higher_first);
    for (int i = 0; i < count; i++) order[i] = places[i].at;
    free(places);
}

struct ab_grid ab_grid_of(struct ab_dims dims, int side)
{
    const int rows = (dims.h + side - 1) / side, columns = (dims.w + side - 1) / side;
    return (struct ab_grid){side, rows, columns, rows * columns};
}

void ab_grid_sums(struct ab_grid grid, struct ab_dims dims, const double *pixels, double *sums)
{
    for (int p = 0; p < grid.count; p++) sums[p] = 0;
    for (int y = 0; y < dims.h; y++)
        for (int x = 0; x < dims.w; x++)
            sums[y / grid.side * grid.columns + x / grid.side] += pixels[(ptrdiff_t)y * dims.w + x];
}

void ab_grid_copy(struct ab_grid grid, struct ab_dims dims, int patch, const float *from, float *to)
{
    const int y0 = patch / grid.columns * grid.side, x0 = patch % grid.columns * grid.side;
    const int width = x0 + grid.side < dims.w ? grid.side : dims.w - x0;
    for (int c = 0; c < dims.c; c++)
        for (int y = y0; y < y0 + grid.side && y < dims.h; y++) {
            const ptrdiff_t at = ((ptrdiff_t)c * dims.h + y) * dims.w + x0;
            memcpy(to + at, from + at, sizeof *to * (size_t)width);
        }
}

double ab_area_under(const double *x, const double *y, int count)
{
    double area = 0;
    for (int i = 1; i < count; i++) area += 0.5 * (x[i] - x[i - 1]) * (y[i] + y[i - 1]);
    return area / (x[count - 1] - x[0]);
}
