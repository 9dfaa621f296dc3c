// SPDX-License-Identifier: Apache-2.0
// Two builds by turns, case by case: against.h.
#include "against.h"

#include "run.h"
#include "worker.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double USUAL_SECONDS = 0.5;
/* Fewer say nothing; more are no better, as neighbours are alike. */
enum { MIN_ROUNDS = 20, SLOW_ROUNDS = 3, MAX_ROUNDS = 20000 };

static const char *const side_names[2] = {"A", "B"};

/* The workers and what a case is being made into. */
struct duel {
    const struct ab_against_options *o;
    struct ab_against *result;
    struct ab_worker *worker[2];
    int first; /* row of the case at hand; those from it on have been begun by a pair before */
};

/* ---- workers ---- */

static void stop(struct duel *d)
{
    for (int i = 0; i < 2; i++) ab_worker_stop(&d->worker[i]);
}

/* Both at once, so that neither is older. The first contexts are kept. */
static enum ab_status start(struct duel *d, struct ab_error *err)
{
    struct ab_error why;
    stop(d);
    for (int i = 0; i < 2; i++) {
        const enum ab_status status = ab_worker_start(d->o->programs[i], &d->worker[i], &why);
        if (status != AB_OK) return ab_fail(err, status, "%s: %.480s", side_names[i], why.text);
        if (!d->result->context[i])
            d->result->context[i] = json_deep_copy(ab_worker_context(d->worker[i]));
    }
    return AB_OK;
}

/* Workers that are there and alive. */
static enum ab_status ready(struct duel *d, bool fresh, struct ab_error *err)
{
    if (!fresh && d->worker[0] && d->worker[1] && ab_worker_lives(d->worker[0]) &&
        ab_worker_lives(d->worker[1]))
        return AB_OK;
    return start(d, err);
}

/* ---- what is missing ---- */

static enum ab_status no_memory(struct ab_error *err)
{
    return ab_fail(err, AB_ERR_MEMORY, "out of memory for samples; compare fewer cases");
}

static enum ab_status add_missing(struct ab_against *r, const char *text, const char *why,
                                  bool broke, struct ab_error *err)
{
    struct ab_against_missing *grown =
        realloc(r->missing, ((size_t)r->n_missing + 1) * sizeof *grown);
    if (!grown) return no_memory(err);
    r->missing = grown;
    struct ab_against_missing *m = &grown[r->n_missing];
    *m = (struct ab_against_missing){strdup(text), strdup(why), broke};
    if (m->text && m->why) return r->n_missing++, AB_OK;
    free(m->text);
    free(m->why);
    return no_memory(err);
}

static enum ab_status miss(struct duel *d, const char *text, int side, const char *why, bool broke,
                           struct ab_error *err)
{
    char line[640];
    snprintf(line, sizeof line, "%s: %.600s", side_names[side], why);
    return add_missing(d->result, text, line, broke, err);
}

/* ---- rows ---- */

/* Row `part` (0: the whole) of the samples of a series, appended to what the row has. */
static bool append(struct ab_db_row *row, const struct ab_series *s, int part)
{
    const size_t count = (size_t)row->count + (size_t)s->rounds;
    double *ns = realloc(row->ns, (count + 1) * sizeof *ns);
    if (ns) row->ns = ns;
    bool *disturbed = realloc(row->disturbed, (count + 1) * sizeof *disturbed);
    if (disturbed) row->disturbed = disturbed;
    if (!ns || !disturbed) return false;
    for (int i = 0; i < s->rounds; i++) {
        const double v = part ? s->parts[i * s->n_parts + part - 1] : s->ns[i];
        ns[row->count] = v;
        disturbed[row->count++] = s->disturbed[i];
    }
    return true;
}

/* A pair of rows of that key, from the case at hand; -1: out of memory. */
static int pair_of(struct duel *d, const char *key, const json_t *const record[2], int calls)
{
    struct ab_against *r = d->result;
    for (int i = d->first; i < r->count; i++)
        if (!strcmp(r->rows[0][i].key, key)) return i;
    bool good = true;
    for (int side = 0; side < 2; side++) {
        struct ab_db_row *grown = realloc(r->rows[side], ((size_t)r->count + 1) * sizeof *grown);
        if (grown) r->rows[side] = grown;
        if (!grown) return -1;
        grown[r->count] = (struct ab_db_row){
            .key = strdup(key), .record = json_deep_copy(record[side]), .calls = calls};
        good = good && grown[r->count].key && grown[r->count].record;
    }
    if (good) return r->count++;
    for (int side = 0; side < 2; side++) ab_db_row_free(&r->rows[side][r->count]);
    return -1;
}

