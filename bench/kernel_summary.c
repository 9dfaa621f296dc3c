// SPDX-License-Identifier: Apache-2.0
// The arithmetic of the summary, and the summary as text, Markdown and JSON.
#include "kernel_summary.h"

#include <math.h>
#include <string.h>

static const char *const side_names[AB_SIDES] = {"forward", "backward", "both"};

static double share_of(const struct ab_kernel_row *r, double peak)
{
    return r->flops / r->ours_ns / peak;
}

/* ---- arithmetic ---- */

static void add_row(struct ab_kernel_side *s, const struct ab_kernel_row *r)
{
    s->rows++;
    s->geomean += log(r->ratio);
    s->direct_geomean += log(r->direct_ratio);
    s->ours_ns += r->times * r->ours_ns;
    s->theirs_ns += r->times * r->theirs_ns;
    s->direct_ns += r->times * r->direct_ns;
}

/* Whether row i is lower than row `than`, or the first. */
static bool lower(const struct ab_kernel_row *rows, int i, int than)
{
    return than < 0 || share_of(&rows[i], 1) < share_of(&rows[than], 1);
}

void ab_kernel_summarise(const struct ab_kernel_row *rows, int count, int batch,
                         struct ab_kernel_summary *s)
{
    *s = (struct ab_kernel_summary){.worst = -1, .lowest = -1, .lowest_large = -1};
    for (int i = 0; i < count; i++) {
        const struct ab_kernel_row *r = &rows[i];
        if (r->batch != batch) continue;
        bool direct = r->amplification <= 0, large = r->flops > AB_KERNEL_MIN_FLOPS;
        if (direct && lower(rows, i, s->lowest)) s->lowest = i;
        if (direct && large && lower(rows, i, s->lowest_large)) s->lowest_large = i;
        if (!isfinite(r->ratio)) continue;
        add_row(&s->side[r->pass == AB_FWD ? AB_SIDE_FWD : AB_SIDE_BWD], r);
        add_row(&s->side[AB_SIDE_BOTH], r);
        s->lost += r->ratio < AB_KERNEL_LOST;
        if (s->worst < 0 || r->ratio < rows[s->worst].ratio) s->worst = i;
    }
    for (int k = 0; k < AB_SIDES; k++) {
        struct ab_kernel_side *side = &s->side[k];
        side->geomean = side->rows ? exp(side->geomean / side->rows) : (double)NAN;
        side->direct_geomean = side->rows ? exp(side->direct_geomean / side->rows) : (double)NAN;
    }
}

/* ---- JSON ---- */

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *side_json(const struct ab_kernel_side *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "rows", json_integer(s->rows));
    json_object_set_new(o, "ratio_geomean", number(s->geomean));
    json_object_set_new(o, "ratio_to_direct_geomean", number(s->direct_geomean));
    json_object_set_new(o, "network_ns", json_real(s->ours_ns));
    json_object_set_new(o, "network_onednn_ns", json_real(s->theirs_ns));
    json_object_set_new(o, "network_onednn_direct_ns", number(s->direct_ns));
    json_object_set_new(o, "network_ratio", number(s->theirs_ns / s->ours_ns));
    return o;
}

/* null for row -1. */
static json_t *row_json(const struct ab_kernel_row *rows, int i, double peak)
{
    if (i < 0) return json_null();
    const struct ab_kernel_row *r = &rows[i];
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "layer", r->layer, "shape", r->shape, "pass",
                          side_names[r->pass], "kernel", r->kernel);
    json_object_set_new(o, "ratio", number(r->ratio));
    json_object_set_new(o, "peak_share_best", number(peak > 0 ? share_of(r, peak) : (double)NAN));
    return o;
}

json_t *ab_kernel_summary_json(const struct ab_kernel_row *rows, int count, int batch, double peak)
{
    struct ab_kernel_summary s;
    ab_kernel_summarise(rows, count, batch, &s);
    json_t *o = json_object(), *lost = json_array();
    json_object_set_new(o, "batch", json_integer(batch));
    json_object_set_new(o, "peak_gflops", number(peak));
    for (int k = 0; k < AB_SIDES; k++) json_object_set_new(o, side_names[k], side_json(&s.side[k]));
    for (int i = 0; i < count; i++)
        if (rows[i].batch == batch && rows[i].ratio < AB_KERNEL_LOST)
            json_array_append_new(lost, row_json(rows, i, peak));
    json_object_set_new(o, "below", json_real(AB_KERNEL_LOST));
    json_object_set_new(o, "rows_below", lost);
    json_object_set_new(o, "worst_row", row_json(rows, s.worst, peak));
    json_object_set_new(o, "lowest_direct_row", row_json(rows, s.lowest, peak));
    json_object_set_new(o, "large_flops", json_real(AB_KERNEL_MIN_FLOPS));
    json_object_set_new(o, "lowest_large_direct_row", row_json(rows, s.lowest_large, peak));
    return o;
}

/* ---- text ---- */

