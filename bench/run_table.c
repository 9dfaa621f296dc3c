// SPDX-License-Identifier: Apache-2.0
// The table of a run: one block per model, batch and threads; one line per method and backend.
#include "run.h"

#include <math.h>
#include <string.h>

const char *ab_time_text(double ns, char *text, size_t size)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    int u = 0;
    while (u < 3 && ns >= 999.5) ns /= 1000, u++;
    int digits = ns < 9.995 ? 2 : ns < 99.95 ? 1 : 0;
    if (u == 3 && ns >= 99.95) digits = 1;
    snprintf(text, size, "%.*f %s", digits, ns, units[u]);
    return text;
}

static void print_header(FILE *f, const struct ab_group *g)
{
    const struct ab_run_model *m = g->setting->model;
    struct ab_dims d = m->source.dims;
    char target[160];
    if (m->targets.count > 1)
        snprintf(target, sizeof target, "%d maps of each method: %.96s", m->targets.count,
                 g->rows[0].record.target);
    else
        ab_target_text(m->targets.items[0], &m->source, target, sizeof target);
    fprintf(f, "\n%s%s, %dx%dx%d, batch %d, %d thread%s (%s)%s%s%s, %s%s, %s\n", m->source.name,
            *m->source.path ? "" : " (random weights)", d.c, d.h, d.w, g->setting->batch,
            g->threads, g->threads == 1 ? "" : "s",
            *g->rows[0].record.pinned ? g->rows[0].record.pinned : "not pinned",
            g->rows[0].record.cache == AB_CACHE_COLD ? ", cold caches" : "",
            g->rows[0].record.denormals == AB_DENORMALS_FLUSH ? ", subnormals flushed" : "",
            g->rows[0].record.pages == AB_PAGES_SMALL ? ", small pages" : "",
            m->images.names.items[0], g->setting->batch > 1 ? ", ..." : "", target);
    fprintf(f, "%-24s %-13s %9s %9s %8s %8s %5s %8s  %7s %7s %7s  %s\n", "method", "backend",
            "median", "setup", "memory", "GFLOP/s", "peak", "speed-up", "rel L2", "max err",
            "1-cos", "verdict");
}

static void print_number(FILE *f, double v)
{
    if (isfinite(v))
        fprintf(f, " %7.1e", v < 0 ? 0 : v);
    else
        fprintf(f, " %7s", "-");
}

static void print_row(FILE *f, const struct ab_record *r, bool first)
{
    char median[32] = "-", setup[32] = "-", memory[32] = "-", gflops[32] = "-", share[32] = "-",
         ratio[32] = "-";
    if (r->stats.samples) {
        ab_time_text(r->stats.median, median, sizeof median);
        ab_time_text(r->setup_ns, setup, sizeof setup);
        snprintf(memory, sizeof memory, "%.0f MB", r->planned_bytes / 1e6);
        snprintf(gflops, sizeof gflops, "%.1f", ab_record_gflops(r));
        if (isfinite(ab_record_peak_share(r)))
            snprintf(share, sizeof share, "%.0f %%", 100 * ab_record_peak_share(r));
    }
    /* A speed-up of wrong maps is none. */
    bool counts = r->agreement.verdict != AB_DISAGREE;
    if (isfinite(r->ratio) && counts)
        snprintf(ratio, sizeof ratio, r->ratio < 0.095 ? "%.3fx" : "%.2fx", r->ratio);
    if (!strcmp(r->backend, "onednn") && r->stats.samples) snprintf(ratio, sizeof ratio, "1");
    bool judged = r->agreement.verdict != AB_SKIPPED;
    fprintf(f, "%-24s %-13s %9s %9s %8s %8s %5s %8s ", first ? r->method : "", r->backend, median,
            setup, memory, gflops, share, ratio);
    print_number(f, judged ? r->agreement.rel_l2 : (double)NAN);
    print_number(f, judged ? r->agreement.max_err : (double)NAN);
    print_number(f, judged ? 1 - r->agreement.cosine : (double)NAN);
    fprintf(f, "  %s\n", ab_verdict_name(r->agreement.verdict));
}

