// SPDX-License-Identifier: Apache-2.0
// NumPy's .npy files: float32 or float64 images in, float32 images out.
// Format: numpy.lib.format, versions 1.0, 2.0 and 3.0 (which differ in the header's length field
// and encoding alone).
#include "base/base.h"
#include "base/infile.h"
#include "base/outfile.h"

#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char remedy[] = "save it with numpy.save(path, array.astype('float32'))";

enum {
    MAGIC = 8, /* "\x93NUMPY", major, minor */
    HEADER_LIMIT =
        64 << 10, /* NumPy's own headers have 118 bytes; only the shape could be longer */
    RANK_LIMIT = 8
};

/* What a header says. */
struct header {
    char descr[16];
    bool fortran, has_descr, has_order, has_shape;
    size_t shape[RANK_LIMIT];
    int rank;
};

/* ---- the header: a Python dictionary literal ---- */

static const char *skip(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') at++;
    return at;
}

/* 'word' or "word" into `word`; the place after it, or NULL. */
static const char *parse_string(const char *at, char *word, size_t size)
{
    char quote = *at;
    if (quote != '\'' && quote != '"') return NULL;
    const char *end = strchr(at + 1, quote);
    if (!end || (size_t)(end - at - 1) >= size) return NULL;
    memcpy(word, at + 1, (size_t)(end - at - 1));
    word[end - at - 1] = '\0';
    return end + 1;
}

/* (2, 3,) into the shape; the place after it, or NULL. */
static const char *parse_shape(const char *at, struct header *h)
{
    if (*at++ != '(') return NULL;
    for (at = skip(at); *at != ')'; at = skip(at)) {
        if (*at < '0' || *at > '9' || h->rank == RANK_LIMIT) return NULL;
        errno = 0;
        char *end;
        unsigned long long dim = strtoull(at, &end, 10);
        if (errno || dim > SIZE_MAX) return NULL;
        h->shape[h->rank++] = (size_t)dim;
        at = skip(end);
        if (*at == ',')
            at++;
        else if (*at != ')')
            return NULL;
    }
    return at + 1;
}

static const char *parse_value(const char *at, const char *key, struct header *h)
{
    if (strcmp(key, "descr") == 0) {
        h->has_descr = true;
        if (*at == '[') { /* a record: no name fits, which the caller refuses */
            strcpy(h->descr, "a record");
            const char *end = strrchr(at, ']');
            return end ? end + 1 : NULL;
        }
        return parse_string(at, h->descr, sizeof h->descr);
    }
    if (strcmp(key, "fortran_order") == 0) {
        h->has_order = true;
        h->fortran = strncmp(at, "True", 4) == 0;
        if (h->fortran) return at + 4;
        return strncmp(at, "False", 5) == 0 ? at + 5 : NULL;
    }
    if (strcmp(key, "shape") != 0 || h->has_shape) return NULL;
    h->has_shape = true;
    return parse_shape(at, h);
}

static bool parse_header(const char *text, struct header *h)
{
    const char *at = skip(text);
    if (*at++ != '{') return false;
    for (at = skip(at); *at != '}'; at = skip(at)) {
        char key[16];
        at = parse_string(at, key, sizeof key);
        if (!at) return false;
        at = skip(at);
        if (*at++ != ':') return false;
        at = parse_value(skip(at), key, h);
        if (!at) return false;
        at = skip(at);
        if (*at == ',')
            at++;
        else if (*at != '}')
            return false;
    }
    return *skip(at + 1) == '\0' && h->has_descr && h->has_order && h->has_shape;
}

/* Reads and parses the header; *data is the offset of the first element. */
static enum ab_status read_header(FILE *file, const char *path, struct header *h, size_t *data,
                                  struct ab_error *err)
{
    unsigned char start[MAGIC + 4];
    size_t got = fread(start, 1, MAGIC, file);
    if (got < MAGIC || memcmp(start, "\x93NUMPY", 6) != 0) {
        const char *kind = ab_infile_kind(start, got);
        return ab_fail(err, AB_ERR_FORMAT, "%s: is %s, not a .npy array; %s", path,
                       kind ? kind : "something else", remedy);
    }
    int major = start[6], minor = start[7];
    if (major < 1 || major > 3 || minor != 0)
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "%s: .npy version %d.%d is not one of 1.0, 2.0, 3.0; %s", path, major, minor,
                       remedy);
    size_t digits = major == 1 ? 2 : 4, length = 0;
    if (fread(start + MAGIC, 1, digits, file) != digits)
        return ab_fail(err, AB_ERR_FORMAT, "%s: ends inside its header; copy it again", path);
    for (size_t i = digits; i-- > 0;) length = length << 8 | start[MAGIC + i];
    if (length > HEADER_LIMIT)
        return ab_fail(err, AB_ERR_FORMAT, "%s: a header of %zu bytes is no plain array's; %s",
                       path, length, remedy);
    char *text = malloc(length + 1);
    if (!text) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
    enum ab_status status = AB_OK;
    got = fread(text, 1, length, file);
    text[got] = '\0';
    *h = (struct header){0};
    if (got != length)
        status = ab_fail(err, AB_ERR_FORMAT, "%s: ends inside its header; copy it again", path);
    else if (strlen(text) != length || !parse_header(text, h))
        status = ab_fail(err, AB_ERR_FORMAT, "%s: its header is malformed; %s", path, remedy);
    *data = MAGIC + digits + length;
    free(text);
    return status;
}

