// SPDX-License-Identifier: Apache-2.0
// Buffers between guard pages, blocked tensors in them, random numbers and fills: what trials and
// tests compute on. Nothing here aborts: what was found to be wrong is written into `why`.
#ifndef AB_VERIFY_MEMORY_H
#define AB_VERIFY_MEMORY_H

#include "simd/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- random numbers: splitmix64 ---- */

struct ab_rng {
    uint64_t state;
};
struct ab_rng ab_rng_new(uint64_t seed, uint64_t salt);
uint64_t ab_rng_next(struct ab_rng *r);
double ab_rng_uniform(struct ab_rng *r);              /* (0, 1) */
int ab_rng_between(struct ab_rng *r, int lo, int hi); /* both ends included */
double ab_rng_normal(struct ab_rng *r);

/* ---- fills ---- */

/* INT: integers -3..3, one in four 0, sums exact in float up to 2^24 / 9 products. UINT: 0..3.
 * NORMAL. RELU: max(normal, 0). NONNEG: |normal|. CANCEL: pairs that nearly cancel, so that sums
 * are far smaller than their terms (with weights near one another). LOGNORMAL: exp(3 normal) with a
 * random sign. ONEHOT: one 1, zeros. RAMP: the index, modulo 251, plus 1. DENORMAL: subnormal
 * floats. HUGE: 2^59..2^60, a sum of 128 products is finite. NEGZERO: half of them -0, the others
 * normal. NAN and INF: normal with a single such value. FILE: values of a file. */
enum ab_fill {
    AB_FILL_INT,
    AB_FILL_UINT,
    AB_FILL_NORMAL,
    AB_FILL_RELU,
    AB_FILL_NONNEG,
    AB_FILL_CANCEL,
    AB_FILL_LOGNORMAL,
    AB_FILL_ONEHOT,
    AB_FILL_RAMP,
    AB_FILL_DENORMAL,
    AB_FILL_HUGE,
    AB_FILL_NEGZERO,
    AB_FILL_NAN,
    AB_FILL_INF,
    AB_FILL_FILE,
    AB_FILLS
};
const char *ab_fill_name(enum ab_fill fill);
/* Whether sums of products of such values with the integers of INT are exact in float, whatever
 * their order: INT, UINT, ONEHOT, and RAMP up to 2^24 / 753 products. */
bool ab_fill_is_exact(enum ab_fill fill);
/* Fills p[count]; FILE takes values[n_values] round and round (NULL otherwise). */
void ab_fill_floats(float *p, size_t count, enum ab_fill fill, struct ab_rng *r,
                    const float *values, size_t n_values);

/* ---- guarded buffers ---- */

/* `bytes` at `data` between two pages that cannot be touched: LEFT starts at the first page
 * boundary plus `offset`, RIGHT ends at the last as closely as `align` (a power of two) permits,
 * less `offset`. Slack is filled with a pattern. Fresh memory holds AB_SENTINEL floats, a NaN, so
 * that what a kernel should not read spreads into its result and what it should not write is seen
 * to have changed. */
enum ab_guard_side { AB_SIDE_LEFT, AB_SIDE_RIGHT };
#define AB_SENTINEL_BITS 0x7fc0a55au
struct ab_guarded {
    void *data;
    size_t bytes;
    unsigned char *map;
    size_t map_bytes;
    void *copy; /* ab_guarded_freeze */
};
/* False: out of memory. */
bool ab_guarded_new(struct ab_guarded *g, size_t bytes, size_t align, size_t offset,
                    enum ab_guard_side side);
void ab_guarded_free(struct ab_guarded *g);
/* False, a sentence in why, if slack was written. */
bool ab_guarded_check(const struct ab_guarded *g, char *why, size_t size);
/* For crashes, from a signal handler: whether the address is in or beside a buffer that exists (128
 * of them are known); its distance from the start, and the buffer's size. */
bool ab_guarded_find(const void *address, ptrdiff_t *from, size_t *bytes);
/* Inputs: keeps a copy of what is in the buffer; ab_guarded_frozen is false if it has changed. */
bool ab_guarded_freeze(struct ab_guarded *g);
bool ab_guarded_frozen(const struct ab_guarded *g);

/* Memory that buffers are taken from one after the other, in huge pages where the system gives
 * them: what is timed in it meets its caches more alike in every process than in small pages, each
 * of which lies anywhere. */
struct ab_room {
    unsigned char *map, *data;
    size_t map_bytes, bytes, used;
};
/* Memory is taken as it is used. False: no address space. */
bool ab_room_new(struct ab_room *room, size_t bytes);
void ab_room_free(struct ab_room *room);
/* From now on buffers of this thread are taken from `room`, without guard pages, while it lasts;
 * NULL: no longer. They live as long as the room. */
void ab_guarded_from(struct ab_room *room);

void ab_sentinel_fill(float *p, size_t count);
bool ab_is_sentinel(float v);
uint32_t ab_float_bits(float v);

/* ---- blocked tensors ---- */

/* A tensor in the kernels' layout between guard pages, exactly as large as its halo requires. */
struct ab_blocked {
    struct ab_guarded mem;
    struct ab_view view;
    struct ab_halo halo;
    int n, c, h, w;
};
bool ab_blocked_new(struct ab_blocked *b, int n, int c, int h, int w, struct ab_halo halo,
                    enum ab_guard_side side);
void ab_blocked_free(struct ab_blocked *b);
/* The interior with its padding lanes becomes sentinels; the halo is +0. */
void ab_blocked_poison(struct ab_blocked *b);
void ab_blocked_zero(struct ab_blocked *b);
float *ab_blocked_at(const struct ab_blocked *b, int n, int c, int y, int x);
void ab_blocked_from_nchw(struct ab_blocked *b, const float *nchw);
void ab_blocked_to_nchw(const struct ab_blocked *b, float *nchw);
struct ab_range ab_blocked_range(const struct ab_blocked *b); /* all of it */
/* False, a sentence in why, unless padding lanes of the range hold +0, everything in the interior
 * outside the range is a sentinel, and the halo holds +0. */
bool ab_blocked_check_frame(const struct ab_blocked *b, const struct ab_range *range, char *why,
                            size_t size);
/* False, a sentence in why, unless the range, padding lanes included, is equal bit for bit. */
bool ab_blocked_check_same(const struct ab_blocked *got, const struct ab_blocked *want,
                           const struct ab_range *range, char *why, size_t size);

#endif
