// SPDX-License-Identifier: Apache-2.0
// Steps of the reference backend that move or place values: input, output, fill, flatten, concat,
// slice, pad, seed, and the maps of host steps.
#include "backend/host.h"
#include "backend/reference.h"
#include "backend/seed.h"

#include <string.h>

static double *row_of(const struct ab_reference_map *m, int n, int c, int y)
{
    return m->view.data + ab_reference_offset(m, n, c, y, 0);
}

/* Everything but the halo; padding lanes are to hold 0. */
static void clear(const struct ab_exec *exec, const struct ab_reference_map *m)
{
    for (int n = 0; n < exec->batch; n++)
        for (int b = 0; b < m->blocks; b++)
            for (int y = 0; y < m->h; y++)
                memset(row_of(m, n, b * AB_LANES, y), 0, sizeof(double) * AB_LANES * (size_t)m->w);
}

/* The caller's values, [n][c][h][w]. */
static void take(const struct ab_exec *exec, int id, const float *from)
{
    const struct ab_reference_map *m = ab_reference_map(exec, id);
    clear(exec, m);
    for (int n = 0; n < exec->batch; n++)
        for (int c = 0; c < m->c; c++)
            for (int y = 0; y < m->h; y++, from += m->w) {
                double *to = row_of(m, n, c, y);
                for (int x = 0; x < m->w; x++) to[(ptrdiff_t)x * AB_LANES] = (double)from[x];
            }
}

void ab_reference_input(const struct ab_exec *exec, const struct ab_step *s)
{
    take(exec, s->dst, s->op == AB_OP_BASELINE ? exec->baseline : exec->input);
}

void ab_reference_signal(const struct ab_exec *exec, const struct ab_step *s)
{
    take(exec, s->dst, ab_exec_signal(exec, s));
}

void ab_reference_output(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_reference_map *m = ab_reference_map(exec, s->x);
    float *to = exec->maps ? exec->maps[s->map] : NULL;
    if (!to) return;
    for (int n = 0; n < exec->batch; n++)
        for (int c = 0; c < m->c; c++)
            for (int y = 0; y < m->h; y++, to += m->w) {
                const double *from = row_of(m, n, c, y);
                for (int x = 0; x < m->w; x++) to[x] = (float)from[(ptrdiff_t)x * AB_LANES];
            }
}

void ab_reference_fill(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_reference_map *m = ab_reference_map(exec, s->dst);
    clear(exec, m);
    for (int n = 0; n < exec->batch; n++)
        for (int c = 0; c < m->c; c++)
            for (int y = 0; y < m->h; y++) {
                double *to = row_of(m, n, c, y);
                const double v = (double)s->fill[s->n_fill == 1 ? 0 : c];
                for (int x = 0; x < m->w; x++) to[(ptrdiff_t)x * AB_LANES] = v;
            }
}

/* A vector's element i is the map's (c,y,x) with i = (c*h + y)*w + x. */
void ab_reference_flatten(const struct ab_exec *exec, const struct ab_step *s)
{
    const bool fwd = s->pass == AB_FWD;
    const struct ab_reference_map *map = ab_reference_map(exec, fwd ? s->x : s->dst);
    const struct ab_reference_map *vector = ab_reference_map(exec, fwd ? s->dst : s->x);
    clear(exec, ab_reference_map(exec, s->dst));
    for (int n = 0; n < exec->batch; n++) {
        double *flat = vector->view.data + n * vector->view.image;
        for (int c = 0; c < map->c; c++)
            for (int y = 0; y < map->h; y++) {
                double *row = row_of(map, n, c, y);
                for (int x = 0; x < map->w; x++, flat++) {
                    if (fwd)
                        *flat = row[(ptrdiff_t)x * AB_LANES];
                    else
                        row[(ptrdiff_t)x * AB_LANES] = *flat;
                }
            }
    }
}

