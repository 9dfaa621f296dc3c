// SPDX-License-Identifier: Apache-2.0
// The fields of a file of attrbench tune that a report takes, for the one who checks them, and for
// the test that all of them are written.
#ifndef AB_REPORT_TUNE_FIELDS_H
#define AB_REPORT_TUNE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

enum kind {
    TEXT,
    NUMBER, /* from 0: nothing that is measured here can be less */
    COUNT,  /* a whole NUMBER */
    BOOL,
    TEXTS,   /* a list */
    OBJECT,  /* of `of` */
    OBJECTS, /* a list of them; one alone will do */
    LEVELS,  /* an object of lists of texts and numbers */
    CPUS,    /* a list of lists of numbers */
    ANY      /* an object that is shown as it is */
};

struct field {
    const char *name;
    enum kind kind;
    bool needed;            /* else it may be null or missing */
    const struct field *of; /* ends with a name of NULL */
    const char *words;      /* "a|b": the texts that there are; NULL: any */
};

static const struct field range_fields[] = {
    {"value", NUMBER}, {"low", NUMBER}, {"high", NUMBER}, {NULL}};
static const struct field latency_fields[] = {{"p50", OBJECT, false, range_fields},
                                              {"p90", OBJECT, false, range_fields},
                                              {"p99", OBJECT, false, range_fields},
                                              {"requests", COUNT},
                                              {NULL}};
/* clang-format off */
#define KNOB_FIELDS                                                                                \
    {"backend", TEXT, true}, {"algo", TEXT, true, NULL, "auto|direct"},                            \
    {"memory", TEXT, true, NULL, "fast|lean"}, {"pages", TEXT, true, NULL, "huge|small"},          \
    {"denormals", TEXT, true, NULL, "keep|flush"}, {"place", TEXT, true, NULL, "cores|smt|free"},  \
    {"threads", COUNT, true}, {"instances", COUNT, true}, {"batch", COUNT, true}
/* clang-format on */
static const struct field deploy_fields[] = {KNOB_FIELDS, {"cpus", CPUS}, {NULL}};
static const struct field point_deploy_fields[] = {KNOB_FIELDS, {NULL}};
static const struct field machine_fields[] = {
    {"cpu", TEXT}, {"isas", TEXTS}, {"cpus", COUNT}, {"architecture", TEXT}, {NULL}};
static const struct field tune_fields[] = {
    {"objective", TEXT, true, NULL, "latency|throughput|memory"},
    {"slo", TEXT},
    {"quantile", NUMBER},
    {"min_agree", NUMBER},
    {"load", TEXT},
    {"budget_s", NUMBER},
    {"spent_s", NUMBER},
    {"complete", BOOL},
    {"interrupted", BOOL},
    {"provisional", BOOL},
    {"space", LEVELS},
    {"points", COUNT},
    {"twins", COUNT},
    {"visited", COUNT},
    {"visits", COUNT},
    {"noise", NUMBER},
    {"pace_least", NUMBER},
    {"pace_most", NUMBER},
    {"stolen", NUMBER},
    {"dropped", COUNT},
    {"confidence", NUMBER},
    {"commands", TEXTS},
    {NULL}};
static const struct field point_fields[] = {
    {"text", TEXT, true},
    {"deploy", OBJECT, true, point_deploy_fields},
    {"visits", COUNT, true},
    {"images_per_s", OBJECT, false, range_fields},
    {"latency_ns", OBJECT, false, latency_fields},
    {"quantile", OBJECT, false, range_fields},
    {"resident_bytes", NUMBER},
    {"peak_bytes", NUMBER},
    {"planned_bytes", NUMBER},
    {"start_ns", NUMBER},
    {"verdict", TEXT, false, NULL, "agree|disagree|mistrusted|skipped"},
    {"verdict_reason", TEXT},
    {"rel_l2", NUMBER},
    {"max_err", NUMBER},
    {"front", BOOL},
    {"alike", BOOL},
    {"overloaded", BOOL},
    {"fit", TEXT, false, NULL, "unknown|meets|fails|open"},
    {"dropped", TEXT, false, NULL, "error|agreement|slo|dominated|roof"},
    {"error", TEXT},
    {NULL}};
