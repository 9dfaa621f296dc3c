// SPDX-License-Identifier: Apache-2.0
// attrbench theory: options, the order of experiments, and the files of the run.
#include "command.h"
#include "run.h"
#include "theory_result.h"
#include "theory_subject.h"

#include "ab_version.h"
#include "base/outfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ab_experiment *const experiments[] = {
#define AB_EXPERIMENT(symbol) &ab_experiment_##symbol,
#include "theory.def"
#undef AB_EXPERIMENT
};
enum { EXPERIMENTS = sizeof experiments / sizeof *experiments };

const struct ab_experiment *const *ab_experiments(int *count)
{
    *count = EXPERIMENTS;
    return experiments;
}

struct theory_settings {
    int tier, explained, normalise, redrawn; /* enums of theory.h and theory_subject.h */
    const char *model, *preprocess, *backend, *out;
    struct ab_words inputs, experiments, methods;
    long images, seed, threads;
    bool json;
};

struct job {
    const struct theory_settings *settings;
    const struct ab_experiment *chosen[EXPERIMENTS];
    int n_chosen;
    struct ab_subject_owner owner;
    const char *folder;
    FILE *talk;
    json_t *document;                       /* what theory.json holds */
    struct ab_result *results[EXPERIMENTS]; /* finished ones, for the summary */
    int n_results;
    bool contradicted, failed;
};

/* ---- what was asked for ---- */

static enum ab_status unknown_experiment(const char *word, struct ab_error *err)
{
    const char *names[EXPERIMENTS];
    char list[256] = "";
    for (int i = 0; i < EXPERIMENTS; i++) {
        names[i] = experiments[i]->name;
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = ab_nearest(word, names, EXPERIMENTS);
    return ab_fail(err, AB_ERR_ARG, "theory: unknown experiment '%s'%s%s%s; there are: %s", word,
                   near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "", list);
}

/* In the order of the list, each once. */
static enum ab_status choose(struct job *j, struct ab_error *err)
{
    const struct ab_words *words = &j->settings->experiments;
    bool wanted[EXPERIMENTS] = {false};
    for (int i = 0; i < words->count; i++) {
        const bool all = !strcmp(words->items[i], "all");
        bool found = all;
        for (int k = 0; k < EXPERIMENTS; k++) {
            if (!all && strcmp(words->items[i], experiments[k]->name) != 0) continue;
            wanted[k] = found = true;
        }
        if (!found) return unknown_experiment(words->items[i], err);
    }
    for (int k = 0; k < EXPERIMENTS; k++)
        if (wanted[k] || !words->count) j->chosen[j->n_chosen++] = experiments[k];
    return AB_OK;
}

static enum ab_status open_subject(struct job *j, struct ab_error *err)
{
    const struct theory_settings *s = j->settings;
    if (s->threads > 1024)
        return ab_fail(err, AB_ERR_ARG, "theory: --threads %ld: at most 1024", s->threads);
    const struct ab_subject_request request = {
        .options = {.seed = (uint64_t)s->seed,
                    .threads = s->threads ? (int)s->threads : 1,
                    .backend = s->backend,
                    .explained = (enum ab_explained)s->explained,
                    .normalise = (enum ab_normalise)s->normalise,
                    .redrawn = (enum ab_redrawn)s->redrawn},
        .tier = (enum ab_tier)s->tier,
        .model = s->model,
        .preprocess = s->preprocess,
        .inputs = &s->inputs,
        .methods = &s->methods,
        .images = (int)s->images};
    return ab_subject_open(&request, &j->owner, err);
}

static enum ab_status open_folder(struct job *j, struct ab_error *err)
{
    j->folder = j->settings->out ? j->settings->out : "./attrbench-out/theory";
    if (strlen(j->folder) > 1000)
        return ab_fail(err, AB_ERR_ARG, "--out: the name is too long; choose a shorter one");
    if (ab_make_folders(j->folder) && access(j->folder, W_OK | X_OK) == 0) return AB_OK;
    return ab_fail(err, AB_ERR_IO, "%s: cannot be written: %s; choose another --out", j->folder,
                   strerror(errno));
}

/* ---- theory.json ---- */

static const char *word_of(const char *choices, int place)
{
    static char word[32];
    while (place-- > 0) choices += strcspn(choices, "|") + 1;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(choices, "|"), choices);
    return word;
}

static const char EXPLAINED[] = "original|randomised", NORMALISE[] = "signed|abs|clip",
                  REDRAW[] = "fresh|second";

