// SPDX-License-Identifier: Apache-2.0
// Constants of ONNX files: initializers and Constant nodes, inside the file or beside it.
#include "base/base.h"
#if AB_WITH_ONNX
#include "base/infile.h"
#include "model/onnx.h"

#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FLOAT = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
    DOUBLE = ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE,
    INT32 = ONNX__TENSOR_PROTO__DATA_TYPE__INT32,
    INT64 = ONNX__TENSOR_PROTO__DATA_TYPE__INT64
};

static const char *title(const Onnx__TensorProto *t)
{
    return t->name && *t->name ? t->name : "(unnamed)";
}

static const char *type_name(int32_t type)
{
    static const char *const names[] = {
        "undefined", "float32", "uint8",     "int8",       "uint16",   "int16",
        "int32",     "int64",   "string",    "bool",       "float16",  "double",
        "uint32",    "uint64",  "complex64", "complex128", "bfloat16",
    };
    return type >= 0 && type < (int32_t)(sizeof names / sizeof *names) ? names[type] : "unknown";
}

/* Rank, dims and count of a tensor; every dim positive, the count below 2^31. */
static enum ab_status measure(const struct ab_onnx_reader *r, const Onnx__TensorProto *t,
                              struct ab_onnx_array *array)
{
    if (t->n_dims > AB_ONNX_RANK)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "constant '%s' has %zu dimensions", title(t),
                            t->n_dims);
    array->rank = (int)t->n_dims;
    array->count = 1;
    for (size_t i = 0; i < t->n_dims; i++) {
        int64_t dim = t->dims[i];
        if (dim < 1 || dim > INT_MAX || array->count > (size_t)INT_MAX / (size_t)dim)
            return ab_onnx_fail(r, AB_ERR_FORMAT,
                                "constant '%s': dimension %zu is %lld; every one must be positive "
                                "and their product below 2^31",
                                title(t), i, (long long)dim);
        array->dims[i] = (size_t)dim;
        array->count *= (size_t)dim;
    }
    if (t->segment)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "constant '%s' is stored in segments", title(t));
    return AB_OK;
}

static enum ab_status wrong_size(const struct ab_onnx_reader *r, const Onnx__TensorProto *t,
                                 uint64_t has, size_t needs, const char *unit)
{
    return ab_onnx_fail(r, AB_ERR_FORMAT, "constant '%s' has %llu %s, but its shape needs %zu",
                        title(t), (unsigned long long)has, unit, needs);
}

/* ---- external data: location, offset, length ---- */

struct external {
    const char *location;
    uint64_t offset, length;
    bool has_length;
};

static bool decimal(const char *text, uint64_t *value)
{
    errno = 0;
    char *end;
    if (*text < '0' || *text > '9') return false;
    *value = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *value <= INT64_MAX;
}

/* A relative path none of whose parts is "..": a model must not read files elsewhere. */
static bool stays_inside(const char *path)
{
    if (*path == '/' || *path == '\0' || strchr(path, '\\')) return false;
    for (const char *at = path; *at;) {
        size_t n = strcspn(at, "/");
        if (n == 2 && at[0] == '.' && at[1] == '.') return false;
        at += n;
        at += strspn(at, "/");
    }
    return true;
}

static enum ab_status parse_external(const struct ab_onnx_reader *r, const Onnx__TensorProto *t,
                                     struct external *x)
{
    *x = (struct external){0};
    bool valid = true;
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *key = t->external_data[i]->key, *value = t->external_data[i]->value;
        if (!key || !value) continue;
        if (strcmp(key, "location") == 0) x->location = value;
        if (strcmp(key, "offset") == 0) valid = valid && decimal(value, &x->offset);
        if (strcmp(key, "length") == 0)
            valid = valid && decimal(value, &x->length), x->has_length = true;
    }
    if (!x->location || !valid)
        return ab_onnx_fail(r, AB_ERR_FORMAT,
                            "constant '%s': its external data have no valid location, offset and "
                            "length",
                            title(t));
    if (!stays_inside(x->location))
        return ab_onnx_fail(r, AB_ERR_FORMAT,
                            "constant '%s': its external data are in '%s'; only files below the "
                            "model's own directory are read",
                            title(t), x->location);
    return AB_OK;
}

