// SPDX-License-Identifier: Apache-2.0
// Timing: the plans of a group take turns, so that what disturbs one disturbs all.
#include "run.h"

#include "peak.h"
#include "sample/sampler.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Rounds at least; fewer where one takes over a second. */
enum { MIN_ROUNDS = 3, MIN_SLOW_ROUNDS = 2, MAX_ROUNDS = 1000 };

/* ---- what a plan is ---- */

static void add_kernel(char *list, size_t size, const char *name)
{
    size_t length = strlen(name);
    for (const char *p = list; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
        if (strcspn(p, ",") == length && !strncmp(p, name, length)) return;
    size_t used = strlen(list);
    if (used + length + 2 < size) snprintf(list + used, size - used, "%s%s", used ? "," : "", name);
}

double ab_step_bytes(const struct ab_plan *plan, const struct ab_step *s)
{
    const struct ab_program *p = &plan->program;
    const int ids[] = {s->dst, s->dst2, s->x, s->a, s->z, s->add, s->tau, s->switches, s->bits};
    double bytes = 0;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (ids[i] >= 0) bytes += (double)p->values[ids[i]].bytes;
    for (int i = 0; i < s->n_list; i++) bytes += (double)p->values[s->list[i]].bytes;
    if (s->node >= 0 && (s->op == AB_OP_CONV || s->op == AB_OP_DENSE))
        bytes += 4.0 * (double)plan->exec.graph->nodes[s->node].wei_count;
    return bytes;
}

/* The widest instruction set that the kernels' names tell of. */
static enum ab_isa isa_of(const char *kernels)
{
    for (int i = AB_ISA_COUNT - 1; i > 0; i--)
        if (strstr(kernels, ab_isa_name((enum ab_isa)i))) return (enum ab_isa)i;
    return AB_ISA_ref;
}

/* What the program of `plan` does in `times` executions. */
static void add_program(struct ab_record *r, const struct ab_plan *plan, double times)
{
    for (int i = 0; i < plan->program.n_steps; i++) {
        const struct ab_step *s = &plan->program.steps[i];
        if (s->constant) continue;
        r->flops += times * ab_step_flops(plan, s);
        r->bytes += times * ab_step_bytes(plan, s);
        if (s->op == AB_OP_INPUT || s->op == AB_OP_BASELINE || s->op == AB_OP_FILL ||
            s->op == AB_OP_SEED)
            continue;
        add_kernel(r->kernels, sizeof r->kernels, ab_plan_kernel(plan, i));
    }
}

void ab_record_plan(struct ab_record *r, const struct ab_plan *plan, int threads)
{
    r->flops = r->bytes = 0;
    r->kernels[0] = '\0';
    add_program(r, plan, 1);
    for (int m = 0; m < ab_plan_sampler_count(plan); m++) {
        const struct ab_sampler *s = ab_plan_sampler(plan, m);
        if (s) add_program(r, s->plan, ab_sampler_executions(s));
    }
    enum ab_isa isa = isa_of(r->kernels);
    double peak = ab_peak_gflops(isa);
    snprintf(r->isa, sizeof r->isa, "%s", isa == AB_ISA_ref && peak <= 0 ? "" : ab_isa_name(isa));
    r->peak = peak * threads;
    size_t weights, arena;
    ab_plan_memory(plan, &weights, &arena);
    r->planned_bytes = (double)weights + (double)arena;
}

/* ---- peak memory: Linux keeps a high-water mark that can be reset ---- */

static double status_bytes(const char *key)
{
    char line[256];
    double kilobytes = (double)NAN;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key))) kilobytes = atof(line + strlen(key));
    if (f) fclose(f);
    return 1024 * kilobytes;
}

static bool reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool ok = write(fd, "5", 1) == 1;
    close(fd);
    return ok;
}

/* ---- the plans of a group ---- */

