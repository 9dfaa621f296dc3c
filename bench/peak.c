// SPDX-License-Identifier: Apache-2.0
// The FMA probe: chains of dependent multiply-adds, as many as latency times units asks for.
//
// 12 chains cover 4 cycles of latency on 2 units with room to spare and fit 16 registers together
// with the factor and the summand. The `target` attribute compiles a function for an instruction
// set that the rest of the file must not use; it is called only where ab_cpu_isas() has it. This
// and simd/cpu.c are the places where an architecture is asked for by name.
#include "peak.h"

#include "stats.h"

#include <math.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { CHAINS = 12, ROUNDS = 2000, SLICES = 2000 };

/* Keeps results alive without storing them where the loop could wait for it. */
static _Thread_local volatile float sink;

#define FMA_LOOP(vector, set1, fma)                                                                \
    vector acc[CHAINS], factor = set1(0.999f), summand = set1(0.001f);                             \
    for (int i = 0; i < CHAINS; i++) acc[i] = set1((float)i);                                      \
    for (int r = 0; r < ROUNDS; r++) {                                                             \
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) acc[i] =                         \
            fma(acc[i], factor, summand);                                                          \
    }                                                                                              \
    float total = 0;                                                                               \
    for (int i = 0; i < CHAINS; i++) total += ((const float *)&acc[i])[0];                         \
    sink = total

#if defined(__x86_64__)
__attribute__((target("avx2,fma"), noinline)) static void loop_avx2(void)
{
    FMA_LOOP(__m256, _mm256_set1_ps, _mm256_fmadd_ps);
}

__attribute__((target("avx512f"), noinline)) static void loop_avx512(void)
{
    FMA_LOOP(__m512, _mm512_set1_ps, _mm512_fmadd_ps);
}
#elif defined(__aarch64__)
#define NEON_FMA(a, b, c) vfmaq_f32(c, a, b)
__attribute__((noinline)) static void loop_neon(void)
{
    FMA_LOOP(float32x4_t, vdupq_n_f32, NEON_FMA);
}
#endif

/* Scalars: what a loop without vectors reaches at best. */
__attribute__((noinline)) static void loop_plain(void)
{
#define SAME(v)         (v)
#define MULADD(a, b, c) ((a) * (b) + (c))
    FMA_LOOP(float, SAME, MULADD);
}

struct probe {
    void (*loop)(void);
    int lanes;
};

static struct probe probe_of(enum ab_isa isa)
{
    switch (isa) {
#if defined(__x86_64__)
    case AB_ISA_avx2: return (struct probe){loop_avx2, 8};
    case AB_ISA_avx512: return (struct probe){loop_avx512, 16};
#elif defined(__aarch64__)
    case AB_ISA_neon: return (struct probe){loop_neon, 4};
#endif
    case AB_ISA_plain: return (struct probe){loop_plain, 1};
    default: return (struct probe){0};
    }
}

/* Slices of some 10 us until `span` ns are over: 20 ms are long enough for the clock to rise to its
 * pace under this load, short enough that some slices see no interruption. */
static double measure(struct probe p, double span)
{
    double best = INFINITY, start = ab_now_ns(), now = start;
    for (int i = 0; i < SLICES && now - start < span; i++) {
        double before = ab_now_ns();
        p.loop();
        now = ab_now_ns();
        if (now - before < best) best = now - before;
    }
    return 2.0 * CHAINS * ROUNDS * p.lanes / best;
}

static double known[AB_ISA_COUNT];

double ab_peak_gflops(enum ab_isa isa)
{
    struct probe p = probe_of(isa);
    if (!p.loop || !(ab_cpu_isas() >> isa & 1)) return 0;
    if (known[isa] <= 0) known[isa] = measure(p, 20e6);
    return known[isa];
}

double ab_peak_slice(enum ab_isa isa)
{
    struct probe p = probe_of(isa);
    p.loop();
    return 2.0 * CHAINS * ROUNDS * p.lanes;
}

double ab_peak_again(enum ab_isa isa)
{
    double before = ab_peak_gflops(isa), now = before > 0 ? measure(probe_of(isa), 50e3) : 0;
    if (now > before) known[isa] = now;
    return known[isa];
}

double ab_peak_best(unsigned isas, enum ab_isa *isa)
{
    double best = 0;
    *isa = AB_ISA_plain;
    for (int i = 0; i < AB_ISA_COUNT; i++) {
        double peak = isas >> i & 1 ? ab_peak_gflops((enum ab_isa)i) : 0;
        if (peak > best) best = peak, *isa = (enum ab_isa)i;
    }
    return best;
}
