// SPDX-License-Identifier: Apache-2.0
// A picture to draw on: rectangles, text, pictures, heat maps. Coordinates in pixels; what falls
// outside is left out.
#ifndef AB_CANVAS_H
#define AB_CANVAS_H

#include "base/base.h"

struct ab_canvas {
    int width, height;
    uint8_t *rgb;
};

struct ab_colour {
    uint8_t r, g, b;
};

/* White. False when out of memory. */
bool ab_canvas_create(struct ab_canvas *canvas, int width, int height);
void ab_canvas_destroy(struct ab_canvas *canvas);
void ab_canvas_fill(struct ab_canvas *canvas, int x, int y, int w, int h, struct ab_colour c);

/* Text in the built-in font, `scale` times 5 x 8 pixels a character with 1 between. */
void ab_canvas_text(struct ab_canvas *canvas, int x, int y, int scale, struct ab_colour c,
                    const char *text);
int ab_text_width(const char *text, int scale);

/* A picture of w x h pixels as a square of `size`: whole multiples are repeated, other sizes
 * averaged. rgb: h rows of w pixels, [0,1] floats in planes [3][h][w]. */
void ab_canvas_picture(struct ab_canvas *canvas, int x, int y, int size, const float *planes, int w,
                       int h);

/* White to red for 0..1, white to blue for 0..-1. */
struct ab_colour ab_diverging(double v);

/* A map [c][h][w] as planes of colours [3][h][w]: channels summed, scaled so that the 99.5th
 * percentile of the absolute sums is full colour. False when out of memory. */
bool ab_heat_planes(const float *map, struct ab_dims dims, float *planes);

/* An input [c][h][w] as planes [3][h][w] in [0,1], its own range stretched; gray for one channel.
 */
void ab_input_planes(const float *input, struct ab_dims dims, float *planes);

#endif
