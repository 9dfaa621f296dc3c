// SPDX-License-Identifier: Apache-2.0
// attrbench report, inside: what is read from runs becomes one JSON document; the page, the
// summary and the tables are all written from it.
//
//     results.json, folders, runs of the store -> runs, rows, pictures  (report_load, report_maps)
//     rows of several runs                     -> histories             (report_history)
//     files of attrbench tune                  -> deployments           (report_tune)
//     document                                 -> report.html           (report_html,
//     bench/report/)
//                                                 report.md, .csv, deployment.csv, junit.xml
#ifndef AB_REPORT_H
#define AB_REPORT_H

#include "command.h"
#include "db.h"

#include <stdio.h>

#include <jansson.h>

/* The document. Everything in it has been checked: the page relies on the types.
 *
 *     title, generated, version    texts
 *     runs    [{name, source, date, revision, cpu, interrupted, context}]
 *     rows    [{run, kind, ... the fields of ab_report_fields that the record has ...,
 *               samples_ns}]       at most AB_REPORT_SAMPLES, thinned evenly
 *     maps    [{run, model, method, backend, image, target, png}]   png: base64
 *     sheets  [{run, png}]         maps.png of runs without single maps
 *     histories [{name, others: runs left out, crossed: runs that were not although conditions
 *                 differ, differs: in what, runs: [{name, date, revision, other: not under the
 *                 conditions of the newest}],
 *                 series: [{key, kind, at: [indices of runs], ns: [as ab_db_low_ns],
 *                           breaks: [first indices of segments], levels: [ns of each segment],
 *                           change: last level over the one before}]}]
 *     deployments [{name, source, ... the fields of a file of attrbench tune that the reader
 *                   knows}]     see report_tune.c
 */
struct ab_report {
    json_t *doc;           /* owned */
    json_t *runs, *rows;   /* in doc */
    json_t *maps, *sheets; /* in doc */
    json_t *histories;     /* in doc */
    json_t *deployments;   /* in doc */
    struct ab_report_input *inputs;
    int n_inputs;
    size_t picture_bytes;  /* embedded so far */
    int pictures_left_out; /* for want of room */
};

/* A run as it was read: what histories and comparisons need, all samples. Place i here is place i
 * of the document's runs. */
struct ab_report_input {
    char name[256];
    json_t *context; /* owned */
    struct ab_db_row *rows;
    int count;
    int64_t id;       /* of the store; 0: from a file */
    char stored[128]; /* the name it has there */
};

enum {
    AB_REPORT_SAMPLES = 240,          /* of a row; fewer where there are many rows */
    AB_REPORT_ALL_SAMPLES = 200000,   /* of all rows together: 1.5 MB of text */
    AB_REPORT_MAX_PICTURES = 48 << 20 /* bytes of PNG files in one page */
};

/* ---- fields of rows ---- */

enum ab_report_type { AB_REPORT_TEXT, AB_REPORT_NUMBER, AB_REPORT_BOOL };
struct ab_report_field {
    const char *name;
    enum ab_report_type type;
};
/* All that rows may have, in the order of the columns of report.csv. */
const struct ab_report_field *ab_report_fields(int *count);

/* ---- reading ---- */

bool ab_report_create(struct ab_report *report);
void ab_report_destroy(struct ab_report *report);

/* Adds the runs of a file of runfile.h, or of the results.json of a folder. */
enum ab_status ab_report_add_file(struct ab_report *report, const char *path, struct ab_error *err);
/* Adds a run of the store. */
enum ab_status ab_report_add_stored(struct ab_report *report, struct ab_db *db, const char *path,
                                    const struct ab_db_run *run, struct ab_error *err);
/* Whether a file holds a configuration and what attrbench tune measured for it; adds that. */
bool ab_report_is_config(const char *path);
enum ab_status ab_report_add_config(struct ab_report *report, const char *path,
                                    struct ab_error *err);
/* The point that a deployment recommends, borrowed; NULL: none. */
const json_t *ab_report_recommended(const json_t *deployment);
/* Adds a run: `name` as the reader knows it, `source` where it is from. Borrows `context`. */
enum ab_status ab_report_add_run(struct ab_report *report, const char *name, const char *source,
                                 json_t *context, struct ab_error *err);
/* Checks a record of results.json and adds it to the rows of the newest run. `where` names it in
 * errors. */
enum ab_status ab_report_add_row(struct ab_report *report, const json_t *record, const char *where,
                                 struct ab_error *err);
/* Thins samples to what a page of that many rows can hold; once, when all rows are there. */
void ab_report_thin(struct ab_report *report);

/* Pictures of the newest run: the single maps that its context lists, else maps.png. Files that
 * are gone or no PNG are left out, with a note on stderr. */
enum ab_status ab_report_add_maps(struct ab_report *report, const char *folder,
                                  const json_t *context, struct ab_error *err);

/* How rows went from run to run, where there are three runs or more: of the files given, and of
 * each name of the store that was given, all its runs; those under the same conditions as the
 * newest, with `cross` under any. db: where noise floors may be; NULL: no input is of a store. */
enum ab_status ab_report_add_histories(struct ab_report *report, struct ab_db *db, bool cross,
                                       struct ab_error *err);

/* The two inputs against one another, as `attrbench compare` would: `comparison` in the document,
 * {a, b, rows: [{key, kind, change, a_ns, b_ns, ratio, low, high, threshold, a_error, b_error,
 * error, why}] by importance, classes: [{name, rows, ratio}], only_a, only_b: [keys], crossed}.
 * db: where noise floors may be, or NULL. AB_ERR_UNSUPPORTED: nothing comparable. */
enum ab_status ab_report_compare(struct ab_report *report, const char *db, bool cross,
                                 struct ab_error *err);

/* ---- writing ---- */

enum ab_status ab_report_write_html(const struct ab_report *report, const char *path,
                                    struct ab_error *err);
enum ab_status ab_report_write_markdown(const struct ab_report *report, const char *path,
                                        struct ab_error *err);
enum ab_status ab_report_write_csv(const struct ab_report *report, const char *path,
                                   struct ab_error *err);
/* The points of all deployments. */
enum ab_status ab_report_write_points(const struct ab_report *report, const char *path,
                                      struct ab_error *err);
enum ab_status ab_report_write_junit(const struct ab_report *report, const char *path,
                                     struct ab_error *err);

/* The document as it stands in a page: one line that holds no '<', '>' or '&', so that no text in
 * it can end the script element. */
bool ab_report_print_data(FILE *f, const struct ab_report *report);

/* ---- helpers of the writers ---- */

/* A field of a row or run; "" and NaN where it has none. */
const char *ab_report_text(const json_t *object, const char *key);
double ab_report_number(const json_t *object, const char *key);
/* Text in a cell of a Markdown table: what would end the cell or mean something is escaped. */
void ab_report_print_cell(FILE *f, const char *text);
/* The deployments as Markdown. */
void ab_report_print_deployments(FILE *f, const struct ab_report *report);

/* ---- the page's own files, embedded by the build (cmake/embed.cmake) ---- */

struct ab_report_part {
    const char *name;
    const unsigned char *bytes;
    size_t size;
};
/* page.html, style.css, chart.js (empty where the build has none) and the page's scripts. */
extern const struct ab_report_part ab_report_parts[];
extern const int ab_report_part_count;

#endif