struct runner {
    struct ab_row *row;
    struct ab_plan *plan;
    float *map; /* of all targets */
    float *maps[AB_MAX_TARGETS];
    double first_ns; /* the first execution */
    struct ab_local local;
    struct ab_series series;
    int calls; /* of each slice */
};

static bool is_reference(const struct ab_row *row)
{
    return !strcmp(row->group->run->backends[row->backend], "reference");
}

static void give_up(struct runner *r, const char *why)
{
    snprintf(r->row->record.error, sizeof r->row->record.error, "%.511s", why);
    ab_plan_destroy(&r->plan);
}

static enum ab_status execute(void *user, struct ab_error *err)
{
    struct runner *r = user;
    const struct ab_setting *s = r->row->group->setting;
    return ab_plan_execute(r->plan, s->input, s->targets, r->maps, NULL, err);
}

static void evict(void *user)
{
    const struct runner *r = user;
    ab_run_evict(r->row->group->run, r->row->group->threads);
}

/* Plan and first execution, which also is the agreement's map. */
static void start(struct runner *r)
{
    const struct ab_group *g = r->row->group;
    struct ab_run *run = g->run;
    struct ab_record *record = &r->row->record;
    struct ab_error err;
    const struct ab_method *method = run->methods[g->method];
    struct ab_plan_options options =
        ab_run_plan_options(run, g->setting, r->row->backend, g->threads);
    r->map = malloc(ab_setting_maps_count(g->setting) * sizeof *r->map);
    if (!r->map) {
        give_up(r, "out of memory for maps");
        return;
    }
    ab_setting_split(g->setting, r->map, r->maps);
    double before = status_bytes("VmRSS:");
    bool reset = reset_peak();
    double began = ab_now_ns();
    enum ab_status status =
        ab_plan_create(g->setting->model->source.graph, &method, 1, &options, &r->plan, &err);
    const double planned = ab_now_ns();
    record->setup_ns = planned - began;
    if (status == AB_OK) status = execute(r, &err);
    record->first_ns = r->first_ns = ab_now_ns() - planned;
    if (status != AB_OK) {
        give_up(r, err.text);
        return;
    }
    if (reset) record->peak_bytes = fmax(status_bytes("VmHWM:") - before, 0);
    ab_record_plan(record, r->plan, g->threads);
    r->local = (struct ab_local){.run = execute,
                                 .user = r,
                                 .before = run->settings->cache == AB_CACHE_COLD ? evict : NULL,
                                 .threads = g->threads,
                                 .least_ns = r->first_ns};
}

/* Slices of the runners by turns, into their series. */
static void race(const struct ab_run *run, struct runner *const *runners, int count,
                 const struct ab_race_options *o)
{
    struct ab_side sides[AB_MAX_BACKENDS] = {0};
    struct ab_series series[AB_MAX_BACKENDS] = {0};
    struct ab_error err;
    struct ab_race_options options = *o;
    options.max_rounds = MAX_ROUNDS;
    options.max_calls = run->settings->cache == AB_CACHE_COLD;
    options.started = true;
    int calls;
    for (int i = 0; i < count; i++)
        sides[i] = (struct ab_side){run->backends[runners[i]->row->backend], ab_local_slice,
                                    &runners[i]->local};
    const enum ab_status status = ab_race(sides, count, &options, series, &calls, &err);
    for (int i = 0; i < count; i++) {
        struct runner *r = runners[i];
        r->series = series[i];
        r->calls = calls;
        if (status != AB_OK || series[i].status != AB_OK)
            give_up(r, status != AB_OK ? err.text : series[i].err.text);
    }
}

