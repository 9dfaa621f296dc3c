// SPDX-License-Identifier: Apache-2.0
// Which convolutions are tried: the fixed set, random ones, simpler neighbours, and their texts.
//
// The fixed set is lists. Shapes: every one in both passes, once in small integers and once in
// real numbers, the other parts of a trial taking turns. Families: for each kernel family one small
// shape with every epilogue, every weight transform and every fill. Channels: around the blocks of
// 16 lanes. Widths: around the register tiles of all instruction sets. Besides: decisions about
// what is not finite, dst in the place of operands, every number of lanes.
#include "verify/conv2d.h"
#include "verify/fields.h"
#include "verify/shape.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts ---- */

bool ab_conv_shape_parse(const char *text, struct ab_trial *trial, struct ab_error *err)
{
    struct ab_shape shape;
    if (ab_shape_parse(text, &shape, err) != AB_OK) return false;
    trial->shape.conv = shape.conv;
    return true;
}

void ab_conv_shape_print(const struct ab_trial *trial, char *text, size_t size)
{
    const struct ab_shape shape = {.conv = trial->shape.conv, .times = 1};
    ab_shape_print(&shape, text, size);
}

/* A shape of the lists below: they are right, as test_verify_conv2d checks. */
static void set_shape(struct ab_trial *trial, const char *text)
{
    struct ab_error err;
    ab_conv_shape_parse(text, trial, &err);
}

/* ---- shapes ---- */

