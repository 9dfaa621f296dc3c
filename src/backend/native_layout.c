// SPDX-License-Identifier: Apache-2.0
// The native backend's data movement: NCHW at the border, vectors, concatenation, padding, seeds,
// halos.
#include "backend/host.h"
#include "backend/native.h"
#include "backend/seed.h"

#include <string.h>

static const struct ab_value *value(const struct ab_exec *exec, int id)
{
    return &exec->program->values[id];
}

/* Element (n, c, y, 0) of a map; pixels are AB_LANES floats apart. */
static float *row_of(const struct ab_view *v, int n, int c, int y)
{
    return v->data + n * v->image + (c / AB_LANES) * v->block + y * v->row + c % AB_LANES;
}

static void zero(float *from, ptrdiff_t count)
{
    memset(from, 0, sizeof *from * (size_t)count);
}

/* Sets the interior of a map to 0, padding lanes too. */
static void clear(const struct ab_exec *exec, int id)
{
    const struct ab_view v = ab_native_view(exec, id);
    const struct ab_dims d = value(exec, id)->dims;
    for (int n = 0; n < exec->batch; n++) {
        for (int b = 0; b < ab_blocks(d.c); b++) {
            for (int y = 0; y < d.h; y++)
                zero(row_of(&v, n, b * AB_LANES, y), (ptrdiff_t)d.w * AB_LANES);
        }
    }
}

void ab_native_zero_halo(const struct ab_exec *exec, int id)
{
    const struct ab_value *val = value(exec, id);
    const struct ab_halo h = val->halo;
    if (val->vector || val->dtype != AB_F32 || !(h.top | h.left | h.bottom | h.right)) return;
    const struct ab_view v = ab_native_view(exec, id);
    const ptrdiff_t left = (ptrdiff_t)h.left * AB_LANES, right = (ptrdiff_t)h.right * AB_LANES;
    for (int n = 0; n < exec->batch; n++) {
        for (int b = 0; b < ab_blocks(val->dims.c); b++) {
            float *at = v.data + n * v.image + b * v.block;
            zero(at - h.top * v.row - left, h.top * v.row);
            for (int y = 0; y < val->dims.h && (h.left | h.right); y++) {
                zero(at + y * v.row - left, left);
                zero(at + y * v.row + (ptrdiff_t)val->dims.w * AB_LANES, right);
            }
            zero(at + val->dims.h * v.row - left, h.bottom * v.row);
        }
    }
}

/* The caller's values, [n][c][h][w]. */
static void take(const struct ab_exec *exec, int id, const float *from)
{
    const struct ab_dims d = value(exec, id)->dims;
    const struct ab_view v = ab_native_view(exec, id);
    if (value(exec, id)->vector) {
        for (int n = 0; n < exec->batch; n++, from += d.c) {
            memcpy(v.data + n * v.image, from, sizeof *from * (size_t)d.c);
            zero(v.data + n * v.image + d.c, v.image - d.c);
        }
        return;
    }
    if (d.c % AB_LANES) clear(exec, id);
    for (int n = 0; n < exec->batch; n++) {
        for (int c = 0; c < d.c; c++) {
            for (int y = 0; y < d.h; y++, from += d.w) {
                float *to = row_of(&v, n, c, y);
                for (int x = 0; x < d.w; x++) to[x * AB_LANES] = from[x];
            }
        }
    }
}

void ab_native_input(const struct ab_exec *exec, const struct ab_step *s)
{
    take(exec, s->dst, s->op == AB_OP_BASELINE ? exec->baseline : exec->input);
}

void ab_native_signal(const struct ab_exec *exec, const struct ab_step *s)
{
    take(exec, s->dst, ab_exec_signal(exec, s));
}

void ab_native_winners(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_dims d = value(exec, s->dst)->dims;
    const struct ab_view x = ab_native_view(exec, s->x), a = ab_native_view(exec, s->a);
    const struct ab_view dst = ab_native_view(exec, s->dst);
    const uint16_t *first = (const void *)ab_native_view(exec, s->list[0]).data;
    const uint16_t *second = (const void *)ab_native_view(exec, s->list[1]).data;
    const int blocks = ab_blocks(d.c), rows = exec->batch * blocks * d.h;
#pragma omp parallel for num_threads(exec->threads) schedule(static) if (rows > 1)
    for (int i = 0; i < rows; i++) {
        const int y = i % d.h, plane = i / d.h, n = plane / blocks, c = plane % blocks * AB_LANES;
        const float *of_x = row_of(&x, n, c, y), *of_a = row_of(&a, n, c, y);
        const ptrdiff_t at = n * dst.image + c / AB_LANES * dst.block + y * dst.row;
        uint16_t *to = (uint16_t *)(void *)dst.data + at;
        for (int e = 0; e < d.w * AB_LANES; e++)
            to[e] = of_x[e] >= of_a[e] ? first[at + e] : second[at + e];
    }
}

