// SPDX-License-Identifier: Apache-2.0
// attrbench run: options, the rows to measure, and the order of events.
#include "command.h"
#include "method/params.h"
#include "model/graph.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

volatile sig_atomic_t ab_interrupted;

/* A later one does not wait for a long execution; results.jsonl holds what is finished. Within a
 * second it is the same one again, delivered to the process and to its group. */
static void on_signal(int number)
{
    static time_t first;
    (void)number;
    time_t now = time(NULL);
    if (ab_interrupted && now - first > 1) _exit(AB_EXIT_INTERRUPTED);
    if (!ab_interrupted) first = now;
    ab_interrupted = 1;
}

void ab_interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool ab_interrupt_asked(void)
{
    return ab_interrupted;
}

/* ---- setting up ---- */

static enum ab_status open_images(struct ab_run *run, struct ab_run_model *m, struct ab_error *err)
{
    const struct ab_run_settings *s = run->settings;
    struct ab_dims d = m->source.dims;
    enum ab_status status = AB_OK;
    for (int i = 0; i < s->inputs.count && status == AB_OK; i++)
        status = ab_images_add(&m->images, s->inputs.items[i], d, &m->preprocess, 0, err);
    if (status != AB_OK || s->inputs.count) return status;
    return ab_images_usual(&m->images, &m->source, &m->preprocess, err);
}

static enum ab_status open_model(struct ab_run *run, const char *name, struct ab_run_model *m,
                                 struct ab_error *err)
{
    const struct ab_run_settings *s = run->settings;
    enum ab_status status = ab_source_open(name, s->labels, &m->source, err);
    if (status == AB_OK)
        status = ab_preprocess_parse(s->preprocess, m->source.dims, &m->preprocess, err);
    if (status == AB_OK) status = ab_targets_parse(s->target, &m->source, &m->targets, err);
    if (status == AB_OK) status = open_images(run, m, err);
    m->map = m->source.dims;
    if (status == AB_OK && s->at) {
        status = ab_graph_find(m->source.graph, s->at, &m->at, err);
        if (status == AB_OK) m->map = m->source.graph->nodes[m->at].dims;
    }
    return status;
}

/* Networks where none are named; on the large one a brief run takes the first of main_methods. */
enum { BRIEF_METHODS = 5 };
static const struct {
    const char *name;
    int brief;
} main_job[] = {{"digits", 0}, {"vgg16", BRIEF_METHODS}};
enum { MAIN_MODELS = sizeof main_job / sizeof *main_job };

/* One method of each kind, and behind them the other usual ones. */
static struct ab_words main_methods(void)
{
    static char *names[] = {
        (char *)"gradient",    (char *)"guided-backprop", (char *)"rectgrad",
        (char *)"lrp-epsilon", (char *)"lrp-zplus",       (char *)"input-x-gradient",
        (char *)"deconvnet",   (char *)"lrp-0",           (char *)"lrp-alpha-beta",
        (char *)"dtd",         (char *)"epsilon-plus"};
    return (struct ab_words){names, sizeof names / sizeof *names};
}

static enum ab_status open_models(struct ab_run *run, struct ab_error *err)
{
    const struct ab_words *given = &run->settings->models;
    const int count = given->count ? given->count : MAIN_MODELS;
    run->models = calloc((size_t)count, sizeof *run->models);
    if (!run->models) return ab_fail(err, AB_ERR_MEMORY, "out of memory for models");
    for (int i = 0; i < count; i++) {
        run->n_models++;
        const char *name = given->count ? given->items[i] : main_job[i].name;
        enum ab_status status = open_model(run, name, &run->models[i], err);
        if (!given->count) run->models[i].brief = main_job[i].brief;
        if (status != AB_OK) return status;
    }
    return AB_OK;
}

static enum ab_status choose_backends(struct ab_run *run, struct ab_error *err)
{
    const struct ab_words *given = &run->settings->backends;
    int known;
    const struct ab_backend_info *infos = ab_backends(&known);
    int count = given->count ? given->count : known;
    if (count > AB_MAX_BACKENDS)
        return ab_fail(err, AB_ERR_ARG, "--backend: at most %d in one run", AB_MAX_BACKENDS);
    for (int i = 0; i < count; i++) {
        const char *name = given->count ? given->items[i] : infos[i].name;
        enum ab_status status = ab_backend_check(name, err);
        if (status != AB_OK) return status;
        run->backends[run->n_backends++] = name;
    }
    return AB_OK;
}

