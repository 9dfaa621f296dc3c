// SPDX-License-Identifier: Apache-2.0
// HOST steps. Formulas: docs/methods.md, "Class activation maps" and "Controls".
#include "backend/host.h"

#include <math.h>
#include <omp.h>

enum { PLANES = 3 }; /* of work space: two operands and a result */

struct host {
    const struct ab_exec *exec;
    const struct ab_step *step;
    const struct ab_host_io *io;
    const void *user;
    struct ab_dims from, to;
    size_t in, out; /* pixels of the operands' and of the result's maps */
};

static size_t pixels_of(struct ab_dims d)
{
    return (size_t)d.h * (size_t)d.w;
}

size_t ab_host_work(const struct ab_exec *exec, const struct ab_step *s)
{
    const size_t in = pixels_of(exec->program->values[s->x].dims);
    const size_t out = pixels_of(exec->program->values[s->dst].dims);
    return PLANES * (in > out ? in : out);
}

static void get(const struct host *h, int id, int n, int c, double *to)
{
    h->io->get(h->exec, h->user, id, n, c, to);
}

/* ---- class activation maps ---- */

static double mean(const double *g, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += g[i];
    return sum / (double)count;
}

/* sum alpha g+ with alpha = g^2 / (2 g^2 + g^3 sum a), g^2 cancelled out: that is how the quotient
 * keeps its digits where g is small. */
static double weight_plus_plus(const double *a, const double *g, size_t count)
{
    double sum = 0, weight = 0;
    for (size_t i = 0; i < count; i++) sum += a[i];
    for (size_t i = 0; i < count; i++) {
        const double below = 2 + g[i] * sum;
        if (g[i] > 0 && below != 0) weight += g[i] / below;
    }
    return weight;
}

/* x: the signal, a: the activation, at the layer. */
static void cam(const struct host *h, int n, double *work)
{
    double *a = work, *g = work + h->in, *sum = g + h->in;
    for (size_t i = 0; i < h->in; i++) sum[i] = 0;
    for (int c = 0; c < h->from.c; c++) {
        get(h, h->step->a, n, c, a);
        get(h, h->step->x, n, c, g);
        const bool by_pixel = h->step->host == AB_HOST_LAYER_CAM;
        const double weight =
            h->step->host == AB_HOST_CAM ? mean(g, h->in) : weight_plus_plus(a, g, h->in);
        for (size_t i = 0; i < h->in; i++)
            sum[i] += (by_pixel ? (g[i] > 0 ? g[i] : 0) : weight) * a[i];
    }
    h->io->put(h->exec, h->user, h->step->dst, n, 0, sum);
}

/* Where row or column i of `to` lies among `from`, as torch's interpolate with align_corners off:
 * between `low` and low + 1, at `part` of the way. */
static void between(int i, int from, int to, int *low, double *part)
{
    const double at = fmax(((double)i + 0.5) * from / to - 0.5, 0);
    *low = (int)at < from - 1 ? (int)at : from - 1;
    *part = *low < from - 1 ? at - *low : 0;
}

static double resized(const struct host *h, const double *map, int y, int x)
{
    const int w = h->from.w;
    int top, left;
    double down, right;
    if (h->step->host == AB_HOST_NEAREST)
        return map[(size_t)((long)y * h->from.h / h->to.h) * (size_t)w +
                   (size_t)((long)x * w / h->to.w)];
    between(y, h->from.h, h->to.h, &top, &down);
    between(x, w, h->to.w, &left, &right);
    const double *a = map + (size_t)top * (size_t)w + left;
    const double *b = top + 1 < h->from.h ? a + w : a;
    const int next = left + 1 < w ? 1 : 0;
    return (1 - down) * ((1 - right) * a[0] + right * a[next]) +
           down * ((1 - right) * b[0] + right * b[next]);
}

/* One channel becomes all of the result's. */
static void resize(const struct host *h, int n, double *work)
{
    double *map = work, *to = work + h->in;
    get(h, h->step->x, n, 0, map);
    for (int y = 0; y < h->to.h; y++)
        for (int x = 0; x < h->to.w; x++)
            to[(size_t)y * (size_t)h->to.w + (size_t)x] = resized(h, map, y, x);
    for (int c = 0; c < h->to.c; c++) h->io->put(h->exec, h->user, h->step->dst, n, c, to);
}

