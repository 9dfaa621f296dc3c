// SPDX-License-Identifier: Apache-2.0
// PNG files through libpng. Its errors jump; here they come out as a status.
#include "base/image.h"
#if AB_WITH_IMAGES
#include "base/outfile.h"

#include <png.h>
#include <stdlib.h>

/* What the error callback fills. */
struct failure {
    char text[128];
};

static void on_error(png_structp png, png_const_charp text)
{
    struct failure *failure = png_get_error_ptr(png);
    snprintf(failure->text, sizeof failure->text, "%s", text);
    png_longjmp(png, 1);
}

/* Wrong gamma, odd text chunks: the picture is fine. */
static void on_warning(png_structp png, png_const_charp text)
{
    (void)png, (void)text;
}

/* ---- reading ---- */

/* Everything that must outlive a jump; no local of the function that calls setjmp changes. */
struct reading {
    png_structp png;
    png_infop info;
    png_bytep pixels; /* RGBA */
    png_bytep *rows;
    unsigned long width, height;
};

static bool read_pixels(struct reading *r, FILE *file)
{
    if (setjmp(png_jmpbuf(r->png))) return false;
    png_init_io(r->png, file);
    /* The size is checked afterwards, with a message of ours. */
    png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_read_info(r->png, r->info);
    r->width = png_get_image_width(r->png, r->info);
    r->height = png_get_image_height(r->png, r->info);
    return true;
}

static bool decode_rows(struct reading *r)
{
    if (setjmp(png_jmpbuf(r->png))) return false;
    png_set_expand(r->png); /* palettes, 1 to 4 bits, tRNS */
    png_set_scale_16(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_add_alpha(r->png, 0xff, PNG_FILLER_AFTER);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    if (png_get_rowbytes(r->png, r->info) != r->width * 4) png_error(r->png, "unexpected row size");
    png_read_image(r->png, r->rows);
    png_read_end(r->png, NULL);
    return true;
}

/* Over white, rounded to nearest; in place, since a second copy of the largest image would be 400
 * MB: pixels only move towards the front. */
static void composite(struct reading *r)
{
    uint8_t *rgb = r->pixels;
    for (size_t i = 0; i < r->width * r->height; i++) {
        const png_byte *p = r->pixels + 4 * i;
        const unsigned alpha = p[3], white = 255 * (255 - alpha);
        for (size_t c = 0; c < 3; c++)
            rgb[3 * i + c] = (uint8_t)((p[c] * alpha + white + 127) / 255);
    }
}

enum ab_status ab_png_decode(FILE *file, const char *path, struct ab_rgb *image,
                             struct ab_error *err)
{
    struct failure failure = {""};
    struct reading r = {0};
    enum ab_status status = AB_OK;
    *image = (struct ab_rgb){0};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure, on_error, on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (!r.info) {
        status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
        goto done;
    }
    if (!read_pixels(&r, file)) goto broken;
    status = ab_rgb_check(path, r.width, r.height, err);
    if (status != AB_OK) goto done;
    r.pixels = malloc(r.width * r.height * 4);
    r.rows = malloc(r.height * sizeof *r.rows);
    if (!r.pixels || !r.rows) {
        status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
        goto done;
    }
    for (size_t y = 0; y < r.height; y++) r.rows[y] = r.pixels + y * r.width * 4;
    if (!decode_rows(&r)) goto broken;
    composite(&r);
    /* That it becomes smaller is no reason to fail. */
    image->data = realloc(r.pixels, r.width * r.height * 3);
    if (!image->data) image->data = r.pixels;
    r.pixels = NULL;
    image->width = (int)r.width, image->height = (int)r.height;
    goto done;

broken:
    status = ab_fail(err, AB_ERR_FORMAT, "%s: is a damaged PNG (%s); copy or export it again", path,
                     failure.text);
done:
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.rows);
    free(r.pixels);
    return status;
}

/* ---- writing ---- */

static bool write_rows(png_structp png, png_infop info, FILE *file, const struct ab_rgb *image)
{
    if (setjmp(png_jmpbuf(png))) return false;
    png_init_io(png, file);
    png_set_IHDR(png, info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int y = 0; y < image->height; y++)
        png_write_row(png, image->data + (size_t)y * (size_t)image->width * 3);
    png_write_end(png, NULL);
    return true;
}

enum ab_status ab_png_write(const char *path, int width, int height, const uint8_t *rgb,
                            struct ab_error *err)
{
    if (width < 1 || height < 1)
        return ab_fail(err, AB_ERR_ARG, "%s: cannot write %dx%d pixels", path, width, height);
    /* Rows are only read; libpng's interface just does not say so in all versions. */
    const struct ab_rgb image = {width, height, (uint8_t *)(uintptr_t)rgb};
    struct failure failure = {""};
    struct ab_outfile out;
    enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    png_structp png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info)
        status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
    else if (!write_rows(png, info, out.stream, &image))
        status = ab_fail(err, AB_ERR_IO,
                         "%s: cannot be written (%s); free some space or choose "
                         "another place",
                         path, failure.text);
    png_destroy_write_struct(&png, &info);
    return ab_outfile_close(&out, status, err);
}
#else
enum ab_status ab_png_write(const char *path, int width, int height, const uint8_t *rgb,
                            struct ab_error *err)
{
    (void)width, (void)height, (void)rgb;
    return ab_fail(err, AB_ERR_UNSUPPORTED,
                   "%s: attrbench was built without image files; write .npy, or build it with "
                   "-DAB_WITH_IMAGES=ON",
                   path);
}
#endif
