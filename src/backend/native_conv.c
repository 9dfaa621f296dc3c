// SPDX-License-Identifier: Apache-2.0
// The native backend's convolutions. Their weights are packed when the plan is made, or, in lean
// plans, in panels: those of two dst blocks at a time, into the thread's own scratch, just before
// they are used. Guarded steps fall back to plain sums, from panels too, for images whose sums are
// too small somewhere for what they divide. The sum of the one sign needs no convolution where that
// of the other and the activation are there and the guard holds: it is the rest.
#include "backend/native.h"

#include <omp.h>
#include <stddef.h>

/* Kernels take dst blocks in pairs. */
enum { PANEL_BLOCKS = 2 };

static struct ab_conv2d_args panel_of(const struct ab_conv2d_args *args, int begin)
{
    struct ab_conv2d_args mine = *args;
    const int end = args->range.b1;
    mine.panel = true;
    mine.range.b0 = begin;
    mine.range.b1 = begin + PANEL_BLOCKS < end ? begin + PANEL_BLOCKS : end;
    return mine;
}

static void need_panel(struct ab_exec *exec, const struct ab_kernel *kernel,
                       const struct ab_conv2d_args *args)
{
    struct ab_conv2d_args one = *args;
    one.range = (struct ab_range){.b1 = PANEL_BLOCKS};
    one.panel = true;
    ab_native_need_scratch(exec, ab_conv2d_pack_size(kernel, &one) +
                                     ab_conv2d_scratch_size(kernel, &one));
}

/* What kernels are chosen by. */
static struct ab_conv2d_args call_of(const struct ab_exec *exec, const struct ab_step *s,
                                     bool direct)
{
    const struct ab_node *node = &exec->graph->nodes[s->node];
    struct ab_conv2d_args args = {.shape = node->conv,
                                  .pass = s->pass,
                                  .wmod = s->wmod,
                                  .gain = s->gain,
                                  .wei = node->wei,
                                  .direct_only = direct};
    args.shape.n = exec->batch;
    return args;
}

bool ab_native_spreads(const void *user, const struct ab_step *s)
{
    const struct ab_exec *exec = user;
    const struct ab_conv2d_args any = call_of(exec, s, s->direct), plain = call_of(exec, s, true);
    return ab_pick(AB_KERNEL_conv2d, &any, exec->isas) !=
           ab_pick(AB_KERNEL_conv2d, &plain, exec->isas);
}

void ab_native_open_conv(struct ab_exec *exec, int i)
{
    const struct ab_step *s = &exec->program->steps[i];
    struct ab_native_step *t = &ab_native_of(exec)->steps[i];
    struct ab_conv2d_args *args = &t->args.conv;
    *args = call_of(exec, s, true);
    t->exact = ab_pick(AB_KERNEL_conv2d, args, exec->isas);
    t->guarded = s->guard >= 0;
    if (s->kind == AB_PW_REST_BITS) {
        t->kernel = ab_pick(AB_KERNEL_pointwise, NULL, exec->isas);
        need_panel(exec, t->exact, args);
        return;
    }
    args->direct_only = exec->direct || s->direct;
    t->kernel = ab_pick(AB_KERNEL_conv2d, args, exec->isas);
    /* What runs once is not worth a copy of its weights for the plan's life. */
    t->panels = (exec->lean || s->constant) && ab_conv2d_takes_panels(t->kernel);
    if (t->panels || (t->guarded && t->kernel != t->exact)) need_panel(exec, t->exact, args);
    ab_native_need_scratch(exec, ab_conv2d_scratch_size(t->kernel, args));
    if (t->panels) return;
    const struct ab_native_step *before = ab_native_packed_before(exec, i, false);
    t->packs = !before;
    t->pack = before ? before->pack : ab_native_take(exec, ab_conv2d_pack_size(t->kernel, args));
}

void ab_native_bind_conv(const struct ab_exec *exec, const struct ab_step *s,
                         struct ab_native_step *t)
{
    struct ab_conv2d_args *args = &t->args.conv;
    const struct ab_dims to = exec->program->values[s->dst].dims;
    void *pack = ab_native_weights(exec, t->pack);
    if (t->packs) ab_conv2d_pack(t->kernel, args, pack);
    args->pack = pack;
    args->bias = ab_native_weights(exec, t->bias);
    args->src = ab_native_view(exec, s->x);
    args->dst = ab_native_view(exec, s->dst);
    args->add = ab_native_view(exec, s->add);
    args->f = ab_native_function(exec, s);
    args->scratch = (char *)exec->arena + exec->scratch_offset;
    args->range = (struct ab_range){0, exec->batch, 0, ab_blocks(to.c), 0, to.h};
}

/* Rows are divided where the image outweighs the weights, for every thread reads all of what is not
 * divided. */
void ab_native_run_packed(const struct ab_exec *exec, const struct ab_kernel *kernel,
                          const struct ab_conv2d_args *args)
{
    const struct ab_conv2d_shape *s = &args->shape;
    const double weights = (double)s->oc * s->ic / s->g * s->kh * s->kw;
    const double image =
        args->pass == AB_FWD ? (double)s->ic * s->ih * s->iw : (double)s->oc * s->oh * s->ow;
    const bool rows = image > weights || args->range.b1 - args->range.b0 < 2 * exec->threads;
    ab_native_parallel(exec, kernel, args, sizeof *args, offsetof(struct ab_conv2d_args, range),
                       rows ? AB_AXIS_ROWS : AB_AXIS_BLOCKS);
}

