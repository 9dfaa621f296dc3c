// SPDX-License-Identifier: Apache-2.0
// Images as 8-bit RGB: what ab_image_read and the heat maps are made of.
#ifndef AB_IMAGE_H
#define AB_IMAGE_H

#include "base/base.h"

#include <stdio.h>

/* data: malloc'd, height rows of width pixels of 3 bytes. */
struct ab_rgb {
    int width, height;
    uint8_t *data;
};

/* Decodes a PNG (any depth and colour type; transparency over white; 16 bits reduced to 8) or a
 * JPEG (baseline or progressive; gray, colour, CMYK). Orientation tags and colour profiles are
 * ignored, as torchvision does. free(image->data). */
enum ab_status ab_rgb_decode(const char *path, struct ab_rgb *image, struct ab_error *err);

/* The part of the image that a model with h x w inputs sees, as ab_image_read prepares it: the
 * ground for overlays. free(image->data). */
enum ab_status ab_rgb_read(const char *path, int h, int w, struct ab_rgb *image,
                           struct ab_error *err);

/* Resizes with a triangle filter, widened when shrinking (what PIL calls bilinear).
 * free(out->data).
 */
enum ab_status ab_rgb_resize(const struct ab_rgb *in, int width, int height, struct ab_rgb *out,
                             struct ab_error *err);

/* Writes an 8-bit RGB PNG; rgb: height rows of width pixels. Whole or not at all. */
enum ab_status ab_png_write(const char *path, int width, int height, const uint8_t *rgb,
                            struct ab_error *err);

/* Decoders behind ab_rgb_decode: from an open file to a checked, allocated image. On failure
 * image->data is NULL. */
enum ab_status ab_png_decode(FILE *file, const char *path, struct ab_rgb *image,
                             struct ab_error *err);
enum ab_status ab_jpeg_decode(FILE *file, const char *path, struct ab_rgb *image,
                              struct ab_error *err);
/* Checks the size that a file claims. */
enum ab_status ab_rgb_check(const char *path, unsigned long width, unsigned long height,
                            struct ab_error *err);
/* The same, and allocates `image`. */
enum ab_status ab_rgb_alloc(const char *path, unsigned long width, unsigned long height,
                            struct ab_rgb *image, struct ab_error *err);

#endif
