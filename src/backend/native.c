// SPDX-License-Identifier: Apache-2.0
// The native backend: attrbench's own kernels on nChw16c maps with zero halos, threaded by OpenMP.
#include "backend/host.h"
#include "backend/native.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

static const char *version(void)
{
    return ab_version();
}

/* ---- opening: views, kernels, offsets ---- */

static size_t round64(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* Sets strides (data comes with the arena) and bytes of a value; false if the size overflows. */
static bool lay_out(const struct ab_exec *exec, struct ab_value *v, struct ab_view *view)
{
    bool over = false;
    const size_t n = (size_t)exec->batch;
    if (v->def < 0) {
        v->bytes = 0;
    } else if (v->dtype == AB_TAU) {
        v->bytes = round64(n * sizeof(float));
    } else if (v->vector) {
        view->image = ab_padded(v->dims.c);
        v->bytes = ab_mul_size(n * sizeof(float), (size_t)view->image, &over);
    } else if (v->dtype == AB_BITS) {
        view->row = v->dims.w;
        view->block = view->row * v->dims.h;
        view->image = view->block * ab_blocks(v->dims.c);
        v->bytes = round64(ab_mul_size(n * sizeof(uint16_t), (size_t)view->image, &over));
    } else {
        const struct ab_halo b = v->dtype == AB_SWITCH ? (struct ab_halo){0} : v->halo;
        view->row = (ptrdiff_t)AB_LANES * (b.left + v->dims.w + b.right);
        const size_t rows = (size_t)(b.top + v->dims.h + b.bottom);
        const size_t block = ab_mul_size((size_t)view->row, rows, &over);
        const size_t image = ab_mul_size(block, (size_t)ab_blocks(v->dims.c), &over);
        view->block = (ptrdiff_t)block;
        view->image = (ptrdiff_t)image;
        v->bytes = round64(ab_mul_size(
            image, n * (v->dtype == AB_SWITCH ? sizeof(uint16_t) : sizeof(float)), &over));
    }
    return !over;
}

size_t ab_native_take(struct ab_exec *exec, size_t bytes)
{
    const size_t at = exec->weight_bytes;
    exec->weight_bytes += round64(bytes);
    return at;
}

const struct ab_native_step *ab_native_packed_before(const struct ab_exec *exec, int i, bool bias)
{
    const struct ab_native *native = ab_native_of(exec);
    const struct ab_step *steps = exec->program->steps, *s = &steps[i];
    for (int k = 0; k < i; k++) {
        if (steps[k].op != s->op || steps[k].node != s->node) continue;
        const bool same = bias ? steps[k].bias == s->bias && native->steps[k].bias != SIZE_MAX
                               : steps[k].pass == s->pass && steps[k].wmod == s->wmod &&
                                     native->steps[k].pack != SIZE_MAX &&
                                     native->steps[k].kernel == native->steps[i].kernel;
        if (same && steps[k].gain == s->gain) return &native->steps[k];
    }
    return NULL;
}

void ab_native_need_scratch(struct ab_exec *exec, size_t bytes)
{
    struct ab_native *native = ab_native_of(exec);
    if (bytes > native->scratch) native->scratch = bytes;
    exec->scratch_bytes = native->scratch * (size_t)exec->threads;
}

static void open_dense(struct ab_exec *exec, int i)
{
    const struct ab_step *s = &exec->program->steps[i];
    struct ab_native_step *t = &ab_native_of(exec)->steps[i];
    const struct ab_node *node = &exec->graph->nodes[s->node];
    const int in = exec->graph->nodes[node->in[0]].dims.c;
    t->args.dense = (struct ab_dense_args){.n = exec->batch,
                                           .in = in,
                                           .out = node->dims.c,
                                           .pass = s->pass,
                                           .wmod = s->wmod,
                                           .gain = s->gain,
                                           .wei = node->wei};
    t->kernel = ab_pick(AB_KERNEL_dense, &t->args.dense, exec->isas);
}

static void open_pool(struct ab_exec *exec, int i)
{
    const struct ab_step *s = &exec->program->steps[i];
    struct ab_native_step *t = &ab_native_of(exec)->steps[i];
    t->args.pool =
        (struct ab_pool_args){.shape = exec->graph->nodes[s->node].pool, .pass = s->pass};
    t->args.pool.shape.n = exec->batch;
    t->kernel = ab_pick(s->op == AB_OP_MAXPOOL ? AB_KERNEL_maxpool : AB_KERNEL_avgpool,
                        &t->args.pool, exec->isas);
}

static void open_pointwise(struct ab_exec *exec, int i)
{
    const struct ab_step *s = &exec->program->steps[i];
    struct ab_native_step *t = &ab_native_of(exec)->steps[i];
    const struct ab_value *v = &exec->program->values[s->dst];
    struct ab_pointwise_args *args = &t->args.pointwise;
    *args = (struct ab_pointwise_args){.f = {.kind = s->kind}, .n = exec->batch};
    args->blocks = ab_blocks(v->dims.c);
    args->h = args->w = 1;
    if (!v->vector) {
        args->h = v->dims.h;
        args->w = v->dims.w;
    } else if (s->kind != AB_PW_AFFINE) {
        args->w = args->blocks;
        args->blocks = 1;
    }
    args->range = (struct ab_range){0, exec->batch, 0, args->blocks, 0, args->h};
    t->kernel = ab_pick(AB_KERNEL_pointwise, args, exec->isas);
    if (s->kind == AB_PW_AFFINE) {
        const size_t bytes = sizeof(float) * (size_t)ab_padded(v->dims.c);
        t->mul = ab_native_take(exec, bytes);
        if (s->pass == AB_FWD) t->add = ab_native_take(exec, bytes);
    }
}

static void open_bias(struct ab_exec *exec, int i)
{
    const struct ab_step *s = &exec->program->steps[i];
    struct ab_native_step *t = &ab_native_of(exec)->steps[i];
    if (s->pass == AB_BWD || s->bias == AB_B_NONE) return;
    const struct ab_native_step *before = ab_native_packed_before(exec, i, true);
    const int out = exec->graph->nodes[s->node].dims.c;
    t->packs_bias = !before;
    t->bias = before ? before->bias : ab_native_take(exec, sizeof(float) * (size_t)ab_padded(out));
}

static void open_step(struct ab_exec *exec, int i)
{
    struct ab_native_step *t = &ab_native_of(exec)->steps[i];
    t->pack = t->bias = t->mul = t->add = SIZE_MAX;
    switch (exec->program->steps[i].op) {
    case AB_OP_CONV:
        ab_native_open_conv(exec, i);
        open_bias(exec, i);
        break;
    case AB_OP_DENSE:
        open_dense(exec, i);
        open_bias(exec, i);
        break;
    case AB_OP_MAXPOOL:
    case AB_OP_AVGPOOL: open_pool(exec, i); break;
    case AB_OP_POINTWISE: open_pointwise(exec, i); break;
    case AB_OP_TAU:
        t->kernel = ab_pick(AB_KERNEL_select, NULL, exec->isas);
        ab_native_need_scratch(exec, AB_TAU_BINS * sizeof(uint32_t));
        break;
    case AB_OP_HOST:
        ab_native_need_scratch(
            exec, round64(ab_host_work(exec, &exec->program->steps[i]) * sizeof(double)));
        break;
    default: break;
    }
}

static void native_close(struct ab_exec *exec)
{
    struct ab_native *native = exec->state;
    if (!native) return;
    free(native->views);
    free(native->steps);
    free(native->unsafe);
    free(native);
    exec->state = NULL;
}

static enum ab_status native_open(struct ab_exec *exec, struct ab_error *err)
{
    struct ab_program *p = exec->program;
    struct ab_native *native = exec->state = calloc(1, sizeof *native);
    if (native) {
        native->views = calloc((size_t)p->n_values, sizeof *native->views);
        native->steps = calloc((size_t)p->n_steps, sizeof *native->steps);
        native->unsafe = calloc((size_t)p->n_values, (size_t)exec->batch);
    }
    if (!native || !native->views || !native->steps || !native->unsafe) {
        native_close(exec);
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for the plan's tables");
    }
    ab_program_halos(p, exec->graph);
    for (int v = 0; v < p->n_values; v++) {
        if (lay_out(exec, &p->values[v], &native->views[v])) continue;
        native_close(exec);
        return ab_fail(err, AB_ERR_MEMORY,
                       "batch %d is too large: a tensor exceeds the address space", exec->batch);
    }
    for (int i = 0; i < p->n_steps; i++) open_step(exec, i);
    for (int i = 0, size; i < p->n_steps; i += size) {
        size = ab_gang_size(p, i);
        if (size > 1) ab_native_open_gang(exec, i, size);
    }
    return AB_OK;
}

/* ---- packing ---- */

void *ab_native_weights(const struct ab_exec *exec, size_t offset)
{
    return offset == SIZE_MAX ? NULL : (char *)exec->weights + offset;
}

static void bind_views(const struct ab_exec *exec)
{
    struct ab_native *native = ab_native_of(exec);
    for (int id = 0; id < exec->program->n_values; id++) {
        const struct ab_value *v = &exec->program->values[id];
        struct ab_view *view = &native->views[id];
        if (!v->bytes) continue;
        view->data = (float *)(void *)((char *)exec->arena + v->offset);
        if (v->dtype == AB_F32 && !v->vector) {
            view->data += v->halo.top * view->row + v->halo.left * AB_LANES;
        }
    }
}

static void pack_bias(const struct ab_node *node, const struct ab_step *s, float *to)
{
    for (int o = 0; o < node->dims.c; o++) to[o] = ab_bias_part(s->bias, s->gain, node->bias[o]);
}

static struct ab_bits bits_of(const struct ab_exec *exec, int id)
{
    const struct ab_view v = ab_native_view(exec, id);
    return (struct ab_bits){(uint16_t *)(void *)v.data, v.image, v.block, v.row};
}

struct ab_pointwise ab_native_function(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_native_step *t = &ab_native_of(exec)->steps[s - exec->program->steps];
    return (struct ab_pointwise){.kind = s->kind,
                                 .eps = s->eps,
                                 .scale = s->scale,
                                 .a = ab_native_view(exec, s->a),
                                 .z = ab_native_view(exec, s->z),
                                 .tau = ab_native_view(exec, s->tau).data,
                                 .bits = bits_of(exec, s->dst2 >= 0 ? s->dst2 : s->bits),
                                 .mul = ab_native_weights(exec, t->mul),
                                 .add = ab_native_weights(exec, t->add)};
}

static void bind_dense(const struct ab_exec *exec, const struct ab_step *s,
                       struct ab_native_step *t)
{
    struct ab_dense_args *args = &t->args.dense;
    const struct ab_view src = ab_native_view(exec, s->x), dst = ab_native_view(exec, s->dst);
    args->bias = ab_native_weights(exec, t->bias);
    args->src = src.data;
    args->src_stride = src.image;
    args->dst = dst.data;
    args->dst_stride = dst.image;
    args->add = ab_native_view(exec, s->add).data;
    args->f = ab_native_function(exec, s);
}

static void bind_pool(const struct ab_exec *exec, const struct ab_step *s, struct ab_native_step *t)
{
    struct ab_pool_args *args = &t->args.pool;
    const struct ab_dims to = exec->program->values[s->dst].dims;
    const int switches = s->pass == AB_FWD ? s->dst2 : s->switches;
    args->src = ab_native_view(exec, s->x);
    args->dst = ab_native_view(exec, s->dst);
    args->switches = (uint16_t *)(void *)ab_native_view(exec, switches).data;
    args->f = ab_native_function(exec, s);
    args->range = (struct ab_range){0, exec->batch, 0, ab_blocks(to.c), 0, to.h};
}

static void bind_pointwise(const struct ab_exec *exec, const struct ab_step *s,
                           struct ab_native_step *t)
{
    struct ab_pointwise_args *args = &t->args.pointwise;
    if (s->kind == AB_PW_AFFINE) {
        const struct ab_node *node = &exec->graph->nodes[s->node];
        const size_t bytes = sizeof(float) * (size_t)node->dims.c;
        memcpy(ab_native_weights(exec, t->mul), node->wei, bytes);
        if (s->pass == AB_FWD) memcpy(ab_native_weights(exec, t->add), node->bias, bytes);
    }
    args->x = ab_native_view(exec, s->x);
    args->dst = ab_native_view(exec, s->dst);
    args->f = ab_native_function(exec, s);
    if (exec->program->values[s->dst].vector && s->kind == AB_PW_AFFINE) {
        args->x.block = args->x.row = args->dst.block = args->dst.row = AB_LANES;
    }
}

static enum ab_status native_pack(struct ab_exec *exec, struct ab_error *err)
{
    (void)err;
    bind_views(exec);
#pragma omp parallel for num_threads(exec->threads) schedule(dynamic)
    for (int i = 0; i < exec->program->n_steps; i++) {
        const struct ab_step *s = &exec->program->steps[i];
        struct ab_native_step *t = &ab_native_of(exec)->steps[i];
        if (t->packs_bias) {
            pack_bias(&exec->graph->nodes[s->node], s, ab_native_weights(exec, t->bias));
        }
        switch (s->op) {
        case AB_OP_CONV: ab_native_bind_conv(exec, s, t); break;
        case AB_OP_DENSE: bind_dense(exec, s, t); break;
        case AB_OP_MAXPOOL:
        case AB_OP_AVGPOOL: bind_pool(exec, s, t); break;
        case AB_OP_POINTWISE: bind_pointwise(exec, s, t); break;
        default: break;
        }
    }
    return AB_OK;
}

/* ---- running ---- */

/* Where part `part` of `parts` begins, on a multiple of `grain` if there is one for every part:
 * Winograd tiles are four rows high, and kernels take channel blocks in pairs. */
static int cut(int length, int part, int parts, int grain)
{
    const int even = (int)((long)length * part / parts);
    if (length < grain * parts || part == parts) return even;
    return (even + grain / 2) / grain * grain;
}

void ab_native_parallel(const struct ab_exec *exec, const struct ab_kernel *kernel,
                        const void *args, size_t args_size, size_t range_offset, enum ab_axis axis)
{
    struct ab_range whole;
    memcpy(&whole, (const char *)args + range_offset, sizeof whole);
    const bool rows = axis == AB_AXIS_ROWS;
    const int length = rows ? whole.y1 - whole.y0 : whole.b1 - whole.b0;
    const int images = whole.n1 - whole.n0;
    const bool by_image = images % exec->threads == 0 || length < 2;
    const int parts = by_image ? 1 : length < exec->threads ? length : exec->threads;
    const int tasks = images * parts;
    if (tasks == 1 || exec->threads == 1) {
        kernel->run(args);
        return;
    }
#pragma omp parallel for num_threads(exec->threads) schedule(static)
    for (int task = 0; task < tasks; task++) {
        union {
            struct ab_conv2d_args conv;
            struct ab_pool_args pool;
            struct ab_pointwise_args pointwise;
        } mine;
        memcpy(&mine, args, args_size);
        if (kernel->op == AB_KERNEL_conv2d) {
            mine.conv.scratch = (char *)mine.conv.scratch +
                                (size_t)omp_get_thread_num() * ab_native_of(exec)->scratch;
        }
        const int part = task % parts;
        struct ab_range r = whole;
        r.n0 = whole.n0 + task / parts;
        r.n1 = r.n0 + 1;
        int *low = rows ? &r.y0 : &r.b0, *high = rows ? &r.y1 : &r.b1;
        const int from = *low;
        *low = from + cut(length, part, parts, rows ? 4 : 2);
        *high = from + cut(length, part + 1, parts, rows ? 4 : 2);
        memcpy((char *)&mine + range_offset, &r, sizeof r);
        kernel->run(&mine);
    }
}

void ab_native_clear_tail(const struct ab_exec *exec, int id)
{
    const struct ab_view v = ab_native_view(exec, id);
    const int length = exec->program->values[id].dims.c;
    for (int n = 0; n < exec->batch; n++)
        for (int i = length; i < ab_padded(length); i++) v.data[n * v.image + i] = 0;
}

void ab_native_run_dense(const struct ab_exec *exec, const struct ab_step *s,
                         const struct ab_native_step *t)
{
    const struct ab_dense_args *args = &t->args.dense;
    const int length = args->pass == AB_FWD ? args->out : args->in;
    const int blocks = ab_blocks(length);
    const int parts = blocks < exec->threads ? 1 : exec->threads;
#pragma omp parallel for num_threads(exec->threads) schedule(static) if (parts > 1)
    for (int part = 0; part < parts; part++) {
        struct ab_dense_args mine = *args;
        mine.r0 = (int)((long)blocks * part / parts) * AB_LANES;
        mine.r1 = (int)((long)blocks * (part + 1) / parts) * AB_LANES;
        if (mine.r1 > length) mine.r1 = length;
        t->kernel->run(&mine);
    }
    ab_native_clear_tail(exec, s->dst);
}

/* Large maps are divided by rows, as the convolutions before and after them are: what the other
 * core has written is as far away as memory, on some machines farther (Zen 4, two virtual CPUs:
 * backward pooling of a 64x224x224 map by blocks 1.6 ms, by one thread alone 0.7). */
enum ab_axis ab_native_axis(const struct ab_exec *exec, int blocks, int h, int w)
{
    const bool large = (long)h * w > 9l * AB_LANES * blocks && h >= 4 * exec->threads;
    return large || blocks < exec->threads ? AB_AXIS_ROWS : AB_AXIS_BLOCKS;
}

static void run_pool(const struct ab_exec *exec, const struct ab_native_step *t)
{
    const struct ab_pool_args *args = &t->args.pool;
    const struct ab_pool_shape *s = &args->shape;
    const bool fwd = args->pass == AB_FWD;
    /* Parts begin at multiples of 4. */
    const bool cuts = fwd || (s->kh == s->sh && s->dh == 1 && s->pt == 0 && 4 % s->sh == 0 &&
                              s->ih >= 4 * exec->threads);
    const enum ab_axis axis =
        ab_native_axis(exec, ab_blocks(s->c), fwd ? s->oh : s->ih, fwd ? s->ow : s->iw);
    ab_native_parallel(exec, t->kernel, args, sizeof *args, offsetof(struct ab_pool_args, range),
                       cuts ? axis : AB_AXIS_BLOCKS);
}

static void run_pointwise(const struct ab_exec *exec, const struct ab_native_step *t)
{
    const struct ab_pointwise_args *args = &t->args.pointwise;
    ab_native_parallel(exec, t->kernel, args, sizeof *args,
                       offsetof(struct ab_pointwise_args, range),
                       ab_native_axis(exec, args->blocks, args->h, args->w));
}

static enum ab_status native_run(struct ab_exec *exec, const struct ab_step *s,
                                 struct ab_error *err)
{
    (void)err;
    const struct ab_native_step *t = &ab_native_of(exec)->steps[s - exec->program->steps];
    switch (s->op) {
    case AB_OP_INPUT:
    case AB_OP_BASELINE: ab_native_input(exec, s); break;
    case AB_OP_FILL: ab_native_fill(exec, s); break;
    case AB_OP_CONV: ab_native_run_conv(exec, s, t); break;
    case AB_OP_DENSE: ab_native_run_dense(exec, s, t); break;
    case AB_OP_POINTWISE: run_pointwise(exec, t); break;
    case AB_OP_MAXPOOL:
    case AB_OP_AVGPOOL: run_pool(exec, t); break;
    case AB_OP_FLATTEN: ab_native_flatten(exec, s); break;
    case AB_OP_CONCAT: ab_native_concat(exec, s); break;
    case AB_OP_SLICE: ab_native_slice(exec, s); break;
    case AB_OP_PAD: ab_native_pad(exec, s); break;
    case AB_OP_WINNERS: ab_native_winners(exec, s); return AB_OK;
    case AB_OP_TAU: ab_native_tau(exec, s, t->kernel); break;
    case AB_OP_SEED: ab_native_seed(exec, s); break;
    case AB_OP_SIGNAL: ab_native_signal(exec, s); break;
    case AB_OP_HOST: ab_native_host(exec, s); break;
    case AB_OP_OUTPUT: ab_native_output(exec, s); return AB_OK;
    case AB_OP_COUNT: return AB_OK;
    }
    ab_native_zero_halo(exec, s->dst);
    return AB_OK;
}

static enum ab_status native_run_gang(struct ab_exec *exec, const struct ab_step *first, int count,
                                      struct ab_error *err)
{
    (void)err;
    ab_native_run_gang(exec, first, count);
    return AB_OK;
}

static const char *native_kernel(const struct ab_exec *exec, const struct ab_step *s)
{
    const struct ab_native_step *t = &ab_native_of(exec)->steps[s - exec->program->steps];
    const struct ab_kernel *k =
        t->guarded && ab_native_is_unsafe(exec, s, 0) ? t->exact : t->kernel;
    return k ? k->name : "layout";
}

const struct ab_backend ab_backend_native = {
    .name = "native",
    .summary = "attrbench's own kernels, hand-vectorised for AVX2, AVX-512 and NEON",
    .fuse = true,
    .own = true,
    .spreads = ab_native_spreads,
    .version = version,
    .open = native_open,
    .pack = native_pack,
    .run = native_run,
    .run_gang = native_run_gang,
    .peek = ab_native_peek,
    .kernel = native_kernel,
    .close = native_close,
};
