// SPDX-License-Identifier: Apache-2.0
// Convolution shapes: parser, printer, files.
#include "verify/shape.h"

#include "base/infile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 1 << 20 }; /* of any number: products of three stay far from overflow */

/* ---- parsing ---- */

/* The numbers of a letter; count 0: not given. */
struct part {
    int count, v[4];
};

static bool read_number(const char **text, const char *stop, int *value)
{
    long v = 0;
    if (*text == stop || **text < '0' || **text > '9') return false;
    for (; *text < stop && **text >= '0' && **text <= '9'; (*text)++) {
        v = 10 * v + (**text - '0');
        if (v > LIMIT) return false;
    }
    *value = (int)v;
    return true;
}

static bool read_parts(const char *text, size_t length, struct part parts[128])
{
    const char *stop = text + length;
    while (text < stop) {
        const int letter = *text++;
        if (letter < 'a' || letter > 'z' || parts[letter].count) return false;
        struct part *p = &parts[letter];
        do {
            if (p->count == 4 || !read_number(&text, stop, &p->v[p->count++])) return false;
        } while (text < stop && *text == '-' && text++);
    }
    return true;
}

static const char *check_letters(struct part parts[128])
{
    static const char required[] = "nchwok", known[] = "nchwokspgdx", paired[] = "ksd";
    for (const char *p = required; *p; p++)
        if (parts[(int)*p].count < 1 || parts[(int)*p].v[0] < 1)
            return "n, c, h, w, o and k are needed, each from 1";
    for (int l = 'a'; l <= 'z'; l++) {
        const int most = strchr(paired, l) ? 2 : l == 'p' ? 4 : 1;
        if (parts[l].count && !strchr(known, l)) return "the letters are n c h w o k s p g d x";
        if (parts[l].count > most || parts[l].count == 3)
            return "k, s and d have one number or rows-columns, p also top-left-bottom-right, "
                   "others one";
    }
    return NULL;
}

/* Number i of a letter with one for rows and one for columns, or one for both. */
static int axis(const struct part *p, int i, int otherwise)
{
    return p->count == 0 ? otherwise : p->v[i < p->count ? i : 0];
}

static int out_size(int in, int before, int after, int k, int dilation, int stride)
{
    const long window = (long)dilation * (k - 1) + 1, padded = (long)in + before + after;
    return padded < window ? 0 : (int)((padded - window) / stride + 1);
}

const char *ab_shape_complete(struct ab_conv2d_shape *c)
{
    if (c->n < 1 || c->ic < 1 || c->ih < 1 || c->iw < 1 || c->oc < 1 || c->kh < 1 || c->kw < 1)
        return "images, channels, sizes and kernels are from 1";
    if (c->sh < 1 || c->sw < 1 || c->g < 1 || c->dh < 1 || c->dw < 1)
        return "s, g and d are from 1";
    if (c->pt < 0 || c->pl < 0 || c->pb < 0 || c->pr < 0) return "paddings are from 0";
    if (c->ic % c->g || c->oc % c->g) return "g must divide c and o";
    c->oh = out_size(c->ih, c->pt, c->pb, c->kh, c->dh, c->sh);
    c->ow = out_size(c->iw, c->pl, c->pr, c->kw, c->dw, c->sw);
    return c->oh && c->ow ? NULL : "the kernel is larger than the padded image";
}

static const char *fill(struct part parts[128], struct ab_shape *s)
{
    const char *why = check_letters(parts);
    if (why) return why;
    const struct part *k = &parts['k'], *st = &parts['s'], *d = &parts['d'], *p = &parts['p'];
    const int top = axis(p, 0, 0), left = axis(p, 1, 0);
    s->times = axis(&parts['x'], 0, 1);
    if (s->times < 1) return "x is from 1";
    s->conv = (struct ab_conv2d_shape){.n = parts['n'].v[0],
                                       .g = axis(&parts['g'], 0, 1),
                                       .ic = parts['c'].v[0],
                                       .ih = parts['h'].v[0],
                                       .iw = parts['w'].v[0],
                                       .oc = parts['o'].v[0],
                                       .kh = axis(k, 0, 1),
                                       .kw = axis(k, 1, 1),
                                       .sh = axis(st, 0, 1),
                                       .sw = axis(st, 1, 1),
                                       .dh = axis(d, 0, 1),
                                       .dw = axis(d, 1, 1),
                                       .pt = top,
                                       .pl = left,
                                       .pb = p->count == 4 ? p->v[2] : top,
                                       .pr = p->count == 4 ? p->v[3] : left};
    return ab_shape_complete(&s->conv);
}

enum ab_status ab_shape_parse(const char *line, struct ab_shape *shape, struct ab_error *err)
{
    struct part parts[128] = {{0, {0}}};
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
    if (end >= sizeof shape->name)
        return ab_fail(err, AB_ERR_FORMAT, "shape '%.60s': its name is longer than %zu characters",
                       line, sizeof shape->name - 1);
    memcpy(shape->name, text, end);
    return AB_OK;
}