void ab_native_output(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_dims d = value(exec, s->x)->dims;
    const struct ab_view v = ab_native_view(exec, s->x);
    float *to = exec->maps ? exec->maps[s->map] : NULL;
    if (!to) return;
    if (value(exec, s->x)->vector) {
        for (int n = 0; n < exec->batch; n++, to += d.c)
            memcpy(to, v.data + n * v.image, sizeof *to * (size_t)d.c);
        return;
    }
    for (int n = 0; n < exec->batch; n++) {
        for (int c = 0; c < d.c; c++) {
            for (int y = 0; y < d.h; y++, to += d.w) {
                const float *from = row_of(&v, n, c, y);
                for (int x = 0; x < d.w; x++) to[x] = from[x * AB_LANES];
            }
        }
    }
}

void ab_native_flatten(const struct ab_exec *exec, const struct ab_step *s)
{
    const bool fwd = s->pass == AB_FWD;
    const int map = fwd ? s->x : s->dst, vector = fwd ? s->dst : s->x;
    const struct ab_dims d = value(exec, map)->dims;
    const struct ab_view m = ab_native_view(exec, map), f = ab_native_view(exec, vector);
    if (!fwd && d.c % AB_LANES) clear(exec, map);
    for (int n = 0; n < exec->batch; n++) {
        float *flat = f.data + n * f.image;
        for (int c = 0; c < d.c; c++) {
            for (int y = 0; y < d.h; y++, flat += d.w) {
                float *row = row_of(&m, n, c, y);
                for (int x = 0; x < d.w; x++) {
                    if (fwd)
                        flat[x] = row[x * AB_LANES];
                    else
                        row[x * AB_LANES] = flat[x];
                }
            }
        }
        if (fwd) zero(flat, f.data + (n + 1) * f.image - flat);
    }
}

/* Copies `count` channels of `from` beginning at c_from to `to` at c_to; whole blocks where both
 * are aligned. */
static void copy_channels(const struct ab_exec *exec, int from, int c_from, int to, int c_to,
                          int count)
{
    const struct ab_dims d = value(exec, from)->dims;
    const struct ab_view src = ab_native_view(exec, from), dst = ab_native_view(exec, to);
    const bool vector = value(exec, from)->vector;
    for (int n = 0; n < exec->batch; n++) {
        if (vector) {
            memcpy(dst.data + n * dst.image + c_to, src.data + n * src.image + c_from,
                   sizeof(float) * (size_t)count);
            continue;
        }
        for (int c = 0; c < count;) {
            const bool whole =
                (c_from + c) % AB_LANES == 0 && (c_to + c) % AB_LANES == 0 && count - c >= AB_LANES;
            for (int y = 0; y < d.h; y++) {
                const float *a = row_of(&src, n, c_from + c, y);
                float *b = row_of(&dst, n, c_to + c, y);
                if (whole)
                    memcpy(b, a, sizeof(float) * AB_LANES * (size_t)d.w);
                else
                    for (int x = 0; x < d.w; x++) b[x * AB_LANES] = a[x * AB_LANES];
            }
            c += whole ? AB_LANES : 1;
        }
    }
}

/* Padding lanes of dst, or a vector's tail, are 0 before single channels are copied. */
static void clear_tail(const struct ab_exec *exec, int id)
{
    const struct ab_value *v = value(exec, id);
    const struct ab_view view = ab_native_view(exec, id);
    if (!v->vector) {
        if (v->dims.c % AB_LANES) clear(exec, id);
        return;
    }
    for (int n = 0; n < exec->batch; n++) zero(view.data + n * view.image, view.image);
}

void ab_native_concat(const struct ab_exec *exec, const struct ab_step *s)
{
    clear_tail(exec, s->dst);
    int channel = 0;
    for (int i = 0; i < s->n_list; i++) {
        const int count = value(exec, s->list[i])->dims.c;
        copy_channels(exec, s->list[i], 0, s->dst, channel, count);
        channel += count;
    }
}

void ab_native_slice(const struct ab_exec *exec, const struct ab_step *s)
{
    clear_tail(exec, s->dst);
    copy_channels(exec, s->x, s->channel, s->dst, 0, value(exec, s->dst)->dims.c);
}

