// SPDX-License-Identifier: Apache-2.0
// attrbench doctor: the machine as measurements meet it, and what to do about it.
#include "command.h"
#include "doctor.h"
#include "record.h"

#include "base/base.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of looking at the neighbours before the doctor loads the machine itself. */
static const double quiet_seconds = 1;

struct doctor_settings {
    bool json;
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

static void look(struct ab_doctor *d, struct ab_pin *pin)
{
    char where[64];
    struct ab_energy *energy = ab_doctor_energy_begin();
    json_t *context = ab_context_json(&d->machine);
    json_object_set_new(d->root, "context", context);
    ab_doctor_cpu(d, context);
    ab_doctor_system(d, context);
    ab_doctor_clock(d);
    /* Before any binding: OpenMP's threads inherit that of the first. */
    ab_doctor_openmp(d);
    ab_doctor_counters(d);
    ab_doctor_quiet(d, quiet_seconds);
    ab_pin_threads(pin, 1, where, sizeof where);
    ab_doctor_roofs(d);
    ab_doctor_energy(d, &energy);
    ab_doctor_aftermath(d);
    ab_context_end(context);
    ab_doctor_print_advice(d);
}

static int run_doctor(void *settings, int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct doctor_settings *s = settings;
    struct ab_machine machine;
    struct ab_doctor *d = calloc(1, sizeof *d);
    if (!d) return ab_complain(AB_EXIT_ERROR, "doctor: out of memory; close something else");
    d->out = s->json ? NULL : stdout;
    d->root = json_object();
    json_object_set_new(d->root, "schema", json_integer(1));
    ab_load_look(&d->started);
    struct ab_pin *pin = ab_pin_create(&machine);
    ab_doctor_cpus(d, &machine);
    look(d, pin);
    int code = s->json ? print_json(d->root) : AB_EXIT_OK;
    ab_pin_destroy(&pin);
    json_decref(d->root);
    free(d);
    return code;
}

static const struct ab_option doctor_options[] = {
    {"json", NULL, "everything as JSON on standard output", AB_OPTION_FLAG,
     offsetof(struct doctor_settings, json)},
};

const struct ab_command ab_command_doctor = {
    .name = "doctor",
    .summary = "looks at the machine: what it is, how fast, how quiet; and advises",
    .usage = "[--json]",
    .options = doctor_options,
    .n_options = sizeof doctor_options / sizeof *doctor_options,
    .settings_size = sizeof(struct doctor_settings),
    .more =
        "Facts, measured roofs (multiply-adds, reading), whether CPUs share cores, counters and\n"
        "energy meters, OpenMP as it is, neighbours. What is absent or dead is called so.\n"
        "docs/doctor.md explains each line.",
    .run = run_doctor,
};
