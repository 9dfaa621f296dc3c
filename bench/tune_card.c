// SPDX-License-Identifier: Apache-2.0
// The card: the answer of attrbench tune on a terminal. Here what is asked for, what is
// recommended, and what was measured there.
#include "tune_out.h"

#include "run.h"
#include "tune_search.h"

#include <math.h>
#include <string.h>

/* ---- texts ---- */

void ab_quantile_text(double quantile, char text[16])
{
    snprintf(text, 16, "p%.6g", 100 * quantile);
}

void ab_span_text(double seconds, char text[32])
{
    const int whole = (int)fmin(seconds + 0.5, 1e9);
    if (seconds < 99.95)
        snprintf(text, 32, "%.3g s", seconds);
    else if (whole % 60 == 0)
        snprintf(text, 32, "%d min", whole / 60);
    else
        snprintf(text, 32, "%d min %d s", whole / 60, whole % 60);
}

void ab_megabytes_text(double bytes, char text[32])
{
    if (!(bytes > 0))
        snprintf(text, 32, "?");
    else if (bytes < 9.95e6)
        snprintf(text, 32, "%.1f MB", bytes / 1e6);
    else
        snprintf(text, 32, "%.0f MB", bytes / 1e6);
}

void ab_number_text(double value, char text[32])
{
    if (!isfinite(value))
        snprintf(text, 32, "?");
    else
        snprintf(text, 32, "%.*f", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value);
}

void ab_require_text(const struct ab_require *require, char *text, size_t size)
{
    static const char *const best[] = {"lowest latency", "highest throughput", "least memory"};
    char slo[64] = "", quantile[16], agree[96] = "maps that agree with the reference", limit[32];
    ab_quantile_text(ab_require_quantile(require), quantile);
    if (require->slo.limit_ns > 0)
        snprintf(slo, sizeof slo, " with %s <= %s", quantile,
                 ab_time_text(require->slo.limit_ns, limit, sizeof limit));
    else if (require->objective == AB_OBJECTIVE_LATENCY)
        snprintf(slo, sizeof slo, " (%s)", quantile);
    if (require->min_agree > 0)
        snprintf(agree, sizeof agree, "maps within rel. L2 %.0e of the reference",
                 require->min_agree);
    snprintf(text, size, "%s%s; %s", best[require->objective], slo, agree);
}

static void line(FILE *f, const char *label, const char *text)
{
    fprintf(f, "  %-13s %s\n", label, text);
}

/* ---- what is recommended ---- */

static void cpus_text(const struct ab_deploy *d, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; d->cpus && i < d->instances * d->threads && used + 16 < size; i++) {
        const char *between = !i ? "" : i % d->threads ? "," : " | ";
        used += (size_t)snprintf(text + used, size - used, "%s%d", between, d->cpus[i]);
    }
    if (d->cpus && used + 16 >= size) snprintf(text + used, size - used, "...");
}

static void place_text(const struct ab_deploy *d, char *text, size_t size)
{
    char cpus[96];
    cpus_text(d, cpus, sizeof cpus);
    if (d->place == AB_PLACE_FREE)
        snprintf(text, size, "threads run where the system puts them");
    else
        snprintf(text, size, "%s: CPU %s",
                 d->place == AB_PLACE_SMT ? "threads of an instance side by side on a core"
                                          : "each thread on a core of its own",
                 cpus);
}

static void print_words(FILE *f, const struct ab_deploy *d)
{
    const bool native = !strncmp(d->backend, "native", 6);
    const char *isa = strchr(d->backend, ':');
    char place[192];
    place_text(d, place, sizeof place);
    if (native)
        fprintf(f, "  %-13s native kernels%s%s, %s, %s\n", "compute", isa ? " up to " : "",
                isa ? isa + 1 : "",
                d->algo == AB_ALGO_AUTO ? "for each convolution the fastest algorithm"
                                        : "plain sums alone (no Winograd)",
                d->memory == AB_MEMORY_FAST ? "packed copies of all weights"
                                            : "no second copy of large weights");
    else
        fprintf(f, "  %-13s %s\n", "compute",
                !strcmp(d->backend, "onednn") ? "oneDNN" : d->backend);
    fprintf(f, "  %-13s %d instance%s of %d thread%s, %s%d image%s an execution\n", "shape",
            d->instances, d->instances == 1 ? "" : "s", d->threads, d->threads == 1 ? "" : "s",
            d->batch > 1 ? "up to " : "", d->batch, d->batch == 1 ? "" : "s");
    line(f, "place", place);
    fprintf(f, "  %-13s %s pages; subnormal numbers %s; float32, the only precision there is\n",
            "memory", d->pages == AB_PAGES_HUGE ? "huge" : "small",
            d->denormals == AB_DENORMALS_KEEP ? "kept" : "flushed to zero");
}