/* ---- controls ---- */

static int clamp(int i, int size)
{
    return i < 0 ? 0 : i < size ? i : size - 1;
}

/* Sobel's magnitude; pixels outside repeat the border. */
static void edges(const struct host *h, const double *v, double *to)
{
    static const int smooth[] = {1, 2, 1}, slope[] = {-1, 0, 1};
    for (int y = 0; y < h->to.h; y++)
        for (int x = 0; x < h->to.w; x++) {
            double dx = 0, dy = 0;
            for (int k = 0; k < 9; k++) {
                const int row = clamp(y + k / 3 - 1, h->to.h), col = clamp(x + k % 3 - 1, h->to.w);
                const double p = v[(size_t)row * (size_t)h->to.w + (size_t)col];
                dx += smooth[k / 3] * slope[k % 3] * p;
                dy += slope[k / 3] * smooth[k % 3] * p;
            }
            to[(size_t)y * (size_t)h->to.w + (size_t)x] = sqrt(dx * dx + dy * dy);
        }
}

/* Keyed by the image's content, so that images differ and their place in a batch does not matter.
 */
static void random_image(const struct host *h, int n, double *work)
{
    uint64_t key = h->step->number;
    for (int c = 0; c < h->from.c; c++) {
        get(h, h->step->x, n, c, work);
        key = ab_hash(key, work, h->in * sizeof *work);
    }
    for (int c = 0; c < h->to.c; c++) {
        for (size_t i = 0; i < h->out; i++) work[i] = ab_normal(key, (uint64_t)c * h->out + i);
        h->io->put(h->exec, h->user, h->step->dst, n, c, work);
    }
}

/* ---- rules ---- */

/* 1 / (1 + exp(-t)) without overflow and without 1 - 1. */
static double sigmoid(double t)
{
    const double e = exp(-fabs(t));
    return t >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/* The outermost pixels become 0. */
static void clear_frame(const struct host *h, const double *v, double *to)
{
    for (int y = 0; y < h->to.h; y++)
        for (int x = 0; x < h->to.w; x++) {
            const size_t i = (size_t)y * (size_t)h->to.w + (size_t)x;
            const bool frame = y == 0 || x == 0 || y == h->to.h - 1 || x == h->to.w - 1;
            to[i] = frame ? 0 : v[i];
        }
}

/* Kinds that need nothing but the same channel of their operands. */
static void channel(const struct host *h, int n, int c, double *work)
{
    double *x = work, *a = work + h->in, *to = a + h->in;
    get(h, h->step->x, n, c, x);
    switch (h->step->host) {
    case AB_HOST_EDGES: edges(h, x, to); break;
    case AB_HOST_FRAME: clear_frame(h, x, to); break;
    default: /* AB_HOST_SIGMOID */
        get(h, h->step->a, n, c, a);
        for (size_t i = 0; i < h->in; i++) to[i] = x[i] * sigmoid((double)h->step->scale * a[i]);
    }
    h->io->put(h->exec, h->user, h->step->dst, n, c, to);
}

void ab_host_run(const struct ab_exec *exec, const struct ab_step *s, const struct ab_host_io *io,
                 const void *user, double *work)
{
    struct host h = {.exec = exec, .step = s, .io = io, .user = user};
    h.from = exec->program->values[s->x].dims;
    h.to = exec->program->values[s->dst].dims;
    h.in = pixels_of(h.from);
    h.out = pixels_of(h.to);
    const bool whole = s->host <= AB_HOST_RANDOM; /* an image at a time */
    const int tasks = whole ? exec->batch : exec->batch * h.to.c;
    const size_t each = ab_host_work(exec, s);
#pragma omp parallel for num_threads(exec->threads) schedule(static) if (tasks > 1)
    for (int i = 0; i < tasks; i++) {
        double *mine = work + (size_t)omp_get_thread_num() * each;
        switch (s->host) {
        case AB_HOST_CAM:
        case AB_HOST_CAM_PLUS_PLUS:
        case AB_HOST_LAYER_CAM: cam(&h, i, mine); break;
        case AB_HOST_NEAREST:
        case AB_HOST_BILINEAR: resize(&h, i, mine); break;
        case AB_HOST_RANDOM: random_image(&h, i, mine); break;
        default: channel(&h, i / h.to.c, i % h.to.c, mine); break;
        }
    }
}
