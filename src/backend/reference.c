// SPDX-License-Identifier: Apache-2.0
// The reference backend: every step in double precision, from the model's own float weights.
#include "backend/host.h"
#include "backend/reference.h"

#include <stdlib.h>
#include <string.h>

#include "simd/conv2d_geom.h"

static const char *version(void)
{
    return ab_version();
}

static size_t round64(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* ---- opening: layouts and work space ---- */

/* The halo that the CONV steps read of each value. */
static void find_halos(const struct ab_exec *exec, struct ab_reference_map *maps)
{
    for (int i = 0; i < exec->program->n_steps; i++) {
        const struct ab_step *s = &exec->program->steps[i];
        if (s->op != AB_OP_CONV) continue;
        const struct ab_halo need = ab_conv2d_halo(&exec->graph->nodes[s->node].conv, s->pass);
        struct ab_halo *h = &maps[s->x].halo;
        *h = (struct ab_halo){larger(h->top, need.top), larger(h->left, need.left),
                              larger(h->bottom, need.bottom), larger(h->right, need.right)};
    }
}

static bool is_tau(const struct ab_program *p, const struct ab_value *v)
{
    return v->dtype == AB_TAU || (v->def >= 0 && p->steps[v->def].op == AB_OP_TAU);
}

/* Sets strides (data comes with the arena) and bytes; false if the size overflows. */
static bool lay_out(const struct ab_exec *exec, const struct ab_value *v,
                    struct ab_reference_map *m)
{
    bool over = false;
    const struct ab_halo b = m->halo;
    m->c = v->dims.c;
    m->h = v->vector ? 1 : v->dims.h;
    m->w = v->vector ? 1 : v->dims.w;
    m->blocks = ab_blocks(m->c);
    const size_t row = AB_LANES * (size_t)(b.left + m->w + b.right);
    const size_t block = ab_mul_size(row, (size_t)(b.top + m->h + b.bottom), &over);
    size_t image = ab_mul_size(block, (size_t)m->blocks, &over);
    if (is_tau(exec->program, v)) image = 1;
    m->view.row = (ptrdiff_t)row;
    m->view.block = (ptrdiff_t)block;
    m->view.image = (ptrdiff_t)image;
    const size_t element = v->dtype == AB_SWITCH ? sizeof(uint16_t) : sizeof(double);
    const size_t count = ab_mul_size(image, (size_t)exec->batch, &over);
    m->bytes = v->def < 0 ? 0 : round64(ab_mul_size(count, element, &over));
    return !over;
}

static size_t panel_of(const struct ab_exec *exec, const struct ab_step *s)
{
    if (s->op != AB_OP_CONV) return 0;
    const struct ab_conv2d_shape *shape = &exec->graph->nodes[s->node].conv;
    return (size_t)ab_conv2d_inputs_max(shape, s->pass) * (size_t)shape->kh * (size_t)shape->kw *
           AB_LANES;
}

/* Scratch is a panel per thread, then a bias vector; or the products of one image for TAU;
 * or what HOST steps need. */
static bool size_scratch(struct ab_exec *exec)
{
    struct ab_reference *r = exec->state;
    bool over = false;
    size_t bias = 0, tau = 0, host = 0;
    for (int i = 0; i < exec->program->n_steps; i++) {
        const struct ab_step *s = &exec->program->steps[i];
        const size_t panel = panel_of(exec, s);
        if (panel > r->panel) r->panel = panel;
        if (s->op == AB_OP_HOST) {
            const size_t work = (size_t)exec->threads * ab_host_work(exec, s);
            if (work > host) host = work;
        }
        if (s->op == AB_OP_TAU) {
            const struct ab_reference_map *x = &r->maps[s->x];
            const size_t pixels = (size_t)x->h * (size_t)x->w;
            if (pixels * (size_t)x->c > tau) tau = pixels * (size_t)x->c;
        } else if (s->dst >= 0) {
            const size_t lanes = (size_t)r->maps[s->dst].blocks * AB_LANES;
            if (lanes > bias) bias = lanes;
        }
    }
    r->bias_at = ab_mul_size(r->panel, (size_t)exec->threads, &over);
    size_t doubles = ab_add_size(r->bias_at, bias, &over);
    if (tau > doubles) doubles = tau;
    if (host > doubles) doubles = host;
    exec->scratch_bytes = round64(ab_mul_size(doubles, sizeof(double), &over));
    return !over;
}

static void reference_close(struct ab_exec *exec)
{
    struct ab_reference *r = exec->state;
    if (!r) return;
    free(r->maps);
    free(r);
    exec->state = NULL;
}

static enum ab_status reference_open(struct ab_exec *exec, struct ab_error *err)
{
    struct ab_program *p = exec->program;
    struct ab_reference *r = exec->state = calloc(1, sizeof *r);
    if (r) r->maps = calloc((size_t)p->n_values, sizeof *r->maps);
    if (!r || !r->maps) {
        reference_close(exec);
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for the plan's tables");
    }
    bool fits = true;
    find_halos(exec, r->maps);
    for (int id = 0; id < p->n_values; id++) {
        fits = lay_out(exec, &p->values[id], &r->maps[id]) && fits;
        p->values[id].bytes = r->maps[id].bytes;
    }
    if (!size_scratch(exec) || !fits) {
        reference_close(exec);
        return ab_fail(err, AB_ERR_MEMORY,
                       "batch %d is too large: a tensor exceeds the address space", exec->batch);
    }
    r->conv = ab_pick(AB_KERNEL_conv2d_f64, NULL, exec->isas);
    r->dense = ab_pick(AB_KERNEL_dense_f64, NULL, exec->isas);
    exec->weight_bytes = 0;
    return AB_OK;
}

/* There is nothing to pack: weights are read as they are. */
static enum ab_status reference_pack(struct ab_exec *exec, struct ab_error *err)
{
    (void)err;
    const struct ab_reference *r = exec->state;
    for (int id = 0; id < exec->program->n_values; id++) {
        const struct ab_value *v = &exec->program->values[id];
        struct ab_reference_map *m = &r->maps[id];
        if (!v->bytes) continue;
        m->view.data = (double *)(void *)((char *)exec->arena + v->offset);
        if (v->dtype != AB_SWITCH)
            m->view.data += m->halo.top * m->view.row + (ptrdiff_t)m->halo.left * AB_LANES;
    }
    return AB_OK;
}

/* ---- running ---- */

double *ab_reference_scratch(const struct ab_exec *exec)
{
    return (double *)(void *)((char *)exec->arena + exec->scratch_offset);
}

const void *ab_reference_forced(const struct ab_exec *exec, int id, enum ab_decision decision)
{
    if (!exec->forced || id < 0 || exec->program->values[id].decision != decision) return NULL;
    return exec->forced[id];
}

void ab_reference_clear_halo(const struct ab_exec *exec, int id)
{
    const struct ab_reference_map *m = ab_reference_map(exec, id);
    const struct ab_halo h = m->halo;
    if (h.top + h.left + h.bottom + h.right == 0) return;
    for (int plane = 0; plane < exec->batch * m->blocks; plane++) {
        double *first = m->view.data + plane / m->blocks * m->view.image +
                        plane % m->blocks * m->view.block - h.left * AB_LANES;
        for (int y = -h.top; y < m->h + h.bottom; y++) {
            double *row = first + y * m->view.row;
            const bool inside = y >= 0 && y < m->h;
            const int left = inside ? h.left : h.left + m->w + h.right;
            memset(row, 0, sizeof *row * AB_LANES * (size_t)left);
            if (inside)
                memset(row + (ptrdiff_t)(h.left + m->w) * AB_LANES, 0,
                       sizeof *row * AB_LANES * (size_t)h.right);
        }
    }
}

static void adopt(const struct ab_exec *exec, int id)
{
    const struct ab_reference_map *m = ab_reference_map(exec, id);
    const size_t w = (size_t)m->w, h = (size_t)m->h, c = (size_t)m->c;
    for (size_t i = 0; i < exec->n_adopted[id]; i++) {
        struct ab_adopted *a = &exec->adopted[id][i];
        const size_t row = a->index / w, plane = row / h;
        double *at = m->view.data + ab_reference_offset(m, (int)(plane / c), (int)(plane % c),
                                                        (int)(row % h), (int)(a->index % w));
        a->own = *at;
        *at = a->value;
    }
}

static enum ab_status reference_run(struct ab_exec *exec, const struct ab_step *step,
                                    struct ab_error *err)
{
    (void)err;
    switch (step->op) {
    case AB_OP_INPUT:
    case AB_OP_BASELINE: ab_reference_input(exec, step); break;
    case AB_OP_FILL: ab_reference_fill(exec, step); break;
    case AB_OP_CONV: ab_reference_conv(exec, step); break;
    case AB_OP_DENSE: ab_reference_dense(exec, step); break;
    case AB_OP_POINTWISE: ab_reference_pointwise(exec, step, step->x); break;
    case AB_OP_MAXPOOL: ab_reference_maxpool(exec, step); break;
    case AB_OP_WINNERS: ab_reference_winners(exec, step); return AB_OK;
    case AB_OP_AVGPOOL: ab_reference_avgpool(exec, step); break;
    case AB_OP_FLATTEN: ab_reference_flatten(exec, step); break;
    case AB_OP_CONCAT: ab_reference_concat(exec, step); break;
    case AB_OP_SLICE: ab_reference_slice(exec, step); break;
    case AB_OP_PAD: ab_reference_pad(exec, step); break;
    case AB_OP_TAU: ab_reference_tau(exec, step); break;
    case AB_OP_SEED: ab_reference_seed(exec, step); break;
    case AB_OP_SIGNAL: ab_reference_signal(exec, step); break;
    case AB_OP_HOST: ab_reference_host(exec, step); break;
    case AB_OP_OUTPUT: ab_reference_output(exec, step); break;
    case AB_OP_COUNT: break;
    }
    if (step->dst >= 0 && step->op != AB_OP_TAU && step->op != AB_OP_OUTPUT)
        ab_reference_clear_halo(exec, step->dst);
    if (step->dst >= 0 && exec->adopted) adopt(exec, step->dst);
    return AB_OK;
}

/* ---- looking inside ---- */

double ab_reference_at(const struct ab_exec *exec, int id, int n, int c, int y, int x)
{
    const struct ab_reference_map *m = ab_reference_map(exec, id);
    return m->view.data[ab_reference_offset(m, n, c, y, x)];
}

static void reference_peek(const struct ab_exec *exec, int id, double *out)
{
    const struct ab_reference_map *m = ab_reference_map(exec, id);
    const struct ab_value *v = &exec->program->values[id];
    if (is_tau(exec->program, v)) {
        memcpy(out, m->view.data, sizeof *out * (size_t)exec->batch);
        return;
    }
    const uint16_t *switches = ab_reference_switches(m);
    const int planes = exec->batch * m->c;
#pragma omp parallel for num_threads(exec->threads) schedule(static) if (planes > 1)
    for (int i = 0; i < planes; i++) {
        double *to = out + (size_t)i * (size_t)m->h * (size_t)m->w;
        for (int y = 0; y < m->h; y++) {
            const ptrdiff_t row = ab_reference_offset(m, i / m->c, i % m->c, y, 0);
            for (int x = 0; x < m->w; x++) {
                const ptrdiff_t at = row + (ptrdiff_t)x * AB_LANES;
                *to++ = v->dtype == AB_SWITCH ? switches[at] : m->view.data[at];
            }
        }
    }
}

static const char *reference_kernel(const struct ab_exec *exec, const struct ab_step *step)
{
    const struct ab_reference *r = exec->state;
    return step->op == AB_OP_CONV    ? r->conv->name
           : step->op == AB_OP_DENSE ? r->dense->name
                                     : "reference";
}

const struct ab_backend ab_backend_reference = {
    .name = "reference",
    .summary = "plain C in double precision: what the others are compared to",
    .fuse = false,
    .version = version,
    .open = reference_open,
    .pack = reference_pack,
    .run = reference_run,
    .peek = reference_peek,
    .kernel = reference_kernel,
    .close = reference_close,
};
