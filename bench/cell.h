// SPDX-License-Identifier: Apache-2.0
// The cells that sheets of maps are made of: framed squares with their names above, and a legend.
#ifndef AB_CELL_H
#define AB_CELL_H

#include "canvas.h"

enum {
    AB_CELL = 168, /* six times 28, three quarters of 224 */
    AB_CELL_GAP = 10,
    AB_CELL_MARGIN = 24,
    AB_CELL_HEADING = 68, /* room for a name of three lines above a cell */
    AB_SHEET_HEAD = 100   /* and for the head of a sheet */
};

extern const struct ab_colour ab_ink, ab_gray, ab_rule, ab_accent;

/* A name in up to three lines that fit a cell, broken where a name may be broken, the last above
 * `bottom`. */
void ab_cell_label(struct ab_canvas *canvas, int x, int bottom, const char *text);
/* One line in the middle of a cell's width. */
void ab_cell_text(struct ab_canvas *canvas, int x, int y, int scale, struct ab_colour c,
                  const char *text);
void ab_cell_frame(struct ab_canvas *canvas, int x, int y);
/* The program's name, `text` below it, and the scale of colours. */
void ab_sheet_head(struct ab_canvas *canvas, const char *text);

#endif
