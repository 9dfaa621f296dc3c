// SPDX-License-Identifier: Apache-2.0
// The structure of results, for the two files that fill and render them.
#ifndef AB_THEORY_INSIDE_H
#define AB_THEORY_INSIDE_H

#include "theory_result.h"

struct ab_table_row {
    char *label, *why;
    double *values;
    int digits;
};

struct ab_table {
    struct ab_result *result;
    char *id, *title, *first, **columns;
    int n_columns, n_rows;
    struct ab_table_row *rows;
};

struct ab_result_plot {
    char *id;
    struct ab_plot *plot;
};

struct ab_verdict_line {
    enum ab_claim claim;
    bool shown;
    char *effect;
    double size;
    char *prediction;
};

struct ab_result {
    const struct ab_experiment *experiment;
    struct ab_table **tables;
    struct ab_result_plot *plots;
    char **notes;
    struct ab_verdict_line *verdicts;
    int n_tables, n_plots, n_notes, n_verdicts;
    double done; /* of 1 */
    bool failed; /* memory ran out: something is missing */
};

#endif
