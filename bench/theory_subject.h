// SPDX-License-Identifier: Apache-2.0
// Where the subject of `attrbench theory` comes from: a tier, or a model with images.
#ifndef AB_THEORY_SUBJECT_H
#define AB_THEORY_SUBJECT_H

#include "theory.h"

enum ab_tier { AB_TIER_SYNTHETIC, AB_TIER_DIGITS };

struct ab_subject_request {
    struct ab_theory_options options;
    enum ab_tier tier;
    const char *model, *preprocess; /* model NULL: the tier's */
    const struct ab_words *inputs, *methods;
    int images; /* 0: 16 synthetic ones, or all that are given */
};

/* Owns what a subject borrows. */
struct ab_subject_owner {
    struct ab_subject subject;
    struct ab_source source;
    struct ab_images images;
    struct ab_method **methods;
    int n_methods, *targets, *labels;
    struct ab_words left_out; /* lines: usual methods that the network does not suit, and why */
};

enum ab_status ab_subject_open(const struct ab_subject_request *request,
                               struct ab_subject_owner *owner, struct ab_error *err);
void ab_subject_close(struct ab_subject_owner *owner);

#endif
