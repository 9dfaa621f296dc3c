// SPDX-License-Identifier: Apache-2.0
// One build against another: both run as workers on the same cores and take turns at each case, so
// that a machine whose pace changes changes it for both.
#ifndef AB_AGAINST_H
#define AB_AGAINST_H

#include "case.h"
#include "db.h"

/* The program that `text` means: an attrbench, a folder with one in it or in its build/release, or
 * a git revision. A revision is one of the repository of the current folder if that is attrbench's,
 * else of the sources that this program was built from; it is built (preset release) in
 * $XDG_CACHE_HOME/attrbench/builds, once, which takes minutes and says so on standard error.
 * AB_ERR_ARG: neither; AB_ERR_INTERNAL: its build failed, the message names the log. */
enum ab_status ab_against_program(const char *text, char *program, size_t size,
                                  struct ab_error *err);

struct ab_against_options {
    const char *programs[2]; /* A, B: NULL is this attrbench */
    enum ab_cache cache;
    double seconds; /* of sampling for each case, both sides; 0: 0.5 */
    int processes;  /* pairs of fresh workers, one after the other, that share the time of a case:
                       where memory happens to lie is another matter in each; 0: 1 */
    bool judge;     /* cases are judged too, once by each build, after the slices */
    /* Before case i of count begins; NULL: silence. */
    void (*progress)(void *user, int i, int count, const char *text);
    void *user;
};

/* A case, or a step of one, that could not be compared. */
struct ab_against_missing {
    char *text, *why; /* the case; one line that names the side */
    bool broke;       /* it failed there, rather than not being there */
};

struct ab_against {
    json_t *context[2]; /* the workers' fingerprints */
    /* Pairs: rows[0][i] of A and rows[1][i] of B have the same key, the same number of samples, and
     * slices taken in the same turns. The row of a case comes before its steps'; its record has
     * the agreement, if the build was asked and could tell, else "verdict_reason" alone. */
    struct ab_db_row *rows[2];
    int count;
    struct ab_against_missing *missing;
    int n_missing;
};

/* Measures the cases; a zeroed *result is filled in also on failure, free it. Cases that one build
 * has and the other lacks are missing, and so are those during which a worker died: another is
 * started for the next. Ends early when ab_interrupted is set, with the rows that are finished.
 * Errors: a worker that cannot be started, no memory. */
enum ab_status ab_against_run(const struct ab_cases *cases, const struct ab_against_options *o,
                              struct ab_against *result, struct ab_error *err);
void ab_against_free(struct ab_against *result);

#endif
