// SPDX-License-Identifier: Apache-2.0
// The native backend's gangs. Dense steps of one layer read W once for all: their operands are
// gathered, the kernel makes the sums of all parts of W in one walk, and each step is finished from
// its sums in the order of the program. Convolutions of equal operands have equal sums: the kernel
// finishes each step from the same ones.
#include "backend/native.h"

#include <stddef.h>
#include <string.h>

enum {
    /* Sums of a dense gang that are made together: as many as a kernel holds in one walk. */
    SUMS = AB_DENSE_CHAIN,
    /* Steps of a convolution's gang that are finished together. */
    FINISHED = 8
};

/* ---- dense ---- */

/* The distinct sums of some steps, those of equal weights next to each other. `of` says which sum
 * a step has. */
struct sums {
    const struct ab_step *step[SUMS]; /* one that wants this sum */
    int of[SUMS], count;
};

static int find_sum(const struct sums *s, const struct ab_step *step)
{
    for (int i = 0; i < s->count; i++)
        if (s->step[i]->x == step->x && ab_same_weights(s->step[i], step)) return i;
    return -1;
}

static void insert_sum(struct sums *s, const struct ab_step *step)
{
    int at = 0;
    for (int i = 0; i < s->count; i++)
        if (ab_same_weights(s->step[i], step)) at = i + 1;
    if (at == 0) at = s->count;
    memmove(&s->step[at + 1], &s->step[at], sizeof *s->step * (size_t)(s->count - at));
    s->step[at] = step;
    s->count++;
}

/* Takes as many of `count` steps as fit; returns how many. */
static int collect_sums(struct sums *s, const struct ab_step *first, int count, int batch)
{
    int taken = 0;
    s->count = 0;
    for (; taken < count && taken < SUMS; taken++) {
        if (find_sum(s, &first[taken]) >= 0) continue;
        if ((s->count + 1) * batch > SUMS) break;
        insert_sum(s, &first[taken]);
    }
    for (int i = 0; i < taken; i++) s->of[i] = find_sum(s, &first[i]);
    return taken;
}

static const struct ab_native_step *native_step(const struct ab_exec *exec, const struct ab_step *s)
{
    return &ab_native_of(exec)->steps[s - exec->program->steps];
}

/* Floats of a layer's operand and of its result, padded. */
static size_t source_floats(const struct ab_dense_args *a)
{
    return (size_t)ab_padded(a->pass == AB_FWD ? a->in : a->out);
}
static size_t result_floats(const struct ab_dense_args *a)
{
    return (size_t)ab_padded(a->pass == AB_FWD ? a->out : a->in);
}

void ab_native_open_gang(struct ab_exec *exec, int first, int count)
{
    const struct ab_native_step *t = &ab_native_of(exec)->steps[first];
    if (exec->program->steps[first].op != AB_OP_DENSE || exec->batch > SUMS) return;
    const size_t steps = (size_t)(count < SUMS / exec->batch ? count : SUMS / exec->batch);
    ab_native_need_scratch(exec,
                           steps * (size_t)exec->batch * sizeof(float) *
                               (source_floats(&t->args.dense) + result_floats(&t->args.dense)));
}

/* The calls that make all sums, one for each part of the weights, from operands gathered in the
 * work space into sums beside them. */
static void link_calls(const struct ab_exec *exec, const struct sums *s,
                       struct ab_dense_args *calls)
{
    const size_t batch = (size_t)exec->batch;
    const struct ab_dense_args *any = &native_step(exec, s->step[0])->args.dense;
    const size_t source = source_floats(any), result = result_floats(any);
    float *from = (float *)(void *)((char *)exec->arena + exec->scratch_offset);
    float *to = from + (size_t)s->count * batch * source;
    struct ab_dense_args *call = NULL;
    for (int i = 0; i < s->count; i++, from += batch * source, to += batch * result) {
        const struct ab_dense_args *a = &native_step(exec, s->step[i])->args.dense;
        for (size_t n = 0; n < batch; n++)
            memcpy(from + n * source, a->src + (ptrdiff_t)n * a->src_stride, sizeof *from * source);
        if (call && ab_same_weights(s->step[i - 1], s->step[i])) {
            call->n += exec->batch;
            continue;
        }
        struct ab_dense_args *next = call ? call + 1 : calls;
        *next = *a;
        next->src = from;
        next->dst = to;
        next->src_stride = (ptrdiff_t)source;
        next->dst_stride = (ptrdiff_t)result;
        next->bias = next->add = NULL;
        next->f.kind = AB_PW_COPY;
        if (call) call->next = next;
        call = next;
    }
}