static json_t *subject_json(const struct job *j)
{
    const struct ab_subject *s = &j->owner.subject;
    const struct theory_settings *set = j->settings;
    json_t *methods = json_array(), *object = json_object(), *protocol = json_object();
    for (int m = 0; m < s->n_methods; m++)
        json_array_append_new(methods, json_string(ab_method_spec(s->methods[m])));
    json_object_set_new(object, "subject", json_string(s->name));
    json_object_set_new(object, "trained", json_boolean(s->trained));
    json_object_set_new(object, "images", json_integer(s->n));
    json_object_set_new(object, "synthetic_images", json_boolean(s->synthetic));
    json_object_set_new(object, "seed", json_integer((json_int_t)set->seed));
    json_object_set_new(object, "threads", json_integer(s->options.threads));
    json_object_set_new(object, "backend", json_string(set->backend ? set->backend : "native"));
    json_object_set_new(object, "methods", methods);
    json_object_set_new(protocol, "explained", json_string(word_of(EXPLAINED, set->explained)));
    json_object_set_new(protocol, "normalise", json_string(word_of(NORMALISE, set->normalise)));
    json_object_set_new(protocol, "redraw", json_string(word_of(REDRAW, set->redrawn)));
    json_object_set_new(object, "randomisation", protocol);
    return object;
}

static enum ab_status start_document(struct job *j, struct ab_error *err)
{
    json_t *context = subject_json(j);
    json_object_set_new(context, "schema", json_integer(1));
    json_object_set_new(context, "attrbench", json_string(AB_VERSION));
    json_object_set_new(context, "git_revision", json_string(AB_GIT_REVISION));
    json_object_set_new(context, "compiler", json_string(AB_COMPILER));
    json_object_set_new(context, "interrupted", json_false());
    json_object_set_new(context, "seconds", json_object());
    j->document = json_object();
    if (json_object_set_new(j->document, "context", context) == 0 &&
        json_object_set_new(j->document, "experiments", json_array()) == 0)
        return AB_OK;
    return ab_fail(err, AB_ERR_MEMORY, "out of memory for theory.json");
}

static bool print_document(FILE *f, const json_t *document)
{
    const size_t flags =
        JSON_INDENT(1) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9);
    return json_dumpf(document, f, flags) == 0 && fputc('\n', f) != EOF;
}

static enum ab_status write_document(const struct job *j, struct ab_error *err)
{
    char path[1100];
    struct ab_outfile out;
    snprintf(path, sizeof path, "%s/theory.json", j->folder);
    enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    if (!print_document(out.stream, j->document))
        status = ab_fail(err, AB_ERR_IO, "%s: cannot be written; choose another --out", path);
    return ab_outfile_close(&out, status, err);
}

static enum ab_status keep(struct job *j, struct ab_result *r, double seconds, struct ab_error *err)
{
    json_t *entry = ab_result_json(r);
    json_t *times = json_object_get(json_object_get(j->document, "context"), "seconds");
    const char *name = j->chosen[j->n_results]->name;
    if (!entry || !ab_result_whole(r) ||
        json_array_append_new(json_object_get(j->document, "experiments"), entry) != 0)
        return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for its results", name);
    json_object_set_new(times, name, json_real(seconds));
    ab_progress_clear();
    ab_result_print(j->talk, r);
    fflush(j->talk);
    enum ab_status status = ab_result_write_plots(r, j->folder, err);
    return status == AB_OK ? write_document(j, err) : status;
}

/* ---- running ---- */

static enum ab_status run_one(struct job *j, const struct ab_experiment *e, struct ab_error *err)
{
    struct ab_result *r = ab_result_new(e);
    if (!r) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", e->name);
    const double start = ab_now_ns();
    ab_progress_step(0, "%s: %s", e->name, e->question);
    enum ab_status status = e->run(&j->owner.subject, r, err);
    const bool finished = status == AB_OK && ab_result_finished(r);
    if (finished) {
        ab_result_progress(r, 1, "done");
        j->results[j->n_results] = r;
        status = keep(j, r, (ab_now_ns() - start) / 1e9, err);
        j->contradicted = j->contradicted || ab_result_contradicted(r);
        j->n_results++;
        return status;
    }
    if (status == AB_OK && !ab_interrupted)
        status = ab_fail(err, AB_ERR_INTERNAL, "%s: came to no verdict", e->name);
    ab_result_free(&r);
    return status;
}

static void tell_subject(const struct job *j)
{
    const struct ab_subject *s = &j->owner.subject;
    fprintf(j->talk, "%s: %s weights, %d %s of %dx%dx%d, %d methods, seed %ld\n", s->name,
            s->trained ? "trained" : "random", s->n,
            s->synthetic ? "images of 1/f noise" : "images", s->dims.c, s->dims.h, s->dims.w,
            s->n_methods, j->settings->seed);
    for (int i = 0; i < j->owner.left_out.count; i++)
        ab_progress_note("left out: %s", j->owner.left_out.items[i]);
}

static void summarise(const struct job *j)
{
    if (j->n_results > 1) fprintf(j->talk, "\n== what the experiments found\n");
    for (int i = 0; j->n_results > 1 && i < j->n_results; i++)
        ab_result_print_verdicts(j->talk, j->results[i]);
    fprintf(j->talk, "\nresults: %s/theory.json\nplots: %s/*.svg\n", j->folder, j->folder);
}