static enum ab_status fill_setting(struct ab_setting *s, struct ab_error *err)
{
    struct ab_dims d = s->model->source.dims;
    size_t image = (size_t)d.c * (size_t)d.h * (size_t)d.w, batch = (size_t)s->batch;
    s->input = malloc(batch * image * sizeof *s->input);
    const struct ab_targets *targets = &s->model->targets;
    s->targets = malloc(batch * (size_t)targets->count * sizeof *s->targets);
    if (!s->input || !s->targets) return ab_fail(err, AB_ERR_MEMORY, "out of memory for images");
    ab_images_fill(&s->model->images, d, s->batch, s->input);
    for (size_t n = 0; n < batch; n++)
        memcpy(s->targets + n * (size_t)targets->count, targets->items,
               sizeof(int) * (size_t)targets->count);
    return AB_OK;
}

static enum ab_status make_settings(struct ab_run *run, struct ab_error *err)
{
    static const struct ab_counts one = {{1}, 1};
    const struct ab_counts *batches = run->settings->batches.count ? &run->settings->batches : &one;
    run->all_settings = calloc((size_t)(run->n_models * batches->count), sizeof *run->all_settings);
    if (!run->all_settings) return ab_fail(err, AB_ERR_MEMORY, "out of memory for settings");
    for (int m = 0; m < run->n_models; m++)
        for (int b = 0; b < batches->count; b++) {
            struct ab_setting *s = &run->all_settings[run->n_settings++];
            s->model = &run->models[m];
            s->batch = batches->items[b];
            s->n_methods = run->n_methods;
            if (run->brief && s->model->brief) s->n_methods = s->model->brief;
            enum ab_status status = fill_setting(s, err);
            if (status != AB_OK) return status;
        }
    return AB_OK;
}

/* The command that measures this row alone. */
static void write_repro(const struct ab_run *run, struct ab_record *r)
{
    const struct ab_run_settings *s = run->settings;
    int used = snprintf(r->repro, sizeof r->repro,
                        "attrbench run --model '%s' --method '%s' --backend '%s'%s --threads %d "
                        "--batch %d",
                        r->model, r->method, r->backend,
                        strcmp(r->backend, "onednn") != 0 ? " --backend onednn" : "", r->threads,
                        r->batch);
    const struct {
        const char *flag, *value;
    } texts[] = {{"target", s->target},
                 {"at", s->at},
                 {"preprocess", s->preprocess},
                 {"algo", s->algo ? r->algo : NULL},
                 {"memory", s->memory ? r->memory : NULL},
                 {"cache", s->cache ? ab_cache_name(r->cache) : NULL},
                 {"denormals", s->denormals ? ab_denormals_name(r->denormals) : NULL},
                 {"pages", s->pages ? ab_pages_name(r->pages) : NULL}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].value && used < (int)sizeof r->repro)
            used += snprintf(r->repro + used, sizeof r->repro - (size_t)used, " --%s '%s'",
                             texts[i].flag, texts[i].value);
    for (int i = 0; i < s->inputs.count && used < (int)sizeof r->repro; i++)
        used += snprintf(r->repro + used, sizeof r->repro - (size_t)used, " --input '%s'",
                         s->inputs.items[i]);
}

static void fill_row(struct ab_run *run, struct ab_group *g, int b)
{
    struct ab_row *row = &g->rows[b];
    struct ab_record *r = &row->record;
    struct ab_dims d = g->setting->model->source.dims;
    row->group = g;
    row->backend = b;
    ab_record_init(r);
    r->kind = "method";
    snprintf(r->op, sizeof r->op, "attribute");
    snprintf(r->shape, sizeof r->shape, "n%dc%dh%dw%d", g->setting->batch, d.c, d.h, d.w);
    snprintf(r->model, sizeof r->model, "%s", g->setting->model->source.name);
    snprintf(r->method, sizeof r->method, "%s", ab_method_spec(run->methods[g->method]));
    snprintf(r->backend, sizeof r->backend, "%s", run->backends[b]);
    snprintf(r->target, sizeof r->target, "%s",
             run->settings->target ? run->settings->target : "top");
    snprintf(r->at, sizeof r->at, "%s", run->settings->at ? run->settings->at : "");
    r->targets = g->setting->model->targets.count;
    r->seed_mode = ab_seed_name(run->methods[g->method]->composite.seed);
    r->threads = g->threads;
    r->batch = g->setting->batch;
    r->algo = run->settings->algo == AB_ALGO_DIRECT ? "direct" : "auto";
    r->memory = run->settings->memory == AB_MEMORY_LEAN ? "lean" : "fast";
    ab_run_conditions(run, r);
    r->model_bytes = 4.0 * (double)ab_graph_parameters(g->setting->model->source.graph);
    write_repro(run, r);
}

