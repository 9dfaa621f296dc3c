// SPDX-License-Identifier: Apache-2.0
// The difference between oneDNN 2.6 and 3.x, and nothing but it.
#include "backend/onednn_compat.h"

#include <stdlib.h>

#if DNNL_VERSION_MAJOR >= 3

ab_md *ab_md_tag(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    ab_md *md = NULL;
    return dnnl_memory_desc_create_with_tag(&md, ndims, dims, type, tag) ? NULL : md;
}

ab_md *ab_md_strides(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type,
                     const dnnl_dims_t strides)
{
    ab_md *md = NULL;
    return dnnl_memory_desc_create_with_strides(&md, ndims, dims, type, strides) ? NULL : md;
}

ab_md *ab_md_part(const ab_md *whole, const dnnl_dims_t dims, const dnnl_dims_t offsets)
{
    ab_md *md = NULL;
    return dnnl_memory_desc_create_submemory(&md, whole, dims, offsets) ? NULL : md;
}

ab_md *ab_md_copy(const ab_md *from)
{
    ab_md *md = NULL;
    return dnnl_memory_desc_clone(&md, from) ? NULL : md;
}

void ab_md_free(ab_md *md)
{
    if (md) dnnl_memory_desc_destroy(md);
}

dnnl_data_type_t ab_md_type(const ab_md *md)
{
    dnnl_data_type_t type = dnnl_data_type_undef;
    dnnl_memory_desc_query(md, dnnl_query_data_type, &type);
    return type;
}

dnnl_status_t ab_onednn_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                           const struct ab_onednn_op *op)
{
    switch (op->kind) {
    case AB_DNN_CONV_FWD:
        return dnnl_convolution_forward_primitive_desc_create(
            pd, engine, op->prop, op->alg, op->src, op->wei, op->bias, op->dst, op->strides,
            op->dilates, op->pad_l, op->pad_r, op->attr);
    case AB_DNN_CONV_BWD:
        return dnnl_convolution_backward_data_primitive_desc_create(
            pd, engine, op->alg, op->src, op->wei, op->dst, op->strides, op->dilates, op->pad_l,
            op->pad_r, op->hint, op->attr);
    case AB_DNN_DECONV:
        return dnnl_deconvolution_forward_primitive_desc_create(
            pd, engine, op->prop, op->alg, op->src, op->wei, op->bias, op->dst, op->strides,
            op->dilates, op->pad_l, op->pad_r, op->attr);
    case AB_DNN_DENSE_FWD:
        return dnnl_inner_product_forward_primitive_desc_create(
            pd, engine, op->prop, op->src, op->wei, op->bias, op->dst, op->attr);
    case AB_DNN_DENSE_BWD:
        return dnnl_inner_product_backward_data_primitive_desc_create(pd, engine, op->src, op->wei,
                                                                      op->dst, op->hint, op->attr);
    case AB_DNN_POOL_FWD:
        return dnnl_pooling_forward_primitive_desc_create(
            pd, engine, op->prop, op->alg, op->src, op->dst, op->strides, op->kernel, op->dilates,
            op->pad_l, op->pad_r, op->attr);
    case AB_DNN_POOL_BWD:
        return dnnl_pooling_backward_primitive_desc_create(
            pd, engine, op->alg, op->src, op->dst, op->strides, op->kernel, op->dilates, op->pad_l,
            op->pad_r, op->hint, op->attr);
    case AB_DNN_BINARY:
        return dnnl_binary_primitive_desc_create(pd, engine, op->alg, op->src, op->wei, op->dst,
                                                 op->attr);
    case AB_DNN_ELTWISE_FWD:
        return dnnl_eltwise_forward_primitive_desc_create(pd, engine, op->prop, op->alg, op->src,
                                                          op->src, op->alpha, op->beta, op->attr);
    case AB_DNN_ELTWISE_BWD:
        return dnnl_eltwise_backward_primitive_desc_create(pd, engine, op->alg, op->src, op->src,
                                                           op->src, op->alpha, op->beta, op->hint,
                                                           op->attr);
    case AB_DNN_KINDS: break;
    }
    return dnnl_invalid_arguments;
}

dnnl_status_t ab_onednn_concat_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, int n,
                                  const ab_md *const *src, const_dnnl_primitive_attr_t attr)
{
    return dnnl_concat_primitive_desc_create(pd, engine, NULL, n, 1, src, attr);
}

dnnl_status_t ab_onednn_post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha,
                                     float beta)
{
    return dnnl_post_ops_append_eltwise(ops, alg, alpha, beta);
}

dnnl_status_t ab_onednn_post_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef);
}

#else

/* The heap copy of a descriptor that a 2.x function has filled in. */
static ab_md *kept(dnnl_status_t status, const dnnl_memory_desc_t *made)
{
    ab_md *md = status ? NULL : malloc(sizeof *md);
    if (md) *md = *made;
    return md;
}

ab_md *ab_md_tag(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    ab_md md;
    return kept(dnnl_memory_desc_init_by_tag(&md, ndims, dims, type, tag), &md);
}

ab_md *ab_md_strides(int ndims, const dnnl_dims_t dims, dnnl_data_type_t type,
                     const dnnl_dims_t strides)
{
    ab_md md;
    return kept(dnnl_memory_desc_init_by_strides(&md, ndims, dims, type, strides), &md);
}

ab_md *ab_md_part(const ab_md *whole, const dnnl_dims_t dims, const dnnl_dims_t offsets)
{
    ab_md md;
    return kept(dnnl_memory_desc_init_submemory(&md, whole, dims, offsets), &md);
}

ab_md *ab_md_copy(const ab_md *from)
{
    return kept(dnnl_success, from);
}