void ab_native_pad(const struct ab_exec *exec, const struct ab_step *s)
{
    const bool fwd = s->pass == AB_FWD;
    const int *pad = exec->graph->nodes[s->node].pad;
    const struct ab_dims d = value(exec, fwd ? s->x : s->dst)->dims;
    const struct ab_view small = ab_native_view(exec, fwd ? s->x : s->dst);
    const struct ab_view large = ab_native_view(exec, fwd ? s->dst : s->x);
    if (fwd) clear(exec, s->dst);
    for (int n = 0; n < exec->batch; n++) {
        for (int c = 0; c < d.c; c += AB_LANES) {
            for (int y = 0; y < d.h; y++) {
                float *in = row_of(&small, n, c, y);
                float *out = row_of(&large, n, c, y + pad[0]) + (ptrdiff_t)pad[1] * AB_LANES;
                memcpy(fwd ? out : in, fwd ? in : out, sizeof(float) * AB_LANES * (size_t)d.w);
            }
        }
    }
}

void ab_native_fill(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_value *val = value(exec, s->dst);
    const struct ab_view v = ab_native_view(exec, s->dst);
    clear_tail(exec, s->dst);
    for (int n = 0; n < exec->batch; n++) {
        for (int c = 0; c < val->dims.c; c++) {
            const float f = s->fill[s->n_fill == 1 ? 0 : c];
            if (val->vector) {
                v.data[n * v.image + c] = f;
                continue;
            }
            for (int y = 0; y < val->dims.h; y++) {
                float *row = row_of(&v, n, c, y);
                for (int x = 0; x < val->dims.w; x++) row[x * AB_LANES] = f;
            }
        }
    }
}

void ab_native_seed(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_view z = ab_native_view(exec, s->x), v = ab_native_view(exec, s->dst);
    const int classes = value(exec, s->x)->dims.c;
    for (int n = 0; n < exec->batch; n++) {
        const struct ab_logits logits = {.f = z.data + n * z.image, .count = classes};
        const struct ab_seed_values seed = ab_seed_open(exec, s, n, &logits);
        float *to = v.data + n * v.image;
        zero(to, v.image);
        for (int k = 0; k < classes; k++) to[k] = (float)ab_seed_at(&seed, &logits, k);
    }
}

/* ---- host steps ---- */

static void get_channel(const struct ab_exec *exec, const void *user, int id, int n, int c,
                        double *to)
{
    (void)user;
    const struct ab_dims d = value(exec, id)->dims;
    const struct ab_view v = ab_native_view(exec, id);
    if (value(exec, id)->vector) *to = (double)v.data[n * v.image + c];
    for (int y = 0; y < d.h && !value(exec, id)->vector; y++) {
        const float *row = row_of(&v, n, c, y);
        for (int x = 0; x < d.w; x++) *to++ = (double)row[x * AB_LANES];
    }
}

static void put_channel(const struct ab_exec *exec, const void *user, int id, int n, int c,
                        const double *from)
{
    (void)user;
    const struct ab_dims d = value(exec, id)->dims;
    const struct ab_view v = ab_native_view(exec, id);
    if (value(exec, id)->vector) v.data[n * v.image + c] = (float)*from;
    for (int y = 0; y < d.h && !value(exec, id)->vector; y++) {
        float *row = row_of(&v, n, c, y);
        for (int x = 0; x < d.w; x++) row[x * AB_LANES] = (float)*from++;
    }
}

void ab_native_host(const struct ab_exec *exec, const struct ab_step *s)
{
    static const struct ab_host_io io = {get_channel, put_channel};
    clear_tail(exec, s->dst);
    ab_host_run(exec, s, &io, NULL, (double *)(void *)((char *)exec->arena + exec->scratch_offset));
}

void ab_native_peek(const struct ab_exec *exec, int id, double *out)
{
    const struct ab_value *val = value(exec, id);
    const struct ab_view v = ab_native_view(exec, id);
    for (int n = 0; n < exec->batch; n++) {
        if (val->dtype == AB_TAU) *out++ = v.data[n];
        for (int c = 0; c < val->dims.c && val->dtype != AB_TAU; c++) {
            if (val->vector) {
                *out++ = v.data[n * v.image + c];
                continue;
            }
            for (int y = 0; y < val->dims.h; y++) {
                const ptrdiff_t at = row_of(&v, n, c, y) - v.data;
                const uint16_t *switches = (const uint16_t *)(const void *)v.data + at;
                for (int x = 0; x < val->dims.w; x++) {
                    *out++ = val->dtype == AB_SWITCH ? switches[x * AB_LANES]
                                                     : (double)v.data[at + x * AB_LANES];
                }
            }
        }
    }
}
