// SPDX-License-Identifier: Apache-2.0
// Drawing on a picture in memory.
#include "canvas.h"

#include "font.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool ab_canvas_create(struct ab_canvas *canvas, int width, int height)
{
    size_t bytes = 3 * (size_t)width * (size_t)height;
    *canvas = (struct ab_canvas){width, height, malloc(bytes)};
    if (canvas->rgb) memset(canvas->rgb, 255, bytes);
    return canvas->rgb != NULL;
}

void ab_canvas_destroy(struct ab_canvas *canvas)
{
    free(canvas->rgb);
    *canvas = (struct ab_canvas){0};
}

static void set(struct ab_canvas *canvas, int x, int y, struct ab_colour c)
{
    if (x < 0 || y < 0 || x >= canvas->width || y >= canvas->height) return;
    uint8_t *p = canvas->rgb + 3 * ((size_t)y * (size_t)canvas->width + (size_t)x);
    p[0] = c.r, p[1] = c.g, p[2] = c.b;
}

void ab_canvas_fill(struct ab_canvas *canvas, int x, int y, int w, int h, struct ab_colour c)
{
    for (int j = y; j < y + h; j++)
        for (int i = x; i < x + w; i++) set(canvas, i, j, c);
}

int ab_text_width(const char *text, int scale)
{
    int n = (int)strlen(text);
    return n ? scale * (n * (AB_FONT_WIDTH + 1) - 1) : 0;
}

void ab_canvas_text(struct ab_canvas *canvas, int x, int y, int scale, struct ab_colour c,
                    const char *text)
{
    for (; *text; text++, x += scale * (AB_FONT_WIDTH + 1)) {
        int ch = (unsigned char)*text;
        if (ch < AB_FONT_FIRST || ch > AB_FONT_LAST) ch = '?';
        const uint8_t *rows = ab_font[ch - AB_FONT_FIRST];
        for (int j = 0; j < AB_FONT_HEIGHT; j++)
            for (int i = 0; i < AB_FONT_WIDTH; i++)
                if (rows[j] >> (AB_FONT_WIDTH - 1 - i) & 1)
                    ab_canvas_fill(canvas, x + i * scale, y + j * scale, scale, scale, c);
    }
}

/* The mean of a plane over [y0,y1) x [x0,x1), in fractions of pixels. */
static double box_mean(const float *plane, int w, int h, double x0, double x1, double y0, double y1)
{
    double sum = 0, area = 0;
    for (int y = (int)y0; y < h && y < y1; y++) {
        double dy = fmin(y + 1, y1) - fmax(y, y0);
        for (int x = (int)x0; x < w && x < x1; x++) {
            double part = dy * (fmin(x + 1, x1) - fmax(x, x0));
            sum += part * (double)plane[y * w + x];
            area += part;
        }
    }
    return area > 0 ? sum / area : 0;
}

static uint8_t level(double v)
{
    return (uint8_t)lrint(255 * fmin(fmax(v, 0), 1));
}

void ab_canvas_picture(struct ab_canvas *canvas, int x, int y, int size, const float *planes, int w,
                       int h)
{
    size_t plane = (size_t)w * (size_t)h;
    double sx = (double)w / size, sy = (double)h / size;
    for (int j = 0; j < size; j++)
        for (int i = 0; i < size; i++) {
            double v[3];
            for (int c = 0; c < 3; c++)
                v[c] = box_mean(planes + plane * (size_t)c, w, h, i * sx, (i + 1) * sx, j * sy,
                                (j + 1) * sy);
            set(canvas, x + i, y + j, (struct ab_colour){level(v[0]), level(v[1]), level(v[2])});
        }
}

/* Stops of equal perceived steps from white through a tint to a deep tone. */
struct ab_colour ab_diverging(double v)
{
    static const double warm[4][3] = {
        {1, 1, 1}, {0.99, 0.80, 0.69}, {0.89, 0.35, 0.27}, {0.50, 0.0, 0.09}};
    static const double cold[4][3] = {
        {1, 1, 1}, {0.74, 0.86, 0.94}, {0.26, 0.55, 0.78}, {0.02, 0.15, 0.42}};
    const double(*stops)[3] = v < 0 ? cold : warm;
    double at = fmin(fabs(v), 1) * 3;
    int k = at >= 3 ? 2 : (int)at;
    double t = at - k, mix[3];
    for (int c = 0; c < 3; c++) mix[c] = (1 - t) * stops[k][c] + t * stops[k + 1][c];
    return (struct ab_colour){level(mix[0]), level(mix[1]), level(mix[2])};
}

bool ab_heat_planes(const float *map, struct ab_dims dims, float *planes)
{
    size_t pixels = (size_t)dims.h * (size_t)dims.w;
    double *sums = calloc(2 * pixels, sizeof *sums);
    if (!sums) return false;
    double *sizes = sums + pixels;
    for (size_t i = 0; i < pixels; i++) {
        for (int c = 0; c < dims.c; c++) sums[i] += (double)map[(size_t)c * pixels + i];
        if (!isfinite(sums[i])) sums[i] = 0;
        sizes[i] = fabs(sums[i]);
    }
    ab_sort(sizes, pixels);
    double full = ab_quantile(sizes, (int)pixels, 0.995);
    if (full <= 0) full = sizes[pixels - 1];
    for (size_t i = 0; i < pixels; i++) {
        struct ab_colour c = ab_diverging(full > 0 ? sums[i] / full : 0);
        planes[i] = (float)c.r / 255;
        planes[pixels + i] = (float)c.g / 255;
        planes[2 * pixels + i] = (float)c.b / 255;
    }
    free(sums);
    return true;
}

void ab_input_planes(const float *input, struct ab_dims dims, float *planes)
{
    size_t pixels = (size_t)dims.h * (size_t)dims.w;
    float low = 0, high = 1;
    for (size_t i = 0; i < pixels * (size_t)dims.c; i++) {
        low = fminf(low, input[i]);
        high = fmaxf(high, input[i]);
    }
    for (int c = 0; c < 3; c++) {
        const float *in = input + pixels * (size_t)(dims.c >= 3 ? c : 0);
        for (size_t i = 0; i < pixels; i++)
            planes[pixels * (size_t)c + i] = (in[i] - low) / (high - low);
    }
}
