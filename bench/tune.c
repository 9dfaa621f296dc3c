// SPDX-License-Identifier: Apache-2.0
// attrbench tune: which configuration to deploy.
#include "tune.h"

#include "record.h"
#include "run.h"
#include "tune_drive.h"
#include "tune_forecast_measure.h"
#include "tune_out.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct tune_settings {
    const char *model, *method, *config, *slo, *min_agree, *load, *forecast, *out;
    struct ab_words space;
    double budget;
    long seed;
    int objective; /* 1 + enum ab_objective; 0: not given */
    bool find_max_rate, confirm, exhaustive, resume, json, quiet, markdown;
};

static const double BUDGET = 300, LEAST_BUDGET = 1;
/* Of profiling the recommended plan, beside the budget. */
static const double LIMITS_SECONDS = 1;

/* What one run of the command has in hand. */
struct job {
    const struct tune_settings *s;
    struct ab_tune tune;
    struct ab_config *config; /* of --config, or NULL */
    json_t *file;             /* the same, whole */
    struct ab_words narrowing;
    char *journal; /* the path; NULL: no visits are kept */
    struct ab_answer answer;
    double searched_s; /* that the search took, of the budget; what is asked for besides is not */
    struct ab_tune_limits limits;
    bool limited; /* limits are known */
    json_t *context, *max_rate, *confirm, *forecast;
    bool confirm_failed, confirm_open;
};

/* ---- what is asked for ---- */

static enum ab_status parse_agree(const char *text, double *limit, struct ab_error *err)
{
    char *end = NULL;
    errno = 0;
    *limit = strtod(text, &end);
    if (end != text && !*end && errno == 0 && *limit > 0 && *limit <= 1) return AB_OK;
    return ab_fail(err, AB_ERR_ARG,
                   "--min-agree: '%.60s' is no error; give the largest relative L2 error that "
                   "will do, such as 1e-4",
                   text);
}

/* An option, or what the file of --config was made with; NULL: neither. */
static const char *asked(const struct job *j, const char *option, const char *name)
{
    if (option || !j->file) return option;
    return json_string_value(json_object_get(json_object_get(j->file, "tune"), name));
}

/* What is wrong with a text that is no option is told as the file's. */
static enum ab_status told_of(const struct job *j, const char *option, const char *name,
                              enum ab_status status, struct ab_error *err)
{
    if (option || status != AB_ERR_ARG) return status;
    const struct ab_error why = *err;
    return ab_fail(err, AB_ERR_FORMAT, "%.300s: tune.%s: %.300s", j->s->config, name, why.text);
}

static enum ab_status parse_objective(struct job *j, struct ab_error *err)
{
    const char *word = asked(j, NULL, "objective");
    enum ab_objective *objective = &j->tune.require.objective;
    *objective = AB_OBJECTIVE_LATENCY;
    if (j->s->objective) {
        *objective = (enum ab_objective)(j->s->objective - 1);
        return AB_OK;
    }
    for (int i = AB_OBJECTIVE_LATENCY; word && i <= AB_OBJECTIVE_MEMORY; i++)
        if (!strcmp(word, ab_objective_name((enum ab_objective)i))) {
            *objective = (enum ab_objective)i;
            return AB_OK;
        }
    if (!word) return AB_OK;
    return ab_fail(err, AB_ERR_FORMAT,
                   "%.300s: tune.objective: '%.60s' is none of latency, throughput, memory; give "
                   "--objective",
                   j->s->config, word);
}

static enum ab_status filed_agree(const struct job *j, double *limit, struct ab_error *err)
{
    const json_t *agree = json_object_get(json_object_get(j->file, "tune"), "min_agree");
    if (!agree || json_is_null(agree)) return AB_OK;
    *limit = json_number_value(agree);
    if (json_is_number(agree) && *limit > 0 && *limit <= 1) return AB_OK;
    return ab_fail(err, AB_ERR_FORMAT,
                   "%.300s: tune.min_agree: is no error from 0 to 1; give --min-agree",
                   j->s->config);
}

/* A given rate leaves no throughput to choose by. What the file chose by gives way to a load that
 * is asked for now: of one configuration there is nothing to choose. */
