// SPDX-License-Identifier: Apache-2.0
// From an image file to a model's input: decode, resize, crop, normalise.
#include "base/image.h"

#include "base/infile.h"

#include <stdlib.h>
#include <string.h>

#if AB_WITH_IMAGES
/* Static, in a system header: neither its symbols nor its warnings are ours. */
/* Its assertions are wrong: filter weights before normalisation may exceed their limit of 1.1, as
 * from 300 to 256 pixels. Results are within 1 of PIL's in all ratios tried, but for the outermost
 * pixels when shrinking tenfold, where PIL cuts the filter and stb repeats the border. */
#define STBIR_ASSERT(x) ((void)0)
#define STB_IMAGE_RESIZE_STATIC
#define STB_IMAGE_RESIZE_IMPLEMENTATION
#include <stb_image_resize.h>
#endif

enum {
    SIDE_LIMIT = 16384,
    PIXEL_LIMIT = 1 << 27 /* 400 MB decoded: a file of a few bytes must not ask for more */
};

enum ab_status ab_rgb_check(const char *path, unsigned long width, unsigned long height,
                            struct ab_error *err)
{
    if (width < 1 || height < 1 || width > SIDE_LIMIT || height > SIDE_LIMIT ||
        width * height > PIXEL_LIMIT)
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "%s: has %lux%lu pixels; at most %d a side and %d in all are read: make it "
                       "smaller",
                       path, width, height, SIDE_LIMIT, PIXEL_LIMIT);
    return AB_OK;
}

enum ab_status ab_rgb_alloc(const char *path, unsigned long width, unsigned long height,
                            struct ab_rgb *image, struct ab_error *err)
{
    *image = (struct ab_rgb){0};
    enum ab_status status = ab_rgb_check(path, width, height, err);
    if (status != AB_OK) return status;
    image->data = malloc(width * height * 3);
    if (!image->data)
        return ab_fail(err, AB_ERR_MEMORY, "%s: no memory for %lux%lu pixels", path, width, height);
    image->width = (int)width, image->height = (int)height;
    return AB_OK;
}

#if AB_WITH_IMAGES
enum ab_status ab_rgb_decode(const char *path, struct ab_rgb *image, struct ab_error *err)
{
    static const char expected[] = "a PNG or JPEG image";
    *image = (struct ab_rgb){0};
    uint64_t size;
    enum ab_status status;
    FILE *file = ab_infile_open(path, expected, &size, &status, err);
    if (!file) return status;
    unsigned char head[32] = {0};
    size_t got = fread(head, 1, sizeof head, file);
    rewind(file);
    if (got >= 8 && memcmp(head, "\x89PNG\r\n\x1a\n", 8) == 0) {
        status = ab_png_decode(file, path, image, err);
    } else if (got >= 3 && memcmp(head, "\xff\xd8\xff", 3) == 0) {
        status = ab_jpeg_decode(file, path, image, err);
    } else {
        const char *kind = ab_infile_kind(head, got);
        status = ab_fail(err, AB_ERR_FORMAT, "%s: is %s, not %s; convert it", path,
                         kind ? kind : "something else", expected);
    }
    fclose(file);
    return status;
}

enum ab_status ab_rgb_resize(const struct ab_rgb *in, int width, int height, struct ab_rgb *out,
                             struct ab_error *err)
{
    enum ab_status status =
        ab_rgb_alloc("the resized image", (unsigned long)width, (unsigned long)height, out, err);
    if (status != AB_OK) return status;
    if (stbir_resize_uint8_generic(in->data, in->width, in->height, 0, out->data, width, height, 0,
                                   3, STBIR_ALPHA_CHANNEL_NONE, 0, STBIR_EDGE_CLAMP,
                                   STBIR_FILTER_TRIANGLE, STBIR_COLORSPACE_LINEAR, NULL))
        return AB_OK;
    free(out->data);
    *out = (struct ab_rgb){0};
    return ab_fail(err, AB_ERR_MEMORY, "no memory to resize an image to %dx%d", width, height);
}
#else
static enum ab_status without(struct ab_rgb *image, const char *path, struct ab_error *err)
{
    *image = (struct ab_rgb){0};
    return ab_fail(err, AB_ERR_UNSUPPORTED,
                   "%s: attrbench was built without image files; use .npy, or build it with "
                   "-DAB_WITH_IMAGES=ON",
                   path);
}

enum ab_status ab_rgb_decode(const char *path, struct ab_rgb *image, struct ab_error *err)
{
    return without(image, path, err);
}

