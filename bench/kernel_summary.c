// SPDX-License-Identifier: Apache-2.0
// The arithmetic of the summary, and the summary as text, Markdown and JSON.
#include "kernel_summary.h"

#include "json_number.h"

#include <math.h>
#include <string.h>

static const char *const side_names[AB_SIDES] = {"forward", "backward", "both"};
static const char *const duel_names[AB_DUELS] = {"picked", "default", "direct"};

static double share_of(const struct ab_kernel_row *r, int duel, double peak)
{
    return peak > 0 ? r->flops / r->duel[duel].ours_ns / peak : (double)NAN;
}

static bool is_lost(const struct ab_kernel_row *r, int duel)
{
    return r->duel[duel].ratio < AB_KERNEL_LOST;
}

/* ---- arithmetic ---- */

static void add_duel(struct ab_kernel_side *s, const struct ab_kernel_row *r, int duel)
{
    const struct ab_kernel_duel *d = &r->duel[duel];
    s->rows++;
    s->geomean += log(d->ratio);
    s->ours_ns += r->times * d->ours_ns;
    s->theirs_ns += r->times * d->theirs_ns;
}

static void add_row(struct ab_kernel_summary *s, const struct ab_kernel_row *rows, int i)
{
    const struct ab_kernel_row *r = &rows[i];
    for (int d = 0; d < AB_DUELS; d++) {
        if (!isfinite(r->duel[d].ratio)) continue;
        add_duel(&s->side[d][r->pass == AB_FWD ? AB_SIDE_FWD : AB_SIDE_BWD], r, d);
        add_duel(&s->side[d][AB_SIDE_BOTH], r, d);
        s->lost[d] += is_lost(r, d);
        if (s->worst[d] < 0 || r->duel[d].ratio < rows[s->worst[d]].duel[d].ratio) s->worst[d] = i;
    }
}

/* Whether the direct kernel of row i is lower than that of row `than`, or the first. */
static bool lower(const struct ab_kernel_row *rows, int i, int than)
{
    double share = share_of(&rows[i], AB_DUEL_DIRECT, 1);
    return isfinite(share) && (than < 0 || share < share_of(&rows[than], AB_DUEL_DIRECT, 1));
}

void ab_kernel_summarise(const struct ab_kernel_row *rows, int count, int batch,
                         struct ab_kernel_summary *s)
{
    *s = (struct ab_kernel_summary){.worst = {-1, -1}, .lowest = -1, .lowest_large = -1};
    for (int i = 0; i < count; i++) {
        if (rows[i].batch != batch) continue;
        bool large = rows[i].flops > AB_KERNEL_MIN_FLOPS;
        if (lower(rows, i, s->lowest)) s->lowest = i;
        if (large && lower(rows, i, s->lowest_large)) s->lowest_large = i;
        add_row(s, rows, i);
    }
    for (int d = 0; d < AB_DUELS; d++)
        for (int k = 0; k < AB_SIDES; k++) {
            struct ab_kernel_side *side = &s->side[d][k];
            side->geomean = side->rows ? exp(side->geomean / side->rows) : (double)NAN;
        }
}

/* ---- JSON ---- */

static json_t *side_json(const struct ab_kernel_side *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "rows", json_integer(s->rows));
    json_object_set_new(o, "ratio_geomean", ab_json_number(s->geomean));
    json_object_set_new(o, "network_ns", json_real(s->ours_ns));
    json_object_set_new(o, "network_onednn_ns", json_real(s->theirs_ns));
    json_object_set_new(o, "network_ratio", ab_json_number(s->theirs_ns / s->ours_ns));
    return o;
}

/* null for row -1. */
static json_t *row_json(const struct ab_kernel_row *rows, int i, int duel, double peak)
{
    if (i < 0) return json_null();
    const struct ab_kernel_row *r = &rows[i];
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "layer", r->layer, "shape", r->shape, "pass",
                          side_names[r->pass], "kernel", r->duel[duel].kernel);
    json_object_set_new(o, "ratio", ab_json_number(r->duel[duel].ratio));
    json_object_set_new(o, "peak_share_best", ab_json_number(share_of(r, duel, peak)));
    return o;
}

static json_t *duel_json(const struct ab_kernel_row *rows, int count, int batch, int duel,
                         double peak, const struct ab_kernel_summary *s)
{
    json_t *o = json_object(), *lost = json_array();
    for (int k = 0; k < AB_SIDES; k++)
        json_object_set_new(o, side_names[k], side_json(&s->side[duel][k]));
    for (int i = 0; i < count; i++)
        if (rows[i].batch == batch && is_lost(&rows[i], duel))
            json_array_append_new(lost, row_json(rows, i, duel, peak));
    json_object_set_new(o, "rows_below", lost);
    json_object_set_new(o, "worst_row", row_json(rows, s->worst[duel], duel, peak));
    return o;
}

json_t *ab_kernel_summary_json(const struct ab_kernel_row *rows, int count, int batch, double peak)
{
    struct ab_kernel_summary s;
    ab_kernel_summarise(rows, count, batch, &s);
    json_t *o = json_object();
    json_object_set_new(o, "batch", json_integer(batch));
    json_object_set_new(o, "peak_gflops", ab_json_number(peak));
    json_object_set_new(o, "below", json_real(AB_KERNEL_LOST));
    for (int d = 0; d < AB_DUELS; d++)
        json_object_set_new(o, duel_names[d], duel_json(rows, count, batch, d, peak, &s));
    json_object_set_new(o, "lowest_direct_row", row_json(rows, s.lowest, AB_DUEL_DIRECT, peak));
    json_object_set_new(o, "large_flops", json_real(AB_KERNEL_MIN_FLOPS));
    json_object_set_new(o, "lowest_large_direct_row",
                        row_json(rows, s.lowest_large, AB_DUEL_DIRECT, peak));
    return o;
}

