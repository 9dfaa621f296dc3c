// SPDX-License-Identifier: Apache-2.0
// What else the machine does: pressure, stolen time, other programs. Two looks make an interval.
#ifndef AB_LOAD_H
#define AB_LOAD_H

#include <stdbool.h>

#include <jansson.h>

/* One look. Counts are since the machine or the process began; NaN: the system does not say. */
struct ab_load {
    double when_ns;
    double pressure_us;       /* some task waited for a CPU (PSI) */
    double pressure_avg10;    /* percent of the last 10 s */
    double memory_us;         /* some task waited for memory */
    double busy_s, stolen_s;  /* of all CPUs: running programs; taken by the host of this guest */
    double own_s;             /* of this process and the children it has waited for */
    double throttled;         /* periods that the container's quota ended early */
    double average1;          /* the load average of a minute */
    long switched, processes; /* involuntary context switches of this process; tasks ready to run */
};
void ab_load_look(struct ab_load *load);

/* What happened from one look to the next, as shares of the time between. NaN as above. */
struct ab_load_change {
    double seconds;
    double pressure, memory; /* share of the time in which somebody waited */
    double stolen;           /* share of the CPU time that was asked for */
    double others;           /* CPUs that other programs kept busy */
    double throttled;
    long switched;
};
struct ab_load_change ab_load_between(const struct ab_load *from, const struct ab_load *to);

/* One look: null for what the system does not say. New reference. */
json_t *ab_load_json(const struct ab_load *load);

#endif
