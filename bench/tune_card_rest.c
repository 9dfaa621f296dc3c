// SPDX-License-Identifier: Apache-2.0
// The card's lower half: trade-offs, what each knob bought, what limits, what is uncertain, and how
// the budget was used.
#include "tune_out.h"

#include "run.h"
#include "tune_search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows of the table; the JSON has all points. */
enum { ROWS = 12 };

/* ---- trade-offs ---- */

struct row {
    int point;
    double value; /* of the objective */
};

static int better(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? 1 : -1;
    return x->point - y->point;
}

static char mark_of(const struct ab_tune_result *r, int point)
{
    const struct ab_evidence *e = ab_search_evidence(r->search, point);
    if (point == r->answer->recommended) return '*';
    if (r->answer->alike[point]) return '=';
    return ab_evidence_fits(e, r->require) == AB_FIT_MEETS ? ' ' : '!';
}

static void print_row(FILE *f, const struct ab_tune_result *r, int point)
{
    const struct ab_evidence *e = ab_search_evidence(r->search, point);
    const double quantile = ab_require_quantile(r->require);
    const struct ab_percentile p = ab_evidence_latency(e, quantile);
    char rate[32], latency[32] = "?", memory[32], error[32] = "?";
    ab_number_text(ab_evidence_rate(e, r->answer->noise).value, rate);
    if (isfinite(p.value) && e->requests >= ab_evidence_needed(e, quantile))
        ab_time_text(p.value, latency, sizeof latency);
    ab_megabytes_text(e->resident_bytes, memory);
    if (isfinite(ab_evidence_error(e))) snprintf(error, sizeof error, "%.1e", e->rel_l2);
    fprintf(f, "  %c %9s %9s %9s %8s %7d  %s\n", mark_of(r, point), rate, latency, memory, error,
            e->visits, r->space->points[point].text);
}

static void print_table(FILE *f, const struct ab_tune_result *r)
{
    const struct ab_answer *a = r->answer;
    struct row *rows = malloc((size_t)r->space->n_points * sizeof *rows);
    int count = 0;
    for (int i = 0; rows && i < r->space->n_points; i++) {
        if (!a->front[i] && !a->alike[i]) continue;
        rows[count++] = (struct row){i, ab_search_worth(r->search, i).value};
    }
    if (count) {
        char name[16];
        qsort(rows, (size_t)count, sizeof *rows, better);
        ab_quantile_text(ab_require_quantile(r->require), name);
        fprintf(f, "\nTrade-offs: no other is better in latency, images/s, memory or agreement and "
                   "as good in the rest\n");
        fprintf(f, "    %9s %9s %9s %8s %7s  %s\n", "images/s", name, "memory", "rel. L2", "visits",
                "configuration");
        bool own = a->recommended < 0, misses = false;
        for (int i = 0; i < count && i < ROWS; i++) {
            own = own || rows[i].point == a->recommended;
            misses = misses || mark_of(r, rows[i].point) == '!';
            print_row(f, r, rows[i].point);
        }
        if (!own) print_row(f, r, a->recommended);
        if (count > ROWS) fprintf(f, "    (%d more in the JSON)\n", count - ROWS);
        if (a->recommended >= 0) fprintf(f, "  * recommended; = within noise of the best\n");
        if (misses) fprintf(f, "  ! does not meet the requirements, or is not known to\n");
    }
    free(rows);
}

/* ---- knobs ---- */

