// SPDX-License-Identifier: Apache-2.0
// What the files of the space and of the search share among themselves.
#ifndef AB_TUNE_INSIDE_H
#define AB_TUNE_INSIDE_H

#include "tune.h"

/* The values of each knob on a machine, those asked for where `narrowing` names any: then `named`
 * is set. */
enum ab_status ab_knob_offer(const struct ab_words *narrowing, const struct ab_site *site,
                             struct ab_knob_values knobs[AB_KNOBS], bool named[AB_KNOBS],
                             struct ab_error *err);
/* Sets what the knob's value says; "" the defaults that hold where it has no meaning. */
void ab_knob_set(struct ab_deploy *d, enum ab_knob knob, const char *value);

#endif
