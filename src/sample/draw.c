// SPDX-License-Identifier: Apache-2.0
// Inputs of sampled methods, and the sums over their maps.
#include "sample/draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Random numbers that must not depend on each other have streams of their own. */
enum stream { STREAM_NOISE, STREAM_POINT, STREAM_CHOICE, STREAM_BASELINE };

/* Elements that one thread makes at a time: enough to be worth it, and a multiple of 4, which is
 * what the random numbers come in. */
enum { SPAN = 8192 };

/* ---- opening ---- */

static int at_least_one(int v)
{
    return v < 1 ? 1 : v;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* The window is an eighth of the height by default, the step half of the window. Captum's count of
 * positions: the last window of a row or column may be cut off by the border. Zennit's: a window
 * begins at every multiple of the step, and goes on at the opposite border. */
static int positions(const struct ab_sampling *how, int size, int window, int stride)
{
    if (how->keep) return (size + stride - 1) / stride;
    return (size - window + stride - 1) / stride + 1;
}

static enum ab_status lay_windows(struct ab_draw *d, struct ab_error *err)
{
    const int window = d->how.window ? d->how.window : at_least_one(d->dims.h / 8);
    const int stride = d->how.stride ? d->how.stride : at_least_one(window / 2);
    d->window_h = least(window, d->dims.h);
    d->window_w = least(window, d->dims.w);
    d->stride_h = least(stride, d->dims.h);
    d->stride_w = least(stride, d->dims.w);
    if (!d->how.keep && (stride > d->window_h || stride > d->window_w))
        return ab_fail(err, AB_ERR_ARG,
                       "method occlusion: stride=%d would skip pixels beside a window of %dx%d; "
                       "give stride=%d or less",
                       stride, d->window_h, d->window_w, least(d->window_h, d->window_w));
    d->columns = positions(&d->how, d->dims.w, d->window_w, d->stride_w);
    const long rows = positions(&d->how, d->dims.h, d->window_h, d->stride_h);
    if (rows * d->columns >= AB_MAX_SAMPLES)
        return ab_fail(err, AB_ERR_ARG,
                       "method occlusion: %ld windows are more than %d; give a larger stride",
                       rows * d->columns, AB_MAX_SAMPLES - 1);
    d->n = 1 + (int)rows * d->columns; /* the image itself is the first sample */
    return AB_OK;
}

static enum ab_status lay_path(struct ab_draw *d, struct ab_error *err)
{
    d->point = malloc(sizeof *d->point * (size_t)d->n);
    d->weight = malloc(sizeof *d->weight * (size_t)d->n);
    if (!d->point || !d->weight)
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for the points of a path");
    ab_path_points(d->how.rule, d->n, d->point, d->weight);
    return AB_OK;
}

enum ab_status ab_draw_open(const struct ab_method *method, const struct ab_graph *graph,
                            struct ab_draw *draw, struct ab_error *err)
{
    *draw = (struct ab_draw){.how = method->composite.sampling, .dims = ab_graph_input(graph)};
    struct ab_draw *d = draw;
    d->n = d->how.n;
    d->count = (size_t)d->dims.c * (size_t)d->dims.h * (size_t)d->dims.w;
    if (d->how.n_fill > 1 && d->how.n_fill != d->dims.c)
        return ab_fail(err, AB_ERR_ARG,
                       "method %s: %d values for the channels of model '%.80s', which has %d; give "
                       "one or %d",
                       method->desc->name, d->how.n_fill, graph->name, d->dims.c, d->dims.c);
    enum ab_status status = AB_OK;
    if (d->how.kind == AB_SAMPLE_PATH) status = lay_path(d, err);
    if (d->how.kind == AB_SAMPLE_OCCLUSION) status = lay_windows(d, err);
    if (!status && d->how.baselines[0])
        status = ab_npy_read(d->how.baselines, d->dims, &d->baseline, &d->n_baselines, err);
    if (d->baseline && d->how.kind == AB_SAMPLE_DEEPLIFT_SHAP) d->n = d->n_baselines;
    for (size_t i = 0; !status && i < d->count * (size_t)d->n_baselines; i++)
        if (!isfinite(d->baseline[i]))
            status =
                ab_fail(err, AB_ERR_FORMAT, "%.120s: baseline %zu holds a value that is not finite",
                        d->how.baselines, i / d->count);
    if (status) ab_draw_close(draw);
    return status;
}

void ab_draw_close(struct ab_draw *draw)
{
    free(draw->point);
    free(draw->weight);
    free(draw->baseline);
    *draw = (struct ab_draw){.n = 0};
}

bool ab_draw_has_way(const struct ab_draw *draw)
{
    return draw->how.kind == AB_SAMPLE_GRADIENT_SHAP || draw->how.kind == AB_SAMPLE_DEEPLIFT_SHAP;
}

bool ab_draw_has_maps(const struct ab_draw *draw)
{
    return draw->how.kind != AB_SAMPLE_OCCLUSION;
}

/* ---- inputs ---- */

/* Elements [first, first + count) of sample k; image, input and way begin at `first`. */
struct span {
    const struct ab_draw *draw;
    int k;
    double sigma;
    size_t first, count;
    const float *image;
    float *input, *way;
};

static float fill_of(const struct ab_draw *d, size_t element)
{
    const size_t pixels = (size_t)d->dims.h * (size_t)d->dims.w;
    return d->how.fill[d->how.n_fill > 1 ? element / pixels : 0];
}

static void draw_path(const struct span *s)
{
    const double t = s->draw->point[s->k];
    const size_t pixels = (size_t)s->draw->dims.h * (size_t)s->draw->dims.w;
    for (size_t i = 0; i < s->count;) {
        /* One channel at a time. */
        const double from = (double)fill_of(s->draw, s->first + i);
        const size_t left = pixels - (s->first + i) % pixels;
        const size_t end = left < s->count - i ? i + left : s->count;
        for (; i < end; i++) s->input[i] = (float)(from + t * ((double)s->image[i] - from));
    }
}

/* Without noise the input is the image, bit for bit. */
static void draw_noise(const struct span *s)
{
    const struct ab_sampling *how = &s->draw->how;
    const float sigma = (float)s->sigma;
    if (sigma == 0 || (how->clean_last && s->k == s->draw->n - 1)) {
        memcpy(s->input, s->image, s->count * sizeof *s->input);
        return;
    }
    ab_sample_normals(how->seed, STREAM_NOISE, (uint32_t)s->k, s->first, s->count, s->input);
    for (size_t i = 0; i < s->count; i++) s->input[i] = s->image[i] + sigma * s->input[i];
}

/* Baseline number `chosen` of the file, or the k-th random one. */
static void draw_baseline(const struct span *s, size_t chosen, float *to)
{
    const struct ab_draw *d = s->draw;
    if (d->baseline) {
        memcpy(to, d->baseline + chosen * d->count + s->first, s->count * sizeof *to);
        return;
    }
    const float spread = (float)d->how.spread;
    ab_sample_normals(d->how.seed, STREAM_BASELINE, (uint32_t)s->k, s->first, s->count, to);
    for (size_t i = 0; i < s->count; i++) to[i] *= spread;
}

/* The noisy image goes to `way` first, the baseline to `input`. */
static void draw_gradient_shap(const struct span *s)
{
    const struct ab_draw *d = s->draw;
    const uint32_t k = (uint32_t)s->k;
    const struct span noisy = {d, s->k, s->sigma, s->first, s->count, s->image, s->way, NULL};
    draw_noise(&noisy);
    draw_baseline(s, (size_t)(ab_sample_uniform(d->how.seed, STREAM_CHOICE, k, 0) * d->n_baselines),
                  s->input);
    const float t = (float)ab_sample_uniform(d->how.seed, STREAM_POINT, k, 0);
    for (size_t i = 0; i < s->count; i++) {
        s->way[i] -= s->input[i];
        s->input[i] += t * s->way[i];
    }
}

static void draw_deeplift_shap(const struct span *s)
{
    memcpy(s->input, s->image, s->count * sizeof *s->input);
    draw_baseline(s, (size_t)s->k, s->way);
}

/* Whether window w has the pixel. Zennit's windows go on at the opposite border. */
static bool covers(const struct ab_draw *d, int w, int y, int x)
{
    int dy = y - w / d->columns * d->stride_h, dx = x - w % d->columns * d->stride_w;
    if (d->how.keep && dy < 0) dy += d->dims.h;
    if (d->how.keep && dx < 0) dx += d->dims.w;
    return dy >= 0 && dy < d->window_h && dx >= 0 && dx < d->window_w;
}

static void draw_occlusion(const struct span *s)
{
    const struct ab_draw *d = s->draw;
    const size_t width = (size_t)d->dims.w, height = (size_t)d->dims.h;
    memcpy(s->input, s->image, s->count * sizeof *s->input);
    if (s->k == 0 && !d->how.keep) return;
    for (size_t i = 0; i < s->count; i++) {
        const size_t at = s->first + i;
        const bool inside =
            s->k > 0 && covers(d, s->k - 1, (int)(at / width % height), (int)(at % width));
        if (inside != d->how.keep) s->input[i] = fill_of(d, at);
    }
}

static void draw_span(const struct span *s)
{
    switch (s->draw->how.kind) {
    case AB_SAMPLE_PATH: draw_path(s); break;
    case AB_SAMPLE_NOISE:
    case AB_SAMPLE_NOISE_SQUARE:
    case AB_SAMPLE_NOISE_VARIANCE: draw_noise(s); break;
    case AB_SAMPLE_GRADIENT_SHAP: draw_gradient_shap(s); break;
    case AB_SAMPLE_DEEPLIFT_SHAP: draw_deeplift_shap(s); break;
    case AB_SAMPLE_OCCLUSION: draw_occlusion(s); break;
    case AB_SAMPLE_NOT: break;
    }
}

static double noise_of(const struct ab_draw *d, const float *image)
{
    if (d->how.noise_abs >= 0) return d->how.noise_abs;
    if (d->how.noise <= 0) return 0;
    float low = image[0], high = image[0];
    for (size_t i = 1; i < d->count; i++) {
        if (image[i] < low) low = image[i];
        if (image[i] > high) high = image[i];
    }
    return d->how.noise * ((double)high - (double)low);
}

void ab_draw_input(const struct ab_draw *draw, const float *image, int k, float *input, float *way,
                   int threads)
{
    const double sigma = noise_of(draw, image);
    const long spans = (long)((draw->count + SPAN - 1) / SPAN);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (long i = 0; i < spans; i++) {
        const size_t first = (size_t)i * SPAN, left = draw->count - first;
        const struct span s = {draw,
                               k,
                               sigma,
                               first,
                               left < SPAN ? left : SPAN,
                               image + first,
                               input + first,
                               way ? way + first : NULL};
        draw_span(&s);
    }
}

/* ---- sums ---- */

void ab_draw_begin(const struct ab_draw *draw, double *sums)
{
    memset(sums, 0, 2 * draw->count * sizeof *sums);
}

/* A pixel gets the loss of every window that has it; the mean of them is formed at the end. */
static void add_window(const struct ab_draw *d, int k, double logit, double *sums)
{
    double *clean = &sums[d->count];
    if (k == 0) {
        *clean = logit;
        return;
    }
    const double share = d->how.keep ? logit : *clean - logit;
    for (int y = 0; y < d->dims.h; y++)
        for (int x = 0; x < d->dims.w; x++)
            if (covers(d, k - 1, y, x)) sums[y * d->dims.w + x] += share;
}

/* Welford's recurrence: equal maps leave exactly 0. */
static void add_variance(const double *map, size_t count, int k, double *mean, double *squares)
{
    for (size_t i = 0; i < count; i++) {
        const double before = map[i] - mean[i];
        mean[i] += before / (k + 1);
        squares[i] += before * (map[i] - mean[i]);
    }
}

static void add_span(const struct ab_draw *d, int k, const double *map, const float *way,
                     size_t first, size_t count, double *sums)
{
    double *sum = sums + first;
    map += first;
    switch (d->how.kind) {
    case AB_SAMPLE_PATH:
        for (size_t i = 0; i < count; i++) sum[i] += d->weight[k] * map[i];
        break;
    case AB_SAMPLE_NOISE:
    case AB_SAMPLE_DEEPLIFT_SHAP:
        for (size_t i = 0; i < count; i++) sum[i] += map[i];
        break;
    case AB_SAMPLE_NOISE_SQUARE:
        for (size_t i = 0; i < count; i++) sum[i] += map[i] * map[i];
        break;
    case AB_SAMPLE_NOISE_VARIANCE: add_variance(map, count, k, sum, sum + d->count); break;
    case AB_SAMPLE_GRADIENT_SHAP:
        for (size_t i = 0; i < count; i++) sum[i] += map[i] * (double)way[first + i];
        break;
    case AB_SAMPLE_OCCLUSION:
    case AB_SAMPLE_NOT: break;
    }
}

void ab_draw_add(const struct ab_draw *draw, int k, const double *map, const float *way,
                 double logit, double *sums, int threads)
{
    if (draw->how.kind == AB_SAMPLE_OCCLUSION) {
        add_window(draw, k, logit, sums);
        return;
    }
    const long spans = (long)((draw->count + SPAN - 1) / SPAN);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (long i = 0; i < spans; i++) {
        const size_t first = (size_t)i * SPAN, left = draw->count - first;
        add_span(draw, k, map, way, first, left < SPAN ? left : SPAN, sums);
    }
}

/* How many windows have a pixel is a product of two counts. */
static int windows_along(const struct ab_draw *d, int at, int size, int window, int stride)
{
    int found = 0;
    const int all = positions(&d->how, size, window, stride);
    for (int p = 0; p < all; p++) found += at >= p * stride && at < p * stride + window;
    return found;
}

static void end_occlusion(const struct ab_draw *d, double *sums)
{
    const size_t pixels = (size_t)d->dims.h * (size_t)d->dims.w;
    for (int y = 0; y < d->dims.h && !d->how.keep; y++) {
        const int down = windows_along(d, y, d->dims.h, d->window_h, d->stride_h);
        for (int x = 0; x < d->dims.w; x++)
            sums[y * d->dims.w + x] /=
                down * windows_along(d, x, d->dims.w, d->window_w, d->stride_w);
    }
    for (int c = 1; c < d->dims.c; c++)
        memcpy(sums + (size_t)c * pixels, sums, pixels * sizeof *sums);
}

void ab_draw_end(const struct ab_draw *draw, const float *image, double *sums)
{
    const double n = draw->n;
    switch (draw->how.kind) {
    case AB_SAMPLE_PATH:
        for (size_t i = 0; i < draw->count; i++)
            sums[i] *= (double)image[i] - (double)fill_of(draw, i);
        break;
    case AB_SAMPLE_NOISE_VARIANCE:
        for (size_t i = 0; i < draw->count; i++) sums[i] = sums[draw->count + i] / n;
        break;
    case AB_SAMPLE_NOISE:
    case AB_SAMPLE_NOISE_SQUARE:
    case AB_SAMPLE_GRADIENT_SHAP:
    case AB_SAMPLE_DEEPLIFT_SHAP:
        for (size_t i = 0; i < draw->count; i++) sums[i] /= n;
        break;
    case AB_SAMPLE_OCCLUSION: end_occlusion(draw, sums); break;
    case AB_SAMPLE_NOT: break;
    }
}
