// SPDX-License-Identifier: Apache-2.0
// attrbench doctor: the machine as measurements meet it, and what to do about it.
#include "case.h"
#include "command.h"
#include "db.h"
#include "doctor.h"
#include "record.h"
#include "run.h"

#include <ctype.h>
#include <stdlib.h>

/* Of looking at the neighbours before the doctor loads the machine itself. */
static const double quiet_seconds = 1;
/* Without --aa: some floors, within what is left of these seconds; at least a look. */
static const double all_seconds = 12, least_noise_seconds = 1, most_noise_seconds = 6;

/* With --save and without --aa. */
enum { KEPT_PROCESSES = 20 };

struct doctor_settings {
    const char *aa, *kernels, *db;
    bool json, save;
};

/* An output that cannot be written is noticed at the end of main. */
static int print_json(const json_t *root)
{
    bool bad = json_dumpf(root, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII) != 0;
    if (bad && !ferror(stdout))
        return ab_complain(AB_EXIT_ERROR, "doctor: out of memory; close something else");
    putchar('\n');
    return AB_EXIT_OK;
}

/* --aa as a number of processes; pairs are made of them. */
static bool parse_settings(const struct doctor_settings *s, struct ab_doctor_noise *o)
{
    char *end = NULL;
    *o = (struct ab_doctor_noise){.processes = 6,
                                  .kernels = s->kernels,
                                  .save = s->save,
                                  .db = s->db ? s->db : ab_db_default()};
    if (s->aa) {
        long n = strtol(s->aa, &end, 10);
        if (!isdigit((unsigned char)*s->aa) || *end || n > 1000 || n % 2) {
            ab_complain(AB_EXIT_USAGE,
                        "doctor: --aa: '%s' will not do; give an even number of processes up to "
                        "1000, or 0",
                        s->aa);
            return false;
        }
        o->processes = (int)n;
    }
    if (o->save && !s->aa) o->processes = KEPT_PROCESSES;
    if (o->save && o->processes < AB_DOCTOR_MANY) {
        ab_complain(AB_EXIT_USAGE,
                    "doctor: --save: floors of fewer than %d processes are too coarse to judge by; "
                    "give --aa 20",
                    AB_DOCTOR_MANY);
        return false;
    }
    if (s->kernels && !o->processes) {
        ab_complain(AB_EXIT_USAGE,
                    "doctor: --kernels: --aa 0 measures no noise floors; give --aa 20");
        return false;
    }
    if (s->db && !o->save) {
        ab_complain(AB_EXIT_USAGE, "doctor: --db says where to save; give --save too");
        return false;
    }
    return true;
}

static double noise_seconds(const struct ab_doctor *d)
{
    double left = all_seconds - (ab_now_ns() - d->started.when_ns) / 1e9;
    return left < least_noise_seconds  ? least_noise_seconds
           : left > most_noise_seconds ? most_noise_seconds
                                       : left;
}

static enum ab_status look(struct ab_doctor *d, const struct doctor_settings *s,
                           struct ab_doctor_noise *noise, struct ab_error *err)
{
    char where[64];
    struct ab_machine machine;
    struct ab_pin *pin = ab_pin_create(&machine);
    struct ab_energy *energy = ab_doctor_energy_begin();
    enum ab_status status = AB_OK;
    ab_doctor_cpus(d, &machine);
    json_t *context = ab_context_json(&machine);
    json_object_set_new(d->root, "context", context);
    ab_doctor_cpu(d, context);
    ab_doctor_system(d, context);
    ab_doctor_clock(d);
    /* Before any binding: OpenMP's threads inherit that of the first. */
    ab_doctor_openmp(d);
    ab_doctor_counters(d);
    ab_doctor_quiet(d, quiet_seconds);
    ab_pin_threads(pin, 1, where, sizeof where);
    if (!ab_interrupted) ab_doctor_roofs(d);
    ab_pin_release(pin);
    if (!s->aa && !s->save) noise->most = noise_seconds(d);
    if (noise->processes && !ab_interrupted) status = ab_doctor_noise(d, context, noise, err);
    ab_doctor_energy(d, &energy);
    ab_doctor_aftermath(d);
    ab_context_end(context);
    if (ab_interrupted) json_object_set_new(context, "interrupted", json_true());
    ab_doctor_print_advice(d);
    ab_pin_destroy(&pin);
    return status;
}

/* What would spoil the end: said before anything is measured. */
static enum ab_status check_early(const struct ab_doctor_noise *o, struct ab_error *err)
{
    struct ab_cases cases = {0};
    struct ab_db *db = NULL;
    enum ab_status status = o->kernels ? ab_cases_usual(o->kernels, &cases, err) : AB_OK;
    if (status == AB_OK && o->save) status = ab_db_open(o->db, AB_DB_WRITE, &db, err);
    ab_db_close(&db);
    ab_cases_free(&cases);
    return status;
}

static int run_doctor(void *settings, int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct doctor_settings *s = settings;
    struct ab_doctor_noise noise;
    struct ab_error err;
    if (!parse_settings(s, &noise)) return AB_EXIT_USAGE;
    enum ab_status status = check_early(&noise, &err);
    if (status != AB_OK) return ab_complain_status(status, &err);
    struct ab_doctor *d = calloc(1, sizeof *d);
    if (!d) return ab_complain(AB_EXIT_ERROR, "doctor: out of memory; close something else");
    ab_interrupt_catch();
    d->out = s->json ? NULL : stdout;
    d->root = json_object();
    json_object_set_new(d->root, "schema", json_integer(1));
    ab_load_look(&d->started);
    status = look(d, s, &noise, &err);
    int code = s->json ? print_json(d->root) : AB_EXIT_OK;
    if (status != AB_OK) code = ab_complain_status(status, &err);
    if (ab_interrupted) code = AB_EXIT_INTERRUPTED;
    json_decref(d->root);
    free(d);
    return code;
}

static const struct ab_option doctor_options[] = {
    {"aa", "N",
     "noise floors from N fresh processes, an even number, a quarter of a second for each\n"
     "case and pair of processes; 0: none. Without: 6 processes and what time allows; with\n"
     "--save 20",
     AB_OPTION_TEXT, offsetof(struct doctor_settings, aa)},
    {"kernels", "GLOB",
     "of these kernels, all usual cases; default: some of each operation, and of methods",
     AB_OPTION_TEXT, offsetof(struct doctor_settings, kernels)},
    {"save", NULL, "keep the floors in the store: compare and gate then take them into account",
     AB_OPTION_FLAG, offsetof(struct doctor_settings, save)},
    {"db", "F", "the store; default: $ATTRBENCH_DB, or attrbench.db in this folder", AB_OPTION_TEXT,
     offsetof(struct doctor_settings, db)},
    {"json", NULL, "everything as JSON on standard output", AB_OPTION_FLAG,
     offsetof(struct doctor_settings, json)},
};

const struct ab_command ab_command_doctor = {
    .name = "doctor",
    .summary = "looks at the machine: what it is, how fast, how quiet; and advises",
    .usage = "[--aa N [--kernels GLOB] [--save [--db F]]] [--json]",
    .options = doctor_options,
    .n_options = sizeof doctor_options / sizeof *doctor_options,
    .settings_size = sizeof(struct doctor_settings),
    .more =
        "Facts, measured roofs (multiply-adds, reading), whether CPUs share cores, counters and\n"
        "energy meters, OpenMP as it is, neighbours. What is absent or dead is called so.\n"
        "docs/doctor.md explains each line.",
    .run = run_doctor,
};
