// SPDX-License-Identifier: Apache-2.0
// What cores do with subnormal numbers: the mode of the calling thread, and of OpenMP's workers.
#include "base/base.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

const char *ab_denormals_name(enum ab_denormals mode)
{
    return mode == AB_DENORMALS_FLUSH ? "flush" : "keep";
}

#if defined(__x86_64__)
static const unsigned FLUSH_BITS = 0x8040; /* FTZ and DAZ */

static unsigned control(void)
{
    return _mm_getcsr();
}

static void set_control(unsigned bits)
{
    _mm_setcsr(bits);
}
#elif defined(__aarch64__)
static const unsigned FLUSH_BITS = 1u << 24; /* FZ */

static unsigned control(void)
{
    uint64_t bits;
    __asm__ volatile("mrs %0, fpcr" : "=r"(bits));
    return (unsigned)bits;
}

static void set_control(unsigned bits)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)bits));
}
#else
static const unsigned FLUSH_BITS = 0;

static unsigned control(void)
{
    return 0;
}

static void set_control(unsigned bits)
{
    (void)bits;
}
#endif

enum ab_denormals ab_denormals_set(enum ab_denormals mode)
{
    const unsigned before = control();
    set_control(mode == AB_DENORMALS_FLUSH ? before | FLUSH_BITS : before & ~FLUSH_BITS);
    return before & FLUSH_BITS ? AB_DENORMALS_FLUSH : AB_DENORMALS_KEEP;
}

void ab_denormals_set_all(enum ab_denormals mode, int threads)
{
    /* First the calling thread: LLVM's runtime gives workers its mode whenever they begin, and
     * gives it back its own when they are done. GNU's leaves each thread alone. */
    ab_denormals_set(mode);
#pragma omp parallel num_threads(threads) if (threads > 1)
    ab_denormals_set(mode);
}
