// SPDX-License-Identifier: Apache-2.0
// Attributes of ONNX nodes, and what sliding windows say with them.
#include "base/base.h"
#if AB_WITH_ONNX
#include "model/onnx.h"

#include <string.h>

enum { WINDOW_LIMIT = 1 << 15 }; /* as shape inference has it */

const Onnx__AttributeProto *ab_onnx_attribute(const struct ab_onnx_reader *r, const char *name)
{
    for (size_t i = 0; i < r->at->n_attribute; i++) {
        const Onnx__AttributeProto *a = r->at->attribute[i];
        if (a->name && strcmp(a->name, name) == 0) return a;
    }
    return NULL;
}

/* Whether `word` is one of the space-separated `words`. */
static bool is_among(const char *word, const char *words)
{
    size_t length = strlen(word);
    for (const char *at = words; *at;) {
        size_t n = strcspn(at, " ");
        if (n == length && memcmp(at, word, n) == 0) return true;
        at += n;
        at += strspn(at, " ");
    }
    return false;
}

/* Every attribute of a supported operator that is not listed is an integer; `value` is a float in
 * Pad. */
static bool type_fits(const struct ab_onnx_reader *r, const Onnx__AttributeProto *a)
{
    static const struct {
        const char *names;
        Onnx__AttributeProto__AttributeType type;
    } types[] = {
        {"axes dilations kernel_shape pads strides value_ints",
         ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS},
        {"alpha beta epsilon max min momentum ratio value_float",
         ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT},
        {"value_floats", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS},
        {"auto_pad mode", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING},
    };
    if (!a->has_type) return true; /* before IR version 2 */
    if (strcmp(a->name, "value") == 0)
        return a->type == (strcmp(r->at->op_type, "Pad") == 0
                               ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT
                               : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (is_among(a->name, types[i].names)) return a->type == types[i].type;
    return a->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
}

enum ab_status ab_onnx_check_attributes(const struct ab_onnx_reader *r, const char *allowed)
{
    for (size_t i = 0; i < r->at->n_attribute; i++) {
        const Onnx__AttributeProto *a = r->at->attribute[i];
        const char *name = a->name ? a->name : "";
        if (!is_among(name, allowed))
            return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "attribute '%s' is not supported", name);
        if (!type_fits(r, a))
            return ab_onnx_fail(r, AB_ERR_FORMAT, "attribute '%s' has the wrong type", name);
        if (a->ref_attr_name && *a->ref_attr_name)
            return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                                "attribute '%s' refers to a function's; inline the functions",
                                name);
    }
    return AB_OK;
}

/* Files written with proto3 leave zeros out: an attribute that is there without a value is 0. */
int64_t ab_onnx_int(const struct ab_onnx_reader *r, const char *name, int64_t fallback)
{
    const Onnx__AttributeProto *a = ab_onnx_attribute(r, name);
    if (!a) return fallback;
    return a->has_i ? a->i : 0;
}

float ab_onnx_float(const struct ab_onnx_reader *r, const char *name, float fallback)
{
    const Onnx__AttributeProto *a = ab_onnx_attribute(r, name);
    if (!a) return fallback;
    return a->has_f ? a->f : 0;
}

bool ab_onnx_string_is(const struct ab_onnx_reader *r, const char *name, const char *value)
{
    const Onnx__AttributeProto *a = ab_onnx_attribute(r, name);
    size_t length = strlen(value);
    return a && a->has_s && a->s.len == length && memcmp(a->s.data, value, length) == 0;
}

/* An integer list of exactly n elements in [low, WINDOW_LIMIT]; left alone if absent. */
static enum ab_status list(const struct ab_onnx_reader *r, const char *name, int low, int *out,
                           size_t n)
{
    const Onnx__AttributeProto *a = ab_onnx_attribute(r, name);
    if (!a) return AB_OK;
    if (a->n_ints != n)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "%s has %zu elements, not %zu: only 2-D windows "
                            "are supported",
                            name, a->n_ints, n);
    for (size_t i = 0; i < n; i++) {
        if (a->ints[i] < low || a->ints[i] > WINDOW_LIMIT)
            return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "%s has %lld, outside %d..%d", name,
                                (long long)a->ints[i], low, WINDOW_LIMIT);
        out[i] = (int)a->ints[i];
    }
    return AB_OK;
}

/* SAME: as many outputs as in/stride rounded up; an odd pixel of padding goes to the end (UPPER) or
 * to the beginning (LOWER). */
static void pad_same(struct ab_onnx_window *w, int axis, int in, bool upper)
{
    int64_t extent = (int64_t)w->dilation[axis] * (w->kernel[axis] - 1) + 1;
    int64_t out = ((int64_t)in + w->stride[axis] - 1) / w->stride[axis];
    int64_t total = (out - 1) * w->stride[axis] + extent - in;
    if (total < 0) total = 0;
    int64_t less = total / 2, more = total - less;
    w->pad[axis] = (int)(upper ? less : more);
    w->pad[axis + 2] = (int)(upper ? more : less);
}

static enum ab_status padding(const struct ab_onnx_reader *r, struct ab_dims in,
                              struct ab_onnx_window *w)
{
    bool upper = ab_onnx_string_is(r, "auto_pad", "SAME_UPPER");
    if (upper || ab_onnx_string_is(r, "auto_pad", "SAME_LOWER")) {
        pad_same(w, 0, in.h, upper);
        pad_same(w, 1, in.w, upper);
        return AB_OK;
    }
    if (ab_onnx_string_is(r, "auto_pad", "VALID")) return AB_OK;
    if (ab_onnx_attribute(r, "auto_pad") && !ab_onnx_string_is(r, "auto_pad", "NOTSET"))
        return ab_onnx_fail(r, AB_ERR_FORMAT,
                            "auto_pad is not NOTSET, VALID, SAME_UPPER or SAME_LOWER");
    return list(r, "pads", 0, w->pad, 4);
}

enum ab_status ab_onnx_window(const struct ab_onnx_reader *r, struct ab_dims in,
                              const int64_t *kernel, struct ab_onnx_window *w)
{
    *w = (struct ab_onnx_window){.stride = {1, 1}, .dilation = {1, 1}};
    if (!kernel && !ab_onnx_attribute(r, "kernel_shape"))
        return ab_onnx_fail(r, AB_ERR_FORMAT, "kernel_shape is missing");
    for (int i = 0; kernel && i < 2; i++) {
        if (kernel[i] < 1 || kernel[i] > WINDOW_LIMIT)
            return ab_onnx_fail(r, AB_ERR_FORMAT, "a kernel of %lldx%lld is out of range",
                                (long long)kernel[0], (long long)kernel[1]);
        w->kernel[i] = (int)kernel[i];
    }
    enum ab_status status = list(r, "kernel_shape", 1, w->kernel, 2);
    if (status == AB_OK) status = list(r, "strides", 1, w->stride, 2);
    if (status == AB_OK) status = list(r, "dilations", 1, w->dilation, 2);
    if (status != AB_OK) return status;
    if (kernel && (w->kernel[0] != kernel[0] || w->kernel[1] != kernel[1]))
        return ab_onnx_fail(r, AB_ERR_FORMAT,
                            "kernel_shape is %dx%d, but the weights have %lldx%lld", w->kernel[0],
                            w->kernel[1], (long long)kernel[0], (long long)kernel[1]);
    return padding(r, in, w);
}
#endif