static enum ab_status check_load(struct job *j, const char *load, struct ab_error *err)
{
    enum ab_objective *objective = &j->tune.require.objective;
    if (j->tune.load.kind != AB_LOAD_POISSON || *objective != AB_OBJECTIVE_THROUGHPUT) return AB_OK;
    if (!j->s->objective && j->s->load) {
        *objective = AB_OBJECTIVE_LATENCY;
        return AB_OK;
    }
    const bool filed = !j->s->load, asked_rate = j->s->find_max_rate || j->s->confirm;
    return ab_fail(err, AB_ERR_ARG,
                   "%.300s%s %.40s: the rate is given, so that there is no throughput to choose "
                   "by; give --objective latency or memory, or %s%s",
                   filed ? j->s->config : "--load", filed ? ": tune.load:" : "", load,
                   filed ? "--load closed" : "leave --load out",
                   asked_rate ? "" : " and add --find-max-rate");
}

static enum ab_status parse_require(struct job *j, struct ab_error *err)
{
    const struct tune_settings *s = j->s;
    struct ab_require *r = &j->tune.require;
    const char *slo = asked(j, s->slo, "slo"), *load = asked(j, s->load, "load");
    enum ab_status status = parse_objective(j, err);
    if (status == AB_OK && slo)
        status = told_of(j, s->slo, "slo", ab_slo_parse(slo, &r->slo, err), err);
    if (status == AB_OK)
        status = s->min_agree ? parse_agree(s->min_agree, &r->min_agree, err)
                              : filed_agree(j, &r->min_agree, err);
    if (status == AB_OK && load)
        status = told_of(j, s->load, "load", ab_load_shape_parse(load, &j->tune.load, err), err);
    if (status == AB_OK) status = check_load(j, load, err);
    if (status != AB_OK) return status;
    if ((s->find_max_rate || s->confirm) && r->slo.limit_ns <= 0)
        return ab_fail(err, AB_ERR_ARG,
                       "%s: needs a limit on latency that can break; give --slo p99=80ms",
                       s->confirm ? "--confirm" : "--find-max-rate");
    return AB_OK;
}

/* A knob of a file: what --space calls it, and what the file does. */
struct fixed {
    const char *knob, *field, *value;
};
enum { FIXED = 9 };

/* Adds KNOB=VALUE to the words; whether a space of them all can be here. */
static enum ab_status fix(const struct job *j, const struct fixed *f, const struct ab_site *site,
                          struct ab_words *words, struct ab_error *err)
{
    struct ab_space space;
    struct ab_error why = {""};
    char word[96];
    const int length = snprintf(word, sizeof word, "%s=%s", f->knob, f->value);
    if (!ab_words_add(words, word, (size_t)length))
        return ab_fail(err, AB_ERR_MEMORY, "%.300s: out of memory", j->s->config);
    const enum ab_status status = ab_space_create(words, site, 0, &space, &why);
    if (status == AB_OK) ab_space_free(&space);
    if (status != AB_ERR_ARG) {
        *err = why;
        return status;
    }
    const char *reason = strstr(why.text, ": ");
    return ab_fail(err, AB_ERR_UNSUPPORTED,
                   "%.300s: deploy.%s: %s cannot be here: %.300s; or search anew for this machine: "
                   "attrbench tune --model M --method S",
                   j->s->config, f->field, f->value, reason ? reason + 2 : why.text);
}

/* Narrows the space to the one point of the file, knob by knob, so that what cannot be here is
 * named as the file does. */
static enum ab_status narrow_to(struct job *j, const struct ab_deploy *d, struct ab_error *err)
{
    char threads[16], instances[16], batch[16];
    const struct fixed all[FIXED] = {{"engine", "backend", d->backend},
                                     {"algo", "algo", ab_algo_words[d->algo]},
                                     {"memory", "memory", ab_memory_words[d->memory]},
                                     {"threads", "threads", threads},
                                     {"instances", "instances", instances},
                                     {"batch", "batch", batch},
                                     {"place", "place", ab_place_words[d->place]},
                                     {"pages", "pages", ab_pages_words[d->pages]},
                                     {"denormals", "denormals", ab_denormals_words[d->denormals]}};
    struct ab_site site;
    snprintf(threads, sizeof threads, "%d", d->threads);
    snprintf(instances, sizeof instances, "%d", d->instances);
    snprintf(batch, sizeof batch, "%d", d->batch);
    enum ab_status status = ab_site_look(&site, err);
    if (status != AB_OK) return status;
    for (int i = 0; i < FIXED && status == AB_OK; i++)
        status = fix(j, &all[i], &site, &j->narrowing, err);
    ab_site_free(&site);
    return status;
}