/* ---- checks ---- */

static void print_shape(char *text, size_t size, const struct header *h)
{
    size_t at = (size_t)snprintf(text, size, "(");
    for (int i = 0; i < h->rank && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, i ? ", %zu" : "%zu", h->shape[i]);
    if (at < size) snprintf(text + at, size - at, ")");
}

/* The number of images: the shape must be [N,]C,H,W of `dims`, where a model of vectors (H = W = 1)
 * also takes [N,]C. */
static enum ab_status check_shape(const struct header *h, const char *path, struct ab_dims dims,
                                  size_t *images, struct ab_error *err)
{
    const size_t want[3] = {(size_t)dims.c, (size_t)dims.h, (size_t)dims.w};
    int one = dims.h == 1 && dims.w == 1 && h->rank < 3 ? 1 : 3; /* the rank of one image */
    bool fits = h->rank == one || h->rank == one + 1;
    for (int i = 0; fits && i < one; i++) fits = h->shape[h->rank - one + i] == want[i];
    char shape[128];
    print_shape(shape, sizeof shape, h);
    if (!fits)
        return ab_fail(err, AB_ERR_FORMAT,
                       "%s: shape %s; the model takes (%d, %d, %d) or (N, %d, %d, %d)", path, shape,
                       dims.c, dims.h, dims.w, dims.c, dims.h, dims.w);
    *images = h->rank > one ? h->shape[0] : 1;
    if (*images == 0)
        return ab_fail(err, AB_ERR_FORMAT, "%s: shape %s holds no image; save at least one", path,
                       shape);
    if (*images > INT_MAX)
        return ab_fail(err, AB_ERR_FORMAT, "%s: shape %s holds too many images; split the file",
                       path, shape);
    return AB_OK;
}

/* The element size, or 0 with the message. */
static enum ab_status check_layout(const struct header *h, const char *path, size_t *width,
                                   struct ab_error *err)
{
    const char *d = h->descr;
    if (strcmp(d, "<f4") == 0 || strcmp(d, "<f8") == 0)
        *width = d[2] == '4' ? sizeof(float) : sizeof(double);
    else if (strcmp(d, ">f4") == 0 || strcmp(d, ">f8") == 0)
        return ab_fail(err, AB_ERR_UNSUPPORTED, "%s: holds big-endian '%s'; %s", path, d, remedy);
    else
        return ab_fail(err, AB_ERR_UNSUPPORTED, "%s: holds '%s', not '<f4' or '<f8'; %s", path, d,
                       remedy);
    if (h->fortran)
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "%s: is in Fortran order; save numpy.ascontiguousarray(array)", path);
    return AB_OK;
}

static enum ab_status check_size(const struct header *h, const char *path, size_t width,
                                 size_t start, uint64_t size, size_t *elements,
                                 struct ab_error *err)
{
    bool overflow = false;
    *elements = 1;
    for (int i = 0; i < h->rank; i++) *elements = ab_mul_size(*elements, h->shape[i], &overflow);
    size_t bytes = ab_mul_size(*elements, width, &overflow);
    size_t expected = ab_add_size(bytes, start, &overflow);
    ab_mul_size(*elements, sizeof(double), &overflow);
    char shape[128];
    print_shape(shape, sizeof shape, h);
    if (overflow)
        return ab_fail(err, AB_ERR_FORMAT, "%s: shape %s is impossibly large; %s", path, shape,
                       remedy);
    if (size != expected)
        return ab_fail(
            err, AB_ERR_FORMAT,
            "%s: has %llu bytes, but shape %s of '%s' needs %zu: it is %s; save it again", path,
            (unsigned long long)size, shape, h->descr, expected,
            size < expected ? "cut short" : "followed by something else");
    return AB_OK;
}

/* ---- data ---- */

