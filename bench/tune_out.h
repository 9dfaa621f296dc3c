// SPDX-License-Identifier: Apache-2.0
// What attrbench tune shows of its answer: the card on the terminal, the file, a table's row.
#ifndef AB_TUNE_OUT_H
#define AB_TUNE_OUT_H

#include "tune.h"
#include "tune_limits.h"
#include "tune_rate.h"

#include <stdio.h>

#include <jansson.h>

/* All that is shown; borrowed. */
struct ab_tune_result {
    const char *model, *method; /* as they were asked for */
    const char *file;           /* what ab_graph_open takes for the model */
    const struct ab_graph *graph;
    const struct ab_site *site;
    const struct ab_space *space;
    const struct ab_search *search;
    const struct ab_require *require;
    const struct ab_answer *answer;
    struct ab_load_shape load;
    double budget_s, spent_s;
    uint64_t seed;
    bool interrupted;
    int dropped;                         /* visits, for what the host took of their time */
    const char *out;                     /* the file that will hold the configuration; NULL: none */
    const struct ab_tune_limits *limits; /* NULL: the recommended plan was not profiled */
    /* Objects of the same names in the file; NULL: null there. */
    json_t *max_rate, *confirm, *forecast, *context;
};

void ab_tune_card(FILE *f, const struct ab_tune_result *r);

/* What the file holds: the configuration and the evidence for it; without a recommendation the
 * evidence alone. New reference; NULL: out of memory. */
json_t *ab_tune_json(const struct ab_tune_result *r);
/* Whole or not at all; refuses what has no configuration. */
enum ab_status ab_tune_write(const char *path, const json_t *root, struct ab_error *err);

/* The file's "max_rate" and "confirm"; new references. `state`: what became of the SLO. */
json_t *ab_tune_rate_json(const struct ab_max_rate *r);
json_t *ab_tune_confirm_json(const struct ab_visit *v, double rate, enum ab_slo_state state,
                             const struct ab_percentile *latency);

/* A row of a Markdown table: | model | method | asked for | recommended | value | why |. */
void ab_tune_markdown(FILE *f, const struct ab_tune_result *r);

/* ---- what all of them say ---- */

/* Whether the host of a virtual machine took more than a tenth of the CPU time, and the answer
 * hangs on it: what was the best meanwhile, or too slow, need not be so at other times. A single
 * configuration that meets the requirements meanwhile does so at other times, and maps that fail
 * the agreement do so always. */
bool ab_tune_provisional(const struct ab_tune_result *r);

/* The exit code that the answer calls for. INTERRUPTED; OK: there is a recommendation;
 * INCONCLUSIVE: what has been seen decides nothing, or for the time being; DISAGREE: what is fast
 * enough fails the agreement; NOTHING: nothing meets the requirements; ERROR: nothing could be
 * served. */
enum ab_exit ab_tune_exit(const struct ab_tune_result *r);

/* Images a second, with what they may be for all that is known. */
struct ab_worth ab_evidence_rate(const struct ab_evidence *e, double noise);
/* A quantile of the latencies of all visits. */
struct ab_percentile ab_evidence_latency(const struct ab_evidence *e, double quantile);
/* The median time of a cold start; NaN: none is known. */
double ab_evidence_start(const struct ab_evidence *e);
/* Visited, and never failed to serve. */
bool ab_evidence_served(const struct ab_evidence *e);
/* The relative L2 error of its maps; NaN: they were not judged, or could not be trusted. */
double ab_evidence_error(const struct ab_evidence *e);
/* Whether it is fast enough, whatever its maps; without a limit it is. */
enum ab_slo_state ab_evidence_slo(const struct ab_evidence *e, const struct ab_require *require);

const char *ab_objective_name(enum ab_objective objective);
/* "highest throughput with p99 <= 80 ms; maps within rel. L2 1e-04 of the reference" */
void ab_require_text(const struct ab_require *require, char *text, size_t size);
/* "p99", "p99.9". */
void ab_quantile_text(double quantile, char text[16]);
/* "9 min 41 s", "12.3 s". */
void ab_span_text(double seconds, char text[32]);
/* "412 MB"; "?": not known. */
void ab_megabytes_text(double bytes, char text[32]);
/* "24.3" with three digits; "?": not known. */
void ab_number_text(double value, char text[32]);

/* What runs exactly the recommended configuration. */
struct ab_tune_command {
    const char *label;
    char text[6144]; /* lines; a path has 4096 bytes at most */
};
enum { AB_TUNE_COMMANDS = 5 };
/* How many there are; none without a recommendation. */
int ab_tune_commands(const struct ab_tune_result *r,
                     struct ab_tune_command commands[AB_TUNE_COMMANDS]);

/* The lower half of the card: what else was seen, what it means, what it cost. */
void ab_tune_card_rest(FILE *f, const struct ab_tune_result *r);
/* Its part about the largest rate, the confirmation and forecasts; nothing where none was asked
 * for. */
void ab_tune_card_asked(FILE *f, const struct ab_tune_result *r);

#endif
