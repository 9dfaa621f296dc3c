// SPDX-License-Identifier: Apache-2.0
// Line and bar charts as SVG: made by filling in what is to be seen, drawn when they are written.
//
//     struct ab_plot *p = ab_plot_new("Cosine to the image");
//     ab_plot_axis(p, AB_AXIS_X, "layer", AB_SCALE_NAMES);
//     ab_plot_axis(p, AB_AXIS_Y, "cosine", AB_SCALE_LINEAR);
//     for (each layer k) ab_plot_tick(p, k, name of layer k);
//     int s = ab_plot_series(p, "gradient", AB_LINE);
//     for (each layer k) ab_plot_band(p, s, k, mean, mean - sd, mean + sd);
//     ab_plot_write(p, "alignment.svg", &err);
//
// Nothing fails but writing: memory that ran out on the way is reported there. Points whose y is
// not finite are left out, and a line is broken there; on a logarithmic axis so are points <= 0.
#ifndef AB_BENCH_PLOT_H
#define AB_BENCH_PLOT_H

#include "base/base.h"

enum ab_axis { AB_AXIS_X, AB_AXIS_Y };

/* NAMES is for x alone: places 0, 1, 2, ... each with a name from ab_plot_tick. */
enum ab_scale { AB_SCALE_LINEAR, AB_SCALE_LOG, AB_SCALE_NAMES };

/* LINE: markers joined by lines. POINTS: markers alone, for measurements beside what theory says.
 * DASHES: a dashed line without markers, for that, or for a baseline. BARS: one bar at each place
 * of an axis of NAMES, those of several series side by side. */
enum ab_mark { AB_LINE, AB_POINTS, AB_DASHES, AB_BARS };

struct ab_plot;

struct ab_plot *ab_plot_new(const char *title);
void ab_plot_free(struct ab_plot **plot);

void ab_plot_axis(struct ab_plot *plot, enum ab_axis axis, const char *title, enum ab_scale scale);
/* The axis shows at least `low` to `high`; without it, what the points need (bars: and 0). */
void ab_plot_range(struct ab_plot *plot, enum ab_axis axis, double low, double high);
void ab_plot_tick(struct ab_plot *plot, int place, const char *name);

/* A new series; its index. Colours are given out in the order of series; a series of a name that
 * already has one (a line and its dashes, say) shares it, and the legend has the name once. */
int ab_plot_series(struct ab_plot *plot, const char *name, enum ab_mark mark);
void ab_plot_point(struct ab_plot *plot, int series, double x, double y);
/* With a band (lines) or whisker (bars) from low to high; NaN: none. */
void ab_plot_band(struct ab_plot *plot, int series, double x, double y, double low, double high);

/* Writes the chart as a stand-alone SVG file, whole or not at all. */
enum ab_status ab_plot_write(const struct ab_plot *plot, const char *path, struct ab_error *err);

/* ---- reading back, for records ---- */

struct ab_plot_value {
    double x, y, low, high;
};
const char *ab_plot_title(const struct ab_plot *plot);
const char *ab_plot_axis_title(const struct ab_plot *plot, enum ab_axis axis);
const char *ab_plot_tick_name(const struct ab_plot *plot, int place); /* NULL: none */
int ab_plot_series_count(const struct ab_plot *plot);
const char *ab_plot_series_name(const struct ab_plot *plot, int series);
const struct ab_plot_value *ab_plot_values(const struct ab_plot *plot, int series, int *count);

#endif
