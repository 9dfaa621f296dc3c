// SPDX-License-Identifier: Apache-2.0
// Cells of sheets.
#include "cell.h"

#include <stdio.h>
#include <string.h>

enum { CELL = AB_CELL, MARGIN = AB_CELL_MARGIN };

const struct ab_colour ab_ink = {33, 37, 41}, ab_gray = {110, 117, 125}, ab_rule = {222, 226, 230},
                       ab_accent = {12, 90, 60};

void ab_cell_label(struct ab_canvas *canvas, int x, int bottom, const char *text)
{
    int scale = 2, fits = (CELL + scale) / (scale * 6);
    char lines[3][64] = {"", "", ""};
    int n = 0;
    while (*text && n < 3) {
        int length = (int)strlen(text), cut = length;
        if (length > fits) {
            for (cut = fits; cut > 2 && !strchr("-:,", text[cut - 1]);) cut--;
            if (cut <= 2) cut = fits;
        }
        snprintf(lines[n++], sizeof lines[0], "%.*s", cut, text);
        text += cut;
    }
    for (int i = 0; i < n; i++) {
        int wide = ab_text_width(lines[i], scale);
        ab_canvas_text(canvas, x + (CELL - wide) / 2, bottom - (n - i) * 20, scale, ab_ink,
                       lines[i]);
    }
}

void ab_cell_text(struct ab_canvas *canvas, int x, int y, int scale, struct ab_colour c,
                  const char *text)
{
    ab_canvas_text(canvas, x + (CELL - ab_text_width(text, scale)) / 2, y, scale, c, text);
}

void ab_cell_frame(struct ab_canvas *canvas, int x, int y)
{
    ab_canvas_fill(canvas, x - 1, y - 1, CELL + 2, CELL + 2, ab_rule);
    ab_canvas_fill(canvas, x, y, CELL, CELL, (struct ab_colour){255, 255, 255});
}

void ab_sheet_head(struct ab_canvas *canvas, const char *text)
{
    ab_canvas_text(canvas, MARGIN, 20, 3, ab_ink, "attrbench");
    /* Below the scale, which a long line would run into. */
    const int room = canvas->width - 2 * MARGIN;
    ab_canvas_text(canvas, MARGIN, 70, ab_text_width(text, 2) <= room ? 2 : 1, ab_gray, text);
    int wide = 256, x = canvas->width - MARGIN - wide;
    for (int i = 0; i < wide; i++)
        ab_canvas_fill(canvas, x + i, 24, 1, 16, ab_diverging(2.0 * i / (wide - 1) - 1));
    ab_canvas_text(canvas, x, 44, 1, ab_gray, "against");
    ab_canvas_text(canvas, x + wide / 2 - 2, 44, 1, ab_gray, "0");
    ab_canvas_text(canvas, x + wide - ab_text_width("for the class", 1), 44, 1, ab_gray,
                   "for the class");
    ab_canvas_text(canvas, x, 58, 1, ab_gray, "full colour: each map's 99.5th percentile");
}
