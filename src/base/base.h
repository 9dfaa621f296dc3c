// SPDX-License-Identifier: Apache-2.0
// What every part of the library needs: errors, aligned memory, text lists.
#ifndef AB_BASE_H
#define AB_BASE_H

#include "attrbench/attrbench.h"

/* Writes the message (one line; printf-style) and returns `status`: `return ab_fail(err, AB_ERR_IO,
 * ...)`. err may be NULL. */
enum ab_status ab_fail(struct ab_error *err, enum ab_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* 64-byte aligned, zero-initialised; large blocks are advised to use huge pages. NULL when out of
 * memory or when `bytes` is 0. These are the only allocations of tensor data; ab_buffer_count()
 * counts them since the start of the process. */
void *ab_buffer_alloc(size_t bytes);
/* The same, of pages as asked. */
void *ab_buffer_alloc_pages(size_t bytes, enum ab_pages pages);
void ab_buffer_free(void *buffer);
size_t ab_buffer_count(void);

/* The elements of a .npy of float32 or float64 in C order, whatever its shape, at least one; free
 * with free(). */
enum ab_status ab_npy_values(const char *path, float **out, size_t *count, struct ab_error *err);

const char *ab_denormals_name(enum ab_denormals mode); /* "keep", "flush" */
const char *ab_pages_name(enum ab_pages pages);        /* "huge", "small" */

/* a*b and a+b with *overflow set (never cleared) when the result does not fit. */
size_t ab_mul_size(size_t a, size_t b, bool *overflow);
size_t ab_add_size(size_t a, size_t b, bool *overflow);

/* The entry of `names` nearest to `word` by edit distance, or NULL if none is near. */
const char *ab_nearest(const char *word, const char *const *names, int count);

/* How many characters of `text` come before the first that is in `stops` and outside parentheses,
 * or before the end. An unmatched parenthesis protects nothing. */
size_t ab_span(const char *text, const char *stops);

/* 64-bit content hash (FNV-1a style over bytes; seed with a former result to chain). Not
 * cryptographic. */
uint64_t ab_hash(uint64_t seed, const void *data, size_t bytes);

/* Counter-based random numbers (splitmix64 of seed and index): uniform in (0,1) and standard
 * normal. Any order, any thread. */
double ab_uniform(uint64_t seed, uint64_t index);
double ab_normal(uint64_t seed, uint64_t index);

/* Philox4x32-10: the random function of a counter under a key. */
void ab_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* Numbers for methods that sample: element `element` (below 2^34) of sample `sample` of `stream`
 * under `seed`, a function of these four alone, the same on every machine. Uniform in (0,1), and
 * standard normal (|z| < 6.8; elements first .. first + count - 1). Numbers of both kinds with the
 * same four are not independent: give each use a stream of its own. */
double ab_sample_uniform(uint64_t seed, uint32_t stream, uint32_t sample, uint64_t element);
void ab_sample_normals(uint64_t seed, uint32_t stream, uint32_t sample, uint64_t first,
                       size_t count, float *out);

#endif
