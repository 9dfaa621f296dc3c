// SPDX-License-Identifier: Apache-2.0
// Looking at a value of the oneDNN backend: whatever its format and type, in plain order as
// doubles.
#include "backend/onednn.h"

#include <math.h>
#include <stdlib.h>

static size_t type_size(dnnl_data_type_t type)
{
    return type == dnnl_u8 ? 1 : 4;
}

static void widen(dnnl_data_type_t type, const void *data, size_t count, double *out)
{
    for (size_t i = 0; i < count; i++) {
        switch (type) {
        case dnnl_u8: out[i] = ((const uint8_t *)data)[i]; break;
        case dnnl_s32: out[i] = ((const int32_t *)data)[i]; break;
        default: out[i] = (double)((const float *)data)[i]; break;
        }
    }
}

/* Reorders into memory of its own; false if that fails. */
static bool copy_plain(const struct ab_onednn *o, const struct ab_onednn_slot *from,
                       const ab_md *plain, void *data)
{
    dnnl_memory_t to = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t prim = NULL;
    bool done =
        !dnnl_memory_create(&to, plain, o->engine, data) &&
        !dnnl_reorder_primitive_desc_create(&pd, from->md, o->engine, plain, o->engine, NULL) &&
        !dnnl_primitive_create(&prim, pd);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from->mem}, {DNNL_ARG_TO, to}};
    done =
        done && !dnnl_primitive_execute(prim, o->stream, 2, args) && !dnnl_stream_wait(o->stream);
    if (prim) dnnl_primitive_destroy(prim);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (to) dnnl_memory_destroy(to);
    return done;
}

void ab_onednn_peek(const struct ab_exec *exec, int id, double *out)
{
    const struct ab_onednn *o = ab_onednn_of(exec);
    const struct ab_onednn_slot *slot = o->values[id];
    if (!slot) return;
    if (exec->program->values[id].dtype == AB_TAU) {
        widen(dnnl_f32, slot->data, (size_t)exec->batch, out);
        return;
    }
    dnnl_dims_t dims;
    const int ndims = ab_onednn_dims(o, id, dims);
    const dnnl_data_type_t type = ab_md_type(slot->md); /* switches are u8 or s32 */
    ab_md *plain = ab_md_tag(ndims, dims, type, ndims == 2 ? dnnl_ab : dnnl_nchw);
    size_t count = 1;
    for (int i = 0; i < ndims; i++) count *= (size_t)dims[i];
    if (plain && dnnl_memory_desc_equal(plain, slot->md)) {
        widen(type, slot->data, count, out);
    } else {
        void *copy = plain ? malloc(type_size(type) * count) : NULL;
        if (copy && copy_plain(o, slot, plain, copy)) {
            widen(type, copy, count, out);
        } else {
            for (size_t i = 0; i < count; i++) out[i] = (double)NAN;
        }
        free(copy);
    }
    ab_md_free(plain);
}