static char *beside(const char *model, const char *location)
{
    const char *slash = strrchr(model, '/');
    size_t directory = slash ? (size_t)(slash + 1 - model) : 0, length = strlen(location) + 1;
    char *path = malloc(directory + length);
    if (!path) return NULL;
    memcpy(path, model, directory);
    memcpy(path + directory, location, length);
    return path;
}

/* With `out` NULL only checks that all bytes are there. */
static enum ab_status read_external(const struct ab_onnx_reader *r, const Onnx__TensorProto *t,
                                    void *out, size_t bytes)
{
    struct external x;
    enum ab_status status = parse_external(r, t, &x);
    if (status != AB_OK) return status;
    if (x.has_length && x.length != bytes) return wrong_size(r, t, x.length, bytes, "bytes");
    char *path = beside(r->path, x.location);
    if (!path) return ab_onnx_fail(r, AB_ERR_MEMORY, "out of memory");
    uint64_t size;
    FILE *file = ab_infile_open(path, "the weights of an ONNX model", &size, &status, r->err);
    if (!file) goto done;
    if (x.offset > size || bytes > size - x.offset)
        status = ab_onnx_fail(r, AB_ERR_FORMAT,
                              "constant '%s' needs %zu bytes at %llu of '%s', which has only %llu; "
                              "copy it again",
                              title(t), bytes, (unsigned long long)x.offset, x.location,
                              (unsigned long long)size);
    else if (out &&
             (fseeko(file, (off_t)x.offset, SEEK_SET) != 0 || fread(out, 1, bytes, file) != bytes))
        status = ab_onnx_fail(r, AB_ERR_IO, "'%s' cannot be read", x.location);
    fclose(file);

done:
    free(path);
    return status;
}

static bool is_external(const Onnx__TensorProto *t)
{
    return t->has_data_location && t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
}

/* Whether the file holds what the shape needs, before that much memory is taken: `count` elements
 * of `width` bytes, or `typed` elements in the field of their type. */
static enum ab_status check_stored(const struct ab_onnx_reader *r, const Onnx__TensorProto *t,
                                   size_t count, size_t width, size_t typed)
{
    if (is_external(t)) return read_external(r, t, NULL, count * width);
    if (t->has_raw_data && t->raw_data.len != count * width)
        return wrong_size(r, t, t->raw_data.len, count * width, "bytes");
    if (!t->has_raw_data && typed != count) return wrong_size(r, t, typed, count, "elements");
    return AB_OK;
}

/* The tensor's bytes, from raw_data, from `typed`, or outside. Their number has been checked. */
static enum ab_status copy_stored(const struct ab_onnx_reader *r, const Onnx__TensorProto *t,
                                  const void *typed, void *out, size_t bytes)
{
    if (is_external(t)) return read_external(r, t, out, bytes);
    memcpy(out, t->has_raw_data ? t->raw_data.data : typed, bytes);
    return AB_OK;
}

/* ---- floats ---- */

static enum ab_status narrow_doubles(const struct ab_onnx_reader *r, const Onnx__TensorProto *t,
                                     float *out, size_t count)
{
    double *wide = malloc(count * sizeof *wide);
    if (!wide) return ab_onnx_fail(r, AB_ERR_MEMORY, "out of memory");
    enum ab_status status = copy_stored(r, t, t->double_data, wide, count * sizeof *wide);
    /* Beyond float32 becomes infinite, which finishing the graph refuses with the layer's name. */
    for (size_t i = 0; status == AB_OK && i < count; i++)
        out[i] = fabs(wide[i]) <= FLT_MAX ? (float)wide[i] : INFINITY;
    free(wide);
    return status;
}

static enum ab_status read_floats(const struct ab_onnx_reader *r, const Onnx__TensorProto *t,
                                  struct ab_onnx_array *array)
{
    bool single = t->data_type == FLOAT;
    enum ab_status status = measure(r, t, array);
    if (status == AB_OK)
        status = check_stored(r, t, array->count, single ? sizeof(float) : sizeof(double),
                              single ? t->n_float_data : t->n_double_data);
    if (status != AB_OK) return status;
    array->data = ab_buffer_alloc(array->count * sizeof *array->data);
    if (!array->data)
        return ab_onnx_fail(r, AB_ERR_MEMORY, "no memory for %zu weights", array->count);
    if (single)
        return copy_stored(r, t, t->float_data, array->data, array->count * sizeof *array->data);
    return narrow_doubles(r, t, array->data, array->count);
}