static enum ab_status open_config(struct job *j, struct ab_error *err)
{
    char differs[256];
    enum ab_status status = ab_config_read(j->s->config, true, &j->config, err);
    if (status != AB_OK) return status;
    j->file = json_load_file(j->s->config, JSON_REJECT_DUPLICATES, NULL);
    if (!j->file) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", j->s->config);
    status = narrow_to(j, ab_config_deploy(j->config), err);
    if (status != AB_OK) return status;
    if (ab_config_foreign(j->config, differs, sizeof differs))
        fprintf(stderr, "%s: made on another machine (%s): measured anew here\n", j->s->config,
                differs);
    j->tune.model = ab_config_model(j->config);
    j->tune.spec = ab_config_method(j->config);
    j->tune.narrowing = &j->narrowing;
    j->tune.exhaustive = true;
    return AB_OK;
}

static enum ab_status open_job(struct job *j, struct ab_error *err)
{
    const struct tune_settings *s = j->s;
    struct ab_tune *t = &j->tune;
    enum ab_status status = AB_OK;
    t->model = s->model;
    t->spec = s->method;
    t->narrowing = &s->space;
    t->exhaustive = s->exhaustive;
    t->budget_s = s->budget > 0 ? s->budget : BUDGET;
    t->seed = (uint64_t)s->seed;
    t->quiet = s->quiet;
    t->resume = s->resume;
    if (s->out && !s->config) {
        const size_t size = strlen(s->out) + sizeof ".visits";
        j->journal = malloc(size);
        if (!j->journal) return ab_fail(err, AB_ERR_MEMORY, "out of memory");
        snprintf(j->journal, size, "%s.visits", s->out);
        t->journal_path = j->journal;
    }
    if (s->config) status = open_config(j, err);
    if (status == AB_OK) status = parse_require(j, err);
    return status == AB_OK ? ab_tune_open(t, err) : status;
}

/* ---- after the search ---- */

/* In the context's terms: what the machine is, and how busy it was. */
static json_t *context_of(void)
{
    struct ab_machine machine;
    struct ab_pin *pin = ab_pin_create(&machine);
    json_t *context = ab_context_json(&machine);
    ab_pin_destroy(&pin);
    return context;
}

static void find_limits(struct job *j)
{
    struct ab_error err;
    if (j->answer.recommended < 0 || ab_interrupted) return;
    const struct ab_deploy *d = &j->tune.space.points[j->answer.recommended].deploy;
    j->limited = ab_tune_limits(j->tune.source.graph, j->tune.method, d, NULL, LIMITS_SECONDS,
                                &j->limits, &err) == AB_OK;
    if (!j->limited) fprintf(stderr, "note: what limits it is not known: %s\n", err.text);
}

/* The rate at which the SLO breaks, in what the search left of the budget and at least a minute;
 * and a minute at 80 % of it. */
static const double CONFIRM_SHARE = 0.8, CONFIRM_SECONDS = 60, RATE_SECONDS = 60;

static enum ab_status find_rate(struct job *j, struct ab_max_rate *rate, struct ab_error *err)
{
    const struct ab_tune *t = &j->tune;
    const struct ab_visit_options base = ab_tune_visit_options(t, j->answer.recommended);
    const struct ab_evidence *e = ab_search_evidence(t->search, j->answer.recommended);
    const struct ab_deploy *d = &t->space.points[j->answer.recommended].deploy;
    /* Other loads do not show what it can do at most. */
    const bool full = t->load.kind == AB_LOAD_CLOSED &&
                      (t->load.streams == 0 || t->load.streams >= d->instances * d->batch);
    const double closed = full ? ab_evidence_rate(e, j->answer.noise).value : 0;
    const double seconds = fmax(RATE_SECONDS, t->budget_s - j->searched_s);
    if (!t->quiet) fprintf(stderr, "the rate at which the SLO breaks, in about %.0f s\n", seconds);
    return ab_tune_max_rate(&base, &t->require.slo, closed, seconds, rate, err);
}

