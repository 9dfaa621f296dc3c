// SPDX-License-Identifier: Apache-2.0
// Images in, images out: every PNG colour type against pixels known beforehand, JPEG kinds,
// resizing against the definition, damaged files.
#include "base/image.h"
#include "files.h"

#include <math.h>

/* ---- a PNG encoder for all colour types: deflate blocks without compression ---- */

struct png {
    unsigned char bytes[1 << 16];
    size_t n;
};

static void big_endian(unsigned char *at, uint32_t v)
{
    for (int i = 0; i < 4; i++) at[i] = (unsigned char)(v >> (24 - 8 * i));
}

static void chunk(struct png *p, const char *type, const void *data, size_t n)
{
    unsigned char *start = p->bytes + p->n;
    big_endian(start, (uint32_t)n);
    memcpy(start + 4, type, 4);
    if (n) memcpy(start + 8, data, n);
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n + 4; i++) {
        crc ^= start[4 + i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    big_endian(start + 8 + n, ~crc);
    p->n += n + 12;
}

static void png_start(struct png *p, uint32_t w, uint32_t h, int depth, int type, int interlace)
{
    unsigned char head[13] = {0};
    big_endian(head, w);
    big_endian(head + 4, h);
    head[8] = (unsigned char)depth, head[9] = (unsigned char)type;
    head[12] = (unsigned char)interlace;
    memcpy(p->bytes, "\x89PNG\r\n\x1a\n", p->n = 8);
    chunk(p, "IHDR", head, 13);
}

/* `rows`: with the filter byte in front of each. */
static void png_end(struct png *p, const unsigned char *rows, size_t n)
{
    unsigned char z[1 << 15] = {0x78,
                                1,
                                1,
                                (unsigned char)n,
                                (unsigned char)(n >> 8),
                                (unsigned char)~n,
                                (unsigned char)(~n >> 8)};
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < n; i++) a = (a + rows[i]) % 65521, b = (b + a) % 65521;
    memcpy(z + 7, rows, n);
    big_endian(z + 7 + n, b << 16 | a);
    chunk(p, "IDAT", z, n + 11);
    chunk(p, "IEND", NULL, 0);
}

static void check_pixels(const struct png *p, int w, int h, const uint8_t *want)
{
    struct ab_error err = {""};
    struct ab_rgb image;
    CHECK(ab_rgb_decode(write_file("p.png", p->bytes, p->n), &image, &err) == AB_OK, "%s",
          err.text);
    CHECK(image.width == w && image.height == h, "%dx%d", image.width, image.height);
    for (int i = 0; i < 3 * w * h; i++)
        CHECK(image.data[i] == want[i], "byte %d is %d, not %d", i, image.data[i], want[i]);
    free(image.data);
}

static void refused(const char *path, enum ab_status want, const char *needle)
{
    struct ab_error err = {""};
    struct ab_rgb image = {1, 1, (uint8_t *)&err};
    context("%s", needle);
    check_error(ab_rgb_decode(path, &image, &err), want, &err, needle);
    CHECK(!image.data, "an image is left");
    CHECK(strncmp(err.text, path, strlen(path)) == 0, "the file is not named: %s", err.text);
}

