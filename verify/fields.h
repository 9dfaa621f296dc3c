// SPDX-License-Identifier: Apache-2.0
// Texts of shapes, a row of letters and numbers ("n2i100o33", "k3x5s2"), and simpler trials.
#ifndef AB_VERIFY_FIELDS_H
#define AB_VERIFY_FIELDS_H

#include "verify/verify.h"

/* One to four numbers after `key`: all equal, or joined by x; of four (top, left, bottom, right)
 * two stand for both sides each. */
struct ab_field {
    const char *key;
    int *value[4];
    int count, least;
    int assumed; /* where the key is missing; below `least`: it may not be */
};

enum { AB_FIELD_MOST = 1 << 20 }; /* no number is larger */

/* Reads all of the text; `flag` (NULL: none) is a last letter that may be there. */
bool ab_fields_parse(const char *text, const struct ab_field *fields, int count, char letter,
                     bool *flag, struct ab_error *err);
void ab_fields_print(const struct ab_field *fields, int count, char *text, size_t size);

/* The k-th simpler neighbour: each of the `dims` halved, or less by one (not below 1; offsets into
 * the trial), then each other part of the trial at its simplest. False past the last; *smaller may
 * not be valid. */
bool ab_trial_simpler(const struct ab_trial *trial, const size_t *dims, int n_dims, int k,
                      struct ab_trial *smaller);

#endif
