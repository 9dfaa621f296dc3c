// SPDX-License-Identifier: Apache-2.0
// The tensors of a pass, the kernels that apply to it, and oneDNN's alternatives.
#include "kernel_pass.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct ab_view view_of(float *base, int channels, int h, int w, struct ab_halo halo)
{
    ptrdiff_t row = (ptrdiff_t)(w + halo.left + halo.right) * AB_LANES;
    ptrdiff_t block = row * (h + halo.top + halo.bottom);
    return (struct ab_view){.data = base + halo.top * row + (ptrdiff_t)halo.left * AB_LANES,
                            .image = block * ab_blocks(channels),
                            .block = block,
                            .row = row};
}

static size_t view_floats(int n, int channels, int h, int w, struct ab_halo halo)
{
    return (size_t)n * (size_t)ab_blocks(channels) * (size_t)(h + halo.top + halo.bottom) *
           (size_t)(w + halo.left + halo.right) * AB_LANES;
}

/* src, in both layouts. */
static void fill(struct ab_kernel_pass *p, int n, int channels, int h, int w)
{
    const struct ab_view v = p->args.src;
    float *plain = p->image;
    uint64_t index = 0;
    for (int i = 0; i < n; i++)
        for (int c = 0; c < channels; c++)
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++) {
                    const float value = (float)ab_normal(7, index++);
                    v.data[i * v.image + c / AB_LANES * v.block + y * v.row + x * AB_LANES +
                           c % AB_LANES] = value;
                    *plain++ = value;
                }
}

static size_t weight_count(const struct ab_conv2d_shape *c)
{
    return (size_t)c->oc * (size_t)(c->ic / c->g) * (size_t)c->kh * (size_t)c->kw;
}

static enum ab_status make_tensors(struct ab_kernel_pass *p, enum ab_pass pass,
                                   struct ab_error *err)
{
    const struct ab_conv2d_shape *c = &p->shape->conv;
    bool fwd = pass == AB_FWD;
    int ic = fwd ? c->ic : c->oc, ih = fwd ? c->ih : c->oh, iw = fwd ? c->iw : c->ow;
    int oc = fwd ? c->oc : c->ic, oh = fwd ? c->oh : c->ih, ow = fwd ? c->ow : c->iw;
    struct ab_halo halo = ab_conv2d_halo(c, pass), none = {0};
    size_t weights = weight_count(c);
    p->src = ab_buffer_alloc(view_floats(c->n, ic, ih, iw, halo) * sizeof(float));
    p->dst = ab_buffer_alloc(view_floats(c->n, oc, oh, ow, none) * sizeof(float));
    p->wei = ab_buffer_alloc(weights * sizeof(float));
    p->image = malloc((size_t)c->n * (size_t)ic * (size_t)ih * (size_t)iw * sizeof(float));
    if (!p->src || !p->dst || !p->wei || !p->image)
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for a shape; give smaller ones");
    for (size_t i = 0; i < weights; i++) p->wei[i] = (float)(0.05 * ab_normal(11, i));
    p->args = (struct ab_conv2d_args){.shape = *c,
                                      .pass = pass,
                                      .wmod = AB_W_ALL,
                                      .wei = p->wei,
                                      .src = view_of(p->src, ic, ih, iw, halo),
                                      .dst = view_of(p->dst, oc, oh, ow, none),
                                      .range = {0, c->n, 0, ab_blocks(oc), 0, oh}};
    fill(p, c->n, ic, ih, iw);
    return AB_OK;
}

/* A runner with room for its samples; NULL when memory is out. */
static struct ab_kernel_runner *add_runner(struct ab_kernel_pass *p)
{
    if (p->n_runners == AB_KERNEL_RUNNERS) return NULL;
    struct ab_kernel_runner *r = &p->runners[p->n_runners];
    *r = (struct ab_kernel_runner){.fastest = INFINITY};
    r->ns = malloc(AB_KERNEL_ROUNDS * sizeof *r->ns);
    r->disturbed = malloc(AB_KERNEL_ROUNDS * sizeof *r->disturbed);
    if (r->ns && r->disturbed) {
        p->n_runners++;
        return r;
    }
    free(r->ns);
    free(r->disturbed);
    return NULL;
}