static const char *const shapes[] = {
    "n1c16h8w8o32k3s1p1",
    "n1c1h1w1o1k1s1p0",
    "n2c5h9w9o7k3s1p1",
    "n1c3h17w17o64k3s1p1",
    "n1c64h15w15o3k3s1p1",
    "n1c33h7w19o50k3s1p1",
    "n2c40h7w7o40k3s1p1",
    "n1c160h5w5o20k3s1p1",
    "n1c300h4w4o33k3s1p1",
    "n1c17h14w14o48k3s2p1",
    "n2c20h11w11o18k3s3p1",
    "n1c6h10w10o9k3s3p0",
    "n1c18h13w13o34k3s1p2d2",
    "n1c18h13w13o18k3s2p2d2",
    "n1c9h16w16o18k4s2p5d3",
    "n1c10h12w12o12k5s3p4d2",
    "n1c64h7w7o80k1s1p0",
    "n2c35h6w5o16k1s1p0",
    "n1c20h9w9o40k1s2p0",
    "n1c20h8w8o24k1s3p1",
    "n1c3h29w29o24k7s2p3",
    "n1c3h35w35o20k11s4p2",
    "n1c4h3w3o17k7s1p3",
    "n1c4h2w2o5k11s4p5",
    "n1c19h5w3o2k9-2s2-1p4-1-6-2d1-2",
    "n1c8h9w14o21k3-2s1-3p0-2-3-1d2-1",
    "n1c21h12w7o8k2-5s3-2p1-4-0-0",
    "n1c12h6w40o12k1-7s1p0-3",
    "n1c12h40w3o12k7-1s1p3-0",
    "n1c5h4w4o5k2s1p3",
    "n1c4h1w1o4k1s5p0",
    "n1c32h6w6o64k3s1p1g2",
    "n1c128h7w7o128k3s1p1g32",
    "n1c128h8w8o128k3s2p1g32",
    "n2c21h6w6o15k3s1p1g3",
    "n1c72h5w5o48k3s2p1g3",
    "n1c8h5w5o100k1s1p0g4",
    "n1c32h9w9o32k3s1p1g32",
    "n2c20h15w15o20k3s2p1g20",
    "n1c7h8w17o7k5-3s3-1p2-0-3-4g7",
    "n1c16h6w6o32k3s1p1g16",
    "n2c17h9w14o33k3s1p1",
    "n1c40h23w23o16k3s1p0",
    "n1c16h13w10o50k3s1p2-0-1-2",
    "n3c48h9w9o34k3s1p1",
    "n1c1h20w20o50k5s1p2",
    "n2c2h27w27o70k3s3p1d2",
    "n1c3h18w18o100k3s1p1",
    "n1c20h17w17o20k3s1p1g20",
    "n1c20h30w30o20k3s2p1g20",
    /* Images smaller than the kernel, strides larger than it, a last row that no window reaches. */
    "n2c17h2w2o17k5s1p2",
    "n1c16h1w1o16k3s1p1",
    "n2c18h9w11o20k2s3p0",
    "n1c33h10w10o17k1s4p0",
    "n1c16h11w9o16k3s2p0",
    /* Batches: 1x1, 3x3, few outputs, few inputs, depthwise. */
    "n4c18h4w5o34k1s1p0",
    "n3c18h6w7o16k3s1p1",
    "n4c20h5w9o2k3s1p1",
    "n3c2h9w12o19k3s2p1",
    "n4c19h6w15o19k3s1p1g19",
    /* One padding of each kind, dilation in one axis. */
    "n1c17h9w9o18k3s1p1-0-0-0",
    "n1c17h9w9o18k3s1p0-1-0-0",
    "n1c17h9w9o18k3s1p0-0-1-0",
    "n1c17h9w9o18k3s1p0-0-0-1",
    "n1c17h9w9o18k3s2-1p1d1-2",
    "n1c17h9w9o18k3s1-2p1-2d2-1",
    "n1c18h12w17o3k5s1p2",
    "n1c4h9w20o18k3-5s1-2p1-2",
    /* Taller than wide: Winograd, few inputs, few outputs. */
    "n1c17h14w5o18k3s1p1",
    "n1c3h20w9o18k3s1p1",
    "n1c20h19w6o3k3s1p1",
    /* Long sums: several chunks of src channels. */
    "n1c1300h3w5o17k1s1p0",
    "n1c144h14w9o24k3s1p1",
    "n1c24h14w9o144k3s2p1",
    "n2c80h6w7o144k1s3p0g2",
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static const enum ab_fill real_fills[] = {
    AB_FILL_NORMAL,    AB_FILL_RELU,   AB_FILL_CANCEL,  AB_FILL_NONNEG,
    AB_FILL_LOGNORMAL, AB_FILL_NORMAL, AB_FILL_NEGZERO, AB_FILL_NAN,
    AB_FILL_DENORMAL,  AB_FILL_NONNEG, AB_FILL_HUGE,    AB_FILL_INF,
};
enum { REAL_FILLS = sizeof real_fills / sizeof *real_fills };

static const enum ab_fill exact_fills[] = {AB_FILL_INT,  AB_FILL_UINT, AB_FILL_INT,
                                           AB_FILL_RAMP, AB_FILL_INT,  AB_FILL_ONEHOT};
enum { EXACT_FILLS = sizeof exact_fills / sizeof *exact_fills };

static const int exponents[] = {0, -20, 0, 20, 7};

static void finish(int i, struct ab_trial *t)
{
    t->seed = (uint64_t)(i + 1);
    t->side = i % 3 == 0 ? AB_SIDE_LEFT : AB_SIDE_RIGHT;
    t->offset = i * 4 % 64;
    if (t->op != AB_KERNEL_conv2d) {
        t->f = AB_PW_COPY;
        t->with &= AB_WITH_BIAS | AB_WITH_ADD | AB_WITH_ALIAS | AB_WITH_SPLIT;
    }
}

/* Pass by pass, exact and real. */
static void shape_trial(int i, struct ab_trial *t)
{
    const int k = i / 4, real = i / 2 % 2;
    set_shape(t, shapes[k]);
    t->pass = i % 2 ? AB_BWD : AB_FWD;
    t->fill = real ? real_fills[(k + i % 2 * 5) % REAL_FILLS] : exact_fills[k % EXACT_FILLS];
    t->exponent = exponents[(k + i) % 5];
    t->with = AB_WITH_BIAS | (k % 2 ? AB_WITH_SPLIT : 0) | (k % 2 ? 0 : AB_WITH_PANEL) |
              (k % 3 == i % 3 ? AB_WITH_CHAIN : 0);
    if (real) t->with ^= AB_WITH_SPLIT;
    if (k % 4 == i % 4) t->with = (t->with ^ AB_WITH_BIAS) | AB_WITH_ADD | AB_WITH_ALIAS;
}

/* ---- families ---- */

/* Of each kernel family one shape or two: direct, direct in chunks, 1x1, 1x1 in work space, dot,
 * image, depthwise by windows and by rows, both Winograds, groups. */
static const char *const families[] = {
    "n2c9h5w7o20k3s2p1",    "n2c20h4w9o3k3s1p1",     "n2c3h5w19o18k3s1p1", "n2c18h5w16o18k3s1p1g18",
    "n2c16h6w7o18k3s1p1",   "n2c18h3w4o17k3s1p1",    "n1c34h3w5o18k1s1p0", "n1c17h7w6o20k1s2p0",
    "n1c12h5w6o18k3s1p1g3", "n1c17h6w5o17k5s2p2g17",
};
enum { FAMILIES = sizeof families / sizeof *families };

/* Each epilogue for three of the families in turn, both passes. */
enum { EPILOGUES = (int)AB_PW_COUNT * 3 * 2 };
static void epilogue_trial(int i, struct ab_trial *t)
{
    const int kind = i / 6, turn = i / 2 % 3;
    set_shape(t, families[(kind * 3 + turn) % FAMILIES]);
    t->f = (enum ab_pointwise_kind)kind;
    t->pass = i % 2 ? AB_BWD : AB_FWD;
    t->fill = turn == 1 ? AB_FILL_NORMAL : AB_FILL_INT;
    t->with = AB_WITH_ADD | AB_WITH_ALIAS | AB_WITH_CHAIN | (turn ? 0 : AB_WITH_BIAS) |
              (turn == 2 ? AB_WITH_SPLIT | AB_WITH_PANEL : 0);
}

enum { WMODS = (int)AB_W_COUNT * FAMILIES };
static void wmod_trial(int i, struct ab_trial *t)
{
    const int wmod = i / FAMILIES, family = i % FAMILIES;
    set_shape(t, families[family]);
    t->wmod = (enum ab_wmod)wmod;
    t->pass = (wmod + family) % 2 ? AB_BWD : AB_FWD;
    t->fill = i % 3 == 0 ? AB_FILL_INT : i % 3 == 1 ? AB_FILL_NONNEG : AB_FILL_NORMAL;
    t->with = i % 2 ? AB_WITH_BIAS : AB_WITH_PANEL;
}

/* All fills but FILE, in both passes for every second family. */
enum { FILLS = (int)AB_FILL_FILE * FAMILIES };
static void fill_trial(int i, struct ab_trial *t)
{
    const int fill = i / FAMILIES, family = i % FAMILIES;
    set_shape(t, families[family]);
    t->fill = (enum ab_fill)fill;
    t->pass = (fill + family) % 2 ? AB_BWD : AB_FWD;
    t->exponent = exponents[i % 5];
    t->with = i % 2 ? AB_WITH_BIAS | AB_WITH_ADD : 0;
}

/* Decisions about sums and operands that are not finite: those of padding lanes must not come into
 * them. Kinds that make bits in both passes, others in one. */
static const enum ab_pointwise_kind decisions[] = {
    AB_PW_RELU_BITS, AB_PW_RELU_BITS, AB_PW_GUARD_BITS, AB_PW_GUARD_BITS,
    AB_PW_REST_BITS, AB_PW_REST_BITS, AB_PW_CAP_BITS,   AB_PW_CAP_BITS,
    AB_PW_CAP,       AB_PW_CAP_GATE,  AB_PW_RELU,       AB_PW_NEG,
    AB_PW_GATE,      AB_PW_GUIDED,    AB_PW_RECT,       AB_PW_RESCALE,
};
enum { DECISIONS = (int)(sizeof decisions / sizeof *decisions) * FAMILIES };
static void decision_trial(int i, struct ab_trial *t)
{
    const int turn = i / FAMILIES, family = i % FAMILIES;
    set_shape(t, families[family]);
    t->f = decisions[turn];
    t->pass = (turn + family) % 2 ? AB_BWD : AB_FWD;
    t->fill = turn < 8 && (turn / 2 + family) % 3 ? AB_FILL_INF : AB_FILL_NAN;
}

/* dst in the place of an operand of the epilogue, where sums take another way: of each family a row
 * longer than what is finished at once, and rows and columns that no tap reaches. */
static const char *const aliased[] = {
    "n1c9h8w10o20k1s3p1",    "n2c40h7w8o9k2s3p1",   "n2c17h7w37o34k3s1p1", "n1c20h5w70o3k3s1p1",
    "n1c3h6w37o18k3s1p1",    "n1c18h7w9o20k1s2p0",  "n2c34h3w37o18k1s1p0", "n1c18h6w70o18k3s1p1g18",
    "n1c18h8w9o18k2s3p0g18", "n1c18h9w12o20k3s2p1",
};
enum { ALIASES = (int)(sizeof aliased / sizeof *aliased) * 4 };
static void alias_trial(int i, struct ab_trial *t)
{
    static const enum ab_pointwise_kind kinds[] = {AB_PW_RESCALE, AB_PW_GATE, AB_PW_MULDIV,
                                                   AB_PW_RECT, AB_PW_REST_BITS};
    set_shape(t, aliased[i / 4]);
    t->pass = i % 2 ? AB_BWD : AB_FWD;
    t->f = kinds[i % 5];
    t->fill = AB_FILL_INT;
    t->with = AB_WITH_ALIAS | (i / 2 % 2 ? AB_WITH_BIAS : AB_WITH_ADD);
}

/* ---- channels and widths ---- */

static const int counts[] = {1,  2,  4,  5,  8,  15, 16, 17, 24, 25, 31,
                             32, 33, 40, 41, 47, 48, 49, 63, 64, 65};
enum { COUNTS = sizeof counts / sizeof *counts, CHANNELS = COUNTS * 2 * 2 };
static void channel_trial(int i, struct ab_trial *t)
{
    char text[64];
    const int k = i / 4, other = counts[(k * 8 + 5) % COUNTS];
    const bool mirrored = i / 2 % 2;
    snprintf(text, sizeof text, "n1c%dh3w4o%dk%ds1p%d", mirrored ? other : counts[k],
             mirrored ? counts[k] : other, k % 2 ? 1 : 3, k % 2 ? 0 : 1);
    set_shape(t, text);
    t->pass = i % 2 ? AB_BWD : AB_FWD;
    t->fill = mirrored ? AB_FILL_INT : AB_FILL_NORMAL;
    t->with = AB_WITH_BIAS | (k % 4 == i % 4 ? AB_WITH_PANEL | AB_WITH_SPLIT : 0);
}

/* Every number of lanes in the last block, for kernels that finish blocks in ways of their own. */
static const char *const few[] = {"n1c9h3w4o9k3s2p1", "n1c17h2w3o17k1s1p0", "n1c3h3w8o9k3s1p1",
                                  "n1c18h6w6o18k3s1p1", "n1c9h3w4o9k3s1p1g9"};
enum { FEW = sizeof few / sizeof *few, LANE_TRIALS = (AB_LANES - 1) * FEW };
static void lane_trial(int i, struct ab_trial *t)
{
    struct ab_conv2d_shape *s = &t->shape.conv;
    const int kind = i % FEW, channels = AB_LANES + i / FEW + 1;
    set_shape(t, few[kind]);
    t->pass = (i / FEW + kind) % 2 && s->ic > 3 ? AB_BWD : AB_FWD;
    if (s->g > 1)
        s->g = s->ic = s->oc = channels;
    else if (t->pass == AB_FWD)
        s->oc = channels;
    else
        s->ic = channels;
    t->fill = AB_FILL_INT;
    t->f = i % 2 ? AB_PW_SCALE : AB_PW_COPY;
    t->with = AB_WITH_BIAS;
}

/* Widths of up to 2*14 + 1 positions for five families whose tiles differ. */
static const char *const wide[] = {"n1c16h2w%do18k3s1p1",    "n1c17h2w%do16k1s1p0",
                                   "n1c3h3w%do17k3s1p1",     "n1c16h2w%do3k3s1p1",
                                   "n1c17h4w%do17k3s1p1g17", "n1c16h4w%do24k3s2p1"};
enum { WIDTHS = 30, WIDE = sizeof wide / sizeof *wide, WIDTH_TRIALS = WIDTHS * WIDE };
static void width_trial(int i, struct ab_trial *t)
{
    char text[64], *at = text;
    const int width = i / WIDE + 1;
    const char *form = wide[i % WIDE], *mark = strstr(form, "%d");
    at += snprintf(text, sizeof text, "%.*s%d", (int)(mark - form), form, width);
    snprintf(at, sizeof text - (size_t)(at - text), "%s", mark + 2);
    set_shape(t, text);
    t->pass = (i / WIDE + i % WIDE) % 2 ? AB_BWD : AB_FWD;
    t->fill = i % 4 ? AB_FILL_INT : AB_FILL_NORMAL;
    t->f = i % 5 == 0 ? AB_PW_RELU : AB_PW_COPY;
    t->with = i % 7 ? AB_WITH_BIAS : AB_WITH_ADD | AB_WITH_SPLIT;
}

bool ab_conv_fixed(int i, enum ab_kernel_op op, struct ab_trial *trial)
{
    static const struct {
        int count;
        void (*make)(int i, struct ab_trial *t);
    } lists[] = {
        {SHAPES * 4, shape_trial},   {EPILOGUES, epilogue_trial}, {WMODS, wmod_trial},
        {FILLS, fill_trial},         {DECISIONS, decision_trial}, {CHANNELS, channel_trial},
        {WIDTH_TRIALS, width_trial}, {ALIASES, alias_trial},      {LANE_TRIALS, lane_trial}};
    const int number = i;
    memset(trial, 0, sizeof *trial);
    trial->op = op;
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        /* conv2d_f64 has neither epilogues nor tiles of as many kinds. */
        const bool left_out = op != AB_KERNEL_conv2d &&
                              (lists[k].make == epilogue_trial || lists[k].make == decision_trial ||
                               lists[k].make == alias_trial);
        const int count = left_out ? 0 : lists[k].count;
        if (i < count) {
            lists[k].make(i, trial);
            finish(number, trial);
            return true;
        }
        i -= count;
    }
    return false;
}

