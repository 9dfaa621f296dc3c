// SPDX-License-Identifier: Apache-2.0
// Errors, buffers, near names, random numbers, and .npy files good and bad.
#include "base/base.h"
#include "base/outfile.h"
#include "files.h"

#include <math.h>

TEST(messages)
{
    struct ab_error err;
    CHECK(ab_fail(&err, AB_ERR_IO, "%s: %d", "x", 3) == AB_ERR_IO, "wrong status");
    CHECK(strcmp(err.text, "x: 3") == 0, "%s", err.text);
    ab_fail(&err, AB_ERR_ARG, "again: %s", err.text);
    CHECK(strcmp(err.text, "again: x: 3") == 0, "quoting itself: %s", err.text);
    ab_fail(&err, AB_ERR_ARG, "a\nb\033c");
    CHECK(strcmp(err.text, "a?b?c") == 0, "not one line: %s", err.text);
    char big[2000];
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = '\0';
    ab_fail(&err, AB_ERR_ARG, "%s", big);
    CHECK(strlen(err.text) == sizeof err.text - 1, "length %zu", strlen(err.text));
    CHECK(strcmp(err.text + sizeof err.text - 4, "...") == 0, "cut without a sign");
    CHECK(ab_fail(NULL, AB_ERR_IO, "nobody") == AB_ERR_IO, "NULL err");
}

TEST(buffers)
{
    size_t before = ab_buffer_count();
    const size_t sizes[] = {1, 63, 64, 4 << 20, (4 << 20) + 1, 9 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *p = ab_buffer_alloc(sizes[i]);
        CHECK(p, "no buffer of %zu", sizes[i]);
        CHECK((uintptr_t)p % 64 == 0, "not aligned");
        size_t sum = 0;
        for (size_t k = 0; k < sizes[i]; k++) sum += p[k];
        CHECK(sum == 0, "not zero");
        ab_buffer_free(p);
    }
    CHECK(ab_buffer_count() == before + 6, "count");
    CHECK(!ab_buffer_alloc(0), "zero bytes");
    CHECK(ab_buffer_count() == before + 6, "a failure was counted");
    ab_buffer_free(NULL);
    bool overflow = false;
    CHECK(ab_mul_size(3, 4, &overflow) == 12 && ab_add_size(3, 4, &overflow) == 7 && !overflow,
          "sizes");
    ab_mul_size(SIZE_MAX / 2, 3, &overflow);
    CHECK(overflow, "product");
    ab_mul_size(1, 1, &overflow);
    CHECK(overflow, "cleared");
    overflow = false;
    ab_add_size(SIZE_MAX, 1, &overflow);
    CHECK(overflow, "sum");
}

