// SPDX-License-Identifier: Apache-2.0
// The vector vocabulary (described in vec_neon.h) for AVX2 with FMA.
#ifndef AB_SIMD_VEC_H
#define AB_SIMD_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "vec_base.h"

enum { VL = 8, VREGS = 16 };
typedef __m256 vec;
typedef __m256i uvec;
typedef __m256 vmask;

AB_INLINE vec v_zero(void)
{
    return _mm256_setzero_ps();
}
AB_INLINE vec v_set1(float s)
{
    return _mm256_set1_ps(s);
}
AB_INLINE vec v_bcast(const float *p)
{
    return _mm256_broadcast_ss(p);
}
AB_INLINE vec v_load(const float *p)
{
    return _mm256_load_ps(p);
}
AB_INLINE vec v_loadu(const float *p)
{
    return _mm256_loadu_ps(p);
}
AB_INLINE void v_store(float *p, vec a)
{
    _mm256_store_ps(p, a);
}
AB_INLINE void v_storeu(float *p, vec a)
{
    _mm256_storeu_ps(p, a);
}

AB_INLINE __m256i v_first(int k)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(k), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
AB_INLINE vec v_load_part(const float *p, int k)
{
    return _mm256_maskload_ps(p, v_first(k));
}
AB_INLINE void v_store_part(float *p, vec a, int k)
{
    _mm256_maskstore_ps(p, v_first(k), a);
}
AB_INLINE vec v_load_u16(const uint16_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)));
}
AB_INLINE void v_store_u16(uint16_t *p, vec a)
{
    __m256i i = _mm256_cvtps_epi32(a);
    __m128i lo = _mm256_castsi256_si128(i), hi = _mm256_extracti128_si256(i, 1);
    _mm_storeu_si128((__m128i *)p, _mm_packus_epi32(lo, hi));
}

AB_INLINE vec v_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}
AB_INLINE vec v_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}
AB_INLINE vec v_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}
AB_INLINE vec v_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}
AB_INLINE vec v_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}
AB_INLINE vec v_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}
AB_INLINE vec v_abs(vec a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
AB_INLINE vec v_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
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

typedef const float *vquad;
AB_INLINE vquad v_quad(const float *p)
{
    return p;
}
#define v_fma_quad(acc, w, q, lane) v_fma((w), v_bcast((q) + (lane)), (acc))

AB_INLINE vmask v_gt(vec a, vec b)
{
    return _mm256_cmp_ps(a, b, _CMP_GT_OQ);
}
AB_INLINE vmask v_lt(vec a, vec b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
AB_INLINE vmask v_eq(vec a, vec b)
{
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}
AB_INLINE vmask v_neq(vec a, vec b)
{
    return _mm256_cmp_ps(a, b, _CMP_NEQ_UQ);
}
AB_INLINE vmask v_nle(vec a, vec b)
{
    return _mm256_cmp_ps(a, b, _CMP_NLE_UQ);
}
AB_INLINE vmask v_nge(vec a, vec b)
{
    return _mm256_cmp_ps(a, b, _CMP_NGE_UQ);
}
AB_INLINE vmask vm_and(vmask a, vmask b)
{
    return _mm256_and_ps(a, b);
}
AB_INLINE unsigned vm_bits(vmask m)
{
    return (unsigned)_mm256_movemask_ps(m);
}
AB_INLINE vmask vm_from_bits(unsigned bits)
{
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i own = _mm256_and_si256(_mm256_set1_epi32((int)bits), bit);
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(own, bit));
}
AB_INLINE vec v_keep(vmask m, vec a)
{
    return _mm256_and_ps(m, a);
}
AB_INLINE vec v_select(vmask m, vec a, vec b)
{
    return _mm256_blendv_ps(b, a, m);
}

AB_INLINE void v_hsum4(vec a, vec b, vec c, vec d, float *out)
{
    __m256 t = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1)));
}
AB_INLINE vec v_sum4(vec a, vec b, vec c, vec d)
{
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    const __m256 t =
        _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    return _mm256_zextps128_ps256(
        _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1)));
}
AB_INLINE float v_hsum(vec a)
{
    __m128 t = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    t = _mm_add_ps(t, _mm_movehl_ps(t, t));
    return _mm_cvtss_f32(_mm_add_ss(t, _mm_movehdup_ps(t)));
}

AB_INLINE uvec vu_from(vec a)
{
    return _mm256_castps_si256(a);
}
AB_INLINE uvec vu_set1(uint32_t s)
{
    return _mm256_set1_epi32((int)s);
}
AB_INLINE uvec vu_and(uvec a, uvec b)
{
    return _mm256_and_si256(a, b);
}
AB_INLINE uvec vu_or(uvec a, uvec b)
{
    return _mm256_or_si256(a, b);
}
AB_INLINE uvec vu_xor(uvec a, uvec b)
{
    return _mm256_xor_si256(a, b);
}
AB_INLINE uvec vu_sign(uvec a)
{
    return _mm256_srai_epi32(a, 31);
}
AB_INLINE uvec vu_shr(uvec a, int n)
{
    return _mm256_srl_epi32(a, _mm_cvtsi32_si128(n));
}
AB_INLINE vmask vu_is_zero(uvec a)
{
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, _mm256_setzero_si256()));
}
AB_INLINE void vu_store(uint32_t *p, uvec a)
{
    _mm256_storeu_si256((__m256i *)p, a);
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