/* `enough`: there were requests to decide by. */
static enum ab_status serve_minute(struct job *j, double rate, uint64_t seed,
                                   enum ab_slo_state *state, bool *enough, struct ab_error *err)
{
    const struct ab_tune *t = &j->tune;
    const struct ab_slo *slo = &t->require.slo;
    struct ab_visit_options o = ab_tune_visit_options(t, j->answer.recommended);
    struct ab_visit v;
    o.load = (struct ab_load_shape){.kind = AB_LOAD_POISSON, .rate = rate};
    o.seconds = CONFIRM_SECONDS;
    o.seed = seed;
    if (!t->quiet)
        fprintf(stderr, "confirming %.3g requests a second for %.0f s\n", rate, o.seconds);
    const enum ab_status status = ab_visit(&o, &v, err);
    if (status != AB_OK) return status;
    /* Clients who wait behind one another are no independent samples. */
    struct ab_slo_looks look = {0};
    *state = ab_slo_look(&look, slo, v.latency_ns, v.requests, AB_TUNE_CONFIDENCE, true);
    if (v.overloaded) *state = AB_SLO_BROKEN;
    *enough = v.requests >= ab_percentile_least(slo->quantile, AB_TUNE_CONFIDENCE);
    const double clumps = ab_slo_clumps(slo, v.latency_ns, v.requests);
    ab_sort(v.latency_ns, (size_t)v.requests);
    const struct ab_percentile p = ab_percentile_of_clumps(v.latency_ns, v.requests, clumps,
                                                           slo->quantile, AB_TUNE_CONFIDENCE);
    json_decref(j->confirm);
    j->confirm = ab_tune_confirm_json(&v, rate, *state, &p);
    ab_visit_free(&v);
    return AB_OK;
}

/* What held in short probes may have held by luck, or while the machine was quiet: where a minute
 * does not bear it out, less is tried. */
static enum ab_status confirm(struct job *j, struct ab_max_rate *found, struct ab_error *err)
{
    enum { MINUTES = 3 };
    enum ab_slo_state state = AB_SLO_OPEN;
    bool enough = true;
    for (uint64_t i = 1; i <= MINUTES && found->held > 0 && enough && !ab_interrupted; i++) {
        const double rate = CONFIRM_SHARE * found->held;
        /* Arrivals that no probe has seen. */
        const enum ab_status status = serve_minute(j, rate, j->tune.seed + i, &state, &enough, err);
        if (status != AB_OK) return status;
        if (state == AB_SLO_HELD) break;
        if (enough && !ab_interrupted) ab_rate_withdraw(found, rate, state == AB_SLO_BROKEN);
    }
    j->confirm_failed = state == AB_SLO_BROKEN;
    j->confirm_open = state == AB_SLO_OPEN;
    return AB_OK;
}

static enum ab_status rates(struct job *j, struct ab_error *err)
{
    struct ab_max_rate found;
    if (!j->s->find_max_rate && !j->s->confirm) return AB_OK;
    if (j->answer.recommended < 0 || ab_interrupted) return AB_OK;
    enum ab_status status = find_rate(j, &found, err);
    if (status == AB_OK && j->s->confirm && !ab_interrupted) {
        if (!(found.held > 0))
            fprintf(stderr, "note: no rate was found that holds the SLO: nothing to confirm\n");
        status = confirm(j, &found, err);
    }
    if (status == AB_OK) j->max_rate = ab_tune_rate_json(&found);
    return status;
}

static void say(void *user, const char *what)
{
    (void)user;
    fprintf(stderr, "forecast: %s\n", what);
}

static enum ab_status forecast(struct job *j, struct ab_error *err)
{
    struct ab_forecast_ask asks[AB_FORECAST_ASKS];
    struct ab_forecast found[AB_FORECAST_ASKS];
    int count;
    if (!j->s->forecast || j->answer.recommended < 0 || ab_interrupted) return AB_OK;
    enum ab_status status = ab_forecast_parse(j->s->forecast, asks, &count, err);
    const struct ab_forecast_options o = {.model = j->tune.model,
                                          .method = j->tune.spec,
                                          .deploy =
                                              &j->tune.space.points[j->answer.recommended].deploy,
                                          .site = &j->tune.site,
                                          .asks = asks,
                                          .n_asks = count,
                                          .seed = j->tune.seed,
                                          .say = j->s->quiet ? NULL : say};
    if (status == AB_OK) status = ab_forecast_measure(&o, found, err);
    if (status != AB_OK) return status;
    j->forecast = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(j->forecast, ab_forecast_json(&found[i]));
    return AB_OK;
}

/* ---- what comes of it ---- */

