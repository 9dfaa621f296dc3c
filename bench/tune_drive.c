// SPDX-License-Identifier: Apache-2.0
// Drives the search: visits, writes down, until the answer is there or the budget is gone.
#include "tune_drive.h"

#include "run.h"
#include "tune_out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double ab_tune_spent(const struct ab_tune *t)
{
    return t->before_s + (ab_now_ns() - t->began_ns) / 1e9;
}

const char *ab_tune_file(const struct ab_tune *t)
{
    return *t->source.path ? t->source.path : t->model;
}

/* ---- opening ---- */

/* The texts that visits of other runs must share to count here. */
static enum ab_status open_journal(struct ab_tune *t, struct ab_error *err)
{
    char require[256], load[64], *space = NULL;
    enum ab_status status = AB_OK;
    if (!t->journal_path) return AB_OK;
    ab_require_text(&t->require, require, sizeof require);
    ab_load_shape_text(&t->load, load, sizeof load);
    /* Whole: searches of two spaces must not pass for one. */
    size_t size = 1, used = 0;
    for (int i = 0; i < t->narrowing->count; i++) size += strlen(t->narrowing->items[i]) + 1;
    space = calloc(size, 1);
    for (int i = 0; space && i < t->narrowing->count; i++)
        used += (size_t)snprintf(space + used, size - used, "%s%s", i ? " " : "",
                                 t->narrowing->items[i]);
    json_t *config = ab_config_json(ab_tune_file(t), t->source.graph, ab_method_spec(t->method),
                                    &t->space.points[0].deploy);
    char *machine = json_dumps(json_object_get(config, "machine"), JSON_COMPACT | JSON_SORT_KEYS);
    const char *hash = json_string_value(json_object_get(config, "model_hash"));
    if (space && machine && hash) {
        const struct ab_journal_head head = {.model = t->model,
                                             .model_hash = hash,
                                             .method = ab_method_spec(t->method),
                                             .requirements = require,
                                             .space = space,
                                             .machine = machine,
                                             .load = load};
        status = t->resume ? ab_journal_resume(t->journal_path, &head, &t->space, t->search,
                                               &t->journal, &t->before_s, err)
                           : ab_journal_create(t->journal_path, &head, &t->journal, err);
    } else
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for the journal");
    free(space);
    free(machine);
    json_decref(config);
    return status;
}

static enum ab_status open_search(struct ab_tune *t, struct ab_error *err)
{
    const struct ab_search_options o = {.space = &t->space,
                                        .require = t->require,
                                        .budget_s = t->budget_s,
                                        .seed = t->seed,
                                        .exhaustive = t->exhaustive,
                                        .roof = ab_tune_roof,
                                        .user = t->roof};
    return ab_search_create(&o, &t->search, err);
}

enum ab_status ab_tune_open(struct ab_tune *t, struct ab_error *err)
{
    t->began_ns = ab_now_ns();
    enum ab_status status = ab_source_open(t->model, NULL, &t->source, err);
    if (status == AB_OK) status = ab_method_parse(t->spec, &t->method, err);
    if (status == AB_OK) status = ab_method_fits(t->source.graph, t->method, 0, err);
    if (status == AB_OK) status = ab_site_look(&t->site, err);
    unsigned one_algo = 0;
    if (status == AB_OK)
        status = ab_tune_one_algo(t->source.graph, t->method, t->site.isas, &one_algo, err);
    if (status == AB_OK) status = ab_space_create(t->narrowing, &t->site, one_algo, &t->space, err);
    if (ab_cache_folder(t->cache, sizeof t->cache)) t->judging.cache_dir = t->cache;
    if (status == AB_OK) t->judging.threads = ab_site_usable(&t->site);
    if (status == AB_OK) status = ab_tune_roof_create(t->source.graph, t->method, &t->roof, err);
    if (status == AB_OK) status = open_search(t, err);
    if (status == AB_OK) status = open_journal(t, err);
    t->opened_s = (ab_now_ns() - t->began_ns) / 1e9;
    return status;
}

void ab_tune_close(struct ab_tune *t)
{
    ab_journal_close(&t->journal);
    ab_search_destroy(&t->search);
    ab_tune_roof_destroy(&t->roof);
    free(t->judging.known);
    free(t->agreed);
    ab_space_free(&t->space);
    ab_site_free(&t->site);
    ab_method_destroy(&t->method);
    ab_source_close(&t->source);
}

/* ---- one visit ---- */

struct ab_visit_options ab_tune_visit_options(const struct ab_tune *t, int point)
{
    /* The same again would be taken for new samples; visits of several points by turns meet the
     * same arrivals. */
    const uint64_t number = (uint64_t)ab_search_evidence(t->search, point)->visits;
    return (struct ab_visit_options){.program = t->program,
                                     .model = t->model,
                                     .method = t->spec,
                                     .deploy = &t->space.points[point].deploy,
                                     .load = t->load,
                                     .confidence = AB_TUNE_CONFIDENCE,
                                     .seed = ab_hash(t->seed, &number, sizeof number)};
}

