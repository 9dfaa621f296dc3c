// SPDX-License-Identifier: Apache-2.0
// attrbench run --kernels GLOB --shapes F: single convolutions, each kernel against oneDNN.
//
// oneDNN runs through its backend: a network of one layer, whose two CONV steps are timed by turns
// with the kernels, called directly. Agreement here is a spot check of some rows of the result
// against the reference kernel; the tests compare everything.
#include "run.h"

#include "command.h"
#include "peak.h"
#include "shape.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KERNELS = 32, MIN_ROUNDS = 5, MAX_ROUNDS = 300 };
/* Of a spot check: single precision sums of up to 1e5 products stay well below. */
static const double SPOT_LIMIT = 1e-5;

/* One pass of one shape: tensors, and the kernels that serve it. */
struct pass {
    const struct ab_shape *shape;
    struct ab_conv2d_args args;
    float *src, *dst, *wei;
    struct {
        const struct ab_kernel *kernel;
        void *pack, *scratch;
        double ns[MAX_ROUNDS];
        int count;
    } runs[MAX_KERNELS];
    int n_runs;
    double peer_ns[MAX_ROUNDS];
    int peer_count, step; /* of oneDNN's plan; -1: none */
};

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

static void fill(struct ab_view v, int n, int channels, int h, int w)
{
    for (int i = 0; i < n; i++)
        for (int c = 0; c < channels; c++)
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++) {
                    uint64_t index =
                        (((uint64_t)i * (uint64_t)channels + (uint64_t)c) * (uint64_t)h +
                         (uint64_t)y) *
                            (uint64_t)w +
                        (uint64_t)x;
                    v.data[i * v.image + c / AB_LANES * v.block + y * v.row + x * AB_LANES +
                           c % AB_LANES] = (float)ab_normal(7, index);
                }
}

static size_t weight_count(const struct ab_conv2d_shape *c)
{
    return (size_t)c->oc * (size_t)(c->ic / c->g) * (size_t)c->kh * (size_t)c->kw;
}

static enum ab_status open_pass(struct pass *p, const struct ab_shape *shape, enum ab_pass pass,
                                const char *glob, struct ab_error *err)
{
    const struct ab_conv2d_shape *c = &shape->conv;
    bool fwd = pass == AB_FWD;
    int ic = fwd ? c->ic : c->oc, ih = fwd ? c->ih : c->oh, iw = fwd ? c->iw : c->ow;
    int oc = fwd ? c->oc : c->ic, oh = fwd ? c->oh : c->ih, ow = fwd ? c->ow : c->iw;
    struct ab_halo halo = ab_conv2d_halo(c, pass), none = {0};
    size_t weights = weight_count(c);
    *p = (struct pass){.shape = shape, .step = -1};
    p->src = ab_buffer_alloc(view_floats(c->n, ic, ih, iw, halo) * sizeof(float));
    p->dst = ab_buffer_alloc(view_floats(c->n, oc, oh, ow, none) * sizeof(float));
    p->wei = ab_buffer_alloc(weights * sizeof(float));
    if (!p->src || !p->dst || !p->wei)
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for a shape");
    for (size_t i = 0; i < weights; i++) p->wei[i] = (float)(0.05 * ab_normal(11, i));
    p->args = (struct ab_conv2d_args){.shape = *c,
                                      .pass = pass,
                                      .wmod = AB_W_ALL,
                                      .wei = p->wei,
                                      .src = view_of(p->src, ic, ih, iw, halo),
                                      .dst = view_of(p->dst, oc, oh, ow, none),
                                      .range = {0, c->n, 0, ab_blocks(oc), 0, oh}};
    fill(p->args.src, c->n, ic, ih, iw);
    int count;
    const struct ab_kernel *kernels = ab_kernels(&count);
    for (int i = 0; i < count && p->n_runs < MAX_KERNELS; i++) {
        const struct ab_kernel *k = &kernels[i];
        if (k->op != AB_KERNEL_conv2d || fnmatch(glob, k->name, 0) != 0) continue;
        if (!(ab_cpu_isas() >> k->isa & 1) || !k->applies(&p->args)) continue;
        size_t bytes = ab_conv2d_pack_size(k, &p->args);
        void *pack = ab_buffer_alloc(bytes);
        size_t work = ab_conv2d_scratch_size(k, &p->args);
        void *scratch = ab_buffer_alloc(work);
        p->runs[p->n_runs].kernel = k;
        p->runs[p->n_runs].scratch = scratch;
        p->runs[p->n_runs++].pack = pack;
        if ((bytes && !pack) || (work && !scratch))
            return ab_fail(err, AB_ERR_MEMORY, "out of memory for packed weights");
        if (bytes) ab_conv2d_pack(k, &p->args, pack);
    }
    return AB_OK;
}