static void print_gain(FILE *f, const struct ab_tune_result *r, const struct ab_knob_gain *g)
{
    const struct ab_space *space = r->space;
    const struct ab_point *own = &space->points[r->answer->recommended];
    const int other = ab_space_neighbour(space, r->answer->recommended, g->knob, g->other);
    const struct ab_knob_values *values = &space->knobs[g->knob];
    char besides[96] = "";
    size_t used = 0;
    for (int k = 0; other >= 0 && k < AB_KNOBS && used < sizeof besides; k++) {
        const int level = space->points[other].level[k];
        if (k == (int)g->knob || level == own->level[k]) continue;
        used += (size_t)snprintf(besides + used, sizeof besides - used, "%s%s %s",
                                 used ? ", " : " with ", ab_knob_name((enum ab_knob)k),
                                 space->knobs[k].text[level]);
    }
    const bool none = g->low <= 1 && g->high >= 1;
    fprintf(f, "  %-13s %s rather than %s%s: %.2fx (%.2f to %.2f)%s", ab_knob_name(g->knob),
            values->text[own->level[g->knob]], values->text[g->other], besides, g->gain, g->low,
            g->high, none ? ", no difference that could be seen" : "");
    const struct ab_evidence *e = other >= 0 ? ab_search_evidence(r->search, other) : NULL;
    if (e && !ab_evidence_accepted(e, r->require))
        fprintf(f, "; the maps of the other fail the agreement");
    else if (e && ab_evidence_fits(e, r->require) == AB_FIT_FAILS)
        fprintf(f, "; the other breaks the limit");
    fputc('\n', f);
}

static void print_gains(FILE *f, const struct ab_tune_result *r)
{
    static const char *const what[] = {"how many times as fast", "how many times the throughput",
                                       "how many times less memory"};
    const struct ab_answer *a = r->answer;
    if (a->recommended < 0) return;
    fprintf(f, "\nWhat each knob bought (%s, against the best other value of that knob alone)\n",
            what[r->require->objective]);
    for (int i = 0; i < a->n_gains; i++) print_gain(f, r, &a->gains[i]);
    const char *between = "  not measured  ";
    for (int k = 0; k < AB_KNOBS; k++) {
        bool told = r->space->knobs[k].count < 2;
        for (int i = 0; i < a->n_gains; i++) told = told || (int)a->gains[i].knob == k;
        if (told) continue;
        fprintf(f, "%s%s", between, ab_knob_name((enum ab_knob)k));
        between = ", ";
    }
    if (*between == ',') fputc('\n', f);
}

/* ---- limits ---- */

static void print_limits(FILE *f, const struct ab_tune_result *r)
{
    const struct ab_tune_limits *l = r->limits;
    if (!l) return;
    fprintf(f, "\nWhat limits it now: %s\n", l->verdict);
    fprintf(f,
            "  %-13s %.0f %% near the FMA peak, %.0f %% near the bandwidth, %.0f %% near neither",
            "time", 100 * l->share[AB_BOUND_COMPUTE], 100 * l->share[AB_BOUND_MEMORY],
            100 * l->share[AB_BOUND_NEITHER]);
    if (l->peak > 0)
        fprintf(f, "; %.0f GFLOP/s of %.0f%s", l->gflops, l->peak,
                l->winograd ? ", Winograd's counted as plain sums" : "");
    fputc('\n', f);
    for (int i = 0; i < l->n_slowest; i++) {
        const struct ab_tune_layer *s = &l->slowest[i];
        fprintf(f, "  %-13s %s: %.0f %% of the time, ", i ? "" : "slowest",
                *s->name ? s->name : "steps of no layer", 100 * s->share);
        if (s->gflops > 0) fprintf(f, "%.0f GFLOP/s, ", s->gflops);
        fprintf(f, "%.0f %% of its roof\n", 100 * s->roof);
    }
    if (l->alone)
        fprintf(f,
                "  %-13s one instance was profiled by itself; those beside it take their share of "
                "bandwidth and caches\n",
                "");
}

/* ---- what is uncertain ---- */

struct tally {
    int visited, visits, never, open, failed;
    int dropped[AB_DROP_ROOF + 1];
};

static struct tally count(const struct ab_tune_result *r)
{
    struct tally t = {0};
    for (int i = 0; i < r->space->n_points; i++) {
        const struct ab_evidence *e = ab_search_evidence(r->search, i);
        t.visited += e->visits > 0;
        t.visits += e->visits;
        t.failed += *e->error != '\0';
        t.never += e->visits == 0 && !*e->error && e->dropped == AB_DROP_NONE;
        t.dropped[e->dropped]++;
        t.open += ab_evidence_served(e) && ab_evidence_fits(e, r->require) == AB_FIT_OPEN;
    }
    return t;
}

