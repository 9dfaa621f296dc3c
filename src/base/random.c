// SPDX-License-Identifier: Apache-2.0
// Content hashing and counter-based random numbers. Integer arithmetic up to the last step, so that
// every machine and compiler draws the same numbers, in any order and on any number of threads.
#include "base/base.h"

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
