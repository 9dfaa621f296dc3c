// SPDX-License-Identifier: Apache-2.0
// Probes of the clock and of the core's pace.
//
// The counter that can be read (TSC, CNTVCT) runs at a pace of its own: cycles can only be had from
// work that is known to take some. Additions will not do: cores of today fold chains of them away
// when registers are renamed. A chain of multiplications, each of the result of the one before,
// takes its latency times its length on any core. This, peak.c, bandwidth.c, src/base/denormals.c
// and simd/cpu.c are the places where an architecture is asked for by name.
#include "clock.h"

#include "stats.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

/* ---- the clock ---- */

/* BATCHES of READINGS take below a millisecond. */
enum { BATCHES = 200, READINGS = 64 };
/* Two readings of the counter this far apart, each known to 50 ns, tell its pace to 1e-4. */
static const double SPAN_NS = 1e6;

static void look_at_batch(struct ab_clock *c)
{
    const double start = ab_now_ns();
    double before = start;
    for (int i = 1; i < READINGS; i++) {
        const double now = ab_now_ns(), step = now - before;
        if (step < 0) c->backwards = true;
        if (step > 0 && step < c->resolution_ns) c->resolution_ns = step;
        before = now;
    }
    c->cost_ns = fmin(c->cost_ns, (before - start) / (READINGS - 1));
}

#if defined(__x86_64__)
static bool has_counter(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && d >> 4 & 1;
}

static uint64_t counter(void)
{
    return __rdtsc();
}
#elif defined(__aarch64__)
static bool has_counter(void)
{
    return true;
}

static uint64_t counter(void)
{
    uint64_t value;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value));
    return value;
}
#else
static bool has_counter(void)
{
    return false;
}

static uint64_t counter(void)
{
    return 0;
}
#endif

struct moment {
    double ns;
    uint64_t count;
};

/* Both clocks at once: the counter between two readings as close as a few trials get them. */
static struct moment now_of_both(void)
{
    struct moment m = {0};
    double best = INFINITY;
    for (int i = 0; i < 10; i++) {
        const double before = ab_now_ns();
        const uint64_t count = counter();
        const double after = ab_now_ns();
        if (after - before >= best) continue;
        best = after - before;
        m = (struct moment){before + best / 2, count};
    }
    return m;
}

static double counter_ghz(void)
{
    if (!has_counter()) return 0;
    const struct moment first = now_of_both();
    while (ab_now_ns() - first.ns < SPAN_NS) continue;
    const struct moment last = now_of_both();
    return (double)(last.count - first.count) / (last.ns - first.ns);
}

const struct ab_clock *ab_clock_of_host(void)
{
    static struct ab_clock c;
    if (c.cost_ns > 0) return &c;
    c = (struct ab_clock){.resolution_ns = INFINITY, .cost_ns = INFINITY};
    for (int i = 0; i < BATCHES; i++) look_at_batch(&c);
    /* A clock that stood still for all of that is at least as coarse. */
    if (!isfinite(c.resolution_ns)) c.resolution_ns = SPAN_NS;
    if (!(c.cost_ns > 0)) c.cost_ns = c.resolution_ns / READINGS;
    c.tsc_ghz = counter_ghz();
    return &c;
}

/* ---- the core's pace ---- */

/* CHAIN instructions take 3 to 8 us; SLICES of them 0.2 ms. */
enum { UNROLL = 16, CHAIN = 512 * UNROLL, SLICES = 30 };

#if defined(__x86_64__)
/* Of a 32-bit imul: 3 on Intel's cores since Nehalem (the first with SSE4.2, which the Atoms that
 * take 5 lack) and their small ones, and on AMD's but for family 15h, which takes 4. 0: not known.
 */
static int latency(void)
{
    unsigned a, b, c, d;
    char vendor[13] = "";
    if (!__get_cpuid(0, &a, &b, &c, &d)) return 0;
    memcpy(vendor, &b, 4);
    memcpy(vendor + 4, &d, 4);
    memcpy(vendor + 8, &c, 4);
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const unsigned base = a >> 8 & 15, family = base == 15 ? base + (a >> 20 & 255) : base;
    const bool sse42 = c >> 20 & 1;
    if (!strcmp(vendor, "GenuineIntel")) return sse42 && family == 6 ? 3 : 0;
    if (strcmp(vendor, "AuthenticAMD") != 0 && strcmp(vendor, "HygonGenuine") != 0) return 0;
    return family == 0x15 ? 4 : 3;
}

static void chain(void)
{
    uint32_t x = 3, factor = 5;
    for (int i = 0; i < CHAIN / UNROLL; i++)
        __asm__ volatile(".rept 16\n\timull %1, %0\n\t.endr" : "+r"(x) : "r"(factor));
}
#elif defined(__aarch64__)
static int latency(void)
{
    return 1;
}

static void chain(void)
{
    uint32_t x = 3, mask = 5;
    for (int i = 0; i < CHAIN / UNROLL; i++)
        __asm__ volatile(".rept 16\n\teor %w0, %w0, %w1\n\t.endr" : "+r"(x) : "r"(mask));
}
#else
static int latency(void)
{
    return 0;
}

static void chain(void) {}
#endif

double ab_core_ghz(void)
{
    static int cycles = -1;
    if (cycles < 0) cycles = latency();
    if (!cycles) return 0;
    const double cost = ab_clock_of_host()->cost_ns;
    double best = INFINITY;
    for (int i = 0; i < SLICES; i++) {
        const double start = ab_now_ns();
        chain();
        best = fmin(best, ab_now_ns() - start - cost);
    }
    return best > 0 ? (double)CHAIN * cycles / best : 0;
}

/* ---- subnormal numbers ---- */

size_t ab_subnormal_count(const float *values, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        found += !(bits & 0x7f800000u) && (bits & 0x007fffffu);
    }
    return found;
}
