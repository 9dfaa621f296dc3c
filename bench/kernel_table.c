// SPDX-License-Identifier: Apache-2.0
// Records and table of a run of kernels, pass by pass, and the summary at its end.
#include "kernel_run.h"

#include "base/outfile.h"
#include "peak.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- records ---- */

/* Least over least, in the rounds that both ran. What disturbs a sample only ever lengthens it, so
 * with samples taken by turns this repeats better from run to run than a median of paired ratios,
 * at few samples above all. */
static double ratio_of(const struct ab_kernel_runner *theirs, const struct ab_kernel_runner *ours)
{
    int rounds = theirs->count < ours->count ? theirs->count : ours->count;
    return ab_least(theirs->ns, rounds) / ab_least(ours->ns, rounds);
}

static void write_repro(const struct ab_kernel_run *k, const struct ab_kernel_pass *p,
                        struct ab_record *r)
{
    const struct ab_run_settings *s = k->run->settings;
    snprintf(r->repro, sizeof r->repro,
             "attrbench run --kernels '%s' --shapes '%s' --backend native:%s%s --batch %d%s%s",
             s->kernels, s->shapes, ab_isa_name(k->isa), k->onednn ? ",onednn" : "",
             p->shape->conv.n, s->cache ? " --cache cold" : "",
             s->denormals ? " --denormals flush" : "");
}

static void fill_record(const struct ab_kernel_run *k, const struct ab_kernel_pass *p,
                        const struct ab_kernel_runner *runner, struct ab_record *r)
{
    bool own = runner->kernel != NULL;
    ab_record_init(r);
    r->kind = "kernel";
    snprintf(r->op, sizeof r->op, "%s", p->args.pass == AB_FWD ? "conv2d_fwd" : "conv2d_bwd");
    ab_shape_print(p->shape, r->shape, sizeof r->shape);
    snprintf(r->pinned, sizeof r->pinned, "%s", k->where);
    snprintf(r->backend, sizeof r->backend, own ? "native" : "onednn");
    snprintf(r->kernels, sizeof r->kernels, "%s",
             own ? runner->kernel->name : ab_peer_name(runner->peer));
    snprintf(r->isa, sizeof r->isa, "%s", own ? ab_isa_name(runner->kernel->isa) : "");
    snprintf(r->onednn_isa, sizeof r->onednn_isa, "%s", k->onednn ? k->onednn_isa : "");
    write_repro(k, p, r);
    r->threads = 1;
    r->batch = p->shape->conv.n;
    r->times = p->shape->times;
    r->flops = ab_kernel_pass_flops(p);
    r->bytes = ab_kernel_pass_bytes(p);
    r->peak = ab_peak_gflops(k->isa);
    r->picked = own && runner->kernel == p->picked;
    r->amplification = own                                 ? ab_kernel_amplification(runner->kernel)
                       : ab_peer_is_winograd(runner->peer) ? (double)NAN
                                                           : 0;
    r->agreement = runner->agreement;
    r->ns = runner->count ? malloc((size_t)runner->count * sizeof *r->ns) : NULL;
    r->disturbed = runner->count ? malloc((size_t)runner->count * sizeof *r->disturbed) : NULL;
    if (r->disturbed)
        memcpy(r->disturbed, runner->disturbed, (size_t)runner->count * sizeof *r->disturbed);
    ab_run_conditions(k->run, r);
    r->calls = p->calls;
    r->core_ghz = p->core_ghz;
    r->core_ghz_after = p->core_ghz_after;
    if (r->ns) memcpy(r->ns, runner->ns, (size_t)runner->count * sizeof *r->ns);
    if (r->ns) ab_stats_of(r->ns, runner->count, &r->stats);
    if (!own) r->ratio_why = "this row is oneDNN";
    if (own && p->best >= 0 && runner->count) r->ratio = ratio_of(&p->runners[p->best], runner);
}

/* ---- table ---- */

void ab_kernel_table_head(const struct ab_kernel_run *k)
{
    fprintf(k->talk, "%s kernels, one thread, %s, %s cache%s; ", ab_isa_name(k->isa), k->where,
            ab_cache_name((enum ab_cache)k->run->settings->cache),
            k->run->settings->denormals ? ", subnormal numbers flushed" : "");
    if (k->onednn)
        fprintf(k->talk, "oneDNN %s with %s\n", ab_peer_backend()->version(), k->onednn_isa);
    else
        fprintf(k->talk, "oneDNN is not timed\n");
    fprintf(k->talk,
            "*: attrbench's own choice. speed-up: least time of oneDNN's best over the kernel's. "
            "peak: share of %.1f GFLOP/s\nby the least time; above 100 %%: Winograd, or padding "
            "skipped. amp.: factor of a rounding error larger than the plain sum's.\n",
            ab_peak_gflops(k->isa));
}