TEST(png_colour_types)
{
    struct png p;
    png_start(&p, 2, 1, 8, 2, 0);
    png_end(&p, (const unsigned char[]){0, 1, 2, 3, 250, 251, 252}, 7);
    check_pixels(&p, 2, 1, (const uint8_t[]){1, 2, 3, 250, 251, 252});
    png_start(&p, 2, 1, 8, 0, 0); /* gray */
    png_end(&p, (const unsigned char[]){0, 7, 200}, 3);
    check_pixels(&p, 2, 1, (const uint8_t[]){7, 7, 7, 200, 200, 200});
    png_start(&p, 8, 1, 1, 0, 0); /* one bit */
    png_end(&p, (const unsigned char[]){0, 0xa5}, 2);
    const uint8_t o = 255;
    check_pixels(&p, 8, 1, (const uint8_t[]){o, o, o, 0, 0, 0, o, o, o, 0, 0, 0,
                                             0, 0, 0, o, o, o, 0, 0, 0, o, o, o});
    png_start(&p, 2, 1, 2, 0, 0); /* two bits: 0, 85, 170, 255 */
    png_end(&p, (const unsigned char[]){0, 0x60}, 2);
    check_pixels(&p, 2, 1, (const uint8_t[]){85, 85, 85, 170, 170, 170});
    png_start(&p, 1, 1, 16, 2, 0); /* 16 bits: v * 255 / 65535, rounded */
    png_end(&p, (const unsigned char[]){0, 0x12, 0x80, 0xff, 0xff, 0x00, 0x80}, 7);
    check_pixels(&p, 1, 1, (const uint8_t[]){18, 255, 0});
    png_start(&p, 3, 1, 8, 3, 0); /* palette, its second colour transparent */
    chunk(&p, "PLTE", (const unsigned char[]){9, 8, 7, 6, 5, 4}, 6);
    chunk(&p, "tRNS", (const unsigned char[]){255, 0}, 2);
    png_end(&p, (const unsigned char[]){0, 0, 1, 0}, 4);
    check_pixels(&p, 3, 1, (const uint8_t[]){9, 8, 7, 255, 255, 255, 9, 8, 7});
    png_start(&p, 1, 1, 8, 6, 0); /* alpha over white: 100*51/255 + 255*204/255 = 20 + 204 */
    png_end(&p, (const unsigned char[]){0, 100, 0, 255, 51}, 5);
    check_pixels(&p, 1, 1, (const uint8_t[]){224, 204, 255});
    png_start(&p, 2, 1, 8, 4, 0); /* gray and alpha */
    png_end(&p, (const unsigned char[]){0, 10, 255, 10, 0}, 5);
    check_pixels(&p, 2, 1, (const uint8_t[]){10, 10, 10, 255, 255, 255});
    png_start(&p, 2, 2, 8, 0, 1); /* Adam7: passes 1 (0,0), 6 (1,0), 7 (row 1) */
    png_end(&p, (const unsigned char[]){0, 1, 0, 2, 0, 3, 4}, 7);
    check_pixels(&p, 2, 2, (const uint8_t[]){1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4});
}

TEST(png_refusals)
{
    struct png p;
    png_start(&p, 20000, 1, 8, 0, 0);
    png_end(&p, (const unsigned char[]){0}, 1);
    refused(write_file("b.png", p.bytes, p.n), AB_ERR_UNSUPPORTED, "20000x1 pixels");
    png_start(&p, 16000, 16000, 8, 0, 0);
    png_end(&p, (const unsigned char[]){0}, 1);
    refused(write_file("b.png", p.bytes, p.n), AB_ERR_UNSUPPORTED, "16000x16000 pixels");
    png_start(&p, 0, 5, 8, 0, 0);
    png_end(&p, (const unsigned char[]){0}, 1);
    refused(write_file("b.png", p.bytes, p.n), AB_ERR_FORMAT, "damaged PNG");
    png_start(&p, 4, 4, 8, 2, 0);
    png_end(&p, (const unsigned char[]){0, 1, 2}, 3); /* too little data */
    refused(write_file("b.png", p.bytes, p.n), AB_ERR_FORMAT, "damaged PNG");
    refused(write_file("b.png", "GIF89a..", 8), AB_ERR_FORMAT, "is a GIF image, not a PNG or JPEG");
    refused(write_file("b.png", "hello", 5), AB_ERR_FORMAT, "something else");
    refused(write_file("b.png", "\x08", 1), AB_ERR_FORMAT, "something else");
    refused(write_file("b.png", "", 0), AB_ERR_FORMAT, "empty");
    refused(temp_path("missing.png"), AB_ERR_IO, "No such file");
    refused(temp_directory, AB_ERR_IO, "directory");
}