/* Elements [r0, r1) of all sums, and of the steps that are finished from them. */
static void run_range(const struct ab_exec *exec, const struct ab_step *first, int count,
                      const struct sums *s, const struct ab_dense_args *calls, int r0, int r1)
{
    const struct ab_kernel *kernel = native_step(exec, first)->kernel;
    struct ab_dense_args mine[SUMS];
    int n = 0;
    for (const struct ab_dense_args *c = calls; c; c = c->next, n++) {
        mine[n] = *c;
        mine[n].r0 = r0;
        mine[n].r1 = r1;
        mine[n].next = c->next ? &mine[n + 1] : NULL;
    }
    kernel->run(mine);
    for (int i = 0; i < count; i++) {
        struct ab_dense_args a = native_step(exec, &first[i])->args.dense;
        a.r0 = r0;
        a.r1 = r1;
        a.sums = calls->dst + s->of[i] * exec->batch * calls->dst_stride;
        a.sums_stride = calls->dst_stride;
        kernel->run(&a);
    }
}

static void run_dense_gang(const struct ab_exec *exec, const struct ab_step *first, int count)
{
    struct ab_dense_args calls[SUMS];
    for (int taken; count > 0; first += taken, count -= taken) {
        struct sums s;
        taken = collect_sums(&s, first, count, exec->batch);
        link_calls(exec, &s, calls);
        const int length = calls[0].pass == AB_FWD ? calls[0].out : calls[0].in;
        const int blocks = ab_blocks(length);
        const int parts = blocks < exec->threads ? 1 : exec->threads;
#pragma omp parallel for num_threads(exec->threads) schedule(static) if (parts > 1)
        for (int part = 0; part < parts; part++) {
            const int r0 = (int)((long)blocks * part / parts) * AB_LANES;
            const int r1 = (int)((long)blocks * (part + 1) / parts) * AB_LANES;
            run_range(exec, first, taken, &s, calls, r0, r1 < length ? r1 : length);
        }
        for (int i = 0; i < taken; i++) ab_native_clear_tail(exec, first[i].dst);
    }
}

/* ---- convolutions ---- */

static bool any_unsafe(const struct ab_exec *exec, const struct ab_step *first, int count)
{
    for (int i = 0; i < count; i++)
        for (int n = 0; n < exec->batch; n++)
            if (ab_native_is_unsafe(exec, &first[i], n)) return true;
    return false;
}

static void run_conv_gang(const struct ab_exec *exec, const struct ab_step *first, int count)
{
    const struct ab_native_step *t = native_step(exec, first);
    const bool adjoint = t->guarded && first->pass == AB_BWD;
    const bool shares = ab_kernel_shares_sums(t->kernel) && !t->panels;
    if (!shares || (adjoint && any_unsafe(exec, first, count))) {
        for (int i = 0; i < count; i++)
            ab_native_run_conv(exec, &first[i], native_step(exec, &first[i]));
        return;
    }
    struct ab_conv2d_args calls[FINISHED];
    for (int taken; count > 0; first += taken, count -= taken) {
        taken = count < FINISHED ? count : FINISHED;
        for (int i = 0; i < taken; i++) {
            calls[i] = native_step(exec, &first[i])->args.conv;
            calls[i].next = i + 1 < taken ? &calls[i + 1] : NULL;
        }
        ab_native_run_packed(exec, t->kernel, calls);
        for (int i = 0; i < taken && t->guarded && !adjoint; i++)
            ab_native_check_sum(exec, &first[i], native_step(exec, &first[i]));
    }
}

void ab_native_run_gang(const struct ab_exec *exec, const struct ab_step *first, int count)
{
    if (first->op == AB_OP_CONV) {
        run_conv_gang(exec, first, count);
    } else if (exec->batch <= SUMS && ab_kernel_shares_sums(native_step(exec, first)->kernel)) {
        run_dense_gang(exec, first, count);
    } else {
        for (int i = 0; i < count; i++)
            ab_native_run_dense(exec, &first[i], native_step(exec, &first[i]));
    }
    for (int i = 0; i < count; i++) ab_native_zero_halo(exec, first[i].dst);
}
