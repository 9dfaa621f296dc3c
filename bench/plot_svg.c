// SPDX-License-Identifier: Apache-2.0
// Drawing charts as SVG.
#include "plot_inside.h"

#include "base/outfile.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* In units of the picture, which is about as wide as a page on GitHub. */
enum {
    WIDTH = 860,
    LEFT = 74,
    TOP = 52,
    PLOT_HEIGHT = 310,
    LEGEND_GAP = 22,
    LEGEND_LINE = 22,
    TEXT = 14,
    SMALL = 13
};

/* Distinct with every common colour deficiency: Okabe and Ito's eight without yellow (too light on
 * white), and four of Tol's muted scheme. Markers differ too. */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000",
                                      "#e69f00", "#56b4e9", "#882255", "#999933", "#44aa99",
                                      "#332288", "#888888", "#117733", "#aa4499"};
enum { COLOURS = sizeof colours / sizeof *colours, MARKERS = 5 };

struct scale {
    enum ab_scale kind;
    double low, high; /* of the axis; logarithms where it has any */
    double from, to;  /* in the picture */
    double step;      /* between ticks */
};

struct canvas {
    FILE *f;
    const struct ab_plot *p;
    struct scale x, y;
    double right, bottom; /* of the plot area */
    int bars;             /* series of bars */
};

static const char *colour(const struct ab_plot_series *s)
{
    return colours[s->colour % COLOURS];
}

static void put_text(FILE *f, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '&': fputs("&amp;", f); break;
        default: fputc(*text, f);
        }
    }
}

/* ---- axes ---- */

static bool shown(const struct scale *s, double v)
{
    return isfinite(v) && (s->kind != AB_SCALE_LOG || v > 0);
}

static double place(const struct scale *s, double v)
{
    const double at = s->kind == AB_SCALE_LOG ? log10(v) : v;
    return s->from + (at - s->low) / (s->high - s->low) * (s->to - s->from);
}

static void include(struct scale *s, double v)
{
    if (!shown(s, v)) return;
    const double at = s->kind == AB_SCALE_LOG ? log10(v) : v;
    s->low = fmin(s->low, at);
    s->high = fmax(s->high, at);
}

/* 1, 2 or 5 times a power of ten, so that there are four to nine ticks. */
static double round_step(double range)
{
    const double rough = range / 6, power = pow(10, floor(log10(rough)));
    const double digit = rough / power;
    return power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
}

static void settle(struct scale *s)
{
    if (!(s->low <= s->high)) s->low = 0, s->high = 1;
    if (s->kind == AB_SCALE_NAMES) {
        s->low -= 0.5, s->high += 0.5;
        s->step = 1;
        return;
    }
    if (s->high - s->low < 1e-12 * fmax(1, fabs(s->high))) s->low -= 0.5, s->high += 0.5;
    s->step = round_step(s->high - s->low);
    if (s->kind == AB_SCALE_LOG) s->step = fmax(1, ceil((s->high - s->low) / 8));
    /* A point that is hardly beyond a tick does not make room for another. */
    s->low = s->step * floor(s->low / s->step + 0.08);
    s->high = s->step * ceil(s->high / s->step - 0.08);
}

static struct scale scale_of(const struct ab_plot *p, enum ab_axis axis, double from, double to)
{
    const struct ab_plot_axis *a = &p->axes[axis];
    struct scale s = {.kind = a->scale, .low = INFINITY, .high = -INFINITY, .from = from, .to = to};
    include(&s, a->low);
    include(&s, a->high);
    for (int i = 0; i < p->n_series; i++) {
        if (axis == AB_AXIS_Y && p->series[i].mark == AB_BARS) include(&s, 0);
        for (int k = 0; k < p->series[i].count; k++) {
            const struct ab_plot_value *v = &p->series[i].values[k];
            include(&s, axis == AB_AXIS_X ? v->x : v->y);
            if (axis == AB_AXIS_Y) include(&s, v->low), include(&s, v->high);
        }
    }
    for (int i = 0; a->scale == AB_SCALE_NAMES && i < p->n_ticks; i++) include(&s, i);
    settle(&s);
    return s;
}

