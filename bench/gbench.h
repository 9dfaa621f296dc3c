// SPDX-License-Identifier: Apache-2.0
// Google Benchmark for C: register cases, time them by hand, run them, and get the results back.
//
// The wrapper is complete enough to write a benchmark program in C alone; bench/gbench.cc behind it
// is the only C++ of the project. What the library writes (`--benchmark_out=F`,
// `--benchmark_format=json`) is its own JSON, which its compare.py reads.
//
//     static void sum(struct ab_gbench_state *state, void *user)
//     {
//         while (ab_gbench_keep_running(state)) work(user);
//         ab_gbench_counter(state, "bytes", 1024);
//     }
//     int main(int argc, char **argv)
//     {
//         char why[256];
//         if (!ab_gbench_initialize(&argc, argv, why, sizeof why)) return fputs(why, stderr), 2;
//         struct ab_gbench_case c = {.name = "sum", .run = sum, .user = data};
//         ab_gbench_register(&c);
//         ab_gbench_run(NULL, NULL);
//         ab_gbench_shutdown();
//     }
//
// Works with Google Benchmark 1.7 and later; not thread-safe, as the library is not.
#ifndef AB_GBENCH_H
#define AB_GBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One run of a case, alive during its callback alone. */
struct ab_gbench_state;
typedef void (*ab_gbench_fn)(struct ab_gbench_state *state, void *user);

enum ab_gbench_unit { AB_GBENCH_NS, AB_GBENCH_US, AB_GBENCH_MS, AB_GBENCH_S };

struct ab_gbench_case {
    const char *name;
    ab_gbench_fn run;
    void *user;               /* borrowed until ab_gbench_clear */
    int64_t iterations;       /* exactly so many; 0: the library decides by time */
    double min_time;          /* seconds; 0: --benchmark_min_time or the library's default */
    bool manual_time;         /* only what ab_gbench_iteration_time says counts */
    enum ab_gbench_unit unit; /* of the library's own output */
};

/* Takes the --benchmark_* flags out of argv[1..*argc). Durations may be written in the dialect of
 * any version of the library (`--benchmark_min_time=0.5`, `=0.5s`; `=20x` sets iterations). False,
 * and one line in `why`: a flag that does not exist (with the nearest that does), a bad value, or
 * an output file that cannot be written. Other arguments stay in argv for the caller. */
bool ab_gbench_initialize(int *argc, char **argv, char *why, size_t why_size);

/* Adds a line to the "context" of every output. Call before ab_gbench_run, once per key. */
void ab_gbench_context(const char *key, const char *value);

/* Copies *c; `name` may hold slashes. False when out of memory. */
bool ab_gbench_register(const struct ab_gbench_case *c);

/* What a finished run looks like from C. Strings live during the callback. */
struct ab_gbench_result {
    const char *name;
    const char *label;     /* "" if none */
    const char *aggregate; /* "mean", "median", "stddev", ... of repetitions; "" for a single run */
    const char *error;     /* of ab_gbench_skip; NULL if the run is good */
    double real_seconds;   /* per iteration; for "cv" a fraction */
    int64_t iterations;
    int64_t repetition; /* 0, 1, ...; -1 without repetitions and for aggregates */
};
typedef void (*ab_gbench_report_fn)(const struct ab_gbench_result *result, void *user);

/* Runs what --benchmark_filter selects (or lists it: --benchmark_list_tests) and returns how many
 * cases that were. Nothing is printed on stdout unless --benchmark_format asks for it; every run is
 * handed to `report` (may be NULL). Returns -1 after an exception inside the library. */
int ab_gbench_run(ab_gbench_report_fn report, void *user);

/* Whether --benchmark_list_tests was given, and whether --benchmark_format was: stdout is the
 * library's then. */
bool ab_gbench_lists(void);
bool ab_gbench_prints(void);

/* Seconds of --benchmark_min_time, or 0 if it was not given. */
double ab_gbench_min_time(void);

/* Forgets all cases; their `user` pointers are no longer used. */
void ab_gbench_clear(void);
void ab_gbench_shutdown(void);

/* ---- inside a case ---- */

/* `while (ab_gbench_keep_running(state))` is the loop over iterations. */
bool ab_gbench_keep_running(struct ab_gbench_state *state);
/* The same for `count` iterations at a time; how many one call stands for may differ from what the
 * library asked for. A case that brings its own samples says: with 1 registered iteration, `while
 * (ab_gbench_keep_running_batch(state, n)) ab_gbench_iteration_time(state, n * seconds);`. The
 * library stops the program if repetitions of a case differ in their count. */
bool ab_gbench_keep_running_batch(struct ab_gbench_state *state, int64_t count);
/* Iterations that the library asks for. */
int64_t ab_gbench_iterations(const struct ab_gbench_state *state);
/* Adds seconds to the run's time (cases with manual_time). */
void ab_gbench_iteration_time(struct ab_gbench_state *state, double seconds);
/* A number in the outputs, next to the times. NaN and infinities are left out: no JSON can hold
 * them. */
void ab_gbench_counter(struct ab_gbench_state *state, const char *name, double value);
void ab_gbench_label(struct ab_gbench_state *state, const char *text);
/* Marks the run as failed; end the loop afterwards. */
void ab_gbench_skip(struct ab_gbench_state *state, const char *why);

#ifdef __cplusplus
}
#endif
#endif
