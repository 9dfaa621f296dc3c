// SPDX-License-Identifier: Apache-2.0
// Two runs, or two builds measured now, row by row: what `attrbench compare` and `gate` say.
//
// Rows are matched by their keys. Each is judged by decide.h, all of them together; of builds that
// are here, rows that look changed or undecided are measured again in fresh processes before
// anything is said of them. A row whose error grew, or that no longer agrees with the reference, is
// a regression too.
#ifndef AB_COMPARE_H
#define AB_COMPARE_H

#include "command.h"
#include "db.h"
#include "decide.h"

#include <stdio.h>

/* One side; owns everything. Zeroed at first. */
struct ab_compare_side {
    char name[256]; /* as the user named it */
    json_t *context;
    struct ab_db_row *rows;
    int count;
};
void ab_compare_side_free(struct ab_compare_side *side);

/* What further looks made of a row that the first one suspected or could not decide. */
enum ab_second {
    AB_SECOND_NONE,      /* there were none */
    AB_SECOND_CONFIRMED, /* it did change */
    AB_SECOND_CLEARED,   /* it did not */
    AB_SECOND_OPEN       /* undecided still */
};
const char *ab_second_name(enum ab_second second);

/* Further looks at a row, at most. */
enum { AB_COMPARE_LOOKS = 30 };

struct ab_compare_row {
    const struct ab_db_row *a, *b; /* borrowed from the sides */
    double floor;                  /* noise floor that is known of such rows; NaN */
    enum ab_change change;         /* of the row: the worse of its time and its errors */
    bool timed;                    /* both have samples: first and time are filled in */
    struct ab_ruling first;        /* by the first look */
    struct ab_ruling time;         /* by the further looks, where there were any */
    enum ab_second second;
    double looks[AB_COMPARE_LOOKS]; /* B over A of each further look */
    int n_looks;
    bool judged;             /* both builds said how large their errors are */
    enum ab_change error;    /* of the sizes of the errors, or of the verdicts */
    double a_error, b_error; /* rel_l2; NaN: not judged */
    char why[200];           /* of a regression that is none of time; of INCONCLUSIVE */
};

struct ab_compare_options {
    double max_slowdown; /* share; 0: ab_decide's */
    double least_ns;     /* differences below this are no regression */
    const char *db;      /* the store where noise floors may be; NULL: none */
    const char *only;    /* shell pattern of keys; NULL: all */
    bool cross;          /* compare across fingerprints */
    bool strict;         /* any undecided row makes the whole inconclusive */
};

struct ab_comparison {
    struct ab_compare_side a, b;
    bool paired; /* measured by turns */
    struct ab_compare_options options;
    struct ab_compare_row *rows; /* in B's order */
    int count, timed;            /* timed: of them, those judged by time */
    int of[4];                   /* rows of each change */
    int by_time;                 /* paired: kernels and methods that are not judged, ... */
    char by_time_why[256];       /* ... and why the first of them is not */
    bool interrupted;            /* paired: not all cases, or looks, are here */
    const char **only[2];        /* keys that A or B alone has, borrowed */
    int n_only[2];
    char crossed[2000]; /* fields of the fingerprints that differ, one a line, or "" */
    struct ab_compare_missing {
        char *text, *why;
    } * missing; /* cases that one build could not do */
    int n_missing;
    bool broken; /* one of those failed, rather than not being there */
};
void ab_comparison_free(struct ab_comparison *c);

/* Reads a side: a file of results (runfile.h), a folder with results.json in it, or a run of the
 * store `db` (NULL: ab_db_default). AB_ERR_ARG: neither; the message says what there is. */
enum ab_status ab_compare_load(const char *text, const char *db, struct ab_compare_side *side,
                               struct ab_error *err);

/* Matches the rows of c->a and c->b and judges them by c->options. AB_ERR_UNSUPPORTED: nothing
 * comparable: other machines (and not options.cross), no common rows. */
enum ab_status ab_compare_judge(struct ab_comparison *c, struct ab_error *err);

/* Further looks, each of which measures the open rows once more, in processes of its own. A row is
 * open that the first look called changed or undecided, until looks make a change certain, or eight
 * and more have their centre within the threshold, or all are taken. */
bool ab_compare_open(const struct ab_comparison *c, const struct ab_compare_row *r);
/* What one look measured of row `index`. */
void ab_compare_look(struct ab_comparison *c, int index, const struct ab_db_row *a,
                     const struct ab_db_row *b);
/* Judges the rows that were looked at, all of them together, and counts c->of again. A row whose
 * looks disagree about a change is cleared if their centre lies within the threshold and there are
 * eight or more. */
void ab_compare_conclude(struct ab_comparison *c);

/* Two builds (against.h), by turns, cases of `cases`. */
struct ab_cases;
struct ab_compare_live {
    const char *a, *b; /* builds or revisions; b NULL: this attrbench */
    const struct ab_cases *cases;
    int cache;      /* enum ab_cache */
    double seconds; /* of each case; 0: against.h's */
    bool no_agree;  /* times alone */
    bool quiet;
};
/* Fills a zeroed c but for its options, second looks included. Interrupted: what is finished; an
 * error if nothing is. */
enum ab_status ab_compare_measure(const struct ab_compare_live *live, struct ab_comparison *c,
                                  struct ab_error *err);

/* ---- what `compare` and `gate` are asked in the same words ---- */

struct ab_compare_settings {
    struct ab_words sides, cases;
    const char *against, *build, *kernels, *max_slowdown, *least, *only, *db;
    int cache;
    double time;
    bool cross, strict, no_agree, quiet;
};
/* Rows of an option table, for a struct `type` with a struct ab_compare_settings `field`. */
#define AB_COMPARE_AT(type, field, name)                                                           \
    (offsetof(type, field) + offsetof(struct ab_compare_settings, name))
