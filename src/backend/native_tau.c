// SPDX-License-Identifier: Apache-2.0
// The exact percentile of activation x signal over one layer of one image, by radix selection:
// three histogram passes of 11, 11 and 10 key bits narrow the key of the wanted rank from its
// highest bits to its last.
#include "backend/native.h"

#include <math.h>
#include <string.h>

/* Elements of x*a as the select kernel sees them, and how many of them are padding (all +0). */
struct field {
    struct ab_select_args args;
    size_t count, padding;
};

static struct field field_of(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_value *v = &exec->program->values[s->x];
    struct field f = {.args = {.x = ab_native_view(exec, s->x), .a = ab_native_view(exec, s->a)}};
    f.args.blocks = v->vector ? 1 : ab_blocks(v->dims.c);
    f.args.h = v->vector ? 1 : v->dims.h;
    f.args.w = v->vector ? ab_padded(v->dims.c) / AB_LANES : v->dims.w;
    const size_t pixels = (size_t)v->dims.h * (size_t)v->dims.w;
    f.count = (size_t)v->dims.c * pixels;
    f.padding = (size_t)ab_padded(v->dims.c) * pixels - f.count;
    f.args.range = (struct ab_range){0, 1, 0, f.args.blocks, 0, f.args.h};
    return f;
}

/* The histogram of image n for the digit at `shift` of keys that share `prefix` under `mask`,
 * padding taken out. */
static const uint32_t *histogram(const struct ab_exec *exec, const struct ab_kernel *kernel,
                                 const struct field *f)
{
    uint32_t *hists = (uint32_t *)(void *)((char *)exec->arena + exec->scratch_offset);
    memset(hists, 0, sizeof *hists * AB_TAU_BINS * (size_t)exec->threads);
    const int units = f->args.blocks * f->args.h, parts = units < exec->threads ? 1 : exec->threads;
    const bool by_rows = f->args.blocks < parts;
    const int length = by_rows ? f->args.h : f->args.blocks;
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int part = 0; part < parts; part++) {
        struct ab_select_args mine = f->args;
        int *low = by_rows ? &mine.range.y0 : &mine.range.b0;
        int *high = by_rows ? &mine.range.y1 : &mine.range.b1;
        *low = (int)((long)length * part / parts);
        *high = (int)((long)length * (part + 1) / parts);
        mine.hist = hists + part * AB_TAU_BINS;
        kernel->run(&mine);
    }
    for (int part = 1; part < parts; part++) {
        for (int i = 0; i < AB_TAU_BINS; i++) hists[i] += hists[part * AB_TAU_BINS + i];
    }
    const uint32_t zero = ab_float_key(0.0f);
    if (((zero ^ f->args.prefix) & f->args.mask) == 0) {
        hists[(zero >> f->args.shift) & (AB_TAU_BINS - 1)] -= (uint32_t)f->padding;
    }
    return hists;
}

/* The element of the given rank (0 = smallest). */
static float select_rank(const struct ab_exec *exec, const struct ab_kernel *kernel,
                         struct field *f, size_t rank)
{
    static const int shifts[] = {21, 10, 0};
    f->args.prefix = f->args.mask = 0;
    for (int pass = 0; pass < 3; pass++) {
        f->args.shift = shifts[pass];
        const uint32_t *hist = histogram(exec, kernel, f);
        const uint32_t bins = pass == 2 ? 1024 : AB_TAU_BINS;
        uint32_t bin = 0;
        while (bin + 1 < bins && rank >= hist[bin]) rank -= hist[bin++];
        f->args.prefix |= bin << f->args.shift;
        f->args.mask |= (bins - 1) << f->args.shift;
    }
    return ab_key_float(f->args.prefix);
}

void ab_native_tau(const struct ab_exec *exec, const struct ab_step *s,
                   const struct ab_kernel *kernel)
{
    struct field f = field_of(exec, s);
    float *tau = ab_native_view(exec, s->dst).data;
    const size_t rank = (size_t)rint((double)(f.count - 1) * s->q / 100);
    for (int n = 0; n < exec->batch; n++) {
        f.args.range.n0 = n;
        f.args.range.n1 = n + 1;
        tau[n] = fmaxf(select_rank(exec, kernel, &f, rank), s->tau_floor);
    }
}
