// SPDX-License-Identifier: Apache-2.0
// Convolution shapes as text, one a line, after the example of oneDNN's benchdnn, and from its
// logs.
//
//     n1c64h56w56o64k3s1p1 [g<groups>] [d<dilation>] [x<times in the network>] [name]
//
// n images of c channels, h x w, to o channels; kernel k, stride s, padding p; d 1 is no dilation.
// One number serves both axes; where they differ, rows and columns: k3-5, s1-2, d2-1, p1-2; where
// the two ends of an axis differ, top, left, bottom and right: p0-1-2-1. Letters after the first
// six may be left out; the parts stand without spaces up to the name. '#' begins a comment.
#ifndef AB_VERIFY_SHAPE_H
#define AB_VERIFY_SHAPE_H

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
/* Sets oh and ow, or says what is wrong with the other fields; NULL: nothing. */
const char *ab_shape_complete(struct ab_conv2d_shape *c);

/* What a line of ONEDNN_VERBOSE=1 (oneDNN 1.x to 3.x) says: NONE if it is no such line, OTHER if it
 * tells of anything but one execution of a convolution, or of its backward-data. */
enum ab_shape_log { AB_SHAPE_LOG_NONE, AB_SHAPE_LOG_OTHER, AB_SHAPE_LOG_CONV, AB_SHAPE_LOG_BAD };
/* BAD: a convolution that has no such shape; err says why. */
enum ab_shape_log ab_shape_from_log(const char *line, struct ab_shape *shape, struct ab_error *err);

/* Reads a file of such lines. Once it holds a line of a oneDNN log, convolutions of the log that
 * are equal are one shape, counted in `times`, and lines that are neither are no error. *shapes is
 * malloc'd. Errors name the line. */
enum ab_status ab_shapes_read(const char *path, struct ab_shape **shapes, int *count,
                              struct ab_error *err);

#endif