TEST(near_names)
{
    static const char *const names[] = {"vgg16",   "vgg19",    "resnet18", "resnet50",
                                        "alexnet", "gradient", "rectgrad", "lrp-epsilon"};
    static const char *const pairs[][2] = {
        {"vgg61", "vgg16"},
        {"resnet-18", "resnet18"},
        {"ResNet50", "resnet50"},
        {"gradeint", "gradient"},
        {"alexnt", "alexnet"},
        {"lrp-eps", "lrp-epsilon"},
        {"vgg", "vgg16"},
        {"zebra", NULL},
        {"", NULL},
        {"x", NULL},
        {"rect", "rectgrad"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *got = ab_nearest(pairs[i][0], names, 8), *want = pairs[i][1];
        CHECK(got == want || (got && want && strcmp(got, want) == 0), "%s: %s, not %s", pairs[i][0],
              got ? got : "none", want ? want : "none");
    }
    char long_word[300];
    memset(long_word, 'v', sizeof long_word);
    long_word[299] = '\0';
    CHECK(!ab_nearest(long_word, names, 8), "a long word");
    CHECK(!ab_nearest("vgg16", names, 0), "an empty list");
}

/* Values for ever: networks drawn from a seed must not change between versions or machines. */
TEST(random_is_fixed)
{
    CHECK(ab_hash(1, "features.0", 10) == UINT64_C(0xa2506118e41ef76e), "hash %#llx",
          (unsigned long long)ab_hash(1, "features.0", 10));
    CHECK(ab_normal(1, 0) == 0x1.ac226b2654085p-1 && ab_normal(1, 12345) == 0x1.7f0c6c42247bfp-1,
          "normal %a %a", ab_normal(1, 0), ab_normal(1, 12345));
    CHECK(ab_uniform(1, 0) == 0x1.7fdf0061bb85bp-1, "uniform %a", ab_uniform(1, 0));
}

TEST(random_moments)
{
    enum { N = 1 << 20 };
    double sum = 0, squares = 0, fourth = 0, uniform = 0, lagged = 0, last = 0;
    int beyond = 0;
    for (uint64_t i = 0; i < N; i++) {
        double z = ab_normal(7, i), u = ab_uniform(7, i);
        CHECK(u > 0 && u < 1, "uniform %g", u);
        sum += z, squares += z * z, fourth += z * z * z * z, uniform += u;
        lagged += z * last, last = z;
        beyond += fabs(z) > 1.959964;
    }
    /* Five standard errors each. */
    CHECK(fabs(sum / N) < 5e-3, "mean %g", sum / N);
    CHECK(fabs(squares / N - 1) < 7e-3, "variance %g", squares / N);
    CHECK(fabs(fourth / N - 2.85) < 0.05, "fourth moment %g, not 3 - 1.2/8", fourth / N);
    CHECK(fabs(lagged / N) < 5e-3, "neighbours correlate: %g", lagged / N);
    CHECK(fabs(uniform / N - 0.5) < 1.5e-3, "uniform mean %g", uniform / N);
    CHECK(fabs(beyond / (double)N - 0.05) < 2e-3, "%d beyond 1.96", beyond);
}

/* The known answers that come with the authors' Random123. */
TEST(philox_known_answers)
{
    static const uint32_t cases[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        ab_philox(cases[i], cases[i] + 4, out);
        for (int k = 0; k < 4; k++)
            CHECK(out[k] == cases[i][6 + k], "case %zu word %d: %08x", i, k, out[k]);
    }
}

/* Box and Muller's transform of the words, by the C library. */
TEST(sample_normals_are_the_transform)
{
    enum { N = 4000 };
    static float z[N];
    ab_sample_normals(9, 2, 5, 0, N, z);
    double worst = 0;
    for (uint32_t block = 0; block < N / 4; block++) {
        uint32_t w[4];
        ab_philox((const uint32_t[4]){block, 5, 2, 0}, (const uint32_t[2]){9, 0}, w);
        for (int k = 0; k < 4; k++) {
            const double r = sqrt(-2 * log((w[k & 2] + 0.5) * 0x1p-32));
            const double angle = 2 * M_PI * w[(k & 2) + 1] * 0x1p-32;
            const double want = k & 1 ? r * sin(angle) : r * cos(angle);
            worst = fmax(worst, fabs((double)z[4 * block + (uint32_t)k] - want));
        }
    }
    CHECK(worst < 2.5e-7, "off by %g", worst); /* half an ulp of a float in [4, 8) */
}

TEST(samples_are_fixed_in_any_order)
{
    float all[64], piece[64];
    ab_sample_normals(UINT64_C(0x123456789a), 1, 7, 0, 64, all);
    CHECK(all[0] == -0x1.df1c5ap+0F && all[1] == 0x1.ee1654p-1F && all[63] == 0x1.6f41fap+0F,
          "numbers %a %a %a", (double)all[0], (double)all[1], (double)all[63]);
    CHECK(ab_sample_uniform(3, 1, 2, 5) == 0x1.064d512fp-1, "uniform %a",
          ab_sample_uniform(3, 1, 2, 5));
    for (uint64_t first = 0; first < 9; first++) {
        for (size_t count = 0; count < 9; count++) {
            ab_sample_normals(UINT64_C(0x123456789a), 1, 7, first, count, piece);
            CHECK(!memcmp(piece, all + first, count * sizeof *piece), "%d numbers from %d",
                  (int)count, (int)first);
        }
    }
    double sum = 0, squares = 0, uniforms = 0;
    for (uint32_t sample = 0; sample < 1000; sample++) {
        ab_sample_normals(3, 0, sample, 0, 64, piece);
        for (int i = 0; i < 64; i++) {
            sum += (double)piece[i];
            squares += (double)piece[i] * (double)piece[i];
        }
        uniforms += ab_sample_uniform(3, 1, sample, sample);
    }
    CHECK(fabs(sum / 64000) < 0.015 && fabs(squares / 64000 - 1) < 0.02, "moments %g %g",
          sum / 64000, squares / 64000);
    CHECK(fabs(uniforms / 1000 - 0.5) < 0.03, "uniform mean %g", uniforms / 1000);
}

TEST(spans)
{
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {{"a,b", 1},   {"", 0},      {",", 0},    {"f(a,b),c", 6}, {"f(a,(b,c),d)x,y", 13},
                 {"f(a,b", 3}, {"a)b,c", 3}, {"()(),", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(ab_span(cases[i].text, ",") == cases[i].length, "'%s': %zu", cases[i].text,
              ab_span(cases[i].text, ","));
}

TEST(hash_tells_apart)
{
    const char zeros[40] = {0};
    uint64_t seen[41];
    for (size_t n = 0; n <= 40; n++) {
        seen[n] = ab_hash(0, zeros, n);
        for (size_t k = 0; k < n; k++) CHECK(seen[k] != seen[n], "%zu and %zu zeros", k, n);
    }
    CHECK(ab_hash(0, "ab", 2) != ab_hash(0, "ba", 2), "order");
    CHECK(ab_hash(1, "a", 1) != ab_hash(2, "a", 1), "seed");
}

/* ---- .npy ---- */

static const struct ab_dims image = {2, 3, 4};

/* A file with the given dictionary, version 1.0 unless `major` says otherwise, and `bytes` zeros.
 */
static const char *npy(int major, const char *dictionary, size_t bytes)
{
    unsigned char file[4096] = "\x93NUMPY";
    size_t length = strlen(dictionary), at = major == 1 ? 10 : 12;
    file[6] = (unsigned char)major;
    file[8] = (unsigned char)length, file[9] = (unsigned char)(length >> 8);
    memcpy(file + at, dictionary, length);
    return write_file("x.npy", file, at + length + bytes);
}

static void refused(const char *path, enum ab_status want, const char *needle)
{
    struct ab_error err = {""};
    float *data = (float *)&err;
    int n = 7;
    context("%s", needle);
    check_error(ab_npy_read(path, image, &data, &n, &err), want, &err, needle);
    CHECK(!data && n == 0, "results are left");
    CHECK(strstr(err.text, path), "the file is not named: %s", err.text);
}

static void accepted(const char *path, int want)
{
    struct ab_error err = {""};
    float *data;
    int n;
    context("%s", path);
    CHECK(ab_npy_read(path, image, &data, &n, &err) == AB_OK, "%s", err.text);
    CHECK(n == want, "%d images", n);
    free(data);
}

TEST(npy_round_trip)
{
    float data[2 * 24], *back;
    int n;
    struct ab_error err = {""};
    for (int i = 0; i < 48; i++) data[i] = (float)ab_normal(3, (uint64_t)i);
    data[5] = -0.0f, data[6] = INFINITY, data[7] = 1e-42f;
    const char *path = temp_path("r.npy");
    CHECK(ab_npy_write(path, data, 2, image, &err) == AB_OK, "%s", err.text);
    CHECK(ab_npy_read(path, image, &back, &n, &err) == AB_OK && n == 2, "%s", err.text);
    check_same_bits(back, data, 48);
    free(back);
    size_t bytes;
    unsigned char *raw = read_file(path, &bytes);
    CHECK(bytes == 128 + sizeof data, "%zu bytes", bytes);
    CHECK(raw[127] == '\n' && memcmp(raw + 10, "{'descr': '<f4',", 16) == 0, "header");
    free(raw);
}

TEST(npy_versions_and_types)
{
    accepted(npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4), }\n", 96), 1);
    accepted(npy(2, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 3, 4)}", 288), 3);
    accepted(npy(3, "{'shape': (1,2,3,4,), 'descr':'<f8','fortran_order':False}", 192), 1);
    accepted(npy(1, "{\"shape\": (2,3,4), \"descr\":\"<f8\",\"fortran_order\":False}  \n", 192), 1);
    struct ab_error err = {""};
    float *data;
    int n;
    const char *path = npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 24), }", 480);
    CHECK(ab_npy_read(path, (struct ab_dims){24, 1, 1}, &data, &n, &err) == AB_OK, "%s", err.text);
    CHECK(n == 5, "%d vectors", n);
    free(data);
}