/* ---- text ---- */

static void print_sides(FILE *f, bool markdown, const struct ab_kernel_summary *s)
{
    if (markdown)
        fprintf(f, "| kernels | pass | rows | ratio, geometric mean | network: oneDNN ms | "
                   "attrbench ms | ratio |\n|---|---|--:|--:|--:|--:|--:|\n");
    else
        fprintf(f, "  %-7s %-8s %4s %9s %19s %13s %7s\n", "", "", "rows", "speed-up",
                "network: oneDNN ms", "attrbench ms", "ratio");
    for (int i = 0; i < AB_DUELS * AB_SIDES; i++) {
        const struct ab_kernel_side *side = &s->side[i / AB_SIDES][i % AB_SIDES];
        if (!side->rows) continue;
        fprintf(f,
                markdown ? "| %s | %s | %d | %.3f | %.2f | %.2f | %.3f |\n"
                         : "  %-7s %-8s %4d %8.2fx %19.2f %13.2f %6.2fx\n",
                duel_names[i / AB_SIDES], side_names[i % AB_SIDES], side->rows, side->geomean,
                side->theirs_ns / 1e6, side->ours_ns / 1e6, side->theirs_ns / side->ours_ns);
    }
    if (markdown) fprintf(f, "\n");
}

/* The rows below the limit, and the worst. */
static void print_lost(FILE *f, const struct ab_kernel_row *rows, int count, int batch, int duel,
                       const struct ab_kernel_summary *s)
{
    fprintf(f, "%s below %.2fx: %d of %d rows", duel_names[duel], AB_KERNEL_LOST, s->lost[duel],
            s->side[duel][AB_SIDE_BOTH].rows);
    int told = 0;
    for (int i = 0; i < count; i++) {
        const struct ab_kernel_row *r = &rows[i];
        if (r->batch != batch || !is_lost(r, duel)) continue;
        fprintf(f, "%s %s %s %.3fx", told++ ? "," : ":", r->layer, side_names[r->pass],
                r->duel[duel].ratio);
    }
    const struct ab_kernel_row *worst = &rows[s->worst[duel]];
    fprintf(f, "; worst: %s %s, %s, %.3fx\n", worst->layer, side_names[worst->pass],
            worst->duel[duel].kernel, worst->duel[duel].ratio);
}

/* "80 %, conv1 backward, conv2d_avx2" or "none". */
static void print_share(FILE *f, const struct ab_kernel_row *rows, int i, double peak)
{
    if (i < 0)
        fprintf(f, "none");
    else
        fprintf(f, "%.0f %%, %s %s, %s", 100 * share_of(&rows[i], AB_DUEL_DIRECT, peak),
                rows[i].layer, side_names[rows[i].pass], rows[i].duel[AB_DUEL_DIRECT].kernel);
}

void ab_kernel_summary_print(FILE *f, bool markdown, const struct ab_kernel_row *rows, int count,
                             int batch, double peak)
{
    const char *bullet = markdown ? "- " : "  ";
    struct ab_kernel_summary s;
    ab_kernel_summarise(rows, count, batch, &s);
    if (s.side[AB_DUEL_PICK][AB_SIDE_BOTH].rows)
        print_sides(f, markdown, &s);
    else
        fprintf(f, "%soneDNN was not timed\n", bullet);
    for (int d = 0; d < AB_DUELS; d++) {
        if (s.worst[d] < 0) continue;
        fprintf(f, "%s", bullet);
        print_lost(f, rows, count, batch, d, &s);
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

/* Blank where it is the same as the pick's. */
static void print_duel(FILE *f, const struct ab_kernel_row *r, int duel, double peak)
{
    const struct ab_kernel_duel *d = &r->duel[duel], *pick = &r->duel[AB_DUEL_PICK];
    bool again =
        duel != AB_DUEL_PICK && !strcmp(d->kernel, pick->kernel) && !strcmp(d->peer, pick->peer);
    double none = (double)NAN;
    cell(f, "%.3f", again ? none : d->theirs_ns / 1e6);
    cell(f, "%.3f", again ? none : d->ours_ns / 1e6);
    cell(f, is_lost(r, duel) ? "**%.3f**" : "%.2f", again ? none : d->ratio);
    cell(f, "%.0f %%", again ? none : 100 * share_of(r, duel, peak));
}

void ab_kernel_rows_print(FILE *f, const struct ab_kernel_row *rows, int count, int batch,
                          double peak)
{
    fprintf(f, "| layer | shape | times | pass | GFLOP | oneDNN ms | attrbench ms | ratio | peak | "
               "kernel | rel L2 | oneDNN | direct: oneDNN ms | attrbench ms | ratio | peak |\n"
               "|---|---|--:|---|--:|--:|--:|--:|--:|---|--:|---|--:|--:|--:|--:|\n");
    for (int i = 0; i < count; i++) {
        const struct ab_kernel_row *r = &rows[i];
        if (r->batch != batch) continue;
        fprintf(f, "| %s | %s | %d | %s |", r->layer, r->shape, r->times,
                r->pass == AB_FWD ? "fwd" : "bwd");
        cell(f, "%.3f", r->flops / 1e9);
        print_duel(f, r, AB_DUEL_PICK, peak);
        fprintf(f, " %s |", r->duel[AB_DUEL_PICK].kernel);
        cell(f, "%.0e", r->rel_l2);
        fprintf(f, " %s |", r->duel[AB_DUEL_PICK].peer);
        print_duel(f, r, AB_DUEL_DIRECT, peak);
        fprintf(f, "\n");
    }
}