static void print_pass(FILE *f, const struct ab_kernel_pass *p)
{
    char text[160];
    ab_shape_print(p->shape, text, sizeof text);
    fprintf(f, "\n%s, %s, %.3f GFLOP\n", text, p->args.pass == AB_FWD ? "forward" : "backward-data",
            ab_kernel_pass_flops(p) / 1e9);
    fprintf(f, "  %-54s %9s %9s %8s %6s %8s %5s %8s  %s\n", "", "median", "minimum", "GFLOP/s",
            "peak", "speed-up", "amp.", "rel L2", "verdict");
}

static void print_record(FILE *f, const struct ab_record *r)
{
    char median[32] = "-", least[32] = "-", ratio[32] = "-", share[32] = "-", error[32] = "-",
         factor[32] = "", name[128];
    double gflops = r->stats.samples ? r->flops / r->stats.min : (double)NAN;
    if (r->stats.samples) {
        ab_time_text(r->stats.median, median, sizeof median);
        ab_time_text(r->stats.min, least, sizeof least);
    }
    if (isfinite(r->ratio)) snprintf(ratio, sizeof ratio, "%.2fx", r->ratio);
    if (r->peak > 0 && isfinite(gflops))
        snprintf(share, sizeof share, "%.0f %%", 100 * gflops / r->peak);
    if (r->agreement.verdict == AB_AGREE || r->agreement.verdict == AB_DISAGREE)
        snprintf(error, sizeof error, "%.1e", r->agreement.rel_l2);
    if (r->amplification > 0) snprintf(factor, sizeof factor, "%.0f", r->amplification);
    snprintf(name, sizeof name, "%s%.100s", strcmp(r->backend, "onednn") ? "" : "oneDNN ",
             r->kernels);
    fprintf(f, "%c %-54s %9s %9s %8.1f %6s %8s %5s %8s  %s\n", r->picked ? '*' : ' ', name, median,
            least, isfinite(gflops) ? gflops : 0.0, share, ratio, factor, error,
            ab_verdict_name(r->agreement.verdict));
}

/* ---- a pass ---- */

static void fill_duel(const struct ab_kernel_pass *p, const struct ab_kernel *kernel, int peer,
                      struct ab_kernel_duel *d)
{
    const struct ab_kernel_runner *ours = NULL, *theirs = peer < 0 ? NULL : &p->runners[peer];
    for (int i = 0; i < p->n_runners; i++)
        if (p->runners[i].kernel == kernel) ours = &p->runners[i];
    *d = (struct ab_kernel_duel){.ours_ns = ours ? ab_least(ours->ns, ours->count) : (double)NAN,
                                 .theirs_ns =
                                     theirs ? ab_least(theirs->ns, theirs->count) : (double)NAN,
                                 .ratio = ours && theirs ? ratio_of(theirs, ours) : (double)NAN};
    if (ours) snprintf(d->kernel, sizeof d->kernel, "%s", kernel->name);
    if (theirs) snprintf(d->peer, sizeof d->peer, "%s", ab_peer_name(theirs->peer));
}

enum ab_status ab_kernel_add_row(struct ab_kernel_run *k, const struct ab_kernel_row *row,
                                 struct ab_error *err)
{
    struct ab_kernel_row *grown = realloc(k->rows, ((size_t)k->n_rows + 1) * sizeof *grown);
    if (!grown) return ab_fail(err, AB_ERR_MEMORY, "out of memory for the summary");
    k->rows = grown;
    grown[k->n_rows++] = *row;
    return AB_OK;
}

/* The line of the summary, from the record of the picked kernel. */
static void fill_row(const struct ab_kernel_pass *p, const struct ab_record *r,
                     struct ab_kernel_row *row)
{
    *row = (struct ab_kernel_row){
        .times = r->times,
        .batch = r->batch,
        .pass = p->args.pass,
        .flops = r->flops,
        .rel_l2 = r->agreement.verdict == AB_SKIPPED ? (double)NAN : r->agreement.rel_l2};
    struct ab_shape bare = *p->shape;
    bare.times = 1;
    bare.name[0] = '\0';
    ab_shape_print(&bare, row->shape, sizeof row->shape);
    snprintf(row->layer, sizeof row->layer, "%s", *p->shape->name ? p->shape->name : row->shape);
    fill_duel(p, p->picked, p->best, &row->duel[AB_DUEL_PICK]);
    fill_duel(p, p->picked, p->best_direct, &row->duel[AB_DUEL_DEFAULT]);
    fill_duel(p, p->picked_direct, p->best_direct, &row->duel[AB_DUEL_DIRECT]);
}

/* The row and, with the picked kernel, what the summary needs of its pass. */
static enum ab_status add_record(struct ab_kernel_run *k, const struct ab_kernel_pass *p,
                                 const struct ab_record *r, struct ab_error *err)
{
    struct ab_kernel_row row;
    if (!r->picked) return ab_store_add(&k->run->store, r, err);
    fill_row(p, r, &row);
    json_t *json = ab_record_json(r);
    if (json) json_object_set_new(json, "summary", ab_kernel_row_json(&row));
    const enum ab_status status = ab_store_add_json(&k->run->store, json, err);
    return status == AB_OK ? ab_kernel_add_row(k, &row, err) : status;
}

