// SPDX-License-Identifier: Apache-2.0
// The answer of attrbench tune as a configuration file, which holds the evidence for it too, and as
// a row of a Markdown table.
#include "tune_out.h"

#include "base/outfile.h"
#include "json_number.h"
#include "run.h"
#include "tune_search.h"

#include <math.h>
#include <string.h>

/* ---- values ---- */

/* null for "", and for what is not UTF-8. */
static json_t *text(const char *value)
{
    json_t *string = value && *value ? json_string(value) : NULL;
    return string ? string : json_null();
}

static json_t *interval(double value, double low, double high)
{
    json_t *o = json_object();
    json_object_set_new(o, "value", ab_json_number(value));
    json_object_set_new(o, "low", ab_json_number(low));
    json_object_set_new(o, "high", ab_json_number(high));
    return o;
}

static json_t *quantile(const struct ab_evidence *e, double q)
{
    const struct ab_percentile p = ab_evidence_latency(e, q);
    const bool enough = e->requests >= ab_evidence_needed(e, q);
    return interval(enough ? p.value : (double)NAN, p.low, p.high);
}

static json_t *borrowed(json_t *value)
{
    return value ? json_incref(value) : json_null();
}

/* ---- points ---- */

/* The text of the value that a point has of a knob. */
static const char *value_of(const struct ab_space *space, const struct ab_point *p,
                            enum ab_knob knob)
{
    return space->knobs[knob].text[p->level[knob]];
}

/* As in the file's own "deploy", without CPUs. */
static json_t *knobs_of(const struct ab_space *space, const struct ab_point *p)
{
    json_t *o = json_object();
    json_object_set_new(o, "backend", text(p->deploy.backend));
    json_object_set_new(o, "algo", text(value_of(space, p, AB_KNOB_ALGO)));
    json_object_set_new(o, "memory", text(value_of(space, p, AB_KNOB_MEMORY)));
    json_object_set_new(o, "pages", text(value_of(space, p, AB_KNOB_PAGES)));
    json_object_set_new(o, "denormals", text(value_of(space, p, AB_KNOB_DENORMALS)));
    json_object_set_new(o, "place", text(value_of(space, p, AB_KNOB_PLACE)));
    json_object_set_new(o, "threads", json_integer(p->deploy.threads));
    json_object_set_new(o, "instances", json_integer(p->deploy.instances));
    json_object_set_new(o, "batch", json_integer(p->deploy.batch));
    return o;
}

static json_t *latencies(const struct ab_evidence *e)
{
    json_t *o = json_object();
    json_object_set_new(o, "p50", quantile(e, 0.5));
    json_object_set_new(o, "p90", quantile(e, 0.9));
    json_object_set_new(o, "p99", quantile(e, 0.99));
    json_object_set_new(o, "requests", json_integer(e->requests));
    return o;
}

static const char *fit_name(enum ab_fit fit)
{
    static const char *const names[] = {"unknown", "meets", "fails", "open"};
    return names[fit];
}

/* The agreement of maps that were compared; null where they were not. */
static void put_agreement(json_t *o, const struct ab_evidence *e)
{
    const double error = ab_evidence_error(e);
    json_object_set_new(o, "verdict",
                        e->visits > 0 ? text(ab_verdict_name(e->verdict)) : json_null());
    json_object_set_new(o, "verdict_reason", text(e->why));
    json_object_set_new(o, "rel_l2", ab_json_number(error));
    json_object_set_new(o, "max_err", ab_json_number(isfinite(error) ? e->max_err : error));
}

static json_t *bytes(double value)
{
    return ab_json_number(value > 0 ? value : (double)NAN);
}