static void doubt_recommended(FILE *f, const struct ab_tune_result *r)
{
    const struct ab_answer *a = r->answer;
    const struct ab_evidence *e = ab_search_evidence(r->search, a->recommended);
    int alike = 0;
    for (int i = 0; i < r->space->n_points; i++) alike += a->alike[i] && i != a->recommended;
    if (alike) {
        fprintf(f, "  - %d other%s within noise of the best; the simplest", alike,
                alike == 1 ? " is" : "s are");
        if (ab_search_paced(r->search))
            fprintf(f, " that is expected within %.0f %% of it",
                    100 * ab_search_given_away(r->search, 0));
        fprintf(f, " was taken\n");
    }
    if (a->best != a->recommended)
        fprintf(f, "  - the best value was that of %s\n", r->space->points[a->best].text);
    if (e->visits < 2) fprintf(f, "  - it was visited once: how much it varies is not known\n");
    if (e->verdict == AB_MISTRUSTED || e->verdict == AB_SKIPPED)
        fprintf(f, "  - its maps were not judged: %s\n",
                *e->why ? e->why : ab_verdict_name(e->verdict));
    if (e->overloaded)
        fprintf(f, "  - requests arrived faster than they were served: latencies grow with time\n");
    if (isnan(ab_evidence_latency(e, 0.99).value) || e->requests < ab_evidence_needed(e, 0.99))
        fprintf(f, "  - its p99 is not known: too few requests\n");
}

static void print_doubts(FILE *f, const struct ab_tune_result *r, const struct tally *t)
{
    fprintf(f,
            "\nWhat is uncertain\n  - one visit of each shows no difference below %.1f %%, several "
            "show smaller ones\n",
            100 * r->answer->noise);
    double least, most;
    ab_search_pace(r->search, &least, &most);
    if (most > 1.1 * least)
        fprintf(
            f,
            "  - the machine's pace went from %.0f to %.0f %% of that at the first visit; values "
            "are as at that pace\n",
            100 * least, 100 * most);
    const double stolen = ab_search_stolen(r->search);
    if (stolen >= 0.02 || r->dropped)
        fprintf(f,
                "  - the host of this virtual machine took %.0f %% of the CPU time that these "
                "visits asked for (%d more dropped for that): repeat when it is quieter\n",
                100 * stolen, r->dropped);
    if (r->answer->recommended >= 0) doubt_recommended(f, r);
    if (t->open && r->require->slo.limit_ns > 0)
        fprintf(f, "  - of %d the requests were too few to say whether they meet the limit\n",
                t->open);
    if (t->failed)
        fprintf(f, "  - %d configuration%s could not be served; the JSON says why\n", t->failed,
                t->failed == 1 ? "" : "s");
    if (t->never)
        fprintf(f,
                "  - %d configuration%s never visited: what is known of them is what their knobs "
                "did elsewhere\n",
                t->never, t->never == 1 ? " was" : "s were");
}

static void print_budget(FILE *f, const struct ab_tune_result *r, const struct tally *t)
{
    char spent[32], budget[32];
    ab_span_text(r->spent_s, spent);
    ab_span_text(r->budget_s, budget);
    fprintf(f, "\nBudget\n  %s of %s: %d visits to %d of %d configurations", spent, budget,
            t->visits, t->visited, r->space->n_points);
    const char *between = "; left out: ";
    for (int d = AB_DROP_NONE + 1; d <= AB_DROP_ROOF; d++) {
        if (!t->dropped[d]) continue;
        fprintf(f, "%s%d %s", between, t->dropped[d], ab_drop_name((enum ab_drop)d));
        between = ", ";
    }
    fputc('\n', f);
    if (r->space->twins)
        fprintf(f,
                "  %d more, with algo=direct, have the plans of auto: no layer is one for "
                "Winograd\n",
                r->space->twins);
}

void ab_tune_card_rest(FILE *f, const struct ab_tune_result *r)
{
    const struct tally t = count(r);
    print_table(f, r);
    print_gains(f, r);
    print_limits(f, r);
    ab_tune_card_asked(f, r);
    print_doubts(f, r, &t);
    print_budget(f, r, &t);
}
