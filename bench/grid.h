// SPDX-License-Identifier: Apache-2.0
// contact.png of attrbench explain: every map of an image in a grid, with the methods' names.
#ifndef AB_GRID_H
#define AB_GRID_H

#include "cell.h"

struct ab_grid {
    struct ab_canvas canvas;
    int cells, top; /* cells of a section; where the next one begins */
};

/* A grid of `sections` images with `cells` pictures each. */
enum ab_status ab_grid_open(struct ab_grid *grid, int cells, int sections, const char *text,
                            struct ab_error *err);
void ab_grid_close(struct ab_grid *grid);
/* Begins the next section. */
void ab_grid_section(struct ab_grid *grid, const char *title);
/* Draws cell `cell` of the section: planes [3][h][w] of colours in [0,1]. */
void ab_grid_cell(struct ab_grid *grid, int cell, const char *name, const float *planes,
                  struct ab_dims dims);
enum ab_status ab_grid_write(const struct ab_grid *grid, const char *path, struct ab_error *err);

#endif