static void close_pass(struct pass *p)
{
    for (int i = 0; i < p->n_runs; i++) {
        ab_buffer_free(p->runs[i].pack);
        ab_buffer_free(p->runs[i].scratch);
    }
    ab_buffer_free(p->src);
    ab_buffer_free(p->dst);
    ab_buffer_free(p->wei);
}

/* A network of this one convolution. */
static enum ab_status make_graph(const struct ab_shape *shape, const float *wei,
                                 struct ab_graph **graph, struct ab_error *err)
{
    const struct ab_conv2d_shape *c = &shape->conv;
    enum ab_status status = ab_graph_create("one layer", graph, err);
    if (status != AB_OK) return status;
    struct ab_node *node = ab_graph_add(*graph, AB_NODE_INPUT, "input", NULL, 0);
    if (node) node->dims = (struct ab_dims){c->ic, c->ih, c->iw};
    int in = 0;
    node = node ? ab_graph_add(*graph, AB_NODE_CONV, "conv", &in, 1) : NULL;
    if (node) {
        node->conv = *c;
        node->conv.n = 1;
        node->wei_count = weight_count(c);
        node->wei = malloc(node->wei_count * sizeof *node->wei);
        if (node->wei) memcpy(node->wei, wei, node->wei_count * sizeof *wei);
        in = 1;
        node = node->wei ? ab_graph_add(*graph, AB_NODE_FLATTEN, "flatten", &in, 1) : NULL;
    }
    if (!node) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a layer");
    return ab_graph_finish(*graph, 2, err);
}

/* oneDNN's plan of the layer and its gradient. */
struct peer {
    struct ab_graph *graph;
    struct ab_method *method;
    struct ab_plan *plan;
    float *input;
    double *ns;
};

static void close_peer(struct peer *peer)
{
    ab_plan_destroy(&peer->plan);
    ab_method_destroy(&peer->method);
    ab_graph_destroy(&peer->graph);
    free(peer->input);
    free(peer->ns);
}

static enum ab_status open_peer(struct peer *peer, struct pass *passes, struct ab_error *err)
{
    const struct ab_shape *shape = passes[0].shape;
    const struct ab_conv2d_shape *c = &shape->conv;
    *peer = (struct peer){0};
    enum ab_status status = make_graph(shape, passes[0].wei, &peer->graph, err);
    if (status == AB_OK) status = ab_method_parse("gradient", &peer->method, err);
    const struct ab_method *methods[] = {peer->method};
    struct ab_plan_options options = {.backend = "onednn", .batch = c->n};
    if (status == AB_OK)
        status = ab_plan_create(peer->graph, methods, 1, &options, &peer->plan, err);
    if (status != AB_OK) return status;
    size_t count = (size_t)c->n * (size_t)c->ic * (size_t)c->ih * (size_t)c->iw;
    peer->input = malloc(count * sizeof *peer->input);
    peer->ns = calloc((size_t)peer->plan->program.n_steps, sizeof *peer->ns);
    if (!peer->input || !peer->ns) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a layer");
    for (size_t i = 0; i < count; i++) peer->input[i] = (float)ab_normal(7, i);
    for (int i = 0; i < peer->plan->program.n_steps; i++) {
        const struct ab_step *s = &peer->plan->program.steps[i];
        if (s->op == AB_OP_CONV) passes[s->pass == AB_BWD].step = i;
    }
    return AB_OK;
}

