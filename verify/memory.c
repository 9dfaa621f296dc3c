// SPDX-License-Identifier: Apache-2.0
// Buffers between guard pages, and blocked tensors in them; memory.h describes them.
#define _DEFAULT_SOURCE 1
#include "verify/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLACK_BYTE = 0xa5 };

/* ---- guarded buffers ---- */

/* The readable part of the mapping: all but the first and the last page. */
static unsigned char *inner(const struct ab_guarded *g, unsigned char **end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    *end = g->map + g->map_bytes - page;
    return g->map + page;
}

/* The buffers that exist, for ab_guarded_find. */
enum { KNOWN = 128 };
static struct ab_guarded known[KNOWN];
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;

/* Puts `g` in the place of the entry whose mapping is `map` (NULL: a free one). */
static void know(const unsigned char *map, struct ab_guarded g)
{
    pthread_mutex_lock(&known_lock);
    for (int i = 0; i < KNOWN; i++) {
        if (known[i].map != map) continue;
        known[i] = g;
        break;
    }
    pthread_mutex_unlock(&known_lock);
}

bool ab_guarded_find(const void *address, ptrdiff_t *from, size_t *bytes)
{
    uintptr_t at = (uintptr_t)address;
    for (int i = 0; i < KNOWN; i++) {
        const struct ab_guarded *g = &known[i];
        uintptr_t map = (uintptr_t)g->map;
        if (!map || at < map || at >= map + g->map_bytes) continue;
        *from = (ptrdiff_t)(at - (uintptr_t)g->data);
        *bytes = g->bytes;
        return true;
    }
    return false;
}

/* ---- rooms ---- */

/* Huge pages of x86-64, and of AArch64 with small pages of 4 KiB. */
static const size_t HUGE_PAGE = (size_t)2 << 20;
static _Thread_local struct ab_room *room;

bool ab_room_new(struct ab_room *r, size_t bytes)
{
    const size_t size = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE,
                 map_bytes = size + HUGE_PAGE;
    *r = (struct ab_room){0};
    unsigned char *map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) return false;
    unsigned char *data = map + (HUGE_PAGE - (uintptr_t)map % HUGE_PAGE) % HUGE_PAGE;
    *r = (struct ab_room){.map = map, .data = data, .map_bytes = map_bytes, .bytes = size};
#ifdef MADV_HUGEPAGE
    /* Advice only: without huge pages the room is as large. */
    (void)madvise(data, size, MADV_HUGEPAGE);
#endif
    return true;
}

void ab_room_free(struct ab_room *r)
{
    if (r->map) munmap(r->map, r->map_bytes);
    *r = (struct ab_room){0};
}

void ab_guarded_from(struct ab_room *r)
{
    room = r;
}

/* At `offset` beside a multiple of `align`, and of a line of cache. */
static bool take_from_room(struct ab_guarded *g, size_t bytes, size_t align, size_t offset)
{
    const size_t LINE = 64, unit = align > LINE ? align : LINE;
    const size_t start = (room->used + unit - 1) / unit * unit + (align < LINE ? offset : 0);
    if (start > room->bytes || bytes > room->bytes - start) return false;
    *g = (struct ab_guarded){.data = room->data + start, .bytes = bytes};
    room->used = start + bytes;
    ab_sentinel_fill(g->data, bytes / sizeof(float));
    return true;
}

bool ab_guarded_new(struct ab_guarded *g, size_t bytes, size_t align, size_t offset,
                    enum ab_guard_side side)
{
    *g = (struct ab_guarded){0};
    size_t page = (size_t)sysconf(_SC_PAGESIZE), most = SIZE_MAX / 2;
    if (bytes > most || offset > page || align > page) return false;
    if (room && take_from_room(g, bytes, align, offset)) return true;
    size_t need = bytes + (offset + align - 1) / align * align;
    size_t size = need ? (need + page - 1) / page * page : page;
    unsigned char *map = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return false;
    if (mprotect(map + page, size, PROT_READ | PROT_WRITE) != 0) {
        munmap(map, size + 2 * page);
        return false;
    }
    size_t shift = side == AB_SIDE_LEFT ? offset : (size - bytes) / align * align - offset;
    *g = (struct ab_guarded){map + page + shift, bytes, map, size + 2 * page, NULL};
    know(NULL, *g);
    memset(map + page, SLACK_BYTE, size);
    ab_sentinel_fill(g->data, bytes / sizeof(float));
    return true;
}

