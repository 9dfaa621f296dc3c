// SPDX-License-Identifier: Apache-2.0
// The vector vocabulary for NEON on AArch64, and the description of the vocabulary itself: the
// three headers vec_<isa>.h define the same names, a translation unit includes exactly one, and
// the templates `*_tpl.h` are written over those names alone.
//
//   VL, VREGS          lanes of a vector; architectural vector registers
//   vec uvec vmask     VL floats; VL uint32; a truth value per lane
//   vquad              four consecutive floats whose elements multiply vectors: v_fma_quad(acc, w,
//                      q, lane) = acc + w * q[lane], lane a constant. x86 broadcasts from memory,
//                      NEON multiplies by lane of one load. v_fma_bcast(acc, w, p) takes one float
//   v_load, v_store    aligned to VL floats; v_loadu, v_storeu: any address
//   v_load_part(p, k)  the first k lanes, 0 <= k <= VL, the others +0; touches p[0..k) alone
//   v_load_u16         VL uint16 as floats; v_store_u16: back (exact integers below 65536 only)
//   v_max, v_min       which operand a NaN or a pair of zeros yields depends on the ISA: for code
//                      whose result must not, use compare and select
//   v_gt v_lt v_eq     false on NaN; v_neq v_nle v_nge ("not less or equal", ...): true on NaN
//   v_keep(m, a)       m ? a : +0;  v_select(m, a, b): m ? a : b;  vm_bits: lane i at bit i,
//                      vm_from_bits: back
//   v_hsum             sum of lanes by a fixed tree; v_hsum4 stores four of them at out[0..4),
//                      v_sum4 returns them in the first four lanes, the others +0
//   v_fma_8            v_fma of the first 8 lanes, the others of its result undefined; v_keep_8:
//                      those lanes, the others +0
//   vu_sign            all bits copies of the sign bit; vu_shr: logical, the same count for all
#ifndef AB_SIMD_VEC_H
#define AB_SIMD_VEC_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "vec_base.h"

/* For a file whose loops need all registers, before its template: no scheduling before registers
 * are given out. It moves loads up until they no longer fit: gcc 12 then copies an accumulator to
 * and fro in the product loops, which puts two moves into its chain of sums (3.2 FMLA a cycle
 * instead of 4 in llvm-mca's Neoverse V1), and spills in the dot kernels. The cores reorder anyway;
 * depthwise loops, which have registers to spare, lose pairs of loads without it. */
#if defined(__clang__)
#define AB_SOURCE_ORDER
#else
#define AB_SOURCE_ORDER _Pragma("GCC optimize(\"no-schedule-insns\")")
#endif

enum { VL = 4, VREGS = 32 };
typedef float32x4_t vec;
typedef uint32x4_t uvec;
typedef uint32x4_t vmask;

AB_INLINE vec v_zero(void)
{
    return vdupq_n_f32(0.0f);
}
AB_INLINE vec v_set1(float s)
{
    return vdupq_n_f32(s);
}
AB_INLINE vec v_bcast(const float *p)
{
    return vld1q_dup_f32(p);
}
AB_INLINE vec v_load(const float *p)
{
    return vld1q_f32(p);
}
AB_INLINE vec v_loadu(const float *p)
{
    return vld1q_f32(p);
}
AB_INLINE void v_store(float *p, vec a)
{
    vst1q_f32(p, a);
}
AB_INLINE void v_storeu(float *p, vec a)
{
    vst1q_f32(p, a);
}

AB_INLINE vec v_load_part(const float *p, int k)
{
    float t[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int i = 0; i < k; i++) t[i] = p[i];
    return vld1q_f32(t);
}
AB_INLINE void v_store_part(float *p, vec a, int k)
{
    float t[4];
    vst1q_f32(t, a);
    for (int i = 0; i < k; i++) p[i] = t[i];
}
AB_INLINE vec v_load_u16(const uint16_t *p)
{
    return vcvtq_f32_u32(vmovl_u16(vld1_u16(p)));
}
AB_INLINE void v_store_u16(uint16_t *p, vec a)
{
    vst1_u16(p, vmovn_u32(vcvtq_u32_f32(a)));
}

