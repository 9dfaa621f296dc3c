// SPDX-License-Identifier: Apache-2.0
// What every text in simd/ shares below the vector vocabulary: inlining and unrolling.
#ifndef AB_SIMD_VEC_BASE_H
#define AB_SIMD_VEC_BASE_H

/* Templates are specialised by constant arguments, so their inlining is not a matter of taste. */
#define AB_INLINE   static inline __attribute__((always_inline))
#define AB_NOINLINE static __attribute__((noinline, unused))

/* Full unrolling of the loop that follows; its trip count must be a constant once inlined. clang 14
 * ignores `GCC unroll` without a word, which leaves accumulators in memory. */
#if defined(__clang__)
#define AB_UNROLL _Pragma("clang loop unroll(full)")
#else
#define AB_UNROLL _Pragma("GCC unroll 64")
#endif

#endif
