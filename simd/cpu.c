// SPDX-License-Identifier: Apache-2.0
// Which instruction sets this CPU has and its operating system supports.
#include "kernels.h"

#if defined __x86_64__

#include <cpuid.h>

/* Extended control register 0: the register states that the operating system saves. */
static unsigned saved_states(void)
{
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return low;
}

static unsigned native_isas(void)
{
    /* Bits 1, 2: SSE and AVX registers. Bits 5, 6, 7: masks, upper halves and upper 16 of zmm. */
    const unsigned avx_state = 0x06, avx512_state = 0xe6;
    const unsigned avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    unsigned a, b, c, d, isas = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA)) return 0;
    const unsigned state = saved_states();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    if ((state & avx_state) != avx_state || !(b & bit_AVX2)) return 0;
    isas |= 1u << AB_ISA_avx2;
    if ((state & avx512_state) == avx512_state && (b & avx512) == avx512)
        isas |= 1u << AB_ISA_avx512;
    return isas;
}

#elif defined __aarch64__

static unsigned native_isas(void)
{
    return 1u << AB_ISA_neon;
}

#else

static unsigned native_isas(void)
{
    return 0;
}

#endif

unsigned ab_cpu_isas(void)
{
    return 1u << AB_ISA_ref | 1u << AB_ISA_plain | native_isas();
}
