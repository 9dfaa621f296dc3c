// SPDX-License-Identifier: Apache-2.0
// Convolution shapes: parse and print back, files, nonsense.
#include "../bench/shape.h"
#include "support.h"

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

static const struct test_case cases[] = {CASE(prints_what_it_parsed), CASE(fills_in_sizes),
                                         CASE(refuses_nonsense), CASE(files_of_networks)};
TEST_MAIN("shapes", cases)
