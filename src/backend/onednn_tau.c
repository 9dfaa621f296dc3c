// SPDX-License-Identifier: Apache-2.0
// RectGrad's thresholds: the exact percentile of x*a over each image, by radix selection with
// attrbench's own histogram kernel over flat memory. Padding counts as zeros and is taken out.
#include "backend/onednn.h"

#include <math.h>
#include <string.h>

enum { BINS = 2048 };

/* One image's products and the histogram space of each thread. */
struct field {
    const float *x, *a;
    size_t floats, padding;
    uint32_t *hists;
    int threads;
    uint32_t prefix, mask;
    int shift;
};

static void count_plain(const struct field *f)
{
    for (size_t i = 0; i < f->floats; i++) {
        const uint32_t key = ab_float_key(f->x[i] * f->a[i] + 0.0f);
        if (((key ^ f->prefix) & f->mask) == 0) f->hists[(key >> f->shift) & (BINS - 1)]++;
    }
}

/* The part of thread t; whole pixels of 16 floats. */
static void count_part(const struct field *f, const struct ab_kernel *kernel, int t)
{
    const size_t pixels = f->floats / AB_LANES, parts = (size_t)f->threads, part = (size_t)t;
    const size_t from = pixels * part / parts, to = pixels * (part + 1) / parts;
    if (from == to) return;
    struct ab_select_args args = {.x = {.data = (float *)(uintptr_t)(f->x + AB_LANES * from)},
                                  .a = {.data = (float *)(uintptr_t)(f->a + AB_LANES * from)},
                                  .blocks = 1,
                                  .h = 1,
                                  .w = (int)(to - from),
                                  .prefix = f->prefix,
                                  .mask = f->mask,
                                  .shift = f->shift,
                                  .hist = f->hists + BINS * part,
                                  .range = {0, 1, 0, 1, 0, 1}};
    kernel->run(&args);
}

static void count(const struct field *f, const struct ab_kernel *kernel)
{
    memset(f->hists, 0, sizeof *f->hists * BINS * (size_t)f->threads);
    if (f->floats % AB_LANES) {
        count_plain(f);
    } else {
#pragma omp parallel for num_threads(f->threads) schedule(static) if (f->threads > 1)
        for (int t = 0; t < f->threads; t++) count_part(f, kernel, t);
        for (int t = 1; t < f->threads; t++) {
            for (int i = 0; i < BINS; i++) f->hists[i] += f->hists[t * BINS + i];
        }
    }
    const uint32_t zero = ab_float_key(0.0f);
    if (((zero ^ f->prefix) & f->mask) == 0) {
        f->hists[(zero >> f->shift) & (BINS - 1)] -= (uint32_t)f->padding;
    }
}

static float select_rank(struct field *f, const struct ab_kernel *kernel, size_t rank)
{
    static const int shifts[] = {21, 10, 0};
    f->prefix = f->mask = 0;
    for (int pass = 0; pass < 3; pass++) {
        const uint32_t bins = pass == 2 ? BINS / 2 : BINS;
        uint32_t bin = 0;
        f->shift = shifts[pass];
        count(f, kernel);
        while (bin + 1 < bins && rank >= f->hists[bin]) rank -= f->hists[bin++];
        f->prefix |= bin << f->shift;
        f->mask |= (bins - 1) << f->shift;
    }
    return ab_key_float(f->prefix);
}

static dnnl_status_t run(const struct ab_exec *exec, const struct ab_onednn_action *a)
{
    const struct ab_step *s = &exec->program->steps[a->step];
    const struct ab_dims d = exec->program->values[s->x].dims;
    const size_t batch = (size_t)exec->batch;
    const size_t real = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    const size_t image = dnnl_memory_desc_get_size(a->x->md) / sizeof(float) / batch;
    const size_t rank = (size_t)rint((double)(real - 1) * s->q / 100);
    float *tau = a->dst->data;
    for (size_t n = 0; n < batch; n++) {
        struct field f = {.x = (const float *)a->x->data + n * image,
                          .a = (const float *)a->a->data + n * image,
                          .floats = image,
                          .padding = image - real,
                          .hists = (uint32_t *)(void *)((char *)exec->arena + exec->scratch_offset),
                          .threads = exec->threads};
        tau[n] = fmaxf(select_rank(&f, a->kernel, rank), s->tau_floor);
    }
    return dnnl_success;
}

void ab_onednn_tau(struct ab_onednn *o, const struct ab_step *s)
{
    const dnnl_dims_t count_of = {o->exec->batch};
    const dnnl_dims_t work = {(dnnl_dim_t)BINS * o->exec->threads};
    struct ab_onednn_slot *x = o->values[s->x];
    struct ab_onednn_slot *a_slot = ab_onednn_want(o, s->a, x->md);
    ab_md *md = ab_md_tag(1, count_of, dnnl_f32, dnnl_a);
    ab_md *scratch = ab_md_tag(1, work, dnnl_s32, dnnl_a);
    ab_onednn_slot(o, scratch, AB_IN_SCRATCH, -1);
    ab_onednn_define(o, s->dst, md);
    struct ab_onednn_action *a = ab_onednn_action(o, o->step);
    if (a) {
        a->own = run;
        a->x = x;
        a->a = a_slot;
        a->dst = o->values[s->dst];
        a->kernel = ab_pick(AB_KERNEL_select, NULL, o->exec->isas);
        ab_onednn_name(o, "", a->kernel->name);
    }
    ab_md_free(md);
    ab_md_free(scratch);
}