/* Cut anywhere, or with bytes changed: a message or a picture, never a crash. */
static void damage(const char *name, const unsigned char *good, size_t n, size_t step)
{
    struct ab_error err;
    struct ab_rgb image;
    unsigned char *copy = malloc(n);
    CHECK(copy, "memory");
    for (size_t cut = 1; cut < n; cut += step) {
        context("%s cut at %zu of %zu", name, cut, n);
        CHECK(ab_rgb_decode(write_file("cut", good, cut), &image, &err) != AB_OK || cut > n - 16,
              "accepted");
        free(image.data);
    }
    struct rng r = rng_new(n);
    for (int i = 0; i < 300; i++) {
        context("%s damage %d", name, i);
        memcpy(copy, good, n);
        for (int k = rng_between(&r, 1, 5); k > 0; k--)
            copy[rng_next(&r) % n] = (unsigned char)rng_next(&r);
        if (ab_rgb_decode(write_file("flip", copy, n), &image, &err) == AB_OK) free(image.data);
    }
    free(copy);
}

TEST(png_damage)
{
    struct png p;
    unsigned char rows[6 * 19];
    for (size_t i = 0; i < sizeof rows; i++) rows[i] = i % 19 ? (unsigned char)(i * 7) : i % 5 == 0;
    png_start(&p, 6, 6, 8, 2, 0);
    png_end(&p, rows, sizeof rows);
    damage("png", p.bytes, p.n, 1);
}

/* ---- JPEG ---- */

/* Flat 8x8 and 16x16 images written by PIL: L 77, CMYK (200,30,60,20), RGB (200,100,50)
 * progressive with 2x2 chroma. */
static const unsigned char gray_jpeg[] = {
    0xff, 0xd8, 0xff, 0xe0, 0x00, 0x10, 0x4a, 0x46, 0x49, 0x46, 0x00, 0x01, 0x01, 0x00, 0x00, 0x01,
    0x00, 0x01, 0x00, 0x00, 0xff, 0xdb, 0x00, 0x43, 0x00, 0x03, 0x02, 0x02, 0x03, 0x02, 0x02, 0x03,
    0x03, 0x03, 0x03, 0x04, 0x03, 0x03, 0x04, 0x05, 0x08, 0x05, 0x05, 0x04, 0x04, 0x05, 0x0a, 0x07,
    0x07, 0x06, 0x08, 0x0c, 0x0a, 0x0c, 0x0c, 0x0b, 0x0a, 0x0b, 0x0b, 0x0d, 0x0e, 0x12, 0x10, 0x0d,
    0x0e, 0x11, 0x0e, 0x0b, 0x0b, 0x10, 0x16, 0x10, 0x11, 0x13, 0x14, 0x15, 0x15, 0x15, 0x0c, 0x0f,
    0x17, 0x18, 0x16, 0x14, 0x18, 0x12, 0x14, 0x15, 0x14, 0xff, 0xc0, 0x00, 0x0b, 0x08, 0x00, 0x08,
    0x00, 0x08, 0x01, 0x01, 0x11, 0x00, 0xff, 0xc4, 0x00, 0x14, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0xff, 0xc4, 0x00, 0x14,
    0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0xff, 0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x3f, 0x00, 0x3b, 0xbf, 0xff, 0xd9};
