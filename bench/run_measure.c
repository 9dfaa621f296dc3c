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

/* Rounds at least; fewer where one takes longer than SLOW_SECONDS. */
enum { MIN_ROUNDS = 3, MIN_SLOW_ROUNDS = 2, MAX_ROUNDS = 1000 };
static const double SLOW_SECONDS = 1;

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
    double first_ns; /* the warm-up */
    double *ns;
    int count;
};

static bool is_reference(const struct ab_row *row)
{
    return !strcmp(row->group->run->backends[row->backend], "reference");
}

static void give_up(struct runner *r, const char *why)
{
    snprintf(r->row->record.error, sizeof r->row->record.error, "%s", why);
    ab_plan_destroy(&r->plan);
}

static enum ab_status execute(struct runner *r, double *ns, struct ab_error *err)
{
    const struct ab_setting *s = r->row->group->setting;
    double start = ab_now_ns();
    enum ab_status status = ab_plan_execute(r->plan, s->input, s->targets, r->maps, NULL, err);
    *ns = ab_now_ns() - start;
    return status;
}

/* Plan and first execution, which also is the warm-up and the agreement's map. */
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
    r->ns = malloc(MAX_ROUNDS * sizeof *r->ns);
    if (!r->map || !r->ns) {
        give_up(r, "out of memory for the samples");
        return;
    }
    ab_setting_split(g->setting, r->map, r->maps);
    double before = status_bytes("VmRSS:");
    bool reset = reset_peak();
    double began = ab_now_ns();
    enum ab_status status =
        ab_plan_create(g->setting->model->source.graph, &method, 1, &options, &r->plan, &err);
    record->setup_ns = ab_now_ns() - began;
    if (status == AB_OK) status = execute(r, &r->first_ns, &err);
    record->first_ns = r->first_ns;
    if (status != AB_OK) {
        give_up(r, err.text);
        return;
    }
    if (reset) record->peak_bytes = fmax(status_bytes("VmHWM:") - before, 0);
    ab_record_plan(record, r->plan, g->threads);
}

static void sample(struct runner *r)
{
    struct ab_error err;
    if (!r->plan || r->count == MAX_ROUNDS) return;
    if (execute(r, &r->ns[r->count], &err) == AB_OK)
        r->count++;
    else
        give_up(r, err.text);
}

/* A B, B A, A B, ...: none is always first. The reference, far slower, is not in the round. */
static void take_turns(struct ab_run *run, struct runner *runners, int count)
{
    double start_ns = ab_now_ns(), budget = run->seconds * 1e9;
    for (int round = 0; round < MAX_ROUNDS && !ab_interrupted; round++) {
        double spent = ab_now_ns() - start_ns;
        bool slow = round && spent / round > SLOW_SECONDS * 1e9;
        if (round >= (slow ? MIN_SLOW_ROUNDS : MIN_ROUNDS) && spent >= budget) break;
        for (int i = 0; i < count; i++) {
            struct runner *r = &runners[round & 1 ? count - 1 - i : i];
            if (!is_reference(r->row)) sample(r);
        }
    }
}

/* One execution is enough where it takes long: its first one, then. */
static void time_reference(struct ab_run *run, struct runner *r)
{
    double budget = run->seconds * 1e9 / 4, spent = r->first_ns;
    if (!r->plan) return;
    if (spent >= budget) r->ns[r->count++] = r->first_ns;
    while (spent < budget && r->count < MAX_ROUNDS && r->plan && !ab_interrupted) {
        int before = r->count;
        sample(r);
        if (r->count > before) spent += r->ns[before];
    }
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
    else if (!peer || !peer->count)
        record->ratio_why = "oneDNN was not timed in this run";
    else if (!r->count)
        record->ratio_why = "not timed";
    else
        record->ratio = ab_paired_ratio(peer->ns, peer->count, r->ns, r->count);
}

/* Samples of an earlier repetition give way. */
static void finish(struct runner *r)
{
    struct ab_row *row = r->row;
    struct ab_run *run = row->group->run;
    struct ab_record *record = &row->record;
    free(record->ns);
    record->ns = r->ns;
    r->ns = NULL;
    ab_stats_of(record->ns, r->count, &record->stats);
    if (!r->count) {
        if (!*record->error)
            snprintf(record->error, sizeof record->error, "interrupted before it was timed");
        snprintf(record->agreement.why, sizeof record->agreement.why, "%.150s", record->error);
        run->failed = run->failed || !ab_interrupted;
        return;
    }
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

void ab_group_measure(struct ab_group *g)
{
    struct ab_run *run = g->run;
    ab_setting_prepare(run, g->setting);
    ab_progress_step(0, "%s: %s, %d thread%s, batch %d", g->setting->model->source.name,
                     ab_method_spec(run->methods[g->method]), g->threads,
                     g->threads == 1 ? "" : "s", g->setting->batch);
    struct runner runners[AB_MAX_BACKENDS] = {0};
    bool supported = g->setting->supported && g->setting->supported[g->method];
    if (!supported) refuse_group(g);
    char where[64] = "";
    if (supported && !ab_interrupted) ab_pin_threads(run->pin, g->threads, where, sizeof where);
    for (int i = 0; i < g->n_rows && supported; i++) {
        runners[i].row = &g->rows[i];
        snprintf(g->rows[i].record.pinned, sizeof g->rows[i].record.pinned, "%s", where);
        if (!ab_interrupted && !ab_row_untimed(&g->rows[i])) start(&runners[i]);
    }
    if (supported) take_turns(run, runners, g->n_rows);
    if (supported && !ab_interrupted) ab_together_sample(g, where);
    for (int i = 0; i < g->n_rows && supported; i++)
        if (is_reference(runners[i].row) && !ab_interrupted) time_reference(run, &runners[i]);
    for (int i = 0; i < g->n_rows && supported; i++) set_ratio(runners, g->n_rows, &runners[i]);
    for (int i = 0; i < g->n_rows && supported; i++) ab_plan_destroy(&runners[i].plan);
    for (int i = 0; i < g->n_rows && supported; i++) {
        if (!ab_row_untimed(&g->rows[i])) finish(&runners[i]);
        free(runners[i].map);
    }
    for (int i = 0; i < g->n_rows; i++) g->rows[i].record.repetition = g->measured;
    g->measured++;
}