static enum ab_status copy_floats(const struct ab_onnx_reader *r, const struct ab_onnx_value *value,
                                  struct ab_onnx_array *array)
{
    array->rank = 1, array->dims[0] = array->count = value->n_floats;
    array->data = ab_buffer_alloc(array->count * sizeof *array->data);
    if (!array->data) return ab_onnx_fail(r, AB_ERR_MEMORY, "out of memory");
    memcpy(array->data, value->floats, array->count * sizeof *array->data);
    return AB_OK;
}

static enum ab_status constant_input(const struct ab_onnx_reader *r, size_t i,
                                     const struct ab_onnx_value **value)
{
    *value = ab_onnx_input(r, i);
    if (!*value) return ab_onnx_fail(r, AB_ERR_FORMAT, "input %zu is missing", i);
    if ((*value)->kind == AB_ONNX_LAYER)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "input %zu ('%s') depends on the image; it must be a constant", i,
                            (*value)->name);
    return AB_OK;
}

enum ab_status ab_onnx_floats(const struct ab_onnx_reader *r, size_t i, struct ab_onnx_array *array)
{
    *array = (struct ab_onnx_array){0};
    const struct ab_onnx_value *value;
    enum ab_status status = constant_input(r, i, &value);
    if (status != AB_OK) return status;
    const Onnx__TensorProto *t = value->tensor;
    bool plain = value->kind == AB_ONNX_TENSOR && !t;
    int32_t type = plain ? FLOAT : t ? t->data_type : INT64;
    if (type != FLOAT && type != DOUBLE)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED,
                            "input %zu ('%s') holds %s; convert the model to float32", i,
                            value->name, type_name(type));
    status = plain ? copy_floats(r, value, array) : read_floats(r, t, array);
    if (status != AB_OK) {
        ab_buffer_free(array->data);
        array->data = NULL;
    }
    return status;
}

enum ab_status ab_onnx_vector(const struct ab_onnx_reader *r, size_t i, size_t count, float **data)
{
    struct ab_onnx_array array;
    *data = NULL;
    enum ab_status status = ab_onnx_floats(r, i, &array);
    if (status != AB_OK) return status;
    if (array.count != count) {
        ab_buffer_free(array.data);
        return ab_onnx_fail(r, AB_ERR_FORMAT, "input %zu has %zu elements, not %zu", i, array.count,
                            count);
    }
    *data = array.data;
    return AB_OK;
}

/* ---- integers ---- */

static enum ab_status read_ints(const struct ab_onnx_reader *r, const Onnx__TensorProto *t,
                                int64_t *out, size_t count)
{
    bool wide = t->data_type == INT64;
    int32_t narrow[AB_ONNX_INTS];
    enum ab_status status = check_stored(r, t, count, wide ? sizeof *out : sizeof *narrow,
                                         wide ? t->n_int64_data : t->n_int32_data);
    if (status != AB_OK) return status;
    if (wide) return copy_stored(r, t, t->int64_data, out, count * sizeof *out);
    status = copy_stored(r, t, t->int32_data, narrow, count * sizeof *narrow);
    for (size_t i = 0; status == AB_OK && i < count; i++) out[i] = narrow[i];
    return status;
}

enum ab_status ab_onnx_ints(const struct ab_onnx_reader *r, size_t i, int64_t *ints, int *n)
{
    const struct ab_onnx_value *value;
    enum ab_status status = constant_input(r, i, &value);
    if (status != AB_OK) return status;
    if (value->kind == AB_ONNX_SHAPE) {
        memcpy(ints, value->ints, (size_t)value->n_ints * sizeof *ints);
        *n = value->n_ints;
        return AB_OK;
    }
    const Onnx__TensorProto *t = value->tensor;
    if (!t || (t->data_type != INT64 && t->data_type != INT32))
        return ab_onnx_fail(r, AB_ERR_FORMAT, "input %zu ('%s') holds %s, not int64", i,
                            value->name, type_name(t ? t->data_type : FLOAT));
    struct ab_onnx_array array = {0};
    status = measure(r, t, &array);
    if (status != AB_OK) return status;
    if (array.count > AB_ONNX_INTS)
        return ab_onnx_fail(r, AB_ERR_UNSUPPORTED, "input %zu ('%s') has %zu elements", i,
                            value->name, array.count);
    *n = (int)array.count;
    return read_ints(r, t, ints, array.count);
}
#endif