static json_t *point_of(const struct ab_tune_result *r, int i)
{
    const struct ab_point *p = &r->space->points[i];
    const struct ab_evidence *e = ab_search_evidence(r->search, i);
    const struct ab_worth rate = ab_evidence_rate(e, r->answer->noise);
    json_t *o = json_object();
    json_object_set_new(o, "text", text(p->text));
    json_object_set_new(o, "deploy", knobs_of(r->space, p));
    json_object_set_new(o, "simplicity", ab_json_number(p->simplicity));
    json_object_set_new(o, "visits", json_integer(e->visits));
    json_object_set_new(o, "spent_s", ab_json_number(e->spent_s));
    json_object_set_new(o, "images_per_s", interval(rate.value, rate.low, rate.high));
    json_object_set_new(o, "latency_ns", latencies(e));
    json_object_set_new(o, "quantile", quantile(e, ab_require_quantile(r->require)));
    json_object_set_new(o, "resident_bytes", bytes(e->resident_bytes));
    json_object_set_new(o, "peak_bytes", bytes(e->peak_bytes));
    json_object_set_new(o, "planned_bytes", bytes(e->planned_bytes));
    json_object_set_new(o, "start_ns", ab_json_number(ab_evidence_start(e)));
    put_agreement(o, e);
    json_object_set_new(o, "overloaded", json_boolean(e->overloaded));
    json_object_set_new(o, "fit", text(fit_name(ab_evidence_fits(e, r->require))));
    json_object_set_new(o, "front", json_boolean(r->answer->front[i]));
    json_object_set_new(o, "alike", json_boolean(r->answer->alike[i]));
    json_object_set_new(o, "dropped",
                        e->dropped == AB_DROP_NONE ? json_null() : text(ab_drop_name(e->dropped)));
    json_object_set_new(o, "error", text(e->error));
    return o;
}

static bool known(const struct ab_evidence *e)
{
    return e->visits > 0 || *e->error || e->dropped != AB_DROP_NONE;
}

static json_t *points(const struct ab_tune_result *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->space->n_points; i++)
        if (known(ab_search_evidence(r->search, i))) json_array_append_new(list, point_of(r, i));
    return list;
}

/* ---- the rest ---- */

static json_t *space_of(const struct ab_space *space)
{
    json_t *o = json_object();
    for (int k = 0; k < AB_KNOBS; k++) {
        json_t *values = json_array();
        for (int l = 0; l < space->knobs[k].count; l++)
            json_array_append_new(values, text(space->knobs[k].text[l]));
        json_object_set_new(o, ab_knob_name((enum ab_knob)k), values);
    }
    return o;
}

/* Those that the name of a file that is no UTF-8 is part of are left to the card. */
static json_t *commands_of(const struct ab_tune_result *r)
{
    struct ab_tune_command commands[AB_TUNE_COMMANDS];
    const int count = ab_tune_commands(r, commands);
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        json_t *command = json_string(commands[i].text);
        if (command) json_array_append_new(list, command);
    }
    return list;
}

static json_t *settings(const struct ab_tune_result *r)
{
    char slo[64] = "", load[64];
    int visited = 0, visits = 0;
    json_t *o = json_object();
    for (int i = 0; i < r->space->n_points; i++) {
        const struct ab_evidence *e = ab_search_evidence(r->search, i);
        visited += e->visits > 0;
        visits += e->visits;
    }
    if (r->require->slo.limit_ns > 0) ab_slo_text(&r->require->slo, slo, sizeof slo);
    ab_load_shape_text(&r->load, load, sizeof load);
    json_object_set_new(o, "objective", text(ab_objective_name(r->require->objective)));
    json_object_set_new(o, "slo", text(slo));
    json_object_set_new(o, "quantile", ab_json_number(ab_require_quantile(r->require)));
    json_object_set_new(o, "min_agree",
                        r->require->min_agree > 0 ? ab_json_number(r->require->min_agree)
                                                  : json_null());
    json_object_set_new(o, "load", text(load));
    json_object_set_new(o, "budget_s", ab_json_number(r->budget_s));
    json_object_set_new(o, "spent_s", ab_json_number(r->spent_s));
    json_object_set_new(o, "complete", json_boolean(r->answer->complete));
    json_object_set_new(o, "interrupted", json_boolean(r->interrupted));
    json_object_set_new(o, "provisional", json_boolean(ab_tune_provisional(r)));
    json_object_set_new(o, "space", space_of(r->space));
    json_object_set_new(o, "seed", json_integer((json_int_t)r->seed));
    json_object_set_new(o, "points", json_integer(r->space->n_points));
    json_object_set_new(o, "twins", json_integer(r->space->twins));
    json_object_set_new(o, "visited", json_integer(visited));
    json_object_set_new(o, "visits", json_integer(visits));
    json_object_set_new(o, "noise", ab_json_number(r->answer->noise));
    double least, most;
    ab_search_pace(r->search, &least, &most);
    json_object_set_new(o, "pace_least", ab_json_number(least));
    json_object_set_new(o, "pace_most", ab_json_number(most));
    json_object_set_new(o, "stolen", ab_json_number(ab_search_stolen(r->search)));
    json_object_set_new(o, "dropped", json_integer(r->dropped));
    json_object_set_new(o, "confidence", ab_json_number(AB_TUNE_CONFIDENCE));
    json_object_set_new(o, "commands", commands_of(r));
    return o;
}