/* float64 in place to float32: element i is written at or before where it was read. */
static enum ab_status narrow(void *data, size_t elements, const char *path, struct ab_error *err)
{
    const unsigned char *from = data;
    unsigned char *to = data;
    for (size_t i = 0; i < elements; i++) {
        double wide;
        memcpy(&wide, from + i * sizeof wide, sizeof wide);
        if (isfinite(wide) && fabs(wide) > FLT_MAX)
            return ab_fail(err, AB_ERR_FORMAT, "%s: element %zu is %g, beyond float32; rescale it",
                           path, i, wide);
        float value = (float)wide;
        memcpy(to + i * sizeof value, &value, sizeof value);
    }
    return AB_OK;
}

/* The elements of an array of images of `dims`, or of any shape where dims is NULL. */
static enum ab_status read_array(const char *path, const struct ab_dims *dims, float **out,
                                 size_t *images, size_t *count, struct ab_error *err)
{
    *out = NULL;
    uint64_t size;
    enum ab_status status;
    FILE *file = ab_infile_open(path, "a .npy array", &size, &status, err);
    if (!file) return status;
    struct header h;
    size_t start = 0, width = 0, elements = 0;
    void *data = NULL;
    if ((status = read_header(file, path, &h, &start, err)) != AB_OK) goto fail;
    if ((status = check_layout(&h, path, &width, err)) != AB_OK) goto fail;
    if (dims && (status = check_shape(&h, path, *dims, images, err)) != AB_OK) goto fail;
    if ((status = check_size(&h, path, width, start, size, &elements, err)) != AB_OK) goto fail;
    if (elements == 0) {
        status = ab_fail(err, AB_ERR_FORMAT, "%s: holds no value; save at least one", path);
        goto fail;
    }
    data = malloc(elements * width);
    if (!data) {
        status = ab_fail(err, AB_ERR_MEMORY, "%s: no memory for %zu elements; split the file", path,
                         elements);
        goto fail;
    }
    if (fread(data, width, elements, file) != elements) {
        status = ab_fail(err, AB_ERR_IO, "%s: cannot be read to its end: %s; copy it again", path,
                         ferror(file) ? strerror(errno) : "it has shrunk");
        goto fail;
    }
    if (width == sizeof(double) && (status = narrow(data, elements, path, err)) != AB_OK) goto fail;
    fclose(file);
    *out = data, *count = elements;
    return AB_OK;

fail:
    free(data);
    fclose(file);
    return status;
}

enum ab_status ab_npy_read(const char *path, struct ab_dims dims, float **out, int *n,
                           struct ab_error *err)
{
    size_t images = 0, count = 0;
    enum ab_status status = read_array(path, &dims, out, &images, &count, err);
    *n = status ? 0 : (int)images;
    return status;
}

enum ab_status ab_npy_values(const char *path, float **out, size_t *count, struct ab_error *err)
{
    *count = 0;
    return read_array(path, NULL, out, NULL, count, err);
}

enum ab_status ab_npy_write(const char *path, const float *data, int n, struct ab_dims dims,
                            struct ab_error *err)
{
    bool overflow = n <= 0 || dims.c <= 0 || dims.h <= 0 || dims.w <= 0;
    size_t elements = overflow ? 0 : (size_t)n;
    elements = ab_mul_size(elements, (size_t)dims.c, &overflow);
    elements = ab_mul_size(elements, (size_t)dims.h, &overflow);
    elements = ab_mul_size(elements, (size_t)dims.w, &overflow);
    if (overflow)
        return ab_fail(err, AB_ERR_ARG, "%s: cannot write an array of shape (%d, %d, %d, %d)", path,
                       n, dims.c, dims.h, dims.w);
    /* Version 1.0; magic, length and text together are a multiple of 64, ended by a newline. The
     * text has 61 characters besides four numbers of 10 digits at most: 128 bytes always do. */
    enum { TOTAL = 128, TEXT = TOTAL - MAGIC - 2 };
    char head[TOTAL + 1];
    memcpy(head, "\x93NUMPY\x01\x00", MAGIC);
    head[MAGIC] = TEXT, head[MAGIC + 1] = 0;
    int used = snprintf(head + MAGIC + 2, TEXT + 1,
                        "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d, %d, %d), }", n,
                        dims.c, dims.h, dims.w);
    memset(head + MAGIC + 2 + used, ' ', (size_t)(TEXT - used));
    head[TOTAL - 1] = '\n';

    struct ab_outfile out;
    enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    /* Short writes set the stream's error flag, which closing looks at. */
    if (fwrite(head, 1, TOTAL, out.stream) == TOTAL)
        fwrite(data, sizeof *data, elements, out.stream);
    return ab_outfile_close(&out, AB_OK, err);
}