static enum ab_status make_groups(struct ab_run *run, struct ab_error *err)
{
    static const struct ab_counts one = {{1}, 1};
    const struct ab_counts *threads = run->settings->threads.count ? &run->settings->threads : &one;
    size_t count = (size_t)run->n_settings * (size_t)run->n_methods * (size_t)threads->count;
    run->groups = calloc(count, sizeof *run->groups);
    if (!run->groups) return ab_fail(err, AB_ERR_MEMORY, "out of memory for rows");
    for (int s = 0; s < run->n_settings; s++)
        for (int t = 0; t < threads->count; t++)
            for (int m = 0; m < run->all_settings[s].n_methods; m++) {
                struct ab_group *g = &run->groups[run->n_groups++];
                *g = (struct ab_group){.run = run,
                                       .setting = &run->all_settings[s],
                                       .method = m,
                                       .threads = threads->items[t],
                                       .n_rows = run->n_backends};
                g->rows = calloc((size_t)run->n_backends, sizeof *g->rows);
                if (!g->rows) return ab_fail(err, AB_ERR_MEMORY, "out of memory for rows");
                for (int b = 0; b < run->n_backends; b++) fill_row(run, g, b);
            }
    return AB_OK;
}

struct ab_plan_options ab_run_plan_options(const struct ab_run *run,
                                           const struct ab_setting *setting, int b, int threads)
{
    return (struct ab_plan_options){.backend = run->backends[b],
                                    .batch = setting->batch,
                                    .threads = threads,
                                    .algo = (enum ab_algo)run->settings->algo,
                                    .memory = (enum ab_memory)run->settings->memory,
                                    .targets = setting->model->targets.count,
                                    .at = run->settings->at,
                                    .pages = (enum ab_pages)run->settings->pages};
}

static enum ab_status set_up(struct ab_run *run, struct ab_error *err)
{
    const struct ab_words usual = run->brief ? main_methods() : ab_usual_methods();
    const struct ab_words *given = &run->settings->methods;
    enum ab_status status = choose_backends(run, err);
    if (status == AB_OK)
        status =
            ab_methods_open(given->count ? given : &usual, &run->methods, &run->n_methods, err);
    if (status == AB_OK && run->settings->kernels) return status;
    if (status == AB_OK) status = open_models(run, err);
    if (status == AB_OK) status = make_settings(run, err);
    if (status == AB_OK) status = make_groups(run, err);
    return status;
}

static void tear_down(struct ab_run *run)
{
    for (int i = 0; i < run->n_joint; i++) ab_record_free(&run->joint[i].record);
    free(run->joint);
    for (int g = 0; run->groups && g < run->n_groups; g++) {
        for (int i = 0; run->groups[g].rows && i < run->groups[g].n_rows; i++)
            ab_record_free(&run->groups[g].rows[i].record);
        free(run->groups[g].rows);
    }
    free(run->groups);
    for (int i = 0; i < run->n_settings; i++) ab_setting_free(&run->all_settings[i]);
    free(run->all_settings);
    for (int i = 0; i < run->n_models; i++) {
        ab_images_free(&run->models[i].images);
        ab_source_close(&run->models[i].source);
    }
    free(run->models);
    ab_methods_free(run->methods, run->n_methods);
    ab_store_close(&run->store);
    ab_save_close(&run->save);
    ab_db_rows_free(run->stored, run->n_stored);
    json_decref(run->context);
    ab_pin_destroy(&run->pin);
}

/* ---- running ---- */

/* Seconds that a method may take on the reference before it is timed only if --backend says so. */
static const double REFERENCE_SECONDS = 0.5;

/* Rough seconds: the size of the network decides, the clock corrects. */
static double macs(const struct ab_graph *graph)
{
    double sum = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct ab_node *n = &graph->nodes[i];
        double places = n->kind == AB_NODE_CONV ? (double)n->conv.oh * n->conv.ow : 1;
        sum += places * (double)n->wei_count;
    }
    return sum;
}

static double weigh(struct ab_run *run)
{
    double total = 0;
    for (int i = 0; i < run->n_settings; i++) {
        struct ab_setting *s = &run->all_settings[i];
        double each = s->batch * macs(s->model->source.graph) / 5e9;
        s->weight = run->settings->no_agree ? 0 : s->n_methods * each;
        s->group_weight = run->seconds + 2 * each;
        s->reference_untimed = !run->settings->backends.count && each > REFERENCE_SECONDS;
        total += s->weight;
    }
    for (int g = 0; g < run->n_groups; g++)
        if (!ab_group_restored(&run->groups[g])) total += run->groups[g].setting->group_weight;
    return total;
}

