// SPDX-License-Identifier: Apache-2.0
// report.md: what attrbench tune found, for a commit or a mail.
#include "report.h"
#include "run.h"

#include <math.h>
#include <string.h>

enum { MAX_POINTS = 60 /* of a table; deployment.csv has all */ };

/* ---- numbers ---- */

static const json_t *range_of(const json_t *point, const char *name)
{
    const json_t *latency = json_object_get(point, "latency_ns");
    return json_object_get(*name == 'p' ? latency : point, name);
}

/* "31.2", or a time; "-" where it is not known. */
static void print_value(FILE *f, double v, bool time)
{
    char text[32];
    if (!isfinite(v))
        fputs("-", f);
    else if (time)
        fputs(ab_time_text(v, text, sizeof text), f);
    else
        fprintf(f, "%.4g", v);
}

/* "31.2 (30.8 to 31.6)". */
static void print_range(FILE *f, const json_t *range, bool time)
{
    const double low = ab_report_number(range, "low"), high = ab_report_number(range, "high");
    print_value(f, ab_report_number(range, "value"), time);
    if (!isfinite(low) && !isfinite(high)) return;
    fputs(" (", f);
    print_value(f, low, time);
    fputs(" to ", f);
    print_value(f, high, time);
    fputs(")", f);
}

static void print_bytes(FILE *f, double bytes)
{
    if (isfinite(bytes))
        fprintf(f, "%.0f MB", bytes / 1e6);
    else
        fputs("-", f);
}

static void print_text(FILE *f, const json_t *object, const char *key)
{
    ab_report_print_cell(f, ab_report_text(object, key));
}

/* ---- parts ---- */

static void print_asked(FILE *f, const json_t *tune)
{
    const double agree = ab_report_number(tune, "min_agree");
    fputs("\nAsked for: ", f);
    print_text(f, tune, "objective");
    if (*ab_report_text(tune, "slo")) fputs(", ", f);
    print_text(f, tune, "slo");
    if (agree > 0) fprintf(f, ", relative error of maps up to %.1e", agree);
    if (*ab_report_text(tune, "load")) fputs(", load ", f);
    print_text(f, tune, "load");
    const double visited = ab_report_number(tune, "visited"),
                 points = ab_report_number(tune, "points"),
                 spent = ab_report_number(tune, "spent_s");
    if (isfinite(visited) && isfinite(points))
        fprintf(f, ". %.0f of %.0f points were served", visited, points);
    if (isfinite(spent)) fprintf(f, " in %.0f s", spent);
    if (json_is_true(json_object_get(tune, "interrupted")))
        fputs("; interrupted: this is what was known so far", f);
    else if (json_is_false(json_object_get(tune, "complete")))
        fputs("; the budget ended before the search did", f);
    if (json_is_true(json_object_get(tune, "provisional")))
        fputs("; provisional: the host took too much of the CPU time", f);
    fputs(".\n", f);
    const double twins = ab_report_number(tune, "twins");
    if (twins > 0)
        fprintf(f,
                "%.0f more, with algo=direct, have the plans of auto: no layer is one for "
                "Winograd.\n",
                twins);
    const double least = ab_report_number(tune, "pace_least"),
                 most = ab_report_number(tune, "pace_most");
    if (most > 1.1 * least)
        fprintf(
            f,
            "The machine's pace went from %.0f to %.0f %% of that at the first visit; values are "
            "as at that pace.\n",
            100 * least, 100 * most);
    const double stolen = ab_report_number(tune, "stolen");
    const double dropped = fmax(0, ab_report_number(tune, "dropped"));
    if (stolen >= 0.02 || (stolen >= 0 && dropped > 0))
        fprintf(f,
                "The host of the virtual machine took %.0f %% of the CPU time that these visits "
                "asked for (%.0f more dropped for that).\n",
                100 * stolen, dropped);
}

