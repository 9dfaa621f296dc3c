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

void ab_kernel_summarise(const struct ab_kernel_row *rows, int count, int batch, double peak,
                         struct ab_kernel_summary *s)
{
    *s = (struct ab_kernel_summary){.worst = -1, .lowest = -1, .lowest_peak = (double)NAN};
    for (int i = 0; i < count; i++) {
        const struct ab_kernel_row *r = &rows[i];
        if (r->batch != batch) continue;
        bool direct = r->amplification <= 0 && r->flops > AB_KERNEL_MIN_FLOPS && peak > 0;
        if (direct && !(share_of(r, peak) >= s->lowest_peak)) {
            s->lowest = i;
            s->lowest_peak = share_of(r, peak);
        }
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

static json_t *row_json(const struct ab_kernel_row *r)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "shape", r->shape, "pass", side_names[r->pass],
                     "kernel", r->kernel, "ratio", number(r->ratio));
}

json_t *ab_kernel_summary_json(const struct ab_kernel_row *rows, int count, int batch, double peak)
{
    struct ab_kernel_summary s;
    ab_kernel_summarise(rows, count, batch, peak, &s);
    json_t *o = json_object(), *lost = json_array();
    json_object_set_new(o, "batch", json_integer(batch));
    json_object_set_new(o, "peak_gflops", number(peak));
    for (int k = 0; k < AB_SIDES; k++) json_object_set_new(o, side_names[k], side_json(&s.side[k]));
    for (int i = 0; i < count; i++)
        if (rows[i].batch == batch && rows[i].ratio < AB_KERNEL_LOST)
            json_array_append_new(lost, row_json(&rows[i]));
    json_object_set_new(o, "below", json_real(AB_KERNEL_LOST));
    json_object_set_new(o, "rows_below", lost);
    json_object_set_new(o, "worst_row", s.worst < 0 ? json_null() : row_json(&rows[s.worst]));
    json_object_set_new(o, "lowest_direct_row",
                        s.lowest < 0 ? json_null() : row_json(&rows[s.lowest]));
    json_object_set_new(o, "lowest_direct_peak_share", number(s.lowest_peak));
    return o;
}

/* ---- text ---- */

static void print_side(FILE *f, const char *bullet, const char *name,
                       const struct ab_kernel_side *s)
{
    if (!s->rows) return;
    fprintf(f,
            "%s%-9s geometric mean of the speed-up %.2fx (%.2fx without oneDNN's Winograd), %d "
            "rows; over the network %.2f ms, oneDNN %.2f ms: %.2fx\n",
            bullet, name, s->geomean, s->direct_geomean, s->rows, s->ours_ns / 1e6,
            s->theirs_ns / 1e6, s->theirs_ns / s->ours_ns);
}

static void print_lost(FILE *f, const char *bullet, const struct ab_kernel_row *rows, int count,
                       int batch, const struct ab_kernel_summary *s)
{
    fprintf(f, "%sbelow %.2fx: %d of %d%s", bullet, AB_KERNEL_LOST, s->lost,
            s->side[AB_SIDE_BOTH].rows, s->lost ? ":" : "");
    int told = 0;
    for (int i = 0; i < count; i++) {
        const struct ab_kernel_row *r = &rows[i];
        if (r->batch != batch || !(r->ratio < AB_KERNEL_LOST)) continue;
        fprintf(f, "%s %s %s %.2fx", told++ ? "," : "", r->shape, side_names[r->pass], r->ratio);
    }
    fprintf(f, "\n");
}

void ab_kernel_summary_print(FILE *f, const char *bullet, const struct ab_kernel_row *rows,
                             int count, int batch, double peak)
{
    struct ab_kernel_summary s;
    ab_kernel_summarise(rows, count, batch, peak, &s);
    for (int k = 0; k < AB_SIDES; k++) print_side(f, bullet, side_names[k], &s.side[k]);
    if (s.worst >= 0) {
        const struct ab_kernel_row *r = &rows[s.worst];
        print_lost(f, bullet, rows, count, batch, &s);
        fprintf(f, "%sworst row: %s %s, %s, %.2fx\n", bullet, r->shape, side_names[r->pass],
                r->kernel, r->ratio);
    }
    if (s.lowest >= 0) {
        const struct ab_kernel_row *r = &rows[s.lowest];
        fprintf(f,
                "%slowest share of peak of a direct kernel above %.1f GFLOP: %.0f %%, %s %s, %s\n",
                bullet, AB_KERNEL_MIN_FLOPS / 1e9, 100 * s.lowest_peak, r->shape,
                side_names[r->pass], r->kernel);
    }
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
    fprintf(f, "| layer | pass | GFLOP | oneDNN ms | oneDNN | attrbench ms | kernel | ratio | "
               "ratio, direct | peak | rel L2 |\n"
               "|---|---|--:|--:|---|--:|---|--:|--:|--:|--:|\n");
    for (int i = 0; i < count; i++) {
        const struct ab_kernel_row *r = &rows[i];
        if (r->batch != batch) continue;
        fprintf(f, "| %s | %s |", r->shape, r->pass == AB_FWD ? "fwd" : "bwd");
        cell(f, "%.3f", r->flops / 1e9);
        cell(f, "%.3f", r->theirs_ns / 1e6);
        fprintf(f, " %s |", r->peer);
        cell(f, "%.3f", r->ours_ns / 1e6);
        fprintf(f, " %s |", r->kernel);
        cell(f, r->ratio < AB_KERNEL_LOST ? "**%.2f**" : "%.2f", r->ratio);
        cell(f, "%.2f", r->direct_ratio);
        cell(f, "%.0f %%", peak > 0 ? 100 * share_of(r, peak) : (double)NAN);
        cell(f, "%.0e", r->rel_l2);
        fprintf(f, "\n");
    }
}
