// SPDX-License-Identifier: Apache-2.0
// Convolution shapes: parse and print back, files, logs of oneDNN, nonsense.
#include "support.h"

#include "verify/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TEST(prints_what_it_parsed)
{
    static const char *const lines[] = {
        "n1c64h56w56o64k3s1p1",
        "n2c3h224w220o64k7s2p3 conv1",
        "n1c32h112w112o32k3s1p1g32 depthwise one",
        "n1c8h9w10o16k3s1p2g2d2x7 all",
        "n1c19h5w3o2k9-2s2-1p4-1-6-2d1-2",
        "n1c4h9w9o4k1-7s1p0-3",
        "n1c4h9w9o4k1s5p0x3",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct ab_shape shape;
        struct ab_error err;
        char text[256];
        context("%s", lines[i]);
        CHECK(ab_shape_parse(lines[i], &shape, &err) == AB_OK, "%s", err.text);
        ab_shape_print(&shape, text, sizeof text);
        CHECK(!strcmp(text, lines[i]), "printed %s", text);
    }
}

TEST(fills_in_sizes)
{
    struct ab_shape s;
    struct ab_error err;
    CHECK(ab_shape_parse("n1c3h224w220o64k7s2p3 conv1", &s, &err) == AB_OK, "%s", err.text);
    CHECK(s.conv.oh == 112 && s.conv.ow == 110 && s.conv.g == 1 && s.times == 1, "%dx%d", s.conv.oh,
          s.conv.ow);
    CHECK(!strcmp(s.name, "conv1"), "%s", s.name);
    CHECK(ab_shape_parse("n1c4h8w8o4k3", &s, &err) == AB_OK, "%s", err.text);
    CHECK(s.conv.sh == 1 && s.conv.pt == 0 && s.conv.oh == 6, "defaults");
}

TEST(refuses_nonsense)
{
    static const char *const lines[] = {
        "",
        "conv",
        "n1c64h56w56o64",
        "n1c64h56w56o64k",
        "n1c64h56w56o64k3k3",
        "n0c1h1w1o1k1",
        "n1c3h4w4o4k5",
        "n1c3h8w8o4k3g2",
        "n1c64h56w56o64k3s0",
        "n1c64h56w56o64k3q1",
        "n1c-4h5w5o5k3",
        "n99999999999c1h1w1o1k1",
        "n1c4h8w8o4k3d9",
        "n1c4h8w8o4k3-",
        "n1c4h8w8o4k3-2-1",
        "n1c4h8w8o4k3p1-1-1",
        "n1c4h8w8o4k3p1-1-1-1-1",
        "n1-2c4h8w8o4k3",
        "n1c4h8w8o4k9-3p0-4",
        "n1c4h8w8o4k3 a-name-of-sixty-four-characters-which-is-one-more-than-a-name-can-have-",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct ab_shape shape;
        struct ab_error err;
        context("'%s'", lines[i]);
        CHECK(ab_shape_parse(lines[i], &shape, &err) == AB_ERR_FORMAT, "accepted");
        CHECK(!strchr(err.text, '\n') && *err.text, "no message");
    }
}

TEST(files_of_networks)
{
    static const struct {
        const char *file;
        int convolutions;
    } files[] = {{"vgg16", 13}, {"resnet50", 53}, {"alexnet", 5}, {"mobilenet_v2", 52}};
    const char *source = getenv("AB_SOURCE_DIR");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[1024];
        struct ab_shape *shapes;
        struct ab_error err;
        int count, sum = 0;
        snprintf(path, sizeof path, "%s/data/shapes/%s.txt", source ? source : ".", files[i].file);
        CHECK(ab_shapes_read(path, &shapes, &count, &err) == AB_OK, "%s", err.text);
        for (int k = 0; k < count; k++) sum += shapes[k].times;
        CHECK(sum == files[i].convolutions, "%s has %d", path, sum);
        free(shapes);
    }
    struct ab_shape *none;
    struct ab_error err;
    int count;
    CHECK(ab_shapes_read("/nonexistent", &none, &count, &err) == AB_ERR_IO, "no file");
}

