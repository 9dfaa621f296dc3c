// SPDX-License-Identifier: Apache-2.0
// The trials of convolutions, their operands and their truth, for both precisions.
#ifndef AB_VERIFY_CONV2D_H
#define AB_VERIFY_CONV2D_H

#include "verify/operands.h"
#include "verify/subject.h"

/* Canonical arrays: weights as in the model, maps NCHW. */
struct ab_conv_problem {
    struct ab_trial trial;
    bool ready, judged, exact;    /* judged: truth, reach and exact are there */
    int src_dims[4], dst_dims[4]; /* NCHW */
    float gain;
    float *wei, *effective;               /* as given; transformed by wmod, rounded to float */
    float *src, *bias, *add;              /* bias, add: NULL where the trial has none */
    double *src_f64, *bias_f64, *add_f64; /* of conv2d_f64, with digits that floats lack */
    struct ab_epilogue f;
    struct ab_truth truth;
    /* Of 3x3 kernels at stride 1 the sums of magnitudes without bias and add, of all outputs that
     * any input reaches, those beyond the image too: tiles of transforming algorithms hold them.
     * Element (y, x) is at (y + reach_y, x + reach_x). */
    struct ab_truth reach;
    int reach_dims[4], reach_y, reach_x;
};

static inline size_t ab_conv_src_count(const struct ab_conv_problem *p)
{
    const int *d = p->src_dims;
    return (size_t)d[0] * (size_t)d[1] * (size_t)d[2] * (size_t)d[3];
}
static inline size_t ab_conv_dst_count(const struct ab_conv_problem *p)
{
    const int *d = p->dst_dims;
    return (size_t)d[0] * (size_t)d[1] * (size_t)d[2] * (size_t)d[3];
}
static inline size_t ab_conv_weights(const struct ab_conv2d_shape *s)
{
    return (size_t)s->oc * (size_t)(s->ic / s->g) * (size_t)s->kh * (size_t)s->kw;
}

/* The operands and the truth of a trial, kept until another is asked for: candidates take turns
 * at one. NULL, *outcome SKIPPED: no memory, or no file. */
const struct ab_conv_problem *ab_conv_problem_of(const struct ab_trial *trial,
                                                 struct ab_outcome *outcome);
/* The same without the truth, which takes long. */
const struct ab_conv_problem *ab_conv_operands_of(const struct ab_trial *trial,
                                                  struct ab_outcome *outcome);

/* The sums of the problem's operands, bias and add included, in double, and `reach`. False: out of
 * memory. */
bool ab_conv_truth(struct ab_conv_problem *p);

/* ---- native kernels ---- */

/* Members of struct ab_subject. */
void ab_conv_place(const void *problem, struct ab_setup *s);
void ab_conv_own(const struct ab_setup *s, int call, union ab_call_args *args);
/* The further calls that must give result `want`: panels, chains, dst over its operands. */
void ab_conv_more(const void *problem, const struct ab_setup *s, const struct ab_result *want,
                  struct ab_outcome *o);
/* The packed weights, of the blocks of args->range alone where args->panel; NULL: `k` has none, or
 * place->failed. */
const void *ab_conv_pack(struct ab_place *place, const struct ab_kernel *k,
                         const struct ab_conv2d_args *args);
/* Whether packing stays within its buffer. */
void ab_conv_check_packing(const struct ab_conv_problem *p, const struct ab_kernel *k,
                           struct ab_outcome *o);

extern const struct ab_subject ab_conv_subject;
struct ab_extent ab_conv_extent(const struct ab_conv_problem *p);

/* ---- all candidates ---- */

/* Verdict on bare results, floats or doubles as the trial's operation has them. */
void ab_conv_judge(const void *problem, const struct ab_candidate *c, const struct ab_result *r,
                   struct ab_outcome *o);
void ab_conv_where(const void *problem, size_t i, char *text, size_t size);
void ab_conv_dump(const void *problem, const struct ab_result *r, const char *folder);

bool ab_conv_fixed(int i, enum ab_kernel_op op, struct ab_trial *trial);
void ab_conv_draw(struct ab_rng *rng, enum ab_kernel_op op, struct ab_trial *trial);
bool ab_conv_shrink(const struct ab_trial *trial, int k, struct ab_trial *smaller);
bool ab_conv_shape_parse(const char *text, struct ab_trial *trial, struct ab_error *err);
void ab_conv_shape_print(const struct ab_trial *trial, char *text, size_t size);

#endif
