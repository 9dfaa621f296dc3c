// SPDX-License-Identifier: Apache-2.0
// Operands that trials draw: what is the same for all operations but conv2d.
#ifndef AB_VERIFY_OPERANDS_H
#define AB_VERIFY_OPERANDS_H

#include "verify/judge.h"
#include "verify/verify.h"

/* Values of AB_FILL_FILE; none otherwise. */
struct ab_file_values {
    float *values;
    size_t count;
};
/* False, *outcome SKIPPED with the reason: the file cannot be used. */
bool ab_file_values_read(struct ab_file_values *v, const struct ab_trial *trial,
                         struct ab_outcome *outcome);
void ab_file_values_free(struct ab_file_values *v);

/* `count` vectors of `size` by the trial's fill, 2^exponent times as large where that neither
 * overflows nor loses digits. ONEHOT: one in each vector; NAN, INF: one in all. */
void ab_fill_signal(float *p, size_t count, size_t size, const struct ab_trial *trial,
                    const struct ab_file_values *file, struct ab_rng *rng);
/* The factor that ab_fill_signal applies. */
double ab_signal_scale(const struct ab_trial *trial);
/* Weights for such a signal: finite, and integers where its sums are to be exact. `products`: how
 * many are added up. */
void ab_fill_weights(float *p, size_t count, const struct ab_trial *trial, size_t products,
                     struct ab_rng *rng);
/* Whatever else is added or multiplied: biases, summands, operands of epilogues. */
void ab_fill_others(float *p, size_t count, const struct ab_trial *trial, struct ab_rng *rng);

/* An epilogue's operands: thresholds, zeros and quotients by 0 among them. */
struct ab_epilogue {
    enum ab_pointwise_kind kind;
    float eps, scale;
    bool has_add;
    float *a, *z;       /* as dst */
    float *tau;         /* [n] */
    float *mul, *add;   /* [channels] */
    unsigned char *bit; /* as dst */
};
/* `count` elements in n images of `channels` channels. False: out of memory. */
bool ab_epilogue_new(struct ab_epilogue *e, const struct ab_trial *trial, size_t count, int n,
                     int channels, struct ab_rng *rng);
void ab_epilogue_free(struct ab_epilogue *e);
/* What element i of image n, channel c may be where it was x without the epilogue. */
bool ab_epilogue_admits(const struct ab_epilogue *e, size_t i, int n, int c, float x, float got);
/* The bit that kinds which make one make of it. */
bool ab_epilogue_bit(const struct ab_epilogue *e, size_t i, int n, int c, float x);

/* Whether sums of the trial's products are exact in float: the fill's are, and none of `truth` in
 * units of the signal's scale comes near 2^24. */
bool ab_truth_is_exact(const struct ab_truth *truth, const struct ab_trial *trial, double unit);
struct ab_accumulation ab_accumulation_of(const struct ab_candidate *c, bool exact);

#endif
