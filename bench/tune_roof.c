// SPDX-License-Identifier: Apache-2.0
// Roofs over configurations: images a second that none of a kind can exceed; and which kinds are
// one.
//
// Both sides are bounds: the work counts what no algorithm here can do without, the peaks are the
// best that was measured, with a tenth of room. A roof that is too high costs a visit; one that is
// too low would hide the best configuration.
#include "tune_limits.h"

#include "bandwidth.h"
#include "peak.h"
#include "sample/sampler.h"
#include "simd/kernels.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* A clock that has yet to rise, a neighbour that took some of the probe's time. */
static const double ROOM = 1.1;

/* F(4x4, 3x3) takes 36 products where the plain sum takes 144. */
static const double WINOGRAD = 4;

struct ab_tune_roof {
    struct ab_tune_work work;
    double peak[AB_ISA_COUNT]; /* GFLOP/s of a core; 0: not measured */
};

/* ---- work ---- */

/* Taps of a window along one axis that lie inside the image, summed over all its places. */
static double taps(int places, int size, int window, int stride, int dilation, int before)
{
    double inside = 0;
    for (int o = 0; o < places; o++)
        for (int k = 0; k < window; k++) {
            const int at = o * stride - before + k * dilation;
            inside += at >= 0 && at < size;
        }
    return inside;
}

static void add_conv(struct ab_tune_work *work, const struct ab_conv2d_shape *s, bool direct)
{
    const double channels = 2.0 * s->oc * s->ic / s->g;
    const double plain = channels * taps(s->oh, s->ih, s->kh, s->sh, s->dh, s->pt) *
                         taps(s->ow, s->iw, s->kw, s->sw, s->dw, s->pl);
    const double all = channels * s->oh * s->ow * s->kh * s->kw;
    const bool tiled = s->kh == 3 && s->kw == 3 && s->sh == 1 && s->sw == 1 && !direct;
    work->direct += plain;
    work->fast += tiled ? fmin(plain, all / WINOGRAD) : plain;
}

/* Whether an earlier step of its gang has the same sums. */
static bool shared(const struct ab_program *p, int step)
{
    const struct ab_step *s = &p->steps[step];
    for (int i = ab_gang_first(p, step); i < step; i++)
        if (p->steps[i].x == s->x && ab_same_weights(&p->steps[i], s)) return true;
    return false;
}

/* What one execution of the program does for one image; `read`: layers whose weights have been
 * counted. */
static void add_program(struct ab_tune_work *work, const struct ab_graph *graph,
                        const struct ab_program *p, bool *read)
{
    for (int i = 0; i < p->n_steps; i++) {
        const struct ab_step *s = &p->steps[i];
        if (s->constant || (s->op != AB_OP_CONV && s->op != AB_OP_DENSE)) continue;
        const struct ab_node *node = &graph->nodes[s->node];
        if (!read[s->node]) work->weights += 4.0 * (double)node->wei_count;
        read[s->node] = true;
        if (s->kind == AB_PW_REST_BITS || shared(p, i)) continue;
        if (s->op == AB_OP_CONV) {
            add_conv(work, &node->conv, s->direct);
        } else {
            work->direct += 2.0 * (double)node->wei_count;
            work->fast += 2.0 * (double)node->wei_count;
        }
    }
}

/* No algorithm is ruled out. */
static bool may_spread(const void *unused, const struct ab_step *s)
{
    (void)unused;
    (void)s;
    return true;
}

/* Of the single pass of a method, which samplers repeat. Lowered as for the native backend, which
 * shares most. */
static enum ab_status lower(const struct ab_graph *graph, const struct ab_method *method,
                            struct ab_program *program, struct ab_error *err)
{
    struct ab_method *base = NULL;
    const struct ab_method *single = method;
    enum ab_status status = AB_OK;
    *program = (struct ab_program){0};
    if (ab_sampled(method)) {
        const char *spec = method->composite.sampling.base;
        if (*spec) status = ab_method_parse(spec, &base, err);
        single = base; /* NULL: logits alone */
    }
    if (status == AB_OK) status = ab_lower(graph, &single, single ? 1 : 0, NULL, program, err);
    if (status == AB_OK &&
        !(ab_bits(program, may_spread, NULL) && ab_fuse(program, true) && ab_gangs(program)))
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for the steps of a method");
    ab_method_destroy(&base);
    if (status != AB_OK) ab_program_free(program);
    return status;
}

enum ab_status ab_tune_work(const struct ab_graph *graph, const struct ab_method *method,
                            struct ab_tune_work *work, struct ab_error *err)
{
    struct ab_program program;
    struct ab_draw draw = {.n = 1};
    *work = (struct ab_tune_work){0};
    enum ab_status status = ab_sampled(method) ? ab_draw_open(method, graph, &draw, err) : AB_OK;
    if (status != AB_OK) return status;
    bool *read = calloc((size_t)graph->n_nodes, sizeof *read);
    status = read ? lower(graph, method, &program, err)
                  : ab_fail(err, AB_ERR_MEMORY, "out of memory for the steps of a method");
    if (status == AB_OK) {
        add_program(work, graph, &program, read);
        ab_program_free(&program);
    }
    work->direct *= draw.n;
    work->fast *= draw.n;
    if (ab_sampled(method)) ab_draw_close(&draw);
    free(read);
    return status;
}