TEST(npy_doubles)
{
    unsigned char file[4096] = "\x93NUMPY\1";
    const char *text = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3, 4), }";
    size_t length = strlen(text);
    double values[24] = {1.0 / 3, -2.5, 1e-300};
    file[8] = (unsigned char)length;
    memcpy(file + 10, text, length);
    memcpy(file + 10 + length, values, sizeof values);
    const char *path = write_file("d.npy", file, 10 + length + sizeof values);
    struct ab_error err = {""};
    float *data;
    int n;
    CHECK(ab_npy_read(path, image, &data, &n, &err) == AB_OK, "%s", err.text);
    CHECK(data[0] == (float)(1.0 / 3) && data[1] == -2.5f && data[2] == 0, "values");
    free(data);
    values[3] = 1e39;
    memcpy(file + 10 + length, values, sizeof values);
    refused(write_file("d.npy", file, 10 + length + sizeof values), AB_ERR_FORMAT,
            "beyond float32");
}

TEST(npy_refusals)
{
#define HEAD(type, order, shape)                                                                   \
    "{'descr': '" type "', 'fortran_order': " order ", 'shape': " shape ", }\n"
    refused(npy(1, HEAD("<f4", "True", "(2, 3, 4)"), 96), AB_ERR_UNSUPPORTED, "Fortran");
    refused(npy(1, HEAD(">f4", "False", "(2, 3, 4)"), 96), AB_ERR_UNSUPPORTED, "big-endian");
    refused(npy(1, HEAD("|u1", "False", "(2, 3, 4)"), 24), AB_ERR_UNSUPPORTED, "'|u1'");
    refused(npy(1, HEAD("<f2", "False", "(2, 3, 4)"), 48), AB_ERR_UNSUPPORTED, "'<f2'");
    refused(npy(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4),
            AB_ERR_UNSUPPORTED, "a record");
    refused(npy(1, HEAD("<f4", "False", "(2, 4, 3)"), 96), AB_ERR_FORMAT, "(2, 3, 4)");
    refused(npy(1, HEAD("<f4", "False", "(24,)"), 96), AB_ERR_FORMAT, "shape (24)");
    refused(npy(1, HEAD("<f4", "False", "()"), 4), AB_ERR_FORMAT, "shape ()");
    refused(npy(1, HEAD("<f4", "False", "(1, 1, 2, 3, 4)"), 96), AB_ERR_FORMAT, "shape");
    refused(npy(1, HEAD("<f4", "False", "(0, 2, 3, 4)"), 0), AB_ERR_FORMAT, "no image");
    refused(npy(1, HEAD("<f4", "False", "(2, 3, 4)"), 95), AB_ERR_FORMAT, "cut short");
    refused(npy(1, HEAD("<f4", "False", "(2, 3, 4)"), 97), AB_ERR_FORMAT, "something else");
    refused(npy(1, HEAD("<f4", "False", "(2147483647, 2, 3, 4)"), 96), AB_ERR_FORMAT, "cut short");
    refused(npy(1, HEAD("<f4", "False", "(4294967296, 2, 3, 4)"), 96), AB_ERR_FORMAT, "too many");
    refused(npy(1, HEAD("<f4", "False", "(99999999999999999999, 2, 3, 4)"), 96), AB_ERR_FORMAT,
            "malformed");
    refused(npy(1, HEAD("<f4", "False", "(-1, 2, 3, 4)"), 96), AB_ERR_FORMAT, "malformed");
    refused(npy(1, "{'descr': '<f4', 'fortran_order': False, }", 96), AB_ERR_FORMAT, "malformed");
    refused(npy(1, "nonsense", 96), AB_ERR_FORMAT, "malformed");
    refused(npy(4, HEAD("<f4", "False", "(2, 3, 4)"), 96), AB_ERR_UNSUPPORTED, "version 4.0");
    refused(write_file("x.npy", "", 0), AB_ERR_FORMAT, "empty");
    refused(write_file("x.npy", "\x93NUMPY\1", 7), AB_ERR_FORMAT, "not a .npy");
    refused(write_file("x.npy", "\x93NUMPY\1\0\xff\xff", 10), AB_ERR_FORMAT, "inside its header");
    refused(write_file("x.npy", "\x93NUMPY\2\0\xff\xff\xff\xff", 12), AB_ERR_FORMAT, "plain array");
    refused(write_file("x.npy", "PK\3\4......", 10), AB_ERR_FORMAT, "zip");
    refused(temp_path("missing.npy"), AB_ERR_IO, "No such file");
    refused(temp_directory, AB_ERR_IO, "directory");
    refused("/dev/null", AB_ERR_IO, "not a regular file");
#undef HEAD
}