/* Copies `count` channels of `from`, beginning at c_from, to `to` at c_to. */
static void copy_channels(const struct ab_exec *exec, int from, int c_from, int to, int c_to,
                          int count)
{
    const struct ab_reference_map *src = ab_reference_map(exec, from);
    const struct ab_reference_map *dst = ab_reference_map(exec, to);
    for (int n = 0; n < exec->batch; n++)
        for (int c = 0; c < count; c++)
            for (int y = 0; y < src->h; y++) {
                const double *a = row_of(src, n, c_from + c, y);
                double *b = row_of(dst, n, c_to + c, y);
                for (ptrdiff_t x = 0; x < src->w; x++) b[x * AB_LANES] = a[x * AB_LANES];
            }
}

void ab_reference_concat(const struct ab_exec *exec, const struct ab_step *s)
{
    clear(exec, ab_reference_map(exec, s->dst));
    int channel = 0;
    for (int i = 0; i < s->n_list; i++) {
        const int count = ab_reference_map(exec, s->list[i])->c;
        copy_channels(exec, s->list[i], 0, s->dst, channel, count);
        channel += count;
    }
}

void ab_reference_slice(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_reference_map *dst = ab_reference_map(exec, s->dst);
    clear(exec, dst);
    copy_channels(exec, s->x, s->channel, s->dst, 0, dst->c);
}

/* FWD: zeros around x. BWD: the part of x inside. */
void ab_reference_pad(const struct ab_exec *exec, const struct ab_step *s)
{
    const bool fwd = s->pass == AB_FWD;
    const int *pad = exec->graph->nodes[s->node].pad;
    const struct ab_reference_map *small = ab_reference_map(exec, fwd ? s->x : s->dst);
    const struct ab_reference_map *large = ab_reference_map(exec, fwd ? s->dst : s->x);
    clear(exec, ab_reference_map(exec, s->dst));
    for (int n = 0; n < exec->batch; n++)
        for (int b = 0; b < small->blocks; b++)
            for (int y = 0; y < small->h; y++) {
                double *in = row_of(small, n, b * AB_LANES, y);
                double *out =
                    row_of(large, n, b * AB_LANES, y + pad[0]) + (ptrdiff_t)pad[1] * AB_LANES;
                memcpy(fwd ? out : in, fwd ? in : out, sizeof *in * AB_LANES * (size_t)small->w);
            }
}

void ab_reference_seed(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_reference_map *x = ab_reference_map(exec, s->x);
    const struct ab_reference_map *dst = ab_reference_map(exec, s->dst);
    clear(exec, dst);
    for (int n = 0; n < exec->batch; n++) {
        const struct ab_logits logits = {.d = x->view.data + n * x->view.image, .count = x->c};
        const struct ab_seed_values seed = ab_seed_open(exec, s, n, &logits);
        double *to = dst->view.data + n * dst->view.image;
        for (int k = 0; k < x->c; k++) to[k] = ab_seed_at(&seed, &logits, k);
    }
}

static void get_channel(const struct ab_exec *exec, const void *user, int id, int n, int c,
                        double *to)
{
    (void)user;
    const struct ab_reference_map *m = ab_reference_map(exec, id);
    for (int y = 0; y < m->h; y++) {
        const double *row = row_of(m, n, c, y);
        for (ptrdiff_t x = 0; x < m->w; x++) *to++ = row[x * AB_LANES];
    }
}

static void put_channel(const struct ab_exec *exec, const void *user, int id, int n, int c,
                        const double *from)
{
    (void)user;
    const struct ab_reference_map *m = ab_reference_map(exec, id);
    for (int y = 0; y < m->h; y++) {
        double *row = row_of(m, n, c, y);
        for (ptrdiff_t x = 0; x < m->w; x++) row[x * AB_LANES] = *from++;
    }
}

void ab_reference_host(const struct ab_exec *exec, const struct ab_step *s)
{
    static const struct ab_host_io io = {get_channel, put_channel};
    clear(exec, ab_reference_map(exec, s->dst));
    ab_host_run(exec, s, &io, NULL, ab_reference_scratch(exec));
}