void ab_guarded_free(struct ab_guarded *g)
{
    if (g->map) {
        know(g->map, (struct ab_guarded){0});
        munmap(g->map, g->map_bytes);
    }
    free(g->copy);
    *g = (struct ab_guarded){0};
}

bool ab_guarded_check(const struct ab_guarded *g, char *why, size_t size)
{
    unsigned char *end, *start = g->data, *stop = start + g->bytes;
    if (!g->map) return true;
    for (const unsigned char *p = inner(g, &end); p < start; p++) {
        if (*p == SLACK_BYTE) continue;
        snprintf(why, size, "the byte %td before the buffer was written", start - p);
        return false;
    }
    for (const unsigned char *p = stop; p < end; p++) {
        if (*p == SLACK_BYTE) continue;
        snprintf(why, size, "the byte %td after the end of the buffer was written", p - stop);
        return false;
    }
    return true;
}

bool ab_guarded_freeze(struct ab_guarded *g)
{
    if (!g->copy) g->copy = malloc(g->bytes ? g->bytes : 1);
    if (g->copy) memcpy(g->copy, g->data, g->bytes);
    return g->copy != NULL;
}

bool ab_guarded_frozen(const struct ab_guarded *g)
{
    return !g->copy || memcmp(g->copy, g->data, g->bytes) == 0;
}

void ab_sentinel_fill(float *p, size_t count)
{
    const uint32_t bits = AB_SENTINEL_BITS;
    unsigned char *at = (unsigned char *)p;
    for (size_t i = 0; i < count; i++) memcpy(at + i * sizeof bits, &bits, sizeof bits);
}

bool ab_is_sentinel(float v)
{
    return ab_float_bits(v) == AB_SENTINEL_BITS;
}

