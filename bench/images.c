// SPDX-License-Identifier: Apache-2.0
// Preprocessing, and images from files, arrays and folders.
#include "source.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool parse_floats(const char *text, size_t length, float *out, int *count)
{
    const char *stop = text + length;
    *count = 0;
    while (text < stop && *count < 16) {
        char *end;
        float v = strtof(text, &end);
        if (end == text || end > stop || !isfinite(v)) return false;
        out[(*count)++] = v;
        text = end;
        if (text < stop && *text++ != '/') return false;
    }
    return *count > 0;
}

/* "mean=a/b/c,std=a/b/c", in either order, both with one value or one per channel. */
static bool parse_values(const char *text, struct ab_preprocess *p)
{
    int means = 0, stds = 0;
    while (*text) {
        size_t length = strcspn(text, ",");
        if (!strncmp(text, "mean=", 5)) {
            if (!parse_floats(text + 5, length - 5, p->mean, &means)) return false;
        } else if (!strncmp(text, "std=", 4)) {
            if (!parse_floats(text + 4, length - 4, p->std, &stds)) return false;
        } else
            return false;
        text += length + (text[length] == ',');
    }
    p->count = means > stds ? means : stds;
    for (int i = means; i < p->count; i++) p->mean[i] = means ? p->mean[0] : 0;
    for (int i = stds; i < p->count; i++) p->std[i] = stds ? p->std[0] : 1;
    for (int i = 0; i < p->count; i++)
        if (p->std[i] <= 0) return false;
    return p->count > 0 && (means <= 1 || stds <= 1 || means == stds);
}

enum ab_status ab_preprocess_parse(const char *text, struct ab_dims dims, struct ab_preprocess *p,
                                   struct ab_error *err)
{
    static const struct ab_preprocess imagenet = {.name = "imagenet",
                                                  .mean = {0.485f, 0.456f, 0.406f},
                                                  .std = {0.229f, 0.224f, 0.225f},
                                                  .count = 3};
    if (!text) text = dims.c == 3 ? "imagenet" : "unit";
    *p = (struct ab_preprocess){.name = text, .std = {1}, .count = 1};
    if (!strcmp(text, "imagenet"))
        *p = imagenet;
    else if (!strcmp(text, "none"))
        p->std[0] = 1.0f / 255;
    else if (strcmp(text, "unit") != 0 && !parse_values(text, p))
        return ab_fail(err, AB_ERR_ARG,
                       "preprocess '%s': unknown; give imagenet, unit (pixels in "
                       "[0,1]), none (0 to 255) or mean=a/b/c,std=a/b/c",
                       text);
    if (p->count != 1 && p->count != dims.c)
        return ab_fail(err, AB_ERR_ARG,
                       "preprocess '%s': has %d values, but the model's input has "
                       "%d channels; give one value or one per channel",
                       text, p->count, dims.c);
    if (dims.c > 16 && p->count != 1)
        return ab_fail(err, AB_ERR_ARG, "preprocess '%s': at most 16 channels; use .npy", text);
    return AB_OK;
}

static bool ends_with(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n >= m && !strcasecmp(path + n - m, ending);
}

static bool is_input(const char *path)
{
    return ends_with(path, ".png") || ends_with(path, ".jpg") || ends_with(path, ".jpeg") ||
           ends_with(path, ".npy");
}

static enum ab_status grow(struct ab_images *images, int more, size_t pixels, struct ab_error *err)
{
    bool overflow = false;
    size_t total =
        ab_mul_size((size_t)images->count + (size_t)more, pixels * sizeof(float), &overflow);
    float *data = overflow ? NULL : realloc(images->data, total);
    if (!data) return ab_fail(err, AB_ERR_MEMORY, "images: out of memory; give fewer");
    images->data = data;
    return AB_OK;
}

static enum ab_status name_image(struct ab_images *images, const char *path, int index,
                                 struct ab_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    char name[256];
    snprintf(name, sizeof name, "%.*s", (int)(dot ? dot - base : (long)strlen(base)), base);
    size_t used = strlen(name);
    if (index >= 0) snprintf(name + used, sizeof name - used, "-%d", index);
    if (ab_words_add(&images->names, name, strlen(name))) return AB_OK;
    return ab_fail(err, AB_ERR_MEMORY, "images: out of memory; give fewer");
}