static void time_kernel(struct pass *p, int i, bool keep)
{
    p->args.pack = p->runs[i].pack;
    p->args.scratch = p->runs[i].scratch;
    double start = ab_now_ns();
    p->runs[i].kernel->run(&p->args);
    if (keep) p->runs[i].ns[p->runs[i].count++] = ab_now_ns() - start;
}

static void take_turns(const struct ab_run *run, struct pass *passes, struct peer *peer)
{
    struct ab_error err;
    double start = 0;
    for (int round = -1; round < MAX_ROUNDS && !ab_interrupted; round++) {
        if (round == 0) start = ab_now_ns();
        if (round >= MIN_ROUNDS && ab_now_ns() - start >= run->seconds * 1e9) break;
        for (int k = 0; k < 2; k++)
            for (int i = 0; i < passes[k].n_runs; i++) time_kernel(&passes[k], i, round >= 0);
        if (!peer->plan || ab_plan_profile(peer->plan, peer->input, NULL, peer->ns, &err) != AB_OK)
            continue;
        for (int k = 0; k < 2 && round >= 0; k++)
            if (passes[k].step >= 0)
                passes[k].peer_ns[passes[k].peer_count++] = peer->ns[passes[k].step];
    }
}

/* Two rows in the middle of the first and last block, against the reference kernel. */
static void spot_check(struct pass *p, int i, struct ab_agreement *a)
{
    const struct ab_range whole = p->args.range;
    int count, mid = (whole.y1 - 1) / 2, rows = whole.y1 > mid + 1 ? 2 : 1;
    const struct ab_kernel *kernels = ab_kernels(&count), *ref = NULL;
    for (int k = 0; k < count; k++)
        if (kernels[k].op == AB_KERNEL_conv2d && kernels[k].isa == AB_ISA_ref) ref = &kernels[k];
    size_t floats = (size_t)p->args.dst.row;
    float *got = malloc(2 * floats * sizeof *got);
    double diff = 0, norm = 0, most = 0, largest = 0, dot = 0, own = 0;
    time_kernel(p, i, false);
    for (int side = 0; ref && got && side < 2; side++) {
        int block = side ? whole.b1 - 1 : 0;
        float *at = p->args.dst.data + block * p->args.dst.block + mid * p->args.dst.row;
        memcpy(got, at, (size_t)rows * floats * sizeof *got);
        p->args.range = (struct ab_range){0, 1, block, block + 1, mid, mid + rows};
        ref->run(&p->args);
        for (size_t k = 0; k < (size_t)rows * floats; k++) {
            double r = (double)at[k], g = (double)got[k];
            diff += (g - r) * (g - r), norm += r * r, own += g * g, dot += r * g;
            most = fmax(most, fabs(g - r)), largest = fmax(largest, fabs(r));
        }
    }
    p->args.range = whole;
    bool checked = ref && got && norm > 0;
    free(got);
    if (!checked) return;
    a->rel_l2 = sqrt(diff / norm);
    a->max_err = most / largest;
    a->cosine = dot / sqrt(norm * own);
    a->err_over_bound = a->rel_l2 / SPOT_LIMIT;
    a->pearson = a->spearman = a->ssim = a->iou1 = a->iou5 = (double)NAN;
    a->verdict = a->rel_l2 <= SPOT_LIMIT ? AB_AGREE : AB_DISAGREE;
    a->why[0] = '\0';
    if (a->verdict != AB_AGREE)
        snprintf(a->why, sizeof a->why, "rel_l2 %.2e above %.0e on the rows checked", a->rel_l2,
                 SPOT_LIMIT);
}

static double flops_of(const struct ab_conv2d_shape *c)
{
    return 2.0 * c->n * c->oc * c->oh * c->ow * (c->ic / c->g) * c->kh * c->kw;
}