/* ---- printing ---- */

static void put_pair(char *text, size_t size, char letter, int rows, int columns)
{
    if (rows == columns)
        snprintf(text, size, "%c%d", letter, rows);
    else
        snprintf(text, size, "%c%d-%d", letter, rows, columns);
}

static void put_padding(char *text, size_t size, const struct ab_conv2d_shape *c)
{
    if (c->pt == c->pb && c->pl == c->pr)
        put_pair(text, size, 'p', c->pt, c->pl);
    else
        snprintf(text, size, "p%d-%d-%d-%d", c->pt, c->pl, c->pb, c->pr);
}

void ab_shape_print(const struct ab_shape *shape, char *text, size_t size)
{
    const struct ab_conv2d_shape *c = &shape->conv;
    char k[32], s[32], p[64], g[16] = "", d[32] = "", x[16] = "";
    put_pair(k, sizeof k, 'k', c->kh, c->kw);
    put_pair(s, sizeof s, 's', c->sh, c->sw);
    put_padding(p, sizeof p, c);
    if (c->g != 1) snprintf(g, sizeof g, "g%d", c->g);
    if (c->dh != 1 || c->dw != 1) put_pair(d, sizeof d, 'd', c->dh, c->dw);
    if (shape->times != 1) snprintf(x, sizeof x, "x%d", shape->times);
    snprintf(text, size, "n%dc%dh%dw%do%d%s%s%s%s%s%s%s%s", c->n, c->ic, c->ih, c->iw, c->oc, k, s,
             p, g, d, x, *shape->name ? " " : "", shape->name);
}

/* ---- files ---- */

struct reader {
    const char *path;
    int number; /* of the line */
    bool log;   /* a line of a oneDNN log was seen */
    struct ab_shape *shapes;
    int count;
};

static enum ab_status append(struct reader *r, const struct ab_shape *shape, struct ab_error *err)
{
    struct ab_shape *grown = realloc(r->shapes, ((size_t)r->count + 1) * sizeof *grown);
    if (!grown) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for shapes", r->path);
    grown[r->count++] = *shape;
    r->shapes = grown;
    return AB_OK;
}

static enum ab_status count_logged(struct reader *r, const struct ab_shape *shape,
                                   struct ab_error *err)
{
    for (int i = 0; i < r->count; i++) {
        struct ab_shape *known = &r->shapes[i];
        if (memcmp(&known->conv, &shape->conv, sizeof shape->conv) != 0) continue;
        if (known->times < LIMIT) known->times++;
        return AB_OK;
    }
    return append(r, shape, err);
}

static enum ab_status read_line(struct reader *r, char *line, struct ab_error *err)
{
    struct ab_error inner;
    struct ab_shape shape;
    line[strcspn(line, "\r\n")] = '\0';
    const enum ab_shape_log kind = ab_shape_from_log(line, &shape, &inner);
    if (kind == AB_SHAPE_LOG_CONV) return count_logged(r, &shape, err);
    if (kind == AB_SHAPE_LOG_OTHER) return AB_OK;
    line[strcspn(line, "#")] = '\0';
    if (kind == AB_SHAPE_LOG_NONE) {
        if (!line[strspn(line, " \t")]) return AB_OK;
        if (ab_shape_parse(line, &shape, &inner) == AB_OK) return append(r, &shape, err);
        if (r->log) return AB_OK;
    }
    return ab_fail(err, AB_ERR_FORMAT, "%s:%d: %.400s", r->path, r->number, inner.text);
}

static bool holds_log(FILE *f, char **line, size_t *size)
{
    bool found = false;
    while (!found && getline(line, size, f) > 0) {
        struct ab_shape shape;
        struct ab_error err;
        found = ab_shape_from_log(*line, &shape, &err) != AB_SHAPE_LOG_NONE;
    }
    rewind(f);
    return found;
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
    char *line = NULL;
    size_t size = 0;
    struct reader r = {.path = path, .log = holds_log(f, &line, &size)};
    while (status == AB_OK && getline(&line, &size, f) > 0) {
        r.number++;
        status = read_line(&r, line, err);
    }
    if (status == AB_OK && !feof(f))
        status = ab_fail(err, AB_ERR_IO, "%s: cannot be read to its end", path);
    free(line);
    fclose(f);
    if (status == AB_OK && !r.count)
        status =
            ab_fail(err, AB_ERR_FORMAT, "%s: %s", path,
                    r.log ? "a oneDNN log without convolutions; record it with ONEDNN_VERBOSE=1"
                          : "holds no shape; write one a line");
    if (status != AB_OK) {
        free(r.shapes);
        return status;
    }
    *shapes = r.shapes;
    *count = r.count;
    return AB_OK;
}
