// SPDX-License-Identifier: Apache-2.0
// Pooling of the reference backend, both ways.
#include "backend/reference.h"

#include <math.h>
#include <string.h>

/* One plane: 16 channels of one image. */
struct plane {
    struct ab_pool_shape s;
    const struct ab_reference_map *in, *out; /* the image's side and the pooled side */
    double *in_data, *out_data;
    uint16_t *switches; /* or NULL */
    ptrdiff_t switch_row;
    const uint16_t *forced; /* [channel][oh][ow] from the plane's first channel, or NULL */
    int channels;
};

static double *pixel(const struct ab_reference_map *m, double *data, int y, int x)
{
    return data + y * m->view.row + (ptrdiff_t)x * AB_LANES;
}

/* The pixel under tap k of window (oy,ox), or NULL outside the image. */
static double *tap(const struct plane *p, int oy, int ox, int k)
{
    const struct ab_pool_shape *s = &p->s;
    const int y = oy * s->sh - s->pt + k / s->kw * s->dh;
    const int x = ox * s->sw - s->pl + k % s->kw * s->dw;
    if (k >= s->kh * s->kw || y < 0 || y >= s->ih || x < 0 || x >= s->iw) return NULL;
    return pixel(p->in, p->in_data, y, x);
}

/* ---- max ---- */

/* The first maximum in row-major order; NaN is larger than all. */
static void max_window(const struct plane *p, int oy, int ox, double *best, uint16_t *winner)
{
    bool any = false;
    for (int k = 0; k < p->s.kh * p->s.kw; k++) {
        const double *v = tap(p, oy, ox, k);
        for (int l = 0; v && l < AB_LANES; l++) {
            if (any && !(v[l] > best[l] || (isnan(v[l]) && !isnan(best[l])))) continue;
            best[l] = v[l];
            winner[l] = (uint16_t)k;
        }
        any = any || v;
    }
}

static void follow_window(const struct plane *p, int oy, int ox, double *best, uint16_t *winner)
{
    const ptrdiff_t area = (ptrdiff_t)p->s.oh * p->s.ow;
    for (int l = 0; l < p->channels; l++) {
        const uint16_t k = p->forced[l * area + (ptrdiff_t)oy * p->s.ow + ox];
        const double *v = tap(p, oy, ox, k);
        if (!v) continue; /* no winner of this window: the judge calls it illegal */
        best[l] = v[l];
        winner[l] = k;
    }
}

static void max_forward(const struct plane *p)
{
    for (int oy = 0; oy < p->s.oh; oy++)
        for (int ox = 0; ox < p->s.ow; ox++) {
            double best[AB_LANES] = {0.0};
            uint16_t winner[AB_LANES] = {0};
            max_window(p, oy, ox, best, winner);
            if (p->forced) follow_window(p, oy, ox, best, winner);
            memcpy(pixel(p->out, p->out_data, oy, ox), best, sizeof best);
            if (p->switches)
                memcpy(p->switches + oy * p->switch_row + (ptrdiff_t)ox * AB_LANES, winner,
                       sizeof winner);
        }
}

static void zero_plane(const struct plane *p)
{
    for (int y = 0; y < p->s.ih; y++)
        memset(pixel(p->in, p->in_data, y, 0), 0, sizeof(double) * AB_LANES * (size_t)p->s.iw);
}

static void max_backward(const struct plane *p)
{
    zero_plane(p);
    for (int oy = 0; oy < p->s.oh; oy++)
        for (int ox = 0; ox < p->s.ow; ox++) {
            const uint16_t *winner = p->switches + oy * p->switch_row + (ptrdiff_t)ox * AB_LANES;
            const double *r = pixel(p->out, p->out_data, oy, ox);
            for (int l = 0; l < p->channels; l++) {
                double *to = tap(p, oy, ox, winner[l]);
                if (to) to[l] += r[l];
            }
        }
}

void ab_reference_winners(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_reference_map *dst = ab_reference_map(exec, s->dst);
    const struct ab_reference_map *x = ab_reference_map(exec, s->x);
    const struct ab_reference_map *a = ab_reference_map(exec, s->a);
    const uint16_t *first = ab_reference_switches(ab_reference_map(exec, s->list[0]));
    const uint16_t *second = ab_reference_switches(ab_reference_map(exec, s->list[1]));
    const int rows = exec->batch * dst->blocks * dst->h;
    for (int i = 0; i < rows; i++) {
        const int y = i % dst->h, plane = i / dst->h, n = plane / dst->blocks;
        const int c = plane % dst->blocks * AB_LANES;
        const double *of_x = x->view.data + ab_reference_offset(x, n, c, y, 0);
        const double *of_a = a->view.data + ab_reference_offset(a, n, c, y, 0);
        const ptrdiff_t at = ab_reference_offset(dst, n, c, y, 0);
        uint16_t *to = ab_reference_switches(dst) + at;
        for (int e = 0; e < dst->w * AB_LANES; e++)
            to[e] = of_x[e] >= of_a[e] ? first[at + e] : second[at + e];
    }
}