/* The reference, far slower, is not in the round. */
static void take_turns(struct ab_run *run, struct runner *runners, int count)
{
    const struct ab_race_options o = {
        .seconds = run->seconds, .min_rounds = MIN_ROUNDS, .slow_rounds = MIN_SLOW_ROUNDS};
    struct runner *in[AB_MAX_BACKENDS];
    int n = 0;
    for (int i = 0; i < count; i++)
        if (runners[i].plan && !is_reference(runners[i].row)) in[n++] = &runners[i];
    const double before = ab_core_ghz();
    race(run, in, n, &o);
    const double after = ab_core_ghz();
    for (int i = 0; i < count; i++) {
        runners[i].row->record.core_ghz = before;
        runners[i].row->record.core_ghz_after = after;
    }
}

/* The first execution as the only sample. */
static void keep_first(struct runner *r)
{
    r->series.ns = malloc(sizeof *r->series.ns);
    if (!r->series.ns) return;
    r->series.ns[r->series.rounds++] = r->first_ns;
    r->calls = 1;
}

/* One execution is enough where it takes long: its first one, then. */
static void time_reference(struct ab_run *run, struct runner *r)
{
    const struct ab_race_options o = {.seconds = run->seconds / 4, .min_rounds = MIN_ROUNDS};
    if (!r->plan) return;
    if (r->first_ns >= 1e9 * o.seconds)
        keep_first(r);
    else
        race(run, &r, 1, &o);
}

/* The median over rounds of oneDNN's time over this row's; rows out of the round: of medians. */
static void set_ratio(const struct runner *runners, int count, const struct runner *r)
{
    struct ab_record *record = &r->row->record;
    const struct runner *peer = NULL;
    const char *const *names = r->row->group->run->backends;
    for (int i = 0; i < count; i++)
        if (!strcmp(names[runners[i].row->backend], "onednn")) peer = &runners[i];
    record->ratio = (double)NAN;
    if (peer == r)
        record->ratio_why = "this row is oneDNN";
    else if (!peer || !peer->series.rounds)
        record->ratio_why = "oneDNN was not timed in this run";
    else if (!r->series.rounds)
        record->ratio_why = "not timed";
    else
        record->ratio =
            ab_paired_ratio(peer->series.ns, peer->series.rounds, r->series.ns, r->series.rounds);
}

/* Samples of an earlier repetition give way. */
static void keep_samples(struct runner *r)
{
    struct ab_record *record = &r->row->record;
    free(record->ns);
    free(record->disturbed);
    record->ns = r->series.ns;
    record->disturbed = r->series.disturbed;
    record->calls = r->calls ? r->calls : 1;
    record->steady = r->series.steady;
    /* The first execution alone was not watched. */
    record->steady_why = record->disturbed ? NULL : "no warm-up";
    ab_stats_of(record->ns, r->series.rounds, &record->stats);
    r->series = (struct ab_series){0};
}

static void finish(struct runner *r)
{
    struct ab_row *row = r->row;
    const struct ab_setting *s = row->group->setting;
    struct ab_run *run = row->group->run;
    struct ab_record *record = &row->record;
    const struct ab_dims d = s->model->source.dims;
    keep_samples(r);
    if (!record->stats.samples) {
        if (!*record->error)
            snprintf(record->error, sizeof record->error, "interrupted before it was timed");
        snprintf(record->agreement.why, sizeof record->agreement.why, "%.150s", record->error);
        run->failed = run->failed || !ab_interrupted;
        return;
    }
    record->counted = true;
    record->subnormal_inputs =
        ab_subnormal_count(s->input, (size_t)s->batch * (size_t)d.c * (size_t)d.h * (size_t)d.w);
    record->subnormal_maps = ab_subnormal_count(r->map, ab_setting_maps_count(s));
    ab_setting_judge(run, row->group->setting, row->backend, row->group->method,
                     row->group->threads, r->map, &record->agreement);
    run->disagreed = run->disagreed || record->agreement.verdict == AB_DISAGREE;
}

static void refuse_group(struct ab_group *g)
{
    for (int i = 0; i < g->n_rows; i++) {
        struct ab_record *record = &g->rows[i].record;
        snprintf(record->error, sizeof record->error, "%s",
                 g->setting->refused ? g->setting->refused[g->method] : "out of memory");
        snprintf(record->agreement.why, sizeof record->agreement.why, "%.150s", record->error);
    }
    g->run->failed = true;
}