static json_t *gains(const struct ab_tune_result *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->answer->n_gains; i++) {
        const struct ab_knob_gain *g = &r->answer->gains[i];
        const struct ab_point *own = &r->space->points[r->answer->recommended];
        json_t *o = json_object();
        json_object_set_new(o, "knob", text(ab_knob_name(g->knob)));
        json_object_set_new(o, "value", text(value_of(r->space, own, g->knob)));
        json_object_set_new(o, "other", text(r->space->knobs[g->knob].text[g->other]));
        json_object_set_new(o, "gain", ab_json_number(g->gain));
        json_object_set_new(o, "low", ab_json_number(g->low));
        json_object_set_new(o, "high", ab_json_number(g->high));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *limits_of(const struct ab_tune_limits *l)
{
    if (!l) return json_null();
    json_t *o = json_object(), *share = json_object(), *slowest = json_array();
    for (int b = 0; b < AB_BOUNDS; b++)
        json_object_set_new(share, ab_bound_name((enum ab_bound)b), ab_json_number(l->share[b]));
    for (int i = 0; i < l->n_slowest; i++) {
        const struct ab_tune_layer *s = &l->slowest[i];
        json_t *layer = json_object();
        json_object_set_new(layer, "name", text(s->name));
        json_object_set_new(layer, "share", ab_json_number(s->share));
        json_object_set_new(layer, "gflops",
                            s->gflops > 0 ? ab_json_number(s->gflops) : json_null());
        json_object_set_new(layer, "roof", ab_json_number(s->roof));
        json_array_append_new(slowest, layer);
    }
    json_object_set_new(o, "verdict", text(l->verdict));
    json_object_set_new(o, "share", share);
    json_object_set_new(o, "compute_reached", ab_json_number(l->reached[AB_BOUND_COMPUTE]));
    json_object_set_new(o, "memory_reached", ab_json_number(l->reached[AB_BOUND_MEMORY]));
    json_object_set_new(o, "gflops", ab_json_number(l->gflops));
    json_object_set_new(o, "peak_gflops", l->peak > 0 ? ab_json_number(l->peak) : json_null());
    json_object_set_new(o, "execution_ns", ab_json_number(l->step_ns));
    json_object_set_new(o, "executions", json_integer(l->executions));
    json_object_set_new(o, "winograd", json_boolean(l->winograd));
    json_object_set_new(o, "alone", json_boolean(l->alone));
    json_object_set_new(o, "layers", slowest);
    return o;
}

json_t *ab_tune_rate_json(const struct ab_max_rate *r)
{
    json_t *probes = json_array();
    for (int i = 0; i < r->n_probes; i++) {
        const struct ab_rate_probe *p = &r->probes[i];
        json_array_append_new(
            probes, json_pack("{s:o,s:s,s:b,s:i,s:o,s:o}", "rate", ab_json_number(p->rate), "state",
                              ab_slo_state_name(p->state), "overloaded", p->overloaded, "requests",
                              p->requests, "quantile_ns", ab_json_number(p->quantile_ns), "seconds",
                              ab_json_number(p->seconds)));
    }
    return json_pack("{s:o,s:o,s:b,s:b,s:b,s:s,s:o,s:o}", "held", ab_json_number(r->held), "broken",
                     ab_json_number(r->broken), "settled", r->settled, "confirmed", r->confirmed,
                     "idle_broken", r->idle_broken, "note", r->note, "spent_s",
                     ab_json_number(r->spent_s), "probes", probes);
}

json_t *ab_tune_confirm_json(const struct ab_visit *v, double rate, enum ab_slo_state state,
                             const struct ab_percentile *latency)
{
    return json_pack("{s:o,s:o,s:i,s:s,s:o,s:b}", "rate", ab_json_number(rate), "seconds",
                     ab_json_number(v->seconds), "requests", v->requests, "state",
                     ab_slo_state_name(state), "latency_ns",
                     interval(latency->value, latency->low, latency->high), "overloaded",
                     v->overloaded);
}

static json_t *text_of_point(const struct ab_space *space, int point)
{
    return point >= 0 ? text(space->points[point].text) : json_null();
}

/* What the library reads; without a recommendation, what it was about. */
static json_t *head(const struct ab_tune_result *r)
{
    const int point = r->answer->recommended;
    if (point >= 0)
        return ab_config_json(r->file, r->graph, r->method, &r->space->points[point].deploy);
    json_t *o = json_object();
    json_object_set_new(o, "model", text(r->model));
    json_object_set_new(o, "method", text(r->method));
    return o;
}

json_t *ab_tune_json(const struct ab_tune_result *r)
{
    const struct ab_answer *a = r->answer;
    json_t *root = head(r);
    if (!root) return NULL;
    json_object_set_new(root, "tune", settings(r));
    json_object_set_new(root, "recommended", text_of_point(r->space, a->recommended));
    json_object_set_new(root, "best", text_of_point(r->space, a->best));
    json_object_set_new(root, "closest", text_of_point(r->space, a->closest));
    json_object_set_new(root, "points", points(r));
    json_object_set_new(root, "knobs", gains(r));
    json_object_set_new(root, "limits", limits_of(r->limits));
    json_object_set_new(root, "max_rate", borrowed(r->max_rate));
    json_object_set_new(root, "confirm", borrowed(r->confirm));
    json_object_set_new(root, "forecast", borrowed(r->forecast));
    json_object_set_new(root, "context", borrowed(r->context));
    return root;
}

enum ab_status ab_tune_write(const char *path, const json_t *root, struct ab_error *err)
{
    if (!json_object_get(root, "attrbench_config"))
        return ab_fail(err, AB_ERR_ARG,
                       "%.300s: not written: nothing is recommended, so there is no configuration",
                       path);
    struct ab_outfile out;
    enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    const size_t flags =
        JSON_INDENT(1) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15);
    if (json_dumpf(root, out.stream, flags) != 0 && !ferror(out.stream))
        status = ab_fail(err, AB_ERR_MEMORY, "%.300s: out of memory for the file", path);
    fputc('\n', out.stream);
    return ab_outfile_close(&out, status, err);
}