/* ---- average ---- */

/* Taps of one axis inside the image, or inside the padded image. */
static int taps_inside(int at, int step, int taps, int end, bool from_padding)
{
    int count = 0;
    for (int t = 0; t < taps; t++) {
        const int i = at + t * step;
        if ((from_padding || i >= 0) && i < end) count++;
    }
    return count;
}

static double divisor(const struct ab_pool_shape *s, int oy, int ox)
{
    const bool pad = s->include_pad;
    const int rows = taps_inside(oy * s->sh - s->pt, s->dh, s->kh, s->ih + (pad ? s->pb : 0), pad);
    const int columns =
        taps_inside(ox * s->sw - s->pl, s->dw, s->kw, s->iw + (pad ? s->pr : 0), pad);
    return rows > 0 && columns > 0 ? (double)rows * columns : 1.0;
}

static void average_forward(const struct plane *p)
{
    for (int oy = 0; oy < p->s.oh; oy++)
        for (int ox = 0; ox < p->s.ow; ox++) {
            double sum[AB_LANES] = {0.0};
            const double d = divisor(&p->s, oy, ox);
            for (int k = 0; k < p->s.kh * p->s.kw; k++) {
                const double *v = tap(p, oy, ox, k);
                for (int l = 0; v && l < AB_LANES; l++) sum[l] += v[l];
            }
            double *to = pixel(p->out, p->out_data, oy, ox);
            for (int l = 0; l < AB_LANES; l++) to[l] = sum[l] / d;
        }
}

static void average_backward(const struct plane *p)
{
    zero_plane(p);
    for (int oy = 0; oy < p->s.oh; oy++)
        for (int ox = 0; ox < p->s.ow; ox++) {
            const double *r = pixel(p->out, p->out_data, oy, ox);
            const double d = divisor(&p->s, oy, ox);
            for (int k = 0; k < p->s.kh * p->s.kw; k++) {
                double *to = tap(p, oy, ox, k);
                for (int l = 0; to && l < AB_LANES; l++) to[l] += r[l] / d;
            }
        }
}

/* ---- planes over threads ---- */

static struct plane plane_of(const struct ab_exec *exec, const struct ab_step *s, int n, int block)
{
    const bool fwd = s->pass == AB_FWD;
    const struct ab_reference_map *in = ab_reference_map(exec, fwd ? s->x : s->dst);
    const struct ab_reference_map *out = ab_reference_map(exec, fwd ? s->dst : s->x);
    struct plane p = {.s = exec->graph->nodes[s->node].pool, .in = in, .out = out};
    p.in_data = in->view.data + n * in->view.image + block * in->view.block;
    p.out_data = out->view.data + n * out->view.image + block * out->view.block;
    p.channels = in->c - block * AB_LANES < AB_LANES ? in->c - block * AB_LANES : AB_LANES;
    const int id = fwd ? s->dst2 : s->switches;
    if (id >= 0) {
        const struct ab_reference_map *m = ab_reference_map(exec, id);
        const ptrdiff_t area = (ptrdiff_t)p.s.oh * p.s.ow;
        p.switches = ab_reference_switches(m) + n * m->view.image + block * m->view.block;
        p.switch_row = m->view.row;
        p.forced = fwd ? ab_reference_forced(exec, id, AB_DECIDE_SWITCH) : NULL;
        if (p.forced) p.forced += ((ptrdiff_t)n * in->c + block * AB_LANES) * area;
    }
    return p;
}

static void each_plane(const struct ab_exec *exec, const struct ab_step *s,
                       void (*run)(const struct plane *))
{
    const int blocks = ab_reference_map(exec, s->dst)->blocks, planes = exec->batch * blocks;
#pragma omp parallel for num_threads(exec->threads) schedule(static) if (planes > 1)
    for (int i = 0; i < planes; i++) {
        const struct plane p = plane_of(exec, s, i / blocks, i % blocks);
        run(&p);
    }
}

void ab_reference_maxpool(const struct ab_exec *exec, const struct ab_step *s)
{
    each_plane(exec, s, s->pass == AB_FWD ? max_forward : max_backward);
}

void ab_reference_avgpool(const struct ab_exec *exec, const struct ab_step *s)
{
    each_plane(exec, s, s->pass == AB_FWD ? average_forward : average_backward);
}