static const char *key_of(const json_t *rows, size_t i)
{
    return json_string_value(json_object_get(json_array_get(rows, i), "key"));
}

static int find_key(const json_t *rows, const char *key)
{
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (!strcmp(key_of(rows, i), key)) return (int)i;
    return -1;
}

/* Rows that both have, from the samples of both; of a fault in one process the other's are worth
 * nothing either. */
static enum ab_status keep(struct duel *d, json_t *const rows[2], const struct ab_series series[2],
                           int calls, struct ab_error *err)
{
    for (size_t i = 0; i < json_array_size(rows[0]); i++) {
        const char *key = key_of(rows[0], i);
        /* The whole is row 0 of both, even if one build writes the case's text otherwise. */
        const int j = i ? find_key(rows[1], key) : 0;
        if (j < 0 || (i > 0) != (j > 0)) continue;
        const json_t *const record[2] = {json_array_get(rows[0], i),
                                         json_array_get(rows[1], (size_t)j)};
        const int pair = pair_of(d, key, record, calls);
        if (pair < 0 || !append(&d->result->rows[0][pair], &series[0], (int)i) ||
            !append(&d->result->rows[1][pair], &series[1], j))
            return no_memory(err);
    }
    return AB_OK;
}

/* Steps that one build alone has: it fuses others, or not. */
static enum ab_status tell_steps(struct duel *d, json_t *const rows[2], struct ab_error *err)
{
    enum ab_status status = AB_OK;
    for (int side = 0; side < 2; side++)
        for (size_t i = 1; i < json_array_size(rows[side]) && status == AB_OK; i++)
            if (find_key(rows[1 - side], key_of(rows[side], i)) < 0)
                status = miss(d, key_of(rows[side], i), 1 - side, "has no such step", false, err);
    return status;
}

/* ---- cases ---- */

static enum ab_status race(struct duel *d, const char *text, json_t *const rows[2],
                           struct ab_error *err)
{
    const double seconds = d->o->seconds > 0 ? d->o->seconds : USUAL_SECONDS;
    const int processes = d->o->processes > 1 ? d->o->processes : 1;
    const struct ab_race_options o = {.seconds = seconds / processes,
                                      .min_rounds = MIN_ROUNDS,
                                      .slow_rounds = SLOW_ROUNDS,
                                      .max_rounds = MAX_ROUNDS,
                                      .max_calls = d->o->cache == AB_CACHE_COLD};
    const struct ab_side sides[2] = {ab_worker_side(d->worker[0], side_names[0]),
                                     ab_worker_side(d->worker[1], side_names[1])};
    struct ab_series series[2] = {0};
    int calls = 0;
    enum ab_status status = ab_race(sides, 2, &o, series, &calls, err);
    bool failed = false;
    for (int i = 0; i < 2 && status == AB_OK; i++) {
        if (series[i].status == AB_OK || ab_interrupted) continue;
        failed = true;
        status = miss(d, text, i, series[i].err.text, true, err);
    }
    const bool whole = !failed && series[0].status == AB_OK && series[1].status == AB_OK &&
                       series[0].rounds > 0 && series[0].rounds == series[1].rounds;
    if (status == AB_OK && whole) status = keep(d, rows, series, calls, err);
    for (int i = 0; i < 2; i++) ab_series_free(&series[i]);
    return status;
}

/* What one build says of its errors goes into the record of the whole; what stood in the way of it
 * is a reason there. Its death is told as well; anything else is no more than a reason: times were
 * taken. */