static enum ab_status add_kernel(struct ab_kernel_pass *p, const struct ab_kernel *k,
                                 struct ab_error *err)
{
    struct ab_kernel_runner *r = add_runner(p);
    if (!r) return ab_fail(err, AB_ERR_MEMORY, "out of memory for samples");
    size_t packed = ab_conv2d_pack_size(k, &p->args), work = ab_conv2d_scratch_size(k, &p->args);
    r->kernel = k;
    r->pack = ab_buffer_alloc(packed);
    r->scratch = ab_buffer_alloc(work);
    if ((packed && !r->pack) || (work && !r->scratch))
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for packed weights");
    if (packed) ab_conv2d_pack(k, &p->args, r->pack);
    return AB_OK;
}

static void add_peers(struct ab_kernel_pass *p)
{
    bool more = true;
    for (int k = 0; more; k++) {
        struct ab_peer *peer = ab_peer_open(&p->args, p->image, k, &more);
        struct ab_kernel_runner *r = peer ? add_runner(p) : NULL;
        if (r)
            r->peer = peer;
        else
            ab_peer_close(&peer);
    }
}

bool ab_kernel_pass_wants(const struct ab_kernel *k, const char *glob, enum ab_isa isa)
{
    if (k->op != AB_KERNEL_conv2d || k->isa != isa || fnmatch(glob, k->name, 0) != 0) return false;
    return !k->baseline || isa <= AB_ISA_plain || strstr(glob, "plain");
}

enum ab_status ab_kernel_pass_open(struct ab_kernel_pass *p, const struct ab_shape *shape,
                                   enum ab_pass pass, const char *glob, enum ab_isa isa,
                                   bool onednn, struct ab_error *err)
{
    int count;
    const struct ab_kernel *kernels = ab_kernels(&count);
    *p = (struct ab_kernel_pass){.shape = shape, .isa = isa, .best = -1, .best_direct = -1};
    enum ab_status status = make_tensors(p, pass, err);
    if (status != AB_OK) return status;
    unsigned isas = isa == AB_ISA_ref ? 1u : ab_cpu_isas() & ((2u << isa) - 1);
    p->picked = ab_pick(AB_KERNEL_conv2d, &p->args, isas);
    struct ab_conv2d_args direct = p->args;
    direct.direct_only = true;
    p->picked_direct = ab_pick(AB_KERNEL_conv2d, &direct, isas);
    for (int i = 0; i < count && status == AB_OK; i++)
        if (ab_kernel_pass_wants(&kernels[i], glob, isa) && kernels[i].applies(&p->args))
            status = add_kernel(p, &kernels[i], err);
    if (onednn && status == AB_OK && p->n_runners) add_peers(p);
    return status;
}

void ab_kernel_pass_close(struct ab_kernel_pass *p)
{
    for (int i = 0; i < p->n_runners; i++) {
        ab_buffer_free(p->runners[i].pack);
        ab_buffer_free(p->runners[i].scratch);
        ab_peer_close(&p->runners[i].peer);
        free(p->runners[i].ns);
        free(p->runners[i].disturbed);
    }
    ab_buffer_free(p->src);
    ab_buffer_free(p->dst);
    ab_buffer_free(p->wei);
    free(p->image);
}

double ab_kernel_pass_flops(const struct ab_kernel_pass *p)
{
    const struct ab_conv2d_shape *c = &p->shape->conv;
    return 2.0 * c->n * c->oc * c->oh * c->ow * (c->ic / c->g) * c->kh * c->kw;
}

double ab_kernel_pass_bytes(const struct ab_kernel_pass *p)
{
    const struct ab_conv2d_shape *c = &p->shape->conv;
    return 4.0 * ((double)c->n * c->ic * c->ih * c->iw + (double)c->n * c->oc * c->oh * c->ow +
                  (double)weight_count(c));
}
