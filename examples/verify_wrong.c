// SPDX-License-Identifier: Apache-2.0
// Kernels that are wrong on purpose, each in a way that ordinary tests let pass, for `attrbench
// verify` to find:
//
//     cc -O2 -shared -fPIC verify_wrong.c $(pkg-config --cflags attrbench) -o verify_wrong.so
//     attrbench verify --plugin ./verify_wrong.so
//
// tail        takes output channels four at a time; where the last block is not full, all of it
//             gets the weights of its first channel. Right where oc is 0 or 1 modulo 4.
// over-read   reads one weight too many, as the last vector load of a row does.
// stale       adds to what dst holds, which is zeros in most test programs.
#include <attrbench/verify.h>

#include <stddef.h>

enum { LANES = 4 };

/* src[image n][channel c] at (y, x), 0 beside the image. */
static float pixel(const struct ab_verify_conv2d *a, int n, int c, int y, int x)
{
    if (y < 0 || y >= a->ih || x < 0 || x >= a->iw) return 0;
    return a->src[(((size_t)n * (size_t)a->ic + (size_t)c) * (size_t)a->ih + (size_t)y) *
                      (size_t)a->iw +
                  (size_t)x];
}

/* One output: channel `oc` of group `g`, computed with the weights of channel `with`. */
static float output(const struct ab_verify_conv2d *a, int n, int with, int g, int oy, int ox)
{
    const int ics = a->ic / a->g;
    const float *w = a->wei + (size_t)with * (size_t)(ics * a->kh * a->kw);
    float sum = 0;
    for (int c = 0; c < ics; c++)
        for (int ky = 0; ky < a->kh; ky++)
            for (int kx = 0; kx < a->kw; kx++)
                sum += *w++ * pixel(a, n, g * ics + c, oy * a->sh - a->pt + ky * a->dh,
                                    ox * a->sw - a->pl + kx * a->dw);
    return sum + (a->bias ? a->bias[with] : 0);
}

static float *element(const struct ab_verify_conv2d *a, int n, int oc, int oy, int ox)
{
    return a->dst +
           (((size_t)n * (size_t)a->oc + (size_t)oc) * (size_t)a->oh + (size_t)oy) * (size_t)a->ow +
           (size_t)ox;
}

/* All outputs; channel oc with the weights of channel weights_of(oc), and on top of what dst holds
 * if `keep`. */
static int convolve(const struct ab_verify_conv2d *a, int (*weights_of)(int oc, int channels),
                    int keep)
{
    if (a->backward) return AB_VERIFY_UNSUPPORTED;
    for (int n = 0; n < a->n; n++)
        for (int oc = 0; oc < a->oc; oc++)
            for (int oy = 0; oy < a->oh; oy++)
                for (int ox = 0; ox < a->ow; ox++) {
                    float *dst = element(a, n, oc, oy, ox);
                    const int with = weights_of(oc, a->oc), g = oc / (a->oc / a->g);
                    *dst = output(a, n, with, g, oy, ox) + (keep ? *dst : 0);
                }
    return AB_VERIFY_DONE;
}

static int own(int oc, int channels)
{
    (void)channels;
    return oc;
}

static int first_of_tail(int oc, int channels)
{
    const int first = oc / LANES * LANES;
    return first + LANES > channels ? first : oc;
}

static int tail(const void *args)
{
    return convolve(args, first_of_tail, 0);
}

static int over_read(const void *args)
{
    const struct ab_verify_conv2d *a = args;
    const size_t weights = (size_t)a->oc * (size_t)(a->ic / a->g) * (size_t)(a->kh * a->kw);
    const volatile float *past = a->wei + weights;
    if (!a->backward) (void)*past;
    return convolve(a, own, 0);
}

static int stale(const void *args)
{
    return convolve(args, own, 1);
}

static const struct ab_verify_kernel kernels[] = {
    {.name = "tail", .operation = AB_VERIFY_CONV2D, .run = tail},
    {.name = "over-read", .operation = AB_VERIFY_CONV2D, .run = over_read},
    {.name = "stale", .operation = AB_VERIFY_CONV2D, .run = stale},
};

const struct ab_verify_plugin *ab_verify_plugin(void)
{
    static const struct ab_verify_plugin plugin = {AB_VERIFY_ABI, "wrong on purpose", kernels, 3};
    return &plugin;
}