/* ---- the row ---- */

/* What would end the cell is escaped. */
static void cell(FILE *f, const char *value)
{
    fputs(" ", f);
    for (; *value; value++) {
        if (strchr("|\\`*_[]#<>", *value)) fputc('\\', f);
        fputc((unsigned char)*value < ' ' ? ' ' : *value, f);
    }
    fputs(" |", f);
}

/* Images a second, latency, memory. */
static void value_text(const struct ab_tune_result *r, int point, char *out, size_t size)
{
    const struct ab_evidence *e = ab_search_evidence(r->search, point);
    const struct ab_percentile p = ab_evidence_latency(e, ab_require_quantile(r->require));
    char rate[32], name[16], latency[32] = "?", memory[32];
    ab_number_text(ab_evidence_rate(e, r->answer->noise).value, rate);
    ab_quantile_text(ab_require_quantile(r->require), name);
    if (isfinite(p.value) && e->requests >= ab_evidence_needed(e, ab_require_quantile(r->require)))
        ab_time_text(p.value, latency, sizeof latency);
    ab_megabytes_text(e->resident_bytes, memory);
    snprintf(out, size, "%s images/s, %s %s, %s", rate, name, latency, memory);
}

void ab_tune_markdown(FILE *f, const struct ab_tune_result *r)
{
    const struct ab_answer *a = r->answer;
    const int shown = a->recommended >= 0 ? a->recommended : a->closest;
    char asked[256], value[160] = "-",
                     why[400] = "nothing meets the requirements; this comes closest";
    ab_require_text(r->require, asked, sizeof asked);
    if (shown >= 0) value_text(r, shown, value, sizeof value);
    if (shown < 0) snprintf(why, sizeof why, "nothing could be served");
    if (a->recommended >= 0)
        snprintf(why, sizeof why, "%s%s%s%s", ab_tune_provisional(r) ? "provisional: " : "",
                 a->best == a->recommended ? "the best" : "the simplest within noise of the best",
                 r->limits ? "; " : "", r->limits ? r->limits->verdict : "");
    fputs("|", f);
    cell(f, r->model);
    cell(f, r->method);
    cell(f, asked);
    cell(f, shown >= 0 ? r->space->points[shown].text : "-");
    cell(f, value);
    cell(f, why);
    fputc('\n', f);
}
