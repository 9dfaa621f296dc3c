// SPDX-License-Identifier: Apache-2.0
// Placed buffers of subject.h.
#include "verify/subject.h"

#include <string.h>

static const uint64_t salt_of_strides = 0x73747269646573u;

void ab_place_begin(struct ab_place *p, enum ab_guard_side side, int offset, uint64_t salt)
{
    *p =
        (struct ab_place){.side = side, .offset = offset, .rng = ab_rng_new(salt, salt_of_strides)};
}

void ab_place_end(struct ab_place *p)
{
    for (int i = 0; i < p->count; i++) ab_guarded_free(&p->item[i].map.mem);
    p->count = 0;
}

static struct ab_placed *item_new(struct ab_place *p, const char *name, bool input, bool given)
{
    if (p->failed || p->count == AB_PLACED) {
        p->failed = true;
        return NULL;
    }
    struct ab_placed *item = &p->item[p->count];
    *item = (struct ab_placed){.name = name, .input = input, .given = given};
    return item;
}

/* Keeps what a buffer holds: of inputs to see that it stays, of outputs to restore it. */
static bool keep(struct ab_place *p, struct ab_placed *item, bool made)
{
    if (made) p->count++;
    if (made && ab_guarded_freeze(&item->map.mem)) return true;
    p->failed = true;
    return false;
}

void *ab_place_bytes(struct ab_place *p, const char *name, const void *contents, size_t bytes,
                     size_t align, bool input)
{
    struct ab_placed *item = item_new(p, name, input, contents != NULL);
    if (!item) return NULL;
    const size_t offset = align < 64 ? (size_t)p->offset / align * align : 0;
    const bool made = ab_guarded_new(&item->map.mem, bytes, align, offset, p->side);
    if (made && contents) memcpy(item->map.mem.data, contents, bytes);
    return keep(p, item, made) ? item->map.mem.data : NULL;
}

void ab_place_keep(struct ab_place *p)
{
    struct ab_placed *item = &p->item[p->count - 1];
    item->given = true;
    if (!ab_guarded_freeze(&item->map.mem)) p->failed = true;
}

struct ab_blocked *ab_place_map_halo(struct ab_place *p, const char *name, const float *nchw,
                                     const int d[4], struct ab_halo halo, bool input)
{
    struct ab_placed *item = item_new(p, name, input, nchw != NULL);
    if (!item) return NULL;
    item->is_map = true;
    const bool made = ab_blocked_new(&item->map, d[0], d[1], d[2], d[3], halo, p->side);
    if (made && nchw) ab_blocked_from_nchw(&item->map, nchw);
    if (made && !nchw) ab_blocked_poison(&item->map);
    return keep(p, item, made) ? &item->map : NULL;
}

struct ab_blocked *ab_place_map(struct ab_place *p, const char *name, const float *nchw,
                                const int nchw_dims[4], bool input)
{
    const struct ab_halo halo = {ab_rng_between(&p->rng, 0, 2), ab_rng_between(&p->rng, 0, 2),
                                 ab_rng_between(&p->rng, 0, 2), ab_rng_between(&p->rng, 0, 2)};
    return ab_place_map_halo(p, name, nchw, nchw_dims, halo, input);
}

struct ab_blocked *ab_place_like(struct ab_place *p, const char *name, const float *nchw,
                                 const struct ab_blocked *like, bool input)
{
    if (!like) return NULL;
    const int d[4] = {like->n, like->c, like->h, like->w};
    return ab_place_map_halo(p, name, nchw, d, like->halo, input);
}

float *ab_place_vectors(struct ab_place *p, const char *name, const float *vectors, int count,
                        int features, ptrdiff_t *stride, bool input)
{
    if (*stride == 0) *stride = features + ab_rng_between(&p->rng, 0, 19);
    struct ab_placed *item = item_new(p, name, input, vectors != NULL);
    if (!item) return NULL;
    const size_t floats = (size_t)(count - 1) * (size_t)*stride + (size_t)features;
    const bool made = ab_guarded_new(&item->map.mem, floats * sizeof(float), sizeof(float),
                                     (size_t)p->offset, p->side);
    float *data = item->map.mem.data;
    for (int n = 0; made && vectors && n < count; n++)
        memcpy(data + n * *stride, vectors + (ptrdiff_t)n * features,
               (size_t)features * sizeof *data);
    return keep(p, item, made) ? data : NULL;
}

void ab_place_reset(struct ab_place *p)
{
    for (int i = 0; i < p->count; i++) {
        struct ab_guarded *mem = &p->item[i].map.mem;
        if (!p->item[i].input && mem->bytes) memcpy(mem->data, mem->copy, mem->bytes);
    }
}

static void fill_ones(float *p, size_t count)
{
    for (size_t i = 0; i < count; i++) p[i] = 1.0f;
}

static void overwrite_map(const struct ab_blocked *b)
{
    for (int n = 0; n < b->n; n++)
        for (int c = 0; c < b->c; c += AB_LANES)
            for (int y = 0; y < b->h; y++)
                fill_ones(ab_blocked_at(b, n, c, y, 0), (size_t)b->w * AB_LANES);
}

void ab_place_overwrite(struct ab_place *p)
{
    ab_place_reset(p);
    for (int i = 0; i < p->count; i++) {
        const struct ab_placed *item = &p->item[i];
        if (item->input || item->given) continue;
        if (item->is_map)
            overwrite_map(&item->map);
        else
            fill_ones(item->map.mem.data, item->map.mem.bytes / sizeof(float));
    }
}

void ab_place_check(const struct ab_place *p, struct ab_outcome *outcome)
{
    char why[200];
    for (int i = 0; i < p->count; i++) {
        const struct ab_placed *item = &p->item[i];
        if (!ab_guarded_check(&item->map.mem, why, sizeof why))
            ab_outcome_fail(outcome, AB_CHECK_slack, "%s: %s", item->name, why);
        if (item->input && !ab_guarded_frozen(&item->map.mem))
            ab_outcome_fail(outcome, AB_CHECK_constant, "%s, an input, was written", item->name);
    }
}