static void tick_text(const struct scale *s, double at, char *text, size_t size)
{
    if (s->kind == AB_SCALE_LOG) {
        const int power = (int)lround(at);
        if (power >= -3 && power <= 4)
            snprintf(text, size, "%g", pow(10, power));
        else
            snprintf(text, size, "1e%d", power);
        return;
    }
    const int digits = s->step < 1 ? (int)ceil(-log10(s->step) - 1e-9) : 0;
    snprintf(text, size, "%.*f", digits, fabs(at) < 1e-9 * s->step ? 0 : at);
}

static void draw_y_axis(struct canvas *c)
{
    const int count = (int)lround((c->y.high - c->y.low) / c->y.step);
    for (int i = 0; i <= count; i++) {
        const double at = c->y.low + i * c->y.step;
        const double y = c->y.from + (c->y.to - c->y.from) * i / count;
        char text[32];
        tick_text(&c->y, at, text, sizeof text);
        const bool zero = c->y.kind == AB_SCALE_LINEAR && fabs(at) < 1e-9 * c->y.step;
        fprintf(c->f,
                "<line x1=\"%d\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" font-size=\"%d\">%s</text>\n",
                LEFT, y, c->right, y, zero ? "#888888" : "#e3e3e3", LEFT - 9, y + 4.5, SMALL, text);
    }
    const double middle = (c->y.from + c->y.to) / 2;
    fprintf(c->f,
            "<text transform=\"translate(20 %.1f) rotate(-90)\" text-anchor=\"middle\" "
            "font-size=\"%d\">",
            middle, TEXT);
    put_text(c->f, ab_plot_axis_title(c->p, AB_AXIS_Y));
    fputs("</text>\n", c->f);
}

/* A rough measure: 0.57 of the font size a character. */
static double text_width(const char *text, int size)
{
    return 0.57 * size * (double)strlen(text);
}

static bool names_collide(const struct ab_plot *p, double right)
{
    double widest = 0;
    for (int i = 0; i < p->n_ticks; i++)
        if (p->ticks[i]) widest = fmax(widest, text_width(p->ticks[i], SMALL));
    return widest + 6 > (right - LEFT) / fmax(1, p->n_ticks);
}

/* Height of what stands below the plot area. */
static double footer(const struct ab_plot *p, double right)
{
    double widest = 0;
    if (p->axes[AB_AXIS_X].scale != AB_SCALE_NAMES || !names_collide(p, right)) return 56;
    for (int i = 0; i < p->n_ticks; i++)
        if (p->ticks[i]) widest = fmax(widest, text_width(p->ticks[i], SMALL));
    return 50 + 0.64 * widest;
}

static void draw_names(struct canvas *c)
{
    const bool tilt = names_collide(c->p, c->right);
    for (int i = 0; i < c->p->n_ticks; i++) {
        if (!c->p->ticks[i]) continue;
        const double x = place(&c->x, i);
        if (tilt)
            fprintf(c->f,
                    "<text transform=\"translate(%.1f %.1f) rotate(-40)\" text-anchor=\"end\" "
                    "font-size=\"%d\">",
                    x + 5, c->bottom + 17, SMALL);
        else
            fprintf(c->f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" font-size=\"%d\">", x,
                    c->bottom + 19, SMALL);
        put_text(c->f, c->p->ticks[i]);
        fputs("</text>\n", c->f);
    }
}

static void draw_x_numbers(struct canvas *c)
{
    const int count = (int)lround((c->x.high - c->x.low) / c->x.step);
    for (int i = 0; i <= count; i++) {
        const double x = c->x.from + (c->x.to - c->x.from) * i / count;
        char text[32];
        tick_text(&c->x, c->x.low + i * c->x.step, text, sizeof text);
        fprintf(c->f,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#555555\"/>\n"
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" font-size=\"%d\">%s</text>\n",
                x, c->bottom, x, c->bottom + 5, x, c->bottom + 20, SMALL, text);
    }
}

static void draw_x_axis(struct canvas *c, double height)
{
    if (c->x.kind == AB_SCALE_NAMES)
        draw_names(c);
    else
        draw_x_numbers(c);
    fprintf(c->f,
            "<line x1=\"%d\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#555555\"/>\n"
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" font-size=\"%d\">",
            LEFT, c->bottom, c->right, c->bottom, (LEFT + c->right) / 2, height - 12, TEXT);
    put_text(c->f, ab_plot_axis_title(c->p, AB_AXIS_X));
    fputs("</text>\n", c->f);
}

/* ---- marks ---- */