static void print_reasons(FILE *f, const struct ab_run *run)
{
    for (int g = 0; g < run->n_groups; g++)
        for (int i = 0; i < run->groups[g].n_rows; i++) {
            const struct ab_row *row = &run->groups[g].rows[i];
            const struct ab_record *r = &row->record;
            if (!row->done || r->agreement.verdict == AB_AGREE || run->settings->no_agree) continue;
            fprintf(f, "%s, %s, %s: %s: %s\n", r->model, r->method, r->backend,
                    ab_verdict_name(r->agreement.verdict), *r->error ? r->error : r->agreement.why);
        }
}

/* What stands for rows of the reference that were too slow to be timed one by one. */
static void print_untimed(FILE *f, const struct ab_run *run)
{
    for (int i = 0; i < run->n_settings; i++) {
        const struct ab_setting *s = &run->all_settings[i];
        if (!s->reference_untimed || s->reference_seconds <= 0) continue;
        fprintf(f,
                "%s: the reference took %.1f s for all methods together, on %d threads or from its "
                "cache; --backend\nreference,... times it method by method.\n",
                s->model->source.name, s->reference_seconds, run->machine.cores);
    }
}

/* The core's clock, and what makes equal work unequally long: lost cores, subnormal numbers. */
static void print_conditions(FILE *f, const struct ab_run *run)
{
    double low = INFINITY, high = 0;
    long slices = 0, disturbed = 0;
    int subnormal = 0, rows = 0;
    for (int g = 0; g < run->n_groups; g++)
        for (int i = 0; i < run->groups[g].n_rows; i++) {
            const struct ab_row *row = &run->groups[g].rows[i];
            const struct ab_record *r = &row->record;
            if (!row->done || row->restored) continue;
            rows++;
            if (r->core_ghz > 0) low = fmin(low, fmin(r->core_ghz, r->core_ghz_after));
            high = fmax(high, fmax(r->core_ghz, r->core_ghz_after));
            for (int s = 0; r->disturbed && s < r->stats.samples; s++)
                slices++, disturbed += r->disturbed[s];
            subnormal += r->subnormal_inputs || r->subnormal_maps;
        }
    if (!rows) return;
    if (high > 0)
        fprintf(f, "core clock: %.2f to %.2f GHz, by dependent instructions. ", low, high);
    else
        fprintf(f, "core clock: not known of this kind of CPU. ");
    fprintf(f, "samples during which a thread lost its core: %ld of %ld.\n", disturbed, slices);
    if (subnormal && !run->settings->denormals)
        fprintf(f,
                "subnormal numbers are in the inputs or maps of %d rows; --denormals flush shows "
                "what they cost\n",
                subnormal);
}

static bool same_block(const struct ab_group *a, const struct ab_group *b)
{
    return a && a->setting == b->setting && a->threads == b->threads;
}

void ab_table_print(FILE *f, const struct ab_run *run)
{
    const struct ab_group *last = NULL;
    int flips = 0, rows = 0, above = 0;
    for (int g = 0; g < run->n_groups; g++) {
        const struct ab_group *group = &run->groups[g];
        bool first = true;
        for (int i = 0; i < group->n_rows; i++) {
            if (!group->rows[i].done) continue;
            if (!same_block(last, group)) print_header(f, group);
            last = group;
            print_row(f, &group->rows[i].record, first);
            first = false;
            rows++;
            above += ab_record_peak_share(&group->rows[i].record) > 1;
            flips += group->rows[i].record.agreement.flips > 0;
        }
    }
    if (!rows) {
        fprintf(f, "no row was finished\n");
        return;
    }
    fprintf(f, "\nspeed-up: oneDNN's time over this row's, timed by turns. peak: share of the "
               "measured FMA peak.\nsetup, memory: making the plan, and what it takes beside the "
               "network's weights (p90 and more in results.json).\nrel L2, max err, 1-cos: against "
               "the double-precision "
               "reference");
    if (flips) fprintf(f, ", which followed the row's own roundings of ReLU and pooling ties");
    fprintf(f, ".\n");
    if (above)
        fprintf(
            f, "above 100 %%: GFLOP/s counts the multiplications of the plain definition; Winograd "
               "needs fewer.\n");
    print_conditions(f, run);
    ab_together_print(f, run);
    print_untimed(f, run);
    print_reasons(f, run);
}