void ab_md_free(ab_md *md)
{
    free(md);
}

dnnl_data_type_t ab_md_type(const ab_md *md)
{
    return md->data_type;
}

/* Pooling with dilation is a kind of its own in 2.x, which the fast implementations do not serve.
 */
static dnnl_status_t pool_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                             const struct ab_onednn_op *op)
{
    const bool forward = op->kind == AB_DNN_POOL_FWD;
    dnnl_status_t status;
    if (op->dilates[0] || op->dilates[1]) {
        dnnl_pooling_v2_desc_t d;
        status = forward ? dnnl_pooling_v2_forward_desc_init(&d, op->prop, op->alg, op->src,
                                                             op->dst, op->strides, op->kernel,
                                                             op->dilates, op->pad_l, op->pad_r)
                         : dnnl_pooling_v2_backward_desc_init(&d, op->alg, op->src, op->dst,
                                                              op->strides, op->kernel, op->dilates,
                                                              op->pad_l, op->pad_r);
        return status ? status : dnnl_primitive_desc_create(pd, &d, op->attr, engine, op->hint);
    }
    dnnl_pooling_desc_t d;
    status = forward ? dnnl_pooling_forward_desc_init(&d, op->prop, op->alg, op->src, op->dst,
                                                      op->strides, op->kernel, op->pad_l, op->pad_r)
                     : dnnl_pooling_backward_desc_init(&d, op->alg, op->src, op->dst, op->strides,
                                                       op->kernel, op->pad_l, op->pad_r);
    return status ? status : dnnl_primitive_desc_create(pd, &d, op->attr, engine, op->hint);
}

static dnnl_status_t conv_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                             const struct ab_onednn_op *op)
{
    dnnl_convolution_desc_t d; /* the same struct serves deconvolution */
    dnnl_status_t status;
    if (op->kind == AB_DNN_CONV_BWD) {
        status = dnnl_dilated_convolution_backward_data_desc_init(
            &d, op->alg, op->src, op->wei, op->dst, op->strides, op->dilates, op->pad_l, op->pad_r);
    } else if (op->kind == AB_DNN_CONV_FWD) {
        status = dnnl_dilated_convolution_forward_desc_init(&d, op->prop, op->alg, op->src, op->wei,
                                                            op->bias, op->dst, op->strides,
                                                            op->dilates, op->pad_l, op->pad_r);
    } else {
        status = dnnl_dilated_deconvolution_forward_desc_init(
            &d, op->prop, op->alg, op->src, op->wei, op->bias, op->dst, op->strides, op->dilates,
            op->pad_l, op->pad_r);
    }
    return status ? status : dnnl_primitive_desc_create(pd, &d, op->attr, engine, op->hint);
}

static dnnl_status_t dense_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                              const struct ab_onednn_op *op)
{
    dnnl_inner_product_desc_t d;
    const dnnl_status_t status =
        op->kind == AB_DNN_DENSE_FWD
            ? dnnl_inner_product_forward_desc_init(&d, op->prop, op->src, op->wei, op->bias,
                                                   op->dst)
            : dnnl_inner_product_backward_data_desc_init(&d, op->src, op->wei, op->dst);
    return status ? status : dnnl_primitive_desc_create(pd, &d, op->attr, engine, op->hint);
}

static dnnl_status_t eltwise_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                const struct ab_onednn_op *op)
{
    dnnl_eltwise_desc_t d;
    const dnnl_status_t status =
        op->kind == AB_DNN_ELTWISE_FWD
            ? dnnl_eltwise_forward_desc_init(&d, op->prop, op->alg, op->src, op->alpha, op->beta)
            : dnnl_eltwise_backward_desc_init(&d, op->alg, op->src, op->src, op->alpha, op->beta);
    return status ? status : dnnl_primitive_desc_create(pd, &d, op->attr, engine, op->hint);
}

dnnl_status_t ab_onednn_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                           const struct ab_onednn_op *op)
{
    switch (op->kind) {
    case AB_DNN_CONV_FWD:
    case AB_DNN_CONV_BWD:
    case AB_DNN_DECONV: return conv_pd(pd, engine, op);
    case AB_DNN_DENSE_FWD:
    case AB_DNN_DENSE_BWD: return dense_pd(pd, engine, op);
    case AB_DNN_POOL_FWD:
    case AB_DNN_POOL_BWD: return pool_pd(pd, engine, op);
    case AB_DNN_BINARY: {
        dnnl_binary_desc_t d;
        const dnnl_status_t status = dnnl_binary_desc_init(&d, op->alg, op->src, op->wei, op->dst);
        return status ? status : dnnl_primitive_desc_create(pd, &d, op->attr, engine, NULL);
    }
    case AB_DNN_ELTWISE_FWD:
    case AB_DNN_ELTWISE_BWD: return eltwise_pd(pd, engine, op);
    case AB_DNN_KINDS: break;
    }
    return dnnl_invalid_arguments;
}

dnnl_status_t ab_onednn_concat_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, int n,
                                  const ab_md *const *src, const_dnnl_primitive_attr_t attr)
{
    ab_md *packed = malloc(sizeof *packed * (size_t)n);
    if (!packed) return dnnl_out_of_memory;
    for (int i = 0; i < n; i++) packed[i] = *src[i];
    const dnnl_status_t status =
        dnnl_concat_primitive_desc_create(pd, NULL, n, 1, packed, attr, engine);
    free(packed);
    return status;
}

dnnl_status_t ab_onednn_post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha,
                                     float beta)
{
    return dnnl_post_ops_append_eltwise(ops, 1.0f, alg, alpha, beta);
}

dnnl_status_t ab_onednn_post_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1);
}

#endif