static void draw_marker(FILE *f, int shape, double x, double y, const char *fill)
{
    switch (shape % MARKERS) {
    case 0: fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.6\"", x, y); break;
    case 1:
        fprintf(f, "<rect x=\"%.1f\" y=\"%.1f\" width=\"6.6\" height=\"6.6\"", x - 3.3, y - 3.3);
        break;
    case 2: fprintf(f, "<path d=\"M%.1f %.1fl4.2 7.2h-8.4z\"", x, y - 4.6); break;
    case 3: fprintf(f, "<path d=\"M%.1f %.1fl4.4 4.4l-4.4 4.4l-4.4 -4.4z\"", x, y - 4.4); break;
    default: fprintf(f, "<path d=\"M%.1f %.1fl4.2 -7.2h-8.4z\"", x, y + 4.6);
    }
    fprintf(f, " fill=\"%s\"/>\n", fill);
}

static bool visible(const struct canvas *c, const struct ab_plot_value *v)
{
    return shown(&c->x, v->x) && shown(&c->y, v->y);
}

static bool banded(const struct canvas *c, const struct ab_plot_value *v)
{
    return visible(c, v) && shown(&c->y, v->low) && shown(&c->y, v->high);
}

/* One closed outline for each run of neighbouring points that have a band. */
static void draw_band(struct canvas *c, const struct ab_plot_series *s)
{
    for (int from = 0, end; from < s->count; from = end) {
        end = from + 1;
        if (!banded(c, &s->values[from])) continue;
        while (end < s->count && banded(c, &s->values[end])) end++;
        if (end - from < 2) continue;
        fprintf(c->f, "<path fill=\"%s\" fill-opacity=\"0.13\" d=\"", colour(s));
        for (int i = from; i < end; i++)
            fprintf(c->f, "%c%.1f %.1f", i == from ? 'M' : 'L', place(&c->x, s->values[i].x),
                    place(&c->y, s->values[i].low));
        for (int i = end - 1; i >= from; i--)
            fprintf(c->f, "L%.1f %.1f", place(&c->x, s->values[i].x),
                    place(&c->y, s->values[i].high));
        fputs("z\"/>\n", c->f);
    }
}

static void draw_path(struct canvas *c, const struct ab_plot_series *s)
{
    bool down = false, any = false;
    for (int i = 0; i < s->count; i++) any = any || visible(c, &s->values[i]);
    if (!any) return;
    fprintf(c->f,
            "<path fill=\"none\" stroke=\"%s\" stroke-width=\"%s\" stroke-linejoin=\"round\"%s "
            "d=\"",
            colour(s), s->mark == AB_DASHES ? "1.6" : "2.2",
            s->mark == AB_DASHES ? " stroke-dasharray=\"6 4\"" : "");
    for (int i = 0; i < s->count; i++) {
        const struct ab_plot_value *v = &s->values[i];
        if (visible(c, v))
            fprintf(c->f, "%c%.1f %.1f", down ? 'L' : 'M', place(&c->x, v->x), place(&c->y, v->y));
        down = visible(c, v);
    }
    fputs("\"/>\n", c->f);
}

static void draw_line(struct canvas *c, const struct ab_plot_series *s)
{
    if (s->mark != AB_POINTS) draw_path(c, s);
    for (int i = 0; s->mark != AB_DASHES && i < s->count; i++)
        if (visible(c, &s->values[i]))
            draw_marker(c->f, s->colour, place(&c->x, s->values[i].x), place(&c->y, s->values[i].y),
                        colour(s));
}

static void draw_bars(struct canvas *c, const struct ab_plot_series *s, int rank)
{
    const double slot = 0.8 / c->bars;
    const double ground = c->y.kind == AB_SCALE_LOG ? c->y.from : place(&c->y, 0);
    for (int i = 0; i < s->count; i++) {
        const struct ab_plot_value *v = &s->values[i];
        if (!visible(c, v)) continue;
        const double left = place(&c->x, v->x - 0.4 + slot * (rank + 0.05));
        const double right = place(&c->x, v->x - 0.4 + slot * (rank + 0.95));
        const double y = place(&c->y, v->y), middle = (left + right) / 2;
        fprintf(c->f, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n",
                left, fmin(y, ground), right - left, fabs(y - ground), colour(s));
        if (!banded(c, v)) continue;
        fprintf(c->f,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#333333\" "
                "stroke-width=\"1.4\"/>\n",
                middle, place(&c->y, v->low), middle, place(&c->y, v->high));
    }
}

