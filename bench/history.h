// SPDX-License-Identifier: Apache-2.0
// How rows changed over the runs of the store: one series a key, and where it steps.
#ifndef AB_HISTORY_H
#define AB_HISTORY_H

#include "db.h"

struct ab_history_options {
    const char *name;    /* of the runs; NULL: all */
    const char *pattern; /* of keys, as in a shell; NULL: all */
    bool cross;          /* also runs whose fingerprint is not that of the newest */
};

/* Segments of a row: from its first point, and from each break on. Steps below `least` (a share:
 * three noise floors, 1 % at least) are none. */
struct ab_history_row {
    char *key;
    int *runs;  /* [count] indices in the history's runs, in time order */
    double *ns; /* [count] low_ns of the row there */
    int count;
    int *breaks; /* [n_breaks] index of the first point of each segment but the first */
    int n_breaks;
    double *levels; /* [n_breaks + 1] median of each segment */
    double least;
};

struct ab_history {
    struct ab_db_run *runs; /* in time order */
    int n_runs;
    int others;                  /* runs left out for their fingerprint */
    int crossed;                 /* runs that were not, with `cross` */
    char differs[256];           /* what the first of either differs in */
    struct ab_history_row *rows; /* by key */
    int n_rows;
};

/* AB_ERR_ARG: no such runs, or none with a row that fits the pattern. */
enum ab_status ab_history_read(struct ab_db *db, const struct ab_history_options *o,
                               struct ab_history *h, struct ab_error *err);
void ab_history_free(struct ab_history *h);

/* Of runs that are in no store: with h->runs filled, adds a point to a row, keys in order and the
 * runs of each in theirs; then finds the steps. False: out of memory. db: where noise floors may
 * be, or NULL. */
bool ab_history_add(struct ab_history *h, const char *key, int run, double ns);
enum ab_status ab_history_steps(struct ab_history *h, struct ab_db *db, struct ab_error *err);

/* The last step: its level over the one before; 1 where there is none. */
double ab_history_change(const struct ab_history_row *row);
/* The revisions that a step lies between, "0123456..fedcba9"; of one revision, that alone. */
const char *ab_history_range(const struct ab_history *h, const struct ab_history_row *row, int step,
                             char *text, size_t size);
/* The newest points as a line of blocks (`ascii`: of letters), a bar at each step. A few percent
 * take half of its height, so that noise looks small. */
void ab_history_sparkline(const struct ab_history_row *row, int width, bool ascii, char *text,
                          size_t size);
/* New reference; NULL: out of memory. */
json_t *ab_history_json(const struct ab_history *h);

#endif
