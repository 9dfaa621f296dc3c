// SPDX-License-Identifier: Apache-2.0
// A run of kernels: what is asked for, and what has been measured.
#ifndef AB_KERNEL_RUN_H
#define AB_KERNEL_RUN_H

#include "kernel_pass.h"
#include "kernel_summary.h"
#include "run.h"

struct ab_kernel_run {
    struct ab_run *run;
    enum ab_isa isa;
    bool onednn;
    const char *onednn_isa; /* what it is held to; NULL: not timed */
    char where[64];         /* the core */
    FILE *talk;
    struct ab_kernel_row *rows; /* of the picked kernels */
    int n_rows;
    int unpicked; /* passes whose picked kernel the pattern leaves out */
};

/* Reads the options; wrong ones give AB_ERR_ARG. oneDNN is held to the instruction set here. */
enum ab_status ab_kernel_run_setup(struct ab_kernel_run *k, struct ab_error *err);

/* Records and lines of the table of a pass that was timed, and its row for the summary. */
void ab_kernel_table_head(const struct ab_kernel_run *k);
enum ab_status ab_kernel_report(struct ab_kernel_run *k, struct ab_kernel_pass *p,
                                struct ab_error *err);
/* A pass whose records --resume found complete comes back instead of being timed. */
enum ab_status ab_kernel_restore(struct ab_kernel_run *k, const struct ab_shape *shape,
                                 enum ab_pass pass, bool *there, struct ab_error *err);
/* One more row of the summary. */
enum ab_status ab_kernel_add_row(struct ab_kernel_run *k, const struct ab_kernel_row *row,
                                 struct ab_error *err);
/* The summary of each batch size: on `talk`, in the context, and kernels.md. */
enum ab_status ab_kernel_finish(struct ab_kernel_run *k, struct ab_error *err);

#endif