static const unsigned char cmyk_jpeg[] = {
    0xff, 0xd8, 0xff, 0xee, 0x00, 0x0e, 0x41, 0x64, 0x6f, 0x62, 0x65, 0x00, 0x64, 0x00, 0x00,
    0x00, 0x00, 0x00, 0xff, 0xdb, 0x00, 0x43, 0x00, 0x02, 0x01, 0x01, 0x01, 0x01, 0x01, 0x02,
    0x01, 0x01, 0x01, 0x02, 0x02, 0x02, 0x02, 0x02, 0x04, 0x03, 0x02, 0x02, 0x02, 0x02, 0x05,
    0x04, 0x04, 0x03, 0x04, 0x06, 0x05, 0x06, 0x06, 0x06, 0x05, 0x06, 0x06, 0x06, 0x07, 0x09,
    0x08, 0x06, 0x07, 0x09, 0x07, 0x06, 0x06, 0x08, 0x0b, 0x08, 0x09, 0x0a, 0x0a, 0x0a, 0x0a,
    0x0a, 0x06, 0x08, 0x0b, 0x0c, 0x0b, 0x0a, 0x0c, 0x09, 0x0a, 0x0a, 0x0a, 0xff, 0xc0, 0x00,
    0x14, 0x08, 0x00, 0x08, 0x00, 0x08, 0x04, 0x43, 0x11, 0x00, 0x4d, 0x11, 0x00, 0x59, 0x11,
    0x00, 0x4b, 0x11, 0x00, 0xff, 0xc4, 0x00, 0x14, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0xff, 0xc4, 0x00, 0x14,
    0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0xff, 0xda, 0x00, 0x0e, 0x04, 0x43, 0x00, 0x4d, 0x00, 0x59, 0x00, 0x4b,
    0x00, 0x00, 0x3f, 0x00, 0x36, 0xcc, 0x21, 0x0c, 0x35, 0x8f, 0xff, 0xd9};
static const unsigned char progressive_jpeg[] = {
    0xff, 0xd8, 0xff, 0xe0, 0x00, 0x10, 0x4a, 0x46, 0x49, 0x46, 0x00, 0x01, 0x01, 0x00, 0x00, 0x01,
    0x00, 0x01, 0x00, 0x00, 0xff, 0xdb, 0x00, 0x43, 0x00, 0x02, 0x01, 0x01, 0x01, 0x01, 0x01, 0x02,
    0x01, 0x01, 0x01, 0x02, 0x02, 0x02, 0x02, 0x02, 0x04, 0x03, 0x02, 0x02, 0x02, 0x02, 0x05, 0x04,
    0x04, 0x03, 0x04, 0x06, 0x05, 0x06, 0x06, 0x06, 0x05, 0x06, 0x06, 0x06, 0x07, 0x09, 0x08, 0x06,
    0x07, 0x09, 0x07, 0x06, 0x06, 0x08, 0x0b, 0x08, 0x09, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x06, 0x08,
    0x0b, 0x0c, 0x0b, 0x0a, 0x0c, 0x09, 0x0a, 0x0a, 0x0a, 0xff, 0xdb, 0x00, 0x43, 0x01, 0x02, 0x02,
    0x02, 0x02, 0x02, 0x02, 0x05, 0x03, 0x03, 0x05, 0x0a, 0x07, 0x06, 0x07, 0x0a, 0x0a, 0x0a, 0x0a,
    0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a,
    0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a,
    0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0xff, 0xc2,
    0x00, 0x11, 0x08, 0x00, 0x10, 0x00, 0x10, 0x03, 0x01, 0x22, 0x00, 0x02, 0x11, 0x01, 0x03, 0x11,
    0x01, 0xff, 0xc4, 0x00, 0x15, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0xff, 0xc4, 0x00, 0x14, 0x01, 0x01, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0xff, 0xda,
    0x00, 0x0c, 0x03, 0x01, 0x00, 0x02, 0x10, 0x03, 0x10, 0x00, 0x00, 0x01, 0x9c, 0x15, 0xb6, 0x7f,
    0xff, 0xc4, 0x00, 0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xff, 0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x01, 0x05, 0x02,
    0x1f, 0xff, 0xc4, 0x00, 0x14, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xda, 0x00, 0x08, 0x01, 0x03, 0x01, 0x01, 0x3f,
    0x01, 0x7f, 0xff, 0xc4, 0x00, 0x14, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xda, 0x00, 0x08, 0x01, 0x02, 0x01, 0x01,
    0x3f, 0x01, 0x7f, 0xff, 0xc4, 0x00, 0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xff, 0xda, 0x00, 0x08, 0x01, 0x01, 0x00,
    0x06, 0x3f, 0x02, 0x1f, 0xff, 0xc4, 0x00, 0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xff, 0xda, 0x00, 0x08, 0x01, 0x01,
    0x00, 0x01, 0x3f, 0x21, 0x1f, 0xff, 0xda, 0x00, 0x0c, 0x03, 0x01, 0x00, 0x02, 0x00, 0x03, 0x00,
    0x00, 0x00, 0x10, 0x03, 0xff, 0xc4, 0x00, 0x14, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xda, 0x00, 0x08, 0x01, 0x03,
    0x01, 0x01, 0x3f, 0x10, 0x7f, 0xff, 0xc4, 0x00, 0x14, 0x11, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xda, 0x00, 0x08, 0x01,
    0x02, 0x01, 0x01, 0x3f, 0x10, 0x7f, 0xff, 0xc4, 0x00, 0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0xff, 0xda, 0x00, 0x08,
    0x01, 0x01, 0x00, 0x01, 0x3f, 0x10, 0x1f, 0xff, 0xd9};

