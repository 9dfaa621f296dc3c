// SPDX-License-Identifier: Apache-2.0
// oneDNN's alternatives for one convolution, through its backend: the weights are packed and the
// input is brought into format outside the step that is timed.
#include "kernel_peer.h"

#include <stdlib.h>
#include <string.h>

#include "plan/builder.h"

const struct ab_backend *ab_peer_backend(void)
{
    static const struct ab_backend *const all[] = {
#define AB_BACKEND(name) &ab_backend_##name,
#include "backend/backends.def"
#undef AB_BACKEND
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i]->name, "onednn")) return all[i];
    return NULL;
}

static void describe(struct ab_peer *p, const struct ab_conv2d_args *args)
{
    static char image[] = "image", layer[] = "layer";
    const struct ab_conv2d_shape *c = &args->shape;
    const struct ab_dims in = {c->ic, c->ih, c->iw}, out = {c->oc, c->oh, c->ow};
    const bool fwd = args->pass == AB_FWD;
    p->nodes[0] = (struct ab_node){.kind = AB_NODE_INPUT, .name = image, .dims = in};
    p->nodes[1] = (struct ab_node){.kind = AB_NODE_CONV,
                                   .name = layer,
                                   .dims = out,
                                   .conv = *c,
                                   .in = &p->in,
                                   .n_in = 1,
                                   .wei = (float *)(uintptr_t)args->wei,
                                   .wei_count = (size_t)c->oc * (size_t)(c->ic / c->g) *
                                                (size_t)c->kh * (size_t)c->kw};
    p->nodes[1].conv.n = 1;
    p->graph = (struct ab_graph){.nodes = p->nodes, .n_nodes = 2};
    for (int i = 0; i < 2; i++) {
        p->values[i] = (struct ab_value){.dims = (i == 0) == fwd ? in : out, .def = i, .node = -1};
        struct ab_step *step = &p->steps[i];
        *step = ab_step_new(i ? AB_OP_CONV : AB_OP_INPUT);
        step->node = i;
        step->pass = args->pass;
        step->wmod = AB_W_ALL;
        step->dst = i;
        step->x = i - 1;
    }
    p->program =
        (struct ab_program){.steps = p->steps, .n_steps = 2, .values = p->values, .n_values = 2};
    p->exec = (struct ab_exec){.graph = &p->graph,
                               .program = &p->program,
                               .batch = c->n,
                               .threads = 1,
                               .isas = ab_cpu_isas()};
}

/* The two buffers, and the input in its place. */
static bool fill(const struct ab_backend *backend, struct ab_peer *p, const float *input)
{
    struct ab_error ignored;
    struct ab_exec *e = &p->exec;
    p->values[1].offset = p->values[0].bytes;
    e->scratch_offset = p->values[0].bytes + p->values[1].bytes;
    e->arena = ab_buffer_alloc(e->scratch_offset + e->scratch_bytes);
    e->weights = ab_buffer_alloc(e->weight_bytes);
    e->input = input;
    return e->arena && (e->weights || !e->weight_bytes) && backend->pack(e, &ignored) == AB_OK &&
           backend->run(e, &p->steps[0], &ignored) == AB_OK;
}

struct ab_peer *ab_peer_open(const struct ab_conv2d_args *args, const float *input, int k,
                             bool *more)
{
    const struct ab_backend *backend = ab_peer_backend();
    struct ab_error ignored;
    *more = backend && backend->insist(args->pass, k);
    struct ab_peer *p = *more ? calloc(1, sizeof *p) : NULL;
    if (p) describe(p, args);
    const bool opened = p && backend->open(&p->exec, &ignored) == AB_OK;
    if (*more) backend->insist(args->pass, -1);
    if (opened && fill(backend, p, input)) return p;
    if (opened) {
        ab_peer_close(&p);
    } else {
        free(p);
    }
    return NULL;
}

void ab_peer_close(struct ab_peer **peer)
{
    if (!*peer) return;
    ab_peer_backend()->close(&(*peer)->exec);
    ab_buffer_free((*peer)->exec.arena);
    ab_buffer_free((*peer)->exec.weights);
    free(*peer);
    *peer = NULL;
}

bool ab_peer_run(struct ab_peer *peer)
{
    struct ab_error ignored;
    return ab_peer_backend()->run(&peer->exec, &peer->steps[1], &ignored) == AB_OK;
}

const char *ab_peer_name(const struct ab_peer *peer)
{
    return ab_peer_backend()->kernel(&peer->exec, &peer->steps[1]);
}

bool ab_peer_is_winograd(const struct ab_peer *peer)
{
    return strstr(ab_peer_name(peer), "wino") != NULL;
}

void ab_peer_peek(const struct ab_peer *peer, double *out)
{
    ab_peer_backend()->peek(&peer->exec, 1, out);
}