enum ab_status ab_kernel_report(struct ab_kernel_run *k, struct ab_kernel_pass *p,
                                struct ab_error *err)
{
    enum ab_status status = AB_OK;
    bool picked = false;
    print_pass(k->talk, p);
    for (int i = 0; i < p->n_runners && status == AB_OK; i++) {
        const struct ab_kernel_runner *runner = &p->runners[i];
        if (!runner->kernel && i != p->best && i != p->best_direct) continue;
        struct ab_record r;
        fill_record(k, p, runner, &r);
        bool wrong = runner->kernel && r.agreement.verdict == AB_DISAGREE;
        k->run->disagreed = k->run->disagreed || wrong;
        print_record(k->talk, &r);
        status = add_record(k, p, &r, err);
        picked = picked || r.picked;
        ab_record_free(&r);
    }
    k->unpicked += !picked;
    fflush(k->talk);
    return status;
}

/* ---- the end ---- */

static int next_batch(const struct ab_kernel_run *k, int after)
{
    int next = 0;
    for (int i = 0; i < k->n_rows; i++)
        if (k->rows[i].batch > after && (!next || k->rows[i].batch < next)) next = k->rows[i].batch;
    return next;
}

static const char *context_text(const struct ab_kernel_run *k, const char *part, const char *key)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(k->run->context, part), key));
    return text ? text : "unknown";
}

static void print_markdown(FILE *f, const struct ab_kernel_run *k)
{
    double peak = ab_peak_gflops(k->isa);
    fprintf(f, "# %s kernels against oneDNN: %s\n\n", ab_isa_name(k->isa),
            k->run->settings->shapes);
    fprintf(
        f,
        "%s, one core, FMA peak %.1f GFLOP/s in this run; %s; attrbench %s; oneDNN %s%s%s; %s.\n\n",
        context_text(k, "cpu", "model"), peak, context_text(k, "build", "compiler"),
        context_text(k, "build", "git_revision"),
        k->onednn ? ab_peer_backend()->version() : "not timed", k->onednn ? " with " : "",
        k->onednn ? k->onednn_isa : "",
        json_string_value(json_object_get(k->run->context, "date")));
    fprintf(
        f,
        "Times are the fastest samples, taken by turns, without what other processes took. "
        "ratio: the time of oneDNN's best over that of the kernel that attrbench picks; bold "
        "below %.2f. default: oneDNN without Winograd, which it takes only where asked to and 3.2 "
        "does not have. direct: neither side uses Winograd; blank where that is the same. "
        "peak: "
        "of the plain definition's operations; Winograd needs fewer, and so does a kernel that "
        "skips padding.\n",
        AB_KERNEL_LOST);
    if (ab_interrupted) fprintf(f, "\n**Interrupted: not all layers are here.**\n");
    for (int batch = next_batch(k, 0); batch; batch = next_batch(k, batch)) {
        fprintf(f, "\n## Batch %d\n\n", batch);
        ab_kernel_summary_print(f, true, k->rows, k->n_rows, batch, peak);
        fprintf(f, "\n");
        ab_kernel_rows_print(f, k->rows, k->n_rows, batch, peak);
    }
}

static enum ab_status write_markdown(const struct ab_kernel_run *k, struct ab_error *err)
{
    char path[1100];
    struct ab_outfile out;
    snprintf(path, sizeof path, "%s/kernels.md", k->run->store.folder);
    enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    print_markdown(out.stream, k);
    if (fflush(out.stream) != 0 || ferror(out.stream) || fsync(fileno(out.stream)) != 0)
        status = ab_fail(err, AB_ERR_IO, "%s: cannot be written: %s; choose another --out", path,
                         strerror(errno));
    return ab_outfile_close(&out, status, err);
}

enum ab_status ab_kernel_finish(struct ab_kernel_run *k, struct ab_error *err)
{
    double peak = ab_peak_gflops(k->isa);
    json_t *list = json_array();
    for (int batch = next_batch(k, 0); batch; batch = next_batch(k, batch)) {
        fprintf(k->talk, "\nsummary of attrbench's own choices, batch %d:\n", batch);
        ab_kernel_summary_print(k->talk, false, k->rows, k->n_rows, batch, peak);
        json_array_append_new(list, ab_kernel_summary_json(k->rows, k->n_rows, batch, peak));
    }
    if (k->unpicked)
        fprintf(k->talk, "\nnot in the summary: %d passes whose choice --kernels leaves out\n",
                k->unpicked);
    json_object_set_new(k->run->context, "summary", list);
    return write_markdown(k, err);
}
