// SPDX-License-Identifier: Apache-2.0
// Content hashing and counter-based random numbers. Integers, and then nothing but the IEEE
// operations
// + - * / and the square root in a fixed order, so that every machine and compiler draws the same
// numbers, in any order and on any number of threads.
#include "base/base.h"

#include <math.h>
#include <string.h>

/* The output function of splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
 * generators", 2014): a bijection whose outputs at consecutive counters pass BigCrush. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* The golden ratio in 64 bits: splitmix64's increment. */
static const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);

/* FNV-1a over words of 8 bytes, the last filled up with zeros, and then the length, which tells
 * the filling apart. A plain FNV-1a multiplication carries only upwards; the shift after it brings
 * the high bits back, since here whole words are mixed in at once. */
uint64_t ab_hash(uint64_t seed, const void *data, size_t bytes)
{
    const uint64_t prime = UINT64_C(0x100000001b3);
    uint64_t hash = seed ^ UINT64_C(0xcbf29ce484222325);
    const unsigned char *at = data;
    for (size_t left = bytes; left > 0;) {
        size_t n = left < 8 ? left : 8;
        uint64_t word = 0;
        memcpy(&word, at, n);
        hash = (hash ^ word) * prime;
        hash ^= hash >> 32;
        at += n, left -= n;
    }
    return mix(hash ^ bytes * step);
}

double ab_uniform(uint64_t seed, uint64_t index)
{
    uint64_t bits = mix(mix(seed) + (index + 1) * step) >> 12;
    /* The middle of one of 2^52 cells: exact in double, never 0, never 1. */
    return ((double)bits + 0.5) * 0x1p-52;
}

static uint64_t four_pieces(uint64_t x)
{
    return (x & 0xffff) + (x >> 16 & 0xffff) + (x >> 32 & 0xffff) + (x >> 48);
}

/* Irwin-Hall: the sum of eight uniform 16-bit pieces, centred and scaled to variance 1. Mean 0 and
 * variance 1 are exact; the excess kurtosis is -1.2/8 = -0.15 and |z| <= 4.9. No logarithm, root or
 * cosine, whose last bits differ between C libraries: equal seeds give equal networks everywhere.
 * It is also cheap, for the 138 million weights of VGG-16. */
double ab_normal(uint64_t seed, uint64_t index)
{
    const int64_t mean = 8 * 65535 / 2;
    const double deviation = 53509.919921450079; /* sqrt(8 * (2^32 - 1) / 12) */
    uint64_t at = mix(seed) + 2 * index * step;
    uint64_t sum = four_pieces(mix(at + step)) + four_pieces(mix(at + 2 * step));
    return (double)((int64_t)sum - mean) / deviation;
}

/* ---- Philox: samples of methods that explain an image many times ---- */

enum { PHILOX_ROUNDS = 10 };

/* Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
static inline void philox(uint32_t c[4], uint32_t key0, uint32_t key1)
{
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        const uint64_t a = UINT64_C(0xd2511f53) * c[0], b = UINT64_C(0xcd9e8d57) * c[2];
        c[0] = (uint32_t)(b >> 32) ^ c[1] ^ key0;
        c[1] = (uint32_t)b;
        c[2] = (uint32_t)(a >> 32) ^ c[3] ^ key1;
        c[3] = (uint32_t)a;
        key0 += UINT32_C(0x9e3779b9); /* the golden ratio, and the root of 3 less 1 */
        key1 += UINT32_C(0xbb67ae85);
    }
}

void ab_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    memcpy(out, counter, 4 * sizeof *out);
    philox(out, key[0], key[1]);
}

/* The four words that elements 4 block .. 4 block + 3 of a sample are made of. */
static inline void block_of(uint64_t seed, uint32_t stream, uint32_t sample, uint32_t block,
                            uint32_t out[4])
{
    out[0] = block, out[1] = sample, out[2] = stream, out[3] = 0;
    philox(out, (uint32_t)seed, (uint32_t)(seed >> 32));
}

double ab_sample_uniform(uint64_t seed, uint32_t stream, uint32_t sample, uint64_t element)
{
    uint32_t words[4];
    block_of(seed, stream, sample, (uint32_t)(element / 4), words);
    return ((double)words[element % 4] + 0.5) * 0x1p-32;
}