static void fill_record(struct ab_record *r, const struct ab_run *run, const struct pass *p,
                        const double *ns, int count, const char *where)
{
    const struct ab_conv2d_shape *c = &p->shape->conv;
    ab_record_init(r);
    r->kind = "kernel";
    snprintf(r->op, sizeof r->op, "%s", p->args.pass == AB_FWD ? "conv2d_fwd" : "conv2d_bwd");
    ab_shape_print(p->shape, r->shape, sizeof r->shape);
    snprintf(r->pinned, sizeof r->pinned, "%s", where);
    snprintf(r->repro, sizeof r->repro, "attrbench run --kernels '%s' --shapes '%s'",
             run->settings->kernels, run->settings->shapes);
    r->threads = 1;
    r->batch = c->n;
    r->flops = flops_of(c);
    r->bytes = 4.0 * ((double)c->n * c->ic * c->ih * c->iw + (double)c->n * c->oc * c->oh * c->ow +
                      (double)weight_count(c));
    r->ns = count ? malloc((size_t)count * sizeof *ns) : NULL;
    if (r->ns) memcpy(r->ns, ns, (size_t)count * sizeof *ns);
    if (r->ns) ab_stats_of(r->ns, count, &r->stats);
}

/* One kernel a line; oneDNN last. `line`: 0 for the first of a pass. */
static void print_record(FILE *f, const struct ab_record *r, int line)
{
    char median[32] = "-", ratio[32] = "-", share[32] = "-", error[32] = "-";
    if (r->stats.samples) ab_time_text(r->stats.median, median, sizeof median);
    if (isfinite(r->ratio)) snprintf(ratio, sizeof ratio, "%.2fx", r->ratio);
    if (isfinite(ab_record_peak_share(r)))
        snprintf(share, sizeof share, "%.0f %%", 100 * ab_record_peak_share(r));
    if (r->agreement.verdict != AB_SKIPPED)
        snprintf(error, sizeof error, "%.1e", r->agreement.rel_l2);
    fprintf(f, "%-40.40s %-10s %-24.24s %9s %8.1f %5s %8s %8s  %s\n", line ? "" : r->shape,
            line ? "" : r->op, r->kernels, median, r->stats.samples ? ab_record_gflops(r) : 0.0,
            share, ratio, error, ab_verdict_name(r->agreement.verdict));
}

static enum ab_status report(struct ab_run *run, struct pass *p, const struct peer *peer,
                             const char *where, FILE *f, struct ab_error *err)
{
    struct ab_stats theirs;
    bool have = ab_stats_of(p->peer_ns, p->peer_count, &theirs);
    enum ab_status status = AB_OK;
    for (int i = 0; i <= p->n_runs && status == AB_OK; i++) {
        struct ab_record r;
        bool own = i < p->n_runs;
        if (!own && !have) break;
        fill_record(&r, run, p, own ? p->runs[i].ns : p->peer_ns,
                    own ? p->runs[i].count : p->peer_count, where);
        snprintf(r.backend, sizeof r.backend, own ? "native" : "onednn");
        snprintf(r.kernels, sizeof r.kernels, "%s",
                 own ? p->runs[i].kernel->name : ab_plan_kernel(peer->plan, p->step));
        enum ab_isa isa = own ? p->runs[i].kernel->isa : AB_ISA_ref;
        r.peak = own ? ab_peak_gflops(isa) : ab_peak_best(ab_cpu_isas(), &isa);
        snprintf(r.isa, sizeof r.isa, "%s", own ? ab_isa_name(isa) : "");
        if (own) spot_check(p, i, &r.agreement);
        if (own && have && r.stats.samples)
            r.ratio = ab_paired_ratio(p->peer_ns, p->peer_count, r.ns, r.stats.samples);
        if (!own) r.ratio_why = "this row is oneDNN";
        if (!own) snprintf(r.agreement.why, sizeof r.agreement.why, "timed only");
        run->disagreed = run->disagreed || r.agreement.verdict == AB_DISAGREE;
        print_record(f, &r, i);
        status = ab_store_add(&run->store, &r, err);
        ab_record_free(&r);
    }
    return status;
}

