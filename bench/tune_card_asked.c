// SPDX-License-Identifier: Apache-2.0
// The part of the card about what was asked for besides: the largest rate and whether it was
// confirmed, and forecasts. All of it is in the objects that the file gets.
#include "tune_out.h"

#include "percentile.h"
#include "report.h"
#include "run.h"

#include <math.h>
#include <string.h>

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static void print_note(FILE *f, const json_t *rate)
{
    const char *note = ab_report_text(rate, "note");
    if (*note) fprintf(f, "  %-13s %s\n", "", note);
}

static void print_max_rate(FILE *f, const json_t *rate)
{
    const double held = ab_report_number(rate, "held"), broken = ab_report_number(rate, "broken");
    char text[32], above[32], spent[32];
    if (!rate) return;
    fprintf(f, "\nLargest rate of random requests\n");
    ab_number_text(held, text);
    ab_number_text(broken, above);
    if (is_true(rate, "idle_broken"))
        fprintf(f, "  %-13s none: a client that is alone waits too long already\n", "held");
    else if (held > 0)
        fprintf(f, "  %-13s %s a second%s\n", "held", text,
                is_true(rate, "confirmed") ? ", and again with other arrivals" : "");
    else
        fprintf(f, "  %-13s none was shown to\n", "held");
    if (isfinite(broken)) fprintf(f, "  %-13s %s a second\n", "did not", above);
    print_note(f, rate);
    ab_span_text(ab_report_number(rate, "spent_s"), spent);
    fprintf(f, "  %-13s %d in %s\n", "probes",
            (int)json_array_size(json_object_get(rate, "probes")), spent);
}

/* "p99: 41 ms (38 ms to 45 ms)" of { value, low, high }; a side that is not known is a "?". */
static void print_range(FILE *f, const json_t *range)
{
    static const char *const ends[] = {"value", "low", "high"};
    char text[3][32];
    for (int i = 0; i < 3; i++) {
        const double ns = ab_report_number(range, ends[i]);
        if (isfinite(ns))
            ab_time_text(ns, text[i], sizeof text[i]);
        else
            strcpy(text[i], "?");
    }
    fprintf(f, "%s (%s to %s)", text[0], text[1], text[2]);
}

static void print_confirmation(FILE *f, const json_t *c, const struct ab_slo *slo)
{
    const char *state = ab_report_text(c, "state");
    char rate[32], name[16], limit[32], seconds[32];
    if (!c) return;
    ab_number_text(ab_report_number(c, "rate"), rate);
    ab_span_text(ab_report_number(c, "seconds"), seconds);
    ab_quantile_text(slo->quantile, name);
    fprintf(f, "  %-13s %s a second for %s: %s ", "confirmation", rate, seconds, name);
    print_range(f, json_object_get(c, "latency_ns"));
    fprintf(f, "\n  %-13s %s <= %s: %s%s\n", "", name,
            ab_time_text(slo->limit_ns, limit, sizeof limit),
            strcmp(state, ab_slo_state_name(AB_SLO_OPEN)) != 0
                ? state
                : "not decided: too near, or too few requests",
            is_true(c, "overloaded") ? "; requests arrived faster than they were served" : "");
}

static void print_forecast(FILE *f, const json_t *one)
{
    const json_t *assumptions = json_object_get(one, "assumptions"),
                 *rate = json_object_get(one, "images_per_s");
    const char *error = ab_report_text(one, "error");
    const double residual = ab_report_number(one, "residual");
    char text[3][32];
    if (*error) {
        fprintf(f, "  %-13s %s\n", ab_report_text(one, "what"), error);
        return;
    }
    fprintf(f, "  %-13s ", ab_report_text(one, "what"));
    print_range(f, json_object_get(one, "latency_ns"));
    ab_number_text(ab_report_number(rate, "value"), text[0]);
    ab_number_text(ab_report_number(rate, "low"), text[1]);
    ab_number_text(ab_report_number(rate, "high"), text[2]);
    fprintf(f, " an execution, %s (%s to %s) images/s\n", text[0], text[1], text[2]);
    fprintf(f, "  %-13s %s", "model", ab_report_text(one, "model"));
    if (isfinite(residual))
        fprintf(f, "; it meets what was measured within %.1f %%", 100 * residual);
    fputc('\n', f);
    for (size_t i = 0; i < json_array_size(assumptions); i++)
        fprintf(f, "  %-13s %s\n", i ? "" : "assumed",
                json_string_value(json_array_get(assumptions, i)));
}

void ab_tune_card_asked(FILE *f, const struct ab_tune_result *r)
{
    print_max_rate(f, r->max_rate);
    print_confirmation(f, r->confirm, &r->require->slo);
    if (json_array_size(r->forecast)) fprintf(f, "\nForecast, not measured\n");
    for (size_t i = 0; i < json_array_size(r->forecast); i++)
        print_forecast(f, json_array_get(r->forecast, i));
}