static enum ab_status show(struct job *j, int *code, struct ab_error *err)
{
    const struct tune_settings *s = j->s;
    const struct ab_tune *t = &j->tune;
    const struct ab_tune_result r = {.model = t->model,
                                     .method = t->spec,
                                     .file = ab_tune_file(t),
                                     .graph = t->source.graph,
                                     .site = &t->site,
                                     .space = &t->space,
                                     .search = t->search,
                                     .require = &t->require,
                                     .answer = &j->answer,
                                     .load = t->load,
                                     .budget_s = t->budget_s,
                                     .spent_s = j->searched_s,
                                     .seed = t->seed,
                                     .interrupted = ab_interrupted,
                                     .dropped = t->robbery.dropped,
                                     .out = s->out,
                                     .limits = j->limited ? &j->limits : NULL,
                                     .max_rate = j->max_rate,
                                     .confirm = j->confirm,
                                     .forecast = j->forecast,
                                     .context = j->context};
    *code = (int)ab_tune_exit(&r);
    if (*code == AB_EXIT_OK && j->confirm_failed) *code = AB_EXIT_NOTHING;
    if (*code == AB_EXIT_OK && j->confirm_open) *code = AB_EXIT_INCONCLUSIVE;
    json_t *root = ab_tune_json(&r);
    if (!root) return ab_fail(err, AB_ERR_MEMORY, "out of memory for the answer");
    enum ab_status status = AB_OK;
    if (s->out && j->answer.recommended >= 0) status = ab_tune_write(s->out, root, err);
    if (s->json) {
        json_dumpf(root, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII);
        putchar('\n');
    } else if (s->markdown)
        ab_tune_markdown(stdout, &r);
    else
        ab_tune_card(stdout, &r);
    json_decref(root);
    return status;
}

static void close_job(struct job *j)
{
    ab_answer_free(&j->answer);
    ab_tune_close(&j->tune);
    ab_config_destroy(&j->config);
    ab_words_free(&j->narrowing);
    free(j->journal);
    json_decref(j->file);
    json_decref(j->context);
    json_decref(j->max_rate);
    json_decref(j->confirm);
    json_decref(j->forecast);
}

static int check(const struct tune_settings *s)
{
    struct ab_forecast_ask asks[AB_FORECAST_ASKS];
    struct ab_error err;
    int count;
    if (s->config && (s->model || s->method || s->space.count || s->exhaustive))
        return ab_complain(AB_EXIT_USAGE,
                           "tune: --config %s says the model, the method and the knobs: leave out "
                           "%s",
                           s->config,
                           s->model         ? "--model"
                           : s->method      ? "--method"
                           : s->space.count ? "--space"
                                            : "--exhaustive");
    if (!s->config && (!s->model || !s->method))
        return ab_complain(AB_EXIT_USAGE, "tune: %s is missing; see attrbench tune --help",
                           s->model ? "--method S" : "--model M");
    if (s->resume && s->config)
        return ab_complain(
            AB_EXIT_USAGE,
            "tune: --resume: a configuration that is measured again (--config) keeps "
            "no visits; leave out --resume");
    if (s->resume && !s->out)
        return ab_complain(AB_EXIT_USAGE,
                           "tune: --resume: visits are kept beside the file of --out; give it");
    if (s->budget > 0 && s->budget < LEAST_BUDGET)
        return ab_complain(AB_EXIT_USAGE,
                           "tune: --budget: less than a second serves nothing; give 60s or more");
    if (s->forecast && ab_forecast_parse(s->forecast, asks, &count, &err) != AB_OK)
        return ab_complain(AB_EXIT_USAGE, "%s", err.text);
    return 0;
}

static int run_command(void *user, int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct tune_settings *s = user;
    struct job j = {.s = s};
    struct ab_error err;
    int code = check(s);
    if (code) return code;
    ab_interrupt_catch();
    enum ab_status status = open_job(&j, &err);
    if (status == AB_OK) j.context = context_of();
    if (status == AB_OK) status = ab_tune_search(&j.tune, &j.answer, &err);
    j.searched_s = ab_tune_spent(&j.tune);
    if (status == AB_OK) {
        find_limits(&j);
        status = rates(&j, &err);
        if (status == AB_OK) status = forecast(&j, &err);
        ab_context_end(j.context);
        struct ab_error show_err;
        const enum ab_status shown = show(&j, &code, &show_err);
        if (status == AB_OK && shown != AB_OK) status = shown, err = show_err;
    }
    close_job(&j);
    return status == AB_OK ? code : ab_complain_status(status, &err);
}

