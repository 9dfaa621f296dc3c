// SPDX-License-Identifier: Apache-2.0
// Sections of a sheet, one below the other, each a grid of cells.
#include "grid.h"

#include "base/image.h"

enum { COLUMNS = 7, TITLE = 30, ROW = AB_CELL_HEADING + AB_CELL + AB_CELL_GAP };

static int section_height(int cells)
{
    return TITLE + (cells + COLUMNS - 1) / COLUMNS * ROW;
}

enum ab_status ab_grid_open(struct ab_grid *grid, int cells, int sections, const char *text,
                            struct ab_error *err)
{
    const int width = 2 * AB_CELL_MARGIN + COLUMNS * (AB_CELL + AB_CELL_GAP) - AB_CELL_GAP;
    const int height = AB_SHEET_HEAD + sections * section_height(cells) + AB_CELL_MARGIN;
    *grid = (struct ab_grid){.cells = cells, .top = AB_SHEET_HEAD - section_height(cells)};
    if (!ab_canvas_create(&grid->canvas, width, height))
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for a sheet of %d maps", cells);
    ab_sheet_head(&grid->canvas, text);
    return AB_OK;
}

void ab_grid_close(struct ab_grid *grid)
{
    ab_canvas_destroy(&grid->canvas);
}

void ab_grid_section(struct ab_grid *grid, const char *title)
{
    grid->top += section_height(grid->cells);
    ab_canvas_fill(&grid->canvas, AB_CELL_MARGIN, grid->top - 10,
                   grid->canvas.width - 2 * AB_CELL_MARGIN, 1, ab_rule);
    ab_canvas_text(&grid->canvas, AB_CELL_MARGIN, grid->top, 2, ab_gray, title);
}

void ab_grid_cell(struct ab_grid *grid, int cell, const char *name, const float *planes,
                  struct ab_dims dims)
{
    const int x = AB_CELL_MARGIN + cell % COLUMNS * (AB_CELL + AB_CELL_GAP);
    const int y = grid->top + TITLE + cell / COLUMNS * ROW + AB_CELL_HEADING;
    ab_cell_label(&grid->canvas, x, y - 6, name);
    ab_cell_frame(&grid->canvas, x, y);
    ab_canvas_picture(&grid->canvas, x, y, AB_CELL, planes, dims.w, dims.h);
}

enum ab_status ab_grid_write(const struct ab_grid *grid, const char *path, struct ab_error *err)
{
    return ab_png_write(path, grid->canvas.width, grid->canvas.height, grid->canvas.rgb, err);
}