/* ---- logs ---- */

static void expect_log(const char *line, enum ab_shape_log kind, const char *want)
{
    struct ab_shape shape;
    struct ab_error err = {0};
    char text[256];
    context("%s", line);
    CHECK(ab_shape_from_log(line, &shape, &err) == kind, "another kind: %s", err.text);
    if (kind == AB_SHAPE_LOG_BAD) CHECK(strstr(err.text, want), "%s", err.text);
    if (kind != AB_SHAPE_LOG_CONV) return;
    ab_shape_print(&shape, text, sizeof text);
    CHECK(!strcmp(text, want), "read as %s", text);
}

#define SIZES_OF_CONV1 "mb1_ic3oc64_ih224oh112kh7sh2dh0ph3_iw224ow112kw7sw2dw0pw3"

TEST(reads_lines_of_every_version)
{
    static const char *const lines[] = {
        "onednn_verbose,exec,cpu,convolution,jit:avx512_core,forward_training,src_f32::blocked:a:"
        "f0 "
        "dst_f32::blocked:aBcd16b:f0,,alg:convolution_direct," SIZES_OF_CONV1 ",1.2",
        "onednn_verbose,v1,primitive,exec,cpu,convolution,brgconv:avx2,backward_data,src:f32,"
        "attr-scratchpad:user,alg:convolution_direct," SIZES_OF_CONV1 ",0.0158691\n",
        "onednn_verbose,1700000000.5,primitive,exec,cpu,convolution,jit,forward_inference,a,,"
        "b," SIZES_OF_CONV1 ",1\r\n",
        "dnnl_verbose,exec,cpu,convolution,gemm:jit,forward_inference,a,,b," SIZES_OF_CONV1 ",3",
        "mkldnn_verbose,exec,convolution,jit,forward_inference,a,b," SIZES_OF_CONV1 ",3",
        ("rank 0: onednn_verbose,exec,cpu,convolution,jit,forward_inference,a,,b," SIZES_OF_CONV1),
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        expect_log(lines[i], AB_SHAPE_LOG_CONV, "n1c3h224w224o64k7s2p3");
}

#define CONV "onednn_verbose,exec,cpu,convolution,jit,forward_inference,a,,b,"

TEST(reads_every_form_of_sizes)
{
    static const struct {
        const char *sizes, *want;
    } forms[] = {
        {"mb1_ic64oc64_ih56oh56kh3sh1dh0ph1", "n1c64h56w56o64k3s1p1"},
        {"g32mb2_ic32oc64_ih9oh9kh3sh1dh0ph1", "n2c32h9w9o64k3s1p1g32"},
        {"mb1_g32ic32oc64_ih9oh9kh3sh1dh0ph1", "n1c32h9w9o64k3s1p1g32"},
        {"mb1_ic4oc4_iw12ow10kw3sw1dw0pw0", "n1c4h1w12o4k1-3s1p0"},
        {"mb1_ic4oc8_ih12oh8kh3sh1dh1ph0_iw9ow7kw3sw1dw0pw0", "n1c4h12w9o8k3s1p0d2-1"},
        /* Padding of one end alone. */
        {"mb1_ic4oc8_ih8oh4kh3sh2dh0ph0", "n1c4h8w8o8k3s2p0-0-1-1"},
        /* A last row that no window reaches. */
        {"mb1_ic4oc8_ih8oh3kh3sh2dh0ph0", "n1c4h8w8o8k3s2p0"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char line[256];
        snprintf(line, sizeof line, CONV "%s,0.5", forms[i].sizes);
        expect_log(line, AB_SHAPE_LOG_CONV, forms[i].want);
    }
}

TEST(tells_other_lines_from_bad_ones)
{
    expect_log("n1c64h56w56o64k3s1p1", AB_SHAPE_LOG_NONE, "");
    expect_log("onednn_verbose,info,oneDNN v2.6.3 (commit N/A)", AB_SHAPE_LOG_OTHER, "");
    expect_log("onednn_verbose,exec,cpu,reorder,jit:uni,undef,src,,,1x16x28x28,0.1",
               AB_SHAPE_LOG_OTHER, "");
    expect_log("onednn_verbose,create:cache_miss,cpu,convolution,jit,forward_inference,a,,"
               "b," SIZES_OF_CONV1 ",1",
               AB_SHAPE_LOG_OTHER, "");
    expect_log("onednn_verbose,exec,cpu,convolution,jit,backward_weights,a,,b," SIZES_OF_CONV1 ",1",
               AB_SHAPE_LOG_OTHER, "");
    expect_log("onednn_verbose,exec,cpu,deconvolution,jit,forward_inference,a,,b," SIZES_OF_CONV1,
               AB_SHAPE_LOG_OTHER, "");
    expect_log(CONV "mb1_ic3oc4_id4od4kd1sd1dd0pd0_ih4oh4kh1sh1dh0ph0_iw4ow4kw1sw1dw0pw0,1",
               AB_SHAPE_LOG_BAD, "two dimensions");
    expect_log(CONV "mb1_ic4oc8_ih8oh2kh3sh2dh0ph0,1", AB_SHAPE_LOG_BAD, "paddings are from 0");
    expect_log(CONV "mb1_ic4oc8_ih8oh4kh3sh0dh0ph0,1", AB_SHAPE_LOG_BAD, "strides");
    expect_log(CONV "mb1_ic4oc8_ih8_oh4", AB_SHAPE_LOG_BAD, "");
    expect_log(CONV "mb1_ic4oc8_ihx", AB_SHAPE_LOG_BAD, "");
}

/* Reads `text` from a file. */
static enum ab_status read_text(const char *text, struct ab_shape **shapes, int *count,
                                struct ab_error *err)
{
    char path[] = "/tmp/ab-shapes-XXXXXX";
    const int fd = mkstemp(path);
    CHECK(fd >= 0, "no temporary file");
    FILE *f = fdopen(fd, "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0, "cannot write");
    const enum ab_status status = ab_shapes_read(path, shapes, count, err);
    remove(path);
    return status;
}

TEST(logs_are_lists_of_shapes)
{
    struct ab_shape *shapes;
    struct ab_error err = {0};
    int count;
    const char *log = "epoch 1 of 3\n" CONV SIZES_OF_CONV1 ",1\nonednn_verbose,info,cpu\n"
                      "n1c4h8w8o4k3s1p1 mine\n" CONV SIZES_OF_CONV1 ",2\n" CONV
                      "mb1_ic64oc64_ih56oh56kh3sh1dh0ph1,3";
    CHECK(read_text(log, &shapes, &count, &err) == AB_OK, "%s", err.text);
    CHECK(count == 3 && shapes[0].times == 2 && shapes[0].conv.kh == 7, "%d shapes", count);
    CHECK(!strcmp(shapes[1].name, "mine") && shapes[2].times == 1, "wrong shapes");
    free(shapes);
    CHECK(read_text("onednn_verbose,info,cpu\n", &shapes, &count, &err) == AB_ERR_FORMAT &&
              strstr(err.text, "without convolutions"),
          "%s", err.text);
    CHECK(read_text("n1c4h8w8o4k3\n" CONV "mb1_ic4oc8_ihx\n", &shapes, &count, &err) ==
                  AB_ERR_FORMAT &&
              strstr(err.text, ":2: "),
          "%s", err.text);
    CHECK(read_text("n1c4h8w8o4k3\nepoch 1\n", &shapes, &count, &err) == AB_ERR_FORMAT,
          "no log, no shape");
}

static const struct test_case cases[] = {
    CASE(prints_what_it_parsed),
    CASE(fills_in_sizes),
    CASE(refuses_nonsense),
    CASE(files_of_networks),
    CASE(reads_lines_of_every_version),
    CASE(reads_every_form_of_sizes),
    CASE(tells_other_lines_from_bad_ones),
    CASE(logs_are_lists_of_shapes),
};
TEST_MAIN("shapes", cases)