static void check_flat(const char *name, const unsigned char *jpeg, size_t n, const uint8_t want[3])
{
    struct ab_error err = {""};
    struct ab_rgb image;
    context("%s", name);
    CHECK(ab_rgb_decode(write_file("f.jpg", jpeg, n), &image, &err) == AB_OK, "%s", err.text);
    for (int i = 0; i < image.width * image.height; i++)
        for (int c = 0; c < 3; c++) {
            int got = image.data[3 * i + c];
            CHECK(abs(got - want[c]) <= 2, "pixel %d channel %d is %d, not %d", i, c, got, want[c]);
        }
    free(image.data);
}

TEST(jpeg_kinds)
{
    check_flat("gray", gray_jpeg, sizeof gray_jpeg, (const uint8_t[]){77, 77, 77});
    /* (255-200)*(255-20)/255, ... */
    check_flat("cmyk", cmyk_jpeg, sizeof cmyk_jpeg, (const uint8_t[]){51, 207, 180});
    check_flat("progressive", progressive_jpeg, sizeof progressive_jpeg,
               (const uint8_t[]){200, 100, 50});
}

/* A progressive file asks for memory by its header alone. */
TEST(jpeg_claims)
{
    refused("tests/fuzz/corpus/jpeg/progressive-16384x8192", AB_ERR_UNSUPPORTED,
            "without progressive scans");
}

TEST(jpeg_damage)
{
    damage("gray", gray_jpeg, sizeof gray_jpeg, 1);
    damage("progressive", progressive_jpeg, sizeof progressive_jpeg, 1);
    damage("cmyk", cmyk_jpeg, sizeof cmyk_jpeg, 1);
    refused(write_file("c.jpg", gray_jpeg, sizeof gray_jpeg / 2), AB_ERR_FORMAT, "damaged JPEG");
}

/* ---- resizing and cropping ---- */

/* Bilinear as torchvision has it: a triangle as wide as two source pixels, or two target pixels
 * when shrinking. */
static double sample(const struct ab_rgb *in, double y, double x, double sy, double sx, int c)
{
    double wide_y = sy > 1 ? sy : 1, wide_x = sx > 1 ? sx : 1, sum = 0, weights = 0;
    for (int v = (int)floor(y - wide_y); v <= (int)ceil(y + wide_y); v++)
        for (int u = (int)floor(x - wide_x); u <= (int)ceil(x + wide_x); u++) {
            if (v < 0 || v >= in->height || u < 0 || u >= in->width) continue;
            double w = (1 - fabs((v + 0.5 - y) / wide_y)) * (1 - fabs((u + 0.5 - x) / wide_x));
            if (fabs(v + 0.5 - y) >= wide_y || fabs(u + 0.5 - x) >= wide_x) continue;
            sum += w * in->data[((size_t)v * (size_t)in->width + (size_t)u) * 3 + (size_t)c];
            weights += w;
        }
    return sum / weights;
}

