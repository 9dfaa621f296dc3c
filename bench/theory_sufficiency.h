// SPDX-License-Identifier: Apache-2.0
// Parts of the experiment `sufficiency`.
#ifndef AB_THEORY_SUFFICIENCY_H
#define AB_THEORY_SUFFICIENCY_H

#include "theory.h"

/* Plants a backdoor in a copy of the network, verifies that it decides, and adds to the result how
 * much of each method's map lies in the trigger. `share`: of the experiment's progress. */
enum ab_status ab_sufficiency_backdoor(const struct ab_subject *s, struct ab_result *r,
                                       double share, struct ab_error *err);

#endif