static const struct field knob_fields[] = {{"knob", TEXT, true},
                                           {"value", TEXT, true},
                                           {"other", TEXT, true},
                                           {"gain", NUMBER, true},
                                           {"low", NUMBER},
                                           {"high", NUMBER},
                                           {NULL}};
static const struct field shares_fields[] = {
    {"compute", NUMBER}, {"memory", NUMBER}, {"neither", NUMBER}, {NULL}};
static const struct field layer_fields[] = {
    {"name", TEXT}, {"share", NUMBER}, {"gflops", NUMBER}, {"roof", NUMBER}, {NULL}};
static const struct field limits_fields[] = {{"verdict", TEXT},
                                             {"share", OBJECT, false, shares_fields},
                                             {"compute_reached", NUMBER},
                                             {"memory_reached", NUMBER},
                                             {"gflops", NUMBER},
                                             {"peak_gflops", NUMBER},
                                             {"execution_ns", NUMBER},
                                             {"executions", COUNT},
                                             {"winograd", BOOL},
                                             {"alone", BOOL},
                                             {"layers", OBJECTS, false, layer_fields},
                                             {NULL}};
static const char state_words[] = "held|broken|open";
static const struct field probe_fields[] = {{"rate", NUMBER, true},
                                            {"state", TEXT, true, NULL, state_words},
                                            {"quantile_ns", NUMBER},
                                            {"overloaded", BOOL},
                                            {"requests", COUNT},
                                            {"seconds", NUMBER},
                                            {NULL}};
static const struct field max_rate_fields[] = {{"held", NUMBER},
                                               {"broken", NUMBER},
                                               {"idle_broken", BOOL},
                                               {"settled", BOOL},
                                               {"confirmed", BOOL},
                                               {"note", TEXT},
                                               {"spent_s", NUMBER},
                                               {"probes", OBJECTS, false, probe_fields},
                                               {NULL}};
static const struct field confirmation_fields[] = {{"rate", NUMBER, true},
                                                   {"state", TEXT, true, NULL, state_words},
                                                   {"seconds", NUMBER},
                                                   {"requests", COUNT},
                                                   {"latency_ns", OBJECT, false, range_fields},
                                                   {"overloaded", BOOL},
                                                   {NULL}};
static const struct field fit_point_fields[] = {
    {"x", NUMBER, true}, {"ns", NUMBER}, {"fit_ns", NUMBER}, {NULL}};
static const struct field forecast_fields[] = {{"what", TEXT, true},
                                               {"model", TEXT},
                                               {"x", TEXT, false, NULL, "batch|pixels|threads"},
                                               {"at", NUMBER},
                                               {"latency_ns", OBJECT, false, range_fields},
                                               {"images_per_s", OBJECT, false, range_fields},
                                               {"residual", NUMBER},
                                               {"assumptions", TEXTS},
                                               {"points", OBJECTS, false, fit_point_fields},
                                               {"error", TEXT},
                                               {NULL}};
static const struct field file_fields[] = {{"model", TEXT, true},
                                           {"model_hash", TEXT},
                                           {"method", TEXT, true},
                                           {"machine", OBJECT, false, machine_fields},
                                           {"deploy", OBJECT, false, deploy_fields},
                                           {"tune", OBJECT, true, tune_fields},
                                           {"recommended", TEXT},
                                           {"best", TEXT},
                                           {"closest", TEXT},
                                           {"points", OBJECTS, true, point_fields},
                                           {"knobs", OBJECTS, false, knob_fields},
                                           {"limits", OBJECT, false, limits_fields},
                                           {"max_rate", OBJECT, false, max_rate_fields},
                                           {"confirm", OBJECT, false, confirmation_fields},
                                           {"forecast", OBJECTS, false, forecast_fields},
                                           {"context", ANY},
                                           {NULL}};

#endif