uint32_t ab_float_bits(float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

/* ---- blocked tensors ---- */

bool ab_blocked_new(struct ab_blocked *b, int n, int c, int h, int w, struct ab_halo halo,
                    enum ab_guard_side side)
{
    *b = (struct ab_blocked){.halo = halo, .n = n, .c = c, .h = h, .w = w};
    b->view.row = (ptrdiff_t)(halo.left + w + halo.right) * AB_LANES;
    b->view.block = (halo.top + h + halo.bottom) * b->view.row;
    b->view.image = ab_blocks(c) * b->view.block;
    if (!ab_guarded_new(&b->mem, (size_t)(n * b->view.image) * sizeof(float), 64, 0, side))
        return false;
    ab_blocked_zero(b);
    b->view.data = (float *)b->mem.data + halo.top * b->view.row + (ptrdiff_t)halo.left * AB_LANES;
    return true;
}

void ab_blocked_free(struct ab_blocked *b)
{
    ab_guarded_free(&b->mem);
    b->view.data = NULL;
}

float *ab_blocked_at(const struct ab_blocked *b, int n, int c, int y, int x)
{
    const struct ab_view *v = &b->view;
    return v->data + n * v->image + c / AB_LANES * v->block + y * v->row + (ptrdiff_t)x * AB_LANES +
           c % AB_LANES;
}

static float *pixel(const struct ab_blocked *b, int n, int block, int y, int x)
{
    return ab_blocked_at(b, n, block * AB_LANES, y, x);
}

/* Walks all pixels, halo included; `inside` tells which. Returns NULL at the end. */
struct walk {
    int n, b, y, x;
    bool inside, started;
};

static float *walk_next(const struct ab_blocked *b, struct walk *k)
{
    int left = -b->halo.left, top = -b->halo.top;
    if (!k->started) {
        *k = (struct walk){0, 0, top, left, false, true};
    } else if (++k->x == b->w + b->halo.right) {
        k->x = left;
        if (++k->y == b->h + b->halo.bottom) {
            k->y = top;
            if (++k->b == ab_blocks(b->c)) {
                k->b = 0;
                k->n++;
            }
        }
    }
    if (k->n >= b->n || b->mem.bytes == 0) return NULL;
    k->inside = k->y >= 0 && k->y < b->h && k->x >= 0 && k->x < b->w;
    return pixel(b, k->n, k->b, k->y, k->x);
}

void ab_blocked_poison(struct ab_blocked *b)
{
    float *p;
    for (struct walk k = {0}; (p = walk_next(b, &k)) != NULL;) {
        if (k.inside)
            ab_sentinel_fill(p, AB_LANES);
        else
            memset(p, 0, AB_LANES * sizeof *p);
    }
}

void ab_blocked_zero(struct ab_blocked *b)
{
    memset(b->mem.data, 0, b->mem.bytes);
}

void ab_blocked_from_nchw(struct ab_blocked *b, const float *nchw)
{
    ab_blocked_zero(b);
    for (int n = 0; n < b->n; n++)
        for (int c = 0; c < b->c; c++)
            for (int y = 0; y < b->h; y++)
                for (int x = 0; x < b->w; x++) *ab_blocked_at(b, n, c, y, x) = *nchw++;
}

void ab_blocked_to_nchw(const struct ab_blocked *b, float *nchw)
{
    for (int n = 0; n < b->n; n++)
        for (int c = 0; c < b->c; c++)
            for (int y = 0; y < b->h; y++)
                for (int x = 0; x < b->w; x++) *nchw++ = *ab_blocked_at(b, n, c, y, x);
}

struct ab_range ab_blocked_range(const struct ab_blocked *b)
{
    return (struct ab_range){0, b->n, 0, ab_blocks(b->c), 0, b->h};
}

static bool in_range(const struct ab_range *r, const struct walk *k)
{
    return k->n >= r->n0 && k->n < r->n1 && k->b >= r->b0 && k->b < r->b1 && k->y >= r->y0 &&
           k->y < r->y1;
}

bool ab_blocked_check_frame(const struct ab_blocked *b, const struct ab_range *range, char *why,
                            size_t size)
{
    const float *p;
    for (struct walk k = {0}; (p = walk_next(b, &k)) != NULL;) {
        for (int l = 0; l < AB_LANES; l++) {
            const char *what = NULL;
            int c = k.b * AB_LANES + l;
            if (!k.inside)
                what = ab_float_bits(p[l]) ? "halo written" : NULL;
            else if (!in_range(range, &k))
                what = ab_is_sentinel(p[l]) ? NULL : "written outside the range";
            else if (c >= b->c && ab_float_bits(p[l]))
                what = "padding lane is not +0";
            if (!what) continue;
            snprintf(why, size, "%s: %.9g (%08x) at n %d c %d y %d x %d", what, (double)p[l],
                     (unsigned)ab_float_bits(p[l]), k.n, c, k.y, k.x);
            return false;
        }
    }
    return ab_guarded_check(&b->mem, why, size);
}

bool ab_blocked_check_same(const struct ab_blocked *got, const struct ab_blocked *want,
                           const struct ab_range *range, char *why, size_t size)
{
    const float *p;
    for (struct walk k = {0}; (p = walk_next(got, &k)) != NULL;) {
        if (!k.inside || !in_range(range, &k)) continue;
        const float *q = pixel(want, k.n, k.b, k.y, k.x);
        for (int l = 0; l < AB_LANES; l++) {
            if (ab_float_bits(p[l]) == ab_float_bits(q[l])) continue;
            snprintf(why, size, "n %d c %d y %d x %d: %.9g (%08x), want %.9g (%08x)", k.n,
                     k.b * AB_LANES + l, k.y, k.x, (double)p[l], (unsigned)ab_float_bits(p[l]),
                     (double)q[l], (unsigned)ab_float_bits(q[l]));
            return false;
        }
    }
    return true;
}