/* Lanes that the compiler works on side by side. */
enum { LANES = 16 };

/* -2 log((w + 1/2) 2^-32): the series of 2 atanh(s), s = (m - 1) / (m + 1), for a mantissa m in
 * [1/sqrt 2, sqrt 2), so |s| < 0.172 and what is left out is below 2e-13. */
static inline double minus_two_log(uint32_t w)
{
    const double x = (double)(int32_t)(w ^ UINT32_C(0x80000000)) + (0x1p31 + 0.5);
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    /* Counting the exponent from the root of 1/2 puts the mantissa around 1. */
    const uint32_t high = (uint32_t)(bits >> 32) - UINT32_C(0x3fe6a09e);
    const int32_t exponent = (int32_t)high >> 20;
    bits -= (uint64_t)(high & UINT32_C(0xfff00000)) << 32;
    double m;
    memcpy(&m, &bits, sizeof m);
    const double s = (m - 1) / (m + 1), q = s * s;
    double sum = 1.0 / 15;
    sum = sum * q + 1.0 / 13;
    sum = sum * q + 1.0 / 11;
    sum = sum * q + 1.0 / 9;
    sum = sum * q + 1.0 / 7;
    sum = sum * q + 1.0 / 5;
    sum = sum * q + 1.0 / 3;
    sum = 2 * s * (1 + q * sum);
    return -2 * ((double)(exponent - 32) * 0.69314718055994530942 + sum);
}

/* Box-Muller: the angle is w of 2^32 parts of the circle; what is left of it beside a whole number
 * of quarters is at most pi/4, where Taylor's terms up to the 13th leave 5e-13. */
static inline void two_normals(uint32_t radius, uint32_t w, float *right, float *above)
{
    const double r = sqrt(minus_two_log(radius));
    const uint32_t quarter = (w + (UINT32_C(1) << 29)) >> 30;
    const double x = (double)(int32_t)(w - (quarter << 30)) * (6.28318530717958647692 * 0x1p-32);
    const double q = x * x;
    double s = 1.0 / 6227020800;
    s = s * q - 1.0 / 39916800;
    s = s * q + 1.0 / 362880;
    s = s * q - 1.0 / 5040;
    s = s * q + 1.0 / 120;
    s = s * q - 1.0 / 6;
    s = x + x * (q * s);
    double c = 1.0 / 479001600;
    c = c * q - 1.0 / 3628800;
    c = c * q + 1.0 / 40320;
    c = c * q - 1.0 / 720;
    c = c * q + 1.0 / 24;
    c = c * q - 1.0 / 2;
    c = 1 + q * c;
    const float sine = (float)(r * s), cosine = (float)(r * c);
    const float across = quarter & 1 ? sine : cosine, up = quarter & 1 ? cosine : sine;
    /* Quarters 1 and 2 lie left of the axis, 2 and 3 below it. */
    *right = (quarter + 1) & 2 ? -across : across;
    *above = quarter & 2 ? -up : up;
}

/* The 4 LANES numbers of as many blocks from `block` on. */
static void normals(uint64_t seed, uint32_t stream, uint32_t sample, uint32_t block, float *out)
{
    uint32_t words[4][LANES];
    float parts[4][LANES];
    for (uint32_t i = 0; i < LANES; i++) {
        uint32_t w[4];
        block_of(seed, stream, sample, block + i, w);
        for (int k = 0; k < 4; k++) words[k][i] = w[k];
    }
    for (int k = 0; k < 4; k += 2)
        for (int i = 0; i < LANES; i++)
            two_normals(words[k][i], words[k + 1][i], &parts[k][i], &parts[k + 1][i]);
    for (int i = 0; i < LANES; i++)
        for (int k = 0; k < 4; k++) out[4 * i + k] = parts[k][i];
}

void ab_sample_normals(uint64_t seed, uint32_t stream, uint32_t sample, uint64_t first,
                       size_t count, float *out)
{
    for (size_t done = 0; done < count;) {
        float some[4 * LANES];
        const uint64_t element = first + done;
        const size_t skip = (size_t)(element % 4), most = 4 * LANES - skip;
        const size_t n = count - done < most ? count - done : most;
        normals(seed, stream, sample, (uint32_t)(element / 4), some);
        memcpy(out + done, some + skip, n * sizeof *out);
        done += n;
    }
}