static void print_recommended(FILE *f, const json_t *point)
{
    if (!point) {
        fputs("\nNothing meets the requirements.\n", f);
        return;
    }
    fputs("\nRecommended: **", f);
    print_text(f, point, "text");
    fputs("**: ", f);
    print_range(f, range_of(point, "images_per_s"), false);
    fputs(" images/s, median latency ", f);
    print_range(f, range_of(point, "p50"), true);
    fputs(", 99th percentile ", f);
    print_range(f, range_of(point, "p99"), true);
    fputs(", ", f);
    print_bytes(f, ab_report_number(point, "resident_bytes"));
    fputs(" resident", f);
    if (isfinite(ab_report_number(point, "rel_l2")))
        fprintf(f, ", relative error of maps %.1e", ab_report_number(point, "rel_l2"));
    fputs(".\n", f);
}

/* Why a point left the race, as the page says it too. */
static const char *dropped_words(const char *why)
{
    static const char *const words[][2] = {{"error", "not measured"},
                                           {"agreement", "maps disagree"},
                                           {"slo", "misses the latency limit"},
                                           {"dominated", "behind the best"},
                                           {"roof", "cannot be faster"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(why, words[i][0])) return words[i][1];
    return why;
}

static const char *note_of(const json_t *point, bool recommended)
{
    if (recommended) return "recommended";
    if (*ab_report_text(point, "error")) return "not measured";
    /* Behind in what was asked for, it may be the best in memory. */
    const bool front = json_is_true(json_object_get(point, "front"));
    const char *dropped = ab_report_text(point, "dropped");
    if (front && !strcmp(dropped, "dominated")) return "front";
    if (*dropped) return dropped_words(dropped);
    if (json_is_true(json_object_get(point, "alike"))) return "within noise of the best";
    return front ? "front" : "";
}

static void print_point(FILE *f, const json_t *point, bool recommended)
{
    fputs("| ", f);
    print_text(f, point, "text");
    fputs(" | ", f);
    print_range(f, range_of(point, "images_per_s"), false);
    fputs(" | ", f);
    print_range(f, range_of(point, "p50"), true);
    fputs(" | ", f);
    print_range(f, range_of(point, "p99"), true);
    fputs(" | ", f);
    print_bytes(f, ab_report_number(point, "resident_bytes"));
    const double error = ab_report_number(point, "rel_l2");
    if (isfinite(error))
        fprintf(f, " | %.1e | ", error);
    else
        fputs(" | - | ", f);
    print_text(f, point, "verdict");
    fputs(" | ", f);
    ab_report_print_cell(f, note_of(point, recommended));
    fputs(" |\n", f);
}

/* The recommended point, the front, and those as good as the best. */
static void print_points(FILE *f, const json_t *deployment)
{
    const json_t *points = json_object_get(deployment, "points");
    const json_t *chosen = ab_report_recommended(deployment);
    int shown = 0;
    for (size_t i = 0; i < json_array_size(points); i++) {
        const json_t *point = json_array_get(points, i);
        const bool worth = point == chosen || json_is_true(json_object_get(point, "front")) ||
                           json_is_true(json_object_get(point, "alike"));
        if (!worth || shown >= MAX_POINTS) continue;
        if (!shown++)
            fputs("\n| configuration | images/s | p50 | p99 | resident | rel L2 | verdict | note |"
                  "\n|---|--:|--:|--:|--:|--:|---|---|\n",
                  f);
        print_point(f, point, point == chosen);
    }
    fprintf(f, "\ndeployment.csv has all of them: %zu.\n", json_array_size(points));
}

static void print_knobs(FILE *f, const json_t *knobs)
{
    if (!json_array_size(knobs)) return;
    fputs("\n| knob | chosen | instead of | gain | from | to |\n|---|---|---|--:|--:|--:|\n", f);
    for (size_t i = 0; i < json_array_size(knobs); i++) {
        static const char *const texts[] = {"knob", "value", "other"};
        static const char *const numbers[] = {"gain", "low", "high"};
        const json_t *knob = json_array_get(knobs, i);
        fputs("|", f);
        for (int k = 0; k < 3; k++) {
            fputs(" ", f);
            print_text(f, knob, texts[k]);
            fputs(" |", f);
        }
        for (int k = 0; k < 3; k++) {
            const double v = ab_report_number(knob, numbers[k]);
            if (isfinite(v))
                fprintf(f, " %+.1f %% |", 100 * (v - 1));
            else
                fputs(" - |", f);
        }
        fputs("\n", f);
    }
}

static void print_limits(FILE *f, const json_t *limits)
{
    if (!*ab_report_text(limits, "verdict")) return;
    fputs("\nWhat limits it: ", f);
    print_text(f, limits, "verdict");
    fputs("\n", f);
}

static void print_rate(FILE *f, const json_t *rate)
{
    const double held = ab_report_number(rate, "held"), broken = ab_report_number(rate, "broken");
    if (!rate) return;
    if (json_is_true(json_object_get(rate, "idle_broken")))
        fputs("\nLargest rate: none: a client that is alone waits too long already", f);
    else if (held > 0)
        fprintf(f, "\nLargest rate: %.3g requests a second at random kept the limit", held);
    else
        fputs("\nLargest rate: none was shown to keep the limit", f);
    if (isfinite(broken)) fprintf(f, "; %.3g did not", broken);
    if (json_is_true(json_object_get(rate, "confirmed"))) fputs("; served again, it held again", f);
    if (*ab_report_text(rate, "note")) fputs("; ", f);
    print_text(f, rate, "note");
    fputs(".\n", f);
}

static void print_confirmation(FILE *f, const json_t *c)
{
    if (!c) return;
    const double seconds = ab_report_number(c, "seconds");
    fprintf(f, "\nConfirmation: %.3g requests a second", ab_report_number(c, "rate"));
    if (isfinite(seconds)) fprintf(f, " for %.0f s", seconds);
    fputs(": the limit ", f);
    fputs(!strcmp(ab_report_text(c, "state"), "held")     ? "held"
          : !strcmp(ab_report_text(c, "state"), "broken") ? "was broken"
                                                          : "is open: too few requests",
          f);
    fputs(", latency ", f);
    print_range(f, json_object_get(c, "latency_ns"), true);
    fputs(".\n", f);
}

static void print_forecasts(FILE *f, const json_t *forecasts)
{
    for (size_t i = 0; i < json_array_size(forecasts); i++) {
        const json_t *one = json_array_get(forecasts, i);
        const json_t *assumptions = json_object_get(one, "assumptions");
        fputs("\nForecast for ", f);
        print_text(f, one, "what");
        fputs(": ", f);
        if (*ab_report_text(one, "error")) {
            print_text(f, one, "error");
        } else {
            print_range(f, json_object_get(one, "latency_ns"), true);
            fputs(" an execution, ", f);
            print_range(f, json_object_get(one, "images_per_s"), false);
            fputs(" images/s; not measured", f);
        }
        fputs("\n", f);
        for (size_t k = 0; k < json_array_size(assumptions); k++) {
            fputs("- ", f);
            ab_report_print_cell(f, json_string_value(json_array_get(assumptions, k)));
            fputs("\n", f);
        }
    }
}

void ab_report_print_deployments(FILE *f, const struct ab_report *report)
{
    for (size_t i = 0; i < json_array_size(report->deployments); i++) {
        const json_t *d = json_array_get(report->deployments, i);
        fputs("\n## Deployment of ", f);
        print_text(f, d, "model");
        fputs(", ", f);
        print_text(f, d, "method");
        fputs("\n", f);
        if (*ab_report_text(json_object_get(d, "machine"), "cpu")) fputs("\nOn ", f);
        print_text(f, json_object_get(d, "machine"), "cpu");
        fputs("\n", f);
        print_asked(f, json_object_get(d, "tune"));
        print_recommended(f, ab_report_recommended(d));
        print_points(f, d);
        print_knobs(f, json_object_get(d, "knobs"));
        print_limits(f, json_object_get(d, "limits"));
        print_rate(f, json_object_get(d, "max_rate"));
        print_confirmation(f, json_object_get(d, "confirm"));
        print_forecasts(f, json_object_get(d, "forecast"));
    }
}