/* Checks every pixel two away from the border of the resized image. */
static void check_geometry(const char *path, int h, int w, int rows, int columns, int top, int left)
{
    struct ab_error err = {""};
    struct ab_rgb full, got;
    context("%s to %dx%d", path, h, w);
    CHECK(ab_rgb_decode(path, &full, &err) == AB_OK, "%s", err.text);
    CHECK(ab_rgb_read(path, h, w, &got, &err) == AB_OK, "%s", err.text);
    CHECK(got.width == w && got.height == h, "%dx%d", got.width, got.height);
    double sy = (double)full.height / rows, sx = (double)full.width / columns;
    for (int y = 0; y < h; y += 3)
        for (int x = 0; x < w; x += 3) {
            int v = y + top, u = x + left;
            if (v < 2 || u < 2 || v >= rows - 2 || u >= columns - 2) continue;
            for (int c = 0; c < 3; c++) {
                double want = sample(&full, (v + 0.5) * sy, (u + 0.5) * sx, sy, sx, c);
                int value = got.data[((size_t)y * (size_t)w + (size_t)x) * 3 + (size_t)c];
                CHECK(fabs(value - want) < 1, "(%d,%d) channel %d: %d, not %g", y, x, c, value,
                      want);
            }
        }
    free(full.data);
    free(got.data);
}

/* chelsea.png is 451x300 (w x h), rocket.jpg 640x427. Sizes and margins as torchvision's Resize and
 * CenterCrop compute them; at 299 the margins are 21.5 and 106.5, rounded to the even side. */
TEST(geometry)
{
    check_geometry("data/images/chelsea.png", 224, 224, 256, 384, 16, 80);
    check_geometry("data/images/rocket.jpg", 224, 224, 256, 383, 16, 80);
    check_geometry("data/images/chelsea.png", 32, 32, 32, 48, 0, 8);
    check_geometry("data/images/rocket.jpg", 299, 299, 342, 512, 22, 106);
    check_geometry("data/images/chelsea.png", 448, 448, 512, 769, 32, 160);
    /* not square: the side that is shorter in relation to the crop decides */
    check_geometry("data/images/chelsea.png", 20, 60, 39, 60, 10, 0);
    check_geometry("data/images/chelsea.png", 60, 20, 60, 90, 0, 35);
}

TEST(extreme_shapes)
{
    struct png p;
    struct ab_error err = {""};
    struct ab_rgb image;
    unsigned char row[16001] = {0};
    png_start(&p, 16000, 1, 8, 0, 0);
    png_end(&p, row, sizeof row);
    const char *path = write_file("wide.png", p.bytes, p.n);
    check_error(ab_rgb_read(path, 28, 28, &image, &err), AB_ERR_UNSUPPORTED, &err, "crop it");
    check_error(ab_rgb_read(path, 0, 28, &image, &err), AB_ERR_ARG, &err, "cannot be made");
    png_start(&p, 1, 1, 8, 0, 0);
    png_end(&p, (const unsigned char[]){0, 99}, 2);
    path = write_file("one.png", p.bytes, p.n);
    CHECK(ab_rgb_read(path, 224, 224, &image, &err) == AB_OK, "%s", err.text);
    CHECK(image.data[0] == 99 && image.data[224 * 224 * 3 - 1] == 99, "not flat");
    free(image.data);
}

/* ---- the model's input ---- */

