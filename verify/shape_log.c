// SPDX-License-Identifier: Apache-2.0
// Convolution shapes from the lines that oneDNN prints with ONEDNN_VERBOSE=1:
//
//     onednn_verbose,exec,cpu,convolution,jit:avx512_core,forward_training,src_f32::blocked:...,
//     attr-scratchpad:user,alg:convolution_direct,g32mb1_ic32oc32_ih9oh9kh3sh1dh0ph1_iw...,1.2
//
// in one line; 3.x writes onednn_verbose,v1,primitive,exec,... and may add a time stamp, 1.x began
// with dnnl_verbose or mkldnn_verbose. The number of fields before the sizes varies, so fields are
// found by what they hold.
#include "verify/shape.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT = 1 << 20 }; /* of any number, as in shapes that are written by hand */

/* Behind the marker, which may follow other output in its line; or NULL. */
static const char *log_in(const char *line)
{
    static const char *const markers[] = {"onednn_verbose,", "mkldnn_verbose,", "dnnl_verbose,"};
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++) {
        const char *at = strstr(line, markers[i]);
        if (at) return at + strlen(markers[i]);
    }
    return NULL;
}

static bool is_field(const char *field, size_t length, const char *name)
{
    return length == strlen(name) && memcmp(field, name, length) == 0;
}

/* "mb1_...", or "g32mb1_...". */
static bool is_sizes(const char *field, size_t length)
{
    const char *at = field, *stop = field + length;
    if (length && *at == 'g')
        for (at++; at < stop && *at >= '0' && *at <= '9';) at++;
    return stop - at > 2 && at[0] == 'm' && at[1] == 'b' && at[2] >= '0' && at[2] <= '9';
}

/* The field of sizes of a convolution that was executed, or NULL. */
static const char *sizes_in(const char *fields)
{
    bool executed = false, convolution = false, weights = false;
    const char *sizes = NULL;
    for (const char *at = fields;; at++) {
        const size_t length = strcspn(at, ",\r\n");
        executed = executed || is_field(at, length, "exec");
        convolution = convolution || is_field(at, length, "convolution");
        weights = weights || is_field(at, length, "backward_weights");
        if (!sizes && is_sizes(at, length)) sizes = at;
        at += length;
        if (*at != ',') break;
    }
    return executed && convolution && !weights ? sizes : NULL;
}

/* ---- sizes ---- */

enum { G, MB, IC, OC, IH, OH, KH, SH, DH, PH, IW, OW, KW, SW, DW, PW, SIZES };
struct sizes {
    long v[SIZES];
    bool given[SIZES];
};

/* False: a part that no convolution in two dimensions has, such as the depth of a third. */
static bool read_sizes(const char *text, struct sizes *s)
{
    static const char *const names[SIZES] = {"g",  "mb", "ic", "oc", "ih", "oh", "kh", "sh",
                                             "dh", "ph", "iw", "ow", "kw", "sw", "dw", "pw"};
    while (*text && !strchr(",\r\n", *text)) {
        const size_t length = strcspn(text, "-0123456789_,\r\n");
        int i = 0;
        while (i < SIZES && !is_field(text, length, names[i])) i++;
        if (*text == '_') {
            text++;
            continue;
        }
        char *end;
        if (i == SIZES || s->given[i]) return false;
        s->v[i] = strtol(text + length, &end, 10);
        if (end == text + length || s->v[i] > LIMIT || s->v[i] < -LIMIT) return false;
        s->given[i] = true;
        text = end;
    }
    return true;
}

/* Squares are written with rows alone, sequences with columns alone. */
static void fill_axes(struct sizes *s)
{
    static const long single[] = {1, 1, 1, 1, 0, 0};
    for (int i = 0; i <= PH - IH; i++) {
        const bool rows = s->given[IH], columns = s->given[IW];
        if (!columns) s->v[IW + i] = s->v[IH + i];
        if (!rows) s->v[IH + i] = single[i];
    }
    if (!s->given[G]) s->v[G] = 1;
}

/* The padding behind an axis: that before it if it gives `out`, else the least that does. */
static long padding_after(long in, long out, long k, long stride, long dilation, long before)
{
    const long window = dilation * (k - 1) + 1;
    const long least = (out - 1) * stride + window - in - before;
    const bool same = before >= least && before < least + stride;
    return same ? before : least < 0 && least > -stride ? 0 : least;
}

static const char *convert(struct sizes *s, struct ab_shape *shape)
{
    fill_axes(s);
    const long *v = s->v;
    if (v[SH] < 1 || v[SW] < 1 || v[OH] < 1 || v[OW] < 1) return "strides and sizes are from 1";
    const long dh = v[DH] + 1, dw = v[DW] + 1; /* oneDNN's 0 is no dilation */
    const long pb = padding_after(v[IH], v[OH], v[KH], v[SH], dh, v[PH]);
    const long pr = padding_after(v[IW], v[OW], v[KW], v[SW], dw, v[PW]);
    if (dh > LIMIT || dw > LIMIT || pb > LIMIT || pr > LIMIT)
        return "oh or ow is too large for the other sizes";
    *shape = (struct ab_shape){.times = 1,
                               .conv = {.n = (int)v[MB],
                                        .g = (int)v[G],
                                        .ic = (int)v[IC],
                                        .ih = (int)v[IH],
                                        .iw = (int)v[IW],
                                        .oc = (int)v[OC],
                                        .kh = (int)v[KH],
                                        .kw = (int)v[KW],
                                        .sh = (int)v[SH],
                                        .sw = (int)v[SW],
                                        .dh = (int)dh,
                                        .dw = (int)dw,
                                        .pt = (int)v[PH],
                                        .pl = (int)v[PW],
                                        .pb = (int)pb,
                                        .pr = (int)pr}};
    const char *why = ab_shape_complete(&shape->conv);
    if (!why && (shape->conv.oh != v[OH] || shape->conv.ow != v[OW]))
        why = "oh or ow does not follow from the other sizes";
    return why;
}

enum ab_shape_log ab_shape_from_log(const char *line, struct ab_shape *shape, struct ab_error *err)
{
    const char *fields = log_in(line);
    if (!fields) return AB_SHAPE_LOG_NONE;
    const char *text = sizes_in(fields);
    if (!text) return AB_SHAPE_LOG_OTHER;
    struct sizes s = {{0}, {false}};
    const char *why =
        read_sizes(text, &s) ? convert(&s, shape) : "only convolutions in two dimensions are known";
    if (!why) return AB_SHAPE_LOG_CONV;
    ab_fail(err, AB_ERR_FORMAT, "'%.*s': %s; remove the line", (int)strcspn(text, ",\r\n"), text,
            why);
    return AB_SHAPE_LOG_BAD;
}