static void print_sides(FILE *f, bool markdown, const struct ab_kernel_summary *s)
{
    if (!s->side[AB_SIDE_BOTH].rows) {
        fprintf(f, "%soneDNN was not timed.\n", markdown ? "- " : "  ");
        return;
    }
    if (markdown)
        fprintf(f, "| pass | rows | ratio, geometric mean | ratio, direct | network: oneDNN ms | "
                   "attrbench ms | ratio |\n|---|--:|--:|--:|--:|--:|--:|\n");
    else
        fprintf(f, "  %-9s %4s %9s %7s %19s %13s %7s\n", "", "rows", "speed-up", "direct",
                "network: oneDNN ms", "attrbench ms", "ratio");
    for (int k = 0; k < AB_SIDES; k++) {
        const struct ab_kernel_side *side = &s->side[k];
        if (!side->rows) continue;
        fprintf(f,
                markdown ? "| %s | %d | %.3f | %.3f | %.2f | %.2f | %.3f |\n"
                         : "  %-9s %4d %8.2fx %6.2fx %19.2f %13.2f %6.2fx\n",
                side_names[k], side->rows, side->geomean, side->direct_geomean,
                side->theirs_ns / 1e6, side->ours_ns / 1e6, side->theirs_ns / side->ours_ns);
    }
    if (markdown) fprintf(f, "\n");
}

static void print_lost(FILE *f, const struct ab_kernel_row *rows, int count, int batch,
                       const struct ab_kernel_summary *s)
{
    fprintf(f, "below %.2fx: %d of %d rows%s", AB_KERNEL_LOST, s->lost, s->side[AB_SIDE_BOTH].rows,
            s->lost ? ":" : "");
    int told = 0;
    for (int i = 0; i < count; i++) {
        const struct ab_kernel_row *r = &rows[i];
        if (r->batch != batch || !(r->ratio < AB_KERNEL_LOST)) continue;
        fprintf(f, "%s %s %s %.2fx", told++ ? "," : "", r->layer, side_names[r->pass], r->ratio);
    }
    fprintf(f, "\n");
}

/* "80 %, conv1 backward, conv2d_avx2" or "none". */
static void print_share(FILE *f, const struct ab_kernel_row *rows, int i, double peak)
{
    if (i < 0)
        fprintf(f, "none");
    else
        fprintf(f, "%.0f %%, %s %s, %s", 100 * share_of(&rows[i], peak), rows[i].layer,
                side_names[rows[i].pass], rows[i].kernel);
}

void ab_kernel_summary_print(FILE *f, bool markdown, const struct ab_kernel_row *rows, int count,
                             int batch, double peak)
{
    const char *bullet = markdown ? "- " : "  ";
    struct ab_kernel_summary s;
    ab_kernel_summarise(rows, count, batch, &s);
    print_sides(f, markdown, &s);
    if (s.worst >= 0) {
        const struct ab_kernel_row *r = &rows[s.worst];
        fprintf(f, "%s", bullet);
        print_lost(f, rows, count, batch, &s);
        fprintf(f, "%sworst row: %s %s, %s, %.2fx\n", bullet, r->layer, side_names[r->pass],
                r->kernel, r->ratio);
    }
    if (!(peak > 0)) return;
    fprintf(f, "%slowest share of peak of a direct kernel: ", bullet);
    print_share(f, rows, s.lowest, peak);
    fprintf(f, "; on layers above %.1f GFLOP: ", AB_KERNEL_MIN_FLOPS / 1e9);
    print_share(f, rows, s.lowest_large, peak);
    fprintf(f, "\n");
}

/* ---- Markdown ---- */

/* Blank where there is no number. */
static void cell(FILE *f, const char *format, double v)
{
    char text[32] = "";
    if (isfinite(v)) snprintf(text, sizeof text, format, v);
    fprintf(f, " %s |", text);
}

void ab_kernel_rows_print(FILE *f, const struct ab_kernel_row *rows, int count, int batch,
                          double peak)
{
    fprintf(f, "| layer | shape | times | pass | GFLOP | oneDNN ms | attrbench ms | ratio | "
               "ratio, direct | peak | rel L2 | kernel | oneDNN |\n"
               "|---|---|--:|---|--:|--:|--:|--:|--:|--:|--:|---|---|\n");
    for (int i = 0; i < count; i++) {
        const struct ab_kernel_row *r = &rows[i];
        if (r->batch != batch) continue;
        fprintf(f, "| %s | %s | %d | %s |", r->layer, r->shape, r->times,
                r->pass == AB_FWD ? "fwd" : "bwd");
        cell(f, "%.3f", r->flops / 1e9);
        cell(f, "%.3f", r->theirs_ns / 1e6);
        cell(f, "%.3f", r->ours_ns / 1e6);
        cell(f, r->ratio < AB_KERNEL_LOST ? "**%.2f**" : "%.2f", r->ratio);
        cell(f, "%.2f", r->direct_ratio);
        cell(f, "%.0f %%", peak > 0 ? 100 * share_of(r, peak) : (double)NAN);
        cell(f, "%.0e", r->rel_l2);
        fprintf(f, " %s | %s |\n", r->kernel, r->peer);
    }
}
