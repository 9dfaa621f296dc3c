// SPDX-License-Identifier: Apache-2.0
// Convolution shapes: parser, printer, files.
#include "shape.h"

#include "base/infile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 1 << 20 }; /* of any number: products of three stay far from overflow */

/* Numbers by letter; -1: not given. */
static bool read_parts(const char *text, size_t length, int parts[128])
{
    const char *stop = text + length;
    while (text < stop) {
        int letter = *text++;
        if (letter < 'a' || letter > 'z' || parts[letter] != -1) return false;
        if (text == stop || *text < '0' || *text > '9') return false;
        long v = 0;
        while (text < stop && *text >= '0' && *text <= '9') {
            v = 10 * v + (*text++ - '0');
            if (v > LIMIT) return false;
        }
        parts[letter] = (int)v;
    }
    return true;
}

static const char *fill(const int parts[128], struct ab_shape *s)
{
    static const char required[] = "nchwok", known[] = "nchwokspgdx";
    for (const char *p = required; *p; p++)
        if (parts[(int)*p] < 1) return "n, c, h, w, o and k are needed, each from 1";
    for (int l = 'a'; l <= 'z'; l++)
        if (parts[l] != -1 && !strchr(known, l)) return "the letters are n c h w o k s p g d x";
    int k = parts['k'], stride = parts['s'] < 0 ? 1 : parts['s'],
        pad = parts['p'] < 0 ? 0 : parts['p'];
    int g = parts['g'] < 0 ? 1 : parts['g'], d = parts['d'] < 0 ? 1 : parts['d'];
    s->times = parts['x'] < 0 ? 1 : parts['x'];
    if (stride < 1 || g < 1 || d < 1 || s->times < 1) return "s, g, d and x are from 1";
    if (parts['c'] % g || parts['o'] % g) return "g must divide c and o";
    long window = (long)d * (k - 1) + 1;
    long oh = (parts['h'] + 2L * pad - window) / stride + 1,
         ow = (parts['w'] + 2L * pad - window) / stride + 1;
    if (parts['h'] + 2L * pad < window || parts['w'] + 2L * pad < window)
        return "the kernel is larger than the padded image";
    s->conv = (struct ab_conv2d_shape){.n = parts['n'],
                                       .g = g,
                                       .ic = parts['c'],
                                       .ih = parts['h'],
                                       .iw = parts['w'],
                                       .oc = parts['o'],
                                       .oh = (int)oh,
                                       .ow = (int)ow,
                                       .kh = k,
                                       .kw = k,
                                       .sh = stride,
                                       .sw = stride,
                                       .dh = d,
                                       .dw = d,
                                       .pt = pad,
                                       .pl = pad,
                                       .pb = pad,
                                       .pr = pad};
    return NULL;
}

enum ab_status ab_shape_parse(const char *line, struct ab_shape *shape, struct ab_error *err)
{
    int parts[128];
    for (int i = 0; i < 128; i++) parts[i] = -1;
    *shape = (struct ab_shape){0};
    const char *text = line + strspn(line, " \t");
    size_t length = strcspn(text, " \t");
    const char *why = "write as n1c64h56w56o64k3s1p1";
    if (length && read_parts(text, length, parts)) why = fill(parts, shape);
    if (why) return ab_fail(err, AB_ERR_FORMAT, "shape '%.60s': %s", line, why);
    text += length;
    text += strspn(text, " \t");
    size_t end = strlen(text);
    while (end && strchr(" \t\r", text[end - 1])) end--;
    snprintf(shape->name, sizeof shape->name, "%.*s", (int)end, text);
    return AB_OK;
}

void ab_shape_print(const struct ab_shape *shape, char *text, size_t size)
{
    const struct ab_conv2d_shape *c = &shape->conv;
    char more[64] = "";
    size_t used = 0;
    const struct {
        char letter;
        int value;
    } optional[] = {{'g', c->g}, {'d', c->dh}, {'x', shape->times}};
    for (size_t i = 0; i < 3; i++)
        if (optional[i].value != 1)
            used += (size_t)snprintf(more + used, sizeof more - used, "%c%d", optional[i].letter,
                                     optional[i].value);
    snprintf(text, size, "n%dc%dh%dw%do%dk%ds%dp%d%s%s%s", c->n, c->ic, c->ih, c->iw, c->oc, c->kh,
             c->sh, c->pt, more, *shape->name ? " " : "", shape->name);
}

static enum ab_status read_line(const char *path, int number, char *line, struct ab_shape **shapes,
                                int *count, struct ab_error *err)
{
    line[strcspn(line, "\n#")] = '\0';
    if (!line[strspn(line, " \t\r")]) return AB_OK;
    struct ab_error inner;
    struct ab_shape shape;
    if (ab_shape_parse(line, &shape, &inner) != AB_OK)
        return ab_fail(err, AB_ERR_FORMAT, "%s:%d: %.400s", path, number, inner.text);
    struct ab_shape *grown = realloc(*shapes, ((size_t)*count + 1) * sizeof *grown);
    if (!grown) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for shapes", path);
    grown[(*count)++] = shape;
    *shapes = grown;
    return AB_OK;
}

enum ab_status ab_shapes_read(const char *path, struct ab_shape **shapes, int *count,
                              struct ab_error *err)
{
    uint64_t bytes;
    enum ab_status status;
    *shapes = NULL;
    *count = 0;
    FILE *f = ab_infile_open(path, "a list of shapes", &bytes, &status, err);
    if (!f) return status;
    char line[512];
    for (int n = 1; status == AB_OK && fgets(line, sizeof line, f); n++)
        status = read_line(path, n, line, shapes, count, err);
    fclose(f);
    if (status == AB_OK && !*count)
        status = ab_fail(err, AB_ERR_FORMAT, "%s: holds no shape; write one a line", path);
    if (status != AB_OK) free(*shapes), *shapes = NULL;
    return status;
}