/* ---- random trials ---- */

static void draw_shape(struct ab_rng *r, struct ab_conv2d_shape *s)
{
    const int most = ab_rng_between(r, 0, 3) ? 24 : 80;
    *s = (struct ab_conv2d_shape){.n = ab_rng_between(r, 0, 2) ? 1 : ab_rng_between(r, 1, 4)};
    s->g = ab_rng_between(r, 0, 2) ? 1 : ab_rng_between(r, 1, 6);
    s->ic = s->g * ab_rng_between(r, 1, most / s->g);
    s->oc = s->g * ab_rng_between(r, 1, most / s->g);
    if (ab_rng_between(r, 0, 6) == 0) s->g = s->oc = s->ic;
    s->ih = ab_rng_between(r, 1, 12);
    s->iw = ab_rng_between(r, 1, 33);
    s->kh = ab_rng_between(r, 1, 5);
    s->kw = ab_rng_between(r, 1, 5);
    s->sh = s->sw = s->dh = s->dw = 1;
    if (ab_rng_between(r, 0, 1)) s->kh = s->kw = ab_rng_between(r, 0, 1) ? 3 : 1;
    s->pt = s->pl = s->pb = s->pr = (s->kh - 1) / 2;
    if (ab_rng_between(r, 0, 1)) s->sh = s->sw = ab_rng_between(r, 1, 4);
    if (ab_rng_between(r, 0, 3) == 0) s->sw = ab_rng_between(r, 1, 4);
    if (ab_rng_between(r, 0, 2) == 0) s->dh = s->dw = ab_rng_between(r, 1, 3);
    if (ab_rng_between(r, 0, 5) == 0) s->dw = ab_rng_between(r, 1, 3);
    if (ab_rng_between(r, 0, 2)) return;
    s->pt = ab_rng_between(r, 0, 4);
    s->pl = ab_rng_between(r, 0, 4);
    s->pb = ab_rng_between(r, 0, 4);
    s->pr = ab_rng_between(r, 0, 4);
}

