// SPDX-License-Identifier: Apache-2.0
// Alternatives for a CONV or DENSE step, and the clock that judges them.
#ifndef AB_ONEDNN_LINEAR_H
#define AB_ONEDNN_LINEAR_H

#include "backend/onednn.h"

/* One way to compute the step: a primitive whose post-ops do the first `fused` stages. `sum`: the
 * first of them accumulates onto dst, where the addend is copied before. */
struct ab_onednn_candidate {
    int variant;
    enum ab_onednn_kind kind;
    enum ab_onednn_form form;
    dnnl_primitive_desc_t pd;
    int fused;
    bool sum;
};

/* What follows the linear map: the sum with `add`, then the epilogue. Operand a, or -1. */
struct ab_onednn_stage {
    enum ab_pointwise_kind kind;
    int a;
};
int ab_onednn_stages(const struct ab_step *s, struct ab_onednn_stage stage[2]);

/* The values that stage i reads beside the result, at most two, in dst's format; -1: none. */
void ab_onednn_operands(const struct ab_step *s, const struct ab_onednn_stage *stage, int id[2]);

/* An argument of a candidate's primitive and what it stands for. md lives as long as the primitive
 * descriptor. */
struct ab_onednn_role {
    int id;
    const ab_md *md;
    enum { AB_ROLE_X, AB_ROLE_WEIGHTS, AB_ROLE_BIAS, AB_ROLE_OPERAND, AB_ROLE_DST } what;
    int value;
};
int ab_onednn_roles(const struct ab_step *s, const struct ab_onednn_candidate *c,
                    struct ab_onednn_role role[8]);

/* onednn_time.c: nanoseconds of the step by this candidate, reorders and unfused stages included;
 * INFINITY if it fails. Gives up early once it is clearly slower than `best`. */
double ab_onednn_time(struct ab_onednn *o, const struct ab_step *s,
                      const struct ab_onednn_candidate *c, double best);
/* Gives back the memory that candidates were timed on. */
void ab_onednn_time_end(struct ab_onednn *o);

/* onednn_memo.c: the winners of measurements, by what decides them, for the life of the process and
 * for all threads. x: the format of the operand, borrowed. */
struct ab_onednn_work {
    enum ab_op op;
    enum ab_pass pass;
    enum ab_pointwise_kind kind;
    bool add, bias;
    int batch, threads, channels;
    size_t wei_count;
    struct ab_conv2d_shape conv;
    const ab_md *x;
};
int ab_onednn_recall(const struct ab_onednn_work *work); /* the variant, or -1 */
void ab_onednn_remember(const struct ab_onednn_work *work, int variant);

#endif
