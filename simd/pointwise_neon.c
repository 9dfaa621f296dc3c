// SPDX-License-Identifier: Apache-2.0
// Pointwise rules, NEON: the loop over rows around pointwise_tpl.h.
#include "vec_neon.h"
#include "pointwise_tpl.h"
#include "pointwise_rows.h"

void ab_pointwise_neon(const void *args);
void ab_pointwise_neon(const void *args)
{
    pw_rows(args);
}