/* Every prefix of a good file, and good files with bytes changed at random. */
TEST(npy_damage)
{
    float data[24] = {0}, *back;
    int n;
    struct ab_error err;
    const char *path = temp_path("whole.npy");
    CHECK(ab_npy_write(path, data, 1, image, &err) == AB_OK, "write");
    size_t bytes;
    unsigned char *good = read_file(path, &bytes);
    for (size_t cut = 0; cut < bytes; cut++) {
        context("cut at %zu", cut);
        path = write_file("cut.npy", good, cut);
        CHECK(ab_npy_read(path, image, &back, &n, &err) != AB_OK, "accepted");
    }
    for (uint64_t i = 0; i < 2000; i++) {
        context("damage %d", (int)i);
        unsigned char copy[512];
        memcpy(copy, good, bytes);
        for (uint64_t k = 0; k < 1 + i % 4; k++)
            copy[(size_t)(ab_uniform(i, 2 * k) * 128)] =
                (unsigned char)(ab_uniform(i, 2 * k + 1) * 256);
        path = write_file("bad.npy", copy, bytes);
        if (ab_npy_read(path, image, &back, &n, &err) == AB_OK) free(back);
    }
    free(good);
}

/* ---- writing ---- */

TEST(failed_writes_leave_nothing)
{
    float data[24] = {0};
    struct ab_error err = {""};
    write_file("old.npy", "old", 3);
    int before = temp_count();
    check_error(ab_npy_write(temp_path("no/such/x.npy"), data, 1, image, &err), AB_ERR_IO, &err,
                "cannot be written");
    check_error(ab_npy_write(temp_directory, data, 1, image, &err), AB_ERR_IO, &err, "directory");
    check_error(ab_npy_write(temp_path("x.npy"), data, 0, image, &err), AB_ERR_ARG, &err, "shape");
    check_error(ab_npy_write("/dev/full", data, 1, image, &err), AB_ERR_IO, &err, "No space");
    struct stat info;
    CHECK(stat("/dev/full", &info) == 0 && S_ISCHR(info.st_mode), "/dev/full was replaced");
    struct ab_outfile out;
    CHECK(ab_outfile_open(&out, temp_path("old.npy"), &err) == AB_OK, "%s", err.text);
    fputs("half", out.stream);
    CHECK(ab_outfile_close(&out, AB_ERR_ARG, &err) == AB_ERR_ARG, "status is lost");
    CHECK(temp_count() == before, "files are left");
    size_t bytes;
    unsigned char *old = read_file(temp_path("old.npy"), &bytes);
    CHECK(bytes == 3 && memcmp(old, "old", 3) == 0, "the old file was touched");
    free(old);
}

TEST(writes_through_links)
{
    float data[24] = {0};
    struct ab_error err = {""};
    struct stat info;
    write_file("target.npy", "old", 3);
    CHECK(symlink("target.npy", temp_path("link.npy")) == 0, "symlink");
    CHECK(ab_npy_write(temp_path("link.npy"), data, 1, image, &err) == AB_OK, "%s", err.text);
    CHECK(lstat(temp_path("link.npy"), &info) == 0 && S_ISLNK(info.st_mode), "the link is gone");
    CHECK(stat(temp_path("target.npy"), &info) == 0 && info.st_size == 224, "not the target");
}

static const struct test_case cases[] = {
    CASE(messages),
    CASE(buffers),
    CASE(near_names),
    CASE(random_is_fixed),
    CASE(random_moments),
    CASE(philox_known_answers),
    CASE(sample_normals_are_the_transform),
    CASE(samples_are_fixed_in_any_order),
    CASE(spans),
    CASE(hash_tells_apart),
    CASE(npy_round_trip),
    CASE(npy_versions_and_types),
    CASE(npy_doubles),
    CASE(npy_refusals),
    CASE(npy_damage),
    CASE(failed_writes_leave_nothing),
    CASE(writes_through_links),
};
TEST_MAIN("base", cases)
