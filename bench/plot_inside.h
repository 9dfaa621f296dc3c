// SPDX-License-Identifier: Apache-2.0
// The structure of plots, for the two files that fill and draw them.
#ifndef AB_PLOT_INSIDE_H
#define AB_PLOT_INSIDE_H

#include "plot.h"

struct ab_plot_axis {
    char *title;
    enum ab_scale scale;
    double low, high; /* asked for; NaN: not */
};

struct ab_plot_series {
    char *name;
    enum ab_mark mark;
    int colour; /* series of one name share it */
    struct ab_plot_value *values;
    int count;
};

struct ab_plot {
    char *title;
    struct ab_plot_axis axes[2];
    char **ticks; /* [n_ticks], NULL where no name was given */
    int n_ticks;
    struct ab_plot_series *series;
    int n_series, n_colours;
    bool failed; /* memory ran out */
};

#endif
