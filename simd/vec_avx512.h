// SPDX-License-Identifier: Apache-2.0
// The vector vocabulary (described in vec_neon.h) for AVX-512 F, BW, DQ, VL.
#ifndef AB_SIMD_VEC_H
#define AB_SIMD_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "vec_base.h"

enum { VL = 16, VREGS = 32 };
typedef __m512 vec;
typedef __m512i uvec;
typedef __mmask16 vmask;

AB_INLINE vec v_zero(void)
{
    return _mm512_setzero_ps();
}
AB_INLINE vec v_set1(float s)
{
    return _mm512_set1_ps(s);
}
AB_INLINE vec v_bcast(const float *p)
{
    return _mm512_set1_ps(*p);
}
AB_INLINE vec v_load(const float *p)
{
    return _mm512_load_ps(p);
}
AB_INLINE vec v_loadu(const float *p)
{
    return _mm512_loadu_ps(p);
}
AB_INLINE void v_store(float *p, vec a)
{
    _mm512_store_ps(p, a);
}
AB_INLINE void v_storeu(float *p, vec a)
{
    _mm512_storeu_ps(p, a);
}

AB_INLINE vec v_load_part(const float *p, int k)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << k) - 1), p);
}
AB_INLINE void v_store_part(float *p, vec a, int k)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << k) - 1), a);
}
AB_INLINE vec v_load_u16(const uint16_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)));
}
AB_INLINE void v_store_u16(uint16_t *p, vec a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(a)));
}

AB_INLINE vec v_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}
AB_INLINE vec v_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}
AB_INLINE vec v_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}
AB_INLINE vec v_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}
AB_INLINE vec v_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}
AB_INLINE vec v_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}
AB_INLINE vec v_abs(vec a)
{
    return _mm512_abs_ps(a);
}
AB_INLINE vec v_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}
AB_INLINE vec v_fma_8(vec a, vec b, vec c)
{
    return _mm512_castps256_ps512(_mm256_fmadd_ps(
        _mm512_castps512_ps256(a), _mm512_castps512_ps256(b), _mm512_castps512_ps256(c)));
}
AB_INLINE vec v_keep_8(vec a)
{
    return _mm512_maskz_mov_ps(0x00ff, a);
}
#define v_fma_bcast(acc, w, p) v_fma((w), v_bcast(p), (acc))

typedef const float *vquad;
AB_INLINE vquad v_quad(const float *p)
{
    return p;
}
#define v_fma_quad(acc, w, q, lane) v_fma((w), v_bcast((q) + (lane)), (acc))

AB_INLINE vmask v_gt(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
AB_INLINE vmask v_lt(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
AB_INLINE vmask v_eq(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
AB_INLINE vmask v_neq(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ);
}
AB_INLINE vmask v_nle(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_NLE_UQ);
}
AB_INLINE vmask v_nge(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_NGE_UQ);
}
AB_INLINE vmask vm_and(vmask a, vmask b)
{
    return (vmask)(a & b);
}
AB_INLINE unsigned vm_bits(vmask m)
{
    return m;
}
AB_INLINE vmask vm_from_bits(unsigned bits)
{
    return (vmask)bits;
}
AB_INLINE vec v_keep(vmask m, vec a)
{
    return _mm512_maskz_mov_ps(m, a);
}
AB_INLINE vec v_select(vmask m, vec a, vec b)
{
    return _mm512_mask_blend_ps(m, b, a);
}

AB_INLINE float v_hsum(vec a)
{
    return _mm512_reduce_add_ps(a);
}
AB_INLINE __m256 v_fold(vec a)
{
    return _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
}
AB_INLINE void v_hsum4(vec a, vec b, vec c, vec d, float *out)
{
    __m256 ab = _mm256_hadd_ps(v_fold(a), v_fold(b)), cd = _mm256_hadd_ps(v_fold(c), v_fold(d));
    __m256 t = _mm256_hadd_ps(ab, cd);
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1)));
}
AB_INLINE vec v_sum4(vec za, vec zb, vec zc, vec zd)
{
    const __m256 a = v_fold(za), b = v_fold(zb), c = v_fold(zc), d = v_fold(zd);
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    const __m256 t =
        _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    return _mm512_zextps128_ps512(
        _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1)));
}

AB_INLINE uvec vu_from(vec a)
{
    return _mm512_castps_si512(a);
}
AB_INLINE uvec vu_set1(uint32_t s)
{
    return _mm512_set1_epi32((int)s);
}
AB_INLINE uvec vu_and(uvec a, uvec b)
{
    return _mm512_and_si512(a, b);
}
AB_INLINE uvec vu_or(uvec a, uvec b)
{
    return _mm512_or_si512(a, b);
}
AB_INLINE uvec vu_xor(uvec a, uvec b)
{
    return _mm512_xor_si512(a, b);
}
AB_INLINE uvec vu_sign(uvec a)
{
    return _mm512_srai_epi32(a, 31);
}
AB_INLINE uvec vu_shr(uvec a, int n)
{
    return _mm512_srl_epi32(a, _mm_cvtsi32_si128(n));
}
AB_INLINE vmask vu_is_zero(uvec a)
{
    return _mm512_testn_epi32_mask(a, a);
}
AB_INLINE void vu_store(uint32_t *p, uvec a)
{
    _mm512_storeu_si512(p, a);
}

AB_INLINE void v_prefetch(const void *p)
{
    _mm_prefetch((const char *)p, _MM_HINT_T0);
}
AB_INLINE void v_prefetch_l2(const void *p)
{
    _mm_prefetch((const char *)p, _MM_HINT_T1);
}

#endif
