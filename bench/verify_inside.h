// SPDX-License-Identifier: Apache-2.0
// attrbench verify, inside: what was asked for, what was found, and how it is told.
#ifndef AB_VERIFY_INSIDE_H
#define AB_VERIFY_INSIDE_H

#include "command.h"
#include "verify/plan.h"

#include <stdio.h>

#include <jansson.h>

enum { AB_CASE_TEXT = 768, AB_OPTIONS_TEXT = 1024, AB_REPRO_TEXT = 2200 };
enum ab_verify_methods { AB_VERIFY_METHODS_YES, AB_VERIFY_METHODS_NO };
#define AB_VERIFY_METHOD         "method" /* the operation of a method's row */
#define AB_VERIFY_METHOD_TIMEOUT 120.0

struct ab_verify_settings {
    struct ab_words ops, isas, shapes, plugins;
    const char *shape_file, *fill, *exponent, *seed, *repro, *dump, *junit, *out;
    double fuzz;
    int methods; /* enum ab_verify_methods */
    bool fail_fast, selftest, json, list;
};

/* ---- what was found ---- */

/* Failures of one candidate by one check: the first one's trial and reason, and how many. */
struct ab_found {
    enum ab_check check;
    long count;
    char trial[AB_CASE_TEXT];
    char why[256];
};

/* A line of the table: a candidate, or an instruction set that was skipped (why). */
struct ab_verify_row {
    char name[96], isa[16], op[24];
    char options[AB_OPTIONS_TEXT]; /* of a repro line, "--plugin ./mine.so " */
    long cases[AB_OUTCOME_KINDS];
    long elements, undetermined;
    long varied[AB_CHECKS];    /* cases whose bits depend on what such a check changes */
    double ratio, sharp;       /* the worst of the cases */
    char worst[AB_CASE_TEXT];  /* the trial of `ratio` */
    char unsure[AB_CASE_TEXT]; /* the first mistrusted trial */
    char why[256];             /* of it; or of skipping */
    struct ab_found found[AB_CHECKS];
    int n_found;
};

struct ab_tally {
    struct ab_verify_row *rows;
    int count;
};

/* The row of a candidate, made if there is none. NULL: out of memory. Valid until the next one is
 * made. */
struct ab_verify_row *ab_tally_row(struct ab_tally *t, const char *name, const char *isa,
                                   const char *op);
/* A row that says only why nothing was run. */
bool ab_tally_skip(struct ab_tally *t, const char *name, const char *why);
void ab_tally_add(struct ab_verify_row *row, const char *trial, const struct ab_outcome *outcome);
/* Copies a reason, which comes from code of others too: what is not plain text has no place in JSON
 * or XML. */
void ab_tally_reason(char *to, size_t size, const char *why);
void ab_tally_free(struct ab_tally *t);
long ab_row_cases(const struct ab_verify_row *row);
long ab_tally_failures(const struct ab_tally *t);
long ab_tally_cases(const struct ab_tally *t);
enum ab_outcome_kind ab_row_verdict(const struct ab_verify_row *row);
/* The command that repeats a failure. */
void ab_found_repro(const struct ab_verify_row *row, const struct ab_found *found, char *text,
                    size_t size);

/* ---- a session ---- */

struct ab_verify_session {
    const struct ab_verify_settings *settings;
    struct ab_verify_request request;
    struct ab_plugin *plugins;  /* of oneDNN and of --plugin, in the order given */
    struct ab_candidate *extra; /* their candidates */
    int n_extra;
    struct ab_tally tally;
    FILE *talk; /* stdout, or stderr with --json */
    int workers;
    double seconds;  /* since the start */
    double deadline; /* of ab_now_ns(); 0: none */
    bool stopped;    /* --fail-fast has stopped it */
    long left_out;   /* jobs that were not reached */
};