/* ---- algorithms ---- */

/* Whether a convolution would be computed otherwise by plain sums alone. */
static bool has_choice(const struct ab_graph *graph, const struct ab_program *p, unsigned isas)
{
    for (int i = 0; i < p->n_steps; i++) {
        const struct ab_step *s = &p->steps[i];
        if (s->op != AB_OP_CONV) continue;
        struct ab_conv2d_args args = {
            .shape = graph->nodes[s->node].conv, .pass = s->pass, .direct_only = s->direct};
        const struct ab_kernel *fast = ab_pick(AB_KERNEL_conv2d, &args, isas);
        args.direct_only = true;
        /* The rest is no convolution, but by plain sums alone it is one. */
        if (s->rest >= 0 || fast != ab_pick(AB_KERNEL_conv2d, &args, isas)) return true;
    }
    return false;
}

enum ab_status ab_tune_one_algo(const struct ab_graph *graph, const struct ab_method *method,
                                unsigned isas, unsigned *one_algo, struct ab_error *err)
{
    struct ab_program program;
    *one_algo = 0;
    const enum ab_status status = lower(graph, method, &program, err);
    if (status != AB_OK) return status;
    for (int i = 0; i < AB_ISA_COUNT; i++)
        if (isas >> i & 1 && !has_choice(graph, &program, isas & ((2u << i) - 1)))
            *one_algo |= 1u << i;
    ab_program_free(&program);
    return AB_OK;
}

/* ---- peaks ---- */

/* The best of all CPUs that this thread may use: they may differ, and neighbours slow some of them.
 * Short slices, since the best is kept. */
static double best_of_cpus(enum ab_isa isa)
{
    enum { SLICES = 20 };
    cpu_set_t all, one;
    double best = ab_peak_gflops(isa);
    if (best <= 0 || sched_getaffinity(0, sizeof all, &all) != 0) return best;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all)) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof one, &one) != 0) continue;
        for (int i = 0; i < SLICES; i++) best = fmax(best, ab_peak_again(isa));
    }
    sched_setaffinity(0, sizeof all, &all);
    return best;
}

/* The widest that kernels of the backend may use; 0: not known. `plain` is no probe for kernels
 * that the compiler vectorises. */
static double peak_of(const struct ab_tune_roof *roof, const char *backend)
{
    const char *cap = strchr(backend, ':');
    double best = 0;
    for (int i = AB_ISA_plain + 1; i < AB_ISA_COUNT; i++) {
        best = fmax(best, roof->peak[i]);
        if (cap && !strcmp(cap + 1, ab_isa_name((enum ab_isa)i))) return best;
    }
    return cap ? 0 : best;
}

enum ab_status ab_tune_roof_create(const struct ab_graph *graph, const struct ab_method *method,
                                   struct ab_tune_roof **roof, struct ab_error *err)
{
    struct ab_tune_roof *r = *roof = calloc(1, sizeof *r);
    if (!r) return ab_fail(err, AB_ERR_MEMORY, "out of memory for the roofs");
    const enum ab_status status = ab_tune_work(graph, method, &r->work, err);
    if (status != AB_OK) {
        ab_tune_roof_destroy(roof);
        return status;
    }
    for (int i = AB_ISA_plain + 1; i < AB_ISA_COUNT; i++) r->peak[i] = best_of_cpus((enum ab_isa)i);
    return AB_OK;
}

void ab_tune_roof_destroy(struct ab_tune_roof **roof)
{
    free(*roof);
    *roof = NULL;
}

double ab_tune_roof(void *user, const struct ab_point *point)
{
    const struct ab_tune_roof *roof = user;
    const struct ab_deploy *d = &point->deploy;
    const bool tiled =
        !strncmp(d->backend, "native", 6) && d->algo == AB_ALGO_AUTO && d->memory == AB_MEMORY_FAST;
    const double peak = peak_of(roof, d->backend) * d->threads;
    const double flops = d->batch * (tiled ? roof->work.fast : roof->work.direct);
    /* Each thread reads at least its part, from wherever that finds room. */
    const double part = roof->work.weights / d->threads;
    const double bandwidth = part > 0 ? ab_bandwidth_gbs((size_t)part) : 0;
    const double ns = fmax(peak > 0 ? flops / peak : 0, bandwidth > 0 ? part / bandwidth : 0);
    return ns > 0 ? ROOM * 1e9 * d->instances * d->batch / ns : (double)INFINITY;
}