/* Each task packs the weights of one panel and computes some rows of it for all images. */
static void run_panels(const struct ab_exec *exec, const struct ab_kernel *kernel,
                       const struct ab_conv2d_args *args)
{
    const int blocks = args->range.b1 - args->range.b0, rows = args->range.y1 - args->range.y0;
    const int panels = (blocks + PANEL_BLOCKS - 1) / PANEL_BLOCKS;
    int parts = (exec->threads + panels - 1) / panels;
    if (parts > rows) parts = rows;
#pragma omp parallel for num_threads(exec->threads) schedule(static) if (exec->threads > 1)
    for (int task = 0; task < panels * parts; task++) {
        struct ab_conv2d_args mine = panel_of(args, args->range.b0 + task / parts * PANEL_BLOCKS);
        const int part = task % parts;
        void *panel =
            (char *)args->scratch + (size_t)omp_get_thread_num() * ab_native_of(exec)->scratch;
        mine.range.y0 = args->range.y0 + (int)((long)rows * part / parts);
        mine.range.y1 = args->range.y0 + (int)((long)rows * (part + 1) / parts);
        ab_conv2d_pack(kernel, &mine, panel);
        mine.pack = panel;
        mine.scratch = (char *)panel + ab_conv2d_pack_size(kernel, &mine);
        kernel->run(&mine);
    }
}

static void run(const struct ab_exec *exec, const struct ab_native_step *t,
                const struct ab_conv2d_args *args)
{
    if (t->panels)
        run_panels(exec, t->kernel, args);
    else
        ab_native_run_packed(exec, t->kernel, args);
}

/* Image `n` alone by plain sums. */
static void run_exact(const struct ab_exec *exec, const struct ab_native_step *t, int n)
{
    struct ab_conv2d_args args = t->args.conv;
    args.range.n0 = n;
    args.range.n1 = n + 1;
    if (args.pass == AB_FWD) args.f.kind = AB_PW_COPY; /* no more bits */
    if (t->kernel == t->exact)
        run(exec, t, &args);
    else
        run_panels(exec, t->exact, &args);
}

/* The verdict on image `n` that belongs to step `s`: on the sum that it makes, or that made its x.
 */
static uint8_t *verdict(const struct ab_exec *exec, const struct ab_step *s, int n)
{
    const int sum = s->pass == AB_FWD ? s->dst : s->guard;
    return &ab_native_of(exec)->unsafe[(size_t)sum * (size_t)exec->batch + (size_t)n];
}

bool ab_native_is_unsafe(const struct ab_exec *exec, const struct ab_step *s, int image)
{
    return *verdict(exec, s, image);
}

static bool any_bit(const struct ab_bits *bits, int n)
{
    uint16_t any = 0;
    for (ptrdiff_t i = 0; i < bits->image; i++) any |= bits->data[n * bits->image + i];
    return any;
}

static void run_rest(const struct ab_exec *exec, const struct ab_step *s,
                     const struct ab_native_step *t)
{
    const struct ab_conv2d_args *conv = &t->args.conv;
    struct ab_pointwise_args args = {.f = conv->f,
                                     .x = ab_native_view(exec, s->z),
                                     .dst = conv->dst,
                                     .n = exec->batch,
                                     .blocks = conv->range.b1,
                                     .h = conv->range.y1,
                                     .w = exec->program->values[s->dst].dims.w,
                                     .range = conv->range};
    ab_native_parallel(exec, t->kernel, &args, sizeof args,
                       offsetof(struct ab_pointwise_args, range),
                       ab_native_axis(exec, args.blocks, args.h, args.w));
}

void ab_native_check_sum(const struct ab_exec *exec, const struct ab_step *s,
                         const struct ab_native_step *t)
{
    for (int n = 0; n < exec->batch; n++) {
        const bool unsafe = any_bit(&t->args.conv.f.bits, n);
        *verdict(exec, s, n) = unsafe;
        if (unsafe && t->kernel != t->exact) run_exact(exec, t, n);
    }
}

static void run_guarded_sum(const struct ab_exec *exec, const struct ab_step *s,
                            const struct ab_native_step *t)
{
    if (s->kind == AB_PW_REST_BITS)
        run_rest(exec, s, t);
    else
        run(exec, t, &t->args.conv);
    ab_native_check_sum(exec, s, t);
}

/* The adjoint of quotients by a guarded sum: image by image if any is unsafe. */
static void run_guarded_adjoint(const struct ab_exec *exec, const struct ab_step *s,
                                const struct ab_native_step *t)
{
    bool any = false;
    for (int n = 0; n < exec->batch; n++) any = any || *verdict(exec, s, n);
    if (!any || t->kernel == t->exact) {
        run(exec, t, &t->args.conv);
        return;
    }
    for (int n = 0; n < exec->batch; n++) {
        struct ab_conv2d_args one = t->args.conv;
        one.range.n0 = n;
        one.range.n1 = n + 1;
        if (*verdict(exec, s, n))
            run_exact(exec, t, n);
        else
            run(exec, t, &one);
    }
}

void ab_native_run_conv(const struct ab_exec *exec, const struct ab_step *s,
                        const struct ab_native_step *t)
{
    if (!t->guarded)
        run(exec, t, &t->args.conv);
    else if (s->pass == AB_FWD)
        run_guarded_sum(exec, s, t);
    else
        run_guarded_adjoint(exec, s, t);
}
