// SPDX-License-Identifier: Apache-2.0
// Filling in charts. Drawing: plot_svg.c.
#include "plot_inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* No chart has more places on its axis. */
enum { MAX_TICKS = 4096 };

static char *copy(struct ab_plot *p, const char *text)
{
    char *c = strdup(text);
    if (!c) p->failed = true;
    return c;
}

/* Room for one more; NULL, and the plot has failed, when memory runs out. */
static void *grow(struct ab_plot *p, void *items, int count, size_t size)
{
    if (count & (count - 1)) return items; /* capacity: the next power of two */
    void *grown = realloc(items, (size_t)(count ? 2 * count : 1) * size);
    if (!grown) p->failed = true;
    return grown;
}

struct ab_plot *ab_plot_new(const char *title)
{
    struct ab_plot *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->title = copy(p, title);
    for (int i = 0; i < 2; i++)
        p->axes[i] = (struct ab_plot_axis){NULL, AB_SCALE_LINEAR, (double)NAN, (double)NAN};
    return p;
}

void ab_plot_free(struct ab_plot **plot)
{
    struct ab_plot *p = *plot;
    if (!p) return;
    for (int i = 0; i < p->n_series; i++) {
        free(p->series[i].name);
        free(p->series[i].values);
    }
    for (int i = 0; i < p->n_ticks; i++) free(p->ticks[i]);
    for (int i = 0; i < 2; i++) free(p->axes[i].title);
    free(p->series);
    free(p->ticks);
    free(p->title);
    free(p);
    *plot = NULL;
}

void ab_plot_axis(struct ab_plot *p, enum ab_axis axis, const char *title, enum ab_scale scale)
{
    if (!p) return;
    free(p->axes[axis].title);
    p->axes[axis].title = copy(p, title);
    p->axes[axis].scale = scale;
}

void ab_plot_range(struct ab_plot *p, enum ab_axis axis, double low, double high)
{
    if (!p) return;
    p->axes[axis].low = low;
    p->axes[axis].high = high;
}

void ab_plot_tick(struct ab_plot *p, int place, const char *name)
{
    if (!p || place < 0 || place >= MAX_TICKS) return;
    while (p->n_ticks <= place) {
        char **ticks = grow(p, p->ticks, p->n_ticks, sizeof *ticks);
        if (!ticks) return;
        p->ticks = ticks;
        p->ticks[p->n_ticks++] = NULL;
    }
    free(p->ticks[place]);
    p->ticks[place] = copy(p, name);
}

int ab_plot_series(struct ab_plot *p, const char *name, enum ab_mark mark)
{
    if (!p) return -1;
    struct ab_plot_series *series = grow(p, p->series, p->n_series, sizeof *series);
    if (!series) return -1;
    p->series = series;
    int colour = -1;
    for (int i = 0; i < p->n_series; i++)
        if (p->series[i].name && !strcmp(p->series[i].name, name)) colour = p->series[i].colour;
    if (colour < 0) colour = p->n_colours++;
    p->series[p->n_series] =
        (struct ab_plot_series){.name = copy(p, name), .mark = mark, .colour = colour};
    return p->n_series++;
}

void ab_plot_band(struct ab_plot *p, int series, double x, double y, double low, double high)
{
    if (!p || series < 0 || series >= p->n_series) return;
    struct ab_plot_series *s = &p->series[series];
    struct ab_plot_value *values = grow(p, s->values, s->count, sizeof *values);
    if (!values) return;
    s->values = values;
    s->values[s->count++] = (struct ab_plot_value){x, y, low, high};
}

void ab_plot_point(struct ab_plot *p, int series, double x, double y)
{
    ab_plot_band(p, series, x, y, (double)NAN, (double)NAN);
}

const char *ab_plot_title(const struct ab_plot *p)
{
    return p->title ? p->title : "";
}

const char *ab_plot_axis_title(const struct ab_plot *p, enum ab_axis axis)
{
    return p->axes[axis].title ? p->axes[axis].title : "";
}

const char *ab_plot_tick_name(const struct ab_plot *p, int place)
{
    if (p->axes[AB_AXIS_X].scale != AB_SCALE_NAMES || place < 0 || place >= p->n_ticks) return NULL;
    return p->ticks[place];
}

int ab_plot_series_count(const struct ab_plot *p)
{
    return p->n_series;
}

const char *ab_plot_series_name(const struct ab_plot *p, int series)
{
    return p->series[series].name ? p->series[series].name : "";
}

const struct ab_plot_value *ab_plot_values(const struct ab_plot *p, int series, int *count)
{
    *count = p->series[series].count;
    return p->series[series].values;
}