TEST(normalisation)
{
    struct png p;
    struct ab_error err = {""};
    png_start(&p, 2, 1, 8, 2, 0);
    png_end(&p, (const unsigned char[]){0, 0, 51, 255, 10, 20, 30}, 7);
    const char *path = write_file("n.png", p.bytes, p.n);
    float out[6], mean[] = {0.5f, 0.25f, 0}, std[] = {0.5f, 2, 4};
    CHECK(ab_image_read(path, (struct ab_dims){3, 1, 2}, NULL, NULL, out, &err) == AB_OK, "%s",
          err.text);
    const float plain[] = {0, 10 / 255.0f, 51 / 255.0f, 20 / 255.0f, 1, 30 / 255.0f};
    check_same_bits(out, plain, 6);
    CHECK(ab_image_read(path, (struct ab_dims){3, 1, 2}, mean, std, out, &err) == AB_OK, "%s",
          err.text);
    CHECK(out[0] == -1 && out[2] == (0.2f - 0.25f) / 2 && out[4] == 0.25f, "normalised");
    /* luma of (10,20,30): 2.99 + 11.74 + 3.42 = 18.15 */
    CHECK(ab_image_read(path, (struct ab_dims){1, 1, 2}, NULL, NULL, out, &err) == AB_OK, "%s",
          err.text);
    CHECK(out[1] == 18 / 255.0f, "luma %g", (double)out[1] * 255);
    check_error(ab_image_read(path, (struct ab_dims){4, 1, 2}, NULL, NULL, out, &err), AB_ERR_ARG,
                &err, "use .npy");
    std[1] = 0;
    check_error(ab_image_read(path, (struct ab_dims){3, 1, 2}, mean, std, out, &err), AB_ERR_ARG,
                &err, "std 0 of channel 1");
}

/* Gray stays what it is at the model's own size. */
TEST(digits)
{
    if (access("data/digits/sample-3.png", R_OK) != 0) return;
    struct ab_error err = {""};
    struct ab_rgb image;
    float out[28 * 28];
    CHECK(ab_rgb_decode("data/digits/sample-3.png", &image, &err) == AB_OK, "%s", err.text);
    CHECK(ab_image_read("data/digits/sample-3.png", (struct ab_dims){1, 28, 28}, NULL, NULL, out,
                        &err) == AB_OK,
          "%s", err.text);
    double sum = 0;
    for (int i = 0; i < 28 * 28; i++) {
        CHECK(out[i] == (float)image.data[3 * i] / 255.0f, "pixel %d", i);
        sum += (double)out[i];
    }
    CHECK(sum > 20 && sum < 400, "no digit: %g", sum);
    free(image.data);
}

/* ---- writing ---- */

TEST(png_round_trip)
{
    uint8_t rgb[5 * 7 * 3];
    for (int i = 0; i < 5 * 7 * 3; i++) rgb[i] = (uint8_t)(i * 37);
    struct ab_error err = {""};
    struct ab_rgb back;
    const char *path = temp_path("w.png");
    CHECK(ab_png_write(path, 5, 7, rgb, &err) == AB_OK, "%s", err.text);
    CHECK(ab_rgb_decode(path, &back, &err) == AB_OK, "%s", err.text);
    CHECK(back.width == 5 && back.height == 7 && memcmp(back.data, rgb, sizeof rgb) == 0, "pixels");
    free(back.data);
    int files = temp_count();
    check_error(ab_png_write("/dev/full", 5, 7, rgb, &err), AB_ERR_IO, &err, "cannot be written");
    check_error(ab_png_write(temp_path("a/b.png"), 5, 7, rgb, &err), AB_ERR_IO, &err, "a/b.png");
    check_error(ab_png_write(temp_path("z.png"), 0, 7, rgb, &err), AB_ERR_ARG, &err, "0x7");
    CHECK(temp_count() == files, "files are left");
}

static const struct test_case cases[] = {
    CASE(png_colour_types), CASE(png_refusals), CASE(png_damage),     CASE(jpeg_kinds),
    CASE(jpeg_claims),      CASE(jpeg_damage),  CASE(geometry),       CASE(extreme_shapes),
    CASE(normalisation),    CASE(digits),       CASE(png_round_trip),
};
#if AB_WITH_IMAGES
TEST_MAIN("image", cases)
#else
TEST(left_out)
{
    struct ab_error err = {""};
    float out[3];
    check_error(ab_image_read("x.png", (struct ab_dims){3, 1, 1}, NULL, NULL, out, &err),
                AB_ERR_UNSUPPORTED, &err, "AB_WITH_IMAGES");
}
static const struct test_case without[] = {CASE(left_out)};
int main(int argc, char **argv)
{
    (void)cases;
    return test_main("image", without, 1, argc, argv);
}
#endif
