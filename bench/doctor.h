// SPDX-License-Identifier: Apache-2.0
// attrbench doctor: what each probe says, as lines for people and as JSON, and the advice.
//
// A probe is a function that looks at one thing and says all of it at once: facts, what is absent
// or dead and why, and what to do about it. Absent: the system does not offer it. Dead: it can be
// opened but does not move.
#ifndef AB_DOCTOR_H
#define AB_DOCTOR_H

#include "base/base.h"
#include "load.h"
#include "pin.h"

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

enum { AB_DOCTOR_CPUS = 1024, AB_DOCTOR_ADVICE = 24 };

struct ab_doctor_advice {
    int weight; /* more is worse */
    char finding[256], remedy[256];
};

struct ab_doctor {
    FILE *out; /* NULL: only JSON is wanted */
    bool begun;
    json_t *root, *section; /* section: borrowed from root */
    struct ab_machine machine;
    int cpus[AB_DOCTOR_CPUS], n_cpus; /* that this process may use; one of each core first */
    int n_own;                        /* of these, on cores of their own as the system says */
    double share;                     /* CPUs that two threads get who run at once, of 2; 0: not
                                         measured */
    double core_ghz;                  /* before the work; 0: not known */
    double heat;                      /* times that heat slowed CPUs down so far; NaN: not told */
    struct ab_load started;           /* when the doctor began */
    struct ab_doctor_advice advice[AB_DOCTOR_ADVICE];
    int n_advice;
};

/* ---- what probes say it with ---- */

void ab_doctor_section(struct ab_doctor *d, const char *key, const char *title);
/* A line for people alone. */
void ab_doctor_line(struct ab_doctor *d, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A value for programs alone; steals it. NULL and numbers that are not finite: null, and `why` (may
 * be NULL) as KEY_reason. */
void ab_doctor_put(struct ab_doctor *d, const char *key, json_t *value, const char *why);
void ab_doctor_number(struct ab_doctor *d, const char *key, double value, const char *why);
void ab_doctor_text(struct ab_doctor *d, const char *key, const char *value, const char *why);
/* Both: it is not there, and why. */
void ab_doctor_absent(struct ab_doctor *d, const char *key, const char *label, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));
/* Weight: 90 numbers are wrong, 70 numbers are noisy, 50 something is held back, 30 could be
 * better. The finding stands in `format`. */
void ab_doctor_advise(struct ab_doctor *d, int weight, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The heaviest few as lines, all as JSON. */
void ab_doctor_print_advice(struct ab_doctor *d);

/* "32 KiB", "1 MiB". */
const char *ab_doctor_bytes(double bytes, char text[32]);

/* ---- the probes, in the order they run ---- */

/* Fills machine, cpus, n_own; before the others. */
void ab_doctor_cpus(struct ab_doctor *d, const struct ab_machine *machine);
void ab_doctor_cpu(struct ab_doctor *d, const json_t *context);
void ab_doctor_system(struct ab_doctor *d, const json_t *context);
void ab_doctor_clock(struct ab_doctor *d);
void ab_doctor_openmp(struct ab_doctor *d);
/* How busy others keep the machine: waits until `seconds` after d->started. */
void ab_doctor_quiet(struct ab_doctor *d, double seconds);
void ab_doctor_counters(struct ab_doctor *d);
/* Energy counters are read at the start and judged after the work of the other probes. */
struct ab_energy;
struct ab_energy *ab_doctor_energy_begin(void);
void ab_doctor_energy(struct ab_doctor *d, struct ab_energy **energy);
/* Multiply-adds and memory; whether CPUs share cores. */
void ab_doctor_roofs(struct ab_doctor *d);
/* Noise floors. Fewer processes than these give numbers, but too coarse to be kept. */
enum { AB_DOCTOR_MANY = 10 };
struct ab_doctor_noise {
    int processes;
    double most; /* seconds; 0: as long as it takes */
    const char *kernels, *db;
    bool save;
};
enum ab_status ab_doctor_noise(struct ab_doctor *d, const json_t *context,
                               const struct ab_doctor_noise *o, struct ab_error *err);
/* The core's clock again. */
void ab_doctor_pace(struct ab_doctor *d);
/* What happened to the machine while the doctor was at it. */
void ab_doctor_aftermath(struct ab_doctor *d);

#endif
