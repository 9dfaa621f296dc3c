// SPDX-License-Identifier: Apache-2.0
// The measuring core: short slices of several sides, taken by turns.
//
// A side is something that can be run again and again: a plan, a kernel, or a process of another
// build that does so when told (worker.h). A slice is some calls in a row, 20 to 100 us of them
// (one call where one takes longer). A race gives all its sides the same number of calls a slice
// and lets them take turns (A B, B A, ...), so that what disturbs one disturbs all; slices during
// which the thread lost its core are marked, not dropped.
#ifndef AB_SLICES_H
#define AB_SLICES_H

#include "base/base.h"

/* What one slice was like. */
struct ab_slice {
    double ns;           /* of one call: the slice's time over its calls */
    bool disturbed;      /* the thread was switched out or moved to another core meanwhile */
    const double *parts; /* [n_parts] ns of one call's parts (steps), or NULL; the side's until its
                            next slice */
    int n_parts;         /* the same in every slice */
};

/* calls > 0. Cache state before each slice is the side's own matter. */
struct ab_side {
    const char *name;
    enum ab_status (*slice)(void *user, int calls, struct ab_slice *slice, struct ab_error *err);
    void *user;
};

/* What a race keeps of a side: slice by slice, in the order they were taken. Round r of every side
 * was taken in the same turn. */
struct ab_series {
    double *ns;      /* [rounds] */
    bool *disturbed; /* [rounds] */
    double *parts;   /* [rounds][n_parts], or NULL */
    int rounds, n_parts;
    bool steady; /* warm-up ended because slices no longer became shorter */
    enum ab_status status;
    struct ab_error err; /* why the side left the race */
};

struct ab_race_options {
    double seconds; /* of sampling, all sides together */
    int min_rounds, max_rounds;
    int slow_rounds;     /* takes the place of min_rounds where a round takes over a second; 0: not
                            so */
    double slice_ns;     /* what a slice should take at least; 0: 50 us */
    int max_calls;       /* of a slice; 1: caches that are cold before a slice stay so for one call
                            only; 0: a million */
    double warm_seconds; /* most for the warm-up of each side; 0: a quarter of `seconds` */
    bool started; /* the sides have run before. Where one call of each outlasts the warm-up, these
                     calls are the first round. */
};

/* Fills series[count] (zeroed by the caller); a side that fails leaves, the others go on. Each side
 * warms up by itself until its slices no longer become shorter, one slice at least; then come
 * rounds for `seconds`, min_rounds at least. *calls: of each slice, 0 if no side came so far. Ends
 * early when ab_interrupted is set, after whole rounds if there is one. AB_ERR_MEMORY alone fails
 * it. */
enum ab_status ab_race(const struct ab_side *sides, int count, const struct ab_race_options *o,
                       struct ab_series *series, int *calls, struct ab_error *err);
void ab_series_free(struct ab_series *s);
/* How many of its slices were disturbed. */
int ab_series_disturbed(const struct ab_series *s);

/* Whether times no longer fall: they are looked at in windows, of which the second least time
 * counts, and two windows in a row must not be faster than the one before them. */
struct ab_steady {
    double start, least, second, before;
    int looks, still;
};
void ab_steady_begin(struct ab_steady *s);
/* A new window, after a change of what is timed. */
void ab_steady_again(struct ab_steady *s);
bool ab_steady_look(struct ab_steady *s, double ns);

/* A side that calls run(user): times `calls` calls, sees context switches and moves.
 *
 * On one thread the time is that of the clock or, if less, the time that the thread ran: what other
 * processes take in between, or a hypervisor that tells, does not count. Kernels deduct what a
 * hypervisor tells when they come to hear of it, which may be more than this slice lost, or all of
 * it; so that a slice that lost time is never faster than all that lost none, and it is disturbed
 * if it lost more than a fiftieth. On several threads the time is that of the clock, and a slice is
 * disturbed when any thread of the process was switched out against its will. */
struct ab_local {
    enum ab_status (*run)(void *user, struct ab_error *err);
    void *user;
    void (*before)(void *user); /* each slice, untimed (cold caches); NULL: one untimed call, so
                                   that a slice finds what its own last call leaves, except where
                                   calls are so long that this makes no difference */
    int threads;                /* that a call keeps busy, the calling one among them; 0: 1 */
    double least_ns;            /* of a call so far; 0 at first */
    double whole_ns;            /* the same, of slices that lost no time; 0 at first */
};
/* The slice function of a side whose user is a struct ab_local. */
enum ab_status ab_local_slice(void *local, int calls, struct ab_slice *slice, struct ab_error *err);

/* ---- cache state, a stated dimension ---- */

/* HOT: as the last call leaves it. COLD: a buffer of 1.25 times the last level of cache is read in
 * between. */
enum ab_cache { AB_CACHE_HOT, AB_CACHE_COLD };
const char *ab_cache_name(enum ab_cache cache);
/* Evicts all caches of the calling thread and of threads - 1 OpenMP workers, which each read the
 * buffer (for a last level of `l3` bytes; 0: 32 MiB); it is made once and kept. False: out of
 * memory. Not for concurrent use. */
bool ab_cache_evict(long l3, int threads);

/* What that does, measured: nanoseconds until a line comes on which everything waits, from a set of
 * 64 KiB that was just used, and the same after eviction. Where the caches are larger than the
 * system says, as in virtual machines, the second is not that of memory. Least of some tries; some
 * tens of ms. False: out of memory. */
struct ab_lines {
    double hot_ns, cold_ns;
};
bool ab_cache_lines(long l3, struct ab_lines *lines);

#endif
