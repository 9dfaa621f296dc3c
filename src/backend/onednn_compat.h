// SPDX-License-Identifier: Apache-2.0
// One face for oneDNN 2.6 (operation descriptors, memory descriptors as structs) and 3.x (primitive
// descriptors made directly, opaque memory descriptors). Nothing else looks at the major version.
#ifndef AB_ONEDNN_COMPAT_H
#define AB_ONEDNN_COMPAT_H

#include <stdbool.h>
#include <oneapi/dnnl/dnnl.h>

/* A memory descriptor; always on the heap here, made by ab_md_* and freed by ab_md_free. Functions
 * of oneDNN that read one take `const ab_md *` in both versions. */
#if DNNL_VERSION_MAJOR >= 3
typedef struct dnnl_memory_desc ab_md;
#else
typedef dnnl_memory_desc_t ab_md;
#endif

/* All four return NULL when oneDNN refuses or memory is out. */
ab_md *ab_md_tag(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag);
ab_md *ab_md_strides(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type,
                     const dnnl_dims_t strides);
ab_md *ab_md_part(const ab_md *whole, const dnnl_dims_t dims, const dnnl_dims_t offsets);
ab_md *ab_md_copy(const ab_md *md);
void ab_md_free(ab_md *md);
dnnl_data_type_t ab_md_type(const ab_md *md);

/* The primitives that the backend makes. */
enum ab_onednn_kind {
    AB_DNN_CONV_FWD,
    AB_DNN_CONV_BWD,
    AB_DNN_DECONV,
    AB_DNN_DENSE_FWD,
    AB_DNN_DENSE_BWD,
    AB_DNN_POOL_FWD,
    AB_DNN_POOL_BWD,
    AB_DNN_BINARY,
    AB_DNN_ELTWISE_FWD,
    AB_DNN_ELTWISE_BWD,
    AB_DNN_KINDS
};

/* What each kind reads; the rest is ignored. In backward kinds src and dst are diff_src and
 * diff_dst. BINARY: dst = alg(src, wei). ELTWISE: all operands are as src. hint: the forward
 * primitive, for backward kinds. Dilation is counted as in oneDNN, 0 for none. */
struct ab_onednn_op {
    enum ab_onednn_kind kind;
    dnnl_prop_kind_t prop;
    dnnl_alg_kind_t alg;
    const ab_md *src, *wei, *bias, *dst;
    dnnl_dims_t strides, kernel, dilates, pad_l, pad_r;
    float alpha, beta; /* of ELTWISE */
    const_dnnl_primitive_attr_t attr;
    const_dnnl_primitive_desc_t hint;
};

dnnl_status_t ab_onednn_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                           const struct ab_onednn_op *op);

/* src[0..n) along dimension 1; oneDNN chooses the format of the result. */
dnnl_status_t ab_onednn_concat_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, int n,
                                  const ab_md *const *src, const_dnnl_primitive_attr_t attr);

dnnl_status_t ab_onednn_post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha,
                                     float beta);
dnnl_status_t ab_onednn_post_sum(dnnl_post_ops_t ops); /* accumulates onto dst */

#endif