/* What has several lines has its label before the first. */
static void print_commands(FILE *f, const struct ab_tune_result *r)
{
    struct ab_tune_command commands[AB_TUNE_COMMANDS];
    const int count = ab_tune_commands(r, commands);
    fprintf(f, "\nTo run it%s\n", r->out ? "" : " (--out deploy.json writes the configuration)");
    for (int i = 0; i < count; i++) {
        const char *label = commands[i].label, *at = commands[i].text;
        for (size_t length; *at; at += length + (at[length] == '\n'), label = "") {
            length = strcspn(at, "\n");
            fprintf(f, "  %-13s %.*s\n", label, (int)length, at);
        }
    }
}

/* ---- what was measured there ---- */

static void print_rate(FILE *f, const struct ab_evidence *e, double noise)
{
    const struct ab_worth rate = ab_evidence_rate(e, noise);
    char value[32], low[32], high[32];
    ab_number_text(rate.value, value);
    ab_number_text(rate.low, low);
    ab_number_text(rate.high, high);
    fprintf(f, "  %-13s %s (%s to %s)\n", "images/s", value, low, high);
}

/* One quantile, or how many requests it wants. */
static void print_quantile(FILE *f, const struct ab_evidence *e, double q, const char *label)
{
    const struct ab_percentile p = ab_evidence_latency(e, q);
    const int least = ab_evidence_needed(e, q);
    char name[16], value[32], low[32], high[32];
    ab_quantile_text(q, name);
    fprintf(f, "  %-13s %s: ", label, name);
    if (isnan(p.value) || e->requests < least) {
        fprintf(f, "%d requests are needed, %d were made\n", least, e->requests);
        return;
    }
    fputs(ab_time_text(p.value, value, sizeof value), f);
    if (isfinite(p.low) && isfinite(p.high))
        fprintf(f, " (%s to %s)", ab_time_text(p.low, low, sizeof low),
                ab_time_text(p.high, high, sizeof high));
    fputc('\n', f);
}

static void print_latency(FILE *f, const struct ab_evidence *e, const struct ab_require *require)
{
    const double usual[] = {0.5, 0.9, 0.99}, own = ab_require_quantile(require);
    bool told = false;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        print_quantile(f, e, usual[i], i ? "" : "latency");
        told = told || fabs(usual[i] - own) < 1e-9;
    }
    if (!told) print_quantile(f, e, own, "");
}

static void print_agreement(FILE *f, const struct ab_evidence *e)
{
    char errors[96] = "";
    if (isfinite(ab_evidence_error(e)))
        snprintf(errors, sizeof errors, ": rel. L2 %.1e, largest error %.1e", e->rel_l2,
                 e->max_err);
    fprintf(f, "  %-13s %s%s%s%s\n", "agreement", ab_verdict_name(e->verdict), errors,
            *e->why ? "; " : "", e->why);
}

static void print_slo(FILE *f, const struct ab_evidence *e, const struct ab_require *require)
{
    const struct ab_slo *slo = &require->slo;
    char name[16], limit[32];
    if (!(slo->limit_ns > 0)) return;
    const enum ab_slo_state state = ab_evidence_slo(e, require);
    ab_quantile_text(slo->quantile, name);
    fprintf(f, "  %-13s %s <= %s: %s%s\n", "requirement", name,
            ab_time_text(slo->limit_ns, limit, sizeof limit),
            state == AB_SLO_OPEN ? "not decided yet: more requests are needed"
                                 : ab_slo_state_name(state),
            e->overloaded ? "; requests arrived faster than they were served" : "");
}

static void print_measured(FILE *f, const struct ab_tune_result *r, int point)
{
    const struct ab_evidence *e = ab_search_evidence(r->search, point);
    char resident[32], peak[32], planned[32], start[32];
    const double cold = ab_evidence_start(e);
    fprintf(f,
            "\nMeasured there (%d request%s in %d visit%s; in parentheses what may be: of rates by "
            "the\nscatter of visits, of latencies with %.0f %% confidence)\n",
            e->requests, e->requests == 1 ? "" : "s", e->visits, e->visits == 1 ? "" : "s",
            100 * AB_TUNE_CONFIDENCE);
    print_rate(f, e, r->answer->noise);
    print_latency(f, e, r->require);
    print_slo(f, e, r->require);
    ab_megabytes_text(e->resident_bytes, resident);
    ab_megabytes_text(e->peak_bytes, peak);
    ab_megabytes_text(e->planned_bytes, planned);
    fprintf(f, "  %-13s %s resident, %s at its largest; weights and arenas of all plans: %s\n",
            "memory", resident, peak, planned);
    line(f, "cold start", isfinite(cold) ? ab_time_text(cold, start, sizeof start) : "?");
    print_agreement(f, e);
}

/* ---- the head ---- */