static enum ab_status run_shape(struct ab_run *run, const struct ab_shape *shape, FILE *f,
                                const char *where, struct ab_error *err)
{
    struct pass *passes = calloc(2, sizeof *passes);
    struct peer peer = {0};
    struct ab_error ignored;
    if (!passes) return ab_fail(err, AB_ERR_MEMORY, "out of memory for samples");
    enum ab_status status = open_pass(&passes[0], shape, AB_FWD, run->settings->kernels, err);
    if (status == AB_OK) status = open_pass(&passes[1], shape, AB_BWD, run->settings->kernels, err);
    /* Without oneDNN, or where it lacks the shape, the kernels are timed alone. */
    if (status == AB_OK && open_peer(&peer, passes, &ignored) != AB_OK) {
        ab_progress_note("no oneDNN here: %s", ignored.text);
        close_peer(&peer);
        peer = (struct peer){0};
    }
    if (status == AB_OK) take_turns(run, passes, &peer);
    for (int k = 0; k < 2 && status == AB_OK; k++)
        if (passes[k].n_runs) status = report(run, &passes[k], &peer, where, f, err);
    close_peer(&peer);
    close_pass(&passes[0]);
    close_pass(&passes[1]);
    free(passes);
    return status;
}

static bool any_kernel(const char *glob)
{
    int count, hits = 0;
    const struct ab_kernel *kernels = ab_kernels(&count);
    for (int i = 0; i < count; i++)
        hits += kernels[i].op == AB_KERNEL_conv2d && (ab_cpu_isas() >> kernels[i].isa & 1) &&
                fnmatch(glob, kernels[i].name, 0) == 0;
    return hits > 0;
}

static enum ab_status run_shapes(struct ab_run *run, const struct ab_shape *shapes, int count,
                                 FILE *f, struct ab_error *err)
{
    char where[64];
    enum ab_status status = AB_OK;
    ab_pin_threads(run->pin, 1, where, sizeof where);
    fprintf(f, "one thread, %s, hot cache\n%-40s %-10s %-24s %9s %8s %5s %8s %8s  %s\n", where,
            "shape", "operation", "kernel", "median", "GFLOP/s", "peak", "speed-up", "rel L2",
            "verdict");
    for (int i = 0; i < count && status == AB_OK && !ab_interrupted; i++) {
        char text[160];
        ab_shape_print(&shapes[i], text, sizeof text);
        ab_progress_step(i ? 1 : 0, "%s", text);
        status = run_shape(run, &shapes[i], f, where, err);
    }
    ab_progress_end();
    return status;
}

int ab_run_kernels(struct ab_run *run)
{
    const struct ab_run_settings *s = run->settings;
    FILE *talk = s->json ? stderr : stdout;
    struct ab_shape *shapes;
    struct ab_error err;
    int count;
    if (!any_kernel(s->kernels))
        return ab_complain(AB_EXIT_USAGE,
                           "--kernels '%s': no convolution kernel of this CPU has "
                           "such a name; see attrbench kernels",
                           s->kernels);
    enum ab_status status = ab_shapes_read(s->shapes, &shapes, &count, &err);
    if (status != AB_OK) return ab_complain_status(status, &err);
    run->pin = ab_pin_create(&run->machine);
    run->context = ab_context_json(&run->machine);
    status = ab_store_open(&run->store, s->out ? s->out : "./attrbench-out", run->context, &err);
    ab_interrupt_catch();
    ab_progress_start(count, false);
    if (s->time <= 0) run->seconds = 0.3;
    if (status == AB_OK) status = run_shapes(run, shapes, count, talk, &err);
    free(shapes);
    if (ab_interrupted) json_object_set_new(run->context, "interrupted", json_true());
    if (status == AB_OK) status = ab_store_finish(&run->store, run->context, &err);
    if (status != AB_OK) return ab_complain_status(status, &err);
    if (s->json && !ab_records_print(stdout, run->context, run->store.rows))
        return ab_complain(AB_EXIT_ERROR, "standard output: cannot be written; redirect elsewhere");
    fprintf(talk, "\nresults: %s/results.json\n", run->store.folder);
    if (ab_interrupted) return AB_EXIT_INTERRUPTED;
    return run->disagreed ? AB_EXIT_DISAGREE : AB_EXIT_OK;
}
