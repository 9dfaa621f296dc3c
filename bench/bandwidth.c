// SPDX-License-Identifier: Apache-2.0
// The read probe: sums over several streams through a working set.
//
// What is fastest depends on where the set lies, so several patterns are tried. Zen 4, GB/s of 2, 4
// and 8 streams: 4 MB (L3) with prefetch into L1 a few lines ahead 101, 100, 96 and without 101,
// 100, 95; with prefetch into L2 79, 72, 74. 411 MB (memory), in the same order, 35, 33, 30; 33,
// 31, 28; 35, 35, 34 (on small pages 28, 31, 35). The `target` attribute is explained in peak.c.
#include "bandwidth.h"

#include "base/base.h"
#include "simd/kernels.h"
#include "stats.h"

#include <math.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* Floats of a cache line; lines a step, each with its own sum: a cache that delivers a line in 2
 * cycles waits for no addition of 4. */
enum { LINE = 16, UNROLL = 8 };

/* Keeps sums alive without storing them where the loop could wait for it. */
static _Thread_local volatile float sink;

/* Adds up `streams` parts of `data` side by side, UNROLL lines of all of them a step. */
#define READ_LOOP(S, AHEAD, LOCALITY, vector, zero, load, add)                                     \
    do {                                                                                           \
        enum { VL = sizeof(vector) / sizeof(float), LINES = UNROLL / (S), NV = LINE / VL };        \
        const size_t part = floats / (S) / (LINES * LINE) * (LINES * LINE);                        \
        vector sum[UNROLL];                                                                        \
        for (int i = 0; i < UNROLL; i++) sum[i] = zero();                                          \
        for (size_t at = 0; at < part; at += LINES * LINE) {                                       \
            _Pragma("GCC unroll 8") for (int j = 0; j < UNROLL; j++)                               \
            {                                                                                      \
                const float *p = data + (size_t)(j / LINES) * part + at + j % LINES * LINE;        \
                __builtin_prefetch(p + AHEAD, 0, LOCALITY);                                        \
                _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++) sum[j] =                      \
                    add(sum[j], load(p + v * VL));                                                 \
            }                                                                                      \
        }                                                                                          \
        float total = 0;                                                                           \
        for (int i = 0; i < UNROLL; i++) total += ((const float *)&sum[i])[0];                     \
        sink = total;                                                                              \
    } while (0)
/* Streams, floats of prefetch distance, and locality as for __builtin_prefetch: 3 is L1, 2 is L2.
 */
#define READ_PATTERN(pattern, ...)                                                                 \
    switch (pattern) {                                                                             \
    case 0: READ_LOOP(2, 64, 3, __VA_ARGS__); break;                                               \
    case 1: READ_LOOP(4, 64, 3, __VA_ARGS__); break;                                               \
    case 2: READ_LOOP(2, 256, 2, __VA_ARGS__); break;                                              \
    case 3: READ_LOOP(4, 256, 2, __VA_ARGS__); break;                                              \
    default: READ_LOOP(8, 512, 2, __VA_ARGS__); break;                                             \
    }

#if defined(__x86_64__)
__attribute__((target("avx2"), noinline)) static void read_avx2(int pattern, const float *data,
                                                                size_t floats)
{
    READ_PATTERN(pattern, __m256, _mm256_setzero_ps, _mm256_load_ps, _mm256_add_ps)
}

__attribute__((target("avx512f"), noinline)) static void read_avx512(int pattern, const float *data,
                                                                     size_t floats)
{
    READ_PATTERN(pattern, __m512, _mm512_setzero_ps, _mm512_load_ps, _mm512_add_ps)
}
#elif defined(__aarch64__)
#define NEON_ZERO() vdupq_n_f32(0)
__attribute__((noinline)) static void read_neon(int pattern, const float *data, size_t floats)
{
    READ_PATTERN(pattern, float32x4_t, NEON_ZERO, vld1q_f32, vaddq_f32)
}
#endif

/* Scalars: the best that can be said of a CPU without vectors. */
__attribute__((noinline)) static void read_plain(int pattern, const float *data, size_t floats)
{
#define ZERO()    0.0f
#define LOAD(p)   (*(p))
#define ADD(a, b) ((a) + (b))
    READ_PATTERN(pattern, float, ZERO, LOAD, ADD)
}

typedef void read_fn(int pattern, const float *data, size_t floats);

static read_fn *widest(void)
{
#if defined(__x86_64__)
    if (ab_cpu_isas() >> AB_ISA_avx512 & 1) return read_avx512;
    if (ab_cpu_isas() >> AB_ISA_avx2 & 1) return read_avx2;
#elif defined(__aarch64__)
    if (ab_cpu_isas() >> AB_ISA_neon & 1) return read_neon;
#endif
    return read_plain;
}

void ab_bandwidth_pass(const void *data, size_t bytes, int pattern)
{
    widest()(pattern, data, bytes / sizeof(float));
}

double ab_bandwidth_read_ns(const void *data, size_t bytes, size_t part)
{
    read_fn *read = widest();
    double best = INFINITY;
    for (int i = 0; i < AB_BANDWIDTH_PATTERNS; i++) {
        double start = ab_now_ns();
        for (size_t at = 0; at + part <= bytes; at += part)
            read(i, (const float *)data + at / sizeof(float), part / sizeof(float));
        best = fmin(best, ab_now_ns() - start);
    }
    return best;
}

/* Slices of some 10 us or one pass, whichever is longer, for 20 ms: see peak.c. Every pattern is
 * tried twice however long that takes. */
static double measure(size_t bytes)
{
    read_fn *read = widest();
    float *data = ab_buffer_alloc(bytes);
    if (!data) return 0;
    const int passes = 1 + (int)((1 << 19) / bytes);
    double best = INFINITY, start = ab_now_ns(), now = start;
    for (int i = 0; i < 2 * AB_BANDWIDTH_PATTERNS || now - start < 20e6; i++) {
        double before = ab_now_ns();
        for (int k = 0; k < passes; k++)
            read(i % AB_BANDWIDTH_PATTERNS, data, bytes / sizeof(float));
        now = ab_now_ns();
        best = fmin(best, now - before);
    }
    ab_buffer_free(data);
    return (double)passes * (double)bytes / best;
}

/* Quarters of powers of two from 16 KiB to 128 MiB, and what stands for memory. */
enum { SIZES = 4 * 13 + 2 };

static size_t size_of(int i)
{
    return i < SIZES - 1 ? (size_t)(4 + i % 4) << (12 + i / 4) : (size_t)384 << 20;
}

double ab_bandwidth_gbs(size_t bytes)
{
    static double known[SIZES];
    int i = 0;
    while (i < SIZES - 2 && size_of(i) / 2 + size_of(i + 1) / 2 < bytes) i++;
    if (bytes > (size_t)128 << 20) i = SIZES - 1;
    if (known[i] <= 0) known[i] = measure(size_of(i));
    return known[i];
}