enum ab_status ab_rgb_resize(const struct ab_rgb *in, int width, int height, struct ab_rgb *out,
                             struct ab_error *err)
{
    (void)in, (void)width, (void)height;
    return without(out, "the resized image", err);
}
#endif

/* ---- geometry: torchvision's Resize and CenterCrop ---- */

/* The size to resize to so that h x w can be cropped from its middle: 256 to 224 in proportion, as
 * ImageNet models are evaluated; small models take the whole image. The shorter side, relative to
 * the crop, is met exactly and the other one cut to an integer. */
static bool resized(const struct ab_rgb *in, int h, int w, int *to_h, int *to_w)
{
    int64_t short_h = h >= 64 ? ((int64_t)h * 256 + 112) / 224 : h;
    int64_t short_w = h >= 64 ? ((int64_t)w * 256 + 112) / 224 : w;
    int64_t by_h = short_h * in->width / in->height, by_w = short_w * in->height / in->width;
    bool rows_meet = by_h >= short_w;
    int64_t rows = rows_meet ? short_h : by_w, columns = rows_meet ? by_h : short_w;
    if (rows > SIDE_LIMIT || columns > SIDE_LIMIT || rows < h || columns < w) return false;
    *to_h = (int)rows, *to_w = (int)columns;
    return true;
}

/* round((size - crop) / 2), a half to the even side as Python rounds. */
static int margin(int size, int crop)
{
    int spare = size - crop, half = spare / 2;
    return spare % 2 && half % 2 ? half + 1 : half;
}

/* In place: rows only move towards the front. */
static void crop(struct ab_rgb *image, int h, int w)
{
    int top = margin(image->height, h), left = margin(image->width, w);
    size_t row = (size_t)w * 3;
    for (int y = 0; y < h; y++) {
        const uint8_t *from =
            image->data + ((size_t)(top + y) * (size_t)image->width + (size_t)left) * 3;
        memmove(image->data + (size_t)y * row, from, row);
    }
    image->width = w, image->height = h;
}

enum ab_status ab_rgb_read(const char *path, int h, int w, struct ab_rgb *image,
                           struct ab_error *err)
{
    struct ab_rgb full;
    *image = (struct ab_rgb){0};
    if (h < 1 || w < 1 || h > SIDE_LIMIT || w > SIDE_LIMIT)
        return ab_fail(err, AB_ERR_ARG, "%s: cannot be made %dx%d", path, h, w);
    enum ab_status status = ab_rgb_decode(path, &full, err);
    if (status != AB_OK) return status;
    if (full.height == h && full.width == w) {
        *image = full;
        return AB_OK;
    }
    int rows, columns;
    if (resized(&full, h, w, &rows, &columns))
        status = ab_rgb_resize(&full, columns, rows, image, err);
    else
        status = ab_fail(err, AB_ERR_UNSUPPORTED,
                         "%s: %dx%d pixels are too far from the model's %dx%d; crop it", path,
                         full.width, full.height, w, h);
    free(full.data);
    if (status == AB_OK) crop(image, h, w);
    return status;
}

/* ---- the model's input ---- */

/* ITU-R 601 luma in 16-bit fixed point, the numbers of PIL and libjpeg: gray stays what it is. */
static int luma(const uint8_t *rgb)
{
    return (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + (1 << 15)) >> 16;
}

enum ab_status ab_image_read(const char *path, struct ab_dims dims, const float *mean,
                             const float *std, float *out, struct ab_error *err)
{
    if (dims.c != 1 && dims.c != 3)
        return ab_fail(err, AB_ERR_ARG,
                       "%s: the model takes %d channels and an image has 1 or 3; use .npy", path,
                       dims.c);
    for (int c = 0; std && c < dims.c; c++)
        if (!(std[c] > 0))
            return ab_fail(err, AB_ERR_ARG, "%s: std %g of channel %d must be positive", path,
                           (double)std[c], c);
    struct ab_rgb image;
    enum ab_status status = ab_rgb_read(path, dims.h, dims.w, &image, err);
    if (status != AB_OK) return status;
    size_t pixels = (size_t)dims.h * (size_t)dims.w;
    for (int c = 0; c < dims.c; c++) {
        float shift = mean ? mean[c] : 0, scale = std ? std[c] : 1;
        float *plane = out + (size_t)c * pixels;
        for (size_t i = 0; i < pixels; i++) {
            const uint8_t *pixel = image.data + 3 * i;
            int value = dims.c == 1 ? luma(pixel) : pixel[c];
            plane[i] = ((float)value / 255.0f - shift) / scale;
        }
    }
    free(image.data);
    return AB_OK;
}