/* Like those that are likely to win, so that what slows them slows it as much: as many CPUs as can
 * be, for latency by threads, for throughput by instances; of those the simplest. */
static int pacemaker_of(const struct ab_tune *t)
{
    const bool latency = t->require.objective == AB_OBJECTIVE_LATENCY;
    int most = 0, point = 0;
    for (int i = 0; i < t->space.n_points; i++) {
        const struct ab_deploy *d = &t->space.points[i].deploy;
        const int score = 2 * d->threads * d->instances - (latency ? d->instances : d->threads);
        if (score <= most) continue;
        most = score;
        point = i;
    }
    return point;
}

/* Where it cannot be, visits go without. */
static void start_pacemaker(struct ab_tune *t)
{
    struct ab_error ignored;
    if (t->space.n_points < 2 || t->require.objective == AB_OBJECTIVE_MEMORY) return;
    struct ab_visit_options o = ab_tune_visit_options(t, pacemaker_of(t));
    o.seconds = 1;
    if (ab_visit_can_pause(&o)) ab_pacemaker_start(&o, &t->pacemaker, &ignored);
}

static enum ab_status tell(struct ab_tune *t, int point, const struct ab_told *told,
                           struct ab_error *err)
{
    if (!ab_search_tell(t->search, point, told))
        return ab_fail(err, AB_ERR_MEMORY, "out of memory; tune a smaller space (--space)");
    return t->journal ? ab_journal_add(t->journal, &t->space, point, told, err) : AB_OK;
}

/* Images of an execution that were asked for at one time: those of clients that wait for one
 * another. */
static int asked_at_once(const struct ab_visit_options *o)
{
    if (o->load.kind != AB_LOAD_CLOSED) return 1;
    const int streams = o->load.streams, batch = o->deploy->batch;
    return streams > 0 && streams < batch ? streams : batch;
}

/* Room for one more whose maps are known; false: out of memory. */
static bool make_room(struct ab_tune *t)
{
    const size_t count = (size_t)t->judging.n_known + 1;
    uint64_t *known = realloc(t->judging.known, count * sizeof *known);
    if (known) t->judging.known = known;
    struct ab_agreement *agreed = realloc(t->agreed, count * sizeof *agreed);
    if (agreed) t->agreed = agreed;
    return known && agreed;
}

/* What the maps of a visit are worth, as it says or as is known. What could not be judged is not
 * known then: another process may manage. */
static struct ab_agreement agreement_of(struct ab_tune *t, const struct ab_visit *v)
{
    struct ab_agreement a = {.verdict = v->unequal ? AB_MISTRUSTED : AB_SKIPPED};
    snprintf(a.why, sizeof a.why, "%s",
             v->unequal  ? "its instances made different maps"
             : v->judged ? v->agreement.why
                         : "not judged");
    if (v->unequal) return a;
    for (int i = 0; i < t->judging.n_known; i++)
        if (t->judging.known[i] == v->map_hash) return t->agreed[i];
    if (!v->judged || v->agreement.verdict == AB_SKIPPED) return a;
    if (make_room(t)) {
        t->judging.known[t->judging.n_known] = v->map_hash;
        t->agreed[t->judging.n_known++] = v->agreement;
    }
    return v->agreement;
}

bool ab_robbery_note(struct ab_robbery *r, double stolen, double wall_s, double budget_s)
{
    static const double most = 0.05, share = 0.25;
    enum { IN_A_ROW = 2 };
    const bool drop =
        stolen > most && r->in_a_row < IN_A_ROW && r->lost_s + wall_s <= share * budget_s;
    r->in_a_row = drop ? r->in_a_row + 1 : 0;
    r->dropped += drop;
    if (drop) r->lost_s += wall_s;
    return drop;
}

/* `cut`: it ended, by an interrupt or with the budget, before anybody was served, or by an
 * interrupt before its maps were judged: nothing is known of the point. */
