// SPDX-License-Identifier: Apache-2.0
// Convolution shapes as text, one a line, after the example of oneDNN's benchdnn.
//
//     n1c64h56w56o64k3s1p1 [g<groups>] [d<dilation>] [x<times in the network>] [name]
//
// n images of c channels, h x w, to o channels; square kernel k, stride s, padding p; d 1 is no
// dilation. Letters after the first eight may be left out; the parts stand without spaces up to the
// name. '#' begins a comment.
#ifndef AB_SHAPE_H
#define AB_SHAPE_H

#include "base/base.h"
#include "simd/kernels.h"

struct ab_shape {
    struct ab_conv2d_shape conv;
    int times;
    char name[64];
};

/* Parses one line without its end. A shape that no convolution can have is an error too. */
enum ab_status ab_shape_parse(const char *line, struct ab_shape *shape, struct ab_error *err);
/* The text that parses to the same shape, parts at their defaults left out. */
void ab_shape_print(const struct ab_shape *shape, char *text, size_t size);
/* Reads a file. *shapes is malloc'd. Errors name the line. */
enum ab_status ab_shapes_read(const char *path, struct ab_shape **shapes, int *count,
                              struct ab_error *err);

#endif