static void draw_series(struct canvas *c)
{
    const struct ab_plot *p = c->p;
    for (int i = 0; i < p->n_series; i++)
        if (p->series[i].mark == AB_LINE) draw_band(c, &p->series[i]);
    for (int i = 0, rank = 0; i < p->n_series; i++) {
        if (p->series[i].mark == AB_BARS)
            draw_bars(c, &p->series[i], rank++);
        else
            draw_line(c, &p->series[i]);
    }
}

/* ---- legend ---- */

static bool same_name(const struct ab_plot *p, int i, int k)
{
    return !strcmp(ab_plot_series_name(p, i), ab_plot_series_name(p, k));
}

static bool seen_before(const struct ab_plot *p, int series)
{
    for (int i = 0; i < series; i++)
        if (same_name(p, i, series)) return true;
    return false;
}

static int legend_lines(const struct ab_plot *p)
{
    int lines = 0;
    for (int i = 0; i < p->n_series; i++) lines += !seen_before(p, i);
    return lines > 1 ? lines : 0;
}

static void draw_swatch(struct canvas *c, const struct ab_plot_series *s, double x, double y)
{
    if (s->mark == AB_BARS)
        fprintf(c->f, "<rect x=\"%.1f\" y=\"%.1f\" width=\"22\" height=\"11\" fill=\"%s\"/>\n", x,
                y - 6, colour(s));
    if (s->mark == AB_LINE || s->mark == AB_DASHES)
        fprintf(c->f,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
                "stroke-width=\"2.2\"%s/>\n",
                x, y, x + 22, y, colour(s),
                s->mark == AB_DASHES ? " stroke-dasharray=\"6 4\"" : "");
    if (s->mark == AB_LINE || s->mark == AB_POINTS)
        draw_marker(c->f, s->colour, x + 11, y, colour(s));
}

static void draw_legend(struct canvas *c)
{
    const struct ab_plot *p = c->p;
    const double x = c->right + LEGEND_GAP;
    double y = TOP + 12;
    for (int i = 0; legend_lines(p) && i < p->n_series; i++) {
        if (seen_before(p, i)) continue;
        for (int k = i; k < p->n_series; k++)
            if (same_name(p, i, k)) draw_swatch(c, &p->series[k], x, y);
        fprintf(c->f, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\">", x + 29, y + 4.5, SMALL);
        put_text(c->f, ab_plot_series_name(p, i));
        fputs("</text>\n", c->f);
        y += LEGEND_LINE;
    }
}

/* What the longest name of the legend leaves of the width, but no less than half of it. */
static double right_edge(const struct ab_plot *p)
{
    double widest = 0;
    for (int i = 0; i < p->n_series; i++)
        widest = fmax(widest, text_width(ab_plot_series_name(p, i), SMALL));
    if (!legend_lines(p)) return WIDTH - 24;
    return fmax(WIDTH / 2, WIDTH - (LEGEND_GAP + 29 + widest + 8));
}

static void draw(FILE *f, const struct ab_plot *p)
{
    struct canvas c = {.f = f, .p = p, .right = right_edge(p), .bottom = TOP + PLOT_HEIGHT};
    c.x = scale_of(p, AB_AXIS_X, LEFT, c.right);
    c.y = scale_of(p, AB_AXIS_Y, c.bottom, TOP);
    for (int i = 0; i < p->n_series; i++) c.bars += p->series[i].mark == AB_BARS;
    const double legend = TOP + 12 + LEGEND_LINE * legend_lines(p);
    const double axis = c.bottom + footer(p, c.right), height = fmax(axis, legend);
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
            "viewBox=\"0 0 %d %.0f\" font-family=\"Helvetica, Arial, DejaVu Sans, sans-serif\" "
            "fill=\"#222222\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n"
            "<text x=\"%d\" y=\"30\" font-size=\"17\" font-weight=\"bold\">",
            WIDTH, height, WIDTH, height, LEFT);
    put_text(f, ab_plot_title(p));
    fputs("</text>\n", f);
    draw_y_axis(&c);
    draw_x_axis(&c, axis);
    draw_series(&c);
    draw_legend(&c);
    fputs("</svg>\n", f);
}

enum ab_status ab_plot_write(const struct ab_plot *p, const char *path, struct ab_error *err)
{
    struct ab_outfile out;
    if (!p || p->failed) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for a chart", path);
    const enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    draw(out.stream, p);
    return ab_outfile_close(&out, AB_OK, err);
}
