// SPDX-License-Identifier: Apache-2.0
// What a run of kernels comes to: the kernel that attrbench picks for each layer and pass, against
// oneDNN's best.
#ifndef AB_KERNEL_SUMMARY_H
#define AB_KERNEL_SUMMARY_H

#include "simd/kernels.h"

#include <stdio.h>

#include <jansson.h>

/* A kernel of attrbench against the best of oneDNN's. Times are the fastest samples in nanoseconds;
 * NaN: not timed. ratio: oneDNN's over ours. */
struct ab_kernel_duel {
    char kernel[48], peer[160];
    double ours_ns, theirs_ns, ratio;
};

/* PICK: attrbench's choice against any of oneDNN's. DEFAULT: the same against oneDNN's without
 * Winograd, which 2.6 takes only where asked to and 3.2 does not have on x86. DIRECT: attrbench's
 * choice where rounding must not spread (direct_only) against those; often the same two. */
enum { AB_DUEL_PICK, AB_DUEL_DEFAULT, AB_DUEL_DIRECT, AB_DUELS };

/* One layer and pass. */
struct ab_kernel_row {
    char layer[96], shape[96]; /* layer: its name, or the shape again where it has none */
    int times, batch;          /* times: how often the network has the layer */
    enum ab_pass pass;
    double flops, rel_l2; /* rel_l2: of the pick */
    struct ab_kernel_duel duel[AB_DUELS];
};

/* The rows of one pass, or of both, at one batch size. Sums are over the network, each layer as
 * often as it occurs. Only rows with a ratio count. */
struct ab_kernel_side {
    int rows;
    double geomean, ours_ns, theirs_ns;
};

enum { AB_SIDE_FWD, AB_SIDE_BWD, AB_SIDE_BOTH, AB_SIDES };

/* Below the first a row counts as lost; layers below the second say little about inner loops. */
#define AB_KERNEL_LOST      0.95
#define AB_KERNEL_MIN_FLOPS 0.5e9

struct ab_kernel_summary {
    struct ab_kernel_side side[AB_DUELS][AB_SIDES];
    int lost[AB_DUELS];  /* rows with a ratio below AB_KERNEL_LOST */
    int worst[AB_DUELS]; /* index of the row with the least ratio; -1: none has one */
    /* Index of the row whose direct kernel has the least share of peak, of all and of those on
     * layers above AB_KERNEL_MIN_FLOPS; -1: none. */
    int lowest, lowest_large;
};

/* In the record of the kernel that was picked, and back; false: it is not there. */
json_t *ab_kernel_row_json(const struct ab_kernel_row *row);
bool ab_kernel_row_of(const json_t *json, struct ab_kernel_row *row);

/* Rows of other batch sizes are passed over. */
void ab_kernel_summarise(const struct ab_kernel_row *rows, int count, int batch,
                         struct ab_kernel_summary *s);

/* `peak`: GFLOP/s; 0: not known. */
json_t *ab_kernel_summary_json(const struct ab_kernel_row *rows, int count, int batch, double peak);
/* For a terminal, or as Markdown. */
void ab_kernel_summary_print(FILE *f, bool markdown, const struct ab_kernel_row *rows, int count,
                             int batch, double peak);
/* The rows as a Markdown table. */
void ab_kernel_rows_print(FILE *f, const struct ab_kernel_row *rows, int count, int batch,
                          double peak);

#endif