static enum ab_status add_array(struct ab_images *images, const char *path, struct ab_dims dims,
                                int limit, struct ab_error *err)
{
    float *data;
    int n;
    size_t pixels = (size_t)dims.c * (size_t)dims.h * (size_t)dims.w;
    enum ab_status status = ab_npy_read(path, dims, &data, &n, err);
    if (status != AB_OK) return status;
    if (limit && n > limit - images->count) n = limit - images->count;
    status = grow(images, n, pixels, err);
    for (int i = 0; status == AB_OK && i < n; i++) {
        memcpy(images->data + pixels * (size_t)images->count, data + pixels * (size_t)i,
               pixels * sizeof(float));
        status = name_image(images, path, n > 1 ? i : -1, err);
        images->count += status == AB_OK;
    }
    free(data);
    return status;
}

static enum ab_status add_picture(struct ab_images *images, const char *path, struct ab_dims dims,
                                  const struct ab_preprocess *p, struct ab_error *err)
{
    if (dims.c != 1 && dims.c != 3)
        return ab_fail(err, AB_ERR_ARG,
                       "%s: a picture, but the model's input has %d channels; give "
                       "a .npy array",
                       path, dims.c);
    float mean[3], std[3];
    for (int c = 0; c < dims.c; c++) {
        mean[c] = p->mean[p->count == 1 ? 0 : c];
        std[c] = p->std[p->count == 1 ? 0 : c];
    }
    size_t pixels = (size_t)dims.c * (size_t)dims.h * (size_t)dims.w;
    enum ab_status status = grow(images, 1, pixels, err);
    if (status == AB_OK)
        status = ab_image_read(path, dims, mean, std, images->data + pixels * (size_t)images->count,
                               err);
    if (status == AB_OK) status = name_image(images, path, -1, err);
    images->count += status == AB_OK;
    return status;
}

static int keep_inputs(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && is_input(entry->d_name);
}

static enum ab_status add_folder(struct ab_images *images, const char *path, struct ab_dims dims,
                                 const struct ab_preprocess *p, int limit, struct ab_error *err)
{
    struct dirent **entries;
    int count = scandir(path, &entries, keep_inputs, alphasort);
    if (count < 0)
        return ab_fail(err, AB_ERR_IO, "%s: cannot be listed: %s; check its permissions", path,
                       strerror(errno));
    enum ab_status status = AB_OK;
    if (count == 0)
        status =
            ab_fail(err, AB_ERR_IO, "%s: holds no .png, .jpg or .npy; name another folder", path);
    for (int i = 0; i < count; i++) {
        char file[1024];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (status == AB_OK && (!limit || images->count < limit))
            status = ab_images_add(images, file, dims, p, limit, err);
        free(entries[i]);
    }
    free(entries);
    return status;
}

enum ab_status ab_images_add(struct ab_images *images, const char *path, struct ab_dims dims,
                             const struct ab_preprocess *p, int limit, struct ab_error *err)
{
    if (ab_is_folder(path)) return add_folder(images, path, dims, p, limit, err);
    if (ends_with(path, ".npy")) return add_array(images, path, dims, limit, err);
    return add_picture(images, path, dims, p, err);
}

enum ab_status ab_images_usual(struct ab_images *images, const struct ab_source *source,
                               const struct ab_preprocess *p, struct ab_error *err)
{
    const struct ab_dims d = source->dims;
    struct ab_preprocess own;
    char path[1024];
    if (d.c != 1 && d.c != 3)
        return ab_fail(err, AB_ERR_ARG,
                       "%s: no picture has %d channels; give --input F.npy of [n][%d][%d][%d]",
                       source->name, d.c, d.c, d.h, d.w);
    ab_data_path(d.c == 1 ? "digits" : "images/chelsea.png", path, sizeof path);
    const enum ab_status status = p ? AB_OK : ab_preprocess_parse(NULL, d, &own, err);
    return status == AB_OK ? ab_images_add(images, path, d, p ? p : &own, 0, err) : status;
}

void ab_images_fill(const struct ab_images *images, struct ab_dims dims, int batch, float *input)
{
    const size_t image = (size_t)dims.c * (size_t)dims.h * (size_t)dims.w;
    for (int n = 0; n < batch; n++)
        memcpy(input + (size_t)n * image, images->data + (size_t)(n % images->count) * image,
               image * sizeof *input);
}

void ab_images_free(struct ab_images *images)
{
    free(images->data);
    ab_words_free(&images->names);
    *images = (struct ab_images){0};
}
