// SPDX-License-Identifier: Apache-2.0
// The doctor's look at clocks: what reads time, the pace of the core, and what subnormal numbers
// cost it.
#include "doctor.h"

#include "clock.h"
#include "stats.h"

#include <math.h>

enum { CHAIN = 2000, TRIALS = 100 };

static volatile float sink;

/* The least time of a chain of additions and multiplications that stays near `value`. */
static double chain_ns(float value)
{
    double best = (double)INFINITY;
    for (int t = 0; t < TRIALS; t++) {
        volatile float half = 0.5f;
        float x = value, factor = half, summand = value * half;
        double start = ab_now_ns();
        for (int i = 0; i < CHAIN; i++) x = x * factor + summand;
        best = fmin(best, ab_now_ns() - start);
        sink = x;
    }
    return best;
}

/* Numbers below 1.2e-38: many CPUs take a detour for each. */
static void say_subnormals(struct ab_doctor *d)
{
    enum ab_denormals before = ab_denormals_set(AB_DENORMALS_KEEP);
    double normal = chain_ns(1.0f), subnormal = chain_ns(1e-39f);
    ab_denormals_set(before);
    double factor = subnormal / normal;
    ab_doctor_number(d, "subnormal_factor", factor, "not measured");
    ab_doctor_line(d, "subnormals", "%.1f times the time of other numbers; this process %s them",
                   factor, before == AB_DENORMALS_FLUSH ? "flushes" : "keeps");
}

void ab_doctor_clock(struct ab_doctor *d)
{
    const struct ab_clock *c = ab_clock_of_host();
    double ghz = ab_core_ghz();
    ab_doctor_section(d, "clock", "Clocks");
    ab_doctor_number(d, "resolution_ns", c->resolution_ns, NULL);
    ab_doctor_number(d, "cost_ns", c->cost_ns, NULL);
    ab_doctor_number(d, "counter_ghz", c->tsc_ghz > 0 ? c->tsc_ghz : (double)NAN,
                     "this CPU has no counter that user code may read");
    ab_doctor_number(d, "core_ghz", ghz > 0 ? ghz : (double)NAN,
                     "the latency of a multiplication is not known for this CPU");
    ab_doctor_put(d, "backwards", json_boolean(c->backwards), NULL);
    ab_doctor_line(d, "clock", "steps of %.0f ns, a reading costs %.0f ns%s", c->resolution_ns,
                   c->cost_ns, c->backwards ? "; IT WENT BACKWARDS" : "");
    if (c->tsc_ghz > 0)
        ab_doctor_line(d, "counter", "%.3f GHz, which is no core's pace", c->tsc_ghz);
    else
        ab_doctor_line(d, "counter", "absent: none that user code may read");
    if (ghz > 0)
        ab_doctor_line(d, "core", "%.2f GHz now, by a chain of multiplications", ghz);
    else
        ab_doctor_line(d, "core", "unknown: no chain of known latency for this CPU");
    say_subnormals(d);
    d->core_ghz = ghz;
    if (c->backwards)
        ab_doctor_advise(d, 95, "do not measure here; try another clock source",
                         "the clock went backwards");
    if (c->cost_ns > 500)
        ab_doctor_advise(d, 60, "boot with clocksource=tsc if the CPU allows it",
                         "reading the clock takes %.0f ns", c->cost_ns);
}

/* After the work: turbo and heat show as a pace that has changed. */
void ab_doctor_pace(struct ab_doctor *d)
{
    double ghz = d->core_ghz > 0 ? ab_core_ghz() : 0;
    ab_doctor_number(d, "core_ghz", ghz > 0 ? ghz : (double)NAN, "not known for this CPU");
    if (!(ghz > 0)) return;
    ab_doctor_line(d, "core", "%.2f GHz after the work, %.2f before", ghz, d->core_ghz);
    if (fabs(ghz / d->core_ghz - 1) > 0.03)
        ab_doctor_advise(d, 60, "fix the clock (governor, boost), or measure by turns",
                         "the core's clock changed from %.2f to %.2f GHz", d->core_ghz, ghz);
}