static void print_asked(FILE *f, const struct ab_tune_result *r)
{
    char asked[256], load[64], site[160];
    ab_require_text(r->require, asked, sizeof asked);
    ab_site_say(r->site, site, sizeof site);
    ab_load_shape_text(&r->load, load, sizeof load);
    fprintf(f, "%s, %s, load %s, on %s\nasked for: %s\n", r->model, r->method, load, site, asked);
}

/* Why the answer is one so far, or for the time being. */
static void print_so_far(FILE *f, const struct ab_tune_result *r)
{
    char spent[32], budget[32];
    ab_span_text(r->spent_s, spent);
    ab_span_text(r->budget_s, budget);
    if (r->interrupted)
        fprintf(f, "so far: interrupted after %s of %s\n", spent, budget);
    else if (!r->answer->complete)
        fprintf(f, "so far: the budget of %s ended before the search did\n", budget);
    if (ab_tune_provisional(r))
        fprintf(f, "provisional: the host took too much of the CPU time; repeat when it is "
                   "quieter\n");
}

/* The quantile that the limit is on, where it is not known to be held. */
static void print_late(FILE *f, const struct ab_evidence *e, const struct ab_require *require)
{
    const struct ab_slo *slo = &require->slo;
    const struct ab_percentile p = ab_evidence_latency(e, slo->quantile);
    const int least = ab_evidence_least(e, require);
    char name[16], value[32], limit[32];
    ab_quantile_text(slo->quantile, name);
    ab_time_text(slo->limit_ns, limit, sizeof limit);
    fprintf(f, "  %-13s %s is ", "latency", name);
    if (e->overloaded)
        fprintf(f, "without end: requests arrive faster than they are served\n");
    else if (e->requests >= least && !isnan(p.value))
        fprintf(f, "%s where %s are asked for: %.2f times as long%s\n",
                ab_time_text(p.value, value, sizeof value), limit, p.value / slo->limit_ns,
                p.value <= slo->limit_ns ? ", but too near to be sure" : "");
    else if (p.low > slo->limit_ns)
        fprintf(f, "at least %s where %s are asked for: %.2f times as long\n",
                ab_time_text(p.low, value, sizeof value), limit, p.low / slo->limit_ns);
    else
        fprintf(f, "not known: %d requests are needed, %d were made\n", least, e->requests);
}

/* By how much the closest point misses each requirement. */
static void print_misses(FILE *f, const struct ab_tune_result *r, const struct ab_evidence *e)
{
    const struct ab_slo *slo = &r->require->slo;
    if (slo->limit_ns > 0 && ab_evidence_slo(e, r->require) != AB_SLO_HELD)
        print_late(f, e, r->require);
    if (ab_evidence_accepted(e, r->require)) return;
    if (e->verdict == AB_DISAGREE)
        fprintf(f, "  %-13s its maps disagree with the reference: %s\n", "agreement", e->why);
    else if (isfinite(ab_evidence_error(e)))
        fprintf(f, "  %-13s rel. L2 is %.1e where %.0e is asked for\n", "agreement", e->rel_l2,
                r->require->min_agree);
    else
        fprintf(f, "  %-13s its maps could not be judged (%s): %s\n", "agreement",
                ab_verdict_name(e->verdict), e->why);
}

static void print_nothing(FILE *f, const struct ab_tune_result *r)
{
    static const char *const words[] = {[AB_EXIT_DISAGREE] = "Nothing that is fast enough agrees "
                                                             "with the reference",
                                        [AB_EXIT_INCONCLUSIVE] = "Nothing can be said for sure",
                                        [AB_EXIT_ERROR] = "Nothing could be served",
                                        [AB_EXIT_NOTHING] = "Nothing meets the requirements"};
    struct ab_tune_result whole = *r;
    whole.interrupted = false;
    fprintf(f, "\n%s\n", words[ab_tune_exit(&whole)]);
    if (r->answer->closest < 0) {
        for (int i = 0; i < r->space->n_points; i++) {
            const struct ab_evidence *e = ab_search_evidence(r->search, i);
            if (!*e->error) continue;
            fprintf(f, "  %s: %s\n", r->space->points[i].text, e->error);
            return;
        }
        fprintf(f, "  no visit was finished; raise --budget\n");
        return;
    }
    fprintf(f, "  %-13s %s\n", "closest", r->space->points[r->answer->closest].text);
    print_misses(f, r, ab_search_evidence(r->search, r->answer->closest));
    print_measured(f, r, r->answer->closest);
}

void ab_tune_card(FILE *f, const struct ab_tune_result *r)
{
    print_asked(f, r);
    print_so_far(f, r);
    if (r->answer->recommended >= 0) {
        const struct ab_point *p = &r->space->points[r->answer->recommended];
        fprintf(f, "\nRecommended: %s\n", p->text);
        print_words(f, &p->deploy);
        print_commands(f, r);
        print_measured(f, r, r->answer->recommended);
    } else {
        print_nothing(f, r);
    }
    ab_tune_card_rest(f, r);
}