/* Plans and samples of the rows, on the threads that `where` tells. */
static void time_rows(struct ab_group *g, struct runner *runners)
{
    struct ab_run *run = g->run;
    char where[64] = "";
    if (!ab_interrupted) ab_pin_threads(run->pin, g->threads, where, sizeof where);
    ab_run_denormals(run, true, g->threads);
    for (int i = 0; i < g->n_rows; i++) {
        runners[i].row = &g->rows[i];
        snprintf(g->rows[i].record.pinned, sizeof g->rows[i].record.pinned, "%s", where);
        if (!ab_interrupted && !ab_row_untimed(&g->rows[i])) start(&runners[i]);
    }
    take_turns(run, runners, g->n_rows);
    if (!ab_interrupted) ab_together_sample(g, where);
    for (int i = 0; i < g->n_rows; i++)
        if (is_reference(runners[i].row) && !ab_interrupted) time_reference(run, &runners[i]);
    for (int i = 0; i < g->n_rows; i++) set_ratio(runners, g->n_rows, &runners[i]);
    for (int i = 0; i < g->n_rows; i++) ab_plan_destroy(&runners[i].plan);
    ab_run_denormals(run, false, g->threads);
}

void ab_group_measure(struct ab_group *g)
{
    struct ab_run *run = g->run;
    ab_setting_prepare(run, g->setting);
    ab_progress_step(0, "%s: %s, %d thread%s, batch %d", g->setting->model->source.name,
                     ab_method_spec(run->methods[g->method]), g->threads,
                     g->threads == 1 ? "" : "s", g->setting->batch);
    struct runner runners[AB_MAX_BACKENDS] = {0};
    bool supported = g->setting->supported && g->setting->supported[g->method];
    if (supported)
        time_rows(g, runners);
    else
        refuse_group(g);
    for (int i = 0; i < g->n_rows && supported; i++) {
        if (!ab_row_untimed(&g->rows[i])) finish(&runners[i]);
        ab_series_free(&runners[i].series);
        free(runners[i].map);
    }
    for (int i = 0; i < g->n_rows; i++) g->rows[i].record.repetition = g->measured;
    g->measured++;
}

/* ---- conditions ---- */

void ab_run_denormals(const struct ab_run *run, bool on, int threads)
{
    const enum ab_denormals asked = (enum ab_denormals)run->settings->denormals;
    ab_denormals_set_all(on ? asked : AB_DENORMALS_KEEP, threads);
}

void ab_run_evict(const struct ab_run *run, int threads)
{
    ab_cache_evict(run->machine.l3, threads);
}

enum ab_status ab_run_check_cold(const struct ab_run *run, struct ab_error *err)
{
    struct ab_lines lines;
    if (run->settings->cache != AB_CACHE_COLD) return AB_OK;
    if (ab_cache_lines(run->machine.l3, &lines)) {
        ab_progress_note("cold caches: a line takes %.0f ns after eviction, %.1f ns before",
                         lines.cold_ns, lines.hot_ns);
        json_object_set_new(
            run->context, "eviction",
            json_pack("{s:f, s:f}", "line_hot_ns", lines.hot_ns, "line_cold_ns", lines.cold_ns));
        return AB_OK;
    }
    return ab_fail(err, AB_ERR_MEMORY,
                   "--cache cold: no memory for 1.25 times the last level of cache (%ld MiB); free "
                   "some, or leave it out",
                   run->machine.l3 >> 20);
}

void ab_run_conditions(const struct ab_run *run, struct ab_record *r)
{
    r->cache = (enum ab_cache)run->settings->cache;
    r->denormals = (enum ab_denormals)run->settings->denormals;
    r->pages = (enum ab_pages)run->settings->pages;
}
