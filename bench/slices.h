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
    int n_parts;
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
    double slice_ns;     /* what a slice should take at least; 0: 50 us */
    double warm_seconds; /* most for the warm-up of each side; 0: a quarter of `seconds` */
};

/* Fills series[count] (zeroed by the caller); a side that fails leaves, the others go on.
 * *calls: of each slice. Ends early when ab_interrupted is set. AB_ERR_MEMORY alone fails it. */
enum ab_status ab_race(const struct ab_side *sides, int count, const struct ab_race_options *o,
                       struct ab_series *series, int *calls, struct ab_error *err);
void ab_series_free(struct ab_series *s);

/* A side that calls run(user): times `calls` calls, sees context switches and moves. */
struct ab_local {
    enum ab_status (*run)(void *user, struct ab_error *err);
    void *user;
    void (*before)(void *user); /* each slice, untimed (cold caches); NULL: one untimed call */
};
/* The slice function of a side whose user is a struct ab_local. */
enum ab_status ab_local_slice(void *local, int calls, struct ab_slice *slice, struct ab_error *err);

/* ---- cache state, a stated dimension ---- */

/* HOT: as the last call leaves it. COLD: a buffer larger than 1.25 times the last level of cache is
 * read in between. */
enum ab_cache { AB_CACHE_HOT, AB_CACHE_COLD };
/* Evicts all caches by reading; the buffer (of the last level's size, `l3` bytes; 0: 32 MiB) is
 * made once. False: out of memory. */
bool ab_cache_evict(long l3);

#endif