static int finish(struct job *j)
{
    struct ab_error err;
    json_t *context = json_object_get(j->document, "context");
    ab_progress_end();
    if (ab_interrupted) json_object_set_new(context, "interrupted", json_true());
    if (write_document(j, &err) != AB_OK) return ab_complain(AB_EXIT_ERROR, "%s", err.text);
    summarise(j);
    if (j->settings->json && !print_document(stdout, j->document))
        return ab_complain(AB_EXIT_ERROR, "standard output: cannot be written; redirect elsewhere");
    if (ab_interrupted)
        return ab_complain(AB_EXIT_INTERRUPTED,
                           "interrupted: %s/theory.json holds the finished experiments; run again "
                           "for the rest",
                           j->folder);
    if (j->contradicted)
        return ab_complain(AB_EXIT_DISAGREE, "theory: an exact claim does not hold: see above");
    return j->failed ? AB_EXIT_ERROR : AB_EXIT_OK;
}

static enum ab_status set_up(struct job *j, struct ab_error *err)
{
    enum ab_status status = choose(j, err);
    if (status == AB_OK) status = open_subject(j, err);
    if (status == AB_OK) status = open_folder(j, err);
    if (status == AB_OK) status = start_document(j, err);
    return status;
}

static int run_all(struct job *j)
{
    double total = 0;
    for (int i = 0; i < j->n_chosen; i++) total += j->chosen[i]->seconds;
    ab_interrupt_catch();
    tell_subject(j);
    ab_progress_start(total, false);
    for (int i = 0; i < j->n_chosen && !ab_interrupted; i++) {
        struct ab_error err;
        if (run_one(j, j->chosen[i], &err) == AB_OK) continue;
        ab_progress_clear();
        ab_complain(AB_EXIT_ERROR, "%s: %s", j->chosen[i]->name, err.text);
        j->failed = true;
    }
    return finish(j);
}

static int run_theory(void *user, int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct theory_settings *settings = user;
    struct job j = {.settings = settings, .talk = settings->json ? stderr : stdout};
    struct ab_error err;
    const enum ab_status status = set_up(&j, &err);
    const int code = status == AB_OK ? run_all(&j) : ab_complain_status(status, &err);
    for (int i = 0; i < j.n_results; i++) ab_result_free(&j.results[i]);
    json_decref(j.document);
    ab_subject_close(&j.owner);
    return code;
}

#define FIELD(name) offsetof(struct theory_settings, name)
static const struct ab_option options[] = {
    {"tier", "synthetic|digits",
     "synthetic: a random VGG-like network and 1/f noise, no data needed (default);\ndigits: the "
     "trained network and the digits that come with attrbench",
     AB_OPTION_CHOICE, FIELD(tier)},
    {"model", "M", "another network: built in (attrbench models), or an ONNX file", AB_OPTION_TEXT,
     FIELD(model)},
    {"input", "F|DIR", "images for --model, as in attrbench run; default: 1/f noise",
     AB_OPTION_TEXTS, FIELD(inputs)},
    {"preprocess", "P", "of the images, as in attrbench run", AB_OPTION_TEXT, FIELD(preprocess)},
    {"experiment", "E[,E]...", "which; default: all; see below", AB_OPTION_LIST,
     FIELD(experiments)},
    {"method", "S[,S]...",
     "methods (attrbench methods), NAME or NAME:key=value,...; default: the usual\nones, without "
     "multiplication by the input",
     AB_OPTION_METHODS, FIELD(methods)},
    {"images", "N", "how many; default: 16 of noise, all of the others", AB_OPTION_COUNT,
     FIELD(images)},
    {"seed", "N", "of every random number; default 0", AB_OPTION_COUNT, FIELD(seed)},
    {"threads", "N", "threads; default 1; results do not depend on it", AB_OPTION_COUNT,
     FIELD(threads)},
    {"backend", "B", "native, native:ISA, onednn or reference; default native", AB_OPTION_TEXT,
     FIELD(backend)},
    {"explained", EXPLAINED,
     "randomisation: explain the class that the original network ranks first\n(default), or the "
     "one of the randomised network",
     AB_OPTION_CHOICE, FIELD(explained)},
    {"normalise", NORMALISE,
     "randomisation: maps before they are compared: channel sums (default), their\nabsolute "
     "values, or clipped at the 99.5th percentile",
     AB_OPTION_CHOICE, FIELD(normalise)},
    {"redraw", REDRAW,
     "randomisation: new random weights each time (default), or always those of one\nsecond "
     "random network",
     AB_OPTION_CHOICE, FIELD(redrawn)},
    {"json", NULL, "theory.json on standard output too; talk goes to standard error",
     AB_OPTION_FLAG, FIELD(json)},
    {"out", "DIR", "where theory.json and the plots go; default ./attrbench-out/theory",
     AB_OPTION_TEXT, FIELD(out)},
};

const struct ab_command ab_command_theory = {
    .name = "theory",
    .summary = "experiments on why attributions look as they do, with their plots",
    .usage = "[OPTION]...",
    .more = "Experiments: all, or of alignment, class, randomisation. What each measures, and how "
            "to read\nthe plots: docs/theory.md. Exit code 6: a mathematical identity does not "
            "hold.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_size = sizeof(struct theory_settings),
    .run = run_theory,
};