static void put_counters(struct ab_gbench_state *state, const struct ab_record *r)
{
    ab_gbench_counter(state, "samples", r->stats.samples);
    ab_gbench_counter(state, "ns_min", r->stats.min);
    ab_gbench_counter(state, "ns_p90", r->stats.p90);
    ab_gbench_counter(state, "gflops", ab_record_gflops(r));
    ab_gbench_counter(state, "ratio_to_onednn", r->ratio);
    ab_gbench_counter(state, "rel_l2", r->agreement.rel_l2);
    ab_gbench_counter(state, "max_err", r->agreement.max_err);
    ab_gbench_counter(state, "cosine", r->agreement.cosine);
}

/* One row under Google Benchmark: the group is timed when its first row comes up; the time handed
 * over, as one iteration, is the median sample, which neighbours on the machine disturb least. */
static void run_row(struct ab_gbench_state *state, void *user)
{
    struct ab_row *row = user;
    struct ab_group *g = row->group;
    struct ab_run *run = g->run;
    struct ab_record *r = &row->record;
    if (!ab_interrupted && g->measured <= row->reported) {
        ab_group_measure(g);
        ab_progress_step(g->measured == 1 ? g->setting->group_weight : 0, "%s: %s done", r->model,
                         r->method);
    }
    bool fresh = g->measured > row->reported++;
    if (!fresh || *r->error) ab_gbench_skip(state, fresh ? r->error : "interrupted");
    while (ab_gbench_keep_running(state)) ab_gbench_iteration_time(state, r->stats.median * 1e-9);
    if (!fresh || (ab_interrupted && !r->stats.samples)) return;
    put_counters(state, r);
    ab_gbench_label(state, ab_verdict_name(r->agreement.verdict));
    row->done = true;
    if (!*run->error.text) ab_store_add(&run->store, r, &run->error);
}

/* Returns how many. */
static int register_rows(struct ab_run *run)
{
    int count = 0;
    for (int g = 0; g < run->n_groups; g++)
        for (int i = 0; i < run->groups[g].n_rows; i++) {
            struct ab_row *row = &run->groups[g].rows[i];
            if (ab_row_untimed(row) || ab_group_restored(row->group)) continue;
            const struct ab_record *r = &row->record;
            char name[700];
            snprintf(name, sizeof name, "%s/%s/%s/threads:%d/batch:%d", r->model, r->method,
                     r->backend, r->threads, r->batch);
            struct ab_gbench_case c = {.name = name,
                                       .run = run_row,
                                       .user = row,
                                       .iterations = 1,
                                       .manual_time = true,
                                       .unit = AB_GBENCH_MS};
            ab_gbench_register(&c);
            count++;
        }
    return count;
}

static void tell_notes(const struct ab_run *run)
{
    for (int i = 0; i < run->n_models; i++) {
        const char *notes = ab_graph_notes(run->models[i].source.graph);
        while (notes && *notes) {
            size_t length = strcspn(notes, "\n");
            ab_progress_note("%s: note: %.*s", run->models[i].source.name, (int)length, notes);
            notes += length + (notes[length] == '\n');
        }
    }
}

static void put_context(const struct ab_run *run)
{
    json_t *cpu = json_object_get(run->context, "cpu"),
           *build = json_object_get(run->context, "build");
    const char *texts[][2] = {
        {"attrbench_version", json_string_value(json_object_get(build, "attrbench"))},
        {"attrbench_revision", json_string_value(json_object_get(build, "git_revision"))},
        {"cpu_model", json_string_value(json_object_get(cpu, "model"))},
        {"compiler", json_string_value(json_object_get(build, "compiler"))},
        {"onednn", json_string_value(json_object_get(build, "onednn"))}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i][1]) ab_gbench_context(texts[i][0], texts[i][1]);
}