static enum ab_status judge_side(struct duel *d, const char *text, int side, struct ab_error *err)
{
    json_t *said = NULL, *record = d->result->rows[side][d->first].record;
    struct ab_error why;
    char reason[240] = "an older build, which does not judge its errors";
    enum ab_status status = ab_worker_judge(d->worker[side], &said, &why);
    if (status == AB_OK) {
        const bool kept = json_object_update(record, said) == 0;
        json_decref(said);
        return kept ? AB_OK : no_memory(err);
    }
    if (ab_interrupted) return AB_OK;
    const bool died = !ab_worker_lives(d->worker[side]);
    if (died || status != AB_ERR_ARG) snprintf(reason, sizeof reason, "%.230s", why.text);
    json_object_set_new(record, "verdict_reason", json_string(reason));
    return died ? miss(d, text, side, why.text, true, err) : AB_OK;
}

static enum ab_status judge(struct duel *d, const char *text, struct ab_error *err)
{
    enum ab_status status = AB_OK;
    for (int i = 0; i < 2 && status == AB_OK && !ab_interrupted; i++)
        status = judge_side(d, text, i, err);
    return status;
}

/* One pair of workers at one case. *missed: it cannot be had from one of them. */
static enum ab_status meet(struct duel *d, const char *text, bool first, bool *missed,
                           struct ab_error *err)
{
    json_t *rows[2] = {NULL, NULL};
    struct ab_error why;
    enum ab_status status = AB_OK;
    for (int i = 0; i < 2 && status == AB_OK && !*missed; i++) {
        const enum ab_status opened =
            ab_worker_open(d->worker[i], text, d->o->cache, &rows[i], &why);
        if (opened == AB_OK) continue;
        *missed = true;
        const bool broke = opened != AB_ERR_ARG && opened != AB_ERR_UNSUPPORTED;
        if (!ab_interrupted) status = miss(d, text, i, why.text, broke, err);
    }
    if (status == AB_OK && !*missed && first) status = tell_steps(d, rows, err);
    if (status == AB_OK && !*missed) {
        const int before = d->result->n_missing;
        status = race(d, text, rows, err);
        *missed = d->result->n_missing > before;
    }
    const bool whole = !*missed && d->result->count > d->first;
    if (status == AB_OK && whole && first && d->o->judge) status = judge(d, text, err);
    for (int i = 0; i < 2; i++) json_decref(rows[i]);
    return status;
}

/* Rows of a case that not all pairs of workers finished go: their samples would not be what was
 * asked for. */
static void drop(struct duel *d)
{
    while (d->result->count > d->first) {
        d->result->count--;
        for (int side = 0; side < 2; side++)
            ab_db_row_free(&d->result->rows[side][d->result->count]);
    }
}

static enum ab_status run_case(struct duel *d, const char *text, struct ab_error *err)
{
    const int processes = d->o->processes > 1 ? d->o->processes : 1;
    enum ab_status status = AB_OK;
    bool missed = false;
    d->first = d->result->count;
    for (int p = 0; p < processes && status == AB_OK && !missed && !ab_interrupted; p++) {
        status = ready(d, processes > 1, err);
        if (status == AB_OK) status = meet(d, text, p == 0, &missed, err);
        /* Whoever is in a hurry is not told what came of that. */
        if (ab_interrupted) status = AB_OK;
    }
    if (status != AB_OK || missed || ab_interrupted) drop(d);
    return status;
}

enum ab_status ab_against_run(const struct ab_cases *cases, const struct ab_against_options *o,
                              struct ab_against *result, struct ab_error *err)
{
    struct duel d = {.o = o, .result = result};
    enum ab_status status = AB_OK;
    for (int i = 0; i < cases->count && status == AB_OK && !ab_interrupted; i++) {
        if (o->progress) o->progress(o->user, i, cases->count, cases->texts[i]);
        status = run_case(&d, cases->texts[i], err);
    }
    stop(&d);
    return status;
}

void ab_against_free(struct ab_against *r)
{
    for (int side = 0; side < 2; side++) {
        for (int i = 0; r->rows[side] && i < r->count; i++) ab_db_row_free(&r->rows[side][i]);
        free(r->rows[side]);
        json_decref(r->context[side]);
    }
    for (int i = 0; i < r->n_missing; i++) {
        free(r->missing[i].text);
        free(r->missing[i].why);
    }
    free(r->missing);
    *r = (struct ab_against){.count = 0};
}