#define FIELD(name) offsetof(struct tune_settings, name)
static const struct ab_option options[] = {
    {"model", "M", "a built-in network (attrbench models) or an ONNX file", AB_OPTION_TEXT,
     FIELD(model)},
    {"method", "S", "what is deployed: NAME or NAME:key=value,... (attrbench methods)",
     AB_OPTION_TEXT, FIELD(method)},
    {"objective", "latency|throughput|memory",
     "what is best: the least latency (of the SLO's quantile, else the median; the default), the\n"
     "most images a second, or the least memory",
     AB_OPTION_PICK, FIELD(objective)},
    {"slo", "pQ=T", "a limit on latency that must hold, such as p99=80ms", AB_OPTION_TEXT,
     FIELD(slo)},
    {"min-agree", "E",
     "the largest relative L2 error against the reference that will do, such as 1e-4; default:\n"
     "what the method's class allows",
     AB_OPTION_TEXT, FIELD(min_agree)},
    {"load", "L",
     "closed (clients that fill all instances), closed:N (N clients), poisson:R (R requests a\n"
     "second at random); default closed",
     AB_OPTION_TEXT, FIELD(load)},
    {"budget", "T",
     "time of the search; --find-max-rate (what the search left of it, at least a minute),\n"
     "--confirm (1 to 3 minutes) and --forecast come on top; default 5m",
     AB_OPTION_SECONDS, FIELD(budget)},
    {"space", "KNOB=V,V",
     "the values of a knob: engine, algo, memory, threads, instances, batch, place, pages,\n"
     "denormals; may be repeated; default: all that this machine has",
     AB_OPTION_TEXTS, FIELD(space)},
    {"find-max-rate", NULL, "the rate of random requests at which the SLO breaks", AB_OPTION_FLAG,
     FIELD(find_max_rate)},
    {"confirm", NULL,
     "serves at 80 % of that rate for a minute, and at less while the SLO does not hold",
     AB_OPTION_FLAG, FIELD(confirm)},
    {"forecast", "WHAT=N[,..]",
     "what cores=16, size=448 or batch=16 would make of it, from fits to measurements",
     AB_OPTION_TEXT, FIELD(forecast)},
    {"config", "F",
     "measures that configuration, on this machine, instead of searching; objective, limits and\n"
     "load are those it was made with, unless others are given",
     AB_OPTION_TEXT, FIELD(config)},
    {"out", "F.json",
     "where the configuration goes; the visits of a search are kept in F.json.visits until then\n"
     "and after (those of --config are not)",
     AB_OPTION_TEXT, FIELD(out)},
    {"resume", NULL, "goes on with the visits of a search that ended early", AB_OPTION_FLAG,
     FIELD(resume)},
    {"exhaustive", NULL, "visits every configuration once, then goes on as a search does",
     AB_OPTION_FLAG, FIELD(exhaustive)},
    {"seed", "N", "of the search and of arrivals; default 0", AB_OPTION_COUNT, FIELD(seed)},
    {"json", NULL, "the answer and all points as JSON", AB_OPTION_FLAG, FIELD(json)},
    {"markdown", NULL, "the answer as a row of a Markdown table", AB_OPTION_FLAG, FIELD(markdown)},
    {"quiet", NULL, "no progress", AB_OPTION_FLAG, FIELD(quiet)},
};

const struct ab_command ab_command_tune = {
    .name = "tune",
    .summary = "finds the configuration to deploy: backend, threads, instances, batch and more",
    .usage = "--model M --method S [--slo p99=80ms] [--objective O] [--budget T] [--out F.json] | "
             "--config F",
    .more =
        "Every configuration is served by a fresh process under the load; its maps are held "
        "against the\nreference, and one that fails is never recommended. Exit code: 0 "
        "recommended, 5 nothing meets the\nrequirements (with --confirm: or the limit broke), 6 "
        "all that is fast enough disagrees, 4 the budget\nended too early to say, or the host of a "
        "virtual machine took too much of the CPU time\n(with --confirm: or the limit stayed open, "
        "or no rate held), 130 interrupted (the answer so far is\nprinted). docs/tune.md",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_size = sizeof(struct tune_settings),
    .run = run_command,
};