AB_INLINE vec v_add(vec a, vec b)
{
    return vaddq_f32(a, b);
}
AB_INLINE vec v_sub(vec a, vec b)
{
    return vsubq_f32(a, b);
}
AB_INLINE vec v_mul(vec a, vec b)
{
    return vmulq_f32(a, b);
}
AB_INLINE vec v_div(vec a, vec b)
{
    return vdivq_f32(a, b);
}
AB_INLINE vec v_max(vec a, vec b)
{
    return vmaxq_f32(a, b);
}
AB_INLINE vec v_min(vec a, vec b)
{
    return vminq_f32(a, b);
}
AB_INLINE vec v_abs(vec a)
{
    return vabsq_f32(a);
}
AB_INLINE vec v_fma(vec a, vec b, vec c)
{
    return vfmaq_f32(c, a, b);
}
AB_INLINE vec v_fma_8(vec a, vec b, vec c)
{
    return v_fma(a, b, c);
}
AB_INLINE vec v_keep_8(vec a)
{
    return a;
}
#define v_fma_bcast(acc, w, p) v_fma((w), v_bcast(p), (acc))

typedef float32x4_t vquad;
AB_INLINE vquad v_quad(const float *p)
{
    return vld1q_f32(p);
}
#define v_fma_quad(acc, w, q, lane) vfmaq_laneq_f32((acc), (w), (q), (lane))

AB_INLINE vmask v_gt(vec a, vec b)
{
    return vcgtq_f32(a, b);
}
AB_INLINE vmask v_lt(vec a, vec b)
{
    return vcltq_f32(a, b);
}
AB_INLINE vmask v_eq(vec a, vec b)
{
    return vceqq_f32(a, b);
}
AB_INLINE vmask v_neq(vec a, vec b)
{
    return vmvnq_u32(vceqq_f32(a, b));
}
AB_INLINE vmask v_nle(vec a, vec b)
{
    return vmvnq_u32(vcleq_f32(a, b));
}
AB_INLINE vmask v_nge(vec a, vec b)
{
    return vmvnq_u32(vcgeq_f32(a, b));
}
AB_INLINE vmask vm_and(vmask a, vmask b)
{
    return vandq_u32(a, b);
}
AB_INLINE unsigned vm_bits(vmask m)
{
    const uint32_t bit[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(m, vld1q_u32(bit)));
}
AB_INLINE vmask vm_from_bits(unsigned bits)
{
    const uint32_t bit[4] = {1, 2, 4, 8};
    return vtstq_u32(vdupq_n_u32(bits), vld1q_u32(bit));
}
AB_INLINE vec v_keep(vmask m, vec a)
{
    return vreinterpretq_f32_u32(vandq_u32(m, vreinterpretq_u32_f32(a)));
}
AB_INLINE vec v_select(vmask m, vec a, vec b)
{
    return vbslq_f32(m, a, b);
}

AB_INLINE float v_hsum(vec a)
{
    return vaddvq_f32(a);
}
AB_INLINE void v_hsum4(vec a, vec b, vec c, vec d, float *out)
{
    vst1q_f32(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}
AB_INLINE vec v_sum4(vec a, vec b, vec c, vec d)
{
    return vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
}

AB_INLINE uvec vu_from(vec a)
{
    return vreinterpretq_u32_f32(a);
}
AB_INLINE uvec vu_set1(uint32_t s)
{
    return vdupq_n_u32(s);
}
AB_INLINE uvec vu_and(uvec a, uvec b)
{
    return vandq_u32(a, b);
}
AB_INLINE uvec vu_or(uvec a, uvec b)
{
    return vorrq_u32(a, b);
}
AB_INLINE uvec vu_xor(uvec a, uvec b)
{
    return veorq_u32(a, b);
}
AB_INLINE uvec vu_sign(uvec a)
{
    return vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_u32(a), 31));
}
AB_INLINE uvec vu_shr(uvec a, int n)
{
    return vshlq_u32(a, vdupq_n_s32(-n));
}
AB_INLINE vmask vu_is_zero(uvec a)
{
    return vceqzq_u32(a);
}
AB_INLINE void vu_store(uint32_t *p, uvec a)
{
    vst1q_u32(p, a);
}

AB_INLINE void v_prefetch(const void *p)
{
    __builtin_prefetch(p, 0, 3);
}
AB_INLINE void v_prefetch_l2(const void *p)
{
    __builtin_prefetch(p, 0, 2);
}

#endif