/* Cases by number: the jobs of a plan, methods. */
struct ab_verify_cases {
    const char *what; /* for progress */
    long count;
    void (*run)(const void *user, long i, struct ab_outcome *outcome); /* in another process */
    void (*print)(const void *user, long i, char text[AB_CASE_TEXT]);
    void (*label)(const void *user, long i, char name[96], char isa[16], char op[24]);
    /* NULL, or what its repro line needs besides. */
    void (*options)(const void *user, long i, char text[AB_OPTIONS_TEXT]);
    double (*weight)(const void *user, long i); /* rough seconds */
    const void *user;
    double timeout; /* of one, seconds */
};
/* Runs them in processes of their own, into the tally; stops at the deadline, at the first failure
 * with --fail-fast, and when interrupted. */
enum ab_status ab_verify_run_cases(struct ab_verify_session *s, const struct ab_verify_cases *cases,
                                   struct ab_error *err);
enum ab_status ab_verify_execute(struct ab_verify_session *s, const struct ab_verify_plan *plan,
                                 struct ab_error *err);
/* run(user, 0, outcome) in a process of its own. */
enum ab_status ab_verify_once(void (*run)(const void *, long, struct ab_outcome *),
                              const void *user, double timeout, struct ab_outcome *outcome,
                              struct ab_error *err);
/* Seconds after which a trial of so many products counts as hanging. */
double ab_verify_timeout(double products);

/* Pairwise cover, then random trials until the time is over; failures are shrunk. */
enum ab_status ab_verify_fuzz(struct ab_verify_session *s, struct ab_verify_plan *plan,
                              struct ab_error *err);
/* Replaces each failure's trial by the smallest that fails by the same check. */
enum ab_status ab_verify_shrink(struct ab_verify_session *s, const struct ab_verify_plan *plan,
                                struct ab_error *err);
/* --repro: runs `line`, tells everything. Returns the exit code. */
int ab_verify_repro(struct ab_verify_session *s, const char *line);
/* An outcome in sentences. */
void ab_verify_tell(FILE *f, const struct ab_outcome *o, const char *dump);

/* Methods end to end: the fixed set, or some at random (how many were, in *drawn). */
enum ab_status ab_verify_methods_fixed(struct ab_verify_session *s, struct ab_error *err);
enum ab_status ab_verify_methods_random(struct ab_verify_session *s, struct ab_rng *rng, long count,
                                        long *drawn, struct ab_error *err);
int ab_verify_repro_method(struct ab_verify_session *s, const char *line);

/* --isa all: the kernels of another architecture under an emulator, into the tally. A row says why
 * if that cannot be. */
enum ab_status ab_verify_emulated(struct ab_verify_session *s, struct ab_error *err);
/* Whether `candidate` is one of those; then --repro is theirs. */
bool ab_verify_is_emulated(const char *candidate);
int ab_verify_repro_emulated(struct ab_verify_session *s, const char *line);

/* Foreign candidates, into the session. */
enum ab_status ab_verify_open_foreign(struct ab_verify_session *v, bool onednn,
                                      struct ab_error *err);
void ab_verify_close_foreign(struct ab_verify_session *v);
/* What a repro line of the candidate needs besides: "--plugin ./mine.so ", or "". */
void ab_verify_repro_options(const struct ab_verify_session *v, const struct ab_candidate *c,
                             char *text, size_t size);

/* Tells how each seeded bug fares. Returns the exit code. */
int ab_verify_selftest(struct ab_verify_session *s);

/* ---- telling ---- */

void ab_verify_print(FILE *f, const struct ab_verify_session *s);
int ab_verify_list(const struct ab_verify_session *s, const struct ab_verify_plan *plan);
/* New references; NULL: out of memory. */
json_t *ab_verify_json(const struct ab_verify_session *s);
enum ab_status ab_verify_write_json(const struct ab_verify_session *s, const char *path,
                                    struct ab_error *err);
enum ab_status ab_verify_write_junit(const struct ab_verify_session *s, const char *path,
                                     struct ab_error *err);

#endif
