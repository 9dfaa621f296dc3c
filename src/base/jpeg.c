// SPDX-License-Identifier: Apache-2.0
// JPEG files through libjpeg. Its errors jump; here they come out as a status.
#include "base/image.h"
#if AB_WITH_IMAGES
#include <setjmp.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <jerror.h>

/* Progressive files are decoded from a copy of all coefficients: 3 to 6 bytes a pixel, which a file
 * of a few hundred bytes can ask for. */
enum { COEFFICIENT_LIMIT = 448 << 20 };

struct failure {
    struct jpeg_error_mgr base; /* first: libjpeg hands back a pointer to it */
    jmp_buf jump;
    bool cut;   /* data ended early: libjpeg would fill in gray and go on */
    bool large; /* it needs more than COEFFICIENT_LIMIT */
    char text[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr jpeg)
{
    struct failure *failure = (struct failure *)(void *)jpeg->err;
    jpeg->err->format_message(jpeg, failure->text);
    failure->large = jpeg->err->msg_code == JERR_NO_BACKING_STORE;
    longjmp(failure->jump, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    struct failure *failure = (struct failure *)(void *)jpeg->err;
    int code = jpeg->err->msg_code;
    failure->cut = level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER);
    /* At once: filling in gray would take as long as the size that the file claims. */
    if (failure->cut) longjmp(failure->jump, 1);
}

static bool read_header(struct jpeg_decompress_struct *jpeg, struct failure *failure, FILE *file)
{
    if (setjmp(failure->jump)) return false;
    jpeg_create_decompress(jpeg);
    jpeg->mem->max_memory_to_use = COEFFICIENT_LIMIT;
    jpeg_stdio_src(jpeg, file);
    jpeg_read_header(jpeg, TRUE);
    bool four = jpeg->num_components == 4;
    jpeg->out_color_space = four ? JCS_CMYK : JCS_RGB;
    jpeg->dct_method = JDCT_ISLOW; /* the exact one, and the same in every version */
    return true;
}

/* Ink to light. Adobe writes CMYK inverted, and so does practically everybody. */
static void from_cmyk(const uint8_t *cmyk, int width, bool inverted, uint8_t *rgb)
{
    for (int x = 0; x < width; x++) {
        unsigned black = inverted ? cmyk[4 * x + 3] : 255u - cmyk[4 * x + 3];
        for (int c = 0; c < 3; c++) {
            unsigned light = inverted ? cmyk[4 * x + c] : 255u - cmyk[4 * x + c];
            rgb[3 * x + c] = (uint8_t)((light * black + 127) / 255);
        }
    }
}

static bool decode(struct jpeg_decompress_struct *jpeg, struct failure *failure,
                   const struct ab_rgb *image, uint8_t *line)
{
    if (setjmp(failure->jump)) return false;
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *out = image->data + (size_t)jpeg->output_scanline * (size_t)image->width * 3;
        JSAMPROW row = jpeg->output_components == 4 ? line : out;
        if (jpeg_read_scanlines(jpeg, &row, 1) != 1) return false;
        if (row == line) from_cmyk(line, image->width, jpeg->saw_Adobe_marker, out);
    }
    jpeg_finish_decompress(jpeg);
    return true;
}

enum ab_status ab_jpeg_decode(FILE *file, const char *path, struct ab_rgb *image,
                              struct ab_error *err)
{
    struct jpeg_decompress_struct jpeg = {0};
    struct failure failure = {.cut = false};
    uint8_t *line = NULL;
    enum ab_status status = AB_OK;
    *image = (struct ab_rgb){0};
    jpeg.err = jpeg_std_error(&failure.base);
    failure.base.error_exit = on_error;
    failure.base.emit_message = on_message;
    if (!read_header(&jpeg, &failure, file)) goto broken;
    status = ab_rgb_alloc(path, jpeg.image_width, jpeg.image_height, image, err);
    if (status != AB_OK) goto done;
    line = malloc((size_t)image->width * 4);
    if (!line) {
        status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
        goto done;
    }
    if (decode(&jpeg, &failure, image, line)) goto done;

broken:
    if (failure.large) {
        status =
            ab_fail(err, AB_ERR_UNSUPPORTED,
                    "%s: %ux%u pixels in several scans need more than %d MiB: make it smaller, "
                    "or save it without progressive scans",
                    path, jpeg.image_width, jpeg.image_height, COEFFICIENT_LIMIT >> 20);
        goto done;
    }
    status = ab_fail(err, AB_ERR_FORMAT, "%s: is a damaged JPEG (%s); copy or export it again",
                     path, failure.cut ? "it is cut short" : failure.text);
done:
    if (status != AB_OK) {
        free(image->data);
        *image = (struct ab_rgb){0};
    }
    jpeg_destroy_decompress(&jpeg);
    free(line);
    return status;
}
#endif