#define AB_COMPARE_OPTIONS(type, field)                                                            \
    {"A B", NULL,                                                                                  \
     "saved runs (NAME, NAME~N, #ID, a git revision) or files of results: A is what B is\n"        \
     "measured by",                                                                                \
     AB_OPTION_OPERANDS, AB_COMPARE_AT(type, field, sides)},                                       \
        {"against", "BUILD|REV",                                                                   \
         "measures now, by turns: A is that attrbench, its build folder, or a git revision,\n"     \
         "which is built once; B is this attrbench",                                               \
         AB_OPTION_TEXT, AB_COMPARE_AT(type, field, against)},                                     \
        {"build", "BUILD|REV", "with --against: B is that one", AB_OPTION_TEXT,                    \
         AB_COMPARE_AT(type, field, build)},                                                       \
        {"kernels", "GLOB", "with --against: kernels of these names alone", AB_OPTION_TEXT,        \
         AB_COMPARE_AT(type, field, kernels)},                                                     \
        {"case", "TEXT",                                                                           \
         "with --against: this instead of the usual cases (may be given several times), such\n"    \
         "as 'method digits lrp-zplus native 1 1'",                                                \
         AB_OPTION_TEXTS, AB_COMPARE_AT(type, field, cases)},                                      \
        {"cache", "hot|cold", "with --against: what a call finds in the caches; default hot",      \
         AB_OPTION_CHOICE, AB_COMPARE_AT(type, field, cache)},                                     \
        {"time", "T", "with --against: sampling of each case; default 0.5s", AB_OPTION_SECONDS,    \
         AB_COMPARE_AT(type, field, time)},                                                        \
        {"no-agree", NULL, "with --against: times alone; errors are not judged", AB_OPTION_FLAG,   \
         AB_COMPARE_AT(type, field, no_agree)},                                                    \
        {"max-slowdown", "SHARE",                                                                  \
         "how much slower a row may be, such as 3% or 0.03; default 1%, and never less than\n"     \
         "three times the noise floor that 'attrbench doctor --save' has measured",                \
         AB_OPTION_TEXT, AB_COMPARE_AT(type, field, max_slowdown)},                                \
        {"least-ns", "NS", "differences below this are no regression; default 10", AB_OPTION_TEXT, \
         AB_COMPARE_AT(type, field, least)},                                                       \
        {"only", "GLOB", "rows whose keys are like this, such as 'kernel*'", AB_OPTION_TEXT,       \
         AB_COMPARE_AT(type, field, only)},                                                        \
        {"cross", NULL, "compares runs of different machines or settings all the same",            \
         AB_OPTION_FLAG, AB_COMPARE_AT(type, field, cross)},                                       \
        {"strict", NULL, "any inconclusive row makes the whole inconclusive", AB_OPTION_FLAG,      \
         AB_COMPARE_AT(type, field, strict)},                                                      \
        {"db", "F", "the store; default $ATTRBENCH_DB, or attrbench.db in the current folder",     \
         AB_OPTION_TEXT, AB_COMPARE_AT(type, field, db)},                                          \
    {                                                                                              \
        "quiet", NULL, "no progress on standard error", AB_OPTION_FLAG,                            \
            AB_COMPARE_AT(type, field, quiet)                                                      \
    }

/* Does what is asked into a zeroed *c (free it in any case). Returns 0, or an exit code after one
 * line on standard error. */
int ab_compare_do(const struct ab_compare_settings *s, struct ab_comparison *c);

/* ---- what is said of it ---- */

/* What its rows come to, as an exit code: 3 a confirmed regression, 1 a case that failed, 5 nothing
 * was compared, 4 too much is undecided, 0. */
int ab_compare_verdict(const struct ab_comparison *c);
/* The exit code: 130 if not all rows are here, else the verdict. */
int ab_compare_exit(const struct ab_comparison *c);
/* Whether undecided rows make the comparison inconclusive: one that looked changed and was not
 * cleared, more than a fifth of the rows, or any if strict. */
bool ab_compare_undecided(const struct ab_comparison *c);

/* Rows by importance: regressions first, the worst above, then what is undecided, improvements,
 * the rest. free() it; NULL: out of memory. */
const struct ab_compare_row **ab_compare_sorted(const struct ab_comparison *c);
/* "+3.1 %"; "-" of NaN. */
void ab_compare_percent(double ratio, char *text, size_t size);
/* A row's times in words: B over A with its interval, and both; "-" where there is none. */
struct ab_compare_texts {
    char ratio[32], low[32], high[32], a[32], b[32];
};
void ab_compare_words(const struct ab_compare_row *row, struct ab_compare_texts *t);

/* Geometric means of B over A by class: kind, and the operation of kernels. */
struct ab_compare_class {
    char name[64];
    int rows;
    double geomean;
};
enum { AB_COMPARE_CLASSES = 32 };
int ab_compare_classes(const struct ab_comparison *c, struct ab_compare_class *classes);

void ab_compare_print(FILE *f, const struct ab_comparison *c, bool all);
/* New reference. */
json_t *ab_compare_json(const struct ab_comparison *c);
/* At most 60 lines. */
void ab_compare_markdown(FILE *f, const struct ab_comparison *c);
void ab_compare_junit(FILE *f, const struct ab_comparison *c);
/* "::error title=...::..." */
void ab_compare_annotate(FILE *f, const struct ab_comparison *c);

#endif