static enum ab_status visit(struct ab_tune *t, int point, const struct ab_visit_options *o,
                            bool *cut, struct ab_error *err)
{
    struct ab_visit v = {.requests = 0};
    struct ab_error why = {""};
    const enum ab_status visited = ab_visit(o, &v, &why);
    const struct ab_agreement agreed = agreement_of(t, &v);
    struct ab_told told = {
        .error = NULL, .wall_s = v.wall_s, .judge_s = v.judge_s, .verdict = AB_SKIPPED};
    /* A visit goes on until there are requests, if nothing ends it. */
    *cut = (visited == AB_OK && !v.requests) ||
           (ab_interrupted && (visited != AB_OK || agreed.verdict == AB_SKIPPED));
    if (*cut) t->cut_s = v.wall_s;
    const bool drop = visited == AB_OK && !*cut && !ab_interrupted &&
                      ab_robbery_note(&t->robbery, v.stolen, v.wall_s + v.judge_s, t->budget_s);
    if (*cut || drop) {
        ab_visit_free(&v);
        return AB_OK;
    }
    if (visited == AB_OK)
        told = (struct ab_told){.images_per_s = v.images_per_s,
                                .pace = v.pace,
                                .start_ns = v.start_ns,
                                .latency_ns = v.latency_ns,
                                .requests = v.requests,
                                .alike = asked_at_once(o),
                                .seconds = v.seconds,
                                .stolen = v.stolen,
                                .resident_bytes = v.resident_bytes,
                                .peak_bytes = v.peak_bytes,
                                .planned_bytes = v.planned_bytes,
                                .overloaded = v.overloaded,
                                .wall_s = v.wall_s,
                                .judge_s = v.judge_s,
                                .verdict = agreed.verdict,
                                .rel_l2 = agreed.rel_l2,
                                .max_err = agreed.max_err,
                                .why = agreed.why};
    else
        told.error = why.text;
    const enum ab_status status = tell(t, point, &told, err);
    ab_visit_free(&v);
    return status;
}

/* ---- progress ---- */

static void best_text(const struct ab_tune *t, char *text, size_t size)
{
    const int best = ab_search_best(t->search);
    *text = '\0';
    if (best < 0) return;
    char value[32];
    const double worth = ab_search_worth(t->search, best).value;
    switch (t->require.objective) {
    case AB_OBJECTIVE_LATENCY: ab_time_text(1 / worth, value, sizeof value); break;
    case AB_OBJECTIVE_THROUGHPUT: snprintf(value, sizeof value, "%.3g images/s", worth); break;
    case AB_OBJECTIVE_MEMORY: snprintf(value, sizeof value, "%.0f MB", 1e-6 / worth); break;
    }
    snprintf(text, size, "; best %s, %s", t->space.points[best].text, value);
}

static void tell_progress(struct ab_tune *t, const struct ab_ask *ask, double *done)
{
    char best[256];
    best_text(t, best, sizeof best);
    const double now = ab_search_progress(t->search, ab_tune_spent(t));
    ab_progress_step(now > *done ? now - *done : 0, "%s: %s%s", ask->phase,
                     t->space.points[ask->point].text, best);
    if (now > *done) *done = now;
}

/* ---- the search ---- */

static enum ab_status search(struct ab_tune *t, struct ab_error *err)
{
    struct ab_ask ask;
    double done = 0;
    bool cut = false;
    enum ab_status status = AB_OK;
    while (status == AB_OK && !ab_interrupted && !cut &&
           ab_search_next(t->search, ab_tune_spent(t), &ask)) {
        tell_progress(t, &ask, &done);
        struct ab_visit_options o = ab_tune_visit_options(t, ask.point);
        o.seconds = ask.seconds;
        o.judging = &t->judging;
        o.most_seconds = fmax(ask.seconds, t->budget_s - ab_tune_spent(t));
        o.least_requests = 2 * o.deploy->instances * o.deploy->batch;
        o.pacemaker = t->pacemaker;
        status = visit(t, ask.point, &o, &cut, err);
    }
    return status;
}

/* Neither in this run nor in those that it goes on with. */
static bool nothing_told(const struct ab_tune *t)
{
    for (int i = 0; i < t->space.n_points; i++) {
        const struct ab_evidence *e = ab_search_evidence(t->search, i);
        if (e->visits > 0 || e->error[0]) return false;
    }
    return true;
}

/* Where the budget ended before the first visit had served anybody. */
static enum ab_status too_little(const struct ab_tune *t, struct ab_error *err)
{
    /* A visit is more than its start and two executions, and one visit is no search. */
    static const double least_s = 60, times = 4;
    const double would_do = times * (t->opened_s + t->cut_s);
    char opened[32], cut[32], enough[32], tried[96] = "";
    ab_span_text(t->opened_s, opened);
    ab_span_text(t->cut_s, cut);
    ab_span_text(fmax(least_s, 10 * ceil(would_do / 10)), enough);
    if (t->cut_s > 0)
        snprintf(tried, sizeof tried, ", and a visit had served nobody after %s", cut);
    return ab_fail(err, AB_ERR_ARG,
                   "--budget %g s is too little for a single visit: opening the model took %s%s; "
                   "give %s or more",
                   t->budget_s, opened, tried, enough);
}

enum ab_status ab_tune_search(struct ab_tune *t, struct ab_answer *answer, struct ab_error *err)
{
    ab_progress_start(1, t->quiet);
    start_pacemaker(t);
    enum ab_status status = search(t, err);
    ab_pacemaker_stop(&t->pacemaker);
    if (status == AB_OK && !ab_interrupted && nothing_told(t)) status = too_little(t, err);
    if (status == AB_OK) status = ab_answer_make(&t->space, t->search, &t->require, answer, err);
    ab_progress_end();
    return status;
}