void ab_conv_draw(struct ab_rng *r, enum ab_kernel_op op, struct ab_trial *t)
{
    memset(t, 0, sizeof *t);
    t->op = op;
    do draw_shape(r, &t->shape.conv);
    while (ab_shape_complete(&t->shape.conv));
    t->pass = ab_rng_between(r, 0, 1) ? AB_BWD : AB_FWD;
    t->wmod =
        ab_rng_between(r, 0, 1) ? AB_W_ALL : (enum ab_wmod)ab_rng_between(r, 0, AB_W_COUNT - 1);
    if (ab_rng_between(r, 0, 1))
        t->f = (enum ab_pointwise_kind)ab_rng_between(r, 0, AB_PW_COUNT - 1);
    t->fill = (enum ab_fill)ab_rng_between(r, 0, AB_FILL_FILE - 1);
    t->exponent = ab_rng_between(r, 0, 1) ? 0 : ab_rng_between(r, -20, 20);
    t->with = (unsigned)ab_rng_between(r, 0, 63);
    finish(ab_rng_between(r, 0, 1 << 20), t);
}

/* ---- simpler trials ---- */

enum { PADS = 4 };

/* One step that may lead to no shape at all, or nowhere; false past the last. */
static bool step(const struct ab_trial *trial, int k, struct ab_trial *smaller)
{
#define DIM(name) offsetof(struct ab_trial, shape.conv.name)
    static const size_t dims[] = {DIM(n),  DIM(ic), DIM(oc), DIM(ih), DIM(iw), DIM(kh),
                                  DIM(kw), DIM(sh), DIM(sw), DIM(dh), DIM(dw)};
#undef DIM
    struct ab_conv2d_shape *s = &smaller->shape.conv;
    int *const pads[PADS] = {&s->pt, &s->pl, &s->pb, &s->pr};
    *smaller = *trial;
    if (k < PADS) {
        *pads[k] -= *pads[k] > 0;
    } else if (k == PADS) {
        s->ic /= s->g;
        s->oc /= s->g;
        s->g = 1;
    } else if (k == PADS + 1 && s->g > 1) {
        s->ic = s->ic / s->g * (s->g - 1);
        s->oc = s->oc / s->g * (s->g - 1);
        s->g--;
    } else {
        const int rest = k - PADS - 1 - (trial->shape.conv.g > 1);
        return ab_trial_simpler(trial, dims, sizeof dims / sizeof *dims, rest, smaller);
    }
    return true;
}

bool ab_conv_shrink(const struct ab_trial *trial, int k, struct ab_trial *smaller)
{
    for (int i = 0; step(trial, i, smaller); i++) {
        if (ab_shape_complete(&smaller->shape.conv)) continue;
        if (memcmp(smaller, trial, sizeof *trial) != 0 && k-- == 0) return true;
    }
    return false;
}