/* Profiles, picture and results.json of what was measured. */
static int write_results(struct ab_run *run, FILE *talk)
{
    struct ab_error err;
    enum ab_status status = AB_OK;
    if (ab_interrupted) json_object_set_new(run->context, "interrupted", json_true());
    for (int g = 0; run->settings->profile && g < run->n_groups && status == AB_OK; g++)
        if (!ab_interrupted) status = ab_profile_group(&run->groups[g], talk, &err);
    for (int i = 0; run->settings->profile && i < run->n_joint && status == AB_OK; i++)
        if (!ab_interrupted) status = ab_profile_joint(run, &run->joint[i], talk, &err);
    if (run->settings->profile && !ab_interrupted)
        ab_context_put_roofs(run->context, &run->machine);
    char maps[1100] = "";
    if (status == AB_OK && !ab_interrupted) {
        snprintf(maps, sizeof maps, "%s/maps.png", run->store.folder);
        status = ab_contact_write(run, maps, &err);
    }
    ab_progress_end();
    enum ab_status stored = ab_run_close_files(run, status ? NULL : &err);
    if (run->settings->json && !ab_records_print(stdout, run->context, run->store.rows))
        return ab_complain(AB_EXIT_ERROR, "standard output: cannot be written; redirect elsewhere");
    if (status != AB_OK || stored != AB_OK) return ab_complain(AB_EXIT_ERROR, "%s", err.text);
    fprintf(talk, "\nresults: %s/results.json\n", run->store.folder);
    if (*maps) fprintf(talk, "picture: %s\n", maps);
    return AB_EXIT_OK;
}

static int finish(struct ab_run *run)
{
    FILE *talk = run->settings->json || ab_gbench_prints() ? stderr : stdout;
    ab_together_finish(run);
    ab_progress_end();
    ab_pin_release(run->pin);
    ab_table_print(talk, run);
    int code = write_results(run, talk);
    fflush(talk);
    code = ab_run_tell_saved(run, talk, code);
    if (*run->error.text) return ab_complain(AB_EXIT_ERROR, "%s", run->error.text);
    if (code != AB_EXIT_OK) return code;
    if (ab_interrupted)
        return ab_complain(AB_EXIT_INTERRUPTED,
                           "interrupted: %s/results.json holds the finished "
                           "rows; run again for the rest",
                           run->store.folder);
    if (run->disagreed) {
        ab_progress_note("attrbench: some rows disagree with the reference: see the table and "
                         "verdict_reason in results.json");
        return AB_EXIT_DISAGREE;
    }
    return run->failed ? AB_EXIT_ERROR : AB_EXIT_OK;
}

bool ab_row_untimed(const struct ab_row *row)
{
    return row->group->setting->reference_untimed && !strcmp(row->record.backend, "reference");
}

static int run_jobs(struct ab_run *run)
{
    struct ab_error err;
    weigh(run);
    if (ab_gbench_lists()) return register_rows(run), ab_gbench_run(NULL, NULL), AB_EXIT_OK;
    run->pin = ab_pin_create(&run->machine);
    run->context = ab_context_json(&run->machine);
    const enum ab_status status = ab_run_open_files(run, &err);
    if (status != AB_OK) return ab_complain_status(status, &err);
    /* The reference's own results are kept from run to run. */
    ab_cache_folder(run->cache, sizeof run->cache);
    tell_notes(run);
    put_context(run);
    ab_interrupt_catch();
    ab_progress_start(weigh(run), false);
    if (register_rows(run) && ab_gbench_run(NULL, NULL) <= 0) {
        ab_progress_end();
        ab_save_discard(&run->save);
        return ab_complain(AB_EXIT_USAGE, "--benchmark_filter: no row matches; list the rows with "
                                          "--benchmark_list_tests");
    }
    return finish(run);
}

int ab_run_measure(const struct ab_run_settings *settings, const json_t *words, int argc,
                   char **argv)
{
    struct ab_run run = {.settings = settings, .words = words};
    struct ab_error err;
    char why[512];
    if (!ab_gbench_initialize(&argc, argv, why, sizeof why))
        return ab_complain(AB_EXIT_USAGE, "%s", why);
    if (!settings->kernels != !settings->shapes)
        return ab_complain(AB_EXIT_USAGE,
                           "--kernels and --shapes go together: which kernels on "
                           "which shapes, e.g. --kernels 'conv2d*' --shapes data/shapes/vgg16.txt");
    if (settings->kernels && settings->pages)
        return ab_complain(
            AB_EXIT_USAGE,
            "--pages is of the plans of methods, --kernels makes none; leave one out");
    run.brief = !settings->models.count && !settings->methods.count && !settings->kernels;
    run.seconds = settings->time > 0         ? settings->time
                  : ab_gbench_min_time() > 0 ? ab_gbench_min_time()
                  : run.brief                ? 0.25
                                             : 0.5;
    enum ab_status status = set_up(&run, &err);
    int code = status == AB_OK ? AB_EXIT_OK : ab_complain_status(status, &err);
    if (status == AB_OK) code = settings->kernels ? ab_run_kernels(&run) : run_jobs(&run);
    ab_gbench_clear();
    ab_gbench_shutdown();
    tear_down(&run);
    return code;
}
